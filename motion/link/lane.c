/* Positions only grow; an offset in the ring is position & mask. Records are 8-aligned and never wrap: if one does not
 * fit before the end of the ring, a filler takes the rest. */
#include "motion/link/lane.h"

#include "base/actor.h"
#include "base/check.h"
#include "base/mem.h"

#include <string.h>

_Static_assert(offsetof(struct lane_record, data) <= 32, "board.h promises 32 bytes per command");

void lane_init(struct lane *lane, struct actor *producer, size_t capacity_bytes)
{
    size_t size = 1024;
    while (size < capacity_bytes)
        size *= 2;
    memset(lane, 0, sizeof(*lane));
    lane->bytes = mem_alloc(size + LANE_COPY_BYTES);
    lane->mask = size - 1;
    lane->producer = producer;
    atomic_init(&lane->head, 0);
    atomic_init(&lane->tail, 0);
    atomic_init(&lane->has_refused, false);
}

void lane_deinit(struct lane *lane)
{
    mem_free(lane->bytes);
    lane->bytes = NULL;
}

/* Is there room for `need` more bytes from `tail` on? Looks at the reader's position only if it must. The order of the
 * flag and the positions is total (seq_cst): either the reader sees that it was asked to tell, or we see its progress.
 */
static bool has_room(struct lane *lane, size_t tail, size_t need)
{
    size_t size = lane->mask + 1;
    if (tail + need - lane->head_known <= size)
        return true;
    lane->head_known = atomic_load(&lane->head);
    if (tail + need - lane->head_known <= size)
        return true;
    atomic_store(&lane->has_refused, true);
    lane->head_known = atomic_load(&lane->head);
    if (tail + need - lane->head_known > size)
        return false;
    atomic_store(&lane->has_refused, false);
    return true;
}

bool lane_push(struct lane *lane, const uint8_t *data, size_t len_bytes, uint64_t min_clock, uint64_t req_clock,
               uint64_t slot_until, uint32_t tag)
{
    size_t tail = atomic_load_explicit(&lane->tail, memory_order_relaxed);
    size_t need = lane_record_bytes(len_bytes), to_end = lane->mask + 1 - (tail & lane->mask);
    size_t filler = to_end < need ? to_end : 0;
    if (!has_room(lane, tail, need + filler))
        return false;
    if (filler) {
        /* A filler shorter than a record's head still holds a marker: the reader knows by the distance to the end. */
        if (to_end >= offsetof(struct lane_record, data))
            lane_record_at(lane, tail)->is_skip = 1;
        tail += filler;
    }
    struct lane_record *r = lane_record_at(lane, tail);
    r->min_clock = min_clock;
    r->req_clock = req_clock;
    r->slot_until = slot_until;
    r->tag = tag;
    r->len_bytes = (uint8_t)len_bytes;
    r->is_skip = 0;
    memcpy(r->data, data, len_bytes);
    size_t pushed = atomic_load_explicit(&lane->pushed_bytes, memory_order_relaxed) + len_bytes;
    atomic_store_explicit(&lane->pushed_bytes, pushed, memory_order_relaxed);
    atomic_store_explicit(&lane->tail, tail + need, memory_order_release);
    return true;
}

size_t lane_room(const struct lane *lane)
{
    size_t used = atomic_load_explicit(&lane->tail, memory_order_relaxed) -
                  atomic_load_explicit(&lane->head, memory_order_acquire);
    size_t free_bytes = lane->mask + 1 - used;
    return free_bytes < 2 * LANE_RECORD_BYTES_MAX ? 0 : free_bytes / LANE_RECORD_BYTES_MAX - 1;
}

const struct lane_record *lane_unready(struct lane *lane)
{
    if (lane->ready == lane->tail_seen) {
        lane->tail_seen = atomic_load_explicit(&lane->tail, memory_order_acquire);
        if (lane->ready == lane->tail_seen)
            return NULL;
    }
    lane->ready = lane_skip_filler(lane, lane->ready);
    return lane_record_at(lane, lane->ready);
}

void lane_make_ready(struct lane *lane)
{
    lane->ready += lane_record_bytes(lane_record_at(lane, lane->ready)->len_bytes);
}

void lane_release(struct lane *lane)
{
    const size_t head = lane->head_seen;
    atomic_store(&lane->head, head);
    if (!atomic_load(&lane->has_refused))
        return;
    /* Half empty is soon enough: a producer is not woken for each record. */
    if (atomic_load_explicit(&lane->tail, memory_order_relaxed) - head > lane->mask / 2)
        return;
    if (atomic_exchange(&lane->has_refused, false) && lane->producer)
        actor_notify(lane->producer);
}

void lane_drop_front(struct lane *lane)
{
    lane_pass_front(lane);
    lane_release(lane);
}

void lane_discard(struct lane *lane)
{
    while (lane_unready(lane))
        lane_make_ready(lane);
    while (lane_front(lane))
        lane_drop_front(lane);
}

size_t lane_pending_bytes(const struct lane *lane)
{
    size_t pushed = atomic_load_explicit(&lane->pushed_bytes, memory_order_relaxed);
    return pushed > lane->taken_bytes ? pushed - lane->taken_bytes : 0;
}
