/* Making values, dictionaries and iteration. */
#include "server/gcode/template/methods.h"
#include "server/gcode/template/value_private.h"

#include "base/check.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

#define DICT_FIRST 8

/* ----------------------------------------------------------------------------------------------------------- texts */

/* Copy with bytes that are no UTF-8 replaced; counts code points. */
static void copy_utf8(struct strbuf *out, const char *text, size_t len_bytes, size_t *count)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + len_bytes;
    while (p < end) {
        size_t len = utf8_sequence(p, (size_t)(end - p));
        if (len)
            strbuf_add(out, (const char *)p, len);
        else
            strbuf_add(out, "\xef\xbf\xbd", 3);
        p += len ? len : 1;
        (*count)++;
    }
}

/* Number of code points, or SIZE_MAX if the text is not UTF-8. */
static size_t count_utf8(const char *text, size_t len_bytes)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + len_bytes;
    size_t count = 0;
    while (p < end) {
        size_t len = *p < 0x80 ? 1 : utf8_sequence(p, (size_t)(end - p));
        if (!len)
            return SIZE_MAX;
        p += len;
        count++;
    }
    return count;
}

static struct value make_text(struct jinja_run *run, enum value_kind kind, const char *text, size_t len_bytes)
{
    static const struct value_str empty = {.data = ""};
    struct value v = {.kind = kind, .str = &empty};
    size_t count = count_utf8(text, len_bytes);
    struct strbuf clean;
    strbuf_init(&clean);
    if (count == SIZE_MAX) {
        count = 0;
        copy_utf8(&clean, text, len_bytes, &count);
        text = clean.data;
        len_bytes = clean.len_bytes;
    }
    struct value_str *str = run_alloc(run, sizeof *str + len_bytes + 1);
    if (str) {
        char *data = (char *)(str + 1);
        memcpy(data, text, len_bytes);
        *str = (struct value_str){.len_bytes = len_bytes, .count = count, .data = data};
        v.str = str;
    }
    strbuf_deinit(&clean);
    return v;
}

struct value value_str(struct jinja_run *run, const char *text, size_t len_bytes)
{
    return make_text(run, VALUE_STR, text, len_bytes);
}

struct value value_cstr(struct jinja_run *run, const char *text)
{
    return value_str(run, text, strlen(text));
}

struct value value_markup(struct jinja_run *run, const char *text, size_t len_bytes)
{
    return make_text(run, VALUE_MARKUP, text, len_bytes);
}

struct value value_bytes(struct jinja_run *run, const void *data, size_t len_bytes)
{
    static const struct value_str empty = {.data = ""};
    struct value v = {.kind = VALUE_BYTES, .str = &empty};
    struct value_str *str = run_alloc(run, sizeof *str + len_bytes + 1);
    if (str) {
        if (len_bytes)
            memcpy(str + 1, data, len_bytes);
        *str = (struct value_str){.len_bytes = len_bytes, .count = len_bytes, .data = (const char *)(str + 1)};
        v.str = str;
    }
    return v;
}

struct value value_from_strbuf(struct jinja_run *run, struct strbuf *sb)
{
    struct value v = value_str(run, sb->data, sb->len_bytes);
    strbuf_deinit(sb);
    return v;
}

size_t str_offset(const struct value_str *str, size_t index)
{
    if (str->count == str->len_bytes)
        return index;
    size_t offset = 0;
    while (index > 0) {
        offset++;
        while (((unsigned char)str->data[offset] & 0xc0) == 0x80)
            offset++;
        index--;
    }
    return offset;
}

/* An undefined value keeps the text of its UndefinedError. */
struct value value_undefined_hint(struct jinja_run *run, const char *hint)
{
    struct value v = value_cstr(run, hint);
    v.kind = VALUE_UNDEFINED;
    return v;
}

struct value value_undefined(struct jinja_run *run, const char *name)
{
    char text[200];
    (void)snprintf(text, sizeof text, "'%.150s' is undefined", name);
    return value_undefined_hint(run, text);
}

const char *value_undefined_text(struct value undefined)
{
    return undefined.str->data;
}

enum err value_fail_undefined(struct jinja_run *run, struct value undefined)
{
    return value_error(run, "UndefinedError", "%s", value_undefined_text(undefined));
}

/* ------------------------------------------------------------------------------------------------------- sequences */

static struct value make_seq(struct jinja_run *run, enum value_kind kind, size_t count)
{
    static struct value_seq none; /* never written: only a failed render has it */
    struct value v = {.kind = kind, .seq = &none};
    struct value_seq *seq = run_alloc(run, sizeof *seq);
    if (seq && count && run_has_room(run, count * sizeof *seq->items)) {
        seq->items = run_alloc(run, count * sizeof *seq->items);
        seq->count = seq->capacity = seq->items ? count : 0;
        for (size_t i = 0; i < seq->count; i++)
            seq->items[i] = value_none();
    }
    if (seq)
        v.seq = seq;
    return v;
}

struct value value_list(struct jinja_run *run)
{
    return make_seq(run, VALUE_LIST, 0);
}

struct value value_tuple(struct jinja_run *run, size_t count)
{
    return make_seq(run, VALUE_TUPLE, count);
}

struct value value_named_tuple(struct jinja_run *run, struct value list, const struct value_tuple_names *names)
{
    struct value v = value_tuple(run, list.seq->count);
    for (size_t i = 0; i < v.seq->count; i++)
        v.seq->items[i] = list.seq->items[i];
    if (!run->has_failed)
        v.seq->names = names;
    return v;
}

bool value_append(struct jinja_run *run, struct value list, struct value item)
{
    struct value_seq *seq = list.seq;
    if (run->has_failed)
        return false;
    if (seq->count == seq->capacity) {
        size_t capacity = seq->capacity ? seq->capacity * 2 : 4;
        struct value *items = run_alloc(run, capacity * sizeof *items);
        if (!items)
            return false;
        if (seq->count)
            memcpy(items, seq->items, seq->count * sizeof *items);
        seq->items = items;
        seq->capacity = capacity;
    }
    seq->items[seq->count++] = item;
    return true;
}

/* ---------------------------------------------------------------------------------------------------- dictionaries */

static struct value make_dict(struct jinja_run *run, enum value_kind kind)
{
    static struct value_dict none;
    struct value v = {.kind = kind, .dict = &none};
    struct value_dict *dict = run_alloc(run, sizeof *dict);
    if (dict)
        v.dict = dict;
    return v;
}

struct value value_dict(struct jinja_run *run)
{
    return make_dict(run, VALUE_DICT);
}

/* The slot of `key` in the index: of its entry, or the empty one where it would go. SIZE_MAX: comparing failed. */
static size_t find_slot(struct jinja_run *run, const struct value_dict *dict, struct value key, uint64_t hash)
{
    size_t mask = dict->index_size - 1, slot = (size_t)hash & mask;
    while (dict->index[slot]) {
        const struct dict_entry *entry = &dict->entries[dict->index[slot] - 1];
        bool is_equal = false;
        if (entry->is_there && entry->hash == hash && value_equal(run, entry->key, key, &is_equal) != OK)
            return SIZE_MAX;
        if (is_equal)
            return slot;
        slot = (slot + 1) & mask;
    }
    return slot;
}

static bool dict_grow(struct jinja_run *run, struct value_dict *dict)
{
    size_t capacity = dict->count * 2 > DICT_FIRST ? dict->count * 2 : DICT_FIRST, index_size = 16;
    while (index_size < capacity * 2)
        index_size *= 2;
    struct dict_entry *entries = run_alloc(run, capacity * sizeof *entries);
    uint32_t *index = run_alloc(run, index_size * sizeof *index);
    if (!entries || !index)
        return false;
    size_t used = 0;
    for (size_t i = 0; i < dict->used; i++) {
        if (!dict->entries[i].is_there)
            continue;
        entries[used] = dict->entries[i];
        size_t slot = (size_t)entries[used].hash & (index_size - 1);
        while (index[slot])
            slot = (slot + 1) & (index_size - 1);
        index[slot] = (uint32_t)++used;
    }
    *dict = (struct value_dict){.entries = entries,
                                .index = index,
                                .count = used,
                                .used = used,
                                .capacity = capacity,
                                .index_size = index_size};
    return true;
}

struct dict_entry *dict_find(struct jinja_run *run, struct value dict, struct value key)
{
    uint64_t hash;
    if (dict.dict->count == 0 || value_hash(run, key, &hash) != OK)
        return NULL;
    size_t slot = find_slot(run, dict.dict, key, hash);
    return slot == SIZE_MAX || !dict.dict->index[slot] ? NULL : &dict.dict->entries[dict.dict->index[slot] - 1];
}

bool value_set_item(struct jinja_run *run, struct value dict, struct value key, struct value item)
{
    struct value_dict *d = dict.dict;
    uint64_t hash;
    if (run->has_failed || value_hash(run, key, &hash) != OK)
        return false;
    if (d->used == d->capacity && !dict_grow(run, d))
        return false;
    size_t slot = find_slot(run, d, key, hash);
    if (slot == SIZE_MAX)
        return false;
    if (d->index[slot]) {
        d->entries[d->index[slot] - 1].item = item;
        return true;
    }
    d->entries[d->used] = (struct dict_entry){.key = key, .item = item, .hash = hash, .is_there = true};
    d->index[slot] = (uint32_t)++d->used;
    d->count++;
    return true;
}

bool value_set_text(struct jinja_run *run, struct value dict, const char *key, struct value item)
{
    return value_set_item(run, dict, value_cstr(run, key), item);
}

bool dict_remove(struct jinja_run *run, struct value dict, struct value key, struct value *item)
{
    struct dict_entry *entry = dict_find(run, dict, key);
    if (!entry)
        return false;
    *item = entry->item;
    entry->is_there = false; /* its index slot stays taken, so that probing goes on past it */
    dict.dict->count--;
    return true;
}

void dict_clear(struct value dict)
{
    *dict.dict = (struct value_dict){0};
}

/* ------------------------------------------------------------------------------------------------ functions, objects
 */

struct value value_object(struct jinja_run *run, const struct value_object_type *type, void *ctx)
{
    struct value_object *object = run_alloc(run, sizeof *object);
    if (!object)
        return value_none();
    *object = (struct value_object){.type = type, .ctx = ctx};
    return (struct value){.kind = VALUE_OBJECT, .object = object};
}

struct value value_native(struct jinja_run *run, const char *name, value_native_fn *fn, void *ctx)
{
    struct value_function *f = run_alloc(run, sizeof *f);
    if (!f)
        return value_none();
    *f = (struct value_function){.name = name, .fn = fn, .ctx = ctx};
    return (struct value){.kind = VALUE_FUNCTION, .function = f};
}

/* ------------------------------------------------------------------------------------------------------- iteration */

int64_t value_range_count(struct value range)
{
    const struct value_range *r = range.range;
    /* In 128 bits: the span of two 64-bit numbers does not fit into one. */
    __int128 span = r->step > 0 ? (__int128)r->stop - r->start : (__int128)r->start - r->stop;
    __int128 step = r->step > 0 ? r->step : -(__int128)r->step;
    if (span <= 0)
        return 0;
    __int128 count = (span + step - 1) / step;
    return count > INT64_MAX ? INT64_MAX : (int64_t)count;
}

struct value value_range_item(struct value range, int64_t index)
{
    return value_int(range.range->start + index * range.range->step);
}

struct value value_iterator_over(struct jinja_run *run, struct value list, const char *type_name)
{
    struct value_iterator *iterator = run_alloc(run, sizeof *iterator);
    if (!iterator)
        return value_none();
    *iterator = (struct value_iterator){.list = list, .type_name = type_name};
    return (struct value){.kind = VALUE_ITERATOR, .iterator = iterator};
}

struct value value_view(struct jinja_run *run, struct value dict, enum dict_part part)
{
    static const char *const names[] = {"dict_keys", "dict_values", "dict_items"};
    struct value view = value_iterator_over(run, dict, names[part]);
    if (view.kind == VALUE_ITERATOR) {
        view.iterator->is_view = true;
        view.iterator->part = part;
    }
    return view;
}

struct value value_generator(struct jinja_run *run, const char *name, iterator_next_fn *pull, void *state)
{
    struct value v = value_iterator_over(run, value_none(), "generator");
    if (v.kind == VALUE_ITERATOR) {
        v.iterator->name = name;
        v.iterator->pull = pull;
        v.iterator->state = state;
    }
    return v;
}

enum err value_iterator_next(struct jinja_run *run, struct value_iterator *it, struct value *item, bool *is_there)
{
    *is_there = false;
    if (!run_charge(run, 1))
        return ERR_LIMIT;
    if (it->pull)
        return it->pull(run, it->state, item, is_there);
    *is_there = it->next < it->list.seq->count;
    if (*is_there)
        *item = it->list.seq->items[it->next++];
    return OK;
}

static enum err iterate_view(struct jinja_run *run, const struct value_iterator *view, struct value *out)
{
    if (view->part == DICT_ITEMS)
        return value_items(run, view->list, out);
    DICT_FOREACH(entry, view->list)
    (void)value_append(run, *out, view->part == DICT_KEYS ? entry->key : entry->item);
    return run->has_failed ? ERR_LIMIT : OK;
}

static enum err iterate_rest(struct jinja_run *run, struct value_iterator *it, struct value list)
{
    for (;;) {
        struct value item;
        bool is_there;
        enum err err = value_iterator_next(run, it, &item, &is_there);
        if (err != OK || !is_there)
            return err;
        if (!value_append(run, list, item))
            return ERR_LIMIT;
    }
}

static enum err iterate_text(struct jinja_run *run, const struct value_str *str, struct value list)
{
    size_t at = 0;
    for (size_t i = 0; i < str->count && !run->has_failed; i++) {
        size_t next = at + 1;
        while (((unsigned char)str->data[next] & 0xc0) == 0x80)
            next++;
        (void)value_append(run, list, value_str(run, str->data + at, next - at));
        at = next;
    }
    return run->has_failed ? ERR_LIMIT : OK;
}

static enum err iterate_range(struct jinja_run *run, struct value range, struct value list)
{
    int64_t count = value_range_count(range);
    if (count < 0 || (uint64_t)count > SIZE_MAX / sizeof(struct value) ||
        !run_has_room(run, (size_t)count * sizeof(struct value)))
        return ERR_LIMIT;
    for (int64_t i = 0; i < count && run_charge(run, 1); i++)
        (void)value_append(run, list, value_range_item(range, i));
    return run->has_failed ? ERR_LIMIT : OK;
}

enum err value_iterate(struct jinja_run *run, struct value v, struct value *out)
{
    struct value list = value_list(run);
    *out = list;
    if (run->has_failed)
        return ERR_LIMIT;
    switch (v.kind) {
    case VALUE_LIST:
    case VALUE_TUPLE:
        for (size_t i = 0; i < v.seq->count && !run->has_failed; i++)
            (void)value_append(run, list, v.seq->items[i]);
        break;
    case VALUE_DICT:
        DICT_FOREACH(entry, v)
        (void)value_append(run, list, entry->key);
        break;
    case VALUE_STR:
    case VALUE_MARKUP:
        return iterate_text(run, v.str, list);
    case VALUE_RANGE:
        return iterate_range(run, v, list);
    case VALUE_ITERATOR:
        return v.iterator->is_view ? iterate_view(run, v.iterator, out) : iterate_rest(run, v.iterator, list);
    case VALUE_BYTES:
        for (size_t i = 0; i < v.str->len_bytes && !run->has_failed; i++)
            (void)value_append(run, list, value_int((unsigned char)v.str->data[i]));
        break;
    case VALUE_UNDEFINED:
        break; /* nothing */
    case VALUE_OBJECT:
        if (v.object->type->rest)
            return v.object->type->rest(run, v.object->ctx, out);
        if (v.object->type->keys)
            return v.object->type->keys(run, v.object->ctx, out);
        /* fall through */
    default:
        return value_error(run, "TypeError", "'%s' object is not iterable", value_type_name(v));
    }
    return run->has_failed ? ERR_LIMIT : OK;
}

static enum err object_items(struct jinja_run *run, const struct value_object *object, struct value list)
{
    struct value keys;
    enum err err = object->type->keys(run, object->ctx, &keys);
    for (size_t i = 0; err == OK && i < keys.seq->count; i++) {
        struct value pair = value_tuple(run, 2), item = value_none();
        if (run->has_failed)
            return ERR_LIMIT;
        const struct value_str *key = keys.seq->items[i].str;
        err = object->type->get(run, object->ctx, key->data, key->len_bytes, &item);
        pair.seq->items[0] = keys.seq->items[i];
        pair.seq->items[1] = item;
        (void)value_append(run, list, pair);
    }
    return run->has_failed ? ERR_LIMIT : err;
}

enum err value_items(struct jinja_run *run, struct value v, struct value *out)
{
    struct value list = value_list(run);
    *out = list;
    if (v.kind == VALUE_OBJECT && v.object->type->keys && v.object->type->get)
        return object_items(run, v.object, list);
    if (v.kind != VALUE_DICT && v.kind != VALUE_NAMESPACE)
        return value_error(run, "TypeError", "Can only get item pairs from a mapping.");
    DICT_FOREACH(entry, v)
    {
        struct value pair = value_tuple(run, 2);
        if (run->has_failed)
            return ERR_LIMIT;
        pair.seq->items[0] = entry->key;
        pair.seq->items[1] = entry->item;
        (void)value_append(run, list, pair);
    }
    return run->has_failed ? ERR_LIMIT : OK;
}

enum err value_object_dict(struct jinja_run *run, struct value object, struct value *out)
{
    struct value items;
    *out = value_dict(run);
    enum err err = value_items(run, object, &items);
    for (size_t i = 0; err == OK && i < items.seq->count; i++)
        if (!value_set_item(run, *out, items.seq->items[i].seq->items[0], items.seq->items[i].seq->items[1]))
            err = ERR_LIMIT;
    return err;
}

enum err value_length(struct jinja_run *run, struct value v, int64_t *out)
{
    switch (v.kind) {
    case VALUE_STR:
    case VALUE_MARKUP:
    case VALUE_BYTES:
        *out = (int64_t)v.str->count;
        return OK;
    case VALUE_LIST:
    case VALUE_TUPLE:
        *out = (int64_t)v.seq->count;
        return OK;
    case VALUE_DICT:
        *out = (int64_t)v.dict->count;
        return OK;
    case VALUE_RANGE:
        *out = value_range_count(v);
        return OK;
    case VALUE_UNDEFINED:
        *out = 0;
        return OK;
    case VALUE_ITERATOR:
        if (!v.iterator->is_view)
            return value_error(run, "TypeError", "object of type '%s' has no len()", value_type_name(v));
        *out = (int64_t)v.iterator->list.dict->count;
        return OK;
    case VALUE_OBJECT:
        if (v.object->type->length) {
            *out = v.object->type->length(v.object->ctx);
            return OK;
        }
        if (v.object->type->keys) {
            struct value keys;
            enum err err = v.object->type->keys(run, v.object->ctx, &keys);
            *out = err == OK ? (int64_t)keys.seq->count : 0;
            return err;
        }
        /* fall through */
    default:
        return value_error(run, "TypeError", "object of type '%s' has no len()", value_type_name(v));
    }
}
