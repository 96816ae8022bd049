/* A printer that only looks like one: it implements the API's boundary (struct api_backend, published status, news) on
 * a machine actor of its own, so that transports can be tested without boards, motion and heaters.
 *
 * Scripts it knows, one a line:  M112 | FAIL <text> | SLEEP <seconds> | ECHO <text>; anything else is an unknown command. */
#ifndef TESTS_API_FAKE_PRINTER_H
#define TESTS_API_FAKE_PRINTER_H

#include <stdbool.h>

struct api;
struct api_backend;
struct fake_printer;
struct status_hub;

/* `status_file`: JSON {"toolhead": {"position": [...]}, ...} of the objects to show. NULL: a few built-in ones. */
struct fake_printer *fake_printer_create(const char *status_file);
const struct api_backend *fake_printer_backend(struct fake_printer *fake);
struct status_hub *fake_printer_status(struct fake_printer *fake);
/* Start its thread; it becomes ready at once. */
void fake_printer_start(struct fake_printer *fake, struct api *api, const char *gcode_dir);
void fake_printer_stop(struct fake_printer *fake);
void fake_printer_destroy(struct fake_printer *fake);

#endif
