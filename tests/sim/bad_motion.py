#!/usr/bin/env python3
"""Impossible machines and impossible moves through `lockstep check` and `lockstep plan`: a clear error that names its place
before any step is sent, or motion slowed to what the board can do with a warning that says so.

    bad_motion.py LOCKSTEP DICTS_DIR
"""

import json
import math
import os
import subprocess
import sys
import tempfile

import wire

MOTOR = "step_pin: P{0}1\ndir_pin: P{0}2\nenable_pin: !P{0}3\nmicrosteps: {1}\nrotation_distance: {2}\n"
RAIL = "endstop_pin: ^P{0}4\nposition_endstop: 0\nposition_max: 200\nhoming_speed: 50\n"
COMMON = "[mcu]\nserial: /dev/null\n[force_move]\nenable_force_move: True\n[gcode_arcs]\n"
START = "SET_KINEMATIC_POSITION X=10 Y=10 Z=5\nG90\nM83\n"


def cartesian(microsteps=16, max_velocity=300, max_accel=3000, more=""):
    text = COMMON + f"[printer]\nkinematics: cartesian\nmax_velocity: {max_velocity}\nmax_accel: {max_accel}\n"
    for axis, port, distance in (("x", "A", 40), ("y", "B", 40), ("z", "C", 8)):
        text += f"[stepper_{axis}]\n" + MOTOR.format(port, microsteps, distance) + RAIL.format(port)
    text += ("[extruder]\n" + MOTOR.format("D", 16, 22) + "nozzle_diameter: 0.4\nfilament_diameter: 1.75\nheater_pin: PB6\n"
             "sensor_pin: PC5\nsensor_type: Generic 3950\ncontrol: watermark\nmin_temp: 0\nmax_temp: 280\n"
             "min_extrude_temp: 0\n[input_shaper]\n")
    return text + more


def delta(arm="360", radius="174.75", angle_b="330", endstop="300"):
    text = COMMON + (f"[printer]\nkinematics: delta\nmax_velocity: 300\nmax_accel: 3000\nmax_z_velocity: 150\n"
                     f"delta_radius: {radius}\n")
    for tower, port, angle in (("a", "A", "210"), ("b", "B", angle_b), ("c", "C", "90")):
        text += (f"[stepper_{tower}]\n" + MOTOR.format(port, 16, 40) + f"endstop_pin: ^P{port}4\nhoming_speed: 50\n"
                 f"arm_length: {arm}\nangle: {angle}\nposition_endstop: {endstop}\n")
    return text


# machine, what `check` says
MACHINES = [
    (delta(arm="100"), "must be above 174.75"),
    (delta(arm="174.76"), "leave no reachable area"),
    (delta(angle_b="210"), "Impossible kinematics"),
    (delta(radius="nan"), "Unable to parse option 'delta_radius'"),
    (delta(radius="0"), "'delta_radius'"),
    (cartesian(max_accel=0), "'max_accel' in section 'printer' must be above 0"),
    (cartesian(max_velocity="1e400"), "'max_velocity'"),
    (cartesian(microsteps=0), "'microsteps'"),
    (cartesian(more="shaper_freq_x: -1\n"), "'shaper_freq_x' in section 'input_shaper' must have minimum of 0"),
    (cartesian(more="shaper_freq_x: 1\n"), "the frequency must be at least"),
    (cartesian(more="shaper_freq_x: 50\nshaper_type: none\n"), "Unsupported shaper type: none"),
    (cartesian(more="shaper_freq_x: 50\nshaper_type: 3hump_ei\ndamping_ratio_x: 0.9\n"), "Damping ratio"),
    (cartesian(max_accel="1e9"), None),
    (cartesian(more="shaper_freq_x: 0\nshaper_freq_y: 0\n"), None),
]

# lines after START, what the error says (None: fine)
MOVES = [
    ("G1 X10 Y10 Z5\nG1\nG1 E0\nG1 X10 F6000", None),
    ("G1 X10010 F6000", "Move out of range: 10010.000 10.000 5.000 [0.000]"),
    ("G1 X1e9 F6000", "Move"),
    ("G1 Enan F600", "Unable to parse move 'G1 Enan F600'"),
    ("G1 X20 Einf F600", "Unable to parse move"),
    ("G1 X20 E1000 F600", "Move exceeds maximum extrusion"),
    ("G1 E1000 F600", "Extrude only move too long"),
    ("G1 X20 F0", "Invalid speed in 'G1 X20 F0'"),
    ("G1 X20 F-10", "Invalid speed"),
    ("SET_VELOCITY_LIMIT ACCEL=0", "ACCEL must be above 0.0"),
    ("SET_VELOCITY_LIMIT VELOCITY=nan", "VELOCITY"),
    ("SET_VELOCITY_LIMIT MINIMUM_CRUISE_RATIO=1", "MINIMUM_CRUISE_RATIO must be below 1.0"),
    ("SET_VELOCITY_LIMIT SQUARE_CORNER_VELOCITY=-1", "SQUARE_CORNER_VELOCITY must have minimum of 0.0"),
    ("SET_VELOCITY_LIMIT ACCEL=1000000000\nG1 X100 Y50 F12000\nG1 X20", None),
    ("SET_VELOCITY_LIMIT SQUARE_CORNER_VELOCITY=0\nG1 X20 F6000\nG1 Y20\nG1 X10", None),
    ("G2 X10 Y10 I0 J0", "G2/G3 requires IJ, IK or JK parameters"),
    ("G2 X20 Y10", "G2/G3 requires IJ, IK or JK parameters"),
    ("G2 X20 Y10 R5", "G2/G3 does not support R moves"),
    ("G2 X20 Y10 Inan J0", "G2/G3"),
    ("G18\nG2 X10 Z5 I0 K0", "G2/G3 requires"),
    ("G2 X20 Y10 I1000000000000 J1", "has more than 1000000 pieces"),
    ("G91\nG2 X20 Y10 I5 J0", "G2/G3 does not support relative move mode"),
    ("SET_INPUT_SHAPER SHAPER_FREQ_X=0.001", "the frequency must be at least"),
    ("SET_INPUT_SHAPER SHAPER_FREQ_X=-5", "SHAPER_FREQ_X must have minimum of 0.0"),
    ("SET_INPUT_SHAPER SHAPER_FREQ_X=1e12", "shaper frequency"),
    ("SET_INPUT_SHAPER SHAPER_FREQ_X=0 SHAPER_FREQ_Y=0\nG1 X20 F6000", None),
    ("SET_PRESSURE_ADVANCE ADVANCE=nan", "ADVANCE"),
    ("SET_PRESSURE_ADVANCE SMOOTH_TIME=5", "SMOOTH_TIME must have maximum of 0.2"),
    ("SET_EXTRUDER_ROTATION_DISTANCE EXTRUDER=extruder DISTANCE=0", "Rotation distance can not be zero"),
    ("FORCE_MOVE STEPPER=stepper_x DISTANCE=50 VELOCITY=100000", "makes at most"),
    ("FORCE_MOVE STEPPER=stepper_x DISTANCE=1e300 VELOCITY=10", "FORCE_MOVE"),
    ("FORCE_MOVE STEPPER=stepper_x DISTANCE=5 VELOCITY=0", "VELOCITY must be above 0.0"),
    ("SET_KINEMATIC_POSITION X=nan", "X"),
    ("SET_KINEMATIC_POSITION X=1e300", "Impossible position"),
    ("G4 P-5", "P must have minimum of 0.0"),
    ("M220 S0", "S must be above 0.0"),
    ("M221 S0", "S must be above 0.0"),
]


class Bench:
    def __init__(self, program, dicts, folder):
        self.program, self.dicts, self.folder = program, dicts, folder

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as file:
            file.write(text)
        return self.path(name)

    def run(self, *args):
        return subprocess.run([self.program, *args], capture_output=True, text=True, timeout=120, check=False)

    def plan(self, config, gcode, dictionary=None):
        """Returns the result and the steps made: (name of the command, its values)."""
        dictionary = dictionary or os.path.join(self.dicts, "stm32f446.dict")
        out = self.path("out.serial")
        result = self.run("plan", "-c", self.write("printer.cfg", config), "-d", dictionary, "-o", out,
                          self.write("print.gcode", gcode))
        with open(dictionary, encoding="utf-8") as file:
            formats = {number: wire.Format(text) for text, number in json.load(file)["commands"].items()}
        steps = []
        if os.path.exists(out):
            with open(out, "rb") as file:
                for _, payload in wire.BlockReader().feed(file.read()):
                    at = 0
                    while at < len(payload):
                        number, at = wire.read_vlq(payload, at)
                        values, at = formats[number].parse(payload, at)
                        if formats[number].name == "queue_step":
                            steps.append(values)
            os.unlink(out)
        return result, steps


def check_machines(bench):
    for config, text in MACHINES:
        path = bench.write("printer.cfg", config)
        checked = bench.run("check", path)
        output = checked.stdout + checked.stderr
        if text is None:
            assert checked.returncode == 0, output
            continue
        assert checked.returncode == 1 and text in output, f"{text!r} is not in {output!r}\n{config}"
        assert "printer.cfg:" in output, f"no place in {output!r}"
        planned, steps = bench.plan(config, "G28\n")
        assert planned.returncode != 0 and text in planned.stdout + planned.stderr and not steps, planned.stderr


def check_moves(bench):
    config = cartesian()
    for lines, text in MOVES:
        result, steps = bench.plan(config, START + lines + "\n")
        output = result.stdout + result.stderr
        if text is None:
            assert result.returncode == 0, f"{lines!r}: {output}"
            continue
        assert result.returncode == 1 and text in output, f"{lines!r}: {text!r} is not in {output}"
        line = 3 + len(lines.split("\n"))
        assert f"print.gcode:{line}:" in output, f"{lines!r}: line {line} is not named in {output}"
        assert not steps, f"{lines!r}: {len(steps)} step commands were sent before the error"


def longest_rate(steps, frequency_hz):
    """Highest step rate of one stepper within a queue_step."""
    worst = 0.0
    for values in steps:
        count, interval, add = values["count"], values["interval"], values["add"]
        if count > 1:
            worst = max(worst, frequency_hz / min(interval + add, interval + add * (count - 1)))
    return worst


def slow_dictionary(bench):
    """A board of 8 MHz, as some AVRs run."""
    with open(os.path.join(bench.dicts, "atmega644p.dict"), encoding="utf-8") as file:
        dictionary = json.load(file)
    dictionary["config"]["CLOCK_FREQ"] = 8000000
    return bench.write("slow.dict", json.dumps(dictionary)), dictionary["config"]["CLOCK_FREQ"]


def slow_config(microsteps):
    pins = iter(f"P{port}{i}" for port in "BC" for i in range(8))
    text = f"{COMMON}[printer]\nkinematics: cartesian\nmax_velocity: 500\nmax_accel: 10000\n"
    for axis in "xyz":
        text += (f"[stepper_{axis}]\nstep_pin: {next(pins)}\ndir_pin: {next(pins)}\nenable_pin: !{next(pins)}\n"
                 f"microsteps: {microsteps}\nrotation_distance: 40\nendstop_pin: ^{next(pins)}\nposition_endstop: 0\n"
                 "position_max: 200\n")
    return text


def check_step_rates(bench):
    dictionary, frequency_hz = slow_dictionary(bench)
    gcode = "SET_KINEMATIC_POSITION X=0 Y=0 Z=0\nG1 X100 F30000\nG1 X180 Y80 Z80\nG1 X0\n"
    # 500 mm/s at 16 microsteps: 40,000 steps a second of one motor, which 8 MHz can do; three at once cannot.
    result, steps = bench.plan(slow_config(16), gcode, dictionary)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("Moves are slowed down") == 1, result.stderr
    # At 256 microsteps it would be 640,000: slowed to what Klipper's benchmark says of an AVR, 102 ticks a step.
    result, steps = bench.plan(slow_config(256), gcode, dictionary)
    assert result.returncode == 0 and "mcu 'mcu' can do (" in result.stderr, result.stderr
    rate = longest_rate(steps, frequency_hz)  # a step may be early, so an interval may be shorter
    assert 0.9 * frequency_hz / 102 < rate <= 1.05 * frequency_hz / 102, f"{rate:.0f} steps a second"
    # A board that can do it is not slowed.
    result, steps = bench.plan(cartesian(max_velocity=300), START + "G1 X100 Y100 F18000\n")
    assert result.returncode == 0 and "slowed" not in result.stderr
    result, _ = bench.plan(slow_config(256), "FORCE_MOVE STEPPER=stepper_x DISTANCE=50 VELOCITY=400\n", dictionary)
    assert result.returncode == 1 and "Stepper 'stepper_x' can't move at 400 mm/s" in result.stderr, result.stderr


def check_tiny_segments(bench):
    """100,000 moves of 10 um round a circle, closed: nothing is lost, and memory does not grow with them."""
    points = [(100 + 15 * math.cos(i * 2 * math.pi / 10000), 100 + 15 * math.sin(i * 2 * math.pi / 10000))
              for i in range(100001)]
    gcode = "SET_KINEMATIC_POSITION X=115 Y=100 Z=5\nM83\n" + "".join(f"G1 X{x:.4f} Y{y:.4f} E.0003 F6000\n" for x, y in points)
    result, steps = bench.plan(cartesian(), gcode)
    assert result.returncode == 0, result.stderr
    rows = {row[0]: row for row in (line.split() for line in result.stdout.splitlines()) if row}
    assert int(rows["stepper_x"][-1]) == 0 and int(rows["stepper_y"][-1]) == 0, result.stdout
    assert int(rows["stepper_x"][1]) > 10 * 4 * 15 * 80 * 0.99, result.stdout


def main():
    program, dicts = sys.argv[1:3]
    with tempfile.TemporaryDirectory(prefix="lockstep-bad-") as folder:
        bench = Bench(program, dicts, folder)
        check_machines(bench)
        check_moves(bench)
        check_step_rates(bench)
        check_tiny_segments(bench)
    print(f"{len(MACHINES)} machines, {len(MOVES)} files")


if __name__ == "__main__":
    main()
