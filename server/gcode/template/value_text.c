/* Values as text: str() and repr() as Python has them. */
#include "server/gcode/template/args.h"

#include "base/check.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *value_type_name(struct value v)
{
    switch (v.kind) {
    case VALUE_UNDEFINED:
        return "Undefined";
    case VALUE_NONE:
        return "NoneType";
    case VALUE_BOOL:
        return "bool";
    case VALUE_INT:
        return "int";
    case VALUE_FLOAT:
        return "float";
    case VALUE_STR:
        return "str";
    case VALUE_MARKUP:
        return "Markup";
    case VALUE_BYTES:
        return "bytes";
    case VALUE_LIST:
        return "list";
    case VALUE_TUPLE:
        return "tuple";
    case VALUE_DICT:
        return "dict";
    case VALUE_RANGE:
        return "range";
    case VALUE_NAMESPACE:
        return "Namespace";
    case VALUE_ITERATOR:
        return v.iterator->type_name;
    case VALUE_FUNCTION:
        return v.function->fn ? "builtin_function_or_method" : "Macro";
    case VALUE_OBJECT:
        return v.object->type->type_name;
    }
    UNREACHABLE();
}

bool value_is_true(struct value v)
{
    switch (v.kind) {
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        return false;
    case VALUE_BOOL:
        return v.boolean;
    case VALUE_INT:
        return v.integer != 0;
    case VALUE_FLOAT:
        return v.number != 0.0;
    case VALUE_STR:
    case VALUE_MARKUP:
    case VALUE_BYTES:
        return v.str->len_bytes > 0;
    case VALUE_LIST:
    case VALUE_TUPLE:
        return v.seq->count > 0;
    case VALUE_DICT:
        return v.dict->count > 0;
    case VALUE_RANGE:
        return value_range_count(v) > 0;
    case VALUE_OBJECT:
        return !v.object->type->is_empty || !v.object->type->is_empty(v.object->ctx);
    case VALUE_ITERATOR:
        return !v.iterator->is_view || v.iterator->list.dict->count > 0;
    default:
        return true;
    }
}

/* Shortest digits that read back to the same double; exponent form below 1e-4 and from 1e16 on. */
void value_format_float(struct strbuf *out, double d)
{
    if (isnan(d)) {
        strbuf_adds(out, "nan");
        return;
    }
    if (isinf(d)) {
        strbuf_adds(out, d < 0.0 ? "-inf" : "inf");
        return;
    }
    char digits[40];
    int precision = 14; /* 15 digits bring back every number written with so many or fewer, then zeros follow */
    do
        (void)snprintf(digits, sizeof digits, "%.*e", precision, d);
    while (strtod(digits, NULL) != d && ++precision < 17);
    char *e = strchr(digits, 'e'), *last = e - 1;
    int exponent = atoi(e + 1);
    while (precision > 0 && *last == '0') {
        last--;
        precision--;
    }
    last[precision > 0 ? 1 : 0] = 0; /* without digits behind it the point goes too */
    if (exponent >= -4 && exponent < 16) {
        int decimals = precision > exponent ? precision - exponent : 0;
        strbuf_addf(out, "%.*f", decimals, d);
        if (!decimals)
            strbuf_adds(out, ".0");
        return;
    }
    strbuf_addf(out, "%se%c%02d", digits, exponent < 0 ? '-' : '+', abs(exponent));
}

/* The containers that are being written, innermost first: one that contains itself is not written again. */
struct nest {
    const void *container;
    const struct nest *outer;
    unsigned depth;
};

static struct nest enter_container(const void *container, const struct nest *outer)
{
    return (struct nest){.container = container, .outer = outer, .depth = outer ? outer->depth + 1 : 1};
}

static bool is_being_written(const void *container, const struct nest *outer)
{
    for (; outer; outer = outer->outer)
        if (outer->container == container)
            return true;
    return false;
}

/* How a text is written. */
enum style { STYLE_STR, STYLE_REPR, STYLE_ASCII };

/* The quote that repr() takes: a text with ' and without " is put into ". */
static char quote_for(const struct value_str *str)
{
    bool has_single = memchr(str->data, '\'', str->len_bytes) != NULL;
    return has_single && !memchr(str->data, '"', str->len_bytes) ? '"' : '\'';
}

/* A character that means something in a literal; false: it does not. */
static bool repr_escape(struct strbuf *out, uint32_t c, char quote)
{
    static const char letters[] = "tn..r";
    if (c == (unsigned char)quote || c == '\\')
        strbuf_addf(out, "\\%c", (char)c);
    else if (c == '\n' || c == '\r' || c == '\t')
        strbuf_addf(out, "\\%c", letters[c - '\t']);
    else
        return false;
    return true;
}

static void repr_text(struct strbuf *out, const struct value_str *str, bool is_ascii)
{
    char quote = quote_for(str);
    strbuf_addc(out, quote);
    for (const char *p = str->data, *end = p + str->len_bytes; p < end;) {
        const char *begin = p;
        uint32_t c = text_next(&p);
        if (repr_escape(out, c, quote))
            continue;
        bool is_shown = c < 0x7f ? c >= 0x20 : !is_ascii && text_class_is(c, CLASS_PRINT);
        if (is_shown)
            strbuf_add(out, begin, (size_t)(p - begin));
        else
            strbuf_addf(out, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    }
    strbuf_addc(out, quote);
}

static void repr_bytes(struct strbuf *out, const struct value_str *str)
{
    char quote = quote_for(str);
    strbuf_addf(out, "b%c", quote);
    for (size_t i = 0; i < str->len_bytes; i++) {
        unsigned char c = (unsigned char)str->data[i];
        if (repr_escape(out, c, quote))
            continue;
        if (c >= 0x20 && c < 0x7f)
            strbuf_addc(out, (char)c);
        else
            strbuf_addf(out, "\\x%02x", c);
    }
    strbuf_addc(out, quote);
}

static enum err write_value(struct jinja_run *run, struct value v, struct strbuf *out, enum style style,
                            const struct nest *outer);

static enum err write_sequence(struct jinja_run *run, struct value v, struct strbuf *out, enum style style,
                               const struct nest *outer)
{
    bool is_tuple = v.kind == VALUE_TUPLE;
    const struct value_tuple_names *names = v.seq->names && v.seq->names->type_name ? v.seq->names : NULL;
    struct nest nest = enter_container(v.seq, outer);
    enum err err = OK;
    if (is_being_written(v.seq, outer)) {
        strbuf_adds(out, is_tuple ? "(...)" : "[...]");
        return OK;
    }
    strbuf_adds(out, names ? names->type_name : "");
    strbuf_addc(out, is_tuple ? '(' : '[');
    for (size_t i = 0; i < v.seq->count && err == OK; i++) {
        strbuf_adds(out, i ? ", " : "");
        if (names && i < ARRAY_COUNT(names->parts) && names->parts[i])
            strbuf_addf(out, "%s=", names->parts[i]);
        err = write_value(run, v.seq->items[i], out, style, &nest);
    }
    strbuf_adds(out, !is_tuple ? "]" : v.seq->count == 1 ? ",)" : ")");
    return err;
}

static enum err write_dict(struct jinja_run *run, struct value v, struct strbuf *out, enum style style,
                           const struct nest *outer)
{
    struct nest nest = enter_container(v.dict, outer);
    enum err err = OK;
    bool is_first = true;
    strbuf_adds(out, v.kind == VALUE_NAMESPACE ? "<Namespace {" : "{");
    if (is_being_written(v.dict, outer)) {
        strbuf_adds(out, v.kind == VALUE_NAMESPACE ? "...}>" : "...}");
        return OK;
    }
    DICT_FOREACH(entry, v)
    {
        strbuf_adds(out, is_first ? "" : ", ");
        is_first = false;
        err = write_value(run, entry->key, out, style, &nest);
        if (err == OK) {
            strbuf_adds(out, ": ");
            err = write_value(run, entry->item, out, style, &nest);
        }
        if (err != OK)
            return err;
    }
    strbuf_adds(out, v.kind == VALUE_NAMESPACE ? "}>" : "}");
    return OK;
}

static enum err write_iterator(struct jinja_run *run, struct value v, struct strbuf *out, enum style style,
                               const struct nest *outer)
{
    const struct value_iterator *it = v.iterator;
    if (!it->is_view) {
        strbuf_addf(out, "<%s object%s%s>", it->type_name, it->name ? " " : "", it->name ? it->name : "");
        return OK;
    }
    struct value list;
    enum err err = value_iterate(run, v, &list);
    strbuf_addf(out, "%s(", it->type_name);
    if (err == OK)
        err = write_sequence(run, list, out, style, outer);
    strbuf_addc(out, ')');
    return err;
}

static void write_function(const struct value_function *f, struct strbuf *out)
{
    if (!f->fn && strcmp(f->name, "caller") == 0)
        strbuf_adds(out, "<Macro anonymous>");
    else if (!f->fn)
        strbuf_addf(out, "<Macro '%s'>", f->name);
    else if (f->text)
        strbuf_adds(out, f->text);
    else if (f->self)
        strbuf_addf(out, "<built-in method %s of %s object>", f->name,
                    f->is_static ? "type" : value_type_name(*f->self));
    else
        strbuf_addf(out, "<built-in method %s>", f->name);
}

static void write_range(struct value v, struct strbuf *out)
{
    const struct value_range *r = v.range;
    strbuf_addf(out, "range(%" PRId64 ", %" PRId64, r->start, r->stop);
    if (r->step != 1)
        strbuf_addf(out, ", %" PRId64, r->step);
    strbuf_addc(out, ')');
}

static enum err write_object(struct jinja_run *run, const struct value_object *object, struct strbuf *out)
{
    if (!object->type->text) {
        strbuf_addf(out, "<%s object>", object->type->type_name);
        return OK;
    }
    struct value text = value_none();
    enum err err = object->type->text(run, object->ctx, &text);
    if (err == OK)
        strbuf_add(out, text.str->data, text.str->len_bytes);
    return err;
}

static void write_text(struct strbuf *out, struct value v, enum style style)
{
    if (style == STYLE_STR) {
        strbuf_add(out, v.str->data, v.str->len_bytes);
        return;
    }
    strbuf_adds(out, v.kind == VALUE_MARKUP ? "Markup(" : "");
    repr_text(out, v.str, style == STYLE_ASCII);
    strbuf_adds(out, v.kind == VALUE_MARKUP ? ")" : "");
}

static enum err write_value(struct jinja_run *run, struct value v, struct strbuf *out, enum style style,
                            const struct nest *outer)
{
    if (outer && outer->depth > VALUE_DEPTH_MAX)
        return value_error(run, "RecursionError",
                           "maximum recursion depth exceeded while getting the repr of an object");
    if (!run_has_room(run, out->len_bytes) || !run_charge(run, 1))
        return ERR_LIMIT;
    struct value copy;
    enum err err;
    enum style in_container = style == STYLE_STR ? STYLE_REPR : style;
    switch (v.kind) {
    case VALUE_UNDEFINED:
        strbuf_adds(out, style == STYLE_STR ? "" : "Undefined");
        return OK;
    case VALUE_NONE:
        strbuf_adds(out, "None");
        return OK;
    case VALUE_BOOL:
        strbuf_adds(out, v.boolean ? "True" : "False");
        return OK;
    case VALUE_INT:
        strbuf_addf(out, "%" PRId64, v.integer);
        return OK;
    case VALUE_FLOAT:
        value_format_float(out, v.number);
        return OK;
    case VALUE_STR:
    case VALUE_MARKUP:
        write_text(out, v, style);
        return OK;
    case VALUE_BYTES:
        repr_bytes(out, v.str);
        return OK;
    case VALUE_LIST:
    case VALUE_TUPLE:
        return write_sequence(run, v, out, in_container, outer);
    case VALUE_DICT:
    case VALUE_NAMESPACE:
        return write_dict(run, v, out, in_container, outer);
    case VALUE_RANGE:
        write_range(v, out);
        return OK;
    case VALUE_ITERATOR:
        return write_iterator(run, v, out, in_container, outer);
    case VALUE_FUNCTION:
        write_function(v.function, out);
        return OK;
    case VALUE_OBJECT:
        if (!v.object->type->is_dict)
            return write_object(run, v.object, out);
        err = value_object_dict(run, v, &copy);
        return err == OK ? write_dict(run, copy, out, in_container, outer) : err;
    }
    UNREACHABLE();
}

enum err value_to_text(struct jinja_run *run, struct value v, struct strbuf *out)
{
    return write_value(run, v, out, STYLE_STR, NULL);
}

enum err value_repr(struct jinja_run *run, struct value v, struct strbuf *out)
{
    return write_value(run, v, out, STYLE_REPR, NULL);
}

enum err value_ascii(struct jinja_run *run, struct value v, struct strbuf *out)
{
    return write_value(run, v, out, STYLE_ASCII, NULL);
}
