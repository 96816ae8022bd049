/* What the files that read a configuration into a machine share. */
#ifndef SERVER_APP_SIMULATE_INTERNAL_H
#define SERVER_APP_SIMULATE_INTERNAL_H

#include "server/app/simulate_derive.h"
#include "server/config/config.h"

#define DERIVED_AMBIENT_C 25.0

/* Raw text of an option, NULL if the section (NULL allowed) or the option is absent. Options are read raw, never
 * through the typed getters: those count as reading for the printer. */
const char *derive_text(const struct config_section *section, const char *name);
/* The same as a number; `fallback` if it is absent, not a number, or beyond 1e9. */
double derive_number(const struct config_section *section, const char *name, double fallback);
bool derive_starts_with(const char *name, const char *prefix);
/* The pin an option names; false if there is none on one of the boards. Makes the pin exist. */
bool derive_pin(struct derived *d, const struct config_section *section, const char *name, struct plant_pin *pin);

/* simulate_motion.c */
void derive_geometry(struct derived *d, const struct config *config);
void derive_motor(struct derived *d, const struct config_section *section);
/* Once all motors are known: where they stand, what stops them. */
void derive_positions(struct derived *d, const struct config *config);
void derive_endstops(struct derived *d, const struct config *config);

/* simulate_heat.c; fans first, then heaters, then sensors */
void derive_fan(struct derived *d, const struct config_section *section);
void derive_heater(struct derived *d, const struct config_section *section);
void derive_sensor(struct derived *d, const struct config *config, const struct config_section *section);

#endif
