/* The boundary against the simulated firmware: a board's life from its name to its shutdown. */
#include "tests/unit/motion/board_rig.h"

/* ---- connecting and configuring ---- */

static void script_connect(struct rig *rig)
{
    struct err_info info = {{0}};
    struct host_ns start = fiber_now();
    rig_expect_ok(board_connect(rig->board[0], &info), &info);
    double connect_s = host_ns_diff_s(fiber_now(), start);
    rig_expect_ok(board_configure(rig->board[0], true, &info), &info);
    double ready_s = host_ns_diff_s(fiber_now(), start);
    print_message("connected after %.4f s, configured after %.4f s of virtual time\n", connect_s, ready_s);
    assert_true(ready_s < 0.2);
    assert_true(board_freq_hz(rig->board[0]) == 64e6);
    assert_true(board_is_main(rig->board[0]));
    struct board_constant c;
    assert_int_equal(board_constant_find(rig->board[0], "CLOCK_FREQ", &c, &info), OK);
    assert_string_equal(c.text, "64000000");
    assert_int_equal(board_constant_find(rig->board[0], "NOPE", &c, &info), ERR_NOT_FOUND);
    assert_string_equal(info.text, "Firmware constant 'NOPE' not found");
    assert_true(board_step_slots(rig->board[0]) > 0);
}

static void test_connect(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 1);
    rig_add(&rig, "mcu", NULL, NULL);
    rig_run(&rig, script_connect, 30.);
    assert_int_equal(rig.event_count, 0);
    rig_deinit(&rig);
}

/* A serial line of 250 kbit/s with the buffers of an AVR. */
static void script_slow(struct rig *rig)
{
    rig_start(rig);
    assert_int_equal(fiber_sleep(2.), OK);
    struct board_stats stats = board_stats(rig->board[0]);
    print_message("srtt %.6f s, rto %.3f s, %llu bytes sent again\n", stats.srtt_s, stats.rto_s,
                  (unsigned long long)stats.bytes_retransmit);
    assert_int_equal(rig->event_count, 0);
}

static void test_slow_board(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 2);
    struct sim_board_options sim = {.clock_hz = 16000000,
                                    .serial_baud = 250000,
                                    .rx_buffer_bytes = 192,
                                    .tx_buffer_bytes = 96,
                                    .start_clock = 0xffffff00,
                                    .drift_ppm = 300.};
    rig_add(&rig, "mcu", &sim, NULL);
    rig_run(&rig, script_slow, 30.);
    rig_deinit(&rig);
}

static void add_objects(struct board *board, int value)
{
    unsigned oid = board_oid(board);
    board_config(board, BOARD_CONFIG, "config_digital_out oid=%u pin=PA1 value=%d default_value=0 max_duration=0", oid,
                 value);
    board_config(board, BOARD_CONFIG,
                 "config_stepper oid=%u step_pin=PA2 dir_pin=PA3 invert_step=0 step_pulse_ticks=100", board_oid(board));
    board_config(board, BOARD_RESTART, "update_digital_out oid=%u value=%d", oid, value);
    board_reserve_slots(board, 1);
}

static void script_bad_config(struct rig *rig)
{
    struct err_info info = {{0}};
    rig_expect_ok(board_connect(rig->board[0], &info), &info);
    add_objects(rig->board[0], 0);
    board_config(rig->board[0], BOARD_INIT, "config_endstop oid=1 pin=NOSUCH pull_up=0");
    assert_int_equal(board_configure(rig->board[0], true, &info), ERR_NOT_FOUND);
    assert_non_null(strstr(info.text, "NOSUCH"));
    assert_non_null(strstr(info.text, "config_endstop oid=1"));
    /* Nothing was sent: the board is as it was. */
    struct board_reply reply;
    rig_expect_ok(board_query(rig->board[0], board_command(rig->board[0], "get_config"), BOARD_NO_ARGS, NULL, 0,
                              (struct board_timing){0},
                              board_response(rig->board[0], "config is_config=%c crc=%u is_shutdown=%c move_count=%hu"),
                              -1, &reply, &info),
                  &info);
    assert_int_equal(board_reply_u32(&reply, "is_config"), 0);
}

static void test_bad_config(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 3);
    rig_add(&rig, "mcu", NULL, NULL);
    rig_run(&rig, script_bad_config, 30.);
    rig_deinit(&rig);
}

/* A second printer on the same board: equal configuration is kept, another one needs a restart. */
struct reuse {
    int value;
    bool allow_restart;
    enum err expected;
    const char *text;
    unsigned callbacks;
};

static void count_callback(void *ctx, struct board *board)
{
    struct reuse *reuse = ctx;
    reuse->callbacks++;
    board_config(board, BOARD_INIT, "get_clock");
}

static void script_reuse(struct rig *rig)
{
    struct reuse *reuse = rig->data;
    struct err_info info = {{0}};
    rig_expect_ok(board_connect(rig->board[0], &info), &info);
    add_objects(rig->board[0], reuse->value);
    board_config_callback(rig->board[0], count_callback, reuse);
    enum err err = board_configure(rig->board[0], reuse->allow_restart, &info);
    if (err != reuse->expected)
        fail_msg("%s: %s", err_name(err), info.text);
    if (err)
        assert_string_equal(info.text, reuse->text);
}

/* Another `boards` on the wires of the first. */
static void rig_replace(struct rig *rig)
{
    boards_destroy(rig->boards);
    struct boards_options options = {.runtime = rig->rt, .machine = &rig->machine};
    rig->boards = boards_create(&options);
    board_on_event(rig->boards, NULL, rig_on_event, rig);
    struct err_info info;
    for (size_t i = 0; i < rig->count; i++) {
        struct board_options board = {
            .name = "mcu", .transport = BOARD_PIPES, .tx = &rig->to_board[i], .rx = &rig->from_board[i]};
        assert_int_equal(board_add(rig->boards, &board, &rig->board[i], &info), OK);
    }
}

static void test_reuse(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 4);
    rig_add(&rig, "mcu", NULL, NULL);
    struct reuse reuse = {.value = 0, .allow_restart = false, .expected = OK};
    rig.data = &reuse;
    rig_run(&rig, script_reuse, 30.);
    assert_int_equal(reuse.callbacks, 1);
    uint32_t crc = board_config_crc(rig.board[0]);
    rig_replace(&rig);
    rig_run(&rig, script_reuse, 30.); /* the same again: kept */
    assert_int_equal(board_config_crc(rig.board[0]), crc);
    rig_replace(&rig);
    reuse = (struct reuse){
        .value = 1, .allow_restart = false, .expected = ERR_STATE, .text = "MCU 'mcu' CRC does not match config"};
    rig_run(&rig, script_reuse, 30.);
    rig_replace(&rig);
    reuse = (struct reuse){.value = 1, .allow_restart = true, .expected = OK};
    rig_run(&rig, script_reuse, 30.);
    assert_int_equal(reuse.callbacks, 2);
    assert_int_not_equal(board_config_crc(rig.board[0]), crc);
    assert_int_equal(rig.event_count, 0);
    rig_deinit(&rig);
}

static void script_too_few(struct rig *rig)
{
    struct err_info info = {{0}};
    rig_expect_ok(board_connect(rig->board[0], &info), &info);
    board_reserve_slots(rig->board[0], 5000);
    assert_int_equal(board_configure(rig->board[0], true, &info), ERR_LIMIT);
    assert_string_equal(info.text, "Too few moves available on MCU 'mcu'");
}

static void test_too_few_moves(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 5);
    rig_add(&rig, "mcu", NULL, NULL);
    rig_run(&rig, script_too_few, 30.);
    rig_deinit(&rig);
}

static void script_no_board(struct rig *rig)
{
    struct err_info info = {{0}};
    struct host_ns start = fiber_now();
    assert_int_equal(board_connect(rig->board[0], &info), ERR_TIMEOUT);
    assert_non_null(strstr(info.text, "mcu 'mcu': Unable to connect"));
    double s = host_ns_diff_s(fiber_now(), start);
    assert_true(s >= 20. && s < 27.);
}

static void test_no_board(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 6);
    rig_add(&rig, "mcu", NULL, NULL);
    sim_board_set_silent(rig.sim[0], true);
    rig_run(&rig, script_no_board, 100.);
    rig_deinit(&rig);
}

/* ---- faults ---- */

static void on_clock(void *ctx, const struct board_reply *reply)
{
    (void)reply;
    (*(unsigned *)ctx)++;
}

static void script_shutdown(struct rig *rig)
{
    rig_start(rig);
    struct err_info info = {{0}};
    struct board *b = rig->board[0];
    /* An object that does not exist: the board stops itself. */
    assert_int_equal(board_send(b, board_command(b, "update_digital_out oid=%c value=%c"), BOARD_ARGS(9, 1),
                                (struct board_timing){0}),
                     OK);
    assert_int_equal(fiber_sleep(0.1), OK);
    assert_int_equal(rig->event_count, 1);
    assert_int_equal(rig->event.kind, BOARD_EVENT_SHUTDOWN);
    assert_true(board_is_shutdown(b));
    assert_non_null(strstr(rig->event.text, "MCU 'mcu' shutdown: "));
    print_message("%s at clock %llu\n", rig->event.text, (unsigned long long)rig->event.clock.t);
    /* The first fault stays. */
    boards_emergency_stop(rig->boards, "test");
    assert_int_equal(fiber_sleep(0.1), OK);
    assert_int_equal(rig->event_count, 1);
    /* Questions that are allowed still work, others say why not. */
    struct board_reply reply;
    rig_expect_ok(board_query(b, board_command(b, "get_config"), BOARD_NO_ARGS, NULL, 0, (struct board_timing){0},
                              board_response(b, "config is_config=%c crc=%u is_shutdown=%c move_count=%hu"), -1, &reply,
                              &info),
                  &info);
    assert_int_equal(board_reply_u32(&reply, "is_shutdown"), 1);
    assert_int_equal(board_query(b, board_command(b, "stepper_get_position oid=%c"), BOARD_ARGS(1), NULL, 0,
                                 (struct board_timing){0}, board_response(b, "stepper_position oid=%c pos=%i"), 1,
                                 &reply, &info),
                     ERR_SHUTDOWN);
    rig_expect_ok(board_clear_shutdown(b, &info), &info);
    assert_int_equal(fiber_sleep(0.1), OK);
    assert_false(board_is_shutdown(b));
}

static void test_shutdown(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 7);
    rig_add(&rig, "mcu", NULL, NULL);
    rig_run(&rig, script_shutdown, 30.);
    rig_deinit(&rig);
}

static void script_lost(struct rig *rig)
{
    rig_start(rig);
    struct err_info info = {{0}};
    struct board_reply reply;
    struct board *b = rig->board[1];
    assert_int_equal(fiber_sleep(3.), OK);
    struct host_ns silent_at = fiber_now();
    sim_board_set_silent(rig->sim[1], true);
    enum err err = board_query(b, board_command(b, "get_clock"), BOARD_NO_ARGS, NULL, 0, (struct board_timing){0},
                               board_response(b, "clock clock=%u"), -1, &reply, &info);
    assert_int_equal(err, ERR_CLOSED);
    assert_int_equal(rig->event.kind, BOARD_EVENT_LOST);
    assert_string_equal(rig->event.text, "Lost communication with MCU 'tool'");
    assert_ptr_equal(rig->event.board, b);
    double noticed_s = host_ns_diff_s(fiber_now(), silent_at), since_s = host_ns_diff_s(silent_at, rig->event.when);
    print_message("silence noticed after %.2f s; last heard %.2f s before it began\n", noticed_s, since_s);
    assert_true(noticed_s > 3. && noticed_s < 6.);
    assert_true(since_s >= 0. && since_s < 1.1);
    assert_true(board_is_lost(b));
    assert_false(board_is_lost(rig->board[0]));
    assert_int_equal(fiber_sleep(10.), OK);
    assert_int_equal(rig->event_count, 1);
}

static void test_lost(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 8);
    rig_add(&rig, "mcu", NULL, NULL);
    rig_add(&rig, "tool", NULL, NULL);
    rig_run(&rig, script_lost, 60.);
    rig_deinit(&rig);
}

static void script_restarted(struct rig *rig)
{
    rig_start(rig);
    for (int i = 0; i < 20; i++) /* whatever the sequence number is just now */
        assert_int_equal(board_send(rig->board[0], board_command(rig->board[0], "debug_nop"), BOARD_NO_ARGS,
                                    (struct board_timing){0}),
                         OK);
    assert_int_equal(fiber_sleep(0.05 + 0.11 * (double)*(unsigned *)rig->data), OK);
    sim_board_power_cycle(rig->sim[0]);
    assert_int_equal(fiber_sleep(1.), OK);
    assert_int_equal(rig->event_count, 1);
    assert_int_equal(rig->event.kind, BOARD_EVENT_RESTARTED);
    assert_string_equal(rig->event.text, "MCU 'mcu' spontaneous restart");
}

static void test_restarted(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 17; i++) {
        struct rig rig;
        rig_init(&rig, 100 + i);
        rig_add(&rig, "mcu", NULL, NULL);
        rig.data = &i;
        rig_run(&rig, script_restarted, 30.);
        rig_deinit(&rig);
    }
}

/* ---- emergency stop ---- */

static void script_stop(struct rig *rig)
{
    rig_start(rig);
    /* A lane full of work that must not be in the way. */
    struct board_msg msg;
    struct board *b = rig->board[0];
    assert_int_equal(board_encode(board_command(b, "debug_ping data=%*s"), BOARD_NO_ARGS,
                                  "0123456789012345678901234567890123456789", 40, &msg),
                     OK);
    struct board_lane *lane = rig->data;
    while (board_lane_push(lane, &msg, (struct board_timing){0}) == OK)
        ;
    boards_wake(rig->boards);
    assert_int_equal(fiber_sleep(0.001), OK);
    while (board_lane_push(lane, &msg, (struct board_timing){0}) == OK)
        ;
    struct host_ns stop_at = fiber_now();
    boards_emergency_stop(rig->boards, "test");
    while (rig->event_count < rig->count)
        assert_int_equal(fiber_sleep(0.0005), OK);
    double s = host_ns_diff_s(fiber_now(), stop_at);
    print_message("all boards have stopped after %.4f s\n", s);
    assert_true(s < 0.050); /* bytes already on the wire of a 250 kbit/s board: up to 15 blocks there, replies back */
    for (size_t i = 0; i < rig->count; i++) {
        struct sim_board_stats stats;
        sim_board_get_stats(rig->sim[i], &stats);
        assert_true(stats.is_shut_down);
        assert_string_equal(stats.shutdown_reason, "Command request");
    }
    assert_string_equal(rig->event.reason, "Command request");
}

static void test_stop(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 9);
    struct sim_board_options sim = {
        .clock_hz = 16000000, .serial_baud = 250000, .rx_buffer_bytes = 192, .tx_buffer_bytes = 96};
    rig_add(&rig, "mcu", &sim, NULL);
    rig_add(&rig, "tool", NULL, NULL);
    rig.data = board_lane_create(rig.board[0], &rig.machine, 8192);
    rig_run(&rig, script_stop, 30.);
    rig_deinit(&rig);
}

/* ---- responses and queries on a bad wire ---- */

static void script_bad_wire(struct rig *rig)
{
    struct err_info info = {{0}};
    struct board *b = rig->board[0];
    unsigned clocks = 0;
    rig_start(rig);
    board_on_reply(b, NULL, board_response(b, "clock clock=%u"), -1, on_clock, &clocks);
    unsigned good = 0;
    for (int i = 0; i < 100; i++) {
        struct board_reply reply;
        uint8_t text[16];
        snprintf((char *)text, sizeof(text), "%07d", i);
        enum err err = board_query(b, board_command(b, "debug_ping data=%*s"), BOARD_NO_ARGS, text, 8,
                                   (struct board_timing){0}, board_response(b, "pong data=%*s"), -1, &reply, &info);
        assert_int_equal(err, OK);
        good += reply.data_bytes == 8 && memcmp(reply.data, text, 8) == 0;
    }
    assert_int_equal(fiber_sleep(20.), OK);
    struct board_stats stats = board_stats(b);
    print_message("%u of 100 answers, %u clocks, %llu faults, %llu bytes again, %llu invalid\n", good, clocks,
                  (unsigned long long)stats.faults_injected, (unsigned long long)stats.bytes_retransmit,
                  (unsigned long long)stats.bytes_invalid);
    assert_int_equal(good, 100); /* also where answers come twice: none is taken for another question's */
    assert_true(clocks > 8);
    assert_int_equal(rig->event_count, 0);
    /* The clock survived it. */
    double error_s = rig_clock_error_s(rig, 0);
    print_message("clock error %.6f s\n", error_s);
    assert_true(error_s > -0.006 && error_s < 0.006);
}

static void test_bad_wire(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct rig rig;
        rig_init(&rig, seed);
        struct board_faults faults = {.seed = seed,
                                      .tx_loss = .02,
                                      .tx_corrupt = .02,
                                      .tx_cut = .01,
                                      .tx_duplicate = .01,
                                      .rx_loss = .02,
                                      .rx_corrupt = .02,
                                      .rx_cut = .01,
                                      .rx_duplicate = .01,
                                      .rx_reorder = .01,
                                      .delay_max_s = .004};
        struct sim_board_options sim = {.drift_ppm = 80., .start_clock = 0xfff00000};
        print_message("seed %llu: ", (unsigned long long)seed);
        rig_add(&rig, "mcu", &sim, &faults);
        rig_run(&rig, script_bad_wire, 200.);
        rig_deinit(&rig);
    }
}

/* A long move on a board with few move items, over a bad wire: every step arrives, none late, never an item too many.
 */
struct move {
    struct board_lane *lane;
    unsigned oid;
    int32_t expected;
};

static void script_move(struct rig *rig)
{
    struct move *move = rig->data;
    struct err_info info = {{0}};
    struct board *b = rig->board[0];
    rig_expect_ok(board_connect(b, &info), &info);
    move->oid = board_oid(b);
    board_config(b, BOARD_CONFIG, "config_stepper oid=%u step_pin=PA2 dir_pin=PA3 invert_step=0 step_pulse_ticks=100",
                 move->oid);
    rig_expect_ok(board_configure(b, true, &info), &info);
    assert_int_equal(fiber_sleep(2.), OK);
    const struct board_format *dir = board_command(b, "set_next_step_dir oid=%c dir=%c");
    const struct board_format *step = board_command(b, "queue_step oid=%c interval=%u count=%hu add=%hi");
    struct board_msg msg;
    struct rng rng;
    rng_init(&rng, 4);
    uint64_t clock = 0, ahead = (uint64_t)(0.4 * board_freq_hz(b));
    for (int i = 0; i < 1500; i++) {
        while (clock > board_ticks_now(b, fiber_now()).t + ahead)
            assert_int_equal(fiber_sleep(0.05), OK);
        bool forward = rng_below(&rng, 2);
        uint32_t count = (uint32_t)(1 + rng_below(&rng, 12)), interval = (uint32_t)(64000 + rng_below(&rng, 64000));
        uint64_t start = clock;
        if (i == 0) {
            start = board_ticks_now(b, fiber_now()).t + ahead;
            assert_int_equal(board_encode(board_command(b, "reset_step_clock oid=%c clock=%u"),
                                          BOARD_ARGS(move->oid, (uint32_t)start), NULL, 0, &msg),
                             OK);
            assert_int_equal(board_lane_push(move->lane, &msg, (struct board_timing){.req_clock = start}), OK);
        }
        clock = start + (uint64_t)interval * count;
        assert_int_equal(board_encode(dir, BOARD_ARGS(move->oid, forward), NULL, 0, &msg), OK);
        assert_int_equal(board_lane_push(move->lane, &msg, (struct board_timing){.req_clock = start}), OK);
        assert_int_equal(board_encode(step, BOARD_ARGS(move->oid, interval, count, 0), NULL, 0, &msg), OK);
        assert_int_equal(
            board_lane_push(move->lane, &msg, (struct board_timing){.req_clock = start, .slot_until = clock}), OK);
        boards_wake(rig->boards);
        move->expected += forward ? (int32_t)count : -(int32_t)count;
    }
    assert_int_equal(fiber_sleep(2.), OK);
    struct board_reply reply;
    rig_expect_ok(board_query(b, board_command(b, "stepper_get_position oid=%c"), BOARD_ARGS(move->oid), NULL, 0,
                              (struct board_timing){0}, board_response(b, "stepper_position oid=%c pos=%i"),
                              (int)move->oid, &reply, &info),
                  &info);
    if (rig->event_count)
        fail_msg("%s", rig->event.text);
    assert_int_equal(board_reply_i32(&reply, "pos"), move->expected);
    struct board_stats stats = board_stats(b);
    print_message("position %d, %llu faults, %llu blocks late, by at most %.4f s\n", move->expected,
                  (unsigned long long)stats.faults_injected, (unsigned long long)stats.blocks_late,
                  stats.lateness_max_s);
}

static void test_move_on_a_bad_wire(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct rig rig;
        rig_init(&rig, seed);
        struct board_faults faults = {.seed = seed,
                                      .tx_loss = .01,
                                      .tx_corrupt = .01,
                                      .tx_cut = .005,
                                      .tx_duplicate = .01,
                                      .rx_loss = .01,
                                      .rx_corrupt = .01,
                                      .rx_cut = .005,
                                      .rx_duplicate = .01,
                                      .rx_reorder = .01,
                                      .delay_max_s = .002};
        struct sim_board_options sim = {
            .drift_ppm = 120. * (double)(seed % 3) - 120., .start_clock = 0xf8000000, .move_count_max = 40};
        struct move move = {.lane = NULL};
        rig_add(&rig, "mcu", &sim, &faults);
        move.lane = board_lane_create(rig.board[0], &rig.machine, 65536);
        rig.data = &move;
        rig_run(&rig, script_move, 200.);
        rig_deinit(&rig);
    }
}

static void script_cancel(struct rig *rig)
{
    struct err_info info = {{0}};
    struct board_reply reply;
    struct board *b = rig->board[0];
    rig_start(rig);
    fiber_cancel(fiber_current());
    assert_int_equal(board_query(b, board_command(b, "get_clock"), BOARD_NO_ARGS, NULL, 0, (struct board_timing){0},
                                 board_response(b, "clock clock=%u"), -1, &reply, &info),
                     ERR_CANCELLED);
    fiber_clear_cancel(fiber_current());
    for (int i = 0; i < 300; i++) /* nothing is used up by the one that was abandoned */
        rig_expect_ok(
            board_send_wait(b, board_command(b, "debug_nop"), BOARD_NO_ARGS, NULL, 0, (struct board_timing){0}, &info),
            &info);
}

static void test_cancel(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 11);
    rig_add(&rig, "mcu", NULL, NULL);
    rig_run(&rig, script_cancel, 30.);
    rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect),
        cmocka_unit_test(test_slow_board),
        cmocka_unit_test(test_bad_config),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_too_few_moves),
        cmocka_unit_test(test_no_board),
        cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_restarted),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_bad_wire),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_move_on_a_bad_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
