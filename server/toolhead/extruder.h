/* Extruders as the toolhead and others see them. Machine thread. */
#ifndef SERVER_TOOLHEAD_EXTRUDER_H
#define SERVER_TOOLHEAD_EXTRUDER_H

#include "base/err.h"

struct engine_queue;
struct heater;
struct printer;
struct printer_object;

/* When the printer has become ready: [extruder] becomes the active one, pressure advance takes its configured values.
 */
void extruder_activate_first(struct printer *printer);
/* Make `name` the active extruder, in order with the moves. From a fiber. */
enum err extruder_activate(struct printer *printer, const char *name, struct err_info *info) ERR_NODISCARD;
/* The object [extruder] or [extruderN]; NULL if there is none with this name. */
struct printer_object *extruder_find(const struct printer *printer, const char *name);
/* The heater of the active extruder; NULL: no extruder. */
struct heater *extruder_active_heater(const struct printer *printer);
/* The motion queue of an extruder after connect. */
struct engine_queue *extruder_queue(struct printer_object *obj);

#endif
