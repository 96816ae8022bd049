/* The toolhead: moves, waiting, position, as other objects use it. It owns the description of the machine that the
 * engine is given ([printer] and its kinematics). Machine thread; what may wait must be called from a fiber (in batch
 * mode from anywhere). */
#ifndef SERVER_TOOLHEAD_TOOLHEAD_H
#define SERVER_TOOLHEAD_TOOLHEAD_H

#include "base/clock.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine_source;
struct gcode_move;
struct printer;
struct printer_object;
struct toolhead;

/* Coordinates X Y Z E, then extra axes. */
#define TOOLHEAD_AXES_MAX 8

/* The printer's toolhead; NULL before its object has been created (lookups in create hooks: printer_load_object
 * "toolhead" is not for them, it is created last). */
struct toolhead *printer_toolhead(const struct printer *printer);
/* The printer's modal G-code state; never NULL after the gcode_move object was created (it is the first). */
struct gcode_move *printer_gcode_move(const struct printer *printer);

/* --- moves --- */

/* Move in toolhead coordinates (as behind all transforms). Checks homing, range and extruder; waits while the stream is
 * full. Errors have the texts users know. */
enum err toolhead_move(struct toolhead *th, const double *pos, double speed_mm_s, struct err_info *info) ERR_NODISCARD;
/* The same with NAN for coordinates that stay; tells gcode_move and sends "toolhead:manual_move". */
enum err toolhead_manual_move(struct toolhead *th, const double *pos, double speed_mm_s,
                              struct err_info *info) ERR_NODISCARD;
void toolhead_get_position(const struct toolhead *th, double pos[TOOLHEAD_AXES_MAX]);
/* Declare the toolhead to be at `pos` and the axes of the mask (1 2 4 = x y z) to be homed, in order with the moves.
 * Tells gcode_move and sends "toolhead:set_position". */
enum err toolhead_set_position(struct toolhead *th, const double *pos, unsigned homed_axes,
                               struct err_info *info) ERR_NODISCARD;
enum err toolhead_dwell(struct toolhead *th, double seconds, struct err_info *info) ERR_NODISCARD;
/* M400: returns when everything so far has been executed. */
enum err toolhead_wait_moves(struct toolhead *th, struct err_info *info) ERR_NODISCARD;
/* Come to a stop; *at = the print time of it. */
enum err toolhead_last_move_time(struct toolhead *th, struct print_time *at, struct err_info *info) ERR_NODISCARD;

/* --- state --- */
unsigned toolhead_homed_axes(const struct toolhead *th);
void toolhead_clear_homed(struct toolhead *th, unsigned axes);
void toolhead_axis_range(const struct toolhead *th, double min_mm[3], double max_mm[3]);
/* x y z from the positions of the motors, once everything so far has been turned into steps. From a fiber. */
enum err toolhead_kinematic_position(struct toolhead *th, double xyz[3], struct err_info *info) ERR_NODISCARD;
double toolhead_max_velocity(const struct toolhead *th); /* mm/s, as SET_VELOCITY_LIMIT left it */
double toolhead_max_accel(const struct toolhead *th);
/* Of [printer] in the file: what [extruder] derives its limits from. Readable from create hooks. */
void toolhead_configured_limits(struct printer *printer, double *max_velocity_mm_s, double *max_accel_mm_s2);
/* The object that answers for axis 3: the active extruder's name, "" if there is none. */
const char *toolhead_extruder(const struct toolhead *th);

/* --- the commit horizon, for pause and cancel of a job --- */

/* Let macros see the G-code state that has been executed: that before the move at which the engine is held, `held`
 * being the source of ENGINE_EVENT_HELD. The read state is kept aside. ERR_NOT_FOUND: that state is too old to be
 * known, the read state stays. */
enum err toolhead_show_executed(struct toolhead *th, const struct engine_source *held) ERR_NODISCARD;
/* Back to the read state: after engine_release, when the commanded position is again the end of the tail. Nothing if no
 * executed state is shown. */
void toolhead_show_read(struct toolhead *th);
/* The tail was dropped: the executed state is the state. */
void toolhead_forget_read(struct toolhead *th);

#define TOOLHEAD_EVENT_SET_POSITION    "toolhead:set_position"      /* data: NULL */
#define TOOLHEAD_EVENT_MANUAL_MOVE     "toolhead:manual_move"       /* data: NULL */
#define TOOLHEAD_EVENT_SYNC_PRINT_TIME "toolhead:sync_print_time"   /* motion begins; data: const struct print_time * */
#define EXTRUDER_EVENT_ACTIVATE        "extruder:activate_extruder" /* data: NULL */
#define HOMING_EVENT_RAILS_BEGIN       "homing:home_rails_begin"    /* data: const struct homing_event * */
#define HOMING_EVENT_RAILS_END         "homing:home_rails_end"
#define HOMING_EVENT_MOVE_BEGIN        "homing:homing_move_begin"
#define HOMING_EVENT_MOVE_END          "homing:homing_move_end"

struct homing_event {
    unsigned axes; /* bits 1 2 4 = x y z */
};

#endif
