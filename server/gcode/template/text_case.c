/* Letter case and classes of characters: libunistring, wrapped here. */
#include "server/gcode/template/args.h"

#include "base/check.h"

#include <string.h>

#include <stdlib.h>
#include <unicase.h>
#include <unictype.h>

uint32_t text_next(const char **p)
{
    const unsigned char *s = (const unsigned char *)*p;
    unsigned more = s[0] < 0x80 ? 0 : s[0] < 0xe0 ? 1 : s[0] < 0xf0 ? 2 : 3;
    uint32_t c = more == 0 ? s[0] : s[0] & (0x3fu >> more);
    for (unsigned i = 1; i <= more; i++)
        c = c << 6 | (s[i] & 0x3f);
    *p += more + 1;
    return c;
}

size_t text_encode(uint32_t c, char text[5])
{
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    unsigned more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    size_t len = 0;
    text[len++] = (char)(lead[more] | (c >> (6 * more)));
    while (more-- > 0)
        text[len++] = (char)(0x80 | ((c >> (6 * more)) & 0x3f));
    text[len] = 0;
    return len;
}

void text_case_append(struct strbuf *out, const char *text, size_t len_bytes, enum text_case kind)
{
    bool is_ascii = true;
    for (size_t i = 0; i < len_bytes && is_ascii; i++)
        is_ascii = (unsigned char)text[i] < 0x80;
    if (is_ascii && kind != TEXT_TITLE) {
        for (size_t i = 0; i < len_bytes; i++) {
            char c = text[i];
            if (kind == TEXT_UPPER ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z')
                c = (char)(c ^ 0x20);
            strbuf_addc(out, c);
        }
        return;
    }
    size_t len = 0;
    const uint8_t *in = (const uint8_t *)text;
    uint8_t *result = kind == TEXT_UPPER   ? u8_toupper(in, len_bytes, NULL, NULL, NULL, &len)
                      : kind == TEXT_LOWER ? u8_tolower(in, len_bytes, NULL, NULL, NULL, &len)
                      : kind == TEXT_FOLD  ? u8_casefold(in, len_bytes, NULL, NULL, NULL, &len)
                                           : u8_totitle(in, len_bytes, NULL, NULL, NULL, &len);
    CHECK(result != NULL || len == 0);
    if (len)
        strbuf_add(out, (const char *)result, len);
    free(result);
}

/* The same for ASCII, which nearly every text is. */
static bool ascii_class_is(uint32_t c, enum text_class kind)
{
    bool is_upper = c >= 'A' && c <= 'Z', is_lower = c >= 'a' && c <= 'z', is_digit = c >= '0' && c <= '9';
    switch (kind) {
    case CLASS_ALPHA:
        return is_upper || is_lower;
    case CLASS_DIGIT:
    case CLASS_DECIMAL:
    case CLASS_NUMERIC:
        return is_digit;
    case CLASS_SPACE:
        return c == ' ' || (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x1f);
    case CLASS_UPPER:
        return is_upper;
    case CLASS_LOWER:
        return is_lower;
    case CLASS_TITLE:
        return false;
    case CLASS_PRINT:
        return c >= 0x20 && c < 0x7f;
    case CLASS_NAME_START:
        return is_upper || is_lower || c == '_';
    case CLASS_NAME:
        return is_upper || is_lower || is_digit || c == '_';
    }
    return false;
}

int text_digit(uint32_t c)
{
    return c < 0x80 ? (c >= '0' && c <= '9' ? (int)c - '0' : -1) : uc_decimal_value(c);
}

bool text_class_is(uint32_t c, enum text_class kind)
{
    if (c < 0x80)
        return ascii_class_is(c, kind);
    switch (kind) {
    case CLASS_ALPHA:
        return uc_is_general_category(c, UC_CATEGORY_L);
    case CLASS_DIGIT:
        return uc_digit_value(c) >= 0;
    case CLASS_DECIMAL:
        return uc_is_general_category(c, UC_CATEGORY_Nd);
    case CLASS_NUMERIC:
        return uc_numeric_value(c).denominator != 0;
    case CLASS_SPACE:
        return (c >= 0x1c && c <= 0x1f) || c == 0x85 || uc_is_property(c, UC_PROPERTY_WHITE_SPACE);
    case CLASS_UPPER:
        return uc_is_property(c, UC_PROPERTY_UPPERCASE);
    case CLASS_LOWER:
        return uc_is_property(c, UC_PROPERTY_LOWERCASE);
    case CLASS_TITLE:
        return uc_is_general_category(c, UC_CATEGORY_Lt);
    case CLASS_NAME_START:
        return uc_is_property(c, UC_PROPERTY_XID_START);
    case CLASS_NAME:
        return uc_is_property(c, UC_PROPERTY_XID_CONTINUE);
    case CLASS_PRINT:
        return c == ' ' || !(uc_is_general_category(c, UC_CATEGORY_C) || uc_is_general_category(c, UC_CATEGORY_Z));
    }
    return false;
}
