/* Relay tuning on processes whose behaviour is known: the relay's limit cycle of a delay is computed by hand, and the
 * constants found for random heaters hold the temperature under the program's own PID. */
#include "server/heat/pid_tune.h"

#include "base/rng.h"
#include "server/heat/heater_control.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define STEP_S 0.3

/* A heater: power in, temperature out after a lag and a delay. */
struct process {
    double temp_c, sensor_c, rate_c_s, loss_1_s, lag_s;
    double power[64];
    size_t delay, at;
};

static double step(struct process *p, double power)
{
    p->power[p->at % 64] = power;
    double acts = p->power[(p->at + 64 - p->delay) % 64];
    p->at++;
    for (int i = 0; i < 10; i++) {
        p->temp_c += STEP_S / 10 * (p->rate_c_s * acts - p->loss_1_s * (p->temp_c - 25));
        p->sensor_c += STEP_S / 10 * (p->temp_c - p->sensor_c) / p->lag_s;
    }
    return p->sensor_c;
}

static double tune(struct process *p, struct pid_tune *t, double target_c, double max_power)
{
    double temp_c = p->sensor_c, goal_c, time_s = 100;
    pid_tune_begin(t, target_c, max_power);
    for (int i = 0; i < 200000 && !pid_tune_is_done(t); i++, time_s += STEP_S) {
        double power = pid_tune_update(t, time_s, temp_c, &goal_c);
        assert_true(power == 0 || power == max_power);
        assert_true(goal_c == (power > 0 ? target_c : target_c - PID_TUNE_DELTA_C));
        temp_c = step(p, power);
    }
    return time_s;
}

static void test_triangle(void **state)
{
    (void)state;
    /* readings that rise and fall at 1 C/s between 94 and 101: period 14 s, swing 7 C */
    struct pid_tune t;
    pid_tune_begin(&t, 100, 0.5);
    double goal_c;
    for (int i = 0; i < 400 && !pid_tune_is_done(&t); i++) {
        int phase = i % 14;
        (void)pid_tune_update(&t, i, phase < 7 ? 94 + phase : 101 - (phase - 7), &goal_c);
    }
    assert_true(pid_tune_is_done(&t));
    double kp, ki, kd, ku = 4 * 0.5 / (M_PI * 3.5);
    assert_true(pid_tune_result(&t, &kp, &ki, &kd));
    assert_true(fabs(kp - 0.6 * ku * 255) < 1e-9);
    assert_true(fabs(ki - kp / 7) < 1e-9);
    assert_true(fabs(kd - kp * 1.75) < 1e-9);
}

static void test_constants_hold_random_heaters(void **state)
{
    (void)state;
    double worst_c = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct rng rng;
        rng_init(&rng, seed);
        double max_power = rng_range(&rng, 0.5, 1), rate = rng_range(&rng, 1, 6), reach = rng_range(&rng, 280, 400);
        struct process p = {.temp_c = 25,
                            .sensor_c = 25,
                            .rate_c_s = rate,
                            .loss_1_s = rate * max_power / reach,
                            .lag_s = rng_range(&rng, 1, 6),
                            .delay = (size_t)rng_below(&rng, 6)};
        double target_c = rng_range(&rng, 100, 230);
        struct pid_tune t;
        double time_s = tune(&p, &t, target_c, max_power), kp, ki, kd;
        assert_true(pid_tune_is_done(&t) && pid_tune_result(&t, &kp, &ki, &kd));
        struct heater_control control;
        heater_control_pid(&control, max_power, kp, ki, kd, 1.0);
        double temp_c = p.sensor_c, error_c = 0;
        for (int i = 0; i < 4000; i++, time_s += STEP_S) {
            temp_c = step(&p, heater_control_update(&control, time_s, temp_c, target_c));
            if (i > 2500)
                error_c = fmax(error_c, fabs(temp_c - target_c));
        }
        if (error_c > 2)
            fail_msg("seed %llu: off by %.2f C (Kp %.2f Ki %.3f Kd %.1f)", (unsigned long long)seed, error_c, kp, ki,
                     kd);
        worst_c = fmax(worst_c, error_c);
    }
    print_message("200 heaters, seeds 1..200: held within %.3f C\n", worst_c);
}

static void test_flat_readings_are_no_swing(void **state)
{
    (void)state;
    struct pid_tune t;
    pid_tune_begin(&t, 100, 1);
    double kp, ki, kd, goal_c;
    for (int i = 0; i < 1000; i++)
        (void)pid_tune_update(&t, i, 97, &goal_c);
    assert_false(pid_tune_is_done(&t));
    memset(&t.peaks, 0, sizeof t.peaks);
    t.count = PID_TUNE_PEAKS;
    assert_false(pid_tune_result(&t, &kp, &ki, &kd));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_triangle),
        cmocka_unit_test(test_constants_hold_random_heaters),
        cmocka_unit_test(test_flat_readings_are_no_swing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
