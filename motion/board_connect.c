/* From a device name to a board whose dictionary and clock are known; and back, by its restart method. */
#include "board_impl.h"

#include "base/check.h"
#include "base/fiber.h"
#include "base/log.h"
#include "base/mem.h"
#include "firmware/proto/vlq.h"

#include <stdio.h>
#include <string.h>

#define IDENTIFY_CHUNK 40
#define ATTEMPT_S      5.0 /* for one reading of the dictionary to make progress */
#define REOPEN_S       1.0
#define CLOCK_LIMIT_S  10.0
#define SCHEDULE_MAX_S 3.0 /* how far ahead commands are sent; must fit 31 bits of the clock */
#define RESET_WAIT_S   0.015

struct identify {
    struct arena arena;
    struct board_format response;
    uint8_t *blob;
    size_t blob_bytes, blob_capacity;
};

static struct board_msg identify_message(size_t offset)
{
    struct board_msg msg = {.len_bytes = 0};
    uint8_t *p = msg.data;
    p = vlq_encode(p, 1); /* the one command whose number every board shares */
    p = vlq_encode(p, (uint32_t)offset);
    p = vlq_encode(p, IDENTIFY_CHUNK);
    msg.len_bytes = (uint8_t)(p - msg.data);
    return msg;
}

static enum err add_chunk(struct identify *id, const struct board_reply *reply, struct err_info *info)
{
    if (id->blob_bytes + reply->data_bytes > DICT_BLOB_BYTES_MAX)
        return err_set(info, ERR_LIMIT, "data dictionary is longer than %d bytes", DICT_BLOB_BYTES_MAX);
    if (id->blob_bytes + reply->data_bytes > id->blob_capacity) {
        id->blob_capacity = id->blob_capacity ? id->blob_capacity * 2 : 8192;
        id->blob = mem_realloc(id->blob, id->blob_capacity);
    }
    memcpy(id->blob + id->blob_bytes, reply->data, reply->data_bytes);
    id->blob_bytes += reply->data_bytes;
    return OK;
}

/* Read the whole dictionary once. Each chunk has ATTEMPT_S; a board that says nothing must not hold us for ever. */
static enum err read_blob(struct board *board, struct identify *id, struct err_info *info)
{
    id->blob_bytes = 0;
    struct host_ns limit = host_ns_add_s(fiber_now(), ATTEMPT_S);
    for (;;) {
        struct board_msg msg = identify_message(id->blob_bytes);
        struct board_reply reply;
        enum err err = board_ask_and_wait(board, &msg, (struct board_timing){0}, LINK_QUERY_NORMAL, &id->response, -1,
                                          &reply, limit);
        if (err == ERR_TIMEOUT && host_ns_before(fiber_now(), limit))
            continue;
        if (err)
            return err;
        if (reply.value[0] != id->blob_bytes)
            continue; /* a late answer to an earlier question */
        if (reply.data_bytes == 0)
            return OK;
        err = add_chunk(id, &reply, info);
        if (err)
            return err;
        limit = host_ns_add_s(fiber_now(), ATTEMPT_S);
    }
}

/* Open and read until it works or the board's time is over. */
static enum err identify(struct board *board, struct identify *id, struct err_info *info)
{
    struct host_ns limit = host_ns_add_s(fiber_now(), board->connect_timeout_s);
    struct err_info why = {{0}};
    for (;;) {
        enum err err = board_open(board, &why);
        if (!err) {
            err = read_blob(board, id, &why);
            if (!err)
                return OK;
            if (err == ERR_TIMEOUT)
                (void)err_set(&why, err, "no answer from '%s'", board->path);
            board_close(board);
        }
        if (err == ERR_CANCELLED || err == ERR_LIMIT || !host_ns_before(fiber_now(), limit))
            return err_set(info, err, "mcu '%s': Unable to connect%s%s", board->name, why.text[0] ? ": " : "",
                           why.text);
        log_warn(board->boards->log, "board", "unable to connect, trying again", "board=%s why=\"%s\"", board->name,
                 why.text);
        if (fiber_sleep(REOPEN_S) != OK)
            return err_set(info, ERR_CANCELLED, "mcu '%s': connecting was cancelled", board->name);
    }
}

static enum err check_dict(const struct board *board, const struct dict *dict, struct err_info *info)
{
    static const char *const needed[] = {
        "get_clock", "get_uptime", "emergency_stop", "get_config", "finalize_config crc=%u", "allocate_oids count=%c"};
    for (size_t i = 0; i < ARRAY_COUNT(needed); i++)
        if (!dict_command(dict, needed[i]))
            return err_set(info, ERR_INVALID, "mcu '%s': the data dictionary lacks '%s'", board->name, needed[i]);
    const struct dict_constant *freq = dict_constant(dict, "CLOCK_FREQ");
    if (!freq)
        return err_set(info, ERR_INVALID, "mcu '%s': Firmware constant 'CLOCK_FREQ' not found", board->name);
    if (!(freq->number >= 1000.) || freq->number * SCHEDULE_MAX_S > (double)INT32_MAX)
        return err_set(info, ERR_INVALID, "mcu '%s': CLOCK_FREQ %s is not in the range 1000 to %.0f", board->name,
                       freq->text, (double)INT32_MAX / SCHEDULE_MAX_S);
    return OK;
}

/* The first dictionary stays: descriptors point into it. A board that comes back must bring the same. */
static enum err adopt_dict(struct board *board, struct dict *take_dict, uint32_t crc, struct err_info *info)
{
    if (board->dict) {
        dict_destroy(take_dict);
        if (crc != board->dict_crc)
            return err_set(info, ERR_STATE, "mcu '%s' came back with different firmware: restart to use it",
                           board->name);
    } else {
        board->dict = take_dict;
        board->dict_crc = crc;
        board->freq_hz = dict_constant(take_dict, "CLOCK_FREQ")->number;
    }
    boards_request(board->boards,
                   &(struct link_request){.kind = LINK_SET_DICT, .board = board->link, .dict = board->dict});
    return OK;
}

static enum err read_dictionary(struct board *board, struct err_info *info)
{
    struct err_info why = {{0}};
    struct dict *dict;
    uint32_t crc;
    enum err err;
    if (board_is_file(board)) {
        err = board_open(board, info);
        if (err)
            return err;
        err = dict_parse_json(board->file_json ? board->file_json : "", board->file_json_bytes, &dict, &why);
        crc = dict_crc32(board->file_json, board->file_json_bytes);
    } else {
        struct identify id = {.blob = NULL};
        arena_init(&id.arena, 0);
        err = msgfmt_parse("identify_response offset=%u data=%.*s", 0, false, &id.arena, &id.response, NULL);
        CHECK(err == OK);
        err = identify(board, &id, info);
        if (err) {
            arena_deinit(&id.arena);
            mem_free(id.blob);
            return err;
        }
        err = dict_parse_blob(id.blob, id.blob_bytes, &dict, &why);
        crc = dict_crc32(id.blob, id.blob_bytes);
        arena_deinit(&id.arena);
        mem_free(id.blob);
    }
    if (err)
        return err_set(info, err, "mcu '%s': %s", board->name, why.text);
    err = check_dict(board, dict, info);
    if (err) {
        dict_destroy(dict);
        return err;
    }
    return adopt_dict(board, dict, crc, info);
}

static enum err start_clock(struct board *board, struct err_info *info)
{
    struct link_request request = {.kind = LINK_START_CLOCK};
    enum err err = board_request_wait(board, &request, host_ns_add_s(fiber_now(), CLOCK_LIMIT_S));
    if (err)
        return err_set(info, err, "mcu '%s': Unable to obtain 'clock' response", board->name);
    board_time_start(board);
    return OK;
}

static void resolve_restart_method(struct board *board)
{
    if (board->restart_method != BOARD_RESTART_AUTO)
        return;
    bool has_command = dict_command(board->dict, "reset") || dict_command(board->dict, "config_reset");
    bool is_serial = board->transport == BOARD_SERIAL && transport_path_is_serial(board->path);
    if (!is_serial || (has_command && !dict_constant(board->dict, "SERIAL_BAUD")))
        board->restart_method = BOARD_RESTART_COMMAND;
    else
        board->restart_method = BOARD_RESTART_ARDUINO;
}

enum err board_connect(struct board *board, struct err_info *info)
{
    CHECK(fiber_current() && !atomic_load(&board->is_connected));
    enum err err = read_dictionary(board, info);
    if (!err)
        err = start_clock(board, info);
    if (err) {
        board_close(board);
        return err;
    }
    resolve_restart_method(board);
    atomic_store(&board->is_connected, true);
    log_info(board->boards->log, "board", "connected", "board=%s version=\"%s\" freq_hz=%.0f", board->name,
             dict_version(board->dict), board->freq_hz);
    return OK;
}

/* ---- restart ---- */

enum board_restart_method board_restart_method(const struct board *board)
{
    return board->restart_method;
}

static enum err send_word(struct board *board, const struct board_format *format)
{
    struct board_msg msg;
    enum err err = board_encode(format, BOARD_NO_ARGS, NULL, 0, &msg);
    if (!err)
        err = board_send_patiently(board, &msg);
    return err ? err : fiber_sleep(RESET_WAIT_S);
}

/* `reset` is never acknowledged, so the link is closed right after it, before it would be sent again. */
static enum err restart_by_command(struct board *board, struct err_info *info)
{
    const struct board_format *reset = dict_command(board->dict, "reset");
    const struct board_format *config_reset = dict_command(board->dict, "config_reset");
    if ((!reset && !config_reset) || board_is_lost(board))
        return err_set(info, ERR_STATE, "Unable to issue reset command on MCU '%s'", board->name);
    if (reset)
        return send_word(board, reset);
    enum err err = OK;
    if (!board_is_shutdown(board))
        err = send_word(board, dict_command(board->dict, "emergency_stop"));
    return err ? err : send_word(board, config_reset);
}

enum err board_firmware_restart(struct board *board, struct err_info *info)
{
    CHECK(fiber_current());
    if (!board->dict || board_is_file(board))
        return OK;
    bool was_connected = atomic_exchange(&board->is_connected, false);
    enum err err = OK;
    if (board->restart_method == BOARD_RESTART_COMMAND && was_connected)
        err = restart_by_command(board, info);
    if (was_connected)
        board_close(board);
    if (err)
        return err;
    switch (board->restart_method) {
    case BOARD_RESTART_ARDUINO:
    case BOARD_RESTART_CHEETAH:
        return board_reset_by_lines(board, info);
    case BOARD_RESTART_RPI_USB:
        return board_reset_by_usb(info);
    case BOARD_RESTART_AUTO:
    case BOARD_RESTART_COMMAND:
        break;
    }
    return OK;
}

enum err board_clear_shutdown(struct board *board, struct err_info *info)
{
    const struct board_format *clear = dict_command(board->dict, "clear_shutdown");
    if (!clear)
        return err_set(info, ERR_UNSUPPORTED, "MCU '%s' cannot leave its shutdown without a restart", board->name);
    if (!board_is_shutdown(board))
        return OK;
    enum err err = board_send_wait(board, clear, BOARD_NO_ARGS, NULL, 0, (struct board_timing){0}, info);
    if (!err) {
        struct link_request request = {.kind = LINK_CLEAR_FAULT};
        err = board_request_wait(board, &request, HOST_NS_NEVER);
    }
    return err;
}
