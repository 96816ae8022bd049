#include "server/store/jsontext.h"

#include <stdbool.h>
#include <string.h>

/* Nesting is counted without building anything, because the parser recurses on the C stack: brackets outside of texts. */
static bool depth_fits(const char *text, size_t len_bytes, unsigned depth_max)
{
    unsigned depth = 0;
    bool is_in_text = false;
    for (size_t i = 0; i < len_bytes; i++) {
        char c = text[i];
        if (is_in_text) {
            if (c == '\\')
                i++;
            else if (c == '"')
                is_in_text = false;
        } else if (c == '"') {
            is_in_text = true;
        } else if (c == '[' || c == '{') {
            if (++depth > depth_max)
                return false;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return true;
}

enum err jsontext_parse(const char *text, size_t len_bytes, unsigned depth_max, json_t **out, struct err_info *info)
{
    if (!depth_fits(text, len_bytes, depth_max))
        return err_set(info, ERR_LIMIT, "JSON is nested deeper than %u levels", depth_max);
    json_error_t error;
    json_t *value = json_loadb(text, len_bytes, JSON_DECODE_ANY, &error);
    if (!value)
        return err_set(info, ERR_INVALID, "%s (line %d, column %d)", error.text, error.line, error.column);
    *out = value;
    return OK;
}

static void add_object(struct strbuf *out, const json_t *value)
{
    const char *key;
    json_t *member;
    const char *separator = "";
    strbuf_addc(out, '{');
    json_object_foreach((json_t *)value, key, member) {
        strbuf_adds(out, separator);
        strbuf_add_json_string(out, key, strlen(key));
        strbuf_addc(out, ':');
        jsontext_add(out, member);
        separator = ",";
    }
    strbuf_addc(out, '}');
}

static void add_array(struct strbuf *out, const json_t *value)
{
    strbuf_addc(out, '[');
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (i > 0)
            strbuf_addc(out, ',');
        jsontext_add(out, json_array_get(value, i));
    }
    strbuf_addc(out, ']');
}

/* Recursion is bounded: a tree comes from jsontext_parse or from our own code. */
void jsontext_add(struct strbuf *out, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        add_object(out, value);
        break;
    case JSON_ARRAY:
        add_array(out, value);
        break;
    case JSON_STRING:
        strbuf_add_json_string(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        strbuf_addf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        strbuf_add_json_double(out, json_real_value(value));
        break;
    case JSON_TRUE:
        strbuf_adds(out, "true");
        break;
    case JSON_FALSE:
        strbuf_adds(out, "false");
        break;
    case JSON_NULL:
        strbuf_adds(out, "null");
        break;
    }
}

void jsontext_key(struct strbuf *out, const char *key)
{
    if (out->len_bytes > 0 && out->data[out->len_bytes - 1] != '{')
        strbuf_addc(out, ',');
    strbuf_add_json_string(out, key, strlen(key));
    strbuf_addc(out, ':');
}
