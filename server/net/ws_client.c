#include "server/net/ws_private.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/api/subscription.h"

#include <string.h>

struct ws_frame *ws_frame_create(const char *text, size_t len_bytes)
{
    struct ws_frame *frame = mem_alloc(sizeof *frame + LWS_PRE + len_bytes);
    frame->refs = 1;
    frame->to = 0;
    frame->len_bytes = len_bytes;
    memcpy(frame->data + LWS_PRE, text, len_bytes);
    return frame;
}

void ws_frame_unref(struct ws_frame *frame)
{
    if (--frame->refs == 0)
        mem_free(frame);
}

void ws_client_open(struct ws *ws, struct ws_client *client, struct lws *wsi, const struct api_peer *peer)
{
    memset(client, 0, sizeof *client);
    client->ws = ws;
    client->wsi = wsi;
    client->peer = *peer;
    client->peer.connection_id = ++ws->last_id;
    strbuf_init(&client->incoming);
    list_init(&client->queue);
    list_append(&ws->clients, &client->node);
    atomic_fetch_add(&ws->client_count, 1);
    log_info(ws->options.log, "ws", "connection opened", "id=%llu address=%s",
             (unsigned long long)client->peer.connection_id, client->peer.address);
}

static void pop(struct ws_client *client)
{
    struct ws_out *out = CONTAINER_OF(client->queue.next, struct ws_out, node);
    client->queue_bytes -= out->frame->len_bytes;
    list_remove(&out->node);
    ws_frame_unref(out->frame);
    mem_free(out);
}

void ws_client_close(struct ws_client *client)
{
    if (!client->ws) /* refused before it was opened */
        return;
    struct ws *ws = client->ws;
    log_info(ws->options.log, "ws", "connection closed", "id=%llu", (unsigned long long)client->peer.connection_id);
    while (!list_is_empty(&client->queue))
        pop(client);
    strbuf_deinit(&client->incoming);
    subscription_destroy(client->subscription);
    api_connection_closed(ws->options.api, client->peer.connection_id);
    list_remove(&client->node);
    client->ws = NULL;
    atomic_fetch_sub(&ws->client_count, 1);
}

struct ws_client *ws_client_find(struct ws *ws, uint64_t id)
{
    LIST_FOREACH(node, &ws->clients) {
        struct ws_client *client = CONTAINER_OF(node, struct ws_client, node);
        if (client->peer.connection_id == id)
            return client;
    }
    return NULL;
}

/* Let a client go that cannot keep up: it may not even take a close frame, so the connection is cut. */
static void drop(struct ws_client *client, const char *reason)
{
    if (client->is_closing)
        return;
    client->is_closing = true;
    log_warn(client->ws->options.log, "ws", "client dropped", "id=%llu reason=\"%s\" waiting_bytes=%zu",
             (unsigned long long)client->peer.connection_id, reason, client->queue_bytes);
    lws_close_reason(client->wsi, LWS_CLOSE_STATUS_POLICY_VIOLATION, (unsigned char *)(uintptr_t)reason, strlen(reason));
    lws_set_timeout(client->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

void ws_client_send(struct ws_client *client, struct ws_frame *frame)
{
    if (client->is_closing)
        return;
    if (client->queue_bytes + frame->len_bytes > WS_QUEUE_BYTES_MAX) {
        drop(client, "too slow: send queue full");
        return;
    }
    if (list_is_empty(&client->queue))
        client->moved_at = clock_monotonic();
    struct ws_out *out = MEM_NEW(struct ws_out);
    out->frame = frame;
    frame->refs++;
    client->queue_bytes += frame->len_bytes;
    list_append(&client->queue, &out->node);
    lws_callback_on_writable(client->wsi);
}

static void send_text(struct ws_client *client, const char *text, size_t len_bytes)
{
    struct ws_frame *frame = ws_frame_create(text, len_bytes);
    ws_client_send(client, frame);
    ws_frame_unref(frame);
}

int ws_client_writeable(struct ws_client *client)
{
    if (client->is_closing)
        return -1;
    if (list_is_empty(&client->queue))
        return 0;
    struct ws_frame *frame = CONTAINER_OF(client->queue.next, struct ws_out, node)->frame;
    if (lws_write(client->wsi, frame->data + LWS_PRE, frame->len_bytes, LWS_WRITE_TEXT) < (int)frame->len_bytes)
        return -1;
    pop(client);
    client->moved_at = clock_monotonic();
    if (!list_is_empty(&client->queue))
        lws_callback_on_writable(client->wsi);
    return 0;
}

/* --- requests --- */

static void on_ready(struct api_rpc *rpc)
{
    struct ws *ws = rpc->transport_ctx;
    bool is_queued = mpsc_push(&ws->answers, &rpc);
    CHECK(is_queued); /* bounded by API_CALLS_MAX */
    lws_cancel_service(ws->context);
}

/* The message is answered as far as it can be now. */
static void finish(struct ws_client *client, struct api_rpc *rpc)
{
    if (client && rpc->out.len_bytes > 0)
        send_text(client, rpc->out.data, rpc->out.len_bytes);
    api_rpc_free(rpc);
}

static void handle(struct ws_client *client, const char *text, size_t len_bytes)
{
    struct ws *ws = client->ws;
    struct api_rpc *rpc = api_rpc_create(ws->options.api, &client->peer, text, len_bytes);
    rpc->ready = on_ready;
    rpc->transport_ctx = ws;
    rpc->transport_id = client->peer.connection_id;
    if (api_rpc_step(rpc)) {
        finish(client, rpc);
        return;
    }
    if (++client->call_count >= WS_CALLS_MAX && !client->is_throttled) {
        client->is_throttled = true;
        lws_rx_flow_control(client->wsi, 0);
    }
}

void ws_client_answer(struct ws *ws, struct api_rpc *rpc)
{
    struct ws_client *client = ws_client_find(ws, rpc->transport_id);
    if (!api_rpc_step(rpc))
        return;
    finish(client, rpc);
    if (!client)
        return;
    client->call_count--;
    if (client->is_throttled && client->call_count < WS_CALLS_MAX / 2) {
        client->is_throttled = false;
        lws_rx_flow_control(client->wsi, 1);
    }
}

int ws_client_receive(struct ws_client *client, const char *data, size_t len_bytes, bool is_last)
{
    if (client->incoming.len_bytes + len_bytes > WS_MESSAGE_BYTES_MAX) {
        static const char REASON[] = "message too large";
        lws_close_reason(client->wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, (unsigned char *)(uintptr_t)REASON,
                         sizeof REASON - 1);
        return -1;
    }
    if (is_last && client->incoming.len_bytes == 0) {
        handle(client, data, len_bytes);
        return 0;
    }
    strbuf_add(&client->incoming, data, len_bytes);
    if (is_last) {
        struct strbuf message = client->incoming;
        client->incoming = (struct strbuf){.data = NULL};
        handle(client, message.data, message.len_bytes);
        strbuf_deinit(&message);
    }
    return 0;
}

/* --- at intervals --- */

void ws_client_update(struct ws_client *client)
{
    if (!client->subscription || client->queue_bytes > WS_QUEUE_BYTES_DELTAS || client->is_closing)
        return;
    struct status_hub *hub = api_status_hub(client->ws->options.api);
    const struct status_snapshot *snapshot = status_acquire(hub);
    struct strbuf frame;
    strbuf_init(&frame);
    strbuf_adds(&frame, "{\"jsonrpc\":\"2.0\",\"method\":\"notify_status_update\",\"params\":[");
    if (subscription_write_changes(client->subscription, snapshot, &frame)) {
        strbuf_addc(&frame, ',');
        strbuf_add_json_double(&frame, snapshot->eventtime_s);
        strbuf_adds(&frame, "]}");
        send_text(client, frame.data, frame.len_bytes);
    }
    strbuf_deinit(&frame);
    status_release(hub, snapshot);
}

void ws_client_check(struct ws_client *client, struct host_ns now)
{
    if (!list_is_empty(&client->queue) && host_ns_diff_s(now, client->moved_at) > WS_STALL_S)
        drop(client, "too slow: nothing was taken for 30 s");
}
