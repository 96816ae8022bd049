/* Counts in buckets of powers of two, against counting by hand. */
#include "base/histogram.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define SAMPLES 5000

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Whatever was added: the count fits, and a quantile is at least the true one and less than twice it. */
static void quantiles_enclose_the_true_ones(void **state)
{
    (void)state;
    static double samples[SAMPLES];
    struct histogram h = {0};
    struct histogram_view view;
    struct rng rng;
    rng_init(&rng, 99);
    for (int i = 0; i < SAMPLES; i++) {
        samples[i] = (double)(rng_below(&rng, 1u << rng_below(&rng, 22)));
        histogram_add(&h, samples[i]);
    }
    histogram_read(&h, &view);
    assert_int_equal(view.count, SAMPLES);
    qsort(samples, SAMPLES, sizeof samples[0], compare);
    assert_true((double)view.min_us == samples[0] && (double)view.max_us == samples[SAMPLES - 1]);
    for (double q = 0.01; q <= 1.0; q += 0.01) {
        int index = (int)(q * SAMPLES + 0.999999) - 1;
        const double truth = samples[index], said = histogram_quantile_us(&view, q);
        assert_true(said >= truth && said <= 2 * truth + 1);
    }
}

static void edges(void **state)
{
    (void)state;
    struct histogram h = {0};
    struct histogram_view view;
    histogram_read(&h, &view);
    assert_int_equal(view.count, 0);
    assert_int_equal(view.max_us, 0);
    assert_int_equal(histogram_quantile_us(&view, 0.99), 0);
    histogram_add(&h, -5);
    histogram_add(&h, 0.9);
    histogram_add(&h, 1);
    histogram_add(&h, 2);
    histogram_add(&h, 3.9);
    histogram_add(&h, 1e300);
    histogram_read(&h, &view);
    assert_int_equal(view.bucket[0], 2);
    assert_int_equal(view.bucket[1], 1);
    assert_int_equal(view.bucket[2], 2);
    assert_int_equal(view.bucket[HISTOGRAM_BUCKETS - 1], 1);
    assert_int_equal(view.min_us, 0);
    assert_int_equal(view.max_us, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(quantiles_enclose_the_true_ones), cmocka_unit_test(edges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
