#include "server/net/net.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "server/api/api.h"
#include "server/net/acceptor.h"
#include "server/net/guard.h"
#include "server/net/http.h"
#include "server/net/ws.h"

#include <sodium.h>
#include <unistd.h>

#define WEBSOCKETS_DEFAULT 50
#define NET_NICENESS (-5) /* an emergency stop comes in here */
#define UPLOAD_BYTES_DEFAULT (1024ull << 20)

struct net {
    struct api *api;
    struct guard *guard;
    struct http *http;
    struct ws *ws;
    struct acceptor *acceptor;
};

static void take_http(void *ctx, int take_fd, const struct sockaddr *address, socklen_t address_len)
{
    http_take(((struct net *)ctx)->http, take_fd, address, address_len);
}

static void take_websocket(void *ctx, int take_fd, const struct sockaddr *address, socklen_t address_len)
{
    (void)address, (void)address_len;
    ws_take(((struct net *)ctx)->ws, take_fd);
}

enum err net_create(const struct net_options *options, struct net **out, struct err_info *info)
{
    if (sodium_init() < 0)
        return err_set(info, ERR_IO, "libsodium does not start");
    struct net *net = MEM_NEW(struct net);
    net->api = options->api;
    net->guard = guard_create(options->cors_domains, options->host_names);
    struct http_options http = {
        .log = options->log,
        .api = options->api,
        .files = options->files,
        .guard = net->guard,
        .www_dir = options->www_dir,
        .log_file = options->log_file,
        .upload_bytes_max = options->upload_bytes_max ? options->upload_bytes_max : UPLOAD_BYTES_DEFAULT,
    };
    struct ws_options ws = {
        .log = options->log,
        .api = options->api,
        .guard = net->guard,
        .clients_max = options->websockets_max ? options->websockets_max : WEBSOCKETS_DEFAULT,
    };
    struct acceptor_options acceptor = {
        .host = options->host ? options->host : "127.0.0.1",
        .port = options->port,
        .log = options->log,
        .http = take_http,
        .websocket = take_websocket,
        .ctx = net,
    };
    const int niceness = thread_set_niceness(NET_NICENESS); /* of the threads that these make */
    thread_set_prompt(true);
    enum err err = http_create(&http, &net->http, info);
    if (!err)
        err = ws_create(&ws, &net->ws, info);
    if (!err)
        err = acceptor_create(&acceptor, &net->acceptor, info);
    (void)thread_set_niceness(niceness);
    thread_set_prompt(false);
    if (err) {
        net_destroy(net);
        return err;
    }
    log_info(options->log, "net", "listening", "host=%s port=%u", acceptor.host, acceptor_port(net->acceptor));
    *out = net;
    return OK;
}

void net_destroy(struct net *net)
{
    if (!net)
        return;
    acceptor_destroy(net->acceptor);
    api_stop(net->api);
    http_destroy(net->http);
    ws_destroy(net->ws);
    guard_destroy(net->guard);
    mem_free(net);
}

unsigned net_port(const struct net *net)
{
    return acceptor_port(net->acceptor);
}
