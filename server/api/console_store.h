/* The last console lines: what server.gcode_store shows to a client that joins late. Any thread. */
#ifndef API_CONSOLE_STORE_H
#define API_CONSOLE_STORE_H

#include "base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>

struct console_store;

struct console_store *console_store_create(size_t line_count);
void console_store_destroy(struct console_store *store);
/* Keep a line; `time_s` since 1970. Very long lines are cut. */
void console_store_add(struct console_store *store, const char *line, double time_s, bool is_command);
/* Append the JSON array of the newest `count` entries, oldest first. */
void console_store_write(struct console_store *store, size_t count, struct strbuf *out);

#endif
