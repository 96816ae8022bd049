#include "base/ring.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

static size_t round_up_pow2(size_t n)
{
    size_t p = 1;
    while (p < n) {
        CHECK(p <= ((size_t)-1) / 4);
        p *= 2;
    }
    return p;
}

void spsc_init(struct spsc *ring, size_t item_bytes, size_t capacity)
{
    CHECK(item_bytes > 0 && capacity > 0);
    size_t size = round_up_pow2(capacity);
    ring->items = mem_array(item_bytes, size);
    ring->item_bytes = item_bytes;
    ring->mask = size - 1;
    atomic_init(&ring->head, 0);
    atomic_init(&ring->tail, 0);
}

void spsc_deinit(struct spsc *ring)
{
    mem_free(ring->items);
    ring->items = NULL;
}

bool spsc_push(struct spsc *ring, const void *item)
{
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    if (tail - head > ring->mask)
        return false;
    memcpy(ring->items + (tail & ring->mask) * ring->item_bytes, item, ring->item_bytes);
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
    return true;
}

const void *spsc_peek(const struct spsc *ring)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    return head == tail ? NULL : ring->items + (head & ring->mask) * ring->item_bytes;
}

void spsc_drop(struct spsc *ring)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    CHECK(head != atomic_load_explicit(&ring->tail, memory_order_acquire));
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
}

bool spsc_pop(struct spsc *ring, void *item)
{
    const void *oldest = spsc_peek(ring);
    if (!oldest)
        return false;
    memcpy(item, oldest, ring->item_bytes);
    spsc_drop(ring);
    return true;
}

size_t spsc_count(const struct spsc *ring)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    return tail - head;
}

size_t spsc_capacity(const struct spsc *ring)
{
    return ring->mask + 1;
}

/* Bounded queue with a sequence number per slot (D. Vyukov, 2010): a slot at position p is free for writing when its
 * number is p, full when it is p + 1, and becomes free for the next lap with p + capacity. */
struct mpsc_slot {
    atomic_size_t sequence;
};

void mpsc_init(struct mpsc *ring, size_t item_bytes, size_t capacity)
{
    CHECK(item_bytes > 0 && capacity > 0);
    size_t size = round_up_pow2(capacity < 2 ? 2 : capacity);
    ring->items = mem_array(item_bytes, size);
    ring->slots = mem_array(sizeof *ring->slots, size);
    ring->item_bytes = item_bytes;
    ring->mask = size - 1;
    for (size_t i = 0; i < size; i++)
        atomic_init(&ring->slots[i].sequence, i);
    atomic_init(&ring->tail, 0);
    ring->head = 0;
}

void mpsc_deinit(struct mpsc *ring)
{
    mem_free(ring->items);
    mem_free(ring->slots);
    ring->items = NULL;
    ring->slots = NULL;
}

bool mpsc_push(struct mpsc *ring, const void *item)
{
    size_t pos = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    for (;;) {
        struct mpsc_slot *slot = &ring->slots[pos & ring->mask];
        size_t sequence = atomic_load_explicit(&slot->sequence, memory_order_acquire);
        if (sequence == pos) {
            if (atomic_compare_exchange_weak_explicit(&ring->tail, &pos, pos + 1, memory_order_relaxed,
                                                      memory_order_relaxed)) {
                memcpy(ring->items + (pos & ring->mask) * ring->item_bytes, item, ring->item_bytes);
                atomic_store_explicit(&slot->sequence, pos + 1, memory_order_release);
                return true;
            }
        } else if ((ptrdiff_t)(sequence - pos) < 0) {
            return false;
        } else {
            pos = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        }
    }
}

bool mpsc_pop(struct mpsc *ring, void *item)
{
    struct mpsc_slot *slot = &ring->slots[ring->head & ring->mask];
    if (atomic_load_explicit(&slot->sequence, memory_order_acquire) != ring->head + 1)
        return false;
    memcpy(item, ring->items + (ring->head & ring->mask) * ring->item_bytes, ring->item_bytes);
    atomic_store_explicit(&slot->sequence, ring->head + ring->mask + 1, memory_order_release);
    ring->head++;
    return true;
}
