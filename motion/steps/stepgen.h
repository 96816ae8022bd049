/* Step generation for one stepper: its motion queue in, queue_step records out.
 *
 *   segq --filter--> position(t) --solve--> exact step times --glitch filter--> --compress--> stepmsg records
 *
 * One stepper is one unit of work: stepgen_run touches only this struct and reads the queue, so any thread may run it
 * while no other does, and the records do not depend on who did. Everything else is called by the owner (motion thread)
 * while none runs. No allocation after stepgen_init. Rules and derivations: docs/design/step-solving.md,
 * docs/design/compression.md, docs/design/bindings.md. */
#ifndef MOTION_STEPS_STEPGEN_H
#define MOTION_STEPS_STEPGEN_H

#include "base/err.h"
#include "motion/steps/filter.h"
#include "motion/steps/compress.h"
#include "motion/steps/stepmsg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STEP_MAX_ERROR_S  25e-6      /* how early a step may be */
#define STEP_GLITCH_S     750e-6     /* step and step back within this time: neither is made */
#define STEP_FAR_TICKS    (3u << 28) /* a step further away than this is a message of its own */
#define STEP_COUNT_MAX    65535
#define STEP_INTERVAL_MAX 0x7fffffff

struct stepgen_config {
    const char *name; /* kept; for texts */
    double step_mm;   /* > 0: distance of one microstep */
    bool is_dir_inverted;
    double clock_hz;       /* nominal */
    uint16_t source;       /* goes into every record */
    double max_speed_mm_s; /* self-check: steps closer than step_mm / this are a fault; <= 0: none */
    size_t history_count;  /* records kept for stepgen_steps_at, at least 1024 */
    unsigned check_every;  /* re-expand every n-th queue message against the exact times; 0: none, 1: all */
    bool is_live;          /* runs a tenth of a second at a time: its buffers can be small */
};

struct stepgen;

struct stepgen *stepgen_create(const struct stepgen_config *config);
void stepgen_destroy(struct stepgen *sg);
const char *stepgen_name(const struct stepgen *sg);
double stepgen_step_mm(const struct stepgen *sg);

/* Print time to board clock: clock = base_clock + (t - base_s) * hz. Steps already turned into clocks keep them. */
void stepgen_set_clock(struct stepgen *sg, double base_s, double base_clock, double hz);

/* --- running (worker thread) --- */

struct stepgen_goal {
    double until_s;      /* make all steps up to here; the queue must be known until until_s + pre */
    uint64_t send_clock; /* records whose interval starts before this clock must be in the output */
    struct segq view;    /* the queue as it was when the work was handed out (its segments are shared) */
};
/* Owner: describe the work, with a view of the queue the stepper is bound to. */
struct stepgen_goal stepgen_make_goal(const struct stepgen *sg, double until_s, uint64_t send_clock);
/* May stop early when the output is full: while stepgen_solved_s < until_s, take the output and run again.
 * OK, or ERR_INVALID: the motion cannot be stepped; stepgen_fault tells why, nothing inconsistent is in the
 * output, and every further run fails the same way until stepgen_reset. */
enum err stepgen_run(struct stepgen *sg, const struct stepgen_goal *goal) ERR_NODISCARD;
/* A slice of the same work, some thousand steps of it: false, until the last slice has been done and *result is what
 * stepgen_run would have returned. Slices make the same records, and each may be run by another thread. */
bool stepgen_run_slice(struct stepgen *sg, const struct stepgen_goal *goal, enum err *result);
/* Take the records made since the last time, in order of clock. They stay readable until the next time, also while the
 * stepper runs. */
const struct stepmsg *stepgen_take_output(struct stepgen *sg, size_t *count);
const char *stepgen_fault(const struct stepgen *sg);

/* --- position ---
 * Counts of steps are positive in the direction of the kinematics; a board whose direction pin is inverted counts the
 * other way. */

/* The stepper stands at coordinate `pos_mm` (of its kinematics, exactly): the half-step grid starts here. The count
 * does not change. Only while the stepper rests. */
void stepgen_set_position(struct stepgen *sg, double pos_mm);
double stepgen_position_mm(const struct stepgen *sg);                /* coordinate of the last step made */
int64_t stepgen_steps(const struct stepgen *sg);                     /* count after everything solved */
int64_t stepgen_steps_at(const struct stepgen *sg, uint64_t clock);  /* from the records handed out; nearest known */
double stepgen_mm_of_steps(const struct stepgen *sg, int64_t steps); /* coordinate of a count */

/* After a stop by the board (homing trigger, shutdown): everything not handed out is dropped, the direction is unknown,
 * the count is `steps`, and the next interval counts from `clock` (what reset_step_clock was told). */
void stepgen_reset(struct stepgen *sg, int64_t steps, uint64_t clock);

/* Another step distance, at rest: keeps count and coordinate; sign of rotation by `is_dir_inverted`. */
void stepgen_set_step_mm(struct stepgen *sg, double step_mm, bool is_dir_inverted);

/* Pressure advance K for segments from t_s on (t_s not before solved time + pre); the oldest entries are forgotten. */
void stepgen_set_advance(struct stepgen *sg, double t_s, double k_s);

/* --- what the engine needs to know --- */
double stepgen_solved_s(const struct stepgen *sg); /* all steps up to here have been made */
uint64_t stepgen_last_sent_clock(const struct stepgen *sg);
/* Start of the first segment that moves the stepper among those not yet looked at; -1: none. Drives the motor enable.
 */
double stepgen_first_active_s(struct stepgen *sg);
double stepgen_pre_s(const struct stepgen *sg); /* 0 when unbound */
double stepgen_post_s(const struct stepgen *sg);
struct segq *stepgen_queue(const struct stepgen *sg); /* NULL: unbound */

/* The queue messages that went out of late, 0 the newest; false: not kept (any more). */
struct stepgen_record {
    uint64_t first_clock, last_clock;
    int64_t steps_before; /* count before its first step */
    uint32_t interval;
    uint16_t count;
    int16_t add;
    bool is_forward;
};
bool stepgen_record_at(const struct stepgen *sg, uint64_t index, struct stepgen_record *record);

struct stepgen_counters {
    uint64_t steps, commands, dir_commands, glitches, checked;
    struct compress_deviation deviation; /* of the messages checked */
};
void stepgen_get_counters(const struct stepgen *sg, struct stepgen_counters *counters);

#endif
