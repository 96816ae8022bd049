/* [extruder_stepper NAME]: a further motor that follows an extruder. */
#include "server/config/config.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/toolhead/extruder.h"
#include "server/toolhead/extruder_motion.h"

#include <string.h>

struct extruder_stepper {
    struct printer_object base;
    const char *extruder_name;
    struct extruder_motion motion;
};

static const struct option_desc options[] = {
    {.name = "extruder",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     .help = "Extruder whose queue it follows at first; empty: none"},
};

static enum err create_object(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    (void)info;
    struct extruder_stepper *self = (struct extruder_stepper *)obj;
    self->extruder_name = section_string_or(section, "extruder", "");
    extruder_motion_setup(&self->motion, obj, obj->id, section);
    /* Its queue must exist when this object connects: create it first. */
    if (*self->extruder_name && strncmp(self->extruder_name, "extruder", 8) != 0)
        config_error_option(section, "extruder", "'%s' is not a valid extruder.", self->extruder_name);
    else if (*self->extruder_name)
        printer_load_object(obj->printer, self->extruder_name, section);
    return OK;
}

static enum err connect_object(struct printer_object *obj, struct err_info *info)
{
    struct extruder_stepper *self = (struct extruder_stepper *)obj;
    struct engine_queue *queue = NULL;
    if (*self->extruder_name) {
        struct printer_object *extruder = extruder_find(obj->printer, self->extruder_name);
        if (!extruder)
            return err_set(info, ERR_NOT_FOUND, "'%s' is not a valid extruder.", self->extruder_name);
        queue = extruder_queue(extruder);
        extruder_motion_set_queue_name(&self->motion, self->extruder_name);
    }
    return extruder_motion_connect(&self->motion, queue, info);
}

static void on_ready(struct printer_object *obj)
{
    extruder_motion_ready(&((struct extruder_stepper *)obj)->motion);
}

static void destroy_object(struct printer_object *obj)
{
    extruder_motion_deinit(&((struct extruder_stepper *)obj)->motion);
}

static enum err cmd_pressure_advance(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    return extruder_motion_set_advance(&((struct extruder_stepper *)ctx)->motion, cmd, info);
}

static enum err cmd_rotation_distance(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    return extruder_motion_set_rotation_distance(&((struct extruder_stepper *)ctx)->motion, cmd, info);
}

static enum err cmd_sync(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    return extruder_motion_sync(&((struct extruder_stepper *)ctx)->motion, cmd, info);
}

static void write_status(struct printer_object *obj, struct status_writer *writer)
{
    extruder_motion_write_status(&((const struct extruder_stepper *)obj)->motion, writer);
}

static const struct command_desc commands[] = {
    {"SET_PRESSURE_ADVANCE", "EXTRUDER", 0, extruder_advance_params, "Set pressure advance and its smooth time",
     cmd_pressure_advance},
    {"SET_EXTRUDER_ROTATION_DISTANCE", "EXTRUDER", 0, extruder_distance_params,
     "Set or show the rotation distance of an extruder's motor", cmd_rotation_distance},
    {"SYNC_EXTRUDER_MOTION", "EXTRUDER", 0, extruder_sync_params,
     "Let an extruder's motor follow the queue of an extruder", cmd_sync},
};
static const struct status_field_desc fields[] = {
    {"pressure_advance", "float", "in force"},
    {"smooth_time", "float", "of pressure advance, in force"},
    {"motion_queue", "str/null", "extruder whose queue it follows"},
};

const struct object_desc extruder_stepper_desc = {
    .section = "extruder_stepper",
    .flags = OBJECT_NAMED,
    .help = "A motor that moves filament together with an extruder's",
    .size_bytes = sizeof(struct extruder_stepper),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    .create = create_object,
    .connect = connect_object,
    .ready = on_ready,
    .destroy = destroy_object,
    .status = write_status,
};
