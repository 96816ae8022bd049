/* Macros, delayed G-code, texts and idle times on a simulated printer. */
#include "tests/sim/job_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "server/config/config.h"
#include "server/job/gcode_macro.h"
#include "server/machine/printer.h"

/* The error that a script must fail with. */
static void expect_error(struct rig *rig, const char *text, const char *words)
{
    if (rig_script(rig, text, 30) == OK)
        fail_msg("%s did not fail", text);
    if (!strstr(rig_error(rig), words))
        fail_msg("%s: \"%s\" lacks \"%s\"", text, rig_error(rig), words);
}

static void expect_console(struct rig *rig, const char *words)
{
    if (!strstr(rig_console(rig), words))
        fail_msg("the console lacks \"%s\":\n%s", words, rig_console(rig));
}

/* The configuration must be refused, with these words. */
static void expect_refused(const char *more, const char *words)
{
    char *text = mem_sprintf("%s%s", CONFIG_BASE, more);
    struct rig *rig = rig_create(&(struct rig_options){.config_text = text, .seed = 1});
    rig_run(rig, 5);
    if (printer_state(rig_printer(rig)) != PRINTER_ERROR || !strstr(printer_state_message(rig_printer(rig)), words))
        fail_msg("%s: %s, \"%s\" lacks \"%s\"", more, printer_state_name(printer_state(rig_printer(rig))),
                 printer_state_message(rig_printer(rig)), words);
    rig_destroy(rig);
    mem_free(text);
}

static void macros_run_and_rename(void **unused)
{
    (void)unused;
    struct rig *rig =
        job_rig_start(CONFIG_BASE "[gcode_macro hello]\ndescription: says hello\ngcode:\n"
                                  "  M117 hello ; there\n  ECHO_TWO\n"
                                  "[gcode_macro ECHO_TWO]\ngcode:\n  M118 two\n"
                                  "[gcode_macro M117]\nrename_existing: M117.1\ngcode:\n  M117.1 changed\n"
                                  "[gcode_macro G28]\nrename_existing: G28.1\ngcode:\n  M118 homing\n  G28.1\n"
                                  "[gcode_macro LOOP]\ngcode:\n  LOOP\n"
                                  "[gcode_macro A]\ngcode:\n  B\n[gcode_macro B]\ngcode:\n  A\n"
                                  "[gcode_macro FAILS]\ngcode:\n  M118 before\n  G1 X5\n  M118 after\n");
    script(rig, "hello");
    expect_status(rig, "display_status", "message", "\"changed\"");
    expect_console(rig, "echo: two");
    script(rig, "G28");
    expect_console(rig, "echo: homing");
    expect_status(rig, "toolhead", "homed_axes", "\"xyz\"");
    expect_error(rig, "LOOP", "Macro LOOP called recursively");
    expect_error(rig, "A", "Macro A called recursively");
    script(rig, "hello"); /* nothing is stuck */
    script(rig, "M84\nSET_GCODE_OFFSET");
    expect_error(rig, "FAILS", "Must home axis first");
    expect_console(rig, "echo: before");
    assert_null(strstr(rig_console(rig), "echo: after"));
    script(rig, "HELP");
    expect_console(rig, "says hello");
    rig_destroy(rig);
}

static void bad_macros_are_refused(void **unused)
{
    (void)unused;
    expect_refused("[gcode_macro X1]\n", "gcode");
    expect_refused("[gcode_macro G1]\ngcode:\n  M117\n", "G1 already registered");
    expect_refused("[gcode_macro NEW]\nrename_existing: OLD\ngcode:\n  M117\n", "Existing command 'NEW' not found");
    expect_refused("[gcode_macro G28]\nrename_existing: HOME_ALL\ngcode:\n  M117\n", "rename of different types");
    expect_refused("[gcode_macro V]\nvariable_x: [1, 2\ngcode:\n  M117\n", "is not a valid literal");
    expect_refused("[gcode_macro A B]\ngcode:\n  M117\n", "illegal whitespace");
    expect_refused("[gcode_macro Q]\ngcode:\n  M117\nunknown: 1\n", "unknown");
}

static void variables(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE "[gcode_macro V]\nvariable_speed: 50\nvariable_Name: 'a'\n"
                                                "variable_list: [1, (2, 3), {'k': None}]\ngcode:\n  M117\n");
    expect_status(rig, "gcode_macro V", "speed", "50");
    expect_status(rig, "gcode_macro V", "name", "\"a\"");
    expect_status(rig, "gcode_macro V", "list", "[1, [2, 3], {\"k\": null}]");
    script(rig, "SET_GCODE_VARIABLE MACRO=V VARIABLE=speed VALUE=1.5");
    expect_status(rig, "gcode_macro V", "speed", "1.5");
    script(rig, "SET_GCODE_VARIABLE MACRO=V VARIABLE=name VALUE='\"long text\"'");
    expect_status(rig, "gcode_macro V", "name", "\"long text\"");
    assert_string_equal(gcode_macro_variable(rig_printer(rig), "V", "speed"), "1.5");
    assert_null(gcode_macro_variable(rig_printer(rig), "V", "none"));
    assert_null(gcode_macro_variable(rig_printer(rig), "W", "speed"));
    expect_error(rig, "SET_GCODE_VARIABLE MACRO=V VARIABLE=other VALUE=1", "Unknown gcode_macro variable 'other'");
    expect_error(rig, "SET_GCODE_VARIABLE MACRO=V VARIABLE=speed VALUE=abc", "Unable to parse 'abc' as a literal");
    expect_error(rig, "SET_GCODE_VARIABLE MACRO=W VARIABLE=speed VALUE=1", "W");
    expect_status(rig, "gcode_macro V", "speed", "1.5");
    rig_destroy(rig);
}

static int base_lines(void)
{
    int count = 0;
    for (const char *p = CONFIG_BASE; *p; p++)
        count += *p == '\n';
    return count;
}

/* Syntax errors are errors of the configuration; errors of a render name macro, line, kind and the line's text. */
static void template_errors_explain_themselves(void **unused)
{
    (void)unused;
    expect_refused("[gcode_macro X1]\ngcode:\n  M117\n  {% if %}\n", "gcode_macro X1:gcode: Expected an expression");
    expect_refused("[gcode_macro X1]\ngcode:\n  {% for x in y %}\n  M117\n", "endfor");
    struct rig *rig = job_rig_start(
        CONFIG_BASE "[gcode_macro T]\ngcode:\n  M118 one\n  M118 {params.X|float / 0}\n"
                    "[gcode_macro FOREVER]\ngcode:\n  {% for i in range(100000000000) %}\n  {i}\n  {% endfor %}\n"
                    "[gcode_macro DEEP]\ngcode:\n  {% macro m(x) %}{m(x)}{% endmacro %}\n  {m(1)}\n"
                    "[gcode_macro RAISE]\ngcode:\n  {action_raise_error('no ' ~ params.WHAT)}\n"
                    "[idle_timeout]\ntimeout: 5\ngcode:\n  {% set x = 1 / 0 %}\n  M84\n");
    char *place = mem_sprintf("gcode_macro T:gcode (printer.cfg:%d): ZeroDivisionError: float division by zero, in "
                              "'M118 {params.X|float / 0}'", base_lines() + 4);
    expect_error(rig, "T X=1", place);
    mem_free(place);
    assert_null(strstr(rig_console(rig), "echo: one")); /* nothing half-done */
    expect_error(rig, "FOREVER", "): MemoryError: the template uses more than 16777216 bytes of memory, in '{i}'");
    expect_error(rig, "DEEP", "RecursionError");
    expect_error(rig, "RAISE WHAT=way", "no way");
    script(rig, "G28"); /* an idle script that fails still lets heaters and motors go */
    wait_status(rig, "idle_timeout", "state", "\"Idle\"", 30);
    expect_status(rig, "toolhead", "homed_axes", "\"\"");
    rig_destroy(rig);
}

static char *write_file(const char *folder, const char *name, const char *text)
{
    char *path = mem_sprintf("%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return path;
}

/* The place of an error in a macro is the line of the file where it stands, also behind comments and in an included file. */
static void errors_name_the_line_of_the_file(void **unused)
{
    (void)unused;
    char folder[] = "/tmp/lockstep-macros-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *main_path = write_file(folder, "printer.cfg",
                                 "[include more.cfg]\n" CONFIG_BASE "[gcode_macro A]\n" /* two behind the base */
                                 "# a comment\n"
                                 "gcode: ; why\n"
                                 "  G28\n"
                                 "  ; one line less\n"
                                 "\n"                 /* belongs to the value */
                                 "  # a comment\n"    /* so does this, empty */
                                 "  {% if x %}\n"     /* nine */
                                 "  ; and another\n"  /* does not */
                                 "  G1 X{ 1 + }\n"    /* eleven: the error */
                                 "  {% endif %}\n");
    char *more_path = write_file(folder, "more.cfg",
                                 "[gcode_macro B]\n"
                                 "gcode:\n"
                                 "  M117\n"
                                 "  ; nothing\n"
                                 "  {% for x in y %}\n" /* 5 */
                                 "  M118\n"
                                 "\n\n"
                                 "[gcode_macro C]\n"
                                 "variable_x: 1\n"
                                 "gcode: {% nosuch %}\n" /* 11 */
                                 "[delayed_gcode D]\n"
                                 "gcode:\n"
                                 "    ; nothing\n"
                                 "    {x|nofilter}\n"); /* 15 */
    struct config *config = printer_check_config(main_path, NULL, 0);
    const struct {
        const char *file, *text;
        int line;
    } expected[] = {
        {"more.cfg", "gcode_macro B:gcode: Unexpected end of template. Jinja was looking for the following tags: 'else' or "
                     "'endfor'. The innermost block that needs to be closed is 'for' (line 5).", 6},
        {"more.cfg", "gcode_macro C:gcode: Encountered unknown tag 'nosuch'.", 11},
        {"more.cfg", "delayed_gcode D:gcode: No filter named 'nofilter'.", 15},
        {"printer.cfg", "gcode_macro A:gcode: unexpected 'end of print statement'", 11 + base_lines()},
    };
    char *all = config_error_text(config);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        bool is_there = false;
        for (size_t k = 0; k < config_error_count(config); k++) {
            const struct config_error *e = config_error_at(config, k);
            is_there |= e->line == expected[i].line && !strcmp(e->file, expected[i].file) && !strcmp(e->text, expected[i].text);
        }
        if (!is_there)
            fail_msg("%s:%d: %s is missing:\n%s", expected[i].file, expected[i].line, expected[i].text, all);
    }
    assert_int_equal(config_error_count(config), 4);
    mem_free(all);
    config_destroy(config);
    (void)unlink(main_path);
    (void)unlink(more_path);
    (void)rmdir(folder);
    mem_free(main_path);
    mem_free(more_path);
}

/* SET_PIN TEMPLATE= and SET_FAN_SPEED TEMPLATE=: outputs follow a template, with parameters, until it is taken away; one
 * that fails is off. */
static void templates_drive_outputs(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(
        CONFIG_BASE "[output_pin lamp]\npin: PD1\npwm: True\nscale: 10\n[output_pin relay]\npin: PD2\n"
                    "[fan_generic aux]\npin: PD3\n"
                    "[gcode_macro LEVEL]\nvariable_x: 0.25\ngcode:\n  M117\n"
                    "[display_template half]\nparam_factor: 0.5\nparam_add: 0\n"
                    "text: {printer['gcode_macro LEVEL'].x * param_factor + param_add}\n"
                    "[display_template outer]\ntext: { render('half', param_factor=2) }\n"
                    "[display_template loop]\ntext: { render('loop') }\n"
                    "[display_template broken]\ntext:\n  { 1 / (printer['gcode_macro LEVEL'].x - 0.5) }\n"
                    "[display_template word]\ntext: much\n");
    script(rig, "SET_PIN PIN=lamp TEMPLATE=half");
    rig_run(rig, 1);
    expect_status(rig, "output_pin lamp", "value", "0.125");
    script(rig, "SET_GCODE_VARIABLE MACRO=LEVEL VARIABLE=x VALUE=1.0");
    rig_run(rig, 0.7);
    expect_status(rig, "output_pin lamp", "value", "0.5");
    script(rig, "SET_PIN PIN=lamp TEMPLATE=half PARAM_FACTOR=0.25 PARAM_add=.5");
    rig_run(rig, 0.7);
    expect_status(rig, "output_pin lamp", "value", "0.75");
    expect_error(rig, "SET_PIN PIN=lamp TEMPLATE=nosuch", "Unknown display_template 'nosuch'");
    expect_error(rig, "SET_PIN PIN=lamp TEMPLATE=half PARAM_OTHER=1", "Invalid display_template parameter: PARAM_OTHER");
    expect_error(rig, "SET_PIN PIN=lamp TEMPLATE=half PARAM_FACTOR=[1", "Unable to parse '[1' as a literal");
    expect_error(rig, "SET_PIN PIN=lamp", "must specify VALUE or TEMPLATE");
    script(rig, "SET_PIN PIN=lamp TEMPLATE=outer\nSET_PIN PIN=relay TEMPLATE=half\nSET_FAN_SPEED FAN=aux TEMPLATE=half");
    rig_run(rig, 0.7);
    expect_status(rig, "output_pin lamp", "value", "1.0"); /* 2, cut off */
    expect_status(rig, "output_pin relay", "value", "1.0");
    expect_status(rig, "fan_generic aux", "speed", "0.5");
    script(rig, "SET_PIN PIN=lamp TEMPLATE=\nSET_PIN PIN=lamp VALUE=4");
    rig_run(rig, 2);
    expect_status(rig, "output_pin lamp", "value", "0.4"); /* nothing drives it any longer */
    script(rig, "SET_PIN PIN=lamp TEMPLATE=broken");
    rig_run(rig, 0.7);
    expect_status(rig, "output_pin lamp", "value", "1.0");
    rig_clear_console(rig);
    script(rig, "SET_GCODE_VARIABLE MACRO=LEVEL VARIABLE=x VALUE=0.5");
    rig_run(rig, 3);
    expect_status(rig, "output_pin lamp", "value", "0.0");
    expect_console(rig, "display_template broken:text (");
    expect_console(rig, "ZeroDivisionError: float division by zero, in '{ 1 / (printer['gcode_macro LEVEL'].x - 0.5) }'");
    const char *first = strstr(rig_console(rig), "ZeroDivisionError");
    assert_null(strstr(first + 1, "ZeroDivisionError")); /* told once */
    script(rig, "SET_PIN PIN=lamp TEMPLATE=word");
    rig_run(rig, 1);
    expect_console(rig, "output_pin lamp: its display_template gave 'much' instead of a number");
    script(rig, "SET_PIN PIN=lamp TEMPLATE=loop");
    rig_run(rig, 1);
    expect_console(rig, "templates render each other more than 8 deep");
    script(rig, "SET_PIN PIN=lamp TEMPLATE=outer"); /* drives it until the printer stops */
    rig_run(rig, 1);
    rig_begin_script(rig, "M112");
    rig_run(rig, 5);
    expect_status(rig, "output_pin lamp", "value", "0.0");
    expect_status(rig, "output_pin relay", "value", "0.0");
    rig_destroy(rig);
    expect_refused("[display_template x]\nparam_y: [1\ntext: 5\n", "is not a valid literal");
    expect_refused("[display_template x]\ntext: { 1 + }\n", "display_template x:text: unexpected 'end of print statement'");
}

/* What a template sees: parameters, its variables with their types, other macros', printer objects, the configuration.
 */
static void templates_see_the_printer(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(
        CONFIG_BASE
        "[gcode_macro V]\nvariable_speed: 50\nvariable_map: {0: 'zero', 1: (2, 3)}\nvariable_none: None\ngcode:\n"
        "  M118 {speed + 1} {map[0]} {map[1]} {none is none} {params|length} [{rawparams}]\n"
        "[gcode_macro P]\ngcode:\n"
        "  {% set v = printer['gcode_macro V'] %}\n"
        "  M118 {v.speed} {v.map[1][1]} {printer.toolhead.position.x} {'toolhead' in printer} {'nothing' in printer}\n"
        "  M118 {printer.configfile.settings.printer.max_velocity} {printer.configfile.config.printer.kinematics}\n"
        "  M118 {printer.nothing is defined} {printer.toolhead.homed_axes|length}\n"
        "  {action_respond_info('seen')}\n"
        "[gcode_macro SHOW]\ngcode:\n  M118 {printer['gcode_macro V'].map}\n"
        "[gcode_macro Bare]\ngcode: M117\n"
        /* Status and configuration are dicts: their methods, their text, truth, comparison. */
        "[gcode_macro DICTS]\ngcode:\n  {% set v = printer['gcode_macro V'] %}{% set c = printer.configfile %}\n"
        "  M118 {v.get('speed')} {v.get('x', 7)} {v.keys()|list|length} {v|length} {'speed' in v} {v == v.copy()}\n"
        "  M118 {v.items()|first} {'full' if v} {'bare' if not printer['gcode_macro Bare']} {v is mapping}\n"
        "  M118 {c.settings['gcode_macro bare'].gcode} {c.settings['gcode_macro Bare'] is defined}"
        " {c.config['gcode_macro Bare'].gcode} {c.config['gcode_macro bare'] is defined}\n"
        "  M118 {c.config.get('printer').kinematics} {c.config.get('idle_timeout')} {c.settings.get('idle_timeout').timeout}\n"
        "[gcode_macro UNKNOWN]\ngcode: {printer.nothing.x}\n"
        "[gcode_macro OUTER]\ngcode:\n  {% for i in range(2) %}\n  V A={i} B=2\n  {% endfor %}\n"
        "  SET_GCODE_VARIABLE MACRO=V VARIABLE=speed VALUE=\"{[1, 2.5]}\"\n");
    script(rig, "V X=1 hello=2");
    expect_console(rig, "echo: 51 zero (2, 3) True 2 [X=1 hello=2]");
    script(rig, "P");
    expect_console(rig, "echo: 50 3 0.0 True False");
    expect_console(rig, "cartesian");
    expect_console(rig, "echo: False 0");
    expect_console(rig, "// seen");
    script(rig, "DICTS");
    expect_console(rig, "echo: 50 7 3 3 True True\n");
    expect_console(rig, "echo: ('speed', 50) full bare True\n");
    expect_console(rig, "echo: M117 False M117 False\n");
    expect_console(rig, "echo: cartesian None 600.0\n");
    expect_error(rig, "UNKNOWN", "UndefinedError: 'GetStatusWrapper object' has no attribute 'nothing'");
    script(rig, "OUTER");
    expect_console(rig, "[A=1 B=2]");
    expect_status(rig, "gcode_macro V", "speed", "[1, 2.5]");
    script(rig, "P");
    expect_console(rig, "echo: [1, 2.5] 3");
    /* As deep as a literal may be, on the small stack of a fiber. */
    script(rig, "SET_GCODE_VARIABLE MACRO=V VARIABLE=map "
                "VALUE=\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[7]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
                "]]]]]]]]]]]]]]]]]]]]]]]]]]]\"");
    rig_clear_console(rig);
    script(rig, "SHOW");
    expect_console(rig, "[[[[7]]]]");
    rig_destroy(rig);
}

/* Values nested as deep as a template can make them, on the small stack of a fiber: a text or an error, never a crash. */
static void deep_values_fit_a_fiber(void **unused)
{
    (void)unused;
    static const char *const uses[] = {"ns.l",          "ns.l|pprint",          "ns.l|tojson",   "ns.l == ns.m",
                                       "ns.l < ns.m",   "[ns.l, ns.m]|sort",    "ns.d|pprint",   "ns.d",
                                       "ns.d|tojson",   "ns.d == ns.e",         "ns.t in {ns.t: 1}", "'%r'|format(ns.l)",
                                       "'{}'.format(ns.t)", "ns.l|string|length", "[ns.t, ns.t]|unique|list", "ns.l|urlize",
                                       "ns.l|xmlattr",  "ns.d|xmlattr",         "ns.l|join",     "ns.l ~ ns.d"};
    struct strbuf config;
    strbuf_init(&config);
    strbuf_adds(&config, CONFIG_BASE);
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++)
        strbuf_addf(&config,
                    "[gcode_macro DEEP_%zu]\ngcode:\n"
                    "  {%% set ns = namespace(l=[], m=[], d={}, e={}, t=()) %%}\n  {%% for i in range(params.N|int) %%}\n"
                    "  {%% set ns.l = [ns.l, 'x' * 20] %%}{%% set ns.m = [ns.m, 'x' * 20] %%}{%% set ns.t = (ns.t,) %%}\n"
                    "  {%% set ns.d = {'key': ns.d} %%}{%% set ns.e = {'key': ns.e} %%}\n  {%% endfor %%}\n"
                    "  {%% set text = %s %%}\n  M118 {text|string|length}\n",
                    i, uses[i]);
    struct rig *rig = job_rig_start(config.data);
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++)
        for (int n = 20; n <= 1000; n = n * 5 / 4) {
            char line[80];
            (void)snprintf(line, sizeof line, "DEEP_%zu N=%d", i, n);
            if (rig_script(rig, line, 30) != OK && !strstr(rig_error(rig), "recursion depth") &&
                !strstr(rig_error(rig), "Circular reference") && !strstr(rig_error(rig), "TypeError") &&
                !strstr(rig_error(rig), "AttributeError"))
                fail_msg("%s: %s", line, rig_error(rig));
        }
    rig_destroy(rig);
    strbuf_deinit(&config);
}

/* What SAVE_VARIABLE keeps is there in the next life, with its types. */
static void variables_are_saved(void **unused)
{
    (void)unused;
    char path[] = "/tmp/lockstep-variables-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "[Variables]\ntool = 2\nmap = {0: 'a'}\n") > 0);
    close(fd);
    char *text = mem_sprintf(
        "%s[save_variables]\nfilename: %s\n[gcode_macro SHOW]\ngcode:\n"
        "  {%% set v = printer.save_variables.variables %%}\n  M118 {v.tool} {v.map[0]} {v.new|default('none')}\n",
        CONFIG_BASE, path);
    struct rig *rig = job_rig_start(text);
    script(rig, "SHOW");
    expect_console(rig, "echo: 2 a none");
    script(rig, "SAVE_VARIABLE VARIABLE=new VALUE=\"(1, 'x y')\"");
    expect_error(rig, "SAVE_VARIABLE VARIABLE=Upper VALUE=1", "upper case");
    expect_error(rig, "SAVE_VARIABLE VARIABLE=bad VALUE=[1", "as a literal");
    expect_status(rig, "save_variables", "variables", "{\"tool\": 2, \"map\": {\"0\": \"a\"}, \"new\": [1, \"x y\"]}");
    rig_destroy(rig);
    rig = job_rig_start(text);
    script(rig, "SHOW");
    expect_console(rig, "echo: 2 a (1, 'x y')");
    rig_destroy(rig);
    mem_free(text);
    (void)unlink(path);
}

static void delayed_gcode(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE "[delayed_gcode once]\ninitial_duration: 2\ngcode:\n  M118 late\n"
                                                "[delayed_gcode again]\ngcode:\n  M118 tick\n"
                                                "  UPDATE_DELAYED_GCODE ID=again DURATION=1\n");
    rig_run(rig, 1.5);
    assert_null(strstr(rig_console(rig), "late"));
    rig_run(rig, 1);
    expect_console(rig, "echo: late");
    rig_clear_console(rig);
    script(rig, "UPDATE_DELAYED_GCODE ID=again DURATION=0.5");
    rig_run(rig, 3.2);
    expect_console(rig, "echo: tick\necho: tick\necho: tick\n");
    script(rig, "UPDATE_DELAYED_GCODE ID=again DURATION=0");
    rig_clear_console(rig);
    rig_run(rig, 5);
    assert_string_equal(rig_console(rig), "");
    expect_error(rig, "UPDATE_DELAYED_GCODE ID=again DURATION=-1", "minimum");
    expect_error(rig, "UPDATE_DELAYED_GCODE ID=none DURATION=1", "none");
    rig_destroy(rig);
}

static void texts(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE);
    script(rig, "M118 plain text\nRESPOND MSG=hi\nRESPOND TYPE=error MSG=bad\nRESPOND TYPE=command MSG=action:x\n"
                "RESPOND TYPE=echo_no_space MSG=near\nRESPOND PREFIX=tb: MSG=\"two words\"\nRESPOND");
    expect_console(rig, "echo: plain text\necho: hi\n!! bad\n// action:x\necho:near\ntb: two words\necho: ");
    expect_error(rig, "RESPOND TYPE=shout MSG=x", "RESPOND TYPE 'shout' is invalid");
    script(rig, "M117 one two");
    expect_status(rig, "display_status", "message", "\"one two\"");
    script(rig, "SET_DISPLAY_TEXT MSG=\"x \\\" y\"");
    script(rig, "SET_DISPLAY_TEXT");
    expect_status(rig, "display_status", "message", "null");
    script(rig, "M73 P40");
    expect_status(rig, "display_status", "progress", "0.4");
    script(rig, "M73 P400");
    expect_status(rig, "display_status", "progress", "1.0");
    rig_run(rig, 10); /* nothing prints: forgotten */
    expect_status(rig, "display_status", "progress", "0.0");
    rig_destroy(rig);

    rig = job_rig_start("[mcu]\nserial: /dev/x\n[printer]\nkinematics: none\nmax_velocity: 1\nmax_accel: 1\n"
                        "[respond]\ndefault_type: command\n");
    script(rig, "M118 x\nRESPOND MSG=y");
    expect_console(rig, "// x\n// y\n");
    rig_destroy(rig);
}

static void idle_times(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE "[idle_timeout]\ntimeout: 20\n");
    expect_status(rig, "idle_timeout", "state", "\"Idle\"");
    rig_begin_script(rig, "G28\nG1 X100 F600");
    rig_run(rig, 3);
    expect_status(rig, "idle_timeout", "state", "\"Printing\"");
    assert_true(rig_status_number(rig, "idle_timeout", "printing_time") > 1);
    wait_status(rig, "idle_timeout", "state", "\"Ready\"", 60);
    expect_status(rig, "idle_timeout", "printing_time", "0.0");
    script(rig, "M104 S100");
    double ready_s = rig_now_s(rig);
    wait_status(rig, "idle_timeout", "state", "\"Idle\"", 60);
    assert_true(rig_now_s(rig) - ready_s < 25);
    expect_status(rig, "extruder", "target", "0.0");
    expect_status(rig, "toolhead", "homed_axes", "\"\"");
    rig_run(rig, 60); /* the script's own motion does not wake it again */
    expect_status(rig, "idle_timeout", "state", "\"Idle\"");
    expect_error(rig, "SET_IDLE_TIMEOUT TIMEOUT=0", "above");
    script(rig, "SET_IDLE_TIMEOUT TIMEOUT=99");
    expect_status(rig, "idle_timeout", "idle_timeout", "99.0");
    expect_console(rig, "// idle_timeout: Timeout set to 99.00 s");
    rig_destroy(rig);
}

static void sd_commands(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE);
    rig_add_gcode(rig, "b.gcode", "M118 line one\nM118 line two\nM118 line three");
    rig_add_gcode(rig, "a one.gcode", "M118 a\n");
    rig_add_gcode(rig, ".hidden", "x");
    script(rig, "M20\nM21");
    expect_console(rig, "Begin file list\na one.gcode 7\nb.gcode 43\nEnd file list\nSD card ok\n");
    expect_error(rig, "M24", "No file is selected");
    script(rig, "M23 a one.gcode");
    expect_console(rig, "File opened:a one.gcode Size:7\nFile selected");
    script(rig, "M23 /b.gcode\nM27\nM26 S14\nM27");
    expect_console(rig, "SD printing byte 0/43\nSD printing byte 14/43");
    script(rig, "M24");
    wait_status(rig, "print_stats", "state", "\"complete\"", 10);
    expect_console(rig, "echo: line two\necho: line three\nDone printing file");
    assert_null(strstr(rig_console(rig), "line one"));
    expect_error(rig, "M26 S-1", "minimum");
    rig_add_gcode(rig, "loop.gcode", "G4 P1\nSDCARD_RESET_FILE\n");
    script(rig, "SDCARD_PRINT_FILE FILENAME=loop.gcode");
    wait_status(rig, "print_stats", "state", "\"error\"", 10);
    expect_console(rig, "SDCARD_RESET_FILE cannot be run from the sdcard");
    rig_add_gcode(rig, "busy.gcode", "G4 P60000\nM400\n");
    script(rig, "SDCARD_PRINT_FILE FILENAME=busy.gcode");
    rig_begin_script(rig, "M25");
    rig_run(rig, 70);
    expect_status(rig, "virtual_sdcard", "is_active", "false");
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(macros_run_and_rename),
        cmocka_unit_test(bad_macros_are_refused),
        cmocka_unit_test(variables),
        cmocka_unit_test(template_errors_explain_themselves),
        cmocka_unit_test(errors_name_the_line_of_the_file),
        cmocka_unit_test(templates_drive_outputs),
        cmocka_unit_test(templates_see_the_printer),
        cmocka_unit_test(deep_values_fit_a_fiber),
        cmocka_unit_test(variables_are_saved),
        cmocka_unit_test(delayed_gcode),
        cmocka_unit_test(texts),
        cmocka_unit_test(idle_times),
        cmocka_unit_test(sd_commands),
    };
    return cmocka_run_group_tests_name("macro", tests, NULL, NULL);
}
