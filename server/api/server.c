/* server.*: the daemon itself. */
#include "server/api/api_private.h"
#include "server/api/console_store.h"
#include "server/api/handlers.h"
#include "server/api/remote_methods.h"
#include "server/api/temperature_store.h"
#include "server/machine/status.h"
#include "server/store/files.h"

#include <string.h>

/* What clients may take for granted; they switch parts of their pages on by these names. */
static const char COMPONENTS[] = "[\"application\",\"websockets\",\"jsonrpc\",\"klippy_connection\",\"klippy_apis\","
                                 "\"database\",\"file_manager\",\"authorization\",\"machine\",\"data_store\","
                                 "\"proc_stats\",\"webcam\",\"octoprint_compat\"]";

/* Objects without which clients cannot do their work. */
static void add_missing_requirements(struct api *api, struct strbuf *out)
{
    static const char *const NEEDED[] = {"virtual_sdcard", "display_status", "pause_resume"};
    strbuf_addc(out, '[');
    if (api_klippy_state(api, NULL, 0) == API_KLIPPY_READY) {
        const struct status_snapshot *snapshot = status_acquire(api->options.status);
        const char *comma = "";
        for (size_t i = 0; i < sizeof NEEDED / sizeof NEEDED[0]; i++) {
            if (status_find(snapshot, NEEDED[i], strlen(NEEDED[i])))
                continue;
            strbuf_addf(out, "%s\"%s\"", comma, NEEDED[i]);
            comma = ",";
        }
        status_release(api->options.status, snapshot);
    }
    strbuf_addc(out, ']');
}

void handle_server_info(struct api_call *call)
{
    struct api *api = call->api;
    struct strbuf *out = api_result(call);
    enum api_klippy state = api_klippy_state(api, NULL, 0);
    strbuf_addf(out, "{\"klippy_connected\":%s,\"klippy_state\":\"%s\",\"components\":%s,\"failed_components\":[],",
                state == API_KLIPPY_DISCONNECTED ? "false" : "true", api_klippy_name(state), COMPONENTS);
    strbuf_adds(out, "\"registered_directories\":[");
    files_add_root_names(api->options.files, out);
    strbuf_addf(out, "],\"warnings\":[],\"websocket_count\":%u,\"moonraker_version\":\"%s\",\"missing_klippy_requirements\":",
                api->sink.connection_count ? api->sink.connection_count(api->sink.ctx) : 0, API_MOONRAKER_VERSION);
    add_missing_requirements(api, out);
    strbuf_adds(out, ",\"api_version\":[1,5,0],\"api_version_string\":\"" API_VERSION_TEXT "\"}");
    api_reply(call);
}

static void add_text(struct strbuf *out, const char *text)
{
    strbuf_add_json_string(out, text, strlen(text));
}

void handle_server_config(struct api_call *call)
{
    const struct api_options *options = &call->api->options;
    struct strbuf *out = api_result(call);
    strbuf_adds(out, "{\"config\":{\"server\":{\"host\":");
    add_text(out, options->host);
    strbuf_addf(out, ",\"port\":%u,\"max_upload_size\":%llu,\"max_websocket_connections\":%u},", options->port,
                (unsigned long long)(options->upload_bytes_max >> 20), options->websockets_max);
    strbuf_addf(out, "\"data_store\":{\"temperature_store_size\":%d,\"gcode_store_size\":%d},", API_TEMPERATURE_SAMPLES,
                API_CONSOLE_LINES_MAX);
    strbuf_adds(out, "\"authorization\":{\"login_timeout\":90,\"force_logins\":false,\"default_source\":\"moonraker\","
                     "\"enable_api_key\":true},\"database\":{},\"file_manager\":{},\"machine\":{\"provider\":\"none\"}},"
                     "\"orig\":{},\"files\":[]}");
    api_reply(call);
}

void handle_server_gcode_store(struct api_call *call)
{
    int64_t count = API_CONSOLE_LINES_MAX;
    if (!api_arg_int(call, "count", false, &count))
        return;
    struct strbuf *out = api_result(call);
    strbuf_adds(out, "{\"gcode_store\":");
    console_store_write(call->api->console, count < 0 ? 0 : (size_t)count, out);
    strbuf_addc(out, '}');
    api_reply(call);
}

void handle_server_temperature_store(struct api_call *call)
{
    bool with_monitors = false;
    if (!api_arg_bool(call, "include_monitors", false, &with_monitors))
        return;
    temperature_store_write(call->api->temperatures, with_monitors, api_result(call));
    api_reply(call);
}

static bool is_client_type(const char *type)
{
    static const char *const TYPES[] = {"web", "mobile", "desktop", "display", "bot", "agent", "other"};
    for (size_t i = 0; i < sizeof TYPES / sizeof TYPES[0]; i++)
        if (strcmp(type, TYPES[i]) == 0)
            return true;
    return false;
}

void handle_server_connection_identify(struct api_call *call)
{
    const struct api_sink *sink = &call->api->sink;
    const char *name, *version, *type, *url;
    if (!api_arg_text(call, "client_name", true, &name) || !api_arg_text(call, "version", true, &version) ||
        !api_arg_text(call, "type", true, &type) || !api_arg_text(call, "url", true, &url))
        return;
    if (!is_client_type(type)) {
        api_reply_error(call, 400, "Invalid Client Type: %.64s", type);
        return;
    }
    struct err_info info = {""};
    enum err err = sink->identify ? sink->identify(sink->ctx, call->peer.connection_id, call->args, &info) : ERR_NOT_FOUND;
    if (err) {
        api_reply_error(call, err == ERR_DENIED ? 401 : 400, "%s", info.text);
        return;
    }
    strbuf_addf(api_result(call), "{\"connection_id\":%llu}", (unsigned long long)call->peer.connection_id);
    api_reply(call);
}

void handle_register_remote_method(struct api_call *call)
{
    const struct api_sink *sink = &call->api->sink;
    const char *name;
    struct err_info info = {""};
    if (!api_arg_text(call, "method_name", true, &name))
        return;
    if (!*name || strlen(name) > REMOTE_METHOD_NAME_BYTES_MAX) {
        api_reply_error(call, 400, "Argument 'method_name' must have 1 to %d bytes", REMOTE_METHOD_NAME_BYTES_MAX);
        return;
    }
    if (!sink->is_agent || !sink->is_agent(sink->ctx, call->peer.connection_id)) {
        api_reply_error(call, 400, "Only connections of type 'agent' can register methods");
        return;
    }
    enum err err = remote_methods_add(call->api->remote_methods, name, call->peer.connection_id, &info);
    if (err)
        api_reply_error(call, 400, "%s", info.text);
    else
        api_reply_ok(call);
}

/* The server has no state of its own to reload: clients come back to a fresh connection and a print goes on. */
void handle_server_restart(struct api_call *call)
{
    const struct api_sink *sink = &call->api->sink;
    if (sink->disconnect_all)
        sink->disconnect_all(sink->ctx);
    api_reply_ok(call);
}
