/* [manual_stepper NAME] on a simulated board: moves of its own, beside the toolhead, to an endstop, as an axis of G1; what the
 * motor has done is read from the plant. */
#include "firmware/plant/plant.h"
#include "server/job/job.h"
#include "tests/sim/job_rig.h"

#include <math.h>

#define MOTOR(pins, distance)                                                                                        \
    "step_pin: P" pins "0\ndir_pin: P" pins "1\nenable_pin: !P" pins "2\nmicrosteps: 16\nrotation_distance: " distance "\n"

static const char config[] =
    "[mcu]\nserial: /dev/ttyACM0\n"
    "[stepper_x]\n" MOTOR("A", "40") "endstop_pin: ^PE0\nposition_endstop: 0\nposition_max: 200\nhoming_speed: 50\n"
    "[stepper_y]\n" MOTOR("B", "40") "endstop_pin: ^PE1\nposition_endstop: 0\nposition_max: 200\nhoming_speed: 50\n"
    "[stepper_z]\n" MOTOR("C", "8") "endstop_pin: ^PE2\nposition_endstop: 0\nposition_max: 200\nhoming_speed: 10\n"
    "[manual_stepper gear]\n" MOTOR("D", "20") "endstop_pin: ^PE3\nvelocity: 10\naccel: 200\n"
    "position_min: -50\nposition_max: 100\n"
    "[manual_stepper selector]\n" MOTOR("F", "40") "velocity: 40\n"
    "[virtual_sdcard]\n[pause_resume]\n"
    "[force_move]\nenable_force_move: True\n"
    "[printer]\nkinematics: cartesian\nmax_velocity: 300\nmax_accel: 3000\n";

static int setup(void **state)
{
    struct rig_options options = {.config_text = config, .seed = 5};
    struct rig *rig = rig_create(&options);
    *state = rig;
    return rig_wait_ready(rig) && rig_script(rig, "SET_KINEMATIC_POSITION X=0 Y=0 Z=5", 10.0) == OK ? 0 : 1;
}

static int teardown(void **state)
{
    rig_destroy(*state);
    return 0;
}

/* M400 returns when the estimate of the boards' clock has passed the last step: a moment later it has been made. */
static void expect_ok(struct rig *rig, const char *text)
{
    enum err e = rig_script(rig, text, 300.0);
    if (e)
        printf("%s: %s\n", text, rig_error(rig));
    assert_int_equal(e, OK);
    if (strstr(text, "M400"))
        rig_run(rig, 0.02);
}

static void expect_error(struct rig *rig, const char *line, const char *text)
{
    enum err e = rig_script(rig, line, 300.0);
    if (!e || !strstr(rig_error(rig), text))
        printf("%s: %s\n", line, rig_error(rig));
    assert_int_not_equal(e, OK);
    assert_non_null(strstr(rig_error(rig), text));
}

static double motor_mm(struct rig *rig, const char *name)
{
    size_t index = plant_find_motor(rig_plant(rig), name);
    assert_true(index != SIZE_MAX);
    return plant_motor_mm(rig_plant(rig), index);
}

/* Coordinate `index` of a status field that is a list. */
static double coordinate(struct rig *rig, const char *object, const char *field, int index)
{
    const char *json = rig_status(rig, object, field);
    assert_non_null(json);
    const char *p = strchr(json, '[') + 1;
    for (; index > 0; index--) {
        p = strchr(p, ',');
        assert_non_null(p);
        p++;
    }
    return strtod(p, NULL);
}

static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        printf("%.5f is not %.5f\n", value, expected);
    assert_true(fabs(value - expected) <= tolerance);
}

static double print_time_s(struct rig *rig)
{
    return rig_status_number(rig, "toolhead", "print_time");
}

static void own_moves(void **state)
{
    struct rig *rig = *state;
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear SET_POSITION=3");
    const double start = motor_mm(rig, "manual_stepper gear");
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear MOVE=23\nM400");
    assert_near(motor_mm(rig, "manual_stepper gear") - start, 20.0, 0.01);
    assert_near(rig_status_number(rig, "manual_stepper gear", "position"), 23.0, 1e-9);
    assert_string_equal(rig_status(rig, "manual_stepper gear", "enabled"), "true");
    /* 20 mm at 40 mm/s with 400 mm/s^2: 0.1 s to speed, 2 x 2 mm, 0.4 s at speed. */
    expect_ok(rig, "M400");
    const double before = print_time_s(rig);
    expect_ok(rig, "G4 P0\nMANUAL_STEPPER STEPPER=gear MOVE=3 SPEED=40 ACCEL=400\nM400");
    rig_run(rig, 0.2);
    assert_in_range((int64_t)((print_time_s(rig) - before) * 1000), 600, 1200);
    assert_near(motor_mm(rig, "manual_stepper gear") - start, 0.0, 0.01);
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear ENABLE=0\nM400");
    assert_string_equal(rig_status(rig, "manual_stepper gear", "enabled"), "false");
    expect_error(rig, "MANUAL_STEPPER STEPPER=gear MOVE=100.5", "Move out of range");
    expect_error(rig, "MANUAL_STEPPER STEPPER=gear MOVE=-50.5", "Move out of range");
    expect_error(rig, "MANUAL_STEPPER STEPPER=gear MOVE=5 SPEED=0", "SPEED must be above 0.0");
    expect_error(rig, "MANUAL_STEPPER STEPPER=gear MOVE=nan", "unable to parse nan");
    expect_error(rig, "MANUAL_STEPPER STEPPER=nobody MOVE=1", "The value 'nobody' is not valid for STEPPER");
    expect_error(rig, "MANUAL_STEPPER STEPPER=selector MOVE=1 STOP_ON_ENDSTOP=home", "No endstop for this manual stepper");
    expect_error(rig, "MANUAL_STEPPER STEPPER=gear MOVE=1 STOP_ON_ENDSTOP=never", "STOP_ON_ENDSTOP");
}

/* SYNC=0: the toolhead's moves begin at once, and both end where they should. */
static void beside_the_toolhead(void **state)
{
    struct rig *rig = *state;
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear SET_POSITION=0\nMANUAL_STEPPER STEPPER=selector SET_POSITION=0\nM400");
    const double gear = motor_mm(rig, "manual_stepper gear"), selector = motor_mm(rig, "manual_stepper selector");
    const double x = motor_mm(rig, "stepper_x");
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear MOVE=40 SYNC=0\nMANUAL_STEPPER STEPPER=selector MOVE=80 SYNC=0\n"
                   "G1 X50 F6000");
    rig_run(rig, 2.0); /* x takes 0.5 s, the selector 2 s, the gear 4 s */
    assert_near(motor_mm(rig, "stepper_x") - x, 50.0, 0.02);
    const double gear_now = motor_mm(rig, "manual_stepper gear") - gear;
    assert_true(gear_now > 5.0 && gear_now < 39.0);
    assert_true(motor_mm(rig, "manual_stepper selector") - selector > 10.0);
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear SYNC=1\nM400");
    assert_near(motor_mm(rig, "manual_stepper gear") - gear, 40.0, 0.01);
    assert_near(motor_mm(rig, "manual_stepper selector") - selector, 80.0, 0.02);
    expect_ok(rig, "G1 X0\nM400");
    assert_near(motor_mm(rig, "stepper_x") - x, 0.0, 0.02);
}

static void homing(void **state)
{
    struct rig *rig = *state;
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear SET_POSITION=0 SPEED=10\nM400");
    const double start = motor_mm(rig, "manual_stepper gear");
    assert_true(start > 1.0); /* the plant's switch is at 0 */
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear SET_POSITION=50 SPEED=20 MOVE=-10 STOP_ON_ENDSTOP=probe\nM400");
    assert_near(motor_mm(rig, "manual_stepper gear"), 0.0, 0.15);
    assert_near(rig_status_number(rig, "manual_stepper gear", "position"), 50.0 - start, 0.15);
    /* Away until it opens; then home: the trigger's position is said to be 7. */
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear SET_POSITION=0 SPEED=5 MOVE=9 STOP_ON_ENDSTOP=inverted_probe\nM400");
    assert_near(motor_mm(rig, "manual_stepper gear"), 0.0, 0.3);
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear MOVE=6\nMANUAL_STEPPER STEPPER=gear SET_POSITION=60 MOVE=7 SPEED=5 "
                   "STOP_ON_ENDSTOP=1\nM400");
    assert_near(rig_status_number(rig, "manual_stepper gear", "position"), 7.0 + motor_mm(rig, "manual_stepper gear"), 0.05);
    /* Nothing is there on the way up. */
    expect_error(rig, "MANUAL_STEPPER STEPPER=gear MOVE=10 SPEED=20\nMANUAL_STEPPER STEPPER=gear MOVE=15 STOP_ON_ENDSTOP=home",
                 "No trigger on manual_stepper gear after full movement");
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear MOVE=18 STOP_ON_ENDSTOP=try_home\nM400");
    assert_near(rig_status_number(rig, "manual_stepper gear", "position"), 18.0, 0.01);
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear MOVE=20 STOP_ON_ENDSTOP=2\nM400");
    assert_near(rig_status_number(rig, "manual_stepper gear", "position"), 20.0, 0.01);
}

static void gcode_axis(void **state)
{
    struct rig *rig = *state;
    expect_ok(rig, "G1 X0 Y0 F6000\nMANUAL_STEPPER STEPPER=gear SET_POSITION=4\nMANUAL_STEPPER STEPPER=selector SET_POSITION=0");
    expect_error(rig, "MANUAL_STEPPER STEPPER=gear GCODE_AXIS=x", "Not a valid GCODE_AXIS");
    expect_error(rig, "MANUAL_STEPPER STEPPER=gear GCODE_AXIS=AB", "Not a valid GCODE_AXIS");
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear GCODE_AXIS=A LIMIT_VELOCITY=30 LIMIT_ACCEL=400");
    expect_error(rig, "MANUAL_STEPPER STEPPER=selector GCODE_AXIS=a", "Axis 'A' already registered");
    expect_error(rig, "MANUAL_STEPPER STEPPER=gear GCODE_AXIS=B", "Must unregister axis first");
    expect_error(rig, "MANUAL_STEPPER STEPPER=gear MOVE=5", "Must unregister from gcode axis first");
    expect_ok(rig, "MANUAL_STEPPER STEPPER=selector GCODE_AXIS=B");
    assert_string_equal(rig_status(rig, "toolhead", "extra_axes"), "{\"manual_stepper gear\": 4, \"manual_stepper selector\": 5}");
    assert_non_null(strstr(rig_status(rig, "gcode_move", "axis_map"), "\"A\": 4, \"B\": 5"));
    assert_near(coordinate(rig, "toolhead", "position", 4), 4.0, 1e-9);

    expect_ok(rig, "M400");
    const double gear = motor_mm(rig, "manual_stepper gear"), selector = motor_mm(rig, "manual_stepper selector");
    const double x = motor_mm(rig, "stepper_x");
    expect_ok(rig, "G1 X30 A14 B-5 F6000\nG1 X60 A24 B-10\nG1 Y10\nM400");
    assert_near(motor_mm(rig, "stepper_x") - x, 60.0, 0.02);
    assert_near(motor_mm(rig, "manual_stepper gear") - gear, 20.0, 0.01);
    assert_near(motor_mm(rig, "manual_stepper selector") - selector, -10.0, 0.02);
    assert_near(coordinate(rig, "gcode_move", "gcode_position", 4), 24.0, 1e-9);
    assert_near(rig_status_number(rig, "manual_stepper gear", "position"), 24.0, 1e-9);
    /* On the way both are at the same share of the move. */
    expect_ok(rig, "G92 A0\nG1 X0 A30 F6000");
    rig_run(rig, 0.8);
    const double share = (60.0 - (motor_mm(rig, "stepper_x") - x)) / 60.0;
    assert_true(share > 0.05 && share < 0.95);
    assert_near((motor_mm(rig, "manual_stepper gear") - gear - 20.0) / 30.0, share, 0.01);
    expect_ok(rig, "M400");
    assert_near(coordinate(rig, "toolhead", "position", 4), 54.0, 1e-9);
    assert_near(coordinate(rig, "gcode_move", "gcode_position", 4), 30.0, 1e-9);
    expect_error(rig, "G1 A80 F600", "Move out of range"); /* 104 in its own coordinate */

    /* Away from the moves again: its position goes along. */
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear GCODE_AXIS=");
    assert_string_equal(rig_status(rig, "toolhead", "extra_axes"), "{\"manual_stepper selector\": 4}");
    assert_near(coordinate(rig, "toolhead", "position", 4), -10.0, 1e-9);
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear MOVE=44 SPEED=30\nG1 B0 X10\nM400");
    assert_near(motor_mm(rig, "manual_stepper gear") - gear, 40.0, 0.01);
    assert_near(motor_mm(rig, "manual_stepper selector") - selector, 0.0, 0.02);
    expect_ok(rig, "MANUAL_STEPPER STEPPER=selector GCODE_AXIS=\nMANUAL_STEPPER STEPPER=selector GCODE_AXIS=");
    assert_string_equal(rig_status(rig, "toolhead", "extra_axes"), "{}");
}

/* How long a move of the axis alone takes: its own acceleration and its limit of speed count. */
static void axis_limits(void **state)
{
    struct rig *rig = *state;
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear SET_POSITION=0\nMANUAL_STEPPER STEPPER=gear GCODE_AXIS=A LIMIT_VELOCITY=10\nM400");
    rig_run(rig, 1.0);
    const double gear = motor_mm(rig, "manual_stepper gear");
    expect_ok(rig, "G1 A20 F6000");
    rig_run(rig, 1.0);
    /* 10 mm/s however fast F is: within a second of motion at most 10 mm. */
    const double done = motor_mm(rig, "manual_stepper gear") - gear;
    assert_true(done > 2.0 && done < 10.0);
    rig_run(rig, 2.0);
    assert_near(motor_mm(rig, "manual_stepper gear") - gear, 20.0, 0.01);
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear GCODE_AXIS=");
}

/* A print with an extra axis is paused in the middle of a move by a client, the axis is moved, and the print goes on: every
 * motor ends where the file says, and the axis did all of its way. */
static void pause_with_axis(void **state)
{
    struct rig *rig = *state;
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear SET_POSITION=0\nG1 X0 Y0 F6000\nM400");
    const double gear = motor_mm(rig, "manual_stepper gear"), x = motor_mm(rig, "stepper_x");
    rig_add_gcode(rig, "axis.gcode",
                  "MANUAL_STEPPER STEPPER=gear GCODE_AXIS=A\nG1 X10 A5 F600\nG1 X40 A20 F1200\nG1 X80 A40\nG1 X100 A50\nM400\n"
                  "MANUAL_STEPPER STEPPER=gear GCODE_AXIS=\nMANUAL_STEPPER STEPPER=gear MOVE=45\n");
    expect_ok(rig, "SDCARD_PRINT_FILE FILENAME=axis.gcode");
    rig_run(rig, 2.5);
    assert_true(ask(rig, job_pause) < 1.5);
    rig_run(rig, 1.0);
    const double at_x = motor_mm(rig, "stepper_x") - x, at_a = motor_mm(rig, "manual_stepper gear") - gear;
    assert_true(at_x > 5.0 && at_x < 95.0);
    assert_near(at_a, at_x / 2.0, 0.02);
    expect_error(rig, "MANUAL_STEPPER STEPPER=gear GCODE_AXIS=", "The axes can't change while the motion is paused");
    expect_ok(rig, "G91\nG1 A-3 F600\nG90\nM400");
    assert_near(motor_mm(rig, "manual_stepper gear") - gear, at_a - 3.0, 0.02);
    ask(rig, job_resume);
    wait_status(rig, "print_stats", "state", "\"complete\"", 60);
    assert_near(motor_mm(rig, "stepper_x") - x, 100.0, 0.02);
    assert_near(motor_mm(rig, "manual_stepper gear") - gear, 45.0, 0.01);
}

/* A job is cancelled while the line that makes the axis is still in the tail or behind it: what is left is consistent. */
static void cancel_before_axis(void **state)
{
    struct rig *rig = *state;
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear SET_POSITION=0\nG1 X0 Y0 F6000\nM400");
    rig_add_gcode(rig, "cancel.gcode", "G1 X60 F1200\nMANUAL_STEPPER STEPPER=gear GCODE_AXIS=A\nG1 X100 A50\nG1 X0 A0\n");
    expect_ok(rig, "SDCARD_PRINT_FILE FILENAME=cancel.gcode");
    rig_run(rig, 1.0);
    ask(rig, job_cancel);
    wait_status(rig, "print_stats", "state", "\"cancelled\"", 20);
    rig_run(rig, 3.0);
    const char *axes = rig_status(rig, "toolhead", "extra_axes");
    const bool has_axis = strstr(axes, "gear") != NULL;
    assert_int_equal(strstr(rig_status(rig, "gcode_move", "axis_map"), "\"A\": 4") != NULL, has_axis);
    expect_ok(rig, "MANUAL_STEPPER STEPPER=gear GCODE_AXIS=\nMANUAL_STEPPER STEPPER=gear MOVE=2\nG1 X5 F6000\nM400");
    assert_string_equal(rig_status(rig, "toolhead", "extra_axes"), "{}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(own_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(beside_the_toolhead, setup, teardown),
        cmocka_unit_test_setup_teardown(homing, setup, teardown),
        cmocka_unit_test_setup_teardown(gcode_axis, setup, teardown),
        cmocka_unit_test_setup_teardown(axis_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(pause_with_axis, setup, teardown),
        cmocka_unit_test_setup_teardown(cancel_before_axis, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
