/* Curves of sensors that the user describes: [thermistor NAME], [adc_temperature NAME]. */
#ifndef SERVER_MACHINE_THERMISTOR_H
#define SERVER_MACHINE_THERMISTOR_H

#include "server/config/option.h"

#include <stddef.h>

struct printer;
struct sensor_curve;

/* The curve of the section called `name`; NULL if there is none. */
const struct sensor_curve *custom_sensor_curve(struct printer *printer, const char *name);

/* Options that a sensor type adds to the section it is used in, by a name that stands for the group; ends with NULL. */
struct sensor_type_options {
    const char *group;
    const struct option_desc *options;
    size_t count;
};
extern const struct sensor_type_options sensor_type_options[];

#endif
