/* Finding PID constants by letting a heater swing between two temperatures (relay tuning). Pure: no clock, no board.
 *
 * Full power until the target is reached, none until it is PID_TUNE_DELTA_C below, and so on: the swing's period and
 * size give the gain at which a proportional controller would just oscillate (the ultimate gain), and that the
 * constants. Source: Astrom and Hagglund 1984 (relay), Ziegler and Nichols 1942 (constants). */
#ifndef SERVER_HEAT_PID_TUNE_H
#define SERVER_HEAT_PID_TUNE_H

#include <stdbool.h>
#include <stddef.h>

#define PID_TUNE_DELTA_C 5.0
#define PID_TUNE_PEAKS   12 /* highs and lows, after the first heating up */

struct pid_tune {
    double target_c, max_power;
    bool is_heating, has_reached; /* has the target been reached once? */
    double peak_c, peak_s;        /* the extreme of the present phase so far */
    struct {
        double temp_c, time_s;
    } peaks[PID_TUNE_PEAKS];
    size_t count;
};

void pid_tune_begin(struct pid_tune *tune, double target_c, double max_power);
/* A reading: the power to use from now on; *goal_c: the temperature it is on its way to. */
double pid_tune_update(struct pid_tune *tune, double time_s, double temp_c, double *goal_c);
bool pid_tune_is_done(const struct pid_tune *tune);
/* The constants, scaled as they are configured (for an output of 0..255). Only if done. False: the readings do not
 * swing. */
bool pid_tune_result(const struct pid_tune *tune, double *kp, double *ki, double *kd);

#endif
