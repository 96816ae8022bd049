#include "base/thread.h"

#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLICE_PROMPT_NS 100000 /* the shortest the kernel takes */

/* The kernel's struct sched_attr, first version; C libraries before 2.41 do not declare it. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t niceness;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns; /* of a normal thread: its slice; 0: the kernel's */
};

/* For Linux a thread is a process here. */
static id_t self(void)
{
    return (id_t)syscall(SYS_gettid);
}

int thread_set_niceness(int niceness)
{
    const int before = getpriority(PRIO_PROCESS, self());
    (void)!setpriority(PRIO_PROCESS, self(), niceness);
    return before;
}

void thread_set_prompt(bool is_prompt)
{
    const struct attributes a = {.size = sizeof a,
                                 .policy = SCHED_OTHER,
                                 .niceness = getpriority(PRIO_PROCESS, self()),
                                 .runtime_ns = is_prompt ? SLICE_PROMPT_NS : 0};
    (void)!syscall(SYS_sched_setattr, 0, &a, 0);
}
