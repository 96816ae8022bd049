/* The fiber that prints a file: one line after the other, each with the turn of G-code, so that clients get in between.
 *
 * Who wants the file to stop clears is_active; the fiber sees it before its next line. The fiber may then live on for a
 * moment, waiting for its turn: if the print is resumed meanwhile it simply goes on. */
#include "server/job/sdcard_private.h"

#include "base/check.h"
#include "base/fiber.h"
#include "server/job/print_stats.h"
#include "server/job/template.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/toolhead/toolhead.h"

#include <string.h>
#include <strings.h>

#define LINES_PER_TURN 32   /* then the other fibers and actors get theirs */
#define READ_AGAIN_S   0.001 /* how often to look whether a slow disk has come up with more */
#define LOOK_AGAIN_S   0.02 /* how often a second client looks whether the line has ended; the first is woken */

/* Lines without a command need no turn. */
static bool is_blank_line(const struct sd_line *line)
{
    const char *p = line->text;
    while (*p == ' ' || *p == '\t' || *p == '\r')
        p++;
    return *p == '\0' || *p == ';';
}

/* ERR_AGAIN: the disk is still at it. */
static enum err next_line(struct sdcard *sd, struct sd_line *line, struct err_info *info)
{
    enum err err;
    while ((err = sd_reader_next(sd->reader, line, info)) == ERR_AGAIN && sd_reader_fill(sd->reader))
        continue;
    return err;
}

static void run_on_error(struct sdcard *sd)
{
    struct printer *printer = sd->obj.printer;
    struct err_info info; /* what fails here has been printed, or is less than what has already failed */
    enum err err = OK;
    if (sd->on_error) {
        struct template_context context = {.printer = printer};
        err = template_run(sd->on_error, &context, &info);
        if (err == ERR_UNSUPPORTED)
            gcode_respond_error(printer->gcode, info.text);
    }
    if ((!sd->on_error || err == ERR_UNSUPPORTED) && gcode_has_command(printer->gcode, "TURN_OFF_HEATERS"))
        err = gcode_run_script(printer->gcode, "TURN_OFF_HEATERS", strlen("TURN_OFF_HEATERS"), &info);
}

static void end_with_error(struct sdcard *sd, const char *text)
{
    sd->is_active = sd->is_stopping = false;
    run_on_error(sd);
    print_stats_error(sd->stats, text);
}

/* All lines have been read. The print is complete when they have been executed; whoever pauses or cancels before that
 * ends the wait. Called without the turn: others may use the printer meanwhile. */
static void wait_executed(struct sdcard *sd)
{
    struct err_info info;
    sd->in_line = sd->is_waiting_end = true;
    enum err err = toolhead_wait_moves(printer_toolhead(sd->obj.printer), &info);
    sd->in_line = sd->is_waiting_end = false;
    if (sd->is_taken_back || sd->is_cancelled)
        fiber_clear_cancel(fiber_current());
    sd->is_taken_back = sd->is_cancelled = false;
    if (!gcode_is_ready(sd->obj.printer->gcode))
        sd->is_active = false; /* the printer is being closed: that has ended the motion */
    sd->is_executed = err == OK && sd->is_active;
}

static void end_of_file(struct sdcard *sd)
{
    sd->is_active = false;
    sd->position = sd->size_bytes;
    sd_close(sd);
    gcode_respond_raw(sd->obj.printer->gcode, "Done printing file");
    print_stats_complete(sd->stats);
    printer_status_touch(&sd->obj);
}

/* Run one line with the turn held. */
static void run_line(struct sdcard *sd, const struct sd_line *line)
{
    struct err_info info = {{0}};
    struct gcode_source source = {.file_offset = line->offset_bytes, .file_next = line->end_bytes};
    sd->position = line->offset_bytes;
    sd->next_position = line->end_bytes;
    sd->in_line = true;
    enum err err = gcode_run_line(sd->obj.printer->gcode, line->text, line->len_bytes, &source, &info);
    sd->in_line = false;
    sd_reader_close(sd->old_reader);
    sd->old_reader = NULL;
    if (sd->is_taken_back || sd->is_cancelled) {
        fiber_clear_cancel(fiber_current());
        bool is_repeated = sd->is_taken_back && err == ERR_CANCELLED;
        sd->is_taken_back = sd->is_cancelled = false;
        if (is_repeated) {
            if (sd->reader)
                sd_reader_seek(sd->reader, sd->position);
            return;
        }
        if (err)
            return; /* who cancelled says why */
    }
    if (err) {
        if (!printer_is_shutdown(sd->obj.printer) && !fiber_is_cancelled(fiber_current()))
            end_with_error(sd, info.text);
        else
            sd->is_active = false;
        return;
    }
    if (!sd->reader)
        return; /* the line cancelled the print */
    sd->position = sd->next_position;
    if (sd->position != line->end_bytes)
        sd_reader_seek(sd->reader, sd->position);
}

static void wake_settler(struct sdcard *sd)
{
    if (sd->settler)
        fiber_wake(sd->settler);
}

/* What has to be done before the first line, after a start or a pause. */
static bool begin(struct sdcard *sd)
{
    struct err_info info = {{0}};
    sd->is_start_due = false;
    sd->in_line = true; /* moving back and playing the tail can be cancelled like a line */
    enum err err = sd_release(sd, &info);
    sd->in_line = false;
    bool is_cancelled = sd->is_cancelled || sd->is_taken_back;
    sd->is_cancelled = sd->is_taken_back = false;
    if (is_cancelled)
        fiber_clear_cancel(fiber_current());
    if (err && !is_cancelled && !printer_is_shutdown(sd->obj.printer)) {
        gcode_respond_error(sd->obj.printer->gcode, info.text);
        end_with_error(sd, info.text);
    }
    if (err && is_cancelled)
        sd->is_start_due = true;
    return err == OK && sd->is_active;
}

/* One line, or the end. Returns false when the fiber has nothing more to do. */
static bool step(struct sdcard *sd)
{
    struct gcode *g = sd->obj.printer->gcode;
    struct sd_line line;
    struct err_info info = {{0}};
    if (fiber_is_cancelled(fiber_current()) || gcode_lock(g)) {
        sd->is_active = false; /* the printer goes away */
        return false;
    }
    bool is_at_end = false, is_read_late = false, is_executed = sd->is_executed;
    sd->is_executed = false;
    if (sd->is_active && sd->is_start_due && !begin(sd))
        sd->is_active = false;
    if (sd->is_active) {
        enum err err = next_line(sd, &line, &info);
        if (err == OK && is_blank_line(&line)) {
            sd->position = line.end_bytes;
        } else if (err == OK) {
            run_line(sd, &line);
        } else if (err == ERR_CLOSED && is_executed) {
            end_of_file(sd);
        } else if (err == ERR_CLOSED) {
            is_at_end = true;
        } else if (err == ERR_AGAIN) {
            is_read_late = true;
        } else {
            gcode_respond_error(g, info.text);
            end_with_error(sd, info.text);
        }
    }
    wake_settler(sd);
    gcode_unlock(g);
    if (is_at_end) {
        wait_executed(sd);
        wake_settler(sd);
    }
    if (is_read_late && fiber_sleep(READ_AGAIN_S) != OK) /* without the turn: others go on meanwhile */
        sd->is_active = false;                            /* the printer goes away */
    return sd->is_active && !printer_is_shutdown(sd->obj.printer);
}

static void print_file(void *arg)
{
    struct sdcard *sd = arg;
    fiber_yield(); /* who was told of the start has his turn before the first line */
    for (unsigned lines = 1; step(sd); lines++) {
        if (lines % LINES_PER_TURN == 0)
            fiber_yield();
    }
    sd->is_active = false;
    sd->printer_fiber = NULL;
    wake_settler(sd);
    printer_status_touch(&sd->obj);
}

enum err sd_print_start(struct sdcard *sd, struct err_info *info)
{
    if (!sd->printer_fiber) {
        sd->printer_fiber = fiber_spawn(sd->obj.printer->fibers, "print", print_file, sd);
        if (!sd->printer_fiber)
            return err_set(info, ERR_FULL, "Too many commands are running");
    }
    if (sd->reader && !sd->in_line) /* a line that runs goes on behind itself */
        sd_reader_seek(sd->reader, sd->position);
    sd->is_active = sd->is_start_due = true;
    sd->is_stopping = false;
    print_stats_start(sd->stats);
    printer_status_touch(&sd->obj);
    return OK;
}

/* Commands that only wait, or put one move into the stream: they can be taken back as long as they have not ended. */
static bool is_repeatable(const char *line)
{
    static const char *const words[] = {"G0", "G1", "G4", "M109", "M190", "M400", "TEMPERATURE_WAIT"};
    line += strspn(line, " \t");
    size_t len = strcspn(line, " \t;");
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (strlen(words[i]) == len && strncasecmp(line, words[i], len) == 0)
            return true;
    }
    return false;
}

enum err sdcard_settle(struct sdcard *sd, bool is_cancel)
{
    struct gcode *g = sd->obj.printer->gcode;
    while (sd->in_line && sd->printer_fiber && sd->printer_fiber != fiber_current()) {
        bool is_outermost = gcode_depth(g) == 1;
        if (is_cancel) {
            sd->is_cancelled = true;
            fiber_cancel(sd->printer_fiber);
        } else if (!sd->is_taken_back &&
                   (sd->is_waiting_end || (is_outermost && is_repeatable(gcode_current_line(g))))) {
            sd->is_taken_back = true;
            fiber_cancel(sd->printer_fiber);
        }
        sd->settler = fiber_current();
        enum err err = fiber_park(host_ns_add_s(fiber_now(), LOOK_AGAIN_S));
        sd->settler = NULL;
        if (err == ERR_CANCELLED)
            return err;
    }
    return OK;
}
