#include "motion/steps/filter.h"

#include "base/check.h"

#include <math.h>

void filter_init(struct filter *f, const struct kin_func *func)
{
    f->func = *func;
    for (int i = 0; i < 3; i++)
        shaper_none(&f->shaper[i]);
    f->smooth_s = 0.0;
    f->from_s = -INFINITY;
}

double filter_pre_s(const struct filter *f)
{
    double pre = 0.5 * f->smooth_s;
    for (int i = 0; i < 3; i++)
        if (f->func.axes & SEG_X << i)
            pre = fmax(pre, shaper_pre_s(&f->shaper[i]));
    return pre;
}

double filter_post_s(const struct filter *f)
{
    double post = 0.5 * f->smooth_s;
    for (int i = 0; i < 3; i++)
        if (f->func.axes & SEG_X << i)
            post = fmax(post, shaper_post_s(&f->shaper[i]));
    return post;
}

double advance_at(const struct advance_list *list, double t_s)
{
    unsigned i = list->count;
    while (i > 1 && list->at[i - 1].t_s > t_s)
        i--;
    return i ? list->at[i - 1].k_s : 0.0;
}

/* Shaped position of one axis. */
static bool shaped_axis(const struct filter *f, const struct segq *q, int axis, double t_s, double *pos_mm)
{
    const struct shaper *s = &f->shaper[axis];
    double sum = 0.0;
    for (int i = 0; i < s->count; i++) {
        double pos[3];
        if (!segq_position(q, fmax(t_s + s->tau_s[i], f->from_s), pos, NULL))
            return false;
        sum += s->a[i] * pos[axis];
    }
    *pos_mm = sum;
    return true;
}

/* Integral of e'(t + u) (h - |u|) du over the part of one segment that lies on one side of u = 0. With the segment's
 * e'(w) = p + v w + a w^2 (w from its start) and weight g + s*w linear there, the integrand is a cubic. */
static double weighted(double p, double v, double a, double g, double s, double from, double to)
{
    const double c0 = p * g, c1 = v * g + p * s, c2 = a * g + v * s, c3 = a * s;
    const double hi = to * (c0 + to * (c1 / 2.0 + to * (c2 / 3.0 + to * c3 / 4.0)));
    const double lo = from * (c0 + from * (c1 / 2.0 + from * (c2 / 3.0 + from * c3 / 4.0)));
    return hi - lo;
}

/* The triangle has weight h - |u| for position, and its derivative (the sign of u) gives the speed:
 * p = (1/h^2) Int e'(t+u) (h - |u|) du,  p' = (1/h^2) (Int_{u>0} e'(t+u) du - Int_{u<0} e'(t+u) du). Positions are
 * taken relative to the one at t, so that nothing large cancels. */
void filter_smoothed(const struct filter *f, const struct segq *q, const struct advance_list *advance, double t_s,
                     double *pos_mm, double *vel_mm_s)
{
    const double h = 0.5 * f->smooth_s, c = f->func.c[0];
    double centre[3], sum = 0.0, slope = 0.0;
    segq_position(q, t_s, centre, NULL);
    double from_s = t_s - h;
    for (uint64_t i = segq_find(q, fmax(from_s, f->from_s)); from_s < t_s + h; i++) { /* rests at filter.from_s */
        double p = q->end_mm[0], v = 0.0, a = 0.0, t0 = from_s, end_s = t_s + h;
        if (i < q->end) {
            const struct seg *s = segq_at(q, i);
            const double k = advance && (s->flags & SEG_ADVANCE) ? advance_at(advance, s->t0_s) : 0.0;
            t0 = s->t0_s;
            end_s = fmin(seg_end_s(s), t_s + h);
            p = s->pos_mm[0] + k * s->r[0] * s->v0_mm_s;
            v = s->r[0] * (s->v0_mm_s + k * 2.0 * s->ha_mm_s2);
            a = s->r[0] * s->ha_mm_s2;
        }
        p -= centre[0];
        const double mid_s = fmin(fmax(t_s, from_s), fmax(end_s, from_s)), o = t_s - t0; /* w = o where u = 0 */
        if (mid_s > from_s) { /* u < 0: weight h + u = (h - o) + w */
            sum += weighted(p, v, a, h - o, 1.0, from_s - t0, mid_s - t0);
            slope -= weighted(p, v, a, 1.0, 0.0, from_s - t0, mid_s - t0);
        }
        if (end_s > mid_s) { /* u > 0: weight h - u = (h + o) - w */
            sum += weighted(p, v, a, h + o, -1.0, mid_s - t0, end_s - t0);
            slope += weighted(p, v, a, 1.0, 0.0, mid_s - t0, end_s - t0);
        }
        from_s = fmax(end_s, from_s);
    }
    *pos_mm = c * (centre[0] + sum / (h * h));
    *vel_mm_s = c * slope / (h * h);
}

bool filter_position(const struct filter *f, const struct segq *q, const struct advance_list *advance, double t_s,
                     double *pos_mm)
{
    if (f->smooth_s > 0.0) {
        double vel;
        if (!segq_position(q, fmax(t_s - 0.5 * f->smooth_s, f->from_s), (double[3]){0}, NULL))
            return false;
        filter_smoothed(f, q, advance, t_s, pos_mm, &vel);
        return true;
    }
    double pos[3] = {0.0, 0.0, 0.0};
    for (int i = 0; i < 3; i++)
        if ((f->func.axes & SEG_X << i) && !shaped_axis(f, q, i, t_s, &pos[i]))
            return false;
    *pos_mm = kin_func_position(&f->func, pos);
    return true;
}
