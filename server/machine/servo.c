/* [servo NAME]: a pulse each 20 ms, whose width is the angle. */
#include "server/machine/object.h"

#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/output.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#include <math.h>

#define PERIOD_S 0.020

struct servo {
    struct printer_object obj;
    struct output out;
    double min_width_s, max_width_s, max_angle_deg;
    double value; /* duty of the signal, [0, 1) */
};

/* Duty for a pulse; 0 leaves the servo without a signal. */
static double duty_of_width(const struct servo *s, double width_s)
{
    if (width_s == 0)
        return 0;
    return fmax(s->min_width_s, fmin(s->max_width_s, width_s)) / PERIOD_S;
}

static double duty_of_angle(const struct servo *s, double angle_deg)
{
    angle_deg = fmax(0, fmin(s->max_angle_deg, angle_deg));
    return duty_of_width(s, s->min_width_s + angle_deg * (s->max_width_s - s->min_width_s) / s->max_angle_deg);
}

static enum err cmd_set(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct servo *s = ctx;
    double width_s = NAN, angle_deg = NAN;
    enum err err = gcode_opt_double(cmd, "WIDTH", GCODE_ANY, &width_s, info);
    if (!err && isnan(width_s))
        err = gcode_get_double(cmd, "ANGLE", &angle_deg, info);
    if (err)
        return err;
    double value = isnan(width_s) ? duty_of_angle(s, angle_deg) : duty_of_width(s, width_s);
    if (value == s->value)
        return OK;
    err = output_set_in_stream(&s->out, value, info);
    if (err)
        return err;
    s->value = value;
    printer_status_touch(&s->obj);
    return OK;
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct servo *s = (struct servo *)obj;
    (void)info;
    s->min_width_s = section_float(section, "minimum_pulse_width");
    s->max_width_s = section_float(section, "maximum_pulse_width");
    s->max_angle_deg = section_float(section, "maximum_servo_angle");
    if (!(s->max_angle_deg > 0))
        config_error_option(section, "maximum_servo_angle",
                            "Option 'maximum_servo_angle' in section '%s' must be above 0 (found: %g)", obj->name,
                            s->max_angle_deg);
    output_claim(&s->out, obj->printer, section, "pin", true, NULL);
    output_set_max_duration(&s->out, 0);
    output_set_cycle(&s->out, PERIOD_S, false);
    if (section_has(section, "initial_angle"))
        s->value = duty_of_angle(s, section_float(section, "initial_angle"));
    else
        s->value = duty_of_width(s, section_float(section, "initial_pulse_width"));
    output_set_start(&s->out, s->value, 0);
    return OK;
}

static enum err connect_servo(struct printer_object *obj, struct err_info *info)
{
    return output_connect_stream(&((struct servo *)obj)->out, info);
}

static void stop(struct printer_object *obj)
{
    ((struct servo *)obj)->value = 0;
}

static void status(struct printer_object *obj, struct status_writer *writer)
{
    status_float(writer, "value", ((struct servo *)obj)->value);
}

static const struct option_desc options[] = {
    {.name = "pin", .type = OPTION_PIN, .flags = OPTION_REQUIRED, .help = "Pin of the servo"},
    {.name = "minimum_pulse_width", .type = OPTION_FLOAT, .unit = "s", .default_text = "0.001", .limits = ">0.0 <0.02",
     .help = "Pulse for angle 0"},
    {.name = "maximum_pulse_width", .type = OPTION_FLOAT, .unit = "s", .default_text = "0.002",
     .limits = ">minimum_pulse_width <0.02", .help = "Pulse for maximum_servo_angle"},
    {.name = "maximum_servo_angle", .type = OPTION_FLOAT, .unit = "deg", .default_text = "180.0", .help = "Largest angle"},
    {.name = "initial_angle", .type = OPTION_FLOAT, .unit = "deg", .limits = ">=0.0 <=360.0", .help = "Angle at the start"},
    {.name = "initial_pulse_width", .type = OPTION_FLOAT, .unit = "s", .default_text = "0.0",
     .limits = ">=0.0 <=maximum_pulse_width", .when = "initial_angle is not given",
     .help = "Pulse at the start, 0: no signal"},
};
static const struct command_param params[] = {{"WIDTH", "float", NULL, NULL}, {"ANGLE", "float", "required", NULL}, {0}};
static const struct command_desc commands[] = {
    {.name = "SET_SERVO", .mux_key = "SERVO", .params = params, .help = "Set a servo's angle or pulse width", .handler = cmd_set},
};
static const struct status_field_desc fields[] = {{"value", "float", "last pin value (unscaled)"}};

const struct object_desc servo_desc = {
    .section = "servo",
    .flags = OBJECT_NAMED,
    .help = "A servo motor.",
    .size_bytes = sizeof(struct servo),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    .create = create,
    .connect = connect_servo,
    .shutdown = stop,
    .status = status,
};
