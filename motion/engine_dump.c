/* What was planned and sent of late, for people who look at motion: the segments of a queue, the queue_steps of a stepper. A
 * request to the motion thread fills the engine's one buffer; the fiber that waits copies from it. */
#include "engine_int.h"

#include <math.h>
#include <string.h>

/* The newest first, then turned round: the buffer may be shorter than the history. */
static void turn_round(void *items, size_t count, size_t item_bytes)
{
    unsigned char keep[sizeof(struct engine_dump_move)];
    unsigned char *base = items;
    CHECK(item_bytes <= sizeof keep);
    for (size_t i = 0; i + 1 < count - i; i++) {
        unsigned char *a = base + i * item_bytes, *b = base + (count - 1 - i) * item_bytes;
        memcpy(keep, a, item_bytes);
        memcpy(a, b, item_bytes);
        memcpy(b, keep, item_bytes);
    }
}

/* Segments that steps exist for; rests are left out. */
static void dump_queue(struct motion *m, const struct engine_queue *q, double since_s)
{
    struct engine_dump *d = &m->e->dump;
    for (uint64_t i = q->q.end; i > q->q.begin && d->count < ENGINE_DUMP_MAX; i--) {
        const struct seg *s = segq_at(&q->q, i - 1);
        if (seg_end_s(s) <= since_s)
            break;
        if (s->t0_s >= m->gen_s || s->flags & SEG_MARKER || (s->v0_mm_s == 0.0 && s->ha_mm_s2 == 0.0))
            continue;
        struct engine_dump_move *out = &d->moves[d->count++];
        *out = (struct engine_dump_move){.time_s = s->t0_s, .duration_s = s->dt_s, .start_v_mm_s = s->v0_mm_s,
                                         .accel_mm_s2 = 2.0 * s->ha_mm_s2};
        memcpy(out->start_mm, s->pos_mm, sizeof out->start_mm);
        memcpy(out->r, s->r, sizeof out->r);
    }
    turn_round(d->moves, d->count, sizeof d->moves[0]);
}

static void dump_stepper(struct motion *m, const struct engine_stepper *s, double since_s)
{
    struct engine_dump *d = &m->e->dump;
    struct stepgen_record record;
    while (d->count < ENGINE_DUMP_MAX && stepgen_record_at(s->sg, d->count, &record)) {
        const double last_s = board_print_time(s->board->board, (struct mcu_ticks){record.last_clock}).s;
        if (last_s <= since_s)
            break;
        d->steps[d->count++] = (struct engine_dump_steps){.interval = record.interval,
                                                          .count = record.is_forward ? record.count : -(int32_t)record.count,
                                                          .add = record.add,
                                                          .first_clock = record.first_clock,
                                                          .last_clock = record.last_clock,
                                                          .steps_before = record.steps_before,
                                                          .first_s = last_s - (double)(record.last_clock - record.first_clock) /
                                                                                  board_freq_hz(s->board->board),
                                                          .last_s = last_s};
    }
    turn_round(d->steps, d->count, sizeof d->steps[0]);
}

void dump_run(struct motion *m, const struct control *c)
{
    struct engine *e = m->e;
    e->dump.count = 0;
    if (c->stepper >= 0)
        dump_stepper(m, e->steppers[c->stepper], c->at_s);
    else
        dump_queue(m, e->queues[c->queue], c->at_s);
    const struct engine_internal_event ev = {.event = {.kind = ENGINE_EVENT_FENCE, .at = {m->gen_s}}, .ticket = c->ticket};
    (void)motion_emit(m, &ev); /* handle_control has seen room for it */
}

static enum err dump(struct engine *e, const struct control *request, struct err_info *info)
{
    if (e->is_batch)
        return err_set(info, ERR_UNSUPPORTED, "Nothing can be dumped offline");
    if (e->is_dumping)
        return err_set(info, ERR_FULL, "Another client is asking for a dump");
    struct control c = *request;
    struct waiter w;
    e->is_dumping = true;
    const enum err err = waiter_ask(e, &c, &w, info);
    e->is_dumping = false;
    return err;
}

enum err engine_dump_queue(struct engine *e, const struct engine_queue *queue, double since_s,
                           const struct engine_dump_move **moves, size_t *count, struct err_info *info)
{
    const struct control c = {.kind = CONTROL_DUMP, .at_s = since_s, .stepper = -1, .queue = (int16_t)queue->index};
    const enum err err = dump(e, &c, info);
    if (err != OK)
        return err;
    *moves = e->dump.moves;
    *count = e->dump.count;
    return OK;
}

enum err engine_dump_stepper(struct engine *e, const struct engine_stepper *stepper, double since_s,
                             const struct engine_dump_steps **steps, size_t *count, struct err_info *info)
{
    const struct control c = {.kind = CONTROL_DUMP, .at_s = since_s, .stepper = (int16_t)stepper->index};
    const enum err err = dump(e, &c, info);
    if (err != OK)
        return err;
    *steps = e->dump.steps;
    *count = e->dump.count;
    return OK;
}
