/* The window and the round-trip estimate follow TCP (RFC 6298) with three differences that the wire asks for: the first
 * sample is taken ten times, because the first exchanges wait for a starting board, and a nak is honoured only twice
 * per retransmission, because each block of a window that arrives after a damaged one is nak'ed too. And a wire of our
 * own has no congestion to avoid: the first timeouts in a row do not lengthen the wait, since a board that misses
 * three blocks in a row must still have its steps before their time; more of them mean that the board has become
 * slower than the estimate, and then the wait doubles until there is a new sample. */
#include "motion/link/session.h"

#include "base/check.h"

#include <math.h>
#include <string.h>

#define RTO_MIN_S               0.025
#define RTO_MAX_S               5.0
#define TIMEOUTS_BEFORE_BACKOFF 3

void session_init(struct session *s, session_reply_fn *on_reply, session_stray_fn *on_stray, void *ctx)
{
    *s = (struct session){.on_reply = on_reply,
                          .on_stray = on_stray,
                          .ctx = ctx,
                          .send_seq = 1,
                          .receive_seq = 1,
                          .is_adopting = true,
                          .rto_s = RTO_MIN_S,
                          .resend_at = HOST_NS_NEVER,
                          .done_reply_seq = 1};
}

void session_set_wire(struct session *s, const struct session_wire *wire)
{
    s->wire = *wire;
}

double session_wire_s(const struct session *s, size_t len_bytes)
{
    if (s->wire.can_freq_hz > 0.) {
        size_t frames = (len_bytes + 7) / 8;
        return ((double)(len_bytes * 8 + frames * 47) - 4.) / s->wire.can_freq_hz;
    }
    return (double)len_bytes * s->wire.byte_s;
}

static struct session_block *block_at(struct session *s, unsigned index)
{
    return &s->sent[(s->sent_first + index) % ARRAY_COUNT(s->sent)];
}

bool session_can_send(const struct session *s, bool is_urgent)
{
    if (is_urgent)
        return s->sent_count < SESSION_WINDOW_URGENT;
    if (s->sent_count >= SESSION_WINDOW || s->must_resend)
        return false;
    if (s->wire.receive_window == 0 || s->sent_count == 0)
        return true;
    uint32_t used = s->need_ack_bytes + FRAME_MAX_BYTES;
    if (s->last_ack_seq < s->receive_seq)
        used += s->last_ack_bytes;
    return used <= s->wire.receive_window;
}

static struct host_ns occupy_wire(struct session *s, struct host_ns now, size_t len_bytes)
{
    struct host_ns start = host_ns_before(s->idle, now) ? now : s->idle;
    s->idle = host_ns_add_s(start, session_wire_s(s, len_bytes));
    return s->idle;
}

uint64_t session_send(struct session *s, const uint8_t *payload, size_t len_bytes, struct host_ns now,
                      const uint8_t **frame, size_t *frame_bytes)
{
    CHECK(session_can_send(s, true) && len_bytes <= FRAME_PAYLOAD_MAX);
    struct session_block *block = block_at(s, s->sent_count);
    block->seq = s->send_seq;
    block->len_bytes = (uint8_t)frame_build(block->data, (unsigned)(s->send_seq & FRAME_SEQ_MASK), payload, len_bytes);
    block->sent = occupy_wire(s, now, block->len_bytes);
    if (s->sent_count++ == 0)
        s->resend_at = host_ns_add_s(block->sent, s->rto_s);
    if (s->rtt_seq == 0) {
        s->rtt_seq = s->send_seq;
        s->rtt_start = block->sent;
    }
    s->send_seq++;
    s->need_ack_bytes += block->len_bytes;
    s->bytes_write += block->len_bytes;
    *frame = block->data;
    *frame_bytes = block->len_bytes;
    return block->seq;
}

static void update_rtt(struct session *s, double delta_s)
{
    if (delta_s < 0.)
        delta_s = 0.;
    if (s->srtt_s <= 0.) {
        s->rttvar_s = delta_s / 2.;
        s->srtt_s = delta_s * 10.;
    } else {
        s->rttvar_s = (3. * s->rttvar_s + fabs(s->srtt_s - delta_s)) / 4.;
        s->srtt_s = (7. * s->srtt_s + delta_s) / 8.;
    }
    s->timeout_count = 0;
    double margin_s = s->rttvar_s * 4. < 0.001 ? 0.001 : s->rttvar_s * 4.;
    double rto_s = s->srtt_s + margin_s;
    s->rto_s = rto_s < RTO_MIN_S ? RTO_MIN_S : rto_s > RTO_MAX_S ? RTO_MAX_S : rto_s;
}

/* The board expects `rseq` next: everything before it is acknowledged. */
static void acknowledge(struct session *s, uint64_t rseq, struct host_ns now)
{
    struct host_ns reply_sent = {0};
    while (s->sent_count > 0 && block_at(s, 0)->seq < rseq) {
        const struct session_block *block = block_at(s, 0);
        if (block->seq + 1 == rseq) {
            reply_sent = rseq > s->retransmit_seq ? block->sent : (struct host_ns){0};
            s->last_ack_bytes = block->len_bytes;
        }
        s->need_ack_bytes -= block->len_bytes;
        s->sent_first = (s->sent_first + 1) % ARRAY_COUNT(s->sent);
        s->sent_count--;
    }
    if (rseq > s->send_seq) {
        /* First contact: the board counts from elsewhere. What was sent so far is lost. */
        s->send_seq = rseq;
        s->last_ack_seq = rseq;
        s->rtt_seq = 0;
    } else if (s->rtt_seq != 0 && rseq > s->rtt_seq) {
        update_rtt(s, host_ns_diff_s(now, s->rtt_start));
        s->rtt_seq = 0;
    }
    s->receive_seq = rseq;
    s->must_resend = false; /* a nak read just before was for a block that has arrived after all */
    s->last_reply_sent = reply_sent;
    s->is_adopting = false;
    if (s->sent_count == 0)
        s->resend_at = HOST_NS_NEVER;
    else
        s->resend_at = host_ns_add_s(now, s->rto_s + session_wire_s(s, block_at(s, 0)->len_bytes));
}

static void handle_block(struct session *s, const uint8_t *block, size_t len_bytes, struct host_ns now)
{
    uint64_t delta = (block[1] - s->receive_seq) & FRAME_SEQ_MASK;
    uint64_t rseq = s->receive_seq + delta;
    if (rseq > s->send_seq && !s->is_adopting) {
        s->bytes_invalid += len_bytes;
        if (len_bytes > FRAME_MIN_BYTES)
            s->on_stray(s->ctx, block + FRAME_HEADER_BYTES, len_bytes - FRAME_MIN_BYTES);
        return;
    }
    s->bytes_read += len_bytes;
    if (rseq != s->receive_seq)
        acknowledge(s, rseq, now);
    if (len_bytes == FRAME_MIN_BYTES) {
        if (rseq > s->last_ack_seq)
            s->last_ack_seq = rseq;
        else if (rseq > s->ignore_nak_seq && s->sent_count > 0)
            s->must_resend = true;
        if (rseq > s->done_reply_seq)
            s->done_reply_seq = rseq;
        return;
    }
    /* The block that caused a response may hold more commands, whose responses come later. */
    if (rseq > s->done_reply_seq + 1)
        s->done_reply_seq = rseq - 1;
    struct host_ns received = host_ns_add_s(now, -session_wire_s(s, len_bytes));
    s->reply_seq = rseq;
    s->on_reply(s->ctx, block + FRAME_HEADER_BYTES, len_bytes - FRAME_MIN_BYTES, s->last_reply_sent, received);
}

/* Consume one block or a stretch of damage from the start of the input. Returns the bytes used, 0 if more are needed.
 */
static size_t consume(struct session *s, struct host_ns now, const uint8_t *data, size_t len_bytes)
{
    if (s->is_skipping) {
        const uint8_t *sync = memchr(data, FRAME_SYNC, len_bytes);
        size_t used = sync ? (size_t)(sync - data) + 1 : len_bytes;
        s->is_skipping = !sync;
        s->bytes_invalid += used;
        return used;
    }
    if (len_bytes > 0 && data[0] == FRAME_SYNC)
        return 1;
    size_t block_bytes;
    switch (frame_check(data, len_bytes, &block_bytes)) {
    case FRAME_GOOD:
        handle_block(s, data, block_bytes, now);
        return block_bytes;
    case FRAME_BAD:
        s->is_skipping = true;
        return consume(s, now, data, len_bytes);
    case FRAME_NEED_MORE:
        break;
    }
    return 0;
}

void session_receive(struct session *s, const uint8_t *data, size_t len_bytes, struct host_ns now)
{
    while (len_bytes > 0) {
        size_t room = sizeof(s->input) - s->input_bytes;
        size_t take = len_bytes < room ? len_bytes : room;
        memcpy(s->input + s->input_bytes, data, take);
        s->input_bytes += take;
        data += take;
        len_bytes -= take;
        size_t used = 0, step;
        while (used < s->input_bytes && (step = consume(s, now, s->input + used, s->input_bytes - used)) > 0)
            used += step;
        memmove(s->input, s->input + used, s->input_bytes - used);
        s->input_bytes -= used;
    }
}

bool session_resend_due(const struct session *s, struct host_ns now)
{
    return s->sent_count > 0 && (s->must_resend || !host_ns_before(now, s->resend_at));
}

size_t session_take_resend(struct session *s, struct host_ns now, uint8_t out[SESSION_RESEND_BYTES_MAX])
{
    size_t len = 0;
    out[len++] = FRAME_SYNC;
    for (unsigned i = 0; i < s->sent_count; i++) {
        const struct session_block *block = block_at(s, i);
        memcpy(out + len, block->data, block->len_bytes);
        len += block->len_bytes;
    }
    s->idle = now; /* whatever was still on its way out is flushed */
    struct host_ns done = occupy_wire(s, now, len);
    for (unsigned i = 0; i < s->sent_count; i++)
        block_at(s, i)->sent = done;
    if (s->must_resend) {
        s->ignore_nak_seq = s->receive_seq < s->retransmit_seq ? s->retransmit_seq : s->receive_seq;
    } else {
        if (++s->timeout_count >= TIMEOUTS_BEFORE_BACKOFF)
            s->rto_s = s->rto_s * 2. > RTO_MAX_S ? RTO_MAX_S : s->rto_s * 2.;
        s->ignore_nak_seq = s->send_seq;
    }
    s->must_resend = false;
    s->retransmit_seq = s->send_seq;
    s->rtt_seq = 0;
    s->resend_at = host_ns_add_s(now, s->rto_s + session_wire_s(s, block_at(s, 0)->len_bytes + 1u));
    s->bytes_retransmit += len;
    return len;
}

struct host_ns session_deadline(const struct session *s)
{
    if (s->sent_count == 0)
        return HOST_NS_NEVER;
    return s->must_resend ? (struct host_ns){0} : s->resend_at;
}

uint64_t session_done_seq(const struct session *s)
{
    return s->done_reply_seq;
}

void session_assume_done(struct session *s)
{
    s->sent_count = 0;
    s->need_ack_bytes = 0;
    s->receive_seq = s->done_reply_seq = s->send_seq;
    s->resend_at = HOST_NS_NEVER;
    s->rtt_seq = 0;
}

bool session_is_quiet(const struct session *s)
{
    return s->sent_count == 0;
}
