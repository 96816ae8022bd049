/* Option tables of [printer] and of the sections of the toolhead's steppers. */
#ifndef SERVER_TOOLHEAD_KINEMATICS_OPTIONS_H
#define SERVER_TOOLHEAD_KINEMATICS_OPTIONS_H

#include "server/config/option.h"

#include <stddef.h>

extern const struct option_desc printer_options[]; /* [printer] */
extern const size_t printer_option_count;
extern const struct option_desc kinematics_rail_options[]; /* [stepper_x], [stepper_y], [stepper_z] */
extern const size_t kinematics_rail_option_count;
extern const struct option_desc kinematics_tower_options[]; /* [stepper_a], [stepper_b], [stepper_c] of a delta */
extern const size_t kinematics_tower_option_count;
extern const struct option_desc kinematics_further_options[]; /* [stepper_z1], ... */
extern const size_t kinematics_further_option_count;

#endif
