/* A one-way stream of bytes between two actors of one process: how a simulated board is wired to the host. */
#ifndef BASE_BYTEPIPE_H
#define BASE_BYTEPIPE_H

#include <stdatomic.h>
#include <stddef.h>

struct actor;

struct bytepipe {
    unsigned char *data;
    size_t mask;
    _Alignas(64) atomic_size_t head;
    _Alignas(64) atomic_size_t tail;
    _Atomic(struct actor *) reader; /* notified after a write; may be NULL */
};

void bytepipe_init(struct bytepipe *pipe, size_t capacity_bytes); /* rounded up to a power of two */
void bytepipe_deinit(struct bytepipe *pipe);
/* Write as much as fits; returns the number of bytes taken. One writer thread. */
size_t bytepipe_write(struct bytepipe *pipe, const void *data, size_t len_bytes);
/* Read up to `len_bytes`; returns how many. One reader thread. */
size_t bytepipe_read(struct bytepipe *pipe, void *data, size_t len_bytes);
size_t bytepipe_pending(const struct bytepipe *pipe);

#endif
