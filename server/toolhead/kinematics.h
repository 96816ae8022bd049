/* The rails of the toolhead: which steppers and endstops move and stop each axis, their ranges and how they are homed.
 * Private to the toolhead and homing. Machine thread. */
#ifndef SERVER_TOOLHEAD_KINEMATICS_H
#define SERVER_TOOLHEAD_KINEMATICS_H

#include "motion/engine.h"
#include "server/machine/stepper.h"

#include <stdbool.h>
#include <stddef.h>

struct config_section;
struct printer;

#define RAIL_COUNT        3
#define RAIL_STEPPERS_MAX 8 /* [stepper_z], [stepper_z1], ... */

struct rail {
    const char *name;   /* "stepper_x" */
    const char *letter; /* "x": as in "No trigger on x after full movement" */
    struct stepper *steppers[RAIL_STEPPERS_MAX];
    struct endstop *endstops[RAIL_STEPPERS_MAX]; /* own endstop of the stepper with this index; NULL: the first one's */
    size_t stepper_count;
    double position_min_mm, position_max_mm, position_endstop_mm;
    double homing_speed_mm_s, second_homing_speed_mm_s, retract_speed_mm_s, retract_dist_mm;
    bool is_homing_positive;
    double arm_length_mm, angle_deg; /* delta */
};

struct kinematics {
    struct printer *printer;
    enum engine_kinematics kind;
    struct rail rails[RAIL_COUNT];
    size_t rail_count; /* 0 (none) or 3 */
    struct engine_kinematics_spec spec;
};

/* Read [printer] (its section, bound) and the sections of the steppers. Never NULL; errors go to the configuration. */
struct kinematics *kinematics_create(struct printer *printer, struct config_section *section, double max_velocity_mm_s,
                                     double max_accel_mm_s2);
void kinematics_destroy(struct kinematics *kin); /* NULL allowed */
/* Describe kinematics, steppers and endstops to the engine. */
enum err kinematics_connect(struct kinematics *kin, struct err_info *info) ERR_NODISCARD;

/* The distinct endstops of rail `index`, into `out`; returns their number. */
size_t kinematics_endstops(const struct kinematics *kin, size_t index, struct endstop *out[RAIL_STEPPERS_MAX]);

/* The endstop that stops `stepper` while `axis` is homed; NULL: it does not move then. After connect. */
struct endstop *kinematics_endstop_of(const struct kinematics *kin, size_t axis, const struct engine_stepper *stepper);

/* Is this kind of kinematics homed with all rails at once (delta)? */
bool kinematics_homes_together(const struct kinematics *kin);

#endif
