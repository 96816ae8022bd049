/* Arguments of a request: the query string, with type hints in its keys ("count:int=3"), and a JSON or form body. */
#include "server/net/http_private.h"

#include "base/mem.h"
#include "server/store/jsontext.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define QUERY_ARGS_MAX 1000

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

char *http_decode(const char *text, size_t len_bytes, bool plus)
{
    char *out = mem_alloc(len_bytes + 1);
    size_t used = 0;
    for (size_t i = 0; i < len_bytes; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < len_bytes ? hex_digit(text[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
            if (low < 0 || (high == 0 && low == 0)) {
                mem_free(out);
                return NULL;
            }
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        out[used++] = c;
    }
    out[used] = 0;
    return out;
}

/* The next "key=value" of a query; false at the end. `has_value`: there was a "=". */
static bool next_pair(const char **at, const char *end, const char **key, size_t *key_len, const char **value,
                      size_t *value_len, bool *has_value)
{
    while (*at < end && **at == '&')
        (*at)++;
    if (*at >= end)
        return false;
    const char *stop = memchr(*at, '&', (size_t)(end - *at));
    if (!stop)
        stop = end;
    const char *equals = memchr(*at, '=', (size_t)(stop - *at));
    *key = *at;
    *key_len = (size_t)((equals ? equals : stop) - *at);
    *has_value = equals != NULL;
    *value = equals ? equals + 1 : stop;
    *value_len = (size_t)(stop - *value);
    *at = stop;
    return true;
}

char *http_query_get(const char *query, const char *name)
{
    const char *at = query, *end = query + strlen(query), *key, *value;
    size_t key_len, value_len;
    bool has_value;
    while (next_pair(&at, end, &key, &key_len, &value, &value_len, &has_value))
        if (key_len == strlen(name) && memcmp(key, name, key_len) == 0)
            return http_decode(value, value_len, true);
    return NULL;
}

static bool is_ignored(const char *key)
{
    static const char *const IGNORED[] = {"_", "token", "access_token", "connection_id"};
    for (size_t i = 0; i < sizeof IGNORED / sizeof IGNORED[0]; i++)
        if (strcmp(key, IGNORED[i]) == 0)
            return true;
    return false;
}

/* The value as its hint wants it; NULL if it does not read so. */
static json_t *by_hint(const char *hint, const char *text)
{
    char *end = NULL;
    errno = 0;
    if (strcmp(hint, "int") == 0) {
        long long value = strtoll(text, &end, 10);
        return end != text && !*end && !errno ? json_integer(value) : NULL;
    }
    if (strcmp(hint, "float") == 0) {
        double value = strtod(text, &end);
        return end != text && !*end && isfinite(value) ? json_real(value) : NULL;
    }
    if (strcmp(hint, "bool") == 0)
        return strcasecmp(text, "true") == 0 ? json_true() : strcasecmp(text, "false") == 0 ? json_false() : NULL;
    if (strcmp(hint, "json") == 0) {
        json_t *value = NULL;
        return jsontext_parse(text, strlen(text), API_JSON_DEPTH_MAX, &value, NULL) == OK ? value : NULL;
    }
    return json_string(text);
}

static const char *add_arg(json_t *args, char *key, const char *text)
{
    char *hint = strchr(key, ':');
    if (hint)
        *hint++ = 0;
    if (is_ignored(key))
        return NULL;
    json_t *value = hint ? by_hint(hint, text) : json_string(text);
    if (!value)
        return hint ? "Unable to convert an argument by its type hint" : "An argument is not UTF-8";
    if (json_object_set_new(args, key, value) != 0)
        return "The name of an argument is not UTF-8";
    return NULL;
}

/* "?toolhead&extruder=target,temperature": the objects argument of a query. */
static const char *add_object(json_t *objects, char *key, char *text, bool has_value)
{
    if (is_ignored(key))
        return NULL;
    json_t *fields = json_null();
    if (has_value && text[0]) {
        fields = json_array();
        char *name;
        while ((name = strsep(&text, ",")))
            if (*name)
                json_array_append_new(fields, json_string(name));
    }
    return json_object_set_new(objects, key, fields) == 0 ? NULL : "The name of an object is not UTF-8";
}

static const char *read_pairs(const char *text, size_t len_bytes, bool are_objects, json_t *args)
{
    const char *at = text, *end = text + len_bytes, *key, *value;
    size_t key_len, value_len, count = 0;
    bool has_value;
    const char *error = NULL;
    while (!error && next_pair(&at, end, &key, &key_len, &value, &value_len, &has_value)) {
        char *name = http_decode(key, key_len, true), *content = http_decode(value, value_len, true);
        if (!name || !content)
            error = "Malformed % escape in the arguments";
        else if (++count > QUERY_ARGS_MAX)
            error = "Too many arguments";
        else
            error = are_objects ? add_object(args, name, content, has_value) : add_arg(args, name, content);
        mem_free(name);
        mem_free(content);
    }
    return error;
}

static const char *read_query(const struct http_request *r, json_t *args)
{
    if (!(r->route->flags & API_QUERY_KEYS))
        return read_pairs(r->query, strlen(r->query), false, args);
    if (!*r->query)
        return NULL;
    json_t *objects = json_object();
    const char *error = read_pairs(r->query, strlen(r->query), true, objects);
    if (json_object_size(objects) > 0)
        json_object_set(args, "objects", objects);
    json_decref(objects);
    return error;
}

static const char *read_body(const struct http_request *r, json_t *args)
{
    const char *type = http_header(r, MHD_HTTP_HEADER_CONTENT_TYPE);
    const char *text = r->body.data;
    size_t len = r->body.len_bytes;
    if (len == 0)
        return NULL;
    if (type && strncasecmp(type, "application/x-www-form-urlencoded", 33) == 0)
        return read_pairs(text, len, false, args);
    bool is_json = type && strncasecmp(type, "application/json", 16) == 0;
    if (type && !is_json && strncasecmp(type, "text/plain", 10) != 0)
        return NULL; /* forms with files and the like: nothing that arguments are read from */
    json_t *body = NULL;
    struct err_info info;
    enum err err = jsontext_parse(text, len, API_JSON_DEPTH_MAX, &body, &info);
    if (err == ERR_LIMIT)
        return "JSON is nested too deep";
    if (err)
        return is_json ? "The body is not valid JSON" : NULL;
    const char *error = json_is_object(body) ? NULL : "The body must be a JSON object";
    if (!error)
        json_object_update(args, body);
    json_decref(body);
    return error;
}

json_t *http_read_args(const struct http_request *r, const char **error)
{
    json_t *args = json_object();
    *error = read_query(r, args);
    if (!*error)
        *error = read_body(r, args);
    return args;
}
