/* Timers, events, console and scripts of the printer. */
#include "server/machine/printer_private.h"

#include "base/check.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "server/gcode/gcode.h"

#include <string.h>

/* --- timers --- */

void printer_timer_start(struct printer *printer, struct printer_timer *timer, struct host_ns due)
{
    CHECK(timer->fn);
    printer_timer_stop(printer, timer);
    timer->due = due;
    timer->is_active = true;
    struct list *timers = &priv(printer)->timers, *at = timers->next;
    while (at != timers && !host_ns_before(due, CONTAINER_OF(at, struct printer_timer, node)->due))
        at = at->next;
    list_insert_before(at, &timer->node);
    actor_notify(printer->services->machine);
}

void printer_timer_stop(struct printer *printer, struct printer_timer *timer)
{
    (void)printer;
    if (timer->is_active)
        list_remove(&timer->node);
    timer->is_active = false;
}

struct host_ns printer_run_timers(struct printer *printer, struct host_ns now)
{
    struct list *timers = &priv(printer)->timers;
    while (!list_is_empty(timers)) {
        struct printer_timer *timer = CONTAINER_OF(timers->next, struct printer_timer, node);
        if (host_ns_before(now, timer->due))
            return timer->due;
        printer_timer_stop(printer, timer);
        struct host_ns next = timer->fn(timer->ctx, now);
        if (next.ns == HOST_NS_NEVER.ns || timer->is_active)
            continue; /* ended, or started anew by its own function */
        if (!host_ns_before(now, next))
            next.ns = now.ns + 1; /* a timer that is late must not starve the rest */
        printer_timer_start(printer, timer, next);
    }
    return HOST_NS_NEVER;
}

/* --- events --- */

void printer_subscribe(struct printer *printer, const char *event, printer_event_fn *fn, void *ctx)
{
    struct subscription *sub = MEM_NEW(struct subscription);
    sub->event = event;
    sub->fn = fn;
    sub->ctx = ctx;
    list_append(&priv(printer)->subscriptions, &sub->node);
}

void printer_emit(struct printer *printer, const char *event, void *data)
{
    LIST_FOREACH(node, &priv(printer)->subscriptions)
    {
        struct subscription *sub = CONTAINER_OF(node, struct subscription, node);
        if (!strcmp(sub->event, event))
            sub->fn(sub->ctx, event, data);
    }
}

void printer_free_subscriptions(struct printer *printer)
{
    LIST_FOREACH_SAFE(node, tmp, &priv(printer)->subscriptions)
    {
        list_remove(node);
        mem_free(CONTAINER_OF(node, struct subscription, node));
    }
}

/* --- console --- */

void printer_console(struct printer *printer, const char *line)
{
    gcode_respond_raw(printer->gcode, line);
}

void printer_respond_info(struct printer *printer, const char *fmt, ...)
{
    struct strbuf text;
    strbuf_init(&text);
    va_list args;
    va_start(args, fmt);
    strbuf_vaddf(&text, fmt, args);
    va_end(args);
    gcode_respond_info(printer->gcode, "%s", text.data);
    strbuf_deinit(&text);
}

/* --- scripts --- */

static void run_script(void *arg)
{
    struct script_run *run = arg;
    struct err_info info = {""};
    enum err result = gcode_run_script(run->printer->gcode, run->script, strlen(run->script), &info);
    if (result != OK && !info.text[0])
        (void)err_set(&info, result, "%s",
                      result == ERR_CANCELLED && printer_is_shutdown(run->printer) ? printer_state_message(run->printer)
                                                                                    : err_name(result));
    list_remove(&run->node);
    if (run->done)
        run->done(run->ctx, result, info.text);
    mem_free(run->script);
    mem_free(run);
}

enum err printer_run_script(struct printer *printer, const char *script, printer_script_fn *done, void *ctx)
{
    struct printer_private *p = priv(printer);
    if (p->is_ending || p->is_closing)
        return ERR_STATE;
    struct script_run *run = MEM_NEW(struct script_run);
    run->printer = printer;
    run->script = mem_strdup(script);
    run->done = done;
    run->ctx = ctx;
    run->fiber = fiber_spawn(printer->fibers, "script", run_script, run);
    if (!run->fiber) {
        mem_free(run->script);
        mem_free(run);
        return ERR_FULL;
    }
    list_append(&p->scripts, &run->node);
    actor_notify(printer->services->machine);
    return OK;
}

void printer_cancel_scripts(struct printer *printer)
{
    LIST_FOREACH(node, &priv(printer)->scripts)
    {
        struct script_run *run = CONTAINER_OF(node, struct script_run, node);
        fiber_cancel(run->fiber);
    }
}
