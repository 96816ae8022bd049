/* A whole printer on simulated boards in virtual time, driven step by step by a test: the real configuration, machine,
 * engine, link and firmware, without the API. Everything runs on the caller's thread; nothing waits for the wall clock. */
#ifndef TESTS_SIM_HARNESS_H
#define TESTS_SIM_HARNESS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct board_faults;
struct plant;
struct printer;
struct runtime;
struct sim_board;
struct simulation;
struct rig;

struct rig_options {
    const char *config_path; /* a file, or NULL: */
    const char *config_text; /* the text of one */
    uint64_t seed;
    const struct board_faults *faults; /* damaged wires; NULL: none; kept until rig_destroy */
    bool is_verbose;         /* console lines also go to standard output */
};

/* Creates the printer (state startup). Never NULL; files it makes go to a folder of its own below /tmp. */
struct rig *rig_create(const struct rig_options *options);
void rig_destroy(struct rig *rig); /* also removes its folder */

/* Let virtual time pass. */
void rig_run(struct rig *rig, double seconds);
/* Run until `condition` holds (tested every 10 ms of virtual time); false: it did not within `timeout_s`. */
typedef bool rig_condition_fn(void *ctx);
bool rig_run_until(struct rig *rig, rig_condition_fn *condition, void *ctx, double timeout_s);
/* Run until the printer has left startup; true if it is ready. On failure the state message is printed. */
bool rig_wait_ready(struct rig *rig);

/* Run a script to its end. Returns its result; ERR_TIMEOUT when it has not ended within `timeout_s` (it goes on). The
 * error text is in rig_error. */
enum err rig_script(struct rig *rig, const char *script, double timeout_s) ERR_NODISCARD;
/* Begin a script and return at once. */
void rig_begin_script(struct rig *rig, const char *script);
const char *rig_error(const struct rig *rig);

/* Everything printed on the console so far, a line each; rig_clear_console forgets it. */
const char *rig_console(const struct rig *rig);
void rig_clear_console(struct rig *rig);

/* JSON of one status field as published now ("heater_bed", "temperature"), in a buffer that the next call reuses; NULL
 * if there is none. */
const char *rig_status(struct rig *rig, const char *object, const char *field);
double rig_status_number(struct rig *rig, const char *object, const char *field); /* NAN if there is none */

/* Put a file into the folder of G-code files; returns its full path (until the next call). */
const char *rig_add_gcode(struct rig *rig, const char *name, const char *text);
const char *rig_dir(const struct rig *rig);

struct printer *rig_printer(struct rig *rig);
struct runtime *rig_runtime(struct rig *rig);
struct plant *rig_plant(struct rig *rig);
struct sim_board *rig_board(struct rig *rig, const char *name);
double rig_now_s(const struct rig *rig); /* virtual */

/* A digest (FNV-1a) of all bytes sent to the boards since rig_digest_begin, which must be called when ready. */
void rig_digest_begin(struct rig *rig);
uint64_t rig_digest(const struct rig *rig);

#endif
