#include "server/net/http_private.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/api/access.h"
#include "server/net/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define FILES_PREFIX "/server/files/"
#define UPLOAD_FORM_BYTES_MAX (1u << 20) /* of an upload that is not the file */
#define STOP_WAIT_MS_MAX 10000

void http_suspend(struct http_request *r)
{
    r->step = HTTP_WAITING;
    atomic_store(&r->is_ready, false);
    atomic_fetch_add(&r->http->suspended_count, 1);
    MHD_suspend_connection(r->connection);
}

void http_resume(struct http_request *r)
{
    struct http *http = r->http; /* after the resume the request may be gone at any moment */
    atomic_store(&r->is_ready, true);
    MHD_resume_connection(r->connection);
    atomic_fetch_sub(&http->suspended_count, 1);
}

/* --- who asks --- */

static void describe_peer(struct http_request *r)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    struct api_peer *peer = &r->peer;
    peer->transport = API_OVER_HTTP;
    if (address && address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, peer->address, sizeof peer->address);
    else if (address && address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, peer->address,
                  sizeof peer->address);
    const char *host = http_header(r, MHD_HTTP_HEADER_HOST);
    if (host)
        snprintf(peer->host, sizeof peer->host, "%.127s", host);
}

/* Has the request shown a good key or token? *is_bad: it has shown a wrong one. */
static bool has_proof(struct http_request *r, bool *is_bad)
{
    const char *key = http_header(r, "X-Api-Key");
    char *token = http_query_get(r->query, "token");
    bool is_good = false;
    *is_bad = false;
    if (token && token[0]) {
        is_good = api_token_take(r->http->options.api, token, r->peer.address);
        *is_bad = !is_good;
    } else if (key) {
        is_good = api_key_matches(r->http->options.api, key);
        *is_bad = !is_good;
    }
    mem_free(token);
    return is_good;
}

/* Everything that is decided before the body is read; MHD_NO with step ANSWERED unset: go on. */
static bool guard_request(struct http_request *r, enum MHD_Result *result)
{
    const struct guard *guard = r->http->options.guard;
    const char *host = http_header(r, MHD_HTTP_HEADER_HOST), *origin = http_header(r, "Origin");
    bool is_bad;
    if (!guard_address_is_private(r->peer.address)) {
        *result = http_reply_error(r, MHD_HTTP_FORBIDDEN, "Only private addresses are served until there is a user");
        return false;
    }
    if (!guard_host_is_ours(guard, host)) {
        *result = http_reply_error(r, MHD_HTTP_FORBIDDEN, "This server is not known by the name in the Host header");
        return false;
    }
    if (!guard_origin_is_allowed(guard, origin, host)) {
        *result = http_reply_error(r, MHD_HTTP_FORBIDDEN, "Pages of this origin may not use this server");
        return false;
    }
    r->origin = origin;
    bool has_good = has_proof(r, &is_bad);
    bool is_page = !r->route && strncmp(r->path, FILES_PREFIX, strlen(FILES_PREFIX)) != 0;
    if (!is_page && !has_good && guard_is_cross_site(origin, http_header(r, "Sec-Fetch-Site"))) {
        *result = http_reply_error(r, MHD_HTTP_FORBIDDEN, "Other sites may not use this server");
        return false;
    }
    if (is_bad && !(r->route && (r->route->flags & API_ANYONE))) {
        *result = http_reply_error(r, MHD_HTTP_UNAUTHORIZED, "Unauthorized");
        return false;
    }
    r->peer.is_allowed = true;
    return true;
}

/* --- beginning --- */

static enum api_verb verb_of(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ? API_GET
           : strcmp(method, "POST") == 0                              ? API_POST
           : strcmp(method, "DELETE") == 0                            ? API_DELETE
                                                                      : (enum api_verb)0;
}

static bool is_api_path(const char *path)
{
    static const char *const PREFIXES[] = {"/server/", "/printer/", "/machine/", "/access/", "/api/", "/debug/"};
    for (size_t i = 0; i < sizeof PREFIXES / sizeof PREFIXES[0]; i++)
        if (strncmp(path, PREFIXES[i], strlen(PREFIXES[i])) == 0)
            return true;
    return false;
}

static bool parse_uri(struct http_request *r)
{
    const char *question = strchr(r->uri, '?');
    r->query = question ? question + 1 : "";
    r->path = http_decode(r->uri, question ? (size_t)(question - r->uri) : strlen(r->uri), false);
    return r->path && r->path[0] == '/';
}

static uint64_t content_length(const struct http_request *r)
{
    const char *text = http_header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return text ? strtoull(text, NULL, 10) : 0;
}

static bool is_upload(const struct http_request *r)
{
    return r->route && !r->route->handler && r->route->where == API_WORKER && (r->route->verbs & API_POST);
}

static enum MHD_Result begin(struct http_request *r)
{
    enum MHD_Result result = MHD_YES;
    enum api_verb verb = verb_of(r->method);
    bool any_verb = false;
    r->step = HTTP_BODY;
    describe_peer(r);
    if (!parse_uri(r))
        return http_reply_error(r, MHD_HTTP_BAD_REQUEST, "Malformed request target");
    r->route = api_route_by_path(r->http->options.api, verb, r->path, &any_verb);
    if (!guard_request(r, &result))
        return result;
    if (strcmp(r->method, "OPTIONS") == 0)
        return http_reply_options(r);
    bool is_file = !any_verb && strncmp(r->path, FILES_PREFIX, strlen(FILES_PREFIX)) == 0;
    if (is_file && verb == API_DELETE)
        r->route = api_route_by_rpc(r->http->options.api, "server.files.delete_file");
    if (!r->route && (any_verb || verb != API_GET))
        return any_verb || is_file || !is_api_path(r->path) ? http_reply_error(r, MHD_HTTP_METHOD_NOT_ALLOWED, "Method Not Allowed")
                                                            : http_reply_error(r, MHD_HTTP_NOT_FOUND, "Not Found");
    if (!r->route && !is_file && is_api_path(r->path))
        return http_reply_error(r, MHD_HTTP_NOT_FOUND, "Not Found");
    r->is_rpc = r->route && !r->route->handler && r->route->where == API_NET;
    uint64_t limit = is_upload(r) ? r->http->options.upload_bytes_max + UPLOAD_FORM_BYTES_MAX : API_JSON_BYTES_MAX;
    if (content_length(r) > limit)
        return http_reply_error(r, MHD_HTTP_CONTENT_TOO_LARGE, "The body is larger than %llu bytes", (unsigned long long)limit);
    return is_upload(r) ? http_upload_begin(r) : MHD_YES;
}

/* --- dispatch --- */

static void on_done(struct api_call *call)
{
    if (call->route->where != API_NET) /* those are answered before api_submit returns */
        http_resume(call->transport_ctx);
}

static void on_rpc_ready(struct api_rpc *rpc)
{
    http_resume(rpc->transport_ctx);
}

/* Suspended first: the answer to one of its calls may come before the step returns. */
static enum MHD_Result step_rpc(struct http_request *r)
{
    http_suspend(r);
    if (api_rpc_step(r->rpc)) {
        r->is_rpc = false; /* complete */
        http_resume(r);
    }
    return MHD_YES;
}

static enum MHD_Result dispatch_rpc(struct http_request *r)
{
    r->peer.transport = API_OVER_RPC_HTTP;
    r->rpc = api_rpc_create(r->http->options.api, &r->peer, r->body.data ? r->body.data : "", r->body.len_bytes);
    r->rpc->ready = on_rpc_ready;
    r->rpc->transport_ctx = r;
    strbuf_deinit(&r->body);
    return step_rpc(r);
}

static enum MHD_Result dispatch_call(struct http_request *r)
{
    const char *error;
    json_t *args = http_read_args(r, &error);
    if (error) {
        json_decref(args);
        return http_reply_error(r, MHD_HTTP_BAD_REQUEST, "%s", error);
    }
    if (strncmp(r->path, FILES_PREFIX, strlen(FILES_PREFIX)) == 0 && r->route->path && strchr(r->route->path, '{'))
        json_object_set_new(args, "path", json_string(r->path + strlen(FILES_PREFIX)));
    struct api_call *call = api_call_create(r->http->options.api, &r->peer);
    call->route = r->route;
    call->verb = verb_of(r->method);
    call->args = args;
    call->done = on_done;
    call->transport_ctx = r;
    r->call = call;
    if (r->route->where == API_NET) {
        api_submit(call);
        return http_reply_call(r);
    }
    http_suspend(r);
    api_submit(call);
    return MHD_YES;
}

static enum MHD_Result dispatch(struct http_request *r)
{
    if (r->upload)
        return http_upload_end(r);
    if (r->is_rpc)
        return dispatch_rpc(r);
    if (r->route)
        return r->route->handler ? dispatch_call(r) : http_reply_error(r, MHD_HTTP_NOT_FOUND, "Not Found");
    if (strncmp(r->path, FILES_PREFIX, strlen(FILES_PREFIX)) == 0)
        return http_serve_download(r, r->path + strlen(FILES_PREFIX));
    return http_serve_page(r);
}

static enum MHD_Result take_body(struct http_request *r, const char *data, size_t *len_bytes)
{
    if (r->upload)
        return http_upload_data(r, data, len_bytes);
    if (r->body.len_bytes + *len_bytes > API_JSON_BYTES_MAX)
        return MHD_NO; /* a chunked body without end: the connection is closed */
    strbuf_add(&r->body, data, *len_bytes);
    *len_bytes = 0;
    return MHD_YES;
}

/* --- libmicrohttpd --- */

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *len_bytes, void **request)
{
    (void)url, (void)version;
    struct http_request *r = *request;
    if (!r)
        return MHD_NO;
    switch (r->step) {
    case HTTP_NEW:
        r->http = cls;
        r->connection = connection;
        r->method = method;
        return begin(r);
    case HTTP_BODY:
        return *len_bytes > 0 ? take_body(r, data, len_bytes) : dispatch(r);
    case HTTP_WAITING:
        if (!atomic_load(&r->is_ready))
            return MHD_YES;
        if (r->upload && !r->call) { /* bytes are stored: go on with the body */
            r->step = HTTP_BODY;
            return *len_bytes > 0 ? take_body(r, data, len_bytes) : dispatch(r);
        }
        return r->is_rpc ? step_rpc(r) : http_reply_call(r);
    case HTTP_ANSWERED:
        *len_bytes = 0;
        return MHD_YES;
    }
    UNREACHABLE();
}

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
    (void)cls, (void)connection;
    struct http_request *r = MEM_NEW(struct http_request);
    r->uri = mem_strdup(uri);
    return r;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **request, enum MHD_RequestTerminationCode why)
{
    (void)cls, (void)connection, (void)why;
    struct http_request *r = *request;
    if (!r)
        return;
    *request = NULL;
    http_upload_free(r->upload);
    api_call_free(r->call);
    api_rpc_free(r->rpc);
    strbuf_deinit(&r->body);
    mem_free(r->uri);
    mem_free(r->path);
    mem_free(r);
}

static void on_log(void *cls, const char *fmt, va_list args)
{
    struct http *http = cls;
    char text[512], escaped[600];
    vsnprintf(text, sizeof text, fmt, args);
    log_debug(http->options.log, "http", "libmicrohttpd", "text=\"%s\"", log_escape(text, escaped, sizeof escaped));
}

enum err http_create(const struct http_options *options, struct http **out, struct err_info *info)
{
    struct http *http = MEM_NEW(struct http);
    http->options = *options;
    http->options.www_dir = options->www_dir ? mem_strdup(options->www_dir) : NULL;
    http->options.log_file = options->log_file ? mem_strdup(options->log_file) : NULL;
    /* poll, not epoll: with the latter the library waits for an edge and misses an end of stream that came together with
     * the last bytes, so that half requests hold their connections until the timeout. Measured as fast with 16 clients. */
    unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                     MHD_USE_ERROR_LOG;
    http->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, http, MHD_OPTION_EXTERNAL_LOGGER, on_log, http, MHD_OPTION_URI_LOG_CALLBACK,
        on_uri, http, MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HTTP_HEADER_BYTES_MAX, MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S_MAX, MHD_OPTION_THREAD_STACK_SIZE, (size_t)(256 * 1024),
        MHD_OPTION_END);
    if (!http->daemon) {
        http_destroy(http);
        return err_set(info, ERR_IO, "libmicrohttpd does not start");
    }
    *out = http;
    return OK;
}

void http_destroy(struct http *http)
{
    if (!http)
        return;
    for (int ms = 0; ms < STOP_WAIT_MS_MAX && atomic_load(&http->suspended_count) > 0; ms += 10)
        usleep(10 * 1000); /* uploads in the worker's hands */
    if (atomic_load(&http->suspended_count) > 0) {
        log_error(http->options.log, "http", "a request was never answered", "count=%u", atomic_load(&http->suspended_count));
        return; /* somebody still holds it: better to keep its memory at the end of the process than to pull it away */
    }
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    mem_free((char *)http->options.www_dir);
    mem_free((char *)http->options.log_file);
    mem_free(http);
}

void http_take(struct http *http, int take_fd, const struct sockaddr *address, socklen_t address_len)
{
    if (MHD_add_connection(http->daemon, take_fd, address, address_len) == MHD_YES)
        return;
    struct host_ns now = clock_monotonic();
    http->refused_count++;
    if (http->refused_at.ns != 0 && host_ns_diff_s(now, http->refused_at) < 1)
        return; /* one line a second is enough for a flood */
    log_warn(http->options.log, "http", "connections refused", "limit=%d count=%u", HTTP_CONNECTIONS_MAX, http->refused_count);
    http->refused_at = now;
    http->refused_count = 0;
}
