#include "server/gcode/template/lex.h"

#include "base/check.h"
#include "base/strbuf.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void lexer_init(struct lexer *lx, const char *source, size_t len_bytes, const struct jinja_options *options,
                struct arena *arena)
{
    *lx = (struct lexer){.at = source,
                         .end = source + len_bytes,
                         .line = 1,
                         .options = options,
                         .arena = arena,
                         .inside = TOKEN_DATA,
                         .is_line_start = true};
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool starts(const struct lexer *lx, const char *text)
{
    size_t len = strlen(text);
    return (size_t)(lx->end - lx->at) >= len && memcmp(lx->at, text, len) == 0;
}

static void advance(struct lexer *lx, size_t count)
{
    for (size_t i = 0; i < count; i++)
        lx->line += lx->at[i] == '\n';
    lx->at += count;
}

static void skip_space(struct lexer *lx)
{
    while (lx->at < lx->end && is_space(*lx->at))
        advance(lx, 1);
}

static const char *expr_begin(const struct lexer *lx)
{
    return lx->options->dress == JINJA_DRESS_KLIPPER ? "{" : "{{";
}

static const char *expr_end(const struct lexer *lx)
{
    return lx->options->dress == JINJA_DRESS_KLIPPER ? "}" : "}}";
}

/* ------------------------------------------------------------------------------------------------ outside of tags */

/* What begins at lx->at: 'e' expression, 'b' block, 'c' comment, 0 nothing. Longer delimiters are tried first. */
static char tag_here(const struct lexer *lx)
{
    if (starts(lx, "{%"))
        return 'b';
    if (starts(lx, "{#"))
        return 'c';
    return starts(lx, expr_begin(lx)) ? 'e' : 0;
}

static void emit_data(struct lexer *lx, const char *begin, const char *end, struct token *out)
{
    out->kind = TOKEN_DATA;
    out->text = arena_strndup(lx->arena, begin, (size_t)(end - begin));
    out->len_bytes = (size_t)(end - begin);
}

/* End of the data in front of a tag: "-" strips all white space, lstrip_blocks the blanks of the tag's own line. */
static const char *strip_before_tag(const struct lexer *lx, const char *begin, const char *end, char tag,
                                    bool begins_line)
{
    char sign =
        end + (tag == 'e' ? strlen(expr_begin(lx)) : 2) < lx->end ? end[tag == 'e' ? strlen(expr_begin(lx)) : 2] : 0;
    if (sign == '-') {
        while (end > begin && is_space(end[-1]))
            end--;
        return end;
    }
    if (sign == '+' || !lx->options->lstrip_blocks || tag == 'e')
        return end;
    const char *p = end;
    while (p > begin && is_space(p[-1]) && p[-1] != '\n')
        p--;
    bool is_first = p == begin ? begins_line : p[-1] == '\n';
    return is_first ? p : end;
}

/* Behind a closing tag: "-%}" drops white space, trim_blocks one newline. */
static void after_tag(struct lexer *lx, bool minus, bool plus)
{
    if (minus)
        skip_space(lx);
    else if (!plus && lx->options->trim_blocks && lx->at < lx->end && *lx->at == '\n')
        advance(lx, 1);
}

static enum err skip_comment(struct lexer *lx, struct err_info *info)
{
    const char *p = lx->at + 2;
    while (p + 1 < lx->end && !(p[0] == '#' && p[1] == '}'))
        p++;
    if (p + 1 >= lx->end)
        return err_set(info, ERR_INVALID, "Missing end of comment tag");
    bool minus = p > lx->at + 2 && p[-1] == '-', plus = p > lx->at + 2 && p[-1] == '+';
    advance(lx, (size_t)(p + 2 - lx->at));
    after_tag(lx, minus, plus);
    return OK;
}

/* At "{%": length of a `raw` (or `endraw`) tag there, 0 if it is another one. */
static size_t raw_tag(const struct lexer *lx, const char *word, bool *minus_begin, bool *minus_end, bool *plus_end)
{
    const char *p = lx->at + 2;
    *minus_begin = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    while (is_space(*p))
        p++;
    size_t len = strlen(word);
    if (strncmp(p, word, len) != 0)
        return 0;
    p += len;
    while (is_space(*p))
        p++;
    *minus_end = *p == '-';
    *plus_end = *p == '+';
    if (*minus_end || *plus_end)
        p++;
    return p[0] == '%' && p[1] == '}' ? (size_t)(p + 2 - lx->at) : 0;
}

static enum err lex_raw(struct lexer *lx, size_t tag_len, bool minus, bool plus, struct token *out,
                        struct err_info *info)
{
    advance(lx, tag_len);
    after_tag(lx, minus, plus);
    const char *begin = lx->at;
    out->line = lx->line;
    while (lx->at < lx->end) {
        bool minus_begin, minus_end, plus_end;
        size_t len = starts(lx, "{%") ? raw_tag(lx, "endraw", &minus_begin, &minus_end, &plus_end) : 0;
        if (len) {
            const char *end = lx->at;
            while (minus_begin && end > begin && is_space(end[-1]))
                end--;
            emit_data(lx, begin, end, out);
            advance(lx, len);
            after_tag(lx, minus_end, plus_end);
            return OK;
        }
        advance(lx, 1);
    }
    return err_set(info, ERR_INVALID, "Missing end of raw directive");
}

static enum err lex_outside(struct lexer *lx, struct token *out, struct err_info *info)
{
    for (;;) {
        out->line = lx->line;
        const char *begin = lx->at;
        bool begins_line = begin == lx->end || lx->is_line_start || begin[-1] == '\n';
        lx->is_line_start = false;
        char tag = 0;
        while (lx->at < lx->end && !(tag = tag_here(lx)))
            advance(lx, 1);
        const char *end = tag ? strip_before_tag(lx, begin, lx->at, tag, begins_line) : lx->at;
        if (end > begin) {
            emit_data(lx, begin, end, out);
            return OK; /* the tag is met again at once, with nothing in front of it */
        }
        if (!tag) {
            out->kind = TOKEN_END;
            return OK;
        }
        out->line = lx->line;
        bool minus_begin, minus_end, plus_end;
        size_t raw_len = tag == 'b' ? raw_tag(lx, "raw", &minus_begin, &minus_end, &plus_end) : 0;
        if (raw_len)
            return lex_raw(lx, raw_len, minus_end, plus_end, out, info);
        if (tag == 'c') {
            enum err err = skip_comment(lx, info);
            if (err != OK)
                return err;
            continue;
        }
        advance(lx, tag == 'e' ? strlen(expr_begin(lx)) : 2);
        if (lx->at < lx->end && (*lx->at == '-' || *lx->at == '+'))
            advance(lx, 1);
        lx->inside = out->kind = tag == 'e' ? TOKEN_EXPR_BEGIN : TOKEN_BLOCK_BEGIN;
        return OK;
    }
}

/* ------------------------------------------------------------------------------------------------- inside of tags */

/* Does the tag end here? Then it is passed, with its white-space control. */
static bool tag_end(struct lexer *lx, struct token *out)
{
    const char *close = lx->inside == TOKEN_EXPR_BEGIN ? expr_end(lx) : "%}";
    bool is_block = lx->inside == TOKEN_BLOCK_BEGIN;
    bool minus = *lx->at == '-', plus = is_block && *lx->at == '+';
    size_t sign = minus || plus ? 1 : 0, len = strlen(close);
    if ((size_t)(lx->end - lx->at) < sign + len || memcmp(lx->at + sign, close, len) != 0)
        return false;
    out->kind = is_block ? TOKEN_BLOCK_END : TOKEN_EXPR_END;
    advance(lx, sign + len);
    lx->inside = TOKEN_DATA;
    if (minus)
        skip_space(lx);
    else if (is_block)
        after_tag(lx, false, plus);
    return true;
}

static bool is_name_char(unsigned char c)
{
    return isalnum(c) || c == '_' || c >= 0x80;
}

static void add_utf8(struct strbuf *sb, uint32_t c)
{
    if (c < 0x80) {
        strbuf_addc(sb, (char)c);
    } else if (c < 0x800) {
        strbuf_addc(sb, (char)(0xc0 | (c >> 6)));
        strbuf_addc(sb, (char)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        strbuf_addc(sb, (char)(0xe0 | (c >> 12)));
        strbuf_addc(sb, (char)(0x80 | ((c >> 6) & 0x3f)));
        strbuf_addc(sb, (char)(0x80 | (c & 0x3f)));
    } else {
        strbuf_addc(sb, (char)(0xf0 | (c >> 18)));
        strbuf_addc(sb, (char)(0x80 | ((c >> 12) & 0x3f)));
        strbuf_addc(sb, (char)(0x80 | ((c >> 6) & 0x3f)));
        strbuf_addc(sb, (char)(0x80 | (c & 0x3f)));
    }
}

/* \xNN, \uNNNN, \UNNNNNNNN: `digits` of them at p. */
static bool read_hex(const char *p, const char *end, int digits, uint32_t *out)
{
    uint32_t c = 0;
    if (end - p < digits)
        return false;
    for (int i = 0; i < digits; i++) {
        if (!isxdigit((unsigned char)p[i]))
            return false;
        c = c * 16 + (uint32_t)(isdigit((unsigned char)p[i]) ? p[i] - '0' : (p[i] | 32) - 'a' + 10);
    }
    *out = c;
    return c <= 0x10ffff && !(c >= 0xd800 && c < 0xe000);
}

/* The escape behind the backslash at *p; leaves *p behind it. */
static bool add_escape(struct strbuf *sb, const char **p, const char *end)
{
    static const char simple[] = "\\\\''\"\"a\ab\bf\fn\nr\rt\tv\v";
    char c = *(*p)++;
    if (c == '\n')
        return true;
    for (const char *s = simple; *s; s += 2)
        if (*s == c) {
            strbuf_addc(sb, s[1]);
            return true;
        }
    int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint32_t code = 0;
    if (digits) {
        if (!read_hex(*p, end, digits, &code))
            return false;
        *p += digits;
        add_utf8(sb, code);
    } else if (c >= '0' && c <= '7') {
        code = (uint32_t)(c - '0');
        for (int i = 0; i < 2 && *p < end && **p >= '0' && **p <= '7'; i++)
            code = code * 8 + (uint32_t)(*(*p)++ - '0');
        add_utf8(sb, code);
    } else {
        strbuf_addc(sb, '\\');
        strbuf_addc(sb, c);
    }
    return true;
}

static enum err lex_string(struct lexer *lx, struct token *out, struct err_info *info)
{
    char quote = *lx->at;
    const char *p = lx->at + 1;
    while (p < lx->end && *p != quote)
        p += *p == '\\' && p + 1 < lx->end ? 2 : 1;
    if (p >= lx->end)
        return err_set(info, ERR_INVALID, "unexpected char '%s' at %s", quote == '\'' ? "\\''" : "\"",
                       "an open string");
    struct strbuf sb;
    strbuf_init(&sb);
    const char *q = lx->at + 1;
    bool is_good = true;
    while (q < p && is_good) {
        if (*q != '\\') {
            strbuf_addc(&sb, *q++);
        } else {
            q++;
            is_good = add_escape(&sb, &q, p);
        }
    }
    out->kind = TOKEN_STRING;
    out->text = arena_strndup(lx->arena, sb.data, sb.len_bytes);
    out->len_bytes = sb.len_bytes;
    strbuf_deinit(&sb);
    advance(lx, (size_t)(p + 1 - lx->at));
    return is_good ? OK : err_set(info, ERR_INVALID, "truncated or bad \\ escape in a string");
}

/* Digits (with single underscores between them) of `base` at p; returns the end. Appends them to `digits`. */
static const char *scan_digits(const char *p, const char *end, int base, struct strbuf *digits)
{
    while (p < end) {
        bool is_digit = base == 16 ? isxdigit((unsigned char)*p) != 0 : *p >= '0' && *p < '0' + base;
        if (is_digit)
            strbuf_addc(digits, *p++);
        else if (*p == '_' && digits->len_bytes && p + 1 < end &&
                 (base == 16 ? isxdigit((unsigned char)p[1]) != 0 : p[1] >= '0' && p[1] < '0' + base))
            p++;
        else
            break;
    }
    return p;
}

static enum err finish_integer(struct token *out, const char *digits, int base, struct err_info *info)
{
    errno = 0;
    out->kind = TOKEN_INTEGER;
    out->integer = strtoll(digits, NULL, base);
    if (errno == ERANGE)
        return err_set(info, ERR_INVALID, "the integer %.40s does not fit into 64 bits", digits);
    return OK;
}

/* Python has no octal 017: a number that begins with 0 is zeros only, and what follows is another token. */
static const char *leading_zeros(const struct lexer *lx, const char *p, struct strbuf *digits)
{
    const char *zeros = lx->at + strspn(lx->at, "0_");
    bool is_float = p < lx->end && (*p == '.' || (*p | 32) == 'e');
    if (zeros >= p || is_float)
        return p;
    strbuf_clear(digits);
    strbuf_addc(digits, '0');
    return zeros[-1] == '_' ? zeros - 1 : zeros;
}

/* 16, 8 or 2 if a number with that mark begins at p; a mark without a digit behind it is a name behind a 0. */
static int number_base(const char *p, const char *end)
{
    if (end - p < 3 || p[0] != '0')
        return 10;
    int base = (p[1] | 32) == 'x' ? 16 : (p[1] | 32) == 'o' ? 8 : (p[1] | 32) == 'b' ? 2 : 10;
    const char *digit = p + 2 + (p[2] == '_');
    if (base == 10 || digit >= end || !isxdigit((unsigned char)*digit))
        return 10;
    int value = isdigit((unsigned char)*digit) ? *digit - '0' : (*digit | 32) - 'a' + 10;
    return value < base ? base : 10;
}

static enum err lex_number(struct lexer *lx, struct token *out, struct err_info *info)
{
    struct strbuf digits;
    strbuf_init(&digits);
    const char *p = lx->at;
    int base = number_base(p, lx->end);
    p = scan_digits(base == 10 ? p : p + 2 + (p[2] == '_'), lx->end, base, &digits);
    bool is_float = false;
    bool may_be_float = base == 10 && !lx->is_after_dot; /* v.0.1 is v[0][1] */
    if (base == 10 && lx->at[0] == '0')                  /* 007 is 00 and then 7 */
        p = leading_zeros(lx, p, &digits);
    if (may_be_float) {
        if (p + 1 < lx->end && p[0] == '.' && isdigit((unsigned char)p[1])) {
            is_float = true;
            strbuf_addc(&digits, '.');
            p = scan_digits(p + 1, lx->end, 10, &digits);
        }
        const char *e = p;
        if (e < lx->end && (*e | 32) == 'e') {
            const char *d = e + 1 < lx->end && (e[1] == '+' || e[1] == '-') ? e + 2 : e + 1;
            if (d < lx->end && isdigit((unsigned char)*d)) {
                is_float = true;
                strbuf_add(&digits, e, (size_t)(d - e));
                p = scan_digits(d, lx->end, 10, &digits);
            }
        }
    }
    enum err err = OK;
    if (is_float) {
        out->kind = TOKEN_FLOAT;
        out->number = strtod(digits.data, NULL);
    } else {
        err = finish_integer(out, digits.data, base, info);
    }
    strbuf_deinit(&digits);
    advance(lx, (size_t)(p - lx->at));
    return err;
}

static enum err lex_operator(struct lexer *lx, struct token *out, struct err_info *info)
{
    static const char *const operators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                            "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    size_t i = 0;
    while (i < ARRAY_COUNT(operators) && !starts(lx, operators[i]))
        i++;
    if (i == ARRAY_COUNT(operators))
        return err_set(info, ERR_INVALID, "unexpected char '%c'", *lx->at);
    char c = operators[i][0];
    char closing = c == '(' ? ')' : c == '[' ? ']' : c == '{' ? '}' : 0;
    if (closing) {
        if (lx->balance_count == JINJA_NESTING_MAX)
            return err_set(info, ERR_LIMIT, "brackets are nested more than %d deep", JINJA_NESTING_MAX);
        lx->balance[lx->balance_count++] = closing;
    } else if (c == ')' || c == ']' || c == '}') {
        if (lx->balance_count == 0)
            return err_set(info, ERR_INVALID, "unexpected '%c'", c);
        char due = lx->balance[--lx->balance_count];
        if (due != c)
            return err_set(info, ERR_INVALID, "unexpected '%c', expected '%c'", c, due);
    }
    out->kind = TOKEN_OPERATOR;
    out->text = operators[i];
    out->len_bytes = strlen(operators[i]);
    advance(lx, out->len_bytes);
    return OK;
}

enum err lexer_next(struct lexer *lx, struct token *out, struct err_info *info)
{
    *out = (struct token){.line = lx->line, .text = ""};
    if (lx->inside == TOKEN_DATA)
        return lex_outside(lx, out, info);
    skip_space(lx);
    out->line = lx->line;
    if (lx->at >= lx->end) {
        out->kind = TOKEN_END;
        return OK;
    }
    /* Inside brackets what looks like an end is an operator: { {'a': 1} }. */
    if (lx->balance_count == 0 && tag_end(lx, out))
        return OK;
    lx->is_after_dot = lx->was_dot;
    lx->was_dot = *lx->at == '.';
    unsigned char c = (unsigned char)*lx->at;
    if (isdigit(c))
        return lex_number(lx, out, info);
    if (c == '\'' || c == '"')
        return lex_string(lx, out, info);
    if (!is_name_char(c))
        return lex_operator(lx, out, info);
    const char *p = lx->at;
    while (p < lx->end && is_name_char((unsigned char)*p))
        p++;
    out->kind = TOKEN_NAME;
    out->text = arena_strndup(lx->arena, lx->at, (size_t)(p - lx->at));
    out->len_bytes = (size_t)(p - lx->at);
    advance(lx, out->len_bytes);
    return OK;
}
