/* Requests that do not wait for their turn, on a whole simulated printer: the speed factor of a running print, a pause and a
 * cancel from the console, the emergency stop; and what becomes of a printer whose motion would go wrong. */
#include "tests/sim/job_rig.h"
#include "tests/unit/motion/plan_path.h"

#include "base/rng.h"
#include "base/strbuf.h"
#include "firmware/plant/plant.h"
#include "motion/steps/stepgen_internal.h"
#include "server/gcode/gcode_move.h"
#include "server/job/job.h"
#include "server/machine/printer.h"
#include "server/toolhead/toolhead.h"

#define PRINTER(kinematics)                                                                                            \
    "[mcu]\nserial: /dev/ttyS0\n"                                                                                      \
    "[printer]\nkinematics: " kinematics "\nmax_velocity: 200\nmax_accel: 3000\n"                                      \
    "[stepper_x]\nstep_pin: PA1\ndir_pin: PA2\nenable_pin: !PA3\nmicrosteps: 16\nrotation_distance: 40\n"              \
    "endstop_pin: ^PB0\nposition_endstop: 0\nposition_max: 200\nhoming_speed: 50\n"                                    \
    "[stepper_y]\nstep_pin: PA4\ndir_pin: PA5\nenable_pin: !PA6\nmicrosteps: 16\nrotation_distance: 40\n"              \
    "endstop_pin: ^PB1\nposition_endstop: 0\nposition_max: 200\nhoming_speed: 50\n"                                    \
    "[stepper_z]\nstep_pin: PA7\ndir_pin: PA8\nenable_pin: !PA9\nmicrosteps: 16\nrotation_distance: 8\n"               \
    "endstop_pin: probe:z_virtual_endstop\nposition_min: -5\nposition_max: 200\n"                                      \
    "[extruder]\nstep_pin: PC0\ndir_pin: PC1\nenable_pin: !PC2\nmicrosteps: 16\nrotation_distance: 33.5\n"             \
    "nozzle_diameter: 0.4\nfilament_diameter: 1.75\nheater_pin: PB3\nsensor_type: EPCOS 100K B57560G104F\n"            \
    "sensor_pin: PC4\ncontrol: pid\npid_Kp: 22\npid_Ki: 1\npid_Kd: 114\nmin_temp: 0\nmax_temp: 300\n"                  \
    "min_extrude_temp: 0\npressure_advance: 0.05\n"                                                                    \
    "[heater_bed]\nheater_pin: PB4\nsensor_type: EPCOS 100K B57560G104F\nsensor_pin: PC5\ncontrol: watermark\n"        \
    "min_temp: 0\nmax_temp: 130\n"                                                                                     \
    "[probe]\npin: PB5\nx_offset: 0\ny_offset: 0\nz_offset: 1.5\nspeed: 5\n"                                           \
    "[bed_mesh]\nmesh_min: 10, 10\nmesh_max: 190, 190\nprobe_count: 4, 4\nspeed: 150\n"                                \
    "[pause_resume]\n[exclude_object]\n[display_status]\n[respond]\n[gcode_arcs]\nresolution: 0.5\n"                   \
    "[extruder_stepper gear]\nextruder: extruder\nstep_pin: PC6\ndir_pin: PC7\nenable_pin: !PC8\nmicrosteps: 16\n"     \
    "rotation_distance: 33.5\n"                                                                                        \
    "[gcode_macro CANCEL_PRINT]\nrename_existing: BASE_CANCEL\ngcode:\n  TURN_OFF_HEATERS\n  M117 user cancel\n"       \
    "  BASE_CANCEL\n"                                                                                                  \
    "[gcode_macro LOOPER]\ngcode:\n  {% for i in range(500) %}\n  G1 X{10 + i % 50} F3000\n  {% endfor %}\n"           \
    "  M117 too far\n"                                                                                                 \
    "[gcode_macro SLOW]\ngcode:\n  G1 X190 F120\n  M400\n  M117 too far\n"                                             \
    "[gcode_macro HEAT]\ngcode:\n  M109 S250\n  M117 too far\n"
#define SHAPERS "[input_shaper]\nshaper_type: mzv\nshaper_freq_x: 45\nshaper_freq_y: 38\n"

static char script_text[512];

/* What a client sends through printer.gcode.script. */
static enum err run_script(struct printer *printer, struct err_info *info)
{
    return job_run_script(printer, script_text, info);
}

static double say(struct rig *rig, const char *text)
{
    (void)snprintf(script_text, sizeof script_text, "%s", text);
    return ask(rig, run_script);
}

static struct rig *start(const char *config)
{
    struct rig *rig = job_rig_start(config);
    plant_set_bed_tilt(rig_plant(rig), 0.002, -0.001);
    script(rig, "G28\nG90\nM83\nG1 Z5 F600\nM400");
    return rig;
}

static bool stands_still(void *ctx)
{
    struct rig *rig = ctx;
    struct engine_status motion;
    engine_get_status(rig_printer(rig)->engine, runtime_now(rig_runtime(rig)), &motion);
    return motion.is_idle;
}

static double speed_factor(struct rig *rig)
{
    struct gcode_move_status status;
    gcode_move_get_status(printer_gcode_move(rig_printer(rig)), &status);
    return status.speed_factor;
}

static double heater_duty(struct rig *rig)
{
    return plant_heater_duty(rig_plant(rig), plant_find_heater(rig_plant(rig), "extruder"));
}

/* The motors of the simulated printer are where the host believes they are. */
static void expect_in_place(struct rig *rig)
{
    double pos[4], xyz[3];
    position(rig, pos);
    assert_true(rig_run_until(rig, stands_still, rig, 5));
    rig_run(rig, 0.2);
    assert_true(plant_toolhead_mm(rig_plant(rig), xyz));
    for (int i = 0; i < 3; i++)
        if (fabs(xyz[i] - pos[i]) > 0.02)
            fail_msg("axis %d is at %.4f, not at %.4f\n%s", i, xyz[i], pos[i], rig_console(rig));
}

/* ------------------------------------------------------------------------------------------------ speed factor */

/* A part with straight walls, arcs, tiny pieces, travels and retractions, on a mesh. */
static char *part(void)
{
    struct strbuf text;
    strbuf_init(&text);
    strbuf_adds(&text, "G90\nM83\nBED_MESH_PROFILE LOAD=default\nG1 X40 Y40 Z0.4 F9000\n");
    for (int i = 0; i < 12; i++) {
        strbuf_addf(&text, "M106 S%d\nG1 X%d E2 F3600\nG1 Y%d E2\n", i * 20, 120 + i, 110 + i);
        strbuf_addf(&text, "G3 X%d Y%d I-20 J0 E1 F2400\n", 80 + i, 110 + i);
        for (int k = 1; k <= 30; k++)
            strbuf_addf(&text, "G1 X%.3f Y%.3f E.02 F4800\n", 80.0 + i - k, 110.0 + i + 2.0 * sin(k * 0.7));
        strbuf_addf(&text, "G1 E-.8 F1800\nG0 X40 Y%d F9000\nG1 E.8 F1800\nG1 Z%.2f F600\n", 40 + i, 0.4 + 0.2 * i);
    }
    return strbuf_take(&text);
}

struct watched {
    struct rig *rig;
    struct plan_path path;
};

static bool is_complete(void *ctx)
{
    struct watched *w = ctx;
    plan_path_poll(&w->path, rig_printer(w->rig)->engine);
    const char *state = rig_status(w->rig, "print_stats", "state");
    return state && strcmp(state, "\"complete\"") == 0;
}

/* The same file with and without changes of speed: the same path and the same filament, to the end. */
static void speed_changes_keep_the_path(const char *config, uint64_t seed)
{
    struct watched runs[2] = {{0}};
    double seconds[2];
    unsigned count = 0;
    struct rng rng;
    rng_init(&rng, seed);
    for (int k = 0; k < 2; k++) {
        struct watched *w = &runs[k];
        w->rig = start(config);
        script(w->rig, "BED_MESH_CALIBRATE");
        char *text = part();
        rig_add_gcode(w->rig, "part.gcode", text);
        mem_free(text);
        script(w->rig, "BED_MESH_CLEAR\nG1 X40 Y40 Z5 F9000\nG92 E0\nM400");
        const double begun_s = rig_now_s(w->rig);
        /* what was probed is not compared */
        for (int i = 0; i < 2; i++)
            w->path.next[i] = rig_printer(w->rig)->engine->queues[0]->q.end;
        plan_path_poll(&w->path, rig_printer(w->rig)->engine);
        w->path.count = 0;
        script(w->rig, "SDCARD_PRINT_FILE FILENAME=part.gcode");
        while (!rig_run_until(w->rig, is_complete, w, k ? rng_range(&rng, 0.05, 1.5) : 1000)) {
            assert_int_equal(k, 1);
            char m220[32];
            const int percent = 30 + (int)rng_below(&rng, 200);
            (void)snprintf(m220, sizeof m220, "M220 S%d ; slider", percent);
            assert_true(say(w->rig, m220) < 0.01);
            assert_true(fabs(speed_factor(w->rig) - percent / 100.0) < 1e-9);
            count++;
        }
        seconds[k] = rig_now_s(w->rig) - begun_s;
        rig_run(w->rig, 1);
        plan_path_poll(&w->path, rig_printer(w->rig)->engine);
        expect_in_place(w->rig);
    }
    print_message("seed %llu: %u changes, %.1f and %.1f s, %zu and %zu points\n", (unsigned long long)seed, count, seconds[0],
                  seconds[1], runs[0].path.count, runs[1].path.count);
    assert_true(count > 20);
    expect_same_plan(&runs[0].path, &runs[1].path, 1e-5);
    for (int k = 0; k < 2; k++) {
        assert_true(runs[k].path.max_step_mm_s < 0.05);
        assert_true(runs[k].path.max_accel_mm_s2 < 3001 && runs[k].path.max_speed_mm_s < 200.1);
        assert_true(fabs(rig_status_number(runs[k].rig, "print_stats", "filament_used") - 12 * 5.6) < 1e-6);
        plan_path_deinit(&runs[k].path);
        rig_destroy(runs[k].rig);
    }
}

static void speed_changes(void **unused)
{
    (void)unused;
    speed_changes_keep_the_path(PRINTER("cartesian"), 1);
    speed_changes_keep_the_path(PRINTER("corexy") SHAPERS, 2);
    speed_changes_keep_the_path(PRINTER("corexy") SHAPERS, 3);
}

static double live_speed(struct rig *rig)
{
    struct engine_status motion;
    engine_get_status(rig_printer(rig)->engine, runtime_now(rig_runtime(rig)), &motion);
    return motion.live_velocity_mm_s;
}

/* One long line: the speed follows within 0.3 s and the braking, nothing stops; a line of the file that says M220 acts
 * where it stands; the printer's own moves are not scaled. */
static void speed_acts_at_the_horizon(void **unused)
{
    (void)unused;
    struct rig *rig = start(PRINTER("cartesian"));
#define BACK_AND_FORTH "G1 X160\nG1 X190\nG1 X160\nG1 X190\nG1 X160\nG1 X190\n"
    rig_add_gcode(rig, "line.gcode", "G1 X10 Y10 F6000\nG1 X190 F1800\n" BACK_AND_FORTH BACK_AND_FORTH
                                     "M220 S50\nG1 X10 F6000\nG1 X20\n");
    script(rig, "SDCARD_PRINT_FILE FILENAME=line.gcode");
    rig_run(rig, 3);
    assert_true(fabs(live_speed(rig) - 30) < 1e-6);
    assert_true(say(rig, "M220 S20") < 0.01);
    rig_run(rig, 0.2);
    assert_true(fabs(live_speed(rig) - 30) < 1e-6); /* committed */
    rig_run(rig, 0.11);
    assert_true(live_speed(rig) < 30 && live_speed(rig) >= 6 - 1e-6);
    rig_run(rig, 0.02);
    assert_true(fabs(live_speed(rig) - 6) < 1e-6);
    assert_true(say(rig, "  m220 s300\n") < 0.01);
    rig_run(rig, 0.36);
    assert_true(fabs(live_speed(rig) - 90) < 1e-6);
    /* what is no speed is M220's to refuse, in its turn */
    (void)snprintf(script_text, sizeof script_text, "M220 S0");
    struct request bad = {.fn = run_script};
    request_begin(rig, &bad);
    request_finish(&bad, 30);
    assert_int_not_equal(bad.result, OK);
    double slowest = 1e9, fastest = 0;
    wait_status(rig, "gcode_move", "speed_factor", "0.5", 30); /* the file's own */
    while (fabs(live_speed(rig) - 50) > 1e-6)
        rig_run(rig, 0.02);
    for (int i = 0; i < 50; i++, rig_run(rig, 0.02)) {
        slowest = fmin(slowest, live_speed(rig));
        fastest = fmax(fastest, live_speed(rig));
    }
    assert_true(fabs(slowest - 50) < 1e-6 && fabs(fastest - 50) < 1e-6);
    wait_status(rig, "print_stats", "state", "\"complete\"", 60);
    rig_run(rig, 2);
    expect_position(rig, 20, 10, 5);
    expect_in_place(rig);
    expect_status(rig, "gcode_move", "speed_factor", "0.5");
    rig_destroy(rig);
}

/* While the file heats up nobody waits for its turn; a pause keeps the new factor. */
static void speed_does_not_queue(void **unused)
{
    (void)unused;
    struct rig *rig = start(PRINTER("cartesian"));
    rig_add_gcode(rig, "heat.gcode", "G1 X10 Y10 F6000\nM109 S220\nG1 X190 F3000\n");
    script(rig, "SDCARD_PRINT_FILE FILENAME=heat.gcode");
    rig_run(rig, 4);
    assert_true(say(rig, "M220 S40") < 0.01);
    assert_true(speed_factor(rig) == 0.4);
    wait_status(rig, "print_stats", "state", "\"printing\"", 1);
    while (live_speed(rig) == 0)
        rig_run(rig, 0.1);
    rig_run(rig, 0.5);
    assert_true(fabs(live_speed(rig) - 20) < 1e-6);
    assert_true(say(rig, "M220 S80") < 0.01);
    rig_run(rig, 0.5);
    ask(rig, job_pause);
    assert_true(speed_factor(rig) == 0.8); /* also of the state that is shown meanwhile */
    ask(rig, job_resume);
    rig_run(rig, 1);
    assert_true(fabs(live_speed(rig) - 40) < 1e-6);
    rig_destroy(rig);
}

/* ------------------------------------------------------------------------------------------- pause from a console */

static void a_pause_from_the_console(void **unused)
{
    (void)unused;
    static const char *const words[] = {"PAUSE", "pause ; by hand", "  PAUSE X=5\n", "M25"};
    struct rig *rig = start(PRINTER("cartesian") "[gcode_macro PAUSE]\nrename_existing: BASE_PAUSE\ngcode:\n"
                                                 "  M117 x{params.X|default(0)}\n  BASE_PAUSE\n");
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        script(rig, "G1 X10 Y10 Z5 F6000\nM400");
        rig_add_gcode(rig, "slow.gcode", "G1 X100 F600\nG1 X110 F6000\n");
        script(rig, "SDCARD_PRINT_FILE FILENAME=slow.gcode");
        rig_run(rig, 3);
        const double took_s = say(rig, words[i]);
        if (took_s > 0.5)
            fail_msg("%s took %.2f s", words[i], took_s);
        expect_status(rig, "print_stats", "state", "\"paused\"");
        double pos[4];
        position(rig, pos);
        assert_true(pos[0] > 30 && pos[0] < 50);
        expect_in_place(rig);
        if (i == 2)
            expect_status(rig, "display_status", "message", "\"x5\"");
        say(rig, i == 3 ? "M24" : "RESUME");
        wait_status(rig, "print_stats", "state", "\"complete\"", 60);
        rig_run(rig, 1);
        expect_position(rig, 110, 10, 5);
        expect_in_place(rig);
    }
    /* also while the file heats up */
    rig_add_gcode(rig, "heat.gcode", "M109 S220\nM117 hot\n");
    script(rig, "SDCARD_PRINT_FILE FILENAME=heat.gcode");
    rig_run(rig, 2);
    assert_true(say(rig, "PAUSE") < 0.5);
    expect_status(rig, "print_stats", "state", "\"paused\"");
    /* what is more than one command takes its turn */
    assert_true(say(rig, "M117 one\nM118 two") < 0.5);
    rig_destroy(rig);
}

/* -------------------------------------------------------------------------------------------------------- cancel */

static const struct {
    const char *lines;
    bool is_homed; /* the position is known afterwards */
} long_commands[] = {
    {"G28", false},
    {"PROBE", true},
    {"BED_MESH_CALIBRATE", true},
    {"M109 S250", true},
    {"M190 S100", true},
    {"TEMPERATURE_WAIT SENSOR=extruder MINIMUM=200", true},
    {"LOOPER", true},
    {"SLOW", true},
    {"HEAT", true},
    {"G4 P600000", true},
    {"G1 X190 F60\nM400", true},
    {"MANUAL_PROBE\nG4 P600000", true},
};

/* `is_file`: the command stands in a file that is printed; else a client has sent it. `by_script`: CANCEL_PRINT, else the
 * request of the API. */
static void cancel_all(bool is_file, bool by_script)
{
    struct rig *rig = start(PRINTER("cartesian"));
    for (size_t i = 0; i < ARRAY_COUNT(long_commands); i++) {
        const char *lines = long_commands[i].lines;
        script(rig, "G28\nG90\nG1 X20 Y20 Z20 F6000\nM400\nM117 begun");
        rig_clear_console(rig);
        if (is_file) {
            char *text = mem_sprintf("%s\nG1 X100\n", lines);
            rig_add_gcode(rig, "long.gcode", text);
            mem_free(text);
            script(rig, "SDCARD_PRINT_FILE FILENAME=long.gcode");
        } else {
            rig_begin_script(rig, lines);
        }
        rig_run(rig, 1.2);
        (void)snprintf(script_text, sizeof script_text, "CANCEL_PRINT");
        const double took_s = ask(rig, by_script ? run_script : job_cancel);
        const double begun_s = rig_now_s(rig);
        if (!rig_run_until(rig, stands_still, rig, 30))
            fail_msg("%s (file %d, script %d): never stands still", lines, is_file, by_script);
        const double still_s = rig_now_s(rig) - begun_s + took_s;
        if (took_s > 1.0 || still_s > 1.2)
            fail_msg("%s: answered after %.2f s, stands still after %.2f s", lines, took_s, still_s);
        expect_status(rig, "display_status", "message", "\"user cancel\"");
        if (is_file)
            expect_status(rig, "print_stats", "state", "\"cancelled\"");
        assert_true(rig_status_number(rig, "extruder", "target") == 0);
        assert_true(rig_status_number(rig, "heater_bed", "target") == 0);
        expect_status(rig, "manual_probe", "is_active", "false");
        if (strstr(rig_console(rig), "!!") || strstr(rig_console(rig), "too far"))
            fail_msg("%s: %s", lines, rig_console(rig));
        assert_int_equal(printer_state(rig_printer(rig)), PRINTER_READY);
        if (long_commands[i].is_homed)
            expect_in_place(rig);
    }
    /* and the next print works */
    rig_add_gcode(rig, "next.gcode", "G28\nG90\nM83\nG1 X50 Y60 Z2 F6000\nG1 X70 E1 F3000\n");
    script(rig, "SDCARD_PRINT_FILE FILENAME=next.gcode");
    wait_status(rig, "print_stats", "state", "\"complete\"", 120);
    rig_run(rig, 1);
    expect_position(rig, 70, 60, 2);
    expect_in_place(rig);
    rig_destroy(rig);
}

static void cancel_ends_everything(void **unused)
{
    (void)unused;
    for (int k = 0; k < 4; k++)
        cancel_all(k & 1, k & 2);
}

/* In the middle of what the pause does: the print is over, and nothing of it is left. */
static void cancel_in_the_middle_of_a_pause(void **unused)
{
    (void)unused;
    struct rig *rig = start(PRINTER("cartesian") "[gcode_macro PAUSE]\nrename_existing: BASE_PAUSE\ngcode:\n"
                                                 "  BASE_PAUSE\n  G91\n  G1 Z50 F60\n  G90\n");
    for (int k = 0; k < 2; k++) {
        script(rig, "G28\nG90\nG1 X20 Y20 Z20 F6000\nM400");
        add_squares(rig, "long.gcode", 50);
        script(rig, "SDCARD_PRINT_FILE FILENAME=long.gcode");
        rig_run(rig, 4);
        struct request pausing = {.fn = job_pause};
        request_begin(rig, &pausing);
        rig_run(rig, k ? 0.2 : 3);
        assert_true(ask(rig, job_cancel) < 1.0);
        (void)request_finish(&pausing, 5);
        assert_true(rig_run_until(rig, stands_still, rig, 1));
        expect_status(rig, "print_stats", "state", "\"cancelled\"");
        expect_status(rig, "pause_resume", "is_paused", "false");
        expect_in_place(rig);
    }
    rig_destroy(rig);
}

/* ------------------------------------------------------------------------------------------------ emergency stop */

static void emergency_stop_is_immediate(void **unused)
{
    (void)unused;
    for (int k = 0; k < 2; k++) {
        struct rig *rig = start(PRINTER("cartesian"));
        rig_add_gcode(rig, "a.gcode", k ? "M109 S250\n" : "G1 X10 F6000\nM104 S200\nG1 X190 F600\nM112\nG1 X20\n");
        script(rig, "SDCARD_PRINT_FILE FILENAME=a.gcode");
        rig_run(rig, 2);
        if (k) { /* while the file has the turn */
            assert_true(say(rig, "M117 help\nN7 M112*3") < 0.001);
        } else { /* the reader has met it long before the move in front of it ends */
            rig_run(rig, 0.1);
        }
        assert_int_equal(printer_state(rig_printer(rig)), PRINTER_SHUTDOWN);
        rig_run(rig, 0.1);
        assert_true(heater_duty(rig) == 0);
        rig_destroy(rig);
    }
}

/* ---------------------------------------------------------------------------------------- inconsistent motion */

static struct engine_stepper *stepper_of(struct rig *rig, const char *name)
{
    struct engine *e = rig_printer(rig)->engine;
    for (unsigned i = 0; i < e->stepper_count; i++)
        if (strcmp(e->steppers[i]->name, name) == 0)
            return e->steppers[i];
    fail_msg("no stepper %s", name);
    return NULL;
}

static void expect_words(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!strstr(text, words[i]))
            fail_msg("'%s' is missing in: %s", words[i], text);
}

/* Broken on purpose in the middle of a print, in two places: the last check before the boards, and the step solver, which
 * is given history that its new queue does not know (the failure that transactions exclude). Nothing is sent, the printer
 * stops, heaters are off, the text says everything. */
static void inconsistent_steps_stop_the_printer(void **unused)
{
    (void)unused;
    for (int k = 0; k < 2; k++) {
        struct rig *rig = start(PRINTER("cartesian"));
        script(rig, "SYNC_EXTRUDER_MOTION EXTRUDER=gear MOTION_QUEUE=\nSYNC_EXTRUDER_MOTION EXTRUDER=gear MOTION_QUEUE=extruder");
        add_squares(rig, "long.gcode", 50);
        script(rig, "M104 S150\nSDCARD_PRINT_FILE FILENAME=long.gcode");
        rig_run(rig, 5);
        assert_true(heater_duty(rig) > 0);
        struct engine_stepper *gear = stepper_of(rig, "extruder_stepper gear");
        if (k == 0)
            gear->last_clock += (uint64_t)1 << 33;
        else
            gear->sg->last_clock += 1e9;
        const uint64_t handed = gear->steps_handed;
        rig_run(rig, 0.3);
        assert_int_equal(gear->steps_handed, handed); /* not one step more */
        assert_int_equal(printer_state(rig_printer(rig)), PRINTER_SHUTDOWN);
        const char *text = printer_state_message(rig_printer(rig));
        static const char *const words[] = {"extruder_stepper gear", "queue 'extruder'", "Last binding", "follows extruder since",
                                            "SYNC_EXTRUDER_MOTION EXTRUDER=gear MOTION_QUEUE=extruder", "byte ",
                                            "of the file", " mm/s"};
        print_message("%s\n", text);
        expect_words(text, words, ARRAY_COUNT(words));
        assert_null(strstr(text, "Internal error"));
        rig_run(rig, 0.2);
        assert_true(heater_duty(rig) == 0);
        assert_true(strcmp(rig_status(rig, "webhooks", "state"), "\"shutdown\"") == 0);
        expect_words(rig_status(rig, "webhooks", "state_message"), words, ARRAY_COUNT(words));
        rig_destroy(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speed_changes),
        cmocka_unit_test(speed_acts_at_the_horizon),
        cmocka_unit_test(speed_does_not_queue),
        cmocka_unit_test(a_pause_from_the_console),
        cmocka_unit_test(cancel_ends_everything),
        cmocka_unit_test(cancel_in_the_middle_of_a_pause),
        cmocka_unit_test(emergency_stop_is_immediate),
        cmocka_unit_test(inconsistent_steps_stop_the_printer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
