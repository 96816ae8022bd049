/* The state of one board's firmware, and what a device file needs to know of the core: timers, commands, responses,
 * faults, objects, the move pool. Freestanding: no heap, no operating system; all memory is handed in at start and
 * frozen by finalize_config.
 *
 * A device file describes itself with one `struct module` (commands, responses, faults, hooks) and is named in one line
 * of firmware/dev/modules.c. Message numbers, the data dictionary and the numbers of fault texts follow from these
 * tables. Every function takes the instance: nothing here is global, so boards can live side by side.
 *
 * Faults do not unwind the stack: raising one takes note, the caller returns, and the core then shuts down before it
 * runs anything else. */
#ifndef FIRMWARE_CORE_MCU_H
#define FIRMWARE_CORE_MCU_H

#include "firmware/port/port.h"
#include "firmware/proto/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MCU_MODULES_MAX     24
#define MCU_PARAMS_MAX      16   /* fields of one command */
#define MCU_MOVES_MAX       1024 /* items of the move pool */
#define MCU_RX_BYTES        192
#define MCU_STRING_ID_FIRST 2 /* static_string_id of the first fault */
#define MCU_STATS_PERIOD_S  5

struct mcu;

/* --- timers --- */

enum timer_result { TIMER_DONE, TIMER_AGAIN };
struct timer;
/* Runs at or soon after timer->clock. TIMER_AGAIN: the function has set a new clock. */
typedef enum timer_result timer_fn(struct mcu *m, struct timer *timer);
struct timer {
    struct timer *next;
    timer_fn *fn;
    uint32_t clock;
    /* Hints for ports that run on a logical clock and are free to run timers late in real time: */
    bool is_report;   /* may make the board say something: run it in time */
    bool is_watching; /* may do so depending on what it sees: run it within a millisecond or so */
};

/* Add a timer that is not in the list. A clock before both the list's head and the present is the fault "Timer too
 * close" (ignored once shut down). */
void timer_add(struct mcu *m, struct timer *timer);
void timer_del(struct mcu *m, struct timer *timer); /* nothing happens if it is not in the list */
/* For ports. */
static inline bool timer_is_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}
/* The first timer's clock; false if there is none. */
bool mcu_next_timer(const struct mcu *m, uint32_t *clock);
/* What the timers' hints add up to. */
struct timer_outlook {
    bool is_any, is_watching, has_report;
    uint32_t report_clock; /* of the first timer that may report */
};
struct timer_outlook mcu_timer_outlook(const struct mcu *m);
void mcu_run_timer(struct mcu *m); /* run the first timer; the port's clock is at or past it */

/* --- tables of a device file --- */

typedef void command_fn(struct mcu *m, const uint32_t *args);
#define COMMAND_IN_SHUTDOWN 1u /* also while shut down */
struct command {
    const char *format; /* "config_stepper oid=%c ...", to the byte as hosts know it */
    command_fn *fn;
    unsigned flags;
};
struct response {
    const char *format;
};
struct fault {
    const char *text;
};

struct module {
    const char *name;
    const struct command *commands;
    const struct response *responses;
    const struct fault *faults;
    uint16_t command_count, response_count, fault_count;
    uint16_t state_bytes;            /* of this module in each instance, zeroed; mcu_state */
    void (*init)(struct mcu *m);     /* once at start; may be NULL, like the others */
    void (*task)(struct mcu *m);     /* after mcu_wake, outside of timers */
    void (*shutdown)(struct mcu *m); /* outputs to their safe state; timers are already gone */
};

/* This instance's state of `module` (state_bytes long). */
void *mcu_state(struct mcu *m, const struct module *module);
/* Have the tasks run soon. From timers and commands. */
static inline void mcu_wake(struct mcu *m);

/* A buffer argument travels in two words: args[i] is its length, args[i + 1] its handle. */
const uint8_t *command_data(const struct mcu *m, uint32_t handle);

/* Send a response, an entry of a module's table: per field one variadic argument, a uint32_t (or int32_t), or for a
 * buffer two, its length as uint32_t and a const uint8_t pointer. Lost without a word if there is no room (port_send).
 */
void mcu_send(struct mcu *m, const struct response *response, ...);

/* --- faults --- */

/* Shut the board down because of `fault` (an entry of a module's table), also again if it is down already. The caller
 * returns soon. */
void fault_raise(struct mcu *m, const struct fault *fault);
/* The same unless it is shut down already: for timers. */
void fault_raise_once(struct mcu *m, const struct fault *fault);
static inline bool mcu_is_shut_down(const struct mcu *m);

/* --- objects and memory --- */

struct oid_type {
    const char *name;
};
/* Make object `oid`, zeroed. NULL after raising a fault: oid taken, out of range, configuration closed, no memory. */
void *oid_create(struct mcu *m, uint32_t oid, const struct oid_type *type, size_t size_bytes);
/* The object, or NULL after raising a fault. */
void *oid_find(struct mcu *m, uint32_t oid, const struct oid_type *type);
/* Next object of `type` at or after *oid, which then names it; NULL at the end. For loops: start at 0, add 1. */
void *oid_next(struct mcu *m, unsigned *oid, const struct oid_type *type);
/* Zeroed memory that lasts until config_reset; NULL after a fault. Only before finalize_config. */
void *mcu_alloc(struct mcu *m, size_t size_bytes);

/* --- the move pool: equal items shared by all queues --- */

struct move {
    struct move *next;
};
struct move_queue {
    struct move *first, *last;
};
/* Items must hold at least `size_bytes` (with the struct move at their start). From config commands. */
void move_request_size(struct mcu *m, size_t size_bytes);
struct move *move_take(struct mcu *m); /* NULL after the fault "Move queue overflow" */
void move_give(struct mcu *m, struct move *move);
static inline bool move_queue_is_empty(const struct move_queue *q)
{
    return q->first == NULL;
}
void move_queue_push(struct move_queue *q, struct move *move);
struct move *move_queue_pop(struct move_queue *q); /* NULL if empty */
void move_queue_clear(struct mcu *m, struct move_queue *q);

/* --- the instance --- */

struct command_slot {
    const struct command *command; /* NULL: this number is no command */
    uint8_t param_count;
    uint8_t params[MCU_PARAMS_MAX]; /* enum param */
};

struct mcu_setup {
    struct port *port;
    void *memory; /* for tables, objects and moves; aligned to 16; kept */
    size_t memory_bytes;
    const struct module *const *modules; /* kept; the first is core_module */
    size_t module_count;
    const uint8_t *dictionary; /* what identify sends: zlib of the JSON; kept */
    size_t dictionary_bytes;
    uint16_t move_count_max;     /* 1..MCU_MOVES_MAX */
    bool has_no_ack_at_shutdown; /* input that came with a block that shut the board down is forgotten, without ack */
};

struct mcu {
    struct mcu_setup setup;
    /* timers, by clock */
    struct timer *timers;
    struct timer stats_timer;
    bool is_task_due;
    /* memory */
    size_t memory_used, memory_frozen_at; /* frozen_at: what config_reset keeps */
    void *state[MCU_MODULES_MAX];
    /* commands */
    struct command_slot *slots; /* by message number */
    uint16_t slot_count;
    const uint8_t *block; /* being dispatched */
    size_t block_bytes;
    /* receiver */
    uint8_t rx[MCU_RX_BYTES];
    size_t rx_bytes;
    uint8_t expected_seq;
    bool is_skipping; /* discard through the next sync byte */
    bool is_nak_sent; /* silent until a valid block arrives */
    bool is_input_stopped;
    /* faults */
    const struct fault *pending, *reason;
    bool is_shut_down;
    /* objects */
    struct oid_entry {
        const struct oid_type *type;
        void *object;
    } * oids;
    uint32_t oid_count, config_crc;
    bool is_finalized;
    /* move pool */
    struct move *moves_free;
    uint8_t *moves;
    size_t move_bytes;
    uint16_t move_count;
    /* uptime and statistics */
    uint32_t last_clock, clock_high;
    uint32_t stats_count, stats_sum, stats_sumsq;
    uint8_t stats_countdown; /* seconds to the next report */
};

static inline void mcu_wake(struct mcu *m)
{
    m->is_task_due = true;
}
static inline bool mcu_is_shut_down(const struct mcu *m)
{
    return m->is_shut_down;
}

extern const struct module core_module;

/* --- for ports --- */

/* Bytes the tables of `modules` take from mcu_setup.memory before any object. */
size_t mcu_table_bytes(const struct module *const *modules, size_t module_count);
/* Boot: everything from nothing, then sends `starting`. */
void mcu_init(struct mcu *m, const struct mcu_setup *setup);
void mcu_receive(struct mcu *m, const uint8_t *data, size_t len_bytes);
/* Run the tasks that are due. After received bytes and after every timer; cheap when there is nothing to do. */
void mcu_run_tasks(struct mcu *m);
/* Shut down from outside of any command, as "Command request". */
void mcu_emergency_stop(struct mcu *m);
/* One pass of the main loop began at tick `start` and ends now: what `stats` reports. */
void mcu_count_loop(struct mcu *m, uint32_t start);

/* The message and string numbers, for building the dictionary. Numbers are as encoded (0..16383). */
int mcu_command_id(const struct module *const *modules, size_t module_count, const struct command *command);
int mcu_response_id(const struct module *const *modules, size_t module_count, const struct response *response);
/* Equal texts of several modules share the number of the first. */
int mcu_fault_id(const struct module *const *modules, size_t module_count, const struct fault *fault);

#endif
