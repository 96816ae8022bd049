/* The production runtime: a thread per actor, waiting in ppoll for its descriptors, its wake-up or its next time. */
#include "base/runtime_internal.h"

#include "base/check.h"
#include "base/resident.h"
#include "base/thread.h"

#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define STACK_KIB_DEFAULT 256
#define PREFAULT_BYTES    (128 * 1024)
#define FAULTS_PERIOD_S   0.1

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_FACTOR 4 /* instrumented frames are larger */
#else
#define STACK_FACTOR 1
#endif

/* Touch the stack once, so that no page of it faults while printing. */
static __attribute__((noinline)) void prefault_stack(void)
{
    volatile char page[PREFAULT_BYTES];
    for (size_t i = 0; i < sizeof page; i += 1024)
        page[i] = 0;
}

/* The best the kernel permits. */
static void enter_realtime(struct actor_slot *slot)
{
    if (slot->options.is_realtime) {
        prefault_stack();
        resident_touch_code();
        resident_begin(); /* what this thread allocates while a printer is configured, for as long as it lives */
        /* Not permitted for most users: then what was touched stays resident as long as nobody needs the memory. */
        atomic_store(&slot->is_locked, resident_lock());
    }
    if (slot->options.niceness != 0)
        (void)thread_set_niceness(slot->options.niceness);
    thread_set_prompt(true);
    if (slot->options.fifo_priority > 0) {
        struct sched_param param = {.sched_priority = slot->options.fifo_priority};
        if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &param) == 0)
            atomic_store(&slot->has_realtime, true);
    }
}

static void count_faults(struct actor_slot *slot, struct host_ns now)
{
    struct rusage usage;
    if (!slot->options.is_realtime || now.ns < slot->faults_at.ns || getrusage(RUSAGE_THREAD, &usage) != 0)
        return;
    slot->faults_at = host_ns_add_s(now, FAULTS_PERIOD_S);
    atomic_store(&slot->minor_faults, (uint64_t)usage.ru_minflt);
    atomic_store(&slot->major_faults, (uint64_t)usage.ru_majflt);
}

/* One step, and what it says about how late this thread runs. */
static struct host_ns step_measured(struct actor_slot *slot, struct host_ns wanted)
{
    const int64_t notified_ns = atomic_exchange(&slot->notified_ns, 0); /* the other half of actor_notify's */
    const struct host_ns now = clock_monotonic();
    const int64_t due_ns = notified_ns != 0 && notified_ns < wanted.ns ? notified_ns : wanted.ns;
    if (due_ns <= now.ns) /* else a descriptor was ready, and nobody knows since when */
        histogram_add(&slot->wake, (double)(now.ns - due_ns) * 1e-3);
    struct host_ns next = slot->actor->step(slot->actor, now);
    const struct host_ns end = clock_monotonic();
    histogram_add(&slot->step, (double)(end.ns - now.ns) * 1e-3);
    count_faults(slot, end);
    return next.ns > end.ns ? next : end; /* "at once" is not late because the step took its time */
}

static void wait_until(struct actor_slot *slot, struct host_ns next)
{
    struct timespec ts, *timeout = NULL;
    if (next.ns != HOST_NS_NEVER.ns) {
        int64_t left = next.ns - clock_monotonic().ns;
        if (left < 0)
            left = 0;
        ts = (struct timespec){.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
        timeout = &ts;
    }
    if (ppoll(slot->fds, slot->fd_count, timeout, NULL) <= 0)
        return;
    if (slot->fds[0].revents)
        wake_fd_clear(slot->wake_fd);
    /* A callback may forget its descriptor, which moves the last entry into its place: walk from the end. */
    for (unsigned i = slot->fd_count; i-- > 1;) {
        if (i < slot->fd_count && slot->fds[i].revents) {
            unsigned revents = (unsigned)slot->fds[i].revents;
            slot->fds[i].revents = 0;
            slot->watches[i].fn(slot->watches[i].ctx, slot->fds[i].fd, revents);
        }
    }
}

static void *actor_thread(void *arg)
{
    struct actor_slot *slot = arg;
    enter_realtime(slot);
    struct host_ns next = clock_monotonic();
    if (atomic_load(&slot->notified_ns) != 0)
        atomic_store(&slot->notified_ns, next.ns); /* before it could run: that was no lateness */
    atomic_store(&slot->has_begun, true);
    while (!atomic_load(&slot->is_stopping)) {
        next = step_measured(slot, next);
        if (!atomic_load(&slot->is_stopping))
            wait_until(slot, next);
    }
    return NULL;
}

void runtime_real_add(struct runtime *rt, struct actor_slot *slot)
{
    (void)rt;
    pthread_attr_t attr;
    unsigned kib = slot->options.stack_kib ? slot->options.stack_kib : STACK_KIB_DEFAULT;
    CHECK(pthread_attr_init(&attr) == 0);
    CHECK(pthread_attr_setstacksize(&attr, (size_t)kib * 1024 * STACK_FACTOR) == 0);
    CHECK(pthread_create(&slot->thread, &attr, actor_thread, slot) == 0);
    pthread_attr_destroy(&attr);
    char name[16]; /* the kernel's limit */
    strncpy(name, slot->actor->name, sizeof name - 1);
    name[sizeof name - 1] = 0;
    (void)pthread_setname_np(slot->thread, name);
}

void runtime_real_remove(struct actor_slot *slot)
{
    CHECK(!pthread_equal(pthread_self(), slot->thread));
    atomic_store(&slot->is_stopping, true);
    wake_fd_signal(slot->wake_fd);
    CHECK(pthread_join(slot->thread, NULL) == 0);
}

void runtime_real_run(struct runtime *rt, struct host_ns until)
{
    struct pollfd fd = {.fd = rt->wake_fd, .events = POLLIN};
    while (!atomic_load(&rt->is_stopping)) {
        struct timespec ts, *timeout = NULL;
        if (until.ns != HOST_NS_NEVER.ns) {
            int64_t left = until.ns - clock_monotonic().ns;
            if (left <= 0)
                return;
            ts = (struct timespec){.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
            timeout = &ts;
        }
        if (ppoll(&fd, 1, timeout, NULL) > 0)
            wake_fd_clear(rt->wake_fd);
    }
    atomic_store(&rt->is_stopping, false);
}
