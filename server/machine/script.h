/* Scripts in options of printer objects (activate_gcode, the gcode of homing_override): texts of the macro
 * language. The language knows `printer` and stands above this folder (server/job/script.c implements these functions, and
 * only the linker looks up there). Machine thread. */
#ifndef SERVER_MACHINE_SCRIPT_H
#define SERVER_MACHINE_SCRIPT_H

#include "base/err.h"

#include <stdbool.h>

struct config_section;
struct gcode_command;
struct printer;
struct script;

/* The script of `option` (OPTION_TEMPLATE), compiled. A syntax error is added at the option. NULL if there is none, it is
 * blank, or it is wrong. In a create hook; the caller destroys it. */
struct script *script_read(struct printer *printer, struct config_section *section, const char *option);
void script_destroy(struct script *script); /* NULL allowed */
/* Render it as the printer is now and run the result; `call` (NULL: none) gives params and rawparams. NULL: nothing is
 * run. From a fiber. */
enum err script_run(struct script *script, const struct gcode_command *call, struct err_info *info) ERR_NODISCARD;

#endif
