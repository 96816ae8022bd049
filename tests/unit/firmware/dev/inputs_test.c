/* Endstops with trsync, analog inputs, buttons, counters. */
#include "tests/sim/bench_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <math.h>

#define HZ 50000000u

struct input {
    uint64_t on_from; /* active from this tick on */
    uint32_t value;
};

static uint32_t level_from(void *ctx, struct mcu_ticks clock)
{
    const struct input *in = ctx;
    return clock.t >= in->on_from;
}

static uint32_t constant(void *ctx, struct mcu_ticks clock)
{
    (void)clock;
    return ((const struct input *)ctx)->value;
}

static struct bench_host *start(void)
{
    struct sim_board_options o = {.clock_hz = HZ, .start_clock = (1ULL << 32) - HZ / 2};
    struct bench_host *h = bench_create(&o);
    bench_run(h, 0);
    bench_send(h, "allocate_oids count=8");
    bench_send(h, "config_trsync oid=0 | config_endstop oid=1 pin=10 pull_up=1");
    bench_send(h, "config_stepper oid=2 step_pin=0 dir_pin=1 invert_step=0 step_pulse_ticks=100");
    bench_send(h, "config_analog_in oid=3 pin=20 | config_buttons oid=4 button_count=2");
    bench_send(h, "buttons_add oid=4 pos=0 pin=21 pull_up=0 | buttons_add oid=4 pos=1 pin=22 pull_up=0");
    bench_send(h, "config_counter oid=5 pin=23 pull_up=0 | finalize_config crc=1");
    bench_clear(h);
    return h;
}

/* --- homing --- */

static void begin_homing(struct bench_host *h, uint32_t t0)
{
    bench_sendf(h, "reset_step_clock oid=2 clock=%u", t0);
    bench_sendf(h, "trsync_start oid=0 report_clock=%u report_ticks=3750000 expire_reason=4", t0);
    bench_sendf(h, "stepper_stop_on_trigger oid=2 trsync_oid=0 | trsync_set_timeout oid=0 clock=%u", t0 + HZ / 4);
    bench_sendf(h,
                "endstop_home oid=1 clock=%u sample_ticks=750 sample_count=4 rest_ticks=12500 pin_value=1"
                " trsync_oid=0 trigger_reason=1",
                t0);
    bench_send(h, "queue_step oid=2 interval=12500 count=60000 add=0");
}

static void homing_stops_on_the_tick(void **state)
{
    (void)state;
    struct bench_host *h = start();
    uint32_t t0 = bench_clock(h) + HZ / 10;
    struct input in = {.on_from = sim_board_clock(h->board).t + HZ / 10 + 12500ull * 500 + 5};
    sim_board_set_input(h->board, 10, level_from, &in);
    begin_homing(h, t0);
    bench_run(h, 0.2);
    assert_int_equal(bench_value(bench_find(h, "trsync_state"), "can_trigger"), 1);
    bench_run(h, 0.5);
    const char *line = bench_find(h, "trsync_state");
    assert_int_equal(bench_value(line, "can_trigger"), 0);
    assert_int_equal(bench_value(line, "trigger_reason"), 1);
    /* reports at t0, t0 + 3.75e6; one at once at the trigger, then periodic ones that go on */
    assert_int_equal(bench_value(h->lines[0], "clock"), t0);
    assert_int_equal(bench_value(h->lines[1], "clock"), t0 + 3750000);
    assert_int_equal(bench_value(h->lines[2], "can_trigger"), 0);
    assert_int_equal(bench_value(h->lines[2], "clock"), t0 + 12500u * 501 + 3 * 750);
    assert_int_equal(bench_value(h->lines[3], "clock"), t0 + 2 * 3750000);
    assert_true(h->line_count > 6);
    bench_clear(h);
    bench_send(h, "trsync_trigger oid=0 reason=2");
    assert_string_equal(h->lines[0], "trsync_state oid=0 can_trigger=0 trigger_reason=1 clock=0");
    bench_run(h, 1);
    assert_int_equal(bench_count(h, "trsync_state"), 1);
    bench_send(h, "endstop_query_state oid=1");
    line = bench_find(h, "endstop_state");
    assert_int_equal(bench_value(line, "next_clock"), t0 + 12500u * 502); /* first match + rest_ticks */
    assert_int_equal(bench_value(line, "homing"), 1);
    assert_int_equal(bench_value(line, "pin_value"), 1);
    bench_send(h, "stepper_get_position oid=2");
    assert_int_equal(bench_value(bench_find(h, "stepper_position"), "pos"), -501);
    bench_send(h, "endstop_home oid=1 clock=0 sample_ticks=0 sample_count=0 rest_ticks=0 pin_value=0 trsync_oid=0"
                  " trigger_reason=0 | endstop_query_state oid=1");
    assert_int_equal(bench_value(bench_find(h, "endstop_state"), "homing"), 0);
    bench_destroy(h);
}

static void silence_ends_homing(void **state)
{
    (void)state;
    struct bench_host *h = start();
    struct input never = {.on_from = UINT64_MAX};
    sim_board_set_input(h->board, 10, level_from, &never);
    uint32_t t0 = bench_clock(h) + HZ / 10;
    begin_homing(h, t0);
    bench_run(h, 0.3);
    bench_sendf(h, "trsync_set_timeout oid=0 clock=%u", t0 + HZ / 2); /* extended */
    bench_run(h, 1);
    bench_send(h, "trsync_trigger oid=0 reason=2");
    assert_int_equal(bench_value(bench_find(h, "trsync_state"), "trigger_reason"), 4);
    bench_send(h, "stepper_get_position oid=2");
    assert_int_equal(bench_value(bench_find(h, "stepper_position"), "pos"), -(int)(HZ / 2 / 12500) + 1);
    bench_send(h, "trsync_set_timeout oid=0 clock=0"); /* not armed: ignored */
    assert_string_equal(bench_shutdown(h), "");
    bench_destroy(h);
}

static void short_glitches_do_not_trigger(void **state)
{
    (void)state;
    struct bench_host *h = start();
    uint32_t t0 = bench_clock(h) + HZ / 10;
    struct input glitch = {.on_from = 0, .value = 0};
    sim_board_set_input(h->board, 10, constant, &glitch);
    begin_homing(h, t0);
    bench_run(h, 0.15);
    glitch.value = 1; /* for one sample only: off again before the confirming ones */
    bench_run(h, 0.00001);
    glitch.value = 0;
    bench_run(h, 0.05);
    assert_int_equal(bench_value(bench_find(h, "trsync_state"), "can_trigger"), 1);
    bench_destroy(h);
}

static void homing_faults(void **state)
{
    (void)state;
    struct bench_host *h = start();
    bench_sendf(h, "trsync_start oid=0 report_clock=%u report_ticks=1000 expire_reason=4", bench_clock(h) - 10);
    assert_string_equal(bench_shutdown(h), "Timer too close");
    bench_send(h, "clear_shutdown");
    bench_sendf(h, "trsync_start oid=0 report_clock=0 report_ticks=0 expire_reason=4");
    bench_send(h, "stepper_stop_on_trigger oid=2 trsync_oid=0 | stepper_stop_on_trigger oid=2 trsync_oid=0");
    assert_string_equal(bench_shutdown(h), "Can't add signal that is already active");
    bench_send(h, "clear_shutdown | trsync_trigger oid=0 reason=2");
    assert_string_equal(bench_find(h, "trsync_state"), "trsync_state oid=0 can_trigger=0 trigger_reason=0 clock=0");
    bench_sendf(h,
                "endstop_home oid=1 clock=%u sample_ticks=750 sample_count=4 rest_ticks=12500 pin_value=1"
                " trsync_oid=0 trigger_reason=1",
                bench_clock(h) - 5);
    assert_string_equal(bench_shutdown(h), "Timer too close");
    bench_destroy(h);
}

/* --- analog --- */

static void analog_reports(void **state)
{
    (void)state;
    struct bench_host *h = start();
    struct input in = {.value = 1000};
    sim_board_set_input(h->board, 20, constant, &in);
    uint32_t at = bench_clock(h) + HZ / 10;
    bench_sendf(h,
                "query_analog_in oid=3 clock=%u sample_ticks=50000 sample_count=8 rest_ticks=15000000"
                " bytes_per_report=2 min_value=50 max_value=9000 range_check_count=4",
                at);
    bench_run(h, 0.75);
    assert_int_equal(bench_count(h, "analog_in_state"), 3);
    assert_int_equal(bench_value(h->lines[0], "next_clock"), at + 15000000);
    assert_non_null(strstr(h->lines[0], "values=401f")); /* 8000 */
    /* the limits are inclusive and compared with the sum; the fourth bad group in a row trips, unreported */
    in.value = 1125;
    bench_run(h, 0.3);
    assert_int_equal(bench_count(h, "analog_in_state"), 4);
    in.value = 1126;
    bench_run(h, 1.2);
    assert_string_equal(bench_shutdown(h), "ADC out of range");
    assert_int_equal(bench_count(h, "analog_in_state"), 7);
    /* goes on while shut down, and after */
    size_t before = bench_count(h, "analog_in_state");
    bench_run(h, 0.9);
    assert_true(bench_count(h, "analog_in_state") >= before + 2);
    in.value = 100;
    bench_send(h, "clear_shutdown");
    bench_run(h, 3);
    assert_true(bench_count(h, "analog_in_state") >= before + 10);
    bench_destroy(h);
}

static void analog_batches(void **state)
{
    (void)state;
    struct bench_host *h = start();
    struct input in = {.value = 258};
    sim_board_set_input(h->board, 20, constant, &in);
    uint32_t at = bench_clock(h) + HZ / 10;
    bench_sendf(h,
                "query_analog_in oid=3 clock=%u sample_ticks=0 sample_count=1 rest_ticks=500000"
                " bytes_per_report=6 min_value=0 max_value=65535 range_check_count=0",
                at);
    bench_run(h, 0.2);
    const char *line = h->lines[0];
    assert_int_equal(bench_value(line, "next_clock"), at + 3 * 500000);
    assert_non_null(strstr(line, "values=020102010201"));
    bench_clear(h);
    bench_send(h, "query_analog_in oid=3 clock=0 sample_ticks=0 sample_count=0 rest_ticks=0 bytes_per_report=2"
                  " min_value=0 max_value=0 range_check_count=0");
    bench_run(h, 1);
    assert_int_equal(bench_count(h, "analog_in_state"), 0);
    bench_send(h, "query_analog_in oid=3 clock=0 sample_ticks=0 sample_count=1 rest_ticks=0 bytes_per_report=50"
                  " min_value=0 max_value=0 range_check_count=0");
    assert_string_equal(bench_shutdown(h), "Invalid analog_in bytes_per_report");
    bench_destroy(h);
}

/* --- buttons and counters --- */

static void buttons_are_debounced_and_repeated(void **state)
{
    (void)state;
    struct bench_host *h = start();
    struct input a = {.value = 1}, b = {.value = 0};
    sim_board_set_input(h->board, 21, constant, &a);
    sim_board_set_input(h->board, 22, constant, &b);
    bench_sendf(h, "buttons_query oid=4 clock=%u rest_ticks=100000 retransmit_count=50 invert=1",
                bench_clock(h) + HZ / 100);
    bench_run(h, 0.5);
    assert_int_equal(bench_count(h, "buttons_state"), 0); /* as assumed: nothing to say */
    b.value = 1;
    bench_run(h, 0.05);
    assert_string_equal(bench_find(h, "buttons_state"), "buttons_state oid=4 ack_count=0 state=03");
    bench_run(h, 0.25); /* every 50 polls of 2 ms until acknowledged */
    assert_int_equal(bench_count(h, "buttons_state"), 3);
    a.value = 0;
    bench_run(h, 0.01);
    assert_string_equal(bench_find(h, "buttons_state"), "buttons_state oid=4 ack_count=0 state=0302");
    bench_send(h, "buttons_ack oid=4 count=2");
    bench_clear(h);
    bench_run(h, 1);
    assert_int_equal(bench_count(h, "buttons_state"), 0);
    a.value = 1;
    bench_run(h, 0.01);
    assert_string_equal(bench_find(h, "buttons_state"), "buttons_state oid=4 ack_count=2 state=03");
    bench_send(h, "emergency_stop");
    bench_clear(h);
    bench_run(h, 1);
    assert_int_equal(bench_count(h, "buttons_state"), 0);
    bench_destroy(h);
}

static uint32_t square_wave(void *ctx, struct mcu_ticks clock)
{
    return (uint32_t)(clock.t / *(uint64_t *)ctx & 1);
}

static void counters_count_edges(void **state)
{
    (void)state;
    struct bench_host *h = start();
    uint64_t half_period = HZ / 400; /* 200 Hz: 400 edges a second */
    sim_board_set_input(h->board, 23, square_wave, &half_period);
    uint32_t at = bench_clock(h) + HZ / 100;
    bench_sendf(h, "query_counter oid=5 clock=%u poll_ticks=50000 sample_ticks=25000000", at);
    bench_run(h, 2.2);
    assert_int_equal(bench_value(h->lines[0], "next_clock"), at + 100000);
    assert_int_equal(bench_value(h->lines[1], "next_clock"), at + 100000 + 25050000);
    long long n = bench_value(bench_find(h, "counter_state"), "count") - bench_value(h->lines[0], "count");
    double seconds = (uint32_t)(bench_value(bench_find(h, "counter_state"), "count_clock") -
                                bench_value(h->lines[0], "count_clock")) /
                     (double)HZ;
    assert_true(fabs((double)n / seconds - 400) < 4);
    bench_destroy(h);
}

static void input_faults(void **state)
{
    (void)state;
    struct bench_host *h = start();
    bench_send(h, "buttons_query oid=4 clock=0 rest_ticks=1 retransmit_count=200 invert=0");
    assert_string_equal(bench_shutdown(h), "Invalid buttons retransmit count");
    bench_destroy(h);
    struct sim_board_options o = {.clock_hz = HZ};
    h = bench_create(&o);
    bench_run(h, 0);
    bench_send(h, "allocate_oids count=8 | config_buttons oid=1 button_count=9");
    assert_string_equal(bench_shutdown(h), "Max of 8 buttons");
    bench_send(h, "clear_shutdown | config_buttons oid=1 button_count=2 | buttons_add oid=1 pos=2 pin=1 pull_up=0");
    assert_string_equal(bench_shutdown(h), "Set button past maximum button count");
    bench_send(h, "clear_shutdown | config_endstop oid=2 pin=65000 pull_up=0");
    assert_string_equal(bench_shutdown(h), "Not an input pin");
    bench_send(h, "clear_shutdown | config_analog_in oid=3 pin=65000");
    assert_string_equal(bench_shutdown(h), "Not a valid ADC pin");
    bench_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(homing_stops_on_the_tick),
        cmocka_unit_test(silence_ends_homing),
        cmocka_unit_test(short_glitches_do_not_trigger),
        cmocka_unit_test(homing_faults),
        cmocka_unit_test(analog_reports),
        cmocka_unit_test(analog_batches),
        cmocka_unit_test(buttons_are_debounced_and_repeated),
        cmocka_unit_test(counters_count_edges),
        cmocka_unit_test(input_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
