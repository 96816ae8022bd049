/* Dispatch: lexing as users know it, parameters, errors, mux, rename, nesting, turns. */
#include "base/fiber.h"
#include "base/mem.h"
#include "base/rng.h"
#include "server/gcode/gcode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct bench {
    struct gcode *g;
    struct strbuf console; /* every output, each followed by '\n' */
    struct strbuf seen;    /* what handlers were given */
};

static void on_output(void *ctx, const char *text)
{
    struct bench *b = ctx;
    strbuf_adds(&b->console, text);
    strbuf_addc(&b->console, '\n');
}

/* Writes "NAME|K=V|K=V" of the command it gets. */
static enum err record(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)info;
    struct bench *b = ctx;
    strbuf_addf(&b->seen, "%s", gcode_name(cmd));
    for (size_t i = 0; i < gcode_param_count(cmd); i++) {
        const char *name, *value;
        gcode_param_at(cmd, i, &name, &value);
        strbuf_addf(&b->seen, "|%s=%s", name, value);
    }
    strbuf_addc(&b->seen, '\n');
    return OK;
}

static enum err record_raw(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)info;
    struct bench *b = ctx;
    strbuf_addf(&b->seen, "%s<%s>\n", gcode_name(cmd), gcode_rawparams(cmd));
    return OK;
}

static enum err refuse(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)ctx;
    return err_set(info, ERR_LIMIT, "%s failed", gcode_name(cmd));
}

static enum err refuse_anonymously(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)ctx;
    (void)cmd;
    return err_set(info, ERR_LIMIT, "Too far");
}

static void add(struct bench *b, const char *name, gcode_handler_fn *fn)
{
    struct gcode_def def = {name, NULL, false, fn, false};
    assert_int_equal(gcode_register(b->g, &def, b, NULL), OK);
}

static int setup(void **state)
{
    struct bench *b = MEM_NEW(struct bench);
    strbuf_init(&b->console);
    strbuf_init(&b->seen);
    b->g = gcode_create();
    gcode_add_output(b->g, on_output, b);
    gcode_set_ready(b->g, true, "Printer is ready");
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    gcode_destroy(b->g);
    strbuf_deinit(&b->console);
    strbuf_deinit(&b->seen);
    mem_free(b);
    return 0;
}

static enum err run(struct bench *b, const char *text)
{
    strbuf_clear(&b->console);
    strbuf_clear(&b->seen);
    return gcode_run_script(b->g, text, strlen(text), NULL);
}

/* The lines handlers saw for a script that runs without error. */
static void expect_seen(struct bench *b, const char *script, const char *seen)
{
    assert_int_equal(run(b, script), OK);
    assert_string_equal(b->seen.data, seen);
}

static void expect_console(struct bench *b, const char *script, enum err code, const char *console)
{
    assert_int_equal(run(b, script), code);
    assert_string_equal(b->console.data, console);
}

static void traditional_commands(void **state)
{
    struct bench *b = *state;
    add(b, "G1", record);
    add(b, "M204", record);
    add(b, "T0", record);
    add(b, "G92.1", record);
    expect_seen(b, "G1 X1 Y2.5", "G1|G=1|X=1|Y=2.5\n");
    expect_seen(b, "g1x1y2.5f3000", "G1|G=1|X=1|Y=2.5|F=3000\n");
    expect_seen(b, "  G1   X 1   Y  -2 ; Z9", "G1|G=1|X=1|Y=-2\n");
    expect_seen(b, "N123 G1 X5*71", "G1|N=123|G=1|X=5|*=71\n");
    expect_seen(b, "n7g1x5", "G1|N=7|G=1|X=5\n");
    expect_seen(b, "G1 X1 X2", "G1|G=1|X=2\n");
    expect_seen(b, "G1 XY Z", "G1|G=1|XY=|Z=\n");
    expect_seen(b, "G1\r\nG1 X1\r\n", "G1|G=1\nG1|G=1|X=1\n");
    expect_seen(b, "T0", "T0|T=0\n");
    expect_seen(b, "G92.1 X2", "G92.1|G=92.1|X=2\n");
    expect_seen(b, "\n\n;only a comment\n   \n", "");
    expect_seen(b, "N55", "");
    expect_seen(b, ";", "");
}

static void extended_commands(void **state)
{
    struct bench *b = *state;
    add(b, "SET_PIN", record);
    add(b, "PRINT_START2", record);
    expect_seen(b, "SET_PIN PIN=fan VALUE=0.5", "SET_PIN|PIN=fan|VALUE=0.5\n");
    expect_seen(b, "set_pin pin=Fan value=0.5", "SET_PIN|PIN=Fan|VALUE=0.5\n");
    expect_seen(b, "SET_PIN PIN=\"a b\" VALUE='c;d' ; off", "SET_PIN|PIN=a b|VALUE=c;d\n");
    expect_seen(b, "SET_PIN PIN=a\"b c\"d'e f' VALUE=", "SET_PIN|PIN=ab cde f|VALUE=\n");
    expect_seen(b, "SET_PIN PIN=\"say \\\"hi\\\" \\n\"", "SET_PIN|PIN=say \"hi\" \\n\n");
    expect_seen(b, "SET_PIN PIN=a\\ b", "SET_PIN|PIN=a b\n");
    expect_seen(b, "SET_PIN PIN='a\\b' X=1=2", "SET_PIN|PIN=a\\b|X=1=2\n");
    expect_seen(b, "SET_PIN PIN=x # VALUE=2", "SET_PIN|PIN=x\n");
    expect_seen(b, "SET_PIN PIN=1 PIN=2 VALUE=3", "SET_PIN|PIN=2|VALUE=3\n");
    expect_seen(b, "N10 SET_PIN PIN=x*22", "SET_PIN|PIN=x\n");
    expect_seen(b, "PRINT_START2 A=1", "PRINT_START2|A=1\n");
    expect_seen(b, "SET_PIN\tPIN=x", "SET_PIN|PIN=x\n");
    expect_seen(b, "SET_PIN PIN=größe", "SET_PIN|PIN=größe\n");
    expect_console(b, "SET_PIN fan", ERR_INVALID, "!! Malformed command 'SET_PIN fan'\n");
    expect_console(b, "SET_PIN PIN=\"fan", ERR_INVALID, "!! Malformed command 'SET_PIN PIN=\"fan'\n");
    expect_console(b, "SET_PIN PIN=fan\\", ERR_INVALID, "!! Malformed command 'SET_PIN PIN=fan\\'\n");
}

static void raw_text(void **state)
{
    struct bench *b = *state;
    add(b, "M117", record_raw);
    add(b, "M23", record_raw);
    add(b, "SHOUT", record_raw);
    expect_seen(b, "M117 Hello World ; yes", "M117<Hello World ; yes>\n");
    expect_seen(b, "M117", "M117<>\n");
    expect_seen(b, "m117 3 Layers", "M117<3 Layers>\n");
    expect_seen(b, "M117  two blanks", "M117< two blanks>\n");
    expect_seen(b, "N4 M117 Hi*99", "M117<Hi>\n");
    expect_seen(b, "M23 /a/b c.gcode", "M23</a/b c.gcode>\n");
    expect_seen(b, "SHOUT A=1 B=\"2 3\"", "SHOUT<A=1 B=\"2 3\">\n");

    /* Text is not taken apart: any number of words, quotes and '=' as they are. */
    struct gcode_def text = {"M118", NULL, false, record_raw, true};
    assert_int_equal(gcode_register(b->g, &text, b, NULL), OK);
    char line[4096] = "M118 ", seen[8192];
    for (int i = 0; i < 700; i++)
        strcat(line, i % 2 ? "1a " : "B ");
    snprintf(seen, sizeof seen, "M118<%s>\n", line + 5);
    seen[strlen(seen) - 3] = 0; /* the blank at the end is stripped */
    strcat(seen, ">\n");
    expect_seen(b, line, seen);
    expect_seen(b, "M118 1 it's = \"fine", "M118<1 it's = \"fine>\n");
}

static void unknown_commands_do_not_stop_the_script(void **state)
{
    struct bench *b = *state;
    add(b, "G1", record);
    expect_console(b, "T2\nG1 X1", OK, "// Unknown command:\"T2\"\n");
    assert_string_equal(b->seen.data, "G1|G=1|X=1\n");
    expect_console(b, "foo_bar a=b", OK, "// Unknown command:\"FOO_BAR\"\n");
    expect_console(b, "(remark) G1 X1", OK, "// Unknown command:\"(REMARK)\"\n");
    expect_console(b, "%", OK, "// Unknown command:\"%\"\n");
    expect_console(b, "M117 5 x", OK, "// Unknown command:\"M117 5\"\n");
    expect_console(b, "M140 S0\nM104\nM107\nM106 S0\nM21", OK, "");
    expect_console(b, "M140 S60", OK, "// Unknown command:\"M140\"\n");
    expect_console(b, "M106 S255", OK, "// Unknown command:\"M106\"\n");
    gcode_set_batch(b->g, true);
    expect_console(b, "M106 S255", OK, "");
}

static void bad_bytes_and_sizes_are_refused(void **state)
{
    struct bench *b = *state;
    add(b, "G1", record);
    add(b, "SET_PIN", record);
    struct err_info info;
    assert_int_equal(gcode_run_script(b->g, "G1 X1\0Y2", 8, &info), ERR_INVALID);
    assert_string_equal(info.text, "Malformed command 'G1 X1': it contains a NUL byte");
    assert_int_equal(gcode_run_script(b->g, "G1 X\xff", 5, &info), ERR_INVALID);
    assert_non_null(strstr(info.text, "it is not UTF-8"));
    assert_int_equal(gcode_run_script(b->g, "SET_PIN PIN=\";\xc0\x80\"", 17, &info), ERR_INVALID);
    assert_non_null(strstr(info.text, "it is not UTF-8"));
    /* In comments anything goes. */
    assert_int_equal(gcode_run_script(b->g, "G1 X1 ; \xff\xfe", 10, &info), OK);

    size_t len = GCODE_LINE_BYTES_MAX + 1;
    char *line = mem_alloc(len + 1);
    memset(line, '1', len);
    memcpy(line, "G1 X", 4);
    assert_int_equal(gcode_run_script(b->g, line, len, &info), ERR_INVALID);
    assert_non_null(strstr(info.text, "the line is longer than 65536 bytes"));
    memcpy(line, ";1 X", 4);
    assert_int_equal(gcode_run_script(b->g, line, len, &info), OK);
    for (size_t i = 0; i + 1 < len; i += 2)
        memcpy(line + i, "X1", 2);
    memcpy(line, "G1", 2);
    assert_int_equal(gcode_run_script(b->g, line, len - 1, &info), OK); /* one parameter, often repeated */
    for (size_t i = 2; i + 4 < len; i += 4) {
        char word[8];
        snprintf(word, sizeof word, "%c%c%c1", (char)('A' + i / 4 % 26), (char)('A' + i / 104 % 26),
                 (char)('A' + i / 2704 % 26));
        memcpy(line + i, word, 4);
    }
    assert_int_equal(gcode_run_script(b->g, line, len - 1, &info), ERR_INVALID);
    assert_non_null(strstr(info.text, "it has more than 512 parameters"));
    mem_free(line);
}

static enum err ask(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct bench *b = ctx;
    double d = 7.5, ranged = 0.5;
    long n = 3;
    enum err e = gcode_opt_double(cmd, "D", GCODE_ABOVE(0.0), &d, info);
    if (!e)
        e = gcode_opt_int(cmd, "N", GCODE_RANGE(-2, 12), &n, info);
    if (!e)
        e = gcode_get_double_in(cmd, "R", GCODE_RANGE(0.0, 1.0), &ranged, info);
    if (!e)
        strbuf_addf(&b->seen, "%g %ld %g\n", d, n, ranged);
    return e;
}

static void typed_parameters(void **state)
{
    struct bench *b = *state;
    add(b, "ASK", ask);
    expect_seen(b, "ASK R=0.25", "7.5 3 0.25\n");
    expect_seen(b, "ASK R=1 D=1e-3 N=-2", "0.001 -2 1\n");
    expect_console(b, "ASK", ERR_INVALID, "!! Error on 'ASK': missing R\n");
    expect_console(b, "ASK R=x", ERR_INVALID, "!! Error on 'ASK R=x': unable to parse x\n");
    expect_console(b, "ASK R=nan", ERR_INVALID, "!! Error on 'ASK R=nan': unable to parse nan\n");
    expect_console(b, "ASK R=inf", ERR_INVALID, "!! Error on 'ASK R=inf': unable to parse inf\n");
    expect_console(b, "ASK R=1e999", ERR_INVALID, "!! Error on 'ASK R=1e999': unable to parse 1e999\n");
    expect_console(b, "ASK R=2", ERR_INVALID, "!! Error on 'ASK R=2': R must have maximum of 1.0\n");
    expect_console(b, "ASK R=-1", ERR_INVALID, "!! Error on 'ASK R=-1': R must have minimum of 0.0\n");
    expect_console(b, "ASK R=1 D=0", ERR_INVALID, "!! Error on 'ASK R=1 D=0': D must be above 0.0\n");
    expect_console(b, "ASK R=1 N=13", ERR_INVALID, "!! Error on 'ASK R=1 N=13': N must have maximum of 12\n");
    expect_console(b, "ASK R=1 N=1.0", ERR_INVALID, "!! Error on 'ASK R=1 N=1.0': unable to parse 1.0\n");
    expect_console(b, "ASK R=1 N=99999999999999999999", ERR_INVALID,
                   "!! Error on 'ASK R=1 N=99999999999999999999': unable to parse 99999999999999999999\n");
}

static void errors_end_the_script_and_are_told_once(void **state)
{
    struct bench *b = *state;
    add(b, "G1", record);
    add(b, "FAIL", refuse);
    expect_console(b, "G1 X1\nFAIL\nG1 X2", ERR_LIMIT, "!! FAIL failed\n");
    assert_string_equal(b->seen.data, "G1|G=1|X=1\n");
}

static enum err macro(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)ctx;
    static const char body[] = "G1 X1\nFAIL\nG1 X2";
    return gcode_run_script(gcode_of(cmd), body, sizeof body - 1, info);
}

static enum err forever(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)ctx;
    return gcode_run_script(gcode_of(cmd), "FOREVER", 7, info);
}

static void count_errors(void *ctx, enum err code, const char *text)
{
    (void)code;
    (void)text;
    ++*(int *)ctx;
}

static void nested_scripts(void **state)
{
    struct bench *b = *state;
    int errors = 0;
    gcode_add_error_listener(b->g, count_errors, &errors);
    add(b, "G1", record);
    add(b, "FAIL", refuse);
    add(b, "MACRO", macro);
    add(b, "FOREVER", forever);
    expect_console(b, "MACRO\nG1 X3", ERR_LIMIT, "!! FAIL failed\n");
    assert_string_equal(b->seen.data, "G1|G=1|X=1\n");
    assert_int_equal(errors, 2); /* inner and outer script */
    expect_console(b, "FOREVER", ERR_LIMIT,
                   "// Scripts are nested more than 16 deep: does a macro call itself?\n// in 'FOREVER', run by 'FOREVER'\n"
                   "!! Scripts are nested more than 16 deep: does a macro call itself?\n");
    assert_int_equal(gcode_depth(b->g), 0);
    assert_false(gcode_is_busy(b->g));
    gcode_remove_error_listener(b->g, count_errors, &errors);
}

static void errors_name_their_line(void **state)
{
    struct bench *b = *state;
    struct gcode_source source = {812, 820};
    struct err_info info;
    add(b, "FAIL", refuse);
    add(b, "G1", refuse_anonymously);
    add(b, "MACRO", macro);
    assert_int_equal(gcode_run_line(b->g, "G1 X9 ; go", 10, &source, &info), ERR_LIMIT);
    assert_string_equal(info.text, "Too far\nin 'G1 X9 ; go', byte 812 of the file");
    assert_int_equal(gcode_run_line(b->g, "MACRO", 5, &source, &info), ERR_LIMIT);
    assert_string_equal(info.text, "Too far\nin 'G1 X1', run by 'MACRO', byte 812 of the file");
    assert_int_equal(gcode_run_script(b->g, "MACRO", 5, &info), ERR_LIMIT);
    assert_string_equal(info.text, "Too far\nin 'G1 X1', run by 'MACRO'");
    expect_console(b, "G1 X9", ERR_LIMIT, "!! Too far\n");
}

static void terminals_are_acknowledged(void **state)
{
    struct bench *b = *state;
    add(b, "G1", record);
    add(b, "FAIL", refuse);
    static const char text[] = "G1 X1\nFAIL\n;\nG1 X2\nM105\n";
    gcode_run_console(b->g, text, sizeof text - 1);
    assert_string_equal(b->console.data, "ok\n!! FAIL failed\nok\nok\nok\nok T:0\n");
    assert_string_equal(b->seen.data, "G1|G=1|X=1\nG1|G=1|X=2\n");
}

static void not_ready(void **state)
{
    struct bench *b = *state;
    add(b, "G1", record);
    struct gcode_def always = {"ALWAYS", "Works", true, record, false};
    assert_int_equal(gcode_register(b->g, &always, b, NULL), OK);
    uint64_t version = gcode_commands_version(b->g);
    gcode_set_ready(b->g, false, "Printer is not ready\nThe klippy host software is attempting to connect.\n");
    assert_true(gcode_commands_version(b->g) != version);
    expect_console(b, "ALWAYS", OK, "");
    assert_string_equal(b->seen.data, "ALWAYS\n");
    assert_int_equal(run(b, "G1 X1"), ERR_STATE);
    assert_string_equal(b->console.data, "// Printer is not ready\n// The klippy host software is attempting to "
                                         "connect.\n!! Printer is not ready\n");
    assert_int_equal(run(b, "STATUS"), ERR_STATE);
    assert_non_null(strstr(b->console.data, "// Klipper state: Not ready\n!! Printer is not ready\n"));
    expect_console(b, "M105\nM21\nM110 N0", OK, "");
    assert_int_equal(run(b, "HELP"), OK);
    assert_non_null(strstr(b->console.data, "// Printer is not ready - not all commands available.\n// Available"));
    assert_non_null(strstr(b->console.data, "// ALWAYS    : Works"));
    gcode_set_ready(b->g, true, "Printer is ready");
    expect_console(b, "STATUS", OK, "// Klipper state: Ready\n");
    expect_console(b, "echo Hi  there", OK, "// echo Hi  there\n");
}

static void shared_commands(void **state)
{
    struct bench *b = *state;
    struct gcode_def def = {"SET_FAN", "Fan", false, record, false};
    struct gcode_def other = {"SET_FAN", "Fan", false, record_raw, false};
    struct err_info info;
    assert_int_equal(gcode_register_mux(b->g, &def, "FAN", "a", b, &info), OK);
    assert_int_equal(gcode_register_mux(b->g, &other, "FAN", "b", b, &info), OK);
    expect_seen(b, "SET_FAN FAN=a\nSET_FAN FAN=b S=1", "SET_FAN|FAN=a\nSET_FAN<FAN=b S=1>\n");
    expect_console(b, "SET_FAN", ERR_INVALID, "!! Error on 'SET_FAN': missing FAN\n");
    expect_console(b, "SET_FAN FAN=c", ERR_NOT_FOUND, "!! The value 'c' is not valid for FAN\n");
    assert_int_equal(gcode_register_mux(b->g, &def, "FAN", "a", b, &info), ERR_EXISTS);
    assert_int_equal(gcode_register_mux(b->g, &def, "NAME", "z", b, &info), ERR_INVALID);
    assert_int_equal(gcode_register_mux(b->g, &other, "FAN", NULL, b, &info), OK);
    expect_seen(b, "SET_FAN", "SET_FAN<>\n");
    assert_true(gcode_unregister(b->g, "SET_FAN"));
    assert_false(gcode_unregister(b->g, "SET_FAN"));
}

static void note(void *ctx, const char *name, const struct gcode_command *cmd)
{
    struct bench *b = ctx;
    const char *x = gcode_get(cmd, "X");
    strbuf_addf(&b->seen, "(%s by %s X=%s)", name, gcode_name(cmd), x ? x : "");
}

static void watchers(void **state)
{
    struct bench *b = *state;
    struct err_info info;
    add(b, "PAUSE", record);
    gcode_watch(b->g, "PAUSE", note, b);
    gcode_watch(b->g, "NOBODY", note, b);
    expect_seen(b, "PAUSE X=1", "(PAUSE by PAUSE X=1)PAUSE|X=1\n");
    assert_int_equal(gcode_rename(b->g, "PAUSE", "PAUSE_BASE", &info), OK);
    add(b, "PAUSE", record);
    expect_seen(b, "PAUSE X=1\nPAUSE_BASE", "PAUSE|X=1\n(PAUSE by PAUSE_BASE X=)PAUSE_BASE\n");
}

static void names(void **state)
{
    struct bench *b = *state;
    struct err_info info;
    static const char *const bad[] = {"", "set", "9A", "A9B", "A-B", "G1X", "A B", "M 1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct gcode_def def = {bad[i], NULL, false, record, false};
        assert_int_equal(gcode_register(b->g, &def, b, &info), ERR_INVALID);
    }
    add(b, "PAUSE", record);
    struct gcode_def again = {"PAUSE", NULL, false, record, false};
    assert_int_equal(gcode_register(b->g, &again, b, &info), ERR_EXISTS);
    assert_string_equal(info.text, "gcode command PAUSE already registered");
    assert_int_equal(gcode_rename(b->g, "PAUSE", "M25", &info), ERR_INVALID);
    assert_string_equal(info.text, "G-Code macro rename of different types ('PAUSE' vs 'M25')");
    assert_int_equal(gcode_rename(b->g, "RESUME", "RESUME_BASE", &info), ERR_NOT_FOUND);
    assert_string_equal(info.text, "Existing command 'RESUME' not found in gcode_macro rename");
    assert_int_equal(gcode_rename(b->g, "PAUSE", "PAUSE_BASE", &info), OK);
    add(b, "PAUSE", record_raw);
    expect_seen(b, "PAUSE X=1\nPAUSE_BASE X=1", "PAUSE<X=1>\nPAUSE_BASE|X=1\n");
}

static void emergency_is_seen_before_queueing(void **state)
{
    (void)state;
    static const char *const yes[] = {"M112", "m112", "G1 X1\nM112", "N5 M112*3", "n5m112", "  M112 ; now", "M112\r\n", "M112;x"};
    static const char *const no[] = {"M1120", "M112.5", "; M112", "M117 M112", "M11", "", "ECHO M112", "NM113"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        assert_true(gcode_has_emergency(yes[i], strlen(yes[i])));
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        assert_false(gcode_has_emergency(no[i], strlen(no[i])));
}

/* --- turns --- */

struct turn {
    struct bench *b;
    const char *script;
    enum err result;
};

static enum err wait_a_little(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)info;
    struct bench *b = ctx;
    strbuf_addf(&b->seen, "<%s", gcode_get(cmd, "T"));
    enum err e = fiber_sleep(1.0);
    strbuf_addf(&b->seen, "%s>", gcode_get(cmd, "T"));
    return e;
}

static void run_turn(void *arg)
{
    struct turn *turn = arg;
    turn->result = gcode_run_script(turn->b->g, turn->script, strlen(turn->script), NULL);
}

static void scripts_take_turns(void **state)
{
    struct bench *b = *state;
    add(b, "WAIT", wait_a_little);
    struct fiber_pool *pool = fiber_pool_create(4);
    struct turn turns[3] = {{b, "WAIT T=a\nWAIT T=b", OK}, {b, "WAIT T=c", OK}, {b, "WAIT T=d", OK}};
    struct fiber *fibers[3];
    for (int i = 0; i < 3; i++)
        fibers[i] = fiber_spawn(pool, "turn", run_turn, &turns[i]);
    struct host_ns now = {1};
    fiber_pool_run(pool, now);
    fiber_cancel(fibers[1]); /* gives up waiting */
    while (fiber_pool_alive(pool))
        now = fiber_pool_run(pool, now);
    assert_string_equal(b->seen.data, "<aa><bb><dd>");
    assert_int_equal(turns[0].result, OK);
    assert_int_equal(turns[1].result, ERR_CANCELLED);
    assert_int_equal(turns[2].result, OK);
    fiber_pool_destroy(pool);
}

/* --- random lines: no crash, no lost state, and the same values as a plain reading --- */

static void random_lines(void **state)
{
    struct bench *b = *state;
    add(b, "G1", record);
    add(b, "M117", record_raw);
    add(b, "SET_PIN", record);
    uint64_t seed = 20261121;
    const char *given = getenv("SEED");
    if (given)
        seed = strtoull(given, NULL, 0);
    printf("seed %llu\n", (unsigned long long)seed);
    struct rng rng;
    rng_init(&rng, seed);
    static const char alphabet[] = "GGG1MNXYZEFST0123456789..-+  \t;#*\"'\\=_abcPIN\n\r(){}%\xc3\xbc\xff";
    static const char *const heads[] = {"", "G1 ", "M117 ", "SET_PIN ", "N1 G1 ", "N2 SET_PIN ", "SET_PIN PIN="};
    for (int round = 0; round < 60000; round++) {
        char text[160];
        const char *head = heads[rng_below(&rng, sizeof heads / sizeof heads[0])];
        size_t len = strlen(head);
        memcpy(text, head, len);
        size_t more = rng_below(&rng, sizeof text - len);
        for (size_t i = 0; i < more; i++)
            text[len++] = rng_below(&rng, 40) ? alphabet[rng_below(&rng, sizeof alphabet - 1)] : (char)rng_below(&rng, 256);
        strbuf_clear(&b->seen);
        strbuf_clear(&b->console);
        /* An exact copy on the heap, so that the sanitizer sees any read beyond it. */
        char *copy = mem_alloc(len ? len : 1);
        memcpy(copy, text, len);
        enum err e = gcode_run_script(b->g, copy, len, NULL);
        mem_free(copy);
        assert_true(e == OK || e == ERR_INVALID);
        assert_true(e == OK || strstr(b->console.data, "!! Malformed command"));
        assert_int_equal(gcode_depth(b->g), 0);
    }
}

static void random_parameters_come_back(void **state)
{
    struct bench *b = *state;
    add(b, "SET_PIN", record);
    struct rng rng;
    rng_init(&rng, 7);
    for (int round = 0; round < 3000; round++) {
        char value[64], quoted[160], line[256], seen[256];
        size_t len = rng_below(&rng, 40), q = 0;
        for (size_t i = 0; i < len; i++)
            value[i] = (char)(32 + rng_below(&rng, 95));
        value[len] = 0;
        quoted[q++] = '"';
        for (size_t i = 0; i < len; i++) {
            if (value[i] == '"' || value[i] == '\\')
                quoted[q++] = '\\';
            quoted[q++] = value[i];
        }
        quoted[q++] = '"';
        quoted[q] = 0;
        snprintf(line, sizeof line, "SET_PIN A=1 PIN=%s Z=2", quoted);
        snprintf(seen, sizeof seen, "SET_PIN|A=1|PIN=%s|Z=2\n", value);
        expect_seen(b, line, seen);
    }
}

static void numbers(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 3);
    static const char *const bad[] = {"",    "-",  ".",  "1e",  "1e+", "e5", "1.2.3", "0x10", "1_0", "nan", "inf", "-inf",
                                      "1 2", "++1", "1-", "1e400", "٣"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        double value = 5.0;
        assert_int_not_equal(gcode_parse_double(bad[i], strlen(bad[i]), &value), OK);
        assert_true(value == 5.0);
    }
    for (int round = 0; round < 200000; round++) {
        char text[64];
        int digits = (int)rng_below(&rng, 18);
        switch (rng_below(&rng, 3)) {
        case 0:
            snprintf(text, sizeof text, "%.*f", digits, rng_range(&rng, -1000.0, 1000.0));
            break;
        case 1:
            snprintf(text, sizeof text, "%.*e", digits, rng_range(&rng, -1.0, 1.0));
            break;
        default:
            snprintf(text, sizeof text, " +%llu.%0*llu ", (unsigned long long)rng_below(&rng, 1u << 20), digits + 1,
                     (unsigned long long)rng_below(&rng, 1000));
        }
        double value;
        assert_int_equal(gcode_parse_double(text, strlen(text), &value), OK);
        assert_true(value == strtod(text, NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(traditional_commands, setup, teardown),
        cmocka_unit_test_setup_teardown(extended_commands, setup, teardown),
        cmocka_unit_test_setup_teardown(raw_text, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_commands_do_not_stop_the_script, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_bytes_and_sizes_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(typed_parameters, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_end_the_script_and_are_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(nested_scripts, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_name_their_line, setup, teardown),
        cmocka_unit_test_setup_teardown(terminals_are_acknowledged, setup, teardown),
        cmocka_unit_test_setup_teardown(not_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(shared_commands, setup, teardown),
        cmocka_unit_test_setup_teardown(names, setup, teardown),
        cmocka_unit_test_setup_teardown(watchers, setup, teardown),
        cmocka_unit_test(emergency_is_seen_before_queueing),
        cmocka_unit_test_setup_teardown(scripts_take_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(random_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(random_parameters_come_back, setup, teardown),
        cmocka_unit_test(numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
