#include "motion/plan/lookahead.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SEED 20261121

static const struct move_limits limits = {300.0, 3000.0, 5.0, 0.5};

static struct move make(const struct move_limits *l, const double a[4], const double b[4], double speed)
{
    struct move m;
    assert_true(move_init(&m, l, 4, a, b, speed));
    m.corner_v_mm_s[0] = 1.0;
    return m;
}

/* The reference's numbers: (start_v, cruise_v, end_v, accel_t, cruise_t, decel_t). */
static void check_vector(const double (*points)[2], int count, double speed, const double (*expected)[6])
{
    struct lookahead la;
    lookahead_init(&la, 64);
    for (int i = 0; i + 1 < count; i++) {
        const double a[4] = {points[i][0], points[i][1], 0, 0}, b[4] = {points[i + 1][0], points[i + 1][1], 0, 0};
        const struct move m = make(&limits, a, b, speed);
        lookahead_add(&la, &m);
    }
    assert_int_equal(lookahead_flush(&la, false), count - 1);
    for (int i = 0; i + 1 < count; i++) {
        const struct move *m = lookahead_at(&la, la.held_begin + (unsigned)i);
        const double got[6] = {m->start_v, m->cruise_v, m->end_v, m->accel_t, m->cruise_t, m->decel_t};
        for (int k = 0; k < 6; k++)
            assert_true(fabs(got[k] - expected[i][k]) < (k < 3 ? 1e-4 : 1e-6));
    }
    lookahead_deinit(&la);
}

static void test_vectors(void **state)
{
    (void)state;
    check_vector((const double[][2]){{0, 0}, {100, 0}, {100, 100}}, 3, 100.0,
                 (const double[][6]){{0, 100, 5, .033333, .966708, .031667}, {5, 100, 0, .031667, .966708, .033333}});
    check_vector((const double[][2]){{0, 0}, {1, 0}, {2, 1}, {3, 0}, {4, 1}}, 5, 200.0,
                 (const double[][6]){{0, 39.5328, 11.2109, .013178, .012648, .009441},
                                     {11.2109, 46.8686, 5, .011886, .015087, .013956},
                                     {5, 46.3284, 5, .013776, .015263, .013776},
                                     {5, 46.1933, 0, .013731, .015308, .015398}});
    check_vector((const double[][2]){{0, 0}, {2, 0}, {4, .2}, {6, 0}}, 4, 150.0,
                 (const double[][6]){{0, 83.9826, 83.9826, .027994, .009817, 0},
                                     {83.9826, 83.9826, 45.5657, 0, .014056, .012806},
                                     {45.5657, 63.6638, 0, .006033, .015786, .021221}});
}

static struct move random_move(struct rng *rng, const struct move_limits *l, double pos[4])
{
    double next[4] = {pos[0], pos[1], pos[2], pos[3]};
    const uint64_t kind = rng_below(rng, 10);
    const double scale = kind < 4 ? 0.2 : kind < 8 ? 3.0 : 40.0;
    if (kind != 9) {
        next[0] += rng_range(rng, -scale, scale);
        next[1] += rng_range(rng, -scale, scale);
        if (rng_below(rng, 8) == 0)
            next[2] += rng_range(rng, -0.5, 0.5);
    }
    if (kind == 9 || rng_below(rng, 2))
        next[3] += rng_range(rng, -0.5, 1.0);
    struct move m = make(l, pos, next, rng_range(rng, 5.0, 400.0));
    if (next[2] != pos[2])
        move_limit_speed(&m, 15.0 / fabs(m.r[2]), 100.0 / fabs(m.r[2]));
    if (!m.is_kinematic)
        move_limit_speed(&m, 30.0, 2000.0);
    memcpy(pos, m.end_mm, sizeof m.end_mm[0] * 4);
    return m;
}

/* The profile obeys every limit, covers the length, and speeds meet at the joints. */
static void check_profile(const struct move *m, const struct move *prev)
{
    const double a = m->accel_mm_s2, eps = 1e-6;
    assert_true(m->accel_t >= 0.0 && m->cruise_t >= 0.0 && m->decel_t >= 0.0);
    assert_true(m->cruise_v * m->cruise_v <= m->max_cruise_v2 * (1.0 + eps));
    assert_true(m->start_v * m->start_v <= m->max_start_v2 * (1.0 + eps) + eps);
    assert_true(fabs(m->start_v + a * m->accel_t - m->cruise_v) <= eps * (1.0 + m->cruise_v));
    assert_true(fabs(m->cruise_v - a * m->decel_t - m->end_v) <= eps * (1.0 + m->cruise_v));
    double d, v;
    move_at(m, move_duration_s(m) * (1.0 - 1e-15), &d, &v);
    assert_true(fabs(d - m->length_mm) < 1e-7 * (1.0 + m->length_mm));
    assert_true(fabs(m->start_v - (prev ? prev->end_v : 0.0)) <= eps * (1.0 + m->start_v));
}

/* Fastest junction speeds by relaxation: every speed is lowered until no rule is broken; what is left is the optimum.
 */
static void brute_force(const struct move *m, int n, double *start_v2)
{
    for (int i = 0; i <= n; i++)
        start_v2[i] = i < n ? m[i].max_start_v2 : 0.0;
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < n; i++) {
            if (start_v2[i] > start_v2[i + 1] + m[i].delta_v2) {
                start_v2[i] = start_v2[i + 1] + m[i].delta_v2;
                changed = true;
            }
            if (start_v2[i + 1] > start_v2[i] + m[i].delta_v2) {
                start_v2[i + 1] = start_v2[i] + m[i].delta_v2;
                changed = true;
            }
        }
    }
}

static void test_optimal(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED);
    const struct move_limits plain = {300.0, 3000.0, 5.0, 0.0}; /* without minimum_cruise_ratio: as fast as it can be */
    struct lookahead la;
    lookahead_init(&la, 64);
    for (int round = 0; round < 3000; round++) {
        const int n = 1 + (int)rng_below(&rng, 12);
        double pos[4] = {0}, start_v2[16];
        struct move copy[16];
        for (int i = 0; i < n; i++) {
            const struct move m = random_move(&rng, &plain, pos);
            lookahead_add(&la, &m);
            copy[i] = *lookahead_at(&la, la.end - 1);
        }
        brute_force(copy, n, start_v2);
        assert_int_equal(lookahead_flush(&la, false), n);
        for (int i = 0; i < n; i++) {
            const struct move *m = lookahead_at(&la, la.held_begin + (unsigned)i);
            check_profile(m, i ? lookahead_at(&la, la.held_begin + (unsigned)i - 1) : NULL);
            assert_true(fabs(m->start_v * m->start_v - start_v2[i]) <= 1e-6 * (1.0 + start_v2[i]));
            const double next = i + 1 < n ? start_v2[i + 1] : 0.0;
            const double peak = fmin((start_v2[i] + next + m->delta_v2) * 0.5, m->max_cruise_v2);
            assert_true(fabs(m->cruise_v * m->cruise_v - peak) <= 1e-6 * (1.0 + peak));
        }
        lookahead_retire(&la, INFINITY);
    }
    lookahead_deinit(&la);
}

/* Flushing early, as soon as allowed, changes nothing. */
static void test_lazy_is_final(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED + 1);
    for (int round = 0; round < 200; round++) {
        struct lookahead eager, whole;
        lookahead_init(&eager, 512);
        lookahead_init(&whole, 512);
        double pos[4] = {0};
        for (int i = 0; i < 200; i++) {
            const struct move m = random_move(&rng, &limits, pos);
            lookahead_add(&eager, &m);
            lookahead_add(&whole, &m);
            lookahead_flush(&eager, true);
        }
        lookahead_flush(&eager, false);
        lookahead_flush(&whole, false);
        for (unsigned i = 0; i < 200; i++) {
            const struct move *a = lookahead_at(&eager, i), *b = lookahead_at(&whole, i);
            assert_true(a->start_v == b->start_v && a->cruise_v == b->cruise_v && a->end_v == b->end_v);
            check_profile(a, i ? lookahead_at(&eager, i - 1) : NULL);
        }
        lookahead_deinit(&eager);
        lookahead_deinit(&whole);
    }
}

/* Forced release keeps speeds continuous and limits obeyed, whatever comes later. */
static void test_force(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED + 2);
    struct lookahead la;
    lookahead_init(&la, 1024);
    for (int round = 0; round < 200; round++) {
        double pos[4] = {0};
        const uint64_t begin = la.end;
        for (int i = 0; i < 100; i++) {
            const struct move m = random_move(&rng, &limits, pos);
            lookahead_add(&la, &m);
            if (rng_below(&rng, 10) == 0)
                lookahead_force(&la, (size_t)rng_below(&rng, lookahead_waiting(&la)));
            if (rng_below(&rng, 10) == 0)
                lookahead_flush(&la, true);
        }
        lookahead_flush(&la, false);
        for (uint64_t i = begin; i < la.end; i++)
            check_profile(lookahead_at(&la, i), i > begin ? lookahead_at(&la, i - 1) : NULL);
        lookahead_retire(&la, INFINITY);
    }
    lookahead_deinit(&la);
}

struct braking {
    double t_s, v, accel_max;
    double pos[4];
    int parts;
};

static void take_part(void *ctx, const struct lookahead_part *part)
{
    struct braking *b = ctx;
    assert_true(fabs(part->print_time_s - b->t_s) < 1e-9);
    assert_true(fabs(part->start_v - b->v) < 1e-6);
    assert_true(part->accel_t == 0.0 && part->cruise_t == 0.0);
    assert_true(part->accel_mm_s2 <= part->move->accel_mm_s2 * (1.0 + 1e-3));
    for (int i = 0; i < 4; i++) {
        assert_true(b->parts == 0 || fabs(part->start_mm[i] - b->pos[i]) < 1e-6);
        b->pos[i] = part->start_mm[i] +
                    part->move->r[i] * (part->start_v - 0.5 * part->accel_mm_s2 * part->decel_t) * part->decel_t;
    }
    b->t_s += part->decel_t;
    b->v = part->start_v - part->accel_mm_s2 * part->decel_t;
    b->parts++;
}

/* Stopping anywhere: braking starts at once, stays within limits, ends at rest on the path; what was executed and the
 * tail together are the old path. */
static void test_stop(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED + 3);
    struct lookahead la;
    lookahead_init(&la, 256);
    struct move tail[256];
    for (int round = 0; round < 3000; round++) {
        double pos[4] = {0}, t_s = 10.0;
        const int n = 2 + (int)rng_below(&rng, 40);
        for (int i = 0; i < n; i++) {
            struct move m = random_move(&rng, &limits, pos);
            m.tag.line = (uint32_t)i;
            lookahead_add(&la, &m);
        }
        lookahead_flush(&la, rng_below(&rng, 2) == 0);
        double total_mm = 0.0;
        for (uint64_t i = la.held_begin; i < la.end; i++) {
            struct move *m = lookahead_at(&la, i);
            total_mm += m->length_mm;
            if (i < la.waiting_begin) {
                m->print_time_s = t_s;
                t_s += move_duration_s(m);
            }
        }
        const double cut_s = rng_range(&rng, 9.9, t_s + 0.1);
        /* where the plan is at the cut */
        struct braking b = {.t_s = cut_s};
        double done_mm = 0.0;
        for (uint64_t i = la.held_begin; i < la.waiting_begin; i++) {
            const struct move *m = lookahead_at(&la, i);
            double d, v;
            if (cut_s >= m->print_time_s + move_duration_s(m)) {
                done_mm += m->length_mm;
                continue;
            }
            if (cut_s > m->print_time_s) {
                move_at(m, cut_s - m->print_time_s, &d, &v);
                done_mm += d;
                b.v = v;
            }
            break;
        }
        struct lookahead_stop stop;
        assert_true(lookahead_tail_max(&la) <= 256);
        lookahead_stop(&la, cut_s, take_part, &b, tail, &stop);
        assert_true(fabs(b.v) < 1e-2);
        assert_true(fabs(stop.stop_s - b.t_s) < 1e-9 && stop.stop_s >= cut_s);
        assert_int_equal(lookahead_waiting(&la), 0);
        double tail_mm = 0.0;
        for (size_t i = 0; i < stop.tail_count; i++) {
            tail_mm += tail[i].length_mm;
            for (int k = 0; k < 4; k++) {
                const double from = i ? tail[i - 1].end_mm[k] : stop.pos_mm[k];
                assert_true(fabs(tail[i].start_mm[k] - from) < 1e-9);
            }
            assert_int_equal(tail[i].tag.line, (uint32_t)((size_t)n - stop.tail_count + i));
        }
        if (stop.tail_count)
            for (int k = 0; k < 4; k++)
                assert_true(tail[stop.tail_count - 1].end_mm[k] == pos[k]);
        if (b.parts)
            for (int k = 0; k < 4; k++)
                assert_true(fabs(b.pos[k] - stop.pos_mm[k]) < 1e-6);
        assert_true(tail_mm <= total_mm - done_mm + 1e-6);
        for (size_t i = 0; i < stop.tail_count; i++) /* it can be played again */
            lookahead_add(&la, &tail[i]);
        lookahead_flush(&la, false);
        for (uint64_t i = la.held_begin; i < la.end; i++)
            check_profile(lookahead_at(&la, i), i > la.held_begin ? lookahead_at(&la, i - 1) : NULL);
        lookahead_retire(&la, INFINITY);
    }
    lookahead_deinit(&la);
}

static void test_extremes(void **state)
{
    (void)state;
    struct lookahead la;
    lookahead_init(&la, 64);
    const struct move_limits wild = {1e6, 1e9, 0.0, 0.0}, slow = {1e-3, 1e-3, 5.0, 0.99};
    const double ends[][4] = {{1e7, 0, 0, 0}, {1e7, 2e-9, 0, 0}, {1e7, 2e-9, 0, 1e-300}, {0, 0, 0, 0}};
    for (int pass = 0; pass < 2; pass++) {
        double pos[4] = {0};
        for (size_t i = 0; i < 4; i++) {
            const struct move m = make(pass ? &slow : &wild, pos, ends[i], pass ? 1e-3 : 1e6);
            lookahead_add(&la, &m);
            memcpy(pos, m.end_mm, sizeof pos);
        }
        lookahead_flush(&la, false);
        for (uint64_t i = la.held_begin; i < la.end; i++) {
            const struct move *m = lookahead_at(&la, i);
            assert_true(isfinite(move_duration_s(m)) && move_duration_s(m) >= 0.0);
            assert_true(isfinite(m->start_v) && isfinite(m->cruise_v) && isfinite(m->end_v));
        }
        lookahead_retire(&la, INFINITY);
    }
    struct move nothing;
    assert_false(move_init(&nothing, &limits, 4, (const double[4]){1, 2, 3, 4}, (const double[4]){1, 2, 3, 4}, 10.0));
    lookahead_deinit(&la);
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_optimal), cmocka_unit_test(test_lazy_is_final),
        cmocka_unit_test(test_force),   cmocka_unit_test(test_stop),    cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
