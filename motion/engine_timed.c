/* Items that wait for their time: outputs, marks, fences, dwells, motor switches, changes of pressure advance.
 *
 * They stand in one ring in the order of the stream. An item is *stamped* when the moves before it have got their print
 * time; it then acts when generation (outputs, motors, advance) or the boards (marks, fences) reach its time. Until then
 * a hold can take it back into the tail. */
#include "engine_int.h"

#include <math.h>

bool timed_has_room(const struct motion *m)
{
    return m->timed_end - m->timed_begin < TIMED_ITEMS;
}

struct timed *timed_add(struct motion *m, uint8_t kind, struct engine_source source, const struct item_args *a)
{
    CHECK(timed_has_room(m));
    struct timed *t = timed_at(m, m->timed_end);
    m->timed_end++;
    t->kind = kind;
    t->is_stamped = t->is_done = false;
    t->move_index = m->la.end;
    t->source = source;
    t->a = *a;
    return t;
}

/* Two changes of one output are at least its interval apart. A value that was delayed by that and is overtaken by the
 * next one is dropped; the last one always arrives. */
static void keep_interval(struct motion *m, struct timed *t, uint64_t index)
{
    struct engine_output *o = m->e->outputs[t->a.output.output];
    if (o->pending >= 0 && (uint64_t)o->pending >= m->timed_begin) {
        struct timed *before = timed_at(m, (uint64_t)o->pending);
        if (!before->is_done && before->time_s > before->natural_s && t->time_s <= before->time_s) {
            t->time_s = before->time_s;
            before->is_done = true;
            o->pending = (int64_t)index;
            return;
        }
    }
    t->time_s = fmax(t->time_s, o->last_s + o->min_interval_s);
    o->last_s = t->time_s;
    o->pending = (int64_t)index;
}

static void stamp(struct motion *m, struct timed *t, uint64_t index, double at_s)
{
    t->is_stamped = true;
    t->time_s = t->natural_s = at_s;
    switch (t->kind) {
    case ITEM_OUTPUT:
        keep_interval(m, t, index);
        break;
    case ITEM_FENCE_EXECUTED:
        /* The motors follow the plan's end by the longest filter window. */
        t->time_s = fmax(at_s, m->motion_end_s + m->kfd_s);
        break;
    case ITEM_ADVANCE:
        t->time_s = fmax(at_s, m->gen_s + m->kfd_s);
        break;
    default:
        break;
    }
}

void timed_stamp(struct motion *m, uint64_t released, double at_s)
{
    while (m->timed_stamped < m->timed_end && timed_at(m, m->timed_stamped)->move_index <= released) {
        stamp(m, timed_at(m, m->timed_stamped), m->timed_stamped, at_s);
        m->timed_stamped++;
    }
}

void timed_unstamp(struct motion *m, double from_s)
{
    uint64_t first = m->timed_begin;
    while (first < m->timed_stamped && (timed_at(m, first)->is_done || timed_at(m, first)->natural_s <= from_s))
        first++;
    for (unsigned i = 0; i < m->e->output_count; i++) {
        struct engine_output *o = m->e->outputs[i];
        o->last_s = fmin(o->last_s, fmax(from_s, m->est_s));
        o->pending = -1;
    }
    for (uint64_t i = m->timed_begin; i < m->timed_stamped; i++) {
        struct timed *t = timed_at(m, i);
        if (i >= first) {
            t->is_stamped = false;
        } else if (t->kind == ITEM_OUTPUT && !t->is_done) {
            struct engine_output *o = m->e->outputs[t->a.output.output];
            o->last_s = fmax(o->last_s, t->time_s);
            o->pending = (int64_t)i;
        }
    }
    m->timed_stamped = first;
}

double timed_next_motor_s(const struct motion *m, double from_s)
{
    double next = INFINITY;
    for (uint64_t i = m->timed_begin; i < m->timed_stamped; i++) {
        const struct timed *t = timed_at(m, i);
        if (t->kind == ITEM_MOTOR && !t->is_done && t->time_s >= from_s)
            next = fmin(next, t->time_s);
    }
    return next;
}

void timed_before_gen(struct motion *m, double to_s)
{
    for (uint64_t i = m->timed_begin; i < m->timed_stamped; i++) {
        struct timed *t = timed_at(m, i);
        if (t->kind != ITEM_ADVANCE || t->is_done || t->time_s > to_s + m->kfd_s)
            continue;
        struct engine_stepper *s = m->e->steppers[t->a.advance.stepper];
        s->advance_s = t->a.advance.advance_s;
        stepgen_set_advance(s->sg, t->time_s, s->advance_s);
        t->is_done = true;
    }
}

void timed_settle_advances(struct motion *m)
{
    for (uint64_t i = m->timed_begin; i < m->timed_stamped; i++) {
        struct timed *t = timed_at(m, i);
        if (t->kind != ITEM_ADVANCE || t->is_done)
            continue;
        struct engine_stepper *s = m->e->steppers[t->a.advance.stepper];
        s->advance_s = t->a.advance.advance_s;
        stepgen_set_advance(s->sg, m->gen_s, s->advance_s);
        t->is_done = true;
    }
}

static bool announce(struct motion *m, const struct timed *t)
{
    const struct engine_internal_event ev = {
        .event = {.kind = t->kind == ITEM_MARK ? ENGINE_EVENT_MARK : ENGINE_EVENT_FENCE,
                  .at = {t->time_s},
                  .cookie = t->a.fence.cookie,
                  .source = t->source},
        .ticket = t->a.fence.ticket};
    return motion_emit(m, &ev);
}

void timed_run_due(struct motion *m)
{
    for (uint64_t i = m->timed_begin; i < m->timed_stamped; i++) {
        struct timed *t = timed_at(m, i);
        if (t->is_done)
            continue;
        switch (t->kind) {
        case ITEM_MARK:
        case ITEM_FENCE_EXECUTED:
            t->is_done = (m->is_batch || t->time_s <= m->est_s) && announce(m, t);
            break;
        case ITEM_DWELL:
            t->is_done = m->is_batch || t->time_s + t->a.dwell_s <= m->est_s;
            break;
        case ITEM_QUEUE_MOVE:
            t->is_done = t->time_s <= m->gen_s + m->kfd_s;
            break;
        default: /* generation's */
            break;
        }
    }
}

void timed_trim(struct motion *m)
{
    while (m->timed_begin < m->timed_stamped && timed_at(m, m->timed_begin)->is_done)
        m->timed_begin++;
}
