/* The motor of an extruder or of an [extruder_stepper NAME]: which queue it follows, pressure advance, rotation
 * distance. Machine thread. */
#ifndef SERVER_TOOLHEAD_EXTRUDER_MOTION_H
#define SERVER_TOOLHEAD_EXTRUDER_MOTION_H

#include "base/err.h"
#include "server/gcode/command.h"
#include "server/machine/stepper.h"

struct config_section;
struct engine_queue;
struct printer_object;
struct status_writer;

struct extruder_motion {
    struct printer_object *owner;
    const char *label; /* as commands call it: "extruder1", "my_stepper" */
    struct stepper stepper;
    double advance_s, smooth_time_s; /* in force */
    char *queue_name;                /* as SYNC_EXTRUDER_MOTION left it; NULL: none, or as configured */
};

/* Read the motor's options. In a create hook of `owner`; `label` is kept. */
void extruder_motion_setup(struct extruder_motion *motion, struct printer_object *owner, const char *label,
                           struct config_section *section);
enum err extruder_motion_connect(struct extruder_motion *motion, struct engine_queue *queue,
                                 struct err_info *info) ERR_NODISCARD;
void extruder_motion_ready(struct extruder_motion *motion); /* pressure advance as configured */
/* The queue it follows by configuration, as the status shows it. */
void extruder_motion_set_queue_name(struct extruder_motion *motion, const char *name);
void extruder_motion_deinit(struct extruder_motion *motion);
/* Follow the queue of extruder `name` from here on; "" follows none. From a fiber. */
enum err extruder_motion_follow(struct extruder_motion *motion, const char *name, struct err_info *info) ERR_NODISCARD;
void extruder_motion_write_status(const struct extruder_motion *motion, struct status_writer *writer);

/* SET_PRESSURE_ADVANCE, SET_EXTRUDER_ROTATION_DISTANCE, SYNC_EXTRUDER_MOTION. */
enum err extruder_motion_set_advance(struct extruder_motion *motion, struct gcode_command *cmd,
                                     struct err_info *info) ERR_NODISCARD;
enum err extruder_motion_set_rotation_distance(struct extruder_motion *motion, struct gcode_command *cmd,
                                               struct err_info *info) ERR_NODISCARD;
enum err extruder_motion_sync(struct extruder_motion *motion, struct gcode_command *cmd,
                              struct err_info *info) ERR_NODISCARD;
extern const struct command_param extruder_advance_params[], extruder_distance_params[], extruder_sync_params[];

#endif
