/* The engine on simulated boards in virtual time: the stream, its order, its waits, its refusals. */
#include "tests/unit/motion/engine_rig.h"

static struct machine machine;

static struct machine *fresh(void)
{
    memset(&machine, 0, sizeof machine);
    return &machine;
}

static const struct engine_source none = ENGINE_SOURCE_NONE;

/* ------------------------------------------------------------------------------------------------------------ moves */

static void body_moves(struct machine *m)
{
    machine_go(m, 10, 0, 0, 0, 100);
    machine_go(m, 10, 20, 0, 1, 100);
    machine_go(m, 0, 0, 1, 1, 50);
    machine_go(m, 0, 0, 1, 0.2, 50);
    machine_sync(m);
    expect_at(m, 0, 0, 1, 0.2);
}

static void test_moves(void **state)
{
    (void)state;
    struct machine *m = fresh();
    machine_run(m, 1, 1, NULL, body_moves, 60.);
    assert_true(m->motor[MOTOR_X].step_count == 1600);
    struct engine_status status;
    engine_get_status(m->engine, runtime_now(m->rig.rt), &status);
    assert_int_equal(status.moves, 4);
    assert_int_equal(status.late_count, 0);
    assert_int_equal(status.stalls, 0);
    assert_true(status.is_idle);
    assert_true(status.min_step_lead_us >= 90000); /* nothing reaches a board later than 0.1 s before its time */
    assert_true(status.max_step_lead_us <= 310000); /* nothing is committed beyond the horizon */
    machine_end(m);
}

/* A long wall of moves: the stream refuses before it runs far ahead, and never runs dry. */
static void body_flow(struct machine *m)
{
    struct err_info info;
    for (int i = 0; i < 400; i++) {
        machine_go(m, i % 2 ? 20 : 0, (i % 7) * 3, 0, 0, 200);
        struct engine_status status;
        engine_get_status(m->engine, fiber_now(), &status);
        assert_true(status.buffer_s < ENGINE_BUFFER_S + 0.5);
    }
    rig_expect_ok(engine_wait_executed(m->engine, none, &info), &info);
}

static void test_flow(void **state)
{
    (void)state;
    struct machine *m = fresh();
    machine_run(m, 2, 1, NULL, body_flow, 200.);
    struct engine_status status;
    engine_get_status(m->engine, runtime_now(m->rig.rt), &status);
    assert_int_equal(status.stalls, 0);
    machine_end(m);
}

/* --------------------------------------------------------------------------------------------------------- refusals */

static bool is_cold(void *ctx)
{
    (void)ctx;
    return false;
}

static void expect_refusal(struct machine *m, double x, double y, double z, double e, double speed, enum err err,
                           const char *text)
{
    struct err_info info = {{0}};
    double before[ENGINE_AXES_MAX], after[ENGINE_AXES_MAX];
    engine_commanded_position(m->engine, before);
    assert_int_equal(machine_move(m, x, y, z, e, speed, none, &info), err);
    assert_string_equal(info.text, text);
    engine_commanded_position(m->engine, after);
    assert_memory_equal(before, after, sizeof before);
}

static void body_refusals(struct machine *m)
{
    (void)is_cold;
    expect_refusal(m, 221, 0, 0, 0, 100, ERR_LIMIT, "Move out of range: 221.000 0.000 0.000 [0.000]");
    expect_refusal(m, 0, 0, 0, 101, 100, ERR_LIMIT,
                   "Extrude only move too long (101.000mm vs 100.000mm)\nSee the 'max_extrude_only_distance' config option "
                   "for details");
    expect_refusal(m, 1, 0, 0, 5, 100, ERR_LIMIT,
                   "Move exceeds maximum extrusion (12.026mm^2 vs 0.640mm^2)\nSee the 'max_extrude_cross_section' config "
                   "option for details");
    expect_refusal(m, (double)NAN, 0, 0, 0, 100, ERR_INVALID, "Move to an impossible position: nan 0 0 [0]");
    expect_refusal(m, 1e300, 0, 0, 0, 100, ERR_INVALID, "Move to an impossible position: 1e+300 0 0 [0]");
    expect_refusal(m, 1, 0, 0, 0, 0, ERR_INVALID, "Invalid speed in '0.000'");
    engine_clear_homed(m->engine, 2);
    expect_refusal(m, 1, 1, 0, 0, 100, ERR_STATE, "Must home axis first: 1.000 1.000 0.000 [0.000]");
    machine_go(m, 1, 0, 0, 0, 100);
    machine_sync(m);
    expect_at(m, 1, 0, 0, 0);
}

static void test_refusals(void **state)
{
    (void)state;
    struct machine *m = fresh();
    machine_run(m, 3, 1, NULL, body_refusals, 60.);
    machine_end(m);
}

/* --------------------------------------------------------------------------------------------------- order in time */

static void fan(struct machine *m, int64_t on)
{
    const int64_t args[] = {m->fan_oid, 0, on};
    AWAIT(m, engine_output(m->engine, m->fan, args, 3, none, &await_info));
}

static void body_outputs(struct machine *m)
{
    for (int i = 0; i < 40; i++) {
        machine_go(m, 5.0 * (i + 1), (i % 3) * 2, 0, 0, 80);
        fan(m, (i + 1) % 2);
    }
    machine_sync(m);
}

/* The fan switches exactly when the toolhead passes the end of the move before it. */
static void test_outputs_in_order(void **state)
{
    (void)state;
    struct machine *m = fresh();
    machine_run(m, 4, 1, NULL, body_outputs, 60.);
    assert_true(m->fan_count >= 40);
    size_t first = m->fan_count - 40;
    for (size_t i = 0; i < 40; i++) {
        const double x = motor_mm_at(m, MOTOR_X, m->fan_log[first + i].time_s);
        const double y = motor_mm_at(m, MOTOR_Y, m->fan_log[first + i].time_s);
        assert_int_equal(m->fan_log[first + i].level > 0, (i + 1) % 2);
        assert_true(fabs(x - 5.0 * (double)(i + 1)) <= 0.0126);
        assert_true(fabs(y - (double)(i % 3) * 2) <= 0.0126);
    }
    machine_end(m);
}

static void body_interval(struct machine *m)
{
    machine_go(m, 20, 0, 0, 0, 50);
    for (int i = 0; i < 9; i++)
        fan(m, (i + 1) % 2); /* all at one place: first and last arrive, an interval apart */
    machine_go(m, 40, 0, 0, 0, 50);
    machine_sync(m);
}

static void test_output_interval(void **state)
{
    (void)state;
    struct machine *m = fresh();
    machine_run(m, 5, 1, NULL, body_interval, 60.);
    /* off at configuration, then on; the last value is on again, so the pin changes once */
    size_t changes = 0;
    for (size_t i = 0; i < m->fan_count; i++)
        changes += m->fan_log[i].level > 0;
    assert_true(changes >= 1);
    assert_true(m->fan_log[m->fan_count - 1].level > 0);
    machine_end(m);
}

static struct print_time planned_at;
static double planned_host_s, executed_host_s;

static void body_fences(struct machine *m)
{
    struct err_info info = {{0}};
    machine_go(m, 100, 0, 0, 0, 100);
    double from = (double)fiber_now().ns * 1e-9;
    rig_expect_ok(engine_wait_planned(m->engine, none, &planned_at, &info), &info);
    planned_host_s = (double)fiber_now().ns * 1e-9 - from;
    rig_expect_ok(engine_wait_executed(m->engine, none, &info), &info);
    executed_host_s = (double)fiber_now().ns * 1e-9 - from;
    AWAIT(m, engine_mark(m->engine, 77, none, &await_info));
    AWAIT(m, engine_dwell(m->engine, 0.5, none, &await_info));
    AWAIT(m, engine_mark(m->engine, 78, none, &await_info));
    machine_go(m, 0, 0, 0, 0, 100);
    machine_sync(m);
}

static void test_fences(void **state)
{
    (void)state;
    struct machine *m = fresh();
    machine_run(m, 6, 1, NULL, body_fences, 60.);
    assert_true(planned_host_s < 0.2);
    assert_true(executed_host_s > 1.0 && executed_host_s < 1.6);
    assert_true(fabs(motor_mm_at(m, MOTOR_X, planned_at.s) - 100) < 0.02);
    double mark_s[2] = {0};
    size_t marks = 0, started = 0, drained = 0;
    for (size_t i = 0; i < m->event_count; i++) {
        if (m->events[i].kind == ENGINE_EVENT_MARK)
            mark_s[marks++] = m->events[i].at.s;
        started += m->events[i].kind == ENGINE_EVENT_STARTED;
        drained += m->events[i].kind == ENGINE_EVENT_DRAINED;
    }
    assert_int_equal(marks, 2);
    assert_true(mark_s[1] - mark_s[0] >= 0.5);
    assert_int_equal(started, 2);
    assert_true(drained >= 1);
    machine_end(m);
}

/* ---------------------------------------------------------------------------------------------------------- motors */

static void body_motors(struct machine *m)
{
    for (int i = 0; i < MOTOR_COUNT; i++)
        assert_false(engine_stepper_is_on(m->stepper[i]));
    machine_go(m, 10, 0, 0, 0, 100);
    machine_sync(m);
    assert_true(engine_stepper_is_on(m->stepper[MOTOR_X]));
    assert_false(engine_stepper_is_on(m->stepper[MOTOR_Y]));
    AWAIT(m, engine_motor_enable(m->engine, NULL, false, none, &await_info));
    machine_sync(m);
    assert_int_equal(fiber_sleep(0.3), OK);
    assert_false(engine_stepper_is_on(m->stepper[MOTOR_X]));
    assert_int_equal(sim_board_level(m->rig.sim[0], machine_pin(m, 0, "PC0")), 0);
    /* off, and on again by the next move, all appended at once */
    machine_go(m, 20, 0, 0, 0, 100);
    AWAIT(m, engine_motor_enable(m->engine, m->stepper[MOTOR_X], false, none, &await_info));
    machine_go(m, 30, 5, 0, 0, 100);
    machine_sync(m);
    assert_true(engine_stepper_is_on(m->stepper[MOTOR_X]));
    assert_true(engine_stepper_is_on(m->stepper[MOTOR_Y]));
    assert_true(sim_board_level(m->rig.sim[0], machine_pin(m, 0, "PC0")) > 0);
    expect_at(m, 30, 5, 0, 0);
}

static void test_motors(void **state)
{
    (void)state;
    struct machine *m = fresh();
    machine_run(m, 7, 1, NULL, body_motors, 60.);
    machine_end(m);
}

/* ------------------------------------------------------------------------------------------------- transactions */

static void body_transactions(struct machine *m)
{
    struct err_info info = {{0}};
    machine_go(m, 50, 0, 0, 0, 100);
    /* X is said to be at 0: the motor stays, later moves are relative to that */
    AWAIT(m, engine_set_position(m->engine, (const double[ENGINE_AXES_MAX]){0, 0, 0, 0}, 1, none, &await_info));
    machine_go(m, 10, 5, 0, 0, 100);
    machine_sync(m);
    expect_at(m, 60, 5, 0, 0);
    /* a force move goes and the toolhead knows nothing of it */
    AWAIT(m, engine_force_move(m->engine, m->stepper[MOTOR_Y], 3.0, 20, 100, none, &await_info));
    machine_go(m, 10, 15, 0, 0, 100);
    machine_sync(m);
    expect_at(m, 60, 18, 0, 0);
    struct engine_stepper_position p;
    rig_expect_ok(engine_stepper_position_at(m->engine, m->stepper[MOTOR_Y], (struct print_time){(double)INFINITY}, &p,
                                             &info), &info);
    assert_int_equal(p.steps, m->motor[MOTOR_Y].count);
    assert_true(fabs(p.commanded_mm - 15) < 0.0063);
    /* the extruder's motor follows nothing, then its queue again */
    AWAIT(m, engine_bind(m->engine, m->stepper[MOTOR_E], NULL, none, &await_info));
    machine_go(m, 20, 15, 0, 0.5, 100);
    AWAIT(m, engine_bind(m->engine, m->stepper[MOTOR_E], m->extruder, none, &await_info));
    machine_go(m, 30, 15, 0, 1.0, 100);
    machine_sync(m);
    expect_at(m, 80, 18, 0, 0.5);
    /* pressure advance on and off in mid-stream */
    AWAIT(m, engine_set_pressure_advance(m->engine, m->stepper[MOTOR_E], 0.05, 0.04, none, &await_info));
    machine_go(m, 40, 15, 0, 1.5, 100);
    AWAIT(m, engine_set_pressure_advance(m->engine, m->stepper[MOTOR_E], 0.08, 0.04, none, &await_info));
    machine_go(m, 50, 15, 0, 2.0, 100);
    AWAIT(m, engine_set_pressure_advance(m->engine, m->stepper[MOTOR_E], 0, 0.04, none, &await_info));
    const struct engine_shaper shapers[3] = {{.kind = ENGINE_SHAPER_MZV, .freq_hz = 50, .damping_ratio = 0.1},
                                             {.kind = ENGINE_SHAPER_EI, .freq_hz = 40, .damping_ratio = 0.1}};
    AWAIT(m, engine_set_shapers(m->engine, shapers, none, &await_info));
    machine_go(m, 60, 25, 0, 2.0, 100);
    AWAIT(m, engine_set_step_dist(m->engine, m->stepper[MOTOR_E], 0.004, none, &await_info));
    machine_go(m, 60, 25, 0, 4.0, 20);
    machine_sync(m);
    expect_at(m, 110, 28, 0, 2.5); /* 2 mm of filament with twice the step distance is 1 mm of the old steps */
}

static void test_transactions(void **state)
{
    (void)state;
    struct machine *m = fresh();
    machine_run(m, 8, 1, NULL, body_transactions, 60.);
    machine_end(m);
}

/* ----------------------------------------------------------------------------------------------------- emergency */

static void body_stop(struct machine *m)
{
    struct err_info info = {{0}};
    machine_go(m, 200, 0, 0, 0, 50);
    assert_int_equal(fiber_sleep(1.0), OK);
    engine_stop(m->engine);
    const struct engine_move move = {.pos = {0, 0, 0, 0}, .speed_mm_s = 50, .source = none};
    assert_int_equal(engine_move(m->engine, &move, &info), ERR_SHUTDOWN);
    assert_int_equal(engine_wait_executed(m->engine, none, &info), ERR_SHUTDOWN);
    assert_int_equal(engine_wait_room(m->engine), ERR_SHUTDOWN);
    const int64_t at = m->motor[MOTOR_X].count;
    assert_int_equal(fiber_sleep(2.0), OK);
    /* what was on its way is executed, no more than the horizon */
    assert_true(fabs((double)(m->motor[MOTOR_X].count - at)) * 0.0125 <= 50 * 0.35);
}

static void test_stop(void **state)
{
    (void)state;
    struct machine *m = fresh();
    machine_run(m, 9, 1, NULL, body_stop, 60.);
    machine_end(m);
}

/* ------------------------------------------------------------------------------------------------- several boards */

/* A board of 8 MHz with room for eight step messages beside what its outputs need: corners of many short moves fill it again and
 * again, and every step arrives in time. */
static void body_small_board(struct machine *m)
{
    for (int i = 0; i < 600; i++)
        machine_go(m, 10 + 5 * cos(i * 0.1), 10 + 5 * sin(i * 0.1), 0, i * 0.02, 40);
    machine_go(m, 0, 0, 0, 12, 40);
    machine_sync(m);
    expect_at(m, 0, 0, 0, 12);
}

static void test_small_board(void **state)
{
    (void)state;
    struct machine *m = fresh();
    m->main_clock_hz = 8000000;
    m->main_moves = 72;
    machine_run(m, 12, 1, NULL, body_small_board, 200.);
    struct engine_status status;
    engine_get_status(m->engine, runtime_now(m->rig.rt), &status);
    assert_int_equal(status.late_count, 0);
    assert_int_equal(board_step_slots(m->rig.board[0]), 8);
    assert_true(m->motor[MOTOR_X].step_count > 9 * 4 * 5 * 80);
    machine_end(m);
}

static void test_two_boards(void **state)
{
    (void)state;
    struct machine *m = fresh();
    m->board_of[MOTOR_E] = 1;
    m->board_of[MOTOR_Y] = 1;
    machine_run(m, 10, 2, NULL, body_flow, 200.);
    /* X and Y on different clocks stay together: at each end of a move both are where they should be */
    const struct motor *x = &m->motor[MOTOR_X];
    for (size_t i = 1; i + 1 < x->step_count; i++)
        if (x->steps[i].count == 1600 && x->steps[i + 1].count == 1599) {
            const double y = motor_mm_at(m, MOTOR_Y, x->steps[i].time_s);
            assert_true(fabs(y / 3 - round(y / 3)) * 3 < 0.1);
        }
    machine_end(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_flow),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_outputs_in_order),
        cmocka_unit_test(test_output_interval),
        cmocka_unit_test(test_fences),
        cmocka_unit_test(test_motors),
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_small_board), cmocka_unit_test(test_two_boards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
