"""HTTP and WebSocket clients on sockets alone, and the server under test as a process. Standard library only."""

import base64
import json
import os
import socket
import struct
import subprocess
import tempfile
import time


class Api:
    """A server as a process (self.process) that listens on self.port of this machine."""

    def alive(self):
        return self.process.poll() is None

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))

    def is_sanitized(self):
        with open(f"/proc/{self.process.pid}/maps") as maps:
            return any("libasan" in line or "libtsan" in line for line in maps)

    def http(self, verb, target, body=b"", headers=None):
        return http(self.port, verb, target, body, headers)

    def call(self, verb, target, body=None, headers=None):
        """A call of the API with a JSON body; returns (status, decoded reply or None)."""
        headers = dict(headers or {})
        data = b""
        if body is not None:
            data = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        reply = self.http(verb, target, data, headers)
        return reply.status, json.loads(reply.body) if reply.body else None

    def get(self, target, **headers):
        status, reply = self.call("GET", target, headers=headers)
        assert status == 200, (target, status, reply)
        return reply["result"]

    def ws(self, target="/websocket", headers=None):
        return WebSocket(self.port, target, headers)

    def upload(self, fields, files, path="/server/files/upload", headers=None):
        """fields: [(name, text)]; files: [(name, filename, bytes)], sent in this order."""
        mark = "----lockstep-test-mark"
        parts = []
        for name, text in fields:
            parts.append(f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + text.encode())
        for name, filename, data in files:
            parts.append(f'--{mark}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
                         "Content-Type: application/octet-stream\r\n\r\n".encode() + data)
        body = b"\r\n".join(parts) + f"\r\n--{mark}--\r\n".encode()
        sent = {"Content-Type": f"multipart/form-data; boundary={mark}"}
        sent.update(headers or {})
        reply = self.http("POST", path, body, sent)
        return reply.status, json.loads(reply.body) if reply.body else None, reply.headers


class Server(Api):
    """`program` with `--data` in a fresh folder; prints "port N" when it listens; ends when its input closes."""

    def __init__(self, program, *options, data=None, env=None):
        self.folder = tempfile.TemporaryDirectory(prefix="lockstep-api-") if data is None else None
        self.data = data or self.folder.name
        self.process = subprocess.Popen([program, "--data", self.data, *options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=env)
        line = self.process.stdout.readline()
        assert line.startswith("port "), f"the server did not start: {line!r}"
        self.port = int(line.split()[1])

    def stop(self):
        self.process.stdin.close()
        code = self.process.wait(timeout=30)
        if self.folder:
            self.folder.cleanup()
        assert code == 0, f"the server ended with {code}"

    def path(self, *parts):
        return os.path.join(self.data, *parts)


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


def read_reply(sock, verb="GET"):
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            raise ConnectionError("closed before the headers ended")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    status = int(lines[0].split()[1])
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if verb == "HEAD" or status in (204, 304) or status < 200:
        return Reply(status, headers, b"")
    length = int(headers["content-length"]) if "content-length" in headers else None
    while length is None or len(rest) < length:
        more = sock.recv(1 << 20)
        if not more:
            break
        rest += more
    return Reply(status, headers, rest if length is None else rest[:length])


def connect(port, timeout=60):
    return socket.create_connection(("127.0.0.1", port), timeout=timeout)


def request_bytes(port, verb, target, body=b"", headers=None):
    lines = [f"{verb} {target} HTTP/1.1"]
    all_headers = {"Host": f"127.0.0.1:{port}"}
    if body or verb in ("POST", "PUT"):
        all_headers["Content-Length"] = str(len(body))
    all_headers.update(headers or {})
    lines += [f"{name}: {value}" for name, value in all_headers.items() if value is not None]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape") + body


def http(port, verb, target, body=b"", headers=None):
    with connect(port) as sock:
        try:
            sock.sendall(request_bytes(port, verb, target, body, headers))
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused by its headers; the reply is there
        return read_reply(sock, verb)


class Closed(Exception):
    pass


class WebSocket:
    def __init__(self, port, target="/websocket", headers=None, timeout=30):
        self.sock = connect(port, timeout)
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}
        fields.update(headers or {})
        self.sock.sendall(request_bytes(port, "GET", target, headers=fields))
        self.buffer = b""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.sock.recv(65536)
            if not more:
                break
            data += more
        head, _, self.buffer = data.partition(b"\r\n\r\n")
        self.status = int(head.split()[1]) if head else 0
        self.headers = head.decode("latin-1").lower()
        self.last_id = 0
        self.notifications = []
        self.close_reason = None

    def send_frame(self, opcode, payload, final=True):
        mask = os.urandom(4)
        length = len(payload)
        head = bytes([(0x80 if final else 0) | opcode])
        if length < 126:
            head += bytes([0x80 | length])
        elif length < 65536:
            head += bytes([0x80 | 126]) + struct.pack(">H", length)
        else:
            head += bytes([0x80 | 127]) + struct.pack(">Q", length)
        masked = bytes(b ^ mask[i & 3] for i, b in enumerate(payload)) if length < 4096 else \
            (int.from_bytes(payload, "big") ^ int.from_bytes((mask * (length // 4 + 1))[:length], "big")).to_bytes(length, "big")
        self.sock.sendall(head + mask + masked)

    def send(self, text):
        self.send_frame(1, text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)

    def need(self, count):
        while len(self.buffer) < count:
            more = self.sock.recv(1 << 20)
            if not more:
                raise Closed()
            self.buffer += more

    def recv(self):
        """The next text message, decoded; answers pings."""
        message = b""
        while True:
            self.need(2)
            final, opcode, length = self.buffer[0] & 0x80, self.buffer[0] & 15, self.buffer[1] & 127
            at = 2
            if length == 126:
                self.need(4)
                length, at = struct.unpack(">H", self.buffer[2:4])[0], 4
            elif length == 127:
                self.need(10)
                length, at = struct.unpack(">Q", self.buffer[2:10])[0], 10
            self.need(at + length)
            payload, self.buffer = self.buffer[at:at + length], self.buffer[at + length:]
            if opcode == 9:
                self.send_frame(10, payload)
            elif opcode == 8:
                self.close_reason = payload[2:].decode("utf-8", "replace")
                raise Closed(self.close_reason)
            elif opcode in (0, 1, 2):
                message += payload
                if final:
                    return json.loads(message)

    def answer(self, request_id):
        while True:
            message = self.recv()
            if isinstance(message, list) or ("id" in message and message["id"] == request_id and "method" not in message):
                return message
            self.notifications.append(message)

    def call(self, method, params=None, **more):
        """Returns the whole answer."""
        self.last_id += 1
        request = {"jsonrpc": "2.0", "method": method, "id": self.last_id, **more}
        if params is not None:
            request["params"] = params
        self.send(json.dumps(request))
        return self.answer(self.last_id)

    def result(self, method, params=None):
        answer = self.call(method, params)
        assert "result" in answer, (method, answer)
        return answer["result"]

    def wait_for(self, method, timeout_s=5):
        """The params of the next notification of that name, also one that has come already."""
        end = time.monotonic() + timeout_s
        while True:
            for i, message in enumerate(self.notifications):
                if message.get("method") == method:
                    del self.notifications[i]
                    return message.get("params")
            self.sock.settimeout(max(0.01, end - time.monotonic()))
            try:
                self.notifications.append(self.recv())
            finally:
                self.sock.settimeout(30)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()
