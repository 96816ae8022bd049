/* Methods and attributes of Python's int and float. */
#include "server/gcode/template/methods.h"

#include "base/check.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SELF (*(struct value *)ctx)

static enum err no_arguments(struct jinja_run *run, const struct value_call *call, const char *what)
{
    if (call->count + call->key_count == 0)
        return OK;
    return value_error(run, "TypeError", "%s() takes no arguments (%zu given)", what, call->count + call->key_count);
}

static enum err int_bit_length(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    int64_t i = value_integer(SELF), bits = 0;
    for (uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i; u; u >>= 1)
        bits++;
    *out = value_int(bits);
    return no_arguments(run, call, "int.bit_length");
}

static enum err int_bit_count(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    int64_t i = value_integer(SELF);
    *out = value_int(__builtin_popcountll(i < 0 ? 0 - (uint64_t)i : (uint64_t)i));
    return no_arguments(run, call, "int.bit_count");
}

static enum err number_is_integer(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    *out = value_bool(SELF.kind != VALUE_FLOAT || (isfinite(SELF.number) && SELF.number == floor(SELF.number)));
    return no_arguments(run, call, "float.is_integer");
}

static enum err number_conjugate(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    *out = SELF.kind == VALUE_BOOL ? value_int(SELF.boolean) : SELF;
    return no_arguments(run, call, "conjugate");
}

/* (numerator, denominator) in lowest terms. */
static enum err number_ratio(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    int64_t above = 0, below = 1;
    if (SELF.kind != VALUE_FLOAT) {
        above = value_integer(SELF);
    } else if (!isfinite(SELF.number)) {
        return value_error(run, isnan(SELF.number) ? "ValueError" : "OverflowError",
                           "cannot convert %s to integer ratio", isnan(SELF.number) ? "NaN" : "Infinity");
    } else {
        int exponent;
        double part = frexp(SELF.number, &exponent);
        for (; part != floor(part); exponent--)
            part *= 2.0;
        above = (int64_t)part;
        if (exponent > 62 || exponent < -62 || (exponent > 0 && fabs(SELF.number) >= 9.2e18))
            return value_error(run, "OverflowError", "the integer does not fit into 64 bits");
        if (exponent > 0)
            above = (int64_t)SELF.number;
        else
            below = (int64_t)1 << -exponent;
    }
    *out = value_tuple(run, 2);
    if (run->has_failed)
        return ERR_LIMIT;
    out->seq->items[0] = value_int(above);
    out->seq->items[1] = value_int(below);
    return no_arguments(run, call, "as_integer_ratio");
}

/* ----------------------------------------------------------------------------------------------------------- bytes */

struct byte_order {
    bool is_little, is_signed;
};

static enum err read_order(struct jinja_run *run, struct value order, struct value is_signed, struct byte_order *out)
{
    const struct value_str *text;
    enum err err = args_text(run, order, "byteorder", &text);
    if (err != OK)
        return err;
    out->is_little = strcmp(text->data, "little") == 0;
    out->is_signed = value_is_true(is_signed);
    return out->is_little || strcmp(text->data, "big") == 0
               ? OK
               : value_error(run, "ValueError", "byteorder must be either 'little' or 'big'");
}

static enum err int_to_bytes(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"length", "byteorder", "signed"};
    struct value args[3] = {value_int(1), value_cstr(run, "big"), value_bool(false)};
    struct byte_order order;
    int64_t length = 1, i = value_integer(SELF);
    if (call->count > 2)
        return value_error(run, "TypeError", "to_bytes() takes at most 2 positional arguments (%zu given)",
                           call->count);
    enum err err = ARGS_BIND(run, call, "to_bytes", names, 0, args);
    if (err == OK)
        err = args_int(run, args[0], "to_bytes", &length);
    if (err == OK)
        err = read_order(run, args[1], args[2], &order);
    if (err != OK)
        return err;
    if (length < 0)
        return value_error(run, "ValueError", "length argument must be non-negative");
    if (i < 0 && !order.is_signed)
        return value_error(run, "OverflowError", "can't convert negative int to unsigned");
    int bits = (int)(length < 8 ? 8 * length : 64);
    bool fits =
        bits == 64 || (order.is_signed ? bits > 0 && i >= -((int64_t)1 << (bits - 1)) && i < (int64_t)1 << (bits - 1)
                                       : i < (int64_t)1 << bits);
    if (!fits && !(bits == 0 && i == 0))
        return value_error(run, "OverflowError", "int too big to convert");
    if (!run_has_room(run, (size_t)length))
        return ERR_LIMIT;
    struct strbuf sb;
    strbuf_init(&sb);
    for (int64_t at = 0; at < length; at++) {
        int64_t place = order.is_little ? at : length - 1 - at;
        strbuf_addc(&sb, (char)(place < 8 ? (uint64_t)i >> (8 * place) & 0xff : i < 0 ? 0xff : 0));
    }
    *out = value_bytes(run, sb.data, sb.len_bytes);
    strbuf_deinit(&sb);
    return run->has_failed ? ERR_LIMIT : OK;
}

/* Collects bytes, most significant first; false: beyond 64 bits. */
static bool take_byte(uint64_t *value, bool is_negative, unsigned char byte)
{
    bool is_sign = (*value >> 55) == (is_negative ? 0x1ff : 0);
    *value = *value << 8 | byte;
    return is_sign;
}

static enum err int_from_bytes(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"bytes", "byteorder", "signed"};
    struct value args[3] = {value_none(), value_cstr(run, "big"), value_bool(false)}, list;
    struct byte_order order;
    (void)ctx;
    if (call->count > 2)
        return value_error(run, "TypeError", "from_bytes() takes at most 2 positional arguments (%zu given)",
                           call->count);
    enum err err = ARGS_BIND(run, call, "from_bytes", names, 1, args);
    if (err == OK)
        err = read_order(run, args[1], args[2], &order);
    if (err == OK && (value_is_text(args[0]) || value_is_number(args[0])))
        err = value_error(run, "TypeError", "cannot convert '%s' object to bytes", value_type_name(args[0]));
    if (err == OK)
        err = value_iterate(run, args[0], &list);
    if (err != OK)
        return err;
    size_t count = list.seq->count;
    uint64_t result = 0;
    bool is_negative = false;
    for (size_t i = 0; i < count; i++) {
        int64_t byte = 0;
        err = args_int(run, list.seq->items[order.is_little ? count - 1 - i : i], "from_bytes", &byte);
        if (err != OK)
            return err;
        if (byte < 0 || byte > 255)
            return value_error(run, "ValueError", "bytes must be in range(0, 256)");
        if (i == 0 && order.is_signed && byte >= 0x80) {
            is_negative = true;
            result = UINT64_MAX;
        }
        if (!take_byte(&result, is_negative, (unsigned char)byte))
            return value_error(run, "OverflowError", "the integer does not fit into 64 bits");
    }
    if (!is_negative && result > INT64_MAX)
        return value_error(run, "OverflowError", "the integer does not fit into 64 bits");
    *out = value_int((int64_t)result);
    return OK;
}

/* ------------------------------------------------------------------------------------------------------ hexadecimal */

static enum err float_hex(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    double d = SELF.number;
    struct strbuf sb;
    strbuf_init(&sb);
    if (isnan(d)) {
        strbuf_adds(&sb, "nan");
    } else if (isinf(d)) {
        strbuf_adds(&sb, d < 0.0 ? "-inf" : "inf");
    } else if (d == 0.0) {
        strbuf_adds(&sb, signbit(d) ? "-0x0.0p+0" : "0x0.0p+0");
    } else {
        int exponent;
        double part = frexp(fabs(d), &exponent); /* 0.5 <= part < 1 */
        bool is_tiny = exponent < -1021;
        uint64_t bits = (uint64_t)ldexp(part, 53 - (is_tiny ? -1021 - exponent : 0));
        strbuf_addf(&sb, "%s0x%u.%013llxp%+d", d < 0.0 ? "-" : "", is_tiny ? 0u : 1u,
                    (unsigned long long)(bits & 0xfffffffffffffu), is_tiny ? -1022 : exponent - 1);
    }
    *out = value_from_strbuf(run, &sb);
    return no_arguments(run, call, "float.hex");
}

static enum err float_fromhex(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"string"};
    struct value arg;
    const struct value_str *text;
    (void)ctx;
    enum err err = ARGS_BIND(run, call, "fromhex", names, 1, &arg);
    if (err == OK)
        err = args_text(run, arg, "fromhex() argument", &text);
    if (err != OK)
        return err;
    char number[128];
    const char *begin;
    size_t len;
    text_strip(text, NULL, true, true, &begin, &len);
    bool is_negative = len && *begin == '-', has_sign = len && (*begin == '-' || *begin == '+');
    begin += has_sign;
    len -= has_sign;
    bool has_mark = len > 1 && begin[0] == '0' && (begin[1] == 'x' || begin[1] == 'X');
    if (len + 3 > sizeof number)
        return value_error(run, "ValueError", "hexadecimal string too long to convert");
    bool is_word = len && strchr("iInN", *begin);
    size_t n = 0;
    if (!has_mark && !is_word) {
        memcpy(number, "0x", 2);
        n = 2;
    }
    memcpy(number + n, begin, len);
    number[n + len] = 0;
    char *end = number;
    double d = isspace((unsigned char)number[0]) || strchr(number, '(') || strchr(number + n, '-') == number + n
                   ? 0.0
                   : strtod(number, &end);
    if (end == number || *end)
        return value_error(run, "ValueError", "invalid hexadecimal floating-point string");
    if (isinf(d) && !is_word)
        return value_error(run, "OverflowError", "hexadecimal value too large to represent as a float");
    *out = value_float(is_negative ? -d : d);
    return OK;
}

/* ---------------------------------------------------------------------------------------------------------- tables */

const struct method int_methods[] = {
    {"bit_length", int_bit_length},    {"bit_count", int_bit_count},
    {"conjugate", number_conjugate},   {"as_integer_ratio", number_ratio},
    {"to_bytes", int_to_bytes},        {"from_bytes", int_from_bytes},
    {"is_integer", number_is_integer}, {NULL, NULL},
};
const struct method float_methods[] = {
    {"is_integer", number_is_integer},  {"conjugate", number_conjugate},
    {"as_integer_ratio", number_ratio}, {"hex", float_hex},
    {"fromhex", float_fromhex},         {NULL, NULL},
};

bool number_attribute(struct value v, const char *name, size_t len_bytes, struct value *out)
{
    struct value plain = v.kind == VALUE_BOOL ? value_int(v.boolean) : v;
    if (len_bytes == 4 && memcmp(name, "real", 4) == 0)
        *out = plain;
    else if (len_bytes == 4 && memcmp(name, "imag", 4) == 0)
        *out = v.kind == VALUE_FLOAT ? value_float(0.0) : value_int(0);
    else if (v.kind != VALUE_FLOAT && len_bytes == 9 && memcmp(name, "numerator", 9) == 0)
        *out = plain;
    else if (v.kind != VALUE_FLOAT && len_bytes == 11 && memcmp(name, "denominator", 11) == 0)
        *out = value_int(1);
    else
        return false;
    return true;
}
