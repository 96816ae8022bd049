/* Homing for other objects. Machine thread, from a fiber. */
#ifndef SERVER_TOOLHEAD_HOMING_H
#define SERVER_TOOLHEAD_HOMING_H

#include "base/err.h"

struct gcode_command;
struct printer;

/* Home the axes (bits 1 2 4 = x y z) in turn, without any override. */
enum err homing_home(struct printer *printer, unsigned axes, struct err_info *info) ERR_NODISCARD;

/* What G28 does instead of homing_home, with the axes asked for and the command itself; in a create hook. The last one set
 * counts. */
typedef enum err homing_override_fn(void *ctx, unsigned axes, struct gcode_command *cmd, struct err_info *info);
void homing_set_override(struct printer *printer, homing_override_fn *fn, void *ctx);

#endif
