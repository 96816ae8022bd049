/* The part of printer.mmu that speaks of gates and filament. This unit has none yet, and says so with the values users'
 * interfaces know for "nothing there", so that their panels show an empty unit. */
#include "server/mmu/gates_status.h"

#include "base/check.h"
#include "base/strbuf.h"
#include "server/machine/status.h"

/* Field and its JSON. */
static const struct gate_field {
    const char *name, *json;
} gate_fields[] = {
    {"num_gates", "0"},
    {"is_homed", "false"},
    {"unit", "-1"},
    {"tool", "-1"},
    {"gate", "-1"},
    {"last_tool", "-1"},
    {"next_tool", "-1"},
    {"num_toolchanges", "0"},
    {"last_toolchange", "\"\""},
    {"toolchange_purge_volume", "0.0"},
    {"runout", "false"},
    {"operation", "\"\""},
    {"action", "\"Idle\""},
    {"filament", "\"Unknown\""},
    {"filament_position", "0.0"},
    {"filament_pos", "-1"},
    {"filament_direction", "0"},
    {"active_filament", "{}"},
    {"pending_spool_id", "-1"},
    {"ttg_map", "[]"},
    {"endless_spool_groups", "[]"},
    {"gate_status", "[]"},
    {"gate_temperature", "[]"},
    {"gate_spool_id", "[]"},
    {"gate_speed_override", "[]"},
    {"gate_filament_name", "[]"},
    {"gate_material", "[]"},
    {"gate_color", "[]"},
    {"gate_color_rgb", "[]"},
    {"slicer_color_rgb", "[]"},
    {"tool_extrusion_multipliers", "[]"},
    {"tool_speed_multipliers", "[]"},
    {"slicer_tool_map", "{\"tools\":{},\"referenced_tools\":[],\"initial_tool\":null,\"purge_volumes\":[],"
                        "\"total_toolchanges\":null,\"skip_automap\":false}"},
    {"has_bypass", "false"},
    {"sync_drive", "false"},
    {"extruder_filament_remaining", "0.0"},
    {"spoolman_support", "\"off\""},
    {"bowden_progress", "-1"},
    {"espooler_active", "\"\""},
    {"endless_spool", "0"},
    {"endless_spool_enabled", "0"},
    {"clog_detection", "0"},
    {"clog_detection_enabled", "0"},
    {"sensors", "{}"},
};

void mmu_write_gates_status(struct status_writer *writer)
{
    for (size_t i = 0; i < ARRAY_COUNT(gate_fields); i++) {
        strbuf_adds(status_begin_json(writer, gate_fields[i].name), gate_fields[i].json);
        status_end_json(writer);
    }
}
