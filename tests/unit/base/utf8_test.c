/* Every code point encodes to one sequence; every other string of up to four bytes is none. */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static size_t encode(uint32_t c, unsigned char out[4])
{
    if (c < 0x80) {
        out[0] = (unsigned char)c;
        return 1;
    }
    size_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char heads[] = {0, 0xc0, 0xe0, 0xf0};
    out[0] = (unsigned char)(heads[more] | c >> (6 * more));
    for (size_t i = 1; i <= more; i++)
        out[i] = (unsigned char)(0x80 | (c >> (6 * (more - i)) & 0x3f));
    return more + 1;
}

static void all_code_points(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x120000; c++) {
        unsigned char text[4];
        size_t len = encode(c, text);
        bool is_valid = c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
        assert_int_equal(utf8_sequence(text, len), is_valid ? len : 0);
        if (len > 1)
            assert_int_equal(utf8_sequence(text, len - 1), 0); /* cut */
    }
}

static void what_is_none(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x80", "\xbf\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xf0\x80\x80\x80",
                                      "\xf5\x80\x80\x80", "\xff", "\xc3(", "\xe2\x82(", "\xed\xa0\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(utf8_sequence((const unsigned char *)bad[i], strlen(bad[i])), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_code_points), cmocka_unit_test(what_is_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
