/* An extruder's motor and its commands. */
#include "server/toolhead/extruder_motion.h"
#include "base/mem.h"
#include "motion/engine.h"
#include "server/config/config.h"
#include "server/machine/motion_stream.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/toolhead/extruder.h"

#include <math.h>
#include <string.h>

static const struct option_desc advance_options[] = {
    {.name = "pressure_advance",
     .type = OPTION_FLOAT,
     .unit = "s",
     .default_text = "0.0",
     .limits = ">=0",
     .help = "Filament pushed ahead per speed of extrusion"},
    {.name = "pressure_advance_smooth_time",
     .type = OPTION_FLOAT,
     .unit = "s",
     .default_text = "0.040",
     .limits = ">0 <=0.2",
     .help = "Time over which pressure advance is smoothed"},
};

void extruder_motion_setup(struct extruder_motion *motion, struct printer_object *owner, const char *label,
                           struct config_section *section)
{
    section_bind(section, advance_options, sizeof advance_options / sizeof advance_options[0]);
    motion->owner = owner;
    motion->label = label;
    stepper_setup(&motion->stepper, owner->printer, section);
    motion->advance_s = section_float(section, "pressure_advance");
    motion->smooth_time_s = section_float(section, "pressure_advance_smooth_time");
}

enum err extruder_motion_connect(struct extruder_motion *motion, struct engine_queue *queue, struct err_info *info)
{
    return stepper_connect(&motion->stepper, queue, 0, info);
}

void extruder_motion_set_queue_name(struct extruder_motion *motion, const char *name)
{
    mem_free(motion->queue_name);
    motion->queue_name = *name ? mem_strdup(name) : NULL;
}

void extruder_motion_deinit(struct extruder_motion *motion)
{
    mem_free(motion->queue_name);
    motion->queue_name = NULL;
}

/* Let the stream take pressure advance as it stands in `motion`. */
static enum err send_advance(struct extruder_motion *motion, double advance_s, double smooth_time_s,
                             struct err_info *info)
{
    struct printer *printer = motion->owner->printer;
    enum err e;
    do {
        e = engine_set_pressure_advance(printer->engine, motion->stepper.engine, advance_s, smooth_time_s,
                                        motion_source(printer), info);
    } while (motion_may_retry(printer, &e, info));
    if (!e) {
        motion->advance_s = advance_s;
        motion->smooth_time_s = smooth_time_s;
        printer_status_touch(motion->owner);
    }
    return e;
}

void extruder_motion_ready(struct extruder_motion *motion)
{
    struct err_info info = {""};
    if (motion->advance_s == 0.0)
        return; /* that is what the engine begins with; the smooth time counts from the first advance on */
    if (send_advance(motion, motion->advance_s, motion->smooth_time_s, &info))
        printer_shutdown(motion->owner->printer, "Pressure advance of '%s' cannot be set: %s", motion->owner->name,
                         info.text);
}

/* --- commands --- */

enum err extruder_motion_set_advance(struct extruder_motion *motion, struct gcode_command *cmd, struct err_info *info)
{
    double advance_s = motion->advance_s, smooth_time_s = motion->smooth_time_s;
    enum err e = gcode_opt_double(cmd, "ADVANCE", GCODE_MIN(0.0), &advance_s, info);
    if (!e)
        e = gcode_opt_double(cmd, "SMOOTH_TIME", GCODE_RANGE(0.0, 0.2), &smooth_time_s, info);
    if (!e && (advance_s != motion->advance_s || smooth_time_s != motion->smooth_time_s))
        e = send_advance(motion, advance_s, smooth_time_s, info);
    if (e)
        return e;
    gcode_respond_info(gcode_of(cmd), "pressure_advance: %.6f\npressure_advance_smooth_time: %.6f", advance_s,
                       smooth_time_s);
    return OK;
}

/* A negative distance turns the motor the other way round. */
enum err extruder_motion_set_rotation_distance(struct extruder_motion *motion, struct gcode_command *cmd,
                                               struct err_info *info)
{
    struct printer *printer = motion->owner->printer;
    struct stepper *stepper = &motion->stepper;
    double distance_mm = stepper->rotation_distance_mm;
    if (gcode_has(cmd, "DISTANCE")) {
        enum err e = gcode_get_double(cmd, "DISTANCE", &distance_mm, info);
        if (e)
            return e;
        if (distance_mm == 0.0)
            return err_set(info, ERR_INVALID, "Rotation distance can not be zero");
        double step_dist_mm = distance_mm / stepper->steps_per_rotation;
        do {
            e = engine_set_step_dist(printer->engine, stepper->engine, step_dist_mm, motion_source(printer), info);
        } while (motion_may_retry(printer, &e, info));
        if (e)
            return e;
        stepper->rotation_distance_mm = distance_mm;
        stepper->step_dist_mm = step_dist_mm;
    }
    gcode_respond_info(gcode_of(cmd), "Extruder '%s' rotation distance set to %0.6f", motion->label, distance_mm);
    return OK;
}

enum err extruder_motion_follow(struct extruder_motion *motion, const char *name, struct err_info *info)
{
    struct printer *printer = motion->owner->printer;
    struct engine_queue *queue = NULL;
    if (*name) {
        struct printer_object *obj = extruder_find(printer, name);
        if (!obj)
            return err_set(info, ERR_NOT_FOUND, "'%s' is not a valid extruder.", name);
        queue = extruder_queue(obj);
    }
    enum err e;
    do {
        e = engine_bind(printer->engine, motion->stepper.engine, queue, motion_source(printer), info);
    } while (motion_may_retry(printer, &e, info));
    if (e)
        return e;
    extruder_motion_set_queue_name(motion, name);
    printer_status_touch(motion->owner);
    return OK;
}

enum err extruder_motion_sync(struct extruder_motion *motion, struct gcode_command *cmd, struct err_info *info)
{
    const char *name = NULL;
    enum err e = gcode_get_str(cmd, "MOTION_QUEUE", &name, info);
    if (!e)
        e = extruder_motion_follow(motion, name, info);
    if (e)
        return e;
    if (*name)
        gcode_respond_info(gcode_of(cmd), "Extruder '%s' now syncing with '%s'", motion->label, name);
    else
        gcode_respond_info(gcode_of(cmd), "Extruder '%s' not syncing", motion->label);
    return OK;
}

void extruder_motion_write_status(const struct extruder_motion *motion, struct status_writer *writer)
{
    status_float(writer, "pressure_advance", motion->advance_s);
    status_float(writer, "smooth_time", motion->smooth_time_s);
    status_string(writer, "motion_queue", motion->queue_name);
}

const struct command_param extruder_advance_params[] = {{"EXTRUDER", "str", "active extruder", NULL},
                                                        {"ADVANCE", "float", "present value", ">=0"},
                                                        {"SMOOTH_TIME", "float", "present value", ">=0 <=0.2"},
                                                        {0}};
const struct command_param extruder_distance_params[] = {
    {"EXTRUDER", "str", "required", NULL}, {"DISTANCE", "float", NULL, NULL}, {0}};
const struct command_param extruder_sync_params[] = {
    {"EXTRUDER", "str", "required", NULL}, {"MOTION_QUEUE", "str", "required", NULL}, {0}};
