/* The last twenty minutes of every sensor, one sample a second: server.temperature_store. Any thread. */
#ifndef API_TEMPERATURE_STORE_H
#define API_TEMPERATURE_STORE_H

#include "base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>

struct status_hub;
struct temperature_store;

struct temperature_store *temperature_store_create(size_t sample_count);
void temperature_store_destroy(struct temperature_store *store);
/* Take a sample of what `heaters.available_sensors` and `.available_monitors` name. One thread at a time. A new printer
 * keeps the series of sensors that have the same name. */
void temperature_store_sample(struct temperature_store *store, struct status_hub *hub);
/* Append {"heater_bed": {"temperatures": [...], ...}, ...}. */
void temperature_store_write(struct temperature_store *store, bool with_monitors, struct strbuf *out);

#endif
