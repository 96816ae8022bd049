/* The modal state of G-code (G90, M83, G92, offsets, factors) and what G1 makes of it: moves in toolhead coordinates.
 *
 * A move goes through the chain of transforms (exclude_object, skew, bed mesh, ...) to the toolhead at its end. Machine
 * thread only. Positions are mm; index 0..2 = X Y Z, 3 = E, from 4 on extra axes (manual steppers). */
#ifndef SERVER_GCODE_GCODE_MOVE_H
#define SERVER_GCODE_GCODE_MOVE_H

#include "base/err.h"
#include "base/strbuf.h"
#include "server/gcode/command.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gcode_move;

#define GCODE_AXIS_COUNT_MAX        8
#define GCODE_SAVED_STATE_COUNT_MAX 1000 /* names of SAVE_GCODE_STATE */
enum { GCODE_X, GCODE_Y, GCODE_Z, GCODE_E };

/* One link of the chain: takes moves, hands on others to `next`. The toolhead is the last. */
struct gcode_transform {
    const char *name;
    void *ctx;
    /* Move to `pos` (axis_count values) at `speed_mm_s`. May wait. */
    enum err (*move)(void *ctx, const double *pos, double speed_mm_s, struct err_info *info);
    /* The position seen from in front of this link: asks the next one and transforms back. */
    void (*get_position)(void *ctx, double *pos);
    struct gcode_transform *next; /* kept up to date by gcode_move; NULL: not in a chain, or the toolhead */
};

/* Everything a move's meaning depends on, except the position: small, copied. */
struct gcode_modal {
    double base_pos[GCODE_AXIS_COUNT_MAX]; /* [mm] origin of G-code coordinates */
    double homing_pos[4];                  /* [mm] SET_GCODE_OFFSET */
    double speed_mm_s;                     /* of the next G1, speed_factor included */
    double speed_factor;                   /* M220 S / 100 / 60: times F [mm/min] gives speed [mm/s] */
    double extrude_factor;                 /* M221 S / 100 */
    bool is_absolute_coord, is_absolute_extrude;
};

struct gcode_move *gcode_move_create(struct gcode *g); /* g is kept */
void gcode_move_destroy(struct gcode_move *gm);

/* Its commands (G0 G1 G20 G21 G90 G91 G92 M82 M83 M114 M220 M221 SET_GCODE_OFFSET SAVE_GCODE_STATE RESTORE_GCODE_STATE
 * GET_POSITION); the handlers' ctx is the struct gcode_move. */
#define GCODE_MOVE_COMMAND_COUNT 16
extern const struct command_desc gcode_move_commands[GCODE_MOVE_COMMAND_COUNT];
/* Register all of them (for tests and benches; a printer does so through its object). */
enum err gcode_move_register(struct gcode_move *gm, struct err_info *info) ERR_NODISCARD;

/* --- the chain --- */

/* The toolhead (kept); set once before the first move. */
void gcode_move_set_toolhead(struct gcode_move *gm, struct gcode_transform *toolhead);
/* Put `transform` (kept) in front; it hands its moves to transform->next. ERR_EXISTS without `force` if another one is
 * there already ("G-Code move transform already specified"). */
enum err gcode_move_add_transform(struct gcode_move *gm, struct gcode_transform *transform, bool force,
                                  struct err_info *info) ERR_NODISCARD;
void gcode_move_remove_transform(struct gcode_move *gm, struct gcode_transform *transform); /* not there: nothing */
/* The position has changed behind G-code's back (homing, set_position, manual move, error): take it from the chain. */
void gcode_move_reset_position(struct gcode_move *gm);
/* Axes (bits 0..2) have been homed: as reset_position, and their G92 offset is forgotten. */
void gcode_move_homed(struct gcode_move *gm, unsigned axes);
/* Another extruder has become the active one. */
void gcode_move_extruder_changed(struct gcode_move *gm);
/* Extra axes from index 4 on: letters[i] answers for index 4 + i. */
void gcode_move_set_extra_axes(struct gcode_move *gm, const char *letters, size_t count);
size_t gcode_move_axis_count(const struct gcode_move *gm);

/* GET_POSITION asks for the lines "mcu: ...\nstepper: ...\nkinematic: ...\ntoolhead: ...\n" in front of its own. */
typedef enum err gcode_describe_fn(void *ctx, struct strbuf *out, struct err_info *info);
void gcode_move_set_describe(struct gcode_move *gm, gcode_describe_fn *fn, void *ctx);

/* --- use by other objects --- */

struct gcode_move_status {
    double speed_factor, speed_mm_min, extrude_factor;
    bool is_absolute_coord, is_absolute_extrude;
    double homing_origin[4];
    double position[GCODE_AXIS_COUNT_MAX];       /* last position, before transforms */
    double gcode_position[GCODE_AXIS_COUNT_MAX]; /* relative to the G-code origin */
    size_t axis_count;
    char axis_letters[GCODE_AXIS_COUNT_MAX + 1]; /* "XYZE..." */
};
void gcode_move_get_status(const struct gcode_move *gm, struct gcode_move_status *out);

/* A straight move to the G-code words given (bit i of `axes`: values[i] present), as G1 has it; feed_mm_min 0: keep. */
enum err gcode_move_linear(struct gcode_move *gm, unsigned axes, const double *values, double feed_mm_min,
                           struct err_info *info) ERR_NODISCARD;

/* Speed from here on in per cent of what the file says, as M220 S has it. */
void gcode_move_set_speed_percent(struct gcode_move *gm, double percent);
/* The same from outside of the stream of commands: it also holds for the states in which the moves were sent that the
 * engine has not executed yet (their speeds are the caller's to change: engine_override_feed). */
void gcode_move_override_speed_percent(struct gcode_move *gm, double percent);
/* Is a G1 on its way down the chain? Then *sent is the speed factor that is in its speed, *now the one in force, which may
 * have been overridden while the move waited. */
bool gcode_move_feed(const struct gcode_move *gm, double *sent, double *now);

/* SAVE_GCODE_STATE and RESTORE_GCODE_STATE for objects. speed_mm_s 0: the restored speed. */
void gcode_move_save_state(struct gcode_move *gm, const char *name);
enum err gcode_move_restore_state(struct gcode_move *gm, const char *name, bool is_move, double speed_mm_s,
                                  struct err_info *info) ERR_NODISCARD;

/* --- the executed state ---
 * Every move is sent with a cookie that names the modal state before it. When a client pauses, the engine says at which
 * move it stopped: its cookie gives the executed state. */
/* Of the state before the move now being sent, or of the state now; never 0. */
uint32_t gcode_move_cookie(struct gcode_move *gm);
/* The state of a cookie: ERR_NOT_FOUND when it is older than the last GCODE_MODAL_HISTORY_COUNT changes. */
#define GCODE_MODAL_HISTORY_COUNT 4096 /* more than the moves that can be under way, a held tail included */
enum err gcode_move_modal_of(const struct gcode_move *gm, uint32_t cookie, struct gcode_modal *out) ERR_NODISCARD;
void gcode_move_get_modal(const struct gcode_move *gm, struct gcode_modal *out);
/* Make `modal` the state in force; the position is taken from the chain. */
void gcode_move_set_modal(struct gcode_move *gm, const struct gcode_modal *modal);

#endif
