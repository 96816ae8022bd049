/* One call: its arguments and its reply. */
#include "server/api/api_private.h"

#include "base/check.h"
#include "base/mem.h"
#include "server/store/jsontext.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct api_call *api_call_create(struct api *api, const struct api_peer *peer)
{
    struct api_call *call = MEM_NEW(struct api_call);
    call->api = api;
    call->peer = *peer;
    call->code = 200;
    return call;
}

void api_call_free(struct api_call *call)
{
    if (!call)
        return;
    json_decref(call->args);
    strbuf_deinit(&call->result);
    mem_free(call->error_text);
    mem_free(call->location);
    mem_free(call);
}

/* --- arguments --- */

json_t *api_arg(struct api_call *call, const char *name)
{
    return json_object_get(call->args, name);
}

/* The argument, or NULL after the error has been sent (*is_absent: it is optional and not there). */
static json_t *find_arg(struct api_call *call, const char *name, bool is_required, bool *is_absent)
{
    json_t *arg = api_arg(call, name);
    *is_absent = !arg || (json_is_null(arg) && !is_required);
    if (*is_absent && is_required) {
        bool is_printers = call->route->rpc && strncmp(call->route->rpc, "printer.", 8) == 0;
        api_reply_error(call, 400, is_printers ? "Missing Argument [%s]" : "No data for argument: %s", name);
        *is_absent = false;
    }
    return *is_absent ? NULL : arg;
}

static bool bad_type(struct api_call *call, const char *name, const char *type)
{
    api_reply_error(call, 400, "Unable to convert argument [%s] to %s", name, type);
    return false;
}

bool api_arg_text(struct api_call *call, const char *name, bool is_required, const char **out)
{
    bool is_absent;
    json_t *arg = find_arg(call, name, is_required, &is_absent);
    if (!arg)
        return is_absent;
    if (!json_is_string(arg))
        return bad_type(call, name, "str");
    *out = json_string_value(arg);
    return true;
}

bool api_arg_double(struct api_call *call, const char *name, bool is_required, double *out)
{
    bool is_absent;
    json_t *arg = find_arg(call, name, is_required, &is_absent);
    if (!arg)
        return is_absent;
    if (json_is_number(arg)) {
        *out = json_number_value(arg);
        return true;
    }
    const char *text = json_string_value(arg);
    char *end = NULL;
    double value = text ? strtod(text, &end) : 0;
    if (!text || end == text || *end || !isfinite(value))
        return bad_type(call, name, "float");
    *out = value;
    return true;
}

bool api_arg_int(struct api_call *call, const char *name, bool is_required, int64_t *out)
{
    bool is_absent;
    json_t *arg = find_arg(call, name, is_required, &is_absent);
    if (!arg)
        return is_absent;
    if (json_is_integer(arg)) {
        *out = json_integer_value(arg);
        return true;
    }
    const char *text = json_string_value(arg);
    char *end = NULL;
    errno = 0;
    long long value = text ? strtoll(text, &end, 10) : 0;
    if (!text || end == text || *end || errno)
        return bad_type(call, name, "int");
    *out = value;
    return true;
}

bool api_arg_bool(struct api_call *call, const char *name, bool is_required, bool *out)
{
    bool is_absent;
    json_t *arg = find_arg(call, name, is_required, &is_absent);
    if (!arg)
        return is_absent;
    if (json_is_boolean(arg)) {
        *out = json_is_true(arg);
        return true;
    }
    const char *text = json_string_value(arg);
    if (!text || (strcasecmp(text, "true") != 0 && strcasecmp(text, "false") != 0))
        return bad_type(call, name, "bool");
    *out = strcasecmp(text, "true") == 0;
    return true;
}

/* --- replies --- */

struct strbuf *api_result(struct api_call *call)
{
    return &call->result;
}

void api_reply(struct api_call *call)
{
    CHECK(!call->is_replied);
    call->is_replied = true;
    if (call->is_counted)
        atomic_fetch_sub(&call->api->in_flight, 1);
    call->done(call);
}

void api_reply_ok(struct api_call *call)
{
    strbuf_adds(&call->result, "\"ok\"");
    api_reply(call);
}

void api_reply_json(struct api_call *call, json_t *take_result)
{
    if (!take_result) { /* text in it was not UTF-8: a file name, an answer of the operating system */
        api_reply_error(call, 500, "The result cannot be written as JSON");
        return;
    }
    jsontext_add(&call->result, take_result);
    json_decref(take_result);
    api_reply(call);
}

void api_reply_error(struct api_call *call, int code, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    call->code = code;
    call->error_text = mem_strdup(text);
    strbuf_clear(&call->result);
    api_reply(call);
}

void api_reply_err(struct api_call *call, enum err err, const struct err_info *info)
{
    static const struct {
        enum err err;
        int code;
    } CODES[] = {
        {ERR_NOT_FOUND, 404}, {ERR_DENIED, 403},   {ERR_LIMIT, 400},    {ERR_FULL, 503},        {ERR_CLOSED, 503},
        {ERR_TIMEOUT, 504},   {ERR_IO, 500},       {ERR_CANCELLED, 400}, {ERR_UNSUPPORTED, 400},
    };
    int code = 400;
    for (size_t i = 0; i < ARRAY_COUNT(CODES); i++)
        if (CODES[i].err == err)
            code = CODES[i].code;
    api_reply_error(call, code, "%s", info && info->text[0] ? info->text : err_name(err));
}
