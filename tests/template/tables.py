"""Filters, tests, methods and formats of the language, crossed with values."""

CONTEXT = {
    "params": {"X": "10", "Y": "2.5", "NAME": "Benchy", "EMPTY": "", "BED": "60", "TOOLS": "0,1,2"},
    "rawparams": "X=10 Y=2.5 hello",
    "printer": {
        "toolhead": {"position": [1.0, 2.5, 0.3, 0.0], "homed_axes": "xyz", "max_velocity": 300.0,
                     "axis_maximum": {"x": 220.0, "y": 220.0, "z": 250.0, "e": 0.0}, "extruder": "extruder"},
        "extruder": {"temperature": 204.9837, "target": 205.0, "can_extrude": True, "pressure_advance": 0.045},
        "heater_bed": {"temperature": 59.96, "target": 60.0},
        "gcode_macro START": {"a": 1, "b": 2.5, "text": "hi", "list": [1, 2, 3]},
        "configfile": {"settings": {"stepper_x": {"position_max": 220.0}, "printer": {"kinematics": "corexy"}}},
        "fan": {"speed": 0.5}, "idle_timeout": {"state": "Ready"},
        "save_variables": {"variables": {"tool": 2, "offsets": [0.1, 0.25]}},
    },
    "i": 7, "n": -3, "f": 2.5, "g": 1e-05, "big": 123456789, "z": 0, "t": True, "no": False, "nil": None,
    "s": "Hello World", "e": "", "u": "Straße ÀÉ", "html": "<a href=\"x\">&'</a>", "num": "12.5", "int": "42",
    "l": [3, 1, 2], "lf": [1.5, 2.25, -1.0], "ls": ["b", "A", "c", "a"], "empty": [], "mixed": [1, "a", None, 2.5, True],
    "d": {"a": 1, "b": 2, "C": 3}, "ed": {}, "nested": {"k": {"v": [1, {"w": 2}]}},
    "users": [{"name": "ann", "age": 30, "city": "Rome"}, {"name": "Bob", "age": 25, "city": "Oslo"},
              {"name": "cid", "age": 30, "city": "Rome"}],
    "ll": [[1, 2], [3, 4]],
}

VALUES = ["i", "n", "f", "g", "big", "t", "no", "nil", "s", "e", "u", "html", "num", "int", "l", "lf", "ls", "empty", "mixed", "d",
          "ed", "users", "ll", "missing", "(1, 'x')", "range(4)", "1.0", "-0.0", "1e16", "1e22", "123456.789", "0.1 + 0.2", "'  pad '",
          "'a-b c_d'", "'ABC'", "'x\\ty\\nz'"]

FILTERS = """abs attr('a') attr('x') batch(2)|list batch(2,'-')|list capitalize center center(20) default('D') default('D',true) d(1) dictsort
dictsort(true) dictsort(by='value') dictsort(reverse=true) dictsort(false,'key',true) e escape filesizeformat filesizeformat(true) first float float(9.5) forceescape format(1)
groupby('age') groupby('city')|list indent indent(2,true) indent('>>') indent(width=3,first=true,blank=true) int int(7) int(0,16) int(default=-1)
items|list join join(',') join(', ',attribute='name') last length count list lower map('upper')|list map(attribute='name')|list map('string')|join
map('int')|sum map('float')|list map('abs')|list max min max(attribute='age') min(attribute='age') pprint random|string|length|int>0 reject('odd')|list
reject|list rejectattr('age')|list rejectattr('age','eq',30)|list replace('a','b') replace('l','L',1) reverse|list reverse round round(1) round(2,'floor') round(0,'ceil')
round(-1) round(method='floor') round(precision=1) round(1)|int safe select('odd')|list select|list select('equalto',2)|list select('in',[1,2])|list
selectattr('age')|list selectattr('age','gt',26)|list slice(2)|list slice(2,0)|list sort sort(true) sort(reverse=true,case_sensitive=true) sort(attribute='age,name')
sort(attribute='age') sort(attribute='0') string striptags sum sum(attribute='age') sum(start=10) title tojson tojson(2) trim trim('H') truncate truncate(5) truncate(5,true)
truncate(5,true,'..') truncate(8,false,'',0) unique|list unique(true)|list unique(attribute='age')|list upper urlencode urlize urlize(10) wordcount wordwrap(5)
wordwrap(5,false) wordwrap(3,true,'|') xmlattr xmlattr(false) nofilter round|string|length first|upper list|length string|e float|round(2) int|string
sum|float default(0)|int|abs""".split()

TESTS = """boolean callable defined divisibleby(3) divisibleby(0) eq(7) equalto(2.5) escaped even false filter float ge(2) gt(2) greaterthan(1) in([7,'a',None]) in('abc')
integer iterable le(3) lower lt(3) lessthan(3) mapping ne(7) none number odd sameas(true) sequence string test true undefined upper nosuch""".split()

METHODS = {
    "'Hello World'": """capitalize() casefold() center(20) center(20,'*') count('l') count('l',3) count('l',3,9) count('') endswith('ld') endswith(('x','ld')) endswith('o',0,5) find('o') find('o',5) find('zz')
format() index('o') index('zz') isalnum() isalpha() isdigit() islower() isupper() isspace() istitle() isidentifier() isdecimal() isnumeric() isascii() isprintable() join(['a','b']) join([1]) ljust(15) ljust(15,'.')
lower() lstrip('H') partition(' ') partition('') partition('zz') replace('l','L') replace('l','L',2) replace('','-') rfind('o') rindex('o') rjust(15) rpartition('o') rsplit() rsplit('o',1) rsplit('l')
rstrip('d') split() split('o') split('o',1) split('') split(maxsplit=1) split(sep='l') splitlines() startswith('He') startswith('W',6) strip() strip('Hd') swapcase() title() upper() zfill(15) encode()
removeprefix('Hel') removesuffix('rld') expandtabs() translate({104:'x'}) nosuch() upper(1) center('x') __len__() __class__ format_map({})""".split(),
    "'a,b,,c'": ["split(',')", "rsplit(',',2)", "split(',',0)", "partition(',')", "replace(',','')", "count(',')"],
    "'  x y  '": ["strip()", "lstrip()", "rstrip()", "split()", "split(' ')", "rsplit(None,1)", "title()", "isspace()"],
    "'l1\\nl2\\r\\nl3\\n'": ["splitlines()", "splitlines(true)", "splitlines(keepends=True)", "split()", "split('\\n')"],
    "'-12'": ["zfill(6)", "isdigit()", "lstrip('-')", "isnumeric()"],
    "'ÀÉß'": ["lower()", "upper()", "casefold()", "swapcase()", "title()", "capitalize()", "isalpha()", "center(7,'é')", "encode()"],
    "'12'": ["isdigit()", "isdecimal()", "isnumeric()", "isalnum()", "isalpha()", "zfill(5)"],
    "''": ["isalpha()", "isdigit()", "islower()", "isspace()", "isprintable()", "split()", "split(',')", "splitlines()", "title()", "isascii()", "isidentifier()"],
    "[3,1,2]": ["count(1)", "index(1)", "index(9)", "index(3,1)", "copy()", "append(4)", "pop()", "pop(0)", "pop(9)", "reverse()", "sort()", "insert(0,9)", "extend([7])",
                "remove(1)", "remove(9)", "clear()", "nosuch", "sort(reverse=true)", "pop('x')", "append()"],
    "[]": ["pop()", "sort()", "copy()", "index(1)"],
    "(3,1,2)": ["count(1)", "index(1)", "index(9)", "append(1)"],
    "{'a':1,'b':2}": ["items()", "keys()", "values()", "get('a')", "get('x')", "get('x',5)", "pop('a')", "pop('x')", "pop('x',7)", "popitem()", "copy()", "update({'c':3})",
                      "update(c=3)", "setdefault('a',9)", "setdefault('z',9)", "clear()", "items()|list", "keys()|list", "values()|sum", "fromkeys([1,2])", "items", "get()", "a", "nosuch"],
    "(255)": ["bit_length()", "real", "imag", "numerator", "denominator", "conjugate()", "to_bytes(2,'big')", "nosuch()"],
    "(2.5)": ["is_integer()", "as_integer_ratio()", "hex()", "real", "conjugate()"],
    "(3.0)": ["is_integer()", "as_integer_ratio()", "hex()"],
}

PERCENT = """%d %i %5d %-5d| %05d %+d %x %X %#x %o %#o %e %E %g %G %f %.2f %8.3f %-8.1f| %+.1f %s %r %10s| %-10s| %.2s %c %% %5.1f%% %u %a %ld %(a)s %q %*d %.*f % %05.1f %#.3g %.0f % d %020.3e""".split(" ")
FORMATS = """{} {0} {:d} {:5d} {:<5d}| {:>5}| {:^9}| {:*^9}| {:05d} {:+d} {:,} {:_} {:x} {:#x} {:X} {:o} {:b} {:#b} {:e} {:.2e} {:E} {:f} {:.2f} {:8.3f} {:<8.1f}| {:+.1f} {:g} {:.3g} {:G} {:%} {:.1%} {:s}
{:.2s} {!r} {!s} {!r:>10} {:c} {:n} {0:{1}} {:=+8.1f} {:,.2f} {:010,.1f} {:.0f} {:#.0f} {:z} {:.} {x} {0.real} {0[0]} {{}} { } {:>{1}.{2}f} {1} {: d} {:-d} {:<}""".split()
FORMAT_VALUES = ["7", "-3", "2.5", "1234567.891", "0", "true", "none", "'text'", "1e-05", "1e20", "[1,2]", "0.5", "1.5", "-0.0", "65"]

SLICES = ["0", "-1", "9", "'a'", "1:", ":2", "::-1", "-2:", "1:9", "::2", "::0", "5:1:-1", "none", "1.0", "true", ":-1", "'x'"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
OPERANDS = ["7", "-7", "0", "3", "2.5", "-2.5", "0.0", "1e300", "true", "none", "'ab'", "'%s'", "'%d mm'", "[1,2]", "(1,2)", "{'a':1}", "missing", "html|e", "range(3)"]
GLOBALS = ["range(5)", "range(2,8,3)|list", "range(5,0,-2)|list", "range(0)|list", "range(1,2,0)", "range()", "range('a')", "range(2.5)", "range(10)[3]", "range(10)[-1]", "range(10)[2:5]",
           "range(10)[99]", "range(3)==range(3)", "5 in range(9)", "2.0 in range(9)", "dict(a=1)", "dict({'a':1},b=2)", "dict([('a',1)])", "dict([1])", "dict(1)", "namespace(a=1).a", "namespace().x", "namespace({'q':4}).q",
           "cycler(1,2).next()", "cycler()", "cycler('a','b').current", "joiner()()", "joiner('|')", "lipsum(n=1)|length > 10", "range", "dict", "namespace(a=1)", "range(3)|string", "dict(a=1)|tojson", "range(200000)|length"]


def cases():
    out = [f"{{ {value}|{name} }}" for value in VALUES for name in FILTERS]
    out += [f"{{ {value} is {test} }}" for value in VALUES for test in TESTS]
    out += [f"{{ {value} is not {test} }}" for value in ("i", "s", "missing") for test in TESTS]
    out += [f"{{ {value}.{method} }}" for value, methods in METHODS.items() for method in methods]
    out += ["{ " + f"'{fmt}' % {value}" + " }" for fmt in PERCENT for value in FORMAT_VALUES + ["(3, 4)", "{'a': 5}", "(2, 3.14159)", "()"]]
    out += ["{ " + f"'{fmt}'|format({value})" + " }" for fmt in PERCENT for value in FORMAT_VALUES[:5]]
    out += ["{ " + f"'{fmt}'.format({value}, 8, 2)" + " }" for fmt in FORMATS for value in FORMAT_VALUES]
    out += [f"{{ ({value})[{index}] }}" for index in SLICES for value in ("s", "l", "d", "(1,2,3)", "i", "u", "range(6)", "empty", "missing", "nil")]
    out += [f"{{ {a} {op} {b} }}" for op in OPERATORS for a in OPERANDS for b in OPERANDS if not (op == "**" and b == "1e300")]
    out += [f"{{ {text} }}" for text in GLOBALS]
    return [{"t": text, "c": CONTEXT} for text in out]
