/* Files over HTTP: downloads from the roots, and the page. */
#include "server/net/http_private.h"

#include "base/mem.h"
#include "server/store/files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *content_type(const char *path)
{
    static const struct {
        const char *ending, *type;
    } TYPES[] = {
        {"html", "text/html; charset=utf-8"},       {"js", "text/javascript; charset=utf-8"},
        {"mjs", "text/javascript; charset=utf-8"},  {"css", "text/css; charset=utf-8"},
        {"json", "application/json; charset=UTF-8"}, {"webmanifest", "application/manifest+json"},
        {"svg", "image/svg+xml"},                   {"png", "image/png"},
        {"jpg", "image/jpeg"},                      {"jpeg", "image/jpeg"},
        {"gif", "image/gif"},                       {"webp", "image/webp"},
        {"ico", "image/x-icon"},                    {"woff2", "font/woff2"},
        {"woff", "font/woff"},                      {"ttf", "font/ttf"},
        {"wasm", "application/wasm"},               {"txt", "text/plain; charset=utf-8"},
        {"log", "text/plain; charset=utf-8"},       {"cfg", "text/plain; charset=utf-8"},
        {"conf", "text/plain; charset=utf-8"},      {"md", "text/plain; charset=utf-8"},
        {"map", "application/json"},
    };
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof TYPES / sizeof TYPES[0]; i++)
        if (strcasecmp(dot + 1, TYPES[i].ending) == 0)
            return TYPES[i].type;
    return "application/octet-stream";
}

static void http_date(time_t when, char out[64])
{
    static const char *const DAYS[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const MONTHS[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;
    gmtime_r(&when, &tm);
    snprintf(out, 64, "%s, %02d %s %04d %02d:%02d:%02d GMT", DAYS[tm.tm_wday], tm.tm_mday, MONTHS[tm.tm_mon],
             tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* Does the client have this version already? Browsers send back the date they were given, so equal text is enough for
 * them; others may send a later date. */
static bool is_unmodified(const struct http_request *r, const struct stat *st)
{
    const char *text = http_header(r, MHD_HTTP_HEADER_IF_MODIFIED_SINCE);
    struct tm tm = {.tm_sec = 0};
    if (!text || !strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm))
        return false;
    return st->st_mtim.tv_sec <= timegm(&tm);
}

enum range { RANGE_NONE, RANGE_SOME, RANGE_IMPOSSIBLE };

/* "bytes=first-last", "bytes=first-", "bytes=-count". Several ranges at once are served whole, as the RFC allows. */
static enum range read_range(const struct http_request *r, uint64_t size, uint64_t *out_first, uint64_t *out_count)
{
    const char *text = http_header(r, MHD_HTTP_HEADER_RANGE);
    if (!text || strncasecmp(text, "bytes=", 6) != 0 || strchr(text, ','))
        return RANGE_NONE;
    text += 6;
    char *end;
    uint64_t first, last = size ? size - 1 : 0;
    if (*text == '-') {
        uint64_t wanted = strtoull(text + 1, &end, 10);
        if (end == text + 1 || *end)
            return RANGE_NONE;
        if (wanted == 0)
            return RANGE_IMPOSSIBLE;
        first = wanted < size ? size - wanted : 0;
    } else {
        first = strtoull(text, &end, 10);
        if (end == text || *end != '-')
            return RANGE_NONE;
        char *after = end + 1;
        uint64_t asked = end[1] ? strtoull(end + 1, &after, 10) : last;
        if (*after || asked < first)
            return end[1] ? RANGE_NONE : RANGE_IMPOSSIBLE;
        if (asked < last)
            last = asked;
    }
    if (first >= size)
        return RANGE_IMPOSSIBLE;
    *out_first = first;
    *out_count = last - first + 1;
    return RANGE_SOME;
}

static void add_disposition(struct MHD_Response *response, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct strbuf text;
    strbuf_init(&text);
    strbuf_adds(&text, "attachment; filename*=UTF-8''");
    for (const char *at = slash ? slash + 1 : path; *at; at++) {
        unsigned char c = (unsigned char)*at;
        bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-._~", c);
        if (is_plain)
            strbuf_addc(&text, *at);
        else
            strbuf_addf(&text, "%%%02X", c);
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_DISPOSITION, text.data);
    strbuf_deinit(&text);
}

/* Send an open file; takes `fd`. */
static enum MHD_Result send_file(struct http_request *r, const char *name, int take_fd, const struct stat *st,
                                 bool is_download)
{
    uint64_t size = (uint64_t)st->st_size, first = 0, count = size;
    char date[64];
    http_date(st->st_mtim.tv_sec, date);
    enum range range = is_download ? read_range(r, size, &first, &count) : RANGE_NONE;
    struct MHD_Response *response;
    unsigned status = range == RANGE_SOME ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK;
    if (is_unmodified(r, st)) {
        close(take_fd);
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
        status = MHD_HTTP_NOT_MODIFIED;
    } else if (range == RANGE_IMPOSSIBLE) {
        close(take_fd);
        return http_reply_error(r, MHD_HTTP_RANGE_NOT_SATISFIABLE, "Range Not Satisfiable: the file has %" PRIu64 " bytes",
                                size);
    } else {
        response = MHD_create_response_from_fd_at_offset64(count, take_fd, first);
        if (!response) {
            close(take_fd);
            return MHD_NO;
        }
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type(name));
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_LAST_MODIFIED, date);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    if (is_download) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
        add_disposition(response, name);
    }
    if (range == RANGE_SOME && status == MHD_HTTP_PARTIAL_CONTENT) {
        char text[96];
        snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first, first + count - 1, size);
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_RANGE, text);
    }
    return http_queue(r, status, response);
}

/* Open a plain file; -1 if there is none. */
static int open_file(const char *full, struct stat *st)
{
    int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && (fstat(fd, st) != 0 || !S_ISREG(st->st_mode))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

enum MHD_Result http_serve_download(struct http_request *r, const char *client_path)
{
    struct files_path path;
    struct err_info info = {""};
    struct stat st;
    bool is_log = strcmp(client_path, "klippy.log") == 0 || strcmp(client_path, "moonraker.log") == 0;
    if (is_log && r->http->options.log_file) {
        snprintf(path.full, sizeof path.full, "%s", r->http->options.log_file);
        snprintf(path.rel, sizeof path.rel, "%s", client_path);
    } else {
        enum err err = files_resolve(r->http->options.files, client_path, &path, &info);
        if (err == ERR_DENIED)
            return http_reply_error(r, MHD_HTTP_FORBIDDEN, "%s", info.text);
        if (err)
            return http_reply_error(r, MHD_HTTP_NOT_FOUND, "Not Found");
    }
    int fd = open_file(path.full, &st);
    if (fd < 0)
        return http_reply_error(r, MHD_HTTP_NOT_FOUND, "Not Found");
    return send_file(r, path.rel, fd, &st, true);
}

/* A path of the page: no empty, hidden or climbing component. */
static bool is_plain_path(const char *path)
{
    for (const char *at = path; *at; at++)
        if (*at == '/' && (at[1] == '.' || at[1] == '/'))
            return false;
    return path[0] == '/' && strlen(path) < 1024 && !strchr(path, '\\');
}

/* Pages that route by themselves (Mainsail: /console, /heightmap) ask for their own addresses when somebody reloads them:
 * a browser that wants a page gets the first one. Names of files and of the API stay not found. */
static bool is_page_route(const struct http_request *r)
{
    static const char *const api_roots[] = {"/server/", "/printer/", "/machine/", "/access/", "/api/", "/debug/"};
    const char *accept = http_header(r, MHD_HTTP_HEADER_ACCEPT);
    const char *name = strrchr(r->path, '/');
    if (!accept || !strstr(accept, "text/html") || (name && strchr(name, '.')))
        return false;
    for (size_t i = 0; i < sizeof api_roots / sizeof api_roots[0]; i++)
        if (!strncmp(r->path, api_roots[i], strlen(api_roots[i])))
            return false;
    return true;
}

enum MHD_Result http_serve_page(struct http_request *r)
{
    const char *www = r->http->options.www_dir;
    bool is_index = strcmp(r->path, "/") == 0;
    if (www && is_plain_path(r->path)) {
        char *full = mem_sprintf("%s%s", www, is_index ? "/index.html" : r->path);
        struct stat st;
        int fd = open_file(full, &st);
        mem_free(full);
        if (fd < 0 && !is_index && is_page_route(r)) {
            is_index = true;
            full = mem_sprintf("%s/index.html", www);
            fd = open_file(full, &st);
            mem_free(full);
        }
        if (fd >= 0)
            return send_file(r, is_index ? "index.html" : r->path, fd, &st, false);
    }
    if (!is_index)
        return http_reply_error(r, MHD_HTTP_NOT_FOUND, "Not Found");
    struct strbuf text;
    strbuf_init(&text);
    strbuf_adds(&text, "Lockstep is running. No page is installed; the API is at /server/info.\n");
    return http_reply_text(r, MHD_HTTP_OK, "text/plain; charset=utf-8", &text);
}
