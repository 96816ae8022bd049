/* What the files bed_mesh*.c share: the object [bed_mesh], its profiles and its calibration. Machine thread. */
#ifndef SERVER_BED_BED_MESH_H
#define SERVER_BED_BED_MESH_H

#include "server/bed/bed_mesh_grid.h"
#include "server/bed/probe_round.h"
#include "server/gcode/gcode_move.h"
#include "server/machine/object.h"

#include <limits.h>
#include <stdint.h>

struct config_section;
struct print_area;
struct strbuf;

#define BED_MESH_PROFILES_MAX 200

/* A mesh as it is kept in the configuration: [bed_mesh NAME]. */
struct bed_mesh_profile {
    char *name;
    struct mesh_params params;
    double *points_mm; /* count[1] rows of count[0] */
};

/* [bed_mesh] faulty_region_<number>_min and _max: where the probe can't be trusted. */
struct bed_mesh_region {
    unsigned number;
    double min_mm[2], max_mm[2];
};
#define BED_MESH_REGIONS_MAX 99

/* What a calibration measures: from the options, changed for one run by BED_MESH_CALIBRATE. */
struct bed_mesh_area {
    struct mesh_params params;
    bool is_round;
    double radius_mm, origin_mm[2];
    double margin_mm;                      /* ADAPTIVE_MARGIN */
    bool has_zero;
    double zero_mm[2];                     /* zero_reference_position */
    const struct bed_mesh_region *regions; /* borrowed from the object */
    size_t region_count;
};

/* One place to measure, and for which cell of the grid of the area's params. */
struct bed_mesh_point {
    double x_mm, y_mm;
    unsigned cell; /* BED_MESH_CELL_ZERO: the zero reference outside of the mesh */
};
#define BED_MESH_CELL_ZERO UINT_MAX

/* A calibration on its way. */
struct bed_mesh_run {
    struct bed_mesh_area area;
    struct bed_mesh_point *points;
    size_t point_count;
    char *profile; /* NULL: adapted to a print, not kept */
};

/* The active mesh as status shows it, in JSON. */
struct bed_mesh_texts {
    char *probed, *nodes;
};

struct bed_mesh {
    struct printer_object obj;
    struct gcode_transform transform;
    struct mesh_effect effect;   /* its mesh is `mesh` */
    struct mesh *mesh;           /* the active one; NULL: none */
    struct bed_mesh_texts texts; /* of it; NULL: none */
    char *profile_name;          /* of the active one; "": none */
    double last_pos[GCODE_AXIS_COUNT_MAX]; /* where the last move ended, before correction */
    bool has_fade_target;
    double fade_target_mm;
    struct bed_mesh_area area;
    struct bed_mesh_region regions[BED_MESH_REGIONS_MAX];
    struct probe_round round;
    struct bed_mesh_run run;
    unsigned adapted_count;      /* adaptive meshes made so far: their names */
    struct bed_mesh_profile *profiles; /* sorted by name */
    size_t profile_count;
    uint64_t revision, profiles_revision; /* for status */
};

/* Make `mesh` (taken; NULL: none) the active one, under the name `profile` ("" if it has none). Lets the moves before end;
 * G-code's position is taken anew. The mesh is refused if it does not fit the fade range. From a fiber. */
enum err bed_mesh_use(struct bed_mesh *bm, struct mesh *take_mesh, const char *profile, struct err_info *info) ERR_NODISCARD;

/* --- for the worker (bed_mesh_work.c); all [fiber] --- */
/* mesh_create elsewhere; `params` and `measured_mm` are copied. The result is the caller's. */
enum err bed_mesh_make(struct bed_mesh *bm, const struct mesh_params *params, const double *measured_mm,
                       struct mesh **mesh, struct err_info *info) ERR_NODISCARD;
/* The texts of *mesh; the caller's. *mesh is lent to the worker: NULL, and gone, if this fails. */
enum err bed_mesh_write_down(struct bed_mesh *bm, struct mesh **mesh, struct bed_mesh_texts *texts,
                             struct err_info *info) ERR_NODISCARD;
void bed_mesh_free_texts(struct bed_mesh_texts *texts);

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
void bed_mesh_forget_run(struct bed_mesh *bm);
/* probe_round's answer: the mesh from the heights. */
probe_round_fn bed_mesh_measured;

/* --- where to measure (bed_mesh_points.c); pure --- */
/* The points of `area` in the order of probing, zig-zag along x; those in faulty regions are replaced by up to four at the
 * region's edges for the same cell. area->params gets the exact range: the spacing is cut to 0.01 mm. ERR_INVALID with words
 * if the area is impossible. The caller frees *points. */
enum err bed_mesh_points(struct bed_mesh_area *area, struct bed_mesh_point **points, size_t *count,
                         struct err_info *info) ERR_NODISCARD;
/* Cut `area` down to `box` and its margin, the points to as many as there were for each mm (at least 3). False: it stays as
 * it is, because nothing is known of objects or they are beside the mesh. */
bool bed_mesh_adapt(struct bed_mesh_area *area, const struct print_area *box);

#endif
