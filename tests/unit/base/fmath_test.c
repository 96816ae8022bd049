#include "base/fmath.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* Distance of two doubles in units of the last place. */
static double ulps(double a, double b)
{
    if (a == b || (isnan(a) && isnan(b)))
        return 0.0;
    double ulp = nextafter(fabs(b), (double)INFINITY) - fabs(b);
    return fabs(a - b) / ulp;
}

struct unary {
    const char *name;
    double (*ours)(double), (*theirs)(double);
    double lo, hi, ulps_max;
};

static void test_unary_functions_agree_with_libm(void **state)
{
    (void)state;
    static const struct unary table[] = {
        {"atan", fm_atan, atan, -1e3, 1e3, 4.0},  {"atan", fm_atan, atan, -1.1, 1.1, 4.0},
        {"asin", fm_asin, asin, -1.0, 1.0, 4.0},  {"acos", fm_acos, acos, -1.0, 1.0, 4.0},
        {"exp", fm_exp, exp, -700.0, 700.0, 4.0}, {"exp", fm_exp, exp, -1.0, 1.0, 4.0},
        {"log", fm_log, log, 1e-300, 1e3, 4.0},   {"log", fm_log, log, 0.5, 2.0, 4.0},
        {"cbrt", fm_cbrt, cbrt, -1e6, 1e6, 4.0},
    };
    struct rng rng;
    rng_init(&rng, 7);
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        double worst = 0.0;
        for (int i = 0; i < 100000; i++) {
            double x = rng_range(&rng, table[t].lo, table[t].hi);
            worst = fmax(worst, ulps(table[t].ours(x), table[t].theirs(x)));
        }
        if (worst > table[t].ulps_max)
            fail_msg("fm_%s differs by %.1f ulp", table[t].name, worst);
    }
}

static void test_trig_error_is_small_everywhere(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 8);
    for (int i = 0; i < 200000; i++) {
        double x = rng_range(&rng, -1e6, 1e6) * (i % 2 ? 1.0 : 1e-6);
        assert_true(ulps(fm_sin(x), sin(x)) <= 4.0);
        assert_true(ulps(fm_cos(x), cos(x)) <= 4.0);
        assert_true(ulps(fm_tan(x), tan(x)) <= 8.0);
    }
}

static void test_two_argument_functions(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 9);
    for (int i = 0; i < 100000; i++) {
        double x = rng_range(&rng, -300.0, 300.0), y = rng_range(&rng, -300.0, 300.0);
        assert_true(ulps(fm_atan2(y, x), atan2(y, x)) <= 4.0);
        assert_true(ulps(fm_hypot(x, y), hypot(x, y)) <= 4.0);
        double base = rng_range(&rng, 1e-6, 1e6), power = rng_range(&rng, -10.0, 10.0);
        assert_true(fabs(fm_pow(base, power) / pow(base, power) - 1.0) < 1e-13);
    }
}

static void test_special_values(void **state)
{
    (void)state;
    assert_true(fm_atan2(0.0, -1.0) == FM_PI && fm_atan2(-0.0, -1.0) == -FM_PI);
    assert_true(fm_atan2(1.0, 0.0) == FM_PI / 2 && fm_atan2(0.0, 1.0) == 0.0);
    assert_true(isnan(fm_log(-1.0)) && isinf(fm_log(0.0)) && fm_log(1.0) == 0.0);
    assert_true(fm_exp(0.0) == 1.0 && fm_exp(-1000.0) == 0.0 && isinf(fm_exp(1000.0)));
    assert_true(isnan(fm_acos(1.5)) && fm_acos(1.0) == 0.0);
    assert_true(fm_round(-2.5) == -3.0 && fm_round(2.5) == 3.0 && fm_floor(-0.5) == -1.0);
    assert_true(fabs(fm_hypot(3e200, 4e200) / 5e200 - 1.0) < 1e-15);
    assert_true(isnan(fm_sin((double)NAN)) && isnan(fm_atan((double)NAN)) && isnan(fm_exp((double)NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary_functions_agree_with_libm),
        cmocka_unit_test(test_trig_error_is_small_everywhere),
        cmocka_unit_test(test_two_argument_functions),
        cmocka_unit_test(test_special_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
