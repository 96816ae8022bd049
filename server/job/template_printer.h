/* `printer` as templates see it: printer objects by name, looked up when they are named. Machine thread. */
#ifndef SERVER_JOB_TEMPLATE_PRINTER_H
#define SERVER_JOB_TEMPLATE_PRINTER_H

#include "server/gcode/template/value.h"

struct jinja_run;
struct printer;
struct strmap;

/* The object `printer` of one render. Within it each printer object is asked for its status once, when it is first
 * named, so a template sees one moment; only fields that are named are made values of. */
struct value template_printer(struct jinja_run *run, struct printer *printer);

#endif
