/* A small value that one thread writes and any thread reads whole, without locks: a sequence lock over atomic words
 * (Boehm 2012). The reader tries again while a write is under way. */
#ifndef MOTION_LINK_PUBLISHED_H
#define MOTION_LINK_PUBLISHED_H

#include "base/check.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PUBLISHED_WORDS_MAX 24

struct published {
    _Atomic uint32_t sequence; /* odd while a write is under way */
    _Atomic uint64_t word[PUBLISHED_WORDS_MAX];
};

/* `size_bytes` of a plain struct; the same size on both sides. */
static inline void published_write(struct published *p, const void *value, size_t size_bytes)
{
    uint64_t words[PUBLISHED_WORDS_MAX] = {0};
    CHECK(size_bytes <= sizeof(words));
    memcpy(words, value, size_bytes);
    uint32_t sequence = atomic_load_explicit(&p->sequence, memory_order_relaxed);
    atomic_store_explicit(&p->sequence, sequence + 1, memory_order_relaxed);
    for (size_t i = 0; i < (size_bytes + 7) / 8; i++)
        atomic_store_explicit(&p->word[i], words[i], memory_order_release);
    atomic_store_explicit(&p->sequence, sequence + 2, memory_order_release);
}

static inline void published_read(const struct published *p, void *value, size_t size_bytes)
{
    uint64_t words[PUBLISHED_WORDS_MAX];
    uint32_t before, after;
    do {
        before = atomic_load_explicit(&p->sequence, memory_order_acquire);
        for (size_t i = 0; i < (size_bytes + 7) / 8; i++)
            words[i] = atomic_load_explicit(&p->word[i], memory_order_acquire);
        after = atomic_load_explicit(&p->sequence, memory_order_relaxed);
    } while (before != after || (before & 1));
    memcpy(value, words, size_bytes);
}

#endif
