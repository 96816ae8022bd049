/* The printer that is attached to a board process when no configuration is given. */
#ifndef FIRMWARE_PORT_LINUX_BUILTIN_PLANT_H
#define FIRMWARE_PORT_LINUX_BUILTIN_PLANT_H

#include "firmware/plant/plant.h"

struct builtin_plant {
    struct plant_motor motors[4];
    struct plant_endstop endstops[3];
    struct plant_heater heaters[2];
    struct plant_sensor sensors[2];
    struct plant_fan fans[2];
};

/* Describe it; `storage` must outlive `desc`. The caller sets the boards. */
void builtin_plant_describe(struct builtin_plant *storage, struct plant_desc *desc);

#endif
