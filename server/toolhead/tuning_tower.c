/* TUNING_TOWER: a parameter of some command that changes with the height of the print. A transform in front of the chain
 * looks at each move: the first extrusion at a new height sets the value for it; one far below the last ends the test. */
#include "base/mem.h"
#include "base/strbuf.h"
#include "server/gcode/gcode.h"
#include "server/gcode/gcode_move.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/toolhead/toolhead.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CANCEL_Z_MM 2.0 /* an extrusion this far below the last one belongs to another print */
#define TEXT_MAX    128 /* of a command's and a parameter's name together */

struct tuning_tower {
    struct printer_object obj;
    struct gcode_transform transform;
    bool is_active;
    char format[TEXT_MAX]; /* "SET_PRESSURE_ADVANCE ADVANCE=": the value follows */
    double start, factor, band_mm, step_delta, step_height_mm, skip_mm;
    double last_pos[GCODE_AXIS_COUNT_MAX], last_z_mm; /* -INFINITY: nothing extruded yet */
    double last_value;                                /* NAN: none set yet */
};

static double value_at(const struct tuning_tower *t, double z_mm)
{
    if (t->skip_mm > 0)
        z_mm = fmax(0, z_mm - t->skip_mm);
    if (t->step_height_mm > 0)
        return t->start + t->step_delta * floor(z_mm / t->step_height_mm);
    if (t->band_mm > 0)
        z_mm = (floor(z_mm / t->band_mm) + 0.5) * t->band_mm;
    return t->start + z_mm * t->factor;
}

static void end(struct tuning_tower *t)
{
    if (!t->is_active)
        return;
    t->is_active = false;
    gcode_move_remove_transform(printer_gcode_move(t->obj.printer), &t->transform);
    printer_respond_info(t->obj.printer, "Ending tuning test mode");
}

/* An extrusion at another height than the last one. */
static enum err set_value(struct tuning_tower *t, double z_mm, struct err_info *info)
{
    if (z_mm < t->last_z_mm - CANCEL_Z_MM) {
        end(t);
        return OK;
    }
    t->last_z_mm = z_mm;
    struct gcode_move_status status;
    gcode_move_get_status(printer_gcode_move(t->obj.printer), &status);
    double value = value_at(t, status.gcode_position[GCODE_Z]);
    if (value == t->last_value)
        return OK;
    t->last_value = value;
    char *line = mem_sprintf("%s%.9f", t->format, value);
    enum err err = gcode_run_script(t->obj.printer->gcode, line, strlen(line), info);
    mem_free(line);
    return err;
}

static enum err move(void *ctx, const double *pos, double speed_mm_s, struct err_info *info)
{
    struct tuning_tower *t = ctx;
    struct gcode_transform *next = t->transform.next; /* the test may end here */
    bool is_extruding = pos[GCODE_E] > t->last_pos[GCODE_E];
    bool is_moving = memcmp(pos, t->last_pos, 3 * sizeof *pos) != 0;
    enum err err = OK;
    if (is_extruding && is_moving && pos[GCODE_Z] != t->last_z_mm)
        err = set_value(t, pos[GCODE_Z], info);
    if (err)
        return err;
    memcpy(t->last_pos, pos, gcode_move_axis_count(printer_gcode_move(t->obj.printer)) * sizeof *pos);
    return next->move(next->ctx, pos, speed_mm_s, info);
}

static void get_position(void *ctx, double *pos)
{
    struct tuning_tower *t = ctx;
    t->transform.next->get_position(t->transform.next->ctx, pos);
    memcpy(t->last_pos, pos, gcode_move_axis_count(printer_gcode_move(t->obj.printer)) * sizeof *pos);
}

static enum err read_params(struct tuning_tower *t, struct gcode_command *cmd, struct err_info *info)
{
    const char *command, *parameter;
    enum err err = gcode_get_str(cmd, "COMMAND", &command, info);
    if (!err)
        err = gcode_get_str(cmd, "PARAMETER", &parameter, info);
    if (!err)
        err = gcode_opt_double(cmd, "START", GCODE_ANY, &t->start, info);
    if (!err)
        err = gcode_opt_double(cmd, "FACTOR", GCODE_ANY, &t->factor, info);
    if (!err)
        err = gcode_opt_double(cmd, "BAND", GCODE_MIN(0), &t->band_mm, info);
    if (!err)
        err = gcode_opt_double(cmd, "STEP_DELTA", GCODE_ANY, &t->step_delta, info);
    if (!err)
        err = gcode_opt_double(cmd, "STEP_HEIGHT", GCODE_MIN(0), &t->step_height_mm, info);
    if (!err)
        err = gcode_opt_double(cmd, "SKIP", GCODE_MIN(0), &t->skip_mm, info);
    if (err)
        return err;
    if (t->factor != 0 && (t->step_height_mm != 0 || t->step_delta != 0))
        return err_set(info, ERR_INVALID, "Cannot specify both FACTOR and STEP_DELTA/STEP_HEIGHT");
    if ((t->step_delta != 0) != (t->step_height_mm != 0))
        return err_set(info, ERR_INVALID, "Must specify both STEP_DELTA and STEP_HEIGHT");
    int len = snprintf(t->format, sizeof t->format, gcode_is_traditional(command) ? "%s %s" : "%s %s=", command, parameter);
    if (len < 0 || (size_t)len >= sizeof t->format)
        return err_set(info, ERR_LIMIT, "COMMAND and PARAMETER are too long (allowed: %d characters)", TEXT_MAX - 3);
    return OK;
}

static enum err cmd_tuning_tower(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct tuning_tower *t = ctx, wanted = {.start = 0};
    enum err err = read_params(&wanted, cmd, info);
    if (err)
        return err;
    end(t);
    wanted.obj = t->obj;
    wanted.transform = t->transform;
    wanted.last_z_mm = -INFINITY;
    wanted.last_value = NAN;
    wanted.is_active = true;
    *t = wanted;
    err = gcode_move_add_transform(printer_gcode_move(t->obj.printer), &t->transform, true, info);
    if (err)
        return err;
    gcode_move_reset_position(printer_gcode_move(t->obj.printer));
    struct strbuf text;
    strbuf_init(&text);
    strbuf_addf(&text, "Starting tuning test (start=%.6f", t->start);
    if (t->factor != 0)
        strbuf_addf(&text, " factor=%.6f", t->factor);
    if (t->band_mm > 0)
        strbuf_addf(&text, " band=%.6f", t->band_mm);
    if (t->step_delta != 0)
        strbuf_addf(&text, " step_delta=%.6f step_height=%.6f", t->step_delta, t->step_height_mm);
    if (t->skip_mm > 0)
        strbuf_addf(&text, " skip=%.6f", t->skip_mm);
    gcode_respond_info(gcode_of(cmd), "%s)", text.data);
    strbuf_deinit(&text);
    return OK;
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct tuning_tower *t = (struct tuning_tower *)obj;
    (void)section;
    (void)info;
    t->transform = (struct gcode_transform){.name = "tuning_tower", .ctx = t, .move = move, .get_position = get_position};
    return OK;
}

static const struct command_param params[] = {
    {"COMMAND", "str", "required", NULL}, {"PARAMETER", "str", "required", NULL}, {"START", "float", "0", NULL},
    {"FACTOR", "float", "0", NULL},       {"BAND", "float", "0", ">=0"},          {"STEP_DELTA", "float", "0", NULL},
    {"STEP_HEIGHT", "float", "0", ">=0"}, {"SKIP", "float", "0", ">=0"},          {0}};
static const struct command_desc commands[] = {
    {.name = "TUNING_TOWER",
     .params = params,
     .help = "Tool to adjust a parameter at each Z height",
     .handler = cmd_tuning_tower},
};

const struct object_desc tuning_tower_desc = {
    .section = "tuning_tower",
    .flags = OBJECT_ALWAYS,
    .help = "Changes a parameter with the height of the print.",
    .size_bytes = sizeof(struct tuning_tower),
    OBJECT_COMMANDS(commands),
    .create = create,
};
