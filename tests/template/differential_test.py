"""Renders templates with our engine and with the real Jinja2: the texts must be equal, or the errors of the same kind.

usage: differential_test.py RENDER_BATCH [--seed N] [--seeds N] [--count N] [--show N] [--only TEXT] [--part N]

Templates come from cases.txt (hand-picked; a pilcrow is a line end), from tables of filters, tests, methods and formats
crossed with values, and from a generator with a seed. long.sh runs many seeds."""
import argparse
import collections
import json
import re
import subprocess
import sys

try:
    import jinja2
except ImportError:
    print("python3-jinja2 is not installed: skipped")
    sys.exit(77)
if not jinja2.__version__.startswith("3.1."):
    print("Jinja2", jinja2.__version__, "is not 3.1: skipped")
    sys.exit(77)

from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import generate  # noqa: E402
import reference  # noqa: E402
import tables  # noqa: E402

# Templates that cannot be compared, and why. Everything else is.
LEFT_OUT = [
    (re.compile(r"\|\s*random\b(?!\|string\|length)|\blipsum\((?!n=1\)\|length)"), "its result is random"),
    (re.compile(r"\{%[-+]?\s*(extends|block|include|import|from)\b"), "inheritance and include: an error that says so"),
    (re.compile(r"\b__\w+__"), "the insides of Python's objects"),
]
# What our error says -> what the original must have met (reference.what_is_beyond).
LIMITS = [("64 bits", "64 bits"), ("complex", "complex"), ("MemoryError", "memory"), ("runs for more than", "memory")]
SYNTAX = {"TemplateSyntaxError", "TemplateAssertionError", "SyntaxError"}  # found by its parser, or by Python's
ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}", re.IGNORECASE)


def load_cases(name):
    cases = []
    for line in (Path(__file__).parent / name).read_text().splitlines():
        if line and not line.startswith("##"):
            cases.append({"t": line.replace("¶", "\n"), "c": tables.CONTEXT})
    return cases


def kind_of(error):
    match = re.match(r"test: line \d+: (?:(\w+(?:Error|Exception|Iteration)): )?", error)
    if not match:
        return "?"
    return match.group(1) or "TemplateSyntaxError"


def verdict(case, want, got):
    """"text", "error" or "limit" if both agree, "" if they differ."""
    kind, text = want
    if kind == "UndefinedError" and re.fullmatch(r"'(int|bool) object' has no attribute 'is_integer'", text):
        return "newer Python"  # int has it from 3.12 on, and so have we
    if "text" in got:
        return "text" if kind == "" and ADDRESS.sub("", got["text"]) == ADDRESS.sub("", text) else ""
    ours = kind_of(got["error"])
    if kind == ours or (kind in SYNTAX and ours in SYNTAX):
        return "error"
    unknown = re.search(r"No (?:filter|test) named '([^']*)'", got["error"])
    if unknown and unknown.group(1) in reference.unknown_names(case):
        return "unknown name"
    if "'bytes object' has no attribute" in got["error"]:
        return "bytes"  # only decode and hex
    for words, limit in LIMITS:
        if words in got["error"] and limit in reference.what_is_beyond(case):
            return "limit"
    return ""


def run(program, cases):
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    done = subprocess.run([program], input=lines.encode(), stdout=subprocess.PIPE, check=False)
    answers = [json.loads(line) for line in done.stdout.decode().split("\n") if line]
    if done.returncode or len(answers) != len(cases):
        print("the program ended with", done.returncode, "at:", json.dumps(cases[min(len(answers), len(cases) - 1)]))
        sys.exit(1)
    return answers


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1, help="generate from so many seeds, from --seed on")
    parser.add_argument("--count", type=int, default=3000, help="generated templates of each seed")
    parser.add_argument("--show", type=int, default=25)
    parser.add_argument("--only", default="")
    parser.add_argument("--part", type=int, default=1, help="take each Nth template of the tables only")
    args = parser.parse_args()
    groups = {"hand-picked": load_cases("cases.txt"), "tables": tables.cases()[args.seed % args.part::args.part],
              "generated": [case for seed in range(args.seed, args.seed + args.seeds) for case in generate.cases(seed, args.count)]}
    counts = collections.Counter()
    cases = []
    for case in (case for group in groups.values() for case in group if args.only in case["t"]):
        if any(pattern.search(case["t"]) for pattern, _ in LEFT_OUT):
            counts["left out"] += 1
        else:
            cases.append(case)
    environments = {}
    for case, got in zip(cases, run(args.program, cases)):
        want = reference.expected(case, environments)
        same = verdict(case, want, got)
        counts[same or "different"] += 1
        if not same and counts["different"] <= args.show:
            print("template:", repr(case["t"]), case.get("o", ""), "\n    Jinja2:", want, "\n    ours:  ", got)
    print(f"Jinja2 {jinja2.__version__}, seeds {args.seed}..{args.seed + args.seeds - 1}:",
          ", ".join(f"{name} {len(group)}" for name, group in groups.items()))
    print(f"same text {counts['text']}, same kind of error {counts['error']}, beyond our limits {counts['limit']}, "
          f"unknown filters in dropped code {counts['unknown name']}, of newer Pythons {counts['newer Python']}, "
          f"other methods of bytes {counts['bytes']}, left out {counts['left out']}, different: {counts['different']}")
    return 1 if counts["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
