/* Our firmware as a process: a board in real time behind a pseudo terminal, with a printer attached so that homing and
 * heating work. The subcommand `lockstep mcu`. */
#ifndef FIRMWARE_PORT_LINUX_MCU_MAIN_H
#define FIRMWARE_PORT_LINUX_MCU_MAIN_H

#include "base/err.h"

#include <stddef.h>

struct plant_desc;

/* Where `-c printer.cfg` gets its printer from. The description and the names live until release. `boards` of the
 * description is filled in by the caller; things on other boards than the first are left out by the source. */
struct mcu_printer_source {
    enum err (*load)(void *ctx, const char *config_path, struct plant_desc *desc, const char *const **pin_names,
                     size_t *pin_count, struct err_info *info);
    void (*release)(void *ctx);
    void *ctx;
};

/* Run `lockstep mcu --pty PATH [options]` (or --socket PATH, listening on a Unix socket there) until SIGINT or SIGTERM; argv[0] is "mcu". Makes PATH a link to the pty and
 * removes it at exit. source NULL: the option -c is not offered, the printer is the built-in one (that of
 * examples/printer.cfg). Returns the exit status: 0 stopped by a signal, 1 could not start, 2 usage. Main thread only:
 * blocks SIGINT and SIGTERM in all threads. */
int mcu_main_with(int argc, char **argv, const struct mcu_printer_source *source);
int mcu_main(int argc, char **argv);

#endif
