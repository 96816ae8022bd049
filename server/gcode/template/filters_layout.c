/* Filters that lay out texts: indent, truncate, wordwrap; and count words. */
#include "server/gcode/template/filters.h"
#include "server/gcode/template/methods.h"

#include "base/check.h"

#include <string.h>

FILTER(do_indent)
{
    (void)ctx;
    static const char *const names[] = {"s", "width", "first", "blank"};
    struct value args[4] = {value_none(), value_int(4), value_bool(false), value_bool(false)}, text;
    enum err err = ARGS_BIND(run, call, "indent", names, 1, args);
    if (err == OK && args[0].kind == VALUE_UNDEFINED)
        return value_fail_undefined(run, args[0]);
    if (err == OK && args[0].kind == VALUE_LIST)
        return value_error(run, "AttributeError", "'list' object has no attribute 'splitlines'");
    if (err == OK && !value_is_text(args[0]))
        return value_error(run, "TypeError", "unsupported operand type(s) for +=: '%s' and 'str'",
                           value_type_name(args[0]));
    text = args[0];
    int64_t width = 0;
    if (err == OK && !value_is_text(args[1]))
        err = args_count(run, args[1], "indent", &width);
    if (err != OK)
        return err;
    struct value indent = args[1];
    if (!value_is_text(indent))
        err = text_pad(run, value_cstr(run, "").str, width, " ", TEXT_LEFT, &indent);
    if (err != OK)
        return err;
    bool first = value_is_true(args[2]), blank = value_is_true(args[3]), is_first = true;
    struct strbuf sb;
    strbuf_init(&sb);
    const char *p = text.str->data, *end = p + text.str->len_bytes;
    while (p <= end && run_has_room(run, sb.len_bytes)) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((stop ? stop : end) - p);
        bool wants = is_first ? first : blank || len > 0;
        if (!stop && len == 0 && !is_first && !blank)
            break;
        if (wants)
            strbuf_add(&sb, indent.str->data, indent.str->len_bytes);
        strbuf_add(&sb, p, len);
        is_first = false;
        if (!stop)
            break;
        strbuf_addc(&sb, '\n');
        p = stop + 1;
    }
    return args_finish(run, text.kind, &sb, out);
}

FILTER(do_truncate)
{
    (void)ctx;
    static const char *const names[] = {"s", "length", "killwords", "end", "leeway"};
    struct value args[5] = {value_none(), value_int(255), value_bool(false), value_cstr(run, "..."), value_none()},
                 text, tail;
    int64_t length = 255, leeway = 5;
    enum err err = ARGS_BIND(run, call, "truncate", names, 1, args);
    int64_t count = 0;
    if (err == OK)
        err = value_length(run, args[0], &count);
    if (err == OK)
        err = args_soft_text(run, args[3], &tail);
    if (err == OK)
        err = args_count(run, args[1], "truncate", &length);
    if (err == OK && args[4].kind != VALUE_NONE)
        err = args_count(run, args[4], "truncate", &leeway);
    if (err != OK)
        return err;
    if (length < (int64_t)tail.str->count)
        return value_error(run, "AssertionError", "expected length >= %zu, got %lld", tail.str->count,
                           (long long)length);
    if (leeway < 0)
        return value_error(run, "AssertionError", "expected leeway >= 0, got %lld", (long long)leeway);
    if (count <= length + leeway) {
        *out = args[0];
        return OK;
    }
    if (!value_is_text(args[0]))
        return value_error(run, args[0].kind == VALUE_DICT || value_is_true(args[2]) ? "TypeError" : "AttributeError",
                           "'%s' object has no attribute 'rsplit'", value_type_name(args[0]));
    text = args[0];
    size_t cut = str_offset(text.str, (size_t)length - tail.str->count);
    if (!value_is_true(args[2])) {
        size_t word = cut;
        while (word > 0 && text.str->data[word - 1] != ' ')
            word--;
        cut = word > 0 ? word - 1 : cut;
    }
    struct strbuf sb;
    strbuf_init(&sb);
    strbuf_add(&sb, text.str->data, cut);
    if (text.kind == VALUE_MARKUP && tail.kind != VALUE_MARKUP)
        value_escape_html(&sb, tail.str->data, tail.str->len_bytes);
    else
        strbuf_add(&sb, tail.str->data, tail.str->len_bytes);
    return args_finish(run, text.kind == VALUE_MARKUP || tail.kind == VALUE_MARKUP ? VALUE_MARKUP : VALUE_STR, &sb, out);
}

FILTER(do_wordcount)
{
    (void)ctx;
    struct value text;
    enum err err = args_one_text(run, call, "wordcount", &text);
    int64_t count = 0;
    bool was_word = false;
    for (const char *p = err == OK ? text.str->data : "", *end = p + (err == OK ? text.str->len_bytes : 0); p < end;) {
        uint32_t c = text_next(&p);
        bool is_word = c == '_' || text_class_is(c, CLASS_ALPHA) || text_class_is(c, CLASS_NUMERIC);
        count += is_word && !was_word;
        was_word = is_word;
    }
    *out = value_int(count);
    return err;
}

/* ----------------------------------------------------------------------------------------------------- word wrapping
 */

struct wrap_options {
    size_t width; /* in characters, above 0 */
    bool breaks_words, breaks_at_hyphens;
    const struct value_str *glue; /* between lines */
};

/* A stretch of a line that is never broken unless it is wider than a line. */
struct chunk {
    const char *begin, *end;
    size_t count; /* characters */
    bool is_blank;
};

static bool is_wrap_blank(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_letter(uint32_t c) /* a character of words that is no digit */
{
    return c == '_' || text_class_is(c, CLASS_ALPHA);
}

static bool is_word_char(uint32_t c)
{
    return is_letter(c) || text_class_is(c, CLASS_NUMERIC) || text_class_is(c, CLASS_DIGIT);
}

static bool is_word_or_mark(uint32_t c)
{
    return is_word_char(c) || (c && c < 0x80 && strchr("!\"'&.,?", (int)c));
}

/* The character before or at a place of a line; 0 outside of it. */
static uint32_t before(const char *begin, const char *p)
{
    if (p == begin)
        return 0;
    do
        p--;
    while (p > begin && ((unsigned char)*p & 0xc0) == 0x80);
    return text_next(&p);
}

static uint32_t at(const char *p, const char *end)
{
    return p < end ? text_next(&p) : 0;
}

/* Two or more hyphens between words at p: their end, else NULL. */
static const char *dash(const char *begin, const char *p, const char *end)
{
    const char *q = p;
    while (q < end && *q == '-')
        q++;
    return q - p >= 2 && is_word_or_mark(before(begin, p)) && is_word_char(at(q, end)) ? q : NULL;
}

/* May a line be broken behind the hyphen at p? Two letters, or a letter and a mark behind another hyphen, stand before
 * it, and a letter and another one, perhaps with a hyphen between, behind. */
static bool breaks_behind(const char *begin, const char *p, const char *end)
{
    uint32_t last = before(begin, p);
    const char *q = p;
    if (!last)
        return false;
    do
        q--;
    while (((unsigned char)*q & 0xc0) == 0x80);
    uint32_t earlier = before(begin, q);
    bool has_letters = is_letter(last) && is_letter(earlier);
    bool has_pair = is_word_or_mark(last) && earlier == '-' && q - 1 > begin && is_letter(before(begin, q - 1));
    if (!has_letters && !has_pair)
        return false;
    const char *r = p + 1;
    if (r >= end || !is_letter(text_next(&r)))
        return false;
    return is_letter(at(r, end)) || (r < end && *r == '-' && is_letter(at(r + 1, end)));
}

/* The chunk that begins at p. */
static struct chunk next_chunk(const char *begin, const char *p, const char *end, bool breaks_at_hyphens)
{
    struct chunk chunk = {.begin = p, .is_blank = is_wrap_blank(at(p, end))};
    const char *q = p;
    if (chunk.is_blank) {
        while (q < end && is_wrap_blank((unsigned char)*q))
            q++;
    } else if (breaks_at_hyphens && dash(begin, p, end)) {
        q = dash(begin, p, end);
    } else {
        (void)text_next(&q);
        while (q < end && !is_wrap_blank((unsigned char)*q)) {
            if (breaks_at_hyphens && *q == '-' && breaks_behind(begin, q, end)) {
                q++;
                break;
            }
            if (breaks_at_hyphens && *q == '-' && dash(begin, q, end))
                break;
            (void)text_next(&q);
        }
    }
    chunk.end = q;
    for (const char *c = p; c < q; chunk.count++)
        (void)text_next(&c);
    return chunk;
}

/* Where a chunk wider than what is left of the line is cut: behind `room` characters, or a hyphen before that. */
static const char *cut_of(const struct chunk *chunk, size_t room, bool breaks_at_hyphens)
{
    const char *p = chunk->begin, *hyphen = NULL;
    bool has_other = false;
    for (size_t i = 0; i < room && p < chunk->end; i++) {
        if (*p == '-' && has_other)
            hyphen = p + 1;
        has_other |= *p != '-';
        (void)text_next(&p);
    }
    return breaks_at_hyphens && chunk->count > room && hyphen ? hyphen : p;
}

/* The chunks of a line, with the one that comes next taken apart already. */
struct chunk_reader {
    const char *begin, *p, *end;
    const struct wrap_options *options;
    struct chunk next;
    bool has_next;
};

static void advance_chunk(struct chunk_reader *r)
{
    r->has_next = r->p < r->end;
    if (!r->has_next)
        return;
    r->next = next_chunk(r->begin, r->p, r->end, r->options->breaks_at_hyphens);
    r->p = r->next.end;
}

/* Put the next chunk, which is wider than a line, into the row as far as it goes. Returns the bytes of white space that
 * the row ends in then. */
static size_t take_wide_chunk(struct chunk_reader *r, struct strbuf *row, size_t column, size_t blanks)
{
    struct chunk *wide = &r->next;
    const char *cut = wide->end;
    if (r->options->breaks_words)
        cut = cut_of(wide, r->options->width - column, r->options->breaks_at_hyphens);
    else if (row->len_bytes)
        return blanks;
    size_t len = (size_t)(cut - wide->begin);
    strbuf_add(row, wide->begin, len);
    for (const char *p = wide->begin; p < cut; wide->count--)
        (void)text_next(&p);
    wide->begin = cut;
    bool is_blank = wide->is_blank;
    if (wide->begin == wide->end)
        advance_chunk(r);
    return is_blank ? len : 0; /* nothing taken: the row keeps the blanks that it ends in */
}

/* Break one line so that no part is wider than asked, as Python's textwrap does: the blanks around a break go, those at
 * the very beginning stay. */
static void wrap_line(struct strbuf *out, const char *line, size_t len, const struct wrap_options *options)
{
    struct chunk_reader r = {.begin = line, .p = line, .end = line + len, .options = options};
    struct strbuf row;
    strbuf_init(&row);
    advance_chunk(&r);
    for (bool is_first = true; r.has_next;) {
        size_t column = 0, blanks = 0;
        row.len_bytes = 0;
        if (r.next.is_blank && !is_first)
            advance_chunk(&r);
        while (r.has_next && column + r.next.count <= options->width) {
            size_t size = (size_t)(r.next.end - r.next.begin);
            strbuf_add(&row, r.next.begin, size);
            column += r.next.count;
            blanks = r.next.is_blank ? size : 0;
            advance_chunk(&r);
        }
        if (r.has_next && r.next.count > options->width)
            blanks = take_wide_chunk(&r, &row, column, blanks);
        if (row.len_bytes == blanks)
            continue;
        if (!is_first)
            strbuf_add(out, options->glue->data, options->glue->len_bytes);
        strbuf_add(out, row.data, row.len_bytes - blanks);
        is_first = false;
    }
    strbuf_deinit(&row);
}

FILTER(do_wordwrap)
{
    (void)ctx;
    static const char *const names[] = {"s", "width", "break_long_words", "wrapstring", "break_on_hyphens"};
    struct value args[5] = {value_none(), value_int(79), value_bool(true), value_none(), value_bool(true)}, text, glue;
    int64_t width = 79;
    enum err err = ARGS_BIND(run, call, "wordwrap", names, 1, args);
    if (err == OK && args[0].kind == VALUE_UNDEFINED)
        return value_fail_undefined(run, args[0]);
    if (err == OK && !value_is_text(args[0]))
        return value_error(run, "AttributeError", "'%s' object has no attribute 'splitlines'",
                           value_type_name(args[0]));
    text = args[0];
    if (err == OK)
        err = args_count(run, args[1], "wordwrap", &width);
    if (err == OK && args[3].kind == VALUE_NONE)
        glue = value_cstr(run, "\n");
    else if (err == OK)
        err = args_soft_text(run, args[3], &glue);
    if (err != OK)
        return err;
    if (width <= 0)
        return value_error(run, "ValueError", "invalid width %lld (must be > 0)", (long long)width);
    struct strbuf sb;
    strbuf_init(&sb);
    const struct wrap_options options = {.width = (size_t)width,
                                         .breaks_words = value_is_true(args[2]),
                                         .breaks_at_hyphens = value_is_true(args[4]),
                                         .glue = glue.str};
    const char *p = text.str->data, *end = p + text.str->len_bytes;
    for (bool is_first = true; p < end && run_has_room(run, sb.len_bytes); is_first = false) {
        const char *begin = p;
        const char *stop = text_line(&p, end);
        if (!is_first)
            strbuf_add(&sb, glue.str->data, glue.str->len_bytes);
        wrap_line(&sb, begin, (size_t)(stop - begin), &options);
    }
    return args_finish(run, VALUE_STR, &sb, out);
}

const struct value_filter layout_filters[] = {
    {"indent", do_indent}, {"truncate", do_truncate}, {"wordcount", do_wordcount}, {"wordwrap", do_wordwrap},
    {NULL, NULL},
};
