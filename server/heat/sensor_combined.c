/* sensor_type: temperature_combined. The least, greatest or mean temperature of other objects; the printer stops when they
 * differ by more than maximum_deviation. */
#include "base/check.h"
#include "base/mem.h"
#include "server/config/config.h"
#include "server/heat/sensor_private.h"
#include "server/machine/object.h"
#include "server/machine/status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define REPORT_S 0.3

enum method { METHOD_MIN, METHOD_MAX, METHOD_MEAN };

/* What it shows besides, where every source has it. */
static const char *const more_fields[] = {"humidity", "pressure", "gas"};

struct combined_sensor {
    struct printer_object obj;
    struct config_list names;
    struct printer_object **sources;
    enum method method;
    double max_deviation_c, temp_c;
    bool is_started; /* every source has had a reading */
};

/* A number of an object's published status; NAN if it has none of that name. */
static double read_field(const struct printer_object *obj, const char *field)
{
    size_t len;
    const char *json = obj->status ? status_entry_field(obj->status, field, strlen(field), &len) : NULL;
    if (!json || !((*json >= '0' && *json <= '9') || *json == '-'))
        return NAN;
    return strtod(json, NULL);
}

/* Combine a field of all sources; false: one of them does not have it. */
static bool combine(const struct combined_sensor *c, const char *field, double *out, double *low, double *high)
{
    double sum = 0;
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t i = 0; i < c->names.count; i++) {
        double value = read_field(c->sources[i], field);
        if (isnan(value))
            return false;
        sum += value;
        *low = fmin(*low, value);
        *high = fmax(*high, value);
    }
    *out = c->method == METHOD_MIN ? *low : c->method == METHOD_MAX ? *high : sum / (double)c->names.count;
    return true;
}

static bool has_started(struct combined_sensor *c)
{
    for (size_t i = 0; i < c->names.count && !c->is_started; i++)
        if (!(fabs(read_field(c->sources[i], "temperature")) > 0)) /* 0: no reading yet */
            return false;
    return c->is_started = true;
}

static struct host_ns on_timer(void *ctx, struct host_ns now)
{
    struct sensor *s = ctx;
    struct combined_sensor *c = s->combined;
    double low, high, temp_c;
    if (!has_started(c) || !combine(c, "temperature", &temp_c, &low, &high))
        return host_ns_add_s(now, REPORT_S);
    c->temp_c = temp_c;
    if (high - low > c->max_deviation_c) {
        printer_shutdown(s->printer,
                         "COMBINED SENSOR maximum deviation exceeded limit of %.1f, max sensor value %.1f, min sensor value "
                         "%.1f (%s)",
                         c->max_deviation_c, high, low, s->name);
        return HOST_NS_NEVER;
    }
    if (temp_c < s->min_c || temp_c > s->max_c) {
        printer_shutdown(s->printer, "COMBINED SENSOR temperature %.1f %s temperature of %.1f. (%s)", temp_c,
                         temp_c < s->min_c ? "below minimum" : "above maximum", temp_c < s->min_c ? s->min_c : s->max_c,
                         s->name);
        return HOST_NS_NEVER;
    }
    s->fn(s->ctx, printer_est_print_time(s->printer), temp_c);
    return host_ns_add_s(now, REPORT_S);
}

static void setup(struct sensor *s, struct config_section *section)
{
    s->timer.fn = on_timer;
    char *name = mem_sprintf("temperature_combined %s", sensor_short_name(s));
    struct combined_sensor *c = s->combined = (struct combined_sensor *)printer_load_object(s->printer, name, section);
    mem_free(name);
    struct config_list names = section_list(section, "sensor_list");
    enum method method = (enum method)section_choice(section, "combination_method");
    double deviation_c = section_float(section, "maximum_deviation");
    if (!c)
        return; /* has been said */
    if (c->sources) { /* another section ends in the same word */
        config_error_section(section, "Printer object '%s' already created", c->obj.name);
        return;
    }
    c->names = names;
    c->method = method;
    c->max_deviation_c = deviation_c;
    c->sources = MEM_ARRAY(struct printer_object *, names.count + 1);
    for (size_t i = 0; i < names.count; i++)
        if (!config_find(s->printer->config, names.items[i]))
            config_error_option(section, "sensor_list", "Unknown sensor '%s' (option 'sensor_list' of section '%s')",
                                names.items[i], s->name);
}

static bool reports_temperature(const struct printer_object *obj)
{
    for (size_t i = 0; i < obj->desc->field_count; i++)
        if (!strcmp(obj->desc->fields[i].name, "temperature"))
            return true;
    return false;
}

static enum err connect_combined(struct sensor *s, struct err_info *info)
{
    struct combined_sensor *c = s->combined;
    for (size_t i = 0; i < c->names.count; i++) {
        c->sources[i] = printer_find_object(s->printer, c->names.items[i]);
        if (!c->sources[i] || !reports_temperature(c->sources[i]))
            return err_set(info, ERR_INVALID, "'%s' does not report a temperature (option 'sensor_list' of section '%s')",
                           c->names.items[i], s->name);
    }
    return OK;
}

static void ready(struct sensor *s)
{
    printer_timer_start(s->printer, &s->timer, printer_now(s->printer));
}

static const struct option_desc options[] = {
    {.name = "sensor_list", .type = OPTION_LIST, .flags = OPTION_REQUIRED, .help = "Objects whose temperatures are combined"},
    {.name = "combination_method", .type = OPTION_CHOICE, .flags = OPTION_REQUIRED, .choices = "min|max|mean",
     .help = "Which temperature of them counts"},
    {.name = "maximum_deviation", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED, .unit = "C", .limits = ">0.0",
     .help = "The printer stops when they differ by more"},
};

const struct sensor_kind_desc sensor_combined_kind = {
    .name = "temperature_combined",
    .options = options,
    .option_count = ARRAY_COUNT(options),
    .report_s = REPORT_S,
    .setup = setup,
    .connect = connect_combined,
    .ready = ready,
};

/* --- the object of its own --- */

static void destroy(struct printer_object *obj)
{
    mem_free(((struct combined_sensor *)obj)->sources);
}

static void write_status(struct printer_object *obj, struct status_writer *writer)
{
    const struct combined_sensor *c = (struct combined_sensor *)obj;
    double value, low, high;
    status_float_round(writer, "temperature", c->temp_c, 2);
    for (size_t i = 0; i < ARRAY_COUNT(more_fields); i++)
        if (c->is_started && combine(c, more_fields[i], &value, &low, &high))
            status_float_round(writer, more_fields[i], value, 2);
}

static const struct status_field_desc fields[] = {
    {"temperature", "float", "combined reading"},
    {"humidity", "float", "if all sources have it"},
    {"pressure", "float", "if all sources have it"},
    {"gas", "float", "if all sources have it"},
};

const struct object_desc temperature_combined_desc = {
    .section = "temperature_combined",
    .flags = OBJECT_NAMED | OBJECT_ON_DEMAND | OBJECT_INTERNAL,
    .help = "A temperature made of others.",
    .size_bytes = sizeof(struct combined_sensor),
    OBJECT_FIELDS(fields),
    .destroy = destroy,
    .status = write_status,
};
