/* Arcs. In the plane's axes (a, b): with r the vector from the centre to the start, piece i of n ends at the centre
 * plus r turned by i/n of the angle; the third axis advances by i/n of its way (a helix). */
#include "server/gcode/arcs.h"
#include "base/fmath.h"

#include <math.h>

static const unsigned plane_axes[][3] = {
    [ARC_PLANE_XY] = {0, 1, 2}, [ARC_PLANE_XZ] = {0, 2, 1}, [ARC_PLANE_YZ] = {1, 2, 0}};

/* Signed angle from start to target [rad]. The target's vector is taken from the rounded centre, in the order of
 * operations that printers use today: where start and target are the same point this rounding decides between a full
 * circle (angle 0 or just below) and none (just above), and slicers' spiral lifts show it. */
static double arc_angle(const struct arc *arc)
{
    const unsigned *axes = plane_axes[arc->plane];
    double start_a = -arc->offset[0], start_b = -arc->offset[1];
    double target_a = arc->target[axes[0]] - (arc->start[axes[0]] + arc->offset[0]);
    double target_b = arc->target[axes[1]] - (arc->start[axes[1]] + arc->offset[1]);
    double angle = fm_atan2(start_a * target_b - start_b * target_a, start_a * target_a + start_b * target_b);
    if (angle < 0.0)
        angle += 2.0 * FM_PI;
    if (arc->is_clockwise)
        angle -= 2.0 * FM_PI;
    bool is_closed = arc->target[axes[0]] == arc->start[axes[0]] && arc->target[axes[1]] == arc->start[axes[1]];
    return angle == 0.0 && is_closed ? 2.0 * FM_PI : angle;
}

enum err arc_segment_count(const struct arc *arc, size_t *count)
{
    unsigned helical = plane_axes[arc->plane][2];
    double radius = fm_hypot(arc->offset[0], arc->offset[1]);
    double length = fm_hypot(arc_angle(arc) * radius, arc->target[helical] - arc->start[helical]);
    double pieces = fm_floor(length / arc->resolution_mm);
    if (!(pieces <= ARC_SEGMENT_COUNT_MAX))
        return ERR_LIMIT;
    *count = pieces < 1.0 ? 1 : (size_t)pieces;
    return OK;
}

void arc_point(const struct arc *arc, size_t index, size_t count, double out[3])
{
    if (index == count) {
        for (unsigned i = 0; i < 3; i++)
            out[i] = arc->target[i];
        return;
    }
    const unsigned *axes = plane_axes[arc->plane];
    double share = (double)index / (double)count, s, c;
    fm_sincos(arc_angle(arc) * share, &s, &c);
    double a = -arc->offset[0], b = -arc->offset[1];
    out[axes[0]] = arc->start[axes[0]] + arc->offset[0] + a * c - b * s;
    out[axes[1]] = arc->start[axes[1]] + arc->offset[1] + a * s + b * c;
    out[axes[2]] = arc->start[axes[2]] + (arc->target[axes[2]] - arc->start[axes[2]]) * share;
}
