/* The pins of a simulated board by name. Numbers are dense: the ranges below in order, then the names the configuration
 * brought along. */
#include "base/check.h"
#include "firmware/port/sim/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct sim_pin_range sim_pin_ranges[] = {
    {"PA0", 32},
    {"PB0", 32},
    {"PC0", 32},
    {"PD0", 32},
    {"PE0", 32},
    {"PF0", 32},
    {"PG0", 32},
    {"PH0", 32},
    {"PI0", 16},
    {"PJ0", 16},
    {"PK0", 16},
    {"PL0", 16},
    {"P0.0", 32},
    {"P1.0", 32},
    {"P2.0", 32},
    {"P3.0", 32},
    {"P4.0", 32},
    {"gpio0", 100},
    {"analog0", 16},
    {"gpiochip0/gpio0", 100},
    {"gpiochip1/gpio0", 100},
    {"pwmchip0/pwm0", 16},
    {"ar0", 70},
    {"ADC_TEMPERATURE", 1},
};
const size_t sim_pin_range_count = ARRAY_COUNT(sim_pin_ranges);

uint32_t sim_pin_range_total(void)
{
    uint32_t total = 0;
    for (size_t i = 0; i < sim_pin_range_count; i++)
        total += sim_pin_ranges[i].count;
    return total;
}

/* Length of `first` without its trailing digits, and the number those are. */
static size_t split_name(const char *first, unsigned *number)
{
    size_t len = strlen(first);
    while (len && first[len - 1] >= '0' && first[len - 1] <= '9')
        len--;
    *number = (unsigned)strtoul(first + len, NULL, 10);
    return len;
}

/* The index of `name` in a range, or UINT32_MAX. Numbers are written without leading zeros. */
static uint32_t index_in_range(const struct sim_pin_range *range, const char *name)
{
    if (range->count == 1)
        return strcmp(range->first, name) ? UINT32_MAX : 0;
    unsigned start;
    size_t stem = split_name(range->first, &start);
    const char *digits = name + stem;
    if (strncmp(range->first, name, stem) != 0 || *digits < '0' || *digits > '9' || strlen(digits) > 4 ||
        (digits[0] == '0' && digits[1]))
        return UINT32_MAX;
    char *end;
    unsigned long number = strtoul(digits, &end, 10);
    if (*end || number < start || number - start >= range->count)
        return UINT32_MAX;
    return (uint32_t)(number - start);
}

uint32_t sim_board_pin(const struct sim_board *board, const char *name)
{
    uint32_t base = 0;
    for (size_t i = 0; i < sim_pin_range_count; i++) {
        uint32_t index = index_in_range(&sim_pin_ranges[i], name);
        if (index != UINT32_MAX)
            return base + index;
        base += sim_pin_ranges[i].count;
    }
    for (size_t i = 0; i < board->extra_count; i++) {
        if (!strcmp(board->extra_names[i], name))
            return base + (uint32_t)i;
    }
    return UINT32_MAX;
}

const char *sim_board_pin_name(const struct sim_board *board, uint32_t pin, char *out, size_t out_bytes)
{
    for (size_t i = 0; i < sim_pin_range_count; i++) {
        const struct sim_pin_range *range = &sim_pin_ranges[i];
        if (pin < range->count) {
            unsigned start;
            size_t stem = split_name(range->first, &start);
            if (range->count == 1)
                snprintf(out, out_bytes, "%s", range->first);
            else
                snprintf(out, out_bytes, "%.*s%u", (int)stem, range->first, start + pin);
            return out;
        }
        pin -= range->count;
    }
    snprintf(out, out_bytes, "%s", pin < board->extra_count ? board->extra_names[pin] : "?");
    return out;
}

/* --- looking at pins and driving them from outside --- */

void sim_board_watch(struct sim_board *board, uint32_t pin, sim_output_fn *fn, void *ctx)
{
    CHECK(pin < board->pin_count);
    struct sim_watcher *watcher = MEM_NEW(struct sim_watcher);
    watcher->fn = fn;
    watcher->ctx = ctx;
    struct sim_watcher **at = &board->pins[pin].watchers;
    while (*at)
        at = &(*at)->next;
    *at = watcher;
}

uint32_t sim_board_level(const struct sim_board *board, uint32_t pin)
{
    CHECK(pin < board->pin_count);
    return board->pins[pin].level;
}

void sim_board_set_input(struct sim_board *board, uint32_t pin, sim_input_fn *fn, void *ctx)
{
    CHECK(pin < board->pin_count);
    board->pins[pin].input = fn;
    board->pins[pin].input_ctx = ctx;
}

void sim_board_watch_leds(struct sim_board *board, uint32_t pin, sim_leds_fn *fn, void *ctx)
{
    CHECK(pin < board->pin_count);
    board->pins[pin].leds = fn;
    board->pins[pin].leds_ctx = ctx;
}
