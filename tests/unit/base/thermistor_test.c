/* Sensor curves: the points they were made of, both ways round, the wiring. */
#include "base/thermistor.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

static double get(const char *name, double ohm)
{
    struct sensor_curve c;
    assert_int_equal(sensor_curve_builtin(&c, name), OK);
    return sensor_ohm_to_temp(&c, ohm);
}

static void curves_pass_through_their_points(void **state)
{
    (void)state;
    assert_float_equal(get("EPCOS 100K B57560G104F", 100000), 25, 1e-6);
    assert_float_equal(get("EPCOS 100K B57560G104F", 1641.9), 150, 1e-6);
    assert_float_equal(get("EPCOS 100K B57560G104F", 226.15), 250, 1e-6);
    assert_float_equal(get("ATC Semitec 104GT-2", 1360), 150, 1e-6);
    assert_float_equal(get("SliceEngineering 450", 240), 400, 1e-6);
    assert_float_equal(get("Generic 3950", 100000), 25, 1e-6);
    /* beta 3950: R(25) exp(3950 (1/473.15 - 1/298.15)) = 745.2 ohm at 200 C */
    assert_float_equal(get("Generic 3950", 100000 * exp(3950 * (1 / 473.15 - 1 / 298.15))), 200, 1e-6);
    assert_float_equal(get("PT1000", 1385.055), 100, 1e-9); /* IEC 60751 */
}

static double volt_at(const char *name, double temp_c)
{
    struct sensor_curve c;
    struct sensor_wiring w = sensor_wiring_default();
    assert_int_equal(sensor_curve_builtin(&c, name), OK);
    assert_int_equal(c.kind, SENSOR_VOLTAGE);
    return sensor_temp_to_ratio(&c, &w, temp_c) * w.adc_voltage;
}

/* Rows of the tables in the data sheets [mV]: AD594/AD595 table I, AD596/AD597 table I, AD849x table of nominal outputs,
 * and 50 R / (4400 + R) for the platinum board. Between the points a straight line is off by at most 0.1 C. */
static void amplifiers_give_what_their_data_sheets_say(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double temp_c, mv;
    } rows[] = {
        {"AD595", 0, 2.7},    {"AD595", 25, 250},   {"AD595", 100, 1015}, {"AD595", 200, 2015}, {"AD595", 300, 3022},
        {"AD595", 480, 4896}, {"AD597", 0, 0},      {"AD597", 20, 196},   {"AD597", 100, 1005}, {"AD597", 200, 1997},
        {"AD8495", 0, 2.6},   {"AD8495", 25, 125},  {"AD8495", 100, 504}, {"AD8494", 25, 125},  {"AD8494", 60, 303},
        {"AD8497", 60, 300},  {"AD8496", 60, 300},  {"PT100 INA826", 0, 1111.1}, {"PT100 INA826", 100, 1526.0},
        {"PT100 INA826", 400, 2658.8},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (fabs(volt_at(rows[i].name, rows[i].temp_c) * 1000 - rows[i].mv) > 2)
            fail_msg("%s at %g C: %.1f mV, should be %.1f", rows[i].name, rows[i].temp_c,
                     volt_at(rows[i].name, rows[i].temp_c) * 1000, rows[i].mv);
}

/* The range of a sensor without limits (-273.15 C and up) must not exclude any reading. */
static void absolute_zero_is_an_end_of_the_range(void **state)
{
    (void)state;
    const char *name;
    for (size_t i = 0; (name = sensor_builtin_name(i)); i++) {
        struct sensor_curve c;
        assert_int_equal(sensor_curve_builtin(&c, name), OK);
        struct sensor_wiring w = sensor_wiring_default();
        double a = sensor_temp_to_ratio(&c, &w, -273.15), b = sensor_temp_to_ratio(&c, &w, 1e8);
        assert_true(fmin(a, b) < 0.001);
        assert_true(fmax(a, b) > 0.999);
    }
}

static void both_ways_agree_for_every_builtin(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 7);
    const char *name;
    for (size_t i = 0; (name = sensor_builtin_name(i)); i++) {
        struct sensor_curve c;
        assert_int_equal(sensor_curve_builtin(&c, name), OK);
        struct sensor_wiring w = sensor_wiring_default();
        double last = -1;
        for (int n = 0; n < 2000; n++) {
            double t = rng_range(&rng, 0, 400);
            w.inline_ohm = c.kind == SENSOR_NTC ? 10 : 0;
            double ratio = sensor_temp_to_ratio(&c, &w, t);
            if (ratio <= 0.00001 || ratio >= 0.99999)
                continue;
            assert_float_equal(sensor_ratio_to_temp(&c, &w, ratio), t, 1e-5);
        }
        for (double t = 0; t <= 400; t += 5) { /* monotonic */
            double ratio = sensor_temp_to_ratio(&c, &w, t);
            if (t > 0)
                assert_true(c.kind == SENSOR_NTC ? ratio < last : ratio > last);
            last = ratio;
        }
    }
    struct sensor_curve c;
    assert_int_equal(sensor_curve_builtin(&c, "no such sensor"), ERR_NOT_FOUND);
}

static void bad_curves_are_refused(void **state)
{
    (void)state;
    struct sensor_curve c;
    struct sensor_point same[3] = {{25, 100000}, {25, 100000}, {250, 226}};
    struct sensor_point ptc[3] = {{25, 100}, {150, 1000}, {250, 10000}};
    struct sensor_point negative[3] = {{25, -1}, {150, 1000}, {250, 100}};
    struct sensor_point bumpy[3] = {{0, 1}, {10, 3}, {20, 2}};
    assert_int_equal(sensor_curve_from_points(&c, same), ERR_INVALID);
    assert_int_equal(sensor_curve_from_points(&c, ptc), ERR_INVALID);
    assert_int_equal(sensor_curve_from_points(&c, negative), ERR_INVALID);
    assert_int_equal(sensor_curve_from_beta(&c, 25, 100000, 0), ERR_INVALID);
    assert_int_equal(sensor_curve_from_beta(&c, 25, 100000, NAN), ERR_INVALID);
    assert_int_equal(sensor_curve_from_table(&c, SENSOR_VOLTAGE, bumpy, 3), ERR_INVALID);
    assert_int_equal(sensor_curve_from_table(&c, SENSOR_VOLTAGE, bumpy, 1), ERR_INVALID);
}

static void readings_out_of_range_stay_finite(void **state)
{
    (void)state;
    struct sensor_curve c;
    struct sensor_wiring w = sensor_wiring_default();
    w.inline_ohm = 1000;
    for (size_t i = 0; sensor_builtin_name(i); i++) {
        assert_int_equal(sensor_curve_builtin(&c, sensor_builtin_name(i)), OK);
        for (int n = -1; n <= 3; n++)
            assert_true(isfinite(sensor_ratio_to_temp(&c, &w, n * 0.5)));
        assert_true(isfinite(sensor_ratio_to_temp(&c, &w, NAN)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(curves_pass_through_their_points),     cmocka_unit_test(both_ways_agree_for_every_builtin),
        cmocka_unit_test(absolute_zero_is_an_end_of_the_range), cmocka_unit_test(bad_curves_are_refused),
        cmocka_unit_test(readings_out_of_range_stay_finite),    cmocka_unit_test(amplifiers_give_what_their_data_sheets_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
