#include "server/net/http_private.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define JSON_TYPE "application/json; charset=UTF-8"

const char *http_header(const struct http_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

static void add_cors(struct http_request *r, struct MHD_Response *response)
{
    if (!r->origin)
        return;
    MHD_add_response_header(response, "Access-Control-Allow-Origin", r->origin);
    MHD_add_response_header(response, "Vary", "Origin");
    MHD_add_response_header(response, "Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS");
    MHD_add_response_header(response, "Access-Control-Allow-Headers",
                            "Origin, Accept, Content-Type, X-Requested-With, X-CRSF-Token, Authorization, "
                            "X-Access-Token, X-Api-Key");
    if (http_header(r, "Access-Control-Request-Private-Network"))
        MHD_add_response_header(response, "Access-Control-Allow-Private-Network", "true");
}

enum MHD_Result http_queue(struct http_request *r, unsigned status, struct MHD_Response *response)
{
    if (!response)
        return MHD_NO;
    add_cors(r, response);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    enum MHD_Result result = MHD_queue_response(r->connection, status, response);
    MHD_destroy_response(response);
    r->step = HTTP_ANSWERED;
    return result;
}

enum MHD_Result http_reply_text(struct http_request *r, unsigned status, const char *content_type, struct strbuf *take_text)
{
    size_t len = take_text->len_bytes;
    char *text = strbuf_take(take_text);
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback(len, text, mem_free);
    if (response && content_type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    return http_queue(r, status, response);
}

enum MHD_Result http_reply_error(struct http_request *r, unsigned status, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    struct strbuf body;
    strbuf_init(&body);
    strbuf_addf(&body, "{\"error\":{\"code\":%u,\"message\":", status);
    strbuf_add_json_string(&body, text, strlen(text));
    strbuf_adds(&body, "}}");
    return http_reply_text(r, status, JSON_TYPE, &body);
}

enum MHD_Result http_reply_options(struct http_request *r)
{
    return http_queue(r, MHD_HTTP_NO_CONTENT, MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT));
}

static enum MHD_Result reply_rpc(struct http_request *r)
{
    struct strbuf text = r->rpc->out;
    r->rpc->out = (struct strbuf){.data = NULL};
    if (text.len_bytes == 0) {
        strbuf_deinit(&text);
        return http_queue(r, MHD_HTTP_NO_CONTENT, MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT));
    }
    return http_reply_text(r, MHD_HTTP_OK, JSON_TYPE, &text);
}

enum MHD_Result http_reply_call(struct http_request *r)
{
    if (r->rpc)
        return reply_rpc(r);
    struct api_call *call = r->call;
    if (call->error_text)
        return http_reply_error(r, (unsigned)call->code, "%s", call->error_text);
    if (call->result.len_bytes == 0)
        return http_queue(r, MHD_HTTP_NO_CONTENT, MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT));
    struct strbuf body = {.data = NULL};
    if (call->route->flags & API_BARE) {
        body = call->result;
        call->result = (struct strbuf){.data = NULL};
    } else {
        strbuf_adds(&body, "{\"result\":");
        strbuf_add(&body, call->result.data, call->result.len_bytes);
        strbuf_addc(&body, '}');
    }
    size_t len = body.len_bytes;
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback(len, strbuf_take(&body), mem_free);
    if (response)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, JSON_TYPE);
    if (response && call->location)
        MHD_add_response_header(response, MHD_HTTP_HEADER_LOCATION, call->location);
    return http_queue(r, (unsigned)call->code, response);
}
