/* The commands of a probe, the scripts that put it out and take it in, the probe as endstop of z. */
#include "tests/sim/probe_rig.h"

#include "server/job/job.h"
#include "server/machine/printer.h"

/* A counter of the scripts' runs, with what a template can do. */
#define SCRIPTS                                                                                                        \
    "activate_gcode:\n  {% set n = printer[\"gcode_macro LOG\"].out + 1 %}\n"                                          \
    "  SET_GCODE_VARIABLE MACRO=LOG VARIABLE=out VALUE={n}\n  RESPOND MSG=\"out {n} at {printer.toolhead.position.x}\"\n" \
    "deactivate_gcode:\n  {% set n = printer[\"gcode_macro LOG\"].in + 1 %}\n"                                         \
    "  SET_GCODE_VARIABLE MACRO=LOG VARIABLE=in VALUE={n}\n"
#define LOG "[gcode_macro LOG]\nvariable_out: 0\nvariable_in: 0\ngcode:\n[respond]\n"

static void expect_runs(struct rig *rig, int out, int in)
{
    char text[32];
    rig_run(rig, 0.5);
    (void)snprintf(text, sizeof text, "%d", out);
    assert_string_equal(rig_status(rig, "gcode_macro LOG", "out"), text);
    (void)snprintf(text, sizeof text, "%d", in);
    assert_string_equal(rig_status(rig, "gcode_macro LOG", "in"), text);
}

static void test_scripts_each(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(PROBE_XY PROBE_Z_SWITCH LOG PROBE_SECTION SCRIPTS);
    script(rig, "G28\nG1 X40 Y60 Z5 F6000");
    expect_runs(rig, 0, 0); /* the switch homes z */
    script(rig, "PROBE SAMPLES=3");
    assert_non_null(strstr(rig_console(rig), "out 1 at 40.0"));
    expect_runs(rig, 3, 3);
    script(rig, "G1 Z5\nPROBE_ACCURACY SAMPLES=4");
    expect_runs(rig, 7, 7);
    rig_destroy(rig);
}

/* Out once for a series, and in again also when something goes wrong. */
static void test_scripts_once(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(PROBE_XY PROBE_Z_PROBE LOG PROBE_SECTION "deactivate_on_each_sample: False\n" SCRIPTS
                                                                          "[safe_z_home]\nhome_xy_position: 60, 70\n"
                                                                          "[bed_mesh]\nspeed: 200\nmesh_min: 30, 20\n"
                                                                          "mesh_max: 90, 80\n");
    script(rig, "G28");
    expect_runs(rig, 1, 1); /* both approaches */
    expect_close(clearance(rig), 1.5 + bowl_mm(NULL, 60 + PROBE_OFFSET_X, 70 + PROBE_OFFSET_Y) - bowl_mm(NULL, 60, 70),
                 0.01);
    script(rig, "G1 Z5\nBED_MESH_CALIBRATE");
    expect_runs(rig, 2, 2);
    plant_fault_endstop(rig_plant(rig), plant_find_endstop(rig_plant(rig), "probe"), PLANT_ENDSTOP_STUCK_OPEN);
    refuse(rig, "PROBE", "No trigger on probe after full movement");
    expect_runs(rig, 3, 3);
    refuse(rig, "G28 Z", "No trigger on z after full movement");
    expect_runs(rig, 4, 4);
    rig_destroy(rig);
}

static void test_scripts_that_move(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(PROBE_XY PROBE_Z_SWITCH PROBE_SECTION "activate_gcode:\n  G91\n  G1 X1 F6000\n  G90\n");
    script(rig, "G28\nG1 Z5");
    refuse(rig, "PROBE", "Toolhead moved during probe activate_gcode script");
    rig_destroy(rig);
    rig = bowl_start(PROBE_XY PROBE_Z_SWITCH PROBE_SECTION "activate_gcode:\n  {action_raise_error(\"no probe docked\")}\n");
    script(rig, "G28\nG1 Z5");
    refuse(rig, "PROBE", "no probe docked");
    rig_destroy(rig);
}

/* Probed, then lowered by hand at the same place of the bed until the nozzle touches: the difference is the offset. */
static void test_calibrate(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(PROBE_XY PROBE_Z_SWITCH PROBE_SECTION);
    double xyz[3];
    script(rig, "G28\nG1 X40 Y60 Z5 F6000\nPROBE_CALIBRATE");
    assert_true(plant_toolhead_mm(rig_plant(rig), xyz));
    expect_close(xyz[0], 40 + PROBE_OFFSET_X, 0.15);
    expect_close(xyz[1], 60 + PROBE_OFFSET_Y, 0.15);
    refuse(rig, "PROBE_CALIBRATE", "Already in a manual Z probe");
    char text[64];
    (void)snprintf(text, sizeof text, "TESTZ Z=%.4f\nACCEPT", -clearance(rig));
    script(rig, text);
    expect_close(clearance(rig), 0, 0.002);
    rig_run(rig, 1);
    const char *pending = rig_status(rig, "configfile", "save_config_pending_items");
    const char *offset = strstr(pending, "{\"probe\": {\"z_offset\": \"");
    assert_non_null(offset);
    expect_close(strtod(offset + strlen("{\"probe\": {\"z_offset\": \""), NULL), 1.5, 0.0055);
    assert_non_null(strstr(rig_console(rig), "The SAVE_CONFIG command will update the printer config file"));
    script(rig, "G1 Z5\nPROBE_CALIBRATE SPEED=2\nABORT\nSET_GCODE_OFFSET Z=0.2\nZ_OFFSET_APPLY_PROBE");
    rig_run(rig, 1);
    expect_status(rig, "configfile", "save_config_pending_items", "{\"probe\": {\"z_offset\": \"1.300\"}}");
    script(rig, "SET_GCODE_OFFSET Z=0\nZ_OFFSET_APPLY_PROBE");
    assert_non_null(strstr(rig_console(rig), "Nothing to do: Z Offset is 0"));
    rig_destroy(rig);
}

/* A bed that creeps upwards: no two samples are the same. */
static double rising_mm(void *ctx, double x, double y)
{
    double *rise_mm = ctx;
    (void)x;
    (void)y;
    return *rise_mm += 1e-5;
}

static void test_samples(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(PROBE_XY PROBE_Z_SWITCH PROBE_SECTION "samples: 3\nsamples_result: median\n");
    script(rig, "G28\nG1 X40 Y60 Z5 F6000\nPROBE PROBE_SPEED=2 LIFT_SPEED=8 SAMPLE_RETRACT_DIST=0.5");
    double last[3];
    rig_run(rig, 0.5);
    assert_int_equal(numbers(rig_status(rig, "probe", "last_probe_position"), last, 3), 3);
    expect_close(last[0], 60, 1e-3);
    expect_close(last[1], 50, 1e-3);
    expect_close(last[2], bowl_mm(NULL, 60, 50), PROBE_ERROR_MM);
    expect_close(rig_status_number(rig, "probe", "last_z_result"), last[2] + 1.5, 1e-6);
    expect_status(rig, "probe", "name", "\"probe\"");
    script(rig, "QUERY_PROBE");
    rig_run(rig, 0.5);
    expect_status(rig, "probe", "last_query", "true");
    refuse(rig, "PROBE", "Probe triggered prior to movement");
    refuse(rig, "PROBE METHOD=tap", "METHOD=tap needs an eddy current probe");
    refuse(rig, "PROBE SAMPLES=0", "SAMPLES must have minimum of 1");
    refuse(rig, "PROBE SAMPLES_RESULT=best", "SAMPLES_RESULT must be median or average, not 'best'");
    double rise_mm = 0;
    plant_set_bed_shape(rig_plant(rig), rising_mm, &rise_mm);
    refuse(rig, "G1 Z5\nPROBE SAMPLES_TOLERANCE=0.05 SAMPLES=30 SAMPLES_TOLERANCE_RETRIES=1 PROBE_SPEED=7.3",
           "Probe samples exceed samples_tolerance");
    assert_non_null(strstr(rig_console(rig), "// Probe samples exceed tolerance. Retrying..."));
    rig_destroy(rig);
}

/* The probe that is the endstop of z is asked as such. */
static void test_query_endstops(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(PROBE_XY PROBE_Z_PROBE PROBE_SECTION "[safe_z_home]\nhome_xy_position: 60, 70\n");
    script(rig, "G28\nG1 X50 Y50 Z5 F6000\nQUERY_ENDSTOPS");
    assert_non_null(strstr(rig_console(rig), "x:open y:open z:open\n"));
    script(rig, "PROBE\nM119");
    assert_non_null(strstr(rig_console(rig), "x:open y:open z:TRIGGERED\n"));
    rig_run(rig, 0.5);
    expect_status(rig, "query_endstops", "last_query", "{\"x\": 0, \"y\": 0, \"z\": 1}");
    rig_destroy(rig);
    rig = bowl_start(PROBE_XY PROBE_Z_SWITCH PROBE_SECTION);
    script(rig, "G28\nG1 Z5\nPROBE\nQUERY_ENDSTOPS"); /* not an endstop here */
    assert_non_null(strstr(rig_console(rig), "x:TRIGGERED y:TRIGGERED z:open\n"));
    rig_destroy(rig);
}

static bool is_descending(void *ctx)
{
    double z;
    return plant_clearance_mm(rig_plant(ctx), 0, 0, &z) && z < 4.0 && z > 2.5;
}

/* A cancelled calibration ends at once, in the middle of a descent; nothing of it remains, the probe is in, and the next one
 * works. */
static void test_cancel(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(PROBE_XY PROBE_Z_SWITCH LOG PROBE_SECTION SCRIPTS
                                 "deactivate_on_each_sample: False\n[pause_resume]\n[bed_mesh]\nspeed: 100\n"
                                 "mesh_min: 30, 20\nmesh_max: 90, 80\n");
    script(rig, "G28\nG1 X50 Y50 Z5 F6000\nM400");
    rig_add_gcode(rig, "mesh.gcode", "BED_MESH_CALIBRATE\nG1 X1\n");
    for (int i = 0; i < 3; i++) {
        script(rig, "G1 Z5\nSDCARD_PRINT_FILE FILENAME=mesh.gcode");
        rig_run(rig, 0.3 + i);
        assert_true(rig_run_until(rig, is_descending, rig, 20));
        double took_s = ask(rig, job_cancel);
        print_message("cancelled within %.3f s\n", took_s);
        assert_true(took_s < 0.5);
        double before = clearance(rig);
        rig_run(rig, 2);
        expect_close(clearance(rig), before, 0.01); /* a board is a few steps behind when it is looked at */
        expect_status(rig, "bed_mesh", "profile_name", "\"\"");
        expect_status(rig, "print_stats", "state", "\"cancelled\"");
        assert_int_equal(printer_state(rig_printer(rig)), PRINTER_READY);
    }
    script(rig, "G1 Z5\nBED_MESH_CALIBRATE");
    expect_status(rig, "bed_mesh", "profile_name", "\"default\"");
    rig_destroy(rig);
}

/* Whatever happens while it probes: heaters and motors off, no crash. */
static void test_shutdown_while_probing(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(PROBE_XY PROBE_Z_PROBE LOG PROBE_SECTION SCRIPTS "[safe_z_home]\nhome_xy_position: 60, 70\n");
    script(rig, "G28\nG1 Z9\nM400");
    rig_begin_script(rig, "PROBE_ACCURACY SAMPLES=100");
    rig_run(rig, 3.3);
    printer_emergency_stop(rig_printer(rig), "test");
    rig_run(rig, 1);
    assert_int_equal(printer_state(rig_printer(rig)), PRINTER_SHUTDOWN);
    double z = NAN, later = NAN;
    assert_true(plant_clearance_mm(rig_plant(rig), 0, 0, &z));
    rig_run(rig, 5);
    assert_true(plant_clearance_mm(rig_plant(rig), 0, 0, &later));
    expect_close(later, z, 1e-12);
    assert_false(plant_motor_is_enabled(rig_plant(rig), plant_find_motor(rig_plant(rig), "stepper_z")));
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts_each), cmocka_unit_test(test_scripts_once),
        cmocka_unit_test(test_scripts_that_move), cmocka_unit_test(test_calibrate),
        cmocka_unit_test(test_samples), cmocka_unit_test(test_query_endstops),
        cmocka_unit_test(test_cancel), cmocka_unit_test(test_shutdown_while_probing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
