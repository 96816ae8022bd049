/* Step compression: exact step clocks in, queue_step records (interval, count, add) out, each as long as possible.
 *
 * Rule: step k of a message may happen at any whole tick in [t - min(max_error, (t - prev)/2), t], where t is its exact
 * clock and prev the exact clock of the step before: early by a bounded amount, never late. Derivation of the method:
 * docs/design/compression.md. One direction at a time. Internal to motion/steps; worker thread. */
#ifndef MOTION_STEPS_COMPRESS_H
#define MOTION_STEPS_COMPRESS_H

#include "motion/steps/compress_scan.h"
#include "motion/steps/stepmsg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMPRESS_RUN_MAX  16384 /* steps in one message at most: longer runs are rare, and there is room for one */
#define COMPRESS_RUN_MIN  4096  /* the least there may be room for */
#define COMPRESS_LOOK_MIN 256   /* steps gathered before a message is looked for, unless forced */

struct compress {
    double *clocks; /* pending steps: exact clocks [first, end) of the buffer, all in one direction; the one before
                       `first` is that of the last step sent */
    int first, end, capacity;
    int run_max;      /* steps in one message at most */
    int look_at;      /* do not look for a message before so many steps are pending */
    double base;      /* clock of the last step sent: intervals count from here */
    double max_error; /* [ticks] */
    double *inverse;  /* 1/k for k up to inverse_count: memory is touched only as far as runs get */
    int inverse_count;
    double *low, *high; /* windows of the run from `first`, step k's divided by k */
    int window_count;
    int guess; /* how long the next run may be: a power of two, from the last one */
    const struct scan_kernels *kernels;
};

/* run_max: steps in one message at most [COMPRESS_RUN_MIN, COMPRESS_RUN_MAX], a power of two; memory goes with it. */
void compress_init(struct compress *c, double max_error_ticks, int run_max);
void compress_deinit(struct compress *c);

/* Intervals count from `base` on; nothing pending. */
void compress_reset(struct compress *c, uint64_t base);

/* How many steps can be added before compress_next must be called. */
static inline int compress_room(const struct compress *c)
{
    return c->capacity - (c->end - c->first);
}
static inline int compress_pending(const struct compress *c)
{
    return c->end - c->first;
}

/* Append exact clocks [ticks, whole, strictly rising]. */
void compress_add(struct compress *c, const double *clocks, int count);

/* The next message, if it is known that it cannot grow any more, or in any case if `is_forced`. Fills interval, count,
 * add, clocks. False: nothing to send yet. */
bool compress_next(struct compress *c, bool is_forced, struct stepmsg *msg);

/* Does `msg` put every one of its steps into its window? clocks: their exact clocks, prev: that of the step before.
 * The checker: shares nothing with the search. Returns the number of the first step that is wrong, 0 if none. */
uint32_t compress_check(uint64_t base, const struct stepmsg *msg, const double *clocks, double prev,
                        double max_error_ticks);

/* How far compressed steps lie from their exact clocks, at worst. */
struct compress_deviation {
    uint64_t steps;     /* looked at */
    double late_ticks;  /* behind the exact clock; <= 0: never */
    double early_ticks; /* before it */
    double early_share; /* of half the exact interval to the step before */
};
/* Add the steps of `msg` to `worst`; arguments as for compress_check. */
void compress_measure(uint64_t base, const struct stepmsg *msg, const double *clocks, double prev,
                      struct compress_deviation *worst);

#endif
