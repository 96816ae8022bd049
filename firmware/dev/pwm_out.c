/* Hardware PWM outputs. */
#include "firmware/dev/devices.h"
#include "firmware/dev/timed_out.h"

struct pwm_out {
    struct timed_out out;
    struct port_pwm pin;
    uint32_t default_value;
};

static const struct oid_type pwm_out_type = {"pwm_out"};

enum { FAULT_MISSED, FAULT_EXCEEDS, FAULT_PIN };
static const struct fault pwm_faults[] = {
    [FAULT_MISSED] = {"Missed scheduling of next hard pwm event"},
    [FAULT_EXCEEDS] = {"Scheduled pwm event will exceed max_duration"},
    [FAULT_PIN] = {"Not a valid PWM pin"},
};

static bool apply(struct mcu *m, struct timed_out *out, uint32_t value, uint32_t clock)
{
    (void)m;
    (void)clock;
    struct pwm_out *p = (struct pwm_out *)(void *)out; /* its first member */
    port_pwm_write(&p->pin, value);
    return value != p->default_value;
}

static void cmd_config_pwm_out(struct mcu *m, const uint32_t *args)
{
    struct pwm_out *p = oid_create(m, args[0] & 0xff, &pwm_out_type, sizeof(*p));
    if (!p)
        return;
    p->default_value = args[4] & 0xffff;
    timed_out_init(m, &p->out, args[5], apply, &pwm_faults[FAULT_MISSED], &pwm_faults[FAULT_EXCEEDS]);
    if (!port_pwm_setup(&p->pin, m->setup.port, args[1], args[2], args[3] & 0xffff))
        fault_raise(m, &pwm_faults[FAULT_PIN]);
}

static void cmd_queue_pwm_out(struct mcu *m, const uint32_t *args)
{
    struct pwm_out *p = oid_find(m, args[0] & 0xff, &pwm_out_type);
    if (p)
        timed_out_queue(m, &p->out, args[1], args[2] & 0xffff);
}

static void cmd_set_pwm_out(struct mcu *m, const uint32_t *args)
{
    struct port_pwm pin;
    if (!port_pwm_setup(&pin, m->setup.port, args[0], args[1], args[2] & 0xffff))
        fault_raise(m, &pwm_faults[FAULT_PIN]);
}

static void pwm_out_shutdown(struct mcu *m)
{
    struct pwm_out *p;
    for (unsigned oid = 0; (p = oid_next(m, &oid, &pwm_out_type)); oid++) {
        timed_out_stop(m, &p->out);
        port_pwm_write(&p->pin, p->default_value);
    }
}

static const struct command pwm_commands[] = {
    {"config_pwm_out oid=%c pin=%u cycle_ticks=%u value=%hu default_value=%hu max_duration=%u", cmd_config_pwm_out, 0},
    {"queue_pwm_out oid=%c clock=%u value=%hu", cmd_queue_pwm_out, 0},
    {"set_pwm_out pin=%u cycle_ticks=%u value=%hu", cmd_set_pwm_out, 0},
};

const struct module pwm_out_module = {
    .name = "pwm_out",
    .commands = pwm_commands,
    .command_count = sizeof(pwm_commands) / sizeof(pwm_commands[0]),
    .faults = pwm_faults,
    .fault_count = sizeof(pwm_faults) / sizeof(pwm_faults[0]),
    .shutdown = pwm_out_shutdown,
};
