/* Lists of a printer's steppers, endstops and enable lines, kept by the object `stepper_enable`. For the files of
 * motion in this folder. */
#ifndef SERVER_MACHINE_MOTION_REGISTRY_H
#define SERVER_MACHINE_MOTION_REGISTRY_H

struct endstop;
struct printer;
struct stepper;

/* Steppers stay their owners'; endstops become the registry's. */
void registry_add_stepper(struct printer *printer, struct stepper *stepper);
void registry_add_endstop(struct printer *printer, struct endstop *endstop);

#endif
