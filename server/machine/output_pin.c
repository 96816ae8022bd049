/* [output_pin NAME]: a pin set by SET_PIN, in order with the moves. */
#include "server/machine/object.h"

#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/output.h"
#include "server/machine/output_follow.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#include <math.h>

struct output_pin {
    struct printer_object obj;
    struct output out;
    double scale, value; /* value: [0, 1] */
    struct output_follow follow;
};

static const struct option_desc pin_options[] = {
    {.name = "pin", .type = OPTION_PIN, .flags = OPTION_REQUIRED, .help = "The pin"},
    {.name = "pwm", .type = OPTION_BOOL, .default_text = "False", .help = "Values between off and on"},
    {.name = "cycle_time", .type = OPTION_FLOAT, .unit = "s", .default_text = "0.1", .limits = ">0.0 <=3.0",
     .when = "pwm is True", .help = "Period of the PWM"},
    {.name = "hardware_pwm", .type = OPTION_BOOL, .default_text = "False", .when = "pwm is True",
     .help = "PWM made by the chip"},
    {.name = "scale", .type = OPTION_FLOAT, .default_text = "1.0", .limits = ">0.0", .when = "pwm is True",
     .help = "SET_PIN's value for full power"},
    {.name = "value", .type = OPTION_FLOAT, .default_text = "0.0", .limits = ">=0.0 <=scale", .help = "Value at the start"},
    {.name = "shutdown_value", .type = OPTION_FLOAT, .default_text = "0.0", .limits = ">=0.0 <=scale",
     .help = "Value when the board stops"},
};

static enum err set_value(void *ctx, double value, struct err_info *info)
{
    struct output_pin *pin = ctx;
    if (!pin->out.is_pwm)
        value = value != 0;
    if (value == pin->value)
        return OK;
    enum err err = output_set_in_stream(&pin->out, value, info);
    if (err == OK)
        pin->value = value;
    return err;
}

static enum err pin_create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct output_pin *pin = (struct output_pin *)obj;
    (void)info;
    pin->follow = (struct output_follow){.printer = obj->printer, .what = obj->name, .set = set_value, .ctx = pin};
    bool is_pwm = section_bool(section, "pwm");
    output_claim(&pin->out, obj->printer, section, "pin", is_pwm, NULL);
    output_set_max_duration(&pin->out, 0);
    pin->scale = 1;
    bool is_hardware = false;
    if (is_pwm) {
        double cycle_s = section_float(section, "cycle_time");
        is_hardware = section_bool(section, "hardware_pwm");
        output_set_cycle(&pin->out, cycle_s, is_hardware);
        pin->scale = section_float(section, "scale");
    }
    pin->value = section_float_in(section, "value", NAN, 0, pin->scale) / pin->scale;
    double shutdown = section_float_in(section, "shutdown_value", NAN, 0, pin->scale) / pin->scale;
    if (is_pwm && !is_hardware && shutdown > 0 && shutdown < 1)
        config_error_option(section, "shutdown_value",
                            "Option 'shutdown_value' in section '%s' must be 0 or %g for software PWM (found: %g)", obj->name,
                            pin->scale, shutdown * pin->scale);
    output_set_start(&pin->out, pin->value, shutdown);
    return OK;
}

static enum err pin_connect(struct printer_object *obj, struct err_info *info)
{
    return output_connect_stream(&((struct output_pin *)obj)->out, info);
}

static void pin_shutdown(struct printer_object *obj)
{
    struct output_pin *pin = (struct output_pin *)obj;
    pin->value = pin->out.shutdown_value;
}

static enum err cmd_set_pin(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct output_pin *pin = ctx;
    double value = NAN;
    enum err err = gcode_opt_double(cmd, "VALUE", GCODE_RANGE(0, pin->scale), &value, info);
    if (err != OK)
        return err;
    bool has_template = gcode_has(cmd, "TEMPLATE");
    if (isnan(value) != has_template)
        return err_set(info, ERR_INVALID, "SET_PIN command must specify VALUE or TEMPLATE");
    if (has_template)
        return output_follow_assign(&pin->follow, cmd, info);
    value /= pin->scale;
    if (!pin->out.is_pwm && value != 0 && value != 1)
        return err_set(info, ERR_INVALID, "Invalid pin value");
    return set_value(pin, value, info);
}

static void pin_status(struct printer_object *obj, struct status_writer *writer)
{
    status_float(writer, "value", ((struct output_pin *)obj)->value);
}

static const struct command_param set_params[] = {{"VALUE", "float", NULL, ">=0 <=scale"},
                                                  {"TEMPLATE", "str", NULL, NULL},
                                                  {"PARAM_<x>", "literal", NULL, NULL},
                                                  {0}};
static const struct command_desc pin_commands[] = {
    {.name = "SET_PIN", .mux_key = "PIN", .params = set_params, .help = "Set the value of an output pin",
     .handler = cmd_set_pin},
};
static const struct status_field_desc pin_fields[] = {{"value", "float", "last pin value (unscaled)"}};

const struct object_desc output_pin_desc = {
    .section = "output_pin",
    .flags = OBJECT_NAMED,
    .help = "A pin set by SET_PIN.",
    .size_bytes = sizeof(struct output_pin),
    OBJECT_OPTIONS(pin_options),
    OBJECT_COMMANDS(pin_commands),
    OBJECT_FIELDS(pin_fields),
    .create = pin_create,
    .connect = pin_connect,
    .shutdown = pin_shutdown,
    .status = pin_status,
};
