/* One listening socket for two libraries: the acceptor looks at the first bytes of each connection without taking them
 * out, and hands the socket to whoever should serve it. */
#ifndef NET_ACCEPTOR_H
#define NET_ACCEPTOR_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/socket.h>

struct acceptor;
struct log;

#define ACCEPTOR_PENDING_MAX 64     /* connections that have not said anything yet; more: the oldest is closed */
#define ACCEPTOR_PENDING_MS_MAX 5000

/* Take the connected, non-blocking socket; on the acceptor's thread, must not block. */
typedef void acceptor_take_fn(void *ctx, int take_fd, const struct sockaddr *address, socklen_t address_len);

struct acceptor_options {
    const char *host; /* numeric address or a name that resolves to one */
    unsigned port;    /* 0: any */
    struct log *log;
    acceptor_take_fn *http, *websocket;
    void *ctx;
};
enum err acceptor_create(const struct acceptor_options *options, struct acceptor **out, struct err_info *info) ERR_NODISCARD;
void acceptor_destroy(struct acceptor *acceptor); /* NULL allowed */
unsigned acceptor_port(const struct acceptor *acceptor);

#endif
