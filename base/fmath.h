/* Elementary functions made of + - x / and sqrt only, so that every machine and library gives the same bytes.
 * Relative error below 4 ulp (trig: for |x| < 1e6) unless said otherwise; checked against libm in tests/unit/base.
 * Pure; any thread. */
#ifndef BASE_FMATH_H
#define BASE_FMATH_H

#define FM_PI 3.14159265358979323846

double fm_sqrt(double x);            /* exact rounding (the processor's) */
double fm_sin(double x);             /* x in rad */
double fm_cos(double x);
void fm_sincos(double x, double *s, double *c);
double fm_tan(double x);
double fm_atan(double x);
double fm_atan2(double y, double x); /* (-pi, pi] */
double fm_asin(double x);            /* |x| <= 1, else NaN */
double fm_acos(double x);
double fm_exp(double x);
double fm_log(double x);
double fm_pow(double x, double y);   /* x > 0; relative error below 1e-13 */
double fm_hypot(double x, double y);
double fm_floor(double x);
double fm_round(double x);           /* half away from zero */
double fm_trunc(double x);
double fm_cbrt(double x);

#endif
