#include "base/actor.h"
#include "base/runtime_internal.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define VIRTUAL_START_NS NS_PER_S

void wake_fd_signal(int fd)
{
    uint64_t one = 1;
    ssize_t n;
    do
        n = write(fd, &one, sizeof one);
    while (n < 0 && errno == EINTR);
}

void wake_fd_clear(int fd)
{
    uint64_t count;
    ssize_t n;
    do
        n = read(fd, &count, sizeof count);
    while (n < 0 && errno == EINTR);
}

static struct runtime *create(bool is_virtual)
{
    struct runtime *rt = MEM_NEW(struct runtime);
    rt->is_virtual = is_virtual;
    list_init(&rt->slots);
    CHECK(pthread_mutex_init(&rt->slots_lock, NULL) == 0);
    rt->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(rt->wake_fd >= 0);
    return rt;
}

struct runtime *runtime_create_real(void)
{
    return create(false);
}

struct runtime *runtime_create_virtual(uint64_t seed)
{
    struct runtime *rt = create(true);
    rt->rng = MEM_NEW(struct rng);
    rng_init(rt->rng, seed);
    atomic_store(&rt->now_ns, VIRTUAL_START_NS);
    rt->anchor_virtual = (struct host_ns){VIRTUAL_START_NS};
    rt->anchor_wall = clock_monotonic();
    return rt;
}

void runtime_destroy(struct runtime *rt)
{
    if (!rt)
        return;
    LIST_FOREACH_SAFE(node, tmp, &rt->slots) {
        struct actor_slot *slot = CONTAINER_OF(node, struct actor_slot, link);
        CHECK(slot->actor == NULL);
        if (slot->wake_fd >= 0)
            close(slot->wake_fd);
        mem_free(slot);
    }
    close(rt->wake_fd);
    pthread_mutex_destroy(&rt->slots_lock);
    mem_free(rt->rng);
    mem_free(rt);
}

bool runtime_is_virtual(const struct runtime *rt)
{
    return rt->is_virtual;
}

void runtime_add(struct runtime *rt, struct actor *actor, const struct actor_options *options)
{
    CHECK(atomic_load(&actor->slot) == NULL);
    struct actor_slot *slot = MEM_NEW(struct actor_slot);
    slot->rt = rt;
    slot->actor = actor;
    slot->wake_fd = -1;
    slot->options = options ? *options : (struct actor_options){0};
    slot->next = runtime_now(rt);
    pthread_mutex_lock(&rt->slots_lock);
    list_append(&rt->slots, &slot->link);
    pthread_mutex_unlock(&rt->slots_lock);
    if (!rt->is_virtual) {
        slot->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        CHECK(slot->wake_fd >= 0);
        slot->fds[0] = (struct pollfd){.fd = slot->wake_fd, .events = POLLIN};
        slot->fd_count = 1;
    }
    atomic_store(&actor->slot, slot);
    if (rt->is_virtual) {
        if (!runtime_virtual_is_inside(rt))
            wake_fd_signal(rt->wake_fd);
    } else {
        runtime_real_add(rt, slot);
    }
}

void runtime_remove(struct runtime *rt, struct actor *actor)
{
    struct actor_slot *slot = atomic_load(&actor->slot);
    CHECK(slot != NULL && slot->rt == rt);
    if (!rt->is_virtual)
        runtime_real_remove(slot); /* first: the step that is under way may still watch descriptors */
    atomic_store(&actor->slot, NULL);
    pthread_mutex_lock(&rt->slots_lock);
    slot->actor = NULL;
    pthread_mutex_unlock(&rt->slots_lock);
}

bool runtime_has_realtime(const struct runtime *rt, const struct actor *actor)
{
    const struct actor_slot *slot = atomic_load(&((struct actor *)actor)->slot);
    return slot && slot->rt == rt && atomic_load(&slot->has_realtime);
}

bool runtime_actor_stats(const struct runtime *rt, const struct actor *actor, struct actor_stats *out)
{
    const struct actor_slot *slot = atomic_load(&((struct actor *)actor)->slot);
    if (rt->is_virtual || !slot || slot->rt != rt || !atomic_load(&slot->has_begun))
        return false;
    histogram_read(&slot->wake, &out->wake);
    histogram_read(&slot->step, &out->step);
    out->has_fifo = atomic_load(&slot->has_realtime);
    out->is_locked = atomic_load(&slot->is_locked);
    out->minor_faults = atomic_load(&slot->minor_faults);
    out->major_faults = atomic_load(&slot->major_faults);
    return true;
}

struct host_ns runtime_now(const struct runtime *rt)
{
    return rt->is_virtual ? (struct host_ns){atomic_load(&rt->now_ns)} : clock_monotonic();
}

void runtime_set_speed(struct runtime *rt, double speed)
{
    CHECK(speed >= 0.0);
    atomic_store(&rt->speed, speed);
    if (rt->is_virtual && !runtime_virtual_is_inside(rt))
        wake_fd_signal(rt->wake_fd);
}

void runtime_run(struct runtime *rt, struct host_ns until, bool return_when_idle)
{
    if (rt->is_virtual)
        runtime_virtual_run(rt, until, return_when_idle);
    else
        runtime_real_run(rt, until);
}

void runtime_stop(struct runtime *rt)
{
    atomic_store(&rt->is_stopping, true);
    wake_fd_signal(rt->wake_fd);
}

void actor_notify(struct actor *actor)
{
    struct actor_slot *slot = atomic_load(&actor->slot);
    if (!slot)
        return;
    /* What the caller has put into a ring must be visible before it is seen here that the actor will look anyway. Adding
     * nothing does it: it comes before the actor's exchange, which then sees the ring, or behind it, and finds 0. (A fence
     * and a load would do as well, but ThreadSanitizer knows no fences.) */
    int64_t none = 0;
    if (atomic_fetch_add(&slot->notified_ns, 0) != 0 ||
        !atomic_compare_exchange_strong(&slot->notified_ns, &none, slot->rt->is_virtual ? 1 : clock_monotonic().ns))
        return;
    if (!slot->rt->is_virtual)
        wake_fd_signal(slot->wake_fd);
    else if (!runtime_virtual_is_inside(slot->rt))
        wake_fd_signal(slot->rt->wake_fd);
}

void actor_watch(struct actor *actor, int fd, unsigned events, actor_fd_fn *fn, void *ctx)
{
    struct actor_slot *slot = atomic_load(&actor->slot);
    CHECK(slot != NULL && !slot->rt->is_virtual);
    unsigned i = 1;
    while (i < slot->fd_count && slot->fds[i].fd != fd)
        i++;
    if (events == 0) {
        if (i < slot->fd_count) {
            slot->fd_count--;
            slot->fds[i] = slot->fds[slot->fd_count];
            slot->watches[i] = slot->watches[slot->fd_count];
        }
        return;
    }
    CHECK(i <= ACTOR_FDS_MAX);
    if (i == slot->fd_count)
        slot->fd_count++;
    slot->fds[i] = (struct pollfd){.fd = fd, .events = (short)events};
    slot->watches[i] = (struct actor_watch_entry){fn, ctx};
}
