"""differential_test.py DUMP_CONFIG [SEED [COUNT]]: generated configurations through our reader and through Python's
configparser, with the settings and the preprocessing of the host whose files people have: the same sections, options and
values in the same order, or both refuse.

What differs on purpose, and is therefore not generated: a byte order mark is skipped (there: an error), a section DEFAULT
is an error (there: its options go into every section), NUL bytes are an error, a damaged SAVE_CONFIG block is an error
(there: ignored with a line in the log). A few of these, and files that no generator would make, are checked at the end."""

import configparser
import glob
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

HEADER = "#*# <---------------------- SAVE_CONFIG ---------------------->\n"
EDIT = "#*# DO NOT EDIT THIS BLOCK OR BELOW. The contents are auto-generated.\n#*#\n"


class Refused(Exception):
    pass


# ------------------------------------------------------------------------------------------------- the other reader

def new_parser():
    return configparser.RawConfigParser(strict=False, inline_comment_prefixes=(";", "#"))


def parse_buffer(parser, lines, name):
    try:
        parser.read_file(io.StringIO("\n".join(lines)), name)
    except configparser.Error as error:
        raise Refused(str(error)) from error
    del lines[:]


def read_text(path):
    try:
        with open(path, encoding="utf-8") as file:  # universal newlines
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(str(error)) from error


def parse_file(parser, path, text, stack):
    if os.path.realpath(path) in stack:
        raise Refused("recursive include of " + path)
    stack = stack + [os.path.realpath(path)]
    lines = []
    for line in text.split("\n"):
        line = line.partition("#")[0]
        section = configparser.RawConfigParser.SECTCRE.match(line)
        header = section and section.group("header")
        if not header or not header.startswith("include "):
            lines.append(line)
            continue
        parse_buffer(parser, lines, path)
        pattern = os.path.join(os.path.dirname(path), header[8:].strip())
        found = sorted(glob.glob(pattern))
        if not found and not glob.has_magic(pattern):
            raise Refused("nothing at " + pattern)
        for other in found:
            parse_file(parser, other, read_text(other), stack)
    parse_buffer(parser, lines, path)


def reference(path):
    text, parser = read_text(path), new_parser()
    above, mark, block = text.partition("\n" + HEADER)
    parse_file(parser, path, above + "\n", [])
    if mark:
        lines = [line[4:] for line in block.split("\n") if not line.startswith(EDIT[:20])]
        parse_buffer(parser, lines, path)
    return [[section, [list(item) for item in parser.items(section)]] for section in parser.sections()]


# -------------------------------------------------------------------------------------------------------- generator

SECTIONS = ["[a]", "[a b]", "[ c ]", "[a] rest", "[a] ; c", "[A]", "[a]]", "[[d]]", "[e:f]", "[g=h]", "[i;j]", "[k ;l]", "[é]",
            "[a\tb]", "[include]", "[Include x.cfg]", "[]", "[m", "n]", "[ ]"]
INCLUDES = ["[include x.cfg]", "[include  x.cfg  ]", "[include sub/*.cfg]", "[include sub/y.cfg] rest", "[include ../%s/x.cfg]",
            "[include nothing*.cfg]", "[include sub/[yz].cfg]", "[include missing.cfg]", "[include x.cfg] # c", "[include ?.cfg]",
            "[include ./sub/../x.cfg]", "[include ]", "[include printer.cfg]"]
NAMES = ["a", "B", "gcode", "Variable_X", "c d", "e-f", "g.h", "é", "pid_Kp", "1", "[x", "{y}", "\"z\""]
DELIMITERS = [":", "=", ": ", " = ", " : ", "\t=\t", ":=", "==", " :  ", "", " "]
PIECES = ["1", "PA1", "word", "a b", "x:y", "k=v", "#c", " #c", ";c", " ;c", "\t;c", "; c", "[s]", "{% if a %}", "{a.b}", "'q'",
          '"r"', ",", "é", "\u4e2d", "\u00a0", "\u3000", "\u2028", "\x85", "\x1c", "\x0c", "\x0b", "\t", "  ", "\\", "%", "-1.5", "!^~", "#*#"]
INDENTS = ["", "", " ", "  ", "    ", "\t", "\t\t", " \t", "\u00a0", "\u00a0\u00a0", "\u3000 ", "\x0c", "\x1c"]


def text_of(rng, low, high):
    return "".join(rng.choice(PIECES) for _ in range(rng.randint(low, high)))


def line_of(rng, case, may_include):
    kind = rng.random()
    if kind < 0.12:
        return rng.choice(["", "", "", " ", "\t", "\u00a0"]) + rng.choice(SECTIONS)
    if kind < 0.16 and may_include:
        line = rng.choice(INCLUDES)
        return rng.choice(["", "", "", "", " "]) + (line % case if "%s" in line else line)
    if kind < 0.55:
        return rng.choice(["", "", "", "", rng.choice(INDENTS)]) + rng.choice(NAMES) + rng.choice(DELIMITERS) + text_of(rng, 0, 3)
    if kind < 0.75:
        return rng.choice(INDENTS) + text_of(rng, 1, 4)
    if kind < 0.87:
        return rng.choice(INDENTS)
    return rng.choice(INDENTS) + rng.choice("#;") + text_of(rng, 0, 3)


def file_of(rng, case, may_include):
    # half of the files are mostly right, so that many are accepted as a whole
    lines = ["[first]", "a: 1"]
    wanted, tame = rng.randint(0, 14), rng.random() < 0.7
    while len(lines) < wanted + 2:
        line = line_of(rng, case, may_include)
        if tame and not accepts(lines + [line]):
            continue
        lines.append(line)
    end = rng.choice(["\n", "\n", "\r\n", "\r"])
    return end.join(lines) + rng.choice(["", end])


def accepts(lines):
    try:
        parse_buffer(new_parser(), [line.partition("#")[0] for line in lines if not line.startswith("[include ")], "x")
        return True
    except Refused:
        return False


def block_of(rng):
    lines = []
    for _ in range(rng.randint(1, 3)):
        lines.append(rng.choice(["[first]", "[a b]", "[saved]"]))
        lines += [f"{rng.choice('abc')} = {rng.choice(['1', 'word', ''])}" for _ in range(rng.randint(0, 3))]
        if rng.random() < 0.3:
            lines += ["p =", "\t1, 2", "\t3, 4"]
    return "\n" + HEADER + EDIT + "".join(f"#*# {line}\n" for line in lines)


def write_case(rng, folder, case):
    root = os.path.join(folder, case)
    os.makedirs(os.path.join(root, "sub"))
    for name in ["printer.cfg", "x.cfg", "sub/y.cfg", "sub/z.cfg"]:
        if name != "printer.cfg" and rng.random() < 0.2:
            continue
        text = file_of(rng, case, may_include=rng.random() < 0.6)
        if name == "printer.cfg" and rng.random() < 0.3:
            text = text.replace("\r\n", "\n").replace("\r", "\n") + block_of(rng)
        with open(os.path.join(root, name), "w", encoding="utf-8", newline="") as file:
            file.write(text)
    return os.path.join(root, "printer.cfg")


# ------------------------------------------------------------------------------------------------------- comparison

def ours(program, paths):
    done = subprocess.run([program], input="".join(path + "\n" for path in paths), stdout=subprocess.PIPE, text=True,
                          encoding="utf-8", check=True)
    answers = [json.loads(line, object_pairs_hook=list) for line in done.stdout.split("\n") if line]
    return [(dict(answer)["errors"], pairs(dict(answer)["config"])) for answer in answers]


def pairs(sections):
    return [[name, [list(item) for item in options]] for name, options in sections]


def differential(program, seed, count):
    folder = tempfile.mkdtemp(prefix="lockstep-config-")
    rng = random.Random(seed)
    paths = [write_case(rng, folder, f"c{i}") for i in range(count)]
    accepted = failed = 0
    for path, (errors, config) in zip(paths, ours(program, paths)):
        try:
            expected = reference(path)
        except Refused as why:
            expected = str(why)
        if isinstance(expected, str) != bool(errors) or (not errors and config != expected):
            failed += 1
            if failed <= 5:
                print(f"{path}\n  expected {expected!r}\n  errors   {errors!r}\n  config   {config!r}")
        accepted += not errors
    print(f"seed {seed}: {count} configurations, {accepted} of them accepted by both, {failed} differences")
    if not failed:
        shutil.rmtree(folder)
    return failed == 0 and accepted > count // 5


def refusals(program):
    """Files beyond what is generated: each is refused with these words, at this line, within a bounded time."""
    folder = tempfile.mkdtemp(prefix="lockstep-config-")
    cases = [
        (b"[a]\nb: 1\0\n", ":2: NUL byte"),
        (b"[a]\nb: \xff\n", ":2: Byte 0xff is not valid UTF-8"),
        (b"[a]\nb: \xed\xa0\x80\n", ":2: Byte 0xed is not valid UTF-8"),
        (b"[a]\n[include printer.cfg]\n", ":2: Recursive include"),
        (b"[a]\n[include .]\n", ":2: Unable to open config file"),
        (b"[DEFAULT]\na: 1\n", ":1: Section 'DEFAULT' is not supported"),
        (b"[a]\n\n#*# <---------------------- SAVE_CONFIG ---------------------->\nb: 1\n", ":4: Can't read autosave"),
        (b"[a]\n" + b"x" * 1000000 + b"\n", ":2: Unable to parse line 'xxx"),
        (b"[a]\nb: " + b"y" * (100 << 20) + b"\n", "too large"),
        (b"\n" * (9 << 20), "too large"),
        (b"".join(b"[s%d]\n" % i for i in range(10001)), ":10001: Too many sections"),
        (b"[a]\n" + b"".join(b"o%d:\n" % i for i in range(200001)), ":200002: Too many options"),
    ]
    paths = []
    for i, (data, _) in enumerate(cases):
        os.mkdir(os.path.join(folder, str(i)))
        paths.append(os.path.join(folder, str(i), "printer.cfg"))
        with open(paths[-1], "wb") as file:
            file.write(data)
    good = True
    for (data, wanted), (errors, _) in zip(cases, ours(program, paths)):
        if not errors or wanted not in errors[0]:
            print(f"{data[:60]!r}: {wanted!r} is not in {[e[:200] for e in errors[:3]]}")
            good = False
    # allowed: a byte order mark, a value of a megabyte, no end of line
    path = os.path.join(folder, "bom.cfg")
    with open(path, "wb") as file:
        file.write(b"\xef\xbb\xbf[a]\nb: " + b"z" * 1000000)
    (errors, config), = ours(program, [path])
    if errors or config != [["a", [["b", "z" * 1000000]]]]:
        print(f"a long value behind a byte order mark: {errors}")
        good = False
    shutil.rmtree(folder)
    return good


def main():
    program = sys.argv[1]
    seed, count = (int(text) for text in (sys.argv[2:] + ["1", "4000"][len(sys.argv) - 2:]))
    results = [differential(program, seed, count), refusals(program)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
