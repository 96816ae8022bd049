/* Steppers. The host sends moves as (interval, count, add): step k of a move lies at
 *   base + sum over j < k of (interval + j add),   k = 1..count,
 * base being the last step before it. All clocks are computed, never measured, so steps do not drift.
 *
 * With a pulse (the usual mode) every step is two timer calls: step, and back after pulse_ticks; the next step comes no
 * sooner than pulse_ticks after that. With invert_step = -1 the driver steps on both edges and one call is enough. */
#include "firmware/dev/devices.h"
#include "firmware/dev/trsync.h"

struct stepper_move {
    struct move link;
    uint32_t interval;
    uint32_t add; /* sign extended */
    uint16_t count;
    bool dir;
};

struct stepper {
    struct timer timer;
    struct trsync_signal stop_signal;
    struct port_out step, dir;
    struct move_queue queue;
    uint32_t step_clock; /* of the step to be taken; idle: of the last one, or what reset_step_clock said */
    uint32_t interval;   /* from that step to the one after it */
    uint32_t pulse_ticks;
    uint32_t position; /* after the present move, modulo 2^32 */
    uint32_t add;
    uint16_t steps_left;
    bool is_active;   /* the timer is in use */
    bool is_pulse_on; /* the step pin waits to go back */
    bool is_both_edges, is_inverted;
    bool needs_reset; /* swallow moves until reset_step_clock */
    bool next_dir;    /* for moves to be queued */
    bool now_dir;     /* on the pin */
};

static const struct oid_type stepper_type = {"stepper"};

enum { FAULT_COUNT_PARAM, FAULT_RESET_ACTIVE, FAULT_TOO_FAR, FAULT_PIN };
static const struct fault stepper_faults[] = {
    [FAULT_COUNT_PARAM] = {"Invalid count parameter"},
    [FAULT_RESET_ACTIVE] = {"Can't reset time when stepper active"},
    [FAULT_TOO_FAR] = {"Stepper too far in past"},
    [FAULT_PIN] = {"Not an output pin"},
};
static const struct response stepper_responses[] = {{"stepper_position oid=%c pos=%i"}};

/* Take the next move from the queue. earliest: no step before this clock while the motor runs. */
static enum timer_result load_move(struct mcu *m, struct stepper *s, bool is_running, uint32_t earliest)
{
    struct move *link = move_queue_pop(&s->queue);
    if (!link) {
        s->is_active = false;
        return TIMER_DONE;
    }
    struct stepper_move move = *(struct stepper_move *)(void *)link;
    move_give(m, link);
    s->is_active = true;
    s->step_clock += move.interval;
    s->interval = move.interval + move.add;
    s->add = move.add;
    s->steps_left = move.count;
    s->position += move.dir ? move.count : 0u - move.count;
    if (move.dir != s->now_dir) {
        s->now_dir = move.dir;
        port_out_toggle(&s->dir);
    }
    s->timer.clock = s->step_clock;
    if (is_running && timer_is_before(s->step_clock, earliest)) {
        if (earliest - s->step_clock > port_clock_hz(m->setup.port) / 1000)
            fault_raise(m, &stepper_faults[FAULT_TOO_FAR]);
        s->timer.clock = earliest;
    }
    return TIMER_AGAIN;
}

static enum timer_result stepper_event(struct mcu *m, struct timer *timer)
{
    struct stepper *s = (struct stepper *)(void *)timer; /* its first member */
    uint32_t earliest = port_clock(m->setup.port) + s->pulse_ticks;
    port_out_toggle(&s->step);
    if (s->is_pulse_on) {
        s->is_pulse_on = false;
    } else {
        if (--s->steps_left) {
            s->step_clock += s->interval;
            s->interval += s->add;
        }
        if (!s->is_both_edges) {
            s->is_pulse_on = true;
            timer->clock = earliest;
            return TIMER_AGAIN;
        }
    }
    if (!s->steps_left)
        return load_move(m, s, true, earliest);
    timer->clock = timer_is_before(s->step_clock, earliest) ? earliest : s->step_clock;
    return TIMER_AGAIN;
}

/* Position of the steps taken so far. */
static uint32_t position_now(const struct stepper *s)
{
    return s->now_dir ? s->position - s->steps_left : s->position + s->steps_left;
}

static void stop(struct mcu *m, struct stepper *s)
{
    timer_del(m, &s->timer);
    move_queue_clear(m, &s->queue);
    s->position = position_now(s);
    s->steps_left = 0;
    s->step_clock = 0;
    s->is_active = false;
    s->needs_reset = true;
    s->now_dir = s->next_dir = false;
    port_out_write(&s->dir, false);
    if (!s->is_both_edges)
        port_out_write(&s->step, s->is_inverted);
    s->is_pulse_on = false;
}

static void stop_on_signal(struct mcu *m, struct trsync_signal *signal, unsigned reason)
{
    (void)reason;
    stop(m, (struct stepper *)(void *)((char *)signal - offsetof(struct stepper, stop_signal)));
}

/* --- commands --- */

static void cmd_config_stepper(struct mcu *m, const uint32_t *args)
{
    struct stepper *s = oid_create(m, args[0] & 0xff, &stepper_type, sizeof(*s));
    if (!s)
        return;
    int invert = (int8_t)args[3];
    s->is_both_edges = invert < 0;
    s->is_inverted = invert > 0;
    s->pulse_ticks = args[4];
    s->timer = (struct timer){.fn = stepper_event};
    move_request_size(m, sizeof(struct stepper_move));
    if (!port_out_setup(&s->step, m->setup.port, args[1], s->is_inverted) ||
        !port_out_setup(&s->dir, m->setup.port, args[2], false))
        fault_raise(m, &stepper_faults[FAULT_PIN]);
}

static struct stepper *find(struct mcu *m, const uint32_t *args)
{
    return oid_find(m, args[0] & 0xff, &stepper_type);
}

static void cmd_queue_step(struct mcu *m, const uint32_t *args)
{
    struct stepper *s = find(m, args);
    if (!s)
        return;
    uint16_t count = (uint16_t)args[2];
    if (!count) {
        fault_raise(m, &stepper_faults[FAULT_COUNT_PARAM]);
        return;
    }
    if (s->needs_reset)
        return;
    struct move *link = move_take(m);
    if (!link)
        return;
    struct stepper_move *move = (struct stepper_move *)(void *)link;
    move->interval = args[1];
    move->count = count;
    move->add = (uint32_t)(int16_t)args[3];
    move->dir = s->next_dir;
    move_queue_push(&s->queue, link);
    if (s->is_active)
        return;
    (void)load_move(m, s, false, 0);
    timer_add(m, &s->timer);
}

static void cmd_set_next_step_dir(struct mcu *m, const uint32_t *args)
{
    struct stepper *s = find(m, args);
    if (s)
        s->next_dir = (args[1] & 0xff) != 0;
}

static void cmd_reset_step_clock(struct mcu *m, const uint32_t *args)
{
    struct stepper *s = find(m, args);
    if (!s)
        return;
    if (s->is_active) {
        fault_raise(m, &stepper_faults[FAULT_RESET_ACTIVE]);
        return;
    }
    s->step_clock = args[1];
    s->needs_reset = false;
}

static void cmd_stepper_get_position(struct mcu *m, const uint32_t *args)
{
    struct stepper *s = find(m, args);
    if (s)
        mcu_send(m, &stepper_responses[0], args[0] & 0xff, position_now(s));
}

static void cmd_stepper_stop_on_trigger(struct mcu *m, const uint32_t *args)
{
    struct stepper *s = find(m, args);
    struct trsync *ts = s ? trsync_find(m, args[1]) : NULL;
    if (ts)
        trsync_add_signal(m, ts, &s->stop_signal, stop_on_signal);
}

static void stepper_shutdown(struct mcu *m)
{
    struct stepper *s;
    for (unsigned oid = 0; (s = oid_next(m, &oid, &stepper_type)); oid++)
        stop(m, s);
}

static const struct command stepper_commands[] = {
    {"config_stepper oid=%c step_pin=%c dir_pin=%c invert_step=%c step_pulse_ticks=%u", cmd_config_stepper, 0},
    {"queue_step oid=%c interval=%u count=%hu add=%hi", cmd_queue_step, 0},
    {"set_next_step_dir oid=%c dir=%c", cmd_set_next_step_dir, 0},
    {"reset_step_clock oid=%c clock=%u", cmd_reset_step_clock, 0},
    {"stepper_get_position oid=%c", cmd_stepper_get_position, 0},
    {"stepper_stop_on_trigger oid=%c trsync_oid=%c", cmd_stepper_stop_on_trigger, 0},
};

const struct module stepper_module = {
    .name = "stepper",
    .commands = stepper_commands,
    .command_count = sizeof(stepper_commands) / sizeof(stepper_commands[0]),
    .responses = stepper_responses,
    .response_count = sizeof(stepper_responses) / sizeof(stepper_responses[0]),
    .faults = stepper_faults,
    .fault_count = sizeof(stepper_faults) / sizeof(stepper_faults[0]),
    .shutdown = stepper_shutdown,
};
