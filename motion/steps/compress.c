#include "motion/steps/compress.h"

#include "base/check.h"
#include "base/mem.h"
#include "motion/steps/stepgen.h"

#include <math.h>
#include <string.h>

#define ADD_MIN   (-32768.0)
#define ADD_MAX   32767.0
#define SLACK     1e-6 /* above the rounding of quotients below 2^30, below their spacing 1/(2 * 65535) */
#define SPARE     8192 /* room for steps beyond the longest run; how much is sent before the rest moves to the front */
#define GUESS_MIN 8    /* runs shorter than this are searched without a guess */
#define FILL      8    /* windows computed at least; then as many again as there are */
#define ROUND     6755399441055744.0 /* 1.5 * 2^52: adding and taking it away rounds to a whole number */

/* A value of add with the intervals that go with it, for a run of `count` steps. */
struct choice {
    double add, interval_min, interval_max; /* whole numbers */
    int count;
};

void compress_init(struct compress *c, double max_error_ticks)
{
    *c = (struct compress){.capacity = COMPRESS_RUN_MAX + SPARE, .max_error = floor(max_error_ticks)};
    c->clocks = MEM_ARRAY(double, (size_t)c->capacity + 1);
    c->first = c->end = 1; /* the slot before `first` holds the exact clock of the step before */
    c->low = MEM_ARRAY(double, COMPRESS_RUN_MAX);
    c->high = MEM_ARRAY(double, COMPRESS_RUN_MAX);
    c->inverse = MEM_ARRAY(double, COMPRESS_RUN_MAX + 1);
    c->look_at = COMPRESS_LOOK_MIN;
    c->guess = GUESS_MIN;
    c->kernels = scan_choose();
}

void compress_deinit(struct compress *c)
{
    mem_free(c->clocks);
    mem_free(c->low);
    mem_free(c->high);
    mem_free(c->inverse);
}

static void begin_run(struct compress *c)
{
    c->window_count = 0;
    c->look_at = COMPRESS_LOOK_MIN;
}

void compress_reset(struct compress *c, uint64_t base)
{
    c->first = c->end = 1;
    c->base = c->clocks[0] = (double)base;
    begin_run(c);
}

void compress_add(struct compress *c, const double *clocks, int count)
{
    CHECK(count <= compress_room(c));
    if (c->first > SPARE / 2 || c->end + count > c->capacity + 1) {
        memmove(c->clocks, c->clocks + c->first - 1, (size_t)(c->end - c->first + 1) * sizeof *c->clocks);
        c->end -= c->first - 1;
        c->first = 1;
    }
    memcpy(c->clocks + c->end, clocks, (size_t)count * sizeof *clocks);
    c->end += count;
}

/* Windows of steps window_count .. `to`-1 (counted from 0). */
static void fill_windows(struct compress *c, int to)
{
    for (; c->inverse_count < to; c->inverse_count++)
        c->inverse[c->inverse_count + 1] = 1.0 / (c->inverse_count + 1);
    c->kernels->fill(c->low, c->high, c->clocks + c->first, c->inverse + 1, c->base, c->max_error, c->window_count, to);
    c->window_count = to;
}

/* Follow the adds of *s through the run. */
static int scan(struct compress *c, struct scan *s, int limit)
{
    for (int from = 0;;) {
        const int to = c->window_count < limit ? c->window_count : limit;
        const int n = c->kernels->scan(s, c->low, c->high, from, to);
        if (n < to || n == limit)
            return n;
        from = n;
        fill_windows(c, 2 * n < limit ? 2 * n : limit);
    }
}

/* --- whole numbers --- */

/* The whole numbers in [min, max], both above 0 and below 2^31. */
static inline void whole_intervals(struct choice *choice, double min, double max)
{
    const double from = min > 0.0 ? min - SLACK : 0.0, to = max < STEP_INTERVAL_MAX ? max + SLACK : STEP_INTERVAL_MAX;
    const double below = (double)(int64_t)from;
    choice->interval_min = below < from ? below + 1.0 : below;
    choice->interval_max = (double)(int64_t)to;
}

/* Bytes of a number on the wire (firmware/proto/vlq.h). */
static inline int vlq_bytes(double v)
{
    return 1 + (v < -32.0 || v >= 96.0) + (v < -4096.0 || v >= 12288.0) + (v < -524288.0 || v >= 1572864.0);
}

/* Of a choice's intervals the one to send: the largest, unless a smaller one takes a byte less. */
static inline double pick_interval(const struct choice *choice)
{
    const double min = choice->interval_min, max = choice->interval_max;
    if (vlq_bytes(min) == vlq_bytes(max))
        return max;
    return min < 96.0 ? 95.0 : min < 12288.0 ? 12287.0 : 1572863.0;
}

/* Longer first, then fewer bytes, then the add nearer to 0. */
static inline bool is_better(const struct choice *a, const struct choice *b)
{
    if (a->count != b->count)
        return a->count > b->count;
    const int bytes_a = vlq_bytes(a->add) + vlq_bytes(a->interval_min);
    const int bytes_b = vlq_bytes(b->add) + vlq_bytes(b->interval_min);
    return bytes_a != bytes_b ? bytes_a < bytes_b : fabs(a->add) < fabs(b->add);
}

/* --- search --- */

/* Values of add that are still possible for a longer run than the best one found: the whole numbers in [min, max]. */
struct bracket {
    double min, max;
};

static inline double whole_below(double x)
{
    const double near = (x + ROUND) - ROUND;
    return near > x ? near - 1.0 : near;
}
static inline double whole_above(double x)
{
    const double near = (x + ROUND) - ROUND;
    return near < x ? near + 1.0 : near;
}

/* Spread the lanes over the whole numbers first .. last, rising. */
static void spread(struct scan *s, double first, double last)
{
    const double gap = last - first < SCAN_LANES ? 1.0 : (last - first) / SCAN_LANES;
    const double start = gap > 1.0 ? first + 0.5 * gap : first;
    for (int i = 0; i < SCAN_LANES; i++) {
        const double add = (start + gap * i + ROUND) - ROUND;
        s->add[i] = add < last ? add : last;
    }
}

/* After step n (counted from 0) fits none of the lanes that had intervals up to it: some need a larger add, those after
 * them a smaller one; only what lies between can go on. An add that misses window n by d ticks has to change by at
 * least d / (n/2), because n/2 is the fastest at which a line can turn there while it is held somewhere before. Lanes
 * that fell out earlier bound the bracket where no other does. */
static void narrow(struct bracket *b, const struct scan *s, double low, double high, double x)
{
    const unsigned small = s->alive & ~s->large;
    const int first = __builtin_ctz(s->alive), last = 31 - __builtin_clz(s->alive);
    const double inverse = 1.0 / x;
    if (small) {
        const int i = 31 - __builtin_clz(small);
        b->min = s->add[i] + (low - s->add[i] * x - s->max[i]) * inverse;
    } else if (first > 0) {
        b->min = s->add[first - 1] + 0.5;
    }
    if (s->large) {
        const int i = __builtin_ctz(s->large);
        b->max = s->add[i] - (s->min[i] - (high - s->add[i] * x)) * inverse;
    } else if (last < SCAN_LANES - 1) {
        b->max = s->add[last + 1] - 0.5;
    }
}

static bool try_lane(struct choice *best, const struct scan *s, int lane, int n)
{
    struct choice choice = {.add = s->add[lane], .count = n};
    whole_intervals(&choice, s->min[lane], s->max[lane]);
    if (choice.interval_min > choice.interval_max)
        return false;
    if (is_better(&choice, best))
        *best = choice;
    return true;
}

/* A good one of the lanes that went n steps: the one nearest to 0, whose code is shortest, or else the middle one,
 * which has the widest range of intervals, or else any. */
static void keep_best(struct choice *best, const struct scan *s, int n)
{
    const int first = __builtin_ctz(s->alive), last = 31 - __builtin_clz(s->alive), middle = (first + last) / 2;
    const int shortest = s->add[first] >= 0.0 ? first : s->add[last] <= 0.0 ? last : middle;
    bool is_whole = try_lane(best, s, shortest, n) || try_lane(best, s, middle, n);
    for (int i = first; i <= last && !is_whole; i++)
        is_whole = try_lane(best, s, i, n);
}

static bool has_whole(const struct scan *s)
{
    for (unsigned lanes = s->alive; lanes; lanes &= lanes - 1) {
        struct choice choice;
        whole_intervals(&choice, s->min[__builtin_ctz(lanes)], s->max[__builtin_ctz(lanes)]);
        if (choice.interval_min <= choice.interval_max)
            return true;
    }
    return false;
}

/* No lane that went n steps has a whole interval there: follow them again, only as far as one has. Ranges only shrink,
 * so that it is enough to look now and then and to go back by finer blocks when none is left. */
static void keep_best_whole(struct compress *c, struct choice *best, const struct scan *lanes, int n)
{
    struct scan reached = *lanes;
    int at = 0;
    for (int block = 64; at < n;) {
        struct scan next = reached;
        const int to = at + block < n ? at + block : n;
        if (c->kernels->scan(&next, c->low, c->high, at, to) == to && has_whole(&next)) {
            reached = next;
            at = to;
        } else if (block == 1) {
            break;
        } else {
            block /= 4;
        }
    }
    if (at > 0)
        keep_best(best, &reached, at);
}

/* Search the bracket for the longest run of up to `limit` steps: adds spread over it are followed until all fail, then
 * what lies between the failing ones is searched more finely, down to single whole numbers. Improves *best. */
static void search(struct compress *c, struct bracket b, int limit, struct choice *best)
{
    struct scan phases[2], *longest = NULL;
    int count = 0;
    for (bool is_last = false; !is_last;) {
        const double first = whole_above(b.min), last = whole_below(b.max);
        if (first > last)
            break;
        struct scan *s = longest == &phases[0] ? &phases[1] : &phases[0];
        spread(s, first, last);
        is_last = last - first < SCAN_LANES;
        const int n = scan(c, s, limit);
        if (n == count) /* as long, with other adds: which of them are shorter to send decides */
            keep_best(best, longest, count);
        if (n >= count) { /* fewer: what goes on lies between two lanes of this phase */
            count = n;
            longest = s;
        }
        if (n == limit)
            break;
        narrow(&b, s, c->low[n], c->high[n], 0.5 * n);
    }
    if (count > best->count || (count > 0 && count == best->count))
        keep_best(best, longest, count);
    if (best->count < count)
        keep_best_whole(c, best, longest, count);
}

/* Lines through windows i < j (counted from 0) have slopes within these bounds. */
static inline void bound(struct bracket *b, const struct compress *c, int i, int j)
{
    const double inverse = 2.0 * c->inverse[j - i];
    const double min = (c->low[j] - c->high[i]) * inverse, max = (c->high[j] - c->low[i]) * inverse;
    b->min = min > b->min ? min : b->min;
    b->max = max < b->max ? max : b->max;
}

/* The longest run from `first` on, looking at up to `limit` (>= 1) steps. If there is a run of `guess` steps or more,
 * its add lies within the bounds that a few windows up to there give, a much smaller bracket; otherwise the run is
 * shorter than that, and a shorter guess is tried. */
static struct choice find_run(struct compress *c, int limit)
{
    int guess = c->guess;
    while (guess > limit)
        guess /= 2;
    const int begin = guess > FILL ? guess : FILL;
    fill_windows(c, begin < limit ? begin : limit);
    struct choice best = {.add = 0.0, .count = 1};
    whole_intervals(&best, c->low[0], c->high[0]);
    if (limit == 1 || c->high[0] > STEP_FAR_TICKS)
        return best;
    for (;; guess /= 2) {
        if (guess < GUESS_MIN)
            guess = 2;
        if (guess > c->window_count)
            fill_windows(c, guess);
        struct bracket b = {ADD_MIN, ADD_MAX};
        bound(&b, c, 0, guess - 1);
        if (guess > 2) {
            bound(&b, c, guess / 2, guess - 1);
            bound(&b, c, 0, guess / 2);
            bound(&b, c, guess / 4, guess - 1);
        }
        if (b.min <= b.max)
            search(c, b, limit, &best);
        if (best.count >= guess || guess == 2)
            break;
        limit = guess - 1;
    }
    c->guess = best.count < GUESS_MIN ? GUESS_MIN : 1 << (31 - __builtin_clz((unsigned)best.count));
    return best;
}

bool compress_next(struct compress *c, bool is_forced, struct stepmsg *msg)
{
    const int pending = c->end - c->first;
    if (pending == 0 || (!is_forced && pending < c->look_at))
        return false;
    const int limit = pending < COMPRESS_RUN_MAX ? pending : COMPRESS_RUN_MAX;
    const struct choice best = find_run(c, limit);
    if (!is_forced && best.count == pending && pending < COMPRESS_RUN_MAX) {
        c->look_at = 2 * pending < COMPRESS_RUN_MAX ? 2 * pending : COMPRESS_RUN_MAX;
        return false;
    }
    const bool is_far = best.count == 1 && c->high[0] > STEP_FAR_TICKS;
    const double interval = is_far ? c->high[0] : pick_interval(&best), pairs = 0.5 * best.count * (best.count - 1.0);
    const double last = c->base + interval * best.count + best.add * pairs;
    msg->kind = STEPMSG_QUEUE;
    msg->interval = (uint32_t)(uint64_t)interval;
    msg->count = (uint16_t)best.count;
    msg->add = (int16_t)best.add;
    msg->req_clock = (uint64_t)(is_far ? last : c->base);
    msg->first_clock = (uint64_t)(c->base + interval);
    msg->last_clock = (uint64_t)last;
    c->first += best.count;
    c->base = last;
    begin_run(c);
    return true;
}

uint32_t compress_check(uint64_t base, const struct stepmsg *msg, const double *clocks, double prev,
                        double max_error_ticks)
{
    const int64_t max_error = (int64_t)max_error_ticks;
    int64_t before = (int64_t)prev, clock = (int64_t)base, interval = msg->interval, last = (int64_t)base;
    if (msg->count == 1 && msg->last_clock - base > UINT32_MAX) /* a far step: the board counts modulo 2^32 */
        interval = (int64_t)(msg->last_clock - base);
    for (uint32_t k = 1; k <= msg->count; k++) {
        const int64_t exact = (int64_t)clocks[k - 1], half2 = exact - before;
        clock += interval;
        interval += msg->add;
        if (clock > exact || exact - clock > max_error || 2 * (exact - clock) > half2 || clock <= last)
            return k;
        last = clock;
        before = exact;
    }
    return clock == (int64_t)msg->last_clock ? 0 : msg->count;
}
