#include "motion/steps/stepmerge.h"

#include "base/check.h"
#include "base/mem.h"

#define INPUTS_MAX 64

void stepmerge_init(struct stepmerge *m, size_t slot_count)
{
    CHECK(slot_count > 0);
    *m = (struct stepmerge){MEM_ARRAY(uint64_t, slot_count), slot_count, 0};
}

void stepmerge_deinit(struct stepmerge *m)
{
    mem_free(m->slots);
    m->slots = NULL;
}

/* The slot that is free first is taken until `clock`. Records come in the order of their clocks, so the new entry is
 * nearly always the last one of the ring; otherwise it moves forward to its place. */
uint64_t stepmerge_take(struct stepmerge *m, uint64_t clock)
{
    size_t at = m->oldest;
    const uint64_t free_at = m->slots[at];
    m->oldest = at + 1 < m->slot_count ? at + 1 : 0;
    for (size_t n = 1; n < m->slot_count; n++) {
        const size_t before = at > 0 ? at - 1 : m->slot_count - 1;
        if (m->slots[before] <= clock)
            break;
        m->slots[at] = m->slots[before];
        at = before;
    }
    m->slots[at] = clock;
    return free_at;
}

void stepmerge_run(struct stepmerge *m, const struct stepmerge_input *inputs, size_t input_count,
                   stepmerge_sink_fn *sink, void *ctx)
{
    CHECK(input_count <= INPUTS_MAX);
    size_t next[INPUTS_MAX] = {0};
    for (;;) {
        /* The input whose next record is the lowest; it stays that while its clocks are below those of all others. */
        size_t best = input_count;
        uint64_t best_req = 0, until = UINT64_MAX;
        for (size_t i = 0; i < input_count; i++) {
            if (next[i] >= inputs[i].count)
                continue;
            const uint64_t req = inputs[i].items[next[i]].req_clock;
            if (best == input_count || req < best_req) {
                until = best == input_count ? UINT64_MAX : best_req;
                best = i;
                best_req = req;
            } else if (req < until) {
                until = req;
            }
        }
        if (best == input_count)
            return;
        do {
            const struct stepmsg *msg = &inputs[best].items[next[best]++];
            /* A slot is taken from arrival until the message starts to run (its req_clock), then the board frees it. */
            const uint64_t free_at =
                msg->kind == STEPMSG_QUEUE ? stepmerge_take(m, msg->req_clock) : m->slots[m->oldest];
            sink(ctx, msg, free_at);
        } while (next[best] < inputs[best].count && inputs[best].items[next[best]].req_clock < until);
    }
}
