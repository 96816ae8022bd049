/* Inside motion_board: shared by board*.c. */
#ifndef MOTION_BOARD_IMPL_H
#define MOTION_BOARD_IMPL_H

#include "motion/board.h"
#include "motion/board_homing.h"
#include "motion/link/link.h"

#include "base/list.h"
#include "base/strbuf.h"

#define BOARD_ASKS_MAX      96 /* questions open at a time, per port */
#define BOARD_LISTENERS_MAX 8
#define BOARD_TRIGGERS_MAX  LINK_TRIGGERS_MAX

struct fiber;

/* A question, from the port's thread to the link and back. */
struct board_ask {
    bool is_open, is_done;
    uint8_t generation; /* so that a late answer to a cancelled question is not taken for another's */
    enum err result;
    const struct board_format *response; /* NULL: no answer expected */
    struct board_reply *reply;           /* fiber: the caller's */
    struct fiber *fiber;
    board_answer_fn *fn;
    void *ctx;
};

struct board_handler {
    struct board *board;
    const struct board_format *format;
    int oid;
    board_reply_fn *fn;
    void *ctx;
};

struct board_port {
    struct boards *boards;
    struct link_port link;
    struct board_ask asks[BOARD_ASKS_MAX];
    struct board_handler *handlers; /* grows while a printer is configured */
    size_t handler_count, handler_capacity;
    struct {
        board_event_fn *fn;
        void *ctx;
    } listeners[BOARD_LISTENERS_MAX];
    size_t listener_count;
};

struct board_lane {
    struct lane lane; /* first */
    struct board *board;
};

struct board_lines {
    char **line;
    size_t count, capacity;
};

struct board_callback {
    board_config_fn *fn;
    void *ctx;
};

struct board {
    struct boards *boards;
    struct link_board *link;
    unsigned index;
    char *name, *path;
    enum board_transport transport;
    unsigned baud;
    struct bytepipe *tx, *rx;
    char *file_json;
    size_t file_json_bytes;
    enum board_restart_method restart_method;
    double connect_timeout_s;
    struct transport_faults faults;
    bool has_faults;
    /* after board_connect */
    _Atomic bool is_connected;
    struct dict *dict;
    uint32_t dict_crc;
    double freq_hz;
    struct published time; /* struct board_time; written by who calls boards_calibrate */
    double sync_until_s;   /* the later print time of the last calibration */
    /* configuration */
    struct board_lines lists[3]; /* by enum board_config_list */
    struct board_callback *callbacks;
    size_t callback_count;
    unsigned oid_count, reserved_slots, step_slots;
    uint32_t config_crc;
    struct board_lane *general;
    struct board_lane **lanes;
    size_t lane_count;
    struct board_port *drops_port;
};

struct boards {
    struct link *link;
    struct runtime *runtime;
    struct log *log;
    struct actor *machine;
    struct board *board[BOARDS_MAX];
    size_t count;
    struct board_port *ports[LINK_PORTS_MAX]; /* 0: the machine's */
    size_t port_count;
    struct board_trigger *triggers[BOARD_TRIGGERS_MAX];
    size_t trigger_count;
    struct link_request *pending; /* requests of the machine thread that found the queue full */
    size_t pending_count, pending_capacity;
    struct host_ns calibrated_at;
    _Atomic uint64_t latest_est; /* bits of the latest estimated print time [s] */
};

struct board_trigger {
    struct boards *boards;
    struct board_port *port;
    struct link_trigger *link; /* the link's from the first start on */
    bool is_handed_over;
    struct link_trigger_setup setup;
    struct board_lane *lanes[BOARD_TRIGGER_BOARDS_MAX];
    struct board *board[BOARD_TRIGGER_BOARDS_MAX];
    struct {
        struct board *board;
        unsigned oid;
    } steppers[BOARD_TRIGGER_STEPPERS_MAX];
    size_t stepper_count;
    bool is_armed, is_stopping;
    board_trigger_fn *on_end, *on_stop;
    void *end_ctx, *stop_ctx;
};

/* board.c */
/* What is allocated between the two is touched at once, unless time is virtual; pass on what the first one says. */
bool boards_begin_resident(const struct boards *boards);
void boards_end_resident(bool was_wanted);
void boards_request(struct boards *boards, const struct link_request *request); /* machine thread; never fails */
void boards_retry_requests(struct boards *boards);
void boards_run_link(struct boards *boards); /* file boards in a virtual runtime: let the link work now */

/* board_port.c */
struct board_port *board_port_of(struct boards *boards, struct board_port *port); /* NULL: the machine's */
/* Take a free question; NULL: all are in use. *token is its name on the way. */
struct board_ask *board_ask_open(struct board_port *port, uint32_t *token);
void board_ask_close(struct board_ask *ask);
/* Fill `reply` from a payload (len 0: all zeros). False if it does not decode. */
bool board_decode(const struct board_format *format, const uint8_t *payload, size_t len_bytes,
                  struct board_reply *reply);

/* board_query.c */
/* Send a request that is answered and wait for the end; for the machine's fibers. deadline HOST_NS_NEVER: no limit */
enum err board_request_wait(struct board *board, struct link_request *request, struct host_ns deadline) ERR_NODISCARD;

/* One question through the general lane, so that it stays in order with board_send. Deadline HOST_NS_NEVER: none but
 * the loss of the board. */
enum err board_ask_and_wait(struct board *board, const struct board_msg *msg, struct board_timing timing,
                            enum link_query_mode mode, const struct board_format *response, int oid,
                            struct board_reply *reply, struct host_ns deadline) ERR_NODISCARD;
/* Queue a whole command, waiting for room; [fiber]. */
enum err board_send_patiently(struct board *board, const struct board_msg *msg) ERR_NODISCARD;

/* board_open.c */
/* Open the board's transport and hand it to the link; [fiber]. */
enum err board_open(struct board *board, struct err_info *info) ERR_NODISCARD;
void board_close(struct board *board); /* [fiber]; waits until the link has let go */
enum err board_reset_by_lines(struct board *board, struct err_info *info) ERR_NODISCARD; /* arduino, cheetah */
enum err board_reset_by_usb(struct err_info *info) ERR_NODISCARD;                        /* rpi_usb */

/* board_time.c */
void board_time_start(struct board *board); /* the first mapping, once the clocks are known */

/* board_trigger.c */
void board_trigger_note(struct board_port *port, const struct link_note *note);
void board_trigger_destroy(struct board_trigger *trigger);

#endif
