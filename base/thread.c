#include "base/thread.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int thread_set_niceness(int niceness)
{
    const id_t self = (id_t)syscall(SYS_gettid); /* for Linux a thread is a process here */
    const int before = getpriority(PRIO_PROCESS, self);
    (void)!setpriority(PRIO_PROCESS, self, niceness);
    return before;
}
