/* The probe of a simulated printer with a tilted bed: homing to it, probing, a mesh of the bed and moves that follow
 * it. */
#include "firmware/plant/plant.h"
#include "tests/sim/harness.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define STEPPER(name, pins, endstop, distance)                                                                         \
    "[" name "]\nstep_pin: P" pins "0\ndir_pin: P" pins "1\nenable_pin: !P" pins "2\nmicrosteps: 16\n"                 \
    "rotation_distance: " distance "\nendstop_pin: " endstop "\n"

#define XY                                                                                                             \
    "[mcu]\nserial: /dev/ttyACM0\n" STEPPER("stepper_x", "A", "^PE0",                                                  \
                                            "40") "position_endstop: 0\nposition_max: 200\nhoming_speed: "             \
                                                  "50\n" STEPPER("stepper_y", "B", "^PE1",                             \
                                                                 "40") "position_endstop: 0\nposition_max: "           \
                                                                       "200\nhoming_speed: 50\n"
#define REST                                                                                                           \
    "[printer]\nmax_velocity: 300\nmax_accel: 3000\nmax_z_velocity: 15\nmax_z_accel: 100\nkinematics: corexy\n"        \
    "[probe]\npin: PE3\nx_offset: 20\ny_offset: -10\nz_offset: 1.5\nspeed: 5\nsample_retract_dist: 1\n"                \
    "[bed_mesh]\nmesh_min: 30, 20\nmesh_max: 150, 160\nprobe_count: 4, 3\nspeed: 200\n"                                \
    "zero_reference_position: 100, 100\n"

static const char virtual_config[] =
    XY STEPPER("stepper_z", "C", "probe:z_virtual_endstop",
               "8") "position_min: -5\nposition_max: 180\nhoming_speed: 10\nsecond_homing_speed: 3\n" REST
                    "[safe_z_home]\nhome_xy_position: 80, 110\nz_hop: 5\n";

#define TILT_X 0.002
#define TILT_Y (-0.001)

static struct rig *start(const char *config)
{
    struct rig_options options = {.config_text = config, .seed = 11};
    struct rig *rig = rig_create(&options);
    assert_true(rig_wait_ready(rig));
    plant_set_bed_tilt(rig_plant(rig), TILT_X, TILT_Y);
    return rig;
}

static void expect_ok(struct rig *rig, const char *script)
{
    enum err e = rig_script(rig, script, 600.0);
    if (e)
        printf("%s: %s\n", script, rig_error(rig));
    assert_int_equal(e, OK);
}

static void expect_error(struct rig *rig, const char *script, const char *text)
{
    assert_int_not_equal(rig_script(rig, script, 600.0), OK);
    if (strncmp(rig_error(rig), text, strlen(text)) != 0)
        printf("%s: %s\n", script, rig_error(rig));
    assert_int_equal(strncmp(rig_error(rig), text, strlen(text)), 0);
}

/* Height of the nozzle above the bed below it. */
static double clearance(struct rig *rig)
{
    double xyz[3];
    expect_ok(rig, "M400");
    assert_true(plant_toolhead_mm(rig_plant(rig), xyz));
    return xyz[2] - TILT_X * xyz[0] - TILT_Y * xyz[1];
}

static void expect_near(double value, double wanted, double tolerance)
{
    if (!(fabs(value - wanted) <= tolerance))
        printf("%.4f is not %.4f\n", value, wanted);
    assert_true(fabs(value - wanted) <= tolerance);
}

/* Homed above the zero reference: there the nozzle's height is that above the bed. */
static void home(struct rig *rig)
{
    expect_error(rig, "PROBE", "Must home before probe");
    expect_ok(rig, "G28");
    assert_string_equal(rig_status(rig, "toolhead", "homed_axes"), "\"xyz\"");
    expect_ok(rig, "G1 X100 Y100 Z3 F6000");
    expect_near(clearance(rig), 3.0, 0.02);
}

static void homes_and_probes(void **state)
{
    (void)state;
    struct rig *rig = start(virtual_config);
    home(rig);
    expect_ok(rig, "QUERY_PROBE");
    assert_non_null(strstr(rig_console(rig), "probe: open"));
    expect_ok(rig, "G1 X80 Y110 Z5\nPROBE SAMPLES=3 SAMPLES_RESULT=median");
    expect_near(rig_status_number(rig, "probe", "last_z_result"), 1.5, 0.02);
    expect_ok(rig, "QUERY_PROBE");
    assert_non_null(strstr(rig_console(rig), "probe: TRIGGERED"));
    expect_error(rig, "PROBE", "Probe triggered prior to movement");
    expect_ok(rig, "G1 Z5\nPROBE_ACCURACY SAMPLES=4");
    assert_non_null(strstr(rig_console(rig), "probe accuracy results: maximum"));
    rig_destroy(rig);
}

static void a_mesh_makes_moves_follow_the_bed(void **state)
{
    (void)state;
    struct rig *rig = start(virtual_config);
    home(rig);
    expect_ok(rig, "G1 X30 Y20 Z0.3 F6000");
    assert_true(fabs(clearance(rig) - 0.3) > 0.03);
    expect_ok(rig, "G1 Z5\nBED_MESH_CALIBRATE");
    assert_string_equal(rig_status(rig, "bed_mesh", "profile_name"), "\"default\"");
    const char *const places[] = {"X30 Y20", "X150 Y160", "X30 Y160", "X150 Y20", "X77 Y93"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char script[64];
        snprintf(script, sizeof script, "G1 %s Z0.3 F6000", places[i]);
        expect_ok(rig, script);
        expect_near(clearance(rig), 0.3, 0.03);
    }
    expect_ok(rig, "BED_MESH_MAP\nBED_MESH_OUTPUT\nBED_MESH_OUTPUT PGP=1\nBED_MESH_PROFILE SAVE=cold\nBED_MESH_CLEAR");
    assert_string_equal(rig_status(rig, "bed_mesh", "profile_name"), "\"\"");
    assert_string_equal(rig_status(rig, "bed_mesh", "probed_matrix"), "[[]]");
    assert_non_null(strstr(rig_status(rig, "configfile", "save_config_pending_items"), "\"bed_mesh cold\""));
    expect_ok(rig, "BED_MESH_PROFILE LOAD=cold\nG1 X150 Y20 Z0.3");
    expect_near(clearance(rig), 0.3, 0.03);
    expect_error(rig, "BED_MESH_PROFILE LOAD=warm", "bed_mesh: Unknown profile [warm]");
    expect_ok(rig, "BED_MESH_PROFILE REMOVE=cold");
    expect_error(rig, "BED_MESH_PROFILE LOAD=cold", "bed_mesh: Unknown profile [cold]");
    expect_error(rig, "BED_MESH_CALIBRATE HORIZONTAL_MOVE_Z=1", "horizontal_move_z can't be less than");
    expect_error(rig, "BED_MESH_CALIBRATE PROBE_COUNT=2", "Error on 'BED_MESH_CALIBRATE PROBE_COUNT=2'");
    rig_destroy(rig);
}

static void a_dead_probe_is_an_error(void **state)
{
    (void)state;
    struct rig *rig = start(virtual_config);
    home(rig);
    size_t probe = plant_find_endstop(rig_plant(rig), "probe");
    plant_fault_endstop(rig_plant(rig), probe, PLANT_ENDSTOP_STUCK_OPEN);
    expect_error(rig, "G1 Z5\nPROBE", "No trigger on probe after full movement");
    rig_destroy(rig);
}

/* A square of 100 mm whose angle is 90 degrees less atan(0.01): G-code's y axis leans, x and y come back as they went.
 */
static void skew_is_set_right(void **state)
{
    (void)state;
    char config[8192];
    snprintf(config, sizeof config,
             "%s[skew_correction]\n[skew_correction old]\nxy_skew: 0.02\nxz_skew: 0\nyz_skew: 0\n", virtual_config);
    struct rig *rig = start(config);
    double xyz[3];
    home(rig);
    expect_ok(rig, "SKEW_PROFILE LOAD=old\nG1 X100 Y100 Z3 F6000\nM400");
    assert_string_equal(rig_status(rig, "skew_correction", "current_profile_name"), "\"old\"");
    assert_true(plant_toolhead_mm(rig_plant(rig), xyz));
    expect_near(xyz[0], 98.0, 0.05);
    expect_near(xyz[1], 100.0, 0.05);
    expect_ok(rig, "SET_SKEW XY=142.1302,140.7125,100\nGET_CURRENT_SKEW\nG1 X100 Y100\nM400");
    assert_true(plant_toolhead_mm(rig_plant(rig), xyz));
    expect_near(xyz[0], 99.0, 0.05);
    expect_ok(rig, "SKEW_PROFILE SAVE=new\nSET_SKEW CLEAR=1\nG1 X100 Y100\nM400");
    assert_true(plant_toolhead_mm(rig_plant(rig), xyz));
    expect_near(xyz[0], 100.0, 0.05);
    expect_error(rig, "SET_SKEW XY=1,2", "skew_correction: improperly formatted");
    expect_error(rig, "SET_SKEW XY=1,1,100", "skew_correction: no figure");
    expect_ok(rig, "SKEW_PROFILE REMOVE=new");
    expect_error(rig, "SKEW_PROFILE LOAD=new", "skew_correction: Unknown profile");
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(homes_and_probes),
        cmocka_unit_test(a_mesh_makes_moves_follow_the_bed),
        cmocka_unit_test(a_dead_probe_is_an_error),
        cmocka_unit_test(skew_is_set_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
