/* Fibers on ucontext: the switch costs two system calls (the signal mask), which the few thousand switches a second of
 * a printer do not notice, and it works on every machine without assembly of our own. */
#include "base/fiber.h"

#include "base/check.h"
#include "base/mem.h"

#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define STACK_FACTOR 8 /* instrumented frames are larger */
#elif defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#define STACK_FACTOR 8
#else
#define STACK_FACTOR 1
#endif

#define STACK_BYTES ((size_t)FIBER_STACK_BYTES * STACK_FACTOR)
#define GUARD_BYTES 4096

enum fiber_state { FIBER_FREE, FIBER_READY, FIBER_RUNNING, FIBER_PARKED };

struct fiber {
    struct fiber_pool *pool;
    const char *name;
    fiber_fn *fn;
    void *arg;
    enum fiber_state state;
    bool is_cancelled, is_woken;
    struct host_ns deadline;
    enum err park_result;
    uint64_t ready_order; /* who became ready first runs first */
    char *mapping;        /* guard page, then the stack */
    ucontext_t context;
    void *fake_stack; /* AddressSanitizer's */
    void *tsan_fiber;
};

struct fiber_pool {
    struct fiber *fibers;
    size_t count;
    uint64_t ready_counter;
    struct host_ns now;
    ucontext_t scheduler;
    void *scheduler_fake_stack;
    const void *scheduler_bottom;
    size_t scheduler_size;
    void *scheduler_tsan;
};

static _Thread_local struct fiber *current;

/* --- sanitizer notes around a switch --- */
static void switch_begin(void **fake_save, const void *bottom, size_t size, void *tsan_to)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(fake_save, bottom, size);
#elif defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(tsan_to, 0);
#endif
    (void)fake_save, (void)bottom, (void)size, (void)tsan_to;
}

static void switch_end(void *fake_save, const void **bottom_old, size_t *size_old)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake_save, bottom_old, size_old);
#endif
    (void)fake_save, (void)bottom_old, (void)size_old;
}

struct fiber_pool *fiber_pool_create(size_t count)
{
    CHECK(count > 0 && count <= FIBER_COUNT_MAX);
    struct fiber_pool *pool = MEM_NEW(struct fiber_pool);
    pool->fibers = MEM_ARRAY(struct fiber, count);
    pool->count = count;
    for (size_t i = 0; i < count; i++) {
        struct fiber *f = &pool->fibers[i];
        f->pool = pool;
        f->mapping = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(f->mapping != MAP_FAILED);
        CHECK(mprotect(f->mapping, GUARD_BYTES, PROT_NONE) == 0);
    }
    return pool;
}

void fiber_pool_destroy(struct fiber_pool *pool)
{
    if (!pool)
        return;
    for (size_t i = 0; i < pool->count; i++) {
        struct fiber *f = &pool->fibers[i];
        CHECK(f->state == FIBER_FREE);
        munmap(f->mapping, GUARD_BYTES + STACK_BYTES);
    }
    mem_free(pool->fibers);
    mem_free(pool);
}

static void make_ready(struct fiber *f)
{
    f->state = FIBER_READY;
    f->ready_order = ++f->pool->ready_counter;
}

/* Leave the running fiber for the scheduler. */
static void switch_out(struct fiber *f, bool is_final)
{
    struct fiber_pool *pool = f->pool;
    switch_begin(is_final ? NULL : &f->fake_stack, pool->scheduler_bottom, pool->scheduler_size, pool->scheduler_tsan);
    swapcontext(&f->context, &pool->scheduler);
    switch_end(f->fake_stack, &pool->scheduler_bottom, &pool->scheduler_size);
}

static void fiber_main(unsigned lo, unsigned hi)
{
    struct fiber *f = (struct fiber *)(((uintptr_t)hi << 32) | lo);
    switch_end(NULL, &f->pool->scheduler_bottom, &f->pool->scheduler_size);
    f->fn(f->arg);
    f->state = FIBER_FREE;
    switch_out(f, true);
    UNREACHABLE();
}

static void prepare_context(struct fiber *f)
{
    CHECK(getcontext(&f->context) == 0);
    f->context.uc_stack.ss_sp = f->mapping + GUARD_BYTES;
    f->context.uc_stack.ss_size = STACK_BYTES;
    f->context.uc_link = NULL;
    uintptr_t p = (uintptr_t)f; /* makecontext passes ints only */
    makecontext(&f->context, (void (*)(void))fiber_main, 2, (unsigned)p, (unsigned)(p >> 32));
}

struct fiber *fiber_spawn(struct fiber_pool *pool, const char *name, fiber_fn *fn, void *arg)
{
    struct fiber *f = NULL;
    for (size_t i = 0; i < pool->count && !f; i++)
        if (pool->fibers[i].state == FIBER_FREE)
            f = &pool->fibers[i];
    if (!f)
        return NULL;
    f->name = name;
    f->fn = fn;
    f->arg = arg;
    f->is_cancelled = f->is_woken = false;
    f->fake_stack = NULL;
    prepare_context(f);
#if defined(__SANITIZE_THREAD__)
    f->tsan_fiber = __tsan_create_fiber(0);
#endif
    make_ready(f);
    return f;
}

static void resume(struct fiber *f)
{
    struct fiber_pool *pool = f->pool;
    f->state = FIBER_RUNNING;
    current = f;
#if defined(__SANITIZE_THREAD__)
    pool->scheduler_tsan = __tsan_get_current_fiber();
#endif
    switch_begin(&pool->scheduler_fake_stack, f->mapping + GUARD_BYTES, STACK_BYTES, f->tsan_fiber);
    swapcontext(&pool->scheduler, &f->context);
    switch_end(pool->scheduler_fake_stack, NULL, NULL);
    current = NULL;
#if defined(__SANITIZE_THREAD__)
    if (f->state == FIBER_FREE)
        __tsan_destroy_fiber(f->tsan_fiber);
#endif
}

static struct fiber *oldest_ready(struct fiber_pool *pool, uint64_t last_order)
{
    struct fiber *best = NULL;
    for (size_t i = 0; i < pool->count; i++) {
        struct fiber *f = &pool->fibers[i];
        if (f->state == FIBER_READY && f->ready_order <= last_order && (!best || f->ready_order < best->ready_order))
            best = f;
    }
    return best;
}

struct host_ns fiber_pool_run(struct fiber_pool *pool, struct host_ns now)
{
    CHECK(current == NULL);
    pool->now = now;
    for (size_t i = 0; i < pool->count; i++) {
        struct fiber *f = &pool->fibers[i];
        if (f->state == FIBER_PARKED && f->deadline.ns <= now.ns) {
            f->park_result = ERR_TIMEOUT;
            make_ready(f);
        }
    }
    /* Only those ready by now: one that yields waits for the next run, so that other actors get their turn. */
    uint64_t last_order = pool->ready_counter;
    struct fiber *f;
    while ((f = oldest_ready(pool, last_order)) != NULL)
        resume(f);
    struct host_ns next = HOST_NS_NEVER;
    for (size_t i = 0; i < pool->count; i++) {
        if (pool->fibers[i].state == FIBER_READY)
            return now;
        if (pool->fibers[i].state == FIBER_PARKED)
            next = host_ns_min(next, pool->fibers[i].deadline);
    }
    return next;
}

size_t fiber_pool_alive(const struct fiber_pool *pool)
{
    size_t alive = 0;
    for (size_t i = 0; i < pool->count; i++)
        alive += pool->fibers[i].state != FIBER_FREE;
    return alive;
}

struct fiber *fiber_current(void)
{
    return current;
}

struct host_ns fiber_now(void)
{
    CHECK(current != NULL);
    return current->pool->now;
}

enum err fiber_park(struct host_ns deadline)
{
    struct fiber *f = current;
    CHECK(f != NULL);
    if (f->is_cancelled)
        return ERR_CANCELLED;
    if (f->is_woken) {
        f->is_woken = false;
        return OK;
    }
    f->deadline = deadline;
    f->state = FIBER_PARKED;
    switch_out(f, false);
    return f->park_result;
}

enum err fiber_sleep(double seconds)
{
    struct host_ns deadline = host_ns_add_s(fiber_now(), seconds);
    enum err err;
    do
        err = fiber_park(deadline);
    while (err == OK && host_ns_before(fiber_now(), deadline));
    return err == ERR_TIMEOUT ? OK : err;
}

void fiber_yield(void)
{
    CHECK(current != NULL);
    make_ready(current);
    switch_out(current, false);
}

void fiber_wake(struct fiber *f)
{
    if (f->state == FIBER_PARKED) {
        f->park_result = OK;
        make_ready(f);
    } else if (f->state != FIBER_FREE) {
        f->is_woken = true;
    }
}

void fiber_cancel(struct fiber *f)
{
    if (f->state == FIBER_FREE)
        return;
    f->is_cancelled = true;
    if (f->state == FIBER_PARKED) {
        f->park_result = ERR_CANCELLED;
        make_ready(f);
    }
}

void fiber_pool_cancel_all(struct fiber_pool *pool)
{
    for (size_t i = 0; i < pool->count; i++)
        fiber_cancel(&pool->fibers[i]);
}

bool fiber_is_cancelled(const struct fiber *f)
{
    return f->is_cancelled;
}

void fiber_clear_cancel(struct fiber *f)
{
    f->is_cancelled = false;
}

const char *fiber_name(const struct fiber *f)
{
    return f->name;
}
