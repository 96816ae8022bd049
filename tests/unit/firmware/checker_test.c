/* The outside checker against the simulated machine: the same positions, and nothing wrong goes unnoticed. */
#include "firmware/plant/plant.h"
#include "tests/sim/bench_host.h"
#include "tests/sim/checker.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <math.h>

struct fixture {
    struct bench_host *h;
    struct checker *checker;
    struct plant *plant;
};

static struct fixture start(void)
{
    struct sim_board_options o = {.start_clock = (1ULL << 32) - 3000000};
    struct fixture f = {.h = bench_create(&o)};
    const char *json = sim_board_dictionary(f.h->board);
    f.checker = checker_create(json, strlen(json));
    sim_board_tap(f.h->board, checker_feed, f.checker);
    struct plant_motor motor = {.name = "m", .step = {.name = "PA0"}, .dir = {.name = "PA1"}, .mm_per_step = 1};
    struct plant_endstop stop = {.name = "e", .pin = {.name = "PA2"}, .of = PLANT_ENDSTOP_MOTOR, .at_mm = -500};
    struct plant_desc desc = {.boards = &f.h->board,
                              .board_count = 1,
                              .motors = &motor,
                              .motor_count = 1,
                              .endstops = &stop,
                              .endstop_count = 1};
    assert_int_equal(plant_create(&f.plant, &desc, NULL), OK);
    bench_run(f.h, 0);
    bench_send(f.h,
               "allocate_oids count=4 | config_stepper oid=0 step_pin=0 dir_pin=1 invert_step=0 step_pulse_ticks=100");
    bench_send(f.h, "config_digital_out oid=1 pin=4 value=0 default_value=0 max_duration=64000000");
    bench_send(f.h, "config_trsync oid=2 | config_endstop oid=3 pin=2 pull_up=0 | finalize_config crc=1");
    return f;
}

static void finish(struct fixture *f)
{
    bench_destroy(f->h);
    plant_destroy(f->plant);
    checker_destroy(f->checker);
}

static void knows_every_position(void **state)
{
    (void)state;
    uint64_t seed = 3;
    printf("seed=%llu\n", (unsigned long long)seed);
    struct rng rng;
    rng_init(&rng, seed);
    struct fixture f = start();
    bench_sendf(f.h, "reset_step_clock oid=0 clock=%u", bench_clock(f.h) + 1000000);
    for (int i = 0; i < 400; i++) {
        bench_sendf(f.h, "set_next_step_dir oid=0 dir=%u | queue_step oid=0 interval=%u count=%u add=%d",
                    (unsigned)rng_below(&rng, 2), (unsigned)(2000 + rng_below(&rng, 9000)),
                    (unsigned)(1 + rng_below(&rng, 100)), (int)rng_below(&rng, 21) - 10);
        while (checker_last_step(f.checker, 0) > sim_board_clock(f.h->board).t + 3000000) {
            bench_run(f.h, 0.00173);
            assert_int_equal(checker_position(f.checker, 0, sim_board_clock(f.h->board).t),
                             plant_motor_steps(f.plant, 0));
        }
    }
    bench_run(f.h, 1);
    bench_send(f.h, "stepper_get_position oid=0");
    assert_int_equal(checker_violation_count(f.checker), 0);
    assert_int_equal(checker_position(f.checker, 0, UINT64_MAX), plant_motor_steps(f.plant, 0));
    double peak = checker_peak_rate(f.checker, 0, 1);
    assert_true(peak > 64e6 / 2100 && peak < 64e6 / 900);
    assert_true(checker_totals(f.checker).least_lead_s > 0);
    finish(&f);
}

static void follows_a_homing_stop(void **state)
{
    (void)state;
    struct fixture f = start();
    uint32_t t0 = bench_clock(f.h) + 6400000;
    bench_sendf(f.h, "reset_step_clock oid=0 clock=%u", t0);
    bench_sendf(f.h, "trsync_start oid=2 report_clock=%u report_ticks=640000 expire_reason=4", t0);
    bench_send(f.h, "stepper_stop_on_trigger oid=0 trsync_oid=2");
    bench_sendf(f.h,
                "endstop_home oid=3 clock=%u sample_ticks=960 sample_count=4 rest_ticks=16000 pin_value=1"
                " trsync_oid=2 trigger_reason=1 | queue_step oid=0 interval=16000 count=2000 add=0",
                t0);
    bench_run(f.h, 1);
    bench_send(f.h, "trsync_trigger oid=2 reason=2 | stepper_get_position oid=0");
    int64_t at = plant_motor_steps(f.plant, 0); /* a sample and a step fall on the same tick: either may be first */
    assert_true(at == -500 || at == -501);
    assert_int_equal(checker_position(f.checker, 0, sim_board_clock(f.h->board).t), at);
    for (size_t i = 0; i < checker_violation_count(f.checker); i++)
        print_message("%s\n", checker_violation(f.checker, i));
    assert_int_equal(checker_violation_count(f.checker), 0);
    finish(&f);
}

static void notices_what_is_wrong(void **state)
{
    (void)state;
    struct fixture f = start();
    bench_sendf(f.h, "queue_digital_out oid=1 clock=%u on_ticks=1", bench_clock(f.h) + 1000);
    bench_run(f.h, 0.01);
    assert_false(checker_heaters_are_off(f.checker, sim_board_clock(f.h->board).t));
    assert_int_equal(checker_output(f.checker, 4, sim_board_clock(f.h->board).t, -1), 1);
    assert_int_equal(checker_violation_count(f.checker), 0);
    bench_sendf(f.h, "queue_digital_out oid=1 clock=%u on_ticks=0", bench_clock(f.h) - 1000);
    assert_true(checker_violation_count(f.checker) >= 2); /* late, and the board shut down */
    assert_non_null(strstr(checker_violation(f.checker, 0), "late"));
    assert_non_null(strstr(checker_violation(f.checker, 1), "Timer too close"));
    assert_true(checker_heaters_are_off(f.checker, sim_board_clock(f.h->board).t));
    assert_true(checker_totals(f.checker).is_shut_down);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_every_position),
        cmocka_unit_test(follows_a_homing_stop),
        cmocka_unit_test(notices_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
