/* How the longest run is found: the adds possible for the first eight steps follow from all pairs of their windows, and
 * most runs end there; longer ones are bounded the same way by eight windows spread over them, then searched by
 * following eight adds at a time. docs/design/compression.md says why this is exact. */
#include "motion/steps/compress_find.h"

#include "motion/steps/stepgen.h"

#include <math.h>

#define SLACK   1e-6 /* above the rounding of quotients below 2^30, below their spacing 1/(2 * 65535) */
#define ROUND   6755399441055744.0 /* 1.5 * 2^52: adding and taking it away rounds to a whole number */
#define TRY_TOP 4  /* adds tried one after the other for a short run */
#define TRY_MAX 16 /* and then so many at equal distances */

/* A value of add with the intervals that go with it, for a run of `count` steps. */
struct choice {
    double add, interval_min, interval_max; /* whole numbers */
    int count;
};

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

/* Where the last step goes, divided by the count. */
static inline double end_of(const struct choice *choice)
{
    return choice->interval_max + 0.5 * choice->add * (choice->count - 1.0);
}

/* Longer first, then fewer bytes, then the later last step: from there the next message gets further. */
static inline bool is_better(const struct choice *a, const struct choice *b)
{
    if (a->count != b->count)
        return a->count > b->count;
    const int bytes_a = vlq_bytes(a->add) + vlq_bytes(a->interval_min);
    const int bytes_b = vlq_bytes(b->add) + vlq_bytes(b->interval_min);
    return bytes_a != bytes_b ? bytes_a < bytes_b : end_of(a) > end_of(b);
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

/* Steady speed that loses nothing but the fraction of its interval is sent as such: no other add ends later. */
static inline bool is_steady(const struct compress *c, const struct choice *choice)
{
    return choice->add == 0.0 && choice->interval_max > c->high[choice->count - 1] - 1.0;
}

/* The best of the lanes that went n steps: of those whose add takes the fewest bytes the one with the largest add, which
 * ends latest. */
static void keep_best(const struct compress *c, struct choice *best, const struct scan *s, int n)
{
    int bytes = 4; /* more than any add takes */
    for (unsigned lanes = s->alive; lanes;) {
        const int lane = 31 - __builtin_clz(lanes);
        lanes &= ~(1u << lane);
        struct choice choice = {.add = s->add[lane], .count = n};
        if (vlq_bytes(choice.add) >= bytes && choice.add != 0.0)
            continue;
        whole_intervals(&choice, s->min[lane], s->max[lane]);
        if (choice.interval_min > choice.interval_max)
            continue;
        const bool steady = is_steady(c, &choice);
        if (!steady && vlq_bytes(choice.add) >= bytes)
            continue;
        bytes = vlq_bytes(choice.add);
        if (is_better(&choice, best) || (steady && choice.count == best->count))
            *best = choice;
    }
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
        keep_best(c, best, &reached, at);
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
            keep_best(c, best, longest, count);
        if (n >= count) { /* fewer: what goes on lies between two lanes of this phase */
            count = n;
            longest = s;
        }
        if (n == limit)
            break;
        narrow(&b, s, c->low[n], c->high[n], 0.5 * n);
    }
    if (count > best->count || (count > 0 && count == best->count))
        keep_best(c, best, longest, count);
    if (best->count < count)
        keep_best_whole(c, best, longest, count);
}

/* --- short runs --- */

/* Does a run of n <= SCAN_LANES steps have whole intervals with this add? */
static bool try_add(const struct compress *c, double add, int n, struct choice *choice)
{
    double min = -INFINITY, max = INFINITY;
    for (int k = 0; k < n; k++) {
        const double bend = add * (0.5 * k), low = c->low[k] - bend, high = c->high[k] - bend;
        min = low > min ? low : min;
        max = high < max ? high : max;
    }
    *choice = (struct choice){.add = add, .count = n};
    whole_intervals(choice, min, max);
    return choice->interval_min <= choice->interval_max;
}

/* An add of [first, last] for a run of n steps: the larger it is, the later the last step can be (the line turns around
 * windows before it), but near the end of what is possible whole intervals are few. */
static bool try_adds(const struct compress *c, double first, double last, int n, struct choice *best)
{
    for (double add = last; add >= first && add > last - TRY_TOP; add -= 1.0)
        if (try_add(c, add, n, best))
            return true;
    const double gap = last - first < TRY_MAX ? 1.0 : whole_below((last - first) / TRY_MAX);
    for (double add = last - TRY_TOP; add >= first; add -= gap)
        if (try_add(c, add, n, best))
            return true;
    return false;
}

/* The best add in [min, max] for a run of n steps: the shortest to send, then the largest. */
static bool try_range(const struct compress *c, double min, double max, int n, struct choice *best)
{
    static const double ends[][2] = {{-32.0, 95.0}, {-4096.0, 12287.0}, {SCAN_ADD_MIN, SCAN_ADD_MAX}};
    const double first = whole_above(min - SLACK), last = whole_below(max + SLACK);
    if (first > last)
        return false;
    if (first <= 0.0 && last >= 0.0 && try_add(c, 0.0, n, best) && is_steady(c, best))
        return true;
    for (int bytes = 0; bytes < 3; bytes++) {
        const double from = first > ends[bytes][0] ? first : ends[bytes][0];
        if (try_adds(c, from, last < ends[bytes][1] ? last : ends[bytes][1], n, best))
            return true;
    }
    return false;
}

/* The longest run of at most n steps; `b` holds the adds for each number of steps. */
static void find_short(const struct compress *c, const struct scan_bounds *b, int n, struct choice *best)
{
    for (struct choice choice; n > 1; n--) {
        if (!try_range(c, b->min[n - 1], b->max[n - 1], n, &choice))
            continue;
        *best = choice;
        return;
    }
}

/* --- long runs --- */

/* Bound the adds by the windows of every stride-th step. Returns how many of these can be in a run, at most
 * SCAN_LANES or what `limit` steps have. */
static int bound(struct compress *c, int stride, int limit, struct scan_bounds *b)
{
    double low[2 * SCAN_LANES], high[2 * SCAN_LANES];
    const int count = limit / stride < SCAN_LANES ? limit / stride : SCAN_LANES;
    if (count * stride > c->window_count)
        fill_windows(c, count * stride);
    for (int i = 0; i < SCAN_LANES; i++) {
        const int k = (i < count ? i + 1 : count) * stride - 1;
        low[i] = -INFINITY;
        high[i] = INFINITY;
        low[SCAN_LANES + i] = c->low[k];
        high[SCAN_LANES + i] = c->high[k];
    }
    const int n = c->kernels->bounds(low + SCAN_LANES, high + SCAN_LANES, 2.0 / stride, b);
    return n < count ? n : count;
}

/* There may be a run of more than SCAN_LANES steps. The stride is chosen so that the run's end lies among the windows
 * looked at: their bounds then say to within a stride how long the run can be, and hold its add. If the search finds
 * that it is shorter than thought, fewer of them bound the add. */
static void find_long(struct compress *c, const struct scan_bounds *first, int limit, struct choice *best)
{
    struct scan_bounds b;
    int stride = c->guess > 2 ? c->guess : 2;
    while (stride > 2 && stride * 2 > limit)
        stride /= 2;
    int n = bound(c, stride, limit, &b);
    while (n == SCAN_LANES && stride * 2 * SCAN_LANES <= limit) {
        stride *= 2;
        n = bound(c, stride, limit, &b);
    }
    while (n < SCAN_LANES / 2 && stride > 2) {
        limit = stride * (n + 1) - 1 < limit ? stride * (n + 1) - 1 : limit;
        stride /= 2;
        n = bound(c, stride, limit, &b);
    }
    if (stride * (n + 1) - 1 < limit && n < SCAN_LANES)
        limit = stride * (n + 1) - 1;
    for (; n * stride > SCAN_LANES; n /= 2) {
        search(c, (struct bracket){b.min[n - 1] - SLACK, b.max[n - 1] + SLACK}, limit, best);
        if (best->count >= n * stride)
            return;
        limit = n * stride - 1;
    }
    search(c, (struct bracket){first->min[SCAN_LANES - 1] - SLACK, first->max[SCAN_LANES - 1] + SLACK}, limit, best);
}

/* Is the first step a message of its own: the only one, far away, or followed by one at an interval that differs by more
 * than add can say? About every fourth is, and this is all that needs to be known then. */
static bool is_single(const struct compress *c, int limit)
{
    if (limit == 1 || c->high[0] > STEP_FAR_TICKS)
        return true;
    const double high = c->clocks[c->first + 1] - c->base, step = c->clocks[c->first + 1] - c->clocks[c->first];
    const double low = high - (0.5 * step < c->max_error ? 0.5 * step : c->max_error);
    return low - 2.0 * c->high[0] > SCAN_ADD_MAX + 1.0 || high - 2.0 * c->low[0] < SCAN_ADD_MIN - 1.0;
}

struct compress_choice compress_find(struct compress *c, int limit)
{
    fill_windows(c, 1);
    struct choice best = {.add = 0.0, .count = 1};
    whole_intervals(&best, c->low[0], c->high[0]);
    if (!is_single(c, limit)) {
        fill_windows(c, limit < SCAN_LANES ? limit : SCAN_LANES);
        struct scan_bounds b;
        const int n = c->kernels->bounds(c->low, c->high, 2.0, &b);
        if (n == SCAN_LANES && limit > SCAN_LANES)
            find_long(c, &b, limit, &best);
        if (best.count < SCAN_LANES)
            find_short(c, &b, n < limit ? n : limit, &best);
    }
    c->guess = 1 + best.count / SCAN_LANES;
    return (struct compress_choice){best.add, pick_interval(&best), best.count};
}
