#include "server/machine/deprecated.h"

#include "base/check.h"
#include "base/mem.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/printer.h"

#include <string.h>
#include <strings.h>

/* Source: Klipper's documentation, Config_Changes.md; the dates are its. */
const struct deprecation deprecated_options[] = {
    {"probe_eddy_current", "z_offset", NULL, false, "2026-03-18", "descend_z"},
    {"printer", "max_stepper_error", NULL, true, "2025-10-03", NULL},
    {"printer", "max_accel_to_decel", NULL, true, "2025-08-11", "minimum_cruise_ratio"},
    {"pca9632", "scl_pin", NULL, true, "2025-07-21", "i2c_software_scl_pin"},
    {"pca9632", "sda_pin", NULL, true, "2025-07-21", "i2c_software_sda_pin"},
    {"mcp4018", "scl_pin", NULL, true, "2025-07-21", "i2c_software_scl_pin"},
    {"mcp4018", "sda_pin", NULL, true, "2025-07-21", "i2c_software_sda_pin"},
    {"output_pin", "maximum_mcu_duration", NULL, true, "2024-09-12", "a [pwm_tool] section"},
    {"output_pin", "static_value", NULL, true, "2024-09-12", "value and shutdown_value"},
    {"extruder*", "shared_heater", NULL, true, "2024-02-15", "an [extruder_stepper] section"},
    {"bed_mesh", "relative_reference_index", NULL, true, "2024-02-15", "zero_reference_position"},
    {"*", "sensor_type", "NTC 100K beta 3950", true, "2024-02-15",
     "Generic 3950, or a [thermistor] section with temperature1: 25, resistance1: 100000, beta: 3950"},
    {"printer", "buffer_time_*", NULL, true, "2023-12-07", NULL},
    {"printer", "move_flush_time", NULL, true, "2023-12-07", NULL},
    {"temperature_fan", "pid_integral_max", NULL, true, "2022-04-07", NULL},
    {"extruder*", "pid_integral_max", NULL, true, "2021-11-02", NULL},
    {"heater_bed", "pid_integral_max", NULL, true, "2021-11-02", NULL},
    {"heater_generic", "pid_integral_max", NULL, true, "2021-11-02", NULL},
    {"stepper_*", "step_distance", NULL, true, "2021-11-02", "rotation_distance and microsteps"},
    {"extruder*", "step_distance", NULL, true, "2021-11-02", "rotation_distance and microsteps"},
    {"manual_stepper", "step_distance", NULL, true, "2021-11-02", "rotation_distance and microsteps"},
    {"mcu", "pin_map", NULL, true, "2021-11-02", "a [board_pins] section"},
    {"gcode_macro", "default_parameter_*", NULL, true, "2021-11-02",
     "{% set NAME = params.NAME|default(VALUE) %} in the macro"},
    {"*", "sensor_type", "rpi_temperature", true, "2021-11-02", "temperature_host"},
    {"endstop_phase", "endstop_phase", NULL, true, "2020-12-18", "trigger_phase"},
    {"neopixel", "color_order_GRB", NULL, true, "2020-10-29", "color_order"},
    {"servo", "enable", NULL, true, "2020-07-25", "SET_SERVO WIDTH=0"},
    {"bed_mesh", "min_point", NULL, true, "2020-01-09", "mesh_min"},
    {"bed_mesh", "max_point", NULL, true, "2020-01-09", "mesh_max"},
    {"bed_mesh", "bed_radius", NULL, true, "2020-01-09", "mesh_radius"},
    {"extruder*", "activate_gcode", NULL, true, "2019-12-10", "a [gcode_macro T0] that calls ACTIVATE_EXTRUDER"},
    {"extruder*", "deactivate_gcode", NULL, true, "2019-12-10", "a [gcode_macro T0] that calls ACTIVATE_EXTRUDER"},
    {"extruder*", "pressure_advance_lookahead_time", NULL, true, "2019-11-21", NULL},
    {"firmware_retraction", "z_hop", NULL, true, "2019-07-10", NULL},
    {"bed_mesh", "samples*", NULL, true, "2019-06-06", "the same option of [probe]"},
    {"bed_mesh", "sample_retract_dist", NULL, true, "2019-06-06", "the same option of [probe]"},
    {"bed_tilt", "sample*", NULL, true, "2019-06-06", "the same option of [probe]"},
    {"delta_calibrate", "sample*", NULL, true, "2019-06-06", "the same option of [probe]"},
    {"screws_tilt_adjust", "sample*", NULL, true, "2019-06-06", "the same option of [probe]"},
    {"z_tilt", "sample*", NULL, true, "2019-06-06", "the same option of [probe]"},
    {"quad_gantry_level", "sample*", NULL, true, "2019-06-06", "the same option of [probe]"},
    {"tmc2130", "driver_BLANK_TIME_SELECT", NULL, true, "2019-03-08", "driver_TBL"},
    {"tmc2208", "driver_BLANK_TIME_SELECT", NULL, true, "2019-03-08", "driver_TBL"},
    {"bed_mesh", "bed_shape", NULL, true, "2019-02-24", "mesh_radius and round_probe_count for a round bed"},
};
const size_t deprecated_option_count = ARRAY_COUNT(deprecated_options);

static const struct deprecation commands[] = {
    {"MANUAL_STEPPER", "STOP_ON_ENDSTOP", "1|2|-1|-2", false, "2026-02-14", "home, probe, try_home, inverted_home, ..."},
    {"SET_VELOCITY_LIMIT", "ACCEL_TO_DECEL", NULL, true, "2025-08-11", "MINIMUM_CRUISE_RATIO"},
    {"AXIS_TWIST_COMPENSATION_CALIBRATE", "AUTO", NULL, true, "2025-03-08", NULL},
    {"SET_PIN", "CYCLE_TIME", NULL, true, "2024-01-23", "SET_PIN of a [pwm_cycle_time] section"},
    {"BED_MESH_CALIBRATE", "RELATIVE_REFERENCE_INDEX", NULL, true, "2023-06-19", "zero_reference_position of [bed_mesh]"},
    {"ACCELEROMETER_MEASURE", "RATE", NULL, true, "2021-08-30", "rate of the sensor's section"},
    {"SET_SERVO", "ENABLE", NULL, true, "2020-07-25", "WIDTH=0"},
    {"G4", "S", NULL, true, "2019-12-02", "P, in milliseconds"},
};

/* Does `name` (up to `len`) fit `pattern`, which may end with '*'? Letter case does not matter. */
static bool fits(const char *pattern, const char *name, size_t len)
{
    size_t fixed = strcspn(pattern, "*");
    if (pattern[fixed])
        return len >= fixed && !strncasecmp(pattern, name, fixed);
    return len == fixed && !strncasecmp(pattern, name, len);
}

static bool has_value(const char *values, const char *value)
{
    size_t len = strlen(value);
    for (const char *p = values; p; p = p[strcspn(p, "|")] ? p + strcspn(p, "|") + 1 : NULL)
        if (strcspn(p, "|") == len && !memcmp(p, value, len))
            return true;
    return false;
}

static bool is_about(const struct deprecation *row, const char *section, const char *option)
{
    return fits(row->where, section, strcspn(section, " ")) && fits(row->name, option, strlen(option));
}

const struct deprecation *deprecated_value(const struct deprecation *rows, size_t count, const char *section,
                                           const char *option, const char *value)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].values && is_about(&rows[i], section, option) && has_value(rows[i].values, value))
            return &rows[i];
    return NULL;
}

/* Words of Klipper's own warnings. */
static void warn_option(struct config_section *section, const struct config_option *option, const struct deprecation *row)
{
    const char *name = section_name(section);
    char *text = row->values
                     ? mem_sprintf("Value '%s' in option '%s' in section '%s' is deprecated.", option->value, option->name, name)
                     : mem_sprintf("Option '%s' in section '%s' is deprecated.", option->name, name);
    config_warn(section_config(section), row->values ? "deprecated_value" : "deprecated_option", name, option->name,
                row->values ? option->value : NULL, text);
    mem_free(text);
}

static void check_option(struct config_section *section, const struct config_option *option, const struct deprecation *row)
{
    if (!row->is_removed) {
        warn_option(section, option, row);
    } else if (!row->values) { /* a removed value is told by whoever reads the option */
        (void)section_has(section, option->name);
        config_error_option(section, option->name, "Option '%s' is not valid in section '%s' (Klipper removed it on %s: %s%s)",
                            option->name, section_name(section), row->since, row->instead ? "use " : "leave it out",
                            row->instead ? row->instead : "");
    }
}

void deprecated_check_section(struct config_section *section, const struct deprecation *rows, size_t count)
{
    const char *name = section_name(section);
    size_t kind_len = strcspn(name, " ");
    for (size_t i = 0; i < count; i++) {
        if (!fits(rows[i].where, name, kind_len))
            continue;
        for (size_t k = 0; k < section_option_count(section); k++) {
            const struct config_option *option = section_option_at(section, k);
            if (fits(rows[i].name, option->name, strlen(option->name)) &&
                (!rows[i].values || has_value(rows[i].values, option->value)))
                check_option(section, option, &rows[i]);
        }
    }
}

/* --- commands --- */

static void warn_command(struct printer *printer, const struct deprecation *row, const char *value)
{
    char *text;
    if (row->is_removed)
        text = mem_sprintf("Parameter '%s' of command '%s' is ignored: Klipper removed it on %s%s%s.", row->name, row->where,
                           row->since, row->instead ? "; use " : "", row->instead ? row->instead : "");
    else if (row->values)
        text = mem_sprintf("Value '%s=%s' in command '%s' is deprecated.", row->name, value, row->where);
    else
        text = mem_sprintf("Parameter '%s' in command '%s' is deprecated.", row->name, row->where);
    config_warn_command(printer->config, row->where, row->name, row->values ? value : NULL, text);
    mem_free(text);
}

static void on_command(void *ctx, const char *name, const struct gcode_command *cmd)
{
    struct printer *printer = ctx;
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        const struct deprecation *row = &commands[i];
        const char *value = strcmp(row->where, name) ? NULL : gcode_get(cmd, row->name);
        if (value && (!row->values || has_value(row->values, value)))
            warn_command(printer, row, value);
    }
}

void deprecated_watch_commands(struct printer *printer)
{
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
        gcode_watch(printer->gcode, commands[i].where, on_command, printer);
}
