/* server.webcams.*: where the streams of webcams are. The server only keeps what clients tell it (namespace "webcams" of the
 * database, one entry by uid); pictures go from the camera's own server to the browser. Worker thread. */
#include "server/api/api_private.h"
#include "server/api/handlers.h"
#include "server/store/db.h"

#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

#define NAMESPACE "webcams"
#define COUNT_MAX 32
#define TEXT_MAX  2048

enum kind { KIND_TEXT, KIND_BOOL, KIND_INT, KIND_ROTATION, KIND_OBJECT };

/* Members of an entry, besides source and uid; NULL: must be given when an entry is made. */
static const struct member {
    const char *name;
    enum kind kind;
    const char *default_json;
} members[] = {
    {"name", KIND_TEXT, NULL},
    {"location", KIND_TEXT, "\"printer\""},
    {"service", KIND_TEXT, "\"mjpegstreamer\""},
    {"enabled", KIND_BOOL, "true"},
    {"icon", KIND_TEXT, "\"mdiWebcam\""},
    {"target_fps", KIND_INT, "15"},
    {"target_fps_idle", KIND_INT, "5"},
    {"stream_url", KIND_TEXT, NULL},
    {"snapshot_url", KIND_TEXT, "\"\""},
    {"flip_horizontal", KIND_BOOL, "false"},
    {"flip_vertical", KIND_BOOL, "false"},
    {"rotation", KIND_ROTATION, "0"},
    {"aspect_ratio", KIND_TEXT, "\"4:3\""},
    {"extra_data", KIND_OBJECT, "{}"},
};
#define MEMBER_COUNT (sizeof members / sizeof members[0])

/* All entries by uid; never NULL. */
static json_t *load_all(struct api *api)
{
    json_t *all = NULL;
    if (db_get(api->options.db, NAMESPACE, NULL, &all, NULL) != OK || !json_is_object(all)) {
        json_decref(all);
        all = json_object();
    }
    return all;
}

/* What clients see: every member, in order. Entries that something else has written there are filled up. */
static json_t *show(const char *uid, const json_t *stored)
{
    json_t *out = json_object();
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        json_t *value = json_object_get(stored, members[i].name);
        const char *text = members[i].default_json ? members[i].default_json : "\"\"";
        json_object_set_new(out, members[i].name, value ? json_incref(value) : json_loads(text, JSON_DECODE_ANY, NULL));
    }
    json_object_set_new(out, "source", json_string("database"));
    json_object_set_new(out, "uid", json_string(uid));
    return out;
}

static json_t *list(struct api *api)
{
    json_t *all = load_all(api), *cams = json_array(), *entry;
    const char *uid;
    json_object_foreach(all, uid, entry) json_array_append_new(cams, show(uid, entry));
    json_decref(all);
    return json_pack("{s:o}", "webcams", cams);
}

void handle_server_webcams_list(struct api_call *call)
{
    api_reply_json(call, list(call->api));
}

static void tell_all(struct api *api)
{
    json_t *params = json_pack("[o]", list(api));
    char *text = json_dumps(params, JSON_COMPACT);
    api_notify(api, "notify_webcams_changed", text);
    free(text);
    json_decref(params);
}

/* The entry that the arguments uid or, as older clients have it, name mean. NULL: none of that name (`*uid` NULL), or the
 * error has been sent (*is_replied). The texts live in `all` and the arguments. */
static json_t *find(struct api_call *call, json_t *all, const char **uid, bool *is_replied)
{
    const char *name = NULL, *key;
    json_t *entry;
    *uid = NULL;
    *is_replied = !api_arg_text(call, "uid", false, uid) || !api_arg_text(call, "name", false, &name);
    if (*is_replied)
        return NULL;
    if (*uid) {
        entry = json_object_get(all, *uid);
        if (!entry) {
            api_reply_error(call, 404, "Webcam with UID %.100s not found", *uid);
            *is_replied = true;
        }
        return entry;
    }
    json_object_foreach(all, key, entry)
    {
        const char *other = json_string_value(json_object_get(entry, "name"));
        if (name && other && strcmp(name, other) == 0) {
            *uid = key;
            return entry;
        }
    }
    return NULL;
}

/* The same, where there must be one. */
static json_t *need(struct api_call *call, json_t *all, const char **uid)
{
    bool is_replied;
    json_t *entry = find(call, all, uid, &is_replied);
    const char *name = "";
    if (!entry && !is_replied && api_arg_text(call, "name", true, &name))
        api_reply_error(call, 404, "Webcam %.100s not found", name);
    return entry;
}

void handle_server_webcams_get_item(struct api_call *call)
{
    json_t *all = load_all(call->api);
    const char *uid;
    const json_t *entry = need(call, all, &uid);
    if (entry)
        api_reply_json(call, json_pack("{s:o}", "webcam", show(uid, entry)));
    json_decref(all);
}

void handle_server_webcams_delete_item(struct api_call *call)
{
    json_t *all = load_all(call->api), *old = NULL;
    const char *uid;
    const json_t *entry = need(call, all, &uid);
    if (entry) {
        json_t *shown = show(uid, entry), *key = json_pack("[s]", uid);
        struct err_info info = {""};
        enum err err = db_delete(call->api->options.db, NAMESPACE, key, &old, &info);
        struct api *api = call->api;
        if (err) {
            json_decref(shown);
            api_reply_err(call, err, &info);
        } else {
            api_reply_json(call, json_pack("{s:o}", "webcam", shown));
            tell_all(api);
        }
        json_decref(key);
        json_decref(old);
    }
    json_decref(all);
}

/* --- writing --- */

/* The argument for a member as JSON; *value NULL: not given. false: the error has been sent. */
static bool read_member(struct api_call *call, const struct member *m, json_t **value)
{
    const char *text = NULL;
    bool flag = false;
    int64_t number = 0;
    json_t *arg = api_arg(call, m->name);
    *value = NULL;
    if (!arg || json_is_null(arg))
        return true;
    switch (m->kind) {
    case KIND_TEXT:
        if (!api_arg_text(call, m->name, false, &text))
            return false;
        if (strlen(text) > TEXT_MAX) {
            api_reply_error(call, 400, "Argument [%s] is longer than %d bytes", m->name, TEXT_MAX);
            return false;
        }
        *value = json_string(text);
        return true;
    case KIND_BOOL:
        if (!api_arg_bool(call, m->name, false, &flag))
            return false;
        *value = json_boolean(flag);
        return true;
    case KIND_INT:
    case KIND_ROTATION:
        if (!api_arg_int(call, m->name, false, &number))
            return false;
        if (m->kind == KIND_ROTATION ? number < 0 || number > 270 || number % 90 != 0 : number < 0) {
            api_reply_error(call, 400, "Invalid value for argument [%s]: %lld", m->name, (long long)number);
            return false;
        }
        *value = json_integer(number);
        return true;
    case KIND_OBJECT:
        if (!json_is_object(arg)) {
            api_reply_error(call, 400, "Unable to convert argument [%s] to object", m->name);
            return false;
        }
        *value = json_incref(arg);
        return true;
    }
    return true;
}

/* Put every argument given into `entry`; a new one also needs those without a default. */
static bool read_members(struct api_call *call, json_t *entry, bool is_new)
{
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        json_t *value;
        if (!read_member(call, &members[i], &value))
            return false;
        if (!value && is_new && !members[i].default_json) {
            api_reply_error(call, 400, "No data for argument: %s", members[i].name);
            return false;
        }
        if (value)
            json_object_set_new(entry, members[i].name, value);
    }
    return true;
}

static bool is_name_taken(const json_t *all, const char *uid, const json_t *entry)
{
    const char *name = json_string_value(json_object_get(entry, "name")), *key;
    json_t *other;
    json_object_foreach((json_t *)all, key, other)
    {
        const char *text = json_string_value(json_object_get(other, "name"));
        if ((!uid || strcmp(key, uid) != 0) && text && name && strcmp(text, name) == 0)
            return true;
    }
    return false;
}

static void store(struct api_call *call, const json_t *all, const char *uid, json_t *entry)
{
    char fresh[RNG_UUID_BYTES];
    struct err_info info = {""};
    struct api *api = call->api;
    if (is_name_taken(all, uid, entry)) {
        api_reply_error(call, 400, "Webcam with name '%.100s' exists already",
                        json_string_value(json_object_get(entry, "name")));
        return;
    }
    if (!uid && json_object_size(all) >= COUNT_MAX) {
        api_reply_error(call, 400, "There are %d webcams already, no more are kept", COUNT_MAX);
        return;
    }
    if (!uid) {
        rng_uuid(fresh);
        uid = fresh;
    }
    json_t *key = json_pack("[s]", uid), *shown = show(uid, entry);
    enum err err = db_put(api->options.db, NAMESPACE, key, entry, &info);
    json_decref(key);
    if (err) {
        json_decref(shown);
        api_reply_err(call, err, &info);
        return;
    }
    api_reply_json(call, json_pack("{s:o}", "webcam", shown));
    tell_all(api);
}

void handle_server_webcams_post_item(struct api_call *call)
{
    json_t *all = load_all(call->api);
    const char *uid;
    bool is_replied;
    json_t *old = find(call, all, &uid, &is_replied);
    if (!is_replied) {
        json_t *entry = old ? json_deep_copy(old) : json_object();
        if (read_members(call, entry, old == NULL))
            store(call, all, uid, entry);
        json_decref(entry);
    }
    json_decref(all);
}
