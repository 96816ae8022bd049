#include "motion/steps/compress_scan.h"

#include <math.h>
#include <string.h>

/* Which lanes have intervals, and which of them are too large for the step (low, high, x) that none of them takes. */
static void mark(struct scan *s, double high, double x)
{
    unsigned alive = 0, large = 0;
    for (int i = 0; i < SCAN_LANES; i++) {
        alive |= (unsigned)(s->min[i] <= s->max[i]) << i;
        large |= (unsigned)(high - s->add[i] * x < s->min[i]) << i;
    }
    s->alive = alive;
    s->large = large & alive;
}

static int scan_plain(struct scan *s, const double *low, const double *high, int from, int to)
{
    for (int i = 0; i < SCAN_LANES && from == 0; i++) {
        s->min[i] = -INFINITY;
        s->max[i] = INFINITY;
    }
    int k = from;
    for (; k < to; k++) {
        const double x = 0.5 * k, l = low[k], h = high[k];
        double min[SCAN_LANES], max[SCAN_LANES];
        unsigned alive = 0;
        for (int i = 0; i < SCAN_LANES; i++) {
            const double bend = s->add[i] * x, lo = l - bend, hi = h - bend;
            min[i] = lo > s->min[i] ? lo : s->min[i];
            max[i] = hi < s->max[i] ? hi : s->max[i];
            alive |= min[i] <= max[i];
        }
        if (!alive)
            break;
        memcpy(s->min, min, sizeof min);
        memcpy(s->max, max, sizeof max);
    }
    mark(s, k < to ? high[k] : (double)INFINITY, 0.5 * k);
    return k;
}

/* One loop, compiled for each processor below; element-wise, so that the width of its vectors changes no bit. */
static inline __attribute__((always_inline)) void fill(double *restrict low, double *restrict high,
                                                       const double *restrict clocks, const double *restrict inverse,
                                                       double base, double max_error, int from, int to)
{
    for (int k = from; k < to; k++) {
        const double clock = clocks[k], half = 0.5 * (clock - clocks[k - 1]);
        const double early = half < max_error ? half : max_error;
        high[k] = (clock - base) * inverse[k];
        low[k] = (clock - base - early) * inverse[k];
    }
}

static void fill_plain(double *restrict low, double *restrict high, const double *restrict clocks,
                       const double *restrict inverse, double base, double max_error, int from, int to)
{
    fill(low, high, clocks, inverse, base, max_error, from, to);
}

const struct scan_kernels scan_portable = {scan_plain, fill_plain};

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

__attribute__((target("avx2"))) static void fill_avx2(double *restrict low, double *restrict high,
                                                      const double *restrict clocks, const double *restrict inverse,
                                                      double base, double max_error, int from, int to)
{
    fill(low, high, clocks, inverse, base, max_error, from, to);
}

__attribute__((target("avx2"))) static int scan_avx2(struct scan *s, const double *low, const double *high, int from,
                                                     int to)
{
    const __m256d add0 = _mm256_loadu_pd(s->add), add1 = _mm256_loadu_pd(s->add + 4), half = _mm256_set1_pd(0.5);
    __m256d min0 = _mm256_set1_pd(-INFINITY), min1 = min0, max0 = _mm256_set1_pd(INFINITY), max1 = max0;
    if (from > 0) {
        min0 = _mm256_loadu_pd(s->min);
        min1 = _mm256_loadu_pd(s->min + 4);
        max0 = _mm256_loadu_pd(s->max);
        max1 = _mm256_loadu_pd(s->max + 4);
    }
    __m256d x = _mm256_set1_pd(0.5 * from);
    int k = from;
    for (; k < to; k++, x = _mm256_add_pd(x, half)) {
        const __m256d l = _mm256_set1_pd(low[k]), h = _mm256_set1_pd(high[k]);
        const __m256d bend0 = _mm256_mul_pd(add0, x), bend1 = _mm256_mul_pd(add1, x);
        const __m256d lo0 = _mm256_max_pd(_mm256_sub_pd(l, bend0), min0);
        const __m256d lo1 = _mm256_max_pd(_mm256_sub_pd(l, bend1), min1);
        const __m256d hi0 = _mm256_min_pd(_mm256_sub_pd(h, bend0), max0);
        const __m256d hi1 = _mm256_min_pd(_mm256_sub_pd(h, bend1), max1);
        const __m256d alive = _mm256_or_pd(_mm256_cmp_pd(lo0, hi0, _CMP_LE_OQ), _mm256_cmp_pd(lo1, hi1, _CMP_LE_OQ));
        if (!_mm256_movemask_pd(alive))
            break;
        min0 = lo0;
        min1 = lo1;
        max0 = hi0;
        max1 = hi1;
    }
    _mm256_storeu_pd(s->min, min0);
    _mm256_storeu_pd(s->min + 4, min1);
    _mm256_storeu_pd(s->max, max0);
    _mm256_storeu_pd(s->max + 4, max1);
    const __m256d h = _mm256_set1_pd(k < to ? high[k] : (double)INFINITY);
    const __m256d hi0 = _mm256_sub_pd(h, _mm256_mul_pd(add0, x)), hi1 = _mm256_sub_pd(h, _mm256_mul_pd(add1, x));
    s->alive = (unsigned)(_mm256_movemask_pd(_mm256_cmp_pd(min0, max0, _CMP_LE_OQ)) |
                          _mm256_movemask_pd(_mm256_cmp_pd(min1, max1, _CMP_LE_OQ)) << 4);
    s->large = s->alive & (unsigned)(_mm256_movemask_pd(_mm256_cmp_pd(hi0, min0, _CMP_LT_OQ)) |
                                     _mm256_movemask_pd(_mm256_cmp_pd(hi1, min1, _CMP_LT_OQ)) << 4);
    return k;
}

__attribute__((target("avx512f"))) static int scan_avx512(struct scan *s, const double *low, const double *high,
                                                          int from, int to)
{
    const __m512d add = _mm512_loadu_pd(s->add), half = _mm512_set1_pd(0.5);
    __m512d min = _mm512_set1_pd(-INFINITY), max = _mm512_set1_pd(INFINITY);
    if (from > 0) {
        min = _mm512_loadu_pd(s->min);
        max = _mm512_loadu_pd(s->max);
    }
    __m512d x = _mm512_set1_pd(0.5 * from);
    int k = from;
    for (; k < to; k++, x = _mm512_add_pd(x, half)) {
        const __m512d bend = _mm512_mul_pd(add, x);
        const __m512d lo = _mm512_max_pd(_mm512_sub_pd(_mm512_set1_pd(low[k]), bend), min);
        const __m512d hi = _mm512_min_pd(_mm512_sub_pd(_mm512_set1_pd(high[k]), bend), max);
        if (!_mm512_cmp_pd_mask(lo, hi, _CMP_LE_OQ))
            break;
        min = lo;
        max = hi;
    }
    _mm512_storeu_pd(s->min, min);
    _mm512_storeu_pd(s->max, max);
    const __m512d hi = _mm512_sub_pd(_mm512_set1_pd(k < to ? high[k] : (double)INFINITY), _mm512_mul_pd(add, x));
    s->alive = _mm512_cmp_pd_mask(min, max, _CMP_LE_OQ);
    s->large = s->alive & _mm512_cmp_pd_mask(hi, min, _CMP_LT_OQ);
    return k;
}

int scan_all(const struct scan_kernels *kernels[SCAN_KERNELS_MAX])
{
    static const struct scan_kernels avx2 = {scan_avx2, fill_avx2}, avx512 = {scan_avx512, fill_avx2};
    int count = 0;
    kernels[count++] = &scan_portable;
    if (__builtin_cpu_supports("avx2"))
        kernels[count++] = &avx2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("avx512f"))
        kernels[count++] = &avx512;
    return count;
}
#else
int scan_all(const struct scan_kernels *kernels[SCAN_KERNELS_MAX])
{
    kernels[0] = &scan_portable;
    return 1;
}
#endif

const struct scan_kernels *scan_choose(void)
{
    const struct scan_kernels *kernels[SCAN_KERNELS_MAX];
    return kernels[scan_all(kernels) - 1];
}
