/* Feed override at the commit horizon: the same path at other speeds, without a stop. docs/design/commit-horizon.md.
 *
 * What is planned behind the horizon and runs without a stop is planned anew in place. Where the plan holds something
 * that stands still (a dwell, a manual stepper's move, a fence, a transaction), that and everything behind it goes back
 * into the stream and is taken again: its times change with what is before it. */
#include "engine_int.h"

#include <math.h>
#include <string.h>

void feed_apply(const struct motion *m, struct move *mv)
{
    if ((int32_t)(m->feed_serial - mv->tag.feed_serial) <= 0)
        return;
    mv->tag.feed_serial = m->feed_serial;
    if (mv->feed_mm_s > 0.0)
        move_set_speed(mv, mv->feed_mm_s * m->feed_factor);
}

static void relimit(void *ctx, struct move *mv)
{
    feed_apply(ctx, mv);
}

/* Does the motion stand still at such an item? */
static bool is_stop(const struct timed *t)
{
    return t->kind == ITEM_DWELL || t->kind == ITEM_MOTOR || t->kind == ITEM_QUEUE_MOVE || t->kind == ITEM_FENCE_EXECUTED;
}

/* The first item behind move `first` at which the motion stands still; timed_end: none. */
static uint64_t find_stop(const struct motion *m, uint64_t first)
{
    uint64_t i = m->timed_begin;
    while (i < m->timed_end && (timed_at(m, i)->is_done || !is_stop(timed_at(m, i)) || timed_at(m, i)->move_index <= first))
        i++;
    return i;
}

/* Everything from the first standstill behind move `first` on goes back into the stream. */
static void put_back_behind_stop(struct motion *m, uint64_t first, double cut_s)
{
    const uint64_t stop = find_stop(m, first);
    const bool has_stop = stop < m->timed_end;
    if (!has_stop && !m->has_barrier)
        return;
    const struct hold_cut c = {.cut_s = cut_s,
                               .first = has_stop ? timed_at(m, stop)->move_index : m->la.end,
                               .is_replan = true,
                               .first_timed = has_stop ? stop : m->timed_end};
    const size_t count = lookahead_take_back(&m->la, c.first, m->stop_moves);
    if (count > 0) {
        memcpy(m->pos, m->stop_moves[0].start_mm, sizeof m->pos);
        if (m->active)
            m->active->pos_mm = m->pos[MOVE_EXTRA];
        for (unsigned i = 0; i < m->extra.count; i++)
            m->extra.axis[i].queue->pos_mm = m->pos[AXIS_EXTRA + i];
    }
    hold_put_back(m, &c, m->stop_moves, count);
    m->is_replaying = m->tail_count > 0;
}

/* The numbers of moves have changed. */
static void renumber(struct motion *m, const struct lookahead_replan *r)
{
    for (unsigned k = 0; k < r->split_count; k++)
        for (uint64_t i = m->timed_begin; i < m->timed_end && timed_at(m, i)->move_index <= r->splits[k]; i++)
            timed_at(m, i)->move_index--;
}

static double least_time_s(const struct lookahead *la)
{
    double sum = 0.0;
    for (uint64_t i = la->waiting_begin; i < la->end; i++)
        sum += lookahead_at(la, i)->min_time_s;
    return sum;
}

/* The plan ends where its final part does; manual steppers run on by themselves. */
static void shorten_plan(struct motion *m, double end_s)
{
    double running_s = end_s;
    for (unsigned i = 0; i < m->e->queue_count; i++)
        if (!queue_is_planned(m->e->queues[i]))
            running_s = fmax(running_s, m->e->queues[i]->next_s);
    m->print_time_s = end_s;
    m->motion_end_s = running_s;
}

static bool concerns_plan(const struct motion *m, uint64_t first)
{
    for (uint64_t i = first; i < m->la.end; i++)
        if (lookahead_at(&m->la, i)->feed_mm_s > 0.0 &&
            (int32_t)(m->feed_serial - lookahead_at(&m->la, i)->tag.feed_serial) > 0)
            return true;
    return false;
}

void feed_replan(struct motion *m)
{
    if (m->tail_count > 0 && !m->is_replaying)
        return; /* the release is on its way: what goes back must not be mixed up with the tail it lets go */
    lookahead_retire(&m->la, m->est_s);
    const double cut_s = hold_cut_s(m);
    uint64_t first = lookahead_find(&m->la, cut_s);
    if (m->home.phase != HOME_NONE || !concerns_plan(m, first)) {
        m->is_feed_due = false;
        return;
    }
    if (lookahead_room(&m->la) < LOOKAHEAD_REPLAN_ROOM)
        return; /* comes with execution */
    m->is_feed_due = false;
    put_back_behind_stop(m, first, cut_s);
    const bool is_running = first < m->la.waiting_begin;
    struct lookahead_replan r;
    lookahead_replan(&m->la, cut_s, m->print_time_s, relimit, m, &r);
    renumber(m, &r);
    m->waiting_s = least_time_s(&m->la);
    if (!is_running && m->state != PLAN_MAIN)
        return; /* nothing of it has a time yet */
    hold_cut_queues(m, r.from_s);
    timed_unstamp(m, r.from_s);
    shorten_plan(m, r.until_s);
    for (uint64_t i = r.first; i < m->la.waiting_begin; i++) {
        struct move *mv = lookahead_at(&m->la, i);
        timed_stamp(m, i, mv->print_time_s);
        motion_append_move(m, mv, mv->print_time_s);
    }
    timed_stamp(m, m->la.waiting_begin, m->print_time_s);
    m->state = PLAN_MAIN;
    m->runout_s = -1.0;
    motion_flush_lazy(m);
}
