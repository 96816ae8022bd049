/* A tap: a cursor into a segment queue that sees it shifted in time, as one impulse of a shaper does. Internal to
 * motion/steps. Worker thread. */
#ifndef MOTION_STEPS_TAP_H
#define MOTION_STEPS_TAP_H

#include "motion/plan/segq.h"
#include "motion/steps/filter.h"

#define TAPS_MAX (3 * SHAPER_TAPS_MAX)

/* p + v u + h u^2 */
struct quad {
    double p, v, h;
};

struct tap {
    double tau_s;   /* the tap sees the queue at t + tau */
    double from_s;  /* but not before this time of the queue, at which it rests */
    double w[3];    /* weight of x, y, z */
    uint64_t index; /* segment it is in; may be one past the newest: at rest */
    double start_s; /* stepper time at which the segment starts and ends for this tap */
    double end_s;
    struct quad sum; /* w . (x, y, z) from start_s on */
};

/* Enter the segment that holds stepper time t_s, searching from scratch. */
void tap_seek(struct tap *tap, const struct segq *q, const struct advance_list *advance, double t_s);
/* Go on to the segment that holds t_s >= start_s. */
void tap_advance(struct tap *tap, const struct segq *q, const struct advance_list *advance, double t_s);

/* The tap's polynomial with origin moved to stepper time t_s, added to *sum. */
static inline void tap_add(const struct tap *tap, double t_s, struct quad *sum)
{
    const double u = t_s - tap->start_s;
    sum->p += tap->sum.p + (tap->sum.v + tap->sum.h * u) * u;
    sum->v += tap->sum.v + 2.0 * tap->sum.h * u;
    sum->h += tap->sum.h;
}

#endif
