/* [pause_resume]: PAUSE, RESUME, CLEAR_PAUSE, CANCEL_PRINT as they act in the stream of commands. What clients ask for
 * out of band is in job.c, which ends by running these. */
#include "server/job/pause_resume.h"

#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/gcode/gcode_move.h"
#include "server/job/objects.h"
#include "server/job/sdcard.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/toolhead/toolhead.h"

#define STATE_NAME            "PAUSE_STATE" /* of the saved G-code state; macros know it */
#define RECOVER_VELOCITY_MM_S 50.0

struct pause_resume {
    struct printer_object obj;
    double recover_velocity_mm_s;
    bool is_paused;
    bool is_pause_sent;  /* the file, or the host that streams, has been told */
    bool is_file_paused; /* it was the file */
};

static struct pause_resume *find(struct printer *printer)
{
    return (struct pause_resume *)printer_find_object(printer, "pause_resume");
}

bool pause_resume_is_paused(struct printer *printer)
{
    const struct pause_resume *pr = find(printer);
    return pr && pr->is_paused;
}

double pause_resume_recover_velocity(struct printer *printer)
{
    const struct pause_resume *pr = find(printer);
    return pr ? pr->recover_velocity_mm_s : RECOVER_VELOCITY_MM_S;
}

static void send_pause(struct pause_resume *pr)
{
    if (pr->is_pause_sent)
        return;
    struct sdcard *sd = sdcard_of(pr->obj.printer);
    pr->is_pause_sent = true;
    /* A file that stands already, stopped by a client (job.c) or left paused by CLEAR_PAUSE, is ours to resume too. */
    pr->is_file_paused = sdcard_is_active(sd) || sdcard_is_stopping(sd) || sdcard_is_paused(sd);
    if (pr->is_file_paused)
        sdcard_pause(sd);
    else
        gcode_respond_info(pr->obj.printer->gcode, "action:paused");
}

void pause_resume_send_pause(struct printer *printer)
{
    struct pause_resume *pr = find(printer);
    if (pr)
        send_pause(pr);
}

static void pause(struct pause_resume *pr)
{
    send_pause(pr);
    gcode_move_save_state(printer_gcode_move(pr->obj.printer), STATE_NAME);
    pr->is_paused = true;
    printer_status_touch(&pr->obj);
}

void pause_resume_force(struct printer *printer)
{
    struct pause_resume *pr = find(printer);
    if (pr && !pr->is_paused)
        pause(pr);
}

static enum err send_resume(struct pause_resume *pr, struct err_info *info)
{
    if (pr->is_file_paused) {
        enum err err = sdcard_resume(sdcard_of(pr->obj.printer), info);
        if (err)
            return err;
    } else {
        gcode_respond_info(pr->obj.printer->gcode, "action:resumed");
    }
    pr->is_file_paused = pr->is_pause_sent = false;
    return OK;
}

static void clear(struct pause_resume *pr)
{
    pr->is_paused = pr->is_pause_sent = false;
    printer_status_touch(&pr->obj);
}

/* Another file is loaded in place of the one that was paused: nothing is left to resume, and PAUSE must work again. */
static void on_load_file(void *ctx, const char *event, void *data)
{
    (void)event;
    (void)data;
    struct pause_resume *pr = ctx;
    pr->is_file_paused = false;
    clear(pr);
}

static enum err cmd_pause(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)info;
    struct pause_resume *pr = ctx;
    if (pr->is_paused) {
        gcode_respond_info(gcode_of(cmd), "Print already paused");
        return OK;
    }
    pause(pr);
    return OK;
}

static enum err cmd_resume(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct pause_resume *pr = ctx;
    if (!pr->is_paused) {
        gcode_respond_info(gcode_of(cmd), "Print is not paused, resume aborted");
        return OK;
    }
    double velocity_mm_s = pr->recover_velocity_mm_s;
    enum err err = gcode_opt_double(cmd, "VELOCITY", GCODE_ABOVE(0), &velocity_mm_s, info);
    if (!err)
        err = gcode_move_restore_state(printer_gcode_move(pr->obj.printer), STATE_NAME, true, velocity_mm_s, info);
    if (!err)
        err = send_resume(pr, info);
    if (err)
        return err;
    pr->is_paused = false;
    printer_status_touch(&pr->obj);
    return OK;
}

static enum err cmd_clear_pause(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)cmd;
    (void)info;
    clear(ctx);
    return OK;
}

static enum err cmd_cancel(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)info;
    struct pause_resume *pr = ctx;
    struct sdcard *sd = sdcard_of(pr->obj.printer);
    if (sdcard_is_active(sd) || sdcard_is_stopping(sd) || sdcard_is_paused(sd))
        sdcard_cancel(sd);
    else
        gcode_respond_info(gcode_of(cmd), "action:cancel");
    pr->is_file_paused = false;
    clear(pr);
    return OK;
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    (void)info;
    struct pause_resume *pr = (struct pause_resume *)obj;
    pr->recover_velocity_mm_s = section_float(section, "recover_velocity");
    printer_subscribe(obj->printer, SDCARD_EVENT_LOAD, on_load_file, pr);
    return OK;
}

static void status(struct printer_object *obj, struct status_writer *writer)
{
    status_bool(writer, "is_paused", ((struct pause_resume *)obj)->is_paused);
}

static const struct option_desc options[] = {
    {.name = "recover_velocity",
     .type = OPTION_FLOAT,
     .unit = "mm/s",
     .default_text = "50.0",
     .limits = ">0",
     .help = "Speed of the way back to where the print was paused."},
};

static const struct command_param resume_params[] = {
    {"VELOCITY", "float", "recover_velocity", ">0"},
    {NULL, NULL, NULL, NULL},
};

static const struct command_desc commands[] = {
    {.name = "PAUSE", .help = "Pause the print", .handler = cmd_pause},
    {.name = "RESUME", .params = resume_params, .help = "Go on with a paused print", .handler = cmd_resume},
    {.name = "CLEAR_PAUSE", .help = "Forget the pause without going on", .handler = cmd_clear_pause},
    {.name = "CANCEL_PRINT", .help = "Cancel the print", .handler = cmd_cancel},
};

static const struct status_field_desc fields[] = {
    {"is_paused", "bool", "PAUSE has run, RESUME has not"},
};

const struct object_desc pause_resume_desc = {
    .section = "pause_resume",
    .flags = OBJECT_EXACT | OBJECT_ON_DEMAND,
    .help = "Pause and resume a print.",
    .size_bytes = sizeof(struct pause_resume),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    .create = create,
    .status = status,
};
