/* What the kinds of temperature sensors share. Each kind is one table of hooks in a file of its own. */
#ifndef SERVER_HEAT_SENSOR_PRIVATE_H
#define SERVER_HEAT_SENSOR_PRIVATE_H

#include "base/thermistor.h"
#include "server/config/option.h"
#include "server/heat/sensor.h"
#include "server/machine/output.h"
#include "server/machine/printer.h"

struct config_section;

#define SENSOR_ADC_SAMPLE_S     0.001
#define SENSOR_ADC_SAMPLES      8
#define SENSOR_ADC_REPORT_S     0.3
#define SENSOR_ADC_RANGE_CHECKS 4 /* reports out of range in a row before the board stops */

/* One kind. NULL hooks: nothing to do. */
struct sensor_kind_desc {
    const char *name; /* sensor_type; NULL: found by its curve */
    const struct option_desc *options;
    size_t option_count;
    double report_s;
    void (*setup)(struct sensor *s, struct config_section *section);
    void (*set_range)(struct sensor *s); /* min_c and max_c are new */
    enum err (*connect)(struct sensor *s, struct err_info *info);
    void (*ready)(struct sensor *s);
    void (*destroy)(struct sensor *s);
};

extern const struct sensor_kind_desc sensor_host_kind, sensor_mcu_kind, sensor_combined_kind;

struct sensor {
    struct printer *printer;
    const struct sensor_kind_desc *kind; /* NULL: unusable, an error has been added */
    const char *name;                    /* of the section */
    sensor_fn *fn;
    void *ctx;
    double min_c, max_c;
    struct analog_in adc; /* kinds that have one */
    struct printer_timer timer; /* kinds that are read by the host */
    union {
        struct {
            struct sensor_curve curve;
            struct sensor_wiring wiring;
        } analog;
        struct {
            const char *path;
            struct host_sensor *shown;
        } host;
        struct {
            double slope, base_c; /* temperature = base_c + slope * ratio, once connected */
            double point_c[2], point_ratio[2]; /* as configured */
            int point_count;
            const char *board;
        } mcu;
        struct combined_sensor *combined; /* an object of the printer */
    };
};

/* What every kind asks of its claimed analog pin; QUERY_ADC knows it then. */
void sensor_set_adc(struct sensor *s, struct config_section *section,
                    void (*callback)(void *ctx, struct print_time read_time, double value));
/* The last word of a section's name, under which some kinds show themselves: "chamber" of "heater_generic chamber". */
const char *sensor_short_name(const struct sensor *s);

#endif
