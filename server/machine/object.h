/* A printer object: one file, one descriptor, one line in server/objects/objects.c.
 *
 * The descriptor holds everything others need to know: the section it is made from, its options, commands, status
 * fields and events, and its hooks. Configuration checking, HELP, printer.objects.list, the reference pages and the
 * coverage tests come from it.
 *
 * The life of an object (all on the machine thread):
 *   create    reads every option from its section, claims its pins, looks up other objects it needs. No board exists
 *             yet: the same hook serves `lockstep check`. Errors go to the configuration (config_error_*), the hook
 *             goes on; it returns an error only if it cannot go on at all, and that text becomes the state message.
 *   connect   the boards have identified themselves and the engine exists: allocate oids, look up messages, add
 *             configuration commands, describe steppers to the engine. Called in the order of creation, inside a fiber.
 *   ready     the boards are configured, the engine has started: start timers, send first values. Commands work from here
 *             on.
 *   shutdown  the printer has stopped: forget targets, wake whoever waits. Outputs go off by themselves: the boards are
 *             told by printer_shutdown before any hook runs. Never before connect.
 *   destroy   frees what create and connect allocated; boards may be gone. Called in reverse order, always if create ran. */
#ifndef SERVER_MACHINE_OBJECT_H
#define SERVER_MACHINE_OBJECT_H

#include "base/err.h"
#include "server/config/option.h"
#include "server/gcode/command.h"

#include <stdbool.h>
#include <stddef.h>

struct config_section;
struct object_desc;
struct printer;
struct printer_object;
struct status_entry;
struct status_writer;

/* Base of every object: the first member of its struct. */
struct printer_object {
    const struct object_desc *desc;
    struct printer *printer;
    const char *name;            /* full section name, "heater_fan hotend": its name in status and messages */
    const char *id;              /* what follows the prefix, "hotend"; the whole name if nothing does */
    struct status_entry *status; /* its published status; NULL if it has none */
    struct printer_object *next; /* in order of creation */
};

/* How sections become objects. */
enum object_flags {
    OBJECT_EXACT = 1,     /* [fan] */
    OBJECT_NAMED = 2,     /* [output_pin NAME]; together with EXACT: [mcu] and [mcu NAME] */
    OBJECT_NUMBERED = 4,  /* [extruder1], [stepper_x1]: the prefix followed by digits */
    OBJECT_ALWAYS = 8,    /* exists in every printer, created before the sections; one may be written if it is EXACT too or has
                           * options */
    OBJECT_ON_DEMAND = 16, /* created when another object calls printer_load_object, even without a section */
    OBJECT_FIRST = 32,    /* sections of this kind are created before the others (boards, pin aliases, thermistors) */
    OBJECT_LAST = 64,     /* ... after the others (the toolhead, which needs every stepper) */
    OBJECT_INTERNAL = 256, /* made by other objects only (printer_load_object): never from a section of a file */
    OBJECT_SETTINGS = 128 /* read by other objects (a stepper by its kinematics), which bind its table (section_bind): no
                           * object of its own is made, and it is an error if nobody does */
};

struct status_field_desc {
    const char *name;    /* "temperature"; "<variable>" for names made at run time */
    const char *type;    /* "float", "int", "bool", "str", "list", "dict", "coord", "float/null", ... */
    const char *meaning;
};

/* Events an object sends (printer_emit) for others to hear (printer_subscribe), by name, as in Klipper. */
struct event_desc {
    const char *name;    /* "stepper_enable:motor_off" */
    const char *meaning; /* and what `data` points to */
};

struct object_desc {
    const char *section;  /* name or prefix: "fan", "output_pin", "extruder" */
    unsigned flags;
    const char *help;     /* one sentence */
    size_t size_bytes;    /* of the object's struct; it is allocated zeroed and freed by the printer */
    const struct option_desc *options;
    size_t option_count;
    const struct command_desc *commands; /* registered right after create */
    size_t command_count;
    const struct status_field_desc *fields;
    size_t field_count;
    const struct event_desc *events;
    size_t event_count;

    /* Hooks; each may be NULL. `section` is NULL if the descriptor has no options and the file no section; an object that
     * has options and stands in no file gets an empty section, so that defaults are read and shown as usual. */
    enum err (*create)(struct printer_object *obj, struct config_section *section, struct err_info *info);
    enum err (*connect)(struct printer_object *obj, struct err_info *info);
    void (*ready)(struct printer_object *obj);
    void (*shutdown)(struct printer_object *obj);
    void (*destroy)(struct printer_object *obj);
    /* Write every field's present value (see status.h). Called often: no allocation where avoidable, no side effects. */
    void (*status)(struct printer_object *obj, struct status_writer *writer);
    /* What its command handlers get as ctx; NULL: the object. (The commands of server/gcode know no objects.) */
    void *(*command_ctx)(struct printer_object *obj);
    /* The name under which commands with a mux key find it; NULL: obj->id. */
    const char *(*mux_value)(const struct printer_object *obj);
};

#define OBJECT_OPTIONS(table) .options = (table), .option_count = sizeof(table) / sizeof((table)[0])
#define OBJECT_COMMANDS(table) .commands = (table), .command_count = sizeof(table) / sizeof((table)[0])
#define OBJECT_FIELDS(table) .fields = (table), .field_count = sizeof(table) / sizeof((table)[0])
#define OBJECT_EVENTS(table) .events = (table), .event_count = sizeof(table) / sizeof((table)[0])

/* All descriptors of the program, ending with NULL: the one list (server/objects/objects.c, a library of its own because
 * it knows every folder that has objects). */
extern const struct object_desc *const object_list[];

/* The descriptor that makes an object (or settings) of section `name`, NULL if none. */
const struct object_desc *object_find_desc(const char *name);

/* Is `name` a section that Klipper has and this program does not have yet? Returns the kind as documented
 * ("[bed_mesh]"), else NULL. Data of Klipper v0.13.0-730. */
const char *object_known_elsewhere(const char *name);

#endif
