#include "server/gcode/template/args.h"

#include "base/check.h"

#include <string.h>

enum err args_bind(struct jinja_run *run, const struct value_call *call, const char *what, const char *const *names,
                   size_t count, size_t required, struct value *out)
{
    bool is_given[16] = {false};
    CHECK(count <= ARRAY_COUNT(is_given));
    if (call->count > count)
        return value_error(run, "TypeError", "%s() takes %zu positional arguments but %zu were given", what, count,
                           call->count);
    for (size_t i = 0; i < call->count; i++) {
        out[i] = call->args[i];
        is_given[i] = true;
    }
    for (size_t k = 0; k < call->key_count; k++) {
        const struct value_str *key = call->keys[k].str;
        size_t i = 0;
        while (i < count && strcmp(names[i], key->data) != 0)
            i++;
        if (i == count)
            return value_error(run, "TypeError", "%s() got an unexpected keyword argument '%s'", what, key->data);
        if (is_given[i])
            return value_error(run, "TypeError", "%s() got multiple values for argument '%s'", what, key->data);
        out[i] = call->values[k];
        is_given[i] = true;
    }
    for (size_t i = 0; i < required; i++)
        if (!is_given[i])
            return value_error(run, "TypeError", "%s() missing 1 required positional argument: '%s'", what, names[i]);
    return OK;
}

enum err args_text(struct jinja_run *run, struct value v, const char *what, const struct value_str **out)
{
    if (!value_is_text(v))
        return value_error(run, "TypeError", "%s must be str, not %s", what, value_type_name(v));
    *out = v.str;
    return OK;
}

enum err args_int(struct jinja_run *run, struct value v, const char *what, int64_t *out)
{
    if (!value_is_integer(v))
        return value_error(run, "TypeError", "%s: '%s' object cannot be interpreted as an integer", what,
                           value_type_name(v));
    *out = value_integer(v);
    return OK;
}

enum err args_count(struct jinja_run *run, struct value v, const char *what, int64_t *out)
{
    return v.kind == VALUE_UNDEFINED ? value_fail_undefined(run, v) : args_int(run, v, what, out);
}

enum err args_soft_text(struct jinja_run *run, struct value v, struct value *out)
{
    if (value_is_text(v)) {
        *out = v;
        return OK;
    }
    struct strbuf sb;
    strbuf_init(&sb);
    enum err err = value_to_text(run, v, &sb);
    *out = value_from_strbuf(run, &sb);
    return err != OK ? err : run->has_failed ? ERR_LIMIT : OK;
}

enum err args_one_text(struct jinja_run *run, const struct value_call *call, const char *what, struct value *out)
{
    static const char *const names[] = {"s"};
    struct value v;
    enum err err = ARGS_BIND(run, call, what, names, 1, &v);
    return err == OK ? args_soft_text(run, v, out) : err;
}

enum err args_finish(struct jinja_run *run, enum value_kind kind, struct strbuf *sb, struct value *out)
{
    *out = value_as(kind, value_from_strbuf(run, sb));
    return run->has_failed ? ERR_LIMIT : OK;
}

/* --------------------------------------------------------------------------------------------------------- sorting */

struct sort_item {
    struct value key, item;
};

static enum err is_before(struct jinja_run *run, const struct sort_item *a, const struct sort_item *b, bool is_reverse,
                          bool *out)
{
    int order = 0;
    enum err err = value_compare(run, "<", is_reverse ? b->key : a->key, is_reverse ? a->key : b->key, &order);
    *out = order == -1;
    return err;
}

/* Merge sort: stable, and at most n log n comparisons whatever the keys claim. */
static enum err merge(struct jinja_run *run, struct sort_item *items, struct sort_item *spare, size_t begin,
                      size_t middle, size_t end, bool is_reverse)
{
    size_t a = begin, b = middle;
    for (size_t i = begin; i < end; i++) {
        bool takes_b = a == middle;
        if (!takes_b && b < end) {
            enum err err = is_before(run, &items[b], &items[a], is_reverse, &takes_b);
            if (err != OK)
                return err;
        }
        spare[i] = takes_b ? items[b++] : items[a++];
    }
    memcpy(items + begin, spare + begin, (end - begin) * sizeof *items);
    return OK;
}

enum err list_sort(struct jinja_run *run, struct value list, args_key_fn *key, void *ctx, bool is_reverse)
{
    size_t count = list.seq->count;
    struct sort_item *items = run_alloc(run, 2 * count * sizeof *items);
    if (!items)
        return ERR_LIMIT;
    enum err err = OK;
    for (size_t i = 0; i < count && err == OK; i++) {
        items[i].item = items[i].key = list.seq->items[i];
        if (key)
            err = key(run, ctx, items[i].item, &items[i].key);
    }
    for (size_t width = 1; width < count && err == OK; width *= 2)
        for (size_t begin = 0; begin + width < count && err == OK; begin += 2 * width) {
            size_t end = begin + 2 * width < count ? begin + 2 * width : count;
            err = merge(run, items, items + count, begin, begin + width, end, is_reverse);
        }
    for (size_t i = 0; i < count && err == OK; i++)
        list.seq->items[i] = items[i].item;
    return err;
}

enum err args_items(struct jinja_run *run, struct value v, struct value *out_list)
{
    if (v.kind == VALUE_UNDEFINED)
        return value_fail_undefined(run, v);
    if (v.kind != VALUE_DICT && (v.kind != VALUE_OBJECT || !v.object->type->keys))
        return value_error(run, "AttributeError", "'%s' object has no attribute 'items'", value_type_name(v));
    return value_items(run, v, out_list);
}
