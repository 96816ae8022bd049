/* [delayed_gcode NAME]: G-code that runs some time after the start, or after UPDATE_DELAYED_GCODE. */
#include "base/mem.h"
#include "base/strbuf.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/job/objects.h"
#include "server/job/template.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"

#define RETRY_S 0.1 /* all fibers are in use: again a little later */

struct delayed_gcode {
    struct printer_object obj;
    struct template *body;
    double initial_s;
    bool is_running; /* its script waits or runs */
    double repeat_s; /* asked for by the script that runs; 0: no */
    struct printer_timer timer;
};

static struct delayed_gcode *delayed_of(void *obj)
{
    return obj;
}

static void start_in(struct delayed_gcode *d, double delay_s)
{
    struct printer *printer = d->obj.printer;
    printer_timer_start(printer, &d->timer, host_ns_add_s(printer_now(printer), delay_s));
}

static void script_done(void *ctx, enum err result, const char *text)
{
    (void)result; /* has been printed to the console */
    (void)text;
    struct delayed_gcode *d = ctx;
    d->is_running = false;
    if (d->repeat_s > 0)
        start_in(d, d->repeat_s);
}

static struct host_ns due(void *ctx, struct host_ns now)
{
    struct delayed_gcode *d = ctx;
    struct printer *printer = d->obj.printer;
    struct template_context context = {.printer = printer};
    struct strbuf script;
    struct err_info info = {{0}};
    strbuf_init(&script);
    d->repeat_s = 0;
    enum err err = template_render(d->body, &context, &script, &info);
    if (err) {
        gcode_respond_error(printer->gcode, info.text);
    } else {
        d->is_running = true;
        err = printer_run_script(printer, script.data, script_done, d);
        if (err)
            d->is_running = false;
    }
    strbuf_deinit(&script);
    return err == ERR_FULL ? host_ns_add_s(now, RETRY_S) : HOST_NS_NEVER;
}

static enum err update(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct delayed_gcode *d = ctx;
    double duration_s;
    enum err err = gcode_get_double_in(cmd, "DURATION", GCODE_MIN(0), &duration_s, info);
    if (err)
        return err;
    if (d->is_running) {
        d->repeat_s = duration_s;
    } else if (duration_s > 0) {
        start_in(d, duration_s);
    } else {
        printer_timer_stop(d->obj.printer, &d->timer);
    }
    return OK;
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct delayed_gcode *d = delayed_of(obj);
    d->timer.fn = due;
    d->timer.ctx = d;
    d->initial_s = section_float(section, "initial_duration");
    (void)info;
    d->body = template_read(section, "gcode");
    return OK;
}

static void ready(struct printer_object *obj)
{
    struct delayed_gcode *d = delayed_of(obj);
    if (d->initial_s > 0 && !d->timer.is_active)
        start_in(d, d->initial_s);
}

static void stop(struct printer_object *obj)
{
    printer_timer_stop(obj->printer, &delayed_of(obj)->timer);
}

static void destroy(struct printer_object *obj)
{
    stop(obj);
    template_destroy(delayed_of(obj)->body);
}

static const struct option_desc options[] = {
    {.name = "gcode", .type = OPTION_TEMPLATE, .flags = OPTION_REQUIRED, .help = "The commands to run."},
    {.name = "initial_duration",
     .type = OPTION_FLOAT,
     .unit = "s",
     .default_text = "0.0",
     .limits = ">=0.0",
     .help = "Delay after the printer has become ready; 0 waits for UPDATE_DELAYED_GCODE."},
};

static const struct command_param params[] = {
    {"ID", "str", "required", NULL},
    {"DURATION", "float", "required", ">=0"},
    {NULL, NULL, NULL, NULL},
};

static const struct command_desc commands[] = {
    {.name = "UPDATE_DELAYED_GCODE",
     .mux_key = "ID",
     .params = params,
     .help = "Set when a delayed_gcode runs, 0: not at all",
     .handler = update},
};

const struct object_desc delayed_gcode_desc = {
    .section = "delayed_gcode",
    .flags = OBJECT_NAMED,
    .help = "G-code that runs after a delay.",
    .size_bytes = sizeof(struct delayed_gcode),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    .create = create,
    .ready = ready,
    .shutdown = stop,
    .destroy = destroy,
};
