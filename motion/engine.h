/* The motion engine: one ordered stream of moves, timed outputs, fences and bindings goes in; step commands for the
 * boards come out at the right clocks. It is everything the server knows about motion.
 *
 * Threads. Every function here is called on the machine thread unless it says "any thread". The engine owns the *motion*
 * actor, which consumes the stream (lookahead, profiles, step solving, compression) and hands messages to the boards.
 * News comes back as events, delivered by engine_poll on the machine thread.
 *
 * Life. engine_create, then describe the machine (engine_set_kinematics, engine_add_*) while the boards are being
 * configured; engine_start freezes it: from then on neither thread allocates. engine_stop forgets everything at once.
 *
 * The stream. Functions marked [stream] append one item: it acts after everything appended before it and before
 * everything after it. They are all-or-nothing and return
 *   OK            appended
 *   ERR_FULL      enough is planned ahead (about ENGINE_BUFFER_S seconds), the ring is full, or a hold is in progress:
 *                 wait with engine_wait_room (from a fiber) and call again
 *   ERR_SHUTDOWN  the engine was stopped or has met a fault (text set)
 *   other         refused with the text a Klipper user knows; nothing was appended
 *
 * Commit horizon. Steps are generated only ENGINE_HORIZON_S (or the horizon of the config) ahead of the boards; past it
 * everything is still a plan that engine_hold can take back. docs/design/commit-horizon.md.
 *
 * Batch mode (`plan`): no actor, no waiting, no clock: items are planned on the caller's thread when the ring fills or
 * something must be known, step solving is split over `threads`, and the bytes are the same for any number of them. */
#ifndef MOTION_ENGINE_H
#define MOTION_ENGINE_H

#include "base/actor.h"
#include "base/clock.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct actor;
struct board;   /* motion/board.h */
struct boards;
struct log;
struct runtime;

struct engine;
struct engine_queue;    /* a motion queue: the toolhead's, an extruder's, a manual stepper's */
struct engine_stepper;
struct engine_enable;   /* a motor-enable line, which several steppers may share */
struct engine_output;   /* something with a value that changes at print times: fan, pin, servo, ... */
struct engine_endstop;

#define ENGINE_AXES_MAX     8    /* x y z e, then extra G-code axes in the order of engine_set_axes */
#define ENGINE_STEPPERS_MAX 48
#define ENGINE_BOARDS_MAX   16
#define ENGINE_QUEUES_MAX   32
#define ENGINE_OUTPUTS_MAX  256
#define ENGINE_ENDSTOPS_MAX 64
#define ENGINE_ARGS_MAX     12   /* arguments of a timed output's message */
#define ENGINE_BUFFER_S     1.0  /* planned motion ahead of the boards at which the stream says ERR_FULL [s] */
#define ENGINE_HORIZON_RT_S 0.3  /* default commit horizon with real-time rights [s] */
#define ENGINE_HORIZON_S    0.7  /* without */

/* Where an item comes from. Held moves keep it, events and faults report it. */
struct engine_source {
    int64_t file_offset;  /* byte offset of the line in the job's file; < 0: not from the job */
    uint32_t line;        /* line number in the file, or 0 */
    uint32_t state;       /* the caller's cookie for the G-code state before this item; 0: none */
};
#define ENGINE_SOURCE_NONE ((struct engine_source){-1, 0, 0})

/* ------------------------------------------------------------------------------------------ creation, description */

enum engine_mode { ENGINE_LIVE, ENGINE_BATCH };

struct engine_config {
    enum engine_mode mode;
    struct runtime *runtime;  /* live: drives the motion actor and gives the time (kept) */
    struct boards *boards;    /* kept; before any of them is connected. The first one is the main board */
    struct log *log;          /* kept; may be NULL */
    struct actor *machine;    /* live: notified when events wait for engine_poll (kept) */
    const char *(*command)(void *ctx); /* text of the command being run, asked for (machine thread) when a transaction is
                                          appended, so that a fault can name what has bound a stepper; NULL: none */
    void *command_ctx;
    unsigned threads;         /* batch: step-solving threads, 0 or 1: the caller's only */
    double horizon_s;         /* commit horizon [s], 0: by whether the actor got real-time rights; [0.1, 2] */
    int fifo_priority;        /* live: SCHED_FIFO priority wanted, 0: none */
    unsigned check_every;     /* queue_step messages between two that are re-expanded and checked; 0: 64 */
    size_t memory_limit_bytes; /* of planned moves and steps, 0: default (6 MiB live) */
};

struct engine *engine_create(const struct engine_config *config);
void engine_destroy(struct engine *e); /* removes the motion actor; NULL allowed */

enum engine_kinematics {
    ENGINE_KIN_NONE,
    ENGINE_KIN_CARTESIAN,
    ENGINE_KIN_COREXY,
    ENGINE_KIN_COREXZ,
    ENGINE_KIN_HYBRID_COREXY,
    ENGINE_KIN_HYBRID_COREXZ,
    ENGINE_KIN_DELTA
};

struct engine_kinematics_spec {
    enum engine_kinematics kind;
    double max_velocity_mm_s, max_accel_mm_s2;     /* of [printer] */
    double max_z_velocity_mm_s, max_z_accel_mm_s2; /* <= 0: as above */
    struct {
        double position_min_mm, position_max_mm;   /* range of the axis; delta: unused */
        double position_endstop_mm;                /* delta: height at which the tower's endstop triggers */
        double arm_length_mm, angle_deg;           /* delta; all angles 0: 210, 330, 90 */
        double step_dist_mm;                       /* delta: of one full step */
    } rail[3];                                     /* stepper_x y z, or tower a b c */
    double delta_radius_mm, print_radius_mm, minimum_z_mm; /* delta; print radius <= 0: delta_radius */
};

/* Is the geometry possible? The errors of engine_set_kinematics. Pure. */
enum err engine_check_kinematics(const struct engine_kinematics_spec *spec, struct err_info *info) ERR_NODISCARD;
/* Which formulas move the toolhead's steppers, and their limits. Before engine_start. ERR_INVALID with a text when the
 * geometry is impossible, ERR_UNSUPPORTED for a kind this build cannot solve. */
enum err engine_set_kinematics(struct engine *e, const struct engine_kinematics_spec *spec,
                               struct err_info *info) ERR_NODISCARD;

struct engine_queue *engine_toolhead(struct engine *e); /* the queue of the x y z moves */

struct engine_extruder_spec {
    const char *name;               /* kept as a copy */
    double nozzle_diameter_mm, filament_diameter_mm;
    double max_cross_section_mm2;   /* <= 0: 4 nozzle^2 */
    double max_extrude_only_distance_mm;
    double max_extrude_only_velocity_mm_s; /* <= 0: derived from the printer's as Klipper does */
    double max_extrude_only_accel_mm_s2;   /* <= 0: likewise */
    double instantaneous_corner_velocity_mm_s;
    bool (*can_extrude)(void *ctx); /* is it hot enough? Called on the machine thread in engine_move; NULL: always */
    void *ctx;
};
struct engine_queue *engine_add_extruder(struct engine *e, const struct engine_extruder_spec *spec);
struct engine_queue *engine_add_manual(struct engine *e, const char *name); /* a manual stepper, force move, selector */

struct engine_output_spec {
    const char *name;             /* for error texts and statistics; kept as a copy */
    struct board *board;          /* kept */
    const char *format;           /* exact message format, e.g. "queue_digital_out oid=%c clock=%u on_ticks=%u"; copied */
    unsigned clock_index;         /* which argument is the clock */
    double min_interval_s;        /* two changes are at least this far apart; a value overtaken by a newer one within
                                     the interval is dropped, the last one always arrives */
};
/* ERR_NOT_FOUND if the board's dictionary lacks the format. After the board was identified. */
enum err engine_add_output(struct engine *e, const struct engine_output_spec *spec, struct engine_output **output,
                           struct err_info *info) ERR_NODISCARD;
/* A motor-enable line over `output`; on_args and off_args are all arguments of its message (the clock is filled in). A
 * line is on while any of its steppers is. It starts off. */
struct engine_enable *engine_add_enable(struct engine *e, struct engine_output *output, const int64_t *on_args,
                                        const int64_t *off_args, unsigned arg_count);

struct engine_stepper_spec {
    const char *name;               /* kept as a copy */
    struct board *board;            /* kept */
    uint32_t oid;                   /* config_stepper is the caller's */
    double step_dist_mm;            /* > 0 */
    bool is_dir_inverted;
    struct engine_queue *queue;     /* the queue it follows at first; NULL: none */
    unsigned rail;                  /* on the toolhead: 0 1 2 = x y z, or tower a b c */
    struct engine_enable *enable;   /* NULL: always on */
    double max_velocity_mm_s;       /* the self-check's limit; <= 0: none */
    double max_accel_mm_s2;
};
enum err engine_add_stepper(struct engine *e, const struct engine_stepper_spec *spec, struct engine_stepper **stepper,
                            struct err_info *info) ERR_NODISCARD;

/* A switch that stops steppers. config_endstop is the caller's; the trigger and its trsync objects (one for each board
 * that is involved, motion/board_homing.h) are the engine's: it adds their configuration here, so call these while the
 * boards still take configuration. */
struct engine_endstop_spec {
    const char *name;               /* as in "No trigger on %s after full movement"; kept as a copy */
    struct board *board;
    uint32_t oid;
    bool is_inverted;               /* pin has a '!' */
};
enum err engine_add_endstop(struct engine *e, const struct engine_endstop_spec *spec, struct engine_endstop **endstop,
                            struct err_info *info) ERR_NODISCARD;
/* `stepper` stops when `endstop` triggers. */
enum err engine_endstop_stops(struct engine *e, struct engine_endstop *endstop, struct engine_stepper *stepper,
                              struct err_info *info) ERR_NODISCARD;

/* Freeze the description and start the motion actor (live). Boards must be connected and configured. */
enum err engine_start(struct engine *e, struct err_info *info) ERR_NODISCARD;

/* ------------------------------------------------------------------------------ state of the caller's side (read state) */

struct engine_limits {
    double max_velocity_mm_s, max_accel_mm_s2, square_corner_velocity_mm_s, minimum_cruise_ratio;
};
/* Captured by each move appended from now on; takes no place in the stream. May be called before engine_start. */
void engine_set_limits(struct engine *e, const struct engine_limits *limits);
void engine_get_limits(const struct engine *e, struct engine_limits *limits);

/* Axes (bit mask, 1 2 4 = x y z) whose position is known; the others refuse to move: "Must home axis first". At first
 * none is. */
void engine_set_homed(struct engine *e, unsigned axes);
void engine_clear_homed(struct engine *e, unsigned axes);
unsigned engine_homed(const struct engine *e);
/* What the kinematics allow on each axis (toolhead.axis_minimum, axis_maximum). */
void engine_axis_range(const struct engine *e, double min_mm[3], double max_mm[3]);

/* Where the stream ends: the position after the last item appended [ENGINE_AXES_MAX]. After HELD it is the held
 * position until engine_release. */
void engine_commanded_position(const struct engine *e, double pos[ENGINE_AXES_MAX]);
/* The same for a manual or extruder queue [mm]. */
double engine_queue_position(const struct engine *e, const struct engine_queue *queue);
/* The extruder whose filament axis 3 of a move drives; NULL: none ("Extrude when no extruder present"). */
struct engine_queue *engine_active_extruder(const struct engine *e);

/* ------------------------------------------------------------------------------------------------------ the stream */

struct engine_move {
    double pos[ENGINE_AXES_MAX];  /* end point, absolute [mm] */
    double speed_mm_s;            /* > 0; cut to the limits */
    double feed_factor;           /* > 0: the feed override that is in speed_mm_s; 0: none applies to this move */
    struct engine_source source;
};
/* [stream] Straight move from the commanded position. Checked here: homed, range, extruder temperature and limits. A move
 * to where the toolhead is does nothing. */
enum err engine_move(struct engine *e, const struct engine_move *move, struct err_info *info) ERR_NODISCARD;

/* A move was slowed to what a board can step: words for that, once for each stepper that was the reason. Look after
 * engine_move. False: there is nothing to tell. */
#define ENGINE_WARNING_MAX 256
bool engine_take_warning(struct engine *e, char text[ENGINE_WARNING_MAX]);

/* [stream] Come to a stop, then wait `seconds` (>= 0, <= 86400) of print time. */
enum err engine_dwell(struct engine *e, double seconds, struct engine_source source, struct err_info *info) ERR_NODISCARD;

/* [stream] Send the output's message with `args` (the clock argument is filled in) at the print time at which the item's
 * place in the stream is reached: the end of the move before it. Does not stop the motion.
 * For outputs at once, not in order with moves (heaters), use motion/board.h. */
enum err engine_output(struct engine *e, struct engine_output *output, const int64_t *args, unsigned arg_count,
                       struct engine_source source, struct err_info *info) ERR_NODISCARD;

/* [stream] ENGINE_EVENT_MARK with `cookie` when this place of the stream has been executed. Does not stop the motion. */
enum err engine_mark(struct engine *e, uint64_t cookie, struct engine_source source, struct err_info *info) ERR_NODISCARD;

enum engine_fence {
    ENGINE_FENCE_PLANNED,   /* come to a stop; the event gives the print time at which the stop is reached
                               (Klipper's get_last_move_time) */
    ENGINE_FENCE_EXECUTED   /* come to a stop; the event comes when the boards have executed it (M400) */
};
/* [stream] ENGINE_EVENT_FENCE with `cookie`. Fibers use engine_wait_planned / engine_wait_executed instead. */
enum err engine_fence(struct engine *e, enum engine_fence kind, uint64_t cookie, struct engine_source source,
                      struct err_info *info) ERR_NODISCARD;

/* [stream] Declare the toolhead to be at `pos` (axes in the bit mask `axes`; others keep theirs). Stops the motion. */
enum err engine_set_position(struct engine *e, const double pos[ENGINE_AXES_MAX], unsigned axes,
                             struct engine_source source, struct err_info *info) ERR_NODISCARD;

/* [stream] Let `stepper` follow `queue` (NULL: none, no steps) from here on: a transaction at a fence time at which both
 * queues are at rest over all filter windows. Position of the stepper := the queue's. */
enum err engine_bind(struct engine *e, struct engine_stepper *stepper, struct engine_queue *queue,
                     struct engine_source source, struct err_info *info) ERR_NODISCARD;

/* [stream] Axis 3 drives `extruder` from here on; the commanded e becomes that queue's position. NULL: none. */
enum err engine_activate_extruder(struct engine *e, struct engine_queue *extruder, struct engine_source source,
                                  struct err_info *info) ERR_NODISCARD;

/* A manual queue that goes along with the moves as an axis of its own. */
struct engine_axis_spec {
    struct engine_queue *queue;          /* a manual one */
    double corner_velocity_mm_s;         /* [0, ..): its speed may jump by so much between two moves */
    double max_velocity_mm_s, max_accel_mm_s2; /* > 0: limits of this axis, along itself */
    double own_accel_mm_s2;              /* of moves without x, y and z; 0: max_accel_mm_s2 */
    double position_min_mm, position_max_mm; /* -INFINITY, INFINITY: none */
};
#define ENGINE_EXTRA_AXES_MAX (ENGINE_AXES_MAX - 4)
/* [stream] The extra axes from here on, all of them, in the order of their coordinates 4, 5, ...: a transaction. Each
 * begins where its queue is; a queue that is not listed any more takes engine_queue_move again from where the axis was.
 * ERR_STATE while motion is held: the tail's moves have the axes they were made with. */
enum err engine_set_axes(struct engine *e, const struct engine_axis_spec *axes, unsigned count,
                         struct engine_source source, struct err_info *info) ERR_NODISCARD;
/* The queue that coordinate 4 + index drives, NULL past the last: read state. */
struct engine_queue *engine_axis_queue(const struct engine *e, unsigned index);

/* [stream] Pressure advance of one extruder stepper. advance_s >= 0, smooth_time_s in [0, 0.2]. A change of advance alone
 * holds for moves after it and stops nothing; a change of the effective smooth time stops the motion. */
enum err engine_set_pressure_advance(struct engine *e, struct engine_stepper *stepper, double advance_s,
                                     double smooth_time_s, struct engine_source source, struct err_info *info) ERR_NODISCARD;

enum engine_shaper_kind { ENGINE_SHAPER_OFF, ENGINE_SHAPER_ZV, ENGINE_SHAPER_MZV, ENGINE_SHAPER_ZVD, ENGINE_SHAPER_EI,
                          ENGINE_SHAPER_2HUMP_EI, ENGINE_SHAPER_3HUMP_EI };
struct engine_shaper {
    enum engine_shaper_kind kind;
    double freq_hz, damping_ratio; /* freq 0: off */
    unsigned mzv_n;                /* 0: 3 */
    double mzv_t;                  /* 0: 0.75 */
    double ei_tolerance;           /* part of the vibration that may stay, below 1; 0: 0.05 */
};
/* A shaper looks no further than this around each instant: the commit horizon must hold it with room to spare. */
#define ENGINE_SHAPER_SPAN_MAX_S 0.15
/* Can there be such a shaper? ERR_LIMIT, ERR_INVALID with a text. Pure. */
enum err engine_check_shaper(const struct engine_shaper *shaper, struct err_info *info) ERR_NODISCARD;
/* [stream] Input shapers of x y z. Stops the motion. */
enum err engine_set_shapers(struct engine *e, const struct engine_shaper shapers[3], struct engine_source source,
                            struct err_info *info) ERR_NODISCARD;

/* [stream] Step distance of a stepper (SET_EXTRUDER_ROTATION_DISTANCE); negative reverses it. Keeps the microstep
 * position. Stops the motion. */
enum err engine_set_step_dist(struct engine *e, struct engine_stepper *stepper, double step_dist_mm,
                              struct engine_source source, struct err_info *info) ERR_NODISCARD;

/* [stream] Move a manual queue that is no axis (ERR_STATE) to `pos_mm` (accel <= 0: none). It starts when the toolhead's stream gets here and the
 * queue's previous move is over; with `is_synced` the stream waits until it has ended. */
struct engine_queue_move {
    struct engine_queue *queue;
    double pos_mm, speed_mm_s, accel_mm_s2;
    bool is_synced;
    struct engine_source source;
};
enum err engine_queue_move(struct engine *e, const struct engine_queue_move *move, struct err_info *info) ERR_NODISCARD;
/* [stream] Declare a manual queue to be at `pos_mm`. */
enum err engine_queue_set_position(struct engine *e, struct engine_queue *queue, double pos_mm,
                                   struct engine_source source, struct err_info *info) ERR_NODISCARD;

/* [stream] FORCE_MOVE, STEPPER_BUZZ: move one stepper by `distance_mm` outside of any kinematics. The toolhead's idea of
 * its position does not change. Stops the motion before and after. */
enum err engine_force_move(struct engine *e, struct engine_stepper *stepper, double distance_mm, double speed_mm_s,
                           double accel_mm_s2, struct engine_source source, struct err_info *info) ERR_NODISCARD;

/* [stream] Come to rest over all filter windows, as for a transaction (Klipper's flush_step_generation). */
enum err engine_flush(struct engine *e, struct engine_source source, struct err_info *info) ERR_NODISCARD;

/* [stream] Motor current on or off in order; `stepper` NULL: all. Stops the motion; a motor that goes off rests 0.1 s of
 * print time before and after, as in Klipper. (Motors go on by themselves with their first step.) */
enum err engine_motor_enable(struct engine *e, struct engine_stepper *stepper, bool on, struct engine_source source,
                             struct err_info *info) ERR_NODISCARD;

/* --------------------------------------------------------------------------- waiting; only from fibers of the machine */

/* All return OK, ERR_CANCELLED (the fiber was cancelled) or ERR_SHUTDOWN. In batch mode they return at once. */
enum err engine_wait_room(struct engine *e) ERR_NODISCARD;
/* Append a PLANNED fence and wait for it; *at = when the motion before it ends. */
enum err engine_wait_planned(struct engine *e, struct engine_source source, struct print_time *at,
                             struct err_info *info) ERR_NODISCARD;
/* Append an EXECUTED fence and wait for it (M400). ERR_CANCELLED also if a held tail that contains it is dropped. */
enum err engine_wait_executed(struct engine *e, struct engine_source source, struct err_info *info) ERR_NODISCARD;

/* ---------------------------------------------------------------------------------------------- homing and probing */

#define ENGINE_HOME_ENDSTOPS_MAX 8

struct engine_home_request {
    struct engine_queue *queue;   /* engine_toolhead() or a manual queue */
    double pos[ENGINE_AXES_MAX];  /* target; a manual queue uses pos[0] */
    double speed_mm_s;
    double accel_mm_s2;           /* manual queue only */
    struct engine_endstop *endstops[ENGINE_HOME_ENDSTOPS_MAX];
    unsigned endstop_count;
    bool until_triggered;         /* true: stop when the endstops trigger; false: when they release */
    bool is_trigger_required;     /* no trigger: error "No trigger on %s after full movement" */
    const char *name;             /* NULL: endstops go by their own names in error texts; else all by this one */
    bool is_probe;                /* false: the position becomes target + (halt - trigger); true: where it stopped */
    struct engine_source source;
};

struct engine_home_stepper {
    struct engine_stepper *stepper;
    int64_t start_steps, trigger_steps, halt_steps; /* of the board's count */
};
struct engine_home_result {
    bool has_trigger[ENGINE_HOME_ENDSTOPS_MAX];
    struct print_time trigger_time[ENGINE_HOME_ENDSTOPS_MAX];
    double trigger_pos[ENGINE_AXES_MAX]; /* where the toolhead was when the (first) endstop triggered */
    double halt_pos[ENGINE_AXES_MAX];    /* where it came to a stop, in the coordinates before the move */
    struct engine_home_stepper steppers[ENGINE_STEPPERS_MAX]; /* those of the moved queue */
    unsigned stepper_count;
};
/* Wait until the stream is executed, then move towards the target until the endstops trigger. Steps are generated at most
 * 0.1 s ahead; what was queued behind the trigger is wiped. From a fiber. Afterwards the commanded position is set as
 * is_probe says. ERR_CANCELLED stops the motion at once (positions are right afterwards, *result is set);
 * ERR_TIMEOUT "Communication timeout during homing", ERR_STATE "No trigger on ...". */
enum err engine_home(struct engine *e, const struct engine_home_request *request, struct engine_home_result *result,
                     struct err_info *info) ERR_NODISCARD;

/* --------------------------------------------------------------------------------------------- out of band requests */

/* Pause at the commit horizon: brake within limits, keep everything not executed as the held tail, then
 * ENGINE_EVENT_HELD. Until then the stream says ERR_FULL. While held, items whose source has a file offset say ERR_FULL
 * (they belong behind the tail) and others are executed from the held position. Also works when nothing moves.
 * ERR_STATE while held, being held, or homing. */
enum err engine_hold(struct engine *e, struct err_info *info) ERR_NODISCARD;
/* Play the tail, then take the stream again. x y z and extra axes must be where they were held (ERR_STATE with a text otherwise); if e
 * was moved meanwhile, the tail's e moves with it. Moves are planned from rest; everything appended while held is
 * executed first. ERR_FULL as for [stream]. */
enum err engine_release(struct engine *e, struct err_info *info) ERR_NODISCARD;
/* Forget the tail (cancel); fences in it end with is_dropped. ERR_STATE when nothing is held. */
enum err engine_drop_tail(struct engine *e, struct err_info *info) ERR_NODISCARD;
bool engine_is_held(const struct engine *e);     /* between HELD and release or drop */
bool engine_is_holding(const struct engine *e);  /* between engine_hold and HELD */

/* Feed override at the horizon: all moves appended before this and not committed that have a feed_factor go on at `factor`
 * of their feed, from the speed the motion has there, without a stop: slower as fast as their acceleration limits allow,
 * faster as the lookahead plans it. The path stays; what limits a move otherwise still does. Moves appended later are the
 * caller's to scale. The latest one counts. ERR_LIMIT; ERR_STATE while held or being held: nothing is changed then. */
#define ENGINE_FEED_MIN 1e-3
#define ENGINE_FEED_MAX 1e3
enum err engine_override_feed(struct engine *e, double factor, struct err_info *info) ERR_NODISCARD;

/* Emergency: forget stream, plan and tail at once; nothing more is handed to the boards. Wakes all waiting fibers with
 * ERR_SHUTDOWN. Boards are stopped by board_emergency_stop. Any thread. */
void engine_stop(struct engine *e);

/* ------------------------------------------------------------------------------------------------------------ events */

enum engine_event_kind {
    ENGINE_EVENT_STARTED,    /* motion begins at `at` after the queue had run dry (Klipper's toolhead:sync_print_time) */
    ENGINE_EVENT_DRAINED,    /* everything appended has been executed */
    ENGINE_EVENT_MARK,       /* cookie */
    ENGINE_EVENT_FENCE,      /* cookie, at; is_dropped: it was in a tail that was dropped */
    ENGINE_EVENT_HELD,       /* pos, at = when it stood still, source = of the first item of the tail, tail_count */
    ENGINE_EVENT_RELEASED,   /* the tail is being played from here on */
    ENGINE_EVENT_MOTOR,      /* stepper, is_on, at */
    ENGINE_EVENT_STALL,      /* moves came too late: the queue ran dry during a print, at */
    ENGINE_EVENT_FAULT       /* engine_fault_text; the engine has stopped */
};
struct engine_event {
    enum engine_event_kind kind;
    struct print_time at;
    uint64_t cookie;
    struct engine_source source;
    double pos[ENGINE_AXES_MAX];
    struct engine_stepper *stepper;
    uint32_t tail_count;
    bool is_on, is_dropped;
};
typedef void engine_listener_fn(void *ctx, const struct engine_event *event);
/* Up to 16 listeners, called in the order of registration, on the machine thread, outside of any fiber. Kept until
 * engine_destroy. */
void engine_listen(struct engine *e, engine_listener_fn *fn, void *ctx);
/* Deliver what waits; wake fibers. Called by the machine actor's step. */
void engine_poll(struct engine *e, struct host_ns now);
/* Words for the first fault: stepper, queue, last binding, the line that caused it, the moves around it. "" if none. */
const char *engine_fault_text(const struct engine *e);

/* ------------------------------------------------------------------------------------------------------------ status */

struct engine_status {
    struct print_time print_time;      /* end of what is planned */
    struct print_time est_print_time;  /* where the boards are now */
    double buffer_s;                   /* planned and queued ahead of est_print_time [s] */
    bool is_empty;                     /* nothing appended waits to be planned (lookahead empty) */
    bool is_idle;                      /* nothing moves and nothing waits */
    uint32_t stalls;
    double live_pos[ENGINE_AXES_MAX];  /* at est_print_time (from the plan, not the motors) */
    double live_velocity_mm_s, live_extruder_velocity_mm_s;
    struct engine_source executed;     /* of the item being executed; none when idle */
    uint32_t max_step_lead_us, min_step_lead_us; /* how far ahead of its clock the latest step messages were handed over */
    uint32_t late_count;               /* step messages that would have been handed over after their clock (each a fault) */
    uint32_t max_wake_late_us;         /* how late the motion thread ran at most, after the instant it had asked for */
    uint64_t moves;                    /* moves planned since start */
};
void engine_get_status(struct engine *e, struct host_ns now, struct engine_status *status);

/* Below this steps come too near to the boards: the link wants commands 0.1 s before their first step, and those of the
 * last 0.05 s are kept back for a longer queue_step. */
#define ENGINE_BUFFER_LOW_S 0.150
/* How well the motion thread keeps up. Any thread. */
struct engine_lateness {
    double horizon_s;            /* the commit horizon in force; 0: the thread has not run yet */
    struct histogram_view ahead; /* in motion: how far ahead of the boards steps exist when the thread comes to make more */
    uint32_t low_count;          /* of those, below ENGINE_BUFFER_LOW_S */
    bool has_thread;             /* false in virtual time */
    struct actor_stats thread;
};
void engine_get_lateness(const struct engine *e, struct engine_lateness *out);

struct engine_stepper_position {
    int64_t steps;        /* of the board's count at the print time asked for, from the history of what was sent */
    double commanded_mm;  /* in its own coordinate, of all steps generated so far */
    double steps_mm;      /* `steps` in its own coordinate */
};
/* Where a stepper is or was: `at` within the last 30 s; {INFINITY}: after everything generated. From a fiber. */
enum err engine_stepper_position_at(struct engine *e, struct engine_stepper *stepper, struct print_time at,
                                    struct engine_stepper_position *position, struct err_info *info) ERR_NODISCARD;
const char *engine_stepper_name(const struct engine_stepper *stepper);
double engine_stepper_step_dist_mm(const struct engine_stepper *stepper);
struct engine_queue *engine_stepper_queue(const struct engine_stepper *stepper); /* read state; NULL: none */
bool engine_stepper_is_on(const struct engine_stepper *stepper); /* as of the last MOTOR event; offline: as planned */
const char *engine_queue_name(const struct engine_queue *queue);

/* What is kept of the motion after print time `since_s`, oldest first, the newest ENGINE_DUMP_MAX at most. Only what steps
 * exist for. From a fiber; valid until the caller waits for something else. ERR_FULL: another fiber is at it;
 * ERR_UNSUPPORTED offline. */
#define ENGINE_DUMP_MAX 256
struct engine_dump_move { /* a segment of a queue: pos + r (v t + accel t^2/2) */
    double time_s, duration_s, start_v_mm_s, accel_mm_s2, start_mm[3], r[3];
};
struct engine_dump_steps { /* a queue_step; the count is negative when it steps backwards */
    uint32_t interval;
    int32_t count, add;
    uint64_t first_clock, last_clock;
    int64_t steps_before;
    double first_s, last_s; /* print time */
};
enum err engine_dump_queue(struct engine *e, const struct engine_queue *queue, double since_s,
                           const struct engine_dump_move **moves, size_t *count, struct err_info *info) ERR_NODISCARD;
enum err engine_dump_stepper(struct engine *e, const struct engine_stepper *stepper, double since_s,
                             const struct engine_dump_steps **steps, size_t *count, struct err_info *info) ERR_NODISCARD;
/* The motion queue with this name ("toolhead", "extruder", "manual_stepper foo"); NULL: none. */
struct engine_queue *engine_find_queue(struct engine *e, const char *name);

/* Forward kinematics: x y z from stepper positions [mm] of rails 0 1 2. ERR_INVALID if no position fits (delta). */
enum err engine_forward(const struct engine *e, const double rail_mm[3], double xyz[3]) ERR_NODISCARD;
/* Stepper positions [mm] of rails 0 1 2 for x y z. Pure. */
void engine_inverse(const struct engine *e, const double xyz[3], double rail_mm[3]);

/* Ask the boards where their steppers are (stepper_get_position) and take that over: after a stop or a lost board.
 * From a fiber. The counts are readable through engine_stepper_position_at. */
enum err engine_read_positions(struct engine *e, struct err_info *info) ERR_NODISCARD;

/* ------------------------------------------------------------------------------------------------------- batch mode */

/* Plan and write everything appended so far, to the last message. Batch only. *end = when the last move ends. */
enum err engine_finish(struct engine *e, struct print_time *end, struct err_info *info) ERR_NODISCARD;

/* The reader of the file gives way here: after each 4096 bytes and at its end. Reproduces where Klipper's offline mode
 * flushes, see docs/design/commit-horizon.md. Batch only; optional. */
void engine_batch_yield(struct engine *e);

struct engine_counters {
    const char *name;
    uint64_t steps, commands, bytes;           /* commands: queue_step messages; bytes: of all its messages, unframed */
    uint64_t first_clock, last_clock;          /* of steps [ticks] */
    int64_t end_steps;                         /* sum of steps */
    /* Against the exact times, of the steps that were checked (engine_config.check_every): */
    uint64_t checked_steps;
    double late_us, early_us;                  /* at most */
    double early_share;                        /* at most: of half the interval to the step before */
};
unsigned engine_stepper_count(const struct engine *e);
void engine_stepper_counters(const struct engine *e, unsigned index, struct engine_counters *counters);
struct engine_stepper *engine_stepper_at(struct engine *e, unsigned index);

#endif
