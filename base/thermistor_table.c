/* The built-in sensor types. Thermistors by three points or by one point and beta, from the makers' data sheets: TDK
 * (EPCOS series 8305, NTCG), Semitec (GT-2, NT-4), Honeywell, Vishay-type MGB18, Slice Engineering. Platinum sensors by
 * IEC 60751 (R = R0 (1 + A t + B t^2), A = 3.9083e-3, B = -5.775e-7). Amplifiers by the output tables of Analog Devices
 * (AD594/AD595 data sheet, revision C) and of the INA826 board (E3D). */
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

static const struct sensor_point pt1000_ohm[] = {{0, 1000.0},   {100, 1385.1}, {200, 1758.6},
                                                 {300, 2120.5}, {400, 2470.9}, {500, 2809.8}};

static const struct sensor_point ad595_volt[] = {
    {0, .0027},   {10, .101},   {20, .200},   {25, .250},   {30, .300},   {40, .401},   {50, .503},   {60, .605},
    {80, .810},   {100, 1.015}, {120, 1.219}, {140, 1.420}, {160, 1.620}, {180, 1.817}, {200, 2.015}, {220, 2.213},
    {240, 2.413}, {260, 2.614}, {280, 2.817}, {300, 3.022}, {320, 3.227}, {340, 3.434}, {360, 3.641}, {380, 3.849},
    {400, 4.057}, {420, 4.266}, {440, 4.476}, {460, 4.686}, {480, 4.896},
};

static const struct sensor_point ina826_volt[] = {
    {0, 0.00},   {1, 1.11},   {10, 1.15},  {20, 1.20},  {30, 1.24},  {40, 1.28},   {50, 1.32},
    {60, 1.36},  {70, 1.40},  {80, 1.44},  {90, 1.48},  {100, 1.52}, {110, 1.56},  {120, 1.61},
    {130, 1.65}, {140, 1.68}, {150, 1.72}, {160, 1.76}, {170, 1.80}, {180, 1.84},  {190, 1.88},
    {200, 1.92}, {210, 1.96}, {220, 2.00}, {230, 2.04}, {240, 2.07}, {250, 2.11},  {260, 2.15},
    {270, 2.18}, {280, 2.22}, {290, 2.26}, {300, 2.29}, {310, 2.33}, {320, 2.37},  {330, 2.41},
    {340, 2.44}, {350, 2.48}, {360, 2.51}, {370, 2.55}, {380, 2.58}, {390, 2.62},  {400, 2.66},
    {500, 3.00}, {600, 3.33}, {700, 3.63}, {800, 3.93}, {900, 4.21}, {1000, 4.48}, {1100, 4.73},
};

static const struct table {
    const char *name;
    enum sensor_kind kind;
    const struct sensor_point *points;
    size_t count;
} tables[] = {
    {"PT1000", SENSOR_RESISTANCE, pt1000_ohm, ARRAY_COUNT(pt1000_ohm)},
    {"AD595", SENSOR_VOLTAGE, ad595_volt, ARRAY_COUNT(ad595_volt)},
    {"PT100 INA826", SENSOR_VOLTAGE, ina826_volt, ARRAY_COUNT(ina826_volt)},
};

const char *sensor_builtin_name(size_t index)
{
    if (index < ARRAY_COUNT(thermistors))
        return thermistors[index].name;
    index -= ARRAY_COUNT(thermistors);
    return index < ARRAY_COUNT(tables) ? tables[index].name : NULL;
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
    for (size_t i = 0; i < ARRAY_COUNT(tables); i++) {
        if (!strcmp(tables[i].name, name))
            return sensor_curve_from_table(curve, tables[i].kind, tables[i].points, tables[i].count);
    }
    return ERR_NOT_FOUND;
}
