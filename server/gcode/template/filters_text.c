/* Filters that make texts. */
#include "server/gcode/template/filters.h"
#include "server/gcode/template/methods.h"
#include "server/gcode/template/value_format.h"

#include "base/check.h"

#include <ctype.h>
#include <string.h>

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

static enum err case_filter(struct jinja_run *run, const struct value_call *call, const char *what, enum text_case kind,
                            struct value *out)
{
    struct value text;
    enum err err = args_one_text(run, call, what, &text);
    if (err != OK)
        return err;
    struct strbuf sb;
    strbuf_init(&sb);
    text_case_append(&sb, text.str->data, text.str->len_bytes, kind);
    return args_finish(run, text.kind, &sb, out);
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
    enum err err = args_one_text(run, call, "capitalize", &text);
    if (err != OK)
        return err;
    struct strbuf sb;
    strbuf_init(&sb);
    text_capitalize(&sb, text.str->data, text.str->len_bytes);
    return args_finish(run, text.kind, &sb, out);
}

/* Jinja2's title: words begin behind white space and - ( { [ <. */
FILTER(do_title)
{
    (void)ctx;
    struct value text;
    enum err err = args_one_text(run, call, "title", &text);
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
    return args_finish(run, VALUE_STR, &sb, out);
}

FILTER(do_string)
{
    (void)ctx;
    return args_one_text(run, call, "string", out);
}

FILTER(do_escape)
{
    (void)ctx;
    static const char *const names[] = {"s"};
    struct value v;
    enum err err = ARGS_BIND(run, call, "escape", names, 1, &v);
    return err == OK ? value_escape(run, v, out) : err;
}

FILTER(do_forceescape)
{
    (void)ctx;
    struct value text;
    enum err err = args_one_text(run, call, "forceescape", &text);
    return err == OK ? value_escape(run, value_as(VALUE_STR, text), out) : err;
}

FILTER(do_safe)
{
    (void)ctx;
    enum err err = args_one_text(run, call, "safe", out);
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
    if (chars && !run_charge(run, text.str->len_bytes / 64 * (chars->len_bytes / 16)))
        return ERR_LIMIT;
    const char *begin;
    size_t len;
    text_strip(text.str, chars, true, true, &begin, &len);
    *out = value_as(text.kind, value_str(run, begin, len));
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
    if (err == OK)
        err = text_pad(run, text.str, width, " ", TEXT_CENTRE, out);
    if (err == OK)
        out->kind = text.kind;
    return err;
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
    if (err != OK || !run->is_escaping)
        return err == OK ? text_replace(run, text.str, old.str, with.str, count, out) : err;
    /* Where the template escapes, one Markup makes the result Markup, and plain texts among them are escaped. */
    if (text.kind != VALUE_MARKUP && (old.kind == VALUE_MARKUP || with.kind == VALUE_MARKUP))
        err = value_escape(run, text, &text);
    if (err == OK && text.kind == VALUE_MARKUP)
        err = value_escape(run, old, &old);
    if (err == OK && text.kind == VALUE_MARKUP)
        err = value_escape(run, with, &with);
    if (err == OK)
        err = text_replace(run, text.str, old.str, with.str, count, out);
    if (err == OK)
        out->kind = text.kind;
    return err;
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
    {NULL, NULL},
};
