/* strbuf, strmap, arena, pool, rng: text and memory. */
#include "base/mem.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "base/strmap.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void check_json_string(const char *in, size_t len, const char *out)
{
    struct strbuf sb;
    strbuf_init(&sb);
    strbuf_add_json_string(&sb, in, len);
    assert_string_equal(sb.data, out);
    strbuf_deinit(&sb);
}

static void test_json_strings(void **state)
{
    (void)state;
    check_json_string("a\"b\\c\n\t\r\x01", 9, "\"a\\\"b\\\\c\\n\\t\\r\\u0001\"");
    check_json_string("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    check_json_string("\xff\xc3", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");                 /* no UTF-8; cut short */
    check_json_string("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""); /* a surrogate */
    check_json_string("\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");                 /* overlong */
    check_json_string("\0x", 2, "\"\\u0000x\"");
}

static void test_json_doubles_read_back(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 5);
    struct strbuf sb;
    strbuf_init(&sb);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = rng_u64(&rng);
        double x;
        memcpy(&x, &bits, sizeof x);
        if (i % 2)
            x = rng_range(&rng, -1e4, 1e4);
        strbuf_clear(&sb);
        strbuf_add_json_double(&sb, x);
        if (isfinite(x))
            assert_true(strtod(sb.data, NULL) == x);
        else
            assert_string_equal(sb.data, "null");
    }
    strbuf_clear(&sb);
    strbuf_add_json_double(&sb, 3.0);
    strbuf_addc(&sb, ' ');
    strbuf_add_json_double(&sb, 0.1);
    strbuf_addc(&sb, ' ');
    strbuf_add_json_double(&sb, 1e-05);
    assert_string_equal(sb.data, "3.0 0.1 1e-05");
    strbuf_deinit(&sb);
}

static void test_map_keeps_order_and_replaces(void **state)
{
    (void)state;
    struct strmap map;
    int values[3] = {0};
    strmap_init(&map);
    assert_null(strmap_set(&map, "b", &values[0]));
    assert_null(strmap_set(&map, "a", &values[1]));
    assert_ptr_equal(strmap_set(&map, "b", &values[2]), &values[0]);
    assert_ptr_equal(strmap_get(&map, "b"), &values[2]);
    assert_ptr_equal(strmap_getn(&map, "abc", 1), &values[1]);
    assert_null(strmap_get(&map, "c"));
    assert_string_equal(strmap_key(strmap_first(&map)), "b");
    assert_string_equal(strmap_key(strmap_next(strmap_first(&map))), "a");
    assert_ptr_equal(strmap_remove(&map, "b"), &values[2]);
    assert_int_equal(strmap_count(&map), 1);
    strmap_deinit(&map);
}

static void test_arena_and_pool(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 100000);
    for (int i = 0; i < 100; i++) {
        char *p = arena_alloc(&arena, 500);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (int k = 0; k < 500; k++)
            assert_int_equal(p[k], 0);
        memset(p, 0xaa, 500);
    }
    assert_true(arena_fits(&arena, 50000));
    assert_false(arena_fits(&arena, 50001));
    assert_string_equal(arena_sprintf(&arena, "%d-%s", 7, "x"), "7-x");
    assert_non_null(arena_alloc(&arena, 20000)); /* a block of its own */
    arena_deinit(&arena);

    struct pool pool;
    pool_init(&pool, 3, 4);
    void *items[4];
    for (int i = 0; i < 4; i++)
        assert_non_null(items[i] = pool_take(&pool));
    assert_null(pool_take(&pool));
    pool_give(&pool, items[2]);
    assert_ptr_equal(pool_take(&pool), items[2]);
    pool_deinit(&pool);
}

static void test_random_numbers_repeat_and_spread(void **state)
{
    (void)state;
    struct rng a, b;
    rng_init(&a, 1);
    rng_init(&b, 1);
    unsigned hits[10] = {0};
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(rng_u64(&a), rng_u64(&b));
        hits[rng_below(&a, 10)]++;
        (void)rng_below(&b, 10);
        double u = rng_unit(&a);
        (void)rng_unit(&b);
        assert_true(u >= 0.0 && u < 1.0);
    }
    for (int i = 0; i < 10; i++)
        assert_true(hits[i] > 9500 && hits[i] < 10500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_strings),
        cmocka_unit_test(test_json_doubles_read_back),
        cmocka_unit_test(test_map_keeps_order_and_replaces),
        cmocka_unit_test(test_arena_and_pool),
        cmocka_unit_test(test_random_numbers_repeat_and_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
