/* The engine on simulated boards in virtual time: the stream, its order, its waits. */
#include "tests/unit/motion/engine_rig.h"

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
    static struct machine m;
    memset(&m, 0, sizeof m);
    machine_run(&m, 1, 1, NULL, body_moves, 60.);
    assert_true(m.motor[MOTOR_X].step_count == 1600);
    struct engine_status status;
    engine_get_status(m.engine, runtime_now(m.rig.rt), &status);
    print_message("moves %llu stalls %u lead %u..%u us\n", (unsigned long long)status.moves, status.stalls,
                  status.min_step_lead_us, status.max_step_lead_us);
    assert_int_equal(status.moves, 4);
    assert_int_equal(status.late_count, 0);
    machine_end(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
