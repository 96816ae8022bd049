/* Heaters: what other objects may ask of one ([extruder], [heater_bed], [heater_generic NAME]). Machine thread. */
#ifndef SERVER_MACHINE_HEATER_H
#define SERVER_MACHINE_HEATER_H

#include "base/err.h"
#include "server/machine/object.h"

#include <stdbool.h>

struct config_section;
struct gcode_cmd;
struct heater;
struct printer;

/* The options of a heater, which every section that holds one binds (section_bind) before heater_setup. */
extern const struct option_desc heater_options[];
extern const size_t heater_option_count;

/* Make the heater of `section`. In a create hook. `gcode_id` is its name in M105 reports ("T0", "B"), NULL: none; kept.
 * The heater belongs to the `heaters` object and lives as long as the printer. Never NULL. */
struct heater *heater_setup(struct printer *printer, struct config_section *section, const char *gcode_id);
/* By full section name ("extruder", "heater_generic chamber") or, as SET_HEATER_TEMPERATURE takes it, by its last word.
 * NULL if there is none. */
struct heater *heater_find(struct printer *printer, const char *name);

const char *heater_name(const struct heater *heater); /* the section's */
/* Smoothed temperature and target [C]. */
void heater_get_temp(const struct heater *heater, double *temp_c, double *target_c);
/* Reached once the smoothed temperature is at least min_extrude_temp (or the printer runs in batch mode). */
bool heater_can_extrude(const struct heater *heater);
double heater_min_extrude_temp_c(const struct heater *heater);
double heater_max_power(const struct heater *heater);
/* Set the target; 0 is off. Out of range: ERR_LIMIT with Klipper's words. */
enum err heater_set_target(struct heater *heater, double target_c, struct err_info *info) ERR_NODISCARD;
/* Set it and, with `wait`, wait until it is reached, reporting temperatures each second as M109 does. In a fiber. */
enum err heater_set_and_wait(struct heater *heater, double target_c, bool wait, struct err_info *info) ERR_NODISCARD;
/* Write temperature, target and power into a status. */
struct status_writer;
void heater_write_status(const struct heater *heater, struct status_writer *writer);
/* M105's line without the "ok ": "B:60.0 /60.0 T0:210.1 /210.0". Caller frees with mem_free. */
char *heaters_report(struct printer *printer);
/* Turn off every heater. */
void heaters_turn_off_all(struct printer *printer);

#endif
