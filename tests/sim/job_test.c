/* Jobs on a whole simulated printer: files, pause, resume, cancel, excluded objects. */
#include "tests/sim/job_rig.h"

#include "base/actor.h"
#include "base/mem.h"
#include "base/rng.h"
#include "motion/engine.h"
#include "server/job/job.h"
#include "server/machine/printer.h"
#include "server/mmu/mmu.h"

#include <math.h>

/* ------------------------------------------------------------------------------------------------------- files */

static void a_file_is_printed_to_its_end(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE);
    script(rig, HOME);
    add_squares(rig, "sub.gcode", 3);
    ask(rig, job_resume); /* not paused: says so, no error */
    assert_non_null(strstr(rig_console(rig), "not paused"));
    script(rig, "SDCARD_PRINT_FILE FILENAME=/SUB.gcode"); /* case differs, leading slash */
    expect_status(rig, "print_stats", "state", "\"printing\"");
    wait_status(rig, "print_stats", "state", "\"complete\"", 120);
    assert_non_null(strstr(rig_console(rig), "Done printing file"));
    expect_status(rig, "virtual_sdcard", "progress", "1.0");
    expect_status(rig, "virtual_sdcard", "is_active", "false");
    expect_status(rig, "virtual_sdcard", "file_path", "null");
    expect_status(rig, "print_stats", "info", "{\"total_layer\": 3, \"current_layer\": 3}");
    rig_run(rig, 5);
    assert_true(fabs(rig_status_number(rig, "print_stats", "filament_used") - 12) < 1e-6);
    expect_position(rig, 50, 50, 0.2);
    script(rig, "SDCARD_RESET_FILE");
    expect_status(rig, "print_stats", "state", "\"standby\"");
    rig_destroy(rig);
}

static void files_that_cannot_be_printed(void **unused)
{
    (void)unused;
    static const char *const names[] = {"none.gcode", "../printer.cfg", "/etc/passwd", "", ".", "a/../../printer.cfg"};
    struct rig *rig = job_rig_start(CONFIG_BASE);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *text = mem_sprintf("SDCARD_PRINT_FILE FILENAME=\"%s\"", names[i]);
        assert_int_not_equal(rig_script(rig, text, 10), OK);
        assert_non_null(strstr(rig_error(rig), "Unable to open file"));
        mem_free(text);
    }
    expect_status(rig, "print_stats", "state", "\"standby\"");
    script(rig, "M27");
    assert_non_null(strstr(rig_console(rig), "Not SD printing."));
    assert_int_not_equal(rig_script(rig, "M28 x", 10), OK);
    rig_destroy(rig);
}

/* An error in a line ends the print, names the line, runs on_error_gcode; the printer stays ready. */
static void a_bad_line_ends_the_print(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE "[virtual_sdcard]\non_error_gcode:\n  M117 it failed\n");
    script(rig, HOME);
    rig_add_gcode(rig, "bad.gcode", "G1 X10 F3000\nG1 X9999\nG1 X20\n");
    script(rig, "SDCARD_PRINT_FILE FILENAME=bad.gcode");
    wait_status(rig, "print_stats", "state", "\"error\"", 30);
    assert_non_null(strstr(rig_console(rig), "!! "));
    assert_non_null(strstr(rig_status(rig, "print_stats", "message"), "9999"));
    expect_status(rig, "display_status", "message", "\"it failed\"");
    rig_run(rig, 3);
    expect_position(rig, 10, 0, 0);
    assert_int_equal(printer_state(rig_printer(rig)), PRINTER_READY);
    /* and the next one prints */
    add_squares(rig, "good.gcode", 1);
    script(rig, "SDCARD_PRINT_FILE FILENAME=good.gcode");
    wait_status(rig, "print_stats", "state", "\"complete\"", 60);
    rig_destroy(rig);
}

static void damaged_files_end_in_an_error(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE);
    script(rig, HOME);
    char *long_line = MEM_ARRAY(char, 200000);
    memset(long_line, 'G', 199998);
    rig_add_gcode(rig, "long.gcode", long_line);
    mem_free(long_line);
    script(rig, "SDCARD_PRINT_FILE FILENAME=long.gcode");
    wait_status(rig, "print_stats", "state", "\"error\"", 30);
    assert_non_null(strstr(rig_status(rig, "print_stats", "message"), "offset 0"));

    add_squares(rig, "short.gcode", 10000); /* a megabyte: far more than is read ahead */
    script(rig, "SDCARD_PRINT_FILE FILENAME=short.gcode");
    rig_run(rig, 1);
    rig_add_gcode(rig, "short.gcode", "G28\n");
    wait_status(rig, "print_stats", "state", "\"error\"", 10000);
    assert_non_null(strstr(rig_status(rig, "print_stats", "message"), "shorter"));
    rig_destroy(rig);
}

/* ------------------------------------------------------------------------------------------------- pause, cancel */

/* A pause in the file acts where it stands: every line before it is executed, none behind it. */
static void a_pause_in_the_file(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE);
    script(rig, HOME);
    rig_add_gcode(rig, "p.gcode", "G1 X10 F3000\nG1 X20\nPAUSE\nG1 X30\nG1 X40");
    script(rig, "SDCARD_PRINT_FILE FILENAME=p.gcode");
    wait_status(rig, "print_stats", "state", "\"paused\"", 30);
    rig_run(rig, 5);
    expect_position(rig, 20, 0, 0);
    expect_status(rig, "pause_resume", "is_paused", "true");
    script(rig, "G1 X100 Y100 F6000"); /* away by hand */
    script(rig, "RESUME");
    wait_status(rig, "print_stats", "state", "\"complete\"", 30);
    rig_run(rig, 3);
    expect_position(rig, 40, 0, 0);
    rig_destroy(rig);
}

/* Another file in place of a paused one: the old pause is gone, so PAUSE stops the new file too. */
static void a_new_file_forgets_the_pause(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE);
    script(rig, HOME);
    rig_add_gcode(rig, "a.gcode", "G1 X10 F3000\nPAUSE\nG1 X20");
    rig_add_gcode(rig, "b.gcode", "G1 X50 F3000\nPAUSE\nG1 X60");
    script(rig, "SDCARD_PRINT_FILE FILENAME=a.gcode");
    wait_status(rig, "print_stats", "state", "\"paused\"", 30);
    script(rig, "SDCARD_PRINT_FILE FILENAME=b.gcode");
    wait_status(rig, "print_stats", "state", "\"paused\"", 30);
    expect_status(rig, "pause_resume", "is_paused", "true");
    rig_run(rig, 5);
    expect_position(rig, 50, 0, 0);
    script(rig, "RESUME");
    wait_status(rig, "print_stats", "state", "\"complete\"", 30);
    rig_run(rig, 3);
    expect_position(rig, 60, 0, 0);
    rig_destroy(rig);
}

/* A client's pause stops at the horizon, shows the executed state, and the tail is played on resume: in the end the same
 * filament is in the same places. */
static void a_clients_pause_keeps_the_tail(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_MACROS);
    script(rig, HOME);
    add_squares(rig, "long.gcode", 40);
    script(rig, "SDCARD_PRINT_FILE FILENAME=long.gcode");
    double end_e = 160;
    for (int i = 0; i < 5; i++) {
        rig_run(rig, 3.3);
        double took_s = ask(rig, job_pause);
        assert_true(took_s < 3.5); /* the horizon, and the way to the parking place */
        expect_status(rig, "print_stats", "state", "\"paused\"");
        expect_status(rig, "pause_resume", "is_paused", "true");
        rig_run(rig, 2);
        double pos[4];
        position(rig, pos);
        assert_true(fabs(pos[0]) < 1e-6 && fabs(pos[1]) < 1e-6); /* the macro has parked it */
        assert_true(pos[3] < end_e - 1);
        ask(rig, job_pause); /* once more: nothing */
        ask(rig, job_resume);
        wait_status(rig, "print_stats", "state", "\"printing\"", 10);
    }
    wait_status(rig, "print_stats", "state", "\"complete\"", 400);
    rig_run(rig, 3);
    expect_position(rig, 50, 50, 0.2);
    assert_true(fabs(rig_status_number(rig, "print_stats", "filament_used") - end_e) < 1e-6);
    double pos[4];
    position(rig, pos);
    assert_true(fabs(pos[3] - end_e) < 1e-6);
    rig_destroy(rig);
}

/* A heating wait in the file is taken back by a pause and runs again on resume. */
static void a_pause_does_not_wait_for_a_heater(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE);
    rig_add_gcode(rig, "heat.gcode", "M109 S200\nM117 hot\n");
    script(rig, "SDCARD_PRINT_FILE FILENAME=heat.gcode");
    rig_run(rig, 2);
    assert_true(ask(rig, job_pause) < 1.0);
    expect_status(rig, "print_stats", "state", "\"paused\"");
    expect_status(rig, "display_status", "message", "null");
    assert_null(strstr(rig_console(rig), "!!"));
    ask(rig, job_resume);
    wait_status(rig, "print_stats", "state", "\"complete\"", 600);
    expect_status(rig, "display_status", "message", "\"hot\"");
    assert_true(rig_status_number(rig, "extruder", "temperature") > 195);
    rig_destroy(rig);
}

static void cancel_ends_waits_at_once(void **unused)
{
    (void)unused;
    static const char *const files[] = {"M109 S250\nG1 X1\n", "G28\nG28\nG28\n", "SLOW\n", "G4 P600000\nG1 X10\n"};
    struct rig *rig = job_rig_start(CONFIG_MACROS "[gcode_macro SLOW]\ngcode:\n  M109 S250\n  M117 too far\n");
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        script(rig, HOME);
        rig_clear_console(rig);
        rig_add_gcode(rig, "wait.gcode", files[i]);
        script(rig, "SDCARD_PRINT_FILE FILENAME=wait.gcode");
        rig_run(rig, 1.5);
        expect_status(rig, "print_stats", "state", "\"printing\"");
        double took_s = ask(rig, job_cancel);
        if (took_s > 3)
            fail_msg("%s: cancelling took %.2f s", files[i], took_s);
        expect_status(rig, "print_stats", "state", "\"cancelled\"");
        expect_status(rig, "virtual_sdcard", "file_path", "null");
        expect_status(rig, "display_status", "message", "\"user cancel\"");
        expect_job(rig, "cancelled");
        assert_null(strstr(rig_console(rig), "!!"));
        script(rig, "M104 S0");
    }
    rig_destroy(rig);
}

static void cancel_drops_what_was_planned(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE);
    script(rig, HOME);
    add_squares(rig, "long.gcode", 100);
    script(rig, "SDCARD_PRINT_FILE FILENAME=long.gcode");
    rig_run(rig, 6);
    ask(rig, job_pause);
    double held[4], after[4];
    position(rig, held);
    ask(rig, job_cancel);
    rig_run(rig, 3);
    position(rig, after);
    for (int i = 0; i < 4; i++)
        assert_true(fabs(held[i] - after[i]) < 1e-6);
    expect_status(rig, "print_stats", "state", "\"cancelled\"");
    expect_status(rig, "pause_resume", "is_paused", "false");
    script(rig, "G90\nG1 X100 Y100 F6000\nM400");
    expect_position(rig, 100, 100, 0.2);
    add_squares(rig, "next.gcode", 1);
    script(rig, "SDCARD_PRINT_FILE FILENAME=next.gcode");
    wait_status(rig, "print_stats", "state", "\"complete\"", 60);
    rig_destroy(rig);
}

static bool stands_still(void *ctx)
{
    struct rig *rig = ctx;
    struct engine_status motion;
    engine_get_status(rig_printer(rig)->engine, runtime_now(rig_runtime(rig)), &motion);
    return motion.is_idle;
}

/* Cancelled in the middle of its moves: stands still within the horizon and the braking, with everything in its place.
 */
static void cancel_in_the_middle_of_a_move(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE);
    script(rig, HOME);
    add_squares(rig, "long.gcode", 100);
    double worst_s = 0;
    for (int i = 0; i < 10; i++) {
        script(rig, "SDCARD_PRINT_FILE FILENAME=long.gcode");
        rig_run(rig, 3.07 + 0.37 * i);
        double begun_s = rig_now_s(rig), stands[4], later[4];
        ask(rig, job_cancel);
        position(rig, stands);
        assert_true(rig_run_until(rig, stands_still, rig, 10));
        worst_s = fmax(worst_s, rig_now_s(rig) - begun_s);
        rig_run(rig, 2);
        position(rig, later);
        for (int k = 0; k < 4; k++)
            assert_true(fabs(stands[k] - later[k]) < 1e-9);
        expect_status(rig, "print_stats", "state", "\"cancelled\"");
        script(rig, "G90\nG1 X50 Y50 Z0.2 F6000\nM400");
        expect_position(rig, 50, 50, 0.2);
    }
    print_message("standing still at most %.2f s after the request\n", worst_s);
    assert_true(worst_s < 1.1); /* 0.7 s of committed steps without real-time rights, the rest is braking and slack */
    rig_destroy(rig);
}

/* Macros that stand around PAUSE and CANCEL_PRINT and do not do what they are for. */
static void macros_that_refuse_or_fail(void **unused)
{
    (void)unused;
    struct rig *rig =
        job_rig_start(CONFIG_BASE "[gcode_macro PAUSE]\nrename_existing: BASE_PAUSE\ngcode:\n  M118 not now\n"
                                  "[gcode_macro CANCEL_PRINT]\nrename_existing: BASE_CANCEL\ngcode:\n  M118 no\n");
    script(rig, HOME);
    add_squares(rig, "long.gcode", 10);
    script(rig, "SDCARD_PRINT_FILE FILENAME=long.gcode");
    rig_run(rig, 4);
    ask(rig, job_pause); /* it chose not to: the print goes on, whole */
    expect_status(rig, "print_stats", "state", "\"printing\"");
    rig_run(rig, 2);
    ask(rig, job_cancel);
    expect_status(rig, "print_stats", "state", "\"printing\"");
    wait_status(rig, "print_stats", "state", "\"complete\"", 60);
    expect_position(rig, 50, 50, 0.2);
    assert_true(fabs(rig_status_number(rig, "print_stats", "filament_used") - 40) < 1e-6);
    rig_destroy(rig);

    rig = job_rig_start(CONFIG_BASE
                        "[gcode_macro PAUSE]\nrename_existing: BASE_PAUSE\ngcode:\n  G1 Z999\n  BASE_PAUSE\n"
                        "[gcode_macro CANCEL_PRINT]\nrename_existing: BASE_CANCEL\ngcode:\n  G1 Z999\n  BASE_CANCEL\n");
    script(rig, HOME);
    add_squares(rig, "long.gcode", 10);
    script(rig, "SDCARD_PRINT_FILE FILENAME=long.gcode");
    rig_run(rig, 4);
    struct request failing = {.fn = job_pause};
    request_begin(rig, &failing);
    request_finish(&failing, 10);
    assert_int_not_equal(failing.result, OK); /* it failed: stopped all the same, and can be resumed */
    expect_status(rig, "print_stats", "state", "\"paused\"");
    expect_status(rig, "pause_resume", "is_paused", "true");
    ask(rig, job_resume);
    expect_status(rig, "print_stats", "state", "\"printing\"");
    rig_run(rig, 2);
    failing = (struct request){.fn = job_cancel};
    request_begin(rig, &failing);
    request_finish(&failing, 10);
    assert_int_not_equal(failing.result, OK); /* over all the same */
    expect_status(rig, "print_stats", "state", "\"cancelled\"");
    rig_destroy(rig);
}

/* -------------------------------------------------------------------------------------------- many clients at once */

static enum err mmu_unlock_request(struct printer *printer, struct err_info *info)
{
    return mmu_unlock(printer, info);
}

/* Clients ask for whatever they like whenever they like. Every request ends, nothing breaks, and if nobody cancelled,
 * the print is whole in the end. */
static void random_requests_leave_a_whole_print(void **unused)
{
    (void)unused;
    static request_fn *const kinds[] = {job_pause, job_pause,          job_resume, job_resume, job_resume,
                                        NULL,      mmu_unlock_request, mmu_resume, job_cancel};
    enum { CLIENTS = 3, REQUESTS = 12, ROUNDS = 12 };
    size_t completed = 0, cancelled = 0;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct rng rng;
        rng_init(&rng, seed);
        struct rig *rig = job_rig_start(CONFIG_MACROS);
        script(rig, HOME);
        add_squares(rig, "long.gcode", 20);
        script(rig, "SDCARD_PRINT_FILE FILENAME=long.gcode");
        bool was_cancelled = false, may_cancel = seed % 3 == 0;
        for (int i = 0; i < REQUESTS; i++) {
            struct request asked[CLIENTS] = {{0}};
            rig_run(rig, rng_range(&rng, 0, 2.5));
            for (int c = 0; c < CLIENTS; c++) {
                asked[c].fn = kinds[rng_below(&rng, may_cancel ? 9 : 8)];
                asked[c].message = "random";
                was_cancelled |= asked[c].fn == job_cancel;
                request_begin(rig, &asked[c]);
                if (rng_below(&rng, 2))
                    rig_run(rig, rng_range(&rng, 0, 0.5));
            }
            for (int c = 0; c < CLIENTS; c++)
                request_finish(&asked[c], 60);
        }
        assert_int_equal(printer_state(rig_printer(rig)), PRINTER_READY);
        for (int i = 0; i < 3; i++) { /* whatever state they left it in */
            ask(rig, mmu_resume);
            rig_run(rig, 1);
        }
        if (!was_cancelled) {
            wait_status(rig, "print_stats", "state", "\"complete\"", 300);
            wait_status(rig, "mmu", "print_state", "\"complete\"", 10);
            expect_position(rig, 50, 50, 0.2);
            if (fabs(rig_status_number(rig, "print_stats", "filament_used") - 80) > 1e-6)
                fail_msg("seed %d: %s mm of filament instead of 80\n%s", (int)seed,
                         rig_status(rig, "print_stats", "filament_used"), rig_console(rig));
            completed++;
        } else {
            expect_status(rig, "print_stats", "state", "\"cancelled\"");
            cancelled++;
        }
        rig_destroy(rig);
    }
    print_message("seeds 1 to %d: %zu complete, %zu cancelled\n", ROUNDS, completed, cancelled);
}

/* ------------------------------------------------------------------------------------------------ excluded objects */

static void excluded_objects_are_left_out(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE);
    script(rig, HOME);
    rig_add_gcode(
        rig, "two.gcode",
        "EXCLUDE_OBJECT_DEFINE NAME=left CENTER=20,20 POLYGON=[[10,10],[30,10],[30,30]]\n"
        "EXCLUDE_OBJECT_DEFINE NAME=right CENTER=80,20\n"
        "EXCLUDE_OBJECT NAME=LEFT\nM83\nG90\nG1 Z0.2 F600\n"
        "EXCLUDE_OBJECT_START NAME=left\nG1 X10 Y10 F6000\nG1 X30 E5 F3000\nG1 Y30 E5\nEXCLUDE_OBJECT_END NAME=left\n"
        "EXCLUDE_OBJECT_START NAME=right\nG1 X70 Y10 F6000\nG1 X90 E2 F3000\nEXCLUDE_OBJECT_END NAME=right\n");
    script(rig, "SDCARD_PRINT_FILE FILENAME=two.gcode");
    wait_status(rig, "print_stats", "state", "\"complete\"", 60);
    rig_run(rig, 3);
    expect_position(rig, 90, 10, 0.2);
    double pos[4];
    position(rig, pos);
    assert_true(fabs(pos[3] - 2) < 1e-6); /* the left one's filament was not extruded */
    expect_status(rig, "exclude_object", "excluded_objects", "[\"LEFT\"]");
    const char *objects = rig_status(rig, "exclude_object", "objects");
    assert_non_null(strstr(objects, "\"center\": [20, 20]"));
    assert_non_null(strstr(objects, "[[10, 10], [30, 10], [30, 30]]"));
    script(rig, "EXCLUDE_OBJECT\nEXCLUDE_OBJECT_DEFINE");
    assert_non_null(strstr(rig_console(rig), "Excluded objects: LEFT"));
    assert_non_null(strstr(rig_console(rig), "Known objects: LEFT RIGHT"));
    assert_int_not_equal(rig_script(rig, "EXCLUDE_OBJECT_DEFINE NAME=x POLYGON=[[1,2]", 5), OK);
    assert_int_not_equal(rig_script(rig, "EXCLUDE_OBJECT CURRENT=1", 5), OK);
    script(rig, "SDCARD_RESET_FILE");
    expect_status(rig, "exclude_object", "objects", "[]");
    expect_status(rig, "exclude_object", "excluded_objects", "[]");
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_printed_to_its_end),
        cmocka_unit_test(files_that_cannot_be_printed),
        cmocka_unit_test(a_bad_line_ends_the_print),
        cmocka_unit_test(damaged_files_end_in_an_error),
        cmocka_unit_test(a_pause_in_the_file),
        cmocka_unit_test(a_new_file_forgets_the_pause),
        cmocka_unit_test(a_clients_pause_keeps_the_tail),
        cmocka_unit_test(a_pause_does_not_wait_for_a_heater),
        cmocka_unit_test(cancel_ends_waits_at_once),
        cmocka_unit_test(cancel_drops_what_was_planned),
        cmocka_unit_test(cancel_in_the_middle_of_a_move),
        cmocka_unit_test(macros_that_refuse_or_fail),
        cmocka_unit_test(random_requests_leave_a_whole_print),
        cmocka_unit_test(excluded_objects_are_left_out),
    };
    return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
