/* G-code dispatch: lines of text in, calls of command handlers and console text out.
 *
 * One `struct gcode` per printer, used on the machine thread only. Handlers run in the caller's context: in a fiber
 * when they may wait (M109, G28), or directly in batch mode and tests. One script at a time: gcode_run_script waits its
 * turn (first come, first served), and a command may run further scripts from inside itself (macros).
 *
 * A failed command ends its script. Its error travels back as `enum err` with the words for the user in `info`; the
 * outermost runner has printed them as "!! ..." and told the error listeners before it returns. Where the user cannot
 * see which line it was (in a macro, in a file), a second line says so: "Move out of range: ...\nin 'G1 X900', run by
 * 'PARK', byte 812 of the file". Unknown commands answer
 * `// Unknown command:"T2"` and are no error. Nothing here stops the printer or the process. */
#ifndef SERVER_GCODE_GCODE_H
#define SERVER_GCODE_GCODE_H

#include "base/err.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GCODE_LINE_BYTES_MAX  65536 /* longest line; longer ones are refused whole */
#define GCODE_PARAM_COUNT_MAX 512   /* parameters of one command */
#define GCODE_DEPTH_MAX       16    /* scripts inside scripts (macros calling macros) */
#define GCODE_NAME_BYTES_MAX  64    /* longest command name */

struct gcode;
struct gcode_command;

/* A command. Returns OK, or an error with words for the user in `info` (never NULL here). `cmd` and every text got from
 * it live until the handler returns. */
typedef enum err gcode_handler_fn(void *ctx, struct gcode_command *cmd, struct err_info *info);

struct gcode *gcode_create(void);
void gcode_destroy(struct gcode *g); /* nothing may be running; NULL allowed */

/* --- registration --- */

/* What a command is made of. Names are upper case: a letter and a number ("G1", "M204", "G92.1") make a traditional
 * command with parameters by letter; anything else ([A-Z_][A-Z0-9_]*, no digit second) takes KEY=value. */
struct gcode_def {
    const char *name;
    const char *help;    /* shown by HELP and gcode.help; NULL: not listed */
    bool when_not_ready; /* also while the printer starts, is in error or shut down */
    gcode_handler_fn *fn;
    bool takes_text; /* what follows the name is not parsed: the handler takes gcode_rawparams */
};

/* Add a command; `def` is copied, `ctx` is kept until it is unregistered. ERR_EXISTS ("gcode command X already
 * registered") or ERR_INVALID ("Can't register 'X' as it is an invalid name"). */
enum err gcode_register(struct gcode *g, const struct gcode_def *def, void *ctx, struct err_info *info) ERR_NODISCARD;
/* Remove a command (for temporary ones such as ACCEPT, and mux commands with all their values). False: not there. */
bool gcode_unregister(struct gcode *g, const char *name);

/* Add one instance of a command that several objects share, told apart by parameter `key`: SET_PIN with PIN=fan1.
 * value NULL: this one answers when the parameter is missing. All instances must use the same key (ERR_INVALID). */
enum err gcode_register_mux(struct gcode *g, const struct gcode_def *def, const char *key, const char *value, void *ctx,
                            struct err_info *info) ERR_NODISCARD;

/* Give an existing command another name, its help becoming "Renamed builtin of 'OLD'" (rename_existing of macros; the
 * old name is free afterwards). ERR_NOT_FOUND, ERR_EXISTS, or ERR_INVALID when one name is traditional and the other
 * is not. */
enum err gcode_rename(struct gcode *g, const char *old_name, const char *new_name, struct err_info *info) ERR_NODISCARD;

/* Call `fn` before each run of command `name` (kept), with its parameters, for as long as it is registered: also under a
 * name it is given later, `name` stays what it was. One watcher for a command; nothing if there is no such command. */
typedef void gcode_watch_fn(void *ctx, const char *name, const struct gcode_command *cmd);
void gcode_watch(struct gcode *g, const char *name, gcode_watch_fn *fn, void *ctx);

bool gcode_has_command(const struct gcode *g, const char *name);
/* What the command was registered with (not one of several instances); NULL: there is none. */
void *gcode_command_ctx(const struct gcode *g, const char *name);
bool gcode_is_traditional(const char *name); /* "G1", "T0", "M486": parameters by letter */

/* Visit every command that may be called now, in order of registration (HELP, gcode.help, status gcode.commands).
 * help is "" when there is none. */
typedef void gcode_visit_fn(void *ctx, const char *name, const char *help);
void gcode_visit_commands(const struct gcode *g, gcode_visit_fn *fn, void *ctx);
uint64_t gcode_commands_version(const struct gcode *g); /* changes whenever that list does */

/* --- state of the printer --- */

/* Only commands with when_not_ready run while not ready; others fail with `state_message` (copied). Starts not ready.
 */
void gcode_set_ready(struct gcode *g, bool is_ready, const char *state_message);
bool gcode_is_ready(const struct gcode *g);
/* Batch mode (`lockstep plan`): like a file given to Klipper's host; M106 without a fan is then no complaint. */
void gcode_set_batch(struct gcode *g, bool is_batch);
/* What M115 answers: FIRMWARE_NAME:<name> FIRMWARE_VERSION:<version>. Copied. */
void gcode_set_firmware(struct gcode *g, const char *name, const char *version);
/* M112: called at once, also while other commands run. NULL clears. */
typedef void gcode_emergency_fn(void *ctx);
void gcode_set_emergency(struct gcode *g, gcode_emergency_fn *fn, void *ctx);

/* --- running --- */

/* Where a line came from; copied into what it causes (moves carry it to the boards). */
struct gcode_source {
    uint64_t file_offset; /* of the line in the print file [bytes]; GCODE_NO_OFFSET: not from a file */
    uint64_t file_next;   /* offset of the line after it [bytes] */
};
#define GCODE_NO_OFFSET UINT64_MAX

/* Run the lines of `text` (len_bytes bytes, need not end in zero) until the first error. In a fiber: waits until other
 * scripts are done (ERR_CANCELLED if the fiber is cancelled); from inside a command it runs at once. The error has been
 * printed and the error listeners have been told, unless this is a nested run, whose outermost runner does so.
 * NULL `info` allowed. */
enum err gcode_run_script(struct gcode *g, const char *text, size_t len_bytes, struct err_info *info) ERR_NODISCARD;
/* Same for one line of a print file, without its line end; the fast path for jobs. */
enum err gcode_run_line(struct gcode *g, const char *line, size_t len_bytes, const struct gcode_source *source,
                        struct err_info *info) ERR_NODISCARD;
/* Lines typed at a terminal: each is acknowledged with "ok", and an error does not end the rest. */
void gcode_run_console(struct gcode *g, const char *text, size_t len_bytes);

/* Hold the turn over several runs (RESUME: macro, then the tail). Nests with the runs of the same fiber. */
enum err gcode_lock(struct gcode *g) ERR_NODISCARD; /* OK or ERR_CANCELLED */
/* The same ahead of all who wait already, and whose turn it is is cancelled (gcode_cancel_running): for what must not
 * queue behind a command that may take minutes. */
enum err gcode_seize(struct gcode *g) ERR_NODISCARD;
void gcode_unlock(struct gcode *g);
bool gcode_is_busy(const struct gcode *g); /* is a script running? */
/* Cancel the fiber whose turn it is (unless that is the caller): its wait returns ERR_CANCELLED and its script ends. A
 * script that ends with ERR_CANCELLED prints no "!!" line (the error listeners are told): whoever cancels says why. */
void gcode_cancel_running(struct gcode *g);
unsigned gcode_depth(const struct gcode *g); /* 0: none; 1: a script; 2: a script run by one of its commands ... */

/* The source of the line now running, inherited by everything it runs; file_offset GCODE_NO_OFFSET if not from a file.
 */
const struct gcode_source *gcode_source(const struct gcode *g);
/* "<command line>" now running at the outermost level ("" if none), for messages of faults. */
const char *gcode_current_line(const struct gcode *g);

/* Does a line of `text` ask for an emergency stop (M112)? Callers test this before they queue a script. Pure. */
bool gcode_has_emergency(const char *text, size_t len_bytes);

/* --- console --- */

/* Every text that goes to the console: "// ...", "!! ...", "echo: ...", "ok ..."; may hold several lines. */
typedef void gcode_output_fn(void *ctx, const char *text);
void gcode_add_output(struct gcode *g, gcode_output_fn *fn, void *ctx);
void gcode_remove_output(struct gcode *g, gcode_output_fn *fn, void *ctx);
/* Told after a script ended with an error (gcode_move then takes its position from the toolhead). */
typedef void gcode_error_fn(void *ctx, enum err code, const char *text);
void gcode_add_error_listener(struct gcode *g, gcode_error_fn *fn, void *ctx);
void gcode_remove_error_listener(struct gcode *g, gcode_error_fn *fn, void *ctx);

void gcode_respond_raw(struct gcode *g, const char *text);
/* "// " before every line, each line stripped. */
void gcode_respond_info(struct gcode *g, const char *fmt, ...) ERR_PRINTF(2, 3);
/* The first line as "!! ..."; when there are more, all of them as "// ..." before it. */
void gcode_respond_error(struct gcode *g, const char *text);

/* --- what a handler asks its command --- */

struct gcode *gcode_of(const struct gcode_command *cmd);
const char *gcode_name(const struct gcode_command *cmd);      /* "G1" */
const char *gcode_line(const struct gcode_command *cmd);      /* the line as it came, stripped */
const char *gcode_rawparams(const struct gcode_command *cmd); /* all behind the name: M117, M118, M23, {rawparams} */

/* Parameter `name` (upper case) as text, or NULL. */
const char *gcode_get(const struct gcode_command *cmd, const char *name);
bool gcode_has(const struct gcode_command *cmd, const char *name);
/* The parameters in order of their first appearance, a repeated name with its last value. */
size_t gcode_param_count(const struct gcode_command *cmd);
void gcode_param_at(const struct gcode_command *cmd, size_t index, const char **name, const char **value);

/* Typed getters. *out is untouched on failure. Errors: "Error on '<line>': missing S", "...: unable to parse 1x",
 * "...: S must have minimum of 0.0", "... maximum of ...", "... must be above ...", "... must be below ...".
 * Numbers that are not finite are refused as unable to parse. */
enum err gcode_get_str(struct gcode_command *cmd, const char *name, const char **out,
                       struct err_info *info) ERR_NODISCARD;
enum err gcode_get_int(struct gcode_command *cmd, const char *name, long *out, struct err_info *info) ERR_NODISCARD;
enum err gcode_get_double(struct gcode_command *cmd, const char *name, double *out,
                          struct err_info *info) ERR_NODISCARD;

/* Limits of a number; made with the macros below. */
struct gcode_limits {
    double min, max;     /* allowed are min <= v <= max */
    double above, below; /* and above < v < below */
};
#define GCODE_ANY           ((struct gcode_limits){-__builtin_inf(), __builtin_inf(), -__builtin_inf(), __builtin_inf()})
#define GCODE_MIN(lo)       ((struct gcode_limits){(lo), __builtin_inf(), -__builtin_inf(), __builtin_inf()})
#define GCODE_RANGE(lo, hi) ((struct gcode_limits){(lo), (hi), -__builtin_inf(), __builtin_inf()})
#define GCODE_ABOVE(lo)     ((struct gcode_limits){-__builtin_inf(), __builtin_inf(), (lo), __builtin_inf()})

/* The same with limits (the bounds are tested on given values only) ... */
enum err gcode_get_double_in(struct gcode_command *cmd, const char *name, struct gcode_limits limits, double *out,
                             struct err_info *info) ERR_NODISCARD;
enum err gcode_get_int_in(struct gcode_command *cmd, const char *name, struct gcode_limits limits, long *out,
                          struct err_info *info) ERR_NODISCARD;
/* ... and for optional parameters: when absent, OK and *out keeps the default the caller has put there. */
enum err gcode_opt_double(struct gcode_command *cmd, const char *name, struct gcode_limits limits, double *out,
                          struct err_info *info) ERR_NODISCARD;
enum err gcode_opt_int(struct gcode_command *cmd, const char *name, struct gcode_limits limits, long *out,
                       struct err_info *info) ERR_NODISCARD;

/* A number as G-code and Python read it: decimal, optional exponent; whole text, surrounding blanks allowed; finite.
 * ERR_INVALID otherwise. Correctly rounded. Pure; any thread. */
enum err gcode_parse_double(const char *text, size_t len_bytes, double *out) ERR_NODISCARD;

/* Answer "ok <text>" if this command is to be acknowledged (typed at a terminal); false: the caller prints the text
 * itself. */
bool gcode_ack(struct gcode_command *cmd, const char *text);

/* Append a number as Python's %s prints it ("0.0", "1e-05"); used by messages. */
void gcode_format_number(struct strbuf *sb, double value);

#endif
