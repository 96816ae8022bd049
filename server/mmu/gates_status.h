/* Private to server/mmu. */
#ifndef SERVER_MMU_GATES_STATUS_H
#define SERVER_MMU_GATES_STATUS_H

struct status_writer;

/* The fields of printer.mmu about gates, filament and tools: of a unit without gates. */
void mmu_write_gates_status(struct status_writer *writer);

/* Their descriptions, for the object's table. */
#define MMU_GATES_FIELDS                                                                                               \
    {"num_gates", "int", "gates of the unit"}, {"is_homed", "bool", "selector homed"},                                 \
        {"unit", "int", "selected unit, -1 unknown"}, {"tool", "int", "selected tool, -1 unknown"},                    \
        {"gate", "int", "selected gate, -1 unknown"}, {"last_tool", "int", "tool before this one"},                    \
        {"next_tool", "int", "tool being changed to, else -1"},                                                        \
        {"num_toolchanges", "int", "tool changes of this job"}, {"last_toolchange", "str", "in words"},                \
        {"toolchange_purge_volume", "float", "mm^3 of the present change"}, {"runout", "bool", "handling a runout"},   \
        {"operation", "str", "why the toolhead is saved"}, {"action", "str", "what the unit does"},                    \
        {"filament", "str", "Loaded, Unloaded or Unknown"}, {"filament_position", "float", "mm along the path"},       \
        {"filament_pos", "int", "stage of the path"}, {"filament_direction", "int", "1 load, -1 unload"},              \
        {"active_filament", "dict", "what is selected"}, {"pending_spool_id", "int", "-1 none"},                       \
        {"ttg_map", "list", "gate of each tool"}, {"endless_spool_groups", "list", "group of each gate"},              \
        {"gate_status", "list", "filament of each gate"}, {"gate_temperature", "list", "per gate"},                    \
        {"gate_spool_id", "list", "per gate"}, {"gate_speed_override", "list", "per gate"},                            \
        {"gate_filament_name", "list", "per gate"}, {"gate_material", "list", "per gate"},                             \
        {"gate_color", "list", "per gate, without #"}, {"gate_color_rgb", "list", "per gate"},                         \
        {"slicer_color_rgb", "list", "per gate, by the slicer"}, {"tool_extrusion_multipliers", "list", "per tool"},   \
        {"tool_speed_multipliers", "list", "per tool"},                                                                \
        {"slicer_tool_map", "dict", "what the slicer said of its tools"}, {"has_bypass", "bool", "selector has one"},  \
        {"sync_drive", "bool", "gear follows the extruder"},                                                           \
        {"extruder_filament_remaining", "float", "mm left in the extruder"}, {"spoolman_support", "str", "off"},       \
        {"bowden_progress", "int", "-1 or percent"}, {"espooler_active", "str", "of the selected gate"},               \
        {"endless_spool", "int", "deprecated name"}, {"endless_spool_enabled", "int", "deprecated name"},              \
        {"clog_detection", "int", "deprecated name"}, {"clog_detection_enabled", "int", "deprecated name"},            \
    {                                                                                                                  \
        "sensors", "dict", "state of each sensor"                                                                      \
    }

#endif
