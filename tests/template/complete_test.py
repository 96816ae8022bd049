"""Every filter, test and global of the real Jinja2, and every public method and attribute of Python's str, list, tuple,
dict, int, float and range, is known to our engine: by name, from the originals' own tables.

usage: complete_test.py RENDER_BATCH"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import differential_test  # noqa: E402 (which skips where there is no Jinja2 of the right version)
from jinja2.defaults import DEFAULT_NAMESPACE  # noqa: E402
from jinja2.filters import FILTERS  # noqa: E402
from jinja2.tests import TESTS  # noqa: E402
from markupsafe import Markup  # noqa: E402

VALUES = {"''": str(), "[]": [], "()": (), "{}": {}, "(1)": 1, "(1.5)": 1.5, "range(3)": range(3), "''|e": Markup(), "true": True}
MARKUP_ONLY = [name for name in ("escape", "striptags", "unescape") if hasattr(Markup, name)]
# What the documentation of templates lists beside the tables.
STATEMENTS = {"{% for x in [1] recursive %}{% else %}{% endfor %}": "", "{% if 1 %}a{% elif 2 %}{% else %}{% endif %}": "a",
              "{% macro m() %}a{% endmacro %}{{ m() }}": "a", "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}b{% endcall %}": "b",
              "{% filter upper %}a{% endfilter %}": "A", "{% set a = 1 %}{{ a }}": "1", "{% set a %}b{% endset %}{{ a }}": "b",
              "{% with a = 1 %}{{ a }}{% endwith %}": "1", "{% autoescape true %}{{ '<' }}{% endautoescape %}": "&lt;",
              "{% raw %}{{ a }}{% endraw %}": "{{ a }}", "{% do [].append(1) %}": "", "{% print 'a' %}": "a", "{# c #}": ""}
LOOP = "index index0 revindex revindex0 first last length cycle depth depth0 previtem nextitem changed".split()
OUT = {"extends 'x'": "extends", "include 'x'": "include", "import 'x' as y": "import", "from 'x' import y": "from", "block b": "block"}


def main():
    questions = {}
    for name in FILTERS:
        questions[f"{{ '{name}' is filter }}"] = f"filter {name}"
    for name in TESTS:
        questions[f"{{ '{name}' is test }}"] = f"test {name}"
    for name in list(DEFAULT_NAMESPACE) + ["self"]:
        questions[f"{{ {name} is defined }}"] = f"global {name}"
    for value, original in VALUES.items():
        names = [name for name in dir(original) if not name.startswith("_")] if value != "''|e" else MARKUP_ONLY + dir("")
        for name in (name for name in names if not name.startswith("_")):
            questions[f"{{ ({value}).{name} is defined }}"] = f"{type(original).__name__}.{name}"
    for name in LOOP:
        questions["{% for x in [1, 2] %}{ (loop." + name + " is defined) if loop.first else '' }{% endfor %}"] = f"loop.{name}"
    questions["{% for x in [1, 2] %}{ (loop.previtem is defined) if loop.last else '' }{% endfor %}"] = "loop.previtem"
    del questions["{% for x in [1, 2] %}{ (loop.previtem is defined) if loop.first else '' }{% endfor %}"]
    cases = [{"t": text, "c": {}} for text in questions]
    missing = [questions[case["t"]] for case, got in zip(cases, differential_test.run(sys.argv[1], cases)) if got.get("text") != "True"]
    dress = [(text.replace("{{ ", "{ ").replace(" }}", " }"), want.replace("{{ ", "{ ").replace(" }}", " }")) for text, want in STATEMENTS.items()]
    answers = differential_test.run(sys.argv[1], [{"t": text, "c": {}} for text, _ in dress])
    missing += [text for (text, want), got in zip(dress, answers) if got.get("text") != want]
    answers = differential_test.run(sys.argv[1], [{"t": "{% " + text + " %}", "c": {}} for text in OUT])
    words = "is not available: templates here cannot inherit or include"
    missing += [f"a clear error for {word}" for word, got in zip(OUT.values(), answers) if f"'{word}' {words}" not in got.get("error", "")]
    print(f"{len(FILTERS)} filters, {len(TESTS)} tests, {len(DEFAULT_NAMESPACE)} globals, {len(questions)} names in all; missing:", missing or "none")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
