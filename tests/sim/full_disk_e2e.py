#!/usr/bin/env python3
"""A disk that is really full: a tmpfs of its own in a mount namespace of its own, filled to the last block under a running
daemon. SAVE_CONFIG, save_variables, uploads and the database say so and leave what was there; the printer goes on, and
once there is room again everything works.

    full_disk_e2e.py LOCKSTEP
"""

import json
import os
import subprocess
import sys
import tempfile

import daemon

SIZE = "4m"
OFFSET = "G28\nSET_GCODE_OFFSET Z=0.1\nZ_OFFSET_APPLY_ENDSTOP"
BIG = 300 * 1024
CONFIG = daemon.XYZ_CONFIG + "[save_variables]\nfilename: %s/variables.cfg\n[pause_resume]\n[virtual_sdcard]\npath: %s/gcodes\n"


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Disk:
    def __init__(self, path):
        self.path = path
        self.filler = os.path.join(path, "filler")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + SIZE, "tmpfs", path], check=True)

    def fill(self):
        """To the last block: what is written from now on has no room."""
        block = b"x" * 65536
        with open(self.filler, "wb", buffering=0) as file:
            while block:
                try:
                    file.write(block)
                except OSError:
                    block = block[:len(block) // 2]
        free = os.statvfs(self.path)
        assert free.f_bavail == 0, free

    def free(self):
        os.unlink(self.filler)


def names(folder):
    return sorted(name for name in os.listdir(folder) if name != "filler")


def message(reply):
    return reply["error"]["message"]


def while_full(printer, disk, config):
    before = {path: read(path) for path in (config, os.path.join(disk.path, "variables.cfg"),
                                            os.path.join(disk.path, "gcodes", "old.gcode"))}
    listed = names(disk.path), names(os.path.join(disk.path, "gcodes"))

    status, reply = printer.script("SAVE_CONFIG")
    assert status == 400 and "No space left on device" in message(reply) and "old file is unchanged" in message(reply), reply
    said = [message(reply)]
    status, reply = printer.script('SAVE_VARIABLE VARIABLE=b VALUE="\'%s\'"' % ("y" * 10000))
    assert status == 400 and "No space left on device" in message(reply), reply
    said.append(message(reply))
    for name in ("new.gcode", "old.gcode"):
        status, reply = printer.upload_file(name, b"G28\n" * (BIG // 4))
        assert status >= 400 and "No space left on device" in message(reply), (status, reply)
    said.append(f"{status} {message(reply)}")
    status, reply = printer.call("POST", "/server/database/item", {"namespace": "t", "key": "big", "value": "z" * BIG})
    assert status >= 400 and message(reply), (status, reply)
    said.append(f"{status} {message(reply)}")

    for path, data in before.items():
        assert read(path) == data, path + " has changed"
    assert (names(disk.path), names(os.path.join(disk.path, "gcodes"))) == listed, "something was left behind"
    value = printer.get("/server/database/item?namespace=t&key=small")["value"]
    assert value == 1, value
    assert printer.klippy_state() == "ready" and printer.script("G1 X5 F600")[0] == 200
    log = os.path.join(disk.path, "logs", "lockstep.log")
    for _ in range(60):  # each is told to the log, whose last block still had room
        size = os.path.getsize(log)
        printer.restart()
        printer.wait_ready()
        if os.path.getsize(log) == size:
            break
    print("\n".join(line.split("\n")[0] for line in said))


def read_only(program, folder):
    """A configuration folder that is mounted read-only: SAVE_CONFIG says so, and what is pending stays pending."""
    conf = os.path.join(folder, "conf")
    os.mkdir(conf)
    config = os.path.join(conf, "printer.cfg")
    with open(config, "w", encoding="utf-8") as file:
        file.write(CONFIG % (folder, folder))
    subprocess.run(["mount", "--bind", conf, conf], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", conf], check=True)
    printer = daemon.Printer(program, config, folder, "--sim", "--speed", "max")
    try:
        printer.wait_ready()
        assert printer.script(OFFSET)[0] == 200
        before = read(config)
        status, reply = printer.script("SAVE_CONFIG")
        assert status == 400 and "Read-only file system" in message(reply), reply
        assert read(config) == before and names(conf) == ["printer.cfg"]
        assert printer.status("configfile=save_config_pending")["configfile"]["save_config_pending"] is True
        assert printer.klippy_state() == "ready"
        print(message(reply))
        printer.stop()
    finally:
        printer.process.poll() is None and printer.process.kill()
        subprocess.run(["umount", "-l", conf], check=False)


def run(program, folder):
    disk = Disk(folder)
    config = os.path.join(folder, "printer.cfg")
    with open(config, "w", encoding="utf-8") as file:
        file.write(CONFIG % (folder, folder))
    printer = daemon.Printer(program, config, folder, "--sim", "--speed", "max")
    try:
        printer.wait_ready()
        assert printer.script("G28")[0] == 200
        assert printer.script("SAVE_VARIABLE VARIABLE=a VALUE=1")[0] == 200
        assert printer.upload_file("old.gcode", b"G28\n")[0] == 201
        assert printer.call("POST", "/server/database/item", {"namespace": "t", "key": "small", "value": 1})[0] == 200
        assert printer.script(OFFSET)[0] == 200
        disk.fill()
        while_full(printer, disk, config)
        disk.free()
        printer.restart()
        printer.wait_ready()
        with open(os.path.join(folder, "logs", "lockstep.log"), encoding="utf-8") as file:
            assert "log: records dropped count=" in file.read(), "the log does not say what it lacks"
        status, reply = printer.upload_file("new.gcode", b"G28\n" * (BIG // 4))
        assert status == 201, reply
        assert printer.call("POST", "/server/database/item", {"namespace": "t", "key": "big", "value": "z" * BIG})[0] == 200
        status, reply = printer.script("SAVE_VARIABLE VARIABLE=b VALUE=2")
        assert status == 200, reply
        assert printer.script(OFFSET)[0] == 200
        printer.script("SAVE_CONFIG")
        printer.wait("the saved configuration", lambda: b"SAVE_CONFIG" in read(config), 20)
        printer.wait_ready()
        disk.fill()
        printer.stop()  # in order, although its last lines of the log have no room
        disk.free()
        read_only(program, folder)
    finally:
        printer.process.poll() is None and printer.process.kill()
        subprocess.run(["umount", "-l", folder], check=False)


def main():
    if len(sys.argv) == 3:
        run(sys.argv[1], sys.argv[2])
        return
    with tempfile.TemporaryDirectory(prefix="lockstep-disk-") as folder:
        for unshare in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
            try:
                subprocess.run([*unshare, "mount", "-t", "tmpfs", "tmpfs", folder], check=True, capture_output=True)
            except (OSError, subprocess.CalledProcessError):
                continue
            sys.exit(subprocess.run([*unshare, sys.executable, "-B", *sys.argv, folder], check=False).returncode)
    print("SKIPPED: a full disk needs a mount namespace of its own, which this machine does not permit")


if __name__ == "__main__":
    main()
