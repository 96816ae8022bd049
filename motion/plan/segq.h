/* Time-ordered queue of motion segments: position over print time of one thing that moves (toolhead, extruder, manual
 * stepper), up to three axes. In Klipper's words: the trapq.
 *
 * A segment is a quadratic in time: pos + r * (v0 + ha * u) * u, u = t - t0 in [0, dt]. Segments follow each other
 * without gaps: a pause is a segment at rest. After the last one the position rests. Segments have sequence numbers
 * that never repeat; the storage is a ring of fixed size, in which finished segments stay as history until their slot
 * is needed. Segments not yet retired are never overwritten.
 *
 * Owned by the motion thread. Workers read through a copy of this struct (a view) while it appends behind the view's
 * end; segq_cut and segq_retire happen only while no worker runs. */
#ifndef MOTION_PLAN_SEGQ_H
#define MOTION_PLAN_SEGQ_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SEG_X = 1,
    SEG_Y = 2,
    SEG_Z = 4,       /* the axis moves in this segment */
    SEG_ADVANCE = 8, /* pressure advance applies */
    SEG_MARKER = 16  /* zero length: the position was set anew here */
};

#define SEGQ_JOIN_S 1e-9 /* start times this close to the end of the queue are its end */

struct seg {
    double t0_s, dt_s;
    double v0_mm_s, ha_mm_s2; /* speed at t0 and HALF the acceleration, along r */
    double pos_mm[3], r[3];
    uint32_t flags;
    uint32_t cookie; /* of the move it came from */
};

struct segq {
    struct seg *items;
    uint64_t mask;
    uint64_t begin;     /* oldest segment still stored (history) */
    uint64_t first;     /* oldest segment not retired */
    uint64_t end;       /* one past the newest */
    double end_s;       /* print time where the newest ends */
    double end_mm[3];   /* position there */
    uint64_t cut_count; /* how often segq_cut has changed segments: a reader's cursor is stale if it has seen fewer */
};

/* Storage for `capacity` segments (rounded up to a power of two); starts at rest at 0,0,0 at time 0. */
void segq_init(struct segq *q, size_t capacity);
void segq_deinit(struct segq *q);

static inline const struct seg *segq_at(const struct segq *q, uint64_t index)
{
    return &q->items[index & q->mask];
}
static inline double seg_end_s(const struct seg *s)
{
    return s->t0_s + s->dt_s;
}

/* How many segments can still be appended before some must be retired. */
size_t segq_room(const struct segq *q);

/* Append an accelerate / cruise / decelerate profile that starts at `t_s` (>= end_s; a gap becomes a segment at rest;
 * phases of zero time are left out). Up to 4 segments: CHECKs segq_room >= 4.
 * start_mm  exact start position, r  direction (may be longer or shorter than 1), speeds along r
 * accel_mm_s2  of both ramps; flags  SEG_ADVANCE or 0, the axis flags are derived */
void segq_append(struct segq *q, double t_s, double accel_t, double cruise_t, double decel_t, const double start_mm[3],
                 const double r[3], double start_v, double cruise_v, double accel_mm_s2, uint32_t flags,
                 uint32_t cookie);

/* Rest until `t_s` (no effect if it is not after end_s). Makes the queue's future known up to t_s. */
void segq_rest_until(struct segq *q, double t_s);

/* The position is `pos_mm` from `t_s` on (>= end_s): a gap at rest, then a zero-length marker. */
void segq_set_position(struct segq *q, double t_s, const double pos_mm[3]);

/* Forget all segments at or after `t_s`; one that spans it is shortened. Never touches retired segments (CHECK). */
void segq_cut(struct segq *q, double t_s);

/* Segments that end at or before `t_s` are not needed for solving any more: they become history. */
void segq_retire(struct segq *q, double t_s);

/* Position and velocity at `t_s`; also in history. False if t_s lies before the oldest stored segment (outputs then
 * hold that segment's start). vel_mm_s may be NULL. */
bool segq_position(const struct segq *q, double t_s, double pos_mm[3], double vel_mm_s[3]);

/* Sequence number of the segment that holds t_s (the last one whose t0 <= t_s); `end` if t_s >= end_s. */
uint64_t segq_find(const struct segq *q, double t_s);

/* Is nothing moving anywhere in [from_s, to_s]? Markers count as movement. Before the oldest stored: unknown, false. */
bool segq_is_at_rest(const struct segq *q, double from_s, double to_s);

/* Earliest time >= from_s from which the queue rests for at least `span_s` as far as it is known. */
double segq_rest_start(const struct segq *q, double from_s, double span_s);

#endif
