/* The built-in sensor types. Thermistors by three points or by one point and beta, from the makers' data sheets: TDK
 * (EPCOS series 8305, NTCG), Semitec (GT-2, NT-4), Honeywell, Vishay-type MGB18, Slice Engineering. Platinum sensors by
 * IEC 60751 (R = R0 (1 + A t + B t^2)), alone or behind the INA826 of the E3D board (gain 10, 4.4 kohm to 5 V).
 * Thermocouple amplifiers by the reference tables of their thermocouples (types J and K) and the transfer functions in the
 * data sheets of Analog Devices: AD594/AD595 rev. C, AD596/AD597 rev. B, AD8494 to AD8497 rev. C. */
#include "base/check.h"
#include "base/thermistor.h"

#include <string.h>

struct builtin {
    const char *name;
    struct sensor_point points[3];
    double beta; /* > 0: points[0] and beta */
};

static const struct builtin thermistors[] = {
    {"ATC Semitec 104GT-2", {{20, 126800}, {150, 1360}, {300, 80.65}}, 0},
    {"ATC Semitec 104NT-4-R025H42G", {{25, 100000}, {160, 1074}, {300, 82.78}}, 0},
    {"EPCOS 100K B57560G104F", {{25, 100000}, {150, 1641.9}, {250, 226.15}}, 0},
    {"Generic 3950", {{25, 100000}}, 3950},
    {"Honeywell 100K 135-104LAG-J01", {{25, 100000}}, 3974},
    {"NTC 100K MGB18-104F39050L32", {{25, 100000}}, 4100},
    {"SliceEngineering 450", {{25, 500000}, {200, 3734}, {400, 240}}, 0},
    {"TDK NTCG104LH104JT1", {{25, 100000}, {50, 31230}, {125, 2066}}, 0},
};

/* Electromotive force [mV] with the other end at 0 C, from the polynomials of ITS-90 (NIST Monograph 175). */
static const struct sensor_point type_k_mv[] = {
    {-200, -5.891}, {-160, -5.141}, {-120, -4.138}, {-80, -2.920}, {-40, -1.527}, {-20, -0.778}, {0, 0.000},
    {20, 0.798}, {40, 1.612}, {60, 2.436}, {80, 3.267}, {100, 4.096}, {120, 4.920}, {140, 5.735}, {160, 6.540},
    {180, 7.340}, {200, 8.138}, {220, 8.940}, {240, 9.747}, {260, 10.561}, {280, 11.382}, {300, 12.209},
    {320, 13.040}, {340, 13.874}, {360, 14.713}, {380, 15.554}, {400, 16.397}, {420, 17.243}, {440, 18.091},
    {460, 18.941}, {480, 19.792}, {500, 20.644}, {520, 21.497}, {540, 22.350}, {560, 23.203}, {580, 24.055},
    {600, 24.905}, {620, 25.755}, {640, 26.602}, {660, 27.447}, {680, 28.289}, {700, 29.129}, {720, 29.965},
    {740, 30.798}, {760, 31.628}, {780, 32.453}, {800, 33.275}, {820, 34.093}, {840, 34.908}, {860, 35.718},
    {880, 36.524}, {900, 37.326}, {920, 38.124}, {940, 38.918}, {960, 39.708}, {980, 40.494}, {1000, 41.276},
    {1020, 42.053}, {1040, 42.826}, {1060, 43.595}, {1080, 44.359},
};
static const struct sensor_point type_j_mv[] = {
    {-200, -7.890}, {-160, -6.821}, {-120, -5.426}, {-80, -3.786}, {-40, -1.961}, {-20, -0.995}, {0, 0.000},
    {20, 1.019}, {40, 2.059}, {60, 3.116}, {80, 4.187}, {100, 5.269}, {120, 6.360}, {140, 7.459}, {160, 8.562},
    {180, 9.669}, {200, 10.779}, {220, 11.889}, {240, 13.000}, {260, 14.110}, {280, 15.219}, {300, 16.327},
    {320, 17.434}, {340, 18.538}, {360, 19.642}, {380, 20.745}, {400, 21.848}, {420, 22.952}, {440, 24.057},
    {460, 25.164}, {480, 26.276}, {500, 27.393}, {520, 28.516}, {540, 29.647}, {560, 30.788}, {580, 31.939},
    {600, 33.102}, {620, 34.279}, {640, 35.470}, {660, 36.675}, {680, 37.896}, {700, 39.132}, {720, 40.382},
    {740, 41.645}, {760, 42.919}, {780, 44.203}, {800, 45.494}, {820, 46.786}, {840, 48.074}, {860, 49.353},
    {880, 50.622}, {900, 51.877}, {920, 53.119}, {940, 54.347}, {960, 55.561}, {980, 56.763}, {1000, 57.953},
    {1020, 59.134}, {1040, 60.307}, {1060, 61.473}, {1080, 62.634},
};

/* Amplifiers that compensate for their own temperature: output [mV] = (emf - emf_at) * gain + offset. */
static const struct amplifier {
    const char *name;
    const struct sensor_point *emf;
    double emf_at_mv, gain, offset_mv;
} amplifiers[] = {
    {"AD595", type_k_mv, -0.011, 247.3, 0},
    {"AD597", type_k_mv, 0, 245.46, 0},
    {"AD8494", type_j_mv, 1.277, 96.7, 125}, /* right at an ambient temperature of 25 C ... */
    {"AD8495", type_k_mv, 1.000, 122.4, 125},
    {"AD8496", type_j_mv, 3.116, 90.35, 300}, /* ... and of 60 C, at 5 mV/C */
    {"AD8497", type_k_mv, 2.436, 122.4, 300},
};

/* Platinum: points of the curve of IEC 60751, PLATINUM_STEP_C apart. */
#define PLATINUM_A      3.9083e-3
#define PLATINUM_B      -5.775e-7
#define PLATINUM_STEP_C 10.0
#define PLATINUM_POINTS 51 /* to 500 C */
#define INA826_GAIN     10.0
#define INA826_PULLUP   4400.0 /* [ohm] to 5 V */

static double platinum_ohm(double r0_ohm, double temp_c)
{
    return r0_ohm * (1 + PLATINUM_A * temp_c + PLATINUM_B * temp_c * temp_c);
}

static enum err platinum_curve(struct sensor_curve *curve, bool is_amplified)
{
    struct sensor_point points[PLATINUM_POINTS];
    for (size_t i = 0; i < PLATINUM_POINTS; i++) {
        double temp_c = PLATINUM_STEP_C * (double)i, ohm = platinum_ohm(is_amplified ? 100 : 1000, temp_c);
        points[i].temp_c = temp_c;
        points[i].value = is_amplified ? INA826_GAIN * SENSOR_ADC_VOLTAGE * ohm / (INA826_PULLUP + ohm) : ohm;
    }
    return sensor_curve_from_table(curve, is_amplified ? SENSOR_VOLTAGE : SENSOR_RESISTANCE, points, PLATINUM_POINTS);
}

static enum err amplifier_curve(struct sensor_curve *curve, const struct amplifier *a)
{
    struct sensor_point points[ARRAY_COUNT(type_k_mv)];
    for (size_t i = 0; i < ARRAY_COUNT(points); i++) {
        points[i].temp_c = a->emf[i].temp_c;
        points[i].value = ((a->emf[i].value - a->emf_at_mv) * a->gain + a->offset_mv) / 1000;
    }
    return sensor_curve_from_table(curve, SENSOR_VOLTAGE, points, ARRAY_COUNT(points));
}

static const char *const platinum_names[] = {"PT1000", "PT100 INA826"};

const char *sensor_builtin_name(size_t index)
{
    if (index < ARRAY_COUNT(thermistors))
        return thermistors[index].name;
    index -= ARRAY_COUNT(thermistors);
    if (index < ARRAY_COUNT(platinum_names))
        return platinum_names[index];
    index -= ARRAY_COUNT(platinum_names);
    return index < ARRAY_COUNT(amplifiers) ? amplifiers[index].name : NULL;
}

enum err sensor_curve_builtin(struct sensor_curve *curve, const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(thermistors); i++) {
        const struct builtin *b = &thermistors[i];
        if (strcmp(b->name, name) != 0)
            continue;
        if (b->beta > 0)
            return sensor_curve_from_beta(curve, b->points[0].temp_c, b->points[0].value, b->beta);
        return sensor_curve_from_points(curve, b->points);
    }
    for (size_t i = 0; i < ARRAY_COUNT(platinum_names); i++)
        if (!strcmp(platinum_names[i], name))
            return platinum_curve(curve, i == 1);
    for (size_t i = 0; i < ARRAY_COUNT(amplifiers); i++)
        if (!strcmp(amplifiers[i].name, name))
            return amplifier_curve(curve, &amplifiers[i]);
    return ERR_NOT_FOUND;
}
