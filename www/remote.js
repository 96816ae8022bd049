// The only module that speaks to the server: JSON-RPC over one WebSocket, which it opens again whenever it is lost, and
// uploads over HTTP. Events: "open", "close" (detail: seconds until the next attempt) and "notify" (detail: {method, params}).

const RETRY_MS = [250, 500, 1000, 2000, 4000];
const CALL_TIMEOUT_MS = 15000; // for everything but G-code, which may take as long as it takes

export class RemoteError extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

export class Remote extends EventTarget {
  #socket = null;
  #lastId = 0;
  #waiting = new Map(); // id -> {resolve, reject, timer}
  #attempts = 0;

  constructor(url) {
    super();
    this.url = url;
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  connect() {
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    socket.addEventListener('open', () => {
      this.#attempts = 0;
      this.dispatchEvent(new Event('open'));
    });
    socket.addEventListener('message', (event) => this.#receive(event.data));
    socket.addEventListener('close', () => this.#lost(socket));
  }

  /** Call `method`; resolves with its result, rejects with a RemoteError. timeoutMs 0: wait for as long as it takes. */
  call(method, params = {}, timeoutMs = CALL_TIMEOUT_MS) {
    if (!this.isOpen) return Promise.reject(new RemoteError('Not connected to the server', 0));
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = timeoutMs > 0 && setTimeout(() => this.#settle(id, 'reject', new RemoteError(`${method}: no answer`, 0)), timeoutMs);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ jsonrpc: '2.0', method, params, id }));
    });
  }

  /** Run G-code; resolves when it has ended. */
  script(script) {
    return this.call('printer.gcode.script', { script }, 0);
  }

  /** Upload a File to the folder of print files; onProgress gets 0 to 1. Resolves with the server's answer. */
  upload(file, startPrint, onProgress) {
    const form = new FormData();
    form.append('root', 'gcodes');
    if (startPrint) form.append('print', 'true');
    form.append('file', file, file.name);
    const request = new XMLHttpRequest(); // fetch cannot tell how much has been sent
    return new Promise((resolve, reject) => {
      request.open('POST', '/server/files/upload');
      request.responseType = 'json';
      request.upload.addEventListener('progress', (e) => e.lengthComputable && onProgress(e.loaded / e.total));
      request.addEventListener('error', () => reject(new RemoteError('The upload broke off', 0)));
      request.addEventListener('load', () => {
        if (request.status < 300) resolve(request.response);
        else reject(new RemoteError(request.response?.error?.message ?? `Upload failed (${request.status})`, request.status));
      });
      request.send(form);
    });
  }

  #receive(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return; // not ours
    }
    if (message.id !== undefined && message.id !== null && !message.method) {
      if (message.error) this.#settle(message.id, 'reject', new RemoteError(message.error.message, message.error.code));
      else this.#settle(message.id, 'resolve', message.result);
    } else if (message.method) {
      this.dispatchEvent(new CustomEvent('notify', { detail: { method: message.method, params: message.params ?? [] } }));
    }
  }

  #settle(id, how, value) {
    const entry = this.#waiting.get(id);
    if (!entry) return;
    this.#waiting.delete(id);
    clearTimeout(entry.timer);
    entry[how](value);
  }

  #lost(socket) {
    if (socket !== this.#socket) return;
    for (const id of [...this.#waiting.keys()]) this.#settle(id, 'reject', new RemoteError('The connection was lost', 0));
    const delay = RETRY_MS[Math.min(this.#attempts++, RETRY_MS.length - 1)];
    this.dispatchEvent(new CustomEvent('close', { detail: delay / 1000 }));
    setTimeout(() => this.connect(), delay);
  }
}
