/* One straight move of the toolhead and of the axes that go along with it, with the limits that will shape its profile.
 * A move is made and limited on the caller's thread, then copied into the motion thread's lookahead queue.
 * Axes 0..2 are x, y, z; the others ("extra": extruder, G-code axes) follow the same profile scaled by their own r.
 * Source of the rules: docs/design/lookahead.md. */
#ifndef MOTION_PLAN_MOVE_H
#define MOTION_PLAN_MOVE_H

#include <stdbool.h>
#include <stdint.h>

enum { MOVE_X, MOVE_Y, MOVE_Z, MOVE_EXTRA, MOVE_EXTRA_MAX = 5, MOVE_AXES_MAX = MOVE_EXTRA + MOVE_EXTRA_MAX };

#define MOVE_QUEUE_NONE 255 /* extra_queue: the axis has no segment queue (it moves nothing) */

/* The limits in force when a move is queued ([printer], SET_VELOCITY_LIMIT, M204). */
struct move_limits {
    double max_velocity_mm_s;
    double max_accel_mm_s2;
    double square_corner_velocity_mm_s;
    double minimum_cruise_ratio; /* [0, 1) */
};

/* What the caller wants back when a move is executed, cut or replayed. Not interpreted here. */
struct move_tag {
    uint64_t file_offset; /* of the G-code line in the file; UINT64_MAX: not from a file */
    uint32_t line;        /* G-code line number, for messages */
    uint32_t cookie;      /* the engine's: which state before this move */
    uint32_t feed_serial; /* the engine's: feed overrides up to this one are in the speed */
};

struct move {
    double start_mm[MOVE_AXES_MAX], end_mm[MOVE_AXES_MAX];
    double r[MOVE_AXES_MAX];              /* travel of each axis per mm of length */
    double corner_v_mm_s[MOVE_EXTRA_MAX]; /* instantaneous_corner_velocity of each extra axis */
    uint8_t extra_queue[MOVE_EXTRA_MAX];  /* which segment queue the axis belongs to, MOVE_QUEUE_NONE: none */
    uint8_t extra_flags[MOVE_EXTRA_MAX];  /* SEG_ADVANCE: pressure advance applies to this move */
    uint8_t axes_count;                   /* 3 + extra axes in use */
    bool is_kinematic;                    /* x, y or z move; otherwise only extra axes do */
    double length_mm;
    double accel_mm_s2, junction_dev_mm;
    double max_cruise_v2, delta_v2, mcr_delta_v2; /* squared speeds [mm^2/s^2] */
    double corner_delta_v2;                       /* delta_v2 of the whole move, also when only a part of it is left */
    double limit_v2;                              /* as max_cruise_v2, but for the speed that was asked for */
    double feed_mm_s;                             /* speed asked for at a feed override of 1; 0: none applies */
    double min_time_s;                            /* length / speed limit */
    double next_junction_v2;                      /* cap on the start of the following move */
    double max_start_v2, max_mcr_start_v2;        /* set by move_join */
    /* The profile, set when the lookahead queue releases the move. */
    double start_v, cruise_v, end_v;
    double accel_t, cruise_t, decel_t;
    double print_time_s; /* of its start */
    struct move_tag tag;
};

/* Prepare the move from start to end ([axes_count] values each, mm) at `speed_mm_s` (> 0) under `limits`.
 * An xyz travel under 1e-9 mm makes it an extra-axes-only move: its acceleration is left practically unlimited
 * (move_limit_speed by the axis sets it) and its speed is not clamped to max_velocity_mm_s.
 * Returns false, with *m valid but empty (length 0), if nothing moves; such a move is not to be queued. Pure. */
bool move_init(struct move *m, const struct move_limits *limits, unsigned axes_count, const double *start_mm,
               const double *end_mm, double speed_mm_s);

/* Lower the speed and acceleration limits of the whole move (along its length). Never raises. */
void move_limit_speed(struct move *m, double speed_mm_s, double accel_mm_s2);

/* Ask for another speed; the limits stay. */
void move_set_speed(struct move *m, double speed_mm_s);

/* Cap the speed at which the move after this one may start. */
void move_limit_next_junction_speed(struct move *m, double speed_mm_s);

/* Set m->max_start_v2 and max_mcr_start_v2 from the corner between `prev` and `m`. Both at rest unless both are
 * kinematic. Sources and derivation: docs/design/lookahead.md. */
void move_join(struct move *m, const struct move *prev);

/* Fill the trapezoid (start_v .. decel_t) from squared speeds; start_v2, end_v2 <= cruise_v2. */
void move_set_profile(struct move *m, double start_v2, double cruise_v2, double end_v2);

static inline double move_duration_s(const struct move *m)
{
    return m->accel_t + m->cruise_t + m->decel_t;
}

/* Where the move is after `distance_mm` of its length. */
void move_position_at(const struct move *m, double distance_mm, double pos_mm[MOVE_AXES_MAX]);

/* Keep only what lies before, or only what lies behind, `distance_mm` in (0, length). The limits stay; the profile does
 * not fit any more. */
void move_keep_head(struct move *m, double distance_mm);
void move_drop_head(struct move *m, double distance_mm);

/* Speeds are open again: what lookahead_add expects. */
void move_unplan(struct move *m);

/* Distance [mm] along the move and speed [mm/s] at `t_s` after its start, clamped to its duration. */
void move_at(const struct move *m, double t_s, double *distance_mm, double *speed_mm_s);

#endif
