/* Values that a [display_template] keeps computing: of SET_PIN TEMPLATE= and SET_FAN_SPEED TEMPLATE=. The templates stand
 * above this folder (server/job/display_template.c implements these functions, and only the linker looks up there).
 * Machine thread. */
#ifndef SERVER_MACHINE_TEMPLATED_H
#define SERVER_MACHINE_TEMPLATED_H

#include "base/err.h"

#include <stdbool.h>

struct gcode_command;
struct printer;

/* What the template gives now, twice a second, also if it has not changed. `text` NULL: it failed, and the console has
 * been told. Not in a fiber. */
typedef void templated_fn(void *ctx, const char *text);

/* Let the template that `cmd` names (TEMPLATE=, with PARAM_x= for its parameters) drive the user `fn`, `ctx` from now on,
 * instead of the one it had; an empty name ends that. ERR_INVALID: there is no such template or parameter, nothing has
 * changed. */
enum err templated_assign(struct printer *printer, struct gcode_command *cmd, templated_fn *fn, void *ctx,
                          struct err_info *info) ERR_NODISCARD;
/* No template drives the user any longer. */
void templated_clear(struct printer *printer, templated_fn *fn, void *ctx);
/* The number that a template gave; a text that is none is an error of the template: false, and the console is told. */
bool templated_number(struct printer *printer, const char *what, const char *text, double *out);

#endif
