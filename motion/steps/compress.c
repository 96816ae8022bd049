#include "motion/steps/compress.h"

#include "base/check.h"
#include "base/mem.h"
#include "motion/steps/compress_find.h"
#include "motion/steps/stepgen.h"

#include <math.h>
#include <string.h>

/* Room for steps beyond the longest run; half of it is sent before the rest moves to the front. */
static int spare(const struct compress *c)
{
    return c->run_max / 2;
}

void compress_init(struct compress *c, double max_error_ticks, int run_max)
{
    CHECK(run_max >= COMPRESS_RUN_MIN && run_max <= COMPRESS_RUN_MAX);
    *c = (struct compress){.run_max = run_max, .max_error = floor(max_error_ticks)};
    c->capacity = run_max + spare(c);
    c->clocks = MEM_ARRAY(double, (size_t)c->capacity + 1);
    c->first = c->end = 1; /* the slot before `first` holds the exact clock of the step before */
    c->low = MEM_ARRAY(double, SCAN_LANES + (size_t)run_max) + SCAN_LANES;
    c->high = MEM_ARRAY(double, SCAN_LANES + (size_t)run_max) + SCAN_LANES;
    for (int i = 1; i <= SCAN_LANES; i++) {
        c->low[-i] = -INFINITY;
        c->high[-i] = INFINITY;
    }
    c->inverse = MEM_ARRAY(double, (size_t)run_max + 1);
    c->look_at = COMPRESS_LOOK_MIN;
    c->guess = 1;
    c->kernels = scan_choose();
}

void compress_deinit(struct compress *c)
{
    mem_free(c->clocks);
    mem_free(c->low - SCAN_LANES);
    mem_free(c->high - SCAN_LANES);
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
    if (c->first > spare(c) / 2 || c->end + count > c->capacity + 1) {
        memmove(c->clocks, c->clocks + c->first - 1, (size_t)(c->end - c->first + 1) * sizeof *c->clocks);
        c->end -= c->first - 1;
        c->first = 1;
    }
    memcpy(c->clocks + c->end, clocks, (size_t)count * sizeof *clocks);
    c->end += count;
}

bool compress_next(struct compress *c, bool is_forced, struct stepmsg *msg)
{
    const int pending = c->end - c->first;
    if (pending == 0 || (!is_forced && pending < c->look_at))
        return false;
    const int limit = pending < c->run_max ? pending : c->run_max;
    const struct compress_choice best = compress_find(c, limit);
    if (!is_forced && best.count == pending && pending < c->run_max) {
        c->look_at = 2 * pending < c->run_max ? 2 * pending : c->run_max;
        return false;
    }
    const bool is_far = best.count == 1 && c->high[0] > STEP_FAR_TICKS;
    const double interval = is_far ? c->high[0] : best.interval, pairs = 0.5 * best.count * (best.count - 1.0);
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

void compress_measure(uint64_t base, const struct stepmsg *msg, const double *clocks, double prev,
                      struct compress_deviation *worst)
{
    double before = prev;
    for (uint32_t k = 1; k <= msg->count; k++) {
        const int64_t offset = (int64_t)msg->interval * k + (int64_t)msg->add * ((int64_t)k * (k - 1) / 2);
        const double clock = msg->count == 1 ? (double)msg->last_clock : (double)base + (double)offset;
        const double early = clocks[k - 1] - clock, half = 0.5 * (clocks[k - 1] - before);
        worst->late_ticks = -early > worst->late_ticks ? -early : worst->late_ticks;
        worst->early_ticks = early > worst->early_ticks ? early : worst->early_ticks;
        if (early > worst->early_share * half)
            worst->early_share = early / half;
        before = clocks[k - 1];
    }
    worst->steps += msg->count;
}
