/* Each function reduces its argument to a small interval, where a truncated Taylor series (coefficients are ratios of
 * small integers, so nothing is copied or fitted) is below half an ulp; the truncation error is noted at each. */
#include "base/fmath.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* pi/2 and ln 2 in parts; the leading parts have trailing zeros, so that k * part is exact for |k| < 2^20. */
#define PIO2_HI  0x1.921fb54400000p+0
#define PIO2_MID 0x1.0b4611a600000p-34
#define PIO2_LO  0x1.3198a2e037073p-69
#define LN2_HI   0x1.62e42fee00000p-1
#define LN2_LO   0x1.a39ef35793c76p-33

double fm_sqrt(double x)
{
    return sqrt(x);
}

double fm_floor(double x)
{
    return floor(x);
}

double fm_round(double x)
{
    return round(x);
}

double fm_trunc(double x)
{
    return trunc(x);
}

/* sin on |r| <= pi/4; first neglected term r^19/19! < 9e-20. */
static double sin_series(double r)
{
    double z = r * r;
    double p = 1.0 / 355687428096000.0; /* 1/17! */
    p = p * z - 1.0 / 1307674368000.0;
    p = p * z + 1.0 / 6227020800.0;
    p = p * z - 1.0 / 39916800.0;
    p = p * z + 1.0 / 362880.0;
    p = p * z - 1.0 / 5040.0;
    p = p * z + 1.0 / 120.0;
    p = p * z - 1.0 / 6.0;
    return r + r * z * p;
}

/* cos on |r| <= pi/4; first neglected term r^18/18! < 3e-18. */
static double cos_series(double r)
{
    double z = r * r;
    double p = 1.0 / 20922789888000.0; /* 1/16! */
    p = p * z - 1.0 / 87178291200.0;
    p = p * z + 1.0 / 479001600.0;
    p = p * z - 1.0 / 3628800.0;
    p = p * z + 1.0 / 40320.0;
    p = p * z - 1.0 / 720.0;
    p = p * z + 1.0 / 24.0;
    return 1.0 - (0.5 * z - z * z * p);
}

void fm_sincos(double x, double *s, double *c)
{
    double k = floor(x * (2.0 / FM_PI) + 0.5);
    double r = ((x - k * PIO2_HI) - k * PIO2_MID) - k * PIO2_LO;
    double sr = sin_series(r), cr = cos_series(r);
    int64_t quadrant = fabs(k) < 1e15 ? (int64_t)k & 3 : 0;
    *s = quadrant == 0 ? sr : quadrant == 1 ? cr : quadrant == 2 ? -sr : -cr;
    *c = quadrant == 0 ? cr : quadrant == 1 ? -sr : quadrant == 2 ? -cr : sr;
}

double fm_sin(double x)
{
    double s, c;
    fm_sincos(x, &s, &c);
    return s;
}

double fm_cos(double x)
{
    double s, c;
    fm_sincos(x, &s, &c);
    return c;
}

double fm_tan(double x)
{
    double s, c;
    fm_sincos(x, &s, &c);
    return s / c;
}

/* atan on |t| <= 1/8; first neglected term t^19/19 < 4e-19 relative to t. */
static double atan_series(double t)
{
    double z = t * t;
    double p = 1.0 / 17.0;
    p = -1.0 / 15.0 + z * p;
    p = 1.0 / 13.0 + z * p;
    p = -1.0 / 11.0 + z * p;
    p = 1.0 / 9.0 + z * p;
    p = -1.0 / 7.0 + z * p;
    p = 1.0 / 5.0 + z * p;
    p = -1.0 / 3.0 + z * p;
    return t + t * z * p;
}

/* On [0, 1]: atan x = atan c + atan((x - c)/(1 + x c)) with c the nearest multiple of 1/4, so the rest is below 1/8. */
double fm_atan(double x)
{
    static const double atan_quarters[5] = {0.0, 0x1.f5b75f92c80ddp-3, 0x1.dac670561bb4fp-2, 0x1.4978fa3269ee1p-1,
                                            0x1.921fb54442d18p-1};
    if (x < 0.0)
        return -fm_atan(-x);
    if (x > 1.0)
        return PIO2_HI - (fm_atan(1.0 / x) - (PIO2_MID + PIO2_LO));
    if (!(x >= 0.0))
        return x;
    int i = (int)(x * 4.0 + 0.5);
    double c = (double)i * 0.25;
    return atan_quarters[i] + atan_series((x - c) / (1.0 + x * c));
}

double fm_atan2(double y, double x)
{
    if (x == 0.0 && y == 0.0)
        return signbit(x) ? copysign(FM_PI, y) : y;
    double ax = fabs(x), ay = fabs(y);
    double a = ay > ax ? PIO2_HI - (fm_atan(ax / ay) - (PIO2_MID + PIO2_LO)) : fm_atan(ay / ax);
    if (signbit(x))
        a = FM_PI - a;
    return copysign(a, y);
}

double fm_asin(double x)
{
    return fabs(x) <= 1.0 ? fm_atan2(x, sqrt((1.0 - x) * (1.0 + x))) : (double)NAN;
}

double fm_acos(double x)
{
    return fabs(x) <= 1.0 ? fm_atan2(sqrt((1.0 - x) * (1.0 + x)), x) : (double)NAN;
}

static double two_to(int k)
{
    uint64_t bits = (uint64_t)(k + 1023) << 52;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* |r| <= ln(2)/2; first neglected term r^14/14! < 5e-18. */
double fm_exp(double x)
{
    if (isnan(x))
        return x;
    if (x > 709.782712893384)
        return (double)INFINITY;
    if (x < -745.2)
        return 0.0;
    double k = floor(x * 1.44269504088896340736 + 0.5);
    double hi = x - k * LN2_HI, lo = k * LN2_LO, r = hi - lo;
    double p = 1.0 / 6227020800.0; /* 1/13! */
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    double e = 1.0 + (hi - (lo - r * r * p));
    int ki = (int)k, half = ki / 2;
    return e * two_to(half) * two_to(ki - half);
}

/* x = m 2^k, m in [sqrt(1/2), sqrt(2)): log m = 2 atanh(s), s = (m-1)/(m+1), |s| < 0.1716; first neglected term
 * s^22/23 < 1e-18 relative. */
double fm_log(double x)
{
    if (x < 0.0 || isnan(x))
        return (double)NAN;
    if (x == 0.0)
        return -(double)INFINITY;
    if (isinf(x))
        return x;
    int k;
    double m = frexp(x, &k); /* exact: [0.5, 1) */
    if (m < 0.70710678118654752440) {
        m *= 2.0;
        k--;
    }
    double f = m - 1.0, s = f / (2.0 + f), z = s * s;
    double p = 1.0 / 21.0;
    p = p * z + 1.0 / 19.0;
    p = p * z + 1.0 / 17.0;
    p = p * z + 1.0 / 15.0;
    p = p * z + 1.0 / 13.0;
    p = p * z + 1.0 / 11.0;
    p = p * z + 1.0 / 9.0;
    p = p * z + 1.0 / 7.0;
    p = p * z + 1.0 / 5.0;
    p = p * z + 1.0 / 3.0;
    double kd = (double)k;
    /* log m = f - f^2/2 + s (f^2/2 + 2 z p): the identity 2s = f - s f keeps the leading term f exact. */
    double hf = 0.5 * f * f;
    return kd * LN2_HI + (f - (hf - (s * (hf + 2.0 * z * p) + kd * LN2_LO)));
}

double fm_pow(double x, double y)
{
    return fm_exp(y * fm_log(x));
}

double fm_hypot(double x, double y)
{
    double big = fabs(x), small = fabs(y);
    if (big < small) {
        double t = big;
        big = small;
        small = t;
    }
    if (big == 0.0 || isinf(big))
        return big;
    if (big > 1e150 || small < 1e-150) {
        double r = small / big;
        return big * sqrt(1.0 + r * r);
    }
    return sqrt(big * big + small * small);
}

double fm_cbrt(double x)
{
    if (x == 0.0 || !isfinite(x))
        return x;
    double a = fabs(x), y = fm_exp(fm_log(a) / 3.0);
    y -= (y * y * y - a) / (3.0 * y * y); /* one Newton step takes the error of exp(log) away */
    return copysign(y, x);
}
