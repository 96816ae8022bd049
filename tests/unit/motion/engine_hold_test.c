/* The held tail: pauses at random instants, and what is played afterwards is exactly what was interrupted. */
#include "tests/unit/motion/engine_path.h"

static struct machine reference, held;
static const struct engine_source job = {100, 1, 0};

static struct path path;

static void play_path(void *arg)
{
    path_play(arg, &path);
}

static void body_reference(struct machine *m)
{
    path_play(m, &path);
    machine_sync(m);
}

/* ------------------------------------------------------------------------------------------- random pauses */

static struct rng pause_rng;
static unsigned pause_count;
static double brake_max_s;

static const struct engine_event *last_event(const struct machine *m, enum engine_event_kind kind)
{
    for (size_t i = m->event_count; i > 0; i--)
        if (m->events[i - 1].kind == kind)
            return &m->events[i - 1];
    return NULL;
}

static void expect_held_at_rest(struct machine *m, const struct engine_event *ev)
{
    double pos[ENGINE_AXES_MAX];
    engine_commanded_position(m->engine, pos);
    for (int i = 0; i < 4; i++)
        assert_true(fabs(ev->pos[i] - pos[i]) < 1e-9);
    expect_motors_at(m, pos);
}

/* Park as a pause macro would, and come back. E is retracted and fed again. */
static void park(struct machine *m, const struct engine_event *ev)
{
    const double *p = ev->pos;
    machine_go(m, p[0], p[1], p[2], p[3] - 0.5, 30);
    machine_go(m, p[0], p[1], p[2] + 2, p[3] - 0.5, 10);
    machine_go(m, 5, 5, p[2] + 2, p[3] - 0.5, 200);
    machine_sync(m);
    machine_go(m, p[0], p[1], p[2] + 2, p[3] - 0.5, 200);
    machine_go(m, p[0], p[1], p[2], p[3] - 0.5, 10);
    machine_go(m, p[0], p[1], p[2], p[3], 30);
}

static void pause_once(struct machine *m, bool has_park)
{
    struct err_info info = {{0}};
    const struct host_ns asked = fiber_now();
    if (engine_hold(m->engine, &info) != OK)
        fail_msg("%s", info.text);
    while (!engine_is_held(m->engine))
        assert_int_equal(fiber_sleep(0.002), OK);
    const struct engine_event *ev = last_event(m, ENGINE_EVENT_HELD);
    assert_non_null(ev);
    struct engine_status status;
    const double stand_s = ev->at.s;
    do {
        assert_int_equal(fiber_sleep(0.01), OK);
        engine_get_status(m->engine, fiber_now(), &status);
    } while (status.est_print_time.s < stand_s + 0.09);
    const double took_s = host_ns_diff_s(fiber_now(), asked) - 0.09;
    brake_max_s = fmax(brake_max_s, took_s);
    expect_held_at_rest(m, ev);
    const struct engine_event copy = *ev;
    if (has_park)
        park(m, &copy);
    else
        assert_int_equal(fiber_sleep(rng_unit(&pause_rng)), OK);
    AWAIT(m, engine_release(m->engine, &await_info));
    pause_count++;
}

static bool has_parking;

static void body_pauses(struct machine *m)
{
    path.is_done = false;
    fiber_spawn(m->rig.fibers, "path", play_path, m);
    while (!path.is_done) {
        assert_int_equal(fiber_sleep(rng_range(&pause_rng, 0.02, 0.9)), OK);
        if (!path.is_done && !engine_is_held(m->engine) && !engine_is_holding(m->engine))
            pause_once(m, has_parking && rng_unit(&pause_rng) < 0.3);
    }
    machine_sync(m);
}

/* Where the motor turned, excursions of a single step aside: a turn within a hair of a half step may or may not make that
 * step and its way back, depending on how long it stays there. */
static size_t turns(const struct motor *motor, int64_t *out, size_t max)
{
    size_t count = 0;
    int64_t extreme = 0, dir = 0;
    for (size_t k = 0; k < motor->step_count; k++) {
        const int64_t at = motor->steps[k].count;
        if (dir == 0 || (at - extreme) * dir > 0) {
            if (dir == 0)
                dir = at > extreme ? 1 : -1;
            extreme = at;
        } else if ((extreme - at) * dir >= 2) {
            assert_true(count < max);
            out[count++] = extreme;
            dir = -dir;
            extreme = at;
        }
    }
    return count;
}

static int64_t turns_a[100000], turns_b[100000];

/* The same path: every motor turns at the same places, and at each step of X the other axes are where they were. */
static void expect_same_path(const struct machine *a, const struct machine *b)
{
    for (int i = 0; i < MOTOR_COUNT; i++) {
        const size_t n = turns(&a->motor[i], turns_a, ARRAY_COUNT(turns_a));
        const size_t m = turns(&b->motor[i], turns_b, ARRAY_COUNT(turns_b));
        if (n != m)
            fail_msg("%s turns %zu times, %zu without pauses", motor_names[i], m, n);
        for (size_t k = 0; k < n; k++)
            if (llabs(turns_a[k] - turns_b[k]) > 1)
                fail_msg("%s turns at %lld instead of %lld", motor_names[i], (long long)turns_b[k], (long long)turns_a[k]);
    }
    const struct motor *xa = &a->motor[MOTOR_X], *xb = &b->motor[MOTOR_X];
    for (size_t k = 0, j = 0; k < xa->step_count && j < xb->step_count; k++, j++) {
        if (xa->steps[k].count != xb->steps[j].count) { /* one has an excursion here: go past it */
            if (k + 2 < xa->step_count && xa->steps[k + 2].count == xb->steps[j].count)
                k += 2;
            else
                j += 2;
        }
        if (k % 7 || k >= xa->step_count || j >= xb->step_count)
            continue;
        for (int i = 1; i < MOTOR_COUNT; i++) {
            const double pa = motor_mm_at(a, i, xa->steps[k].time_s);
            const double pb = motor_mm_at(b, i, xb->steps[j].time_s);
            /* an extruder-only move beside a standing X may fall on either side of it */
            if (fabs(pa - pb) > (i == MOTOR_E ? 0.81 : 3 * motor_step_mm[i]))
                fail_msg("%s is at %.4f instead of %.4f when X makes step %zu", motor_names[i], pb, pa, k);
        }
    }
}

static void run_seed(uint64_t seed, bool with_park)
{
    print_message("seed %llu: ", (unsigned long long)seed);
    struct rng rng;
    rng_init(&rng, seed);
    memset(&path, 0, sizeof path);
    path_make(&path, &rng, false);
    memset(&reference, 0, sizeof reference);
    memset(&held, 0, sizeof held);
    machine_run(&reference, seed, 1, NULL, body_reference, 300.);
    rng_init(&pause_rng, seed + 1);
    pause_count = 0;
    brake_max_s = 0;
    has_parking = with_park;
    machine_run(&held, seed, 1, NULL, body_pauses, 900.);
    print_message("%u pauses, longest until standstill %.3f s\n", pause_count, brake_max_s);
    assert_true(brake_max_s < 0.3 + 300. / 3000. + 0.05);
    if (!with_park) {
        expect_same_path(&reference, &held);
        assert_int_equal(reference.fan_count, held.fan_count); /* the fan saw the same changes */
    }
    for (int i = 0; i < MOTOR_COUNT; i++) {
        assert_true(fabs(motor_mm(&held, i) - path.moves[PATH_MOVES - 1].pos[i]) <= motor_step_mm[i] * 0.5 + 1e-6);
        assert_true(speed_max(&held, i) <= 305);
    }
    for (int i = 0; i < 2; i++) {
        const double jump = jump_max(&held, i), limit = jump_max(&reference, i);
        if (jump > fmax(limit, 3000 * 0.01 + 10) + 3)
            fail_msg("speed of %s jumps by %.1f mm/s (%.1f without pauses)", motor_names[i], jump, limit);
    }
    struct engine_status status;
    engine_get_status(held.engine, runtime_now(held.rig.rt), &status);
    assert_int_equal(status.late_count, 0);
    machine_end(&reference);
    machine_end(&held);
}

static void test_union(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++)
        run_seed(seed, false);
}

static void test_park(void **state)
{
    (void)state;
    for (uint64_t seed = 11; seed <= 13; seed++)
        run_seed(seed, true);
}

/* ------------------------------------------------------- the same plan, on every kind of machine, behind filters */

static struct plan_path plan_reference, plan_held;

static void run_plan(const char *what, enum engine_kinematics kind, bool has_filters, bool has_mesh, double speed)
{
    for (uint64_t seed = 31; seed <= 33; seed++) {
        struct rng rng;
        rng_init(&rng, seed);
        memset(&reference, 0, sizeof reference);
        memset(&held, 0, sizeof held);
        path = (struct path){.max_speed_mm_s = speed, .has_filters = has_filters, .has_mesh = has_mesh};
        path_make(&path, &rng, kind == ENGINE_KIN_DELTA);
        reference.kind = held.kind = kind;
        reference.path = &plan_reference;
        held.path = &plan_held;
        machine_run(&reference, seed, 1, NULL, body_reference, 600.);
        rng_init(&pause_rng, seed + 1);
        pause_count = 0;
        brake_max_s = 0;
        has_parking = false;
        machine_run(&held, seed, 1, NULL, body_pauses, 1800.);
        print_message("%s, seed %llu: %u pauses, longest until standstill %.3f s, %zu and %zu points\n", what,
                      (unsigned long long)seed, pause_count, brake_max_s, plan_reference.count, plan_held.count);
        assert_true(pause_count > 10);
        assert_true(brake_max_s < 0.3 + 300. / 3000. + 0.05);
        expect_same_plan(&plan_reference, &plan_held, 1e-6);
        if (plan_held.max_step_mm_s > 1e-2)
            fail_msg("the speed jumps by %.3f mm/s at %.6f s", plan_held.max_step_mm_s, plan_held.step_s);
        assert_true(plan_held.max_speed_mm_s <= 300.001 && plan_held.max_accel_mm_s2 <= 3000.1);
        double end[4];
        path_end(&path, end);
        expect_motors_at(&held, end);
        for (int i = 0; i < 4; i++)
            assert_int_equal(held.motor[i].count, reference.motor[i].count);
        plan_path_deinit(&plan_reference);
        plan_path_deinit(&plan_held);
        machine_end(&reference);
        machine_end(&held);
    }
}

static void test_union_kinds(void **state)
{
    (void)state;
    run_plan("cartesian", ENGINE_KIN_CARTESIAN, false, false, 300);
    run_plan("cartesian with a mesh", ENGINE_KIN_CARTESIAN, true, true, 200);
    run_plan("corexy with shapers and pressure advance", ENGINE_KIN_COREXY, true, false, 300);
    run_plan("corexy with a mesh, shapers and pressure advance", ENGINE_KIN_COREXY, true, true, 300);
    run_plan("delta", ENGINE_KIN_DELTA, false, false, 120);
    run_plan("delta with pressure advance and a mesh", ENGINE_KIN_DELTA, true, true, 120);
}

/* ------------------------------------------------------------------------------------------------------ cancel */

static bool path_done, path_err;

static void body_drop(struct machine *m)
{
    struct err_info info = {{0}};
    machine_move(m, 100, 0, 0, 0, 50, job, &info);
    machine_move(m, 100, 100, 0, 0, 50, job, &info);
    assert_int_equal(fiber_sleep(1.0), OK);
    assert_int_equal(engine_drop_tail(m->engine, &info), ERR_STATE);
    assert_int_equal(engine_release(m->engine, &info), ERR_STATE);
    assert_int_equal(engine_hold(m->engine, &info), OK);
    assert_int_equal(engine_hold(m->engine, &info), ERR_STATE);
    while (!engine_is_held(m->engine))
        assert_int_equal(fiber_sleep(0.002), OK);
    const struct engine_event *ev = last_event(m, ENGINE_EVENT_HELD);
    assert_true(ev->tail_count == 2);
    assert_int_equal(ev->source.file_offset, 100);
    /* what belongs to the job waits, what does not is done */
    const struct engine_move more = {.pos = {0, 0, 0, 0}, .speed_mm_s = 50, .source = job};
    assert_int_equal(engine_move(m->engine, &more, &info), ERR_FULL);
    machine_go(m, ev->pos[0], 10, 0, 0, 50);
    assert_int_equal(engine_release(m->engine, &info), ERR_STATE); /* not where it was held */
    assert_int_equal(engine_drop_tail(m->engine, &info), OK);
    assert_false(engine_is_held(m->engine));
    machine_go(m, 20, 20, 0, 0, 100);
    machine_sync(m);
    expect_at(m, 20, 20, 0, 0);
}

static void test_drop(void **state)
{
    (void)state;
    memset(&held, 0, sizeof held);
    machine_run(&held, 21, 1, NULL, body_drop, 60.);
    machine_end(&held);
}

static void waiter(void *arg)
{
    struct machine *m = arg;
    struct err_info info = {{0}};
    assert_int_equal(machine_move(m, 100, 0, 0, 0, 50, job, &info), OK);
    path_err = engine_wait_executed(m->engine, job, &info) == ERR_CANCELLED;
    path_done = true;
}

static void body_dropped_fence(struct machine *m)
{
    struct err_info info = {{0}};
    path_done = path_err = false;
    fiber_spawn(m->rig.fibers, "waiter", waiter, m);
    assert_int_equal(fiber_sleep(1.0), OK);
    assert_int_equal(engine_hold(m->engine, &info), OK);
    assert_int_equal(fiber_sleep(1.0), OK);
    assert_false(path_done); /* the fence is in the tail */
    assert_int_equal(engine_drop_tail(m->engine, &info), OK);
    assert_int_equal(fiber_sleep(0.1), OK);
    assert_true(path_done && path_err);
    /* a hold when nothing moves gives an empty tail */
    assert_int_equal(engine_hold(m->engine, &info), OK);
    assert_int_equal(fiber_sleep(0.5), OK);
    assert_true(engine_is_held(m->engine));
    assert_int_equal(last_event(m, ENGINE_EVENT_HELD)->tail_count, 0);
    AWAIT(m, engine_release(m->engine, &await_info));
    machine_go(m, 20, 20, 0, 0, 100);
    machine_sync(m);
    expect_at(m, 20, 20, 0, 0);
}

static void test_dropped_fence(void **state)
{
    (void)state;
    memset(&held, 0, sizeof held);
    machine_run(&held, 22, 1, NULL, body_dropped_fence, 60.);
    machine_end(&held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_union),
        cmocka_unit_test(test_park),
        cmocka_unit_test(test_union_kinds),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_dropped_fence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
