/* Uploads. The form is taken apart on the http thread as it comes; the bytes of its file are gathered and handed to the
 * worker in pieces, with the connection suspended meanwhile, so that a slow disk slows only this client. */
#include "server/net/http_private.h"

#include "base/mem.h"
#include "server/api/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#define PIECE_BYTES (1u << 20)
#define FORM_BUFFER_BYTES (64u << 10)

struct http_upload {
    struct http_request *request;
    struct MHD_PostProcessor *form;
    struct api_upload *result;
    int fd; /* of the temporary file; -1: not open */
    uint64_t received_bytes, bytes_max;
    crypto_hash_sha256_state digest;
    struct strbuf piece;  /* file bytes that the worker has not got yet */
    bool is_last;         /* this piece ends the file */
    unsigned file_count;
    unsigned error_status; /* 0: none; the first error wins and the rest of the form is read and dropped */
    char error[160];
};

static void fail(struct http_upload *u, unsigned status, const char *text)
{
    if (u->error_status)
        return;
    u->error_status = status;
    snprintf(u->error, sizeof u->error, "%s", text);
}

/* --- on the worker --- */

static void write_piece(struct http_upload *u)
{
    const char *data = u->piece.data;
    size_t left = u->error_status ? 0 : u->piece.len_bytes;
    if (left > 0)
        crypto_hash_sha256_update(&u->digest, (const unsigned char *)data, left);
    while (left > 0) {
        ssize_t n = write(u->fd, data, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            fail(u, errno == ENOSPC || errno == EDQUOT ? 507 : 500, strerror(errno));
            return;
        }
        data += n;
        left -= (size_t)n;
    }
}

static void open_temp(struct http_upload *u)
{
    char *name = mem_sprintf("%s/upload-XXXXXX", api_upload_dir(u->request->http->options.api));
    u->fd = mkostemp(name, O_CLOEXEC);
    if (u->fd < 0) {
        fail(u, 500, strerror(errno));
        mem_free(name);
        return;
    }
    (void)!fchmod(u->fd, 0644);
    u->result->temp = name;
}

static void on_done(struct api_call *call)
{
    http_resume(call->transport_ctx);
}

static void store(void *arg)
{
    struct http_upload *u = arg;
    struct http_request *r = u->request;
    if (u->fd < 0 && u->file_count > 0 && !u->error_status)
        open_temp(u);
    write_piece(u);
    strbuf_clear(&u->piece);
    if (!u->is_last) {
        http_resume(r);
        return;
    }
    unsigned char sum[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_final(&u->digest, sum);
    sodium_bin2hex(u->result->digest, sizeof u->result->digest, sum, sizeof sum);
    if (u->fd >= 0 && close(u->fd) != 0)
        fail(u, 500, strerror(errno));
    u->fd = -1;
    struct api_call *call = r->call;
    if (u->error_status) {
        api_reply_error(call, (int)u->error_status, "%s", u->error);
        return;
    }
    struct api_upload *result = u->result;
    u->result = NULL;
    api_upload_submit(call, result);
}

/* Give the gathered bytes to the worker; it resumes the connection. */
static enum MHD_Result hand_over(struct http_request *r)
{
    http_suspend(r);
    if (api_defer(r->http->options.api, store, r->upload))
        return MHD_YES;
    fail(r->upload, 503, "The server is busy");
    if (r->upload->is_last)
        api_reply_error(r->call, 503, "The server is busy");
    else
        http_resume(r);
    return MHD_YES;
}

/* --- on the http thread --- */

/* Append to a small field; its parts come in pieces. */
static void add_field(struct http_upload *u, char **field, const char *data, size_t len_bytes)
{
    size_t old = *field ? strlen(*field) : 0;
    if (old + len_bytes > HTTP_FORM_VALUE_BYTES_MAX || memchr(data, 0, len_bytes)) {
        fail(u, 400, "A field of the form is too long or malformed");
        return;
    }
    *field = mem_realloc(*field, old + len_bytes + 1);
    memcpy(*field + old, data, len_bytes);
    (*field)[old + len_bytes] = 0;
}

static void add_file_bytes(struct http_upload *u, const char *filename, const char *data, uint64_t offset, size_t len_bytes)
{
    if (offset == 0) {
        if (++u->file_count > 1)
            fail(u, 400, "More than one file in the form");
        else
            u->result->filename = mem_strdup(filename);
    }
    u->received_bytes += len_bytes;
    if (u->received_bytes > u->bytes_max)
        fail(u, 413, "The file is too large");
    if (!u->error_status)
        strbuf_add(&u->piece, data, len_bytes);
}

static enum MHD_Result on_part(void *cls, enum MHD_ValueKind kind, const char *key, const char *filename,
                               const char *content_type, const char *encoding, const char *data, uint64_t offset,
                               size_t len_bytes)
{
    (void)kind, (void)content_type, (void)encoding;
    struct http_upload *u = cls;
    if (filename) {
        add_file_bytes(u, filename, data, offset, len_bytes);
        return MHD_YES;
    }
    char *print = NULL;
    if (!key)
        fail(u, 400, "A part of the form has no name");
    else if (strcmp(key, "root") == 0)
        add_field(u, &u->result->root, data, len_bytes);
    else if (strcmp(key, "path") == 0)
        add_field(u, &u->result->path, data, len_bytes);
    else if (strcmp(key, "checksum") == 0)
        add_field(u, &u->result->checksum, data, len_bytes);
    else if (strcmp(key, "print") == 0) {
        add_field(u, &print, data, len_bytes);
        u->result->wants_print = print && strcasecmp(print, "true") == 0;
    }
    mem_free(print);
    return MHD_YES;
}

enum MHD_Result http_upload_begin(struct http_request *r)
{
    struct http_upload *u = MEM_NEW(struct http_upload);
    u->request = r;
    u->fd = -1;
    u->bytes_max = r->http->options.upload_bytes_max;
    u->form = MHD_create_post_processor(r->connection, FORM_BUFFER_BYTES, on_part, u);
    if (!u->form) {
        mem_free(u);
        return http_reply_error(r, MHD_HTTP_BAD_REQUEST, "An upload must be multipart/form-data");
    }
    u->result = MEM_NEW(struct api_upload);
    u->result->is_octoprint = strncmp(r->path, "/api/", 5) == 0;
    strbuf_init(&u->piece);
    crypto_hash_sha256_init(&u->digest);
    r->upload = u;
    return MHD_YES;
}

enum MHD_Result http_upload_data(struct http_request *r, const char *data, size_t *len_bytes)
{
    struct http_upload *u = r->upload;
    if (MHD_post_process(u->form, data, *len_bytes) != MHD_YES)
        fail(u, 400, "The form is malformed");
    *len_bytes = 0;
    return u->piece.len_bytes >= PIECE_BYTES ? hand_over(r) : MHD_YES;
}

enum MHD_Result http_upload_end(struct http_request *r)
{
    struct http_upload *u = r->upload;
    if (u->form && MHD_destroy_post_processor(u->form) != MHD_YES)
        fail(u, 400, "The form ends too early");
    u->form = NULL;
    u->is_last = true;
    struct api_call *call = api_call_create(r->http->options.api, &r->peer);
    call->route = r->route;
    call->verb = API_POST;
    call->args = json_object();
    call->done = on_done;
    call->transport_ctx = r;
    r->call = call;
    return hand_over(r);
}

void http_upload_free(struct http_upload *u)
{
    if (!u)
        return;
    if (u->form)
        MHD_destroy_post_processor(u->form);
    if (u->fd >= 0)
        close(u->fd);
    api_upload_deinit(u->result);
    strbuf_deinit(&u->piece);
    mem_free(u);
}
