/* idle_timeout: Printing while motion is queued, Ready half a second after it has ended, Idle when nothing has moved
 * for the timeout; then a script runs, which by default switches heaters and motors off. */
#include "server/job/idle_timeout.h"

#include "base/check.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "motion/engine.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/heat/heater.h"
#include "server/job/objects.h"
#include "server/job/template.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/toolhead/toolhead.h"

#include <string.h>

#define READY_AFTER_S 0.5 /* of rest */
#define REST_MIN_S    1.0 /* less than this behind the last move does not count as idle time */
#define RETRY_S       1.0 /* a script runs, or the idle script failed: look again */
#define GCODE_TEXT    "\n{% if 'heaters' in printer %}\n   TURN_OFF_HEATERS\n{% endif %}\nM84\n"
#define GCODE_PLAIN   "TURN_OFF_HEATERS\nM84\n" /* what it comes to */

enum idle_state { STATE_IDLE, STATE_PRINTING, STATE_READY };

struct idle_timeout {
    struct printer_object obj;
    enum idle_state state;
    double configured_s, timeout_s;
    double printing_since_s;
    struct template *script;
    bool is_script_running;
    struct printer_timer timer;
    idle_timeout_keep_fn *keep;
    void *keep_ctx;
};

static struct idle_timeout *idle_of(void *obj)
{
    return obj;
}

static struct idle_timeout *find(struct printer *printer)
{
    struct printer_object *obj = printer_load_object(printer, "idle_timeout", NULL);
    CHECK(obj != NULL);
    return idle_of(obj);
}

bool idle_timeout_is_printing(struct printer *printer)
{
    return find(printer)->state == STATE_PRINTING;
}

double idle_timeout_get(struct printer *printer)
{
    return find(printer)->timeout_s;
}

double idle_timeout_configured(struct printer *printer)
{
    return find(printer)->configured_s;
}

void idle_timeout_set_keep(struct printer *printer, idle_timeout_keep_fn *keep, void *ctx)
{
    struct idle_timeout *idle = find(printer);
    idle->keep = keep;
    idle->keep_ctx = ctx;
}

void idle_timeout_set(struct printer *printer, double timeout_s)
{
    struct idle_timeout *idle = find(printer);
    idle->timeout_s = timeout_s;
    if (idle->state == STATE_READY)
        printer_timer_start(printer, &idle->timer, host_ns_add_s(printer_now(printer), timeout_s));
    printer_status_touch(&idle->obj);
}

static void enter(struct idle_timeout *idle, enum idle_state state, const char *event)
{
    idle->state = state;
    printer_status_touch(&idle->obj);
    printer_emit(idle->obj.printer, event, NULL);
}

/* --- falling idle --- */

static enum err run_script(struct idle_timeout *idle, struct err_info *info)
{
    struct printer *printer = idle->obj.printer;
    if (idle->keep && idle->keep(idle->keep_ctx)) {
        heaters_turn_off_all(printer);
        gcode_respond_info(printer->gcode,
                           "Idle timeout: a job is paused, so the motors stay on; heaters were switched off");
        return OK;
    }
    struct template_context context = {.printer = printer};
    enum err err = template_run(idle->script, &context, info);
    if (err == OK || err == ERR_CANCELLED)
        return err;
    /* A script that fails must not leave heaters and motors on. */
    gcode_respond_error(printer->gcode, info->text);
    return gcode_run_script(printer->gcode, GCODE_PLAIN, strlen(GCODE_PLAIN), info);
}

static void fall_idle(void *arg)
{
    struct idle_timeout *idle = arg;
    struct printer *printer = idle->obj.printer;
    struct err_info info; /* failures have been printed */
    enum err err = run_script(idle, &info);
    if (!err) /* the motors' last dwell is motion too: it must not wake us up again */
        err = toolhead_wait_moves(printer_toolhead(printer), &info);
    idle->is_script_running = false;
    if (printer_is_shutdown(printer) || fiber_is_cancelled(fiber_current()))
        return;
    if (err) {
        idle->state = STATE_READY;
        printer_timer_start(printer, &idle->timer, host_ns_add_s(printer_now(printer), RETRY_S));
        return;
    }
    enter(idle, STATE_IDLE, IDLE_TIMEOUT_EVENT_IDLE);
}

static struct host_ns start_script(struct idle_timeout *idle, struct host_ns now)
{
    idle->state = STATE_PRINTING; /* as long as it runs */
    idle->is_script_running = true;
    if (fiber_spawn(idle->obj.printer->fibers, "idle", fall_idle, idle))
        return HOST_NS_NEVER;
    idle->is_script_running = false;
    idle->state = STATE_READY;
    return host_ns_add_s(now, RETRY_S);
}

static struct host_ns check_ready(struct idle_timeout *idle, const struct engine_status *motion, struct host_ns now)
{
    double rest_s = motion->est_print_time.s - motion->print_time.s;
    if (!motion->is_empty || rest_s < REST_MIN_S)
        return host_ns_add_s(now, idle->timeout_s);
    if (rest_s < idle->timeout_s)
        return host_ns_add_s(now, idle->timeout_s - rest_s);
    if (gcode_is_busy(idle->obj.printer->gcode))
        return host_ns_add_s(now, RETRY_S);
    return start_script(idle, now);
}

static struct host_ns check_printing(struct idle_timeout *idle, const struct engine_status *motion, struct host_ns now)
{
    double ahead_s = motion->print_time.s - motion->est_print_time.s;
    if (ahead_s > 2.0)
        ahead_s = 2.0;
    if (!motion->is_empty)
        return host_ns_add_s(now, READY_AFTER_S + (ahead_s > 0 ? ahead_s : 0));
    if (ahead_s > -READY_AFTER_S)
        return host_ns_add_s(now, READY_AFTER_S + ahead_s);
    if (gcode_is_busy(idle->obj.printer->gcode))
        return host_ns_add_s(now, READY_AFTER_S);
    enter(idle, STATE_READY, IDLE_TIMEOUT_EVENT_READY);
    return host_ns_add_s(now, idle->timeout_s);
}

static struct host_ns on_timer(void *ctx, struct host_ns now)
{
    struct idle_timeout *idle = ctx;
    struct printer *printer = idle->obj.printer;
    if (printer_is_shutdown(printer) || idle->is_script_running || idle->state == STATE_IDLE)
        return HOST_NS_NEVER;
    struct engine_status motion;
    engine_get_status(printer->engine, now, &motion);
    return idle->state == STATE_READY ? check_ready(idle, &motion, now) : check_printing(idle, &motion, now);
}

/* Motion begins. */
static void on_sync(void *ctx, const char *event, void *data)
{
    (void)event;
    (void)data;
    struct idle_timeout *idle = ctx;
    struct printer *printer = idle->obj.printer;
    if (idle->state == STATE_PRINTING)
        return;
    idle->printing_since_s = printer_now_s(printer);
    printer_timer_start(printer, &idle->timer, host_ns_add_s(printer_now(printer), READY_AFTER_S));
    enter(idle, STATE_PRINTING, IDLE_TIMEOUT_EVENT_PRINTING);
}

static enum err cmd_set(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct idle_timeout *idle = ctx;
    double timeout_s = idle->configured_s;
    enum err err = gcode_opt_double(cmd, "TIMEOUT", GCODE_ABOVE(0), &timeout_s, info);
    if (err)
        return err;
    idle_timeout_set(idle->obj.printer, timeout_s);
    gcode_respond_info(gcode_of(cmd), "idle_timeout: Timeout set to %.2f s", timeout_s);
    return OK;
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct idle_timeout *idle = idle_of(obj);
    (void)info;
    idle->configured_s = idle->timeout_s = section_float(section, "timeout");
    idle->timer.fn = on_timer;
    idle->timer.ctx = idle;
    idle->script = template_read(section, "gcode");
    printer_subscribe(obj->printer, TOOLHEAD_EVENT_SYNC_PRINT_TIME, on_sync, idle);
    return OK;
}

static void stop(struct printer_object *obj)
{
    printer_timer_stop(obj->printer, &idle_of(obj)->timer);
}

static void destroy(struct printer_object *obj)
{
    stop(obj);
    template_destroy(idle_of(obj)->script);
}

static void status(struct printer_object *obj, struct status_writer *writer)
{
    static const char *const names[] = {"Idle", "Printing", "Ready"};
    struct idle_timeout *idle = idle_of(obj);
    bool is_printing = idle->state == STATE_PRINTING;
    status_string(writer, "state", names[idle->state]);
    status_float(writer, "printing_time", is_printing ? printer_now_s(obj->printer) - idle->printing_since_s : 0.0);
    status_float(writer, "idle_timeout", idle->timeout_s);
}

static const struct option_desc options[] = {
    {.name = "timeout",
     .type = OPTION_FLOAT,
     .unit = "s",
     .default_text = "600.0",
     .limits = ">0.0",
     .help = "Time without motion after which the printer is idle."},
    {.name = "gcode", .type = OPTION_TEMPLATE, .default_text = GCODE_TEXT, .help = "What to run then."},
};

static const struct command_param set_params[] = {
    {"TIMEOUT", "float", "that of the configuration", ">0"},
    {NULL, NULL, NULL, NULL},
};

static const struct command_desc commands[] = {
    {.name = "SET_IDLE_TIMEOUT", .params = set_params, .help = "Set the idle timeout in seconds", .handler = cmd_set},
};

static const struct status_field_desc fields[] = {
    {"state", "str", "Idle, Printing or Ready"},
    {"printing_time", "float", "seconds in state Printing, else 0"},
    {"idle_timeout", "float", "seconds without motion until Idle"},
};

static const struct event_desc events[] = {
    {IDLE_TIMEOUT_EVENT_PRINTING, "motion has begun"},
    {IDLE_TIMEOUT_EVENT_READY, "motion has ended, no script runs"},
    {IDLE_TIMEOUT_EVENT_IDLE, "nothing has moved for the timeout and the idle script has run"},
};

const struct object_desc idle_timeout_desc = {
    .section = "idle_timeout",
    .flags = OBJECT_ALWAYS | OBJECT_EXACT,
    .help = "Switches heaters and motors off when nothing has moved for long.",
    .size_bytes = sizeof(struct idle_timeout),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    OBJECT_EVENTS(events),
    .create = create,
    .shutdown = stop,
    .destroy = destroy,
    .status = status,
};
