/* Handing messages to the boards: step records of all steppers and everything else with a clock, merged per board in the
 * order in which the board needs them. Nothing leaves here unchecked. */
#include "engine_int.h"

#include "firmware/proto/vlq.h"

#include <math.h>
#include <sched.h>
#include <string.h>

#define FULL_SPINS_MAX 1000000

/* ------------------------------------------------------------------------------------------------------ self-check */

/* Does the record continue where the stepper's last one ended, with clocks that strictly increase? */
static bool is_consistent(const struct stepmsg *r, uint64_t base, const char **reason)
{
    if (r->count == 0) {
        *reason = "empty step sequence";
        return false;
    }
    if (r->first_clock <= base) {
        *reason = "step clocks do not increase";
        return false;
    }
    if ((uint32_t)(base + r->interval) != (uint32_t)r->first_clock) {
        *reason = "step sequence does not continue the one before";
        return false;
    }
    const int64_t n = (int64_t)r->count - 1;
    const int64_t last_interval = (int64_t)r->interval + (int64_t)r->add * n;
    if (n > 0 && ((int64_t)r->interval + r->add <= 0 || last_interval <= 0)) {
        *reason = "step interval is not positive";
        return false;
    }
    const int64_t span = (int64_t)r->interval * n + (int64_t)r->add * (n * (n + 1) / 2);
    if (r->first_clock + (uint64_t)span != r->last_clock) {
        *reason = "step sequence does not end where it says";
        return false;
    }
    return true;
}

static void note_lead(struct motion *m, double lead_s)
{
    const double us = fmax(lead_s, 0.0) * 1e6;
    const uint32_t lead_us = us > 4e9 ? UINT32_MAX : (uint32_t)us;
    m->min_lead_us = lead_us < m->min_lead_us ? lead_us : m->min_lead_us;
    m->max_lead_us = lead_us > m->max_lead_us ? lead_us : m->max_lead_us;
}

bool send_check(struct motion *m)
{
    for (size_t i = 0; i < m->gen.count; i++) {
        const struct engine_stepper *s = m->gen.of_job[i];
        const struct stepmsg *r = s->records;
        const size_t count = s->record_count;
        const uint64_t now = m->is_batch ? 0 : board_ticks_now(s->board->board, m->now).t;
        uint64_t base = s->last_clock;
        for (size_t k = 0; k < count; k++) {
            const char *reason = NULL;
            if (r[k].kind != STEPMSG_QUEUE)
                continue;
            if (!is_consistent(&r[k], base, &reason)) {
                motion_fault(m, s, reason);
                return false;
            }
            if (!m->is_batch) {
                note_lead(m, ((double)r[k].first_clock - (double)now) / board_freq_hz(s->board->board));
                if (r[k].first_clock <= now) {
                    m->late_count++;
                    motion_fault(m, s, "a step would be late: the host was too slow");
                    return false;
                }
            }
            base = r[k].last_clock;
        }
    }
    return true;
}

/* ---------------------------------------------------------------------------------------------------------- lanes */

static bool push_lane(struct motion_board *mb, const struct board_msg *msg, struct board_timing timing)
{
    return board_lane_push(mb->lane, msg, timing) == OK;
}

bool send_spill(struct motion *m)
{
    bool is_empty = true;
    for (unsigned i = 0; i < m->e->mboard_count; i++) {
        struct motion_board *mb = &m->e->mboards[i];
        while (mb->spill_count > 0) {
            const struct spill *s = &mb->spill[mb->spill_begin % SPILL_MAX];
            if (!push_lane(mb, &s->msg, s->timing))
                break;
            mb->spill_begin++;
            mb->spill_count--;
        }
        is_empty = is_empty && mb->spill_count == 0;
    }
    return is_empty;
}

/* Offline there is always time: wait for whoever writes the file. */
static void push_waiting(struct motion *m, struct motion_board *mb, const struct board_msg *msg,
                         struct board_timing timing)
{
    for (unsigned spins = 0; !push_lane(mb, msg, timing); spins++) {
        boards_wake(m->e->boards);
        if (fiber_current())
            (void)!fiber_sleep(0.0);
        else
            sched_yield();
        if (spins == FULL_SPINS_MAX) {
            motion_fault(m, NULL, "the output file does not take any more");
            return;
        }
    }
}

void send_command(struct motion *m, struct motion_board *mb, const struct board_msg *msg, struct board_timing timing)
{
    if (atomic_load(&m->e->is_stopped))
        return;
    if (m->is_batch) {
        push_waiting(m, mb, msg, timing);
        return;
    }
    if (mb->spill_count == 0 && push_lane(mb, msg, timing))
        return;
    if (mb->spill_count == SPILL_MAX) {
        motion_fault(m, NULL, "more commands than the board takes");
        return;
    }
    mb->spill[(mb->spill_begin + mb->spill_count) % SPILL_MAX] = (struct spill){*msg, timing};
    mb->spill_count++;
}

/* ------------------------------------------------------------------------------------------------ outputs, motors */

static void due_insert(struct motion *m, struct motion_board *mb, uint64_t clock, const struct board_msg *msg)
{
    CHECK(m->due_count < DUE_MAX);
    unsigned at = m->due_count++;
    for (; at > 0 && m->due[at - 1].clock > clock; at--)
        m->due[at] = m->due[at - 1];
    m->due[at] = (struct due){mb, clock, *msg};
}

static void due_output(struct motion *m, const struct engine_output *o, const int64_t *args, unsigned arg_count,
                       double at_s)
{
    int64_t filled[ENGINE_ARGS_MAX];
    memcpy(filled, args, arg_count * sizeof *args);
    const uint64_t clock = board_ticks_at(o->board->board, (struct print_time){at_s}).t;
    filled[o->clock_index] = (int64_t)(uint32_t)clock;
    struct board_msg msg;
    CHECK(board_encode(o->format, filled, arg_count, NULL, 0, &msg) == OK);
    due_insert(m, o->board, clock, &msg);
}

static void switch_motor(struct motion *m, struct engine_stepper *s, bool on, double at_s)
{
    if (s->is_on == on)
        return;
    s->is_on = on;
    s->motor_s = at_s;
    struct engine_enable *en = s->enable;
    if (!en)
        return;
    const bool was_on = en->on_count > 0;
    en->on_count += on ? 1u : -1u;
    if (was_on != (en->on_count > 0))
        due_output(m, en->output, en->args[on], en->arg_count, at_s);
}

static void switch_motors(struct motion *m, const struct timed *t)
{
    for (unsigned i = 0; i < m->e->stepper_count; i++)
        if (t->a.motor.stepper < 0 || t->a.motor.stepper == (int16_t)i)
            switch_motor(m, m->e->steppers[i], t->a.motor.on, t->time_s);
}

/* A motor goes on with the first segment that moves it. Times before `until_s` only. */
static void switch_on_moving(struct motion *m, double *first_s, double until_s)
{
    for (unsigned i = 0; i < m->e->stepper_count; i++) {
        if (first_s[i] < 0.0 || first_s[i] >= until_s)
            continue;
        switch_motor(m, m->e->steppers[i], true, first_s[i]);
        first_s[i] = -1.0;
    }
}

/* Start of the first segment that moves `s` and was not looked at yet, among those that steps up to gen_s depend on; less
 * by how much earlier its filter begins to move it. -1: none. */
static double first_moving_s(const struct motion *m, struct engine_stepper *s)
{
    const struct segq *q = stepgen_queue(s->sg);
    if (!q)
        return -1.0;
    const double until_s = m->gen_s + stepgen_pre_s(s->sg);
    double first = -1.0;
    if (s->active_index < q->begin)
        s->active_index = q->begin;
    for (; s->active_index < q->end; s->active_index++) {
        const struct seg *seg = segq_at(q, s->active_index);
        if (seg->t0_s >= until_s)
            break;
        if (first < 0.0 && (seg->flags & s->filter.func.axes))
            first = fmax(seg->t0_s - stepgen_pre_s(s->sg), 0.0);
    }
    return first;
}

bool send_is_motor_planned_on(const struct motion *m, const struct engine_stepper *s)
{
    bool is_on = s->is_on;
    double since_s = -INFINITY;
    for (uint64_t i = m->timed_begin; i < m->timed_stamped; i++) {
        const struct timed *t = timed_at(m, i);
        if (t->kind != ITEM_MOTOR || t->is_done || (t->a.motor.stepper >= 0 && t->a.motor.stepper != (int16_t)s->index))
            continue;
        is_on = t->a.motor.on;
        since_s = t->time_s;
    }
    const struct segq *q = stepgen_queue(s->sg);
    for (uint64_t i = q ? (s->active_index > q->begin ? s->active_index : q->begin) : 0; !is_on && q && i < q->end; i++) {
        const struct seg *seg = segq_at(q, i);
        is_on = (seg->flags & s->filter.func.axes) && seg->t0_s >= since_s;
    }
    return is_on;
}

static void collect_due(struct motion *m, double until_s)
{
    double first_s[ENGINE_STEPPERS_MAX], motors_s = until_s;
    for (unsigned i = 0; i < m->e->stepper_count; i++) {
        first_s[i] = first_moving_s(m, m->e->steppers[i]);
        motors_s = fmax(motors_s, first_s[i]); /* what was switched before a motor goes on is told before that */
    }
    m->due_count = 0;
    for (uint64_t i = m->timed_begin; i < m->timed_stamped; i++) {
        struct timed *t = timed_at(m, i);
        if (t->is_done || t->time_s > (t->kind == ITEM_MOTOR ? motors_s : until_s))
            continue;
        if (t->kind == ITEM_MOTOR) {
            switch_on_moving(m, first_s, t->time_s);
            switch_motors(m, t);
            t->is_done = true;
        } else if (t->kind == ITEM_OUTPUT) {
            due_output(m, m->e->outputs[t->a.output.output], t->a.output.args, t->a.output.arg_count, t->time_s);
            t->is_done = true;
        }
    }
    switch_on_moving(m, first_s, INFINITY);
}

void send_tell_motors(struct motion *m)
{
    for (unsigned i = 0; i < m->e->stepper_count; i++) {
        struct engine_stepper *s = m->e->steppers[i];
        if (s->is_on == s->is_on_told)
            continue;
        const struct engine_internal_event ev = {.event = {.kind = ENGINE_EVENT_MOTOR,
                                                           .at = {s->motor_s},
                                                           .stepper = s,
                                                           .is_on = s->is_on,
                                                           .source = ENGINE_SOURCE_NONE}};
        if (motion_emit(m, &ev))
            s->is_on_told = s->is_on;
    }
}

/* --------------------------------------------------------------------------------------------------------- merging */

struct merge_ctx {
    struct motion *m;
    struct motion_board *mb;
    unsigned next_due;
    uint64_t now; /* of the board; 0 in batch mode */
};

static void send_due_until(struct merge_ctx *c, uint64_t clock)
{
    struct motion *m = c->m;
    for (; c->next_due < m->due_count && m->due[c->next_due].clock <= clock; c->next_due++) {
        const struct due *d = &m->due[c->next_due];
        if (d->board == c->mb)
            send_command(m, c->mb, &d->msg, (struct board_timing){.req_clock = d->clock});
    }
}

static void encode_step(const struct engine_stepper *s, const struct stepmsg *r, struct board_msg *msg)
{
    uint8_t *p = msg->data;
    if (r->kind == STEPMSG_DIR) {
        memcpy(p, s->dir_id, s->dir_id_bytes);
        p = vlq_encode(p + s->dir_id_bytes, s->oid);
        p = vlq_encode(p, r->dir);
    } else {
        memcpy(p, s->queue_id, s->queue_id_bytes);
        p = vlq_encode(p + s->queue_id_bytes, s->oid);
        p = vlq_encode(p, r->interval);
        p = vlq_encode(p, r->count);
        p = vlq_encode(p, (uint32_t)(int32_t)r->add);
    }
    msg->len_bytes = (uint8_t)(p - msg->data);
}

static void merge_sink(void *ctx, const struct stepmsg *r, uint64_t min_clock)
{
    struct merge_ctx *c = ctx;
    struct motion *m = c->m;
    send_due_until(c, r->req_clock);
    struct engine_stepper *s = m->e->steppers[r->source];
    struct board_msg msg;
    encode_step(s, r, &msg);
    s->bytes += msg.len_bytes;
    if (r->kind == STEPMSG_QUEUE) {
        if (s->steps_handed == 0)
            s->first_clock = r->first_clock;
        s->steps_handed += r->count;
        s->net_steps += r->dir ? (int64_t)r->count : -(int64_t)r->count;
        s->last_clock = r->last_clock;
    }
    /* After a rest the clock from which the first interval counts has passed: at once, and by no deadline of its own. */
    send_command(m, c->mb, &msg,
                 (struct board_timing){.min_clock = min_clock,
                                       .req_clock = r->req_clock > c->now ? r->req_clock : 0});
}

void send_merge(struct motion *m, double until_s)
{
    collect_due(m, until_s);
    for (unsigned i = 0; i < m->e->mboard_count; i++) {
        struct motion_board *mb = &m->e->mboards[i];
        struct stepmerge_input inputs[ENGINE_STEPPERS_MAX];
        for (unsigned k = 0; k < mb->stepper_count; k++)
            inputs[k] = (struct stepmerge_input){mb->steppers[k]->records, mb->steppers[k]->record_count};
        struct merge_ctx c = {.m = m, .mb = mb, .now = m->is_batch ? 0 : board_ticks_now(mb->board, m->now).t};
        if (mb->stepper_count > 0)
            stepmerge_run(&mb->merge, inputs, mb->stepper_count, merge_sink, &c);
        send_due_until(&c, UINT64_MAX);
    }
    for (unsigned i = 0; i < m->e->stepper_count; i++)
        m->e->steppers[i]->record_count = 0;
    boards_wake(m->e->boards);
    send_tell_motors(m);
}
