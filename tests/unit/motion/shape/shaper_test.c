#include "motion/shape/shaper.h"

#include "base/fmath.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

struct vector {
    const char *type;
    int count;
    double a[5], t[5];
};

/* f = 50 Hz, damping 0.1: numbers of the reference. */
static const struct vector vectors[] = {
    {"zv", 2, {.578286, .421714}, {0, .010050}},
    {"mzv", 3, {.365128, .407489, .227383}, {0, .007538, .015076}},
    {"zvd", 3, {.334415, .487743, .177843}, {0, .010050, .020101}},
    {"ei", 3, {.354881, .452998, .192121}, {0, .010145, .020101}},
    {"2hump_ei", 4, {.258535, .359936, .272764, .108765}, {0, .010318, .020164, .029779}},
    {"3hump_ei", 5, {.220854, .277211, .259700, .167055, .075179}, {0, .010810, .020561, .030118, .039659}},
    {"mzv(4, 1.0)", 4, {.223966, .362907, .294021, .119106}, {0, .006700, .013400, .020100}},
    {"mzv(n=4,t=1)", 4, {.223966, .362907, .294021, .119106}, {0, .006700, .013400, .020100}},
};

static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const struct vector *v = &vectors[i];
        int count;
        double a[SHAPER_TAPS_MAX], t[SHAPER_TAPS_MAX];
        struct err_info info = {""};
        assert_int_equal(shaper_impulses(v->type, 50.0, 0.1, &count, a, t, &info), OK);
        assert_int_equal(count, v->count);
        for (int k = 0; k < count; k++) {
            assert_true(fabs(a[k] - v->a[k]) < 2e-6);
            assert_true(fabs(t[k] - v->t[k]) < 2e-6);
        }
    }
}

static void test_filter(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct shaper s;
        assert_int_equal(shaper_init(&s, vectors[i].type, 42.0, 0.1, NULL), OK);
        double sum = 0.0, moment = 0.0;
        for (int k = 0; k < s.count; k++) {
            sum += s.a[k];
            moment += s.a[k] * s.tau_s[k];
            assert_true(k == 0 || s.tau_s[k] < s.tau_s[k - 1]);
        }
        assert_true(fabs(sum - 1.0) < 1e-12 && fabs(moment) < 1e-15);
        assert_true(shaper_pre_s(&s) == s.tau_s[0] && shaper_post_s(&s) == -s.tau_s[s.count - 1]);
    }
    struct shaper s;
    assert_int_equal(shaper_init(&s, "ei", 42.0, 0.1, NULL), OK);
    assert_true(fabs(s.tau_s[0] - .010068) < 1e-6 && fabs(s.tau_s[2] + .013861) < 1e-6);
    assert_int_equal(shaper_init(&s, "mzv", 0.0, 0.1, NULL), OK);
    assert_true(s.count == 1 && s.a[0] == 1.0 && shaper_pre_s(&s) == 0.0);
}

/* What stays of a vibration of 50 Hz that a train of impulses causes. */
static double residue(const char *type, double damping)
{
    double a[SHAPER_TAPS_MAX], t[SHAPER_TAPS_MAX], c = 0, s = 0;
    int count;
    assert_int_equal(shaper_impulses(type, 50.0, damping, &count, a, t, NULL), OK);
    const double w = 2 * M_PI * 50.0, wd = w * sqrt(1 - damping * damping);
    for (int i = 0; i < count; i++) {
        double left = a[i] * exp(-damping * w * (t[count - 1] - t[i]));
        c += left * cos(wd * t[i]);
        s += left * sin(wd * t[i]);
    }
    return hypot(c, s);
}

/* ei leaves just as much at its frequency as it is told. */
static void test_tolerance(void **state)
{
    (void)state;
    for (double v = 0.02; v < 0.3; v *= 1.7)
        for (double damping = 0; damping < 0.21; damping += 0.05) {
            char type[32];
            (void)snprintf(type, sizeof type, "ei(v_tol=%.5f)", v);
            assert_true(fabs(residue(type, damping) - v) < 0.1 * v);
        }
    assert_true(fabs(residue("ei", 0.1) - residue("ei(0.05)", 0.1)) < 1e-12);
}

/* Without damping an impulse train of zv, mzv, zvd leaves no vibration at its frequency. */
static void test_no_vibration(void **state)
{
    (void)state;
    const char *const types[] = {"zv", "mzv", "zvd", "mzv(n=5, t=1.2)"};
    for (size_t i = 0; i < 4; i++) {
        int count;
        double a[SHAPER_TAPS_MAX], t[SHAPER_TAPS_MAX], re = 0.0, im = 0.0;
        assert_int_equal(shaper_impulses(types[i], 60.0, 0.0, &count, a, t, NULL), OK);
        for (int k = 0; k < count; k++) {
            re += a[k] * fm_cos(2.0 * FM_PI * 60.0 * t[k]);
            im += a[k] * fm_sin(2.0 * FM_PI * 60.0 * t[k]);
        }
        assert_true(fm_hypot(re, im) < 1e-9);
    }
}

static void test_errors(void **state)
{
    (void)state;
    struct shaper s;
    struct err_info info;
    assert_int_equal(shaper_init(&s, "zzz", 50.0, 0.1, &info), ERR_NOT_FOUND);
    assert_int_equal(shaper_init(&s, "zv", -1.0, 0.1, &info), ERR_LIMIT);
    assert_int_equal(shaper_init(&s, "zv", NAN, 0.1, &info), ERR_LIMIT);
    assert_int_equal(shaper_init(&s, "ei", 50.0, 0.5, &info), ERR_LIMIT);
    static const char *const bad_ei[] = {"ei(v_tol=0)", "ei(v_tol=1)", "ei(v_tol=nan)", "ei(v_tol=0.1", "ei(n=3)", "zvd(v_tol=0.1)",
                                         "ei()"};
    for (size_t i = 0; i < sizeof bad_ei / sizeof bad_ei[0]; i++)
        assert_int_equal(shaper_init(&s, bad_ei[i], 50.0, 0.1, &info), ERR_INVALID);
    assert_int_equal(shaper_init(&s, "mzv(n=2, t=1)", 50.0, 0.1, &info), ERR_INVALID);
    assert_int_equal(shaper_init(&s, "mzv(n=3", 50.0, 0.1, &info), ERR_INVALID);
    assert_int_equal(shaper_init(&s, "mzv(q=3)", 50.0, 0.1, &info), ERR_INVALID);
    assert_int_equal(shaper_init(&s, "mzv(n=3, t=2)", 50.0, 0.1, &info), ERR_INVALID);
    assert_int_equal(shaper_init(&s, "zv(1)", 50.0, 0.1, &info), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_no_vibration),
        cmocka_unit_test(test_tolerance),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
