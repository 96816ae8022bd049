#include "base/worker.h"

#include "base/check.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "base/ring.h"
#include "base/thread.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#define STACK_KIB_DEFAULT 256

struct piece {
    worker_fn *fn;
    void *arg;
};

struct worker {
    const char *name;
    int niceness;
    struct mpsc queue; /* of struct piece */
    sem_t pieces;      /* posted once for each, and once for the end */
    pthread_t thread;
    atomic_bool is_stopping;
};

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    (void)pthread_setname_np(pthread_self(), worker->name);
    (void)thread_set_niceness(worker->niceness);
    for (;;) {
        struct piece piece;
        while (sem_wait(&worker->pieces) != 0)
            CHECK(errno == EINTR);
        if (mpsc_pop(&worker->queue, &piece))
            piece.fn(piece.arg);
        else if (atomic_load(&worker->is_stopping))
            return NULL;
        else
            CHECK(sem_post(&worker->pieces) == 0); /* somebody earlier in the ring has not finished his push */
    }
}

struct worker *worker_create(const char *name, size_t queue_max, unsigned stack_kib, int niceness)
{
    struct worker *worker = MEM_NEW(struct worker);
    worker->name = name;
    worker->niceness = niceness;
    mpsc_init(&worker->queue, sizeof(struct piece), queue_max);
    CHECK(sem_init(&worker->pieces, 0, 0) == 0);
    pthread_attr_t attr;
    CHECK(pthread_attr_init(&attr) == 0);
    CHECK(pthread_attr_setstacksize(&attr, (size_t)(stack_kib ? stack_kib : STACK_KIB_DEFAULT) * 1024) == 0);
    CHECK(pthread_create(&worker->thread, &attr, worker_main, worker) == 0);
    pthread_attr_destroy(&attr);
    return worker;
}

void worker_stop(struct worker *worker)
{
    CHECK(!atomic_exchange(&worker->is_stopping, true));
    CHECK(sem_post(&worker->pieces) == 0);
    CHECK(pthread_join(worker->thread, NULL) == 0);
    struct piece piece;
    while (mpsc_pop(&worker->queue, &piece)) /* pushed while it ended */
        piece.fn(piece.arg);
}

void worker_destroy(struct worker *worker)
{
    if (!worker)
        return;
    if (!atomic_load(&worker->is_stopping))
        worker_stop(worker);
    mpsc_deinit(&worker->queue);
    CHECK(sem_destroy(&worker->pieces) == 0);
    mem_free(worker);
}

bool worker_post(struct worker *worker, worker_fn *fn, void *arg)
{
    const struct piece piece = {fn, arg};
    if (atomic_load(&worker->is_stopping) || !mpsc_push(&worker->queue, &piece))
        return false;
    CHECK(sem_post(&worker->pieces) == 0);
    return true;
}

/* ------------------------------------------------------------------------------------------------------- for fibers */

void worker_calls_init(struct worker_calls *calls, struct worker *worker, struct actor *owner)
{
    calls->worker = worker;
    calls->owner = owner;
    list_init(&calls->open);
}

static void unlist(struct worker_job *job)
{
    if (job->calls)
        list_remove(&job->node);
    job->calls = NULL;
}

void worker_calls_deinit(struct worker_calls *calls)
{
    LIST_FOREACH_SAFE(node, tmp, &calls->open)
        unlist(CONTAINER_OF(node, struct worker_job, node));
}

void worker_calls_poll(struct worker_calls *calls)
{
    LIST_FOREACH_SAFE(node, tmp, &calls->open) {
        struct worker_job *job = CONTAINER_OF(node, struct worker_job, node);
        if (!worker_is_done(job))
            continue;
        unlist(job);
        if (job->fiber)
            fiber_wake(job->fiber);
    }
}

static void drop_share(struct worker_job *job)
{
    if (atomic_fetch_sub(&job->shares, 1) > 1)
        return;
    if (job->release)
        job->release(job);
    mem_free(job);
}

static void run_job(void *arg)
{
    struct worker_job *job = arg;
    struct actor *owner = job->owner;
    job->result = job->run(job, &job->info);
    atomic_store(&job->is_done, true);
    drop_share(job);
    actor_notify(owner);
}

bool worker_start(struct worker_calls *calls, struct worker_job *job)
{
    CHECK(job->run && !job->calls && atomic_load(&job->shares) == 0);
    atomic_store(&job->is_done, false);
    if (!calls->worker) {
        atomic_store(&job->shares, 1);
        job->result = job->run(job, &job->info);
        atomic_store(&job->is_done, true);
        return true;
    }
    job->owner = calls->owner;
    atomic_store(&job->shares, 2);
    if (!worker_post(calls->worker, run_job, job)) {
        atomic_store(&job->shares, 0);
        return false;
    }
    job->calls = calls;
    list_append(&calls->open, &job->node);
    return true;
}

bool worker_is_done(const struct worker_job *job)
{
    return atomic_load(&job->is_done);
}

enum err worker_wait(struct worker_job *job)
{
    enum err err = OK;
    job->fiber = fiber_current();
    while (err == OK && !worker_is_done(job))
        err = fiber_park(HOST_NS_NEVER);
    job->fiber = NULL;
    return err;
}

void worker_release(struct worker_job *job)
{
    if (!job)
        return;
    unlist(job);
    if (atomic_load(&job->shares) == 0) /* never started */
        atomic_store(&job->shares, 1);
    drop_share(job);
}

enum err worker_call(struct worker_calls *calls, struct worker_job *job, struct err_info *info)
{
    if (!worker_start(calls, job))
        return err_set(info, ERR_FULL, "Too many files are being written");
    enum err err = worker_wait(job);
    if (err != OK)
        return err_set(info, err, "Cancelled while waiting for the disk");
    if (job->result != OK && info)
        *info = job->info;
    return job->result;
}
