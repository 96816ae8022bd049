#include "motion/steps/stepgen_internal.h"

#include "base/check.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define RUN_STEPS      1024 /* steps solved between looks at the output's room */
#define RUN_STEPS_LIVE 512
#define SLICE_RUNS     2 /* times so many steps are a slice */
#define HISTORY_COUNT  1024

static void take_steps(void *ctx, int dir, const double *clocks, int count, bool is_committed);

struct stepgen *stepgen_create(const struct stepgen_config *config)
{
    CHECK(config->step_mm > 0.0 && config->clock_hz > 0.0);
    struct stepgen *sg = MEM_NEW(struct stepgen);
    sg->config = *config;
    size_t history_count = HISTORY_COUNT;
    while (history_count < config->history_count)
        history_count *= 2;
    sg->config.history_count = history_count;
    solver_init(&sg->solver, config->step_mm, config->clock_hz, take_steps, sg);
    compress_init(&sg->compress, STEP_MAX_ERROR_S * config->clock_hz,
                  config->is_live ? COMPRESS_RUN_MIN : COMPRESS_RUN_MAX);
    sg->run_steps = config->is_live ? RUN_STEPS_LIVE : RUN_STEPS;
    /* A step may take two records; as many again for what the compressor still holds. */
    sg->out_max = 8 * (size_t)sg->run_steps;
    sg->glitch_ticks = floor(STEP_GLITCH_S * config->clock_hz);
    sg->min_ticks = 1.0;
    if (config->max_speed_mm_s > 0.0)
        sg->min_ticks = fmax(1.0, floor(config->step_mm / config->max_speed_mm_s * config->clock_hz));
    sg->wire_dir = -1;
    sg->out = MEM_ARRAY(struct stepmsg, sg->out_max);
    sg->out_taken = MEM_ARRAY(struct stepmsg, sg->out_max);
    sg->past = MEM_ARRAY(struct stepgen_past, sg->config.history_count);
    return sg;
}

void stepgen_destroy(struct stepgen *sg)
{
    if (!sg)
        return;
    compress_deinit(&sg->compress);
    mem_free(sg->out);
    mem_free(sg->out_taken);
    mem_free(sg->past);
    mem_free(sg);
}

const char *stepgen_name(const struct stepgen *sg)
{
    return sg->config.name;
}
double stepgen_step_mm(const struct stepgen *sg)
{
    return sg->config.step_mm;
}
struct segq *stepgen_queue(const struct stepgen *sg)
{
    return sg->queue;
}
double stepgen_pre_s(const struct stepgen *sg)
{
    return sg->queue ? filter_pre_s(&sg->binding.filter) : 0.0;
}
double stepgen_post_s(const struct stepgen *sg)
{
    return sg->queue ? filter_post_s(&sg->binding.filter) : 0.0;
}
double stepgen_solved_s(const struct stepgen *sg)
{
    return sg->solver.t_s;
}
uint64_t stepgen_last_sent_clock(const struct stepgen *sg)
{
    return (uint64_t)sg->compress.base;
}
const char *stepgen_fault(const struct stepgen *sg)
{
    return sg->fault;
}
void stepgen_get_counters(const struct stepgen *sg, struct stepgen_counters *counters)
{
    *counters = sg->counters;
}

void stepgen_set_clock(struct stepgen *sg, double base_s, double base_clock, double hz)
{
    sg->solver.base_s = base_s;
    sg->solver.base_clock = base_clock;
    sg->solver.hz = hz;
}

void stepgen_set_advance(struct stepgen *sg, double t_s, double k_s)
{
    struct advance_list *list = &sg->solver.advance;
    while (list->count > 0 && list->at[list->count - 1].t_s >= t_s)
        list->count--;
    if (list->count == ARRAY_COUNT(list->at)) {
        memmove(&list->at[0], &list->at[1], sizeof list->at - sizeof list->at[0]);
        list->count--;
    }
    list->at[list->count].t_s = t_s;
    list->at[list->count].k_s = k_s;
    list->count++;
}

/* --- faults --- */

/* Words for everything a person needs to find out why: the stepper, what it follows since when, what moved around. */
static void set_fault(struct stepgen *sg, double clock, const char *what)
{
    if (sg->is_faulted)
        return;
    sg->is_faulted = true;
    const double t_s = sg->solver.base_s + (clock - sg->solver.base_clock) / sg->solver.hz;
    char bound[256];
    binding_describe(sg, bound, sizeof bound);
    int n = snprintf(sg->fault, sizeof sg->fault, "stepper %s: %s: step at clock %.0f (%.6f s) after clock %.0f; %s",
                     sg->config.name, what, clock, t_s, sg->last_clock, bound);
    if (!sg->queue)
        return;
    const uint64_t at = segq_find(sg->queue, t_s);
    for (uint64_t i = at > sg->queue->begin + 2 ? at - 2 : sg->queue->begin;
         i < at + 3 && i < sg->queue->end && n > 0 && (size_t)n < sizeof sg->fault; i++) {
        const struct seg *s = segq_at(sg->queue, i);
        n += snprintf(sg->fault + n, sizeof sg->fault - (size_t)n,
                      "; [%.6f +%.6f s] %.3f %.3f %.3f at %.2f mm/s, move %u", s->t0_s, s->dt_s, s->pos_mm[0],
                      s->pos_mm[1], s->pos_mm[2], s->v0_mm_s, s->cookie);
    }
}

/* --- from the compressor to the output --- */

static void remember(struct stepgen *sg, const struct stepmsg *msg, uint64_t base_clock)
{
    sg->past[sg->past_count++ & (sg->config.history_count - 1)] =
        (struct stepgen_past){*msg, base_clock, sg->steps_sent};
    sg->steps_sent += sg->stream_dir * msg->count;
}

static void check_message(struct stepgen *sg, const struct stepmsg *msg, uint64_t base, double prev)
{
    const struct compress *c = &sg->compress;
    sg->counters.checked++;
    const double *clocks = c->clocks + c->first - msg->count;
    compress_measure(base, msg, clocks, prev, &sg->counters.deviation);
    const uint32_t wrong = compress_check(base, msg, clocks, prev, sg->compress.max_error);
    if (wrong)
        set_fault(sg, clocks[wrong - 1], "compressed step outside of its window");
}

/* Move what is ready from the compressor to the output. */
static bool send_one(struct stepgen *sg, bool is_forced)
{
    struct stepmsg msg = {.source = sg->config.source};
    const double prev = sg->compress.clocks[sg->compress.first - 1];
    const uint64_t base = (uint64_t)sg->compress.base;
    if (!compress_next(&sg->compress, is_forced, &msg))
        return false;
    if (sg->config.check_every && sg->counters.commands % sg->config.check_every == 0)
        check_message(sg, &msg, base, prev);
    if (sg->is_faulted)
        return true; /* nothing inconsistent leaves */
    CHECK(sg->out_count + 2 <= sg->out_max);
    const int wire_dir = (sg->stream_dir > 0) != sg->config.is_dir_inverted;
    msg.dir = (uint8_t)wire_dir;
    if (sg->wire_dir != wire_dir) {
        struct stepmsg *d = &sg->out[sg->out_count++];
        *d = msg;
        d->kind = STEPMSG_DIR;
        d->count = 0;
        d->interval = 0;
        d->add = 0;
        sg->wire_dir = wire_dir;
        sg->counters.dir_commands++;
    }
    sg->out[sg->out_count++] = msg;
    sg->counters.commands++;
    sg->counters.steps += msg.count;
    remember(sg, &msg, base);
    return true;
}

static void push_steps(struct stepgen *sg, int dir, const double *clocks, int count)
{
    if (count == 0)
        return;
    if (dir != sg->stream_dir) {
        while (send_one(sg, true))
            ;
        sg->stream_dir = dir;
    }
    compress_add(&sg->compress, clocks, count);
    while (send_one(sg, false))
        ;
}

static void release_held(struct stepgen *sg)
{
    sg->has_held = false;
    push_steps(sg, sg->held_dir, &sg->held_clock, 1);
}

/* --- from the solver to the compressor --- */

static bool are_rising(const struct stepgen *sg, const double *clocks, int count)
{
    const double least = sg->min_ticks;
    unsigned wrong = clocks[0] - sg->last_clock < least;
    for (int i = 1; i < count; i++)
        wrong |= clocks[i] - clocks[i - 1] < least;
    return !wrong;
}

/* The solver's sink. The newest step is held back: if the next one goes the other way within STEP_GLITCH_S and the
 * stepper never really reached the place of the first, neither is made. */
static void take_steps(void *ctx, int dir, const double *clocks, int count, bool is_committed)
{
    struct stepgen *sg = ctx;
    if (sg->is_faulted)
        return;
    if (!are_rising(sg, clocks, count)) {
        for (int i = 0; i < count && !sg->is_faulted; sg->last_clock = clocks[i++])
            if (clocks[i] - sg->last_clock < sg->min_ticks)
                set_fault(sg, clocks[i],
                          clocks[i] - sg->last_clock < 1.0 ? "Invalid sequence: steps out of order"
                                                           : "faster than the stepper may move");
        return;
    }
    sg->last_clock = clocks[count - 1];
    if (sg->has_held) {
        if (dir != sg->held_dir && !is_committed && clocks[0] - sg->held_clock <= sg->glitch_ticks) {
            sg->has_held = false;
            sg->counters.glitches++;
            clocks++;
            if (--count == 0)
                return;
        } else {
            release_held(sg);
        }
    }
    push_steps(sg, dir, clocks, count - 1);
    sg->has_held = true;
    sg->held_dir = dir;
    sg->held_clock = clocks[count - 1];
}

/* --- running --- */

struct stepgen_goal stepgen_make_goal(const struct stepgen *sg, double until_s, uint64_t send_clock)
{
    struct stepgen_goal goal = {.until_s = until_s, .send_clock = send_clock};
    if (sg->queue) {
        goal.view = *sg->queue;
        goal.view.begin = goal.view.first; /* older ones may be overwritten while the work is done */
    }
    return goal;
}

bool stepgen_run_slice(struct stepgen *sg, const struct stepgen_goal *goal, enum err *result)
{
    *result = OK;
    for (int runs = 0; sg->solver.t_s < goal->until_s && !sg->is_faulted; runs++) {
        if (sg->out_count > sg->out_max / 2)
            return true;
        if (runs == SLICE_RUNS)
            return false;
        solver_run(&sg->solver, &goal->view, goal->until_s, sg->run_steps);
        if (sg->solver.is_lost)
            set_fault(sg, sg->solver.base_clock + (sg->solver.t_s - sg->solver.base_s) * sg->solver.hz,
                      "out of reach of its kinematics");
    }
    if (sg->has_held && sg->held_clock <= (double)goal->send_clock && !sg->is_faulted)
        release_held(sg);
    while (sg->compress.base < (double)goal->send_clock && !sg->is_faulted && sg->out_count + 2 <= sg->out_max)
        if (!send_one(sg, true))
            break;
    *result = sg->is_faulted ? ERR_INVALID : OK;
    return true;
}

enum err stepgen_run(struct stepgen *sg, const struct stepgen_goal *goal)
{
    enum err result;
    while (!stepgen_run_slice(sg, goal, &result))
        ;
    return result;
}

const struct stepmsg *stepgen_take_output(struct stepgen *sg, size_t *count)
{
    struct stepmsg *taken = sg->out;
    *count = sg->out_count;
    sg->out = sg->out_taken;
    sg->out_taken = taken;
    sg->out_count = 0;
    return taken;
}

/* --- position --- */

void stepgen_set_position(struct stepgen *sg, double pos_mm)
{
    sg->steps_at_origin += sg->solver.n;
    solver_set_position(&sg->solver, pos_mm);
}

double stepgen_position_mm(const struct stepgen *sg)
{
    return sg->solver.origin_mm + (double)sg->solver.n * sg->solver.step_mm;
}

int64_t stepgen_steps(const struct stepgen *sg)
{
    return sg->steps_at_origin + sg->solver.n;
}

double stepgen_mm_of_steps(const struct stepgen *sg, int64_t steps)
{
    return sg->solver.origin_mm + (double)(steps - sg->steps_at_origin) * sg->solver.step_mm;
}

bool stepgen_record_at(const struct stepgen *sg, uint64_t index, struct stepgen_record *record)
{
    const uint64_t kept = sg->past_count < sg->config.history_count ? sg->past_count : sg->config.history_count;
    if (index >= kept)
        return false;
    const struct stepgen_past *p = &sg->past[(sg->past_count - 1 - index) & (sg->config.history_count - 1)];
    *record = (struct stepgen_record){.first_clock = p->msg.first_clock,
                                      .last_clock = p->msg.last_clock,
                                      .steps_before = p->steps_before,
                                      .interval = p->msg.interval,
                                      .count = p->msg.count,
                                      .add = p->msg.add,
                                      .is_forward = (p->msg.dir != 0) != sg->config.is_dir_inverted};
    return true;
}

int64_t stepgen_steps_at(const struct stepgen *sg, uint64_t clock)
{
    const uint64_t kept = sg->past_count < sg->config.history_count ? sg->past_count : sg->config.history_count;
    int64_t steps = sg->steps_sent;
    for (uint64_t i = 0; i < kept; i++) {
        const struct stepgen_past *p = &sg->past[(sg->past_count - 1 - i) % sg->config.history_count];
        const int sign = (p->msg.dir != 0) != sg->config.is_dir_inverted ? 1 : -1;
        if (clock >= p->msg.last_clock)
            return p->steps_before + sign * p->msg.count;
        steps = p->steps_before;
        if (clock < p->msg.first_clock)
            continue;
        uint32_t lo = 1, hi = p->msg.count; /* steps made by then: in [lo, hi) */
        while (hi - lo > 1) {
            const uint32_t mid = lo + (hi - lo) / 2;
            if (stepmsg_clock(p->base_clock, p->msg.interval, p->msg.add, mid) <= clock)
                lo = mid;
            else
                hi = mid;
        }
        return steps + sign * (int64_t)lo;
    }
    return steps;
}

void stepgen_reset(struct stepgen *sg, int64_t steps, uint64_t clock)
{
    compress_reset(&sg->compress, clock);
    sg->has_held = false;
    sg->last_clock = (double)clock;
    sg->stream_dir = 0;
    sg->wire_dir = -1;
    sg->out_count = 0;
    sg->steps_at_origin = steps - sg->solver.n;
    sg->steps_sent = steps;
    sg->past_count = 0;
    sg->solver.is_seek_due = true;
    sg->solver.is_lost = false;
    sg->is_faulted = false;
    sg->fault[0] = '\0';
}

void stepgen_set_step_mm(struct stepgen *sg, double step_mm, bool is_dir_inverted)
{
    CHECK(step_mm > 0.0);
    const double pos_mm = stepgen_position_mm(sg);
    stepgen_set_position(sg, pos_mm);
    sg->config.step_mm = sg->solver.step_mm = step_mm;
    sg->solver.inv_step = 1.0 / step_mm;
    sg->config.is_dir_inverted = is_dir_inverted;
}

double stepgen_first_active_s(struct stepgen *sg)
{
    if (!sg->queue)
        return -1.0;
    const struct segq *q = sg->queue;
    uint64_t i = sg->active_index > q->begin ? sg->active_index : q->begin;
    for (; i < q->end; i++) {
        if (stepgen_is_active(&sg->binding.filter, segq_at(q, i))) {
            sg->active_index = q->end;
            return segq_at(q, i)->t0_s;
        }
    }
    sg->active_index = q->end;
    return -1.0;
}
