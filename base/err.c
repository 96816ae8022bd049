#include "base/err.h"

#include <stdio.h>

enum err err_vset(struct err_info *info, enum err code, const char *fmt, va_list args)
{
    if (info)
        (void)vsnprintf(info->text, sizeof info->text, fmt, args);
    return code;
}

enum err err_set(struct err_info *info, enum err code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    err_vset(info, code, fmt, args);
    va_end(args);
    return code;
}

const char *err_name(enum err code)
{
    switch (code) {
    case OK:
        return "ok";
    case ERR_INVALID:
        return "invalid";
    case ERR_LIMIT:
        return "limit";
    case ERR_NOT_FOUND:
        return "not found";
    case ERR_EXISTS:
        return "exists";
    case ERR_STATE:
        return "state";
    case ERR_FULL:
        return "full";
    case ERR_AGAIN:
        return "again";
    case ERR_TIMEOUT:
        return "timeout";
    case ERR_CANCELLED:
        return "cancelled";
    case ERR_IO:
        return "io";
    case ERR_CLOSED:
        return "closed";
    case ERR_SHUTDOWN:
        return "shutdown";
    case ERR_DENIED:
        return "denied";
    case ERR_UNSUPPORTED:
        return "unsupported";
    }
    return "unknown";
}
