/* The toolhead object: [printer], its kinematics, the end of the chain of moves, status. */
#include "server/toolhead/toolhead.h"
#include "base/check.h"
#include "base/strbuf.h"
#include "server/config/config.h"
#include "server/machine/motion_stream.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/machine/stepper.h"
#include "server/toolhead/extruder.h"
#include "server/toolhead/kinematics.h"
#include "server/toolhead/kinematics_options.h"
#include "server/toolhead/manual_stepper.h"
#include "server/toolhead/toolhead_private.h"

#include <math.h>
#include <string.h>

_Static_assert(TOOLHEAD_AXES_MAX == ENGINE_AXES_MAX && GCODE_AXIS_COUNT_MAX == ENGINE_AXES_MAX,
               "coordinates have one length everywhere");

struct toolhead *printer_toolhead(const struct printer *printer)
{
    return (struct toolhead *)printer_find_object(printer, "toolhead");
}

/* --- moves --- */

enum err toolhead_move(struct toolhead *th, const double *pos, double speed_mm_s, struct err_info *info)
{
    struct printer *printer = th->base.printer;
    struct engine_move move = {.source = motion_source(printer)};
    memcpy(move.pos, pos, sizeof move.pos);
    double sent = 1.0, now = 1.0;
    enum err e;
    do {
        const bool is_feed = gcode_move_feed(printer_gcode_move(printer), &sent, &now);
        move.feed_factor = is_feed ? now : 0.0;
        move.speed_mm_s = is_feed && now != sent ? speed_mm_s / sent * now : speed_mm_s;
        e = engine_move(printer->engine, &move, info);
    } while (motion_may_retry(printer, &e, info));
    char warning[ENGINE_WARNING_MAX];
    if (engine_take_warning(printer->engine, warning))
        gcode_respond_info(printer->gcode, "%s", warning);
    return e;
}

void toolhead_get_position(const struct toolhead *th, double pos[TOOLHEAD_AXES_MAX])
{
    engine_commanded_position(th->base.printer->engine, pos);
}

enum err toolhead_manual_move(struct toolhead *th, const double *pos, double speed_mm_s, struct err_info *info)
{
    double target[TOOLHEAD_AXES_MAX];
    toolhead_get_position(th, target);
    for (size_t i = 0; i < TOOLHEAD_AXES_MAX; i++)
        if (!isnan(pos[i]))
            target[i] = pos[i];
    enum err e = toolhead_move(th, target, speed_mm_s, info);
    gcode_move_reset_position(printer_gcode_move(th->base.printer));
    printer_emit(th->base.printer, TOOLHEAD_EVENT_MANUAL_MOVE, NULL);
    return e;
}

enum err toolhead_set_position(struct toolhead *th, const double *pos, unsigned homed_axes, struct err_info *info)
{
    struct printer *printer = th->base.printer;
    enum err e;
    do {
        e = engine_set_position(printer->engine, pos, (1u << TOOLHEAD_AXES_MAX) - 1u, motion_source(printer), info);
    } while (motion_may_retry(printer, &e, info));
    if (e)
        return e;
    engine_set_homed(printer->engine, homed_axes);
    printer_status_touch(&th->base);
    gcode_move_reset_position(printer_gcode_move(printer));
    printer_emit(printer, TOOLHEAD_EVENT_SET_POSITION, NULL);
    return OK;
}

enum err toolhead_dwell(struct toolhead *th, double seconds, struct err_info *info)
{
    struct printer *printer = th->base.printer;
    enum err e;
    do {
        e = engine_dwell(printer->engine, seconds, motion_source(printer), info);
    } while (motion_may_retry(printer, &e, info));
    return e;
}

enum err toolhead_wait_moves(struct toolhead *th, struct err_info *info)
{
    return motion_wait_executed(th->base.printer, info);
}

enum err toolhead_last_move_time(struct toolhead *th, struct print_time *at, struct err_info *info)
{
    return engine_wait_planned(th->base.printer->engine, motion_source(th->base.printer), at, info);
}

/* The end of the chain. */
static enum err transform_move(void *ctx, const double *pos, double speed_mm_s, struct err_info *info)
{
    return toolhead_move(ctx, pos, speed_mm_s, info);
}

static void transform_position(void *ctx, double *pos)
{
    toolhead_get_position(ctx, pos);
}

/* --- state --- */

unsigned toolhead_homed_axes(const struct toolhead *th)
{
    return engine_homed(th->base.printer->engine);
}

void toolhead_clear_homed(struct toolhead *th, unsigned axes)
{
    engine_clear_homed(th->base.printer->engine, axes);
    printer_status_touch(&th->base);
}

void toolhead_axis_range(const struct toolhead *th, double min_mm[3], double max_mm[3])
{
    engine_axis_range(th->base.printer->engine, min_mm, max_mm);
}

enum err toolhead_kinematic_position(struct toolhead *th, double xyz[3], struct err_info *info)
{
    struct engine *engine = th->base.printer->engine;
    double rail_mm[RAIL_COUNT] = {0.0, 0.0, 0.0};
    for (size_t i = 0; i < th->kin->rail_count; i++) {
        struct engine_stepper_position position = {0};
        enum err e = engine_stepper_position_at(engine, th->kin->rails[i].steppers[0]->engine,
                                                (struct print_time){INFINITY}, &position, info);
        if (e)
            return e;
        rail_mm[i] = position.commanded_mm;
    }
    if (engine_forward(engine, rail_mm, xyz))
        return err_set(info, ERR_INVALID, "The motors' positions fit no position of the toolhead");
    return OK;
}

double toolhead_max_velocity(const struct toolhead *th)
{
    return th->limits.max_velocity_mm_s;
}

double toolhead_max_accel(const struct toolhead *th)
{
    return th->limits.max_accel_mm_s2;
}

const char *toolhead_extruder(const struct toolhead *th)
{
    return th->extruder ? th->extruder : "";
}

void toolhead_configured_limits(struct printer *printer, double *max_velocity_mm_s, double *max_accel_mm_s2)
{
    *max_velocity_mm_s = *max_accel_mm_s2 = 1.0; /* whatever: a configuration without them is refused anyway */
    struct config_section *section = config_find(printer->config, "printer");
    if (!section)
        return;
    section_bind(section, printer_options, printer_option_count);
    *max_velocity_mm_s = section_float(section, "max_velocity");
    *max_accel_mm_s2 = section_float(section, "max_accel");
}

/* --- the commit horizon --- */

enum err toolhead_show_executed(struct toolhead *th, const struct engine_source *held)
{
    struct gcode_move *gm = printer_gcode_move(th->base.printer);
    struct gcode_modal executed;
    if (!th->is_executed_shown)
        gcode_move_get_modal(gm, &th->read_modal);
    th->is_executed_shown = true;
    manual_steppers_name_axes(th->base.printer);
    enum err e = held->state ? gcode_move_modal_of(gm, held->state, &executed) : OK;
    gcode_move_set_modal(gm, held->state && !e ? &executed : &th->read_modal);
    return e;
}

void toolhead_show_read(struct toolhead *th)
{
    if (!th->is_executed_shown)
        return;
    th->is_executed_shown = false;
    manual_steppers_name_axes(th->base.printer);
    gcode_move_set_modal(printer_gcode_move(th->base.printer), &th->read_modal);
}

void toolhead_forget_read(struct toolhead *th)
{
    th->is_executed_shown = false;
    manual_steppers_name_axes(th->base.printer);
}

/* --- the object --- */

static void on_motors_off(void *ctx, const char *event, void *data)
{
    (void)event;
    (void)data;
    toolhead_clear_homed(ctx, 7);
}

static enum err create_object(struct printer_object *obj, struct config_section *unused, struct err_info *info)
{
    (void)unused;
    (void)info;
    struct toolhead *th = (struct toolhead *)obj;
    struct printer *printer = obj->printer;
    th->transform = (struct gcode_transform){"toolhead", th, transform_move, transform_position, NULL};
    struct config_section *section = config_find(printer->config, "printer");
    if (!section) {
        config_error_place(printer->config, "", 0, "Section 'printer' must be specified");
        return OK;
    }
    section_bind(section, printer_options, printer_option_count);
    th->limits.max_velocity_mm_s = section_float(section, "max_velocity");
    th->limits.max_accel_mm_s2 = section_float(section, "max_accel");
    th->limits.minimum_cruise_ratio = section_float(section, "minimum_cruise_ratio");
    th->limits.square_corner_velocity_mm_s = section_float(section, "square_corner_velocity");
    printer_subscribe(obj->printer, STEPPER_EVENT_MOTOR_OFF, on_motors_off, th);
    th->kin = kinematics_create(printer, section, th->limits.max_velocity_mm_s, th->limits.max_accel_mm_s2);
    printer_load_object(printer, "homing", NULL);
    return OK;
}

static void on_engine_event(void *ctx, const struct engine_event *event)
{
    struct toolhead *th = ctx;
    struct print_time at = event->at;
    if (event->kind == ENGINE_EVENT_STARTED)
        printer_emit(th->base.printer, TOOLHEAD_EVENT_SYNC_PRINT_TIME, &at);
}

static enum err connect_object(struct printer_object *obj, struct err_info *info)
{
    struct toolhead *th = (struct toolhead *)obj;
    enum err e = kinematics_connect(th->kin, info);
    if (e)
        return e;
    engine_set_limits(obj->printer->engine, &th->limits);
    engine_listen(obj->printer->engine, on_engine_event, th);
    return OK;
}

static void on_ready(struct printer_object *obj)
{
    struct toolhead *th = (struct toolhead *)obj;
    struct gcode_move *gm = printer_gcode_move(obj->printer);
    extruder_activate_first(obj->printer);
    gcode_move_set_toolhead(gm, &th->transform);
    gcode_move_reset_position(gm);
}

static void destroy_object(struct printer_object *obj)
{
    kinematics_destroy(((struct toolhead *)obj)->kin);
}

static void write_coord(struct status_writer *writer, const char *field, const double xyz[3])
{
    struct strbuf *json = status_begin_json(writer, field);
    strbuf_addc(json, '[');
    for (size_t i = 0; i < 3; i++) {
        strbuf_add_json_double(json, xyz[i]);
        strbuf_adds(json, ", ");
    }
    strbuf_adds(json, "0]"); /* E has no limits */
    status_end_json(writer);
}

static void write_extra_axes(const struct toolhead *th, struct status_writer *writer)
{
    struct strbuf *json = status_begin_json(writer, "extra_axes");
    strbuf_addc(json, '{');
    if (th->extruder) {
        strbuf_add_json_string(json, th->extruder, strlen(th->extruder));
        strbuf_adds(json, ": 3");
    }
    if (th->base.printer->engine)
        manual_steppers_add_axes_json(th->base.printer, json, th->extruder != NULL);
    strbuf_addc(json, '}');
    status_end_json(writer);
}

static void write_status(struct printer_object *obj, struct status_writer *writer)
{
    const struct toolhead *th = (const struct toolhead *)obj;
    struct printer *printer = obj->printer;
    struct engine_status status = {0};
    double min_mm[3] = {0}, max_mm[3] = {0}, pos[ENGINE_AXES_MAX] = {0};
    unsigned homed = 0;
    if (printer->engine) {
        engine_get_status(printer->engine, printer_now(printer), &status);
        engine_axis_range(printer->engine, min_mm, max_mm);
        engine_commanded_position(printer->engine, pos);
        homed = engine_homed(printer->engine);
    }
    char axes[4];
    size_t count = 0;
    for (unsigned i = 0; i < 3; i++)
        if (homed & (1u << i))
            axes[count++] = "xyz"[i];
    axes[count] = 0;
    status_string(writer, "homed_axes", axes);
    write_coord(writer, "axis_minimum", min_mm);
    write_coord(writer, "axis_maximum", max_mm);
    status_float(writer, "print_time", status.print_time.s);
    status_int(writer, "stalls", status.stalls);
    status_float(writer, "estimated_print_time", status.est_print_time.s);
    status_string(writer, "extruder", toolhead_extruder(th));
    status_floats(writer, "position", pos, gcode_move_axis_count(printer_gcode_move(printer)));
    status_float(writer, "max_velocity", th->limits.max_velocity_mm_s);
    status_float(writer, "max_accel", th->limits.max_accel_mm_s2);
    status_float(writer, "minimum_cruise_ratio", th->limits.minimum_cruise_ratio);
    status_float(writer, "square_corner_velocity", th->limits.square_corner_velocity_mm_s);
    write_extra_axes(th, writer);
}

static const struct status_field_desc fields[] = {
    {"homed_axes", "str", "those of xyz whose position is known"},
    {"axis_minimum", "coord", "lower travel limits"},
    {"axis_maximum", "coord", "upper travel limits"},
    {"print_time", "float", "print time at which what is planned ends"},
    {"stalls", "int", "times the motion waited because G-code came too slowly"},
    {"estimated_print_time", "float", "print time the boards are at"},
    {"extruder", "str", "name of the active extruder, empty if there is none"},
    {"position", "coord", "commanded position, behind all transforms"},
    {"max_velocity", "float", "speed limit in force"},
    {"max_accel", "float", "acceleration limit in force"},
    {"minimum_cruise_ratio", "float", "cruise ratio in force"},
    {"square_corner_velocity", "float", "corner speed in force"},
    {"extra_axes", "dict", "object to its index in coordinates"},
};
static const struct event_desc events[] = {
    {TOOLHEAD_EVENT_SET_POSITION, "the position was declared anew; no data"},
    {TOOLHEAD_EVENT_MANUAL_MOVE, "an object has moved the toolhead; no data"},
    {TOOLHEAD_EVENT_SYNC_PRINT_TIME, "motion begins after a pause; data: its struct print_time"},
};

const struct object_desc toolhead_desc = {
    .section = "toolhead",
    .flags = OBJECT_ALWAYS | OBJECT_LAST,
    .help = "The toolhead: limits, position, waiting",
    .size_bytes = sizeof(struct toolhead),
    .commands = toolhead_commands,
    .command_count = TOOLHEAD_COMMAND_COUNT,
    OBJECT_FIELDS(fields),
    OBJECT_EVENTS(events),
    .create = create_object,
    .connect = connect_object,
    .ready = on_ready,
    .destroy = destroy_object,
    .status = write_status,
};
