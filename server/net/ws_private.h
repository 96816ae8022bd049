/* Shared by the files of the WebSocket transport; everything but the queues belongs to its thread. */
#ifndef NET_WS_PRIVATE_H
#define NET_WS_PRIVATE_H

/* It brings in OpenSSL's headers, which use a name of ours. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <libwebsockets.h>
#undef ERR_STATE

#include "base/clock.h"
#include "base/list.h"
#include "base/ring.h"
#include "server/api/rpc.h"
#include "server/net/ws.h"

#include <pthread.h>
#include <stdatomic.h>

struct subscription;

/* A text frame with room in front for what libwebsockets puts there; shared by the queues of several clients. */
struct ws_frame {
    unsigned refs;
    uint64_t to; /* the one connection it is for; 0: everyone */
    size_t len_bytes;
    unsigned char data[]; /* LWS_PRE bytes, then the text */
};

struct ws_out {
    struct list node;
    struct ws_frame *frame;
};

struct ws_client {
    struct list node;
    struct ws *ws;
    struct lws *wsi;
    struct api_peer peer;
    bool is_identified, is_agent;
    struct strbuf incoming; /* fragments of the message being received */
    struct list queue;      /* of struct ws_out */
    size_t queue_bytes;
    struct host_ns moved_at; /* when the queue last moved, or became non-empty */
    unsigned call_count;
    bool is_throttled, is_closing;
    struct subscription *subscription;
};

struct ws {
    struct ws_options options;
    struct lws_context *context;
    struct lws_vhost *vhost;
    pthread_t thread;
    atomic_bool is_stopping;
    struct mpsc sockets; /* int */
    struct mpsc frames;  /* struct ws_frame *: for every client. Full: dropped and counted */
    struct mpsc answers; /* struct api_rpc *: at most API_CALLS_MAX and the urgent ones, so never full */
    atomic_uint client_count;
    atomic_uint frames_dropped;
    atomic_bool is_klippy_gone, must_disconnect;
    struct list clients;
    uint64_t last_id;
    unsigned ticks;
    unsigned dropped_reported;
    lws_sorted_usec_list_t timer;
};

/* --- ws_client.c --- */
struct ws_frame *ws_frame_create(const char *text, size_t len_bytes);
void ws_frame_unref(struct ws_frame *frame);
/* A new connection with a passed handshake. */
void ws_client_open(struct ws *ws, struct ws_client *client, struct lws *wsi, const struct api_peer *peer);
void ws_client_close(struct ws_client *client);
/* Bytes of a message; is_last: it is complete. Returns -1 if the connection must be closed. */
int ws_client_receive(struct ws_client *client, const char *data, size_t len_bytes, bool is_last);
void ws_client_send(struct ws_client *client, struct ws_frame *frame); /* takes a reference of its own */
int ws_client_writeable(struct ws_client *client); /* -1: close */
void ws_client_answer(struct ws *ws, struct api_rpc *rpc);
/* Send what has changed of the client's subscription. */
void ws_client_update(struct ws_client *client);
void ws_client_check(struct ws_client *client, struct host_ns now);
struct ws_client *ws_client_find(struct ws *ws, uint64_t id); /* NULL: gone */

#endif
