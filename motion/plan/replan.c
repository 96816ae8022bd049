/* Other speed limits from a print time on: the same path from the same speed, slower or faster.
 *
 * How fast the path may be entered at each move is found by a backward pass under the new limits, without asking how fast
 * it can be reached. As long as the motion is faster than that, or than the move's new speed, it slows down as fast as the
 * acceleration limits allow. That keeps all limits that do not change: the braked speed is nowhere above the old plan's,
 * which kept the junctions, and which could stop at the end of the path. In the squared speed over the distance both the
 * braking and the bound from behind are straight lines with the same slope -2a within a move, so whether they meet is
 * known at the move's start; only the move's own speed limit is met inside of it. */
#include "motion/plan/lookahead.h"

#include "base/check.h"
#include "base/fmath.h"

#include <math.h>

#define LENGTH_REST_MM 1e-9 /* a shorter rest of a move is nothing (move_init's limit) */
#define V2_SLACK       1e-9 /* rounding of squared speeds, relative and [mm^2/s^2] */

uint64_t lookahead_find(const struct lookahead *la, double t_s)
{
    uint64_t i = la->held_begin;
    while (i < la->waiting_begin && lookahead_at(la, i)->print_time_s + move_duration_s(lookahead_at(la, i)) <= t_s)
        i++;
    return i;
}

size_t lookahead_take_back(struct lookahead *la, uint64_t from, struct move *out)
{
    CHECK(from >= la->held_begin);
    size_t count = 0;
    for (uint64_t i = from; i < la->end; i++) {
        out[count] = *lookahead_at(la, i);
        move_unplan(&out[count++]);
    }
    if (from < la->waiting_begin)
        la->waiting_begin = from;
    la->end = from > la->end ? la->end : from;
    return count;
}

/* Split move `at` after `distance_mm`: the first part becomes number at - 1. */
static void split(struct lookahead *la, uint64_t at, double distance_mm, struct lookahead_replan *result)
{
    CHECK(lookahead_room(la) > 0 && la->held_begin > 0);
    for (uint64_t i = la->held_begin; i < at; i++)
        *lookahead_at(la, i - 1) = *lookahead_at(la, i);
    struct move *head = lookahead_at(la, at - 1), *rest = lookahead_at(la, at);
    *head = *rest;
    move_keep_head(head, distance_mm);
    move_drop_head(rest, distance_mm);
    la->held_begin--;
    result->splits[result->split_count++] = at;
}

/* What has been executed of a profile after `t_s`. */
static void cut_profile(struct move *m, double t_s, double speed_mm_s)
{
    m->end_v = speed_mm_s;
    if (t_s < m->accel_t) {
        m->accel_t = t_s;
        m->cruise_v = speed_mm_s;
        m->cruise_t = m->decel_t = 0.0;
        return;
    }
    if (t_s < m->accel_t + m->cruise_t) {
        m->cruise_t = t_s - m->accel_t;
        m->decel_t = 0.0;
        return;
    }
    m->decel_t = t_s - m->accel_t - m->cruise_t;
}

/* Slow down over the whole move. */
static void set_slowing(struct move *m, double start_v2, double end_v2, double *t_s)
{
    m->print_time_s = *t_s;
    m->start_v = m->cruise_v = fm_sqrt(start_v2);
    m->end_v = fm_sqrt(end_v2);
    m->accel_t = m->cruise_t = 0.0;
    m->decel_t = 2.0 * m->length_mm / (m->start_v + m->end_v);
    *t_s += m->decel_t;
}

/* For each move behind `first`: the most it may start with [v^2], so that everything behind it can still slow down. */
static void bound_from_behind(struct lookahead *la, uint64_t first, double *bound_v2)
{
    if (first == la->end)
        return;
    lookahead_at(la, first)->max_start_v2 = lookahead_at(la, first)->max_mcr_start_v2 = INFINITY;
    for (uint64_t i = first + 1; i < la->end; i++)
        move_join(lookahead_at(la, i), lookahead_at(la, i - 1));
    double next = 0.0;
    for (uint64_t i = la->end; i-- > first;) {
        const struct move *m = lookahead_at(la, i);
        next = fmin(m->max_start_v2, next + m->delta_v2);
        bound_v2[i & la->mask] = next;
    }
}

/* Slow down from number `first`, `v2` and result->until_s until the new limits are kept. Returns the first move that they
 * are kept in; *v2 is the speed there. */
static uint64_t slow_down(struct lookahead *la, uint64_t first, const double *bound_v2, double *v2,
                          struct lookahead_replan *result)
{
    uint64_t i = first;
    for (; i < la->end; i++) {
        struct move *m = lookahead_at(la, i);
        const double next = i + 1 < la->end ? bound_v2[(i + 1) & la->mask] : 0.0;
        const bool is_late = *v2 > (next + m->delta_v2) * (1.0 + V2_SLACK) + V2_SLACK;
        if (!is_late && *v2 <= m->max_cruise_v2 * (1.0 + V2_SLACK))
            break;
        const double distance = is_late ? m->length_mm : (*v2 - m->max_cruise_v2) / (2.0 * m->accel_mm_s2);
        if (m->length_mm - distance <= LENGTH_REST_MM) {
            const double end = fmax(*v2 - m->delta_v2, 0.0);
            set_slowing(m, *v2, i + 1 < la->end ? end : 0.0, &result->until_s);
            *v2 = end;
            continue;
        }
        split(la, i, distance, result);
        set_slowing(lookahead_at(la, i - 1), *v2, m->max_cruise_v2, &result->until_s);
        *v2 = m->max_cruise_v2;
        break;
    }
    return i;
}

/* All moves from number `first` on wait for their speeds; the first of them starts with `v2`. */
static void reopen(struct lookahead *la, uint64_t first, double v2)
{
    for (uint64_t i = first; i < la->end; i++) {
        struct move *m = lookahead_at(la, i);
        move_unplan(m);
        if (i == first)
            m->max_start_v2 = m->max_mcr_start_v2 = v2;
        else
            move_join(m, lookahead_at(la, i - 1));
    }
    la->waiting_begin = first;
    la->entry_v2 = la->prev_cruise_v2 = first < la->end ? v2 : 0.0;
}

void lookahead_replan(struct lookahead *la, double t_s, double next_s, lookahead_relimit_fn *relimit, void *ctx,
                      struct lookahead_replan *result)
{
    CHECK(lookahead_room(la) >= LOOKAHEAD_REPLAN_ROOM);
    uint64_t i = lookahead_find(la, t_s);
    *result = (struct lookahead_replan){.from_s = next_s};
    double v2 = la->entry_v2;
    if (i < la->waiting_begin) {
        struct move *m = lookahead_at(la, i);
        double done_mm = 0.0, v = m->start_v;
        result->from_s = m->print_time_s;
        if (t_s > m->print_time_s) {
            move_at(m, t_s - m->print_time_s, &done_mm, &v);
            result->from_s = t_s;
        }
        v2 = v * v;
        if (done_mm > 0.0) {
            const double begun_s = m->print_time_s;
            if (m->length_mm - done_mm <= LENGTH_REST_MM)
                done_mm = m->length_mm - LENGTH_REST_MM;
            split(la, i, done_mm, result);
            cut_profile(lookahead_at(la, i - 1), t_s - begun_s, v);
        }
    }
    result->until_s = result->from_s;
    for (uint64_t k = i; k < la->end; k++)
        relimit(ctx, lookahead_at(la, k));
    double *bound_v2 = la->bound_v2;
    bound_from_behind(la, i, bound_v2);
    const unsigned done_splits = result->split_count;
    const uint64_t waiting = slow_down(la, i, bound_v2, &v2, result);
    result->first = i - (result->split_count - done_splits);
    reopen(la, waiting, v2);
}
