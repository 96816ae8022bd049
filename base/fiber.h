/* Fibers: code that waits, written top to bottom, on the thread of one actor.
 *
 * A pool owns a fixed number of stacks (64 KiB each, a guard page below). The actor's step calls fiber_pool_run, which
 * resumes every fiber that is ready; a fiber runs until it waits or returns. Every wait can be cancelled: it then
 * returns ERR_CANCELLED at once and goes on doing so until fiber_clear_cancel. */
#ifndef BASE_FIBER_H
#define BASE_FIBER_H

#include "base/clock.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define FIBER_STACK_BYTES (64 * 1024)
#define FIBER_COUNT_MAX 32

struct fiber;
struct fiber_pool;

typedef void fiber_fn(void *arg);

struct fiber_pool *fiber_pool_create(size_t count);
void fiber_pool_destroy(struct fiber_pool *pool); /* no fiber may be alive */

/* Start `fn(arg)` in a fiber of its own at the next fiber_pool_run. NULL: all stacks are in use. `name` is kept. */
struct fiber *fiber_spawn(struct fiber_pool *pool, const char *name, fiber_fn *fn, void *arg);

/* Run whatever is ready at `now`; returns when the next sleeping fiber is due (HOST_NS_NEVER: none). */
struct host_ns fiber_pool_run(struct fiber_pool *pool, struct host_ns now);
size_t fiber_pool_alive(const struct fiber_pool *pool);
/* Cancel every fiber that is alive. From outside of them or inside one. */
void fiber_pool_cancel_all(struct fiber_pool *pool);

/* --- from inside a fiber --- */
struct fiber *fiber_current(void); /* NULL outside of a fiber */
struct host_ns fiber_now(void);    /* the `now` of the run in progress */
/* Wait until fiber_wake, or until `deadline` (ERR_TIMEOUT), or a cancel (ERR_CANCELLED). */
enum err fiber_park(struct host_ns deadline) ERR_NODISCARD;
/* Wait `seconds`; OK or ERR_CANCELLED. */
enum err fiber_sleep(double seconds) ERR_NODISCARD;
void fiber_yield(void); /* let the others run; not a cancellation point */

/* --- from anywhere on the pool's thread --- */
void fiber_wake(struct fiber *fiber);         /* a wake before the park is remembered once */
void fiber_cancel(struct fiber *fiber);
bool fiber_is_cancelled(const struct fiber *fiber);
void fiber_clear_cancel(struct fiber *fiber);
const char *fiber_name(const struct fiber *fiber);

#endif
