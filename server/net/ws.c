#include "server/net/ws_private.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/api/access.h"
#include "server/api/subscription.h"
#include "server/net/guard.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FRAMES_QUEUED 4096
#define TICKS_PER_S 4 /* of API_STATUS_PERIOD_S */

/* --- the API's sink (any thread) --- */

static void sink_frame_to(void *ctx, uint64_t id, const char *text, size_t len_bytes)
{
    struct ws *ws = ctx;
    if (atomic_load(&ws->client_count) == 0)
        return;
    struct ws_frame *frame = ws_frame_create(text, len_bytes);
    frame->to = id;
    if (!mpsc_push(&ws->frames, &frame)) {
        atomic_fetch_add(&ws->frames_dropped, 1);
        mem_free(frame);
        return;
    }
    lws_cancel_service(ws->context);
}

static void sink_frame(void *ctx, const char *text, size_t len_bytes)
{
    sink_frame_to(ctx, 0, text, len_bytes);
}

static void sink_klippy_gone(void *ctx)
{
    struct ws *ws = ctx;
    atomic_store(&ws->is_klippy_gone, true);
    lws_cancel_service(ws->context);
}

static unsigned sink_connection_count(void *ctx)
{
    return atomic_load(&((struct ws *)ctx)->client_count);
}

/* Inside api_submit on our thread, or with the id 0 from another transport. */
static bool sink_subscribe(void *ctx, uint64_t id, struct subscription *take_sub)
{
    struct ws_client *client = id ? ws_client_find(ctx, id) : NULL;
    if (!client) {
        subscription_destroy(take_sub);
        return false;
    }
    subscription_destroy(client->subscription);
    client->subscription = NULL;
    if (subscription_object_count(take_sub) > 0)
        client->subscription = take_sub;
    else
        subscription_destroy(take_sub);
    return true;
}

static enum err sink_identify(void *ctx, uint64_t id, const json_t *args, struct err_info *info)
{
    struct ws *ws = ctx;
    struct ws_client *client = id ? ws_client_find(ws, id) : NULL;
    if (!client)
        return err_set(info, ERR_NOT_FOUND, "No connection to identify");
    const char *key = json_string_value(json_object_get(args, "api_key"));
    if (key && !api_key_matches(ws->options.api, key))
        return err_set(info, ERR_DENIED, "Unauthorized");
    if (client->is_identified)
        return err_set(info, ERR_STATE, "Connection already identified");
    client->is_identified = true;
    const char *type = json_string_value(json_object_get(args, "type"));
    client->is_agent = type && strcmp(type, "agent") == 0;
    char name[128], version[64];
    log_info(ws->options.log, "ws", "client identified", "id=%llu name=\"%s\" version=\"%s\"", (unsigned long long)id,
             log_escape(json_string_value(json_object_get(args, "client_name")), name, sizeof name),
             log_escape(json_string_value(json_object_get(args, "version")), version, sizeof version));
    return OK;
}

static bool sink_is_agent(void *ctx, uint64_t id)
{
    const struct ws_client *client = id ? ws_client_find(ctx, id) : NULL;
    return client && client->is_agent;
}

static void sink_disconnect_all(void *ctx)
{
    struct ws *ws = ctx;
    atomic_store(&ws->must_disconnect, true);
    lws_cancel_service(ws->context);
}

/* --- handshake --- */

static const char *header(struct lws *wsi, enum lws_token_indexes token, char *out, size_t out_bytes)
{
    int len = lws_hdr_copy(wsi, out, (int)out_bytes, token);
    return len > 0 ? out : NULL;
}

static void describe_peer(struct lws *wsi, struct api_peer *peer)
{
    *peer = (struct api_peer){.transport = API_OVER_WEBSOCKET};
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    if (getpeername(lws_get_socket_fd(wsi), (struct sockaddr *)&address, &len) != 0)
        return;
    if (address.ss_family == AF_INET)
        inet_ntop(AF_INET, &((struct sockaddr_in *)&address)->sin_addr, peer->address, sizeof peer->address);
    else if (address.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&address)->sin6_addr, peer->address, sizeof peer->address);
}

/* HTTP status of the refusal, 0: welcome. */
static unsigned judge(struct ws *ws, struct lws *wsi, struct api_peer *peer)
{
    char host[256], origin[300], key[128], uri[512];
    describe_peer(wsi, peer);
    const char *host_header = header(wsi, WSI_TOKEN_HOST, host, sizeof host);
    const char *origin_header = header(wsi, WSI_TOKEN_ORIGIN, origin, sizeof origin);
    bool origin_too_long = lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) >= (int)sizeof origin;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HOST) >= (int)sizeof host || origin_too_long ||
        !guard_address_is_private(peer->address) || !guard_host_is_ours(ws->options.guard, host_header) ||
        !guard_origin_is_allowed(ws->options.guard, origin_header, host_header))
        return 403;
    if (header(wsi, WSI_TOKEN_GET_URI, uri, sizeof uri) && strcmp(uri, "/websocket") != 0)
        return 404;
    if (atomic_load(&ws->client_count) >= ws->options.clients_max)
        return 503;
    if (host_header)
        snprintf(peer->host, sizeof peer->host, "%.127s", host_header);
    char token[64];
    const char *token_arg = lws_get_urlarg_by_name(wsi, "token=", token, sizeof token);
    if (token_arg && *token_arg && !api_token_take(ws->options.api, token_arg, peer->address))
        return 401;
    if (lws_hdr_custom_copy(wsi, key, sizeof key, "x-api-key:", 10) > 0 && !api_key_matches(ws->options.api, key))
        return 401;
    peer->is_allowed = true;
    return 0;
}

static int refuse(struct lws *wsi, unsigned status, const struct api_peer *peer, struct log *log)
{
    log_info(log, "ws", "connection refused", "status=%u address=%s", status, peer->address);
    lws_return_http_status(wsi, status, NULL);
    return -1;
}

/* --- events from other threads --- */

static void take_sockets(struct ws *ws)
{
    int fd;
    while (mpsc_pop(&ws->sockets, &fd))
        lws_adopt_socket_vhost(ws->vhost, fd); /* closes the socket itself if it fails */
}

static void take_frames(struct ws *ws)
{
    struct ws_frame *frame;
    while (mpsc_pop(&ws->frames, &frame)) {
        LIST_FOREACH(node, &ws->clients) {
            struct ws_client *client = CONTAINER_OF(node, struct ws_client, node);
            if (!frame->to || frame->to == client->peer.connection_id)
                ws_client_send(client, frame);
        }
        ws_frame_unref(frame);
    }
    unsigned dropped = atomic_load(&ws->frames_dropped);
    if (dropped != ws->dropped_reported)
        log_warn(ws->options.log, "ws", "notifications dropped", "count=%u", dropped - ws->dropped_reported);
    ws->dropped_reported = dropped;
}

static void take_events(struct ws *ws)
{
    take_sockets(ws);
    struct api_rpc *rpc;
    while (mpsc_pop(&ws->answers, &rpc))
        ws_client_answer(ws, rpc);
    if (atomic_exchange(&ws->is_klippy_gone, false))
        LIST_FOREACH(node, &ws->clients) {
            struct ws_client *client = CONTAINER_OF(node, struct ws_client, node);
            subscription_destroy(client->subscription);
            client->subscription = NULL;
        }
    take_frames(ws);
    if (atomic_exchange(&ws->must_disconnect, false))
        LIST_FOREACH(node, &ws->clients)
            lws_set_timeout(CONTAINER_OF(node, struct ws_client, node)->wsi, PENDING_TIMEOUT_USER_OK, 1);
}

static void on_timer(lws_sorted_usec_list_t *timer)
{
    struct ws *ws = lws_container_of(timer, struct ws, timer);
    struct host_ns now = clock_monotonic();
    LIST_FOREACH(node, &ws->clients) {
        struct ws_client *client = CONTAINER_OF(node, struct ws_client, node);
        ws_client_update(client);
        ws_client_check(client, now);
    }
    if (++ws->ticks % TICKS_PER_S == 0)
        api_tick(ws->options.api);
    lws_sul_schedule(ws->context, 0, timer, on_timer, (lws_usec_t)(API_STATUS_PERIOD_S * LWS_US_PER_SEC));
}

/* --- libwebsockets --- */

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct ws *ws = lws_context_user(lws_get_context(wsi));
    struct ws_client *client = user;
    struct api_peer peer;
    switch (reason) {
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: {
        unsigned status = judge(ws, wsi, &peer);
        if (status || !client)
            return refuse(wsi, status, &peer, ws->options.log);
        client->peer = peer; /* the headers are gone by the time it is established */
        return 0;
    }
    case LWS_CALLBACK_ESTABLISHED:
        peer = client->peer;
        ws_client_open(ws, client, wsi, &peer);
        return 0;
    case LWS_CALLBACK_HTTP:
        lws_return_http_status(wsi, HTTP_STATUS_BAD_REQUEST, NULL); /* a plain request for /websocket */
        return -1;
    case LWS_CALLBACK_RECEIVE: {
        bool is_last = lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0;
        return client->ws ? ws_client_receive(client, in, len, is_last) : -1;
    }
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return client->ws ? ws_client_writeable(client) : -1;
    case LWS_CALLBACK_CLOSED:
    case LWS_CALLBACK_WS_SERVER_DROP_PROTOCOL:
        if (client)
            ws_client_close(client);
        return 0;
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
        take_events(ws);
        return 0;
    default:
        return 0;
    }
}

static void *ws_main(void *arg)
{
    struct ws *ws = arg;
    pthread_setname_np(pthread_self(), "ws");
    lws_sul_schedule(ws->context, 0, &ws->timer, on_timer, (lws_usec_t)(API_STATUS_PERIOD_S * LWS_US_PER_SEC));
    while (!atomic_load(&ws->is_stopping) && lws_service(ws->context, 0) >= 0)
        ;
    return NULL;
}

static const struct lws_protocols PROTOCOLS[] = {
    {.name = "lockstep", .callback = callback, .per_session_data_size = sizeof(struct ws_client), .rx_buffer_size = 16384},
    {.name = NULL},
};

/* Ask a silent client for a sign of life each 10 s; gone after three. */
static const lws_retry_bo_t ALIVE = {.secs_since_valid_ping = 10, .secs_since_valid_hangup = 30};

enum err ws_create(const struct ws_options *options, struct ws **out, struct err_info *info)
{
    struct ws *ws = MEM_NEW(struct ws);
    ws->options = *options;
    list_init(&ws->clients);
    mpsc_init(&ws->sockets, sizeof(int), 256);
    mpsc_init(&ws->frames, sizeof(struct ws_frame *), FRAMES_QUEUED);
    mpsc_init(&ws->answers, sizeof(struct api_rpc *), 4 * API_CALLS_MAX);
    lws_set_log_level(0, NULL);
    struct lws_context_creation_info settings = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = PROTOCOLS,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .gid = -1,
        .uid = -1,
        .user = ws,
        .max_http_header_data = WS_HEADER_BYTES_MAX,
        .fd_limit_per_thread = options->clients_max + 64,
        .timeout_secs = 10,
        .retry_and_idle_policy = &ALIVE,
        .vhost_name = "lockstep",
        .pt_serv_buf_size = 16384,
    };

    ws->context = lws_create_context(&settings);
    ws->vhost = ws->context ? lws_create_vhost(ws->context, &settings) : NULL;
    if (!ws->vhost) {
        enum err err = err_set(info, ERR_IO, "libwebsockets does not start");
        if (ws->context)
            lws_context_destroy(ws->context);
        mem_free(ws);
        return err;
    }
    struct api_sink sink = {
        .ctx = ws,
        .frame = sink_frame,
        .frame_to = sink_frame_to,
        .klippy_gone = sink_klippy_gone,
        .connection_count = sink_connection_count,
        .subscribe = sink_subscribe,
        .identify = sink_identify,
        .is_agent = sink_is_agent,
        .disconnect_all = sink_disconnect_all,
    };
    api_set_sink(options->api, &sink);
    int rc = pthread_create(&ws->thread, NULL, ws_main, ws);
    CHECK(rc == 0);
    *out = ws;
    return OK;
}

void ws_destroy(struct ws *ws)
{
    if (!ws)
        return;
    atomic_store(&ws->is_stopping, true);
    lws_cancel_service(ws->context);
    pthread_join(ws->thread, NULL);
    api_set_sink(ws->options.api, NULL);
    take_events(ws);
    lws_context_destroy(ws->context);
    mpsc_deinit(&ws->sockets);
    mpsc_deinit(&ws->frames);
    mpsc_deinit(&ws->answers);
    mem_free(ws);
}

void ws_take(struct ws *ws, int take_fd)
{
    if (!mpsc_push(&ws->sockets, &take_fd)) {
        close(take_fd);
        return;
    }
    lws_cancel_service(ws->context);
}
