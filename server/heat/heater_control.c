#include "server/heat/heater_control.h"

#include <math.h>

#define PID_BASE 255.0      /* configured gains are for an output of 0..255 */
#define AMBIENT_C 25.0
#define SETTLE_DELTA_C 1.0  /* settled: this close to the target ... */
#define SETTLE_SLOPE 0.1    /* ... and changing no faster than this [C/s] */

void heater_control_watermark(struct heater_control *c, double max_power, double max_delta_c)
{
    *c = (struct heater_control){.kind = HEATER_WATERMARK, .max_power = max_power, .max_delta_c = max_delta_c};
}

void heater_control_pid(struct heater_control *c, double max_power, double kp, double ki, double kd, double smooth_time_s)
{
    *c = (struct heater_control){.kind = HEATER_PID,
                                 .max_power = max_power,
                                 .kp = kp / PID_BASE,
                                 .ki = ki / PID_BASE,
                                 .kd = kd / PID_BASE,
                                 .min_deriv_time_s = smooth_time_s,
                                 .prev_temp_c = AMBIENT_C};
    /* the integral alone may ask for full power, not for more */
    c->integ_max = c->ki > 0 ? max_power / c->ki : 0;
}

static double clamp(double value, double max)
{
    return value > 0 ? (value < max ? value : max) : 0;
}

static double update_pid(struct heater_control *c, double time_s, double temp_c, double target_c)
{
    double dt = time_s - c->prev_time_s, rise = temp_c - c->prev_temp_c, deriv;
    if (dt >= c->min_deriv_time_s)
        deriv = rise / dt;
    else /* an exponential mean over min_deriv_time_s */
        deriv = (c->prev_deriv * (c->min_deriv_time_s - dt) + rise) / c->min_deriv_time_s;
    double error = target_c - temp_c;
    double integ = clamp(c->prev_integ + error * dt, c->integ_max);
    double wanted = c->kp * error + c->ki * integ - c->kd * deriv;
    double power = clamp(wanted, c->max_power);
    c->prev_temp_c = temp_c;
    c->prev_time_s = time_s;
    c->prev_deriv = deriv;
    if (wanted == power) /* no wind-up while the output is saturated */
        c->prev_integ = integ;
    return power;
}

double heater_control_update(struct heater_control *c, double time_s, double temp_c, double target_c)
{
    if (c->kind == HEATER_PID)
        return update_pid(c, time_s, temp_c, target_c);
    if (c->is_heating && temp_c >= target_c + c->max_delta_c)
        c->is_heating = false;
    else if (!c->is_heating && temp_c <= target_c - c->max_delta_c)
        c->is_heating = true;
    return c->is_heating ? c->max_power : 0;
}

bool heater_control_is_busy(const struct heater_control *c, double smoothed_c, double target_c)
{
    if (c->kind == HEATER_PID)
        return fabs(target_c - smoothed_c) > SETTLE_DELTA_C || fabs(c->prev_deriv) > SETTLE_SLOPE;
    return smoothed_c < target_c - c->max_delta_c;
}
