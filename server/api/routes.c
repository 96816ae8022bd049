/* The one table of methods. openapi/lockstep.yaml describes the same ones; tests/api proves that both agree. */
#include "base/check.h"
#include "server/api/api_private.h"
#include "server/api/handlers.h"

#define ANY (API_GET | API_POST)

static const struct api_route ROUTES[] = {
    /* server */
    {"server.info", "/server/info", API_GET, API_NET, 0, handle_server_info,
     "State of the printer, components, warnings and versions"},
    {"server.config", "/server/config", API_GET, API_NET, 0, handle_server_config, "Settings of the server"},
    {"server.temperature_store", "/server/temperature_store", API_GET, API_NET, 0, handle_server_temperature_store,
     "The last twenty minutes of every sensor"},
    {"server.gcode_store", "/server/gcode_store", API_GET, API_NET, 0, handle_server_gcode_store,
     "The last lines of the console"},
    {"server.restart", "/server/restart", API_POST, API_NET, 0, handle_server_restart,
     "Ask every client to connect again; the printer goes on"},
    {"server.connection.identify", NULL, 0, API_NET, API_WS_ONLY | API_ANYONE, handle_server_connection_identify,
     "Name this connection"},
    {"connection.register_remote_method", NULL, 0, API_NET, API_WS_ONLY, handle_register_remote_method,
     "Offer a method to macros"},
    {"server.webcams.list", "/server/webcams/list", API_GET, API_WORKER, 0, handle_server_webcams_list, "Webcams"},
    {"server.webcams.get_item", "/server/webcams/item", API_GET, API_WORKER, 0, handle_server_webcams_get_item,
     "One webcam"},
    {"server.webcams.post_item", "/server/webcams/item", API_POST, API_WORKER, 0, handle_server_webcams_post_item,
     "Add or change a webcam"},
    {"server.webcams.delete_item", "/server/webcams/item", API_DELETE, API_WORKER, 0, handle_server_webcams_delete_item,
     "Remove a webcam"},
    {NULL, "/server/jsonrpc", API_POST, API_NET, API_HTTP_ONLY | API_BARE | API_ANYONE, NULL,
     "One JSON-RPC request or a batch"},
    /* access */
    {"access.info", "/access/info", API_GET, API_NET, API_ANYONE, handle_access_info, "How to prove who one is"},
    {"access.oneshot_token", "/access/oneshot_token", API_GET, API_NET, 0, handle_access_oneshot_token,
     "A token for one request within five seconds"},
    {"access.get_api_key", "/access/api_key", API_GET, API_NET, 0, handle_access_get_api_key, "The API key"},
    {"access.post_api_key", "/access/api_key", API_POST, API_WORKER, 0, handle_access_post_api_key,
     "Replace the API key"},
    {"access.get_user", "/access/user", API_GET, API_NET, 0, handle_access_get_user, "The user of this connection"},
    {"access.users.list", "/access/users/list", API_GET, API_NET, 0, handle_access_users_list, "User accounts"},
    /* printer */
    {"printer.info", "/printer/info", ANY, API_NET, 0, handle_printer_info, "State, versions and files of the printer"},
    {"printer.emergency_stop", "/printer/emergency_stop", ANY, API_MACHINE, API_URGENT, handle_printer_emergency_stop,
     "Stop everything at once"},
    {"printer.restart", "/printer/restart", API_POST, API_MACHINE, 0, handle_printer_restart,
     "Load the configuration again"},
    {"printer.firmware_restart", "/printer/firmware_restart", API_POST, API_MACHINE, 0, handle_printer_firmware_restart,
     "Load the configuration again and reset the boards"},
    {"printer.objects.list", "/printer/objects/list", ANY, API_NET, 0, handle_objects_list, "Names of all objects"},
    {"printer.objects.query", "/printer/objects/query", ANY, API_NET, API_QUERY_KEYS, handle_objects_query,
     "Status of objects, once"},
    {"printer.objects.subscribe", NULL, 0, API_NET, API_WS_ONLY, handle_objects_subscribe,
     "Status of objects, now and whenever it changes"},
    {"printer.query_endstops.status", "/printer/query_endstops/status", ANY, API_FIBER, 0, handle_query_endstops,
     "State of every endstop"},
    {"printer.motion_report.dump_stepper", "/printer/motion_report/dump_stepper", ANY, API_FIBER, 0, handle_dump_stepper,
     "The last queue_steps of a stepper"},
    {"printer.motion_report.dump_trapq", "/printer/motion_report/dump_trapq", ANY, API_FIBER, 0, handle_dump_trapq,
     "The last segments of a motion queue"},
    {"printer.gcode.script", "/printer/gcode/script", ANY, API_MACHINE, 0, handle_gcode_script,
     "Run G-code; answers when it has ended"},
    {"printer.gcode.help", "/printer/gcode/help", ANY, API_MACHINE, 0, handle_gcode_help, "Commands and what they do"},
    {"printer.print.start", "/printer/print/start", API_POST, API_FIBER, 0, handle_print_start, "Print a file"},
    {"printer.print.pause", "/printer/print/pause", API_POST, API_FIBER, 0, handle_print_pause, "Pause the print"},
    {"printer.print.resume", "/printer/print/resume", API_POST, API_FIBER, 0, handle_print_resume, "Resume the print"},
    {"printer.print.cancel", "/printer/print/cancel", API_POST, API_FIBER, 0, handle_print_cancel, "Cancel the print"},
    /* multi-material unit */
    {"printer.mmu.print_job_state", "/printer/mmu/print_job_state", ANY, API_MACHINE, 0, handle_mmu_state,
     "State of the print job, since when, why, and what was before"},
    {"printer.mmu.pause", "/printer/mmu/pause", API_POST, API_FIBER, 0, handle_mmu_pause, "Pause and lock the print"},
    {"printer.mmu.unlock", "/printer/mmu/unlock", API_POST, API_FIBER, 0, handle_mmu_unlock, "Unlock a locked print"},
    {"printer.mmu.resume", "/printer/mmu/resume", API_POST, API_FIBER, 0, handle_mmu_resume, "Resume a locked print"},
    /* machine */
    {"machine.proc_stats", "/machine/proc_stats", API_GET, API_NET, 0, handle_machine_proc_stats,
     "What the process and the computer are doing"},
    {"machine.system_info", "/machine/system_info", API_GET, API_WORKER, 0, handle_machine_system_info,
     "The computer and its system"},
    /* files */
    {"server.files.list", "/server/files/list", API_GET, API_WORKER, 0, handle_files_list, "All files of a root"},
    {"server.files.roots", "/server/files/roots", API_GET, API_WORKER, 0, handle_files_roots, "The roots of the file tree"},
    {"server.files.metadata", "/server/files/metadata", API_GET, API_WORKER, 0, handle_files_metadata,
     "What the slicer says about a file"},
    {"server.files.metascan", "/server/files/metascan", API_POST, API_WORKER, 0, handle_files_metascan,
     "Read a file's metadata again"},
    {"server.files.thumbnails", "/server/files/thumbnails", API_GET, API_WORKER, 0, handle_files_thumbnails,
     "Pictures of a file"},
    {"server.files.get_directory", "/server/files/directory", API_GET, API_WORKER, 0, handle_files_get_directory,
     "What is in a folder"},
    {"server.files.post_directory", "/server/files/directory", API_POST, API_WORKER, 0, handle_files_post_directory,
     "Make a folder"},
    {"server.files.delete_directory", "/server/files/directory", API_DELETE, API_WORKER, 0,
     handle_files_delete_directory, "Delete a folder"},
    {"server.files.move", "/server/files/move", API_POST, API_WORKER, 0, handle_files_move, "Move or rename"},
    {"server.files.copy", "/server/files/copy", API_POST, API_WORKER, 0, handle_files_copy, "Copy"},
    {NULL, "/server/files/upload", API_POST, API_WORKER, API_HTTP_ONLY | API_BARE, NULL, "Upload a file"},
    {"server.files.delete_file", "/server/files/{root}/{path}", API_DELETE, API_WORKER, 0, handle_files_delete_file,
     "Delete a file"},
    {NULL, "/server/files/{root}/{path}", API_GET, API_WORKER, API_HTTP_ONLY | API_BARE, NULL, "Download a file"},
    /* database */
    {"server.database.list", "/server/database/list", API_GET, API_WORKER, 0, handle_database_list, "Namespaces"},
    {"server.database.get_item", "/server/database/item", API_GET, API_WORKER, 0, handle_database_get_item,
     "Read a namespace or a key"},
    {"server.database.post_item", "/server/database/item", API_POST, API_WORKER, 0, handle_database_post_item,
     "Write a key"},
    {"server.database.delete_item", "/server/database/item", API_DELETE, API_WORKER, 0, handle_database_delete_item,
     "Delete a key"},
    /* what slicers ask an OctoPrint */
    {NULL, "/api/version", API_GET, API_NET, API_HTTP_ONLY | API_BARE, handle_octoprint_version, "Handshake of slicers"},
    {NULL, "/api/server", API_GET, API_NET, API_HTTP_ONLY | API_BARE, handle_octoprint_server, "Version of the server"},
    {NULL, "/api/files/local", API_POST, API_WORKER, API_HTTP_ONLY | API_BARE, NULL, "Upload a file as slicers do"},
};

const struct api_route *api_routes(size_t *count)
{
    *count = ARRAY_COUNT(ROUTES);
    return ROUTES;
}
