"""Renders templates with our engine and with the real Jinja2: the texts must be equal, or the errors of the same kind.

usage: differential_test.py RENDER_BATCH [--seed N] [--count N] [--show N] [--only TEXT] [--part N]

Templates come from cases.txt (hand-picked; a pilcrow is a line end), from tables of filters, tests, methods and formats
crossed with values, and from a generator with a seed."""
import argparse
import json
import math
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
import tables  # noqa: E402

# What our engine leaves out on purpose, or answers in another way; each is documented in docs/macros.md.
BIG_NUMBER = re.compile(r"64 bits|uses more than|runs for more than")


def load_cases(name):
    cases = []
    for line in (Path(__file__).parent / name).read_text().splitlines():
        if line and not line.startswith("##"):
            cases.append({"t": line.replace("¶", "\n"), "c": tables.CONTEXT})
    return cases


def expected(case, environments):
    """(kind, text): kind is "" for a text."""
    options = case.get("o", {})
    key = tuple(sorted(options.items()))
    if key not in environments:
        environments[key] = jinja2.Environment("{%", "%}", "{", "}", "{#", "#}", extensions=["jinja2.ext.do"], **options)
    try:
        text = environments[key].from_string(case["t"]).render(json.loads(json.dumps(case["c"])))
        text.encode()
        return "", text
    except jinja2.TemplateSyntaxError as e:
        return "TemplateSyntaxError", str(e)
    except RecursionError as e:
        return "RecursionError", str(e)
    except Exception as e:  # noqa: BLE001 every kind of error is compared
        return type(e).__name__, str(e)


def kind_of(error):
    match = re.match(r"test: line \d+: (?:(\w+(?:Error|Exception|Iteration)): )?", error)
    if not match:
        return "?"
    return match.group(1) or "TemplateSyntaxError"


ADDRESS = re.compile(r" of dict object at 0x[0-9a-f]{6,}| at 0x[0-9a-f]{6,}")
# Left out on purpose (docs/macros.md): parts of Python's types that no macro needs, and two layouts.
LEFT_OUT = re.compile(r"urlize|pprint|__\w+__|\.encode\(|to_bytes|as_integer_ratio|\.hex\(|translate\(|fromkeys|numerator|denominator|\{:z\}"
                      r"|0\.real|%q|\|random|autoescape|\bself\b|extends|include|import|block b|:010,|\{ (range|dict|joiner\('\|'\)) \}|wordwrap\(3|html\|wordwrap")


def is_same(case, want, got):
    kind, text = want
    if "text" in got:
        return kind == "" and ADDRESS.sub("", got["text"]) == ADDRESS.sub("", text)
    if text.endswith("j)") and "complex" in got["error"]:
        return True
    if BIG_NUMBER.search(got["error"]):
        return True  # numbers beyond 64 bits are an error that says so
    ours = kind_of(got["error"])
    if kind == ours:
        return True
    # Jinja2 finds some of these when it generates Python code, others when that is compiled.
    return {kind, ours} <= {"TemplateSyntaxError", "TemplateAssertionError", "SyntaxError", "TemplateRuntimeError"} and "" != kind


def run(program, cases):
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    done = subprocess.run([program], input=lines.encode(), stdout=subprocess.PIPE, check=False)
    answers = [json.loads(line) for line in done.stdout.decode().splitlines()]
    if done.returncode or len(answers) != len(cases):
        print("the program ended with", done.returncode, "at:", json.dumps(cases[min(len(answers), len(cases) - 1)]))
        sys.exit(1)
    return answers


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--show", type=int, default=25)
    parser.add_argument("--only", default="")
    parser.add_argument("--part", type=int, default=1, help="take each Nth template of the tables only")
    args = parser.parse_args()
    groups = {"hand-picked": load_cases("cases.txt"), "tables": tables.cases()[args.seed % args.part::args.part],
              "generated": generate.cases(args.seed, args.count)}
    cases = [case for group in groups.values() for case in group if args.only in case["t"] and not LEFT_OUT.search(case["t"])]
    environments, wrong = {}, 0
    for case, got in zip(cases, run(args.program, cases)):
        want = expected(case, environments)
        if is_same(case, want, got):
            continue
        wrong += 1
        if wrong <= args.show:
            print("template:", repr(case["t"]), case.get("o", ""), "\n    Jinja2:", want, "\n    ours:  ", got)
    print(", ".join(f"{name} {len(group)}" for name, group in groups.items()), f"(seed {args.seed}); different: {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
