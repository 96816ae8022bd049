/* The core from outside: receiver rules, acknowledgement, configuration, shutdown, damage. */
#include "tests/sim/bench_host.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct bench_host *start(void)
{
    struct bench_host *h = bench_create(NULL);
    bench_run(h, 0.001);
    bench_clear(h);
    return h;
}

/* --- receiver --- */

static void wrong_sequence_is_nakked_every_time(void **state)
{
    (void)state;
    struct bench_host *h = start();
    bench_send(h, "debug_nop");
    bench_clear(h);
    h->seq = 0; /* a duplicate */
    bench_send(h, "get_config");
    h->seq = 0;
    bench_send(h, "get_config");
    assert_int_equal(h->line_count, 0);
    assert_int_equal(h->ack_count, 2);
    assert_int_equal(h->reply_seq, 1);
    h->seq = 1;
    bench_send(h, "get_config");
    assert_int_equal(h->line_count, 1);
    bench_destroy(h);
}

static void empty_blocks_count(void **state)
{
    (void)state;
    struct bench_host *h = start();
    uint8_t block[WIRE_BLOCK_MAX];
    for (unsigned i = 0; i < 20; i++) {
        bench_raw(h, block, wire_block(block, i, NULL, 0));
        assert_int_equal(h->reply_seq, (i + 1) & 15);
    }
    bench_raw(h, block, wire_block(block, 11, NULL, 0));
    assert_int_equal(h->reply_seq, 4);
    assert_int_equal(h->ack_count, 21);
    bench_destroy(h);
}

static void garbage_gets_one_nak_and_resyncs(void **state)
{
    (void)state;
    struct bench_host *h = start();
    uint8_t block[WIRE_BLOCK_MAX], bad[WIRE_BLOCK_MAX];
    size_t len = wire_block(block, 0, NULL, 0);
    memcpy(bad, block, len);
    bad[2] ^= 1;
    bench_raw(h, bad, len);
    assert_int_equal(h->ack_count, 1); /* at once */
    bench_raw(h, bad, len);
    bench_raw(h, (const uint8_t *)"rubbish~more", 12);
    assert_int_equal(h->ack_count, 1); /* silent until a valid block */
    bench_raw(h, block, len);          /* lost: its own last byte ends the skipping */
    assert_int_equal(h->ack_count, 1);
    bench_raw(h, block, len);
    assert_int_equal(h->ack_count, 2);
    assert_int_equal(h->reply_seq, 1);
    bench_raw(h, bad, len);
    assert_int_equal(h->ack_count, 3);
    bench_raw(h, block, len); /* valid, if with a wrong number: the next bad one is answered again */
    assert_int_equal(h->ack_count, 4);
    bench_raw(h, bad, len);
    assert_int_equal(h->ack_count, 5);
    bench_destroy(h);
}

static void leading_syncs_and_pauses_do_no_harm(void **state)
{
    (void)state;
    struct bench_host *h = start();
    uint8_t block[WIRE_BLOCK_MAX], payload[64];
    size_t n = wire_encode(h->dict, "debug_ping data=7e7e", payload, sizeof(payload));
    size_t len = wire_block(block, 0, payload, n);
    bench_raw(h, (const uint8_t *)"~~~~~~~~", 8);
    assert_int_equal(h->ack_count, 0);
    for (size_t i = 0; i < len; i++) {
        bench_raw(h, block + i, 1);
        bench_run(h, 0.5);
    }
    assert_string_equal(bench_find(h, "pong"), "pong data=7e7e");
    bench_destroy(h);
}

static void bootloader_request_is_one_nak(void **state)
{
    (void)state;
    struct bench_host *h = start();
    bench_raw(h, (const uint8_t *)" \x1c Request Serial Bootloader!! ~", 32);
    assert_int_equal(h->ack_count, 1);
    assert_int_equal(h->line_count, 0);
    bench_destroy(h);
}

static void many_commands_in_a_block(void **state)
{
    (void)state;
    struct bench_host *h = start();
    bench_send(h, "get_clock | get_clock | get_config | debug_nop | debug_ping data=01");
    assert_int_equal(bench_count(h, "clock"), 2);
    assert_int_equal(h->line_count, 4);
    assert_int_equal(h->ack_count, 1);
    bench_destroy(h);
}

/* --- sizes --- */

static void responses_that_do_not_fit_are_dropped(void **state)
{
    (void)state;
    struct bench_host *h = start();
    static const struct {
        unsigned offset, count, lines;
    } cases[] = {{0, 56, 1}, {0, 57, 0}, {95, 56, 1}, {95, 57, 0}, {96, 55, 1}, {96, 56, 0}};
    for (size_t i = 0; i < 6; i++) {
        bench_clear(h);
        bench_sendf(h, "identify offset=%u count=%u", cases[i].offset, cases[i].count);
        assert_int_equal(h->line_count, cases[i].lines);
        assert_int_equal(h->ack_count, 1);
    }
    bench_destroy(h);
}

static void small_buffers_lose_and_recover(void **state)
{
    (void)state;
    struct sim_board_options o = {.tx_buffer_bytes = 96, .rx_buffer_bytes = 192, .serial_baud = 250000};
    struct bench_host *h = bench_create(&o);
    assert_int_equal((int)wire_constant(h->dict, "RECEIVE_WINDOW", 0), 192);
    assert_int_equal((int)wire_constant(h->dict, "SERIAL_BAUD", 0), 250000);
    bench_run(h, 0.1);
    bench_clear(h);
    for (int i = 0; i < 3; i++)
        bench_send(h, "get_clock | get_clock | get_clock | get_clock | get_clock | get_clock | get_clock | get_clock |"
                      "get_clock | get_clock | get_clock | get_clock | get_clock | get_clock | get_clock");
    assert_true(h->line_count > 5 && h->line_count < 12); /* 96 bytes of 8 to 10 each */
    bench_run(h, 0.1);
    bench_clear(h);
    bench_send(h, "get_clock");
    assert_int_equal(h->line_count, 1);
    /* more than the receive buffer holds, at once: the rest is lost, the board goes on after a resend */
    uint8_t data[12 * 64], payload[64];
    size_t len = 0, n = 0;
    for (int i = 0; i < 59; i++)
        n += wire_encode(h->dict, "debug_nop", payload + n, sizeof(payload) - n);
    for (unsigned i = 0; i < 12; i++)
        len += wire_block(data + len, h->seq + i, payload, n);
    unsigned before = h->seq;
    bench_raw(h, data, len);
    bench_run(h, 0.1);
    unsigned done = (h->reply_seq - before) & 15;
    assert_int_equal(done, 3); /* 192 bytes */
    bench_destroy(h);
}

/* --- configuration --- */

static void configuration_faults(void **state)
{
    (void)state;
    static const struct {
        const char *commands, *fault;
    } cases[] = {
        {"config_trsync oid=0", "Can't assign oid"}, /* before allocate_oids */
        {"allocate_oids count=3 | allocate_oids count=3", "oids already allocated"},
        {"allocate_oids count=3 | config_trsync oid=3", "Can't assign oid"},
        {"allocate_oids count=3 | config_trsync oid=1 | config_trsync oid=1", "Can't assign oid"},
        {"allocate_oids count=3 | finalize_config crc=1 | config_trsync oid=1", "Can't assign oid"},
        {"finalize_config crc=1 | finalize_config crc=1", "Already finalized"},
        {"finalize_config crc=1 | allocate_oids count=2", "alloc_chunk failed"},
        {"allocate_oids count=3 | config_trsync oid=1 | stepper_get_position oid=1", "Invalid oid type"},
        {"stepper_get_position oid=0", "Invalid oid type"},
        {"clear_shutdown", "Shutdown cleared when not shutdown"},
        {"config_reset", "config_reset only available when shutdown"},
        {"emergency_stop", "Command request"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bench_host *h = start();
        bench_send(h, cases[i].commands);
        assert_string_equal(bench_shutdown(h), cases[i].fault);
        bench_destroy(h);
    }
}

static void memory_runs_out_cleanly(void **state)
{
    (void)state;
    struct sim_board_options o = {.memory_bytes = 1}; /* the tables only */
    struct bench_host *h = bench_create(&o);
    bench_run(h, 0);
    bench_send(h, "allocate_oids count=200");
    assert_string_equal(bench_shutdown(h), "alloc_chunk failed");
    bench_send(h, "clear_shutdown | finalize_config crc=3");
    assert_string_equal(bench_shutdown(h), "alloc_chunks failed");
    bench_destroy(h);
    o.memory_bytes = 0;
    o.move_count_max = 5;
    h = bench_create(&o);
    bench_run(h, 0);
    bench_send(h, "finalize_config crc=3 | get_config");
    assert_string_equal(bench_find(h, "config"), "config is_config=1 crc=3 is_shutdown=0 move_count=5");
    bench_destroy(h);
}

static void bad_commands(void **state)
{
    (void)state;
    struct bench_host *h = start();
    uint8_t block[WIRE_BLOCK_MAX];
    bench_raw(h, block, wire_block(block, h->seq++, (const uint8_t *)"\x5f", 1)); /* no such number */
    assert_string_equal(bench_shutdown(h), "Invalid command");
    bench_send(h, "clear_shutdown");
    uint8_t response = 0; /* a response is not a command */
    bench_raw(h, block, wire_block(block, h->seq++, &response, 1));
    assert_string_equal(bench_shutdown(h), "Invalid command");
    bench_send(h, "clear_shutdown");
    uint8_t payload[64];
    size_t n = wire_encode(h->dict, "debug_ping data=01020304", payload, sizeof(payload));
    bench_raw(h, block, wire_block(block, h->seq++, payload, n - 1));
    assert_string_equal(bench_shutdown(h), "Command parser error");
    bench_send(h, "clear_shutdown");
    n = wire_encode(h->dict, "allocate_oids count=9", payload, sizeof(payload));
    bench_raw(h, block, wire_block(block, h->seq++, payload, n - 1));
    assert_string_equal(bench_shutdown(h), "Command parser error");
    bench_destroy(h);
}

/* --- shutdown --- */

static void shutdown_rules(void **state)
{
    (void)state;
    struct bench_host *h = start();
    bench_send(h, "allocate_oids count=3 | config_trsync oid=1 | finalize_config crc=99");
    bench_clear(h);
    /* the rest of the block is lost, the message acks, an ack follows */
    bench_send(h, "emergency_stop | get_config");
    assert_int_equal(h->line_count, 1);
    assert_int_equal(bench_count(h, "shutdown"), 1);
    assert_int_equal(h->ack_count, 1);
    long long first = bench_value(h->lines[0], "clock");
    bench_run(h, 0.1);
    /* again: another message, a new clock, the first reason */
    uint8_t block[WIRE_BLOCK_MAX];
    bench_raw(h, block, wire_block(block, h->seq++, (const uint8_t *)"\x5f", 1));
    assert_int_equal(bench_count(h, "shutdown"), 2);
    assert_true(bench_value(h->lines[1], "clock") > first);
    assert_string_equal(bench_shutdown(h), "Command request");
    /* one is_shutdown per refused command, the others run */
    bench_clear(h);
    bench_send(h, "config_trsync oid=2 | get_clock | stepper_get_position oid=1 | get_config");
    assert_int_equal(bench_count(h, "is_shutdown"), 2);
    assert_int_equal(bench_count(h, "clock"), 1);
    assert_string_equal(bench_find(h, "config"), "config is_config=1 crc=99 is_shutdown=1 move_count=1024");
    /* cleared: the configuration is still there */
    bench_send(h, "clear_shutdown | get_config");
    assert_string_equal(bench_find(h, "config"), "config is_config=1 crc=99 is_shutdown=0 move_count=1024");
    bench_send(h, "allocate_oids count=3");
    assert_string_equal(bench_shutdown(h), "oids already allocated");
    /* wiped: everything anew, but the sequence goes on */
    unsigned seq = h->seq;
    bench_send(h, "config_reset | get_config");
    assert_string_equal(bench_find(h, "config"), "config is_config=0 crc=0 is_shutdown=0 move_count=0");
    assert_int_equal(h->reply_seq, (seq + 1) & 15);
    bench_send(h, "allocate_oids count=3 | config_trsync oid=1 | finalize_config crc=98 | get_config");
    assert_string_equal(bench_find(h, "config"), "config is_config=1 crc=98 is_shutdown=0 move_count=1024");
    bench_destroy(h);
}

static void every_command_knows_whether_it_may(void **state)
{
    (void)state;
    static const char *const allowed[] = {"identify offset=0 count=1",
                                          "get_config",
                                          "get_clock",
                                          "get_uptime",
                                          "debug_nop",
                                          "debug_ping data=00",
                                          "debug_read order=0 addr=0",
                                          "debug_write order=0 addr=0 val=1"};
    static const char *const refused[] = {
        "allocate_oids count=1",
        "finalize_config crc=1",
        "config_stepper oid=0 step_pin=0 dir_pin=0 invert_step=0 step_pulse_ticks=0",
        "queue_step oid=0 interval=1 count=1 add=1",
        "set_digital_out pin=1 value=1",
        "set_pwm_out pin=1 cycle_ticks=1 value=1",
        "trsync_trigger oid=0 reason=1",
        "endstop_query_state oid=0",
        "query_counter oid=0 clock=0 poll_ticks=0 sample_ticks=0",
        "buttons_ack oid=0 count=1",
    };
    struct bench_host *h = start();
    bench_send(h, "emergency_stop");
    bench_clear(h);
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        bench_send(h, allowed[i]);
    assert_int_equal(bench_count(h, "is_shutdown"), 0);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        bench_send(h, refused[i]);
    assert_int_equal(bench_count(h, "is_shutdown"), sizeof(refused) / sizeof(refused[0]));
    bench_destroy(h);
}

static void linux_like_boards_do_not_ack_a_shutdown(void **state)
{
    (void)state;
    struct sim_board_options o = {.has_no_ack_at_shutdown = true};
    struct bench_host *h = bench_create(&o);
    bench_run(h, 0);
    bench_clear(h);
    uint8_t data[128], payload[64];
    size_t n = wire_encode(h->dict, "emergency_stop", payload, sizeof(payload));
    size_t len = wire_block(data, h->seq++, payload, n);
    n = wire_encode(h->dict, "get_config", payload, sizeof(payload));
    len += wire_block(data + len, h->seq, payload, n);
    bench_raw(h, data, len);
    assert_int_equal(h->line_count, 1);
    assert_int_equal(h->ack_count, 0);
    bench_send(h, "get_config"); /* the block that was forgotten, again */
    assert_int_equal(h->line_count, 2);
    bench_destroy(h);
}

static void reset_starts_from_nothing(void **state)
{
    (void)state;
    struct bench_host *h = start();
    bench_send(h, "finalize_config crc=5");
    bench_clear(h);
    bench_send(h, "reset | get_config"); /* neither ack nor reply */
    assert_string_equal(h->lines[0], "starting");
    assert_int_equal(h->ack_count, 0);
    assert_int_equal(h->reply_seq, 0);
    h->seq = 0;
    bench_send(h, "get_config");
    assert_string_equal(bench_find(h, "config"), "config is_config=0 crc=0 is_shutdown=0 move_count=0");
    bench_destroy(h);
}

static void debug_memory(void **state)
{
    (void)state;
    struct bench_host *h = start();
    bench_send(h, "debug_write order=2 addr=16 val=305419896 | debug_read order=1 addr=16");
    assert_string_equal(bench_find(h, "debug_result"), "debug_result val=22136");
    bench_send(
        h,
        "debug_write order=2 addr=253 val=1 | debug_write order=9 addr=0 val=1 | debug_read order=2 addr=4294967295");
    assert_string_equal(bench_find(h, "debug_result"), "debug_result val=0");
    bench_send(h, "debug_read order=200 addr=16");
    assert_string_equal(bench_find(h, "debug_result"), "debug_result val=0");
    bench_destroy(h);
}

static void statistics_every_five_seconds(void **state)
{
    (void)state;
    struct bench_host *h = start();
    bench_run(h, 50.5);
    assert_int_equal(bench_count(h, "stats"), 10);
    bench_send(h, "emergency_stop");
    bench_run(h, 50);
    assert_int_equal(bench_count(h, "stats"), 20);
    bench_destroy(h);
}

/* --- many boards, same bytes --- */

static uint64_t digest_of_a_run(uint64_t seed)
{
    struct sim_board_options o = {.drift_ppm = 20};
    struct bench_host *h = bench_create(&o);
    struct rng rng;
    rng_init(&rng, seed);
    bench_run(h, 0);
    bench_send(h, "allocate_oids count=4 | config_trsync oid=3 | config_analog_in oid=1 pin=9");
    bench_send(h,
               "config_stepper oid=0 step_pin=0 dir_pin=1 invert_step=0 step_pulse_ticks=100 | finalize_config crc=1");
    bench_sendf(h,
                "query_analog_in oid=1 clock=%u sample_ticks=100 sample_count=4 rest_ticks=640000 bytes_per_report=2"
                " min_value=0 max_value=65535 range_check_count=0",
                bench_clock(h) + 1000000);
    bench_sendf(h, "reset_step_clock oid=0 clock=%u", bench_clock(h));
    for (int i = 0; i < 50; i++) {
        bench_sendf(h, "queue_step oid=0 interval=%u count=100 add=0 | stepper_get_position oid=0",
                    6400 + (unsigned)rng_below(&rng, 100));
        bench_run(h, 0.009);
    }
    uint64_t digest = 14695981039346656037u;
    for (size_t i = 0; i < h->line_count; i++) {
        for (const char *p = h->lines[i]; *p; p++)
            digest = (digest ^ (uint8_t)*p) * 1099511628211u;
    }
    assert_string_equal(bench_shutdown(h), "");
    bench_destroy(h);
    return digest;
}

static void runs_repeat(void **state)
{
    (void)state;
    assert_true(digest_of_a_run(1) == digest_of_a_run(1));
    assert_true(digest_of_a_run(1) != digest_of_a_run(2));
}

static void boards_share_nothing(void **state)
{
    (void)state;
    struct bench_host *a = start(), *b = start();
    bench_send(a, "allocate_oids count=3 | config_trsync oid=1 | finalize_config crc=1 | emergency_stop");
    bench_send(b, "get_config");
    assert_string_equal(bench_find(b, "config"), "config is_config=0 crc=0 is_shutdown=0 move_count=0");
    bench_send(b, "allocate_oids count=3 | config_analog_in oid=1 pin=5 | finalize_config crc=2 | get_config");
    assert_string_equal(bench_find(b, "config"), "config is_config=1 crc=2 is_shutdown=0 move_count=1024");
    bench_destroy(a);
    bench_send(b, "get_config");
    bench_destroy(b);
}

/* --- overload --- */

static void endless_work_is_noticed(void **state)
{
    (void)state;
    struct bench_host *h = start();
    bench_send(h, "allocate_oids count=4 | config_analog_in oid=1 pin=5 | finalize_config crc=2");
    bench_sendf(h,
                "query_analog_in oid=1 clock=%u sample_ticks=0 sample_count=1 rest_ticks=0 bytes_per_report=2"
                " min_value=0 max_value=65535 range_check_count=0",
                bench_clock(h) + 1000);
    bench_run(h, 1);
    struct sim_board_stats stats;
    sim_board_get_stats(h->board, &stats);
    assert_string_equal(stats.shutdown_reason, "Rescheduled timer in the past");
    bench_destroy(h);
}

/* --- fuzz --- */

/* Random bytes, mutated good blocks, random commands with random arguments in good blocks: the board must survive, and
 * answer when it is spoken to properly afterwards. */
static void fuzz_receiver(void **state)
{
    (void)state;
    uint64_t seed = 1;
    const char *text = getenv("FUZZ_SEED");
    if (text)
        seed = strtoull(text, NULL, 10);
    printf("seed=%llu\n", (unsigned long long)seed);
    struct rng rng;
    rng_init(&rng, seed);
    struct bench_host *h = start();
    for (int round = 0; round < 100000; round++) {
        uint8_t data[WIRE_BLOCK_MAX], payload[64];
        size_t len = 1 + rng_below(&rng, 59);
        for (size_t i = 0; i < len; i++)
            payload[i] = (uint8_t)rng_u64(&rng);
        if (rng_below(&rng, 2))
            payload[0] = (uint8_t)rng_below(&rng, 60); /* mostly a real command */
        unsigned kind = (unsigned)rng_below(&rng, 4);
        if (kind == 0) {
            bench_raw(h, payload, len);
            continue;
        }
        size_t n = wire_block(data, h->reply_seq, payload, len);
        if (kind == 1)
            data[rng_below(&rng, n)] ^= (uint8_t)(1u << rng_below(&rng, 8));
        bench_raw(h, data, n);
        if (rng_below(&rng, 20) == 0) {
            size_t c = wire_encode(h->dict, "clear_shutdown", payload, sizeof(payload));
            bench_raw(h, data, wire_block(data, h->reply_seq, payload, c));
        }
        if (rng_below(&rng, 50) == 0)
            bench_run(h, 0.02);
        h->line_count = 0;
    }
    uint8_t sync = 0x7e;
    bench_raw(h, &sync, 1);
    uint8_t empty[WIRE_BLOCK_MAX];
    bench_raw(h, empty, wire_block(empty, 0, NULL, 0)); /* learn the number from its answer */
    bench_raw(h, empty, wire_block(empty, 0, NULL, 0));
    h->seq = h->reply_seq;
    bench_clear(h);
    bench_send(h, "get_clock");
    assert_int_equal(bench_count(h, "clock"), 1);
    bench_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_sequence_is_nakked_every_time),
        cmocka_unit_test(empty_blocks_count),
        cmocka_unit_test(garbage_gets_one_nak_and_resyncs),
        cmocka_unit_test(leading_syncs_and_pauses_do_no_harm),
        cmocka_unit_test(bootloader_request_is_one_nak),
        cmocka_unit_test(many_commands_in_a_block),
        cmocka_unit_test(responses_that_do_not_fit_are_dropped),
        cmocka_unit_test(small_buffers_lose_and_recover),
        cmocka_unit_test(configuration_faults),
        cmocka_unit_test(memory_runs_out_cleanly),
        cmocka_unit_test(bad_commands),
        cmocka_unit_test(shutdown_rules),
        cmocka_unit_test(every_command_knows_whether_it_may),
        cmocka_unit_test(linux_like_boards_do_not_ack_a_shutdown),
        cmocka_unit_test(reset_starts_from_nothing),
        cmocka_unit_test(debug_memory),
        cmocka_unit_test(statistics_every_five_seconds),
        cmocka_unit_test(runs_repeat),
        cmocka_unit_test(boards_share_nothing),
        cmocka_unit_test(endless_work_is_noticed),
        cmocka_unit_test(fuzz_receiver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
