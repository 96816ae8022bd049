#include "server/bed/delta_fit.h"

#include "base/fmath.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

#define UNKNOWNS     DELTA_FIT_UNKNOWNS
#define ROUNDS_MAX   60
#define DAMPING_MIN  1e-9
#define DAMPING_MAX  1e9
#define STEP         1e-4 /* of the differences: mm, degrees */
#define GAIN_LEAST   1e-12
#define DEG          (FM_PI / 180.0)

/* --- geometry --- */

/* Height of a carriage with its endstop triggered. */
static double top_mm(const struct delta_geometry *g, int tower)
{
    return g->endstop_mm[tower] + fm_sqrt(g->arm_mm[tower] * g->arm_mm[tower] - g->radius_mm * g->radius_mm);
}

bool delta_carriages(const struct delta_geometry *g, const double xyz[3], double below_mm[3])
{
    for (int i = 0; i < 3; i++) {
        double dx = g->radius_mm * fm_cos(g->angle_deg[i] * DEG) - xyz[0];
        double dy = g->radius_mm * fm_sin(g->angle_deg[i] * DEG) - xyz[1];
        double rise2 = g->arm_mm[i] * g->arm_mm[i] - dx * dx - dy * dy;
        if (!(rise2 >= 0.0))
            return false;
        below_mm[i] = top_mm(g, i) - (xyz[2] + fm_sqrt(rise2));
    }
    return true;
}

/* The three spheres round the carriages meet in two points; the lower one. The difference of two spheres is a plane: two
 * planes give x and y as linear functions of z, and the first sphere a quadratic in z. */
bool delta_nozzle(const struct delta_geometry *g, const double below_mm[3], double xyz[3])
{
    double c[3][3], q[3];
    for (int i = 0; i < 3; i++) {
        c[i][0] = g->radius_mm * fm_cos(g->angle_deg[i] * DEG);
        c[i][1] = g->radius_mm * fm_sin(g->angle_deg[i] * DEG);
        c[i][2] = top_mm(g, i) - below_mm[i];
        q[i] = c[i][0] * c[i][0] + c[i][1] * c[i][1] + c[i][2] * c[i][2] - g->arm_mm[i] * g->arm_mm[i];
    }
    double m[2][4]; /* a x + b y + e z = f */
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 3; k++)
            m[i][k] = 2.0 * (c[i + 1][k] - c[0][k]);
        m[i][3] = q[i + 1] - q[0];
    }
    double det = m[0][0] * m[1][1] - m[0][1] * m[1][0];
    if (det == 0.0 || !isfinite(det))
        return false;
    double x0 = (m[0][3] * m[1][1] - m[0][1] * m[1][3]) / det, x1 = -(m[0][2] * m[1][1] - m[0][1] * m[1][2]) / det;
    double y0 = (m[0][0] * m[1][3] - m[0][3] * m[1][0]) / det, y1 = -(m[0][0] * m[1][2] - m[0][2] * m[1][0]) / det;
    double a = x1 * x1 + y1 * y1 + 1.0;
    double b = x1 * (x0 - c[0][0]) + y1 * (y0 - c[0][1]) - c[0][2];
    double d = (x0 - c[0][0]) * (x0 - c[0][0]) + (y0 - c[0][1]) * (y0 - c[0][1]) + c[0][2] * c[0][2] -
               g->arm_mm[0] * g->arm_mm[0];
    double root2 = b * b - a * d;
    if (!(root2 >= 0.0))
        return false;
    xyz[2] = (-b - fm_sqrt(root2)) / a;
    xyz[0] = x0 + x1 * xyz[2];
    xyz[1] = y0 + y1 * xyz[2];
    return true;
}

/* --- the fit --- */

struct fit {
    const double (*below_mm)[3];
    const double *height_mm;
    size_t count;
};

static double *unknown(struct delta_geometry *g, int index)
{
    return index == 0 ? &g->radius_mm : index < 3 ? &g->angle_deg[index - 1] : &g->endstop_mm[index - 3];
}

/* Nozzle heights less those wanted; false: impossible. Returns the sum of their squares in *sum2. */
static bool residuals(const struct fit *f, const struct delta_geometry *g, double *out, double *sum2)
{
    *sum2 = 0.0;
    for (int i = 0; i < 3; i++)
        if (!(g->radius_mm > 0.0 && g->arm_mm[i] > g->radius_mm))
            return false;
    for (size_t i = 0; i < f->count; i++) {
        double xyz[3];
        if (!delta_nozzle(g, f->below_mm[i], xyz))
            return false;
        out[i] = xyz[2] - f->height_mm[i];
        *sum2 += out[i] * out[i];
    }
    return isfinite(*sum2);
}

static bool slopes(const struct fit *f, const struct delta_geometry *g, double *jacobian, double *spare)
{
    for (int k = 0; k < UNKNOWNS; k++) {
        struct delta_geometry low = *g, high = *g;
        double sum2, *column = jacobian + (size_t)k * f->count;
        *unknown(&low, k) -= STEP;
        *unknown(&high, k) += STEP;
        if (!residuals(f, &high, column, &sum2) || !residuals(f, &low, spare, &sum2))
            return false;
        for (size_t i = 0; i < f->count; i++)
            column[i] = (column[i] - spare[i]) / (2.0 * STEP);
    }
    return true;
}

/* Solve m x = m[..][UNKNOWNS] with pivots; false: singular. */
static bool solve(double m[UNKNOWNS][UNKNOWNS + 1], double x[UNKNOWNS])
{
    for (int c = 0; c < UNKNOWNS; c++) {
        int best = c;
        for (int r = c + 1; r < UNKNOWNS; r++)
            if (fabs(m[r][c]) > fabs(m[best][c]))
                best = r;
        if (m[best][c] == 0.0)
            return false;
        for (int k = 0; k <= UNKNOWNS; k++) {
            double t = m[c][k];
            m[c][k] = m[best][k];
            m[best][k] = t;
        }
        for (int r = c + 1; r < UNKNOWNS; r++) {
            double share = m[r][c] / m[c][c];
            for (int k = c; k <= UNKNOWNS; k++)
                m[r][k] -= share * m[c][k];
        }
    }
    for (int c = UNKNOWNS - 1; c >= 0; c--) {
        x[c] = m[c][UNKNOWNS];
        for (int k = c + 1; k < UNKNOWNS; k++)
            x[c] -= m[c][k] * x[k];
        x[c] /= m[c][c];
    }
    return true;
}

/* The damped step down from residuals `r`. */
static bool step_down(const struct fit *f, const double *jacobian, const double *r, double damping, double step[UNKNOWNS])
{
    double m[UNKNOWNS][UNKNOWNS + 1];
    for (int a = 0; a < UNKNOWNS; a++) {
        const double *ja = jacobian + (size_t)a * f->count;
        for (int b = 0; b < UNKNOWNS; b++) {
            m[a][b] = 0.0;
            for (size_t i = 0; i < f->count; i++)
                m[a][b] += ja[i] * jacobian[(size_t)b * f->count + i];
        }
        m[a][UNKNOWNS] = 0.0;
        for (size_t i = 0; i < f->count; i++)
            m[a][UNKNOWNS] -= ja[i] * r[i];
        m[a][a] *= 1.0 + damping;
    }
    return solve(m, step);
}

/* One round: a step that makes it better, with more damping until there is one. false: there is none. */
static bool improve(const struct fit *f, struct delta_geometry *g, double *r, double *sum2, double *damping,
                    double *jacobian, double *spare)
{
    double step[UNKNOWNS];
    if (!slopes(f, g, jacobian, spare))
        return false;
    for (; *damping < DAMPING_MAX; *damping *= 10.0) {
        struct delta_geometry next = *g;
        double next2;
        if (!step_down(f, jacobian, r, *damping, step))
            continue;
        for (int k = 0; k < UNKNOWNS; k++)
            *unknown(&next, k) += step[k];
        if (!residuals(f, &next, spare, &next2) || next2 >= *sum2)
            continue;
        bool is_worth = *sum2 - next2 > GAIN_LEAST * *sum2;
        *g = next;
        *sum2 = next2;
        memcpy(r, spare, f->count * sizeof *r);
        *damping = fmax(*damping / 10.0, DAMPING_MIN);
        return is_worth;
    }
    return false;
}

enum err delta_fit(struct delta_geometry *g, const double (*below_mm)[3], const double *height_mm, size_t count,
                   double *rms_mm, struct err_info *info)
{
    const struct fit f = {below_mm, height_mm, count};
    double sum2 = 0.0, damping = 1e-4;
    if (count < UNKNOWNS)
        return err_set(info, ERR_INVALID, "The geometry of a delta needs %d heights, not %zu", UNKNOWNS, count);
    double *r = MEM_ARRAY(double, count), *spare = MEM_ARRAY(double, count);
    double *jacobian = MEM_ARRAY(double, count * UNKNOWNS);
    struct delta_geometry found = *g;
    enum err e = OK;
    if (!residuals(&f, &found, r, &sum2))
        e = err_set(info, ERR_INVALID, "The heights do not fit the geometry of the delta");
    for (int round = 0; !e && round < ROUNDS_MAX && improve(&f, &found, r, &sum2, &damping, jacobian, spare);)
        round++;
    mem_free(jacobian);
    mem_free(spare);
    mem_free(r);
    if (e)
        return e;
    *g = found;
    *rms_mm = fm_sqrt(sum2 / (double)count);
    return OK;
}
