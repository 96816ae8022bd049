/* The solver against the definition of the motion (filter_position): every step lies where the position crosses its
 * half-way point, and no sample of the position is further than the rule allows from the step count. */
#include "motion/steps/solve.h"

#include "tests/unit/motion/steps/steps_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define SEED      5
#define HZ        180e6
#define STEPS_MAX 400000

struct recorder {
    double clocks[STEPS_MAX];
    signed char dirs[STEPS_MAX];
    int count;
};

static void record(void *ctx, int dir, const double *clocks, int count, bool is_committed)
{
    struct recorder *r = ctx;
    (void)is_committed;
    for (int i = 0; i < count; i++) {
        assert_true(r->count < STEPS_MAX);
        assert_true(r->count == 0 || clocks[i] > r->clocks[r->count - 1]);
        r->clocks[r->count] = clocks[i];
        r->dirs[r->count++] = (signed char)dir;
    }
}

static void check_solution(struct rng *rng, const struct filter *f, const struct segq *q,
                           const struct advance_list *advance, double k_s, double until_s, double step_mm)
{
    static struct recorder r;
    static struct solver s;
    r.count = 0;
    solver_init(&s, step_mm, HZ, record, &r);
    solver_bind(&s, f, k_s, 0.3);
    double pos_mm;
    assert_true(filter_position(f, q, advance, 0.3, &pos_mm));
    solver_set_position(&s, pos_mm);
    while (s.t_s < until_s) /* in batches of any length */
        solver_run(&s, q, fmin(until_s, s.t_s + rng_range(rng, 0.001, 0.3)), 1 + (int)rng_below(rng, 2000));
    /* each step where it belongs */
    int64_t n = 0;
    for (int i = 0; i < r.count; i++) {
        const double level = pos_mm + ((double)n + 0.5 * r.dirs[i]) * step_mm;
        double before, after;
        filter_position(f, q, advance, r.clocks[i] / HZ - 2e-8, &before);
        filter_position(f, q, advance, r.clocks[i] / HZ + 2e-8, &after);
        const double slack = 1e-7;
        assert_true(r.dirs[i] > 0 ? before <= level + slack && after >= level - slack
                                  : before >= level - slack && after <= level + slack);
        n += r.dirs[i];
    }
    /* dense samples: within half a step, and up to one and a half on the far side of a turn */
    int next = 0;
    n = 0;
    int dir = -1;
    for (double t = 0.3; t < until_s; t += 0.0005) {
        for (; next < r.count && r.clocks[next] <= t * HZ; next++) {
            n += r.dirs[next];
            dir = r.dirs[next];
        }
        double p;
        filter_position(f, q, advance, t, &p);
        const double off = dir * ((p - pos_mm) / step_mm - (double)n);
        assert_true(off <= 0.5 + 1e-4 && off >= -0.5 - 1e-4);
    }
}

static struct filter linear(double cx, double cy, double cz)
{
    struct kin_func func;
    kin_func_linear(&func, cx, cy, cz);
    struct filter f;
    filter_init(&f, &func);
    return f;
}

static void run_rounds(int rounds, void (*make)(struct rng *rng, struct filter *f), double z_mm, double step_mm)
{
    struct rng rng;
    rng_init(&rng, SEED);
    for (int round = 0; round < rounds; round++) {
        struct segq q;
        segq_init(&q, 1024);
        double pos[4] = {0, 0, z_mm, 0};
        segq_set_position(&q, 0.1, pos);
        double end_s = rig_add_moves(&rng, &q, NULL, 0.5, pos, 20, 3.0);
        end_s = rig_add_moves(&rng, &q, NULL, end_s + 0.1, pos, 20, round % 2 ? 0.05 : 20.0);
        struct filter f;
        make(&rng, &f);
        check_solution(&rng, &f, &q, NULL, 0.0, end_s + 0.1, step_mm);
        segq_deinit(&q);
    }
}

static void make_plain(struct rng *rng, struct filter *f)
{
    (void)rng;
    *f = linear(1.0, 0.0, 0.0);
}
static void make_corexy(struct rng *rng, struct filter *f)
{
    *f = linear(1.0, rng_below(rng, 2) ? 1.0 : -1.0, 0.0);
    const char *const types[] = {"zv", "mzv", "zvd", "ei", "2hump_ei", "3hump_ei"};
    for (int i = 0; i < 2; i++)
        assert_int_equal(shaper_init(&f->shaper[i], types[rng_below(rng, 6)], rng_range(rng, 30, 90), 0.1, NULL), OK);
}
static void make_delta(struct rng *rng, struct filter *f)
{
    struct kin_func func;
    kin_func_delta(&func, 100.0, -150.0, 360.0);
    filter_init(f, &func);
    if (rng_below(rng, 2)) {
        assert_int_equal(shaper_init(&f->shaper[0], "mzv", 55.0, 0.1, NULL), OK);
        assert_int_equal(shaper_init(&f->shaper[1], "ei", 42.0, 0.1, NULL), OK);
    }
}

static void test_plain(void **state)
{
    (void)state;
    run_rounds(10, make_plain, 0.0, 0.0125);
}
static void test_corexy_shaped(void **state)
{
    (void)state;
    run_rounds(10, make_corexy, 0.0, 0.0125);
}
static void test_delta(void **state)
{
    (void)state;
    run_rounds(6, make_delta, 10.0, 0.0125);
}

static void test_advance(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED + 1);
    for (int round = 0; round < 10; round++) {
        struct segq q, e;
        segq_init(&q, 1024);
        segq_init(&e, 1024);
        double pos[4] = {0, 0, 0, rng_range(&rng, 0.0, 3000.0)};
        segq_set_position(&e, 0.1, (const double[3]){pos[3], 0, 0});
        const double end_s = rig_add_moves(&rng, &q, &e, 0.5, pos, 40, 5.0);
        struct filter f = linear(1.0, 0.0, 0.0);
        f.smooth_s = rng_range(&rng, 0.01, 0.1);
        const struct advance_list advance = {{{0.3, 0.05}}, 1};
        check_solution(&rng, &f, &e, &advance, 0.05, end_s + 0.1, 0.00708);
        segq_deinit(&q);
        segq_deinit(&e);
    }
}

/* The same steps whatever the batches, and taps that rest pick up what is appended later. */
static void test_batches(void **state)
{
    (void)state;
    static struct recorder whole, parts;
    static struct solver a, b;
    struct rng rng;
    rng_init(&rng, SEED + 2);
    struct segq q;
    segq_init(&q, 1024);
    struct filter f;
    make_corexy(&rng, &f);
    const double pre = filter_pre_s(&f);
    whole.count = parts.count = 0;
    solver_init(&a, 0.0125, HZ, record, &whole);
    solver_init(&b, 0.0125, HZ, record, &parts);
    solver_bind(&a, &f, 0.0, 0.1);
    solver_bind(&b, &f, 0.0, 0.1);
    double pos[4] = {0}, end_s = 0.5;
    for (int i = 0; i < 20; i++) {
        end_s = rig_add_moves(&rng, &q, NULL, end_s, pos, 5, 2.0) + (i % 3 ? 0.0 : 0.2);
        solver_run(&b, &q, end_s - pre, 1 << 30);
    }
    solver_run(&b, &q, end_s + 1.0, 1 << 30);
    solver_run(&a, &q, end_s + 1.0, 1 << 30);
    assert_int_equal(whole.count, parts.count);
    for (int i = 0; i < whole.count; i++)
        assert_true(fabs(whole.clocks[i] - parts.clocks[i]) <= 1.0 && whole.dirs[i] == parts.dirs[i]);
    segq_deinit(&q);
}

/* Clocks of parts of any length and bend: the position is reached there to within half a tick, whole groups write no
 * further than they say, and every variant gives the same bits. */
static void test_crossings(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED + 9);
    crossings_fn *fns[CROSSINGS_FNS_MAX];
    const int variants = crossings_all(fns);
    for (int round = 0; round < 5000; round++) {
        const int n = 1 + (int)rng_below(&rng, 40);
        const double bends[] = {0.0, rng_range(&rng, -1e-3, 1e-3), rng_range(&rng, -500.0, 500.0)};
        struct crossings p = {.first = rng_range(&rng, 0.0, 0.0125),
                              .step = 0.0125,
                              .v = rng_range(&rng, 30.0, 300.0),
                              .h = bends[rng_below(&rng, 3)],
                              .hz = HZ,
                              .clock = floor(rng_range(&rng, 0.0, 1e12)),
                              .ticks_max = 1e9};
        double first[64] = {0};
        for (int v = 0; v < variants; v++) {
            double clocks[64] = {0};
            clocks[n + CROSSINGS_GROUP - 1] = -1.0;
            fns[v](clocks, n, &p);
            assert_true(clocks[n + CROSSINGS_GROUP - 1] == -1.0);
            if (v == 0)
                memcpy(first, clocks, sizeof first);
            assert_memory_equal(clocks, first, (size_t)n * sizeof *first);
        }
        for (int k = 0; k < n; k++) {
            const double u = (first[k] - p.clock) / HZ, x = (p.v + p.h * u) * u, speed = p.v + 2.0 * p.h * u;
            assert_true(floor(first[k]) == first[k]);
            assert_true(fabs(x - (p.first + k * p.step)) <= 0.51 * speed / HZ);
        }
    }
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),   cmocka_unit_test(test_corexy_shaped), cmocka_unit_test(test_delta),
        cmocka_unit_test(test_advance), cmocka_unit_test(test_batches), cmocka_unit_test(test_crossings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
