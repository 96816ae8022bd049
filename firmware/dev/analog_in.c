/* Analog inputs: groups of samples at a fixed rate, each group summed, several sums to a report. Goes on through a
 * shutdown: the host wants to see temperatures then more than ever. */
#include "firmware/dev/devices.h"

#define REPORT_BYTES_MAX 48

struct analog_in {
    struct timer timer;
    struct port_adc pin;
    uint32_t rest_ticks, sample_ticks;
    uint32_t next_begin; /* clock of the group after the present one */
    uint16_t sum, min_value, max_value;
    uint8_t sample_count, samples_done;
    uint8_t range_check_count, out_of_range_count;
    uint8_t report_bytes, filled_bytes;
    bool is_report_due;
    uint8_t values[REPORT_BYTES_MAX];
};

static const struct oid_type analog_in_type = {"analog_in"};

enum { FAULT_RANGE, FAULT_BYTES, FAULT_PIN };
static const struct fault analog_faults[] = {
    [FAULT_RANGE] = {"ADC out of range"},
    [FAULT_BYTES] = {"Invalid analog_in bytes_per_report"},
    [FAULT_PIN] = {"Not a valid ADC pin"},
};
static const struct response analog_responses[] = {{"analog_in_state oid=%c next_clock=%u values=%*s"}};

/* Begin the group at `clock`. */
static void begin_group(struct analog_in *a, uint32_t clock)
{
    a->sum = 0;
    a->samples_done = 0;
    a->next_begin = clock + a->rest_ticks;
    a->timer.clock = clock;
}

/* Will the coming sample complete a report? */
static void mark_report(struct analog_in *a)
{
    a->timer.is_report = a->samples_done + 1 >= a->sample_count && a->filled_bytes + 2 >= a->report_bytes;
}

/* A whole group has been summed. */
static void finish_group(struct mcu *m, struct analog_in *a)
{
    bool is_in_range = a->sum >= a->min_value && a->sum <= a->max_value;
    a->out_of_range_count = (uint8_t)(is_in_range ? 0 : a->out_of_range_count + 1);
    if (!is_in_range && a->out_of_range_count >= a->range_check_count) {
        a->out_of_range_count = 0;
        fault_raise_once(m, &analog_faults[FAULT_RANGE]);
        if (!mcu_is_shut_down(m))
            return;
    }
    if (a->is_report_due) /* the task has not come round to the last report: the newer one wins */
        a->filled_bytes = 0;
    a->values[a->filled_bytes++] = (uint8_t)(a->sum & 0xff);
    a->values[a->filled_bytes++] = (uint8_t)(a->sum >> 8);
    a->is_report_due = a->filled_bytes >= a->report_bytes;
    if (a->is_report_due)
        mcu_wake(m);
}

static enum timer_result analog_event(struct mcu *m, struct timer *timer)
{
    struct analog_in *a = (struct analog_in *)(void *)timer; /* its first member */
    uint32_t wait_ticks = port_adc_sample(&a->pin);
    if (wait_ticks) {
        timer->clock += wait_ticks;
        return TIMER_AGAIN;
    }
    a->sum = (uint16_t)(a->sum + port_adc_read(&a->pin));
    if (++a->samples_done < a->sample_count) {
        timer->clock += a->sample_ticks;
    } else {
        finish_group(m, a);
        begin_group(a, a->next_begin);
    }
    if (a->is_report_due)
        timer->is_report = a->sample_count == 1 && a->report_bytes <= 2; /* the task empties the report first */
    else
        mark_report(a);
    return TIMER_AGAIN;
}

/* --- commands --- */

static void cmd_config_analog_in(struct mcu *m, const uint32_t *args)
{
    struct analog_in *a = oid_create(m, args[0] & 0xff, &analog_in_type, sizeof(*a));
    if (!a)
        return;
    a->timer = (struct timer){.fn = analog_event};
    if (!port_adc_setup(&a->pin, m->setup.port, args[1]))
        fault_raise(m, &analog_faults[FAULT_PIN]);
}

static void cmd_query_analog_in(struct mcu *m, const uint32_t *args)
{
    struct analog_in *a = oid_find(m, args[0] & 0xff, &analog_in_type);
    if (!a)
        return;
    timer_del(m, &a->timer);
    port_adc_cancel(&a->pin);
    uint32_t bytes = args[5] & 0xff;
    if (bytes > REPORT_BYTES_MAX) {
        a->sample_count = 0;
        fault_raise(m, &analog_faults[FAULT_BYTES]);
        return;
    }
    a->report_bytes = (uint8_t)(bytes < 4 ? 2 : bytes & ~1u);
    a->filled_bytes = a->out_of_range_count = 0;
    a->is_report_due = false;
    a->sample_ticks = args[2];
    a->sample_count = (uint8_t)args[3];
    a->rest_ticks = args[4];
    a->min_value = (uint16_t)args[6];
    a->max_value = (uint16_t)args[7];
    a->range_check_count = (uint8_t)args[8];
    if (!a->sample_count)
        return;
    begin_group(a, args[1]);
    mark_report(a);
    timer_add(m, &a->timer);
}

static void analog_task(struct mcu *m)
{
    struct analog_in *a;
    for (unsigned oid = 0; (a = oid_next(m, &oid, &analog_in_type)); oid++) {
        if (!a->is_report_due)
            continue;
        uint32_t next_clock = a->next_begin - a->rest_ticks;
        uint32_t len = a->filled_bytes;
        a->is_report_due = false;
        a->filled_bytes = 0;
        mcu_send(m, &analog_responses[0], (uint32_t)oid, next_clock, len, a->values);
    }
}

/* The group in progress is lost, and so is the next: sampling goes on with the one after it. */
static void analog_shutdown(struct mcu *m)
{
    struct analog_in *a;
    for (unsigned oid = 0; (a = oid_next(m, &oid, &analog_in_type)); oid++) {
        port_adc_cancel(&a->pin);
        if (!a->sample_count)
            continue;
        a->filled_bytes = 0;
        a->is_report_due = false;
        begin_group(a, a->next_begin);
        mark_report(a);
        timer_add(m, &a->timer);
    }
}

static const struct command analog_commands[] = {
    {"config_analog_in oid=%c pin=%u", cmd_config_analog_in, 0},
    {"query_analog_in oid=%c clock=%u sample_ticks=%u sample_count=%c rest_ticks=%u bytes_per_report=%c"
     " min_value=%hu max_value=%hu range_check_count=%c",
     cmd_query_analog_in, 0},
};

const struct module analog_module = {
    .name = "analog_in",
    .commands = analog_commands,
    .command_count = sizeof(analog_commands) / sizeof(analog_commands[0]),
    .responses = analog_responses,
    .response_count = sizeof(analog_responses) / sizeof(analog_responses[0]),
    .faults = analog_faults,
    .fault_count = sizeof(analog_faults) / sizeof(analog_faults[0]),
    .task = analog_task,
    .shutdown = analog_shutdown,
};
