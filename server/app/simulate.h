/* The simulated printer behind `lockstep run --sim`: for every [mcu] of a configuration a simulated board
 * (firmware/port/sim), and the plant (firmware/plant) that the configuration describes wired to their pins. Works for
 * any printer.cfg: pins that no known section explains become plain pins.
 *
 * All functions: on the thread that drives the virtual runtime, or while it does not run. */
#ifndef SERVER_APP_SIMULATE_H
#define SERVER_APP_SIMULATE_H

#include "base/err.h"

#include <stdint.h>

struct board_faults;
struct board_options;
struct config_section;
struct log;
struct plant;
struct printer;
struct runtime;
struct sim_board;
struct simulation;

struct simulation_options {
    struct runtime *runtime;           /* virtual; drives the boards */
    struct log *log;                   /* NULL allowed */
    uint64_t seed;                     /* of everything that is random: start clocks, crystal drift */
    double bed_warp_mm;                /* the bed is warped by up to this, drawn from the seed; 0: flat */
    const struct board_faults *faults; /* damage done on every board's wire; NULL: none; kept */
};

struct simulation *simulation_create(const struct simulation_options *options);
/* After the printer has been destroyed: switches the boards off. NULL allowed. */
void simulation_destroy(struct simulation *sim);

/* A printer_board_fn (server/machine/printer.h) with `ctx` = the simulation: wires `options` to the simulated board of
 * `section`. When the configuration describes the machine that exists already, boards and plant are kept, so that
 * positions and temperatures survive a RESTART; else they are built anew. */
enum err simulation_board_options(void *ctx, struct printer *printer, struct config_section *section,
                                  struct board_options *options, struct err_info *info);

/* For tests and fault injection; NULL before the first printer. `name`: "mcu" or the NAME of [mcu NAME]. */
struct plant *simulation_plant(struct simulation *sim);
struct sim_board *simulation_board(struct simulation *sim, const char *name);

#endif
