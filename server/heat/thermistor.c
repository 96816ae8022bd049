#include "server/heat/thermistor.h"

#include "base/check.h"
#include "base/thermistor.h"
#include "server/config/config.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct custom_sensor {
    struct printer_object obj;
    struct sensor_curve curve;
};

const struct sensor_curve *custom_sensor_curve(struct printer *printer, const char *name)
{
    static const char *const kinds[] = {"thermistor", "adc_temperature"};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        struct printer_object *obj = NULL;
        while ((obj = printer_next_of(printer, kinds[i], obj)))
            if (!strcmp(obj->id, name))
                return &((struct custom_sensor *)obj)->curve;
    }
    return NULL;
}

/* A harmless curve for going on after an error. */
static void set_fallback(struct sensor_curve *curve)
{
    enum err err = sensor_curve_from_beta(curve, 25, 100000, 3950);
    CHECK(err == OK);
}

/* --- [thermistor NAME] --- */

static const struct option_desc thermistor_options[] = {
    {.name = "temperature1", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED, .unit = "C", .limits = ">=-273.15",
     .help = "Temperature of the first measurement"},
    {.name = "resistance1", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED, .unit = "ohm", .limits = ">=0.0",
     .help = "Resistance at temperature1"},
    {.name = "beta", .type = OPTION_FLOAT, .unit = "K", .limits = ">0.0",
     .help = "If given, only temperature1 and resistance1 are used"},
    {.name = "temperature2", .type = OPTION_FLOAT, .flags = OPTION_CONDITIONAL, .unit = "C", .limits = ">=-273.15",
     .when = "beta is not given", .help = "Temperature of the second measurement"},
    {.name = "resistance2", .type = OPTION_FLOAT, .flags = OPTION_CONDITIONAL, .unit = "ohm", .limits = ">=0.0",
     .when = "beta is not given", .help = "Resistance at temperature2"},
    {.name = "temperature3", .type = OPTION_FLOAT, .flags = OPTION_CONDITIONAL, .unit = "C", .limits = ">=-273.15",
     .when = "beta is not given", .help = "Temperature of the third measurement"},
    {.name = "resistance3", .type = OPTION_FLOAT, .flags = OPTION_CONDITIONAL, .unit = "ohm", .limits = ">=0.0",
     .when = "beta is not given", .help = "Resistance at temperature3"},
};

static enum err thermistor_create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct custom_sensor *custom = (struct custom_sensor *)obj;
    (void)info;
    enum err err;
    double temp_c = section_float(section, "temperature1"), ohm = section_float(section, "resistance1");
    if (section_has(section, "beta")) {
        double beta = section_float(section, "beta");
        err = sensor_curve_from_beta(&custom->curve, temp_c, ohm, beta);
    } else {
        const struct sensor_point points[3] = {
            {temp_c, ohm},
            {section_float_required(section, "temperature2"), section_float_required(section, "resistance2")},
            {section_float_required(section, "temperature3"), section_float_required(section, "resistance3")}};
        err = section_error_count(section) ? ERR_INVALID : sensor_curve_from_points(&custom->curve, points);
    }
    if (err == OK)
        return OK;
    if (!section_error_count(section))
        config_error_section(section, "The temperatures and resistances of section '%s' are no thermistor's (expected: "
                                      "three different temperatures, the resistance falling as they rise)",
                             obj->name);
    set_fallback(&custom->curve);
    return OK;
}

const struct object_desc thermistor_desc = {
    .section = "thermistor",
    .flags = OBJECT_NAMED | OBJECT_FIRST,
    .help = "A thermistor by its measured resistances.",
    .size_bytes = sizeof(struct custom_sensor),
    OBJECT_OPTIONS(thermistor_options),
    .create = thermistor_create,
};

/* --- [adc_temperature NAME] --- */

static const struct option_desc adc_options[] = {
    {.name = "temperature<n>", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED, .unit = "C",
     .help = "Temperature of a measurement; at least two"},
    {.name = "voltage<n>", .type = OPTION_FLOAT, .flags = OPTION_CONDITIONAL, .unit = "V",
     .when = "resistance1 is not given", .help = "Voltage at the temperature of that number"},
    {.name = "resistance<n>", .type = OPTION_FLOAT, .flags = OPTION_CONDITIONAL, .unit = "ohm",
     .when = "resistance1 is given", .help = "Resistance at the temperature of that number"},
};

static enum err adc_create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct custom_sensor *custom = (struct custom_sensor *)obj;
    (void)info;
    bool is_resistance = section_find(section, "resistance1") != NULL;
    struct sensor_point points[SENSOR_POINTS_MAX];
    size_t count = 0;
    for (unsigned n = 1; n < 1000; n++) {
        char temperature[24], value[24];
        (void)snprintf(temperature, sizeof temperature, "temperature%u", n);
        (void)snprintf(value, sizeof value, "%s%u", is_resistance ? "resistance" : "voltage", n);
        if (!section_find(section, temperature))
            break;
        if (count == SENSOR_POINTS_MAX) {
            config_error_option(section, temperature, "Too many measurements in section '%s' (allowed: %d)", obj->name,
                                SENSOR_POINTS_MAX);
            break;
        }
        double temp_c = section_float(section, temperature);
        points[count++] = (struct sensor_point){temp_c, section_float_required(section, value)};
    }
    if (count < 2) {
        config_error_section(section, "Need two or more samples in section '%s' (found: %zu)", obj->name, count);
    } else if (!section_error_count(section) &&
               sensor_curve_from_table(&custom->curve, is_resistance ? SENSOR_RESISTANCE : SENSOR_VOLTAGE, points, count) != OK) {
        config_error_section(section, "The measurements of section '%s' do not rise or fall with temperature throughout",
                             obj->name);
    }
    if (section_error_count(section))
        set_fallback(&custom->curve);
    return OK;
}

const struct object_desc adc_temperature_desc = {
    .section = "adc_temperature",
    .flags = OBJECT_NAMED | OBJECT_FIRST,
    .help = "An analog sensor by a table of voltages or resistances.",
    .size_bytes = sizeof(struct custom_sensor),
    OBJECT_OPTIONS(adc_options),
    .create = adc_create,
};
