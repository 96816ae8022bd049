#!/usr/bin/env python3
"""`lockstep plan` on every real data dictionary whose pins and messages suffice for a printer: the bytes it writes must
configure steppers, endstops, heaters and sensors on the right pins, home and move. And the bytes are the same for any
number of threads.

    plan_boards.py LOCKSTEP DICTS_DIR PRINTER.CFG FILE.GCODE
"""

import json
import os
import re
import subprocess
import sys
import tempfile

import wire

NEEDED_COMMANDS = ("config_stepper", "config_endstop", "config_trsync", "config_analog_in", "config_digital_out",
                   "queue_step", "queue_digital_out", "query_analog_in", "finalize_config")
AXES = ("stepper_x", "stepper_y", "stepper_z")

GCODE = """G28
M140 S60
M104 S200
M106 S128
G1 X50 Y40 Z2 F6000
G1 X60 E1 F1800
M104 S0
M140 S0
M107
"""


def pin_names(dictionary):
    names = []
    for name, value in dictionary["enumerations"]["pin"].items():
        if isinstance(value, list):
            stem = name.rstrip("0123456789")
            first = int(name[len(stem):] or 0)
            names += [f"{stem}{first + i}" for i in range(value[1])]
        else:
            names.append(name)
    reserved = {pin for key, pins in dictionary["config"].items() if key.startswith("RESERVE_PINS_")
                for pin in str(pins).split(",")}
    return [name for name in names if name not in reserved and "ADC_" not in name]


def write_config(path, pins):
    pins = iter(pins)
    used = {}
    lines = ["[mcu]", "serial: /dev/null", "[printer]", "kinematics: cartesian", "max_velocity: 200", "max_accel: 2000"]
    for section in AXES + ("extruder",):
        used[section] = {key: next(pins) for key in ("step_pin", "dir_pin", "enable_pin")}
        lines += [f"[{section}]"] + [f"{key}: {pin}" for key, pin in used[section].items()]
        lines += ["microsteps: 16", "rotation_distance: 40"]
        if section in AXES:
            used[section]["endstop_pin"] = next(pins)
            lines += [f"endstop_pin: ^{used[section]['endstop_pin']}", "position_endstop: 0", "position_max: 200"]
        else:
            used[section]["heater_pin"], used[section]["sensor_pin"] = next(pins), next(pins)
            lines += [f"heater_pin: {used[section]['heater_pin']}", f"sensor_pin: {used[section]['sensor_pin']}",
                      "sensor_type: Generic 3950", "control: pid", "pid_Kp: 20", "pid_Ki: 1", "pid_Kd: 100",
                      "min_temp: 0", "max_temp: 280", "nozzle_diameter: 0.4", "filament_diameter: 1.75"]
    used["heater_bed"] = {"heater_pin": next(pins), "sensor_pin": next(pins)}
    lines += ["[heater_bed]", f"heater_pin: {used['heater_bed']['heater_pin']}",
              f"sensor_pin: {used['heater_bed']['sensor_pin']}", "sensor_type: Generic 3950", "control: watermark",
              "min_temp: 0", "max_temp: 120"]
    used["fan"] = {"pin": next(pins)}
    lines += ["[fan]", f"pin: {used['fan']['pin']}"]
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
    return used


def plan(program, config, dictionary, out, gcode, *options):
    result = subprocess.run([program, "plan", "-c", config, "-d", dictionary, "-o", out, *options, gcode],
                            capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, f"{dictionary}: {result.stderr}{result.stdout}"
    return result.stdout


def decode(path, dictionary):
    formats = {number: wire.Format(text) for text, number in dictionary["commands"].items()}
    with open(path, "rb") as file:
        reader = wire.BlockReader()
        blocks = reader.feed(file.read())
    assert reader.bad == 0 and not reader.buffer, "the file does not end in a whole block"
    decoded = []
    for _, payload in blocks:
        at = 0
        while at < len(payload):
            number, at = wire.read_vlq(payload, at)
            values, at = formats[number].parse(payload, at)
            decoded.append((formats[number].name, values))
    return decoded


def check_board(decoded, dictionary, used):
    numbers = {}
    for name, value in dictionary["enumerations"]["pin"].items():
        if isinstance(value, list):
            stem = name.rstrip("0123456789")
            first = int(name[len(stem):] or 0)
            numbers.update({f"{stem}{first + i}": value[0] + i for i in range(value[1])})
        else:
            numbers[name] = value

    def pins_of(command, field):
        return sorted(values[field] for name, values in decoded if name == command)

    steppers = [section for section in used if "step_pin" in used[section]]
    assert pins_of("config_stepper", "step_pin") == sorted(numbers[used[s]["step_pin"]] for s in steppers)
    assert pins_of("config_stepper", "dir_pin") == sorted(numbers[used[s]["dir_pin"]] for s in steppers)
    assert pins_of("config_endstop", "pin") == sorted(numbers[used[s]["endstop_pin"]] for s in AXES)
    assert pins_of("config_analog_in", "pin") == sorted(numbers[used[s]["sensor_pin"]] for s in ("extruder", "heater_bed"))
    digital = pins_of("config_digital_out", "pin")
    for section in ("extruder", "heater_bed"):
        assert numbers[used[section]["heater_pin"]] in digital, section
    names = [name for name, _ in decoded]
    assert names.count("finalize_config") == 1 and names[0] == "allocate_oids", names[:3]
    stepping = {values["oid"] for name, values in decoded if name == "queue_step"}
    assert len(stepping) == 4, f"{len(stepping)} of 4 steppers move"


def check_threads(program, folder, dictionary, config, gcode):
    outputs = []
    for threads in ("1", "2", "3"):
        out = os.path.join(folder, "threads" + threads)
        plan(program, config, dictionary, out, gcode, "--threads", threads)
        with open(out, "rb") as file:
            outputs.append(file.read())
    assert len(outputs[0]) > 100000 and outputs[0] == outputs[1] == outputs[2], "bytes differ with the number of threads"
    return len(outputs[0])


def check_missing_dictionary(program, config, gcode):
    def errors_of(path):
        result = subprocess.run([program, "plan", "-c", path, "-d", "toolhead=/dev/null", "-o", "/dev/null", gcode],
                                capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 1, result.stderr
        return result.stderr

    assert "the configuration has no [mcu toolhead]" in errors_of(config)
    with tempfile.TemporaryDirectory() as folder:
        two = os.path.join(folder, "two.cfg")
        with open(config, encoding="utf-8") as file, open(two, "w", encoding="utf-8") as out:
            out.write(file.read() + "\n[mcu toolhead]\nserial: /dev/null\n")
        text = errors_of(two)
        assert "needs a data dictionary" in text, text


def check_macros_see_the_printer(program, config, dictionary, folder):
    """A START_PRINT that asks for the printer's limits plans as it prints."""
    own_config, gcode = os.path.join(folder, "macro.cfg"), os.path.join(folder, "macro.gcode")
    with open(config, encoding="utf-8") as file:
        text = file.read()
    with open(own_config, "w", encoding="utf-8") as file:
        file.write(text + "\n[gcode_macro START_PRINT]\ngcode:\n  G28\n"
                   "  RESPOND MSG=\"x {printer.toolhead.axis_maximum.x}\"\n")
    with open(gcode, "w", encoding="ascii") as file:
        file.write("START_PRINT\n")
    result = subprocess.run([program, "plan", "-c", own_config, "-d", dictionary, "-o", "/dev/null", gcode],
                            capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0 and re.search(r"x [1-9][0-9.]+", result.stderr), result.stderr


def main():
    program, dicts, config, gcode = sys.argv[1:5]
    planned, unfit = 0, []
    with tempfile.TemporaryDirectory(prefix="lockstep-plan-") as folder:
        small = os.path.join(folder, "small.gcode")
        with open(small, "w", encoding="ascii") as file:
            file.write(GCODE)
        for name in sorted(os.listdir(dicts)):
            path = os.path.join(dicts, name)
            with open(path, encoding="utf-8") as file:
                dictionary = json.load(file)
            commands = {text.split()[0] for text in dictionary["commands"]}
            pins = pin_names(dictionary)
            if not set(NEEDED_COMMANDS) <= commands or len(pins) < 20:
                unfit.append(name)
                continue
            own_config = os.path.join(folder, name + ".cfg")
            used = write_config(own_config, pins)
            out = os.path.join(folder, name + ".serial")
            plan(program, own_config, path, out, small)
            check_board(decode(out, dictionary), dictionary, used)
            planned += 1
        check_missing_dictionary(program, config, small)
        check_macros_see_the_printer(program, config, os.path.join(dicts, "stm32f446.dict"), folder)
        size = check_threads(program, folder, os.path.join(dicts, "stm32f446.dict"), config, gcode)
    assert planned >= 25, f"only {planned} dictionaries fit"
    print(f"{planned} boards configured and moved; without enough pins or messages: {', '.join(unfit) or 'none'}; "
          f"{size} bytes are the same for 1, 2 and 3 threads")


if __name__ == "__main__":
    main()
