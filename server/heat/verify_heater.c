/* [verify_heater NAME]: stops the printer when a heater that should heat does not.
 *
 * Once a second: while the temperature is at least target - hysteresis all is well. Below it, the missing degrees add up;
 * after a change of target the heater is "approaching" and need only gain `heating_gain` degrees in each
 * `check_gain_time`; otherwise the sum may not reach `max_error`. */
#include "server/heat/heater.h"
#include "server/machine/object.h"

#include "base/fiber.h"
#include "base/log.h"
#include "server/config/config.h"
#include "server/machine/printer.h"

#include <math.h>
#include <string.h>

#define CHECK_PERIOD_S 1.0

struct verify_heater {
    struct printer_object obj;
    struct heater *heater;
    struct printer_timer timer;
    double hysteresis_c, max_error, heating_gain_c, check_gain_time_s;
    bool is_approaching, is_starting;
    double last_target_c, goal_temp_c, error;
    struct host_ns goal_time;
};

static const struct option_desc verify_options[] = {
    {.name = "hysteresis", .type = OPTION_FLOAT, .unit = "C", .default_text = "5.0", .limits = ">=0.0",
     .help = "Temperatures this far below the target are good"},
    {.name = "max_error", .type = OPTION_FLOAT, .unit = "C s", .default_text = "120.0", .limits = ">=0.0",
     .help = "Sum of missing degrees, one second each, at which the printer stops"},
    {.name = "heating_gain", .type = OPTION_FLOAT, .unit = "C", .default_text = "2.0", .limits = ">0.0",
     .help = "Gain that counts as heating up"},
    {.name = "check_gain_time", .type = OPTION_FLOAT, .unit = "s", .default_text = "20.0 (60.0 if NAME is heater_bed)",
     .limits = ">=1.0", .help = "Time in which heating_gain must be reached"},
};

static struct host_ns on_timer(void *ctx, struct host_ns now);

static enum err verify_create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct verify_heater *v = (struct verify_heater *)obj;
    (void)info;
    v->hysteresis_c = section_float(section, "hysteresis");
    v->max_error = section_float(section, "max_error");
    v->heating_gain_c = section_float(section, "heating_gain");
    v->check_gain_time_s = section_float_or(section, "check_gain_time", !strcmp(obj->id, "heater_bed") ? 60 : 20);
    v->timer.fn = on_timer;
    v->timer.ctx = v;
    if (section_is_in_file(section) && !heater_is_configured(obj->printer, obj->id))
        config_error_section(section, "Unknown heater '%s' (section '%s')", obj->id, obj->name);
    return OK;
}

static struct host_ns fail(struct verify_heater *v)
{
    printer_shutdown(v->obj.printer,
                     "Heater %s not heating at expected rate\nThe section [verify_heater %s] sets the limits of this check.",
                     v->obj.id, v->obj.id);
    return HOST_NS_NEVER;
}

static void set_goal(struct verify_heater *v, double temp_c, struct host_ns now)
{
    v->goal_temp_c = temp_c + v->heating_gain_c;
    v->goal_time = host_ns_add_s(now, v->check_gain_time_s);
}

static struct host_ns on_timer(void *ctx, struct host_ns now)
{
    struct verify_heater *v = ctx;
    struct host_ns next = host_ns_add_s(now, CHECK_PERIOD_S);
    double temp_c, target_c;
    if (printer_is_shutdown(v->obj.printer))
        return HOST_NS_NEVER;
    heater_get_temp(v->heater, &temp_c, &target_c);
    if (temp_c >= target_c - v->hysteresis_c || target_c <= 0) {
        if (v->is_approaching && target_c > 0)
            log_info(v->obj.printer->services->log, "heater", "within range of target", "heater=%s target_c=%.3f", v->obj.id,
                     target_c);
        v->is_approaching = v->is_starting = false;
        if (temp_c <= target_c + v->hysteresis_c)
            v->error = 0;
        v->last_target_c = target_c;
        return next;
    }
    v->error += target_c - v->hysteresis_c - temp_c;
    if (!v->is_approaching) {
        if (target_c != v->last_target_c) {
            v->is_approaching = v->is_starting = true;
            set_goal(v, temp_c, now);
        } else if (v->error >= v->max_error) {
            return fail(v);
        }
    } else if (temp_c >= v->goal_temp_c) {
        v->is_starting = false;
        v->error = 0;
        set_goal(v, temp_c, now);
    } else if (!host_ns_before(now, v->goal_time)) {
        log_info(v->obj.printer->services->log, "heater", "no longer approaching target", "heater=%s target_c=%.3f",
                 v->obj.id, target_c);
        v->is_approaching = false;
    } else if (v->is_starting) {
        v->goal_temp_c = fmin(v->goal_temp_c, temp_c + v->heating_gain_c);
    }
    v->last_target_c = target_c;
    return next;
}

static void verify_ready(struct printer_object *obj)
{
    struct verify_heater *v = (struct verify_heater *)obj;
    v->heater = heater_find(obj->printer, obj->id);
    if (v->heater && !obj->printer->services->is_batch)
        printer_timer_start(obj->printer, &v->timer, printer_now(obj->printer));
}

static void verify_stop(struct printer_object *obj)
{
    printer_timer_stop(obj->printer, &((struct verify_heater *)obj)->timer);
}

const struct object_desc verify_heater_desc = {
    .section = "verify_heater",
    .flags = OBJECT_NAMED | OBJECT_ON_DEMAND,
    .help = "Checks that a heater heats.",
    .size_bytes = sizeof(struct verify_heater),
    OBJECT_OPTIONS(verify_options),
    .create = verify_create,
    .ready = verify_ready,
    .shutdown = verify_stop,
    .destroy = verify_stop,
};
