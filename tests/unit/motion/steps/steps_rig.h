/* Random motion for the tests of motion/steps. */
#ifndef STEPS_RIG_H
#define STEPS_RIG_H

#include "base/rng.h"
#include "motion/plan/lookahead.h"
#include "motion/plan/segq.h"

#include <math.h>
#include <string.h>

/* Append `count` random planned moves from t_s on, x y z [e] from pos; e is put on `extruder` if given. Returns the
 * end. */
static inline double rig_add_moves(struct rng *rng, struct segq *q, struct segq *extruder, double t_s, double pos[4],
                                   int count, double scale_mm)
{
    const struct move_limits limits = {rng_range(rng, 50.0, 400.0), rng_range(rng, 500.0, 10000.0), 5.0, 0.5};
    struct lookahead la;
    lookahead_init(&la, 256);
    for (int i = 0; i < count; i++) {
        double next[4] = {pos[0], pos[1], pos[2], pos[3]};
        const uint64_t kind = rng_below(rng, 6);
        if (kind != 5) {
            next[0] += rng_range(rng, -scale_mm, scale_mm);
            next[1] += rng_range(rng, -scale_mm, scale_mm);
        }
        if (kind == 0)
            next[2] += rng_range(rng, -0.3, 0.3);
        if (kind >= 3)
            next[3] += kind == 5 ? rng_range(rng, -1.0, 1.0) : rng_range(rng, 0.0, 0.05 * scale_mm);
        struct move m;
        if (!move_init(&m, &limits, 4, pos, next, rng_range(rng, 20.0, 300.0)))
            continue;
        m.corner_v_mm_s[0] = 1.0;
        if (!m.is_kinematic)
            move_limit_speed(&m, 30.0, 1500.0);
        m.extra_flags[0] = m.r[3] > 0.0 && m.is_kinematic ? SEG_ADVANCE : 0;
        memcpy(pos, m.end_mm, 4 * sizeof *pos);
        lookahead_add(&la, &m);
    }
    lookahead_flush(&la, false);
    for (uint64_t i = la.held_begin; i < la.end; i++) {
        const struct move *m = lookahead_at(&la, i);
        if (m->is_kinematic)
            segq_append(q, t_s, m->accel_t, m->cruise_t, m->decel_t, m->start_mm, m->r, m->start_v, m->cruise_v,
                        m->accel_mm_s2, 0, (uint32_t)i);
        if (extruder && m->r[3] != 0.0)
            segq_append(extruder, t_s, m->accel_t, m->cruise_t, m->decel_t, (const double[3]){m->start_mm[3], 0, 0},
                        (const double[3]){m->r[3], 0, 0}, m->start_v, m->cruise_v, m->accel_mm_s2, m->extra_flags[0],
                        (uint32_t)i);
        t_s += move_duration_s(m);
    }
    lookahead_deinit(&la);
    return t_s;
}

#endif
