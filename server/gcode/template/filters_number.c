/* Filters on numbers: abs, int, float, round. */
#include "server/gcode/template/filters.h"
#include "server/gcode/template/methods.h"

#include "base/check.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_TEXT_MAX 400

/* The digits of a text, of any script, without blanks around and single underscores inside; false: it is no number. */
static bool number_text(const struct value_str *str, char text[NUMBER_TEXT_MAX])
{
    const char *p;
    size_t len, n = 0;
    text_strip(str, NULL, true, true, &p, &len);
    for (const char *end = p + len; p < end;) {
        bool is_separator =
            *p == '_' && n && isalnum((unsigned char)text[n - 1]) && p + 1 < end && isalnum((unsigned char)p[1]);
        uint32_t c = text_next(&p);
        int digit = text_digit(c);
        if (is_separator)
            continue;
        if (n + 1 >= NUMBER_TEXT_MAX || (c >= 0x80 && digit < 0))
            return false;
        text[n++] = digit >= 0 ? (char)('0' + digit) : (char)c;
    }
    text[n] = 0;
    return n > 0;
}

static enum err text_to_float(struct jinja_run *run, const struct value_str *str, struct value *out)
{
    char text[NUMBER_TEXT_MAX], *end = text;
    double d = 0.0;
    bool is_good = number_text(str, text) && !strpbrk(text, "xXpP");
    if (is_good)
        d = strtod(text, &end);
    /* strtod also reads nan(...), which Python does not. */
    if (!is_good || end == text || *end || strchr(text, '('))
        return value_error(run, "ValueError", "could not convert string to float: '%.60s'", str->data);
    *out = value_float(d);
    return OK;
}

enum err value_to_float(struct jinja_run *run, struct value v, struct value *out)
{
    if (value_is_number(v)) {
        *out = value_float(value_number(v));
        return OK;
    }
    if (value_is_text(v))
        return text_to_float(run, v.str, out);
    if (v.kind == VALUE_UNDEFINED)
        return value_fail_undefined(run, v);
    return value_error(run, "TypeError", "float() argument must be a string or a real number, not '%s'",
                       value_type_name(v));
}

static enum err text_to_int(struct jinja_run *run, const struct value_str *str, int base, struct value *out)
{
    char text[NUMBER_TEXT_MAX], *end = text;
    bool is_good = number_text(str, text);
    const char *digits = text;
    if (is_good) {
        bool has_sign = *digits == '-' || *digits == '+';
        digits += has_sign;
        char mark = digits[0] == '0' ? (char)tolower((unsigned char)digits[1]) : 0;
        int marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
        if (marked && (base == marked || base == 0)) {
            memmove((char *)digits, digits + 2, strlen(digits + 2) + 1);
            base = marked;
        } else if (base == 0) {
            base = 10;
        }
        is_good = isalnum((unsigned char)digits[0]) != 0;
    }
    errno = 0;
    long long i = is_good ? strtoll(text, &end, base) : 0;
    if (is_good && errno == ERANGE)
        return value_error(run, "OverflowError", "the integer %.40s does not fit into 64 bits", str->data);
    if (!is_good || end == text || *end)
        return value_error(run, "ValueError", "invalid literal for int() with base %d: '%.60s'", base, str->data);
    *out = value_int(i);
    return OK;
}

enum err value_to_int(struct jinja_run *run, struct value v, int base, struct value *out)
{
    if (value_is_integer(v)) {
        *out = value_int(value_integer(v));
        return OK;
    }
    if (v.kind == VALUE_FLOAT) {
        if (isnan(v.number))
            return value_error(run, "ValueError", "cannot convert float NaN to integer");
        if (isinf(v.number))
            return value_error(run, "OverflowError", "cannot convert float infinity to integer");
        if (!(v.number > -9.3e18 && v.number < 9.2233720368547758e18))
            return value_error(run, "OverflowError", "the integer does not fit into 64 bits");
        *out = value_int((int64_t)v.number);
        return OK;
    }
    if (value_is_text(v))
        return text_to_int(run, v.str, base, out);
    if (v.kind == VALUE_UNDEFINED)
        return value_fail_undefined(run, v);
    return value_error(run, "TypeError",
                       "int() argument must be a string, a bytes-like object or a real number, not '%s'",
                       value_type_name(v));
}

/* The filters int and float give their default instead of failing. `run` is put back as it was. */
static bool recover(struct jinja_run *run, bool had_failed)
{
    bool is_caught = strstr(run->error.text, ": TypeError: ") || strstr(run->error.text, ": ValueError: ");
    if (had_failed || !is_caught)
        return false;
    run->has_failed = false;
    return true;
}

static enum err do_float(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    (void)ctx;
    static const char *const names[] = {"value", "default"};
    struct value args[2] = {value_none(), value_float(0.0)};
    enum err err = ARGS_BIND(run, call, "float", names, 1, args);
    if (err != OK)
        return err;
    bool had_failed = run->has_failed;
    if (args[0].kind != VALUE_UNDEFINED && value_to_float(run, args[0], out) == OK)
        return OK;
    if (args[0].kind == VALUE_UNDEFINED)
        return value_fail_undefined(run, args[0]);
    *out = args[1];
    return recover(run, had_failed) ? OK : ERR_INVALID;
}

/* "42.7"|int is 42. */
static enum err int_of_decimals(struct jinja_run *run, struct value text, struct value fallback, struct value *out)
{
    struct value number;
    if (value_to_float(run, text, &number) == OK && value_to_int(run, number, 10, out) == OK)
        return OK;
    *out = fallback;
    return recover(run, false) ? OK : ERR_INVALID;
}

static enum err do_int(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    (void)ctx;
    static const char *const names[] = {"value", "default", "base"};
    struct value args[3] = {value_none(), value_int(0), value_int(10)};
    enum err err = ARGS_BIND(run, call, "int", names, 1, args);
    if (err != OK)
        return err;
    if (args[0].kind == VALUE_UNDEFINED)
        return value_fail_undefined(run, args[0]);
    /* A base that is none is only noticed for a text, and then like a text that is no number. */
    int64_t base = value_is_integer(args[2]) ? value_integer(args[2]) : 1;
    bool is_base = base == 0 || (base >= 2 && base <= 36), had_failed = run->has_failed;
    if (value_is_text(args[0]) && !is_base)
        return int_of_decimals(run, args[0], args[1], out);
    if (value_to_int(run, args[0], is_base ? (int)base : 10, out) == OK)
        return OK;
    if (!recover(run, had_failed))
        return ERR_INVALID;
    if (value_is_text(args[0]))
        return int_of_decimals(run, args[0], args[1], out);
    *out = args[1];
    return OK;
}

static enum err do_abs(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    (void)ctx;
    static const char *const names[] = {"x"};
    struct value v;
    enum err err = ARGS_BIND(run, call, "abs", names, 1, &v);
    if (err != OK)
        return err;
    if (!value_is_number(v))
        return value_error(run, "TypeError", "bad operand type for abs(): '%s'", value_type_name(v));
    if (v.kind == VALUE_FLOAT)
        *out = value_float(fabs(v.number));
    else if (value_integer(v) < 0)
        return value_negate(run, v, out);
    else
        *out = value_int(value_integer(v));
    return OK;
}

/* Python's round(): to the nearest, ties to even, decided on the exact decimal value. */
static double round_half_even(double d, int64_t digits)
{
    if (!isfinite(d) || digits > 22)
        return d;
    if (digits < 0) {
        double unit = pow(10.0, (double)-digits);
        return isinf(unit) ? copysign(0.0, d) : nearbyint(d / unit) * unit;
    }
    char text[360];
    (void)snprintf(text, sizeof text, "%.*f", (int)digits, d); /* glibc rounds the exact value, ties to even */
    return strtod(text, NULL);
}

static enum err do_round(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    (void)ctx;
    static const char *const names[] = {"value", "precision", "method"};
    struct value args[3] = {value_none(), value_int(0), value_cstr(run, "common")};
    int64_t precision = 0;
    enum err err = ARGS_BIND(run, call, "round", names, 1, args);
    if (err == OK)
        err = args_int(run, args[1], "round", &precision);
    if (err != OK)
        return err;
    const char *method = value_is_text(args[2]) ? args[2].str->data : "";
    bool is_common = strcmp(method, "common") == 0, is_ceil = strcmp(method, "ceil") == 0,
         is_floor = strcmp(method, "floor") == 0;
    if (!is_common && !is_ceil && !is_floor)
        return value_error(run, "FilterArgumentError", "method must be common, ceil or floor");
    if (args[0].kind == VALUE_UNDEFINED && !is_common)
        return value_fail_undefined(run, args[0]);
    if (!value_is_number(args[0]))
        return value_error(run, "TypeError",
                           is_common ? "type %s doesn't define __round__ method"
                                     : "can't multiply sequence by non-int of type '%s'",
                           value_type_name(args[0]));
    if (is_common && value_is_integer(args[0])) {
        /* round(int, n) is an int: only negative n change it. */
        double d = round_half_even((double)value_integer(args[0]), precision < 0 ? precision : 0);
        *out = precision < 0 ? value_int((int64_t)d) : value_int(value_integer(args[0]));
        return OK;
    }
    double d = value_number(args[0]);
    if (is_common) {
        *out = value_float(round_half_even(d, precision));
        return OK;
    }
    double unit = pow(10.0, (double)precision), scaled = d * unit;
    if (!isfinite(scaled))
        return value_error(run, isnan(scaled) ? "ValueError" : "OverflowError", "cannot convert float to integer");
    *out = value_float(((is_ceil ? ceil(scaled) : floor(scaled)) + 0.0) / unit); /* an int in between: no -0 */
    return OK;
}

const struct value_filter number_filters[] = {
    {"float", do_float}, {"int", do_int}, {"abs", do_abs}, {"round", do_round}, {NULL, NULL},
};
