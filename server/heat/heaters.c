/* The object `heaters`: every heater and temperature sensor of the printer, and the commands that name them. */
#include "server/heat/heater_private.h"

#include "base/check.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "motion/engine.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/heat/sensor.h"
#include "server/machine/motion_stream.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define REPORT_PERIOD_S 1.0

/* Something with a temperature. */
struct sensor_entry {
    char *name;           /* full name */
    const char *gcode_id; /* in M105; NULL: not there */
    heaters_get_fn *get;
    void *ctx;
};

struct heaters {
    struct printer_object obj;
    struct heater *first, **last;
    struct sensor_entry *sensors;
    size_t sensor_count, sensor_cap;
    bool is_started;
};

static struct heaters *find(const struct printer *printer)
{
    return (struct heaters *)printer_find_object(printer, "heaters");
}

struct heater *heater_next(const struct printer *printer, const struct heater *previous)
{
    const struct heaters *hs = find(printer);
    return previous ? previous->next : hs ? hs->first : NULL;
}

static enum err heaters_create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct heaters *hs = (struct heaters *)obj;
    (void)section;
    (void)info;
    hs->last = &hs->first;
    (void)printer_load_object(obj->printer, "pid_calibrate", NULL);
    return OK;
}

static void get_heater(void *ctx, double *temp_c, double *target_c)
{
    heater_get_temp(ctx, temp_c, target_c);
}

void heaters_add_sensor(struct printer *printer, struct config_section *section, const char *name, const char *gcode_id,
                        heaters_get_fn *get, void *ctx)
{
    struct heaters *hs = (struct heaters *)printer_load_object(printer, "heaters", section);
    CHECK(hs);
    for (size_t i = 0; gcode_id && i < hs->sensor_count; i++)
        if (hs->sensors[i].gcode_id && !strcmp(hs->sensors[i].gcode_id, gcode_id))
            config_error_option(section, "gcode_id", "G-Code sensor id %s already registered (by '%s')", gcode_id,
                                hs->sensors[i].name);
    if (hs->sensor_count == hs->sensor_cap) {
        hs->sensor_cap = hs->sensor_cap ? hs->sensor_cap * 2 : 8;
        hs->sensors = mem_realloc(hs->sensors, hs->sensor_cap * sizeof *hs->sensors);
    }
    hs->sensors[hs->sensor_count++] =
        (struct sensor_entry){.name = mem_strdup(name), .gcode_id = gcode_id, .get = get, .ctx = ctx};
}

/* --- commands --- */

static enum err cmd_set_temperature(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    double target_c = 0;
    enum err err = gcode_opt_double(cmd, "TARGET", GCODE_ANY, &target_c, info);
    return err != OK ? err : heater_set_and_wait(ctx, target_c, false, info);
}

static enum err cmd_turn_off(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct heaters *hs = ctx;
    (void)cmd;
    (void)info;
    heaters_turn_off_all(hs->obj.printer);
    return OK;
}

static enum err cmd_m105(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct heaters *hs = ctx;
    (void)info;
    char *line = heaters_report(hs->obj.printer);
    if (!gcode_ack(cmd, line))
        printer_console(hs->obj.printer, line);
    mem_free(line);
    return OK;
}

static struct sensor_entry *find_sensor(struct heaters *hs, const char *name)
{
    for (size_t i = 0; i < hs->sensor_count; i++) {
        const char *space = strrchr(hs->sensors[i].name, ' ');
        if (!strcmp(hs->sensors[i].name, name) || (space && hs->sensors[i].get == get_heater && !strcmp(space + 1, name)))
            return &hs->sensors[i];
    }
    return NULL;
}

static enum err wait_for(struct heaters *hs, const struct sensor_entry *sensor, double min_c, double max_c,
                         struct err_info *info)
{
    struct printer *printer = hs->obj.printer;
    struct print_time at;
    enum err err = engine_wait_planned(printer->engine, motion_source(printer), &at, info);
    while (err == OK) {
        double temp_c;
        sensor->get(sensor->ctx, &temp_c, NULL);
        if (printer_is_shutdown(printer))
            return err_set(info, ERR_SHUTDOWN, "%s", printer_state_message(printer));
        if (temp_c >= min_c && temp_c <= max_c)
            return OK;
        char *line = heaters_report(printer);
        printer_console(printer, line);
        mem_free(line);
        err = fiber_sleep(REPORT_PERIOD_S);
    }
    return err == ERR_CANCELLED ? err_set(info, err, "Waiting for %s was cancelled", sensor->name) : err;
}

static enum err cmd_temperature_wait(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct heaters *hs = ctx;
    const char *name;
    double min_c = -INFINITY, max_c = INFINITY;
    enum err err = gcode_get_str(cmd, "SENSOR", &name, info);
    if (err != OK)
        return err;
    const struct sensor_entry *sensor = find_sensor(hs, name);
    if (!sensor)
        return err_set(info, ERR_NOT_FOUND, "Unknown sensor '%s'", name);
    err = gcode_opt_double(cmd, "MINIMUM", GCODE_ANY, &min_c, info);
    if (err == OK)
        err = gcode_opt_double(cmd, "MAXIMUM", GCODE_ABOVE(min_c), &max_c, info);
    if (err != OK)
        return err;
    if (isinf(min_c) && isinf(max_c))
        return err_set(info, ERR_INVALID, "Error on 'TEMPERATURE_WAIT': missing MINIMUM or MAXIMUM.");
    return hs->obj.printer->services->is_batch ? OK : wait_for(hs, sensor, min_c, max_c, info);
}

static const struct command_param set_params[] = {{"TARGET", "float", "0.0", NULL}, {0}};
static const struct command_param wait_params[] = {
    {"SENSOR", "str", "required", NULL}, {"MINIMUM", "float", "-inf", NULL}, {"MAXIMUM", "float", "inf", ">MINIMUM"}, {0}};

static const struct command_desc heaters_commands[] = {
    {.name = "M105", .flags = COMMAND_WHEN_NOT_READY, .handler = cmd_m105},
    {.name = "TURN_OFF_HEATERS", .help = "Turn off all heaters", .handler = cmd_turn_off},
    {.name = "TEMPERATURE_WAIT", .params = wait_params, .help = "Wait for a temperature on a sensor",
     .handler = cmd_temperature_wait},
    {.name = "SET_HEATER_TEMPERATURE", .mux_key = "HEATER", .flags = COMMAND_BY_OBJECT, .params = set_params,
     .help = "Sets a heater temperature", .handler = cmd_set_temperature},
};

void heaters_add_heater(struct printer *printer, struct config_section *section, struct heater *heater,
                        const char *gcode_id)
{
    heaters_add_sensor(printer, section, heater->name, gcode_id, get_heater, heater);
    struct heaters *hs = find(printer);
    const struct command_desc *set = &heaters_commands[ARRAY_COUNT(heaters_commands) - 1];
    struct gcode_def def = {.name = set->name, .help = set->help, .fn = set->handler};
    struct err_info info;
    if (gcode_register_mux(printer->gcode, &def, set->mux_key, heater->short_name, heater, &info) != OK)
        config_error_section(section, "Heater %s already registered", heater->short_name);
    *hs->last = heater;
    hs->last = &heater->next;
}

/* --- look-up --- */

struct heater *heater_find(struct printer *printer, const char *name)
{
    struct heaters *hs = find(printer);
    for (struct heater *h = hs ? hs->first : NULL; h; h = h->next)
        if (!strcmp(h->name, name) || !strcmp(h->short_name, name))
            return h;
    return NULL;
}

bool heater_is_configured(const struct printer *printer, const char *name)
{
    char generic[160];
    (void)snprintf(generic, sizeof generic, "heater_generic %s", name);
    return config_find(printer->config, name) || config_find(printer->config, generic);
}

static int compare_ids(const struct sensor_entry *a, const struct sensor_entry *b)
{
    return strcmp(a->gcode_id, b->gcode_id);
}

char *heaters_report(struct printer *printer)
{
    struct heaters *hs = find(printer);
    struct strbuf line;
    strbuf_init(&line);
    const struct sensor_entry *last = NULL;
    while (hs && hs->is_started) { /* in the order of their ids */
        const struct sensor_entry *next = NULL;
        for (size_t i = 0; i < hs->sensor_count; i++) {
            const struct sensor_entry *s = &hs->sensors[i];
            if (s->gcode_id && (!last || compare_ids(s, last) > 0) && (!next || compare_ids(s, next) < 0))
                next = s;
        }
        if (!next)
            break;
        double temp_c, target_c;
        next->get(next->ctx, &temp_c, &target_c);
        strbuf_addf(&line, "%s%s:%.1f /%.1f", line.len_bytes ? " " : "", next->gcode_id, temp_c, target_c);
        last = next;
    }
    if (!line.len_bytes)
        strbuf_adds(&line, "T:0");
    return strbuf_take(&line);
}

void heaters_turn_off_all(struct printer *printer)
{
    struct heaters *hs = find(printer);
    for (struct heater *h = hs ? hs->first : NULL; h; h = h->next)
        heater_turn_off(h);
}

/* --- life --- */

/* At the end of a printer's life there will be no further reading to act on: switch off at once. */
static void on_disconnect(void *ctx, const char *event, void *data)
{
    struct heaters *hs = ctx;
    (void)event;
    (void)data;
    for (struct heater *h = hs->first; h; h = h->next) {
        bool was_on = h->last_power > 0;
        heater_stop(h);
        if (was_on)
            output_set_now(&h->pwm, 0);
    }
}

static enum err heaters_connect(struct printer_object *obj, struct err_info *info)
{
    struct heaters *hs = (struct heaters *)obj;
    for (struct heater *h = hs->first; h; h = h->next) {
        enum err err = heater_connect(h, info);
        if (err != OK)
            return err;
    }
    printer_subscribe(obj->printer, PRINTER_EVENT_DISCONNECT, on_disconnect, hs);
    return OK;
}

static void heaters_ready(struct printer_object *obj)
{
    struct heaters *hs = (struct heaters *)obj;
    hs->is_started = true;
    for (struct heater *h = hs->first; h; h = h->next)
        sensor_ready(h->sensor);
}

static void heaters_shutdown(struct printer_object *obj)
{
    for (struct heater *h = ((struct heaters *)obj)->first; h; h = h->next)
        heater_stop(h);
}

static void heaters_destroy(struct printer_object *obj)
{
    struct heaters *hs = (struct heaters *)obj;
    for (struct heater *h = hs->first, *next; h; h = next) {
        next = h->next;
        heater_destroy(h);
    }
    for (size_t i = 0; i < hs->sensor_count; i++)
        mem_free(hs->sensors[i].name);
    mem_free(hs->sensors);
}

static const struct status_field_desc heaters_fields[] = {
    {"available_heaters", "list", "heater section names"},
    {"available_sensors", "list", "sensor section names incl. heaters"},
    {"available_monitors", "list", "tmc with temperature register"},
};

static void write_names(struct strbuf *json, const struct heaters *hs, bool only_heaters)
{
    bool has_any = false;
    strbuf_addc(json, '[');
    for (size_t i = 0; i < hs->sensor_count; i++) {
        if (only_heaters && hs->sensors[i].get != get_heater)
            continue;
        strbuf_adds(json, has_any ? ", " : "");
        strbuf_add_json_string(json, hs->sensors[i].name, strlen(hs->sensors[i].name));
        has_any = true;
    }
    strbuf_addc(json, ']');
}

static void heaters_status(struct printer_object *obj, struct status_writer *writer)
{
    const struct heaters *hs = (struct heaters *)obj;
    static const char *const fields[] = {"available_heaters", "available_sensors"};
    for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
        if (!status_needs(writer, fields[i], hs->sensor_count + 1))
            continue;
        write_names(status_begin_json(writer, fields[i]), hs, i == 0);
        status_end_json(writer);
    }
    strbuf_adds(status_begin_json(writer, "available_monitors"), "[]");
    status_end_json(writer);
}

const struct object_desc heaters_desc = {
    .section = "heaters",
    .flags = OBJECT_ON_DEMAND,
    .help = "All heaters and temperature sensors.",
    .size_bytes = sizeof(struct heaters),
    OBJECT_COMMANDS(heaters_commands),
    OBJECT_FIELDS(heaters_fields),
    .create = heaters_create,
    .connect = heaters_connect,
    .ready = heaters_ready,
    .shutdown = heaters_shutdown,
    .destroy = heaters_destroy,
    .status = heaters_status,
};
