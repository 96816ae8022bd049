/* Cutting a plan: stop as soon as limits allow after a print time, and hand back what was not executed.
 *
 * Why braking along the old path is always possible: at any place the braked speed is at most the planned one, because
 * the plan itself never slows down faster than the acceleration limit of the move it is in; so every junction that the
 * braking passes is passed at no more than its planned, allowed speed. When the held moves end at speed, the waiting
 * ones behind them can stop from it (that is what made them final), and braking goes on through those. */
#include "motion/plan/lookahead.h"

#include "base/check.h"
#include "base/fmath.h"

#include <string.h>

#define SPEED_REST_MM_S 1e-3 /* a move that would be left more slowly than this is braked to a stop at its end */
#define LENGTH_REST_MM  1e-9 /* a shorter rest of a move is nothing (move_init's limit) */

size_t lookahead_tail_max(const struct lookahead *la)
{
    return (size_t)(la->end - la->held_begin);
}

/* Brake within move `m` from `done_mm` and speed *v; returns the distance at which it stops or the move ends
 * (*v is then the speed at its end) and advances *t_s. */
static double brake_in_move(const struct move *m, double done_mm, double *v, double *t_s, lookahead_part_fn *part_fn,
                            void *ctx)
{
    const double a = m->accel_mm_s2, rest = m->length_mm - done_mm;
    struct lookahead_part part = {.move = m, .print_time_s = *t_s, .start_v = *v, .cruise_v = *v, .accel_mm_s2 = a};
    move_position_at(m, done_mm, part.start_mm);
    const double end_v2 = *v * *v - 2.0 * a * rest;
    double at_mm = m->length_mm;
    if (end_v2 > SPEED_REST_MM_S * SPEED_REST_MM_S) {
        const double end_v = fm_sqrt(end_v2);
        part.decel_t = (*v - end_v) / a;
        *v = end_v;
    } else if (end_v2 > -SPEED_REST_MM_S * SPEED_REST_MM_S) {
        part.decel_t = 2.0 * rest / *v;
        part.accel_mm_s2 = *v / part.decel_t;
        *v = 0.0;
    } else {
        part.decel_t = *v / a;
        at_mm = done_mm + 0.5 * *v * part.decel_t;
        *v = 0.0;
    }
    *t_s += part.decel_t;
    part_fn(ctx, &part);
    return at_mm;
}

void lookahead_stop(struct lookahead *la, double t_s, lookahead_part_fn *part_fn, void *ctx, struct move *tail,
                    struct lookahead_stop *result)
{
    uint64_t i = la->held_begin;
    while (i < la->waiting_begin) {
        const struct move *m = lookahead_at(la, i);
        if (m->print_time_s + move_duration_s(m) > t_s)
            break;
        i++;
    }
    *result = (struct lookahead_stop){.stop_s = t_s};
    double done_mm = 0.0;
    if (i < la->waiting_begin) {
        const struct move *m = lookahead_at(la, i);
        double v = m->start_v; /* more than 0 only if it begins just at t_s */
        if (t_s > m->print_time_s)
            move_at(m, t_s - m->print_time_s, &done_mm, &v);
        while (v > 0.0) {
            CHECK(i < la->end);
            m = lookahead_at(la, i);
            done_mm = brake_in_move(m, done_mm, &v, &result->stop_s, part_fn, ctx);
            if (v > 0.0) {
                i++;
                done_mm = 0.0;
            }
        }
    }
    if (i < la->end) {
        const struct move *m = lookahead_at(la, i);
        result->axes_count = m->axes_count;
        if (m->length_mm - done_mm > LENGTH_REST_MM) {
            move_position_at(m, done_mm, result->pos_mm);
            tail[0] = *m;
            if (done_mm > 0.0)
                move_drop_head(&tail[0], done_mm);
            result->tail_count = 1;
        } else {
            memcpy(result->pos_mm, m->end_mm, sizeof result->pos_mm);
        }
        for (i++; i < la->end; i++)
            tail[result->tail_count++] = *lookahead_at(la, i);
        for (size_t k = 0; k < result->tail_count; k++)
            move_unplan(&tail[k]);
    }
    la->held_begin = la->waiting_begin = la->end;
    la->prev_cruise_v2 = la->entry_v2 = 0.0;
}
