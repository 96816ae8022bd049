/* jansson, wrapped: the dictionary's JSON. */
#include "motion/link/dict_impl.h"

#include "base/check.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

/* The parser recurses once per level on the caller's stack, which may be a fiber's. So depth is bounded before it runs.
 */
static enum err check_depth(const char *json, size_t json_bytes, struct err_info *info)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < json_bytes; i++) {
        char c = json[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > DICT_DEPTH_MAX)
                return err_set(info, ERR_LIMIT, "data dictionary is nested deeper than %d", DICT_DEPTH_MAX);
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return OK;
}

/* The object `key` of the dictionary; *object is NULL if it is absent. */
static enum err get_table(const json_t *root, const char *key, json_t **object, struct err_info *info)
{
    *object = json_object_get(root, key);
    if (*object && !json_is_object(*object))
        return err_set(info, ERR_INVALID, "data dictionary: '%s' is not a table", key);
    return OK;
}

static enum err get_text(struct dict *dict, const json_t *root, const char *key, const char **text,
                         struct err_info *info)
{
    const json_t *value = json_object_get(root, key);
    *text = "";
    if (!value)
        return OK;
    if (!json_is_string(value) || json_string_length(value) > DICT_TEXT_BYTES_MAX)
        return err_set(info, ERR_INVALID, "data dictionary: '%s' is not a text of at most %d bytes", key,
                       DICT_TEXT_BYTES_MAX);
    *text = arena_strdup(&dict->arena, json_string_value(value));
    return OK;
}

static enum err check_name(const char *what, const char *name, struct err_info *info)
{
    size_t len = strnlen(name, DICT_TEXT_BYTES_MAX + 1);
    if (len == 0 || len > DICT_TEXT_BYTES_MAX)
        return err_set(info, ERR_LIMIT, "data dictionary: name of a %s is empty or longer than %d bytes", what,
                       DICT_TEXT_BYTES_MAX);
    return OK;
}

static enum err read_constant(struct dict *dict, const char *name, const json_t *value, struct err_info *info)
{
    enum err err = check_name("constant", name, info);
    if (err)
        return err;
    struct dict_constant *c = &dict->constants[dict->constant_count];
    if (json_is_string(value)) {
        if (json_string_length(value) > DICT_TEXT_BYTES_MAX)
            return err_set(info, ERR_LIMIT, "data dictionary: constant '%.80s' is longer than %d bytes", name,
                           DICT_TEXT_BYTES_MAX);
        c->text = arena_strdup(&dict->arena, json_string_value(value));
        char *end;
        double number = strtod(c->text, &end);
        c->number = *c->text && !*end && isfinite(number) ? number : 0.;
    } else if (json_is_integer(value)) {
        c->text = arena_sprintf(&dict->arena, "%lld", (long long)json_integer_value(value));
        c->number = (double)json_integer_value(value);
        c->is_number = true;
    } else if (json_is_real(value)) {
        c->text = arena_sprintf(&dict->arena, "%.17g", json_real_value(value));
        c->number = json_real_value(value);
        c->is_number = true;
    } else {
        return err_set(info, ERR_INVALID, "data dictionary: constant '%.80s' is neither text nor number", name);
    }
    c->name = arena_strdup(&dict->arena, name);
    strmap_set(&dict->constant_names, c->name, c);
    dict->constant_count++;
    return OK;
}

static enum err read_constants(struct dict *dict, json_t *table, struct err_info *info)
{
    size_t count = json_object_size(table);
    if (count > DICT_CONSTANTS_MAX)
        return err_set(info, ERR_LIMIT, "data dictionary has more than %d constants", DICT_CONSTANTS_MAX);
    dict->constants = arena_alloc(&dict->arena, (count + 1) * sizeof(*dict->constants));
    const char *name;
    json_t *value;
    json_object_foreach(table, name, value)
    {
        enum err err = read_constant(dict, name, value, info);
        if (err)
            return err;
    }
    return OK;
}

static bool fits_int32(json_int_t v)
{
    return v >= INT32_MIN && v <= INT32_MAX;
}

/* A range "PA0": [start, count] stands for PA0, PA1, ... with rising values. */
static enum err read_range(struct dict_entry *entry, const json_t *value, struct err_info *info)
{
    const json_t *start = json_array_get(value, 0), *count = json_array_get(value, 1);
    if (json_array_size(value) != 2 || !json_is_integer(start) || !json_is_integer(count))
        return err_set(info, ERR_INVALID, "data dictionary: range of '%.80s' is not [start, count]", entry->name);
    json_int_t n = json_integer_value(count), first_value = json_integer_value(start);
    if (n < 1 || n > DICT_RANGE_MAX || !fits_int32(first_value) || !fits_int32(first_value + n))
        return err_set(info, ERR_LIMIT, "data dictionary: range of '%.80s' has an impossible size", entry->name);
    size_t len = strlen(entry->name), stem = len;
    while (stem > 0 && entry->name[stem - 1] >= '0' && entry->name[stem - 1] <= '9')
        stem--;
    if (stem == len || len - stem > 6 || stem > 48)
        return err_set(info, ERR_INVALID, "data dictionary: range '%.80s' does not end in a number", entry->name);
    entry->stem_bytes = stem;
    entry->first = (uint32_t)strtoul(entry->name + stem, NULL, 10);
    entry->value = (int32_t)first_value;
    entry->count = (uint32_t)n;
    return OK;
}

static enum err read_entry(struct dict *dict, struct dict_enum *e, const char *name, const json_t *value,
                           struct err_info *info)
{
    enum err err = check_name("value", name, info);
    if (err)
        return err;
    if (++dict->entry_count > DICT_ENUM_ENTRIES_MAX)
        return err_set(info, ERR_LIMIT, "data dictionary has more than %d enumeration values", DICT_ENUM_ENTRIES_MAX);
    struct dict_entry *entry = &e->entries[e->entry_count];
    *entry = (struct dict_entry){.name = arena_strdup(&dict->arena, name), .count = 1};
    if (json_is_array(value)) {
        err = read_range(entry, value, info);
        if (err)
            return err;
    } else if (json_is_integer(value) && fits_int32(json_integer_value(value))) {
        entry->value = (int32_t)json_integer_value(value);
    } else {
        return err_set(info, ERR_INVALID, "data dictionary: value '%.80s' of '%.80s' is not a 32-bit integer", name,
                       e->name);
    }
    strmap_set(&e->names, entry->name, entry);
    e->entry_count++;
    return OK;
}

static enum err read_enums(struct dict *dict, json_t *table, struct err_info *info)
{
    size_t count = json_object_size(table);
    if (count > DICT_ENUMS_MAX)
        return err_set(info, ERR_LIMIT, "data dictionary has more than %d enumerations", DICT_ENUMS_MAX);
    dict->enums = arena_alloc(&dict->arena, (count + 1) * sizeof(*dict->enums));
    const char *enum_name;
    json_t *values;
    json_object_foreach(table, enum_name, values)
    {
        enum err err = check_name("enumeration", enum_name, info);
        if (err)
            return err;
        if (!json_is_object(values) || json_object_size(values) > DICT_ENUM_ENTRIES_MAX)
            return err_set(info, ERR_INVALID,
                           "data dictionary: enumeration '%.80s' is not a table of at most %d values", enum_name,
                           DICT_ENUM_ENTRIES_MAX);
        struct dict_enum *e = &dict->enums[dict->enum_count++];
        e->name = arena_strdup(&dict->arena, enum_name);
        e->entries = arena_alloc(&dict->arena, (json_object_size(values) + 1) * sizeof(*e->entries));
        strmap_init(&e->names);
        const char *name;
        json_t *value;
        json_object_foreach(values, name, value)
        {
            err = read_entry(dict, e, name, value, info);
            if (err)
                return err;
        }
    }
    return OK;
}

static enum err read_format(struct dict *dict, const char *text, const json_t *id, bool is_output, struct strmap *texts,
                            struct strmap *names, struct err_info *info)
{
    if (!json_is_integer(id))
        return err_set(info, ERR_INVALID, "data dictionary: number of '%.80s' is not an integer", text);
    struct board_format *format = &dict->formats[dict->format_count];
    enum err err = msgfmt_parse(text, json_integer_value(id), is_output, &dict->arena, format, info);
    if (err)
        return err;
    if (texts) {
        strmap_set(texts, format->text, format);
        if (strmap_set(names, format->name, format))
            return err_set(info, ERR_INVALID, "data dictionary: two messages are called '%.80s'", format->name);
    }
    dict->format_count++;
    return OK;
}

static enum err read_formats(struct dict *dict, json_t *table, bool is_output, struct strmap *texts,
                             struct strmap *names, struct err_info *info)
{
    const char *text;
    json_t *id;
    json_object_foreach(table, text, id)
    {
        enum err err = read_format(dict, text, id, is_output, texts, names, info);
        if (err)
            return err;
    }
    return OK;
}

static enum err read_messages(struct dict *dict, json_t *commands, json_t *responses, json_t *outputs,
                              struct err_info *info)
{
    size_t count = json_object_size(commands) + json_object_size(responses) + json_object_size(outputs);
    if (count > DICT_FORMATS_MAX)
        return err_set(info, ERR_LIMIT, "data dictionary has more than %d messages", DICT_FORMATS_MAX);
    dict->formats = arena_alloc(&dict->arena, (count + 1) * sizeof(*dict->formats));
    enum err err = read_formats(dict, commands, false, &dict->commands, &dict->command_names, info);
    if (!err)
        err = read_formats(dict, responses, false, &dict->responses, &dict->response_names, info);
    dict->first_output = dict->formats + dict->format_count;
    if (!err)
        err = read_formats(dict, outputs, true, NULL, NULL, info);
    dict->end_output = dict->formats + dict->format_count;
    return err;
}

static enum err read_root(struct dict *dict, const json_t *root, struct err_info *info)
{
    json_t *config, *enums, *commands, *responses, *outputs;
    if (!json_is_object(root))
        return err_set(info, ERR_INVALID, "data dictionary is not a JSON object");
    enum err err = get_text(dict, root, "version", &dict->version, info);
    if (!err)
        err = get_text(dict, root, "build_versions", &dict->build_versions, info);
    if (!err)
        err = get_text(dict, root, "app", &dict->app, info);
    if (!err)
        err = get_table(root, "config", &config, info);
    if (!err)
        err = get_table(root, "enumerations", &enums, info);
    if (!err)
        err = get_table(root, "commands", &commands, info);
    if (!err)
        err = get_table(root, "responses", &responses, info);
    if (!err)
        err = get_table(root, "output", &outputs, info);
    if (!err)
        err = read_constants(dict, config, info);
    if (!err)
        err = read_enums(dict, enums, info);
    if (!err)
        err = read_messages(dict, commands, responses, outputs, info);
    return err;
}

enum err dict_read_json(struct dict *dict, const char *json, size_t json_bytes, struct err_info *info)
{
    if (json_bytes > DICT_JSON_BYTES_MAX)
        return err_set(info, ERR_LIMIT, "data dictionary is longer than %d bytes", DICT_JSON_BYTES_MAX);
    enum err err = check_depth(json, json_bytes, info);
    if (err)
        return err;
    json_error_t error;
    json_t *root = json_loadb(json, json_bytes, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return err_set(info, ERR_INVALID, "data dictionary is not JSON: %s (line %d)", error.text, error.line);
    err = read_root(dict, root, info);
    json_decref(root);
    return err;
}
