/* Every descriptor against the tables of facts: each option, command and status field of a section that this program has
 * exists with the documented type, default and limits, and nothing undocumented exists. Skipped where the tables are not
 * at hand. */
#include "base/mem.h"
#include "base/strbuf.h"
#include "server/heat/heater.h"
#include "server/heat/thermistor.h"
#include "server/machine/object.h"
#include "server/machine/stepper.h"

#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FACTS TEST_SHARED_DIR "/reference/"
#define ROWS_MAX 3000
#define COLUMNS_MAX 8

struct row {
    char *line;
    char *column[COLUMNS_MAX];
};
struct table {
    struct row rows[ROWS_MAX];
    size_t count;
};

static struct table *load(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f)
        return NULL;
    struct table *t = MEM_NEW(struct table);
    char line[4096];
    bool is_head = true;
    while (fgets(line, sizeof line, f) && t->count < ROWS_MAX) {
        line[strcspn(line, "\n")] = 0;
        if (is_head) {
            is_head = false;
            continue;
        }
        struct row *row = &t->rows[t->count++];
        row->line = mem_strdup(line);
        char *p = row->line;
        static char empty[] = "";
        for (size_t i = 0; i < COLUMNS_MAX; i++) {
            row->column[i] = p ? p : empty;
            p = p ? strchr(p, '\t') : NULL;
            if (p)
                *p++ = 0;
        }
    }
    (void)fclose(f);
    return t;
}

static void unload(struct table *t)
{
    for (size_t i = 0; i < t->count; i++)
        mem_free(t->rows[i].line);
    mem_free(t);
}

static int complaints;

__attribute__((format(printf, 1, 2))) static void complain(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char text[512];
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    print_message("  %s\n", text);
    complaints++;
}

/* --- options --- */

/* "[heater_fan NAME]" -> "heater_fan x", "[extruder<n>]" -> "extruder1". */
static void sample_name(const char *kind, char *out, size_t size)
{
    (void)snprintf(out, size, "%s", kind + 1);
    out[strcspn(out, "]")] = 0;
    char *name = strstr(out, " NAME"), *number = strstr(out, "<n>");
    if (name)
        (void)snprintf(name, size - (size_t)(name - out), " x");
    if (number)
        (void)snprintf(number, size - (size_t)(number - out), "1");
}

static const struct option_desc *find_in(const struct option_desc *options, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        size_t fixed = strcspn(options[i].name, "*");
        bool is_pattern = options[i].name[fixed] == '*';
        if (is_pattern ? !strncmp(options[i].name, name, fixed) && strchr(name, '<') : !strcmp(options[i].name, name))
            return &options[i];
    }
    return NULL;
}

static bool has_heater(const struct object_desc *desc)
{
    return !strcmp(desc->section, "extruder") || !strcmp(desc->section, "heater_bed") ||
           !strcmp(desc->section, "heater_generic");
}

static bool has_stepper(const struct object_desc *desc)
{
    return !strncmp(desc->section, "stepper_", 8) || !strcmp(desc->section, "extruder") ||
           !strcmp(desc->section, "extruder_stepper") || !strcmp(desc->section, "manual_stepper");
}

static const struct option_desc *find_option(const struct object_desc *desc, const char *name)
{
    const struct option_desc *option = find_in(desc->options, desc->option_count, name);
    if (!option && has_heater(desc))
        option = find_in(heater_options, heater_option_count, name);
    if (!option && has_stepper(desc))
        option = find_in(stepper_options, stepper_option_count, name);
    return option;
}

static bool same_type(const char *type, enum option_type ours)
{
    static const struct {
        const char *type;
        enum option_type ours;
    } map[] = {{"float", OPTION_FLOAT},          {"int", OPTION_INT},          {"bool", OPTION_BOOL},
               {"choice", OPTION_CHOICE},        {"str", OPTION_STRING},       {"pin", OPTION_PIN},
               {"list", OPTION_LIST},            {"lists", OPTION_TABLE},      {"lists", OPTION_FLOAT_TABLE}, {"lists", OPTION_FLOAT_LIST},
               {"floatlist", OPTION_FLOAT_LIST}, {"intlist", OPTION_INT_LIST}, {"template", OPTION_TEMPLATE},
               {"str", OPTION_CHOICE},           {"str", OPTION_TEMPLATE},
                         {"prefix", OPTION_STRING},    {"type", OPTION_STRING}};
    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
        if (!strcmp(map[i].type, type) && map[i].ours == ours)
            return true;
    return false;
}

/* Both are the same number, or the same text but for quotes, brackets and blanks. */
static bool same_value(const char *a, const char *b)
{
    char *end_a, *end_b;
    double x = strtod(a, &end_a), y = strtod(b, &end_b);
    if (end_a != a && end_b != b && !*end_a && !*end_b)
        return x == y;
    for (;;) {
        while (*a && strchr("\"'() ,", *a))
            a++;
        while (*b && strchr("\"'() ,", *b))
            b++;
        if (!*a || !*b)
            return *a == *b;
        if (*a++ != *b++)
            return false;
    }
}

/* Every "OP VALUE" of `limits` is among ours, and as many. */
static bool same_limits(const char *limits, const char *ours)
{
    size_t theirs_count = 0, ours_count = 0;
    for (const char *p = limits; *p; p++)
        theirs_count += (*p == '<' || *p == '>') && (p == limits || p[-1] == ' ');
    for (const char *p = ours ? ours : ""; *p; p++)
        ours_count += (*p == '<' || *p == '>') && (p == ours || p[-1] == ' ');
    if (theirs_count != ours_count)
        return false;
    for (const char *p = limits; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
        size_t op = strspn(p, "<>=");
        if (!op)
            continue;
        char value[64];
        (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(p + op, " "), p + op);
        bool is_found = false;
        for (const char *q = ours; q && *q; q += strcspn(q, " "), q += strspn(q, " ")) {
            char other[64];
            size_t op2 = strspn(q, "<>=");
            (void)snprintf(other, sizeof other, "%.*s", (int)strcspn(q + op2, " "), q + op2);
            is_found |= op == op2 && !strncmp(p, q, op) && same_value(value, other);
        }
        if (!is_found)
            return false;
    }
    return true;
}

/* Sections in which defaults and limits must be the documented ones to the letter. In the others a default may be said in
 * other words, or a limit be checked by code. */
static bool is_strict(const char *section)
{
    static const char *const kinds[] = {"[mcu",       "[board_pins",    "[duplicate_pin", "[heater",     "[verify_heater",
                                        "[thermistor", "[adc_temperature", "[temperature_sensor", "[fan", "[controller_fan",
                                        "[output_pin", "[static_digital", "[<sensor"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (!strncmp(section, kinds[i], strlen(kinds[i])))
            return true;
    return false;
}

/* Limits that are words in the facts, checked by the objects' own tests. */
static bool has_words(const char *limits)
{
    return strstr(limits, "sensor report time") || strstr(limits, "kinematic") || strstr(limits, "max z");
}

static void check_option(const char *section, const struct row *row, const struct option_desc *ours)
{
    const char *name = row->column[1], *type = row->column[2], *dflt = row->column[3], *limits = row->column[4],
               *required = row->column[5];
    if (!same_type(type, ours->type))
        complain("%s %s: type should be %s", section, name, type);
    if (!is_strict(section))
        return;
    bool has_default = strcmp(dflt, "-") && strcmp(dflt, "(none)") && strcmp(dflt, "(auto)") && strcmp(dflt, "(inferred)");
    if (has_default != (ours->default_text != NULL) && strcmp(dflt, "()"))
        complain("%s %s: default should be %s, is %s", section, name, dflt, ours->default_text ? ours->default_text : "none");
    else if (has_default && ours->default_text && !same_value(dflt, ours->default_text))
        complain("%s %s: default should be %s, is %s", section, name, dflt, ours->default_text);
    bool is_number = ours->type == OPTION_FLOAT || ours->type == OPTION_INT;
    if (is_number && !has_words(limits) && !same_limits(limits, ours->limits))
        complain("%s %s: limits should be %s, are %s", section, name, limits, ours->limits ? ours->limits : "none");
    if (ours->type == OPTION_CHOICE && strncmp(limits, "one of ", 7) == 0 && strcmp(limits + 7, ours->choices))
        complain("%s %s: choices should be %s, are %s", section, name, limits + 7, ours->choices);
    unsigned wanted = !strcmp(required, "yes") ? OPTION_REQUIRED : !strcmp(required, "cond") ? OPTION_CONDITIONAL : 0;
    /* a row may be required for one kind of machine only, where the object says so itself */
    if ((ours->flags & (OPTION_REQUIRED | OPTION_CONDITIONAL)) != wanted &&
        !(wanted == OPTION_REQUIRED && (ours->flags & OPTION_CONDITIONAL)))
        complain("%s %s: required should be '%s'", section, name, required);
}

/* Other devices of issue 3 that exist in part: sections whose remaining options come with other kinematics. */
static bool is_later(const char *section, const char *option, const char *notes)
{
    /* of other kinematics, and in a table that the extruder's motion binds for itself */
    static const char *const elsewhere[] = {"anchor_", "lower_arm_length", "upper_arm_length", "pressure_advance"};
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
        if (!strncmp(option, elsewhere[i], strlen(elsewhere[i])))
            return true;
    return !strncmp(section, "[printer]", 9) && strstr(notes, "kinematics=");
}

static void test_options(void **state)
{
    (void)state;
    struct table *t = load(FACTS "config-options.tsv");
    if (!t)
        skip();
    complaints = 0;
    size_t checked = 0;
    for (size_t i = 0; i < t->count; i++) {
        char name[128];
        if (t->rows[i].column[0][1] == '<')
            continue; /* what sensor types add: below */
        sample_name(t->rows[i].column[0], name, sizeof name);
        const struct object_desc *desc = object_find_desc(name);
        if (!desc || !strcmp(t->rows[i].column[1], "(no options)"))
            continue;
        const struct option_desc *ours = find_option(desc, t->rows[i].column[1]);
        checked++;
        if (ours)
            check_option(t->rows[i].column[0], &t->rows[i], ours);
        else if (!is_later(t->rows[i].column[0], t->rows[i].column[1], t->rows[i].column[7]))
            complain("%s %s: missing", t->rows[i].column[0], t->rows[i].column[1]);
    }
    print_message("%zu options checked\n", checked);
    assert_true(checked > 150);
    unload(t);
    assert_int_equal(complaints, 0);
}

static void test_sensor_options(void **state)
{
    (void)state;
    static const struct {
        const char *group, *section;
    } groups[] = {{"thermistor", "sensor_type=<any [thermistor"}, {"PT1000", "sensor_type=PT1000"},
                  {"AD595", "sensor_type=AD595"}, {"temperature_host", "sensor_type=temperature_host"},
                  {"temperature_mcu", "sensor_type=temperature_mcu"},
                  {"temperature_combined", "sensor_type=temperature_combined"}};
    struct table *t = load(FACTS "config-options.tsv");
    if (!t)
        skip();
    complaints = 0;
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        struct sensor_type_options ours;
        for (size_t i = 0; sensor_type_options_at(i, &ours) && strcmp(ours.group, groups[g].group); i++) {
        }
        assert_string_equal(ours.group, groups[g].group);
        size_t found = 0;
        for (size_t i = 0; i < t->count; i++) {
            if (!strstr(t->rows[i].column[0], groups[g].section))
                continue;
            const struct option_desc *option = find_in(ours.options, ours.count, t->rows[i].column[1]);
            found++;
            if (option)
                check_option(t->rows[i].column[0], &t->rows[i], option);
            else
                complain("%s %s: missing", t->rows[i].column[0], t->rows[i].column[1]);
        }
        assert_int_equal(found, ours.count);
    }
    unload(t);
    assert_int_equal(complaints, 0);
}

static bool is_documented(const struct table *t, const struct object_desc *desc, const char *option)
{
    for (size_t i = 0; i < t->count; i++) {
        char name[128];
        sample_name(t->rows[i].column[0], name, sizeof name);
        if (t->rows[i].column[0][1] == '<' || object_find_desc(name) == NULL ||
            strcmp(object_find_desc(name)->section, desc->section))
            continue;
        const char *documented = t->rows[i].column[1];
        size_t fixed = strcspn(option, "*");
        if (option[fixed] ? !strncmp(option, documented, fixed) : !strcmp(option, documented))
            return true;
    }
    return false;
}

static void test_nothing_undocumented(void **state)
{
    (void)state;
    struct table *t = load(FACTS "config-options.tsv");
    if (!t)
        skip();
    complaints = 0;
    for (size_t d = 0; object_list[d]; d++) {
        const struct object_desc *desc = object_list[d];
        if (!strcmp(desc->section, "mmu"))
            continue; /* not Klipper's */
        for (size_t i = 0; i < desc->option_count; i++)
            if (!is_documented(t, desc, desc->options[i].name))
                complain("[%s] %s: not in the facts", desc->section, desc->options[i].name);
    }
    unload(t);
    assert_int_equal(complaints, 0);
}

/* --- status --- */

static void test_status_fields(void **state)
{
    (void)state;
    struct table *t = load(FACTS "status-objects.tsv");
    if (!t)
        skip();
    complaints = 0;
    size_t checked = 0;
    for (size_t i = 0; i < t->count; i++) {
        char object[128];
        (void)snprintf(object, sizeof object, "%s", t->rows[i].column[0]);
        object[strcspn(object, " /<")] = 0;
        bool has_any = false, is_found = false, type_differs = false;
        for (size_t d = 0; object_list[d]; d++) {
            const struct object_desc *desc = object_list[d];
            if (strcmp(desc->section, object) || (desc->flags & OBJECT_SETTINGS))
                continue;
            has_any = true;
            for (size_t k = 0; k < desc->field_count; k++)
                if (!strcmp(desc->fields[k].name, t->rows[i].column[1])) {
                    is_found = true;
                    type_differs |= strcmp(desc->fields[k].type, t->rows[i].column[2]) != 0;
                }
        }
        /* of kinematics that are not there yet */
        if (!has_any || !strcmp(t->rows[i].column[1], "cone_start_z"))
            continue;
        checked++;
        if (!is_found)
            complain("%s.%s: missing", t->rows[i].column[0], t->rows[i].column[1]);
        else if (type_differs)
            complain("%s.%s: type should be %s", t->rows[i].column[0], t->rows[i].column[1], t->rows[i].column[2]);
    }
    print_message("%zu fields checked\n", checked);
    assert_true(checked > 60);
    unload(t);
    assert_int_equal(complaints, 0);
}

/* --- commands --- */

static const struct command_desc *find_command(const char *name, const struct object_desc **owner)
{
    for (size_t d = 0; object_list[d]; d++)
        for (size_t i = 0; i < object_list[d]->command_count; i++)
            if (!strcmp(object_list[d]->commands[i].name, name)) {
                *owner = object_list[d];
                return &object_list[d]->commands[i];
            }
    return NULL;
}

static bool has_param(const struct command_desc *command, const char *name, size_t len)
{
    for (const struct command_param *p = command->params; p && p->name; p++)
        if (strlen(p->name) == len && !strncmp(p->name, name, len))
            return true;
    return false;
}

static void check_params(const struct command_desc *command, const char *text)
{
    for (const char *p = text; *p;) {
        size_t len = strcspn(p, ":;"), whole = strcspn(p, ";");
        const char *only = strstr(p, "pwm_cycle_time only"); /* SET_PIN of a section that is not there yet */
        bool is_elsewhere = only && only < p + whole;
        bool is_remark = len == whole; /* a condition with a semicolon in it goes on after the semicolon */
        if (len && p[0] != '<' && !is_elsewhere && !is_remark && !has_param(command, p, len))
            complain("%s: parameter %.*s is missing", command->name, (int)len, p);
        p += strcspn(p, ";");
        p += strspn(p, "; ");
    }
}

static void test_commands(void **state)
{
    (void)state;
    struct table *t = load(FACTS "gcode-commands.tsv");
    if (!t)
        skip();
    complaints = 0;
    size_t checked = 0;
    for (size_t i = 0; i < t->count; i++) {
        const struct object_desc *owner = NULL;
        const struct command_desc *command = find_command(t->rows[i].column[0], &owner);
        if (!command)
            continue;
        const char *section = t->rows[i].column[3];
        char name[128];
        sample_name(section, name, sizeof name);
        if (section[0] == '[' && !strstr(section, "]/[") && object_find_desc(name) != owner)
            continue; /* the same command of a section that is not there yet */
        checked++;
        const char *mux = command->mux_key ? command->mux_key : "", *wanted = t->rows[i].column[1];
        size_t wanted_len = strcspn(wanted, "?");
        /* one handler that looks the object up by that parameter does as well */
        if (strncmp(mux, wanted, wanted_len) && !has_param(command, wanted, wanted_len))
            complain("%s: told apart by '%s', should be '%s'", command->name, mux, wanted);
        bool early = command->flags & COMMAND_WHEN_NOT_READY;
        if (early != !strcmp(t->rows[i].column[5], "yes"))
            complain("%s: when not ready should be %s", command->name, t->rows[i].column[5]);
        check_params(command, t->rows[i].column[2]);
    }
    print_message("%zu commands checked\n", checked);
    assert_true(checked > 20);
    unload(t);
    assert_int_equal(complaints, 0);
}

/* Every command of a section we have is there. */
static void test_commands_of_our_sections(void **state)
{
    (void)state;
    static const char *const ours[] = {"M105", "TURN_OFF_HEATERS", "TEMPERATURE_WAIT", "SET_HEATER_TEMPERATURE", "M104",
                                       "M109", "M140", "M190", "M106", "M107", "SET_FAN_SPEED", "SET_PIN", "QUERY_ENDSTOPS",
                                       "M119", "RESTART", "FIRMWARE_RESTART"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        const struct object_desc *owner;
        assert_non_null(find_command(ours[i], &owner));
    }
}

/* --- sections --- */

static void test_every_sample_section_is_known(void **state)
{
    (void)state;
    struct table *t = load(FACTS "sections-usage.tsv");
    if (!t)
        skip();
    size_t checked = 0;
    for (size_t i = 0; i < t->count; i++) {
        if (t->rows[i].column[0][0] != '[')
            continue;
        char name[128];
        sample_name(t->rows[i].column[0], name, sizeof name);
        checked++;
        if (!object_find_desc(name) && !object_known_elsewhere(name))
            fail_msg("section kind %s is not recognised", t->rows[i].column[0]);
    }
    assert_true(checked > 90);
    assert_null(object_known_elsewhere("no_such_section"));
    assert_null(object_known_elsewhere("bed_meshes"));
    assert_non_null(object_known_elsewhere("tmc2209 stepper_x"));
    assert_non_null(object_known_elsewhere("bed_mesh"));
    unload(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_sensor_options),
        cmocka_unit_test(test_nothing_undocumented),
        cmocka_unit_test(test_status_fields),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_commands_of_our_sections),
        cmocka_unit_test(test_every_sample_section_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
