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

/* Most fields of a status are one plain value: a number, a word or a text without escapes. Those are read here, in a
 * tenth of the time; false: read it with the library. */
static bool convert_plain(struct jinja_run *run, const char *json, size_t len_bytes, struct value *out)
{
    static const struct {
        const char *word;
        struct value value;
    } words[] = {{"null", {.kind = VALUE_NONE}},
                 {"true", {.kind = VALUE_BOOL, .boolean = true}},
                 {"false", {.kind = VALUE_BOOL, .boolean = false}}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strlen(words[i].word) == len_bytes && memcmp(words[i].word, json, len_bytes) == 0) {
            *out = words[i].value;
            return true;
        }
    if (len_bytes >= 2 && json[0] == '"') {
        for (size_t i = 1; i + 1 < len_bytes; i++)
            if (json[i] == '"' || json[i] == '\\' || json[i] < ' ') /* also bytes beyond ASCII, where char is signed */
                return false;
        if (json[len_bytes - 1] != '"')
            return false;
        *out = value_str(run, json + 1, len_bytes - 2);
        return true;
    }
    /* [-] digits [. digits], short enough to be exact: a whole number below 2^53 over a power of ten up to 10^15. */
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    size_t i = len_bytes && json[0] == '-', first = i, point = SIZE_MAX;
    int64_t digits = 0;
    for (; i < len_bytes; i++) {
        if (json[i] == '.' && point == SIZE_MAX && i > first)
            point = i;
        else if (json[i] >= '0' && json[i] <= '9')
            digits = digits * 10 + (json[i] - '0');
        else
            return false;
        if (i - first > 15)
            return false;
    }
    if (i == first || point == len_bytes - 1 || (json[first] == '0' && len_bytes > first + 1 && point != first + 1))
        return false;
    bool is_negative = first == 1;
    if (point == SIZE_MAX)
        *out = value_int(is_negative ? -digits : digits);
    else
        *out = value_float((is_negative ? -(double)digits : (double)digits) / powers[len_bytes - 1 - point]);
    return true;
}

enum err value_from_json(struct jinja_run *run, const char *json, size_t len_bytes, struct value *out,
                         struct err_info *info)
{
    if (convert_plain(run, json, len_bytes, out))
        return run->has_failed ? err_set(info, ERR_LIMIT, "%s", run->error.text) : OK;
    json_error_t error;
    json_t *tree = json_loadb(json, len_bytes, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (!tree)
        return err_set(info, ERR_INVALID, "line %d: %s", error.line, error.text);
    bool is_done = convert(run, tree, out);
    json_decref(tree);
    return is_done ? OK : err_set(info, ERR_LIMIT, "%s", run->error.text);
}
