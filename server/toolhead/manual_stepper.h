/* [manual_stepper NAME]: motors with a queue of their own, that can also be axes of G1. Machine thread. */
#ifndef SERVER_TOOLHEAD_MANUAL_STEPPER_H
#define SERVER_TOOLHEAD_MANUAL_STEPPER_H

#include "base/strbuf.h"

#include <stdbool.h>

struct printer;

/* Tell gcode_move which letters the extra axes have that the engine knows now: after one was added or removed, and when
 * the stream of moves is held, played on or dropped. */
void manual_steppers_name_axes(struct printer *printer);
/* The extra axes as members of a JSON object, "manual_stepper foo": 4, each after a comma if `has_more`. */
void manual_steppers_add_axes_json(const struct printer *printer, struct strbuf *json, bool has_more);

#endif
