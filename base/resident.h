/* Memory that is there: what real-time threads use must not fault pages in while they print.
 *
 * Two ways together: what they will write is touched once when it is allocated (resident_begin), and everything that is
 * resident stays so where the kernel permits it (resident_lock). */
#ifndef BASE_RESIDENT_H
#define BASE_RESIDENT_H

#include <stdbool.h>
#include <stddef.h>

/* Between begin and end, what mem_alloc and mem_array give on this thread is touched page by page. Nests. */
void resident_begin(void);
void resident_end(void);
bool resident_is_wanted(void);

/* Write to each page of [ptr, ptr + size_bytes) without changing it. */
void resident_touch(void *ptr, size_t size_bytes);
/* Read each page of this program's code and constants and of the C library's, so that none is first met in motion. */
void resident_touch_code(void);

/* Keep resident what is, and what comes later if there is no limit to that: with a limit, later allocations would count
 * against it and fail. False: not permitted. */
bool resident_lock(void);

#endif
