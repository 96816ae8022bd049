/* Crossings of a quartic: positions under smoothed pressure advance. Split where it turns (roots of the derivative,
 * found between the roots of the second derivative), then safeguarded Newton on each monotone part. */
#include "motion/steps/solve.h"

#include <math.h>

#define NEWTON_MAX   64
#define TIME_ERROR_S 2e-11 /* of a crossing: far below a tick */
#define BEND_MIN     100.0 /* assume at least this curvature [mm/s^2] when judging the error */
#define MOVE_SMALL_S 1e-5  /* over which the curvature is the same */

struct poly4 {
    double c[5];
};

static double value(const struct poly4 *p, double u)
{
    return p->c[0] + u * (p->c[1] + u * (p->c[2] + u * (p->c[3] + u * p->c[4])));
}
static double slope(const struct poly4 *p, double u)
{
    return p->c[1] + u * (2.0 * p->c[2] + u * (3.0 * p->c[3] + u * 4.0 * p->c[4]));
}
static double curvature(const struct poly4 *p, double u)
{
    return 2.0 * p->c[2] + u * (6.0 * p->c[3] + u * 12.0 * p->c[4]);
}

/* Where the slope changes sign in (lo, hi), in which it is monotone. */
static double slope_root(const struct poly4 *p, double lo, double hi)
{
    const bool rises = slope(p, hi) > 0.0;
    double u = 0.5 * (lo + hi);
    for (int i = 0; i < NEWTON_MAX; i++) {
        const double f = slope(p, u);
        if ((f > 0.0) == rises)
            hi = u;
        else
            lo = u;
        const double next = u - f / curvature(p, u);
        const double to = next > lo && next < hi ? next : 0.5 * (lo + hi);
        if (fabs(to - u) < 1e-13)
            break;
        u = to;
    }
    return u;
}

/* Roots of the curvature in (0, du), rising. */
static int curvature_roots(const struct poly4 *p, double du, double *roots)
{
    const double a = 12.0 * p->c[4], b = 6.0 * p->c[3], c = 2.0 * p->c[2];
    double r[2];
    int n = 0;
    if (a == 0.0) {
        if (b != 0.0)
            r[n++] = -c / b;
    } else {
        const double disc = b * b - 4.0 * a * c;
        if (disc > 0.0) {
            const double q = -0.5 * (b + copysign(sqrt(disc), b));
            r[n++] = q / a;
            if (q != 0.0)
                r[n++] = c / q;
        }
    }
    if (n == 2 && r[0] > r[1]) {
        const double swap = r[0];
        r[0] = r[1];
        r[1] = swap;
    }
    int count = 0;
    for (int i = 0; i < n; i++)
        if (r[i] > 0.0 && r[i] < du)
            roots[count++] = r[i];
    return count;
}

/* Turning points in (0, du), rising; returns how many (at most 3). */
static int turning_points(const struct poly4 *p, double du, double turns[3])
{
    const double m = 0.5 * du;
    const double spread =
        m * (fabs(curvature(p, m)) + m * (fabs(3.0 * p->c[3] + 12.0 * p->c[4] * m) + m * 4.0 * fabs(p->c[4])));
    if (fabs(slope(p, m)) > spread)
        return 0;
    double edges[4];
    const int inner = curvature_roots(p, du, edges + 1);
    edges[0] = 0.0;
    edges[inner + 1] = du;
    int count = 0;
    for (int i = 0; i <= inner; i++) {
        const double a = slope(p, edges[i]), b = slope(p, edges[i + 1]);
        if ((a < 0.0 && b > 0.0) || (a > 0.0 && b < 0.0))
            turns[count++] = slope_root(p, edges[i], edges[i + 1]);
    }
    return count;
}

/* Where d * value reaches `target` (times d) in [lo, hi], x (> 0) beyond value(lo). First guess to second order, then
 * Newton, whose error after a move m is about m^2 curvature / (2 slope): below TIME_ERROR_S that is enough. */
static double crossing(const struct poly4 *p, int d, double target, double lo, double hi, double x)
{
    const double v = d * slope(p, lo), disc = v * v + 2.0 * d * curvature(p, lo) * x;
    double u = lo + 2.0 * x / (v + sqrt(disc > 0.0 ? disc : 0.0));
    if (!(u > lo && u < hi))
        u = 0.5 * (lo + hi);
    for (int i = 0; i < NEWTON_MAX; i++) {
        const double f = d * (value(p, u) - target), steep = d * slope(p, u), next = u - f / steep;
        if (f >= 0.0)
            hi = u;
        else
            lo = u;
        const double to = next > lo && next < hi ? next : 0.5 * (lo + hi), move = fabs(to - u);
        u = to;
        if (to == next && move < MOVE_SMALL_S &&
            move * move * (fabs(curvature(p, to)) + BEND_MIN) < 2.0 * TIME_ERROR_S * steep)
            break;
    }
    return u;
}

static int solve_part(struct solver *s, const struct poly4 *p, double t_s, double lo, double hi, double end_mm)
{
    const double start_mm = value(p, lo);
    const int d = end_mm > start_mm ? 1 : -1;
    const int count = solver_count(s, d, end_mm);
    const double clock0 = s->base_clock + (t_s - s->base_s) * s->hz;
    double u = lo, target = d > 0 ? solver_up_mm(s) : solver_down_mm(s), from_mm = start_mm;
    for (int k = 0; k < count; k++) {
        const double x = d * (target - from_mm);
        if (x > 0.0)
            u = crossing(p, d, target, u, hi, x);
        from_mm = target;
        target = s->origin_mm + ((double)s->n + d * (k + 1.5)) * s->step_mm;
        *solver_put(s, d, 1) = floor(clock0 + u * s->hz + 0.5);
    }
    solver_advance(s, d, count, end_mm);
    return count;
}

int solve_quartic(struct solver *s, double t_s, double du, const double c[5])
{
    if (c[3] == 0.0 && c[4] == 0.0)
        return solve_quadratic(s, t_s, du, &(struct quad){c[0], c[1], c[2]});
    const struct poly4 p = {{c[0], c[1], c[2], c[3], c[4]}};
    const double end_mm = value(&p, du);
    const double spread = du * (fabs(c[1]) + du * (fabs(c[2]) + du * (fabs(c[3]) + du * fabs(c[4]))));
    if (c[0] + spread < solver_up_mm(s) && c[0] - spread > solver_down_mm(s)) {
        solver_advance(s, s->dir, 0, end_mm);
        return 0;
    }
    double turns[4];
    const int n = turning_points(&p, du, turns);
    double lo = 0.0;
    int count = 0;
    for (int i = 0; i <= n; i++) {
        const double hi = i < n ? turns[i] : du;
        count += solve_part(s, &p, t_s, lo, hi, i < n ? value(&p, hi) : end_mm);
        lo = hi;
    }
    return count;
}
