#include "motion/steps/binding.h"

#include "base/check.h"
#include "motion/steps/stepgen_internal.h"

#include <math.h>
#include <stdio.h>

struct window {
    double before_s, after_s; /* how far the filter looks back and ahead */
};

/* Of the filter that is in force when a fence at t_s ends it. */
static struct window old_window(const struct binding *b, double t_s)
{
    if (!b->queue)
        return (struct window){0.0, 0.0};
    const double since_s = fmax(t_s - b->filter.from_s, 0.0);
    return (struct window){fmin(filter_post_s(&b->filter), since_s), filter_pre_s(&b->filter)};
}

/* Of a filter that comes into force at a fence: one with a from_s begins there. */
static struct window new_window(const struct binding *b)
{
    if (!b->queue)
        return (struct window){0.0, 0.0};
    return (struct window){b->filter.from_s == (double)-INFINITY ? filter_post_s(&b->filter) : 0.0, filter_pre_s(&b->filter)};
}

void binding_margin_s(const struct stepgen *sg, const struct binding *to, double *before_s, double *after_s)
{
    const struct window old = old_window(&sg->binding, INFINITY), new = new_window(to);
    *before_s = fmax(old.before_s, new.before_s);
    *after_s = fmax(old.after_s, new.after_s);
}

double binding_earliest_s(const struct stepgen *sg, const struct binding *to, double at_s)
{
    const struct window new = new_window(to);
    double t = fmax(at_s, sg->solver.t_s);
    /* Each queue pushes T later until both rest around it; both rest for good behind their last segment. */
    for (double before = -INFINITY; t > before;) {
        before = t;
        const struct window old = old_window(&sg->binding, t);
        if (sg->queue)
            t = segq_rest_start(sg->queue, t - old.before_s, old.before_s + old.after_s) + old.before_s;
        if (to->queue)
            t = segq_rest_start(to->queue, t - new.before_s, new.before_s + new.after_s) + new.before_s;
        t = t - before < 1e-12 ? before : t;
    }
    return t;
}

static enum err check_rest(const struct segq *q, const char *queue_name, const char *stepper, struct window w,
                           double fence_s, struct err_info *info)
{
    if (segq_is_at_rest(q, fence_s - w.before_s, fence_s + w.after_s))
        return OK;
    return err_set(info, ERR_STATE, "stepper %s: cannot be bound at %.6f s: queue %s moves within %.6f to %.6f s",
                   stepper, fence_s, queue_name ? queue_name : "-", fence_s - w.before_s, fence_s + w.after_s);
}

enum err binding_make(struct stepgen *sg, const struct binding *to, double fence_s, struct err_info *info)
{
    const struct window old = old_window(&sg->binding, fence_s), new = new_window(to);
    if (sg->is_faulted)
        return err_set(info, ERR_STATE, "%s", sg->fault);
    if (sg->solver.t_s > fence_s)
        return err_set(info, ERR_STATE, "stepper %s: cannot be bound at %.6f s: steps are made up to %.6f s",
                       sg->config.name, fence_s, sg->solver.t_s);
    if (sg->queue && sg->solver.t_s < fence_s - 1e-9)
        return err_set(info, ERR_STATE, "stepper %s: cannot be bound at %.6f s: steps are made only up to %.6f s",
                       sg->config.name, fence_s, sg->solver.t_s);
    enum err err = OK;
    if (sg->queue)
        err = check_rest(sg->queue, sg->binding.queue_name, sg->config.name, old, fence_s, info);
    if (err == OK && to->queue)
        err = check_rest(to->queue, to->queue_name, sg->config.name, new, fence_s, info);
    if (err != OK)
        return err;
    double pos_mm = 0.0;
    if (to->queue && !filter_position(&to->filter, to->queue, NULL, fence_s, &pos_mm))
        return err_set(info, ERR_STATE, "stepper %s: queue %s does not know its position at %.6f s", sg->config.name,
                       to->queue_name, fence_s);
    if (to->queue && !isfinite(pos_mm))
        return err_set(info, ERR_STATE, "stepper %s: its kinematics cannot reach the position of queue %s",
                       sg->config.name, to->queue_name);
    if (sg->queue)
        segq_rest_until(sg->queue, fence_s); /* its steps are made: what it looked at behind the fence was at rest */
    sg->binding = *to;
    sg->queue = to->queue;
    sg->bound_s = fence_s;
    sg->bound_count++;
    solver_bind(&sg->solver, to->queue ? &to->filter : NULL, to->advance_k_s, fence_s);
    if (to->queue) {
        segq_rest_until(to->queue, fence_s + new.after_s);
        sg->active_index = to->queue->end;
        stepgen_set_position(sg, pos_mm);
    }
    return OK;
}

void binding_describe(const struct stepgen *sg, char *text, size_t text_bytes)
{
    const struct binding *b = &sg->binding;
    char by[128];
    if (b->command && b->command[0])
        snprintf(by, sizeof by, "by '%s'", b->command);
    else
        snprintf(by, sizeof by, "command %u", b->cookie);
    if (!sg->queue)
        snprintf(text, text_bytes, "%s follows no queue since %.6f s (%s)", sg->config.name, sg->bound_s, by);
    else
        snprintf(text, text_bytes, "%s follows %s since %.6f s (%s), window -%.6f +%.6f s", sg->config.name,
                 b->queue_name ? b->queue_name : "-", sg->bound_s, by, stepgen_post_s(sg), stepgen_pre_s(sg));
}
