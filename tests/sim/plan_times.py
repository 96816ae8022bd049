#!/usr/bin/env python3
"""How long short files take in `lockstep plan`, against what Klipper v0.13.0-730 makes of them offline (its last step, plus the
way from there to the end of its move): pauses of homing, of motors that are switched, of changes of filters and axes.

    plan_times.py LOCKSTEP DICT
"""

import re
import subprocess
import sys
import tempfile

MOTOR = "step_pin: P{0}1\ndir_pin: P{0}2\nenable_pin: !P{0}3\nmicrosteps: 16\nrotation_distance: {1}\n"
RANGE = "position_endstop: -150\nposition_min: -150\nposition_max: 300\nhoming_speed: 50\n"
CONFIG = ("[mcu]\nserial: /dev/null\n[force_move]\nenable_force_move: True\n"
          "[printer]\nkinematics: cartesian\nmax_velocity: 500\nmax_accel: 10000\nmax_z_velocity: 15\nmax_z_accel: 100\n"
          "[stepper_x]\n" + MOTOR.format("A", 40) + "endstop_pin: ^PA4\n" + RANGE +
          "[stepper_y]\n" + MOTOR.format("B", 40) + "endstop_pin: ^PB4\n" + RANGE +
          "[stepper_z]\n" + MOTOR.format("C", 8) + "endstop_pin: ^PC4\nposition_endstop: 0\nposition_max: 300\n"
          "[manual_stepper gear]\n" + MOTOR.format("D", 22.6) + "velocity: 20\naccel: 500\n"
          "[extruder]\n" + MOTOR.format("E", 22.6789511) + "nozzle_diameter: 0.4\nfilament_diameter: 1.75\nheater_pin: PB6\n"
          "sensor_pin: PC5\nsensor_type: EPCOS 100K B57560G104F\ncontrol: watermark\nmin_temp: 0\nmax_temp: 300\n"
          "pressure_advance: {advance}\n[input_shaper]\n{shaper}")
PLAIN = {"advance": 0.04, "shaper": ""}
SHAPED = {"advance": 0, "shaper": "shaper_type_x: mzv\nshaper_freq_x: 50\nshaper_type_y: ei\nshaper_freq_y: 40\n"}
START = "SET_KINEMATIC_POSITION X=0 Y=0 Z=5\nG90\nM83\n"
TWO = "G1 X20 F3000\nG1 X40\n"

# what it is about, configuration, file, seconds
CASES = [
    ("no pause at all", PLAIN, START + TWO, 1.055),
    ("a shorter smooth time", PLAIN, START + TWO + "SET_PRESSURE_ADVANCE SMOOTH_TIME=0.02\nG1 X60 F3000\nG1 X70\n", 1.690),
    ("no pressure advance", PLAIN, START + TWO + "SET_PRESSURE_ADVANCE ADVANCE=0\nG1 X60 F3000\nG1 X70\n", 1.681),
    ("pressure advance again", PLAIN, START + TWO + "SET_PRESSURE_ADVANCE ADVANCE=0\nG1 X60 F3000\nG1 X70\n"
     "SET_PRESSURE_ADVANCE ADVANCE=0.1 SMOOTH_TIME=.06\nG1 X90\n", 2.117),
    ("shapers", SHAPED, START + "G1 X20 Z6 F3000\nSET_INPUT_SHAPER SHAPER_TYPE_X=3hump_ei SHAPER_FREQ_X=70\nG1 X40 Z7\n"
     "SET_INPUT_SHAPER SHAPER_FREQ_Y=0\nG1 X60 Z8\nSET_INPUT_SHAPER SHAPER_FREQ_X=0\nG1 X70 Z9\n"
     "SET_INPUT_SHAPER SHAPER_FREQ_X=30\nG1 X80 Z10\n", 2.150),
    ("an axis of G1", PLAIN, START + TWO + "MANUAL_STEPPER STEPPER=gear GCODE_AXIS=A\nG1 X60 F3000\nG1 X70\n"
     "MANUAL_STEPPER STEPPER=gear GCODE_AXIS=\nG1 X90\n", 2.065),
    ("homing", PLAIN, "G28 X\nG1 X0 F6000\nG1 X20\n", 16.135),
    ("motors", PLAIN, START + "G1 X10 F6000\nG4 P500\nSET_STEPPER_ENABLE STEPPER=stepper_x ENABLE=0\nG1 X20\nG4 P500\n"
     "SET_STEPPER_ENABLE STEPPER=stepper_x ENABLE=1\nG1 X30\nG4 P500\nSET_STEPPER_ENABLE STEPPER=stepper_z ENABLE=1\nG1 X40\n"
     "G4 P500\nM84\nSET_KINEMATIC_POSITION X=0\nG1 X10\n", 3.200),
    ("a manual stepper's motor", PLAIN, START + "G1 X10 F6000\nMANUAL_STEPPER STEPPER=gear ENABLE=1\nG1 X20\n"
     "MANUAL_STEPPER STEPPER=gear ENABLE=1\nG1 X30\nMANUAL_STEPPER STEPPER=gear ENABLE=0\nG1 X40\n"
     "MANUAL_STEPPER STEPPER=gear ENABLE=0\nG1 X50\nMANUAL_STEPPER STEPPER=gear SET_POSITION=5 MOVE=10\nG1 X60\n"
     "MANUAL_STEPPER STEPPER=gear SET_POSITION=7\nG1 X70\n", 1.750),
    ("force moves", PLAIN, START + "FORCE_MOVE STEPPER=stepper_y DISTANCE=5 VELOCITY=20 ACCEL=100\n"
     "FORCE_MOVE STEPPER=stepper_y DISTANCE=-5 VELOCITY=20\nG1 X20\n", 1.833),
    ("a motor that buzzes", PLAIN, START + "G1 X10\nSTEPPER_BUZZ STEPPER=stepper_z\nG1 X10 Z6\n"
     "STEPPER_BUZZ STEPPER=stepper_z\nG1 X20\n", 23.135),
]


def main():
    program, dictionary = sys.argv[1:3]
    with tempfile.TemporaryDirectory(prefix="lockstep-times-") as folder:
        for name, settings, gcode, seconds in CASES:
            for file, text in (("printer.cfg", CONFIG.format(**settings)), ("print.gcode", gcode + "M400\n")):
                with open(f"{folder}/{file}", "w", encoding="ascii") as out:
                    out.write(text)
            result = subprocess.run([program, "plan", "-c", f"{folder}/printer.cfg", "-d", dictionary, "-o", "/dev/null",
                                     f"{folder}/print.gcode"], capture_output=True, text=True, timeout=60, check=False)
            assert result.returncode == 0, f"{name}: {result.stderr}"
            took = float(re.search(r"print time ([0-9.]+) s", result.stdout)[1])
            assert abs(took - seconds) < 0.0015, f"{name}: {took} s, not {seconds}"
    print(f"{len(CASES)} files take as long as in Klipper")


if __name__ == "__main__":
    main()
