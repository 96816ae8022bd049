/* Arcs (G2, G3) as chains of straight moves. Pure geometry; any thread. */
#ifndef SERVER_GCODE_ARCS_H
#define SERVER_GCODE_ARCS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum arc_plane { ARC_PLANE_XY, ARC_PLANE_XZ, ARC_PLANE_YZ };

#define ARC_SEGMENT_COUNT_MAX 1000000 /* more are refused: no arc of a print has them */

struct arc {
    enum arc_plane plane;
    double start[3], target[3]; /* [mm] X Y Z */
    double offset[2];           /* [mm] from the start to the centre, along the plane's two axes: I J, I K or J K */
    bool is_clockwise;
    double resolution_mm; /* > 0: length of the straight pieces */
};

/* The number of straight pieces (at least 1), ERR_LIMIT when there would be too many. The angle from start to target
 * about the centre is [0, 2 pi) counter-clockwise, [-2 pi, 0) clockwise; if it is 0 and both ends are the same point, a
 * full circle. (A centre that is not exact in binary may leave an angle of 1e-16 instead of 0: then one straight
 * piece.) */
enum err arc_segment_count(const struct arc *arc, size_t *count) ERR_NODISCARD;

/* End point of piece `index` of `count` (index 1 .. count); that of the last is exactly the target. */
void arc_point(const struct arc *arc, size_t index, size_t count, double out[3]);

#endif
