#include "tests/sim/harness.h"

#include "base/actor.h"
#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "firmware/port/sim/sim_board.h"
#include "server/app/simulate.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL_S          0.01
#define STARTUP_LIMIT_S 30.0
#define FNV_BASIS       0xcbf29ce484222325u
#define FNV_PRIME       0x100000001b3u

struct rig {
    char dir[64];
    char *config_path;
    bool is_verbose;
    struct runtime *runtime;
    struct status_hub *status;
    struct simulation *sim;
    struct actor machine;
    struct printer_services services;
    struct printer *printer;
    struct strbuf console, field, path;
    struct err_info script_error;
    enum err script_result;
    bool is_script_done;
    uint64_t digest;
};

static struct host_ns machine_step(struct actor *self, struct host_ns now)
{
    struct rig *rig = CONTAINER_OF(self, struct rig, machine);
    if (!rig->printer)
        rig->printer = printer_create(&rig->services, PRINTER_RESTART_NONE);
    struct host_ns next = printer_step(rig->printer, now);
    enum printer_restart wanted = printer_wants_restart(rig->printer);
    if (wanted == PRINTER_RESTART_NONE)
        return next;
    printer_destroy(rig->printer);
    rig->printer = printer_create(&rig->services, wanted);
    return now;
}

static void on_console(void *ctx, const char *line)
{
    struct rig *rig = ctx;
    strbuf_adds(&rig->console, line);
    strbuf_addc(&rig->console, '\n');
    if (rig->is_verbose)
        printf("%s\n", line);
}

static enum err on_board_options(void *ctx, struct printer *printer, struct config_section *section,
                                 struct board_options *options, struct err_info *info)
{
    struct rig *rig = ctx;
    return simulation_board_options(rig->sim, printer, section, options, info);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    CHECK(fputs(text, file) >= 0);
    CHECK(fclose(file) == 0);
}

struct rig *rig_create(const struct rig_options *options)
{
    struct rig *rig = MEM_NEW(struct rig);
    strcpy(rig->dir, "/tmp/lockstep-test-XXXXXX");
    CHECK(mkdtemp(rig->dir) != NULL);
    rig->is_verbose = options->is_verbose;
    strbuf_init(&rig->console);
    strbuf_init(&rig->field);
    strbuf_init(&rig->path);
    rig->config_path = options->config_path ? mem_strdup(options->config_path)
                                            : mem_sprintf("%s/printer.cfg", rig->dir);
    if (!options->config_path)
        write_file(rig->config_path, options->config_text);
    char *command = mem_sprintf("mkdir -p %s/gcodes", rig->dir);
    CHECK(system(command) == 0);
    mem_free(command);
    rig->runtime = runtime_create_virtual(options->seed);
    rig->status = status_hub_create();
    rig->sim = simulation_create(&(struct simulation_options){
        .runtime = rig->runtime, .seed = options->seed, .faults = options->faults});
    rig->machine = (struct actor){.name = "machine", .step = machine_step};
    rig->services = (struct printer_services){
        .runtime = rig->runtime,
        .machine = &rig->machine,
        .status = rig->status,
        .config_path = rig->config_path,
        .data_dir = rig->dir,
        .seed = options->seed,
        .board_options = on_board_options,
        .console = on_console,
        .ctx = rig,
    };
    runtime_add(rig->runtime, &rig->machine, NULL);
    rig_run(rig, 0.0);
    return rig;
}

void rig_destroy(struct rig *rig)
{
    runtime_remove(rig->runtime, &rig->machine);
    printer_destroy(rig->printer);
    simulation_destroy(rig->sim);
    status_hub_destroy(rig->status);
    runtime_destroy(rig->runtime);
    char *command = mem_sprintf("rm -rf %s", rig->dir);
    CHECK(system(command) == 0);
    mem_free(command);
    mem_free(rig->config_path);
    strbuf_deinit(&rig->console);
    strbuf_deinit(&rig->field);
    strbuf_deinit(&rig->path);
    mem_free(rig);
}

void rig_run(struct rig *rig, double seconds)
{
    runtime_run(rig->runtime, host_ns_add_s(runtime_now(rig->runtime), seconds), false);
}

bool rig_run_until(struct rig *rig, rig_condition_fn *condition, void *ctx, double timeout_s)
{
    struct host_ns end = host_ns_add_s(runtime_now(rig->runtime), timeout_s);
    while (!condition(ctx)) {
        if (runtime_now(rig->runtime).ns >= end.ns)
            return false;
        rig_run(rig, POLL_S);
    }
    return true;
}

static bool has_left_startup(void *ctx)
{
    struct rig *rig = ctx;
    return rig->printer && printer_state(rig->printer) != PRINTER_STARTUP;
}

bool rig_wait_ready(struct rig *rig)
{
    (void)rig_run_until(rig, has_left_startup, rig, STARTUP_LIMIT_S);
    if (printer_state(rig->printer) == PRINTER_READY)
        return true;
    printf("printer is not ready (%s): %s\n", printer_state_name(printer_state(rig->printer)),
           printer_state_message(rig->printer));
    return false;
}

static void on_script_done(void *ctx, enum err result, const char *text)
{
    struct rig *rig = ctx;
    rig->script_result = result;
    (void)snprintf(rig->script_error.text, sizeof rig->script_error.text, "%s", text ? text : "");
    rig->is_script_done = true;
}

static bool is_script_done(void *ctx)
{
    return ((struct rig *)ctx)->is_script_done;
}

enum err rig_script(struct rig *rig, const char *script, double timeout_s)
{
    rig->is_script_done = false;
    rig->script_error.text[0] = 0;
    enum err err = printer_run_script(rig->printer, script, on_script_done, rig);
    if (err != OK)
        return err;
    actor_notify(&rig->machine);
    return rig_run_until(rig, is_script_done, rig, timeout_s) ? rig->script_result : ERR_TIMEOUT;
}

void rig_begin_script(struct rig *rig, const char *script)
{
    CHECK(printer_run_script(rig->printer, script, NULL, NULL) == OK);
    actor_notify(&rig->machine);
}

const char *rig_error(const struct rig *rig)
{
    return rig->script_error.text;
}

const char *rig_console(const struct rig *rig)
{
    return rig->console.data;
}

void rig_clear_console(struct rig *rig)
{
    strbuf_clear(&rig->console);
}

const char *rig_status(struct rig *rig, const char *object, const char *field)
{
    const struct status_snapshot *snapshot = status_acquire(rig->status);
    const struct status_object *o = status_find(snapshot, object, strlen(object));
    const struct status_field *f = o ? status_find_field(o, field, strlen(field)) : NULL;
    strbuf_clear(&rig->field);
    if (f)
        strbuf_add(&rig->field, f->json, f->json_len);
    status_release(rig->status, snapshot);
    return f ? rig->field.data : NULL;
}

double rig_status_number(struct rig *rig, const char *object, const char *field)
{
    const char *json = rig_status(rig, object, field);
    return json ? strtod(json, NULL) : (double)NAN;
}

const char *rig_add_gcode(struct rig *rig, const char *name, const char *text)
{
    strbuf_clear(&rig->path);
    strbuf_addf(&rig->path, "%s/gcodes/%s", rig->dir, name);
    write_file(rig->path.data, text);
    return rig->path.data;
}

const char *rig_dir(const struct rig *rig)
{
    return rig->dir;
}

struct printer *rig_printer(struct rig *rig)
{
    return rig->printer;
}

struct runtime *rig_runtime(struct rig *rig)
{
    return rig->runtime;
}

struct plant *rig_plant(struct rig *rig)
{
    return simulation_plant(rig->sim);
}

struct sim_board *rig_board(struct rig *rig, const char *name)
{
    return simulation_board(rig->sim, name);
}

double rig_now_s(const struct rig *rig)
{
    return (double)runtime_now(rig->runtime).ns * 1e-9;
}

static void digest_bytes(void *ctx, struct mcu_ticks clock, bool to_host, const uint8_t *data, size_t len_bytes)
{
    struct rig *rig = ctx;
    (void)clock;
    for (size_t i = 0; i < len_bytes && !to_host; i++)
        rig->digest = (rig->digest ^ data[i]) * FNV_PRIME;
}

void rig_digest_begin(struct rig *rig)
{
    rig->digest = FNV_BASIS;
    sim_board_tap(rig_board(rig, "mcu"), digest_bytes, rig);
}

uint64_t rig_digest(const struct rig *rig)
{
    return rig->digest;
}
