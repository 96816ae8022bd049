/* Filters that write values in other notations: XML, JSON, sizes; and take tags out. */
#include "server/gcode/template/filters.h"
#include "server/gcode/template/methods.h"
#include "server/gcode/template/value_format.h"

#include "base/check.h"

#include <ctype.h>
#include <string.h>

FILTER(do_striptags)
{
    (void)ctx;
    struct value text;
    enum err err = args_one_text(run, call, "striptags", &text);
    if (err != OK)
        return err;
    struct strbuf plain;
    strbuf_init(&plain);
    text_strip_tags(&plain, text.str);
    return args_finish(run, VALUE_STR, &plain, out);
}

/* --------------------------------------------------------------------------------------------------------- encoding */

/* A key that would end the attribute's name, and so begin another attribute or the tag's end, is an error. */
static enum err check_attribute_name(struct jinja_run *run, struct value key)
{
    if (!value_is_text(key))
        return value_error(run, "TypeError", "expected string or bytes-like object, got '%s'", value_type_name(key));
    for (const char *p = key.str->data, *end = p + key.str->len_bytes; p < end;) {
        uint32_t c = text_next(&p);
        if (text_class_is(c, CLASS_SPACE) || c == '/' || c == '>' || c == '=')
            return value_error(run, "ValueError", "Invalid character in attribute name: '%.60s'", key.str->data);
    }
    return OK;
}

FILTER(do_xmlattr)
{
    (void)ctx;
    static const char *const names[] = {"d", "autospace"};
    struct value args[2] = {value_none(), value_bool(true)}, items, text;
    enum err err = ARGS_BIND(run, call, "xmlattr", names, 1, args);
    if (err == OK)
        err = args_items(run, args[0], &items);
    if (err != OK)
        return err;
    struct strbuf sb;
    strbuf_init(&sb);
    for (size_t i = 0; err == OK && i < items.seq->count; i++) {
        const struct value *pair = items.seq->items[i].seq->items;
        if (pair[1].kind == VALUE_NONE || pair[1].kind == VALUE_UNDEFINED)
            continue;
        strbuf_adds(&sb, sb.len_bytes ? " " : value_is_true(args[1]) ? " " : "");
        err = check_attribute_name(run, pair[0]);
        if (err == OK)
            err = value_escape(run, pair[0], &text);
        if (err == OK)
            strbuf_add(&sb, text.str->data, text.str->len_bytes);
        strbuf_adds(&sb, "=\"");
        if (err == OK)
            err = value_escape(run, pair[1], &text);
        if (err == OK)
            strbuf_add(&sb, text.str->data, text.str->len_bytes);
        strbuf_addc(&sb, '"');
    }
    *out = value_as(run->is_escaping ? VALUE_MARKUP : VALUE_STR, value_from_strbuf(run, &sb));
    return err;
}

/* ------------------------------------------------------------------------------------------------------------- json */

static enum err add_json(struct jinja_run *run, struct value v, int64_t indent, unsigned depth, struct strbuf *out);

static void json_line(struct strbuf *out, int64_t indent, unsigned depth)
{
    if (indent < 0)
        return;
    strbuf_addc(out, '\n');
    for (int64_t i = 0; i < indent * (int64_t)depth; i++)
        strbuf_addc(out, ' ');
}

static void json_text(struct strbuf *out, const struct value_str *str)
{
    strbuf_addc(out, '"');
    for (const char *p = str->data, *end = p + str->len_bytes; p < end;) {
        uint32_t c = text_next(&p);
        if (c == '"' || c == '\\')
            strbuf_addf(out, "\\%c", (char)c);
        else if (c == '\n' || c == '\r' || c == '\t' || c == '\b' || c == '\f')
            strbuf_addf(out, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : c == '\b' ? 'b' : 'f');
        else if (c < 0x20 || c == '<' || c == '>' || c == '&' || c == '\'' || (c >= 0x7f && c < 0x10000))
            strbuf_addf(out, c == 0x7f ? "\x7f" : "\\u%04x", c);
        else if (c >= 0x10000)
            strbuf_addf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 0x3ff));
        else
            strbuf_addc(out, (char)c);
    }
    strbuf_addc(out, '"');
}

static enum err json_dict(struct jinja_run *run, struct value v, int64_t indent, unsigned depth, struct strbuf *out)
{
    struct value items;
    enum err err = value_items(run, v, &items);
    if (err == OK)
        err = list_sort(run, items, NULL, NULL, false); /* policies: sort_keys */
    if (err != OK)
        return err;
    strbuf_addc(out, '{');
    for (size_t i = 0; i < items.seq->count && err == OK; i++) {
        const struct value *pair = items.seq->items[i].seq->items;
        strbuf_adds(out, i ? indent < 0 ? ", " : "," : "");
        json_line(out, indent, depth + 1);
        if (value_is_text(pair[0])) {
            json_text(out, pair[0].str);
        } else {
            strbuf_addc(out, '"');
            err = add_json(run, pair[0], -1, depth + 1, out);
            strbuf_addc(out, '"');
        }
        strbuf_adds(out, ": ");
        if (err == OK)
            err = add_json(run, pair[1], indent, depth + 1, out);
    }
    if (items.seq->count)
        json_line(out, indent, depth);
    strbuf_addc(out, '}');
    return err;
}

static enum err add_json(struct jinja_run *run, struct value v, int64_t indent, unsigned depth, struct strbuf *out)
{
    enum err err = OK;
    if (depth > VALUE_DEPTH_MAX)
        return value_error(run, "ValueError", "Circular reference detected");
    if (!run_has_room(run, out->len_bytes) || !run_charge(run, 1))
        return ERR_LIMIT;
    switch (v.kind) {
    case VALUE_NONE:
        strbuf_adds(out, "null");
        return OK;
    case VALUE_BOOL:
        strbuf_adds(out, v.boolean ? "true" : "false");
        return OK;
    case VALUE_INT:
        return value_to_text(run, v, out);
    case VALUE_FLOAT:
        if (v.number != v.number || v.number - v.number != 0.0)
            strbuf_adds(out, v.number != v.number ? "NaN" : v.number < 0.0 ? "-Infinity" : "Infinity");
        else
            value_format_float(out, v.number);
        return OK;
    case VALUE_STR:
    case VALUE_MARKUP:
        json_text(out, v.str);
        return OK;
    case VALUE_LIST:
    case VALUE_TUPLE:
        strbuf_addc(out, '[');
        for (size_t i = 0; i < v.seq->count && err == OK; i++) {
            strbuf_adds(out, i ? indent < 0 ? ", " : "," : "");
            json_line(out, indent, depth + 1);
            err = add_json(run, v.seq->items[i], indent, depth + 1, out);
        }
        if (v.seq->count)
            json_line(out, indent, depth);
        strbuf_addc(out, ']');
        return err;
    case VALUE_DICT:
        return json_dict(run, v, indent, depth, out);
    case VALUE_OBJECT:
        if (v.object->type->keys)
            return json_dict(run, v, indent, depth, out);
        /* fall through */
    default:
        return value_error(run, "TypeError", "Object of type %s is not JSON serializable", value_type_name(v));
    }
}

/* Is there a NaN or an infinity in it? Looks at as much as add_json has written. */
static bool has_infinite(struct value v, unsigned depth)
{
    bool is_infinite = v.kind == VALUE_FLOAT && v.number - v.number != 0.0;
    if ((v.kind == VALUE_LIST || v.kind == VALUE_TUPLE) && depth <= VALUE_DEPTH_MAX)
        for (size_t i = 0; i < v.seq->count && !is_infinite; i++)
            is_infinite = has_infinite(v.seq->items[i], depth + 1);
    if (v.kind == VALUE_DICT && depth <= VALUE_DEPTH_MAX)
        DICT_FOREACH(entry, v)
    is_infinite = is_infinite || has_infinite(entry->item, depth + 1);
    return is_infinite;
}

enum err value_to_json(struct jinja_run *run, struct value v, struct strbuf *out)
{
    enum err err = add_json(run, v, -1, 0, out);
    if (err == OK && has_infinite(v, 0))
        err = value_error(run, "ValueError", "Out of range float values are not JSON compliant");
    return err;
}

FILTER(do_tojson)
{
    (void)ctx;
    static const char *const names[] = {"value", "indent"};
    struct value args[2] = {value_none(), value_none()};
    int64_t indent = -1;
    enum err err = ARGS_BIND(run, call, "tojson", names, 1, args);
    if (err == OK && args[1].kind != VALUE_NONE)
        err = args_int(run, args[1], "tojson", &indent);
    if (err == OK && indent > 64)
        err = value_error(run, "ValueError", "tojson: at most 64 blanks");
    if (err != OK)
        return err;
    struct strbuf sb;
    strbuf_init(&sb);
    err = add_json(run, args[0], indent, 0, &sb);
    *out = value_markup(run, sb.data, sb.len_bytes);
    strbuf_deinit(&sb);
    return err;
}

FILTER(do_pprint)
{
    (void)ctx;
    static const char *const names[] = {"value"};
    struct value v;
    enum err err = ARGS_BIND(run, call, "pprint", names, 1, &v);
    if (err != OK)
        return err;
    struct strbuf sb;
    strbuf_init(&sb);
    err = value_pprint(run, v, &sb);
    *out = value_from_strbuf(run, &sb);
    return err;
}

FILTER(do_filesizeformat)
{
    (void)ctx;
    static const char *const names[] = {"value", "binary"};
    struct value args[2] = {value_none(), value_bool(false)}, number;
    enum err err = ARGS_BIND(run, call, "filesizeformat", names, 1, args);
    if (err == OK)
        err = value_to_float(run, args[0], &number);
    if (err != OK)
        return err;
    bool is_binary = value_is_true(args[1]);
    double base = is_binary ? 1024.0 : 1000.0, bytes = number.number;
    static const char *const decimal[] = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
    static const char *const binary[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};
    struct strbuf sb;
    strbuf_init(&sb);
    if (bytes == 1.0) {
        strbuf_adds(&sb, "1 Byte");
    } else if (bytes < base) {
        strbuf_addf(&sb, "%lld Bytes", (long long)bytes);
    } else {
        double unit = base;
        size_t i = 0;
        while (i + 1 < ARRAY_COUNT(decimal) && bytes >= unit * base) {
            unit *= base;
            i++;
        }
        strbuf_addf(&sb, "%.1f %s", base * bytes / (unit * base), (is_binary ? binary : decimal)[i]);
    }
    return args_finish(run, VALUE_STR, &sb, out);
}

const struct value_filter encode_filters[] = {
    {"striptags", do_striptags},
    {"xmlattr", do_xmlattr},
    {"tojson", do_tojson},
    {"pprint", do_pprint},
    {"filesizeformat", do_filesizeformat},
    {NULL, NULL},
};
