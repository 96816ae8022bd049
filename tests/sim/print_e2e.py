#!/usr/bin/env python3
"""Prints a real slicer's file on the simulated printer, through the API, in virtual time, and judges it by what crossed the
board's port alone (wire.py): every corner of the G-code was visited in order, limits were kept, filament adds up, heaters
are off at the end.

    print_e2e.py LOCKSTEP PRINTER.CFG FILE.GCODE
"""

import configparser
import os
import sys
import tempfile
import time

import daemon
import wire

PRINT_TIMEOUT_S = 900
STEP_XY, STEP_Z, STEP_E = 40 / 3200, 8 / 3200, 22.6789511 / 3200


def read_config(path):
    parser = configparser.ConfigParser(strict=False, inline_comment_prefixes=(";", "#"), delimiters=(":", "="),
                                       interpolation=None)
    parser.read(path)
    return parser


def corners(path):
    """End points of the file's moves (x, y, z), and the filament it asks for, by a plain reading of G-code."""
    points, position = [], {"X": None, "Y": None, "Z": None}  # None: a macro may have moved it
    filament, absolute, absolute_e, last_e = 0.0, True, True, 0.0
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            words = line.split(";")[0].split()
            if not words:
                continue
            code, rest = words[0], words[1:]
            if code in ("G90", "G91"):
                absolute = code == "G90"
            elif code in ("M82", "M83"):
                absolute_e = code == "M82"
            elif code == "G92":
                last_e = next((float(w[1:]) for w in rest if w[0] == "E"), last_e)
            elif code in ("G0", "G1", "G2", "G3"):
                moved = False
                for word in rest:
                    if word[0] in "XYZ":
                        value = float(word[1:])
                        position[word[0]] = value if absolute else position[word[0]] + value
                        moved = True
                    elif word[0] == "E":
                        value = float(word[1:])
                        filament += value - last_e if absolute_e else value
                        last_e = value
                if moved:
                    points.append((position["X"], position["Y"], position["Z"]))
    return points, filament


class Judge:
    """Follows the toolhead from the boards' steps."""

    def __init__(self, board, config):
        self.board, self.config = board, config
        self.a, self.b = (board.stepper_at(config[f"stepper_{axis}"]["step_pin"]) for axis in "xy")
        self.z = board.stepper_at(config["stepper_z"]["step_pin"])
        self.e = board.stepper_at(config["extruder"]["step_pin"])

    def home_offsets(self):
        """What to add to x, y, z from step counts: the last trigger of each endstop happened at position_endstop."""
        last = {pin: clock for clock, pin in self.board.triggers}
        offsets, self.homed_at = [], 0
        for axis in "xyz":
            section = self.config[f"stepper_{axis}"]
            clock = last[section["endstop_pin"].strip("^!~")]
            count = {s: sum(sign for at, sign in s.steps if at <= clock) for s in (self.a, self.b, self.z)}
            from_steps = {"x": (count[self.a] + count[self.b]) / 2 * STEP_XY,
                          "y": (count[self.a] - count[self.b]) / 2 * STEP_XY, "z": count[self.z] * STEP_Z}[axis]
            offsets.append(float(section["position_endstop"]) - from_steps)
            self.homed_at = max(self.homed_at, clock)
        return offsets

    def events(self):
        merged = [(clock, 0, sign) for clock, sign in self.a.steps] + [(clock, 1, sign) for clock, sign in self.b.steps]
        merged += [(clock, 2, sign) for clock, sign in self.z.steps]
        merged.sort(key=lambda event: event[0])
        return merged

    def check_order(self):
        for name, stepper in (("a", self.a), ("b", self.b), ("z", self.z), ("e", self.e)):
            clocks = [clock for clock, _ in stepper.steps]
            assert len(clocks) > 0, f"stepper {name} never moved"
            assert all(first < second for first, second in zip(clocks, clocks[1:])), f"clocks of {name} do not increase"

    def follow(self, points):
        """Visit every corner in order; check range, speed and acceleration once homed. Returns the last position."""
        ox, oy, oz = self.home_offsets()
        low = [float(self.config[f"stepper_{axis}"].get("position_min", "0")) for axis in "xyz"]
        high = [float(self.config[f"stepper_{axis}"]["position_max"]) for axis in "xyz"]
        window = self.board.freq // 50
        counts, target, sampled, previous = [0, 0, 0], 0, None, None
        top_speed = top_accel = 0.0
        for clock, index, sign in self.events():
            counts[index] += sign
            if clock <= self.homed_at:
                continue
            x, y = (counts[0] + counts[1]) / 2 * STEP_XY + ox, (counts[0] - counts[1]) / 2 * STEP_XY + oy
            z = counts[2] * STEP_Z + oz
            for value, least, most in zip((x, y, z), low, high):
                assert least - 0.02 <= value <= most + 0.02, f"out of range at {clock}: {x:.3f} {y:.3f} {z:.3f}"
            if sampled is None or clock - sampled[0] >= window:
                if sampled and clock - sampled[0] < 2 * window:
                    seconds = (clock - sampled[0]) / self.board.freq
                    velocity = (x - sampled[1]) / seconds, (y - sampled[2]) / seconds
                    top_speed = max(top_speed, (velocity[0] ** 2 + velocity[1] ** 2) ** 0.5)
                    if previous:
                        change = ((velocity[0] - previous[0]) ** 2 + (velocity[1] - previous[1]) ** 2) ** 0.5
                        top_accel = max(top_accel, change / seconds)
                    previous = velocity
                else:
                    previous = None
                sampled = clock, x, y
            while target < len(points) and all(
                    wanted is None or abs(value - wanted) <= 1.01 * step for value, wanted, step in
                    zip((x, y, z), points[target], (STEP_XY, STEP_XY, STEP_Z))):
                target += 1
        assert target == len(points), f"corner {target} of {len(points)} was not reached: {points[target]}"
        printer = self.config["printer"]
        assert top_speed <= float(printer["max_velocity"]) * 1.02 + 2, f"speed {top_speed:.1f} mm/s"
        assert top_accel <= float(printer["max_accel"]) * 1.05 + 500, f"acceleration {top_accel:.0f} mm/s^2"
        return (x, y, z), top_speed, top_accel

    def check_filament(self, expected_mm):
        made = sum(sign for _, sign in self.e.steps) * STEP_E
        assert abs(made - expected_mm) <= 2 * STEP_E, f"filament {made:.4f} mm, the file asks for {expected_mm:.4f} mm"
        return made

    def check_heaters(self):
        for section in ("extruder", "heater_bed"):
            output = self.board.output_at(self.config[section]["heater_pin"].strip("!"))
            assert output["max_duration"] > 0, f"{section}: the board would not switch it off by itself"
            assert any(value for _, value in output["updates"]), f"{section} was never on"
            assert output["updates"][-1][1] == 0, f"{section} is on at the end"


def main():
    program, config_path, gcode_path = sys.argv[1:4]
    name = os.path.basename(gcode_path)
    with tempfile.TemporaryDirectory(prefix="lockstep-e2e-") as data:
        record = os.path.join(data, "record")
        printer = daemon.Printer(program, config_path, data, "--sim", "--speed", "max", "--seed", "7", "--record", record)
        try:
            printer.wait_ready()
            with open(gcode_path, "rb") as file:
                status, reply = printer.upload_file(name, file.read())
            assert status == 201 and reply["item"]["path"] == name, (status, reply)
            begin = time.monotonic()
            stats = printer.print_file(name, PRINT_TIMEOUT_S)
            wall = time.monotonic() - begin
            state = printer.status("extruder=target&heater_bed=target&virtual_sdcard&webhooks")
            assert state["extruder"]["target"] == 0 and state["heater_bed"]["target"] == 0, state
            assert state["webhooks"]["state"] == "ready", state
            printer.stop()
        finally:
            printer.process.kill()
        board = wire.Board(os.path.join(record, "mcu.wire"))
        assert not board.shutdowns, board.shutdowns
        judge = Judge(board, read_config(config_path))
        judge.check_order()
        points, filament = corners(gcode_path)
        position, speed, accel = judge.follow(points)
        made = judge.check_filament(filament)
        judge.check_heaters()
        print(f"{name}: {stats['print_duration']:.1f} s of printing in {wall:.1f} s; {len(points)} corners visited in order; "
              f"{sum(len(s.steps) for s in board.steppers.values())} steps; top speed {speed:.1f} mm/s, acceleration "
              f"{accel:.0f} mm/s^2; filament {made:.3f} mm; ended at {position[0]:.3f} {position[1]:.3f} {position[2]:.3f}; heaters off")


if __name__ == "__main__":
    main()
