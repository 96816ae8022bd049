/* Measuring the bed at several places, by the probe or by hand: what bed_mesh, z_tilt and other calibrations have in
 * common. Machine thread, from a fiber. */
#ifndef SERVER_BED_PROBE_ROUND_H
#define SERVER_BED_PROBE_ROUND_H

#include "base/err.h"
#include "server/toolhead/probe.h"

#include <stdbool.h>
#include <stddef.h>

struct config_section;
struct gcode_command;
struct printer;

#define PROBE_ROUND_POINTS_MAX 50000

struct probe_place {
    double x_mm, y_mm;
};

/* What is known in the end. */
struct probe_round_result {
    const double (*bed_mm)[3]; /* x y z where the bed is, in toolhead coordinates, for each place in order */
    size_t count;
    double offset_mm[3];       /* of the probe; 0 if the heights were found by hand */
};
/* *again (false before): measure once more. An error ends the round. */
typedef enum err probe_round_fn(void *ctx, const struct probe_round_result *result, bool *again, struct err_info *info);

/* Embedded by the calibration; zeroed before first use. */
struct probe_round {
    struct printer *printer;
    struct probe_place *places;
    size_t count;
    bool is_of_probe;                    /* places are those of the probe; else of the nozzle */
    double horizontal_z_mm, speed_mm_s;  /* of travel between places, unless the command says otherwise */
    probe_round_fn *done;
    void *ctx;
    /* while it runs */
    enum probe_method method;
    struct probe_session session;
    double offset_mm[3], lift_speed_mm_s, travel_z_mm;
    double (*bed_mm)[3];
    size_t at;
    bool is_first_lift;
};

/* Options of a calibration: `speed`, `horizontal_move_z`, and, unless they are set by probe_round_set_places, `points`:
 * at least `least` lines "x, y". In the create hook. */
void probe_round_setup(struct probe_round *round, struct printer *printer, struct config_section *section,
                       probe_round_fn *done, void *ctx);
void probe_round_read_places(struct probe_round *round, struct config_section *section, const char *option, size_t least);
/* `points` of files that are older than the calibration's own options: checked, and not used. */
void probe_round_skip_old_points(struct config_section *section);
void probe_round_set_places(struct probe_round *round, const struct probe_place *places, size_t count); /* copied */
void probe_round_deinit(struct probe_round *round);

/* Begin: METHOD, HORIZONTAL_MOVE_Z and the parameters of probe_session_read come from `cmd`. With the probe it returns when
 * everything is measured and `done` has had its say; by hand it returns at the first place, and ACCEPT goes on from place
 * to place, the last one calls `done`; ABORT ends it without. Without a probe the method is manual. */
enum err probe_round_run(struct probe_round *round, struct gcode_command *cmd, struct err_info *info) ERR_NODISCARD;

/* Options for the tables of calibrations. */
#define PROBE_ROUND_OPTIONS                                                                                            \
    {.name = "speed",                                                                                                  \
     .type = OPTION_FLOAT,                                                                                             \
     .unit = "mm/s",                                                                                                   \
     .default_text = "50",                                                                                             \
     .limits = ">0",                                                                                                   \
     .help = "Speed of travel between places"},                                                                        \
    {                                                                                                                  \
        .name = "horizontal_move_z", .type = OPTION_FLOAT, .unit = "mm", .default_text = "5",                          \
        .help = "Height of travel between places"                                                                      \
    }

/* The option for probe_round_read_places, and the one for probe_round_skip_old_points. */
#define PROBE_ROUND_POINTS(words)                                                                                      \
    {                                                                                                                  \
        .name = "points", .type = OPTION_FLOAT_TABLE, .flags = OPTION_REQUIRED, .unit = "mm", .separators = "\n,",     \
        .count = 2, .help = words                                                                                      \
    }
#define PROBE_ROUND_OLD_POINTS(what_decides)                                                                           \
    {                                                                                                                  \
        .name = "points", .type = OPTION_FLOAT_TABLE, .separators = "\n,", .count = 2,                                 \
        .help = "Accepted for the sake of old files; the " what_decides                                                \
    }

#endif
