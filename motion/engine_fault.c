/* Faults, events and the snapshot: what the motion half tells the caller's half. */
#include "engine_int.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool motion_emit(struct motion *m, const struct engine_internal_event *ev)
{
    struct engine *e = m->e;
    if (!spsc_push(&e->events, ev)) {
        m->want_retry = true;
        return false;
    }
    if (e->config.machine)
        actor_notify(e->config.machine);
    return true;
}

struct text {
    char *at;
    size_t left;
};

static void add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(t->at, t->left, fmt, args);
    va_end(args);
    const size_t used = n < 0 ? 0 : (size_t)n < t->left ? (size_t)n : t->left - 1;
    t->at += used;
    t->left -= used;
}

static void add_moves(struct text *t, const struct motion *m)
{
    uint64_t i = m->la.held_begin;
    while (i < m->la.waiting_begin) {
        const struct move *mv = lookahead_at(&m->la, i);
        if (mv->print_time_s + move_duration_s(mv) > m->gen_s)
            break;
        i++;
    }
    const uint64_t from = i > m->la.held_begin + 1 ? i - 2 : m->la.held_begin;
    for (uint64_t k = from; k < m->la.waiting_begin && k < i + 3; k++) {
        const struct move *mv = lookahead_at(&m->la, k);
        add(t, "\n%s ", k == i ? "*" : " ");
        if ((int64_t)mv->tag.file_offset >= 0)
            add(t, "byte %lld of the file: ", (long long)mv->tag.file_offset);
        else if (mv->tag.line)
            add(t, "line %u: ", mv->tag.line);
        add(t, "%.3f %.3f %.3f [%.3f] -> %.3f %.3f %.3f [%.3f] at %.3f s, speeds %.2f %.2f %.2f mm/s, accel %.0f",
            mv->start_mm[0], mv->start_mm[1], mv->start_mm[2], mv->start_mm[3],
            mv->end_mm[0], mv->end_mm[1], mv->end_mm[2], mv->end_mm[3], mv->print_time_s, mv->start_v, mv->cruise_v,
            mv->end_v, mv->accel_mm_s2);
    }
}

void motion_fault(struct motion *m, const struct engine_stepper *s, const char *reason)
{
    struct engine *e = m->e;
    if (atomic_load(&e->is_faulted))
        return;
    struct text t = {e->fault_text, sizeof e->fault_text};
    if (s) {
        char binding[320] = "";
        binding_describe(s->sg, binding, sizeof binding);
        add(&t, "Motion stopped: stepper '%s' on queue '%s': %s. Last binding: %s. Steps made up to %.6f s.", s->name,
            s->queue ? s->queue->name : "none", reason, binding[0] ? binding : "none", m->gen_s);
    } else {
        add(&t, "Motion stopped: %s (at %.6f s).", reason, m->gen_s);
    }
    add_moves(&t, m);
    atomic_store(&e->is_faulted, true);
    atomic_store(&e->is_stopped, true);
    log_error(e->log, "engine", "motion fault", "reason=\"%s\" stepper=%s at_s=%.6f", reason, s ? s->name : "-", m->gen_s);
    if (e->config.machine)
        actor_notify(e->config.machine);
}

/* ---------------------------------------------------------------------------------------------------------- snapshot */

static struct engine_source executing(const struct motion *m)
{
    if (m->brake_until_s > m->est_s)
        return m->brake_source;
    if (m->la.held_begin < m->la.waiting_begin) {
        const struct move *mv = lookahead_at(&m->la, m->la.held_begin);
        return (struct engine_source){(int64_t)mv->tag.file_offset, mv->tag.line, mv->tag.cookie};
    }
    return ENGINE_SOURCE_NONE;
}

static void fill(struct motion *m, struct motion_snapshot *s)
{
    struct engine *e = m->e;
    memset(s, 0, sizeof *s);
    double vel[3], pos[3];
    s->print_time_s = m->print_time_s;
    (void)segq_position(&e->queues[0]->q, m->est_s, pos, vel);
    memcpy(s->live_pos, pos, sizeof pos);
    s->live_velocity = fm_sqrt(vel[0] * vel[0] + vel[1] * vel[1] + vel[2] * vel[2]);
    if (m->active) {
        (void)segq_position(&m->active->q, m->est_s, pos, vel);
        s->live_pos[3] = pos[0];
        s->live_e_velocity = vel[0];
    }
    for (unsigned i = 0; i < m->extra.count; i++) {
        (void)segq_position(&m->extra.axis[i].queue->q, m->est_s, pos, vel);
        s->live_pos[AXIS_EXTRA + i] = pos[0];
    }
    s->executed = executing(m);
    s->stalls = m->stalls;
    s->late_count = m->late_count;
    s->max_lead_us = m->max_lead_us;
    s->min_lead_us = m->min_lead_us == UINT32_MAX ? 0 : m->min_lead_us;
    s->max_wake_late_us = m->max_wake_late_us;
    s->moves = m->moves;
    s->is_empty = lookahead_waiting(&m->la) == 0 && spsc_count(&e->ring) == 0 && !m->has_barrier;
    s->is_idle = !m->was_busy;
}

void motion_snapshot_publish(struct motion *m)
{
    struct motion_snapshot s;
    fill(m, &s);
    published_write(&m->e->snapshot, &s, sizeof s);
}
