#include "base/check.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* The one process-wide variable of the program, see check.h. */
static struct {
    _Atomic(check_hook_fn *) fn;
    _Atomic(void *) ctx;
} check_hook;

void check_set_hook(check_hook_fn *hook, void *ctx)
{
    atomic_store(&check_hook.fn, NULL);
    atomic_store(&check_hook.ctx, ctx);
    atomic_store(&check_hook.fn, hook);
}

void check_failed(const char *expr, const char *file, int line, const char *func)
{
    /* Taken once: a CHECK that fails inside the hook must not run it again. */
    check_hook_fn *hook = atomic_exchange(&check_hook.fn, NULL);
    if (hook)
        hook(atomic_load(&check_hook.ctx));
    fprintf(stderr, "%s:%d: %s: CHECK failed: %s\n", file, line, func, expr);
    abort();
}
