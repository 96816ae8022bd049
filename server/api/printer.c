/* printer.*: what the machine does. Status is answered here from snapshots, commands are handed to the machine. */
#include "base/mem.h"
#include "server/api/api_private.h"
#include "server/api/console_store.h"
#include "server/api/handlers.h"
#include "server/api/subscription.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

static void add_member(struct strbuf *out, const char *name, const char *text)
{
    strbuf_addf(out, ",\"%s\":", name);
    strbuf_add_json_string(out, text, strlen(text));
}

void handle_printer_info(struct api_call *call)
{
    if (!api_need_printer(call))
        return;
    struct api *api = call->api;
    char message[4096], folder[1024] = "";
    enum api_klippy state = api_klippy_state(api, message, sizeof message);
    ssize_t len = readlink("/proc/self/exe", folder, sizeof folder - 1);
    folder[len > 0 ? len : 0] = 0;
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = 0;
    struct strbuf *out = api_result(call);
    strbuf_addf(out, "{\"state\":\"%s\"", api_klippy_name(state));
    add_member(out, "state_message", message);
    add_member(out, "hostname", api->hostname);
    add_member(out, "klipper_path", folder);
    add_member(out, "python_path", "");
    strbuf_addf(out, ",\"process_id\":%d,\"user_id\":%u,\"group_id\":%u", (int)getpid(), (unsigned)getuid(),
                (unsigned)getgid());
    add_member(out, "log_file", api->options.log_file);
    add_member(out, "config_file", api->options.config_file);
    add_member(out, "software_version", api->options.software_version);
    add_member(out, "cpu_info", api->cpu_info);
    add_member(out, "app", "Lockstep");
    strbuf_addc(out, '}');
    api_reply(call);
}

void handle_printer_emergency_stop(struct api_call *call)
{
    const struct api_backend *backend = call->api->options.backend;
    if (!api_need_printer(call))
        return;
    backend->emergency_stop(backend->ctx);
    api_reply_ok(call);
}

static void restart(struct api_call *call, bool is_firmware)
{
    const struct api_backend *backend = call->api->options.backend;
    struct err_info info = {""};
    enum err err = backend->restart(backend->ctx, is_firmware, &info);
    if (err)
        api_reply_err(call, err, &info);
    else
        api_reply_ok(call);
}

void handle_printer_restart(struct api_call *call)
{
    restart(call, false);
}

void handle_printer_firmware_restart(struct api_call *call)
{
    restart(call, true);
}

/* --- status --- */

void handle_objects_list(struct api_call *call)
{
    if (!api_need_printer(call))
        return;
    struct status_hub *hub = call->api->options.status;
    const struct status_snapshot *snapshot = status_acquire(hub);
    struct strbuf *out = api_result(call);
    strbuf_adds(out, "{\"objects\":[");
    for (size_t i = 0; i < snapshot->object_count; i++) {
        if (i > 0)
            strbuf_addc(out, ',');
        strbuf_add_json_string(out, snapshot->objects[i]->name, snapshot->objects[i]->name_len);
    }
    strbuf_adds(out, "]}");
    status_release(hub, snapshot);
    api_reply(call);
}

/* The `objects` argument: an object, or its JSON as text (a form or query may carry it so). NULL: the error is sent. */
static struct subscription *read_objects(struct api_call *call)
{
    json_t *objects = api_arg(call, "objects");
    if (!objects) {
        api_reply_error(call, 400, "No data for argument: objects");
        return NULL;
    }
    struct err_info info;
    struct subscription *sub = NULL;
    enum err err = subscription_create(objects, &sub, &info);
    if (err)
        api_reply_err(call, err, &info);
    return sub;
}

static void write_status(struct api_call *call, struct subscription *sub)
{
    struct status_hub *hub = call->api->options.status;
    struct strbuf *out = api_result(call);
    const struct status_snapshot *snapshot = status_acquire(hub);
    strbuf_adds(out, "{\"eventtime\":");
    strbuf_add_json_double(out, snapshot->eventtime_s);
    strbuf_adds(out, ",\"status\":");
    subscription_write_all(sub, snapshot, out);
    strbuf_addc(out, '}');
    status_release(hub, snapshot);
}

void handle_objects_query(struct api_call *call)
{
    struct subscription *sub = api_need_printer(call) ? read_objects(call) : NULL;
    if (!sub)
        return;
    write_status(call, sub);
    subscription_destroy(sub);
    api_reply(call);
}

void handle_objects_subscribe(struct api_call *call)
{
    const struct api_sink *sink = &call->api->sink;
    struct subscription *sub = api_need_printer(call) ? read_objects(call) : NULL;
    if (!sub)
        return;
    write_status(call, sub);
    if (!sink->subscribe || !sink->subscribe(sink->ctx, call->peer.connection_id, sub))
        api_reply_error(call, 400, "No connection to send updates to");
    else
        api_reply(call);
}

/* --- commands (in a fiber) --- */

static void reply_result(struct api_call *call, enum err err, const struct err_info *info)
{
    bool is_gone = api_klippy_state(call->api, NULL, 0) == API_KLIPPY_DISCONNECTED;
    if (!err)
        api_reply_ok(call);
    else if (err == ERR_CANCELLED && is_gone)
        api_reply_error(call, 503, "Klippy Disconnected");
    else if (err == ERR_SHUTDOWN || err == ERR_STATE || err == ERR_NOT_FOUND || err == ERR_IO)
        api_reply_error(call, 400, "%s", info->text); /* the printer's own errors */
    else
        api_reply_err(call, err, info);
}

static void run_script(struct api_call *call)
{
    const struct api_backend *backend = call->api->options.backend;
    const char *script = json_string_value(api_arg(call, "script"));
    struct err_info info = {""};
    enum err err = backend->run_script(backend->ctx, script, &info);
    reply_result(call, err, &info);
}

void handle_gcode_script(struct api_call *call)
{
    const struct api_backend *backend = call->api->options.backend;
    const char *script;
    if (!api_arg_text(call, "script", true, &script))
        return;
    console_store_add(call->api->console, script, clock_wall_s(), true);
    if (backend->is_emergency(backend->ctx, script)) {
        handle_printer_emergency_stop(call);
        return;
    }
    api_run_in_fiber(call, run_script);
}

void handle_gcode_help(struct api_call *call)
{
    const struct api_backend *backend = call->api->options.backend;
    if (!api_need_printer(call))
        return;
    backend->gcode_help(backend->ctx, api_result(call));
    api_reply(call);
}

void handle_print_start(struct api_call *call)
{
    const struct api_backend *backend = call->api->options.backend;
    const char *filename;
    if (!api_arg_text(call, "filename", true, &filename))
        return;
    char *command = mem_sprintf("SDCARD_PRINT_FILE FILENAME=\"%s\"", filename);
    console_store_add(call->api->console, command, clock_wall_s(), true);
    mem_free(command);
    struct err_info info = {""};
    enum err err = backend->print_start(backend->ctx, filename, &info);
    reply_result(call, err, &info);
}

static void run(struct api_call *call, enum err (*fn)(void *ctx, struct err_info *info))
{
    struct err_info info = {""};
    enum err err = fn(call->api->options.backend->ctx, &info);
    reply_result(call, err, &info);
}

void handle_print_pause(struct api_call *call)
{
    run(call, call->api->options.backend->print_pause);
}

void handle_print_resume(struct api_call *call)
{
    run(call, call->api->options.backend->print_resume);
}

void handle_print_cancel(struct api_call *call)
{
    run(call, call->api->options.backend->print_cancel);
}

void handle_query_endstops(struct api_call *call)
{
    const struct api_backend *backend = call->api->options.backend;
    struct err_info info = {""};
    enum err err = backend->query_endstops(backend->ctx, api_result(call), &info);
    if (err)
        reply_result(call, err, &info);
    else
        api_reply(call);
}

/* Everything kept, or what came after `since`. */
static void dump_motion(struct api_call *call, bool is_queue)
{
    const struct api_backend *backend = call->api->options.backend;
    const char *name = NULL;
    double since_s = (double)-INFINITY;
    if (!api_arg_text(call, "name", true, &name) || !api_arg_double(call, "since", false, &since_s))
        return;
    struct err_info info = {""};
    enum err err = backend->dump_motion(backend->ctx, is_queue, name, since_s, api_result(call), &info);
    if (err)
        reply_result(call, err, &info);
    else
        api_reply(call);
}

void handle_dump_stepper(struct api_call *call)
{
    dump_motion(call, false);
}

void handle_dump_trapq(struct api_call *call)
{
    dump_motion(call, true);
}
