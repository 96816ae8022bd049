#include "motion/steps/compress_scan.h"

#include <math.h>
#include <stdbool.h>
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

/* add * x is exact (32 bits by 17), so that a fused multiply-subtract rounds once as the two operations do: the same
 * bits, on processors that have it. */
static inline double less_bend(double window, double add, double x)
{
#ifdef __FP_FAST_FMA
    return __builtin_fma(-add, x, window);
#else
    return window - add * x;
#endif
}

static int scan_plain(struct scan *s, const double *low, const double *high, int from, int to)
{
    double min[SCAN_LANES], max[SCAN_LANES], next_min[SCAN_LANES], next_max[SCAN_LANES], add[SCAN_LANES];
    memcpy(add, s->add, sizeof add);
    for (int i = 0; i < SCAN_LANES; i++) {
        min[i] = from == 0 ? (double)-INFINITY : s->min[i];
        max[i] = from == 0 ? (double)INFINITY : s->max[i];
    }
    int k = from;
    for (; k < to; k++) {
        const double x = 0.5 * k, l = low[k], h = high[k];
        double widest = -INFINITY;
#pragma omp simd reduction(max : widest)
        for (int i = 0; i < SCAN_LANES; i++) {
            const double lo = less_bend(l, add[i], x), hi = less_bend(h, add[i], x);
            next_min[i] = lo > min[i] ? lo : min[i];
            next_max[i] = hi < max[i] ? hi : max[i];
            const double width = next_max[i] - next_min[i];
            widest = width > widest ? width : widest;
        }
        if (widest < 0.0)
            break;
        memcpy(min, next_min, sizeof min);
        memcpy(max, next_max, sizeof max);
    }
    memcpy(s->min, min, sizeof min);
    memcpy(s->max, max, sizeof max);
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

static inline __attribute__((always_inline)) int bounds(const double *low, const double *high, double scale,
                                                        struct scan_bounds *b)
{
    static const double inverses[SCAN_LANES] = {0.0, 1.0, 1.0 / 2, 1.0 / 3, 1.0 / 4, 1.0 / 5, 1.0 / 6, 1.0 / 7};
    double min[SCAN_LANES], max[SCAN_LANES];
#pragma omp simd
    for (int i = 0; i < SCAN_LANES; i++) {
        min[i] = -INFINITY;
        max[i] = INFINITY;
    }
    /* By halves: the first has nothing further away than its length. */
#pragma GCC unroll 1
    for (int d = 1; d < SCAN_LANES / 2; d++) {
        const double inverse = inverses[d];
#pragma omp simd
        for (int i = 0; i < SCAN_LANES / 2; i++) {
            const double least = (low[i] - high[i - d]) * inverse, most = (high[i] - low[i - d]) * inverse;
            min[i] = least > min[i] ? least : min[i];
            max[i] = most < max[i] ? most : max[i];
        }
    }
#pragma GCC unroll 1
    for (int d = 1; d < SCAN_LANES; d++) {
        const double inverse = inverses[d];
#pragma omp simd
        for (int i = SCAN_LANES / 2; i < SCAN_LANES; i++) {
            const double least = (low[i] - high[i - d]) * inverse, most = (high[i] - low[i - d]) * inverse;
            min[i] = least > min[i] ? least : min[i];
            max[i] = most < max[i] ? most : max[i];
        }
    }
#pragma omp simd
    for (int i = 0; i < SCAN_LANES; i++) {
        min[i] *= scale;
        max[i] *= scale;
    }
    double lo = SCAN_ADD_MIN, hi = SCAN_ADD_MAX;
    int count = 0;
    for (int i = 0; i < SCAN_LANES; i++) {
        lo = min[i] > lo ? min[i] : lo;
        hi = max[i] < hi ? max[i] : hi;
        b->min[i] = lo;
        b->max[i] = hi;
        count += lo <= hi;
    }
    return count;
}

static int bounds_plain(const double *low, const double *high, double scale, struct scan_bounds *b)
{
    return bounds(low, high, scale, b);
}

const struct scan_kernels scan_portable = {scan_plain, fill_plain, bounds_plain};

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

__attribute__((target("avx2"))) static void fill_avx2(double *restrict low, double *restrict high,
                                                      const double *restrict clocks, const double *restrict inverse,
                                                      double base, double max_error, int from, int to)
{
    fill(low, high, clocks, inverse, base, max_error, from, to);
}

__attribute__((target("avx2"))) static int bounds_avx2(const double *low, const double *high, double scale,
                                                       struct scan_bounds *b)
{
    return bounds(low, high, scale, b);
}

__attribute__((target("avx2,fma"))) static int scan_avx2(struct scan *s, const double *low, const double *high, int from,
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
        const __m256d lo0 = _mm256_max_pd(_mm256_fnmadd_pd(add0, x, l), min0);
        const __m256d lo1 = _mm256_max_pd(_mm256_fnmadd_pd(add1, x, l), min1);
        const __m256d hi0 = _mm256_min_pd(_mm256_fnmadd_pd(add0, x, h), max0);
        const __m256d hi1 = _mm256_min_pd(_mm256_fnmadd_pd(add1, x, h), max1);
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
        const __m512d lo = _mm512_max_pd(_mm512_fnmadd_pd(add, x, _mm512_set1_pd(low[k])), min);
        const __m512d hi = _mm512_min_pd(_mm512_fnmadd_pd(add, x, _mm512_set1_pd(high[k])), max);
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
    static const struct scan_kernels avx2 = {scan_avx2, fill_avx2, bounds_avx2},
                                     avx512 = {scan_avx512, fill_avx2, bounds_avx2};
    int count = 0;
    kernels[count++] = &scan_portable;
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (has_avx2)
        kernels[count++] = &avx2;
    if (has_avx2 && __builtin_cpu_supports("avx512f"))
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
