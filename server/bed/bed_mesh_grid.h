/* The surface of a bed: a grid of measured heights, refined by interpolation, and what it does to a move. Pure: no printer,
 * no clock; one thread at a time. Lengths in mm. Formulas: Lagrange's polynomial and cardinal splines, docs/design/bed-mesh.md. */
#ifndef SERVER_BED_BED_MESH_GRID_H
#define SERVER_BED_BED_MESH_GRID_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define MESH_POINTS_MAX 200  /* measured, along one axis */
#define MESH_CELLS_MAX  2000 /* nodes of the refined grid along one axis */
#define MESH_AXES_MAX   8    /* coordinates of a move: X Y Z E ... */

enum mesh_algorithm { MESH_LAGRANGE, MESH_BICUBIC, MESH_DIRECT };

/* How a grid is made. Axis 0 is x, 1 is y. */
struct mesh_params {
    double min_mm[2], max_mm[2];
    unsigned count[2]; /* measured points along each axis [3, MESH_POINTS_MAX] */
    unsigned pps[2];   /* nodes put between two measured ones [0, ...]; both 0: the measured grid as it is */
    enum mesh_algorithm algorithm;
    double tension;    /* of the splines [0, 2] */
};

struct mesh {
    struct mesh_params params;
    unsigned nodes[2];   /* of the refined grid */
    double cell_mm[2];   /* its spacing */
    double *measured_mm; /* count[1] rows of count[0] */
    double *node_mm;     /* nodes[1] rows of nodes[0] */
};

/* Settle and check: which algorithm `params` really gets (fewer than four points on an axis cannot make splines; no nodes
 * between: direct). ERR_INVALID with words if it is impossible. */
enum err mesh_params_check(struct mesh_params *params, struct err_info *info) ERR_NODISCARD;
const char *mesh_algorithm_name(enum mesh_algorithm algorithm); /* "lagrange", "bicubic", "direct" */
/* The refined grid of `measured_mm` (rows of x, y ascending; copied). `params` has passed mesh_params_check. */
struct mesh *mesh_create(const struct mesh_params *params, const double *measured_mm);
void mesh_destroy(struct mesh *mesh); /* NULL allowed */

/* Height of the surface at x, y: bilinear between nodes; beyond the edge, the edge's. */
double mesh_height_mm(const struct mesh *mesh, double x_mm, double y_mm);
void mesh_range_mm(const struct mesh *mesh, double *min_mm, double *max_mm);
/* Mean of all nodes, to 0.01 mm. */
double mesh_average_mm(const struct mesh *mesh);
/* Lower all heights, measured ones and nodes, by `z_mm`. */
void mesh_lower(struct mesh *mesh, double z_mm);

/* How a mesh acts on moves. */
struct mesh_effect {
    const struct mesh *mesh;              /* NULL: none */
    double fade_start_mm, fade_end_mm;    /* fading out between these heights; fade_end <= fade_start: never */
    double target_mm;                     /* what remains above fade_end */
    double shift_mm[2];                   /* added to x and y when looking up */
    double tool_z_mm;                     /* added to z when fading */
    double check_distance_mm, split_mm;   /* long moves: where to look, and what difference makes a piece */
};
/* Share of the mesh's correction [0, 1] at G-code height z. */
double mesh_fade(const struct mesh_effect *effect, double z_mm);
/* What is added to z at x, y with `fade`. */
double mesh_correction_mm(const struct mesh_effect *effect, double fade, double x_mm, double y_mm);
/* The inverse: G-code height of a toolhead at pos[0..2]. Exact while the fade range is longer than the mesh is high. */
double mesh_uncorrected_z_mm(const struct mesh_effect *effect, const double *pos);

/* One move in pieces: begin, then next until it says false. The correction's share is that of the end of the move. */
struct mesh_split {
    const struct mesh_effect *effect;
    double from[MESH_AXES_MAX], to[MESH_AXES_MAX];
    size_t axis_count;
    double length_mm, at_mm, fade, last_mm;
    bool is_split, is_done;
};
void mesh_split_begin(struct mesh_split *split, const struct mesh_effect *effect, const double *from, const double *to,
                      size_t axis_count);
bool mesh_split_next(struct mesh_split *split, double *pos);

#endif
