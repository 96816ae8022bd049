/* A digital input is polled by its board every 2 ms; a change that lasts two polls is reported, with a running count, and
 * repeated until the host acknowledges it (docs/protocol.md, buttons). A ladder is an analog input read every 15 ms: a
 * button counts once its resistance has been seen for 25 ms. */
#include "server/machine/buttons.h"

#include "base/check.h"
#include "base/mem.h"
#include "motion/board.h"
#include "server/config/config.h"
#include "server/machine/query_adc.h"

#include <math.h>

#define POLL_S             0.002
#define REPEAT_POLLS       50 /* an unacknowledged report is sent again after this many polls */
#define LADDER_REPORT_S    0.015
#define LADDER_SETTLE_S    0.025
#define LADDER_SAMPLE_S    0.001
#define LADDER_SAMPLES     6
#define LADDER_SHARE       "adc_button"
#define LADDER_RATIO_MIN   0.00001
#define LADDER_RATIO_MAX   0.99999

/* --- digital --- */

static void tell(struct button *b)
{
    if (b->is_pressed == b->is_pressed_now)
        return;
    b->is_pressed = b->is_pressed_now;
    b->fn(b->ctx, b->is_pressed);
}

static struct host_ns on_settled(void *ctx, struct host_ns now)
{
    (void)now;
    tell(ctx);
    return HOST_NS_NEVER;
}

/* The count in a report is that of states acknowledged before its first one: what the host has seen already is
 * skipped. */
static void on_states(void *ctx, const struct board_reply *reply)
{
    struct button *b = ctx;
    uint8_t first = (uint8_t)board_reply_u32(reply, "ack_count");
    uint8_t seen = (uint8_t)(b->taken_count - first);
    if (seen >= reply->data_bytes)
        return;
    uint8_t fresh = (uint8_t)(reply->data_bytes - seen);
    b->taken_count = (uint8_t)(b->taken_count + fresh);
    const struct board_timing at_once = {0};
    (void)!board_send(b->board, b->ack, BOARD_ARGS(b->oid, fresh), at_once); /* lost: the board repeats its report */
    for (uint8_t i = seen; i < reply->data_bytes; i++) {
        b->is_pressed_now = (reply->data[i] & 1) != b->pin.is_inverted;
        if (b->debounce_s > 0)
            printer_timer_start(b->printer, &b->timer, host_ns_add_s(printer_now(b->printer), b->debounce_s));
        else
            tell(b);
    }
}

static void add_query(void *ctx, struct board *board)
{
    struct button *b = ctx;
    b->taken_count = 0;
    board_config(board, BOARD_INIT, "buttons_query oid=%d clock=%u rest_ticks=%u retransmit_count=%d invert=%d", b->oid,
                 (uint32_t)board_query_slot(board, (unsigned)b->oid).t, (uint32_t)(POLL_S * board_freq_hz(board)),
                 REPEAT_POLLS, b->pin.is_inverted);
}

void button_claim(struct button *b, struct printer *printer, struct config_section *section, const char *option,
                  button_fn *fn, void *ctx)
{
    *b = (struct button){.printer = printer, .fn = fn, .ctx = ctx, .oid = -1};
    b->timer.fn = on_settled;
    b->timer.ctx = b;
    b->is_claimed = pins_claim(printer->pins, section, option, PIN_CAN_INVERT | PIN_CAN_PULL, NULL, &b->pin);
    if (b->is_claimed && !b->pin.chip->is_board && b->pin.chip->owner) {
        config_error_option(section, option, "Pin '%s' of '%s' cannot be a button", b->pin.name, b->pin.chip->name);
        b->is_claimed = false;
    }
}

enum err button_connect(struct button *b, struct err_info *info)
{
    CHECK(b->is_claimed);
    struct board *board = b->board = pin_board(&b->pin);
    CHECK(board);
    const struct board_format *states = board_response(board, "buttons_state oid=%c ack_count=%c state=%*s");
    b->ack = board_command(board, "buttons_ack oid=%c count=%c");
    if (!states || !b->ack)
        return err_set(info, ERR_UNSUPPORTED, "MCU '%s' cannot watch buttons (pin '%s')", board_name(board), b->pin.name);
    b->oid = (int)board_oid(board);
    board_config(board, BOARD_CONFIG, "config_buttons oid=%d button_count=1", b->oid);
    board_config(board, BOARD_CONFIG, "buttons_add oid=%d pos=0 pin=%s pull_up=%d", b->oid, b->pin.name, b->pin.pull);
    board_config_callback(board, add_query, b);
    board_on_reply(board, NULL, states, b->oid, on_states, b);
    return OK;
}

void button_stop(struct button *b)
{
    if (b->printer)
        printer_timer_stop(b->printer, &b->timer);
}

/* --- resistor ladders --- */

struct ladder {
    struct analog_in adc;
    double pullup_ohm;
    struct ladder_button *first;
    struct ladder_button *seen, *pressed; /* NULL: none */
    double seen_since_s;
    bool is_connected;
    unsigned user_count;
};

static void on_ladder(void *ctx, struct print_time read_time, double value)
{
    struct ladder *l = ctx;
    double ratio = fmax(LADDER_RATIO_MIN, fmin(LADDER_RATIO_MAX, value));
    double ohm = l->pullup_ohm * ratio / (1.0 - ratio);
    struct ladder_button *now = l->first;
    while (now && !(ohm >= now->low_ohm && ohm <= now->high_ohm))
        now = now->next;
    if (now != l->seen) {
        l->seen = now;
        l->seen_since_s = read_time.s;
    }
    if (now == l->pressed || read_time.s - l->seen_since_s < LADDER_SETTLE_S)
        return;
    struct ladder_button *before = l->pressed;
    l->pressed = now;
    if (before)
        before->fn(before->ctx, false);
    if (now)
        now->fn(now->ctx, true);
}

void ladder_button_claim(struct ladder_button *button, struct printer *printer, struct config_section *section,
                         const char *option, double low_ohm, double high_ohm, double pullup_ohm, button_fn *fn, void *ctx)
{
    *button = (struct ladder_button){.low_ohm = low_ohm, .high_ohm = high_ohm, .fn = fn, .ctx = ctx};
    struct analog_in adc;
    analog_in_claim(&adc, printer, section, option, LADDER_SHARE);
    if (!adc.is_claimed)
        return;
    struct ladder *l = pins_user(printer->pins, &adc.pin);
    if (!l) {
        l = MEM_NEW(struct ladder);
        l->adc = adc;
        l->adc.sample_time_s = LADDER_SAMPLE_S;
        l->adc.sample_count = LADDER_SAMPLES;
        l->adc.report_time_s = LADDER_REPORT_S;
        l->adc.callback = on_ladder;
        l->adc.ctx = l;
        l->pullup_ohm = pullup_ohm;
        pins_set_user(printer->pins, &adc.pin, l);
        query_adc_add(printer, section, &l->adc);
    }
    struct ladder_button **last = &l->first;
    while (*last)
        last = &(*last)->next;
    *last = button;
    button->ladder = l;
    l->user_count++;
}

enum err ladder_button_connect(struct ladder_button *button, struct err_info *info)
{
    struct ladder *l = button->ladder;
    CHECK(l);
    if (l->is_connected)
        return OK;
    l->is_connected = true;
    return analog_in_connect(&l->adc, info);
}

void ladder_button_release(struct ladder_button *button)
{
    struct ladder *l = button->ladder;
    if (l && --l->user_count == 0)
        mem_free(l);
    button->ladder = NULL;
}
