/* The program with an allocator that watches: whoever allocates or frees on a thread that has promised not to (between
 * mem_guard_begin and mem_guard_end: motion and link, once the printer is configured) ends the process. Unlike the check in
 * mem_alloc it also sees what the C library and others do on their own. */
#include "base/mem.h"

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *ptr, size_t size);
extern void __libc_free(void *ptr);
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *ptr, size_t size);
void free(void *ptr);

static void check(const char *text, size_t len)
{
    if (!mem_is_guarded())
        return;
    (void)!write(STDERR_FILENO, text, len);
    abort();
}

#define CHECK_CALL(name) check("a real-time thread called " name "\n", sizeof("a real-time thread called " name "\n") - 1)

void *malloc(size_t size)
{
    CHECK_CALL("malloc");
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    CHECK_CALL("calloc");
    return __libc_calloc(count, size);
}

void *realloc(void *ptr, size_t size)
{
    CHECK_CALL("realloc");
    return __libc_realloc(ptr, size);
}

void free(void *ptr)
{
    if (ptr)
        CHECK_CALL("free");
    __libc_free(ptr);
}
