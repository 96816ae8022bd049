/* The geometry of a delta from heights at known carriage positions. Pure; any thread. Formulas: docs/design/bed-mesh.md. */
#ifndef SERVER_BED_DELTA_FIT_H
#define SERVER_BED_DELTA_FIT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct delta_geometry {
    double radius_mm;     /* of the circle of the towers */
    double arm_mm[3];     /* length of each tower's rods; above the radius */
    double angle_deg[3];  /* where each tower stands */
    double endstop_mm[3]; /* height of the nozzle in the centre when each tower's endstop triggers */
};

/* How far [mm] each carriage is below its endstop with the nozzle at xyz. false: out of reach. */
bool delta_carriages(const struct delta_geometry *g, const double xyz[3], double below_mm[3]);
/* The inverse. false: no position fits. */
bool delta_nozzle(const struct delta_geometry *g, const double below_mm[3], double xyz[3]);

/* Change radius, the angles of the first two towers and the three endstops until nozzle heights at `below_mm` (count rows)
 * are `height_mm`: least squares by Levenberg and Marquardt, slopes by central differences.
 *   *rms_mm  what is left, of the heights
 * ERR_INVALID: fewer rows than unknowns, or no geometry fits. */
#define DELTA_FIT_UNKNOWNS 6
enum err delta_fit(struct delta_geometry *g, const double (*below_mm)[3], const double *height_mm, size_t count,
                   double *rms_mm, struct err_info *info) ERR_NODISCARD;

#endif
