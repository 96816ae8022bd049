/* Building a plant and finding things in it. */
#include "firmware/plant/plant.h"

#include "base/check.h"
#include "base/fmath.h"
#include "firmware/plant/internal.h"

#include <string.h>

#define AMBIENT_USUAL_C 25.0

/* --- pins --- */

/* The board's number of `pin`. */
static enum err find_pin(const struct plant *plant, const struct plant_pin *pin, const char *owner, uint32_t *number,
                         struct err_info *info)
{
    if (pin->board >= plant->board_count)
        return err_set(info, ERR_NOT_FOUND, "Pin %s of %s is on a board that does not exist", pin->name, owner);
    *number = sim_board_pin(plant->boards[pin->board], pin->name);
    if (*number == UINT32_MAX)
        return err_set(info, ERR_NOT_FOUND, "Pin %s of %s does not exist on its board", pin->name, owner);
    return OK;
}

enum err plant_watch(struct plant *plant, const struct plant_pin *pin, const char *owner, sim_output_fn *fn, void *ctx,
                     struct err_info *info)
{
    uint32_t number;
    enum err e = pin->name ? find_pin(plant, pin, owner, &number, info) : OK;
    if (pin->name && !e)
        sim_board_watch(plant->boards[pin->board], number, fn, ctx);
    return e;
}

enum err plant_feed(struct plant *plant, const struct plant_pin *pin, const char *owner, sim_input_fn *fn, void *ctx,
                    struct err_info *info)
{
    uint32_t number;
    enum err e = pin->name ? find_pin(plant, pin, owner, &number, info) : OK;
    if (pin->name && !e)
        sim_board_set_input(plant->boards[pin->board], number, fn, ctx);
    return e;
}

double plant_pin_duty(const struct plant_pin *pin, uint32_t level)
{
    if (level == SIM_LEVEL_FLOATING)
        return 0;
    double duty = (double)level / SIM_PWM_MAX;
    return pin->is_inverted ? 1 - duty : duty;
}

int64_t plant_time_ns(const struct plant *plant, const struct plant_pin *pin, struct mcu_ticks clock)
{
    return sim_board_host_time(plant->boards[pin->board], clock).ns;
}

int64_t plant_sync(struct plant *plant, const struct plant_pin *pin, struct mcu_ticks clock)
{
    struct host_ns now = sim_board_host_time(plant->boards[pin->board], clock);
    for (size_t i = 0; plant->board_count > 1 && i < plant->board_count; i++) {
        if (i != pin->board)
            sim_board_catch_up(plant->boards[i], now);
    }
    return now.ns;
}

/* --- creation --- */

static const char *copy_name(struct plant *p, const char *name)
{
    return arena_strdup(&p->names, name ? name : "");
}

static void copy_pin(struct plant *p, struct plant_pin *pin)
{
    if (pin->name)
        pin->name = arena_strdup(&p->names, pin->name);
}

static void copy_motion(struct plant *p, const struct plant_desc *desc)
{
    p->motors = MEM_ARRAY(struct motor, desc->motor_count + 1);
    for (size_t i = 0; i < desc->motor_count; i++) {
        struct plant_motor *d = &p->motors[i].desc;
        *d = desc->motors[i];
        d->name = copy_name(p, d->name);
        copy_pin(p, &d->step);
        copy_pin(p, &d->dir);
        copy_pin(p, &d->enable);
    }
    p->motor_count = desc->motor_count;
    p->endstops = MEM_ARRAY(struct endstop, desc->endstop_count + 1);
    for (size_t i = 0; i < desc->endstop_count; i++) {
        p->endstops[i] = (struct endstop){.desc = desc->endstops[i], .plant = p};
        p->endstops[i].desc.name = copy_name(p, desc->endstops[i].name);
        copy_pin(p, &p->endstops[i].desc.pin);
        copy_pin(p, &p->endstops[i].desc.control);
    }
    p->endstop_count = desc->endstop_count;
    p->switches = MEM_ARRAY(struct held_switch, desc->switch_count + 1);
    for (size_t i = 0; i < desc->switch_count; i++) {
        p->switches[i].desc = desc->switches[i];
        p->switches[i].desc.name = copy_name(p, desc->switches[i].name);
        copy_pin(p, &p->switches[i].desc.pin);
    }
    p->switch_count = desc->switch_count;
    p->wheels = MEM_ARRAY(struct wheel, desc->wheel_count + 1);
    for (size_t i = 0; i < desc->wheel_count; i++) {
        p->wheels[i] = (struct wheel){.desc = desc->wheels[i], .plant = p};
        p->wheels[i].desc.name = copy_name(p, desc->wheels[i].name);
        copy_pin(p, &p->wheels[i].desc.pin);
    }
    p->wheel_count = desc->wheel_count;
}

static void copy_heat(struct plant *p, const struct plant_desc *desc)
{
    p->fans = MEM_ARRAY(struct fan, desc->fan_count + 1);
    for (size_t i = 0; i < desc->fan_count; i++) {
        p->fans[i] = (struct fan){.desc = desc->fans[i], .plant = p};
        p->fans[i].desc.name = copy_name(p, desc->fans[i].name);
        copy_pin(p, &p->fans[i].desc.pin);
        copy_pin(p, &p->fans[i].desc.tach);
    }
    p->fan_count = desc->fan_count;
    p->heaters = MEM_ARRAY(struct heater, desc->heater_count + 1);
    for (size_t i = 0; i < desc->heater_count; i++) {
        p->heaters[i].desc = desc->heaters[i];
        p->heaters[i].plant = p;
        p->heaters[i].desc.name = copy_name(p, desc->heaters[i].name);
        copy_pin(p, &p->heaters[i].desc.pin);
    }
    p->heater_count = desc->heater_count;
    p->sensors = MEM_ARRAY(struct sensor, desc->sensor_count + 1);
    for (size_t i = 0; i < desc->sensor_count; i++) {
        p->sensors[i] = (struct sensor){.desc = desc->sensors[i], .plant = p};
        p->sensors[i].desc.name = copy_name(p, desc->sensors[i].name);
        copy_pin(p, &p->sensors[i].desc.pin);
    }
    p->sensor_count = desc->sensor_count;
}

static void copy_geometry(struct plant *p, const struct plant_desc *desc)
{
    p->kinematics = desc->kinematics;
    p->bed_tilt_x = desc->bed_tilt_x;
    p->bed_tilt_y = desc->bed_tilt_y;
    p->ambient_c = desc->ambient_c != 0 ? desc->ambient_c : AMBIENT_USUAL_C;
    for (int i = 0; i < 3; i++) {
        double angle = desc->delta_angle_deg[i] * FM_PI / 180;
        p->arms_mm[i] = desc->delta_arm_mm[i];
        if (desc->kinematics == PLANT_DELTA) {
            p->anchors[i][0] = desc->delta_radius_mm * fm_cos(angle);
            p->anchors[i][1] = desc->delta_radius_mm * fm_sin(angle);
        } else {
            memcpy(p->anchors[i], desc->winch_anchor_mm[i], sizeof(p->anchors[i]));
        }
    }
}

enum err plant_create(struct plant **plant, const struct plant_desc *desc, struct err_info *info)
{
    struct plant *p = MEM_NEW(struct plant);
    arena_init(&p->names, 0);
    p->boards = MEM_ARRAY(struct sim_board *, desc->board_count + 1);
    memcpy(p->boards, desc->boards, desc->board_count * sizeof(*p->boards));
    p->board_count = desc->board_count;
    copy_geometry(p, desc);
    copy_motion(p, desc);
    copy_heat(p, desc);
    enum err e = plant_wire_motion(p, info);
    if (!e)
        e = plant_wire_heat(p, info);
    if (e) { /* pins that are wired already keep pointing here: the boards must go too */
        plant_destroy(p);
        return e;
    }
    *plant = p;
    return OK;
}

void plant_destroy(struct plant *p)
{
    if (!p)
        return;
    arena_deinit(&p->names);
    mem_free(p->motors);
    mem_free(p->endstops);
    mem_free(p->switches);
    mem_free(p->wheels);
    mem_free(p->heaters);
    mem_free(p->sensors);
    mem_free(p->fans);
    mem_free(p->boards);
    mem_free(p);
}

/* --- finding --- */

#define FIND(function, array, count_field)                                                                             \
    size_t function(const struct plant *plant, const char *name)                                                       \
    {                                                                                                                  \
        for (size_t i = 0; i < plant->count_field; i++) {                                                              \
            if (!strcmp(plant->array[i].desc.name, name))                                                              \
                return i;                                                                                              \
        }                                                                                                              \
        return SIZE_MAX;                                                                                               \
    }

FIND(plant_find_motor, motors, motor_count)
FIND(plant_find_heater, heaters, heater_count)
FIND(plant_find_sensor, sensors, sensor_count)
FIND(plant_find_endstop, endstops, endstop_count)
FIND(plant_find_switch, switches, switch_count)
FIND(plant_find_wheel, wheels, wheel_count)
