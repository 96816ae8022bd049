/* What leaves for one board, and when. */
#include "motion/link/link_impl.h"

#include "base/check.h"
#include "base/log.h"

#include <string.h>

#define BACKGROUND_IDLE_S 0.005 /* background commands leave when the wire has been idle this long */
#define WAIT_MIN_NS       20000 /* rounding never makes the link spin */

/* Hand waiting bytes to the transport; false while it has not taken all. */
static bool flush_tx(struct link_board *b, struct host_ns now)
{
    while (b->tx_bytes > 0) {
        size_t n = b->transport->ops->write(b->transport, b->tx + b->tx_first, b->tx_bytes, now);
        if (n == TRANSPORT_CLOSED) {
            log_warn(b->link->log, "link", "writing failed", "board=%u", b->index);
            link_board_fault(b, LINK_FAULT_LOST, 0, 0, now);
            b->tx_bytes = 0;
            return false;
        }
        if (n == 0)
            return false;
        b->tx_first += n;
        b->tx_bytes -= n;
    }
    b->tx_first = 0;
    return true;
}

static void write_bytes(struct link_board *b, const uint8_t *data, size_t len_bytes, struct host_ns now)
{
    if (b->tx_first + b->tx_bytes + len_bytes > sizeof(b->tx)) {
        memmove(b->tx, b->tx + b->tx_first, b->tx_bytes);
        b->tx_first = 0;
    }
    CHECK(b->tx_bytes + len_bytes <= sizeof(b->tx));
    memcpy(b->tx + b->tx_first + b->tx_bytes, data, len_bytes);
    b->tx_bytes += len_bytes;
    flush_tx(b, now);
}

/* Everything unacknowledged again, instead of whatever the transport still holds. */
static void resend(struct link_board *b, struct host_ns now)
{
    uint8_t bytes[SESSION_RESEND_BYTES_MAX];
    size_t len = session_take_resend(&b->session, now, bytes);
    if (b->transport->ops->flush)
        b->transport->ops->flush(b->transport);
    b->tx_first = b->tx_bytes = 0;
    write_bytes(b, bytes, len, now);
}

/* In front of everything else, window or not. */
static void send_stop(struct link_board *b, struct host_ns now)
{
    if (!session_can_send(&b->session, true))
        return; /* at most a round trip: an acknowledgement makes room */
    const uint8_t *frame;
    size_t frame_bytes;
    session_send(&b->session, b->words.emergency_stop->id_bytes, b->words.emergency_stop->id_len_bytes, now, &frame,
                 &frame_bytes);
    b->wants_stop = false;
    write_bytes(b, frame, frame_bytes, now);
}

static void note_lateness(struct link_board *b, const struct sendq_block *block, const struct clock_line *line,
                          struct host_ns now)
{
    if (block->first_req == UINT64_MAX)
        return;
    uint64_t clock = clock_line_at(line, now);
    double lead_s = ((double)block->first_req - (double)clock) / line->freq_hz;
    histogram_add(&b->link->lead, lead_s * 1e6);
    histogram_add(&b->link->late, (b->link->lead_s - lead_s) * 1e6);
    if (clock <= block->first_req)
        return;
    double late_s = -lead_s;
    b->blocks_late++;
    b->lateness_max_s = late_s > b->lateness_max_s ? late_s : b->lateness_max_s;
}

static void send_block(struct link_board *b, struct host_ns now)
{
    struct sendq_block block;
    const uint8_t *frame;
    size_t frame_bytes;
    sendq_fill(&b->sendq, &block);
    uint64_t seq = session_send(&b->session, block.payload, block.len_bytes, now, &frame, &frame_bytes);
    if (b->clock.is_known && !b->transport->is_file) {
        struct clock_line line = clocksync_line(&b->clock);
        note_lateness(b, &block, &line, now);
    }
    write_bytes(b, frame, frame_bytes, now);
    for (unsigned i = 0; i < block.tag_count; i++)
        link_query_sent(b, block.tags[i], seq);
}

/* Must a block leave now although it is not full? Else *at is when it must. */
static bool is_due(struct link_board *b, const struct clock_line *line, struct host_ns start, struct host_ns now,
                   struct host_ns *at)
{
    uint64_t first_req = sendq_first_req(&b->sendq);
    if (first_req == SENDQ_REQ_BACKGROUND) {
        *at = host_ns_add_s(b->session.idle, BACKGROUND_IDLE_S);
        return !host_ns_before(now, *at);
    }
    uint64_t lead = (uint64_t)(b->link->lead_s * line->freq_hz);
    uint64_t clock = clock_line_at(line, start);
    if (first_req <= clock + lead)
        return true;
    *at = host_ns_add_s(now, (double)(first_req - lead - clock) / line->freq_hz);
    return false;
}

/* File boards: no clock to wait for; only full blocks, until the end. */
static void send_to_file(struct link_board *b, struct host_ns now)
{
    sendq_advance(&b->sendq, UINT64_MAX);
    while (b->sendq.ready_bytes >= FRAME_PAYLOAD_MAX ||
           (b->sendq.ready_bytes > 0 && (b->is_draining || b->query_count > 0))) {
        send_block(b, now);
        session_assume_done(&b->session);
        if (b->early_count > 0) {
            actor_notify(&b->link->actor);
            break;
        }
    }
}

static struct host_ns send_to_board(struct link_board *b, struct host_ns now)
{
    struct host_ns at = HOST_NS_NEVER;
    struct clock_line line = clocksync_safe_line(&b->clock);
    double minimal_s = session_wire_s(&b->session, FRAME_MIN_BYTES);
    while (session_can_send(&b->session, false)) {
        struct host_ns start = host_ns_before(b->session.idle, now) ? now : b->session.idle;
        start = host_ns_add_s(start, minimal_s);
        sendq_advance(&b->sendq, b->clock.is_known ? clock_line_at(&line, start) : UINT64_MAX);
        if (b->sendq.ready_bytes == 0) {
            uint64_t clock = sendq_next_ready_clock(&b->sendq);
            at = clock == UINT64_MAX ? HOST_NS_NEVER : host_ns_add_s(clock_line_time(&line, clock), -minimal_s);
            break;
        }
        bool is_full = b->sendq.ready_bytes >= FRAME_PAYLOAD_MAX;
        if (b->clock.is_known && !is_full && !b->is_draining && !is_due(b, &line, start, now, &at)) {
            uint64_t clock = sendq_next_ready_clock(&b->sendq);
            if (clock != UINT64_MAX)
                at = host_ns_min(at, host_ns_add_s(clock_line_time(&line, clock), -minimal_s));
            break;
        }
        send_block(b, now);
        if (b->tx_bytes > 0 || b->fault == LINK_FAULT_LOST)
            break; /* the transport wakes us */
        if (b->early_count > 0) {
            actor_notify(&b->link->actor); /* first hear who has asked */
            break;
        }
    }
    if (at.ns != INT64_MAX && at.ns < now.ns + WAIT_MIN_NS)
        at.ns = now.ns + WAIT_MIN_NS;
    return at;
}

struct host_ns link_send(struct link_board *b, struct host_ns now)
{
    if (link_board_is_gone(b))
        return HOST_NS_NEVER;
    if (b->transport->is_file) {
        send_to_file(b, now);
        return flush_tx(b, now) ? HOST_NS_NEVER : host_ns_add_s(now, .001);
    }
    if (session_resend_due(&b->session, now))
        resend(b, now);
    if (b->wants_stop && b->words.emergency_stop)
        send_stop(b, now);
    struct host_ns at = HOST_NS_NEVER;
    if (flush_tx(b, now))
        at = send_to_board(b, now);
    else
        at = host_ns_add_s(now, .002); /* transports that cannot tell when there is room again */
    return host_ns_min(at, session_deadline(&b->session));
}
