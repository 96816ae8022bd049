/* Inside of the engine: shared by the engine_*.c files only.
 *
 * Two halves that share nothing but rings and a few atomics:
 *   struct engine   the caller's half, on the machine thread: read state, limits, waiting fibers, events
 *   struct motion   the motion thread's half: lookahead, queues, steppers, lanes to the boards
 * In batch mode both run on the caller's thread and items go from one to the other by a call. */
#ifndef MOTION_ENGINE_INT_H
#define MOTION_ENGINE_INT_H

#include "base/actor.h"
#include "base/check.h"
#include "base/fiber.h"
#include "base/fmath.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/ring.h"
#include "motion/board.h"
#include "motion/board_homing.h"
#include "motion/engine.h"
#include "motion/kin/kin.h"
#include "motion/link/published.h"
#include "motion/plan/lookahead.h"
#include "motion/plan/move.h"
#include "motion/plan/segq.h"
#include "motion/shape/shaper.h"
#include "motion/steps/binding.h"
#include "motion/steps/stepgen.h"
#include "motion/steps/stepmerge.h"
#include "motion/steps/stepteam.h"

#include <stdatomic.h>

#define AXES       ENGINE_AXES_MAX
#define AXIS_EXTRA 4 /* coordinates before it: x y z e */

#define RING_ITEMS       512  /* appended, not yet taken by the motion thread */
#define LOOKAHEAD_MOVES  1024
#define TIMED_ITEMS      512  /* outputs, marks, fences, ... that wait for their time */
#define EVENT_RING       256
#define CONTROL_RING     64
#define SEGS_LIVE        4096
#define SEGS_BATCH       8192
#define LOOKAHEAD_BATCH  8192
#define BATCH_CHUNK_S    6.0  /* offline: steps are solved in stretches of about this length */
#define SEGS_SMALL       512  /* force moves */
#define WAITERS_MAX      64
#define LISTENERS_MAX    16
#define DUE_MAX          (TIMED_ITEMS + 2 * ENGINE_STEPPERS_MAX)
#define SPILL_MAX        4096 /* step messages that a full lane has not taken yet */
#define FAULT_TEXT_MAX   2048
#define COMMAND_TEXT_MAX 80

/* How near to the boards things are scheduled: with real-time rights, and without, when this thread and the link's may
 * have to wait for the processor (0.12 s was measured with eight processes that spin). */
#define START_LEAD_RT_S  0.250 /* the first move after standstill starts this far ahead of the boards */
#define START_LEAD_S     0.450
#define MIN_LEAD_RT_S    0.100 /* nothing is scheduled nearer than this */
#define MIN_LEAD_S       0.250
#define DRIP_AHEAD_RT_S  0.100 /* while homing: steps are generated no further ahead */
#define DRIP_AHEAD_S     0.300
#define PRIME_WAIT_S     0.100 /* moves wait this long for more before the first of them is released */
#define RING_AHEAD_S     0.250 /* motion waiting in the ring at which the caller is told to wait */
#define PLAN_MARGIN_S    (ENGINE_BUFFER_S - RING_AHEAD_S - ENGINE_HORIZON_RT_S) /* planned beyond the horizon */
#define BATCH_LIVE_S     0.050 /* steps are generated in stretches of this length */
#define SEND_LAG_S       0.050 /* and stay open to a longer queue_step for this long */
#define WINDOW_MIN_S     0.001 /* least of kin_flush_delay */
#define TAIL_LEFT_MAX    64   /* a released tail must be planned up to so many items before more is taken */
#define MOTOR_PAUSE_S    0.100

/* ---------------------------------------------------------------------------------------------- items of the stream */

enum item_kind {
    ITEM_MOVE,
    ITEM_DWELL,
    ITEM_OUTPUT,
    ITEM_MARK,
    ITEM_ADVANCE,        /* pressure advance alone: stops nothing */
    ITEM_FENCE_PLANNED,
    ITEM_FENCE_EXECUTED,
    ITEM_QUEUE_MOVE,
    ITEM_MOTOR,
    ITEM_RELEASE,
    ITEM_BARRIER_FIRST,  /* from here on: transactions at a fence time at which everything rests */
    ITEM_SET_POSITION = ITEM_BARRIER_FIRST,
    ITEM_QUEUE_POSITION,
    ITEM_BIND,
    ITEM_ACTIVATE,
    ITEM_SMOOTH,         /* pressure advance with another smooth time */
    ITEM_SHAPERS,
    ITEM_AXES,
    ITEM_FLUSH,
    ITEM_STEP_DIST
};

struct item_args {
    union {
        double dwell_s;
        struct {
            uint16_t output, arg_count;
            int64_t args[ENGINE_ARGS_MAX];
        } output;
        struct {
            uint64_t cookie;
            uint64_t ticket; /* of the fiber that waits, 0: none, an event is wanted */
        } fence;
        struct {
            double pos[AXES];
            uint32_t axes;
        } position;
        struct {
            double pos_mm, speed_mm_s, accel_mm_s2;
            bool is_synced;
            int16_t queue;
        } queue_move;
        struct {
            double advance_s, smooth_s;
            int16_t stepper;
        } advance;
        struct {
            double step_mm;
            int16_t stepper;
            int16_t queue; /* BIND, ACTIVATE: -1 none */
        } bind;
        struct {
            int16_t stepper; /* -1: all */
            bool on;
        } motor;
    };
};

struct extra_axes {
    unsigned count;
    struct engine_axis_spec axis[ENGINE_EXTRA_AXES_MAX];
};

struct item {
    uint8_t kind;
    struct engine_source source;
    double time_s; /* least time it takes, as counted by the caller's half */
    union {
        struct move move;
        struct {
            union {
                struct item_args a;
                struct shaper shapers[3];
                struct extra_axes axes;
            };
            char command[COMMAND_TEXT_MAX]; /* of a transaction: what asked for it */
        };
    };
};

/* An item that waits for its time: it stands before the move with number `move_index` of the lookahead. */
struct timed {
    uint8_t kind;
    bool is_stamped, is_done;
    uint64_t move_index;
    double time_s;    /* when it acts, once stamped */
    double natural_s; /* when its place in the stream is; before time_s if its output's interval delays it */
    struct engine_source source;
    struct item_args a;
};

/* ---------------------------------------------------------------------------------------------- the machine's parts */

enum queue_kind { QUEUE_TOOLHEAD, QUEUE_EXTRUDER, QUEUE_MANUAL };

struct engine_queue {
    struct engine *e;
    int index;
    enum queue_kind kind;
    char *name;
    /* caller's half */
    double read_mm;               /* commanded position (extruder, manual) */
    struct engine_extruder_spec extruder;
    double max_extrude_ratio, filament_area_mm2;
    /* motion's half */
    struct segq q;
    double pos_mm;                /* where the plan ends (extruder, manual) */
    double next_s;                /* manual: its last move ends here */
    bool is_axis;                 /* manual: it goes along with the moves */
};

struct engine_enable {
    struct engine_output *output;
    int64_t args[2][ENGINE_ARGS_MAX]; /* off, on */
    unsigned arg_count;
    unsigned on_count;            /* motion's half: steppers that want it on */
};

struct engine_output {
    int index;
    char *name;
    struct motion_board *board;
    const struct board_format *format;
    unsigned clock_index;
    double min_interval_s;
    /* motion's half */
    double last_s;                /* time of the last change that was sent or is due; -inf: none */
    int64_t pending;              /* number of the timed item that waits for the interval, -1: none */
};

struct engine_stepper {
    struct engine *e;
    int index;
    char *name;
    uint32_t oid;
    unsigned rail;
    bool is_on_toolhead;          /* was added to the toolhead: follows rail's function there */
    bool is_dir_inverted, is_spec_inverted; /* now; with a positive step distance */
    struct engine_enable *enable;
    double max_velocity_mm_s, max_accel_mm_s2;
    /* caller's half */
    struct engine_queue *read_queue;
    bool read_is_on;
    double read_step_dist_mm;
    double step_rate_max_hz;      /* what its board can do */
    bool is_rate_told;            /* that moves are slowed for it */
    double read_smooth_s;
    /* motion's half */
    struct motion_board *board;
    const struct board_format *get_position, *position_reply, *reset_clock;
    uint8_t queue_id[4], dir_id[4]; /* encoded message numbers */
    uint8_t queue_id_bytes, dir_id_bytes;
    struct stepgen *sg;
    struct kin_func func;
    struct engine_queue *queue;
    struct filter filter;
    char bound_by[COMMAND_TEXT_MAX]; /* the command that asked for its last binding; "": it was there from the start */
    double advance_s, smooth_s;
    uint64_t active_index;        /* segments before it were looked at for motion */
    bool is_on, is_on_told;
    double motor_s;               /* when it was last switched */
    uint64_t last_clock;          /* of the last step handed to the board */
    uint64_t first_clock;
    uint64_t bytes;
    uint64_t steps_handed;
    int64_t net_steps;
    const struct stepmsg *records; /* collected, not yet sent */
    size_t record_count;
};

struct engine_endstop {
    struct engine *e;
    int index;
    char *name;
    struct board *board;
    uint32_t oid;
    bool is_inverted;
    struct board_trigger *trigger;
    struct board_format const *home, *query, *state;
    struct engine_stepper *steppers[BOARD_TRIGGER_STEPPERS_MAX];
    unsigned stepper_count;
};

struct spill {
    struct board_msg msg;
    struct board_timing timing;
};

struct motion_board {
    struct board *board;
    double step_rate_max_hz;      /* of all its steppers together */
    struct board_lane *lane;
    struct stepmerge merge;
    struct engine_stepper *steppers[ENGINE_STEPPERS_MAX];
    unsigned stepper_count;
    struct board_time map;
    struct spill *spill;          /* ring: what the lane has not taken yet */
    uint32_t spill_begin, spill_count;
};

/* --------------------------------------------------------------------------------------------------- motion's half */

/* A message that is not a step, on its way into a lane. */
struct due {
    struct motion_board *board;
    uint64_t clock;
    struct board_msg msg;
};

enum plan_state { PLAN_NEED_PRIME, PLAN_PRIMING, PLAN_MAIN };

struct engine_internal_event {
    struct engine_event event;
    uint64_t ticket;                         /* of the waiter it completes; 0: none */
    enum err result;
    struct engine_stepper_position position; /* answer to a query */
    bool tail_resets_e;                      /* HELD: the tail sets e anew */
    bool tail_sets_axes;                     /* HELD: the tail makes manual queues axes: they must be where they are now */
    uint32_t tail_queues;                    /* HELD: manual queues (bits) that the tail moves or declares */
    uint64_t tail_binds;                     /* HELD: steppers (bits) that the tail binds */
};

enum control_kind { CONTROL_HOLD, CONTROL_DROP, CONTROL_FEED, CONTROL_HOME, CONTROL_HOME_CANCEL, CONTROL_QUERY, CONTROL_READ_POSITIONS, CONTROL_DUMP };
struct control {
    enum control_kind kind;
    uint64_t ticket;
    double at_s;    /* QUERY, DUMP: print time */
    double factor;  /* FEED */
    uint32_t serial;
    int16_t stepper; /* DUMP: -1: a queue */
    int16_t queue;   /* DUMP */
};

struct gen {
    struct stepteam *team;
    struct stepteam_job jobs[ENGINE_STEPPERS_MAX];
    struct engine_stepper *of_job[ENGINE_STEPPERS_MAX];
    size_t count;
    double to_s, send_until_s;
    bool is_running;
    bool is_whole; /* what was collected last reaches to_s */
};

enum home_phase { HOME_NONE, HOME_DRIP, HOME_STOPPING, HOME_ASKING, HOME_DONE };

struct home_stepper {
    struct engine_stepper *stepper;
    int64_t start, trigger, halt; /* counts */
    double start_mm;
    bool has_halt;
    int endstop;                  /* that stops it, -1: none */
};

struct home_endstop {
    struct home *home;
    struct board *board;
    double rest_s;
    uint32_t rest_ticks;
    bool is_ended, is_final, has_trigger;
    unsigned reason;
    enum err err;
    struct mcu_ticks trigger_clock;
};

struct home {
    enum home_phase phase;
    struct engine_home_request request;
    struct engine_home_result result;
    struct item move;
    enum err err;
    char text[160];
    uint64_t ticket;
    bool is_cancelled;
    double start_s, end_s;        /* armed from, end of the move */
    struct home_endstop endstops[ENGINE_HOME_ENDSTOPS_MAX];
    struct home_stepper steppers[ENGINE_STEPPERS_MAX];
    unsigned stepper_count, answers_open;
    struct engine_queue *queue;
    double from[AXES];
};

struct motion_snapshot {
    double print_time_s, live_pos[AXES], live_velocity, live_e_velocity;
    struct engine_source executed;
    uint32_t stalls, late_count, max_lead_us, min_lead_us, max_wake_late_us;
    uint64_t moves;
    bool is_empty, is_idle;
};

struct motion {
    struct actor actor; /* first */
    struct engine *e;
    bool is_batch;
    double horizon_s;
    double start_lead_s, min_lead_s, drip_ahead_s;
    struct board_port *port;

    /* plan */
    struct lookahead la;
    double waiting_s;          /* least time of the moves that wait in the lookahead */
    enum plan_state state;
    double print_time_s;       /* end of what is planned */
    double pos[AXES];          /* where the stream ends, as far as it was taken */
    struct engine_queue *active;
    struct extra_axes extra;
    double kfd_s;              /* kin_flush_delay: longest filter window */
    double motion_end_s;       /* end of the last segment that moves anything */
    struct host_ns prime_due;  /* PRIMING: release then, if nothing more comes */
    double runout_s;           /* the plan was ended at this time because nothing came; < 0: it was not */
    uint64_t moves;
    struct engine_source brake_source; /* of the move that a hold brakes */
    double brake_until_s;

    struct timed *timed;       /* ring of TIMED_ITEMS */
    uint64_t timed_begin, timed_stamped, timed_end;

    struct item barrier;
    bool has_barrier;
    double fence_s;            /* of the barrier */
    char command[COMMAND_TEXT_MAX]; /* of the transaction that is being made */

    struct shaper shapers[3];  /* of the toolhead's axes */

    /* the held tail: a deque of items; replay takes from it before the ring */
    struct item *tail;
    uint32_t tail_cap, tail_begin, tail_count;
    bool is_replaying, is_dropping, is_held_event_due, is_hold_due;
    /* the newest feed override: it applies to all moves whose serial is older */
    double feed_factor;
    uint32_t feed_serial;
    bool is_feed_due;          /* what is planned does not know it yet */
    struct engine_internal_event held_event;
    struct move *stop_moves;   /* LOOKAHEAD_MOVES: what lookahead_stop hands back */

    /* generation */
    double gen_s;              /* steps exist up to here */
    double kgen_s;             /* batch: how far Klipper's offline mode would have generated (its last_step_gen_time) */
    double need_flush_s;       /* likewise: its need_flush_time */
    struct gen gen;
    bool all_sent;             /* nothing is kept back for a longer queue_step */
    bool is_midway;            /* live: steps have been made, and more of the same motion are to follow */
    struct histogram ahead;    /* see struct engine_lateness; read by any thread, like the next two */
    _Atomic uint32_t low_count;
    _Atomic double horizon_told_s;

    struct due *due;           /* DUE_MAX, in order of clock */
    unsigned due_count;

    struct home home;
    bool is_home_event_due;
    bool is_syncing, is_first_sync_done; /* asking the boards for their counts */
    unsigned sync_open;
    uint64_t sync_ticket;
    enum err sync_err;

    uint32_t stalls, late_count, max_lead_us, min_lead_us, max_wake_late_us;
    struct host_ns wanted;     /* when the last step wished to run again */
    double est_s;              /* print time of the boards in this step */
    struct host_ns now;
    bool was_busy;
    bool want_retry;           /* the event ring was full */
};

/* --------------------------------------------------------------------------------------------------- caller's half */

struct waiter {
    uint64_t ticket;           /* 0: free */
    struct fiber *fiber;
    bool is_done, is_dropped;
    enum err result;
    double at_s; /* print time */
    struct engine_stepper_position position;
};

struct read_state {
    double pos[AXES];
    struct engine_queue *active;
    struct extra_axes extra;
    double queue_mm[ENGINE_QUEUES_MAX];
    struct engine_queue *stepper_queue[ENGINE_STEPPERS_MAX];
};

/* Written by the motion half while a fiber waits for it. */
struct engine_dump {
    size_t count;
    union {
        struct engine_dump_move moves[ENGINE_DUMP_MAX];
        struct engine_dump_steps steps[ENGINE_DUMP_MAX];
    };
};

struct engine {
    struct engine_config config;
    struct boards *boards;
    struct log *log;
    bool is_started, is_batch;

    struct kin kin;
    bool has_kin;
    struct engine_limits limits;
    double harmless_mm_s;      /* toolhead speed at which no board can be asked for too many steps */
    char warning[ENGINE_WARNING_MAX]; /* "": none */
    struct engine_queue *queues[ENGINE_QUEUES_MAX];
    unsigned queue_count;
    struct engine_stepper *steppers[ENGINE_STEPPERS_MAX];
    unsigned stepper_count;
    struct engine_output *outputs[ENGINE_OUTPUTS_MAX];
    unsigned output_count;
    struct engine_enable *enables[ENGINE_STEPPERS_MAX];
    unsigned enable_count;
    struct engine_endstop *endstops[ENGINE_ENDSTOPS_MAX];
    unsigned endstop_count;
    struct motion_board mboards[ENGINE_BOARDS_MAX];
    unsigned mboard_count;
    struct engine_queue *force_queue; /* of force moves */

    /* read state */
    double pos[AXES];
    struct engine_queue *active;
    struct extra_axes extra;
    double appended_s;         /* least time of all moves and dwells appended so far */
    bool is_holding, is_held, is_homing, is_fault_told;
    struct read_state tail_end;     /* where the stream ended when it was held */
    struct read_state held;         /* where it was cut */
    bool tail_resets_e, tail_sets_axes;
    uint32_t tail_queues;
    uint64_t tail_binds;
    uint32_t tail_count;
    uint32_t feed_serial;      /* of the last feed override: what is appended now knows it */

    struct waiter waiters[WAITERS_MAX];
    uint64_t last_ticket;
    struct fiber *room[FIBER_COUNT_MAX];
    unsigned room_count;
    struct {
        engine_listener_fn *fn;
        void *ctx;
    } listeners[LISTENERS_MAX];
    unsigned listener_count;

    struct engine_dump dump;
    bool is_dumping;

    /* homing: written by one half while the other waits for it */
    struct engine_home_request home_request;
    struct item home_move;
    uint64_t home_ticket;
    struct engine_home_result home_result;
    double home_pos[AXES];
    enum err home_err;
    char home_text[160];

    /* between the halves */
    struct spsc ring, control, events;
    _Atomic double consumed_s;
    _Atomic uint32_t tail_left; /* items of a released tail that wait to be planned: until then nothing more is taken */
    atomic_bool is_room_wanted, is_stopped, is_faulted;
    struct published snapshot; /* a struct motion_snapshot */
    char fault_text[FAULT_TEXT_MAX]; /* written before is_faulted is set */

    struct motion m;
};


/* engine.c */
void stepper_func(const struct engine_stepper *s, const struct engine_queue *queue, struct kin_func *func);

/* Does the queue move with the toolhead's stream of moves (and not on its own)? Motion's half. */
static inline bool queue_is_planned(const struct engine_queue *q)
{
    return q->kind != QUEUE_MANUAL || q->is_axis;
}

/* engine_stream.c */
void stream_note_extra(struct engine *e); /* the queues of the extra axes are where the stream's position says */
enum err stream_ready(struct engine *e, struct engine_source source, struct err_info *info);
enum err stream_append(struct engine *e, struct item *item, double time_s, struct err_info *info);
bool stream_has_room(const struct engine *e);
/* The move with everyone's limits; OK with length 0: there is nothing to do. */
enum err stream_prepare_move(struct engine *e, const struct engine_move *move, struct move *m, struct err_info *info);

/* engine_rate.c */
void rate_init(struct engine *e);
void rate_limit_move(struct engine *e, struct move *m);
enum err rate_check(const struct engine_stepper *s, double speed_mm_s, double accel_mm_s2, double distance_mm,
                    struct err_info *info);

/* engine_wait.c */
uint64_t waiter_open(struct engine *e);       /* 0: too many wait */
enum err waiter_wait(struct engine *e, uint64_t ticket, struct waiter *out); /* OK, ERR_CANCELLED, ERR_SHUTDOWN */
void waiter_close(struct engine *e, uint64_t ticket);
enum err waiter_ask(struct engine *e, struct control *c, struct waiter *out, struct err_info *info); /* and wait */
void waiters_wake_room(struct engine *e);
void events_dispatch(struct engine *e);
enum err control_send(struct engine *e, const struct control *control, struct err_info *info);

/* engine_take.c */
bool motion_take(struct motion *m, const struct item *item); /* false: not now */

/* engine_plan.c: lookahead, time keeping, the actor */
void motion_init(struct motion *m, struct engine *e);
void motion_init_tail(struct motion *m); /* what only holds need: not touched before the first */
void motion_deinit(struct motion *m);
void motion_consume(struct motion *m);
void motion_flush_all(struct motion *m);                     /* lookahead to a full stop */
void motion_flush_lazy(struct motion *m);
void motion_append_move(struct motion *m, struct move *mv, double at_s); /* its profile becomes segments */
void motion_release(struct motion *m, size_t count);         /* what the lookahead has just made final */
void motion_resync(struct motion *m);
void motion_need_prime(struct motion *m);
void motion_update_window(struct motion *m);
struct host_ns motion_step(struct actor *actor, struct host_ns now);
void motion_batch_yield(struct motion *m);

/* engine_timed.c: items that wait for their time */
bool timed_has_room(const struct motion *m);
struct timed *timed_add(struct motion *m, uint8_t kind, struct engine_source source, const struct item_args *a);
void timed_stamp(struct motion *m, uint64_t released, double at_s); /* those that stand before move `released` or earlier */
void timed_unstamp(struct motion *m, double from_s); /* those whose place lies behind from_s: it will be another time */
double timed_next_motor_s(const struct motion *m, double from_s);
void timed_before_gen(struct motion *m, double to_s); /* pressure advance that steps up to to_s depend on */
/* At a barrier, where everything rests: changes of pressure advance that came before it take effect before it does. */
void timed_settle_advances(struct motion *m);
void timed_run_due(struct motion *m);                 /* marks and fences */
void timed_trim(struct motion *m);
static inline struct timed *timed_at(const struct motion *m, uint64_t i)
{
    return &m->timed[i % TIMED_ITEMS];
}

/* engine_gen.c: steps */
void gen_begin(struct motion *m, double to_s, double send_until_s);
void gen_finish(struct motion *m);
void gen_to(struct motion *m, double to_s, double send_until_s);
void gen_live(struct motion *m);
void gen_batch(struct motion *m);       /* if enough is planned */
void gen_batch_all(struct motion *m);   /* everything planned */

/* engine_send.c: messages to the boards */
bool send_check(struct motion *m);                  /* self-check of the step records of the last run */
void send_merge(struct motion *m, double until_s);  /* they and what else is due up to until_s go into the lanes */
bool send_spill(struct motion *m);                  /* what did not fit; true: nothing is left */
void send_tell_motors(struct motion *m);
bool send_is_motor_planned_on(const struct motion *m, const struct engine_stepper *s); /* at the end of what is planned */
void send_command(struct motion *m, struct motion_board *mb, const struct board_msg *msg, struct board_timing timing);

/* engine_barrier.c: transactions */
void barrier_start(struct motion *m, const struct item *item);
void barrier_run(struct motion *m);
void motion_set_toolhead(struct motion *m, const double pos[AXES], unsigned axes, double fence_s, uint32_t line);
void motion_set_axes(struct motion *m, const struct extra_axes *axes);
void motion_set_queue(struct motion *m, struct engine_queue *q, const double pos[3], double fence_s, uint32_t line);
/* Earliest fence time at which everything rests over the present windows; marked_queues: bit mask of those whose position
 * changes. */
double motion_fence_s(const struct motion *m, unsigned marked_queues);
void motion_reach_fence(struct motion *m, double fence_s);             /* generate and send everything up to it */

/* engine_feed.c: other speeds at the horizon */
void feed_replan(struct motion *m);
void feed_apply(const struct motion *m, struct move *mv); /* a move that was appended before the override */

/* engine_hold.c */
/* What is behind a cut of the plan: the moves from number `first` on, and of the timed items those not reached. */
struct hold_cut {
    double cut_s;
    uint64_t first;       /* number of the first move of the tail */
    bool is_rest;         /* that move has been executed in part */
    bool is_replan;       /* the motion goes on: timed items from number first_timed on go back */
    uint64_t first_timed;
};
double hold_cut_s(const struct motion *m);                    /* from here on everything can be taken back */
void hold_cut_queues(struct motion *m, double at_s);
/* Weave moves and timed items behind a cut together again, by their places, in front of the tail. */
void hold_put_back(struct motion *m, const struct hold_cut *c, const struct move *moves, size_t move_count);
void hold_start_due(struct motion *m);
void hold_drop(struct motion *m);
void hold_release(struct motion *m);
void hold_run(struct motion *m);
const struct item *hold_replay_peek(struct motion *m);
void hold_replay_drop(struct motion *m);

/* engine_home.c (motion's half) */
void home_start(struct motion *m);
void home_cancel(struct motion *m);
struct host_ns home_run(struct motion *m); /* HOST_NS_NEVER when there is nothing to wait for */
void home_query(struct motion *m, const struct control *c);
void home_read_positions(struct motion *m, const struct control *c);
void home_discard(struct motion *m);
void home_first_sync(struct motion *m);
bool home_sync_run(struct motion *m); /* false: answers are missing */

/* engine_dump.c */
void dump_run(struct motion *m, const struct control *c);

/* engine_fault.c */
void motion_fault(struct motion *m, const struct engine_stepper *s, const char *reason);
bool motion_emit(struct motion *m, const struct engine_internal_event *ev); /* false: the ring is full */
void motion_snapshot_publish(struct motion *m);

#endif
