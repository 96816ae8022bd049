/* Feed override at the commit horizon: the path of an uninterrupted print at other speeds; nothing stops, no limit is broken,
 * no step is lost, and it begins at most 0.3 s after it was asked for. */
#include "tests/unit/motion/engine_path.h"

static struct machine reference, changed;
static struct plan_path plan_reference, plan_changed;
static struct path path;
static struct rng feed_rng;
static unsigned override_count;

static void play_path(void *arg)
{
    path_play(arg, &path);
}

static void body_reference(struct machine *m)
{
    path_play(m, &path);
    machine_sync(m);
}

static void override(struct machine *m, double factor)
{
    struct err_info info = {{0}};
    rig_expect_ok(engine_override_feed(m->engine, factor, &info), &info);
    m->feed_factor = factor;
    override_count++;
}

static void body_changes(struct machine *m)
{
    path.is_done = false;
    fiber_spawn(m->rig.fibers, "path", play_path, m);
    while (!path.is_done) {
        assert_int_equal(fiber_sleep(rng_unit(&feed_rng) < 0.2 ? 0.005 : rng_range(&feed_rng, 0.02, 0.9)), OK);
        override(m, rng_range(&feed_rng, 0.3, 2.5));
        if (rng_unit(&feed_rng) < 0.1) { /* a pause right behind it */
            struct err_info info = {{0}};
            rig_expect_ok(engine_hold(m->engine, &info), &info);
            while (!engine_is_held(m->engine))
                assert_int_equal(fiber_sleep(0.002), OK);
            AWAIT(m, engine_release(m->engine, &await_info));
        }
    }
    machine_sync(m);
}

/* machine_move of the path: a feed at 100 % times the factor in force. */
static void run_kind(const char *what, enum engine_kinematics kind, bool has_filters, bool has_mesh, double speed)
{
    for (uint64_t seed = 41; seed <= 43; seed++) {
        struct rng rng;
        rng_init(&rng, seed);
        memset(&reference, 0, sizeof reference);
        memset(&changed, 0, sizeof changed);
        path = (struct path){.max_speed_mm_s = speed, .has_filters = has_filters, .has_mesh = has_mesh};
        path_make(&path, &rng, kind == ENGINE_KIN_DELTA);
        reference.kind = changed.kind = kind;
        reference.path = &plan_reference;
        changed.path = &plan_changed;
        reference.feed_factor = changed.feed_factor = 1;
        machine_run(&reference, seed, 1, NULL, body_reference, 600.);
        rng_init(&feed_rng, seed + 1);
        override_count = 0;
        machine_run(&changed, seed, 1, NULL, body_changes, 3600.);
        print_message("%s, seed %llu: %u overrides, %zu and %zu points\n", what, (unsigned long long)seed, override_count,
                      plan_reference.count, plan_changed.count);
        assert_true(override_count > 8);
        expect_same_plan(&plan_reference, &plan_changed, 1e-6);
        if (plan_changed.max_step_mm_s > 1e-2)
            fail_msg("the speed jumps by %.3f mm/s at %.6f s", plan_changed.max_step_mm_s, plan_changed.step_s);
        assert_true(plan_changed.max_speed_mm_s <= 300.001 && plan_changed.max_accel_mm_s2 <= 3000.1);
        double end[4];
        path_end(&path, end);
        expect_motors_at(&changed, end);
        for (int i = 0; i < 4; i++)
            assert_int_equal(changed.motor[i].count, reference.motor[i].count);
        assert_int_equal(reference.fan_count, changed.fan_count);
        for (int i = 0; i < 2 && !has_filters && kind == ENGINE_KIN_CARTESIAN; i++) {
            const double jump = jump_max(&changed, i);
            if (jump > fmax(jump_max(&reference, i), 3000 * 0.01 + 10) + 3)
                fail_msg("speed of %s jumps by %.1f mm/s (%.1f)", motor_names[i], jump, jump_max(&reference, i));
        }
        struct engine_status status;
        engine_get_status(changed.engine, runtime_now(changed.rig.rt), &status);
        assert_int_equal(status.late_count, 0);
        plan_path_deinit(&plan_reference);
        plan_path_deinit(&plan_changed);
        machine_end(&reference);
        machine_end(&changed);
    }
}

static void test_same_path(void **state)
{
    (void)state;
    run_kind("cartesian", ENGINE_KIN_CARTESIAN, false, false, 200);
    run_kind("cartesian with a mesh", ENGINE_KIN_CARTESIAN, true, true, 120);
    run_kind("corexy with shapers and pressure advance", ENGINE_KIN_COREXY, true, false, 120);
    run_kind("delta with pressure advance and a mesh", ENGINE_KIN_DELTA, true, true, 60);
}

/* ------------------------------------------------------------------------------------------------- when, and how */

static double asked_s, factor_asked;

/* A zigzag of 2 mm pieces with a corner now and then, or one long line. */
static bool is_zigzag;

static void play_line(void *arg)
{
    struct machine *m = arg;
    for (int i = 1; i <= (is_zigzag ? 600 : 3); i++) {
        const double x = is_zigzag ? i * 0.33 : i * 66, y = is_zigzag ? (i / 20 % 2 ? 1 : 3) : 0;
        machine_go(m, x, y, 0, i * 0.02, 50);
    }
    path.is_done = true;
}

static void body_line(struct machine *m)
{
    path.is_done = false;
    fiber_spawn(m->rig.fibers, "line", play_line, m);
    while (motor_mm(m, MOTOR_X) < 40)
        assert_int_equal(fiber_sleep(0.005), OK);
    if (factor_asked != 1) {
        struct engine_status status;
        engine_get_status(m->engine, fiber_now(), &status);
        asked_s = status.est_print_time.s;
        override(m, factor_asked);
    }
    while (!path.is_done)
        assert_int_equal(fiber_sleep(0.005), OK);
    machine_sync(m);
}

static double speed_at(const struct machine *m, int axis, double t_s)
{
    return (motor_mm_at(m, axis, t_s + 0.01) - motor_mm_at(m, axis, t_s - 0.01)) / 0.02;
}

static void run_line(bool zigzag, double factor)
{
    is_zigzag = zigzag;
    memset(&reference, 0, sizeof reference);
    memset(&changed, 0, sizeof changed);
    reference.feed_factor = changed.feed_factor = 1;
    factor_asked = 1;
    machine_run(&reference, 7, 1, NULL, body_line, 600.);
    factor_asked = factor;
    machine_run(&changed, 7, 1, NULL, body_line, 600.);
    /* the first moment at which the two differ by more than a step */
    double t = asked_s - 0.2;
    while (fabs(motor_mm_at(&reference, MOTOR_X, t) - motor_mm_at(&changed, MOTOR_X, t)) < 2.5 * motor_step_mm[MOTOR_X])
        t += 0.001;
    /* 2.5 steps at the limit of 3000 mm/s^2 */
    const double begun_s = t - sqrt(2 * 2.5 * motor_step_mm[MOTOR_X] / 3000);
    print_message("%s at %.0f %%: begins %.3f s after it was asked for\n", zigzag ? "zigzag" : "line", factor * 100,
                  begun_s - asked_s);
    assert_true(begun_s - asked_s <= 0.301);
    if (!zigzag) {
        /* it slows down or speeds up at 3000 mm/s^2, at once, and nothing stands still */
        const double reached_s = begun_s + fabs(factor - 1) * 50 / 3000;
        assert_true(fabs(speed_at(&changed, MOTOR_X, begun_s - 0.02) - 50) < 1.5);
        assert_true(fabs(speed_at(&changed, MOTOR_X, reached_s + 0.025) - 50 * factor) < 1.5);
        double slowest = 1e9;
        for (double at = asked_s; at < asked_s + 1; at += 0.005)
            slowest = fmin(slowest, speed_at(&changed, MOTOR_X, at));
        assert_true(slowest > fmin(factor, 1) * 50 - 1.5);
        /* filament in proportion */
        for (double at = asked_s; at < asked_s + 1; at += 0.05)
            assert_true(fabs(motor_mm_at(&changed, MOTOR_E, at) - motor_mm_at(&changed, MOTOR_X, at) * 0.02 / 66) < 0.0041);
    }
    expect_at(&changed, is_zigzag ? 600 * 0.33 : 198, is_zigzag ? 3 : 0, 0, is_zigzag ? 12 : 0.06);
    machine_end(&reference);
    machine_end(&changed);
}

static void test_begins(void **state)
{
    (void)state;
    const double factors[] = {0.1, 0.5, 0.9, 1.5, 3};
    for (size_t i = 0; i < ARRAY_COUNT(factors); i++) {
        run_line(false, factors[i]);
        run_line(true, factors[i]);
    }
}

/* -------------------------------------------------------------------------------------------------------- requests */

static void body_requests(struct machine *m)
{
    struct err_info info = {{0}};
    assert_int_equal(engine_override_feed(m->engine, 0, &info), ERR_LIMIT);
    assert_int_equal(engine_override_feed(m->engine, (double)NAN, &info), ERR_LIMIT);
    assert_int_equal(engine_override_feed(m->engine, 1e4, &info), ERR_LIMIT);
    override(m, 0.5); /* nothing moves: what comes next brings its own factor */
    m->feed_factor = 1;
    machine_go(m, 100, 0, 0, 0, 100);
    assert_int_equal(fiber_sleep(0.6), OK);
    rig_expect_ok(engine_hold(m->engine, &info), &info);
    assert_int_equal(engine_override_feed(m->engine, 0.5, &info), ERR_STATE);
    while (!engine_is_held(m->engine))
        assert_int_equal(fiber_sleep(0.002), OK);
    assert_int_equal(engine_override_feed(m->engine, 0.5, &info), ERR_STATE);
    AWAIT(m, engine_release(m->engine, &await_info));
    machine_sync(m);
    /* moves of their own speed are left alone, those behind a dwell are not */
    const struct engine_move own = {.pos = {0, 0, 0, 0}, .speed_mm_s = 100, .source = ENGINE_SOURCE_NONE};
    const struct host_ns begun = fiber_now();
    AWAIT(m, engine_move(m->engine, &own, &await_info));
    AWAIT(m, engine_dwell(m->engine, 0.3, ENGINE_SOURCE_NONE, &await_info));
    machine_go(m, 100, 0, 0, 0, 100);
    assert_int_equal(fiber_sleep(0.7), OK);
    override(m, 0.2);
    machine_sync(m);
    const double took_s = host_ns_diff_s(fiber_now(), begun);
    assert_true(took_s > 1.0 + 0.3 + 5.0 && took_s < 1.0 + 0.3 + 5.0 + 0.7);
    expect_at(m, 100, 0, 0, 0);
}

static void test_requests(void **state)
{
    (void)state;
    memset(&changed, 0, sizeof changed);
    changed.feed_factor = 1;
    machine_run(&changed, 3, 1, NULL, body_requests, 60.);
    machine_end(&changed);
}

/* A file's M220 further on: what was appended behind the override keeps its own speed. */
static void body_in_order(struct machine *m)
{
    const struct host_ns begun = fiber_now();
    machine_go(m, 100, 0, 0, 0, 100);
    assert_int_equal(fiber_sleep(0.5), OK);
    override(m, 2);
    m->feed_factor = 0.5;
    machine_go(m, 150, 0, 0, 0, 50);
    machine_sync(m);
    const double took_s = host_ns_diff_s(fiber_now(), begun);
    assert_true(took_s > 1.4 && took_s < 2.6);
}

static void test_in_order(void **state)
{
    (void)state;
    memset(&changed, 0, sizeof changed);
    changed.feed_factor = 1;
    machine_run(&changed, 3, 1, NULL, body_in_order, 60.);
    machine_end(&changed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_path),
        cmocka_unit_test(test_begins),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
