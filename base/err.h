/* Expected failures: what a caller must handle. Bugs are CHECK (base/check.h), machine faults are messages. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>

#define ERR_TEXT_MAX 1024 /* longest text for a human, with its final zero [bytes] */

#if defined(__GNUC__)
#define ERR_NODISCARD __attribute__((warn_unused_result))
#define ERR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define ERR_NODISCARD
#define ERR_PRINTF(fmt, args)
#endif

enum err {
    OK = 0,
    ERR_INVALID,    /* the input breaks a rule: bad value, bad syntax, bad bytes */
    ERR_LIMIT,      /* a named limit would be passed */
    ERR_NOT_FOUND,  /* the thing asked for does not exist */
    ERR_EXISTS,     /* it exists already */
    ERR_STATE,      /* not possible in the present state */
    ERR_FULL,       /* a bounded queue is full: try again later */
    ERR_AGAIN,      /* nothing there yet */
    ERR_TIMEOUT,    /* the other side did not answer in time */
    ERR_CANCELLED,  /* the wait was cancelled */
    ERR_IO,         /* the operating system refused; the text holds its reason */
    ERR_CLOSED,     /* the other side has gone */
    ERR_SHUTDOWN,   /* the printer is shut down */
    ERR_DENIED,     /* not allowed */
    ERR_UNSUPPORTED /* known, but not available here */
};

/* Words for a human, written once where the failure arises. Callers pass NULL if nobody will read them. */
struct err_info {
    char text[ERR_TEXT_MAX];
};

/* Store a formatted text in `info` (NULL allowed) and return `code`, so that `return err_set(info, ERR_LIMIT, ...)`
 * works. Longer texts are cut. Any thread. */
enum err err_set(struct err_info *info, enum err code, const char *fmt, ...) ERR_PRINTF(3, 4);
enum err err_vset(struct err_info *info, enum err code, const char *fmt, va_list args);

/* A short constant name of `code` ("invalid", "limit", ...), for logs. */
const char *err_name(enum err code);

#endif
