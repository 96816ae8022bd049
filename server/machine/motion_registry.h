/* Lists of a printer's steppers, endstops and enable lines, kept by the object `stepper_enable`. For the files of
 * motion in this folder. */
#ifndef SERVER_MACHINE_MOTION_REGISTRY_H
#define SERVER_MACHINE_MOTION_REGISTRY_H

#include <stdbool.h>

struct endstop;
struct printer;
struct stepper;

/* Steppers stay their owners'; so do endstops unless `is_taken`. `name` is kept. */
void registry_add_stepper(struct printer *printer, struct stepper *stepper);
void registry_add_endstop(struct printer *printer, struct endstop *endstop, const char *name, bool is_taken);

#endif
