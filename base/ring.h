/* Bounded queues of plain structs between threads. Both kinds store copies; a full queue refuses (false) and the caller
 * decides what that means (reject, wait, count a drop). */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* One producer thread, one consumer thread, wait-free. */
struct spsc {
    char *items;
    size_t item_bytes, mask; /* capacity - 1, a power of two less one */
    _Alignas(64) atomic_size_t head; /* next to read, owned by the consumer */
    _Alignas(64) atomic_size_t tail; /* next to write, owned by the producer */
};
/* `capacity` is rounded up to a power of two. */
void spsc_init(struct spsc *ring, size_t item_bytes, size_t capacity);
void spsc_deinit(struct spsc *ring);
bool spsc_push(struct spsc *ring, const void *item); /* false: full */
bool spsc_pop(struct spsc *ring, void *item);        /* false: empty */
/* The oldest item in place, NULL when empty; spsc_drop then removes it. Consumer only. */
const void *spsc_peek(const struct spsc *ring);
void spsc_drop(struct spsc *ring);
size_t spsc_count(const struct spsc *ring); /* a snapshot */
size_t spsc_capacity(const struct spsc *ring);

/* Many producer threads, one consumer thread, lock-free (sequence numbers per slot, Vyukov 2010). */
struct mpsc {
    struct mpsc_slot *slots;
    char *items;
    size_t item_bytes, mask;
    _Alignas(64) atomic_size_t tail;
    _Alignas(64) size_t head;
};
void mpsc_init(struct mpsc *ring, size_t item_bytes, size_t capacity);
void mpsc_deinit(struct mpsc *ring);
bool mpsc_push(struct mpsc *ring, const void *item); /* false: full */
bool mpsc_pop(struct mpsc *ring, void *item);        /* false: empty */

#endif
