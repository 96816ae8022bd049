#include "firmware/dev/trsync.h"

#include "firmware/dev/devices.h"

struct trsync {
    struct timer report, expire;
    uint32_t report_ticks;
    struct trsync_signal *signals;
    uint8_t trigger_reason, expire_reason;
    bool is_armed;
    bool is_report_due; /* the task owes the host a state */
};

static const struct oid_type trsync_type = {"trsync"};

static const struct fault trsync_faults[] = {{"Can't add signal that is already active"}};
static const struct response trsync_responses[] = {{"trsync_state oid=%c can_trigger=%c trigger_reason=%c clock=%u"}};

struct trsync *trsync_find(struct mcu *m, uint32_t oid)
{
    return oid_find(m, oid & 0xff, &trsync_type);
}

/* --- signals --- */

void trsync_add_signal(struct mcu *m, struct trsync *ts, struct trsync_signal *signal,
                       void (*fire)(struct mcu *, struct trsync_signal *, unsigned))
{
    if (signal->fire) {
        fault_raise(m, &trsync_faults[0]);
        return;
    }
    signal->fire = fire;
    signal->next = ts->signals;
    ts->signals = signal;
}

static struct trsync_signal *pop_signal(struct trsync *ts)
{
    struct trsync_signal *signal = ts->signals;
    if (signal) {
        ts->signals = signal->next;
        signal->next = NULL;
    }
    return signal;
}

static void forget_signals(struct trsync *ts)
{
    struct trsync_signal *signal;
    while ((signal = pop_signal(ts)))
        signal->fire = NULL;
}

void trsync_fire(struct mcu *m, struct trsync *ts, unsigned reason)
{
    if (!ts->is_armed)
        return;
    ts->is_armed = false;
    ts->trigger_reason = (uint8_t)reason;
    struct trsync_signal *signal;
    while ((signal = pop_signal(ts))) {
        void (*fire)(struct mcu *, struct trsync_signal *, unsigned) = signal->fire;
        signal->fire = NULL;
        fire(m, signal, reason);
    }
    ts->is_report_due = true;
    mcu_wake(m);
}

/* --- timers --- */

static enum timer_result report_event(struct mcu *m, struct timer *timer)
{
    struct trsync *ts = (struct trsync *)(void *)((char *)timer - offsetof(struct trsync, report));
    ts->is_report_due = true;
    mcu_wake(m);
    timer->clock += ts->report_ticks;
    return TIMER_AGAIN;
}

static enum timer_result expire_event(struct mcu *m, struct timer *timer)
{
    struct trsync *ts = (struct trsync *)(void *)((char *)timer - offsetof(struct trsync, expire));
    trsync_fire(m, ts, ts->expire_reason);
    return TIMER_DONE;
}

static void stop(struct mcu *m, struct trsync *ts)
{
    timer_del(m, &ts->report);
    timer_del(m, &ts->expire);
    ts->is_armed = false;
    ts->is_report_due = false;
}

/* --- commands --- */

static void cmd_config_trsync(struct mcu *m, const uint32_t *args)
{
    struct trsync *ts = oid_create(m, args[0] & 0xff, &trsync_type, sizeof(*ts));
    if (!ts)
        return;
    ts->report = (struct timer){.fn = report_event, .is_report = true};
    ts->expire = (struct timer){.fn = expire_event, .is_report = true};
}

static void cmd_trsync_start(struct mcu *m, const uint32_t *args)
{
    struct trsync *ts = trsync_find(m, args[0]);
    if (!ts)
        return;
    stop(m, ts);
    forget_signals(ts);
    ts->trigger_reason = 0;
    ts->expire_reason = (uint8_t)args[3];
    ts->is_armed = true;
    ts->report_ticks = args[2];
    ts->report.clock = args[1];
    if (ts->report_ticks)
        timer_add(m, &ts->report);
}

static void cmd_trsync_set_timeout(struct mcu *m, const uint32_t *args)
{
    struct trsync *ts = trsync_find(m, args[0]);
    if (!ts || !ts->is_armed)
        return;
    timer_del(m, &ts->expire);
    ts->expire.clock = args[1];
    timer_add(m, &ts->expire);
}

static void send_state(struct mcu *m, unsigned oid, const struct trsync *ts, uint32_t clock)
{
    mcu_send(m, &trsync_responses[0], (uint32_t)oid, (uint32_t)ts->is_armed, (uint32_t)ts->trigger_reason, clock);
}

static void cmd_trsync_trigger(struct mcu *m, const uint32_t *args)
{
    struct trsync *ts = trsync_find(m, args[0]);
    if (!ts)
        return;
    trsync_fire(m, ts, args[1] & 0xff);
    stop(m, ts);
    send_state(m, args[0] & 0xff, ts, 0);
}

static void trsync_task(struct mcu *m)
{
    struct trsync *ts;
    for (unsigned oid = 0; (ts = oid_next(m, &oid, &trsync_type)); oid++) {
        if (!ts->is_report_due)
            continue;
        ts->is_report_due = false;
        send_state(m, oid, ts, port_clock(m->setup.port));
    }
}

static void trsync_shutdown(struct mcu *m)
{
    struct trsync *ts;
    for (unsigned oid = 0; (ts = oid_next(m, &oid, &trsync_type)); oid++) {
        stop(m, ts);
        forget_signals(ts);
        ts->trigger_reason = 0;
    }
}

static const struct command trsync_commands[] = {
    {"config_trsync oid=%c", cmd_config_trsync, 0},
    {"trsync_start oid=%c report_clock=%u report_ticks=%u expire_reason=%c", cmd_trsync_start, 0},
    {"trsync_set_timeout oid=%c clock=%u", cmd_trsync_set_timeout, 0},
    {"trsync_trigger oid=%c reason=%c", cmd_trsync_trigger, 0},
};

const struct module trsync_module = {
    .name = "trsync",
    .commands = trsync_commands,
    .command_count = sizeof(trsync_commands) / sizeof(trsync_commands[0]),
    .responses = trsync_responses,
    .response_count = sizeof(trsync_responses) / sizeof(trsync_responses[0]),
    .faults = trsync_faults,
    .fault_count = sizeof(trsync_faults) / sizeof(trsync_faults[0]),
    .task = trsync_task,
    .shutdown = trsync_shutdown,
};
