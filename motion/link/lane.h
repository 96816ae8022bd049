/* A lane: commands for one board on their way from one thread to the link, in order. A wait-free ring of records of
 * different length; it copies in, and the link reads in place.
 * Threads: lane_push on the producer's, everything else on the link's. */
#ifndef MOTION_LINK_LANE_H
#define MOTION_LINK_LANE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LANE_RECORD_BYTES_MAX 96 /* 32 bytes and the longest command, rounded up to 8 */
#define LANE_COPY_BYTES       16 /* so many bytes beyond a record may be read */

struct actor;

struct lane_record {
    uint64_t min_clock;  /* not before */
    uint64_t req_clock;  /* priority and deadline */
    uint64_t slot_until; /* 0, or when the move item it takes is free again */
    uint32_t tag;        /* 0, or whom to tell about it */
    uint8_t len_bytes;
    uint8_t is_skip; /* filler up to the end of the ring */
    uint8_t data[];
};

struct lane {
    uint8_t *bytes;
    size_t mask;
    struct actor *producer; /* told when there is room again; may be NULL */
    bool is_discarded_in_shutdown;
    /* the link's */
    _Alignas(64) atomic_size_t head;
    size_t ready;       /* records in [head, ready) may be sent */
    size_t head_seen;   /* a plain copy of head */
    size_t tail_seen;   /* the last tail looked at */
    size_t taken_bytes; /* of commands, ever */
    /* the producer's */
    _Alignas(64) atomic_size_t tail;
    size_t head_known; /* the last head looked at */
    atomic_bool has_refused;
    atomic_size_t pushed_bytes; /* of commands, ever */
};

/* `capacity_bytes` is rounded up to a power of two, at least 1 KiB. */
void lane_init(struct lane *lane, struct actor *producer, size_t capacity_bytes);
void lane_deinit(struct lane *lane);

/* Append; false: full (the producer will be notified). */
bool lane_push(struct lane *lane, const uint8_t *data, size_t len_bytes, uint64_t min_clock, uint64_t req_clock,
               uint64_t slot_until, uint32_t tag);
size_t lane_room(const struct lane *lane); /* records of the largest size that are sure to fit */

/* The record at the reader's position `ready` (may be sent?) or at `head` (the next to send); NULL: none. */
const struct lane_record *lane_unready(struct lane *lane);
void lane_make_ready(struct lane *lane);                        /* steps over lane_unready */
static inline const struct lane_record *lane_front(struct lane *lane); /* the oldest ready record */
void lane_drop_front(struct lane *lane);
/* lane_drop_front in two parts: the reader goes on; the room of all that it has passed is given back. */
static inline void lane_pass_front(struct lane *lane);
void lane_release(struct lane *lane);
/* Throw everything away. */
void lane_discard(struct lane *lane);
size_t lane_pending_bytes(const struct lane *lane); /* of commands that wait */

/* --- inline: a few instructions each, several times a command --- */

static inline size_t lane_record_bytes(size_t len_bytes)
{
    return (offsetof(struct lane_record, data) + len_bytes + 7) & ~(size_t)7;
}

static inline struct lane_record *lane_record_at(const struct lane *lane, size_t position)
{
    return (struct lane_record *)(void *)(lane->bytes + (position & lane->mask));
}

/* The position after the filler that may stand at `position`. A filler shorter than a record's head has no marker. */
static inline size_t lane_skip_filler(const struct lane *lane, size_t position)
{
    const size_t to_end = lane->mask + 1 - (position & lane->mask);
    if (to_end < offsetof(struct lane_record, data) || lane_record_at(lane, position)->is_skip)
        return position + to_end;
    return position;
}

static inline const struct lane_record *lane_front(struct lane *lane)
{
    if (lane->head_seen == lane->ready)
        return NULL;
    lane->head_seen = lane_skip_filler(lane, lane->head_seen);
    return lane->head_seen == lane->ready ? NULL : lane_record_at(lane, lane->head_seen);
}

static inline void lane_pass_front(struct lane *lane)
{
    const size_t len_bytes = lane_record_at(lane, lane->head_seen)->len_bytes;
    lane->taken_bytes += len_bytes;
    lane->head_seen += lane_record_bytes(len_bytes);
}

#endif
