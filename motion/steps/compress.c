#include "motion/steps/compress.h"

#include "base/check.h"
#include "base/mem.h"
#include "motion/steps/stepgen.h"

#include <math.h>
#include <string.h>

#define ADD_MIN     (-32768.0)
#define ADD_MAX     32767.0
#define SLACK       1e-5 /* rounding of quotients below 2^30 whose denominators are below 2^15 */
#define HULL_MAX    (COMPRESS_RUN_MAX + 1)

void compress_init(struct compress *c, double max_error_ticks)
{
    *c = (struct compress){.capacity = 4 * COMPRESS_RUN_MAX, .max_error = floor(max_error_ticks)};
    c->clocks = MEM_ARRAY(double, (size_t)c->capacity);
    c->low.points = MEM_ARRAY(struct hull_point, HULL_MAX);
    c->high.points = MEM_ARRAY(struct hull_point, HULL_MAX);
    c->slopes = MEM_ARRAY(double, 2 * HULL_MAX);
}

void compress_deinit(struct compress *c)
{
    mem_free(c->clocks);
    mem_free(c->low.points);
    mem_free(c->high.points);
    mem_free(c->slopes);
}

static void begin_run(struct compress *c)
{
    c->seen = 0;
    c->is_closed = false;
    c->is_counting = false;
}

void compress_reset(struct compress *c, uint64_t base)
{
    c->first = c->end = 0;
    c->base = c->prev = (double)base;
    begin_run(c);
}

void compress_add(struct compress *c, const double *clocks, int count)
{
    CHECK(count <= compress_room(c));
    if (c->end + count > c->capacity) {
        memmove(c->clocks, c->clocks + c->first, (size_t)(c->end - c->first) * sizeof *c->clocks);
        c->end -= c->first;
        c->first = 0;
    }
    memcpy(c->clocks + c->end, clocks, (size_t)count * sizeof *clocks);
    c->end += count;
}

/* Window of step k (1 ...) of the run, relative to base. */
static inline double window_high(const struct compress *c, int k)
{
    return c->clocks[c->first + k - 1] - c->base;
}
static inline double window_low(const struct compress *c, int k, double high)
{
    const double prev = (k > 1 ? c->clocks[c->first + k - 2] : c->prev) - c->base;
    const double half = 0.5 * (high - prev);
    return high - (half < c->max_error ? half : c->max_error);
}

/* --- slope phase: lines y = interval + add x with x = (k-1)/2 through the windows divided by k --- */

static void first_step(struct compress *c, double low, double high)
{
    c->slope_min = ADD_MIN;
    c->slope_max = ADD_MAX;
    c->through_max = (struct hull_point){0.0, low};
    c->through_min = (struct hull_point){0.0, high};
    c->low.points[0] = c->through_max;
    c->high.points[0] = c->through_min;
    c->low.begin = c->high.begin = 0;
    c->low.end = c->high.end = 1;
    c->seen = 1;
}

/* Is the turn a -> b -> p to the left (sign 1) or straight on? */
static inline bool is_reflex(const struct hull_point *a, const struct hull_point *b, const struct hull_point *p,
                             double sign)
{
    return sign * ((b->x - a->x) * (p->y - a->y) - (b->y - a->y) * (p->x - a->x)) >= 0.0;
}

/* Tangent slope from p (right of the chain) to the chain: sign 1 the smallest slope over the chain's points, -1 the
 * largest. Points before the tangent point will not be needed again. */
static inline double tangent(struct hull *h, const struct hull_point *p, double sign)
{
    int i = h->begin;
    double dx = p->x - h->points[i].x, dy = p->y - h->points[i].y;
    while (i + 1 < h->end) {
        const double dx2 = p->x - h->points[i + 1].x, dy2 = p->y - h->points[i + 1].y;
        if (sign * (dy2 * dx - dy * dx2) > 0.0)
            break;
        dx = dx2;
        dy = dy2;
        i++;
    }
    h->begin = i;
    return dy / dx;
}

static inline void hull_add(struct hull *h, const struct hull_point *p, double sign)
{
    while (h->end - h->begin >= 2 && is_reflex(&h->points[h->end - 2], &h->points[h->end - 1], p, sign))
        h->end--;
    h->points[h->end++] = *p;
}

/* Take step k into the run if some line still fits. */
static bool slope_step(struct compress *c, int k, double low_y, double high_y, double x)
{
    const struct hull_point low = {x, low_y}, high = {x, high_y};
    const double top = c->through_max.y + c->slope_max * (x - c->through_max.x);
    const double bottom = c->through_min.y + c->slope_min * (x - c->through_min.x);
    if (low_y > top || high_y < bottom)
        return false;
    if (high_y < top) {
        c->slope_max = tangent(&c->low, &high, 1.0);
        c->through_max = high;
    }
    if (low_y > bottom) {
        c->slope_min = tangent(&c->high, &low, -1.0);
        c->through_min = low;
    }
    hull_add(&c->low, &low, 1.0);
    hull_add(&c->high, &high, -1.0);
    c->slopes[2 * k] = c->slope_min;
    c->slopes[2 * k + 1] = c->slope_max;
    c->seen = k;
    return true;
}

/* --- whole numbers --- */

/* The intervals that, with `add`, put steps 1..n into their windows; false if there are none. */
static bool intervals_for(const struct compress *c, double add, int n, struct add_choice *choice)
{
    double min = -INFINITY, max = INFINITY;
    double prev = c->prev - c->base;
    for (int k = 1; k <= n; k++) {
        const double high = c->clocks[c->first + k - 1] - c->base, half = 0.5 * (high - prev);
        const double low = high - (half < c->max_error ? half : c->max_error);
        const double inv = 1.0 / k, bend = add * (0.5 * (k - 1));
        const double lo = low * inv - bend, hi = high * inv - bend;
        min = lo > min ? lo : min;
        max = hi < max ? hi : max;
        prev = high;
    }
    min = ceil(min - SLACK);
    max = floor(max + SLACK);
    if (min < 0.0)
        min = 0.0;
    if (max > STEP_INTERVAL_MAX)
        max = STEP_INTERVAL_MAX;
    *choice = (struct add_choice){add, min, max};
    return min <= max;
}

/* Few adds are left: from here on follow each with its range of intervals. False if none of them fits so far. */
static bool begin_counting(struct compress *c)
{
    const double from = ceil(c->slope_min - SLACK), to = floor(c->slope_max + SLACK);
    c->choice_count = 0;
    for (double add = from; add <= to && c->choice_count < ADD_CHOICES_MAX; add += 1.0) {
        struct add_choice choice;
        if (intervals_for(c, add, c->seen, &choice))
            c->choices[c->choice_count++] = choice;
    }
    return c->choice_count > 0;
}

/* Take step k into the run for those adds for which it fits. False, with nothing changed, if it fits for none. */
static bool count_step(struct compress *c, int k, double low, double high)
{
    struct add_choice kept[ADD_CHOICES_MAX];
    int count = 0;
    const double pairs = 0.5 * k * (k - 1.0);
    for (int i = 0; i < c->choice_count; i++) {
        struct add_choice choice = c->choices[i];
        const double bend = choice.add * pairs;
        if (choice.interval_min * k + bend < low)
            choice.interval_min = ceil((low - bend) / k - SLACK);
        if (choice.interval_max * k + bend > high)
            choice.interval_max = floor((high - bend) / k + SLACK);
        if (choice.interval_min <= choice.interval_max)
            kept[count++] = choice;
    }
    if (count == 0)
        return false;
    memcpy(c->choices, kept, (size_t)count * sizeof kept[0]);
    c->choice_count = count;
    c->seen = k;
    return true;
}

/* --- the message --- */

static int vlq_bytes(double v)
{
    return v >= -32.0 && v < 96.0 ? 1 : v >= -4096.0 && v < 12288.0 ? 2 : v >= -524288.0 && v < 1572864.0 ? 3 : 4;
}

/* Of an add's intervals the one to send: the largest, unless a smaller one takes a byte less. */
static double pick_interval(const struct add_choice *choice)
{
    const double max = choice->interval_max, min = choice->interval_min;
    if (vlq_bytes(min) < vlq_bytes(max))
        return max >= 1572864.0 && min < 1572864.0 ? 1572863.0 : max >= 12288.0 && min < 12288.0 ? 12287.0 : 95.0;
    return max;
}

static bool is_better(const struct add_choice *a, const struct add_choice *b)
{
    const int bytes_a = vlq_bytes(a->add) + vlq_bytes(pick_interval(a));
    const int bytes_b = vlq_bytes(b->add) + vlq_bytes(pick_interval(b));
    return bytes_a != bytes_b ? bytes_a < bytes_b : fabs(a->add) < fabs(b->add);
}

/* After the slope phase: the longest beginning of the run that whole numbers can follow. */
static int choose_from_slopes(struct compress *c, struct add_choice *best)
{
    for (int n = c->seen; n > 1; n--) {
        const double from = ceil(c->slopes[2 * n] - SLACK), to = floor(c->slopes[2 * n + 1] + SLACK);
        if (from > to)
            continue;
        /* Adds near the middle have the widest range of intervals; those near 0 the shortest code. */
        const double middle = floor(0.5 * (from + to));
        const double small = from > 95.0 ? from : to < -32.0 ? to : fmin(fmax(middle, fmax(from, -32.0)), fmin(to, 95.0));
        const double tries[] = {small, middle, middle + 1.0, from, to};
        for (size_t i = 0; i < ARRAY_COUNT(tries); i++)
            if (tries[i] >= from && tries[i] <= to && intervals_for(c, tries[i], n, best))
                return n;
    }
    const double high = window_high(c, 1);
    *best = (struct add_choice){0.0, ceil(window_low(c, 1, high)), high};
    return 1;
}

static int choose(struct compress *c, struct add_choice *best)
{
    if (!c->is_counting)
        return choose_from_slopes(c, best);
    *best = c->choices[0];
    for (int i = 1; i < c->choice_count; i++)
        if (is_better(&c->choices[i], best))
            *best = c->choices[i];
    return c->seen;
}

/* Look at further steps until the run cannot grow. */
static void extend(struct compress *c)
{
    const int available = c->end - c->first;
    int k = c->seen + 1;
    if (k == 1 && available > 0) {
        const double high = window_high(c, 1);
        first_step(c, window_low(c, 1, high), high);
        c->slopes[2] = c->slope_min;
        c->slopes[3] = c->slope_max;
        c->is_closed = high > STEP_FAR_TICKS;
        k = 2;
    }
    for (; k <= available && !c->is_closed; k++) {
        if (k > COMPRESS_RUN_MAX) {
            c->is_closed = true;
            return;
        }
        const double high = window_high(c, k), low = window_low(c, k, high);
        if (c->is_counting) {
            c->is_closed = !count_step(c, k, low, high);
            continue;
        }
        const double inv = 1.0 / k;
        if (!slope_step(c, k, low * inv, high * inv, 0.5 * (k - 1))) {
            c->is_closed = true;
        } else if (c->slope_max - c->slope_min < 3.0) {
            c->is_counting = begin_counting(c);
            c->is_closed = !c->is_counting;
        }
    }
}

bool compress_next(struct compress *c, bool is_forced, struct stepmsg *msg)
{
    if (!c->is_closed)
        extend(c);
    if (c->end == c->first || !(c->is_closed || is_forced))
        return false;
    struct add_choice best;
    double interval;
    int count = 1;
    const double far = window_high(c, 1);
    if (far > STEP_FAR_TICKS) {
        interval = far;
        best.add = 0.0;
    } else {
        count = choose(c, &best);
        interval = pick_interval(&best);
    }
    const double pairs = 0.5 * count * (count - 1.0);
    const double last = c->base + interval * count + best.add * pairs;
    msg->kind = STEPMSG_QUEUE;
    msg->interval = (uint32_t)(uint64_t)interval;
    msg->count = (uint16_t)count;
    msg->add = (int16_t)best.add;
    msg->req_clock = (uint64_t)(far > STEP_FAR_TICKS ? last : c->base);
    msg->first_clock = (uint64_t)(c->base + interval);
    msg->last_clock = (uint64_t)last;
    c->first += count;
    c->prev = c->clocks[c->first - 1];
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
