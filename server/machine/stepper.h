/* Steppers: what every section with a motor has in common ([stepper_x], [extruder], [manual_stepper NAME], ...), and
 * the switches that stop them. Machine thread. */
#ifndef SERVER_MACHINE_STEPPER_H
#define SERVER_MACHINE_STEPPER_H

#include "base/err.h"
#include "server/config/option.h"
#include "server/machine/pins.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct board;
struct config_section;
struct enable_line;
struct engine_endstop;
struct engine_queue;
struct engine_stepper;
struct printer;

/* --- steppers --- */

struct stepper {
    struct printer *printer;
    struct config_section *section;
    const char *name; /* full section name, "stepper_x1" */
    struct pin_ref step_pin, dir_pin;
    double rotation_distance_mm; /* of the axis per turn of the motor's last gear */
    double steps_per_rotation;   /* microsteps per rotation_distance, gears included */
    double step_dist_mm;
    double step_pulse_s;
    struct enable_line *enable; /* NULL: no enable pin */
    /* set by stepper_connect */
    struct board *board;
    unsigned oid;
    struct engine_stepper *engine;
};

/* Options of every stepper: step_pin, dir_pin, enable_pin, rotation_distance, microsteps, full_steps_per_rotation,
 * gear_ratio, step_pulse_duration. */
extern const struct option_desc stepper_options[];
extern const size_t stepper_option_count;

/* Read the section and claim the pins. In a create hook; errors go to the configuration. */
void stepper_setup(struct stepper *stepper, struct printer *printer, struct config_section *section);
/* Configure the board and tell the engine. In a connect hook.
 *   queue  the motion queue it follows at first; NULL: none
 *   rail   on the toolhead's queue: 0 1 2, see engine.h; else 0 */
enum err stepper_connect(struct stepper *stepper, struct engine_queue *queue, unsigned rail,
                         struct err_info *info) ERR_NODISCARD;
/* "x" of "stepper_x", otherwise the whole name. */
const char *stepper_short_name(const char *name);

/* Every stepper that was set up, in order: name by index, NULL past the end. */
struct stepper *stepper_at(struct printer *printer, size_t index);
/* By name ("stepper_x", "extruder1"); NULL if there is none. */
struct stepper *stepper_find(struct printer *printer, const char *name);

/* --- endstops --- */

struct endstop {
    struct printer *printer;
    const char *name; /* as QUERY_ENDSTOPS and errors call it: "x", "z1", "manual_stepper foo" */
    struct pin_ref pin;
    /* set by endstop_connect */
    struct board *board;
    unsigned oid;
    struct engine_endstop *engine;
};

/* The endstop of option endstop_pin, claimed and registered; steppers with the same pin (same pull and polarity) share
 * it. `name` is kept. NULL: the option is missing or wrong (an error has been added if it is wrong), or names a virtual
 * pin that does not exist yet. In a create hook. */
struct endstop *endstop_setup(struct printer *printer, struct config_section *section, const char *name);
/* Configure the board and tell the engine; again for a shared one does nothing. In a connect hook. */
enum err endstop_connect(struct endstop *endstop, struct err_info *info) ERR_NODISCARD;
/* Ask the board: is it triggered now? From a fiber. */
enum err endstop_query(struct endstop *endstop, bool *is_triggered, struct err_info *info) ERR_NODISCARD;
/* Every endstop in order of setup, for QUERY_ENDSTOPS; NULL past the end. `name` (NULL allowed): what it is called as the
 * endstop of a stepper; a probe that is the endstop of z is "z" here. */
struct endstop *endstop_at(struct printer *printer, size_t index, const char **name);

/* --- motor enable (object `stepper_enable`) --- */

/* The line of option enable_pin, shared by steppers that name the same pin; NULL: no such option. In a create hook. */
struct enable_line *stepper_enable_setup(struct printer *printer, struct config_section *section);
enum err stepper_enable_connect(struct enable_line *line, struct err_info *info) ERR_NODISCARD;
struct engine_enable;
struct engine_enable *stepper_enable_engine(const struct enable_line *line); /* after connect */
/* Switch the current of one stepper (NULL: of all) in order with the moves. From a fiber. */
enum err stepper_enable_set(struct printer *printer, struct stepper *stepper, bool on,
                            struct err_info *info) ERR_NODISCARD;
/* M84: all motors off in order with the moves, event "stepper_enable:motor_off" (axes are no longer homed). From a fiber. */
enum err stepper_enable_all_off(struct printer *printer, struct err_info *info) ERR_NODISCARD;
#define STEPPER_EVENT_MOTOR_OFF "stepper_enable:motor_off" /* data: NULL */

#endif
