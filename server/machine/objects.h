/* The objects of this folder, for the list of all objects (server/objects/objects.c). */
#ifndef SERVER_MACHINE_OBJECTS_H
#define SERVER_MACHINE_OBJECTS_H

#include "server/machine/object.h"

extern const struct object_desc mcu_desc, board_pins_desc, duplicate_pin_override_desc, static_digital_output_desc;
extern const struct object_desc webhooks_desc, configfile_desc, gcode_desc;
extern const struct object_desc heaters_desc, heater_bed_desc, heater_generic_desc, verify_heater_desc;
extern const struct object_desc thermistor_desc, adc_temperature_desc, temperature_sensor_desc;
extern const struct object_desc fan_desc, fan_generic_desc, heater_fan_desc, controller_fan_desc;
extern const struct object_desc output_pin_desc, query_endstops_desc, temperature_host_desc, system_stats_desc;
extern const struct object_desc realtime_desc;
extern const struct object_desc pid_calibrate_desc, manual_probe_desc, query_adc_desc, tuning_tower_desc;
extern const struct object_desc temperature_combined_desc, temperature_fan_desc, servo_desc, led_desc, neopixel_desc;

#endif
