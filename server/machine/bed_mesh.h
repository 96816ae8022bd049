/* What the files bed_mesh*.c share: the object [bed_mesh], its profiles and its calibration. Machine thread. */
#ifndef SERVER_MACHINE_BED_MESH_H
#define SERVER_MACHINE_BED_MESH_H

#include "server/gcode/gcode_move.h"
#include "server/machine/bed_mesh_grid.h"
#include "server/machine/object.h"

#include <stdint.h>

struct config_section;
struct strbuf;

#define BED_MESH_PROFILES_MAX 200

/* A mesh as it is kept in the configuration: [bed_mesh NAME]. */
struct bed_mesh_profile {
    char *name;
    struct mesh_params params;
    double *points_mm; /* count[1] rows of count[0] */
};

/* What a calibration measures: from the options, changed for one run by BED_MESH_CALIBRATE. */
struct bed_mesh_area {
    struct mesh_params params;
    bool is_round;
    double radius_mm, origin_mm[2];
    double margin_mm;            /* ADAPTIVE_MARGIN */
    double horizontal_z_mm, speed_mm_s;
};

struct bed_mesh {
    struct printer_object obj;
    struct gcode_transform transform;
    struct mesh_effect effect;   /* its mesh is `mesh` */
    struct mesh *mesh;           /* the active one; NULL: none */
    char *profile_name;          /* of the active one; "": none */
    double last_pos[GCODE_AXIS_COUNT_MAX]; /* where the last move ended, before correction */
    bool has_fade_target, has_zero_reference;
    double fade_target_mm, zero_reference_mm[2];
    struct bed_mesh_area area;
    struct bed_mesh_profile *profiles; /* sorted by name */
    size_t profile_count;
    uint64_t revision, profiles_revision; /* for status */
};

/* Make `mesh` (taken; NULL: none) the active one, under the name `profile` ("" if it has none). Lets the moves before end;
 * G-code's position is taken anew. The mesh is refused if it does not fit the fade range. From a fiber. */
enum err bed_mesh_use(struct bed_mesh *bm, struct mesh *take_mesh, const char *profile, struct err_info *info) ERR_NODISCARD;

/* --- profiles (bed_mesh_profiles.c) --- */
extern const struct command_param bed_mesh_profile_params[];
gcode_handler_fn bed_mesh_cmd_profile;
void bed_mesh_load_profiles(struct bed_mesh *bm); /* in the create hook */
void bed_mesh_free_profiles(struct bed_mesh *bm);
/* Keep `mesh` under `name`, to be written by SAVE_CONFIG. */
enum err bed_mesh_save_profile(struct bed_mesh *bm, const struct mesh *mesh, const char *name,
                               struct err_info *info) ERR_NODISCARD;
void bed_mesh_profiles_json(const struct bed_mesh *bm, struct strbuf *out);
/* Rows of numbers: [[a, b], [c, d]]. */
void bed_mesh_rows_json(struct strbuf *out, const double *values, unsigned width, unsigned height);

/* --- calibration (bed_mesh_calibrate.c) --- */
extern const struct command_param bed_mesh_calibrate_params[];
gcode_handler_fn bed_mesh_cmd_calibrate;
/* Where the points of `area` are, in the order of probing, zig-zag along x.
 *   points  MESH_POINTS_MAX^2 at most; cell: index in the grid of area->params
 * area->params gets the exact range: the spacing is cut to 0.01 mm. Pure. Returns their number. */
struct bed_mesh_point {
    double x_mm, y_mm;
    unsigned cell;
};
enum err bed_mesh_points(struct bed_mesh_area *area, struct bed_mesh_point **points, size_t *count,
                         struct err_info *info) ERR_NODISCARD;

#endif
