#include "server/bed/bed_plane.h"

#define ON_A_LINE 1e-9 /* of the greatest determinant that the same spread could have */

struct bed_plane bed_plane_fit(const double (*points_mm)[3], size_t count)
{
    double centre[3] = {0.0, 0.0, 0.0}, xx = 0.0, xy = 0.0, yy = 0.0, xz = 0.0, yz = 0.0;
    struct bed_plane plane = {0.0, 0.0, 0.0};
    for (size_t i = 0; i < count; i++)
        for (int k = 0; k < 3; k++)
            centre[k] += points_mm[i][k] / (double)count;
    for (size_t i = 0; i < count; i++) {
        double x = points_mm[i][0] - centre[0], y = points_mm[i][1] - centre[1], z = points_mm[i][2] - centre[2];
        xx += x * x;
        xy += x * y;
        yy += y * y;
        xz += x * z;
        yz += y * z;
    }
    double spread = xx + yy, det = xx * yy - xy * xy;
    if (det > ON_A_LINE * spread * spread) {
        plane.slope_x = (xz * yy - yz * xy) / det;
        plane.slope_y = (yz * xx - xz * xy) / det;
    } else if (spread > 0.0) { /* one direction only: the matrix is spread times the projection on it */
        plane.slope_x = xz / spread;
        plane.slope_y = yz / spread;
    }
    plane.z0_mm = centre[2] - plane.slope_x * centre[0] - plane.slope_y * centre[1];
    return plane;
}

double bed_plane_at(const struct bed_plane *plane, double x_mm, double y_mm)
{
    return plane->z0_mm + plane->slope_x * x_mm + plane->slope_y * y_mm;
}
