"""The daemon and a board of it as processes, driven over the API. Used by the end-to-end tests."""

import json
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "api"))
import client  # noqa: E402


def stepper(name, pins, rotation_distance, position_max, homing_speed=None):
    """An axis homed by a switch at 0; `pins`: step, direction, enable (low: on), switch (with a pull-up)."""
    lines = [f"[stepper_{name}]", f"step_pin: {pins[0]}", f"dir_pin: {pins[1]}", f"enable_pin: !{pins[2]}", "microsteps: 16",
             f"rotation_distance: {rotation_distance}", f"endstop_pin: ^{pins[3]}", "position_endstop: 0",
             f"position_max: {position_max}"]
    return "\n".join(lines + [f"homing_speed: {homing_speed}"] * (homing_speed is not None)) + "\n"


# The board and the axes of a small printer; a test appends what else it has.
XYZ_CONFIG = """
[mcu]
serial: /dev/ttyS0
[printer]
kinematics: cartesian
max_velocity: 200
max_accel: 3000
""" + (stepper("x", ("PA1", "PA2", "PA3", "PB0"), 40, 200, 50) + stepper("y", ("PA4", "PA5", "PA6", "PB1"), 40, 200, 50)
       + stepper("z", ("PA7", "PA8", "PA9", "PB2"), 8, 200))


def linux_axes(bed_mm, homing_speed):
    """The axes on pins of our firmware for Linux, as a process (Board)."""
    pins = [[f"gpio{4 * axis + i}" for i in range(1, 5)] for axis in range(3)]
    return (stepper("x", pins[0], 40, bed_mm, homing_speed) + stepper("y", pins[1], 40, bed_mm, homing_speed)
            + stepper("z", pins[2], 8, 200, 20))


class Printer(client.Api):
    """The daemon as a process, and its API."""

    def __init__(self, program, config, data, *options):
        self.process = subprocess.Popen([program, "run", "-c", config, "--data", data, "--port", "0", *options],
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        match = re.search(r"http://([0-9.]+):([0-9]+)/", line)
        assert match, f"no address in {line!r}"
        self.address = match.group(1), int(match.group(2))
        self.port = self.address[1]

    def request(self, verb, path, body=b"", headers=None):
        reply = self.http(verb, path, body.encode() if isinstance(body, str) else body, headers)
        return reply.status, json.loads(reply.body)

    def upload_file(self, name, data):
        return self.upload([("root", "gcodes")], [("file", name, data)])[:2]

    def wait(self, what, condition, timeout_s):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            assert self.process.poll() is None, f"the daemon ended while waiting for {what}"
            value = condition()
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f"{what}: not within {timeout_s} s")

    def status(self, objects):
        return self.get("/printer/objects/query?" + objects)["status"]

    def klippy_state(self):
        return self.get("/server/info")["klippy_state"]

    def wait_ready(self, timeout_s=60):
        self.wait("ready", lambda: self.klippy_state() == "ready", timeout_s)

    def script(self, text):
        """Run G-code; returns (HTTP status, reply)."""
        return self.call("POST", "/printer/gcode/script", {"script": text})

    def restart(self, timeout_s=20):
        """Returns when the old printer has gone; the new one may not be ready yet."""
        with self.ws() as ws:
            ws.result("printer.restart")
            ws.wait_for("notify_klippy_disconnected", timeout_s)

    def print_file(self, name, timeout_s):
        """Start a file and wait for its end; returns the last print_stats."""
        status, reply = self.request("POST", f"/printer/print/start?filename={name}")
        assert status == 200 and reply["result"] == "ok", (status, reply)

        def finished():
            stats = self.status("print_stats")["print_stats"]
            assert stats["state"] in ("printing", "complete"), stats
            return stats["state"] == "complete" and stats

        return self.wait("complete", finished, timeout_s)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=60)
        assert code == 0, f"exit status {code}"


class Board:
    """Our firmware as a process behind a pty."""

    def __init__(self, program, path, config):
        self.path = path
        self.process = subprocess.Popen([program, "mcu", "--pty", path, "-c", config])
        end = time.monotonic() + 10
        while not os.path.exists(path):
            assert self.process.poll() is None and time.monotonic() < end, "the board did not start"
            time.sleep(0.02)

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=10) == 0
