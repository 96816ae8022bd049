/* Input shapers: a short train of impulses with which the motion of an axis is convolved so that a resonance at one
 * frequency is not excited. shaped(t) = sum a[i] * axis(t + tau[i]), sum a = 1, sum a*tau = 0.
 * Formulas, sources, test vectors: docs/design/shaping.md. Pure; any thread. */
#ifndef MOTION_SHAPE_SHAPER_H
#define MOTION_SHAPE_SHAPER_H

#include "base/err.h"

#define SHAPER_TAPS_MAX 8 /* mzv(n, t) may have more than its usual 3 */

struct shaper {
    int count;                     /* 0 or 1: no shaping */
    double a[SHAPER_TAPS_MAX];     /* weights, sum 1 */
    double tau_s[SHAPER_TAPS_MAX]; /* falling: first looks furthest ahead */
};

/* No shaping: one tap of weight 1 at 0. */
void shaper_none(struct shaper *s);

/* The impulses themselves, as tables print them: a[] normalised, t_s[0] = 0, rising. For tests and displays.
 * type  "zv", "mzv", "zvd", "ei", "2hump_ei", "3hump_ei"; "mzv(n=3, t=0.75)" or "mzv(n=4, tau=1)", "ei(v_tol=0.02)" with arguments
 * freq_hz > 0 (0: none), damping [0, type's limit]. ERR_NOT_FOUND unknown type, ERR_LIMIT value out of range,
 * ERR_INVALID arguments without a solution. */
enum err shaper_impulses(const char *type, double freq_hz, double damping, int *count, double a[SHAPER_TAPS_MAX],
                         double t_s[SHAPER_TAPS_MAX], struct err_info *info) ERR_NODISCARD;

/* The filter made of them: time reversed and centred. freq_hz 0 gives shaper_none. */
enum err shaper_init(struct shaper *s, const char *type, double freq_hz, double damping,
                     struct err_info *info) ERR_NODISCARD;

/* How far ahead (pre) and back (post) of t the filter looks [s], both >= 0. */
double shaper_pre_s(const struct shaper *s);
double shaper_post_s(const struct shaper *s);

#endif
