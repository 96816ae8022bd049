/* server.database.*: what clients keep here. */
#include "server/store/db.h"

#include "server/api/api_private.h"
#include "server/api/handlers.h"

#include <string.h>

json_t *database_public_namespaces(const struct api *api)
{
    json_t *names = db_namespaces(api->options.db);
    for (size_t i = json_array_size(names); i-- > 0;)
        if (strcmp(json_string_value(json_array_get(names, i)), DB_PRIVATE_NAMESPACE) == 0)
            json_array_remove(names, i);
    return names;
}

void handle_database_list(struct api_call *call)
{
    json_t *names = database_public_namespaces(call->api), *backups = database_backups(call->api);
    api_reply_json(call, json_pack("{s:o, s:o}", "namespaces", names, "backups", backups));
}

/* The arguments that all of them take; false: the error has been sent. */
static bool read_place(struct api_call *call, bool is_write, bool needs_key, const char **ns, json_t **key)
{
    if (!api_arg_text(call, "namespace", true, ns))
        return false;
    *key = api_arg(call, "key");
    if (needs_key && (!*key || json_is_null(*key))) {
        api_reply_error(call, 400, "No data for argument: key");
        return false;
    }
    bool is_private = strcmp(*ns, DB_PRIVATE_NAMESPACE) == 0;
    if (is_private || (is_write && strcmp(*ns, DB_METADATA_NAMESPACE) == 0)) {
        api_reply_error(call, 403, "%s access to namespace '%s' is forbidden", is_write ? "Write" : "Read", *ns);
        return false;
    }
    return true;
}

static void reply_item(struct api_call *call, const char *ns, json_t *key, json_t *take_value)
{
    json_t *shown = key ? json_incref(key) : json_null();
    api_reply_json(call, json_pack("{s:s, s:o, s:o}", "namespace", ns, "key", shown, "value", take_value));
}

void handle_database_get_item(struct api_call *call)
{
    const char *ns;
    json_t *key, *value = NULL;
    if (!read_place(call, false, false, &ns, &key))
        return;
    struct err_info info;
    enum err err = db_get(call->api->options.db, ns, key, &value, &info);
    if (err)
        api_reply_err(call, err, &info);
    else
        reply_item(call, ns, key, value);
}

void handle_database_post_item(struct api_call *call)
{
    const char *ns;
    json_t *key, *value = api_arg(call, "value");
    if (!read_place(call, true, true, &ns, &key))
        return;
    if (!value) {
        api_reply_error(call, 400, "No data for argument: value");
        return;
    }
    struct err_info info;
    enum err err = db_put(call->api->options.db, ns, key, value, &info);
    if (err)
        api_reply_err(call, err, &info);
    else
        reply_item(call, ns, key, json_incref(value));
}

void handle_database_delete_item(struct api_call *call)
{
    const char *ns;
    json_t *key, *value = NULL;
    if (!read_place(call, true, true, &ns, &key))
        return;
    struct err_info info;
    enum err err = db_delete(call->api->options.db, ns, key, &value, &info);
    if (err)
        api_reply_err(call, err, &info);
    else
        reply_item(call, ns, key, value);
}
