// What the page knows of the printer: status objects as the server sends them, files, console lines, temperatures over
// time. It keeps itself up to date and fires "change" (detail: a Set of what changed) at most once per frame.

const OBJECTS = ['webhooks', 'print_stats', 'virtual_sdcard', 'display_status', 'idle_timeout', 'pause_resume', 'toolhead',
  'gcode_move', 'motion_report', 'exclude_object', 'mmu', 'heaters', 'fan'];
const POLL_MS = 1500;
const HISTORY_S = 600;
const CONSOLE_LINES_MAX = 500;
const VERSION = '1.0.0';

export class Printer extends EventTarget {
  connection = 'connecting'; // connecting, online, offline
  state = 'disconnected';    // of the printer: disconnected, startup, ready, error, shutdown
  stateMessage = '';
  status = {};
  temperatures = new Map();  // sensor -> {temperatures, targets}: one value a second, the newest last
  console = [];              // {kind: command | response, text, time}
  files = [];
  commands = {};
  metadata = null;           // of the file being printed
  #changed = new Set();
  #metadataOf = '';
  #stateTimer = 0;
  #generation = 0;           // of the connection: answers to an older one are dropped

  constructor(remote) {
    super();
    this.remote = remote;
    remote.addEventListener('open', () => this.#opened());
    remote.addEventListener('close', () => this.#closed());
    remote.addEventListener('notify', (e) => this.#notified(e.detail.method, e.detail.params));
    setInterval(() => this.#sampleTemperatures(), 1000);
  }

  get(object, field, fallback = null) {
    return this.status[object]?.[field] ?? fallback;
  }

  has(object) {
    return object in this.status;
  }

  get isReady() {
    return this.connection === 'online' && this.state === 'ready';
  }

  get sensors() {
    return this.get('heaters', 'available_sensors', []);
  }

  get heaters() {
    return this.get('heaters', 'available_heaters', []);
  }

  addConsole(kind, text) {
    this.console.push({ kind, text, time: Date.now() / 1000 });
    if (this.console.length > CONSOLE_LINES_MAX) this.console.splice(0, this.console.length - CONSOLE_LINES_MAX);
    this.#touch('console');
  }

  async refreshFiles() {
    const files = await this.remote.call('server.files.list', { root: 'gcodes' });
    this.files = files.sort((a, b) => b.modified - a.modified);
    this.#touch('files');
  }

  #touch(what) {
    if (this.#changed.size === 0) {
      const tell = () => {
        const changed = this.#changed;
        this.#changed = new Set();
        this.dispatchEvent(new CustomEvent('change', { detail: changed }));
      };
      if (document.hidden) setTimeout(tell, 250); // no frames are drawn
      else requestAnimationFrame(tell);
    }
    this.#changed.add(what);
  }

  async #opened() {
    const generation = ++this.#generation;
    try {
      await this.remote.call('server.connection.identify', { client_name: 'Lockstep page', version: VERSION, type: 'web', url: '' });
      this.connection = 'online';
      this.#touch('connection');
      await Promise.all([this.refreshFiles(), this.#loadConsole()]);
      await this.#lookAtState(generation);
    } catch (error) {
      if (generation === this.#generation) this.addConsole('response', `!! ${error.message}`);
    }
  }

  #closed() {
    this.#generation++;
    clearTimeout(this.#stateTimer);
    this.connection = 'offline';
    this.state = 'disconnected';
    this.status = {};
    this.#touch('connection');
    this.#touch('status');
  }

  async #loadConsole() {
    const { gcode_store: lines } = await this.remote.call('server.gcode_store', { count: 200 });
    this.console = lines.map((line) => ({ kind: line.type, text: line.message, time: line.time }));
    this.#touch('console');
  }

  /** Ask for the state until it is one that news will tell us about. */
  async #lookAtState(generation = this.#generation) {
    clearTimeout(this.#stateTimer);
    const info = await this.remote.call('server.info');
    if (generation !== this.#generation) return;
    this.state = info.klippy_connected ? info.klippy_state : 'disconnected';
    this.stateMessage = '';
    if (info.klippy_connected) {
      const printer = await this.remote.call('printer.info');
      if (generation !== this.#generation) return;
      this.state = printer.state;
      this.stateMessage = printer.state_message;
      await this.#subscribe(generation);
    }
    this.#touch('connection');
    if (this.state !== 'ready' && this.state !== 'shutdown') {
      this.#stateTimer = setTimeout(() => this.#lookAtState(generation).catch(() => {}), POLL_MS);
    }
  }

  async #subscribe(generation) {
    const { objects } = await this.remote.call('printer.objects.list');
    const wanted = {};
    for (const name of OBJECTS) if (objects.includes(name)) wanted[name] = null;
    if (objects.includes('heaters')) {
      const { status } = await this.remote.call('printer.objects.query', { objects: { heaters: null } });
      for (const name of status.heaters?.available_sensors ?? []) if (objects.includes(name)) wanted[name] = null;
    }
    const { status } = await this.remote.call('printer.objects.subscribe', { objects: wanted });
    if (generation !== this.#generation) return;
    this.status = {};
    this.#merge(status);
    this.commands = await this.remote.call('printer.gcode.help').catch(() => ({}));
    await this.#loadTemperatures();
    this.#touch('commands');
  }

  async #loadTemperatures() {
    const store = await this.remote.call('server.temperature_store').catch(() => ({}));
    this.temperatures = new Map();
    for (const [name, series] of Object.entries(store)) {
      this.temperatures.set(name, {
        temperatures: (series.temperatures ?? []).slice(-HISTORY_S),
        targets: (series.targets ?? []).slice(-HISTORY_S),
      });
    }
    this.#touch('temperatures');
  }

  #sampleTemperatures() {
    if (!this.isReady) return;
    for (const name of this.sensors) {
      const now = this.status[name];
      if (!now || typeof now.temperature !== 'number') continue;
      if (!this.temperatures.has(name)) this.temperatures.set(name, { temperatures: [], targets: [] });
      const series = this.temperatures.get(name);
      series.temperatures.push(now.temperature);
      series.targets.push(now.target ?? 0);
      if (series.temperatures.length > HISTORY_S) series.temperatures.shift();
      if (series.targets.length > HISTORY_S) series.targets.shift();
    }
    this.#touch('temperatures');
  }

  #merge(news) {
    for (const [object, fields] of Object.entries(news)) {
      this.status[object] = Object.assign(this.status[object] ?? {}, fields);
      this.#touch(object);
    }
    this.#touch('status');
    const webhooks = news.webhooks;
    if (webhooks?.state) {
      this.state = webhooks.state;
      this.#touch('connection');
    }
    if (webhooks?.state_message !== undefined) this.stateMessage = webhooks.state_message;
    this.#followFile();
  }

  /** Fetch what the slicer says about the file being printed, once per file. */
  async #followFile() {
    const filename = this.get('print_stats', 'filename', '');
    if (filename === this.#metadataOf) return;
    this.#metadataOf = filename;
    this.metadata = null;
    if (!filename) return;
    const metadata = await this.remote.call('server.files.metadata', { filename }).catch(() => null);
    if (filename !== this.#metadataOf) return;
    this.metadata = metadata;
    this.#touch('print_stats');
  }

  #notified(method, params) {
    if (method === 'notify_status_update') this.#merge(params[0] ?? {});
    else if (method === 'notify_gcode_response') this.addConsole('response', String(params[0] ?? ''));
    else if (method === 'notify_filelist_changed') this.refreshFiles().catch(() => {});
    else if (method.startsWith('notify_klippy_')) {
      if (method === 'notify_klippy_disconnected') this.status = {};
      this.#touch('status');
      this.#lookAtState().catch(() => {});
    }
  }
}
