/* [temperature_fan NAME]: a fan that cools something to a temperature. The control is a heater's turned round: what would
 * be power for heating is taken away from the fan's full speed. */
#include "server/heat/fan_unit.h"
#include "server/heat/heater.h"
#include "server/heat/heater_control.h"
#include "server/heat/sensor.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#include "server/config/config.h"
#include "server/gcode/gcode.h"

#include <math.h>

#define REFRESH_S        3.75 /* a small change waits this long */
#define SPEED_CHANGE_MIN 0.05
#define TARGET_DEFAULT_C 40.0

struct temperature_fan {
    struct printer_object obj;
    struct fan_unit unit;
    struct sensor *sensor;
    struct heater_control control;
    double temp_c, target_c, configured_target_c, min_temp_c, max_temp_c;
    double min_speed, max_speed;
    double last_speed, next_change_s;
    bool is_stopped;
};

/* --- control --- */

static void set_speed(struct temperature_fan *f, double read_s, double speed)
{
    if (!(speed > 0))
        speed = 0;
    else if (speed < f->min_speed)
        speed = f->min_speed;
    if (f->target_c <= 0)
        speed = 0;
    bool may_wait = read_s < f->next_change_s || f->last_speed == 0;
    if (f->is_stopped || (may_wait && fabs(speed - f->last_speed) < SPEED_CHANGE_MIN))
        return;
    f->next_change_s = read_s + REFRESH_S;
    f->last_speed = speed;
    fan_unit_set_now(&f->unit, speed);
}

static void on_temperature(void *ctx, struct print_time read_time, double temp_c)
{
    struct temperature_fan *f = ctx;
    f->temp_c = temp_c;
    f->control.max_power = f->max_speed;
    double warm = heater_control_update(&f->control, read_time.s, temp_c, f->target_c);
    double speed = f->max_speed - warm;
    if (f->control.kind == HEATER_PID) /* it never stands still while it has a target */
        speed = fmax(f->min_speed, speed);
    set_speed(f, read_time.s, speed);
}

static void setup_control(struct temperature_fan *f, struct config_section *section)
{
    if (!section_find(section, "control")) { /* the error about that is enough */
        static const char *const names[] = {"pid_Kp", "pid_Ki", "pid_Kd", "pid_deriv_time", "max_delta"};
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
            (void)section_has(section, names[i]);
    }
    if (section_choice(section, "control") == 0) {
        heater_control_watermark(&f->control, f->max_speed, section_float(section, "max_delta"));
        return;
    }
    double kp = section_float_required(section, "pid_Kp"), ki = section_float_required(section, "pid_Ki"),
           kd = section_float_required(section, "pid_Kd");
    heater_control_pid(&f->control, f->max_speed, kp, ki, kd, section_float(section, "pid_deriv_time"));
}

/* --- hooks --- */

static void get_temp(void *ctx, double *temp_c, double *target_c)
{
    const struct temperature_fan *f = ctx;
    if (temp_c)
        *temp_c = f->temp_c;
    if (target_c)
        *target_c = f->target_c;
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct temperature_fan *f = (struct temperature_fan *)obj;
    (void)info;
    fan_unit_setup(&f->unit, obj->printer, section, false);
    f->min_temp_c = section_float(section, "min_temp");
    f->max_temp_c = section_float(section, "max_temp");
    f->sensor = sensor_setup(obj->printer, section, on_temperature, f);
    sensor_set_range(f->sensor, f->min_temp_c, f->max_temp_c);
    f->target_c = f->configured_target_c = section_float_in(
        section, "target_temp", fmin(TARGET_DEFAULT_C, f->max_temp_c), f->min_temp_c, f->max_temp_c);
    f->max_speed = section_float(section, "max_speed");
    f->min_speed = section_float(section, "min_speed");
    setup_control(f, section);
    heaters_add_sensor(obj->printer, section, obj->name, section_string(section, "gcode_id"), get_temp, f);
    return OK;
}

static void on_disconnect(void *ctx, const char *event, void *data)
{
    struct temperature_fan *f = ctx;
    (void)event;
    (void)data;
    f->is_stopped = true;
    fan_unit_set_now(&f->unit, 0);
}

static enum err connect_fan(struct printer_object *obj, struct err_info *info)
{
    struct temperature_fan *f = (struct temperature_fan *)obj;
    printer_subscribe(obj->printer, PRINTER_EVENT_DISCONNECT, on_disconnect, obj);
    enum err err = fan_unit_connect(&f->unit, info);
    return err ? err : sensor_connect(f->sensor, info);
}

static void ready(struct printer_object *obj)
{
    sensor_ready(((struct temperature_fan *)obj)->sensor);
}

static void stop(struct printer_object *obj)
{
    struct temperature_fan *f = (struct temperature_fan *)obj;
    f->is_stopped = true;
    fan_unit_shutdown(&f->unit, f->unit.pwm.shutdown_value);
}

static void destroy(struct printer_object *obj)
{
    sensor_destroy(((struct temperature_fan *)obj)->sensor);
}

static void status(struct printer_object *obj, struct status_writer *writer)
{
    const struct temperature_fan *f = (struct temperature_fan *)obj;
    fan_unit_write_status(&f->unit, writer);
    status_float_round(writer, "temperature", f->temp_c, 2);
    status_float(writer, "target", f->target_c);
}

/* --- the command --- */

static enum err check_speed(const char *which, double speed, struct err_info *info)
{
    return speed >= 0 && speed <= 1
               ? OK
               : err_set(info, ERR_LIMIT, "Requested %s speed (%.1f) out of range (0.0 : 1.0)", which, speed);
}

static enum err cmd_set(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct temperature_fan *f = ctx;
    double target_c = f->configured_target_c, low = f->min_speed, high = f->max_speed;
    enum err err = gcode_opt_double(cmd, "TARGET", GCODE_ANY, &target_c, info);
    if (!err)
        err = gcode_opt_double(cmd, "MIN_SPEED", GCODE_ANY, &low, info);
    if (!err)
        err = gcode_opt_double(cmd, "MAX_SPEED", GCODE_ANY, &high, info);
    if (err)
        return err;
    if (target_c != 0 && !(target_c >= f->min_temp_c && target_c <= f->max_temp_c))
        return err_set(info, ERR_LIMIT, "Requested temperature (%.1f) out of range (%.1f:%.1f)", target_c, f->min_temp_c,
                       f->max_temp_c);
    err = check_speed("min", low, info);
    if (!err)
        err = check_speed("max", high, info);
    if (!err && low > high)
        err = err_set(info, ERR_LIMIT, "Requested min speed (%.1f) is greater than max speed (%.1f)", low, high);
    if (err)
        return err;
    f->target_c = target_c;
    f->min_speed = low;
    f->max_speed = high;
    printer_status_touch(&f->obj);
    return OK;
}

static const struct option_desc options[] = {
    {.name = "sensor_type", .type = OPTION_STRING, .flags = OPTION_REQUIRED, .help = "Which sensor it is"},
    {.name = "min_temp", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED, .unit = "C", .limits = ">=-273.15",
     .help = "Below this the printer stops"},
    {.name = "max_temp", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED, .unit = "C", .limits = ">min_temp",
     .help = "Above this the printer stops"},
    {.name = "target_temp", .type = OPTION_FLOAT, .unit = "C", .default_text = "min(40,max_temp)",
     .limits = ">=min_temp <=max_temp", .help = "Temperature it cools to"},
    {.name = "max_speed", .type = OPTION_FLOAT, .default_text = "1.0", .limits = ">0.0 <=1.0", .help = "Highest speed"},
    {.name = "min_speed", .type = OPTION_FLOAT, .default_text = "0.3", .limits = ">=0.0 <=1.0",
     .help = "Lowest speed while it has a target"},
    {.name = "gcode_id", .type = OPTION_STRING, .help = "Its name in M105 reports"},
    {.name = "control", .type = OPTION_CHOICE, .flags = OPTION_REQUIRED, .choices = "watermark|pid",
     .help = "How the speed is decided"},
    {.name = "pid_Kp", .type = OPTION_FLOAT, .flags = OPTION_CONDITIONAL, .when = "control is pid", .help = "Proportional gain"},
    {.name = "pid_Ki", .type = OPTION_FLOAT, .flags = OPTION_CONDITIONAL, .when = "control is pid", .help = "Integral gain"},
    {.name = "pid_Kd", .type = OPTION_FLOAT, .flags = OPTION_CONDITIONAL, .when = "control is pid", .help = "Derivative gain"},
    {.name = "pid_deriv_time", .type = OPTION_FLOAT, .unit = "s", .default_text = "2.0", .limits = ">0.0",
     .when = "control is pid", .help = "The derivative is smoothed over this time"},
    {.name = "max_delta", .type = OPTION_FLOAT, .unit = "C", .default_text = "2.0", .limits = ">0.0",
     .when = "control is watermark", .help = "Distance from the target at which it switches"},
    FAN_OPTIONS("1.0"),
};
static const struct command_param set_params[] = {
    {"TARGET", "float", "target_temp", NULL}, {"MIN_SPEED", "float", "as it is", NULL}, {"MAX_SPEED", "float", "as it is", NULL},
    {0}};
static const struct command_desc commands[] = {
    {.name = "SET_TEMPERATURE_FAN_TARGET", .mux_key = "TEMPERATURE_FAN", .params = set_params,
     .help = "Set a temperature fan's target and its speeds", .handler = cmd_set},
};
static const struct status_field_desc fields[] = {
    FAN_FIELDS, {"temperature", "float", "last reading"}, {"target", "float", "target temperature"}};

const struct object_desc temperature_fan_desc = {
    .section = "temperature_fan",
    .flags = OBJECT_NAMED,
    .help = "A fan that cools something to a temperature.",
    .size_bytes = sizeof(struct temperature_fan),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    .create = create,
    .connect = connect_fan,
    .ready = ready,
    .shutdown = stop,
    .destroy = destroy,
    .status = status,
};
