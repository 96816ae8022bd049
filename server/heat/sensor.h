/* Temperature sensors: what a section with a `sensor_type` measures with. Machine thread. */
#ifndef SERVER_HEAT_SENSOR_H
#define SERVER_HEAT_SENSOR_H

#include "base/clock.h"
#include "base/err.h"

#include <stdbool.h>

struct config_section;
struct printer;
struct sensor;

/* A new temperature [C], measured at `read_time`. */
typedef void sensor_fn(void *ctx, struct print_time read_time, double temp_c);

/* Read sensor_type and what belongs to it from `section`, claim the pin. Never NULL; errors go to the configuration. In a
 * create hook. */
struct sensor *sensor_setup(struct printer *printer, struct config_section *section, sensor_fn *fn, void *ctx);
void sensor_destroy(struct sensor *sensor); /* NULL allowed */
/* A temperature outside of this range shuts the printer down (the board itself, for analog sensors). */
void sensor_set_range(struct sensor *sensor, double min_c, double max_c);
/* How often it reports [s]. */
double sensor_report_time_s(const struct sensor *sensor);
enum err sensor_connect(struct sensor *sensor, struct err_info *info) ERR_NODISCARD;
void sensor_ready(struct sensor *sensor); /* call from the owner's ready hook */

#endif
