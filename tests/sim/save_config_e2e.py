#!/usr/bin/env python3
"""SAVE_CONFIG through the API on the simulated printer, with clients connected: PID_CALIBRATE, SAVE_CONFIG, and the printer
comes back with the new constants on the same connections; a conflict with an included file changes nothing.

    save_config_e2e.py LOCKSTEP
"""

import glob
import os
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "api")]
import client  # noqa: E402
import daemon  # noqa: E402

CONFIG = """
[mcu]
serial: /dev/ttyS0
[printer]
kinematics: none
max_velocity: 200
max_accel: 3000
[include heat.cfg]
[extruder]
heater_pin: PB3
sensor_type: EPCOS 100K B57560G104F
sensor_pin: PC4
control: watermark
min_temp: 0
max_temp: 280
nozzle_diameter: 0.4
filament_diameter: 1.75
"""
INCLUDED = """
[heater_bed]
heater_pin: PB4
sensor_type: Generic 3950
sensor_pin: PC5
control: watermark
min_temp: 0
max_temp: 130
"""


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def connect(printer, name):
    ws = client.WebSocket(printer.address[1])
    ws.result("server.connection.identify", {"client_name": name, "version": "1", "type": "other", "url": "none"})
    ws.result("printer.objects.subscribe", {"objects": {"configfile": ["save_config_pending"]}})
    return ws


def run(printer, config):
    clients = [connect(printer, name) for name in ("one", "two")]
    ask = clients[0].result
    assert ask("printer.gcode.script", {"script": "PID_CALIBRATE HEATER=extruder TARGET=60"}) == "ok"
    state = printer.status("configfile=save_config_pending,save_config_pending_items")["configfile"]
    assert state["save_config_pending"] is True
    found = state["save_config_pending_items"]["extruder"]
    assert found["control"] == "pid" and set(found) == {"control", "pid_kp", "pid_ki", "pid_kd"}, found
    before = read(config)

    status, _ = printer.script("SAVE_CONFIG")
    for ws in clients:
        ws.wait_for("notify_klippy_disconnected", 20)
        ws.wait_for("notify_klippy_ready", 20)
    printer.wait_ready(20)
    settings = ask("printer.objects.query", {"objects": {"configfile": None}})["status"]["configfile"]
    assert settings["settings"]["extruder"]["control"] == "pid"
    assert settings["settings"]["extruder"]["pid_kp"] == float(found["pid_kp"])
    assert settings["save_config_pending"] is False and settings["save_config_pending_items"] == {}
    backups = glob.glob(os.path.join(os.path.dirname(config), "printer-*.cfg"))
    assert len(backups) == 1 and read(backups[0]) == before
    print(f"saved with clients connected: {found}")

    # what stands in an included file is not ours to change
    assert ask("printer.gcode.script", {"script": "PID_CALIBRATE HEATER=heater_bed TARGET=40"}) == "ok"
    saved = read(config)
    status, reply = printer.script("SAVE_CONFIG")
    assert status == 400 and "SAVE_CONFIG section 'heater_bed' option 'control' conflicts with included value" in \
        reply["error"]["message"], (status, reply)
    assert read(config) == saved and printer.klippy_state() == "ready"
    print(reply["error"]["message"])


def main():
    folder = tempfile.mkdtemp(prefix="lockstep_save_")
    config = os.path.join(folder, "printer.cfg")
    for path, text in ((config, CONFIG), (os.path.join(folder, "heat.cfg"), INCLUDED)):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    printer = daemon.Printer(sys.argv[1], config, folder, "--sim", "--speed", "60")
    try:
        printer.wait_ready()
        run(printer, config)
    finally:
        printer.process.poll() is None and printer.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
