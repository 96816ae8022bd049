/* Probing with a delta: a round mesh is the bed's shape, and the geometry of a machine that was put together badly is found. */
#include "tests/sim/probe_rig.h"

#define TOWER(name, pins, endstop)                                                                                     \
    "[" name "]\nstep_pin: P" pins "0\ndir_pin: P" pins "1\nenable_pin: !P" pins "2\nmicrosteps: 128\n"                \
    "rotation_distance: 40\nendstop_pin: ^" endstop "\n"
#define DELTA                                                                                                          \
    "[mcu]\nserial: /dev/ttyACM0\n[printer]\nkinematics: delta\ndelta_radius: 130\nmax_velocity: 200\n"               \
    "max_accel: 2000\nmax_z_velocity: 100\nminimum_z_position: -5\n"                                                  \
    TOWER("stepper_a", "A", "PE0") "position_endstop: 200\narm_length: 270\nhoming_speed: 40\n"                        \
    TOWER("stepper_b", "B", "PE1") TOWER("stepper_c", "C", "PE2")                                                      \
    "[probe]\npin: PE3\nz_offset: 1.2\nspeed: 4\n"

#define PLACE_ERROR_MM 0.01 /* of a probed height: the steps of a carriage near the edge lift the nozzle by more than one */

static double small_bowl_mm(void *ctx, double x, double y)
{
    (void)ctx;
    return 1e-5 * (x * x + y * y) + 0.001 * x;
}

static void test_round_mesh(void **state)
{
    (void)state;
    struct rig *rig = job_rig_start(DELTA "[bed_mesh]\nmesh_radius: 80\nround_probe_count: 5\nspeed: 150\n");
    plant_set_bed_shape(rig_plant(rig), small_bowl_mm, NULL);
    script(rig, "G28\nG1 Z20 F6000\nBED_MESH_CALIBRATE");
    double z[25];
    assert_int_equal(numbers(rig_status(rig, "bed_mesh", "probed_matrix"), z, 25), 25);
    expect_close(z[12], 0, PLACE_ERROR_MM);
    for (int y = 0; y < 5; y++)
        for (int x = 0; x < 5; x++)
            if (hypot(40 * (x - 2), 40 * (y - 2)) <= 80)
                expect_close(z[5 * y + x], small_bowl_mm(NULL, 40 * (x - 2), 40 * (y - 2)), PLACE_ERROR_MM);
    script(rig, "G1 X35 Y-20 Z0.3 F6000");
    expect_close(clearance(rig), 0.3, 0.02);
    rig_destroy(rig);
}

static double pending(struct rig *rig, const char *section, const char *option)
{
    char key[64];
    rig_run(rig, 0.5);
    const char *text = rig_status(rig, "configfile", "save_config_pending_items");
    (void)snprintf(key, sizeof key, "\"%s\": {", section);
    const char *found = strstr(text, key);
    (void)snprintf(key, sizeof key, "\"%s\": \"", option);
    found = found ? strstr(found, key) : NULL;
    if (!found)
        fail_msg("no %s of %s in %s", option, section, text);
    return strtod(found + strlen(key), NULL);
}

/* Carriages that sit higher than their endstops say. */
static void test_calibrate(void **state)
{
    (void)state;
    struct rig *rig = job_rig_start(DELTA "[delta_calibrate]\nradius: 90\nspeed: 150\nhorizontal_move_z: 8\n");
    script(rig, "G28\nG1 Z20 F6000\nM400");
    plant_push_motor(rig_plant(rig), plant_find_motor(rig_plant(rig), "stepper_a"), 0.5);
    plant_push_motor(rig_plant(rig), plant_find_motor(rig_plant(rig), "stepper_b"), -0.3);
    script(rig, "DELTA_CALIBRATE");
    expect_close(pending(rig, "stepper_a", "position_endstop"), 200.5, 0.05);
    expect_close(pending(rig, "stepper_b", "position_endstop"), 199.7, 0.05);
    expect_close(pending(rig, "stepper_c", "position_endstop"), 200.0, 0.05);
    expect_close(pending(rig, "printer", "delta_radius"), 130, 0.2);
    expect_close(pending(rig, "stepper_a", "angle"), 210, 0.1);
    expect_close(pending(rig, "stepper_a", "arm_length"), 270, 1e-9);
    expect_close(pending(rig, "delta_calibrate", "height6"), 0, 1e-9);
    assert_true(pending(rig, "delta_calibrate", "height0_pos") > 1000);
    assert_non_null(strstr(rig_console(rig), "// stepper_a: position_endstop: 200."));
    assert_non_null(strstr(rig_console(rig), "// The SAVE_CONFIG command will update the printer config file\n"
                                             "// with these parameters and restart the printer."));
    script(rig, "DELTA_CALIBRATE METHOD=manual\nTESTZ Z=-1\nABORT");
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_mesh), cmocka_unit_test(test_calibrate)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
