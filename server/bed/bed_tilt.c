/* [bed_tilt]: moves follow a bed that leans. One of the transforms: it excludes [bed_mesh]. */
#include "base/strbuf.h"
#include "server/bed/bed_plane.h"
#include "server/bed/probe_round.h"
#include "server/config/autosave.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/gcode/gcode_move.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/toolhead/probe_device.h"
#include "server/toolhead/toolhead.h"

#include <stdio.h>
#include <string.h>

struct bed_tilt {
    struct printer_object obj;
    struct gcode_transform transform;
    struct probe_round round;
    struct bed_plane plane; /* of the bed */
};

static enum err move(void *ctx, const double *pos, double speed_mm_s, struct err_info *info)
{
    struct bed_tilt *t = ctx;
    double to[GCODE_AXIS_COUNT_MAX];
    memcpy(to, pos, gcode_move_axis_count(printer_gcode_move(t->obj.printer)) * sizeof *to);
    to[2] += bed_plane_at(&t->plane, pos[0], pos[1]);
    return t->transform.next->move(t->transform.next->ctx, to, speed_mm_s, info);
}

static void get_position(void *ctx, double *pos)
{
    struct bed_tilt *t = ctx;
    t->transform.next->get_position(t->transform.next->ctx, pos);
    pos[2] -= bed_plane_at(&t->plane, pos[0], pos[1]);
}

static enum err measured(void *ctx, const struct probe_round_result *result, bool *again, struct err_info *info)
{
    struct bed_tilt *t = ctx;
    struct printer *printer = t->obj.printer;
    struct bed_plane plane = bed_plane_fit(result->bed_mm, result->count);
    const struct {
        const char *option;
        double value;
    } saved[] = {{"x_adjust", plane.slope_x}, {"y_adjust", plane.slope_y}, {"z_adjust", plane.z0_mm}};
    enum err e = OK;
    (void)again;
    for (size_t i = 0; i < sizeof saved / sizeof saved[0] && !e; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "%.6f", saved[i].value);
        e = config_set_autosave(printer->config, "bed_tilt", saved[i].option, text, info);
    }
    if (e)
        return e;
    t->plane = plane;
    gcode_move_reset_position(printer_gcode_move(printer));
    gcode_respond_info(printer->gcode,
                       "x_adjust: %.6f y_adjust: %.6f z_adjust: %.6f\nThe SAVE_CONFIG command will update the printer "
                       "config file\nwith the above and restart the printer.",
                       plane.slope_x, plane.slope_y, plane.z0_mm);
    return OK;
}

static enum err cmd_calibrate(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    return probe_round_run(&((struct bed_tilt *)ctx)->round, cmd, info);
}

static const struct option_desc options[] = {
    {.name = "x_adjust", .type = OPTION_FLOAT, .default_text = "0", .help = "Height of the bed per mm of x"},
    {.name = "y_adjust", .type = OPTION_FLOAT, .default_text = "0", .help = "Height of the bed per mm of y"},
    {.name = "z_adjust", .type = OPTION_FLOAT, .unit = "mm", .default_text = "0", .help = "Height of the bed at 0, 0"},
    PROBE_ROUND_POINTS("Where the nozzle is while the bed is measured, a line each"),
    PROBE_ROUND_OPTIONS,
};

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct bed_tilt *t = (struct bed_tilt *)obj;
    t->plane = (struct bed_plane){section_float(section, "z_adjust"), section_float(section, "x_adjust"),
                                  section_float(section, "y_adjust")};
    probe_round_setup(&t->round, obj->printer, section, measured, t);
    probe_round_read_places(&t->round, section, "points", 3);
    t->transform = (struct gcode_transform){.name = "bed_tilt", .ctx = t, .move = move, .get_position = get_position};
    return gcode_move_add_transform(printer_gcode_move(obj->printer), &t->transform, false, info);
}

static void destroy(struct printer_object *obj)
{
    probe_round_deinit(&((struct bed_tilt *)obj)->round);
}

static const struct command_param params[] = {PROBE_ROUND_PARAMS, {0}};
static const struct command_desc commands[] = {
    {.name = "BED_TILT_CALIBRATE",
     .params = params,
     .help = "Bed tilt calibration script",
     .handler = cmd_calibrate},
};

const struct object_desc bed_tilt_desc = {
    .section = "bed_tilt",
    .flags = OBJECT_EXACT,
    .help = "Moves follow a bed that leans",
    .size_bytes = sizeof(struct bed_tilt),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    .create = create,
    .destroy = destroy,
};
