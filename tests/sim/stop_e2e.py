#!/usr/bin/env python3
"""Ctrl-C and SIGTERM in the middle of everything: homing, waiting for a heater, printing, paused, tuning, dwelling,
restarting. The daemon ends with status 0 within a few seconds, and by what crossed the board's port every heater is off,
every motor too, and the board never had to stop by itself.

    stop_e2e.py LOCKSTEP
"""

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time

import daemon
import wire

STOP_S = 6.0  # moves that the boards have, 0.7 s for the heaters' pins, and a machine under load

CONFIG = daemon.XYZ_CONFIG + """
[extruder]
step_pin: PA10
dir_pin: PA11
enable_pin: !PA12
microsteps: 16
rotation_distance: 33.5
nozzle_diameter: 0.4
filament_diameter: 1.75
heater_pin: PB3
sensor_type: EPCOS 100K B57560G104F
sensor_pin: PC4
control: pid
pid_kp: 22.2
pid_ki: 1.08
pid_kd: 114
min_temp: 0
max_temp: 280
[heater_bed]
heater_pin: PB4
sensor_type: Generic 3950
sensor_pin: PC5
control: watermark
min_temp: 0
max_temp: 130
[fan]
pin: PB5
[virtual_sdcard]
path: FOLDER/gcodes
[pause_resume]
[force_move]
enable_force_move: true
[gcode_macro SLOWLY]
gcode:
  {% for i in range(100) %}
  G4 P500
  {% endfor %}
"""

HEAT = "M104 S220\nM140 S60\nM106 S255\nSET_KINEMATIC_POSITION X=0 Y=0 Z=0\n"
PRINT = HEAT.encode() + b"".join(b"G1 X%d Y%d F3000\n" % (100 * (i % 2), 100 * (i // 2 % 2)) for i in range(400))


class Case:
    """Brings the printer into a state; `begin` returns when it is there."""

    def __init__(self, name, script=None, after_s=1.0, file=False, then=None):
        self.name, self.script, self.after_s, self.file, self.then = name, script, after_s, file, then

    def begin(self, printer):
        assert printer.script(HEAT)[0] == 200
        if self.file:
            assert printer.upload_file("print.gcode", PRINT)[0] == 201
            assert printer.request("POST", "/printer/print/start?filename=print.gcode")[0] == 200
            printer.wait("motion", lambda: printer.status("toolhead=position")["toolhead"]["position"][0] > 20, 30)
        if self.script:
            self.thread = threading.Thread(target=run_script, args=(printer, self.script))
            self.thread.start()
        time.sleep(self.after_s)
        if self.then:
            self.then(printer)


def run_script(printer, text):
    try:
        printer.script(text)
    except (OSError, ValueError):
        pass  # the daemon ends before it answers: that is what is tried


def pause(printer):
    assert printer.request("POST", "/printer/print/pause")[0] == 200
    printer.wait("pause", lambda: printer.status("print_stats")["print_stats"]["state"] == "paused", 20)


def restart_twice(printer):
    run_script(printer, "RESTART")
    run_script(printer, "FIRMWARE_RESTART")


CASES = [
    Case("homing", script="G28"),
    Case("waiting for a heater", script="M109 S220", after_s=2),
    Case("waiting for a temperature", script="TEMPERATURE_WAIT SENSOR=heater_bed MINIMUM=100"),
    Case("tuning a heater", script="PID_CALIBRATE HEATER=extruder TARGET=200"),
    Case("dwelling", script="G4 P60000"),
    Case("in a macro", script="SLOWLY"),
    Case("printing", file=True),
    Case("paused", file=True, then=pause),
    Case("printing, with a command waiting", file=True, script="M190 S120"),
    Case("restarting", script="RESTART", after_s=0.02),
    Case("restarting twice", after_s=0, then=restart_twice),
    Case("idle"),
]


def is_off(output):
    return output["updates"] and output["updates"][-1][1] == 0


def check_wire(path, name):
    """By the board's own account: was on, is off, and nobody had to pull the plug. A board that is configured again by a
    restart begins a new account."""
    board = wire.Board(path)
    assert not board.shutdowns, (name, board.shutdowns)
    for pin in ("PB3", "PB4", "PB5"):
        output = board.output_at(pin)
        again = name.startswith("restarting")
        assert is_off(output) or again and not output["updates"], f"{name}: {pin} is on at the end: {output['updates'][-3:]}"
        assert again or any(value for _, value in output["updates"]), f"{name}: {pin} was never on"
    for pin in ("PA3", "PA6", "PA9", "PA12"):  # enable pins are inverted
        output = board.output_at(pin)
        assert not output["updates"] or output["updates"][-1][1] == 1, f"{name}: motor {pin} is on at the end"


@contextlib.contextmanager
def recorded(program):
    """A printer that is ready, and the record of what crosses its board's port."""
    with tempfile.TemporaryDirectory(prefix="lockstep-stop-") as folder:
        config, record = os.path.join(folder, "printer.cfg"), os.path.join(folder, "record")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG.replace("FOLDER", folder))
        printer = daemon.Printer(program, config, folder, "--sim", "--record", record)
        try:
            printer.wait_ready()
            yield printer, os.path.join(record, "mcu.wire")
        finally:
            printer.process.poll() is None and printer.process.kill()


def run_case(program, case, number):
    with recorded(program) as (printer, record):
        case.begin(printer)
        begin = time.monotonic()
        printer.process.send_signal(number)
        status = printer.process.wait(timeout=60)
        took = time.monotonic() - begin
        assert status == 0, f"{case.name}: exit status {status}"
        assert took < STOP_S, f"{case.name}: {took:.1f} s until the end"
        check_wire(record, case.name)
        print(f"{case.name}: {signal.Signals(number).name}, ended after {took:.2f} s, all off", flush=True)


def emergency(program):
    """M112 through the API never waits for the command that runs; after it, and after a signal, all is off."""
    with recorded(program) as (printer, record):
        case = Case("tuning a heater", script="PID_CALIBRATE HEATER=extruder TARGET=200", after_s=2)
        case.begin(printer)
        begin = time.monotonic()
        printer.script("M112")
        printer.wait("shutdown", lambda: printer.klippy_state() == "shutdown", 5)
        took = time.monotonic() - begin
        state = printer.status("extruder=target&configfile=save_config_pending&webhooks=state_message")
        assert state["extruder"]["target"] == 0 and not state["configfile"]["save_config_pending"], state
        assert "Shutdown due to" in state["webhooks"]["state_message"], state
        printer.stop()
        board = wire.Board(record)
        assert is_off(board.output_at("PB3")) and is_off(board.output_at("PB4"))
        assert took < 2, took
        print(f"M112 while tuning a heater: shut down after {took:.2f} s")


def main():
    wanted = sys.argv[2:]
    for i, case in enumerate(CASES):
        if not wanted or case.name in wanted:
            run_case(sys.argv[1], case, signal.SIGTERM if i % 2 else signal.SIGINT)
    if not wanted:
        emergency(sys.argv[1])


if __name__ == "__main__":
    main()
