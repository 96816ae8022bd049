/* [gcode_macro NAME]: what other objects may ask of a macro. Machine thread. */
#ifndef SERVER_JOB_GCODE_MACRO_H
#define SERVER_JOB_GCODE_MACRO_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct jinja_run;
struct printer;
struct printer_object;
struct value;

/* The value of a macro's variable as JSON text, or NULL. `macro` is the name as in the configuration. */
const char *gcode_macro_variable(struct printer *printer, const char *macro, const char *variable);
/* The same as a value of a render, with Python's types (tuples, dicts with numbers as keys), if `obj` is a macro that has
 * this variable; else false. */
bool gcode_macro_value(struct jinja_run *run, struct printer_object *obj, const char *variable, size_t len_bytes,
                       struct value *out);

#endif
