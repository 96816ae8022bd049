#include "motion/kin/kin.h"

#include "base/rng.h"
#include "motion/plan/segq.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define SEED 11

static struct kin_config config_of(enum kin_kind kind)
{
    struct kin_config c = {.kind = kind,
                           .max_velocity_mm_s = 500,
                           .max_accel_mm_s2 = 10000,
                           .max_z_velocity_mm_s = 15,
                           .max_z_accel_mm_s2 = 100,
                           .delta_radius_mm = 180,
                           .minimum_z_mm = -5};
    for (int i = 0; i < 3; i++) {
        c.rail[i].position_min_mm = -150;
        c.rail[i].position_max_mm = 300;
        c.rail[i].position_endstop_mm = kind == KIN_DELTA ? 330 : -150;
        c.rail[i].arm_mm = 360;
        c.rail[i].step_mm = 0.0125;
    }
    return c;
}

static const enum kin_kind all[] = {KIN_CARTESIAN,     KIN_COREXY,        KIN_COREXZ,
                                    KIN_HYBRID_COREXY, KIN_HYBRID_COREXZ, KIN_DELTA};

static void test_identity(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct kin k;
        const struct kin_config c = config_of(all[i]);
        assert_int_equal(kin_init(&k, &c, NULL), OK);
        for (int n = 0; n < 2000; n++) {
            const double pos[3] = {rng_range(&rng, -120, 120), rng_range(&rng, -120, 120), rng_range(&rng, 0, 300)};
            double rail[3], back[3];
            kin_inverse(&k, pos, rail);
            assert_int_equal(kin_forward(&k, rail, back), OK);
            for (int a = 0; a < 3; a++)
                assert_true(fabs(back[a] - pos[a]) < 1e-9);
        }
        enum kin_kind parsed;
        assert_int_equal(kin_kind_parse(kin_kind_name(all[i]), &parsed), OK);
        assert_int_equal(parsed, all[i]);
    }
    enum kin_kind parsed;
    assert_int_equal(kin_kind_parse("polar", &parsed), ERR_UNSUPPORTED);
    assert_int_equal(kin_kind_parse("potato", &parsed), ERR_NOT_FOUND);
}

/* Velocity and acceleration are the derivatives of position. */
static void test_motion(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED + 1);
    struct kin k;
    const struct kin_config c = config_of(KIN_DELTA);
    assert_int_equal(kin_init(&k, &c, NULL), OK);
    for (int n = 0; n < 1000; n++) {
        double p[3], v[3], a[3], at[3][3], out[3];
        for (int i = 0; i < 3; i++) {
            p[i] = rng_range(&rng, -100, 100);
            v[i] = rng_range(&rng, -300, 300);
            a[i] = rng_range(&rng, -5000, 5000);
        }
        const double h = 1e-4;
        for (int s = 0; s < 3; s++)
            for (int i = 0; i < 3; i++) {
                const double t = (s - 1) * h;
                at[s][i] = p[i] + v[i] * t + 0.5 * a[i] * t * t;
            }
        const struct kin_func *f = &k.func[n % 3];
        kin_func_motion(f, p, v, a, out);
        const double m = kin_func_position(f, at[0]), o = kin_func_position(f, at[1]), q = kin_func_position(f, at[2]);
        assert_true(fabs(out[0] - o) < 1e-12);
        assert_true(fabs(out[1] - (q - m) / (2 * h)) < 1e-3);
        assert_true(fabs(out[2] - (q - 2 * o + m) / (h * h)) < 1.0);
    }
}

static struct move move_to(const double a[3], const double b[3])
{
    const struct move_limits limits = {500, 10000, 5, 0.5};
    struct move m;
    const double from[4] = {a[0], a[1], a[2], 1.5}, to[4] = {b[0], b[1], b[2], 1.5};
    assert_true(move_init(&m, &limits, 4, from, to, 400));
    return m;
}

static void test_limits(void **state)
{
    (void)state;
    struct kin k;
    struct err_info info;
    struct kin_config c = config_of(KIN_COREXY);
    assert_int_equal(kin_init(&k, &c, &info), OK);
    struct move m = move_to((const double[3]){0, 0, 0}, (const double[3]){10, 20, 0});
    assert_int_equal(kin_check_move(&k, &m, &info), ERR_STATE);
    assert_string_equal(info.text, "Must home axis first: 10.000 20.000 0.000 [1.500]");
    kin_set_homed(&k, SEG_X | SEG_Y);
    assert_int_equal(kin_check_move(&k, &m, &info), OK);
    assert_true(m.max_cruise_v2 == 400.0 * 400.0);
    m = move_to((const double[3]){0, 0, 0}, (const double[3]){0, 0, 5});
    assert_int_equal(kin_check_move(&k, &m, &info), ERR_STATE);
    kin_set_homed(&k, SEG_Z);
    assert_int_equal(kin_check_move(&k, &m, &info), OK);
    assert_true(fabs(m.max_cruise_v2 - 225.0) < 1e-9 && m.accel_mm_s2 == 100.0);
    m = move_to((const double[3]){0, 0, 0}, (const double[3]){301, 0, 0});
    assert_int_equal(kin_check_move(&k, &m, &info), ERR_LIMIT);
    assert_string_equal(info.text, "Move out of range: 301.000 0.000 0.000 [1.500]");
    m = move_to((const double[3]){400, 0, 0}, (const double[3]){400, 0, 5}); /* x is outside but does not move */
    assert_int_equal(kin_check_move(&k, &m, &info), OK);
    kin_clear_homed(&k, SEG_X);
    m = move_to((const double[3]){0, 0, 0}, (const double[3]){1, 0, 0});
    assert_int_equal(kin_check_move(&k, &m, &info), ERR_STATE);
    double min[3], max[3];
    kin_axis_range(&k, min, max);
    assert_true(min[0] == -150.0 && max[2] == 300.0);
}

static void test_delta(void **state)
{
    (void)state;
    struct kin k;
    struct err_info info;
    struct kin_config c = config_of(KIN_DELTA);
    assert_int_equal(kin_init(&k, &c, &info), OK);
    assert_true(fabs(k.delta.home_mm[0]) < 1e-9 && fabs(k.delta.home_mm[2] - 330.0) < 1e-9);
    struct move m = move_to((const double[3]){0, 0, 10}, (const double[3]){50, 0, 10});
    assert_int_equal(kin_check_move(&k, &m, &info), ERR_STATE);
    kin_set_homed(&k, 7);
    assert_int_equal(kin_check_move(&k, &m, &info), OK);
    m = move_to((const double[3]){0, 0, 10}, (const double[3]){181, 0, 10});
    assert_int_equal(kin_check_move(&k, &m, &info), ERR_LIMIT);
    m = move_to((const double[3]){0, 0, 10}, (const double[3]){0, 0, 331});
    assert_int_equal(kin_check_move(&k, &m, &info), ERR_LIMIT);
    m = move_to((const double[3]){0, 0, 10}, k.delta.home_mm);
    assert_int_equal(kin_check_move(&k, &m, &info), OK);
    m = move_to((const double[3]){0, 0, 10}, (const double[3]){0, 0, -6});
    assert_int_equal(kin_check_move(&k, &m, &info), ERR_LIMIT);
    c.rail[1].arm_mm = 100; /* too short to reach */
    assert_int_equal(kin_init(&k, &c, &info), ERR_LIMIT);
    c = config_of(KIN_DELTA);
    for (int i = 0; i < 3; i++)
        c.rail[i].arm_mm = 180.0001;
    assert_int_equal(kin_init(&k, &c, &info), ERR_INVALID);
    assert_true(strstr(info.text, "no reachable area") != NULL);
    const double apart[3] = {1000, 0, -1000};
    c = config_of(KIN_DELTA);
    assert_int_equal(kin_init(&k, &c, &info), OK);
    double pos[3];
    assert_int_equal(kin_forward(&k, apart, pos), ERR_INVALID);
}

static void test_nan(void **state)
{
    (void)state;
    struct kin k;
    struct kin_config c = config_of(KIN_CARTESIAN);
    assert_int_equal(kin_init(&k, &c, NULL), OK);
    kin_set_homed(&k, 7);
    struct move m = move_to((const double[3]){0, 0, 0}, (const double[3]){1, 0, 0});
    m.end_mm[0] = NAN;
    assert_int_equal(kin_check_move(&k, &m, NULL), ERR_LIMIT);
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity), cmocka_unit_test(test_motion), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_delta),    cmocka_unit_test(test_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
