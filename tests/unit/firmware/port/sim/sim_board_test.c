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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boots_and_answers),
        cmocka_unit_test(identify_gives_the_dictionary),
        cmocka_unit_test(clock_drifts_and_wraps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
