#!/usr/bin/env python3
"""Real time, measured: the daemon prints in real time on a board that is a process of its own behind a Unix socket (the bytes of a
pty wait for a thread of the kernel) and stamps what arrives. Prints figures; fails only if a step arrived late, the printer stopped or nothing was printed.

    realtime.py LOCKSTEP [load] [latency] [--seconds 60] [--rights with,without] [--quiet-host]

load      a print while 50 WebSocket clients subscribe to everything, 100 MB are uploaded again and again, a 30x30 bicubic
          mesh is computed every few seconds and 8 processes spin: margins at the board, lateness of each stage
latency   how soon pause, cancel, feed override and emergency stop act, idle and under the same load
--rights  with: as root, SCHED_FIFO and locked memory; without: as nobody, limits at 0
--quiet-host  leave the load away
"""

import argparse
import contextlib
import http.client
import json
import math
import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "sim"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "api"))
import client  # noqa: E402
import daemon  # noqa: E402
import wire  # noqa: E402

NOBODY = 65534
HOGS, CLIENTS, UPLOAD_BYTES, MESH_PERIOD_S = 8, 50, 100 << 20, 3.0
MESH_COUNT, MESH_PPS = 30, 4

CONFIG = """
[mcu]
serial: {pty}
[printer]
kinematics: corexy
max_velocity: 300
max_accel: 8000
max_z_velocity: 30
max_z_accel: 300
""" + daemon.linux_axes(250, 60) + """
[extruder]
step_pin: gpio14
dir_pin: gpio15
enable_pin: !gpio16
microsteps: 16
rotation_distance: 22.678
nozzle_diameter: 0.4
filament_diameter: 1.75
heater_pin: gpio17
sensor_type: Generic 3950
sensor_pin: analog1
control: watermark
min_temp: 0
max_temp: 250
min_extrude_temp: 0
pressure_advance: 0.03
[heater_bed]
heater_pin: gpio13
sensor_type: Generic 3950
sensor_pin: analog0
control: watermark
min_temp: 0
max_temp: 120
[fan]
pin: gpio18
[input_shaper]
shaper_type: mzv
shaper_freq_x: 45
shaper_freq_y: 45
[bed_mesh]
mesh_min: 10, 10
mesh_max: 240, 240
probe_count: {count}, {count}
algorithm: bicubic
mesh_pps: {pps}, {pps}
[virtual_sdcard]
[pause_resume]
[display_status]
[exclude_object]
[respond]
[idle_timeout]
[bed_mesh wide]
version: 1
points:
{points}
x_count: {count}
y_count: {count}
mesh_x_pps: {pps}
mesh_y_pps: {pps}
algo: bicubic
tension: 0.2
min_x: 10
max_x: 240
min_y: 10
max_y: 240
"""

CENTRE = 125.0


def mesh_points():
    rows = []
    for y in range(MESH_COUNT):
        row = [0.05 * math.sin(0.4 * x) * math.cos(0.3 * y) for x in range(MESH_COUNT)]
        rows.append("  " + ", ".join(f"{z:.6f}" for z in row))
    return "\n".join(rows)


def print_file(seconds):
    """Layers of circles in short segments and of infill, fast, for about `seconds`."""
    lines = ["M104 S60", "M140 S40", "G28", "G90", "M83", "G1 Z2 F1200", "BED_MESH_PROFILE LOAD=wide",
             "SET_VELOCITY_LIMIT ACCEL=6000"]
    spent, layer = 0.0, 0
    while spent < seconds:
        layer += 1
        lines += [f"G1 Z{2 + 0.2 * layer:.2f} F1200", f"M106 S{60 + layer % 190}"]
        for ring in range(6):
            radius = 40 - 0.5 * ring
            count = int(2 * math.pi * radius / 0.4)
            lines.append(f"G1 X{CENTRE + radius:.3f} Y{CENTRE:.3f} F15000")
            for i in range(1, count + 1):
                angle = 2 * math.pi * i / count
                lines.append(f"G1 X{CENTRE + radius * math.cos(angle):.3f} Y{CENTRE + radius * math.sin(angle):.3f} "
                             "E0.0166 F12000")
            spent += 2 * math.pi * radius / 200
        for i in range(40):
            y, sign = CENTRE - 25 + 1.25 * i, 1 if i % 2 else -1
            lines += [f"G1 X{CENTRE - sign * 25:.3f} Y{y:.3f} F15000", f"G1 X{CENTRE + sign * 25:.3f} Y{y:.3f} E2.0 F15000"]
            spent += 0.28
    return "\n".join(lines + ["M104 S0", "M140 S0", "M400"]) + "\n"


# --- the board's view ---

class Arrivals(wire.Board):
    """Margins of what has a clock, by the board's clock at arrival."""

    def __init__(self, path):
        with open(path, encoding="ascii") as file:
            words = file.readline().split()
        (host_a, self.clock_a), (host_b, clock_b) = (map(int, words[1:3]), map(int, words[3:5]))
        self.host_a, self.ns_per_tick = host_a, (host_b - host_a) / (clock_b - self.clock_a)
        self.step_margins, self.output_margins, self.stops, self.runs = [], [], [], {}
        super().__init__(path)

    def host_ns(self, clock):
        return self.host_a + (clock - self.clock_a) * self.ns_per_tick

    def near(self, arrival, clock32):
        return arrival + ((clock32 - arrival + 0x80000000) & 0xFFFFFFFF) - 0x80000000

    def on_queue_step(self, arrival, oid, interval, count, add):
        stepper = self.steppers[oid]
        if stepper.needs_reset:
            return
        first = self.near(arrival, stepper.last_clock + interval)
        self.step_margins.append((arrival, (first - arrival) / self.freq))
        stepper.last_clock = first + interval * (count - 1) + add * (count * (count - 1) // 2)
        self.runs.setdefault(oid, []).append((first, interval, count, add))

    def on_queue_digital_out(self, arrival, oid, clock, on_ticks):
        self.output_margins.append((self.near(arrival, clock) - arrival) / self.freq)

    on_queue_pwm_out = None

    def on_emergency_stop(self, arrival):
        self.stops.append(self.host_ns(arrival))


# --- figures ---

def bucket_text(us):
    return f"{us:.0f}us" if us < 1000 else f"{us / 1000:.3g}ms" if us < 1e6 else f"{us / 1e6:.3g}s"


def show_histogram(name, buckets, count, p99_us, max_us, min_us=None):
    cells = " ".join(f"<{bucket_text(2 ** i)}:{n}" for i, n in enumerate(buckets) if n)
    low = "" if min_us is None else f"min {bucket_text(min_us)}  "
    print(f"  {name:14} count {count:7}  {low}p99 {bucket_text(p99_us)}  max {bucket_text(max_us)}\n{'':18}{cells}")


def show_list(name, values_s):
    if not values_s:
        print(f"  {name}: nothing")
        return
    buckets = [0] * 24
    for value in values_s:
        us = int(max(value, 0) * 1e6)
        buckets[min(us.bit_length(), 23)] += 1
    ordered = sorted(values_s)
    cells = " ".join(f"<{bucket_text(2 ** i)}:{n}" for i, n in enumerate(buckets) if n)
    print(f"  {name:14} count {len(ordered):7}  min {ordered[0] * 1e3:.1f}ms  p1 {ordered[len(ordered) // 100] * 1e3:.1f}ms  "
          f"median {ordered[len(ordered) // 2] * 1e3:.1f}ms  max {ordered[-1] * 1e3:.1f}ms\n{'':18}{cells}")


def since(before, after):
    """What a stage's histogram gained; the extremes are those since the start."""
    old = before["buckets"] + [0] * 24
    buckets = [n - old[i] for i, n in enumerate(after["buckets"])]
    count, seen = sum(buckets), 0
    for i, n in enumerate(buckets):
        seen += n
        if count and seen >= 0.99 * count:
            return buckets, count, min(2 ** i, after["max_us"])
    return buckets, count, 0


# --- the host under test ---

class Rig:
    def __init__(self, program, rights, www=None):
        self.folder = tempfile.TemporaryDirectory(prefix="lockstep-rt-")
        self.data, self.program = self.folder.name, program
        pty, config = os.path.join(self.data, "board"), os.path.join(self.data, "printer.cfg")
        self.record = os.path.join(self.data, "board.wire")
        with open(config, "w", encoding="ascii") as file:
            file.write(CONFIG.format(pty=pty, points=mesh_points(), count=MESH_COUNT, pps=MESH_PPS))
        self.board = subprocess.Popen([program, "mcu", "--socket", pty, "-c", config, "-r", "--record", self.record],
                                      stdout=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while not os.path.exists(pty):
            assert self.board.poll() is None and time.monotonic() < end, "the board did not start"
            time.sleep(0.02)
        drop = None
        if not rights:
            assert os.geteuid() == 0, "dropping rights needs root"
            os.chmod(os.path.realpath(pty), 0o666)
            for path, folders, files in os.walk(self.data):
                for name in [path] + [os.path.join(path, n) for n in folders + files]:
                    if not os.path.islink(name):
                        os.chown(name, NOBODY, NOBODY)
            drop = drop_rights
        self.log = os.path.join(self.data, "logs", "lockstep.log")
        self.process = subprocess.Popen([program, "run", "-c", config, "--data", self.data, "--port", "0"],
                                        stdout=subprocess.PIPE, text=True, preexec_fn=drop)
        line = self.process.stdout.readline()
        self.port = int(line.rsplit(":", 1)[1].split("/")[0])
        self.http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        self.wait("ready", lambda: self.get("/server/info")["klippy_state"] == "ready")
        time.sleep(1.5)
        with open(self.log, encoding="utf-8") as file:
            for text in file:
                if " realtime" in text:
                    print("  log:", text.strip())

    def call(self, verb, path, body=None, connection=None):
        connection = connection or self.http
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(verb, path, None if body is None else json.dumps(body), headers)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())

    def get(self, path):
        status, reply = self.call("GET", path)
        assert status == 200, (path, status, reply)
        return reply["result"]

    def status(self, objects):
        return self.get("/printer/objects/query?" + objects)["status"]

    def script(self, text):
        return self.call("POST", "/printer/gcode/script", {"script": text})

    def wait(self, what, condition, timeout_s=40):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            assert self.process.poll() is None, f"the daemon ended while waiting for {what}"
            if condition():
                return
            time.sleep(0.05)
        raise AssertionError(f"{what}: not within {timeout_s} s: {self.status('webhooks&print_stats&toolhead=position')}")

    def put_file(self, name, text):
        folder = os.path.join(self.data, "gcodes")
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(text)

    def start(self, name):
        status, reply = self.call("POST", f"/printer/print/start?filename={name}")
        assert status == 200, reply

    def stop(self):
        """Ends both; the board writes its record."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(timeout=60) == 0
        self.board.send_signal(signal.SIGTERM)
        assert self.board.wait(timeout=60) == 0

    def kill(self):
        for process in (self.process, self.board):
            if process.poll() is None:
                process.kill()
        self.folder.cleanup()


def drop_rights():
    os.setgroups([])
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
    os.setgid(NOBODY)
    os.setuid(NOBODY)


# --- the load ---

def run_clients(port):
    """50 WebSockets, subscribed to everything; reads until standard input closes."""
    sockets = []
    for _ in range(CLIENTS):
        ws = client.WebSocket(port)
        names = ws.result("printer.objects.list")["objects"]
        ws.result("printer.objects.subscribe", {"objects": {name: None for name in names}})
        sockets.append(ws)
    selector, total = selectors.DefaultSelector(), 0
    selector.register(sys.stdin, selectors.EVENT_READ)
    for ws in sockets:
        selector.register(ws.sock, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                print(total)
                return
            total += len(key.fileobj.recv(1 << 16))


def run_uploads(port):
    """100 MB again and again; ends when standard input closes."""
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    mark, count, chunk = "----lockstep-bench", 0, (b"; " + b"x" * 1021 + b"\n") * 64
    head = (f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="big.gcode"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n").encode()
    tail = f"\r\n--{mark}--\r\n".encode()
    print("ready", flush=True)
    while not ended.is_set():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        connection.putrequest("POST", "/server/files/upload")
        connection.putheader("Content-Type", f"multipart/form-data; boundary={mark}")
        connection.putheader("Content-Length", str(len(head) + UPLOAD_BYTES // len(chunk) * len(chunk) + len(tail)))
        connection.endheaders()
        connection.send(head)
        for _ in range(UPLOAD_BYTES // len(chunk)):
            connection.send(chunk)
        connection.send(tail)
        assert connection.getresponse().status == 201
        connection.close()
        count += 1
    print(count)


class Load:
    def __init__(self, rig):
        me = os.path.abspath(__file__)
        self.hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(HOGS)]
        self.helpers = {}
        for name in ("clients", "uploads"):
            self.helpers[name] = subprocess.Popen([sys.executable, me, "--helper", name, str(rig.port)],
                                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            assert self.helpers[name].stdout.readline().strip() == "ready", name

    def stop(self):
        results = {}
        for hog in self.hogs:
            hog.kill()
        for name, process in self.helpers.items():
            process.stdin.close()
            results[name] = process.stdout.read().strip()
            process.wait(timeout=300)
        for hog in self.hogs:
            hog.wait()
        return results


# --- load ---

def load_bench(args, rights):
    title = "with real-time rights" if rights else "without real-time rights"
    print(f"load: {args.seconds:.0f} s of print, {title}{', quiet' if args.quiet_host else ''}")
    rig = Rig(args.program, rights)
    load = None
    try:
        rig.put_file("load.gcode", print_file(args.seconds * 1.3 + 30))
        rig.start("load.gcode")
        rig.wait("the first layer", lambda: rig.status("toolhead=position")["toolhead"]["position"][2] > 2.3
                 and "z" in rig.status("toolhead=homed_axes")["toolhead"]["homed_axes"])
        load = None if args.quiet_host else Load(rig)
        before = rig.status("realtime")["realtime"]
        begin, meshes = time.monotonic(), []
        while time.monotonic() - begin < args.seconds:
            time.sleep(MESH_PERIOD_S)
            state = rig.status("print_stats&webhooks&toolhead=stalls")
            if state["print_stats"]["state"] != "printing" or state["webhooks"]["state"] != "ready":
                break
            if not args.quiet_host:
                asked = time.monotonic()
                rig.script("BED_MESH_PROFILE LOAD=wide")
                meshes.append(time.monotonic() - asked)
        time.sleep(1.1)
        after = rig.status("realtime&print_stats&webhooks&toolhead=stalls&mcu=last_stats&system_stats")
        results = load.stop() if load else {}
        load = None
        rig.call("POST", "/printer/print/cancel")
        rig.stop()
        arrivals = Arrivals(rig.record)
        faults = [text for text in arrivals.shutdowns if text != "Command request"] # which ends every run
        show_load(before, after, arrivals, meshes, results)
        ok = (after["webhooks"]["state"] == "ready" and after["print_stats"]["state"] == "printing"
              and arrivals.step_margins and min(m for _, m in arrivals.step_margins) > 0 and not faults)
        print(f"  {'PASS' if ok else 'FAIL'}: late steps "
              f"{sum(m <= 0 for _, m in arrivals.step_margins)}, shutdowns of the board {faults}, "
              f"buffer low {after['realtime']['buffer_low_count'] - before['buffer_low_count']} times, "
              f"stalls {after['toolhead']['stalls']}, state {after['webhooks']['state']}/{after['print_stats']['state']}")
        if after["webhooks"]["state"] != "ready":
            print("  ", after["webhooks"]["state_message"])
        return ok
    finally:
        if load:
            load.stop()
        rig.kill()


def show_load(before, after, arrivals, meshes, results):
    for name, stage in after["realtime"]["stages"].items():
        buckets, count, p99 = since(before["stages"][name], stage)
        show_histogram(name, buckets, count, p99, stage["max_us"], stage["min_us"])
    show_list("steps arrive", [margin for _, margin in arrivals.step_margins])
    show_list("outputs arrive", arrivals.output_margins)
    for name, thread in after["realtime"]["threads"].items():
        was = before["threads"][name]
        print(f"  {name}: fifo {thread['fifo']}, locked {thread['locked']}, page faults while printing "
              f"{thread['minor_faults'] - was['minor_faults']} minor {thread['major_faults'] - was['major_faults']} major")
    stats = after["mcu"]["last_stats"]
    print(f"  horizon {after['realtime']['commit_horizon']} s, low mark {after['realtime']['buffer_low_mark']} s, "
          f"bytes written {stats['bytes_write']}, retransmitted {stats['bytes_retransmit']}, "
          f"load average {after['system_stats']['sysload']:.1f}")
    if results:
        print(f"  {CLIENTS} clients read {int(results['clients']) / 1e6:.1f} MB, uploads of 100 MB: {results['uploads']}, "
              f"meshes {len(meshes)}, slowest answer {max(meshes, default=0) * 1e3:.0f} ms")


# --- latency ---

STRAIGHT_S = 1.9
CRUISE_MM_S, SPAN = 100.0, (20.0, 230.0)


def straight_file():
    lines = ["G28", "G90", "G1 Z5 F1200", f"G1 X{SPAN[0]} Y{CENTRE} F12000"]
    for i in range(400):
        lines.append(f"G1 X{SPAN[(i + 1) % 2]} F{CRUISE_MM_S * 60:.0f}")
    return "\n".join(lines) + "\n"


def velocity_runs(arrivals, pin="gpio1"):
    """(host ns at which a run of equal steps begins, steps per s) of the stepper at `pin`."""
    oid = next(oid for oid, s in arrivals.steppers.items() if s.pins[0] == pin)
    for first, interval, count, add in arrivals.runs[oid]:
        clock = first
        yield arrivals.host_ns(clock), arrivals.freq / interval if interval else 0
        for i in range(1, count):
            interval_i = interval + add * i
            clock += interval_i
            yield arrivals.host_ns(clock), arrivals.freq / interval_i


def brake_and_stand(speeds, asked_ns):
    """When it cruised for the last time before it stood still after `asked_ns`, and when it stood still: the first gap of
    0.1 s between steps."""
    cruise, last, cruised = 0.98 * CRUISE_MM_S * 80, None, None
    for at, speed in speeds:
        if last is not None and last > asked_ns and at - last > 1e8:
            break
        if speed >= cruise:
            cruised = at
        last = at
    return cruised, last


def is_cruising(rig):
    """Far enough from both ends that it cruises for another 1.2 s whatever happens."""
    report = rig.status("motion_report&toolhead=position")["motion_report"]
    x, speed = report["live_position"][0], report["live_velocity"]
    return speed > 0.99 * CRUISE_MM_S and (SPAN[0] + 15 < x < SPAN[0] + 60 or SPAN[1] - 60 < x < SPAN[1] - 15)


def latency_bench(args, rights):
    for loaded in ([False] if args.quiet_host else [False, True]):
        print(f"latency: {'with' if rights else 'without'} real-time rights, {'under load' if loaded else 'idle'}")
        rig = Rig(args.program, rights)
        load, asked = None, []
        try:
            rig.put_file("straight.gcode", straight_file())
            load = Load(rig) if loaded else None
            measure_braking(rig, asked, args.repeats)
            measure_stops(rig, asked, args.repeats)
            if load:
                load.stop()
            load = None
            rig.stop()
            show_latency(Arrivals(rig.record), asked)
        finally:
            if load:
                load.stop()
            rig.kill()
    return True


@contextlib.contextmanager
def first():
    """This process goes before the load meanwhile: the time until the request is on its way is not the host's."""
    if os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, 0, -18)
    try:
        yield
    finally:
        if os.geteuid() == 0:
            os.setpriority(os.PRIO_PROCESS, 0, 0)


def measure_braking(rig, asked, repeats):
    urgent = http.client.HTTPConnection("127.0.0.1", rig.port, timeout=60)
    for i in range(repeats):
        if i == 0 or asked[-1][0] == "cancel":
            rig.start("straight.gcode")
        name = "cancel" if i % 2 else "pause"
        rig.wait("cruise", lambda: is_cruising(rig))
        urgent.close() # an idle connection may have been closed by now
        urgent.connect()
        with first():
            begin = time.monotonic_ns()
            status, reply = rig.call("POST", f"/printer/print/{name}", connection=urgent)
        asked.append((name, begin, time.monotonic_ns()))
        assert status == 200, reply
        wanted = {"pause": "paused", "cancel": "cancelled"}[name]
        rig.wait(wanted, lambda: rig.status("print_stats")["print_stats"]["state"] == wanted and
                 rig.status("motion_report")["motion_report"]["live_velocity"] == 0)
        time.sleep(0.3)
        if name == "pause":
            rig.call("POST", "/printer/print/resume")
            rig.wait("printing", lambda: rig.status("print_stats")["print_stats"]["state"] == "printing")
    rig.call("POST", "/printer/print/cancel")


def measure_stops(rig, asked, repeats):
    urgent = http.client.HTTPConnection("127.0.0.1", rig.port, timeout=60)
    for i in range(repeats):
        rig.start("straight.gcode")
        rig.wait("cruise", lambda: is_cruising(rig))
        urgent.close()
        urgent.connect()
        name, path, body = (("M112", "/printer/gcode/script", {"script": "M112"}) if i % 2 else
                            ("emergency_stop", "/printer/emergency_stop", None))
        with first():
            begin = time.monotonic_ns()
            rig.call("POST", path, body, urgent)
        asked.append((name, begin, time.monotonic_ns()))
        rig.wait("shutdown", lambda: rig.get("/server/info")["klippy_state"] == "shutdown")
        rig.call("POST", "/printer/firmware_restart")
        rig.wait("ready", lambda: rig.get("/server/info")["klippy_state"] == "ready")


def show_latency(arrivals, asked):
    speeds = list(velocity_runs(arrivals))
    figures = {}
    for name, begin, answered in asked:
        if name in ("pause", "cancel"):
            brakes, stands = brake_and_stand(speeds, begin)
            figures.setdefault(name + ": braking begins", []).append((brakes - begin) * 1e-6)
            figures.setdefault(name + ": standstill", []).append((stands - begin) * 1e-6)
        else:
            at = min((stop for stop in arrivals.stops if stop > begin), default=None)
            figures.setdefault(name + ": on the board's wire", []).append(
                (at - begin) * 1e-6 if at else math.inf)
    for name, values in figures.items():
        print(f"  {name:36} {len(values)} times  min {min(values):.1f} ms  median {sorted(values)[len(values) // 2]:.1f} ms"
              f"  max {max(values):.1f} ms")


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--helper":
        {"clients": run_clients, "uploads": run_uploads}[sys.argv[2]](int(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("what", nargs="*", default=["load", "latency"])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--rights", default="with,without")
    parser.add_argument("--quiet-host", action="store_true")
    args = parser.parse_args()
    args.program = os.path.abspath(args.program)
    ok = True
    for rights in args.rights.split(","):
        for what in args.what or ["load", "latency"]:
            ok &= {"load": load_bench, "latency": latency_bench}[what](args, rights == "with")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
