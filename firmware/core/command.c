/* Message formats: the numbers of messages, the dispatch of commands, the encoding of responses.
 *
 * Numbers run through the modules in order: first the fixed pair identify_response = 0, identify = 1, then all other
 * commands, then all other responses. A number below 128 is one byte on the wire, others are two (7 bits each). */
#include "firmware/core/internal.h"
#include "firmware/proto/vlq.h"

#include <stdarg.h>

enum param format_next_param(const char **format)
{
    const char *p = *format;
    while (*p && *p != '%')
        p++;
    if (!*p)
        return PARAM_END;
    p++;
    enum param kind = PARAM_BUFFER;
    switch (*p) {
    case 'u':
        kind = PARAM_U32;
        break;
    case 'i':
        kind = PARAM_I32;
        break;
    case 'c':
        kind = PARAM_BYTE;
        break;
    case 'h':
        p++;
        kind = *p == 'i' ? PARAM_I16 : PARAM_U16;
        break;
    default: /* %s, %*s, %.*s */
        while (*p && *p != 's')
            p++;
        break;
    }
    *format = *p ? p + 1 : p;
    return kind;
}

/* --- numbers --- */

static size_t total_commands(const struct module *const *modules, size_t module_count)
{
    size_t n = 0;
    for (size_t i = 0; i < module_count; i++)
        n += modules[i]->command_count;
    return n;
}

size_t command_slot_count(const struct module *const *modules, size_t module_count)
{
    return total_commands(modules, module_count) + 1; /* the numbers 0 .. commands: response 0, then every command */
}

int mcu_command_id(const struct module *const *modules, size_t module_count, const struct command *command)
{
    int id = 1;
    for (size_t i = 0; i < module_count; i++) {
        const struct command *first = modules[i]->commands;
        if (command >= first && command < first + modules[i]->command_count)
            return id + (int)(command - first);
        id += modules[i]->command_count;
    }
    return -1;
}

int mcu_response_id(const struct module *const *modules, size_t module_count, const struct response *response)
{
    if (response == &core_responses[CORE_IDENTIFY_RESPONSE])
        return 0;
    int id = (int)total_commands(modules, module_count); /* the entry for identify_response is counted once here */
    for (size_t i = 0; i < module_count; i++) {
        const struct response *first = modules[i]->responses;
        if (response >= first && response < first + modules[i]->response_count)
            return id + (int)(response - first);
        id += modules[i]->response_count;
    }
    return -1;
}

static bool is_same_text(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

int mcu_fault_id(const struct module *const *modules, size_t module_count, const struct fault *fault)
{
    int id = MCU_STRING_ID_FIRST;
    for (size_t i = 0; i < module_count; i++) {
        for (unsigned f = 0; f < modules[i]->fault_count; f++, id++) {
            if (is_same_text(modules[i]->faults[f].text, fault->text))
                return id;
        }
    }
    return 0;
}

/* --- commands --- */

void command_build_slots(struct mcu *m)
{
    for (size_t i = 0; i < m->setup.module_count; i++) {
        const struct module *module = m->setup.modules[i];
        for (unsigned c = 0; c < module->command_count; c++) {
            const struct command *command = &module->commands[c];
            int id = mcu_command_id(m->setup.modules, m->setup.module_count, command);
            struct command_slot *slot = &m->slots[id];
            slot->command = command;
            const char *format = command->format;
            for (enum param kind;
                 slot->param_count < MCU_PARAMS_MAX && (kind = format_next_param(&format)) != PARAM_END;)
                slot->params[slot->param_count++] = (uint8_t)kind;
        }
    }
}

const uint8_t *command_data(const struct mcu *m, uint32_t handle)
{
    return m->block + handle;
}

/* Read the arguments of one command. Unlike some boards we never read past the payload: a command cut short is an
 * error. */
static const uint8_t *parse_args(struct mcu *m, const struct command_slot *slot, const uint8_t *p, const uint8_t *end,
                                 uint32_t *args)
{
    for (unsigned i = 0; i < slot->param_count; i++) {
        if (slot->params[i] == PARAM_BUFFER) {
            if (p >= end || *p > end - p - 1)
                return NULL;
            *args++ = *p;
            *args++ = (uint32_t)(p + 1 - m->block);
            p += 1 + *p;
            continue;
        }
        p = vlq_decode(p, end, args++);
        if (!p)
            return NULL;
    }
    return p;
}

static const struct command_slot *find_slot(const struct mcu *m, const uint8_t **p, const uint8_t *end)
{
    unsigned id = *(*p)++;
    if (id & 0x80) {
        if (*p >= end)
            return NULL;
        id = ((id & 0x7f) << 7) | (*(*p)++ & 0x7f);
    }
    return id < m->slot_count && m->slots[id].command ? &m->slots[id] : NULL;
}

bool command_dispatch(struct mcu *m, const uint8_t *payload, size_t len_bytes)
{
    const uint8_t *p = payload, *end = payload + len_bytes;
    m->block = payload;
    m->block_bytes = len_bytes;
    while (p < end) {
        uint32_t args[2 * MCU_PARAMS_MAX]; /* buffers take two */
        const struct command_slot *slot = find_slot(m, &p, end);
        if (!slot) {
            fault_raise(m, &core_faults[CORE_INVALID_COMMAND]);
        } else if (!(p = parse_args(m, slot, p, end, args))) {
            fault_raise(m, &core_faults[CORE_COMMAND_PARSER]);
        } else if (m->is_shut_down && !(slot->command->flags & COMMAND_IN_SHUTDOWN)) {
            int id = mcu_fault_id(m->setup.modules, m->setup.module_count, m->reason);
            mcu_send(m, &core_responses[CORE_IS_SHUTDOWN], (uint32_t)id);
            continue;
        } else {
            slot->command->fn(m, args);
        }
        if (fault_take(m) || m->is_input_stopped)
            return false;
    }
    return true;
}

/* --- responses --- */

static uint8_t *encode_id(uint8_t *p, unsigned id)
{
    if (id >= 0x80)
        *p++ = (uint8_t)(id >> 7 | 0x80);
    *p++ = (uint8_t)(id & 0x7f);
    return p;
}

void mcu_send(struct mcu *m, const struct response *response, ...)
{
    int id = mcu_response_id(m->setup.modules, m->setup.module_count, response);
    uint8_t payload[FRAME_PAYLOAD_MAX], block[FRAME_MAX_BYTES];
    uint8_t *p = encode_id(payload, (unsigned)id);
    const uint8_t *const end = payload + sizeof(payload);
    const char *format = response->format;
    bool fits = id >= 0;
    va_list args;
    va_start(args, response);
    for (enum param kind; fits && (kind = format_next_param(&format)) != PARAM_END;) {
        uint32_t value = va_arg(args, uint32_t);
        if (kind != PARAM_BUFFER) {
            fits = (size_t)(end - p) >= vlq_size(value);
            if (fits)
                p = vlq_encode(p, value);
            continue;
        }
        const uint8_t *data = va_arg(args, const uint8_t *);
        fits = (size_t)(end - p) > value;
        if (!fits)
            break;
        *p++ = (uint8_t)value;
        for (uint32_t i = 0; i < value; i++)
            *p++ = data[i];
    }
    va_end(args);
    if (fits)
        (void)port_send(m->setup.port, block, frame_build(block, m->expected_seq, payload, (size_t)(p - payload)));
}
