/* One heater: readings in, power out.
 *
 * The sensor reports each 0.3 s. A new power is scheduled one report time after its reading, so that the board always
 * has the next value before it needs it; and it is refreshed before the board's max_duration (3 s) ends: if the host
 * falls silent, the board switches the heater off by itself. */
#include "server/heat/heater_private.h"

#include "base/check.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "motion/board.h"
#include "motion/engine.h"
#include "server/config/config.h"
#include "server/heat/sensor.h"
#include "server/machine/motion_stream.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#include <math.h>
#include <string.h>

#define MAX_HEAT_S 3.0           /* the board's max_duration */
#define REFRESH_S (0.75 * MAX_HEAT_S)
#define STALE_S 5.0              /* a reading older than this is none */
#define POWER_CHANGE_MIN 0.05    /* smaller changes wait for the refresh */
#define REPORT_PERIOD_S 1.0      /* of M109's temperature lines */

const struct option_desc heater_options[] = {
    {.name = "heater_pin", .type = OPTION_PIN, .flags = OPTION_REQUIRED, .help = "Pin that switches the heater"},
    {.name = "sensor_type", .type = OPTION_STRING, .flags = OPTION_REQUIRED, .help = "Which sensor it is"},
    {.name = "min_temp", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED, .unit = "C", .limits = ">=-273.15",
     .help = "Below this the board stops"},
    {.name = "max_temp", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED, .unit = "C", .limits = ">min_temp",
     .help = "Above this the board stops"},
    {.name = "min_extrude_temp", .type = OPTION_FLOAT, .unit = "C", .default_text = "170.0",
     .limits = ">=min_temp <=max_temp", .help = "Extrusion is refused below this"},
    {.name = "max_power", .type = OPTION_FLOAT, .default_text = "1.0", .limits = ">0.0 <=1.0", .help = "Largest PWM value"},
    {.name = "smooth_time", .type = OPTION_FLOAT, .unit = "s", .default_text = "1.0", .limits = ">0.0",
     .help = "Readings are smoothed over this time"},
    {.name = "control", .type = OPTION_CHOICE, .flags = OPTION_REQUIRED, .choices = "watermark|pid",
     .help = "How the power is decided"},
    {.name = "pid_Kp", .type = OPTION_FLOAT, .flags = OPTION_CONDITIONAL, .when = "control is pid", .help = "Proportional gain"},
    {.name = "pid_Ki", .type = OPTION_FLOAT, .flags = OPTION_CONDITIONAL, .when = "control is pid", .help = "Integral gain"},
    {.name = "pid_Kd", .type = OPTION_FLOAT, .flags = OPTION_CONDITIONAL, .when = "control is pid", .help = "Derivative gain"},
    {.name = "max_delta", .type = OPTION_FLOAT, .unit = "C", .default_text = "2.0", .limits = ">0.0",
     .when = "control is watermark", .help = "Distance from the target at which it switches"},
    {.name = "pwm_cycle_time", .type = OPTION_FLOAT, .unit = "s", .default_text = "0.1", .limits = ">0.0 <=0.3",
     .help = "Period of the PWM, at most the sensor's report time"},
};
const size_t heater_option_count = ARRAY_COUNT(heater_options);

/* --- control --- */

static void set_power(struct heater *h, double read_s, double power)
{
    if (h->target_c <= 0 || h->is_stopped)
        power = 0;
    bool may_wait = read_s < h->next_pwm_s || h->last_power == 0;
    if (may_wait && fabs(power - h->last_power) < POWER_CHANGE_MIN)
        return;
    double at_s = read_s + h->pwm_delay_s;
    h->next_pwm_s = at_s + REFRESH_S;
    h->last_power = power;
    if (h->pwm.board && !h->is_stopped)
        output_set_at(&h->pwm, (struct print_time){at_s}, power);
}

static void on_temperature(void *ctx, struct print_time read_time, double temp_c)
{
    struct heater *h = ctx;
    double dt = read_time.s - h->last_read_s;
    h->last_temp_c = temp_c;
    h->last_read_s = read_time.s;
    /* its own control stays up to date while another decides */
    double power = heater_control_update(&h->control, read_time.s, temp_c, h->control_fn ? 0 : h->target_c);
    if (h->control_fn)
        power = h->control_fn(h->control_ctx, read_time.s, temp_c, &h->target_c);
    set_power(h, read_time.s, power);
    double weight = fmin(dt * h->smooth_rate, 1.0);
    h->smoothed_c += (temp_c - h->smoothed_c) * weight;
}

static void setup_control(struct heater *h, struct config_section *section)
{
    double smooth_s = section_float(section, "smooth_time");
    h->smooth_rate = 1 / smooth_s;
    if (!section_find(section, "control")) { /* the error about that is enough */
        static const char *const names[] = {"pid_Kp", "pid_Ki", "pid_Kd", "max_delta"};
        for (size_t i = 0; i < ARRAY_COUNT(names); i++)
            (void)section_has(section, names[i]);
    }
    if (section_choice(section, "control") == 0) {
        heater_control_watermark(&h->control, h->max_power, section_float(section, "max_delta"));
        return;
    }
    double kp = section_float_required(section, "pid_Kp"), ki = section_float_required(section, "pid_Ki"),
           kd = section_float_required(section, "pid_Kd");
    heater_control_pid(&h->control, h->max_power, kp, ki, kd, smooth_s);
}

static const char *last_word(const char *name)
{
    const char *space = strrchr(name, ' ');
    return space ? space + 1 : name;
}

struct heater *heater_setup(struct printer *printer, struct config_section *section, const char *gcode_id)
{
    struct heater *h = MEM_NEW(struct heater);
    h->printer = printer;
    h->name = section_name(section);
    h->short_name = last_word(h->name);
    section_bind(section, heater_options, heater_option_count);
    h->sensor = sensor_setup(printer, section, on_temperature, h);
    h->min_temp_c = section_float(section, "min_temp");
    h->max_temp_c = section_float(section, "max_temp");
    sensor_set_range(h->sensor, h->min_temp_c, h->max_temp_c);
    h->pwm_delay_s = sensor_report_time_s(h->sensor);
    h->min_extrude_c = section_float(section, "min_extrude_temp");
    h->max_power = section_float(section, "max_power");
    setup_control(h, section);
    output_claim(&h->pwm, printer, section, "heater_pin", true, NULL);
    output_set_cycle(&h->pwm, section_float_in(section, "pwm_cycle_time", NAN, NAN, h->pwm_delay_s), false);
    output_set_max_duration(&h->pwm, MAX_HEAT_S);
    heaters_add_heater(printer, section, h, gcode_id);
    char *check = mem_sprintf("verify_heater %s", h->short_name);
    (void)printer_load_object(printer, check, section);
    mem_free(check);
    return h;
}

enum err heater_connect(struct heater *h, struct err_info *info)
{
    enum err err = sensor_connect(h->sensor, info);
    return err != OK ? err : output_connect(&h->pwm, info);
}

void heater_turn_off(struct heater *h)
{
    h->control_fn = NULL;
    h->target_c = 0;
}

void heater_stop(struct heater *h)
{
    h->is_stopped = true;
    h->control_fn = NULL;
    h->target_c = 0;
    h->last_power = 0;
}

void heater_destroy(struct heater *h)
{
    sensor_destroy(h->sensor);
    mem_free(h);
}

/* --- what others ask --- */

const char *heater_name(const struct heater *h)
{
    return h->name;
}

void heater_get_temp(const struct heater *h, double *temp_c, double *target_c)
{
    bool is_stale = h->last_read_s < printer_est_print_time(h->printer).s - STALE_S;
    if (temp_c)
        *temp_c = is_stale ? 0 : h->smoothed_c;
    if (target_c)
        *target_c = h->target_c;
}

bool heater_can_extrude(const struct heater *h)
{
    return h->printer->services->is_batch || h->min_extrude_c <= 0 || h->smoothed_c >= h->min_extrude_c;
}

double heater_min_extrude_temp_c(const struct heater *h)
{
    return h->min_extrude_c;
}

double heater_max_power(const struct heater *h)
{
    return h->max_power;
}

bool heater_is_busy(const struct heater *h)
{
    return heater_control_is_busy(&h->control, h->smoothed_c, h->target_c);
}

enum err heater_set_target(struct heater *h, double target_c, struct err_info *info)
{
    if (target_c != 0 && !(target_c >= h->min_temp_c && target_c <= h->max_temp_c))
        return err_set(info, ERR_LIMIT, "Requested temperature (%.1f) out of range (%.1f:%.1f)", target_c, h->min_temp_c,
                       h->max_temp_c);
    if (h->is_stopped && target_c != 0)
        return err_set(info, ERR_SHUTDOWN, "%s", printer_state_message(h->printer));
    h->control_fn = NULL;
    h->target_c = target_c;
    return OK;
}

enum err heater_take_control(struct heater *h, double target_c, heater_power_fn *fn, void *ctx, struct err_info *info)
{
    if (h->control_fn)
        return err_set(info, ERR_STATE, "Heater %s is being calibrated", h->name);
    enum err err = heater_set_target(h, target_c, info);
    if (err == OK) {
        h->control_fn = fn;
        h->control_ctx = ctx;
    }
    return err;
}

bool heater_is_controlled_by(const struct heater *h, const void *ctx)
{
    return h->control_fn && h->control_ctx == ctx;
}

void heater_release_control(struct heater *h, const void *ctx)
{
    if (heater_is_controlled_by(h, ctx))
        heater_turn_off(h);
}

enum err heater_set_and_wait(struct heater *h, double target_c, bool wait, struct err_info *info)
{
    struct printer *printer = h->printer;
    enum err err = heater_set_target(h, target_c, info);
    if (err != OK || !wait || target_c == 0 || printer->services->is_batch)
        return err;
    struct print_time at;
    err = engine_wait_planned(printer->engine, motion_source(printer), &at, info); /* what was queued goes on meanwhile */
    while (err == OK && !printer_is_shutdown(printer) && heater_is_busy(h)) {
        char *line = heaters_report(printer);
        printer_console(printer, line);
        mem_free(line);
        err = fiber_sleep(REPORT_PERIOD_S);
    }
    if (printer_is_shutdown(printer))
        return err_set(info, ERR_SHUTDOWN, "%s", printer_state_message(printer));
    if (err == ERR_CANCELLED)
        return err_set(info, err, "Waiting for %s was cancelled", h->name);
    return err;
}

void heater_write_status(const struct heater *h, struct status_writer *writer)
{
    status_float_round(writer, "temperature", h->smoothed_c, 2);
    status_float(writer, "target", h->target_c);
    status_float(writer, "power", h->last_power);
}
