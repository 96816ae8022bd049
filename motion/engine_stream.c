/* The caller's side of the stream: check, then append. What is refused here leaves no trace. */
#include "engine_int.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define POS_MAX_MM      1e8 /* beyond this a coordinate is a mistake, and microsteps could not be told apart */
#define MOVE_TIME_MAX_S 1e6
#define DWELL_MAX_S     86400.0

bool stream_has_room(const struct engine *e)
{
    if (e->is_batch)
        return true;
    if (spsc_count(&e->ring) + 4 > spsc_capacity(&e->ring)) /* a force move takes 3 */
        return false;
    if (atomic_load(&((struct engine *)e)->tail_left) > TAIL_LEFT_MAX)
        return false; /* the room for a next tail is bounded */
    return e->appended_s - atomic_load(&((struct engine *)e)->consumed_s) <= RING_AHEAD_S;
}

enum err stream_ready(struct engine *e, struct engine_source source, struct err_info *info)
{
    if (atomic_load(&e->is_stopped))
        return err_set(info, ERR_SHUTDOWN, "%s", e->fault_text[0] ? e->fault_text : "The motion engine has been stopped");
    if (!e->is_started)
        return err_set(info, ERR_STATE, "Printer is not ready");
    if (e->is_batch && spsc_count(&e->events) > spsc_capacity(&e->events) / 2)
        events_dispatch(e); /* offline nobody polls while the reader runs */
    if (e->is_holding || e->is_homing || (e->is_held && source.file_offset >= 0) || !stream_has_room(e))
        return ERR_FULL;
    return OK;
}

enum err stream_append(struct engine *e, struct item *item, double time_s, struct err_info *info)
{
    item->time_s = time_s;
    e->appended_s += time_s;
    if (item->kind >= ITEM_BARRIER_FIRST) {
        const char *text = e->config.command ? e->config.command(e->config.command_ctx) : "";
        snprintf(item->command, sizeof item->command, "%s", text);
    }
    if (!e->is_batch) {
        CHECK(spsc_push(&e->ring, item)); /* stream_ready has seen room, and nobody else pushes */
        actor_notify(&e->m.actor);
        return OK;
    }
    CHECK(motion_take(&e->m, item));
    if (atomic_load(&e->is_stopped))
        return err_set(info, ERR_SHUTDOWN, "%s", e->fault_text);
    return OK;
}

static enum err append_args(struct engine *e, enum item_kind kind, const struct item_args *a, double time_s,
                            struct engine_source source, struct err_info *info)
{
    struct item item = {.kind = (uint8_t)kind, .source = source};
    if (a)
        item.a = *a;
    return stream_append(e, &item, time_s, info);
}

/* ------------------------------------------------------------------------------------------------------------ moves */

static enum err check_extruder(const struct engine *e, struct move *m, double e_mm, struct err_info *info)
{
    const struct engine_queue *q = e->active;
    if (!q)
        return err_set(info, ERR_STATE, "Extrude when no extruder present");
    const struct engine_extruder_spec *x = &q->extruder;
    if (x->can_extrude && !x->can_extrude(x->ctx))
        return err_set(info, ERR_STATE,
                       "Extrude below minimum temp\nSee the 'min_extrude_temp' config option for details");
    const double r = m->r[MOVE_EXTRA];
    if ((m->r[MOVE_X] == 0.0 && m->r[MOVE_Y] == 0.0) || r < 0.0) {
        if (fabs(e_mm) > x->max_extrude_only_distance_mm)
            return err_set(info, ERR_LIMIT,
                           "Extrude only move too long (%.3fmm vs %.3fmm)\nSee the 'max_extrude_only_distance' config "
                           "option for details",
                           e_mm, x->max_extrude_only_distance_mm);
        const double inverse_r = 1.0 / fabs(r);
        move_limit_speed(m, x->max_extrude_only_velocity_mm_s * inverse_r, x->max_extrude_only_accel_mm_s2 * inverse_r);
        return OK;
    }
    if (r > q->max_extrude_ratio && e_mm > x->nozzle_diameter_mm * q->max_extrude_ratio)
        return err_set(info, ERR_LIMIT,
                       "Move exceeds maximum extrusion (%.3fmm^2 vs %.3fmm^2)\nSee the 'max_extrude_cross_section' config "
                       "option for details",
                       r * q->filament_area_mm2, x->max_cross_section_mm2);
    return OK;
}

static enum err check_numbers(const struct engine *e, const struct engine_move *move, struct err_info *info)
{
    for (unsigned i = 0; i < AXIS_EXTRA + e->extra.count; i++)
        if (!(fabs(move->pos[i]) <= POS_MAX_MM))
            return err_set(info, ERR_INVALID, "Move to an impossible position: %g %g %g [%g]", move->pos[0],
                           move->pos[1], move->pos[2], i > 3 ? move->pos[i] : move->pos[3]);
    if (!(move->speed_mm_s > 0.0) || !isfinite(move->speed_mm_s))
        return err_set(info, ERR_INVALID, "Invalid speed in '%.3f'", move->speed_mm_s);
    return OK;
}

/* Each extra axis keeps the move within its range, speed and acceleration. */
static enum err check_extra(const struct engine *e, struct move *m, struct err_info *info)
{
    for (unsigned i = 0; i < e->extra.count; i++) {
        const struct engine_axis_spec *axis = &e->extra.axis[i];
        const double r = m->r[AXIS_EXTRA + i], end = m->end_mm[AXIS_EXTRA + i];
        m->corner_v_mm_s[1 + i] = axis->corner_velocity_mm_s;
        m->extra_queue[1 + i] = (uint8_t)axis->queue->index;
        if (r == 0.0)
            continue;
        if (!(end >= axis->position_min_mm && end <= axis->position_max_mm))
            return err_set(info, ERR_LIMIT, "Move out of range: %.3f %.3f %.3f [%.3f] (%s to %.3f)", m->end_mm[0],
                           m->end_mm[1], m->end_mm[2], m->end_mm[3], axis->queue->name, end);
        double accel = axis->max_accel_mm_s2;
        if (!m->is_kinematic && axis->own_accel_mm_s2 > 0.0)
            accel = fmin(accel, axis->own_accel_mm_s2);
        const double length_per_mm = 1.0 / fabs(r);
        move_limit_speed(m, axis->max_velocity_mm_s * length_per_mm, accel * length_per_mm);
    }
    return OK;
}

enum err stream_prepare_move(struct engine *e, const struct engine_move *move, struct move *m, struct err_info *info)
{
    const struct move_limits limits = {.max_velocity_mm_s = e->limits.max_velocity_mm_s,
                                       .max_accel_mm_s2 = e->limits.max_accel_mm_s2,
                                       .square_corner_velocity_mm_s = e->limits.square_corner_velocity_mm_s,
                                       .minimum_cruise_ratio = e->limits.minimum_cruise_ratio};
    if (!move_init(m, &limits, AXIS_EXTRA + e->extra.count, e->pos, move->pos, move->speed_mm_s))
        return OK;
    enum err err = kin_check_move(&e->kin, m, info);
    if (err != OK)
        return err;
    const double e_mm = m->end_mm[MOVE_EXTRA] - m->start_mm[MOVE_EXTRA];
    if (e_mm != 0.0) {
        err = check_extruder(e, m, e_mm, info);
        if (err != OK)
            return err;
    }
    err = check_extra(e, m, info);
    if (err != OK)
        return err;
    if (!(m->min_time_s <= MOVE_TIME_MAX_S))
        return err_set(info, ERR_LIMIT, "Move would take %.0f seconds", m->min_time_s);
    if (e->active) {
        m->corner_v_mm_s[0] = e->active->extruder.instantaneous_corner_velocity_mm_s;
        m->extra_queue[0] = (uint8_t)e->active->index;
        const bool has_xy = m->r[MOVE_X] != 0.0 || m->r[MOVE_Y] != 0.0;
        m->extra_flags[0] = m->r[MOVE_EXTRA] > 0.0 && has_xy ? SEG_ADVANCE : 0;
    }
    rate_limit_move(e, m);
    m->tag = (struct move_tag){.file_offset = (uint64_t)move->source.file_offset,
                               .line = move->source.line,
                               .cookie = move->source.state,
                               .feed_serial = e->feed_serial};
    m->feed_mm_s = move->feed_factor > 0.0 ? move->speed_mm_s / move->feed_factor : 0.0;
    return OK;
}

void stream_note_extra(struct engine *e)
{
    if (e->active)
        e->active->read_mm = e->pos[3];
    for (unsigned i = 0; i < e->extra.count; i++)
        e->extra.axis[i].queue->read_mm = e->pos[AXIS_EXTRA + i];
}

enum err engine_move(struct engine *e, const struct engine_move *move, struct err_info *info)
{
    enum err err = stream_ready(e, move->source, info);
    if (err != OK)
        return err;
    err = check_numbers(e, move, info);
    if (err != OK)
        return err;
    struct item item;
    item.kind = ITEM_MOVE;
    item.source = move->source;
    err = stream_prepare_move(e, move, &item.move, info);
    if (err != OK || item.move.length_mm == 0.0)
        return err;
    err = stream_append(e, &item, item.move.min_time_s, info);
    if (err != OK)
        return err;
    memcpy(e->pos, item.move.end_mm, sizeof e->pos);
    stream_note_extra(e);
    return OK;
}

/* ---------------------------------------------------------------------------------------------------- other items */

enum err engine_dwell(struct engine *e, double seconds, struct engine_source source, struct err_info *info)
{
    enum err err = stream_ready(e, source, info);
    if (err != OK)
        return err;
    if (!(seconds >= 0.0 && seconds <= DWELL_MAX_S))
        return err_set(info, ERR_LIMIT, "Dwell of %.3f seconds: must be between 0 and %.0f", seconds, DWELL_MAX_S);
    return append_args(e, ITEM_DWELL, &(struct item_args){.dwell_s = seconds}, seconds, source, info);
}

enum err engine_output(struct engine *e, struct engine_output *output, const int64_t *args, unsigned arg_count,
                       struct engine_source source, struct err_info *info)
{
    CHECK(arg_count <= ENGINE_ARGS_MAX && output->clock_index < arg_count);
    enum err err = stream_ready(e, source, info);
    if (err != OK)
        return err;
    struct item_args a;
    memset(&a, 0, sizeof a);
    a.output.output = (uint16_t)output->index;
    a.output.arg_count = (uint16_t)arg_count;
    memcpy(a.output.args, args, arg_count * sizeof *args);
    return append_args(e, ITEM_OUTPUT, &a, 0.0, source, info);
}

enum err engine_mark(struct engine *e, uint64_t cookie, struct engine_source source, struct err_info *info)
{
    enum err err = stream_ready(e, source, info);
    if (err != OK)
        return err;
    return append_args(e, ITEM_MARK, &(struct item_args){.fence = {cookie, 0}}, 0.0, source, info);
}

enum err engine_fence(struct engine *e, enum engine_fence kind, uint64_t cookie, struct engine_source source,
                      struct err_info *info)
{
    enum err err = stream_ready(e, source, info);
    if (err != OK)
        return err;
    return append_args(e, kind == ENGINE_FENCE_PLANNED ? ITEM_FENCE_PLANNED : ITEM_FENCE_EXECUTED,
                       &(struct item_args){.fence = {cookie, 0}}, 0.0, source, info);
}

static enum err check_position(const double *pos, unsigned axes, struct err_info *info)
{
    for (unsigned i = 0; i < AXES; i++)
        if (axes >> i & 1 && !(fabs(pos[i]) <= POS_MAX_MM))
            return err_set(info, ERR_INVALID, "Impossible position %.3f", pos[i]);
    return OK;
}

enum err engine_set_position(struct engine *e, const double pos[ENGINE_AXES_MAX], unsigned axes,
                             struct engine_source source, struct err_info *info)
{
    enum err err = stream_ready(e, source, info);
    if (err == OK)
        err = check_position(pos, axes, info);
    if (err != OK)
        return err;
    struct item_args a;
    memset(&a, 0, sizeof a);
    a.position.axes = axes & ((1u << AXES) - 1);
    if (!e->active)
        a.position.axes &= ~8u;
    for (unsigned i = AXIS_EXTRA; i < AXES; i++) /* a declaration costs the motor its place between two steps */
        if (i >= AXIS_EXTRA + e->extra.count || pos[i] == e->pos[i])
            a.position.axes &= ~(1u << i);
    for (unsigned i = 0; i < AXES; i++)
        a.position.pos[i] = a.position.axes >> i & 1 ? pos[i] : e->pos[i];
    err = append_args(e, ITEM_SET_POSITION, &a, 0.0, source, info);
    if (err != OK)
        return err;
    memcpy(e->pos, a.position.pos, sizeof e->pos);
    stream_note_extra(e);
    return OK;
}

enum err engine_bind(struct engine *e, struct engine_stepper *stepper, struct engine_queue *queue,
                     struct engine_source source, struct err_info *info)
{
    enum err err = stream_ready(e, source, info);
    if (err != OK)
        return err;
    if (queue && queue->kind == QUEUE_TOOLHEAD && !stepper->is_on_toolhead)
        return err_set(info, ERR_INVALID, "Stepper '%s' has no place on the toolhead", stepper->name);
    const struct item_args a = {.bind = {.stepper = (int16_t)stepper->index,
                                         .queue = (int16_t)(queue ? queue->index : -1)}};
    err = append_args(e, ITEM_BIND, &a, 0.0, source, info);
    if (err == OK)
        stepper->read_queue = queue;
    return err;
}

enum err engine_activate_extruder(struct engine *e, struct engine_queue *extruder, struct engine_source source,
                                  struct err_info *info)
{
    CHECK(!extruder || extruder->kind == QUEUE_EXTRUDER);
    enum err err = stream_ready(e, source, info);
    if (err != OK)
        return err;
    const struct item_args a = {.bind = {.stepper = -1, .queue = (int16_t)(extruder ? extruder->index : -1)}};
    err = append_args(e, ITEM_ACTIVATE, &a, 0.0, source, info);
    if (err != OK)
        return err;
    if (e->active)
        e->active->read_mm = e->pos[3];
    e->active = extruder;
    e->pos[3] = extruder ? extruder->read_mm : 0.0;
    return OK;
}

static bool is_axis(const struct engine *e, const struct engine_queue *queue)
{
    for (unsigned i = 0; i < e->extra.count; i++)
        if (e->extra.axis[i].queue == queue)
            return true;
    return false;
}

static enum err check_axes(const struct engine_axis_spec *axes, unsigned count, struct err_info *info)
{
    if (count > ENGINE_EXTRA_AXES_MAX)
        return err_set(info, ERR_LIMIT, "More than %d extra axes", ENGINE_EXTRA_AXES_MAX);
    for (unsigned i = 0; i < count; i++) {
        const struct engine_axis_spec *a = &axes[i];
        CHECK(a->queue->kind == QUEUE_MANUAL);
        if (!(a->corner_velocity_mm_s >= 0.0) || !(a->max_velocity_mm_s > 0.0) || !(a->max_accel_mm_s2 > 0.0) ||
            !(a->own_accel_mm_s2 >= 0.0))
            return err_set(info, ERR_LIMIT, "Impossible limits of axis '%s'", a->queue->name);
    }
    return OK;
}

enum err engine_set_axes(struct engine *e, const struct engine_axis_spec *axes, unsigned count,
                         struct engine_source source, struct err_info *info)
{
    enum err err = stream_ready(e, source, info);
    if (err == OK)
        err = check_axes(axes, count, info);
    if (err == OK && e->is_held)
        err = err_set(info, ERR_STATE, "The axes can't change while the motion is paused");
    if (err != OK)
        return err;
    struct item item;
    memset(&item, 0, sizeof item);
    item.kind = ITEM_AXES;
    item.source = source;
    item.axes.count = count;
    memcpy(item.axes.axis, axes, count * sizeof *axes);
    err = stream_append(e, &item, 0.0, info);
    if (err != OK)
        return err;
    e->extra = item.axes;
    for (unsigned i = 0; i < ENGINE_EXTRA_AXES_MAX; i++)
        e->pos[AXIS_EXTRA + i] = i < count ? axes[i].queue->read_mm : 0.0;
    return OK;
}

struct engine_queue *engine_axis_queue(const struct engine *e, unsigned index)
{
    return index < e->extra.count ? e->extra.axis[index].queue : NULL;
}

enum err engine_set_pressure_advance(struct engine *e, struct engine_stepper *stepper, double advance_s,
                                     double smooth_time_s, struct engine_source source, struct err_info *info)
{
    enum err err = stream_ready(e, source, info);
    if (err != OK)
        return err;
    if (!(advance_s >= 0.0 && advance_s <= 1e3))
        return err_set(info, ERR_LIMIT, "Pressure advance %.6f: must be at least 0", advance_s);
    if (!(smooth_time_s >= 0.0 && smooth_time_s <= FILTER_SMOOTH_MAX_S))
        return err_set(info, ERR_LIMIT, "Smooth time %.3f: must be between 0 and %.3f", smooth_time_s,
                       FILTER_SMOOTH_MAX_S);
    const double effective = advance_s > 0.0 ? smooth_time_s : 0.0;
    const struct item_args a = {
        .advance = {.advance_s = advance_s, .smooth_s = effective, .stepper = (int16_t)stepper->index}};
    err = append_args(e, effective == stepper->read_smooth_s ? ITEM_ADVANCE : ITEM_SMOOTH, &a, 0.0, source, info);
    if (err == OK)
        stepper->read_smooth_s = effective;
    return err;
}

/* The name under which the shaper is known, with its arguments. */
static const char *shaper_name(const struct engine_shaper *s, char text[64])
{
    static const char *const names[] = {[ENGINE_SHAPER_ZV] = "zv",           [ENGINE_SHAPER_MZV] = "mzv",
                                        [ENGINE_SHAPER_ZVD] = "zvd",         [ENGINE_SHAPER_EI] = "ei",
                                        [ENGINE_SHAPER_2HUMP_EI] = "2hump_ei", [ENGINE_SHAPER_3HUMP_EI] = "3hump_ei"};
    if (s->kind == ENGINE_SHAPER_EI && s->ei_tolerance > 0.0) {
        snprintf(text, 64, "ei(v_tol=%.9g)", s->ei_tolerance);
        return text;
    }
    if (s->kind != ENGINE_SHAPER_MZV || (s->mzv_n == 0 && s->mzv_t == 0.0))
        return names[s->kind];
    snprintf(text, 64, "mzv(n=%u,t=%.9g)", s->mzv_n ? s->mzv_n : 3, s->mzv_t > 0.0 ? s->mzv_t : 0.75);
    return text;
}

static enum err make_shaper(const struct engine_shaper *spec, struct shaper *shaper, struct err_info *info)
{
    shaper_none(shaper);
    if (spec->kind == ENGINE_SHAPER_OFF || spec->freq_hz == 0.0)
        return OK;
    char text[64];
    const char *name = shaper_name(spec, text);
    struct shaper made;
    enum err err = shaper_init(&made, name, spec->freq_hz, spec->damping_ratio, info);
    if (err != OK)
        return err;
    const double span_s = fmax(shaper_pre_s(&made), shaper_post_s(&made));
    if (span_s > ENGINE_SHAPER_SPAN_MAX_S)
        return err_set(info, ERR_LIMIT, "Shaper %s at %.3f Hz would look %.3f s around each instant; the frequency must be at least %.1f Hz",
                       name, spec->freq_hz, span_s, spec->freq_hz * span_s / ENGINE_SHAPER_SPAN_MAX_S);
    *shaper = made;
    return OK;
}

enum err engine_check_shaper(const struct engine_shaper *shaper, struct err_info *info)
{
    struct shaper made;
    return make_shaper(shaper, &made, info);
}

enum err engine_set_shapers(struct engine *e, const struct engine_shaper shapers[3], struct engine_source source,
                            struct err_info *info)
{
    enum err err = stream_ready(e, source, info);
    if (err != OK)
        return err;
    struct item item = {.kind = ITEM_SHAPERS, .source = source};
    for (int i = 0; i < 3 && err == OK; i++)
        err = make_shaper(&shapers[i], &item.shapers[i], info);
    if (err != OK)
        return err;
    return stream_append(e, &item, 0.0, info);
}

enum err engine_set_step_dist(struct engine *e, struct engine_stepper *stepper, double step_dist_mm,
                              struct engine_source source, struct err_info *info)
{
    enum err err = stream_ready(e, source, info);
    if (err != OK)
        return err;
    if (!(fabs(step_dist_mm) > 0.0) || !isfinite(step_dist_mm))
        return err_set(info, ERR_INVALID, "Stepper '%s': step distance must not be 0", stepper->name);
    const struct item_args a = {.bind = {.step_mm = step_dist_mm, .stepper = (int16_t)stepper->index, .queue = -1}};
    err = append_args(e, ITEM_STEP_DIST, &a, 0.0, source, info);
    if (err == OK)
        stepper->read_step_dist_mm = fabs(step_dist_mm);
    return err;
}

static enum err check_rate(const struct engine *e, const struct engine_queue_move *move, struct err_info *info)
{
    enum err err = OK;
    for (unsigned i = 0; i < e->stepper_count && err == OK; i++)
        if (e->steppers[i]->read_queue == move->queue)
            err = rate_check(e->steppers[i], move->speed_mm_s, move->accel_mm_s2, move->pos_mm - move->queue->read_mm, info);
    return err;
}

static enum err check_queue_move(const struct engine *e, const struct engine_queue_move *move, struct err_info *info)
{
    if (is_axis(e, move->queue))
        return err_set(info, ERR_STATE, "'%s' is an axis of the moves now", move->queue->name);
    if (!(fabs(move->pos_mm) <= POS_MAX_MM))
        return err_set(info, ERR_INVALID, "Impossible position %.3f", move->pos_mm);
    if (!(move->speed_mm_s > 0.0) || !isfinite(move->speed_mm_s) || !isfinite(move->accel_mm_s2))
        return err_set(info, ERR_INVALID, "Impossible speed %.3f or acceleration %.3f", move->speed_mm_s,
                       move->accel_mm_s2);
    if (fabs(move->pos_mm - move->queue->read_mm) / move->speed_mm_s > MOVE_TIME_MAX_S)
        return err_set(info, ERR_LIMIT, "Move would take too long");
    return OK;
}

enum err engine_queue_move(struct engine *e, const struct engine_queue_move *move, struct err_info *info)
{
    CHECK(move->queue->kind == QUEUE_MANUAL);
    enum err err = stream_ready(e, move->source, info);
    if (err == OK)
        err = check_queue_move(e, move, info);
    if (err == OK)
        err = check_rate(e, move, info);
    if (err != OK)
        return err;
    const struct item_args a = {.queue_move = {.pos_mm = move->pos_mm,
                                               .speed_mm_s = move->speed_mm_s,
                                               .accel_mm_s2 = move->accel_mm_s2 > 0.0 ? move->accel_mm_s2 : 0.0,
                                               .is_synced = move->is_synced,
                                               .queue = (int16_t)move->queue->index}};
    const double time_s = move->is_synced ? fabs(move->pos_mm - move->queue->read_mm) / move->speed_mm_s : 0.0;
    err = append_args(e, ITEM_QUEUE_MOVE, &a, time_s, move->source, info);
    if (err == OK)
        move->queue->read_mm = move->pos_mm;
    return err;
}

enum err engine_queue_set_position(struct engine *e, struct engine_queue *queue, double pos_mm,
                                   struct engine_source source, struct err_info *info)
{
    CHECK(queue->kind == QUEUE_MANUAL);
    enum err err = stream_ready(e, source, info);
    if (err == OK)
        err = check_position(&pos_mm, 1, info);
    if (err == OK && is_axis(e, queue))
        err = err_set(info, ERR_STATE, "'%s' is an axis of the moves now", queue->name);
    if (err != OK)
        return err;
    const struct item_args a = {.queue_move = {.pos_mm = pos_mm, .queue = (int16_t)queue->index}};
    err = append_args(e, ITEM_QUEUE_POSITION, &a, 0.0, source, info);
    if (err == OK)
        queue->read_mm = pos_mm;
    return err;
}

enum err engine_force_move(struct engine *e, struct engine_stepper *stepper, double distance_mm, double speed_mm_s,
                           double accel_mm_s2, struct engine_source source, struct err_info *info)
{
    enum err err = stream_ready(e, source, info); /* leaves room for all three */
    if (err != OK)
        return err;
    struct engine_queue *back = stepper->read_queue;
    const struct engine_queue_move move = {.queue = e->force_queue,
                                           .pos_mm = e->force_queue->read_mm + distance_mm,
                                           .speed_mm_s = speed_mm_s,
                                           .accel_mm_s2 = accel_mm_s2,
                                           .is_synced = true,
                                           .source = source};
    err = check_queue_move(e, &move, info);
    if (err == OK)
        err = rate_check(stepper, speed_mm_s, accel_mm_s2, distance_mm, info);
    if (err != OK)
        return err;
    const double time_s = fabs(distance_mm) / speed_mm_s;
    const struct item_args to_force = {.bind = {.stepper = (int16_t)stepper->index,
                                                .queue = (int16_t)e->force_queue->index}};
    const struct item_args go = {.queue_move = {.pos_mm = move.pos_mm,
                                                .speed_mm_s = speed_mm_s,
                                                .accel_mm_s2 = accel_mm_s2 > 0.0 ? accel_mm_s2 : 0.0,
                                                .is_synced = true,
                                                .queue = (int16_t)e->force_queue->index}};
    const struct item_args to_back = {.bind = {.stepper = (int16_t)stepper->index,
                                               .queue = (int16_t)(back ? back->index : -1)}};
    err = append_args(e, ITEM_BIND, &to_force, 0.0, source, info);
    if (err == OK)
        err = append_args(e, ITEM_QUEUE_MOVE, &go, time_s, source, info);
    if (err == OK)
        err = append_args(e, ITEM_BIND, &to_back, 0.0, source, info);
    if (err == OK)
        e->force_queue->read_mm = move.pos_mm;
    return err;
}

enum err engine_flush(struct engine *e, struct engine_source source, struct err_info *info)
{
    enum err err = stream_ready(e, source, info);
    return err != OK ? err : append_args(e, ITEM_FLUSH, NULL, 0.0, source, info);
}

enum err engine_motor_enable(struct engine *e, struct engine_stepper *stepper, bool on, struct engine_source source,
                             struct err_info *info)
{
    enum err err = stream_ready(e, source, info);
    if (err != OK)
        return err;
    const struct item_args a = {.motor = {.stepper = (int16_t)(stepper ? stepper->index : -1), .on = on}};
    return append_args(e, ITEM_MOTOR, &a, on ? 0.0 : 2.0 * MOTOR_PAUSE_S, source, info);
}
