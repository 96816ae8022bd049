/* JSON-RPC 2.0 for any transport: one request or a batch in, one text out. */
#ifndef API_RPC_H
#define API_RPC_H

#include "server/api/api.h"

struct api_rpc;

/* A call of the batch has been answered: have api_rpc_step called on the transport's own thread. Any thread; may run
 * inside api_rpc_step. */
typedef void api_rpc_ready_fn(struct api_rpc *rpc);

struct api_rpc {
    /* the transport's */
    api_rpc_ready_fn *ready;
    void *transport_ctx;
    uint64_t transport_id;
    /* the answer, complete when api_rpc_step returns true; empty: nothing is to be sent */
    struct strbuf out;
    /* ours */
    struct api *api;
    struct api_peer peer;
    json_t *request;
    size_t index, sent_count;
    bool is_batch;
    struct api_call *call; /* in progress or answered */
    json_t *id;            /* of that call, borrowed from `request`; NULL: a notification */
};

/* Take a message (copied). Then call api_rpc_step until it returns true: at once, and after each `ready`. */
struct api_rpc *api_rpc_create(struct api *api, const struct api_peer *peer, const char *text, size_t len_bytes);
bool api_rpc_step(struct api_rpc *rpc);
void api_rpc_free(struct api_rpc *rpc); /* while no call of it waits; NULL allowed */

#endif
