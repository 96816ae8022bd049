#include "server/heat/sensor.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/thermistor.h"
#include "server/config/config.h"
#include "server/heat/sensor_private.h"
#include "server/heat/thermistor.h"
#include "server/machine/deprecated.h"
#include "server/machine/query_adc.h"

#include <math.h>
#include <string.h>

static const struct option_desc type_options[] = {
    {.name = "sensor_type", .type = OPTION_STRING, .flags = OPTION_REQUIRED, .help = "Which sensor it is"},
};
static const struct option_desc thermistor_options[] = {
    {.name = "sensor_pin", .type = OPTION_PIN, .flags = OPTION_REQUIRED, .help = "Analog pin"},
    {.name = "pullup_resistor", .type = OPTION_FLOAT, .unit = "ohm", .default_text = "4700.0", .limits = ">0.0",
     .help = "Pull-up of the pin"},
    {.name = "inline_resistor", .type = OPTION_FLOAT, .unit = "ohm", .default_text = "0.0", .limits = ">=0.0",
     .help = "Resistor in series with the sensor"},
};
static const struct option_desc resistance_options[] = {
    {.name = "sensor_pin", .type = OPTION_PIN, .flags = OPTION_REQUIRED, .help = "Analog pin"},
    {.name = "pullup_resistor", .type = OPTION_FLOAT, .unit = "ohm", .default_text = "4700.0", .limits = ">0.0",
     .help = "Pull-up of the pin"},
};
static const struct option_desc amplifier_options[] = {
    {.name = "sensor_pin", .type = OPTION_PIN, .flags = OPTION_REQUIRED, .help = "Analog pin"},
    {.name = "adc_voltage", .type = OPTION_FLOAT, .unit = "V", .default_text = "5.0", .limits = ">0.0",
     .help = "Reference voltage of the ADC"},
    {.name = "voltage_offset", .type = OPTION_FLOAT, .unit = "V", .default_text = "0.0", .help = "Added to the voltage"},
};
/* The kinds that are found by name. */
static const struct sensor_kind_desc *const named_kinds[] = {&sensor_host_kind, &sensor_mcu_kind, &sensor_combined_kind};

/* The tables above by the group of sensor types they belong to, for documentation and the coverage test. */
static const struct sensor_type_options analog_groups[] = {
    {"thermistor", thermistor_options, ARRAY_COUNT(thermistor_options)},
    {"PT1000", resistance_options, ARRAY_COUNT(resistance_options)},
    {"AD595", amplifier_options, ARRAY_COUNT(amplifier_options)},
};

bool sensor_type_options_at(size_t index, struct sensor_type_options *out)
{
    if (index < ARRAY_COUNT(analog_groups)) {
        *out = analog_groups[index];
        return true;
    }
    index -= ARRAY_COUNT(analog_groups);
    if (index >= ARRAY_COUNT(named_kinds))
        return false;
    const struct sensor_kind_desc *kind = named_kinds[index];
    *out = (struct sensor_type_options){kind->name, kind->options, kind->option_count};
    return true;
}

static bool is_unsupported(const char *type)
{
    static const char *const names[] = {
        "MAX6675", "MAX31855", "MAX31856", "MAX31865", "BME280",  "HTU21D", "SHT21",           "SI7013",          "SI7020",
        "SI7021",  "SHT3X",    "AHT10",    "AHT1X",    "AHT2X",   "AHT3X",  "LM75",            "DS18B20",         "ldc1612",
        "temperature_driver"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (!strcmp(names[i], type))
            return true;
    return false;
}

static void report_unknown(struct config_section *section, const char *type)
{
    if (is_unsupported(type)) {
        config_error_option(section, "sensor_type",
                            "Sensor type '%s' in section '%s' is not supported yet: Klipper has it, this program does not "
                            "have it so far",
                            type, section_name(section));
    } else {
        struct strbuf names;
        strbuf_init(&names);
        for (size_t i = 0; sensor_builtin_name(i); i++)
            strbuf_addf(&names, "%s%s", i ? ", " : "", sensor_builtin_name(i));
        for (size_t i = 0; i < ARRAY_COUNT(named_kinds); i++)
            strbuf_addf(&names, ", %s", named_kinds[i]->name);
        const struct deprecation *removed =
            deprecated_value(deprecated_options, deprecated_option_count, section_name(section), "sensor_type", type);
        config_error_option(section, "sensor_type",
                            "Unknown temperature sensor '%s' in section '%s' (%s%s%s%s%sallowed: %s, or the name of a "
                            "[thermistor] or [adc_temperature] section)",
                            type, section_name(section), removed ? "Klipper removed it on " : "", removed ? removed->since : "",
                            removed ? ": use " : "", removed ? removed->instead : "", removed ? "; " : "", names.data);
        strbuf_deinit(&names);
    }
    section_accept_all(section); /* its other options belong to the sensor */
}

void sensor_set_adc(struct sensor *s, struct config_section *section,
                    void (*callback)(void *ctx, struct print_time read_time, double value))
{
    s->adc.sample_time_s = SENSOR_ADC_SAMPLE_S;
    s->adc.sample_count = SENSOR_ADC_SAMPLES;
    s->adc.report_time_s = SENSOR_ADC_REPORT_S;
    s->adc.callback = callback;
    s->adc.ctx = s;
    query_adc_add(s->printer, section, &s->adc);
}

/* --- sensors on an analog pin, by their curve --- */

static void on_value(void *ctx, struct print_time read_time, double value)
{
    struct sensor *s = ctx;
    read_time.s += SENSOR_ADC_SAMPLE_S * SENSOR_ADC_SAMPLES;
    s->fn(s->ctx, read_time, sensor_ratio_to_temp(&s->analog.curve, &s->analog.wiring, value));
}

static void setup_analog(struct sensor *s, struct config_section *section)
{
    struct sensor_wiring *wiring = &s->analog.wiring;
    *wiring = sensor_wiring_default();
    switch (s->analog.curve.kind) {
    case SENSOR_NTC:
        section_bind(section, thermistor_options, ARRAY_COUNT(thermistor_options));
        wiring->pullup_ohm = section_float(section, "pullup_resistor");
        wiring->inline_ohm = section_float(section, "inline_resistor");
        break;
    case SENSOR_RESISTANCE:
        section_bind(section, resistance_options, ARRAY_COUNT(resistance_options));
        wiring->pullup_ohm = section_float(section, "pullup_resistor");
        break;
    case SENSOR_VOLTAGE:
        section_bind(section, amplifier_options, ARRAY_COUNT(amplifier_options));
        wiring->adc_voltage = section_float(section, "adc_voltage");
        wiring->voltage_offset = section_float(section, "voltage_offset");
        break;
    }
    analog_in_claim(&s->adc, s->printer, section, "sensor_pin", NULL);
    sensor_set_adc(s, section, on_value);
}

static void set_analog_range(struct sensor *s)
{
    double a = sensor_temp_to_ratio(&s->analog.curve, &s->analog.wiring, s->min_c);
    double b = sensor_temp_to_ratio(&s->analog.curve, &s->analog.wiring, s->max_c);
    s->adc.min_value = fmin(a, b);
    s->adc.max_value = fmax(a, b);
    s->adc.range_check_count = SENSOR_ADC_RANGE_CHECKS;
}

static enum err connect_analog(struct sensor *s, struct err_info *info)
{
    return analog_in_connect(&s->adc, info);
}

static const struct sensor_kind_desc analog_kind = {
    .report_s = SENSOR_ADC_REPORT_S,
    .setup = setup_analog,
    .set_range = set_analog_range,
    .connect = connect_analog,
};

/* --- life --- */

const char *sensor_short_name(const struct sensor *s)
{
    const char *space = strrchr(s->name, ' ');
    return space ? space + 1 : s->name;
}

static const struct sensor_kind_desc *find_kind(struct sensor *s, const char *type)
{
    const struct sensor_curve *custom = custom_sensor_curve(s->printer, type);
    if (custom)
        s->analog.curve = *custom;
    if (custom || sensor_curve_builtin(&s->analog.curve, type) == OK)
        return &analog_kind;
    for (size_t i = 0; i < ARRAY_COUNT(named_kinds); i++)
        if (!strcmp(type, named_kinds[i]->name))
            return named_kinds[i];
    return NULL;
}

struct sensor *sensor_setup(struct printer *printer, struct config_section *section, sensor_fn *fn, void *ctx)
{
    struct sensor *s = MEM_NEW(struct sensor);
    s->printer = printer;
    s->name = section_name(section);
    s->fn = fn;
    s->ctx = ctx;
    s->min_c = -SENSOR_KELVIN;
    s->max_c = INFINITY;
    s->timer.ctx = s;
    section_bind(section, type_options, ARRAY_COUNT(type_options));
    const char *type = section_string(section, "sensor_type");
    s->kind = find_kind(s, type);
    if (s->kind) {
        if (s->kind->option_count)
            section_bind(section, s->kind->options, s->kind->option_count);
        s->kind->setup(s, section);
    } else if (*type) {
        report_unknown(section, type);
    } else {
        section_accept_all(section); /* without a type nobody knows what belongs to it */
    }
    return s;
}

void sensor_destroy(struct sensor *s)
{
    if (!s)
        return;
    printer_timer_stop(s->printer, &s->timer);
    if (s->kind && s->kind->destroy)
        s->kind->destroy(s);
    mem_free(s);
}

void sensor_set_range(struct sensor *s, double min_c, double max_c)
{
    s->min_c = min_c;
    s->max_c = max_c;
    if (s->kind && s->kind->set_range)
        s->kind->set_range(s);
}

double sensor_report_time_s(const struct sensor *s)
{
    return s->kind ? s->kind->report_s : SENSOR_ADC_REPORT_S;
}

enum err sensor_connect(struct sensor *s, struct err_info *info)
{
    return s->kind && s->kind->connect ? s->kind->connect(s, info) : OK;
}

void sensor_ready(struct sensor *s)
{
    if (s->kind && s->kind->ready)
        s->kind->ready(s);
}
