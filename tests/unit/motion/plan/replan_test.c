/* Other speeds in the middle of a plan: the path stays, the speed is continuous, no limit is broken, and slowing down is as
 * quick as the limits allow. */
#include "motion/plan/lookahead.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SEED      20261122
#define ROUNDS    4000
#define MOVES_MAX 64

static const struct move_limits limits = {300.0, 3000.0, 5.0, 0.5};

struct plan {
    struct lookahead la;
    struct move old[MOVES_MAX]; /* as they were added, with the start speeds the old plan allowed */
    int count;
    double pos[4], next_s, factor;
};

static struct move random_move(struct rng *rng, double pos[4], int line)
{
    double next[4] = {pos[0], pos[1], pos[2], pos[3]};
    const uint64_t kind = rng_below(rng, 10);
    const double scale = kind < 4 ? 0.2 : kind < 8 ? 3.0 : 40.0;
    if (kind != 9) {
        next[0] += rng_range(rng, -scale, scale);
        next[1] += rng_range(rng, -scale, scale);
    }
    if (kind == 9 || rng_below(rng, 2))
        next[3] += rng_range(rng, -0.5, 1.0);
    struct move m;
    const double speed = rng_range(rng, 5.0, 300.0);
    assert_true(move_init(&m, &limits, 4, pos, next, speed));
    m.feed_mm_s = rng_below(rng, 8) ? speed : 0.0;
    m.corner_v_mm_s[0] = 1.0;
    m.tag.line = (uint32_t)line;
    if (!m.is_kinematic)
        move_limit_speed(&m, 30.0, 2000.0);
    memcpy(pos, m.end_mm, sizeof m.end_mm[0] * 4);
    return m;
}

static void relimit(void *ctx, struct move *m)
{
    const struct plan *p = ctx;
    if (m->feed_mm_s > 0.0)
        move_set_speed(m, m->feed_mm_s * p->factor);
}

/* Give times to what was released. */
static void release(struct plan *p, size_t count)
{
    for (uint64_t i = p->la.waiting_begin - count; i < p->la.waiting_begin; i++) {
        struct move *m = lookahead_at(&p->la, i);
        m->print_time_s = p->next_s;
        p->next_s += move_duration_s(m);
    }
}

/* Position on the path [mm from its beginning] and speed at a time; false: that is not planned. */
static bool look(const struct plan *p, double t_s, double *mm, double *v)
{
    *mm = *v = 0.0;
    for (uint64_t i = p->la.held_begin; i < p->la.waiting_begin; i++) {
        const struct move *m = lookahead_at(&p->la, i);
        double d;
        if (t_s < m->print_time_s)
            return true;
        move_at(m, t_s - m->print_time_s, &d, v);
        if (t_s <= m->print_time_s + move_duration_s(m)) {
            *mm += d;
            return true;
        }
        *mm += m->length_mm;
    }
    return false;
}

static void check_piece(const struct move *m, const struct move *prev)
{
    const double eps = 1e-6, duration = move_duration_s(m);
    assert_true(m->accel_t >= 0.0 && m->cruise_t >= 0.0 && m->decel_t >= 0.0 && isfinite(duration));
    const double a = m->accel_mm_s2 * (1.0 + 1e-5);
    assert_true(fabs(m->cruise_v - m->start_v) <= a * m->accel_t + eps);
    assert_true(fabs(m->cruise_v - m->end_v) <= a * m->decel_t + eps);
    const double d = 0.5 * (m->start_v + m->cruise_v) * m->accel_t + m->cruise_v * m->cruise_t +
                     0.5 * (m->cruise_v + m->end_v) * m->decel_t;
    if (fabs(d - m->length_mm) > 1e-7 * (1.0 + m->length_mm))
        fail_msg("line %u: %.12g mm instead of %.12g: speeds %.9g %.9g %.9g, times %.9g %.9g %.9g, accel %.9g", m->tag.line, d,
                 m->length_mm, m->start_v, m->cruise_v, m->end_v, m->accel_t, m->cruise_t, m->decel_t, m->accel_mm_s2);
    assert_true(fabs(m->start_v - (prev ? prev->end_v : 0.0)) <= 1e-5 * (1.0 + m->start_v));
}

static void check_path(const struct plan *p)
{
    double mm = 0.0, total = 0.0;
    for (int i = 0; i < p->count; i++)
        total += p->old[i].length_mm;
    uint32_t line = 0;
    for (uint64_t i = p->la.held_begin; i < p->la.end; i++) {
        const struct move *m = lookahead_at(&p->la, i), *prev = i > p->la.held_begin ? lookahead_at(&p->la, i - 1) : NULL;
        const struct move *old = &p->old[m->tag.line];
        assert_true(m->tag.line >= line && m->tag.line <= line + 1);
        line = m->tag.line;
        mm += m->length_mm;
        for (int k = 0; k < 4; k++) {
            assert_true(fabs(m->start_mm[k] - (prev ? prev->end_mm[k] : 0.0)) < 1e-9);
            assert_true(m->r[k] == old->r[k]);
        }
        assert_true(m->accel_mm_s2 == old->accel_mm_s2);
    }
    assert_int_equal(line, p->count - 1);
    for (int k = 0; k < 4; k++)
        assert_true(lookahead_at(&p->la, p->la.end - 1)->end_mm[k] == p->pos[k]);
    assert_true(fabs(mm - total) < 1e-7);
}

static void replan_once(struct plan *p, struct rng *rng)
{
    const double cut_s = rng_range(rng, p->next_s - 0.6, p->next_s + 0.01);
    double mm, v, mm_after, v_after;
    const bool is_known = look(p, cut_s, &mm, &v);
    struct lookahead_replan r;
    p->factor = rng_range(rng, 0.05, 3.0);
    lookahead_replan(&p->la, cut_s, p->next_s, relimit, p, &r);
    if (is_known)
        assert_true(r.from_s >= cut_s || fabs(r.from_s - cut_s) < 1e-12);
    /* what is final slows down, at the limit, from the speed there was */
    double t_s = r.from_s, at_v = v;
    for (uint64_t i = r.first; i < p->la.waiting_begin; i++) {
        const struct move *m = lookahead_at(&p->la, i);
        assert_true(fabs(m->print_time_s - t_s) < 1e-9 && m->accel_t == 0.0 && m->cruise_t == 0.0);
        if (i == r.first && is_known && r.from_s == cut_s)
            assert_true(fabs(m->start_v - at_v) < 1e-6);
        const double rate = (m->start_v - m->end_v) / m->decel_t;
        assert_true(m->end_v < 1e-3 || fabs(rate - m->accel_mm_s2) < 1e-3 * m->accel_mm_s2);
        const struct move *old = &p->old[m->tag.line];
        for (int k = 0; k < 4 && i > r.first && lookahead_at(&p->la, i - 1)->tag.line != m->tag.line; k++)
            assert_true(m->start_v * m->start_v <= old->max_start_v2 * (1 + 1e-6) + 1e-6);
        t_s += m->decel_t;
    }
    assert_true(fabs(t_s - r.until_s) < 1e-9);
    p->next_s = r.until_s;
    release(p, lookahead_flush(&p->la, rng_below(rng, 2) == 0));
    if (is_known && look(p, cut_s, &mm_after, &v_after)) {
        assert_true(fabs(mm - mm_after) < 1e-7);
        assert_true(fabs(v - v_after) < 1e-5 * (1 + v));
    }
    /* where it waited, the new limits hold */
    const double entry = r.first < p->la.waiting_begin ? 1.0 : 1.0 + 1e-6;
    for (uint64_t i = r.first; i < p->la.waiting_begin; i++) {
        const struct move *m = lookahead_at(&p->la, i);
        if (m->print_time_s >= r.until_s && i > r.first)
            assert_true(m->cruise_v * m->cruise_v <= m->max_cruise_v2 * (1.0 + 1e-6) * entry);
        assert_true(m->max_cruise_v2 <= m->limit_v2);
    }
    /* the next plan's start speeds are what this one allows */
    for (uint64_t i = r.first; i < p->la.end; i++)
        if (i > r.first && lookahead_at(&p->la, i)->tag.line != lookahead_at(&p->la, i - 1)->tag.line)
            p->old[lookahead_at(&p->la, i)->tag.line].max_start_v2 = lookahead_at(&p->la, i)->max_start_v2;
}

static void test_replan(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED);
    for (int round = 0; round < ROUNDS; round++) {
        struct plan p = {.next_s = 10.0, .factor = 1.0};
        lookahead_init(&p.la, 256);
        const uint64_t begin = p.la.end;
        p.count = 2 + (int)rng_below(&rng, MOVES_MAX - 2);
        for (int i = 0; i < p.count; i++) {
            const struct move m = random_move(&rng, p.pos, i);
            lookahead_add(&p.la, &m);
            p.old[i] = *lookahead_at(&p.la, begin + (uint64_t)i);
            if (rng_below(&rng, 20) == 0)
                release(&p, lookahead_force(&p.la, (size_t)rng_below(&rng, lookahead_waiting(&p.la))));
        }
        release(&p, lookahead_flush(&p.la, rng_below(&rng, 2) == 0));
        for (uint64_t times = 1 + rng_below(&rng, 4); times > 0; times--) {
            for (uint64_t i = p.la.held_begin; i < p.la.end; i++) /* forced releases may lower what was allowed */
                if (i == p.la.held_begin || lookahead_at(&p.la, i)->tag.line != lookahead_at(&p.la, i - 1)->tag.line)
                    p.old[lookahead_at(&p.la, i)->tag.line].max_start_v2 =
                        isfinite(lookahead_at(&p.la, i)->max_start_v2) ? lookahead_at(&p.la, i)->max_start_v2 : 1e12;
            replan_once(&p, &rng);
            check_path(&p);
        }
        release(&p, lookahead_flush(&p.la, false));
        check_path(&p);
        for (uint64_t i = p.la.held_begin; i < p.la.end; i++)
            check_piece(lookahead_at(&p.la, i), i > p.la.held_begin ? lookahead_at(&p.la, i - 1) : NULL);
        assert_true(lookahead_at(&p.la, p.la.end - 1)->end_v == 0.0);
        lookahead_deinit(&p.la);
    }
}

/* One long move at 100 mm/s, slowed to 40 % and sped up to 200 %, by hand. */
static void test_numbers(void **state)
{
    (void)state;
    struct plan p = {.next_s = 10.0};
    lookahead_init(&p.la, 64);
    struct move m;
    assert_true(move_init(&m, &limits, 4, (const double[4]){0}, (const double[4]){100, 0, 0, 0}, 100.0));
    m.feed_mm_s = 100.0;
    lookahead_add(&p.la, &m);
    release(&p, lookahead_flush(&p.la, false));
    struct lookahead_replan r;
    p.factor = 0.4;
    lookahead_replan(&p.la, 10.5, p.next_s, relimit, &p, &r);
    assert_true(r.from_s == 10.5);
    assert_true(fabs(r.until_s - (10.5 + 60.0 / 3000.0)) < 1e-12);
    assert_int_equal(r.split_count, 2);
    assert_int_equal(p.la.waiting_begin - p.la.held_begin, 2);
    p.next_s = r.until_s;
    release(&p, lookahead_flush(&p.la, false));
    const struct move *rest = lookahead_at(&p.la, p.la.end - 1);
    assert_true(rest->start_v == 40.0 && rest->cruise_v == 40.0);
    /* 48.333 mm until the cut, 1.4 mm slowing down */
    assert_true(fabs(rest->start_mm[0] - (100.0 * 0.5 - 100.0 * 100.0 / 6000.0 + (1e4 - 1600.0) / 6000.0)) < 1e-9);
    p.factor = 2.0;
    lookahead_replan(&p.la, 11.0, p.next_s, relimit, &p, &r);
    assert_true(r.from_s == 11.0 && r.until_s == 11.0 && r.split_count == 1 && r.first == p.la.waiting_begin);
    release(&p, lookahead_flush(&p.la, false));
    rest = lookahead_at(&p.la, p.la.end - 1);
    assert_true(rest->start_v == 40.0 && rest->cruise_v > 100.0 && rest->cruise_v <= 200.0 && rest->end_v == 0.0);
    lookahead_deinit(&p.la);
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_replan)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
