/* A simulated board from outside: boot, identify, clock, configuration, time. */
#include "tests/sim/bench_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <zlib.h>

static void boots_and_answers(void **state)
{
    (void)state;
    struct bench_host *h = bench_create(NULL);
    bench_run(h, 0);
    assert_string_equal(h->lines[0], "starting");
    bench_send(h, "get_config");
    assert_string_equal(bench_find(h, "config"), "config is_config=0 crc=0 is_shutdown=0 move_count=0");
    assert_int_equal(h->ack_count, 1);
    assert_int_equal(h->reply_seq, 1);
    bench_destroy(h);
}

static void identify_gives_the_dictionary(void **state)
{
    (void)state;
    struct bench_host *h = bench_create(NULL);
    uint8_t blob[16384];
    size_t size = 0;
    for (;;) {
        bench_clear(h);
        bench_sendf(h, "identify offset=%zu count=40", size);
        const char *line = bench_find(h, "identify_response");
        assert_int_equal(bench_value(line, "offset"), size);
        const char *hex = strstr(line, "data=") + 5;
        size_t len = strlen(hex) / 2;
        if (!len)
            break;
        for (size_t i = 0; i < len; i++) {
            char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};
            blob[size++] = (uint8_t)strtoul(digits, NULL, 16);
        }
    }
    char text[65536];
    uLongf text_size = sizeof(text);
    assert_int_equal(uncompress((Bytef *)text, &text_size, blob, size), Z_OK);
    assert_int_equal(text_size, strlen(sim_board_dictionary(h->board)));
    assert_memory_equal(text, sim_board_dictionary(h->board), text_size);
    bench_destroy(h);
}

static void clock_drifts_and_wraps(void **state)
{
    (void)state;
    struct sim_board_options o = {.clock_hz = 50000000, .drift_ppm = 40, .start_clock = (1ULL << 32) - 25000000};
    struct bench_host *h = bench_create(&o);
    bench_run(h, 0);
    bench_send(h, "get_uptime");
    assert_string_equal(bench_find(h, "uptime"), "uptime high=0 clock=4269967296");
    bench_run(h, 10);
    bench_send(h, "get_uptime");
    const char *line = bench_find(h, "uptime");
    assert_int_equal(bench_value(line, "high"), 1);
    long long ticks = (bench_value(line, "high") << 32) + bench_value(line, "clock") - (1LL << 32) + 25000000;
    assert_int_equal(ticks, 500020000);
    /* a tick's instant is the first nanosecond at which the counter shows it */
    for (uint64_t c = o.start_clock; c < o.start_clock + 1000; c += 7) {
        struct host_ns at = sim_board_host_time(h->board, (struct mcu_ticks){c});
        assert_true(at.ns >= NS_PER_S);
    }
    bench_destroy(h);
}

/* A fast counter wraps within seconds; nothing may be confused by that. */
static void fast_clocks(void **state)
{
    (void)state;
    struct sim_board_options o = {.clock_hz = 700000000, .start_clock = 3};
    struct bench_host *h = bench_create(&o);
    bench_run(h, 0.1);
    bench_clear(h);
    bench_run(h, 100);
    assert_int_equal(bench_count(h, "stats"), 20);
    bench_send(h, "get_uptime");
    assert_int_equal(bench_value(bench_find(h, "uptime"), "high"), 70070000003ull >> 32);
    assert_string_equal(bench_shutdown(h), "");
    bench_destroy(h);
}

static void pins_have_names(void **state)
{
    (void)state;
    static const char *const extra[] = {"EXP1_1", "PA5", "P1.07", "EXP1_1", "weird/9.x"};
    struct sim_board_options o = {.pin_names = extra, .pin_count = 5};
    struct bench_host *h = bench_create(&o);
    char name[64];
    for (uint32_t p = 0; sim_board_pin_name(h->board, p, name, sizeof(name))[0] != '?'; p++) {
        assert_int_equal(sim_board_pin(h->board, name), p);
        assert_int_equal(wire_enum_value(h->dict, "pin", name), p);
    }
    for (size_t i = 0; i < 5; i++)
        assert_true(sim_board_pin(h->board, extra[i]) != UINT32_MAX);
    assert_int_equal(sim_board_pin(h->board, "PA32"), UINT32_MAX);
    assert_int_equal(sim_board_pin(h->board, "PA"), UINT32_MAX);
    assert_int_equal(sim_board_pin(h->board, "PA05"), UINT32_MAX);
    assert_int_equal(sim_board_pin(h->board, "gpio99999999999"), UINT32_MAX);
    bench_destroy(h);
}

static void silence_and_power(void **state)
{
    (void)state;
    struct bench_host *h = bench_create(NULL);
    bench_run(h, 0);
    sim_board_set_silent(h->board, true);
    bench_clear(h);
    bench_send(h, "get_config");
    bench_run(h, 20);
    assert_int_equal(h->line_count + h->ack_count, 0);
    sim_board_set_silent(h->board, false);
    h->seq = 0;
    bench_send(h, "get_config");
    assert_int_equal(h->line_count, 1);
    sim_board_shut_down(h->board);
    bench_run(h, 0);
    assert_string_equal(bench_shutdown(h), "Command request");
    sim_board_power_cycle(h->board);
    bench_run(h, 0);
    assert_non_null(bench_find(h, "starting"));
    struct sim_board_stats stats;
    sim_board_get_stats(h->board, &stats);
    assert_false(stats.is_shut_down);
    bench_destroy(h);
}

/* A host that does not read: blocks are lost whole, never in part. */
static void nobody_listens(void **state)
{
    (void)state;
    struct bench_host *h = bench_create(NULL);
    bench_run(h, 0);
    for (int i = 0; i < 4000; i++) {
        uint8_t payload[64], block[WIRE_BLOCK_MAX];
        size_t n = wire_encode(h->dict, "debug_ping data=00112233445566778899aabbccddeeff", payload, sizeof(payload));
        size_t len = wire_block(block, h->seq++, payload, n);
        assert_int_equal(bytepipe_write(&h->to_board, block, len), len);
        runtime_run(h->rt, runtime_now(h->rt), false);
    }
    struct sim_board_stats stats;
    sim_board_get_stats(h->board, &stats);
    assert_true(stats.blocks_lost > 1000);
    bench_collect(h);
    assert_int_equal(h->stream.bad_count, 0);
    bench_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boots_and_answers),      cmocka_unit_test(identify_gives_the_dictionary),
        cmocka_unit_test(clock_drifts_and_wraps), cmocka_unit_test(fast_clocks),
        cmocka_unit_test(pins_have_names),        cmocka_unit_test(silence_and_power),
        cmocka_unit_test(nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
