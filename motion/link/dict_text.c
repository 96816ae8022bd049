/* Commands as text: the form in which objects describe their configuration. */
#include "motion/link/dict_impl.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct text_args {
    int64_t integer[MSGFMT_FIELDS_MAX]; /* by field */
    bool is_set[MSGFMT_FIELDS_MAX];
    uint8_t data[MSGFMT_TEXT_MAX];
    size_t data_bytes;
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool parse_hex(const char *text, struct text_args *args)
{
    size_t len = strlen(text);
    if (len % 2 || len / 2 > sizeof(args->data))
        return false;
    for (size_t i = 0; i < len; i += 2) {
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        args->data[i / 2] = (uint8_t)(high << 4 | low);
    }
    args->data_bytes = len / 2;
    return true;
}

static bool parse_integer(const char *text, int64_t *value)
{
    char *end;
    const char *digits = *text == '-' ? text + 1 : text;
    bool is_hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    if (*digits < '0' || *digits > '9')
        return false;
    errno = 0;
    long long v = strtoll(text, &end, is_hex ? 16 : 10);
    if (errno || *end || v < INT32_MIN || v > (long long)UINT32_MAX)
        return false;
    *value = v;
    return true;
}

static enum err parse_value(const struct dict *dict, const struct board_format *format, int field, const char *text,
                            struct text_args *args, struct err_info *info)
{
    const struct msgfmt_field *f = &format->fields[field];
    if (f->kind == MSGFMT_BUFFER) {
        if (!parse_hex(text, args))
            return err_set(info, ERR_INVALID, "'%.80s' is not a value for '%s' (hexadecimal bytes) of '%s'", text,
                           f->name, format->text);
    } else if (f->enum_index >= 0) {
        int32_t value;
        if (!dict_enum_value(dict, f->enum_index, text, &value))
            return err_set(info, ERR_NOT_FOUND, "Unknown value '%.80s' in enumeration '%s'", text,
                           dict->enums[f->enum_index].name);
        args->integer[field] = value;
    } else if (!parse_integer(text, &args->integer[field])) {
        return err_set(info, ERR_INVALID, "'%.80s' is not a value for '%s' of '%s'", text, f->name, format->text);
    }
    return OK;
}

/* One "key=value" word at `word` (modified). */
static enum err parse_word(const struct dict *dict, const struct board_format *format, char *word,
                           struct text_args *args, struct err_info *info)
{
    char *equals = strchr(word, '=');
    if (!equals)
        return err_set(info, ERR_INVALID, "'%.80s' is not of the form name=value", word);
    *equals = 0;
    int field = msgfmt_field_index(format, word);
    if (field < 0 || args->is_set[field])
        return err_set(info, ERR_INVALID, "'%.80s' is not a field of '%s', or is given twice", word, format->text);
    args->is_set[field] = true;
    return parse_value(dict, format, field, equals + 1, args, info);
}

static enum err parse_words(const struct dict *dict, const struct board_format *format, char *text,
                            struct text_args *args, struct err_info *info)
{
    char *rest = NULL;
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        enum err err = parse_word(dict, format, word, args, info);
        if (err)
            return err;
    }
    for (unsigned i = 0; i < format->field_count; i++)
        if (!args->is_set[i])
            return err_set(info, ERR_INVALID, "'%s' is missing in a '%s'", format->fields[i].name, format->text);
    return OK;
}

enum err dict_encode_text(const struct dict *dict, const char *line, uint8_t *out, size_t cap_bytes, size_t *len_bytes,
                          struct err_info *info)
{
    char text[MSGFMT_TEXT_MAX + 1];
    size_t line_len = strnlen(line, sizeof(text));
    if (line_len >= sizeof(text))
        return err_set(info, ERR_LIMIT, "command '%.80s...' is longer than %d bytes", line, MSGFMT_TEXT_MAX);
    memcpy(text, line, line_len + 1);
    size_t name_len = strcspn(text, " ");
    char *rest = text + name_len + (text[name_len] ? 1 : 0);
    text[name_len] = 0;
    const struct board_format *format = dict_command_named(dict, text);
    if (!format || format->has_more_buffers)
        return err_set(info, ERR_NOT_FOUND, "Unknown command: %.80s", text);
    struct text_args args = {.data_bytes = 0};
    enum err err = parse_words(dict, format, rest, &args, info);
    if (err)
        return err;
    int64_t integers[MSGFMT_FIELDS_MAX];
    size_t count = 0;
    for (unsigned i = 0; i < format->field_count; i++)
        if (format->fields[i].kind != MSGFMT_BUFFER)
            integers[count++] = args.integer[i];
    size_t len = msgfmt_encode(format, integers, count, args.data, args.data_bytes, out, cap_bytes);
    if (len == 0)
        return err_set(info, ERR_LIMIT, "command '%.80s' does not fit a block", line);
    *len_bytes = len;
    return OK;
}
