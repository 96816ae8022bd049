#include "firmware/dev/timed_out.h"

struct timed_value {
    struct move link;
    uint32_t clock, value;
};

static uint32_t first_clock(const struct timed_out *out)
{
    return ((const struct timed_value *)(const void *)out->queue.first)->clock;
}

/* Arm the timer for what ends the present value, which took effect at `clock`. */
static void set_end(struct mcu *m, struct timed_out *out, uint32_t clock)
{
    bool is_queued = !move_queue_is_empty(&out->queue);
    uint32_t expiry = clock + out->max_duration;
    if (is_queued && out->is_limited && timer_is_before(expiry, first_clock(out)))
        fault_raise(m, out->exceeds);
    out->has_end = is_queued || out->is_limited;
    out->end_clock = is_queued ? first_clock(out) : expiry;
    out->timer.clock = out->end_clock;
    out->timer.is_report = !is_queued; /* then it ends in a shutdown */
}

static enum timer_result end_event(struct mcu *m, struct timer *timer)
{
    struct timed_out *out = (struct timed_out *)(void *)timer; /* its first member */
    struct move *link = move_queue_pop(&out->queue);
    if (!link) {
        fault_raise(m, out->missed);
        return TIMER_DONE;
    }
    struct timed_value next = *(struct timed_value *)(void *)link;
    move_give(m, link);
    out->is_limited = out->apply(m, out, next.value, next.clock) && out->max_duration;
    set_end(m, out, next.clock);
    return out->has_end ? TIMER_AGAIN : TIMER_DONE;
}

void timed_out_init(struct mcu *m, struct timed_out *out, uint32_t max_duration, timed_out_apply_fn *apply,
                    const struct fault *missed, const struct fault *exceeds)
{
    *out = (struct timed_out){
        .timer = {.fn = end_event}, .apply = apply, .missed = missed, .exceeds = exceeds, .max_duration = max_duration};
    move_request_size(m, sizeof(struct timed_value));
}

void timed_out_queue(struct mcu *m, struct timed_out *out, uint32_t clock, uint32_t value)
{
    struct move *link = move_take(m);
    if (!link)
        return;
    struct timed_value *entry = (struct timed_value *)(void *)link;
    entry->clock = clock;
    entry->value = value;
    bool is_first = move_queue_is_empty(&out->queue);
    move_queue_push(&out->queue, link);
    if (!is_first)
        return;
    if (out->is_limited && timer_is_before(out->end_clock, clock)) {
        fault_raise(m, out->exceeds);
        return;
    }
    timer_del(m, &out->timer);
    out->has_end = true;
    out->end_clock = out->timer.clock = clock;
    out->timer.is_report = false;
    timer_add(m, &out->timer);
}

void timed_out_set(struct mcu *m, struct timed_out *out, uint32_t value)
{
    uint32_t now = port_clock(m->setup.port);
    timer_del(m, &out->timer);
    out->is_limited = out->apply(m, out, value, now) && out->max_duration;
    set_end(m, out, now);
    if (out->has_end)
        timer_add(m, &out->timer);
}

bool timed_out_is_pending(const struct timed_out *out)
{
    return !move_queue_is_empty(&out->queue);
}

void timed_out_stop(struct mcu *m, struct timed_out *out)
{
    timer_del(m, &out->timer);
    move_queue_clear(m, &out->queue);
    out->is_limited = out->has_end = false;
}
