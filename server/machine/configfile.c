/* The object `configfile`: what was read, what SAVE_CONFIG is to write, and SAVE_CONFIG. */
#include "server/machine/object.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/worker.h"
#include "server/config/autosave.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/motion_stream.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#include <string.h>
#include <time.h>

static const struct status_field_desc configfile_fields[] = {
    {"config", "dict", "raw sections; every value a string"},
    {"settings", "dict", "parsed values including defaults, lowercase keys"},
    {"warnings", "list", "deprecation and runtime warnings (type, message,..)"},
    {"save_config_pending", "bool", "SAVE_CONFIG has something to write"},
    {"save_config_pending_items", "dict", "pending section/option; null section means delete"},
};

static void write_json(struct status_writer *writer, const char *field, uint64_t revision,
                       char *(*make)(const struct config *config), const struct config *config)
{
    if (!status_needs(writer, field, revision))
        return;
    char *json = make(config);
    strbuf_adds(status_begin_json(writer, field), json);
    status_end_json(writer);
    mem_free(json);
}

static void configfile_status(struct printer_object *obj, struct status_writer *writer)
{
    const struct config *config = obj->printer->config;
    /* sections are read while objects are created, before the first refresh; warnings may still come */
    write_json(writer, "config", 1, config_raw_json, config);
    write_json(writer, "settings", 1 + (printer_state(obj->printer) == PRINTER_READY), config_settings_json, config);
    write_json(writer, "warnings", 1 + config_warning_count(config), config_warnings_json, config);
    status_bool(writer, "save_config_pending", config_has_pending(config));
    write_json(writer, "save_config_pending_items", 1 + config_pending_revision(config), config_pending_json, config);
}

/* "20260131_235959", in the zone of the computer: it becomes part of a name that people read. */
static void stamp_now(char stamp[32])
{
    time_t now = (time_t)clock_wall_s();
    struct tm local;
    if (!localtime_r(&now, &local) || !strftime(stamp, 32, "%Y%m%d_%H%M%S", &local))
        strcpy(stamp, "backup");
}

/* Writing the file, on the worker: with a copy of what is pending, because a restart may take the configuration away. */
struct saving {
    struct worker_job job; /* first */
    struct config *changes;
    char stamp[32];
    bool is_written; /* out */
};

static enum err save(struct worker_job *job, struct err_info *info)
{
    struct saving *s = CONTAINER_OF(job, struct saving, job);
    return config_save_autosave(s->changes, s->stamp, NULL, &s->is_written, info);
}

static void release_saving(struct worker_job *job)
{
    config_destroy(CONTAINER_OF(job, struct saving, job)->changes);
}

/* The moves before it end first: the disk may take seconds, and a failure must not leave the toolhead between two
 * moves. */
static enum err cmd_save_config(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct printer *printer = ((struct printer_object *)ctx)->printer;
    (void)cmd;
    if (printer->services->is_batch)
        return OK; /* a plan changes no file */
    enum err err = printer_find_object(printer, "toolhead") ? motion_wait_executed(printer, info) : OK;
    if (err != OK)
        return err;
    struct saving *s = MEM_NEW(struct saving);
    s->job.run = save;
    s->job.release = release_saving;
    s->changes = config_copy_pending(printer->config);
    stamp_now(s->stamp);
    err = worker_call(&printer->disk, &s->job, info);
    if (err == OK && s->is_written)
        printer_request_restart(printer, PRINTER_RESTART_HOST);
    worker_release(&s->job);
    return err;
}

static const struct command_desc configfile_commands[] = {
    {.name = "SAVE_CONFIG", .help = "Overwrite config file and restart", .handler = cmd_save_config},
};

const struct object_desc configfile_desc = {
    .section = "configfile",
    .flags = OBJECT_ALWAYS,
    .help = "The configuration as read.",
    .size_bytes = sizeof(struct printer_object),
    OBJECT_COMMANDS(configfile_commands),
    OBJECT_FIELDS(configfile_fields),
    .status = configfile_status,
};
