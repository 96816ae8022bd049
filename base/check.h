/* Assertions on our own code, kept in release builds. Never CHECK bytes from a wire, a file or a user. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

/* What runs when a CHECK fails, before the process aborts: order heaters and motors off on every link. Must be
 * async-signal-safe. */
typedef void check_hook_fn(void *ctx);

/* Set the hook of this process (NULL clears). The one process-wide variable of the program: a failed CHECK has nobody
 * to ask for a context. Call from the main thread. */
void check_set_hook(check_hook_fn *hook, void *ctx);

_Noreturn void check_failed(const char *expr, const char *file, int line, const char *func);

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __FILE__, __LINE__, __func__))
#define UNREACHABLE() check_failed("unreachable", __FILE__, __LINE__, __func__)

#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

#endif
