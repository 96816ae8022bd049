"""Reads what crossed a board's port (`lockstep run --sim --record DIR`) and works out what the board did: an independent
reading of the protocol that shares no code with the program. Used by the checkers of tests/sim."""

import json
import zlib

SYNC = 0x7E
BLOCK_MIN, BLOCK_MAX = 5, 64


def crc16(data):
    crc = 0xFFFF
    for byte in data:
        byte ^= crc & 0xFF
        byte ^= (byte & 0x0F) << 4
        crc = ((byte << 8) | (crc >> 8)) ^ (byte >> 4) ^ (byte << 3)
    return crc & 0xFFFF


def read_vlq(data, at):
    byte = data[at]
    at += 1
    value = byte & 0x7F
    if byte & 0x60 == 0x60:
        value |= -0x20
    while byte & 0x80:
        byte = data[at]
        at += 1
        value = (value << 7) | (byte & 0x7F)
    return value, at


class Format:
    """One message format of the dictionary."""

    def __init__(self, text):
        words = text.split()
        self.name = words[0]
        self.fields = [word.split("=") for word in words[1:]]

    def parse(self, data, at):
        values = {}
        for name, kind in self.fields:
            if kind in ("%*s", "%.*s", "%s"):
                length = data[at]
                values[name] = data[at + 1:at + 1 + length]
                at += 1 + length
                continue
            value, at = read_vlq(data, at)
            values[name] = value if kind in ("%i", "%hi") else value & 0xFFFFFFFF
        return values, at


class BlockReader:
    """Cuts a byte stream into valid blocks, as a receiver does."""

    def __init__(self):
        self.buffer = bytearray()
        self.bad = 0

    def feed(self, data):
        self.buffer += data
        blocks = []
        while len(self.buffer) >= BLOCK_MIN:
            if self.buffer[0] == SYNC:
                del self.buffer[0]
                continue
            length = self.buffer[0]
            good = BLOCK_MIN <= length <= BLOCK_MAX and self.buffer[1] & 0xF0 == 0x10
            if good and len(self.buffer) < length:
                break
            block = bytes(self.buffer[:length])
            if good and block[-1] == SYNC and crc16(block[:-3]) == block[-3] << 8 | block[-2]:
                blocks.append((block[1] & 0x0F, block[2:-3]))
                del self.buffer[:length]
                continue
            self.bad += 1
            end = self.buffer.find(bytes([SYNC]))
            del self.buffer[:len(self.buffer) if end < 0 else end + 1]
        return blocks


def read_lines(path):
    with open(path, encoding="ascii") as lines:
        for line in lines:
            if line.startswith("#"):
                continue
            clock, direction, text = line.split()
            yield int(clock), direction, bytes.fromhex(text)


def dictionary_of(path):
    """The data dictionary as the board sent it."""
    chunks, reader = {}, BlockReader()
    for _, direction, data in read_lines(path):
        if direction == "<":
            for _, payload in reader.feed(data):
                if payload and payload[0] == 0:
                    offset, at = read_vlq(payload, 1)
                    chunks[offset] = payload[at + 1:at + 1 + payload[at]]
        if chunks and any(len(chunk) == 0 for chunk in chunks.values()):
            break
    return json.loads(zlib.decompress(b"".join(chunks[offset] for offset in sorted(chunks))))


def messages(path, dictionary):
    """(clock, direction, name, values) in the order in which they arrived: commands that the board accepted (blocks with
    the sequence number it expected, so a retransmission counts once), and everything it sent."""
    commands = {number: Format(text) for text, number in dictionary["commands"].items()}
    answers = {number: Format(text) for text, number in dictionary["responses"].items()}
    answers.update({number: Format(text) for text, number in dictionary.get("output", {}).items()})
    readers = {">": BlockReader(), "<": BlockReader()}
    expected = 0
    for clock, direction, data in read_lines(path):
        for sequence, payload in readers[direction].feed(data):
            if direction == ">":
                if sequence != expected:
                    continue
                expected = (sequence + 1) & 0x0F
            at = 0
            while at < len(payload):
                number, at = read_vlq(payload, at)
                form = (commands if direction == ">" else answers)[number]
                values, at = form.parse(payload, at)
                if direction == "<" and form.name == "starting":
                    expected = 0
                yield clock, direction, form.name, values


class Stepper:
    """Steps of one stepper, as the board takes them: (clock, +1 or -1), clocks extended to 64 bits."""

    def __init__(self, pins):
        self.pins = pins
        self.next_direction, self.last_clock = 0, 0
        self.steps = []            # (clock, sign)
        self.needs_reset = False
        self.trsync = None

    def queue(self, arrival, interval, count, add):
        if self.needs_reset:
            return
        sign = 1 if self.next_direction else -1
        clock = self.last_clock
        for i in range(count):
            clock += interval + i * add
            if i == 0:
                # 32 bits travel: the instant nearest to the arrival of the command is meant.
                clock = arrival + ((clock - arrival + 0x80000000) & 0xFFFFFFFF) - 0x80000000
            self.steps.append((clock, sign))
        self.last_clock = clock

    def stop(self, clock):
        """The trigger at `clock` wipes what has not been stepped."""
        while self.steps and self.steps[-1][0] > clock:
            self.steps.pop()
        self.needs_reset, self.last_clock, self.next_direction = True, 0, 0


class Board:
    """Plays the commands of a recording and keeps what came of them."""

    def __init__(self, path):
        self.dictionary = dictionary_of(path)
        self.freq = self.dictionary["config"]["CLOCK_FREQ"]
        self.pin_names = {}
        for name, value in self.dictionary["enumerations"]["pin"].items():
            if isinstance(value, list):
                stem = name.rstrip("0123456789")
                first = int(name[len(stem):] or 0)
                for i in range(value[1]):
                    self.pin_names.setdefault(value[0] + i, f"{stem}{first + i}")
            else:
                self.pin_names.setdefault(value, name)
        self.steppers, self.outputs, self.triggers = {}, {}, []
        self.shutdowns, self.late = [], []
        self.endstops, self.rest_ticks = {}, {}
        for clock, direction, name, values in messages(path, self.dictionary):
            handler = getattr(self, ("on_" if direction == ">" else "from_") + name, None)
            if handler:
                handler(clock, **values)

    # --- commands ---
    def on_config_stepper(self, arrival, oid, step_pin, dir_pin, **_):
        self.steppers[oid] = Stepper((self.pin_names[step_pin], self.pin_names[dir_pin]))

    def on_queue_step(self, arrival, oid, interval, count, add):
        self.steppers[oid].queue(arrival, interval, count, add)

    def on_set_next_step_dir(self, arrival, oid, dir):
        self.steppers[oid].next_direction = dir

    def on_reset_step_clock(self, arrival, oid, clock):
        self.steppers[oid].needs_reset = False
        self.steppers[oid].last_clock = clock

    def on_stepper_stop_on_trigger(self, arrival, oid, trsync_oid):
        self.steppers[oid].trsync = trsync_oid

    def on_endstop_home(self, arrival, oid, sample_count, rest_ticks, **_):
        if sample_count:
            self.rest_ticks[oid] = rest_ticks

    def on_config_endstop(self, arrival, oid, pin, **_):
        self.endstops[oid] = self.pin_names[pin]

    def on_config_digital_out(self, arrival, oid, pin, value, default_value, max_duration):
        self.outputs[oid] = {"pin": self.pin_names[pin], "max_duration": max_duration, "updates": [],
                             "default": default_value}

    def on_config_pwm_out(self, arrival, oid, pin, value, default_value, max_duration, **_):
        self.on_config_digital_out(arrival, oid, pin, value, default_value, max_duration)

    def on_queue_digital_out(self, arrival, oid, clock, on_ticks):
        self.outputs[oid]["updates"].append((clock, on_ticks))

    def on_queue_pwm_out(self, arrival, oid, clock, value):
        self.outputs[oid]["updates"].append((clock, value))

    def on_update_digital_out(self, arrival, oid, value):
        self.outputs[oid]["updates"].append((arrival, value))

    def on_emergency_stop(self, arrival):
        for output in self.outputs.values():
            output["updates"].append((arrival, output["default"]))

    # --- answers ---
    def from_trsync_state(self, arrival, oid, can_trigger, trigger_reason, **_):
        if can_trigger == 0:
            for stepper in self.steppers.values():
                if stepper.trsync == oid:
                    stepper.stop(arrival)
                    stepper.trsync = None

    def from_endstop_state(self, arrival, oid, next_clock, **_):
        if oid in self.rest_ticks and next_clock:
            at = (next_clock - self.rest_ticks[oid]) & 0xFFFFFFFF
            at = arrival + ((at - arrival + 0x80000000) & 0xFFFFFFFF) - 0x80000000
            self.triggers.append((at, self.endstops[oid]))

    def from_shutdown(self, arrival, static_string_id, **_):
        names = {number: text for text, number in self.dictionary["enumerations"]["static_string_id"].items()}
        self.shutdowns.append(names.get(static_string_id, str(static_string_id)))

    def stepper_at(self, step_pin):
        return next(s for s in self.steppers.values() if s.pins[0] == step_pin)

    def output_at(self, pin):
        return next(o for o in self.outputs.values() if o["pin"] == pin)
