/* Slow work - a disk that takes its time, a long sum - on a thread of its own, one piece after the
 * other in the order in which they were given.
 *
 * Nobody waits for a lock here: giving work is a push into a ring. */
#ifndef BASE_WORKER_H
#define BASE_WORKER_H

#include "base/actor.h"
#include "base/err.h"
#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>

struct worker;

typedef void worker_fn(void *arg);

/* name       kept; of the thread
 * queue_max  pieces that may wait
 * stack_kib  0: 256
 * niceness   of the thread: above 0 everything else of ours goes first */
struct worker *worker_create(const char *name, size_t queue_max, unsigned stack_kib, int niceness);
/* Do what is still queued, then end the thread; from then on worker_post refuses. Once only; not from the worker. */
void worker_stop(struct worker *worker);
void worker_destroy(struct worker *worker); /* stops it first, if need be. NULL allowed */
/* Run fn(arg) there. False: the queue is full or the worker is being destroyed. Any thread. */
bool worker_post(struct worker *worker, worker_fn *fn, void *arg);

/* ---- for fibers: the mailbox of an actor's thread ---- */

/* Calls from the fibers of one actor. Without a worker (simulation, batch) they run at once, on the caller's thread: in
 * virtual time a disk takes no time, so the order of everything stays the same whatever the disk does. */
struct worker_calls {
    struct worker *worker; /* NULL: run at once */
    struct actor *owner;   /* notified when one has ended */
    struct list open;      /* struct worker_call, not ended when last looked */
};
void worker_calls_init(struct worker_calls *calls, struct worker *worker, struct actor *owner);
/* Calls still under way end by themselves and are forgotten. The actor and the worker must outlive them. */
void worker_calls_deinit(struct worker_calls *calls);
/* Wake the fibers whose calls have ended. From the owner's step. */
void worker_calls_poll(struct worker_calls *calls);

/* What is to be done; the first member of a struct from mem_alloc (zeroed). The caller and the worker each have a share
 * in it, and the last one frees it: a fiber that is cancelled leaves, and the work ends by itself. */
struct worker_job {
    /* On the worker: may block; touches nothing but its own struct. What fails is told in `info`. */
    enum err (*run)(struct worker_job *job, struct err_info *info);
    /* Lets go of what the struct holds, before it is freed; on either thread. NULL: nothing. */
    void (*release)(struct worker_job *job);
    enum err result; /* once it is done */
    struct err_info info;
    /* private */
    struct list node;
    struct worker_calls *calls; /* NULL: not in a list */
    struct actor *owner;
    struct fiber *fiber; /* that waits */
    _Atomic int shares;
    atomic_bool is_done;
};

/* Begin; false: the worker is overloaded and nothing was done. Owner's thread. */
bool worker_start(struct worker_calls *calls, struct worker_job *job) ERR_NODISCARD;
bool worker_is_done(const struct worker_job *job);
/* Wait until a job that was started is done; OK or ERR_CANCELLED. [fiber], one per job */
enum err worker_wait(struct worker_job *job) ERR_NODISCARD;
/* Give back the caller's share, in every case, started or not. Owner's thread; NULL allowed. */
void worker_release(struct worker_job *job);

/* Start, wait, and the result: the job's, ERR_CANCELLED (the work ends by itself) or ERR_FULL, with words. [fiber]. The
 * caller still has its share. */
enum err worker_call(struct worker_calls *calls, struct worker_job *job, struct err_info *info) ERR_NODISCARD;

#endif
