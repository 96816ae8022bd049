#include "base/histogram.h"

static unsigned bucket_of(uint32_t us)
{
    const unsigned bucket = us == 0 ? 0 : 32u - (unsigned)__builtin_clz(us);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static void add_one(_Atomic uint32_t *count)
{
    const uint32_t n = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, n + 1, memory_order_relaxed); /* one writer: no locked instruction needed */
}

void histogram_add(struct histogram *h, double us)
{
    const uint32_t v = !(us > 0.0) ? 0 : us >= (double)UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    const uint32_t is_used = atomic_load_explicit(&h->is_used, memory_order_relaxed);
    if (!is_used || v < atomic_load_explicit(&h->min_us, memory_order_relaxed))
        atomic_store_explicit(&h->min_us, v, memory_order_relaxed);
    if (!is_used || v > atomic_load_explicit(&h->max_us, memory_order_relaxed))
        atomic_store_explicit(&h->max_us, v, memory_order_relaxed);
    if (!is_used)
        atomic_store_explicit(&h->is_used, 1, memory_order_relaxed);
    add_one(&h->bucket[bucket_of(v)]);
}

void histogram_read(const struct histogram *h, struct histogram_view *out)
{
    *out = (struct histogram_view){0};
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        out->bucket[i] = atomic_load_explicit(&h->bucket[i], memory_order_relaxed);
        out->count += out->bucket[i];
    }
    if (out->count == 0)
        return;
    out->min_us = atomic_load_explicit(&h->min_us, memory_order_relaxed);
    out->max_us = atomic_load_explicit(&h->max_us, memory_order_relaxed);
}

uint32_t histogram_quantile_us(const struct histogram_view *view, double q)
{
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += view->bucket[i];
        if (view->count == 0 || (double)seen < q * (double)view->count)
            continue;
        const uint32_t end = i == HISTOGRAM_BUCKETS - 1 ? UINT32_MAX : (1u << i) - (i > 0 ? 1u : 0u);
        return end < view->max_us ? end : view->max_us;
    }
    return view->max_us;
}
