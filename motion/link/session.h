/* The conversation with one board: sequence numbers, acknowledgements, retransmission and the flow of blocks.
 * No I/O and no clock of its own: the link feeds it bytes and the time, and sends what it hands out. One thread.
 * Rules: docs/protocol.md section 3. */
#ifndef MOTION_LINK_SESSION_H
#define MOTION_LINK_SESSION_H

#include "base/clock.h"
#include "firmware/proto/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_WINDOW           12 /* unacknowledged blocks in normal use */
#define SESSION_WINDOW_URGENT    15 /* with emergency stops; 16 could not be told from 0 */
#define SESSION_RESEND_BYTES_MAX (1 + SESSION_WINDOW_URGENT * FRAME_MAX_BYTES)

/* How long bytes take on the wire. */
struct session_wire {
    double byte_s;           /* serial: 10 bits / baud; 0: at once */
    double can_freq_hz;      /* > 0: CAN frames of 8 bytes instead */
    uint32_t receive_window; /* bytes the board can take before it acknowledges; 0: unknown */
};

/* A response from the board. `payload` is valid during the call. */
typedef void session_reply_fn(void *ctx, const uint8_t *payload, size_t len_bytes, struct host_ns sent,
                              struct host_ns received);

/* A good block whose sequence number makes no sense, so it is dropped: a board that has rebooted counts from 0 again.
 */
typedef void session_stray_fn(void *ctx, const uint8_t *payload, size_t len_bytes);

struct session_block {
    uint64_t seq;
    struct host_ns sent; /* when its last byte is expected to leave */
    uint8_t len_bytes;
    uint8_t data[FRAME_MAX_BYTES];
};

struct session {
    struct session_wire wire;
    session_reply_fn *on_reply;
    session_stray_fn *on_stray;
    void *ctx;
    /* transmit */
    uint64_t send_seq, receive_seq, last_ack_seq, ignore_nak_seq, retransmit_seq, rtt_seq;
    uint64_t done_reply_seq; /* blocks up to here were acked by later ones; see session_done_seq */
    struct session_block sent[16];
    unsigned sent_first, sent_count;
    uint32_t need_ack_bytes, last_ack_bytes;
    struct host_ns idle;      /* when the wire has nothing more to carry */
    struct host_ns resend_at; /* HOST_NS_NEVER: nothing to wait for */
    uint64_t reply_seq;       /* during on_reply: the board had taken all blocks below this when it answered */
    struct host_ns rtt_start, last_reply_sent;
    double srtt_s, rttvar_s, rto_s;
    unsigned timeout_count; /* since the last sample of the round trip */
    bool must_resend; /* nak'ed: session_take_resend at once */
    bool is_adopting; /* the board's number is not known yet */
    /* receive */
    uint8_t input[4 * FRAME_MAX_BYTES];
    size_t input_bytes;
    bool is_skipping; /* discard through the next sync byte */
    /* statistics */
    uint64_t bytes_write, bytes_read, bytes_retransmit, bytes_invalid;
};

void session_init(struct session *s, session_reply_fn *on_reply, session_stray_fn *on_stray, void *ctx);
void session_set_wire(struct session *s, const struct session_wire *wire);

/* Time a block of this length takes on the wire [s]. */
double session_wire_s(const struct session *s, size_t len_bytes);

/* May a block be sent now? `is_urgent`: emergency stop, which the window for others does not hold back. */
bool session_can_send(const struct session *s, bool is_urgent);
/* Put `payload` in the next block, keep it for retransmission; *frame points to its bytes, which must be sent next.
 * Returns its sequence number. CHECKs session_can_send(s, true). */
uint64_t session_send(struct session *s, const uint8_t *payload, size_t len_bytes, struct host_ns now,
                      const uint8_t **frame, size_t *frame_bytes);

/* Bytes from the board, read at `now`. Calls on_reply for each response. */
void session_receive(struct session *s, const uint8_t *data, size_t len_bytes, struct host_ns now);

/* Is a retransmission due (nak or timeout)? If so its bytes, to be sent instead of whatever waits in the output. */
bool session_resend_due(const struct session *s, struct host_ns now);
size_t session_take_resend(struct session *s, struct host_ns now, uint8_t out[SESSION_RESEND_BYTES_MAX]);
/* When session_resend_due becomes true by itself. */
struct host_ns session_deadline(const struct session *s);

/* Every block below this number has been carried out and its responses have been delivered. */
uint64_t session_done_seq(const struct session *s);
/* There is nobody to acknowledge (a file): take everything sent as done. */
void session_assume_done(struct session *s);
/* All that was sent is acknowledged. */
bool session_is_quiet(const struct session *s);

#endif
