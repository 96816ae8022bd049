#!/usr/bin/env python3
"""Real time, real processes: the daemon here, our firmware there, a pty between them. Prints a short file, then lets the
board fall silent: the printer must stop, say which board and since when, keep serving, and come back by RESTART.

    pty_e2e.py LOCKSTEP
"""

import json
import os
import re
import signal
import sys
import tempfile
import time

import daemon

CONFIG = """
[mcu]
serial: {pty}
[printer]
kinematics: cartesian
max_velocity: 200
max_accel: 3000
""" + daemon.linux_axes(200, 100) + """
[heater_bed]
heater_pin: gpio13
sensor_type: Generic 3950
sensor_pin: analog0
control: watermark
min_temp: 0
max_temp: 120
[respond]
"""

FILE = """G28
M140 S40
G90
G1 X100 Y100 Z5 F9000
G1 X120 F6000
G1 Y120
G1 X100
G1 Y100
G4 P100
G1 Z10 F600
M140 S0
"""

LOST_TIMEOUT_S = 20


def faults(printer):
    """Page faults of the motion and the link thread so far, and whether memory is locked."""
    time.sleep(1.2)  # as often as the figures are renewed
    threads = printer.status("realtime=threads")["realtime"]["threads"]
    return [(thread["minor_faults"], thread["major_faults"]) for thread in threads.values()], \
        all(thread["locked"] for thread in threads.values())


def check_print(printer):
    before, is_locked = faults(printer)
    print_square(printer)
    after, _ = faults(printer)
    print(f"page faults of motion and link (minor, major): {before} before, {after} after the print, locked: {is_locked}")
    assert not is_locked or after == before


def print_square(printer):
    status, _ = printer.upload_file("square.gcode", FILE.encode())
    assert status == 201
    printer.print_file("square.gcode", 120)
    position = printer.status("toolhead=position,homed_axes")["toolhead"]
    assert position["homed_axes"] == "xyz", position
    assert [round(value, 4) for value in position["position"][:3]] == [100.0, 100.0, 10.0], position


def check_silence(printer, board):
    status, _ = printer.script("M140 S50")
    assert status == 200
    begin = time.monotonic()
    board.signal(signal.SIGSTOP)
    printer.wait("shutdown", lambda: printer.klippy_state() == "shutdown", LOST_TIMEOUT_S)
    took = time.monotonic() - begin
    message = printer.get("/printer/info")["state_message"]
    assert "mcu" in message and "Lost communication" in message, message
    status, reply = printer.script("G28")
    assert status == 400 and "Lost communication" in reply["error"]["message"], (status, reply)
    assert printer.status("heater_bed=target")["heater_bed"]["target"] == 0
    board.signal(signal.SIGCONT)
    time.sleep(0.5)
    status, reply = printer.request("POST", "/printer/firmware_restart")
    assert status == 200, (status, reply)
    printer.wait("ready again", lambda: printer.klippy_state() == "ready", 60)
    return took, message.splitlines()[0]


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="lockstep-pty-") as data:
        pty, config = os.path.join(data, "board"), os.path.join(data, "printer.cfg")
        with open(config, "w", encoding="ascii") as file:
            file.write(CONFIG.format(pty=pty))
        board = daemon.Board(program, pty, config)
        printer = daemon.Printer(program, config, data)
        try:
            printer.wait_ready()
            check_print(printer)
            took, message = check_silence(printer, board)
            printer.stop()
            board.stop()
        finally:
            printer.process.kill()
            board.process.kill()
        print(f"printed in real time; silence noticed after {took:.1f} s: {message}")


if __name__ == "__main__":
    main()
