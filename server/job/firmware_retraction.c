/* [firmware_retraction]: G10 and G11, filament back and forth by lengths that the printer knows. */
#include "base/mem.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/job/objects.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#include <math.h>
#include <string.h>

struct firmware_retraction {
    struct printer_object obj;
    double retract_mm, retract_speed_mm_s, unretract_extra_mm, unretract_speed_mm_s;
    bool is_retracted;
};

static enum err move(struct gcode_command *cmd, double e_mm, double speed_mm_s, struct err_info *info)
{
    char *script = mem_sprintf("SAVE_GCODE_STATE NAME=_retract_state\nG91\nG1 E%.5f F%.0f\n"
                               "RESTORE_GCODE_STATE NAME=_retract_state",
                               e_mm, floor(speed_mm_s * 60));
    enum err err = gcode_run_script(gcode_of(cmd), script, strlen(script), info);
    mem_free(script);
    return err;
}

static enum err cmd_retract(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct firmware_retraction *r = ctx;
    if (r->is_retracted)
        return OK;
    enum err err = move(cmd, -r->retract_mm, r->retract_speed_mm_s, info);
    r->is_retracted = err == OK;
    return err;
}

static enum err cmd_unretract(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct firmware_retraction *r = ctx;
    if (!r->is_retracted)
        return OK;
    enum err err = move(cmd, r->retract_mm + r->unretract_extra_mm, r->unretract_speed_mm_s, info);
    r->is_retracted = err != OK;
    return err;
}

static enum err cmd_set(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct firmware_retraction *r = ctx;
    struct firmware_retraction to = *r;
    enum err err = gcode_opt_double(cmd, "RETRACT_LENGTH", GCODE_MIN(0), &to.retract_mm, info);
    if (!err)
        err = gcode_opt_double(cmd, "RETRACT_SPEED", GCODE_MIN(1), &to.retract_speed_mm_s, info);
    if (!err)
        err = gcode_opt_double(cmd, "UNRETRACT_EXTRA_LENGTH", GCODE_MIN(0), &to.unretract_extra_mm, info);
    if (!err)
        err = gcode_opt_double(cmd, "UNRETRACT_SPEED", GCODE_MIN(1), &to.unretract_speed_mm_s, info);
    if (err)
        return err;
    to.is_retracted = false;
    *r = to;
    printer_status_touch(&r->obj);
    return OK;
}

static enum err cmd_get(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    const struct firmware_retraction *r = ctx;
    (void)info;
    gcode_respond_info(gcode_of(cmd),
                       "RETRACT_LENGTH=%.5f RETRACT_SPEED=%.5f UNRETRACT_EXTRA_LENGTH=%.5f UNRETRACT_SPEED=%.5f",
                       r->retract_mm, r->retract_speed_mm_s, r->unretract_extra_mm, r->unretract_speed_mm_s);
    return OK;
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct firmware_retraction *r = (struct firmware_retraction *)obj;
    (void)info;
    r->retract_mm = section_float(section, "retract_length");
    r->retract_speed_mm_s = section_float(section, "retract_speed");
    r->unretract_extra_mm = section_float(section, "unretract_extra_length");
    r->unretract_speed_mm_s = section_float(section, "unretract_speed");
    return OK;
}

static void status(struct printer_object *obj, struct status_writer *writer)
{
    const struct firmware_retraction *r = (struct firmware_retraction *)obj;
    status_float(writer, "retract_length", r->retract_mm);
    status_float(writer, "retract_speed", r->retract_speed_mm_s);
    status_float(writer, "unretract_extra_length", r->unretract_extra_mm);
    status_float(writer, "unretract_speed", r->unretract_speed_mm_s);
}

static const struct option_desc options[] = {
    {.name = "retract_length", .type = OPTION_FLOAT, .unit = "mm", .default_text = "0.0", .limits = ">=0.0",
     .help = "Filament that G10 pulls back and G11 gives again."},
    {.name = "retract_speed", .type = OPTION_FLOAT, .unit = "mm/s", .default_text = "20.0", .limits = ">=1",
     .help = "Speed of G10."},
    {.name = "unretract_extra_length", .type = OPTION_FLOAT, .unit = "mm", .default_text = "0.0", .limits = ">=0.0",
     .help = "What G11 gives on top."},
    {.name = "unretract_speed", .type = OPTION_FLOAT, .unit = "mm/s", .default_text = "10.0", .limits = ">=1",
     .help = "Speed of G11."},
};

static const struct command_param set_params[] = {
    {"RETRACT_LENGTH", "float", "as it is", ">=0"},
    {"RETRACT_SPEED", "float", "as it is", ">=1"},
    {"UNRETRACT_EXTRA_LENGTH", "float", "as it is", ">=0"},
    {"UNRETRACT_SPEED", "float", "as it is", ">=1"},
    {0},
};
static const struct command_desc commands[] = {
    {.name = "SET_RETRACTION", .params = set_params, .help = "Set the lengths and speeds of G10 and G11", .handler = cmd_set},
    {.name = "GET_RETRACTION", .help = "Report the lengths and speeds of G10 and G11", .handler = cmd_get},
    {.name = "G10", .handler = cmd_retract},
    {.name = "G11", .handler = cmd_unretract},
};
static const struct status_field_desc fields[] = {
    {"retract_length", "float", "mm"},
    {"retract_speed", "float", "mm/s"},
    {"unretract_extra_length", "float", "mm"},
    {"unretract_speed", "float", "mm/s"},
};

const struct object_desc firmware_retraction_desc = {
    .section = "firmware_retraction",
    .flags = OBJECT_EXACT,
    .help = "Retraction by G10 and G11.",
    .size_bytes = sizeof(struct firmware_retraction),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    .create = create,
    .status = status,
};
