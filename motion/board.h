/* Boards: what the printer and the motion engine know of the microcontrollers behind their wires.
 *
 * `struct boards` is all boards of one printer and the link actor that moves their bytes; `struct board` is one [mcu].
 * The first board added is the main one: its clock divided by its nominal frequency is print time.
 *
 * Life of a board: board_add, board_connect (transport, identify, clock), look-ups and configuration calls,
 * board_configure (handshake), then lanes and queries; boards_destroy ends it. Descriptors, lanes and ports live until
 * boards_destroy.
 *
 * Threads. Functions are for the machine thread unless they say otherwise. Those marked [fiber] wait: call them from a
 * fiber of the machine's pool; they return ERR_CANCELLED when it is cancelled, ERR_SHUTDOWN when the board is shut
 * down, ERR_CLOSED when its link is lost. Nothing here allocates after board_configure except [fiber] calls that say
 * so. Homing over several boards: motion/board_homing.h. The wire: docs/protocol.md. */
#ifndef MOTION_BOARD_H
#define MOTION_BOARD_H

#include "base/actor.h"
#include "base/clock.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct actor;
struct bytepipe;
struct log;
struct runtime;

struct boards;
struct board;
struct board_format;
struct board_lane;
struct board_port;

/* ---- all boards of a printer ---- */

struct boards_options {
    struct runtime *runtime; /* drives the link actor */
    struct log *log;         /* may be NULL */
    struct actor *machine;   /* notified when boards_poll has something to do */
    int fifo_priority;       /* of the link thread where permitted; 0: as usual */
};
struct boards *boards_create(const struct boards_options *options);
/* Stops the link actor, closes every transport. No fiber may be inside a call of this header. NULL allowed. */
void boards_destroy(struct boards *boards);

/* Deliver what arrived for the machine thread: response handlers, events, fibers to wake. From the machine's step. */
void boards_poll(struct boards *boards, struct host_ns now);

/* Stop all boards at once: emergency_stop goes on every wire in front of everything else, whatever is queued is
 * dropped. Any thread; returns at once. `reason` (may be NULL) is for the log; the boards will say "Command request".
 */
void boards_emergency_stop(struct boards *boards, const char *reason);
/* The same for a process that is about to abort: writes straight to the wires. Async-signal-safe; a check_hook_fn. */
void boards_panic(void *boards);

/* How well the link thread keeps up, all boards together. Any thread. */
struct boards_lateness {
    struct histogram_view lead; /* from the moment a block of commands left to the first deadline in it; 0: too late */
    struct histogram_view late; /* from the moment it had to leave, 0.1 s before that deadline (0.25 without rights) */
    bool has_thread;            /* false in virtual time */
    struct actor_stats thread;
};
/* Does the link run when it must (it has real-time rights, or time is virtual)? Else leave it more time. Any thread. */
bool boards_is_prompt(const struct boards *boards);
void boards_get_lateness(const struct boards *boards, struct boards_lateness *out);

size_t boards_count(const struct boards *boards);
struct board *boards_at(const struct boards *boards, size_t index); /* 0 is the main board */
/* Write out what file boards still hold, wait until the others have acknowledged all that is queued; [fiber]. For an
 * orderly end. timeout_s 0: no limit. ERR_TIMEOUT, ERR_CLOSED */
enum err boards_drain(struct boards *boards, double timeout_s) ERR_NODISCARD;

/* ---- one board ---- */

enum board_transport {
    BOARD_SERIAL, /* a tty by its device name, through libserialport (refuses ptys) */
    BOARD_PTY,    /* a pty, a pipe-like device (/dev/rpmsg_*, /tmp/klipper_host_*) or a Unix socket, as raw bytes */
    BOARD_PIPES,  /* two bytepipes to a board in this process */
    BOARD_FILE    /* no board: framed bytes go to a file, replies are zeros (offline planning) */
};
enum board_restart_method {
    BOARD_RESTART_AUTO,
    BOARD_RESTART_ARDUINO,
    BOARD_RESTART_CHEETAH,
    BOARD_RESTART_COMMAND,
    BOARD_RESTART_RPI_USB
};

/* Damage done on purpose to the bytes of a board, for tests; each a probability per block, drawn from `seed`. */
struct board_faults {
    uint64_t seed;
    double tx_loss, tx_corrupt, tx_cut, tx_duplicate;             /* host to board */
    double rx_loss, rx_corrupt, rx_cut, rx_duplicate, rx_reorder; /* board to host */
    double delay_max_s; /* extra delay of each block in both directions, uniform in [0, this] */
};

struct board_options {
    const char *name; /* as users know it: "mcu", "toolhead"; copied, like every text here */
    enum board_transport transport;
    const char *path;            /* device, pty or output file; unused for pipes */
    unsigned baud;               /* serial; 0: 250000 */
    struct bytepipe *tx, *rx;    /* pipes: kept until boards_destroy; reader of rx becomes the link. In a real runtime
                                    stop the board's actor first: it may be about to notify the link */
    const char *dictionary_json; /* file: the dictionary, uncompressed JSON */
    size_t dictionary_bytes;
    enum board_restart_method restart_method;
    double connect_timeout_s;          /* 0: 90 */
    const struct board_faults *faults; /* NULL: none; copied */
};

/* Make a board known; nothing is opened yet. ERR_EXISTS, or ERR_LIMIT past BOARDS_MAX. */
#define BOARDS_MAX 16
enum err board_add(struct boards *boards, const struct board_options *options, struct board **board,
                   struct err_info *info) ERR_NODISCARD;

/* Open, identify, read the dictionary, start the clock estimate. [fiber], allocates. Errors carry the words users know
 * ("mcu 'mcu': Unable to connect", "Unable to open ..."). A board that is shut down connects too. */
enum err board_connect(struct board *board, struct err_info *info) ERR_NODISCARD;

const char *board_name(const struct board *board);
size_t board_index(const struct board *board);
bool board_is_main(const struct board *board);
bool board_is_file(const struct board *board);
double board_freq_hz(const struct board *board); /* CLOCK_FREQ; after board_connect, any thread */

/* ---- the data dictionary (after board_connect; constant from then on, so from any thread) ---- */

const char *board_version(const struct board *board);        /* "" if absent */
const char *board_build_versions(const struct board *board); /* "" if absent */
const char *board_app(const struct board *board);

/* Constants (`config` of the dictionary), in dictionary order. Numbers are also available as text. */
struct board_constant {
    const char *name;
    const char *text; /* a string constant's value, or the number as JSON prints it */
    double number;    /* 0 for a string that is no number */
    bool is_number;   /* stored as a number in the dictionary */
};
size_t board_constant_count(const struct board *board);
struct board_constant board_constant_at(const struct board *board, size_t index);
/* ERR_NOT_FOUND with "Firmware constant 'X' not found" */
enum err board_constant_find(const struct board *board, const char *name, struct board_constant *constant,
                             struct err_info *info) ERR_NODISCARD;
double board_constant_number(const struct board *board, const char *name, double fallback);

/* Enumerations ("pin", "spi_bus", "static_string_id", ...), ranges expanded by rule. */
bool board_has_enum(const struct board *board, const char *enum_name);
bool board_enum_value(const struct board *board, const char *enum_name, const char *value_name, int32_t *value);
/* Name of `value`, the first in dictionary order; NULL if none. Names made from a range are written to `scratch`. */
const char *board_enum_name(const struct board *board, const char *enum_name, int32_t value, char scratch[64]);
/* Call `fn` for every name of an enumeration, ranges expanded, in dictionary order. */
typedef void board_enum_fn(void *ctx, const char *value_name, int32_t value);
void board_enum_each(const struct board *board, const char *enum_name, board_enum_fn *fn, void *ctx);

/* Message formats by exact text ("queue_step oid=%c interval=%u count=%hu add=%hi"). NULL if this board lacks it. */
const struct board_format *board_command(const struct board *board, const char *format);
const struct board_format *board_response(const struct board *board, const char *format);
/* The first of `formats` (newest first) that the board has, its index in *which. ERR_NOT_FOUND names the board and, if
 * a message of that name exists with other parameters, both formats ("Command format mismatch"). */
enum err board_command_pick(const struct board *board, const char *const *formats, size_t count, size_t *which,
                            const struct board_format **format, struct err_info *info) ERR_NODISCARD;
bool board_has_message(const struct board *board, const char *name); /* "config_reset": whatever its parameters */
const char *board_format_text(const struct board_format *format);

/* ---- messages ---- */

#define BOARD_MSG_BYTES_MAX 59
#define BOARD_FIELDS_MAX    16

/* One encoded command. Plain data. */
struct board_msg {
    uint8_t len_bytes;
    uint8_t data[BOARD_MSG_BYTES_MAX];
};

/* Encode a command. `args` are its integer fields in order (each in [-2^31, 2^32), else CHECK), `data` its buffer field
 * if it has one (no command has two). Any thread; no allocation. CHECKs the number of args. ERR_LIMIT: the buffer is
 * too long for a block. */
enum err board_encode(const struct board_format *format, const int64_t *args, size_t arg_count, const void *data,
                      size_t data_bytes, struct board_msg *msg) ERR_NODISCARD;
/* board_encode(format, BOARD_ARGS(oid, clock, value), NULL, 0, &msg) */
#define BOARD_ARGS(...) (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)
#define BOARD_NO_ARGS   NULL, 0

/* A decoded response. Valid during the handler, or owned by the caller of a query. */
struct board_reply {
    const struct board_format *format;
    uint32_t value[BOARD_FIELDS_MAX];  /* by field; negative numbers as two's complement; a buffer's length */
    uint8_t data[BOARD_MSG_BYTES_MAX]; /* the buffer field */
    uint8_t data_bytes;
    struct host_ns sent;     /* when the command it answers left; 0: unknown */
    struct host_ns received; /* when its first byte arrived */
};
/* A field by name; CHECKs that the format has it. */
uint32_t board_reply_u32(const struct board_reply *reply, const char *field);
int32_t board_reply_i32(const struct board_reply *reply, const char *field);

/* ---- configuration (between board_connect and board_configure) ---- */

unsigned board_oid(struct board *board); /* the next free object id, 0.. */

enum board_config_list {
    BOARD_CONFIG, /* once per boot of the board; part of the CRC */
    BOARD_INIT,   /* at each start, last */
    BOARD_RESTART /* only when the board kept its configuration, before BOARD_INIT */
};
/* Append a command in text form: "config_endstop oid=%u pin=%s pull_up=%d". Fields whose name ends in an enumeration's
 * take its names. Errors (unknown message, unknown pin) arise in board_configure and name the line. */
void board_config(struct board *board, enum board_config_list list, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* `fn` runs in board_configure, right before the handshake, with the clock known: for commands that carry a clock. It
 * may append to all three lists. Callbacks run in registration order; all of them run again, on the lists as they were
 * before, if the board had to be restarted. */
typedef void board_config_fn(void *ctx, struct board *board);
void board_config_callback(struct board *board, board_config_fn *fn, void *ctx);

/* Move items that timed outputs keep for themselves; the rest is for steppers. */
void board_reserve_slots(struct board *board, unsigned count);

/* Compare configurations with the board, restart it once if they differ, send what is needed. [fiber]
 *   allow_restart  false: a difference is an error ("MCU 'x' CRC does not match config") */
enum err board_configure(struct board *board, bool allow_restart, struct err_info *info) ERR_NODISCARD;
unsigned board_step_slots(const struct board *board); /* move items left for steppers, after board_configure */
uint32_t board_config_crc(const struct board *board);
/* A start time for periodic queries that spreads the load: est. print time + about 1.5 s + oid * 10 ms. */
struct mcu_ticks board_query_slot(const struct board *board, unsigned oid);

/* Reset the board's firmware by its restart method; its session ends. Afterwards only boards_destroy, or board_connect
 * again. [fiber] */
enum err board_firmware_restart(struct board *board, struct err_info *info) ERR_NODISCARD;
enum board_restart_method board_restart_method(const struct board *board); /* resolved after board_connect */

/* ---- sending ---- */

#define BOARD_REQ_BACKGROUND 0x7fffffff00000000ULL /* req_clock: whenever the wire is idle */

/* A FIFO of commands to one board, written by one thread. Commands of different lanes overtake each other by req_clock;
 * one lane keeps its order. Create before board_configure returns.
 *   producer        notified when a lane that refused has room again; NULL: nobody
 *   capacity_bytes  a command takes 32 bytes plus its length, rounded up to 8 */
struct board_lane *board_lane_create(struct board *board, struct actor *producer, size_t capacity_bytes);
struct board *board_lane_board(const struct board_lane *lane);

struct board_timing {
    uint64_t min_clock;  /* not on the wire before this clock of the board; 0: no limit */
    uint64_t req_clock;  /* priority and deadline: when the board needs it; 0: at once */
    uint64_t slot_until; /* not 0: the command takes a move item of the board and frees it at this clock. The link holds
                            it back while all of board_step_slots are taken */
};
/* Append. The lane's thread. ERR_FULL: not stored, try again when notified. A board that is shut down or lost accepts
 * and discards. Call boards_wake after a batch. A file board in a virtual runtime is never full: it is written in
 * place. */
enum err board_lane_push(struct board_lane *lane, const struct board_msg *msg,
                         struct board_timing timing) ERR_NODISCARD;
size_t board_lane_room(const struct board_lane *lane); /* commands of the largest size that are sure to fit */
void boards_wake(struct boards *boards);               /* any thread */

/* Machine thread: encode and push to the board's general lane, wake the link. ERR_FULL when that is full. */
enum err board_send(struct board *board, const struct board_format *format, const int64_t *args, size_t arg_count,
                    struct board_timing timing) ERR_NODISCARD;
enum err board_send_data(struct board *board, const struct board_format *format, const int64_t *args, size_t arg_count,
                         const void *data, size_t data_bytes, struct board_timing timing) ERR_NODISCARD;
/* As board_send_data, then wait until the board has acknowledged it. [fiber] */
enum err board_send_wait(struct board *board, const struct board_format *format, const int64_t *args, size_t arg_count,
                         const void *data, size_t data_bytes, struct board_timing timing,
                         struct err_info *info) ERR_NODISCARD;

/* Ask and wait for the answer: `response` with this `oid` (-1: any; else its first field "oid" must match). Resent
 * after 10, 20, 40, 80, 160 ms, then ERR_TIMEOUT "Unable to obtain 'X' response". [fiber] */
enum err board_query(struct board *board, const struct board_format *format, const int64_t *args, size_t arg_count,
                     const void *data, size_t data_bytes, struct board_timing timing,
                     const struct board_format *response, int oid, struct board_reply *reply,
                     struct err_info *info) ERR_NODISCARD;
/* The variant for answers that take their time (tmcuart, long transfers): resent each 0.5 s, ERR_TIMEOUT after 5 s, and
 * only answers to what was sent after the call count. [fiber] */
enum err board_query_slow(struct board *board, const struct board_format *format, const int64_t *args, size_t arg_count,
                          const void *data, size_t data_bytes, struct board_timing timing,
                          const struct board_format *response, int oid, struct board_reply *reply,
                          struct err_info *info) ERR_NODISCARD;

/* ---- receiving ---- */

/* Where responses and events of the boards are delivered to one thread. The machine's own port is port NULL in the
 * calls below, polled by boards_poll; the engine makes another for the motion thread (before board_configure). */
struct board_port *board_port_create(struct boards *boards, struct actor *owner);
void board_port_poll(struct board_port *port, struct host_ns now); /* the owner's thread */

/* Call `fn` on the port's thread for each `response` with this oid (-1: any). Responses that an overloaded thread does
 * not fetch in time are dropped and counted (board_stats.responses_dropped). Register before board_configure. One
 * handler per (response, oid): a second one replaces it. */
typedef void board_reply_fn(void *ctx, const struct board_reply *reply);
void board_on_reply(struct board *board, struct board_port *port, const struct board_format *response, int oid,
                    board_reply_fn *fn, void *ctx);

/* A query for threads without fibers: the answer comes to `fn` on the port's thread (result OK, ERR_TIMEOUT,
 * ERR_CLOSED, ERR_SHUTDOWN; reply NULL unless OK). Retries as board_query. The port's thread. ERR_FULL: too many are
 * open. */
typedef void board_answer_fn(void *ctx, enum err result, const struct board_reply *reply);
enum err board_ask(struct board *board, struct board_port *port, const struct board_msg *msg,
                   struct board_timing timing, const struct board_format *response, int oid, board_answer_fn *fn,
                   void *ctx) ERR_NODISCARD;

/* What happened to a board. The first fault of a board is reported once; it stays so until it is reconnected. */
enum board_event_kind {
    BOARD_EVENT_SHUTDOWN, /* the board stopped itself or was stopped */
    BOARD_EVENT_LOST,     /* it does not answer any more, or its device is gone */
    BOARD_EVENT_RESTARTED /* it rebooted by itself; its configuration is gone */
};
struct board_event {
    enum board_event_kind kind;
    struct board *board;
    struct host_ns when;    /* lost: since when it is silent */
    struct mcu_ticks clock; /* shutdown: the board's clock at that instant */
    char reason[128];       /* "Timer too close" */
    char text[256];         /* "MCU 'mcu' shutdown: Timer too close", "Lost communication with MCU 'mcu'",
                               "MCU 'mcu' spontaneous restart" */
};
/* Every event goes to every port that has a listener. Register before board_connect. */
typedef void board_event_fn(void *ctx, const struct board_event *event);
void board_on_event(struct boards *boards, struct board_port *port, board_event_fn *fn, void *ctx);

bool board_is_shutdown(const struct board *board); /* any thread */
bool board_is_lost(const struct board *board);     /* any thread */
/* Leave the shutdown state without losing the configuration (clear_shutdown). [fiber] */
enum err board_clear_shutdown(struct board *board, struct err_info *info) ERR_NODISCARD;

/* ---- time (any thread unless said) ---- */

/* This board's clock at a print time: ticks = (print_time - offset_s) * freq_hz. Changes once a second for boards that
 * are not the main one; continuous at the time up to which steps were generated. */
struct board_time {
    double offset_s, freq_hz;
};
struct board_time board_time_map(const struct board *board);
struct mcu_ticks board_ticks_at(const struct board *board, struct print_time time); /* rounded towards zero; >= 0 */
struct print_time board_print_time(const struct board *board, struct mcu_ticks ticks);
/* 32 bits of a clock from a response, extended by the nearest to the latest known clock. */
struct mcu_ticks board_ticks_extend(const struct board *board, uint32_t ticks32);
struct mcu_ticks board_ticks_now(const struct board *board, struct host_ns now); /* estimate */
/* The print time that the main board's clock shows at `now`. Never goes back. */
struct print_time boards_est_print_time(const struct boards *boards, struct host_ns now);
/* The motion thread, before each batch of steps (the machine thread while there is no engine): tell up to which print
 * time steps exist, and let the secondary boards' mapping follow their clocks (acts once a second). */
void boards_calibrate(struct boards *boards, struct host_ns now, struct print_time generated_until);

/* ---- statistics (any thread) ---- */

struct board_stats {
    uint64_t bytes_write, bytes_read, bytes_retransmit, bytes_invalid;
    uint64_t send_seq, receive_seq, retransmit_seq;
    double srtt_s, rttvar_s, rto_s;
    uint32_t ready_bytes, upcoming_bytes;
    double freq_hz;                                  /* estimated */
    double mcu_awake, mcu_task_avg, mcu_task_stddev; /* from the board's stats message [s per s, s, s] */
    uint64_t blocks_late;                            /* left the host after the req_clock of a command in them */
    double lateness_max_s;
    uint64_t responses_dropped;
    uint64_t faults_injected;
};
struct board_stats board_stats(const struct board *board);

#endif
