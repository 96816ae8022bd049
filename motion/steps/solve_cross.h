/* The inner loop of solving: clocks of crossings on a part with constant acceleration. One loop, compiled for several
 * processors; all give the same bits (tests/unit/motion/steps/solve_test.c). Internal to motion/steps. */
#ifndef MOTION_STEPS_SOLVE_CROSS_H
#define MOTION_STEPS_SOLVE_CROSS_H

/* Crossings first, first + step, ... [mm] ahead on a part that starts with speed v >= 0 [mm/s] and half acceleration h
 * [mm/s^2]: x = v u + h u^2. clock: that of the part's start; ticks_max: how long it is. */
struct crossings {
    double first, step, v, h, hz, clock, ticks_max;
};

#define CROSSINGS_GROUP 4 /* crossings are worked out in groups of so many, a part's last ones with others after them */

/* Clocks [whole ticks] of the first n crossings; up to CROSSINGS_GROUP - 1 after them are overwritten. */
typedef void crossings_fn(double *restrict clocks, int n, const struct crossings *part);

crossings_fn *crossings_choose(void); /* the fastest for this processor */
/* All that this processor can run; returns how many. */
#define CROSSINGS_FNS_MAX 2
int crossings_all(crossings_fn *fns[CROSSINGS_FNS_MAX]);

#endif
