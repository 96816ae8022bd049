/* Methods of Python's list, dict and range, and the look-up of all methods. */
#include "server/gcode/template/methods.h"

#include "base/check.h"

#include <string.h>

/* A bound method: its ctx is the value it was taken from. */
#define SELF (*(struct value *)ctx)

/* ------------------------------------------------------------------------------------------------------------ list */

static enum err list_append(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"object"};
    struct value item;
    enum err err = ARGS_BIND(run, call, "append", names, 1, &item);
    *out = value_none();
    return err != OK ? err : value_append(run, SELF, item) ? OK : ERR_LIMIT;
}

static enum err list_extend(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"iterable"};
    struct value more, list;
    enum err err = ARGS_BIND(run, call, "extend", names, 1, &more);
    if (err == OK)
        err = value_iterate(run, more, &list);
    for (size_t i = 0; err == OK && i < list.seq->count; i++)
        err = value_append(run, SELF, list.seq->items[i]) ? OK : ERR_LIMIT;
    *out = value_none();
    return err;
}

static enum err list_insert(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"index", "object"};
    struct value args[2];
    int64_t index = 0;
    enum err err = ARGS_BIND(run, call, "insert", names, 2, args);
    if (err == OK)
        err = args_int(run, args[0], "insert", &index);
    if (err != OK || !value_append(run, SELF, args[1]))
        return err != OK ? err : ERR_LIMIT;
    struct value_seq *seq = SELF.seq;
    int64_t count = (int64_t)seq->count - 1;
    index = index < 0 ? (index + count < 0 ? 0 : index + count) : index > count ? count : index;
    memmove(seq->items + index + 1, seq->items + index, (size_t)(count - index) * sizeof *seq->items);
    seq->items[index] = args[1];
    *out = value_none();
    return OK;
}

static enum err list_pop(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"index"};
    struct value arg = value_int(-1);
    int64_t index = -1;
    enum err err = ARGS_BIND(run, call, "pop", names, 0, &arg);
    if (err == OK)
        err = args_int(run, arg, "pop", &index);
    if (err != OK)
        return err;
    struct value_seq *seq = SELF.seq;
    if (seq->count == 0)
        return value_error(run, "IndexError", "pop from empty list");
    if (index < 0)
        index += (int64_t)seq->count;
    if (index < 0 || index >= (int64_t)seq->count)
        return value_error(run, "IndexError", "pop index out of range");
    *out = seq->items[index];
    seq->count--;
    memmove(seq->items + index, seq->items + index + 1, (seq->count - (size_t)index) * sizeof *seq->items);
    return OK;
}

/* Index of the first equal item in [begin, end); count of the list if there is none. */
static enum err find_equal(struct jinja_run *run, struct value list, struct value item, size_t begin, size_t end,
                           size_t *at)
{
    for (*at = begin; *at < end; (*at)++) {
        bool is_equal;
        enum err err = value_equal(run, list.seq->items[*at], item, &is_equal);
        if (err != OK)
            return err;
        if (is_equal)
            return OK;
    }
    *at = list.seq->count;
    return OK;
}

static enum err list_remove(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"value"};
    struct value item;
    size_t at = 0;
    enum err err = ARGS_BIND(run, call, "remove", names, 1, &item);
    if (err == OK)
        err = find_equal(run, SELF, item, 0, SELF.seq->count, &at);
    if (err != OK)
        return err;
    struct value_seq *seq = SELF.seq;
    if (at == seq->count)
        return value_error(run, "ValueError", "list.remove(x): x not in list");
    seq->count--;
    memmove(seq->items + at, seq->items + at + 1, (seq->count - at) * sizeof *seq->items);
    *out = value_none();
    return OK;
}

static enum err list_index(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"value", "start", "stop"};
    struct value args[3] = {value_none(), value_int(0), value_int(INT64_MAX)};
    int64_t bounds[2];
    size_t at = 0;
    enum err err = ARGS_BIND(run, call, "index", names, 1, args);
    int64_t count = (int64_t)SELF.seq->count;
    for (int i = 0; i < 2 && err == OK; i++) {
        err = args_int(run, args[i + 1], "index", &bounds[i]);
        bounds[i] = bounds[i] < 0       ? (bounds[i] + count < 0 ? 0 : bounds[i] + count)
                    : bounds[i] > count ? count
                                        : bounds[i];
    }
    if (err == OK)
        err = find_equal(run, SELF, args[0], (size_t)bounds[0], (size_t)bounds[1], &at);
    if (err != OK)
        return err;
    if (at == SELF.seq->count) {
        struct strbuf sb;
        strbuf_init(&sb);
        err = value_repr(run, args[0], &sb);
        if (err == OK)
            err = value_error(run, "ValueError",
                              SELF.kind == VALUE_TUPLE ? "tuple.index(x): x not in tuple" : "%.100s is not in list",
                              sb.data);
        strbuf_deinit(&sb);
        return err;
    }
    *out = value_int((int64_t)at);
    return OK;
}

static enum err list_count(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"value"};
    struct value item;
    int64_t count = 0;
    enum err err = ARGS_BIND(run, call, "count", names, 1, &item);
    for (size_t i = 0; err == OK && i < SELF.seq->count; i++) {
        bool is_equal = false;
        err = value_equal(run, SELF.seq->items[i], item, &is_equal);
        count += is_equal;
    }
    *out = value_int(count);
    return err;
}

static enum err list_reverse(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    (void)run, (void)call;
    struct value_seq *seq = SELF.seq;
    for (size_t i = 0; i < seq->count / 2; i++) {
        struct value other = seq->items[i];
        seq->items[i] = seq->items[seq->count - 1 - i];
        seq->items[seq->count - 1 - i] = other;
    }
    *out = value_none();
    return OK;
}

static enum err list_sort_method(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    bool is_reverse = false;
    if (call->count)
        return value_error(run, "TypeError", "sort() takes no positional arguments");
    for (size_t i = 0; i < call->key_count; i++) {
        if (strcmp(call->keys[i].str->data, "reverse") == 0)
            is_reverse = value_is_true(call->values[i]);
        else if (strcmp(call->keys[i].str->data, "key") != 0 || call->values[i].kind != VALUE_NONE)
            return value_error(run, "TypeError", "sort() takes only reverse= here");
    }
    *out = value_none();
    return list_sort(run, SELF, NULL, NULL, is_reverse);
}

static enum err list_copy(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    (void)call;
    return value_iterate(run, SELF, out);
}

static enum err list_clear(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    (void)run, (void)call;
    SELF.seq->count = 0;
    *out = value_none();
    return OK;
}

/* ------------------------------------------------------------------------------------------------------------ dict */

static enum err dict_parts(struct jinja_run *run, struct value dict, const struct value_call *call, enum dict_part part,
                           struct value *out)
{
    static const char *const names[] = {"keys", "values", "items"};
    if (call->count + call->key_count)
        return value_error(run, "TypeError", "dict.%s() takes no arguments (%zu given)", names[part],
                           call->count + call->key_count);
    *out = value_view(run, dict, part);
    return run->has_failed ? ERR_LIMIT : OK;
}

static enum err dict_keys(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return dict_parts(run, SELF, call, DICT_KEYS, out);
}

static enum err dict_values(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return dict_parts(run, SELF, call, DICT_VALUES, out);
}

static enum err dict_items(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return dict_parts(run, SELF, call, DICT_ITEMS, out);
}

static enum err dict_get(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"key", "default"};
    struct value args[2] = {value_none(), value_none()};
    uint64_t hash;
    enum err err = ARGS_BIND(run, call, "get", names, 1, args);
    if (err == OK)
        err = value_hash(run, args[0], &hash);
    if (err != OK)
        return err;
    const struct dict_entry *entry = dict_find(run, SELF, args[0]);
    *out = entry ? entry->item : args[1];
    return run->has_failed ? ERR_INVALID : OK;
}

static enum err fail_key(struct jinja_run *run, struct value key)
{
    struct strbuf sb;
    strbuf_init(&sb);
    enum err err = value_repr(run, key, &sb);
    if (err == OK)
        err = value_error(run, "KeyError", "%.200s", sb.data);
    strbuf_deinit(&sb);
    return err;
}

static enum err dict_pop(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"key", "default"};
    struct value args[2];
    enum err err = ARGS_BIND(run, call, "pop", names, 1, args);
    if (err != OK || dict_remove(run, SELF, args[0], out))
        return err;
    if (run->has_failed)
        return ERR_INVALID;
    if (call->count + call->key_count < 2)
        return fail_key(run, args[0]);
    *out = args[1];
    return OK;
}

static enum err dict_setdefault(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"key", "default"};
    struct value args[2] = {value_none(), value_none()};
    enum err err = ARGS_BIND(run, call, "setdefault", names, 1, args);
    if (err != OK)
        return err;
    const struct dict_entry *entry = dict_find(run, SELF, args[0]);
    if (!entry && !value_set_item(run, SELF, args[0], args[1]))
        return ERR_LIMIT;
    *out = entry ? entry->item : args[1];
    return OK;
}

static enum err dict_update(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    *out = value_none();
    return dict_fill(run, SELF, call, "update");
}

static enum err dict_copy(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    (void)call;
    *out = value_dict(run);
    DICT_FOREACH(entry, SELF)
    if (!value_set_item(run, *out, entry->key, entry->item))
        return ERR_LIMIT;
    return OK;
}

static enum err dict_clear_method(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    (void)run, (void)call;
    dict_clear(SELF);
    *out = value_none();
    return OK;
}

static enum err dict_popitem(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    (void)call;
    struct dict_entry *last = NULL;
    DICT_FOREACH(entry, SELF)
    last = entry;
    if (!last)
        return value_error(run, "KeyError", "'popitem(): dictionary is empty'");
    *out = value_tuple(run, 2);
    if (run->has_failed)
        return ERR_LIMIT;
    out->seq->items[0] = last->key;
    return dict_remove(run, SELF, last->key, &out->seq->items[1]) ? OK : ERR_INVALID;
}

enum err dict_fill(struct jinja_run *run, struct value dict, const struct value_call *call, const char *what)
{
    if (call->count > 1)
        return value_error(run, "TypeError", "%s expected at most 1 argument, got %zu", what, call->count);
    enum err err = OK;
    if (call->count && call->args[0].kind == VALUE_UNDEFINED)
        return value_fail_undefined(run, call->args[0]);
    if (call->count && (call->args[0].kind == VALUE_DICT || call->args[0].kind == VALUE_OBJECT)) {
        struct value items;
        err = value_items(run, call->args[0], &items);
        for (size_t i = 0; err == OK && i < items.seq->count; i++)
            err = value_set_item(run, dict, items.seq->items[i].seq->items[0], items.seq->items[i].seq->items[1])
                      ? OK
                      : ERR_LIMIT;
    } else if (call->count) {
        struct value list, pair;
        err = value_iterate(run, call->args[0], &list);
        for (size_t i = 0; err == OK && i < list.seq->count; i++) {
            err = value_iterate(run, list.seq->items[i], &pair);
            if (err == OK && pair.seq->count != 2)
                return value_error(run, "ValueError",
                                   "dictionary update sequence element #%zu has length %zu; 2 is required", i,
                                   pair.seq->count);
            if (err == OK)
                err = value_set_item(run, dict, pair.seq->items[0], pair.seq->items[1]) ? OK : ERR_LIMIT;
        }
    }
    for (size_t i = 0; err == OK && i < call->key_count; i++)
        err = value_set_item(run, dict, call->keys[i], call->values[i]) ? OK : ERR_LIMIT;
    return err;
}

static enum err dict_fromkeys(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"iterable", "value"};
    struct value args[2] = {value_none(), value_none()}, list;
    (void)ctx;
    enum err err = ARGS_BIND(run, call, "fromkeys", names, 1, args);
    if (err == OK)
        err = value_iterate(run, args[0], &list);
    *out = value_dict(run);
    for (size_t i = 0; err == OK && i < list.seq->count; i++)
        err = value_set_item(run, *out, list.seq->items[i], args[1]) ? OK : ERR_LIMIT;
    return err;
}

/* ----------------------------------------------------------------------------------------------------------- range */

static enum err range_count(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"value"};
    struct value item;
    bool is_there = false;
    enum err err = ARGS_BIND(run, call, "count", names, 1, &item);
    if (err == OK)
        err = value_contains(run, SELF, item, &is_there);
    *out = value_int(is_there);
    return err;
}

static enum err range_index(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"value"};
    struct value item;
    bool is_there = false;
    enum err err = ARGS_BIND(run, call, "index", names, 1, &item);
    if (err == OK)
        err = value_contains(run, SELF, item, &is_there);
    if (err == OK && !is_there)
        return value_error(run, "ValueError", "the number is not in range");
    if (err == OK)
        *out = value_int((int64_t)((value_number(item) - (double)SELF.range->start) / (double)SELF.range->step));
    return err;
}

static bool range_attribute(const struct value_range *range, const char *name, size_t len_bytes, struct value *out)
{
    static const char *const names[] = {"start", "stop", "step"};
    const int64_t values[] = {range->start, range->stop, range->step};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strlen(names[i]) == len_bytes && memcmp(names[i], name, len_bytes) == 0) {
            *out = value_int(values[i]);
            return true;
        }
    return false;
}

/* d.keys() has the methods of a set that need none: whether it shares no key with another. */
static enum err view_isdisjoint(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"other"};
    struct value other, list;
    enum err err = ARGS_BIND(run, call, "isdisjoint", names, 1, &other);
    if (err == OK)
        err = value_iterate(run, other, &list);
    bool is_shared = false;
    for (size_t i = 0; err == OK && !is_shared && i < list.seq->count; i++)
        err = value_contains(run, SELF, list.seq->items[i], &is_shared);
    *out = value_bool(!is_shared);
    return err;
}

/* ---------------------------------------------------------------------------------------------------------- look-up */

static const struct method list_methods[] = {
    {"append", list_append},    {"extend", list_extend}, {"insert", list_insert}, {"pop", list_pop},
    {"remove", list_remove},    {"index", list_index},   {"count", list_count},   {"reverse", list_reverse},
    {"sort", list_sort_method}, {"copy", list_copy},     {"clear", list_clear},   {NULL, NULL},
};
static const struct method tuple_methods[] = {{"index", list_index}, {"count", list_count}, {NULL, NULL}};
static const struct method dict_methods[] = {
    {"keys", dict_keys},       {"values", dict_values},     {"items", dict_items},
    {"get", dict_get},         {"pop", dict_pop},           {"setdefault", dict_setdefault},
    {"update", dict_update},   {"copy", dict_copy},         {"clear", dict_clear_method},
    {"popitem", dict_popitem}, {"fromkeys", dict_fromkeys}, {NULL, NULL},
};
static const struct method range_methods[] = {{"count", range_count}, {"index", range_index}, {NULL, NULL}};
static const struct method view_methods[] = {{"isdisjoint", view_isdisjoint}, {NULL, NULL}};
static const struct method no_methods[] = {{NULL, NULL}};

static const struct method *methods_of(struct value v)
{
    switch (v.kind) {
    case VALUE_STR:
    case VALUE_MARKUP:
        return text_methods;
    case VALUE_LIST:
        return list_methods;
    case VALUE_TUPLE:
        return tuple_methods;
    case VALUE_DICT:
        return dict_methods;
    case VALUE_INT:
    case VALUE_BOOL:
        return int_methods;
    case VALUE_FLOAT:
        return float_methods;
    case VALUE_RANGE:
        return range_methods;
    case VALUE_BYTES:
        return bytes_methods;
    case VALUE_ITERATOR:
        return v.iterator->is_view && strcmp(v.iterator->type_name, "dict_values") != 0 ? view_methods : no_methods;
    default:
        return no_methods;
    }
}

static const struct method *find_method(struct value v, const char *name, size_t len_bytes)
{
    const struct method *tables[] = {methods_of(v), value_is_text(v) ? text_search_methods : no_methods,
                                     value_is_text(v) ? text_coding_methods : no_methods,
                                     v.kind == VALUE_MARKUP ? markup_methods : no_methods};
    for (size_t i = 0; i < ARRAY_COUNT(tables); i++)
        for (const struct method *m = tables[i]; m->name; m++)
            if (strlen(m->name) == len_bytes && memcmp(m->name, name, len_bytes) == 0)
                return m;
    return NULL;
}

/* get() of an object that stands for a dict: only the member asked for is made. */
static enum err dict_object_get(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"key", "default"};
    struct value args[2] = {value_none(), value_none()};
    enum err err = ARGS_BIND(run, call, "get", names, 1, args), found = ERR_NOT_FOUND;
    if (err != OK)
        return err;
    if (value_is_text(args[0]))
        found = SELF.object->type->get(run, SELF.object->ctx, args[0].str->data, args[0].str->len_bytes, out);
    if (found == ERR_NOT_FOUND)
        *out = args[1];
    return found == ERR_NOT_FOUND ? OK : found;
}

/* A method of an object that stands for a dict works on a copy of it. */
static enum err dict_object_method(struct jinja_run *run, struct value v, const char *name, size_t len_bytes,
                                   struct value *out)
{
    bool is_get = len_bytes == 3 && memcmp(name, "get", 3) == 0, is_known = false;
    for (const struct method *m = dict_methods; m->name && !is_known; m++)
        is_known = strlen(m->name) == len_bytes && memcmp(m->name, name, len_bytes) == 0;
    if (!is_known)
        return ERR_NOT_FOUND;
    if (is_get) {
        struct value *self = run_alloc(run, sizeof *self);
        if (!self)
            return ERR_LIMIT;
        *self = v;
        *out = value_native(run, "get", dict_object_get, self);
        return run->has_failed ? ERR_LIMIT : OK;
    }
    struct value copy;
    enum err err = value_object_dict(run, v, &copy);
    return err == OK ? value_method(run, copy, name, len_bytes, out) : err;
}

bool method_takes_keywords(const char *name)
{
    static const char *const names[] = {"split",  "rsplit", "splitlines", "encode",   "decode",    "expandtabs",
                                        "format", "sort",   "update",     "to_bytes", "from_bytes"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* Does the method belong to the type and not look at the value? */
static bool is_static(const char *name)
{
    static const char *const names[] = {"fromkeys", "maketrans", "from_bytes", "fromhex"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

enum err value_method(struct jinja_run *run, struct value v, const char *name, size_t len_bytes, struct value *out)
{
    const struct method *m = find_method(v, name, len_bytes);
    if (m && v.kind == VALUE_MARKUP)
        return markup_method(run, v, m, out);
    if (m) {
        struct value *self = run_alloc(run, sizeof *self);
        struct value_function *f = run_alloc(run, sizeof *f);
        if (!self || !f)
            return ERR_LIMIT;
        *self = v;
        *f = (struct value_function){
            .name = m->name, .fn = m->fn, .ctx = self, .self = self, .is_static = is_static(m->name)};
        *out = (struct value){.kind = VALUE_FUNCTION, .function = f};
        return OK;
    }
    if (value_is_dict_object(v))
        return dict_object_method(run, v, name, len_bytes, out);
    if (v.kind == VALUE_FUNCTION)
        return function_attribute(run, v.function, name, len_bytes, out);
    bool is_there = value_is_number(v) ? number_attribute(v, name, len_bytes, out)
                                       : v.kind == VALUE_RANGE && range_attribute(v.range, name, len_bytes, out);
    return is_there ? OK : ERR_NOT_FOUND;
}
