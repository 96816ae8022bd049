#include "motion/kin/kin.h"

#include "base/check.h"
#include "base/fmath.h"
#include "motion/plan/segq.h"

#include <math.h>

void kin_func_linear(struct kin_func *f, double cx, double cy, double cz)
{
    *f = (struct kin_func){.kind = KIN_FUNC_LINEAR, .c = {cx, cy, cz}};
    for (int i = 0; i < 3; i++)
        f->axes = (uint8_t)(f->axes | (f->c[i] != 0.0 ? SEG_X << i : 0));
    if (f->axes == 0)
        f->kind = KIN_FUNC_NONE;
}

void kin_func_delta(struct kin_func *f, double tower_x_mm, double tower_y_mm, double arm_mm)
{
    *f = (struct kin_func){.kind = KIN_FUNC_DELTA,
                           .axes = SEG_X | SEG_Y | SEG_Z,
                           .tower_mm = {tower_x_mm, tower_y_mm},
                           .arm2_mm2 = arm_mm * arm_mm};
}

double kin_func_position(const struct kin_func *f, const double pos_mm[3])
{
    switch (f->kind) {
    case KIN_FUNC_NONE:
        return 0.0;
    case KIN_FUNC_LINEAR:
        return f->c[0] * pos_mm[0] + f->c[1] * pos_mm[1] + f->c[2] * pos_mm[2];
    case KIN_FUNC_DELTA: {
        const double dx = f->tower_mm[0] - pos_mm[0], dy = f->tower_mm[1] - pos_mm[1];
        return sqrt(f->arm2_mm2 - dx * dx - dy * dy) + pos_mm[2];
    }
    }
    UNREACHABLE();
}

/* Delta: h = sqrt(q), q = arm2 - dx^2 - dy^2 with dx = tower - x, so that
 * q' = 2 (dx x' + dy y'), q'' = 2 (dx x'' + dy y'' - x'^2 - y'^2), h' = q'/(2h), h'' = (q''/2 - h'^2)/h. */
void kin_func_motion(const struct kin_func *f, const double pos[3], const double vel[3], const double acc[3],
                     double out[3])
{
    if (f->kind == KIN_FUNC_DELTA) {
        const double dx = f->tower_mm[0] - pos[0], dy = f->tower_mm[1] - pos[1];
        const double h = sqrt(f->arm2_mm2 - dx * dx - dy * dy), inv_h = 1.0 / h;
        const double dh = (dx * vel[0] + dy * vel[1]) * inv_h;
        const double half_ddq = dx * acc[0] + dy * acc[1] - vel[0] * vel[0] - vel[1] * vel[1];
        out[0] = h + pos[2];
        out[1] = dh + vel[2];
        out[2] = (half_ddq - dh * dh) * inv_h + acc[2];
        return;
    }
    out[0] = kin_func_position(f, pos);
    out[1] = f->c[0] * vel[0] + f->c[1] * vel[1] + f->c[2] * vel[2];
    out[2] = f->c[0] * acc[0] + f->c[1] * acc[1] + f->c[2] * acc[2];
}
