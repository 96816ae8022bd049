/* Actors and the runtimes that drive them.
 *
 * Everything that has a life of its own (machine, motion, link, a simulated board) is an actor: one function that takes
 * what is in its inbox, does what is due, and says when it wants to run next. In production a thread drives each actor
 * by the real clock; in simulation one thread drives all of them by a virtual clock, in an order drawn from a seed, so
 * that the same seed, build and input give the same bytes. Actors exchange plain structs through rings (base/ring.h)
 * and wake each other with actor_notify. */
#ifndef BASE_ACTOR_H
#define BASE_ACTOR_H

#include "base/clock.h"
#include "base/err.h"
#include "base/histogram.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct runtime;
struct actor;

/* One slice of work at time `now`: must not block. Returns when it wants to run next; HOST_NS_NEVER waits for
 * actor_notify (or a watched descriptor). A time not after `now` runs it again at once. */
typedef struct host_ns actor_step_fn(struct actor *self, struct host_ns now);

struct actor {
    const char *name;
    actor_step_fn *step;
    _Atomic(struct actor_slot *) slot; /* the runtime's, set by runtime_add */
};

/* Wake `actor`: its step runs soon, also if it is running just now. Any thread. Before runtime_add and after
 * runtime_remove it does nothing. */
void actor_notify(struct actor *actor);

/* Call `fn` on the actor's thread, before its step, whenever `fd` is ready for `events` (POLLIN, POLLOUT). Real runtime
 * only (CHECK). From the actor's own thread, or before it runs. events 0 forgets the descriptor. */
typedef void actor_fd_fn(void *ctx, int fd, unsigned revents);
void actor_watch(struct actor *actor, int fd, unsigned events, actor_fd_fn *fn, void *ctx);

struct actor_options {
    int fifo_priority;       /* > 0: SCHED_FIFO at this priority where permitted, else as usual */
    int niceness;            /* < 0: before other threads of the computer, where permitted; not with fifo_priority */
    bool is_realtime;        /* prefault stack and code, lock memory where permitted */
    unsigned stack_kib;      /* 0: 256 */
};

/* A runtime in which each actor has a thread and time is the computer's monotonic clock. */
struct runtime *runtime_create_real(void);

/* A runtime in which the thread that calls runtime_run steps all actors under a virtual clock that starts at 1 s.
 * seed  decides the order of actors that are due at the same instant */
struct runtime *runtime_create_virtual(uint64_t seed);
void runtime_destroy(struct runtime *rt); /* all actors must have been removed */
bool runtime_is_virtual(const struct runtime *rt);

/* Begin to drive `actor` (kept until runtime_remove). Real: starts its thread, and the step runs once at once. */
void runtime_add(struct runtime *rt, struct actor *actor, const struct actor_options *options);
/* Stop driving it: waits until its step has returned. From any thread but the actor's own; in a virtual runtime also
 * from the step of another actor. */
void runtime_remove(struct runtime *rt, struct actor *actor);
/* Did the actor get the SCHED_FIFO priority it asked for? */
bool runtime_has_realtime(const struct runtime *rt, const struct actor *actor);

/* How the actor's thread has fared since runtime_add. Any thread. False in a virtual runtime, where nothing is ever late,
 * and while the thread has not begun. */
struct actor_stats {
    struct histogram_view wake; /* from the instant it asked for, or was notified, to the beginning of its step */
    struct histogram_view step; /* how long a step took */
    bool has_fifo;              /* got the priority it asked for */
    bool is_locked;             /* memory stays resident; only with is_realtime */
    uint64_t minor_faults, major_faults; /* page faults of this thread, counted up to 0.1 s ago; only with is_realtime */
};
bool runtime_actor_stats(const struct runtime *rt, const struct actor *actor, struct actor_stats *out);

struct host_ns runtime_now(const struct runtime *rt); /* any thread */

/* Virtual: how fast virtual time may pass. 0 = as fast as it can, 1 = like the wall clock. Any thread. Starts at 0. */
void runtime_set_speed(struct runtime *rt, double speed);

/* Virtual: step actors until runtime_stop, or until `until` (HOST_NS_NEVER: no end), or until nothing will ever
 * happen again and nobody outside could notify (speed 0 and `return_when_idle`). Real: sleeps until runtime_stop. */
void runtime_run(struct runtime *rt, struct host_ns until, bool return_when_idle);
void runtime_stop(struct runtime *rt); /* any thread, also a signal handler */

#endif
