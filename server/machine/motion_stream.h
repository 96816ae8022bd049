/* The stream of motion as every object may use it: where what runs now comes from, waiting for room and for its end.
 * Machine thread; what may wait must be called from a fiber (in batch mode from anywhere). */
#ifndef SERVER_MACHINE_MOTION_STREAM_H
#define SERVER_MACHINE_MOTION_STREAM_H

#include "base/err.h"

#include <stdbool.h>

struct engine_source;
struct printer;

/* Where what is now being run comes from: offset of the line and the cookie of the G-code state, for the engine. */
struct engine_source motion_source(const struct printer *printer);
/* Wait for room in the stream: call after an engine function said ERR_FULL. Adds words to failures. */
enum err motion_wait_room(struct printer *printer, struct err_info *info) ERR_NODISCARD;
/* The same as a loop's condition: do { e = engine_...(); } while (motion_may_retry(printer, &e, info)); */
bool motion_may_retry(struct printer *printer, enum err *e, struct err_info *info);
/* M400: returns when everything so far has been executed. */
enum err motion_wait_executed(struct printer *printer, struct err_info *info) ERR_NODISCARD;

#endif
