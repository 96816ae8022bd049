/* A planner for tests: reads an oracle case's printer.cfg and G-code straight into lookahead, step solving and
 * compression, with the time keeping of offline planning (reference motion model, sections 4 and 10b) and nothing else
 * of a printer. Knows just the commands of those files. */
#ifndef GOLDEN_RIG_H
#define GOLDEN_RIG_H

#include "base/err.h"
#include "motion/steps/stepmsg.h"
#include "server/compare/compare.h"

#include <stdbool.h>

struct rig_options {
    unsigned threads;
    bool keep_steps;       /* record every step (for comparison) */
    bool check_all;        /* re-expand every message against the exact times */
    size_t batch_segments; /* segments planned between two runs of the steppers; 0: default */
    void (*on_record)(void *ctx, const struct stepmsg *record); /* of all steppers, merged; may be NULL */
    void *ctx;
};

struct rig_stepper_result {
    char name[COMPARE_NAME_MAX];
    struct step_list steps;                                   /* keep_steps */
    uint64_t step_count, queue_commands, dir_commands, bytes; /* bytes: of its messages, not framed */
    double last_mm;
};

struct rig_result {
    double frequency_hz, end_s; /* print time of the end of the last move */
    uint64_t moves, segments, framed_bytes;
    double plan_s, step_s; /* wall time in parsing and planning, in solving and compressing */
    double look_s;         /* of plan_s: in checking moves, lookahead and segments */
    unsigned stepper_count;
    struct rig_stepper_result stepper[COMPARE_STEPPERS_MAX];
};

enum err rig_run(const char *config_path, const char *gcode_path, double frequency_hz,
                 const struct rig_options *options, struct rig_result *result, struct err_info *info) ERR_NODISCARD;
void rig_result_deinit(struct rig_result *result);
/* The stepper's result by name; NULL: no such stepper. */
struct rig_stepper_result *rig_stepper(struct rig_result *result, const char *name);

#endif
