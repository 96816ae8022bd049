/* Linear delta: the part of kin.h that differs from the linear kinds. Internal to motion/kin. */
#ifndef MOTION_KIN_KIN_DELTA_H
#define MOTION_KIN_KIN_DELTA_H

#include "motion/kin/kin.h"

enum err kin_delta_init(struct kin *k, struct err_info *info) ERR_NODISCARD;
enum err kin_delta_forward(const struct kin *k, const double rail_mm[KIN_RAIL_COUNT], double pos_mm[3]) ERR_NODISCARD;
enum err kin_delta_check_move(struct kin *k, struct move *m, struct err_info *info) ERR_NODISCARD;
void kin_delta_axis_range(const struct kin *k, double min_mm[3], double max_mm[3]);

/* Shared by the kinds (kin.c). */
enum err kin_move_error(const struct move *m, bool is_unhomed, struct err_info *info) ERR_NODISCARD;
void kin_limit_z(const struct kin *k, struct move *m);

#endif
