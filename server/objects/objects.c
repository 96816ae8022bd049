/* Every kind of printer object, one line each, in the order in which those that every printer has are created. */
#include "server/machine/object.h"

#define LIST(X)                                                                                                       \
    /* boards and what is said about their pins and sensors */                                                        \
    X(mcu) X(board_pins) X(duplicate_pin_override) X(thermistor) X(adc_temperature)                                   \
    /* what every printer has */                                                                                      \
    X(webhooks) X(configfile) X(system_stats) X(realtime) X(gcode) X(gcode_move) X(stepper_enable) X(query_endstops) X(homing) X(motion_report)   \
    X(stepper_buzz) X(manual_probe) X(tuning_tower)                                                                   \
    /* motion */                                                                                                      \
    X(printer_section) X(toolhead) X(extruder) X(extruder_further) X(extruder_stepper) X(manual_stepper)              \
    X(force_move) X(gcode_arcs) X(input_shaper)                                                                       \
    X(probe) X(bltouch) X(bed_mesh) X(bed_mesh_profile) X(safe_z_home) X(homing_override) X(homing_heaters) X(bed_screws)               \
    X(screws_tilt_adjust) X(bed_tilt) X(z_tilt) X(quad_gantry_level) X(delta_calibrate) X(axis_twist_compensation)                                                  \
    X(skew_correction) X(skew_correction_profile)                                                                     \
    X(stepper_x) X(stepper_y) X(stepper_z) X(stepper_a) X(stepper_b) X(stepper_c)                                     \
    X(stepper_x_further) X(stepper_y_further) X(stepper_z_further)                                                    \
    X(stepper_a_further) X(stepper_b_further) X(stepper_c_further)                                                    \
    /* heat, fans, pins */                                                                                            \
    X(heaters) X(pid_calibrate) X(heater_bed) X(heater_generic) X(verify_heater) X(temperature_sensor) X(temperature_host) X(temperature_combined)      \
    X(fan) X(fan_generic) X(heater_fan) X(controller_fan) X(temperature_fan) X(output_pin) X(static_digital_output)   \
    X(servo) X(led) X(neopixel) X(query_adc)                                                                          \
    /* jobs */                                                                                                        \
    X(virtual_sdcard) X(print_stats) X(pause_resume) X(idle_timeout) X(exclude_object) X(display_status) X(respond)   \
    X(gcode_macro) X(delayed_gcode) X(display_template) X(save_variables) X(gcode_button) X(firmware_retraction)                          \
    X(filament_switch_sensor) X(filament_motion_sensor)                                                               \
    /* the multi-material unit */                                                                                     \
    X(mmu) X(mmu_machine)

#define DECLARE(name) extern const struct object_desc name##_desc;
#define ENTRY(name) &name##_desc,

LIST(DECLARE)

const struct object_desc *const object_list[] = {LIST(ENTRY) NULL};
