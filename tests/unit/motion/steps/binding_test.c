/* Random life of steppers that are bound, re-bound, re-filtered and detached while their queues move: clocks strictly
 * rise, steps are what the queue asks for, nothing jumps, nothing is emitted before its fence. */
#include "motion/steps/binding.h"

#include "motion/steps/stepgen_internal.h"
#include "tests/unit/motion/steps/steps_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define SEED       2026
#define OPERATIONS 300000
#define HZ         16e6
#define QUEUES     3
#define STEP_MM    0.01

struct world {
    struct rng rng;
    struct segq queue[QUEUES];
    double pos[QUEUES][4];
    double now_s; /* everything before it is decided */
    struct stepgen *sg;
    int bound; /* queue, -1 none */
    struct binding binding;
    uint64_t last_clock;
    double fence_s, last_gap;
    int64_t steps;
    int refused, made;
};

/* Move the world's time on: queues that move must be known ahead of it. */
static void run_to(struct world *w, double until_s)
{
    if (until_s <= w->now_s)
        return;
    do {
        const struct stepgen_goal goal = stepgen_make_goal(w->sg, until_s, (uint64_t)(until_s * HZ));
        const enum err err = stepgen_run(w->sg, &goal);
        if (err != OK)
            fail_msg("%s", stepgen_fault(w->sg));
        size_t count;
        const struct stepmsg *out = stepgen_take_output(w->sg, &count);
        for (size_t i = 0; i < count; i++) {
            if (out[i].kind != STEPMSG_QUEUE)
                continue;
            /* no jump: 2000 mm/s is beyond what moves and pressure advance make here; half the interval may be early */
            assert_true(out[i].first_clock >= w->last_clock + (uint64_t)(0.45 * STEP_MM / 2000.0 * HZ));
            assert_true((double)out[i].first_clock / HZ >= w->fence_s - 1e-6 - STEP_MAX_ERROR_S || w->last_clock == 0 ||
                        (double)out[i].first_clock / HZ < w->fence_s);
            w->last_clock = out[i].last_clock;
            w->steps += out[i].dir ? out[i].count : -(int64_t)out[i].count;
        }
    } while (stepgen_solved_s(w->sg) < until_s);
    w->now_s = until_s;
    for (int i = 0; i < QUEUES; i++)
        segq_retire(&w->queue[i], until_s - 0.3);
}

/* At rest, the count is where the queue is, to half a step. */
static void check_position(struct world *w)
{
    if (w->bound < 0)
        return;
    double p;
    assert_true(filter_position(&w->binding.filter, &w->queue[w->bound], NULL, w->now_s, &p));
    assert_true(fabs(stepgen_position_mm(w->sg) - p) <= 0.5 * STEP_MM + 1e-7);
}

static void make_filter(struct world *w, struct binding *b)
{
    struct kin_func func;
    kin_func_linear(&func, 1.0, 0.0, 0.0);
    filter_init(&b->filter, &func);
    const uint64_t kind = rng_below(&w->rng, 3);
    if (kind == 1) {
        b->filter.smooth_s = rng_range(&w->rng, 0.005, 0.2);
        b->advance_k_s = rng_range(&w->rng, 0.01, 0.1);
    } else if (kind == 2) {
        assert_int_equal(shaper_init(&b->filter.shaper[0], rng_below(&w->rng, 2) ? "mzv" : "3hump_ei",
                                     rng_range(&w->rng, 20, 80), 0.1, NULL),
                         OK);
    }
}

static void operate(struct world *w)
{
    const int q = (int)rng_below(&w->rng, QUEUES);
    struct segq *queue = &w->queue[q];
    switch (rng_below(&w->rng, 8)) {
    case 0:
    case 1: { /* moves: they start after what the steppers have been told to look at */
        if (segq_room(queue) < 64) {
            run_to(w, queue->end_s + 0.2);
            if (segq_room(queue) < 64)
                break;
        }
        const double t = fmax(queue->end_s, w->now_s + 0.2 + rng_range(&w->rng, 0.0, 0.3));
        w->pos[q][1] = w->pos[q][2] = 0.0;
        rig_add_moves(&w->rng, queue, NULL, t, w->pos[q], 1 + (int)rng_below(&w->rng, 4), 2.0);
        break;
    }
    case 2: /* time passes */
        run_to(w, w->now_s + rng_range(&w->rng, 0.0, 0.1));
        break;
    case 3: /* to standstill */
        if (w->bound >= 0) {
            run_to(w, w->queue[w->bound].end_s + 0.3);
            check_position(w);
        }
        break;
    case 4: /* a binding that must be refused or right, whenever it is tried */
    case 5: {
        struct binding b = {.queue_name = "queue", .cookie = 7};
        const bool is_attached = rng_below(&w->rng, 5) != 0;
        if (is_attached) {
            b.queue = queue;
            make_filter(w, &b);
        }
        const bool is_patient = rng_below(&w->rng, 2);
        double fence_s = w->now_s;
        if (is_patient) {
            fence_s = binding_earliest_s(w->sg, &b, w->now_s);
            run_to(w, fence_s);
        }
        struct err_info info = {""};
        const enum err err = binding_make(w->sg, &b, fence_s, &info);
        assert_true(err == OK || err == ERR_STATE);
        if (is_patient)
            assert_int_equal(err, OK);
        if (err != OK) {
            assert_true(info.text[0] != '\0');
            w->refused++;
            break;
        }
        w->made++;
        w->bound = is_attached ? q : -1;
        w->binding = b;
        w->fence_s = fence_s;
        double before_s, after_s;
        binding_margin_s(w->sg, &b, &before_s, &after_s);
        check_position(w);
        break;
    }
    case 6: /* pressure advance for what comes */
        if (w->bound >= 0 && w->binding.filter.smooth_s > 0.0)
            stepgen_set_advance(w->sg, fmax(w->queue[w->bound].end_s, w->now_s + 0.2), rng_range(&w->rng, 0.01, 0.1));
        break;
    case 7: /* stop: the future is cut off behind what is decided, braking is a new short move */
        if (queue->end_s > w->now_s + 0.25) {
            double p[3], v[3];
            const double cut_s = w->now_s + 0.2 + rng_range(&w->rng, 0.0, 0.05);
            segq_position(queue, cut_s, p, v);
            segq_cut(queue, cut_s);
            const double brake_s = fabs(v[0]) / 5000.0;
            if (brake_s > 1e-6)
                segq_append(queue, cut_s, 0.0, 0.0, brake_s, p, (const double[3]){v[0] > 0 ? 1.0 : -1.0, 0, 0},
                            fabs(v[0]), fabs(v[0]), 5000.0, 0, 0);
            w->pos[q][0] = queue->end_mm[0];
            w->pos[q][1] = queue->end_mm[1];
            w->pos[q][2] = queue->end_mm[2];
        }
        break;
    }
}

static void test_random_life(void **state)
{
    (void)state;
    const char *seed_text = getenv("LOCKSTEP_TEST_SEED"), *count_text = getenv("LOCKSTEP_TEST_OPERATIONS");
    const uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : SEED;
    const long operations = count_text ? strtol(count_text, NULL, 10) : OPERATIONS;
    print_message("seed %llu, %ld operations\n", (unsigned long long)seed, operations);
    static struct world w;
    memset(&w, 0, sizeof w);
    rng_init(&w.rng, seed);
    for (int i = 0; i < QUEUES; i++)
        segq_init(&w.queue[i], 4096);
    const struct stepgen_config config = {.name = "gear", .step_mm = STEP_MM, .clock_hz = HZ, .check_every = 1};
    w.sg = stepgen_create(&config);
    w.bound = -1;
    for (long i = 0; i < operations; i++)
        operate(&w);
    assert_true(w.made > 100 && w.refused > 100);
    stepgen_destroy(w.sg);
    for (int i = 0; i < QUEUES; i++)
        segq_deinit(&w.queue[i]);
}

/* The smooth time grows from 20 to 80 ms. A filter that looks back must wait until its tail is clear of the motion; one that
 * begins at the fence is bound as soon as the old one is through, and the motor goes on from where the queue rests. */
static void test_longer_filter(void **state)
{
    (void)state;
    struct segq q;
    segq_init(&q, 64);
    const struct stepgen_config config = {.name = "gear", .step_mm = STEP_MM, .clock_hz = HZ, .check_every = 1};
    struct stepgen *sg = stepgen_create(&config);
    struct kin_func func;
    kin_func_linear(&func, 1.0, 0.0, 0.0);
    struct binding b = {.queue = &q, .queue_name = "q", .advance_k_s = 0.05};
    filter_init(&b.filter, &func);
    b.filter.smooth_s = 0.020;
    struct err_info info = {""};
    assert_int_equal(binding_make(sg, &b, 0.5, &info), OK);
    segq_append(&q, 1.0, 0.01, 0.1, 0.01, (const double[3]){0, 0, 0}, (const double[3]){1, 0, 0}, 0.0, 10.0, 1000.0,
                SEG_ADVANCE, 0); /* ends at 1.12 s */
    struct binding longer = b;
    longer.filter.smooth_s = 0.080;
    assert_true(fabs(binding_earliest_s(sg, &longer, 1.0) - 1.16) < 1e-9);
    longer.filter.from_s = INFINITY;
    const double fence_s = binding_earliest_s(sg, &longer, 1.0);
    assert_true(fabs(fence_s - 1.13) < 1e-9); /* what the old one still sees */
    stepgen_destroy(sg);
    segq_deinit(&q);
    /* Steps: the position at the fence is that of the queue, and a filter that begins there sees it at rest. */
    struct filter fresh = longer.filter;
    fresh.from_s = 1.13;
    segq_init(&q, 64);
    segq_append(&q, 1.0, 0.01, 0.1, 0.01, (const double[3]){0, 0, 0}, (const double[3]){1, 0, 0}, 0.0, 10.0, 1000.0,
                SEG_ADVANCE, 0);
    const struct advance_list advance = {.at = {{0.0, 0.05}}, .count = 1};
    double pos_mm = 0.0, vel_mm_s = 1.0;
    filter_smoothed(&fresh, &q, &advance, 1.13, &pos_mm, &vel_mm_s);
    assert_true(fabs(pos_mm - 1.1) < 1e-9 && fabs(vel_mm_s) < 1e-9);
    fresh.from_s = -INFINITY; /* the one that looks back would have jumped there */
    filter_smoothed(&fresh, &q, &advance, 1.13, &pos_mm, &vel_mm_s);
    assert_true(fabs(pos_mm - 1.1) > STEP_MM);
    segq_deinit(&q);
}

static void test_refusals(void **state)
{
    (void)state;
    struct segq a, b;
    segq_init(&a, 64);
    segq_init(&b, 64);
    const struct stepgen_config config = {.name = "gear", .step_mm = STEP_MM, .clock_hz = HZ};
    struct stepgen *sg = stepgen_create(&config);
    struct binding to = {.queue = &a, .queue_name = "extruder"};
    struct kin_func func;
    kin_func_linear(&func, 1.0, 0.0, 0.0);
    filter_init(&to.filter, &func);
    to.filter.smooth_s = 0.04;
    struct err_info info;
    segq_append(&a, 1.0, 0.0, 0.1, 0.0, (const double[3]){0}, (const double[3]){1, 0, 0}, 50, 50, 1000, 0, 0);
    assert_int_equal(binding_make(sg, &to, 0.99, &info), ERR_STATE); /* its window reaches into the move */
    assert_non_null(strstr(info.text, "extruder moves within"));
    assert_int_equal(binding_make(sg, &to, 0.97, &info), OK);
    struct stepgen_goal goal = stepgen_make_goal(sg, 1.5, 0);
    assert_int_equal(stepgen_run(sg, &goal), OK);
    to.queue = &b;
    assert_int_equal(binding_make(sg, &to, 1.4, &info), ERR_STATE); /* steps are made beyond */
    assert_non_null(strstr(info.text, "steps are made up to"));
    assert_int_equal(binding_make(sg, &to, 1.6, &info), ERR_STATE); /* steps are missing up to there */
    assert_int_equal(binding_make(sg, &to, 1.5, &info), OK);
    assert_true(stepgen_position_mm(sg) == 0.0 && stepgen_steps(sg) == 500);
    char text[256];
    binding_describe(sg, text, sizeof text);
    assert_non_null(strstr(text, "gear follows extruder since 1.500000 s"));
    stepgen_destroy(sg);
    segq_deinit(&a);
    segq_deinit(&b);
}

/* ------------------------------------------------------------------------------------------- the seed failure */

struct clocks {
    double at[20000];
    int count;
};

static void take_clocks(void *ctx, int dir, const double *clocks, int count, bool is_committed)
{
    (void)dir;
    (void)is_committed;
    struct clocks *c = ctx;
    for (int i = 0; i < count && c->count < (int)(sizeof c->at / sizeof c->at[0]); i++)
        c->at[c->count++] = clocks[i];
}

static bool are_rising(const struct clocks *c)
{
    for (int i = 1; i < c->count; i++)
        if (c->at[i] <= c->at[i - 1])
            return false;
    return true;
}

static void filter_x(struct filter *f, double smooth_s)
{
    struct kin_func func;
    kin_func_linear(&func, 1.0, 0.0, 0.0);
    filter_init(f, &func);
    f->smooth_s = smooth_s;
}

/* Loading with the gear's own queue, 1.0 to 1.2 s; printing with the extruder's from 1.1 s on. */
static void load_and_print(struct segq *gear, struct segq *extruder)
{
    segq_init(gear, 64);
    segq_init(extruder, 64);
    segq_append(gear, 1.0, 0.0, 0.2, 0.0, (const double[3]){0}, (const double[3]){1, 0, 0}, 100, 100, 1000, 0, 0);
    segq_append(extruder, 1.1, 0.0, 0.4, 0.0, (const double[3]){0}, (const double[3]){1, 0, 0}, 40, 40, 1000, SEG_ADVANCE, 0);
}

/* What ended prints: a gear stepper is moved to the extruder's queue by itself. The step solver then looks at the new queue
 * from where that queue's windows stand, in the middle of what the stepper has made from the old one: clocks go back. */
static void test_seed_failure(void **state)
{
    (void)state;
    static struct clocks c;
    struct segq gear, extruder;
    load_and_print(&gear, &extruder);
    struct filter own, advanced;
    filter_x(&own, 0.0);
    filter_x(&advanced, 0.04);
    struct solver solver;
    solver_init(&solver, STEP_MM, HZ, take_clocks, &c);
    c.count = 0;
    solver_bind(&solver, &own, 0.0, 0.0);
    solver_set_position(&solver, 0.0);
    while (solver.t_s < 1.2)
        solver_run(&solver, &gear, 1.2, 1000);
    assert_int_equal(c.count, 2000);
    assert_true(are_rising(&c));
    /* a stale scan window: the extruder's queue was last flushed for its other steppers up to 1.08 s */
    solver_bind(&solver, &advanced, 0.05, 1.08);
    solver_set_position(&solver, 0.0);
    while (solver.t_s < 1.4)
        solver_run(&solver, &extruder, 1.4, 1000);
    assert_true(c.count > 2000);
    assert_false(are_rising(&c));
    assert_true(c.at[2000] < c.at[1999]);
    segq_deinit(&gear);
    segq_deinit(&extruder);
}

/* The same with the transaction, tried at any time: refused, or the clocks rise. It can be made when both rest, behind all
 * windows, and not before. */
static void test_seed_failure_is_excluded(void **state)
{
    (void)state;
    int made = 0, refused = 0;
    for (int u = 0; u < 160; u++) {
        for (int f = 0; f < 160; f++) {
            const double until_s = 0.9013 + 0.005 * u, fence_s = 0.9013 + 0.005 * f;
            struct segq gear, extruder;
            load_and_print(&gear, &extruder);
            const struct stepgen_config config = {.name = "gear", .step_mm = STEP_MM, .clock_hz = HZ, .check_every = 1};
            struct stepgen *sg = stepgen_create(&config);
            struct binding to = {.queue = &gear, .queue_name = "gear"};
            filter_x(&to.filter, 0.0);
            struct err_info info;
            assert_int_equal(binding_make(sg, &to, 0.0, &info), OK);
            struct stepgen_goal goal = stepgen_make_goal(sg, until_s, UINT64_MAX / 4);
            assert_int_equal(stepgen_run(sg, &goal), OK);
            to = (struct binding){.queue = &extruder, .queue_name = "extruder", .advance_k_s = 0.05};
            filter_x(&to.filter, 0.04);
            const double earliest_s = binding_earliest_s(sg, &to, until_s);
            const enum err err = binding_make(sg, &to, fence_s, &info);
            /* the extruder rests from 1.5 s on; before 1.0 s nothing has moved yet */
            const bool is_possible = u == f && (fence_s >= 1.52 || fence_s <= 1.0);
            assert_int_equal(err, is_possible ? OK : ERR_STATE);
            assert_true(earliest_s >= until_s - 1e-12 && (earliest_s <= 1.0 + 1e-9 || earliest_s >= 1.52 - 1e-9));
            made += err == OK;
            refused += err != OK;
            if (err == OK) {
                goal = stepgen_make_goal(sg, 1.9, UINT64_MAX / 4);
                assert_int_equal(stepgen_run(sg, &goal), OK); /* the generator checks every clock */
            }
            stepgen_destroy(sg);
            segq_deinit(&gear);
            segq_deinit(&extruder);
        }
    }
    print_message("%d attempts made, %d refused\n", made, refused);
    assert_true(made > 30 && refused > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_failure),
        cmocka_unit_test(test_seed_failure_is_excluded),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_longer_filter),
        cmocka_unit_test(test_random_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
