#include "server/api/api_private.h"

#include "base/check.h"
#include "base/fiber.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/worker.h"
#include "server/api/access.h"
#include "server/api/console_store.h"
#include "server/api/file_watch.h"
#include "server/api/handlers.h"
#include "server/api/proc_stats.h"
#include "server/api/remote_methods.h"
#include "server/api/temperature_store.h"

#include <string.h>
#include <unistd.h>

#define WORKER_NICENESS  10 /* below everything else of ours */
#define WORKER_STACK_KIB 512 /* SQLite and JSON recursion under sanitizers */

/* --- routes --- */

static const char *path_key(char out[256], char verb, const char *path)
{
    size_t len = strlen(path);
    if (len > 250)
        return NULL;
    out[0] = verb;
    memcpy(out + 1, path, len + 1);
    return out;
}

static void index_routes(struct api *api)
{
    size_t count;
    const struct api_route *routes = api_routes(&count);
    static const struct {
        unsigned verb;
        char letter;
    } VERBS[] = {{API_GET, 'G'}, {API_POST, 'P'}, {API_DELETE, 'D'}};
    char key[256];
    strmap_init(&api->by_rpc);
    strmap_init(&api->by_path);
    for (size_t i = 0; i < count; i++) {
        const struct api_route *route = &routes[i];
        if (route->rpc)
            CHECK(!strmap_set(&api->by_rpc, route->rpc, (void *)route));
        if (!route->path)
            continue;
        strmap_set(&api->by_path, path_key(key, '*', route->path), (void *)route);
        for (size_t v = 0; v < ARRAY_COUNT(VERBS); v++)
            if (route->verbs & VERBS[v].verb)
                CHECK(!strmap_set(&api->by_path, path_key(key, VERBS[v].letter, route->path), (void *)route));
    }
}

const struct api_route *api_route_by_rpc(const struct api *api, const char *method)
{
    return strmap_get(&api->by_rpc, method);
}

const struct api_route *api_route_by_path(const struct api *api, enum api_verb verb, const char *path, bool *any_verb)
{
    char key[256];
    *any_verb = false;
    if (!path_key(key, verb == API_GET ? 'G' : verb == API_POST ? 'P' : 'D', path))
        return NULL;
    const struct api_route *route = strmap_get(&api->by_path, key);
    *any_verb = route != NULL || strmap_get(&api->by_path, path_key(key, '*', path)) != NULL;
    return route;
}

bool api_defer(struct api *api, api_job_fn *fn, void *arg)
{
    return worker_post(api->worker, fn, arg);
}

/* --- submitting --- */

static void run_handler(void *arg)
{
    struct api_call *call = arg;
    call->route->handler(call);
}

static void send_to_machine(struct api_call *call)
{
    struct api *api = call->api;
    if (atomic_load(&api->is_stopped) || !mpsc_push(&api->machine_queue, &call)) {
        api_reply_error(call, 503, "The server is busy");
        return;
    }
    api->options.backend->wake(api->options.backend->ctx);
}

/* The machine thread may be busy for a moment; boards that must stop do not wait for it. */
static bool is_emergency(struct api_call *call)
{
    const struct api_backend *backend = call->api->options.backend;
    if (call->route->handler == handle_printer_emergency_stop)
        return true;
    const char *script =
        call->route->handler == handle_gcode_script ? json_string_value(api_arg(call, "script")) : NULL;
    return script && backend->is_emergency(backend->ctx, script);
}

void api_submit(struct api_call *call)
{
    struct api *api = call->api;
    if (call->route->where == API_NET) {
        call->route->handler(call);
        return;
    }
    bool is_urgent = (call->route->flags & API_URGENT) != 0;
    if (atomic_fetch_add(&api->in_flight, 1) >= API_CALLS_MAX && !is_urgent) {
        call->is_counted = true;
        api_reply_error(call, 503, "Too many requests are waiting");
        return;
    }
    call->is_counted = true;
    const struct api_backend *backend = api->options.backend;
    const bool is_stop = backend->stop_boards && is_emergency(call);
    if (call->route->where != API_WORKER)
        send_to_machine(call); /* first, so that the reason is known before the boards say that they stopped */
    else if (!api_defer(api, run_handler, call))
        api_reply_error(call, 503, "The server is busy");
    if (is_stop)
        backend->stop_boards(backend->ctx);
}

struct fiber_job {
    struct api_call *call;
    api_handler_fn *fn;
};

static void run_fiber_job(void *arg)
{
    struct fiber_job job = *(struct fiber_job *)arg;
    mem_free(arg);
    job.fn(job.call);
}

void api_run_in_fiber(struct api_call *call, api_handler_fn *fn)
{
    const struct api_backend *backend = call->api->options.backend;
    struct fiber_pool *pool = backend->fibers(backend->ctx);
    if (!pool) {
        api_reply_error(call, 503, "Klippy Host not connected");
        return;
    }
    struct fiber_job *job = MEM_NEW(struct fiber_job);
    *job = (struct fiber_job){call, fn};
    if (!fiber_spawn(pool, call->route->rpc, run_fiber_job, job)) {
        mem_free(job);
        api_reply_error(call, 503, "Too many commands are waiting");
    }
}

void api_machine_run(struct api *api)
{
    struct api_call *call;
    while (mpsc_pop(&api->machine_queue, &call))
        call->route->where == API_FIBER ? api_run_in_fiber(call, call->route->handler) : call->route->handler(call);
}

/* --- news --- */

static const char *const KLIPPY_NAMES[] = {
    [API_KLIPPY_DISCONNECTED] = "disconnected", [API_KLIPPY_STARTUP] = "startup",   [API_KLIPPY_READY] = "ready",
    [API_KLIPPY_ERROR] = "error",               [API_KLIPPY_SHUTDOWN] = "shutdown",
};

const char *api_klippy_name(enum api_klippy state)
{
    return KLIPPY_NAMES[state];
}

enum api_klippy api_klippy_state(struct api *api, char *message, size_t message_bytes)
{
    pthread_mutex_lock(&api->lock);
    enum api_klippy state = api->klippy;
    if (message)
        snprintf(message, message_bytes, "%s", api->klippy_message ? api->klippy_message : "");
    pthread_mutex_unlock(&api->lock);
    return state;
}

bool api_need_printer(struct api_call *call)
{
    if (api_klippy_state(call->api, NULL, 0) != API_KLIPPY_DISCONNECTED)
        return true;
    api_reply_error(call, 503, "Klippy Host not connected");
    return false;
}

void api_event_klippy(struct api *api, enum api_klippy state, const char *message)
{
    pthread_mutex_lock(&api->lock);
    enum api_klippy was = api->klippy;
    api->klippy = state;
    mem_free(api->klippy_message);
    api->klippy_message = mem_strdup(message ? message : "");
    pthread_mutex_unlock(&api->lock);
    if (was == state)
        return;
    if (state == API_KLIPPY_DISCONNECTED) {
        if (api->sink.klippy_gone)
            api->sink.klippy_gone(api->sink.ctx);
        api_notify(api, "notify_klippy_disconnected", NULL);
    } else if (state == API_KLIPPY_READY) {
        file_watch_look(api->watch); /* this printer may have its G-code folder elsewhere */
        api_notify(api, "notify_klippy_ready", NULL);
    } else if (state == API_KLIPPY_SHUTDOWN) {
        api_notify(api, "notify_klippy_shutdown", NULL);
    }
}

void api_event_gcode_response(struct api *api, const char *line)
{
    console_store_add(api->console, line, clock_wall_s(), false);
    struct strbuf params;
    strbuf_init(&params);
    strbuf_addc(&params, '[');
    strbuf_add_json_string(&params, line, strlen(line));
    strbuf_addc(&params, ']');
    api_notify(api, "notify_gcode_response", params.data);
    strbuf_deinit(&params);
}

void api_event_mmu_state(struct api *api, const char *json)
{
    struct strbuf params;
    strbuf_init(&params);
    strbuf_addf(&params, "[%s]", json);
    api_notify(api, "notify_mmu_print_job_state_changed", params.data);
    strbuf_deinit(&params);
}

void api_notify(struct api *api, const char *name, const char *params)
{
    if (!api->sink.frame)
        return;
    struct strbuf frame;
    strbuf_init(&frame);
    strbuf_addf(&frame, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\"", name);
    if (params) {
        strbuf_adds(&frame, ",\"params\":");
        strbuf_adds(&frame, params);
    }
    strbuf_addc(&frame, '}');
    api->sink.frame(api->sink.ctx, frame.data, frame.len_bytes);
    strbuf_deinit(&frame);
}

enum err api_call_remote_method(struct api *api, const char *name, const char *params)
{
    uint64_t id = remote_methods_find(api->remote_methods, name);
    if (!id || !api->sink.frame_to)
        return ERR_NOT_FOUND;
    struct strbuf frame;
    strbuf_init(&frame);
    strbuf_adds(&frame, "{\"jsonrpc\":\"2.0\",\"method\":");
    strbuf_add_json_string(&frame, name, strlen(name));
    strbuf_addf(&frame, ",\"params\":%s}", params);
    api->sink.frame_to(api->sink.ctx, id, frame.data, frame.len_bytes);
    strbuf_deinit(&frame);
    return OK;
}

void api_connection_closed(struct api *api, uint64_t connection_id)
{
    remote_methods_forget(api->remote_methods, connection_id);
}

void api_set_sink(struct api *api, const struct api_sink *sink)
{
    api->sink = sink ? *sink : (struct api_sink){.ctx = NULL};
}

void api_tick(struct api *api)
{
    double now_s = clock_wall_s();
    temperature_store_sample(api->temperatures, api->options.status);
    struct strbuf params;
    strbuf_init(&params);
    proc_stats_sample(api->proc_stats, now_s, api->sink.connection_count ? api->sink.connection_count(api->sink.ctx) : 0);
    proc_stats_add_update(api->proc_stats, &params);
    api_notify(api, "notify_proc_stat_update", params.data);
    strbuf_deinit(&params);
}

/* --- life --- */

static char *copy_or_empty(const char *text)
{
    return mem_strdup(text ? text : "");
}

struct api *api_create(const struct api_options *options)
{
    struct api *api = MEM_NEW(struct api);
    api->options = *options;
    api->options.config_file = copy_or_empty(options->config_file);
    api->options.log_file = copy_or_empty(options->log_file);
    api->options.data_dir = copy_or_empty(options->data_dir);
    api->options.software_version = copy_or_empty(options->software_version);
    api->options.host = copy_or_empty(options->host ? options->host : "127.0.0.1");
    char name[256] = "";
    (void)!gethostname(name, sizeof name - 1);
    api->hostname = mem_strdup(name);
    api->upload_dir = api_upload_dir_open(api->options.data_dir);
    machine_describe_cpu(&api->cpu_model, &api->cpu_info);
    api->started_s = clock_wall_s();
    pthread_mutex_init(&api->lock, NULL);
    index_routes(api);
    mpsc_init(&api->machine_queue, sizeof(struct api_call *), 2 * API_CALLS_MAX);
    api->console = console_store_create(API_CONSOLE_LINES_MAX);
    api->temperatures = temperature_store_create(API_TEMPERATURE_SAMPLES);
    api->proc_stats = proc_stats_create();
    api->remote_methods = remote_methods_create();
    proc_stats_sample(api->proc_stats, api->started_s, 0); /* clients may ask before the first second is over */
    api->tokens = tokens_create(api->options.db);
    api->worker = worker_create("worker", 2 * API_CALLS_MAX, WORKER_STACK_KIB, WORKER_NICENESS);
    api->watch = file_watch_create(api);
    if (options->backend->bind)
        options->backend->bind(options->backend->ctx, api);
    return api;
}

void api_stop(struct api *api)
{
    if (!atomic_exchange(&api->is_stopped, true)) {
        file_watch_stop(api->watch);
        worker_stop(api->worker);
    }
    struct api_call *call;
    while (mpsc_pop(&api->machine_queue, &call))
        api_reply_error(call, 503, "Klippy Disconnected");
}

void api_destroy(struct api *api)
{
    if (!api)
        return;
    api_stop(api);
    worker_destroy(api->worker);
    mpsc_deinit(&api->machine_queue);
    file_watch_destroy(api->watch);
    tokens_destroy(api->tokens);
    proc_stats_destroy(api->proc_stats);
    remote_methods_destroy(api->remote_methods);
    temperature_store_destroy(api->temperatures);
    console_store_destroy(api->console);
    strmap_deinit(&api->by_rpc);
    strmap_deinit(&api->by_path);
    pthread_mutex_destroy(&api->lock);
    mem_free(api->klippy_message);
    mem_free(api->upload_dir);
    mem_free(api->hostname);
    mem_free(api->cpu_model);
    mem_free(api->cpu_info);
    mem_free((char *)api->options.config_file);
    mem_free((char *)api->options.log_file);
    mem_free((char *)api->options.data_dir);
    mem_free((char *)api->options.software_version);
    mem_free((char *)api->options.host);
    mem_free(api);
}

struct status_hub *api_status_hub(struct api *api)
{
    return api->options.status;
}
