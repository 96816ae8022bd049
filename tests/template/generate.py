"""Random templates from a seed: expressions of every kind, every statement, white-space control, Jinja2's options."""
import random

import tables
from tables import CONTEXT

NAMES = ["i", "n", "f", "g", "s", "u", "html", "num", "l", "ls", "lf", "d", "t", "no", "nil", "e", "empty", "mixed", "users", "ll", "missing", "x", "y", "params.X",
         "printer.toolhead.position.z", "printer.toolhead.position[2]", "params.NAME", "printer['gcode_macro START'].a", "printer.extruder.target", "d.a",
         "nested.k.v[1].w", "loop.index", "loop.last", "loop.index0", "loop.length", "loop.previtem", "loop.nextitem", "loop.revindex", "loop.depth", "ns.a",
         "loop.cycle(1, 'b')", "loop.changed(x)", "caller()", "varargs", "kwargs", "m.arguments", "loop", "ns"]
LITERALS = ["0", "1", "2", "-1", "10", "1.5", "0.1", "3.0", "1e3", "1_000", "0x1f", "'a'", "'12'", "'x y'", "\"q\"", "'é<b>'", "'%d'", "'%s-%.1f'", "'{}|{:>4}'", "'{0!r}'",
            "true", "false", "none", "[]", "[1, 2]", "{}", "{'k': 1}", "()", "(1,)", "''", "[[1, 'a'], [2, 'b']]", "range(4)", "dict(a=1)", "namespace(a=2)",
            "'a' 'b'", "'\\n'", "[1.5, none, 'z']", "{'a': [1], 2: 'b'}"]
TESTS = [name for name in tables.TESTS if name not in ("nosuch",)] + ["divisibleby 2", "eq 1", "sameas none", "in [1, 2, 'a']", "== 2", "gt 'a'", "ne none", "lt 3.0", "eq(x)", "in x"]
OPS = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">", "<=", ">=", "and", "or", "in", "not in", "+", "~", "~", "==", "and", "or"]
METHOD_NAMES = [method for methods in tables.METHODS.values() for method in methods]
GCODE = ["G1 X", " F", "M117 ", "¶", "\n", "  ", "; note", " ", "G28\n", "\n  M104 S", "RESPOND MSG=\"", "\"\n", "x", "\n\n", "\t", "}", "<b>", "%", "#", "{{'{'}}"]
ATTRIBUTES = ["a", "name", "x", "items", "0", "keys", "upper", "k", "b", "real", "start", "nosuch"]
ITEMS = ["l", "range(3)", "ls", "users", "d", "d.items()", "empty", "ll", "range(1, 4)|reverse", "s", "l|map('string')", "users|groupby('city')", "d|dictsort", "ls|select('ne', 'A')", "'ab'", "d.values()",
         "range(5)|batch(2)", "users|map(attribute='age')", "x", "[[1, [2, []]]]"]


class Generator:
    def __init__(self, seed):
        self.rng = random.Random(seed)

    def atom(self):
        r = self.rng
        return r.choice(NAMES) if r.random() < 0.6 else r.choice(LITERALS)

    def arguments(self, depth):
        r = self.rng
        parts = [self.expr(depth) for _ in range(r.choice([0, 1, 1, 2, 3]))]
        if r.random() < 0.3:
            parts.append(f"{r.choice(['a', 'b', 'c', 'attribute', 'default', 'reverse'])}={self.expr(depth)}")
        if r.random() < 0.06:
            parts.append("*" + r.choice(["l", "[1]", "ll", "empty"]))
        if r.random() < 0.06:
            parts.append("**" + r.choice(["{'b': 3}", "d", "{}"]))
        return ", ".join(parts)

    def compound(self, depth):
        r = self.rng
        pick = r.randrange(8)
        if pick == 0:
            return "[" + ", ".join(self.expr(depth - 2) for _ in range(r.randrange(4))) + "]"
        if pick == 1:
            return "{" + ", ".join(f"'{k}': {self.expr(depth - 2)}" for k in "ab"[:r.randrange(3)]) + "}"
        if pick == 2:
            return "(" + ", ".join(self.expr(depth - 2) for _ in range(r.randrange(3))) + r.choice(["", ",", ")"[1:]]) + ")"
        if pick == 3:
            return f"{self.atom()}[{self.expr(depth - 2)}]"
        if pick == 4:
            return f"{r.choice(NAMES)}[{r.choice(tables.SLICES)}]"  # of constants the optimizer makes something else
        if pick == 5:
            return f"{self.atom()}.{r.choice(ATTRIBUTES)}"
        if pick == 6:
            return f"({self.expr(depth - 1)}).{r.choice(METHOD_NAMES)}"
        return f"{r.choice(['m', 'range', 'dict', 'namespace', 'x', 'joiner', 'cycler', 's.split', 's.replace', 'l.index', 'd.get', 'loop'])}({self.arguments(depth - 2)})"

    def expr(self, depth):
        r = self.rng
        if depth <= 0 or r.random() < 0.15:
            return self.atom()
        pick = r.randrange(16)
        if pick < 4:
            return f"{self.expr(depth - 1)} {r.choice(OPS)} {self.expr(depth - 1)}"
        if pick < 8:
            return f"{self.expr(depth - 1)}|{r.choice(tables.FILTERS)}"
        if pick == 8:
            return f"({self.expr(depth - 1)})"
        if pick == 9:
            return f"{self.expr(depth - 1)} is {r.choice(['', 'not '])}{r.choice(TESTS)}"
        if pick == 10:
            tail = f" else {self.expr(depth - 1)}" if r.random() < 0.8 else ""
            return f"{self.expr(depth - 1)} if {self.expr(depth - 1)}{tail}"
        if pick == 11:
            return r.choice(["not ", "-", "+", "- ", "not not "]) + self.expr(depth - 1)
        if pick == 12:
            return f"{self.atom()} {r.choice(['<', '<=', '==', '>'])} {self.atom()} {r.choice(['<', '<=', '!=', '>'])} {self.atom()}"
        return self.compound(depth)

    def tag(self, text):
        r = self.rng
        return "{%" + r.choice(["", "", "", "-", "+"]) + f" {text} " + r.choice(["", "", "", "-", "+"]) + "%}"

    def loop(self, depth):
        r = self.rng
        what = r.choice(["x", "x", "y", "x, y", "i", "(x, y)", "x, (y, i)"])
        items = r.choice(ITEMS) if r.random() < 0.85 else self.expr(1)
        head = f"for {what} in {items}" + (f" if {self.expr(1)}" if r.random() < 0.2 else "")
        is_recursive = r.random() < 0.12
        text = self.tag(head + (" recursive" if is_recursive else ""))
        if is_recursive:
            text += r.choice(["{ x }", "{ loop.depth }"]) + self.tag("if loop.depth < 3") + "{ loop(" + r.choice(["l", "x[1]", "[1]", "x"]) + ") }" + self.tag("endif")
        text += self.body(depth - 1)
        if r.random() < 0.25:
            text += self.tag("else") + self.body(depth - 1)
        return text + self.tag("endfor")

    def branch(self, depth):
        r = self.rng
        text = self.tag(f"if {self.expr(2)}") + self.body(depth - 1)
        if r.random() < 0.3:
            text += self.tag(f"elif {self.expr(2)}") + self.body(depth - 1)
        if r.random() < 0.5:
            text += self.tag("else") + self.body(depth - 1)
        return text + self.tag("endif")

    def macro(self, depth):
        r = self.rng
        signature = r.choice(["a, b=2", "a", "", "a=1, b=a", "a, b='x', c=[]", "x=1"])
        text = self.tag(f"macro m({signature})") + r.choice(["{ a }", "{ varargs }{ kwargs }", "{ caller() if caller else '' }", "{ caller(1, 2) if caller is defined }", "{ x }"])
        text += self.body(depth - 1) + r.choice(["{ b }", ""]) + self.tag("endmacro")
        if r.random() < 0.4:
            return text + self.tag(f"call{r.choice(['', '(p)', '(p, q=1)'])} m({self.arguments(1).split('**')[0].rstrip(', ')})") + r.choice(["", "{ p }", "{ q }"]) + self.body(depth - 1) + self.tag("endcall")
        return text + "{ m(" + self.arguments(1) + ") }"

    def statement(self, depth):
        r = self.rng
        pick = r.randrange(15)
        if pick < 2:
            return self.branch(depth)
        if pick < 5:
            return self.loop(depth)
        if pick < 7:
            return self.tag(f"set {r.choice(['x', 'y', 'i', 'ns', 'x, y', '(x, y)', 'x, (y, i)', 'ns.a', 's'])} = {self.expr(3)}")
        if pick == 7:
            return self.tag("set ns = namespace(a=1, b=[])") + self.tag(f"set ns.a = {self.expr(2)}") + "{ ns.a }"
        if pick < 10:
            return self.macro(depth)
        if pick == 10:
            return self.tag("set x" + r.choice(["", "", " | upper", " | replace('a', '<')|e", " | trim | length"])) + self.body(depth - 1) + self.tag("endset") + "{ x }"
        if pick == 11:
            return self.tag(f"with x = {self.expr(2)}" + r.choice(["", ", y = x", ", (y, i) = ll"])) + self.body(depth - 1) + self.tag("endwith")
        if pick == 12:
            return self.tag("do " + r.choice([f"l.append({self.expr(1)})", "l.pop()", f"d.update(a={self.expr(1)})", "ls.sort()", "l.reverse()", f"d.pop({self.atom()}, none)", self.expr(2)]))
        if pick == 13:
            return self.tag("filter " + r.choice(["upper", "e", "replace('a', 'b')|title", "trim", "indent(2)", "wordwrap(8)", "center(12)", "truncate(9)"])) + self.body(depth - 1) + self.tag("endfilter")
        return self.tag("autoescape " + r.choice(["true", "true", "false", "t", "x"])) + self.body(depth - 1) + self.tag("endautoescape")

    def body(self, depth):
        r = self.rng
        parts = []
        for _ in range(r.randrange(1, 4)):
            pick = r.random()
            if pick < 0.3 or depth <= 0:
                parts.append(r.choice(GCODE))
            elif pick < 0.65:
                parts.append("{" + r.choice(["", " ", "- "]) + " " + self.expr(3) + r.choice([" ", " ", " -"]) + "}")
            elif pick < 0.7:
                parts.append(r.choice(["{# comment #}", "{#- c -#}", "{% raw %}{ x }{% endraw %}", "{%- raw -%} {% a %} {%- endraw -%}", "{% print i, s %}"]))
            else:
                parts.append(self.statement(depth))
        return "".join(parts)


def spoil(rng, text):
    """The template with one character or word taken out or put in."""
    at = rng.randrange(len(text) + 1)
    if rng.random() < 0.5:
        return text[:at] + text[at + rng.choice([1, 1, 2, 5]):]
    return text[:at] + rng.choice(["{", "}", "%", "(", ")", "|", ".", ",", "=", "'", " in ", " if ", "[", "{%", "%}", "-", "0", "\n", "*", " else ", " is "]) + text[at:]


def cases(seed, count):
    out = []
    for i in range(count):
        generator = Generator(seed * 1000003 + i)
        text = "{ " + generator.expr(4) + " }" if i % 3 == 0 else generator.body(4)
        if i % 11 == 0:
            text = spoil(generator.rng, text)
        case = {"t": text, "c": CONTEXT}
        if i % 7 == 0:
            case["o"] = {name: generator.rng.random() < 0.5 for name in ("trim_blocks", "lstrip_blocks", "keep_trailing_newline")}
        out.append(case)
    return out
