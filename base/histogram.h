/* How long things took, or how late they were: counts in buckets of powers of two. One thread adds, any thread reads;
 * a reader may see an addition in part (a bucket without the maximum), which matters to nobody. Adding takes no lock, no
 * memory and a few nanoseconds, so real-time threads use it.
 *   bucket 0: below 1 us    bucket i: [2^(i-1), 2^i) us    the last: everything beyond */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_BUCKETS 24 /* the last begins at 4.2 s */

struct histogram {
    _Atomic uint32_t bucket[HISTOGRAM_BUCKETS];
    _Atomic uint32_t min_us, max_us; /* meaningless while empty */
    _Atomic uint32_t is_used;
};

struct histogram_view {
    uint32_t bucket[HISTOGRAM_BUCKETS];
    uint64_t count;
    uint32_t min_us, max_us; /* 0 while empty */
};

/* `us` below 0 counts as 0, beyond 2^32 as that. The owner's thread. */
void histogram_add(struct histogram *h, double us);
void histogram_read(const struct histogram *h, struct histogram_view *out); /* any thread */

/* The value [us] that a share `q` [0, 1] of all additions do not exceed: the upper end of the bucket in which it lies, at
 * most the maximum. 0 while empty. */
uint32_t histogram_quantile_us(const struct histogram_view *view, double q);

#endif
