/* Chains of lamps that take their colours as a train of pulses (WS2812 and its kin): the host fills a buffer, then has it
 * sent. The pulses are the port's work. */
#include "firmware/dev/devices.h"

struct neopixel {
    struct port_leds leds;
    uint32_t bit_max_ticks, reset_min_ticks, last_end;
    bool has_sent;
    uint16_t data_bytes;
    uint8_t data[];
};

static const struct oid_type neopixel_type = {"neopixel"};

enum { FAULT_UPDATE, FAULT_PIN };
static const struct fault neopixel_faults[] = {
    [FAULT_UPDATE] = {"Invalid neopixel update command"},
    [FAULT_PIN] = {"Not an output pin"},
};
static const struct response neopixel_responses[] = {{"neopixel_result oid=%c success=%c"}};

static void cmd_config_neopixel(struct mcu *m, const uint32_t *args)
{
    uint16_t size = (uint16_t)args[2];
    struct neopixel *n = oid_create(m, args[0] & 0xff, &neopixel_type, sizeof(*n) + size);
    if (!n)
        return;
    n->data_bytes = size;
    n->bit_max_ticks = args[3];
    n->reset_min_ticks = args[4];
    if (!port_leds_setup(&n->leds, m->setup.port, args[1]))
        fault_raise(m, &neopixel_faults[FAULT_PIN]);
}

static void cmd_neopixel_update(struct mcu *m, const uint32_t *args)
{
    struct neopixel *n = oid_find(m, args[0] & 0xff, &neopixel_type);
    if (!n)
        return;
    uint32_t at = args[1] & 0xffff, count = args[2];
    if (at + count > n->data_bytes) {
        fault_raise(m, &neopixel_faults[FAULT_UPDATE]);
        return;
    }
    const uint8_t *data = command_data(m, args[3]);
    for (uint32_t i = 0; i < count; i++)
        n->data[at + i] = data[i];
}

/* The lamps take what follows a long enough silence for a new picture: too soon is a failure, and the host asks again. */
static void cmd_neopixel_send(struct mcu *m, const uint32_t *args)
{
    struct neopixel *n = oid_find(m, args[0] & 0xff, &neopixel_type);
    if (!n)
        return;
    uint32_t now = port_clock(m->setup.port);
    bool is_too_soon = n->has_sent && now - n->last_end < n->reset_min_ticks;
    bool is_success = !is_too_soon && port_leds_send(&n->leds, n->data, n->data_bytes, n->bit_max_ticks);
    if (is_success) {
        n->has_sent = true;
        n->last_end = port_clock(m->setup.port);
    }
    mcu_send(m, &neopixel_responses[0], args[0] & 0xff, (uint32_t)is_success);
}

static const struct command neopixel_commands[] = {
    {"config_neopixel oid=%c pin=%u data_size=%hu bit_max_ticks=%u reset_min_ticks=%u", cmd_config_neopixel, 0},
    {"neopixel_update oid=%c pos=%hu data=%*s", cmd_neopixel_update, 0},
    {"neopixel_send oid=%c", cmd_neopixel_send, 0},
};

const struct module neopixel_module = {
    .name = "neopixel",
    .commands = neopixel_commands,
    .command_count = sizeof(neopixel_commands) / sizeof(neopixel_commands[0]),
    .responses = neopixel_responses,
    .response_count = sizeof(neopixel_responses) / sizeof(neopixel_responses[0]),
    .faults = neopixel_faults,
    .fault_count = sizeof(neopixel_faults) / sizeof(neopixel_faults[0]),
};
