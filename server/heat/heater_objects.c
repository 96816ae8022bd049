/* Sections that are a heater and nothing else: [heater_bed], [heater_generic NAME]. */
#include "server/heat/heater.h"

#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/object.h"

struct heater_object {
    struct printer_object obj;
    struct heater *heater;
};

static const struct status_field_desc heater_fields[] = {HEATER_FIELDS};

static void heater_status(struct printer_object *obj, struct status_writer *writer)
{
    heater_write_status(((struct heater_object *)obj)->heater, writer);
}

/* --- [heater_bed] --- */

static enum err bed_create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    (void)info;
    ((struct heater_object *)obj)->heater = heater_setup(obj->printer, section, "B");
    return OK;
}

static enum err set_bed(void *ctx, struct gcode_command *cmd, bool wait, struct err_info *info)
{
    double target_c = 0;
    enum err err = gcode_opt_double(cmd, "S", GCODE_ANY, &target_c, info);
    return err != OK ? err : heater_set_and_wait(((struct heater_object *)ctx)->heater, target_c, wait, info);
}

static enum err cmd_m140(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    return set_bed(ctx, cmd, false, info);
}

static enum err cmd_m190(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    return set_bed(ctx, cmd, true, info);
}

static const struct command_param temperature_params[] = {{"S", "float", "0.0", NULL}, {0}};
static const struct command_desc bed_commands[] = {
    {.name = "M140", .params = temperature_params, .handler = cmd_m140},
    {.name = "M190", .params = temperature_params, .handler = cmd_m190},
};

const struct object_desc heater_bed_desc = {
    .section = "heater_bed",
    .flags = OBJECT_EXACT,
    .help = "The heated bed.",
    .size_bytes = sizeof(struct heater_object),
    OBJECT_COMMANDS(bed_commands),
    OBJECT_FIELDS(heater_fields),
    .create = bed_create,
    .status = heater_status,
};

/* --- [heater_generic NAME] --- */

static const struct option_desc generic_options[] = {
    {.name = "gcode_id", .type = OPTION_STRING, .help = "Its name in M105 reports"},
};

static enum err generic_create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    (void)info;
    const char *gcode_id = section_string(section, "gcode_id");
    ((struct heater_object *)obj)->heater = heater_setup(obj->printer, section, gcode_id);
    return OK;
}

const struct object_desc heater_generic_desc = {
    .section = "heater_generic",
    .flags = OBJECT_NAMED,
    .help = "A further heater, such as a chamber's.",
    .size_bytes = sizeof(struct heater_object),
    OBJECT_OPTIONS(generic_options),
    OBJECT_FIELDS(heater_fields),
    .create = generic_create,
    .status = heater_status,
};
