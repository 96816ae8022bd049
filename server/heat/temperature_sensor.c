/* [temperature_sensor NAME]: a sensor that is only shown. */
#include "server/machine/object.h"

#include "server/config/config.h"
#include "server/heat/heater.h"
#include "server/heat/sensor.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#include <math.h>

#define NEVER_MEASURED_C 99999999.0 /* the least temperature so far, before there was any */

struct temperature_sensor {
    struct printer_object obj;
    struct sensor *sensor;
    double temp_c, lowest_c, highest_c;
};

static const struct option_desc sensor_options[] = {
    {.name = "sensor_type", .type = OPTION_STRING, .flags = OPTION_REQUIRED, .help = "Which sensor it is"},
    {.name = "min_temp", .type = OPTION_FLOAT, .unit = "C", .default_text = "-273.15", .limits = ">=-273.15",
     .help = "Below this the printer stops"},
    {.name = "max_temp", .type = OPTION_FLOAT, .unit = "C", .default_text = "99999999.9", .limits = ">min_temp",
     .help = "Above this the printer stops"},
    {.name = "gcode_id", .type = OPTION_STRING, .help = "Its name in M105 reports"},
};

static void on_temperature(void *ctx, struct print_time read_time, double temp_c)
{
    struct temperature_sensor *s = ctx;
    (void)read_time;
    s->temp_c = temp_c;
    if (temp_c != 0) { /* 0: no reading yet */
        s->lowest_c = fmin(s->lowest_c, temp_c);
        s->highest_c = fmax(s->highest_c, temp_c);
    }
}

static void get_temp(void *ctx, double *temp_c, double *target_c)
{
    const struct temperature_sensor *s = ctx;
    if (temp_c)
        *temp_c = s->temp_c;
    if (target_c)
        *target_c = 0;
}

static enum err sensor_create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct temperature_sensor *s = (struct temperature_sensor *)obj;
    (void)info;
    s->lowest_c = NEVER_MEASURED_C;
    s->sensor = sensor_setup(obj->printer, section, on_temperature, s);
    double min_c = section_float(section, "min_temp"), max_c = section_float(section, "max_temp");
    sensor_set_range(s->sensor, min_c, max_c);
    heaters_add_sensor(obj->printer, section, obj->name, section_string(section, "gcode_id"), get_temp, s);
    return OK;
}

static enum err connect_sensor(struct printer_object *obj, struct err_info *info)
{
    return sensor_connect(((struct temperature_sensor *)obj)->sensor, info);
}

static void ready(struct printer_object *obj)
{
    sensor_ready(((struct temperature_sensor *)obj)->sensor);
}

static void destroy(struct printer_object *obj)
{
    sensor_destroy(((struct temperature_sensor *)obj)->sensor);
}

static void write_status(struct printer_object *obj, struct status_writer *writer)
{
    const struct temperature_sensor *s = (struct temperature_sensor *)obj;
    status_float_round(writer, "temperature", s->temp_c, 2);
    status_float_round(writer, "measured_min_temp", s->lowest_c, 2);
    status_float_round(writer, "measured_max_temp", s->highest_c, 2);
}

static const struct status_field_desc sensor_fields[] = {
    {"temperature", "float", "last reading"},
    {"measured_min_temp", "float", "lowest since start"},
    {"measured_max_temp", "float", "highest since start"},
};

const struct object_desc temperature_sensor_desc = {
    .section = "temperature_sensor",
    .flags = OBJECT_NAMED,
    .help = "A temperature that is only shown.",
    .size_bytes = sizeof(struct temperature_sensor),
    OBJECT_OPTIONS(sensor_options),
    OBJECT_FIELDS(sensor_fields),
    .create = sensor_create,
    .connect = connect_sensor,
    .ready = ready,
    .destroy = destroy,
    .status = write_status,
};
