/* A BLTouch on the simulated printer: its pin goes down and up when it should, and what it reports is checked. */
#include "tests/sim/probe_rig.h"

#include "server/machine/printer.h"

#define BLTOUCH                                                                                                        \
    "[bltouch]\nsensor_pin: ^PE3\ncontrol_pin: PE4\nx_offset: 20\ny_offset: -10\nz_offset: 1.5\n"                      \
    "sample_retract_dist: 1\n"
#define MACHINE PROBE_XY PROBE_Z_PROBE "[safe_z_home]\nhome_xy_position: 60, 70\nz_hop: 8\n" BLTOUCH

static size_t sensor(struct rig *rig)
{
    size_t index = plant_find_endstop(rig_plant(rig), "probe");
    assert_true(index != SIZE_MAX);
    return index;
}

static void probes(const char *options)
{
    char config[8192];
    (void)snprintf(config, sizeof config, "%s%s[bed_mesh]\nspeed: 200\nmesh_min: 30, 20\nmesh_max: 150, 140\n"
                                          "zero_reference_position: 80, 60\n",
                   MACHINE, options);
    struct rig *rig = bowl_start(config);
    script(rig, "G28");
    expect_close(clearance(rig), 8 + bowl_mm(NULL, 80, 60) - bowl_mm(NULL, 60, 70), 0.02);
    script(rig, "G1 X60 Y70 Z5 F6000\nPROBE SAMPLES=3");
    /* up again: low above the bed it is quiet */
    script(rig, "G1 Z1\nQUERY_PROBE");
    rig_run(rig, 0.5);
    expect_status(rig, "bltouch", "last_query", "false");
    expect_status(rig, "probe", "last_query", "false");
    expect_status(rig, "probe", "name", "\"bltouch\"");
    expect_close(rig_status_number(rig, "probe", "last_z_result"), 1.5, 0.01);
    script(rig, "G1 Z5\nBED_MESH_CALIBRATE");
    double z[9];
    assert_int_equal(numbers(rig_status(rig, "bed_mesh", "probed_matrix"), z, 9), 9);
    for (int i = 0; i < 9; i++)
        expect_close(z[i], bowl_mm(NULL, 30 + 60 * (i % 3), 20 + 60 * (i / 3)) - bowl_mm(NULL, 90, 80), 0.2);
    expect_close(z[0] - z[8], bowl_mm(NULL, 30, 20) - bowl_mm(NULL, 150, 140), PROBE_ERROR_MM);
    rig_destroy(rig);
}

static void test_probes(void **state)
{
    (void)state;
    probes("");
    probes("[bltouch]\nstow_on_each_sample: False\nset_output_mode: OD\n");
    probes("[bltouch]\nprobe_with_touch_mode: True\npin_up_touch_mode_reports_triggered: False\n");
}

static void test_debug(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(MACHINE);
    script(rig, "G28\nG1 X60 Y70 Z10 F6000\nM400\nBLTOUCH_DEBUG COMMAND=touch_mode\nQUERY_PROBE");
    rig_run(rig, 0.5);
    expect_status(rig, "probe", "last_query", "true"); /* the pin is up */
    script(rig, "BLTOUCH_DEBUG COMMAND=pin_down\nQUERY_PROBE");
    rig_run(rig, 0.5);
    expect_status(rig, "probe", "last_query", "false");
    script(rig, "G1 Z1\nQUERY_PROBE");
    rig_run(rig, 0.5);
    expect_status(rig, "probe", "last_query", "true");
    script(rig, "BLTOUCH_DEBUG COMMAND=PIN_UP\nQUERY_PROBE");
    rig_run(rig, 0.5);
    expect_status(rig, "probe", "last_query", "false");
    script(rig, "BLTOUCH_DEBUG\nBLTOUCH_DEBUG COMMAND=dance\nBLTOUCH_STORE\nBLTOUCH_STORE MODE=5V");
    assert_non_null(strstr(rig_console(rig), "// BLTouch commands: pin_down pin_up touch_mode"));
    assert_non_null(strstr(rig_console(rig), "// BLTouch output modes: 5V, OD"));
    assert_non_null(strstr(rig_console(rig), "// Storing BLTouch output mode: 5V"));
    rig_destroy(rig);
}

static void test_faults(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(MACHINE);
    script(rig, "G28\nG1 X60 Y70 Z10 F6000");
    plant_fault_endstop(rig_plant(rig), sensor(rig), PLANT_ENDSTOP_STUCK_TRIGGERED);
    refuse(rig, "PROBE", "BLTouch failed to deploy");
    assert_non_null(strstr(rig_console(rig), "// Failed to verify BLTouch is deployed; retrying."));
    plant_fault_endstop(rig_plant(rig), sensor(rig), PLANT_ENDSTOP_STUCK_OPEN);
    refuse(rig, "PROBE", "No trigger on probe after full movement");
    rig_run(rig, 301); /* the sensor is tested again */
    script(rig, "G1 Z10");
    refuse(rig, "PROBE", "BLTouch failed to verify sensor state");
    assert_non_null(strstr(rig_console(rig), "// Failed to verify BLTouch sensor state; retrying."));
    plant_fault_endstop(rig_plant(rig), sensor(rig), PLANT_ENDSTOP_OK);
    script(rig, "PROBE");
    rig_destroy(rig);
}

static bool is_low(void *ctx)
{
    double z;
    return plant_clearance_mm(rig_plant(ctx), 0, 0, &z) && z < 6.0;
}

/* The pin stays down: said by name, and never without a try to free it. */
static void test_pin_stays_down(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(MACHINE);
    script(rig, "G28\nG1 X60 Y70 Z10 F6000\nM400");
    rig_begin_script(rig, "PROBE");
    assert_true(rig_run_until(rig, is_low, rig, 30));
    plant_fault_endstop(rig_plant(rig), sensor(rig), PLANT_ENDSTOP_STUCK_TRIGGERED);
    rig_run(rig, 20);
    assert_non_null(strstr(rig_console(rig), "// Failed to verify BLTouch probe is raised; retrying."));
    assert_non_null(strstr(rig_console(rig), "!! BLTouch failed to raise probe"));
    rig_destroy(rig);
}

static void test_two_probes(void **state)
{
    (void)state;
    struct rig_options options = {.config_text = PROBE_XY PROBE_Z_SWITCH BLTOUCH
                                  "[probe]\npin: PE5\nz_offset: 1\n",
                                  .seed = 1};
    struct rig *rig = rig_create(&options);
    rig_run(rig, 1.0);
    assert_non_null(strstr(printer_state_message(rig_printer(rig)),
                           "Section 'bltouch' and section 'probe' exclude each other: a printer has one probe"));
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_probes), cmocka_unit_test(test_debug),
                                       cmocka_unit_test(test_faults), cmocka_unit_test(test_pin_stays_down), cmocka_unit_test(test_two_probes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
