#include "server/api/rpc.h"

#include "base/mem.h"
#include "server/api/api_private.h"
#include "server/store/jsontext.h"

#include <string.h>

enum { RPC_PARSE_ERROR = -32700, RPC_INVALID_REQUEST = -32600, RPC_NO_METHOD = -32601, RPC_INVALID_PARAMS = -32602 };

static void begin_reply(struct api_rpc *rpc)
{
    if (rpc->is_batch)
        strbuf_addc(&rpc->out, rpc->sent_count == 0 ? '[' : ',');
    rpc->sent_count++;
    strbuf_adds(&rpc->out, "{\"jsonrpc\":\"2.0\",");
}

static void end_reply(struct api_rpc *rpc, const json_t *id)
{
    strbuf_adds(&rpc->out, ",\"id\":");
    if (id)
        jsontext_add(&rpc->out, id);
    else
        strbuf_adds(&rpc->out, "null");
    strbuf_addc(&rpc->out, '}');
}

static void add_error(struct api_rpc *rpc, const json_t *id, int code, const char *message)
{
    begin_reply(rpc);
    strbuf_addf(&rpc->out, "\"error\":{\"code\":%d,\"message\":", code);
    strbuf_add_json_string(&rpc->out, message, strlen(message));
    strbuf_addc(&rpc->out, '}');
    end_reply(rpc, id);
}

/* The codes that JSON-RPC has words of its own for; everything else passes through. */
static int rpc_code(int http_code)
{
    return http_code == 404 ? RPC_NO_METHOD : http_code == 401 ? RPC_INVALID_PARAMS : http_code;
}

static void take_reply(struct api_rpc *rpc)
{
    struct api_call *call = rpc->call;
    if (call->error_text) {
        add_error(rpc, rpc->id, rpc_code(call->code), call->error_text);
    } else if (rpc->id) {
        begin_reply(rpc);
        strbuf_adds(&rpc->out, "\"result\":");
        if (call->result.len_bytes > 0)
            strbuf_add(&rpc->out, call->result.data, call->result.len_bytes);
        else
            strbuf_adds(&rpc->out, "null");
        end_reply(rpc, rpc->id);
    }
    api_call_free(call);
    rpc->call = NULL;
}

static void on_done(struct api_call *call)
{
    struct api_rpc *rpc = call->transport_ctx;
    if (call->route->where != API_NET) /* those are answered before api_submit returns */
        rpc->ready(rpc);
}

/* Why this route cannot be used here, or NULL. */
static const char *refuse(const struct api_rpc *rpc, const struct api_route *route, int *code)
{
    *code = RPC_NO_METHOD;
    if (!route || !route->handler)
        return "Method not found";
    if ((route->flags & API_WS_ONLY) && rpc->peer.transport == API_OVER_RPC_HTTP)
        return "Method not found for transport HTTP";
    *code = RPC_INVALID_PARAMS;
    return rpc->peer.is_allowed || (route->flags & API_ANYONE) ? NULL : "Unauthorized";
}

/* Start one request of the message; its call is left in rpc->call if there is one. */
static void start(struct api_rpc *rpc, json_t *request)
{
    json_t *id = json_object_get(request, "id");
    rpc->id = id;
    if (id && !json_is_string(id) && !json_is_number(id) && !json_is_null(id)) {
        add_error(rpc, NULL, RPC_INVALID_REQUEST, "Invalid Request");
        return;
    }
    const char *version = json_string_value(json_object_get(request, "jsonrpc"));
    const char *method = json_string_value(json_object_get(request, "method"));
    if (!version || strcmp(version, "2.0") != 0) {
        add_error(rpc, id, RPC_INVALID_REQUEST, "Invalid Request");
        return;
    }
    if (!method) {
        /* an answer to a request of ours: we send none, so nobody waits for it */
        if (!json_object_get(request, "result") && !json_object_get(request, "error"))
            add_error(rpc, id, RPC_INVALID_REQUEST, "Invalid Request");
        return;
    }
    json_t *params = json_object_get(request, "params");
    const struct api_route *route = api_route_by_rpc(rpc->api, method);
    int code;
    const char *reason = refuse(rpc, route, &code);
    if (!reason && params && !json_is_object(params)) {
        code = RPC_INVALID_PARAMS;
        reason = "Invalid params:";
    }
    if (reason) {
        add_error(rpc, id, code, reason);
        return;
    }
    struct api_call *call = api_call_create(rpc->api, &rpc->peer);
    call->route = route;
    call->verb = API_POST;
    call->args = params ? json_incref(params) : json_object();
    call->done = on_done;
    call->transport_ctx = rpc;
    rpc->call = call;
    api_submit(call);
}

struct api_rpc *api_rpc_create(struct api *api, const struct api_peer *peer, const char *text, size_t len_bytes)
{
    struct api_rpc *rpc = MEM_NEW(struct api_rpc);
    rpc->api = api;
    rpc->peer = *peer;
    struct err_info info;
    enum err err = jsontext_parse(text, len_bytes, API_JSON_DEPTH_MAX, &rpc->request, &info);
    if (err) {
        add_error(rpc, NULL, RPC_PARSE_ERROR, err == ERR_LIMIT ? info.text : "Parse error");
        return rpc;
    }
    rpc->is_batch = json_is_array(rpc->request);
    if (!rpc->is_batch && !json_is_object(rpc->request))
        add_error(rpc, NULL, RPC_INVALID_REQUEST, "Invalid Request");
    else if (rpc->is_batch && (json_array_size(rpc->request) == 0 || json_array_size(rpc->request) > API_BATCH_MAX)) {
        bool is_empty = json_array_size(rpc->request) == 0;
        rpc->is_batch = false;
        add_error(rpc, NULL, RPC_INVALID_REQUEST, is_empty ? "Invalid Request" : "Invalid Request: too many in one batch");
    } else {
        return rpc;
    }
    json_decref(rpc->request);
    rpc->request = NULL;
    return rpc;
}

bool api_rpc_step(struct api_rpc *rpc)
{
    if (rpc->call)
        take_reply(rpc);
    size_t count = !rpc->request ? 0 : rpc->is_batch ? json_array_size(rpc->request) : 1;
    while (rpc->index < count) {
        json_t *request = rpc->is_batch ? json_array_get(rpc->request, rpc->index) : rpc->request;
        rpc->index++;
        if (!json_is_object(request)) {
            add_error(rpc, NULL, RPC_INVALID_REQUEST, "Invalid Request");
            continue;
        }
        start(rpc, request);
        if (rpc->call && rpc->call->route->where != API_NET)
            return false; /* `ready` says when; it may have come already, then the transport calls us again */
        if (rpc->call)
            take_reply(rpc);
    }
    if (rpc->is_batch && rpc->sent_count > 0)
        strbuf_addc(&rpc->out, ']');
    return true;
}

void api_rpc_free(struct api_rpc *rpc)
{
    if (!rpc)
        return;
    api_call_free(rpc->call);
    json_decref(rpc->request);
    strbuf_deinit(&rpc->out);
    mem_free(rpc);
}
