/* Homing and probing, the caller's side: check, hand the request over, wait, take the position over. */
#include "engine_int.h"

#include "base/fiber.h"

#include <math.h>
#include <string.h>

#define RELEASE_POLL_S 0.001
#define HOME_DWELL_S   0.001

static enum err check_request(struct engine *e, const struct engine_home_request *r, struct err_info *info)
{
    CHECK(r->endstop_count <= ENGINE_HOME_ENDSTOPS_MAX);
    CHECK(r->queue->kind != QUEUE_EXTRUDER);
    if (!(r->speed_mm_s > 0.0) || !isfinite(r->speed_mm_s))
        return err_set(info, ERR_INVALID, "Invalid homing speed %.3f", r->speed_mm_s);
    for (unsigned i = 0; i < 3; i++)
        if (!(fabs(r->pos[i]) <= 1e8))
            return err_set(info, ERR_INVALID, "Homing to an impossible position");
    for (unsigned i = 0; i < e->extra.count; i++)
        if (e->extra.axis[i].queue == r->queue)
            return err_set(info, ERR_STATE, "'%s' is an axis of the moves now", r->queue->name);
    return OK;
}

/* The move of the request as an item of the stream, checked and limited like any other. */
static enum err make_item(struct engine *e, const struct engine_home_request *r, struct item *item, struct err_info *info)
{
    memset(item, 0, sizeof *item);
    item->source = r->source;
    if (r->queue->kind == QUEUE_MANUAL) {
        item->kind = ITEM_QUEUE_MOVE;
        item->a.queue_move.pos_mm = r->pos[0];
        item->a.queue_move.speed_mm_s = r->speed_mm_s;
        item->a.queue_move.accel_mm_s2 = r->accel_mm_s2 > 0.0 ? r->accel_mm_s2 : 0.0;
        item->a.queue_move.queue = (int16_t)r->queue->index;
        return OK;
    }
    item->kind = ITEM_MOVE;
    struct engine_move move = {.speed_mm_s = r->speed_mm_s, .source = r->source};
    memcpy(move.pos, e->pos, sizeof e->pos);
    memcpy(move.pos, r->pos, 3 * sizeof(double));
    return stream_prepare_move(e, &move, &item->move, info);
}

static void take_position(struct engine *e, const struct engine_home_request *r, const double now_at[AXES])
{
    if (r->queue->kind == QUEUE_TOOLHEAD)
        memcpy(e->pos, now_at, 3 * sizeof(double));
    else
        r->queue->read_mm = now_at[0];
}

/* Wait for the motion half; a cancel stops the move at once, but the wait goes on until positions are known. */
static enum err wait_home(struct engine *e, uint64_t ticket)
{
    struct fiber *self = fiber_current();
    CHECK(self);
    struct waiter *w = &e->waiters[ticket % WAITERS_MAX];
    bool was_cancelled = false;
    while (!w->is_done && !atomic_load(&e->is_stopped)) {
        if (fiber_park(HOST_NS_NEVER) != ERR_CANCELLED || was_cancelled)
            continue;
        was_cancelled = true;
        fiber_clear_cancel(self);
        const struct control c = {.kind = CONTROL_HOME_CANCEL};
        (void)!control_send(e, &c, NULL);
    }
    const bool is_done = w->is_done && w->result == OK;
    waiter_close(e, ticket);
    if (was_cancelled)
        fiber_cancel(self);
    return is_done ? OK : ERR_SHUTDOWN;
}

static enum err home_live(struct engine *e, const struct engine_home_request *r, const struct item *item,
                          struct engine_home_result *result, struct err_info *info)
{
    const uint64_t ticket = waiter_open(e);
    if (ticket == 0)
        return err_set(info, ERR_FULL, "Too many commands wait for the motion thread");
    e->home_request = *r;
    e->home_move = *item;
    e->home_ticket = ticket;
    const struct control c = {.kind = CONTROL_HOME};
    enum err err = control_send(e, &c, info);
    if (err != OK) {
        waiter_close(e, ticket);
        return err;
    }
    err = wait_home(e, ticket);
    if (err != OK)
        return err_set(info, err, "%s", e->fault_text[0] ? e->fault_text : "Printer is shut down");
    *result = e->home_result;
    take_position(e, r, e->home_pos);
    return e->home_err == OK ? OK : err_set(info, e->home_err, "%s", e->home_text);
}

static void ignore_result(void *ctx, const struct board_trigger_result *result)
{
    (void)ctx, (void)result;
}

static void note_stopped(void *ctx, const struct board_trigger_result *result)
{
    (void)result;
    *(bool *)ctx = true;
}

/* Let go of an endstop: the link answers for its file in virtual time, so the fiber waits for that. */
static void release_batch(struct engine_endstop *endstop)
{
    bool is_stopped = false;
    board_trigger_stop(endstop->trigger, note_stopped, &is_stopped);
    while (!is_stopped && fiber_current() && fiber_sleep(RELEASE_POLL_S) == OK)
        ;
}

/* Offline the endstops trigger at the end of the move. The boards get the same commands in the same order. */
static enum err home_batch(struct engine *e, const struct engine_home_request *r, const struct item *item,
                           struct engine_home_result *result, struct err_info *info)
{
    struct motion *m = &e->m;
    gen_batch_all(m);
    memset(result, 0, sizeof *result);
    for (unsigned i = 0; i < e->stepper_count; i++) {
        struct engine_stepper *s = e->steppers[i];
        if (s->queue == r->queue)
            result->steppers[result->stepper_count++] =
                (struct engine_home_stepper){.stepper = s, .start_steps = stepgen_steps(s->sg)};
    }
    motion_resync(m);
    const struct print_time start = {m->print_time_s};
    m->print_time_s += HOME_DWELL_S;
    if (item->kind == ITEM_MOVE)
        m->print_time_s += m->kfd_s; /* Klipper's steps are flushed once more before the toolhead homes */
    for (unsigned i = 0; i < r->endstop_count; i++)
        if (board_trigger_start(r->endstops[i]->trigger, (struct host_ns){0}, start, ignore_result, NULL) != OK)
            return err_set(info, ERR_STATE, "Endstop '%s' is in use", r->endstops[i]->name);
    if (item->kind == ITEM_QUEUE_MOVE || item->move.length_mm > 0.0)
        (void)motion_take(m, item);
    motion_flush_all(m);
    motion_need_prime(m);
    motion_reach_fence(m, motion_fence_s(m, 0));
    m->kgen_s = fmax(m->kgen_s, m->gen_s);
    for (unsigned i = 0; i < r->endstop_count; i++) {
        release_batch(r->endstops[i]);
        result->has_trigger[i] = true;
        result->trigger_time[i].s = m->motion_end_s;
    }
    for (unsigned i = 0; i < result->stepper_count; i++)
        result->steppers[i].trigger_steps = result->steppers[i].halt_steps =
            stepgen_steps(result->steppers[i].stepper->sg);
    memcpy(result->trigger_pos, r->pos, sizeof result->trigger_pos);
    memcpy(result->halt_pos, r->pos, sizeof result->halt_pos);
    take_position(e, r, r->pos);
    if (atomic_load(&e->is_stopped))
        return err_set(info, ERR_SHUTDOWN, "%s", e->fault_text);
    return OK;
}

enum err engine_home(struct engine *e, const struct engine_home_request *request, struct engine_home_result *result,
                     struct err_info *info)
{
    enum err err = check_request(e, request, info);
    if (err == OK)
        err = engine_wait_executed(e, request->source, info);
    if (err != OK)
        return err;
    while (e->is_homing || e->is_holding) { /* another fiber's homing ends first */
        err = engine_wait_room(e);
        if (err != OK)
            return err_set(info, err, err == ERR_CANCELLED ? "Cancelled" : "Printer is shut down");
    }
    struct item item;
    err = make_item(e, request, &item, info);
    if (err != OK)
        return err;
    if (e->is_batch)
        return home_batch(e, request, &item, result, info);
    e->is_homing = true;
    err = home_live(e, request, &item, result, info);
    e->is_homing = false;
    return err;
}
