/* The link actor: bytes to and from all boards of a printer, retransmission, clocks, send queues, homing keep-alive and
 * the emergency stop. It knows no motion: it moves bytes by deadline.
 *
 * Other threads talk to it by requests (a bounded queue), by lanes (commands) and by one flag (emergency stop); it
 * answers with notes in the rings of ports. Structures given to it by a request are its own until the request that
 * takes them back has been answered; link_destroy frees what it still has. After configuration it allocates nothing. */
#ifndef MOTION_LINK_LINK_H
#define MOTION_LINK_LINK_H

#include "base/actor.h"
#include "base/ring.h"
#include "motion/link/clocksync.h"
#include "motion/link/dict.h"
#include "motion/link/lane.h"
#include "motion/link/published.h"
#include "motion/link/session.h"
#include "motion/link/transport.h"

#define LINK_BOARDS_MAX           16
#define LINK_PORTS_MAX            8
#define LINK_TRIGGERS_MAX         64
#define LINK_QUERIES_MAX          64 /* open at a time, per board */
#define LINK_TRIGGER_BOARDS_MAX   8
#define LINK_TRIGGER_STEPPERS_MAX 16
#define LINK_OID_ANY              (-1)
#define LINK_TOKEN_NONE           0u

struct link;
struct link_board;
struct link_trigger;
struct log;

/* ---- what comes out ---- */

enum link_note_kind {
    LINK_NOTE_REPLY,  /* a response somebody asked to hear of: `token` is the route's */
    LINK_NOTE_ANSWER, /* the end of a query or request: `token` is the asker's */
    LINK_NOTE_FAULT,  /* something happened to a board */
    LINK_NOTE_TRIGGER /* a trigger ended (token: its own), or stopped */
};
enum link_fault { LINK_FAULT_NONE, LINK_FAULT_SHUTDOWN, LINK_FAULT_LOST, LINK_FAULT_RESTARTED };

struct link_note {
    uint8_t kind;      /* enum link_note_kind */
    uint8_t board;     /* index */
    uint8_t result;    /* answer, trigger: enum err */
    uint8_t fault;     /* enum link_fault */
    uint8_t reason;    /* trigger */
    bool is_stop;      /* trigger: the answer to a stop */
    uint8_t len_bytes; /* of the payload; 0: none (a file board's answer: all zeros) */
    uint8_t payload[FRAME_PAYLOAD_MAX];
    uint32_t token;
    uint32_t string_id;            /* shutdown: static_string_id */
    uint64_t clock;                /* shutdown: when, 64 bits */
    struct host_ns sent, received; /* reply; fault: `received` is since when */
};

/* Where notes for one thread go. `index` is given by the creator, 0..LINK_PORTS_MAX-1. */
struct link_port {
    struct spsc notes;
    struct actor *owner;
    uint8_t index;
    _Atomic uint64_t dropped; /* replies that found the ring full */
};
void link_port_init(struct link_port *port, unsigned index, struct actor *owner);
void link_port_deinit(struct link_port *port);

/* ---- what goes in ---- */

enum link_request_kind {
    LINK_ADD_PORT,
    LINK_ADD_BOARD,
    LINK_ADD_LANE,
    LINK_ADD_TRIGGER,
    LINK_OPEN,  /* begin to use `transport`; a fresh session */
    LINK_CLOSE, /* destroy it; answered */
    LINK_SET_DICT,
    LINK_SET_SLOTS,   /* `number` move items; the board counts as configured */
    LINK_START_CLOCK, /* answered when the clock is known */
    LINK_ROUTE,       /* tell `port` of each response `number` with `oid` */
    LINK_QUERY,
    LINK_CANCEL,      /* forget the query `token` of `port` */
    LINK_CLEAR_FAULT, /* the board has left its shutdown; answered */
    LINK_DRAIN,       /* answered when everything is sent and acknowledged */
    LINK_TRIGGER_ARM,
    LINK_TRIGGER_END,
    LINK_TRIGGER_STOP
};
enum link_query_mode {
    LINK_QUERY_NORMAL, /* acknowledged and no answer: again after 10, 20, 40, 80, 160 ms */
    LINK_QUERY_SLOW,   /* again each 0.5 s up to 5 s; only answers to what was sent after the start */
    LINK_QUERY_ACK     /* done when acknowledged */
};

struct link_timing {
    uint64_t min_clock, req_clock;
};

struct link_request {
    uint8_t kind; /* enum link_request_kind */
    uint8_t mode; /* enum link_query_mode */
    uint8_t len_bytes;
    bool is_in_lane; /* query: the caller puts the command in a lane himself, tagged with link_tag */
    int32_t number;  /* query, route: the response's number on the wire, -1: none; slots: how many */
    int32_t oid;
    uint32_t token; /* of `port`: asker's choice, 1..0xffff for queries */
    struct link_board *board;
    struct link_port *port;
    struct link_timing timing;
    struct lane *lane;            /* kept until link_destroy */
    struct transport *transport;  /* taken */
    const struct dict *dict;      /* kept until link_destroy */
    struct link_trigger *trigger; /* LINK_ADD_TRIGGER: taken, set up */
    union {
        uint8_t msg[FRAME_PAYLOAD_MAX];
        struct link_trigger_times {
            uint64_t
                clock[LINK_TRIGGER_BOARDS_MAX]; /* arm: when each board gives up if it hears nothing; end: its end */
            uint32_t expire_ticks[LINK_TRIGGER_BOARDS_MAX], report_ticks[LINK_TRIGGER_BOARDS_MAX];
        } times;
    };
};

static inline uint32_t link_tag(const struct link_port *port, uint32_t token)
{
    return ((uint32_t)port->index << 16) | token;
}

/* Create the actor; it is not driven yet. */
struct link *link_create(struct runtime *runtime, struct log *log);
/* The actor must have been removed from its runtime. Destroys transports, boards and triggers given to it. */
void link_destroy(struct link *link);
struct actor *link_actor(struct link *link);

/* Any thread. False: the queue is full, try again later. */
bool link_request(struct link *link, const struct link_request *request);
void link_wake(struct link *link); /* any thread: lanes have something new */

/* How well blocks leave, all boards together. Any thread. */
struct link_lateness {
    struct histogram_view lead; /* from the moment a block left to the first deadline in it; 0: too late */
    struct histogram_view late; /* from the moment it had to leave, 0.1 s before that deadline (0.25 without rights) */
    bool has_thread;            /* false in virtual time */
    struct actor_stats thread;
};
/* Does its thread run when it must (it has real-time rights, or time is virtual)? Any thread, once it has begun. */
bool link_is_prompt(const struct link *link);
void link_get_lateness(const struct link *link, struct link_lateness *out);

/* Any thread, at once; async-signal-safe variants for a dying process: link_panic. */
void link_emergency_stop(struct link *link);
void link_panic(struct link *link);

/* ---- boards ---- */

/* What any thread may read of a board. */
struct link_view {
    bool is_clock_known, is_shutdown, is_lost;
    uint64_t last_clock;
    struct clock_line line;
};
struct link_stats {
    uint64_t bytes_write, bytes_read, bytes_retransmit, bytes_invalid;
    uint64_t send_seq, receive_seq, retransmit_seq;
    double srtt_s, rttvar_s, rto_s;
    uint64_t ready_bytes, upcoming_bytes;
    double freq_hz, mcu_awake, mcu_task_avg, mcu_task_stddev;
    uint64_t blocks_late;
    double lateness_max_s;
    uint64_t faults_injected;
};
struct link_board *link_board_create(struct link *link, unsigned index);
struct link_view link_board_view(const struct link_board *board);
struct link_stats link_board_stats(const struct link_board *board);
/* Where a fault injector counts. */
uint64_t *link_board_fault_counter(struct link_board *board);

/* ---- triggers ---- */

struct link_trigger_part {
    struct link_board *board;
    const struct lane *lane; /* of the commands that arm it: a stop waits until they have left. NULL: none */
    uint8_t oid;
};
/* Constant from LINK_ADD_TRIGGER on. */
struct link_trigger_setup {
    struct link_port *port;
    uint32_t token;
    struct link_trigger_part parts[LINK_TRIGGER_BOARDS_MAX];
    size_t part_count;
};
struct link_trigger *link_trigger_create(void);
void link_trigger_destroy(struct link_trigger *trigger); /* only if it was never handed over */
void link_trigger_set_up(struct link_trigger *trigger, const struct link_trigger_setup *setup);

#endif
