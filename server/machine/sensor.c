#include "server/machine/sensor.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/thermistor.h"
#include "server/config/config.h"
#include "server/machine/objects.h"
#include "server/machine/output.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/machine/thermistor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ADC_SAMPLE_TIME_S 0.001
#define ADC_SAMPLE_COUNT 8
#define ADC_REPORT_S 0.3
#define ADC_RANGE_CHECKS 4   /* reports out of range in a row before the board stops */
#define HOST_REPORT_S 1.0
#define HOST_VIRTUAL_C 40.0  /* what the computer's sensor shows in virtual time, where nothing real is read */

enum sensor_source { SOURCE_NONE, SOURCE_ADC, SOURCE_HOST };

struct sensor {
    struct printer *printer;
    enum sensor_source source;
    sensor_fn *fn;
    void *ctx;
    double min_c, max_c;
    /* ADC */
    struct analog_in adc;
    struct sensor_curve curve;
    struct sensor_wiring wiring;
    /* host */
    const char *path;
    struct printer_timer timer;
    struct host_sensor *shown;
};

/* The computer's sensor is also an object of its own, under the last word of its section's name. */
struct host_sensor {
    struct printer_object obj;
    double temp_c;
};

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
static const struct option_desc host_options[] = {
    {.name = "sensor_path", .type = OPTION_STRING, .default_text = "/sys/class/thermal/thermal_zone0/temp",
     .help = "File that holds the temperature in thousandths of a degree"},
};

/* The tables above by the group of sensor types they belong to, for documentation and the coverage test. */
const struct sensor_type_options sensor_type_options[] = {
    {"thermistor", thermistor_options, ARRAY_COUNT(thermistor_options)},
    {"PT1000", resistance_options, ARRAY_COUNT(resistance_options)},
    {"AD595", amplifier_options, ARRAY_COUNT(amplifier_options)},
    {"temperature_host", host_options, ARRAY_COUNT(host_options)},
    {NULL, NULL, 0},
};

static bool is_unsupported(const char *type)
{
    static const char *const names[] = {
        "MAX6675", "MAX31855", "MAX31856", "MAX31865", "BME280",  "HTU21D", "SHT21",           "SI7013",          "SI7020",
        "SI7021",  "SHT3X",    "AHT10",    "AHT1X",    "AHT2X",   "AHT3X",  "LM75",            "DS18B20",         "ldc1612",
        "temperature_mcu",     "temperature_combined", "temperature_driver"};
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
        config_error_option(section, "sensor_type",
                            "Unknown temperature sensor '%s' in section '%s' (allowed: %s, temperature_host, or the name of "
                            "a [thermistor] or [adc_temperature] section)",
                            type, section_name(section), names.data);
        strbuf_deinit(&names);
    }
    section_accept_all(section); /* its other options belong to the sensor */
}

static void on_value(void *ctx, struct print_time read_time, double value)
{
    struct sensor *s = ctx;
    read_time.s += ADC_SAMPLE_TIME_S * ADC_SAMPLE_COUNT;
    s->fn(s->ctx, read_time, sensor_ratio_to_temp(&s->curve, &s->wiring, value));
}

static void setup_adc(struct sensor *s, struct config_section *section)
{
    s->source = SOURCE_ADC;
    s->wiring = sensor_wiring_default();
    switch (s->curve.kind) {
    case SENSOR_NTC:
        section_bind(section, thermistor_options, ARRAY_COUNT(thermistor_options));
        s->wiring.pullup_ohm = section_float(section, "pullup_resistor");
        s->wiring.inline_ohm = section_float(section, "inline_resistor");
        break;
    case SENSOR_RESISTANCE:
        section_bind(section, resistance_options, ARRAY_COUNT(resistance_options));
        s->wiring.pullup_ohm = section_float(section, "pullup_resistor");
        break;
    case SENSOR_VOLTAGE:
        section_bind(section, amplifier_options, ARRAY_COUNT(amplifier_options));
        s->wiring.adc_voltage = section_float(section, "adc_voltage");
        s->wiring.voltage_offset = section_float(section, "voltage_offset");
        break;
    }
    analog_in_claim(&s->adc, s->printer, section, "sensor_pin");
    s->adc.sample_time_s = ADC_SAMPLE_TIME_S;
    s->adc.sample_count = ADC_SAMPLE_COUNT;
    s->adc.report_time_s = ADC_REPORT_S;
    s->adc.callback = on_value;
    s->adc.ctx = s;
}

/* --- the computer's own sensor --- */

static double read_host(const struct sensor *s)
{
    if (runtime_is_virtual(s->printer->services->runtime))
        return HOST_VIRTUAL_C;
    FILE *f = fopen(s->path, "re");
    double thousandths = NAN;
    if (f && fscanf(f, "%lf", &thousandths) != 1)
        thousandths = NAN;
    if (f)
        (void)fclose(f);
    return thousandths / 1000;
}

static struct host_ns on_host_timer(void *ctx, struct host_ns now)
{
    struct sensor *s = ctx;
    double temp_c = read_host(s);
    if (isnan(temp_c)) /* the sensor is not there: a reading of zero, as long as the range allows it */
        temp_c = 0;
    if (temp_c < s->min_c || temp_c > s->max_c) {
        printer_shutdown(s->printer, "HOST temperature %.1f %s temperature of %.1f.", temp_c,
                         temp_c < s->min_c ? "below minimum" : "above maximum", temp_c < s->min_c ? s->min_c : s->max_c);
        return HOST_NS_NEVER;
    }
    if (s->shown)
        s->shown->temp_c = temp_c;
    s->fn(s->ctx, printer_est_print_time(s->printer), temp_c);
    return host_ns_add_s(now, HOST_REPORT_S);
}

static void setup_host(struct sensor *s, struct config_section *section)
{
    section_bind(section, host_options, ARRAY_COUNT(host_options));
    s->source = SOURCE_HOST;
    s->path = section_string(section, "sensor_path");
    const char *space = strrchr(section_name(section), ' ');
    char *name = mem_sprintf("temperature_host %s", space ? space + 1 : section_name(section));
    s->shown = (struct host_sensor *)printer_load_object(s->printer, name, section);
    mem_free(name);
}

static void host_status(struct printer_object *obj, struct status_writer *writer)
{
    status_float_round(writer, "temperature", ((struct host_sensor *)obj)->temp_c, 2);
}

static const struct status_field_desc host_fields[] = {{"temperature", "float", "last reading"}};

const struct object_desc temperature_host_desc = {
    .section = "temperature_host",
    .flags = OBJECT_NAMED | OBJECT_ON_DEMAND | OBJECT_INTERNAL,
    .help = "The computer's own temperature.",
    .size_bytes = sizeof(struct host_sensor),
    OBJECT_FIELDS(host_fields),
    .status = host_status,
};

/* --- life --- */

struct sensor *sensor_setup(struct printer *printer, struct config_section *section, sensor_fn *fn, void *ctx)
{
    struct sensor *s = MEM_NEW(struct sensor);
    s->printer = printer;
    s->fn = fn;
    s->ctx = ctx;
    s->min_c = -SENSOR_KELVIN;
    s->max_c = INFINITY;
    s->timer.fn = on_host_timer;
    s->timer.ctx = s;
    section_bind(section, type_options, ARRAY_COUNT(type_options));
    const char *type = section_string(section, "sensor_type");
    const struct sensor_curve *custom = custom_sensor_curve(printer, type);
    if (custom) {
        s->curve = *custom;
        setup_adc(s, section);
    } else if (sensor_curve_builtin(&s->curve, type) == OK) {
        setup_adc(s, section);
    } else if (!strcmp(type, "temperature_host")) {
        setup_host(s, section);
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
    mem_free(s);
}

void sensor_set_range(struct sensor *s, double min_c, double max_c)
{
    s->min_c = min_c;
    s->max_c = max_c;
    if (s->source != SOURCE_ADC)
        return;
    double a = sensor_temp_to_ratio(&s->curve, &s->wiring, min_c), b = sensor_temp_to_ratio(&s->curve, &s->wiring, max_c);
    s->adc.min_value = fmin(a, b);
    s->adc.max_value = fmax(a, b);
    s->adc.range_check_count = ADC_RANGE_CHECKS;
}

double sensor_report_time_s(const struct sensor *s)
{
    return s->source == SOURCE_HOST ? HOST_REPORT_S : ADC_REPORT_S;
}

enum err sensor_connect(struct sensor *s, struct err_info *info)
{
    return s->source == SOURCE_ADC ? analog_in_connect(&s->adc, info) : OK;
}

void sensor_ready(struct sensor *s)
{
    if (s->source == SOURCE_HOST)
        printer_timer_start(s->printer, &s->timer, host_ns_add_s(printer_now(s->printer), HOST_REPORT_S));
}
