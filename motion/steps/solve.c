#include "motion/steps/solve.h"

#include "base/check.h"

#include <math.h>
#include <string.h>

#define SMOOTH_AGE_MAX 1024 /* pieces after which the carried smoothed position is computed afresh */

void solver_init(struct solver *s, double step_mm, double hz, solve_sink_fn *sink, void *ctx)
{
    memset(s, 0, sizeof *s);
    s->step_mm = step_mm;
    s->inv_step = 1.0 / step_mm;
    s->dir = -1;
    s->hz = hz;
    s->sink = sink;
    s->ctx = ctx;
    s->cross = crossings_choose();
}

static struct tap *add_tap(struct solver *s, double tau_s, int axis, double weight)
{
    for (int i = 0; i < s->tap_count; i++) {
        if (s->taps[i].tau_s == tau_s) {
            s->taps[i].w[axis] += weight;
            return &s->taps[i];
        }
    }
    CHECK(s->tap_count < TAPS_MAX);
    struct tap *tap = &s->taps[s->tap_count++];
    *tap = (struct tap){.tau_s = tau_s, .from_s = s->filter.from_s};
    tap->w[axis] = weight;
    return tap;
}

/* Linear: one tap per time shift, weights include the kinematics. Nonlinear: weights are the shaper's, and taps are
 * not shared between axes, because each axis needs a sum of its own. */
static void make_taps(struct solver *s)
{
    const struct filter *f = &s->filter;
    s->tap_count = 0;
    if (f->smooth_s > 0.0) {
        const double h = 0.5 * f->smooth_s;
        add_tap(s, h, 0, f->func.c[0]);
        add_tap(s, 0.0, 0, f->func.c[0]);
        add_tap(s, -h, 0, f->func.c[0]);
        return;
    }
    const bool is_linear = f->func.kind == KIN_FUNC_LINEAR;
    for (int axis = 0; axis < 3; axis++) {
        if (!(f->func.axes & SEG_X << axis))
            continue;
        for (int i = 0; i < f->shaper[axis].count; i++) {
            const double weight = f->shaper[axis].a[i] * (is_linear ? f->func.c[axis] : 1.0);
            if (is_linear)
                add_tap(s, f->shaper[axis].tau_s[i], axis, weight);
            else
                s->taps[s->tap_count++] =
                    (struct tap){.tau_s = f->shaper[axis].tau_s[i],
                                 .from_s = f->from_s,
                                 .w = {axis == 0 ? weight : 0.0, axis == 1 ? weight : 0.0, axis == 2 ? weight : 0.0}};
        }
    }
}

void solver_bind(struct solver *s, const struct filter *filter, double advance_k_s, double t_s)
{
    s->is_bound = filter && filter->func.kind != KIN_FUNC_NONE;
    s->tap_count = 0;
    s->t_s = t_s;
    if (!s->is_bound)
        return;
    s->filter = *filter;
    s->advance = (struct advance_list){.at = {{t_s, advance_k_s}}, .count = 1};
    s->is_seek_due = true;
    s->is_lost = false;
    make_taps(s);
}

void solver_set_position(struct solver *s, double pos_mm)
{
    s->origin_mm = pos_mm;
    s->n = 0;
    s->is_seek_due = true;
}

int solver_count(const struct solver *s, int d, double end_mm)
{
    const double beyond = d > 0 ? end_mm - solver_up_mm(s) : solver_down_mm(s) - end_mm;
    if (d == s->dir ? beyond < 0.0 : beyond <= SOLVE_HYSTERESIS_MM)
        return 0;
    const double count = beyond * s->inv_step + 1.0;
    return count < 1e9 ? (int)count : 1000000000;
}

void solver_advance(struct solver *s, int d, int count, double end_mm)
{
    if (count > 0) {
        s->n += d * count;
        s->dir = d;
        s->is_committed = false;
    }
    const double at_mm = s->origin_mm + (double)s->n * s->step_mm;
    if (s->dir > 0 ? end_mm >= at_mm : end_mm <= at_mm)
        s->is_committed = true;
}

static void flush(struct solver *s)
{
    if (s->block_count > 0)
        s->sink(s->ctx, s->block_dir, s->clocks, s->block_count, s->is_block_committed);
    s->block_count = 0;
}

double *solver_put(struct solver *s, int d, int count)
{
    if (d != s->block_dir || s->block_count + count > SOLVE_BLOCK)
        flush(s);
    if (s->block_count == 0) {
        s->block_dir = d;
        s->is_block_committed = s->is_committed;
    }
    double *clocks = s->clocks + s->block_count;
    s->block_count += count;
    return clocks;
}

/* Solve and hand over all crossings of a part. Rounding at its ends is clipped to [0, u_max]. */
static void emit_crossings(struct solver *s, int d, int count, double t_s, double u_max, double first, double v,
                           double h)
{
    const double hz = s->hz;
    struct crossings part = {.first = first,
                             .step = s->step_mm,
                             .v = v,
                             .h = h,
                             .hz = hz,
                             .clock = s->base_clock + (t_s - s->base_s) * hz,
                             .ticks_max = u_max * hz};
    for (int from = 0; from < count; from += SOLVE_BLOCK) {
        const int n = count - from < SOLVE_BLOCK ? count - from : SOLVE_BLOCK;
        part.first = first + from * s->step_mm;
        s->cross(solver_put(s, d, n), n, &part);
    }
}

/* One monotone part in direction d from speed v (its sign is d's, or 0). */
static int solve_part(struct solver *s, int d, double t_s, double du, double start_mm, double end_mm, double v,
                      double h)
{
    const int count = solver_count(s, d, end_mm);
    if (count > 0) {
        const double first = d > 0 ? solver_up_mm(s) - start_mm : start_mm - solver_down_mm(s);
        emit_crossings(s, d, count, t_s, du, first, v * d, h * d);
    }
    solver_advance(s, d, count, end_mm);
    return count;
}

int solve_quadratic(struct solver *s, double t_s, double du, const struct quad *q)
{
    const double end_mm = q->p + (q->v + q->h * du) * du, end_v = q->v + 2.0 * q->h * du;
    if (q->v * end_v >= 0.0) {
        if (q->v == 0.0 && end_v == 0.0)
            return 0;
        const int d = q->v + end_v > 0.0 ? 1 : -1;
        return solve_part(s, d, t_s, du, q->p, end_mm, q->v, q->h);
    }
    /* It turns inside: towards the turning point, then away from it. */
    const double turn = -q->v / (2.0 * q->h), turn_mm = q->p + 0.5 * q->v * turn;
    const int d = q->v > 0.0 ? 1 : -1;
    int count = solve_part(s, d, t_s, turn, q->p, turn_mm, q->v, q->h);
    return count + solve_part(s, -d, t_s + turn, du - turn, turn_mm, end_mm, 0.0, q->h);
}

/* Where does the next piece end: the nearest end of a tap's segment, and which tap's; -1: at until_s. */
static inline double next_break_s(const struct solver *s, double until_s, int *which)
{
    double t = until_s;
    int nearest = -1;
    for (int i = 0; i < s->tap_count; i++) {
        const double end_s = s->taps[i].end_s;
        nearest = end_s < t ? i : nearest;
        t = end_s < t ? end_s : t;
    }
    *which = nearest;
    return t;
}

/* Bound a piece so that it holds about step_max steps: `speed` is the highest in it. */
static double limit_piece(const struct solver *s, double du, double speed, int step_max)
{
    const double room = (double)step_max * s->step_mm;
    return speed * du > room ? room / speed : du;
}

static const struct advance_list *advance_of(const struct solver *s)
{
    return s->filter.smooth_s > 0.0 ? &s->advance : NULL;
}

static void place_taps(struct solver *s, const struct segq *view)
{
    if (s->is_seek_due || s->cut_seen != view->cut_count) {
        s->cut_seen = view->cut_count;
        for (int i = 0; i < s->tap_count; i++)
            tap_seek(&s->taps[i], view, advance_of(s), s->t_s);
        s->smooth_age = SMOOTH_AGE_MAX;
        s->is_seek_due = false;
        return;
    }
    /* A tap that rested behind the newest segment may have got a successor. */
    for (int i = 0; i < s->tap_count; i++)
        if (isinf(s->taps[i].end_s) && s->taps[i].index < view->end)
            tap_seek(&s->taps[i], view, advance_of(s), s->t_s);
}

static int piece_linear(struct solver *s, double *du, int step_max)
{
    struct quad q = {0.0, 0.0, 0.0};
    for (int i = 0; i < s->tap_count; i++)
        tap_add(&s->taps[i], s->t_s, &q);
    if (q.v == 0.0 && q.h == 0.0)
        return 0;
    const double v0 = fabs(q.v), v1 = fabs(q.v + 2.0 * q.h * *du);
    *du = limit_piece(s, *du, v0 > v1 ? v0 : v1, step_max);
    return solve_quadratic(s, s->t_s, *du, &q);
}

static int piece_kin(struct solver *s, double *du, int step_max)
{
    struct quad q[3] = {{0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}};
    double speed = 0.0;
    for (int i = 0; i < s->tap_count; i++) {
        const struct tap *tap = &s->taps[i];
        tap_add(tap, s->t_s, &q[tap->w[0] != 0.0 ? 0 : tap->w[1] != 0.0 ? 1 : 2]);
    }
    for (int i = 0; i < 3; i++)
        speed += fmax(fabs(q[i].v), fabs(q[i].v + 2.0 * q[i].h * *du));
    if (speed == 0.0)
        return 0;
    *du = limit_piece(s, *du, 4.0 * speed, step_max);
    return solve_kin(s, s->t_s, *du, q);
}

/* Smoothed pressure advance. e' is the nominal position with advance; the triangle of half width h makes
 * p'' (t) = (e'(t + h) - 2 e'(t) + e'(t - h)) / h^2, so that p is a quartic on each piece; p and p' are carried on. */
static int piece_smooth(struct solver *s, const struct segq *view, double *du, int step_max)
{
    const double inv_h2 = 4.0 / (s->filter.smooth_s * s->filter.smooth_s);
    struct quad e[3] = {{0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}};
    for (int i = 0; i < 3; i++)
        tap_add(&s->taps[i], s->t_s, &e[i]);
    double c[5];
    if (s->taps[0].index == s->taps[2].index) {
        /* The whole window is in one segment: the triangle only adds its second moment, h^2 / 6, times e''. */
        c[0] = e[1].p + e[1].h / (6.0 * inv_h2);
        c[1] = e[1].v;
        c[2] = e[1].h;
        c[3] = c[4] = 0.0;
        s->smooth_age = 0;
    } else {
        if (s->smooth_age++ >= SMOOTH_AGE_MAX) {
            filter_smoothed(&s->filter, view, &s->advance, s->t_s, &s->smooth_p, &s->smooth_v);
            s->smooth_age = 0;
        }
        c[0] = s->smooth_p;
        c[1] = s->smooth_v;
        c[2] = 0.5 * inv_h2 * (e[0].p - 2.0 * e[1].p + e[2].p);
        c[3] = inv_h2 * (e[0].v - 2.0 * e[1].v + e[2].v) / 6.0;
        c[4] = inv_h2 * (e[0].h - 2.0 * e[1].h + e[2].h) / 12.0;
    }
    double d = *du;
    const double speed = fabs(c[1]) + d * (2.0 * fabs(c[2]) + d * (3.0 * fabs(c[3]) + d * 4.0 * fabs(c[4])));
    d = limit_piece(s, d, speed, step_max);
    *du = d;
    s->smooth_p = c[0] + d * (c[1] + d * (c[2] + d * (c[3] + d * c[4])));
    s->smooth_v = c[1] + d * (2.0 * c[2] + d * (3.0 * c[3] + d * 4.0 * c[4]));
    return speed > 0.0 ? solve_quartic(s, s->t_s, d, c) : 0;
}

int solver_run(struct solver *s, const struct segq *view, double until_s, int step_max)
{
    if (!s->is_bound) {
        s->t_s = until_s > s->t_s ? until_s : s->t_s;
        return 0;
    }
    place_taps(s, view);
    const struct advance_list *advance = advance_of(s);
    const bool is_smooth = s->filter.smooth_s > 0.0, is_linear = s->filter.func.kind == KIN_FUNC_LINEAR;
    int step_count = 0;
    while (s->t_s < until_s && step_count < step_max) {
        /* One tap goes on to its next segment at a time; others that end there too follow after pieces of no length. */
        int which;
        const double end_s = next_break_s(s, until_s, &which), full = end_s - s->t_s;
        double du = full;
        if (du > 0.0)
            step_count += is_smooth   ? piece_smooth(s, view, &du, step_max)
                          : is_linear ? piece_linear(s, &du, step_max)
                                      : piece_kin(s, &du, step_max);
        s->t_s = du < full ? s->t_s + du : end_s;
        if (du == full && which >= 0)
            tap_advance(&s->taps[which], view, advance, s->t_s);
    }
    flush(s);
    return step_count;
}
