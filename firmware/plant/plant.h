/* The world outside the boards: motors that move carriages, endstops that they hit, heaters that warm up, sensors that
 * report it. A plant is described by the structs below (server/app/simulate derives them from a printer.cfg), wired to
 * the pins of simulated boards, and then lives from their callbacks alone. Models and parameters:
 * docs/design/simulated-printer.md.
 *
 * Units: mm, s, C, W. All boards of one plant and every call run on one thread. Deterministic: no clock but the
 * boards'. */
#ifndef FIRMWARE_PLANT_PLANT_H
#define FIRMWARE_PLANT_PLANT_H

#include "base/err.h"
#include "base/thermistor.h"
#include "firmware/port/sim/sim_board.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plant;

/* A pin of one of the plant's boards. name NULL: not connected. */
struct plant_pin {
    unsigned board; /* index into plant_desc.boards */
    const char *name;
    bool is_inverted; /* '!' in the configuration: active low */
};

enum plant_kinematics {
    PLANT_NONE, /* every motor on its own */
    PLANT_CARTESIAN,
    PLANT_COREXY,
    PLANT_COREXZ,
    PLANT_HYBRID_COREXY, /* y by motor y, x by motor x minus y */
    PLANT_HYBRID_COREXZ,
    PLANT_DELTA,
    PLANT_POLAR,
    PLANT_WINCH
};

/* The part a motor has in the kinematics. Several motors may share a role (z, z1, z2: their mean counts). */
enum plant_role {
    PLANT_ROLE_FREE, /* extruders, manual steppers: a position of its own */
    PLANT_ROLE_X,    /* also delta tower a, polar bed, winch a */
    PLANT_ROLE_Y,    /* delta tower b, polar arm, winch b */
    PLANT_ROLE_Z     /* delta tower c, winch c, z of polar */
};

struct plant_motor {
    const char *name; /* "stepper_x" */
    struct plant_pin step, dir, enable;
    double mm_per_step; /* > 0; radians for a polar bed */
    double start_mm;    /* where it stands when the printer is switched on */
    enum plant_role role;
    bool is_both_edges; /* the driver steps on both edges of the step pin */
    bool has_place;     /* of z: it lifts the gantry (or the bed) at at_x_mm, at_y_mm; else z is the mean of its motors */
    double at_x_mm, at_y_mm;
};

enum plant_endstop_of {
    PLANT_ENDSTOP_MOTOR, /* watches the position of one motor (delta towers, z1, manual steppers) */
    PLANT_ENDSTOP_AXIS,  /* watches a coordinate of the toolhead */
    PLANT_ENDSTOP_PROBE  /* triggers when the nozzle is within at_mm of the bed surface below the probe */
};

struct plant_endstop {
    const char *name;
    struct plant_pin pin;
    enum plant_endstop_of of;
    unsigned index;                /* motor index, or axis 0..2 */
    double at_mm;                  /* where it triggers */
    bool is_at_max;                /* triggered at and above at_mm; else at and below */
    double probe_x_mm, probe_y_mm; /* PROBE: where it sits from the nozzle */
    struct plant_pin control;      /* PROBE: a servo line that puts it out and takes it in (BLTouch); none: always out */
};

struct plant_heater {
    const char *name;
    struct plant_pin pin;
    double power_w;      /* at full duty */
    double capacity_j_k; /* heat capacity of the block or bed */
    double loss_w_k;     /* to the surroundings, without fan */
    double fan_loss_w_k; /* more with the fan of index `fan` at full speed */
    int fan;             /* index of a fan, -1: none */
    double sensor_tau_s; /* lag of the sensor behind the block */
    double delay_s;      /* dead time between heater and block, 0..10 */
};

struct plant_sensor {
    const char *name;
    struct plant_pin pin;
    struct sensor_curve curve;
    struct sensor_wiring wiring;
    int heater; /* index of the heater it sits on, -1: ambient plus offset_c */
    double offset_c;
};

struct plant_fan {
    const char *name;
    struct plant_pin pin;
    struct plant_pin tach; /* pulses, if connected */
    double rpm_max;        /* at full speed */
    double tach_ppr;       /* pulses per revolution */
};

/* A switch that somebody outside holds (gcode_button, filament sensor). */
struct plant_switch {
    const char *name;
    struct plant_pin pin;
    bool is_active; /* at start */
};

/* A wheel that filament turns (filament_motion_sensor): its signal changes each mm_per_edge of a motor's way. */
struct plant_wheel {
    const char *name;
    struct plant_pin pin;
    size_t motor; /* index */
    double mm_per_edge; /* > 0 */
};

struct plant_desc {
    struct sim_board *const *boards; /* kept until plant_destroy */
    size_t board_count;
    enum plant_kinematics kinematics;
    const struct plant_motor *motors;
    size_t motor_count;
    const struct plant_endstop *endstops;
    size_t endstop_count;
    const struct plant_heater *heaters;
    size_t heater_count;
    const struct plant_sensor *sensors;
    size_t sensor_count;
    const struct plant_fan *fans;
    size_t fan_count;
    const struct plant_switch *switches;
    size_t switch_count;
    const struct plant_wheel *wheels;
    size_t wheel_count;
    /* delta: radius and arm lengths [mm] and tower angles [deg], towers a, b, c; winch: anchors [mm] */
    double delta_radius_mm, delta_arm_mm[3], delta_angle_deg[3];
    double winch_anchor_mm[3][3];
    double bed_tilt_x, bed_tilt_y; /* height of the bed surface per mm of x and y */
    double ambient_c;              /* 0: 25 C */
};

/* Build the plant and connect it to its boards' pins. Everything in `desc` but the boards is copied. ERR_NOT_FOUND with
 * a text if a pin or index does not exist. Destroy before the boards. */
enum err plant_create(struct plant **plant, const struct plant_desc *desc, struct err_info *info) ERR_NODISCARD;
void plant_destroy(struct plant *plant);

/* --- looking at it (tests, page, checkers); index = order in the description --- */
double plant_motor_mm(const struct plant *plant, size_t index);
int64_t plant_motor_steps(const struct plant *plant, size_t index); /* since start */
bool plant_motor_is_enabled(const struct plant *plant, size_t index);
/* The toolhead's real position from the motors; false if the motors are in an impossible place. */
bool plant_toolhead_mm(const struct plant *plant, double xyz[3]);
/* Advance all heaters to the boards' present and read. */
double plant_heater_temp_c(struct plant *plant, size_t index);
double plant_sensor_temp_c(struct plant *plant, size_t index);
double plant_heater_duty(const struct plant *plant, size_t index); /* present level of its pin, 0..1 */
double plant_fan_speed(const struct plant *plant, size_t index);   /* 0..1 */
bool plant_endstop_is_triggered(const struct plant *plant, size_t index);
size_t plant_find_motor(const struct plant *plant, const char *name); /* SIZE_MAX: none */
size_t plant_find_heater(const struct plant *plant, const char *name);
size_t plant_find_sensor(const struct plant *plant, const char *name);
size_t plant_find_endstop(const struct plant *plant, const char *name);
size_t plant_find_switch(const struct plant *plant, const char *name);
size_t plant_find_wheel(const struct plant *plant, const char *name);

/* --- faults --- */
void plant_cut_heater(struct plant *plant, size_t heater, bool is_cut);
/* A heater stuck on, as a shorted MOSFET. */
void plant_short_heater(struct plant *plant, size_t heater, bool is_shorted);
enum plant_sensor_fault { PLANT_SENSOR_OK, PLANT_SENSOR_FROZEN, PLANT_SENSOR_OPEN, PLANT_SENSOR_SHORTED };
void plant_fault_sensor(struct plant *plant, size_t sensor, enum plant_sensor_fault fault);
enum plant_endstop_fault { PLANT_ENDSTOP_OK, PLANT_ENDSTOP_STUCK_OPEN, PLANT_ENDSTOP_STUCK_TRIGGERED };
void plant_fault_endstop(struct plant *plant, size_t endstop, enum plant_endstop_fault fault);
/* Tilt the bed: height of its surface per mm of x and y. */
void plant_set_bed_tilt(struct plant *plant, double per_x_mm, double per_y_mm);
/* Give the bed a shape of its own, on top of its tilt: its height [mm] at x, y. `ctx` is kept; NULL: flat. */
typedef double plant_bed_fn(void *ctx, double x_mm, double y_mm);
void plant_set_bed_shape(struct plant *plant, plant_bed_fn *fn, void *ctx);
/* Twist the gantry along x: it turns by this much [rad] per mm, so what sits before or behind the nozzle is not at its height. */
void plant_set_twist(struct plant *plant, double per_mm);
/* Height of the nozzle above the bed below a point of the toolhead that is x, y from the nozzle: with the shape of the bed,
 * its tilt, and the lean of a gantry that hangs on several motors of z. false as plant_toolhead_mm. */
bool plant_clearance_mm(const struct plant *plant, double x_mm, double y_mm, double *clearance_mm);
void plant_set_switch(struct plant *plant, size_t index, bool is_active);
/* A jam: the motor turns, the wheel stands still. */
void plant_jam_wheel(struct plant *plant, size_t index, bool is_jammed);
/* Move a motor's carriage by hand. */
void plant_push_motor(struct plant *plant, size_t motor, double by_mm);
void plant_set_ambient_c(struct plant *plant, double ambient_c);

#endif
