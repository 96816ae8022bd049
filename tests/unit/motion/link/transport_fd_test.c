/* A transport over a descriptor: what is read and written, and last words after the runtime has let go of the actor. */
#include "motion/link/transport_fd.h"

#include "base/actor.h"
#include "base/list.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct user {
    struct actor actor;
    struct transport *transport;
    atomic_bool is_attached;
};

static struct host_ns step(struct actor *self, struct host_ns now)
{
    struct user *user = CONTAINER_OF(self, struct user, actor);
    (void)now;
    if (!atomic_load(&user->is_attached))
        transport_fd_attach(user->transport, self);
    atomic_store(&user->is_attached, true);
    return HOST_NS_NEVER;
}

/* Write until the peer, who does not read, has no room. */
static void fill(struct transport *t)
{
    static const uint8_t data[4096];
    size_t n, total = 0;
    while ((n = transport_fd_write(t, data, sizeof data, clock_monotonic())) == sizeof data)
        total += n;
    assert_true(n < sizeof data && total > 0);
    assert_int_equal(transport_fd_write(t, data, sizeof data, clock_monotonic()), 0);
}

static void test_last_words(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    struct user user = {.actor = {.name = "user", .step = step}, .transport = transport_fd_create(ends[0])};
    struct runtime *rt = runtime_create_real();
    runtime_add(rt, &user.actor, NULL);
    while (!atomic_load(&user.is_attached))
        usleep(1000);
    runtime_remove(rt, &user.actor);
    fill(user.transport); /* a board that does not listen any more is told to stop: nobody is left who could wait */
    transport_fd_attach(user.transport, NULL);
    transport_destroy(user.transport);
    runtime_destroy(rt);
    assert_int_equal(close(ends[1]), 0);
}

static void test_peer_has_gone(void **state)
{
    (void)state;
    int ends[2];
    uint8_t data[8];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    struct transport *t = transport_fd_create(ends[0]);
    assert_int_equal(transport_fd_read(t, data, sizeof data, clock_monotonic()), 0);
    assert_int_equal(write(ends[1], "abc", 3), 3);
    assert_int_equal(transport_fd_read(t, data, sizeof data, clock_monotonic()), 3);
    assert_memory_equal(data, "abc", 3);
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(transport_fd_read(t, data, sizeof data, clock_monotonic()), TRANSPORT_CLOSED);
    assert_int_equal(transport_fd_write(t, data, sizeof data, clock_monotonic()), TRANSPORT_CLOSED);
    transport_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_words),
        cmocka_unit_test(test_peer_has_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
