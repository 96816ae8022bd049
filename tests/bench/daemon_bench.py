#!/usr/bin/env python3
"""daemon_bench.py LOCKSTEP [GCODE [CONFIG]]: what the whole program takes. Prints figures and never fails on them.

  start to ready   from exec to klippy_state "ready" over HTTP, on the simulated board; the least and the middle of some
  memory           VmRSS of `run --sim --speed max`: idle, the most seen during a print of GCODE, and after it
  plan             wall and processor time, and the most memory, of `plan` for GCODE and for the file three times in a row
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SHARED = os.path.join(os.path.dirname(ROOT), "shared")
sys.path.insert(0, os.path.join(ROOT, "tests", "sim"))
import daemon  # noqa: E402

STARTS = 9
PLANS = 5
PRINT_LIMIT_S = 600


def memory_kb(pid, field="VmRSS"):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    return 0


def write_folder(folder, config):
    """A data folder with `config`; its [virtual_sdcard] is the folder's own."""
    os.makedirs(os.path.join(folder, "gcodes"))
    with open(config, encoding="utf-8") as source:
        lines = [line for line in source if not line.startswith("path:")]
    path = os.path.join(folder, "printer.cfg")
    with open(path, "w", encoding="utf-8") as out:
        out.writelines(lines)
    return path


def start_to_ready_s(program, folder, config):
    begin = time.monotonic()
    printer = daemon.Printer(program, config, folder, "--sim")
    while printer.klippy_state() != "ready":
        time.sleep(0.001)
    taken = time.monotonic() - begin
    printer.stop()
    return taken


def bench_start(program, config):
    times = []
    for _ in range(STARTS):
        with tempfile.TemporaryDirectory() as folder:
            times.append(start_to_ready_s(program, folder, write_folder(folder, config)))
    times.sort()
    print(f"start to ready: {times[0] * 1e3:.0f} ms least, {times[len(times) // 2] * 1e3:.0f} ms middle of {STARTS}")


def bench_print(program, config, gcode):
    with tempfile.TemporaryDirectory() as folder:
        path = write_folder(folder, config)
        shutil.copy(gcode, os.path.join(folder, "gcodes", "bench.gcode"))
        printer = daemon.Printer(program, path, folder, "--sim", "--speed", "max")
        printer.wait_ready()
        time.sleep(1.0)
        pid, idle = printer.process.pid, memory_kb(printer.process.pid)
        begin, most, state = time.monotonic(), 0, "printing"
        printer.request("POST", "/printer/print/start?filename=bench.gcode")
        while state == "printing" and time.monotonic() - begin < PRINT_LIMIT_S:
            most = max(most, memory_kb(pid))
            time.sleep(0.05)
            state = printer.status("print_stats")["print_stats"]["state"]
        took = time.monotonic() - begin
        print(f"memory of the daemon: {idle / 1e3:.1f} MB idle, {most / 1e3:.1f} MB at most while printing, "
              f"{memory_kb(pid) / 1e3:.1f} MB after it ({state} in {took:.1f} s)")
        printer.stop()


def plan_once(program, config, gcode):
    """Wall time, processor time [s] and memory [MB] of one run."""
    command = [program, "plan", "-c", config, "-d", f"{SHARED}/dicts/stm32f446.dict", "-o", "/dev/null", gcode]
    begin, memory = time.monotonic(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:  # ru_maxrss would be ours if we are larger
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        memory = max(memory, memory_kb(process.pid, "VmHWM"))
        time.sleep(0.002)
    process.returncode = status
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime, memory / 1e3


def bench_plan(program, gcode):
    for case in ("cube-cartesian-plain", "cube-corexy-mzv-pa"):
        config = f"{SHARED}/oracle/{case}/printer.cfg"
        if not os.path.exists(config):
            continue
        runs = [plan_once(program, config, gcode) for _ in range(PLANS)]
        wall, cpu, memory = min(r[0] for r in runs), min(r[1] for r in runs), max(r[2] for r in runs)
        with tempfile.NamedTemporaryFile(suffix=".gcode") as thrice:
            with open(gcode, "rb") as source:
                thrice.write(3 * source.read())
            thrice.flush()
            long_memory = plan_once(program, config, thrice.name)[2]
        print(f"plan, {case}: {wall:.2f} s wall, {cpu:.2f} s of processor time (least of {PLANS}), {memory:.1f} MB; "
              f"three times the file: {long_memory:.1f} MB")


def main():
    program = sys.argv[1]
    gcode = sys.argv[2] if len(sys.argv) > 2 else f"{SHARED}/gcode/3DBenchy.gcode"
    config = sys.argv[3] if len(sys.argv) > 3 else os.path.join(ROOT, "examples", "printer.cfg")
    bench_start(program, config)
    bench_print(program, config, gcode)
    bench_plan(program, gcode)


if __name__ == "__main__":
    main()
