/* Homing and probing against the simulated firmware: where it stops, what it says, and how it ends otherwise. */
#include "tests/unit/motion/engine_rig.h"

static struct machine machine;
static const struct engine_source none = ENGINE_SOURCE_NONE;

static struct machine *fresh(void)
{
    memset(&machine, 0, sizeof machine);
    return &machine;
}

static struct engine_home_request request(struct machine *m, double x, double y, double z, double speed)
{
    struct engine_home_request r = {.queue = engine_toolhead(m->engine), .pos = {x, y, z}, .speed_mm_s = speed,
                                    .until_triggered = true, .is_trigger_required = true, .source = none};
    return r;
}

static void set_position(struct machine *m, double x, double y, double z)
{
    AWAIT(m, engine_set_position(m->engine, (const double[ENGINE_AXES_MAX]){x, y, z}, 7, none, &await_info));
}

static void expect_commanded(struct machine *m, int axis, double mm, double tolerance)
{
    double pos[ENGINE_AXES_MAX];
    engine_commanded_position(m->engine, pos);
    if (fabs(pos[axis] - mm) > tolerance)
        fail_msg("axis %d is said to be at %.5f, not %.5f", axis, pos[axis], mm);
}

/* The motor starts at 50 mm of its own; the endstop triggers at 30. */
static void body_home(struct machine *m)
{
    struct err_info info = {{0}};
    m->endstop_mm[0] = 30;
    set_position(m, 100, 0, 0); /* anywhere: homing begins with a pretended position */
    struct engine_home_request r = request(m, 0, 0, 0, 25);
    r.endstops[0] = m->endstop[0];
    r.endstop_count = 1;
    struct engine_home_result result;
    rig_expect_ok(engine_home(m->engine, &r, &result, &info), &info);
    assert_int_equal(fiber_sleep(0.05), OK);
    assert_true(result.has_trigger[0]);
    assert_true(motor_mm(m, 0) <= 30 && motor_mm(m, 0) > 29.9);
    /* where it stopped is as far past 0 as it ran past the trigger */
    int64_t trigger = 0, halt = 0;
    for (unsigned i = 0; i < result.stepper_count; i++)
        if (result.steppers[i].stepper == m->stepper[0]) {
            trigger = result.steppers[i].trigger_steps;
            halt = result.steppers[i].halt_steps;
            break;
        }
    assert_int_equal(halt, m->motor[0].count);
    assert_true(llabs(halt - trigger) <= 3);
    expect_commanded(m, 0, (double)(halt - trigger) * 0.0125, 1e-9);
    const double at = motor_mm_at(m, 0, result.trigger_time[0].s);
    assert_true(fabs(at - 30) <= 0.0126);
    /* motion goes on from there */
    double pos[ENGINE_AXES_MAX];
    engine_commanded_position(m->engine, pos);
    machine_go(m, pos[0] + 10, 5, 0, 0, 100);
    machine_sync(m);
    assert_true(fabs(motor_mm(m, 0) - ((double)halt * 0.0125 + m->start_pos[0] + 10)) < 0.0063);
    assert_true(fabs(motor_mm(m, 1) - 5) < 0.0063);
}

static void test_home(void **state)
{
    (void)state;
    struct machine *m = fresh();
    m->start_pos[0] = 50;
    machine_run(m, 1, 1, NULL, body_home, 60.);
    machine_end(m);
}

/* Two endstops, each with its own motor: the second goes on until its own triggers. */
static void body_two(struct machine *m)
{
    struct err_info info = {{0}};
    m->endstop_mm[0] = 40;
    m->endstop_mm[1] = 20;
    set_position(m, 100, 100, 0);
    struct engine_home_request r = request(m, 0, 0, 0, 50);
    r.endstops[0] = m->endstop[0];
    r.endstops[1] = m->endstop[1];
    r.endstop_count = 2;
    struct engine_home_result result;
    rig_expect_ok(engine_home(m->engine, &r, &result, &info), &info);
    assert_int_equal(fiber_sleep(0.05), OK);
    assert_true(motor_mm(m, 0) <= 40 && motor_mm(m, 0) > 39.9);
    /* news of the trigger reach a motor on another board by way of the host */
    const double overrun = m->board_of[MOTOR_Y] == 0 ? 0.1 : 50 * 0.025;
    assert_true(motor_mm(m, 1) <= 20 && motor_mm(m, 1) > 20 - overrun);
    /* and the simulated switch sees that motor up to 20 ms late */
    expect_commanded(m, 1, motor_mm(m, 1) - 20, m->board_of[MOTOR_Y] == 0 ? 0.0126 : 50 * 0.02);
    double pos[ENGINE_AXES_MAX];
    engine_commanded_position(m->engine, pos);
    const double x = motor_mm(m, 0), y = motor_mm(m, 1);
    machine_go(m, pos[0] + 3, pos[1] + 4, 0, 0, 50);
    machine_sync(m);
    assert_true(fabs(motor_mm(m, 0) - x - 3) < 0.0063 && fabs(motor_mm(m, 1) - y - 4) < 0.0063);
}

static void test_two_endstops(void **state)
{
    (void)state;
    struct machine *m = fresh();
    m->start_pos[0] = m->start_pos[1] = 60;
    machine_run(m, 2, 1, NULL, body_two, 60.);
    machine_end(m);
}

static void test_two_endstops_two_boards(void **state)
{
    (void)state;
    struct machine *m = fresh();
    m->start_pos[0] = m->start_pos[1] = 60;
    m->board_of[MOTOR_Y] = 1; /* endstops on the first board, the Y motor on the second */
    machine_run(m, 3, 2, NULL, body_two, 60.);
    machine_end(m);
}

/* A probe: the toolhead is where it stopped, in its old coordinates; the result is where it triggered. */
static void body_probe(struct machine *m)
{
    struct err_info info = {{0}};
    m->endstop_mm[2] = 1.234;
    set_position(m, 10, 10, 8);
    struct engine_home_request r = request(m, 10, 10, -2, 5);
    r.endstops[0] = m->endstop[2];
    r.endstop_count = 1;
    r.is_probe = true;
    for (int i = 0; i < 3; i++) {
        struct engine_home_result result;
        rig_expect_ok(engine_home(m->engine, &r, &result, &info), &info);
        assert_int_equal(fiber_sleep(0.05), OK);
        assert_true(fabs(result.trigger_pos[2] - 1.234) <= 0.0026);
        expect_commanded(m, 2, motor_mm(m, 2), 0.0026);
        machine_go(m, 10, 10, 3, 0, 5);
        machine_sync(m);
        assert_true(fabs(motor_mm(m, 2) - 3) <= 0.0013);
    }
}

static void test_probe(void **state)
{
    (void)state;
    struct machine *m = fresh();
    m->start_pos[2] = 8;
    machine_run(m, 4, 1, NULL, body_probe, 60.);
    machine_end(m);
}

static void body_no_trigger(struct machine *m)
{
    struct err_info info = {{0}};
    m->endstop_is_dead[0] = true;
    struct engine_home_request r = request(m, 20, 0, 0, 50);
    r.endstops[0] = m->endstop[0];
    r.endstop_count = 1;
    struct engine_home_result result;
    assert_int_equal(engine_home(m->engine, &r, &result, &info), ERR_STATE);
    assert_string_equal(info.text, "No trigger on x after full movement");
    assert_int_equal(fiber_sleep(0.1), OK);
    expect_at(m, 20, 0, 0, 0);
    expect_commanded(m, 0, 20, 0.0063);
    machine_go(m, 5, 0, 0, 0, 50);
    machine_sync(m);
    expect_at(m, 5, 0, 0, 0);
}

static void test_no_trigger(void **state)
{
    (void)state;
    struct machine *m = fresh();
    machine_run(m, 5, 1, NULL, body_no_trigger, 60.);
    machine_end(m);
}

static enum err cancelled_err;
static bool is_home_over;

static void home_fiber(void *arg)
{
    struct machine *m = arg;
    struct err_info info = {{0}};
    struct engine_home_request r = request(m, 200, 0, 0, 20);
    r.endstops[0] = m->endstop[0];
    r.endstop_count = 1;
    struct engine_home_result result;
    cancelled_err = engine_home(m->engine, &r, &result, &info);
    is_home_over = true;
}

static void body_cancel(struct machine *m)
{
    is_home_over = false;
    struct fiber *f = fiber_spawn(m->rig.fibers, "home", home_fiber, m);
    assert_int_equal(fiber_sleep(2.0), OK);
    const double x = motor_mm(m, 0);
    const struct host_ns asked = fiber_now();
    fiber_cancel(f);
    while (!is_home_over)
        assert_int_equal(fiber_sleep(0.005), OK);
    assert_true(host_ns_diff_s(fiber_now(), asked) < 0.2);
    assert_int_equal(cancelled_err, ERR_CANCELLED);
    assert_int_equal(fiber_sleep(0.1), OK);
    assert_true(motor_mm(m, 0) - x < 20 * 0.2); /* it stopped at once */
    expect_commanded(m, 0, motor_mm(m, 0), 0.0063);
    const double at = motor_mm(m, 0);
    machine_go(m, at + 1, 1, 0, 0, 50);
    machine_sync(m);
    expect_at(m, at + 1, 1, 0, 0);
}

static void test_cancel(void **state)
{
    (void)state;
    struct machine *m = fresh();
    machine_run(m, 6, 1, NULL, body_cancel, 60.);
    machine_end(m);
}

/* Already triggered at the start: not a step is made. */
static void body_at_endstop(struct machine *m)
{
    struct err_info info = {{0}};
    m->endstop_mm[0] = 500;
    struct engine_home_request r = request(m, 20, 0, 0, 50);
    r.endstops[0] = m->endstop[0];
    r.endstop_count = 1;
    struct engine_home_result result;
    rig_expect_ok(engine_home(m->engine, &r, &result, &info), &info);
    assert_int_equal(m->motor[0].count, 0);
    /* away from it, until it releases */
    m->endstop_mm[0] = 3;
    r.until_triggered = false;
    r.pos[0] = 60;
    set_position(m, 20, 0, 0);
    rig_expect_ok(engine_home(m->engine, &r, &result, &info), &info);
    assert_int_equal(fiber_sleep(0.05), OK);
    assert_true(motor_mm(m, 0) >= 3 && motor_mm(m, 0) < 3.1);
}

static void test_at_endstop(void **state)
{
    (void)state;
    struct machine *m = fresh();
    machine_run(m, 7, 1, NULL, body_at_endstop, 60.);
    machine_end(m);
}

/* Homing with shapers and pressure advance in force: windows around the stop. */
static void body_shaped(struct machine *m)
{
    const struct engine_shaper shapers[3] = {{.kind = ENGINE_SHAPER_EI, .freq_hz = 40, .damping_ratio = 0.1},
                                             {.kind = ENGINE_SHAPER_MZV, .freq_hz = 50, .damping_ratio = 0.1}};
    AWAIT(m, engine_set_shapers(m->engine, shapers, none, &await_info));
    body_home(m);
}

static void test_shaped(void **state)
{
    (void)state;
    struct machine *m = fresh();
    m->start_pos[0] = 50;
    machine_run(m, 8, 1, NULL, body_shaped, 60.);
    machine_end(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_home),
        cmocka_unit_test(test_two_endstops),
        cmocka_unit_test(test_two_endstops_two_boards),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_no_trigger),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_at_endstop),
        cmocka_unit_test(test_shaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
