#include "motion/plan/segq.h"

#include "base/check.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>


void segq_init(struct segq *q, size_t capacity)
{
    size_t size = 16;
    while (size < capacity)
        size *= 2;
    *q = (struct segq){.items = MEM_ARRAY(struct seg, size), .mask = size - 1};
    segq_set_position(q, 0.0, (const double[3]){0.0, 0.0, 0.0});
}

void segq_deinit(struct segq *q)
{
    mem_free(q->items);
    q->items = NULL;
}

size_t segq_room(const struct segq *q)
{
    return (size_t)(q->mask + 1 - (q->end - q->first));
}

static struct seg *push(struct segq *q)
{
    CHECK(q->end - q->first <= q->mask);
    struct seg *s = &q->items[q->end & q->mask];
    q->end++;
    if (q->end - q->begin > q->mask + 1)
        q->begin = q->end - (q->mask + 1);
    return s;
}

static void seg_at(const struct seg *s, double u, double pos_mm[3], double vel_mm_s[3])
{
    const double d = (s->v0_mm_s + s->ha_mm_s2 * u) * u;
    const double v = s->v0_mm_s + 2.0 * s->ha_mm_s2 * u;
    for (int i = 0; i < 3; i++) {
        pos_mm[i] = s->pos_mm[i] + s->r[i] * d;
        if (vel_mm_s)
            vel_mm_s[i] = s->r[i] * v;
    }
}

static void push_rest(struct segq *q, double t_s, const double pos_mm[3], uint32_t flags)
{
    struct seg *s = push(q);
    *s = (struct seg){.t0_s = q->end_s, .dt_s = t_s - q->end_s, .flags = flags};
    memcpy(s->pos_mm, pos_mm, sizeof s->pos_mm);
    memcpy(q->end_mm, pos_mm, sizeof q->end_mm);
    q->end_s = seg_end_s(s);
}

void segq_rest_until(struct segq *q, double t_s)
{
    if (t_s - q->end_s <= SEGQ_JOIN_S)
        return;
    push_rest(q, t_s, q->end_mm, 0);
}

void segq_set_position(struct segq *q, double t_s, const double pos_mm[3])
{
    CHECK(t_s - q->end_s > -SEGQ_JOIN_S);
    segq_rest_until(q, t_s);
    push_rest(q, q->end_s, pos_mm, SEG_MARKER);
}

struct append_state {
    struct segq *q;
    const double *r;
    double pos_mm[3];
    uint32_t axis_flags, flags, cookie;
};

static void push_phase(struct append_state *a, double dt, double v0, double ha)
{
    if (dt <= 0.0)
        return;
    struct seg *s = push(a->q);
    *s = (struct seg){.t0_s = a->q->end_s, .dt_s = dt, .v0_mm_s = v0, .ha_mm_s2 = ha, .cookie = a->cookie};
    s->flags = a->flags | a->axis_flags;
    memcpy(s->pos_mm, a->pos_mm, sizeof s->pos_mm);
    memcpy(s->r, a->r, sizeof s->r);
    const double d = (v0 + ha * dt) * dt;
    for (int i = 0; i < 3; i++)
        a->pos_mm[i] += a->r[i] * d;
    a->q->end_s = seg_end_s(s);
}

void segq_append(struct segq *q, double t_s, double accel_t, double cruise_t, double decel_t, const double start_mm[3],
                 const double r[3], double start_v, double cruise_v, double accel_mm_s2, uint32_t flags,
                 uint32_t cookie)
{
    CHECK(t_s - q->end_s > -SEGQ_JOIN_S);
    if (t_s - q->end_s > SEGQ_JOIN_S)
        push_rest(q, t_s, start_mm, 0);
    struct append_state a = {.q = q, .r = r, .flags = flags, .cookie = cookie};
    memcpy(a.pos_mm, start_mm, sizeof a.pos_mm);
    for (int i = 0; i < 3; i++)
        a.axis_flags |= r[i] != 0.0 ? (uint32_t)SEG_X << i : 0;
    push_phase(&a, accel_t, start_v, 0.5 * accel_mm_s2);
    push_phase(&a, cruise_t, cruise_v, 0.0);
    push_phase(&a, decel_t, cruise_v, -0.5 * accel_mm_s2);
    memcpy(q->end_mm, a.pos_mm, sizeof q->end_mm);
}

void segq_cut(struct segq *q, double t_s)
{
    q->cut_count++;
    while (q->end_s > t_s || (q->end_s == t_s && q->end > q->first && segq_at(q, q->end - 1)->t0_s >= t_s)) {
        CHECK(q->end > q->first);
        struct seg *s = &q->items[(q->end - 1) & q->mask];
        if (s->t0_s >= t_s) {
            if (q->end - 1 == q->begin) /* the very first marker: nothing was before it */
                return;
            q->end--;
            memcpy(q->end_mm, s->pos_mm, sizeof q->end_mm);
            q->end_s = s->t0_s;
        } else {
            s->dt_s = t_s - s->t0_s;
            seg_at(s, s->dt_s, q->end_mm, NULL);
            q->end_s = seg_end_s(s);
            return;
        }
    }
}

void segq_retire(struct segq *q, double t_s)
{
    while (q->first < q->end && seg_end_s(segq_at(q, q->first)) <= t_s)
        q->first++;
}

uint64_t segq_find(const struct segq *q, double t_s)
{
    if (t_s >= q->end_s)
        return q->end;
    uint64_t lo = q->begin, hi = q->end; /* the answer is in [lo, hi) */
    while (hi - lo > 1) {
        const uint64_t mid = lo + (hi - lo) / 2;
        if (segq_at(q, mid)->t0_s <= t_s)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

bool segq_position(const struct segq *q, double t_s, double pos_mm[3], double vel_mm_s[3])
{
    const uint64_t i = segq_find(q, t_s);
    if (i == q->end) {
        memcpy(pos_mm, q->end_mm, sizeof q->end_mm);
        if (vel_mm_s)
            memset(vel_mm_s, 0, sizeof q->end_mm);
        return true;
    }
    const struct seg *s = segq_at(q, i);
    const bool is_known = t_s >= s->t0_s;
    seg_at(s, is_known ? t_s - s->t0_s : 0.0, pos_mm, vel_mm_s);
    return is_known;
}

bool segq_is_at_rest(const struct segq *q, double from_s, double to_s)
{
    if (q->begin > 0 && from_s < segq_at(q, q->begin)->t0_s)
        return false;
    for (uint64_t i = q->end; i > q->begin; i--) {
        const struct seg *s = segq_at(q, i - 1);
        if (seg_end_s(s) <= from_s && !(s->flags & SEG_MARKER))
            return true;
        if (s->t0_s >= to_s)
            continue;
        if ((s->flags & (SEG_X | SEG_Y | SEG_Z)) || ((s->flags & SEG_MARKER) && s->t0_s > from_s))
            return false;
    }
    return true;
}

double segq_rest_start(const struct segq *q, double from_s, double span_s)
{
    double start = from_s;
    for (uint64_t i = segq_find(q, from_s); i < q->end; i++) {
        const struct seg *s = segq_at(q, i);
        if (s->t0_s >= start + span_s)
            break;
        if (s->flags & (SEG_X | SEG_Y | SEG_Z | SEG_MARKER))
            start = fmax(start, seg_end_s(s));
    }
    return start;
}
