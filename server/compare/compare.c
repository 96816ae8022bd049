#include "server/compare/compare.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>

void step_list_init(struct step_list *list)
{
    *list = (struct step_list){.is_rising = true};
}

void step_list_deinit(struct step_list *list)
{
    mem_free(list->clocks);
    mem_free(list->dirs);
    step_list_init(list);
}

void step_list_add(struct step_list *list, uint64_t clock, int dir)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 4096;
        list->clocks = mem_realloc(list->clocks, list->capacity * sizeof *list->clocks);
        list->dirs = mem_realloc(list->dirs, list->capacity * sizeof *list->dirs);
    }
    if (list->count && clock <= list->clocks[list->count - 1])
        list->is_rising = false;
    list->clocks[list->count] = clock;
    list->dirs[list->count++] = (int8_t)dir;
}

void step_list_add_queue(struct step_list *list, uint64_t base, uint32_t interval, uint16_t count, int16_t add, int dir)
{
    int64_t clock = (int64_t)base, step = interval;
    list->queue_commands++;
    for (uint32_t k = 0; k < count; k++) {
        clock += step;
        step += add;
        step_list_add(list, (uint64_t)clock, dir);
    }
}

static uint64_t first_clock(const struct step_list *const *lists, unsigned count)
{
    uint64_t first = UINT64_MAX;
    for (unsigned i = 0; i < count; i++)
        if (lists[i] && lists[i]->count && lists[i]->clocks[0] < first)
            first = lists[i]->clocks[0];
    return first;
}

struct cursor {
    const struct step_list *list;
    size_t next;
    int64_t position;
};

/* Position at `s` seconds after clock `first`. */
static int64_t position_at(struct cursor *c, uint64_t first, double s, double frequency_hz)
{
    const uint64_t clock = first + (uint64_t)(s * frequency_hz);
    while (c->next < c->list->count && c->list->clocks[c->next] <= clock)
        c->position += c->list->dirs[c->next++];
    return c->position;
}

static void compare_one(const struct step_list *a, uint64_t first_a, double hz_a, const struct step_list *b,
                        uint64_t first_b, double hz_b, struct compare_result *r)
{
    *r = (struct compare_result){0};
    double end_a = a->count ? (double)(a->clocks[a->count - 1] - first_a) / hz_a : 0.0;
    double end_b = b->count ? (double)(b->clocks[b->count - 1] - first_b) / hz_b : 0.0;
    struct cursor ca = {a, 0, 0}, cb = {b, 0, 0};
    const double end = end_a > end_b ? end_a : end_b;
    for (uint64_t i = 0;; i++) {
        const double s = (double)i * COMPARE_SAMPLE_S;
        const int64_t diff = llabs(position_at(&ca, first_a, s, hz_a) - position_at(&cb, first_b, s, hz_b));
        r->samples++;
        r->over_one += diff > 1;
        r->over_two += diff > 2;
        r->max_diff = diff > r->max_diff ? diff : r->max_diff;
        if (s > end + COMPARE_SAMPLE_S)
            break;
    }
    r->end_diff = ca.position - cb.position;
    r->last_diff_s = end_a - end_b;
}

void compare_all(const struct oracle *o, const struct step_list *const *ours, double frequency_hz,
                 struct compare_result *results)
{
    const struct step_list *theirs[COMPARE_STEPPERS_MAX];
    for (unsigned i = 0; i < o->stepper_count; i++)
        theirs[i] = &o->stepper[i].steps;
    const uint64_t first_a = first_clock(ours, o->stepper_count), first_b = first_clock(theirs, o->stepper_count);
    for (unsigned i = 0; i < o->stepper_count; i++)
        compare_one(ours[i], first_a, frequency_hz, theirs[i], first_b, o->frequency_hz, &results[i]);
}

static bool is_exact(const struct compare_result *r, const struct step_list *ours)
{
    return r->exact_steps == 0 || (r->exact_steps == ours->count && r->late_us <= 0.0 &&
                                   r->early_us <= COMPARE_EARLY_MAX_US && r->early_share <= 1.0);
}

bool compare_passes(const struct compare_result *r, const struct step_list *ours)
{
    return ours->is_rising && r->over_two == 0 && r->over_one * 1000 <= r->samples && r->end_diff == 0 &&
           r->last_diff_s < 0.010 && r->last_diff_s > -0.010 && is_exact(r, ours);
}

bool compare_print(FILE *out, const struct oracle *o, const struct step_list *const *ours,
                   const struct compare_result *results, uint64_t bytes)
{
    bool passes = true;
    fprintf(out, "%-16s %9s %9s %8s %8s %4s %9s %5s %9s %8s %6s %7s  %s\n", "stepper", "steps", "recorded", "commands",
            "recorded", "max", ">1 step", "end", "last ms", "early us", "share", "late us", "");
    for (unsigned i = 0; i < o->stepper_count; i++) {
        const struct oracle_stepper *s = &o->stepper[i];
        const bool is_good = compare_passes(&results[i], ours[i]);
        passes = passes && is_good;
        fprintf(out, "%-16s %9zu %9zu %8llu %8llu %4lld %9.6f %5lld %9.4f %8.3f %6.3f %7.3f  %s%s\n", s->name, ours[i]->count,
                s->steps.count, (unsigned long long)ours[i]->queue_commands, (unsigned long long)s->queue_step,
                (long long)results[i].max_diff, (double)results[i].over_one / (double)results[i].samples,
                (long long)results[i].end_diff, results[i].last_diff_s * 1e3, results[i].early_us, results[i].early_share,
                results[i].late_us, is_good ? "ok" : "DIFFERENT",
                ours[i]->is_rising ? "" : " CLOCKS NOT RISING");
    }
    if (bytes) {
        const bool is_small = bytes <= o->mcu_bytes;
        fprintf(out, "bytes %llu, recorded %llu (%.1f %%) %s\n", (unsigned long long)bytes,
                (unsigned long long)o->mcu_bytes, 100.0 * (double)bytes / (double)o->mcu_bytes,
                is_small ? "ok" : "MORE");
        passes = passes && is_small;
    }
    return passes;
}
