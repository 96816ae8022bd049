/* The plan: lookahead, print time, flow control, and the actor's step that drives everything else.
 *
 * Print time keeping. NEED_PRIME: nothing is planned ahead (start, after a dwell, after running dry). PRIMING: moves
 * gather, so that the first of them is released with a view of what follows. MAIN: moves follow each other without a gap.
 * Print time is moved ahead of the boards only when a release leaves the first two states. docs/design/commit-horizon.md */
#include "engine_int.h"

#include <math.h>
#include <string.h>

#define PRIME_LIVE_S      0.5   /* motion that gathers before the first of it is released; offline as much as Klipper's */
#define RUNOUT_MARGIN_S   0.001
#define RUNOUT_STEP_S     0.05 /* released at once when the plan runs out */
#define WAKE_MIN_S        0.0005
/* Braking begins a horizon after its request has come here; the horizons promise it after its arrival at the computer. */
#define REQUEST_RT_S      0.03
#define REQUEST_S         0.1
#define ANSWER_ROOM       8 /* events that a request may cause at once */
#define SNAPSHOT_EVERY_S  0.05
/* Klipper's offline mode (docs/design/commit-horizon.md, last section) */
#define KLIPPER_BATCH_S   0.250
#define KLIPPER_BEHIND_S  1.5

void motion_init(struct motion *m, struct engine *e)
{
    m->actor = (struct actor){.name = "motion", .step = motion_step};
    m->e = e;
    m->is_batch = e->is_batch;
    lookahead_init(&m->la, e->is_batch ? LOOKAHEAD_BATCH : LOOKAHEAD_MOVES);
    m->timed = MEM_ARRAY(struct timed, TIMED_ITEMS);
    m->due = MEM_ARRAY(struct due, DUE_MAX);
    m->kfd_s = WINDOW_MIN_S;
    m->runout_s = -1.0;
    if (e->is_batch) {
        m->start_lead_s = START_LEAD_RT_S;
        m->min_lead_s = MIN_LEAD_RT_S;
    }
    m->min_lead_us = UINT32_MAX;
    m->all_sent = true;
    motion_need_prime(m);
}

void motion_init_tail(struct motion *m)
{
    if (m->is_batch)
        return;
    m->tail_cap = RING_ITEMS + LOOKAHEAD_MOVES + TIMED_ITEMS + TAIL_LEFT_MAX + 2;
    m->tail = MEM_ARRAY(struct item, m->tail_cap);
    m->stop_moves = MEM_ARRAY(struct move, LOOKAHEAD_MOVES);
}

void motion_deinit(struct motion *m)
{
    if (m->gen.team) {
        if (m->gen.is_running)
            stepteam_finish(m->gen.team);
        stepteam_destroy(m->gen.team);
    }
    lookahead_deinit(&m->la);
    mem_free(m->timed);
    mem_free(m->due);
    mem_free(m->tail);
    mem_free(m->stop_moves);
}

void motion_need_prime(struct motion *m)
{
    m->state = PLAN_NEED_PRIME;
    lookahead_prime(&m->la, m->is_batch ? LOOKAHEAD_BUDGET_PRIME_S : PRIME_LIVE_S);
}

void motion_update_window(struct motion *m)
{
    double window = WINDOW_MIN_S;
    for (unsigned i = 0; i < m->e->stepper_count; i++)
        window = fmax(window, fmax(stepgen_pre_s(m->e->steppers[i]->sg), stepgen_post_s(m->e->steppers[i]->sg)));
    m->kfd_s = window;
}

/* How much longer than wanted the plan is already [s]; <= 0: more may be taken. What waits in the lookahead does not
 * count while it moves: it may have to be long before anything of it is final. */
static double excess_s(const struct motion *m)
{
    const double planned = fmax(m->print_time_s - m->est_s, 0.0) - (m->horizon_s + PLAN_MARGIN_S);
    return m->state == PLAN_MAIN ? planned : fmax(planned, m->waiting_s - 2.0 * PRIME_LIVE_S);
}

/* After standstill: print time jumps to where motion can begin, ahead of the boards and of what was generated. */
void motion_resync(struct motion *m)
{
    const double generated = m->is_batch ? m->kgen_s : m->gen_s;
    const double restart = fmax(m->est_s + m->min_lead_s, generated) + m->kfd_s;
    m->print_time_s = fmax(m->print_time_s, fmax(m->est_s + m->start_lead_s, restart));
    /* No filter may find motion within what it has looked at already. */
    for (unsigned i = 0; m->is_batch && i < m->e->stepper_count; i++)
        m->print_time_s = fmax(m->print_time_s, m->gen_s + stepgen_pre_s(m->e->steppers[i]->sg));
    /* A transaction has promised rest until then. */
    for (unsigned i = 0; i < m->e->queue_count; i++)
        if (queue_is_planned(m->e->queues[i]))
            m->print_time_s = fmax(m->print_time_s, m->e->queues[i]->q.end_s);
}

/* ------------------------------------------------------------------------------------------------------- releasing */

void motion_append_move(struct motion *m, struct move *mv, double at_s)
{
    struct engine *e = m->e;
    const double t = at_s;
    mv->print_time_s = at_s;
    if (mv->is_kinematic)
        segq_append(&e->queues[0]->q, t, mv->accel_t, mv->cruise_t, mv->decel_t, mv->start_mm, mv->r, mv->start_v,
                    mv->cruise_v, mv->accel_mm_s2, 0, mv->tag.line);
    for (unsigned i = 0; i + MOVE_EXTRA < mv->axes_count; i++) {
        const double r = mv->r[MOVE_EXTRA + i];
        if (r == 0.0 || mv->extra_queue[i] == MOVE_QUEUE_NONE)
            continue;
        struct engine_queue *q = e->queues[mv->extra_queue[i]];
        segq_append(&q->q, t, mv->accel_t, mv->cruise_t, mv->decel_t, (const double[3]){mv->start_mm[MOVE_EXTRA + i]},
                    (const double[3]){r}, mv->start_v, mv->cruise_v, mv->accel_mm_s2, mv->extra_flags[i], mv->tag.line);
        q->pos_mm = mv->end_mm[MOVE_EXTRA + i];
    }
}

/* Print time and the end of the queue are the same instant, as long as they are rounded alike: both add one phase after the
 * other. What little there is between them must not grow over the moves of a day. */
static void join_time(struct motion *m)
{
    const double end_s = m->e->queues[0]->q.end_s;
    if (fabs(m->print_time_s - end_s) <= SEGQ_JOIN_S)
        m->print_time_s = end_s;
}

static void make_segment_room(struct motion *m)
{
    struct engine *e = m->e;
    for (unsigned i = 0; i < e->queue_count; i++) {
        if (segq_room(&e->queues[i]->q) >= 8)
            continue;
        CHECK(m->is_batch); /* live queues hold more than the lookahead can release */
        gen_batch_all(m);
        return;
    }
}

static void emit_started(struct motion *m)
{
    const struct engine_internal_event ev = {
        .event = {.kind = ENGINE_EVENT_STARTED, .at = {m->print_time_s}, .source = ENGINE_SOURCE_NONE}};
    (void)motion_emit(m, &ev);
}

void motion_release(struct motion *m, size_t count)
{
    if (count == 0)
        return;
    if (m->state != PLAN_MAIN) {
        motion_resync(m);
        m->state = PLAN_MAIN;
        emit_started(m);
    }
    for (uint64_t i = m->la.waiting_begin - count; i < m->la.waiting_begin; i++) {
        timed_stamp(m, i, m->print_time_s);
        make_segment_room(m);
        struct move *mv = lookahead_at(&m->la, i);
        join_time(m);
        motion_append_move(m, mv, m->print_time_s);
        m->print_time_s = m->print_time_s + mv->accel_t + mv->cruise_t + mv->decel_t;
        m->waiting_s -= mv->min_time_s;
    }
    if (lookahead_waiting(&m->la) == 0)
        m->waiting_s = 0.0;
    m->motion_end_s = fmax(m->motion_end_s, m->print_time_s);
    m->need_flush_s = fmax(m->need_flush_s, m->print_time_s + m->kfd_s);
    timed_stamp(m, m->la.waiting_begin, m->print_time_s);
    m->runout_s = -1.0;
}

void motion_flush_all(struct motion *m)
{
    motion_release(m, lookahead_flush(&m->la, false));
}

void motion_flush_lazy(struct motion *m)
{
    motion_release(m, lookahead_flush(&m->la, true));
    if (m->is_batch)
        gen_batch(m);
}

/* Offline Klipper gives its flusher a turn here; it decides where a short file gets an extra stop. */
void motion_batch_yield(struct motion *m)
{
    bool has_advanced = false;
    while (m->kgen_s < m->need_flush_s - KLIPPER_BEHIND_S) {
        m->kgen_s += KLIPPER_BATCH_S;
        has_advanced = true;
    }
    const double target = m->need_flush_s + KLIPPER_BATCH_S;
    if (has_advanced || m->need_flush_s <= 0.0 || m->kgen_s >= target)
        return;
    if (m->state == PLAN_MAIN) {
        motion_flush_all(m);
        motion_need_prime(m);
    }
    m->kgen_s = target;
}

/* ---------------------------------------------------------------------------------------------------- flow control */

static void note_consumed(struct motion *m, double time_s)
{
    struct engine *e = m->e;
    atomic_store(&e->consumed_s, atomic_load(&e->consumed_s) + time_s);
}

/* Does the item make the plan longer? The others need not wait for the boards to come nearer. */
static bool is_motion(const struct item *item)
{
    switch (item->kind) {
    case ITEM_OUTPUT:
    case ITEM_MARK:
    case ITEM_ADVANCE:
    case ITEM_FENCE_PLANNED:
    case ITEM_FENCE_EXECUTED:
    case ITEM_RELEASE:
        return false;
    default:
        return true;
    }
}

/* Take what the flow control allows: the tail first while it is replayed, then the ring. */
void motion_consume(struct motion *m)
{
    struct engine *e = m->e;
    bool has_taken = false;
    for (;;) {
        hold_start_due(m);
        if (m->has_barrier)
            barrier_run(m);
        if (m->has_barrier)
            break;
        const struct item *item = hold_replay_peek(m);
        const bool is_replay = item != NULL;
        if (!item)
            item = spsc_peek(&e->ring);
        if (!item || (is_motion(item) && excess_s(m) > 0.0) || !motion_take(m, item))
            break;
        if (is_replay) {
            hold_replay_drop(m);
        } else {
            note_consumed(m, item->time_s);
            spsc_drop(&e->ring);
            has_taken = true;
        }
    }
    if (has_taken && atomic_exchange(&e->is_room_wanted, false) && e->config.machine)
        actor_notify(e->config.machine);
}

/* ------------------------------------------------------------------------------------------------------- the actor */

static void handle_control(struct motion *m)
{
    struct control c;
    const struct spsc *events = &m->e->events;
    while (!m->is_dropping && spsc_capacity(events) - spsc_count(events) > ANSWER_ROOM && spsc_pop(&m->e->control, &c)) {
        switch (c.kind) {
        case CONTROL_HOLD:
            m->is_hold_due = true;
            break;
        case CONTROL_DROP:
            hold_drop(m);
            break;
        case CONTROL_FEED:
            m->feed_factor = c.factor;
            m->feed_serial = c.serial;
            m->is_feed_due = true;
            break;
        case CONTROL_HOME:
            home_start(m);
            break;
        case CONTROL_HOME_CANCEL:
            home_cancel(m);
            break;
        case CONTROL_QUERY:
            home_query(m, &c);
            break;
        case CONTROL_READ_POSITIONS:
            home_read_positions(m, &c);
            break;
        case CONTROL_DUMP:
            dump_run(m, &c);
            break;
        }
    }
}

/* How many of the waiting moves are needed to lengthen the plan by `seconds`. */
static size_t moves_for(const struct motion *m, double seconds)
{
    size_t count = 0;
    for (double sum = 0.0; count < lookahead_waiting(&m->la) && sum < seconds; count++)
        sum += lookahead_at(&m->la, m->la.waiting_begin + count)->min_time_s;
    return count;
}

/* The plan ends soon and what waits is not final: release as much of it as is needed now. What follows goes on from the
 * speed reached; only when nothing follows does the motion come to a stop. */
static void check_runout(struct motion *m)
{
    if (m->state == PLAN_PRIMING && m->now.ns >= m->prime_due.ns)
        motion_flush_all(m);
    const double target = m->est_s + m->horizon_s + RUNOUT_MARGIN_S;
    while (m->state == PLAN_MAIN && m->home.phase == HOME_NONE && m->print_time_s <= target) {
        const size_t count = moves_for(m, target + RUNOUT_STEP_S - m->print_time_s);
        if (count < lookahead_waiting(&m->la)) {
            motion_release(m, lookahead_force(&m->la, count));
            continue;
        }
        motion_flush_all(m);
        motion_need_prime(m);
        m->runout_s = m->print_time_s;
    }
}

static bool is_busy(const struct motion *m)
{
    return m->est_s < fmax(m->print_time_s, m->motion_end_s + m->kfd_s) || lookahead_waiting(&m->la) > 0 ||
           m->has_barrier || m->is_replaying || m->is_held_event_due || spsc_count(&m->e->ring) > 0 || m->home.phase != HOME_NONE;
}

static void note_drained(struct motion *m)
{
    const bool busy = is_busy(m);
    if (m->was_busy && !busy) {
        const struct engine_internal_event ev = {
            .event = {.kind = ENGINE_EVENT_DRAINED, .at = {m->est_s}, .source = ENGINE_SOURCE_NONE}};
        if (!motion_emit(m, &ev))
            return;
    }
    m->was_busy = busy;
}

static struct host_ns after_s(const struct motion *m, double seconds)
{
    return host_ns_add_s(m->now, fmax(seconds, WAKE_MIN_S));
}

/* When something will be due that no notification announces. */
static struct host_ns next_wake(struct motion *m)
{
    struct host_ns next = HOST_NS_NEVER;
    const double target = m->est_s + m->horizon_s - m->kfd_s;
    const double end = m->motion_end_s + m->kfd_s;
    if (m->gen_s < end)
        next = host_ns_min(next, after_s(m, fmin(m->gen_s + BATCH_LIVE_S, end) - target));
    if (m->state == PLAN_PRIMING)
        next = host_ns_min(next, m->prime_due.ns > m->now.ns ? m->prime_due : after_s(m, 0.0));
    if (m->state == PLAN_MAIN)
        next = host_ns_min(next, after_s(m, m->print_time_s - m->est_s - m->horizon_s - RUNOUT_MARGIN_S));
    for (uint64_t i = m->timed_begin; i < m->timed_stamped; i++) {
        const struct timed *t = timed_at(m, i);
        if (!t->is_done)
            next = host_ns_min(next, after_s(m, t->time_s - (t->kind == ITEM_OUTPUT || t->kind == ITEM_MOTOR
                                                                 ? target : m->est_s)));
    }
    if (spsc_count(&m->e->ring) > 0 || m->is_replaying || m->has_barrier)
        next = host_ns_min(next, after_s(m, fmax(excess_s(m), 0.005)));
    if (m->was_busy)
        next = host_ns_min(next, after_s(m, SNAPSHOT_EVERY_S));
    if (m->want_retry || spsc_count(&m->e->control) > 0)
        next = host_ns_min(next, after_s(m, 0.01));
    return next;
}

/* Once, when it is known what rights this thread has got. Virtual time is never late. */
static void settle_leads(struct motion *m)
{
    const struct runtime *runtime = m->e->config.runtime;
    const bool is_prompt = runtime_has_realtime(runtime, &m->actor) || runtime_is_virtual(runtime);
    if (m->horizon_s == 0.0)
        m->horizon_s = is_prompt ? ENGINE_HORIZON_RT_S : ENGINE_HORIZON_S;
    if (!runtime_is_virtual(runtime) && m->e->config.horizon_s == 0.0)
        m->horizon_s -= is_prompt ? REQUEST_RT_S : REQUEST_S;
    m->start_lead_s = is_prompt ? START_LEAD_RT_S : START_LEAD_S;
    m->min_lead_s = is_prompt ? MIN_LEAD_RT_S : MIN_LEAD_S;
    m->drip_ahead_s = is_prompt ? DRIP_AHEAD_RT_S : DRIP_AHEAD_S;
}

struct host_ns motion_step(struct actor *actor, struct host_ns now)
{
    struct motion *m = CONTAINER_OF(actor, struct motion, actor);
    struct engine *e = m->e;
    if (m->start_lead_s == 0.0)
        settle_leads(m);
    atomic_store_explicit(&m->horizon_told_s, m->horizon_s, memory_order_relaxed);
    mem_guard_begin();
    if (m->wanted.ns != 0 && now.ns > m->wanted.ns) {
        const double late_us = host_ns_diff_s(now, m->wanted) * 1e6;
        m->max_wake_late_us = late_us > m->max_wake_late_us ? (uint32_t)fmin(late_us, UINT32_MAX) : m->max_wake_late_us;
    }
    m->now = now;
    m->want_retry = false;
    m->est_s = boards_est_print_time(e->boards, now).s;
    board_port_poll(m->port, now);
    struct host_ns next = HOST_NS_NEVER;
    if (!m->is_first_sync_done) {
        m->is_first_sync_done = true;
        home_first_sync(m);
    }
    if (!atomic_load(&e->is_stopped) && home_sync_run(m)) {
        handle_control(m);
        next = home_run(m);
        motion_consume(m);
        check_runout(m);
        gen_live(m);
        motion_consume(m); /* what a release or a transaction has made possible */
        hold_run(m);
        timed_run_due(m);
        timed_trim(m);
        lookahead_retire(&m->la, m->est_s);
        note_drained(m);
        next = host_ns_min(next, next_wake(m));
    }
    motion_snapshot_publish(m);
    m->wanted = next.ns == HOST_NS_NEVER.ns ? (struct host_ns){0} : next;
    mem_guard_end();
    return next;
}
