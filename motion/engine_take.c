/* Taking items of the stream into the plan, each kind its own way. */
#include "engine_int.h"

#include <math.h>
#include <string.h>

#define E_JOIN_MM   1e-9
#define XYZ_JOIN_MM 1e-6
/* Klipper's offline mode looks at its flusher after each move up to this print time (docs/design/commit-horizon.md) */
#define KLIPPER_EARLY_S 1.0

static void note_stall(struct motion *m)
{
    if (m->runout_s < 0.0 || m->est_s >= m->runout_s)
        return;
    m->stalls++;
    m->runout_s = -1.0;
    const struct engine_internal_event ev = {
        .event = {.kind = ENGINE_EVENT_STALL, .at = {m->print_time_s}, .source = ENGINE_SOURCE_NONE}};
    (void)motion_emit(m, &ev);
}

static bool make_move_room(struct motion *m)
{
    if (lookahead_room(&m->la) > 0)
        return true;
    if (m->is_batch) {
        if (lookahead_waiting(&m->la) > m->la.mask / 2)
            motion_release(m, lookahead_force(&m->la, lookahead_waiting(&m->la) / 2));
        gen_batch_all(m);
        return lookahead_room(&m->la) > 0;
    }
    /* Nothing but waiting moves: bounded memory makes the first half final. Otherwise room comes with execution. */
    if (m->la.held_begin == m->la.waiting_begin)
        motion_release(m, lookahead_force(&m->la, lookahead_waiting(&m->la) / 2));
    return false;
}

static bool take_move(struct motion *m, const struct item *item)
{
    if (!make_move_room(m))
        return false;
    struct move mv = item->move;
    CHECK(mv.axes_count == AXIS_EXTRA + m->extra.count);
    for (unsigned i = 0; i < mv.axes_count; i++)
        CHECK(i == MOVE_EXTRA || fabs(mv.start_mm[i] - m->pos[i]) < XYZ_JOIN_MM);
    /* Filament is relative: what was fed while a tail was held shifts the tail's coordinates. */
    const double shift = m->pos[3] - mv.start_mm[MOVE_EXTRA];
    if (fabs(shift) > E_JOIN_MM) {
        mv.start_mm[MOVE_EXTRA] += shift;
        mv.end_mm[MOVE_EXTRA] += shift;
    }
    feed_apply(m, &mv);
    note_stall(m);
    const bool is_due = lookahead_add(&m->la, &mv);
    m->moves++;
    m->waiting_s += mv.min_time_s;
    memcpy(m->pos, mv.end_mm, sizeof m->pos);
    if (m->state != PLAN_MAIN) {
        m->state = PLAN_PRIMING;
        m->prime_due = host_ns_add_s(m->now, PRIME_WAIT_S);
    }
    if (is_due)
        motion_flush_lazy(m);
    if (m->is_batch && m->state == PLAN_MAIN && m->print_time_s <= KLIPPER_EARLY_S)
        motion_batch_yield(m);
    return true;
}

static void take_dwell(struct motion *m, const struct item *item)
{
    motion_flush_all(m);
    motion_need_prime(m);
    motion_resync(m);
    struct timed *t = timed_add(m, ITEM_DWELL, item->source, &item->a);
    timed_stamp(m, m->la.end, m->print_time_s);
    m->print_time_s += t->a.dwell_s;
}

/* Something that acts at its place without stopping the motion. */
static void take_timed(struct motion *m, const struct item *item)
{
    (void)timed_add(m, item->kind, item->source, &item->a);
    if (lookahead_waiting(&m->la) > 0)
        return;
    if (m->state != PLAN_MAIN && item->kind != ITEM_MARK)
        motion_resync(m);
    timed_stamp(m, m->la.waiting_begin, m->print_time_s);
}

static bool take_planned(struct motion *m, const struct item *item)
{
    if (spsc_count(&m->e->events) + 1 >= spsc_capacity(&m->e->events) && !m->is_batch)
        return false;
    motion_flush_all(m);
    if (m->state != PLAN_MAIN)
        motion_resync(m);
    const struct engine_internal_event ev = {.event = {.kind = ENGINE_EVENT_FENCE,
                                                       .at = {m->print_time_s},
                                                       .cookie = item->a.fence.cookie,
                                                       .source = item->source},
                                             .ticket = item->a.fence.ticket};
    (void)motion_emit(m, &ev);
    return true;
}

static void take_executed(struct motion *m, const struct item *item)
{
    motion_flush_all(m);
    motion_need_prime(m);
    (void)timed_add(m, ITEM_FENCE_EXECUTED, item->source, &item->a);
    timed_stamp(m, m->la.end, m->print_time_s);
}

/* Duration and peak speed of a move over `distance` from rest to rest. */
static void rest_to_rest(double distance, double v, double a, double *accel_t, double *cruise_t, double *peak)
{
    if (a <= 0.0) {
        *accel_t = 0.0;
        *cruise_t = distance / v;
        *peak = v;
        return;
    }
    *peak = fmin(v, fm_sqrt(distance * a));
    *accel_t = *peak / a;
    *cruise_t = fmax(distance - *peak * *accel_t, 0.0) / *peak;
}

static bool take_queue_move(struct motion *m, const struct item *item)
{
    struct engine_queue *q = m->e->queues[item->a.queue_move.queue];
    if (segq_room(&q->q) < 8) {
        if (!m->is_batch)
            return false;
        gen_batch_all(m);
    }
    motion_flush_all(m);
    if (m->state != PLAN_MAIN)
        motion_resync(m);
    m->print_time_s = fmax(m->print_time_s, fmax(q->next_s, q->q.end_s));
    const double d = item->a.queue_move.pos_mm - q->pos_mm;
    double accel_t = 0.0, cruise_t = 0.0, peak = 0.0;
    if (d != 0.0)
        rest_to_rest(fabs(d), item->a.queue_move.speed_mm_s, item->a.queue_move.accel_mm_s2, &accel_t, &cruise_t, &peak);
    (void)timed_add(m, ITEM_QUEUE_MOVE, item->source, &item->a);
    timed_stamp(m, m->la.end, m->print_time_s);
    if (d != 0.0)
        segq_append(&q->q, m->print_time_s, accel_t, cruise_t, accel_t, (const double[3]){q->pos_mm},
                    (const double[3]){d < 0.0 ? -1.0 : 1.0}, accel_t > 0.0 ? 0.0 : peak, peak,
                    item->a.queue_move.accel_mm_s2, 0, item->source.line);
    q->pos_mm = item->a.queue_move.pos_mm;
    q->next_s = m->print_time_s + 2.0 * accel_t + cruise_t;
    m->motion_end_s = fmax(m->motion_end_s, q->next_s);
    m->need_flush_s = fmax(m->need_flush_s, q->next_s + m->kfd_s);
    if (item->a.queue_move.is_synced)
        m->print_time_s = q->next_s;
    motion_need_prime(m);
    return true;
}

/* Off takes a rest before and after; on, and off for one that is off, cost a stop only. All of them at once always rest. */
static void take_motor(struct motion *m, const struct item *item)
{
    motion_flush_all(m);
    motion_need_prime(m);
    motion_resync(m);
    const int16_t stepper = item->a.motor.stepper;
    const bool rests = !item->a.motor.on && (stepper < 0 || send_is_motor_planned_on(m, m->e->steppers[stepper]));
    if (rests)
        m->print_time_s += MOTOR_PAUSE_S;
    (void)timed_add(m, ITEM_MOTOR, item->source, &item->a);
    timed_stamp(m, m->la.end, m->print_time_s);
    if (rests)
        m->print_time_s += MOTOR_PAUSE_S;
}

/* Offline nothing is taken back, so the axes change in the plan: the moves before it end, and nothing else is waited for. */
static void take_axes(struct motion *m, const struct item *item)
{
    motion_flush_all(m);
    motion_need_prime(m);
    for (unsigned i = 0; i < item->axes.count; i++) {
        const struct engine_queue *q = item->axes.axis[i].queue;
        m->print_time_s = fmax(m->print_time_s, fmax(q->next_s, q->q.end_s));
    }
    motion_set_axes(m, &item->axes);
}

bool motion_take(struct motion *m, const struct item *item)
{
    if (item->kind != ITEM_MOVE && !timed_has_room(m)) {
        if (!m->is_batch)
            return false;
        motion_flush_all(m);
        gen_batch_all(m);
    }
    switch ((enum item_kind)item->kind) {
    case ITEM_MOVE:
        return take_move(m, item);
    case ITEM_DWELL:
        take_dwell(m, item);
        return true;
    case ITEM_OUTPUT:
    case ITEM_MARK:
    case ITEM_ADVANCE:
        take_timed(m, item);
        return true;
    case ITEM_FENCE_PLANNED:
        return take_planned(m, item);
    case ITEM_FENCE_EXECUTED:
        take_executed(m, item);
        return true;
    case ITEM_QUEUE_MOVE:
        return take_queue_move(m, item);
    case ITEM_MOTOR:
        take_motor(m, item);
        return true;
    case ITEM_RELEASE:
        hold_release(m);
        return true;
    case ITEM_AXES:
        if (!m->is_batch)
            barrier_start(m, item);
        else
            take_axes(m, item);
        return true;
    default:
        barrier_start(m, item);
        return true;
    }
}
