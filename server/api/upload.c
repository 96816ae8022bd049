#include "server/api/upload.h"

#include "base/check.h"
#include "base/mem.h"
#include "server/api/file_common.h"
#include "server/store/metadata.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* The job of the worker: the call and its upload. */
struct pending {
    struct api_call *call;
    struct api_upload *upload;
    struct files_path path;
    json_t *result; /* while the print starts */
};

void api_upload_deinit(struct api_upload *upload)
{
    if (!upload)
        return;
    if (upload->temp)
        unlink(upload->temp);
    mem_free(upload->temp);
    mem_free(upload->filename);
    mem_free(upload->root);
    mem_free(upload->path);
    mem_free(upload->checksum);
    mem_free(upload);
}

const char *api_upload_dir(const struct api *api)
{
    return api->upload_dir;
}

/* Odd names: anything a path may not hold, and control characters, which would break lines of G-code and logs. */
static enum err check_name(const char *name, struct err_info *info)
{
    json_t *utf8 = json_string(name);
    json_decref(utf8);
    if (!utf8)
        return err_set(info, ERR_INVALID, "The file name is not UTF-8");
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return err_set(info, ERR_INVALID, "The file name holds a control character");
    if (len == 0 || name[len - 1] == '/')
        return err_set(info, ERR_INVALID, "The file has no name");
    const char *dot = strrchr(name, '.');
    if (dot && strcasecmp(dot, ".ufp") == 0)
        return err_set(info, ERR_UNSUPPORTED, "UFP packages are not supported: export plain G-code");
    return OK;
}

static enum err find_place(struct pending *p, struct err_info *info)
{
    struct api *api = p->call->api;
    const struct api_upload *upload = p->upload;
    if (!upload->temp || !upload->filename)
        return err_set(info, ERR_INVALID, "No file name specified in upload form");
    enum err err = check_name(upload->filename, info);
    if (err)
        return err;
    const char *root = upload->root && upload->root[0] ? upload->root : "gcodes";
    char *rel = mem_sprintf("%s/%s", upload->path ? upload->path : "", upload->filename);
    err = files_resolve_in(api->options.files, root, rel, &p->path, info);
    mem_free(rel);
    if (err)
        return err;
    if (!p->path.is_writable)
        return err_set(info, ERR_INVALID, "The root '%s' is read-only", root);
    if (file_is_in_use(api, p->path.full))
        return err_set(info, ERR_DENIED, "File is loaded, upload not permitted");
    struct stat st;
    if (stat(p->path.full, &st) == 0 && !S_ISREG(st.st_mode))
        return err_set(info, ERR_INVALID, "'%s' is a folder", p->path.rel);
    return OK;
}

static enum err put_in_place(struct pending *p, struct err_info *info)
{
    char *folder = mem_strdup(p->path.full);
    *strrchr(folder, '/') = 0;
    enum err err = files_make_dirs(folder, info);
    mem_free(folder);
    return err ? err : files_put(p->upload->temp, p->path.full, info);
}

static void free_pending(struct pending *p)
{
    json_decref(p->result);
    api_upload_deinit(p->upload);
    mem_free(p);
}

static void set_location(struct pending *p)
{
    struct api_call *call = p->call;
    const char *base = p->upload->is_octoprint ? "api/files/moonraker" : "server/files";
    struct strbuf url;
    strbuf_init(&url);
    strbuf_addf(&url, "http://%s/%s/", call->peer.host[0] ? call->peer.host : "localhost", base);
    if (!p->upload->is_octoprint)
        strbuf_addf(&url, "%s/", p->path.root);
    for (const char *at = p->path.rel; *at; at++) {
        unsigned char c = (unsigned char)*at;
        bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-._~/", c);
        if (is_plain)
            strbuf_addc(&url, *at);
        else
            strbuf_addf(&url, "%%%02X", c);
    }
    call->location = strbuf_take(&url);
}

/* Everybody else reads the members themselves, OrcaSlicer looks for them below "result": answer both. */
static void reply(struct pending *p, bool is_started)
{
    if (strcmp(p->path.root, "gcodes") == 0) {
        json_object_set_new(p->result, "print_started", json_boolean(is_started));
        json_object_set_new(p->result, "print_queued", json_false());
    }
    json_t *copy = json_deep_copy(p->result);
    json_object_set_new(p->result, "result", copy);
    struct api_call *call = p->call;
    json_t *result = json_incref(p->result);
    set_location(p);
    call->code = 201;
    free_pending(p);
    api_reply_json(call, result);
}

static void on_print_started(struct api_call *print)
{
    struct pending *p = print->transport_ctx;
    bool is_started = !print->error_text;
    api_call_free(print);
    reply(p, is_started);
}

static void start_print(struct pending *p)
{
    struct api_call *print = api_call_create(p->call->api, &p->call->peer);
    print->route = api_route_by_rpc(p->call->api, "printer.print.start");
    CHECK(print->route);
    print->args = json_pack("{s:s}", "filename", p->path.rel);
    print->done = on_print_started;
    print->transport_ctx = p;
    api_submit(print);
}

static void finish(void *arg)
{
    struct pending *p = arg;
    struct api *api = p->call->api;
    struct err_info info = {""};
    enum err err = find_place(p, &info);
    if (!err && p->upload->checksum && strcasecmp(p->upload->checksum, p->upload->digest) != 0) {
        struct api_call *call = p->call;
        api_reply_error(call, 422, "File checksum mismatch: expected %.80s, calculated %s", p->upload->checksum,
                        p->upload->digest);
        free_pending(p);
        return;
    }
    if (!err)
        err = put_in_place(p, &info);
    if (err) {
        struct api_call *call = p->call;
        free_pending(p);
        api_reply_err(call, err, &info);
        return;
    }
    json_t *metadata = NULL;
    bool is_gcode = strcmp(p->path.root, "gcodes") == 0 && files_is_gcode(p->path.rel);
    if (is_gcode && metadata_get(api->options.db, api->options.files, p->path.rel, true, &metadata, NULL) != OK)
        metadata = NULL;
    p->result = file_result("create_file", &p->path);
    file_notify(api, "create_file", &p->path, NULL);
    if (metadata)
        file_notify_pictures(api, p->path.rel, metadata);
    json_decref(metadata);
    if (is_gcode && p->upload->wants_print && !job_is_active(api))
        start_print(p);
    else
        reply(p, false);
}

void api_upload_submit(struct api_call *call, struct api_upload *take_upload)
{
    struct pending *p = MEM_NEW(struct pending);
    p->call = call;
    p->upload = take_upload;
    if (!api_defer(call->api, finish, p)) {
        free_pending(p);
        api_reply_error(call, 503, "The server is busy");
    }
}

/* Uploads that a crash or a power cut left behind. */
static void sweep(const char *dir)
{
    DIR *stream = opendir(dir);
    struct dirent *de;
    while (stream && (de = readdir(stream)))
        if (strncmp(de->d_name, "upload-", 7) == 0)
            (void)!unlinkat(dirfd(stream), de->d_name, 0);
    if (stream)
        closedir(stream);
}

char *api_upload_dir_open(const char *data_dir)
{
    char *dir = mem_sprintf("%s/uploads", data_dir[0] ? data_dir : "/tmp");
    (void)!files_make_dirs(dir, NULL); /* if that fails, the first upload says so */
    sweep(dir);
    return dir;
}
