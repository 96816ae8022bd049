#include "server/job/runout.h"

#include "base/mem.h"
#include "base/strbuf.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/job/idle_timeout.h"
#include "server/job/pause_resume.h"
#include "server/job/template.h"
#include "server/machine/status.h"

#define QUIET_AT_START_S 2.0 /* the first reports of a sensor start nothing */

/* --- events --- */

static void script_done(void *ctx, enum err result, const char *text)
{
    struct runout *r = ctx;
    (void)result; /* has been printed to the console */
    (void)text;
    r->is_busy = false;
    r->quiet_until = host_ns_add_s(printer_now(r->obj->printer), r->event_delay_s);
}

static void run(struct runout *r, const char *before, struct template *body)
{
    struct printer *printer = r->obj->printer;
    struct template_context context = {.printer = printer};
    struct err_info info = {""};
    struct strbuf script;
    strbuf_init(&script);
    strbuf_adds(&script, before);
    enum err err = body ? template_render(body, &context, &script, &info) : OK;
    if (err && *before) { /* the pause matters more than what was to follow */
        gcode_respond_error(printer->gcode, info.text);
        strbuf_clear(&script);
        strbuf_adds(&script, before);
        err = OK;
    }
    strbuf_adds(&script, "\nM400");
    if (!err) {
        err = printer_run_script(printer, script.data, script_done, r);
        if (err)
            (void)err_set(&info, err, "%s: too many scripts run at once", r->obj->name);
    }
    if (err) {
        gcode_respond_error(printer->gcode, info.text);
        script_done(r, err, NULL);
    }
    strbuf_deinit(&script);
}

static struct host_ns on_runout_due(void *ctx, struct host_ns now)
{
    struct runout *r = ctx;
    (void)now;
    run(r, r->is_pausing ? "PAUSE\n" : "", r->runout_gcode);
    return HOST_NS_NEVER;
}

static void begin_runout(struct runout *r)
{
    struct printer *printer = r->obj->printer;
    r->is_busy = true;
    printer_respond_info(printer, "Filament Sensor %s: runout event detected", r->obj->id);
    if (!r->is_pausing) {
        run(r, "", r->runout_gcode);
        return;
    }
    /* The file stops at once; what is still on its way to the boards gets a moment before PAUSE runs. */
    pause_resume_send_pause(printer);
    printer_timer_start(printer, &r->timer, host_ns_add_s(printer_now(printer), r->pause_delay_s));
}

void runout_note(struct runout *r, bool is_present)
{
    struct printer *printer = r->obj->printer;
    if (is_present == r->is_present)
        return;
    r->is_present = is_present;
    printer_status_touch(r->obj);
    if (r->is_busy || !r->is_enabled || printer_state(printer) != PRINTER_READY ||
        printer_now(printer).ns < r->quiet_until.ns)
        return;
    bool is_printing = idle_timeout_is_printing(printer);
    if (is_present && !is_printing && r->insert_gcode) {
        r->is_busy = true;
        printer_respond_info(printer, "Filament Sensor %s: insert event detected", r->obj->id);
        run(r, "", r->insert_gcode);
    } else if (!is_present && is_printing && (r->is_pausing || r->runout_gcode)) {
        begin_runout(r);
    }
}

/* --- commands --- */

static enum err cmd_query(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    const struct runout *r = ctx;
    (void)info;
    gcode_respond_info(gcode_of(cmd), "Filament Sensor %s: filament %s", r->obj->id,
                       r->is_present ? "detected" : "not detected");
    return OK;
}

static enum err cmd_set(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct runout *r = ctx;
    long enable = 1;
    enum err err = gcode_opt_int(cmd, "ENABLE", GCODE_ANY, &enable, info);
    if (err)
        return err;
    r->is_enabled = enable != 0;
    printer_status_touch(r->obj);
    return OK;
}

static const struct command_param set_params[] = {{"ENABLE", "int", "1", NULL}, {0}};
const struct command_desc runout_commands[RUNOUT_COMMAND_COUNT] = {
    {.name = "QUERY_FILAMENT_SENSOR",
     .mux_key = "SENSOR",
     .help = "Report whether a filament sensor sees filament",
     .handler = cmd_query},
    {.name = "SET_FILAMENT_SENSOR",
     .mux_key = "SENSOR",
     .params = set_params,
     .help = "Switch a filament sensor on or off",
     .handler = cmd_set},
};

/* --- life --- */

/* NULL if there is nothing to run. What is not asked for (`is_asked`) is no setting either. */
static struct template *compile(struct config_section *section, const char *option, bool is_asked)
{
    if (section_find(section, option))
        return template_read(section, option);
    if (is_asked)
        (void)section_string(section, option);
    return NULL;
}

void runout_setup(struct runout *r, struct printer_object *obj, struct config_section *section)
{
    *r = (struct runout){.obj = obj, .is_enabled = true, .quiet_until = HOST_NS_NEVER};
    r->timer.fn = on_runout_due;
    r->timer.ctx = r;
    r->is_pausing = section_bool(section, "pause_on_runout");
    if (r->is_pausing)
        (void)printer_load_object(obj->printer, "pause_resume", section);
    r->runout_gcode = compile(section, "runout_gcode", r->is_pausing);
    r->insert_gcode = compile(section, "insert_gcode", false);
    r->pause_delay_s = section_float(section, "pause_delay");
    r->event_delay_s = section_float(section, "event_delay");
}

void runout_ready(struct runout *r)
{
    r->quiet_until = host_ns_add_s(printer_now(r->obj->printer), QUIET_AT_START_S);
}

void runout_stop(struct runout *r)
{
    printer_timer_stop(r->obj->printer, &r->timer);
}

void runout_deinit(struct runout *r)
{
    runout_stop(r);
    template_destroy(r->runout_gcode);
    template_destroy(r->insert_gcode);
}

void runout_write_status(const struct runout *r, struct status_writer *writer)
{
    status_bool(writer, "filament_detected", r->is_present);
    status_bool(writer, "enabled", r->is_enabled);
}
