/* Names and values that printer.cfg files and macros still use and that Klipper has given up or is about to. What is
 * deprecated works and is a warning of the configuration (`configfile.warnings`, `lockstep check`); what was removed is an
 * error that says what to write instead. Machine thread. */
#ifndef SERVER_MACHINE_DEPRECATED_H
#define SERVER_MACHINE_DEPRECATED_H

#include <stdbool.h>
#include <stddef.h>

struct config_section;
struct printer;

struct deprecation {
    const char *where;   /* kind of section, or command: "printer", "stepper_*", "BED_MESH_CALIBRATE"; '*': any rest */
    const char *name;    /* option or parameter, '*' as above */
    const char *values;  /* "a|b": only these values of it; NULL: whatever it is set to */
    bool is_removed;     /* options: an error; parameters: they are ignored, with a warning */
    const char *since;   /* date of Klipper's change, "2025-08-11" */
    const char *instead; /* what to write, in words; NULL: nothing takes its place */
};

/* Warn of, or refuse, each option in a file of `section` that `rows` name. What is refused counts as read. Call it before
 * section_check_unused. */
void deprecated_check_section(struct config_section *section, const struct deprecation *rows, size_t count);
/* The row that names this value of an option, NULL if none. */
const struct deprecation *deprecated_value(const struct deprecation *rows, size_t count, const char *section,
                                           const char *option, const char *value);

/* The rows of this program: Klipper's Config_Changes up to v0.13.0-730. */
extern const struct deprecation deprecated_options[];
extern const size_t deprecated_option_count;

/* From now on a command that is given a deprecated or removed parameter, or value of one, leaves a warning, once. Call it
 * when all objects have registered their commands. */
void deprecated_watch_commands(struct printer *printer);

#endif
