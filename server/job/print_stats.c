/* print_stats: the state of the print, its durations and its filament. */
#include "server/job/print_stats.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/gcode/gcode.h"
#include "server/gcode/gcode_move.h"
#include "server/job/objects.h"
#include "server/job/print_times.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/toolhead/toolhead.h"

#include <string.h>

struct print_stats {
    struct printer_object obj;
    enum print_state state;
    char *filename, *message; /* never NULL once created */
    struct print_times times;
    long total_layer, current_layer; /* -1: not known */
};

struct print_stats *print_stats_of(struct printer *printer)
{
    struct printer_object *obj = printer_load_object(printer, "print_stats", NULL);
    CHECK(obj != NULL);
    return (struct print_stats *)obj;
}

enum print_state print_stats_state(const struct print_stats *stats)
{
    return stats->state;
}

const char *print_stats_state_name(enum print_state state)
{
    static const char *const names[] = {"standby", "printing", "paused", "complete", "cancelled", "error"};
    CHECK((unsigned)state < ARRAY_COUNT(names));
    return names[state];
}

const char *print_stats_filename(const struct print_stats *stats)
{
    return stats->filename;
}

static struct print_filament filament_of(const struct print_stats *stats)
{
    struct gcode_move *gm = printer_gcode_move(stats->obj.printer);
    if (!gm)
        return (struct print_filament){0, 1};
    struct gcode_move_status now;
    gcode_move_get_status(gm, &now);
    return (struct print_filament){now.position[GCODE_E], now.extrude_factor};
}

static void replace(char **text, const char *by)
{
    char *copy = mem_strdup(by ? by : ""); /* first: `by` may be *text */
    mem_free(*text);
    *text = copy;
}

static void change(struct print_stats *stats, enum print_state to, const char *message)
{
    enum print_state from = stats->state;
    stats->state = to;
    replace(&stats->message, message);
    printer_status_touch(&stats->obj);
    struct print_stats_change news = {.from = from, .to = to, .filename = stats->filename, .message = stats->message};
    if (from == to)
        return;
    char name[256], why[256];
    log_info(stats->obj.printer->services->log, "job", print_stats_state_name(to), "file=\"%s\" message=\"%s\"",
             log_escape(stats->filename, name, sizeof name), log_escape(stats->message, why, sizeof why));
    printer_emit(stats->obj.printer, PRINT_STATS_EVENT, &news);
}

void print_stats_set_file(struct print_stats *stats, const char *filename)
{
    replace(&stats->filename, filename);
    stats->times = (struct print_times){0};
    stats->total_layer = stats->current_layer = -1;
    change(stats, PRINT_STANDBY, NULL);
}

void print_stats_start(struct print_stats *stats)
{
    print_times_start(&stats->times, printer_now_s(stats->obj.printer), filament_of(stats));
    change(stats, PRINT_PRINTING, NULL);
}

void print_stats_pause(struct print_stats *stats)
{
    print_times_pause(&stats->times, printer_now_s(stats->obj.printer), filament_of(stats));
    if (stats->state == PRINT_PRINTING)
        change(stats, PRINT_PAUSED, NULL);
}

static void finish(struct print_stats *stats, enum print_state to, const char *message)
{
    if (!stats->times.is_started)
        return;
    print_times_finish(&stats->times, printer_now_s(stats->obj.printer), filament_of(stats));
    change(stats, to, message);
}

void print_stats_complete(struct print_stats *stats)
{
    finish(stats, PRINT_COMPLETE, NULL);
}

void print_stats_cancel(struct print_stats *stats)
{
    finish(stats, PRINT_CANCELLED, NULL);
}

void print_stats_error(struct print_stats *stats, const char *message)
{
    finish(stats, PRINT_ERROR, message);
}

static enum err set_info(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct print_stats *stats = ctx;
    long total = stats->total_layer, current = stats->current_layer;
    enum err err = gcode_opt_int(cmd, "TOTAL_LAYER", GCODE_MIN(0), &total, info);
    if (!err)
        err = gcode_opt_int(cmd, "CURRENT_LAYER", GCODE_MIN(0), &current, info);
    if (err)
        return err;
    if (total == 0) {
        stats->total_layer = stats->current_layer = -1;
    } else if (total != stats->total_layer) {
        stats->total_layer = total;
        stats->current_layer = 0;
    }
    if (stats->total_layer >= 0 && current >= 0)
        stats->current_layer = current < stats->total_layer ? current : stats->total_layer;
    printer_status_touch(&stats->obj);
    return OK;
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    (void)section;
    (void)info;
    struct print_stats *stats = (struct print_stats *)obj;
    stats->filename = mem_strdup("");
    stats->message = mem_strdup("");
    stats->total_layer = stats->current_layer = -1;
    return OK;
}

static void destroy(struct printer_object *obj)
{
    struct print_stats *stats = (struct print_stats *)obj;
    mem_free(stats->filename);
    mem_free(stats->message);
}

static void add_layer(struct strbuf *json, const char *name, long layer)
{
    if (layer < 0)
        strbuf_addf(json, "\"%s\": null", name);
    else
        strbuf_addf(json, "\"%s\": %ld", name, layer);
}

static void status(struct printer_object *obj, struct status_writer *writer)
{
    struct print_stats *stats = (struct print_stats *)obj;
    struct print_times_view view = print_times_read(&stats->times, printer_now_s(obj->printer), filament_of(stats));
    status_string(writer, "filename", stats->filename);
    status_float(writer, "total_duration", view.total_s);
    status_float(writer, "print_duration", view.print_s);
    status_float(writer, "filament_used", view.filament_mm);
    status_string(writer, "state", print_stats_state_name(stats->state));
    status_string(writer, "message", stats->message);
    struct strbuf *json = status_begin_json(writer, "info");
    strbuf_addc(json, '{');
    add_layer(json, "total_layer", stats->total_layer);
    strbuf_adds(json, ", ");
    add_layer(json, "current_layer", stats->current_layer);
    strbuf_addc(json, '}');
    status_end_json(writer);
}

static const struct command_param set_info_params[] = {
    {"TOTAL_LAYER", "int", NULL, ">=0"},
    {"CURRENT_LAYER", "int", NULL, ">=0"},
    {NULL, NULL, NULL, NULL},
};

static const struct command_desc commands[] = {
    {.name = "SET_PRINT_STATS_INFO",
     .params = set_info_params,
     .help = "Tell how many layers the print has and which one is being printed",
     .handler = set_info},
};

static const struct status_field_desc fields[] = {
    {"filename", "str", "file being printed, below the folder of print files"},
    {"total_duration", "float", "seconds since the start of the print"},
    {"print_duration", "float", "seconds without pauses and the time before filament first moved"},
    {"filament_used", "float", "filament extruded [mm]"},
    {"state", "str", "standby, printing, paused, complete, cancelled or error"},
    {"message", "str", "what went wrong"},
    {"info", "dict", "total_layer and current_layer, null if unknown"},
};

static const struct event_desc events[] = {
    {PRINT_STATS_EVENT, "the state changed; data: struct print_stats_change"},
};

const struct object_desc print_stats_desc = {
    .section = "print_stats",
    .flags = OBJECT_ALWAYS,
    .help = "State and durations of the print.",
    .size_bytes = sizeof(struct print_stats),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    OBJECT_EVENTS(events),
    .create = create,
    .destroy = destroy,
    .status = status,
};
