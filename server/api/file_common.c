#include "server/api/file_common.h"

#include "base/strbuf.h"
#include "server/api/file_watch.h"
#include "server/machine/status.h"
#include "server/store/jsontext.h"
#include "server/store/metadata.h"

#include <string.h>

/* Copy a text field of a status object; false if it is not there or null. */
static bool status_text(struct api *api, const char *object_name, const char *field_name, char *out, size_t out_bytes)
{
    struct status_hub *hub = api->options.status;
    const struct status_snapshot *snapshot = status_acquire(hub);
    const struct status_object *object = status_find(snapshot, object_name, strlen(object_name));
    const struct status_field *field = object ? status_find_field(object, field_name, strlen(field_name)) : NULL;
    json_t *value = field ? json_loadb(field->json, field->json_len, JSON_DECODE_ANY, NULL) : NULL;
    bool found = json_is_string(value);
    if (found)
        snprintf(out, out_bytes, "%s", json_string_value(value));
    json_decref(value);
    status_release(hub, snapshot);
    return found;
}

bool job_is_active(struct api *api)
{
    char state[32];
    return status_text(api, "print_stats", "state", state, sizeof state) &&
           (strcmp(state, "printing") == 0 || strcmp(state, "paused") == 0);
}

bool file_is_in_use(struct api *api, const char *full)
{
    char loaded[2 * FILES_PATH_BYTES_MAX];
    if (!job_is_active(api) || !status_text(api, "virtual_sdcard", "file_path", loaded, sizeof loaded))
        return false;
    size_t len = strlen(full);
    return strncmp(loaded, full, len) == 0 && (loaded[len] == 0 || loaded[len] == '/');
}

json_t *file_result(const char *action, const struct files_path *path)
{
    return json_pack("{s:o, s:s}", "item", files_item(path), "action", action);
}

void file_tell(struct api *api, const char *action, const struct files_path *path, const struct files_path *source)
{
    json_t *change = json_pack("{s:s, s:o}", "action", action, "item", files_item(path));
    if (source)
        json_object_set_new(change, "source_item", json_pack("{s:s, s:s}", "path", source->rel, "root", source->root));
    struct strbuf params;
    strbuf_init(&params);
    strbuf_addc(&params, '[');
    jsontext_add(&params, change);
    strbuf_addc(&params, ']');
    json_decref(change);
    api_notify(api, "notify_filelist_changed", params.data);
    strbuf_deinit(&params);
}

void file_notify(struct api *api, const char *action, const struct files_path *path, const struct files_path *source)
{
    file_watch_note(api->watch, path);
    if (source)
        file_watch_note(api->watch, source);
    file_tell(api, action, path, source);
}

void file_notify_pictures(struct api *api, const char *rel, const json_t *metadata)
{
    json_t *paths = metadata_picture_paths(rel, metadata);
    for (size_t i = 0; i < json_array_size(paths); i++) {
        struct files_path path;
        if (files_resolve_in(api->options.files, "gcodes", json_string_value(json_array_get(paths, i)), &path, NULL) == OK)
            file_notify(api, "create_file", &path, NULL);
    }
    json_decref(paths);
}
