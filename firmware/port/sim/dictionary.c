/* The data dictionary, generated from the modules' tables at start: what the firmware can do and what its numbers mean.
 * JSON, then zlib; identify hands it out in pieces. */
#include "base/check.h"
#include "firmware/port/sim/internal.h"

#include <zlib.h>

#define SIM_VERSION "v0.1.0-0-lockstep"

/* Messages are listed by the number a VLQ decoder would read from their one or two bytes. */
static int vlq_view(int id)
{
    if (id >= 0x80)
        return id < 0x3000 ? id : id - 0x4000; /* two bytes; from 0x3000 on the first has both sign bits */
    return id >= 0x60 ? id - 0x80 : id;
}

static void add_number(struct strbuf *sb, bool *is_first, const char *key, long long value)
{
    if (!*is_first)
        strbuf_addc(sb, ',');
    *is_first = false;
    size_t len = 0;
    while (key[len])
        len++;
    strbuf_add_json_string(sb, key, len);
    strbuf_addf(sb, ":%lld", value);
}

static void add_messages(struct strbuf *sb)
{
    bool is_first = true;
    strbuf_adds(sb, "\"commands\":{");
    for (size_t i = 0; i < DEV_MODULE_COUNT; i++) {
        for (unsigned c = 0; c < dev_modules[i]->command_count; c++) {
            const struct command *command = &dev_modules[i]->commands[c];
            add_number(sb, &is_first, command->format,
                       vlq_view(mcu_command_id(dev_modules, DEV_MODULE_COUNT, command)));
        }
    }
    is_first = true;
    strbuf_adds(sb, "},\"responses\":{");
    for (size_t i = 0; i < DEV_MODULE_COUNT; i++) {
        for (unsigned r = 0; r < dev_modules[i]->response_count; r++) {
            const struct response *response = &dev_modules[i]->responses[r];
            add_number(sb, &is_first, response->format,
                       vlq_view(mcu_response_id(dev_modules, DEV_MODULE_COUNT, response)));
        }
    }
    strbuf_addc(sb, '}');
}

static void add_static_strings(struct strbuf *sb)
{
    bool is_first = true;
    int id = MCU_STRING_ID_FIRST;
    strbuf_adds(sb, "\"static_string_id\":{");
    for (size_t i = 0; i < DEV_MODULE_COUNT; i++) {
        for (unsigned f = 0; f < dev_modules[i]->fault_count; f++, id++) {
            const struct fault *fault = &dev_modules[i]->faults[f];
            if (mcu_fault_id(dev_modules, DEV_MODULE_COUNT, fault) == id) /* else an earlier one of the same text */
                add_number(sb, &is_first, fault->text, id);
        }
    }
    strbuf_addc(sb, '}');
}

static void add_pins(struct strbuf *sb, const struct sim_board *board)
{
    bool is_first = true;
    uint32_t base = 0;
    strbuf_adds(sb, "\"pin\":{");
    for (size_t i = 0; i < sim_pin_range_count; i++) {
        const struct sim_pin_range *range = &sim_pin_ranges[i];
        if (range->count == 1)
            add_number(sb, &is_first, range->first, base);
        else
            strbuf_addf(sb, "%s\"%s\":[%u,%u]", is_first ? "" : ",", range->first, base, range->count);
        is_first = false;
        base += range->count;
    }
    for (size_t i = 0; i < board->extra_count; i++)
        add_number(sb, &is_first, board->extra_names[i], base + (long long)i);
    strbuf_addc(sb, '}');
}

static void add_constants(struct strbuf *sb, const struct sim_board *board)
{
    const struct sim_board_options *o = &board->options;
    bool is_first = true;
    strbuf_adds(sb, "\"config\":{");
    add_number(sb, &is_first, "CLOCK_FREQ", o->clock_hz);
    add_number(sb, &is_first, "ADC_MAX", SIM_ADC_MAX);
    add_number(sb, &is_first, "PWM_MAX", SIM_PWM_MAX);
    add_number(sb, &is_first, "STATS_SUMSQ_BASE", 256);
    add_number(sb, &is_first, "STEPPER_STEP_BOTH_EDGE", 1);
    if (o->serial_baud)
        add_number(sb, &is_first, "SERIAL_BAUD", o->serial_baud);
    if (o->rx_buffer_bytes)
        add_number(sb, &is_first, "RECEIVE_WINDOW", (long long)o->rx_buffer_bytes);
    strbuf_adds(sb, ",\"MCU\":");
    size_t len = 0;
    while (board->mcu_constant[len])
        len++;
    strbuf_add_json_string(sb, board->mcu_constant, len);
    strbuf_addc(sb, '}');
}

void sim_dictionary_build(struct sim_board *board)
{
    struct strbuf sb;
    strbuf_init(&sb);
    strbuf_adds(&sb, "{\"app\":\"Lockstep\",\"version\":\"" SIM_VERSION "\",\"build_versions\":\"simulated board\","
                     "\"license\":\"GPL-3.0-or-later\",");
    add_messages(&sb);
    strbuf_adds(&sb, ",\"enumerations\":{");
    add_pins(&sb, board);
    strbuf_addc(&sb, ',');
    add_static_strings(&sb);
    strbuf_adds(&sb, "},");
    add_constants(&sb, board);
    strbuf_addc(&sb, '}');
    uLongf size = compressBound((uLong)sb.len_bytes);
    board->dictionary = mem_alloc(size);
    int rc = compress2(board->dictionary, &size, (const Bytef *)sb.data, (uLong)sb.len_bytes, Z_BEST_COMPRESSION);
    CHECK(rc == Z_OK);
    board->dictionary_bytes = size;
    board->dictionary_text = strbuf_take(&sb);
}
