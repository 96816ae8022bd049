/* What clients ask of the print job, out of band: their requests do not queue behind the file. */
#include "server/job/job.h"

#include "base/fiber.h"
#include "base/mem.h"
#include "server/gcode/gcode.h"
#include "server/job/pause_resume.h"
#include "server/job/sdcard.h"
#include "server/machine/printer.h"

#include <string.h>

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

static enum err run_pause(void *ctx, struct err_info *info)
{
    return run(ctx, "PAUSE", info);
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
    err = pause(ctx, info);
    if (has_file)
        err = after_pause(printer, err, info);
    gcode_unlock(printer->gcode);
    return err;
}

enum err job_pause(struct printer *printer, struct err_info *info)
{
    if (pause_resume_is_paused(printer) || sdcard_is_stopping(sdcard_of(printer)))
        return OK; /* another client is a moment ahead */
    return job_pause_with(printer, run_pause, printer, info);
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

static enum err cancel(struct printer *printer, struct err_info *info)
{
    struct sdcard *sd = sdcard_of(printer);
    bool has_file = sdcard_is_active(sd) || sdcard_is_stopping(sd);
    sdcard_stop(sd);
    gcode_cancel_running(printer->gcode);
    enum err err = OK;
    if (has_file) {
        err = sdcard_settle(sd, true);
        if (!err)
            err = sdcard_hold(sd, info);
        if (err == ERR_STATE)
            err = OK; /* nothing that could be held */
    }
    if (!err)
        err = gcode_seize(printer->gcode); /* another client's command may have got the turn meanwhile */
    if (err)
        return err;
    err = run(printer, "CANCEL_PRINT", info); /* which drops what is held */
    if (has_file)
        err = after_cancel(printer, err, info);
    gcode_unlock(printer->gcode);
    return err;
}

enum err job_cancel(struct printer *printer, struct err_info *info)
{
    struct sdcard *sd = sdcard_of(printer);
    if (sdcard_is_cancelling(sd)) {
        enum err err = OK;
        while (!err && sdcard_is_cancelling(sd)) /* another client is a moment ahead */
            err = fiber_sleep(LOOK_AGAIN_S);
        return err;
    }
    sdcard_set_cancelling(sd, true);
    enum err err = cancel(printer, info);
    sdcard_set_cancelling(sd, false);
    return err;
}

bool job_is_printing(struct printer *printer)
{
    return sdcard_is_active(sdcard_of(printer));
}
