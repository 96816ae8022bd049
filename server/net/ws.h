/* WebSocket: JSON-RPC requests in, answers and notifications out, by libwebsockets on a thread of its own.
 *
 * Every client has a bounded send queue. Its policy: while more than WS_QUEUE_BYTES_DELTAS wait, status deltas are held
 * back and the next one covers all that changed meanwhile; beyond WS_QUEUE_BYTES_MAX, or when nothing has moved for
 * WS_STALL_S, the client is dropped and the log says why. */
#ifndef NET_WS_H
#define NET_WS_H

#include "base/err.h"

#include <sys/socket.h>

#define WS_QUEUE_BYTES_DELTAS (256u << 10)
#define WS_QUEUE_BYTES_MAX (32u << 20)
#define WS_STALL_S 30.0
#define WS_MESSAGE_BYTES_MAX (16u << 20) /* one message from a client */
#define WS_CALLS_MAX 64                  /* waiting for an answer, of one client: then its socket is not read. More than
                                            there are fibers for scripts, so an emergency stop never waits here */
#define WS_HEADER_BYTES_MAX 8192

struct api;
struct guard;
struct log;
struct ws;

struct ws_options {
    struct log *log;
    struct api *api;
    const struct guard *guard;
    unsigned clients_max;
};
enum err ws_create(const struct ws_options *options, struct ws **out, struct err_info *info) ERR_NODISCARD;
/* Stop the thread and close every connection. All calls have been answered (api_stop). NULL allowed. */
void ws_destroy(struct ws *ws);

/* Take over a connected socket whose request for /websocket has not been read yet. Any thread. */
void ws_take(struct ws *ws, int take_fd);

#endif
