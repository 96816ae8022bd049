/* Keeping up with a board's clock, and noticing that it has gone silent. */
#include "motion/link/link_impl.h"

#include "base/check.h"
#include "base/log.h"

#define BURST_COUNT       8 /* answers before the clock counts as known */
#define BURST_INTERVAL_S  0.005
#define SETTLE_COUNT      12 /* then quicker than usual for a while, for a good frequency soon */
#define SETTLE_INTERVAL_S 0.1
#define CLOCK_INTERVAL_S  0.9839 /* not a divisor of what boards do by themselves */
#define UPTIME_RETRY_S    0.05
#define UNANSWERED_MAX    4

void link_clock_start(struct link_board *b, const struct link_request *request, struct host_ns now)
{
    b->clock_port = request->port;
    b->clock_token = request->token;
    b->clock_unanswered = 0;
    b->last_heard = now;
    b->clock_at = now;
    clocksync_init(&b->clock, b->nominal_hz);
    if (b->transport && b->transport->is_file) {
        clocksync_start(&b->clock, now, 0);
        b->clock_state = LINK_CLOCK_OFF;
        link_answer(b->link, b->clock_port, b->clock_token, OK);
        return;
    }
    b->clock_state = LINK_CLOCK_UPTIME;
}

void link_clock_uptime(struct link_board *b, uint64_t clock, struct host_ns sent, struct host_ns received)
{
    b->last_heard = received;
    b->clock_unanswered = 0;
    if (b->clock_state != LINK_CLOCK_UPTIME)
        return;
    clocksync_start(&b->clock, sent.ns ? sent : received, clock);
    b->clock_state = LINK_CLOCK_BURST;
    b->clock_burst_left = BURST_COUNT;
    b->clock_at = b->now;
}

void link_clock_answer(struct link_board *b, uint32_t clock32, struct host_ns sent, struct host_ns received)
{
    b->last_heard = received;
    b->clock_unanswered = 0;
    if (!b->clock.is_known)
        return;
    clocksync_sample(&b->clock, sent, received, clock32);
    if (b->clock_state != LINK_CLOCK_BURST || sent.ns == 0 || --b->clock_burst_left > 0)
        return;
    b->clock_state = LINK_CLOCK_STEADY;
    b->clock_burst_left = SETTLE_COUNT;
    link_answer(b->link, b->clock_port, b->clock_token, OK);
    b->clock_token = LINK_TOKEN_NONE;
}

static double interval_s(struct link_board *b)
{
    switch (b->clock_state) {
    case LINK_CLOCK_UPTIME:
        return UPTIME_RETRY_S;
    case LINK_CLOCK_BURST:
        return BURST_INTERVAL_S;
    case LINK_CLOCK_STEADY:
    case LINK_CLOCK_OFF:
        break;
    }
    if (b->clock_burst_left > 0) {
        b->clock_burst_left--;
        return SETTLE_INTERVAL_S;
    }
    return CLOCK_INTERVAL_S;
}

struct host_ns link_clock_step(struct link_board *b, struct host_ns now)
{
    if (b->clock_state == LINK_CLOCK_OFF || link_board_is_gone(b))
        return HOST_NS_NEVER;
    if (host_ns_before(now, b->clock_at))
        return b->clock_at;
    /* Quick questions of the start may pile up behind a slow answer; only whole intervals of silence count. */
    double silent_s = host_ns_diff_s(now, b->last_heard);
    if (b->clock_unanswered > UNANSWERED_MAX && silent_s > UNANSWERED_MAX * CLOCK_INTERVAL_S) {
        log_warn(b->link->log, "link", "board does not answer", "board=%u silent_s=%.3f", b->index, silent_s);
        link_board_fault(b, LINK_FAULT_LOST, 0, 0, b->last_heard);
        return HOST_NS_NEVER;
    }
    const struct board_format *question =
        b->clock_state == LINK_CLOCK_UPTIME ? b->words.get_uptime : b->words.get_clock;
    if (link_board_push_args(b, question, NULL, 0))
        b->clock_unanswered++;
    b->clock_at = host_ns_add_s(now, interval_s(b));
    return b->clock_at;
}
