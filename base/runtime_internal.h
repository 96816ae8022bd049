/* Shared by the two runtimes; nobody else includes this. */
#ifndef BASE_RUNTIME_INTERNAL_H
#define BASE_RUNTIME_INTERNAL_H

#include "base/actor.h"
#include "base/list.h"

#include <poll.h>
#include <pthread.h>

#define ACTOR_FDS_MAX 64 /* descriptors one actor may watch, the wake-up descriptor not counted */

struct actor_watch_entry {
    actor_fd_fn *fn;
    void *ctx;
};

/* What a runtime knows of an actor. Slots live until runtime_destroy, so that a late actor_notify from another thread
 * never touches freed memory. */
struct actor_slot {
    struct list link;
    struct runtime *rt;
    struct actor *actor; /* NULL once removed */
    _Atomic int64_t notified_ns; /* when it was notified and has not run since; 0: it was not. Virtual: 1 */

    struct host_ns next; /* virtual: when it wants to run */

    /* real */
    pthread_t thread;
    int wake_fd;
    atomic_bool is_stopping;
    atomic_bool has_realtime, is_locked, has_begun;
    struct histogram wake, step;
    _Atomic uint64_t minor_faults, major_faults;
    struct host_ns faults_at; /* when they are counted next */
    struct actor_options options;
    struct pollfd fds[ACTOR_FDS_MAX + 1]; /* [0] is wake_fd */
    struct actor_watch_entry watches[ACTOR_FDS_MAX + 1];
    unsigned fd_count;
};

struct runtime {
    bool is_virtual;
    struct list slots;
    pthread_mutex_t slots_lock; /* guards `slots` and slot->actor in the real runtime */
    int wake_fd;                /* runtime_stop, and notifications from outside in virtual time */
    atomic_bool is_stopping;

    /* virtual */
    struct rng *rng;
    _Atomic int64_t now_ns;
    _Atomic double speed;
    double anchor_speed;
    struct host_ns anchor_virtual, anchor_wall; /* the instants that correspond, for pacing */
};

void wake_fd_signal(int fd);
void wake_fd_clear(int fd);

void runtime_real_add(struct runtime *rt, struct actor_slot *slot);
void runtime_real_remove(struct actor_slot *slot);
void runtime_real_run(struct runtime *rt, struct host_ns until);
void runtime_virtual_run(struct runtime *rt, struct host_ns until, bool return_when_idle);
/* Is the calling thread inside runtime_virtual_run of `rt`? */
bool runtime_virtual_is_inside(const struct runtime *rt);

#endif
