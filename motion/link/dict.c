#include "motion/link/dict_impl.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Enough for every limit of dict.h to be met by its own message, not by the arena's. */
#define DICT_ARENA_BYTES_MAX (64u * 1024 * 1024)

static struct dict *dict_create(void)
{
    struct dict *dict = MEM_NEW(struct dict);
    arena_init(&dict->arena, DICT_ARENA_BYTES_MAX);
    strmap_init(&dict->constant_names);
    strmap_init(&dict->commands);
    strmap_init(&dict->responses);
    strmap_init(&dict->command_names);
    strmap_init(&dict->response_names);
    return dict;
}

void dict_destroy(struct dict *dict)
{
    if (!dict)
        return;
    for (size_t i = 0; i < dict->enum_count; i++)
        strmap_deinit(&dict->enums[i].names);
    strmap_deinit(&dict->constant_names);
    strmap_deinit(&dict->commands);
    strmap_deinit(&dict->responses);
    strmap_deinit(&dict->command_names);
    strmap_deinit(&dict->response_names);
    arena_deinit(&dict->arena);
    mem_free(dict);
}

/* Does a field called `field` carry values of enumeration `name`? Equal, or ending in "_name". */
static bool field_takes_enum(const char *field, const char *name)
{
    size_t field_len = strlen(field), name_len = strlen(name);
    if (field_len < name_len || strcmp(field + field_len - name_len, name) != 0)
        return false;
    return field_len == name_len || field[field_len - name_len - 1] == '_';
}

/* The longest name wins: "i2c_bus_status" before a hypothetical "status". */
static int find_field_enum(const struct dict *dict, const char *field)
{
    int best = -1;
    size_t best_len = 0;
    for (size_t i = 0; i < dict->enum_count; i++) {
        size_t len = strlen(dict->enums[i].name);
        if (len > best_len && field_takes_enum(field, dict->enums[i].name)) {
            best = (int)i;
            best_len = len;
        }
    }
    return best;
}

static void link_enums(struct dict *dict)
{
    for (size_t i = 0; i < dict->format_count; i++)
        for (unsigned f = 0; f < dict->formats[i].field_count; f++)
            if (dict->formats[i].fields[f].kind != MSGFMT_BUFFER)
                dict->formats[i].fields[f].enum_index = find_field_enum(dict, dict->formats[i].fields[f].name);
}

static enum err index_numbers(struct dict *dict, struct err_info *info)
{
    int last = 0;
    for (size_t i = 0; i < dict->format_count; i++) {
        int number = msgfmt_id_number(&dict->formats[i]);
        last = number > last ? number : last;
    }
    dict->number_count = (size_t)last + 1;
    dict->by_number = arena_alloc(&dict->arena, dict->number_count * sizeof(*dict->by_number));
    for (size_t i = 0; i < dict->format_count; i++) {
        const struct board_format *format = &dict->formats[i];
        const struct board_format **slot = &dict->by_number[msgfmt_id_number(format)];
        if (*slot)
            return err_set(info, ERR_INVALID, "data dictionary: '%.80s' and '%.80s' have the same number %" PRId32,
                           (*slot)->text, format->text, (int32_t)format->id);
        *slot = format;
    }
    return OK;
}

enum err dict_parse_json(const char *json, size_t json_bytes, struct dict **dict, struct err_info *info)
{
    struct dict *d = dict_create();
    enum err err = dict_read_json(d, json, json_bytes, info);
    if (!err)
        err = index_numbers(d, info);
    if (err) {
        dict_destroy(d);
        return err;
    }
    link_enums(d);
    *dict = d;
    return OK;
}

enum err dict_parse_blob(const uint8_t *blob, size_t blob_bytes, struct dict **dict, struct err_info *info)
{
    char *json;
    size_t json_bytes;
    enum err err = dict_inflate(blob, blob_bytes, &json, &json_bytes, info);
    if (err)
        return err;
    err = dict_parse_json(json, json_bytes, dict, info);
    mem_free(json);
    return err;
}

const char *dict_version(const struct dict *dict)
{
    return dict->version;
}

const char *dict_build_versions(const struct dict *dict)
{
    return dict->build_versions;
}

const char *dict_app(const struct dict *dict)
{
    return dict->app;
}

size_t dict_constant_count(const struct dict *dict)
{
    return dict->constant_count;
}

const struct dict_constant *dict_constant_at(const struct dict *dict, size_t index)
{
    CHECK(index < dict->constant_count);
    return &dict->constants[index];
}

const struct dict_constant *dict_constant(const struct dict *dict, const char *name)
{
    return strmap_get(&dict->constant_names, name);
}

int dict_enum(const struct dict *dict, const char *name)
{
    for (size_t i = 0; i < dict->enum_count; i++)
        if (strcmp(dict->enums[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* Is `name` one that the range makes? Digits without leading zeros, from the range's first number on. */
static bool range_contains(const struct dict_entry *entry, const char *name, int32_t *value)
{
    if (strncmp(name, entry->name, entry->stem_bytes) != 0)
        return false;
    const char *digits = name + entry->stem_bytes;
    size_t len = strspn(digits, "0123456789");
    if (len == 0 || len > 6 || digits[len] || (digits[0] == '0' && len > 1))
        return false;
    uint32_t number = (uint32_t)strtoul(digits, NULL, 10);
    if (number < entry->first || number - entry->first >= entry->count)
        return false;
    *value = entry->value + (int32_t)(number - entry->first);
    return true;
}

bool dict_enum_value(const struct dict *dict, int enum_index, const char *value_name, int32_t *value)
{
    if (enum_index < 0)
        return false;
    const struct dict_enum *e = &dict->enums[enum_index];
    const struct dict_entry *exact = strmap_get(&e->names, value_name);
    if (exact) {
        *value = exact->value;
        return true;
    }
    for (size_t i = 0; i < e->entry_count; i++)
        if (e->entries[i].count > 1 && range_contains(&e->entries[i], value_name, value))
            return true;
    return false;
}

/* A name the range makes, written to `scratch` unless it is the first. */
static const char *range_name(const struct dict_entry *entry, uint32_t offset, char scratch[64])
{
    if (offset == 0)
        return entry->name;
    snprintf(scratch, 64, "%.*s%" PRIu32, (int)entry->stem_bytes, entry->name, entry->first + offset);
    return scratch;
}

const char *dict_enum_name(const struct dict *dict, int enum_index, int32_t value, char scratch[64])
{
    if (enum_index < 0)
        return NULL;
    const struct dict_enum *e = &dict->enums[enum_index];
    for (size_t i = 0; i < e->entry_count; i++) {
        int64_t offset = (int64_t)value - e->entries[i].value;
        if (offset >= 0 && offset < e->entries[i].count)
            return range_name(&e->entries[i], (uint32_t)offset, scratch);
    }
    return NULL;
}

void dict_enum_each(const struct dict *dict, int enum_index, dict_enum_fn *fn, void *ctx)
{
    if (enum_index < 0)
        return;
    const struct dict_enum *e = &dict->enums[enum_index];
    char scratch[64];
    for (size_t i = 0; i < e->entry_count; i++)
        for (uint32_t k = 0; k < e->entries[i].count; k++)
            fn(ctx, range_name(&e->entries[i], k, scratch), e->entries[i].value + (int32_t)k);
}

const struct board_format *dict_command(const struct dict *dict, const char *text)
{
    return strmap_get(&dict->commands, text);
}

const struct board_format *dict_response(const struct dict *dict, const char *text)
{
    return strmap_get(&dict->responses, text);
}

const struct board_format *dict_command_named(const struct dict *dict, const char *name)
{
    return strmap_get(&dict->command_names, name);
}

const struct board_format *dict_response_named(const struct dict *dict, const char *name)
{
    return strmap_get(&dict->response_names, name);
}

const struct board_format *dict_message(const struct dict *dict, const uint8_t *payload, size_t len_bytes,
                                        bool *is_output)
{
    size_t id_bytes;
    int number = msgfmt_peek_id(payload, len_bytes, &id_bytes);
    if (number < 0 || (size_t)number >= dict->number_count)
        return NULL;
    const struct board_format *format = dict->by_number[number];
    if (format && is_output)
        *is_output = format >= dict->first_output && format < dict->end_output;
    return format;
}
