/* Boards and plant of a simulated printer: kept as long as configurations describe the same machine. */
#include "server/app/simulate.h"

#include "base/actor.h"
#include "base/bytepipe.h"
#include "base/check.h"
#include "base/log.h"
#include "base/rng.h"
#include "firmware/port/sim/sim_board.h"
#include "motion/board.h"
#include "server/app/simulate_derive.h"
#include "server/config/config.h"

#include <string.h>

#define CLOCK_HZ       64000000u
#define DRIFT_MAX_PPM  40.0 /* an ordinary crystal */
#define WRAP_MAX_S     60.0 /* clocks start at most this long before their 32 bits wrap */
#define WARP_SEED      0x6265642077617270u
#define TO_BOARD_BYTES 8192
#define TO_HOST_BYTES  32768

struct simulated_board {
    struct sim_board *board;
    struct bytepipe to_board, to_host;
};

struct simulation {
    struct simulation_options options;
    struct derived *derived; /* what the boards were made from; NULL: nothing yet */
    struct simulated_board boards[DERIVED_BOARDS_MAX];
    struct plant *plant;
    double warp_mm[3]; /* of the bed: lean along x and y, bowl; at the edge */
};

struct simulation *simulation_create(const struct simulation_options *options)
{
    struct simulation *sim = MEM_NEW(struct simulation);
    sim->options = *options;
    struct rng rng; /* its own: the boards' draws do not depend on the bed */
    rng_init(&rng, options->seed ^ WARP_SEED);
    for (int i = 0; i < 3; i++)
        sim->warp_mm[i] = rng_range(&rng, -options->bed_warp_mm, options->bed_warp_mm) / 3.0;
    return sim;
}

/* A bed as they are: it leans, and its middle is higher or lower than its edge. 0 in the middle, and there it stays homed. */
static double warped_mm(void *ctx, double x_mm, double y_mm)
{
    const struct simulation *sim = ctx;
    const struct derived *d = sim->derived;
    double u = (x_mm - d->bed_centre_mm[0]) / d->bed_half_mm[0], v = (y_mm - d->bed_centre_mm[1]) / d->bed_half_mm[1];
    return sim->warp_mm[0] * u + sim->warp_mm[1] * v + sim->warp_mm[2] * (u * u + v * v) / 2.0;
}

static void switch_off(struct simulation *sim)
{
    if (!sim->derived)
        return;
    for (size_t i = 0; i < sim->derived->board_count; i++)
        runtime_remove(sim->options.runtime, sim_board_actor(sim->boards[i].board));
    plant_destroy(sim->plant);
    sim->plant = NULL;
    for (size_t i = 0; i < sim->derived->board_count; i++) {
        sim_board_destroy(sim->boards[i].board);
        bytepipe_deinit(&sim->boards[i].to_board);
        bytepipe_deinit(&sim->boards[i].to_host);
    }
    derived_destroy(sim->derived);
    sim->derived = NULL;
}

void simulation_destroy(struct simulation *sim)
{
    if (!sim)
        return;
    switch_off(sim);
    mem_free(sim);
}

/* Every board has a crystal of its own and a counter that wraps within the first minute: what real boards do now and
 * then, these do always. */
static void create_board(struct simulation *sim, size_t index, struct rng *rng)
{
    const struct derived_board *from = &sim->derived->boards[index];
    struct simulated_board *to = &sim->boards[index];
    struct sim_board_options options = {
        .name = from->name,
        .clock_hz = CLOCK_HZ,
        .drift_ppm = rng_range(rng, -DRIFT_MAX_PPM, DRIFT_MAX_PPM),
        .start_clock = (1ULL << 32) - (uint64_t)(rng_range(rng, 1, WRAP_MAX_S) * CLOCK_HZ),
        .pin_names = from->pin_names,
        .pin_count = from->pin_count,
    };
    bytepipe_init(&to->to_board, TO_BOARD_BYTES);
    bytepipe_init(&to->to_host, TO_HOST_BYTES);
    to->board = sim_board_create(&options, &to->to_board, &to->to_host);
}

/* `take_derived` describes the new machine. */
static enum err switch_on(struct simulation *sim, struct derived *take_derived, struct err_info *info)
{
    struct sim_board *boards[DERIVED_BOARDS_MAX] = {0};
    struct rng rng;
    rng_init(&rng, sim->options.seed);
    sim->derived = take_derived;
    for (size_t i = 0; i < sim->derived->board_count; i++) {
        create_board(sim, i, &rng);
        boards[i] = sim->boards[i].board;
    }
    sim->derived->desc.boards = boards;
    enum err e = plant_create(&sim->plant, &sim->derived->desc, info);
    for (size_t i = 0; i < sim->derived->board_count; i++)
        runtime_add(sim->options.runtime, sim_board_actor(boards[i]), NULL);
    if (!e && sim->options.bed_warp_mm > 0.0)
        plant_set_bed_shape(sim->plant, warped_mm, sim);
    if (e)
        switch_off(sim);
    else
        log_info(sim->options.log, "simulate", "printer built", "boards=%zu motors=%zu heaters=%zu endstops=%zu",
                 sim->derived->board_count, sim->derived->desc.motor_count, sim->derived->desc.heater_count,
                 sim->derived->desc.endstop_count);
    return e;
}

/* Make the machine of `config` unless it is there already. */
static enum err ensure_machine(struct simulation *sim, const struct config *config, struct err_info *info)
{
    struct derived *wanted = derived_create(config, false);
    if (sim->derived && !strcmp(sim->derived->signature.data, wanted->signature.data)) {
        derived_destroy(wanted);
        return OK;
    }
    switch_off(sim);
    return switch_on(sim, wanted, info);
}

enum err simulation_board_options(void *ctx, struct printer *printer, struct config_section *section,
                                  struct board_options *options, struct err_info *info)
{
    (void)printer;
    struct simulation *sim = ctx;
    enum err e = ensure_machine(sim, section_config(section), info);
    if (e)
        return e;
    const char *name = section_name(section);
    int index = derived_board_index(sim->derived, name[3] ? name + 4 : name);
    if (index < 0)
        return err_set(info, ERR_LIMIT, "More than %d boards cannot be simulated", DERIVED_BOARDS_MAX);
    options->transport = BOARD_PIPES;
    options->tx = &sim->boards[index].to_board;
    options->rx = &sim->boards[index].to_host;
    options->restart_method = BOARD_RESTART_COMMAND;
    options->faults = sim->options.faults;
    return OK;
}

struct plant *simulation_plant(struct simulation *sim)
{
    return sim->plant;
}

struct sim_board *simulation_board(struct simulation *sim, const char *name)
{
    int index = sim->derived ? derived_board_index(sim->derived, name) : -1;
    return index < 0 ? NULL : sim->boards[index].board;
}
