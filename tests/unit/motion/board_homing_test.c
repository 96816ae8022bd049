/* Triggers over one and two simulated boards: an endstop on the first stops the steppers of both. */
#include "tests/unit/motion/board_rig.h"

struct homing {
    struct board_trigger *trigger;
    unsigned endstop_oid, stepper_oid[2];
    uint64_t trigger_clock; /* of the endstop's board; when its pin goes high */
    struct board_trigger_result end, stopped;
    bool has_ended, has_stopped;
    bool silence_second; /* the second board goes silent on the way */
    bool shut_second_down;
    double lost_share;
    int32_t position[2];
    unsigned expected_reason;
    enum err expected_result;
};

static uint32_t endstop_pin(void *ctx, struct mcu_ticks clock)
{
    struct homing *h = ctx;
    return h->trigger_clock && clock.t >= h->trigger_clock;
}

static void on_end(void *ctx, const struct board_trigger_result *result)
{
    struct homing *h = ctx;
    assert_false(h->has_ended);
    h->end = *result;
    h->has_ended = true;
}

static void on_stopped(void *ctx, const struct board_trigger_result *result)
{
    struct homing *h = ctx;
    h->stopped = *result;
    h->has_stopped = true;
}

static void describe(struct rig *rig, struct homing *h)
{
    struct err_info info = {{0}};
    for (size_t i = 0; i < rig->count; i++)
        rig_expect_ok(board_connect(rig->board[i], &info), &info);
    h->trigger = board_trigger_create(rig->boards, NULL);
    h->endstop_oid = board_oid(rig->board[0]);
    board_config(rig->board[0], BOARD_CONFIG, "config_endstop oid=%u pin=PA0 pull_up=0", h->endstop_oid);
    for (size_t i = 0; i < rig->count; i++) {
        h->stepper_oid[i] = board_oid(rig->board[i]);
        board_config(rig->board[i], BOARD_CONFIG,
                     "config_stepper oid=%u step_pin=PB0 dir_pin=PB1 invert_step=0 step_pulse_ticks=10",
                     h->stepper_oid[i]);
        board_trigger_add_stepper(h->trigger, rig->board[i], h->stepper_oid[i]);
    }
    for (size_t i = 0; i < rig->count; i++)
        rig_expect_ok(board_configure(rig->board[i], true, &info), &info);
    sim_board_set_input(rig->sim[0], sim_board_pin(rig->sim[0], "PA0"), endstop_pin, h);
}

static void push(struct board_lane *lane, const char *format, const int64_t *args, size_t count, uint64_t req)
{
    struct board_msg msg;
    assert_int_equal(board_encode(board_command(board_lane_board(lane), format), args, count, NULL, 0, &msg), OK);
    assert_int_equal(board_lane_push(lane, &msg, (struct board_timing){.req_clock = req}), OK);
}

/* Steps at 1 kHz from `start` on, for `seconds`. */
static void push_steps(struct rig *rig, struct homing *h, size_t i, struct print_time start, double seconds)
{
    struct board_lane *lane = board_trigger_lane(h->trigger, rig->board[i]);
    uint64_t clock = board_ticks_at(rig->board[i], start).t;
    int64_t interval = (int64_t)(board_freq_hz(rig->board[i]) / 1000.);
    push(lane, "reset_step_clock oid=%c clock=%u", BOARD_ARGS(h->stepper_oid[i], (uint32_t)clock), clock);
    push(lane, "set_next_step_dir oid=%c dir=%c", BOARD_ARGS(h->stepper_oid[i], 1), clock);
    push(lane, "queue_step oid=%c interval=%u count=%hu add=%hi",
         BOARD_ARGS(h->stepper_oid[i], interval, (int64_t)(seconds * 1000.), 0), clock);
}

static int32_t position(struct rig *rig, struct homing *h, size_t i)
{
    struct err_info info;
    struct board_reply reply;
    struct board *b = rig->board[i];
    rig_expect_ok(board_query(b, board_command(b, "stepper_get_position oid=%c"), BOARD_ARGS(h->stepper_oid[i]), NULL,
                              0, (struct board_timing){0}, board_response(b, "stepper_position oid=%c pos=%i"),
                              (int)h->stepper_oid[i], &reply, &info),
                  &info);
    return board_reply_i32(&reply, "pos");
}

static void arm(struct rig *rig, struct homing *h, struct print_time start)
{
    h->has_ended = h->has_stopped = false;
    assert_int_equal(board_trigger_start(h->trigger, fiber_now(), start, on_end, h), OK);
    assert_int_equal(board_trigger_start(h->trigger, fiber_now(), start, on_end, h), ERR_STATE);
    uint64_t clock = board_ticks_at(rig->board[0], start).t;
    push(board_trigger_lane(h->trigger, rig->board[0]),
         "endstop_home oid=%c clock=%u sample_ticks=%u sample_count=%c rest_ticks=%u pin_value=%c trsync_oid=%c "
         "trigger_reason=%c",
         BOARD_ARGS(h->endstop_oid, (uint32_t)clock, 960, 4, 32000, 1, board_trigger_oid(h->trigger, rig->board[0]),
                    BOARD_TRIGGER_ENDSTOP),
         clock);
    for (size_t i = 0; i < rig->count; i++)
        push_steps(rig, h, i, start, 3.);
    board_trigger_set_end(h->trigger, (struct print_time){start.s + 3.});
    boards_wake(rig->boards);
}

static void wait_for(struct rig *rig, const bool *flag)
{
    for (int i = 0; i < 6000 && !*flag; i++) {
        assert_int_equal(fiber_sleep(0.001), OK);
        boards_calibrate(rig->boards, fiber_now(), boards_est_print_time(rig->boards, fiber_now()));
    }
    assert_true(*flag);
}

static void script_home(struct rig *rig)
{
    struct homing *h = rig->data;
    describe(rig, h);
    assert_int_equal(fiber_sleep(1.5), OK);
    for (int round = 0; round < 3; round++) {
        struct print_time start = {boards_est_print_time(rig->boards, fiber_now()).s + 0.25};
        int32_t before[2] = {0, 0};
        for (size_t i = 0; i < rig->count; i++)
            before[i] = position(rig, h, i);
        h->trigger_clock = board_ticks_at(rig->board[0], (struct print_time){start.s + 0.7}).t;
        arm(rig, h, start);
        wait_for(rig, &h->has_ended);
        assert_int_equal(h->end.result, OK);
        assert_int_equal(h->end.reason, BOARD_TRIGGER_ENDSTOP);
        assert_int_equal(h->end.board_index, 0);
        board_trigger_stop(h->trigger, on_stopped, h);
        wait_for(rig, &h->has_stopped);
        assert_int_equal(h->stopped.result, OK);
        assert_int_equal(h->stopped.reason, BOARD_TRIGGER_ENDSTOP);
        for (size_t i = 0; i < rig->count; i++)
            h->position[i] = position(rig, h, i) - before[i];
        /* The endstop's own board stops at the trigger, the other within the expire time. */
        assert_true(h->position[0] >= 699 && h->position[0] <= 701);
        if (rig->count > 1)
            assert_true(h->position[1] >= 699 && h->position[1] <= 726);
        print_message("round %d: %d and %d steps\n", round, h->position[0], h->position[1]);
    }
    assert_int_equal(rig->event_count, 0);
}

static void test_one_board(void **state)
{
    (void)state;
    struct rig rig;
    struct homing h = {.trigger_clock = 0};
    rig_init(&rig, 1);
    rig_add(&rig, "mcu", NULL, NULL);
    rig.data = &h;
    rig_run(&rig, script_home, 60.);
    rig_deinit(&rig);
}

static void test_two_boards(void **state)
{
    (void)state;
    struct rig rig;
    struct homing h = {.trigger_clock = 0};
    rig_init(&rig, 2);
    struct sim_board_options second = {.clock_hz = 16000000, .drift_ppm = -150., .start_clock = 0xffff0000};
    rig_add(&rig, "mcu", NULL, NULL);
    rig_add(&rig, "tool", &second, NULL);
    rig.data = &h;
    rig_run(&rig, script_home, 60.);
    rig_deinit(&rig);
}

/* The move ends, and no endstop was there. */
static void script_past_end(struct rig *rig)
{
    struct homing *h = rig->data;
    describe(rig, h);
    struct print_time start = {boards_est_print_time(rig->boards, fiber_now()).s + 0.25};
    arm(rig, h, start);
    wait_for(rig, &h->has_ended);
    assert_int_equal(h->end.reason, BOARD_TRIGGER_PAST_END);
    double late_s = boards_est_print_time(rig->boards, fiber_now()).s - (start.s + 3.);
    assert_true(late_s > 0. && late_s < 0.2);
    board_trigger_stop(h->trigger, on_stopped, h);
    wait_for(rig, &h->has_stopped);
    assert_int_equal(h->stopped.reason, BOARD_TRIGGER_PAST_END);
    assert_int_equal(position(rig, h, 0), 3000);
}

static void test_past_end(void **state)
{
    (void)state;
    struct rig rig;
    struct homing h = {.trigger_clock = 0};
    rig_init(&rig, 3);
    rig_add(&rig, "mcu", NULL, NULL);
    rig_add(&rig, "tool", NULL, NULL);
    rig.data = &h;
    rig_run(&rig, script_past_end, 60.);
    rig_deinit(&rig);
}

/* Cancelled on the way. */
static void script_cancel(struct rig *rig)
{
    struct homing *h = rig->data;
    describe(rig, h);
    struct print_time start = {boards_est_print_time(rig->boards, fiber_now()).s + 0.25};
    arm(rig, h, start);
    assert_int_equal(fiber_sleep(1.25), OK);
    board_trigger_stop(h->trigger, on_stopped, h);
    wait_for(rig, &h->has_stopped);
    assert_false(h->has_ended);
    assert_int_equal(h->stopped.result, OK);
    assert_int_equal(h->stopped.reason, BOARD_TRIGGER_HOST);
    int32_t at = position(rig, h, 0);
    assert_true(at > 950 && at < 1050);
    assert_int_equal(fiber_sleep(0.5), OK);
    assert_int_equal(position(rig, h, 0), at);
}

static void test_cancel(void **state)
{
    (void)state;
    struct rig rig;
    struct homing h = {.trigger_clock = 0};
    rig_init(&rig, 4);
    rig_add(&rig, "mcu", NULL, NULL);
    rig_add(&rig, "tool", NULL, NULL);
    rig.data = &h;
    rig_run(&rig, script_cancel, 60.);
    rig_deinit(&rig);
}

/* The second board falls silent: the first hears nothing of it any more and stops by itself within 25 ms. */
static void script_silent(struct rig *rig)
{
    struct homing *h = rig->data;
    describe(rig, h);
    assert_int_equal(fiber_sleep(1.5), OK);
    struct print_time start = {boards_est_print_time(rig->boards, fiber_now()).s + 0.25};
    arm(rig, h, start);
    assert_int_equal(fiber_sleep(0.25 + 0.5), OK);
    if (h->shut_second_down)
        sim_board_shut_down(rig->sim[1]);
    else
        sim_board_set_silent(rig->sim[1], true);
    wait_for(rig, &h->has_ended);
    assert_int_equal(h->end.result, h->expected_result);
    if (h->expected_result == OK)
        assert_int_equal(h->end.reason, h->expected_reason);
    board_trigger_stop(h->trigger, on_stopped, h);
    assert_int_equal(fiber_sleep(0.1), OK);
    int32_t at = position(rig, h, 0);
    print_message("the other board stopped after %d steps\n", at);
    assert_true(at >= 490 && at <= 535);
    wait_for(rig, &h->has_stopped); /* the silent board is lost in the end */
    assert_true(h->stopped.result == ERR_CLOSED || h->stopped.result == ERR_TIMEOUT || h->shut_second_down);
}

static void test_silent(void **state)
{
    (void)state;
    struct rig rig;
    struct homing h = {.expected_result = OK, .expected_reason = BOARD_TRIGGER_TIMEOUT};
    rig_init(&rig, 5);
    rig_add(&rig, "mcu", NULL, NULL);
    rig_add(&rig, "tool", NULL, NULL);
    rig.data = &h;
    rig_run(&rig, script_silent, 60.);
    rig_deinit(&rig);
}

static void test_board_shutdown(void **state)
{
    (void)state;
    struct rig rig;
    struct homing h = {.expected_result = ERR_SHUTDOWN, .shut_second_down = true};
    rig_init(&rig, 6);
    rig_add(&rig, "mcu", NULL, NULL);
    rig_add(&rig, "tool", NULL, NULL);
    rig.data = &h;
    rig_run(&rig, script_silent, 60.);
    rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_board), cmocka_unit_test(test_two_boards), cmocka_unit_test(test_past_end),
        cmocka_unit_test(test_cancel),    cmocka_unit_test(test_silent),     cmocka_unit_test(test_board_shutdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
