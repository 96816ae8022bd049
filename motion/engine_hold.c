/* The held tail: cutting the plan at the commit horizon, keeping what was not executed, and playing it later.
 *
 * What is committed: steps exist up to gen_s, and their filters have looked at segments up to gen_s + window. Everything
 * behind that instant can be taken back. Braking begins there, along the same path; the rest of the move in which the
 * toolhead stops, all moves behind it and everything between them (outputs, fences, dwells, transactions) become the tail
 * in the order of the stream. Replaying is taking the same items again. docs/design/commit-horizon.md. */
#include "engine_int.h"

#include <math.h>
#include <string.h>

/* --------------------------------------------------------------------------------------------------- the deque */

static struct item *tail_at(struct motion *m, uint32_t i)
{
    return &m->tail[(m->tail_begin + i) % m->tail_cap];
}

static void tail_pop_front(struct motion *m)
{
    m->tail_begin = (m->tail_begin + 1) % m->tail_cap;
    m->tail_count--;
}

/* Make room for `count` items in front of those that are there. */
static void tail_open_front(struct motion *m, uint32_t count)
{
    CHECK(m->tail_count + count <= m->tail_cap);
    m->tail_begin = (m->tail_begin + m->tail_cap - count) % m->tail_cap;
    m->tail_count += count;
}

const struct item *hold_replay_peek(struct motion *m)
{
    return m->is_replaying && m->tail_count > 0 ? tail_at(m, 0) : NULL;
}

void hold_replay_drop(struct motion *m)
{
    tail_pop_front(m);
    if (m->tail_count == 0)
        m->is_replaying = false;
    atomic_store(&m->e->tail_left, m->tail_count);
}

/* ------------------------------------------------------------------------------------------------------ braking */

struct brake {
    struct motion *m;
    double cut_s;
    uint64_t next_timed; /* timed items before it stand before a move that braking went through */
};

double hold_cut_s(const struct motion *m)
{
    const double free_s = fmax(m->gen_s + m->kfd_s, m->est_s + m->min_lead_s);
    return fmax(free_s, m->brake_until_s); /* a stop that is under way is not cut short: its moves are forgotten */
}

void hold_cut_queues(struct motion *m, double at_s)
{
    for (unsigned i = 0; i < m->e->queue_count; i++) {
        struct engine_queue *q = m->e->queues[i];
        if (queue_is_planned(q) && q->q.end_s > at_s)
            segq_cut(&q->q, at_s);
    }
}

static uint64_t index_of(const struct lookahead *la, const struct move *mv)
{
    const uint64_t slot = (uint64_t)(mv - la->moves);
    return la->held_begin + ((slot - la->held_begin) & la->mask);
}

/* One part of the braking: the same path, slower. The queues have been cut where the first of them begins. What stands
 * behind the part's move in the stream is reached at the part's end now. */
static void add_part(void *ctx, const struct lookahead_part *part)
{
    struct brake *b = ctx;
    struct motion *m = b->m;
    struct engine *e = m->e;
    const struct move *mv = part->move;
    if (mv->is_kinematic)
        segq_append(&e->queues[0]->q, part->print_time_s, part->accel_t, part->cruise_t, part->decel_t, part->start_mm,
                    mv->r, part->start_v, part->cruise_v, part->accel_mm_s2, 0, mv->tag.line);
    for (unsigned i = 0; i + MOVE_EXTRA < mv->axes_count; i++)
        if (mv->r[MOVE_EXTRA + i] != 0.0 && mv->extra_queue[i] != MOVE_QUEUE_NONE)
            segq_append(&e->queues[mv->extra_queue[i]]->q, part->print_time_s, part->accel_t, part->cruise_t,
                        part->decel_t, (const double[3]){part->start_mm[MOVE_EXTRA + i]},
                        (const double[3]){mv->r[MOVE_EXTRA + i]}, part->start_v, part->cruise_v, part->accel_mm_s2,
                        mv->extra_flags[i], mv->tag.line);
    m->brake_source = (struct engine_source){(int64_t)mv->tag.file_offset, mv->tag.line, mv->tag.cookie};
    const double end_s = part->print_time_s + part->accel_t + part->cruise_t + part->decel_t;
    const uint64_t behind = index_of(&m->la, mv) + 1;
    for (; b->next_timed < m->timed_stamped && timed_at(m, b->next_timed)->move_index <= behind; b->next_timed++) {
        struct timed *t = timed_at(m, b->next_timed);
        if (!t->is_done && t->natural_s > b->cut_s)
            t->time_s = t->natural_s = end_s;
    }
}

/* ---------------------------------------------------------------------------------------------------- the tail */

/* Has the place of the item in the stream been reached when everything stands still? */
static bool is_passed(const struct timed *t, uint64_t index, const struct hold_cut *c)
{
    if (t->is_done)
        return true;
    if (c->is_replan)
        return index < c->first_timed;
    if (!t->is_stamped)
        return false;
    if (t->natural_s <= c->cut_s)
        return t->kind != ITEM_DWELL || t->natural_s + t->a.dwell_s <= c->cut_s;
    return t->move_index < c->first || (t->move_index == c->first && c->is_rest);
}

static void put_timed(struct item *item, const struct timed *t, const struct hold_cut *c)
{
    item->kind = t->kind;
    item->source = t->source;
    item->time_s = 0.0;
    item->a = t->a;
    if (t->kind == ITEM_DWELL && t->is_stamped && t->natural_s < c->cut_s)
        item->a.dwell_s = fmax(t->natural_s + t->a.dwell_s - c->cut_s, 0.0);
}

static void put_move(struct item *item, const struct move *mv)
{
    item->kind = ITEM_MOVE;
    item->source = (struct engine_source){(int64_t)mv->tag.file_offset, mv->tag.line, mv->tag.cookie};
    item->time_s = mv->min_time_s;
    item->move = *mv;
}

/* A manual queue's move that has not begun goes back: its queue ends where the one before it ended. */
static void take_back_queue_move(struct motion *m, const struct timed *t)
{
    struct engine_queue *q = m->e->queues[t->a.queue_move.queue];
    if (q->q.end_s > t->natural_s)
        segq_cut(&q->q, t->natural_s);
    q->pos_mm = q->q.end_mm[0];
    q->next_s = fmin(q->next_s, t->natural_s);
}

static void keep_pending(struct engine_output *o, uint64_t index, int64_t now)
{
    if (o->pending == (int64_t)index)
        o->pending = now;
}

void hold_put_back(struct motion *m, const struct hold_cut *c, const struct move *moves, size_t move_count)
{
    uint32_t count = (uint32_t)move_count + (m->has_barrier ? 1u : 0);
    for (uint64_t i = m->timed_begin; i < m->timed_end; i++)
        count += is_passed(timed_at(m, i), i, c) ? 0 : 1;
    tail_open_front(m, count);
    uint32_t at = 0;
    size_t next = 0;
    uint64_t kept = m->timed_begin;
    for (uint64_t i = m->timed_begin; i < m->timed_end; i++) {
        struct timed *t = timed_at(m, i);
        const bool is_kept = is_passed(t, i, c);
        if (t->kind == ITEM_OUTPUT)
            keep_pending(m->e->outputs[t->a.output.output], i, is_kept ? (int64_t)kept : -1);
        if (is_kept) {
            *timed_at(m, kept++) = *t;
            continue;
        }
        for (; next < move_count && c->first + next < t->move_index; next++)
            put_move(tail_at(m, at++), &moves[next]);
        if (t->kind == ITEM_QUEUE_MOVE)
            take_back_queue_move(m, t);
        put_timed(tail_at(m, at++), t, c);
    }
    for (; next < move_count; next++)
        put_move(tail_at(m, at++), &moves[next]);
    if (m->has_barrier) {
        *tail_at(m, at++) = m->barrier;
        m->has_barrier = false;
    }
    CHECK(at == count);
    m->timed_end = kept;
    if (m->timed_stamped > kept)
        m->timed_stamped = kept;
}

static void reverse(struct motion *m, uint32_t from, uint32_t to)
{
    for (; from + 1 < to; from++, to--) {
        struct item *a = tail_at(m, from), *b = tail_at(m, to - 1);
        const struct item keep = *a;
        *a = *b;
        *b = keep;
    }
}

/* Everything that waits in the ring was appended before the hold: it follows the tail. If the last release is among it,
 * what stands before that was meant to be executed before the old tail, which begins at `old`. */
static void append_ring(struct motion *m, uint32_t old)
{
    struct engine *e = m->e;
    const uint32_t begin = m->tail_count;
    const struct item *item;
    while ((item = spsc_peek(&e->ring)) != NULL) {
        atomic_store(&e->consumed_s, atomic_load(&e->consumed_s) + item->time_s);
        if (item->kind == ITEM_RELEASE) {
            const uint32_t end = m->tail_count;
            reverse(m, old, begin);
            reverse(m, begin, end);
            reverse(m, old, end);
        } else {
            CHECK(m->tail_count < m->tail_cap);
            *tail_at(m, m->tail_count++) = *item;
        }
        spsc_drop(&e->ring);
    }
}

/* Times after the cut: nothing of the toolhead's is planned behind the standstill any more. */
static void settle(struct motion *m, double stop_s)
{
    double running_s = 0.0;
    for (unsigned i = 0; i < m->e->queue_count; i++)
        if (!queue_is_planned(m->e->queues[i]))
            running_s = fmax(running_s, m->e->queues[i]->next_s);
    m->print_time_s = fmax(fmin(m->print_time_s, stop_s), fmin(m->print_time_s, running_s));
    m->motion_end_s = fmax(fmin(m->motion_end_s, stop_s), fmin(m->motion_end_s, running_s));
    for (unsigned i = 0; i < m->e->output_count; i++)
        m->e->outputs[i]->last_s = fmin(m->e->outputs[i]->last_s, fmax(stop_s, m->est_s));
    m->waiting_s = 0.0;
    m->runout_s = -1.0;
    motion_need_prime(m);
}

/* What the caller's half must know to continue where the tail will end. */
static void note_tail_item(struct engine_internal_event *ev, const struct item *item)
{
    switch (item->kind) {
    case ITEM_ACTIVATE:
        ev->tail_resets_e = true;
        break;
    case ITEM_SET_POSITION:
        ev->tail_resets_e = ev->tail_resets_e || item->a.position.axes & 8;
        break;
    case ITEM_AXES:
        ev->tail_sets_axes = true;
        break;
    case ITEM_QUEUE_MOVE:
    case ITEM_QUEUE_POSITION:
        ev->tail_queues |= (uint32_t)1 << item->a.queue_move.queue;
        break;
    case ITEM_BIND:
        ev->tail_binds |= (uint64_t)1 << item->a.bind.stepper;
        break;
    default:
        break;
    }
}

static void announce_held(struct motion *m, double stop_s)
{
    struct engine_internal_event *ev = &m->held_event;
    memset(ev, 0, sizeof *ev);
    ev->event.kind = ENGINE_EVENT_HELD;
    ev->event.at.s = stop_s;
    ev->event.source = m->tail_count > 0 ? tail_at(m, 0)->source : ENGINE_SOURCE_NONE;
    ev->event.tail_count = m->tail_count;
    memcpy(ev->event.pos, m->pos, sizeof m->pos);
    for (uint32_t i = 0; i < m->tail_count; i++)
        note_tail_item(ev, tail_at(m, i));
    m->is_held_event_due = true;
}

/* Everything behind the commit horizon becomes the tail. Returns the print time of the standstill. */
static double take_back(struct motion *m)
{
    /* What waits in the lookahead gets its speeds, so that braking may run through it. */
    if (m->state == PLAN_MAIN)
        motion_flush_all(m);
    struct brake b = {.m = m, .cut_s = hold_cut_s(m), .next_timed = m->timed_begin};
    hold_cut_queues(m, b.cut_s);
    const uint64_t la_end = m->la.end;
    struct lookahead_stop stop;
    lookahead_stop(&m->la, b.cut_s, add_part, &b, m->stop_moves, &stop);
    if (stop.axes_count > 0) {
        memcpy(m->pos, stop.pos_mm, sizeof m->pos);
        if (m->active)
            m->active->pos_mm = m->pos[MOVE_EXTRA];
        for (unsigned i = 0; i < m->extra.count; i++)
            m->extra.axis[i].queue->pos_mm = m->pos[AXIS_EXTRA + i];
    }
    const struct hold_cut c = {.cut_s = b.cut_s,
                               .first = la_end - stop.tail_count,
                               .is_rest = stop.tail_count > 0 && stop.stop_s > b.cut_s};
    const uint32_t old_count = m->tail_count;
    hold_put_back(m, &c, m->stop_moves, stop.tail_count);
    m->timed_stamped = m->timed_end;
    append_ring(m, m->tail_count - old_count);
    m->brake_until_s = stop.stop_s;
    settle(m, stop.stop_s);
    m->is_replaying = false;
    atomic_store(&m->e->tail_left, 0);
    return stop.stop_s;
}

/* In the middle of a force move a stepper does not follow the toolhead: a hold waits until it does again. */
static bool is_force_moving(const struct motion *m)
{
    for (unsigned i = 0; i < m->e->stepper_count; i++)
        if (m->e->steppers[i]->queue == m->e->force_queue)
            return true;
    return false;
}

void hold_start_due(struct motion *m)
{
    if ((!m->is_hold_due && !m->is_feed_due) || is_force_moving(m))
        return;
    if (m->is_feed_due)
        feed_replan(m);
    if (m->is_hold_due)
        announce_held(m, take_back(m));
    m->is_hold_due = false;
}

/* ------------------------------------------------------------------------------------------------ release, drop */

void hold_release(struct motion *m)
{
    m->is_replaying = m->tail_count > 0;
    atomic_store(&m->e->tail_left, m->tail_count);
    const struct engine_internal_event ev = {
        .event = {.kind = ENGINE_EVENT_RELEASED, .at = {m->print_time_s}, .source = ENGINE_SOURCE_NONE}};
    (void)motion_emit(m, &ev);
}

void hold_drop(struct motion *m)
{
    m->is_dropping = true;
}

/* Announcements that must arrive: again when the event ring was full. */
void hold_run(struct motion *m)
{
    if (m->is_held_event_due)
        m->is_held_event_due = !motion_emit(m, &m->held_event);
    while (m->is_dropping && m->tail_count > 0) {
        const struct item *item = tail_at(m, 0);
        if (item->kind == ITEM_FENCE_EXECUTED || item->kind == ITEM_FENCE_PLANNED) {
            const struct engine_internal_event ev = {.event = {.kind = ENGINE_EVENT_FENCE,
                                                               .at = {m->print_time_s},
                                                               .cookie = item->a.fence.cookie,
                                                               .source = item->source,
                                                               .is_dropped = true},
                                                     .ticket = item->a.fence.ticket};
            if (!motion_emit(m, &ev))
                return;
        }
        tail_pop_front(m);
    }
    m->is_dropping = false;
}
