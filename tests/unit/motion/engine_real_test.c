/* The engine with a thread for each actor and the wall clock: a second of motion, a pause, a transaction, a probe. */
#include "tests/unit/motion/engine_rig.h"

static struct machine machine;
static const struct engine_source none = ENGINE_SOURCE_NONE, job = {10, 1, 0};

static void body_real(struct machine *m)
{
    struct err_info info = {{0}};
    for (int i = 0; i < 12; i++)
        rig_expect_ok(machine_move(m, i % 2 ? 4 : 0, i % 3, 0, 0.05 * i, 200, job, &info), &info);
    assert_int_equal(engine_hold(m->engine, &info), OK);
    while (!engine_is_held(m->engine))
        assert_int_equal(fiber_sleep(0.01), OK);
    AWAIT(m, engine_release(m->engine, &await_info));
    rig_expect_ok(machine_move(m, 0, 0, 0, 1, 200, job, &info), &info);
    AWAIT(m, engine_set_pressure_advance(m->engine, m->stepper[MOTOR_E], 0.02, 0.02, none, &await_info));
    rig_expect_ok(machine_move(m, 5, 5, 0, 1.2, 200, none, &info), &info);
    AWAIT(m, engine_output(m->engine, m->fan, (const int64_t[]){m->fan_oid, 0, 1}, 3, none, &await_info));
    rig_expect_ok(engine_wait_executed(m->engine, none, &info), &info);
    struct engine_status status;
    engine_get_status(m->engine, fiber_now(), &status);
    assert_int_equal(status.moves >= 13, 1);
    struct engine_home_request r = {.queue = engine_toolhead(m->engine), .pos = {5, 5, 1}, .speed_mm_s = 15,
                                    .until_triggered = true, .is_probe = true, .source = none};
    r.endstops[0] = m->endstop[2];
    r.endstop_count = 1;
    struct engine_home_result result;
    rig_expect_ok(engine_home(m->engine, &r, &result, &info), &info);
    assert_false(result.has_trigger[0]);
    assert_int_equal(fiber_sleep(0.1), OK);
}

static void test_real(void **state)
{
    (void)state;
    struct machine *m = &machine;
    m->is_real = true;
    m->start_pos[2] = 0;
    machine_run(m, 1, 1, NULL, body_real, 30.);
    struct engine_status status;
    engine_get_status(m->engine, runtime_now(m->rig.rt), &status);
    print_message("lead %.1f .. %.1f ms, late %u\n", status.min_step_lead_us * 1e-3, status.max_step_lead_us * 1e-3,
                  status.late_count);
    assert_int_equal(status.late_count, 0);
    engine_destroy(m->engine);
    rig_deinit(&m->rig); /* the boards' threads have ended: the motors can be looked at */
    expect_at(m, 5, 5, 1, 1.2);
    for (int i = 0; i < MOTOR_COUNT; i++)
        mem_free(m->motor[i].steps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_real)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
