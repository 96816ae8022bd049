/* Buttons: up to eight inputs polled together. A change counts after two equal samples; states are kept until the host
 * acknowledges them and are repeated every retransmit_count polls until it does. */
#include "firmware/dev/devices.h"

#define BUTTONS_MAX 8
#define STATES_MAX  8

struct buttons {
    struct timer timer;
    uint32_t rest_ticks;
    uint8_t count;
    uint8_t pin_mask; /* which pins have been added */
    uint8_t last_sample, reported;
    uint8_t ack_count; /* states acknowledged in total, modulo 256 */
    uint8_t state_count, retransmit_count, polls_since_report;
    bool is_report_due;
    uint8_t states[STATES_MAX]; /* oldest first, not acknowledged */
    struct port_in pins[BUTTONS_MAX];
};

static const struct oid_type buttons_type = {"buttons"};

enum { FAULT_MAX, FAULT_PAST_COUNT, FAULT_RETRANSMIT, FAULT_PIN };
static const struct fault buttons_faults[] = {
    [FAULT_MAX] = {"Max of 8 buttons"},
    [FAULT_PAST_COUNT] = {"Set button past maximum button count"},
    [FAULT_RETRANSMIT] = {"Invalid buttons retransmit count"},
    [FAULT_PIN] = {"Not an input pin"},
};
static const struct response buttons_responses[] = {{"buttons_state oid=%c ack_count=%c state=%*s"}};

static uint8_t sample(const struct buttons *b)
{
    unsigned bits = 0;
    for (unsigned i = 0; i < b->count; i++) {
        if ((b->pin_mask >> i & 1) && port_in_read(&b->pins[i]))
            bits |= 1u << i;
    }
    return (uint8_t)bits;
}

static void report(struct mcu *m, struct buttons *b)
{
    b->polls_since_report = 0;
    b->is_report_due = true;
    mcu_wake(m);
}

static enum timer_result buttons_event(struct mcu *m, struct timer *timer)
{
    struct buttons *b = (struct buttons *)(void *)timer; /* its first member */
    uint8_t now = sample(b);
    uint8_t changed = (uint8_t)((now ^ b->reported) & ~(now ^ b->last_sample));
    b->last_sample = now;
    if (changed && b->state_count < STATES_MAX) {
        b->reported ^= changed;
        b->states[b->state_count++] = b->reported;
        report(m, b);
    } else if (b->state_count && ++b->polls_since_report >= b->retransmit_count) {
        report(m, b);
    }
    timer->clock += b->rest_ticks;
    return TIMER_AGAIN;
}

/* --- commands --- */

static void cmd_config_buttons(struct mcu *m, const uint32_t *args)
{
    uint8_t count = (uint8_t)args[1];
    if (count > BUTTONS_MAX) {
        fault_raise(m, &buttons_faults[FAULT_MAX]);
        return;
    }
    struct buttons *b = oid_create(m, args[0] & 0xff, &buttons_type, sizeof(*b));
    if (!b)
        return;
    b->count = count;
    b->timer = (struct timer){.fn = buttons_event, .is_report = true};
}

static struct buttons *find(struct mcu *m, const uint32_t *args)
{
    return oid_find(m, args[0] & 0xff, &buttons_type);
}

static void cmd_buttons_add(struct mcu *m, const uint32_t *args)
{
    struct buttons *b = find(m, args);
    if (!b)
        return;
    uint8_t pos = (uint8_t)args[1];
    if (pos >= b->count) {
        fault_raise(m, &buttons_faults[FAULT_PAST_COUNT]);
        return;
    }
    if (port_in_setup(&b->pins[pos], m->setup.port, args[2], (int8_t)args[3]))
        b->pin_mask |= (uint8_t)(1u << pos);
    else
        fault_raise(m, &buttons_faults[FAULT_PIN]);
}

static void cmd_buttons_query(struct mcu *m, const uint32_t *args)
{
    struct buttons *b = find(m, args);
    if (!b)
        return;
    timer_del(m, &b->timer);
    b->retransmit_count = (uint8_t)args[3];
    if (b->retransmit_count >= 128) {
        fault_raise(m, &buttons_faults[FAULT_RETRANSMIT]);
        return;
    }
    b->timer.clock = args[1];
    b->rest_ticks = args[2];
    b->reported = b->last_sample = (uint8_t)args[4];
    b->ack_count = b->state_count = b->polls_since_report = 0;
    b->is_report_due = false;
    if (b->rest_ticks)
        timer_add(m, &b->timer);
}

static void cmd_buttons_ack(struct mcu *m, const uint32_t *args)
{
    struct buttons *b = find(m, args);
    if (!b)
        return;
    uint8_t count = (uint8_t)args[1];
    if (count > b->state_count)
        count = b->state_count;
    b->ack_count = (uint8_t)(b->ack_count + count);
    b->state_count = (uint8_t)(b->state_count - count);
    for (unsigned i = 0; i < b->state_count; i++)
        b->states[i] = b->states[i + count];
}

static void buttons_task(struct mcu *m)
{
    struct buttons *b;
    for (unsigned oid = 0; (b = oid_next(m, &oid, &buttons_type)); oid++) {
        if (!b->is_report_due)
            continue;
        b->is_report_due = false;
        mcu_send(m, &buttons_responses[0], (uint32_t)oid, (uint32_t)b->ack_count, (uint32_t)b->state_count, b->states);
    }
}

static void buttons_shutdown(struct mcu *m)
{
    struct buttons *b;
    for (unsigned oid = 0; (b = oid_next(m, &oid, &buttons_type)); oid++)
        b->is_report_due = false;
}

static const struct command buttons_commands[] = {
    {"config_buttons oid=%c button_count=%c", cmd_config_buttons, 0},
    {"buttons_add oid=%c pos=%c pin=%u pull_up=%c", cmd_buttons_add, 0},
    {"buttons_query oid=%c clock=%u rest_ticks=%u retransmit_count=%c invert=%c", cmd_buttons_query, 0},
    {"buttons_ack oid=%c count=%c", cmd_buttons_ack, 0},
};

const struct module buttons_module = {
    .name = "buttons",
    .commands = buttons_commands,
    .command_count = sizeof(buttons_commands) / sizeof(buttons_commands[0]),
    .responses = buttons_responses,
    .response_count = sizeof(buttons_responses) / sizeof(buttons_responses[0]),
    .faults = buttons_faults,
    .fault_count = sizeof(buttons_faults) / sizeof(buttons_faults[0]),
    .task = buttons_task,
    .shutdown = buttons_shutdown,
};
