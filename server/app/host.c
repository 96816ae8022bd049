#include "server/app/host.h"

#include "base/actor.h"
#include "base/check.h"
#include "base/fiber.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/worker.h"
#include "motion/board.h"
#include "server/api/api.h"
#include "server/api/api_printer.h"
#include "server/app/data_lock.h"
#include "server/app/record.h"
#include "server/app/simulate.h"
#include "server/app/version.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/job/job.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/net/net.h"
#include "server/store/db.h"
#include "server/store/files.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BED_WARP_MM       0.2 /* of the simulated bed, over the reach of the toolhead */
#define MOTION_PRIORITY 50
#define LINK_PRIORITY   55 /* above motion: acknowledgements and trsync must not wait for planning */
#define MACHINE_NICENESS (-10) /* it feeds the heaters */
#define END_TIMEOUT_S   10.0 /* how long an orderly stop may take before it is made at once */
#define WEBSOCKETS_MAX  50
#define DISK_QUEUE_MAX   128 /* pieces of files on their way, most of them of print files that were let go of */
#define DISK_STACK_KIB   512 /* SAVE_CONFIG reads configurations */
#define UPLOAD_BYTES_MAX (1024ull << 20)

struct host {
    struct host_options options;
    struct runtime *runtime;
    struct log *log;
    struct status_hub *status;
    struct db *db;
    struct files *files;
    struct api *api;
    struct api_printer *backend;
    struct net *net;
    struct simulation *sim;
    struct worker *disk;   /* the machine's files; NULL in virtual time */
    struct record *record; /* NULL: nothing is recorded */
    struct data_lock *lock;
    struct printer_services services;
    char *log_path;

    /* machine thread */
    struct actor machine;
    struct printer *printer;
    struct boards *boards; /* of the printer, since they were last looked at */
    bool has_news;         /* its state has changed and clients have not been told */
    bool is_ending;
    struct host_ns end_deadline;

    atomic_int stop_requests;
};

/* ------------------------------------------------------------------------------------- the printer and its news */

static enum api_klippy klippy_state(enum printer_state state)
{
    switch (state) {
    case PRINTER_STARTUP:
        return API_KLIPPY_STARTUP;
    case PRINTER_READY:
        return API_KLIPPY_READY;
    case PRINTER_ERROR:
        return API_KLIPPY_ERROR;
    case PRINTER_SHUTDOWN:
        return API_KLIPPY_SHUTDOWN;
    }
    UNREACHABLE();
}

static void on_printer_changed(void *ctx, struct printer *printer)
{
    struct host *host = ctx;
    host->has_news = true;
    log_info(host->log, "printer", "state", "state=%s", printer_state_name(printer_state(printer)));
    actor_notify(&host->machine); /* it may ask to be replaced */
}

/* After the printer's step, which publishes the status of its objects: whoever is told of a shutdown and asks finds heaters
 * without targets, and the reason. */
static void tell_state(struct host *host)
{
    if (!host->has_news)
        return;
    host->has_news = false;
    api_event_klippy(host->api, klippy_state(printer_state(host->printer)), printer_state_message(host->printer));
}

static void on_console(void *ctx, const char *line)
{
    struct host *host = ctx;
    api_event_gcode_response(host->api, line);
}

static enum err on_remote(void *ctx, const char *method, const char *params)
{
    struct host *host = ctx;
    return api_call_remote_method(host->api, method, params);
}

static enum err on_board_options(void *ctx, struct printer *printer, struct config_section *section,
                                 struct board_options *options, struct err_info *info)
{
    struct host *host = ctx;
    enum err err = simulation_board_options(host->sim, printer, section, options, info);
    if (err != OK || !host->record)
        return err;
    return record_board(host->record, options->name, simulation_board(host->sim, options->name), info);
}

/* `text` with a leading ~ replaced and, if relative, below `base`. Caller frees. */
static char *absolute_path(const char *text, const char *base)
{
    const char *home = getenv("HOME");
    if (text[0] == '~' && (text[1] == '/' || !text[1]) && home)
        return mem_sprintf("%s%s", home, text + 1);
    return text[0] == '/' ? mem_strdup(text) : mem_sprintf("%s/%s", base, text);
}

/* Clients see the folder that [virtual_sdcard] names, else DATA/gcodes. */
static void publish_gcode_folder(struct host *host)
{
    const struct config_section *section = config_find(host->printer->config, "virtual_sdcard");
    const struct config_option *path = section ? section_find(section, "path") : NULL;
    char *dir = path ? absolute_path(path->value, ".") : mem_sprintf("%s/gcodes", host->options.data_dir);
    struct err_info info;
    if (files_set_root(host->files, "gcodes", dir, &info) != OK)
        log_error(host->log, "host", "G-code folder", "dir=%s reason=%s", dir, info.text);
    mem_free(dir);
}

static void start_printer(struct host *host, enum printer_restart reason)
{
    api_event_klippy(host->api, API_KLIPPY_STARTUP, "");
    host->printer = printer_create(&host->services, reason);
    api_printer_attach(host->backend, host->printer);
    publish_gcode_folder(host);
}

/* Who can stop the boards whatever the machine thread is at: a failed CHECK, and a client's emergency stop. */
static void follow_boards(struct host *host, struct boards *boards)
{
    if (boards == host->boards)
        return;
    host->boards = boards;
    check_set_hook(boards ? boards_panic : NULL, boards);
    api_printer_set_boards(host->backend, boards);
}

static void stop_printer(struct host *host)
{
    follow_boards(host, NULL);
    api_event_klippy(host->api, API_KLIPPY_DISCONNECTED, "");
    api_printer_attach(host->backend, NULL);
    printer_destroy(host->printer);
    host->printer = NULL;
}

/* ---------------------------------------------------------------------------------------------- the orderly end */

/* A job ends as cancelled; then the printer is closed as for a restart: brake, heaters, fans and motors off, every queue
 * drained. */
static void end_fiber(void *arg)
{
    struct host *host = arg;
    struct err_info info;
    if (job_is_printing(host->printer) && job_cancel(host->printer, &info) != OK)
        log_warn(host->log, "host", "the job was not cancelled in order", "reason=%s", info.text);
    printer_begin_close(host->printer);
}

static void begin_end(struct host *host, struct host_ns now)
{
    host->is_ending = true;
    host->end_deadline = host_ns_add_s(now, END_TIMEOUT_S);
    bool can_script = host->printer && printer_state(host->printer) == PRINTER_READY;
    if (!can_script || !fiber_spawn(host->printer->fibers, "end", end_fiber, host))
        printer_begin_close(host->printer);
}

/* ------------------------------------------------------------------------------------------------ machine actor */

/* --speed max: free running while something is being waited for. */
static void follow_speed(struct host *host)
{
    if (!host->options.is_simulated || host->options.speed != HOST_SPEED_MAX)
        return;
    const struct printer *p = host->printer;
    bool has_work = printer_state(p) == PRINTER_STARTUP || gcode_is_busy(p->gcode) || job_is_printing(host->printer);
    runtime_set_speed(host->runtime, has_work ? 0.0 : 1.0);
}

static struct host_ns machine_step(struct actor *self, struct host_ns now)
{
    struct host *host = CONTAINER_OF(self, struct host, machine);
    if (!host->printer)
        start_printer(host, PRINTER_RESTART_NONE);
    if (atomic_load(&host->stop_requests) > 0 && !host->is_ending)
        begin_end(host, now);
    api_machine_run(host->api);
    struct host_ns next = printer_step(host->printer, now);
    tell_state(host);
    follow_boards(host, host->printer->boards);
    if (host->is_ending && (printer_is_closed(host->printer) || now.ns >= host->end_deadline.ns))
        runtime_stop(host->runtime);
    enum printer_restart wanted = printer_wants_restart(host->printer);
    if (wanted != PRINTER_RESTART_NONE && !host->is_ending) {
        stop_printer(host);
        start_printer(host, wanted);
        next = now;
    }
    follow_speed(host);
    return host->is_ending ? host_ns_min(next, host->end_deadline) : next;
}

static void wake_machine(void *ctx)
{
    struct host *host = ctx;
    actor_notify(&host->machine);
}

/* -------------------------------------------------------------------------------------------------------- opening */

static enum err open_folders(struct host *host, struct err_info *info)
{
    const char *data = host->options.data_dir;
    static const char *const names[] = {"gcodes", "logs", "database"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char *dir = mem_sprintf("%s/%s", data, names[i]);
        struct err_info why = {{0}};
        enum err err = files_make_dirs(dir, &why);
        if (err != OK)
            err = err_set(info, err, "%s: %s", dir, why.text);
        mem_free(dir);
        if (err != OK)
            return err;
    }
    return OK;
}

static enum err open_roots(struct host *host, struct err_info *info)
{
    const char *data = host->options.data_dir;
    host->files = files_create();
    char *gcodes = mem_sprintf("%s/gcodes", data), *logs = mem_sprintf("%s/logs", data);
    char *config = mem_strdup(host->options.config_path);
    char *slash = strrchr(config, '/');
    const char *config_dir = slash == config ? "/" : ".";
    if (slash && slash != config) {
        *slash = 0;
        config_dir = config;
    }
    enum err err = files_add_root(host->files, "gcodes", gcodes, true, info);
    if (err == OK)
        err = files_add_root(host->files, "config", config_dir, true, info);
    if (err == OK)
        err = files_add_root(host->files, "logs", logs, false, info);
    mem_free(gcodes);
    mem_free(logs);
    mem_free(config);
    return err;
}

static enum err open_store(struct host *host, struct err_info *info)
{
    enum err err = open_folders(host, info);
    if (err == OK)
        err = data_lock_take(host->options.data_dir, &host->lock, info);
    if (err != OK)
        return err;
    host->log_path = mem_sprintf("%s/logs/lockstep.log", host->options.data_dir);
    host->log = log_create(host->log_path, LOG_INFO, false, true);
    char *db_path = mem_sprintf("%s/database/lockstep.sqlite", host->options.data_dir);
    err = db_open(db_path, &host->db, info);
    mem_free(db_path);
    return err == OK ? open_roots(host, info) : err;
}

static void open_machine(struct host *host)
{
    const struct host_options *o = &host->options;
    host->runtime = o->is_simulated ? runtime_create_virtual(o->seed) : runtime_create_real();
    if (o->is_simulated) {
        runtime_set_speed(host->runtime, o->speed == HOST_SPEED_MAX ? 1.0 : o->speed);
        host->sim = simulation_create(
            &(struct simulation_options){
                .runtime = host->runtime, .log = host->log, .seed = o->seed, .bed_warp_mm = BED_WARP_MM});
    }
    if (!o->is_simulated)
        host->disk = worker_create("disk", DISK_QUEUE_MAX, DISK_STACK_KIB, 0);
    host->status = status_hub_create();
    host->machine = (struct actor){.name = "machine", .step = machine_step};
    host->services = (struct printer_services){
        .runtime = host->runtime,
        .machine = &host->machine,
        .log = host->log,
        .disk = host->disk,
        .status = host->status,
        .config_path = o->config_path,
        .data_dir = o->data_dir,
        .version = LOCKSTEP_VERSION,
        .seed = o->seed,
        .motion_priority = MOTION_PRIORITY,
        .link_priority = LINK_PRIORITY,
        .board_options = o->is_simulated ? on_board_options : NULL,
        .console = on_console,
        .remote = on_remote,
        .changed = on_printer_changed,
        .ctx = host,
        .host = host,
    };
}

static enum err open_api(struct host *host, struct err_info *info)
{
    const struct host_options *o = &host->options;
    host->backend = api_printer_create(wake_machine, host);
    host->api = api_create(&(struct api_options){
        .log = host->log,
        .db = host->db,
        .files = host->files,
        .status = host->status,
        .backend = api_printer_backend(host->backend),
        .config_file = o->config_path,
        .log_file = host->log_path,
        .data_dir = o->data_dir,
        .software_version = LOCKSTEP_VERSION,
        .host = o->address,
        .port = o->port,
        .upload_bytes_max = UPLOAD_BYTES_MAX,
        .websockets_max = WEBSOCKETS_MAX,
    });
    return net_create(&(struct net_options){.log = host->log,
                                            .api = host->api,
                                            .files = host->files,
                                            .log_file = host->log_path,
                                            .host = o->address,
                                            .port = o->port,
                                            .www_dir = o->www_dir,
                                            .cors_domains = o->cors_domains,
                                            .host_names = o->host_names,
                                            .websockets_max = WEBSOCKETS_MAX,
                                            .upload_bytes_max = UPLOAD_BYTES_MAX},
                      &host->net, info);
}

enum err host_create(const struct host_options *options, struct host **out, struct err_info *info)
{
    if (access(options->config_path, R_OK) != 0)
        return err_set(info, ERR_IO, "%s: %s", options->config_path, strerror(errno));
    struct host *host = MEM_NEW(struct host);
    host->options = *options;
    enum err err = open_store(host, info);
    if (err == OK && options->record_dir)
        err = record_create(options->record_dir, &host->record, info);
    if (err == OK) {
        open_machine(host);
        err = open_api(host, info);
    }
    if (err != OK) {
        host_destroy(host);
        return err;
    }
    *out = host;
    return OK;
}

void host_run(struct host *host)
{
    log_info(host->log, "host", "started", "version=%s port=%u sim=%d", LOCKSTEP_VERSION, host_port(host),
             host->options.is_simulated);
    runtime_add(host->runtime, &host->machine, &(struct actor_options){.niceness = MACHINE_NICENESS});
    runtime_run(host->runtime, HOST_NS_NEVER, false);
    /* The printer goes first: its fibers end, which answers what clients still wait for. Then nobody takes calls off the
     * machine's queue any more, and net_destroy may answer those. */
    runtime_remove(host->runtime, &host->machine);
    if (host->printer)
        stop_printer(host);
    net_destroy(host->net);
    host->net = NULL;
    if (host->disk)
        worker_stop(host->disk); /* what is half written is finished */
    log_info(host->log, "host", "stopped", "dropped_log_records=%llu", (unsigned long long)log_dropped(host->log));
    sync();
}

void host_stop(struct host *host)
{
    if (atomic_fetch_add(&host->stop_requests, 1) > 0)
        runtime_stop(host->runtime);
    else
        actor_notify(&host->machine);
}

void host_destroy(struct host *host)
{
    if (!host)
        return;
    net_destroy(host->net);
    api_destroy(host->api);
    api_printer_destroy(host->backend);
    simulation_destroy(host->sim);
    record_destroy(host->record);
    worker_destroy(host->disk);
    status_hub_destroy(host->status);
    runtime_destroy(host->runtime);
    files_destroy(host->files);
    db_close(host->db);
    log_destroy(host->log);
    data_lock_release(host->lock);
    mem_free(host->log_path);
    mem_free(host);
}

unsigned host_port(const struct host *host)
{
    return net_port(host->net);
}

struct printer *host_printer(struct host *host)
{
    return host->printer;
}

struct simulation *host_simulation(struct host *host)
{
    return host->sim;
}
