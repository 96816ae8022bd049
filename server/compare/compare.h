/* Comparing step streams with recorded ones (../shared/oracle, README.md there): by position over time.
 * Depends on base, zlib and jansson only, so that the program can use it too. */
#ifndef SERVER_COMPARE_COMPARE_H
#define SERVER_COMPARE_COMPARE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define COMPARE_STEPPERS_MAX 16
#define COMPARE_NAME_MAX     64
#define COMPARE_SAMPLE_S     0.25e-3

/* Every step of one stepper: clock, and direction in the lowest bit of... an array of its own. */
struct step_list {
    uint64_t *clocks;
    int8_t *dirs; /* +1, -1 */
    size_t count, capacity;
    uint64_t queue_commands;
    bool is_rising; /* every clock is after the one before */
};
void step_list_init(struct step_list *list);
void step_list_deinit(struct step_list *list);
void step_list_add(struct step_list *list, uint64_t clock, int dir);
/* The steps of one queue_step whose first interval counts from `base`. */
void step_list_add_queue(struct step_list *list, uint64_t base, uint32_t interval, uint16_t count, int16_t add,
                         int dir);

/* A recorded case. */
struct oracle {
    char dir[512];
    char gcode[1024]; /* path of the G-code */
    double frequency_hz, print_time_s;
    uint64_t mcu_bytes;
    unsigned stepper_count;
    struct oracle_stepper {
        char name[COMPARE_NAME_MAX];
        uint64_t queue_step;
        struct step_list steps;
    } stepper[COMPARE_STEPPERS_MAX];
};
enum err oracle_load(struct oracle *o, const char *dir, struct err_info *info) ERR_NODISCARD;
void oracle_unload(struct oracle *o);

struct compare_result {
    uint64_t samples, over_one, over_two; /* samples that differ by more than 1, more than 2 steps */
    int64_t max_diff, end_diff;           /* steps */
    double last_diff_s;                   /* ours minus theirs, time of the last step */
    /* Our steps as sent against the exact times of our own solver, at worst; the caller's to fill in. */
    uint64_t exact_steps;                 /* how many were measured; 0: not known */
    double late_us, early_us;
    double early_share;                   /* of half the interval to the step before */
};
/* ours[i] belongs to o->stepper[i]; both sides are aligned on their first step of any stepper. */
void compare_all(const struct oracle *o, const struct step_list *const *ours, double frequency_hz,
                 struct compare_result *results);
#define COMPARE_EARLY_MAX_US 25.0
/* Within the tolerance of the oracle's README (and clocks rising, last step within 10 ms, end equal)? And, if it is known,
 * no step late, none earlier than COMPARE_EARLY_MAX_US or half its interval, and every one measured? */
bool compare_passes(const struct compare_result *r, const struct step_list *ours);
/* The table: one line a stepper, and the bytes. Returns whether everything passes (bytes: 0 = not known). */
bool compare_print(FILE *out, const struct oracle *o, const struct step_list *const *ours,
                   const struct compare_result *results, uint64_t bytes);

#endif
