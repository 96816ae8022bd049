/* Methods of Python's list, dict, int, float and the rest; those of str are in methods_text.c. */
#include "server/gcode/template/methods.h"

#include "base/check.h"

#include <math.h>
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

enum dict_part { DICT_KEYS, DICT_VALUES, DICT_ITEMS };

static enum err dict_parts(struct jinja_run *run, struct value dict, enum dict_part part, struct value *out)
{
    static const char *const names[] = {"dict_keys", "dict_values", "dict_items"};
    struct value list = value_list(run);
    if (part == DICT_ITEMS) {
        enum err err = value_items(run, dict, &list);
        if (err != OK)
            return err;
    } else {
        DICT_FOREACH(entry, dict)
        (void)value_append(run, list, part == DICT_KEYS ? entry->key : entry->item);
    }
    *out = value_view(run, list, names[part]);
    return run->has_failed ? ERR_LIMIT : OK;
}

static enum err dict_keys(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    (void)call;
    return dict_parts(run, SELF, DICT_KEYS, out);
}

static enum err dict_values(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    (void)call;
    return dict_parts(run, SELF, DICT_VALUES, out);
}

static enum err dict_items(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    (void)call;
    return dict_parts(run, SELF, DICT_ITEMS, out);
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

/* --------------------------------------------------------------------------------------------------------- numbers */

static enum err int_bit_length(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    (void)run, (void)call;
    int64_t i = value_integer(SELF), bits = 0;
    for (uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i; u; u >>= 1)
        bits++;
    *out = value_int(bits);
    return OK;
}

static enum err float_is_integer(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    (void)run, (void)call;
    *out = value_bool(SELF.kind != VALUE_FLOAT || (isfinite(SELF.number) && SELF.number == floor(SELF.number)));
    return OK;
}

static enum err number_conjugate(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    (void)run, (void)call;
    *out = SELF;
    return OK;
}

/* ---------------------------------------------------------------------------------------------------------- look-up */

static const struct method list_methods[] = {
    {"append", list_append},    {"extend", list_extend}, {"insert", list_insert}, {"pop", list_pop},
    {"remove", list_remove},    {"index", list_index},   {"count", list_count},   {"reverse", list_reverse},
    {"sort", list_sort_method}, {"copy", list_copy},     {"clear", list_clear},   {NULL, NULL},
};
static const struct method tuple_methods[] = {{"index", list_index}, {"count", list_count}, {NULL, NULL}};
static const struct method dict_methods[] = {
    {"keys", dict_keys},
    {"values", dict_values},
    {"items", dict_items},
    {"get", dict_get},
    {"pop", dict_pop},
    {"setdefault", dict_setdefault},
    {"update", dict_update},
    {"copy", dict_copy},
    {"clear", dict_clear_method},
    {"popitem", dict_popitem},
    {NULL, NULL},
};
static const struct method int_methods[] = {
    {"bit_length", int_bit_length}, {"is_integer", float_is_integer}, {"conjugate", number_conjugate}, {NULL, NULL}};
static const struct method float_methods[] = {
    {"is_integer", float_is_integer}, {"conjugate", number_conjugate}, {NULL, NULL}};
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
    default:
        return no_methods;
    }
}

static const struct method *find_method(struct value v, const char *name, size_t len_bytes)
{
    const struct method *tables[] = {methods_of(v), value_is_text(v) ? text_search_methods : no_methods};
    for (size_t i = 0; i < ARRAY_COUNT(tables); i++)
        for (const struct method *m = tables[i]; m->name; m++)
            if (strlen(m->name) == len_bytes && memcmp(m->name, name, len_bytes) == 0)
                return m;
    return NULL;
}

enum err value_method(struct jinja_run *run, struct value v, const char *name, size_t len_bytes, struct value *out)
{
    const struct method *m = find_method(v, name, len_bytes);
    if (m) {
        struct value *self = run_alloc(run, sizeof *self);
        if (!self)
            return ERR_LIMIT;
        *self = v;
        *out = value_native(run, m->name, m->fn, self);
        return run->has_failed ? ERR_LIMIT : OK;
    }
    if (value_is_number(v) && len_bytes == 4 && (memcmp(name, "real", 4) == 0 || memcmp(name, "imag", 4) == 0)) {
        *out = name[0] == 'r' ? v : v.kind == VALUE_FLOAT ? value_float(0.0) : value_int(0);
        return OK;
    }
    return ERR_NOT_FOUND;
}
