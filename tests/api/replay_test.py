"""What Mainsail and Fluidd asked the original server, asked of ours: the answers must have the same shape.

  python3 replay_test.py PROGRAM SESSIONS_DIR GCODE_DIR [SESSION...]
PROGRAM is fake_server, or lockstep: then the printer is simulated, from the sessions' own printer.cfg without the
sections that do not exist yet. Every request of the sessions whose method we have is sent, in order; the rest must answer
"Method not found". Shape = keys and types: every key of the recorded answer must be there with the same type, lists are
compared by their first elements, whole numbers and fractions are one type. What is left out is listed below, with why."""

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

from client import Server, WebSocket, http

# Methods that we do not have; components that clients switch on by server.info are not listed there.
ABSENT = {"server.history.list", "server.history.totals", "server.announcements.list", "server.job_queue.status"}

# (method, path in the answer as a regular expression) of what may differ, and why.
VOLATILE = [
    ("server.config", r"/config/.*", "the sections of another program's configuration"),
    ("server.config", r"/(orig|files)/.*", "likewise"),
    ("machine.system_info", r"/system_info/python", "we are not written in Python"),
    ("machine.system_info", r"/system_info/(network|service_state|canbus)/.*", "of the computer"),
    ("machine.proc_stats", r"/network/.*", "of the computer"),
    (".*", r"/.*cpu_temp", "null where there is no sensor"),
    ("printer.gcode.help", r"/.*", "the commands differ by what is configured"),
    ("server.temperature_store", r"/[^/]+", "sensors differ by what is configured"),
    ("server.database.get_item", r"/value/.*", "what the clients have stored"),
    ("GET /server/database/item", r"/result/value/.*", "likewise"),
    ("server.files.get_directory", r"/files/0/.*", "which file comes first differs; its plain keys are checked"),
    ("printer.objects.(query|subscribe)", r"/status/configfile/(config|settings)/.*", "the configuration itself"),
    ("printer.objects.(query|subscribe)", r"/status/gcode/commands/.*", "the commands differ by what is configured"),
    ("printer.objects.(query|subscribe)", r"/status/mcu/(mcu_constants|last_stats)/.*", "what the board says about itself"),
    ("printer.objects.(query|subscribe)", r"/status/motion_report/(steppers|trapq)/.*", "names"),
    ("printer.objects.(query|subscribe)", r"/status/stepper_enable/steppers/.*", "names"),
    ("printer.objects.(query|subscribe)", r"/status/(display_status/message|virtual_sdcard/file_path)", "null or text, by what is going on"),
    ("printer.objects.(query|subscribe)", r"/status/print_stats/info/.*", "null or number, by what is printed"),
    ("printer.objects.(query|subscribe)", r"/status/exclude_object/.*", "by what is printed"),
    ("server.files.metadata", r"/(print_start_time|job_id)", "null until there is a history"),
]

# Requests that are not sent, and why.
NOT_SENT = [
    (r"server\.files\.get_directory", r'"(docs|config_examples)', "folders of another program's installation"),
    (r"GET .*-32x32\.png", r"", "pictures that the original makes itself; ours are the slicer's"),
]

# Sections of the recorded printer.cfg that we do not have yet (a later issue); the objects that come from them.
LATER_SECTIONS = re.compile(r"^\[(filament_switch_sensor runout|bed_mesh|save_variables|fan_generic aux|temperature_sensor host)\]")
LATER_OBJECTS = re.compile(r"^(filament_switch_sensor .*|bed_mesh|save_variables|fan_generic .*|temperature_host .*|"
                           r"temperature_sensor host|system_stats|manual_probe)$")


def kind(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return {str: "text", list: "list", dict: "object"}[type(value)]


def is_volatile(method, path):
    return any(re.fullmatch(m, method) and re.fullmatch(p, path) for m, p, _ in VOLATILE)


def differences(method, recorded, ours, path=""):
    if is_volatile(method, path):
        return
    if kind(recorded) != kind(ours):
        yield f"{path or '/'}: recorded {kind(recorded)}, ours {kind(ours)} ({str(ours)[:60]})"
    elif isinstance(recorded, dict):
        for key, value in recorded.items():
            if path == "/status" and LATER_OBJECTS.match(key):
                continue
            if key in ours:
                yield from differences(method, value, ours[key], f"{path}/{key}")
            elif not is_volatile(method, f"{path}/{key}"):
                yield f"{path}/{key}: missing"
    elif isinstance(recorded, list) and recorded and ours:
        yield from differences(method, recorded[0], ours[0], f"{path}/0")


class Daemon(Server):
    """The real program on a simulated printer."""

    def __init__(self, program, config):
        self.folder = tempfile.TemporaryDirectory(prefix="lockstep-replay-")
        self.data = self.folder.name
        os.makedirs(self.path("config"))
        with open(config) as source, open(self.path("config", "printer.cfg"), "w") as target:
            target.write(without_later_sections(source.read()).replace("/home/pi/printer_data", self.data))
        self.process = subprocess.Popen([program, "run", "-c", self.path("config", "printer.cfg"), "--data", self.data, "--sim",
                                         "--speed", "max", "--port", "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        match = re.search(r"http://[0-9.]+:([0-9]+)/", line)
        assert match, f"no address in {line!r}"
        self.port = int(match.group(1))

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=30)
        self.folder.cleanup()
        assert code == 0, f"the daemon ended with {code}"


def without_later_sections(text):
    kept, is_kept = [], True
    for line in text.splitlines(keepends=True):
        if line.startswith("#*#"): # what SAVE_CONFIG has written: a bed mesh
            break
        if line.startswith("["):
            is_kept = not LATER_SECTIONS.match(line)
        if is_kept and "{" not in line: # lines of macros that need the template language
            kept.append(line)
    return "".join(kept)


def is_sent(method, params):
    return not any(re.match(m, method) and re.search(p, json.dumps(params)) for m, p, _ in NOT_SENT)


class Replay:
    def __init__(self, server, gcode_dir):
        self.server = server
        self.is_fake = not isinstance(server, Daemon)
        self.gcode_dir = gcode_dir
        self.sockets = {}
        self.count, self.problems, self.notifications = 0, [], {}

    def problem(self, where, text):
        self.problems.append(f"{where}: {text}")

    def prepare(self, name):
        """Ready, nothing printing, and the files there that were there when it was recorded."""
        self.server.call("POST", "/printer/print/cancel")
        if self.server.get("/server/info")["klippy_state"] not in ("ready", "startup"):
            self.server.call("POST", "/printer/firmware_restart")
        self.settle("restart")
        if "1-boot" not in name:
            data = open(os.path.join(self.gcode_dir, "cube.gcode"), "rb").read()
            for filename in ("cube.gcode", "orca cube.gcode"):
                self.server.upload([], [("file", filename, data)])

    def compare(self, where, method, recorded, ours):
        self.count += 1
        for text in differences(method, recorded, ours):
            self.problem(where, f"{method} {text}")

    def answer_of(self, lines, index, match):
        for later in lines[index + 1:]:
            if later.get("dir") == "s2c" and match(later):
                return later
        return None

    def ws_request(self, where, lines, index):
        line = lines[index]
        method, conn = line["method"], line["conn"]
        recorded = self.answer_of(lines, index, lambda l: l["transport"] == "ws" and l.get("conn") == conn and l.get("id") == line["id"]
                                  and "id" in l)
        ws = self.sockets.get(conn)
        if ws is None:
            ws = self.sockets[conn] = self.server.ws()
        request = {"jsonrpc": "2.0", "method": method, "id": line["id"]}
        if "params" in line:
            request["params"] = line["params"]
        ws.send(json.dumps([request] if "batch" in line else request))
        ours = ws.answer(line["id"])
        if "batch" in line:
            ours = ours[0]
        if method in ABSENT:
            self.count += 1
            if ours.get("error", {}).get("code") != -32601:
                self.problem(where, f"{method} must be unknown: {ours}")
        elif recorded is None or recorded.get("truncated"):
            return
        elif method == "printer.gcode.script" and self.is_fake:
            return
        elif "error" in recorded:
            self.count += 1
            if "error" not in ours or kind(ours["error"].get("message")) != "text":
                self.problem(where, f"{method}: recorded error {recorded['error']}, ours {str(ours)[:200]}")
        elif "result" not in ours:
            self.problem(where, f"{method} {json.dumps(line.get('params'))[:120]}: {ours['error']}")
        else:
            self.compare(where, method, recorded["result"], ours["result"])

    def upload(self, where, line):
        parts = line["params"]["multipart"]
        fields = [(part["name"], part["value"]) for part in parts if "filename" not in part]
        files = []
        for part in parts:
            if "filename" not in part:
                continue
            if not part["filename"].endswith(".gcode"): # not recorded whole
                fields = [field for field in fields if field[0] != "checksum"]
            source = os.path.join(self.gcode_dir, "cube.gcode")
            if part["filename"] == "printer.cfg":
                source = self.server.path("config", "printer.cfg")
            data = open(source, "rb").read()
            files.append((part["name"], part["filename"], data))
        return self.server.upload(fields, files, path=line["path"])[:2]

    def http_request(self, where, lines, index):
        line = lines[index]
        recorded = self.answer_of(lines, index, lambda l: l["transport"] == "http" and l.get("n") == line.get("n"))
        if recorded is None or "status" not in recorded:
            return
        query = {k: v for k, v in line.get("query", {}).items() if k not in ("token",)}
        target = urllib.parse.quote(line["path"]) + ("?" + urllib.parse.urlencode(query) if query else "")
        method = f"{line['method']} {line['path']}"
        if isinstance(line.get("params"), dict) and "multipart" in line["params"]:
            status, body = self.upload(where, line)
        elif "/server/files/" in line["path"] and recorded["status"] < 400:
            status = http(self.server.port, line["method"], target).status
            body = None
        else:
            status, body = self.server.call(line["method"], target, line.get("params"))
        # A client's cache is not replayed: where the original answered 304 ours sends the whole.
        expected = 200 if recorded["status"] == 304 else recorded["status"]
        self.count += 1
        if status != expected:
            self.problem(where, f"{method}: recorded status {recorded['status']}, ours {status} {str(body)[:120]}")
        elif body is not None and isinstance(recorded.get("result"), dict) and recorded["status"] != 304:
            wanted = json.loads(json.dumps(recorded["result"]))
            if "error" in wanted:
                wanted["error"].pop("traceback", None)
            self.compare(where, method, wanted, body)

    def run(self, path):
        with open(path) as file:
            lines = [json.loads(text) for text in file]
        name = os.path.basename(path)
        for index, line in enumerate(lines):
            where = f"{name}:{index + 1}"
            if line.get("dir") == "c2s" and line["transport"] == "ws" and line.get("event") == "close":
                ws = self.sockets.pop(line["conn"], None)
                if ws:
                    self.keep(ws)
            elif line.get("dir") == "c2s" and not is_sent(line.get("method", "") + " " + line.get("path", "") if line["transport"] == "http"
                                                          else line.get("method", ""), line.get("params")):
                continue
            elif line.get("dir") == "c2s" and line["transport"] == "ws" and "method" in line:
                self.ws_request(where, lines, index)
                self.settle(line["method"])
            elif line.get("dir") == "c2s" and line["transport"] == "http" and not line.get("static"):
                self.http_request(where, lines, index)
        for ws in self.sockets.values():
            self.keep(ws)
        self.sockets = {}
        self.check_notifications(name, lines)

    def settle(self, method):
        """After a restart the original was asked again only when it was ready."""
        if method.endswith("restart"):
            gone = time.monotonic() + 1  # a restart is answered before it begins
            while self.server.get("/server/info")["klippy_state"] == "ready" and time.monotonic() < gone:
                time.sleep(0.005)
            end = time.monotonic() + 20
            while self.server.get("/server/info")["klippy_state"] != "ready" and time.monotonic() < end:
                time.sleep(0.05)

    def keep(self, ws):
        for message in ws.notifications:
            self.notifications.setdefault(message["method"], []).append(message)
        ws.close()

    def check_notifications(self, name, lines):
        """Of each kind that was recorded and that we have sent too: the same shape."""
        for line in lines:
            method = line.get("method", "")
            if line.get("dir") != "s2c" or not method.startswith("notify_") or method not in self.notifications:
                continue
            ours = self.notifications[method][-1]
            if ("params" in line) != ("params" in ours):
                self.problem(name, f"{method}: params of one and not of the other")
            elif method == "notify_status_update":
                self.compare_status_update(name, line)
            elif "params" in line:
                self.compare(name, method, drop(line["params"], "network"), drop(ours["params"], "network"))

    def compare_status_update(self, name, line):
        """Fields of an object must have the recorded type wherever we have sent that field."""
        for objects, _ in (message["params"] for message in self.notifications["notify_status_update"]):
            for key, fields in line["params"][0].items():
                for field, value in fields.items():
                    if key in objects and field in objects[key] and value is not None and objects[key][field] is not None:
                        self.compare(name, "printer.objects.query", {"status": {key: {field: value}}},
                                     {"status": {key: {field: objects[key][field]}}})


def drop(params, key):
    params = json.loads(json.dumps(params))
    if params and isinstance(params[0], dict):
        params[0].pop(key, None)
        params[0].pop("source_item", None)
    return params


def recorded_status(sessions):
    """The full status of the recorded printer, for the fake one to show."""
    for path in sorted(glob.glob(os.path.join(sessions, "mainsail-1-boot.jsonl"))):
        for text in open(path):
            line = json.loads(text)
            if line.get("dir") == "s2c" and line.get("method") == "printer.objects.subscribe" and "result" in line:
                return line["result"]["status"]
    raise SystemExit("no recorded status")


def start(program, sessions):
    if os.path.basename(program) == "lockstep":
        return Daemon(program, os.path.join(sessions, "printer.cfg"))
    folder = tempfile.mkdtemp(prefix="lockstep-replay-")
    status = os.path.join(folder, "status.json")
    with open(status, "w") as file:
        json.dump(recorded_status(sessions), file)
    os.makedirs(os.path.join(folder, "data", "config"))
    shutil.copy(os.path.join(sessions, "printer.cfg"), os.path.join(folder, "data", "config", "printer.cfg"))
    return Server(program, "--status", status, data=os.path.join(folder, "data"))


def main():
    program, sessions, gcode_dir = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3]
    names = sys.argv[4:] or [os.path.basename(p) for kind in ("mainsail", "fluidd")
                             for p in sorted(glob.glob(os.path.join(sessions, kind + "-*.jsonl")))]
    if not names:
        print(f"skipped: no sessions in {sessions}")
        sys.exit(77)
    total, problems = 0, []
    for client in ("mainsail", "fluidd"):
        own = [name for name in names if name.startswith(client)]
        if not own:
            continue
        server = start(program, sessions)
        try:
            for name in own: # one after another on one server: later sessions find what earlier ones have stored
                replay = Replay(server, gcode_dir)
                replay.prepare(name)
                replay.run(os.path.join(sessions, name))
                total += replay.count
                problems += replay.problems
        finally:
            server.stop()
    for text in dict.fromkeys(re.sub(r":\d+: ", ": ", p) for p in problems):
        print(text)
    print(f"{len(names)} sessions, {total} answers compared, {len(problems)} differences")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
