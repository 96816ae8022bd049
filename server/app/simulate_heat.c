/* Fans, heaters and sensors of a configuration. The parameters of heaters are chosen so that the machine does what its
 * configuration asks of it; values and reasons are in docs/design/simulated-printer.md. */
#include "server/app/simulate_internal.h"

#include <stdio.h>
#include <string.h>

#define HEADROOM        1.5 /* a heater at full power would end this much above max_temp, seen from the room */
#define HOTEND_LOSS_W_K 0.15
#define HOTEND_RATE_K_S 3.0
#define BED_POWER_W     300.0
#define BED_RATE_K_S    0.6
#define CHIP_OFFSET_C   10.0 /* a board's chip is warmer than the room */

void derive_fan(struct derived *d, const struct config_section *section)
{
    struct plant_fan fan = {.name = section_name(section), .rpm_max = 6000, .tach_ppr = 2};
    if (d->desc.fan_count == DERIVED_ITEMS_MAX || !derive_pin(d, section, "pin", &fan.pin))
        return;
    (void)derive_pin(d, section, "tachometer_pin", &fan.tach);
    fan.tach_ppr = derive_number(section, "tachometer_ppr", 2);
    d->fans[d->desc.fan_count++] = fan;
    strbuf_addf(&d->signature, "fan %s\n", fan.name);
}

void derive_heater(struct derived *d, const struct config_section *section)
{
    const char *name = section_name(section);
    struct plant_heater heater = {.name = name, .fan = -1};
    if (d->desc.heater_count == DERIVED_ITEMS_MAX || !derive_pin(d, section, "heater_pin", &heater.pin))
        return;
    bool is_hotend = derive_starts_with(name, "extruder");
    double span = derive_number(section, "max_temp", is_hotend ? 300 : 130) - DERIVED_AMBIENT_C;
    if (!(span > 20))
        span = 20;
    if (is_hotend) {
        heater.loss_w_k = HOTEND_LOSS_W_K;
        heater.power_w = HEADROOM * span * heater.loss_w_k;
        heater.capacity_j_k = heater.power_w / HOTEND_RATE_K_S;
        heater.sensor_tau_s = 3;
        heater.delay_s = 0.5;
        for (size_t i = 0; i < d->desc.fan_count && heater.fan < 0; i++)
            heater.fan = strcmp(d->fans[i].name, "fan") ? -1 : (int)i;
        heater.fan_loss_w_k = 0.15 * heater.loss_w_k;
    } else {
        heater.power_w = BED_POWER_W;
        heater.loss_w_k = heater.power_w / (HEADROOM * span);
        heater.capacity_j_k = heater.power_w / BED_RATE_K_S;
        heater.sensor_tau_s = 4;
        heater.delay_s = 1;
    }
    d->heaters[d->desc.heater_count++] = heater;
    strbuf_addf(&d->signature, "heater %s %.17g\n", name, span);
}

/* A sensor type of the configuration's own: [thermistor NAME] or [adc_temperature NAME]. */
static enum err custom_curve(struct sensor_curve *curve, const struct config *config, const char *type)
{
    char name[96], key[32];
    struct sensor_point points[SENSOR_POINTS_MAX];
    snprintf(name, sizeof(name), "thermistor %s", type);
    const struct config_section *section = config_find(config, name);
    bool is_thermistor = section != NULL;
    if (!section) {
        snprintf(name, sizeof(name), "adc_temperature %s", type);
        section = config_find(config, name);
    }
    if (!section)
        return ERR_NOT_FOUND;
    bool is_voltage = !is_thermistor && !derive_text(section, "resistance1");
    size_t count = 0;
    for (size_t n = 1; n <= SENSOR_POINTS_MAX; n++, count++) {
        snprintf(key, sizeof(key), "temperature%zu", n);
        if (!derive_text(section, key))
            break;
        points[count].temp_c = derive_number(section, key, 0);
        snprintf(key, sizeof(key), "%s%zu", is_voltage ? "voltage" : "resistance", n);
        points[count].value = derive_number(section, key, 0);
    }
    double beta = derive_number(section, "beta", 0);
    if (is_thermistor && beta > 0 && count)
        return sensor_curve_from_beta(curve, points[0].temp_c, points[0].value, beta);
    if (is_thermistor)
        return count < 3 ? ERR_INVALID : sensor_curve_from_points(curve, points);
    return sensor_curve_from_table(curve, is_voltage ? SENSOR_VOLTAGE : SENSOR_RESISTANCE, points, count);
}

/* The sensor inside a simulated board's chip, as server/heat/sensor_mcu.c knows it: 1.43 V at 25 C, 4.3 mV less per
 * degree, of 3.3 V. */
static void derive_chip_sensor(struct derived *d, const struct config_section *section)
{
    const char *board = derive_text(section, "sensor_mcu");
    int index = derived_board_index(d, board ? board : "mcu");
    struct plant_sensor sensor = {.name = section_name(section),
                                  .pin = {.board = (unsigned)index, .name = "ADC_TEMPERATURE"},
                                  .wiring = sensor_wiring_default(),
                                  .heater = -1,
                                  .offset_c = CHIP_OFFSET_C};
    const struct sensor_point line[] = {{0, 1.43 + 25 * 0.0043}, {100, 1.43 - 75 * 0.0043}};
    sensor.wiring.adc_voltage = 3.3;
    if (index < 0 || sensor_curve_from_table(&sensor.curve, SENSOR_VOLTAGE, line, 2) != OK)
        return;
    d->sensors[d->desc.sensor_count++] = sensor;
    strbuf_addf(&d->signature, "chip sensor %s %d\n", sensor.name, index);
}

void derive_sensor(struct derived *d, const struct config *config, const struct config_section *section)
{
    struct plant_sensor sensor = {.name = section_name(section), .heater = -1, .wiring = sensor_wiring_default()};
    const char *type = derive_text(section, "sensor_type");
    if (type && !strcmp(type, "temperature_mcu") && d->desc.sensor_count < DERIVED_ITEMS_MAX) {
        derive_chip_sensor(d, section);
        return;
    }
    if (!type || d->desc.sensor_count == DERIVED_ITEMS_MAX || !derive_pin(d, section, "sensor_pin", &sensor.pin))
        return;
    if (sensor_curve_builtin(&sensor.curve, type) && custom_curve(&sensor.curve, config, type))
        return; /* not read through an ADC, or not known: a plain pin */
    sensor.wiring.pullup_ohm = derive_number(section, "pullup_resistor", SENSOR_PULLUP_OHM);
    sensor.wiring.inline_ohm = derive_number(section, "inline_resistor", 0);
    sensor.wiring.adc_voltage = derive_number(section, "adc_voltage", SENSOR_ADC_VOLTAGE);
    sensor.wiring.voltage_offset = derive_number(section, "voltage_offset", 0);
    for (size_t i = 0; i < d->desc.heater_count; i++) {
        if (!strcmp(d->heaters[i].name, sensor.name))
            sensor.heater = (int)i;
    }
    d->sensors[d->desc.sensor_count++] = sensor;
    strbuf_addf(&d->signature, "sensor %s %s %.17g\n", sensor.name, type, sensor.wiring.pullup_ohm);
}
