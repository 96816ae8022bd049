/* Steppers: every edge at its computed tick, against plain arithmetic; directions, positions, stops, faults. */
#include "tests/sim/bench_host.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define PULSE 100

struct edges {
    size_t count, room;
    uint64_t *clock;
    uint32_t *level;
};

static void on_edge(void *ctx, struct mcu_ticks clock, uint32_t level)
{
    struct edges *e = ctx;
    if (e->count == e->room) {
        e->room = e->room ? 2 * e->room : 1024;
        e->clock = realloc(e->clock, e->room * sizeof(*e->clock));
        e->level = realloc(e->level, e->room * sizeof(*e->level));
    }
    e->clock[e->count] = clock.t;
    e->level[e->count++] = level;
}

struct fixture {
    struct bench_host *h;
    struct edges step, dir;
};

static struct fixture start(int invert, const struct sim_board_options *options)
{
    struct fixture f = {.h = bench_create(options)};
    bench_run(f.h, 0);
    bench_send(f.h, "allocate_oids count=4 | config_trsync oid=3");
    bench_sendf(f.h, "config_stepper oid=0 step_pin=0 dir_pin=1 invert_step=%d step_pulse_ticks=%d", invert, PULSE);
    bench_sendf(f.h, "config_stepper oid=1 step_pin=2 dir_pin=3 invert_step=0 step_pulse_ticks=%d", PULSE);
    bench_send(f.h, "finalize_config crc=1");
    return f;
}

/* Only after configuration: the first level is not an edge. */
static void watch(struct fixture *f)
{
    sim_board_watch(f->h->board, 0, on_edge, &f->step);
    sim_board_watch(f->h->board, 1, on_edge, &f->dir);
}

static void finish(struct fixture *f)
{
    bench_destroy(f->h);
    free(f->step.clock);
    free(f->step.level);
    free(f->dir.clock);
    free(f->dir.level);
}

static long long position(struct fixture *f, unsigned oid)
{
    bench_sendf(f->h, "stepper_get_position oid=%u", oid);
    return bench_value(bench_find(f->h, "stepper_position"), "pos");
}

/* Random moves: intervals far above twice the pulse, so nothing is pushed back. The counter wraps on the way. */
static void random_moves(int invert, uint64_t seed)
{
    struct sim_board_options o = {.clock_hz = 50000000, .start_clock = (1ULL << 32) - 60000000};
    struct fixture f = start(invert, &o);
    struct rng rng;
    rng_init(&rng, seed);
    watch(&f);
    uint64_t base = sim_board_clock(f.h->board).t + 5000000;
    bench_sendf(f.h, "reset_step_clock oid=0 clock=%u", (uint32_t)base);
    uint64_t expected[60000];
    size_t count = 0;
    long long pos = 0;
    unsigned dir_changes = 0, dir = 0;
    uint64_t clock = base;
    for (int move = 0; move < 300; move++) {
        unsigned want = (unsigned)rng_below(&rng, 2);
        uint32_t interval = (uint32_t)(1000 + rng_below(&rng, 20000));
        unsigned n = (unsigned)(1 + rng_below(&rng, 150));
        int add = (int)rng_below(&rng, 401) - 200;
        if ((long long)interval + (long long)add * n < 500)
            add = 0;
        dir_changes += want != dir;
        dir = want;
        bench_sendf(f.h, "set_next_step_dir oid=0 dir=%u | queue_step oid=0 interval=%u count=%u add=%d", want,
                    interval, n, add);
        uint64_t gap = interval;
        for (unsigned k = 0; k < n; k++) {
            clock += gap;
            gap = (uint64_t)((int64_t)gap + add);
            expected[count++] = clock;
        }
        pos += want ? (long long)n : -(long long)n;
        while (clock > sim_board_clock(f.h->board).t + 20000000)
            bench_run(f.h, 0.01);
    }
    bench_run(f.h, 1);
    assert_string_equal(bench_shutdown(f.h), "");
    assert_int_equal(position(&f, 0), pos);
    assert_int_equal(f.dir.count, dir_changes);
    size_t per_step = invert < 0 ? 1 : 2;
    assert_int_equal(f.step.count, per_step * count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(f.step.clock[i * per_step], expected[i]);
        if (per_step == 2) {
            assert_int_equal(f.step.clock[2 * i + 1], expected[i] + PULSE);
            assert_int_equal(f.step.level[2 * i] != 0, invert == 0);
        }
    }
    finish(&f);
}

static void steps_are_exact(void **state)
{
    (void)state;
    uint64_t seed = 20261121;
    printf("seed=%llu\n", (unsigned long long)seed);
    for (int invert = -1; invert <= 1; invert++)
        random_moves(invert, seed++);
}

static void direction_changes_between_moves(void **state)
{
    (void)state;
    struct fixture f = start(0, NULL);
    watch(&f);
    uint32_t now = bench_clock(f.h);
    /* idle: the pin follows queue_step at once, not set_next_step_dir; only the value at queue_step counts */
    bench_sendf(f.h, "reset_step_clock oid=0 clock=%u | set_next_step_dir oid=0 dir=1", now);
    assert_int_equal(f.dir.count, 0);
    bench_send(f.h, "queue_step oid=0 interval=100000 count=1 add=0");
    assert_int_equal(f.dir.count, 1);
    assert_int_equal((uint32_t)f.dir.clock[0], now);
    /* running: right after the last step's pulse, and the first step of the new move comes no sooner than a pulse later
     */
    bench_send(f.h, "set_next_step_dir oid=0 dir=0 | set_next_step_dir oid=0 dir=1 | set_next_step_dir oid=0 dir=0");
    bench_send(f.h, "queue_step oid=0 interval=150 count=1 add=0");
    bench_run(f.h, 0.01);
    assert_int_equal(f.dir.count, 2);
    assert_int_equal((uint32_t)f.dir.clock[1], now + 100000 + PULSE);
    assert_int_equal((uint32_t)f.step.clock[2], now + 100000 + 2 * PULSE);
    assert_int_equal(position(&f, 0), 0);
    finish(&f);
}

static void trigger_stops_and_swallows(void **state)
{
    (void)state;
    struct fixture f = start(0, NULL);
    watch(&f);
    uint32_t now = bench_clock(f.h);
    bench_send(f.h, "trsync_start oid=3 report_clock=0 report_ticks=0 expire_reason=4");
    bench_send(f.h, "stepper_stop_on_trigger oid=0 trsync_oid=3");
    bench_sendf(f.h, "reset_step_clock oid=0 clock=%u | set_next_step_dir oid=0 dir=1", now);
    bench_send(f.h,
               "queue_step oid=0 interval=64000 count=1000 add=0 | queue_step oid=0 interval=64000 count=1000 add=0");
    bench_run(f.h, 0.1005);
    assert_int_equal(position(&f, 0), 100); /* those of a move under way that have been taken */
    bench_send(f.h, "trsync_trigger oid=3 reason=2");
    bench_run(f.h, 1);
    assert_int_equal(position(&f, 0), 100);
    assert_int_equal(sim_board_level(f.h->board, 1), 0);
    /* swallowed until the clock is reset, and then without a direction they count down */
    for (int i = 0; i < 2000; i++)
        bench_send(f.h, "queue_step oid=0 interval=1000 count=5 add=0");
    assert_int_equal(position(&f, 0), 100);
    bench_sendf(f.h, "reset_step_clock oid=0 clock=%u", bench_clock(f.h));
    bench_send(f.h, "queue_step oid=0 interval=64000 count=5 add=0");
    bench_run(f.h, 0.1);
    assert_int_equal(position(&f, 0), 95);
    assert_string_equal(bench_shutdown(f.h), "");
    finish(&f);
}

static void idle_stepper_keeps_its_base(void **state)
{
    (void)state;
    struct fixture f = start(0, NULL);
    watch(&f);
    uint32_t now = bench_clock(f.h);
    bench_sendf(f.h, "queue_step oid=0 interval=%u count=1 add=0", now + 64000); /* the base after boot is 0 */
    bench_run(f.h, 0.5);
    bench_send(f.h, "queue_step oid=0 interval=64000000 count=2 add=0");
    bench_run(f.h, 2.5);
    assert_int_equal(f.step.count, 6);
    assert_int_equal((uint32_t)f.step.clock[2], now + 64000 + 64000000);
    assert_int_equal((uint32_t)f.step.clock[4], now + 64000 + 128000000);
    finish(&f);
}

static void faults(void **state)
{
    (void)state;
    struct fixture f = start(0, NULL);
    bench_send(f.h, "queue_step oid=0 interval=1 count=0 add=0");
    assert_string_equal(bench_shutdown(f.h), "Invalid count parameter");
    bench_send(f.h, "clear_shutdown");
    bench_send(f.h, "reset_step_clock oid=0 clock=0");
    bench_sendf(f.h, "queue_step oid=0 interval=%u count=1 add=0", bench_clock(f.h) - 1);
    assert_string_equal(bench_shutdown(f.h), "Timer too close");
    bench_send(f.h, "clear_shutdown | reset_step_clock oid=0 clock=0");
    bench_sendf(f.h, "queue_step oid=0 interval=%u count=1 add=0", bench_clock(f.h) + 100000);
    bench_send(f.h, "reset_step_clock oid=0 clock=0");
    assert_string_equal(bench_shutdown(f.h), "Can't reset time when stepper active");
    /* steps faster than their pulses are pushed back; more than a millisecond of that is a fault at the next move */
    bench_send(f.h, "clear_shutdown");
    bench_sendf(f.h, "reset_step_clock oid=0 clock=%u", bench_clock(f.h) + 100000);
    for (int i = 0; i < 20; i++)
        bench_send(f.h, "queue_step oid=0 interval=20 count=100 add=0");
    bench_run(f.h, 0.1);
    assert_string_equal(bench_shutdown(f.h), "Stepper too far in past");
    bench_send(f.h, "clear_shutdown");
    bench_send(f.h, "reset_step_clock oid=0 clock=0");
    bench_sendf(f.h, "queue_step oid=0 interval=%u count=1 add=0", bench_clock(f.h) + 64000000);
    for (int i = 0; i < 1025 && !strcmp(bench_shutdown(f.h), "Stepper too far in past"); i++)
        bench_send(f.h, "queue_step oid=0 interval=1000 count=1 add=0");
    assert_string_equal(bench_shutdown(f.h), "Move queue overflow");
    finish(&f);
}

/* A slow processor: what the steps leave no time for is noticed when the next move begins. */
static void overload_is_noticed(void **state)
{
    (void)state;
    struct sim_board_options o = {.clock_hz = 16000000, .timer_cost_ticks = 300};
    struct fixture f = start(-1, &o);
    bench_sendf(f.h, "reset_step_clock oid=0 clock=%u", bench_clock(f.h) + 100000);
    bench_send(f.h, "queue_step oid=0 interval=200 count=2000 add=0 | queue_step oid=0 interval=200 count=2000 add=0");
    bench_run(f.h, 0.5);
    assert_string_equal(bench_shutdown(f.h), "Stepper too far in past");
    finish(&f);
}

static void shutdown_stops_at_once(void **state)
{
    (void)state;
    struct fixture f = start(1, NULL);
    watch(&f);
    bench_sendf(f.h, "reset_step_clock oid=0 clock=%u | set_next_step_dir oid=0 dir=1", bench_clock(f.h));
    bench_send(f.h, "queue_step oid=0 interval=6400 count=1000 add=0");
    bench_run(f.h, 0.05);
    bench_send(f.h, "emergency_stop");
    size_t edges = f.step.count;
    bench_run(f.h, 1);
    assert_int_equal(f.step.count, edges);
    assert_int_equal(sim_board_level(f.h->board, 0), SIM_PWM_MAX); /* inverted: idle is high */
    bench_send(f.h, "clear_shutdown");
    assert_int_equal(position(&f, 0), 500);
    finish(&f);
}

static void a_million_steps_are_cheap(void **state)
{
    (void)state;
    struct fixture f = start(0, NULL);
    bench_sendf(f.h, "reset_step_clock oid=0 clock=%u", bench_clock(f.h));
    struct host_ns before = clock_monotonic();
    for (int i = 0; i < 20; i++) {
        bench_send(f.h, "queue_step oid=0 interval=640 count=50000 add=0");
        bench_run(f.h, 0.4);
    }
    bench_run(f.h, 3);
    double took_s = host_ns_diff_s(clock_monotonic(), before);
    assert_int_equal(position(&f, 0), -1000000);
    struct sim_board_stats stats;
    sim_board_get_stats(f.h->board, &stats);
    printf("1000000 steps: %.3f s, %llu slices, %llu timer calls\n", took_s, (unsigned long long)stats.slices,
           (unsigned long long)stats.timer_calls);
    assert_true(stats.slices < 2000);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_exact),
        cmocka_unit_test(direction_changes_between_moves),
        cmocka_unit_test(trigger_stops_and_swallows),
        cmocka_unit_test(idle_stepper_keeps_its_base),
        cmocka_unit_test(faults),
        cmocka_unit_test(overload_is_noticed),
        cmocka_unit_test(shutdown_stops_at_once),
        cmocka_unit_test(a_million_steps_are_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
