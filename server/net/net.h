/* One port for everything: HTTP and WebSocket behind one listening socket, and the page.
 *
 * Threads: acceptor (peeks at the request line and hands the socket on), http (libmicrohttpd), ws (libwebsockets). None of
 * them ever waits for the machine. */
#ifndef NET_NET_H
#define NET_NET_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct api;
struct files;
struct log;
struct net;

struct net_options {
    struct log *log;
    struct api *api;               /* kept until net_destroy */
    struct files *files;           /* kept until net_destroy */
    const char *host;              /* address to listen on; NULL: 127.0.0.1 */
    unsigned port;                 /* 0: any free one, see net_port */
    const char *www_dir;           /* the page; NULL: none. Copied, like all texts here */
    const char *log_file;          /* offered as /server/files/klippy.log; NULL: none */
    const char *const *cors_domains; /* origins that may use the API from a browser, '*' matches any run; NULL-ended; NULL: none */
    const char *const *host_names;   /* names this machine is reached by, besides its own; NULL-ended; NULL: none */
    unsigned websockets_max;       /* 0: 50 */
    uint64_t upload_bytes_max;     /* 0: 1024 MiB */
};

/* Listen and serve. On failure *out is untouched and `info` says why (address in use, ...). */
enum err net_create(const struct net_options *options, struct net **out, struct err_info *info) ERR_NODISCARD;
/* Close every connection and stop the threads; calls that wait are answered 503 (api_stop). The machine thread no longer
 * calls api_machine_run. NULL allowed. */
void net_destroy(struct net *net);
unsigned net_port(const struct net *net);

#endif
