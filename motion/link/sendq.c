#include "motion/link/sendq.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

void sendq_init(struct sendq *q)
{
    memset(q, 0, sizeof(*q));
}

void sendq_deinit(struct sendq *q)
{
    mem_free(q->slots);
    q->slots = NULL;
}

void sendq_add_lane(struct sendq *q, struct lane *lane)
{
    CHECK(q->lane_count < SENDQ_LANES_MAX);
    q->lanes[q->lane_count++] = lane;
}

void sendq_set_slots(struct sendq *q, size_t count)
{
    mem_free(q->slots);
    q->slots = count ? MEM_ARRAY(uint64_t, count) : NULL;
    q->slot_count = count;
}

/* Put `until` in place of the heap's smallest entry and restore the order. */
static void take_slot(struct sendq *q, uint64_t until)
{
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= q->slot_count)
            break;
        if (child + 1 < q->slot_count && q->slots[child + 1] < q->slots[child])
            child++;
        if (q->slots[child] >= until)
            break;
        q->slots[i] = q->slots[child];
        i = child;
    }
    q->slots[i] = until;
}

/* When a record may go: its own limit, a free move item, and not further ahead than 32-bit clocks can tell. */
static uint64_t ready_clock(const struct sendq *q, const struct lane_record *r)
{
    uint64_t clock = r->min_clock;
    if (r->req_clock != SENDQ_REQ_BACKGROUND && r->req_clock > clock + SENDQ_LEAD_TICKS_MAX)
        clock = r->req_clock - SENDQ_LEAD_TICKS_MAX;
    if (r->slot_until && q->slot_count && q->slots[0] > clock)
        clock = q->slots[0];
    return clock;
}

/* The lane whose next unready record may go at `clock` and has the lowest req_clock. Lowest first matters for move
 * items: they are given to the command that is needed first. */
static struct lane *find_ready(struct sendq *q, uint64_t clock)
{
    struct lane *best = NULL;
    uint64_t best_req = 0;
    for (size_t i = 0; i < q->lane_count; i++) {
        const struct lane_record *r = lane_unready(q->lanes[i]);
        if (r && ready_clock(q, r) <= clock && (!best || r->req_clock < best_req)) {
            best = q->lanes[i];
            best_req = r->req_clock;
        }
    }
    return best;
}

/* Without a clock there is nothing to wait for, and no move item ever becomes free. */
static void advance_all(struct sendq *q)
{
    for (size_t i = 0; i < q->lane_count; i++) {
        const struct lane_record *r;
        while ((r = lane_unready(q->lanes[i]))) {
            q->ready_bytes += r->len_bytes;
            lane_make_ready(q->lanes[i]);
        }
    }
}

void sendq_advance(struct sendq *q, uint64_t clock)
{
    if (clock == UINT64_MAX) {
        advance_all(q);
        return;
    }
    struct lane *lane;
    while ((lane = find_ready(q, clock))) {
        const struct lane_record *r = lane_unready(lane);
        if (r->slot_until && q->slot_count)
            take_slot(q, r->slot_until);
        q->ready_bytes += r->len_bytes;
        lane_make_ready(lane);
    }
}

uint64_t sendq_next_ready_clock(struct sendq *q)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < q->lane_count; i++) {
        const struct lane_record *r = lane_unready(q->lanes[i]);
        if (r) {
            uint64_t clock = ready_clock(q, r);
            next = clock < next ? clock : next;
        }
    }
    return next;
}

/* The lane whose oldest ready record has the lowest req_clock; the first added wins a tie. With a dozen lanes a scan is
 * as quick as a heap, and it is the same on every machine. *until: its records go before those of all other lanes while
 * their req_clock is below that. */
static struct lane *find_front(struct sendq *q, uint64_t *until)
{
    struct lane *best = NULL;
    uint64_t best_req = 0, next_req = UINT64_MAX;
    for (size_t i = 0; i < q->lane_count; i++) {
        const struct lane_record *r = lane_front(q->lanes[i]);
        if (!r)
            continue;
        if (!best || r->req_clock < best_req) {
            next_req = best ? best_req : UINT64_MAX;
            best = q->lanes[i];
            best_req = r->req_clock;
        } else if (r->req_clock < next_req) {
            next_req = r->req_clock;
        }
    }
    *until = next_req;
    return best;
}

uint64_t sendq_first_req(struct sendq *q)
{
    uint64_t until;
    struct lane *lane = find_front(q, &until);
    return lane ? lane_front(lane)->req_clock : UINT64_MAX;
}

/* The last piece may reach into the next record while its producer writes it: those bytes are copied and never looked at,
 * which ThreadSanitizer cannot know. */
__attribute__((no_sanitize_thread)) static void put(struct sendq_block *block, const struct lane_record *r)
{
    for (size_t at = 0; at < r->len_bytes; at += LANE_COPY_BYTES) /* whole pieces: both ends have room for one more */
        memcpy(block->payload + block->len_bytes + at, r->data + at, LANE_COPY_BYTES);
    block->len_bytes = (uint8_t)(block->len_bytes + r->len_bytes);
    if (r->tag)
        block->tags[block->tag_count++] = r->tag;
    if (r->req_clock && r->req_clock != SENDQ_REQ_BACKGROUND && r->req_clock < block->first_req)
        block->first_req = r->req_clock;
}

void sendq_fill(struct sendq *q, struct sendq_block *block)
{
    block->len_bytes = 0;
    block->tag_count = 0;
    block->first_req = UINT64_MAX;
    block->is_full = false;
    struct lane *lane;
    uint64_t until;
    while (!block->is_full && (lane = find_front(q, &until))) {
        const struct lane_record *r = lane_front(lane);
        do {
            block->is_full = block->len_bytes + r->len_bytes > FRAME_PAYLOAD_MAX;
            if (block->is_full)
                break;
            put(block, r);
            q->ready_bytes -= r->len_bytes;
            lane_pass_front(lane);
        } while ((r = lane_front(lane)) && r->req_clock < until);
        lane_release(lane);
    }
}

void sendq_discard(struct sendq *q, bool only_discardable)
{
    for (size_t i = 0; i < q->lane_count; i++) {
        struct lane *lane = q->lanes[i];
        if (only_discardable && !lane->is_discarded_in_shutdown)
            continue;
        for (const struct lane_record *r; (r = lane_front(lane)); lane_drop_front(lane))
            q->ready_bytes -= r->len_bytes;
        lane_discard(lane);
    }
}
