#!/usr/bin/env python3
"""A height map over the API: the bed of `run --sim` is warped, the mesh shows it the way front ends read it, the same seed has the same
bed and another seed another one.

    mesh_e2e.py LOCKSTEP
"""

import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "api")]
import daemon  # noqa: E402

CONFIG = daemon.XYZ_CONFIG + """position_min: -5
homing_speed: 20
[probe]
pin: PB4
z_offset: 1
x_offset: 10
[bed_mesh]
mesh_min: 20, 20
mesh_max: 180, 180
probe_count: 5, 3
speed: 200
[exclude_object]
"""
WARP_MM = 0.2


def height_map(program, seed):
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "printer.cfg")
        with open(config, "w", encoding="ascii") as file:
            file.write(CONFIG)
        printer = daemon.Printer(program, config, os.path.join(folder, "data"), "--sim", "--speed", "max", "--seed", str(seed))
        try:
            printer.wait_ready()
            status, reply = printer.script("G28\nBED_MESH_CALIBRATE\nBED_MESH_PROFILE SAVE=kept")
            assert status == 200, reply
            found = {}

            def is_there():
                found.update(printer.status("bed_mesh")["bed_mesh"])
                return "kept" in found["profiles"]

            printer.wait("the mesh", is_there, 10)
        finally:
            printer.stop()
    return found


def main():
    program = sys.argv[1]
    mesh = height_map(program, 5)
    assert mesh["profile_name"] == "kept" and mesh["mesh_min"] == [20, 20] and mesh["mesh_max"] == [180, 180], mesh
    rows = mesh["probed_matrix"]
    assert len(rows) == 3 and all(len(row) == 5 for row in rows), rows
    assert len(mesh["mesh_matrix"]) == 7 and len(mesh["mesh_matrix"][0]) == 13, mesh["mesh_matrix"]
    heights = [z for row in rows for z in row]
    assert max(map(abs, heights)) <= WARP_MM and max(heights) - min(heights) > 0.01, heights
    assert mesh["profiles"]["default"]["points"] == rows, mesh["profiles"]
    assert mesh["profiles"]["kept"]["mesh_params"]["x_count"] == 5, mesh["profiles"]
    assert height_map(program, 5)["probed_matrix"] == rows, "the same seed, another bed"
    assert height_map(program, 6)["probed_matrix"] != rows, "another seed, the same bed"
    print("heights", min(heights), "to", max(heights))


if __name__ == "__main__":
    main()
