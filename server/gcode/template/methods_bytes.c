/* str.encode, bytes with what they are good for here, str.translate and str.maketrans. */
#include "server/gcode/template/methods.h"

#include "base/check.h"
#include "base/utf8.h"

#include <ctype.h>
#include <string.h>

#define SELF (*(struct value *)ctx)

/* ------------------------------------------------------------------------------------------------------- encodings */

enum encoding { ENCODING_UTF8, ENCODING_ASCII, ENCODING_LATIN1, ENCODING_UNKNOWN };
enum on_error {
    ON_ERROR_STRICT,
    ON_ERROR_IGNORE,
    ON_ERROR_REPLACE,
    ON_ERROR_BACKSLASH,
    ON_ERROR_XML,
    ON_ERROR_UNKNOWN
};

/* Names compare without case, with - _ and blanks alike. */
static enum encoding find_encoding(const char *name)
{
    static const struct {
        const char *name;
        enum encoding encoding;
    } table[] = {{"utf8", ENCODING_UTF8},     {"u8", ENCODING_UTF8},       {"ascii", ENCODING_ASCII},
                 {"usascii", ENCODING_ASCII}, {"latin1", ENCODING_LATIN1}, {"iso88591", ENCODING_LATIN1},
                 {"latin", ENCODING_LATIN1},  {"l1", ENCODING_LATIN1}};
    char plain[16];
    size_t n = 0;
    for (; *name && n + 1 < sizeof plain; name++)
        if (isalnum((unsigned char)*name))
            plain[n++] = (char)tolower((unsigned char)*name);
    plain[n] = 0;
    for (size_t i = 0; i < ARRAY_COUNT(table) && !*name; i++)
        if (strcmp(plain, table[i].name) == 0)
            return table[i].encoding;
    return ENCODING_UNKNOWN;
}

static enum on_error find_on_error(const char *name)
{
    static const char *const names[] = {"strict", "ignore", "replace", "backslashreplace", "xmlcharrefreplace"};
    size_t i = 0;
    while (i < ARRAY_COUNT(names) && strcmp(names[i], name) != 0)
        i++;
    return (enum on_error)i;
}

/* The arguments of encode and decode. */
static enum err coding_arguments(struct jinja_run *run, const struct value_call *call, const char *what,
                                 enum encoding *encoding, const char **errors)
{
    static const char *const names[] = {"encoding", "errors"};
    struct value args[2] = {value_cstr(run, "utf-8"), value_cstr(run, "strict")};
    const struct value_str *name, *handler;
    enum err err = ARGS_BIND(run, call, what, names, 0, args);
    if (err == OK)
        err = args_text(run, args[0], "encoding", &name);
    if (err == OK)
        err = args_text(run, args[1], "errors", &handler);
    if (err != OK)
        return err;
    *encoding = find_encoding(name->data);
    *errors = handler->data;
    if (*encoding == ENCODING_UNKNOWN)
        return value_error(run, "LookupError", "unknown encoding: %.60s (there are utf-8, ascii and latin-1)",
                           name->data);
    return OK;
}

static enum err encode_other(struct jinja_run *run, uint32_t c, const char *errors, const char *what,
                             struct strbuf *out)
{
    switch (find_on_error(errors)) {
    case ON_ERROR_STRICT:
        return value_error(run, "UnicodeEncodeError", "'%s' codec can't encode character U+%04X", what, c);
    case ON_ERROR_IGNORE:
        return OK;
    case ON_ERROR_REPLACE:
        strbuf_addc(out, '?');
        return OK;
    case ON_ERROR_BACKSLASH:
        strbuf_addf(out, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
        return OK;
    case ON_ERROR_XML:
        strbuf_addf(out, "&#%u;", c);
        return OK;
    case ON_ERROR_UNKNOWN:
        break;
    }
    return value_error(run, "LookupError", "unknown error handler name '%.60s'", errors);
}

static enum err str_encode(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    enum encoding encoding;
    const char *errors;
    enum err err = coding_arguments(run, call, "encode", &encoding, &errors);
    if (err != OK)
        return err;
    struct strbuf sb;
    strbuf_init(&sb);
    for (const char *p = SELF.str->data, *end = p + SELF.str->len_bytes; err == OK && p < end;) {
        const char *begin = p;
        uint32_t c = text_next(&p);
        if (encoding == ENCODING_UTF8)
            strbuf_add(&sb, begin, (size_t)(p - begin));
        else if (c < (encoding == ENCODING_ASCII ? 0x80u : 0x100u))
            strbuf_addc(&sb, (char)c);
        else
            err = encode_other(run, c, errors, encoding == ENCODING_ASCII ? "ascii" : "latin-1", &sb);
    }
    if (err == OK)
        *out = value_bytes(run, sb.data, sb.len_bytes);
    strbuf_deinit(&sb);
    return err == OK && run->has_failed ? ERR_LIMIT : err;
}

static enum err decode_other(struct jinja_run *run, unsigned char c, const char *errors, struct strbuf *out)
{
    switch (find_on_error(errors)) {
    case ON_ERROR_STRICT:
        return value_error(run, "UnicodeDecodeError", "can't decode byte 0x%02x", c);
    case ON_ERROR_IGNORE:
        return OK;
    case ON_ERROR_REPLACE:
        strbuf_adds(out, "\xef\xbf\xbd");
        return OK;
    case ON_ERROR_BACKSLASH:
        strbuf_addf(out, "\\x%02x", c);
        return OK;
    case ON_ERROR_XML:
        return value_error(run, "TypeError", "don't know how to handle UnicodeDecodeError in error callback");
    case ON_ERROR_UNKNOWN:
        break;
    }
    return value_error(run, "LookupError", "unknown error handler name '%.60s'", errors);
}

static enum err bytes_decode(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    enum encoding encoding;
    const char *errors;
    enum err err = coding_arguments(run, call, "decode", &encoding, &errors);
    if (err != OK)
        return err;
    struct strbuf sb;
    strbuf_init(&sb);
    const unsigned char *p = (const unsigned char *)SELF.str->data, *end = p + SELF.str->len_bytes;
    while (err == OK && p < end) {
        char text[5];
        size_t len = *p < 0x80 ? 1 : encoding == ENCODING_UTF8 ? utf8_sequence(p, (size_t)(end - p)) : 0;
        if (len)
            strbuf_add(&sb, (const char *)p, len);
        else if (encoding == ENCODING_LATIN1)
            strbuf_adds(&sb, (text_encode(*p, text), text));
        else
            err = decode_other(run, *p, errors, &sb);
        p += len ? len : 1;
    }
    *out = value_from_strbuf(run, &sb);
    return err == OK && run->has_failed ? ERR_LIMIT : err;
}

static enum err bytes_hex(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    if (call->count + call->key_count)
        return value_error(run, "TypeError", "bytes.hex() takes no arguments here");
    struct strbuf sb;
    strbuf_init(&sb);
    for (size_t i = 0; i < SELF.str->len_bytes && run_has_room(run, sb.len_bytes); i++)
        strbuf_addf(&sb, "%02x", (unsigned char)SELF.str->data[i]);
    *out = value_from_strbuf(run, &sb);
    return run->has_failed ? ERR_LIMIT : OK;
}

const struct method bytes_methods[] = {{"decode", bytes_decode}, {"hex", bytes_hex}, {NULL, NULL}};

/* ----------------------------------------------------------------------------------------------------- translating */

/* What the table has for a code point; ERR_NOT_FOUND: nothing, the character stays. */
static enum err look_up(struct jinja_run *run, struct value table, uint32_t c, struct value *out)
{
    if (table.kind == VALUE_DICT) {
        const struct dict_entry *entry = dict_find(run, table, value_int(c));
        if (entry)
            *out = entry->item;
        return run->has_failed ? ERR_INVALID : entry ? OK : ERR_NOT_FOUND;
    }
    if (!value_is_text(table) && table.kind != VALUE_LIST && table.kind != VALUE_TUPLE && table.kind != VALUE_RANGE)
        return value_error(run, "TypeError", "'%s' object is not subscriptable", value_type_name(table));
    enum err err = value_subscript(run, table, value_int(c), out);
    return err == OK && out->kind == VALUE_UNDEFINED ? ERR_NOT_FOUND : err;
}

static enum err str_translate(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"table"};
    struct value table, to;
    enum err err = ARGS_BIND(run, call, "translate", names, 1, &table);
    struct strbuf sb;
    strbuf_init(&sb);
    for (const char *p = SELF.str->data, *end = p + SELF.str->len_bytes; err == OK && p < end;) {
        const char *begin = p;
        uint32_t c = text_next(&p);
        char text[5];
        err = look_up(run, table, c, &to);
        if (err == ERR_NOT_FOUND) {
            strbuf_add(&sb, begin, (size_t)(p - begin));
            err = OK;
        } else if (err == OK && value_is_text(to)) {
            strbuf_add(&sb, to.str->data, to.str->len_bytes);
        } else if (err == OK && value_is_integer(to)) {
            if (value_integer(to) < 0 || value_integer(to) > 0x10ffff)
                err = value_error(run, "ValueError", "character mapping must be in range(0x110000)");
            else
                strbuf_adds(&sb, (text_encode((uint32_t)value_integer(to), text), text));
        } else if (err == OK && to.kind != VALUE_NONE) {
            err = value_error(run, "TypeError", "character mapping must return integer, None or str");
        }
        if (err == OK && !run_has_room(run, sb.len_bytes))
            err = ERR_LIMIT;
    }
    *out = value_from_strbuf(run, &sb);
    return err == OK && run->has_failed ? ERR_LIMIT : err;
}

/* maketrans({...}): keys may be characters. */
static enum err table_of_dict(struct jinja_run *run, struct value dict, struct value table)
{
    if (dict.kind != VALUE_DICT)
        return value_error(run, "TypeError", "if you give only one argument to maketrans it must be a dict");
    DICT_FOREACH(entry, dict)
    {
        struct value key = entry->key;
        if (value_is_text(key) && key.str->count != 1)
            return value_error(run, "ValueError", "string keys in translate table must be of length 1");
        if (!value_is_text(key) && !value_is_integer(key))
            return value_error(run, "TypeError", "keys in translate table must be strings or integers");
        if (value_is_text(key)) {
            const char *p = key.str->data;
            key = value_int(text_next(&p));
        }
        if (!value_set_item(run, table, key, entry->item))
            return ERR_LIMIT;
    }
    return OK;
}

static enum err str_maketrans(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"x", "y", "z"};
    struct value args[3] = {value_none(), value_none(), value_none()};
    const struct value_str *texts[3] = {NULL, NULL, NULL};
    (void)ctx;
    enum err err = ARGS_BIND(run, call, "maketrans", names, 1, args);
    *out = value_dict(run);
    if (err != OK || call->count == 1)
        return err != OK ? err : table_of_dict(run, args[0], *out);
    for (size_t i = 0; i < call->count && err == OK; i++)
        err = args_text(run, args[i], "maketrans() argument", &texts[i]);
    if (err != OK)
        return err;
    if (texts[0]->count != texts[1]->count)
        return value_error(run, "ValueError", "the first two maketrans arguments must have equal length");
    const char *from = texts[0]->data, *to = texts[1]->data;
    for (size_t i = 0; i < texts[0]->count && !run->has_failed; i++) {
        struct value key = value_int(text_next(&from));
        (void)value_set_item(run, *out, key, value_int(text_next(&to)));
    }
    const char *gone = texts[2] ? texts[2]->data : "";
    for (size_t i = 0; texts[2] && i < texts[2]->count && !run->has_failed; i++)
        (void)value_set_item(run, *out, value_int(text_next(&gone)), value_none());
    return run->has_failed ? ERR_LIMIT : OK;
}

const struct method text_coding_methods[] = {
    {"encode", str_encode}, {"translate", str_translate}, {"maketrans", str_maketrans}, {NULL, NULL}};
