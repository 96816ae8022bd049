/* The caller's side of what does not go through the stream: stop, hold, release, drop, override, status, the end of a plan. */
#include "engine_int.h"

#include <math.h>
#include <string.h>

void engine_stop(struct engine *e)
{
    atomic_store(&e->is_stopped, true);
    actor_notify(&e->m.actor);
    if (e->config.machine)
        actor_notify(e->config.machine);
}

/* ------------------------------------------------------------------------------------------- out of band requests */

enum err engine_hold(struct engine *e, struct err_info *info)
{
    if (e->is_batch)
        return err_set(info, ERR_UNSUPPORTED, "Nothing can be held offline");
    if (e->is_holding || e->is_held)
        return err_set(info, ERR_STATE, "Motion is held already");
    if (e->is_homing)
        return err_set(info, ERR_STATE, "Motion can't be held while homing");
    const struct control c = {.kind = CONTROL_HOLD};
    enum err err = control_send(e, &c, info);
    if (err == OK)
        e->is_holding = true;
    return err;
}

enum err engine_override_feed(struct engine *e, double factor, struct err_info *info)
{
    if (!(factor >= ENGINE_FEED_MIN && factor <= ENGINE_FEED_MAX))
        return err_set(info, ERR_LIMIT, "Speed factor %.6f: must be between %g and %g", factor, ENGINE_FEED_MIN,
                       ENGINE_FEED_MAX);
    if (e->is_batch)
        return err_set(info, ERR_UNSUPPORTED, "Nothing can be overridden offline");
    if (e->is_holding || e->is_held)
        return err_set(info, ERR_STATE, "Motion is held");
    const struct control c = {.kind = CONTROL_FEED, .factor = factor, .serial = e->feed_serial + 1};
    enum err err = control_send(e, &c, info);
    if (err == OK)
        e->feed_serial++;
    return err;
}

static double keep_unless_changed(double at_hold, double at_tail_end, double now)
{
    return at_tail_end == at_hold ? now : at_tail_end;
}

/* The stream ends where the tail ends again; what the tail does not touch stays as it is now. */
static void become_released(struct engine *e)
{
    const struct read_state *held = &e->held, *end = &e->tail_end;
    const double e_shift = e->tail_resets_e ? 0.0 : e->pos[3] - held->pos[3];
    for (unsigned i = 0; i < e->queue_count; i++) {
        struct engine_queue *q = e->queues[i];
        if (q->kind != QUEUE_MANUAL)
            q->read_mm = keep_unless_changed(held->queue_mm[i], end->queue_mm[i], q->read_mm);
        else if (e->tail_sets_axes || e->tail_queues >> i & 1)
            q->read_mm = end->queue_mm[i];
    }
    for (unsigned i = 0; i < e->stepper_count; i++)
        if (e->tail_binds >> i & 1)
            e->steppers[i]->read_queue = end->stepper_queue[i];
    memcpy(e->pos, end->pos, sizeof e->pos);
    e->pos[3] += e_shift;
    e->active = end->active;
    e->extra = end->extra;
    stream_note_extra(e);
    e->is_held = false;
}

static enum err check_queue_place(const struct engine_queue *q, double now_mm, double held_mm, struct err_info *info)
{
    if (fabs(now_mm - held_mm) <= 1e-6)
        return OK;
    return err_set(info, ERR_STATE, "%s is not where it was paused: at %.3f, paused at %.3f", q->name, now_mm, held_mm);
}

/* The tail begins where the motion was held: everything whose coordinates it knows must be there again. */
static enum err check_held_place(const struct engine *e, struct err_info *info)
{
    for (int i = 0; i < 3; i++)
        if (fabs(e->pos[i] - e->held.pos[i]) > 1e-6)
            return err_set(info, ERR_STATE,
                           "The toolhead is not where it was paused: at %.3f %.3f %.3f, paused at %.3f %.3f %.3f", e->pos[0],
                           e->pos[1], e->pos[2], e->held.pos[0], e->held.pos[1], e->held.pos[2]);
    enum err err = OK;
    for (unsigned i = 0; i < e->extra.count && err == OK; i++)
        err = check_queue_place(e->extra.axis[i].queue, e->pos[AXIS_EXTRA + i], e->held.pos[AXIS_EXTRA + i], info);
    for (unsigned i = 0; i < e->queue_count && err == OK && e->tail_sets_axes; i++)
        if (e->queues[i]->kind == QUEUE_MANUAL && e->queues[i] != e->force_queue)
            err = check_queue_place(e->queues[i], e->queues[i]->read_mm, e->held.queue_mm[i], info);
    if (err == OK && e->active != e->held.active)
        err = err_set(info, ERR_STATE, "Another extruder is active than when the motion was paused");
    return err;
}

enum err engine_release(struct engine *e, struct err_info *info)
{
    if (!e->is_held)
        return err_set(info, ERR_STATE, "No motion is held");
    enum err err = check_held_place(e, info);
    if (err != OK)
        return err;
    err = stream_ready(e, ENGINE_SOURCE_NONE, info);
    if (err != OK)
        return err;
    /* The caller's coordinates may differ from the held ones by rounding; the tail goes on from its own. */
    struct item item = {.kind = ITEM_RELEASE, .source = ENGINE_SOURCE_NONE};
    atomic_store(&e->tail_left, e->tail_count); /* what is appended behind the release waits until the tail is planned */
    err = stream_append(e, &item, 0.0, info);
    if (err == OK)
        become_released(e);
    return err;
}

enum err engine_drop_tail(struct engine *e, struct err_info *info)
{
    if (!e->is_held)
        return err_set(info, ERR_STATE, "No motion is held");
    const struct control c = {.kind = CONTROL_DROP};
    enum err err = control_send(e, &c, info);
    if (err == OK) {
        e->is_held = false;
        waiters_wake_room(e);
    }
    return err;
}

/* ------------------------------------------------------------------------------------------------------ status */

void engine_get_status(struct engine *e, struct host_ns now, struct engine_status *status)
{
    struct motion_snapshot s;
    memset(status, 0, sizeof *status);
    if (e->is_batch)
        motion_snapshot_publish(&e->m);
    published_read(&e->snapshot, &s, sizeof s);
    const double waiting_s = fmax(e->appended_s - atomic_load(&e->consumed_s), 0.0);
    status->print_time.s = s.print_time_s;
    status->est_print_time.s = e->is_batch ? s.print_time_s : boards_est_print_time(e->boards, now).s;
    status->buffer_s = fmax(s.print_time_s - status->est_print_time.s, 0.0) + (e->is_batch ? 0.0 : waiting_s);
    status->is_empty = s.is_empty && spsc_count(&e->ring) == 0;
    status->is_idle = s.is_idle && spsc_count(&e->ring) == 0 && !e->is_homing;
    status->stalls = s.stalls;
    memcpy(status->live_pos, s.live_pos, sizeof s.live_pos);
    status->live_velocity_mm_s = s.live_velocity;
    status->live_extruder_velocity_mm_s = s.live_e_velocity;
    status->executed = s.executed;
    status->max_step_lead_us = s.max_lead_us;
    status->min_step_lead_us = s.min_lead_us;
    status->late_count = s.late_count;
    status->max_wake_late_us = s.max_wake_late_us;
    status->moves = s.moves;
}

void engine_get_lateness(const struct engine *e, struct engine_lateness *out)
{
    memset(out, 0, sizeof *out);
    out->horizon_s = atomic_load_explicit(&e->m.horizon_told_s, memory_order_relaxed);
    histogram_read(&e->m.ahead, &out->ahead);
    out->low_count = atomic_load_explicit(&e->m.low_count, memory_order_relaxed);
    out->has_thread = !e->is_batch && runtime_actor_stats(e->config.runtime, &e->m.actor, &out->thread);
}

/* -------------------------------------------------------------------------------------------------------- batch */

void engine_batch_yield(struct engine *e)
{
    if (e->is_batch && e->is_started && !atomic_load(&e->is_stopped))
        motion_batch_yield(&e->m);
}

enum err engine_finish(struct engine *e, struct print_time *end, struct err_info *info)
{
    CHECK(e->is_batch && e->is_started);
    struct motion *m = &e->m;
    if (!atomic_load(&e->is_stopped)) {
        motion_flush_all(m);
        motion_need_prime(m);
        gen_batch_all(m);
        /* The filters' tails, with nothing kept back. */
        gen_to(m, fmax(m->gen_s, m->motion_end_s + m->kfd_s), INFINITY);
        send_merge(m, INFINITY);
        timed_run_due(m);
        events_dispatch(e);
    }
    if (atomic_load(&e->is_stopped))
        return err_set(info, ERR_STATE, "%s", e->fault_text[0] ? e->fault_text : "The motion engine has been stopped");
    end->s = m->motion_end_s;
    return OK;
}
