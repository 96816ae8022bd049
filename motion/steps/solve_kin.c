/* Crossings for nonlinear kinematics: the piece is cut into parts that are monotone by a bound on the acceleration
 * (bisecting around turning points), then each crossing is bracketed and found by a safeguarded Newton step. */
#include "motion/steps/solve.h"

#include <math.h>

#define NEWTON_MAX   64
#define PART_MIN_S   1e-5   /* parts this short are taken as they are: their inner excursion is below a nanometre */
#define TIME_ERROR_S 2e-11  /* of a crossing: far below a tick */
#define ACCEL_MIN    1000.0 /* assume at least this when judging the error [mm/s^2] */
#define ACCEL_MARGIN 1.5    /* how much larger the acceleration may be between the places where it was looked at */

struct path {
    const struct kin_func *func;
    const struct quad *xyz;
};

/* Position, velocity, acceleration of the stepper at u. */
static void at(const struct path *path, double u, double out[3])
{
    double pos[3], vel[3], acc[3];
    for (int i = 0; i < 3; i++) {
        const struct quad *q = &path->xyz[i];
        pos[i] = q->p + (q->v + q->h * u) * u;
        vel[i] = q->v + 2.0 * q->h * u;
        acc[i] = 2.0 * q->h;
    }
    kin_func_motion(path->func, pos, vel, acc, out);
}

/* From a known state (position, velocity, acceleration) the time to travel x further in direction d, to second order:
 * the smaller root, in the form that does not cancel. */
static double predict(const double state[3], int d, double x)
{
    const double v = d * state[1], disc = v * v + 2.0 * d * state[2] * x;
    return 2.0 * x / (v + sqrt(disc > 0.0 ? disc : 0.0));
}

/* Where the monotone path reaches `target`, within [*u, hi]. *u and state: the last place looked at, before the target;
 * both move on. One evaluation is usual: the prediction lands close enough for a last Newton step whose error,
 * move^2 acceleration / (2 speed), is below TIME_ERROR_S. */
static double crossing(const struct path *path, int d, double target, double hi, double *u, double state[3])
{
    double left = *u, right = hi, x = d * (target - state[0]);
    for (int i = 0; i < NEWTON_MAX && x != 0.0 && right > left; i++) {
        double next = *u + (i == 0 ? predict(state, d, x) : x / (d * state[1]));
        if (!(next > left && next < right))
            next = 0.5 * (left + right);
        *u = next;
        at(path, next, state);
        x = d * (target - state[0]);
        if (x > 0.0)
            left = next;
        else
            right = next;
        const double v = d * state[1], move = x / v;
        if (v > 0.0 && move * move * (fabs(state[2]) + ACCEL_MIN) < 2.0 * TIME_ERROR_S * v)
            return next + move < hi ? next + move : hi;
    }
    return *u;
}

/* One monotone part [lo, hi]. */
static int solve_part(struct solver *s, const struct path *path, double t_s, double lo, const double at_lo[3],
                      double hi, const double at_hi[3])
{
    const int d = at_hi[0] > at_lo[0] ? 1 : -1;
    const int count = solver_count(s, d, at_hi[0]);
    const double clock0 = s->base_clock + (t_s - s->base_s) * s->hz;
    double state[3] = {at_lo[0], at_lo[1], at_lo[2]}, u = lo, root = lo;
    for (int k = 0; k < count; k++) {
        const double target = s->origin_mm + ((double)s->n + d * (k + 0.5)) * s->step_mm;
        if (d * (target - state[0]) > 0.0)
            root = crossing(path, d, target, hi, &u, state);
        *solver_put(s, d, 1) = floor(clock0 + root * s->hz + 0.5);
    }
    solver_advance(s, d, count, at_hi[0]);
    return count;
}

static double turning_point(const struct path *path, double lo, double hi, bool rises)
{
    for (int i = 0; i < NEWTON_MAX && hi - lo > 1e-12; i++) {
        double state[3];
        const double mid = 0.5 * (lo + hi);
        at(path, mid, state);
        if ((state[1] > 0.0) == rises)
            hi = mid;
        else
            lo = mid;
    }
    return 0.5 * (lo + hi);
}

static int solve_range(struct solver *s, const struct path *path, double t_s, double lo, const double at_lo[3],
                       double hi, const double at_hi[3])
{
    const double mid = 0.5 * (lo + hi);
    double at_mid[3];
    at(path, mid, at_mid);
    const double accel = ACCEL_MARGIN * fmax(fabs(at_mid[2]), fmax(fabs(at_lo[2]), fabs(at_hi[2])));
    if (fabs(at_mid[1]) > accel * 0.5 * (hi - lo))
        return solve_part(s, path, t_s, lo, at_lo, hi, at_hi);
    if (hi - lo > PART_MIN_S) {
        const int count = solve_range(s, path, t_s, lo, at_lo, mid, at_mid);
        return count + solve_range(s, path, t_s, mid, at_mid, hi, at_hi);
    }
    if ((at_lo[1] > 0.0) == (at_hi[1] > 0.0))
        return solve_part(s, path, t_s, lo, at_lo, hi, at_hi);
    const double turn = turning_point(path, lo, hi, at_hi[1] > 0.0);
    at(path, turn, at_mid);
    const int count = solve_part(s, path, t_s, lo, at_lo, turn, at_mid);
    return count + solve_part(s, path, t_s, turn, at_mid, hi, at_hi);
}

int solve_kin(struct solver *s, double t_s, double du, const struct quad xyz[3])
{
    const struct path path = {&s->filter.func, xyz};
    double at_lo[3], at_hi[3];
    at(&path, 0.0, at_lo);
    at(&path, du, at_hi);
    if (!isfinite(at_lo[0]) || !isfinite(at_hi[0])) {
        s->is_lost = true;
        return 0;
    }
    return solve_range(s, &path, t_s, 0.0, at_lo, du, at_hi);
}
