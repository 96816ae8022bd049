/* What heater.c and heaters.c share. */
#ifndef SERVER_HEAT_HEATER_PRIVATE_H
#define SERVER_HEAT_HEATER_PRIVATE_H

#include "server/heat/heater.h"
#include "server/heat/heater_control.h"
#include "server/machine/output.h"

struct sensor;

struct heater {
    struct printer *printer;
    const char *name;       /* full section name */
    const char *short_name; /* its last word */
    struct sensor *sensor;
    struct output pwm;
    struct heater_control control;
    double min_temp_c, max_temp_c, min_extrude_c, max_power;
    double smooth_rate; /* 1 / smooth_time */
    double pwm_delay_s; /* a power takes effect this long after the reading it answers */
    double target_c, last_temp_c, smoothed_c;
    double last_read_s, next_pwm_s; /* print times */
    double last_power;
    heater_power_fn *control_fn; /* NULL: its own control */
    void *control_ctx;
    bool is_stopped;        /* after a shutdown nothing is sent any more */
    struct heater *next;
};

/* Commands of one heater (SET_HEATER_TEMPERATURE), by the `heaters` object. */
void heaters_add_heater(struct printer *printer, struct config_section *section, struct heater *heater,
                        const char *gcode_id);

enum err heater_connect(struct heater *heater, struct err_info *info) ERR_NODISCARD;
void heater_turn_off(struct heater *heater); /* target 0, whoever controls it */
void heater_stop(struct heater *heater);
void heater_destroy(struct heater *heater);
bool heater_is_busy(const struct heater *heater);

#endif
