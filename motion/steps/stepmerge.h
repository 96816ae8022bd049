/* The step records of all steppers of one board in the order in which they must be there, each with the earliest clock
 * at which the board has a free move slot for it. Motion thread; no allocation after init. */
#ifndef MOTION_STEPS_STEPMERGE_H
#define MOTION_STEPS_STEPMERGE_H

#include "motion/steps/stepmsg.h"

#include <stddef.h>

struct stepmerge {
    uint64_t *slots; /* clocks at which the move slots become free: a ring, rising from `oldest` on */
    size_t slot_count;
    size_t oldest;
};

void stepmerge_init(struct stepmerge *m, size_t slot_count); /* slots of the board's move queue, > 0 */
void stepmerge_deinit(struct stepmerge *m);

struct stepmerge_input {
    const struct stepmsg *items;
    size_t count;
};

/* Called for each record: it may be transmitted from `min_clock` on and must be there by msg->req_clock. */
typedef void stepmerge_sink_fn(void *ctx, const struct stepmsg *msg, uint64_t min_clock);

/* Merge by (req_clock, position in `inputs`); inputs[i].items are in order. Up to 64 inputs. */
void stepmerge_run(struct stepmerge *m, const struct stepmerge_input *inputs, size_t input_count,
                   stepmerge_sink_fn *sink, void *ctx);
/* Take a slot for a command that is not a step (digital output with a clock): free again at `clock`. Returns the
 * earliest clock at which it may be sent. */
uint64_t stepmerge_take(struct stepmerge *m, uint64_t clock);

#endif
