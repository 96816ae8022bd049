#include "motion/plan/move.h"

#include "base/check.h"
#include "base/fmath.h"

#include <math.h>
#include <string.h>

#define LENGTH_MIN_MM    1e-9       /* a shorter xyz travel is none */
#define EXTRA_ONLY_ACCEL 99999999.9 /* until the axis limits it */
#define SQRT2_MINUS_1    0.41421356237309504880

static double min2(double a, double b)
{
    return a < b ? a : b;
}

bool move_init(struct move *m, const struct move_limits *limits, unsigned axes_count, const double *start_mm,
               const double *end_mm, double speed_mm_s)
{
    CHECK(axes_count >= 3 && axes_count <= MOVE_AXES_MAX);
    memset(m, 0, sizeof *m);
    memset(m->extra_queue, MOVE_QUEUE_NONE, sizeof m->extra_queue);
    m->axes_count = (uint8_t)axes_count;
    double d[MOVE_AXES_MAX] = {0};
    for (unsigned i = 0; i < axes_count; i++) {
        m->start_mm[i] = start_mm[i];
        m->end_mm[i] = end_mm[i];
        d[i] = end_mm[i] - start_mm[i];
    }
    double length = fm_sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
    double accel = limits->max_accel_mm_s2;
    double speed = min2(speed_mm_s, limits->max_velocity_mm_s);
    m->is_kinematic = length >= LENGTH_MIN_MM;
    if (!m->is_kinematic) {
        for (int i = 0; i < 3; i++) {
            m->end_mm[i] = m->start_mm[i];
            d[i] = 0.0;
        }
        length = 0.0;
        for (unsigned i = MOVE_EXTRA; i < axes_count; i++)
            length = fabs(d[i]) > length ? fabs(d[i]) : length;
        accel = EXTRA_ONLY_ACCEL;
        speed = speed_mm_s;
    }
    m->length_mm = length;
    m->next_junction_v2 = INFINITY;
    if (length == 0.0)
        return false;
    for (unsigned i = 0; i < axes_count; i++)
        m->r[i] = d[i] / length;
    const double scv = limits->square_corner_velocity_mm_s;
    m->accel_mm_s2 = accel;
    m->junction_dev_mm = scv * scv * SQRT2_MINUS_1 / limits->max_accel_mm_s2;
    m->min_time_s = length / speed;
    m->max_cruise_v2 = speed * speed;
    m->limit_v2 = m->is_kinematic ? limits->max_velocity_mm_s * limits->max_velocity_mm_s : (double)INFINITY;
    m->delta_v2 = m->corner_delta_v2 = 2.0 * length * accel;
    m->mcr_delta_v2 = 2.0 * length * limits->max_accel_mm_s2 * (1.0 - limits->minimum_cruise_ratio);
    return true;
}

void move_limit_speed(struct move *m, double speed_mm_s, double accel_mm_s2)
{
    const double v2 = speed_mm_s * speed_mm_s;
    if (v2 < m->max_cruise_v2) {
        m->max_cruise_v2 = v2;
        m->min_time_s = m->length_mm / speed_mm_s;
    }
    m->limit_v2 = min2(m->limit_v2, v2);
    m->accel_mm_s2 = min2(m->accel_mm_s2, accel_mm_s2);
    m->delta_v2 = m->corner_delta_v2 = 2.0 * m->length_mm * m->accel_mm_s2;
    m->mcr_delta_v2 = min2(m->mcr_delta_v2, m->delta_v2);
}

void move_set_speed(struct move *m, double speed_mm_s)
{
    m->max_cruise_v2 = min2(speed_mm_s * speed_mm_s, m->limit_v2);
    m->min_time_s = m->length_mm / fm_sqrt(m->max_cruise_v2);
}

void move_limit_next_junction_speed(struct move *m, double speed_mm_s)
{
    m->next_junction_v2 = min2(m->next_junction_v2, speed_mm_s * speed_mm_s);
}

/* Squared speed that the extra axes allow at the junction: each may change its speed by its corner velocity at once. */
static double extra_axes_v2(const struct move *m, const struct move *prev)
{
    double v2 = INFINITY;
    for (int i = 0; i < MOVE_EXTRA_MAX; i++) {
        const double dr = m->r[MOVE_EXTRA + i] - prev->r[MOVE_EXTRA + i];
        if (dr != 0.0) {
            const double v = m->corner_v_mm_s[i] / fabs(dr);
            v2 = min2(v2, v * v);
        }
    }
    return v2;
}

void move_join(struct move *m, const struct move *prev)
{
    m->max_start_v2 = 0.0;
    m->max_mcr_start_v2 = 0.0;
    if (!m->is_kinematic || !prev->is_kinematic)
        return;
    double v2 = min2(min2(m->max_cruise_v2, prev->max_cruise_v2),
                     min2(prev->next_junction_v2, prev->max_start_v2 + prev->delta_v2));
    v2 = min2(v2, extra_axes_v2(m, prev));
    const double cos_theta = -(m->r[0] * prev->r[0] + m->r[1] * prev->r[1] + m->r[2] * prev->r[2]);
    const double s = fm_sqrt(fmax(0.5 * (1.0 - cos_theta), 0.0)); /* sin of half the corner's angle */
    const double c = fm_sqrt(fmax(0.5 * (1.0 + cos_theta), 0.0));
    if (1.0 - s > 0.0 && c > 0.0) {
        const double radius_per_dev = s / (1.0 - s);
        const double quarter_tan = 0.25 * s / c;
        v2 = min2(v2, radius_per_dev * m->junction_dev_mm * m->accel_mm_s2);
        v2 = min2(v2, radius_per_dev * prev->junction_dev_mm * prev->accel_mm_s2);
        v2 = min2(v2, m->corner_delta_v2 * quarter_tan);
        v2 = min2(v2, prev->corner_delta_v2 * quarter_tan);
    }
    m->max_start_v2 = v2;
    m->max_mcr_start_v2 = min2(v2, prev->max_mcr_start_v2 + prev->mcr_delta_v2);
}

void move_set_profile(struct move *m, double start_v2, double cruise_v2, double end_v2)
{
    const double half_inv_accel = 0.5 / m->accel_mm_s2;
    const double accel_d = (cruise_v2 - start_v2) * half_inv_accel;
    const double decel_d = (cruise_v2 - end_v2) * half_inv_accel;
    double cruise_d = m->length_mm - accel_d - decel_d;
    const double start_v = fm_sqrt(start_v2), cruise_v = fm_sqrt(cruise_v2), end_v = fm_sqrt(end_v2);
    /* When the profile has no cruise phase the difference is only rounding, of either sign. */
    if (cruise_d < 1e-12 * m->length_mm)
        cruise_d = 0.0;
    m->start_v = start_v;
    m->cruise_v = cruise_v;
    m->end_v = end_v;
    m->accel_t = accel_d / ((start_v + cruise_v) * 0.5);
    m->cruise_t = cruise_d / cruise_v;
    m->decel_t = decel_d / ((end_v + cruise_v) * 0.5);
}

void move_position_at(const struct move *m, double distance_mm, double pos_mm[MOVE_AXES_MAX])
{
    for (int i = 0; i < MOVE_AXES_MAX; i++)
        pos_mm[i] = m->start_mm[i] + m->r[i] * distance_mm;
}

static void set_length(struct move *m, double length_mm)
{
    const double scale = length_mm / m->length_mm;
    m->length_mm = length_mm;
    m->delta_v2 *= scale;
    m->mcr_delta_v2 *= scale;
    m->min_time_s *= scale;
}

void move_keep_head(struct move *m, double distance_mm)
{
    move_position_at(m, distance_mm, m->end_mm);
    set_length(m, distance_mm);
}

void move_drop_head(struct move *m, double distance_mm)
{
    move_position_at(m, distance_mm, m->start_mm);
    set_length(m, m->length_mm - distance_mm);
}

void move_unplan(struct move *m)
{
    m->start_v = m->cruise_v = m->end_v = 0.0;
    m->accel_t = m->cruise_t = m->decel_t = 0.0;
    m->print_time_s = 0.0;
    m->max_start_v2 = m->max_mcr_start_v2 = 0.0;
}

void move_at(const struct move *m, double t_s, double *distance_mm, double *speed_mm_s)
{
    const double a = m->accel_mm_s2;
    if (t_s <= 0.0) {
        *distance_mm = 0.0;
        *speed_mm_s = m->start_v;
        return;
    }
    if (t_s < m->accel_t) {
        *distance_mm = (m->start_v + 0.5 * a * t_s) * t_s;
        *speed_mm_s = m->start_v + a * t_s;
        return;
    }
    double d = (m->start_v + m->cruise_v) * 0.5 * m->accel_t;
    double t = t_s - m->accel_t;
    if (t < m->cruise_t) {
        *distance_mm = d + m->cruise_v * t;
        *speed_mm_s = m->cruise_v;
        return;
    }
    d += m->cruise_v * m->cruise_t;
    t -= m->cruise_t;
    if (t < m->decel_t) {
        *distance_mm = d + (m->cruise_v - 0.5 * a * t) * t;
        *speed_mm_s = m->cruise_v - a * t;
        return;
    }
    *distance_mm = m->length_mm;
    *speed_mm_s = m->end_v;
}
