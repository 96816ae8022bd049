/* The core's own commands (identify, configuration, clock, shutdown, debugging), its life and its statistics. */
#include "firmware/core/internal.h"

const struct fault core_faults[CORE_FAULT_COUNT] = {
    [CORE_ALREADY_FINALIZED] = {"Already finalized"},
    [CORE_CANT_ASSIGN_OID] = {"Can't assign oid"},
    [CORE_COMMAND_PARSER] = {"Command parser error"},
    [CORE_COMMAND_REQUEST] = {"Command request"},
    [CORE_INVALID_COMMAND] = {"Invalid command"},
    [CORE_INVALID_MOVE_SIZE] = {"Invalid move request size"},
    [CORE_INVALID_OID_TYPE] = {"Invalid oid type"},
    [CORE_MOVE_OVERFLOW] = {"Move queue overflow"},
    [CORE_RESCHEDULED] = {"Rescheduled timer in the past"},
    [CORE_NOT_SHUT_DOWN] = {"Shutdown cleared when not shutdown"},
    [CORE_TIMER_CLOSE] = {"Timer too close"},
    [CORE_ALLOC_CHUNK] = {"alloc_chunk failed"},
    [CORE_ALLOC_CHUNKS] = {"alloc_chunks failed"},
    [CORE_RESET_NOT_SHUT_DOWN] = {"config_reset only available when shutdown"},
    [CORE_OIDS_ALLOCATED] = {"oids already allocated"},
};

const struct response core_responses[CORE_RESPONSE_COUNT] = {
    [CORE_IDENTIFY_RESPONSE] = {"identify_response offset=%u data=%.*s"},
    [CORE_UPTIME] = {"uptime high=%u clock=%u"},
    [CORE_CLOCK] = {"clock clock=%u"},
    [CORE_CONFIG] = {"config is_config=%c crc=%u is_shutdown=%c move_count=%hu"},
    [CORE_STATS] = {"stats count=%u sum=%u sumsq=%u"},
    [CORE_STARTING] = {"starting"},
    [CORE_SHUTDOWN] = {"shutdown clock=%u static_string_id=%hu"},
    [CORE_IS_SHUTDOWN] = {"is_shutdown static_string_id=%hu"},
    [CORE_PONG] = {"pong data=%*s"},
    [CORE_DEBUG_RESULT] = {"debug_result val=%u"},
};

/* --- identify --- */

static void cmd_identify(struct mcu *m, const uint32_t *args)
{
    uint32_t offset = args[0], count = args[1] & 0xff;
    uint32_t size = (uint32_t)m->setup.dictionary_bytes;
    uint32_t left = offset < size ? size - offset : 0;
    if (count > left)
        count = left;
    mcu_send(m, &core_responses[CORE_IDENTIFY_RESPONSE], offset, count, m->setup.dictionary + (size - left));
}

/* --- configuration --- */

static void cmd_allocate_oids(struct mcu *m, const uint32_t *args)
{
    if (m->oids) {
        fault_raise(m, &core_faults[CORE_OIDS_ALLOCATED]);
        return;
    }
    uint32_t count = args[0] & 0xff;
    struct oid_entry *oids = mcu_alloc(m, (count ? count : 1) * sizeof(*oids));
    if (!oids)
        return;
    m->oids = oids;
    m->oid_count = count;
}

static void cmd_finalize_config(struct mcu *m, const uint32_t *args)
{
    if (m->is_finalized) {
        fault_raise(m, &core_faults[CORE_ALREADY_FINALIZED]);
        return;
    }
    move_pool_create(m);
    if (m->pending)
        return;
    m->config_crc = args[0];
    m->is_finalized = true;
}

static void cmd_get_config(struct mcu *m, const uint32_t *args)
{
    (void)args;
    mcu_send(m, &core_responses[CORE_CONFIG], (uint32_t)m->is_finalized, m->config_crc, (uint32_t)m->is_shut_down,
             (uint32_t)m->move_count);
}

void mcu_forget_config(struct mcu *m)
{
    m->memory_used = m->memory_frozen_at;
    m->oids = NULL;
    m->oid_count = 0;
    m->config_crc = 0;
    m->is_finalized = false;
    m->moves = NULL;
    m->moves_free = NULL;
    m->move_bytes = 0;
    m->move_count = 0;
    m->is_shut_down = false;
    m->pending = m->reason = NULL;
    m->is_task_due = false;
    mcu_drop_timers(m);
    for (size_t i = 0; i < m->setup.module_count; i++) {
        uint8_t *state = m->state[i];
        for (unsigned b = 0; b < m->setup.modules[i]->state_bytes; b++)
            state[b] = 0;
        if (m->setup.modules[i]->init)
            m->setup.modules[i]->init(m);
    }
}

static void cmd_config_reset(struct mcu *m, const uint32_t *args)
{
    (void)args;
    if (!m->is_shut_down)
        fault_raise(m, &core_faults[CORE_RESET_NOT_SHUT_DOWN]);
    else
        mcu_forget_config(m);
}

/* --- clock --- */

/* The high word counts the wraps seen. It is brought up to date by every statistics timer, many times per wrap. */
static void update_uptime(struct mcu *m, uint32_t clock)
{
    if (clock < m->last_clock)
        m->clock_high++;
    m->last_clock = clock;
}

static void cmd_get_uptime(struct mcu *m, const uint32_t *args)
{
    (void)args;
    uint32_t clock = port_clock(m->setup.port);
    update_uptime(m, clock);
    mcu_send(m, &core_responses[CORE_UPTIME], m->clock_high, clock);
}

static void cmd_get_clock(struct mcu *m, const uint32_t *args)
{
    (void)args;
    mcu_send(m, &core_responses[CORE_CLOCK], port_clock(m->setup.port));
}

/* --- shutdown --- */

static void cmd_emergency_stop(struct mcu *m, const uint32_t *args)
{
    (void)args;
    fault_raise(m, &core_faults[CORE_COMMAND_REQUEST]);
}

static void cmd_clear_shutdown(struct mcu *m, const uint32_t *args)
{
    (void)args;
    if (!m->is_shut_down)
        fault_raise(m, &core_faults[CORE_NOT_SHUT_DOWN]);
    m->is_shut_down = false;
}

static void cmd_reset(struct mcu *m, const uint32_t *args)
{
    (void)args;
    m->is_input_stopped = true;
    port_reset(m->setup.port);
}

/* --- debugging --- */

static void cmd_debug_nop(struct mcu *m, const uint32_t *args)
{
    (void)m;
    (void)args;
}

static void cmd_debug_ping(struct mcu *m, const uint32_t *args)
{
    mcu_send(m, &core_responses[CORE_PONG], args[0], command_data(m, args[1]));
}

static unsigned debug_order(const uint32_t *args)
{
    return args[0] & 0xff;
}

static void cmd_debug_read(struct mcu *m, const uint32_t *args)
{
    uint32_t value = debug_order(args) > 2 ? 0 : port_peek(m->setup.port, debug_order(args), args[1]);
    mcu_send(m, &core_responses[CORE_DEBUG_RESULT], value);
}

static void cmd_debug_write(struct mcu *m, const uint32_t *args)
{
    if (debug_order(args) <= 2)
        port_poke(m->setup.port, debug_order(args), args[1], args[2]);
}

static const struct command core_commands[] = {
    {"identify offset=%u count=%c", cmd_identify, COMMAND_IN_SHUTDOWN}, /* message 1: stays first */
    {"clear_shutdown", cmd_clear_shutdown, COMMAND_IN_SHUTDOWN},
    {"emergency_stop", cmd_emergency_stop, COMMAND_IN_SHUTDOWN},
    {"get_uptime", cmd_get_uptime, COMMAND_IN_SHUTDOWN},
    {"get_clock", cmd_get_clock, COMMAND_IN_SHUTDOWN},
    {"finalize_config crc=%u", cmd_finalize_config, 0},
    {"get_config", cmd_get_config, COMMAND_IN_SHUTDOWN},
    {"allocate_oids count=%c", cmd_allocate_oids, 0},
    {"config_reset", cmd_config_reset, COMMAND_IN_SHUTDOWN},
    {"reset", cmd_reset, COMMAND_IN_SHUTDOWN},
    {"debug_nop", cmd_debug_nop, COMMAND_IN_SHUTDOWN},
    {"debug_ping data=%*s", cmd_debug_ping, COMMAND_IN_SHUTDOWN},
    {"debug_write order=%c addr=%u val=%u", cmd_debug_write, COMMAND_IN_SHUTDOWN},
    {"debug_read order=%c addr=%u", cmd_debug_read, COMMAND_IN_SHUTDOWN},
};

const struct module core_module = {
    .name = "core",
    .commands = core_commands,
    .command_count = (uint16_t)(sizeof(core_commands) / sizeof(core_commands[0])),
    .responses = core_responses,
    .response_count = CORE_RESPONSE_COUNT,
    .faults = core_faults,
    .fault_count = CORE_FAULT_COUNT,
};

/* --- life --- */

/* Every second a look at the clock's wrap (five seconds of a fast clock would not fit 2^31 ticks), every
 * MCU_STATS_PERIOD_S the load of the board since the last time. */
static enum timer_result stats_event(struct mcu *m, struct timer *timer)
{
    update_uptime(m, port_clock(m->setup.port));
    timer->clock += port_clock_hz(m->setup.port);
    if (m->stats_countdown == 0) {
        uint32_t count = m->stats_count ? m->stats_count : 1; /* hosts divide by it */
        mcu_send(m, &core_responses[CORE_STATS], count, m->stats_sum, m->stats_sumsq);
        m->stats_count = m->stats_sum = m->stats_sumsq = 0;
        m->stats_countdown = MCU_STATS_PERIOD_S;
    }
    m->stats_countdown--;
    timer->is_report = m->stats_countdown == 0;
    return TIMER_AGAIN;
}

void mcu_count_loop(struct mcu *m, uint32_t start)
{
    uint32_t busy = port_clock(m->setup.port) - start;
    uint64_t sumsq = (uint64_t)busy * busy / 256 + m->stats_sumsq;
    m->stats_count++;
    m->stats_sum += busy;
    m->stats_sumsq = sumsq > UINT32_MAX ? UINT32_MAX : (uint32_t)sumsq;
}

static size_t round_up(size_t bytes)
{
    return (bytes + 15) & ~(size_t)15;
}

size_t mcu_table_bytes(const struct module *const *modules, size_t module_count)
{
    size_t bytes = round_up(command_slot_count(modules, module_count) * sizeof(struct command_slot));
    for (size_t i = 0; i < module_count; i++)
        bytes += round_up(modules[i]->state_bytes);
    return bytes;
}

void mcu_init(struct mcu *m, const struct mcu_setup *setup)
{
    *m = (struct mcu){.setup = *setup, .expected_seq = FRAME_SEQ_FLAG};
    m->slot_count = (uint16_t)command_slot_count(setup->modules, setup->module_count);
    m->slots = mcu_grab(m, m->slot_count * sizeof(struct command_slot));
    for (size_t i = 0; i < setup->module_count; i++)
        m->state[i] = mcu_grab(m, setup->modules[i]->state_bytes);
    m->memory_frozen_at = m->memory_used;
    command_build_slots(m);
    m->last_clock = port_clock(setup->port);
    m->stats_timer = (struct timer){.fn = stats_event, .clock = m->last_clock, .is_report = true};
    mcu_forget_config(m);
    mcu_send(m, &core_responses[CORE_STARTING]);
}

void mcu_run_tasks(struct mcu *m)
{
    while (m->is_task_due) {
        m->is_task_due = false;
        for (size_t i = 0; i < m->setup.module_count; i++) {
            if (m->setup.modules[i]->task)
                m->setup.modules[i]->task(m);
        }
        fault_take(m);
    }
}
