/* Heaters: what other objects may ask of one ([extruder], [heater_bed], [heater_generic NAME]), and the list of all of
 * them with the temperature sensors (object `heaters`). Machine thread. */
#ifndef SERVER_HEAT_HEATER_H
#define SERVER_HEAT_HEATER_H

#include "base/err.h"
#include "server/machine/object.h"

#include <stdbool.h>
#include <stddef.h>

struct config_section;
struct heater;
struct printer;
struct status_writer;

/* Options of a heater; heater_setup binds them to the section, so an object's own table need not repeat them. (Those of
 * its sensor depend on sensor_type.) */
extern const struct option_desc heater_options[];
extern const size_t heater_option_count;
/* What heater_write_status writes: rows for the owner's field table. */
#define HEATER_FIELDS                                                                                                  \
    {"temperature", "float", "smoothed reading, 2 decimals"}, {"target", "float", "requested temperature, 0 off"},     \
        {"power", "float", "last pwm 0..1"}

/* Make the heater of `section`. In a create hook. `gcode_id` is its name in M105 reports ("T0", "B"), NULL: none; kept.
 * The heater belongs to the `heaters` object, which also connects it, and lives as long as the printer. Never NULL. */
struct heater *heater_setup(struct printer *printer, struct config_section *section, const char *gcode_id);
/* By full section name ("extruder", "heater_generic chamber") or, as SET_HEATER_TEMPERATURE takes it, by its last word.
 * NULL if there is none. */
struct heater *heater_find(struct printer *printer, const char *name);
/* Does the configuration have a heater of this name? In create hooks, where it may not have been made yet. */
bool heater_is_configured(const struct printer *printer, const char *name);

/* Every heater: that after `previous` (NULL: the first); NULL at the end. After all create hooks. */
struct heater *heater_next(const struct printer *printer, const struct heater *previous);

const char *heater_name(const struct heater *heater); /* the section's */
/* Smoothed temperature and target [C]; 0 C if there has been no reading for 5 s. */
void heater_get_temp(const struct heater *heater, double *temp_c, double *target_c);
/* The smoothed temperature has reached min_extrude_temp (always so in batch mode, or if that is 0). */
bool heater_can_extrude(const struct heater *heater);
double heater_min_extrude_temp_c(const struct heater *heater);
double heater_max_power(const struct heater *heater);
/* Set the target; 0 is off. Out of range: ERR_LIMIT with Klipper's words. */
enum err heater_set_target(struct heater *heater, double target_c, struct err_info *info) ERR_NODISCARD;
/* Set it and, with `wait`, wait until it is reached, reporting temperatures each second as M109 does. In a fiber. */
enum err heater_set_and_wait(struct heater *heater, double target_c, bool wait, struct err_info *info) ERR_NODISCARD;

/* Let someone else decide the power for a while (PID_CALIBRATE): `fn` gets each reading and returns the power
 * [0, max_power]; what it writes to *target_c becomes the target. ERR_STATE if someone does so already. Setting a target by
 * any other means, or a shutdown, ends it (heater_is_controlled_by says so); `fn` and `ctx` are kept until then. */
typedef double heater_power_fn(void *ctx, double time_s, double temp_c, double *target_c);
enum err heater_take_control(struct heater *heater, double target_c, heater_power_fn *fn, void *ctx,
                             struct err_info *info) ERR_NODISCARD;
bool heater_is_controlled_by(const struct heater *heater, const void *ctx);
/* The heater is off afterwards. Nothing if `ctx` does not control it. */
void heater_release_control(struct heater *heater, const void *ctx);

void heater_write_status(const struct heater *heater, struct status_writer *writer);

/* --- all of them --- */

/* M105's line: "B:60.0 /60.0 T0:210.1 /210.0". Caller frees with mem_free. */
char *heaters_report(struct printer *printer);
void heaters_turn_off_all(struct printer *printer);

/* Something else that has a temperature (temperature_sensor): appears in available_sensors, TEMPERATURE_WAIT, and in
 * M105 if its section gives a gcode_id. In a create hook. `get` and `ctx` are kept. */
typedef void heaters_get_fn(void *ctx, double *temp_c, double *target_c);
void heaters_add_sensor(struct printer *printer, struct config_section *section, const char *name, const char *gcode_id,
                        heaters_get_fn *get, void *ctx);

#endif
