/* [extruder], [extruder1], ...: a heater, a motion queue and (usually) a stepper. */
#include "server/toolhead/extruder.h"
#include "base/fmath.h"
#include "base/strbuf.h"
#include "motion/engine.h"
#include "server/config/config.h"
#include "server/heat/heater.h"
#include "server/machine/motion_stream.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/toolhead/extruder_motion.h"
#include "server/toolhead/toolhead_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct extruder {
    struct printer_object base;
    struct heater *heater;
    char gcode_id[16]; /* "T0" */
    double nozzle_diameter_mm, filament_diameter_mm;
    double max_cross_section_mm2, max_only_distance_mm, max_only_velocity_mm_s, max_only_accel_mm_s2,
        corner_velocity_mm_s;
    bool has_stepper;
    struct extruder_motion motion;
    struct engine_queue *queue;
};

static const struct option_desc extruder_options[] = {
    {.name = "nozzle_diameter",
     .type = OPTION_FLOAT,
     .flags = OPTION_REQUIRED,
     .unit = "mm",
     .limits = ">0",
     .help = "Diameter of the nozzle's opening"},
    {.name = "filament_diameter",
     .type = OPTION_FLOAT,
     .flags = OPTION_REQUIRED,
     .unit = "mm",
     .limits = ">=nozzle_diameter",
     .help = "Nominal diameter of the filament"},
    {.name = "max_extrude_cross_section",
     .type = OPTION_FLOAT,
     .unit = "mm^2",
     .limits = ">0",
     .default_text = "4 * nozzle_diameter^2",
     .help = "Largest cross section of a printed line"},
    {.name = "max_extrude_only_velocity",
     .type = OPTION_FLOAT,
     .unit = "mm/s",
     .limits = ">0",
     .default_text = "from max_velocity and the nozzle",
     .help = "Highest filament speed of retracts and primes"},
    {.name = "max_extrude_only_accel",
     .type = OPTION_FLOAT,
     .unit = "mm/s^2",
     .limits = ">0",
     .default_text = "from max_accel and the nozzle",
     .help = "Highest filament acceleration of retracts and primes"},
    {.name = "max_extrude_only_distance",
     .type = OPTION_FLOAT,
     .unit = "mm",
     .default_text = "50.0",
     .limits = ">=0",
     .help = "Longest retract or prime"},
    {.name = "instantaneous_corner_velocity",
     .type = OPTION_FLOAT,
     .unit = "mm/s",
     .default_text = "1.0",
     .limits = ">=0",
     .help = "Largest jump of filament speed between two moves"},
};

struct printer_object *extruder_find(const struct printer *printer, const char *name)
{
    struct printer_object *obj = printer_find_object(printer, name);
    return obj && strcmp(obj->desc->section, "extruder") == 0 ? obj : NULL;
}

struct engine_queue *extruder_queue(struct printer_object *obj)
{
    return ((struct extruder *)obj)->queue;
}

struct heater *extruder_active_heater(const struct printer *printer)
{
    const struct toolhead *th = printer_toolhead(printer);
    struct printer_object *obj = th && th->extruder ? extruder_find(printer, th->extruder) : NULL;
    return obj ? ((struct extruder *)obj)->heater : NULL;
}

/* --- creation --- */

static void read_limits(struct extruder *self, struct config_section *section)
{
    double max_velocity_mm_s, max_accel_mm_s2;
    toolhead_configured_limits(self->base.printer, &max_velocity_mm_s, &max_accel_mm_s2);
    self->nozzle_diameter_mm = section_float(section, "nozzle_diameter");
    self->filament_diameter_mm = section_float(section, "filament_diameter");
    double filament_area = FM_PI * self->filament_diameter_mm * self->filament_diameter_mm / 4.0;
    double usual_section = 4.0 * self->nozzle_diameter_mm * self->nozzle_diameter_mm;
    double usual_ratio = usual_section / filament_area;
    self->max_cross_section_mm2 = section_float_or(section, "max_extrude_cross_section", usual_section);
    self->max_only_velocity_mm_s =
        section_float_or(section, "max_extrude_only_velocity", max_velocity_mm_s * usual_ratio);
    self->max_only_accel_mm_s2 = section_float_or(section, "max_extrude_only_accel", max_accel_mm_s2 * usual_ratio);
    self->max_only_distance_mm = section_float(section, "max_extrude_only_distance");
    self->corner_velocity_mm_s = section_float(section, "instantaneous_corner_velocity");
}

/* SET_PRESSURE_ADVANCE without EXTRUDER means the active one. */
static enum err cmd_active_pressure_advance(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct printer *printer = ((struct printer_object *)ctx)->printer;
    const struct toolhead *th = printer_toolhead(printer);
    struct printer_object *obj = th && th->extruder ? extruder_find(printer, th->extruder) : NULL;
    if (!obj || !((struct extruder *)obj)->has_stepper)
        return err_set(info, ERR_STATE, "Active extruder does not have a stepper");
    return extruder_motion_set_advance(&((struct extruder *)obj)->motion, cmd, info);
}

static enum err create_object(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct extruder *self = (struct extruder *)obj;
    section_bind(section, extruder_options, sizeof extruder_options / sizeof extruder_options[0]);
    section_bind(section, heater_options, heater_option_count);
    const char *digits = obj->name + strlen("extruder");
    snprintf(self->gcode_id, sizeof self->gcode_id, "T%s", *digits ? digits : "0");
    self->heater = heater_setup(obj->printer, section, self->gcode_id);
    read_limits(self, section);
    self->has_stepper = section_has(section, "step_pin") || section_has(section, "dir_pin") ||
                        section_has(section, "rotation_distance");
    if (self->has_stepper)
        extruder_motion_setup(&self->motion, obj, obj->name, section);
    if (*digits == 0) {
        static const struct gcode_def active = {"SET_PRESSURE_ADVANCE", "Set pressure advance and its smooth time",
                                                false, cmd_active_pressure_advance, false};
        return gcode_register_mux(obj->printer->gcode, &active, "EXTRUDER", NULL, obj, info);
    }
    return OK;
}

static bool can_extrude(void *ctx)
{
    return heater_can_extrude(((struct extruder *)ctx)->heater);
}

static enum err connect_object(struct printer_object *obj, struct err_info *info)
{
    struct extruder *self = (struct extruder *)obj;
    struct engine_extruder_spec spec = {
        .name = obj->name,
        .nozzle_diameter_mm = self->nozzle_diameter_mm,
        .filament_diameter_mm = self->filament_diameter_mm,
        .max_cross_section_mm2 = self->max_cross_section_mm2,
        .max_extrude_only_distance_mm = self->max_only_distance_mm,
        .max_extrude_only_velocity_mm_s = self->max_only_velocity_mm_s,
        .max_extrude_only_accel_mm_s2 = self->max_only_accel_mm_s2,
        .instantaneous_corner_velocity_mm_s = self->corner_velocity_mm_s,
        .can_extrude = can_extrude,
        .ctx = self,
    };
    self->queue = engine_add_extruder(obj->printer->engine, &spec);
    return self->has_stepper ? extruder_motion_connect(&self->motion, self->queue, info) : OK;
}

/* --- activation --- */

static enum err activate_queue(struct printer *printer, struct extruder *self, struct err_info *info)
{
    enum err e;
    do {
        e = engine_activate_extruder(printer->engine, self->queue, motion_source(printer), info);
    } while (motion_may_retry(printer, &e, info));
    if (e)
        return e;
    struct toolhead *th = printer_toolhead(printer);
    th->extruder = self->base.name;
    printer_status_touch(&th->base);
    return OK;
}

enum err extruder_activate(struct printer *printer, const char *name, struct err_info *info)
{
    struct printer_object *obj = extruder_find(printer, name);
    if (!obj)
        return err_set(info, ERR_NOT_FOUND, "The value '%s' is not valid for EXTRUDER", name);
    enum err e = activate_queue(printer, (struct extruder *)obj, info);
    if (e)
        return e;
    gcode_move_extruder_changed(printer_gcode_move(printer));
    printer_emit(printer, EXTRUDER_EVENT_ACTIVATE, NULL);
    return OK;
}

void extruder_activate_first(struct printer *printer)
{
    struct err_info info = {""};
    struct printer_object *obj = extruder_find(printer, "extruder");
    if (obj && activate_queue(printer, (struct extruder *)obj, &info))
        printer_shutdown(printer, "The extruder cannot be activated: %s", info.text);
}

static void on_ready(struct printer_object *obj)
{
    struct extruder *self = (struct extruder *)obj;
    if (self->has_stepper)
        extruder_motion_ready(&self->motion);
}

static void destroy_object(struct printer_object *obj)
{
    extruder_motion_deinit(&((struct extruder *)obj)->motion);
}

/* --- commands --- */

static enum err cmd_activate(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct printer_object *obj = ctx;
    const struct toolhead *th = printer_toolhead(obj->printer);
    if (strcmp(toolhead_extruder(th), obj->name) == 0) {
        gcode_respond_info(gcode_of(cmd), "Extruder %s already active", obj->name);
        return OK;
    }
    gcode_respond_info(gcode_of(cmd), "Activating extruder %s", obj->name);
    return extruder_activate(obj->printer, obj->name, info);
}

/* The heater that M104 and M109 mean: that of T, or of the active extruder. NULL without an error: nothing to do, the
 * request is to switch off what is not there. */
static enum err addressed_heater(struct printer *printer, struct gcode_command *cmd, double temp_c,
                                 struct heater **heater, struct err_info *info)
{
    *heater = extruder_active_heater(printer);
    if (gcode_has(cmd, "T")) {
        long index = 0;
        enum err e = gcode_get_int_in(cmd, "T", GCODE_MIN(0.0), &index, info);
        if (e)
            return e;
        char name[32] = "extruder";
        if (index > 0)
            snprintf(name, sizeof name, "extruder%ld", index);
        struct printer_object *obj = extruder_find(printer, name);
        if (!obj && temp_c <= 0.0) {
            *heater = NULL;
            return OK;
        }
        if (!obj)
            return err_set(info, ERR_NOT_FOUND, "Extruder not configured");
        *heater = ((struct extruder *)obj)->heater;
    }
    return *heater ? OK : err_set(info, ERR_STATE, "Extruder not configured");
}

static enum err set_temperature(void *ctx, struct gcode_command *cmd, bool wait, struct err_info *info)
{
    struct printer *printer = ((struct printer_object *)ctx)->printer;
    double temp_c = 0.0;
    struct heater *heater = NULL;
    enum err e = gcode_opt_double(cmd, "S", GCODE_ANY, &temp_c, info);
    if (!e)
        e = addressed_heater(printer, cmd, temp_c, &heater, info);
    if (e || !heater)
        return e;
    return heater_set_and_wait(heater, temp_c, wait, info);
}

static enum err cmd_m104(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    return set_temperature(ctx, cmd, false, info);
}

static enum err cmd_m109(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    return set_temperature(ctx, cmd, true, info);
}

/* --- commands of the motor; an extruder without one refuses --- */

static enum err with_motion(void *ctx, struct gcode_command *cmd, struct err_info *info,
                            enum err (*fn)(struct extruder_motion *motion, struct gcode_command *cmd,
                                           struct err_info *info))
{
    struct extruder *self = ctx;
    if (!self->has_stepper)
        return err_set(info, ERR_STATE, "Extruder '%s' does not have a stepper", self->base.name);
    return fn(&self->motion, cmd, info);
}

static enum err cmd_pressure_advance(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    return with_motion(ctx, cmd, info, extruder_motion_set_advance);
}

static enum err cmd_rotation_distance(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    return with_motion(ctx, cmd, info, extruder_motion_set_rotation_distance);
}

static enum err cmd_sync(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    return with_motion(ctx, cmd, info, extruder_motion_sync);
}

/* --- the object --- */

static void write_status(struct printer_object *obj, struct status_writer *writer)
{
    const struct extruder *self = (const struct extruder *)obj;
    heater_write_status(self->heater, writer);
    status_bool(writer, "can_extrude", heater_can_extrude(self->heater));
    if (self->has_stepper)
        extruder_motion_write_status(&self->motion, writer);
}

static const char *mux_value(const struct printer_object *obj)
{
    return obj->name;
}

static const struct command_param temp_params[] = {{"S", "float", "0", NULL}, {"T", "int", NULL, ">=0"}, {0}};
static const struct command_param name_params[] = {{"EXTRUDER", "str", "required", NULL}, {0}};

#define MOTION_COMMANDS                                                                                                \
    {"ACTIVATE_EXTRUDER", "EXTRUDER", 0, name_params, "Make an extruder the active one", cmd_activate},                \
        {"SET_PRESSURE_ADVANCE", "EXTRUDER", 0, extruder_advance_params, "Set pressure advance and its smooth time",   \
         cmd_pressure_advance},                                                                                        \
        {"SET_EXTRUDER_ROTATION_DISTANCE",                                                                             \
         "EXTRUDER",                                                                                                   \
         0,                                                                                                            \
         extruder_distance_params,                                                                                     \
         "Set or show the rotation distance of an extruder's motor",                                                   \
         cmd_rotation_distance},                                                                                       \
    {                                                                                                                  \
        "SYNC_EXTRUDER_MOTION", "EXTRUDER", 0, extruder_sync_params,                                                   \
            "Let an extruder's motor follow the queue of an extruder", cmd_sync                                        \
    }

static const struct command_desc first_commands[] = {
    MOTION_COMMANDS,
    {"M104", NULL, 0, temp_params, NULL, cmd_m104},
    {"M109", NULL, 0, temp_params, NULL, cmd_m109},
};
static const struct command_desc further_commands[] = {MOTION_COMMANDS};

static const struct status_field_desc fields[] = {
    {"temperature", "float", "smoothed reading"},
    {"target", "float", "requested temperature, 0 is off"},
    {"power", "float", "share of full power, 0 to 1"},
    {"can_extrude", "bool", "at least min_extrude_temp"},
    {"pressure_advance", "float", "in force"},
    {"smooth_time", "float", "of pressure advance, in force"},
    {"motion_queue", "str/null", "extruder whose queue the motor was told to follow"},
};
static const struct event_desc events[] = {{EXTRUDER_EVENT_ACTIVATE, "another extruder is active; no data"}};

#define EXTRUDER_DESC(which, table)                                                                                    \
    .section = "extruder", .flags = (which), .help = "Extruder: heater, nozzle and motor",                             \
    .size_bytes = sizeof(struct extruder), OBJECT_OPTIONS(extruder_options), OBJECT_COMMANDS(table),                   \
    OBJECT_FIELDS(fields), OBJECT_EVENTS(events), .create = create_object, .connect = connect_object,                  \
    .ready = on_ready, .destroy = destroy_object, .status = write_status, .mux_value = mux_value

const struct object_desc extruder_desc = {EXTRUDER_DESC(OBJECT_EXACT, first_commands)};
const struct object_desc extruder_further_desc = {EXTRUDER_DESC(OBJECT_NUMBERED, further_commands)};
