/* `lockstep check`: what is wrong in a configuration is found, all of it at once, without a board. */
#include "base/mem.h"
#include "base/strbuf.h"
#include "server/config/config.h"
#include "server/machine/deprecated.h"
#include "server/machine/printer.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The least that is a printer. Lines 1 to 6. */
#define HEAD "[mcu]\nserial: /dev/ttyACM0\n[printer]\nkinematics: none\nmax_velocity: 300\nmax_accel: 3000\n"
#define HEAT "sensor_type: Generic 3950\ncontrol: watermark\nmin_temp: 0\nmax_temp: 130\n"

static char *check_text(const char *text, const char *const *dicts, size_t dict_count)
{
    char path[] = "/tmp/lockstep-check-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
    struct config *config = printer_check_config(path, dicts, dict_count);
    char *errors = config_error_text(config);
    config_destroy(config);
    assert_int_equal(unlink(path), 0);
    return errors;
}

struct check_case {
    const char *text;
    const char *errors[6]; /* each must be there ... */
    size_t count;          /* ... and as many lines in all */
};

static const struct check_case cases[] = {
    {HEAD, {0}, 0},
    {"", {": Section 'mcu' must be specified"}, 2},
    /* kinematics that are not there yet: the options and steppers that belong to them are no further mistakes */
    {"[mcu]\nserial: x\n[printer]\nkinematics: winch\nmax_velocity: 300\nmax_accel: 3000\nsome_radius: 5\n"
     "[stepper_a]\nstep_pin: PA1\nanchor_x: 5\n[fan]\npin: PA2\nbad: 1\n",
     {":4: Kinematics 'winch' is one that Klipper has", ":13: Option 'bad' is not valid in section 'fan'"}, 2},
    {HEAD "[mcu a]\nserial: /dev/b\n[mcu b]\nserial: /dev/ttyACM0\n[mcu c]\nserial: /dev/b\n",
     {":10: Option 'serial' in section 'mcu b' names the same device as in section 'mcu' at lockstep-check-",
      ":12: Option 'serial' in section 'mcu c' names the same device as in section 'mcu a' at "}, 2},
    {HEAD "[fan]\npin: PA1\n[output_pin a]\npin: PA1\n[output_pin b]\npin: !PA1\n",
     {":10: pin PA1 used multiple times in config (first in option 'pin' of section 'fan' at ",
      ":12: pin PA1 used multiple times in config"}, 2},
    {HEAD "[board_pins]\naliases: FAN=PA1, X=<GND>\n[fan]\npin: FAN\n[output_pin a]\npin: PA1\n[output_pin b]\npin: X\n",
     {":12: pin PA1 used multiple times", ":14: pin X is reserved for <GND>"}, 2},
    {HEAD "[duplicate_pin_override]\npins: PA1\n[fan]\npin: PA1\n[output_pin a]\npin: PA1\n", {0}, 0},
    {HEAD "[fan]\npin: nowhere:PA1\n[output_pin a]\npin: PA 1\n[output_pin b]\npin: ~PA2\n[output_pin c]\npin:\n",
     {":8: Unknown pin chip name 'nowhere'", ":10: Invalid pin description 'PA 1'", ":12: Invalid pin description '~PA2'",
      ":14: Invalid pin description ''"}, 4},
    {HEAD "[smart_effector]\npin: PA9\n[multi_pin f]\npins: PA1, PA2\n[fan]\npin: multi_pin:f\n[output_pin x]\npin: probe:z_virtual\n",
     {":7: Section 'smart_effector' is not supported yet", ":9: Section 'multi_pin f' is not supported yet"}, 2},
    {HEAD "[heater_bed]\nheater_pin: PB4\nsensor_pin: PC5\nsensor_type: Foo\ncontrol: watermark\nmin_temp: 0\nmax_temp: 130\n",
     {"Unknown temperature sensor 'Foo' in section 'heater_bed' (allowed: "}, 1},
    {HEAD "[heater_bed]\nheater_pin: PB4\nsensor_pin: PC5\nsensor_type: MAX31865\nspi_bus: spi1\ncontrol: watermark\n"
          "min_temp: 0\nmax_temp: 130\n",
     {":10: Sensor type 'MAX31865' in section 'heater_bed' is not supported yet"}, 1},
    {HEAD "[thermistor mine]\ntemperature1: 25\nresistance1: 100000\nbeta: 3950\n"
          "[heater_bed]\nheater_pin: PB4\nsensor_pin: PC5\nsensor_type: mine\ncontrol: pid\npid_Kp: 1\npid_Ki: 1\n"
          "min_temp: 50\nmax_temp: 40\n",
     {"Option 'pid_Kd' in section 'heater_bed' must be specified",
      "Option 'max_temp' in section 'heater_bed' must be above 50.0 (found: 40.0"}, 2},
    {HEAD "[thermistor bad]\ntemperature1: 25\nresistance1: 100\ntemperature2: 50\nresistance2: 200\ntemperature3: 75\n"
          "resistance3: 300\n[adc_temperature one]\ntemperature1: 20\nvoltage1: 1\n",
     {"no thermistor's", "Need two or more samples"}, 2},
    {HEAD "[heater_bed]\nheater_pin: PB4\nsensor_pin: PC5\n" HEAT "[heater_generic bed2]\nheater_pin: PB5\nsensor_pin: PC6\n"
          "gcode_id: B\n" HEAT "[verify_heater nothing]\n[heater_fan f]\npin: PA1\nheater: heater_bed, nobody\n",
     {"G-Code sensor id B already registered", "Unknown heater 'nothing'", "Unknown heater 'nobody'"}, 3},
    {HEAD "[output_pin p]\npin: PA1\nscale: 2\nvalue: 2\n[output_pin q]\npin: PA2\npwm: true\nscale: 10\nvalue: 11\n"
          "shutdown_value: 5\n",
     {"Option 'scale' is not valid in section 'output_pin p' (it applies when: pwm is True)",
      "Option 'value' in section 'output_pin p' must have maximum of 1.0",
      "Option 'value' in section 'output_pin q' must have maximum of 10.0",
      "Option 'shutdown_value' in section 'output_pin q' must be 0 or 10 for software PWM"}, 4},
    {HEAD "[stepper_q]\nstep_pin: PA1\n[webhooks]\n[configfile]\n",
     {"Section 'webhooks' is not a valid config section", "Section 'configfile' is not a valid config section"}, 3},
    {HEAD "[mcu tool]\ncanbus_uuid: 11aabb\n[mcu other]\nserial: /tmp/klipper_host_mcu\nbaud: 9600\n",
     {"Boards on a CAN bus (section 'mcu tool') are not supported yet",
      "Option 'baud' is not valid in section 'mcu other'"}, 2},
    /* the same pin of two boards is two pins; aliases belong to their boards; a board may be named after its pins are */
    {HEAD "[fan]\npin: tool:PA1\n[output_pin a]\npin: PA1\n[mcu tool]\nserial: x\n", {0}, 0},
    {HEAD "[mcu tool]\nserial: x\n[board_pins tool]\nmcu: tool\naliases: FAN=PA1\naliases_more: LED=PA2, GND=<GND>\n"
          "[fan]\npin: tool:FAN\n[output_pin a]\npin: tool:PA1\n[output_pin b]\npin: tool:GND\n[output_pin c]\npin: tool:LED\n",
     {":16: pin PA1 used multiple times", ":18: pin GND is reserved for <GND>"}, 2},
    {HEAD "[mcu tool]\nserial: x\n[board_pins]\nmcu: mcu, tool\naliases: FAN=PA1\n[fan]\npin: tool:FAN\n"
          "[output_pin a]\npin: FAN\n[duplicate_pin_override]\npins: tool:PA1\n[output_pin b]\npin: tool:PA1\n",
     {0}, 0},
    /* an override by alias is one of the pin, whatever it is called where it is used; aliases of aliases in any order */
    {HEAD "[board_pins]\naliases: FAN=PA1\n[duplicate_pin_override]\npins: FAN\n[fan]\npin: PA1\n[output_pin a]\npin: FAN\n"
          "[output_pin b]\npin: PA1\n", {0}, 0},
    {HEAD "[duplicate_pin_override]\npins: PA1\n[board_pins]\naliases: OUTER=FAN, FAN=PA1\n[fan]\npin: OUTER\n"
          "[output_pin a]\npin: FAN\n", {0}, 0},
    {HEAD "[mcu tool]\nserial: x\n[board_pins]\nmcu: tool\naliases: FAN=PA1\n[duplicate_pin_override]\npins: tool:FAN\n"
          "[fan]\npin: PA1\n[output_pin a]\npin: PA1\n[output_pin b]\npin: tool:PA1\n[output_pin c]\npin: tool:FAN\n",
     {":17: pin PA1 used multiple times in config (first in option 'pin' of section 'fan'"}, 1},
    {HEAD "[board_pins]\naliases: A=B, B=A\n[fan]\npin: A\n[output_pin a]\npin: B\n", {":12: pin"}, 1},
    {HEAD "[static_digital_output s]\npins: PA1, !PA2, nowhere:PA3\n[output_pin a]\npin: PA2\n[static_digital_output t]\n",
     {":8: Unknown pin chip name 'nowhere'", ":10: pin PA2 used multiple times",
      "Option 'pins' in section 'static_digital_output t' must be specified"}, 3},
};

static void check_cases(const struct check_case *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct check_case *c = &list[i];
        char *errors = check_text(c->text, NULL, 0);
        size_t lines = errors[0] ? 1 : 0;
        for (const char *p = errors; *p; p++)
            lines += *p == '\n';
        for (size_t k = 0; k < 6 && c->errors[k]; k++)
            if (!strstr(errors, c->errors[k]))
                fail_msg("case %zu: '%s' is not in\n%s", i, c->errors[k], errors);
        if (lines != c->count)
            fail_msg("case %zu: %zu errors instead of %zu:\n%s", i, lines, c->count, errors);
        mem_free(errors);
    }
}

static void test_cases(void **state)
{
    (void)state;
    check_cases(cases, sizeof cases / sizeof cases[0]);
}

/* What was removed says what to write instead; what is deprecated is a warning. */
static void test_removed_options(void **state)
{
    (void)state;
    static const struct check_case removed[] = {
        {HEAD "max_accel_to_decel: 1500\nbuffer_time_low: 1\n",
         {":7: Option 'max_accel_to_decel' is not valid in section 'printer' (Klipper removed it on 2025-08-11: use "
          "minimum_cruise_ratio)",
          ":8: Option 'buffer_time_low' is not valid in section 'printer' (Klipper removed it on 2023-12-07: leave it out)"}, 2},
        {HEAD "[heater_bed]\nheater_pin: PB4\nsensor_pin: PC5\nsensor_type: NTC 100K beta 3950\ncontrol: watermark\nmin_temp: 0\n"
              "max_temp: 130\npid_integral_max: 1\n",
         {":10: Unknown temperature sensor 'NTC 100K beta 3950' in section 'heater_bed' (Klipper removed it on 2024-02-15: use "
          "Generic 3950, or a [thermistor] section",
          ":14: Option 'pid_integral_max' is not valid in section 'heater_bed' (Klipper removed it"}, 2},
        {HEAD "[gcode_macro a]\ngcode: G28\ndefault_parameter_X: 1\n[output_pin a]\npin: PA1\nstatic_value: 1\n",
         {":9: Option 'default_parameter_x' is not valid in section 'gcode_macro a' (Klipper removed it on 2021-11-02: use {% set",
          ":12: Option 'static_value' is not valid in section 'output_pin a' (Klipper removed it on 2024-09-12: use value and"}, 2},
    };
    check_cases(removed, sizeof removed / sizeof removed[0]);
}

/* The same with a table of our own: sections that are here have nothing deprecated at present. */
static void test_deprecated_options(void **state)
{
    (void)state;
    static const struct deprecation rows[] = {
        {"fan", "kick_*", NULL, false, "2026-01-01", NULL},
        {"output_pin", "pwm", "yes|true", false, "2026-01-01", NULL},
        {"output_pin", "old", NULL, true, "2026-01-01", "new"},
    };
    static const char text[] = "[fan]\nkick_start_time: 1\n[output_pin a]\npwm: true\nold: 1\n[output_pin b]\npwm: false\n";
    struct config *config = config_parse("printer.cfg", text, strlen(text));
    for (int again = 0; again < 2; again++) /* the same warning again is none */
        for (size_t i = 0; i < config_section_count(config); i++)
            deprecated_check_section(config_section_at(config, i), rows, 3);
    char *warnings = config_warnings_json(config), *errors = config_error_text(config);
    assert_string_equal(warnings,
                        "[{\"type\": \"deprecated_option\", \"message\": \"Option 'kick_start_time' in section 'fan' is "
                        "deprecated.\", \"section\": \"fan\", \"option\": \"kick_start_time\"}, "
                        "{\"type\": \"deprecated_value\", \"message\": \"Value 'true' in option 'pwm' in section 'output_pin a' "
                        "is deprecated.\", \"section\": \"output_pin a\", \"option\": \"pwm\", \"value\": \"true\"}]");
    assert_string_equal(errors, "printer.cfg:5: Option 'old' is not valid in section 'output_pin a' (Klipper removed it on "
                                "2026-01-01: use new)");
    assert_ptr_equal(deprecated_value(rows, 3, "output_pin x", "PWM", "yes"), &rows[1]);
    assert_null(deprecated_value(rows, 3, "output_pin x", "pwm", "ye"));
    mem_free(warnings);
    mem_free(errors);
    config_destroy(config);
}

static void test_pin_names_by_dictionary(void **state)
{
    (void)state;
    const char *dicts[] = {TEST_SHARED_DIR "/dicts/atmega2560.dict", "tool=" TEST_SHARED_DIR "/dicts/rp2040.dict"};
    if (access(dicts[0], R_OK))
        skip();
    static const char text[] = HEAD "[mcu tool]\nserial: x\n[fan]\npin: PA1\n[output_pin a]\npin: tool:gpio3\n"
                                    "[output_pin b]\npin: PQ9\n[output_pin c]\npin: tool:PA1\n";
    char *errors = check_text(text, dicts, 2);
    assert_non_null(strstr(errors, ":14: Pin 'PQ9' is not a valid pin name on mcu 'mcu'"));
    assert_non_null(strstr(errors, ":16: Pin 'PA1' is not a valid pin name on mcu 'tool'"));
    assert_null(strstr(errors, ":10:"));
    mem_free(errors);
    const char *bad[] = {"nobody=" TEST_SHARED_DIR "/dicts/rp2040.dict", "/nonexistent.dict"};
    errors = check_text(text, bad, 2);
    assert_non_null(strstr(errors, "There is no [mcu nobody]"));
    assert_non_null(strstr(errors, "/nonexistent.dict: Unable to open data dictionary"));
    mem_free(errors);
}

/* Configurations people have: nothing but sections that are not there yet. */
static void test_real_configurations(void **state)
{
    (void)state;
    static const char *const patterns[] = {"/oracle/*/printer.cfg", "/sim/*.cfg", "/peers/*.cfg", "/ui-sessions/*.cfg"};
    size_t count = 0;
    for (size_t p = 0; p < sizeof patterns / sizeof patterns[0]; p++) {
        char *pattern = mem_sprintf("%s%s", TEST_SHARED_DIR, patterns[p]);
        glob_t found;
        int rc = glob(pattern, 0, NULL, &found);
        mem_free(pattern);
        for (size_t i = 0; rc == 0 && i < found.gl_pathc; i++, count++) {
            struct config *config = printer_check_config(found.gl_pathv[i], NULL, 0);
            for (size_t k = 0; k < config_error_count(config); k++)
                if (!strstr(config_error_at(config, k)->text, "not supported yet"))
                    fail_msg("%s: %s", found.gl_pathv[i], config_error_at(config, k)->text);
            config_destroy(config);
        }
        if (rc == 0)
            globfree(&found);
    }
    print_message("%zu configurations\n", count);
}

/* Every kind of section of the sample configurations is known: as ours, or as one that Klipper has. None of them hides
 * another mistake in the file. */
static void test_sample_sections_are_recognised(void **state)
{
    (void)state;
    FILE *f = fopen(TEST_SHARED_DIR "/reference/sections-usage.tsv", "r");
    if (!f)
        skip();
    struct strbuf text;
    strbuf_init(&text);
    strbuf_adds(&text, HEAD);
    char line[1024];
    size_t kinds = 0;
    while (fgets(line, sizeof line, f)) {
        if (line[0] != '[')
            continue;
        line[strcspn(line, "]")] = 0;
        char *number = strstr(line, "<n>");
        if (number)
            *number = 0;
        strbuf_addf(&text, "%s%s]\n", line, number ? "1" : "");
        kinds++;
    }
    (void)fclose(f);
    strbuf_adds(&text, "[output_pin last]\npin: PZ1\ntypo: 1\n");
    char *errors = check_text(text.data, NULL, 0);
    if (strstr(errors, "is not a valid config section"))
        fail_msg("%s", strstr(errors, "is not a valid config section") - 60);
    assert_non_null(strstr(errors, "Option 'typo' is not valid in section 'output_pin last'"));
    print_message("%zu kinds of sections\n", kinds);
    assert_true(kinds > 80);
    mem_free(errors);
    strbuf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_removed_options),
        cmocka_unit_test(test_deprecated_options),
        cmocka_unit_test(test_pin_names_by_dictionary),
        cmocka_unit_test(test_real_configurations),
        cmocka_unit_test(test_sample_sections_are_recognised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
