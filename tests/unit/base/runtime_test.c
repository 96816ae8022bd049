/* Actors under both runtimes: the properties the rest of the house relies on. */
#include "base/actor.h"
#include "base/list.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define TRACE_MAX 4096

struct trace {
    char text[TRACE_MAX];
    size_t len;
};

/* An actor that wakes every `period_ns`, notes its letter, and notifies its neighbour. */
struct ticker {
    struct actor actor;
    char letter;
    int64_t period_ns, due_ns;
    struct actor *neighbour;
    struct trace *trace;
    atomic_int steps;
};

static struct host_ns ticker_step(struct actor *self, struct host_ns now)
{
    struct ticker *t = CONTAINER_OF(self, struct ticker, actor);
    atomic_fetch_add(&t->steps, 1);
    if (t->trace && t->trace->len + 1 < TRACE_MAX)
        t->trace->text[t->trace->len++] = t->letter;
    if (now.ns >= t->due_ns) {
        t->due_ns = now.ns + t->period_ns;
        if (t->neighbour)
            actor_notify(t->neighbour);
    }
    return (struct host_ns){t->due_ns};
}

static void run_tickers(uint64_t seed, struct trace *trace)
{
    struct runtime *rt = runtime_create_virtual(seed);
    struct ticker t[5];
    memset(t, 0, sizeof t);
    for (int i = 0; i < 5; i++) {
        t[i].actor = (struct actor){.name = "ticker", .step = ticker_step};
        t[i].letter = (char)('a' + i);
        t[i].period_ns = 1000000 * (i + 1);
        t[i].neighbour = i ? &t[i - 1].actor : NULL;
        t[i].trace = trace;
        runtime_add(rt, &t[i].actor, NULL);
    }
    struct host_ns end = {NS_PER_S + 200 * 1000000};
    runtime_run(rt, end, false);
    assert_int_equal(runtime_now(rt).ns, end.ns);
    for (int i = 0; i < 5; i++)
        runtime_remove(rt, &t[i].actor);
    runtime_destroy(rt);
}

static void test_virtual_order_repeats_with_the_seed(void **state)
{
    (void)state;
    static struct trace one, two, other;
    run_tickers(42, &one);
    run_tickers(42, &two);
    run_tickers(43, &other);
    assert_true(one.len > 200);
    assert_string_equal(one.text, two.text);
    assert_string_not_equal(one.text, other.text);
}

static void test_virtual_speed_follows_the_wall_clock(void **state)
{
    (void)state;
    struct runtime *rt = runtime_create_virtual(1);
    struct ticker t = {.actor = {.name = "ticker", .step = ticker_step}, .period_ns = 10000000};
    runtime_add(rt, &t.actor, NULL);
    runtime_set_speed(rt, 10.0);
    struct host_ns begin = clock_monotonic();
    runtime_run(rt, (struct host_ns){NS_PER_S * 2}, false); /* 1 s of virtual time: 0.1 s of the wall's */
    assert_true(host_ns_diff_s(clock_monotonic(), begin) >= 0.099);
    assert_int_equal(atomic_load(&t.steps), 101);
    runtime_remove(rt, &t.actor);
    runtime_destroy(rt);
}

struct outside {
    struct runtime *rt;
    struct ticker *sleeper;
};

static void *notify_from_outside(void *arg)
{
    struct outside *o = arg;
    while (atomic_load(&o->sleeper->steps) < 1)
        usleep(1000);
    actor_notify(&o->sleeper->actor);
    while (atomic_load(&o->sleeper->steps) < 2)
        usleep(1000);
    runtime_stop(o->rt);
    return NULL;
}

static struct host_ns sleeper_step(struct actor *self, struct host_ns now)
{
    struct ticker *t = CONTAINER_OF(self, struct ticker, actor);
    (void)now;
    atomic_fetch_add(&t->steps, 1);
    return HOST_NS_NEVER;
}

/* A sleeping actor wakes when another thread notifies it, and runtime_stop ends the run. */
static void check_outside_notify(struct runtime *rt)
{
    struct ticker t = {.actor = {.name = "sleeper", .step = sleeper_step}};
    runtime_add(rt, &t.actor, NULL);
    struct outside o = {rt, &t};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, notify_from_outside, &o), 0);
    runtime_run(rt, HOST_NS_NEVER, false);
    pthread_join(thread, NULL);
    runtime_remove(rt, &t.actor);
    assert_int_equal(atomic_load(&t.steps), 2);
    actor_notify(&t.actor); /* after the removal: nothing */
    runtime_destroy(rt);
}

static void test_notify_from_another_thread(void **state)
{
    (void)state;
    check_outside_notify(runtime_create_real());
    check_outside_notify(runtime_create_virtual(1));
    struct runtime *paced = runtime_create_virtual(1);
    runtime_set_speed(paced, 1.0);
    check_outside_notify(paced);
}

static void test_idle_virtual_run_returns(void **state)
{
    (void)state;
    struct runtime *rt = runtime_create_virtual(1);
    struct ticker t = {.actor = {.name = "sleeper", .step = sleeper_step}};
    runtime_add(rt, &t.actor, NULL);
    runtime_run(rt, HOST_NS_NEVER, true);
    assert_int_equal(atomic_load(&t.steps), 1);
    runtime_remove(rt, &t.actor);
    runtime_destroy(rt);
}

struct watcher {
    struct actor actor;
    struct runtime *rt;
    int fds[2];
    bool is_watching;
    char got[8];
    size_t got_count;
};

static void on_readable(void *ctx, int fd, unsigned revents)
{
    struct watcher *w = ctx;
    assert_true(revents & POLLIN);
    assert_int_equal(read(fd, w->got + w->got_count, 1), 1);
    if (++w->got_count == 3) {
        actor_watch(&w->actor, fd, 0, NULL, NULL);
        runtime_stop(w->rt);
    }
}

static struct host_ns watcher_step(struct actor *self, struct host_ns now)
{
    struct watcher *w = CONTAINER_OF(self, struct watcher, actor);
    (void)now;
    if (!w->is_watching) {
        actor_watch(self, w->fds[0], POLLIN, on_readable, w);
        w->is_watching = true;
        assert_int_equal(write(w->fds[1], "abc", 3), 3);
    }
    return HOST_NS_NEVER;
}

static void test_watched_descriptor(void **state)
{
    (void)state;
    struct watcher w = {.actor = {.name = "watcher", .step = watcher_step}, .rt = runtime_create_real()};
    assert_int_equal(pipe(w.fds), 0);
    runtime_add(w.rt, &w.actor, NULL);
    runtime_run(w.rt, HOST_NS_NEVER, false);
    runtime_remove(w.rt, &w.actor);
    runtime_destroy(w.rt);
    assert_memory_equal(w.got, "abc", 3);
    close(w.fds[0]);
    close(w.fds[1]);
}

static void ignore(void *ctx, int fd, unsigned revents)
{
    (void)ctx;
    (void)fd;
    (void)revents;
}

static struct host_ns busy_step(struct actor *self, struct host_ns now)
{
    struct watcher *w = CONTAINER_OF(self, struct watcher, actor);
    for (int i = 0; i < 20000; i++) {
        actor_watch(self, w->fds[0], POLLIN, ignore, w);
        actor_watch(self, w->fds[0], 0, NULL, NULL);
    }
    return now; /* at once again */
}

/* The step that is under way when an actor is removed still watches and forgets descriptors. */
static void test_removed_in_the_middle_of_a_step(void **state)
{
    (void)state;
    struct watcher w = {.actor = {.name = "busy", .step = busy_step}, .rt = runtime_create_real()};
    assert_int_equal(pipe(w.fds), 0);
    for (int i = 0; i < 50; i++) {
        runtime_add(w.rt, &w.actor, NULL);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        runtime_remove(w.rt, &w.actor);
    }
    runtime_destroy(w.rt);
    close(w.fds[0]);
    close(w.fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_virtual_order_repeats_with_the_seed),
        cmocka_unit_test(test_virtual_speed_follows_the_wall_clock),
        cmocka_unit_test(test_notify_from_another_thread),
        cmocka_unit_test(test_idle_virtual_run_returns),
        cmocka_unit_test(test_watched_descriptor),
        cmocka_unit_test(test_removed_in_the_middle_of_a_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
