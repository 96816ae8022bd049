/* G28. Each axis in turn (a delta all at once): pretend to be far away from the endstop, move towards it until it
 * triggers, step back, and approach once more slowly. An error leaves all motors off, as nothing is known then. */
#include "server/toolhead/homing.h"

#include "motion/engine.h"
#include "server/machine/motion_stream.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/stepper.h"
#include "server/toolhead/kinematics.h"
#include "server/toolhead/probe.h"
#include "server/toolhead/toolhead_private.h"

#include <math.h>
#include <string.h>

#define AXES_DELTA 7u

struct homing {
    struct printer_object base;
    homing_override_fn *override; /* NULL: none */
    void *override_ctx;
};

/* One homing of one or several rails. */
struct approach {
    struct toolhead *th;
    unsigned axes;           /* bits of what is homed */
    const struct rail *rail; /* whose speeds count: the first */
    struct endstop *endstops[RAIL_COUNT * RAIL_STEPPERS_MAX];
    size_t endstop_count;
    struct probe *probe;             /* it is one of the endstops; NULL: it is not */
    double force_pos[TOOLHEAD_AXES_MAX]; /* where the toolhead is said to be */
    double home_pos[TOOLHEAD_AXES_MAX];  /* where it will be */
};

static void emit(struct printer *printer, const char *event, unsigned axes)
{
    struct homing_event data = {axes};
    printer_emit(printer, event, &data);
}

/* Move to home_pos until the endstops trigger. */
static enum err move_to_endstops(const struct approach *a, double speed_mm_s, struct engine_home_result *result,
                                  struct err_info *info)
{
    struct printer *printer = a->th->base.printer;
    struct engine_home_request request = {
        .queue = engine_toolhead(printer->engine),
        .speed_mm_s = speed_mm_s,
        .endstop_count = (unsigned)a->endstop_count,
        .until_triggered = true,
        .is_trigger_required = true,
        .name = a->probe ? a->rail->letter : NULL,
        .source = motion_source(printer),
    };
    memcpy(request.pos, a->home_pos, sizeof request.pos);
    for (size_t i = 0; i < a->endstop_count; i++)
        request.endstops[i] = a->endstops[i]->engine;
    emit(printer, HOMING_EVENT_MOVE_BEGIN, a->axes);
    enum err e = engine_home(printer->engine, &request, result, info);
    emit(printer, HOMING_EVENT_MOVE_END, a->axes);
    gcode_move_reset_position(printer_gcode_move(printer));
    return e;
}

/* The same with the probe put out, if it is the endstop. */
static enum err approach_endstops(const struct approach *a, double speed_mm_s, struct engine_home_result *result,
                                  struct err_info *info)
{
    if (!a->probe)
        return move_to_endstops(a, speed_mm_s, result, info);
    enum err e = probe_prepare(a->probe, info);
    if (!e)
        e = move_to_endstops(a, speed_mm_s, result, info);
    return probe_done(a->probe, e, info);
}

/* The endstop of a stepper that has not moved before it triggered; NULL: all have. */
static const struct endstop *find_stuck(const struct approach *a, const struct engine_home_result *result)
{
    for (unsigned i = 0; i < result->stepper_count; i++) {
        const struct engine_home_stepper *moved = &result->steppers[i];
        if (moved->start_steps != moved->trigger_steps)
            continue;
        for (size_t axis = 0; axis < RAIL_COUNT; axis++) {
            if (!(a->axes & (1u << axis)))
                continue;
            const struct endstop *endstop = kinematics_endstop_of(a->th->kin, axis, moved->stepper);
            if (endstop)
                return endstop;
        }
    }
    return NULL;
}

/* Motors on several boards stop at slightly different instants, which on a corexy moves the other axis too. One that is homed
 * goes back; one that is not stays where it is. */
static void leave_unknown_axes(struct approach *a)
{
    double now[TOOLHEAD_AXES_MAX];
    toolhead_get_position(a->th, now);
    for (unsigned i = 0; i < 3; i++)
        if (!(toolhead_homed_axes(a->th) & (1u << i)))
            a->home_pos[i] = a->force_pos[i] = now[i];
}

/* Step back along the way that was come, then approach once more. */
static enum err approach_again(struct approach *a, struct engine_home_result *result, struct err_info *info)
{
    double distance2 = 0.0, way[3], retract_pos[TOOLHEAD_AXES_MAX], start_pos[TOOLHEAD_AXES_MAX];
    leave_unknown_axes(a);
    for (size_t i = 0; i < 3; i++) {
        way[i] = a->home_pos[i] - a->force_pos[i];
        distance2 += way[i] * way[i];
    }
    double share = fmin(1.0, a->rail->retract_dist_mm / sqrt(distance2));
    memcpy(retract_pos, a->home_pos, sizeof retract_pos);
    memcpy(start_pos, a->home_pos, sizeof start_pos);
    for (size_t i = 0; i < 3; i++) {
        retract_pos[i] -= way[i] * share;
        start_pos[i] = retract_pos[i] - way[i] * share;
    }
    enum err e = toolhead_move(a->th, retract_pos, a->rail->retract_speed_mm_s, info);
    if (!e)
        e = toolhead_set_position(a->th, start_pos, 0, info);
    if (!e)
        e = approach_endstops(a, a->rail->second_homing_speed_mm_s, result, info);
    if (e || a->th->base.printer->services->is_batch)
        return e;
    const struct endstop *stuck = find_stuck(a, result);
    return stuck ? err_set(info, ERR_STATE, "Endstop %s still triggered after retract", stuck->name) : OK;
}

static enum err home_approach(struct approach *a, struct err_info *info)
{
    struct printer *printer = a->th->base.printer;
    struct engine_home_result result = {0};
    emit(printer, HOMING_EVENT_RAILS_BEGIN, a->axes);
    enum err e = a->probe ? probe_begin(a->probe, info) : OK;
    if (!e)
        e = toolhead_set_position(a->th, a->force_pos, a->axes, info);
    if (!e)
        e = approach_endstops(a, a->rail->homing_speed_mm_s, &result, info);
    if (!e && a->rail->retract_dist_mm > 0.0)
        e = approach_again(a, &result, info);
    if (a->probe)
        e = probe_end(a->probe, e, info);
    if (e)
        return e;
    gcode_move_homed(printer_gcode_move(printer), a->axes);
    emit(printer, HOMING_EVENT_RAILS_END, a->axes);
    return OK;
}

static enum err add_endstops(struct approach *a, size_t axis, struct err_info *info)
{
    struct endstop *found[RAIL_STEPPERS_MAX];
    size_t count = kinematics_endstops(a->th->kin, axis, found);
    for (size_t i = 0; i < count; i++) {
        if (a->endstop_count == ENGINE_HOME_ENDSTOPS_MAX)
            return err_set(info, ERR_LIMIT, "More than %d endstops in one homing move", ENGINE_HOME_ENDSTOPS_MAX);
        a->endstops[a->endstop_count++] = found[i];
        struct probe *probe = printer_probe(a->th->base.printer);
        if (probe && probe_endstop(probe) == found[i])
            a->probe = probe;
    }
    if (count == 0)
        return err_set(info, ERR_STATE, "Axis %s has no endstop to home to", a->th->kin->rails[axis].letter);
    return OK;
}

/* One and a half times the axis away from the endstop, so that it is met wherever the toolhead stands. */
static enum err home_axis(struct toolhead *th, size_t axis, struct err_info *info)
{
    const struct rail *rail = &th->kin->rails[axis];
    struct approach a = {.th = th, .axes = 1u << axis, .rail = rail};
    enum err e = add_endstops(&a, axis, info);
    if (e)
        return e;
    toolhead_get_position(th, a.home_pos);
    memcpy(a.force_pos, a.home_pos, sizeof a.force_pos);
    a.home_pos[axis] = rail->position_endstop_mm;
    if (rail->is_homing_positive)
        a.force_pos[axis] = rail->position_endstop_mm - 1.5 * (rail->position_endstop_mm - rail->position_min_mm);
    else
        a.force_pos[axis] = rail->position_endstop_mm + 1.5 * (rail->position_max_mm - rail->position_endstop_mm);
    return home_approach(&a, info);
}

static enum err home_delta(struct toolhead *th, struct err_info *info)
{
    const struct engine_kinematics_spec *spec = &th->kin->spec;
    struct approach a = {.th = th, .axes = AXES_DELTA, .rail = &th->kin->rails[0]};
    double carriage_mm[3], arm2_max = 0.0, home[3];
    for (size_t i = 0; i < RAIL_COUNT; i++) {
        const struct rail *rail = &th->kin->rails[i];
        double arm2 = rail->arm_length_mm * rail->arm_length_mm;
        carriage_mm[i] = rail->position_endstop_mm + sqrt(arm2 - spec->delta_radius_mm * spec->delta_radius_mm);
        arm2_max = fmax(arm2_max, arm2);
        enum err e = add_endstops(&a, i, info);
        if (e)
            return e;
    }
    if (engine_forward(th->base.printer->engine, carriage_mm, home))
        return err_set(info, ERR_INVALID, "The towers' endstops do not fit the geometry of the delta");
    toolhead_get_position(th, a.home_pos);
    memcpy(a.home_pos, home, sizeof home);
    memcpy(a.force_pos, a.home_pos, sizeof a.force_pos);
    double radius2 = fmin(spec->print_radius_mm * spec->print_radius_mm, 0.75 * arm2_max);
    a.force_pos[2] = -1.5 * sqrt(arm2_max - radius2);
    return home_approach(&a, info);
}

enum err homing_home(struct printer *printer, unsigned axes, struct err_info *info)
{
    struct toolhead *th = printer_toolhead(printer);
    if (th->kin->rail_count == 0)
        return OK;
    if (kinematics_homes_together(th->kin))
        return home_delta(th, info);
    enum err e = OK;
    for (size_t axis = 0; axis < RAIL_COUNT && !e; axis++)
        if (axes & (1u << axis))
            e = home_axis(th, axis, info);
    return e;
}

void homing_set_override(struct printer *printer, homing_override_fn *fn, void *ctx)
{
    struct homing *homing = (struct homing *)printer_find_object(printer, "homing");
    homing->override = fn;
    homing->override_ctx = ctx;
}

static enum err cmd_g28(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct homing *homing = ctx;
    struct printer *printer = homing->base.printer;
    unsigned axes = 0;
    for (unsigned i = 0; i < 3; i++) {
        const char name[2] = {"XYZ"[i], 0};
        if (gcode_has(cmd, name))
            axes |= 1u << i;
    }
    axes = axes ? axes : 7u;
    enum err e = homing->override ? homing->override(homing->override_ctx, axes, cmd, info)
                                  : homing_home(printer, axes, info);
    if (!e)
        return OK;
    if (printer_is_shutdown(printer))
        return err_set(info, ERR_SHUTDOWN, "Homing failed due to printer shutdown");
    struct err_info ignored;
    enum err off = stepper_enable_all_off(printer, &ignored); /* the first error is the one to tell */
    (void)off;
    return e;
}

static const struct command_param home_params[] = {
    {"X", "flag", NULL, NULL}, {"Y", "flag", NULL, NULL}, {"Z", "flag", NULL, NULL}, {0}};
static const struct command_desc commands[] = {{"G28", NULL, 0, home_params, NULL, cmd_g28}};
static const struct event_desc events[] = {
    {HOMING_EVENT_RAILS_BEGIN, "an axis is about to be homed; data: struct homing_event *"},
    {HOMING_EVENT_RAILS_END, "an axis has been homed; data: struct homing_event *"},
    {HOMING_EVENT_MOVE_BEGIN, "a move towards an endstop begins; data: struct homing_event *"},
    {HOMING_EVENT_MOVE_END, "it has ended; data: struct homing_event *"},
};

const struct object_desc homing_desc = {
    .section = "homing",
    .flags = OBJECT_ALWAYS,
    .help = "Homing of the toolhead",
    .size_bytes = sizeof(struct homing),
    OBJECT_COMMANDS(commands),
    OBJECT_EVENTS(events),
};
