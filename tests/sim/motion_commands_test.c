/* Commands of motion on a simulated board: extruders, limits, dwell, motors, arcs, cancelled homing; what the console says
 * and what the motors do. */
#include "base/fiber.h"
#include "firmware/plant/plant.h"
#include "server/gcode/gcode.h"
#include "server/machine/printer.h"
#include "tests/sim/harness.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MOTOR(pins, distance)                                                                                        \
    "step_pin: P" pins "0\ndir_pin: P" pins "1\nenable_pin: !P" pins "2\nmicrosteps: 16\nrotation_distance: " distance "\n"
#define HEAT(heater, sensor)                                                                                          \
    "nozzle_diameter: 0.4\nfilament_diameter: 1.75\nheater_pin: " heater                                              \
    "\nsensor_type: EPCOS 100K B57560G104F\nsensor_pin: " sensor                                                     \
    "\ncontrol: pid\npid_Kp: 22\npid_Ki: 1\npid_Kd: 114\nmin_temp: 0\nmax_temp: 300\n"

static const char config[] =
    "[mcu]\nserial: /dev/ttyACM0\n"
    "[stepper_x]\n" MOTOR("A", "40") "endstop_pin: ^PE0\nposition_endstop: 0\nposition_max: 200\nhoming_speed: 50\n"
    "[stepper_y]\n" MOTOR("B", "40") "endstop_pin: ^PE1\nposition_endstop: 0\nposition_max: 200\nhoming_speed: 50\n"
    "[stepper_z]\n" MOTOR("C", "8") "endstop_pin: ^PE2\nposition_endstop: 0\nposition_max: 200\nhoming_speed: 10\n"
    "[stepper_z1]\n" MOTOR("G", "8") "endstop_pin: ^PE3\n"
    "[extruder]\n" MOTOR("D", "22.7") HEAT("PB3", "PC4") "min_extrude_temp: 0\npressure_advance: 0.05\n"
    "[extruder1]\n" MOTOR("F", "22.7") HEAT("PB4", "PC5") "min_extrude_temp: 0\n"
    "[extruder_stepper helper]\nextruder: extruder\n" MOTOR("H", "22.7")
    "[gcode_arcs]\nresolution: 0.5\n"
    "[force_move]\nenable_force_move: True\n"
    "[printer]\nkinematics: cartesian\nmax_velocity: 300\nmax_accel: 3000\n";

static int setup(void **state)
{
    struct rig_options options = {.config_text = config, .seed = 3};
    struct rig *rig = rig_create(&options);
    *state = rig;
    return rig_wait_ready(rig) ? 0 : 1;
}

static int teardown(void **state)
{
    rig_destroy(*state);
    return 0;
}

static void expect_ok(struct rig *rig, const char *script)
{
    enum err e = rig_script(rig, script, 300.0);
    if (e)
        printf("%s: %s\n", script, rig_error(rig));
    assert_int_equal(e, OK);
}

static void expect_error(struct rig *rig, const char *script, const char *text)
{
    enum err e = rig_script(rig, script, 300.0);
    if (!e || strncmp(rig_error(rig), text, strlen(text)) != 0)
        printf("%s: %s\n", script, rig_error(rig));
    assert_int_not_equal(e, OK);
    assert_int_equal(strncmp(rig_error(rig), text, strlen(text)), 0);
}

static void expect_console(struct rig *rig, const char *script, const char *text)
{
    rig_clear_console(rig);
    expect_ok(rig, script);
    if (!strstr(rig_console(rig), text))
        printf("%s: %s\n", script, rig_console(rig));
    assert_non_null(strstr(rig_console(rig), text));
}

static double motor_mm(struct rig *rig, const char *name)
{
    size_t index = plant_find_motor(rig_plant(rig), name);
    assert_true(index != SIZE_MAX);
    return plant_motor_mm(rig_plant(rig), index);
}

static void expect_moved(struct rig *rig, const char *name, const char *script, double by_mm)
{
    expect_ok(rig, "M400");
    double before = motor_mm(rig, name);
    expect_ok(rig, script);
    expect_ok(rig, "M400");
    double moved = motor_mm(rig, name) - before;
    if (fabs(moved - by_mm) > 0.02)
        printf("%s moved by %.4f mm, not %.4f\n", name, moved, by_mm);
    assert_true(fabs(moved - by_mm) <= 0.02);
}

static void extruders(void **state)
{
    struct rig *rig = *state;
    expect_ok(rig, "M83");
    expect_moved(rig, "extruder", "G1 E10 F300", 10.0);
    expect_moved(rig, "extruder_stepper helper", "G1 E-3", -3.0);
    expect_moved(rig, "extruder1", "G1 E5", 0.0);
    expect_console(rig, "ACTIVATE_EXTRUDER EXTRUDER=extruder", "// Extruder extruder already active");
    expect_console(rig, "ACTIVATE_EXTRUDER EXTRUDER=extruder1", "// Activating extruder extruder1");
    assert_string_equal(rig_status(rig, "toolhead", "extruder"), "\"extruder1\"");
    expect_moved(rig, "extruder1", "G1 E5", 5.0);
    expect_moved(rig, "extruder", "G1 E5", 0.0);
    expect_error(rig, "ACTIVATE_EXTRUDER EXTRUDER=extruder2", "The value 'extruder2' is not valid for EXTRUDER");
    expect_error(rig, "ACTIVATE_EXTRUDER", "Error on 'ACTIVATE_EXTRUDER': missing EXTRUDER");
    /* Absolute E of the new extruder begins at zero. */
    expect_moved(rig, "extruder", "ACTIVATE_EXTRUDER EXTRUDER=extruder\nM82\nG1 E2\nG1 E3", 3.0);
}

static void bindings(void **state)
{
    struct rig *rig = *state;
    expect_ok(rig, "M83");
    expect_console(rig, "SYNC_EXTRUDER_MOTION EXTRUDER=helper MOTION_QUEUE=", "// Extruder 'helper' not syncing");
    expect_moved(rig, "extruder_stepper helper", "G1 E5 F300", 0.0);
    expect_console(rig, "SYNC_EXTRUDER_MOTION EXTRUDER=extruder1 MOTION_QUEUE=extruder",
                   "// Extruder 'extruder1' now syncing with 'extruder'");
    assert_string_equal(rig_status(rig, "extruder1", "motion_queue"), "\"extruder\"");
    expect_moved(rig, "extruder1", "G1 E5", 5.0);
    expect_error(rig, "SYNC_EXTRUDER_MOTION EXTRUDER=helper MOTION_QUEUE=nobody", "'nobody' is not a valid extruder.");
    expect_console(rig, "SET_EXTRUDER_ROTATION_DISTANCE EXTRUDER=extruder1",
                   "// Extruder 'extruder1' rotation distance set to 22.700000");
    expect_console(rig, "SET_EXTRUDER_ROTATION_DISTANCE EXTRUDER=extruder1 DISTANCE=11.35",
                   "// Extruder 'extruder1' rotation distance set to 11.350000");
    expect_moved(rig, "extruder1", "G1 E5", 10.0); /* twice the steps, in the plant's old millimetres */
    expect_ok(rig, "SET_EXTRUDER_ROTATION_DISTANCE EXTRUDER=extruder1 DISTANCE=-22.7");
    expect_moved(rig, "extruder1", "G1 E5", -5.0);
    expect_error(rig, "SET_EXTRUDER_ROTATION_DISTANCE EXTRUDER=extruder1 DISTANCE=0", "Rotation distance can not be zero");
}

static void pressure_advance(void **state)
{
    struct rig *rig = *state;
    assert_true(rig_status_number(rig, "extruder", "pressure_advance") == 0.05);
    expect_console(rig, "SET_PRESSURE_ADVANCE ADVANCE=0.025",
                   "// pressure_advance: 0.025000\n// pressure_advance_smooth_time: 0.040000");
    expect_console(rig, "SET_PRESSURE_ADVANCE EXTRUDER=extruder1 SMOOTH_TIME=0.02",
                   "// pressure_advance: 0.000000\n// pressure_advance_smooth_time: 0.020000");
    expect_error(rig, "SET_PRESSURE_ADVANCE ADVANCE=-1",
                 "Error on 'SET_PRESSURE_ADVANCE ADVANCE=-1': ADVANCE must have minimum of 0.0");
    expect_error(rig, "SET_PRESSURE_ADVANCE SMOOTH_TIME=0.3",
                 "Error on 'SET_PRESSURE_ADVANCE SMOOTH_TIME=0.3': SMOOTH_TIME must have maximum of 0.2");
    expect_ok(rig, "M83");
    expect_moved(rig, "extruder", "SET_KINEMATIC_POSITION X=10 Y=10 Z=5\nG1 X60 E3 F3000\nG1 X10 E3", 6.0);
}

static void extrusion_limits(void **state)
{
    struct rig *rig = *state;
    expect_ok(rig, "M83\nSET_KINEMATIC_POSITION X=10 Y=10 Z=5");
    expect_error(rig, "G1 E51", "Extrude only move too long (51.000mm vs 50.000mm)\n");
    expect_error(rig, "G1 E-50.5", "Extrude only move too long (-50.500mm vs 50.000mm)\n");
    expect_error(rig, "G1 X11 E5", "Move exceeds maximum extrusion (12.026mm^2 vs 0.640mm^2)\n");
    expect_ok(rig, "G1 X30 E0.6");
}

static void limits_and_dwell(void **state)
{
    struct rig *rig = *state;
    expect_console(rig, "SET_VELOCITY_LIMIT",
                   "// max_velocity: 300.000000\n// max_accel: 3000.000000\n// minimum_cruise_ratio: 0.500000\n"
                   "// square_corner_velocity: 5.000000");
    expect_ok(rig, "SET_VELOCITY_LIMIT ACCEL=1000 SQUARE_CORNER_VELOCITY=3\nM204 S500");
    assert_true(rig_status_number(rig, "toolhead", "max_accel") == 500.0);
    expect_ok(rig, "M204 P900 T700");
    assert_true(rig_status_number(rig, "toolhead", "max_accel") == 700.0);
    assert_true(rig_status_number(rig, "toolhead", "square_corner_velocity") == 3.0);
    expect_console(rig, "M204 P900", "// Invalid M204 command \"M204 P900\"");
    expect_error(rig, "M204 S0", "Error on 'M204 S0': S must be above 0.0");
    expect_error(rig, "SET_VELOCITY_LIMIT MINIMUM_CRUISE_RATIO=1",
                 "Error on 'SET_VELOCITY_LIMIT MINIMUM_CRUISE_RATIO=1': MINIMUM_CRUISE_RATIO must be below 1.0");
    expect_error(rig, "G4 P-1", "Error on 'G4 P-1': P must have minimum of 0.0");
    expect_error(rig, "G4 P1000000000000", "Dwell");
    double before_s = rig_now_s(rig);
    expect_ok(rig, "G4 P2000\nM400");
    assert_true(rig_now_s(rig) - before_s >= 2.0 && rig_now_s(rig) - before_s < 3.0);
    /* 100 mm at 10 mm/s take ten seconds. */
    expect_ok(rig, "SET_KINEMATIC_POSITION X=10 Y=10 Z=5");
    before_s = rig_now_s(rig);
    expect_ok(rig, "G1 X110 F600\nM400");
    assert_true(fabs(rig_now_s(rig) - before_s - 10.0) < 1.0);
}

static void motors(void **state)
{
    struct rig *rig = *state;
    size_t x = plant_find_motor(rig_plant(rig), "stepper_x"), y = plant_find_motor(rig_plant(rig), "stepper_y");
    assert_false(plant_motor_is_enabled(rig_plant(rig), x));
    expect_ok(rig, "SET_KINEMATIC_POSITION X=10 Y=10 Z=5\nG1 X20 F6000\nM400");
    assert_true(plant_motor_is_enabled(rig_plant(rig), x));
    assert_false(plant_motor_is_enabled(rig_plant(rig), y));
    rig_run(rig, 0.3);
    assert_non_null(strstr(rig_status(rig, "stepper_enable", "steppers"), "\"stepper_x\": true, \"stepper_y\": false"));
    expect_ok(rig, "SET_STEPPER_ENABLE STEPPER=stepper_y ENABLE=1\nM400");
    rig_run(rig, 0.5);
    assert_true(plant_motor_is_enabled(rig_plant(rig), y));
    expect_console(rig, "SET_STEPPER_ENABLE STEPPER=stepper_q ENABLE=1",
                   "// SET_STEPPER_ENABLE: Invalid stepper \"stepper_q\"");
    /* In order with the moves: x is still on while it moves. */
    double before_mm = motor_mm(rig, "stepper_x");
    expect_ok(rig, "G1 X120 F3000\nM84");
    rig_run(rig, 5.0);
    assert_true(fabs(motor_mm(rig, "stepper_x") - before_mm - 100.0) < 0.02);
    assert_false(plant_motor_is_enabled(rig_plant(rig), x));
    assert_false(plant_motor_is_enabled(rig_plant(rig), y));
    assert_string_equal(rig_status(rig, "toolhead", "homed_axes"), "\"\"");
}

/* A circle of arcs in each plane ends where it began, and the plant's path stays on it. */
static void arcs(void **state)
{
    struct rig *rig = *state;
    expect_ok(rig, "SET_KINEMATIC_POSITION X=50 Y=50 Z=50\nG1 F3000");
    expect_moved(rig, "stepper_x", "G17\nG3 X40 Y60 I-10 J0", -10.0);
    expect_moved(rig, "stepper_y", "G2 X40 Y60 I5 J5", 0.0);
    expect_moved(rig, "stepper_z", "G18\nG2 X40 Z54 I0 K2", 4.0);
    expect_moved(rig, "stepper_y", "G19\nG3 Y64 Z54 J2 K0", 4.0);
    expect_error(rig, "G2 X40", "G2/G3 requires IJ, IK or JK parameters");
    expect_error(rig, "G17\nG2 X40 R5", "G2/G3 does not support R moves");
    expect_error(rig, "G91\nG2 X40 I5", "G2/G3 does not support relative move mode");
    expect_ok(rig, "G90");
    expect_error(rig, "G2 X190 Y190 I-100", "Move out of range");
}

static void several_endstops(void **state)
{
    struct rig *rig = *state;
    /* z and z1 stand 3 mm apart; each stops at its own switch. */
    plant_push_motor(rig_plant(rig), plant_find_motor(rig_plant(rig), "stepper_z"), 13.0);
    plant_push_motor(rig_plant(rig), plant_find_motor(rig_plant(rig), "stepper_z1"), 10.0);
    expect_ok(rig, "G28\nM400");
    assert_true(fabs(motor_mm(rig, "stepper_z")) < 0.05);
    assert_true(fabs(motor_mm(rig, "stepper_z1")) < 0.05);
    rig_clear_console(rig);
    expect_ok(rig, "QUERY_ENDSTOPS");
    assert_non_null(strstr(rig_console(rig), "x:TRIGGERED y:TRIGGERED z:TRIGGERED z1:TRIGGERED"));
}

static void cancel_running(void *ctx)
{
    gcode_cancel_running(rig_printer(ctx)->gcode);
}

static void cancelled_homing_stops(void **state)
{
    struct rig *rig = *state;
    plant_push_motor(rig_plant(rig), plant_find_motor(rig_plant(rig), "stepper_x"), 150.0);
    rig_begin_script(rig, "G28");
    rig_run(rig, 1.5);
    double before_mm = motor_mm(rig, "stepper_x");
    cancel_running(rig);
    rig_run(rig, 1.0);
    assert_true(fabs(motor_mm(rig, "stepper_x") - before_mm) < 30.0); /* 50 mm/s, a few tenths of a second */
    assert_false(gcode_is_busy(rig_printer(rig)->gcode));
    assert_string_equal(rig_status(rig, "toolhead", "homed_axes"), "\"\"");
    rig_run(rig, 1.0);
    assert_false(plant_motor_is_enabled(rig_plant(rig), plant_find_motor(rig_plant(rig), "stepper_x")));
    expect_ok(rig, "G28");
    assert_string_equal(rig_status(rig, "toolhead", "homed_axes"), "\"xyz\"");
}

static void motion_report_follows(void **state)
{
    struct rig *rig = *state;
    expect_ok(rig, "SET_KINEMATIC_POSITION X=10 Y=10 Z=5\nM400");
    rig_begin_script(rig, "G1 X110 Y10 F3000\nM400");
    rig_run(rig, 1.5);
    double velocity = rig_status_number(rig, "motion_report", "live_velocity");
    assert_true(fabs(velocity - 50.0) < 0.5);
    rig_run(rig, 3.0);
    assert_true(rig_status_number(rig, "motion_report", "live_velocity") == 0.0);
    assert_string_equal(rig_status(rig, "motion_report", "live_position"), "[110.0, 10.0, 5.0, 0.0]");
    assert_string_equal(rig_status(rig, "motion_report", "trapq"), "[\"extruder\", \"extruder1\", \"toolhead\"]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(extruders, setup, teardown),
        cmocka_unit_test_setup_teardown(bindings, setup, teardown),
        cmocka_unit_test_setup_teardown(pressure_advance, setup, teardown),
        cmocka_unit_test_setup_teardown(extrusion_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_and_dwell, setup, teardown),
        cmocka_unit_test_setup_teardown(motors, setup, teardown),
        cmocka_unit_test_setup_teardown(arcs, setup, teardown),
        cmocka_unit_test_setup_teardown(several_endstops, setup, teardown),
        cmocka_unit_test_setup_teardown(cancelled_homing_stops, setup, teardown),
        cmocka_unit_test_setup_teardown(motion_report_follows, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
