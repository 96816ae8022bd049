/* Print time over boards with crystals of their own: the mapping of secondary boards follows their clocks, never moves
 * a time up to which steps exist, and estimated print time never goes back. */
#include "tests/unit/motion/board_rig.h"

#include <math.h>

struct drift {
    double ppm[3];
    double worst_s, worst_settled_s;
};

/* How far the second board's mapping is from the truth at a print time a little ahead: the instant at which the main
 * board's crystal reaches it, against the instant at which the other board's counter reaches the mapped clock. */
static double map_error_s(struct rig *rig, size_t i, struct print_time at)
{
    struct host_ns main_time = sim_board_host_time(rig->sim[0], board_ticks_at(rig->board[0], at));
    struct host_ns other_time = sim_board_host_time(rig->sim[i], board_ticks_at(rig->board[i], at));
    return host_ns_diff_s(other_time, main_time);
}

static void script_follow(struct rig *rig)
{
    struct drift *d = rig->data;
    rig_start(rig);
    double est_before = 0., generated_s = 0.;
    for (int i = 0; i < 1200; i++) {
        assert_int_equal(fiber_sleep(0.1), OK);
        struct host_ns now = fiber_now();
        double est = boards_est_print_time(rig->boards, now).s;
        assert_true(est >= est_before);
        est_before = est;
        generated_s = fmax(generated_s, est + 0.3);
        struct print_time edge = {generated_s};
        struct mcu_ticks before[RIG_BOARDS_MAX];
        for (size_t k = 0; k < rig->count; k++)
            before[k] = board_ticks_at(rig->board[k], edge);
        boards_calibrate(rig->boards, now, edge);
        for (size_t k = 0; k < rig->count; k++) {
            int64_t moved = (int64_t)(board_ticks_at(rig->board[k], edge).t - before[k].t);
            assert_true(moved >= -1 && moved <= 1); /* rounding */
            double error_s = fabs(map_error_s(rig, k, (struct print_time){est + 0.15}));
            d->worst_s = fmax(d->worst_s, error_s);
            if (i > 300)
                d->worst_settled_s = fmax(d->worst_settled_s, error_s);
            /* There and back. */
            struct mcu_ticks t = board_ticks_at(rig->board[k], (struct print_time){est + 1.});
            assert_true(fabs(board_print_time(rig->board[k], t).s - (est + 1.)) < 2. / board_freq_hz(rig->board[k]));
            assert_int_equal(board_ticks_extend(rig->board[k], (uint32_t)t.t).t, t.t);
        }
    }
    assert_int_equal(rig->event_count, 0);
}

static void follow(uint64_t seed, const struct board_faults *faults, double limit_s, double settled_limit_s)
{
    struct rig rig;
    struct rng rng;
    rng_init(&rng, seed);
    rig_init(&rig, seed);
    struct drift d = {.worst_s = 0.};
    static const char *const names[] = {"mcu", "tool", "bed"};
    static const uint32_t clocks[] = {64000000, 16000000, 180000000};
    for (size_t i = 0; i < 3; i++) {
        d.ppm[i] = rng_range(&rng, -250., 250.);
        struct sim_board_options sim = {
            .clock_hz = clocks[i], .drift_ppm = d.ppm[i], .start_clock = rng_u64(&rng) >> 32};
        rig_add(&rig, names[i], &sim, faults);
    }
    rig.data = &d;
    rig_run(&rig, script_follow, 300.);
    print_message("seed %llu: drift %.0f %.0f %.0f ppm, mapping off by at most %.1f us, settled %.1f us\n",
                  (unsigned long long)seed, d.ppm[0], d.ppm[1], d.ppm[2], d.worst_s * 1e6, d.worst_settled_s * 1e6);
    assert_true(d.worst_s < limit_s);
    assert_true(d.worst_settled_s < settled_limit_s);
    rig_deinit(&rig);
}

static void test_drift(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        follow(seed, NULL, 0.001, 0.0002);
}

static void test_drift_on_a_bad_wire(void **state)
{
    (void)state;
    for (uint64_t seed = 11; seed <= 13; seed++) {
        struct board_faults faults = {
            .seed = seed, .tx_loss = .005, .rx_loss = .005, .rx_corrupt = .005, .delay_max_s = .002};
        follow(seed, &faults, 0.004, 0.002);
    }
}

/* The main board restarts after the other has been bound to it: print time begins anew, and the other follows. */
static void script_main_again(struct rig *rig)
{
    struct err_info info = {{0}};
    for (size_t i = 0; i < rig->count; i++)
        rig_expect_ok(board_connect(rig->board[i], &info), &info);
    assert_int_equal(fiber_sleep(20.), OK);
    runtime_remove(rig->rt, sim_board_actor(rig->sim[0]));
    sim_board_destroy(rig->sim[0]);
    rig->sim[0] = sim_board_create(NULL, &rig->to_board[0], &rig->from_board[0]); /* counts from 0 again */
    runtime_add(rig->rt, sim_board_actor(rig->sim[0]), NULL);
    rig_expect_ok(board_firmware_restart(rig->board[0], &info), &info);
    rig_expect_ok(board_connect(rig->board[0], &info), &info);
    for (size_t i = 0; i < rig->count; i++)
        rig_expect_ok(board_configure(rig->board[i], true, &info), &info);
    double est_s = boards_est_print_time(rig->boards, fiber_now()).s;
    struct mcu_ticks at = board_ticks_at(rig->board[1], (struct print_time){est_s});
    double error_s = host_ns_diff_s(sim_board_host_time(rig->sim[1], at), fiber_now());
    print_message("print time %.3f s, the other board is off by %.6f s\n", est_s, error_s);
    assert_true(est_s < 1.);
    assert_true(fabs(error_s) < 0.001);
}

static void test_main_again(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 1);
    rig_add(&rig, "mcu", NULL, NULL);
    rig_add(&rig, "tool", NULL, NULL);
    rig_run(&rig, script_main_again, 100.);
    rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drift),
        cmocka_unit_test(test_drift_on_a_bad_wire),
        cmocka_unit_test(test_main_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
