/* The life of a printer: start, restart, errors that are corrected, faults of boards; on simulated boards. */
#include "tests/sim/harness.h"

#include "base/mem.h"
#include "firmware/plant/plant.h"
#include "firmware/port/sim/sim_board.h"
#include "motion/engine.h"
#include "server/config/config.h"
#include "server/machine/printer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEAD                                                                                                          \
    "[mcu]\nserial: /dev/ttyACM0\n[printer]\nkinematics: none\nmax_velocity: 300\nmax_accel: 3000\n"                   \
    "[heater_bed]\nheater_pin: PB4\nsensor_type: Generic 3950\nsensor_pin: PC5\ncontrol: watermark\n"                  \
    "min_temp: 0\nmax_temp: 130\n"

static struct rig *start(const char *text, uint64_t seed)
{
    return rig_create(&(struct rig_options){.config_text = text, .seed = seed});
}

static void rewrite(struct rig *rig, const char *text)
{
    char *path = mem_sprintf("%s/printer.cfg", rig_dir(rig));
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    mem_free(path);
}

static bool is_starting(void *ctx)
{
    return printer_state(rig_printer(ctx)) == PRINTER_STARTUP;
}

/* Run a script that replaces the printer, and wait for the new one. */
static bool restart(struct rig *rig, const char *script)
{
    rig_begin_script(rig, script);
    return rig_run_until(rig, is_starting, rig, 10) && rig_wait_ready(rig);
}

static void test_ready(void **state)
{
    (void)state;
    struct rig *rig = rig_create(&(struct rig_options){.config_path = TEST_SHARED_DIR "/sim/centre.cfg", .seed = 1});
    assert_true(rig_wait_ready(rig));
    print_message("ready after %.3f s\n", printer_startup_s(rig_printer(rig)));
    rig_run(rig, 2.0);
    assert_string_equal(rig_status(rig, "webhooks", "state"), "\"ready\"");
    assert_string_equal(rig_status(rig, "webhooks", "state_message"), "\"Printer is ready\"");
    assert_non_null(strstr(rig_status(rig, "configfile", "settings"), "\"kinematics\": \"corexy\""));
    assert_non_null(strstr(rig_status(rig, "configfile", "settings"), "\"verify_heater extruder\": {\"hysteresis\": 5.0"));
    assert_null(strstr(rig_status(rig, "configfile", "config"), "verify_heater"));
    assert_non_null(strstr(rig_status(rig, "gcode", "commands"), "\"M104\": {}"));
    assert_non_null(strstr(rig_status(rig, "gcode", "commands"), "\"TURN_OFF_HEATERS\": {\"help\": \"Turn off all heaters\"}"));
    assert_non_null(strstr(rig_status(rig, "mcu", "mcu_constants"), "\"CLOCK_FREQ\""));
    assert_string_equal(rig_status(rig, "heaters", "available_heaters"), "[\"extruder\", \"heater_bed\"]");
    rig_destroy(rig);
}

/* Parameters that Klipper has given up are warnings of the configuration, each once, in Klipper's shape. */
static void test_deprecated_commands(void **state)
{
    (void)state;
    struct rig *rig = start(HEAD "[manual_stepper s]\nstep_pin: PA1\ndir_pin: PA2\nenable_pin: !PA3\nmicrosteps: 16\n"
                                 "rotation_distance: 40\nendstop_pin: ^PB0\nposition_endstop: 0\n", 5);
    assert_true(rig_wait_ready(rig));
    rig_run(rig, 1);
    assert_string_equal(rig_status(rig, "configfile", "warnings"), "[]");
    for (int again = 0; again < 2; again++) {
        assert_int_equal(rig_script(rig, "SET_VELOCITY_LIMIT VELOCITY=200 ACCEL_TO_DECEL=1500", 5), OK);
        (void)!rig_script(rig, "MANUAL_STEPPER STEPPER=s SET_POSITION=0\nMANUAL_STEPPER STEPPER=s MOVE=1 STOP_ON_ENDSTOP=2", 20);
    }
    rig_run(rig, 1);
    assert_string_equal(rig_status(rig, "configfile", "warnings"),
                        "[{\"type\": \"deprecated_gcode\", \"message\": \"Parameter 'ACCEL_TO_DECEL' of command "
                        "'SET_VELOCITY_LIMIT' is ignored: Klipper removed it on 2025-08-11; use MINIMUM_CRUISE_RATIO.\", "
                        "\"command\": \"SET_VELOCITY_LIMIT\", \"parameter\": \"ACCEL_TO_DECEL\"}, "
                        "{\"type\": \"deprecated_gcode\", \"message\": \"Value 'STOP_ON_ENDSTOP=2' in command "
                        "'MANUAL_STEPPER' is deprecated.\", \"command\": \"MANUAL_STEPPER\", \"parameter\": "
                        "\"STOP_ON_ENDSTOP\", \"value\": \"2\"}]");
    rig_destroy(rig);
}

static void test_restart(void **state)
{
    (void)state;
    struct rig *rig = start(HEAD, 2);
    assert_true(rig_wait_ready(rig));
    rig_run(rig, 3);
    assert_int_equal(rig_script(rig, "M140 S60", 10), OK);
    rig_run(rig, 30);
    double warm = plant_heater_temp_c(rig_plant(rig), 0);
    assert_true(warm > 26);
    assert_true(restart(rig, "RESTART"));
    assert_true(plant_heater_duty(rig_plant(rig), 0) == 0);
    rig_run(rig, 4);
    assert_string_equal(rig_status(rig, "heater_bed", "target"), "0.0");
    assert_true(rig_status_number(rig, "heater_bed", "temperature") > 25.5);
    assert_true(restart(rig, "FIRMWARE_RESTART"));
    assert_int_equal(rig_script(rig, "M105", 10), OK);
    rig_destroy(rig);
}

/* The stronger request wins while the printer is being closed, at any moment of that; and the printer comes back. */
static void test_firmware_restart_during_a_restart(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        struct rig *rig = start(HEAD, 11);
        assert_true(rig_wait_ready(rig));
        rig_run(rig, 2);
        assert_int_equal(rig_script(rig, "M140 S60", 10), OK);
        rig_run(rig, 1);
        rig_begin_script(rig, "RESTART");
        rig_run(rig, 0.02 * i);
        printer_request_restart(rig_printer(rig), PRINTER_RESTART_FIRMWARE);
        assert_true(rig_run_until(rig, is_starting, rig, 10) && rig_wait_ready(rig));
        rig_run(rig, 2);
        assert_int_equal(printer_state(rig_printer(rig)), PRINTER_READY);
        assert_string_equal(rig_status(rig, "heater_bed", "target"), "0.0");
        assert_true(plant_heater_duty(rig_plant(rig), 0) == 0);
        rig_destroy(rig);
    }
}

/* In the middle of motion, and with the motion held: a restart takes neither long nor for ever, and fans end too. */
static void test_restart_while_moving(void **state)
{
    (void)state;
    struct rig *rig = rig_create(&(struct rig_options){.config_path = TEST_SHARED_DIR "/sim/centre.cfg", .seed = 12});
    assert_true(rig_wait_ready(rig));
    rig_run(rig, 3);
    for (int held = 0; held < 2; held++) {
        assert_int_equal(rig_script(rig, "G28\nM106 S255\nG90", 120), OK);
        rig_begin_script(rig, "G1 X140 F1200\nG1 X-140\nG1 X140\nG1 X-140\nG1 X0");
        rig_run(rig, 3);
        struct err_info info;
        if (held)
            assert_int_equal(engine_hold(rig_printer(rig)->engine, &info), OK);
        rig_run(rig, 2);
        assert_true(plant_fan_speed(rig_plant(rig), 0) > 0.8);
        double before = rig_now_s(rig);
        printer_request_restart(rig_printer(rig), PRINTER_RESTART_HOST); /* a script would wait for its turn */
        assert_true(rig_run_until(rig, is_starting, rig, 10) && rig_wait_ready(rig));
        print_message("restarted after %.2f s\n", rig_now_s(rig) - before);
        rig_run(rig, 6); /* it spins down */
        assert_true(plant_fan_speed(rig_plant(rig), 0) < 0.05);
    }
    rig_destroy(rig);
}

static bool is_heated(void *ctx)
{
    return rig_status_number(ctx, "extruder", "temperature") > 199;
}

/* A print with heaters on, restarted at many moments of its homing and its moves: no update of a pin and no step comes
 * too late for the board. */
static void test_restart_while_printing(void **state)
{
    (void)state;
    struct rig *rig = rig_create(&(struct rig_options){.config_path = TEST_SHARED_DIR "/sim/centre.cfg", .seed = 13});
    rig_add_gcode(rig, "a.gcode", "M140 S55\nM109 S200\nM106 S100\nG28\nG90\nG1 Z5 F1200\nG1 X100 F3000\nG1 Y90\n"
                                  "G1 X-100\nG1 Y-90\nG1 X100\nG1 Y90\nG1 X-100\nG1 Y-90\nG1 X100\nG1 Y90\n");
    for (int i = 0; i < 40; i++) {
        assert_true(rig_wait_ready(rig));
        assert_int_equal(rig_script(rig, "SDCARD_PRINT_FILE FILENAME=a.gcode", 1), OK);
        assert_true(rig_run_until(rig, is_heated, rig, 300));
        rig_run(rig, 0.05 + 0.37 * i);
        assert_int_equal(printer_state(rig_printer(rig)), PRINTER_READY);
        printer_request_restart(rig_printer(rig), PRINTER_RESTART_HOST);
        assert_true(rig_run_until(rig, is_starting, rig, 10));
        if (!rig_wait_ready(rig))
            fail_msg("restarted %.2f s into the print: %s", 0.05 + 0.37 * i, printer_state_message(rig_printer(rig)));
    }
    rig_destroy(rig);
}

static void test_bad_configuration_is_corrected(void **state)
{
    (void)state;
    struct rig *rig = start(HEAD "[palette2]\nserial: x\n[fan]\nmax_power: 2\ntypo: 1\n[nonsense]\nx: 1\n", 3);
    rig_run(rig, 0.1);
    assert_int_equal(printer_state(rig_printer(rig)), PRINTER_ERROR);
    const char *text = printer_state_message(rig_printer(rig));
    print_message("%s", text);
    assert_non_null(strstr(text, "printer.cfg:14: Section 'palette2' is not supported yet"));
    assert_non_null(strstr(text, "printer.cfg:16: Option 'pin' in section 'fan' must be specified"));
    assert_non_null(strstr(text, "printer.cfg:17: Option 'max_power' in section 'fan' must have maximum of 1.0 (found: 2.0"));
    assert_non_null(strstr(text, "printer.cfg:18: Option 'typo' is not valid in section 'fan'"));
    assert_non_null(strstr(text, "printer.cfg:19: Section 'nonsense' is not a valid config section"));
    assert_non_null(strstr(text, "\"RESTART\""));
    assert_int_equal(rig_script(rig, "M104 S10", 1), ERR_STATE);
    assert_non_null(strstr(rig_status(rig, "configfile", "config"), "\"nonsense\": {\"x\": \"1\"}"));
    rewrite(rig, HEAD);
    assert_true(restart(rig, "RESTART"));
    assert_non_null(strstr(rig_status(rig, "webhooks", "state"), "ready"));
    rig_destroy(rig);
}

/* Two boards, each with an alias of the same name; static outputs on both are set when the boards are configured. */
static void test_pins_of_two_boards(void **state)
{
    (void)state;
    struct rig *rig = start(HEAD "[mcu tool]\nserial: /dev/ttyACM1\n"
                                 "[board_pins]\naliases: LED=PA1, SPARE=PA2\n"
                                 "[board_pins tool]\nmcu: tool\naliases: LED=PA3\n"
                                 "[static_digital_output lights]\npins: LED, !SPARE, tool:LED\n",
                            31);
    assert_true(rig_wait_ready(rig));
    rig_run(rig, 1.0);
    static const struct {
        const char *board, *pin;
        uint32_t level;
    } pins[] = {{"mcu", "PA1", SIM_PWM_MAX}, {"mcu", "PA2", 0}, {"tool", "PA3", SIM_PWM_MAX},
                {"tool", "PA1", SIM_LEVEL_FLOATING}};
    for (size_t i = 0; i < sizeof pins / sizeof pins[0]; i++) {
        struct sim_board *board = rig_board(rig, pins[i].board);
        assert_non_null(board);
        assert_int_equal(sim_board_level(board, sim_board_pin(board, pins[i].pin)), pins[i].level);
    }
    rig_destroy(rig);
}

static void test_emergency_stop(void **state)
{
    (void)state;
    struct rig *rig = start(HEAD, 4);
    assert_true(rig_wait_ready(rig));
    rig_run(rig, 3);
    assert_int_equal(rig_script(rig, "M140 S60", 10), OK);
    rig_run(rig, 5);
    (void)!rig_script(rig, "M112", 1);
    assert_int_equal(printer_state(rig_printer(rig)), PRINTER_SHUTDOWN);
    assert_non_null(strstr(printer_state_message(rig_printer(rig)), "M112 command"));
    rig_run(rig, 0.1);
    assert_true(plant_heater_duty(rig_plant(rig), 0) == 0);
    /* the first fault stays */
    printer_shutdown(rig_printer(rig), "another");
    assert_non_null(strstr(printer_state_message(rig_printer(rig)), "M112 command"));
    /* a board that is shut down needs its firmware restarted */
    rig_begin_script(rig, "RESTART");
    assert_true(rig_run_until(rig, is_starting, rig, 10));
    assert_false(rig_wait_ready(rig));
    assert_int_equal(printer_state(rig_printer(rig)), PRINTER_ERROR);
    assert_non_null(strstr(printer_state_message(rig_printer(rig)), "FIRMWARE_RESTART"));
    assert_true(restart(rig, "FIRMWARE_RESTART"));
    assert_int_equal(rig_script(rig, "M140 S60", 10), OK);
    rig_destroy(rig);
}

static void test_two_boards(void **state)
{
    (void)state;
    struct rig *rig = start("[mcu tool]\nserial: /dev/ttyACM1\n" HEAD
                            "[fan_generic aux]\npin: tool:PA1\n[output_pin led]\npin: !tool:PA2\npwm: True\nvalue: 0.25\n"
                            "[temperature_sensor t]\nsensor_type: EPCOS 100K B57560G104F\nsensor_pin: tool:PC1\n",
                            5);
    assert_true(rig_wait_ready(rig));
    rig_run(rig, 3);
    assert_true(rig_status_number(rig, "temperature_sensor t", "temperature") > 20);
    assert_string_equal(rig_status(rig, "output_pin led", "value"), "0.25");
    assert_int_equal(rig_script(rig, "SET_PIN PIN=led VALUE=0.5\nSET_FAN_SPEED FAN=aux SPEED=1\nM400", 10), OK);
    rig_run(rig, 1);
    assert_string_equal(rig_status(rig, "output_pin led", "value"), "0.5");
    assert_string_equal(rig_status(rig, "fan_generic aux", "speed"), "1.0");
    sim_board_shut_down(rig_board(rig, "tool"));
    rig_run(rig, 0.5);
    assert_int_equal(printer_state(rig_printer(rig)), PRINTER_SHUTDOWN);
    assert_non_null(strstr(printer_state_message(rig_printer(rig)), "'tool'"));
    rig_destroy(rig);
}

static void test_two_printers_side_by_side(void **state)
{
    (void)state;
    struct rig *a = start(HEAD, 6), *b = start(HEAD, 6);
    assert_true(rig_wait_ready(a));
    assert_true(rig_wait_ready(b));
    rig_run(a, 3);
    rig_run(b, 3);
    assert_int_equal(rig_script(a, "M140 S60", 10), OK);
    rig_run(a, 1);
    rig_run(b, 1);
    assert_string_equal(rig_status(a, "heater_bed", "target"), "60.0");
    assert_string_equal(rig_status(b, "heater_bed", "target"), "0.0");
    rig_destroy(a);
    rig_destroy(b);
}

static void test_close(void **state)
{
    (void)state;
    struct rig *rig = start(HEAD, 7);
    assert_true(rig_wait_ready(rig));
    rig_run(rig, 3);
    assert_int_equal(rig_script(rig, "M140 S60", 10), OK);
    rig_run(rig, 3);
    assert_true(plant_heater_duty(rig_plant(rig), 0) == 1);
    printer_begin_close(rig_printer(rig));
    rig_run(rig, 1.5);
    assert_true(printer_is_closed(rig_printer(rig)));
    assert_true(plant_heater_duty(rig_plant(rig), 0) == 0);
    struct sim_board_stats stats;
    sim_board_get_stats(rig_board(rig, "mcu"), &stats);
    assert_string_equal(stats.shutdown_reason, "");
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ready),
        cmocka_unit_test(test_deprecated_commands),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_firmware_restart_during_a_restart),
        cmocka_unit_test(test_restart_while_moving),
        cmocka_unit_test(test_restart_while_printing),
        cmocka_unit_test(test_bad_configuration_is_corrected),
        cmocka_unit_test(test_pins_of_two_boards),
        cmocka_unit_test(test_emergency_stop),
        cmocka_unit_test(test_two_boards),
        cmocka_unit_test(test_two_printers_side_by_side),
        cmocka_unit_test(test_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
