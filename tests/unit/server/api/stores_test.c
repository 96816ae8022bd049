/* Tokens live five seconds, once, at one address; the console keeps the newest lines within its bounds. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "server/api/access.h"
#include "server/api/console_store.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static void tokens_live_once(void **state)
{
    (void)state;
    struct tokens *tokens = tokens_create(NULL);
    char token[TOKEN_BYTES + 1], other[TOKEN_BYTES + 1];
    tokens_make(tokens, "10.0.0.1", 100, token);
    tokens_make(tokens, "10.0.0.1", 100, other);
    assert_string_not_equal(token, other);
    assert_true(tokens_take(tokens, token, "10.0.0.1", 104.9));
    assert_false(tokens_take(tokens, token, "10.0.0.1", 104.9));
    assert_false(tokens_take(tokens, other, "10.0.0.2", 101));
    assert_false(tokens_take(tokens, other, "10.0.0.1", 101)); /* shown at a wrong place is used up */
    tokens_make(tokens, "10.0.0.1", 100, token);
    assert_false(tokens_take(tokens, token, "10.0.0.1", 105.1));
    assert_false(tokens_take(tokens, "", "10.0.0.1", 100));
    assert_false(tokens_take(tokens, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "10.0.0.1", 100));
    /* more than there is room for: the newest ones stand */
    char kept[TOKEN_COUNT_MAX + 10][TOKEN_BYTES + 1];
    for (size_t i = 0; i < TOKEN_COUNT_MAX + 10; i++)
        tokens_make(tokens, "::1", 200 + (double)i * 1e-3, kept[i]);
    assert_false(tokens_take(tokens, kept[0], "::1", 201));
    for (size_t i = 10; i < TOKEN_COUNT_MAX + 10; i++)
        assert_true(tokens_take(tokens, kept[i], "::1", 201));
    tokens_destroy(tokens);
}

static size_t count_lines(struct console_store *store, size_t wanted, char *newest)
{
    struct strbuf text = {.data = NULL};
    console_store_write(store, wanted, &text);
    json_t *list = json_loads(text.data, 0, NULL);
    assert_non_null(list);
    size_t count = json_array_size(list);
    if (newest && count > 0)
        snprintf(newest, 64, "%s", json_string_value(json_object_get(json_array_get(list, count - 1), "message")));
    json_decref(list);
    strbuf_deinit(&text);
    return count;
}

static void console_is_bounded(void **state)
{
    (void)state;
    struct console_store *store = console_store_create(10);
    char newest[64] = "";
    assert_int_equal(count_lines(store, 5, NULL), 0);
    for (int i = 0; i < 25; i++) {
        char line[64];
        snprintf(line, sizeof line, "// line \"%d\"\n\x01\xff", i);
        console_store_add(store, line, 1.5, i % 2);
    }
    assert_int_equal(count_lines(store, 100, newest), 10);
    assert_non_null(strstr(newest, "\"24\""));
    assert_int_equal(count_lines(store, 3, NULL), 3);
    assert_int_equal(count_lines(store, 0, NULL), 0);
    console_store_destroy(store);

    store = console_store_create(100000);
    char *big = mem_alloc(100001);
    memset(big, 'x', 100000);
    for (int i = 0; i < 5000; i++)
        console_store_add(store, big, 0, false);
    struct strbuf text = {.data = NULL};
    console_store_write(store, SIZE_MAX, &text);
    assert_true(text.len_bytes < (2u << 20));
    strbuf_deinit(&text);
    mem_free(big);
    console_store_destroy(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tokens_live_once), cmocka_unit_test(console_is_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
