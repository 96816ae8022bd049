/* Shared by the files of the HTTP transport. A request belongs to the http thread, except while it is suspended: then the
 * thread that answers its call, or the worker that stores its bytes, has it. */
#ifndef NET_HTTP_PRIVATE_H
#define NET_HTTP_PRIVATE_H

#include "base/clock.h"
#include "base/strbuf.h"
#include "server/api/rpc.h"
#include "server/net/http.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>

struct http_upload;

struct http {
    struct http_options options; /* texts are our copies */
    struct MHD_Daemon *daemon;
    atomic_uint suspended_count;
    struct host_ns refused_at; /* the acceptor's: when it was last logged */
    unsigned refused_count;
};

enum http_step {
    HTTP_NEW,     /* headers not looked at yet */
    HTTP_BODY,    /* taking the body */
    HTTP_WAITING, /* suspended until the call is answered */
    HTTP_ANSWERED /* a response has been queued */
};

struct http_request {
    struct http *http;
    struct MHD_Connection *connection;
    enum http_step step;
    char *uri;          /* as it came, with the query */
    char *path;         /* decoded, from the root */
    const char *query;  /* into uri, or "" */
    const char *method;
    const char *origin; /* accepted Origin header, or NULL; libmicrohttpd's */
    struct api_peer peer;
    const struct api_route *route;
    bool is_rpc;
    struct strbuf body;
    struct http_upload *upload;
    struct api_call *call;
    struct api_rpc *rpc;
    atomic_bool is_ready; /* the call has been answered, or the upload's bytes are stored */
};

/* --- http_reply.c --- */
enum MHD_Result http_reply_text(struct http_request *r, unsigned status, const char *content_type, struct strbuf *take_text);
enum MHD_Result http_reply_error(struct http_request *r, unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
enum MHD_Result http_reply_call(struct http_request *r);
/* Add what every response has (CORS and so on) and queue it; drops our reference. */
enum MHD_Result http_queue(struct http_request *r, unsigned status, struct MHD_Response *response);
enum MHD_Result http_reply_options(struct http_request *r);
const char *http_header(const struct http_request *r, const char *name); /* NULL: none */

/* --- http_files.c: downloads and the page --- */
enum MHD_Result http_serve_download(struct http_request *r, const char *client_path);
enum MHD_Result http_serve_page(struct http_request *r);

/* --- http_args.c --- */
/* Decode %XX (and '+' if `plus`) into a new text; NULL if it is malformed or holds a NUL. */
char *http_decode(const char *text, size_t len_bytes, bool plus);
/* A parameter of the query string, decoded; NULL: absent. Caller frees. */
char *http_query_get(const char *query, const char *name);
/* Merge query string and body into call arguments; the body wins. On failure *error says why (static text). */
json_t *http_read_args(const struct http_request *r, const char **error);

/* --- http_upload.c --- */
enum MHD_Result http_upload_begin(struct http_request *r);
/* Take bytes of the form. May suspend the connection while the worker writes. */
enum MHD_Result http_upload_data(struct http_request *r, const char *data, size_t *len_bytes);
enum MHD_Result http_upload_end(struct http_request *r);
void http_upload_free(struct http_upload *upload);

/* --- http.c --- */
void http_suspend(struct http_request *r);
void http_resume(struct http_request *r); /* any thread */

#endif
