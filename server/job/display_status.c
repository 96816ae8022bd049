/* [display_status]: M73, M117 and SET_DISPLAY_TEXT. */
#include "base/mem.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/job/idle_timeout.h"
#include "server/job/objects.h"
#include "server/job/sdcard.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#define PROGRESS_KEPT_S 5.0 /* how long M73 counts once nothing prints any more */

struct display_status {
    struct printer_object obj;
    bool has_progress;
    double progress, progress_until_s;
    char *message; /* NULL: none */
};

static enum err cmd_m73(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct display_status *d = ctx;
    if (!gcode_has(cmd, "P"))
        return OK;
    double percent = 0;
    enum err err = gcode_get_double(cmd, "P", &percent, info);
    if (err)
        return err;
    double progress = percent / 100.0;
    d->progress = progress < 0 ? 0 : progress > 1 ? 1 : progress;
    d->progress_until_s = printer_now_s(d->obj.printer) + PROGRESS_KEPT_S;
    d->has_progress = true;
    printer_status_touch(&d->obj);
    return OK;
}

static void set_message(struct display_status *d, const char *text)
{
    char *copy = text && *text ? mem_strdup(text) : NULL;
    mem_free(d->message);
    d->message = copy;
    printer_status_touch(&d->obj);
}

static enum err cmd_m117(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)info;
    set_message(ctx, gcode_rawparams(cmd));
    return OK;
}

static enum err cmd_set_text(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)info;
    set_message(ctx, gcode_get(cmd, "MSG"));
    return OK;
}

static void status(struct printer_object *obj, struct status_writer *writer)
{
    struct display_status *d = (struct display_status *)obj;
    bool is_kept = printer_now_s(obj->printer) <= d->progress_until_s || idle_timeout_is_printing(obj->printer);
    status_float(writer, "progress",
                 d->has_progress && is_kept ? d->progress : sdcard_progress(sdcard_of(obj->printer)));
    status_string(writer, "message", d->message);
}

static void destroy(struct printer_object *obj)
{
    mem_free(((struct display_status *)obj)->message);
}

static const struct command_param m73_params[] = {{"P", "float", NULL, NULL}, {NULL, NULL, NULL, NULL}};
static const struct command_param m117_params[] = {{"<text>", "raw", NULL, NULL}, {NULL, NULL, NULL, NULL}};
static const struct command_param text_params[] = {{"MSG", "str", NULL, NULL}, {NULL, NULL, NULL, NULL}};

static const struct command_desc commands[] = {
    {.name = "M73", .params = m73_params, .handler = cmd_m73},
    {.name = "M117", .flags = COMMAND_TAKES_TEXT, .params = m117_params, .handler = cmd_m117},
    {.name = "SET_DISPLAY_TEXT",
     .params = text_params,
     .help = "Set or clear the display message",
     .handler = cmd_set_text},
};

static const struct status_field_desc fields[] = {
    {"progress", "float", "0 to 1, from M73 or by bytes of the file"},
    {"message", "str/null", "text of M117"},
};

const struct object_desc display_status_desc = {
    .section = "display_status",
    .flags = OBJECT_EXACT | OBJECT_ON_DEMAND,
    .help = "Progress and message as set by G-code.",
    .size_bytes = sizeof(struct display_status),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    .destroy = destroy,
    .status = status,
};
