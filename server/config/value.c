#include "server/config/private.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_CHARS_MAX 64

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Copy a number without the '_' that may stand between two digits; false if it cannot be one. */
static bool copy_number(const char *text, char out[NUMBER_CHARS_MAX])
{
    while (is_space(*text))
        text++;
    size_t len = strlen(text), n = 0;
    while (len && is_space(text[len - 1]))
        len--;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool digit_before = i && text[i - 1] >= '0' && text[i - 1] <= '9';
        bool digit_after = i + 1 < len && text[i + 1] >= '0' && text[i + 1] <= '9';
        if (c == '_' && digit_before && digit_after)
            continue;
        if (!strchr("0123456789+-.eE", c) || n + 1 >= NUMBER_CHARS_MAX)
            return false;
        out[n++] = c;
    }
    out[n] = 0;
    return n > 0;
}

bool config_parse_float(const char *text, double *value)
{
    char number[NUMBER_CHARS_MAX], *end;
    if (!copy_number(text, number))
        return false;
    double v = strtod(number, &end);
    if (*end || !isfinite(v))
        return false;
    *value = v;
    return true;
}

bool config_parse_int(const char *text, int *value)
{
    char number[NUMBER_CHARS_MAX], *end;
    if (!copy_number(text, number) || strpbrk(number, ".eE"))
        return false;
    errno = 0;
    long v = strtol(number, &end, 10);
    if (*end || end == number || errno || v < INT_MIN || v > INT_MAX)
        return false;
    *value = (int)v;
    return true;
}
