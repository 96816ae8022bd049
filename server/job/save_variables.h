/* [save_variables]: what templates may ask of it. Machine thread. */
#ifndef SERVER_JOB_SAVE_VARIABLES_H
#define SERVER_JOB_SAVE_VARIABLES_H

#include <stdbool.h>
#include <stddef.h>

struct jinja_run;
struct printer_object;
struct value;

/* All variables as a dict, with Python's types, if `obj` is [save_variables] and `field` is "variables"; else false. */
bool save_variables_value(struct jinja_run *run, struct printer_object *obj, const char *field, size_t len_bytes,
                          struct value *out);

#endif
