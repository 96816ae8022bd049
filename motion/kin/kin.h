/* Kinematics: how far each stepper has moved for a toolhead position, and where the toolhead may go.
 *
 * kin_func   what one stepper does: immutable, used by the step solver on any thread
 * kin        the machine: its steppers' functions, forward kinematics, homed state and limits; owned by the machine
 *            thread (kin_check_move runs on the caller's thread so that errors name the line)
 * Formulas and sources: docs/design/kinematics.md. */
#ifndef MOTION_KIN_KIN_H
#define MOTION_KIN_KIN_H

#include "base/err.h"
#include "motion/plan/move.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kin_func_kind {
    KIN_FUNC_NONE,   /* never moves */
    KIN_FUNC_LINEAR, /* c . (x, y, z) */
    KIN_FUNC_DELTA   /* sqrt(arm2 - (tx - x)^2 - (ty - y)^2) + z */
};

/* Position of one stepper [mm] as a function of the toolhead's x, y, z. */
struct kin_func {
    enum kin_func_kind kind;
    uint8_t axes;       /* SEG_X | SEG_Y | SEG_Z it depends on */
    double c[3];        /* LINEAR */
    double tower_mm[2]; /* DELTA */
    double arm2_mm2;
};

void kin_func_linear(struct kin_func *f, double cx, double cy, double cz);
void kin_func_delta(struct kin_func *f, double tower_x_mm, double tower_y_mm, double arm_mm);

/* Position; NaN where the machine cannot reach. Pure. */
double kin_func_position(const struct kin_func *f, const double pos_mm[3]);
/* Position, velocity and acceleration for a toolhead state. Pure. */
void kin_func_motion(const struct kin_func *f, const double pos[3], const double vel[3], const double acc[3],
                     double out[3]);

enum kin_kind { KIN_NONE, KIN_CARTESIAN, KIN_COREXY, KIN_COREXZ, KIN_HYBRID_COREXY, KIN_HYBRID_COREXZ, KIN_DELTA };

#define KIN_RAIL_COUNT 3

/* What printer.cfg says. Rails: 0..2 = stepper_x/y/z, or stepper_a/b/c. */
struct kin_config {
    enum kin_kind kind;
    double max_velocity_mm_s, max_accel_mm_s2; /* of [printer] */
    double max_z_velocity_mm_s, max_z_accel_mm_s2;
    struct {
        double position_min_mm, position_max_mm; /* cartesian-like: axis range */
        double position_endstop_mm;
        double arm_mm, angle_deg; /* delta: 0 angle_deg in all rails means 210, 330, 90 */
        double step_mm;           /* delta: rotation_distance / full microsteps */
    } rail[KIN_RAIL_COUNT];
    double delta_radius_mm, minimum_z_mm, print_radius_mm; /* delta; print_radius_mm 0: delta_radius_mm */
};

struct kin {
    struct kin_config config;
    struct kin_func func[KIN_RAIL_COUNT];
    double limit_min_mm[3], limit_max_mm[3]; /* unhomed: (1, -1) */
    bool is_homed[3];
    struct {
        double abs_endstop_mm[3]; /* height of each carriage at its endstop */
        double min_arm_mm, min_z_mm, max_z_mm;
        double limit_z_mm;                       /* above it the allowed radius shrinks */
        double max_xy2, slow_xy2, very_slow_xy2; /* squared radii [mm^2] */
        double home_mm[3];                       /* where the toolhead is with all carriages at their endstops */
    } delta;
};

/* "cartesian", "corexy", ...: the word in [printer] kinematics. ERR_NOT_FOUND if unknown, ERR_UNSUPPORTED if it is one
 * Klipper has and we do not yet. */
enum err kin_kind_parse(const char *text, enum kin_kind *kind) ERR_NODISCARD;
const char *kin_kind_name(enum kin_kind kind);

/* ERR_INVALID / ERR_LIMIT with a text when the geometry is impossible. Axes start unhomed. */
enum err kin_init(struct kin *k, const struct kin_config *config, struct err_info *info) ERR_NODISCARD;

/* Toolhead position from the three rail positions [mm]; OK, or ERR_INVALID if no position fits (delta). */
enum err kin_forward(const struct kin *k, const double rail_mm[KIN_RAIL_COUNT], double pos_mm[3]) ERR_NODISCARD;
void kin_inverse(const struct kin *k, const double pos_mm[3], double rail_mm[KIN_RAIL_COUNT]);

/* SET_KINEMATIC_POSITION / homing: these axes (bit mask SEG_X..SEG_Z) are homed now; the others keep their state. */
void kin_set_homed(struct kin *k, unsigned axes);
void kin_clear_homed(struct kin *k, unsigned axes);
/* Another range for an axis than the configuration's (cartesian-like kinds); homes it. */
void kin_set_range(struct kin *k, unsigned axis, double min_mm, double max_mm);

/* May this move be made? Lowers its speed where the machine asks for it (z, delta near the edge).
 * ERR_STATE "Must home axis first: x y z [e]", ERR_LIMIT "Move out of range: x y z [e]" (Klipper's texts). */
enum err kin_check_move(struct kin *k, struct move *m, struct err_info *info) ERR_NODISCARD;

/* Range of each axis for the status object (axis_minimum, axis_maximum). */
void kin_axis_range(const struct kin *k, double min_mm[3], double max_mm[3]);
/* Which rails move when `axis` (0..2) is homed, as bits; delta: all for any axis. */
unsigned kin_home_rails(const struct kin *k, int axis);

#endif
