/* What goes to one board next: lanes whose commands wait for their time, ordered by deadline, filled into blocks.
 * The link's thread. Rules: docs/protocol.md section 5. */
#ifndef MOTION_LINK_SENDQ_H
#define MOTION_LINK_SENDQ_H

#include "firmware/proto/frame.h"
#include "motion/link/lane.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SENDQ_LANES_MAX      256
#define SENDQ_TAGS_MAX       FRAME_PAYLOAD_MAX
#define SENDQ_REQ_BACKGROUND 0x7fffffff00000000ULL
#define SENDQ_LEAD_TICKS_MAX (3ULL << 29) /* furthest a command may travel ahead of its req_clock */

struct sendq {
    struct lane *lanes[SENDQ_LANES_MAX];
    size_t lane_count;
    uint64_t *slots; /* binary heap: when each move item of the board is free again */
    size_t slot_count;
    size_t ready_bytes; /* of commands that may go now */
};

void sendq_init(struct sendq *q);
void sendq_deinit(struct sendq *q); /* the lanes are the caller's */
/* ERR-free: CHECKs SENDQ_LANES_MAX. */
void sendq_add_lane(struct sendq *q, struct lane *lane);
/* The board has `count` move items, all free. */
void sendq_set_slots(struct sendq *q, size_t count);

/* Let everything become ready whose min_clock (and move item) has come at board clock `clock`. UINT64_MAX: the clock is
 * not known (or there is none, a file): everything, move items or not. */
void sendq_advance(struct sendq *q, uint64_t clock);
/* The clock at which the next command becomes ready that is not yet; UINT64_MAX: none. */
uint64_t sendq_next_ready_clock(struct sendq *q);
/* The lowest req_clock among ready commands; UINT64_MAX: none is ready. */
uint64_t sendq_first_req(struct sendq *q);

struct sendq_block {
    uint8_t payload[FRAME_PAYLOAD_MAX + LANE_COPY_BYTES];
    uint8_t len_bytes;
    uint8_t tag_count;
    uint32_t tags[SENDQ_TAGS_MAX];
    uint64_t first_req; /* the lowest req_clock in it that is a deadline; UINT64_MAX: none */
    bool is_full;       /* the next ready command did not fit */
};
/* Take ready commands by req_clock until the next does not fit. */
void sendq_fill(struct sendq *q, struct sendq_block *block);
/* Forget everything; lanes that are not discarded in a shutdown keep theirs if `only_discardable`. */
void sendq_discard(struct sendq *q, bool only_discardable);

#endif
