#!/usr/bin/env python3
"""The program's subcommands as a user meets them: help, wrong usage, missing and bad files, exit statuses and the words that
come with them; one daemon for a folder; pages of other hosts.

    command_line_e2e.py LOCKSTEP [DICTIONARY]
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time

import daemon

PROGRAM = sys.argv[1]
COMMANDS = ("run", "plan", "check", "render", "mcu")
WITH_SD = daemon.XYZ_CONFIG + "[virtual_sdcard]\npath: %s\n[force_move]\nenable_force_move: true\n"


def run(*args, status, stdout="", stderr="", file_bytes_max=None):
    """Run it; both outputs must hold these words."""
    def limit():
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, file_bytes_max))
    done = subprocess.run([PROGRAM, *args], capture_output=True, text=True, timeout=60, check=False,
                          preexec_fn=limit if file_bytes_max else None)
    errors = "\n".join(line for line in done.stderr.split("\n") if "ASan doesn't fully support" not in line)
    shown = f"{' '.join(args)}\n  status {done.returncode}\n  {done.stdout!r}\n  {done.stderr!r}"
    assert done.returncode == status, shown
    assert re.search(stdout, done.stdout) and re.search(stderr, errors), shown
    assert stderr or not errors, "nothing was expected on standard error: " + shown
    return done.stdout


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def usage():
    run(status=2, stderr="Usage: lockstep COMMAND")
    run("nonsense", status=2, stderr="unknown command 'nonsense'")
    for word in ("--help", "-h", "help"):
        listed = run(word, status=0, stdout="Usage: lockstep COMMAND")
        for command in COMMANDS:
            assert re.search(rf"^  {command} ", listed, re.MULTILINE), listed
    run("--version", status=0, stdout=r"^lockstep v\d+\.\d+\.\d+-\d+")
    for command in COMMANDS:
        for word in ("--help", "-h"):
            run(command, word, status=0, stdout=rf"^Usage: lockstep {command} [\s\S]*--help")
        run(command, "--nonsense", status=2, stderr="nonsense")
    run("run", status=2, stderr="--config FILE is required")
    run("check", status=2, stderr="missing argument: PRINTER.CFG")
    run("check", "a", "b", status=2, stderr="unexpected argument 'b'")
    run("plan", "-c", status=2, stderr="--config needs a value")
    run("render", status=2, stderr="missing argument")
    run("mcu", status=2, stderr="--pty PATH .*is required")
    run("mcu", "--pty", "x", "--clock", "5", status=2, stderr="'5' is out of range")


def check(folder, config):
    run("check", config, status=0, stdout="no errors")
    run("check", os.path.join(folder, "missing.cfg"), status=1, stderr="No such file")
    run("check", folder, status=1, stdout="it is a folder")
    bad = write(folder, "bad.cfg", WITH_SD + "[fan]\npin: PA1\nnonsense: 1\n")
    run("check", bad, status=1, stdout=r"bad\.cfg:9: pin PA1 used multiple times[\s\S]*bad\.cfg:43: Option 'nonsense'[\s\S]*2 errors")
    run("check", "-d", "nobody=" + config, config, status=1, stdout=r"There is no \[mcu nobody\]")


def plan(folder, config, dictionary):
    lines = write(folder, "a.gcode", "G28\nG1 X10 F600\n")
    good = ["-c", config, "-d", dictionary, "-o", os.path.join(folder, "out"), lines]
    run("plan", *good, status=0, stdout="print time")
    assert os.path.getsize(os.path.join(folder, "out")) > 100
    run("plan", *good[:-1], status=2, stderr="FILE.GCODE, --config, --dict and --output are needed")
    run("plan", *good, "--threads", "0", status=2, stderr="a whole number from 1 to")
    run("plan", *good[:-1], os.path.join(folder, "missing.gcode"), status=1, stderr=r"missing\.gcode: .*No such file")
    run("plan", *good[:-1], folder, status=1, stderr="not a regular file")
    run("plan", *good, "-o", "/nonexistent/out", status=1, stderr="'/nonexistent/out': No such file")
    run("plan", *good, "-o", folder, status=1, stderr="Is a directory")
    run("plan", *good, "-o", "/dev/full", status=1, stderr="'/dev/full' could not be written completely")
    run("plan", *good, status=1, stderr="could not be written completely", file_bytes_max=64)
    run("plan", *good, "-d", "tool=" + dictionary, status=1, stderr=r"-d tool=.*: the configuration has no \[mcu tool\]")
    run("plan", *good, "-d", "mcu=" + dictionary, status=1, stderr="a second data dictionary for one board")
    run("plan", "-c", config, "-d", lines, *good[4:], status=1, stderr="data dictionary is not JSON")
    run("plan", "-c", config, "-d", "/nonexistent.dict", *good[4:], status=1, stderr="/nonexistent.dict: No such file")
    run("plan", "-c", "/nonexistent.cfg", *good[2:], status=1, stderr="/nonexistent.cfg: No such file")
    two = write(folder, "two.cfg", WITH_SD % folder + "[mcu tool]\nserial: /dev/tool\n")
    run("plan", "-c", two, *good[2:], status=1, stderr=r"\[mcu tool\] needs a data dictionary: -d tool=FILE")
    stop = write(folder, "stop.gcode", "G28\nG1 X10 F600\nM112\nG1 X20\n")
    run("plan", *good[:-1], stop, status=1, stderr=r"stop\.gcode:3: .*M112")
    far = write(folder, "far.gcode", "G28\nG1 X9999\n")
    run("plan", *good[:-1], far, status=1, stderr=r"far\.gcode:2: Move out of range")


def board(folder, config):
    link = os.path.join(folder, "board")
    run("mcu", "--pty", "/nonexistent/x", status=1, stderr="Unable to link /nonexistent/x")
    run("mcu", "--pty", config, status=1, stderr="exists and is not a link")
    run("mcu", "--pty", link, "-c", "/nonexistent", status=1, stderr="/nonexistent: No such file")
    run("mcu", "--pty", link, "-c", write(folder, "none.cfg", "[a]\n"), status=1, stderr=r"has no \[mcu\] section")
    for number in (signal.SIGINT, signal.SIGTERM):
        process = daemon.Board(PROGRAM, link, config)
        assert os.readlink(link).startswith("/dev/pts/")
        process.signal(number)
        assert process.process.wait(timeout=10) == 0
        assert not os.path.lexists(link), "the link was left behind"


def second_daemon(folder, config):
    data = os.path.join(folder, "data")
    run("run", "-c", config, "--data", "/proc/nowhere", "--sim", status=1, stderr="/proc/nowhere")
    run("run", "-c", config, "--data", data, "--sim", "--host", "192.0.2.1", status=1, stderr="cannot listen on 192.0.2.1")
    run("run", "-c", "/nonexistent", "--data", data, "--sim", status=1, stderr="/nonexistent: No such file")
    for option, text in (("--port", "70000"), ("--speed", "0"), ("--speed", "fast"), ("--cors", "a b"), ("--name", "")):
        run("run", "-c", config, "--data", data, "--sim", option, text, status=2, stderr=option)
    run("run", "-c", config, "--data", data, "--seed", "5", status=2, stderr="need --sim")

    first = daemon.Printer(PROGRAM, config, data, "--sim")
    try:
        first.wait_ready()
        run("run", "-c", config, "--data", data, "--sim", "--port", "0", status=1,
            stderr=f"the folder {data} is in use by process {first.process.pid}")
        run("run", "-c", config, "--data", os.path.join(folder, "other"), "--sim", "--port", str(first.port), status=1,
            stderr=f"cannot listen on 127.0.0.1 port {first.port}")
        first.process.kill()  # its lock goes with it
        first.process.wait()
        first = daemon.Printer(PROGRAM, config, data, "--sim")
        first.wait_ready()
        first.stop()
    finally:
        first.process.poll() is None and first.process.kill()


def other_pages(folder, config):
    """--cors and --name: who may use the API from a browser."""
    def allowed(printer, origin, host=None):
        headers = {"Origin": origin, "Host": host or f"127.0.0.1:{printer.port}"}
        reply = printer.http("GET", "/server/info", headers=headers)
        opened = printer.ws(headers=headers)
        opened.close()
        granted = reply.headers.get("access-control-allow-origin")
        assert (reply.status == 200) == (opened.status == 101) == (granted == origin), (reply.status, opened.status, granted)
        return reply.status == 200

    data = os.path.join(folder, "data")
    for options, expected in (((), [False, False, False]),
                              (("--cors", "https://ui.example.org", "--cors", "*.example.com", "--name", "printer.example.net"),
                               [True, True, True])):
        printer = daemon.Printer(PROGRAM, config, data, "--sim", *options)
        try:
            own = f"http://printer.example.net:{printer.port}"
            found = [allowed(printer, "https://ui.example.org"), allowed(printer, "http://a.example.com"),
                     allowed(printer, own, own[7:])]
            assert found == expected, (options, found)
            assert not allowed(printer, "https://evil.example.net"), options
            assert not allowed(printer, "https://ui.example.org.evil.net"), options
            assert allowed(printer, "http://localhost:8080")
            printer.stop()
        finally:
            printer.process.poll() is None and printer.process.kill()


def main():
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lockstep-cli-") as folder:
        config = write(folder, "printer.cfg", WITH_SD % os.path.join(folder, "gcodes"))
        usage()
        check(folder, config)
        if len(sys.argv) > 2:
            plan(folder, config, sys.argv[2])
        board(folder, config)
        second_daemon(folder, config)
        other_pages(folder, config)
    print(f"usage, statuses and words of {', '.join(COMMANDS)}: {time.monotonic() - begin:.1f} s")


if __name__ == "__main__":
    main()
