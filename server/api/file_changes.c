/* server.files.*: changing. Runs on the worker. Each change answers with the item and is told to everyone. */
#include "server/api/file_common.h"

#include "base/mem.h"
#include "server/api/handlers.h"
#include "server/store/metadata.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A place that may be written: the argument resolved, below a writable root, and not the root itself. */
static bool read_target(struct api_call *call, const char *arg, bool is_directory_call, struct files_path *out)
{
    const char *text;
    struct err_info info;
    if (!api_arg_text(call, arg, true, &text))
        return false;
    enum err err = files_resolve(call->api->options.files, text, out, &info);
    if (err) {
        api_reply_err(call, err, &info);
        return false;
    }
    if (!out->is_writable) {
        if (is_directory_call)
            api_reply_error(call, 405, "Operation Not Supported");
        else
            api_reply_error(call, 400, "Path '%s' is read-only", out->root);
        return false;
    }
    if (!out->rel[0]) {
        api_reply_error(call, 400, "The root folder '%s' itself cannot be changed", out->root);
        return false;
    }
    return true;
}

/* Refuse with 403 if the job needs it. */
static bool refuse_if_used(struct api_call *call, const struct files_path *path)
{
    if (!file_is_in_use(call->api, path->full))
        return false;
    api_reply_error(call, 403, "File currently in use");
    return true;
}

static bool is_gcode_file(const struct files_path *path)
{
    return strcmp(path->root, "gcodes") == 0 && files_is_gcode(path->rel);
}

/* File errors are the client's (a name that is taken, a folder that is not empty), a full disk is ours. */
static void reply_file_err(struct api_call *call, enum err err, const struct err_info *info)
{
    api_reply_err(call, err == ERR_NOT_FOUND || err == ERR_IO ? ERR_INVALID : err, info);
}

static void finish(struct api_call *call, const char *action, const struct files_path *path, const struct files_path *source)
{
    json_t *result = file_result(action, path);
    if (source)
        json_object_set_new(result, "source_item", json_pack("{s:s, s:s}", "path", source->rel, "root", source->root));
    file_notify(call->api, action, path, source);
    api_reply_json(call, result);
}

void handle_files_post_directory(struct api_call *call)
{
    struct files_path path;
    struct stat st;
    struct err_info info;
    if (!read_target(call, "path", true, &path))
        return;
    if (stat(path.full, &st) == 0) {
        api_reply_error(call, 400, "'%s' exists already", path.rel);
        return;
    }
    enum err err = files_make_dirs(path.full, &info);
    if (err)
        reply_file_err(call, err, &info);
    else
        finish(call, "create_dir", &path, NULL);
}

void handle_files_delete_directory(struct api_call *call)
{
    struct files_path path;
    struct stat st;
    bool is_forced = false;
    if (!api_arg_bool(call, "force", false, &is_forced) || !read_target(call, "path", true, &path) ||
        refuse_if_used(call, &path))
        return;
    if (stat(path.full, &st) != 0 || !S_ISDIR(st.st_mode)) {
        api_reply_error(call, 400, "Directory does not exist (%s)", path.rel);
        return;
    }
    struct err_info info;
    enum err err = OK;
    if (is_forced)
        err = files_remove_tree(path.full, &info);
    else if (rmdir(path.full) != 0)
        err = err_set(&info, ERR_INVALID, "%s: '%s'", strerror(errno), path.rel);
    if (err)
        reply_file_err(call, err, &info);
    else
        finish(call, "delete_dir", &path, NULL);
}

void handle_files_delete_file(struct api_call *call)
{
    struct files_path path;
    struct stat st;
    if (!read_target(call, "path", false, &path) || refuse_if_used(call, &path))
        return;
    if (stat(path.full, &st) != 0 || !S_ISREG(st.st_mode)) {
        api_reply_error(call, 400, "Invalid file path: %s/%s", path.root, path.rel);
        return;
    }
    if (unlink(path.full) != 0) {
        api_reply_error(call, 400, "Cannot delete: %s", strerror(errno));
        return;
    }
    if (is_gcode_file(&path))
        metadata_drop(call->api->options.db, call->api->options.files, path.rel);
    finish(call, "delete_file", &path, NULL);
}

/* Metadata and pictures of a G-code file that appeared under a new name. */
static void rescan(struct api *api, const struct files_path *path)
{
    json_t *found = NULL;
    if (!is_gcode_file(path) || metadata_get(api->options.db, api->options.files, path->rel, true, &found, NULL) != OK)
        return;
    file_notify_pictures(api, path->rel, found);
    json_decref(found);
}

/* Both ends of a move or copy; a destination that is a folder means "into it". */
static bool read_ends(struct api_call *call, struct files_path *from, struct files_path *to, struct stat *from_stat)
{
    const char *text;
    struct err_info info;
    struct stat st;
    if (!api_arg_text(call, "source", true, &text))
        return false;
    enum err err = files_resolve(call->api->options.files, text, from, &info);
    if (err) {
        api_reply_err(call, err, &info);
        return false;
    }
    if (!from->rel[0] || stat(from->full, from_stat) != 0) {
        api_reply_error(call, 400, "File %s/%s does not exist", from->root, from->rel);
        return false;
    }
    if (!read_target(call, "dest", false, to))
        return false;
    if (stat(to->full, &st) == 0 && S_ISDIR(st.st_mode)) {
        const char *name = strrchr(from->rel, '/');
        char *into = mem_sprintf("%s/%s/%s", to->root, to->rel, name ? name + 1 : from->rel);
        err = files_resolve(call->api->options.files, into, to, &info);
        mem_free(into);
        if (err) {
            api_reply_err(call, err, &info);
            return false;
        }
    }
    return !refuse_if_used(call, to);
}

void handle_files_move(struct api_call *call)
{
    struct files_path from, to;
    struct stat st;
    if (!read_ends(call, &from, &to, &st))
        return;
    if (!from.is_writable) {
        api_reply_error(call, 400, "Path '%s' is read-only", from.root);
        return;
    }
    if (refuse_if_used(call, &from))
        return;
    if (rename(from.full, to.full) != 0) {
        api_reply_error(call, 400, "Cannot move: %s", strerror(errno));
        return;
    }
    bool is_dir = S_ISDIR(st.st_mode);
    if (is_gcode_file(&from) && !is_dir)
        metadata_drop(call->api->options.db, call->api->options.files, from.rel);
    if (!is_dir)
        rescan(call->api, &to);
    finish(call, is_dir ? "move_dir" : "move_file", &to, &from);
}

void handle_files_copy(struct api_call *call)
{
    struct files_path from, to;
    struct stat st, old;
    struct err_info info;
    if (!read_ends(call, &from, &to, &st))
        return;
    bool is_new = stat(to.full, &old) != 0;
    enum err err = files_copy(from.full, to.full, &info);
    if (err) {
        reply_file_err(call, err, &info);
        return;
    }
    bool is_dir = S_ISDIR(st.st_mode);
    if (!is_dir)
        rescan(call->api, &to);
    finish(call, is_dir ? "create_dir" : is_new ? "create_file" : "modify_file", &to, NULL);
}
