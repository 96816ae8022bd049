/* Endstops: sample a pin at a fixed rate; when it shows the wanted level, confirm it by further samples in quick
 * succession, then fire a trsync. The first matching sample's time is next_clock - rest_ticks. */
#include "firmware/dev/devices.h"
#include "firmware/dev/trsync.h"

struct endstop {
    struct timer timer;
    struct port_in pin;
    struct trsync *ts;
    uint32_t rest_ticks, sample_ticks;
    uint32_t next_clock; /* the sample after the first matching one */
    uint8_t sample_count, samples_left, trigger_reason;
    bool wanted_level, is_confirming, is_homing;
};

static const struct oid_type endstop_type = {"endstop"};

static const struct fault endstop_faults[] = {{"Not an input pin"}};
static const struct response endstop_responses[] = {{"endstop_state oid=%c homing=%c next_clock=%u pin_value=%c"}};

static enum timer_result endstop_event(struct mcu *m, struct timer *timer)
{
    struct endstop *e = (struct endstop *)(void *)timer; /* its first member */
    bool is_match = port_in_read(&e->pin) == e->wanted_level;
    if (!e->is_confirming) {
        uint32_t next = timer->clock + e->rest_ticks;
        if (!is_match) {
            timer->clock = next;
            return TIMER_AGAIN;
        }
        e->next_clock = next;
        e->samples_left = e->sample_count;
        e->is_confirming = true;
    } else if (!is_match) {
        e->is_confirming = false;
        timer->clock = e->next_clock;
        return TIMER_AGAIN;
    }
    if (--e->samples_left == 0) {
        trsync_fire(m, e->ts, e->trigger_reason);
        return TIMER_DONE;
    }
    timer->clock += e->sample_ticks;
    return TIMER_AGAIN;
}

static void cmd_config_endstop(struct mcu *m, const uint32_t *args)
{
    struct endstop *e = oid_create(m, args[0] & 0xff, &endstop_type, sizeof(*e));
    if (!e)
        return;
    e->timer = (struct timer){.fn = endstop_event, .is_watching = true};
    if (!port_in_setup(&e->pin, m->setup.port, args[1], (int8_t)args[2]))
        fault_raise(m, &endstop_faults[0]);
}

static void cmd_endstop_home(struct mcu *m, const uint32_t *args)
{
    struct endstop *e = oid_find(m, args[0] & 0xff, &endstop_type);
    if (!e)
        return;
    timer_del(m, &e->timer);
    e->is_confirming = false;
    e->sample_count = (uint8_t)args[3];
    e->is_homing = e->sample_count != 0;
    if (!e->is_homing)
        return;
    e->ts = trsync_find(m, args[6]);
    if (!e->ts)
        return;
    e->timer.clock = args[1];
    e->sample_ticks = args[2];
    e->rest_ticks = args[4];
    e->wanted_level = (args[5] & 0xff) != 0;
    e->trigger_reason = (uint8_t)args[7];
    timer_add(m, &e->timer);
}

static void cmd_endstop_query_state(struct mcu *m, const uint32_t *args)
{
    struct endstop *e = oid_find(m, args[0] & 0xff, &endstop_type);
    if (e)
        mcu_send(m, &endstop_responses[0], args[0] & 0xff, (uint32_t)e->is_homing, e->next_clock,
                 (uint32_t)port_in_read(&e->pin));
}

static const struct command endstop_commands[] = {
    {"config_endstop oid=%c pin=%c pull_up=%c", cmd_config_endstop, 0},
    {"endstop_home oid=%c clock=%u sample_ticks=%u sample_count=%c rest_ticks=%u pin_value=%c trsync_oid=%c"
     " trigger_reason=%c",
     cmd_endstop_home, 0},
    {"endstop_query_state oid=%c", cmd_endstop_query_state, 0},
};

const struct module endstop_module = {
    .name = "endstop",
    .commands = endstop_commands,
    .command_count = sizeof(endstop_commands) / sizeof(endstop_commands[0]),
    .responses = endstop_responses,
    .response_count = sizeof(endstop_responses) / sizeof(endstop_responses[0]),
    .faults = endstop_faults,
    .fault_count = sizeof(endstop_faults) / sizeof(endstop_faults[0]),
};
