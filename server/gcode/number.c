/* Numbers as G-code has them. Almost all are short decimals such as -12.345: with at most 19 significant digits held in
 * 64 bits, a mantissa below 2^53 and a power of ten up to 10^22 are both exact doubles, so one multiplication or
 * division rounds correctly (Clinger 1990). Everything else goes to strtod. */
#include "server/gcode/gcode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES_MAX 512 /* longest text of a number */

static const double power_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                      1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A text whose syntax has been checked, the slow way. */
static enum err parse_slowly(const char *text, size_t len_bytes, double *out)
{
    char copy[NUMBER_BYTES_MAX + 1];
    if (len_bytes > NUMBER_BYTES_MAX)
        return ERR_LIMIT;
    memcpy(copy, text, len_bytes);
    copy[len_bytes] = 0;
    double value = strtod(copy, NULL);
    if (!isfinite(value))
        return ERR_INVALID;
    *out = value;
    return OK;
}

/* The exponent's digits at *pos, with their sign; false: none there. Saturates. */
static bool parse_exponent(const char **pos, const char *end, int *exponent)
{
    const char *p = *pos;
    bool is_negative = false;
    if (p < end && (*p == '+' || *p == '-'))
        is_negative = *p++ == '-';
    if (p == end || !is_digit(*p))
        return false;
    int value = 0;
    for (; p < end && is_digit(*p); p++)
        value = value < 100000 ? value * 10 + (*p - '0') : value;
    *exponent = is_negative ? -value : value;
    *pos = p;
    return true;
}

enum err gcode_parse_double(const char *text, size_t len_bytes, double *out)
{
    const char *p = text, *end = text + len_bytes;
    while (p < end && is_blank(*p))
        p++;
    while (end > p && is_blank(end[-1]))
        end--;
    const char *first = p;
    bool is_negative = false;
    if (p < end && (*p == '+' || *p == '-'))
        is_negative = *p++ == '-';

    uint64_t mantissa = 0;
    const char *digits = p;
    for (; p < end && is_digit(*p); p++)
        mantissa = mantissa * 10 + (uint64_t)(*p - '0');
    long digit_count = p - digits, fraction_count = 0;
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        for (; p < end && is_digit(*p); p++)
            mantissa = mantissa * 10 + (uint64_t)(*p - '0');
        fraction_count = p - fraction;
        digit_count += fraction_count;
    }
    if (digit_count == 0)
        return ERR_INVALID;
    int exponent = 0;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (!parse_exponent(&p, end, &exponent))
            return ERR_INVALID;
    }
    if (p != end)
        return ERR_INVALID;
    if (digit_count > 19)
        return parse_slowly(first, (size_t)(end - first), out);
    long scale = exponent - fraction_count;
    if (mantissa > (1ULL << 53) || scale < -22 || scale > 22)
        return parse_slowly(first, (size_t)(end - first), out);
    double value = (double)mantissa;
    value = scale < 0 ? value / power_of_ten[-scale] : value * power_of_ten[scale];
    *out = is_negative ? -value : value;
    return OK;
}

void gcode_format_number(struct strbuf *sb, double value)
{
    if (isfinite(value))
        strbuf_add_json_double(sb, value);
    else
        strbuf_adds(sb, isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
}
