/* Filters that are generators in Jinja2: nothing happens before an item is asked for, then one item at a time. */
#include "server/gcode/template/filters.h"

#include "base/check.h"

#include <math.h>
#include <string.h>

#define CALL_ITEMS_MAX 16 /* arguments of the filter or test that map and select call */

/* What a generator keeps between two items. */
struct lazy {
    struct value_call call; /* the filter's own arguments, copied */
    bool has_begun;
    bool by_attribute, wants; /* select and its kin */
    struct value list;        /* the items that it goes through */
    size_t at;
    struct value seen; /* unique: keys met */
    struct attribute_getter getter;
};

static struct lazy *keep(struct jinja_run *run, const struct value_call *call)
{
    struct lazy *lazy = run_alloc(run, sizeof *lazy);
    struct value *copies = run_alloc(run, (call->count + 2 * call->key_count + 1) * sizeof *copies);
    if (!lazy || !copies)
        return NULL;
    if (call->count)
        memcpy(copies, call->args, call->count * sizeof *copies);
    if (call->key_count) {
        memcpy(copies + call->count, call->keys, call->key_count * sizeof *copies);
        memcpy(copies + call->count + call->key_count, call->values, call->key_count * sizeof *copies);
    }
    lazy->call = (struct value_call){.args = copies,
                                     .count = call->count,
                                     .keys = copies + call->count,
                                     .values = copies + call->count + call->key_count,
                                     .key_count = call->key_count};
    return lazy;
}

static enum err begin(struct jinja_run *run, const char *name, iterator_next_fn *pull, struct lazy *lazy,
                      struct value *out)
{
    if (!lazy)
        return ERR_LIMIT;
    *out = value_generator(run, name, pull, lazy);
    return run->has_failed ? ERR_LIMIT : OK;
}

/* The next item of the list, which `begin` has filled; false: there is none. */
static bool take(struct lazy *lazy, struct value *item)
{
    if (lazy->at >= lazy->list.seq->count)
        return false;
    *item = lazy->list.seq->items[lazy->at++];
    return true;
}

/* ----------------------------------------------------------------------------------------------------------- items */

static enum err items_next(struct jinja_run *run, void *state, struct value *item, bool *is_there)
{
    struct lazy *lazy = state;
    if (!lazy->has_begun) {
        lazy->has_begun = true;
        lazy->list = value_list(run);
        struct value v = lazy->call.args[0];
        enum err err = v.kind == VALUE_UNDEFINED ? OK : value_items(run, v, &lazy->list);
        if (err != OK)
            return err;
    }
    *is_there = take(lazy, item);
    return OK;
}

FILTER(do_items)
{
    (void)ctx;
    static const char *const names[] = {"value"};
    struct value v;
    enum err err = ARGS_BIND(run, call, "items", names, 1, &v);
    return err == OK ? begin(run, "do_items", items_next, keep(run, &(struct value_call){.args = &v, .count = 1}), out)
                     : err;
}

/* ---------------------------------------------------------------------------------------------------------- unique */

static enum err unique_begin(struct jinja_run *run, struct lazy *lazy)
{
    static const char *const names[] = {"value", "case_sensitive", "attribute"};
    struct value args[3] = {value_none(), value_bool(false), value_none()};
    enum err err = ARGS_BIND(run, &lazy->call, "unique", names, 1, args);
    if (err == OK)
        err = value_iterate(run, args[0], &lazy->list);
    lazy->seen = value_dict(run);
    lazy->getter = (struct attribute_getter){.attribute = args[2], .ignores_case = !value_is_true(args[1])};
    lazy->has_begun = true;
    return err;
}

static enum err unique_next(struct jinja_run *run, void *state, struct value *item, bool *is_there)
{
    struct lazy *lazy = state;
    enum err err = lazy->has_begun ? OK : unique_begin(run, lazy);
    while (err == OK && take(lazy, item)) {
        struct value key;
        uint64_t hash;
        err = attribute_get(run, &lazy->getter, *item, &key);
        if (err == OK)
            err = value_hash(run, key, &hash);
        if (err == OK && !dict_find(run, lazy->seen, key)) {
            *is_there = true;
            return value_set_item(run, lazy->seen, key, value_none()) ? OK : ERR_LIMIT;
        }
        if (run->has_failed)
            err = ERR_INVALID;
    }
    return err;
}

FILTER(do_unique)
{
    (void)ctx;
    static const char *const names[] = {"value", "case_sensitive", "attribute"};
    struct value args[3];
    enum err err = ARGS_BIND(run, call, "unique", names, 1, args);
    return err == OK ? begin(run, "do_unique", unique_next, keep(run, call), out) : err;
}

/* ------------------------------------------------------------------------------------------------------------ parts */

/* Rows of `size` items; the last one is filled up. */
static enum err batch_begin(struct jinja_run *run, struct lazy *lazy)
{
    static const char *const names[] = {"value", "linecount", "fill_with"};
    struct value args[3] = {value_none(), value_none(), value_none()}, list, row = value_none();
    int64_t size = 0;
    lazy->has_begun = true;
    lazy->list = value_list(run);
    enum err err = ARGS_BIND(run, &lazy->call, "batch", names, 2, args);
    if (err == OK)
        err = value_iterate(run, args[0], &list);
    if (err != OK)
        return err;
    /* Only a row as long as this ends: what is no whole number never does, and cannot tell how much is to fill up. */
    bool is_whole = value_is_integer(args[1]) || (args[1].kind == VALUE_FLOAT && fabs(args[1].number) < 1e15 &&
                                                  args[1].number == floor(args[1].number));
    size = !is_whole ? -1 : args[1].kind == VALUE_FLOAT ? (int64_t)args[1].number : value_integer(args[1]);
    if (!value_is_integer(args[1]) && args[2].kind != VALUE_NONE && list.seq->count)
        return value_error(run, "TypeError", "'<' not supported between instances of 'int' and '%s'",
                           value_type_name(args[1]));
    for (size_t i = 0; i < list.seq->count && !run->has_failed; i++) {
        if (row.kind == VALUE_NONE || (int64_t)row.seq->count == size) {
            row = value_list(run);
            (void)value_append(run, lazy->list, row);
        }
        (void)value_append(run, row, list.seq->items[i]);
    }
    while (args[2].kind != VALUE_NONE && row.kind != VALUE_NONE && (int64_t)row.seq->count < size &&
           value_append(run, row, args[2]))
        ;
    return run->has_failed ? ERR_LIMIT : OK;
}

static enum err batch_next(struct jinja_run *run, void *state, struct value *item, bool *is_there)
{
    struct lazy *lazy = state;
    enum err err = lazy->has_begun ? OK : batch_begin(run, lazy);
    *is_there = err == OK && take(lazy, item);
    return err;
}

FILTER(do_batch)
{
    (void)ctx;
    static const char *const names[] = {"value", "linecount", "fill_with"};
    struct value args[3];
    enum err err = ARGS_BIND(run, call, "batch", names, 2, args);
    return err == OK ? begin(run, "do_batch", batch_next, keep(run, call), out) : err;
}

/* `slices` lists, as even as can be. */
static enum err slice_begin(struct jinja_run *run, struct lazy *lazy)
{
    static const char *const names[] = {"value", "slices", "fill_with"};
    struct value args[3] = {value_none(), value_none(), value_none()}, list;
    int64_t slices = 0;
    lazy->has_begun = true;
    lazy->list = value_list(run);
    enum err err = ARGS_BIND(run, &lazy->call, "slice", names, 2, args);
    if (err == OK)
        err = value_iterate(run, args[0], &list);
    if (err == OK)
        err = args_count(run, args[1], "slice", &slices);
    if (err != OK)
        return err;
    if (slices == 0)
        return value_error(run, "ZeroDivisionError", "integer division or modulo by zero");
    size_t count = list.seq->count, each = slices > 0 ? count / (size_t)slices : 0,
           longer = slices > 0 ? count % (size_t)slices : 0, at = 0;
    for (int64_t s = 0; s < slices && run_charge(run, 1); s++) {
        struct value part = value_list(run);
        size_t size = each + ((size_t)s < longer);
        for (size_t i = 0; i < size; i++)
            (void)value_append(run, part, list.seq->items[at++]);
        if (args[2].kind != VALUE_NONE && (size_t)s >= longer)
            (void)value_append(run, part, args[2]);
        (void)value_append(run, lazy->list, part);
    }
    return run->has_failed ? ERR_LIMIT : OK;
}

static enum err slice_next(struct jinja_run *run, void *state, struct value *item, bool *is_there)
{
    struct lazy *lazy = state;
    enum err err = lazy->has_begun ? OK : slice_begin(run, lazy);
    *is_there = err == OK && take(lazy, item);
    return err;
}

FILTER(do_slice)
{
    (void)ctx;
    static const char *const names[] = {"value", "slices", "fill_with"};
    struct value args[3];
    enum err err = ARGS_BIND(run, call, "slice", names, 2, args);
    return err == OK ? begin(run, "sync_do_slice", slice_next, keep(run, call), out) : err;
}

/* -------------------------------------------------------------------------------------------------- map and select */

enum err call_named(struct jinja_run *run, bool is_test, struct value name, struct value item,
                    const struct value_call *call, size_t skip, struct value *out)
{
    const struct value_filter *found = NULL;
    if (value_is_text(name))
        found = is_test ? value_find_test(name.str->data, name.str->len_bytes)
                        : value_find_filter(name.str->data, name.str->len_bytes);
    else if (!value_is_hashable(name))
        return value_error(run, "TypeError", "unhashable type: '%s'", value_type_name(name));
    if (!found)
        return value_error(run, "TemplateRuntimeError", "No %s named '%.60s'.", is_test ? "test" : "filter",
                           value_is_text(name) ? name.str->data : value_type_name(name));
    size_t more = call->count > skip ? call->count - skip : 0;
    struct value args[CALL_ITEMS_MAX];
    if (more + 1 > ARRAY_COUNT(args))
        return value_error(run, "TypeError", "too many arguments");
    args[0] = item;
    if (more)
        memcpy(args + 1, call->args + skip, more * sizeof *args);
    struct value_call inner = {
        .args = args, .count = more + 1, .keys = call->keys, .values = call->values, .key_count = call->key_count};
    return found->fn(run, NULL, &inner, out);
}

static const struct value *find_keyword(const struct value_call *call, const char *name)
{
    for (size_t i = 0; i < call->key_count; i++)
        if (strcmp(call->keys[i].str->data, name) == 0)
            return &call->values[i];
    return NULL;
}

/* What is false (0, None, undefined) counts as empty here: then nothing else is looked at. */
static enum err map_begin(struct jinja_run *run, struct lazy *lazy)
{
    const struct value_call *call = &lazy->call;
    const struct value *attribute = find_keyword(call, "attribute"), *fallback = find_keyword(call, "default");
    lazy->has_begun = true;
    lazy->list = value_list(run);
    if (!value_is_true(call->args[0]))
        return OK;
    if (call->count == 1 && attribute && call->key_count > (fallback ? 2u : 1u)) {
        size_t other = 0;
        while (&call->values[other] == attribute || &call->values[other] == fallback)
            other++;
        return value_error(run, "FilterArgumentError", "Unexpected keyword argument '%s'", call->keys[other].str->data);
    }
    if (call->count == 1 && !attribute)
        return value_error(run, "FilterArgumentError", "map requires a filter argument");
    lazy->by_attribute = call->count == 1;
    lazy->getter = (struct attribute_getter){.attribute = attribute ? *attribute : value_none(),
                                             .fallback = fallback ? *fallback : value_none(),
                                             .has_fallback = fallback && fallback->kind != VALUE_NONE};
    return value_iterate(run, call->args[0], &lazy->list);
}

static enum err map_next(struct jinja_run *run, void *state, struct value *item, bool *is_there)
{
    struct lazy *lazy = state;
    struct value from;
    enum err err = lazy->has_begun ? OK : map_begin(run, lazy);
    if (err != OK || !take(lazy, &from))
        return err;
    *is_there = true;
    return lazy->by_attribute ? attribute_get(run, &lazy->getter, from, item)
                              : call_named(run, false, lazy->call.args[1], from, &lazy->call, 2, item);
}

FILTER(do_map)
{
    (void)ctx;
    if (call->count == 0)
        return value_error(run, "TypeError", "map() missing 1 required positional argument: 'value'");
    return begin(run, "sync_do_map", map_next, keep(run, call), out);
}

static enum err choose_begin(struct jinja_run *run, struct lazy *lazy)
{
    lazy->has_begun = true;
    lazy->list = value_list(run);
    if (!value_is_true(lazy->call.args[0]))
        return OK;
    if (lazy->by_attribute && lazy->call.count < 2)
        return value_error(run, "FilterArgumentError", "Missing parameter for attribute name");
    lazy->getter = (struct attribute_getter){.attribute = lazy->by_attribute ? lazy->call.args[1] : value_none()};
    return value_iterate(run, lazy->call.args[0], &lazy->list);
}

static enum err choose_next(struct jinja_run *run, void *state, struct value *item, bool *is_there)
{
    struct lazy *lazy = state;
    size_t name_at = lazy->by_attribute ? 2 : 1;
    enum err err = lazy->has_begun ? OK : choose_begin(run, lazy);
    while (err == OK && !*is_there && take(lazy, item)) {
        struct value subject = *item, verdict;
        if (lazy->by_attribute)
            err = attribute_get(run, &lazy->getter, *item, &subject);
        verdict = subject;
        if (err == OK && lazy->call.count > name_at)
            err = call_named(run, true, lazy->call.args[name_at], subject, &lazy->call, name_at + 1, &verdict);
        *is_there = err == OK && value_is_true(verdict) == lazy->wants;
    }
    return err;
}

/* select, reject, selectattr, rejectattr */
static enum err choose(struct jinja_run *run, const struct value_call *call, bool by_attribute, bool wants,
                       struct value *out)
{
    if (call->count == 0)
        return value_error(run, "TypeError", "missing 1 required positional argument: 'value'");
    struct lazy *lazy = keep(run, call);
    if (lazy) {
        lazy->by_attribute = by_attribute;
        lazy->wants = wants;
    }
    return begin(run, "select_or_reject", choose_next, lazy, out);
}

FILTER(do_select)
{
    (void)ctx;
    return choose(run, call, false, true, out);
}
FILTER(do_reject)
{
    (void)ctx;
    return choose(run, call, false, false, out);
}
FILTER(do_selectattr)
{
    (void)ctx;
    return choose(run, call, true, true, out);
}
FILTER(do_rejectattr)
{
    (void)ctx;
    return choose(run, call, true, false, out);
}

const struct value_filter lazy_filters[] = {
    {"map", do_map},
    {"select", do_select},
    {"reject", do_reject},
    {"selectattr", do_selectattr},
    {"rejectattr", do_rejectattr},
    {"items", do_items},
    {"unique", do_unique},
    {"batch", do_batch},
    {"slice", do_slice},
    {NULL, NULL},
};
