#!/usr/bin/env python3
"""Real time, a real board process, and a disk that hangs for longer than the board goes on heating without news: heaters
are fed, clients are answered, nothing shuts down; what was to be written is whole afterwards, what was printed goes on.

    stall_e2e.py LOCKSTEP STALL_IO_SO
"""

import http.client
import json
import os
import sys
import tempfile
import threading
import time

import daemon
import pty_e2e

CONFIG = pty_e2e.CONFIG + """
[save_variables]
filename: {folder}/variables.cfg
[skew_correction]
"""

STALL_S = 4.5  # the board's heaters go off after 3 s of silence
COMMENT_BYTES = 60000  # so much behind each move that no reader can have many moves in memory


def long_file():
    lines = ["G28", "G90", "G1 X20 Y20 Z5 F6000"]
    for i in range(40):
        lines += [f"G1 X{20 + 40 * (i % 2)} F6000", "; " + "x" * COMMENT_BYTES]
    return "\n".join(lines + ["G1 X77 Y33", "M400"]) + "\n"


class Stall:
    """The disk hangs while this is entered; `answers` counts what the printer answered meanwhile."""

    def __init__(self, printer, switch):
        self.printer, self.switch, self.answers = printer, switch, 0

    def watch(self, seconds):
        open(self.switch, "w").close()
        end = time.monotonic() + seconds
        first, last = None, None
        while time.monotonic() < end:
            connection = http.client.HTTPConnection(*self.printer.address, timeout=seconds)
            connection.request("GET", "/printer/objects/query?heater_bed&webhooks&print_stats")
            reply = json.loads(connection.getresponse().read())["result"]
            connection.close()
            assert reply["status"]["webhooks"]["state"] == "ready", reply
            if time.monotonic() < end:
                self.answers += 1
                first = first or reply["eventtime"]
                last = reply["eventtime"]
            time.sleep(0.1)
        os.unlink(self.switch)
        assert self.answers >= 3 and last - first > 1, f"{self.answers} answers in {seconds} s of a hanging disk"


def in_background(function, *args):
    result = []
    thread = threading.Thread(target=lambda: result.append(function(*args)))
    thread.start()
    return thread, result


def check_print_and_variable(printer, stall, folder):
    assert printer.upload_file("long.gcode", long_file().encode())[0] == 201
    assert printer.script("M140 S45")[0] == 200
    status, reply = printer.request("POST", "/printer/print/start?filename=long.gcode")
    assert status == 200, reply
    printer.wait("moves", lambda: printer.status("virtual_sdcard")["virtual_sdcard"]["file_position"] > 300000, 60)
    thread, result = in_background(printer.script, "SAVE_VARIABLE VARIABLE=colour VALUE=\"'red'\"")
    stall.watch(STALL_S)
    thread.join(60)
    assert result and result[0][0] == 200, result
    with open(os.path.join(folder, "variables.cfg"), encoding="ascii") as file:
        assert file.read() == "[Variables]\ncolour = 'red'\n"
    stats = printer.wait("complete", lambda: printer.status("print_stats")["print_stats"]["state"] == "complete", 120)
    assert stats
    position = printer.status("toolhead=position")["toolhead"]["position"]
    assert [round(value, 4) for value in position[:3]] == [77.0, 33.0, 5.0], position
    assert printer.status("heater_bed=target")["heater_bed"]["target"] == 45


def check_save_config(printer, stall, config):
    assert printer.script("SET_SKEW XY=100.4,99.8,70\nSKEW_PROFILE SAVE=here")[0] == 200
    with open(config, encoding="ascii") as file:
        before = file.read()
    thread, result = in_background(printer.script, "SAVE_CONFIG")
    stall.watch(STALL_S)
    with open(config, encoding="ascii") as file:
        text = file.read()
    assert text == before or "[skew_correction here]" in text, text
    thread.join(60)
    printer.wait("the new configuration", lambda: printer.script("SKEW_PROFILE LOAD=here")[0] == 200, 60)
    with open(config, encoding="ascii") as file:
        text = file.read()
    assert "#*# [skew_correction here]" in text and text.startswith(before.rstrip()), text


def main():
    program, library = sys.argv[1:3]
    with tempfile.TemporaryDirectory(prefix="lockstep-stall-") as data:
        pty, config, switch = (os.path.join(data, name) for name in ("board", "printer.cfg", "switch"))
        with open(config, "w", encoding="ascii") as file:
            file.write(CONFIG.format(pty=pty, folder=data))
        board = daemon.Board(program, pty, config)
        os.environ.update(LD_PRELOAD=os.path.abspath(library), STALL_DIR=data, STALL_SWITCH=switch)
        printer = daemon.Printer(program, config, data)
        try:
            printer.wait_ready()
            stall = Stall(printer, switch)
            check_print_and_variable(printer, stall, data)
            answers = stall.answers
            check_save_config(printer, stall, config)
            printer.stop()
            del os.environ["LD_PRELOAD"]
            board.stop()
        finally:
            printer.process.kill()
            board.process.kill()
        print(f"two stalls of {STALL_S} s: {answers} and {stall.answers - answers} answers, no shutdown")


if __name__ == "__main__":
    main()
