/* The plane that fits measured heights best. Pure; any thread. */
#ifndef SERVER_BED_BED_PLANE_H
#define SERVER_BED_BED_PLANE_H

#include <stddef.h>

/* z = z0 + x slope_x + y slope_y [mm]. */
struct bed_plane {
    double z0_mm, slope_x, slope_y;
};

/* Least squares through `count` > 0 points x y z. Points on one line leave the slope across it open: it is 0 then (the least
 * slopes that fit). Normal equations about the centre of the points. */
struct bed_plane bed_plane_fit(const double (*points_mm)[3], size_t count);
double bed_plane_at(const struct bed_plane *plane, double x_mm, double y_mm);

#endif
