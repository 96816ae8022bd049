#include "server/job/literal.h"

#include "base/strbuf.h"
#include "server/gcode/gcode.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct reader {
    const char *start, *p, *end;
    struct strbuf *out;
    struct err_info *info;
    unsigned depth;
};

static enum err fail(const struct reader *r, const char *what)
{
    return err_set(r->info, ERR_INVALID, "%s at character %zu", what, (size_t)(r->p - r->start) + 1);
}

static void skip_blanks(struct reader *r)
{
    while (r->p < r->end && strchr(" \t\r\n", *r->p) && *r->p)
        r->p++;
}

static bool take(struct reader *r, char c)
{
    skip_blanks(r);
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* --- texts --- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void add_utf8(struct strbuf *sb, uint32_t c)
{
    if (c < 0x80) {
        strbuf_addc(sb, (char)c);
    } else if (c < 0x800) {
        strbuf_addc(sb, (char)(0xc0 | c >> 6));
        strbuf_addc(sb, (char)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        strbuf_addc(sb, (char)(0xe0 | c >> 12));
        strbuf_addc(sb, (char)(0x80 | (c >> 6 & 0x3f)));
        strbuf_addc(sb, (char)(0x80 | (c & 0x3f)));
    } else {
        strbuf_addc(sb, (char)(0xf0 | c >> 18));
        strbuf_addc(sb, (char)(0x80 | (c >> 12 & 0x3f)));
        strbuf_addc(sb, (char)(0x80 | (c >> 6 & 0x3f)));
        strbuf_addc(sb, (char)(0x80 | (c & 0x3f)));
    }
}

/* \xhh, \uhhhh, \Uhhhhhhhh: r->p is behind the letter. */
static enum err read_hex_escape(struct reader *r, struct strbuf *text, int digits)
{
    uint32_t code = 0;
    for (int i = 0; i < digits; i++, r->p++) {
        int v = r->p < r->end ? hex_value(*r->p) : -1;
        if (v < 0)
            return fail(r, "bad escape in text");
        code = code << 4 | (uint32_t)v;
    }
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return fail(r, "no such character");
    add_utf8(text, code);
    return OK;
}

static enum err read_escape(struct reader *r, struct strbuf *text)
{
    static const char plain[] = "\\'\"abfnrtv0", value[] = "\\'\"\a\b\f\n\r\t\v";
    if (r->p == r->end)
        return fail(r, "text without end");
    char c = *r->p++;
    if (c == '\n')
        return OK; /* the line goes on */
    if (c == 'x' || c == 'u' || c == 'U')
        return read_hex_escape(r, text, c == 'x' ? 2 : c == 'u' ? 4 : 8);
    const char *at = strchr(plain, c);
    if (at && c) {
        strbuf_addc(text, value[at - plain]);
    } else { /* as Python: an unknown escape stays what it is */
        strbuf_addc(text, '\\');
        strbuf_addc(text, c);
    }
    return OK;
}

static enum err read_quoted(struct reader *r, bool is_raw, struct strbuf *text)
{
    char quote = *r->p++;
    bool is_triple = r->end - r->p >= 2 && r->p[0] == quote && r->p[1] == quote;
    if (is_triple)
        r->p += 2;
    for (;;) {
        if (r->p == r->end)
            return fail(r, "text without end");
        char c = *r->p++;
        if (c == quote) {
            if (!is_triple)
                return OK;
            if (r->end - r->p >= 2 && r->p[0] == quote && r->p[1] == quote) {
                r->p += 2;
                return OK;
            }
        }
        if (c == '\n' && !is_triple)
            return fail(r, "text without end");
        if (c != '\\' || is_raw) {
            strbuf_addc(text, c);
            continue;
        }
        enum err err = read_escape(r, text);
        if (err)
            return err;
    }
}

static bool at_text(const struct reader *r)
{
    const char *p = r->p;
    if (p < r->end && strchr("rRuU", *p) && *p)
        p++;
    return p < r->end && (*p == '\'' || *p == '"');
}

/* Texts side by side are one text. */
static enum err read_text(struct reader *r)
{
    struct strbuf text;
    strbuf_init(&text);
    enum err err = OK;
    while (!err && at_text(r)) {
        bool is_raw = *r->p == 'r' || *r->p == 'R';
        if (*r->p != '\'' && *r->p != '"')
            r->p++;
        err = read_quoted(r, is_raw, &text);
        skip_blanks(r);
    }
    if (!err)
        strbuf_add_json_string(r->out, text.data, text.len_bytes);
    strbuf_deinit(&text);
    return err;
}

/* --- numbers --- */

static enum err read_hex_number(struct reader *r, const char *digits, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        int v = hex_value(digits[i]);
        if (v < 0 || value >> 60)
            return fail(r, "bad number");
        value = value << 4 | (uint64_t)v;
    }
    strbuf_addf(r->out, "%" PRIu64, value);
    return OK;
}

static enum err add_number(struct reader *r, const char *digits, size_t len)
{
    bool is_int = true;
    for (size_t i = 0; i < len; i++)
        is_int = is_int && digits[i] >= '0' && digits[i] <= '9';
    if (is_int) {
        while (len > 1 && *digits == '0')
            digits++, len--;
        strbuf_add(r->out, digits, len);
        return OK;
    }
    double value;
    if (gcode_parse_double(digits, len, &value))
        return fail(r, "bad number");
    strbuf_add_json_double(r->out, value);
    return OK;
}

static enum err read_number(struct reader *r)
{
    char digits[400];
    size_t len = 0;
    const char *first = r->p;
    while (r->p < r->end &&
           (is_word_char(*r->p) || *r->p == '.' ||
            ((*r->p == '+' || *r->p == '-') && r->p > first && (r->p[-1] == 'e' || r->p[-1] == 'E')))) {
        if (len == sizeof(digits) - 1)
            return fail(r, "number too long");
        if (*r->p != '_')
            digits[len++] = *r->p;
        r->p++;
    }
    digits[len] = '\0';
    if (len > 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X'))
        return read_hex_number(r, digits + 2, len - 2);
    return add_number(r, digits, len);
}

/* --- values --- */

static enum err read_value(struct reader *r);

/* Elements up to `close`; is_tuple: "(x)" is x itself. */
static enum err read_elements(struct reader *r, char close, bool is_tuple)
{
    size_t at = r->out->len_bytes, count = 0;
    bool has_comma = false;
    strbuf_addc(r->out, '[');
    while (!take(r, close)) {
        if (count > 0 && !has_comma)
            return fail(r, "missing comma");
        if (count > 0)
            strbuf_adds(r->out, ", ");
        enum err err = read_value(r);
        if (err)
            return err;
        count++;
        has_comma = take(r, ',');
    }
    if (is_tuple && count == 1 && !has_comma) {
        memmove(r->out->data + at, r->out->data + at + 1, r->out->len_bytes - at); /* its final zero too */
        r->out->len_bytes--;
        return OK;
    }
    strbuf_addc(r->out, ']');
    return OK;
}

/* JSON keys are texts: numbers and constants are quoted, as Python does. */
static enum err read_key(struct reader *r)
{
    struct strbuf key, *out = r->out;
    strbuf_init(&key);
    r->out = &key;
    enum err err = read_value(r);
    r->out = out;
    if (!err && (key.data[0] == '[' || key.data[0] == '{'))
        err = fail(r, "key that is no text or number");
    if (!err && key.data[0] == '"')
        strbuf_add(out, key.data, key.len_bytes);
    else if (!err)
        strbuf_add_json_string(out, key.data, key.len_bytes);
    strbuf_deinit(&key);
    return err;
}

static enum err read_dict(struct reader *r)
{
    bool has_comma = true, is_first = true;
    strbuf_addc(r->out, '{');
    while (!take(r, '}')) {
        if (!has_comma)
            return fail(r, "missing comma");
        if (!is_first)
            strbuf_adds(r->out, ", ");
        is_first = false;
        enum err err = read_key(r);
        if (err)
            return err;
        if (!take(r, ':'))
            return fail(r, "missing ':'");
        strbuf_adds(r->out, ": ");
        err = read_value(r);
        if (err)
            return err;
        has_comma = take(r, ',');
    }
    strbuf_addc(r->out, '}');
    return OK;
}

static bool take_word(struct reader *r, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(r->end - r->p) < len || memcmp(r->p, word, len) != 0)
        return false;
    if (r->p + len < r->end && is_word_char(r->p[len]))
        return false;
    r->p += len;
    return true;
}

static enum err read_signed(struct reader *r)
{
    bool is_negative = false;
    while (r->p < r->end && (*r->p == '-' || *r->p == '+')) {
        is_negative ^= *r->p == '-';
        r->p++;
        skip_blanks(r);
    }
    if (r->p == r->end || !((*r->p >= '0' && *r->p <= '9') || *r->p == '.'))
        return fail(r, "number expected");
    if (is_negative)
        strbuf_addc(r->out, '-');
    size_t at = r->out->len_bytes;
    enum err err = read_number(r);
    if (!err && is_negative && strcmp(r->out->data + at, "0") == 0) { /* -0 is 0 */
        r->out->len_bytes -= 2;
        strbuf_addc(r->out, '0');
    }
    return err;
}

static enum err read_plain(struct reader *r)
{
    if (r->p == r->end)
        return fail(r, "value expected");
    if (at_text(r))
        return read_text(r);
    if (take_word(r, "True"))
        return strbuf_adds(r->out, "true"), OK;
    if (take_word(r, "False"))
        return strbuf_adds(r->out, "false"), OK;
    if (take_word(r, "None"))
        return strbuf_adds(r->out, "null"), OK;
    char c = *r->p;
    if ((c >= '0' && c <= '9') || c == '.')
        return read_number(r);
    if (c == '-' || c == '+')
        return read_signed(r);
    return fail(r, "value expected");
}

static enum err read_value(struct reader *r)
{
    if (r->depth >= LITERAL_DEPTH_MAX)
        return err_set(r->info, ERR_LIMIT, "nested more than %d deep", LITERAL_DEPTH_MAX);
    r->depth++;
    enum err err;
    if (take(r, '['))
        err = read_elements(r, ']', false);
    else if (take(r, '('))
        err = read_elements(r, ')', true);
    else if (take(r, '{'))
        err = read_dict(r);
    else
        err = read_plain(r);
    r->depth--;
    return err;
}

/* "1, 2" without brackets is a tuple. */
static enum err read_top(struct reader *r)
{
    struct strbuf *out = r->out;
    size_t at = out->len_bytes;
    enum err err = read_value(r);
    if (err || !take(r, ','))
        return err;
    struct strbuf first;
    strbuf_init(&first);
    strbuf_add(&first, out->data + at, out->len_bytes - at);
    out->len_bytes = at;
    strbuf_addc(out, '[');
    strbuf_add(out, first.data, first.len_bytes);
    strbuf_deinit(&first);
    for (skip_blanks(r); r->p < r->end; skip_blanks(r)) {
        strbuf_adds(out, ", ");
        err = read_value(r);
        if (err)
            return err;
        if (!take(r, ','))
            break;
    }
    strbuf_addc(out, ']');
    return OK;
}

enum err literal_to_json(const char *text, size_t len_bytes, struct strbuf *json, struct err_info *info)
{
    if (len_bytes > LITERAL_BYTES_MAX)
        return err_set(info, ERR_LIMIT, "longer than %u bytes", LITERAL_BYTES_MAX);
    struct strbuf out;
    strbuf_init(&out);
    struct reader r = {.start = text, .p = text, .end = text + len_bytes, .out = &out, .info = info};
    enum err err = read_top(&r);
    if (!err) {
        skip_blanks(&r);
        if (r.p != r.end)
            err = fail(&r, "unexpected text");
    }
    if (!err)
        strbuf_add(json, out.data, out.len_bytes);
    strbuf_deinit(&out);
    return err;
}
