/* What one G-code command is: the rows of an object's command table. The dispatcher, HELP and the reference pages use
 * the same row. */
#ifndef SERVER_GCODE_COMMAND_H
#define SERVER_GCODE_COMMAND_H

#include "server/gcode/gcode.h"

enum command_flags {
    COMMAND_WHEN_NOT_READY = 1, /* also before the printer is ready, and after a shutdown */
    COMMAND_TEMPORARY = 2,      /* registered only while an interactive tool runs: by the object, not by the printer */
    COMMAND_BY_OBJECT = 8,      /* registered by the object itself, for each of the things it answers for */
    COMMAND_TAKES_TEXT = 4      /* what follows the name is not parsed (gcode_rawparams) */
};

/* One parameter, for HELP and the reference; handlers fetch values with the typed getters of gcode.h. */
struct command_param {
    const char *name;         /* "S", "TARGET"; "<text>" for the rest of the line */
    const char *type;         /* "float", "int", "str", "flag", "raw", "literal" */
    const char *default_text; /* NULL: may be absent; "required" */
    const char *limits;       /* ">=0 <=1"; NULL: none */
};

struct command_desc {
    const char *name;    /* "M104", "SET_FAN_SPEED" */
    const char *mux_key; /* "FAN": several objects share the command and this parameter picks one; "EXTRUDER?": the object
                          * whose section is the bare name also answers without it; NULL: not shared, and objects of one
                          * descriptor register it once (the first of them is the handler's ctx) */
    unsigned flags;
    const struct command_param *params; /* ends with a row whose name is NULL; may be NULL */
    const char *help;    /* one sentence; NULL: not listed by HELP (plain G and M words) */
    gcode_handler_fn *handler; /* its ctx is the object (struct printer_object *) */
};

#endif
