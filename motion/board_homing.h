/* Triggers: what stops steppers on one or several boards when an endstop or a sensor fires.
 *
 * A trigger has one trsync object on each board that takes part. While armed, the link keeps every trsync alive (a
 * board that hears nothing stops by itself within the expire time), passes a trigger of one board on to all others, and
 * reports the end as one event on the port of the thread that runs the homing move. Reasons are the wire's. */
#ifndef MOTION_BOARD_HOMING_H
#define MOTION_BOARD_HOMING_H

#include "motion/board.h"

enum {
    BOARD_TRIGGER_ENDSTOP = 1,     /* the endstop or sensor fired */
    BOARD_TRIGGER_HOST = 2,        /* stopped by the host, or passed on from another board */
    BOARD_TRIGGER_PAST_END = 3,    /* the move ended without a trigger */
    BOARD_TRIGGER_TIMEOUT = 4,     /* communication was lost on the way */
    BOARD_TRIGGER_SENSOR_ERROR = 5 /* and above: the sensor's own codes */
};
#define BOARD_TRIGGER_BOARDS_MAX   8
#define BOARD_TRIGGER_STEPPERS_MAX 16

struct board_trigger;

/* The machine thread, before board_configure of the boards concerned. Lives until boards_destroy.
 *   port  where the end is reported; its thread calls start and stop */
struct board_trigger *board_trigger_create(struct boards *boards, struct board_port *port);
/* The trsync's oid on `board`; adds it on first use (config_trsync). The first board added is the one with the endstop.
 * CHECKs BOARD_TRIGGER_BOARDS_MAX. */
unsigned board_trigger_oid(struct board_trigger *trigger, struct board *board);
/* `stepper_oid` on `board` stops when the trigger fires. */
void board_trigger_add_stepper(struct board_trigger *trigger, struct board *board, unsigned stepper_oid);
bool board_trigger_has_board(const struct board_trigger *trigger, const struct board *board);

struct board_trigger_result {
    enum err result; /* OK, or ERR_CLOSED / ERR_SHUTDOWN: a board failed while armed */
    unsigned reason; /* the first that is not BOARD_TRIGGER_HOST, in order of boards added; else BOARD_TRIGGER_HOST */
    size_t board_index; /* the board whose trsync reported it first */
    struct host_ns when;
};

/* Arm at `start`: trsync_start, stepper_stop_on_trigger and trsync_set_timeout on each board's lane. Commands that arm
 * the sensor (endstop_home) are pushed by the caller to board_trigger_lane afterwards, so that they follow on the wire.
 * The port's thread. `on_end` is called there once, when the first board reports that it can no longer trigger or the
 * end time has passed; then call board_trigger_stop. File boards never end by themselves. ERR_STATE: armed already. */
typedef void board_trigger_fn(void *ctx, const struct board_trigger_result *result);
enum err board_trigger_start(struct board_trigger *trigger, struct host_ns now, struct print_time start,
                             board_trigger_fn *on_end, void *ctx) ERR_NODISCARD;
struct board_lane *board_trigger_lane(struct board_trigger *trigger, struct board *board);
/* The print time at which the homing move ends: a report past it ends the trigger with BOARD_TRIGGER_PAST_END. */
void board_trigger_set_end(struct board_trigger *trigger, struct print_time end);
/* Disarm everywhere and collect the reasons; `fn` gets the final result on the port's thread (file boards: at
 * once, BOARD_TRIGGER_ENDSTOP). Also ends a homing move early (cancel): on_end is then not called any more. After a
 * result OK steppers need reset_step_clock and stepper_get_position before they move again. */
void board_trigger_stop(struct board_trigger *trigger, board_trigger_fn *fn, void *ctx);

#endif
