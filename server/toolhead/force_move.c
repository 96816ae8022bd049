/* Moves past all kinematics and declared positions: FORCE_MOVE, STEPPER_BUZZ, SET_KINEMATIC_POSITION. */
#include "motion/engine.h"
#include "server/config/config.h"
#include "server/machine/motion_stream.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/stepper.h"
#include "server/toolhead/toolhead_private.h"

#include <ctype.h>
#include <string.h>

#define BUZZ_COUNT       10
#define BUZZ_DISTANCE_MM 1.0
#define BUZZ_SPEED_MM_S  4.0

struct force_move {
    struct printer_object base;
};

static const struct option_desc options[] = {
    {.name = "enable_force_move",
     .type = OPTION_BOOL,
     .default_text = "False",
     .help = "Allow FORCE_MOVE and SET_KINEMATIC_POSITION"},
};

static enum err find_stepper(struct printer *printer, struct gcode_command *cmd, struct stepper **stepper,
                             struct err_info *info)
{
    const char *name = NULL;
    enum err e = gcode_get_str(cmd, "STEPPER", &name, info);
    if (e)
        return e;
    *stepper = stepper_find(printer, name);
    return *stepper ? OK : err_set(info, ERR_NOT_FOUND, "Unknown stepper %s", name);
}

static enum err move(struct printer *printer, struct stepper *stepper, double distance_mm, double speed_mm_s,
                     double accel_mm_s2, struct err_info *info)
{
    enum err e;
    do {
        e = engine_force_move(printer->engine, stepper->engine, distance_mm, speed_mm_s, accel_mm_s2,
                              motion_source(printer), info);
    } while (motion_may_retry(printer, &e, info));
    return e;
}

static enum err cmd_force_move(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct printer *printer = ((struct force_move *)ctx)->base.printer;
    struct stepper *stepper = NULL;
    double distance_mm = 0.0, speed_mm_s = 0.0, accel_mm_s2 = 0.0;
    enum err e = find_stepper(printer, cmd, &stepper, info);
    if (!e)
        e = gcode_get_double(cmd, "DISTANCE", &distance_mm, info);
    if (!e)
        e = gcode_get_double_in(cmd, "VELOCITY", GCODE_ABOVE(0.0), &speed_mm_s, info);
    if (!e)
        e = gcode_opt_double(cmd, "ACCEL", GCODE_MIN(0.0), &accel_mm_s2, info);
    if (!e)
        e = stepper_enable_set(printer, stepper, true, info);
    return e ? e : move(printer, stepper, distance_mm, speed_mm_s, accel_mm_s2, info);
}

/* Forth and back ten times, so that a person can see which motor it is. */
static enum err cmd_stepper_buzz(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct printer *printer = ((struct force_move *)ctx)->base.printer;
    struct toolhead *th = printer_toolhead(printer);
    struct stepper *stepper = NULL;
    enum err e = find_stepper(printer, cmd, &stepper, info);
    if (e)
        return e;
    e = toolhead_wait_moves(th, info); /* they may switch it on */
    if (e)
        return e;
    bool was_on = engine_stepper_is_on(stepper->engine);
    e = stepper_enable_set(printer, stepper, true, info);
    for (int i = 0; i < BUZZ_COUNT && !e; i++) {
        e = move(printer, stepper, BUZZ_DISTANCE_MM, BUZZ_SPEED_MM_S, 0.0, info);
        if (!e)
            e = toolhead_dwell(th, 0.050, info);
        if (!e)
            e = move(printer, stepper, -BUZZ_DISTANCE_MM, BUZZ_SPEED_MM_S, 0.0, info);
        if (!e)
            e = toolhead_dwell(th, 0.450, info);
    }
    return e || was_on ? e : stepper_enable_set(printer, stepper, false, info);
}

/* The axes named in a text such as "xy". */
static unsigned parse_axes(const char *text)
{
    unsigned axes = 0;
    for (; *text; text++) {
        const char *letter = strchr("xyz", tolower((unsigned char)*text));
        if (letter)
            axes |= 1u << (letter - "xyz");
    }
    return axes;
}

static enum err cmd_set_kinematic_position(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct printer *printer = ((struct force_move *)ctx)->base.printer;
    struct toolhead *th = printer_toolhead(printer);
    double pos[TOOLHEAD_AXES_MAX];
    toolhead_get_position(th, pos);
    enum err e = OK;
    for (unsigned i = 0; i < 3 && !e; i++) {
        const char name[2] = {"XYZ"[i], 0};
        e = gcode_opt_double(cmd, name, GCODE_ANY, &pos[i], info);
    }
    if (e)
        return e;
    const char *set = gcode_get(cmd, "SET_HOMED");
    const char *clear = gcode_get(cmd, "CLEAR_HOMED");
    if (!clear)
        clear = gcode_get(cmd, "CLEAR");
    e = toolhead_set_position(th, pos, parse_axes(set ? set : "xyz"), info);
    if (!e && clear)
        toolhead_clear_homed(th, parse_axes(clear));
    return e;
}

static const struct command_param force_params[] = {{"STEPPER", "str", "required", NULL},
                                                    {"DISTANCE", "float", "required", NULL},
                                                    {"VELOCITY", "float", "required", ">0"},
                                                    {"ACCEL", "float", "0", ">=0"},
                                                    {0}};
static const struct command_param buzz_params[] = {{"STEPPER", "str", "required", NULL}, {0}};
static const struct command_param position_params[] = {{"X", "float", "present position", NULL},
                                                       {"Y", "float", "present position", NULL},
                                                       {"Z", "float", "present position", NULL},
                                                       {"SET_HOMED", "str", "xyz", NULL},
                                                       {"CLEAR_HOMED", "str", "", NULL},
                                                       {"CLEAR", "str", "", NULL},
                                                       {0}};

static enum err create_force_move(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    if (!section_bool(section, "enable_force_move"))
        return OK;
    static const struct gcode_def defs[] = {
        {"FORCE_MOVE", "Move one stepper directly, past all kinematics", false, cmd_force_move, false},
        {"SET_KINEMATIC_POSITION", "Declare where the toolhead is and which axes are homed", false,
         cmd_set_kinematic_position, false},
    };
    enum err e = OK;
    for (size_t i = 0; i < sizeof defs / sizeof defs[0] && !e; i++)
        e = gcode_register(obj->printer->gcode, &defs[i], obj, info);
    return e;
}

/* Registered only if the option allows them. */
static const struct command_desc force_commands[] = {
    {"FORCE_MOVE", NULL, COMMAND_BY_OBJECT, force_params, "Move one stepper directly, past all kinematics",
     cmd_force_move},
    {"SET_KINEMATIC_POSITION", NULL, COMMAND_BY_OBJECT, position_params,
     "Declare where the toolhead is and which axes are homed", cmd_set_kinematic_position},
};

const struct object_desc force_move_desc = {
    .section = "force_move",
    .flags = OBJECT_EXACT,
    .help = "Moves past all kinematics, for tests",
    .size_bytes = sizeof(struct force_move),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(force_commands),
    .create = create_force_move,
};

static const struct command_desc buzz_commands[] = {
    {"STEPPER_BUZZ", NULL, 0, buzz_params, "Move a stepper forth and back, to see which one it is", cmd_stepper_buzz},
};

const struct object_desc stepper_buzz_desc = {
    .section = "stepper_buzz",
    .flags = OBJECT_ALWAYS,
    .help = "Lets a motor be recognised",
    .size_bytes = sizeof(struct force_move),
    OBJECT_COMMANDS(buzz_commands),
};
