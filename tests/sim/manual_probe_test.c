/* Heights by hand on the simulated printer: MANUAL_PROBE and its commands, Z_ENDSTOP_CALIBRATE, Z_OFFSET_APPLY_ENDSTOP.
 */
#include "tests/sim/job_rig.h"

#include "server/gcode/gcode.h"
#include "server/machine/printer.h"

#include <math.h>

#define CONFIG_Z                                                                                                       \
    "[mcu]\nserial: /dev/ttyS0\n[printer]\nkinematics: cartesian\nmax_velocity: 200\nmax_accel: 3000\n"                \
    "[stepper_x]\nstep_pin: PA1\ndir_pin: PA2\nenable_pin: !PA3\nmicrosteps: 16\nrotation_distance: 40\n"              \
    "endstop_pin: ^PB0\nposition_endstop: 0\nposition_max: 200\nhoming_speed: 50\n"                                    \
    "[stepper_y]\nstep_pin: PA4\ndir_pin: PA5\nenable_pin: !PA6\nmicrosteps: 16\nrotation_distance: 40\n"              \
    "endstop_pin: ^PB1\nposition_endstop: 0\nposition_max: 200\nhoming_speed: 50\n"                                    \
    "[stepper_z]\nstep_pin: PA7\ndir_pin: PA8\nenable_pin: !PA9\nmicrosteps: 16\nrotation_distance: 8\n"               \
    "endstop_pin: ^PB2\nposition_endstop: 0.5\nposition_max: 200\nposition_min: -5\n"

static struct rig *start(void)
{
    struct rig *rig = job_rig_start(CONFIG_Z);
    script(rig, "G28\nG90\nG1 Z5 F1200\nM400");
    rig_clear_console(rig);
    return rig;
}

/* The last line on the console is `line`. */
static void expect_last(struct rig *rig, const char *line)
{
    const char *text = rig_console(rig);
    size_t len = strlen(text);
    char want[256];
    (void)snprintf(want, sizeof want, "// %s\n", line);
    if (len < strlen(want) || strcmp(text + len - strlen(want), want) != 0)
        fail_msg("expected '%s', got: %s", line, text);
}

static void refused(struct rig *rig, const char *line, const char *error)
{
    assert_int_not_equal(rig_script(rig, line, 10), OK);
    if (!strstr(rig_error(rig), error))
        fail_msg("%s: %s", line, rig_error(rig));
}

static bool has_command(struct rig *rig, const char *name)
{
    return gcode_has_command(rig_printer(rig)->gcode, name);
}

static void test_manual_probe(void **state)
{
    (void)state;
    struct rig *rig = start();
    expect_status(rig, "manual_probe", "is_active", "false");
    expect_status(rig, "manual_probe", "z_position", "null");
    assert_false(has_command(rig, "TESTZ"));
    script(rig, "MANUAL_PROBE");
    assert_non_null(strstr(rig_console(rig), "// Starting manual Z probe. Use TESTZ to adjust position.\n"
                                             "// Finish with ACCEPT or ABORT command.\n"));
    expect_last(rig, "Z position: ?????? --> 5.000 <-- ??????");
    refused(rig, "MANUAL_PROBE", "Already in a manual Z probe. Use ABORT to abort it.");
    script(rig, "TESTZ Z=-4.9");
    expect_last(rig, "Z position: ?????? --> 0.100 <-- 5.000");
    script(rig, "TESTZ Z=-");
    expect_last(rig, "Z position: ?????? --> -0.100 <-- 0.100");
    script(rig, "TESTZ Z=+");
    expect_last(rig, "Z position: -0.100 --> 0.000 <-- 0.100");
    script(rig, "TESTZ Z=++");
    expect_last(rig, "Z position: 0.000 --> 0.100 <-- 5.000");
    script(rig, "TESTZ Z=--");
    expect_last(rig, "Z position: -0.100 --> 0.000 <-- 0.100");
    script(rig, "TESTZ Z=0.0001");
    assert_non_null(strstr(rig_console(rig), "// WARNING: No change in position (reached stepper resolution)\n"));
    rig_run(rig, 1.0);
    expect_status(rig, "manual_probe", "is_active", "true");
    expect_status(rig, "manual_probe", "z_position", "0.0");
    assert_true(fabs(rig_status_number(rig, "manual_probe", "z_position_lower") + 0.1) < 1e-6);
    assert_true(fabs(rig_status_number(rig, "manual_probe", "z_position_upper") - 0.1) < 1e-6);
    refused(rig, "TESTZ Z=x", "unable to parse x");
    refused(rig, "TESTZ", "missing Z");
    script(rig, "ACCEPT");
    expect_last(rig, "Z position is 0.000");
    rig_run(rig, 1.0);
    expect_status(rig, "manual_probe", "is_active", "false");
    expect_status(rig, "manual_probe", "z_position_upper", "null");
    assert_false(has_command(rig, "TESTZ") || has_command(rig, "ACCEPT") || has_command(rig, "ABORT") ||
                 has_command(rig, "NEXT"));
    expect_status(rig, "configfile", "save_config_pending", "false");
    rig_destroy(rig);
}

static void test_ends(void **state)
{
    (void)state;
    struct rig *rig = start();
    script(rig, "MANUAL_PROBE SPEED=10\nACCEPT"); /* nothing tested */
    expect_last(rig, "nozzle prior to running ACCEPT.");
    script(rig, "MANUAL_PROBE\nTESTZ Z=-1\nG1 X1 F6000\nNEXT"); /* elsewhere */
    expect_last(rig, "nozzle prior to running ACCEPT.");
    script(rig, "Z_ENDSTOP_CALIBRATE\nTESTZ Z=-1\nABORT");
    refused(rig, "MANUAL_PROBE SPEED=0", "SPEED must be above 0");
    script(rig, "MANUAL_PROBE");
    refused(rig, "TESTZ Z=-500", "out of range"); /* ends it */
    assert_false(has_command(rig, "TESTZ"));
    script(rig, "M84");
    script(rig, "MANUAL_PROBE");
    refused(rig, "TESTZ Z=-1", "Must home axis first");
    rig_run(rig, 1.0);
    expect_status(rig, "manual_probe", "is_active", "false");
    expect_status(rig, "configfile", "save_config_pending", "false");
    rig_destroy(rig);
}

static bool is_starting(void *ctx)
{
    return printer_state(rig_printer(ctx)) == PRINTER_STARTUP;
}

static void test_z_endstop(void **state)
{
    (void)state;
    struct rig *rig = start();
    script(rig, "Z_ENDSTOP_CALIBRATE\nTESTZ Z=-4.8\nNEXT"); /* the nozzle touches where it is thought to be at 0.2 */
    assert_non_null(strstr(rig_console(rig), "// stepper_z: position_endstop: 0.300\n"
                                             "// The SAVE_CONFIG command will update the printer config file\n"
                                             "// with the above and restart the printer.\n"));
    rig_run(rig, 1.0);
    expect_status(rig, "configfile", "save_config_pending_items", "{\"stepper_z\": {\"position_endstop\": \"0.300\"}}");
    script(rig, "Z_OFFSET_APPLY_ENDSTOP");
    expect_last(rig, "Nothing to do: Z Offset is 0");
    script(rig, "SET_GCODE_OFFSET Z=-0.05\nZ_OFFSET_APPLY_ENDSTOP");
    rig_run(rig, 1.0);
    expect_status(rig, "configfile", "save_config_pending_items", "{\"stepper_z\": {\"position_endstop\": \"0.550\"}}");
    rig_begin_script(rig, "SAVE_CONFIG");
    assert_true(rig_run_until(rig, is_starting, rig, 20) && rig_wait_ready(rig));
    script(rig, "G28\nG91\nG1 Z1 F600\nM400\nGET_POSITION");
    const char *z = strstr(rig_console(rig), "kinematic: X:0.000000 Y:0.000000 Z:");
    assert_non_null(z);
    assert_true(fabs(strtod(strstr(z, "Z:") + 2, NULL) - 1.55) < 0.003); /* one step of the motor */
    rig_destroy(rig);
}

static void test_without_endstop(void **state)
{
    (void)state;
    struct rig *rig = job_rig_start("[mcu]\nserial: /dev/ttyS0\n[printer]\nkinematics: none\nmax_velocity: 200\n"
                                    "max_accel: 3000\n");
    assert_false(has_command(rig, "Z_ENDSTOP_CALIBRATE") || has_command(rig, "Z_OFFSET_APPLY_ENDSTOP"));
    assert_true(has_command(rig, "MANUAL_PROBE"));
    rig_destroy(rig);
}

/* A delta's towers are shifted together; those that take theirs from the first get values of their own. */
static void test_delta(void **state)
{
    (void)state;
    static const char config[] =
        "[mcu]\nserial: /dev/ttyS0\n[printer]\nkinematics: delta\nmax_velocity: 200\nmax_accel: 3000\n"
        "max_z_velocity: 100\ndelta_radius: 120\n"
        "[stepper_a]\nstep_pin: PA1\ndir_pin: PA2\nenable_pin: !PA3\nmicrosteps: 16\nrotation_distance: 40\n"
        "endstop_pin: ^PB0\nhoming_speed: 50\nposition_endstop: 250.25\narm_length: 250\n"
        "[stepper_b]\nstep_pin: PA4\ndir_pin: PA5\nenable_pin: !PA6\nmicrosteps: 16\nrotation_distance: 40\n"
        "endstop_pin: ^PB1\n"
        "[stepper_c]\nstep_pin: PA7\ndir_pin: PA8\nenable_pin: !PA9\nmicrosteps: 16\nrotation_distance: 40\n"
        "endstop_pin: ^PB2\nposition_endstop: 249.5\n";
    struct rig *rig = job_rig_start(config);
    assert_false(has_command(rig, "Z_ENDSTOP_CALIBRATE"));
    script(rig, "SET_GCODE_OFFSET Z=0.2\nZ_OFFSET_APPLY_ENDSTOP");
    assert_non_null(strstr(rig_console(rig), "// stepper_a: position_endstop: 250.050\n"
                                             "// stepper_b: position_endstop: 250.050\n"
                                             "// stepper_c: position_endstop: 249.300\n"
                                             "// The SAVE_CONFIG command will"));
    rig_begin_script(rig, "SAVE_CONFIG");
    assert_true(rig_run_until(rig, is_starting, rig, 20) && rig_wait_ready(rig));
    rig_run(rig, 1.0);
    const char *settings = rig_status(rig, "configfile", "settings");
    assert_non_null(strstr(settings, "\"position_endstop\": 250.05"));
    assert_non_null(strstr(settings, "\"position_endstop\": 249.3"));
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manual_probe),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_z_endstop),
        cmocka_unit_test(test_without_endstop),
        cmocka_unit_test(test_delta),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
