/* The clock estimate against clocks that are known: drift, jitter, late answers, the 32-bit wrap. */
#include "test_files.h"

#include "base/rng.h"
#include "motion/link/clocksync.h"

#include <math.h>

struct board_clock {
    double hz, start;
};

static uint64_t clock_at(const struct board_clock *c, double t_s)
{
    return (uint64_t)(c->start + t_s * c->hz);
}

static struct host_ns at(double t_s)
{
    return (struct host_ns){(int64_t)((t_s + 1000.) * 1e9)};
}

struct link_delay {
    double base_s, jitter_s, spike_share, spike_s;
};

/* Ask at t: the board reads its clock a delay later, the answer takes another. */
static void sample(struct clocksync *cs, const struct board_clock *c, double t_s, const struct link_delay *d,
                   struct rng *rng)
{
    double there_s = d->base_s + rng_range(rng, 0., d->jitter_s), back_s = d->base_s + rng_range(rng, 0., d->jitter_s);
    if (rng_unit(rng) < d->spike_share)
        there_s += d->spike_s;
    clocksync_sample(cs, at(t_s), at(t_s + there_s + back_s), (uint32_t)clock_at(c, t_s + there_s));
}

static void follow(double nominal_hz, double ppm, const struct link_delay *d, uint64_t seed, double limit_s,
                   double freq_limit_ppm)
{
    struct rng rng;
    struct clocksync cs;
    rng_init(&rng, seed);
    struct board_clock c = {.hz = nominal_hz * (1. + ppm * 1e-6), .start = rng_range(&rng, 0., 4.2e9)};
    clocksync_init(&cs, nominal_hz);
    double t_s = 0.;
    clocksync_start(&cs, at(t_s), clock_at(&c, t_s + d->base_s));
    double worst_s = 0.;
    for (int i = 0; i < 300; i++) {
        t_s += i < 8 ? .010 : i < 20 ? .1 : .9839;
        sample(&cs, &c, t_s, d, &rng);
        if (i < 8)
            continue;
        struct clock_line line = clocksync_line(&cs);
        double ahead_s = t_s + rng_range(&rng, 0., 1.);
        double error_s = ((double)clock_line_at(&line, at(ahead_s)) - (c.start + ahead_s * c.hz)) / c.hz;
        worst_s = fmax(worst_s, fabs(error_s));
        /* There and back. */
        assert_true(fabs(host_ns_diff_s(clock_line_time(&line, clock_line_at(&line, at(ahead_s))), at(ahead_s))) <
                    1e-6);
        /* The safe line is not ahead of the board by more than the jitter. */
        struct clock_line safe = clocksync_safe_line(&cs);
        double ahead = ((double)clock_line_at(&safe, at(t_s)) - (c.start + t_s * c.hz)) / c.hz;
        if (ahead >= d->base_s + d->jitter_s)
            fail_msg("seed %llu: safe line %g s ahead at %g, pv %g f %g", (unsigned long long)seed, ahead, t_s,
                     sqrt(cs.prediction_var) / c.hz, cs.freq_hz / c.hz);
    }
    double freq_ppm = (cs.freq_hz / c.hz - 1.) * 1e6;
    if (worst_s > limit_s || fabs(freq_ppm) > freq_limit_ppm)
        fail_msg("seed %llu: worst %.1f us, frequency off by %.1f ppm", (unsigned long long)seed, worst_s * 1e6,
                 freq_ppm);
    assert_true(cs.last_clock <= clock_at(&c, t_s + 1.));
    uint64_t near = cs.last_clock - 1000000;
    assert_int_equal(clocksync_extend(&cs, (uint32_t)near), near);
    near = cs.last_clock + 1000000;
    assert_int_equal(clocksync_extend(&cs, (uint32_t)near), near);
}

static void test_quiet(void **state)
{
    (void)state;
    const struct link_delay usb = {.base_s = 100e-6, .jitter_s = 100e-6};
    for (uint64_t seed = 1; seed <= 30; seed++) {
        follow(16e6, 200., &usb, seed, .0005, 5.);
        follow(180e6, -300., &usb, seed, .0006, 5.);
        follow(520e6, 20., &usb, seed, .0005, 5.);
    }
}

static void test_resonator(void **state)
{
    (void)state;
    const struct link_delay uart = {.base_s = 500e-6, .jitter_s = 200e-6};
    for (uint64_t seed = 1; seed <= 30; seed++)
        follow(16e6, 4000., &uart, seed, .006, 20.);
}

static void test_spikes(void **state)
{
    (void)state;
    const struct link_delay busy = {.base_s = 200e-6, .jitter_s = 300e-6, .spike_share = .05, .spike_s = .02};
    for (uint64_t seed = 1; seed <= 30; seed++)
        follow(64e6, 100., &busy, seed, .003, 200.);
}

/* Answers to something sent again carry no time: they count for the wrap only. */
static void test_no_time(void **state)
{
    (void)state;
    struct clocksync cs;
    clocksync_init(&cs, 16e6);
    clocksync_start(&cs, at(0.), 0xfffffff0);
    double freq_hz = cs.freq_hz;
    clocksync_sample(&cs, (struct host_ns){0}, at(1.), 0x10);
    assert_int_equal(cs.last_clock, 0x100000010);
    assert_true(cs.freq_hz == freq_hz);
    assert_int_equal(clocksync_extend(&cs, 0xfffffff0), 0xfffffff0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quiet),
        cmocka_unit_test(test_resonator),
        cmocka_unit_test(test_spikes),
        cmocka_unit_test(test_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
