/* The control laws of heaters, on a first-order plant and on random readings. */
#include "server/heat/heater_control.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define REPORT_S 0.3

/* Whatever the readings: the power is within [0, max_power], and 0 far above the target. */
static void test_power_is_bounded(void **state)
{
    (void)state;
    uint64_t seed = 42;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct rng rng;
    rng_init(&rng, seed);
    for (int round = 0; round < 200; round++) {
        struct heater_control c;
        double max = rng_range(&rng, 0.05, 1), time_s = 1;
        if (round & 1)
            heater_control_pid(&c, max, rng_range(&rng, 0, 100), rng_range(&rng, 0, 10), rng_range(&rng, 0, 500),
                               rng_range(&rng, 0.1, 3));
        else
            heater_control_watermark(&c, max, rng_range(&rng, 0.1, 5));
        for (int i = 0; i < 500; i++, time_s += REPORT_S) {
            double power = heater_control_update(&c, time_s, rng_range(&rng, -20, 400), rng_range(&rng, 0, 300));
            assert_true(power >= 0 && power <= max);
        }
    }
}

static void test_watermark(void **state)
{
    (void)state;
    struct heater_control c;
    heater_control_watermark(&c, 0.8, 2);
    assert_true(heater_control_update(&c, 1, 57.9, 60) == 0.8);
    assert_true(heater_control_update(&c, 2, 61.9, 60) == 0.8); /* goes on until target + max_delta */
    assert_true(heater_control_update(&c, 3, 62, 60) == 0);
    assert_true(heater_control_update(&c, 4, 58.1, 60) == 0);
    assert_true(heater_control_update(&c, 5, 58, 60) == 0.8);
    assert_true(heater_control_is_busy(&c, 57.9, 60));
    assert_false(heater_control_is_busy(&c, 58.1, 60));
}

/* A block of 15 J/K with 40 W that loses 0.15 W/K: reaches 200 C, overshoots little, stays, and follows a step down. */
static void test_pid_on_a_block(void **state)
{
    (void)state;
    struct heater_control c;
    heater_control_pid(&c, 1, 22.2, 1.08, 114, 1);
    double block_c = 25, sensor_c = 25, peak_c = 0, time_s = 10;
    for (int i = 0; i < 3000; i++, time_s += REPORT_S) {
        double target_c = i < 2000 ? 200 : 150;
        double power = heater_control_update(&c, time_s, sensor_c, target_c);
        block_c += (power * 40 - (block_c - 25) * 0.15) / 15 * REPORT_S;
        sensor_c += (block_c - sensor_c) * REPORT_S / 2;
        if (i < 2000)
            peak_c = fmax(peak_c, block_c);
        if (i == 1999)
            assert_true(fabs(block_c - 200) < 0.5 && !heater_control_is_busy(&c, sensor_c, 200));
    }
    print_message("peak %.2f C\n", peak_c);
    assert_true(peak_c < 206);
    assert_true(fabs(block_c - 150) < 0.5);
}

/* No wind-up: after an hour of full power below the target, the power falls within seconds of passing it. */
static void test_no_windup(void **state)
{
    (void)state;
    struct heater_control c;
    heater_control_pid(&c, 1, 22.2, 1.08, 114, 1);
    double time_s = 10, power = 1;
    for (int i = 0; i < 12000; i++, time_s += REPORT_S)
        power = heater_control_update(&c, time_s, 100, 200);
    assert_true(power == 1);
    int reports = 0;
    while (heater_control_update(&c, time_s, 203, 200) > 0.5 && reports < 100) {
        time_s += REPORT_S;
        reports++;
    }
    assert_true(reports <= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_is_bounded),
        cmocka_unit_test(test_watermark),
        cmocka_unit_test(test_pid_on_a_block),
        cmocka_unit_test(test_no_windup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
