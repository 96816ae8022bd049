/* From configurations to machines: what is found, where things stand, and that nothing in a file can hurt. */
#include "server/app/simulate_derive.h"

#include "base/rng.h"
#include "server/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

static struct derived *derive(const char *text)
{
    struct config *config = config_parse("printer.cfg", text, strlen(text));
    struct derived *d = derived_create(config, false);
    config_destroy(config); /* nothing of it may be needed any more */
    return d;
}

static const struct plant_motor *motor(const struct derived *d, const char *name)
{
    for (size_t i = 0; i < d->desc.motor_count; i++) {
        if (!strcmp(d->motors[i].name, name))
            return &d->motors[i];
    }
    return NULL;
}

static const struct plant_endstop *endstop(const struct derived *d, const char *name)
{
    for (size_t i = 0; i < d->desc.endstop_count; i++) {
        if (!strcmp(d->endstops[i].name, name))
            return &d->endstops[i];
    }
    return NULL;
}

static bool board_has_pin(const struct derived *d, const char *board, const char *pin)
{
    int index = derived_board_index(d, board);
    for (size_t i = 0; index >= 0 && i < d->boards[index].pin_count; i++) {
        if (!strcmp(d->boards[index].pin_names[i], pin))
            return true;
    }
    return false;
}

static const char corexy[] =
    "[mcu]\nserial: /dev/ttyACM0\n[mcu tool]\ncanbus_uuid: 1\n"
    "[printer]\nkinematics: corexy\nmax_velocity: 100\nmax_accel: 100\n"
    "[board_pins]\naliases:\n  X_STEP=PC7, X_DIR = PC8,\n  E0=<GND>, BED=tool_PB1\n"
    "[stepper_x]\nstep_pin: X_STEP\ndir_pin: !X_DIR\nenable_pin: !PA3\nrotation_distance: 40\nmicrosteps: 16\n"
    "endstop_pin: tmc2209_stepper_x:virtual_endstop\nposition_endstop: 250\nposition_max: 250\n"
    "[tmc2209 stepper_x]\nuart_pin: PC11\ndiag_pin: ^!PG6\n"
    "[stepper_y]\nstep_pin: PA4\ndir_pin: PA5\nrotation_distance: 40\nmicrosteps: 32\ngear_ratio: 80:16, 2:1\n"
    "endstop_pin: ^!tool: PB1\nposition_min: -10\nposition_endstop: -10\nposition_max: 250\n"
    "[stepper_z]\nstep_pin: PA7\ndir_pin: PA8\nrotation_distance: 8\nmicrosteps: 16\nfull_steps_per_rotation: 400\n"
    "endstop_pin: probe:z_virtual_endstop\nposition_max: 200\n"
    "[stepper_z1]\nstep_pin: PB7\ndir_pin: PB8\nrotation_distance: 8\nmicrosteps: 16\n"
    "[probe]\npin: tool:PA9\nz_offset: 1.5\nx_offset: -20\n"
    "[extruder]\nstep_pin: tool:PC0\ndir_pin: tool:PC1\nrotation_distance: 22\nmicrosteps: 16\nheater_pin: tool:PB3\n"
    "sensor_pin: tool:PC4\nsensor_type: my ntc\nmax_temp: 300\n"
    "[thermistor my ntc]\ntemperature1: 25\nresistance1: 10000\nbeta: 3500\n"
    "[heater_bed]\nheater_pin: PB4\nsensor_pin: PC5\nsensor_type: Generic 3950\nmax_temp: 120\n"
    "[temperature_sensor chamber]\nsensor_pin: PC6\nsensor_type: PT1000\npullup_resistor: 2200\n"
    "[temperature_sensor board]\nsensor_type: temperature_mcu\n"
    "[fan]\npin: tool:PB5\ntachometer_pin: tool:PB6\n[heater_fan h]\npin: PD1\n"
    "[filament_switch_sensor f]\nswitch_pin: ^PD2\n[gcode_button b]\npin: PD3\ngcode:\n  M117 x\n"
    "[filament_motion_sensor w]\nswitch_pin: PD4\nextruder: extruder\ndetection_length: 9\n"
    "[output_pin strange]\npin: ZZ_weird.9/x\n[multi_pin m]\npins: PE1, !PE2\n";

static void a_machine_is_read(void **state)
{
    (void)state;
    struct derived *d = derive(corexy);
    assert_int_equal(d->board_count, 2);
    assert_int_equal(d->desc.kinematics, PLANT_COREXY);
    assert_int_equal(d->desc.motor_count, 5);
    assert_string_equal(motor(d, "stepper_x")->step.name, "PC7");
    assert_true(motor(d, "stepper_x")->dir.is_inverted);
    assert_string_equal(motor(d, "stepper_x")->dir.name, "PC8");
    assert_true(fabs(motor(d, "stepper_y")->mm_per_step - 40.0 / (200 * 32 * 10)) < 1e-12);
    assert_true(fabs(motor(d, "stepper_z")->mm_per_step - 8.0 / (400 * 16)) < 1e-12);
    assert_int_equal(motor(d, "stepper_z1")->role, PLANT_ROLE_Z);
    assert_int_equal(motor(d, "extruder")->step.board, 1);
    /* endstops: x at its maximum behind the driver's pin, y on the other board, z by the probe */
    const struct plant_endstop *x = endstop(d, "stepper_x"), *y = endstop(d, "stepper_y"), *p = endstop(d, "probe");
    assert_string_equal(x->pin.name, "PG6");
    assert_true(x->pin.is_inverted && x->is_at_max && x->at_mm == 250);
    assert_string_equal(y->pin.name, "PB1");
    assert_int_equal(y->pin.board, 1);
    assert_true(!y->is_at_max && y->at_mm == -10);
    assert_true(p->of == PLANT_ENDSTOP_PROBE && p->at_mm == 1.5 && p->probe_x_mm == -20);
    assert_null(endstop(d, "stepper_z"));
    /* heat */
    assert_int_equal(d->desc.heater_count, 2);
    assert_int_equal(d->desc.sensor_count, 4);
    assert_int_equal(d->heaters[0].fan, 0);
    assert_true(fabs(sensor_ohm_to_temp(&d->sensors[0].curve, 10000) - 25) < 1e-6);
    assert_int_equal(d->sensors[0].heater, 0);
    assert_int_equal(d->sensors[2].heater, -1);
    assert_true(d->sensors[2].wiring.pullup_ohm == 2200);
    assert_string_equal(d->sensors[3].pin.name, "ADC_TEMPERATURE");
    assert_true(d->sensors[3].wiring.adc_voltage == 3.3 && d->sensors[3].offset_c == 10);
    assert_int_equal(d->desc.fan_count, 2);
    assert_string_equal(d->fans[0].tach.name, "PB6");
    assert_int_equal(d->desc.switch_count, 2);
    assert_true(d->switches[0].is_active);
    assert_int_equal(d->desc.wheel_count, 1);
    assert_string_equal(d->motors[d->wheels[0].motor].name, "extruder");
    assert_true(d->wheels[0].mm_per_edge == 3 && !strcmp(d->wheels[0].pin.name, "PD4"));
    /* pins of sections nobody knows exist too */
    assert_true(board_has_pin(d, "mcu", "ZZ_weird.9/x"));
    assert_true(board_has_pin(d, "mcu", "PE1") && board_has_pin(d, "mcu", "PE2"));
    assert_true(board_has_pin(d, "mcu", "PC11"));
    assert_false(board_has_pin(d, "mcu", "z_virtual_endstop"));
    derived_destroy(d);
}

/* Toolheads start inside the machine, a way from their endstops, whatever the kinematics. */
static void toolheads_start_within_reach(void **state)
{
    (void)state;
    struct derived *d = derive(corexy);
    double x = 250 - 30, y = -10 + 30;
    assert_true(fabs(motor(d, "stepper_x")->start_mm - (x + y)) < 1e-9);
    assert_true(fabs(motor(d, "stepper_y")->start_mm - (x - y)) < 1e-9);
    assert_true(fabs(motor(d, "stepper_z")->start_mm - 10) < 1e-9);
    derived_destroy(d);
    d = derive(
        "[mcu]\n[printer]\nkinematics: delta\ndelta_radius: 150\n"
        "[stepper_a]\nstep_pin: PA0\ndir_pin: PA1\nendstop_pin: PA2\nposition_endstop: 300\narm_length: 330\n"
        "rotation_distance: 40\nmicrosteps: 16\n"
        "[stepper_b]\nstep_pin: PB0\ndir_pin: PB1\nendstop_pin: PB2\nrotation_distance: 40\nmicrosteps: 16\n"
        "[stepper_c]\nstep_pin: PC0\ndir_pin: PC1\nendstop_pin: PC2\nposition_endstop: 299\nrotation_distance: 40\n"
        "microsteps: 16\n");
    assert_int_equal(d->desc.kinematics, PLANT_DELTA);
    double above = sqrt(330.0 * 330 - 150.0 * 150);
    assert_true(fabs(endstop(d, "stepper_a")->at_mm - (300 + above)) < 1e-9);
    assert_true(fabs(endstop(d, "stepper_b")->at_mm - (300 + above)) < 1e-9);
    assert_true(fabs(endstop(d, "stepper_c")->at_mm - (299 + above)) < 1e-9);
    assert_true(endstop(d, "stepper_c")->is_at_max);
    assert_true(fabs(motor(d, "stepper_b")->start_mm - (270 + above)) < 1e-9);
    derived_destroy(d);
}

static void machines_are_compared(void **state)
{
    (void)state;
    struct derived *a = derive(corexy), *b = derive(corexy);
    char changed[4096];
    snprintf(changed, sizeof(changed), "%s[gcode_macro x]\ngcode:\n  G28\n", corexy);
    struct derived *same = derive(changed);
    snprintf(changed, sizeof(changed), "%s[fan_generic more]\npin: PE9\n", corexy);
    struct derived *other = derive(changed);
    assert_string_equal(a->signature.data, b->signature.data);
    assert_string_equal(a->signature.data, same->signature.data);
    assert_string_not_equal(a->signature.data, other->signature.data);
    derived_destroy(a);
    derived_destroy(b);
    derived_destroy(same);
    derived_destroy(other);
}

static void only_the_main_board(void **state)
{
    (void)state;
    struct config *config = config_parse("printer.cfg", corexy, strlen(corexy));
    struct derived *d = derived_create(config, true);
    assert_int_equal(d->board_count, 1);
    assert_int_equal(d->desc.motor_count, 4);
    assert_null(motor(d, "extruder"));
    derived_destroy(d);
    config_destroy(config);
}

/* Any file makes some machine, and that machine can be built. */
static void bad_files_do_no_harm(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "[mcu]\n",
        "[printer]\nkinematics: nonsense\n",
        "[stepper_x]\nstep_pin: PA0\n",
        "[mcu]\n[stepper_x]\nstep_pin: :\ndir_pin: ^~!\nrotation_distance: nan\n[heater_bed]\nheater_pin: mcu:\n",
        "[mcu]\n[extruder]\nheater_pin: PA0\nsensor_pin: PA1\nsensor_type: none\nmax_temp: -500\n",
        "[mcu]\n[board_pins]\naliases: =,==,a=,=b,\n[fan]\npin: a\n",
        "[mcu]\n[stepper_x]\nstep_pin: PA0\ndir_pin: PA1\nmicrosteps: 0\nrotation_distance: -1e300\ngear_ratio: 0:0\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        derived_destroy(derive(bad[i]));
    struct rng rng;
    rng_init(&rng, 42);
    char text[sizeof(corexy)];
    for (int round = 0; round < 3000; round++) {
        memcpy(text, corexy, sizeof(corexy));
        for (int n = 0; n < 8; n++) {
            size_t at = rng_below(&rng, sizeof(corexy) - 1);
            text[at] = "\n :=,[]#!^x09-."[rng_below(&rng, 15)];
        }
        struct derived *d = derive(text);
        if (round % 50 == 0 && d->board_count) {
            struct sim_board *boards[DERIVED_BOARDS_MAX];
            struct bytepipe pipes[2 * DERIVED_BOARDS_MAX];
            for (size_t b = 0; b < d->board_count; b++) {
                bytepipe_init(&pipes[2 * b], 256);
                bytepipe_init(&pipes[2 * b + 1], 256);
                boards[b] = sim_board_create(&(struct sim_board_options){.pin_names = d->boards[b].pin_names,
                                                                         .pin_count = d->boards[b].pin_count},
                                             &pipes[2 * b], &pipes[2 * b + 1]);
            }
            d->desc.boards = boards;
            struct plant *plant;
            struct err_info info;
            if (plant_create(&plant, &d->desc, &info) != OK)
                fail_msg("%s", info.text);
            for (size_t b = 0; b < d->board_count; b++) {
                sim_board_destroy(boards[b]);
                bytepipe_deinit(&pipes[2 * b]);
                bytepipe_deinit(&pipes[2 * b + 1]);
            }
            plant_destroy(plant);
        }
        derived_destroy(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_is_read),     cmocka_unit_test(toolheads_start_within_reach),
        cmocka_unit_test(machines_are_compared), cmocka_unit_test(only_the_main_board),
        cmocka_unit_test(bad_files_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
