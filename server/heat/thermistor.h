/* Curves of sensors that the user describes: [thermistor NAME], [adc_temperature NAME]. */
#ifndef SERVER_HEAT_THERMISTOR_H
#define SERVER_HEAT_THERMISTOR_H

#include "server/config/option.h"

#include <stdbool.h>
#include <stddef.h>

struct printer;
struct sensor_curve;

/* The curve of the section called `name`; NULL if there is none. */
const struct sensor_curve *custom_sensor_curve(struct printer *printer, const char *name);

/* Options that a sensor type adds to the section it is used in, by a name that stands for the group. */
struct sensor_type_options {
    const char *group;
    const struct option_desc *options;
    size_t count;
};
bool sensor_type_options_at(size_t index, struct sensor_type_options *out); /* false: past the last */

#endif
