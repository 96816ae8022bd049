/* [neopixel NAME]: a chain of lamps on one pin (WS2812 and its kin). The board keeps a copy of all colours; the host sends
 * what differs from it, then has the board send the chain, and asks again when the board was interrupted
 * (docs/protocol.md). */
#include "server/machine/led.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "motion/board.h"
#include "server/config/config.h"
#include "server/machine/object.h"
#include "server/machine/pins.h"

#include <stdio.h>
#include <string.h>

#define BIT_MAX_S     0.000004
#define RESET_MIN_S   0.000050
#define BYTES_MAX     500 /* of one chain, as boards keep it */
#define UPDATE_MAX    32  /* bytes of one message */
#define GAP_MAX       5   /* equal bytes between two differences that are sent along with them */
#define TRIES_MAX     8
#define RETRY_S       0.1 /* the wire has no room */

struct neopixel {
    struct printer_object obj;
    struct led_chain chain;
    struct pin_ref pin;
    bool has_pin;
    size_t byte_count;
    uint8_t *map;   /* of each byte: which colour ... */
    uint16_t *lamp; /* ... of which lamp */
    uint8_t *wanted, *sent; /* what is to be shown, what the board has */
    struct board *board;
    int oid;
    const struct board_format *update, *send;
    bool is_ready, is_sending, is_again; /* a result is awaited; and something has changed since */
    unsigned tries;
    struct printer_timer retry;
};

/* --- sending --- */

static void fill(const struct neopixel *n)
{
    for (size_t i = 0; i < n->byte_count; i++)
        n->wanted[i] = (uint8_t)(n->chain.colours[n->lamp[i]][n->map[i]] * 255 + 0.5);
}

static enum err send_update(struct neopixel *n, size_t from, size_t to)
{
    const struct board_timing at_once = {0};
    enum err err = board_send_data(n->board, n->update, BOARD_ARGS(n->oid, (int64_t)from), n->wanted + from, to - from, at_once);
    if (!err)
        memcpy(n->sent + from, n->wanted + from, to - from);
    return err;
}

/* Every run of differences; runs close to each other go together. */
static enum err send_differences(struct neopixel *n)
{
    enum err err = OK;
    size_t i = 0;
    while (!err && i < n->byte_count) {
        if (n->wanted[i] == n->sent[i]) {
            i++;
            continue;
        }
        size_t end = i + 1;
        for (size_t k = end; k < n->byte_count && k < end + GAP_MAX && k < i + UPDATE_MAX; k++)
            if (n->wanted[k] != n->sent[k])
                end = k + 1;
        err = send_update(n, i, end);
        i = end;
    }
    return err;
}

static void ask_to_send(struct neopixel *n)
{
    const struct board_timing at_once = {0};
    n->is_sending = board_send(n->board, n->send, BOARD_ARGS(n->oid), at_once) == OK;
    if (!n->is_sending)
        printer_timer_start(n->obj.printer, &n->retry, host_ns_add_s(printer_now(n->obj.printer), RETRY_S));
}

static void transmit(struct led_chain *chain)
{
    struct neopixel *n = CONTAINER_OF(chain, struct neopixel, chain);
    if (!n->is_ready)
        return;
    if (n->is_sending) {
        n->is_again = true;
        return;
    }
    n->is_again = false;
    n->tries = 0;
    fill(n);
    if (!memcmp(n->wanted, n->sent, n->byte_count))
        return;
    if (send_differences(n) == OK)
        ask_to_send(n);
    else
        printer_timer_start(n->obj.printer, &n->retry, host_ns_add_s(printer_now(n->obj.printer), RETRY_S));
    if (board_is_file(n->board)) /* nobody answers */
        n->is_sending = false;
}

static struct host_ns on_retry(void *ctx, struct host_ns now)
{
    struct neopixel *n = ctx;
    (void)now;
    fill(n);
    if (send_differences(n) != OK)
        return host_ns_add_s(now, RETRY_S);
    ask_to_send(n);
    return HOST_NS_NEVER;
}

static void on_result(void *ctx, const struct board_reply *reply)
{
    struct neopixel *n = ctx;
    n->is_sending = false;
    if (!board_reply_u32(reply, "success")) {
        if (++n->tries < TRIES_MAX) {
            ask_to_send(n);
            return;
        }
        log_info(n->obj.printer->services->log, "neopixel", "the board was interrupted each time", "name=%s", n->obj.id);
    }
    if (n->is_again)
        transmit(&n->chain);
}

/* --- hooks --- */

/* Letters of a colour order, each once: "GRB", "RGBW". */
static bool is_order(const char *text)
{
    size_t len = strlen(text);
    if ((len != 3 && len != 4) || strspn(text, "RGBW") != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (strchr(text + i + 1, text[i]))
            return false;
    return strchr(text, 'R') && strchr(text, 'G') && strchr(text, 'B');
}

static void map_bytes(struct neopixel *n, struct config_section *section, size_t count)
{
    struct config_list orders = section_list(section, "color_order");
    n->map = mem_alloc(4 * count);
    n->lamp = mem_alloc(4 * count * sizeof *n->lamp);
    if (orders.count != 1 && orders.count != count) {
        config_error_option(section, "color_order",
                            "color_order does not match chain_count in section '%s' (found: %zu orders for %zu lamps)",
                            n->obj.name, orders.count, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const char *order = orders.items[orders.count == 1 ? 0 : i];
        if (!is_order(order)) {
            config_error_option(section, "color_order", "Invalid color_order '%.20s' in section '%s' (allowed: the letters "
                                                        "R, G, B and perhaps W, each once)",
                                order, n->obj.name);
            return;
        }
        for (const char *p = order; *p; p++) {
            n->map[n->byte_count] = (uint8_t)(strchr("RGBW", *p) - "RGBW");
            n->lamp[n->byte_count++] = (uint16_t)i;
        }
    }
    if (n->byte_count > BYTES_MAX)
        config_error_option(section, "chain_count", "The chain of section '%s' is too long (found: %zu bytes, allowed: %d)",
                            n->obj.name, n->byte_count, BYTES_MAX);
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct neopixel *n = (struct neopixel *)obj;
    (void)info;
    n->retry.fn = on_retry;
    n->retry.ctx = n;
    n->has_pin = pins_claim(obj->printer->pins, section, "pin", 0, NULL, &n->pin);
    int count = section_int(section, "chain_count");
    if (count > LED_COUNT_MAX) {
        config_error_option(section, "chain_count", "The chain of section '%s' is too long (found: %d lamps, allowed: %d)",
                            obj->name, count, LED_COUNT_MAX);
        count = 1;
    }
    map_bytes(n, section, (size_t)count);
    led_setup(&n->chain, obj, section, (size_t)count, transmit);
    n->wanted = mem_alloc(n->byte_count + 1);
    n->sent = mem_alloc(n->byte_count + 1);
    return OK;
}

static enum err connect_neopixel(struct printer_object *obj, struct err_info *info)
{
    struct neopixel *n = (struct neopixel *)obj;
    struct board *board = n->board = pin_board(&n->pin);
    if (!board)
        return err_set(info, ERR_INVALID, "Pin '%s' of section '%s' is not on a board", n->pin.name, obj->name);
    const struct board_format *result = board_response(board, "neopixel_result oid=%c success=%c");
    n->update = board_command(board, "neopixel_update oid=%c pos=%hu data=%*s");
    n->send = board_command(board, "neopixel_send oid=%c");
    if (!result || !n->update || !n->send)
        return err_set(info, ERR_UNSUPPORTED, "MCU '%s' cannot drive chains of lamps (pin '%s')", board_name(board),
                       n->pin.name);
    led_connect(&n->chain);
    n->oid = (int)board_oid(board);
    double hz = board_freq_hz(board);
    board_config(board, BOARD_CONFIG, "config_neopixel oid=%d pin=%s data_size=%zu bit_max_ticks=%u reset_min_ticks=%u",
                 n->oid, n->pin.name, n->byte_count, (unsigned)(BIT_MAX_S * hz), (unsigned)(RESET_MIN_S * hz));
    board_on_reply(board, NULL, result, n->oid, on_result, n);
    return OK;
}

/* What the board has is not known: everything differs. */
static void ready(struct printer_object *obj)
{
    struct neopixel *n = (struct neopixel *)obj;
    n->is_ready = true;
    fill(n);
    for (size_t i = 0; i < n->byte_count; i++)
        n->sent[i] = (uint8_t)~n->wanted[i];
    transmit(&n->chain);
}

static void stop(struct printer_object *obj)
{
    struct neopixel *n = (struct neopixel *)obj;
    n->is_ready = false;
    led_stop(&n->chain);
    printer_timer_stop(obj->printer, &n->retry);
}

static void destroy(struct printer_object *obj)
{
    struct neopixel *n = (struct neopixel *)obj;
    printer_timer_stop(obj->printer, &n->retry);
    led_deinit(&n->chain);
    mem_free(n->map);
    mem_free(n->lamp);
    mem_free(n->wanted);
    mem_free(n->sent);
}

static void status(struct printer_object *obj, struct status_writer *writer)
{
    led_write_status(&((struct neopixel *)obj)->chain, writer);
}

static void *command_ctx(struct printer_object *obj)
{
    return &((struct neopixel *)obj)->chain;
}

static const struct option_desc options[] = {
    {.name = "pin", .type = OPTION_PIN, .flags = OPTION_REQUIRED, .help = "Pin of the first lamp's data line"},
    {.name = "chain_count", .type = OPTION_INT, .default_text = "1", .limits = ">=1", .help = "Lamps one behind the other"},
    {.name = "color_order", .type = OPTION_LIST, .default_text = "GRB",
     .help = "Order in which a lamp takes its colours, of all or one for each"},
    LED_OPTIONS,
};
static const struct status_field_desc fields[] = {LED_FIELDS};

const struct object_desc neopixel_desc = {
    .section = "neopixel",
    .flags = OBJECT_NAMED,
    .help = "A chain of lamps on one pin.",
    .size_bytes = sizeof(struct neopixel),
    OBJECT_OPTIONS(options),
    .commands = led_commands,
    .command_count = LED_COMMAND_COUNT,
    OBJECT_FIELDS(fields),
    .create = create,
    .connect = connect_neopixel,
    .ready = ready,
    .shutdown = stop,
    .destroy = destroy,
    .status = status,
    .command_ctx = command_ctx,
};
