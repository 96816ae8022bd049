/* What the kernel is told about threads, in one place. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <stdbool.h>

/* Set the niceness of the calling thread [-20 goes first, 19]; threads it creates begin with it. Returns what it was. Less
 * than that is not permitted for most users: then nothing changes. */
int thread_set_niceness(int niceness);

/* Should the calling thread (and those it creates from now on) run soon after it has been woken rather than for long? It gets
 * its share of the processor in slices of 0.1 ms. Permitted for everybody; kernels before 6.12 take no notice. */
void thread_set_prompt(bool is_prompt);

#endif
