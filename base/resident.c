#include "base/resident.h"

#include "base/check.h"

#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define PAGE_BYTES 4096 /* the smallest there is: larger pages are touched more than once */

static _Thread_local int wanted_depth;

void resident_begin(void)
{
    wanted_depth++;
}

void resident_end(void)
{
    CHECK(wanted_depth > 0);
    wanted_depth--;
}

bool resident_is_wanted(void)
{
    return wanted_depth > 0;
}

void resident_touch(void *ptr, size_t size_bytes)
{
    volatile char *p = ptr;
    for (size_t i = 0; i < size_bytes; i += PAGE_BYTES)
        p[i] = p[i];
    if (size_bytes)
        p[size_bytes - 1] = p[size_bytes - 1];
}

/* Whatever lies at the start of each page, between two variables too: nothing for AddressSanitizer to object to. */
__attribute__((no_sanitize_address)) static int touch_object(struct dl_phdr_info *info, size_t size, void *ctx)
{
    (void)size;
    (void)ctx;
    const bool is_program = info->dlpi_name[0] == 0;
    if (!is_program && !strstr(info->dlpi_name, "/libc.so"))
        return 0;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_R))
            continue;
        const volatile char *p = (const char *)(uintptr_t)(info->dlpi_addr + part->p_vaddr);
        for (size_t k = 0; k < part->p_filesz; k += PAGE_BYTES)
            (void)p[k];
    }
    return 0;
}

void resident_touch_code(void)
{
    (void)dl_iterate_phdr(touch_object, NULL);
}

bool resident_lock(void)
{
    struct rlimit limit;
    const bool has_limit = getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY;
    return mlockall(MCL_CURRENT | MCL_ONFAULT | (has_limit ? 0 : MCL_FUTURE)) == 0;
}
