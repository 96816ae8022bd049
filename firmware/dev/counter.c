/* Edge counters (fan tachometers, encoders): the pin is polled, both edges count. */
#include "firmware/dev/devices.h"

struct counter {
    struct timer timer;
    struct port_in pin;
    uint32_t poll_ticks, sample_ticks;
    uint32_t next_report; /* a poll later than this reports */
    uint32_t count, count_clock;
    bool last_level, is_report_due;
};

static const struct oid_type counter_type = {"counter"};

static const struct fault counter_faults[] = {{"Not an input pin"}};
static const struct response counter_responses[] = {{"counter_state oid=%c next_clock=%u count=%u count_clock=%u"}};

static enum timer_result counter_event(struct mcu *m, struct timer *timer)
{
    struct counter *c = (struct counter *)(void *)timer; /* its first member */
    bool level = port_in_read(&c->pin);
    uint32_t now = timer->clock;
    if (level != c->last_level) {
        c->last_level = level;
        c->count++;
        c->count_clock = now;
    }
    if (timer_is_before(c->next_report, now)) {
        c->next_report = now + c->sample_ticks;
        c->is_report_due = true;
        mcu_wake(m);
    }
    timer->clock = now + c->poll_ticks;
    timer->is_report = timer_is_before(c->next_report, timer->clock);
    return TIMER_AGAIN;
}

static void cmd_config_counter(struct mcu *m, const uint32_t *args)
{
    struct counter *c = oid_create(m, args[0] & 0xff, &counter_type, sizeof(*c));
    if (!c)
        return;
    c->timer = (struct timer){.fn = counter_event};
    if (!port_in_setup(&c->pin, m->setup.port, args[1], (int8_t)args[2]))
        fault_raise(m, &counter_faults[0]);
}

static void cmd_query_counter(struct mcu *m, const uint32_t *args)
{
    struct counter *c = oid_find(m, args[0] & 0xff, &counter_type);
    if (!c)
        return;
    timer_del(m, &c->timer);
    c->timer.clock = c->next_report = args[1];
    c->poll_ticks = args[2];
    c->sample_ticks = args[3];
    c->timer.is_report = false;
    if (!c->poll_ticks)
        return;
    c->last_level = port_in_read(&c->pin);
    timer_add(m, &c->timer);
}

static void counter_task(struct mcu *m)
{
    struct counter *c;
    for (unsigned oid = 0; (c = oid_next(m, &oid, &counter_type)); oid++) {
        if (!c->is_report_due)
            continue;
        c->is_report_due = false;
        mcu_send(m, &counter_responses[0], (uint32_t)oid, c->timer.clock, c->count, c->count_clock);
    }
}

static const struct command counter_commands[] = {
    {"config_counter oid=%c pin=%u pull_up=%c", cmd_config_counter, 0},
    {"query_counter oid=%c clock=%u poll_ticks=%u sample_ticks=%u", cmd_query_counter, 0},
};

const struct module counter_module = {
    .name = "counter",
    .commands = counter_commands,
    .command_count = sizeof(counter_commands) / sizeof(counter_commands[0]),
    .responses = counter_responses,
    .response_count = sizeof(counter_responses) / sizeof(counter_responses[0]),
    .faults = counter_faults,
    .fault_count = sizeof(counter_faults) / sizeof(counter_faults[0]),
    .task = counter_task,
};
