/* Damage on purpose, from a seed: blocks are lost, corrupted, cut, doubled, delayed, and replies change places. */
#include "motion/link/transport.h"

#include "base/mem.h"
#include "base/rng.h"
#include "firmware/proto/frame.h"

#include <string.h>

#define FAULTS_QUEUE 512 /* blocks under way per direction; more than a window can hold */

struct fault_block {
    struct host_ns due;
    uint8_t len_bytes;
    uint8_t data[FRAME_MAX_BYTES];
};

/* One direction: bytes are split into blocks, which wait until they are due. */
struct fault_path {
    double loss, corrupt, cut, duplicate, reorder;
    struct fault_block queue[FAULTS_QUEUE];
    size_t count;
    uint8_t partial[FRAME_MAX_BYTES];
    size_t partial_bytes;
    size_t front_used; /* bytes of the first block already handed on */
};

struct transport_wrapped {
    struct transport base; /* first */
    struct transport *inner;
    struct rng rng;
    double delay_max_s;
    uint64_t *injected;
    struct fault_path tx, rx;
};

static bool draw(struct transport_wrapped *t, double probability)
{
    bool hit = probability > 0. && rng_unit(&t->rng) < probability;
    *t->injected += hit;
    return hit;
}

static void insert(struct transport_wrapped *t, struct fault_path *path, const uint8_t *data, size_t len_bytes,
                   struct host_ns now)
{
    if (path->count == FAULTS_QUEUE || len_bytes == 0)
        return;
    struct host_ns due = t->delay_max_s > 0. ? host_ns_add_s(now, rng_range(&t->rng, 0., t->delay_max_s)) : now;
    size_t at = path->count;
    if (path->count > 0 && draw(t, path->reorder) && !(path->count == 1 && path->front_used)) {
        at--; /* overtakes the one before it */
        due = path->queue[at].due;
    } else if (path->count > 0 && host_ns_before(due, path->queue[at - 1].due)) {
        due = path->queue[at - 1].due;
    }
    memmove(&path->queue[at + 1], &path->queue[at], (path->count - at) * sizeof(path->queue[0]));
    path->queue[at].due = due;
    path->queue[at].len_bytes = (uint8_t)len_bytes;
    memcpy(path->queue[at].data, data, len_bytes);
    path->count++;
}

static void damage(struct transport_wrapped *t, struct fault_path *path, const uint8_t *block, size_t len_bytes,
                   struct host_ns now)
{
    uint8_t data[FRAME_MAX_BYTES];
    memcpy(data, block, len_bytes);
    if (draw(t, path->loss))
        return;
    if (draw(t, path->duplicate))
        insert(t, path, data, len_bytes, now);
    if (draw(t, path->corrupt))
        data[rng_below(&t->rng, len_bytes)] ^= (uint8_t)(1 + rng_below(&t->rng, 255));
    if (draw(t, path->cut))
        len_bytes = rng_below(&t->rng, len_bytes);
    insert(t, path, data, len_bytes, now);
}

/* Split a stream into blocks; bytes that start none go through one by one. */
static void split(struct transport_wrapped *t, struct fault_path *path, const uint8_t *data, size_t len_bytes,
                  struct host_ns now)
{
    for (size_t i = 0; i < len_bytes; i++) {
        path->partial[path->partial_bytes++] = data[i];
        size_t want = path->partial[0];
        if (want < FRAME_MIN_BYTES || want > FRAME_MAX_BYTES)
            want = 1;
        if (path->partial_bytes < want)
            continue;
        if (want == 1)
            insert(t, path, path->partial, 1, now);
        else
            damage(t, path, path->partial, want, now);
        path->partial_bytes = 0;
    }
}

static void drop_front(struct fault_path *path)
{
    path->count--;
    path->front_used = 0;
    memmove(&path->queue[0], &path->queue[1], path->count * sizeof(path->queue[0]));
}

/* Hand on what is due; false if the inner transport has closed. */
static bool pump_tx(struct transport_wrapped *t, struct host_ns now)
{
    struct fault_path *path = &t->tx;
    while (path->count > 0 && !host_ns_before(now, path->queue[0].due)) {
        size_t left = path->queue[0].len_bytes - path->front_used;
        size_t n = t->inner->ops->write(t->inner, path->queue[0].data + path->front_used, left, now);
        if (n == TRANSPORT_CLOSED)
            return false;
        path->front_used += n;
        if (n < left)
            break;
        drop_front(path);
    }
    return true;
}

static size_t wrapped_write(struct transport *base, const uint8_t *data, size_t len_bytes, struct host_ns now)
{
    struct transport_wrapped *t = (struct transport_wrapped *)base;
    split(t, &t->tx, data, len_bytes, now);
    return pump_tx(t, now) ? len_bytes : TRANSPORT_CLOSED;
}

static size_t wrapped_read(struct transport *base, uint8_t *data, size_t cap_bytes, struct host_ns now)
{
    struct transport_wrapped *t = (struct transport_wrapped *)base;
    struct fault_path *path = &t->rx;
    uint8_t raw[256];
    if (!pump_tx(t, now))
        return TRANSPORT_CLOSED;
    size_t n = t->inner->ops->read(t->inner, raw, sizeof(raw), now);
    if (n == TRANSPORT_CLOSED)
        return n;
    split(t, path, raw, n, now);
    size_t used = 0;
    while (path->count > 0 && !host_ns_before(now, path->queue[0].due) && used < cap_bytes) {
        size_t left = path->queue[0].len_bytes - path->front_used;
        size_t take = left < cap_bytes - used ? left : cap_bytes - used;
        memcpy(data + used, path->queue[0].data + path->front_used, take);
        used += take;
        path->front_used += take;
        if (take == left)
            drop_front(path);
    }
    return used;
}

static struct host_ns wrapped_next(const struct transport *base)
{
    const struct transport_wrapped *t = (const struct transport_wrapped *)base;
    struct host_ns next = HOST_NS_NEVER;
    if (t->tx.count > 0)
        next = t->tx.queue[0].due;
    if (t->rx.count > 0)
        next = host_ns_min(next, t->rx.queue[0].due);
    return next;
}

static void wrapped_flush(struct transport *base)
{
    struct transport_wrapped *t = (struct transport_wrapped *)base;
    if (t->inner->ops->flush)
        t->inner->ops->flush(t->inner);
}

static void wrapped_attach(struct transport *base, struct actor *actor)
{
    struct transport_wrapped *t = (struct transport_wrapped *)base;
    t->inner->ops->attach(t->inner, actor);
}

static void wrapped_destroy(struct transport *base)
{
    transport_destroy(((struct transport_wrapped *)base)->inner);
    mem_free(base);
}

static const struct transport_ops wrapped_ops = {
    .read = wrapped_read,
    .write = wrapped_write,
    .flush = wrapped_flush,
    .attach = wrapped_attach,
    .next = wrapped_next,
    .destroy = wrapped_destroy,
};

struct transport *transport_faults_create(struct transport *take_inner, const struct transport_faults *faults,
                                          uint64_t *injected)
{
    struct transport_wrapped *t = MEM_NEW(struct transport_wrapped);
    t->base.ops = &wrapped_ops;
    t->inner = take_inner;
    t->delay_max_s = faults->delay_max_s;
    t->injected = injected;
    rng_init(&t->rng, faults->seed);
    t->tx.loss = faults->tx_loss;
    t->tx.corrupt = faults->tx_corrupt;
    t->tx.cut = faults->tx_cut;
    t->tx.duplicate = faults->tx_duplicate;
    t->rx.loss = faults->rx_loss;
    t->rx.corrupt = faults->rx_corrupt;
    t->rx.cut = faults->rx_cut;
    t->rx.duplicate = faults->rx_duplicate;
    t->rx.reorder = faults->rx_reorder;
    return &t->base;
}
