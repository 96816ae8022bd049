/* [gcode_arcs]: G2 and G3 as chains of straight moves, G17 G18 G19. */
#include "base/fiber.h"
#include "server/config/config.h"
#include "server/gcode/arcs.h"
#include "server/gcode/gcode_move.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/toolhead/toolhead.h"

#include <string.h>

struct gcode_arcs {
    struct printer_object base;
    double resolution_mm;
    enum arc_plane plane;
};

static const struct option_desc options[] = {
    {.name = "resolution",
     .type = OPTION_FLOAT,
     .unit = "mm",
     .default_text = "1.0",
     .limits = ">0",
     .help = "Length of the straight pieces that an arc is made of"},
};

static enum err create_object(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    (void)info;
    ((struct gcode_arcs *)obj)->resolution_mm = section_float(section, "resolution");
    return OK;
}

/* The words of the centre that belong to the plane. */
static enum err parse_centre(struct gcode_command *cmd, struct arc *arc, struct err_info *info)
{
    static const char *const words[][2] = {
        [ARC_PLANE_XY] = {"I", "J"}, [ARC_PLANE_XZ] = {"I", "K"}, [ARC_PLANE_YZ] = {"J", "K"}};
    for (size_t i = 0; i < 2; i++) {
        arc->offset[i] = 0.0;
        enum err e = gcode_opt_double(cmd, words[arc->plane][i], GCODE_ANY, &arc->offset[i], info);
        if (e)
            return e;
    }
    if (arc->offset[0] == 0.0 && arc->offset[1] == 0.0)
        return err_set(info, ERR_INVALID, "G2/G3 requires IJ, IK or JK parameters");
    return OK;
}

static enum err parse_arc(struct gcode_command *cmd, const struct gcode_move_status *status, struct arc *arc,
                          struct err_info *info)
{
    if (!status->is_absolute_coord)
        return err_set(info, ERR_INVALID, "G2/G3 does not support relative move mode");
    for (unsigned i = 0; i < 3; i++) {
        const char name[2] = {"XYZ"[i], 0};
        arc->start[i] = arc->target[i] = status->gcode_position[i];
        enum err e = gcode_opt_double(cmd, name, GCODE_ANY, &arc->target[i], info);
        if (e)
            return e;
    }
    if (gcode_has(cmd, "R"))
        return err_set(info, ERR_INVALID, "G2/G3 does not support R moves");
    return parse_centre(cmd, arc, info);
}

/* Extrusion is spread evenly over the pieces, in the mode of E that is in force. */
static enum err run_arc(struct gcode_arcs *self, struct gcode_command *cmd, bool is_clockwise, struct err_info *info)
{
    struct gcode_move *gm = printer_gcode_move(self->base.printer);
    struct gcode_move_status status;
    gcode_move_get_status(gm, &status);
    struct arc arc = {.plane = self->plane, .is_clockwise = is_clockwise, .resolution_mm = self->resolution_mm};
    double e_word = 0.0, feed_mm_min = 0.0;
    enum err e = parse_arc(cmd, &status, &arc, info);
    if (!e)
        e = gcode_opt_double(cmd, "E", GCODE_ANY, &e_word, info);
    if (!e && gcode_has(cmd, "F"))
        e = gcode_get_double_in(cmd, "F", GCODE_ABOVE(0.0), &feed_mm_min, info);
    if (e)
        return e;
    size_t count = 0;
    if (arc_segment_count(&arc, &count))
        return err_set(info, ERR_LIMIT, "The arc of '%s' has more than %d pieces", gcode_line(cmd),
                       ARC_SEGMENT_COUNT_MAX);
    bool has_e = gcode_has(cmd, "E");
    double e_start = status.is_absolute_extrude ? status.gcode_position[GCODE_E] : 0.0;
    double e_step = (e_word - e_start) / (double)count;
    for (size_t i = 1; i <= count && !e; i++) {
        double values[GCODE_AXIS_COUNT_MAX] = {0};
        arc_point(&arc, i, count, values);
        values[GCODE_E] = status.is_absolute_extrude ? e_start + e_step * (double)i : e_step;
        bool use_e = has_e && e_step != 0.0;
        e = gcode_move_linear(gm, use_e ? 0xfu : 7u, values, feed_mm_min, info);
        if (fiber_current() && fiber_is_cancelled(fiber_current()))
            return err_set(info, ERR_CANCELLED, "The arc was cancelled");
    }
    return e;
}

static enum err cmd_g2(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    return run_arc(ctx, cmd, true, info);
}

static enum err cmd_g3(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    return run_arc(ctx, cmd, false, info);
}

static enum err cmd_g17(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)cmd;
    (void)info;
    ((struct gcode_arcs *)ctx)->plane = ARC_PLANE_XY;
    return OK;
}

static enum err cmd_g18(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)cmd;
    (void)info;
    ((struct gcode_arcs *)ctx)->plane = ARC_PLANE_XZ;
    return OK;
}

static enum err cmd_g19(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)cmd;
    (void)info;
    ((struct gcode_arcs *)ctx)->plane = ARC_PLANE_YZ;
    return OK;
}

static const struct command_param arc_params[] = {{"X", "float", "present position", NULL},
                                                  {"Y", "float", "present position", NULL},
                                                  {"Z", "float", "present position", NULL},
                                                  {"I", "float", "0", NULL},
                                                  {"J", "float", "0", NULL},
                                                  {"K", "float", "0", NULL},
                                                  {"E", "float", NULL, NULL},
                                                  {"F", "float", NULL, ">0"},
                                                  {"R", "float", NULL, "not supported"},
                                                  {0}};
static const struct command_desc commands[] = {
    {"G2", NULL, 0, arc_params, NULL, cmd_g2}, {"G3", NULL, 0, arc_params, NULL, cmd_g3},
    {"G17", NULL, 0, NULL, NULL, cmd_g17},     {"G18", NULL, 0, NULL, NULL, cmd_g18},
    {"G19", NULL, 0, NULL, NULL, cmd_g19},
};

const struct object_desc gcode_arcs_desc = {
    .section = "gcode_arcs",
    .flags = OBJECT_EXACT,
    .help = "Arcs: G2 and G3",
    .size_bytes = sizeof(struct gcode_arcs),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    .create = create_object,
};
