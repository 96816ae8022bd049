/* The boundary against the simulated firmware: a board's life from its name to its shutdown. */
#include "tests/unit/motion/board_rig.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
