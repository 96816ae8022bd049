/* Digital outputs: on, off, or software PWM with the cycle of set_digital_out_pwm_cycle. */
#include "firmware/dev/devices.h"
#include "firmware/dev/timed_out.h"

struct digital_out {
    struct timed_out out;
    struct timer toggle; /* software PWM */
    struct port_out pin;
    uint32_t cycle_ticks, on_ticks;
    bool is_on, is_default_on;
};

static const struct oid_type digital_out_type = {"digital_out"};

enum { FAULT_MISSED, FAULT_EXCEEDS, FAULT_ACTIVE, FAULT_CYCLE, FAULT_PIN };
static const struct fault digital_faults[] = {
    [FAULT_MISSED] = {"Missed scheduling of next digital out event"},
    [FAULT_EXCEEDS] = {"Scheduled digital out event will exceed max_duration"},
    [FAULT_ACTIVE] = {"update_digital_out not valid with active queue"},
    [FAULT_CYCLE] = {"Can not set soft pwm cycle ticks while updates pending"},
    [FAULT_PIN] = {"Not an output pin"},
};

static void show(struct digital_out *d, bool is_on)
{
    d->is_on = is_on;
    port_out_write(&d->pin, is_on);
}

static enum timer_result toggle_event(struct mcu *m, struct timer *timer)
{
    (void)m;
    struct digital_out *d = (struct digital_out *)(void *)((char *)timer - offsetof(struct digital_out, toggle));
    if (d->out.has_end && timer->clock == d->out.end_clock)
        return TIMER_DONE; /* the next value takes over at this very tick */
    show(d, !d->is_on);
    timer->clock += d->is_on ? d->on_ticks : d->cycle_ticks - d->on_ticks;
    return TIMER_AGAIN;
}

static bool apply(struct mcu *m, struct timed_out *out, uint32_t value, uint32_t clock)
{
    struct digital_out *d = (struct digital_out *)(void *)out; /* its first member */
    bool is_toggling = value != 0 && value < d->cycle_ticks;
    timer_del(m, &d->toggle);
    show(d, value != 0);
    if (is_toggling) {
        d->on_ticks = value;
        d->toggle.clock = clock + value;
        timer_add(m, &d->toggle);
    }
    return is_toggling || d->is_on != d->is_default_on;
}

/* --- commands --- */

static void cmd_config_digital_out(struct mcu *m, const uint32_t *args)
{
    struct digital_out *d = oid_create(m, args[0] & 0xff, &digital_out_type, sizeof(*d));
    if (!d)
        return;
    d->is_on = (args[2] & 0xff) != 0;
    d->is_default_on = (args[3] & 0xff) != 0;
    d->toggle = (struct timer){.fn = toggle_event};
    timed_out_init(m, &d->out, args[4], apply, &digital_faults[FAULT_MISSED], &digital_faults[FAULT_EXCEEDS]);
    if (!port_out_setup(&d->pin, m->setup.port, args[1], d->is_on))
        fault_raise(m, &digital_faults[FAULT_PIN]);
}

static struct digital_out *find(struct mcu *m, const uint32_t *args)
{
    return oid_find(m, args[0] & 0xff, &digital_out_type);
}

static void cmd_set_pwm_cycle(struct mcu *m, const uint32_t *args)
{
    struct digital_out *d = find(m, args);
    if (!d)
        return;
    if (timed_out_is_pending(&d->out))
        fault_raise(m, &digital_faults[FAULT_CYCLE]);
    else
        d->cycle_ticks = args[1];
}

static void cmd_queue_digital_out(struct mcu *m, const uint32_t *args)
{
    struct digital_out *d = find(m, args);
    if (d)
        timed_out_queue(m, &d->out, args[1], args[2]);
}

static void cmd_update_digital_out(struct mcu *m, const uint32_t *args)
{
    struct digital_out *d = find(m, args);
    if (!d)
        return;
    if (timed_out_is_pending(&d->out))
        fault_raise(m, &digital_faults[FAULT_ACTIVE]);
    else
        timed_out_set(m, &d->out, args[1] & 0xff ? UINT32_MAX : 0);
}

static void cmd_set_digital_out(struct mcu *m, const uint32_t *args)
{
    struct port_out pin;
    if (!port_out_setup(&pin, m->setup.port, args[0], (args[1] & 0xff) != 0))
        fault_raise(m, &digital_faults[FAULT_PIN]);
}

static void digital_out_shutdown(struct mcu *m)
{
    struct digital_out *d;
    for (unsigned oid = 0; (d = oid_next(m, &oid, &digital_out_type)); oid++) {
        timed_out_stop(m, &d->out);
        timer_del(m, &d->toggle);
        show(d, d->is_default_on);
    }
}

static const struct command digital_commands[] = {
    {"config_digital_out oid=%c pin=%u value=%c default_value=%c max_duration=%u", cmd_config_digital_out, 0},
    {"set_digital_out_pwm_cycle oid=%c cycle_ticks=%u", cmd_set_pwm_cycle, 0},
    {"queue_digital_out oid=%c clock=%u on_ticks=%u", cmd_queue_digital_out, 0},
    {"update_digital_out oid=%c value=%c", cmd_update_digital_out, 0},
    {"set_digital_out pin=%u value=%c", cmd_set_digital_out, 0},
};

const struct module digital_out_module = {
    .name = "digital_out",
    .commands = digital_commands,
    .command_count = sizeof(digital_commands) / sizeof(digital_commands[0]),
    .faults = digital_faults,
    .fault_count = sizeof(digital_faults) / sizeof(digital_faults[0]),
    .shutdown = digital_out_shutdown,
};
