/* Homing and moving on simulated boards: G28 for cartesian, corexy and delta from anywhere, with sound and failing
 * endstops; limits; positions as the motors, the plant and G-code see them. */
#include "firmware/plant/plant.h"
#include "tests/sim/harness.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define STEPPER(name, pins, endstop, distance)                                                                       \
    "[" name "]\nstep_pin: P" pins "0\ndir_pin: P" pins "1\nenable_pin: !P" pins "2\nmicrosteps: 16\n"               \
    "rotation_distance: " distance "\nendstop_pin: ^PE" endstop "\n"

#define EXTRUDER                                                                                                      \
    "[extruder]\nstep_pin: PD0\ndir_pin: PD1\nenable_pin: !PD2\nmicrosteps: 16\nrotation_distance: 22.7\n"            \
    "nozzle_diameter: 0.4\nfilament_diameter: 1.75\nheater_pin: PB3\nsensor_type: EPCOS 100K B57560G104F\n"          \
    "sensor_pin: PC4\ncontrol: pid\npid_Kp: 22\npid_Ki: 1\npid_Kd: 114\nmin_temp: 0\nmax_temp: 300\n"

static const char linear_config[] =
    "[mcu]\nserial: /dev/ttyACM0\n"
    STEPPER("stepper_x", "A", "0", "40")
    "position_endstop: 0\nposition_max: 200\nhoming_speed: 50\n"
    STEPPER("stepper_y", "B", "1", "40")
    "position_endstop: 210\nposition_min: -5\nposition_max: 210\nhoming_speed: 40\nhoming_retract_dist: 3\n"
    STEPPER("stepper_z", "C", "2", "8")
    "position_endstop: 0.5\nposition_min: -2\nposition_max: 180\nhoming_speed: 10\nsecond_homing_speed: 3\n"
    "[force_move]\nenable_force_move: True\n"
    EXTRUDER
    "[printer]\nmax_velocity: 300\nmax_accel: 3000\nmax_z_velocity: 15\nmax_z_accel: 100\nkinematics: ";

static const char delta_config[] =
    "[mcu]\nserial: /dev/ttyACM0\n"
    STEPPER("stepper_a", "A", "0", "40")
    "position_endstop: 250\narm_length: 270\nhoming_speed: 50\n"
    STEPPER("stepper_b", "B", "1", "40")
    STEPPER("stepper_c", "C", "2", "40")
    EXTRUDER
    "[printer]\nkinematics: delta\ndelta_radius: 130\nmax_velocity: 300\nmax_accel: 3000\nmax_z_velocity: 150\n";

static struct rig *start(const char *config, const char *kinematics)
{
    char text[8192];
    snprintf(text, sizeof text, "%s%s\n", config, kinematics);
    struct rig_options options = {.config_text = text, .seed = 7};
    struct rig *rig = rig_create(&options);
    assert_true(rig_wait_ready(rig));
    return rig;
}

static void expect_ok(struct rig *rig, const char *script)
{
    enum err e = rig_script(rig, script, 120.0);
    if (e)
        printf("%s: %s\n", script, rig_error(rig));
    assert_int_equal(e, OK);
}

static void expect_error(struct rig *rig, const char *script, const char *text)
{
    assert_int_not_equal(rig_script(rig, script, 120.0), OK);
    if (strncmp(rig_error(rig), text, strlen(text)) != 0)
        printf("%s: %s\n", script, rig_error(rig));
    assert_int_equal(strncmp(rig_error(rig), text, strlen(text)), 0);
}

/* Where the plant says the nozzle is, against where G-code believes it to be. */
static void expect_at(struct rig *rig, double x, double y, double z, double tolerance_mm)
{
    double xyz[3];
    expect_ok(rig, "M400");
    assert_true(plant_toolhead_mm(rig_plant(rig), xyz));
    bool is_there = fabs(xyz[0] - x) <= tolerance_mm && fabs(xyz[1] - y) <= tolerance_mm && fabs(xyz[2] - z) <= tolerance_mm;
    if (!is_there)
        printf("at %.4f %.4f %.4f, not %.4f %.4f %.4f\n", xyz[0], xyz[1], xyz[2], x, y, z);
    assert_true(is_there);
}

static void homes(const char *kinematics)
{
    struct rig *rig = start(linear_config, kinematics);
    assert_string_equal(rig_status(rig, "toolhead", "homed_axes"), "\"\"");
    expect_error(rig, "G1 X10", "Must home axis first");
    expect_ok(rig, "G28 X");
    assert_string_equal(rig_status(rig, "toolhead", "homed_axes"), "\"x\"");
    expect_error(rig, "G1 Y10", "Must home axis first");
    expect_ok(rig, "G28");
    assert_string_equal(rig_status(rig, "toolhead", "homed_axes"), "\"xyz\"");
    /* The endstops trigger where the plant says; the position is right to a fraction of a step's time at homing speed. */
    expect_at(rig, 0.0, 210.0, 0.5, 0.05);
    expect_ok(rig, "G1 X100 Y100 Z20 F6000\nG1 X20 Y30 Z5");
    expect_at(rig, 20.0, 30.0, 5.0, 0.05);
    /* Once more, from inside: the same place. */
    expect_ok(rig, "G28 X Y\nG28 Z");
    expect_at(rig, 0.0, 210.0, 0.5, 0.05);
    expect_ok(rig, "M84");
    assert_string_equal(rig_status(rig, "toolhead", "homed_axes"), "\"\"");
    expect_error(rig, "G1 X10", "Must home axis first");
    rig_destroy(rig);
}

static void cartesian_homes(void **state)
{
    (void)state;
    homes("cartesian");
}

static void corexy_homes(void **state)
{
    (void)state;
    homes("corexy");
}

static void corexz_homes(void **state)
{
    (void)state;
    homes("corexz");
}

static void hybrid_corexy_homes(void **state)
{
    (void)state;
    homes("hybrid_corexy");
}

static void hybrid_corexz_homes(void **state)
{
    (void)state;
    homes("hybrid_corexz");
}

/* No axes: nothing to home, nothing moves, and what else there is works. */
static void none_has_no_axes(void **state)
{
    (void)state;
    static const char config[] = "[mcu]\nserial: /dev/ttyACM0\n[manual_stepper m]\nstep_pin: PA0\ndir_pin: PA1\nmicrosteps: 16\n"
                                 "rotation_distance: 40\n[printer]\nmax_velocity: 300\nmax_accel: 3000\nkinematics: ";
    struct rig *rig = start(config, "none");
    expect_ok(rig, "G28\nG1 X10 F6000\nM400");
    assert_string_equal(rig_status(rig, "toolhead", "homed_axes"), "\"\"");
    assert_string_equal(rig_status(rig, "toolhead", "axis_maximum"), "[0.0, 0.0, 0.0, 0]");
    expect_ok(rig, "MANUAL_STEPPER STEPPER=m MOVE=5\nM400");
    assert_true(rig_status_number(rig, "manual_stepper m", "position") == 5.0);
    rig_destroy(rig);
}

static void delta_homes(void **state)
{
    (void)state;
    struct rig *rig = start(delta_config, "");
    expect_ok(rig, "G28");
    expect_at(rig, 0.0, 0.0, 250.0, 0.1);
    expect_ok(rig, "G1 X30 Y-20 Z50 F6000");
    expect_at(rig, 30.0, -20.0, 50.0, 0.1);
    expect_ok(rig, "G28");
    expect_at(rig, 0.0, 0.0, 250.0, 0.1);
    rig_destroy(rig);
}

static void endstop_that_never_triggers(const char *kinematics)
{
    struct rig *rig = start(linear_config, kinematics);
    size_t x = plant_find_endstop(rig_plant(rig), "stepper_x");
    assert_true(x != SIZE_MAX);
    expect_ok(rig, "G28 Y");
    plant_fault_endstop(rig_plant(rig), x, PLANT_ENDSTOP_STUCK_OPEN);
    rig_clear_console(rig);
    expect_error(rig, "G28 X", "No trigger on x after full movement");
    assert_non_null(strstr(rig_console(rig), "!! No trigger on x after full movement"));
    /* Motors are off and nothing counts as homed: nobody knows where things are. */
    assert_string_equal(rig_status(rig, "toolhead", "homed_axes"), "\"\"");
    rig_run(rig, 1.0);
    assert_non_null(strstr(rig_status(rig, "stepper_enable", "steppers"), "\"stepper_x\": false"));
    assert_non_null(strstr(rig_status(rig, "stepper_enable", "steppers"), "\"stepper_y\": false"));
    plant_fault_endstop(rig_plant(rig), x, PLANT_ENDSTOP_OK);
    /* No wall has stopped the carriage: pull it back onto the axis by hand. */
    plant_push_motor(rig_plant(rig), plant_find_motor(rig_plant(rig), "stepper_x"), 310.0);
    if (strcmp(kinematics, "corexy") == 0)
        plant_push_motor(rig_plant(rig), plant_find_motor(rig_plant(rig), "stepper_y"), 310.0);
    expect_ok(rig, "G28");
    expect_at(rig, 0.0, 210.0, 0.5, 0.05);
    rig_destroy(rig);
}

static void dead_endstop(void **state)
{
    (void)state;
    endstop_that_never_triggers("cartesian");
    endstop_that_never_triggers("corexy");
}

static void stuck_endstop(void **state)
{
    (void)state;
    struct rig *rig = start(linear_config, "corexy");
    size_t y = plant_find_endstop(rig_plant(rig), "stepper_y");
    plant_fault_endstop(rig_plant(rig), y, PLANT_ENDSTOP_STUCK_TRIGGERED);
    expect_error(rig, "G28 Y", "Endstop y still triggered after retract");
    assert_string_equal(rig_status(rig, "toolhead", "homed_axes"), "\"\"");
    plant_fault_endstop(rig_plant(rig), y, PLANT_ENDSTOP_OK);
    expect_ok(rig, "G28");
    rig_destroy(rig);
}

static void limits(void **state)
{
    (void)state;
    struct rig *rig = start(linear_config, "cartesian");
    expect_ok(rig, "G28");
    expect_error(rig, "G1 X201", "Move out of range: 201.000 210.000 0.500 [0.000]");
    expect_error(rig, "G1 Y-6", "Move out of range");
    expect_error(rig, "G1 E5", "Extrude below minimum temp\nSee the 'min_extrude_temp' config option for details");
    expect_ok(rig, "G1 X200 Y-5 Z20 F12000");
    expect_at(rig, 200.0, -5.0, 20.0, 0.05);
    /* The error has not moved G-code's position. */
    expect_ok(rig, "G91\nG1 X-10\nG90");
    expect_at(rig, 190.0, -5.0, 20.0, 0.05);
    rig_clear_console(rig);
    expect_ok(rig, "M114");
    assert_non_null(strstr(rig_console(rig), "X:190.000 Y:-5.000 Z:20.000 E:0.000"));
    rig_destroy(rig);
}

static void positions_agree(void **state)
{
    (void)state;
    struct rig *rig = start(linear_config, "corexy");
    expect_ok(rig, "G28\nG1 X50 Y60 Z7 F9000\nSET_GCODE_OFFSET Z=1\nM400");
    rig_clear_console(rig);
    expect_ok(rig, "GET_POSITION");
    const char *text = rig_console(rig);
    double x, y, z;
    const char *kinematic = strstr(text, "// kinematic: ");
    assert_non_null(kinematic);
    assert_int_equal(sscanf(kinematic, "// kinematic: X:%lf Y:%lf Z:%lf", &x, &y, &z), 3);
    assert_true(fabs(x - 50.0) < 0.02 && fabs(y - 60.0) < 0.02 && fabs(z - 7.0) < 0.01);
    assert_non_null(strstr(text, "// toolhead: X:50.000000 Y:60.000000 Z:7.000000 E:0.000000"));
    assert_non_null(strstr(text, "// gcode base: X:0.000000 Y:0.000000 Z:1.000000 E:0.000000"));
    assert_non_null(strstr(text, "// gcode homing: X:0.000000 Y:0.000000 Z:1.000000"));
    assert_non_null(strstr(text, "// mcu: stepper_x:"));
    rig_destroy(rig);
}

static void declared_positions(void **state)
{
    (void)state;
    struct rig *rig = start(linear_config, "cartesian");
    expect_ok(rig, "SET_KINEMATIC_POSITION X=10 Y=20 Z=30");
    assert_string_equal(rig_status(rig, "toolhead", "homed_axes"), "\"xyz\"");
    expect_ok(rig, "SET_KINEMATIC_POSITION X=15 CLEAR_HOMED=Z");
    assert_string_equal(rig_status(rig, "toolhead", "homed_axes"), "\"xy\"");
    assert_string_equal(rig_status(rig, "toolhead", "position"), "[15.0, 20.0, 30.0, 0.0]");
    expect_ok(rig, "FORCE_MOVE STEPPER=stepper_x DISTANCE=5 VELOCITY=10");
    expect_error(rig, "FORCE_MOVE STEPPER=nothing DISTANCE=5 VELOCITY=10", "Unknown stepper nothing");
    expect_ok(rig, "STEPPER_BUZZ STEPPER=stepper_z");
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cartesian_homes),  cmocka_unit_test(corexy_homes),       cmocka_unit_test(corexz_homes),
        cmocka_unit_test(hybrid_corexy_homes), cmocka_unit_test(delta_homes),     cmocka_unit_test(dead_endstop),
        cmocka_unit_test(stuck_endstop),    cmocka_unit_test(limits),             cmocka_unit_test(positions_agree),
        cmocka_unit_test(declared_positions), cmocka_unit_test(hybrid_corexz_homes), cmocka_unit_test(none_has_no_axes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
