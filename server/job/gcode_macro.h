/* [gcode_macro NAME]: what other objects may ask of a macro. Machine thread. */
#ifndef SERVER_JOB_GCODE_MACRO_H
#define SERVER_JOB_GCODE_MACRO_H

#include "base/err.h"

struct printer;

/* The value of a macro's variable as JSON text, or NULL. `macro` is the name as in the configuration. */
const char *gcode_macro_variable(struct printer *printer, const char *macro, const char *variable);

#endif
