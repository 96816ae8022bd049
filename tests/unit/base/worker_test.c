/* Work on another thread: order, ends, and fibers that do not wait for it to the end. */
#include "base/actor.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "base/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#define PIECES 1000

struct notes {
    int seen[PIECES];
    int count;
};
struct numbered {
    struct notes *notes;
    int number;
};

static void note(void *arg)
{
    struct numbered *n = arg;
    n->notes->seen[n->notes->count++] = n->number;
}

/* Everything that was given is done, in order, also what still waits when the worker is stopped. */
static void keeps_the_order(void **state)
{
    (void)state;
    static struct notes notes;
    static struct numbered numbered[PIECES];
    struct worker *worker = worker_create("test", PIECES, 0, 0);
    for (int i = 0; i < PIECES; i++) {
        numbered[i] = (struct numbered){&notes, i};
        assert_true(worker_post(worker, note, &numbered[i]));
    }
    worker_stop(worker);
    assert_int_equal(notes.count, PIECES);
    for (int i = 0; i < PIECES; i++)
        assert_int_equal(notes.seen[i], i);
    assert_false(worker_post(worker, note, &numbered[0]));
    worker_destroy(worker);
}

/* --- fibers --- */

struct slow_job {
    struct worker_job job;
    atomic_int *released;
    unsigned wait_ms;
    enum err result;
};

static enum err slow_run(struct worker_job *job, struct err_info *info)
{
    struct slow_job *s = CONTAINER_OF(job, struct slow_job, job);
    usleep(s->wait_ms * 1000);
    return s->result ? err_set(info, s->result, "as asked") : OK;
}

static void slow_release(struct worker_job *job)
{
    atomic_fetch_add(CONTAINER_OF(job, struct slow_job, job)->released, 1);
}

struct scene {
    struct actor machine;
    struct fiber_pool *pool;
    struct worker *worker;
    struct worker_calls calls;
    struct runtime *rt;
    struct fiber *waiting;
    atomic_int released;
    unsigned wait_ms;
    enum err asked, got;
    struct err_info info;
    int ticks; /* of the machine's own life meanwhile */
    bool is_cancelling;
};

static void waiting_fiber(void *arg)
{
    struct scene *s = arg;
    struct slow_job *job = MEM_NEW(struct slow_job);
    job->job.run = slow_run;
    job->job.release = slow_release;
    job->released = &s->released;
    job->wait_ms = s->wait_ms;
    job->result = s->asked;
    s->got = worker_call(&s->calls, &job->job, &s->info);
    worker_release(&job->job);
    runtime_stop(s->rt);
}

static void ticking_fiber(void *arg)
{
    struct scene *s = arg;
    for (int i = 0; fiber_sleep(0.005) == OK && fiber_pool_alive(s->pool) > 1; i++) {
        s->ticks++;
        if (s->is_cancelling && i == 2)
            fiber_cancel(s->waiting);
    }
}

static struct host_ns machine_step(struct actor *self, struct host_ns now)
{
    struct scene *s = CONTAINER_OF(self, struct scene, machine);
    worker_calls_poll(&s->calls);
    return fiber_pool_run(s->pool, now);
}

static void run_scene(struct scene *s)
{
    s->machine = (struct actor){.name = "machine", .step = machine_step};
    s->pool = fiber_pool_create(2);
    worker_calls_init(&s->calls, s->worker, &s->machine);
    s->waiting = fiber_spawn(s->pool, "waiting", waiting_fiber, s);
    (void)fiber_spawn(s->pool, "ticking", ticking_fiber, s);
    runtime_add(s->rt, &s->machine, NULL);
    runtime_run(s->rt, HOST_NS_NEVER, false);
    runtime_remove(s->rt, &s->machine);
    fiber_pool_cancel_all(s->pool);
    (void)fiber_pool_run(s->pool, runtime_now(s->rt));
    fiber_pool_destroy(s->pool);
    worker_calls_deinit(&s->calls);
    worker_destroy(s->worker);
    runtime_destroy(s->rt);
    assert_int_equal(atomic_load(&s->released), 1); /* once, whoever was last */
}

static void others_go_on_while_one_waits(void **state)
{
    (void)state;
    struct scene s = {.worker = worker_create("test", 8, 0, 0), .rt = runtime_create_real(), .wait_ms = 150,
                      .asked = ERR_IO, .got = OK};
    run_scene(&s);
    assert_int_equal(s.got, ERR_IO);
    assert_string_equal(s.info.text, "as asked");
    assert_true(s.ticks >= 2); /* of 30: however busy the computer is */
}

static void a_cancelled_fiber_leaves_at_once(void **state)
{
    (void)state;
    struct scene s = {.worker = worker_create("test", 8, 0, 0), .rt = runtime_create_real(), .wait_ms = 500,
                      .is_cancelling = true, .got = OK};
    run_scene(&s);
    assert_int_equal(s.got, ERR_CANCELLED);
}

/* In virtual time the work takes none. */
static void runs_at_once_without_a_worker(void **state)
{
    (void)state;
    struct scene s = {.rt = runtime_create_virtual(1), .asked = ERR_LIMIT, .got = OK};
    const int64_t begin = runtime_now(s.rt).ns;
    s.machine = (struct actor){.name = "machine", .step = machine_step};
    s.pool = fiber_pool_create(1);
    worker_calls_init(&s.calls, NULL, &s.machine);
    s.waiting = fiber_spawn(s.pool, "waiting", waiting_fiber, &s);
    runtime_add(s.rt, &s.machine, NULL);
    runtime_run(s.rt, HOST_NS_NEVER, false);
    assert_int_equal(s.got, ERR_LIMIT);
    assert_int_equal(runtime_now(s.rt).ns, begin);
    assert_int_equal(atomic_load(&s.released), 1);
    runtime_remove(s.rt, &s.machine);
    fiber_pool_destroy(s.pool);
    runtime_destroy(s.rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_order),
        cmocka_unit_test(others_go_on_while_one_waits),
        cmocka_unit_test(a_cancelled_fiber_leaves_at_once),
        cmocka_unit_test(runs_at_once_without_a_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
