#include "base/thermistor.h"

#include "base/fmath.h"

#include <math.h>
#include <string.h>

#define RATIO_MIN 0.00001
#define RATIO_MAX 0.99999
#define OHM_MAX   1e300
#define OHM_MIN   0.001

struct sensor_wiring sensor_wiring_default(void)
{
    return (struct sensor_wiring){.pullup_ohm = SENSOR_PULLUP_OHM, .adc_voltage = SENSOR_ADC_VOLTAGE};
}

/* --- construction --- */

enum err sensor_curve_from_beta(struct sensor_curve *curve, double temp_c, double ohm, double beta)
{
    double t = temp_c + SENSOR_KELVIN;
    if (!(t > 0) || !(ohm > 0) || !(beta > 0))
        return ERR_INVALID;
    memset(curve, 0, sizeof(*curve));
    curve->kind = SENSOR_NTC;
    curve->c2 = 1.0 / beta;
    curve->c1 = 1.0 / t - curve->c2 * fm_log(ohm);
    return OK;
}

/* With Li = ln Ri, Yi = 1/Ti and the slopes s2 = (Y2-Y1)/(L2-L1), s3 = (Y3-Y1)/(L3-L1):
 *   c3 = (s3 - s2) / ((L3 - L2)(L1 + L2 + L3)),  c2 = s2 - c3 (L1^2 + L1 L2 + L2^2),  c1 = Y1 - (c2 + c3 L1^2) L1 */
enum err sensor_curve_from_points(struct sensor_curve *curve, const struct sensor_point points[3])
{
    double l[3], y[3];
    for (int i = 0; i < 3; i++) {
        double t = points[i].temp_c + SENSOR_KELVIN;
        if (!(t > 0) || !(points[i].value > 0))
            return ERR_INVALID;
        l[i] = fm_log(points[i].value);
        y[i] = 1.0 / t;
    }
    if (l[0] == l[1] || l[0] == l[2] || l[1] == l[2] || y[0] == y[1] || y[0] == y[2])
        return ERR_INVALID;
    double s2 = (y[1] - y[0]) / (l[1] - l[0]);
    double s3 = (y[2] - y[0]) / (l[2] - l[0]);
    if (!(s2 > 0) || !(s3 > 0))
        return ERR_INVALID;
    double c3 = (s3 - s2) / ((l[2] - l[1]) * (l[0] + l[1] + l[2]));
    double c2 = s2 - c3 * (l[0] * l[0] + l[0] * l[1] + l[1] * l[1]);
    if (!(c3 > 0)) /* such a curve would not be monotonic everywhere */
        return sensor_curve_from_beta(curve, points[0].temp_c, points[0].value, 1.0 / s3);
    memset(curve, 0, sizeof(*curve));
    curve->kind = SENSOR_NTC;
    curve->c3 = c3;
    curve->c2 = c2;
    curve->c1 = y[0] - (c2 + c3 * l[0] * l[0]) * l[0];
    return OK;
}

static void sort_points(struct sensor_point *p, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct sensor_point item = p[i];
        size_t at = i;
        for (; at > 0 && p[at - 1].temp_c > item.temp_c; at--)
            p[at] = p[at - 1];
        p[at] = item;
    }
}

enum err sensor_curve_from_table(struct sensor_curve *curve, enum sensor_kind kind, const struct sensor_point *points,
                                 size_t count)
{
    if (count < 2 || count > SENSOR_POINTS_MAX || kind == SENSOR_NTC)
        return ERR_INVALID;
    struct sensor_point sorted[SENSOR_POINTS_MAX];
    memcpy(sorted, points, count * sizeof(*points));
    sort_points(sorted, count);
    bool is_rising = sorted[1].value > sorted[0].value;
    for (size_t i = 1; i < count; i++) {
        double step = sorted[i].value - sorted[i - 1].value;
        if (!(sorted[i].temp_c > sorted[i - 1].temp_c) || !(is_rising ? step > 0 : step < 0))
            return ERR_INVALID;
    }
    memset(curve, 0, sizeof(*curve));
    curve->kind = kind;
    curve->point_count = count;
    memcpy(curve->points, sorted, count * sizeof(*sorted));
    return OK;
}

/* --- evaluation --- */

/* Linear interpolation, continued by the end segments. */
static double table_value(const struct sensor_curve *c, double temp_c)
{
    size_t i = 1;
    while (i + 1 < c->point_count && temp_c > c->points[i].temp_c)
        i++;
    const struct sensor_point *a = &c->points[i - 1], *b = &c->points[i];
    return a->value + (temp_c - a->temp_c) * (b->value - a->value) / (b->temp_c - a->temp_c);
}

static double table_temp(const struct sensor_curve *c, double value)
{
    bool is_rising = c->points[1].value > c->points[0].value;
    size_t i = 1;
    while (i + 1 < c->point_count && (is_rising ? value > c->points[i].value : value < c->points[i].value))
        i++;
    const struct sensor_point *a = &c->points[i - 1], *b = &c->points[i];
    return a->temp_c + (value - a->value) * (b->temp_c - a->temp_c) / (b->value - a->value);
}

double sensor_temp_to_ohm(const struct sensor_curve *curve, double temp_c)
{
    if (curve->kind != SENSOR_NTC)
        return table_value(curve, temp_c);
    double t = temp_c + SENSOR_KELVIN;
    if (!(t > 1.0))
        t = 1.0;
    if (curve->c3 == 0.0)
        return fm_exp((1.0 / t - curve->c1) / curve->c2);
    /* the real root of c3 x^3 + c2 x + (c1 - 1/T) = 0 (Cardano; c2, c3 > 0 give exactly one) */
    double y = (curve->c1 - 1.0 / t) / (2.0 * curve->c3);
    double p = curve->c2 / (3.0 * curve->c3);
    double root = fm_sqrt(p * p * p + y * y);
    return fm_exp(fm_cbrt(root - y) - fm_cbrt(root + y));
}

double sensor_ohm_to_temp(const struct sensor_curve *curve, double ohm)
{
    if (curve->kind != SENSOR_NTC)
        return table_temp(curve, ohm);
    double l = fm_log(ohm > OHM_MIN ? ohm : OHM_MIN);
    return 1.0 / (curve->c1 + curve->c2 * l + curve->c3 * l * l * l) - SENSOR_KELVIN;
}

double sensor_temp_to_ratio(const struct sensor_curve *curve, const struct sensor_wiring *wiring, double temp_c)
{
    double ratio;
    if (curve->kind == SENSOR_VOLTAGE) {
        ratio = (table_value(curve, temp_c) + wiring->voltage_offset) / wiring->adc_voltage;
    } else {
        double ohm = sensor_temp_to_ohm(curve, temp_c);
        if (curve->kind == SENSOR_NTC)
            ohm += wiring->inline_ohm;
        ratio = ohm < OHM_MAX ? ohm / (ohm + wiring->pullup_ohm) : 1.0; /* near absolute zero the curves overflow */
    }
    if (!(ratio > 0.0))
        return 0.0;
    return ratio < 1.0 ? ratio : 1.0;
}

double sensor_ratio_to_temp(const struct sensor_curve *curve, const struct sensor_wiring *wiring, double ratio)
{
    if (!(ratio > RATIO_MIN))
        ratio = RATIO_MIN;
    if (ratio > RATIO_MAX)
        ratio = RATIO_MAX;
    if (curve->kind == SENSOR_VOLTAGE)
        return table_temp(curve, ratio * wiring->adc_voltage - wiring->voltage_offset);
    double ohm = wiring->pullup_ohm * ratio / (1.0 - ratio);
    if (curve->kind == SENSOR_NTC)
        ohm -= wiring->inline_ohm;
    return sensor_ohm_to_temp(curve, ohm);
}
