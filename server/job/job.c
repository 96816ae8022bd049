/* What clients ask of the print job, out of band: their requests do not queue behind the file. */
#include "server/job/job.h"

#include "base/fiber.h"
#include "base/mem.h"
#include "motion/engine.h"
#include "server/gcode/gcode.h"
#include "server/gcode/gcode_move.h"
#include "server/job/pause_resume.h"
#include "server/job/sdcard.h"
#include "server/machine/printer.h"
#include "server/toolhead/toolhead.h"

#include <string.h>
#include <strings.h>

#define LOOK_AGAIN_S 0.02

static enum err run(struct printer *printer, const char *script, struct err_info *info)
{
    return gcode_run_script(printer->gcode, script, strlen(script), info);
}

/* May it stand between quotes in a line of G-code? */
static bool is_plain_text(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == '"' || *text == '\\')
            return false;
    }
    return true;
}

enum err job_start(struct printer *printer, const char *filename, struct err_info *info)
{
    if (is_plain_text(filename)) {
        char *script = mem_sprintf("SDCARD_PRINT_FILE FILENAME=\"%s\"", filename);
        enum err err = run(printer, script, info);
        mem_free(script);
        return err;
    }
    enum err err = gcode_lock(printer->gcode); /* a name that no line of G-code can hold */
    if (err)
        return err;
    struct sdcard *sd = sdcard_of(printer);
    err = sdcard_load(sd, filename, info);
    if (!err)
        err = sdcard_resume(sd, info);
    gcode_unlock(printer->gcode);
    return err;
}

struct pause_script {
    struct printer *printer;
    const char *text;
};

static enum err run_pause(void *ctx, struct err_info *info)
{
    const struct pause_script *pause = ctx;
    return run(pause->printer, pause->text, info);
}

/* Its macro may have decided not to pause, or failed before it could. Called with the turn. */
static enum err after_pause(struct printer *printer, enum err result, struct err_info *info)
{
    struct sdcard *sd = sdcard_of(printer);
    if (!sdcard_is_stopping(sd))
        return result;
    if (result == OK)
        return sdcard_resume(sd, info);
    pause_resume_force(printer); /* do not print on after a failure: what is kept can be resumed */
    return result;
}

enum err job_pause_with(struct printer *printer, job_pause_fn *pause, void *ctx, struct err_info *info)
{
    struct sdcard *sd = sdcard_of(printer);
    bool has_file = sdcard_is_active(sd);
    enum err err = OK;
    if (has_file) {
        sdcard_stop(sd);
        err = sdcard_settle(sd, false);
        if (!sdcard_is_stopping(sd) || sdcard_is_cancelling(sd))
            return err; /* the last line was being run, or it stopped by itself, or another client cancels */
        if (!err)
            err = sdcard_hold(sd, info);
        if (err == ERR_STATE)
            err = OK; /* nothing that could be held: the stream runs out by itself */
    }
    if (!err)
        err = gcode_lock(printer->gcode);
    if (err)
        return err;
    if (has_file && (!sdcard_is_stopping(sd) || sdcard_is_cancelling(sd))) {
        gcode_unlock(printer->gcode); /* meanwhile another client has cancelled */
        return OK;
    }
    err = pause(ctx, info);
    if (has_file)
        err = after_pause(printer, err, info);
    gcode_unlock(printer->gcode);
    return err;
}

static enum err pause_by(struct printer *printer, const char *text, struct err_info *info)
{
    if (pause_resume_is_paused(printer) || sdcard_is_stopping(sdcard_of(printer)))
        return OK; /* another client is a moment ahead */
    struct pause_script pause = {printer, text};
    return job_pause_with(printer, run_pause, &pause, info);
}

enum err job_pause(struct printer *printer, struct err_info *info)
{
    return pause_by(printer, "PAUSE", info);
}

enum err job_resume(struct printer *printer, struct err_info *info)
{
    return run(printer, "RESUME", info);
}

/* CANCEL_PRINT has run. Its macro may have decided not to cancel, or failed before it could. Called with the turn. */
static enum err after_cancel(struct printer *printer, enum err result, struct err_info *info)
{
    struct sdcard *sd = sdcard_of(printer);
    if (!sdcard_is_stopping(sd))
        return result;
    if (result == OK)
        return sdcard_resume(sd, info);
    sdcard_cancel(sd); /* whatever the macro meant to do first: the print is over */
    return result;
}

/* A calibration by hand runs no script that could be cancelled: it waits for the user's next command. */
static void end_manual_probe(struct printer *printer)
{
    struct err_info info; /* has been printed; the print is cancelled all the same */
    const void *tool = printer_find_object(printer, "manual_probe");
    if (tool && gcode_command_ctx(printer->gcode, "ABORT") == tool)
        (void)!run(printer, "ABORT", &info);
}

static bool is_moving(struct printer *printer)
{
    struct engine_status status;
    engine_get_status(printer->engine, printer_now(printer), &status);
    return !status.is_idle;
}

/* The motion that was sent stops too. A file's is kept until CANCEL_PRINT has decided what becomes of it. */
static enum err stop_motion(struct printer *printer, bool is_kept, struct err_info *info)
{
    struct sdcard *sd = sdcard_of(printer);
    const bool had_tail = sdcard_is_held(sd);
    enum err err = had_tail || is_kept || is_moving(printer) ? sdcard_hold(sd, info) : OK;
    if (!err && !is_kept && !had_tail)
        sdcard_drop_tail(sd);
    return err == ERR_STATE ? OK : err; /* nothing that could be held: homing has stopped as its wait was cancelled */
}

/* What is left to do with the turn of G-code. */
static enum err run_cancel(struct printer *printer, const char *text, bool has_file, bool is_over, struct err_info *info)
{
    struct sdcard *sd = sdcard_of(printer);
    end_manual_probe(printer);
    enum err err = run(printer, text, info); /* which drops what is held */
    if (is_over)
        sdcard_cancel(sd);
    else if (has_file)
        err = after_cancel(printer, err, info);
    return err;
}

static enum err cancel(struct printer *printer, const char *text, struct err_info *info)
{
    struct sdcard *sd = sdcard_of(printer);
    const bool has_file = sdcard_is_active(sd) || sdcard_is_stopping(sd);
    /* In the middle of what PAUSE or RESUME do: what they have sent stands before the tail, and with it the tail goes. */
    const bool is_over = sdcard_is_held(sd) && (gcode_is_busy(printer->gcode) || is_moving(printer));
    if (is_over)
        sdcard_drop_tail(sd);
    sdcard_stop(sd);
    gcode_cancel_running(printer->gcode);
    enum err err = has_file ? sdcard_settle(sd, true) : OK;
    if (!err)
        err = stop_motion(printer, has_file && !is_over, info);
    if (!err)
        err = gcode_seize(printer->gcode); /* another client's command may have got the turn meanwhile */
    if (err)
        return err;
    err = run_cancel(printer, text, has_file, is_over, info);
    gcode_unlock(printer->gcode);
    return err;
}

static enum err cancel_by(struct printer *printer, const char *text, struct err_info *info)
{
    struct sdcard *sd = sdcard_of(printer);
    if (sdcard_is_cancelling(sd)) {
        enum err err = OK;
        while (!err && sdcard_is_cancelling(sd)) /* another client is a moment ahead */
            err = fiber_sleep(LOOK_AGAIN_S);
        return err;
    }
    sdcard_set_cancelling(sd, true);
    enum err err = cancel(printer, text, info);
    sdcard_set_cancelling(sd, false);
    return err;
}

enum err job_cancel(struct printer *printer, struct err_info *info)
{
    return cancel_by(printer, "CANCEL_PRINT", info);
}

/* --- scripts --- */

/* Does the script consist of one command, and is it `name`? */
static bool is_command(const char *script, const char *name)
{
    script += strspn(script, " \t\r\n");
    const size_t len = strlen(name);
    if (strncasecmp(script, name, len) != 0 || (script[len] && !strchr(" \t\r\n;", script[len])))
        return false;
    const char *end = script + strcspn(script, "\n");
    return end[strspn(end, " \t\r\n")] == '\0';
}

/* "M220 S50", perhaps with a comment. False: let M220 itself say what is wrong with it. */
static bool parse_speed(const char *script, double *percent)
{
    script += strspn(script, " \t\r\n");
    script += strcspn(script, " \t\r\n;"); /* the command */
    script += strspn(script, " \t");
    if (*script != 'S' && *script != 's')
        return false;
    const char *text = script + 1;
    const size_t len = strcspn(text, " \t\r\n;");
    const char *rest = text + len + strspn(text + len, " \t\r\n");
    return (*rest == '\0' || *rest == ';') && gcode_parse_double(text, len, percent) == OK && *percent > 0.0;
}

/* The user's own M220 is a macro like any other. */
static bool is_speed_ours(const struct printer *printer)
{
    return gcode_command_ctx(printer->gcode, "M220") == printer_gcode_move(printer);
}

/* Slower or faster from the commit horizon on, whatever the file is waiting for. */
static enum err override_speed(struct printer *printer, double percent)
{
    gcode_move_override_speed_percent(printer_gcode_move(printer), percent);
    struct err_info info; /* held: the tail keeps its speeds, as the saved state does; out of range: from the next line on */
    (void)!engine_override_feed(printer->engine, percent / 100.0, &info);
    return OK;
}

enum err job_run_script(struct printer *printer, const char *script, struct err_info *info)
{
    double percent;
    if (gcode_has_emergency(script, strlen(script))) {
        printer_emergency_stop(printer, "M112 command");
        return OK;
    }
    const bool is_ready = gcode_is_ready(printer->gcode);
    if (is_ready && is_command(script, "CANCEL_PRINT"))
        return cancel_by(printer, script, info);
    if (is_ready && job_is_printing(printer)) {
        if (is_command(script, "PAUSE") || is_command(script, "MMU_PAUSE") || is_command(script, "M25"))
            return pause_by(printer, script, info);
        if (is_command(script, "M220") && is_speed_ours(printer) && parse_speed(script, &percent))
            return override_speed(printer, percent);
    }
    return run(printer, script, info);
}

bool job_is_printing(struct printer *printer)
{
    return sdcard_is_active(sdcard_of(printer));
}
