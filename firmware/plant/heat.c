/* Heaters, the sensors on them, and fans.
 *
 * A heater is a lump of metal with a sensor that lags behind it:
 *   C dT/dt = P d(t - delay) - (k + kf f) (T - Ta)      tau dS/dt = T - S
 * C capacity, P power, d duty, k losses, f speed of the fan that blows at it, Ta ambient. The equations are stepped in
 * cells of 20 ms on a grid of absolute time (explicit Euler; the fastest time constant is 25 cells, so the error is far
 * below what an ADC resolves). Within a cell the duty is averaged exactly from the pin's edges: when the model is
 * looked at makes no difference. A fan follows its pin with a first-order lag. */
#include "base/fmath.h"
#include "firmware/plant/internal.h"

static void average_to(struct averaged *a, int64_t now_ns)
{
    if (now_ns > a->since_ns) {
        a->sum_ns += a->level * (double)(now_ns - a->since_ns);
        a->since_ns = now_ns;
    }
}

/* --- fans --- */

void plant_advance_fan(struct fan *fan, int64_t now_ns)
{
    double dt = (double)(now_ns - fan->at_ns) * 1e-9;
    if (!fan->at_ns || !(dt > 0)) {
        fan->at_ns = fan->at_ns ? fan->at_ns : now_ns;
        return;
    }
    double decay = fm_exp(-dt / PLANT_FAN_TAU_S);
    double before = fan->speed;
    fan->speed = fan->level + (before - fan->level) * decay;
    double turns = fan->level * dt + (before - fan->level) * PLANT_FAN_TAU_S * (1 - decay); /* integral of the speed */
    fan->phase += turns * fan->desc.rpm_max / 60 * fan->desc.tach_ppr;
    fan->phase -= fm_floor(fan->phase);
    fan->at_ns = now_ns;
}

static void fan_pin_changed(void *ctx, struct mcu_ticks clock, uint32_t level)
{
    struct fan *fan = ctx;
    plant_advance_fan(fan, plant_time_ns(fan->plant, &fan->desc.pin, clock));
    fan->level = plant_pin_duty(&fan->desc.pin, level);
}

static uint32_t tach_input(void *ctx, struct mcu_ticks clock)
{
    struct fan *fan = ctx;
    plant_advance_fan(fan, plant_sync(fan->plant, &fan->desc.tach, clock));
    return (fan->phase < 0.5) != fan->desc.tach.is_inverted;
}

/* --- heaters --- */

static double delayed_duty(struct heater *h, double duty)
{
    if (!h->delay_cells)
        return duty;
    double out = h->delayed[h->delay_at];
    h->delayed[h->delay_at] = duty;
    h->delay_at = (h->delay_at + 1) % h->delay_cells;
    return out;
}

static void step_cell(struct heater *h)
{
    const struct plant_heater *d = &h->desc;
    double dt = PLANT_CELL_NS * 1e-9;
    double duty = delayed_duty(h, h->duty.sum_ns / PLANT_CELL_NS);
    if (h->is_shorted)
        duty = 1;
    if (h->is_cut)
        duty = 0;
    double loss_w_k = d->loss_w_k;
    if (d->fan >= 0) {
        struct fan *fan = &h->plant->fans[d->fan];
        plant_advance_fan(fan, h->cell_end_ns);
        loss_w_k += d->fan_loss_w_k * fan->speed;
    }
    double flow_w = d->power_w * duty - loss_w_k * (h->block_c - h->plant->ambient_c);
    double block_c = h->block_c;
    h->block_c += dt / d->capacity_j_k * flow_w;
    h->sensed_c += dt / d->sensor_tau_s * (block_c - h->sensed_c);
}

void plant_advance_heater(struct heater *h, int64_t now_ns)
{
    if (!h->cell_end_ns) { /* the first look starts the model: before it nothing was on */
        h->duty.since_ns = now_ns;
        h->cell_end_ns = now_ns - now_ns % PLANT_CELL_NS + PLANT_CELL_NS;
    }
    while (h->cell_end_ns <= now_ns) {
        average_to(&h->duty, h->cell_end_ns);
        step_cell(h);
        h->duty.sum_ns = 0;
        h->cell_end_ns += PLANT_CELL_NS;
    }
    average_to(&h->duty, now_ns);
}

static void heater_pin_changed(void *ctx, struct mcu_ticks clock, uint32_t level)
{
    struct heater *h = ctx;
    plant_advance_heater(h, plant_time_ns(h->plant, &h->desc.pin, clock));
    h->duty.level = plant_pin_duty(&h->desc.pin, level);
}

/* --- sensors --- */

static double sensor_temp_c(const struct sensor *s)
{
    double base_c = s->desc.heater >= 0 ? s->plant->heaters[s->desc.heater].sensed_c : s->plant->ambient_c;
    return base_c + s->desc.offset_c;
}

static uint32_t sensor_adc(const struct sensor *s)
{
    double ratio = sensor_temp_to_ratio(&s->desc.curve, &s->desc.wiring, sensor_temp_c(s));
    return (uint32_t)fm_round(ratio * SIM_ADC_MAX);
}

static uint32_t sensor_input(void *ctx, struct mcu_ticks clock)
{
    struct sensor *s = ctx;
    int64_t now_ns = plant_sync(s->plant, &s->desc.pin, clock);
    if (s->desc.heater >= 0)
        plant_advance_heater(&s->plant->heaters[s->desc.heater], now_ns);
    switch (s->fault) {
    case PLANT_SENSOR_FROZEN:
        return s->frozen_adc;
    case PLANT_SENSOR_OPEN:
        return SIM_ADC_MAX;
    case PLANT_SENSOR_SHORTED:
        return 0;
    case PLANT_SENSOR_OK:
    default:
        return sensor_adc(s);
    }
}

/* --- wiring --- */

static enum err wire_heater(struct plant *plant, struct heater *h, struct err_info *info)
{
    if (!(h->desc.capacity_j_k > 0) || !(h->desc.sensor_tau_s >= 0.1) || h->desc.fan >= (int)plant->fan_count)
        return err_set(info, ERR_INVALID, "Heater %s of the simulated printer makes no sense", h->desc.name);
    double cells = h->desc.delay_s * 1e9 / PLANT_CELL_NS;
    h->delay_cells = cells > PLANT_DELAY_MAX ? PLANT_DELAY_MAX : cells > 0 ? (unsigned)cells : 0;
    h->block_c = h->sensed_c = plant->ambient_c;
    return plant_watch(plant, &h->desc.pin, h->desc.name, heater_pin_changed, h, info);
}

enum err plant_wire_heat(struct plant *plant, struct err_info *info)
{
    enum err e = OK;
    for (size_t i = 0; i < plant->fan_count && !e; i++) {
        struct fan *fan = &plant->fans[i];
        e = plant_watch(plant, &fan->desc.pin, fan->desc.name, fan_pin_changed, fan, info);
        if (!e)
            e = plant_feed(plant, &fan->desc.tach, fan->desc.name, tach_input, fan, info);
    }
    for (size_t i = 0; i < plant->heater_count && !e; i++)
        e = wire_heater(plant, &plant->heaters[i], info);
    for (size_t i = 0; i < plant->sensor_count && !e; i++) {
        struct sensor *s = &plant->sensors[i];
        if (s->desc.heater >= (int)plant->heater_count)
            return err_set(info, ERR_NOT_FOUND, "Sensor %s sits on a heater that does not exist", s->desc.name);
        e = plant_feed(plant, &s->desc.pin, s->desc.name, sensor_input, s, info);
    }
    return e;
}

/* --- looking and interfering --- */

static int64_t present_ns(const struct plant *plant)
{
    int64_t now = 0;
    for (size_t i = 0; i < plant->board_count; i++) {
        int64_t at = sim_board_host_time(plant->boards[i], sim_board_clock(plant->boards[i])).ns;
        now = at > now ? at : now;
    }
    return now;
}

double plant_heater_temp_c(struct plant *plant, size_t index)
{
    plant_advance_heater(&plant->heaters[index], present_ns(plant));
    return plant->heaters[index].block_c;
}

double plant_sensor_temp_c(struct plant *plant, size_t index)
{
    const struct sensor *s = &plant->sensors[index];
    if (s->desc.heater >= 0)
        plant_advance_heater(&plant->heaters[s->desc.heater], present_ns(plant));
    return sensor_temp_c(s);
}

double plant_heater_duty(const struct plant *plant, size_t index)
{
    return plant->heaters[index].duty.level;
}

double plant_fan_speed(const struct plant *plant, size_t index)
{
    plant_advance_fan(&plant->fans[index], present_ns(plant));
    return plant->fans[index].speed;
}

void plant_cut_heater(struct plant *plant, size_t heater, bool is_cut)
{
    plant_advance_heater(&plant->heaters[heater], present_ns(plant));
    plant->heaters[heater].is_cut = is_cut;
}

void plant_short_heater(struct plant *plant, size_t heater, bool is_shorted)
{
    plant_advance_heater(&plant->heaters[heater], present_ns(plant));
    plant->heaters[heater].is_shorted = is_shorted;
}

void plant_fault_sensor(struct plant *plant, size_t sensor, enum plant_sensor_fault fault)
{
    struct sensor *s = &plant->sensors[sensor];
    s->frozen_adc = sensor_adc(s);
    s->fault = fault;
}

void plant_set_ambient_c(struct plant *plant, double ambient_c)
{
    plant->ambient_c = ambient_c;
}
