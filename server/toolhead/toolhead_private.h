/* What the files toolhead*.c, homing.c and extruder.c share. */
#ifndef SERVER_TOOLHEAD_TOOLHEAD_PRIVATE_H
#define SERVER_TOOLHEAD_TOOLHEAD_PRIVATE_H

#include "motion/engine.h"
#include "server/gcode/gcode_move.h"
#include "server/machine/object.h"
#include "server/toolhead/toolhead.h"

struct kinematics;

struct toolhead {
    struct printer_object base;
    struct kinematics *kin;
    struct gcode_transform transform; /* the end of the chain of gcode_move */
    struct engine_limits limits;
    const char *extruder;          /* name of the active one; NULL: none */
    struct gcode_modal read_modal; /* while the executed state is shown */
    bool is_executed_shown;
};

extern const struct command_desc toolhead_commands[];
#define TOOLHEAD_COMMAND_COUNT 4

#endif
