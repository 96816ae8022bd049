/* The caller's side of waiting: tickets for fibers, events to listeners. */
#include "engine_int.h"

#include <math.h>
#include <string.h>

#define ROOM_LOOK_S 0.05 /* whoever waits for room looks again after this, whatever happens */

/* ----------------------------------------------------------------------------------------------------- tickets */

uint64_t waiter_open(struct engine *e)
{
    for (unsigned i = 0; i < WAITERS_MAX; i++) {
        struct waiter *w = &e->waiters[i];
        if (w->ticket != 0)
            continue;
        /* The slot is in the ticket, so that completion finds it; the rest never repeats. */
        e->last_ticket++;
        *w = (struct waiter){.ticket = e->last_ticket * WAITERS_MAX + i, .fiber = fiber_current()};
        return w->ticket;
    }
    return 0;
}

static struct waiter *waiter_of(struct engine *e, uint64_t ticket)
{
    struct waiter *w = &e->waiters[ticket % WAITERS_MAX];
    return ticket != 0 && w->ticket == ticket ? w : NULL;
}

void waiter_close(struct engine *e, uint64_t ticket)
{
    struct waiter *w = waiter_of(e, ticket);
    if (w)
        w->ticket = 0;
}

static void waiter_finish(struct waiter *w, enum err result)
{
    w->is_done = true;
    w->result = result;
    if (w->fiber)
        fiber_wake(w->fiber);
}

enum err waiter_wait(struct engine *e, uint64_t ticket, struct waiter *out)
{
    struct waiter *w = waiter_of(e, ticket);
    CHECK(w);
    if (e->is_batch) {
        events_dispatch(e); /* makes room for what comes now */
        timed_run_due(&e->m);
        events_dispatch(e);
        CHECK(w->is_done || atomic_load(&e->is_stopped));
    }
    while (!w->is_done && !atomic_load(&e->is_stopped)) {
        CHECK(fiber_current());
        const enum err err = fiber_park(HOST_NS_NEVER);
        if (err == ERR_CANCELLED && !w->is_done) {
            w->ticket = 0;
            return err;
        }
    }
    *out = *w;
    w->ticket = 0;
    return out->is_done ? out->result : ERR_SHUTDOWN;
}

enum err control_send(struct engine *e, const struct control *control, struct err_info *info)
{
    if (atomic_load(&e->is_stopped))
        return err_set(info, ERR_SHUTDOWN, "%s", e->fault_text[0] ? e->fault_text : "The motion engine has been stopped");
    if (!e->is_started)
        return err_set(info, ERR_STATE, "Printer is not ready");
    if (!spsc_push(&e->control, control))
        return err_set(info, ERR_FULL, "Too many requests to the motion thread");
    actor_notify(&e->m.actor);
    return OK;
}

/* ------------------------------------------------------------------------------------------------------ fibers */

enum err engine_wait_room(struct engine *e)
{
    if (e->is_batch)
        return atomic_load(&e->is_stopped) ? ERR_SHUTDOWN : OK;
    atomic_store(&e->is_room_wanted, true);
    if (atomic_load(&e->is_stopped))
        return ERR_SHUTDOWN;
    if (stream_has_room(e) && !e->is_holding && !e->is_homing && !e->is_held)
        return OK;
    struct fiber *self = fiber_current();
    CHECK(self && e->room_count < FIBER_COUNT_MAX);
    e->room[e->room_count++] = self;
    const enum err err = fiber_park(host_ns_add_s(fiber_now(), ROOM_LOOK_S));
    for (unsigned i = 0; i < e->room_count; i++)
        if (e->room[i] == self)
            e->room[i--] = e->room[--e->room_count];
    if (err == ERR_CANCELLED)
        return err;
    return atomic_load(&e->is_stopped) ? ERR_SHUTDOWN : OK;
}

void waiters_wake_room(struct engine *e)
{
    for (unsigned i = 0; i < e->room_count; i++)
        fiber_wake(e->room[i]);
}

static enum err wait_fence(struct engine *e, enum item_kind kind, struct engine_source source, struct waiter *out,
                           struct err_info *info)
{
    enum err err;
    while ((err = stream_ready(e, source, info)) == ERR_FULL) {
        err = engine_wait_room(e);
        if (err != OK)
            return err_set(info, err, err == ERR_CANCELLED ? "Cancelled" : "Printer is shut down");
    }
    if (err != OK)
        return err;
    const uint64_t ticket = waiter_open(e);
    if (ticket == 0)
        return err_set(info, ERR_FULL, "Too many commands wait for the motion to end");
    struct item item = {.kind = (uint8_t)kind, .source = source, .a.fence = {.ticket = ticket}};
    err = stream_append(e, &item, 0.0, info);
    if (err == OK)
        err = waiter_wait(e, ticket, out);
    else
        waiter_close(e, ticket);
    if (err == OK && out->is_dropped)
        err = ERR_CANCELLED;
    if (err == ERR_CANCELLED)
        return err_set(info, err, "Cancelled");
    if (err == ERR_SHUTDOWN)
        return err_set(info, err, "%s", e->fault_text[0] ? e->fault_text : "Printer is shut down");
    return err;
}

enum err engine_wait_planned(struct engine *e, struct engine_source source, struct print_time *at, struct err_info *info)
{
    struct waiter w;
    enum err err = wait_fence(e, ITEM_FENCE_PLANNED, source, &w, info);
    if (err == OK)
        at->s = w.at_s;
    return err;
}

enum err engine_wait_executed(struct engine *e, struct engine_source source, struct err_info *info)
{
    struct waiter w;
    return wait_fence(e, ITEM_FENCE_EXECUTED, source, &w, info);
}

enum err waiter_ask(struct engine *e, struct control *c, struct waiter *out, struct err_info *info)
{
    if (e->is_batch) {
        gen_batch_all(&e->m);
    }
    c->ticket = waiter_open(e);
    if (c->ticket == 0)
        return err_set(info, ERR_FULL, "Too many commands wait for the motion thread");
    enum err err = OK;
    if (!e->is_batch)
        err = control_send(e, c, info);
    else if (c->kind == CONTROL_QUERY)
        home_query(&e->m, c);
    else
        home_read_positions(&e->m, c);
    if (err != OK) {
        waiter_close(e, c->ticket);
        return err;
    }
    err = waiter_wait(e, c->ticket, out);
    return err == OK ? OK : err_set(info, err, err == ERR_CANCELLED ? "Cancelled" : "Printer is shut down");
}

enum err engine_stepper_position_at(struct engine *e, struct engine_stepper *stepper, struct print_time at,
                                    struct engine_stepper_position *position, struct err_info *info)
{
    struct waiter w;
    struct control c = {.kind = CONTROL_QUERY, .at_s = at.s, .stepper = (int16_t)stepper->index};
    enum err err = waiter_ask(e, &c, &w, info);
    if (err == OK)
        *position = w.position;
    return err;
}

enum err engine_read_positions(struct engine *e, struct err_info *info)
{
    struct waiter w;
    struct control c = {.kind = CONTROL_READ_POSITIONS};
    return waiter_ask(e, &c, &w, info);
}

/* ------------------------------------------------------------------------------------------------------ events */

void engine_listen(struct engine *e, engine_listener_fn *fn, void *ctx)
{
    CHECK(e->listener_count < LISTENERS_MAX);
    e->listeners[e->listener_count].fn = fn;
    e->listeners[e->listener_count++].ctx = ctx;
}

static void tell(struct engine *e, const struct engine_event *event)
{
    for (unsigned i = 0; i < e->listener_count; i++)
        e->listeners[i].fn(e->listeners[i].ctx, event);
}

static void save_read_state(const struct engine *e, struct read_state *r)
{
    memcpy(r->pos, e->pos, sizeof r->pos);
    r->active = e->active;
    r->extra = e->extra;
    for (unsigned i = 0; i < e->queue_count; i++)
        r->queue_mm[i] = e->queues[i]->read_mm;
    for (unsigned i = 0; i < e->stepper_count; i++)
        r->stepper_queue[i] = e->steppers[i]->read_queue;
}

/* The stream ends where it was cut now. The motion half is quiet until something is appended, and the event came through
 * a ring after everything it wrote, so its state can be read here. */
static void become_held(struct engine *e, const struct engine_internal_event *ev)
{
    save_read_state(e, &e->tail_end);
    memcpy(e->pos, e->m.pos, sizeof e->pos);
    e->active = e->m.active;
    e->extra = e->m.extra;
    for (unsigned i = 0; i < e->queue_count; i++)
        e->queues[i]->read_mm = e->queues[i]->pos_mm;
    stream_note_extra(e);
    for (unsigned i = 0; i < e->stepper_count; i++)
        e->steppers[i]->read_queue = e->steppers[i]->queue;
    save_read_state(e, &e->held);
    e->tail_resets_e = ev->tail_resets_e;
    e->tail_sets_axes = ev->tail_sets_axes;
    e->tail_queues = ev->tail_queues;
    e->tail_binds = ev->tail_binds;
    e->tail_count = ev->event.tail_count;
    e->is_holding = false;
    e->is_held = true;
}

static void dispatch(struct engine *e, const struct engine_internal_event *ev)
{
    struct waiter *w = waiter_of(e, ev->ticket);
    if (w) {
        w->at_s = ev->event.at.s;
        w->is_dropped = ev->event.is_dropped;
        w->position = ev->position;
        waiter_finish(w, ev->result);
    }
    if (ev->ticket != 0)
        return;
    switch (ev->event.kind) {
    case ENGINE_EVENT_HELD:
        become_held(e, ev);
        break;
    case ENGINE_EVENT_MOTOR:
        ev->event.stepper->read_is_on = ev->event.is_on;
        break;
    default:
        break;
    }
    tell(e, &ev->event);
}

void events_dispatch(struct engine *e)
{
    struct engine_internal_event ev;
    while (spsc_pop(&e->events, &ev))
        dispatch(e, &ev);
    if (atomic_load(&e->is_faulted) && !e->is_fault_told) {
        e->is_fault_told = true;
        const struct engine_event fault = {.kind = ENGINE_EVENT_FAULT, .source = ENGINE_SOURCE_NONE};
        tell(e, &fault);
    }
}

void engine_poll(struct engine *e, struct host_ns now)
{
    (void)now;
    events_dispatch(e);
    if (atomic_load(&e->is_stopped)) {
        for (unsigned i = 0; i < WAITERS_MAX; i++)
            if (e->waiters[i].ticket != 0 && !e->waiters[i].is_done)
                waiter_finish(&e->waiters[i], ERR_SHUTDOWN);
        waiters_wake_room(e);
    } else if (stream_has_room(e) && !e->is_holding && !e->is_homing) {
        waiters_wake_room(e);
    }
}
