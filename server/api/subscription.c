#include "server/api/subscription.h"

#include "base/mem.h"

#include <string.h>

struct wanted_field {
    const char *name; /* into the subscription's arena */
    size_t len;
};

struct wanted {
    const char *name;
    size_t len;
    struct wanted_field *fields; /* NULL: all */
    size_t field_count;
};

struct subscription {
    struct arena arena;
    struct wanted *wanted;
    size_t count;
    uint64_t version; /* of the snapshot written last */
    uint64_t generation;
};

static enum err read_fields(struct subscription *sub, const json_t *list, struct wanted *out, struct err_info *info)
{
    size_t count = json_array_size(list);
    if (!json_is_array(list))
        return err_set(info, ERR_INVALID, "Invalid argument: the fields of an object must be a list or null");
    if (count > SUBSCRIPTION_FIELDS_MAX)
        return err_set(info, ERR_LIMIT, "More than %d fields of one object", SUBSCRIPTION_FIELDS_MAX);
    out->fields = arena_alloc(&sub->arena, (count ? count : 1) * sizeof *out->fields);
    for (size_t i = 0; i < count; i++) {
        const json_t *name = json_array_get(list, i);
        if (!json_is_string(name))
            return err_set(info, ERR_INVALID, "Invalid argument: the fields of an object must be texts");
        out->fields[i].len = json_string_length(name);
        out->fields[i].name = arena_strndup(&sub->arena, json_string_value(name), out->fields[i].len);
    }
    out->field_count = count;
    return OK;
}

enum err subscription_create(const json_t *objects, struct subscription **out, struct err_info *info)
{
    if (!json_is_object(objects))
        return err_set(info, ERR_INVALID, "Invalid argument: objects must be an object");
    if (json_object_size(objects) > SUBSCRIPTION_OBJECTS_MAX)
        return err_set(info, ERR_LIMIT, "More than %d objects", SUBSCRIPTION_OBJECTS_MAX);
    struct subscription *sub = MEM_NEW(struct subscription);
    arena_init(&sub->arena, 0);
    sub->wanted = MEM_ARRAY(struct wanted, json_object_size(objects) + 1);
    const char *name;
    json_t *fields;
    enum err err = OK;
    json_object_foreach((json_t *)objects, name, fields) {
        struct wanted *wanted = &sub->wanted[sub->count++];
        wanted->len = strlen(name);
        wanted->name = arena_strndup(&sub->arena, name, wanted->len);
        if (!json_is_null(fields))
            err = read_fields(sub, fields, wanted, info);
        if (err)
            break;
    }
    if (err) {
        subscription_destroy(sub);
        return err;
    }
    *out = sub;
    return OK;
}

void subscription_destroy(struct subscription *sub)
{
    if (!sub)
        return;
    arena_deinit(&sub->arena);
    mem_free(sub->wanted);
    mem_free(sub);
}

size_t subscription_object_count(const struct subscription *sub)
{
    return sub->count;
}

static void add_key(struct strbuf *out, const char *name, size_t len)
{
    char last = out->data[out->len_bytes - 1];
    if (last != '{')
        strbuf_addc(out, ',');
    strbuf_add_json_string(out, name, len);
    strbuf_addc(out, ':');
}

static void add_field(struct strbuf *out, const struct status_field *field)
{
    add_key(out, field->name, field->name_len);
    strbuf_add(out, field->json, field->json_len);
}

static void write_object(const struct wanted *wanted, const struct status_object *object, struct strbuf *out)
{
    add_key(out, wanted->name, wanted->len);
    strbuf_addc(out, '{');
    if (object && !wanted->fields)
        for (size_t i = 0; i < object->field_count; i++)
            add_field(out, &object->fields[i]);
    for (size_t i = 0; object && i < wanted->field_count; i++) {
        const struct wanted_field *want = &wanted->fields[i];
        const struct status_field *field = status_find_field(object, want->name, want->len);
        if (field) {
            add_field(out, field);
        } else {
            add_key(out, want->name, want->len);
            strbuf_adds(out, "null");
        }
    }
    strbuf_addc(out, '}');
}

void subscription_write_all(struct subscription *sub, const struct status_snapshot *snapshot, struct strbuf *out)
{
    strbuf_addc(out, '{');
    for (size_t i = 0; i < sub->count; i++)
        write_object(&sub->wanted[i], status_find(snapshot, sub->wanted[i].name, sub->wanted[i].len), out);
    strbuf_addc(out, '}');
    sub->version = snapshot->version;
    sub->generation = snapshot->generation;
}

/* Append the object's key when its first changed field comes. */
static void add_changed(struct strbuf *out, const struct wanted *wanted, const struct status_field *field, bool *is_open)
{
    if (!*is_open) {
        add_key(out, wanted->name, wanted->len);
        strbuf_addc(out, '{');
        *is_open = true;
    }
    add_field(out, field);
}

bool subscription_write_changes(struct subscription *sub, const struct status_snapshot *snapshot, struct strbuf *out)
{
    if (snapshot->version == sub->version)
        return false;
    uint64_t since = snapshot->generation == sub->generation ? sub->version : 0;
    size_t start_bytes = out->len_bytes;
    bool any = false;
    strbuf_addc(out, '{');
    for (size_t i = 0; i < sub->count; i++) {
        const struct wanted *wanted = &sub->wanted[i];
        const struct status_object *object = status_find(snapshot, wanted->name, wanted->len);
        if (!object || object->version <= since)
            continue;
        bool is_open = false;
        size_t count = wanted->fields ? wanted->field_count : object->field_count;
        for (size_t k = 0; k < count; k++) {
            const struct status_field *field =
                wanted->fields ? status_find_field(object, wanted->fields[k].name, wanted->fields[k].len)
                               : &object->fields[k];
            if (field && field->version > since)
                add_changed(out, wanted, field, &is_open);
        }
        if (is_open)
            strbuf_addc(out, '}');
        any = any || is_open;
    }
    strbuf_addc(out, '}');
    sub->version = snapshot->version;
    sub->generation = snapshot->generation;
    if (!any) {
        out->len_bytes = start_bytes;
        out->data[start_bytes] = 0;
    }
    return any;
}
