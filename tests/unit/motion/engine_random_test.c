/* Random operations on the engine: whatever comes in whatever order, clocks rise, no step is lost, nothing is faster than
 * allowed, and every motor is where its queue says. */
#include "tests/unit/motion/engine_rig.h"

static struct machine machine;
static const struct engine_source none = ENGINE_SOURCE_NONE;
static struct rng rng;
static unsigned operations;
static uint32_t line;

#define OPERATIONS 1500

static struct engine_source job(void)
{
    line++;
    return (struct engine_source){line * 10, line, line};
}

static double smooth_s = 0, advance_s = 0;
static double next_fan = 0;

static bool chance(double p)
{
    return rng_unit(&rng) < p;
}

static void random_move(struct machine *m)
{
    double pos[ENGINE_AXES_MAX];
    struct err_info info = {{0}};
    engine_commanded_position(m->engine, pos);
    const double size = chance(0.5) ? 0.4 : chance(0.7) ? 8 : 60;
    const double from[2] = {pos[0], pos[1]};
    if (chance(0.9)) {
        for (int a = 0; a < 2; a++)
            pos[a] = fmin(fmax(pos[a] + rng_range(&rng, -size, size), -10), 220);
        if (chance(0.1))
            pos[2] = fmin(fmax(pos[2] + rng_range(&rng, -0.5, 0.5), -10), 220);
        if (chance(0.7) && engine_active_extruder(m->engine))
            pos[3] += rng_unit(&rng) * 0.04 * hypot(pos[0] - from[0], pos[1] - from[1]);
    } else if (engine_active_extruder(m->engine)) {
        pos[3] += rng_range(&rng, -2, 2);
    }
    enum err err = machine_move(m, pos[0], pos[1], pos[2], pos[3], rng_range(&rng, 5, 300), chance(0.5) ? job() : none, &info);
    if (err != OK)
        fail_msg("operation %u: %s %s %s", operations, err_name(err), info.text, engine_fault_text(m->engine));
}

/* At rest: the motors are where the engine says, and that is where their queues are. */
static void check_rest(struct machine *m)
{
    machine_sync(m);
    expect_boards_run(m);
    double pos[ENGINE_AXES_MAX];
    engine_commanded_position(m->engine, pos);
    for (int i = 0; i < MOTOR_COUNT; i++) {
        struct engine_stepper_position p;
        struct err_info info = {{0}};
        rig_expect_ok(engine_stepper_position_at(m->engine, m->stepper[i], (struct print_time){(double)INFINITY}, &p, &info),
                      &info);
        if (p.steps != m->motor[i].count)
            fail_msg("operation %u: %s has made %lld steps, %lld were sent", operations, motor_names[i],
                     (long long)m->motor[i].count, (long long)p.steps);
        struct engine_queue *q = engine_stepper_queue(m->stepper[i]);
        if (!q)
            continue;
        const double want = q == engine_toolhead(m->engine) ? pos[i] : engine_queue_position(m->engine, q);
        if (fabs(p.commanded_mm - want) > engine_stepper_step_dist_mm(m->stepper[i]) * 0.5 + 1e-6)
            fail_msg("operation %u: %s is at %.5f, its queue at %.5f", operations, motor_names[i], p.commanded_mm, want);
    }
}

static void random_hold(struct machine *m)
{
    struct err_info info = {{0}};
    rig_expect_ok(engine_hold(m->engine, &info), &info);
    while (!engine_is_held(m->engine))
        assert_int_equal(fiber_sleep(0.003), OK);
    double at[ENGINE_AXES_MAX];
    engine_commanded_position(m->engine, at);
    if (chance(0.4)) {
        machine_go(m, fmin(at[0] + 3, 220), at[1], at[2], at[3], 100);
        if (chance(0.5))
            check_rest(m);
        machine_go(m, at[0], at[1], at[2], at[3], 100);
    }
    if (chance(0.2)) {
        rig_expect_ok(engine_drop_tail(m->engine, &info), &info);
        /* what the tail would have bound or changed never happens: the caller's ideas follow the engine's */
        return;
    }
    AWAIT(m, engine_release(m->engine, &await_info));
}

static void random_home(struct machine *m)
{
    struct err_info info = {{0}};
    double pos[ENGINE_AXES_MAX];
    engine_commanded_position(m->engine, pos);
    const int axis = chance(0.5);
    struct engine_home_request r = {.queue = engine_toolhead(m->engine), .speed_mm_s = rng_range(&rng, 5, 60),
                                    .until_triggered = true, .is_probe = chance(0.5), .source = none};
    memcpy(r.pos, pos, sizeof pos);
    r.pos[axis] = fmin(fmax(pos[axis] - rng_unit(&rng) * 10, -5), 215); /* it may run past its target */
    r.endstops[0] = m->endstop[axis];
    r.endstop_count = 1;
    m->endstop_mm[axis] = motor_mm(m, axis) - rng_unit(&rng) * 12;
    struct engine_home_result result;
    rig_expect_ok(engine_home(m->engine, &r, &result, &info), &info);
    m->endstop_mm[axis] = -1e9;
}

static void random_operation(struct machine *m)
{
    const double kind = rng_unit(&rng) * 100;
    if (kind < 70) {
        random_move(m);
    } else if (kind < 74) {
        next_fan = !(next_fan > 0);
        AWAIT(m, engine_output(m->engine, m->fan, (const int64_t[]){m->fan_oid, 0, next_fan > 0}, 3, none, &await_info));
    } else if (kind < 76) {
        AWAIT(m, engine_dwell(m->engine, rng_unit(&rng) * 0.2, none, &await_info));
    } else if (kind < 79) {
        advance_s = chance(0.2) ? 0 : rng_unit(&rng) * 0.1;
        if (chance(0.2))
            smooth_s = rng_unit(&rng) * 0.1;
        AWAIT(m, engine_set_pressure_advance(m->engine, m->stepper[MOTOR_E], advance_s, smooth_s, none, &await_info));
    } else if (kind < 81) {
        struct engine_shaper shapers[3] = {{0}};
        for (int i = 0; i < 2; i++)
            if (chance(0.7))
                shapers[i] = (struct engine_shaper){.kind = (enum engine_shaper_kind)(1 + rng_below(&rng, 6)),
                                                    .freq_hz = rng_range(&rng, 25, 90), .damping_ratio = 0.1};
        AWAIT(m, engine_set_shapers(m->engine, shapers, none, &await_info));
    } else if (kind < 84) {
        AWAIT(m, engine_bind(m->engine, m->stepper[MOTOR_E],
                             engine_stepper_queue(m->stepper[MOTOR_E]) && chance(0.5) ? NULL : m->extruder, none,
                             &await_info));
    } else if (kind < 86) {
        double pos[ENGINE_AXES_MAX] = {rng_range(&rng, 0, 200), rng_range(&rng, 0, 200), rng_range(&rng, 0, 200),
                                       rng_range(&rng, -50, 50)};
        AWAIT(m, engine_set_position(m->engine, pos, (unsigned)rng_below(&rng, 16), none, &await_info));
    } else if (kind < 88) {
        AWAIT(m, engine_force_move(m->engine, m->stepper[rng_below(&rng, 3)], rng_range(&rng, -2, 2), 20,
                                   chance(0.3) ? 0 : 200, none, &await_info));
    } else if (kind < 90) {
        AWAIT(m, engine_motor_enable(m->engine, chance(0.5) ? NULL : m->stepper[rng_below(&rng, MOTOR_COUNT)], chance(0.3),
                                     none, &await_info));
    } else if (kind < 91) {
        AWAIT(m, engine_activate_extruder(m->engine, chance(0.5) ? m->extruder : NULL, none, &await_info));
    } else if (kind < 93) {
        assert_int_equal(fiber_sleep(rng_unit(&rng) * 2), OK);
    } else if (kind < 94) {
        random_home(m);
    } else if (kind < 95) {
        struct err_info info = {{0}};
        rig_expect_ok(engine_override_feed(m->engine, m->feed_factor = rng_range(&rng, 0.2, 2), &info), &info);
    } else if (kind < 98) {
        random_hold(m);
    } else {
        check_rest(m);
    }
}

static void body_random(struct machine *m)
{
    for (operations = 0; operations < OPERATIONS; operations++)
        random_operation(m);
    check_rest(m);
}

static void test_random(void **state)
{
    (void)state;
    const char *from = getenv("ENGINE_RANDOM_SEED");
    const uint64_t first = from ? strtoull(from, NULL, 10) : 1, count = from ? 1 : 4;
    for (uint64_t seed = first; seed < first + count; seed++) {
        print_message("seed %llu (ENGINE_RANDOM_SEED)\n", (unsigned long long)seed);
        memset(&machine, 0, sizeof machine);
        machine.feed_factor = 1;
        smooth_s = advance_s = next_fan = 0;
        line = 0;
        rng_init(&rng, seed);
        if (seed % 2)
            machine.board_of[MOTOR_E] = machine.board_of[MOTOR_Z] = 1;
        machine_run(&machine, seed, seed % 2 ? 2 : 1, NULL, body_random, 36000.);
        struct engine_status status;
        engine_get_status(machine.engine, runtime_now(machine.rig.rt), &status);
        assert_int_equal(status.late_count, 0);
        machine_end(&machine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
