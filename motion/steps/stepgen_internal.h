/* What stepgen.c and binding.c share. */
#ifndef MOTION_STEPS_STEPGEN_INTERNAL_H
#define MOTION_STEPS_STEPGEN_INTERNAL_H

#include "motion/steps/binding.h"
#include "motion/steps/compress.h"
#include "motion/steps/solve.h"
#include "motion/steps/stepgen.h"

#define STEPGEN_FAULT_MAX 1024

struct stepgen_past {
    struct stepmsg msg;
    uint64_t base_clock;
    int64_t steps_before; /* count before its first step */
};

struct stepgen {
    struct stepgen_config config;
    struct segq *queue;
    struct binding binding; /* the one in force */
    double bound_s;
    uint64_t bound_count; /* bindings made so far */
    struct solver solver;
    struct compress compress;
    /* the newest step is held back until it is sure that it is no glitch */
    bool has_held;
    int held_dir;
    double held_clock;
    double last_clock; /* of the newest step solved */
    double glitch_ticks, min_ticks;
    int stream_dir;          /* direction of the steps in `compress`: +1, -1, 0 none yet */
    int wire_dir;            /* value on the wire, -1 unknown */
    int64_t steps_at_origin; /* count at grid index 0 */
    int64_t steps_sent;      /* count after everything in the output so far */
    uint64_t active_index;   /* segments before it were looked at by stepgen_first_active_s */
    struct stepmsg *out, *out_taken;
    size_t out_count, out_max; /* records; solving stops when half of them wait to be taken */
    int run_steps;             /* solved between looks at the output's room */
    struct stepgen_past *past;
    uint64_t past_count;
    struct stepgen_counters counters;
    bool is_faulted;
    char fault[STEPGEN_FAULT_MAX];
};

/* Where the filter sees motion of segment s of the bound queue. */
static inline bool stepgen_is_active(const struct filter *f, const struct seg *s)
{
    return (s->flags & f->func.axes) != 0;
}

#endif
