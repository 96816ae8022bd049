/* The object `gcode_move`: the modal state of server/gcode as part of a printer, and GET_POSITION's view below it. */
#include "base/strbuf.h"
#include "motion/engine.h"
#include "server/gcode/gcode_move.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/machine/stepper.h"
#include "server/toolhead/toolhead.h"

#include <math.h>
#include <string.h>

struct gcode_move *printer_gcode_move(const struct printer *printer)
{
    return printer->gcode_move;
}

/* GET_POSITION: the layers below G-code. Rails are those of the toolhead's queue, in order of the engine. */
static enum err describe(void *ctx, struct strbuf *out, struct err_info *info)
{
    struct printer *printer = ctx;
    struct engine *engine = printer->engine;
    struct strbuf steppers;
    strbuf_init(&steppers);
    strbuf_adds(out, "mcu:");
    enum err e = OK;
    for (size_t i = 0; stepper_at(printer, i) && !e; i++) {
        const struct stepper *stepper = stepper_at(printer, i);
        if (engine_stepper_queue(stepper->engine) != engine_toolhead(engine))
            continue;
        struct engine_stepper_position position = {0};
        e = engine_stepper_position_at(engine, stepper->engine, (struct print_time){INFINITY}, &position, info);
        strbuf_addf(out, " %s:%lld", stepper->name, (long long)position.steps);
        strbuf_addf(&steppers, " %s:%.6f", stepper->name, position.commanded_mm);
    }
    double xyz[3] = {0}, pos[TOOLHEAD_AXES_MAX];
    if (!e)
        e = toolhead_kinematic_position(printer_toolhead(printer), xyz, info);
    if (!e) {
        toolhead_get_position(printer_toolhead(printer), pos);
        strbuf_addf(out, "\nstepper:%s\nkinematic: X:%.6f Y:%.6f Z:%.6f\n", steppers.data ? steppers.data : "", xyz[0],
                    xyz[1], xyz[2]);
        strbuf_addf(out, "toolhead: X:%.6f Y:%.6f Z:%.6f E:%.6f\n", pos[0], pos[1], pos[2], pos[3]);
    }
    strbuf_deinit(&steppers);
    return e;
}

static enum err create_gcode_move(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    (void)section;
    (void)info;
    obj->printer->gcode_move = gcode_move_create(obj->printer->gcode);
    return OK;
}

static void on_gcode_move_ready(struct printer_object *obj)
{
    gcode_move_set_describe(obj->printer->gcode_move, describe, obj->printer);
}

static void destroy_gcode_move(struct printer_object *obj)
{
    gcode_move_destroy(obj->printer->gcode_move);
    obj->printer->gcode_move = NULL;
}

static void *gcode_move_ctx(struct printer_object *obj)
{
    return obj->printer->gcode_move;
}

static void write_gcode_move_status(struct printer_object *obj, struct status_writer *writer)
{
    struct gcode_move_status status;
    gcode_move_get_status(obj->printer->gcode_move, &status);
    status_float(writer, "speed_factor", status.speed_factor);
    status_float(writer, "speed", status.speed_mm_min);
    status_float(writer, "extrude_factor", status.extrude_factor);
    status_bool(writer, "absolute_coordinates", status.is_absolute_coord);
    status_bool(writer, "absolute_extrude", status.is_absolute_extrude);
    status_floats(writer, "homing_origin", status.homing_origin, 4);
    status_floats(writer, "position", status.position, status.axis_count);
    status_floats(writer, "gcode_position", status.gcode_position, status.axis_count);
    struct strbuf *json = status_begin_json(writer, "axis_map");
    for (size_t i = 0; i < status.axis_count; i++)
        strbuf_addf(json, "%s\"%c\": %zu", i ? ", " : "{", status.axis_letters[i], i);
    strbuf_addc(json, '}');
    status_end_json(writer);
}

static const struct status_field_desc gcode_move_fields[] = {
    {"speed_factor", "float", "M220 override, 1.0 is nominal"},
    {"speed", "float", "last F, before the override"},
    {"extrude_factor", "float", "M221 override, 1.0 is nominal"},
    {"absolute_coordinates", "bool", "G90 is in force"},
    {"absolute_extrude", "bool", "M82 is in force"},
    {"homing_origin", "coord", "values of SET_GCODE_OFFSET"},
    {"position", "coord", "last position, before transforms"},
    {"gcode_position", "coord", "last position relative to the G-code origin"},
    {"axis_map", "dict", "letter to index in coordinates"},
};

const struct object_desc gcode_move_desc = {
    .section = "gcode_move",
    .flags = OBJECT_ALWAYS,
    .help = "Modal state of G-code: coordinates, offsets, factors",
    .size_bytes = sizeof(struct printer_object),
    .commands = gcode_move_commands,
    .command_count = GCODE_MOVE_COMMAND_COUNT,
    OBJECT_FIELDS(gcode_move_fields),
    .create = create_gcode_move,
    .ready = on_gcode_move_ready,
    .destroy = destroy_gcode_move,
    .status = write_gcode_move_status,
    .command_ctx = gcode_move_ctx,
};
