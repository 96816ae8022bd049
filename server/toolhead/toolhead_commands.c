/* G4, M400, M204, SET_VELOCITY_LIMIT. */
#include "base/strbuf.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/toolhead/toolhead_private.h"

#include <string.h>

static enum err cmd_g4(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    double delay_ms = 0.0;
    enum err e = gcode_opt_double(cmd, "P", GCODE_MIN(0.0), &delay_ms, info);
    return e ? e : toolhead_dwell(ctx, delay_ms / 1000.0, info);
}

static enum err cmd_m400(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)cmd;
    return toolhead_wait_moves(ctx, info);
}

static void apply_limits(struct toolhead *th, const struct engine_limits *limits)
{
    th->limits = *limits;
    engine_set_limits(th->base.printer->engine, limits);
    printer_status_touch(&th->base);
}

/* S, or the lesser of P (printing) and T (travel). */
static enum err cmd_m204(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct toolhead *th = ctx;
    double accel = 0.0, travel = 0.0;
    enum err e;
    if (gcode_has(cmd, "S")) {
        e = gcode_get_double_in(cmd, "S", GCODE_ABOVE(0.0), &accel, info);
    } else if (gcode_has(cmd, "P") && gcode_has(cmd, "T")) {
        e = gcode_get_double_in(cmd, "P", GCODE_ABOVE(0.0), &accel, info);
        if (!e)
            e = gcode_get_double_in(cmd, "T", GCODE_ABOVE(0.0), &travel, info);
        if (!e && travel < accel)
            accel = travel;
    } else {
        gcode_respond_info(gcode_of(cmd), "Invalid M204 command \"%s\"", gcode_line(cmd));
        return OK;
    }
    if (e)
        return e;
    struct engine_limits limits = th->limits;
    limits.max_accel_mm_s2 = accel;
    apply_limits(th, &limits);
    return OK;
}

static enum err cmd_set_velocity_limit(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct toolhead *th = ctx;
    struct engine_limits limits = th->limits;
    static const struct gcode_limits ratio = {0.0, __builtin_inf(), -__builtin_inf(), 1.0};
    enum err e = gcode_opt_double(cmd, "VELOCITY", GCODE_ABOVE(0.0), &limits.max_velocity_mm_s, info);
    if (!e)
        e = gcode_opt_double(cmd, "ACCEL", GCODE_ABOVE(0.0), &limits.max_accel_mm_s2, info);
    if (!e)
        e = gcode_opt_double(cmd, "SQUARE_CORNER_VELOCITY", GCODE_MIN(0.0), &limits.square_corner_velocity_mm_s, info);
    if (!e)
        e = gcode_opt_double(cmd, "MINIMUM_CRUISE_RATIO", ratio, &limits.minimum_cruise_ratio, info);
    if (e)
        return e;
    apply_limits(th, &limits);
    bool is_change = gcode_has(cmd, "VELOCITY") || gcode_has(cmd, "ACCEL") ||
                     gcode_has(cmd, "SQUARE_CORNER_VELOCITY") || gcode_has(cmd, "MINIMUM_CRUISE_RATIO");
    if (!is_change)
        gcode_respond_info(gcode_of(cmd),
                           "max_velocity: %.6f\nmax_accel: %.6f\nminimum_cruise_ratio: %.6f\n"
                           "square_corner_velocity: %.6f",
                           limits.max_velocity_mm_s, limits.max_accel_mm_s2, limits.minimum_cruise_ratio,
                           limits.square_corner_velocity_mm_s);
    return OK;
}

static const struct command_param dwell_params[] = {{"P", "float", "0", ">=0"}, {0}};
static const struct command_param accel_params[] = {
    {"S", "float", NULL, ">0"}, {"P", "float", NULL, ">0"}, {"T", "float", NULL, ">0"}, {0}};
static const struct command_param limit_params[] = {{"VELOCITY", "float", NULL, ">0"},
                                                    {"ACCEL", "float", NULL, ">0"},
                                                    {"SQUARE_CORNER_VELOCITY", "float", NULL, ">=0"},
                                                    {"MINIMUM_CRUISE_RATIO", "float", NULL, ">=0 <1"},
                                                    {0}};

const struct command_desc toolhead_commands[TOOLHEAD_COMMAND_COUNT] = {
    {"G4", NULL, 0, dwell_params, NULL, cmd_g4},
    {"M400", NULL, 0, NULL, NULL, cmd_m400},
    {"M204", NULL, 0, accel_params, NULL, cmd_m204},
    {"SET_VELOCITY_LIMIT", NULL, 0, limit_params, "Set or show the limits of the toolhead's motion",
     cmd_set_velocity_limit},
};
