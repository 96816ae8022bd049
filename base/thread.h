/* What the kernel is told about threads, in one place. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

/* Set the niceness of the calling thread [-20 goes first, 19]; threads it creates begin with it. Returns what it was. Less
 * than that is not permitted for most users: then nothing changes. */
int thread_set_niceness(int niceness);

#endif
