/* sensor_type: temperature_mcu. The sensor inside a board's chip, on its pin ADC_TEMPERATURE: a voltage that is linear in
 * temperature. What a board's dictionary calls its chip (constant MCU) decides the line:
 *
 *   nominal     voltage at one temperature and slope from the electrical characteristics of the data sheet, with a
 *               reference of 3.3 V: STM32F103 (DS5319), STM32F2/F4 (DS6329, DS8626), RP2040 and RP2350 (data sheets,
 *               section on the ADC), SAM3X (Atmel 11057), SAM4 (11158), SAM E70 (DS60001527)
 *   calibrated  two raw readings that the maker stored, at a known reference: STM32F0 (RM0091), L4, G0, G4, H7 (data
 *               sheets, "temperature sensor calibration values"), SAM D21 (DS40001882, NVM temperature log row), SAM D51
 *               (DS60001507, the same)
 *
 * The user's own measurements come before either: two points give the line, one shifts it. */
#include "base/check.h"
#include "base/mem.h"
#include "motion/board.h"
#include "server/config/config.h"
#include "server/heat/sensor_private.h"
#include "server/machine/pins.h"

#include <math.h>
#include <string.h>

#define SUPPLY_V      3.3
#define PIN           "ADC_TEMPERATURE"
#define READ_16_BIT   1 /* orders of debug_read */
#define READ_32_BIT   2
#define BATCH_SLOPE_C 100.0 /* offline there is no chip to ask: some line */

struct line {
    double slope, base_c; /* temperature = base_c + slope * ratio of the supply */
};

static struct line line_through(double t1_c, double ratio1, double t2_c, double ratio2)
{
    double slope = (t2_c - t1_c) / (ratio2 - ratio1);
    return (struct line){slope, t1_c - slope * ratio1};
}

/* --- nominal lines --- */

static const struct nominal {
    const char *mcu; /* how the chip's name begins */
    double temp_c, volt, volt_per_c;
} nominals[] = {
    {"stm32f070", 30, 1.43, -0.0043},
    {"stm32f1", 25, 1.43, -0.0043},
    {"stm32f2", 25, 0.76, 0.0025},
    {"stm32f4", 25, 0.76, 0.0025},
    {"rp2040", 27, 0.706, -0.001721},
    {"rp2350", 27, 0.706, -0.001721},
    {"sam3", 27, 0.80, 0.00265},
    {"sam4", 27, 1.44, 0.0047},
    {"same70", 25, 0.72, 0.00233},
    {"lockstep-sim", 25, 1.43, -0.0043},
};

static struct line line_of_nominal(const struct nominal *n)
{
    double slope = SUPPLY_V / n->volt_per_c;
    return (struct line){slope, n->temp_c - slope * n->volt / SUPPLY_V};
}

/* --- calibration stored in the chip --- */

static enum err read_memory(struct board *board, unsigned order, uint32_t address, uint32_t *value, struct err_info *info)
{
    const struct board_format *command = board_command(board, "debug_read order=%c addr=%u");
    const struct board_format *response = board_response(board, "debug_result val=%u");
    if (!command || !response)
        return err_set(info, ERR_UNSUPPORTED, "MCU '%s' cannot read its calibration", board_name(board));
    struct board_reply reply;
    const struct board_timing at_once = {0};
    enum err err = board_query(board, command, BOARD_ARGS(order, address), NULL, 0, at_once, response, -1, &reply, info);
    if (!err)
        *value = board_reply_u32(&reply, "val");
    return err;
}

static const struct stored {
    const char *mcu;
    uint32_t address1, address2; /* of 16-bit readings */
    double temp1_c, temp2_c, full_scale, reference_v;
} stored_points[] = {
    {"stm32f042", 0x1FFFF7B8, 0x1FFFF7C2, 30, 110, 4095, 3.3},
    {"stm32f072", 0x1FFFF7B8, 0x1FFFF7C2, 30, 110, 4095, 3.3},
    {"stm32g0", 0x1FFF75A8, 0x1FFF75CA, 30, 130, 4095, 3.0},
    {"stm32g4", 0x1FFF75A8, 0x1FFF75CA, 30, 130, 4095, 3.0},
    {"stm32l4", 0x1FFF75A8, 0x1FFF75CA, 30, 130, 4095, 3.0},
    {"stm32h743", 0x1FF1E820, 0x1FF1E840, 30, 110, 65535, 3.3},
    {"stm32h750", 0x1FF1E820, 0x1FF1E840, 30, 110, 65535, 3.3},
};

static enum err read_stored(struct board *board, const struct stored *p, struct line *line, struct err_info *info)
{
    uint32_t raw1 = 0, raw2 = 0;
    enum err err = read_memory(board, READ_16_BIT, p->address1, &raw1, info);
    if (!err)
        err = read_memory(board, READ_16_BIT, p->address2, &raw2, info);
    if (err)
        return err;
    if (raw1 == raw2)
        return err_set(info, ERR_INVALID, "MCU '%s' holds no calibration of its temperature sensor", board_name(board));
    double scale = p->reference_v / (p->full_scale * SUPPLY_V);
    *line = line_through(p->temp1_c, raw1 * scale, p->temp2_c, raw2 * scale);
    return OK;
}

/* Bits first..last of the row, at most 32 of them. */
static uint32_t bits(const uint32_t row[3], unsigned first, unsigned last)
{
    uint64_t two = row[first / 32] | (uint64_t)(first / 32 < 2 ? row[first / 32 + 1] : 0) << 32;
    return (uint32_t)(two >> first % 32 & ((UINT64_C(1) << (last - first + 1)) - 1));
}

static double tenths(uint32_t whole, uint32_t decimal)
{
    return whole + decimal / 10.0;
}

/* SAM D21: room and hot readings, each with the error of the 1 V reference [mV, signed] it was taken with. SAM D51: two
 * sensors; the one whose voltage rises is read here. */
static enum err read_samd(struct board *board, bool is_d51, struct line *line, struct err_info *info)
{
    uint32_t row[3] = {0}, address = is_d51 ? 0x00800100 : 0x00806030;
    for (unsigned i = 0; i < (is_d51 ? 3 : 2); i++) {
        enum err err = read_memory(board, READ_32_BIT, address + 4 * i, &row[i], info);
        if (err)
            return err;
    }
    double cold_c = tenths(bits(row, 0, 7), bits(row, 8, 11)), hot_c = tenths(bits(row, 12, 19), bits(row, 20, 23));
    double cold_v = bits(row, 40, 51) / 4095.0, hot_v = bits(row, 52, 63) / 4095.0;
    if (!is_d51) {
        cold_v *= 1.0 - (int8_t)bits(row, 24, 31) / 1000.0;
        hot_v *= 1.0 - (int8_t)bits(row, 32, 39) / 1000.0;
    }
    if (cold_v == hot_v)
        return err_set(info, ERR_INVALID, "MCU '%s' holds no calibration of its temperature sensor", board_name(board));
    *line = line_through(cold_c, cold_v / SUPPLY_V, hot_c, hot_v / SUPPLY_V);
    return OK;
}

static bool begins(const char *text, const char *start)
{
    return !strncmp(text, start, strlen(start));
}

static enum err find_line(struct board *board, struct line *line, struct err_info *info)
{
    struct board_constant mcu;
    if (board_constant_find(board, "MCU", &mcu, info) != OK)
        mcu.text = "";
    for (size_t i = 0; i < ARRAY_COUNT(nominals); i++)
        if (begins(mcu.text, nominals[i].mcu)) {
            *line = line_of_nominal(&nominals[i]);
            return OK;
        }
    for (size_t i = 0; i < ARRAY_COUNT(stored_points); i++)
        if (begins(mcu.text, stored_points[i].mcu))
            return read_stored(board, &stored_points[i], line, info);
    if (begins(mcu.text, "samd21"))
        return read_samd(board, false, line, info);
    if (begins(mcu.text, "samd51") || begins(mcu.text, "same5"))
        return read_samd(board, true, line, info);
    return err_set(info, ERR_UNSUPPORTED,
                   "MCU temperature not supported on %s: give sensor_temperature1, sensor_adc1, sensor_temperature2 and "
                   "sensor_adc2",
                   mcu.text);
}

/* --- hooks --- */

static void on_value(void *ctx, struct print_time read_time, double value)
{
    struct sensor *s = ctx;
    read_time.s += SENSOR_ADC_SAMPLE_S * SENSOR_ADC_SAMPLES;
    s->fn(s->ctx, read_time, s->mcu.base_c + s->mcu.slope * value);
}

static void read_points(struct sensor *s, struct config_section *section)
{
    if (!section_has(section, "sensor_temperature1"))
        return;
    s->mcu.point_c[0] = section_float(section, "sensor_temperature1");
    s->mcu.point_ratio[0] = section_float_required(section, "sensor_adc1");
    s->mcu.point_count = 1;
    if (!section_has(section, "sensor_temperature2"))
        return;
    s->mcu.point_c[1] = section_float(section, "sensor_temperature2");
    s->mcu.point_ratio[1] = section_float_required(section, "sensor_adc2");
    s->mcu.point_count = 2;
    if (s->mcu.point_ratio[0] == s->mcu.point_ratio[1])
        config_error_option(section, "sensor_adc2", "Option 'sensor_adc2' in section '%s' must differ from sensor_adc1",
                            s->name);
}

static void setup(struct sensor *s, struct config_section *section)
{
    const char *board = section_string(section, "sensor_mcu");
    read_points(s, section);
    s->adc = (struct analog_in){.printer = s->printer, .oid = -1};
    char *pin = mem_sprintf("%s:" PIN, board);
    s->adc.is_claimed = pins_claim_text(s->printer->pins, section, "sensor_mcu", pin, 0, NULL, &s->adc.pin);
    mem_free(pin);
    sensor_set_adc(s, section, on_value);
}

static enum err connect_mcu(struct sensor *s, struct err_info *info)
{
    struct board *board = pin_board(&s->adc.pin);
    if (!board)
        return err_set(info, ERR_INVALID, "sensor_mcu of section '%s' is not a board", s->name);
    struct line line = {BATCH_SLOPE_C, 0};
    const double *t = s->mcu.point_c, *ratio = s->mcu.point_ratio;
    if (s->mcu.point_count == 2) {
        line = line_through(t[0], ratio[0], t[1], ratio[1]);
    } else if (!board_is_file(board)) {
        enum err err = find_line(board, &line, info);
        if (err)
            return err;
    }
    if (s->mcu.point_count == 1)
        line.base_c = t[0] - line.slope * ratio[0];
    s->mcu.slope = line.slope;
    s->mcu.base_c = line.base_c;
    double a = (s->min_c - line.base_c) / line.slope, b = (s->max_c - line.base_c) / line.slope;
    s->adc.min_value = fmax(0, fmin(a, b));
    s->adc.max_value = fmin(1, fmax(a, b));
    s->adc.range_check_count = SENSOR_ADC_RANGE_CHECKS;
    return analog_in_connect(&s->adc, info);
}

static const struct option_desc options[] = {
    {.name = "sensor_mcu", .type = OPTION_STRING, .default_text = "mcu", .help = "Board whose chip is measured"},
    {.name = "sensor_temperature1", .type = OPTION_FLOAT, .unit = "C", .help = "Temperature of a measurement of your own"},
    {.name = "sensor_adc1", .type = OPTION_FLOAT, .flags = OPTION_CONDITIONAL, .limits = ">=0.0 <=1.0",
     .when = "sensor_temperature1 is given", .help = "What QUERY_ADC showed at that temperature"},
    {.name = "sensor_temperature2", .type = OPTION_FLOAT, .unit = "C", .when = "sensor_temperature1 is given",
     .help = "Temperature of a second measurement"},
    {.name = "sensor_adc2", .type = OPTION_FLOAT, .flags = OPTION_CONDITIONAL, .limits = ">=0.0 <=1.0",
     .when = "sensor_temperature1 and sensor_temperature2 are given", .help = "What QUERY_ADC showed then"},
};

const struct sensor_kind_desc sensor_mcu_kind = {
    .name = "temperature_mcu",
    .options = options,
    .option_count = ARRAY_COUNT(options),
    .report_s = SENSOR_ADC_REPORT_S,
    .setup = setup,
    .connect = connect_mcu,
};
