/* Levelling a simulated bed: motors of z one by one, screws by hand and by the probe, a lean taken into the moves; and
 * homing by a script. Where the bed is, the plant knows. */
#include "tests/sim/probe_rig.h"

#include "server/gcode/gcode.h"
#include "server/machine/printer.h"

#define MOTOR(name, pins)                                                                                              \
    "[" name "]\nstep_pin: P" pins "0\ndir_pin: P" pins "1\nenable_pin: !P" pins "2\nmicrosteps: 16\n"                 \
    "rotation_distance: 4\n"

static void push(struct rig *rig, const char *motor, double by_mm)
{
    size_t index = plant_find_motor(rig_plant(rig), motor);
    assert_true(index != SIZE_MAX);
    plant_push_motor(rig_plant(rig), index, by_mm);
}

static double numbers_after(struct rig *rig, const char *text)
{
    const char *found = NULL;
    for (const char *at = rig_console(rig); (at = strstr(at, text)); at++)
        found = at;
    if (!found)
        fail_msg("not on the console: %s", text);
    return strtod(found + strlen(text), NULL);
}

/* The nozzle's clearance at z = 5 is the same, and 5, wherever it stands. */
static void expect_level(struct rig *rig, double tolerance_mm)
{
    static const char *const places[] = {"X5 Y5", "X175 Y10", "X170 Y180", "X10 Y175", "X90 Y90"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "G1 %s Z5 F9000", places[i]);
        script(rig, text);
        expect_close(clearance(rig), 5.0, tolerance_mm);
    }
}

#define TILT                                                                                                           \
    PROBE_XY PROBE_Z_SWITCH MOTOR("stepper_z1", "F") MOTOR("stepper_z2", "G") PROBE_SECTION                           \
        "[z_tilt]\nz_positions:\n  -30, 90\n  200, -20\n  210, 205\npoints:\n  0, 20\n  150, 20\n  75, 170\n"          \
        "speed: 200\nhorizontal_move_z: 8\n"

static void test_z_tilt(void **state)
{
    (void)state;
    struct rig *rig = job_rig_start(TILT "retries: 5\nretry_tolerance: 0.01\n");
    push(rig, "stepper_z1", 1.0);
    push(rig, "stepper_z2", -1.0);
    script(rig, "G28");
    expect_status(rig, "z_tilt", "applied", "false");
    script(rig, "Z_TILT_ADJUST");
    expect_level(rig, 0.02);
    assert_non_null(strstr(rig_console(rig), "// Making the following Z adjustments:\n// stepper_z = "));
    /* the bed leaned by what the motors were pushed: those of the gantry went back */
    const char *first = strstr(rig_console(rig), "stepper_z1 = ");
    double z1 = strtod(first + 13, NULL), z2 = strtod(strstr(first, "stepper_z2 = ") + 13, NULL);
    expect_close(z1 - z2, -2.0, 0.02);
    assert_non_null(strstr(rig_console(rig), "// Retries: 1/5 Probed points range: "));
    rig_run(rig, 0.5);
    expect_status(rig, "z_tilt", "applied", "true");
    script(rig, "M84");
    rig_run(rig, 0.5);
    expect_status(rig, "z_tilt", "applied", "false");
    rig_destroy(rig);
}

/* A bed that leans more each time it is looked at. */
static double leaning_mm(void *ctx, double x, double y)
{
    double *lean = ctx;
    (void)y;
    return (*lean *= 1.00004) * (x - 90);
}

static void test_z_tilt_in_vain(void **state)
{
    (void)state;
    struct rig *rig = job_rig_start(PROBE_XY PROBE_Z_SWITCH MOTOR("stepper_z1", "F") PROBE_SECTION
                                    "[z_tilt]\nz_positions:\n  0, 90\n  200, 90\npoints:\n  0, 90\n  150, 90\nspeed: 200\n"
                                    "horizontal_move_z: 10\n");
    push(rig, "stepper_z1", 0.3);
    script(rig, "G28\nZ_TILT_ADJUST"); /* once, without retries */
    script(rig, "G1 Z8\nG1 X10 Y90 F6000");
    double left = clearance(rig);
    script(rig, "G1 X190");
    expect_close(clearance(rig), left, 0.02);
    double lean = 1e-4;
    plant_set_bed_shape(rig_plant(rig), leaning_mm, &lean);
    refuse(rig, "Z_TILT_ADJUST RETRIES=1 RETRY_TOLERANCE=0.001", "Too many retries");
    refuse(rig, "Z_TILT_ADJUST RETRIES=9 RETRY_TOLERANCE=0.001",
           "Retries aborting: Probed points range is increasing. Possibly Z motor numbering is wrong.");
    rig_run(rig, 0.5);
    expect_status(rig, "z_tilt", "applied", "false");
    refuse(rig, "Z_TILT_ADJUST RETRIES=31", "RETRIES must have maximum of 30");
    refuse(rig, "Z_TILT_ADJUST HORIZONTAL_MOVE_Z=1", "horizontal_move_z can't be less than probe's z_offset");
    rig_destroy(rig);
}

#define QUAD                                                                                                           \
    PROBE_XY PROBE_Z_SWITCH MOTOR("stepper_z1", "F") MOTOR("stepper_z2", "G") MOTOR("stepper_z3", "H") PROBE_SECTION   \
        "[quad_gantry_level]\ngantry_corners:\n  -40, -30\n  230, 240\npoints:\n  0, 20\n  0, 170\n  150, 170\n"       \
        "  150, 20\nspeed: 200\nhorizontal_move_z: 10\nretries: 5\nretry_tolerance: 0.01\n"

static void test_quad(void **state)
{
    (void)state;
    struct rig *rig = job_rig_start(QUAD);
    push(rig, "stepper_z1", 1.5);
    push(rig, "stepper_z2", -0.5); /* twisted */
    push(rig, "stepper_z3", 0.8);
    script(rig, "G28\nQUAD_GANTRY_LEVEL\nG28 Z");
    assert_non_null(strstr(rig_console(rig), "// Gantry-relative probe points:\n// 0: "));
    assert_non_null(strstr(rig_console(rig), "// Actuator Positions:\n// z: "));
    script(rig, "G1 X5 Y5 Z5 F9000");
    double corner = clearance(rig);
    static const char *const places[] = {"X175 Y10", "X170 Y180", "X10 Y175", "X90 Y90"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "G1 %s", places[i]);
        script(rig, text);
        expect_close(clearance(rig), corner, 0.02);
    }
    rig_run(rig, 0.5);
    expect_status(rig, "quad_gantry_level", "applied", "true");
    push(rig, "stepper_z2", 5.5);
    refuse(rig, "QUAD_GANTRY_LEVEL HORIZONTAL_MOVE_Z=15", "Aborting quad_gantry_level required adjustment");
    expect_status(rig, "quad_gantry_level", "applied", "false");
    rig_destroy(rig);
}

static void test_bed_tilt(void **state)
{
    (void)state;
    struct rig *rig = job_rig_start(PROBE_XY PROBE_Z_SWITCH PROBE_SECTION
                                    "[bed_tilt]\npoints:\n  0, 20\n  150, 20\n  75, 170\nspeed: 200\n");
    plant_set_bed_tilt(rig_plant(rig), 0.003, -0.002);
    script(rig, "G28\nBED_TILT_CALIBRATE");
    expect_close(numbers_after(rig, "x_adjust: "), 0.003, 5e-5);
    expect_close(numbers_after(rig, "y_adjust: "), -0.002, 5e-5);
    expect_level(rig, 0.02);
    script(rig, "G1 X100 Y100 Z3\nGET_POSITION");
    assert_non_null(strstr(rig_console(rig), "// gcode: X:100.000000 Y:100.000000 Z:3.000000"));
    rig_run(rig, 0.5);
    assert_non_null(strstr(rig_status(rig, "configfile", "save_config_pending_items"), "\"x_adjust\": \"0.00"));
    rig_destroy(rig);
}

#define SCREWS                                                                                                         \
    PROBE_XY PROBE_Z_SWITCH PROBE_SECTION                                                                              \
        "[screws_tilt_adjust]\nscrew1: 0, 20\nscrew1_name: front left screw\nscrew2: 150, 20\nscrew3: 150, 170\n"      \
        "screw3_name: rear right\nspeed: 200\n"

static void test_screws_tilt(void **state)
{
    (void)state;
    struct rig *rig = job_rig_start(SCREWS);
    plant_set_bed_tilt(rig_plant(rig), 0.002, -0.005); /* screw2: 0.3 up; screw3: 0.3 - 0.75 = 0.45 down */
    script(rig, "G28\nSCREWS_TILT_CALCULATE");
    const char *text = rig_console(rig);
    assert_non_null(strstr(text, "// 01:20 means 1 full turn and 20 minutes, CW=clockwise, CCW=counter-clockwise\n"));
    assert_non_null(strstr(text, "// front left screw (base) : x=0.0, y=20.0, z="));
    const char *second = strstr(text, "// screw at 150.000,20.000 : x=150.0, y=20.0, z=");
    assert_non_null(second);
    assert_non_null(strstr(second, " : adjust CW 00:36\n")); /* 0.3 of 0.5 mm */
    assert_non_null(strstr(text, " : adjust CCW 00:54\n"));  /* 0.45 of 0.5 mm */
    rig_run(rig, 0.5);
    const char *results = rig_status(rig, "screws_tilt_adjust", "results");
    assert_non_null(strstr(results, "{\"screw1\": {\"z\": "));
    assert_non_null(strstr(results, "\"sign\": \"CW\", \"adjust\": \"00:00\", \"is_base\": true}"));
    assert_non_null(strstr(results, "\"sign\": \"CCW\", \"adjust\": \"00:54\", \"is_base\": false}"));
    expect_status(rig, "screws_tilt_adjust", "error", "false");
    expect_status(rig, "screws_tilt_adjust", "max_deviation", "null");
    rig_clear_console(rig);
    script(rig, "SCREWS_TILT_CALCULATE DIRECTION=CCW"); /* the highest one stays */
    text = rig_console(rig);
    assert_non_null(strstr(text, "screw at 150.000,20.000 (base) : "));
    assert_non_null(strstr(text, " : adjust CCW 01:30\n"));
    assert_null(strstr(text, "adjust CW"));
    refuse(rig, "SCREWS_TILT_CALCULATE MAX_DEVIATION=0.4", "bed level exceeds configured limits (0.400mm)");
    rig_run(rig, 0.5);
    expect_status(rig, "screws_tilt_adjust", "error", "true");
    expect_status(rig, "screws_tilt_adjust", "max_deviation", "0.4");
    refuse(rig, "SCREWS_TILT_CALCULATE DIRECTION=UP", "DIRECTION must be either CW or CCW");
    rig_destroy(rig);
}

static void expect_above(struct rig *rig, double x, double y, double z)
{
    double xyz[3];
    script(rig, "M400");
    assert_true(plant_toolhead_mm(rig_plant(rig), xyz));
    expect_close(xyz[0], x, 0.15);
    expect_close(xyz[1], y, 0.15);
    expect_close(xyz[2], z, 0.02);
}

static void test_bed_screws(void **state)
{
    (void)state;
    struct rig *rig = job_rig_start(PROBE_XY PROBE_Z_SWITCH
                                    "[bed_screws]\nscrew1: 10, 20\nscrew1_name: left\nscrew1_fine_adjust: 0, 0\n"
                                    "screw2: 150, 20\nscrew3: 150, 170\nprobe_height: 0.1\nspeed: 200\n");
    script(rig, "G28\nBED_SCREWS_ADJUST");
    assert_non_null(strstr(rig_console(rig), "// Adjust left. Then run ACCEPT, ADJUSTED, or ABORT\n"
                                             "// Use ADJUSTED if a significant screw adjustment is made\n"));
    expect_above(rig, 10, 20, 0.1);
    refuse(rig, "BED_SCREWS_ADJUST", "Already in bed_screws helper; use ABORT to exit");
    script(rig, "ACCEPT");
    expect_above(rig, 150, 20, 0.1);
    script(rig, "ADJUSTED"); /* this one again, when the others have been accepted */
    rig_run(rig, 0.5);
    expect_status(rig, "bed_screws", "current_screw", "2");
    expect_status(rig, "bed_screws", "accepted_screws", "0");
    script(rig, "ACCEPT\nACCEPT");
    expect_above(rig, 150, 20, 0.1);
    rig_run(rig, 0.5);
    expect_status(rig, "bed_screws", "state", "\"adjust\"");
    script(rig, "ACCEPT"); /* three in a row: the fine places */
    expect_above(rig, 0, 0, 0.1);
    rig_run(rig, 0.5);
    expect_status(rig, "bed_screws", "state", "\"fine\"");
    expect_status(rig, "bed_screws", "is_active", "true");
    script(rig, "ACCEPT");
    assert_non_null(strstr(rig_console(rig), "// Bed screws tool completed successfully\n"));
    rig_run(rig, 0.5);
    expect_status(rig, "bed_screws", "is_active", "false");
    expect_status(rig, "bed_screws", "state", "null");
    script(rig, "BED_SCREWS_ADJUST\nABORT");
    assert_false(gcode_has_command(rig_printer(rig)->gcode, "ADJUSTED"));
    script(rig, "MANUAL_PROBE");
    refuse(rig, "BED_SCREWS_ADJUST", "Already in a manual Z probe. Use ABORT to abort it.");
    script(rig, "ABORT\nM84");
    refuse(rig, "BED_SCREWS_ADJUST", "Must home axis first");
    assert_false(gcode_has_command(rig_printer(rig)->gcode, "ACCEPT"));
    rig_destroy(rig);
}

static void test_homing_override(void **state)
{
    (void)state;
    struct rig *rig = job_rig_start(PROBE_XY PROBE_Z_SWITCH
                                    "[respond]\n[homing_override]\naxes: z\nset_position_z: 0\ngcode:\n"
                                    "  RESPOND MSG=\"homing {params} {'Z' in params}\"\n  G90\n  G1 Z7 F600\n"
                                    "  G28 X Y\n  G1 X33 F6000\n  G28 Z\n  G1 Z4 F600\n");
    script(rig, "G28 X");
    assert_null(strstr(rig_console(rig), "homing"));
    expect_status(rig, "toolhead", "homed_axes", "\"x\"");
    script(rig, "G28 Z");
    assert_non_null(strstr(rig_console(rig), "homing {'G': '28', 'Z': ''} True"));
    rig_run(rig, 0.5);
    expect_status(rig, "toolhead", "homed_axes", "\"xyz\"");
    expect_above(rig, 33, -10, 4);
    script(rig, "G28");
    rig_destroy(rig);
}

#define HEATER_BED                                                                                                     \
    "[heater_bed]\nheater_pin: PB5\nsensor_type: EPCOS 100K B57560G104F\nsensor_pin: PC4\ncontrol: watermark\n"        \
    "min_temp: 0\nmax_temp: 130\n"

static bool is_target(struct rig *rig, double target_c)
{
    return rig_status_number(rig, "heater_bed", "target") == target_c;
}

static void test_homing_heaters(void **state)
{
    (void)state;
    struct rig *rig = job_rig_start(PROBE_XY PROBE_Z_SWITCH PROBE_SECTION HEATER_BED
                                    "[homing_heaters]\nsteppers: stepper_z\nheaters: heater_bed\n");
    script(rig, "G28 Y\nM140 S60");
    rig_begin_script(rig, "G28 X"); /* not concerned */
    rig_run(rig, 0.6);
    assert_true(is_target(rig, 60));
    rig_run(rig, 20);
    rig_begin_script(rig, "G28 Z");
    rig_run(rig, 0.6);
    assert_true(is_target(rig, 0));
    rig_run(rig, 60);
    assert_true(is_target(rig, 60));
    script(rig, "G1 Z20 F600\nM400");
    rig_begin_script(rig, "PROBE");
    rig_run(rig, 1.5);
    assert_true(is_target(rig, 0));
    rig_run(rig, 20);
    assert_true(is_target(rig, 60));
    plant_fault_endstop(rig_plant(rig), plant_find_endstop(rig_plant(rig), "probe"), PLANT_ENDSTOP_STUCK_OPEN);
    refuse(rig, "G1 Z5\nPROBE", "No trigger on probe"); /* back also after an error */
    rig_run(rig, 0.5);
    assert_true(is_target(rig, 60));
    rig_destroy(rig);
}

/* A gantry that turns along x: the probe behind the nozzle is wrong by a little more at each place, until that is known. */
static void test_axis_twist(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(PROBE_XY PROBE_Z_SWITCH
                                 "[probe]\npin: PE3\nx_offset: 0\ny_offset: 40\nz_offset: 1.5\n"
                                 "[axis_twist_compensation]\nspeed: 200\ncalibrate_start_x: 20\ncalibrate_end_x: 180\n"
                                 "calibrate_y: 100\n"
                                 "[bed_mesh]\nspeed: 200\nmesh_min: 20, 40\nmesh_max: 180, 140\n"
                                 "zero_reference_position: 100, 90\n");
    plant_set_twist(rig_plant(rig), 5e-5); /* 0.002 mm for each mm of x at the probe: 0.32 mm from side to side */
    script(rig, "G28\nBED_MESH_CALIBRATE");
    double z[9];
    assert_int_equal(numbers(rig_status(rig, "bed_mesh", "probed_matrix"), z, 9), 9);
    expect_close(z[5] - z[3], bowl_mm(NULL, 180, 90) - bowl_mm(NULL, 20, 90) - 0.32, 0.01); /* wrong */
    script(rig, "AXIS_TWIST_COMPENSATION_CALIBRATE SAMPLE_COUNT=5");
    for (int i = 0; i < 5; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "TESTZ Z=%.4f\nACCEPT", -clearance(rig));
        script(rig, text);
    }
    assert_non_null(strstr(rig_console(rig), "AXIS_TWIST_COMPENSATION_CALIBRATE: Calibration complete, offsets: "));
    rig_run(rig, 0.5);
    const char *pending = rig_status(rig, "configfile", "save_config_pending_items");
    double found[7];
    assert_int_equal(numbers(strstr(pending, "\"z_compensations\": "), found, 5), 5);
    for (int i = 0; i < 5; i++)
        expect_close(found[i], 0.002 * 40 * (i - 2), 0.006);
    assert_non_null(strstr(pending, "\"compensation_start_x\": \"20\""));
    script(rig, "G1 Z5\nBED_MESH_CALIBRATE");
    assert_int_equal(numbers(rig_status(rig, "bed_mesh", "probed_matrix"), z, 9), 9);
    for (int i = 0; i < 9; i++)
        expect_close(z[i], bowl_mm(NULL, 20 + 80 * (i % 3), 40 + 50 * (i / 3)) - bowl_mm(NULL, 100, 90), 0.012);
    refuse(rig, "AXIS_TWIST_COMPENSATION_CALIBRATE AXIS=Y", "needs calibrate_start_y, calibrate_end_y and calibrate_x");
    refuse(rig, "AXIS_TWIST_COMPENSATION_CALIBRATE AXIS=Z", "AXIS must be X or Y, not 'Z'");
    script(rig, "AXIS_TWIST_COMPENSATION_CALIBRATE\nABORT");
    assert_non_null(strstr(rig_console(rig), "Probe cancelled, calibration aborted"));
    rig_destroy(rig);
}

static void expect_bad(const char *config, const char *error)
{
    struct rig_options options = {.config_text = config, .seed = 1};
    struct rig *rig = rig_create(&options);
    rig_run(rig, 1.0);
    if (printer_state(rig_printer(rig)) != PRINTER_ERROR || !strstr(printer_state_message(rig_printer(rig)), error))
        fail_msg("%s: %s", error, printer_state_message(rig_printer(rig)));
    rig_destroy(rig);
}

static void test_bad_options(void **state)
{
    (void)state;
    expect_bad(PROBE_XY PROBE_Z_SWITCH PROBE_SECTION "[z_tilt]\nz_positions:\n  0, 0\n  1, 1\npoints:\n  0, 0\n  1, 1\n",
               "z_tilt requires multiple z steppers");
    expect_bad(PROBE_XY PROBE_Z_SWITCH MOTOR("stepper_z1", "F") PROBE_SECTION
               "[z_tilt]\nz_positions:\n  0, 0\npoints:\n  0, 0\n  1, 1\n",
               "z_tilt: z_positions must have exactly 2 items");
    expect_bad(PROBE_XY PROBE_Z_SWITCH PROBE_SECTION "[quad_gantry_level]\ngantry_corners:\n  0, 0\n  9, 9\npoints:\n"
                                                     "  0, 0\n  0, 1\n  1, 1\n  1, 0\n",
               "quad_gantry_level needs exactly 4 z steppers");
    expect_bad(PROBE_XY PROBE_Z_SWITCH "[bed_screws]\nscrew1: 0, 0\nscrew2: 1, 1\n",
               "bed_screws: Must have at least three screws");
    expect_bad(PROBE_XY PROBE_Z_SWITCH PROBE_SECTION "[screws_tilt_adjust]\nscrew1: 0, 0\nscrew2: 1, 1\n",
               "screws_tilt_adjust: Must have at least three screws");
    expect_bad(PROBE_XY PROBE_Z_SWITCH PROBE_SECTION "[bed_mesh]\nmesh_min: 9, 9\nmesh_max: 99, 99\n"
                                                     "[bed_tilt]\npoints:\n  0, 0\n  1, 0\n  0, 1\n",
               "G-Code move transform already specified");
    expect_bad(PROBE_XY PROBE_Z_SWITCH "[safe_z_home]\nhome_xy_position: 9, 9\n[homing_override]\ngcode: G28\n",
               "homing_override and safe_z_home cannot be used simultaneously");
    expect_bad(PROBE_XY PROBE_Z_SWITCH "[homing_heaters]\nheaters: heater_bed\n", "Unknown heater 'heater_bed'");
    expect_bad(PROBE_XY PROBE_Z_SWITCH "[homing_heaters]\nsteppers: stepper_q\n", "Unknown stepper 'stepper_q'");
    expect_bad(PROBE_XY PROBE_Z_SWITCH "[homing_override]\ngcode: {% if %}\n", "homing_override:gcode");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_z_tilt),     cmocka_unit_test(test_z_tilt_in_vain),   cmocka_unit_test(test_quad),
        cmocka_unit_test(test_bed_tilt),   cmocka_unit_test(test_screws_tilt),    cmocka_unit_test(test_bed_screws),
        cmocka_unit_test(test_homing_override), cmocka_unit_test(test_homing_heaters), cmocka_unit_test(test_axis_twist), cmocka_unit_test(test_bad_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
