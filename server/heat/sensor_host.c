/* sensor_type: temperature_host. The computer's own sensor, a file of the kernel. */
#include "base/check.h"
#include "base/mem.h"
#include "server/config/config.h"
#include "server/heat/sensor_private.h"
#include "server/machine/object.h"
#include "server/machine/status.h"

#include <math.h>
#include <stdio.h>

#define REPORT_S  1.0
#define VIRTUAL_C 40.0 /* what it shows in virtual time, where nothing real is read */

/* The computer's sensor is also an object of its own, under the last word of its section's name. */
struct host_sensor {
    struct printer_object obj;
    double temp_c;
};

static double read_file(const struct sensor *s)
{
    if (runtime_is_virtual(s->printer->services->runtime))
        return VIRTUAL_C;
    FILE *f = fopen(s->host.path, "re");
    double thousandths = NAN;
    if (f && fscanf(f, "%lf", &thousandths) != 1)
        thousandths = NAN;
    if (f)
        (void)fclose(f);
    return thousandths / 1000;
}

static struct host_ns on_timer(void *ctx, struct host_ns now)
{
    struct sensor *s = ctx;
    double temp_c = read_file(s);
    if (isnan(temp_c)) /* the sensor is not there: a reading of zero, as long as the range allows it */
        temp_c = 0;
    if (temp_c < s->min_c || temp_c > s->max_c) {
        printer_shutdown(s->printer, "HOST temperature %.1f %s temperature of %.1f.", temp_c,
                         temp_c < s->min_c ? "below minimum" : "above maximum", temp_c < s->min_c ? s->min_c : s->max_c);
        return HOST_NS_NEVER;
    }
    if (s->host.shown)
        s->host.shown->temp_c = temp_c;
    s->fn(s->ctx, printer_est_print_time(s->printer), temp_c);
    return host_ns_add_s(now, REPORT_S);
}

static void setup(struct sensor *s, struct config_section *section)
{
    s->timer.fn = on_timer;
    s->host.path = section_string(section, "sensor_path");
    char *name = mem_sprintf("temperature_host %s", sensor_short_name(s));
    s->host.shown = (struct host_sensor *)printer_load_object(s->printer, name, section);
    mem_free(name);
}

static void ready(struct sensor *s)
{
    printer_timer_start(s->printer, &s->timer, host_ns_add_s(printer_now(s->printer), REPORT_S));
}

static const struct option_desc options[] = {
    {.name = "sensor_path", .type = OPTION_STRING, .default_text = "/sys/class/thermal/thermal_zone0/temp",
     .help = "File that holds the temperature in thousandths of a degree"},
};

const struct sensor_kind_desc sensor_host_kind = {
    .name = "temperature_host",
    .options = options,
    .option_count = ARRAY_COUNT(options),
    .report_s = REPORT_S,
    .setup = setup,
    .ready = ready,
};

static void write_status(struct printer_object *obj, struct status_writer *writer)
{
    status_float_round(writer, "temperature", ((struct host_sensor *)obj)->temp_c, 2);
}

static const struct status_field_desc fields[] = {{"temperature", "float", "last reading"}};

const struct object_desc temperature_host_desc = {
    .section = "temperature_host",
    .flags = OBJECT_NAMED | OBJECT_ON_DEMAND | OBJECT_INTERNAL,
    .help = "The computer's own temperature.",
    .size_bytes = sizeof(struct host_sensor),
    OBJECT_FIELDS(fields),
    .status = write_status,
};
