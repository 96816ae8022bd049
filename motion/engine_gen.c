/* Generating steps: how far, in which stretches, on which threads.
 *
 * Live, steps are made up to `horizon - window` ahead of the boards and no further: what lies beyond is still a plan that
 * a hold can take back. Offline, stretches of some seconds are handed to a team of threads while the caller's thread goes
 * on planning behind them. */
#include "engine_int.h"

#include <math.h>

#define TIME_NEAR_S   1e-9
#define MOTOR_AFTER_S 0.05 /* a stretch in which motors are switched ends so long after, before anything can move again */

/* Follow the boards' clocks: a secondary board's drifts against the main one. */
static void update_clocks(struct motion *m)
{
    if (!m->is_batch)
        boards_calibrate(m->e->boards, m->now, (struct print_time){m->gen_s});
    for (unsigned i = 0; i < m->e->mboard_count; i++) {
        struct motion_board *mb = &m->e->mboards[i];
        const struct board_time map = board_time_map(mb->board);
        if (map.offset_s == mb->map.offset_s && map.freq_hz == mb->map.freq_hz)
            continue;
        mb->map = map;
        for (unsigned k = 0; k < mb->stepper_count; k++)
            stepgen_set_clock(mb->steppers[k]->sg, map.offset_s, 0.0, map.freq_hz);
    }
}

static uint64_t send_clock(const struct motion_board *mb, double until_s)
{
    return isinf(until_s) ? UINT64_MAX : board_ticks_at(mb->board, (struct print_time){until_s}).t;
}

void gen_begin(struct motion *m, double to_s, double send_until_s)
{
    CHECK(!m->gen.is_running && to_s >= m->gen_s - TIME_NEAR_S);
    timed_before_gen(m, to_s);
    update_clocks(m);
    struct engine *e = m->e;
    m->gen.count = 0;
    for (unsigned i = 0; i < e->stepper_count; i++) {
        struct engine_stepper *s = e->steppers[i];
        m->gen.of_job[m->gen.count] = s;
        m->gen.jobs[m->gen.count++] = (struct stepteam_job){
            .stepper = s->sg, .goal = stepgen_make_goal(s->sg, to_s, send_clock(s->board, send_until_s))};
    }
    m->gen.to_s = to_s;
    m->gen.send_until_s = send_until_s;
    m->all_sent = isinf(send_until_s);
    m->gen.is_running = true;
    stepteam_begin(m->gen.team, m->gen.jobs, m->gen.count);
}

static void retire_segments(struct motion *m)
{
    struct engine *e = m->e;
    for (unsigned i = 0; i < e->queue_count; i++)
        segq_retire(&e->queues[i]->q, m->gen_s - m->kfd_s);
}

static bool is_solved(const struct motion *m)
{
    for (size_t i = 0; i < m->gen.count; i++) {
        const struct engine_stepper *s = m->gen.of_job[i];
        if (stepgen_queue(s->sg) && stepgen_solved_s(s->sg) < m->gen.to_s)
            return false;
    }
    return true;
}

/* Wait for the work that was begun and take the records. False: a fault; nothing is to be sent. */
static bool collect(struct motion *m)
{
    stepteam_finish(m->gen.team);
    m->gen.is_running = false;
    for (size_t i = 0; i < m->gen.count; i++) {
        if (m->gen.jobs[i].result == OK)
            continue;
        motion_fault(m, m->gen.of_job[i], stepgen_fault(m->gen.of_job[i]->sg));
        return false;
    }
    if (m->home.phase == HOME_DONE)
        home_discard(m);
    for (unsigned i = 0; i < m->e->stepper_count; i++) {
        struct engine_stepper *s = m->e->steppers[i];
        s->records = stepgen_take_output(s->sg, &s->record_count);
    }
    m->gen.is_whole = is_solved(m);
    if (m->gen.is_whole)
        m->gen_s = fmax(m->gen_s, m->gen.to_s);
    return true;
}

/* Check and send what was collected. */
static bool deliver(struct motion *m, double until_s)
{
    if (!send_check(m))
        return false;
    send_merge(m, until_s);
    return true;
}

/* How far what waits for its time may be sent once the records are. */
static double due_s(const struct motion *m)
{
    return m->gen.is_whole ? fmin(m->gen.send_until_s, m->gen.to_s) : m->gen_s;
}

/* The stretch is collected: deliver it, and again what it still lacked because an output was full. */
static bool complete(struct motion *m)
{
    while (!m->gen.is_whole) {
        if (!deliver(m, due_s(m)))
            return false;
        if (atomic_load(&m->e->is_stopped))
            break;
        stepteam_begin(m->gen.team, m->gen.jobs, m->gen.count);
        if (!collect(m))
            return false;
    }
    return true;
}

static void tidy(struct motion *m)
{
    if (!m->is_batch)
        return;
    lookahead_retire(&m->la, m->gen_s);
    timed_run_due(m);
    timed_trim(m);
}

void gen_finish(struct motion *m)
{
    if (!m->gen.is_running || !collect(m) || !complete(m))
        return;
    if (m->gen.is_whole && !deliver(m, due_s(m)))
        return;
    retire_segments(m);
    tidy(m);
}

/* Finish the stretch that runs and begin one that ends at to_s, which runs while the first one's records are sent. */
static void begin_next(struct motion *m, double to_s)
{
    const bool was_running = m->gen.is_running;
    double until_s = 0.0;
    if (was_running) {
        if (!collect(m) || !complete(m) || !m->gen.is_whole)
            return;
        until_s = due_s(m);
        retire_segments(m);
    }
    gen_begin(m, to_s, to_s - SEND_LAG_S);
    if (was_running && deliver(m, until_s))
        tidy(m);
}

void gen_to(struct motion *m, double to_s, double send_until_s)
{
    gen_begin(m, to_s, send_until_s);
    gen_finish(m);
}

/* One stretch towards `target_s`, not across a switch of motors. Past the end of all motion nothing is kept back. */
static void stretch(struct motion *m, double target_s, double end_s, double lag_s)
{
    const double to = fmin(target_s, timed_next_motor_s(m, m->gen_s) + MOTOR_AFTER_S);
    gen_to(m, to, to >= end_s - TIME_NEAR_S ? (double)INFINITY : to - lag_s);
}

static void note_ahead(struct motion *m, double ahead_s)
{
    histogram_add(&m->ahead, ahead_s * 1e6);
    if (ahead_s < ENGINE_BUFFER_LOW_S)
        atomic_fetch_add_explicit(&m->low_count, 1, memory_order_relaxed);
}

void gen_live(struct motion *m)
{
    if (!send_spill(m))
        return; /* woken when there is room */
    if (m->home.phase != HOME_NONE && m->home.phase != HOME_DRIP)
        return; /* stopping: no step more */
    const bool is_drip = m->home.phase == HOME_DRIP;
    const double ahead = is_drip ? m->drip_ahead_s : m->horizon_s - m->kfd_s;
    const double target = m->est_s + ahead;
    const double end = m->motion_end_s + m->kfd_s;
    const double batch = is_drip ? BATCH_LIVE_S * 0.5 : BATCH_LIVE_S;
    if (m->is_midway && !is_drip && m->gen_s < end - TIME_NEAR_S)
        note_ahead(m, m->gen_s - m->est_s);
    while (m->gen_s < end - TIME_NEAR_S && !atomic_load(&m->e->is_stopped)) {
        const double to = fmin(target, end);
        if (to <= m->gen_s + TIME_NEAR_S || (to < end && to - m->gen_s < batch))
            break;
        const double before = m->gen_s;
        stretch(m, to, end, is_drip ? 0.0 : SEND_LAG_S);
        if (m->gen_s <= before)
            return; /* fault */
    }
    m->is_midway = m->gen_s < end - TIME_NEAR_S && m->gen_s > m->est_s;
    if (m->gen_s < end - TIME_NEAR_S || atomic_load(&m->e->is_stopped))
        return;
    /* Nothing moves any more: what was kept back goes out, outputs and motors on their own. */
    if (!m->all_sent)
        gen_to(m, m->gen_s, INFINITY);
    send_merge(m, target);
}

/* How far offline generation may go with what is planned: moves yet to come may start at print_time. */
static double batch_limit_s(const struct motion *m)
{
    return m->print_time_s - m->kfd_s;
}

static bool is_batch_crowded(const struct motion *m)
{
    if (lookahead_room(&m->la) < (m->la.mask + 1) / 4 || m->timed_end - m->timed_begin > TIMED_ITEMS / 2)
        return true;
    for (unsigned i = 0; i < m->e->queue_count; i++)
        if (segq_room(&m->e->queues[i]->q) < (m->e->queues[i]->q.mask + 1) / 4)
            return true;
    return false;
}

void gen_batch(struct motion *m)
{
    const double begun = m->gen.is_running ? m->gen.to_s : m->gen_s;
    const double limit = batch_limit_s(m);
    if (limit - begun < BATCH_CHUNK_S && !is_batch_crowded(m))
        return;
    const double from = fmax(begun, m->gen_s);
    const double motor = timed_next_motor_s(m, from) + MOTOR_AFTER_S;
    const double to = fmin(limit, motor);
    if (to <= from || atomic_load(&m->e->is_stopped))
        gen_finish(m);
    else
        begin_next(m, to);
}

void gen_batch_all(struct motion *m)
{
    gen_finish(m);
    const double limit = batch_limit_s(m);
    while (m->gen_s < limit - TIME_NEAR_S && !atomic_load(&m->e->is_stopped))
        stretch(m, limit, INFINITY, SEND_LAG_S);
    if (lookahead_waiting(&m->la) == 0)
        send_merge(m, INFINITY);
}
