/* From a parsed configuration to the description of the printer it stands for. Internal to simulate*.c. */
#ifndef SERVER_APP_SIMULATE_DERIVE_H
#define SERVER_APP_SIMULATE_DERIVE_H

#include "base/mem.h"
#include "base/strbuf.h"
#include "firmware/plant/plant.h"

#include <stddef.h>

#define DERIVED_BOARDS_MAX 16
#define DERIVED_ITEMS_MAX  64 /* of each kind; what is beyond stays a plain pin */

struct config;

struct derived_board {
    const char *name;       /* "mcu" or NAME */
    const char **pin_names; /* every pin the configuration mentions for it */
    size_t pin_count, pin_room;
};

struct derived {
    struct arena arena; /* owns all texts and arrays */
    struct derived_board boards[DERIVED_BOARDS_MAX];
    size_t board_count;
    struct plant_desc desc; /* points to the arrays below; boards are filled in by the caller */
    struct plant_motor motors[DERIVED_ITEMS_MAX];
    struct plant_endstop endstops[DERIVED_ITEMS_MAX];
    struct plant_heater heaters[DERIVED_ITEMS_MAX];
    struct plant_sensor sensors[DERIVED_ITEMS_MAX];
    struct plant_fan fans[DERIVED_ITEMS_MAX];
    struct plant_switch switches[DERIVED_ITEMS_MAX];
    struct plant_wheel wheels[DERIVED_ITEMS_MAX];
    double bed_centre_mm[2], bed_half_mm[2]; /* where the toolhead can be: a delta's circle, else the ranges of x and y */
    struct strbuf signature; /* equal texts: the same machine */
};

/* Never fails: what is missing or wrong in the configuration (the printer will say so) gets a usual value.
 * main_board_only  leave out everything that is on another board than [mcu] */
struct derived *derived_create(const struct config *config, bool main_board_only);
void derived_destroy(struct derived *derived); /* NULL allowed */

/* Index of the board called `name`, or -1. */
int derived_board_index(const struct derived *derived, const char *name);

#endif
