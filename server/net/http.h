/* HTTP: the API as REST, JSON-RPC in a body, uploads, downloads and the page, by libmicrohttpd on a thread of its own. */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "base/err.h"

#include <stdint.h>
#include <sys/socket.h>

#define HTTP_HEADER_BYTES_MAX (32u << 10) /* request line and headers of a connection */
#define HTTP_CONNECTIONS_MAX 256
#define HTTP_IDLE_S_MAX 60
#define HTTP_FORM_VALUE_BYTES_MAX 4096 /* a field of an upload form that is not the file */

struct api;
struct files;
struct guard;
struct http;
struct log;

struct http_options {
    struct log *log;
    struct api *api;
    struct files *files;
    const struct guard *guard;
    const char *www_dir;  /* NULL: no page */
    const char *log_file; /* offered as /server/files/klippy.log; NULL: none */
    uint64_t upload_bytes_max;
};
enum err http_create(const struct http_options *options, struct http **out, struct err_info *info) ERR_NODISCARD;
/* All calls have been answered (api_stop). NULL allowed. */
void http_destroy(struct http *http);

/* Take over a connected, non-blocking socket from which nothing has been read. Acceptor thread. */
void http_take(struct http *http, int take_fd, const struct sockaddr *address, socklen_t address_len);

#endif
