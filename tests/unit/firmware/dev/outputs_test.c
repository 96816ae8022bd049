/* Digital and PWM outputs: timing, software PWM, the promise of max_duration, faults. */
#include "tests/sim/bench_host.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define HZ 50000000u

struct trace {
    size_t count;
    uint64_t clock[20000];
    uint32_t level[20000];
};

static void on_level(void *ctx, struct mcu_ticks clock, uint32_t level)
{
    struct trace *t = ctx;
    if (t->count < 20000) {
        t->clock[t->count] = clock.t;
        t->level[t->count++] = level;
    }
}

/* oid 0: limited to 1 s, default off. 1: unlimited, default on. 2: hardware PWM, 2 s. */
static struct bench_host *start(struct trace *trace, unsigned pin)
{
    struct sim_board_options o = {.clock_hz = HZ, .start_clock = (1ULL << 32) - HZ / 2};
    struct bench_host *h = bench_create(&o);
    bench_run(h, 0);
    bench_send(h, "allocate_oids count=3");
    bench_sendf(h, "config_digital_out oid=0 pin=4 value=0 default_value=0 max_duration=%u", HZ);
    bench_send(h, "config_digital_out oid=1 pin=5 value=1 default_value=1 max_duration=0");
    bench_sendf(h, "config_pwm_out oid=2 pin=6 cycle_ticks=50000 value=0 default_value=0 max_duration=%u", 2 * HZ);
    bench_send(h, "finalize_config crc=7");
    memset(trace, 0, sizeof(*trace));
    sim_board_watch(h->board, pin, on_level, trace);
    return h;
}

static struct trace trace;

static void values_take_effect_at_their_clock(void **state)
{
    (void)state;
    struct bench_host *h = start(&trace, 5);
    uint32_t now = bench_clock(h);
    for (unsigned i = 1; i <= 10; i++) /* every tenth of a second, across the wrap */
        bench_sendf(h, "queue_digital_out oid=1 clock=%u on_ticks=%u", now + i * HZ / 10, i & 1 ? 0 : 1);
    bench_run(h, 2);
    assert_int_equal(trace.count, 10);
    for (unsigned i = 1; i <= 10; i++) {
        assert_int_equal((uint32_t)trace.clock[i - 1], now + i * HZ / 10);
        assert_int_equal(trace.level[i - 1], i & 1 ? 0 : SIM_PWM_MAX);
    }
    bench_destroy(h);
}

static void silence_turns_outputs_off(void **state)
{
    (void)state;
    struct bench_host *h = start(&trace, 4);
    uint32_t on = bench_clock(h) + HZ / 10;
    bench_sendf(h, "queue_digital_out oid=0 clock=%u on_ticks=1", on);
    bench_sendf(h, "queue_digital_out oid=0 clock=%u on_ticks=1", on + HZ); /* refreshed in time */
    bench_run(h, 5);
    assert_string_equal(bench_shutdown(h), "Missed scheduling of next digital out event");
    assert_int_equal(bench_value(bench_find(h, "shutdown"), "clock"), on + 2 * HZ); /* 1.000000 s after the refresh */
    assert_int_equal(trace.count, 2);
    assert_int_equal((uint32_t)trace.clock[1], on + 2 * HZ);
    assert_int_equal(trace.level[1], 0);
    bench_destroy(h);

    h = start(&trace, 6);
    on = bench_clock(h) + HZ / 10;
    bench_sendf(h, "queue_pwm_out oid=2 clock=%u value=16384", on);
    bench_run(h, 5);
    assert_string_equal(bench_shutdown(h), "Missed scheduling of next hard pwm event");
    assert_int_equal((uint32_t)trace.clock[1], on + 2 * HZ);
    assert_int_equal(trace.level[0], 16384);
    assert_int_equal(trace.level[1], 0);
    bench_destroy(h);

    h = start(&trace, 4); /* update_digital_out counts from now */
    uint32_t now = bench_clock(h);
    bench_send(h, "update_digital_out oid=0 value=1");
    bench_run(h, 5);
    assert_string_equal(bench_shutdown(h), "Missed scheduling of next digital out event");
    assert_int_equal((uint32_t)trace.clock[1], now + HZ);
    bench_destroy(h);
}

static void default_state_never_expires(void **state)
{
    (void)state;
    struct bench_host *h = start(&trace, 4);
    bench_sendf(h, "queue_digital_out oid=0 clock=%u on_ticks=1", bench_clock(h) + HZ / 10);
    bench_sendf(h, "queue_digital_out oid=0 clock=%u on_ticks=0", bench_clock(h) + HZ / 2);
    bench_sendf(h, "queue_digital_out oid=1 clock=%u on_ticks=0", bench_clock(h) + HZ / 2);
    bench_run(h, 100);
    assert_string_equal(bench_shutdown(h), "");
    bench_destroy(h);
}

/* Software PWM against plain arithmetic: random duties, each held for whole cycles. */
static void soft_pwm_is_exact(void **state)
{
    (void)state;
    uint64_t seed = 11;
    printf("seed=%llu\n", (unsigned long long)seed);
    struct rng rng;
    rng_init(&rng, seed);
    struct bench_host *h = start(&trace, 4);
    uint32_t cycle = HZ / 10;
    bench_sendf(h, "set_digital_out_pwm_cycle oid=0 cycle_ticks=%u", cycle);
    uint64_t at = sim_board_clock(h->board).t + HZ / 10, expected[1000];
    size_t count = 0;
    uint32_t level = 0, levels[1000];
    for (int i = 0; i < 40; i++) {
        uint32_t on = i == 39 ? 0 : (uint32_t)rng_below(&rng, cycle + 1), cycles = 1 + (uint32_t)rng_below(&rng, 8);
        bench_sendf(h, "queue_digital_out oid=0 clock=%u on_ticks=%u", (uint32_t)at, on);
        for (uint32_t c = 0; c < cycles; c++) {
            if (on && !level) {
                expected[count] = at + (uint64_t)c * cycle;
                levels[count++] = level = SIM_PWM_MAX;
            }
            if (!on && level) {
                expected[count] = at + (uint64_t)c * cycle;
                levels[count++] = level = 0;
            }
            if (on && on < cycle) {
                expected[count] = at + (uint64_t)c * cycle + on;
                levels[count++] = level = 0;
            }
        }
        at += (uint64_t)cycles * cycle;
        while (at > sim_board_clock(h->board).t + HZ / 2)
            bench_run(h, 0.01);
    }
    bench_run(h, 2);
    assert_string_equal(bench_shutdown(h), "");
    assert_int_equal(trace.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(trace.clock[i], expected[i]);
        assert_int_equal(trace.level[i], levels[i]);
    }
    bench_destroy(h);
}

static void faults(void **state)
{
    (void)state;
    struct bench_host *h = start(&trace, 4);
    bench_sendf(h, "queue_digital_out oid=0 clock=%u on_ticks=1", bench_clock(h) - 1);
    assert_string_equal(bench_shutdown(h), "Timer too close");
    bench_send(h, "clear_shutdown");
    uint32_t now = bench_clock(h);
    bench_sendf(h, "queue_digital_out oid=0 clock=%u on_ticks=1", now + HZ / 10);
    bench_sendf(h, "queue_digital_out oid=0 clock=%u on_ticks=0", now + HZ / 10 + HZ + 1);
    bench_send(h, "set_digital_out_pwm_cycle oid=0 cycle_ticks=5000");
    assert_string_equal(bench_shutdown(h), "Can not set soft pwm cycle ticks while updates pending");
    bench_send(h, "clear_shutdown");
    bench_sendf(h, "queue_digital_out oid=0 clock=%u on_ticks=1", now + HZ / 10);
    bench_sendf(h, "queue_digital_out oid=0 clock=%u on_ticks=0", now + HZ / 10 + HZ + 1);
    bench_run(h, 0.2);
    assert_string_equal(bench_shutdown(h), "Scheduled digital out event will exceed max_duration");
    bench_send(h, "clear_shutdown");
    now = bench_clock(h);
    bench_sendf(h, "queue_digital_out oid=0 clock=%u on_ticks=1", now + HZ / 10);
    bench_run(h, 0.2); /* it is on: later than allowed is refused at once */
    bench_sendf(h, "queue_digital_out oid=0 clock=%u on_ticks=0", now + HZ / 10 + HZ + 1);
    assert_string_equal(bench_shutdown(h), "Scheduled digital out event will exceed max_duration");
    bench_send(h, "clear_shutdown");
    now = bench_clock(h);
    bench_sendf(h, "queue_pwm_out oid=2 clock=%u value=5", now + HZ / 10);
    bench_sendf(h, "queue_pwm_out oid=2 clock=%u value=0", now + HZ / 10 + 2 * HZ + 1);
    bench_run(h, 0.2);
    assert_string_equal(bench_shutdown(h), "Scheduled pwm event will exceed max_duration");
    bench_send(h, "clear_shutdown");
    bench_sendf(h, "queue_digital_out oid=1 clock=%u on_ticks=0", bench_clock(h) + HZ);
    bench_send(h, "update_digital_out oid=1 value=1");
    assert_string_equal(bench_shutdown(h), "update_digital_out not valid with active queue");
    bench_send(h, "clear_shutdown");
    bench_send(h, "set_digital_out pin=65000 value=1");
    assert_string_equal(bench_shutdown(h), "Not an output pin");
    bench_send(h, "clear_shutdown");
    bench_send(h, "set_pwm_out pin=65000 cycle_ticks=1 value=1");
    assert_string_equal(bench_shutdown(h), "Not a valid PWM pin");
    bench_destroy(h);
}

/* Clocks that fall: the earlier entry runs right after the later one if that is not too late. */
static void falling_clocks(void **state)
{
    (void)state;
    struct bench_host *h = start(&trace, 5);
    uint32_t now = bench_clock(h);
    bench_sendf(h, "queue_digital_out oid=1 clock=%u on_ticks=0", now + HZ / 10);
    bench_sendf(h, "queue_digital_out oid=1 clock=%u on_ticks=1", now + HZ / 10 - HZ / 2000);
    bench_run(h, 1);
    assert_string_equal(bench_shutdown(h), "");
    assert_int_equal(trace.count, 2);
    assert_int_equal((uint32_t)trace.clock[1], now + HZ / 10);
    now = bench_clock(h);
    bench_sendf(h, "queue_digital_out oid=1 clock=%u on_ticks=0", now + HZ / 10);
    bench_sendf(h, "queue_digital_out oid=1 clock=%u on_ticks=1", now + HZ / 20);
    bench_run(h, 1);
    assert_string_equal(bench_shutdown(h), "Rescheduled timer in the past");
    bench_destroy(h);
}

static void shutdown_and_reset_are_safe(void **state)
{
    (void)state;
    struct bench_host *h = start(&trace, 4);
    bench_sendf(h, "queue_digital_out oid=0 clock=%u on_ticks=1", bench_clock(h) + 1000);
    bench_sendf(h, "queue_pwm_out oid=2 clock=%u value=20000", bench_clock(h) + 1000);
    bench_sendf(h, "queue_digital_out oid=1 clock=%u on_ticks=0", bench_clock(h) + 1000);
    bench_run(h, 0.1);
    assert_int_equal(sim_board_level(h->board, 4), SIM_PWM_MAX);
    bench_send(h, "emergency_stop");
    assert_int_equal(sim_board_level(h->board, 4), 0);
    assert_int_equal(sim_board_level(h->board, 5), SIM_PWM_MAX); /* its default is on */
    assert_int_equal(sim_board_level(h->board, 6), 0);
    bench_send(h, "set_digital_out pin=8 value=1"); /* refused while shut down */
    assert_int_equal(sim_board_level(h->board, 8), SIM_LEVEL_FLOATING);
    sim_board_power_cycle(h->board);
    assert_int_equal(sim_board_level(h->board, 4), SIM_LEVEL_FLOATING);
    bench_destroy(h);
}

/* --- lamps --- */

static void on_lamps(void *ctx, const uint8_t *data, size_t len)
{
    uint8_t *copy = ctx;
    copy[0] = (uint8_t)len;
    memcpy(copy + 1, data, len < 15 ? len : 15);
}

static void lamps_get_what_was_written(void **state)
{
    (void)state;
    uint8_t shown[16] = {0};
    struct bench_host *h = bench_create(&(struct sim_board_options){.clock_hz = HZ});
    bench_run(h, 0);
    bench_send(h, "allocate_oids count=1 | config_neopixel oid=0 pin=7 data_size=6 bit_max_ticks=200 reset_min_ticks=2500");
    bench_send(h, "finalize_config crc=7");
    sim_board_watch_leds(h->board, 7, on_lamps, shown);
    bench_send(h, "neopixel_update oid=0 pos=1 data=0a0b0c | neopixel_update oid=0 pos=5 data=ff | neopixel_send oid=0");
    assert_string_equal(bench_find(h, "neopixel_result"), "neopixel_result oid=0 success=1");
    static const uint8_t first[7] = {6, 0, 0x0a, 0x0b, 0x0c, 0, 0xff};
    assert_memory_equal(shown, first, 7);
    bench_run(h, 0.001);
    bench_send(h, "neopixel_send oid=0 | neopixel_send oid=0"); /* the second too soon after the first */
    assert_int_equal(bench_count(h, "neopixel_result"), 3);
    bench_send(h, "neopixel_update oid=0 pos=5 data=0102");
    assert_string_equal(bench_shutdown(h), "Invalid neopixel update command");
    bench_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_take_effect_at_their_clock),
        cmocka_unit_test(silence_turns_outputs_off),
        cmocka_unit_test(default_state_never_expires),
        cmocka_unit_test(soft_pwm_is_exact),
        cmocka_unit_test(faults),
        cmocka_unit_test(falling_clocks),
        cmocka_unit_test(shutdown_and_reset_are_safe),
        cmocka_unit_test(lamps_get_what_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
