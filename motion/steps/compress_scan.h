/* The inner loop of compression: follow eight values of `add` at once through the windows of a run. One meaning,
 * several ways to compute it; all of them give the same bits (tests/unit/motion/steps/compress_test.c). Internal to
 * motion/steps. */
#ifndef MOTION_STEPS_COMPRESS_SCAN_H
#define MOTION_STEPS_COMPRESS_SCAN_H

#define SCAN_LANES 8

#define SCAN_ADD_MIN (-32768.0) /* what a message can say */
#define SCAN_ADD_MAX 32767.0

struct scan {
    double add[SCAN_LANES];                  /* rising */
    double min[SCAN_LANES], max[SCAN_LANES]; /* intervals possible so far with each add; min > max: none */
    unsigned alive;                          /* bit i: lane i has intervals */
    unsigned large;                          /* after a stop, bit i: the add of lane i was too large for the step */
};

/* Steps k = from .. to-1 (counted from 0) have windows [low[k], high[k]] for interval + add * k/2. Narrow the intervals
 * (of all, when from is 0) by one step after the other as long as some add has any left. Returns the number of the
 * first step after which none would have (the state is that before it), or `to`. */
typedef int scan_fn(struct scan *s, const double *low, const double *high, int from, int to);

/* Windows of steps k = from .. to-1 divided by their number: high = clock, low = clock - min(max_error, half the
 * interval), both relative to base. clocks[-1] is the exact clock before the first step; inverse[k] = 1/(k+1). */
typedef void scan_fill_fn(double *restrict low, double *restrict high, const double *restrict clocks,
                          const double *restrict inverse, double base, double max_error, int from, int to);

/* Adds with which runs of the first 1 .. SCAN_LANES of some windows are possible (as far as real numbers go): a line
 * of a given slope passes through all windows if it passes through each two of them. */
struct scan_bounds {
    double min[SCAN_LANES], max[SCAN_LANES];
};
/* Windows 0 .. SCAN_LANES-1, at distances of 2/scale steps; before them stand SCAN_LANES pairs of -INFINITY, INFINITY.
 * Returns the number of windows after which there are no more adds (min > max), or SCAN_LANES. */
typedef int scan_bounds_fn(const double *low, const double *high, double scale, struct scan_bounds *b);

struct scan_kernels {
    scan_fn *scan;
    scan_fill_fn *fill;
    scan_bounds_fn *bounds;
};
extern const struct scan_kernels scan_portable;
const struct scan_kernels *scan_choose(void); /* the fastest ones for this processor */
/* All that this processor can run, slowest first; returns how many. */
#define SCAN_KERNELS_MAX 4
int scan_all(const struct scan_kernels *kernels[SCAN_KERNELS_MAX]);

#endif
