/* Filters that make texts. */
#include "server/gcode/template/filters.h"
#include "server/gcode/template/methods.h"
#include "server/gcode/template/value_format.h"

#include "base/check.h"

#include <ctype.h>
#include <string.h>

#define FILTER(name)                                                                                                   \
    static enum err name(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)

static enum err finish(struct jinja_run *run, struct strbuf *sb, struct value *out)
{
    *out = value_from_strbuf(run, sb);
    return run->has_failed ? ERR_LIMIT : OK;
}

void value_escape_html(struct strbuf *out, const char *text, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes; i++) {
        char c = text[i];
        if (c == '&')
            strbuf_adds(out, "&amp;");
        else if (c == '<')
            strbuf_adds(out, "&lt;");
        else if (c == '>')
            strbuf_adds(out, "&gt;");
        else if (c == '\'')
            strbuf_adds(out, "&#39;");
        else if (c == '"')
            strbuf_adds(out, "&#34;");
        else
            strbuf_addc(out, c);
    }
}

/* The only argument, as text. */
static enum err one_text(struct jinja_run *run, const struct value_call *call, const char *what, struct value *out)
{
    static const char *const names[] = {"s"};
    struct value v;
    enum err err = ARGS_BIND(run, call, what, names, 1, &v);
    return err == OK ? args_soft_text(run, v, out) : err;
}

static enum err case_filter(struct jinja_run *run, const struct value_call *call, const char *what, enum text_case kind,
                            struct value *out)
{
    struct value text;
    enum err err = one_text(run, call, what, &text);
    if (err != OK)
        return err;
    struct strbuf sb;
    strbuf_init(&sb);
    text_case_append(&sb, text.str->data, text.str->len_bytes, kind);
    return finish(run, &sb, out);
}

FILTER(do_upper)
{
    (void)ctx;
    return case_filter(run, call, "upper", TEXT_UPPER, out);
}

FILTER(do_lower)
{
    (void)ctx;
    return case_filter(run, call, "lower", TEXT_LOWER, out);
}

FILTER(do_capitalize)
{
    (void)ctx;
    struct value text;
    enum err err = one_text(run, call, "capitalize", &text);
    if (err != OK)
        return err;
    struct strbuf sb;
    strbuf_init(&sb);
    text_capitalize(&sb, text.str->data, text.str->len_bytes);
    return finish(run, &sb, out);
}

/* Jinja2's title: words begin behind white space and - ( { [ <. */
FILTER(do_title)
{
    (void)ctx;
    struct value text;
    enum err err = one_text(run, call, "title", &text);
    if (err != OK)
        return err;
    struct strbuf sb;
    strbuf_init(&sb);
    bool is_first = true;
    for (const char *p = text.str->data, *end = p + text.str->len_bytes; p < end;) {
        const char *begin = p;
        uint32_t c = text_next(&p);
        bool is_break = text_class_is(c, CLASS_SPACE) || (c < 0x80 && c && strchr("-({[<", (int)c));
        if (is_break)
            strbuf_add(&sb, begin, (size_t)(p - begin));
        else
            text_case_append(&sb, begin, (size_t)(p - begin), is_first ? TEXT_UPPER : TEXT_LOWER);
        is_first = is_break;
    }
    return finish(run, &sb, out);
}

FILTER(do_string)
{
    (void)ctx;
    return one_text(run, call, "string", out);
}

FILTER(do_escape)
{
    (void)ctx;
    struct value text;
    enum err err = one_text(run, call, "escape", &text);
    if (err != OK)
        return err;
    if (text.kind == VALUE_MARKUP) {
        *out = text;
        return OK;
    }
    struct strbuf sb;
    strbuf_init(&sb);
    value_escape_html(&sb, text.str->data, text.str->len_bytes);
    *out = value_markup(run, sb.data, sb.len_bytes);
    strbuf_deinit(&sb);
    return run->has_failed ? ERR_LIMIT : OK;
}

FILTER(do_forceescape)
{
    (void)ctx;
    struct value text;
    enum err err = one_text(run, call, "forceescape", &text);
    if (err != OK)
        return err;
    struct strbuf sb;
    strbuf_init(&sb);
    value_escape_html(&sb, text.str->data, text.str->len_bytes);
    *out = value_markup(run, sb.data, sb.len_bytes);
    strbuf_deinit(&sb);
    return run->has_failed ? ERR_LIMIT : OK;
}

FILTER(do_safe)
{
    (void)ctx;
    enum err err = one_text(run, call, "safe", out);
    out->kind = VALUE_MARKUP;
    return err;
}

FILTER(do_trim)
{
    (void)ctx;
    static const char *const names[] = {"value", "chars"};
    struct value args[2] = {value_none(), value_none()}, text;
    const struct value_str *chars = NULL;
    enum err err = ARGS_BIND(run, call, "trim", names, 1, args);
    if (err == OK)
        err = args_soft_text(run, args[0], &text);
    if (err == OK && args[1].kind != VALUE_NONE)
        err = args_text(run, args[1], "strip arg", &chars);
    if (err != OK)
        return err;
    const char *begin;
    size_t len;
    text_strip(text.str, chars, true, true, &begin, &len);
    *out = value_str(run, begin, len);
    return run->has_failed ? ERR_LIMIT : OK;
}

FILTER(do_center)
{
    (void)ctx;
    static const char *const names[] = {"value", "width"};
    struct value args[2] = {value_none(), value_int(80)}, text;
    int64_t width = 0;
    enum err err = ARGS_BIND(run, call, "center", names, 1, args);
    if (err == OK)
        err = args_soft_text(run, args[0], &text);
    if (err == OK)
        err = args_int(run, args[1], "center", &width);
    return err == OK ? text_pad(run, text.str, width, " ", TEXT_CENTRE, out) : err;
}

FILTER(do_replace)
{
    (void)ctx;
    static const char *const names[] = {"s", "old", "new", "count"};
    struct value args[4] = {value_none(), value_none(), value_none(), value_none()}, text, old, with;
    int64_t count = -1;
    enum err err = ARGS_BIND(run, call, "replace", names, 3, args);
    if (err == OK && args[3].kind != VALUE_NONE)
        err = args_int(run, args[3], "replace", &count);
    if (err == OK)
        err = args_soft_text(run, args[0], &text);
    if (err == OK)
        err = args_soft_text(run, args[1], &old);
    if (err == OK)
        err = args_soft_text(run, args[2], &with);
    return err == OK ? text_replace(run, text.str, old.str, with.str, count, out) : err;
}

FILTER(do_format)
{
    (void)ctx;
    struct value format;
    if (call->count == 0)
        return value_error(run, "TypeError", "format() missing 1 required positional argument: 'value'");
    if (call->count > 1 && call->key_count)
        return value_error(run, "FilterArgumentError",
                           "can't handle positional and keyword arguments at the same time");
    enum err err = args_soft_text(run, call->args[0], &format);
    if (err != OK)
        return err;
    struct value args;
    if (call->key_count) {
        args = value_dict(run);
        for (size_t i = 0; i < call->key_count; i++)
            (void)value_set_item(run, args, call->keys[i], call->values[i]);
    } else {
        args = value_tuple(run, call->count - 1);
        for (size_t i = 0; i < args.seq->count; i++)
            args.seq->items[i] = call->args[i + 1];
    }
    return run->has_failed ? ERR_LIMIT : value_percent(run, format, args, out);
}

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
        err = args_int(run, args[1], "indent", &width);
    if (err != OK)
        return err;
    char blanks[64];
    memset(blanks, ' ', sizeof blanks);
    if (width > (int64_t)sizeof blanks)
        return value_error(run, "ValueError", "indent: at most %zu", sizeof blanks);
    const char *indent = value_is_text(args[1]) ? args[1].str->data : blanks;
    size_t indent_len = value_is_text(args[1]) ? args[1].str->len_bytes : width > 0 ? (size_t)width : 0;
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
            strbuf_add(&sb, indent, indent_len);
        strbuf_add(&sb, p, len);
        is_first = false;
        if (!stop)
            break;
        strbuf_addc(&sb, '\n');
        p = stop + 1;
    }
    return finish(run, &sb, out);
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
        err = args_int(run, args[1], "truncate", &length);
    if (err == OK && args[4].kind != VALUE_NONE)
        err = args_int(run, args[4], "truncate", &leeway);
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
    strbuf_add(&sb, tail.str->data, tail.str->len_bytes);
    return finish(run, &sb, out);
}

FILTER(do_wordcount)
{
    (void)ctx;
    struct value text;
    enum err err = one_text(run, call, "wordcount", &text);
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

/* May a line be broken behind the character at p: a hyphen between two words? */
static bool breaks_at_hyphen(const char *begin, const char *p, const char *end)
{
    return *p == '-' && p - begin >= 2 && isalpha((unsigned char)p[-1]) && isalnum((unsigned char)p[-2]) &&
           end - p > 2 && isalnum((unsigned char)p[1]) && isalpha((unsigned char)p[2]);
}

/* Break a line at white space (or inside long words) so that no part is wider than `width`. */
static void wrap_line(struct strbuf *sb, const char *p, size_t len, size_t width, bool breaks_words, const char *glue)
{
    size_t column = 0;
    bool is_first = true;
    const char *end = p + len;
    while (p < end) {
        const char *blank_end = p;
        while (blank_end < end && *blank_end == ' ')
            blank_end++;
        const char *word_end = blank_end;
        while (word_end < end && *word_end != ' ')
            if (breaks_at_hyphen(blank_end, word_end++, end))
                break;
        size_t blanks = (size_t)(blank_end - p), word = 0;
        for (const char *q = blank_end; q < word_end; q++)
            word += ((unsigned char)*q & 0xc0) != 0x80;
        if (word_end == blank_end) /* blanks at the end of the line go */
            break;
        if (!is_first && column + blanks + word > width) {
            strbuf_adds(sb, glue);
            column = blanks = 0;
            p = blank_end;
        }
        strbuf_add(sb, p, (size_t)(blank_end - p));
        column += blanks;
        const char *q = blank_end;
        while (breaks_words && column + word > width && width > column) {
            size_t take = width - column;
            const char *begin = q;
            for (size_t i = 0; i < take; i++)
                (void)text_next(&q);
            strbuf_add(sb, begin, (size_t)(q - begin));
            strbuf_adds(sb, glue);
            word -= take;
            column = 0;
        }
        strbuf_add(sb, q, (size_t)(word_end - q));
        column += word;
        is_first = false;
        p = word_end;
    }
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
        err = args_int(run, args[1], "wordwrap", &width);
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
    const char *p = text.str->data, *end = p + text.str->len_bytes;
    for (bool is_first = true; p < end; is_first = false) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        if (!is_first)
            strbuf_adds(&sb, glue.str->data);
        wrap_line(&sb, p, (size_t)((stop ? stop : end) - p), (size_t)width, value_is_true(args[2]), glue.str->data);
        p = stop ? stop + 1 : end;
    }
    return finish(run, &sb, out);
}

const struct value_filter text_filters[] = {
    {"upper", do_upper},
    {"lower", do_lower},
    {"capitalize", do_capitalize},
    {"title", do_title},
    {"string", do_string},
    {"escape", do_escape},
    {"e", do_escape},
    {"forceescape", do_forceescape},
    {"safe", do_safe},
    {"trim", do_trim},
    {"center", do_center},
    {"replace", do_replace},
    {"format", do_format},
    {"indent", do_indent},
    {"truncate", do_truncate},
    {"wordcount", do_wordcount},
    {"wordwrap", do_wordwrap},
    {NULL, NULL},
};
