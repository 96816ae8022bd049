/* An outside checker of one board: it reads the bytes that cross the board's port, keeps its own idea of what the board
 * was told (configuration, step queues, outputs), and notes everything that should not have happened. It shares no code
 * with the host's solver and compressor or with the firmware.
 *
 * Feed it by sim_board_tap(board, checker_feed, checker) from the board's first slice on. */
#ifndef TESTS_SIM_CHECKER_H
#define TESTS_SIM_CHECKER_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct checker;

struct checker *checker_create(const char *dictionary_json, size_t len_bytes);
void checker_destroy(struct checker *checker);
/* A sim_bytes_fn: `clock` is the board's clock when the bytes cross. */
void checker_feed(void *checker, struct mcu_ticks clock, bool to_host, const uint8_t *data, size_t len_bytes);

/* What went wrong so far: commands that arrived after their time, step clocks that do not rise, moves before a clock
 * reset, positions the board reports that differ from what it was told, shutdowns, blocks that did not decode. */
size_t checker_violation_count(const struct checker *checker);
const char *checker_violation(const struct checker *checker, size_t index); /* the first 64 are kept */

struct checker_totals {
    uint64_t blocks, commands, queue_steps, steps;
    uint64_t damaged;    /* places in the bytes to the board that were no good block */
    double least_lead_s; /* smallest time between a timed command's arrival and its clock */
    bool is_shut_down;
};
struct checker_totals checker_totals(const struct checker *checker);

/* Steppers by the name or number of their step pin; SIZE_MAX if there is none. */
size_t checker_stepper(const struct checker *checker, uint32_t step_pin);
/* Position [steps, + for dir = 1, 0 at configuration] after all steps at or before `clock`. */
int64_t checker_position(const struct checker *checker, size_t stepper, uint64_t clock);
/* Clock of the last step queued; 0 if none. */
uint64_t checker_last_step(const struct checker *checker, size_t stepper);
uint64_t checker_step_count(const struct checker *checker, size_t stepper);
/* Highest mean rate [steps/s] over any `window` (>= 1) consecutive steps in one direction. */
double checker_peak_rate(const struct checker *checker, size_t stepper, unsigned window);
/* Walk all steps in order of time. */
typedef void checker_step_fn(void *ctx, uint64_t clock, int64_t position);
void checker_each_step(const struct checker *checker, size_t stepper, checker_step_fn *fn, void *ctx);

/* The value last in force at or before `clock` on an output pin (queue_digital_out on_ticks, queue_pwm_out value,
 * update_digital_out); `fallback` if nothing was ever said. */
int64_t checker_output(const struct checker *checker, uint32_t pin, uint64_t clock, int64_t fallback);
/* Are all outputs that were configured with a max_duration (heaters) at their default at `clock`? */
bool checker_heaters_are_off(const struct checker *checker, uint64_t clock);
double checker_clock_hz(const struct checker *checker);

#endif
