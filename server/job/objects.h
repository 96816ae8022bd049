/* The objects of this folder, for the list of all objects (object_list). */
#ifndef SERVER_JOB_OBJECTS_H
#define SERVER_JOB_OBJECTS_H

struct object_desc;

extern const struct object_desc virtual_sdcard_desc, print_stats_desc, pause_resume_desc, idle_timeout_desc,
    exclude_object_desc, display_status_desc, respond_desc, gcode_macro_desc, delayed_gcode_desc, save_variables_desc,
    gcode_button_desc, filament_switch_sensor_desc, filament_motion_sensor_desc, firmware_retraction_desc,
    display_template_desc;

#endif
