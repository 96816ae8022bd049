/* The states of a print job on a whole simulated printer: each transition of the table, reached by commands, requests
 * and prints, and the rules that users rely on. */
#include "tests/sim/job_rig.h"

#include "base/mem.h"
#include "base/strbuf.h"
#include "server/job/job.h"
#include "server/machine/printer.h"
#include "server/mmu/mmu.h"
#include "server/mmu/print_state.h"

#include <math.h>

#define PARK_X 0.0 /* where the PAUSE macro of CONFIG_MACROS goes */
#define PARK_Y 0.0

/* ---------------------------------------------------------------------------------------------- single transitions */

/* Bring a fresh printer into `state` by commands only. The toolhead is at 30 30 5 then. */
static void reach(struct rig *rig, enum mmu_state state)
{
    switch (state) {
    case MMU_STATE_INITIALIZED:
        break;
    case MMU_STATE_STANDBY:
        script(rig, "MMU_PRINT_START\nMMU_PRINT_END STATE=standby");
        break;
    case MMU_STATE_READY:
        script(rig, "MMU_PRINT_START\nMMU_PRINT_END STATE=ready");
        break;
    case MMU_STATE_STARTED:
        rig_add_gcode(rig, "started.gcode", "G4 P600000\n");
        script(rig, "SDCARD_PRINT_FILE FILENAME=started.gcode"); /* MMU_PRINT_START is queued behind this script */
        break;
    case MMU_STATE_PRINTING:
        script(rig, "MMU_PRINT_START");
        break;
    case MMU_STATE_COMPLETE:
        script(rig, "MMU_PRINT_START\nMMU_PRINT_END");
        break;
    case MMU_STATE_ERROR:
        script(rig, "MMU_PRINT_START\n_MMU_PRINT_END STATE=error");
        break;
    case MMU_STATE_CANCELLED:
        script(rig, "_MMU_PRINT_START\nCANCEL_PRINT");
        break;
    case MMU_STATE_PAUSE_LOCKED:
        script(rig, "MMU_PRINT_START\nMMU_PAUSE MSG=test");
        break;
    case MMU_STATE_PAUSED:
        script(rig, "MMU_PRINT_START\nMMU_PAUSE MSG=test\nMMU_UNLOCK");
        break;
    case MMU_STATE_COUNT:
        fail();
    }
}

static const struct {
    enum mmu_state from;
    const char *script;
    enum mmu_state to;
} steps[] = {
    {MMU_STATE_INITIALIZED, "MMU_UNLOCK", MMU_STATE_INITIALIZED},
    {MMU_STATE_INITIALIZED, "MMU_PAUSE", MMU_STATE_INITIALIZED},
    {MMU_STATE_INITIALIZED, "MMU_PAUSE FORCE_IN_PRINT=1", MMU_STATE_PAUSE_LOCKED},
    {MMU_STATE_INITIALIZED, "MMU_PRINT_START", MMU_STATE_PRINTING},
    {MMU_STATE_INITIALIZED, "MMU_PRINT_END STATE=cancelled", MMU_STATE_INITIALIZED},
    {MMU_STATE_STANDBY, "MMU_UNLOCK", MMU_STATE_READY},
    {MMU_STATE_STANDBY, "MMU_PAUSE", MMU_STATE_READY},
    {MMU_STATE_STANDBY, "G1 X31\nM400", MMU_STATE_READY},
    {MMU_STATE_STANDBY, "MMU_PAUSE FORCE_IN_PRINT=1", MMU_STATE_PAUSE_LOCKED},
    {MMU_STATE_STANDBY, "MMU_PRINT_START", MMU_STATE_PRINTING},
    {MMU_STATE_READY, "MMU_PRINT_START", MMU_STATE_PRINTING},
    {MMU_STATE_READY, "MMU_PAUSE", MMU_STATE_READY},
    {MMU_STATE_READY, "MMU_PAUSE FORCE_IN_PRINT=1", MMU_STATE_PAUSE_LOCKED},
    {MMU_STATE_READY, "PAUSE\nRESUME", MMU_STATE_READY},
    {MMU_STATE_READY, "PAUSE\nCLEAR_PAUSE", MMU_STATE_READY},
    {MMU_STATE_READY, "MMU_PRINT_END", MMU_STATE_READY},
    {MMU_STATE_STARTED, "MMU_PRINT_START", MMU_STATE_PRINTING},
    {MMU_STATE_STARTED, "MMU_PAUSE", MMU_STATE_PAUSE_LOCKED}, /* the file is printing: that is found out first */
    {MMU_STATE_PRINTING, "MMU_PRINT_START", MMU_STATE_PRINTING},
    {MMU_STATE_PRINTING, "PAUSE", MMU_STATE_PRINTING},
    {MMU_STATE_PRINTING, "PAUSE\nRESUME", MMU_STATE_PRINTING},
    {MMU_STATE_PRINTING, "MMU_PAUSE", MMU_STATE_PAUSE_LOCKED},
    {MMU_STATE_PRINTING, "PAUSE\nMMU_PAUSE", MMU_STATE_PAUSE_LOCKED},
    {MMU_STATE_PRINTING, "MMU_UNLOCK", MMU_STATE_PRINTING},
    {MMU_STATE_PRINTING, "MMU_PRINT_END", MMU_STATE_COMPLETE},
    {MMU_STATE_PRINTING, "MMU_PRINT_END STATE=error", MMU_STATE_ERROR},
    {MMU_STATE_PRINTING, "MMU_PRINT_END STATE=cancelled", MMU_STATE_CANCELLED},
    {MMU_STATE_PRINTING, "MMU_PRINT_END STATE=ready", MMU_STATE_READY},
    {MMU_STATE_PRINTING, "MMU_PRINT_END STATE=standby", MMU_STATE_STANDBY},
    {MMU_STATE_PRINTING, "CANCEL_PRINT", MMU_STATE_CANCELLED},
    {MMU_STATE_COMPLETE, "MMU_PRINT_END STATE=error", MMU_STATE_COMPLETE},
    {MMU_STATE_COMPLETE, "MMU_PAUSE", MMU_STATE_COMPLETE},
    {MMU_STATE_COMPLETE, "MMU_PAUSE FORCE_IN_PRINT=1", MMU_STATE_PAUSE_LOCKED},
    {MMU_STATE_COMPLETE, "MMU_PRINT_START", MMU_STATE_PRINTING},
    {MMU_STATE_ERROR, "CANCEL_PRINT", MMU_STATE_ERROR},
    {MMU_STATE_ERROR, "MMU_PRINT_START", MMU_STATE_PRINTING},
    {MMU_STATE_ERROR, "MMU_PAUSE FORCE_IN_PRINT=1", MMU_STATE_PAUSE_LOCKED},
    {MMU_STATE_CANCELLED, "MMU_PRINT_START", MMU_STATE_PRINTING},
    {MMU_STATE_CANCELLED, "MMU_PAUSE FORCE_IN_PRINT=1", MMU_STATE_PAUSE_LOCKED},
    {MMU_STATE_CANCELLED, "RESUME", MMU_STATE_CANCELLED},
    {MMU_STATE_PAUSE_LOCKED, "MMU_UNLOCK", MMU_STATE_PAUSED},
    {MMU_STATE_PAUSE_LOCKED, "MMU_PAUSE MSG=again", MMU_STATE_PAUSE_LOCKED},
    {MMU_STATE_PAUSE_LOCKED, "PAUSE", MMU_STATE_PAUSE_LOCKED},
    {MMU_STATE_PAUSE_LOCKED, "RESUME", MMU_STATE_PRINTING},
    {MMU_STATE_PAUSE_LOCKED, "MMU_PRINT_START", MMU_STATE_PAUSE_LOCKED},
    {MMU_STATE_PAUSE_LOCKED, "CLEAR_PAUSE", MMU_STATE_PAUSE_LOCKED},
    {MMU_STATE_PAUSE_LOCKED, "CANCEL_PRINT", MMU_STATE_CANCELLED},
    {MMU_STATE_PAUSE_LOCKED, "MMU_PRINT_END", MMU_STATE_COMPLETE},
    {MMU_STATE_PAUSE_LOCKED, "MMU_PRINT_END STATE=error", MMU_STATE_ERROR},
    {MMU_STATE_PAUSE_LOCKED, "MMU_PRINT_END STATE=standby", MMU_STATE_STANDBY},
    {MMU_STATE_PAUSED, "MMU_UNLOCK", MMU_STATE_PAUSED},
    {MMU_STATE_PAUSED, "MMU_PAUSE", MMU_STATE_PAUSED},
    {MMU_STATE_PAUSED, "RESUME", MMU_STATE_PRINTING},
    {MMU_STATE_PAUSED, "CANCEL_PRINT", MMU_STATE_CANCELLED},
    {MMU_STATE_PAUSED, "MMU_PRINT_END STATE=ready", MMU_STATE_READY},
};

static void each_command_in_each_state(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct rig *rig = job_rig_start(CONFIG_MMU);
        script(rig, HOME "\nG1 X30 Y30 Z5 F6000\nM400");
        expect_job(rig, "initialized");
        reach(rig, steps[i].from);
        if (steps[i].from != MMU_STATE_STARTED)
            expect_job(rig, mmu_state_name(steps[i].from));
        if (rig_script(rig, steps[i].script, 60))
            fail_msg("%s in %s: %s", steps[i].script, mmu_state_name(steps[i].from), rig_error(rig));
        char *want = mem_sprintf("\"%s\"", mmu_state_name(steps[i].to));
        if (strcmp(rig_status(rig, "mmu", "print_state"), want) != 0)
            fail_msg("%s in %s leads to %s instead of %s\n%s", steps[i].script, mmu_state_name(steps[i].from),
                     rig_status(rig, "mmu", "print_state"), want, rig_console(rig));
        mem_free(want);
        rig_destroy(rig);
    }
}

static void wrong_parameters_are_refused(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_MMU);
    assert_int_not_equal(rig_script(rig, "MMU_PRINT_END STATE=paused", 5), OK);
    assert_int_not_equal(rig_script(rig, "MMU_PRINT_END STATE=", 5), OK);
    assert_int_not_equal(rig_script(rig, "MMU_PAUSE FORCE_IN_PRINT=maybe", 5), OK);
    assert_int_not_equal(rig_script(rig, "MMU_PAUSE FORCE_IN_PRINT=7", 5), OK);
    expect_job(rig, "initialized");
    rig_destroy(rig);
}

/* --------------------------------------------------------------------------------------------------------- prints */

static void a_print_is_noticed(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_MMU);
    script(rig, HOME);
    add_squares(rig, "one.gcode", 2);
    script(rig, "SDCARD_PRINT_FILE FILENAME=one.gcode");
    wait_status(rig, "mmu", "print_state", "\"printing\"", 5);
    script(rig, "PAUSE"); /* PAUSE alone stops the job and never locks */
    wait_status(rig, "print_stats", "state", "\"paused\"", 5);
    rig_run(rig, 5);
    expect_job(rig, "printing");
    script(rig, "RESUME");
    expect_job(rig, "printing");
    wait_status(rig, "mmu", "print_state", "\"complete\"", 60);
    expect_status(rig, "print_stats", "state", "\"complete\"");

    rig_add_gcode(rig, "bad.gcode", "G1 X10\nG1 X1e9\n");
    script(rig, "SDCARD_PRINT_FILE FILENAME=bad.gcode");
    wait_status(rig, "mmu", "print_state", "\"error\"", 10);

    add_squares(rig, "long.gcode", 50);
    script(rig, "SDCARD_PRINT_FILE FILENAME=long.gcode");
    rig_run(rig, 2);
    ask(rig, job_cancel);
    expect_job(rig, "cancelled");
    rig_destroy(rig);
}

static void detection_can_be_switched_off(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_MMU "print_start_detection: 0\n");
    script(rig, HOME);
    add_squares(rig, "one.gcode", 1);
    script(rig, "SDCARD_PRINT_FILE FILENAME=one.gcode");
    wait_status(rig, "print_stats", "state", "\"complete\"", 60);
    expect_job(rig, "initialized");
    script(rig, "_MMU_PRINT_START"); /* a streamed job says so itself */
    expect_job(rig, "printing");
    script(rig, "_MMU_PRINT_END");
    expect_job(rig, "complete");
    rig_destroy(rig);
}

/* pause_locked remembers the position, whatever moves meanwhile; RESUME goes back there after the user's own RESUME. */
static void a_locked_job_comes_back_to_its_place(void **unused)
{
    (void)unused;
    static const char *const between[] = {"",
                                          "MMU_UNLOCK\n",
                                          "G1 X100 Y100 Z50 F9000\n",
                                          "PAUSE\n",
                                          "CLEAR_PAUSE\nPAUSE\n",
                                          "CLEAR_PAUSE\n",
                                          "MMU_PAUSE MSG=second\n",
                                          "G92 X0 Y0 Z0\nG91\nM220 S50\n"};
    for (size_t i = 0; i < sizeof(between) / sizeof(between[0]); i++) {
        struct rig *rig = job_rig_start(CONFIG_MACROS);
        script(rig, HOME);
        rig_add_gcode(rig, "p.gcode",
                      "G90\nG1 X60 Y40 Z1 F6000\nMMU_PAUSE MSG=\"filament is stuck\"\nG4 P5000\nM400\nG1 X61\n");
        script(rig, "SDCARD_PRINT_FILE FILENAME=p.gcode");
        wait_status(rig, "mmu", "print_state", "\"pause_locked\"", 20);
        expect_status(rig, "mmu", "reason_for_pause", "\"filament is stuck\"");
        rig_run(rig, 3);
        expect_position(rig, PARK_X, PARK_Y, 6); /* the user's PAUSE has run */
        script(rig, between[i]);
        if (i == 6)
            expect_status(rig, "mmu", "reason_for_pause", "\"filament is stuck\""); /* the first reason stays */
        rig_clear_console(rig);
        script(rig, "RESUME");
        expect_position(rig, 60, 40, 1);
        expect_job(rig, "printing");
        expect_status(rig, "mmu", "reason_for_pause", "\"\"");
        wait_status(rig, "mmu", "print_state", "\"complete\"", 30);
        expect_position(rig, 61, 40, 1);
        rig_destroy(rig);
    }
}

/* A user's RESUME that fails leaves the job paused; one that succeeds later still knows the place. */
static void a_failed_resume_loses_nothing(void **unused)
{
    (void)unused;
    struct rig *rig =
        job_rig_start(CONFIG_MMU "[gcode_macro RESUME]\nrename_existing: BASE_RESUME\nvariable_n: 0\ngcode:\n"
                                 "  G1 Z999\n  BASE_RESUME\n");
    script(rig, HOME);
    rig_add_gcode(rig, "p.gcode", "G90\nG1 X60 Y40 Z1 F6000\nMMU_PAUSE\nG4 P5000\nM400\nG1 X61\n");
    script(rig, "SDCARD_PRINT_FILE FILENAME=p.gcode");
    wait_status(rig, "mmu", "print_state", "\"pause_locked\"", 20);
    assert_int_not_equal(rig_script(rig, "RESUME", 30), OK);
    expect_job(rig, "paused"); /* unlocked it is, but not resumed */
    expect_status(rig, "pause_resume", "is_paused", "true");
    rig_run(rig, 3);
    expect_position(rig, 60, 40, 1);
    script(rig, "CANCEL_PRINT");
    expect_job(rig, "cancelled");

    rig_add_gcode(rig, "q.gcode",
                  "G90\nG1 X70 Y40 Z1 F6000\nPAUSE\nG4 P5000\nM400\nG1 X61\n"); /* only the user paused: it locks now */
    script(rig, "SDCARD_PRINT_FILE FILENAME=q.gcode");
    wait_status(rig, "print_stats", "state", "\"paused\"", 20);
    assert_int_not_equal(rig_script(rig, "RESUME", 30), OK);
    expect_job(rig, "pause_locked");
    rig_destroy(rig);
}

/* ------------------------------------------------------------------------------------------------- outside a print */

static void outside_a_print_nothing_moves(void **unused)
{
    (void)unused;
    static const char *const scripts[] = {
        "MMU_PAUSE", "MMU_UNLOCK",   "MMU_PRINT_START", "MMU_PRINT_END", "MMU_PRINT_START\nMMU_PRINT_END STATE=error",
        "RESUME",    "CANCEL_PRINT", "MMU_PAUSE MSG=x"};
    struct rig *rig = job_rig_start(CONFIG_MMU);
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
        script(rig, scripts[i]); /* not homed: a move would fail */
    script(rig, HOME "\nG1 X12 Y34 Z5 F6000");
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        script(rig, scripts[i]);
        expect_position(rig, 12, 34, 5);
    }
    expect_status(rig, "pause_resume", "is_paused", "false");
    assert_non_null(strstr(rig_console(rig), "nothing was paused"));
    rig_destroy(rig);
}

static void a_forced_pause_outside_a_print(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_MMU);
    script(rig, HOME "\nG1 X12 Y34 Z5 F6000\nM400");
    script(rig, "MMU_PAUSE FORCE_IN_PRINT=1 MSG=\"look here\"");
    expect_job(rig, "pause_locked");
    expect_status(rig, "pause_resume", "is_paused", "true");
    expect_position(rig, 12, 34, 5);
    script(rig, "G1 X50");
    script(rig, "RESUME");
    expect_job(rig, "ready"); /* nothing was printing */
    expect_position(rig, 12, 34, 5);
    rig_destroy(rig);

    rig = job_rig_start(CONFIG_MMU); /* not homed: no position to go back to, but no error either */
    script(rig, "MMU_PAUSE FORCE_IN_PRINT=1\nRESUME");
    expect_job(rig, "ready");
    rig_destroy(rig);
}

/* ------------------------------------------------------------------------------------------------------ idle times */

static void idle_leads_to_standby_but_never_takes_a_paused_job(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_MMU "[idle_timeout]\ntimeout: 30\n");
    script(rig, HOME);
    wait_status(rig, "idle_timeout", "state", "\"Ready\"", 10);
    wait_status(rig, "idle_timeout", "state", "\"Idle\"", 60);
    expect_job(rig, "standby");
    expect_status(rig, "toolhead", "homed_axes", "\"\""); /* the motors are off */
    script(rig, HOME);
    expect_job(rig, "ready");

    rig_add_gcode(rig, "p.gcode", "G90\nG1 X60 Y40 Z1 F6000\nMMU_PAUSE\nG4 P5000\nM400\nG1 X61\n");
    script(rig, "M104 S150");
    script(rig, "SDCARD_PRINT_FILE FILENAME=p.gcode");
    wait_status(rig, "mmu", "print_state", "\"pause_locked\"", 20);
    expect_status(rig, "idle_timeout", "idle_timeout", "72000.0");
    rig_run(rig, 120);
    expect_job(rig, "pause_locked");
    script(rig, "G1 X0 Y0 F6000\nSET_IDLE_TIMEOUT TIMEOUT=20");
    wait_status(rig, "idle_timeout", "state", "\"Idle\"", 60);
    expect_job(rig, "pause_locked");
    expect_status(rig, "toolhead", "homed_axes", "\"xyz\""); /* a job that is paused keeps its motors on */
    expect_status(rig, "extruder", "target", "0.0");         /* but not its heaters */
    script(rig, "MMU_UNLOCK");
    expect_status(rig, "extruder", "target", "150.0"); /* heated up again, and waited for */
    assert_true(rig_status_number(rig, "extruder", "temperature") > 145);
    expect_status(rig, "idle_timeout", "idle_timeout", "30.0");
    wait_status(rig, "idle_timeout", "state", "\"Idle\"", 100);
    expect_job(rig, "paused");
    script(rig, "RESUME");
    expect_position(rig, 60, 40, 1);
    wait_status(rig, "mmu", "print_state", "\"complete\"", 60);
    script(rig, "M104 S0");
    wait_status(rig, "mmu", "print_state", "\"standby\"", 100);

    rig_add_gcode(rig, "q.gcode",
                  "G28\nG1 X60 Y40 Z1 F6000\nPAUSE\nG4 P5000\nM400\nG1 X61\n"); /* the user's own pause is a job too */
    script(rig, "SDCARD_PRINT_FILE FILENAME=q.gcode");
    wait_status(rig, "print_stats", "state", "\"paused\"", 60);
    wait_status(rig, "idle_timeout", "state", "\"Idle\"", 100);
    expect_job(rig, "printing");
    script(rig, "RESUME");
    wait_status(rig, "mmu", "print_state", "\"complete\"", 60);

    script(rig, HOME "\n_MMU_PRINT_START"); /* a streamed job whose host went away */
    wait_status(rig, "mmu", "print_state", "\"standby\"", 100);
    rig_destroy(rig);
}

/* -------------------------------------------------------------------------------------------------------- clients */

/* An emergency stop ends the job that was under way, also when the printer was being closed for a restart already. */
static void a_stop_ends_the_job(void **unused)
{
    (void)unused;
    for (int is_closing = 0; is_closing < 2; is_closing++) {
        struct rig *rig = job_rig_start(CONFIG_MMU);
        script(rig, HOME);
        add_squares(rig, "long.gcode", 50);
        script(rig, "SDCARD_PRINT_FILE FILENAME=long.gcode");
        rig_run(rig, 2);
        expect_job(rig, "printing");
        if (is_closing) {
            printer_request_restart(rig_printer(rig), PRINTER_RESTART_HOST);
            rig_run(rig, 0.03);
        }
        printer_emergency_stop(rig_printer(rig), "the test");
        printer_refresh_status(rig_printer(rig));
        expect_job(rig, "error");
        rig_destroy(rig);
    }
}

static enum err unlock_request(struct printer *printer, struct err_info *info)
{
    return mmu_unlock(printer, info);
}

static void the_api_has_the_same_words(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_MACROS);
    script(rig, HOME);
    add_squares(rig, "long.gcode", 20);
    script(rig, "SDCARD_PRINT_FILE FILENAME=long.gcode");
    rig_run(rig, 4);
    struct request pause = {.message = "ends \"here\"\nand now"}; /* a text no line of G-code could hold */
    request_begin(rig, &pause);
    request_finish(&pause, 20);
    assert_int_equal(pause.result, OK);
    expect_job(rig, "pause_locked");
    expect_status(rig, "mmu", "reason_for_pause", "\"ends \\\"here\\\"\\nand now\"");
    expect_status(rig, "print_stats", "state", "\"paused\"");
    struct strbuf json;
    struct err_info info;
    strbuf_init(&json);
    assert_int_equal(mmu_print_job_state(rig_printer(rig), true, &json, &info), OK);
    assert_non_null(strstr(json.data, "{\"state\": \"pause_locked\", \"since\": 1"));
    assert_non_null(strstr(json.data, "\"history\": [{\"state\": \"started\""));
    assert_non_null(strstr(json.data, "\"from\": \"printing\", \"event\": \"pause\""));
    strbuf_deinit(&json);
    ask(rig, unlock_request);
    expect_job(rig, "paused");
    ask(rig, mmu_resume);
    expect_job(rig, "printing");
    wait_status(rig, "mmu", "print_state", "\"complete\"", 300);
    expect_position(rig, 50, 50, 0.2);
    rig_destroy(rig);
}

static void without_the_section_there_is_nothing(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE);
    struct err_info info;
    struct strbuf json;
    strbuf_init(&json);
    assert_false(mmu_is_present(rig_printer(rig)));
    assert_int_equal(mmu_print_job_state(rig_printer(rig), true, &json, &info), ERR_NOT_FOUND);
    struct request r = {.message = "x"};
    request_begin(rig, &r);
    request_finish(&r, 5);
    assert_int_equal(r.result, ERR_NOT_FOUND);
    script(rig, "MMU_PAUSE");
    assert_non_null(strstr(rig_console(rig), "Unknown command:\"MMU_PAUSE\""));
    strbuf_deinit(&json);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_command_in_each_state),
        cmocka_unit_test(wrong_parameters_are_refused),
        cmocka_unit_test(a_print_is_noticed),
        cmocka_unit_test(detection_can_be_switched_off),
        cmocka_unit_test(a_locked_job_comes_back_to_its_place),
        cmocka_unit_test(a_failed_resume_loses_nothing),
        cmocka_unit_test(outside_a_print_nothing_moves),
        cmocka_unit_test(a_forced_pause_outside_a_print),
        cmocka_unit_test(idle_leads_to_standby_but_never_takes_a_paused_job),
        cmocka_unit_test(a_stop_ends_the_job),
        cmocka_unit_test(the_api_has_the_same_words),
        cmocka_unit_test(without_the_section_there_is_nothing),
    };
    return cmocka_run_group_tests_name("mmu", tests, NULL, NULL);
}
