/* Values of the macro language: Python's None, bool, int (64 bits), float, str, list, tuple, dict, range, and what
 * Jinja2 adds: undefined, namespace, loop, macros, lazy iterators; and objects of the host, whose members are looked up
 * when they are named.
 *
 * All memory of a render comes from the arena of its jinja_run and is freed at its end; nothing is freed before. Every
 * allocation is charged to the render's budget: functions that make values return NULL / false when it is used up, and
 * the render has then failed already (value_error was called). Values are small and passed by copy. A failure latches
 * in the render, so callers that can go on may ignore a result here. */
#ifndef SERVER_GCODE_TEMPLATE_VALUE_H
#define SERVER_GCODE_TEMPLATE_VALUE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jinja;
struct jinja_run;
struct strbuf;

enum value_kind {
    VALUE_UNDEFINED, /* with the name that was not found, for messages */
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_STR,
    VALUE_MARKUP, /* a str that escape() leaves alone (|e, |safe) */
    VALUE_BYTES,  /* what str.encode() gives: any bytes in `str` */
    VALUE_LIST,
    VALUE_TUPLE,
    VALUE_DICT,
    VALUE_RANGE,
    VALUE_NAMESPACE,
    VALUE_ITERATOR, /* what map, select, items() ... give: consumed once */
    VALUE_FUNCTION, /* native function, bound method, macro, filter as global */
    VALUE_OBJECT    /* the host's */
};

struct value_str;
struct value_seq;
struct value_dict;
struct value_range;
struct value_iterator;
struct value_function;
struct value_object;

struct value {
    enum value_kind kind;
    union {
        bool boolean;
        int64_t integer;
        double number;
        const struct value_str *str; /* STR, MARKUP, BYTES, and the name of UNDEFINED */
        struct value_seq *seq;       /* LIST, TUPLE */
        struct value_dict *dict;     /* DICT, NAMESPACE */
        const struct value_range *range;
        struct value_iterator *iterator;
        const struct value_function *function;
        const struct value_object *object;
    };
};

/* UTF-8; `count` code points (of BYTES: bytes). Immutable; ends in a zero that is not counted. */
struct value_str {
    size_t len_bytes, count;
    const char *data;
};
struct value_tuple_names {
    const char *type_name; /* shown by repr; NULL: as a plain tuple */
    const char *parts[4];
};
struct value_seq {
    struct value *items;
    size_t count, capacity;
    const struct value_tuple_names *names; /* of a named tuple's parts; NULL: it is a plain one */
};

/* --- making --- */
static inline struct value value_none(void)
{
    return (struct value){.kind = VALUE_NONE};
}
static inline struct value value_bool(bool b)
{
    return (struct value){.kind = VALUE_BOOL, .boolean = b};
}
static inline struct value value_int(int64_t i)
{
    return (struct value){.kind = VALUE_INT, .integer = i};
}
static inline struct value value_float(double d)
{
    return (struct value){.kind = VALUE_FLOAT, .number = d};
}
/* Copies; bytes that are not UTF-8 become U+FFFD. */
struct value value_str(struct jinja_run *run, const char *text, size_t len_bytes);
struct value value_cstr(struct jinja_run *run, const char *text);
struct value value_bytes(struct jinja_run *run, const void *data, size_t len_bytes);
struct value value_undefined(struct jinja_run *run, const char *name);      /* "'name' is undefined" */
struct value value_undefined_hint(struct jinja_run *run, const char *hint); /* with this text of its own */
const char *value_undefined_text(struct value undefined);                   /* for an UndefinedError */
struct value value_list(struct jinja_run *run);
struct value value_tuple(struct jinja_run *run, size_t count); /* of None, to be filled */
struct value value_dict(struct jinja_run *run);
/* The same values as a named tuple (at most 4; `names` is kept): v.x besides v[0]. */
struct value value_named_tuple(struct jinja_run *run, struct value list, const struct value_tuple_names *names);
bool value_append(struct jinja_run *run, struct value list, struct value item);
/* Keys: anything hashable; insertion order is kept. */
bool value_set_item(struct jinja_run *run, struct value dict, struct value key, struct value item);
bool value_set_text(struct jinja_run *run, struct value dict, const char *key, struct value item);
/* From JSON text (numbers with '.' or exponent are floats). ERR_INVALID with the place. */
enum err value_from_json(struct jinja_run *run, const char *json, size_t len_bytes, struct value *out,
                         struct err_info *info);

/* Append the value as JSON; TypeError: it has a part that JSON does not have, ValueError: a number that is not finite.
 */
enum err value_to_json(struct jinja_run *run, struct value v, struct strbuf *out);

/* A fresh value of a compiled literal; None if the render has failed. */
struct value value_literal(struct jinja_run *run, const struct jinja *literal);
/* Zeroed memory that lives as long as the render, for contexts of objects. NULL: the budget is used up. */
void *value_alloc(struct jinja_run *run, size_t size_bytes);

/* --- objects and functions of the host --- */

struct value_object_type {
    const char *type_name; /* as Python would show it */
    /* obj.name and obj["name"]: ERR_NOT_FOUND: there is none (the engine makes it undefined). NULL: has no members. */
    enum err (*get)(struct jinja_run *run, void *ctx, const char *name, size_t len_bytes, struct value *out);
    /* "x in obj". NULL: by get. */
    enum err (*contains)(struct jinja_run *run, void *ctx, struct value key, bool *out);
    /* Names in order, for iteration and |items; NULL: not iterable. */
    enum err (*keys)(struct jinja_run *run, void *ctx, struct value *out_list);
    /* str(obj); NULL: "<type_name object>" */
    enum err (*text)(struct jinja_run *run, void *ctx, struct value *out_str);
    /* For loop, which is an iterator: what is left of it, and its length. NULL: by keys. */
    enum err (*rest)(struct jinja_run *run, void *ctx, struct value *out_list);
    int64_t (*length)(void *ctx);
    /* It stands for a dict (needs get and keys): has a dict's methods, and is shown and compared as one. Members come
     * before methods. Its methods work on a copy. */
    bool is_dict;
    bool (*is_empty)(void *ctx); /* NULL: it never is */
};
struct value_object {
    const struct value_object_type *type;
    void *ctx;
};
struct value value_object(struct jinja_run *run, const struct value_object_type *type, void *ctx);

struct value_call {
    const struct value *args;
    size_t count;
    const struct value *keys; /* keyword names (VALUE_STR) and their values */
    const struct value *values;
    size_t key_count;
};
typedef enum err value_native_fn(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out);
struct value value_native(struct jinja_run *run, const char *name, value_native_fn *fn, void *ctx);

/* --- Python's operations (value_ops.c); each may fail the render --- */
bool value_is_true(struct value v);
const char *value_type_name(struct value v);                                       /* "int", "str", "dict", ... */
enum err value_to_text(struct jinja_run *run, struct value v, struct strbuf *out); /* str() */
enum err value_repr(struct jinja_run *run, struct value v, struct strbuf *out);    /* repr() */
/* Python's repr of a float: "1e-05", "3.0", "inf", "nan". Pure. */
void value_format_float(struct strbuf *out, double d);
enum err value_equal(struct jinja_run *run, struct value a, struct value b, bool *out);
/* *out: below, equal to or above 0, VALUE_UNORDERED when a NaN is there. `op` is for the message of the TypeError. */
#define VALUE_UNORDERED 2
enum err value_compare(struct jinja_run *run, const char *op, struct value a, struct value b, int *out);
enum err value_hash(struct jinja_run *run, struct value v, uint64_t *out); /* TypeError: unhashable */

enum value_operator {
    VALUE_ADD,
    VALUE_SUB,
    VALUE_MUL,
    VALUE_DIV,
    VALUE_FLOORDIV,
    VALUE_MOD,
    VALUE_POW,
    VALUE_CONCAT /* ~ */
};
enum err value_binary(struct jinja_run *run, enum value_operator op, struct value a, struct value b, struct value *out);
enum err value_negate(struct jinja_run *run, struct value v, struct value *out);
enum err value_plus(struct jinja_run *run, struct value v, struct value *out);
enum err value_contains(struct jinja_run *run, struct value container, struct value item, bool *out);
/* v[key], v.key (Jinja2's rules: item before attribute for [], attribute before item for .); undefined if absent. */
enum err value_subscript(struct jinja_run *run, struct value v, struct value key, struct value *out);
enum err value_attribute(struct jinja_run *run, struct value v, const char *name, size_t len_bytes, struct value *out);
enum err value_slice(struct jinja_run *run, struct value v, struct value start, struct value stop, struct value step,
                     struct value *out);
enum err value_length(struct jinja_run *run, struct value v, int64_t *out);
/* Get every item (consumes an iterator) as a fresh list. TypeError: not iterable. */
enum err value_iterate(struct jinja_run *run, struct value v, struct value *out_list);
/* The (key, value) tuples of a DICT, NAMESPACE or OBJECT as a fresh list. TypeError: not a mapping. */
enum err value_items(struct jinja_run *run, struct value v, struct value *out_list);
/* The dict that an object with is_dict stands for, as it is now. */
enum err value_object_dict(struct jinja_run *run, struct value object, struct value *out_dict);
int64_t value_range_count(struct value range);
struct value value_range_item(struct value range, int64_t index); /* 0 <= index < count */

/* --- tables of the language; NULL if there is none of that name --- */
struct value_filter {
    const char *name;
    value_native_fn *fn; /* args[0] is what stands before the bar */
};
const struct value_filter *value_find_filter(const char *name, size_t len_bytes);
const struct value_filter *value_find_test(const char *name, size_t len_bytes); /* answers a bool */
/* range, dict, namespace, ...; false: there is none of that name. */
bool value_global(struct jinja_run *run, const char *name, struct value *out);
/* Python's method `name` of a str, list, dict, int, float ... as a bound function; ERR_NOT_FOUND. */
enum err value_method(struct jinja_run *run, struct value v, const char *name, size_t len_bytes, struct value *out);

#endif
