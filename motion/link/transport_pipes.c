/* Boards in this process: two byte pipes. */
#include "motion/link/transport.h"

#include "base/bytepipe.h"
#include "base/mem.h"

struct transport_pipes {
    struct transport base; /* first */
    struct bytepipe *tx, *rx;
};

static size_t pipes_read(struct transport *base, uint8_t *data, size_t cap_bytes, struct host_ns now)
{
    (void)now;
    return bytepipe_read(((struct transport_pipes *)base)->rx, data, cap_bytes);
}

static size_t pipes_write(struct transport *base, const uint8_t *data, size_t len_bytes, struct host_ns now)
{
    (void)now;
    return bytepipe_write(((struct transport_pipes *)base)->tx, data, len_bytes);
}

static void pipes_attach(struct transport *base, struct actor *actor)
{
    atomic_store(&((struct transport_pipes *)base)->rx->reader, actor);
}

static void pipes_destroy(struct transport *base)
{
    pipes_attach(base, NULL);
    mem_free(base);
}

static const struct transport_ops pipes_ops = {
    .read = pipes_read,
    .write = pipes_write,
    .attach = pipes_attach,
    .destroy = pipes_destroy,
};

struct transport *transport_pipes_create(struct bytepipe *tx, struct bytepipe *rx)
{
    struct transport_pipes *t = MEM_NEW(struct transport_pipes);
    t->base.ops = &pipes_ops;
    t->tx = tx;
    t->rx = rx;
    return &t->base;
}
