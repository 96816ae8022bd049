/* Random operations on the engine, in the middle of whatever motion is pending: whatever comes in whatever order,
 *   - clocks strictly increase, at the pins and in what is handed to the boards;
 *   - steps taken = position asked, to half a microstep at every standstill, and at random instants in between also while
 *     everything moves, by the slow definition of the filters;
 *   - no jump: in every motion queue acceleration, speed and the change of velocity from one segment to the next keep the
 *     limits, and no motor is faster than its own;
 *   - scan windows are those of the filter in force, and the engine's reach is the longest of them;
 *   - nothing is emitted before the fence: a binding begins where steps were made to, and finds the motor where its old
 *     queue has left it.
 * Operations: moves of all sizes on four axes, sync, unsync and re-sync of four steppers between two extruders, a manual
 * queue and none, manual moves, the manual stepper as an axis of the moves, flush, fences, pause with operations in between,
 * cancel, feed override, pressure advance, shapers, extruder switch, step distance, set position, force moves, homing,
 * motors off and on, dwells, fans.
 *
 * LOCKSTEP_TEST_OPERATIONS: how many in all (10^6, fewer under sanitizers); LOCKSTEP_TEST_SEED: one world of that seed. */
#include "tests/unit/motion/engine_rig.h"

#include "motion/steps/filter.h"
#include "motion/steps/stepgen_internal.h"

#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OPERATIONS 60000
#else
#define OPERATIONS 1000000
#endif
#define WORLD_OPERATIONS 12500 /* of one seed: a new machine then */
#define PROCESSES        2
#define STEP_RING        ((size_t)1 << 17)

#define STEP_DIST_MAX 0.003 /* of the motors whose step distance changes */
#define SEEN_S   0.25  /* simulated boards are stepped now and then: steps older than this have been seen */
#define LATE_S   26e-6 /* a step is early by at most so much */
#define WINDOW_S 0.01  /* over which speeds are compared */

static struct machine machine;
static const struct engine_source none = ENGINE_SOURCE_NONE;
static struct rng rng;
static struct rng look_rng; /* of the checks: they do not change what happens */
static uint64_t seed;
static unsigned operations;
static uint32_t line;

static struct engine_source job(void)
{
    line++;
    return (struct engine_source){line * 10, line, line};
}

static bool chance(double p)
{
    return rng_unit(&rng) < p;
}

#define FAIL(...)                                                                                                      \
    do {                                                                                                               \
        print_message("seed %llu, operation %u: ", (unsigned long long)seed, operations);                              \
        fail_msg(__VA_ARGS__);                                                                                         \
    } while (0)

/* ------------------------------------------------------------------------------------------------ what was stepped */

/* Count of a motor at a print time. False: that long ago is forgotten. */
static bool count_at(const struct motor *motor, double at_s, int64_t *count)
{
    const size_t first = motor->step_count > STEP_RING ? motor->step_count - STEP_RING : 0;
    size_t lo = first, hi = motor->step_count;
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (motor->steps[mid & (STEP_RING - 1)].time_s <= at_s)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == first && first > 0)
        return false;
    *count = lo > 0 ? motor->steps[(lo - 1) & (STEP_RING - 1)].count : 0;
    return true;
}

/* One binding of a stepper, as it was seen. */
struct epoch {
    bool is_valid, is_based; /* based: count and position at its fence are known */
    double fence_s, base_mm, step_mm;
    int64_t base_count;
    const struct segq *queue;
    struct filter filter;
    struct advance_list advance;
};

struct watch {
    struct epoch now, before;
    double end_mm;   /* where the binding before rested at the end */
    double step_mm;
    uint64_t bound_count;
    double window_s; /* last window */
    int64_t window_count;
    bool has_window;
};

static struct watch watch[MOTOR_MAX];
static double made_s; /* steps had been made up to here when it was last looked */
static uint64_t samples, epochs;

/* Largest speed of each motor [mm/s]; filament: 12 mm/s in printing moves, what max_extrude_only_velocity allows alone, and
 * pressure advance on top. */
static const double speed_limits[MOTOR_MAX] = {300, 300, 50, 150, 150, 150, 150};

static double taken_mm(const struct epoch *e, int64_t count)
{
    return (double)(count - e->base_count) * e->step_mm;
}

/* Steps taken against the position asked at one instant of a binding. `rest_mm` finite: the position asked. */
static void check_instant(int i, const struct epoch *e, double at_s, double rest_mm)
{
    double asked_mm = rest_mm, near_mm = rest_mm;
    int64_t count;
    if (!e->is_valid || !e->is_based || at_s < e->fence_s || !count_at(&machine.motor[i], at_s, &count))
        return;
    if (!isfinite(rest_mm) && (!filter_position(&e->filter, e->queue, &e->advance, at_s, &asked_mm) ||
                               !filter_position(&e->filter, e->queue, &e->advance, at_s + LATE_S, &near_mm)))
        return;
    /* half a step of the grid at the fence and here, one that was taken back as a glitch, and what is early */
    const double off = taken_mm(e, count) - (asked_mm - e->base_mm), slack = 2.05 * fabs(e->step_mm) + 2 * fabs(near_mm - asked_mm);
    samples++;
    if (fabs(off) > slack + 1e-6)
        FAIL("%s is %.4f mm off at %.6f s (step %.4f mm), bound at %.6f s", motor_names[i], off, at_s, e->step_mm, e->fence_s);
}

static struct advance_list advances_of(const struct engine_stepper *s)
{
    return s->sg->solver.advance;
}

static uint64_t queue_end[ENGINE_QUEUES_MAX]; /* segments there were when it was last looked */

/* Where a queue was at rest before its position was declared anew since it was last looked; NAN: it was not. */
static double declared_from_mm(const struct segq *q, uint64_t since, unsigned axis)
{
    for (uint64_t k = since > q->begin + 1 ? since : q->begin + 1; k < q->end; k++) {
        const struct seg *s = segq_at(q, k - 1);
        if (segq_at(q, k)->flags & SEG_MARKER)
            return s->pos_mm[axis] + s->r[axis] * (s->v0_mm_s + s->ha_mm_s2 * s->dt_s) * s->dt_s;
    }
    return (double)NAN;
}

static void begin_epoch(int i, struct engine_stepper *s)
{
    struct watch *w = &watch[i];
    w->before = w->now;
    if (s->sg->bound_count != w->bound_count + 1)
        w->before.is_valid = false; /* another one was made and gone between two looks: a force move, say */
    w->bound_count = s->sg->bound_count;
    w->end_mm = (double)NAN;
    for (unsigned k = 0; k < s->e->queue_count; k++)
        if (w->before.queue == &s->e->queues[k]->q)
            w->end_mm = declared_from_mm(w->before.queue, queue_end[k], i < 3 ? (unsigned)i : 0);
    double pos[3];
    if (!isfinite(w->end_mm) && w->before.is_valid) { /* at rest, whatever the filter is */
        w->before.is_valid = segq_position(w->before.queue, s->sg->bound_s, pos, NULL);
        w->end_mm = pos[i < 3 ? i : 0];
    }
    w->now = (struct epoch){.is_valid = s->queue != NULL && s->queue != s->e->force_queue, .fence_s = s->sg->bound_s,
                            .step_mm = (s->is_dir_inverted != s->is_spec_inverted ? -1 : 1) * engine_stepper_step_dist_mm(s)};
    if (s->queue)
        w->now.queue = &s->queue->q;
    w->now.filter = s->filter;
    epochs++;
    if (s->sg->bound_s < made_s - 1e-9)
        FAIL("%s is bound at %.6f s, but steps were made up to %.6f s", motor_names[i], s->sg->bound_s, made_s);
}

/* The pins have passed the fence: here the motor is where the old binding has left it and the new one begins. */
static void base_epoch(int i, struct engine_stepper *s, double seen_s)
{
    struct watch *w = &watch[i];
    if (w->now.is_based || !w->now.is_valid || seen_s < w->now.fence_s)
        return;
    check_instant(i, &w->before, w->now.fence_s, w->end_mm);
    w->before.is_valid = false;
    w->now.advance = advances_of(s);
    if (!count_at(&machine.motor[i], w->now.fence_s, &w->now.base_count) ||
        !filter_position(&w->now.filter, w->now.queue, &w->now.advance, w->now.fence_s, &w->now.base_mm))
        w->now.is_valid = false;
    w->now.is_based = true;
}

/* Speed over a window of WINDOW_S. */
static void check_window(int i, double end_s)
{
    struct watch *w = &watch[i];
    int64_t count;
    if (!count_at(&machine.motor[i], end_s, &count)) {
        w->has_window = false;
        return;
    }
    const double step_mm = fabs(w->step_mm), speed = (double)(count - w->window_count) * step_mm / WINDOW_S;
    if (w->has_window && fabs(speed) > speed_limits[i] * 1.01 + 2 * step_mm / WINDOW_S)
        FAIL("%s moves at %.1f mm/s at %.4f s", motor_names[i], speed, end_s);
    w->window_count = count;
    w->has_window = true;
}

/* What has been committed of a motion queue. */
struct queue_watch {
    uint64_t next;
    double end_s, v[3], mm[3];
    bool was_homing; /* the end of the last move is not planned: it stops at once */
};
static struct queue_watch queue_watch[ENGINE_QUEUES_MAX];
static uint64_t segments;

/* Limits of a queue: acceleration, speed, and change of velocity at once. With square_corner_velocity scv a corner changes
 * the velocity by at most 2 scv sqrt(2 (sqrt(2) - 1)) = 1.82 scv; filament by its own corner velocity of 1 mm/s or, alone,
 * from rest; a manual queue may be told to move without acceleration. */
static void check_segment(const struct engine_queue *q, const struct seg *s)
{
    struct queue_watch *w = &queue_watch[q->index];
    const bool is_manual = q->kind == QUEUE_MANUAL, is_toolhead = q->kind == QUEUE_TOOLHEAD;
    const double max_accel = is_toolhead ? 3000 : is_manual ? 1e4 : 1e4, max_speed = is_toolhead ? 300 : 150;
    const double max_jump = is_toolhead ? 9.11 : is_manual ? 100 : 1.01;
    double r = 0, jump = 0, end_v[3];
    const double before = s->t0_s - w->end_s < 1e-7 ? 1 : 0;
    for (int i = 0; i < 3; i++) {
        r += s->r[i] * s->r[i];
        const double change = s->v0_mm_s * s->r[i] - before * w->v[i];
        jump += change * change;
        end_v[i] = (s->v0_mm_s + 2 * s->ha_mm_s2 * s->dt_s) * s->r[i];
    }
    r = sqrt(r);
    segments++;
    if (s->flags & SEG_MARKER)
        memcpy(w->mm, s->pos_mm, sizeof w->mm);
    for (int i = 0; i < 3; i++) {
        if (fabs(s->pos_mm[i] - w->mm[i]) > 1e-6)
            FAIL("%s jumps by %.6f mm at %.6f s", q->name, s->pos_mm[i] - w->mm[i], s->t0_s);
        w->mm[i] = s->pos_mm[i] + s->r[i] * (s->v0_mm_s + s->ha_mm_s2 * s->dt_s) * s->dt_s;
    }
    if (s->flags & SEG_MARKER && w->was_homing) {
        memset(w->v, 0, sizeof w->v);
        w->was_homing = false;
    }
    if (s->dt_s > 1e-9) { /* what is shorter is rounding */
        if (fabs(2 * s->ha_mm_s2) * r > max_accel * (1 + 1e-5))
            FAIL("%s accelerates by %.1f mm/s^2 at %.6f s", q->name, 2 * s->ha_mm_s2 * r, s->t0_s);
        if (fmax(s->v0_mm_s * r, fabs(end_v[0])) > max_speed * (1 + 1e-6))
            FAIL("%s moves at %.1f mm/s at %.6f s", q->name, s->v0_mm_s * r, s->t0_s);
        if (sqrt(jump) > max_jump)
            FAIL("the velocity of %s jumps by %.2f mm/s at %.6f s", q->name, sqrt(jump), s->t0_s);
        memcpy(w->v, end_v, sizeof end_v);
    }
    w->end_s = seg_end_s(s);
}

static void check_queues(const struct motion *m)
{
    const double until_s = m->gen_s + m->kfd_s - 1e-9; /* behind it everything can still be taken back */
    for (unsigned i = 0; i < m->e->queue_count; i++) {
        const struct engine_queue *q = m->e->queues[i];
        struct queue_watch *w = &queue_watch[i];
        if (q == m->e->force_queue)
            continue;
        if (w->next < q->q.begin)
            w->next = q->q.begin;
        for (; w->next < q->q.end && seg_end_s(segq_at(&q->q, w->next)) <= until_s; w->next++)
            check_segment(q, segq_at(&q->q, w->next));
    }
}

static void check_reach(const struct motion *m, int i, const struct engine_stepper *s)
{
    const double pre = s->queue ? filter_pre_s(&s->filter) : 0, post = s->queue ? filter_post_s(&s->filter) : 0;
    if (stepgen_pre_s(s->sg) != pre || stepgen_post_s(s->sg) != post || s->sg->queue != (s->queue ? &s->queue->q : NULL))
        FAIL("%s scans -%.4f +%.4f s, its filter needs -%.4f +%.4f", motor_names[i], stepgen_post_s(s->sg),
             stepgen_pre_s(s->sg), post, pre);
    const bool is_on_toolhead = s->queue == m->e->queues[0];
    if (s->queue && (s->filter.smooth_s != (is_on_toolhead ? 0 : s->smooth_s) ||
                     (is_on_toolhead && memcmp(s->filter.shaper, m->shapers, sizeof m->shapers) != 0)))
        FAIL("%s has another filter than what was asked for", motor_names[i]);
    if (m->kfd_s < fmax(pre, post))
        FAIL("the engine looks %.4f s ahead, %s needs -%.4f +%.4f", m->kfd_s, motor_names[i], post, pre);
}

static void observe(struct machine *mc)
{
    expect_boards_run(mc);
    const struct motion *m = &mc->engine->m;
    const double seen_s = m->est_s - SEEN_S;
    const bool is_homing = m->home.phase != HOME_NONE;
    if (!is_homing)
        check_queues(m);
    else
        queue_watch[0].was_homing = true;
    for (int i = 0; i < MOTOR_MAX; i++) {
        struct engine_stepper *s = mc->stepper[i];
        struct watch *w = &watch[i];
        check_reach(m, i, s);
        const double step_mm = engine_stepper_step_dist_mm(s);
        if (s->sg->bound_count != w->bound_count)
            begin_epoch(i, s);
        if (w->step_mm != step_mm) { /* as the stream will have it: until that is in force nothing is compared */
            w->step_mm = step_mm;
            w->has_window = false;
        }
        if (is_homing && s->queue == mc->engine->queues[0])
            w->now.is_valid = w->before.is_valid = false; /* what is stopped was asked for */
        base_epoch(i, s, seen_s);
        if (seen_s - w->window_s > WINDOW_S) {
            w->window_s += WINDOW_S;
            if (seen_s - w->window_s > 1.0) {
                w->window_s = seen_s;
                w->has_window = false;
            }
            check_window(i, w->window_s);
        }
        if (rng_below(&look_rng, 40) == 0 && seen_s > w->now.fence_s && w->now.is_based) {
            w->now.advance = advances_of(s);
            check_instant(i, &w->now, seen_s - rng_unit(&look_rng) * 0.05, (double)NAN);
        }
    }
    for (unsigned k = 0; k < mc->engine->queue_count; k++)
        queue_end[k] = mc->engine->queues[k]->q.end;
    made_s = fmax(made_s, m->gen_s);
}

/* At rest: the motors are where the engine says, and that is where their queues are. */
static void check_rest(struct machine *m)
{
    machine_sync(m);
    expect_boards_run(m);
    double pos[ENGINE_AXES_MAX];
    engine_commanded_position(m->engine, pos);
    for (int i = 0; i < MOTOR_MAX; i++) {
        struct engine_stepper_position p;
        struct err_info info = {{0}};
        rig_expect_ok(engine_stepper_position_at(m->engine, m->stepper[i], (struct print_time){(double)INFINITY}, &p, &info),
                      &info);
        if (p.steps != m->motor[i].count)
            FAIL("%s has made %lld steps, %lld were sent", motor_names[i], (long long)m->motor[i].count, (long long)p.steps);
        struct engine_queue *q = engine_stepper_queue(m->stepper[i]);
        if (!q)
            continue;
        const double want = q == engine_toolhead(m->engine) ? pos[i] : engine_queue_position(m->engine, q);
        /* a motor whose step distance changed stays where the larger steps have left it until it moves */
        const double step_mm = i == MOTOR_GEAR || i == MOTOR_E1 ? STEP_DIST_MAX : engine_stepper_step_dist_mm(m->stepper[i]);
        if (fabs(p.commanded_mm - want) > step_mm * 0.5 + 1e-6)
            FAIL("%s is at %.5f, its queue %s at %.5f", motor_names[i], p.commanded_mm, engine_queue_name(q), want);
    }
}

/* ---------------------------------------------------------------------------------------------------- operations */

static unsigned done[32];
enum { DID_MOVE, DID_OUTPUT, DID_DWELL, DID_ADVANCE, DID_SHAPERS, DID_SYNC, DID_UNSYNC, DID_RESYNC, DID_POSITION, DID_FORCE,
       DID_MOTORS, DID_ACTIVATE, DID_WAIT, DID_HOME, DID_FEED, DID_PAUSE, DID_CANCEL, DID_REST, DID_MANUAL, DID_AXES, DID_FLUSH,
       DID_STEP_DIST, DID_MIDWAY, DID_COUNT };
static const char *const did_names[DID_COUNT] = {
    "moves", "outputs", "dwells", "pressure advance", "shapers", "sync", "unsync", "re-sync", "set position", "force moves",
    "motors", "extruder switches", "waits", "homing", "feed overrides", "pauses", "cancels", "checks at rest",
    "manual moves", "axes", "flushes", "step distances", "in the middle of motion"};

/* Append with `call`; ERR_STATE is an answer too where the state forbids it. */
#define TRY(m, call)                                                                                                   \
    do {                                                                                                               \
        struct err_info await_info = {{0}};                                                                            \
        enum err await_err;                                                                                            \
        while ((await_err = (call)) == ERR_FULL)                                                                       \
            machine_room(m);                                                                                           \
        if (await_err != OK && await_err != ERR_STATE)                                                                 \
            FAIL("%s %s", err_name(await_err), await_info.text);                                                       \
    } while (0)

static void go(struct machine *m, const double pos[ENGINE_AXES_MAX], double speed, struct engine_source source)
{
    struct engine_move move = {.speed_mm_s = speed * m->feed_factor, .feed_factor = chance(0.9) ? m->feed_factor : 0,
                               .source = source};
    memcpy(move.pos, pos, sizeof move.pos);
    AWAIT(m, engine_move(m->engine, &move, &await_info));
}

static void random_move(struct machine *m)
{
    double pos[ENGINE_AXES_MAX];
    engine_commanded_position(m->engine, pos);
    const double size = chance(0.6) ? 0.4 : chance(0.75) ? 4 : 40;
    const double from[2] = {pos[0], pos[1]};
    if (chance(0.9)) {
        for (int a = 0; a < 2; a++)
            pos[a] = fmin(fmax(pos[a] + rng_range(&rng, -size, size), -10), 220);
        if (chance(0.1))
            pos[2] = fmin(fmax(pos[2] + rng_range(&rng, -0.5, 0.5), -10), 220);
        if (chance(0.7) && engine_active_extruder(m->engine))
            pos[3] += rng_unit(&rng) * 0.04 * hypot(pos[0] - from[0], pos[1] - from[1]);
    } else if (engine_active_extruder(m->engine)) {
        pos[3] += rng_range(&rng, -1, 1);
    }
    if (engine_axis_queue(m->engine, 0) && chance(0.5))
        pos[4] = fmin(fmax(pos[4] + rng_range(&rng, -1, 1), -50), 50);
    go(m, pos, rng_range(&rng, 5, 300), chance(0.5) ? job() : none);
    done[DID_MOVE]++;
}

static void random_binding(struct machine *m)
{
    struct engine_queue *const queues[] = {m->extruder, m->extruder1, m->selector, NULL};
    struct engine_stepper *s = m->stepper[MOTOR_E + rng_below(&rng, 4)];
    struct engine_queue *to = queues[rng_below(&rng, 4)], *from = engine_stepper_queue(s);
    done[!to ? DID_UNSYNC : !from ? DID_SYNC : DID_RESYNC]++;
    AWAIT(m, engine_bind(m->engine, s, to, chance(0.5) && !engine_is_held(m->engine) ? job() : none, &await_info));
}

static void random_manual_move(struct machine *m)
{
    const double at = engine_queue_position(m->engine, m->selector);
    const struct engine_queue_move move = {.queue = m->selector,
                                           .pos_mm = fmin(fmax(at + rng_range(&rng, -4, 4), -50), 50),
                                           .speed_mm_s = rng_range(&rng, 5, 50),
                                           .accel_mm_s2 = chance(0.3) ? 0 : rng_range(&rng, 100, 1000),
                                           .is_synced = chance(0.5),
                                           .source = none};
    if (chance(0.9))
        TRY(m, engine_queue_move(m->engine, &move, &await_info));
    else
        TRY(m, engine_queue_set_position(m->engine, m->selector, rng_range(&rng, -10, 10), none, &await_info));
    done[DID_MANUAL]++;
}

static void random_axes(struct machine *m)
{
    const struct engine_axis_spec spec = {.queue = m->selector, .corner_velocity_mm_s = 5, .max_velocity_mm_s = 50,
                                          .max_accel_mm_s2 = 1000, .position_min_mm = -(double)INFINITY,
                                          .position_max_mm = (double)INFINITY};
    TRY(m, engine_set_axes(m->engine, &spec, engine_axis_queue(m->engine, 0) ? 0 : 1, none, &await_info));
    done[DID_AXES]++;
}

static void random_advance(struct machine *m)
{
    static const int steppers[] = {MOTOR_E, MOTOR_E1, MOTOR_GEAR};
    static double smooth_s[3];
    const uint64_t k = rng_below(&rng, 3);
    if (chance(0.2))
        smooth_s[k] = chance(0.3) ? 0.04 : 0.01 + rng_unit(&rng) * 0.1;
    AWAIT(m, engine_set_pressure_advance(m->engine, m->stepper[steppers[k]], chance(0.2) ? 0 : rng_unit(&rng) * 0.1,
                                         fmax(smooth_s[k], 0.01), none, &await_info));
    done[DID_ADVANCE]++;
}

static void random_shapers(struct machine *m)
{
    struct engine_shaper shapers[3] = {{0}};
    for (int i = 0; i < 2; i++)
        if (chance(0.7))
            shapers[i] = (struct engine_shaper){.kind = (enum engine_shaper_kind)(1 + rng_below(&rng, 6)),
                                                .freq_hz = rng_range(&rng, 25, 90), .damping_ratio = 0.1};
    AWAIT(m, engine_set_shapers(m->engine, shapers, none, &await_info));
    done[DID_SHAPERS]++;
}

static void random_flush(struct machine *m)
{
    struct err_info info = {{0}};
    struct print_time at;
    switch (rng_below(&rng, 4)) {
    case 0:
        AWAIT(m, engine_flush(m->engine, none, &await_info));
        break;
    case 1:
        AWAIT(m, engine_fence(m->engine, ENGINE_FENCE_PLANNED, 1, none, &await_info));
        break;
    case 2:
        AWAIT(m, engine_fence(m->engine, ENGINE_FENCE_EXECUTED, 2, none, &await_info));
        break;
    default:
        rig_expect_ok(engine_wait_planned(m->engine, none, &at, &info), &info);
        break;
    }
    done[DID_FLUSH]++;
}

static void random_position(struct machine *m)
{
    double pos[ENGINE_AXES_MAX] = {rng_range(&rng, 0, 200), rng_range(&rng, 0, 200), rng_range(&rng, 0, 200),
                                   rng_range(&rng, -50, 50), rng_range(&rng, -50, 50)};
    AWAIT(m, engine_set_position(m->engine, pos, (unsigned)rng_below(&rng, 32), none, &await_info));
    done[DID_POSITION]++;
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
    done[DID_HOME]++;
}

/* What a pause macro may do: park and come back, change what can be changed. */
static void held_operations(struct machine *m, const double at[ENGINE_AXES_MAX])
{
    double pos[ENGINE_AXES_MAX];
    memcpy(pos, at, sizeof pos);
    pos[0] = fmin(at[0] + 3, 220);
    go(m, pos, 100, none);
    if (chance(0.3))
        random_manual_move(m);
    if (chance(0.3))
        random_advance(m);
    if (chance(0.2))
        random_shapers(m);
    if (chance(0.3))
        check_rest(m);
    engine_commanded_position(m->engine, pos);
    memcpy(pos, at, 3 * sizeof *pos);
    go(m, pos, 100, none);
}

static void random_hold(struct machine *m)
{
    struct err_info info = {{0}};
    rig_expect_ok(engine_hold(m->engine, &info), &info);
    while (!engine_is_held(m->engine))
        assert_int_equal(fiber_sleep(0.003), OK);
    double at[ENGINE_AXES_MAX];
    engine_commanded_position(m->engine, at);
    done[DID_PAUSE]++;
    if (chance(0.4) && !engine_axis_queue(m->engine, 0))
        held_operations(m, at);
    if (chance(0.3)) {
        rig_expect_ok(engine_drop_tail(m->engine, &info), &info);
        done[DID_CANCEL]++;
        return;
    }
    TRY(m, engine_release(m->engine, &await_info));
    if (engine_is_held(m->engine)) { /* the manual stepper is elsewhere and the tail makes it an axis */
        rig_expect_ok(engine_drop_tail(m->engine, &info), &info);
        done[DID_CANCEL]++;
    }
}

static void random_feed(struct machine *m)
{
    struct err_info info = {{0}};
    m->feed_factor = rng_range(&rng, 0.2, 2);
    rig_expect_ok(engine_override_feed(m->engine, m->feed_factor, &info), &info);
    done[DID_FEED]++;
}

static void random_step_dist(struct machine *m)
{
    static const double dists[] = {0.002, STEP_DIST_MAX, 0.0015};
    machine_sync(m); /* the test's own measure changes at once */
    assert_int_equal(fiber_sleep(0.2), OK);
    AWAIT(m, engine_set_step_dist(m->engine, m->stepper[chance(0.5) ? MOTOR_GEAR : MOTOR_E1],
                                  dists[rng_below(&rng, 3)], none, &await_info));
    machine_sync(m);
    for (int i = 0; i < MOTOR_MAX; i++)
        watch[i].now.is_valid = false;
    done[DID_STEP_DIST]++;
}

static bool is_moving(const struct machine *m)
{
    return m->engine->m.motion_end_s > m->engine->m.est_s;
}

static void random_operation(struct machine *m)
{
    static bool is_fan_on;
    const double kind = rng_unit(&rng) * 100;
    done[DID_MIDWAY] += is_moving(m);
    if (kind < 68) {
        random_move(m);
    } else if (kind < 72) {
        is_fan_on = !is_fan_on;
        AWAIT(m, engine_output(m->engine, m->fan, (const int64_t[]){m->fan_oid, 0, is_fan_on}, 3, none, &await_info));
        done[DID_OUTPUT]++;
    } else if (kind < 73) {
        AWAIT(m, engine_dwell(m->engine, rng_unit(&rng) * 0.1, chance(0.5) ? job() : none, &await_info));
        done[DID_DWELL]++;
    } else if (kind < 77) {
        random_advance(m);
    } else if (kind < 78.5) {
        random_shapers(m);
    } else if (kind < 83) {
        random_binding(m);
    } else if (kind < 83.5) {
        random_position(m);
    } else if (kind < 84.5) {
        AWAIT(m, engine_force_move(m->engine, m->stepper[rng_below(&rng, 3)], rng_range(&rng, -1, 1), 20,
                                   chance(0.3) ? 0 : 200, none, &await_info));
        done[DID_FORCE]++;
    } else if (kind < 86) {
        AWAIT(m, engine_motor_enable(m->engine, chance(0.5) ? NULL : m->stepper[rng_below(&rng, MOTOR_MAX)], chance(0.3),
                                     none, &await_info));
        done[DID_MOTORS]++;
    } else if (kind < 87.5) {
        struct engine_queue *const extruders[] = {m->extruder, m->extruder1, m->extruder, m->extruder1, NULL};
        AWAIT(m, engine_activate_extruder(m->engine, extruders[rng_below(&rng, 5)], none, &await_info));
        done[DID_ACTIVATE]++;
    } else if (kind < 89) {
        assert_int_equal(fiber_sleep(rng_unit(&rng) * (chance(0.2) ? 1.5 : 0.2)), OK);
        done[DID_WAIT]++;
    } else if (kind < 89.2) {
        random_home(m);
    } else if (kind < 92) {
        random_feed(m);
    } else if (kind < 95) {
        random_hold(m);
    } else if (kind < 97) {
        random_manual_move(m);
    } else if (kind < 97.5) {
        random_axes(m);
    } else if (kind < 99) {
        random_flush(m);
    } else if (kind < 99.2) {
        random_step_dist(m);
    } else {
        check_rest(m);
        done[DID_REST]++;
    }
}

/* Every step of the motion thread is looked at. */
static struct host_ns watched_step(struct actor *actor, struct host_ns now)
{
    const struct host_ns next = motion_step(actor, now);
    observe(&machine);
    return next;
}

static unsigned world_operations;

static void body_random(struct machine *m)
{
    m->engine->m.actor.step = watched_step;
    for (operations = 0; operations < world_operations; operations++)
        random_operation(m);
    check_rest(m);
}

static void run_world(uint64_t with_seed)
{
    seed = with_seed;
    memset(&machine, 0, sizeof machine);
    memset(watch, 0, sizeof watch);
    memset(queue_watch, 0, sizeof queue_watch);
    made_s = 0;
    line = 0;
    machine.feed_factor = 1;
    machine.has_gears = true;
    machine.step_ring = STEP_RING;
    rng_init(&rng, seed);
    rng_init(&look_rng, seed);
    if (seed % 2)
        machine.board_of[MOTOR_E] = machine.board_of[MOTOR_Z] = machine.board_of[MOTOR_GEAR] = 1;
    machine_run(&machine, seed, seed % 2 ? 2 : 1, NULL, body_random, 1e6);
    struct engine_status status;
    engine_get_status(machine.engine, runtime_now(machine.rig.rt), &status);
    if (status.late_count)
        FAIL("%u steps were late", status.late_count);
    machine_end(&machine);
}

static void print_done(uint64_t first, uint64_t count)
{
    unsigned total = 0;
    for (int i = 0; i < DID_MIDWAY; i++)
        total += done[i];
    print_message("seeds %llu to %llu: %u operations, %llu bindings, %llu instants, %llu segments:", (unsigned long long)first,
                  (unsigned long long)(first + count - 1), total, (unsigned long long)epochs, (unsigned long long)samples,
                  (unsigned long long)segments);
    for (int i = 0; i < DID_COUNT; i++)
        print_message(" %u %s%s", done[i], did_names[i], i + 1 < DID_COUNT ? "," : "\n");
    for (int i = 0; i < DID_COUNT; i++)
        assert_true(done[i] > 0 || total < 10000);
    assert_true(total < 10000 || samples > total / 4);
}

/* A share of the worlds in a process of its own: two cores, and memory that is given back. */
static pid_t spawn_worlds(uint64_t first, uint64_t count)
{
    fflush(stdout);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    for (uint64_t s = first; s < first + count; s++)
        run_world(s);
    print_done(first, count);
    fflush(stdout);
    _exit(0);
}

static void test_random(void **state)
{
    (void)state;
    const char *from = getenv("LOCKSTEP_TEST_SEED"), *wanted = getenv("LOCKSTEP_TEST_OPERATIONS");
    const uint64_t total = wanted ? strtoull(wanted, NULL, 10) : OPERATIONS;
    world_operations = WORLD_OPERATIONS;
    if (from) {
        run_world(strtoull(from, NULL, 10));
        print_done(seed, 1);
        return;
    }
    const uint64_t each = (total + WORLD_OPERATIONS * PROCESSES - 1) / (WORLD_OPERATIONS * PROCESSES);
    pid_t pids[PROCESSES];
    for (unsigned i = 0; i < PROCESSES; i++)
        pids[i] = spawn_worlds(1 + i * each, each);
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status = 0;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
