#include "server/heat/pid_tune.h"

#include <math.h>

#define PID_BASE    255.0
#define SWING_MIN_C 1e-3 /* less is no swing */

void pid_tune_begin(struct pid_tune *tune, double target_c, double max_power)
{
    *tune = (struct pid_tune){.target_c = target_c, .max_power = max_power, .is_heating = true, .peak_c = INFINITY};
}

/* The phase has ended: keep its extreme. That of the first heating up is the temperature it began at, no peak. */
static void turn(struct pid_tune *tune)
{
    if (tune->has_reached && tune->count < PID_TUNE_PEAKS) {
        tune->peaks[tune->count].temp_c = tune->peak_c;
        tune->peaks[tune->count].time_s = tune->peak_s;
        tune->count++;
    }
    tune->has_reached = true;
    tune->is_heating = !tune->is_heating;
    tune->peak_c = tune->is_heating ? INFINITY : -INFINITY;
}

double pid_tune_update(struct pid_tune *tune, double time_s, double temp_c, double *goal_c)
{
    if (tune->is_heating ? temp_c >= tune->target_c : temp_c <= tune->target_c - PID_TUNE_DELTA_C)
        turn(tune);
    if (tune->is_heating ? temp_c < tune->peak_c : temp_c > tune->peak_c) {
        tune->peak_c = temp_c;
        tune->peak_s = time_s;
    }
    *goal_c = tune->is_heating ? tune->target_c : tune->target_c - PID_TUNE_DELTA_C;
    return tune->is_heating ? tune->max_power : 0;
}

bool pid_tune_is_done(const struct pid_tune *tune)
{
    return tune->count == PID_TUNE_PEAKS;
}

static double period(const struct pid_tune *tune, size_t at)
{
    return tune->peaks[at].time_s - tune->peaks[at - 2].time_s;
}

/* From the peak at `at` and the two before it: Ku = 4 d / (pi a) with a, half the swing, and Tu, its period. d is taken
 * as the whole of max_power, not half of it as for a relay around zero: printers are tuned with these numbers, and the
 * constants that people have in their files come from them. */
static void constants(const struct pid_tune *tune, size_t at, double *kp, double *ki, double *kd)
{
    double swing_c = fabs(tune->peaks[at].temp_c - tune->peaks[at - 1].temp_c);
    double tu = period(tune, at);
    double ku = 4.0 * tune->max_power / (M_PI * swing_c / 2);
    *kp = 0.6 * ku * PID_BASE;
    *ki = *kp / (0.5 * tu);
    *kd = *kp * 0.125 * tu;
}

/* The peak whose period is the median: how many others are shorter (or equal and earlier) is its rank. */
static size_t median_peak(const struct pid_tune *tune)
{
    for (size_t at = 2; at < tune->count; at++) {
        size_t rank = 0;
        for (size_t k = 2; k < tune->count; k++)
            rank += period(tune, k) < period(tune, at) || (k < at && period(tune, k) == period(tune, at));
        if (rank == (tune->count - 2) / 2)
            return at;
    }
    return tune->count - 1;
}

bool pid_tune_result(const struct pid_tune *tune, double *kp, double *ki, double *kd)
{
    size_t at = median_peak(tune);
    bool swings = fabs(tune->peaks[at].temp_c - tune->peaks[at - 1].temp_c) >= SWING_MIN_C && period(tune, at) > 0;
    if (swings)
        constants(tune, at, kp, ki, kd);
    return swings;
}
