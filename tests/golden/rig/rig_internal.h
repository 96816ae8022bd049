#ifndef GOLDEN_RIG_INTERNAL_H
#define GOLDEN_RIG_INTERNAL_H

#include "motion/kin/kin.h"
#include "motion/plan/lookahead.h"
#include "motion/plan/segq.h"
#include "motion/shape/shaper.h"
#include "motion/steps/binding.h"
#include "motion/steps/stepgen.h"
#include "motion/steps/stepmerge.h"
#include "motion/steps/stepteam.h"
#include "rig/rig.h"
#include "rig/rig_config.h"

#define RIG_STEPPERS_MAX 8

struct rig_stepper {
    struct stepgen *gen;
    int rail;                /* 0..2, or -1: follows the extruder's queue */
    double k_s, smooth_s;    /* pressure advance as set */
    uint64_t base_clock;     /* of the next message */
    struct stepmsg *pending; /* records not yet merged */
    size_t pending_count, pending_capacity;
    struct rig_stepper_result *result;
};

struct rig {
    struct rig_config config;
    struct rig_options options;
    struct rig_result *result;
    struct kin kin;
    struct shaper shaper[3];
    struct lookahead lookahead;
    struct segq toolhead, extruder;
    struct rig_stepper stepper[RIG_STEPPERS_MAX];
    unsigned stepper_count;
    struct stepteam *team;
    struct stepmerge merge;
    /* time keeping */
    double print_time_s, kin_delay_s, planned_until_s;
    bool needs_prime;
    uint64_t segments_at_run;
    double k_last_s; /* pressure advance of the last move appended */
    unsigned block_bytes;
    /* modal state */
    struct move_limits limits;
    double pos_mm[4], base_mm[4], speed_mm_s, k_s;
    bool is_absolute, is_e_absolute;
    double arc_resolution_mm;
    double max_e_velocity, max_e_accel, corner_v;
};

/* rig.c */
enum err rig_setup(struct rig *r, const char *config_path, double frequency_hz, struct err_info *info) ERR_NODISCARD;
enum err rig_move(struct rig *r, const double target_mm[4], struct err_info *info) ERR_NODISCARD;
void rig_flush(struct rig *r, bool lazy);
void rig_dwell(struct rig *r, double seconds);
void rig_flush_steps(struct rig *r); /* everything planned, plus the quiet time around it */
void rig_set_position(struct rig *r, const double pos_mm[3]);
enum err rig_set_advance(struct rig *r, double k_s, struct err_info *info) ERR_NODISCARD;
enum err rig_bind_stepper(struct rig *r, const char *name, const char *queue, struct err_info *info) ERR_NODISCARD;
void rig_run_steppers(struct rig *r, double until_s, bool is_last);

/* rig_gcode.c */
enum err rig_line(struct rig *r, char *line, struct err_info *info) ERR_NODISCARD;

#endif
