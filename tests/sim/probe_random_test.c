/* Everything that probes, in any order, with switches that fail and users who cancel: every command ends, the printer stays ready,
 * and afterwards a mesh is still that of the bed. */
#include "tests/sim/probe_rig.h"

#include "base/rng.h"
#include "server/job/job.h"
#include "server/machine/printer.h"

#define SEEDS    6
#define COMMANDS 60

static const char machine[] = PROBE_XY PROBE_STEPPER("stepper_z", "C", "probe:z_virtual_endstop", "4") PROBE_Z_RANGE
    "[stepper_z1]\nstep_pin: PF0\ndir_pin: PF1\nenable_pin: !PF2\nmicrosteps: 16\nrotation_distance: 4\n"
    "[bltouch]\nsensor_pin: ^PE3\ncontrol_pin: PE4\nx_offset: 20\ny_offset: -10\nz_offset: 1.5\nsample_retract_dist: 1\n"
    "stow_on_each_sample: False\n[safe_z_home]\nhome_xy_position: 60, 70\nz_hop: 8\n"
    "[bed_mesh]\nspeed: 200\nmesh_min: 30, 20\nmesh_max: 150, 140\nfade_end: 10\n[exclude_object]\n[pause_resume]\n"
    "[z_tilt]\nz_positions:\n  -10, 90\n  200, 90\npoints:\n  0, 90\n  150, 90\nspeed: 200\nretries: 3\n"
    "retry_tolerance: 0.02\n"
    "[screws_tilt_adjust]\nscrew1: 0, 20\nscrew2: 150, 20\nscrew3: 150, 150\nspeed: 200\n"
    "[bed_screws]\nscrew1: 10, 20\nscrew2: 150, 20\nscrew3: 150, 170\nspeed: 200\n"
    "[axis_twist_compensation]\nspeed: 200\ncalibrate_start_x: 30\ncalibrate_end_x: 150\ncalibrate_y: 90\n";

static const char *const lines[] = {
    "G28", "G28 Z", "G28 X Y", "G1 X60 Y70 Z5 F6000", "G1 Z1 F600", "G1 X150 Y20 Z8 F9000", "M84",
    "PROBE", "PROBE SAMPLES=3 SAMPLES_RESULT=median", "PROBE_ACCURACY SAMPLES=3", "QUERY_PROBE", "QUERY_ENDSTOPS",
    "PROBE_CALIBRATE", "MANUAL_PROBE", "TESTZ Z=-1", "TESTZ Z=+", "TESTZ Z=--", "ACCEPT", "NEXT", "ADJUSTED", "ABORT",
    "ABORT", "BED_MESH_CALIBRATE", "BED_MESH_CALIBRATE METHOD=manual", "BED_MESH_CALIBRATE ADAPTIVE=1",
    "BED_MESH_CALIBRATE MESH_MAX=400,400", "BED_MESH_CLEAR", "BED_MESH_PROFILE LOAD=default",
    "BED_MESH_PROFILE SAVE=x", "BED_MESH_PROFILE REMOVE=x", "BED_MESH_OFFSET X=3 ZFADE=0.2", "BED_MESH_OUTPUT PGP=1",
    "EXCLUDE_OBJECT_DEFINE NAME=a POLYGON=[[50,50],[90,50],[90,90]]", "EXCLUDE_OBJECT_DEFINE RESET=1",
    "Z_TILT_ADJUST", "Z_TILT_ADJUST RETRIES=0", "SCREWS_TILT_CALCULATE", "SCREWS_TILT_CALCULATE METHOD=manual",
    "BED_SCREWS_ADJUST", "AXIS_TWIST_COMPENSATION_CALIBRATE", "BLTOUCH_DEBUG COMMAND=pin_down",
    "BLTOUCH_DEBUG COMMAND=touch_mode", "BLTOUCH_DEBUG COMMAND=reset", "Z_OFFSET_APPLY_PROBE", "SET_GCODE_OFFSET Z=0.1",
};

static void disturb(struct rig *rig, struct rng *rng)
{
    size_t probe = plant_find_endstop(rig_plant(rig), "probe");
    static const enum plant_endstop_fault faults[] = {PLANT_ENDSTOP_STUCK_OPEN, PLANT_ENDSTOP_STUCK_TRIGGERED};
    plant_fault_endstop(rig_plant(rig), probe, rng_below(rng, 6) ? PLANT_ENDSTOP_OK : faults[rng_below(rng, 2)]);
    if (rng_below(rng, 10) == 0)
        plant_push_motor(rig_plant(rig), plant_find_motor(rig_plant(rig), "stepper_z1"), rng_range(rng, -0.2, 0.2));
}

static void run_one(struct rig *rig, struct rng *rng)
{
    const char *line = lines[rng_below(rng, sizeof lines / sizeof lines[0])];
    disturb(rig, rng);
    if (getenv("VERBOSE"))
        printf("%9.3f %s\n", rig_now_s(rig), line);
    enum err e;
    if (rng_below(rng, 5) == 0) { /* and somebody changes his mind */
        rig_begin_script(rig, line);
        rig_run(rig, rng_range(rng, 0.0, 6.0));
        (void)ask(rig, job_cancel);
        rig_run(rig, 0.5);
        e = OK;
    } else {
        e = rig_script(rig, line, 600);
    }
    assert_int_not_equal(e, ERR_TIMEOUT);
    if (printer_state(rig_printer(rig)) != PRINTER_READY)
        fail_msg("after '%s': %s", line, printer_state_message(rig_printer(rig)));
}

static void one_seed(unsigned seed)
{
    struct rng rng;
    rng_init(&rng, seed);
    struct rig *rig = bowl_start(machine);
    for (int i = 0; i < COMMANDS; i++)
        run_one(rig, &rng);
    plant_fault_endstop(rig_plant(rig), plant_find_endstop(rig_plant(rig), "probe"), PLANT_ENDSTOP_OK);
    (void)!rig_script(rig, "ABORT", 10);
    (void)!rig_script(rig, "BED_MESH_CLEAR\nSET_GCODE_OFFSET Z=0", 10);
    /* a dead switch lets the nozzle go into the bed: the user turns the screws up, and homes */
    double high_mm = NAN;
    assert_true(plant_clearance_mm(rig_plant(rig), 0, 0, &high_mm));
    for (int i = 0; i < 2 && high_mm < 10.0; i++)
        plant_push_motor(rig_plant(rig), plant_find_motor(rig_plant(rig), i ? "stepper_z1" : "stepper_z"), 20.0 - high_mm);
    script(rig, "BLTOUCH_DEBUG COMMAND=reset\nBLTOUCH_DEBUG COMMAND=pin_up\nG28\nG1 Z10 F600\nBED_MESH_CALIBRATE");
    double z[9];
    assert_int_equal(numbers(rig_status(rig, "bed_mesh", "probed_matrix"), z, 9), 9);
    double lean = (z[5] - z[3]) - (bowl_mm(NULL, 150, 80) - bowl_mm(NULL, 30, 80)); /* of the pushed motor */
    for (int i = 0; i < 9; i++)
        expect_close(z[i] - z[4] - (i % 3 - 1) * lean / 2,
                     bowl_mm(NULL, 30 + 60 * (i % 3), 20 + 60 * (i / 3)) - bowl_mm(NULL, 90, 80), 0.01);
    rig_destroy(rig);
}

static void test_random(void **state)
{
    (void)state;
    const char *given = getenv("SEED");
    for (unsigned i = 0; i < SEEDS; i++) {
        unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : 20261121u + i;
        print_message("seed %u\n", seed);
        one_seed(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
