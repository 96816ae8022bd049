/* PID_CALIBRATE on the simulated printer: the constants it finds, saved by SAVE_CONFIG, hold the temperature; and
 * whatever ends it early leaves the heater off. */
#include "tests/sim/job_rig.h"

#include "base/mem.h"
#include "firmware/plant/plant.h"
#include "server/gcode/gcode.h"
#include "server/heat/heater.h"
#include "server/machine/printer.h"

#include <math.h>

#define CONFIG                                                                                                         \
    "[mcu]\nserial: /dev/ttyACM0\n[printer]\nkinematics: none\nmax_velocity: 300\nmax_accel: 3000\n"                   \
    "[extruder]\nheater_pin: PB3\nsensor_type: EPCOS 100K B57560G104F\nsensor_pin: PC4\ncontrol: watermark\n"          \
    "min_temp: 0\nmax_temp: 280\nnozzle_diameter: 0.4\nfilament_diameter: 1.75\n"                                      \
    "[heater_bed]\nheater_pin: PB4\nsensor_type: Generic 3950\nsensor_pin: PC5\ncontrol: watermark\nmax_power: 0.9\n"  \
    "min_temp: 0\nmax_temp: 130\n"

static struct rig *start(void)
{
    struct rig *rig = job_rig_start(CONFIG);
    rig_run(rig, 3.0);
    return rig;
}

static double real_temp(struct rig *rig, const char *heater)
{
    return plant_heater_temp_c(rig_plant(rig), plant_find_heater(rig_plant(rig), heater));
}

static double duty(struct rig *rig, const char *heater)
{
    return plant_heater_duty(rig_plant(rig), plant_find_heater(rig_plant(rig), heater));
}

static bool is_starting(void *ctx)
{
    return printer_state(rig_printer(ctx)) == PRINTER_STARTUP;
}

static void calibrate_and_hold(const char *heater, double target_c, double within_c)
{
    struct rig *rig = start();
    double before = rig_now_s(rig);
    char *command = mem_sprintf("PID_CALIBRATE HEATER=%s TARGET=%.0f WRITE_FILE=1", heater, target_c);
    script(rig, command);
    mem_free(command);
    double took_s = rig_now_s(rig) - before;
    const char *text = strstr(rig_console(rig), "// PID parameters: pid_Kp=");
    assert_non_null(text);
    assert_non_null(strstr(text, "\n// The SAVE_CONFIG command will update the printer config file\n"
                                 "// with these parameters and restart the printer.\n"));
    print_message("%s: %.60s, after %.0f s\n", heater, text, took_s);
    rig_run(rig, 1.0);
    assert_true(duty(rig, heater) == 0);
    expect_status(rig, heater, "target", "0.0");
    expect_status(rig, "configfile", "save_config_pending", "true");
    char *samples = mem_sprintf("test -s %s/heattest.txt", rig_dir(rig));
    assert_int_equal(system(samples), 0);
    mem_free(samples);

    rig_begin_script(rig, "SAVE_CONFIG");
    assert_true(rig_run_until(rig, is_starting, rig, 20) && rig_wait_ready(rig));
    rig_run(rig, 3.0);
    assert_non_null(strstr(rig_status(rig, "configfile", "settings"), "\"control\": \"pid\""));
    command = mem_sprintf("SET_HEATER_TEMPERATURE HEATER=%s TARGET=%.0f\nTEMPERATURE_WAIT SENSOR=%s MINIMUM=%.0f",
                          heater, target_c, heater, target_c - 2);
    assert_int_equal(rig_script(rig, command, 1800), OK);
    mem_free(command);
    rig_run(rig, 180);
    double low = 1000, high = 0;
    for (int i = 0; i < 600; i++) {
        rig_run(rig, 0.2);
        low = fmin(low, rig_status_number(rig, heater, "temperature"));
        high = fmax(high, rig_status_number(rig, heater, "temperature"));
    }
    print_message("%s: held between %.2f and %.2f C\n", heater, low, high);
    assert_true(low > target_c - within_c && high < target_c + within_c);
    rig_destroy(rig);
}

static void test_extruder(void **state)
{
    (void)state;
    calibrate_and_hold("extruder", 210, 1.0);
}

static void test_bed(void **state)
{
    (void)state;
    calibrate_and_hold("heater_bed", 60, 0.5);
}

static void test_refusals(void **state)
{
    (void)state;
    struct rig *rig = start();
    static const struct {
        const char *line, *error;
    } bad[] = {{"PID_CALIBRATE HEATER=extruder", "missing TARGET"},
               {"PID_CALIBRATE TARGET=200", "missing HEATER"},
               {"PID_CALIBRATE HEATER=nobody TARGET=200", "Unknown heater 'nobody'"},
               {"PID_CALIBRATE HEATER=extruder TARGET=0", "TARGET must be above 0"},
               {"PID_CALIBRATE HEATER=extruder TARGET=300", "Requested temperature (300.0) out of range (0.0:280.0)"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_not_equal(rig_script(rig, bad[i].line, 10), OK);
        if (!strstr(rig_error(rig), bad[i].error))
            fail_msg("%s: %s", bad[i].line, rig_error(rig));
    }
    rig_run(rig, 1.0);
    assert_true(duty(rig, "extruder") == 0);
    expect_status(rig, "configfile", "save_config_pending", "false");
    rig_destroy(rig);
}

/* However it ends early: off within a report time, nothing to save, and the heater works as before. */
static void end_early(const char *how)
{
    struct rig *rig = start();
    rig_begin_script(rig, "PID_CALIBRATE HEATER=extruder TARGET=200");
    rig_run(rig, 60);
    assert_true(real_temp(rig, "extruder") > 50);
    if (!strcmp(how, "cancel"))
        gcode_cancel_running(rig_printer(rig)->gcode);
    else if (!strcmp(how, "stop"))
        printer_emergency_stop(rig_printer(rig), "test");
    else
        printer_request_restart(rig_printer(rig), PRINTER_RESTART_HOST);
    rig_run(rig, 4.0);
    assert_true(duty(rig, "extruder") == 0);
    expect_status(rig, "extruder", "target", "0.0");
    expect_status(rig, "configfile", "save_config_pending", "false");
    assert_null(strstr(rig_console(rig), "PID parameters"));
    if (!strcmp(how, "cancel")) {
        script(rig, "M104 S100");
        rig_run(rig, 1.0);
        expect_status(rig, "extruder", "target", "100.0");
    }
    rig_destroy(rig);
}

static void test_cancel(void **state)
{
    (void)state;
    end_early("cancel");
}

static void test_emergency_stop(void **state)
{
    (void)state;
    end_early("stop");
}

static void test_restart(void **state)
{
    (void)state;
    end_early("restart");
}

/* Somebody else sets the heater (a fault handler, the MMU): the calibration ends, the new target stays. */
static void test_another_target(void **state)
{
    (void)state;
    struct rig *rig = start();
    struct err_info info;
    rig_begin_script(rig, "PID_CALIBRATE HEATER=extruder TARGET=200");
    rig_run(rig, 60);
    assert_int_equal(heater_set_target(heater_find(rig_printer(rig), "extruder"), 80, &info), OK);
    rig_run(rig, 3);
    assert_non_null(strstr(rig_console(rig), "pid_calibrate interrupted: the heater was given another target"));
    assert_null(strstr(rig_console(rig), "PID parameters"));
    expect_status(rig, "extruder", "target", "80.0");
    expect_status(rig, "configfile", "save_config_pending", "false");
    script(rig, "M104 S0"); /* the turn is free again */
    rig_destroy(rig);
}

/* A target that lies so near the room's temperature that the heater never falls 5 degrees below it: an hour, then off. */
static void test_one_hour(void **state)
{
    (void)state;
    struct rig *rig = start();
    double before = rig_now_s(rig);
    assert_int_equal(rig_script(rig, "PID_CALIBRATE HEATER=extruder TARGET=27", 7200), ERR_TIMEOUT);
    double took_s = rig_now_s(rig) - before;
    assert_non_null(strstr(rig_error(rig), "pid_calibrate interrupted: the heater stays on one side of the target"));
    assert_true(took_s > 3600 && took_s < 3700);
    rig_run(rig, 1);
    assert_true(duty(rig, "extruder") == 0);
    expect_status(rig, "extruder", "target", "0.0");
    expect_status(rig, "configfile", "save_config_pending", "false");
    assert_int_equal(printer_state(rig_printer(rig)), PRINTER_READY);
    rig_destroy(rig);
}

/* A heater that is cut in the middle: the host notices as it does for any other heating. */
static void test_cut_heater(void **state)
{
    (void)state;
    struct rig *rig = start();
    rig_begin_script(rig, "PID_CALIBRATE HEATER=extruder TARGET=200");
    rig_run(rig, 20);
    plant_cut_heater(rig_plant(rig), plant_find_heater(rig_plant(rig), "extruder"), true);
    rig_run(rig, 200);
    assert_int_equal(printer_state(rig_printer(rig)), PRINTER_SHUTDOWN);
    assert_non_null(strstr(printer_state_message(rig_printer(rig)), "Heater extruder not heating at expected rate"));
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extruder),   cmocka_unit_test(test_bed),     cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_cancel),     cmocka_unit_test(test_restart), cmocka_unit_test(test_emergency_stop),
        cmocka_unit_test(test_cut_heater), cmocka_unit_test(test_another_target), cmocka_unit_test(test_one_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
