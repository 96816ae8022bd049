/* The simulation's runtime: one thread steps every actor under a virtual clock.
 *
 * A round steps all actors that are notified or due, in an order drawn from the seed; when nobody is, time jumps to the
 * next instant anybody asked for. With a speed > 0 the jump waits for the wall clock, and a notification from another
 * thread (a web request) ends the wait at the instant that corresponds to the wall clock then. */
#include "base/runtime_internal.h"

#include "base/check.h"
#include "base/rng.h"

#include <time.h>

#define ACTORS_MAX           256
#define ROUNDS_PER_INSTANT   10000000  /* more at one instant can only be an actor that never lets time pass */
#define CATCH_UP_MAX_NS      NS_PER_S  /* further behind the wall clock than this: let it go */

static _Thread_local const struct runtime *inside_runtime;

bool runtime_virtual_is_inside(const struct runtime *rt)
{
    return inside_runtime == rt;
}

static unsigned collect_due(struct runtime *rt, struct host_ns now, struct actor_slot **due)
{
    unsigned count = 0;
    pthread_mutex_lock(&rt->slots_lock);
    LIST_FOREACH(node, &rt->slots) {
        struct actor_slot *slot = CONTAINER_OF(node, struct actor_slot, link);
        if (slot->actor && (atomic_load(&slot->notified_ns) != 0 || slot->next.ns <= now.ns)) {
            CHECK(count < ACTORS_MAX);
            due[count++] = slot;
        }
    }
    pthread_mutex_unlock(&rt->slots_lock);
    return count;
}

static bool step_round(struct runtime *rt)
{
    struct actor_slot *due[ACTORS_MAX];
    struct host_ns now = runtime_now(rt);
    unsigned count = collect_due(rt, now, due);
    for (unsigned i = 0; i < count; i++) {
        if (count - i > 1) {
            unsigned pick = i + (unsigned)rng_below(rt->rng, count - i);
            struct actor_slot *other = due[pick];
            due[pick] = due[i];
            due[i] = other;
        }
        struct actor_slot *slot = due[i];
        struct actor *actor = slot->actor; /* an earlier step of this round may have removed it */
        if (!actor)
            continue;
        atomic_store(&slot->notified_ns, 0);
        slot->next = actor->step(actor, now);
    }
    return count > 0;
}

static struct host_ns next_instant(struct runtime *rt)
{
    struct host_ns next = HOST_NS_NEVER;
    pthread_mutex_lock(&rt->slots_lock);
    LIST_FOREACH(node, &rt->slots) {
        struct actor_slot *slot = CONTAINER_OF(node, struct actor_slot, link);
        if (slot->actor)
            next = host_ns_min(next, slot->next);
    }
    pthread_mutex_unlock(&rt->slots_lock);
    return next;
}

static void wait_wake(struct runtime *rt, int64_t wait_ns)
{
    struct pollfd fd = {.fd = rt->wake_fd, .events = POLLIN};
    struct timespec ts = {.tv_sec = wait_ns / NS_PER_S, .tv_nsec = wait_ns % NS_PER_S};
    if (ppoll(&fd, 1, wait_ns == INT64_MAX ? NULL : &ts, NULL) > 0)
        wake_fd_clear(rt->wake_fd);
}

/* Let virtual time pass towards `next`. Free running jumps there; paced running waits first and, if woken early, stops
 * at the instant the wall clock has reached. */
static void advance(struct runtime *rt, struct host_ns next)
{
    struct host_ns now = runtime_now(rt);
    double speed = atomic_load(&rt->speed);
    if (speed != rt->anchor_speed) {
        rt->anchor_speed = speed;
        rt->anchor_virtual = now;
        rt->anchor_wall = clock_monotonic();
    }
    if (speed <= 0.0) {
        if (next.ns == HOST_NS_NEVER.ns)
            wait_wake(rt, INT64_MAX);
        else
            atomic_store(&rt->now_ns, next.ns);
        return;
    }
    int64_t wall = clock_monotonic().ns;
    int64_t wait_ns = INT64_MAX;
    if (next.ns != HOST_NS_NEVER.ns)
        wait_ns = rt->anchor_wall.ns + (int64_t)((double)(next.ns - rt->anchor_virtual.ns) / speed) - wall;
    if (wait_ns > 0) {
        wait_wake(rt, wait_ns);
        wall = clock_monotonic().ns;
    } else if (wait_ns < -CATCH_UP_MAX_NS) {
        rt->anchor_virtual = next;
        rt->anchor_wall = (struct host_ns){wall};
    }
    int64_t reached = rt->anchor_virtual.ns + (int64_t)((double)(wall - rt->anchor_wall.ns) * speed);
    if (reached > next.ns)
        reached = next.ns;
    if (reached > now.ns)
        atomic_store(&rt->now_ns, reached);
}

void runtime_virtual_run(struct runtime *rt, struct host_ns until, bool return_when_idle)
{
    CHECK(inside_runtime == NULL);
    inside_runtime = rt;
    rt->anchor_virtual = runtime_now(rt);
    rt->anchor_wall = clock_monotonic();
    unsigned rounds = 0;
    while (!atomic_load(&rt->is_stopping)) {
        if (step_round(rt)) {
            CHECK(++rounds < ROUNDS_PER_INSTANT);
            continue;
        }
        struct host_ns next = next_instant(rt), now = runtime_now(rt);
        if (now.ns >= until.ns)
            break;
        if (next.ns == HOST_NS_NEVER.ns && until.ns == HOST_NS_NEVER.ns && return_when_idle)
            break;
        advance(rt, host_ns_min(next, until));
        rounds = 0;
    }
    atomic_store(&rt->is_stopping, false);
    inside_runtime = NULL;
}
