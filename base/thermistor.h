/* What temperature sensors read: the curve of each sensor type, both ways. The host turns an ADC reading into a
 * temperature with it, the simulated printer a temperature into a reading. Pure; any thread.
 *
 * The input of a board's ADC is a ratio in [0, 1] of its reference voltage. Sensors are one of three kinds:
 *   NTC         a thermistor from the pin to ground, a pull-up from the pin to the reference; Steinhart-Hart
 *   RESISTANCE  the same wiring with a resistance read from a table by linear interpolation (platinum sensors)
 *   VOLTAGE     an amplifier's output voltage, read from a table by linear interpolation */
#ifndef BASE_THERMISTOR_H
#define BASE_THERMISTOR_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define SENSOR_POINTS_MAX  64
#define SENSOR_KELVIN      273.15
#define SENSOR_PULLUP_OHM  4700.0 /* usual on printer boards */
#define SENSOR_ADC_VOLTAGE 5.0    /* reference of VOLTAGE sensors unless configured */

enum sensor_kind { SENSOR_NTC, SENSOR_RESISTANCE, SENSOR_VOLTAGE };

struct sensor_point {
    double temp_c;
    double value; /* ohm or volt */
};

struct sensor_curve {
    enum sensor_kind kind;
    double c1, c2, c3;  /* NTC: 1/T = c1 + c2 ln R + c3 (ln R)^3, T in kelvin, R in ohm */
    size_t point_count; /* RESISTANCE, VOLTAGE: table, temperature rising */
    struct sensor_point points[SENSOR_POINTS_MAX];
};

/* How the sensor is wired to the ADC. */
struct sensor_wiring {
    double pullup_ohm;     /* > 0, NTC and RESISTANCE */
    double inline_ohm;     /* >= 0, in series with the sensor, NTC only */
    double adc_voltage;    /* > 0, VOLTAGE */
    double voltage_offset; /* VOLTAGE */
};
struct sensor_wiring sensor_wiring_default(void);

/* The curve of a built-in sensor type by its configuration name ("EPCOS 100K B57560G104F", "PT1000", "AD595", ...),
 * case sensitive. ERR_NOT_FOUND if there is none of that name. */
enum err sensor_curve_builtin(struct sensor_curve *curve, const char *name) ERR_NODISCARD;
/* Names of the built-in curves; NULL past the end. */
const char *sensor_builtin_name(size_t index);

/* A thermistor from three measured points (temperatures [C] different, resistances [ohm] > 0 and different).
 * Source: Steinhart and Hart 1968, three linear equations in c1, c2, c3. ERR_INVALID if the points do not describe an
 * NTC. Falls back to the beta form of the outer points if c3 would be negative or zero. */
enum err sensor_curve_from_points(struct sensor_curve *curve, const struct sensor_point points[3]) ERR_NODISCARD;
/* A thermistor from one point and its beta [K] > 0: 1/T = 1/T1 + ln(R/R1)/beta. */
enum err sensor_curve_from_beta(struct sensor_curve *curve, double temp_c, double ohm, double beta) ERR_NODISCARD;
/* A linear table of `count` points (2..SENSOR_POINTS_MAX), given in any order; values strictly monotonic in
 * temperature. */
enum err sensor_curve_from_table(struct sensor_curve *curve, enum sensor_kind kind, const struct sensor_point *points,
                                 size_t count) ERR_NODISCARD;

double sensor_temp_to_ohm(const struct sensor_curve *curve, double temp_c); /* NTC, RESISTANCE */
double sensor_ohm_to_temp(const struct sensor_curve *curve, double ohm);    /* ohm > 0 */

/* ADC ratio [0, 1] at `temp_c`; clamped to [0, 1]. */
double sensor_temp_to_ratio(const struct sensor_curve *curve, const struct sensor_wiring *wiring, double temp_c);
/* Temperature [C] at an ADC ratio. The ratio is kept within [0.00001, 0.99999], so the result is always finite. */
double sensor_ratio_to_temp(const struct sensor_curve *curve, const struct sensor_wiring *wiring, double ratio);

#endif
