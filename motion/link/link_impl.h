/* Inside the link actor: shared by its files. Everything here belongs to the link's thread unless it is atomic. */
#ifndef MOTION_LINK_LINK_IMPL_H
#define MOTION_LINK_LINK_IMPL_H

#include "motion/link/link.h"
#include "motion/link/sendq.h"

#define LINK_ROUTES_MIN          64 /* grows while a printer is configured */
#define LINK_NUMBERS_NONE        (-1)
#define LINK_INTERNAL_LANE_BYTES 16384
#define LINK_TX_BYTES            (2 * SESSION_RESEND_BYTES_MAX)

struct link_query {
    bool is_open;
    bool is_sent;  /* in a lane, or on its way */
    bool has_left; /* at least once */
    bool is_acked;
    uint8_t mode, tries, len_bytes;
    uint8_t msg[FRAME_PAYLOAD_MAX];
    struct link_port *port;
    uint32_t tag, token;
    int32_t number, oid;
    struct link_timing timing;
    uint64_t block_seq; /* of the block that carried it last, 0: it waits in a lane */
    uint64_t first_seq; /* of the first */
    struct host_ns retry_at, give_up_at;
};

struct link_route {
    int32_t number, oid;
    struct link_port *port; /* NULL: free place */
    uint32_t token;
};

/* How the clock of a board is followed: get_uptime, a burst of get_clock, then one each CLOCK_INTERVAL_S. */
enum link_clock_state { LINK_CLOCK_OFF, LINK_CLOCK_UPTIME, LINK_CLOCK_BURST, LINK_CLOCK_STEADY };

/* Messages the link itself sends and understands; numbers on the wire, -1: the board has none. */
struct link_words {
    const struct board_format *get_clock, *get_uptime, *emergency_stop, *trsync_set_timeout, *trsync_trigger;
    int clock, uptime, shutdown, is_shutdown, starting, stats, trsync_state;
};

struct link_board {
    struct link *link;
    unsigned index;
    struct transport *transport;
    const struct dict *dict;
    struct link_words words;
    double nominal_hz;
    bool is_configured;
    /* conversation */
    struct session session;
    struct sendq sendq;
    struct lane internal;
    uint8_t tx[LINK_TX_BYTES]; /* bytes the transport has not taken yet */
    size_t tx_first, tx_bytes;
    struct host_ns send_at; /* when sending may go on by itself */
    bool wants_stop;        /* an emergency stop has not been sent yet */
    bool is_stopped;        /* one was asked for: what producers still bring is thrown away */
    bool is_draining;
    uint32_t drain_token;
    struct link_port *drain_port;
    /* clock */
    struct clocksync clock;
    enum link_clock_state clock_state;
    unsigned clock_burst_left, clock_unanswered;
    struct host_ns clock_at, last_heard;
    uint32_t clock_token;
    struct link_port *clock_port;
    /* who waits for what */
    struct link_query queries[LINK_QUERIES_MAX];
    unsigned query_count;
    struct {
        uint32_t tag;
        uint64_t block_seq;
    } early[SENDQ_TAGS_MAX]; /* commands that left before the request that announces them was read */
    unsigned early_count;
    struct link_route *routes; /* open addressing, size a power of two */
    size_t route_mask, route_count;
    /* state */
    enum link_fault fault;
    double mcu_awake, mcu_task_avg, mcu_task_stddev;
    uint64_t blocks_late, faults_injected;
    double lateness_max_s;
    struct host_ns now; /* of the step in progress */
    struct host_ns stats_at;
    struct published view, stats;
    /* last words of a dying process */
    _Atomic int panic_fd;
    _Atomic unsigned panic_bytes;
    uint8_t panic[1 + 16 * (FRAME_MIN_BYTES + 2)];
};

enum link_trigger_state { LINK_TRIGGER_IDLE, LINK_TRIGGER_ARMED, LINK_TRIGGER_ENDED, LINK_TRIGGER_STOPPING };

struct link_trigger_board {
    uint64_t expire_clock, end_clock; /* end 0: none yet */
    uint32_t expire_ticks, report_ticks;
    struct host_ns last_status;
    bool is_done, is_stop_sent;
    uint8_t reason;
};

struct link_trigger {
    struct link_trigger_setup setup;
    enum link_trigger_state state;
    struct link_trigger_board parts[LINK_TRIGGER_BOARDS_MAX];
    enum err result;
    unsigned tries;
    struct host_ns retry_at;
};

struct link {
    struct actor actor;
    struct runtime *runtime;
    struct log *log;
    struct mpsc requests;
    _Atomic unsigned stop_count; /* emergency stops asked for */
    unsigned stop_seen;
    double lead_s; /* a block leaves at the latest this long before its first deadline; 0: not settled */
    struct histogram lead, late; /* struct link_lateness */
    struct link_board *boards[LINK_BOARDS_MAX];
    struct link_port *ports[LINK_PORTS_MAX];
    struct link_trigger *triggers[LINK_TRIGGERS_MAX];
    size_t trigger_count;
    struct link_board *all_boards[LINK_BOARDS_MAX]; /* as created; link_panic and link_destroy */
    _Atomic size_t all_count;
};

/* link.c */
void link_post(struct link *link, struct link_port *port, const struct link_note *note);
void link_answer(struct link *link, struct link_port *port, uint32_t token, enum err result);

/* link_board.c */
void link_board_open(struct link_board *b, struct transport *transport, struct host_ns now);
void link_board_close(struct link_board *b);
void link_board_set_dict(struct link_board *b, const struct dict *dict);
void link_board_add_route(struct link_board *b, const struct link_request *request);
struct host_ns link_board_step(struct link_board *b, struct host_ns now);
void link_board_stop(struct link_board *b); /* emergency */
void link_board_fault(struct link_board *b, enum link_fault fault, uint32_t string_id, uint64_t clock,
                      struct host_ns since);
/* Queue a command of the link itself; false: no room just now. */
bool link_board_push(struct link_board *b, const uint8_t *msg, size_t len_bytes, struct link_timing timing,
                     uint32_t tag);
bool link_board_push_args(struct link_board *b, const struct board_format *format, const int64_t *args, size_t count);
/* Nothing more can be said to it: lost, or another life of the same board. */
bool link_board_is_gone(const struct link_board *b);
void link_board_destroy(struct link_board *b);

/* link_send.c */
struct host_ns link_send(struct link_board *b, struct host_ns now);

/* link_query.c */
void link_query_open(struct link_board *b, const struct link_request *request, struct host_ns now);
void link_query_cancel(struct link_board *b, const struct link_request *request);
void link_query_sent(struct link_board *b, uint32_t tag, uint64_t block_seq);
/* Give a response to the query that waits for it; true if one did. */
bool link_query_reply(struct link_board *b, int number, int32_t oid, const uint8_t *payload, size_t len_bytes,
                      struct host_ns sent, struct host_ns received);
struct host_ns link_query_step(struct link_board *b, struct host_ns now);
void link_query_forget_early(struct link_board *b);
void link_query_fail_all(struct link_board *b, enum err result);

/* link_clock.c */
void link_clock_start(struct link_board *b, const struct link_request *request, struct host_ns now);
void link_clock_uptime(struct link_board *b, uint64_t clock, struct host_ns sent, struct host_ns received);
void link_clock_answer(struct link_board *b, uint32_t clock32, struct host_ns sent, struct host_ns received);
struct host_ns link_clock_step(struct link_board *b, struct host_ns now);

/* link_trigger.c */
void link_trigger_request(struct link *link, const struct link_request *request, struct host_ns now);
void link_trigger_report(struct link_board *b, uint8_t oid, bool can_trigger, uint8_t reason, uint32_t clock32,
                         struct host_ns now);
void link_trigger_board_failed(struct link_board *b, enum err result, struct host_ns now);
struct host_ns link_trigger_step(struct link *link, struct host_ns now);

#endif
