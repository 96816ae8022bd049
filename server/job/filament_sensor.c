/* [filament_switch_sensor NAME]: a switch that filament presses. [filament_motion_sensor NAME]: a wheel that filament
 * turns, whose signal changes each few millimetres; filament counts as gone when the extruder has moved further than
 * detection_length without a change. */
#include "server/config/config.h"
#include "server/job/idle_timeout.h"
#include "server/job/objects.h"
#include "server/job/runout.h"
#include "server/machine/buttons.h"
#include "server/toolhead/extruder.h"
#include "server/toolhead/toolhead.h"

#include "motion/engine.h"

#include <string.h>

#define CHECK_PERIOD_S 0.25

struct filament_sensor {
    struct printer_object obj;
    struct runout runout;
    struct button button;
    /* motion sensor */
    const char *extruder; /* name */
    double detection_mm;
    double runout_at_mm;  /* the extruder's position at which filament counts as gone */
    double extruder_mm;   /* its position when last looked at */
    struct printer_timer timer;
};

static struct filament_sensor *sensor_of(void *obj)
{
    return obj;
}

static enum err connect_sensor(struct printer_object *obj, struct err_info *info)
{
    return button_connect(&sensor_of(obj)->button, info);
}

static void ready(struct printer_object *obj)
{
    runout_ready(&sensor_of(obj)->runout);
}

static void stop(struct printer_object *obj)
{
    runout_stop(&sensor_of(obj)->runout);
    printer_timer_stop(obj->printer, &sensor_of(obj)->timer);
}

static void destroy(struct printer_object *obj)
{
    struct filament_sensor *s = sensor_of(obj);
    printer_timer_stop(obj->printer, &s->timer);
    button_stop(&s->button);
    runout_deinit(&s->runout);
}

static void status(struct printer_object *obj, struct status_writer *writer)
{
    runout_write_status(&sensor_of(obj)->runout, writer);
}

static void *command_ctx(struct printer_object *obj)
{
    return &sensor_of(obj)->runout;
}

static const struct status_field_desc fields[] = {RUNOUT_FIELDS};

/* --- the switch --- */

static void on_switch(void *ctx, bool is_pressed)
{
    runout_note(&sensor_of(ctx)->runout, is_pressed);
}

static enum err create_switch(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct filament_sensor *s = sensor_of(obj);
    (void)info;
    button_claim(&s->button, obj->printer, section, "switch_pin", on_switch, s);
    s->button.debounce_s = section_float(section, "debounce_delay");
    runout_setup(&s->runout, obj, section);
    return OK;
}

static const struct option_desc switch_options[] = {
    {.name = "switch_pin", .type = OPTION_PIN, .flags = OPTION_REQUIRED, .help = "Pin of the switch."},
    {.name = "debounce_delay", .type = OPTION_FLOAT, .unit = "s", .default_text = "0.0", .limits = ">=0.0",
     .help = "How long a change must last."},
    RUNOUT_OPTIONS,
};

const struct object_desc filament_switch_sensor_desc = {
    .section = "filament_switch_sensor",
    .flags = OBJECT_NAMED,
    .help = "A switch that tells whether there is filament.",
    .size_bytes = sizeof(struct filament_sensor),
    OBJECT_OPTIONS(switch_options),
    .commands = runout_commands,
    .command_count = RUNOUT_COMMAND_COUNT,
    OBJECT_FIELDS(fields),
    .create = create_switch,
    .connect = connect_sensor,
    .ready = ready,
    .shutdown = stop,
    .destroy = destroy,
    .status = status,
    .command_ctx = command_ctx,
};

/* --- the wheel --- */

/* Where the extruder is now [mm]; while another one is active, where it was. */
static double extruder_position(struct filament_sensor *s)
{
    struct printer *printer = s->obj.printer;
    if (!strcmp(toolhead_extruder(printer_toolhead(printer)), s->extruder)) {
        struct engine_status motion;
        engine_get_status(printer->engine, printer_now(printer), &motion);
        s->extruder_mm = motion.live_pos[3];
    }
    return s->extruder_mm;
}

static void on_wheel(void *ctx, bool is_pressed)
{
    struct filament_sensor *s = ctx;
    (void)is_pressed; /* either change is motion */
    if (printer_state(s->obj.printer) != PRINTER_READY)
        return;
    s->runout_at_mm = extruder_position(s) + s->detection_mm;
    runout_note(&s->runout, true);
}

static struct host_ns on_check(void *ctx, struct host_ns now)
{
    struct filament_sensor *s = ctx;
    runout_note(&s->runout, extruder_position(s) < s->runout_at_mm);
    return host_ns_add_s(now, CHECK_PERIOD_S);
}

static void on_printing(void *ctx, const char *event, void *data)
{
    struct filament_sensor *s = ctx;
    (void)data;
    if (!strcmp(event, IDLE_TIMEOUT_EVENT_PRINTING))
        printer_timer_start(s->obj.printer, &s->timer, printer_now(s->obj.printer));
    else
        printer_timer_stop(s->obj.printer, &s->timer);
}

static void motion_ready(struct printer_object *obj)
{
    struct filament_sensor *s = sensor_of(obj);
    runout_ready(&s->runout);
    s->runout_at_mm = extruder_position(s) + s->detection_mm;
}

static enum err create_motion(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct filament_sensor *s = sensor_of(obj);
    (void)info;
    s->timer.fn = on_check;
    s->timer.ctx = s;
    button_claim(&s->button, obj->printer, section, "switch_pin", on_wheel, s);
    s->extruder = section_string(section, "extruder");
    s->detection_mm = section_float(section, "detection_length");
    runout_setup(&s->runout, obj, section);
    s->runout.is_present = true; /* until the extruder has moved without it */
    if (s->extruder && *s->extruder &&
        (strncmp(s->extruder, "extruder", strlen("extruder")) != 0 || !config_find(obj->printer->config, s->extruder)))
        config_error_option(section, "extruder", "Unknown extruder '%s' (option 'extruder' of section '%s')", s->extruder,
                            obj->name);
    printer_subscribe(obj->printer, IDLE_TIMEOUT_EVENT_PRINTING, on_printing, s);
    printer_subscribe(obj->printer, IDLE_TIMEOUT_EVENT_READY, on_printing, s);
    printer_subscribe(obj->printer, IDLE_TIMEOUT_EVENT_IDLE, on_printing, s);
    return OK;
}

static const struct option_desc motion_options[] = {
    {.name = "switch_pin", .type = OPTION_PIN, .flags = OPTION_REQUIRED, .help = "Pin of the wheel's signal."},
    {.name = "extruder", .type = OPTION_STRING, .flags = OPTION_REQUIRED, .help = "Section of the extruder it watches."},
    {.name = "detection_length", .type = OPTION_FLOAT, .unit = "mm", .default_text = "7.0", .limits = ">0.0",
     .help = "Extrusion without a change of the signal that means filament is gone."},
    RUNOUT_OPTIONS,
};

const struct object_desc filament_motion_sensor_desc = {
    .section = "filament_motion_sensor",
    .flags = OBJECT_NAMED,
    .help = "A wheel that tells whether filament moves.",
    .size_bytes = sizeof(struct filament_sensor),
    OBJECT_OPTIONS(motion_options),
    .commands = runout_commands,
    .command_count = RUNOUT_COMMAND_COUNT,
    OBJECT_FIELDS(fields),
    .create = create_motion,
    .connect = connect_sensor,
    .ready = motion_ready,
    .shutdown = stop,
    .destroy = destroy,
    .status = status,
    .command_ctx = command_ctx,
};
