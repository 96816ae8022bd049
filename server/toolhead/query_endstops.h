/* Asking every endstop for its state. Machine thread. */
#ifndef SERVER_TOOLHEAD_QUERY_ENDSTOPS_H
#define SERVER_TOOLHEAD_QUERY_ENDSTOPS_H

#include "base/err.h"

#include <stdbool.h>

struct printer;

/* Let the moves before it end, then ask the boards. `fn` gets each endstop in order. From a fiber. */
typedef void query_endstops_fn(void *ctx, const char *name, bool is_triggered);
enum err query_endstops(struct printer *printer, query_endstops_fn *fn, void *ctx, struct err_info *info) ERR_NODISCARD;

#endif
