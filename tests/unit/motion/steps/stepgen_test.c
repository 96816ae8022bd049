#include "motion/steps/stepgen.h"

#include "base/mem.h"
#include "motion/steps/binding.h"
#include "motion/steps/stepgen_internal.h"
#include "motion/steps/stepmerge.h"
#include "motion/steps/stepteam.h"
#include "tests/unit/motion/steps/steps_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#define SEED 31
#define HZ   180e6

static struct stepgen *make(const char *name, double step_mm, bool is_inverted)
{
    const struct stepgen_config config = {
        .name = name, .step_mm = step_mm, .is_dir_inverted = is_inverted, .clock_hz = HZ, .check_every = 1};
    return stepgen_create(&config);
}

static struct binding along(struct segq *q, double cx, double cy)
{
    struct binding b = {.queue = q, .queue_name = "toolhead"};
    struct kin_func func;
    kin_func_linear(&func, cx, cy, 0.0);
    filter_init(&b.filter, &func);
    return b;
}

static void bind(struct stepgen *sg, const struct binding *b, double t_s)
{
    struct err_info info = {""};
    assert_int_equal(binding_make(sg, b, t_s, &info), OK);
}

/* Run to until_s and send everything; returns the sum of steps that came out. */
static int64_t run_all(struct stepgen *sg, double until_s, uint64_t *last_clock)
{
    int64_t sum = 0;
    do {
        const struct stepgen_goal goal = stepgen_make_goal(sg, until_s, UINT64_MAX / 4);
        assert_int_equal(stepgen_run(sg, &goal), OK);
        size_t count;
        const struct stepmsg *out = stepgen_take_output(sg, &count);
        for (size_t i = 0; i < count; i++) {
            assert_true(out[i].last_clock >= *last_clock);
            *last_clock = out[i].last_clock;
            sum += out[i].dir ? out[i].count : -(int64_t)out[i].count;
        }
    } while (stepgen_solved_s(sg) < until_s);
    return sum;
}

static void add_line(struct segq *q, double t_s, double from_mm, double to_mm, double speed)
{
    const double length = fabs(to_mm - from_mm), r[3] = {to_mm > from_mm ? 1.0 : -1.0, 0, 0};
    segq_append(q, t_s, 0.0, length / speed, 0.0, (const double[3]){from_mm, 0, 0}, r, speed, speed, 1000.0, 0, 1);
}

/* A step and back within 0.75 ms that never reached its place is not made; one that did, or took longer, is. */
static void test_glitch(void **state)
{
    (void)state;
    const struct {
        double height_mm, speed;
        int64_t steps;
    } cases[] = {{0.0070, 10.0, 0}, {0.0130, 100.0, 2}, {0.0070, 1.0, 2}};
    for (size_t i = 0; i < 3; i++) {
        struct segq q;
        segq_init(&q, 64);
        struct stepgen *sg = make("x", 0.0125, false);
        const struct binding b = along(&q, 1, 0);
        bind(sg, &b, 0.0);
        add_line(&q, 1.0, 0.0, cases[i].height_mm, cases[i].speed);
        add_line(&q, q.end_s, cases[i].height_mm, -0.001, cases[i].speed);
        uint64_t last = 0;
        run_all(sg, 2.0, &last);
        struct stepgen_counters counters;
        stepgen_get_counters(sg, &counters);
        assert_int_equal(counters.steps, cases[i].steps);
        assert_int_equal(counters.glitches, cases[i].steps ? 0 : 1);
        assert_int_equal(stepgen_steps(sg), 0);
        stepgen_destroy(sg);
        segq_deinit(&q);
    }
}

/* The sum of what is sent is the position asked for, to half a step; also with an inverted direction. */
static void test_position(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED);
    for (int round = 0; round < 40; round++) {
        struct segq q;
        segq_init(&q, 4096);
        const bool is_inverted = round % 2;
        struct stepgen *sg = make("x", 0.0125, is_inverted);
        const struct binding b = along(&q, 1, -1);
        bind(sg, &b, 0.0);
        double pos[4] = {0}, end_s = 0.5;
        uint64_t last = 0;
        int64_t sum = 0;
        for (int i = 0; i < 5; i++) {
            end_s = rig_add_moves(&rng, &q, NULL, end_s, pos, 20, 5.0) + 0.05;
            sum += run_all(sg, end_s, &last);
            const int64_t steps = is_inverted ? -sum : sum;
            assert_int_equal(steps, stepgen_steps(sg));
            assert_true(fabs((double)steps * 0.0125 - (pos[0] - pos[1])) <= 0.00626);
            assert_int_equal(stepgen_steps_at(sg, last), steps);
            assert_true(fabs(stepgen_mm_of_steps(sg, steps) - stepgen_position_mm(sg)) < 1e-9);
        }
        stepgen_destroy(sg);
        segq_deinit(&q);
    }
}

static void test_history(void **state)
{
    (void)state;
    struct segq q;
    segq_init(&q, 64);
    struct stepgen *sg = make("x", 0.0125, false);
    const struct binding b = along(&q, 1, 0);
    bind(sg, &b, 0.0);
    segq_append(&q, 1.0, 0.1, 0.1, 0.1, (const double[3]){0}, (const double[3]){1, 0, 0}, 0, 100, 1000, 0, 0);
    uint64_t last = 0;
    run_all(sg, 2.0, &last);
    for (double t = 0.9; t < 1.4; t += 0.003) {
        double p[3];
        segq_position(&q, t, p, NULL);
        const double steps = (double)stepgen_steps_at(sg, (uint64_t)(t * HZ));
        assert_true(fabs(steps * 0.0125 - p[0]) <= 0.0125);
    }
    stepgen_reset(sg, 77, last + 1000);
    assert_int_equal(stepgen_steps(sg), 77);
    stepgen_set_position(sg, 5.0);
    assert_true(stepgen_position_mm(sg) == 5.0 && stepgen_steps(sg) == 77);
    stepgen_set_step_mm(sg, 0.02, true);
    assert_true(stepgen_position_mm(sg) == 5.0 && stepgen_steps(sg) == 77);
    stepgen_destroy(sg);
    segq_deinit(&q);
}

/* Everything past a full output is kept for the next run. */
static void test_long_move(void **state)
{
    (void)state;
    struct segq q;
    segq_init(&q, 64);
    struct stepgen *sg = make("x", 0.0125, false);
    const struct binding b = along(&q, 1, 0);
    bind(sg, &b, 0.0);
    add_line(&q, 1.0, 0.0, 10000.0, 300.0); /* 10 m */
    uint64_t last = 0;
    assert_int_equal(run_all(sg, q.end_s + 1.0, &last), 800000);
    stepgen_destroy(sg);
    segq_deinit(&q);
}

/* What used to end as "stepcompress ... Invalid sequence": a stepper that is moved to another queue without the
 * transaction, so that its windows reach back over motion that was already made. The generator refuses to emit it. */
static void test_seed_failure(void **state)
{
    (void)state;
    struct segq toolhead, extruder;
    segq_init(&toolhead, 256);
    segq_init(&extruder, 256);
    struct stepgen *sg = make("gear", 0.01, false);
    struct binding b = along(&toolhead, 1, 0);
    b.queue_name = "gear_queue";
    bind(sg, &b, 0.0);
    add_line(&toolhead, 1.0, 0.0, 20.0, 100.0);
    uint64_t last = 0;
    assert_int_equal(run_all(sg, 1.3, &last), 2000);
    /* By hand: follow the other queue from a time before the last step. */
    struct binding to = along(&extruder, 1, 0);
    add_line(&extruder, 1.05, 0.0, 20.0, 50.0);
    sg->queue = &extruder;
    solver_bind(&sg->solver, &to.filter, 0.0, 1.0);
    solver_set_position(&sg->solver, 0.0);
    struct stepgen_goal goal = stepgen_make_goal(sg, 2.0, UINT64_MAX / 4);
    assert_int_equal(stepgen_run(sg, &goal), ERR_INVALID);
    size_t count;
    stepgen_take_output(sg, &count);
    assert_int_equal(count, 0);
    assert_non_null(strstr(stepgen_fault(sg), "stepper gear"));
    assert_non_null(strstr(stepgen_fault(sg), "gear_queue"));
    assert_int_equal(stepgen_run(sg, &goal), ERR_INVALID); /* it stays so until reset */
    stepgen_destroy(sg);
    segq_deinit(&toolhead);
    segq_deinit(&extruder);
}

/* Motion that the kinematics cannot follow, or faster than the stepper may go, is a fault, not silence. */
static void test_impossible(void **state)
{
    (void)state;
    struct segq q;
    segq_init(&q, 64);
    struct stepgen *sg = make("tower", 0.0125, false);
    struct binding b = {.queue = &q, .queue_name = "toolhead"};
    struct kin_func func;
    kin_func_delta(&func, 100.0, 0.0, 150.0);
    filter_init(&b.filter, &func);
    bind(sg, &b, 0.0);
    add_line(&q, 1.0, 0.0, -100.0, 100.0); /* the rod ends at x = -50 */
    const struct stepgen_goal goal = stepgen_make_goal(sg, 3.0, UINT64_MAX / 4);
    assert_int_equal(stepgen_run(sg, &goal), ERR_INVALID);
    assert_non_null(strstr(stepgen_fault(sg), "out of reach"));
    stepgen_destroy(sg);
    segq_deinit(&q);

    segq_init(&q, 64);
    const struct stepgen_config config = {
        .name = "x", .step_mm = 0.0125, .clock_hz = HZ, .max_speed_mm_s = 100.0, .check_every = 1};
    sg = stepgen_create(&config);
    b = along(&q, 1, 0);
    bind(sg, &b, 0.0);
    add_line(&q, 1.0, 0.0, 10.0, 99.0);
    add_line(&q, 2.0, 10.0, 20.0, 101.0);
    struct stepgen_goal slow = stepgen_make_goal(sg, 1.9, 0);
    assert_int_equal(stepgen_run(sg, &slow), OK);
    struct stepgen_goal fast = stepgen_make_goal(sg, 3.0, 0);
    assert_int_equal(stepgen_run(sg, &fast), ERR_INVALID);
    assert_non_null(strstr(stepgen_fault(sg), "faster than the stepper may move"));
    stepgen_destroy(sg);
    segq_deinit(&q);
}

/* The same records for any number of threads. */
static void test_threads(void **state)
{
    (void)state;
    struct stepmsg *first = NULL;
    size_t first_count = 0;
    for (unsigned threads = 1; threads <= 4; threads++) {
        struct rng rng;
        rng_init(&rng, SEED + 1);
        struct segq q;
        segq_init(&q, 4096);
        struct stepgen *sg[6];
        for (int i = 0; i < 6; i++) {
            sg[i] = make("s", 0.005 * (i + 1), i % 2);
            const struct binding b = along(&q, 1.0, i % 3 - 1.0);
            bind(sg[i], &b, 0.0);
        }
        struct stepteam *team = stepteam_create(threads);
        double pos[4] = {0}, end_s = 0.5;
        size_t total = 0;
        struct stepmsg *all = MEM_ARRAY(struct stepmsg, 100000);
        for (int batch = 0; batch < 20; batch++) {
            end_s = rig_add_moves(&rng, &q, NULL, end_s, pos, 10, 5.0);
            segq_retire(&q, end_s - 1.0);
            struct stepteam_job jobs[6];
            for (int i = 0; i < 6; i++)
                jobs[i] = (struct stepteam_job){sg[i], stepgen_make_goal(sg[i], end_s, (uint64_t)(end_s * HZ)), OK};
            stepteam_begin(team, jobs, 6);
            stepteam_finish(team);
            for (int i = 0; i < 6; i++) {
                assert_int_equal(jobs[i].result, OK);
                size_t count;
                const struct stepmsg *out = stepgen_take_output(sg[i], &count);
                assert_true(total + count < 100000);
                memcpy(all + total, out, count * sizeof *out);
                total += count;
            }
        }
        if (!first) {
            first = all;
            first_count = total;
        } else {
            assert_int_equal(total, first_count);
            for (size_t i = 0; i < total; i++)
                assert_true(all[i].last_clock == first[i].last_clock && all[i].interval == first[i].interval &&
                            all[i].add == first[i].add && all[i].count == first[i].count);
            mem_free(all);
        }
        stepteam_destroy(team);
        for (int i = 0; i < 6; i++)
            stepgen_destroy(sg[i]);
        segq_deinit(&q);
    }
    assert_true(first_count > 100);
    mem_free(first);
}

struct merged {
    uint64_t last_req, min_sum;
    int count;
    uint64_t min_clock[16];
};
static void take(void *ctx, const struct stepmsg *msg, uint64_t min_clock)
{
    struct merged *m = ctx;
    assert_true(msg->req_clock >= m->last_req);
    m->last_req = msg->req_clock;
    m->min_clock[m->count++] = min_clock;
}

static void test_merge(void **state)
{
    (void)state;
    struct stepmerge merge;
    stepmerge_init(&merge, 2);
    const struct stepmsg a[] = {{.req_clock = 10, .kind = STEPMSG_QUEUE}, {.req_clock = 30, .kind = STEPMSG_QUEUE}};
    const struct stepmsg b[] = {{.req_clock = 20, .kind = STEPMSG_QUEUE},
                                {.req_clock = 25, .kind = STEPMSG_DIR},
                                {.req_clock = 40, .kind = STEPMSG_QUEUE}};
    const struct stepmerge_input inputs[] = {{a, 2}, {b, 3}};
    struct merged m = {0};
    stepmerge_run(&merge, inputs, 2, take, &m);
    assert_int_equal(m.count, 5);
    const uint64_t expected[] = {0, 0, 10, 10, 20}; /* two slots: each free again when an earlier message starts */
    for (int i = 0; i < 5; i++)
        assert_int_equal(m.min_clock[i], expected[i]);
    assert_int_equal(stepmerge_take(&merge, 5), 30);
    assert_int_equal(stepmerge_take(&merge, 50), 5);
    stepmerge_deinit(&merge);
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_glitch),     cmocka_unit_test(test_position),     cmocka_unit_test(test_history),
        cmocka_unit_test(test_long_move),  cmocka_unit_test(test_seed_failure), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_impossible), cmocka_unit_test(test_merge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
