#include "motion/steps/compress.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define SEED  4711
#define COUNT 20000

/* Steps as motors make them: stretches of smooth acceleration with jumps between, now and then a pause. */
static int random_clocks(struct rng *rng, double *clocks, int count)
{
    double t = rng_range(rng, 10.0, 1e6), interval = rng_range(rng, 500.0, 50000.0), change = 0.0, bend = 0.0;
    for (int i = 0; i < count; i++) {
        if (rng_below(rng, 15) == 0) {
            change = rng_range(rng, -0.05, 0.05);
            bend = rng_range(rng, -0.002, 0.002);
        }
        if (rng_below(rng, 60) == 0)
            interval = rng_range(rng, 500.0, 50000.0);
        if (rng_below(rng, 500) == 0)
            t += rng_range(rng, 1e6, 2e9);
        change += bend;
        interval = fmin(fmax(interval * (1.0 + change), 300.0), 500000.0);
        t += interval;
        clocks[i] = floor(t);
    }
    return count;
}

struct result {
    uint64_t base;
    int done;
    uint32_t commands;
    double prev;
};

static void check_one(const struct compress *c, struct result *r, const struct stepmsg *m, const double *clocks)
{
    assert_int_equal(m->kind, STEPMSG_QUEUE);
    assert_true(m->count >= 1);
    assert_int_equal(compress_check(r->base, m, clocks + r->done, r->prev, c->max_error), 0);
    struct compress_deviation worst = {0};
    compress_measure(r->base, m, clocks + r->done, r->prev, &worst);
    assert_int_equal(worst.steps, m->count);
    assert_true(worst.late_ticks <= 0.0 && worst.early_ticks <= c->max_error && worst.early_share <= 1.0);
    /* the same by plain arithmetic, modulo 2^32 as the board does it */
    uint32_t clock = (uint32_t)r->base, interval = m->interval;
    for (uint32_t k = 0; k < m->count; k++) {
        clock += interval;
        interval = (uint32_t)((int64_t)interval + m->add);
        const double exact = clocks[r->done + (int)k], prev = k ? clocks[r->done + (int)k - 1] : r->prev;
        const uint32_t late = clock - (uint32_t)(uint64_t)exact;
        const int32_t early = -(int32_t)late;
        assert_true(early >= 0 && early <= c->max_error && early <= (exact - prev) / 2);
    }
    assert_int_equal(clock, (uint32_t)m->last_clock);
    assert_true(m->first_clock > r->base && m->last_clock >= m->first_clock);
    r->done += m->count;
    r->prev = clocks[r->done - 1];
    r->base = m->last_clock;
    r->commands++;
}

/* Whatever is put in comes out, within the rule; fed in pieces of any size. */
static uint32_t compress_all(struct compress *c, struct rng *rng, const double *clocks, int count)
{
    compress_reset(c, 0);
    struct result r = {0};
    struct stepmsg m;
    for (int i = 0; i < count;) {
        int n = 1 + (int)rng_below(rng, 200);
        n = n < count - i ? n : count - i;
        compress_add(c, clocks + i, n);
        i += n;
        while (compress_next(c, false, &m))
            check_one(c, &r, &m, clocks);
    }
    while (compress_next(c, true, &m))
        check_one(c, &r, &m, clocks);
    assert_int_equal(r.done, count);
    return r.commands;
}

static void test_rule(void **state)
{
    (void)state;
    static double clocks[COUNT];
    struct rng rng;
    rng_init(&rng, SEED);
    for (int round = 0; round < 20; round++) {
        const double max_error = round % 4 == 0 ? 400.0 : 4500.0;
        struct compress c;
        compress_init(&c, max_error, round % 2 ? COMPRESS_RUN_MIN : COMPRESS_RUN_MAX);
        random_clocks(&rng, clocks, COUNT);
        compress_all(&c, &rng, clocks, COUNT);
        compress_deinit(&c);
    }
}

/* Steady and steadily changing speeds need few messages. */
static void test_long_runs(void **state)
{
    (void)state;
    static double clocks[COUNT];
    struct rng rng;
    rng_init(&rng, SEED + 1);
    struct compress c;
    compress_init(&c, 4500, COMPRESS_RUN_MAX);
    for (int i = 0; i < COUNT; i++)
        clocks[i] = 1000.0 + 2250.0 * i;
    assert_true(compress_all(&c, &rng, clocks, COUNT) <= 2 + COUNT / COMPRESS_RUN_MAX);
    for (int i = 0; i < COUNT; i++)
        clocks[i] = floor(1e6 + 2250.37 * i);
    assert_true(compress_all(&c, &rng, clocks, COUNT) <= 12);
    for (int i = 0; i < 5000; i++) /* constant acceleration from rest */
        clocks[i] = floor(1e6 + 180e6 * sqrt(2.0 * 0.0125 * (i + 0.5) / 5000.0) + 0.5);
    assert_true(compress_all(&c, &rng, clocks, 5000) <= 60);
    compress_deinit(&c);
}

/* All adds and all intervals: no beginning of the run longer than what was found has any. */
static void test_longest(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED + 2);
    struct compress c;
    compress_init(&c, 60, COMPRESS_RUN_MAX);
    int shorter = 0, total = 0;
    for (int round = 0; round < 300; round++) {
        double clocks[64], t = 0.0, interval = rng_range(&rng, 60.0, 300.0), change = rng_range(&rng, -0.1, 0.1);
        for (int i = 0; i < 64; i++) {
            interval = fmax(interval * (1.0 + change) + rng_range(&rng, -8.0, 8.0), 20.0);
            clocks[i] = floor(t += interval);
        }
        compress_reset(&c, 0);
        compress_add(&c, clocks, 64);
        struct stepmsg m;
        assert_true(compress_next(&c, true, &m));
        int longest = 0;
        for (int add = -400; add <= 400; add++) {
            double min = -1e18, max = 1e18;
            for (int n = 1; n <= 64; n++) {
                const double high = clocks[n - 1], gap = high - (n > 1 ? clocks[n - 2] : 0.0);
                const double low = high - fmin(60.0, gap / 2), pairs = 0.5 * n * (n - 1.0);
                min = fmax(min, ceil((low - add * pairs) / n - 1e-9));
                max = fmin(max, floor((high - add * pairs) / n + 1e-9));
                if (min > max)
                    break;
                longest = n > longest ? n : longest;
            }
        }
        assert_true(m.count <= longest);
        shorter += longest - m.count;
        total += longest;
    }
    /* Whole numbers may leave holes that the search does not look into; it must be rare. */
    assert_true(shorter * 50 <= total);
    compress_deinit(&c);
}

/* The reference's step streams (16 MHz, 0.0125 mm): 100 mm/s^2 * 10, and 10 mm/s there and back. */
static void test_vectors(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED + 3);
    static double clocks[COUNT];
    struct compress c;
    compress_init(&c, 400, COMPRESS_RUN_MAX);
    for (int i = 0; i < 8; i++)
        clocks[i] = 16000000.0 + 10000.0 + 20000.0 * i;
    compress_reset(&c, 0);
    compress_add(&c, clocks, 8);
    struct stepmsg m;
    assert_true(compress_next(&c, true, &m));
    assert_true(m.interval == 16010000 && m.count == 1);
    assert_true(compress_next(&c, true, &m));
    assert_true(m.interval <= 20000 && m.interval >= 19900 && m.count == 7);
    for (int i = 0; i < 399; i++)
        clocks[i] = floor((1.0 + sqrt(2.0 * 0.0125 * (i + 0.5) / 1000.0)) * 16e6 + 0.5);
    compress_reset(&c, 0);
    compress_add(&c, clocks, 399);
    const int counts[] = {1, 1, 2, 3, 6, 10, 13, 23, 30, 42}; /* of the reference: ours are not shorter in sum */
    int theirs = 0, ours = 0;
    for (int i = 0; i < 10; i++) {
        assert_true(compress_next(&c, true, &m));
        if (i == 0)
            assert_int_equal(m.interval, 16056569);
        theirs += counts[i];
        ours += m.count;
    }
    assert_true(ours >= theirs - 2);
    compress_deinit(&c);
}

static void test_far(void **state)
{
    (void)state;
    const double clocks[] = {1000.0, 2000.0, 3000.0, 3000.0 + 5e9, 3000.0 + 5e9 + 1000.0};
    struct compress c;
    compress_init(&c, 4500, COMPRESS_RUN_MAX);
    compress_reset(&c, 0);
    compress_add(&c, clocks, 5);
    struct stepmsg m;
    struct result r = {0};
    bool has_far = false;
    while (compress_next(&c, true, &m)) {
        if (m.last_clock == 5000003000u) {
            has_far = true;
            assert_true(m.count == 1 && m.req_clock == m.last_clock);
            assert_int_equal(m.interval, (uint32_t)5000000000u);
        }
        check_one(&c, &r, &m, clocks);
    }
    assert_true(has_far && r.done == 5);
    compress_deinit(&c);
}

static void random_windows(struct rng *rng, double *low, double *high, int count)
{
    double y = rng_range(rng, 1000.0, 5000.0);
    for (int k = 0; k < count; k++) {
        y += rng_range(rng, -30.0, 30.0);
        high[k] = y;
        low[k] = y - rng_range(rng, 0.0, 900.0);
    }
}

/* Every way to compute the inner loops gives the same bits. */
static void test_same_bits(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED + 4);
    const struct scan_kernels *kernels[SCAN_KERNELS_MAX];
    const int variants = scan_all(kernels);
    print_message("%d variants\n", variants);
    for (int round = 0; round < 2000; round++) {
        double low[40], high[40], clocks[41], inverse[40];
        random_windows(&rng, low, high, 40);
        struct scan start = {.alive = 0};
        for (int i = 0; i < SCAN_LANES; i++)
            start.add[i] = floor(rng_range(&rng, -100.0, 100.0));
        const int half = 1 + (int)rng_below(&rng, 39), from = (int)rng_below(&rng, 7);
        for (int i = 0; i < 41; i++)
            clocks[i] = (i ? clocks[i - 1] : 1e9) + floor(rng_range(&rng, 100.0, 20000.0));
        for (int i = 0; i < 40; i++)
            inverse[i] = 1.0 / (i + 1);
        struct scan first;
        double first_low[40], first_high[40];
        int first_n[2];
        for (int v = 0; v < variants; v++) {
            struct scan s = start;
            int n[2];
            n[0] = kernels[v]->scan(&s, low, high, 0, half); /* in two parts, if it gets so far */
            n[1] = n[0] == half ? kernels[v]->scan(&s, low, high, half, 40) : 0;
            double l[40] = {0}, h[40] = {0};
            kernels[v]->fill(l, h, clocks + 1, inverse, 1e9, 4500.0, from, 40);
            if (v == 0) {
                first = s;
                memcpy(first_low, l, sizeof l);
                memcpy(first_high, h, sizeof h);
                memcpy(first_n, n, sizeof n);
            }
            assert_memory_equal(&s, &first, sizeof s);
            assert_memory_equal(n, first_n, sizeof n);
            assert_memory_equal(l, first_low, sizeof l);
            assert_memory_equal(h, first_high, sizeof h);
        }
    }
}

/* Is there an interval with which `add` fits the first n windows, `stride` steps apart? By how much [ticks]. */
static double width(const double *low, const double *high, int n, int stride, double add)
{
    double min = -INFINITY, max = INFINITY;
    for (int k = 0; k < n; k++) {
        min = fmax(min, low[k] - add * 0.5 * stride * k);
        max = fmin(max, high[k] - add * 0.5 * stride * k);
    }
    return max - min;
}

/* The adds that the bounds leave fit; those that they leave out do not; and every variant says the same bits. */
static void test_bounds(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED + 5);
    const struct scan_kernels *kernels[SCAN_KERNELS_MAX];
    const int variants = scan_all(kernels);
    int judged = 0;
    for (int round = 0; round < 3000; round++) {
        double padded_low[2 * SCAN_LANES], padded_high[2 * SCAN_LANES];
        double *low = padded_low + SCAN_LANES, *high = padded_high + SCAN_LANES;
        const int stride = 1 + (int)rng_below(&rng, 9);
        const double slope = rng_range(&rng, -200.0, 200.0) * stride, noise = rng_range(&rng, 1.0, 300.0);
        for (int i = 0; i < SCAN_LANES; i++) {
            low[i - SCAN_LANES] = -INFINITY;
            high[i - SCAN_LANES] = INFINITY;
            high[i] = 5e4 + 0.5 * slope * i + rng_range(&rng, 0.0, noise);
            low[i] = high[i] - rng_range(&rng, 1.0, 300.0);
        }
        struct scan_bounds first;
        int first_n = 0;
        for (int v = 0; v < variants; v++) {
            struct scan_bounds b;
            const int n = kernels[v]->bounds(low, high, 2.0 / stride, &b);
            first_n = v ? first_n : n;
            first = v ? first : b;
            assert_int_equal(n, first_n);
            assert_memory_equal(&b, &first, sizeof b);
        }
        for (int n = 1; n <= SCAN_LANES; n++) {
            const double min = first.min[n - 1], max = first.max[n - 1];
            assert_true((min <= max) == (n <= first_n));
            for (int i = 0; i < 20; i++) {
                const double add = rng_range(&rng, slope / stride - 300.0, slope / stride + 300.0);
                const double room = width(low, high, n, stride, add);
                if (fabs(room) < 1e-6)
                    continue;
                assert_true((room > 0.0) == (add >= min && add <= max));
                judged += n > 1 && room > 0.0;
            }
        }
    }
    assert_true(judged > 1000);
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule),    cmocka_unit_test(test_long_runs), cmocka_unit_test(test_longest),
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_far),       cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
