/* Section kinds of Klipper v0.13.0-730, so that a section this program does not have yet is told apart from a typing
 * mistake. "NAME" stands for any rest of the name, "<n>" for a number, "<d-z>" for a letter. */
#include "server/machine/object.h"

#include <string.h>

static const char *const known_sections[] = {
    "[ad5206 NAME]",
    "[adc_scaled NAME]",
    "[adc_temperature NAME]",
    "[ads1x1x NAME]",
    "[adxl345 NAME]",
    "[adxl345]",
    "[angle NAME]",
    "[axis_twist_compensation]",
    "[bed_mesh NAME]",
    "[bed_mesh]",
    "[bed_screws]",
    "[bed_tilt]",
    "[bltouch]",
    "[bmi160 NAME]",
    "[bmi160]",
    "[board_pins NAME]",
    "[board_pins]",
    "[carriage NAME]",
    "[controller_fan NAME]",
    "[dac084S085 NAME]",
    "[delayed_gcode NAME]",
    "[delta_calibrate]",
    "[display NAME]",
    "[display]",
    "[display_data GROUP NAME]",
    "[display_glyph NAME]",
    "[display_status]",
    "[dotstar NAME]",
    "[dual_carriage NAME]",
    "[dual_carriage<n>]",
    "[dual_carriage]",
    "[duplicate_pin_override]",
    "[endstop_phase NAME]",
    "[endstop_phase]",
    "[exclude_object]",
    "[extra_carriage NAME]",
    "[extruder<n>]",
    "[extruder]",
    "[extruder_stepper NAME]",
    "[fan]",
    "[fan_generic NAME]",
    "[filament_motion_sensor NAME]",
    "[filament_switch_sensor NAME]",
    "[firmware_retraction]",
    "[force_move]",
    "[gcode_arcs]",
    "[gcode_button NAME]",
    "[gcode_macro NAME]",
    "[hall_filament_width_sensor]",
    "[heater_bed]",
    "[heater_fan NAME]",
    "[heater_generic NAME]",
    "[homing_heaters]",
    "[homing_override]",
    "[icm20948 NAME]",
    "[icm20948]",
    "[idle_timeout]",
    "[input_shaper]",
    "[led NAME]",
    "[lis2dw NAME]",
    "[lis2dw]",
    "[lis3dh NAME]",
    "[lis3dh]",
    "[load_cell NAME]",
    "[load_cell]",
    "[load_cell_probe]",
    "[manual_stepper NAME]",
    "[mcp4018 NAME]",
    "[mcp4451 NAME]",
    "[mcp4728 NAME]",
    "[mcu NAME]",
    "[mcu]",
    "[menu NAME]",
    "[mpu9250 NAME]",
    "[mpu9250]",
    "[multi_pin NAME]",
    "[neopixel NAME]",
    "[output_pin NAME]",
    "[palette2]",
    "[pause_resume]",
    "[pca9533 NAME]",
    "[pca9632 NAME]",
    "[printer]",
    "[probe]",
    "[probe_eddy_current NAME]",
    "[pwm_cycle_time NAME]",
    "[pwm_tool NAME]",
    "[quad_gantry_level]",
    "[replicape]",
    "[resonance_tester]",
    "[respond]",
    "[safe_z_home]",
    "[samd_sercom NAME]",
    "[screws_tilt_adjust]",
    "[sdcard_loop]",
    "[servo NAME]",
    "[skew_correction NAME]",
    "[skew_correction]",
    "[smart_effector]",
    "[static_digital_output NAME]",
    "[static_pwm_clock NAME]",
    "[stepper NAME]",
    "[stepper_1]",
    "[stepper_2]",
    "[stepper_3]",
    "[stepper_<d-z>]",
    "[stepper_a<n>]",
    "[stepper_a]",
    "[stepper_arm]",
    "[stepper_b<n>]",
    "[stepper_b]",
    "[stepper_bed]",
    "[stepper_c<n>]",
    "[stepper_c]",
    "[stepper_d]",
    "[stepper_left]",
    "[stepper_right]",
    "[stepper_x<n>]",
    "[stepper_x]",
    "[stepper_y<n>]",
    "[stepper_y]",
    "[stepper_z<n>]",
    "[stepper_z]",
    "[sx1509 NAME]",
    "[temperature_fan NAME]",
    "[temperature_probe NAME]",
    "[temperature_sensor NAME]",
    "[thermistor NAME]",
    "[tmc2130 NAME]",
    "[tmc2208 NAME]",
    "[tmc2209 NAME]",
    "[tmc2240 NAME]",
    "[tmc2660 NAME]",
    "[tmc5160 NAME]",
    "[tsl1401cl_filament_width_sensor]",
    "[verify_heater NAME]",
    "[virtual_sdcard]",
    "[z_thermal_adjust]",
    "[z_tilt]",
};

/* Does section `name` fit a documented kind such as "[bed_mesh NAME]" or "[stepper_x<n>]"? */
static bool fits(const char *kind, const char *name)
{
    const char *k = kind + 1;
    while (*k && *k != ']') {
        if (!strncmp(k, " NAME", 5) || !strncmp(k, " GROUP NAME", 11))
            return name[0] == ' ' && name[1];
        if (!strncmp(k, "<n>", 3)) {
            size_t digits = strspn(name, "0123456789");
            return digits && !name[digits];
        }
        if (!strncmp(k, "<d-z>", 5))
            return name[0] >= 'd' && name[0] <= 'z' && !name[1];
        if (*k++ != *name++)
            return false;
    }
    return !*name;
}

const char *object_known_elsewhere(const char *name)
{
    for (size_t i = 0; i < sizeof known_sections / sizeof known_sections[0]; i++)
        if (fits(known_sections[i], name))
            return known_sections[i];
    return NULL;
}
