#include "server/gcode/template/value_format.h"

#include "server/gcode/template/args.h"

#include "base/check.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------------- numbers */

/* Digits of |i| in `base`, most significant first. */
static void add_digits(struct strbuf *out, uint64_t magnitude, unsigned base, bool is_upper)
{
    char text[72];
    size_t at = sizeof text;
    do
        text[--at] = (is_upper ? "0123456789ABCDEF" : "0123456789abcdef")[magnitude % base];
    while (magnitude /= base);
    strbuf_add(out, text + at, sizeof text - at);
}

/* Put a separator between groups of digits in front of the decimal point, and so many zeros before them that all of it
 * is at least `width` wide. */
static void group_digits(struct strbuf *digits, char separator, unsigned group, size_t width)
{
    size_t whole = strspn(digits->data, "0123456789abcdefABCDEF"), behind = digits->len_bytes - whole, count = whole;
    struct strbuf grouped;
    strbuf_init(&grouped);
    while (count && count + (count - 1) / group + behind < width)
        count++;
    for (size_t i = 0; i < count; i++) {
        if (i && (count - i) % group == 0)
            strbuf_addc(&grouped, separator);
        strbuf_addc(&grouped, i < count - whole ? '0' : digits->data[i - (count - whole)]);
    }
    strbuf_adds(&grouped, digits->data + whole);
    strbuf_deinit(digits);
    *digits = grouped;
}

static size_t code_points(const char *text, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

static void add_fill(struct strbuf *out, const char *fill, size_t count)
{
    for (size_t i = 0; i < count; i++)
        strbuf_adds(out, fill);
}

/* `prefix` is the sign and base mark; padding by '=' goes behind it. */
static void add_padded(struct strbuf *out, const struct format_spec *spec, char align, const char *prefix,
                       const char *body, size_t len)
{
    size_t width = strlen(prefix) + code_points(body, len), want = (size_t)spec->width;
    size_t pad = want > width ? want - width : 0;
    size_t before = align == '>' ? pad : align == '^' ? pad / 2 : 0;
    size_t inside = align == '=' ? pad : 0;
    const char *fill = spec->fill[0] ? spec->fill : " ";
    add_fill(out, fill, before);
    strbuf_adds(out, prefix);
    add_fill(out, fill, inside);
    strbuf_add(out, body, len);
    add_fill(out, fill, pad - before - inside);
}

/* Width that zeros between sign and digits have to fill: they are grouped too. */
static size_t zero_width(const struct format_spec *spec, size_t prefix)
{
    bool fills = spec->align == '=' && spec->fill[0] == '0' && (size_t)spec->width > prefix;
    return fills ? (size_t)spec->width - prefix : 0;
}

static const char *sign_text(const struct format_spec *spec, bool is_negative)
{
    return is_negative ? "-" : spec->sign == '+' ? "+" : spec->sign == ' ' ? " " : "";
}

static void format_int(const struct format_spec *spec, int64_t i, struct strbuf *out)
{
    struct strbuf digits;
    strbuf_init(&digits);
    bool is_upper = spec->type == 'X';
    unsigned base = spec->type == 'b' ? 2 : spec->type == 'o' ? 8 : spec->type == 'x' || is_upper ? 16 : 10;
    add_digits(&digits, i < 0 ? 0 - (uint64_t)i : (uint64_t)i, base, is_upper);
    if (spec->has_precision) /* % only: at least so many digits */
        while (digits.len_bytes < (size_t)spec->precision) {
            char *old = strbuf_take(&digits);
            strbuf_init(&digits);
            strbuf_addf(&digits, "0%s", old);
            mem_free(old);
        }
    char prefix[8];
    const char *mark = !spec->is_alternate || base == 10 ? ""
                       : base == 2                       ? "0b"
                       : base == 8                       ? "0o"
                       : is_upper                        ? "0X"
                                                         : "0x";
    (void)snprintf(prefix, sizeof prefix, "%s%s", sign_text(spec, i < 0), mark);
    if (spec->grouping)
        group_digits(&digits, spec->grouping, base == 10 ? 3 : 4, zero_width(spec, strlen(prefix)));
    add_padded(out, spec, spec->align ? spec->align : '>', prefix, digits.data, digits.len_bytes);
    strbuf_deinit(&digits);
}

/* General form with precision and no type letter: like g, but it keeps ".0" and turns to exponents one digit earlier.
 */
static void add_general(struct strbuf *digits, double d, int precision)
{
    char text[1100];
    (void)snprintf(text, sizeof text, "%.*e", precision > 0 ? precision - 1 : 0, d);
    int exponent = atoi(strchr(text, 'e') + 1);
    if (exponent >= -4 && exponent < precision - 1) {
        (void)snprintf(text, sizeof text, "%.*g", precision, d);
        strbuf_adds(digits, text);
        if (!strpbrk(text, ".e"))
            strbuf_adds(digits, ".0");
        return;
    }
    (void)snprintf(text, sizeof text, "%.*g", precision > 0 ? precision : 1, d);
    if (exponent == precision - 1 && !strchr(text, 'e')) {
        char scientific[1100];
        (void)snprintf(scientific, sizeof scientific, "%.*e", precision > 0 ? precision - 1 : 0, d);
        strbuf_adds(digits, scientific);
        return;
    }
    strbuf_adds(digits, text);
}

static void format_float(const struct format_spec *spec, double d, struct strbuf *out)
{
    struct strbuf digits;
    strbuf_init(&digits);
    bool is_negative = signbit(d) && !isnan(d);
    double magnitude = fabs(d);
    char type = spec->type == '%' ? 'f' : spec->type == 'n' ? 'g' : spec->type;
    if (spec->type == '%')
        magnitude *= 100.0;
    if (!isfinite(d)) {
        bool is_upper = type && isupper((unsigned char)type);
        strbuf_adds(&digits, isnan(d) ? (is_upper ? "NAN" : "nan") : is_upper ? "INF" : "inf");
    } else if (!type && !spec->has_precision) {
        value_format_float(&digits, magnitude);
    } else if (!type) {
        add_general(&digits, magnitude, spec->precision);
    } else {
        char form[8], text[1400];
        (void)snprintf(form, sizeof form, "%%%s.*%c", spec->is_alternate ? "#" : "", type);
        (void)snprintf(text, sizeof text, form, spec->has_precision ? spec->precision : 6, magnitude);
        strbuf_adds(&digits, text);
    }
    if (spec->type == '%')
        strbuf_addc(&digits, '%');
    if (is_negative && spec->no_negative_zero && !strpbrk(digits.data, "123456789in"))
        is_negative = false;
    if (spec->grouping)
        group_digits(&digits, spec->grouping, 3, zero_width(spec, strlen(sign_text(spec, is_negative))));
    add_padded(out, spec, spec->align ? spec->align : '>', sign_text(spec, is_negative), digits.data, digits.len_bytes);
    strbuf_deinit(&digits);
}

static void format_text(const struct format_spec *spec, const char *text, size_t len, struct strbuf *out)
{
    if (spec->has_precision) {
        size_t count = 0, at = 0;
        while (at < len && count < (size_t)spec->precision) {
            at++;
            while (at < len && ((unsigned char)text[at] & 0xc0) == 0x80)
                at++;
            count++;
        }
        len = at;
    }
    add_padded(out, spec, spec->align && spec->align != '=' ? spec->align : '<', "", text, len);
}

static enum err fail_type(struct jinja_run *run, char type, struct value v)
{
    return value_error(run, "ValueError", "Unknown format code '%c' for object of type '%s'", type, value_type_name(v));
}

static enum err format_char(struct jinja_run *run, const struct format_spec *spec, int64_t code, struct strbuf *out)
{
    char text[5];
    if (code < 0 || code > 0x10ffff)
        return value_error(run, "OverflowError", "%%c arg not in range(0x110000)");
    size_t len = text_encode((uint32_t)code, text);
    format_text(spec, text, len, out);
    return OK;
}

enum err format_value(struct jinja_run *run, const struct format_spec *spec, struct value v, struct strbuf *out)
{
    if (!run_has_room(run, (size_t)spec->width + out->len_bytes))
        return ERR_LIMIT;
    if (value_is_text(v)) {
        if (spec->type && spec->type != 's')
            return fail_type(run, spec->type, v);
        if (spec->grouping)
            return value_error(run, "ValueError", "Cannot specify '%c' with 's'.", spec->grouping);
        if (spec->align == '=')
            return value_error(run, "ValueError", "'=' alignment not allowed in string format specifier");
        if (spec->no_negative_zero)
            return value_error(run, "ValueError", "Negative zero coercion (z) not allowed in string format specifier");
        format_text(spec, v.str->data, v.str->len_bytes, out);
        return OK;
    }
    if (!value_is_number(v)) /* these have no format of their own; an empty specification is str() and not met here */
        return value_error(run, "TypeError", "unsupported format string passed to %s.__format__", value_type_name(v));
    if (value_is_integer(v) && (!spec->type || strchr("bdoxXn", spec->type))) {
        if (spec->has_precision)
            return value_error(run, "ValueError", "Precision not allowed in integer format specifier");
        if (spec->no_negative_zero)
            return value_error(run, "ValueError", "Negative zero coercion (z) not allowed in integer format specifier");
        format_int(spec, value_integer(v), out);
        return OK;
    }
    if (value_is_integer(v) && spec->type == 'c')
        return format_char(run, spec, value_integer(v), out);
    if (spec->type && !strchr("eEfFgGn%", spec->type))
        return fail_type(run, spec->type, v);
    format_float(spec, value_number(v), out);
    return OK;
}

/* ------------------------------------------------------------------------------------------------ format({}-style) */

static bool is_align(char c)
{
    return c == '<' || c == '>' || c == '=' || c == '^';
}

static enum err parse_size(struct jinja_run *run, const char **p, const char *end, int max, int *out)
{
    long n = 0;
    while (*p < end && isdigit((unsigned char)**p)) {
        n = n * 10 + (*(*p)++ - '0');
        if (n > max)
            return value_error(run, "ValueError", "Too many decimal digits in format string");
    }
    *out = (int)n;
    return OK;
}

enum err format_spec_parse(struct jinja_run *run, const char *text, size_t len_bytes, struct format_spec *out)
{
    const char *p = text, *end = text + len_bytes;
    *out = (struct format_spec){.sign = '-'};
    size_t first = p < end ? 1 : 0;
    while (first && p + first < end && ((unsigned char)p[first] & 0xc0) == 0x80)
        first++;
    if (first && p + first < end && is_align(p[first]) && first < sizeof out->fill) {
        memcpy(out->fill, p, first);
        out->align = p[first];
        p += first + 1;
    } else if (p < end && is_align(*p)) {
        out->align = *p++;
    }
    if (p < end && (*p == '+' || *p == '-' || *p == ' '))
        out->sign = *p++;
    if (p < end && *p == 'z') {
        out->no_negative_zero = true;
        p++;
    }
    if (p < end && *p == '#') {
        out->is_alternate = true;
        p++;
    }
    if (p < end && *p == '0') {
        if (!out->fill[0])
            out->fill[0] = '0';
        if (!out->align)
            out->align = '=';
        p++;
    }
    enum err err = parse_size(run, &p, end, FORMAT_WIDTH_MAX, &out->width);
    if (err == OK && p < end && (*p == ',' || *p == '_'))
        out->grouping = *p++;
    if (err == OK && p < end && *p == '.') {
        p++;
        if (p >= end || !isdigit((unsigned char)*p))
            return value_error(run, "ValueError", "Format specifier missing precision");
        out->has_precision = true;
        err = parse_size(run, &p, end, FORMAT_PRECISION_MAX, &out->precision);
    }
    if (err == OK && p < end)
        out->type = *p++;
    if (err == OK && p < end)
        return value_error(run, "ValueError", "Invalid format specifier '%.60s'", text);
    return err;
}

struct field_reader {
    struct jinja_run *run;
    const struct value_call *call;
    size_t next_auto;
    bool used_auto, used_manual;
    bool is_markup; /* what fields give is escaped */
};

static enum err keyword(struct jinja_run *run, const struct value_call *call, const char *name, size_t len,
                        struct value *out)
{
    for (size_t i = 0; i < call->key_count; i++)
        if (call->keys[i].str->len_bytes == len && memcmp(call->keys[i].str->data, name, len) == 0) {
            *out = call->values[i];
            return OK;
        }
    return value_error(run, "KeyError", "'%.*s'", (int)len, name);
}

/* The argument that "0", "name" or "" means. */
static enum err field_argument(struct field_reader *r, const char *name, size_t len, struct value *out)
{
    size_t index = 0;
    if (len && !isdigit((unsigned char)name[0]))
        return keyword(r->run, r->call, name, len, out);
    if (!len) {
        r->used_auto = true;
        index = r->next_auto++;
    } else {
        r->used_manual = true;
        for (size_t i = 0; i < len && index < 1000000; i++)
            index = index * 10 + (size_t)(name[i] - '0');
    }
    if (r->used_auto && r->used_manual)
        return value_error(r->run, "ValueError",
                           "cannot switch from %s field numbering to %s field numbering or specification",
                           len ? "automatic" : "manual", len ? "manual" : "automatic");
    if (index >= r->call->count)
        return value_error(r->run, "IndexError", "Replacement index %zu out of range for positional args tuple", index);
    *out = r->call->args[index];
    return OK;
}

/* "name.attr[key]" */
/* Python's attributes only: no members of a dict, and what is not there is an error. */
static enum err field_attribute(struct jinja_run *run, struct value v, const char *name, size_t len, struct value *out)
{
    enum err err =
        v.kind == VALUE_DICT ? value_method(run, v, name, len, out) : value_attribute(run, v, name, len, out);
    if (err == ERR_NOT_FOUND || (err == OK && out->kind == VALUE_UNDEFINED))
        return value_error(run, "AttributeError", "'%s' object has no attribute '%.*s'", value_type_name(v), (int)len,
                           name);
    return err;
}

static enum err field_value(struct field_reader *r, const char *p, size_t len, struct value *out)
{
    const char *end = p + len, *q = p;
    while (q < end && *q != '.' && *q != '[')
        q++;
    enum err err = field_argument(r, p, (size_t)(q - p), out);
    while (err == OK && q < end) {
        bool is_item = *q++ == '[';
        const char *begin = q;
        while (q < end && (is_item ? *q != ']' : *q != '.' && *q != '['))
            q++;
        size_t n = (size_t)(q - begin);
        if (n == 0 || (is_item && q == end))
            return value_error(r->run, "ValueError", "Empty attribute in format string");
        bool is_number = is_item;
        int64_t number = 0;
        for (size_t i = 0; i < n && is_number; i++) {
            is_number = isdigit((unsigned char)begin[i]) && n < 18;
            number = number * 10 + (begin[i] - '0');
        }
        struct value v = *out;
        if (is_item && (value_is_number(v) || v.kind == VALUE_NONE))
            return value_error(r->run, "TypeError", "'%s' object is not subscriptable", value_type_name(v));
        if (is_item)
            err = value_subscript(r->run, v, is_number ? value_int(number) : value_str(r->run, begin, n), out);
        else
            err = field_attribute(r->run, v, begin, n, out);
        q += is_item;
    }
    return err;
}

/* One replacement field between the braces. `depth` 0: its specification may hold fields of its own. */
static enum err add_field(struct field_reader *r, const char *p, size_t len, unsigned depth, struct strbuf *out);

static enum err expand(struct field_reader *r, const char *p, size_t len, unsigned depth, struct strbuf *out)
{
    const char *end = p + len;
    enum err err = OK;
    while (p < end && err == OK) {
        if (p + 1 < end && *p == p[1] && (*p == '{' || *p == '}')) {
            strbuf_addc(out, *p);
            p += 2;
        } else if (*p == '}') {
            return value_error(r->run, "ValueError", "Single '}' encountered in format string");
        } else if (*p != '{') {
            strbuf_addc(out, *p++);
        } else {
            const char *begin = ++p;
            int level = 1;
            while (p < end && level > 0) {
                level += *p == '{' ? 1 : *p == '}' ? -1 : 0;
                p++;
            }
            if (level > 0)
                return value_error(r->run, "ValueError",
                                   begin == end ? "Single '{' encountered in format string"
                                                : "expected '}' before end of string");
            err = add_field(r, begin, (size_t)(p - 1 - begin), depth, out);
        }
    }
    return err;
}

static enum err add_field(struct field_reader *r, const char *p, size_t len, unsigned depth, struct strbuf *out)
{
    if (depth > 1)
        return value_error(r->run, "ValueError", "Max string recursion exceeded");
    const char *end = p + len, *name_end = p;
    while (name_end < end && *name_end != '!' && *name_end != ':')
        name_end += *name_end == '[' && memchr(name_end, ']', (size_t)(end - name_end))
                        ? (const char *)memchr(name_end, ']', (size_t)(end - name_end)) - name_end
                        : 1;
    struct value v = value_none();
    enum err err = field_value(r, p, (size_t)(name_end - p), &v);
    const char *q = name_end;
    if (err == OK && q < end && *q == '!') {
        char conversion = q + 1 < end ? q[1] : 0;
        struct strbuf text;
        strbuf_init(&text);
        err = conversion == 's'   ? value_to_text(r->run, v, &text)
              : conversion == 'r' ? value_repr(r->run, v, &text)
              : conversion == 'a' ? value_ascii(r->run, v, &text)
                                  : value_error(r->run, "ValueError", "Unknown conversion specifier");
        v = value_from_strbuf(r->run, &text);
        q += 2;
    }
    if (err != OK)
        return err;
    struct strbuf spec_text;
    strbuf_init(&spec_text);
    if (q < end)
        err = expand(r, q + 1, (size_t)(end - q - 1), depth + 1, &spec_text);
    struct format_spec spec;
    struct strbuf text, *into = r->is_markup ? &text : out;
    strbuf_init(&text);
    if (err == OK && r->is_markup && v.kind == VALUE_MARKUP && spec_text.len_bytes)
        err = value_error(r->run, "ValueError", "Unsupported format specification for Markup.");
    else if (err == OK && spec_text.len_bytes == 0)
        err = value_to_text(r->run, v, into);
    else if (err == OK && !value_is_text(v) && !value_is_number(v))
        err = value_error(r->run, "TypeError", "unsupported format string passed to %s.__format__", value_type_name(v));
    else if (err == OK && (err = format_spec_parse(r->run, spec_text.data, spec_text.len_bytes, &spec)) == OK)
        err = format_value(r->run, &spec, v, into);
    if (err == OK && r->is_markup && v.kind == VALUE_MARKUP)
        strbuf_add(out, text.data ? text.data : "", text.len_bytes);
    else if (err == OK && r->is_markup)
        value_escape_html(out, text.data ? text.data : "", text.len_bytes);
    strbuf_deinit(&text);
    strbuf_deinit(&spec_text);
    return err;
}

enum err format_template(struct jinja_run *run, struct value format, const struct value_call *call, struct value *out)
{
    struct field_reader reader = {.run = run, .call = call, .is_markup = format.kind == VALUE_MARKUP};
    struct strbuf sb;
    strbuf_init(&sb);
    enum err err = expand(&reader, format.str->data, format.str->len_bytes, 0, &sb);
    *out = value_from_strbuf(run, &sb);
    return err;
}

/* --------------------------------------------------------------------------------------------------------------- % */

struct percent_reader {
    struct jinja_run *run;
    struct value args;
    size_t next;
    bool is_tuple;
    bool is_markup; /* texts that are put in are escaped */
};

static enum err next_argument(struct percent_reader *r, struct value *out)
{
    size_t count = r->is_tuple ? r->args.seq->count : 1;
    if (r->next >= count)
        return value_error(r->run, "TypeError", "not enough arguments for format string");
    *out = r->is_tuple ? r->args.seq->items[r->next] : r->args;
    r->next++;
    return OK;
}

/* A number in the format, or '*': the next argument. */
static enum err percent_size(struct percent_reader *r, const char **p, const char *end, int max, int *out)
{
    if (*p >= end || **p != '*')
        return parse_size(r->run, p, end, max, out);
    (*p)++;
    struct value v;
    enum err err = next_argument(r, &v);
    if (err != OK)
        return err;
    if (!value_is_integer(v) || value_integer(v) > max || value_integer(v) < -max)
        return value_error(r->run, "TypeError", "* wants int");
    *out = (int)value_integer(v);
    return OK;
}

static void escape_in_place(struct strbuf *text)
{
    struct strbuf escaped;
    strbuf_init(&escaped);
    value_escape_html(&escaped, text->data ? text->data : "", text->len_bytes);
    strbuf_deinit(text);
    *text = escaped;
}

static enum err percent_convert(struct percent_reader *r, struct format_spec *spec, struct value v, struct strbuf *out)
{
    char type = spec->type;
    struct strbuf text;
    enum err err;
    switch (type) {
    case 's':
    case 'r':
    case 'a':
        strbuf_init(&text);
        err = type == 's'   ? value_to_text(r->run, v, &text)
              : type == 'r' ? value_repr(r->run, v, &text)
                            : value_ascii(r->run, v, &text);
        if (r->is_markup && !(type == 's' && v.kind == VALUE_MARKUP))
            escape_in_place(&text);
        if (err == OK)
            format_text(&(struct format_spec){.align = spec->align == '<' ? '<' : '>',
                                              .width = spec->width,
                                              .has_precision = spec->has_precision,
                                              .precision = spec->precision},
                        text.data, text.len_bytes, out);
        strbuf_deinit(&text);
        return err;
    case 'c':
        if (value_is_text(v) && v.str->count == 1) {
            format_text(&(struct format_spec){.align = spec->align == '<' ? '<' : '>', .width = spec->width},
                        v.str->data, v.str->len_bytes, out);
            return OK;
        }
        if (!value_is_integer(v))
            return value_error(r->run, "TypeError", "%%c requires int or char");
        return format_char(r->run, &(struct format_spec){.align = spec->align == '<' ? '<' : '>', .width = spec->width},
                           value_integer(v), out);
    case 'd':
    case 'i':
    case 'u':
    case 'o':
    case 'x':
    case 'X':
        if (v.kind == VALUE_UNDEFINED && !strchr("oxX", type))
            return value_fail_undefined(r->run, v);
        if (!value_is_number(v) || (v.kind == VALUE_FLOAT && strchr("oxX", type)))
            return value_error(r->run, "TypeError",
                               strchr("oxX", type) ? "%%%c format: an integer is required, not %s"
                                                   : "%%%c format: a real number is required, not %s",
                               type, value_type_name(v));
        if (v.kind == VALUE_FLOAT && !(fabs(v.number) < 9.2e18))
            return value_error(r->run, isnan(v.number) ? "ValueError" : "OverflowError",
                               isfinite(v.number) ? "the integer does not fit into 64 bits"
                                                  : "cannot convert float to integer");
        spec->type = strchr("iu", type) ? 'd' : type;
        format_int(spec, v.kind == VALUE_FLOAT ? (int64_t)v.number : value_integer(v), out);
        return OK;
    default:
        if (v.kind == VALUE_UNDEFINED)
            return value_fail_undefined(r->run, v);
        if (!value_is_number(v))
            return value_error(r->run, "TypeError", "must be real number, not %s", value_type_name(v));
        format_float(spec, value_number(v), out);
        return OK;
    }
}

/* Behind the '%': flags, width, precision, type. */
static enum err percent_field(struct percent_reader *r, const char **p, const char *end, struct strbuf *out)
{
    struct format_spec spec = {.sign = '-', .align = '>'};
    struct value v = r->args;
    bool has_key = *p < end && **p == '(', is_left = false, is_zero = false;
    if (has_key) {
        const char *close = memchr(*p, ')', (size_t)(end - *p));
        if (!close)
            return value_error(r->run, "ValueError", "incomplete format key");
        if (r->args.kind != VALUE_DICT)
            return value_error(r->run, "TypeError", "format requires a mapping");
        const struct dict_entry *entry =
            dict_find(r->run, r->args, value_str(r->run, *p + 1, (size_t)(close - *p - 1)));
        if (!entry)
            return value_error(r->run, "KeyError", "'%.*s'", (int)(close - *p - 1), *p + 1);
        v = entry->item;
        *p = close + 1;
    }
    for (; *p < end && strchr("-+ #0", **p); (*p)++) {
        is_left |= **p == '-';
        is_zero |= **p == '0';
        spec.is_alternate |= **p == '#';
        if (**p == '+' || (**p == ' ' && spec.sign != '+'))
            spec.sign = **p;
    }
    enum err err = percent_size(r, p, end, FORMAT_WIDTH_MAX, &spec.width);
    if (err == OK && *p < end && **p == '.') {
        (*p)++;
        spec.has_precision = true;
        err = percent_size(r, p, end, FORMAT_PRECISION_MAX, &spec.precision);
    }
    if (err != OK)
        return err;
    if (spec.width < 0) {
        is_left = true;
        spec.width = -spec.width;
    }
    while (*p < end && strchr("hlL", **p))
        (*p)++;
    if (*p >= end)
        return value_error(r->run, "ValueError", "incomplete format");
    spec.type = *(*p)++;
    if (spec.type == '%') {
        strbuf_addc(out, '%');
        return OK;
    }
    if (!has_key && (err = next_argument(r, &v)) != OK)
        return err;
    if (!strchr("diouxXeEfFgGcrsa", spec.type))
        return value_error(r->run, "ValueError", "unsupported format character '%c' (0x%x) at index %zu", spec.type,
                           (unsigned)spec.type, (size_t)0);
    spec.align = is_left ? '<' : is_zero ? '=' : '>';
    if (is_zero && !is_left)
        spec.fill[0] = '0';
    if (!run_has_room(r->run, (size_t)spec.width + out->len_bytes))
        return ERR_LIMIT;
    return percent_convert(r, &spec, v, out);
}

enum err value_percent(struct jinja_run *run, struct value format, struct value args, struct value *out)
{
    struct percent_reader reader = {
        .run = run, .args = args, .is_tuple = args.kind == VALUE_TUPLE, .is_markup = format.kind == VALUE_MARKUP};
    const char *p = format.str->data, *end = p + format.str->len_bytes;
    struct strbuf sb;
    strbuf_init(&sb);
    enum err err = OK;
    while (p < end && err == OK) {
        if (*p != '%') {
            strbuf_addc(&sb, *p++);
            continue;
        }
        p++;
        err = percent_field(&reader, &p, end, &sb);
    }
    /* Whatever can be subscripted may be a mapping for %(name)s, so nothing of it needs to be used. */
    bool may_be_left = args.kind == VALUE_DICT || args.kind == VALUE_LIST || args.kind == VALUE_RANGE ||
                       args.kind == VALUE_UNDEFINED || args.kind == VALUE_NAMESPACE;
    if (err == OK && !may_be_left && reader.next < (reader.is_tuple ? args.seq->count : 1))
        err = value_error(run, "TypeError", "not all arguments converted during string formatting");
    *out = value_from_strbuf(run, &sb);
    out->kind = format.kind;
    return err;
}
