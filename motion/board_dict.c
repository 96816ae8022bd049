/* Look-ups in a board's dictionary; encoding and decoding. */
#include "board_impl.h"

#include "base/check.h"

#include <string.h>

_Static_assert(BOARD_FIELDS_MAX == MSGFMT_FIELDS_MAX && BOARD_MSG_BYTES_MAX == FRAME_PAYLOAD_MAX,
               "board.h repeats the wire's limits");

static const struct dict *dict_of(const struct board *board)
{
    CHECK(board->dict);
    return board->dict;
}

const char *board_version(const struct board *board)
{
    return dict_version(dict_of(board));
}

const char *board_build_versions(const struct board *board)
{
    return dict_build_versions(dict_of(board));
}

const char *board_app(const struct board *board)
{
    return dict_app(dict_of(board));
}

static struct board_constant constant_of(const struct dict_constant *c)
{
    return (struct board_constant){.name = c->name, .text = c->text, .number = c->number, .is_number = c->is_number};
}

size_t board_constant_count(const struct board *board)
{
    return dict_constant_count(dict_of(board));
}

struct board_constant board_constant_at(const struct board *board, size_t index)
{
    return constant_of(dict_constant_at(dict_of(board), index));
}

enum err board_constant_find(const struct board *board, const char *name, struct board_constant *constant,
                             struct err_info *info)
{
    const struct dict_constant *c = dict_constant(dict_of(board), name);
    if (!c)
        return err_set(info, ERR_NOT_FOUND, "Firmware constant '%s' not found", name);
    *constant = constant_of(c);
    return OK;
}

double board_constant_number(const struct board *board, const char *name, double fallback)
{
    const struct dict_constant *c = dict_constant(dict_of(board), name);
    return c ? c->number : fallback;
}

bool board_has_enum(const struct board *board, const char *enum_name)
{
    return dict_enum(dict_of(board), enum_name) >= 0;
}

bool board_enum_value(const struct board *board, const char *enum_name, const char *value_name, int32_t *value)
{
    const struct dict *dict = dict_of(board);
    return dict_enum_value(dict, dict_enum(dict, enum_name), value_name, value);
}

const char *board_enum_name(const struct board *board, const char *enum_name, int32_t value, char scratch[64])
{
    const struct dict *dict = dict_of(board);
    return dict_enum_name(dict, dict_enum(dict, enum_name), value, scratch);
}

void board_enum_each(const struct board *board, const char *enum_name, board_enum_fn *fn, void *ctx)
{
    const struct dict *dict = dict_of(board);
    dict_enum_each(dict, dict_enum(dict, enum_name), fn, ctx);
}

const struct board_format *board_command(const struct board *board, const char *format)
{
    return dict_command(dict_of(board), format);
}

const struct board_format *board_response(const struct board *board, const char *format)
{
    return dict_response(dict_of(board), format);
}

enum err board_command_pick(const struct board *board, const char *const *formats, size_t count, size_t *which,
                            const struct board_format **format, struct err_info *info)
{
    const struct dict *dict = dict_of(board);
    for (size_t i = 0; i < count; i++) {
        const struct board_format *found = dict_command(dict, formats[i]);
        if (found) {
            *format = found;
            *which = i;
            return OK;
        }
    }
    for (size_t i = 0; i < count; i++) {
        char name[MSGFMT_TEXT_MAX];
        size_t len = strcspn(formats[i], " ");
        CHECK(len < sizeof(name));
        memcpy(name, formats[i], len);
        name[len] = 0;
        const struct board_format *other = dict_command_named(dict, name);
        if (other)
            return err_set(info, ERR_NOT_FOUND, "mcu '%s': Command format mismatch: %s vs %s", board->name, formats[i],
                           other->text);
    }
    return err_set(info, ERR_NOT_FOUND, "mcu '%s': Unknown command: %s", board->name, formats[0]);
}

bool board_has_message(const struct board *board, const char *name)
{
    const struct dict *dict = dict_of(board);
    return dict_command_named(dict, name) || dict_response_named(dict, name);
}

const char *board_format_text(const struct board_format *format)
{
    return format->text;
}

enum err board_encode(const struct board_format *format, const int64_t *args, size_t arg_count, const void *data,
                      size_t data_bytes, struct board_msg *msg)
{
    size_t len = msgfmt_encode(format, args, arg_count, data, data_bytes, msg->data, sizeof(msg->data));
    if (len == 0)
        return ERR_LIMIT;
    msg->len_bytes = (uint8_t)len;
    return OK;
}

bool board_decode(const struct board_format *format, const uint8_t *payload, size_t len_bytes,
                  struct board_reply *reply)
{
    const uint8_t *data;
    size_t data_bytes;
    memset(reply->value, 0, sizeof(reply->value));
    reply->format = format;
    reply->data_bytes = 0;
    if (len_bytes == 0)
        return true;
    if (!msgfmt_decode(format, payload, len_bytes, reply->value, &data, &data_bytes))
        return false;
    reply->data_bytes = (uint8_t)data_bytes;
    if (data_bytes)
        memcpy(reply->data, data, data_bytes);
    return true;
}

uint32_t board_reply_u32(const struct board_reply *reply, const char *field)
{
    int index = msgfmt_field_index(reply->format, field);
    CHECK(index >= 0);
    return reply->value[index];
}

int32_t board_reply_i32(const struct board_reply *reply, const char *field)
{
    return (int32_t)board_reply_u32(reply, field);
}
