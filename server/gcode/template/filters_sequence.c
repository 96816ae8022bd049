/* Filters on sequences and mappings; those that are generators in Jinja2 are in filters_lazy.c. */
#include "server/gcode/template/filters.h"

#include "base/check.h"

#include <string.h>

/* ------------------------------------------------------------------------------------------------------ attribute= */

static enum err one_step(struct jinja_run *run, struct value v, const char *part, size_t len, struct value *out)
{
    bool is_number = len > 0 && len < 18;
    int64_t number = 0;
    for (size_t i = 0; i < len && is_number; i++) {
        is_number = part[i] >= '0' && part[i] <= '9';
        number = number * 10 + (part[i] - '0');
    }
    return value_subscript(run, v, is_number ? value_int(number) : value_str(run, part, len), out);
}

enum err attribute_get(struct jinja_run *run, void *ctx, struct value item, struct value *key)
{
    const struct attribute_getter *getter = ctx;
    *key = item;
    enum err err = OK;
    if (value_is_text(getter->attribute)) {
        const char *p = getter->attribute.str->data, *end = p + getter->attribute.str->len_bytes;
        while (p <= end && err == OK) {
            const char *dot = memchr(p, '.', (size_t)(end - p));
            const char *stop = dot ? dot : end;
            struct value from = *key;
            err = one_step(run, from, p, (size_t)(stop - p), key);
            if (err == OK && key->kind == VALUE_UNDEFINED && getter->has_fallback)
                *key = getter->fallback;
            if (!dot)
                break;
            p = dot + 1;
        }
    } else if (getter->attribute.kind != VALUE_NONE) {
        err = value_subscript(run, item, getter->attribute, key);
        if (err == OK && key->kind == VALUE_UNDEFINED && getter->has_fallback)
            *key = getter->fallback;
    }
    if (err == OK && getter->ignores_case && value_is_text(*key)) {
        struct strbuf sb;
        strbuf_init(&sb);
        text_case_append(&sb, key->str->data, key->str->len_bytes, TEXT_LOWER);
        *key = value_from_strbuf(run, &sb);
    }
    return err;
}

/* Several attributes, "a,b.c": the key is a list of what each gives. */
struct multi_getter {
    struct attribute_getter one;
    struct value list; /* of texts; NONE: only `one` */
};

static enum err multi_get(struct jinja_run *run, void *ctx, struct value item, struct value *key)
{
    struct multi_getter *multi = ctx;
    enum err err = OK;
    if (multi->list.kind == VALUE_NONE) {
        err = attribute_get(run, &multi->one, item, key);
        if (err != OK || (multi->one.attribute.kind == VALUE_NONE && (value_is_number(*key) || value_is_text(*key))))
            return err;
        /* In a list, as lists are compared by equality first: two undefined keys are equal, not an error. */
        struct value only = *key;
        *key = value_list(run);
        return value_append(run, *key, only) ? OK : ERR_LIMIT;
    }
    *key = value_list(run);
    for (size_t i = 0; i < multi->list.seq->count && err == OK; i++) {
        struct attribute_getter getter = multi->one;
        struct value part;
        getter.attribute = multi->list.seq->items[i];
        err = attribute_get(run, &getter, item, &part);
        if (err == OK)
            (void)value_append(run, *key, part);
    }
    return run->has_failed ? ERR_INVALID : err;
}

static struct multi_getter make_multi(struct jinja_run *run, struct value attribute, bool ignores_case)
{
    struct multi_getter multi = {.one = {.attribute = attribute, .ignores_case = ignores_case}, .list = value_none()};
    if (!value_is_text(attribute) || !memchr(attribute.str->data, ',', attribute.str->len_bytes))
        return multi;
    multi.list = value_list(run);
    const char *p = attribute.str->data, *end = p + attribute.str->len_bytes;
    for (;;) {
        const char *comma = memchr(p, ',', (size_t)(end - p)), *stop = comma ? comma : end;
        (void)value_append(run, multi.list, value_str(run, p, (size_t)(stop - p)));
        if (!comma)
            return multi;
        p = comma + 1;
    }
}

/* ------------------------------------------------------------------------------------------------------ simple ones */

FILTER(do_default)
{
    (void)ctx;
    static const char *const names[] = {"value", "default_value", "boolean"};
    struct value args[3] = {value_none(), value_cstr(run, ""), value_bool(false)};
    enum err err = ARGS_BIND(run, call, "default", names, 1, args);
    bool replaces = args[0].kind == VALUE_UNDEFINED || (value_is_true(args[2]) && !value_is_true(args[0]));
    *out = replaces ? args[1] : args[0];
    return err;
}

FILTER(do_length)
{
    (void)ctx;
    static const char *const names[] = {"obj"};
    struct value v;
    int64_t length = 0;
    enum err err = ARGS_BIND(run, call, "length", names, 1, &v);
    if (err == OK)
        err = value_length(run, v, &length);
    *out = value_int(length);
    return err;
}

FILTER(do_list)
{
    (void)ctx;
    static const char *const names[] = {"value"};
    struct value v;
    enum err err = ARGS_BIND(run, call, "list", names, 1, &v);
    return err == OK ? value_iterate(run, v, out) : err;
}

/* The first item alone is taken of an iterator. */
static enum err first_of(struct jinja_run *run, struct value_iterator *it, struct value *out)
{
    bool is_there;
    enum err err = value_iterator_next(run, it, out, &is_there);
    if (err == OK && !is_there)
        *out = value_undefined_hint(run, "No first item, sequence was empty.");
    return err;
}

static enum err an_end(struct jinja_run *run, const struct value_call *call, const char *what, bool is_last,
                       struct value *out)
{
    static const char *const names[] = {"seq"};
    struct value v, list;
    enum err err = ARGS_BIND(run, call, what, names, 1, &v);
    if (err == OK && !is_last && v.kind == VALUE_ITERATOR && !v.iterator->is_view)
        return first_of(run, v.iterator, out);
    if (err == OK && is_last && (v.kind == VALUE_ITERATOR && !v.iterator->is_view))
        return value_error(run, "TypeError", "'%s' object is not reversible", value_type_name(v));
    if (err == OK)
        err = value_iterate(run, v, &list);
    if (err != OK)
        return err;
    if (list.seq->count)
        *out = list.seq->items[is_last ? list.seq->count - 1 : 0];
    else
        *out = value_undefined_hint(run, is_last ? "No last item, sequence was empty."
                                                 : "No first item, sequence was empty.");
    return OK;
}

FILTER(do_first)
{
    (void)ctx;
    return an_end(run, call, "first", false, out);
}

FILTER(do_last)
{
    (void)ctx;
    return an_end(run, call, "last", true, out);
}

/* One of the items, by its number, from the host's seeded generator. */
FILTER(do_random)
{
    (void)ctx;
    static const char *const names[] = {"seq"};
    struct value v;
    int64_t count = 0;
    enum err err = ARGS_BIND(run, call, "random", names, 1, &v);
    if (err == OK)
        err = value_length(run, v, &count);
    if (err != OK)
        return err;
    if (count == 0) {
        *out = value_undefined_hint(run, "No random item, sequence was empty.");
        return OK;
    }
    int64_t index = (int64_t)rng_below(&run->rng, (uint64_t)count);
    err = value_subscript(run, v, value_int(index), out);
    if (err == OK && out->kind == VALUE_UNDEFINED)
        return v.kind == VALUE_DICT
                   ? value_error(run, "KeyError", "%lld", (long long)index)
                   : value_error(run, "TypeError", "'%s' object is not subscriptable", value_type_name(v));
    return err;
}

FILTER(do_reverse)
{
    (void)ctx;
    static const char *const names[] = {"value"};
    struct value v, list;
    enum err err = ARGS_BIND(run, call, "reverse", names, 1, &v);
    if (err != OK)
        return err;
    if (value_is_number(v) || v.kind == VALUE_NONE || v.kind == VALUE_FUNCTION || v.kind == VALUE_NAMESPACE ||
        (v.kind == VALUE_OBJECT && !v.object->type->keys && !v.object->type->rest))
        return value_error(run, "FilterArgumentError", "argument must be iterable");
    err = value_iterate(run, v, &list);
    if (err != OK)
        return err;
    for (size_t i = 0; i < list.seq->count / 2; i++) {
        struct value other = list.seq->items[i];
        list.seq->items[i] = list.seq->items[list.seq->count - 1 - i];
        list.seq->items[list.seq->count - 1 - i] = other;
    }
    if (!value_is_text(v)) {
        *out = value_iterator_over(run, list,
                                   v.kind == VALUE_DICT                                 ? "dict_reversekeyiterator"
                                   : v.kind == VALUE_RANGE                              ? "range_iterator"
                                   : v.kind == VALUE_TUPLE || v.kind == VALUE_UNDEFINED ? "reversed"
                                                                                        : "list_reverseiterator");
        return run->has_failed ? ERR_LIMIT : OK;
    }
    struct strbuf sb;
    strbuf_init(&sb);
    for (size_t i = 0; i < list.seq->count; i++)
        strbuf_add(&sb, list.seq->items[i].str->data, list.seq->items[i].str->len_bytes);
    *out = value_as(v.kind, value_from_strbuf(run, &sb));
    return run->has_failed ? ERR_LIMIT : OK;
}

FILTER(do_attr)
{
    (void)ctx;
    static const char *const names[] = {"obj", "name"};
    struct value args[2], name;
    enum err err = ARGS_BIND(run, call, "attr", names, 2, args);
    if (err == OK)
        err = args_soft_text(run, args[1], &name);
    if (err != OK)
        return err;
    if (args[0].kind == VALUE_NAMESPACE || args[0].kind == VALUE_OBJECT)
        return value_attribute(run, args[0], name.str->data, name.str->len_bytes, out);
    if (args[0].kind == VALUE_UNDEFINED)
        return value_fail_undefined(run, args[0]);
    err = value_method(run, args[0], name.str->data, name.str->len_bytes, out);
    if (err == ERR_NOT_FOUND) {
        *out = value_undefined(run, name.str->data);
        return OK;
    }
    return err;
}

/* Where the template escapes, one Markup among the items (or the separator) makes the result Markup. */
static enum err escape_joined(struct jinja_run *run, struct value list, struct value *glue)
{
    bool is_markup = glue->kind == VALUE_MARKUP;
    enum err err = OK;
    for (size_t i = 0; i < list.seq->count; i++)
        is_markup |= list.seq->items[i].kind == VALUE_MARKUP;
    for (size_t i = 0; is_markup && err == OK && i < list.seq->count; i++) {
        struct value item = list.seq->items[i];
        err = value_escape(run, item, &list.seq->items[i]);
    }
    return is_markup && err == OK ? value_escape(run, *glue, glue) : err;
}

FILTER(do_join)
{
    (void)ctx;
    static const char *const names[] = {"value", "d", "attribute"};
    struct value args[3] = {value_none(), value_cstr(run, ""), value_none()}, list, glue;
    enum err err = ARGS_BIND(run, call, "join", names, 1, args);
    if (err == OK)
        err = value_iterate(run, args[0], &list);
    if (err == OK)
        err = args_soft_text(run, args[1], &glue);
    struct attribute_getter getter = {.attribute = args[2]};
    for (size_t i = 0; err == OK && getter.attribute.kind != VALUE_NONE && i < list.seq->count; i++) {
        struct value item = list.seq->items[i];
        err = attribute_get(run, &getter, item, &list.seq->items[i]);
    }
    if (err == OK && run->is_escaping)
        err = escape_joined(run, list, &glue);
    if (err != OK)
        return err;
    struct strbuf sb;
    strbuf_init(&sb);
    for (size_t i = 0; i < list.seq->count && err == OK; i++) {
        strbuf_add(&sb, glue.str->data, i ? glue.str->len_bytes : 0);
        err = value_to_text(run, list.seq->items[i], &sb);
        if (err == OK && !run_has_room(run, sb.len_bytes))
            err = ERR_LIMIT;
    }
    bool is_markup = run->is_escaping && glue.kind == VALUE_MARKUP;
    *out = value_as(is_markup ? VALUE_MARKUP : VALUE_STR, value_from_strbuf(run, &sb));
    return err;
}

FILTER(do_sum)
{
    (void)ctx;
    static const char *const names[] = {"iterable", "attribute", "start"};
    struct value args[3] = {value_none(), value_none(), value_int(0)}, list;
    enum err err = ARGS_BIND(run, call, "sum", names, 1, args);
    if (err == OK)
        err = value_iterate(run, args[0], &list);
    if (err != OK)
        return err;
    struct attribute_getter getter = {.attribute = args[1]};
    if (value_is_text(args[2]))
        return value_error(run, "TypeError", "sum() can't sum strings [use ''.join(seq) instead]");
    *out = args[2];
    for (size_t i = 0; i < list.seq->count && err == OK; i++) {
        struct value item, total = *out;
        err = attribute_get(run, &getter, list.seq->items[i], &item);
        if (err == OK)
            err = value_binary(run, VALUE_ADD, total, item, out);
    }
    return err;
}

/* --------------------------------------------------------------------------------------------------------- in order */

FILTER(do_sort)
{
    (void)ctx;
    static const char *const names[] = {"value", "reverse", "case_sensitive", "attribute"};
    struct value args[4] = {value_none(), value_bool(false), value_bool(false), value_none()};
    enum err err = ARGS_BIND(run, call, "sort", names, 1, args);
    if (err == OK)
        err = value_iterate(run, args[0], out);
    if (err != OK)
        return err;
    struct multi_getter getter = make_multi(run, args[3], !value_is_true(args[2]));
    return list_sort(run, *out, multi_get, &getter, value_is_true(args[1]));
}

FILTER(do_dictsort)
{
    (void)ctx;
    static const char *const names[] = {"value", "case_sensitive", "by", "reverse"};
    struct value args[4] = {value_none(), value_bool(false), value_cstr(run, "key"), value_bool(false)};
    enum err err = ARGS_BIND(run, call, "dictsort", names, 1, args);
    if (err == OK)
        err = args_items(run, args[0], out);
    if (err != OK)
        return err;
    bool by_key = value_is_text(args[2]) && strcmp(args[2].str->data, "key") == 0;
    if (!by_key && !(value_is_text(args[2]) && strcmp(args[2].str->data, "value") == 0))
        return value_error(run, "FilterArgumentError", "You can only sort by either \"key\" or \"value\"");
    struct attribute_getter getter = {.attribute = value_int(by_key ? 0 : 1), .ignores_case = !value_is_true(args[1])};
    return list_sort(run, *out, attribute_get, &getter, value_is_true(args[3]));
}

static enum err extreme(struct jinja_run *run, const struct value_call *call, const char *what, int sign,
                        struct value *out)
{
    static const char *const names[] = {"value", "case_sensitive", "attribute"};
    struct value args[3] = {value_none(), value_bool(false), value_none()}, list, best = value_none();
    enum err err = ARGS_BIND(run, call, what, names, 1, args);
    if (err == OK)
        err = value_iterate(run, args[0], &list);
    if (err != OK)
        return err;
    if (list.seq->count == 0) {
        *out = value_undefined_hint(run, "No aggregated item, sequence was empty.");
        return OK;
    }
    struct attribute_getter getter = {.attribute = args[2], .ignores_case = !value_is_true(args[1])};
    for (size_t i = 0; i < list.seq->count && err == OK; i++) {
        struct value key;
        int order = 0;
        err = attribute_get(run, &getter, list.seq->items[i], &key);
        if (err == OK && i)
            err = value_compare(run, sign < 0 ? "<" : ">", key, best, &order);
        if (i == 0 || order == sign) {
            best = key;
            *out = list.seq->items[i];
        }
    }
    return err;
}

FILTER(do_min)
{
    (void)ctx;
    return extreme(run, call, "min", -1, out);
}

FILTER(do_max)
{
    (void)ctx;
    return extreme(run, call, "max", 1, out);
}

static const struct value_tuple_names group_names = {.parts = {"grouper", "list"}};

FILTER(do_groupby)
{
    (void)ctx;
    static const char *const names[] = {"value", "attribute", "default", "case_sensitive"};
    struct value args[4] = {value_none(), value_none(), value_none(), value_bool(false)}, list,
                 result = value_list(run);
    enum err err = ARGS_BIND(run, call, "groupby", names, 2, args);
    if (err == OK)
        err = value_iterate(run, args[0], &list);
    struct attribute_getter getter = {.attribute = args[1],
                                      .fallback = args[2],
                                      .has_fallback = args[2].kind != VALUE_NONE,
                                      .ignores_case = !value_is_true(args[3])};
    if (err == OK)
        err = list_sort(run, list, attribute_get, &getter, false);
    struct value last = value_none(), group = value_none();
    for (size_t i = 0; err == OK && i < list.seq->count; i++) {
        struct value key;
        bool is_same = false;
        err = attribute_get(run, &getter, list.seq->items[i], &key);
        if (err == OK && i)
            err = value_equal(run, key, last, &is_same);
        if (err != OK)
            break;
        if (!is_same) {
            struct attribute_getter plain = getter;
            struct value pair = value_tuple(run, 2), shown;
            plain.ignores_case = false;
            err = attribute_get(run, &plain, list.seq->items[i], &shown);
            if (run->has_failed)
                break;
            pair.seq->names = &group_names;
            group = value_list(run);
            pair.seq->items[0] = shown;
            pair.seq->items[1] = group;
            (void)value_append(run, result, pair);
            last = key;
        }
        (void)value_append(run, group, list.seq->items[i]);
    }
    *out = result;
    return run->has_failed ? ERR_INVALID : err;
}

const struct value_filter sequence_filters[] = {
    {"default", do_default}, {"d", do_default},         {"length", do_length},
    {"count", do_length},    {"list", do_list},         {"first", do_first},
    {"last", do_last},       {"random", do_random},     {"reverse", do_reverse},
    {"attr", do_attr},       {"join", do_join},         {"sum", do_sum},
    {"sort", do_sort},       {"dictsort", do_dictsort}, {"min", do_min},
    {"max", do_max},         {"groupby", do_groupby},   {NULL, NULL},
};
