/* The API: one table of methods, served alike over HTTP, WebSocket and whatever transport comes next.
 *
 *   transport (server/net)            api                               machine thread (server/app drives it)
 *   bytes -> struct api_call -------> api_submit: route table
 *                                       API_NET     handler runs here, at once
 *                                       API_WORKER  queue -> worker thread
 *                                       API_MACHINE queue -> backend.wake -> api_machine_run -> handler
 *                                       API_FIBER   the same, but in a fiber of the printer, so it may wait
 *   bytes <- call->done <------------ api_reply_*: once per call, any thread
 *   bytes <- sink       <------------ api_notify: any thread
 *
 * Results are JSON text from the moment they are made: text crosses threads, JSON trees do not. A transport (a Unix
 * socket, MQTT) needs only api_submit or api_rpc_submit and a sink. */
#ifndef API_API_H
#define API_API_H

#include "base/clock.h"
#include "base/err.h"
#include "base/strbuf.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

struct api;
struct api_call;
struct db;
struct fiber_pool;
struct files;
struct log;
struct status_hub;
struct subscription;

#define API_CALLS_MAX 1024               /* calls waiting for the machine or the worker, all clients together */
#define API_JSON_DEPTH_MAX 128           /* nesting of a request */
#define API_BATCH_MAX 1000               /* requests in one JSON-RPC array */
#define API_JSON_BYTES_MAX (50u << 20)   /* one JSON body */
#define API_STATUS_PERIOD_S 0.25         /* status deltas are at least this far apart */

/* --- the route table (routes.c) --- */

enum api_where { API_NET, API_WORKER, API_MACHINE, API_FIBER };
enum api_verb { API_GET = 1, API_POST = 2, API_DELETE = 4 };
enum api_flag {
    API_ANYONE = 1,    /* answered before the client has proved who it is */
    API_WS_ONLY = 2,   /* needs a live connection: not over plain HTTP */
    API_HTTP_ONLY = 4, /* has no JSON-RPC name */
    API_BARE = 8,      /* the HTTP body is the result itself, without {"result": ...} */
    API_QUERY_KEYS = 16, /* the query string is a list of objects: ?toolhead&extruder=target,temperature */
    API_URGENT = 32      /* goes through however many calls wait */
};

typedef void api_handler_fn(struct api_call *call);

/* One method. `rpc` NULL: HTTP only; `path` NULL: JSON-RPC only. `summary` is for HELP and the contract. */
struct api_route {
    const char *rpc;
    const char *path;
    unsigned verbs;
    enum api_where where;
    unsigned flags;
    api_handler_fn *handler; /* NULL: the transport itself does it (upload, download) */
    const char *summary;
};
const struct api_route *api_routes(size_t *count);
const struct api_route *api_route_by_rpc(const struct api *api, const char *method);
/* *any_verb: the path exists, perhaps with another verb. */
const struct api_route *api_route_by_path(const struct api *api, enum api_verb verb, const char *path, bool *any_verb);

/* --- one call --- */

enum api_transport { API_OVER_HTTP, API_OVER_WEBSOCKET, API_OVER_RPC_HTTP };

/* Who asks. Copied into the call. */
struct api_peer {
    uint64_t connection_id; /* 0: not a lasting connection */
    enum api_transport transport;
    bool is_allowed;        /* false: only API_ANYONE methods */
    char address[48];       /* numeric */
    char host[128];         /* Host header */
};

/* Called exactly once when the reply is there, on the thread that replied: hand the call to your own thread. The
 * transport then reads call->code, call->result and call->error_text and frees it with api_call_free. */
typedef void api_done_fn(struct api_call *call);

struct api_call {
    struct api *api;
    const struct api_route *route;
    enum api_verb verb;    /* API_POST over JSON-RPC */
    struct api_peer peer;
    json_t *args;          /* object, owned; only for the thread that has the call */
    api_done_fn *done;
    void *transport_ctx;   /* the transport's */
    uint64_t transport_id; /* the transport's */
    /* the reply */
    int code;              /* 200, 201, 204, or an error code >= 400; -32xxx stay inside JSON-RPC */
    struct strbuf result;  /* JSON text; empty with code 204 */
    char *error_text;
    char *location;        /* Location header of a 201, or NULL */
    bool is_replied;
    bool is_counted; /* among the API_CALLS_MAX */
};

struct api_call *api_call_create(struct api *api, const struct api_peer *peer);
void api_call_free(struct api_call *call);

/* Give the call (route and args set) to its handler; the reply comes through call->done, perhaps before this returns
 * (always, for API_NET). Any thread. */
void api_submit(struct api_call *call);

/* Arguments: false means that the error reply has been sent. An absent optional argument leaves *out as it was; text
 * that reads as the asked type is taken, as clients rely on it ("?count=100"). Texts are borrowed from call->args. */
bool api_arg_text(struct api_call *call, const char *name, bool is_required, const char **out);
bool api_arg_int(struct api_call *call, const char *name, bool is_required, int64_t *out);
bool api_arg_double(struct api_call *call, const char *name, bool is_required, double *out);
bool api_arg_bool(struct api_call *call, const char *name, bool is_required, bool *out);
json_t *api_arg(struct api_call *call, const char *name); /* NULL: absent */

/* Replies: exactly one per call, from any thread; the call must not be touched afterwards. */
struct strbuf *api_result(struct api_call *call); /* write the result's JSON here, then api_reply */
void api_reply(struct api_call *call);
void api_reply_ok(struct api_call *call);                    /* "ok" */
void api_reply_json(struct api_call *call, json_t *take_result);
void api_reply_error(struct api_call *call, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* ERR_* to the code clients know (400, 403, 404, 503, ...), with the words of `info`. */
void api_reply_err(struct api_call *call, enum err err, const struct err_info *info);

/* Run `fn(arg)` on the worker, after what waits there already; false: the queue is full or closed. Any thread. */
typedef void api_job_fn(void *arg);
bool api_defer(struct api *api, api_job_fn *fn, void *arg);

/* --- what the API asks of the machine --- */

/* Implemented over server/machine, server/job and server/mmu (api_printer.c), and by the fake printer of tests/api. All
 * functions run on the machine thread, except `wake` and `stop_boards`; [fiber] ones run in a fiber of `fibers()` and may wait there.
 * Errors carry the words a user sees. Outputs are JSON text, appended to `out`. */
struct api_backend {
    void *ctx;
    void (*bind)(void *ctx, struct api *api); /* called once by api_create: where news go; may be NULL */
    void (*wake)(void *ctx); /* any thread: have api_machine_run called soon on the machine thread */
    /* The pool for API_FIBER methods; NULL while there is no printer that could run a command (503 is answered). */
    struct fiber_pool *(*fibers)(void *ctx);
    /* Does the script hold an emergency stop, which must not wait for anything? Pure. */
    bool (*is_emergency)(void *ctx, const char *script);
    /* The first half of an emergency stop: every board is told, at once. Any thread; may be NULL. */
    void (*stop_boards)(void *ctx);
    void (*emergency_stop)(void *ctx);
    /* RESTART or FIRMWARE_RESTART; returns at once, the printer is replaced later. */
    enum err (*restart)(void *ctx, bool is_firmware, struct err_info *info);
    enum err (*run_script)(void *ctx, const char *script, struct err_info *info); /* [fiber] */
    void (*gcode_help)(void *ctx, struct strbuf *out); /* {"G28": "Home", ...}: commands that have a help text */
    enum err (*print_start)(void *ctx, const char *filename, struct err_info *info); /* [fiber] path below gcodes */
    enum err (*print_pause)(void *ctx, struct err_info *info);  /* [fiber] */
    enum err (*print_resume)(void *ctx, struct err_info *info); /* [fiber] */
    enum err (*print_cancel)(void *ctx, struct err_info *info); /* [fiber] */
    enum err (*query_endstops)(void *ctx, struct strbuf *out, struct err_info *info); /* [fiber] {"x": "open"|"TRIGGERED"} */
    /* [fiber] motion_report's dump of a stepper, or of a motion queue (is_queue), after print time since_s */
    enum err (*dump_motion)(void *ctx, bool is_queue, const char *name, double since_s, struct strbuf *out,
                            struct err_info *info);
    /* The object of mmu_print_job_state with its history; ERR_NOT_FOUND: no [mmu] */
    enum err (*mmu_state)(void *ctx, struct strbuf *out, struct err_info *info);
    enum err (*mmu_pause)(void *ctx, const char *message, bool is_forced, struct err_info *info); /* [fiber] */
    enum err (*mmu_unlock)(void *ctx, struct err_info *info);                                      /* [fiber] */
    enum err (*mmu_resume)(void *ctx, struct err_info *info);                                      /* [fiber] */
};

/* Go on with `call` in a fiber of the printer, on the machine thread; answers 503 if that is not possible. */
void api_run_in_fiber(struct api_call *call, api_handler_fn *fn);

/* Run what waits for the machine. Machine thread only: call it from the machine actor's step after `wake`. */
void api_machine_run(struct api *api);

/* --- news from the printer (machine thread) --- */

enum api_klippy { API_KLIPPY_DISCONNECTED, API_KLIPPY_STARTUP, API_KLIPPY_READY, API_KLIPPY_ERROR, API_KLIPPY_SHUTDOWN };

/* The life cycle: the first call after a restart is DISCONNECTED, then STARTUP, then READY or ERROR; SHUTDOWN from any.
 * `message` is shown to users as it is ("Printer is ready", or the cause and what to do). Sends notify_klippy_ready,
 * _shutdown and _disconnected; DISCONNECTED drops all subscriptions. */
void api_event_klippy(struct api *api, enum api_klippy state, const char *message);
/* A line for the console ("// ...", "!! ...", "echo: ..."): stored and sent as notify_gcode_response. */
void api_event_gcode_response(struct api *api, const char *line);
/* The print-job state changed: `json` as mmu_state writes it, without the history. */
void api_event_mmu_state(struct api *api, const char *json);

/* --- what macros ask of clients --- */

/* Call the remote method `name` of the client that registered it, with the JSON object `params`; no answer is waited for.
 * ERR_NOT_FOUND: nobody did. Any thread. */
enum err api_call_remote_method(struct api *api, const char *name, const char *params);
/* A WebSocket connection has ended: its remote methods go. Any thread. */
void api_connection_closed(struct api *api, uint64_t connection_id);

/* --- notifications --- */

/* Send {"jsonrpc":"2.0","method":name,"params":params} to every connected client. `params` is JSON text of an array, or
 * NULL for no such member. Any thread. */
void api_notify(struct api *api, const char *name, const char *params);

/* Where notifications go: `frame` is the whole message, borrowed for the call. Any thread; must not block. Set before
 * the first notification. subscribe and identify run inside api_submit, on the thread that submitted. */
struct api_sink {
    void *ctx;
    void (*frame)(void *ctx, const char *frame, size_t len_bytes);
    /* The same for one connection; it may be gone by then. */
    void (*frame_to)(void *ctx, uint64_t id, const char *frame, size_t len_bytes);
    void (*klippy_gone)(void *ctx); /* drop all subscriptions */
    unsigned (*connection_count)(void *ctx);
    /* Replace the subscription of connection `id` (takes it, also when it fails); false: there is no such connection. */
    bool (*subscribe)(void *ctx, uint64_t id, struct subscription *take_sub);
    /* server.connection.identify with its checked arguments: ERR_NOT_FOUND no such connection, ERR_STATE identified
     * already, ERR_DENIED wrong key. */
    enum err (*identify)(void *ctx, uint64_t id, const json_t *args, struct err_info *info);
    bool (*is_agent)(void *ctx, uint64_t id); /* has the connection identified itself as one? As subscribe */
    void (*disconnect_all)(void *ctx);        /* ask every client to come back */
};
void api_set_sink(struct api *api, const struct api_sink *sink);
struct status_hub *api_status_hub(struct api *api);

/* Once a second by the wall clock, from the transport that has a timer: samples temperatures and the process, and sends
 * notify_proc_stat_update, which clients take as a sign of life. */
void api_tick(struct api *api);

/* --- life --- */

struct api_options {
    struct log *log;
    struct db *db;                  /* kept until api_destroy */
    struct files *files;            /* kept until api_destroy */
    struct status_hub *status;      /* kept until api_destroy; lives longer than any printer */
    const struct api_backend *backend; /* kept until api_destroy */
    const char *config_file;        /* printer.cfg; texts are copied */
    const char *log_file;           /* NULL: none */
    const char *data_dir;
    const char *software_version;   /* "v0.13.0-1-..." */
    const char *host;               /* for server.config */
    unsigned port;
    uint64_t upload_bytes_max;
    unsigned websockets_max;
};
struct api *api_create(const struct api_options *options);
/* Answer every call that still waits with 503 and take no more. The machine thread no longer calls api_machine_run, and
 * the fibers of API_FIBER calls have ended. net_destroy does this first. May be called again. */
void api_stop(struct api *api);
/* After every transport has been stopped. NULL allowed. */
void api_destroy(struct api *api);

#endif
