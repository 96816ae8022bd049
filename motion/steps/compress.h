/* Step compression: exact step clocks in, queue_step records (interval, count, add) out, each as long as possible.
 *
 * Rule: step k of a message may happen at any whole tick in [t - min(max_error, (t - prev)/2), t], where t is its exact
 * clock and prev the exact clock of the step before: early by a bounded amount, never late. Derivation of the method:
 * docs/design/compression.md. One direction at a time. Internal to motion/steps; worker thread. */
#ifndef MOTION_STEPS_COMPRESS_H
#define MOTION_STEPS_COMPRESS_H

#include "motion/steps/stepmsg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMPRESS_RUN_MAX 8192 /* steps in one message at most */

struct hull_point {
    double x, y;
};

/* One end (lower or upper) of the windows seen so far, as a chain on which tangents are found. */
struct hull {
    struct hull_point *points;
    int begin, end;
};

/* A whole number `add` still possible, with the intervals that go with it. */
struct add_choice {
    double add, interval_min, interval_max;
};
#define ADD_CHOICES_MAX 4

struct compress {
    /* pending steps: exact clocks [first, end) of the buffer, all in direction `dir` */
    double *clocks;
    int first, end, capacity;
    double base;      /* clock of the last step sent: intervals count from here */
    double prev;      /* exact clock of the last step sent */
    double max_error; /* [ticks] */
    /* the run that begins at `first` */
    int seen;         /* steps of it that were looked at and fit */
    bool is_closed;   /* the next step does not fit */
    bool is_counting; /* few values of add are left: they are tracked one by one */
    double slope_min, slope_max;            /* of lines through all windows; whole numbers near them are adds */
    struct hull_point through_min, through_max; /* a point of each of those lines */
    struct hull low, high;
    double *slopes;   /* slope_min, slope_max after each step of the run (slope phase only) */
    struct add_choice choices[ADD_CHOICES_MAX];
    int choice_count;
};

void compress_init(struct compress *c, double max_error_ticks);
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

/* Does `msg` put every one of its steps into its window? clocks[-1] must be the exact clock of the step before.
 * The checker: shares nothing with the search. Returns the number of the first step that is wrong, 0 if none. */
uint32_t compress_check(uint64_t base, const struct stepmsg *msg, const double *clocks, double prev,
                        double max_error_ticks);

#endif
