/* Values as text: str() and repr() as Python has them. */
#include "server/gcode/template/value_private.h"

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
        return v.str->len_bytes > 0;
    case VALUE_LIST:
    case VALUE_TUPLE:
        return v.seq->count > 0;
    case VALUE_DICT:
        return v.dict->count > 0;
    case VALUE_RANGE:
        return value_range_count(v) > 0;
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

/* Escapes as repr() does; a text with ' and without " is put into ". */
static void repr_text(struct strbuf *out, const struct value_str *str)
{
    bool has_single = memchr(str->data, '\'', str->len_bytes) != NULL;
    char quote = has_single && !memchr(str->data, '"', str->len_bytes) ? '"' : '\'';
    strbuf_addc(out, quote);
    for (size_t i = 0; i < str->len_bytes; i++) {
        unsigned char c = (unsigned char)str->data[i];
        if (c == (unsigned char)quote || c == '\\')
            strbuf_addf(out, "\\%c", c);
        else if (c == '\n')
            strbuf_adds(out, "\\n");
        else if (c == '\r')
            strbuf_adds(out, "\\r");
        else if (c == '\t')
            strbuf_adds(out, "\\t");
        else if (c < 0x20 || c == 0x7f)
            strbuf_addf(out, "\\x%02x", c);
        else
            strbuf_addc(out, (char)c);
    }
    strbuf_addc(out, quote);
}

static enum err write_value(struct jinja_run *run, struct value v, struct strbuf *out, bool is_repr, unsigned depth);

static enum err write_sequence(struct jinja_run *run, struct value v, struct strbuf *out, unsigned depth)
{
    bool is_tuple = v.kind == VALUE_TUPLE;
    const struct value_tuple_names *names = v.seq->names && v.seq->names->type_name ? v.seq->names : NULL;
    enum err err = OK;
    strbuf_adds(out, names ? names->type_name : "");
    strbuf_addc(out, is_tuple ? '(' : '[');
    for (size_t i = 0; i < v.seq->count && err == OK; i++) {
        strbuf_adds(out, i ? ", " : "");
        if (names && i < ARRAY_COUNT(names->parts) && names->parts[i])
            strbuf_addf(out, "%s=", names->parts[i]);
        err = write_value(run, v.seq->items[i], out, true, depth + 1);
    }
    strbuf_adds(out, !is_tuple ? "]" : v.seq->count == 1 ? ",)" : ")");
    return err;
}

static enum err write_dict(struct jinja_run *run, struct value v, struct strbuf *out, unsigned depth)
{
    enum err err = OK;
    bool is_first = true;
    strbuf_adds(out, v.kind == VALUE_NAMESPACE ? "<Namespace {" : "{");
    DICT_FOREACH(entry, v)
    {
        strbuf_adds(out, is_first ? "" : ", ");
        is_first = false;
        err = write_value(run, entry->key, out, true, depth + 1);
        if (err == OK) {
            strbuf_adds(out, ": ");
            err = write_value(run, entry->item, out, true, depth + 1);
        }
        if (err != OK)
            return err;
    }
    strbuf_adds(out, v.kind == VALUE_NAMESPACE ? "}>" : "}");
    return OK;
}

static enum err write_iterator(struct jinja_run *run, const struct value_iterator *it, struct strbuf *out,
                               unsigned depth)
{
    if (!it->is_view) {
        strbuf_addf(out, "<%s object>", it->type_name);
        return OK;
    }
    strbuf_addf(out, "%s(", it->type_name);
    enum err err = write_sequence(run, it->list, out, depth);
    strbuf_addc(out, ')');
    return err;
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

static enum err write_value(struct jinja_run *run, struct value v, struct strbuf *out, bool is_repr, unsigned depth)
{
    if (depth > VALUE_DEPTH_MAX)
        return value_error(run, "RecursionError",
                           "maximum recursion depth exceeded while getting the repr of an object");
    if (!run_has_room(run, out->len_bytes) || !run_charge(run, 1))
        return ERR_LIMIT;
    switch (v.kind) {
    case VALUE_UNDEFINED:
        strbuf_adds(out, is_repr ? "Undefined" : "");
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
        if (is_repr) {
            strbuf_adds(out, v.kind == VALUE_MARKUP ? "Markup(" : "");
            repr_text(out, v.str);
            strbuf_adds(out, v.kind == VALUE_MARKUP ? ")" : "");
        } else {
            strbuf_add(out, v.str->data, v.str->len_bytes);
        }
        return OK;
    case VALUE_LIST:
    case VALUE_TUPLE:
        return write_sequence(run, v, out, depth);
    case VALUE_DICT:
    case VALUE_NAMESPACE:
        return write_dict(run, v, out, depth);
    case VALUE_RANGE:
        write_range(v, out);
        return OK;
    case VALUE_ITERATOR:
        return write_iterator(run, v.iterator, out, depth);
    case VALUE_FUNCTION:
        strbuf_addf(out, v.function->fn ? "<built-in method %s>" : "<Macro '%s'>", v.function->name);
        return OK;
    case VALUE_OBJECT:
        return write_object(run, v.object, out);
    }
    UNREACHABLE();
}

enum err value_to_text(struct jinja_run *run, struct value v, struct strbuf *out)
{
    return write_value(run, v, out, false, 0);
}

enum err value_repr(struct jinja_run *run, struct value v, struct strbuf *out)
{
    return write_value(run, v, out, true, 0);
}
