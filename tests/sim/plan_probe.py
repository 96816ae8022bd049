#!/usr/bin/env python3
"""Probing in `lockstep plan`: a descent goes all the way down, the bed that is found is flat, and what follows can be printed.

usage: plan_probe.py LOCKSTEP DICT
"""
import pathlib
import re
import subprocess
import sys
import tempfile

STEPPER = """[stepper_{0}]
step_pin: P{1}0
dir_pin: P{1}1
enable_pin: !P{1}2
microsteps: 16
rotation_distance: {2}
position_min: {3}
position_max: 200
homing_speed: 10
"""
COMMON = ("[mcu]\nserial: x\n[printer]\nkinematics: cartesian\nmax_velocity: 300\nmax_accel: 3000\n"
          + STEPPER.format("x", "A", 40, 0) + "endstop_pin: PC0\nposition_endstop: 0\n"
          + STEPPER.format("y", "B", 40, 0) + "endstop_pin: PC1\nposition_endstop: 0\n"
          + STEPPER.format("z", "D", 8, -3) + "endstop_pin: {z}\n"
          + "[bed_mesh]\nmesh_min: 20, 20\nmesh_max: 180, 180\n[exclude_object]\n")
PROBE = "[probe]\npin: PC2\nz_offset: 1\n"
BLTOUCH = "[bltouch]\nsensor_pin: PC2\ncontrol_pin: PC3\nz_offset: 1\n[safe_z_home]\nhome_xy_position: 100, 100\nz_hop: 10\n"
STEPS_PER_MM = 400


def plan(program, dictionary, config, gcode):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "printer.cfg").write_text(config)
        (folder / "a.gcode").write_text(gcode)
        done = subprocess.run([program, "plan", "-c", folder / "printer.cfg", "-d", dictionary, "-o", "/dev/null",
                               folder / "a.gcode"], capture_output=True, text=True, timeout=60, check=False)
    text = done.stdout + done.stderr
    steps = {m[1]: int(m[2]) for m in re.finditer(r"^(stepper_\w+)\s+(\d+)\s", text, re.M)}
    return done.returncode, text, steps


def main():
    program, dictionary = sys.argv[1:3]
    # homed: 1.5 times the axis down, 5 up, 10 down; up to 5; nine times 8 down and 8 up; down to 0.2
    code, text, steps = plan(program, dictionary, COMMON.format(z="PC4\nposition_endstop: 0") + PROBE,
                             "G28\nBED_MESH_CALIBRATE\nG1 X50 Y50 Z0.2 F6000\nG1 X150\n")
    assert code == 0, text
    assert text.count("bed will contact at z=0.000000") == 9, text
    assert "Mesh Bed Leveling Complete" in text, text
    travel_mm = 300 + 5 + 10 + 5 + 9 * 16 + 4.8
    assert steps["stepper_z"] == travel_mm * STEPS_PER_MM, (steps, travel_mm * STEPS_PER_MM)

    code, text, steps = plan(program, dictionary, COMMON.format(z="probe:z_virtual_endstop") + BLTOUCH,
                             "G28\nEXCLUDE_OBJECT_DEFINE NAME=a POLYGON=[[50,50],[90,50],[90,90]]\n"
                             "BED_MESH_CALIBRATE ADAPTIVE=1\nPROBE_ACCURACY SAMPLES=3\nQUERY_ENDSTOPS\nQUERY_PROBE\n"
                             "G1 X60 Y60 Z0.2 F6000\n")
    assert code == 0, text
    assert "adapted to the objects of the print: (50.00, 50.00) to (90.00, 90.00), 3 x 3 points" in text, text
    assert "probe accuracy results: maximum 0.000000, minimum 0.000000" in text, text
    assert "x:open y:open z:open" in text, text

    code, text, _ = plan(program, dictionary, COMMON.format(z="PC4\nposition_endstop: 0"), "G28\nBED_MESH_CALIBRATE\n")
    assert code == 0 and "Starting manual Z probe" in text, text
    code, text, _ = plan(program, dictionary, COMMON.format(z="PC4\nposition_endstop: 0") + PROBE,
                         "G28\nG1 X1\nBED_MESH_CALIBRATE MESH_MAX=500,500\n")
    assert code == 1 and "line 3" in text or ":3:" in text, text


if __name__ == "__main__":
    main()
