#include "motion/steps/solve_cross.h"

#include <math.h>

#define ROUND      6755399441055744.0 /* 1.5 * 2^52: adding and taking it away rounds to a whole number */
#define BEND_CLEAR 1e-3               /* h/v [1/s] from which sqrt(..) - v keeps the time to 1e-13 s */

static inline double clock_of(const struct crossings *p, double u)
{
    double ticks = u * p->hz;
    ticks = ticks < p->ticks_max ? ticks : p->ticks_max;
    ticks = ticks > 0.0 ? ticks : 0.0;
    return (p->clock + ticks + ROUND) - ROUND;
}

static inline double root(double disc)
{
    return sqrt(disc > 0.0 ? disc : 0.0);
}

/* Three forms of the same root, chosen for the whole part: steady speed; clearly bent, where
 * (sqrt(v^2 + 4 h x) - v) / (2 h) loses nothing that matters; and 2 x / (v + sqrt(..)), which never cancels. Most parts
 * have few crossings: whole groups spare the loop over what is left. */
static inline __attribute__((always_inline)) void cross(double *restrict clocks, int n, const struct crossings *part)
{
    const struct crossings p = *part;
    const double lane[CROSSINGS_GROUP] = {0.0, 1.0, 2.0, 3.0};
    const double v2 = p.v * p.v, h4 = 4.0 * p.h;
    if (p.h == 0.0) {
        const double inverse = 1.0 / p.v;
        for (int from = 0; from < n; from += CROSSINGS_GROUP)
#pragma omp simd
            for (int i = 0; i < CROSSINGS_GROUP; i++)
                clocks[from + i] = clock_of(&p, (p.first + (from + lane[i]) * p.step) * inverse);
    } else if (p.h > BEND_CLEAR * p.v || p.h < -BEND_CLEAR * p.v) {
        const double inverse = 0.5 / p.h;
        for (int from = 0; from < n; from += CROSSINGS_GROUP)
#pragma omp simd
            for (int i = 0; i < CROSSINGS_GROUP; i++)
                clocks[from + i] =
                    clock_of(&p, (root(v2 + h4 * (p.first + (from + lane[i]) * p.step)) - p.v) * inverse);
    } else {
        for (int from = 0; from < n; from += CROSSINGS_GROUP)
#pragma omp simd
            for (int i = 0; i < CROSSINGS_GROUP; i++) {
                const double x = p.first + (from + lane[i]) * p.step;
                clocks[from + i] = clock_of(&p, 2.0 * x / (p.v + root(v2 + h4 * x)));
            }
    }
}

static void cross_plain(double *restrict clocks, int n, const struct crossings *part)
{
    cross(clocks, n, part);
}

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("avx2"))) static void cross_avx2(double *restrict clocks, int n, const struct crossings *part)
{
    cross(clocks, n, part);
}

int crossings_all(crossings_fn *fns[CROSSINGS_FNS_MAX])
{
    int count = 0;
    fns[count++] = cross_plain;
    if (__builtin_cpu_supports("avx2"))
        fns[count++] = cross_avx2;
    return count;
}
#else
int crossings_all(crossings_fn *fns[CROSSINGS_FNS_MAX])
{
    fns[0] = cross_plain;
    return 1;
}
#endif

crossings_fn *crossings_choose(void)
{
    crossings_fn *fns[CROSSINGS_FNS_MAX];
    return fns[crossings_all(fns) - 1];
}
