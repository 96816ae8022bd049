/* [homing_heaters]: heaters are off while an endstop or a probe is looked for, whose signal they would disturb. */
#include "base/mem.h"
#include "server/config/config.h"
#include "server/heat/heater.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/toolhead/kinematics.h"
#include "server/toolhead/toolhead_private.h"

#include <string.h>

#define HEATERS_MAX 16

struct homing_heaters {
    struct printer_object obj;
    struct config_list steppers, heaters; /* none: all */
    double target_c[HEATERS_MAX];         /* before, in the order of the printer's heaters */
    bool is_off;
};

static bool contains(struct config_list list, const char *name)
{
    for (size_t i = 0; i < list.count; i++)
        if (strcmp(list.items[i], name) == 0)
            return true;
    return list.count == 0;
}

/* Does a move along these axes move one of the steppers? */
static bool is_concerned(const struct homing_heaters *h, unsigned axes)
{
    const struct kinematics *kin = printer_toolhead(h->obj.printer)->kin;
    for (size_t i = 0; i < h->steppers.count; i++) {
        const struct stepper *stepper = stepper_find(h->obj.printer, h->steppers.items[i]);
        for (size_t axis = 0; stepper && axis < RAIL_COUNT; axis++)
            if ((axes & (1u << axis)) && kinematics_endstop_of(kin, axis, stepper->engine))
                return true;
    }
    return h->steppers.count == 0;
}

static void on_begin(void *ctx, const char *event, void *data)
{
    struct homing_heaters *h = ctx;
    const struct homing_event *move = data;
    size_t i = 0;
    (void)event;
    if (h->is_off || !is_concerned(h, move->axes))
        return;
    h->is_off = true;
    for (struct heater *heater = heater_next(h->obj.printer, NULL); heater && i < HEATERS_MAX;
         heater = heater_next(h->obj.printer, heater), i++) {
        double temp_c;
        heater_get_temp(heater, &temp_c, &h->target_c[i]);
        if (!contains(h->heaters, heater_name(heater)) || h->target_c[i] == 0.0)
            continue;
        enum err e = heater_set_target(heater, 0.0, NULL);
        (void)e; /* 0 is always allowed */
    }
}

static void on_end(void *ctx, const char *event, void *data)
{
    struct homing_heaters *h = ctx;
    size_t i = 0;
    (void)event;
    (void)data;
    if (!h->is_off)
        return;
    h->is_off = false;
    if (printer_is_shutdown(h->obj.printer))
        return;
    for (struct heater *heater = heater_next(h->obj.printer, NULL); heater && i < HEATERS_MAX;
         heater = heater_next(h->obj.printer, heater), i++) {
        double temp_c, target_c;
        heater_get_temp(heater, &temp_c, &target_c);
        if (!contains(h->heaters, heater_name(heater)) || h->target_c[i] == 0.0 || target_c != 0.0)
            continue; /* somebody has set another target meanwhile */
        enum err e = heater_set_target(heater, h->target_c[i], NULL);
        (void)e; /* it was its target before */
    }
}

static const struct option_desc options[] = {
    {.name = "steppers",
     .type = OPTION_LIST,
     .default_text = "all",
     .help = "Heaters go off when one of these is homed or probes"},
    {.name = "heaters", .type = OPTION_LIST, .default_text = "all", .help = "The heaters that go off"},
};

static struct config_list read_list(struct config_section *section, const char *option)
{
    return section_has(section, option) ? section_list(section, option) : (struct config_list){0};
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct homing_heaters *h = (struct homing_heaters *)obj;
    (void)info;
    h->steppers = read_list(section, "steppers");
    h->heaters = read_list(section, "heaters");
    for (size_t i = 0; i < h->steppers.count; i++)
        if (!config_find(obj->printer->config, h->steppers.items[i]))
            config_error_option(section, "steppers", "Unknown stepper '%s' in option 'steppers' of section 'homing_heaters'",
                                h->steppers.items[i]);
    for (size_t i = 0; i < h->heaters.count; i++)
        if (!heater_is_configured(obj->printer, h->heaters.items[i]))
            config_error_option(section, "heaters", "Unknown heater '%s' in option 'heaters' of section 'homing_heaters'",
                                h->heaters.items[i]);
    printer_subscribe(obj->printer, HOMING_EVENT_MOVE_BEGIN, on_begin, h);
    printer_subscribe(obj->printer, HOMING_EVENT_MOVE_END, on_end, h);
    return OK;
}

const struct object_desc homing_heaters_desc = {
    .section = "homing_heaters",
    .flags = OBJECT_EXACT,
    .help = "Heaters are off while an endstop is looked for",
    .size_bytes = sizeof(struct homing_heaters),
    OBJECT_OPTIONS(options),
    .create = create,
};
