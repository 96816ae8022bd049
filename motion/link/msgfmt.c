#include "motion/link/msgfmt.h"

#include "base/check.h"
#include "firmware/proto/frame.h"
#include "firmware/proto/vlq.h"

#include <string.h>

static const struct {
    const char *text;
    enum msgfmt_kind kind;
} msgfmt_kinds[] = {
    {"u", MSGFMT_U32},  {"i", MSGFMT_I32},    {"hu", MSGFMT_U16},     {"hi", MSGFMT_I16},
    {"c", MSGFMT_BYTE}, {"s", MSGFMT_BUFFER}, {".*s", MSGFMT_BUFFER}, {"*s", MSGFMT_BUFFER},
};

/* The specifier after a '%' at `text`: its kind and length, or false. Longest match wins ("hu" before "h"). */
static bool parse_kind(const char *text, enum msgfmt_kind *kind, size_t *len_bytes)
{
    *len_bytes = 0;
    for (size_t i = 0; i < ARRAY_COUNT(msgfmt_kinds); i++) {
        size_t len = strlen(msgfmt_kinds[i].text);
        if (len > *len_bytes && strncmp(text, msgfmt_kinds[i].text, len) == 0) {
            *kind = msgfmt_kinds[i].kind;
            *len_bytes = len;
        }
    }
    return *len_bytes > 0;
}

static enum err add_field(struct board_format *format, const char *name, enum msgfmt_kind kind, struct err_info *info)
{
    if (format->field_count >= MSGFMT_FIELDS_MAX)
        return err_set(info, ERR_LIMIT, "message '%.80s' has more than %d fields", format->text, MSGFMT_FIELDS_MAX);
    if (kind == MSGFMT_BUFFER) {
        if (format->buffer_field >= 0)
            format->has_more_buffers = true;
        else
            format->buffer_field = (int8_t)format->field_count;
    } else {
        format->integer_count++;
    }
    format->fields[format->field_count++] = (struct msgfmt_field){.name = name, .kind = kind, .enum_index = -1};
    return OK;
}

/* "name=%c" words, one blank between them. */
static enum err parse_fields(struct board_format *format, const char *p, struct arena *arena, struct err_info *info)
{
    while (*p) {
        if (*p++ != ' ')
            return err_set(info, ERR_INVALID, "message '%.80s': blank expected", format->text);
        size_t name_len = strcspn(p, "= %");
        enum msgfmt_kind kind;
        size_t kind_len;
        if (name_len == 0 || p[name_len] != '=' || p[name_len + 1] != '%' ||
            !parse_kind(p + name_len + 2, &kind, &kind_len))
            return err_set(info, ERR_INVALID, "message '%.80s': field is not of the form name=%%type", format->text);
        enum err err = add_field(format, arena_strndup(arena, p, name_len), kind, info);
        if (err)
            return err;
        p += name_len + 2 + kind_len;
    }
    return OK;
}

static enum err parse_output(struct board_format *format, const char *p, struct err_info *info)
{
    for (; *p; p++) {
        if (*p != '%')
            continue;
        enum msgfmt_kind kind;
        size_t kind_len;
        if (!parse_kind(p + 1, &kind, &kind_len))
            return err_set(info, ERR_INVALID, "output '%.80s': unknown field type", format->text);
        enum err err = add_field(format, "", kind, info);
        if (err)
            return err;
        p += kind_len;
    }
    return OK;
}

enum err msgfmt_parse(const char *text, int64_t id, bool is_output, struct arena *arena, struct board_format *format,
                      struct err_info *info)
{
    size_t text_len = strnlen(text, MSGFMT_TEXT_MAX + 1);
    if (text_len > MSGFMT_TEXT_MAX)
        return err_set(info, ERR_LIMIT, "message '%.80s...' is longer than %d bytes", text, MSGFMT_TEXT_MAX);
    if (id < -4096 || id >= 12288)
        return err_set(info, ERR_INVALID, "message '%.80s' has the impossible number %lld", text, (long long)id);
    *format = (struct board_format){.buffer_field = -1, .id = (uint32_t)(int32_t)id};
    format->text = arena_strdup(arena, text);
    format->id_len_bytes = (uint8_t)(vlq_encode(format->id_bytes, format->id) - format->id_bytes);
    size_t name_len = strcspn(text, " ");
    if (name_len == 0)
        return err_set(info, ERR_INVALID, "message '%.80s' has no name", text);
    format->name = arena_strndup(arena, text, name_len);
    return is_output ? parse_output(format, text, info) : parse_fields(format, format->text + name_len, arena, info);
}

int msgfmt_field_index(const struct board_format *format, const char *name)
{
    for (int i = 0; i < format->field_count; i++)
        if (strcmp(format->fields[i].name, name) == 0)
            return i;
    return -1;
}

size_t msgfmt_encode(const struct board_format *format, const int64_t *args, size_t arg_count, const void *data,
                     size_t data_bytes, uint8_t *out, size_t cap_bytes)
{
    CHECK(arg_count == format->integer_count && !format->has_more_buffers);
    CHECK(data_bytes == 0 || format->buffer_field >= 0);
    uint8_t room[MSGFMT_FIELDS_MAX * VLQ_MAX_BYTES + FRAME_MAX_BYTES + 4];
    uint8_t *p = room;
    if (data_bytes > FRAME_PAYLOAD_MAX)
        return 0;
    for (unsigned i = 0; i < format->id_len_bytes; i++)
        *p++ = format->id_bytes[i];
    for (unsigned i = 0; i < format->field_count; i++) {
        if ((int)i == format->buffer_field) {
            *p++ = (uint8_t)data_bytes;
            if (data_bytes)
                memcpy(p, data, data_bytes);
            p += data_bytes;
            continue;
        }
        CHECK(*args >= INT32_MIN && *args <= (int64_t)UINT32_MAX);
        p = vlq_encode(p, (uint32_t)*args++);
    }
    size_t len = (size_t)(p - room);
    if (len > cap_bytes)
        return 0;
    memcpy(out, room, len);
    return len;
}

/* What the type of a field makes of the 32 bits on the wire. */
static uint32_t narrow(enum msgfmt_kind kind, uint32_t v)
{
    switch (kind) {
    case MSGFMT_U16:
        return (uint16_t)v;
    case MSGFMT_I16:
        return (uint32_t)(int32_t)(int16_t)v;
    case MSGFMT_BYTE:
        return (uint8_t)v;
    case MSGFMT_U32:
    case MSGFMT_I32:
    case MSGFMT_BUFFER:
        break;
    }
    return v;
}

bool msgfmt_decode(const struct board_format *format, const uint8_t *payload, size_t len_bytes,
                   uint32_t value[MSGFMT_FIELDS_MAX], const uint8_t **data, size_t *data_bytes)
{
    const uint8_t *p = payload + format->id_len_bytes, *end = payload + len_bytes;
    *data = NULL;
    *data_bytes = 0;
    if (p > end)
        return false;
    for (unsigned i = 0; i < format->field_count; i++) {
        if (format->fields[i].kind != MSGFMT_BUFFER) {
            uint32_t v;
            p = vlq_decode(p, end, &v);
            if (!p)
                return false;
            value[i] = narrow(format->fields[i].kind, v);
            continue;
        }
        if (p >= end || *p > end - p - 1)
            return false;
        size_t len = *p++;
        if ((int)i == format->buffer_field) {
            *data = p;
            *data_bytes = len;
        }
        value[i] = (uint32_t)len;
        p += len;
    }
    return p == end;
}

int msgfmt_peek_id(const uint8_t *payload, size_t len_bytes, size_t *id_bytes)
{
    if (len_bytes == 0)
        return -1;
    if (!(payload[0] & 0x80)) {
        *id_bytes = 1;
        return payload[0];
    }
    if (len_bytes < 2 || (payload[1] & 0x80))
        return -1;
    *id_bytes = 2;
    return ((payload[0] & 0x7f) << 7) | payload[1];
}

int msgfmt_id_number(const struct board_format *format)
{
    size_t id_bytes;
    return msgfmt_peek_id(format->id_bytes, format->id_len_bytes, &id_bytes);
}
