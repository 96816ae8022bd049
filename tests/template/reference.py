"""The real Jinja2 in Klipper's dress, and a second one that watches what goes through it.

Our engine refuses on purpose what Python does with integers beyond 64 bits, with complex numbers, and with values larger
than a render's budget. Such an error counts as equal only if the original really worked with one: the watcher looks at
the result of every operator, call, filter and test."""
import functools
import json
import re

import jinja2
import jinja2.ext
import jinja2.nodes

DELIMITERS = ("{%", "%}", "{", "}", "{#", "#}")
LARGE = 1 << 20  # characters or items; a render may use 16 MB
MANY_DIGITS = re.compile(r"\d{19}")


def environment(options):
    return jinja2.Environment(*DELIMITERS, extensions=["jinja2.ext.do"], **options)


class Watcher(jinja2.Environment):
    sandboxed = True  # makes generated code ask the environment for operators and calls
    intercepted_binops = frozenset(["+", "-", "*", "/", "//", "%", "**"])
    intercepted_unops = frozenset(["+", "-"])

    def __init__(self, options):
        super().__init__(*DELIMITERS, extensions=["jinja2.ext.do"], **options)
        self.found = set()
        self.binops = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b,
                       "//": lambda a, b: a // b, "%": lambda a, b: a % b, "**": lambda a, b: a ** b}
        for table in (self.filters, self.tests):
            for name, function in list(table.items()):
                table[name] = self.watch(function)

    def watch(self, function):
        @functools.wraps(function)
        def watched(*args, **kwargs):
            for arg in args[1:]:
                self.look(arg)
            return self.look(function(*args, **kwargs))
        return watched

    def look(self, value, depth=0):
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            self.found.add("64 bits")
        elif isinstance(value, complex):
            self.found.add("complex")
        elif isinstance(value, (str, bytes)):
            if len(value) > LARGE:
                self.found.add("memory")
            elif isinstance(value, str) and MANY_DIGITS.search(value):
                self.found.add("64 bits")
        elif isinstance(value, (list, tuple, dict)) and depth < 3:
            if len(value) > LARGE:
                self.found.add("memory")
            for item in list(value)[:100]:
                self.look(item, depth + 1)
        return value

    def call_binop(self, context, operator, left, right):
        if operator == "*" and isinstance(left, int) and isinstance(right, int) or operator != "*":
            return self.look(self.binops[operator](left, right))
        for text, count in ((left, right), (right, left)):
            if isinstance(count, int) and hasattr(text, "__len__") and len(text) * count > LARGE:
                self.found.add("memory")
                raise MemoryError
        return self.look(self.binops[operator](left, right))

    def call_unop(self, context, operator, arg):
        return self.look(-arg if operator == "-" else +arg)

    def call(__self, __context, __obj, *args, **kwargs):  # noqa: N805
        return __self.look(__context.call(__obj, *args, **kwargs))

    def is_safe_attribute(self, obj, attr, value):
        return True


def what_is_beyond(case):
    """The set of our limits that the original passed while it rendered the case."""
    watcher = Watcher(case.get("o", {}))
    if MANY_DIGITS.search(re.sub("_", "", case["t"])) or re.search(r"0[xX][0-9a-fA-F]{16}", case["t"]):
        watcher.found.add("64 bits")
    try:
        watcher.look(watcher.from_string(case["t"]).render(json.loads(json.dumps(case["c"]))))
    except Exception as e:  # noqa: BLE001 it was noticed before it failed
        if isinstance(e, (OverflowError, ValueError)) and re.search("too large|too many digits|Exceeds the limit", str(e)):
            watcher.found.add("64 bits")
    return watcher.found


def unknown_names(case):
    """Filters and tests of the template that do not exist: Jinja2 says nothing about those in code that its optimizer drops."""
    env = environment(case.get("o", {}))
    try:
        tree = env.parse(case["t"])
    except jinja2.TemplateSyntaxError:
        return set()
    names = {node.name for node in tree.find_all(jinja2.nodes.Filter) if node.name not in env.filters}
    return names | {node.name for node in tree.find_all(jinja2.nodes.Test) if node.name not in env.tests}


def expected(case, environments):
    """(kind of error or "", text)."""
    options = case.get("o", {})
    key = tuple(sorted(options.items()))
    if key not in environments:
        environments[key] = environment(options)
    try:
        text = environments[key].from_string(case["t"]).render(json.loads(json.dumps(case["c"])))
        text.encode()
        return "", text
    except Exception as e:  # noqa: BLE001 every kind of error is compared
        return type(e).__name__, str(e)
