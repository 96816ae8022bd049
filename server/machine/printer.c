/* One load of a configuration: creation, steps, states, end. */
#include "server/machine/printer_private.h"

#include "base/check.h"
#include "base/fiber.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "motion/board.h"
#include "motion/engine.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/pins.h"
#include "server/machine/status.h"

#include <stdio.h>
#include <string.h>

#define DRAIN_S 1.0         /* for the last bytes to leave */
#define HOLD_POLL_S 0.01
#define CLOSE_TIMEOUT_S 5.0 /* for an orderly end */
#define END_ROUNDS_MAX 1000 /* runs of the fiber pool until every cancelled fiber must have ended */

static const char text_startup[] = "\nPrinter is not ready\nThe klippy host software is attempting to connect.  Please\n"
                                   "retry in a few moments.\n";
static const char text_restart[] = "Correct the cause, then use \"RESTART\" to load the configuration again.\n"
                                   "Printer is halted\n";
static const char text_firmware[] = "Correct the cause, then use \"FIRMWARE_RESTART\" to reset the firmware, load the\n"
                                    "configuration again and go on.\nPrinter is shutdown\n";

/* --- state --- */

enum printer_state printer_state(const struct printer *printer)
{
    return priv(printer)->state;
}

const char *printer_state_name(enum printer_state state)
{
    static const char *const names[] = {"startup", "ready", "error", "shutdown"};
    return names[state];
}

const char *printer_state_message(const struct printer *printer)
{
    return priv(printer)->message;
}

bool printer_is_shutdown(const struct printer *printer)
{
    return priv(printer)->state == PRINTER_SHUTDOWN;
}

struct host_ns printer_state_since(const struct printer *printer)
{
    return priv(printer)->since;
}

double printer_startup_s(const struct printer *printer)
{
    return priv(printer)->startup_s;
}

static void notify_changed(struct printer *printer)
{
    const struct printer_services *services = printer->services;
    if (services->changed)
        services->changed(services->ctx, printer);
    actor_notify(services->machine);
}

void printer_set_state(struct printer *printer, enum printer_state state, char *take_message)
{
    struct printer_private *p = priv(printer);
    mem_free(p->message);
    p->message = take_message;
    p->state = state;
    p->since = printer_now(printer);
    gcode_set_ready(printer->gcode, state == PRINTER_READY, p->message);
    p->is_status_touched = true;
    notify_changed(printer);
}

/* --- time --- */

struct host_ns printer_now(const struct printer *printer)
{
    struct runtime *runtime = printer->services->runtime;
    return runtime ? runtime_now(runtime) : (struct host_ns){0};
}

double printer_now_s(const struct printer *printer)
{
    return (double)printer_now(printer).ns * 1e-9;
}

struct print_time printer_est_print_time(const struct printer *printer)
{
    return printer->boards ? boards_est_print_time(printer->boards, printer_now(printer)) : (struct print_time){0};
}

/* --- creation --- */

static void on_output(void *ctx, const char *text)
{
    struct printer *printer = ctx;
    if (printer->services->console)
        printer->services->console(printer->services->ctx, text);
}

static void on_emergency(void *ctx)
{
    printer_emergency_stop(ctx, "M112 command");
}

struct printer *printer_create_bare(const struct printer_services *services, enum printer_restart start_reason,
                                    struct config *take_config)
{
    struct printer_private *p = MEM_NEW(struct printer_private);
    struct printer *printer = &p->pub;
    printer->priv = p;
    printer->services = services;
    printer->start_reason = start_reason;
    p->startup_s = -1;
    p->last = &p->first;
    p->message = mem_strdup("");
    strmap_init(&p->objects);
    strmap_init(&p->loading);
    strmap_init(&p->commands);
    list_init(&p->timers);
    list_init(&p->subscriptions);
    list_init(&p->scripts);
    printer->fibers = fiber_pool_create(services->runtime ? FIBER_COUNT_MAX : 1); /* `check` runs none */
    worker_calls_init(&printer->disk, services->disk, services->machine);
    printer->gcode = gcode_create();
    printer->pins = pins_create();
    printer->config = take_config;
    p->created = printer_now(printer);
    p->status_due = p->created;
    if (services->status)
        status_hub_reset(services->status);
    gcode_set_batch(printer->gcode, services->is_batch);
    gcode_set_firmware(printer->gcode, "Lockstep", services->version ? services->version : "unknown");
    gcode_add_output(printer->gcode, on_output, printer);
    gcode_set_emergency(printer->gcode, on_emergency, printer);
    return printer;
}

struct printer *printer_create(const struct printer_services *services, enum printer_restart start_reason)
{
    struct printer *printer = printer_create_bare(services, start_reason, config_load(services->config_path));
    printer_set_state(printer, PRINTER_STARTUP, mem_strdup(text_startup));
    printer_create_objects(printer);
    if (config_error_count(printer->config)) {
        char *errors = config_error_text(printer->config);
        log_error(services->log, "printer", "configuration has errors", "count=%zu",
                  config_error_count(printer->config) + config_error_dropped(printer->config));
        printer_set_state(printer, PRINTER_ERROR, mem_sprintf("%s\n%s", errors, text_restart));
        mem_free(errors);
    } else {
        printer_start(printer);
    }
    return printer;
}

/* --- steps --- */

struct host_ns printer_step(struct printer *printer, struct host_ns now)
{
    if (printer->boards)
        boards_poll(printer->boards, now);
    if (printer->engine)
        engine_poll(printer->engine, now);
    worker_calls_poll(&printer->disk);
    struct host_ns timers = printer_run_timers(printer, now);
    struct host_ns fibers = fiber_pool_run(printer->fibers, now);
    /* a fiber may have started a timer */
    struct list *list = &priv(printer)->timers;
    if (!list_is_empty(list))
        timers = CONTAINER_OF(list->next, struct printer_timer, node)->due;
    return host_ns_min(host_ns_min(timers, fibers), printer_publish(printer, now));
}

/* --- stopping --- */

static void run_shutdown_hooks(struct printer *printer)
{
    for (struct printer_object *obj = priv(printer)->first; obj; obj = obj->next)
        if (obj->desc->shutdown)
            obj->desc->shutdown(obj);
    printer_emit(printer, PRINTER_EVENT_SHUTDOWN, NULL);
}

static void vshutdown(struct printer *printer, const char *fmt, va_list args)
{
    struct printer_private *p = priv(printer);
    struct strbuf text;
    strbuf_init(&text);
    strbuf_vaddf(&text, fmt, args);
    char line[256];
    log_error(printer->services->log, "printer", p->state == PRINTER_SHUTDOWN ? "further fault" : "shutdown", "reason=\"%s\"",
              log_escape(text.data, line, sizeof line));
    if (printer->boards && p->state != PRINTER_SHUTDOWN)
        boards_emergency_stop(printer->boards, text.data);
    if (p->state == PRINTER_SHUTDOWN || p->state == PRINTER_ERROR) { /* the first reason stays */
        strbuf_deinit(&text);
        return;
    }
    bool was_connected = p->connected_count == p->object_count;
    if (printer->engine)
        engine_stop(printer->engine);
    strbuf_adds(&text, text.len_bytes && text.data[text.len_bytes - 1] == '\n' ? "" : "\n");
    strbuf_adds(&text, text_firmware);
    printer_set_state(printer, PRINTER_SHUTDOWN, strbuf_take(&text));
    if (was_connected)
        run_shutdown_hooks(printer);
    printer_cancel_scripts(printer);
}

void printer_shutdown(struct printer *printer, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vshutdown(printer, fmt, args);
    va_end(args);
}

void printer_emergency_stop(struct printer *printer, const char *who)
{
    printer_shutdown(printer, "Shutdown due to %s", who);
}

/* --- ending --- */

/* Brake at the commit horizon and forget the rest, which may take minutes. What was still on its way to the planner is
 * not part of the tail, so this is repeated until nothing moves any more. */
static void stop_motion(struct printer *printer)
{
    struct engine *engine = printer->engine;
    struct engine_status status;
    struct err_info info;
    do {
        (void)!engine_hold(engine, &info); /* held already, or homing (which ends as its script is cancelled) */
        while (engine_is_holding(engine) && fiber_sleep(HOLD_POLL_S) == OK)
            ;
        if (engine_is_held(engine))
            (void)!engine_drop_tail(engine, &info);
        if (fiber_sleep(HOLD_POLL_S) != OK)
            return;
        engine_get_status(engine, printer_now(printer), &status);
    } while (!status.is_idle);
}

/* Motion, motors and heaters off in order, as far as the boards still listen. */
static void close_boards(struct printer *printer)
{
    struct err_info info;
    stop_motion(printer);
    printer_emit(printer, PRINTER_EVENT_DISCONNECT, NULL);
    enum err err;
    while ((err = engine_motor_enable(printer->engine, NULL, false, ENGINE_SOURCE_NONE, &info)) == ERR_FULL)
        if (engine_wait_room(printer->engine) != OK)
            break;
    if (err == OK)
        (void)!engine_wait_executed(printer->engine, ENGINE_SOURCE_NONE, &info);
    (void)!boards_drain(printer->boards, DRAIN_S);
}

static void restart_boards(struct printer *printer)
{
    struct printer_private *p = priv(printer);
    struct err_info info;
    for (size_t i = 0; i < p->mcu_count; i++) {
        struct board *board = p->mcus[i].board;
        if (board && board_freq_hz(board) > 0 && board_firmware_restart(board, &info) != OK)
            log_warn(printer->services->log, "printer", "firmware restart failed", "board=%s reason=\"%s\"",
                     p->mcus[i].name, info.text);
    }
}

static void close_fiber(void *arg)
{
    struct printer *printer = arg;
    struct printer_private *p = priv(printer);
    printer_cancel_scripts(printer);
    gcode_set_ready(printer->gcode, false, "The printer is being restarted or closed");
    if (p->state == PRINTER_READY)
        close_boards(printer);
    printer_timer_stop(printer, &p->close_timer);
    if (fiber_is_cancelled(fiber_current())) { /* it took too long: let the boards at least finish their steps */
        fiber_clear_cancel(fiber_current());
        if (printer->engine)
            engine_stop(printer->engine);
        (void)!fiber_sleep(DRAIN_S);
    }
    if (p->closing_for == PRINTER_RESTART_FIRMWARE)
        restart_boards(printer);
    p->is_closed = true;
    p->wanted = p->closing_for;
    p->close_fiber = NULL;
    notify_changed(printer);
}

/* A stream that does not drain must not keep a printer from being replaced. */
static struct host_ns on_close_timeout(void *ctx, struct host_ns now)
{
    struct printer_private *p = ctx;
    (void)now;
    fiber_cancel(p->close_fiber);
    return HOST_NS_NEVER;
}

static void begin_close(struct printer *printer, enum printer_restart kind)
{
    struct printer_private *p = priv(printer);
    if (p->is_closing) { /* the stronger request wins: boards that a plain restart leaves alone may need the reset */
        if (!p->is_closed && kind == PRINTER_RESTART_FIRMWARE)
            p->closing_for = kind;
        return;
    }
    p->is_closing = true;
    p->closing_for = kind;
    p->close_fiber = fiber_spawn(printer->fibers, "close", close_fiber, printer);
    if (p->close_fiber) {
        p->close_timer.fn = on_close_timeout;
        p->close_timer.ctx = p;
        printer_timer_start(printer, &p->close_timer, host_ns_add_s(printer_now(printer), CLOSE_TIMEOUT_S));
        return;
    }
    p->is_closed = true; /* no stack left for an orderly end: printer_destroy stops the boards */
    p->wanted = kind;
    notify_changed(printer);
}

void printer_request_restart(struct printer *printer, enum printer_restart kind)
{
    begin_close(printer, kind);
    actor_notify(printer->services->machine);
}

enum printer_restart printer_wants_restart(const struct printer *printer)
{
    return priv(printer)->wanted;
}

void printer_begin_close(struct printer *printer)
{
    begin_close(printer, PRINTER_RESTART_NONE);
    actor_notify(printer->services->machine);
}

bool printer_is_closed(const struct printer *printer)
{
    return priv(printer)->is_closed;
}

static void end_fibers(struct printer *printer)
{
    for (unsigned round = 0; fiber_pool_alive(printer->fibers); round++) {
        CHECK(round < END_ROUNDS_MAX);
        fiber_pool_cancel_all(printer->fibers);
        (void)fiber_pool_run(printer->fibers, printer_now(printer));
    }
}

void printer_destroy(struct printer *printer)
{
    if (!printer)
        return;
    struct printer_private *p = priv(printer);
    p->is_ending = true;
    if (!p->is_closed && printer->boards)
        boards_emergency_stop(printer->boards, "the printer was ended");
    if (printer->engine)
        engine_stop(printer->engine);
    end_fibers(printer);
    printer_destroy_objects(printer);
    engine_destroy(printer->engine);
    boards_destroy(printer->boards);
    printer_free_subscriptions(printer);
    gcode_destroy(printer->gcode);
    pins_destroy(printer->pins);
    config_destroy(printer->config);
    worker_calls_deinit(&printer->disk);
    fiber_pool_destroy(printer->fibers);
    strmap_deinit(&p->objects);
    strmap_deinit(&p->loading);
    strmap_deinit(&p->commands);
    mem_free(p->message);
    mem_free(p);
}
