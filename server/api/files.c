/* server.files.*: looking. Runs on the worker. */
#include "server/api/file_common.h"
#include "server/api/handlers.h"
#include "server/store/metadata.h"

#include <string.h>

void handle_files_roots(struct api_call *call)
{
    api_reply_json(call, files_roots(call->api->options.files));
}

void handle_files_list(struct api_call *call)
{
    const char *root = "gcodes";
    if (!api_arg_text(call, "root", false, &root))
        return;
    struct err_info info;
    json_t *list = NULL;
    enum err err = files_list(call->api->options.files, root, &list, &info);
    if (err)
        api_reply_err(call, err == ERR_NOT_FOUND ? ERR_INVALID : err, &info);
    else
        api_reply_json(call, list);
}

/* Add the metadata of each G-code file of a folder to its entry. */
static void extend(struct api *api, const char *folder, json_t *directory)
{
    json_t *list = json_object_get(directory, "files");
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *entry = json_array_get(list, i), *found = NULL;
        json_t *rel = json_sprintf("%s%s%s", folder, folder[0] ? "/" : "",
                                   json_string_value(json_object_get(entry, "filename")));
        if (rel && files_is_gcode(json_string_value(rel)) &&
            metadata_get(api->options.db, api->options.files, json_string_value(rel), false, &found, NULL) == OK) {
            json_object_del(found, "filename"); /* relative to the root there, to the folder here */
            json_object_update(entry, found);
        }
        json_decref(found);
        json_decref(rel);
    }
}

void handle_files_get_directory(struct api_call *call)
{
    struct files *files = call->api->options.files;
    const char *path = "gcodes";
    bool is_extended = false;
    if (!api_arg_text(call, "path", false, &path) || !api_arg_bool(call, "extended", false, &is_extended))
        return;
    struct err_info info;
    struct files_path where;
    json_t *directory = NULL;
    enum err err = files_resolve(files, path, &where, &info);
    if (!err)
        err = files_directory(files, path, &directory, &info);
    if (err) {
        api_reply_err(call, err == ERR_NOT_FOUND ? ERR_INVALID : err, &info);
        return;
    }
    if (is_extended && strcmp(where.root, "gcodes") == 0)
        extend(call->api, where.rel, directory);
    api_reply_json(call, directory);
}

/* Clients name the file below gcodes, with or without that root in front. */
static const char *below_gcodes(const char *filename)
{
    while (*filename == '/')
        filename++;
    return filename;
}

static json_t *find_metadata(struct api_call *call, bool must_scan)
{
    const char *filename;
    if (!api_arg_text(call, "filename", true, &filename))
        return NULL;
    struct err_info info;
    json_t *found = NULL;
    enum err err = metadata_get(call->api->options.db, call->api->options.files, below_gcodes(filename), must_scan, &found,
                                &info);
    if (err)
        api_reply_err(call, err, &info);
    return found;
}

void handle_files_metadata(struct api_call *call)
{
    json_t *found = find_metadata(call, false);
    if (found)
        api_reply_json(call, found);
}

void handle_files_metascan(struct api_call *call)
{
    json_t *found = find_metadata(call, true);
    if (!found)
        return;
    file_notify_pictures(call->api, json_string_value(json_object_get(found, "filename")), found);
    api_reply_json(call, found);
}

void handle_files_thumbnails(struct api_call *call)
{
    json_t *found = find_metadata(call, false);
    if (!found)
        return;
    json_t *list = json_deep_copy(json_object_get(found, "thumbnails"));
    json_t *paths = metadata_picture_paths(json_string_value(json_object_get(found, "filename")), found);
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *entry = json_array_get(list, i);
        json_object_del(entry, "relative_path");
        json_object_set(entry, "thumbnail_path", json_array_get(paths, i));
    }
    json_decref(paths);
    json_decref(found);
    api_reply_json(call, list ? list : json_array());
}
