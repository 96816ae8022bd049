/* Lookahead: moves wait here until what follows them can no longer change their speed.
 *
 * One ring of moves in three parts:  [held: planned, not yet executed]  [waiting: speeds still open]
 * add appends to `waiting`; flush releases from it: the released moves get their trapezoid and stay as `held` (with
 * their print time, set by the caller) until lookahead_retire, so that a plan can be cut at a time and the rest
 * replayed. One thread (motion). No allocation after init. Rules: docs/design/lookahead.md. */
#ifndef MOTION_PLAN_LOOKAHEAD_H
#define MOTION_PLAN_LOOKAHEAD_H

#include "base/err.h"
#include "motion/plan/move.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOOKAHEAD_BUDGET_PRIME_S 1.0   /* budget after (re)start: how much motion gathers before the first flush */
#define LOOKAHEAD_BUDGET_S       0.150 /* afterwards */

struct lookahead {
    struct move *moves;
    uint64_t mask;
    uint64_t held_begin;    /* oldest move kept */
    uint64_t waiting_begin; /* oldest move whose speeds are open */
    uint64_t end;
    double budget_s; /* <= 0: a lazy flush is due */
    struct lookahead_plan *scratch;
    double *bound_v2;       /* of lookahead_replan */
    double entry_v2;       /* squared speed at which the first waiting move starts */
    double prev_cruise_v2; /* of the move before `waiting` after lookahead_force; else 0 */
};

void lookahead_init(struct lookahead *la, size_t capacity);
void lookahead_deinit(struct lookahead *la);

static inline struct move *lookahead_at(const struct lookahead *la, uint64_t index)
{
    return &la->moves[index & la->mask];
}
static inline size_t lookahead_waiting(const struct lookahead *la)
{
    return (size_t)(la->end - la->waiting_begin);
}
static inline size_t lookahead_room(const struct lookahead *la)
{
    return (size_t)(la->mask + 1 - (la->end - la->held_begin));
}

/* Start anew after standstill: budget_s := `budget_s`. */
void lookahead_prime(struct lookahead *la, double budget_s);

/* Copy a limited move in behind the others and join it to the one before. Returns true when a lazy flush is due (the
 * first move of an empty queue is not charged). CHECKs lookahead_room > 0: when it is 0, flush and retire first;
 * if even a lazy flush releases nothing use lookahead_force. */
bool lookahead_add(struct lookahead *la, const struct move *m);

/* Give the moves at the head of `waiting` their final speeds. `lazy`: only those that nothing added later can change;
 * otherwise all of them, the last one ending at rest. Returns how many moves went from waiting to held; they are
 * [waiting_begin - count, waiting_begin). Sets budget_s to LOOKAHEAD_BUDGET_S. */
size_t lookahead_flush(struct lookahead *la, bool lazy);

/* Release the first `count` waiting moves (<= waiting) as if the queue ended in a stop, although later moves might have
 * allowed more speed: what bounded memory and a commit deadline need. The rest continues from the speed reached. */
size_t lookahead_force(struct lookahead *la, size_t count);

/* Forget held moves that end at or before print time `t_s`. */
void lookahead_retire(struct lookahead *la, double t_s);

/* --- the commit horizon ---
 * Stop as soon as limits allow after print time `t_s` (within or after the held moves; braking may
 * reach into the waiting ones).
 *
 * Held moves that would still run at t_s get a new profile that brakes from t_s on along the same path; `rewrite` is
 * called for each of them from the one that holds t_s to the one in which motion stops. `done_t_s` .. are parts of that
 * one call: the caller cuts its segment queues at `from_s` (segq_cut) and appends the parts it is given.
 * What was not executed goes into `tail` in order: first the rest of the move in which motion stops (its tag kept,
 * start at the stop point), then every later move, with limits restored so that they can be queued again by
 * lookahead_add. Afterwards the queue holds nothing waiting. The union of what is executed and the tail is exactly the
 * old path. */
struct lookahead_part {
    const struct move *move;        /* position, direction, tag */
    double print_time_s;            /* start of this part */
    double start_mm[MOVE_AXES_MAX]; /* position there */
    double start_v, cruise_v;       /* as in segq_append */
    double accel_t, cruise_t, decel_t;
    double accel_mm_s2;
};
typedef void lookahead_part_fn(void *ctx, const struct lookahead_part *part);

struct lookahead_stop {
    double stop_s;                /* print time of the standstill */
    double pos_mm[MOVE_AXES_MAX]; /* where */
    unsigned axes_count;          /* 0: nothing was moving and nothing waits; pos_mm not set */
    size_t tail_count;            /* moves written to `tail` */
};

/* Longest tail there can be now; lookahead_stop needs room for it. */
size_t lookahead_tail_max(const struct lookahead *la);
void lookahead_stop(struct lookahead *la, double t_s, lookahead_part_fn *part_fn, void *ctx, struct move *tail,
                    struct lookahead_stop *result);

/* --- other speeds at the commit horizon ---
 * Plan everything behind print time `t_s` anew, under speed limits that `relimit` sets, along the same path and from the
 * speed the motion has there. Where that is more than the new limits allow, it slows down as fast as each move's
 * acceleration allows: those parts are final and become held moves. From where it is slow enough, all moves wait again.
 * A move of which a part is final is split in two; so that the numbers of the moves behind it stay, the numbers of all
 * before it go down by one. docs/design/commit-horizon.md. */
typedef void lookahead_relimit_fn(void *ctx, struct move *m);

struct lookahead_replan {
    double from_s;         /* the old profiles hold up to here */
    double until_s;        /* the final new ones end here; what waits goes on without a gap */
    uint64_t first;        /* the first move of the new plan: [first, waiting_begin) are final, append them */
    uint64_t splits[2];    /* in this order: what had a number up to split has one less now */
    unsigned split_count;
};

#define LOOKAHEAD_REPLAN_ROOM 2 /* moves that lookahead_replan may add */

/* Number of the first held move that ends after `t_s`; waiting_begin when there is none. */
uint64_t lookahead_find(const struct lookahead *la, double t_s);

/* Remove the moves with numbers from `from` (not executed, not begun, and behind a stop) on; they go to `out` without a
 * profile. Returns how many. */
size_t lookahead_take_back(struct lookahead *la, uint64_t from, struct move *out);

/* `next_s`: print time at which the first waiting move begins, if no held one ends after t_s. CHECKs that there is room
 * for LOOKAHEAD_REPLAN_ROOM moves. */
void lookahead_replan(struct lookahead *la, double t_s, double next_s, lookahead_relimit_fn *relimit, void *ctx,
                      struct lookahead_replan *result);

#endif
