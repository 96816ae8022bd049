/* Configuration of a board: the lists of commands that objects hand in, and the handshake by their CRC. */
#include "board_impl.h"

#include "base/check.h"
#include "base/fiber.h"
#include "base/log.h"
#include "base/mem.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FILE_MOVE_COUNT 500

/* What callbacks may add to, so that they can run a second time. */
struct config_mark {
    size_t counts[3];
    unsigned oid_count, reserved_slots;
};

struct config_state {
    bool is_configured, is_shutdown;
    uint32_t crc;
    unsigned move_count;
};

unsigned board_oid(struct board *board)
{
    return board->oid_count++;
}

static void add_line(struct board_lines *lines, char *take_line)
{
    if (lines->count == lines->capacity) {
        lines->capacity = lines->capacity ? lines->capacity * 2 : 16;
        lines->line = mem_realloc(lines->line, lines->capacity * sizeof(*lines->line));
    }
    lines->line[lines->count++] = take_line;
}

void board_config(struct board *board, enum board_config_list list, const char *fmt, ...)
{
    struct strbuf text;
    va_list args;
    strbuf_init(&text);
    va_start(args, fmt);
    strbuf_vaddf(&text, fmt, args);
    va_end(args);
    add_line(&board->lists[list], strbuf_take(&text));
}

void board_config_callback(struct board *board, board_config_fn *fn, void *ctx)
{
    board->callbacks = mem_realloc(board->callbacks, (board->callback_count + 1) * sizeof(*board->callbacks));
    board->callbacks[board->callback_count++] = (struct board_callback){.fn = fn, .ctx = ctx};
}

void board_reserve_slots(struct board *board, unsigned count)
{
    board->reserved_slots += count;
}

unsigned board_step_slots(const struct board *board)
{
    return board->step_slots;
}

uint32_t board_config_crc(const struct board *board)
{
    return board->config_crc;
}

struct mcu_ticks board_query_slot(const struct board *board, unsigned oid)
{
    struct host_ns now = runtime_now(board->boards->runtime);
    double slot_s = floor(boards_est_print_time(board->boards, now).s + 1.5) + (double)oid * 0.010;
    return board_ticks_at(board, (struct print_time){slot_s});
}

static struct config_mark mark_lists(const struct board *board)
{
    struct config_mark mark = {.oid_count = board->oid_count, .reserved_slots = board->reserved_slots};
    for (size_t i = 0; i < ARRAY_COUNT(board->lists); i++)
        mark.counts[i] = board->lists[i].count;
    return mark;
}

static void reset_lists(struct board *board, const struct config_mark *mark)
{
    for (size_t i = 0; i < ARRAY_COUNT(board->lists); i++)
        while (board->lists[i].count > mark->counts[i])
            mem_free(board->lists[i].line[--board->lists[i].count]);
    board->oid_count = mark->oid_count;
    board->reserved_slots = mark->reserved_slots;
}

static uint32_t config_crc(const struct board *board, const char *first)
{
    struct strbuf text;
    strbuf_init(&text);
    strbuf_adds(&text, first);
    for (size_t i = 0; i < board->lists[BOARD_CONFIG].count; i++) {
        strbuf_addc(&text, '\n');
        strbuf_adds(&text, board->lists[BOARD_CONFIG].line[i]);
    }
    uint32_t crc = dict_crc32(text.data, text.len_bytes);
    strbuf_deinit(&text);
    return crc;
}

static enum err encode_line(const struct board *board, const char *line, struct board_msg *msg, struct err_info *info)
{
    struct err_info why = {{0}};
    size_t len;
    enum err err = dict_encode_text(board->dict, line, msg->data, sizeof(msg->data), &len, &why);
    if (err)
        return err_set(info, err, "mcu '%s': %s (in '%s')", board->name, why.text, line);
    msg->len_bytes = (uint8_t)len;
    return OK;
}

/* Nothing is sent before every line of every list is known to be right. */
static enum err check_lines(const struct board *board, struct err_info *info)
{
    struct board_msg msg;
    for (size_t i = 0; i < ARRAY_COUNT(board->lists); i++)
        for (size_t k = 0; k < board->lists[i].count; k++) {
            enum err err = encode_line(board, board->lists[i].line[k], &msg, info);
            if (err)
                return err;
        }
    return OK;
}

static enum err send_line(struct board *board, const char *line, struct err_info *info)
{
    struct board_msg msg;
    enum err err = encode_line(board, line, &msg, info);
    if (!err)
        err = board_send_patiently(board, &msg);
    return err;
}

static enum err send_list(struct board *board, enum board_config_list list, struct err_info *info)
{
    for (size_t i = 0; i < board->lists[list].count; i++) {
        enum err err = send_line(board, board->lists[list].line[i], info);
        if (err)
            return err;
    }
    return OK;
}

static enum err get_config(struct board *board, bool is_sent, struct config_state *state, struct err_info *info)
{
    if (board_is_file(board)) {
        *state =
            (struct config_state){.is_configured = is_sent, .crc = board->config_crc, .move_count = FILE_MOVE_COUNT};
        return OK;
    }
    const struct board_format *response =
        dict_response(board->dict, "config is_config=%c crc=%u is_shutdown=%c move_count=%hu");
    if (!response)
        return err_set(info, ERR_INVALID, "mcu '%s': the data dictionary lacks the response 'config'", board->name);
    struct board_reply reply;
    enum err err = board_query(board, dict_command(board->dict, "get_config"), BOARD_NO_ARGS, NULL, 0,
                               (struct board_timing){0}, response, -1, &reply, info);
    if (err)
        return err;
    *state = (struct config_state){.is_configured = reply.value[0] != 0,
                                   .crc = reply.value[1],
                                   .is_shutdown = reply.value[2] != 0,
                                   .move_count = reply.value[3]};
    return OK;
}

/* Send what the board lacks. */
static enum err send_config(struct board *board, const struct config_state *state, const char *allocate,
                            struct err_info *info)
{
    enum err err = OK;
    if (state->is_configured)
        return send_list(board, BOARD_RESTART, info);
    char finalize[64];
    snprintf(finalize, sizeof(finalize), "finalize_config crc=%u", (unsigned)board->config_crc);
    err = send_line(board, allocate, info);
    if (!err)
        err = send_list(board, BOARD_CONFIG, info);
    return err ? err : send_line(board, finalize, info);
}

static enum err finish(struct board *board, struct err_info *info)
{
    struct config_state state;
    enum err err = get_config(board, true, &state, info);
    if (err)
        return err;
    if (!state.is_configured || state.crc != board->config_crc) {
        if (state.is_shutdown)
            return err_set(info, ERR_SHUTDOWN, "MCU '%s' error during config", board->name);
        return err_set(info, ERR_STATE, "Unable to configure MCU '%s'", board->name);
    }
    if (state.is_shutdown)
        return err_set(info, ERR_SHUTDOWN, "MCU '%s' error during config", board->name);
    if (state.move_count < board->reserved_slots)
        return err_set(info, ERR_LIMIT, "Too few moves available on MCU '%s'", board->name);
    board->step_slots = state.move_count - board->reserved_slots;
    boards_request(
        board->boards,
        &(struct link_request){.kind = LINK_SET_SLOTS, .board = board->link, .number = (int32_t)board->step_slots});
    log_info(board->boards->log, "board", "configured", "board=%s oids=%u moves=%u crc=%08x", board->name,
             board->oid_count, state.move_count, (unsigned)board->config_crc);
    return OK;
}

/* One attempt. *differs: the board has another configuration and nothing was sent. */
static enum err try_configure(struct board *board, bool *differs, struct err_info *info)
{
    struct config_state state;
    *differs = false;
    enum err err = get_config(board, false, &state, info);
    if (err)
        return err;
    if (state.is_shutdown)
        return err_set(info, ERR_SHUTDOWN, "Can not update MCU '%s' config as it is shutdown", board->name);
    for (size_t i = 0; i < board->callback_count; i++)
        board->callbacks[i].fn(board->callbacks[i].ctx, board);
    char allocate[64];
    snprintf(allocate, sizeof(allocate), "allocate_oids count=%u", board->oid_count);
    board->config_crc = config_crc(board, allocate);
    err = check_lines(board, info);
    if (err)
        return err;
    if (state.is_configured && state.crc != board->config_crc) {
        *differs = true;
        return OK;
    }
    err = send_config(board, &state, allocate, info);
    if (!err)
        err = send_list(board, BOARD_INIT, info);
    return err ? err : finish(board, info);
}

enum err board_configure(struct board *board, bool allow_restart, struct err_info *info)
{
    CHECK(fiber_current() && atomic_load(&board->is_connected));
    struct config_mark mark = mark_lists(board);
    bool differs;
    enum err err = try_configure(board, &differs, info);
    if (err || !differs)
        return err;
    if (!allow_restart)
        return err_set(info, ERR_STATE, "MCU '%s' CRC does not match config", board->name);
    log_info(board->boards->log, "board", "restarting for a new configuration", "board=%s why=\"CRC mismatch\"",
             board->name);
    err = board_firmware_restart(board, info);
    if (!err)
        err = board_connect(board, info);
    if (err)
        return err;
    reset_lists(board, &mark);
    err = try_configure(board, &differs, info);
    if (!err && differs)
        return err_set(info, ERR_STATE, "Failed automated reset of MCU '%s'", board->name);
    return err;
}
