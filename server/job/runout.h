/* What the filament sensors have in common: whether there is filament, and what to do when that changes. Machine thread. */
#ifndef SERVER_JOB_RUNOUT_H
#define SERVER_JOB_RUNOUT_H

#include "server/config/option.h"
#include "server/gcode/command.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"

#include <stdbool.h>

struct template;

struct runout {
    struct printer_object *obj; /* the sensor */
    struct template *runout_gcode, *insert_gcode; /* NULL: nothing to run */
    bool is_pausing;            /* pause_on_runout */
    double pause_delay_s, event_delay_s;
    bool is_present, is_enabled;
    bool is_busy;               /* a script of this sensor waits or runs */
    struct host_ns quiet_until; /* changes before this start nothing */
    struct printer_timer timer; /* from the runout to its script */
};

/* Rows for the owner's tables. */
#define RUNOUT_OPTIONS                                                                                                 \
    {.name = "pause_on_runout", .type = OPTION_BOOL, .default_text = "True", .help = "Pause the print on a runout."},  \
        {.name = "runout_gcode", .type = OPTION_TEMPLATE, .default_text = "", .help = "What to run on a runout."},     \
        {.name = "insert_gcode", .type = OPTION_TEMPLATE, .default_text = "",                                          \
         .help = "What to run when filament comes while nothing prints."},                                             \
        {.name = "pause_delay", .type = OPTION_FLOAT, .unit = "s", .default_text = "0.5", .limits = ">0.0",            \
         .help = "Time between the pause command to the file and the runout script."},                                 \
        {.name = "event_delay", .type = OPTION_FLOAT, .unit = "s", .default_text = "3.0", .limits = ">=0.0",           \
         .help = "Least time between two events."}
#define RUNOUT_FIELDS                                                                                                  \
    {"filament_detected", "bool", "filament present"}, {"enabled", "bool", "sensor active"}
#define RUNOUT_COMMAND_COUNT 2
extern const struct command_desc runout_commands[RUNOUT_COMMAND_COUNT]; /* their ctx: struct runout * */

/* Read the section of `obj`; in its create hook. */
void runout_setup(struct runout *r, struct printer_object *obj, struct config_section *section);
void runout_ready(struct runout *r);
void runout_stop(struct runout *r);   /* shutdown */
void runout_deinit(struct runout *r); /* destroy */
/* What the sensor sees now. */
void runout_note(struct runout *r, bool is_present);
void runout_write_status(const struct runout *r, struct status_writer *writer);

#endif
