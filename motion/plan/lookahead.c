#include "motion/plan/lookahead.h"

#include "base/check.h"
#include "base/fmath.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

/* Result of the backward pass for one waiting move; squared speeds. */
struct lookahead_plan {
    double start_v2, cruise_v2, next_v2;
    double mcr_start_v2;
};

#define NUMBER_FIRST     ((uint64_t)1 << 32) /* of the moves: lookahead_replan may count down from it */
#define CRUISE_FROM_PREV (-1.0) /* the move only brakes: it cruises no faster than the move before it */

void lookahead_init(struct lookahead *la, size_t capacity)
{
    size_t size = 16;
    while (size < capacity)
        size *= 2;
    *la = (struct lookahead){
        .moves = MEM_ARRAY(struct move, size), .mask = size - 1, .scratch = MEM_ARRAY(struct lookahead_plan, size),
        .bound_v2 = MEM_ARRAY(double, size)};
    la->held_begin = la->waiting_begin = la->end = NUMBER_FIRST;
    lookahead_prime(la, LOOKAHEAD_BUDGET_PRIME_S);
}

void lookahead_deinit(struct lookahead *la)
{
    mem_free(la->moves);
    mem_free(la->scratch);
    mem_free(la->bound_v2);
    la->bound_v2 = NULL;
    la->moves = NULL;
    la->scratch = NULL;
}

void lookahead_prime(struct lookahead *la, double budget_s)
{
    la->budget_s = budget_s;
}

bool lookahead_add(struct lookahead *la, const struct move *m)
{
    CHECK(lookahead_room(la) > 0 && m->length_mm > 0.0);
    struct move *own = lookahead_at(la, la->end);
    *own = *m;
    la->end++;
    if (lookahead_waiting(la) == 1) {
        own->max_start_v2 = 0.0;
        own->max_mcr_start_v2 = 0.0;
        return false;
    }
    move_join(own, lookahead_at(la, la->end - 2));
    la->budget_s -= own->min_time_s;
    return la->budget_s <= 0.0;
}

/* Backward pass: from the last move, which ends at rest, find for each how fast it may start so that everything after
 * it can still brake, and how fast it may cruise in the profile smoothed by minimum_cruise_ratio. Returns how many
 * moves from the first on are final: all of them, or (lazy) those before the last speed peak. */
static size_t backward_pass(struct lookahead *la, bool is_lazy)
{
    const size_t n = lookahead_waiting(la);
    double next = 0.0, next_mcr = 0.0, peak = 0.0;
    size_t pending = 0, final_count = n;
    bool is_wanted = is_lazy;
    for (size_t i = n; i-- > 0;) {
        const struct move *m = lookahead_at(la, la->waiting_begin + i);
        const double reach = next + m->delta_v2;
        const double start = fmin(m->max_start_v2, reach);
        const double reach_mcr = next_mcr + m->mcr_delta_v2;
        const double start_mcr = fmin(m->max_mcr_start_v2, reach_mcr);
        double cruise = CRUISE_FROM_PREV;
        pending++;
        if (start_mcr < reach_mcr) {
            /* In the smoothed profile this move can accelerate. */
            if (start_mcr + m->mcr_delta_v2 > next_mcr || pending > 1) {
                if (is_wanted && peak > 0.0) {
                    final_count = i + pending;
                    is_wanted = false;
                }
                peak = (start_mcr + reach_mcr) * 0.5;
            }
            cruise = fmin(fmin((start + reach) * 0.5, m->max_cruise_v2), peak);
            pending = 0;
        }
        la->scratch[i] = (struct lookahead_plan){start, cruise, next, start_mcr};
        next = start;
        next_mcr = start_mcr;
    }
    return is_wanted ? 0 : final_count;
}

/* Give the first `count` waiting moves the profile found by the backward pass and hold them. Each starts with exactly
 * the speed the one before it ends with; where moves were forced out early that may be more than the smoothed cruise
 * speed of those behind, which then brake from it. */
static void release(struct lookahead *la, size_t count)
{
    double prev_cruise = la->prev_cruise_v2, entry = la->entry_v2;
    for (size_t i = 0; i < count; i++) {
        const struct lookahead_plan *p = &la->scratch[i];
        double cruise = p->cruise_v2;
        if (cruise < 0.0)
            cruise = fmin(prev_cruise, p->start_v2);
        cruise = fmax(cruise, entry);
        const double end = fmin(p->next_v2, cruise);
        move_set_profile(lookahead_at(la, la->waiting_begin + i), entry, cruise, end);
        prev_cruise = cruise;
        entry = end;
    }
    la->waiting_begin += count;
    la->prev_cruise_v2 = 0.0;
    la->entry_v2 = entry;
}

size_t lookahead_flush(struct lookahead *la, bool lazy)
{
    la->budget_s = LOOKAHEAD_BUDGET_S;
    if (lookahead_waiting(la) == 0)
        return 0;
    const size_t count = backward_pass(la, lazy);
    if (count > 0)
        release(la, count);
    return count;
}

size_t lookahead_force(struct lookahead *la, size_t count)
{
    const size_t n = lookahead_waiting(la);
    CHECK(count <= n);
    if (count == n)
        return lookahead_flush(la, false);
    if (count == 0)
        return 0;
    backward_pass(la, false);
    release(la, count);
    const struct move *last = lookahead_at(la, la->waiting_begin - 1);
    struct move *next = lookahead_at(la, la->waiting_begin);
    /* What was assumed for the rest is now a fact: it starts with exactly the speed the last released move ends with.
     * More moves behind it only raise what it can brake from, so this start stays possible. */
    next->max_start_v2 = la->entry_v2;
    next->max_mcr_start_v2 = fmin(next->max_start_v2, la->scratch[count].mcr_start_v2);
    la->prev_cruise_v2 = last->cruise_v * last->cruise_v;
    return count;
}

void lookahead_retire(struct lookahead *la, double t_s)
{
    while (la->held_begin < la->waiting_begin) {
        const struct move *m = lookahead_at(la, la->held_begin);
        if (m->print_time_s + move_duration_s(m) > t_s)
            break;
        la->held_begin++;
    }
}
