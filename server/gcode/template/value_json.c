/* Values from JSON text (wraps jansson for this library). */
#include "server/gcode/template/value_private.h"

#include <jansson.h>
#include <string.h>

static bool convert(struct jinja_run *run, const json_t *json, struct value *out)
{
    switch (json_typeof(json)) {
    case JSON_NULL:
        *out = value_none();
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        *out = value_bool(json_is_true(json));
        break;
    case JSON_INTEGER:
        *out = value_int(json_integer_value(json));
        break;
    case JSON_REAL:
        *out = value_float(json_real_value(json));
        break;
    case JSON_STRING:
        *out = value_str(run, json_string_value(json), json_string_length(json));
        break;
    case JSON_ARRAY: {
        *out = value_list(run);
        for (size_t i = 0; i < json_array_size(json); i++) {
            struct value item;
            if (!convert(run, json_array_get(json, i), &item) || !value_append(run, *out, item))
                return false;
        }
        break;
    }
    case JSON_OBJECT: {
        *out = value_dict(run);
        const char *key;
        json_t *member;
        json_object_foreach((json_t *)json, key, member)
        {
            struct value item;
            if (!convert(run, member, &item) || !value_set_text(run, *out, key, item))
                return false;
        }
        break;
    }
    }
    return !run->has_failed;
}

enum err value_from_json(struct jinja_run *run, const char *json, size_t len_bytes, struct value *out,
                         struct err_info *info)
{
    json_error_t error;
    json_t *tree = json_loadb(json, len_bytes, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (!tree)
        return err_set(info, ERR_INVALID, "line %d: %s", error.line, error.text);
    bool is_done = convert(run, tree, out);
    json_decref(tree);
    return is_done ? OK : err_set(info, ERR_LIMIT, "%s", run->error.text);
}
