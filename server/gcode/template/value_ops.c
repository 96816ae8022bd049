/* Python's operators on values. */
#include "server/gcode/template/value_private.h"

#include "base/check.h"

#include <math.h>
#include <string.h>

#define POW_RESULT_BITS 63

/* ------------------------------------------------------------------------------------------------ equality, order */

static enum err equal_at(struct jinja_run *run, struct value a, struct value b, bool *out, unsigned depth);

static enum err equal_sequences(struct jinja_run *run, struct value a, struct value b, bool *out, unsigned depth)
{
    *out = a.kind == b.kind && a.seq->count == b.seq->count;
    enum err err = OK;
    for (size_t i = 0; *out && err == OK && i < a.seq->count; i++)
        err = equal_at(run, a.seq->items[i], b.seq->items[i], out, depth + 1);
    return err;
}

static enum err equal_dicts(struct jinja_run *run, struct value a, struct value b, bool *out, unsigned depth)
{
    *out = a.dict->count == b.dict->count;
    if (!*out)
        return OK;
    DICT_FOREACH(entry, a)
    {
        const struct dict_entry *other = dict_find(run, b, entry->key);
        *out = false;
        if (run->has_failed)
            return ERR_INVALID;
        if (!other)
            return OK;
        enum err err = equal_at(run, entry->item, other->item, out, depth + 1);
        if (err != OK || !*out)
            return err;
    }
    *out = true;
    return OK;
}

/* Two views of keys or of items are equal as sets are; every other iterator equals itself alone. */
static enum err equal_iterators(struct jinja_run *run, struct value a, struct value b, bool *out, unsigned depth)
{
    *out = a.iterator == b.iterator;
    if (*out || !a.iterator->is_view || !b.iterator->is_view || a.iterator->part != b.iterator->part ||
        a.iterator->part == DICT_VALUES)
        return OK;
    if (a.iterator->part == DICT_ITEMS)
        return equal_dicts(run, a.iterator->list, b.iterator->list, out, depth);
    *out = a.iterator->list.dict->count == b.iterator->list.dict->count;
    DICT_FOREACH(entry, a.iterator->list)
    if (*out)
        *out = dict_find(run, b.iterator->list, entry->key) != NULL;
    return run->has_failed ? ERR_INVALID : OK;
}

static bool equal_ranges(struct value a, struct value b)
{
    int64_t count = value_range_count(a);
    if (count != value_range_count(b))
        return false;
    return count == 0 || (a.range->start == b.range->start && (count == 1 || a.range->step == b.range->step));
}

/* int against float without losing digits: Python compares exactly. */
static int compare_int_float(int64_t i, double d)
{
    if (isnan(d))
        return VALUE_UNORDERED;
    if (d >= 9223372036854775808.0)
        return -1;
    if (d < -9223372036854775808.0)
        return 1;
    int64_t whole = (int64_t)d;
    if (i != whole)
        return i < whole ? -1 : 1;
    double rest = d - (double)whole;
    return rest > 0.0 ? -1 : rest < 0.0 ? 1 : 0;
}

static int compare_numbers(struct value a, struct value b)
{
    if (value_is_integer(a) && value_is_integer(b)) {
        int64_t x = value_integer(a), y = value_integer(b);
        return x < y ? -1 : x > y;
    }
    if (value_is_integer(a))
        return compare_int_float(value_integer(a), b.number);
    if (value_is_integer(b)) {
        int order = compare_int_float(value_integer(b), a.number);
        return order == VALUE_UNORDERED ? order : -order;
    }
    if (isnan(a.number) || isnan(b.number))
        return VALUE_UNORDERED;
    return a.number < b.number ? -1 : a.number > b.number;
}

/* At least one is an object that stands for a dict. */
static enum err equal_dict_objects(struct jinja_run *run, struct value a, struct value b, bool *out, unsigned depth)
{
    struct value x = a, y = b;
    enum err err = value_is_dict_object(a) ? value_object_dict(run, a, &x) : OK;
    if (err == OK && value_is_dict_object(b))
        err = value_object_dict(run, b, &y);
    if (err == OK && x.kind == VALUE_DICT && y.kind == VALUE_DICT)
        err = equal_dicts(run, x, y, out, depth);
    return err;
}

static enum err equal_at(struct jinja_run *run, struct value a, struct value b, bool *out, unsigned depth)
{
    *out = false;
    if (depth > VALUE_DEPTH_MAX)
        return value_error(run, "RecursionError", "maximum recursion depth exceeded in comparison");
    if (!run_charge(run, 1 + value_work(a)))
        return ERR_LIMIT;
    if (value_is_number(a) && value_is_number(b)) {
        *out = compare_numbers(a, b) == 0;
        return OK;
    }
    if (value_is_text(a) && value_is_text(b)) {
        *out = a.str->len_bytes == b.str->len_bytes && memcmp(a.str->data, b.str->data, a.str->len_bytes) == 0;
        return OK;
    }
    if (value_is_dict_object(a) || value_is_dict_object(b))
        return equal_dict_objects(run, a, b, out, depth);
    if (a.kind != b.kind)
        return OK;
    switch (a.kind) {
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        *out = true;
        return OK;
    case VALUE_LIST:
    case VALUE_TUPLE:
        return equal_sequences(run, a, b, out, depth);
    case VALUE_DICT:
        return equal_dicts(run, a, b, out, depth);
    case VALUE_RANGE:
        *out = equal_ranges(a, b);
        return OK;
    case VALUE_NAMESPACE:
        *out = a.dict == b.dict;
        return OK;
    case VALUE_ITERATOR:
        return equal_iterators(run, a, b, out, depth);
    case VALUE_BYTES:
        *out = a.str->len_bytes == b.str->len_bytes && memcmp(a.str->data, b.str->data, a.str->len_bytes) == 0;
        return OK;
    case VALUE_FUNCTION:
        *out = a.function == b.function ||
               (a.function->fn && a.function->fn == b.function->fn && a.function->ctx == b.function->ctx);
        return OK;
    case VALUE_OBJECT:
        *out = a.object->type == b.object->type && a.object->ctx == b.object->ctx;
        return OK;
    default:
        return OK;
    }
}

enum err value_equal(struct jinja_run *run, struct value a, struct value b, bool *out)
{
    return equal_at(run, a, b, out, 0);
}

static enum err compare_at(struct jinja_run *run, const char *op, struct value a, struct value b, int *out,
                           unsigned depth)
{
    if (depth > VALUE_DEPTH_MAX)
        return value_error(run, "RecursionError", "maximum recursion depth exceeded in comparison");
    if (!run_charge(run, 1 + value_work(a)))
        return ERR_LIMIT;
    if (a.kind == VALUE_UNDEFINED)
        return value_fail_undefined(run, a);
    if (b.kind == VALUE_UNDEFINED)
        return value_fail_undefined(run, b);
    if (value_is_number(a) && value_is_number(b)) {
        *out = compare_numbers(a, b);
        return OK;
    }
    if ((value_is_text(a) && value_is_text(b)) || (a.kind == VALUE_BYTES && b.kind == VALUE_BYTES)) {
        /* UTF-8 sorts by bytes as by code points. */
        size_t least = a.str->len_bytes < b.str->len_bytes ? a.str->len_bytes : b.str->len_bytes;
        int order = memcmp(a.str->data, b.str->data, least);
        *out = order                                 ? (order < 0 ? -1 : 1)
               : a.str->len_bytes < b.str->len_bytes ? -1
                                                     : a.str->len_bytes > b.str->len_bytes;
        return OK;
    }
    if ((a.kind != VALUE_LIST && a.kind != VALUE_TUPLE) || a.kind != b.kind)
        return value_error(run, "TypeError", "'%s' not supported between instances of '%s' and '%s'", op,
                           value_type_name(a), value_type_name(b));
    for (size_t i = 0; i < a.seq->count && i < b.seq->count; i++) {
        bool is_equal;
        enum err err = equal_at(run, a.seq->items[i], b.seq->items[i], &is_equal, depth + 1);
        if (err != OK)
            return err;
        if (!is_equal)
            return compare_at(run, op, a.seq->items[i], b.seq->items[i], out, depth + 1);
    }
    *out = a.seq->count < b.seq->count ? -1 : a.seq->count > b.seq->count;
    return OK;
}

enum err value_compare(struct jinja_run *run, const char *op, struct value a, struct value b, int *out)
{
    return compare_at(run, op, a, b, out, 0);
}

/* ----------------------------------------------------------------------------------------------------------- hash */

static uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * 0x9e3779b97f4a7c15u;
    return h ^ (h >> 29);
}

static uint64_t hash_bytes(const char *data, size_t len)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)data[i]) * 0x100000001b3u;
    return mix(1, h);
}

/* Equal numbers of different kinds have the same hash: 1, 1.0 and True. */
static uint64_t hash_number(struct value v)
{
    double d = value_number(v);
    if (v.kind != VALUE_FLOAT || (d == floor(d) && fabs(d) < 9e18))
        return mix(2, (uint64_t)(v.kind == VALUE_FLOAT ? (int64_t)d : value_integer(v)));
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    return mix(3, bits);
}

static enum err hash_at(struct jinja_run *run, struct value v, uint64_t *out, unsigned depth)
{
    if (depth > VALUE_DEPTH_MAX)
        return value_error(run, "RecursionError", "maximum recursion depth exceeded");
    switch (v.kind) {
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_FLOAT:
        *out = hash_number(v);
        return OK;
    case VALUE_STR:
    case VALUE_MARKUP:
    case VALUE_BYTES:
        *out = hash_bytes(v.str->data, v.str->len_bytes);
        return run_charge(run, value_work(v)) ? OK : ERR_LIMIT;
    case VALUE_TUPLE:
        *out = 7;
        for (size_t i = 0; i < v.seq->count; i++) {
            uint64_t part;
            enum err err = hash_at(run, v.seq->items[i], &part, depth + 1);
            if (err != OK)
                return err;
            *out = mix(*out, part);
        }
        return OK;
    case VALUE_LIST:
    case VALUE_DICT:
        return value_error(run, "TypeError", "unhashable type: '%s'", value_type_name(v));
    default:
        if (value_is_dict_object(v))
            return value_error(run, "TypeError", "unhashable type: 'dict'");
        *out = mix(11, (uint64_t)v.kind);
        return OK;
    }
}

static bool is_hashable_at(struct value v, unsigned depth)
{
    if (v.kind == VALUE_LIST || v.kind == VALUE_DICT || value_is_dict_object(v))
        return false;
    for (size_t i = 0; v.kind == VALUE_TUPLE && depth < VALUE_DEPTH_MAX && i < v.seq->count; i++)
        if (!is_hashable_at(v.seq->items[i], depth + 1))
            return false;
    return true; /* or nested so deep that hashing says so */
}

bool value_is_hashable(struct value v)
{
    return is_hashable_at(v, 0);
}

enum err value_hash(struct jinja_run *run, struct value v, uint64_t *out)
{
    return hash_at(run, v, out, 0);
}

/* ----------------------------------------------------------------------------------------------------- arithmetic */

static const char *const operator_signs[] = {"+", "-", "*", "/", "//", "%", "** or pow()", "~"};

static enum err fail_operands(struct jinja_run *run, enum value_operator op, struct value a, struct value b)
{
    return value_error(run, "TypeError", "unsupported operand type(s) for %s: '%s' and '%s'", operator_signs[op],
                       value_type_name(a), value_type_name(b));
}

static enum err fail_overflow(struct jinja_run *run)
{
    return value_error(run, "OverflowError", "the integer does not fit into 64 bits");
}

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return (a % b != 0 && (a < 0) != (b < 0)) ? q - 1 : q;
}

/* x ** n by squaring; false: does not fit. */
static bool int_power(int64_t x, int64_t n, int64_t *out)
{
    int64_t result = 1;
    while (n > 0) {
        if ((n & 1) && __builtin_mul_overflow(result, x, &result))
            return false;
        n >>= 1;
        if (n && __builtin_mul_overflow(x, x, &x))
            return false;
    }
    *out = result;
    return true;
}

static enum err int_binary(struct jinja_run *run, enum value_operator op, int64_t a, int64_t b, struct value *out)
{
    int64_t result = 0;
    bool fits = true;
    switch (op) {
    case VALUE_ADD:
        fits = !__builtin_add_overflow(a, b, &result);
        break;
    case VALUE_SUB:
        fits = !__builtin_sub_overflow(a, b, &result);
        break;
    case VALUE_MUL:
        fits = !__builtin_mul_overflow(a, b, &result);
        break;
    case VALUE_DIV:
        if (b == 0)
            return value_error(run, "ZeroDivisionError", "division by zero");
        *out = value_float((double)a / (double)b);
        return OK;
    case VALUE_FLOORDIV:
    case VALUE_MOD:
        if (b == 0)
            return value_error(run, "ZeroDivisionError", "integer division or modulo by zero");
        if (a == INT64_MIN && b == -1) {
            fits = op == VALUE_MOD;
            break;
        }
        result = op == VALUE_FLOORDIV ? floor_div(a, b) : a - floor_div(a, b) * b;
        break;
    case VALUE_POW:
        if (b < 0) {
            if (a == 0)
                return value_error(run, "ZeroDivisionError", "0.0 cannot be raised to a negative power");
            *out = value_float(pow((double)a, (double)b));
            return OK;
        }
        fits = int_power(a, b, &result);
        break;
    case VALUE_CONCAT:
        UNREACHABLE();
    }
    *out = value_int(result);
    return fits ? OK : fail_overflow(run);
}

/* Python's float modulo: the sign of the divisor. */
static double float_mod(double a, double b)
{
    double r = fmod(a, b);
    if (r == 0.0)
        return copysign(0.0, b);
    return (r < 0.0) != (b < 0.0) ? r + b : r;
}

static double float_floor_div(double a, double b)
{
    double mod = fmod(a, b), div = (a - mod) / b;
    if (mod != 0.0 && (b < 0.0) != (mod < 0.0))
        div -= 1.0;
    if (div == 0.0)
        return copysign(0.0, a / b);
    double whole = floor(div);
    return div - whole > 0.5 ? whole + 1.0 : whole;
}

static enum err float_power(struct jinja_run *run, double a, double b, struct value *out)
{
    if (a == 0.0 && b < 0.0)
        return value_error(run, "ZeroDivisionError", "0.0 cannot be raised to a negative power");
    if (a < 0.0 && b != floor(b) && isfinite(b))
        return value_error(run, "ValueError", "a negative number to a fractional power is complex: not supported");
    double result = pow(a, b);
    if (isinf(result) && isfinite(a) && isfinite(b))
        return value_error(run, "OverflowError", "(34, 'Numerical result out of range')");
    *out = value_float(result);
    return OK;
}

static enum err float_binary(struct jinja_run *run, enum value_operator op, double a, double b, struct value *out)
{
    switch (op) {
    case VALUE_ADD:
        *out = value_float(a + b);
        return OK;
    case VALUE_SUB:
        *out = value_float(a - b);
        return OK;
    case VALUE_MUL:
        *out = value_float(a * b);
        return OK;
    case VALUE_DIV:
        if (b == 0.0)
            return value_error(run, "ZeroDivisionError", "float division by zero");
        *out = value_float(a / b);
        return OK;
    case VALUE_FLOORDIV:
        if (b == 0.0)
            return value_error(run, "ZeroDivisionError", "float floor division by zero");
        *out = value_float(float_floor_div(a, b));
        return OK;
    case VALUE_MOD:
        if (b == 0.0)
            return value_error(run, "ZeroDivisionError", "float modulo");
        *out = value_float(float_mod(a, b));
        return OK;
    case VALUE_POW:
        return float_power(run, a, b, out);
    case VALUE_CONCAT:
        break;
    }
    UNREACHABLE();
}

static enum err repeat(struct jinja_run *run, struct value v, int64_t times, struct value *out)
{
    size_t count = times > 0 ? (size_t)times : 0;
    size_t unit = value_is_text(v) ? v.str->len_bytes : v.seq->count * sizeof(struct value);
    if (unit && count > SIZE_MAX / unit / 2)
        count = SIZE_MAX / unit / 2;
    if (!run_has_room(run, unit * count))
        return ERR_LIMIT;
    if (value_is_text(v)) {
        struct strbuf sb;
        strbuf_init(&sb);
        for (size_t i = 0; i < count && unit; i++)
            strbuf_add(&sb, v.str->data, v.str->len_bytes);
        *out = value_from_strbuf(run, &sb);
        out->kind = v.kind;
        return run->has_failed ? ERR_LIMIT : OK;
    }
    struct value seq = value_tuple(run, v.seq->count * count);
    for (size_t i = 0; i < seq.seq->count; i++)
        seq.seq->items[i] = v.seq->items[i % v.seq->count];
    seq.kind = v.kind;
    *out = seq;
    return run->has_failed ? ERR_LIMIT : OK;
}

/* Markup + str escapes the str; str + str does not. */
static enum err add_texts(struct jinja_run *run, struct value a, struct value b, struct value *out)
{
    struct strbuf sb;
    strbuf_init(&sb);
    bool is_markup = a.kind == VALUE_MARKUP || b.kind == VALUE_MARKUP;
    const struct value parts[] = {a, b};
    for (size_t i = 0; i < 2; i++) {
        if (is_markup && parts[i].kind == VALUE_STR)
            value_escape_html(&sb, parts[i].str->data, parts[i].str->len_bytes);
        else
            strbuf_add(&sb, parts[i].str->data, parts[i].str->len_bytes);
    }
    *out = value_from_strbuf(run, &sb);
    out->kind = is_markup ? VALUE_MARKUP : VALUE_STR;
    return run->has_failed ? ERR_LIMIT : OK;
}

static enum err add_bytes(struct jinja_run *run, struct value a, struct value b, struct value *out)
{
    struct strbuf sb;
    strbuf_init(&sb);
    strbuf_add(&sb, a.str->data, a.str->len_bytes);
    strbuf_add(&sb, b.str->data, b.str->len_bytes);
    *out = value_bytes(run, sb.data, sb.len_bytes);
    strbuf_deinit(&sb);
    return run->has_failed ? ERR_LIMIT : OK;
}

static enum err add_sequences(struct jinja_run *run, struct value a, struct value b, struct value *out)
{
    struct value seq = value_tuple(run, a.seq->count + b.seq->count);
    if (run->has_failed)
        return ERR_LIMIT;
    if (a.seq->count)
        memcpy(seq.seq->items, a.seq->items, a.seq->count * sizeof *seq.seq->items);
    if (b.seq->count)
        memcpy(seq.seq->items + a.seq->count, b.seq->items, b.seq->count * sizeof *seq.seq->items);
    seq.kind = a.kind;
    *out = seq;
    return OK;
}

static bool is_repeatable(struct value v)
{
    return value_is_text(v) || v.kind == VALUE_LIST || v.kind == VALUE_TUPLE;
}

static enum err binary_others(struct jinja_run *run, enum value_operator op, struct value a, struct value b,
                              struct value *out)
{
    if (op == VALUE_ADD && value_is_text(a) && value_is_text(b))
        return add_texts(run, a, b, out);
    if (op == VALUE_ADD && a.kind == VALUE_BYTES && b.kind == VALUE_BYTES)
        return add_bytes(run, a, b, out);
    if (op == VALUE_ADD && (a.kind == VALUE_LIST || a.kind == VALUE_TUPLE) && a.kind == b.kind)
        return add_sequences(run, a, b, out);
    if (op == VALUE_MUL && is_repeatable(a) && value_is_integer(b))
        return repeat(run, a, value_integer(b), out);
    if (op == VALUE_MUL && value_is_integer(a) && is_repeatable(b))
        return repeat(run, b, value_integer(a), out);
    if (op == VALUE_MOD && value_is_text(a))
        return value_percent(run, a, b, out);
    if (op == VALUE_ADD && value_is_text(a))
        return value_error(run, "TypeError", "can only concatenate str (not \"%s\") to str", value_type_name(b));
    if (op == VALUE_ADD && (a.kind == VALUE_LIST || a.kind == VALUE_TUPLE))
        return value_error(run, "TypeError", "can only concatenate %s (not \"%s\") to %s", value_type_name(a),
                           value_type_name(b), value_type_name(a));
    if (op == VALUE_MUL && (is_repeatable(a) || is_repeatable(b)))
        return value_error(run, "TypeError", "can't multiply sequence by non-int of type '%s'",
                           value_type_name(is_repeatable(a) ? b : a));
    return fail_operands(run, op, a, b);
}

enum err value_binary(struct jinja_run *run, enum value_operator op, struct value a, struct value b, struct value *out)
{
    if (a.kind == VALUE_UNDEFINED)
        return value_fail_undefined(run, a);
    if (b.kind == VALUE_UNDEFINED && !(op == VALUE_MOD && value_is_text(a)))
        return value_fail_undefined(run, b);
    if (value_is_integer(a) && value_is_integer(b))
        return int_binary(run, op, value_integer(a), value_integer(b), out);
    if (value_is_number(a) && value_is_number(b))
        return float_binary(run, op, value_number(a), value_number(b), out);
    return binary_others(run, op, a, b, out);
}

enum err value_negate(struct jinja_run *run, struct value v, struct value *out)
{
    if (v.kind == VALUE_UNDEFINED)
        return value_fail_undefined(run, v);
    if (v.kind == VALUE_FLOAT) {
        *out = value_float(-v.number);
        return OK;
    }
    if (!value_is_integer(v))
        return value_error(run, "TypeError", "bad operand type for unary -: '%s'", value_type_name(v));
    if (value_integer(v) == INT64_MIN)
        return fail_overflow(run);
    *out = value_int(-value_integer(v));
    return OK;
}

enum err value_plus(struct jinja_run *run, struct value v, struct value *out)
{
    if (v.kind == VALUE_UNDEFINED)
        return value_fail_undefined(run, v);
    if (!value_is_number(v))
        return value_error(run, "TypeError", "bad operand type for unary +: '%s'", value_type_name(v));
    *out = v.kind == VALUE_FLOAT ? v : value_int(value_integer(v));
    return OK;
}
