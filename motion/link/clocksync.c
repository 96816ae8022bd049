/* The fit starts with a belief: that the board runs at its nominal frequency, worth as much as samples spread over
 * PRIOR_SPAN_S. Without it, the jitter of the first few answers, a millisecond apart in time, would be read as a wild
 * frequency; with it, a start can ask its questions in quick succession. The belief fades like any sample. */
#include "motion/link/clocksync.h"

#include <math.h>

#define DECAY           (1. / 30.)
#define PRIOR_SPAN_S    0.5
#define OUTLIER_FREE    8 /* samples at the start that are never outliers */
#define RTT_AGE_S_PER_S (0.000010 / 3600.)
#define RTT_UNKNOWN_S   999999999.
#define SAFE_DELAY_S    0.001
#define MINIMUM_HOLD_S  10.

void clocksync_init(struct clocksync *cs, double nominal_hz)
{
    *cs = (struct clocksync){.nominal_hz = nominal_hz, .freq_hz = nominal_hz, .half_rtt_s = RTT_UNKNOWN_S};
}

void clocksync_start(struct clocksync *cs, struct host_ns sent, uint64_t clock)
{
    double nominal_hz = cs->nominal_hz;
    clocksync_init(cs, nominal_hz);
    cs->is_known = true;
    cs->last_clock = clock;
    cs->origin = sent;
    cs->origin_clock = (double)clock;
    cs->time_var = PRIOR_SPAN_S * PRIOR_SPAN_S;
    cs->clock_cov = cs->time_var * nominal_hz;
    cs->prediction_var = (nominal_hz * .001) * (nominal_hz * .001);
    cs->last_good = sent;
    cs->half_rtt_at = sent;
}

/* The 64-bit clock nearest to `near` that ends in these 32 bits. */
static uint64_t extend(uint64_t near, uint32_t clock32)
{
    int64_t delta = (int32_t)(clock32 - (uint32_t)near);
    if (delta < 0 && (uint64_t)-delta > near)
        return clock32;
    return near + (uint64_t)delta;
}

uint64_t clocksync_extend(const struct clocksync *cs, uint32_t clock32)
{
    return extend(cs->last_clock, clock32);
}

/* The round trip bounds how late the board read its clock after we asked. Aged, because links slow down. */
static void update_half_rtt(struct clocksync *cs, struct host_ns sent, struct host_ns received)
{
    double half_rtt_s = .5 * host_ns_diff_s(received, sent);
    double aged_s = cs->half_rtt_s + host_ns_diff_s(sent, cs->half_rtt_at) * RTT_AGE_S_PER_S;
    if (half_rtt_s < aged_s) {
        cs->half_rtt_s = half_rtt_s;
        cs->half_rtt_at = sent;
    }
}

/* Should the sample be left out? Late answers make a clock look ahead; those are ignored for a while, before they are
 * believed and the tolerance is opened. */
static bool is_outlier(struct clocksync *cs, double error, struct host_ns sent)
{
    double limit = .0005 * cs->nominal_hz;
    double square = error * error;
    if (cs->sample_count > OUTLIER_FREE && square > 25. * cs->prediction_var && square > limit * limit) {
        if (error > 0. && host_ns_diff_s(sent, cs->last_good) < MINIMUM_HOLD_S)
            return true;
        cs->prediction_var = (.001 * cs->nominal_hz) * (.001 * cs->nominal_hz);
    } else {
        cs->last_good = sent;
        cs->prediction_var = (1. - DECAY) * (cs->prediction_var + square * DECAY);
    }
    return false;
}

static struct clock_line line_at(const struct clocksync *cs, double delay_s, double clock_offset)
{
    return (struct clock_line){.time = host_ns_add_s(cs->origin, cs->time_avg_s + delay_s),
                               .clock = cs->origin_clock + cs->clock_avg + clock_offset,
                               .freq_hz = cs->freq_hz};
}

void clocksync_sample(struct clocksync *cs, struct host_ns sent, struct host_ns received, uint32_t clock32)
{
    /* Nearest to what we expect rather than to the latest: right after seconds of silence on a fast board, and also
     * when answers have changed places on the way. */
    struct clock_line line = line_at(cs, 0., 0.);
    uint64_t clock = extend(clock_line_at(&line, received), clock32);
    cs->last_clock = clock > cs->last_clock ? clock : cs->last_clock;
    if (sent.ns == 0)
        return;
    update_half_rtt(cs, sent, received);
    double t = host_ns_diff_s(sent, cs->origin), c = (double)clock - cs->origin_clock;
    double dt = t - cs->time_avg_s;
    cs->sample_count++;
    if (is_outlier(cs, c - (cs->clock_avg + dt * cs->freq_hz), sent))
        return;
    cs->time_avg_s += DECAY * dt;
    cs->time_var = (1. - DECAY) * (cs->time_var + DECAY * dt * dt);
    double dc = c - cs->clock_avg;
    cs->clock_avg += DECAY * dc;
    cs->clock_cov = (1. - DECAY) * (cs->clock_cov + DECAY * dt * dc);
    cs->freq_hz = cs->clock_cov / cs->time_var;
}

struct clock_line clocksync_line(const struct clocksync *cs)
{
    return line_at(cs, cs->half_rtt_s >= RTT_UNKNOWN_S ? 0. : cs->half_rtt_s, 0.);
}

struct clock_line clocksync_safe_line(const struct clocksync *cs)
{
    return line_at(cs, SAFE_DELAY_S, -3. * sqrt(cs->prediction_var));
}

uint64_t clock_line_at(const struct clock_line *line, struct host_ns time)
{
    double clock = line->clock + host_ns_diff_s(time, line->time) * line->freq_hz;
    return clock > 0. ? (uint64_t)clock : 0;
}

struct host_ns clock_line_time(const struct clock_line *line, uint64_t clock)
{
    double delta_s = ((double)clock - line->clock) / line->freq_hz;
    return delta_s > 9e9 ? HOST_NS_NEVER : host_ns_add_s(line->time, delta_s);
}
