#include "motion/steps/filter.h"

#include "tests/unit/motion/steps/steps_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED 99

/* Nominal position with advance: e + K v in flagged segments. */
static double nominal(const struct segq *q, const struct advance_list *advance, double t_s)
{
    double p[3], v[3];
    segq_position(q, t_s, p, v);
    const uint64_t i = segq_find(q, t_s);
    const double k =
        i < q->end && (segq_at(q, i)->flags & SEG_ADVANCE) ? advance_at(advance, segq_at(q, i)->t0_s) : 0.0;
    return p[0] + k * v[0];
}

/* Pressure advance is the nominal position under a triangle: against a fine Riemann sum, speed against a difference. */
static void test_advance(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED);
    for (int round = 0; round < 40; round++) {
        struct segq q, e;
        segq_init(&q, 1024);
        segq_init(&e, 1024);
        double pos[4] = {0, 0, 0, rng_range(&rng, 0.0, 5000.0)};
        const double start_e = pos[3];
        segq_set_position(&e, 0.1, (const double[3]){start_e, 0, 0});
        const double end_s = rig_add_moves(&rng, &q, &e, 0.5, pos, 30, 2.0);
        struct kin_func along;
        kin_func_linear(&along, 1.0, 0.0, 0.0);
        struct filter f;
        filter_init(&f, &along);
        f.smooth_s = rng_range(&rng, 0.005, 0.1);
        const struct advance_list advance = {{{0.0, 0.05}, {0.5 * (0.5 + end_s), 0.03}}, 2};
        const double h = 0.5 * f.smooth_s;
        for (int n = 0; n < 10; n++) {
            const double t = rng_range(&rng, 0.5 - h, end_s + h);
            double sum = 0.0, weight = 0.0, p, v, before, after, unused;
            const int parts = 4000;
            for (int i = 0; i < parts; i++) {
                const double u = -h + (i + 0.5) * 2.0 * h / parts, w = h - fabs(u);
                sum += w * (nominal(&e, &advance, t + u) - start_e);
                weight += w;
            }
            filter_smoothed(&f, &e, &advance, t, &p, &v);
            assert_true(fabs(p - (start_e + sum / weight)) < 2e-4);
            filter_smoothed(&f, &e, &advance, t - 1e-6, &before, &unused);
            filter_smoothed(&f, &e, &advance, t + 1e-6, &after, &unused);
            assert_true(fabs(v - (after - before) / 2e-6) < 0.05);
        }
        segq_deinit(&q);
        segq_deinit(&e);
    }
}

static void test_windows(void **state)
{
    (void)state;
    struct kin_func func;
    kin_func_linear(&func, 1.0, 1.0, 0.0);
    struct filter f;
    filter_init(&f, &func);
    assert_true(filter_pre_s(&f) == 0.0 && filter_post_s(&f) == 0.0);
    assert_int_equal(shaper_init(&f.shaper[0], "mzv", 55.0, 0.1, NULL), OK);
    assert_int_equal(shaper_init(&f.shaper[1], "ei", 42.0, 0.1, NULL), OK);
    assert_int_equal(shaper_init(&f.shaper[2], "3hump_ei", 20.0, 0.1, NULL), OK); /* z does not move this stepper */
    assert_true(fabs(filter_pre_s(&f) - .010068) < 1e-6);
    assert_true(fabs(filter_post_s(&f) - .013861) < 1e-6);
    f.smooth_s = 0.04;
    assert_true(filter_pre_s(&f) == 0.02 && filter_post_s(&f) == 0.02);
}

static void test_advance_list(void **state)
{
    (void)state;
    const struct advance_list list = {{{1.0, 0.1}, {2.0, 0.2}, {3.0, 0.3}}, 3};
    assert_true(advance_at(&list, 0.5) == 0.1 && advance_at(&list, 2.0) == 0.2 && advance_at(&list, 2.9) == 0.2);
    assert_true(advance_at(&list, 9.0) == 0.3);
    const struct advance_list none = {.count = 0};
    assert_true(advance_at(&none, 1.0) == 0.0);
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_advance),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_advance_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
