/* From a good configuration to a printer that is ready: boards connect, objects add their configuration, boards are
 * configured, the engine starts. One fiber does it top to bottom; whatever fails ends in the error state. */
#include "server/machine/printer_private.h"

#include "base/fiber.h"
#include "base/log.h"
#include "base/mem.h"
#include "motion/board.h"
#include "motion/engine.h"
#include "server/config/config.h"
#include "server/machine/pins.h"

#include <string.h>

static const char text_connect[] = "Correct the cause, then use \"FIRMWARE_RESTART\" to reset the firmware, load the\n"
                                   "configuration again and connect anew.\nThe printer could not be started\n";

struct printer_mcu *printer_add_mcu(struct printer *printer, const char *name, struct config_section *section)
{
    struct printer_private *p = priv(printer);
    if (p->mcu_count >= PRINTER_BOARDS_MAX) {
        config_error_section(section, "Too many [mcu] sections (allowed: %d)", PRINTER_BOARDS_MAX);
        return NULL;
    }
    size_t at = p->mcu_count++;
    if (!strcmp(name, "mcu")) { /* the main board is the first */
        memmove(p->mcus + 1, p->mcus, at * sizeof p->mcus[0]);
        at = 0;
    }
    p->mcus[at] = (struct printer_mcu){.name = name, .section = section};
    return &p->mcus[at];
}

struct board *printer_board(const struct printer *printer, const char *name)
{
    const struct printer_private *p = priv(printer);
    for (size_t i = 0; i < p->mcu_count; i++)
        if (!strcmp(p->mcus[i].name, name))
            return p->mcus[i].board;
    return NULL;
}

struct board *printer_board_at(const struct printer *printer, size_t index)
{
    const struct printer_private *p = priv(printer);
    return index < p->mcu_count ? p->mcus[index].board : NULL;
}

/* --- faults of boards --- */

static void on_board_event(void *ctx, const struct board_event *event)
{
    struct printer *printer = ctx;
    struct printer_private *p = priv(printer);
    if (p->is_closing || p->is_ending)
        return; /* on purpose */
    double silent_s = host_ns_diff_s(printer_now(printer), event->when);
    if (event->kind == BOARD_EVENT_LOST)
        printer_shutdown(printer, "%s\nThe board has been silent for %.1f s, since %.1f s after the host's clock began.",
                         event->text, silent_s, (double)event->when.ns * 1e-9);
    else
        printer_shutdown(printer, "%s\nThis happened %.1f s after the host's clock began.", event->text,
                         (double)event->when.ns * 1e-9);
}

/* The engine has stopped itself: motors must not stay on, nor heaters that a job no longer looks after. */
static void on_engine_event(void *ctx, const struct engine_event *event)
{
    struct printer *printer = ctx;
    if (event->kind == ENGINE_EVENT_FAULT)
        printer_shutdown(printer, "%s", engine_fault_text(printer->engine));
}

static const char *current_command(void *ctx)
{
    return gcode_current_line(((struct printer *)ctx)->gcode);
}

/* --- the steps of starting --- */

static enum err add_boards(struct printer *printer, struct err_info *info)
{
    struct printer_private *p = priv(printer);
    const struct printer_services *services = printer->services;
    struct boards_options options = {.runtime = services->runtime,
                                     .log = services->log,
                                     .machine = services->machine,
                                     .fifo_priority = services->link_priority};
    printer->boards = boards_create(&options);
    board_on_event(printer->boards, NULL, on_board_event, printer);
    for (size_t i = 0; i < p->mcu_count; i++) {
        struct board_options board = {.name = p->mcus[i].name};
        printer_default_board_options(&p->mcus[i], &board);
        enum err err = services->board_options
                           ? services->board_options(services->ctx, printer, p->mcus[i].section, &board, info)
                           : OK;
        if (err == OK)
            err = board_add(printer->boards, &board, &p->mcus[i].board, info);
        if (err != OK)
            return err;
    }
    struct engine_config engine = {.mode = services->is_batch ? ENGINE_BATCH : ENGINE_LIVE,
                                   .runtime = services->runtime,
                                   .boards = printer->boards,
                                   .log = services->log,
                                   .machine = services->machine,
                                   .command = current_command,
                                   .command_ctx = printer,
                                   .threads = services->batch_threads,
                                   .check_every = services->checks_all_steps ? 1 : 0,
                                   .horizon_s = services->horizon_s,
                                   .fifo_priority = services->motion_priority};
    printer->engine = engine_create(&engine);
    engine_listen(printer->engine, on_engine_event, printer);
    return OK;
}

static bool has_pin(void *ctx, const char *name)
{
    int32_t value;
    return board_enum_value(ctx, "pin", name, &value);
}

static enum err connect_boards(struct printer *printer, struct err_info *info)
{
    struct printer_private *p = priv(printer);
    for (size_t i = 0; i < p->mcu_count; i++) {
        enum err err = board_connect(p->mcus[i].board, info);
        if (err != OK)
            return err;
        pins_check_names(printer->pins, p->mcus[i].name, has_pin, p->mcus[i].board);
    }
    if (!config_error_count(printer->config))
        return OK;
    char *text = config_error_text(printer->config);
    enum err err = err_set(info, ERR_INVALID, "%s", text);
    mem_free(text);
    return err;
}

static enum err connect_objects(struct printer *printer, struct err_info *info)
{
    struct printer_private *p = priv(printer);
    for (struct printer_object *obj = p->first; obj; obj = obj->next) {
        enum err err = obj->desc->connect ? obj->desc->connect(obj, info) : OK;
        if (err != OK)
            return err;
        p->connected_count++;
    }
    printer_emit(printer, PRINTER_EVENT_CONNECT, NULL);
    return OK;
}

static enum err configure_boards(struct printer *printer, struct err_info *info)
{
    struct printer_private *p = priv(printer);
    for (size_t i = 0; i < p->mcu_count; i++) {
        bool may_restart = printer->start_reason != PRINTER_RESTART_FIRMWARE;
        enum err err = board_configure(p->mcus[i].board, may_restart, info);
        if (err != OK)
            return err;
    }
    return engine_start(printer->engine, info);
}

static void become_ready(struct printer *printer)
{
    struct printer_private *p = priv(printer);
    p->startup_s = host_ns_diff_s(printer_now(printer), p->created);
    log_info(printer->services->log, "printer", "ready", "startup_s=%.3f objects=%zu boards=%zu", p->startup_s,
             p->object_count, p->mcu_count);
    printer_set_state(printer, PRINTER_READY, mem_strdup("Printer is ready"));
    for (struct printer_object *obj = p->first; obj; obj = obj->next)
        if (obj->desc->ready && p->state == PRINTER_READY)
            obj->desc->ready(obj);
    if (p->state == PRINTER_READY)
        printer_emit(printer, PRINTER_EVENT_READY, NULL);
}

static void start_fiber(void *arg)
{
    struct printer *printer = arg;
    struct printer_private *p = priv(printer);
    struct err_info info = {""};
    enum err err = add_boards(printer, &info);
    if (err == OK)
        err = connect_boards(printer, &info);
    if (err == OK)
        err = connect_objects(printer, &info);
    if (err == OK)
        err = configure_boards(printer, &info);
    if (p->state != PRINTER_STARTUP || p->is_ending || p->is_closing)
        return; /* a board has failed meanwhile and the state says so, or nobody waits for this printer any more */
    if (err == OK) {
        become_ready(printer);
        return;
    }
    log_error(printer->services->log, "printer", "start failed", "error=%s", err_name(err));
    printer_set_state(printer, PRINTER_ERROR, mem_sprintf("%s\n%s", info.text[0] ? info.text : err_name(err), text_connect));
}

void printer_start(struct printer *printer)
{
    (void)fiber_spawn(printer->fibers, "start", start_fiber, printer); /* the first fiber of a new pool: never NULL */
    actor_notify(printer->services->machine);
}
