#!/usr/bin/env python3
"""Boards that lie, at the other end of a pty: silence, noise, half frames, data dictionaries that are no dictionary, that
inflate without end, that name impossible clocks or no commands. Each time the daemon says what is wrong with which board,
keeps serving, comes ready once a real board is there, and ends with status 0 on Ctrl-C.

    bad_board_e2e.py LOCKSTEP
"""

import json
import os
import pty
import sys
import tempfile
import threading
import time
import tty
import zlib

import daemon
import pty_e2e
import wire

ANSWER_S = 40  # Klipper's hosts give a board that does not answer 90 s; a lie is noticed at once
RSS_MAX_KIB = 400 << 10  # with a sanitizer; without one it is a tenth


def vlq(value):
    out = [value & 0x7F]
    while value >= 0x60 or value < -0x20:
        value >>= 7
        out.append((value & 0x7F) | 0x80)
        if -0x20 <= value < 0x60:
            break
    return bytes(reversed(out))


def block(sequence, payload):
    body = bytes([len(payload) + 5, 0x10 | sequence]) + payload
    crc = wire.crc16(body)
    return body + bytes([crc >> 8, crc & 0xFF, wire.SYNC])


class LyingBoard:
    """Answers identify from `dictionary` (compressed bytes), through `damage`; acknowledges all else."""

    def __init__(self, link, dictionary, damage=None, noise=None):
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.link, self.dictionary = link, dictionary
        self.damage, self.noise = damage or (lambda data: data), noise
        os.symlink(os.ttyname(slave), link)
        self.slave, self.ended, self.expected = slave, False, 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        reader = wire.BlockReader()
        try:
            while not self.ended:
                data = os.read(self.master, 4096)
                if self.noise:
                    os.write(self.master, self.noise())
                    continue
                for sequence, payload in reader.feed(data):
                    self.answer(sequence, payload)
        except OSError:
            pass

    def answer(self, sequence, payload):
        self.expected = (sequence + 1) & 15
        reply = b""
        if self.dictionary is not None and payload and payload[0] == 1:
            offset, at = wire.read_vlq(payload, 1)
            count, _ = wire.read_vlq(payload, at)
            data = self.dictionary(offset, count) if callable(self.dictionary) else self.dictionary[offset:offset + count]
            reply = block(self.expected, b"\0" + vlq(offset) + bytes([len(data)]) + data)
        os.write(self.master, self.damage(reply + block(self.expected, b"")))

    def stop(self):
        self.ended = True
        os.unlink(self.link)
        os.close(self.slave)
        os.close(self.master)
        self.thread.join(5)


def packed(value, level=9):
    return zlib.compress(value if isinstance(value, bytes) else json.dumps(value).encode(), level)


GOOD = {"version": "v1", "build_versions": "x", "commands": {"identify offset=%u count=%c": 1, "get_uptime": 2, "get_clock": 3,
                                                           "get_config": 4, "emergency_stop": 5, "finalize_config crc=%u": 6,
                                                           "allocate_oids count=%c": 7},
        "responses": {"identify_response offset=%u data=%.*s": 0, "uptime high=%u clock=%u": 8, "clock clock=%u": 9,
                      "config is_config=%c crc=%u is_shutdown=%c move_count=%hu": 10},
        "enumerations": {"pin": {"PA0": [0, 16]}}, "config": {"CLOCK_FREQ": 16000000, "MCU": "liar"}}


def changed(**more):
    return packed({**GOOD, **more})


CASES = [
    ("no dictionary at all", {"dictionary": b""}),
    ("not compressed", {"dictionary": b"{}" * 20}),
    ("not JSON", {"dictionary": packed(b"hello")}),
    ("a list", {"dictionary": packed([])}),
    ("nothing in it", {"dictionary": packed({})}),
    ("100 MB of zeros", {"dictionary": packed(b"0" * (100 << 20))}),
    ("10,000 brackets", {"dictionary": packed(b"[" * 10000)}),
    ("without end", {"dictionary": lambda offset, count: bytes((offset + i) * 7 & 255 for i in range(count))}),
    ("cut off", {"dictionary": packed(GOOD)[:-20]}),
    ("NUL bytes in it", {"dictionary": packed(b'{"config": {"MCU": "a\\u0000b"}}')}),
    ("commands that are numbers", {"dictionary": changed(commands=5)}),
    ("formats that are none", {"dictionary": changed(commands={"get_clock %% =": 3, "=%u": 4, "": 5, "x y=%q": 6})}),
    ("two messages of one number", {"dictionary": changed(responses={"clock clock=%u": 3, "uptime high=%u clock=%u": 3})}),
    ("a number beyond all", {"dictionary": changed(commands={**GOOD["commands"], "get_clock": 1 << 40})}),
    ("a clock of 0", {"dictionary": changed(config={"CLOCK_FREQ": 0})}),
    ("a negative clock", {"dictionary": changed(config={"CLOCK_FREQ": -5})}),
    ("a clock of 1e300", {"dictionary": changed(config={"CLOCK_FREQ": 1e300})}),
    ("a clock in words", {"dictionary": changed(config={"CLOCK_FREQ": "fast"})}),
    ("no clock", {"dictionary": changed(config={})}),
    ("pins without bounds", {"dictionary": changed(enumerations={"pin": {"PA0": [0, 1 << 30], "PB0": [-5, -5], "x": "y"}})}),
    ("a dictionary of a board that answers nothing", {"dictionary": packed(GOOD)}),
]
SLOW = [  # nothing comes that could be called wrong: only patience ends
    ("silence", {"dictionary": None, "damage": lambda data: b""}),
    ("noise", {"dictionary": None, "noise": lambda: os.urandom(3000)}),
    ("half frames", {"dictionary": packed(GOOD), "damage": lambda data: data[:len(data) // 2]}),
    ("flipped bits", {"dictionary": packed(GOOD), "damage": lambda data: bytes(byte ^ 4 for byte in data)}),
    ("0x7e only", {"dictionary": None, "damage": lambda data: b"\x7e" * 500}),
]


def state(printer):
    status, reply = printer.call("GET", "/printer/info")
    if status == 503:  # one printer has gone, the next is not there yet
        return "disconnected", ""
    info = reply["result"]
    return info["state"], info["state_message"]


def try_board(printer, link, name, options, is_slow):
    liar = LyingBoard(link, **options)
    begin = time.monotonic()
    printer.restart(ANSWER_S)
    if is_slow:
        time.sleep(3)  # it may go on asking; what matters is that everything else goes on too
    else:
        printer.wait(name, lambda: state(printer)[0] in ("error", "shutdown"), ANSWER_S)
    took = time.monotonic() - begin
    found, message = state(printer)
    assert is_slow or "mcu" in message, (name, message)
    assert printer.get("/server/info")["klippy_connected"] is not None
    assert printer.rss_kib() < RSS_MAX_KIB, (name, printer.rss_kib())
    liar.stop()
    first = message.split("\n")[0]
    print(f"{name}: {found} after {took:.1f} s: {first[:150]}", flush=True)


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="lockstep-liar-") as folder:
        link, config = os.path.join(folder, "board"), os.path.join(folder, "printer.cfg")
        with open(config, "w", encoding="ascii") as file:
            file.write(pty_e2e.CONFIG.format(pty=link))
        printer = daemon.Printer(program, config, folder)
        try:
            for name, options in CASES:
                try_board(printer, link, name, options, False)
            for name, options in SLOW:
                try_board(printer, link, name, options, True)
            board = daemon.Board(program, link, config)
            try:
                printer.request("POST", "/printer/firmware_restart")
                printer.wait_ready(60)
                print(f"then a real board: ready; {printer.rss_kib()} KiB resident")
                begin = time.monotonic()
                printer.stop()
                assert time.monotonic() - begin < 10
                board.stop()
            finally:
                board.process.poll() is None and board.process.kill()
        finally:
            printer.process.poll() is None and printer.process.kill()


if __name__ == "__main__":
    main()
