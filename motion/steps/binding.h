/* Bindings: the only way to let a stepper follow a queue, another queue, or the same queue through another filter.
 *
 * A binding is a transaction at a fence time T. It is made whole or not at all:
 *   - nothing has been generated past T for this stepper,
 *   - the old queue rests over [T - post, T + pre] of the old filter, so that what was solved up to T is complete,
 *   - the new queue rests over [T - post, T + pre] of the new filter, so that its lead-in or tail is not cut off; of a
 *     filter with a from_s, which must be T, over [T, T + pre]: it does not look back,
 *   - the windows are those of the new filter from T on,
 *   - the stepper's coordinate becomes the new queue's position at T; the board's count carries over.
 * Motion thread, no worker running. docs/design/bindings.md. */
#ifndef MOTION_STEPS_BINDING_H
#define MOTION_STEPS_BINDING_H

#include "base/err.h"
#include "motion/steps/stepgen.h"

struct binding {
    struct segq *queue;     /* NULL: the stepper follows nothing and makes no steps */
    const char *queue_name; /* kept; for texts; NULL when queue is */
    struct filter filter;
    double advance_k_s; /* pressure advance in force from the fence on */
    uint32_t cookie;    /* of the command that asked for it, for texts */
    const char *command; /* the same in words, kept; NULL or "": unknown */
};

/* Earliest fence time T >= at_s at which the binding could be made with what the queues hold now (their future beyond what
 * is known is rest). A filter that is to begin at T, wherever that is, has from_s INFINITY here. */
double binding_earliest_s(const struct stepgen *sg, const struct binding *to, double at_s);

/* How much standstill the binding needs around T: before (post windows) and after (pre windows) [s]. */
void binding_margin_s(const struct stepgen *sg, const struct binding *to, double *before_s, double *after_s);

/* Make it at `fence_s`. ERR_STATE with the reason in words if a condition above does not hold: nothing has changed.
 * On success the new queue is known to rest until fence_s + pre of the new filter (segq_rest_until is done here). */
enum err binding_make(struct stepgen *sg, const struct binding *to, double fence_s,
                      struct err_info *info) ERR_NODISCARD;

/* The last binding in words ("gear -> extruder at 12.345 s, command 17"), for fault messages. */
void binding_describe(const struct stepgen *sg, char *text, size_t text_bytes);

#endif
