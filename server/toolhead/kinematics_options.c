/* Option tables and descriptors of the sections that the toolhead reads. */
#include "server/toolhead/kinematics_options.h"
#include "server/machine/object.h"
#include "server/machine/stepper.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

const struct option_desc printer_options[] = {
    {.name = "kinematics", .type = OPTION_STRING, .flags = OPTION_REQUIRED,
     .help = "How the motors move the toolhead: none, cartesian, corexy, corexz, hybrid_corexy, hybrid_corexz or delta"},
    {.name = "max_velocity", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED, .unit = "mm/s", .limits = ">0",
     .help = "Highest speed of the toolhead"},
    {.name = "max_accel", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED, .unit = "mm/s^2", .limits = ">0",
     .help = "Highest acceleration of the toolhead"},
    {.name = "minimum_cruise_ratio", .type = OPTION_FLOAT, .default_text = "0.5", .limits = ">=0 <1",
     .help = "Least share of a short zig-zag move that is travelled at constant speed"},
    {.name = "square_corner_velocity", .type = OPTION_FLOAT, .unit = "mm/s", .default_text = "5.0", .limits = ">=0",
     .help = "Speed at which a corner of 90 degrees is taken"},
    {.name = "max_z_velocity", .type = OPTION_FLOAT, .unit = "mm/s", .default_text = "max_velocity",
     .limits = ">0 <=max_velocity", .help = "Highest speed of the Z axis"},
    {.name = "max_z_accel", .type = OPTION_FLOAT, .unit = "mm/s^2", .default_text = "max_accel",
     .limits = ">0 <=max_accel", .help = "Highest acceleration of the Z axis"},
    {.name = "delta_radius", .type = OPTION_FLOAT, .flags = OPTION_CONDITIONAL, .unit = "mm", .limits = ">0",
     .when = "kinematics: delta", .help = "Radius of the circle of the three towers"},
    {.name = "print_radius", .type = OPTION_FLOAT, .unit = "mm", .default_text = "delta_radius", .limits = ">0",
     .when = "kinematics: delta", .help = "Radius within which the toolhead may move"},
    {.name = "minimum_z_position", .type = OPTION_FLOAT, .unit = "mm", .default_text = "0",
     .when = "kinematics: delta", .help = "Lowest Z the toolhead may go to"},
};
const size_t printer_option_count = COUNT(printer_options);

#define HOMING_OPTIONS                                                                                                \
    {.name = "endstop_pin", .type = OPTION_PIN, .flags = OPTION_CONDITIONAL, .help = "Switch at the end of the axis"}, \
        {.name = "homing_speed", .type = OPTION_FLOAT, .unit = "mm/s", .default_text = "5.0", .limits = ">0",          \
         .help = "Speed of the first approach to the endstop"},                                                        \
        {.name = "second_homing_speed", .type = OPTION_FLOAT, .unit = "mm/s", .default_text = "half of homing_speed",  \
         .limits = ">0", .help = "Speed of the second approach"},                                                      \
        {.name = "homing_retract_speed", .type = OPTION_FLOAT, .unit = "mm/s", .default_text = "homing_speed",         \
         .limits = ">0", .help = "Speed of the way back between the approaches"},                                      \
        {.name = "homing_retract_dist", .type = OPTION_FLOAT, .unit = "mm", .default_text = "5.0", .limits = ">=0",    \
         .help = "Way back between the approaches; 0: only one approach"},                                             \
        {.name = "homing_positive_dir", .type = OPTION_BOOL,                                                           \
         .default_text = "by the position of the endstop", .help = "Home towards the upper end of the axis"}

const struct option_desc kinematics_rail_options[] = {
    HOMING_OPTIONS,
    {.name = "position_min", .type = OPTION_FLOAT, .unit = "mm", .default_text = "0", .help = "Lower end of the axis"},
    {.name = "position_max", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED, .unit = "mm",
     .help = "Upper end of the axis"},
    {.name = "position_endstop", .type = OPTION_FLOAT, .flags = OPTION_CONDITIONAL, .unit = "mm",
     .when = "unless endstop_pin is probe:z_virtual_endstop", .help = "Where on the axis the endstop triggers"},
};
const size_t kinematics_rail_option_count = COUNT(kinematics_rail_options);

const struct option_desc kinematics_tower_options[] = {
    HOMING_OPTIONS,
    {.name = "position_endstop", .type = OPTION_FLOAT, .flags = OPTION_CONDITIONAL, .unit = "mm",
     .help = "Height of the nozzle, at the centre, when the endstop triggers"},
    {.name = "arm_length", .type = OPTION_FLOAT, .flags = OPTION_CONDITIONAL, .unit = "mm", .limits = ">0",
     .help = "Length of the diagonal rods"},
    {.name = "angle", .type = OPTION_FLOAT, .unit = "deg", .default_text = "210, 330 and 90 for a, b and c",
     .help = "Where the tower stands"},
};
const size_t kinematics_tower_option_count = COUNT(kinematics_tower_options);

const struct option_desc kinematics_further_options[] = {
    {.name = "endstop_pin", .type = OPTION_PIN, .help = "Switch of this stepper alone; none: that of the first stepper"},
};
const size_t kinematics_further_option_count = COUNT(kinematics_further_options);

const struct object_desc printer_section_desc = {
    .section = "printer",
    .flags = OBJECT_EXACT | OBJECT_SETTINGS,
    .help = "Kinematics and limits of the toolhead",
    OBJECT_OPTIONS(printer_options),
};

#define RAIL_DESC(letter, table)                                                                                      \
    const struct object_desc stepper_##letter##_desc = {                                                              \
        .section = "stepper_" #letter,                                                                                \
        .flags = OBJECT_EXACT | OBJECT_SETTINGS,                                                                      \
        .help = "First stepper of a rail, its endstop and range",                                                     \
        OBJECT_OPTIONS(table),                                                                                        \
    };                                                                                                                \
    const struct object_desc stepper_##letter##_further_desc = {                                                      \
        .section = "stepper_" #letter,                                                                                \
        .flags = OBJECT_NUMBERED | OBJECT_SETTINGS,                                                                   \
        .help = "Further stepper of a rail",                                                                          \
        OBJECT_OPTIONS(kinematics_further_options),                                                                   \
    }

RAIL_DESC(x, kinematics_rail_options);
RAIL_DESC(y, kinematics_rail_options);
RAIL_DESC(z, kinematics_rail_options);
RAIL_DESC(a, kinematics_tower_options);
RAIL_DESC(b, kinematics_tower_options);
RAIL_DESC(c, kinematics_tower_options);
