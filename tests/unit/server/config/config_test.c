/* The configuration reader: line rules, includes, autosave, getters and their words, a write/read round trip over random
 * configurations, and random damage to real ones. */
#include "base/mem.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "server/config/config.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct config *parse(const char *text)
{
    return config_parse("printer.cfg", text, strlen(text));
}

static const char *value(const struct config *config, const char *section, const char *option)
{
    const struct config_section *s = config_find(config, section);
    const struct config_option *o = s ? section_find(s, option) : NULL;
    return o ? o->value : NULL;
}

static void assert_errors(const struct config *config, const char *expected)
{
    char *text = config_error_text(config);
    assert_string_equal(text, expected);
    mem_free(text);
}

static void test_line_rules(void **state)
{
    (void)state;
    struct config *c = parse("\xef\xbb\xbf# head\r\n"
                             "[Fan One]\r\n"
                             "Pin: PA1  # comment\r\n"
                             "max_power=0.5 ; another\r\n"
                             "text = a;b#c\r\n"
                             "gcode:\r\n"
                             "    G28 ; home\r\n"
                             "\r\n"
                             "    # only a comment\r\n"
                             "    ; semicolons leave no line\r\n"
                             "      G1 X1\r\n"
                             "\r\n"
                             "empty:\r\n"
                             "url: http://x/y=1\r\n"
                             "[fan one]\n"
                             "pin: PB1\n"
                             "[Fan One]\n"
                             "PIN: PA2\n");
    assert_errors(c, "");
    assert_int_equal(config_section_count(c), 2);
    assert_string_equal(value(c, "Fan One", "pin"), "PA2");
    assert_int_equal(section_find(config_find(c, "Fan One"), "pin")->line, 18);
    assert_string_equal(value(c, "Fan One", "MAX_POWER"), "0.5");
    assert_string_equal(value(c, "Fan One", "text"), "a;b");
    assert_string_equal(value(c, "Fan One", "gcode"), "\nG28\n\n\nG1 X1");
    assert_string_equal(value(c, "Fan One", "empty"), "");
    assert_string_equal(value(c, "Fan One", "url"), "http://x/y=1");
    assert_string_equal(value(c, "fan one", "pin"), "PB1");
    config_destroy(c);
}

static void test_bad_lines(void **state)
{
    (void)state;
    struct config *c = parse("loose: 1\nloose2: 2\n[a]\nno delimiter\n: nothing\nok: 1\n[DEFAULT]\nx: 1\n");
    assert_errors(c, "printer.cfg:1: Option 'loose' stands outside of any section (expected: a '[section]' line before it)\n"
                     "printer.cfg:4: Unable to parse line 'no delimiter' (expected: 'option: value', '[section]', or an "
                     "indented line that continues a value)\n"
                     "printer.cfg:5: Unable to parse line ': nothing' (expected: 'option: value', '[section]', or an "
                     "indented line that continues a value)\n"
                     "printer.cfg:7: Section 'DEFAULT' is not supported: write its options in the sections that need them");
    assert_string_equal(value(c, "a", "ok"), "1");
    config_destroy(c);

    const char bytes[] = "[a]\nb: \xff\xfe\nc: x\0y\n";
    c = config_parse("f.cfg", bytes, sizeof bytes - 1);
    assert_errors(c, "f.cfg:2: Byte 0xff is not valid UTF-8 (expected: text in UTF-8)\n"
                     "f.cfg:3: NUL byte in the file (expected: text in UTF-8)");
    assert_string_equal(value(c, "a", "c"), "x?y");
    config_destroy(c);
}

static void test_autosave(void **state)
{
    (void)state;
    struct config *c = parse("[extruder]\ncontrol: watermark\nmax_temp: 250\n\n"
                             "#*# <---------------------- SAVE_CONFIG ---------------------->\n"
                             "#*# DO NOT EDIT THIS BLOCK OR BELOW. The contents are auto-generated.\n"
                             "#*#\n"
                             "#*# [extruder]\n"
                             "#*# control = pid\n"
                             "#*# pid_kp = 22.200\n"
                             "#*#\n"
                             "#*# [bed_mesh default]\n"
                             "#*# points =\n"
                             "#*# \t0.1, 0.2\n"
                             "#*# \t0.3, 0.4\n");
    assert_errors(c, "");
    assert_string_equal(value(c, "extruder", "control"), "pid");
    assert_true(section_find(config_find(c, "extruder"), "control")->is_autosave);
    assert_false(section_find(config_find(c, "extruder"), "max_temp")->is_autosave);
    assert_int_equal(section_find(config_find(c, "extruder"), "pid_kp")->line, 10);
    assert_string_equal(value(c, "bed_mesh default", "points"), "\n0.1, 0.2\n0.3, 0.4");
    config_destroy(c);

    c = parse("[a]\nb: 1\n#*# <---------------------- SAVE_CONFIG ---------------------->\n#*# [a]\nb: 3\n");
    assert_int_equal(config_error_count(c), 1);
    assert_int_equal(config_error_at(c, 0)->line, 5);
    assert_string_equal(value(c, "a", "b"), "1");
    config_destroy(c);
}

static void put(const char *dir, const char *name, const char *text)
{
    char *path = mem_sprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    mem_free(path);
}

static void test_includes(void **state)
{
    (void)state;
    char dir[] = "/tmp/lockstep-config-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *sub = mem_sprintf("%s/macros", dir);
    assert_int_equal(mkdir(sub, 0700), 0);
    put(dir, "printer.cfg", "[a]\nx: 1\n[include macros/*.cfg]\n[include none/*.cfg]\n[include gone.cfg]\n[a]\ny: 2\n");
    put(sub, "2.cfg", "[a]\nx: from 2\n");
    put(sub, "1.cfg", "[a]\nx: from 1\n[include loop.inc]\n[b]\nbad line\n");
    put(sub, "loop.inc", "[c]\nz: 1\n[include 1.cfg]\n");
    char *path = mem_sprintf("%s/printer.cfg", dir);
    struct config *c = config_load(path);
    assert_string_equal(value(c, "a", "x"), "from 2");
    assert_string_equal(value(c, "a", "y"), "2");
    assert_string_equal(value(c, "c", "z"), "1");
    assert_string_equal(section_find(config_find(c, "a"), "x")->file, "macros/2.cfg");
    char *expected = mem_sprintf(
        "printer.cfg:5: Include file '%s/gone.cfg' does not exist\n"
        "macros/1.cfg:5: Unable to parse line 'bad line' (expected: 'option: value', '[section]', or an indented line that "
        "continues a value)\n"
        "macros/loop.inc:3: Recursive include of config file '%s/macros/1.cfg'",
        dir, dir);
    assert_errors(c, expected);
    mem_free(expected);
    config_destroy(c);
    c = config_load("/nonexistent/printer.cfg");
    assert_errors(c, "Unable to open config file /nonexistent/printer.cfg: No such file or directory");
    config_destroy(c);
    char *command = mem_sprintf("rm -r %s", dir);
    assert_int_equal(system(command), 0);
    mem_free(command);
    mem_free(path);
    mem_free(sub);
}

static const struct option_desc table[] = {
    {.name = "pin", .type = OPTION_PIN, .flags = OPTION_REQUIRED},
    {.name = "max_power", .type = OPTION_FLOAT, .default_text = "1.0", .limits = ">0.0 <=1.0"},
    {.name = "count", .type = OPTION_INT, .default_text = "3", .limits = ">=1"},
    {.name = "low", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED},
    {.name = "high", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED, .limits = ">low"},
    {.name = "same", .type = OPTION_FLOAT, .default_text = "high"},
    {.name = "flag", .type = OPTION_BOOL, .default_text = "False"},
    {.name = "mode", .type = OPTION_CHOICE, .choices = "watermark|pid", .flags = OPTION_REQUIRED},
    {.name = "names", .type = OPTION_LIST, .default_text = "extruder"},
    {.name = "point", .type = OPTION_FLOAT_LIST, .count = 2},
    {.name = "gear_ratio", .type = OPTION_FLOAT_TABLE, .separators = ",:", .count = 2, .default_text = ""},
    {.name = "aliases", .type = OPTION_TABLE, .separators = ",=", .count = 2},
    {.name = "variable_*", .type = OPTION_STRING},
    {.name = "only_pwm", .type = OPTION_FLOAT, .when = "pwm is True"},
    {.name = "pid_Kp", .type = OPTION_FLOAT, .flags = OPTION_CONDITIONAL},
    {.name = "old", .type = OPTION_INT},
};

static struct config_section *bind(struct config *c, const char *name)
{
    struct config_section *s = config_find(c, name);
    assert_non_null(s);
    section_bind(s, table, sizeof table / sizeof table[0]);
    return s;
}

static void test_getters(void **state)
{
    (void)state;
    struct config *c = parse("[x]\npin: !PA1\nmax_power: .25\ncount: 1_0\nlow: -5\nhigh: 5e0\nflag: yes\nmode: pid\n"
                             "names: a, b,, c\npoint: 1, 2.5\ngear_ratio: 80:16, 2:1\naliases:\n  P1=PA1, P2 = <GND>,\n"
                             "variable_speed: 3\npid_Kp: 22.2\nold: 1\n");
    struct config_section *s = bind(c, "x");
    assert_string_equal(section_string(s, "pin"), "!PA1");
    assert_true(section_float(s, "max_power") == 0.25);
    assert_int_equal(section_int(s, "count"), 10);
    assert_true(section_float(s, "low") == -5);
    assert_true(section_float(s, "high") == 5);
    assert_true(section_float(s, "same") == 5);
    assert_true(section_bool(s, "flag"));
    assert_int_equal(section_choice(s, "mode"), 1);
    struct config_list names = section_list(s, "names");
    assert_int_equal(names.count, 3);
    assert_string_equal(names.items[2], "c");
    struct config_numbers point = section_numbers(s, "point");
    assert_int_equal(point.count, 2);
    assert_true(point.items[1] == 2.5);
    struct config_number_table gears = section_number_table(s, "gear_ratio");
    assert_int_equal(gears.count, 2);
    assert_true(gears.rows[0].items[1] == 16);
    struct config_table aliases = section_table(s, "aliases");
    assert_int_equal(aliases.count, 2);
    assert_string_equal(aliases.rows[1].items[1], "<GND>");
    size_t cursor = 0;
    const char *suffix;
    const struct config_option *o = section_next(s, "variable_*", &cursor, &suffix);
    assert_non_null(o);
    assert_string_equal(suffix, "speed");
    assert_null(section_next(s, "variable_*", &cursor, &suffix));
    assert_true(section_float_required(s, "pid_Kp") == 22.2);
    assert_int_equal(section_int(s, "old"), 1);
    section_check_unused(s);
    assert_errors(c, "");
    assert_string_equal(section_settings_json(s),
                        "{\"pin\": \"!PA1\", \"max_power\": 0.25, \"count\": 10, \"low\": -5.0, \"high\": 5.0, \"same\": 5.0, "
                        "\"flag\": true, \"mode\": \"pid\", \"names\": [\"a\", \"b\", \"c\"], \"point\": [1.0, 2.5], "
                        "\"gear_ratio\": [[80.0, 16.0], [2.0, 1.0]], \"aliases\": [[\"P1\", \"PA1\"], [\"P2\", \"<GND>\"]], "
                        "\"variable_speed\": \"3\", \"pid_kp\": 22.2, \"old\": 1}");
    config_warn(c, "deprecated_option", "x", "old", NULL, "Option 'old' in section 'x' is deprecated.");
    config_warn_command(c, "G4", "S", "1", "Value 'S=1' in command 'G4' is deprecated.");
    config_warn_command(c, "G4", "S", "1", "Value 'S=1' in command 'G4' is deprecated."); /* once */
    assert_int_equal(config_warning_count(c), 2);
    char *warnings = config_warnings_json(c);
    assert_string_equal(warnings, "[{\"type\": \"deprecated_option\", \"message\": \"Option 'old' in section 'x' is "
                                  "deprecated.\", \"section\": \"x\", \"option\": \"old\"}, "
                                  "{\"type\": \"deprecated_gcode\", \"message\": \"Value 'S=1' in command 'G4' is "
                                  "deprecated.\", \"command\": \"G4\", \"parameter\": \"S\", \"value\": \"1\"}]");
    mem_free(warnings);
    config_destroy(c);
}

static void test_getter_errors(void **state)
{
    (void)state;
    struct config *c = parse("[x]\n"
                             "max_power: 1.5\n"
                             "count: 2.5\n"
                             "low: 7\n"
                             "high: 7\n"
                             "flag: maybe\n"
                             "mode: bang\n"
                             "point: 1, 2, 3\n"
                             "gear_ratio: 1:b\n"
                             "typo: 1\n"
                             "only_pwm: 2\n"
                             "pid_Kp: nan\n");
    struct config_section *s = bind(c, "x");
    assert_string_equal(section_string(s, "pin"), "");
    assert_true(section_float(s, "max_power") == 1.0);
    assert_int_equal(section_int(s, "count"), 3);
    (void)section_float(s, "low");
    assert_true(section_float(s, "high") > 7);
    assert_false(section_bool(s, "flag"));
    (void)section_choice(s, "mode");
    assert_int_equal(section_numbers(s, "point").count, 0);
    assert_int_equal(section_number_table(s, "gear_ratio").count, 0);
    (void)section_float_required(s, "pid_Kp");
    section_check_unused(s);
    assert_int_equal(section_error_count(s), 11);
    assert_errors(c, "printer.cfg:1: Option 'pin' in section 'x' must be specified\n"
                     "printer.cfg:2: Option 'max_power' in section 'x' must have maximum of 1.0 (found: 1.5, allowed: >0.0 and <=1.0)\n"
                     "printer.cfg:3: Unable to parse option 'count' in section 'x' (found: '2.5', expected: a whole number)\n"
                     "printer.cfg:5: Option 'high' in section 'x' must be above 7.0 (found: 7.0, allowed: >7.0)\n"
                     "printer.cfg:6: Unable to parse option 'flag' in section 'x' (found: 'maybe', expected: True or False)\n"
                     "printer.cfg:7: Choice 'bang' for option 'mode' in section 'x' is not a valid choice (allowed: watermark|pid)\n"
                     "printer.cfg:8: Option 'point' in section 'x' must have 2 elements (found: 3)\n"
                     "printer.cfg:9: Unable to parse option 'gear_ratio' in section 'x' (found: 'b', expected: numbers)\n"
                     "printer.cfg:10: Option 'typo' is not valid in section 'x'\n"
                     "printer.cfg:11: Option 'only_pwm' is not valid in section 'x' (it applies when: pwm is True)\n"
                     "printer.cfg:12: Unable to parse option 'pid_Kp' in section 'x' (found: 'nan', expected: a number)");
    config_destroy(c);
}

/* Any configuration written by config_write reads back as itself. */
static void test_round_trip(void **state)
{
    (void)state;
    uint64_t seed = 20261121;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct rng rng;
    rng_init(&rng, seed);
    static const char *const words[] = {"a", "PA1", "0.5", "G1 X1 Y2", "x=y", "k: v", "[not]", "\xc3\xa9t\xc3\xa9", ";", "{% if x %}", "\n", "\n\n", "  "};
    for (int round = 0; round < 400; round++) {
        struct strbuf text;
        strbuf_init(&text);
        size_t sections = rng_below(&rng, 6);
        for (size_t i = 0; i < sections; i++) {
            strbuf_addf(&text, "[s%llu]\n", (unsigned long long)rng_below(&rng, 4));
            size_t options = rng_below(&rng, 5);
            for (size_t k = 0; k < options; k++) {
                strbuf_addf(&text, "o%llu%s", (unsigned long long)rng_below(&rng, 6), rng_below(&rng, 2) ? ": " : " =");
                for (size_t w = rng_below(&rng, 5); w > 0; w--) {
                    const char *word = words[rng_below(&rng, sizeof words / sizeof words[0])];
                    strbuf_addf(&text, "%s%s", word, word[0] == '\n' ? "   " : " ");
                }
                strbuf_addc(&text, '\n');
            }
        }
        struct config *first = config_parse("a.cfg", text.data, text.len_bytes);
        char *written = config_write(first);
        struct config *second = config_parse("b.cfg", written, strlen(written));
        char *json1 = config_raw_json(first), *json2 = config_raw_json(second);
        if (config_error_count(first) == 0 && strcmp(json1, json2))
            fail_msg("round %d:\n%s\n--- written:\n%s\n--- %s\n--- %s", round, text.data, written, json1, json2);
        mem_free(json1);
        mem_free(json2);
        mem_free(written);
        config_destroy(first);
        config_destroy(second);
        strbuf_deinit(&text);
    }
}

static char *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    char *text = mem_alloc(1 << 16);
    *len = fread(text, 1, 1 << 16, f);
    (void)fclose(f);
    return text;
}

/* Random damage to configurations people have: no crash, no hang, and every getter still answers. */
static void test_mutations(void **state)
{
    (void)state;
    uint64_t seed = 7;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct rng rng;
    rng_init(&rng, seed);
    glob_t found;
    if (glob(TEST_SHARED_DIR "/oracle/*/*.cfg", 0, NULL, &found) != 0)
        skip();
    for (size_t i = 0; i < found.gl_pathc; i++) {
        size_t len = 0;
        char *text = read_file(found.gl_pathv[i], &len);
        assert_non_null(text);
        for (int round = 0; round < 60; round++) {
            char *copy = mem_alloc(len + 16);
            memcpy(copy, text, len);
            size_t n = len;
            for (size_t hits = 1 + rng_below(&rng, 12); hits > 0 && n; hits--) {
                size_t at = rng_below(&rng, n);
                switch (rng_below(&rng, 4)) {
                case 0:
                    copy[at] = (char)rng_below(&rng, 256);
                    break;
                case 1:
                    memmove(copy + at, copy + at + 1, n - at - 1);
                    n--;
                    break;
                case 2:
                    copy[at] = "[]:=\n\t #;\r"[rng_below(&rng, 10)];
                    break;
                default:
                    n = at + 1;
                }
            }
            struct config *c = config_parse("mutant.cfg", copy, n);
            for (size_t k = 0; k < config_section_count(c); k++) {
                struct config_section *s = bind(c, section_name(config_section_at(c, k)));
                (void)section_float(s, "max_power");
                (void)section_table(s, "aliases");
                (void)section_list(s, "names");
                section_check_unused(s);
            }
            char *errors = config_error_text(c), *json = config_settings_json(c);
            mem_free(errors);
            mem_free(json);
            config_destroy(c);
            mem_free(copy);
        }
        mem_free(text);
    }
    globfree(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_rules),    cmocka_unit_test(test_bad_lines), cmocka_unit_test(test_autosave),
        cmocka_unit_test(test_includes),      cmocka_unit_test(test_getters),   cmocka_unit_test(test_getter_errors),
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
