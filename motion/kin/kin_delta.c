/* Linear delta: three vertical carriages, three equal-length rods each. Derivation: docs/design/kinematics.md. */
#include "motion/kin/kin_delta.h"

#include "base/check.h"
#include "base/fmath.h"
#include "motion/plan/segq.h"

#include <math.h>

/* How many carriage mm per toolhead mm the worst tower makes near the edge; from there on slower, or not at all. */
#define RATIO_SLOW      3.0
#define RATIO_VERY_SLOW 6.0
#define RATIO_MAX       12.0

static double sq(double x)
{
    return x * x;
}

static double min3(double a, double b, double c)
{
    return fmin(a, fmin(b, c));
}

/* Radius at which a carriage travels `ratio` mm for the next mm of toolhead travel away from it: the rod then leans so
 * that horizontal / vertical = ratio. Half a step is kept from either side. */
static double radius_of_ratio(const struct kin *k, double ratio, double half_step_mm)
{
    return ratio * sqrt(sq(k->delta.min_arm_mm) / (ratio * ratio + 1.0) - sq(half_step_mm)) + half_step_mm -
           k->config.delta_radius_mm;
}

static enum err check_geometry(const struct kin_config *c, struct err_info *info)
{
    if (!(c->delta_radius_mm > 0.0))
        return err_set(info, ERR_LIMIT, "delta_radius must be above 0");
    for (int i = 0; i < 3; i++) {
        if (!(c->rail[i].arm_mm > c->delta_radius_mm))
            return err_set(info, ERR_LIMIT, "arm_length %.3f of tower %c must be above delta_radius %.3f",
                           c->rail[i].arm_mm, 'a' + i, c->delta_radius_mm);
        if (!(c->rail[i].step_mm > 0.0))
            return err_set(info, ERR_LIMIT, "step distance of tower %c must be above 0", 'a' + i);
    }
    return OK;
}

enum err kin_delta_init(struct kin *k, struct err_info *info)
{
    struct kin_config *c = &k->config;
    enum err err = check_geometry(c, info);
    if (err != OK)
        return err;
    if (c->rail[0].angle_deg == 0.0 && c->rail[1].angle_deg == 0.0 && c->rail[2].angle_deg == 0.0) {
        c->rail[0].angle_deg = 210.0;
        c->rail[1].angle_deg = 330.0;
        c->rail[2].angle_deg = 90.0;
    }
    for (int i = 0; i < 3; i++) {
        double sin_a, cos_a;
        fm_sincos(c->rail[i].angle_deg * (FM_PI / 180.0), &sin_a, &cos_a);
        kin_func_delta(&k->func[i], c->delta_radius_mm * cos_a, c->delta_radius_mm * sin_a, c->rail[i].arm_mm);
        k->delta.abs_endstop_mm[i] =
            c->rail[i].position_endstop_mm + sqrt(sq(c->rail[i].arm_mm) - sq(c->delta_radius_mm));
    }
    if (kin_delta_forward(k, k->delta.abs_endstop_mm, k->delta.home_mm) != OK)
        return err_set(info, ERR_INVALID, "delta geometry: no toolhead position with all carriages at their endstops");
    k->delta.min_arm_mm = min3(c->rail[0].arm_mm, c->rail[1].arm_mm, c->rail[2].arm_mm);
    k->delta.max_z_mm =
        min3(c->rail[0].position_endstop_mm, c->rail[1].position_endstop_mm, c->rail[2].position_endstop_mm);
    k->delta.min_z_mm = c->minimum_z_mm;
    k->delta.limit_z_mm =
        min3(k->delta.abs_endstop_mm[0] - c->rail[0].arm_mm, k->delta.abs_endstop_mm[1] - c->rail[1].arm_mm,
             k->delta.abs_endstop_mm[2] - c->rail[2].arm_mm);
    const double half = 0.5 * min3(c->rail[0].step_mm, c->rail[1].step_mm, c->rail[2].step_mm);
    const double print_radius = c->print_radius_mm > 0.0 ? c->print_radius_mm : c->delta_radius_mm;
    const double max_xy =
        min3(print_radius, k->delta.min_arm_mm - c->delta_radius_mm, radius_of_ratio(k, RATIO_MAX, half));
    if (!(max_xy > 0.0))
        return err_set(info, ERR_INVALID, "delta geometry: arms of %.3f leave no reachable area at delta_radius %.3f",
                       k->delta.min_arm_mm, c->delta_radius_mm);
    k->delta.max_xy2 = sq(max_xy);
    k->delta.slow_xy2 = sq(fmax(radius_of_ratio(k, RATIO_SLOW, half), 0.0));
    k->delta.very_slow_xy2 = sq(fmax(radius_of_ratio(k, RATIO_VERY_SLOW, half), 0.0));
    return OK;
}

/* Intersection of three spheres around the carriages, the lower of the two points: in the frame with the first centre
 * as origin, ex towards the second, ey in the plane of the three (see docs/design/kinematics.md). */
enum err kin_delta_forward(const struct kin *k, const double rail_mm[KIN_RAIL_COUNT], double pos_mm[3])
{
    double c[3][3], e12[3], e13[3];
    for (int i = 0; i < 3; i++) {
        c[i][0] = k->func[i].tower_mm[0];
        c[i][1] = k->func[i].tower_mm[1];
        c[i][2] = rail_mm[i];
    }
    for (int i = 0; i < 3; i++) {
        e12[i] = c[1][i] - c[0][i];
        e13[i] = c[2][i] - c[0][i];
    }
    const double d = sqrt(sq(e12[0]) + sq(e12[1]) + sq(e12[2]));
    double ex[3], ey[3];
    for (int i = 0; i < 3; i++)
        ex[i] = e12[i] / d;
    const double along = ex[0] * e13[0] + ex[1] * e13[1] + ex[2] * e13[2];
    for (int i = 0; i < 3; i++)
        ey[i] = e13[i] - along * ex[i];
    const double off = sqrt(sq(ey[0]) + sq(ey[1]) + sq(ey[2]));
    for (int i = 0; i < 3; i++)
        ey[i] /= off;
    const double ez[3] = {ex[1] * ey[2] - ex[2] * ey[1], ex[2] * ey[0] - ex[0] * ey[2], ex[0] * ey[1] - ex[1] * ey[0]};
    const double r1 = k->func[0].arm2_mm2, r2 = k->func[1].arm2_mm2, r3 = k->func[2].arm2_mm2;
    const double x = (r1 - r2 + d * d) / (2.0 * d);
    const double y = (r1 - r3 - x * x + sq(x - along) + off * off) / (2.0 * off);
    const double z2 = r1 - x * x - y * y;
    if (!(z2 >= 0.0))
        return ERR_INVALID;
    const double z = ez[2] > 0.0 ? -sqrt(z2) : sqrt(z2);
    for (int i = 0; i < 3; i++)
        pos_mm[i] = c[0][i] + ex[i] * x + ey[i] * y + ez[i] * z;
    return OK;
}

static bool is_home_point(const struct kin *k, const double end_mm[3])
{
    return end_mm[0] == k->delta.home_mm[0] && end_mm[1] == k->delta.home_mm[1] && end_mm[2] >= k->delta.min_z_mm &&
           end_mm[2] <= k->delta.home_mm[2];
}

static bool is_reachable(const struct kin *k, const double end_mm[3])
{
    double max_xy2 = k->delta.max_xy2;
    if (end_mm[2] > k->delta.limit_z_mm) {
        const double up = end_mm[2] - k->delta.limit_z_mm, arm = k->delta.min_arm_mm;
        const double radius = k->config.delta_radius_mm - sqrt(fmax(sq(arm) - sq(arm - up), 0.0));
        max_xy2 = radius > 0.0 ? fmin(max_xy2, sq(radius)) : -1.0;
    }
    return sq(end_mm[0]) + sq(end_mm[1]) <= max_xy2 && end_mm[2] <= k->delta.max_z_mm && end_mm[2] >= k->delta.min_z_mm;
}

enum err kin_delta_check_move(struct kin *k, struct move *m, struct err_info *info)
{
    if (!(k->is_homed[0] && k->is_homed[1] && k->is_homed[2]))
        return kin_move_error(m, true, info);
    if (!is_reachable(k, m->end_mm) && !is_home_point(k, m->end_mm))
        return kin_move_error(m, false, info);
    kin_limit_z(k, m);
    const double extreme_xy2 = fmax(sq(m->end_mm[0]) + sq(m->end_mm[1]), sq(m->start_mm[0]) + sq(m->start_mm[1]));
    if (extreme_xy2 > k->delta.slow_xy2) {
        const double share = extreme_xy2 > k->delta.very_slow_xy2 ? 0.25 : 0.5;
        move_limit_speed(m, k->config.max_velocity_mm_s * share, k->config.max_accel_mm_s2 * share);
    }
    return OK;
}

void kin_delta_axis_range(const struct kin *k, double min_mm[3], double max_mm[3])
{
    const double max_xy = sqrt(k->delta.max_xy2);
    min_mm[0] = min_mm[1] = -max_xy;
    max_mm[0] = max_mm[1] = max_xy;
    min_mm[2] = k->delta.min_z_mm;
    max_mm[2] = k->delta.max_z_mm;
}
