/* The two ways a heater decides its power. Pure: no clock, no board. */
#ifndef SERVER_HEAT_HEATER_CONTROL_H
#define SERVER_HEAT_HEATER_CONTROL_H

#include <stdbool.h>

enum heater_control_kind { HEATER_WATERMARK, HEATER_PID };

struct heater_control {
    enum heater_control_kind kind;
    double max_power;      /* (0, 1] */
    /* watermark */
    double max_delta_c;
    bool is_heating;
    /* PID: gains per degree, as fractions of full power (the configured ones are of 255) */
    double kp, ki, kd;
    double min_deriv_time_s; /* the derivative is smoothed over this time */
    double integ_max;
    double prev_temp_c, prev_time_s, prev_deriv, prev_integ;
};

void heater_control_watermark(struct heater_control *c, double max_power, double max_delta_c);
/* Gains as configured (pid_Kp, pid_Ki, pid_Kd). */
void heater_control_pid(struct heater_control *c, double max_power, double kp, double ki, double kd, double smooth_time_s);
/* A new reading: the power [0, max_power] to use from now on. */
double heater_control_update(struct heater_control *c, double time_s, double temp_c, double target_c);
/* Is the heater still on its way to the target? */
bool heater_control_is_busy(const struct heater_control *c, double smoothed_c, double target_c);

#endif
