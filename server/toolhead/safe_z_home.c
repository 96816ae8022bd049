/* [safe_z_home]: z is homed at one place of the bed only, with room below the nozzle on the way there. */
#include "server/config/config.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/toolhead/homing.h"
#include "server/toolhead/toolhead.h"

#include <math.h>
#include <string.h>

#define AXIS_X 1u
#define AXIS_Y 2u
#define AXIS_Z 4u

struct safe_z_home {
    struct printer_object obj;
    double place_mm[2], speed_mm_s, hop_mm, hop_speed_mm_s;
    bool returns;
};

static enum err go(struct safe_z_home *s, double x, double y, double z, double speed_mm_s, struct err_info *info)
{
    const double to[TOOLHEAD_AXES_MAX] = {x, y, z, NAN, NAN, NAN, NAN, NAN};
    return toolhead_manual_move(printer_toolhead(s->obj.printer), to, speed_mm_s, info);
}

/* Up to the hop's height. A z that is not known is taken for 0 just for this move. */
static enum err hop(struct safe_z_home *s, struct err_info *info)
{
    struct toolhead *th = printer_toolhead(s->obj.printer);
    double pos[TOOLHEAD_AXES_MAX];
    toolhead_get_position(th, pos);
    if (toolhead_homed_axes(th) & AXIS_Z)
        return pos[2] < s->hop_mm ? go(s, NAN, NAN, s->hop_mm, s->hop_speed_mm_s, info) : OK;
    pos[2] = 0.0;
    enum err e = toolhead_set_position(th, pos, AXIS_Z, info);
    if (!e)
        e = go(s, NAN, NAN, s->hop_mm, s->hop_speed_mm_s, info);
    toolhead_clear_homed(th, AXIS_Z);
    return e;
}

static enum err home_z(struct safe_z_home *s, struct err_info *info)
{
    struct toolhead *th = printer_toolhead(s->obj.printer);
    double before[TOOLHEAD_AXES_MAX], pos[TOOLHEAD_AXES_MAX];
    if ((toolhead_homed_axes(th) & (AXIS_X | AXIS_Y)) != (AXIS_X | AXIS_Y))
        return err_set(info, ERR_STATE, "Must home X and Y axes first");
    toolhead_get_position(th, before);
    enum err e = go(s, s->place_mm[0], s->place_mm[1], NAN, s->speed_mm_s, info);
    if (!e)
        e = homing_home(s->obj.printer, AXIS_Z, info);
    if (e)
        return e;
    toolhead_get_position(th, pos);
    if (s->hop_mm != 0.0 && pos[2] < s->hop_mm)
        e = go(s, NAN, NAN, s->hop_mm, s->hop_speed_mm_s, info);
    if (!e && s->returns)
        e = go(s, before[0], before[1], NAN, s->speed_mm_s, info);
    return e;
}

static enum err home(void *ctx, unsigned axes, struct gcode_command *cmd, struct err_info *info)
{
    (void)cmd;
    struct safe_z_home *s = ctx;
    enum err e = s->hop_mm != 0.0 ? hop(s, info) : OK;
    if (!e && (axes & (AXIS_X | AXIS_Y)))
        e = homing_home(s->obj.printer, axes & (AXIS_X | AXIS_Y), info);
    return e || !(axes & AXIS_Z) ? e : home_z(s, info);
}

static const struct option_desc options[] = {
    {.name = "home_xy_position",
     .type = OPTION_FLOAT_LIST,
     .flags = OPTION_REQUIRED,
     .unit = "mm",
     .count = 2,
     .help = "Where z is homed"},
    {.name = "speed",
     .type = OPTION_FLOAT,
     .unit = "mm/s",
     .default_text = "50",
     .limits = ">0",
     .help = "Speed of the way there"},
    {.name = "z_hop",
     .type = OPTION_FLOAT,
     .unit = "mm",
     .default_text = "0",
     .help = "Height before and after homing; 0: none"},
    {.name = "z_hop_speed",
     .type = OPTION_FLOAT,
     .unit = "mm/s",
     .default_text = "15",
     .limits = ">0",
     .help = "Speed of lifting"},
    {.name = "move_to_previous", .type = OPTION_BOOL, .default_text = "False", .help = "Go back to where x and y were"},
};

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct safe_z_home *s = (struct safe_z_home *)obj;
    struct config_numbers place = section_numbers(section, "home_xy_position");
    (void)info;
    if (place.count == 2)
        memcpy(s->place_mm, place.items, sizeof s->place_mm);
    s->speed_mm_s = section_float(section, "speed");
    s->hop_mm = section_float(section, "z_hop");
    s->hop_speed_mm_s = section_float(section, "z_hop_speed");
    s->returns = section_bool(section, "move_to_previous");
    homing_set_override(obj->printer, home, s);
    return OK;
}

const struct object_desc safe_z_home_desc = {
    .section = "safe_z_home",
    .flags = OBJECT_EXACT,
    .help = "Homes z at one place of the bed",
    .size_bytes = sizeof(struct safe_z_home),
    OBJECT_OPTIONS(options),
    .create = create,
};
