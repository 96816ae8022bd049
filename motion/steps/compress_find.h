/* The search for the next message: docs/design/compression.md. Internal to motion/steps; worker thread. */
#ifndef MOTION_STEPS_COMPRESS_FIND_H
#define MOTION_STEPS_COMPRESS_FIND_H

#include "motion/steps/compress.h"

struct compress_choice {
    double add, interval; /* whole numbers */
    int count;
};

/* The longest run from the first pending step on, looking at up to `limit` (>= 1) steps. The first step further away
 * than STEP_FAR_TICKS: count 1, add and interval without meaning. */
struct compress_choice compress_find(struct compress *c, int limit);

#endif
