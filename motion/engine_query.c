/* What the caller's side knows without asking anybody: limits, homed axes, positions, names, counters. */
#include "engine_int.h"

#include <string.h>

void engine_set_limits(struct engine *e, const struct engine_limits *limits)
{
    e->limits = *limits;
}

void engine_get_limits(const struct engine *e, struct engine_limits *limits)
{
    *limits = e->limits;
}

void engine_set_homed(struct engine *e, unsigned axes)
{
    kin_set_homed(&e->kin, axes);
}

void engine_clear_homed(struct engine *e, unsigned axes)
{
    kin_clear_homed(&e->kin, axes);
}

unsigned engine_homed(const struct engine *e)
{
    unsigned axes = 0;
    for (unsigned i = 0; i < 3; i++)
        axes |= e->kin.is_homed[i] ? 1u << i : 0;
    return axes;
}

void engine_axis_range(const struct engine *e, double min_mm[3], double max_mm[3])
{
    kin_axis_range(&e->kin, min_mm, max_mm);
}

enum err engine_forward(const struct engine *e, const double rail_mm[3], double xyz[3])
{
    return kin_forward(&e->kin, rail_mm, xyz);
}

void engine_inverse(const struct engine *e, const double xyz[3], double rail_mm[3])
{
    kin_inverse(&e->kin, xyz, rail_mm);
}

void engine_commanded_position(const struct engine *e, double pos[ENGINE_AXES_MAX])
{
    memset(pos, 0, ENGINE_AXES_MAX * sizeof *pos);
    memcpy(pos, e->pos, sizeof e->pos);
}

double engine_queue_position(const struct engine *e, const struct engine_queue *queue)
{
    return queue == e->active ? e->pos[3] : queue->read_mm;
}

struct engine_queue *engine_active_extruder(const struct engine *e)
{
    return e->active;
}

const char *engine_stepper_name(const struct engine_stepper *stepper)
{
    return stepper->name;
}

double engine_stepper_step_dist_mm(const struct engine_stepper *stepper)
{
    return stepper->read_step_dist_mm;
}

struct engine_queue *engine_stepper_queue(const struct engine_stepper *stepper)
{
    return stepper->read_queue;
}

bool engine_stepper_is_on(const struct engine_stepper *stepper)
{
    return stepper->e->is_batch ? send_is_motor_planned_on(&stepper->e->m, stepper) : stepper->read_is_on;
}

struct engine_queue *engine_find_queue(struct engine *e, const char *name)
{
    for (unsigned i = 0; i < e->queue_count; i++)
        if (strcmp(e->queues[i]->name, name) == 0)
            return e->queues[i];
    return NULL;
}

const char *engine_queue_name(const struct engine_queue *queue)
{
    return queue->name;
}

unsigned engine_stepper_count(const struct engine *e)
{
    return e->stepper_count;
}

struct engine_stepper *engine_stepper_at(struct engine *e, unsigned index)
{
    CHECK(index < e->stepper_count);
    return e->steppers[index];
}

void engine_stepper_counters(const struct engine *e, unsigned index, struct engine_counters *counters)
{
    CHECK(index < e->stepper_count);
    const struct engine_stepper *s = e->steppers[index];
    struct stepgen_counters c;
    stepgen_get_counters(s->sg, &c);
    const double us_per_tick = 1e6 / board_freq_hz(s->board->board);
    *counters = (struct engine_counters){.name = s->name,
                                         .steps = c.steps,
                                         .commands = c.commands,
                                         .bytes = s->bytes,
                                         .first_clock = s->first_clock,
                                         .last_clock = s->last_clock,
                                         .end_steps = s->net_steps,
                                         .checked_steps = c.deviation.steps,
                                         .late_us = c.deviation.late_ticks * us_per_tick,
                                         .early_us = c.deviation.early_ticks * us_per_tick,
                                         .early_share = c.deviation.early_share};
}

bool engine_is_held(const struct engine *e)
{
    return e->is_held;
}

bool engine_is_holding(const struct engine *e)
{
    return e->is_holding;
}

const char *engine_fault_text(const struct engine *e)
{
    return atomic_load(&((struct engine *)e)->is_faulted) ? e->fault_text : "";
}
