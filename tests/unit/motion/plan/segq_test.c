#include "motion/plan/segq.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define SEED 7

static const double along_x[3] = {1.0, 0.0, 0.0};

/* 0.1 s up to 100 mm/s, 0.1 s cruise, 0.1 s down: 20 mm. */
static void add_bump(struct segq *q, double t_s, double x_mm)
{
    const double start[3] = {x_mm, 0.0, 0.0};
    segq_append(q, t_s, 0.1, 0.1, 0.1, start, along_x, 0.0, 100.0, 1000.0, 0, 5);
}

static void test_positions(void **state)
{
    (void)state;
    struct segq q;
    segq_init(&q, 64);
    add_bump(&q, 1.0, 0.0);
    add_bump(&q, 2.0, 20.0);
    double p[3], v[3];
    assert_true(segq_position(&q, 0.5, p, v) && p[0] == 0.0 && v[0] == 0.0);
    assert_true(segq_position(&q, 1.05, p, v) && fabs(p[0] - 1.25) < 1e-12 && fabs(v[0] - 50.0) < 1e-9);
    assert_true(segq_position(&q, 1.15, p, v) && fabs(p[0] - 10.0) < 1e-12 && fabs(v[0] - 100.0) < 1e-9);
    assert_true(segq_position(&q, 1.3, p, v) && fabs(p[0] - 20.0) < 1e-12);
    assert_true(segq_position(&q, 1.7, p, v) && p[0] == 20.0 && v[0] == 0.0);
    assert_true(segq_position(&q, 9.0, p, v) && fabs(p[0] - 40.0) < 1e-12 && v[0] == 0.0);
    for (uint64_t i = q.begin + 1; i < q.end; i++)
        assert_true(seg_end_s(segq_at(&q, i - 1)) == segq_at(&q, i)->t0_s);
    segq_deinit(&q);
}

static void test_rest(void **state)
{
    (void)state;
    struct segq q;
    segq_init(&q, 64);
    add_bump(&q, 1.0, 0.0);
    add_bump(&q, 2.0, 20.0);
    assert_true(segq_is_at_rest(&q, 0.0, 1.0));
    assert_false(segq_is_at_rest(&q, 0.0, 1.0001));
    assert_false(segq_is_at_rest(&q, 1.2999, 1.5));
    assert_true(segq_is_at_rest(&q, 1.3001, 1.9999));
    assert_true(segq_is_at_rest(&q, 2.3001, 99.0));
    assert_true(fabs(segq_rest_start(&q, 1.1, 0.5) - 1.3) < 1e-9);
    assert_true(fabs(segq_rest_start(&q, 1.1, 0.8) - 2.3) < 1e-9);
    assert_true(segq_rest_start(&q, 0.2, 0.5) == 0.2);
    segq_set_position(&q, 3.0, (const double[3]){7.0, 8.0, 9.0});
    assert_false(segq_is_at_rest(&q, 2.9, 3.1));
    assert_true(segq_is_at_rest(&q, 3.0001, 9.0));
    double p[3];
    segq_position(&q, 2.9999, p, NULL);
    assert_true(fabs(p[0] - 40.0) < 1e-9);
    segq_position(&q, 3.0, p, NULL);
    assert_true(p[0] == 7.0 && p[2] == 9.0);
    segq_deinit(&q);
}

/* Cutting anywhere leaves the past untouched and nothing after it. */
static void test_cut(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED);
    for (int round = 0; round < 2000; round++) {
        struct segq q, whole;
        segq_init(&q, 256);
        segq_init(&whole, 256);
        double t = 0.5, x = 0.0;
        for (int i = 0; i < 10; i++) {
            add_bump(&q, t, x);
            add_bump(&whole, t, x);
            x += 20.0;
            t += rng_below(&rng, 2) ? 0.3 : rng_range(&rng, 0.3, 1.0);
        }
        const double cut = rng_below(&rng, 4) == 0 ? segq_at(&whole, 1 + rng_below(&rng, whole.end - 1))->t0_s
                                                   : rng_range(&rng, 0.1, t + 0.5);
        segq_cut(&q, cut);
        assert_true(q.end_s <= cut);
        for (int i = 0; i < 20; i++) {
            const double s = rng_range(&rng, 0.0, t);
            double a[3], b[3];
            segq_position(&q, s, a, NULL);
            segq_position(&whole, s < cut ? s : cut, b, NULL);
            assert_true(fabs(a[0] - b[0]) < 1e-9);
        }
        segq_deinit(&q);
        segq_deinit(&whole);
    }
}

/* The ring keeps history until it needs the room, and never overwrites what is not retired. */
static void test_ring(void **state)
{
    (void)state;
    struct segq q;
    segq_init(&q, 32);
    double t = 1.0, x = 0.0;
    for (int i = 0; i < 1000; i++, t += 0.5, x += 20.0) {
        if (segq_room(&q) < 4)
            segq_retire(&q, t - 1.0);
        assert_true(segq_room(&q) >= 4);
        add_bump(&q, t, x);
        assert_true(q.end - q.begin <= 32 && q.first >= q.begin);
    }
    double p[3];
    assert_true(segq_position(&q, t - 1.0, p, NULL));
    assert_false(segq_position(&q, 1.0, p, NULL));
    segq_deinit(&q);
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
