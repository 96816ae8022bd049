/* Homing and probing on the motion thread: a move that is generated only just ahead of the boards, armed triggers that
 * stop it, and the positions read back afterwards.
 *
 *   START     plan the move, arm triggers and endstops
 *   DRIP      steps are generated at most drip_ahead_s ahead, until every trigger has ended
 *   STOPPING  generation rests; disarm everywhere, collect the reasons
 *   ASKING    where did the motors stop, when did the endstops trigger
 *   then the plan behind is wiped, the counts are taken over, and the position is set at a fence. */
#include "engine_int.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SAMPLE_S       15e-6
#define SAMPLE_COUNT   4
#define REST_DEFAULT_S 0.001
#define DWELL_S        0.001
#define END_GRACE_S    1.0  /* after the move's end: the boards report it within this time, else it counts as ended */
#define POLL_S         0.005

static void send_now(struct motion *m, struct board_lane *lane, const struct board_format *format, const int64_t *args,
                     size_t arg_count)
{
    struct board_msg msg;
    CHECK(board_encode(format, args, arg_count, NULL, 0, &msg) == OK);
    if (board_lane_push(lane, &msg, (struct board_timing){0}) != OK)
        motion_fault(m, NULL, "a board takes no commands while homing");
}

/* ------------------------------------------------------------------------------------------------------ starting */

static bool is_moved(const struct home *h, const struct engine_stepper *s)
{
    return s->queue == h->queue;
}

static void list_steppers(struct motion *m)
{
    struct home *h = &m->home;
    h->stepper_count = 0;
    for (unsigned i = 0; i < m->e->stepper_count; i++) {
        struct engine_stepper *s = m->e->steppers[i];
        if (!is_moved(h, s))
            continue;
        struct home_stepper *hs = &h->steppers[h->stepper_count++];
        *hs = (struct home_stepper){.stepper = s, .endstop = -1, .start = stepgen_steps(s->sg),
                                    .start_mm = stepgen_position_mm(s->sg)};
        hs->trigger = hs->halt = hs->start;
        for (unsigned k = 0; k < h->request.endstop_count; k++)
            for (unsigned j = 0; j < h->request.endstops[k]->stepper_count; j++)
                if (h->request.endstops[k]->steppers[j] == s)
                    hs->endstop = (int)k;
    }
}

static void plan_move(struct motion *m)
{
    struct home *h = &m->home;
    motion_need_prime(m);
    motion_resync(m);
    h->start_s = m->print_time_s;
    m->print_time_s += DWELL_S;
    if (h->move.kind == ITEM_QUEUE_MOVE) {
        (void)motion_take(m, &h->move);
    } else if (h->move.move.length_mm > 0.0) {
        (void)motion_take(m, &h->move);
        motion_flush_all(m);
    }
    h->end_s = fmax(m->motion_end_s, m->print_time_s);
}

/* Time between two looks at the pin: one step of the fastest of its motors. */
static double rest_time_s(const struct home *h, unsigned endstop)
{
    double steps_max = 0.0;
    for (unsigned i = 0; i < h->stepper_count; i++) {
        const struct engine_stepper *s = h->steppers[i].stepper;
        if (h->steppers[i].endstop != (int)endstop)
            continue;
        const double travel = kin_func_position(&s->func, h->request.pos) - kin_func_position(&s->func, h->from);
        steps_max = fmax(steps_max, fabs(travel) / stepgen_step_mm(s->sg));
    }
    return steps_max > 0.0 ? (h->end_s - h->start_s) / steps_max : REST_DEFAULT_S;
}

static void on_end(void *ctx, const struct board_trigger_result *result)
{
    struct home_endstop *he = ctx;
    he->is_ended = true;
    if (result->result != OK)
        he->err = result->result;
}

static void arm(struct motion *m, unsigned index)
{
    struct home *h = &m->home;
    struct home_endstop *he = &h->endstops[index];
    const struct engine_endstop *es = h->request.endstops[index];
    const struct print_time start = {h->start_s};
    he->rest_s = rest_time_s(h, index);
    if (board_trigger_start(es->trigger, m->now, start, on_end, he) != OK) {
        he->is_ended = true;
        he->err = ERR_STATE;
        return;
    }
    const double hz = board_freq_hz(es->board);
    he->rest_ticks = (uint32_t)(he->rest_s * hz);
    const int64_t args[] = {es->oid,
                            (int64_t)(uint32_t)board_ticks_at(es->board, start).t,
                            (int64_t)(SAMPLE_S * hz),
                            SAMPLE_COUNT,
                            he->rest_ticks,
                            h->request.until_triggered != es->is_inverted,
                            board_trigger_oid(es->trigger, es->board),
                            BOARD_TRIGGER_ENDSTOP};
    send_now(m, board_trigger_lane(es->trigger, es->board), es->home, args, ARRAY_COUNT(args));
    board_trigger_set_end(es->trigger, (struct print_time){h->end_s});
}

static void disarm(struct motion *m, unsigned index)
{
    const struct engine_endstop *es = m->home.request.endstops[index];
    const int64_t args[] = {es->oid, 0, 0, 0, 0, 0, board_trigger_oid(es->trigger, es->board), 0};
    send_now(m, board_trigger_lane(es->trigger, es->board), es->home, args, ARRAY_COUNT(args));
}

void home_start(struct motion *m)
{
    struct engine *e = m->e;
    struct home *h = &m->home;
    memset(h, 0, sizeof *h);
    h->request = e->home_request;
    h->move = e->home_move;
    h->ticket = e->home_ticket;
    h->queue = h->request.queue;
    memcpy(h->from, h->queue->kind == QUEUE_TOOLHEAD ? m->pos : &h->queue->pos_mm,
           h->queue->kind == QUEUE_TOOLHEAD ? sizeof h->from : sizeof(double));
    list_steppers(m);
    h->phase = HOME_DRIP;
    plan_move(m);
    for (unsigned i = 0; i < h->request.endstop_count; i++)
        arm(m, i);
    boards_wake(e->boards);
}

void home_cancel(struct motion *m)
{
    m->home.is_cancelled = true;
}

/* ------------------------------------------------------------------------------------------------------ stopping */

static bool is_drip_over(const struct motion *m)
{
    const struct home *h = &m->home;
    if (h->is_cancelled || m->est_s > h->end_s + END_GRACE_S)
        return true;
    bool all = true;
    for (unsigned i = 0; i < h->request.endstop_count; i++) {
        if (h->endstops[i].err != OK)
            return true;
        all = all && h->endstops[i].is_ended;
    }
    return all;
}

static void on_final(void *ctx, const struct board_trigger_result *result)
{
    struct home_endstop *he = ctx;
    he->is_final = true;
    he->reason = result->reason;
    if (result->result != OK)
        he->err = result->result;
}

static void begin_stopping(struct motion *m)
{
    struct home *h = &m->home;
    h->phase = HOME_STOPPING;
    for (unsigned i = 0; i < h->request.endstop_count; i++)
        board_trigger_stop(h->request.endstops[i]->trigger, on_final, &h->endstops[i]);
    boards_wake(m->e->boards);
}

static bool all_final(const struct home *h)
{
    for (unsigned i = 0; i < h->request.endstop_count; i++)
        if (!h->endstops[i].is_final && h->endstops[i].err == OK)
            return false;
    return true;
}

/* ------------------------------------------------------------------------------------------------------- asking */

static void on_position(void *ctx, enum err result, const struct board_reply *reply)
{
    struct home_stepper *hs = ctx;
    struct engine_stepper *s = hs->stepper;
    struct home *h = &s->e->m.home;
    if (h->answers_open > 0)
        h->answers_open--;
    if (result != OK) {
        h->err = result;
        return;
    }
    const int64_t count = board_reply_i32(reply, "pos");
    hs->halt = s->is_dir_inverted ? -count : count;
    hs->has_halt = true;
}

static void on_endstop(void *ctx, enum err result, const struct board_reply *reply)
{
    struct home_endstop *he = ctx;
    struct home *h = he->home;
    if (h->answers_open > 0)
        h->answers_open--;
    if (result != OK) {
        h->err = result;
        return;
    }
    const struct mcu_ticks next = board_ticks_extend(he->board, board_reply_u32(reply, "next_clock"));
    he->trigger_clock.t = next.t - he->rest_ticks;
    he->has_trigger = true;
}

static void ask(struct motion *m, struct board *board, const struct board_format *format, uint32_t oid,
                const struct board_format *response, board_answer_fn *fn, void *ctx)
{
    struct board_msg msg;
    CHECK(board_encode(format, (const int64_t[]){oid}, 1, NULL, 0, &msg) == OK);
    if (board_ask(board, m->port, &msg, (struct board_timing){0}, response, (int)oid, fn, ctx) == OK)
        m->home.answers_open++;
    else
        m->home.err = ERR_FULL;
}

static void begin_asking(struct motion *m)
{
    struct home *h = &m->home;
    h->phase = HOME_ASKING;
    for (unsigned i = 0; i < h->request.endstop_count; i++) {
        const struct engine_endstop *es = h->request.endstops[i];
        h->endstops[i].home = h;
        h->endstops[i].board = es->board;
        if (h->endstops[i].reason == BOARD_TRIGGER_ENDSTOP)
            ask(m, es->board, es->query, es->oid, es->state, on_endstop, &h->endstops[i]);
        disarm(m, i);
    }
    for (unsigned i = 0; i < h->stepper_count; i++) {
        struct home_stepper *hs = &h->steppers[i];
        struct engine_stepper *s = hs->stepper;
        if (hs->endstop < 0)
            continue;
        /* Behind the steps in their lane: until then the board swallows what is still on its way. */
        const int64_t reset[] = {s->oid, 0};
        struct board_msg msg;
        CHECK(board_encode(s->reset_clock, reset, 2, NULL, 0, &msg) == OK);
        send_command(m, s->board, &msg, (struct board_timing){0});
        ask(m, s->board->board, s->get_position, s->oid, s->position_reply, on_position, hs);
    }
    boards_wake(m->e->boards);
}

/* ----------------------------------------------------------------------------------------------------- finishing */

static double trigger_time_s(const struct home_endstop *he)
{
    return board_print_time(he->board, he->trigger_clock).s;
}

/* Positions at the trigger, from what was sent before the counts are taken over. */
static void find_trigger_counts(struct motion *m)
{
    struct home *h = &m->home;
    for (unsigned i = 0; i < h->stepper_count; i++) {
        struct home_stepper *hs = &h->steppers[i];
        struct engine_stepper *s = hs->stepper;
        if (!hs->has_halt)
            hs->halt = stepgen_steps(s->sg);
        hs->trigger = hs->halt;
        if (hs->endstop < 0 || !h->endstops[hs->endstop].has_trigger)
            continue;
        const struct print_time at = {trigger_time_s(&h->endstops[hs->endstop])};
        hs->trigger = stepgen_steps_at(s->sg, board_ticks_at(s->board->board, at).t);
    }
}

/* After the last run of generation: what stopped motors would still have done is dropped, not sent. */
void home_discard(struct motion *m)
{
    struct home *h = &m->home;
    for (unsigned i = 0; i < h->stepper_count; i++) {
        struct home_stepper *hs = &h->steppers[i];
        if (!hs->has_halt)
            continue;
        stepgen_reset(hs->stepper->sg, hs->halt, 0);
        hs->stepper->last_clock = 0;
    }
}

static void rails_at(const struct home *h, const double base[3], const bool use_halt, const bool is_over,
                     double rail_mm[3])
{
    for (unsigned r = 0; r < 3; r++) {
        rail_mm[r] = base[r];
        for (unsigned i = h->stepper_count; i-- > 0;) {
            const struct home_stepper *hs = &h->steppers[i];
            if (hs->stepper->rail != r)
                continue;
            const double step = stepgen_step_mm(hs->stepper->sg);
            if (is_over)
                rail_mm[r] = base[r] + (double)(hs->halt - hs->trigger) * step;
            else
                rail_mm[r] = hs->start_mm + (double)((use_halt ? hs->halt : hs->trigger) - hs->start) * step;
        }
    }
}

/* Where the toolhead was at the trigger and at the stop, and where it is said to be now. */
static void find_positions(struct motion *m, double now_at[AXES])
{
    struct home *h = &m->home;
    const struct kin *kin = &m->e->kin;
    double rails[3], base[3];
    kin_inverse(kin, h->from, base);
    memcpy(h->result.trigger_pos, h->from, sizeof h->from);
    memcpy(h->result.halt_pos, h->from, sizeof h->from);
    rails_at(h, base, false, false, rails);
    if (kin_forward(kin, rails, h->result.trigger_pos) != OK)
        memcpy(h->result.trigger_pos, h->from, 3 * sizeof(double));
    rails_at(h, base, true, false, rails);
    if (kin_forward(kin, rails, h->result.halt_pos) != OK)
        memcpy(h->result.halt_pos, h->from, 3 * sizeof(double));
    memcpy(now_at, h->result.halt_pos, AXES * sizeof *now_at);
    if (h->request.is_probe || h->err != OK)
        return;
    kin_inverse(kin, h->request.pos, base);
    rails_at(h, base, true, true, rails);
    if (kin_forward(kin, rails, now_at) != OK)
        memcpy(now_at, h->request.pos, 3 * sizeof(double));
}

static void find_queue_positions(struct motion *m, double now_at[AXES])
{
    struct home *h = &m->home;
    memset(now_at, 0, AXES * sizeof *now_at);
    h->result.trigger_pos[0] = h->result.halt_pos[0] = now_at[0] = h->request.pos[0];
    if (h->stepper_count == 0)
        return;
    const struct home_stepper *hs = &h->steppers[0];
    const double step = stepgen_step_mm(hs->stepper->sg);
    h->result.trigger_pos[0] = hs->start_mm + (double)(hs->trigger - hs->start) * step;
    h->result.halt_pos[0] = hs->start_mm + (double)(hs->halt - hs->start) * step;
    now_at[0] = h->request.is_probe || h->err != OK ? h->result.halt_pos[0]
                                                   : h->request.pos[0] + (double)(hs->halt - hs->trigger) * step;
}

static void judge(struct home *h)
{
    for (unsigned i = 0; i < h->request.endstop_count && h->err == OK; i++) {
        const struct home_endstop *he = &h->endstops[i];
        const char *name = h->request.name ? h->request.name : h->request.endstops[i]->name;
        if (he->err != OK) {
            h->err = he->err;
            snprintf(h->text, sizeof h->text, "Homing of %s failed: a board stopped working", name);
        } else if (he->reason >= BOARD_TRIGGER_SENSOR_ERROR) {
            h->err = ERR_STATE;
            snprintf(h->text, sizeof h->text, "Sensor error %u during homing %s", he->reason, name);
        } else if (he->reason == BOARD_TRIGGER_TIMEOUT) {
            h->err = ERR_TIMEOUT;
            snprintf(h->text, sizeof h->text, "Communication timeout during homing %s", name);
        } else if (h->is_cancelled) {
            h->err = ERR_CANCELLED;
            snprintf(h->text, sizeof h->text, "Cancelled");
        } else if (!he->has_trigger && h->request.is_trigger_required) {
            h->err = ERR_STATE;
            snprintf(h->text, sizeof h->text, "No trigger on %s after full movement", name);
        }
    }
    if (h->err != OK && h->text[0] == '\0')
        snprintf(h->text, sizeof h->text, "Homing failed: a board does not answer");
}

static void fill_result(struct home *h)
{
    for (unsigned i = 0; i < h->request.endstop_count; i++) {
        h->result.has_trigger[i] = h->endstops[i].has_trigger;
        if (h->endstops[i].has_trigger)
            h->result.trigger_time[i].s = trigger_time_s(&h->endstops[i]);
    }
    h->result.stepper_count = h->stepper_count;
    for (unsigned i = 0; i < h->stepper_count; i++)
        h->result.steppers[i] = (struct engine_home_stepper){.stepper = h->steppers[i].stepper,
                                                             .start_steps = h->steppers[i].start,
                                                             .trigger_steps = h->steppers[i].trigger,
                                                             .halt_steps = h->steppers[i].halt};
}

/* Wipe what is planned behind the steps that exist; from here on everything rests. */
static void wipe_plan(struct motion *m)
{
    struct home *h = &m->home;
    segq_cut(&h->queue->q, fmax(m->gen_s, h->start_s));
    lookahead_retire(&m->la, INFINITY);
    h->queue->next_s = fmin(h->queue->next_s, m->gen_s);
    m->motion_end_s = fmin(m->motion_end_s, fmax(m->gen_s, h->start_s));
    m->print_time_s = fmin(m->print_time_s, m->motion_end_s);
    motion_need_prime(m);
}

static void finish(struct motion *m)
{
    struct home *h = &m->home;
    judge(h);
    find_trigger_counts(m);
    double now_at[AXES];
    const bool is_toolhead = h->queue->kind == QUEUE_TOOLHEAD;
    if (is_toolhead)
        find_positions(m, now_at);
    else
        find_queue_positions(m, now_at);
    fill_result(h);
    wipe_plan(m);
    const double fence = motion_fence_s(m, 1u << h->queue->index);
    h->phase = HOME_DONE; /* the run up to the fence drops what stopped motors would do */
    motion_reach_fence(m, fence);
    if (!atomic_load(&m->e->is_stopped)) {
        memcpy(m->command, "homing", sizeof "homing");
        if (is_toolhead)
            motion_set_toolhead(m, now_at, 7, fence, h->request.source.line);
        else
            motion_set_queue(m, h->queue, &(const double[3]){now_at[0]}[0], fence, h->request.source.line);
    }
    h->phase = HOME_NONE;
    struct engine *e = m->e;
    e->home_result = h->result;
    memcpy(e->home_pos, now_at, sizeof e->home_pos);
    e->home_err = h->err;
    memcpy(e->home_text, h->text, sizeof e->home_text);
    m->is_home_event_due = true;
}

struct host_ns home_run(struct motion *m)
{
    struct home *h = &m->home;
    if (m->is_home_event_due) {
        const struct engine_internal_event ev = {.event = {.kind = ENGINE_EVENT_FENCE}, .ticket = h->ticket};
        m->is_home_event_due = !motion_emit(m, &ev);
    }
    if (h->phase == HOME_NONE)
        return HOST_NS_NEVER;
    if (h->phase == HOME_DRIP && is_drip_over(m))
        begin_stopping(m);
    if (h->phase == HOME_STOPPING && all_final(h))
        begin_asking(m);
    if (h->phase == HOME_ASKING && h->answers_open == 0 && send_spill(m))
        finish(m);
    return host_ns_add_s(m->now, h->phase == HOME_NONE ? 0.0 : POLL_S);
}

/* ------------------------------------------------------------------------------------------- positions on request */

void home_query(struct motion *m, const struct control *c)
{
    const struct engine_stepper *s = m->e->steppers[c->stepper];
    struct engine_internal_event ev = {.event = {.kind = ENGINE_EVENT_FENCE, .at = {m->gen_s}}, .ticket = c->ticket};
    ev.position.commanded_mm = stepgen_position_mm(s->sg);
    ev.position.steps = isfinite(c->at_s)
                            ? stepgen_steps_at(s->sg, board_ticks_at(s->board->board, (struct print_time){c->at_s}).t)
                            : stepgen_steps(s->sg);
    ev.position.steps_mm = stepgen_mm_of_steps(s->sg, ev.position.steps);
    (void)motion_emit(m, &ev); /* handle_control has seen room for it */
}

static void on_sync(void *ctx, enum err result, const struct board_reply *reply)
{
    struct engine_stepper *s = ctx;
    struct motion *m = &s->e->m;
    if (m->sync_open > 0)
        m->sync_open--;
    if (result != OK) {
        m->sync_err = result;
        return;
    }
    const int64_t count = board_reply_i32(reply, "pos");
    const int64_t steps = s->is_dir_inverted ? -count : count;
    if (steps != stepgen_steps(s->sg))
        stepgen_reset(s->sg, steps, s->last_clock);
}

static void ask_all(struct motion *m)
{
    m->sync_err = OK;
    for (unsigned i = 0; i < m->e->stepper_count; i++) {
        struct engine_stepper *s = m->e->steppers[i];
        struct board_msg msg;
        CHECK(board_encode(s->get_position, (const int64_t[]){s->oid}, 1, NULL, 0, &msg) == OK);
        if (board_ask(s->board->board, m->port, &msg, (struct board_timing){0}, s->position_reply, (int)s->oid, on_sync,
                      s) == OK)
            m->sync_open++;
        else
            m->sync_err = ERR_FULL;
    }
    boards_wake(m->e->boards);
}

void home_read_positions(struct motion *m, const struct control *c)
{
    m->sync_ticket = c->ticket;
    m->is_syncing = true;
    if (!m->is_batch)
        ask_all(m);
}

/* A board that kept its configuration over a restart of the host also kept its counts. */
void home_first_sync(struct motion *m)
{
    m->is_syncing = true;
    ask_all(m);
}

bool home_sync_run(struct motion *m)
{
    if (!m->is_syncing)
        return true;
    if (m->sync_open > 0)
        return false;
    if (m->sync_ticket != 0) {
        const struct engine_internal_event ev = {
            .event = {.kind = ENGINE_EVENT_FENCE}, .ticket = m->sync_ticket, .result = m->sync_err};
        if (!motion_emit(m, &ev))
            return false;
        m->sync_ticket = 0;
    } else if (m->sync_err != OK) {
        motion_fault(m, NULL, "the boards do not tell where their steppers are");
    }
    m->is_syncing = false;
    return true;
}
