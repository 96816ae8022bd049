/* Transactions: what changes what a stepper follows, or where things are, happens at a fence time at which everything
 * rests over all filter windows. The stream behind the item is not planned before it is done, so it is never undone: a
 * hold finds it either made or still ahead. docs/design/commit-horizon.md, docs/design/bindings.md. */
#include "engine_int.h"

#include <math.h>
#include <string.h>

#define FENCE_SLACK_S 1e-7 /* keeps rounding away from the borders of the windows */

static double post_of_queue(const struct engine *e, const struct engine_queue *q)
{
    double post = 0.0;
    for (unsigned i = 0; i < e->stepper_count; i++)
        if (e->steppers[i]->queue == q)
            post = fmax(post, stepgen_post_s(e->steppers[i]->sg));
    return post;
}

double motion_fence_s(const struct motion *m, unsigned marked_queues)
{
    const struct engine *e = m->e;
    double fence = fmax(m->motion_end_s + m->kfd_s + FENCE_SLACK_S, m->gen_s);
    for (unsigned i = 0; i < e->queue_count; i++) {
        if (!(marked_queues >> i & 1))
            continue;
        /* The marker goes behind all the queue knows, and no filter may still look back across it at the fence. */
        const double post = post_of_queue(e, e->queues[i]);
        if (e->queues[i]->q.end_s > fence - post)
            fence = e->queues[i]->q.end_s + post + FENCE_SLACK_S;
    }
    return fence;
}

void motion_reach_fence(struct motion *m, double fence_s)
{
    gen_finish(m);
    while (m->gen_s < fence_s && !atomic_load(&m->e->is_stopped)) {
        const double motor = timed_next_motor_s(m, m->gen_s) + 0.05;
        const double to = fmin(fence_s, motor);
        gen_to(m, to, INFINITY);
    }
}

/* The filter of a stepper on a queue from `from_s` on: its place in the kinematics and the shapers there, its smoothing elsewhere. */
static void filter_on(const struct engine_stepper *s, const struct engine_queue *queue, const struct shaper shapers[3],
                      double smooth_s, double from_s, struct filter *filter)
{
    struct kin_func func;
    stepper_func(s, queue, &func);
    filter_init(filter, &func);
    filter->from_s = from_s;
    if (queue && queue->kind == QUEUE_TOOLHEAD)
        memcpy(filter->shaper, shapers, sizeof filter->shaper);
    else
        filter->smooth_s = smooth_s;
}

static struct binding binding_to(struct engine_queue *queue, const struct filter *filter, double advance_s, uint32_t line)
{
    struct binding to = {.advance_k_s = advance_s, .cookie = line};
    if (queue) {
        to.queue = &queue->q;
        to.queue_name = queue->name;
        to.filter = *filter;
    }
    return to;
}

static void bind_stepper(struct motion *m, struct engine_stepper *s, struct engine_queue *queue, double fence_s,
                         uint32_t line)
{
    filter_on(s, queue, m->shapers, s->smooth_s, fence_s, &s->filter);
    struct binding to = binding_to(queue, &s->filter, s->advance_s, line);
    to.command = s->bound_by;
    struct err_info info;
    memcpy(s->bound_by, m->command, sizeof s->bound_by);
    if (binding_make(s->sg, &to, fence_s, &info) != OK) {
        motion_fault(m, s, info.text);
        return;
    }
    s->func = s->filter.func;
    s->queue = queue;
    s->active_index = queue ? queue->q.end : 0;
}

static void rebind_queue(struct motion *m, struct engine_queue *q, double fence_s, uint32_t line)
{
    for (unsigned i = 0; i < m->e->stepper_count; i++)
        if (m->e->steppers[i]->queue == q)
            bind_stepper(m, m->e->steppers[i], q, fence_s, line);
}

void motion_set_queue(struct motion *m, struct engine_queue *q, const double pos[3], double fence_s, uint32_t line)
{
    segq_set_position(&q->q, fmax(q->q.end_s, fence_s - m->kfd_s - FENCE_SLACK_S), pos);
    q->pos_mm = pos[0];
    rebind_queue(m, q, fence_s, line);
}

void motion_set_toolhead(struct motion *m, const double pos[AXES], unsigned axes, double fence_s, uint32_t line)
{
    for (unsigned i = 0; i < AXES; i++)
        if (axes >> i & 1)
            m->pos[i] = pos[i];
    if (axes & 7)
        motion_set_queue(m, m->e->queues[0], m->pos, fence_s, line);
    if (axes & 8 && m->active)
        motion_set_queue(m, m->active, &(const double[3]){m->pos[3]}[0], fence_s, line);
    for (unsigned i = 0; i < m->extra.count; i++)
        if (axes >> (AXIS_EXTRA + i) & 1)
            motion_set_queue(m, m->extra.axis[i].queue, &(const double[3]){m->pos[AXIS_EXTRA + i]}[0], fence_s, line);
}

static unsigned marked_queues(const struct motion *m, const struct item *item)
{
    unsigned queues = 0;
    switch (item->kind) {
    case ITEM_SET_POSITION:
        queues = (item->a.position.axes & 7 ? 1u : 0) |
                 (item->a.position.axes & 8 && m->active ? 1u << m->active->index : 0);
        for (unsigned i = 0; i < m->extra.count; i++)
            if (item->a.position.axes >> (AXIS_EXTRA + i) & 1)
                queues |= 1u << m->extra.axis[i].queue->index;
        return queues;
    case ITEM_QUEUE_POSITION:
        return 1u << item->a.queue_move.queue;
    default:
        return 0;
    }
}

static struct engine_queue *queue_at(struct motion *m, int16_t index)
{
    return index < 0 ? NULL : m->e->queues[index];
}

/* The fence at which the item can act: everything rests, also for the filters and queues it brings in. */
static double find_fence_s(struct motion *m, const struct item *item)
{
    double fence = motion_fence_s(m, marked_queues(m, item));
    for (unsigned i = 0; i < m->e->stepper_count; i++) {
        struct engine_stepper *s = m->e->steppers[i];
        struct engine_queue *queue = s->queue;
        double smooth_s = s->smooth_s;
        const struct shaper *shapers = m->shapers;
        if (item->kind == ITEM_BIND && item->a.bind.stepper == (int16_t)i)
            queue = queue_at(m, item->a.bind.queue);
        else if (item->kind == ITEM_SMOOTH && item->a.advance.stepper == (int16_t)i)
            smooth_s = item->a.advance.smooth_s;
        else if (item->kind == ITEM_SHAPERS && queue == m->e->queues[0])
            shapers = item->shapers;
        else
            continue;
        struct filter filter;
        filter_on(s, queue, shapers, smooth_s, INFINITY, &filter);
        const struct binding to = binding_to(queue, &filter, s->advance_s, 0);
        fence = fmax(fence, binding_earliest_s(s->sg, &to, fence) + FENCE_SLACK_S);
    }
    return fence;
}

static void activate(struct motion *m, struct engine_queue *extruder)
{
    if (m->active)
        m->active->pos_mm = m->pos[3];
    m->active = extruder;
    m->pos[3] = extruder ? extruder->pos_mm : 0.0;
}

/* The queues that were axes end where the axes are; those that become axes go on from where they are. */
void motion_set_axes(struct motion *m, const struct extra_axes *axes)
{
    for (unsigned i = 0; i < m->extra.count; i++) {
        struct engine_queue *q = m->extra.axis[i].queue;
        q->pos_mm = m->pos[AXIS_EXTRA + i];
        q->is_axis = false;
    }
    m->extra = *axes;
    for (unsigned i = 0; i < ENGINE_EXTRA_AXES_MAX; i++) {
        m->pos[AXIS_EXTRA + i] = i < axes->count ? axes->axis[i].queue->pos_mm : 0.0;
        if (i < axes->count)
            axes->axis[i].queue->is_axis = true;
    }
}

static void set_step_dist(struct engine_stepper *s, double step_mm)
{
    s->is_dir_inverted = (step_mm < 0.0) != s->is_spec_inverted;
    stepgen_set_step_mm(s->sg, fabs(step_mm), s->is_dir_inverted);
}

static void apply(struct motion *m, const struct item *item, double fence_s)
{
    const uint32_t line = item->source.line;
    switch ((enum item_kind)item->kind) {
    case ITEM_SET_POSITION:
        motion_set_toolhead(m, item->a.position.pos, item->a.position.axes, fence_s, line);
        break;
    case ITEM_QUEUE_POSITION:
        motion_set_queue(m, queue_at(m, item->a.queue_move.queue), &(const double[3]){item->a.queue_move.pos_mm}[0],
                         fence_s, line);
        break;
    case ITEM_BIND:
        bind_stepper(m, m->e->steppers[item->a.bind.stepper], queue_at(m, item->a.bind.queue), fence_s, line);
        break;
    case ITEM_ACTIVATE:
        activate(m, queue_at(m, item->a.bind.queue));
        break;
    case ITEM_SMOOTH: {
        struct engine_stepper *s = m->e->steppers[item->a.advance.stepper];
        s->advance_s = item->a.advance.advance_s;
        s->smooth_s = item->a.advance.smooth_s;
        bind_stepper(m, s, s->queue, fence_s, line);
        break;
    }
    case ITEM_SHAPERS:
        memcpy(m->shapers, item->shapers, sizeof m->shapers);
        rebind_queue(m, m->e->queues[0], fence_s, line);
        break;
    case ITEM_AXES:
        motion_set_axes(m, &item->axes);
        break;
    case ITEM_FLUSH:
        break;
    case ITEM_STEP_DIST:
        set_step_dist(m->e->steppers[item->a.bind.stepper], item->a.bind.step_mm);
        break;
    default:
        UNREACHABLE();
    }
}

static void run(struct motion *m)
{
    motion_reach_fence(m, m->fence_s);
    m->has_barrier = false;
    if (atomic_load(&m->e->is_stopped))
        return;
    timed_settle_advances(m);
    memcpy(m->command, m->barrier.command, sizeof m->command);
    apply(m, &m->barrier, m->fence_s);
    motion_update_window(m);
}

void barrier_start(struct motion *m, const struct item *item)
{
    motion_flush_all(m);
    motion_need_prime(m);
    m->barrier = *item;
    m->has_barrier = true;
    gen_finish(m);
    m->fence_s = find_fence_s(m, item);
    if (!m->is_batch) {
        barrier_run(m);
        return;
    }
    /* Klipper's fence knows the windows before the change only. Where those after it are longer ours is later, but what
     * follows need not wait longer for that: it is the rest between that both sides need. */
    const double klipper_fence_s = fmin(m->motion_end_s + m->kfd_s, m->fence_s);
    run(m);
    m->kgen_s = fmax(m->kgen_s, klipper_fence_s);
}

void barrier_run(struct motion *m)
{
    if (m->est_s + m->horizon_s - m->kfd_s < m->fence_s || !send_spill(m))
        return; /* the boards are not near enough: until then it can still be held */
    run(m);
}
