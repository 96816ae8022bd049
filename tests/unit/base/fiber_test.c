#include "base/fiber.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

struct fiber_case {
    char text[16];
    size_t len;
    struct fiber *a, *b;
    enum err slept, parked, again;
};

static void fiber_a(void *arg)
{
    struct fiber_case *c = arg;
    c->text[c->len++] = 'a';
    c->slept = fiber_sleep(0.5);
    c->text[c->len++] = 'A';
    fiber_wake(c->b);
}

static void fiber_b(void *arg)
{
    struct fiber_case *c = arg;
    char big[20000]; /* the stack is as deep as promised */
    memset(big, 1, sizeof big);
    c->text[c->len++] = 'b';
    c->parked = fiber_park(HOST_NS_NEVER);
    c->text[c->len++] = (char)('A' + big[19999]);
    c->again = fiber_park((struct host_ns){fiber_now().ns + 1000});
}

static void test_wait_wake_and_cancel(void **state)
{
    (void)state;
    struct fiber_pool *pool = fiber_pool_create(2);
    struct fiber_case c = {.slept = ERR_IO};
    c.a = fiber_spawn(pool, "a", fiber_a, &c);
    c.b = fiber_spawn(pool, "b", fiber_b, &c);
    assert_non_null(c.a);
    assert_non_null(c.b);
    assert_null(fiber_spawn(pool, "c", fiber_b, &c));
    struct host_ns next = fiber_pool_run(pool, (struct host_ns){100});
    assert_int_equal(next.ns, 500000100);
    assert_string_equal(c.text, "ab");
    fiber_wake(c.a); /* a stray wake does not shorten a sleep */
    assert_int_equal(fiber_pool_run(pool, (struct host_ns){200}).ns, 500000100);
    assert_int_equal(fiber_pool_run(pool, next).ns, 500000100); /* b became ready: run again at once */
    assert_int_equal(c.slept, OK);
    assert_int_equal(fiber_pool_run(pool, next).ns, 500001100);
    assert_string_equal(c.text, "abAB");
    assert_int_equal(c.parked, OK);
    fiber_cancel(c.b);
    assert_int_equal(fiber_pool_run(pool, next).ns, INT64_MAX);
    assert_int_equal(c.again, ERR_CANCELLED);
    assert_int_equal(fiber_pool_alive(pool), 0);
    fiber_pool_destroy(pool);
}

static void test_cancel_all(void **state)
{
    (void)state;
    struct fiber_pool *pool = fiber_pool_create(2);
    struct fiber_case c = {.slept = OK, .parked = OK};
    c.a = fiber_spawn(pool, "a", fiber_a, &c);
    c.b = fiber_spawn(pool, "b", fiber_b, &c);
    (void)fiber_pool_run(pool, (struct host_ns){100});
    fiber_pool_cancel_all(pool);
    (void)fiber_pool_run(pool, (struct host_ns){200});
    (void)fiber_pool_run(pool, (struct host_ns){200});
    assert_int_equal(fiber_pool_alive(pool), 0);
    assert_int_equal(c.slept, ERR_CANCELLED);
    assert_int_equal(c.parked, ERR_CANCELLED);
    fiber_pool_destroy(pool);
}

static void fiber_nothing(void *arg)
{
    (*(int *)arg)++;
}

static void test_stacks_are_reused(void **state)
{
    (void)state;
    struct fiber_pool *pool = fiber_pool_create(3);
    int runs = 0;
    for (int i = 0; i < 1000; i++) {
        assert_non_null(fiber_spawn(pool, "n", fiber_nothing, &runs));
        fiber_pool_run(pool, (struct host_ns){i});
    }
    assert_int_equal(runs, 1000);
    fiber_pool_destroy(pool);
}

static void fiber_canceller(void *arg)
{
    struct fiber_case *c = arg;
    c->slept = fiber_sleep(1.0);
    fiber_clear_cancel(fiber_current());
    c->again = fiber_sleep(1.0);
}

static void test_cancel_holds_until_cleared(void **state)
{
    (void)state;
    struct fiber_pool *pool = fiber_pool_create(1);
    struct fiber_case c = {.slept = ERR_IO, .again = ERR_IO};
    struct fiber *f = fiber_spawn(pool, "x", fiber_canceller, &c);
    fiber_cancel(f);
    struct host_ns next = fiber_pool_run(pool, (struct host_ns){0});
    assert_int_equal(c.slept, ERR_CANCELLED);
    assert_int_equal(next.ns, NS_PER_S);
    fiber_pool_run(pool, next);
    assert_int_equal(c.again, OK);
    fiber_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wait_wake_and_cancel),
        cmocka_unit_test(test_stacks_are_reused),
        cmocka_unit_test(test_cancel_holds_until_cleared),
        cmocka_unit_test(test_cancel_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
