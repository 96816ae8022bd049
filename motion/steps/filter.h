/* What one stepper sees of its motion queue: kinematics, input shapers, pressure advance, as one function of time.
 *
 * A filter looks from t - post to t + pre. It may be evaluated (and steps solved) up to T only when the queue is known
 * up to T + pre. Derivations: docs/design/shaping.md, docs/design/step-solving.md. */
#ifndef MOTION_STEPS_FILTER_H
#define MOTION_STEPS_FILTER_H

#include "motion/kin/kin.h"
#include "motion/plan/segq.h"
#include "motion/shape/shaper.h"

#define FILTER_SMOOTH_MAX_S 0.200 /* longest smooth_time of pressure advance */

struct filter {
    struct kin_func func;
    struct shaper shaper[3]; /* of x, y, z */
    double smooth_s;         /* smooth_time of pressure advance; 0: none. Only for LINEAR functions of x alone */
    double from_s;           /* it does not look behind this time: what was before counts as rest. -INFINITY: it does */
};

/* No shapers, no smoothing. */
void filter_init(struct filter *f, const struct kin_func *func);
double filter_pre_s(const struct filter *f);  /* how far ahead it looks, over the axes it depends on [s] */
double filter_post_s(const struct filter *f); /* how far back, if not less by from_s */

/* Pressure advance in time order: K [s] that applies to segments starting at or after t_s. */
struct advance_list {
    struct {
        double t_s, k_s;
    } at[64];
    unsigned count;
};
double advance_at(const struct advance_list *list, double t_s);

/* Position [mm] at t_s, the slow way, straight from the definition; for queries, checks and tests. `advance` may be
 * NULL. False if the window reaches behind the queue's history. */
bool filter_position(const struct filter *f, const struct segq *q, const struct advance_list *advance, double t_s,
                     double *pos_mm);

/* Smoothed pressure advance at t_s [mm, mm/s] by integration over the window; filter.smooth_s > 0. A window that
 * reaches behind the history takes the oldest position known. */
void filter_smoothed(const struct filter *f, const struct segq *q, const struct advance_list *advance, double t_s,
                     double *pos_mm, double *vel_mm_s);

#endif
