/* The path that an engine has committed itself to, read from its motion queues: where the toolhead and the filament of the
 * active extruder go, without any filter. Two runs are compared as curves, so that it does not matter when and how fast
 * they were driven along and where they were interrupted. */
#ifndef TESTS_UNIT_MOTION_PLAN_PATH_H
#define TESTS_UNIT_MOTION_PLAN_PATH_H

#include "motion/engine_int.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

struct plan_point {
    double t_s, pos[4];
};

struct plan_path {
    struct plan_point *points;
    size_t count, capacity;
    uint64_t next[2];        /* segments of the toolhead and of the extruder that were not looked at */
    const struct segq *extruder;
    double max_accel_mm_s2, max_speed_mm_s; /* of the toolhead along its path, seen so far */
    double max_step_mm_s, step_s;           /* largest change of that speed at once, and when */
    double last_v, last_s;
};

static inline void plan_path_deinit(struct plan_path *p)
{
    mem_free(p->points);
}

static inline void plan_path_add(struct plan_path *p, double t_s, const double pos[4])
{
    const struct plan_point *last = p->count ? &p->points[p->count - 1] : NULL;
    if (last && memcmp(last->pos, pos, sizeof last->pos) == 0)
        return;
    if (p->count == p->capacity) {
        p->capacity = p->capacity ? 2 * p->capacity : 4096;
        p->points = mem_realloc(p->points, p->capacity * sizeof *p->points);
    }
    p->points[p->count].t_s = t_s;
    memcpy(p->points[p->count++].pos, pos, sizeof last->pos);
}

static inline void plan_path_note(struct plan_path *p, const struct seg *s)
{
    const double r = sqrt(s->r[0] * s->r[0] + s->r[1] * s->r[1] + s->r[2] * s->r[2]);
    const double end_v = s->v0_mm_s + 2.0 * s->ha_mm_s2 * s->dt_s;
    if (r == 0.0 || s->dt_s < 1e-9)
        return;
    const double before = s->t0_s - p->last_s < 1e-7 ? p->last_v : 0.0, step = fabs(s->v0_mm_s * r - before);
    if (step > p->max_step_mm_s) {
        p->max_step_mm_s = step;
        p->step_s = s->t0_s;
    }
    if (s->t0_s - p->last_s >= 1e-7 && p->last_v > p->max_step_mm_s) {
        p->max_step_mm_s = p->last_v;
        p->step_s = p->last_s;
    }
    p->last_v = end_v * r;
    p->last_s = seg_end_s(s);
    p->max_accel_mm_s2 = fmax(p->max_accel_mm_s2, fabs(2.0 * s->ha_mm_s2) * r);
    p->max_speed_mm_s = fmax(p->max_speed_mm_s, fmax(s->v0_mm_s, end_v) * r);
}

/* Look at what has been committed since the last time; at least once in a second of print time. Motion's thread, or
 * virtual time. */
static inline void plan_path_poll(struct plan_path *p, const struct engine *e)
{
    const struct motion *m = &e->m;
    const double until_s = m->gen_s + m->kfd_s - 1e-9; /* what begins just there can still be taken back */
    const struct segq *q[2] = {&e->queues[0]->q, m->active ? &m->active->q : NULL};
    if (q[1] != p->extruder) {
        p->extruder = q[1];
        p->next[1] = q[1] ? q[1]->begin : 0;
    }
    for (;;) {
        int which = -1;
        double end_s = until_s;
        for (int i = 0; i < 2; i++) {
            if (!q[i])
                continue;
            if (p->next[i] < q[i]->begin)
                p->next[i] = q[i]->begin;
            if (p->next[i] < q[i]->end && seg_end_s(segq_at(q[i], p->next[i])) <= end_s) {
                which = i;
                end_s = seg_end_s(segq_at(q[i], p->next[i]));
            }
        }
        if (which < 0)
            return;
        if (which == 0)
            plan_path_note(p, segq_at(q[0], p->next[0]));
        p->next[which]++;
        double pos[4], e_pos[3] = {0};
        (void)segq_position(q[0], end_s, pos, NULL);
        if (q[1])
            (void)segq_position(q[1], end_s, e_pos, NULL);
        pos[3] = e_pos[0];
        plan_path_add(p, end_s, pos);
    }
}

/* Distance of `at` from the straight line a-b, and the nearest place on it [0, 1]. */
static inline double plan_path_distance(const double at[4], const double a[4], const double b[4], double *where)
{
    double length2 = 0, along = 0, d2 = 0;
    for (int i = 0; i < 4; i++) {
        length2 += (b[i] - a[i]) * (b[i] - a[i]);
        along += (b[i] - a[i]) * (at[i] - a[i]);
    }
    const double s = length2 > 0 ? fmin(fmax(along / length2, 0), 1) : 0;
    for (int i = 0; i < 4; i++)
        d2 += (a[i] + s * (b[i] - a[i]) - at[i]) * (a[i] + s * (b[i] - a[i]) - at[i]);
    *where = s;
    return sqrt(d2);
}

/* Every point of `a` lies on `b`, in the same order. Returns the number of the first that does not, a->count: all do. */
static inline size_t plan_path_leaves(const struct plan_path *a, const struct plan_path *b, double tolerance_mm)
{
    size_t j = 0;
    double at = 0;
    for (size_t i = 0; i < a->count; i++) {
        for (;; j++, at = 0) {
            double where;
            if (j + 1 >= b->count)
                return i;
            /* the nearest place, unless that has been passed: then the passed one, if it is near enough still */
            double d = plan_path_distance(a->points[i].pos, b->points[j].pos, b->points[j + 1].pos, &where);
            if (where < at) {
                double here[4], ignored;
                for (int k = 0; k < 4; k++)
                    here[k] = b->points[j].pos[k] + at * (b->points[j + 1].pos[k] - b->points[j].pos[k]);
                d = plan_path_distance(a->points[i].pos, here, here, &ignored);
                where = at;
            }
            if (d <= tolerance_mm) {
                at = where;
                break;
            }
        }
    }
    return a->count;
}

/* The same curve, driven along in the same direction. */
static inline void expect_same_plan(const struct plan_path *a, const struct plan_path *b, double tolerance_mm)
{
    const struct plan_path *pair[2] = {a, b};
    assert_true(a->count > 2 && b->count > 2);
    for (int k = 0; k < 2; k++) {
        const size_t i = plan_path_leaves(pair[k], pair[1 - k], tolerance_mm);
        if (i < pair[k]->count) {
            const struct plan_point *p = &pair[k]->points[i];
            fail_msg("%s path leaves the other at %.6f %.6f %.6f [%.6f], %.6f s", k ? "second" : "first", p->pos[0],
                     p->pos[1], p->pos[2], p->pos[3], p->t_s);
        }
    }
    for (int i = 0; i < 4; i++)
        assert_true(fabs(a->points[a->count - 1].pos[i] - b->points[b->count - 1].pos[i]) < tolerance_mm);
}

#endif
