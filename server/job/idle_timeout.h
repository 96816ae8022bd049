/* idle_timeout: is the printer at work, ready, or idle for long? Machine thread. */
#ifndef SERVER_JOB_IDLE_TIMEOUT_H
#define SERVER_JOB_IDLE_TIMEOUT_H

#include "base/err.h"

#include <stdbool.h>

struct printer;

/* Sent when the state changes. data: NULL. */
#define IDLE_TIMEOUT_EVENT_PRINTING "idle_timeout:printing"
#define IDLE_TIMEOUT_EVENT_READY    "idle_timeout:ready"
#define IDLE_TIMEOUT_EVENT_IDLE     "idle_timeout:idle"

bool idle_timeout_is_printing(struct printer *printer);  /* state "Printing": moving or running a script for long */
double idle_timeout_get(struct printer *printer);        /* [s], as SET_IDLE_TIMEOUT left it */
double idle_timeout_configured(struct printer *printer); /* [s] */
void idle_timeout_set(struct printer *printer, double timeout_s); /* > 0 */

/* While something must not lose its place (a paused job): when the time is up the heaters go off, but the idle script,
 * which would switch the motors off, does not run. `keep` is asked each time; NULL clears. `ctx` is kept. */
typedef bool idle_timeout_keep_fn(void *ctx);
void idle_timeout_set_keep(struct printer *printer, idle_timeout_keep_fn *keep, void *ctx);

#endif
