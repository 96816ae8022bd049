/* Homing over several boards: each board stops by itself unless it hears, through us, that all others are alive. */
#include "motion/link/link_impl.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>

#define REASON_HOST     2
#define REASON_PAST_END 3
#define EXTEND_PART     0.8 /* of a report interval: extend only when that much is gained */
#define STOP_RETRY_S    0.05
#define STOP_POLL_S     0.001 /* between looks at the commands that arm it */
#define STOP_RETRIES    10

struct link_trigger *link_trigger_create(void)
{
    return MEM_NEW(struct link_trigger);
}

void link_trigger_destroy(struct link_trigger *t)
{
    mem_free(t);
}

void link_trigger_set_up(struct link_trigger *t, const struct link_trigger_setup *setup)
{
    t->setup = *setup;
}

static void send_trigger(struct link_trigger *t, size_t part, unsigned reason)
{
    struct link_board *b = t->setup.parts[part].board;
    int64_t args[2] = {t->setup.parts[part].oid, reason};
    link_board_push_args(b, b->words.trsync_trigger, args, 2);
}

static void post(struct link_trigger *t, enum err result, unsigned reason, size_t part, bool is_stop,
                 struct host_ns now)
{
    struct link_board *b = t->setup.parts[part].board;
    struct link_note note = {.kind = LINK_NOTE_TRIGGER,
                             .board = (uint8_t)b->index,
                             .result = (uint8_t)result,
                             .reason = (uint8_t)reason,
                             .is_stop = is_stop,
                             .token = t->setup.token,
                             .received = now};
    link_post(b->link, t->setup.port, &note);
}

/* The first part that cannot trigger any more ends it for all. */
static void end(struct link_trigger *t, enum err result, size_t part, unsigned reason, unsigned reason_for_others,
                struct host_ns now)
{
    t->state = LINK_TRIGGER_ENDED;
    t->result = result;
    for (size_t i = 0; i < t->setup.part_count; i++)
        if (!t->parts[i].is_done)
            send_trigger(t, i, reason_for_others);
    post(t, result, reason, part, false, now);
}

/* Each board may run on until `expire_ticks` after the others were last known alive. */
static void extend(struct link_trigger *t)
{
    for (size_t m = 0; m < t->setup.part_count; m++) {
        struct host_ns alive = HOST_NS_NEVER;
        for (size_t i = 0; i < t->setup.part_count; i++)
            if (i != m || t->setup.part_count == 1)
                alive = host_ns_min(alive, t->parts[i].last_status);
        if (alive.ns == 0)
            continue; /* not everybody has reported yet */
        struct link_board *b = t->setup.parts[m].board;
        struct link_trigger_board *part = &t->parts[m];
        struct clock_line line = clocksync_line(&b->clock);
        uint64_t expire = clock_line_at(&line, alive) + part->expire_ticks;
        if (expire < part->expire_clock + (uint64_t)(EXTEND_PART * (double)part->report_ticks))
            continue;
        int64_t args[2] = {t->setup.parts[m].oid, (uint32_t)expire};
        if (link_board_push_args(b, b->words.trsync_set_timeout, args, 2))
            part->expire_clock = expire;
    }
}

static void finish_stop(struct link_trigger *t, enum err result, struct host_ns now)
{
    unsigned reason = REASON_HOST;
    size_t part = 0;
    for (size_t i = t->setup.part_count; i-- > 0;) {
        unsigned r = t->parts[i].reason;
        if (r != REASON_HOST && r != 0) {
            reason = r;
            part = i;
        }
    }
    t->state = LINK_TRIGGER_IDLE;
    post(t, result, reason, part, true, now);
}

static bool all_done(const struct link_trigger *t)
{
    for (size_t i = 0; i < t->setup.part_count; i++)
        if (!t->parts[i].is_done)
            return false;
    return true;
}

static void report(struct link_trigger *t, size_t i, bool can_trigger, uint8_t reason, uint32_t clock32,
                   struct host_ns now)
{
    struct link_trigger_board *part = &t->parts[i];
    struct link_board *b = t->setup.parts[i].board;
    if (!can_trigger) {
        part->is_done = true;
        part->reason = reason;
        if (t->state == LINK_TRIGGER_ARMED)
            end(t, OK, i, reason, REASON_HOST, now);
        else if (t->state == LINK_TRIGGER_STOPPING && all_done(t))
            finish_stop(t, t->result, now);
        return;
    }
    if (t->state != LINK_TRIGGER_ARMED)
        return;
    uint64_t clock = clocksync_extend(&b->clock, clock32);
    struct clock_line line = clocksync_line(&b->clock);
    part->last_status = clock_line_time(&line, clock);
    if (part->end_clock && clock >= part->end_clock)
        end(t, OK, i, REASON_PAST_END, REASON_PAST_END, now);
    else
        extend(t);
}

void link_trigger_report(struct link_board *b, uint8_t oid, bool can_trigger, uint8_t reason, uint32_t clock32,
                         struct host_ns now)
{
    for (size_t i = 0; i < b->link->trigger_count; i++) {
        struct link_trigger *t = b->link->triggers[i];
        for (size_t k = 0; k < t->setup.part_count && t->state != LINK_TRIGGER_IDLE; k++)
            if (t->setup.parts[k].board == b && t->setup.parts[k].oid == oid)
                report(t, k, can_trigger, reason, clock32, now);
    }
}

void link_trigger_board_failed(struct link_board *b, enum err result, struct host_ns now)
{
    for (size_t i = 0; i < b->link->trigger_count; i++) {
        struct link_trigger *t = b->link->triggers[i];
        for (size_t k = 0; k < t->setup.part_count && t->state != LINK_TRIGGER_IDLE; k++) {
            if (t->setup.parts[k].board != b)
                continue;
            t->parts[k].is_done = true;
            t->result = result;
            if (t->state == LINK_TRIGGER_ARMED)
                end(t, result, k, REASON_HOST, REASON_HOST, now);
            else if (t->state == LINK_TRIGGER_STOPPING && all_done(t))
                finish_stop(t, result, now);
        }
    }
}

static void arm(struct link_trigger *t, const struct link_request *r)
{
    t->state = LINK_TRIGGER_ARMED;
    t->result = OK;
    for (size_t i = 0; i < t->setup.part_count; i++)
        t->parts[i] = (struct link_trigger_board){.expire_clock = r->times.clock[i],
                                                  .expire_ticks = r->times.expire_ticks[i],
                                                  .report_ticks = r->times.report_ticks[i]};
}

/* A trsync_trigger that overtook the commands that arm would stop nothing: the trsync would be armed behind it, steppers would
 * run on, and its time-out would end whatever is armed next. So it leaves behind them. false: they still wait. */
static bool send_stop(struct link_trigger *t, size_t part)
{
    const struct lane *lane = t->setup.parts[part].lane;
    if (lane && lane_pending_bytes(lane) > 0)
        return false;
    send_trigger(t, part, REASON_HOST);
    t->parts[part].is_stop_sent = true;
    return true;
}

/* A trsync answers each trsync_trigger with its state, whose reason is the first one. */
static void stop(struct link_trigger *t, struct host_ns now)
{
    if (t->state == LINK_TRIGGER_IDLE) {
        finish_stop(t, ERR_STATE, now);
        return;
    }
    t->state = LINK_TRIGGER_STOPPING;
    t->tries = 0;
    for (size_t i = 0; i < t->setup.part_count; i++) {
        struct link_board *b = t->setup.parts[i].board;
        t->parts[i].is_done = b->fault != LINK_FAULT_NONE || !b->transport;
        if (t->parts[i].is_done)
            t->result = b->fault == LINK_FAULT_SHUTDOWN ? ERR_SHUTDOWN : ERR_CLOSED;
        t->parts[i].is_stop_sent = false;
        if (!t->parts[i].is_done)
            (void)send_stop(t, i);
    }
    t->retry_at = host_ns_add_s(now, STOP_RETRY_S);
    if (all_done(t))
        finish_stop(t, t->result, now);
}

void link_trigger_request(struct link *link, const struct link_request *r, struct host_ns now)
{
    (void)link;
    struct link_trigger *t = r->trigger;
    switch (r->kind) {
    case LINK_TRIGGER_ARM:
        arm(t, r);
        break;
    case LINK_TRIGGER_END:
        for (size_t i = 0; i < t->setup.part_count; i++)
            t->parts[i].end_clock = r->times.clock[i];
        break;
    default:
        stop(t, now);
        break;
    }
}

struct host_ns link_trigger_step(struct link *link, struct host_ns now)
{
    struct host_ns next = HOST_NS_NEVER;
    for (size_t i = 0; i < link->trigger_count; i++) {
        struct link_trigger *t = link->triggers[i];
        if (t->state != LINK_TRIGGER_STOPPING)
            continue;
        bool is_waiting = false;
        for (size_t k = 0; k < t->setup.part_count; k++)
            if (!t->parts[k].is_done && !t->parts[k].is_stop_sent)
                is_waiting |= !send_stop(t, k);
        if (is_waiting) {
            t->retry_at = host_ns_add_s(now, STOP_RETRY_S);
            next = host_ns_min(next, host_ns_add_s(now, STOP_POLL_S));
            continue;
        }
        if (!host_ns_before(now, t->retry_at)) {
            if (++t->tries > STOP_RETRIES) {
                log_error(link->log, "link", "trsync does not answer", "trigger=%u", (unsigned)t->setup.token);
                finish_stop(t, ERR_TIMEOUT, now);
                continue;
            }
            for (size_t k = 0; k < t->setup.part_count; k++)
                if (!t->parts[k].is_done)
                    send_trigger(t, k, REASON_HOST);
            t->retry_at = host_ns_add_s(now, STOP_RETRY_S);
        }
        next = host_ns_min(next, t->retry_at);
    }
    return next;
}
