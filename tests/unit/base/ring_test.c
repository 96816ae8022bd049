#include "base/bytepipe.h"
#include "base/ring.h"
#include "base/rng.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define MESSAGES 100000u

struct feed {
    struct mpsc many;
    struct spsc one;
    struct bytepipe pipe;
    atomic_uint next_producer;
};

static void *produce_many(void *arg)
{
    struct feed *feed = arg;
    uint64_t producer = atomic_fetch_add(&feed->next_producer, 1);
    for (uint64_t i = 0; i < MESSAGES; i++) {
        uint64_t item = producer << 32 | i;
        while (!mpsc_push(&feed->many, &item))
            sched_yield();
    }
    return NULL;
}

static void test_mpsc_keeps_each_producers_order(void **state)
{
    (void)state;
    static struct feed feed;
    mpsc_init(&feed.many, sizeof(uint64_t), 100);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, produce_many, &feed), 0);
    uint64_t expected[3] = {0}, item;
    for (unsigned got = 0; got < 3 * MESSAGES;) {
        if (!mpsc_pop(&feed.many, &item)) {
            sched_yield();
            continue;
        }
        if ((item & 0xffffffff) != expected[item >> 32]++)
            fail_msg("out of order");
        got++;
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_false(mpsc_pop(&feed.many, &item));
    mpsc_deinit(&feed.many);
}

static void *produce_one(void *arg)
{
    struct feed *feed = arg;
    struct rng rng;
    rng_init(&rng, 3);
    for (uint32_t i = 0; i < MESSAGES; i++)
        while (!spsc_push(&feed->one, &i))
            sched_yield();
    unsigned char value = 0, chunk[50];
    for (size_t sent = 0; sent < MESSAGES;) {
        size_t n = (size_t)rng_below(&rng, sizeof chunk) + 1;
        if (n > MESSAGES - sent)
            n = MESSAGES - sent;
        for (size_t i = 0; i < n; i++)
            chunk[i] = (unsigned char)(value + i);
        size_t taken = bytepipe_write(&feed->pipe, chunk, n);
        value = (unsigned char)(value + taken);
        sent += taken;
        if (!taken)
            sched_yield();
    }
    return NULL;
}

static void test_spsc_and_pipe_keep_order(void **state)
{
    (void)state;
    static struct feed feed;
    spsc_init(&feed.one, sizeof(uint32_t), 60);
    assert_int_equal(spsc_capacity(&feed.one), 64);
    bytepipe_init(&feed.pipe, 100);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, produce_one, &feed), 0);
    for (uint32_t i = 0, item; i < MESSAGES;) {
        if (!spsc_pop(&feed.one, &item))
            sched_yield();
        else if (item != i++)
            fail_msg("out of order");
    }
    unsigned char value = 0, data[64];
    for (size_t got = 0; got < MESSAGES;) {
        size_t n = bytepipe_read(&feed.pipe, data, sizeof data);
        for (size_t i = 0; i < n; i++)
            if (data[i] != value++)
                fail_msg("wrong byte");
        got += n;
        if (!n)
            sched_yield();
    }
    pthread_join(thread, NULL);
    spsc_deinit(&feed.one);
    bytepipe_deinit(&feed.pipe);
}

static void test_full_rings_refuse(void **state)
{
    (void)state;
    struct spsc one;
    struct mpsc many;
    struct bytepipe pipe;
    spsc_init(&one, sizeof(int), 4);
    mpsc_init(&many, sizeof(int), 4);
    bytepipe_init(&pipe, 4);
    for (int i = 0; i < 4; i++) {
        assert_true(spsc_push(&one, &i));
        assert_true(mpsc_push(&many, &i));
    }
    int item = 9;
    assert_false(spsc_push(&one, &item));
    assert_false(mpsc_push(&many, &item));
    assert_int_equal(bytepipe_write(&pipe, "abcdef", 6), 4);
    assert_int_equal(bytepipe_write(&pipe, "g", 1), 0);
    for (int i = 0; i < 4; i++) {
        assert_true(spsc_pop(&one, &item));
        assert_int_equal(item, i);
        assert_true(mpsc_pop(&many, &item));
        assert_int_equal(item, i);
    }
    assert_false(spsc_pop(&one, &item));
    assert_null(spsc_peek(&one));
    spsc_deinit(&one);
    mpsc_deinit(&many);
    bytepipe_deinit(&pipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mpsc_keeps_each_producers_order),
        cmocka_unit_test(test_spsc_and_pipe_keep_order),
        cmocka_unit_test(test_full_rings_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
