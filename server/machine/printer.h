/* The printer: one load of a configuration, from the file to the last board. RESTART replaces it by another; the server
 * and its clients stay.
 *
 * Owned by the machine actor: every function here runs on its thread (most of them inside a fiber or a timer) unless
 * said otherwise. The host calls printer_create, printer_step from the actor's step, and printer_destroy.
 *
 * States: STARTUP until the boards are configured, then READY; ERROR if the configuration or a board prevents that;
 * SHUTDOWN after the first fault, which latches: later faults are logged only. ERROR and SHUTDOWN last until the printer
 * is replaced. */
#ifndef SERVER_MACHINE_PRINTER_H
#define SERVER_MACHINE_PRINTER_H

#include "base/actor.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/worker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct board;
struct board_options;
struct boards;
struct config;
struct config_files;
struct config_section;
struct engine;
struct fiber;
struct fiber_pool;
struct gcode;
struct gcode_move;
struct log;
struct pins;
struct printer;
struct printer_object;
struct printer_private;
struct status_hub;

enum printer_state { PRINTER_STARTUP, PRINTER_READY, PRINTER_ERROR, PRINTER_SHUTDOWN };

enum printer_restart { PRINTER_RESTART_NONE, PRINTER_RESTART_HOST, PRINTER_RESTART_FIRMWARE };

/* One console line for every client: "ok" never, "// text", "!! text", "echo: text". */
typedef void printer_console_fn(void *ctx, const char *line);

/* Call a method that a client of the API offers to macros, with a JSON object of parameters; no answer is waited for.
 * ERR_NOT_FOUND: no client does. On the machine thread. */
typedef enum err printer_remote_fn(void *ctx, const char *method, const char *params);

/* Say how the board of `section` ([mcu] or [mcu NAME]) is reached, by the mode the host runs in: `options` holds what the
 * configuration asks for (a serial line); a simulated printer puts bytepipes there, `plan` a file. Called on the machine
 * thread when the printer starts; what `options` points to must live as long as the printer. */
typedef enum err printer_board_fn(void *ctx, struct printer *printer, struct config_section *section,
                                  struct board_options *options, struct err_info *info);

/* News upward: the state or its message changed; the host publishes it (notify_klippy_ready and so on) and, if
 * printer_wants_restart, replaces the printer. */
typedef void printer_changed_fn(void *ctx, struct printer *printer);

/* What the host gives to each printer. Pointers are kept until printer_destroy. */
struct printer_services {
    struct runtime *runtime;
    struct actor *machine;       /* the actor that calls printer_step */
    struct log *log;             /* NULL allowed */
    struct worker *disk;         /* reads and writes files for the machine thread; NULL (virtual time): that thread does it */
    struct status_hub *status;   /* where status is published; NULL: nowhere */
    const char *config_path;
    const char *data_dir;        /* DATA; NULL in `plan` and `check` */
    const char *version;         /* of the program, for M115; NULL: unknown */
    bool checks_all_steps;       /* every step is re-expanded and measured, not one message in 64 */
    bool is_batch;               /* `plan`: waits return at once, cold extrusion is allowed, nothing is real */
    uint64_t seed;
    unsigned batch_threads;      /* step-solving threads in batch mode */
    double horizon_s;            /* the engine's commit horizon [s]; 0: its default */
    int motion_priority, link_priority; /* SCHED_FIFO wanted for the motion and link threads; 0: none */
    printer_board_fn *board_options; /* NULL: as the configuration says */
    printer_console_fn *console; /* NULL allowed */
    printer_remote_fn *remote;   /* NULL: there are no clients */
    printer_changed_fn *changed; /* NULL allowed */
    void *ctx;
    struct host *host;           /* opaque here; for objects of server/job that use the host's files and database */
};

struct printer {
    const struct printer_services *services;
    struct config *config;     /* as loaded; never NULL */
    struct fiber_pool *fibers; /* of this printer */
    struct worker_calls disk;  /* for fibers: every access to a disk goes through here, which may take seconds */
    struct gcode *gcode;       /* the dispatcher; created before any object */
    struct gcode_move *gcode_move; /* modal G-code state; the object gcode_move, one of the first, sets it */
    struct pins *pins;
    struct boards *boards;     /* made before any board connects; NULL if the configuration is in error */
    struct engine *engine;     /* likewise. The toolhead's connect hook describes the machine to it; the printer starts it
                                  (engine_start) once the boards are configured */
    enum printer_restart start_reason;
    struct printer_private *priv;
};

/* --- life cycle (called by the host) --- */

/* Load the configuration, create the objects, and begin to connect the boards in a fiber. Never NULL: with a bad
 * configuration the printer is in ERROR and explains itself. */
struct printer *printer_create(const struct printer_services *services, enum printer_restart start_reason);
/* Ends every fiber (cancelled; their requests are answered with an error), destroys the objects in reverse order and
 * lets go of the boards. One that was not closed before (printer_begin_close, printer_request_restart) stops its boards by
 * an emergency stop. */
void printer_destroy(struct printer *printer); /* NULL allowed */
/* Run what is due at `now`: fibers, timers, engine events, status. Returns when it wants to run next. */
struct host_ns printer_step(struct printer *printer, struct host_ns now);

/* Load and check `path` as far as is possible without boards: everything printer_create checks. The result holds the
 * errors and warnings; caller destroys it. `dicts` (NULL allowed) are data dictionaries in JSON, "NAME=path" or "path"
 * for [mcu], by which pin names are checked. */
struct config *printer_check_config(const char *path, const char *const *dicts, size_t dict_count);
struct config *printer_check_files(const struct config_files *files, const char *path, const char *const *dicts,
                                   size_t dict_count);

/* --- state --- */
enum printer_state printer_state(const struct printer *printer);
const char *printer_state_name(enum printer_state state); /* "startup", "ready", "error", "shutdown" */
const char *printer_state_message(const struct printer *printer);
bool printer_is_shutdown(const struct printer *printer);
/* When the present state began. */
struct host_ns printer_state_since(const struct printer *printer);

/* Stop everything: every board is told (out of band) to switch heaters and motors off, every wait is cancelled, the
 * state becomes SHUTDOWN with this text. First caller wins. From any place on the machine thread. */
void printer_shutdown(struct printer *printer, const char *fmt, ...) ERR_PRINTF(2, 3);
/* M112 and the API's emergency stop: printer_shutdown with the text Klipper users know. */
void printer_emergency_stop(struct printer *printer, const char *who);
/* RESTART and FIRMWARE_RESTART: heaters and motors off, what is queued is drained, with FIRMWARE every board is reset; then
 * printer_wants_restart says so and `changed` is called: the host replaces the printer. */
void printer_request_restart(struct printer *printer, enum printer_restart kind);
enum printer_restart printer_wants_restart(const struct printer *printer);
/* The end of the process: the same without a restart; printer_is_closed when done, and `changed` is called. */
void printer_begin_close(struct printer *printer);
bool printer_is_closed(const struct printer *printer);

/* --- objects --- */
struct printer_object *printer_find_object(const struct printer *printer, const char *name); /* NULL if absent */
/* Find it, or create it now: from its section if there is one, else (OBJECT_ON_DEMAND, OBJECT_ALWAYS) without. NULL if
 * there is neither; then an error has been added to the configuration, at `asking` (NULL: nowhere). Create hooks only. */
struct printer_object *printer_load_object(struct printer *printer, const char *name, struct config_section *asking);
struct printer_object *printer_first_object(const struct printer *printer); /* follow ->next */
/* Next object (after `prev`, or the first if NULL) made by the descriptor with this section name; NULL at the end. */
struct printer_object *printer_next_of(const struct printer *printer, const char *section, struct printer_object *prev);

/* Publish every object's status as it is now. It is published by itself a few times a second and when an object says so. */
void printer_refresh_status(struct printer *printer);

/* --- time --- */
struct host_ns printer_now(const struct printer *printer);
double printer_now_s(const struct printer *printer); /* the same in seconds: eventtime */
/* The print time the main board shows now; 0 before the boards exist. */
struct print_time printer_est_print_time(const struct printer *printer);

/* A timer of the machine thread. Zero it before first use; it must be stopped before its memory goes. */
struct printer_timer {
    struct list node;
    struct host_ns due;
    struct host_ns (*fn)(void *ctx, struct host_ns now); /* returns the next due time; HOST_NS_NEVER ends it */
    void *ctx;
    bool is_active;
};
void printer_timer_start(struct printer *printer, struct printer_timer *timer, struct host_ns due);
void printer_timer_stop(struct printer *printer, struct printer_timer *timer);

/* --- events --- */
#define PRINTER_EVENT_READY "klippy:ready"
#define PRINTER_EVENT_CONNECT "klippy:connect"
#define PRINTER_EVENT_SHUTDOWN "klippy:shutdown"
#define PRINTER_EVENT_DISCONNECT "klippy:disconnect"
typedef void printer_event_fn(void *ctx, const char *event, void *data);
/* `event` and `ctx` are kept until printer_destroy. Subscribers are called in the order of subscription. */
void printer_subscribe(struct printer *printer, const char *event, printer_event_fn *fn, void *ctx);
void printer_emit(struct printer *printer, const char *event, void *data);

/* --- console and scripts --- */
/* One line to every client's console as it is. */
void printer_console(struct printer *printer, const char *line);
/* Each line of the text with "// " before it. */
void printer_respond_info(struct printer *printer, const char *fmt, ...) ERR_PRINTF(2, 3);

/* Called when a script has ended; `text` explains a failure. On the machine thread, exactly once. */
typedef void printer_script_fn(void *ctx, enum err result, const char *text);
/* Run G-code in a fiber of its own, after scripts that wait for the G-code lock. `script` is copied. ERR_FULL: all
 * fibers are in use, nothing was started. `done` NULL: errors go to the console only. */
enum err printer_run_script(struct printer *printer, const char *script, printer_script_fn *done, void *ctx)
    ERR_NODISCARD;

/* --- boards --- */
/* The board of [mcu] (name "mcu") or [mcu NAME] (name "NAME"); NULL before connect or if there is none. */
struct board *printer_board(const struct printer *printer, const char *name);
struct board *printer_board_at(const struct printer *printer, size_t index); /* [mcu] first; NULL past the end */

/* Fields of the state machine for tests and the API: how long start took [s], -1 while it lasts. */
double printer_startup_s(const struct printer *printer);

#endif
