/* Heaters on the simulated printer, in virtual time: targets are reached, waits end and can be cancelled, a cut heater
 * stops the printer, a silent host or board leaves no heater on. The plant is the judge: it knows the real temperature and
 * the level of the heater's pin. */
#include "tests/sim/harness.h"

#include "base/mem.h"
#include "firmware/plant/plant.h"
#include "firmware/port/sim/sim_board.h"
#include "server/machine/printer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char config[] = "[mcu]\nserial: /dev/ttyACM0\n"
                             "[printer]\nkinematics: none\nmax_velocity: 300\nmax_accel: 3000\n"
                             "[extruder]\nheater_pin: PB3\nsensor_type: EPCOS 100K B57560G104F\nsensor_pin: PC4\n"
                             "control: pid\npid_Kp: 22.2\npid_Ki: 1.08\npid_Kd: 114\nmin_temp: 0\nmax_temp: 280\n"
                             "nozzle_diameter: 0.4\nfilament_diameter: 1.75\n"
                             "[heater_bed]\nheater_pin: PB4\nsensor_type: Generic 3950\nsensor_pin: PC5\n"
                             "control: watermark\nmin_temp: 0\nmax_temp: 130\n"
                             "[heater_generic chamber]\ngcode_id: C\nheater_pin: PB6\nsensor_type: PT1000\nsensor_pin: PC6\n"
                             "control: watermark\nmax_delta: 1\nmin_temp: 0\nmax_temp: 90\n"
                             "[temperature_sensor board]\nsensor_type: Generic 3950\nsensor_pin: PC7\ngcode_id: X\n"
                             "[temperature_sensor pi]\nsensor_type: temperature_host\n"
                             "[fan]\npin: PB5\n"
                             "[heater_fan hotend]\npin: PB7\n";

static struct rig *start(uint64_t seed)
{
    struct rig *rig = rig_create(&(struct rig_options){.config_text = config, .seed = seed});
    assert_true(rig_wait_ready(rig));
    rig_run(rig, 3.0); /* the first readings */
    return rig;
}

static double real_temp(struct rig *rig, const char *heater)
{
    size_t index = plant_find_heater(rig_plant(rig), heater);
    assert_true(index != (size_t)-1);
    return plant_heater_temp_c(rig_plant(rig), index);
}

static double duty(struct rig *rig, const char *heater)
{
    return plant_heater_duty(rig_plant(rig), plant_find_heater(rig_plant(rig), heater));
}

/* Mean duty over `seconds`, looked at each 7 ms. */
static double mean_duty(struct rig *rig, const char *heater, double seconds)
{
    double sum = 0;
    size_t count = 0;
    for (double t = 0; t < seconds; t += 0.007, count++) {
        rig_run(rig, 0.007);
        sum += duty(rig, heater);
    }
    return sum / (double)count;
}

static void test_reaches_target(void **state)
{
    (void)state;
    struct rig *rig = start(1);
    rig_clear_console(rig);
    double before = rig_now_s(rig);
    assert_int_equal(rig_script(rig, "M109 S210", 600), OK);
    print_message("extruder at 210 C after %.1f s, reports: %.60s\n", rig_now_s(rig) - before, rig_console(rig));
    assert_non_null(strstr(rig_console(rig), " T0:25.0 /210.0 X:25.0 /0.0\nB:25.0 /0.0 C:25."));
    double peak = 0, low = 1000;
    for (int i = 0; i < 1200; i++) {
        rig_run(rig, 0.1);
        peak = fmax(peak, real_temp(rig, "extruder"));
        if (i > 600)
            low = fmin(low, real_temp(rig, "extruder"));
    }
    print_message("peak %.2f C, low after a minute %.2f C\n", peak, low);
    assert_true(peak < 220);
    assert_true(low > 207);
    assert_string_equal(rig_status(rig, "extruder", "target"), "210.0");
    assert_string_equal(rig_status(rig, "extruder", "can_extrude"), "true");
    double power = rig_status_number(rig, "extruder", "power");
    assert_true(power > 0 && power <= 1);
    assert_int_equal(rig_script(rig, "SET_HEATER_TEMPERATURE HEATER=extruder", 10), OK);
    rig_run(rig, 1.0);
    assert_true(mean_duty(rig, "extruder", 0.5) == 0);
    rig_destroy(rig);
}

static void test_bed_and_waits(void **state)
{
    (void)state;
    struct rig *rig = start(2);
    assert_int_equal(rig_script(rig, "M140 S60\nTEMPERATURE_WAIT SENSOR=heater_bed MINIMUM=50\nM190 S60", 3600), OK);
    assert_true(real_temp(rig, "heater_bed") > 55);
    rig_clear_console(rig);
    assert_int_equal(rig_script(rig, "M105", 1), OK);
    assert_non_null(strstr(rig_console(rig), "B:"));
    assert_non_null(strstr(rig_console(rig), "/60.0"));
    assert_int_equal(rig_script(rig, "TURN_OFF_HEATERS", 1), OK);
    rig_run(rig, 1.0);
    assert_true(mean_duty(rig, "heater_bed", 0.5) == 0);
    rig_destroy(rig);
}

static void test_errors_of_commands(void **state)
{
    (void)state;
    static const struct {
        const char *script, *text;
    } cases[] = {
        {"M104 S300", "Requested temperature (300.0) out of range (0.0:280.0)"},
        {"M140 S-5", "Requested temperature (-5.0) out of range (0.0:130.0)"},
        {"SET_HEATER_TEMPERATURE HEATER=chamber TARGET=nan", "unable to parse"},
        {"SET_HEATER_TEMPERATURE HEATER=nobody TARGET=5", "nobody"},
        {"TEMPERATURE_WAIT SENSOR=nobody MINIMUM=5", "Unknown sensor 'nobody'"},
        {"TEMPERATURE_WAIT SENSOR=extruder", "missing MINIMUM or MAXIMUM"},
        {"TEMPERATURE_WAIT SENSOR=extruder MINIMUM=50 MAXIMUM=40", "must be above"},
        {"M104 T7 S200", "Extruder not configured"},
    };
    struct rig *rig = start(3);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_not_equal(rig_script(rig, cases[i].script, 10), OK);
        if (!strstr(rig_error(rig), cases[i].text))
            fail_msg("%s: '%s' instead of '%s'", cases[i].script, rig_error(rig), cases[i].text);
    }
    assert_int_equal(rig_script(rig, "M104 T7 S0", 1), OK);
    assert_int_equal(printer_state(rig_printer(rig)), PRINTER_READY);
    rig_destroy(rig);
}

static bool has_stopped(void *ctx)
{
    return printer_is_shutdown(rig_printer(ctx));
}

static void test_cut_heater_is_noticed(void **state)
{
    (void)state;
    struct rig *rig = start(4);
    rig_begin_script(rig, "M109 S200");
    rig_run(rig, 30);
    plant_cut_heater(rig_plant(rig), plant_find_heater(rig_plant(rig), "extruder"), true);
    double cut = rig_now_s(rig);
    assert_true(rig_run_until(rig, has_stopped, rig, 300));
    print_message("noticed after %.1f s: %s\n", rig_now_s(rig) - cut, printer_state_message(rig_printer(rig)));
    assert_non_null(strstr(printer_state_message(rig_printer(rig)), "Heater extruder not heating at expected rate"));
    assert_non_null(strstr(printer_state_message(rig_printer(rig)), "FIRMWARE_RESTART"));
    rig_run(rig, 1.0);
    assert_true(duty(rig, "extruder") == 0);
    assert_string_equal(rig_status(rig, "webhooks", "state"), "\"shutdown\"");
    assert_string_equal(rig_status(rig, "extruder", "target"), "0.0");
    rig_destroy(rig);
}

/* At its target, then cut: the error sum must reach max_error, whatever the size of the block. */
static void test_cut_at_target_is_noticed(void **state)
{
    (void)state;
    struct rig *rig = start(5);
    assert_int_equal(rig_script(rig, "M109 S200", 600), OK);
    rig_run(rig, 60);
    plant_cut_heater(rig_plant(rig), plant_find_heater(rig_plant(rig), "extruder"), true);
    double cut = rig_now_s(rig);
    assert_true(rig_run_until(rig, has_stopped, rig, 300));
    print_message("noticed after %.1f s\n", rig_now_s(rig) - cut);
    rig_destroy(rig);
}

static void test_open_sensor_stops_the_board(void **state)
{
    (void)state;
    struct rig *rig = start(6);
    rig_begin_script(rig, "M109 S200");
    rig_run(rig, 20);
    plant_fault_sensor(rig_plant(rig), plant_find_sensor(rig_plant(rig), "extruder"), PLANT_SENSOR_OPEN);
    assert_true(rig_run_until(rig, has_stopped, rig, 10));
    print_message("%s\n", printer_state_message(rig_printer(rig)));
    assert_non_null(strstr(printer_state_message(rig_printer(rig)), "ADC out of range"));
    assert_non_null(strstr(printer_state_message(rig_printer(rig)), "'mcu'"));
    rig_run(rig, 0.5);
    assert_true(duty(rig, "extruder") == 0);
    rig_destroy(rig);
}

/* A board that hears nothing turns its heaters off by itself within max_duration; the host says which board and since
 * when. */
static void test_silence(void **state)
{
    (void)state;
    struct rig *rig = start(7);
    rig_begin_script(rig, "M104 S200\nM140 S100");
    rig_run(rig, 20);
    assert_true(mean_duty(rig, "extruder", 0.5) > 0.5);
    sim_board_set_silent(rig_board(rig, "mcu"), true);
    rig_run(rig, 3.5);
    assert_true(mean_duty(rig, "extruder", 0.5) == 0);
    assert_true(mean_duty(rig, "heater_bed", 0.5) == 0);
    assert_true(rig_run_until(rig, has_stopped, rig, 30));
    print_message("%s\n", printer_state_message(rig_printer(rig)));
    assert_non_null(strstr(printer_state_message(rig_printer(rig)), "Lost communication with MCU 'mcu'"));
    assert_non_null(strstr(printer_state_message(rig_printer(rig)), "silent for"));
    rig_destroy(rig);
}

static void test_wait_is_cancelled_by_shutdown(void **state)
{
    (void)state;
    struct rig *rig = start(8);
    rig_begin_script(rig, "M109 S200");
    rig_run(rig, 5);
    printer_emergency_stop(rig_printer(rig), "webhooks request");
    rig_run(rig, 0.1);
    assert_int_equal(printer_state(rig_printer(rig)), PRINTER_SHUTDOWN);
    assert_true(duty(rig, "extruder") == 0);
    assert_int_not_equal(rig_script(rig, "M104 S200", 1), OK);
    assert_non_null(strstr(rig_error(rig), "Shutdown due to webhooks request"));
    rig_destroy(rig);
}

static double fan_speed(struct rig *rig, const char *object)
{
    return rig_status_number(rig, object, "speed");
}

static void test_fans(void **state)
{
    (void)state;
    struct rig *rig = start(9);
    assert_true(fan_speed(rig, "fan") == 0);
    assert_int_equal(rig_script(rig, "M106 S127.5\nG4 P500\nM400", 10), OK);
    rig_run(rig, 1.0);
    assert_true(fan_speed(rig, "fan") == 0.5);
    assert_string_equal(rig_status(rig, "fan", "rpm"), "null");
    assert_string_equal(rig_status(rig, "temperature_host pi", "temperature"), "40.0");
    assert_string_equal(rig_status(rig, "temperature_sensor pi", "measured_max_temp"), "40.0");
    assert_true(rig_status_number(rig, "system_stats", "memavail") > 0);
    assert_int_equal(rig_script(rig, "M106\nM400", 10), OK);
    rig_run(rig, 1.0);
    assert_true(fan_speed(rig, "fan") == 1.0);
    assert_int_equal(rig_script(rig, "M107\nM400", 10), OK);
    rig_run(rig, 1.0);
    assert_true(fan_speed(rig, "fan") == 0);
    assert_true(fan_speed(rig, "heater_fan hotend") == 0);
    assert_int_equal(rig_script(rig, "M104 S60", 10), OK);
    rig_run(rig, 2.0);
    assert_true(fan_speed(rig, "heater_fan hotend") == 1.0);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reaches_target),
        cmocka_unit_test(test_bed_and_waits),
        cmocka_unit_test(test_errors_of_commands),
        cmocka_unit_test(test_cut_heater_is_noticed),
        cmocka_unit_test(test_cut_at_target_is_noticed),
        cmocka_unit_test(test_open_sensor_stops_the_board),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_wait_is_cancelled_by_shutdown),
        cmocka_unit_test(test_fans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
