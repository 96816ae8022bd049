/* What the host knows of one board's clock: a straight line through (time a question left, clock in the answer), fitted
 * with exponential forgetting. The link's thread; docs/protocol.md section 8. */
#ifndef MOTION_LINK_CLOCKSYNC_H
#define MOTION_LINK_CLOCKSYNC_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

/* clock(t) = clock + (t - time) * freq_hz */
struct clock_line {
    struct host_ns time;
    double clock;
    double freq_hz;
};

struct clocksync {
    double nominal_hz;
    bool is_known;
    uint64_t last_clock; /* the latest clock seen, 64 bits */
    double origin_clock; /* of the averages below, so that doubles keep their precision */
    struct host_ns origin;
    double time_avg_s, time_var, clock_avg, clock_cov; /* relative to the origin */
    double freq_hz, prediction_var;
    double half_rtt_s; /* smallest seen, aged */
    struct host_ns half_rtt_at, last_good;
    unsigned sample_count;
};

void clocksync_init(struct clocksync *cs, double nominal_hz);
/* The first answer, to get_uptime. */
void clocksync_start(struct clocksync *cs, struct host_ns sent, uint64_t clock);
/* A later answer, to get_clock. `sent` 0: unknown, used to extend the clock only. */
void clocksync_sample(struct clocksync *cs, struct host_ns sent, struct host_ns received, uint32_t clock32);
/* 64 bits for a clock that is less than 2^31 ticks from the latest. */
uint64_t clocksync_extend(const struct clocksync *cs, uint32_t clock32);

/* The board's clock as it is, best estimate. */
struct clock_line clocksync_line(const struct clocksync *cs);
/* A line that the board's clock is hardly ever behind: for deciding that a command may be sent. */
struct clock_line clocksync_safe_line(const struct clocksync *cs);

uint64_t clock_line_at(const struct clock_line *line, struct host_ns time); /* >= 0 */
struct host_ns clock_line_time(const struct clock_line *line, uint64_t clock);

#endif
