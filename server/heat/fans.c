/* The four kinds of fans: [fan] (M106, M107), [fan_generic NAME] (SET_FAN_SPEED), [heater_fan NAME] (on while a heater is
 * hot), [controller_fan NAME] (on while motors or heaters are). */
#include "server/heat/fan_unit.h"

#include "base/check.h"
#include "base/strbuf.h"
#include "motion/engine.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/heat/heater.h"
#include "server/machine/object.h"
#include "server/machine/output_follow.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/machine/stepper.h"

#include <math.h>
#include <string.h>

#define CHECK_PERIOD_S 1.0 /* heater and controller fans look at what they follow */

struct fan {
    struct printer_object obj;
    struct fan_unit unit;
    /* heater_fan, controller_fan */
    struct printer_timer timer;
    struct config_list heaters, steppers;
    bool has_steppers;
    struct output_follow follow; /* fan_generic */
    double heater_temp_c, fan_speed, idle_speed, last_speed;
    int idle_timeout_s, idle_s;
};

static const struct status_field_desc fan_fields[] = {FAN_FIELDS};

static void fan_status(struct printer_object *obj, struct status_writer *writer)
{
    fan_unit_write_status(&((struct fan *)obj)->unit, writer);
}

/* The printer is replaced or closed: nobody will turn this fan off later. In a fiber. */
static void on_disconnect(void *ctx, const char *event, void *data)
{
    struct fan *fan = ctx;
    struct err_info info;
    (void)event;
    (void)data;
    printer_timer_stop(fan->obj.printer, &fan->timer);
    if (fan->unit.is_in_stream)
        (void)!fan_unit_set_in_stream(&fan->unit, 0, &info);
    else
        fan_unit_set_now(&fan->unit, 0);
}

static enum err fan_connect(struct printer_object *obj, struct err_info *info)
{
    printer_subscribe(obj->printer, PRINTER_EVENT_DISCONNECT, on_disconnect, obj);
    return fan_unit_connect(&((struct fan *)obj)->unit, info);
}

static void fan_shutdown(struct printer_object *obj)
{
    struct fan *fan = (struct fan *)obj;
    printer_timer_stop(obj->printer, &fan->timer);
    fan_unit_shutdown(&fan->unit, fan->unit.pwm.shutdown_value);
}

static void fan_destroy(struct printer_object *obj)
{
    printer_timer_stop(obj->printer, &((struct fan *)obj)->timer);
}

/* What the descriptors of all kinds have in common. */
#define FAN_HOOKS                                                                                                      \
    .size_bytes = sizeof(struct fan), OBJECT_FIELDS(fan_fields), .connect = fan_connect, .shutdown = fan_shutdown,     \
    .destroy = fan_destroy, .status = fan_status

/* --- [fan] --- */

static const struct option_desc fan_options[] = {FAN_OPTIONS("0.0")};

static enum err fan_create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    (void)info;
    fan_unit_setup(&((struct fan *)obj)->unit, obj->printer, section, true);
    return OK;
}

static enum err cmd_m106(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    double value = 255;
    enum err err = gcode_opt_double(cmd, "S", GCODE_MIN(0), &value, info);
    return err != OK ? err : fan_unit_set_in_stream(&((struct fan *)ctx)->unit, value / 255, info);
}

static enum err cmd_m107(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)cmd;
    return fan_unit_set_in_stream(&((struct fan *)ctx)->unit, 0, info);
}

static const struct command_param m106_params[] = {{"S", "float", "255.0", ">=0.0"}, {0}};
static const struct command_desc fan_commands[] = {
    {.name = "M106", .params = m106_params, .handler = cmd_m106},
    {.name = "M107", .handler = cmd_m107},
};

const struct object_desc fan_desc = {
    .section = "fan",
    .flags = OBJECT_EXACT,
    .help = "The fan that cools the print.",
    OBJECT_OPTIONS(fan_options),
    OBJECT_COMMANDS(fan_commands),
    .create = fan_create,
    FAN_HOOKS,
};

/* --- [fan_generic NAME] --- */

static enum err follow_template(void *ctx, double speed, struct err_info *info)
{
    struct fan *fan = ctx;
    if (speed == fan->last_speed)
        return OK;
    enum err err = fan_unit_set_in_stream(&fan->unit, speed, info);
    if (err == OK)
        fan->last_speed = speed;
    return err;
}

static enum err generic_create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct fan *fan = (struct fan *)obj;
    fan->last_speed = NAN; /* none was set by a template */
    fan->follow =
        (struct output_follow){.printer = obj->printer, .what = obj->name, .set = follow_template, .ctx = fan};
    return fan_create(obj, section, info);
}

static enum err cmd_set_fan_speed(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    double speed = NAN;
    enum err err = gcode_opt_double(cmd, "SPEED", GCODE_MIN(0), &speed, info);
    if (err != OK)
        return err;
    bool has_template = gcode_has(cmd, "TEMPLATE");
    if (isnan(speed) != has_template)
        return err_set(info, ERR_INVALID, "SET_FAN_SPEED command must specify SPEED or TEMPLATE");
    if (has_template)
        return output_follow_assign(&((struct fan *)ctx)->follow, cmd, info);
    struct fan *fan = ctx;
    fan->last_speed = NAN; /* a template sets its own again */
    return fan_unit_set_in_stream(&fan->unit, speed, info);
}

static const struct command_param set_params[] = {
    {"SPEED", "float", NULL, ">=0"}, {"TEMPLATE", "str", NULL, NULL}, {"PARAM_<x>", "literal", NULL, NULL}, {0}};
static const struct command_desc generic_commands[] = {
    {.name = "SET_FAN_SPEED", .mux_key = "FAN", .params = set_params, .help = "Sets the speed of a fan",
     .handler = cmd_set_fan_speed},
};

const struct object_desc fan_generic_desc = {
    .section = "fan_generic",
    .flags = OBJECT_NAMED,
    .help = "A fan set by SET_FAN_SPEED.",
    OBJECT_OPTIONS(fan_options),
    OBJECT_COMMANDS(generic_commands),
    .create = generic_create,
    FAN_HOOKS,
};

/* --- fans that follow something --- */

static void follow(struct fan *fan, double speed)
{
    if (speed != fan->last_speed)
        fan_unit_set_now(&fan->unit, speed);
    fan->last_speed = speed;
}

static void check_heaters(struct printer_object *obj, struct config_section *section, const struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (!heater_is_configured(obj->printer, list->items[i]))
            config_error_option(section, "heater", "Unknown heater '%s' (option 'heater' of section '%s')", list->items[i],
                                obj->name);
}

static void start_timer(struct printer_object *obj)
{
    struct fan *fan = (struct fan *)obj;
    if (!obj->printer->services->is_batch)
        printer_timer_start(obj->printer, &fan->timer, host_ns_add_s(printer_now(obj->printer), 0.1));
}

/* --- [heater_fan NAME] --- */

static const struct option_desc heater_fan_options[] = {
    {.name = "heater", .type = OPTION_LIST, .default_text = "extruder", .help = "Heaters it follows"},
    {.name = "heater_temp", .type = OPTION_FLOAT, .unit = "C", .default_text = "50.0",
     .help = "It stays on until the heaters are below this"},
    {.name = "fan_speed", .type = OPTION_FLOAT, .default_text = "1.0", .limits = ">=0.0 <=1.0", .help = "Speed when on"},
    FAN_OPTIONS("1.0"),
};

static struct host_ns on_heater_fan(void *ctx, struct host_ns now)
{
    struct fan *fan = ctx;
    double speed = 0;
    for (size_t i = 0; i < fan->heaters.count; i++) {
        const struct heater *heater = heater_find(fan->obj.printer, fan->heaters.items[i]);
        double temp_c = 0, target_c = 0;
        if (heater)
            heater_get_temp(heater, &temp_c, &target_c);
        if (target_c > 0 || temp_c > fan->heater_temp_c)
            speed = fan->fan_speed;
    }
    follow(fan, speed);
    return host_ns_add_s(now, CHECK_PERIOD_S);
}

static enum err heater_fan_create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct fan *fan = (struct fan *)obj;
    (void)info;
    fan->heaters = section_list(section, "heater");
    fan->heater_temp_c = section_float(section, "heater_temp");
    fan_unit_setup(&fan->unit, obj->printer, section, false);
    fan->fan_speed = section_float(section, "fan_speed");
    check_heaters(obj, section, &fan->heaters);
    fan->timer.fn = on_heater_fan;
    fan->timer.ctx = fan;
    return OK;
}

const struct object_desc heater_fan_desc = {
    .section = "heater_fan",
    .flags = OBJECT_NAMED,
    .help = "A fan that is on while a heater is hot.",
    OBJECT_OPTIONS(heater_fan_options),
    .create = heater_fan_create,
    .ready = start_timer,
    FAN_HOOKS,
};

/* --- [controller_fan NAME] --- */

static const struct option_desc controller_options[] = {
    FAN_OPTIONS("0.0"),
    {.name = "fan_speed", .type = OPTION_FLOAT, .default_text = "1.0", .limits = ">=0.0 <=1.0", .help = "Speed when on"},
    {.name = "idle_speed", .type = OPTION_FLOAT, .default_text = "fan_speed", .limits = ">=0.0 <=1.0",
     .help = "Speed for idle_timeout after everything went off"},
    {.name = "idle_timeout", .type = OPTION_INT, .unit = "s", .default_text = "30", .limits = ">=0",
     .help = "How long it runs on"},
    {.name = "heater", .type = OPTION_LIST, .default_text = "extruder", .help = "Heaters it follows"},
    {.name = "stepper", .type = OPTION_LIST, .help = "Steppers it follows; all if not given"},
};

static bool follows_stepper(const struct fan *fan, const struct stepper *stepper)
{
    if (!fan->has_steppers)
        return true;
    for (size_t i = 0; i < fan->steppers.count; i++)
        if (!strcmp(fan->steppers.items[i], stepper->name))
            return true;
    return false;
}

static bool is_anything_on(const struct fan *fan)
{
    struct printer *printer = fan->obj.printer;
    const struct stepper *stepper;
    for (size_t i = 0; (stepper = stepper_at(printer, i)); i++)
        if (stepper->engine && follows_stepper(fan, stepper) && engine_stepper_is_on(stepper->engine))
            return true;
    for (size_t i = 0; i < fan->heaters.count; i++) {
        const struct heater *heater = heater_find(printer, fan->heaters.items[i]);
        double target_c = 0;
        if (heater)
            heater_get_temp(heater, NULL, &target_c);
        if (target_c > 0)
            return true;
    }
    return false;
}

static struct host_ns on_controller_fan(void *ctx, struct host_ns now)
{
    struct fan *fan = ctx;
    double speed = 0;
    if (is_anything_on(fan)) {
        fan->idle_s = 0;
        speed = fan->fan_speed;
    } else if (fan->idle_s < fan->idle_timeout_s) {
        fan->idle_s++;
        speed = fan->idle_speed;
    }
    follow(fan, speed);
    return host_ns_add_s(now, CHECK_PERIOD_S);
}

static enum err controller_create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct fan *fan = (struct fan *)obj;
    (void)info;
    fan->has_steppers = section_find(section, "stepper") != NULL;
    fan->steppers = section_list(section, "stepper");
    fan->heaters = section_list(section, "heater");
    fan_unit_setup(&fan->unit, obj->printer, section, false);
    fan->fan_speed = section_float(section, "fan_speed");
    fan->idle_speed = section_float(section, "idle_speed");
    fan->idle_timeout_s = section_int(section, "idle_timeout");
    fan->idle_s = fan->idle_timeout_s; /* off until something has been on */
    check_heaters(obj, section, &fan->heaters);
    for (size_t i = 0; i < fan->steppers.count; i++)
        if (!config_find(obj->printer->config, fan->steppers.items[i]))
            config_error_option(section, "stepper", "Unknown stepper '%s' (option 'stepper' of section '%s')",
                                fan->steppers.items[i], obj->name);
    fan->timer.fn = on_controller_fan;
    fan->timer.ctx = fan;
    return OK;
}

const struct object_desc controller_fan_desc = {
    .section = "controller_fan",
    .flags = OBJECT_NAMED,
    .help = "A fan that is on while motors or heaters are.",
    OBJECT_OPTIONS(controller_options),
    .create = controller_create,
    .ready = start_timer,
    FAN_HOOKS,
};
