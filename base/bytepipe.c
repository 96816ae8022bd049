#include "base/bytepipe.h"

#include "base/actor.h"
#include "base/check.h"
#include "base/mem.h"

#include <string.h>

void bytepipe_init(struct bytepipe *pipe, size_t capacity_bytes)
{
    CHECK(capacity_bytes > 0);
    size_t size = 1;
    while (size < capacity_bytes)
        size *= 2;
    pipe->data = mem_alloc(size);
    pipe->mask = size - 1;
    atomic_init(&pipe->head, 0);
    atomic_init(&pipe->tail, 0);
    atomic_init(&pipe->reader, NULL);
}

void bytepipe_deinit(struct bytepipe *pipe)
{
    mem_free(pipe->data);
    pipe->data = NULL;
}

/* Copy between the ring at `pos` and flat memory, in at most two pieces. */
static void copy_in(struct bytepipe *pipe, size_t pos, const unsigned char *data, size_t len)
{
    size_t at = pos & pipe->mask, room = pipe->mask + 1 - at;
    size_t first = len < room ? len : room;
    memcpy(pipe->data + at, data, first);
    memcpy(pipe->data, data + first, len - first);
}

static void copy_out(const struct bytepipe *pipe, size_t pos, unsigned char *data, size_t len)
{
    size_t at = pos & pipe->mask, room = pipe->mask + 1 - at;
    size_t first = len < room ? len : room;
    memcpy(data, pipe->data + at, first);
    memcpy(data + first, pipe->data, len - first);
}

size_t bytepipe_write(struct bytepipe *pipe, const void *data, size_t len_bytes)
{
    size_t tail = atomic_load_explicit(&pipe->tail, memory_order_relaxed);
    size_t head = atomic_load_explicit(&pipe->head, memory_order_acquire);
    size_t room = pipe->mask + 1 - (tail - head);
    if (len_bytes > room)
        len_bytes = room;
    if (len_bytes == 0)
        return 0;
    copy_in(pipe, tail, data, len_bytes);
    atomic_store_explicit(&pipe->tail, tail + len_bytes, memory_order_release);
    struct actor *reader = atomic_load(&pipe->reader);
    if (reader)
        actor_notify(reader);
    return len_bytes;
}

size_t bytepipe_read(struct bytepipe *pipe, void *data, size_t len_bytes)
{
    size_t head = atomic_load_explicit(&pipe->head, memory_order_relaxed);
    size_t tail = atomic_load_explicit(&pipe->tail, memory_order_acquire);
    if (len_bytes > tail - head)
        len_bytes = tail - head;
    if (len_bytes == 0)
        return 0;
    copy_out(pipe, head, data, len_bytes);
    atomic_store_explicit(&pipe->head, head + len_bytes, memory_order_release);
    return len_bytes;
}

size_t bytepipe_pending(const struct bytepipe *pipe)
{
    return atomic_load_explicit(&pipe->tail, memory_order_acquire) -
           atomic_load_explicit(&pipe->head, memory_order_acquire);
}
