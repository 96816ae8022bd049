/* Looking into values: in, [], ., slices. */
#include "server/gcode/template/args.h"

#include "base/check.h"

#include <string.h>

/* --------------------------------------------------------------------------------------------------------------- in */

static enum err contains_in_list(struct jinja_run *run, struct value list, struct value item, bool *out)
{
    *out = false;
    enum err err = OK;
    for (size_t i = 0; i < list.seq->count && err == OK && !*out; i++)
        err = value_equal(run, list.seq->items[i], item, out);
    return err;
}

/* An iterator is used up to the item that is found. */
static enum err contains_in_iterator(struct jinja_run *run, struct value v, struct value item, bool *out)
{
    struct value list, next;
    bool is_there = true;
    enum err err = OK;
    if (v.iterator->is_view && v.iterator->part == DICT_KEYS)
        return value_contains(run, v.iterator->list, item, out);
    if (v.iterator->is_view) {
        err = value_iterate(run, v, &list);
        return err == OK ? contains_in_list(run, list, item, out) : err;
    }
    *out = false;
    while (err == OK && is_there && !*out) {
        err = value_iterator_next(run, v.iterator, &next, &is_there);
        if (err == OK && is_there)
            err = value_equal(run, next, item, out);
    }
    return err;
}

static enum err contains_in_bytes(struct jinja_run *run, const struct value_str *bytes, struct value item, bool *out)
{
    if (item.kind == VALUE_BYTES) {
        *out = memmem(bytes->data, bytes->len_bytes, item.str->data, item.str->len_bytes) != NULL;
        return OK;
    }
    if (!value_is_integer(item))
        return value_error(run, "TypeError", "a bytes-like object is required, not '%s'", value_type_name(item));
    if (value_integer(item) < 0 || value_integer(item) > 255)
        return value_error(run, "ValueError", "byte must be in range(0, 256)");
    *out = memchr(bytes->data, (int)value_integer(item), bytes->len_bytes) != NULL;
    return OK;
}

static bool contains_in_range(struct value range, struct value item)
{
    const struct value_range *r = range.range;
    if (!value_is_number(item))
        return false;
    double d = value_number(item);
    if (item.kind == VALUE_FLOAT && (d != (double)(int64_t)d))
        return false;
    int64_t i = item.kind == VALUE_FLOAT ? (int64_t)d : value_integer(item);
    bool is_between = r->step > 0 ? i >= r->start && i < r->stop : i <= r->start && i > r->stop;
    return is_between && ((__int128)i - r->start) % r->step == 0;
}

static enum err contains_in_object(struct jinja_run *run, const struct value_object *object, struct value item,
                                   bool *out)
{
    if (object->type->contains)
        return object->type->contains(run, object->ctx, item, out);
    *out = false;
    if (!object->type->get || !value_is_text(item))
        return OK;
    struct value found;
    enum err err = object->type->get(run, object->ctx, item.str->data, item.str->len_bytes, &found);
    *out = err == OK;
    return err == ERR_NOT_FOUND ? OK : err;
}

enum err value_contains(struct jinja_run *run, struct value container, struct value item, bool *out)
{
    *out = false;
    switch (container.kind) {
    case VALUE_LIST:
    case VALUE_TUPLE:
        return contains_in_list(run, container, item, out);
    case VALUE_DICT:
        *out = dict_find(run, container, item) != NULL;
        if (!run->has_failed && !*out && container.dict->count == 0) {
            uint64_t hash;
            return value_hash(run, item, &hash); /* an unhashable key is an error even here */
        }
        return run->has_failed ? ERR_INVALID : OK;
    case VALUE_STR:
    case VALUE_MARKUP:
        if (!value_is_text(item))
            return value_error(run, "TypeError", "'in <string>' requires string as left operand, not %s",
                               value_type_name(item));
        if (!run_charge(run, value_work(container) + value_work(item)))
            return ERR_LIMIT;
        *out = memmem(container.str->data, container.str->len_bytes, item.str->data, item.str->len_bytes) != NULL;
        return OK;
    case VALUE_RANGE:
        *out = contains_in_range(container, item);
        return OK;
    case VALUE_ITERATOR:
        return contains_in_iterator(run, container, item, out);
    case VALUE_BYTES:
        return contains_in_bytes(run, container.str, item, out);
    case VALUE_OBJECT:
        return contains_in_object(run, container.object, item, out);
    case VALUE_UNDEFINED:
        return OK; /* nothing is in it */
    default:
        return value_error(run, "TypeError", "argument of type '%s' is not iterable", value_type_name(container));
    }
}

/* ------------------------------------------------------------------------------------------------------- [] and . */

static struct value text_item(struct jinja_run *run, struct value v, size_t index)
{
    bool is_ascii = v.str->count == v.str->len_bytes;
    (void)run_charge(run, is_ascii ? 0 : index >> 6);
    size_t begin = str_offset(v.str, index), end = begin + 1;
    while (((unsigned char)v.str->data[end] & 0xc0) == 0x80)
        end++;
    return value_as(v.kind, value_str(run, v.str->data + begin, end - begin));
}

/* v[i] of a sequence; false: not in it. */
static bool item_by_index(struct jinja_run *run, struct value v, int64_t index, struct value *out)
{
    int64_t count;
    if (value_length(run, v, &count) != OK)
        return false;
    if (index < 0)
        index += count;
    if (index < 0 || index >= count)
        return false;
    if (v.kind == VALUE_RANGE)
        *out = value_range_item(v, index);
    else if (v.kind == VALUE_BYTES)
        *out = value_int((unsigned char)v.str->data[index]);
    else if (value_is_text(v))
        *out = text_item(run, v, (size_t)index);
    else
        *out = v.seq->items[index];
    return true;
}

/* "'dict object' has no attribute 'x'": what Jinja2 says when such an undefined value is used. */
static struct value undefined_member(struct jinja_run *run, struct value v, struct value key)
{
    struct strbuf sb;
    strbuf_init(&sb);
    const char *type = v.kind == VALUE_NONE ? "None" : value_type_name(v);
    if (value_is_text(key)) {
        strbuf_addf(&sb, "'%s%s' has no attribute '%.100s'", type, v.kind == VALUE_NONE ? "" : " object",
                    key.str->data);
    } else {
        strbuf_addf(&sb, "%s%s has no element ", type, v.kind == VALUE_NONE ? "" : " object");
        if (value_repr(run, key, &sb) != OK)
            strbuf_adds(&sb, "?");
    }
    struct value undefined = value_undefined_hint(run, sb.data);
    strbuf_deinit(&sb);
    return undefined;
}

static bool is_indexable(struct value v)
{
    return v.kind == VALUE_LIST || v.kind == VALUE_TUPLE || v.kind == VALUE_RANGE || v.kind == VALUE_BYTES ||
           value_is_text(v);
}

/* The item v[key]; ERR_NOT_FOUND: it has none. */
static enum err find_item(struct jinja_run *run, struct value v, struct value key, struct value *out)
{
    if (v.kind == VALUE_DICT) {
        if (!value_is_hashable(key))
            return ERR_NOT_FOUND;
        const struct dict_entry *entry = dict_find(run, v, key);
        if (run->has_failed)
            return ERR_INVALID;
        if (!entry)
            return ERR_NOT_FOUND;
        *out = entry->item;
        return OK;
    }
    if (v.kind == VALUE_OBJECT && v.object->type->get && value_is_text(key))
        return v.object->type->get(run, v.object->ctx, key.str->data, key.str->len_bytes, out);
    if (is_indexable(v) && value_is_integer(key))
        return item_by_index(run, v, value_integer(key), out) ? OK : run->has_failed ? ERR_INVALID : ERR_NOT_FOUND;
    return ERR_NOT_FOUND;
}

/* The attribute v.name; ERR_NOT_FOUND. */
static enum err find_attribute(struct jinja_run *run, struct value v, const char *name, size_t len_bytes,
                               struct value *out)
{
    if (v.kind == VALUE_NAMESPACE) {
        const struct dict_entry *entry = dict_find(run, v, value_str(run, name, len_bytes));
        if (entry)
            *out = entry->item;
        return entry ? OK : run->has_failed ? ERR_INVALID : ERR_NOT_FOUND;
    }
    for (size_t i = 0;
         v.kind == VALUE_TUPLE && v.seq->names && i < v.seq->count && i < ARRAY_COUNT(v.seq->names->parts); i++) {
        const char *part = v.seq->names->parts[i];
        if (part && strlen(part) == len_bytes && memcmp(part, name, len_bytes) == 0) {
            *out = v.seq->items[i];
            return OK;
        }
    }
    if (v.kind == VALUE_OBJECT && v.object->type->get) {
        enum err err = v.object->type->get(run, v.object->ctx, name, len_bytes, out);
        if (err != ERR_NOT_FOUND)
            return err;
    }
    return value_method(run, v, name, len_bytes, out);
}

enum err value_subscript(struct jinja_run *run, struct value v, struct value key, struct value *out)
{
    if (v.kind == VALUE_UNDEFINED)
        return value_fail_undefined(run, v);
    enum err err = find_item(run, v, key, out);
    if (err == ERR_NOT_FOUND && value_is_text(key))
        err = find_attribute(run, v, key.str->data, key.str->len_bytes, out);
    if (err != ERR_NOT_FOUND)
        return err;
    *out = undefined_member(run, v, key);
    return run->has_failed ? ERR_LIMIT : OK;
}

enum err value_attribute(struct jinja_run *run, struct value v, const char *name, size_t len_bytes, struct value *out)
{
    if (v.kind == VALUE_UNDEFINED)
        return value_fail_undefined(run, v);
    enum err err = find_attribute(run, v, name, len_bytes, out);
    if (err != ERR_NOT_FOUND)
        return err;
    struct value key = value_str(run, name, len_bytes);
    err = find_item(run, v, key, out);
    if (err != ERR_NOT_FOUND)
        return err;
    *out = undefined_member(run, v, key);
    return run->has_failed ? ERR_LIMIT : OK;
}

/* ---------------------------------------------------------------------------------------------------------- slices */

static bool slice_part(struct jinja_run *run, struct value v, bool *is_given, int64_t *out)
{
    *is_given = v.kind != VALUE_NONE;
    if (!*is_given)
        return true;
    if (!value_is_integer(v)) {
        (void)value_error(run, "TypeError", "slice indices must be integers or None or have an __index__ method");
        return false;
    }
    *out = value_integer(v);
    return true;
}

static int64_t clamp_index(int64_t index, int64_t count, int64_t lowest, int64_t highest)
{
    if (index < 0) {
        index = index < -count ? lowest : index + count;
        return index < lowest ? lowest : index;
    }
    return index > highest ? highest : index;
}

/* Start, number and step of the items of v[start:stop:step], by Python's rules. */
static bool slice_bounds(struct jinja_run *run, int64_t count, const struct value parts[3], int64_t *start,
                         int64_t *number, int64_t *step)
{
    bool has_start, has_stop, has_step;
    int64_t stop = 0;
    if (!slice_part(run, parts[0], &has_start, start) || !slice_part(run, parts[1], &has_stop, &stop) ||
        !slice_part(run, parts[2], &has_step, step))
        return false;
    if (!has_step)
        *step = 1;
    if (*step == 0) {
        (void)value_error(run, "ValueError", "slice step cannot be zero");
        return false;
    }
    bool is_up = *step > 0;
    int64_t lowest = is_up ? 0 : -1, highest = is_up ? count : count - 1;
    *start = has_start ? clamp_index(*start, count, lowest, highest) : is_up ? 0 : count - 1;
    stop = has_stop ? clamp_index(stop, count, lowest, highest) : is_up ? count : -1;
    __int128 span = is_up ? (__int128)stop - *start : (__int128)*start - stop;
    __int128 size = is_up ? *step : -(__int128)*step;
    *number = span <= 0 ? 0 : (int64_t)((span + size - 1) / size);
    return true;
}

/* The character `step` further on; there is one. */
static const char *walk(const char *p, int64_t step)
{
    for (; step > 0; step--)
        (void)text_next(&p);
    for (; step < 0; step++)
        do
            p--;
        while (((unsigned char)*p & 0xc0) == 0x80);
    return p;
}

static enum err slice_text(struct jinja_run *run, struct value v, int64_t start, int64_t number, int64_t step,
                           struct value *out)
{
    struct strbuf sb;
    strbuf_init(&sb);
    const char *p = v.str->data + (number ? str_offset(v.str, (size_t)start) : 0);
    for (int64_t i = 0; i < number; i++) {
        const char *end = p;
        (void)text_next(&end);
        strbuf_add(&sb, p, (size_t)(end - p));
        if (i + 1 < number)
            p = walk(p, step);
    }
    *out = value_as(v.kind, value_from_strbuf(run, &sb));
    return run->has_failed ? ERR_LIMIT : OK;
}

static enum err slice_bytes(struct jinja_run *run, struct value v, int64_t start, int64_t number, int64_t step,
                            struct value *out)
{
    struct strbuf sb;
    strbuf_init(&sb);
    for (int64_t i = 0; i < number; i++)
        strbuf_addc(&sb, v.str->data[start + i * step]);
    *out = value_bytes(run, sb.data, sb.len_bytes);
    strbuf_deinit(&sb);
    return run->has_failed ? ERR_LIMIT : OK;
}

enum err value_slice(struct jinja_run *run, struct value v, struct value start, struct value stop, struct value step,
                     struct value *out)
{
    if (v.kind == VALUE_UNDEFINED)
        return value_fail_undefined(run, v);
    if (!is_indexable(v)) {
        if (v.kind == VALUE_DICT)
            return value_error(run, "TypeError", "unhashable type: 'slice'");
        return value_error(run, "TypeError", "'%s' object is not subscriptable", value_type_name(v));
    }
    const struct value parts[3] = {start, stop, step};
    int64_t count = 0, first = 0, number = 0, by = 1;
    if (value_length(run, v, &count) != OK || !slice_bounds(run, count, parts, &first, &number, &by) ||
        !run_charge(run, (uint64_t)(v.kind == VALUE_RANGE ? 1 : number)))
        return ERR_INVALID;
    if (v.kind == VALUE_BYTES)
        return slice_bytes(run, v, first, number, by, out);
    if (value_is_text(v))
        return slice_text(run, v, first, number, by, out);
    if (v.kind == VALUE_RANGE) {
        struct value_range *range = run_alloc(run, sizeof *range);
        if (!range)
            return ERR_LIMIT;
        range->start = v.range->start + first * v.range->step;
        range->step = v.range->step * by;
        range->stop = range->start + number * range->step;
        *out = (struct value){.kind = VALUE_RANGE, .range = range};
        return OK;
    }
    struct value seq = value_tuple(run, (size_t)number);
    for (size_t i = 0; i < seq.seq->count; i++)
        seq.seq->items[i] = v.seq->items[first + (int64_t)i * by];
    seq.kind = v.kind;
    *out = seq;
    return run->has_failed ? ERR_LIMIT : OK;
}
