/* Log: a fixed message, then key=value. Threads write a bounded ring and never wait; a log thread (or, in simulation and
 * tests, log_drain) writes the file. Full ring: the record is counted as dropped and the count is reported.
 *   error  someone must act     warn  recovered     info  a state change     debug  off by default */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log;

/* Log to `path` (NULL: standard error only), created or appended to. `to_stderr` also prints records >= `level`.
 * `threaded` starts the writer thread; otherwise the owner calls log_drain. Never NULL; a file that cannot be opened is
 * reported on standard error and logging goes there. */
struct log *log_create(const char *path, enum log_level level, bool to_stderr, bool threaded);
void log_destroy(struct log *log); /* drains; NULL allowed */
void log_drain(struct log *log);   /* only if not threaded */
uint64_t log_dropped(const struct log *log);

/* Any thread; `log` NULL is allowed and drops. `module` is a short constant ("heater"), `message` a constant text; `fmt`
 * gives "key=value ..." pairs. Client text must be escaped by the caller (log_escape). */
void log_write(struct log *log, enum log_level level, const char *module, const char *message, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

#define log_error(log, module, message, ...) log_write(log, LOG_ERROR, module, message, __VA_ARGS__)
#define log_warn(log, module, message, ...) log_write(log, LOG_WARN, module, message, __VA_ARGS__)
#define log_info(log, module, message, ...) log_write(log, LOG_INFO, module, message, __VA_ARGS__)
#define log_debug(log, module, message, ...) log_write(log, LOG_DEBUG, module, message, __VA_ARGS__)

/* Copy `text` to `out` with control characters replaced, cut to fit; returns `out`. */
const char *log_escape(const char *text, char *out, unsigned out_bytes);

#endif
