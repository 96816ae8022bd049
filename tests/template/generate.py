"""Random templates from a seed."""
import random

from tables import CONTEXT

NAMES = ["i", "n", "f", "s", "l", "ls", "d", "t", "nil", "e", "users", "missing", "lf", "x", "y", "params.X", "printer.toolhead.position.z",
         "printer.toolhead.position[2]", "params.NAME", "printer['gcode_macro START'].a", "printer.extruder.target", "d.a", "nested.k.v[1].w", "loop.index", "loop.last", "ns.a"]
LITERALS = ["0", "1", "2", "-1", "10", "1.5", "0.1", "3.0", "'a'", "'12'", "'x y'", "\"q\"", "true", "false", "none", "[]", "[1, 2]", "{}", "{'k': 1}", "()", "(1,)", "''"]
FILTERS = ["int", "float", "string", "length", "abs", "round", "round(2)", "upper", "lower", "list", "first", "last", "sum", "join('-')", "default(3)", "default('x', true)", "sort", "max", "min", "title",
           "trim", "replace('a', 'b')", "reverse", "unique|list", "tojson", "e", "capitalize", "wordcount", "map('string')|list", "select|list", "items|list", "int(5)", "float(1.5)", "center(8)", "batch(2)|list"]
TESTS = ["defined", "none", "number", "string", "mapping", "sequence", "iterable", "odd", "even", "divisibleby 2", "in [1, 2, 'a']", "eq 1", "boolean", "integer", "float", "true", "false", "sameas none"]
OPS = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">", "<=", ">=", "and", "or", "in", "not in"]
GCODE = ["G1 X", " F", "M117 ", "¶", "\n", "  ", "; note", " ", "G28\n", "\n  M104 S", "RESPOND MSG=\"", "\"\n", "x"]


class Generator:
    def __init__(self, seed):
        self.rng = random.Random(seed)

    def expr(self, depth):
        r = self.rng
        if depth <= 0 or r.random() < 0.2:
            return r.choice(NAMES) if r.random() < 0.6 else r.choice(LITERALS)
        pick = r.randrange(13)
        if pick < 4:
            return f"{self.expr(depth - 1)} {r.choice(OPS)} {self.expr(depth - 1)}"
        if pick < 6:
            return f"{self.expr(depth - 1)}|{r.choice(FILTERS)}"
        if pick == 6:
            return f"({self.expr(depth - 1)})"
        if pick == 7:
            return f"{self.expr(depth - 1)} is {r.choice(['', 'not '])}{r.choice(TESTS)}"
        if pick == 8:
            tail = f" else {self.expr(depth - 1)}" if r.random() < 0.8 else ""
            return f"{self.expr(depth - 1)} if {self.expr(depth - 1)}{tail}"
        if pick == 9:
            return r.choice(["not ", "-", "+", "- ", "not not "]) + self.expr(depth - 1)
        if pick == 10:
            return "[" + ", ".join(self.expr(depth - 2) for _ in range(r.randrange(4))) + "]"
        if pick == 11:
            return f"{self.expr(depth - 1)}[{self.expr(depth - 2)}]"
        return "{" + ", ".join(f"'{k}': {self.expr(depth - 2)}" for k in "ab"[:r.randrange(3)]) + "}"

    def tag(self, text):
        r = self.rng
        return "{%" + r.choice(["", "", "", "-", "+"]) + f" {text} " + r.choice(["", "", "", "-", "+"]) + "%}"

    def statement(self, depth):
        r = self.rng
        pick = r.randrange(11)
        if pick < 2:
            text = self.tag(f"if {self.expr(2)}") + self.body(depth - 1)
            if r.random() < 0.3:
                text += self.tag(f"elif {self.expr(2)}") + self.body(depth - 1)
            if r.random() < 0.5:
                text += self.tag("else") + self.body(depth - 1)
            return text + self.tag("endif")
        if pick < 4:
            what = r.choice(["x", "x", "y", "x, y", "i"])
            items = r.choice(["l", "range(3)", "ls", "users", "d", "d.items()", "empty", "ll", "range(1, 4)|reverse", "s", self.expr(1)])
            text = self.tag(f"for {what} in {items}" + (f" if {self.expr(1)}" if r.random() < 0.25 else "")) + self.body(depth - 1)
            if r.random() < 0.25:
                text += self.tag("else") + self.body(depth - 1)
            return text + self.tag("endfor")
        if pick < 6:
            return self.tag(f"set {r.choice(['x', 'y', 'i', 'ns', 'x, y'])} = {self.expr(3)}")
        if pick == 6:
            return self.tag("set ns = namespace(a=1, b=[])") + self.tag(f"set ns.a = {self.expr(2)}") + "{ ns.a }"
        if pick == 7:
            return self.tag("macro m(a, b=2)") + "{ a }" + self.body(depth - 1) + "{ b }" + self.tag("endmacro") + "{ m(" + self.expr(1) + ") }"
        if pick == 8:
            return self.tag("set x") + self.body(depth - 1) + self.tag("endset") + "{ x }"
        if pick == 9:
            return self.tag(f"with x = {self.expr(2)}") + self.body(depth - 1) + self.tag("endwith")
        return self.tag(f"do l.append({self.expr(1)})") if r.random() < 0.5 else self.tag("filter upper") + self.body(depth - 1) + self.tag("endfilter")

    def body(self, depth):
        r = self.rng
        parts = []
        for _ in range(r.randrange(1, 4)):
            pick = r.random()
            if pick < 0.35 or depth <= 0:
                parts.append(r.choice(GCODE))
            elif pick < 0.7:
                parts.append("{" + r.choice(["", " ", "- "]) + " " + self.expr(3) + r.choice([" ", " ", " -"]) + "}")
            elif pick < 0.75:
                parts.append(r.choice(["{# comment #}", "{#- c -#}", "{% raw %}{ x }{% endraw %}"]))
            else:
                parts.append(self.statement(depth))
        return "".join(parts)


def cases(seed, count):
    out = []
    for i in range(count):
        generator = Generator(seed * 1000003 + i)
        text = "{ " + generator.expr(4) + " }" if i % 3 == 0 else generator.body(4)
        case = {"t": text, "c": CONTEXT}
        if i % 7 == 0:
            case["o"] = {name: generator.rng.random() < 0.5 for name in ("trim_blocks", "lstrip_blocks", "keep_trailing_newline")}
        out.append(case)
    return out
