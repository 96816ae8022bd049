#include "motion/shape/shaper.h"

#include "base/check.h"
#include "base/fmath.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define EI_TOLERANCE 0.05 /* vibration that the ei shaper tolerates at its frequency, unless it is told */

struct impulses {
    int count;
    double a[SHAPER_TAPS_MAX], t[SHAPER_TAPS_MAX]; /* t in seconds */
};

static double poly(const double *coefficients, int count, double x)
{
    double sum = 0.0;
    for (int i = count - 1; i >= 0; i--)
        sum = sum * x + coefficients[i];
    return sum;
}

/* Decay of the vibration over half a damped period. */
static double half_period_decay(double damping)
{
    return fm_exp(-damping * FM_PI / fm_sqrt(1.0 - damping * damping));
}
static double damped_period_s(double freq_hz, double damping)
{
    return 1.0 / (freq_hz * fm_sqrt(1.0 - damping * damping));
}

static void make_zv(struct impulses *p, double freq_hz, double damping)
{
    const double k = half_period_decay(damping), td = damped_period_s(freq_hz, damping);
    *p = (struct impulses){2, {1.0, k}, {0.0, 0.5 * td}};
}

static void make_zvd(struct impulses *p, double freq_hz, double damping)
{
    const double k = half_period_decay(damping), td = damped_period_s(freq_hz, damping);
    *p = (struct impulses){3, {1.0, 2.0 * k, k * k}, {0.0, 0.5 * td, td}};
}

/* Solve the normal equations of the m x n least-squares problem rows . a = rhs (n <= SHAPER_TAPS_MAX) by elimination
 * with pivoting. False if singular. */
static bool least_squares(const double (*rows)[SHAPER_TAPS_MAX], const double *rhs, int m, int n, double *a)
{
    double g[SHAPER_TAPS_MAX][SHAPER_TAPS_MAX + 1];
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= n; j++) {
            double sum = 0.0;
            for (int k = 0; k < m; k++)
                sum += rows[k][i] * (j < n ? rows[k][j] : rhs[k]);
            g[i][j] = sum;
        }
    }
    for (int col = 0; col < n; col++) {
        int pivot = col;
        for (int i = col + 1; i < n; i++)
            pivot = fabs(g[i][col]) > fabs(g[pivot][col]) ? i : pivot;
        if (fabs(g[pivot][col]) < 1e-12)
            return false;
        for (int j = 0; j <= n; j++) {
            const double swap = g[col][j];
            g[col][j] = g[pivot][j];
            g[pivot][j] = swap;
        }
        for (int i = 0; i < n; i++) {
            const double factor = i == col ? 0.0 : g[i][col] / g[col][col];
            for (int j = col; j <= n; j++)
                g[i][j] -= factor * g[col][j];
        }
    }
    for (int i = 0; i < n; i++)
        a[i] = g[i][n] / g[i][i];
    return true;
}

/* mzv with n impulses over t undamped periods: zero vibration at the frequency and, for n > 3, at multiples above it.
 */
static enum err make_mzv(struct impulses *p, double freq_hz, double damping, int n, double t, struct err_info *info)
{
    if (n < 3 || n > SHAPER_TAPS_MAX || !(n > 2.0 * t + 1.0) || !(t > 0.0))
        return err_set(info, ERR_INVALID, "shaper mzv(n=%d, t=%g): n must be 3 to %d and above 2 t + 1", n, t,
                       SHAPER_TAPS_MAX);
    double rows[2 * SHAPER_TAPS_MAX][SHAPER_TAPS_MAX], rhs[2 * SHAPER_TAPS_MAX] = {1.0};
    const double tau = t * (n - 2.0) / (n - 2.0 * t - 1.0);
    int m = 1;
    for (int j = 0; j < n; j++)
        rows[0][j] = 1.0;
    for (int i = 0; i < n - 1; i++, m += 2) {
        const double w = 2.0 * FM_PI * (1.0 + i / tau);
        for (int j = 0; j < n; j++)
            fm_sincos(w * (j * t / (n - 1.0)), &rows[m + 1][j], &rows[m][j]);
    }
    *p = (struct impulses){.count = n};
    if (!least_squares((const double(*)[SHAPER_TAPS_MAX])rows, rhs, m, n, p->a))
        return err_set(info, ERR_INVALID, "shaper mzv(n=%d, t=%g) has no solution", n, t);
    const double td = damped_period_s(freq_hz, damping);
    const double df = fm_sqrt(1.0 - damping * damping);
    const double decay = fm_exp(-2.0 * t * damping * FM_PI / ((n - 1.0) * df));
    double factor = 1.0;
    for (int j = 0; j < n; j++, factor *= decay) {
        if (p->a[j] < -1e-5)
            return err_set(info, ERR_INVALID, "shaper mzv(n=%d, t=%g) would need a negative impulse", n, t);
        p->t[j] = j * t / (n - 1.0) * td;
        p->a[j] *= factor;
    }
    return OK;
}

/* v: the part of the vibration that may stay at freq_hz; the fit is within a tenth of it up to v = 0.3. */
static void make_ei(struct impulses *p, double freq_hz, double damping, double v)
{
    const double z = damping, td = damped_period_s(freq_hz, damping);
    const double a1 = (0.24968 + 0.24961 * v) + ((0.80008 + 1.23328 * v) + (0.49599 + 3.17316 * v) * z) * z;
    const double a3 = (0.25149 + 0.21474 * v) + ((-0.83249 + 1.41498 * v) + (0.85181 - 4.90094 * v) * z) * z;
    const double t2 =
        0.4999 + ((0.46159 + 8.57843 * v) + ((4.26169 - 108.644 * v) + (1.75601 + 336.989 * v) * z) * z) * (v * z);
    *p = (struct impulses){3, {a1, 1.0 - a1 - a3, a3}, {0.0, t2 * td, td}};
}

/* Fitted times (in undamped periods) and weights of the multi-hump shapers as polynomials of the damping. */
struct hump_table {
    int count;
    double t[5][4], a[5][4];
};
static const struct hump_table two_hump = {
    4,
    {{0},
     {.49890, .16270, -.54262, 6.16180},
     {.99748, .18382, -1.58270, 8.17120},
     {1.49920, -.09297, -.28338, 1.85710}},
    {{.16054, .76699, 2.26560, -1.22750},
     {.33911, .45081, -2.58080, 1.73650},
     {.34089, -.61533, -.68765, .42261},
     {.15997, -.60246, 1.00280, -.93145}},
};
static const struct hump_table three_hump = {
    5,
    {{0},
     {.49974, .23834, .44559, 12.4720},
     {.99849, .29808, -2.36460, 23.3990},
     {1.49870, .10306, -2.01390, 17.0320},
     {1.99960, -.28231, .61536, 5.40450}},
    {{.11275, .76632, 3.29160, -1.44380},
     {.23698, .61164, -2.57850, 4.85220},
     {.30008, -.19062, -2.14560, .13744},
     {.23775, -.73297, .46885, -2.08650},
     {.11244, -.45439, .96382, -1.46000}},
};

static void make_hump(struct impulses *p, const struct hump_table *table, double freq_hz, double damping)
{
    p->count = table->count;
    for (int i = 0; i < table->count; i++) {
        p->t[i] = poly(table->t[i], 4, damping) / freq_hz;
        p->a[i] = poly(table->a[i], 4, damping);
    }
}

static const char *skip_spaces(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

/* "(n=3, t=0.75)" after the word mzv, any order, each optional; tau=x gives t = x (n - 1) / (n + 2 x - 2). */
static enum err parse_mzv_args(const char *text, int *n, double *t, struct err_info *info)
{
    double values[3] = {3.0, 0.75, NAN}; /* n, t, tau */
    static const char *const names[] = {"n", "t", "tau"};
    const char *p = skip_spaces(text + 1);
    for (int position = 0; *p && *p != ')'; position++) {
        int which = position < 2 ? position : -1;
        for (int i = 0; i < 3; i++) {
            const size_t len = strlen(names[i]);
            const char *after = skip_spaces(p + (strncmp(p, names[i], len) == 0 ? len : 0));
            if (after != p && *after == '=') {
                which = i;
                p = after + 1;
                break;
            }
        }
        char *end;
        const double value = strtod(p, &end);
        if (which < 0 || end == p || !isfinite(value))
            return err_set(info, ERR_INVALID, "shaper type 'mzv%.40s': expected (n=..., t=...)", text);
        values[which] = value;
        p = skip_spaces(end);
        p = skip_spaces(*p == ',' ? p + 1 : p);
    }
    if (*p != ')' || *skip_spaces(p + 1) || !(values[0] >= 1.0 && values[0] <= 100.0) ||
        values[0] != fm_floor(values[0]))
        return err_set(info, ERR_INVALID, "shaper type 'mzv%.40s': expected (n=..., t=...)", text);
    *n = (int)values[0];
    *t = isnan(values[2]) ? values[1] : values[2] * (values[0] - 1.0) / (values[0] + 2.0 * values[2] - 2.0);
    return OK;
}

/* "(v_tol=0.02)" after the word ei. */
static enum err parse_ei_args(const char *text, double *v, struct err_info *info)
{
    const char *p = skip_spaces(text + 1), *value = p;
    if (strncmp(p, "v_tol", 5) == 0 && *skip_spaces(p + 5) == '=')
        value = skip_spaces(p + 5) + 1;
    char *end;
    *v = strtod(value, &end);
    const char *rest = skip_spaces(end);
    if (end == value || !(*v > 0.0 && *v < 1.0) || *rest != ')' || *skip_spaces(rest + 1))
        return err_set(info, ERR_INVALID, "shaper type 'ei%.40s': expected (v_tol=...) above 0 and below 1", text);
    return OK;
}

static const struct {
    const char *name;
    double damping_max;
} types[] = {{"zv", .99}, {"mzv", .99}, {"zvd", .99}, {"ei", .4}, {"2hump_ei", .3}, {"3hump_ei", .2}};

static enum err make(const char *type, double freq_hz, double damping, struct impulses *p, struct err_info *info)
{
    size_t len = strcspn(type, "( ");
    const char *args = skip_spaces(type + len);
    size_t kind = 0;
    while (kind < ARRAY_COUNT(types) && !(strlen(types[kind].name) == len && !strncmp(types[kind].name, type, len)))
        kind++;
    if (kind == ARRAY_COUNT(types))
        return err_set(info, ERR_NOT_FOUND, "Unsupported shaper type: %.40s", type);
    if (!(damping >= 0.0 && damping <= types[kind].damping_max))
        return err_set(info, ERR_LIMIT, "damping ratio %g of shaper %s must be in 0 to %g", damping, types[kind].name,
                       types[kind].damping_max);
    if (!(freq_hz > 0.0 && freq_hz <= 1e6))
        return err_set(info, ERR_LIMIT, "shaper frequency %g must be above 0 and at most 1000000", freq_hz);
    int n = 3;
    double t = 0.75, v = EI_TOLERANCE;
    if (*args) {
        if ((kind != 1 && kind != 3) || *args != '(')
            return err_set(info, ERR_INVALID, "shaper type '%.40s': %s takes no arguments", type, types[kind].name);
        enum err err = kind == 1 ? parse_mzv_args(args, &n, &t, info) : parse_ei_args(args, &v, info);
        if (err != OK)
            return err;
    }
    switch (kind) {
    case 0:
        make_zv(p, freq_hz, damping);
        return OK;
    case 1:
        return make_mzv(p, freq_hz, damping, n, t, info);
    case 2:
        make_zvd(p, freq_hz, damping);
        return OK;
    case 3:
        make_ei(p, freq_hz, damping, v);
        return OK;
    default:
        make_hump(p, kind == 4 ? &two_hump : &three_hump, freq_hz, damping);
        return OK;
    }
}

enum err shaper_impulses(const char *type, double freq_hz, double damping, int *count, double a[SHAPER_TAPS_MAX],
                         double t_s[SHAPER_TAPS_MAX], struct err_info *info)
{
    struct impulses p = {0};
    enum err err = make(type, freq_hz, damping, &p, info);
    if (err != OK)
        return err;
    double sum = 0.0;
    for (int i = 0; i < p.count; i++)
        sum += p.a[i];
    for (int i = 0; i < p.count; i++) {
        a[i] = p.a[i] / sum;
        t_s[i] = p.t[i];
    }
    *count = p.count;
    return OK;
}

void shaper_none(struct shaper *s)
{
    *s = (struct shaper){.count = 1, .a = {1.0}};
}

enum err shaper_init(struct shaper *s, const char *type, double freq_hz, double damping, struct err_info *info)
{
    if (freq_hz == 0.0) {
        shaper_none(s);
        return OK;
    }
    struct shaper made = {0};
    double t[SHAPER_TAPS_MAX] = {0}, centre = 0.0;
    enum err err = shaper_impulses(type, freq_hz, damping, &made.count, made.a, t, info);
    if (err != OK)
        return err;
    for (int i = 0; i < made.count; i++)
        centre += made.a[i] * t[i];
    for (int i = 0; i < made.count; i++)
        made.tau_s[i] = centre - t[i];
    *s = made;
    return OK;
}

double shaper_pre_s(const struct shaper *s)
{
    double pre = 0.0;
    for (int i = 0; i < s->count; i++)
        pre = fmax(pre, s->tau_s[i]);
    return pre;
}

double shaper_post_s(const struct shaper *s)
{
    double post = 0.0;
    for (int i = 0; i < s->count; i++)
        post = fmax(post, -s->tau_s[i]);
    return post;
}
