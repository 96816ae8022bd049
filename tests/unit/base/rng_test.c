/* Random numbers: a seed repeats, bounds hold, UUIDs have their form. */
#include "base/rng.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void seeds_repeat_and_bounds_hold(void **state)
{
    (void)state;
    struct rng a, b, c;
    rng_init(&a, 1);
    rng_init(&b, 1);
    rng_init(&c, 2);
    unsigned same = 0, seen[7] = {0};
    for (int i = 0; i < 7000; i++) {
        uint64_t x = rng_u64(&a);
        assert_true(x == rng_u64(&b));
        same += x == rng_u64(&c);
        uint64_t below = rng_below(&a, 7);
        assert_true(below == rng_below(&b, 7) && below < 7);
        seen[below]++;
        double unit = rng_range(&a, -2, 3);
        assert_true(unit >= -2 && unit < 3);
        (void)rng_range(&b, -2, 3);
    }
    assert_int_equal(same, 0);
    for (int i = 0; i < 7; i++)
        assert_true(seen[i] > 800 && seen[i] < 1200);
}

static void uuids_have_their_form(void **state)
{
    (void)state;
    char one[RNG_UUID_BYTES], other[RNG_UUID_BYTES];
    rng_uuid(one);
    rng_uuid(other);
    assert_int_equal(strlen(one), RNG_UUID_BYTES - 1);
    assert_string_not_equal(one, other);
    for (int i = 0; i < RNG_UUID_BYTES - 1; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23)
            assert_int_equal(one[i], '-');
        else
            assert_true(isxdigit((unsigned char)one[i]) && !isupper((unsigned char)one[i]));
    }
    assert_int_equal(one[14], '4');
    assert_non_null(strchr("89ab", one[19]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_repeat_and_bounds_hold),
        cmocka_unit_test(uuids_have_their_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
