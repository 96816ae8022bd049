/* Every method's handler, for the route table. One file per namespace; private to this folder. */
#ifndef API_HANDLERS_H
#define API_HANDLERS_H

#include "server/api/api.h"

/* server.c */
api_handler_fn handle_server_info, handle_server_config, handle_server_gcode_store, handle_server_temperature_store,
    handle_server_connection_identify, handle_register_remote_method, handle_server_restart;
/* webcams.c */
api_handler_fn handle_server_webcams_list, handle_server_webcams_get_item, handle_server_webcams_post_item,
    handle_server_webcams_delete_item;
/* access.c */
api_handler_fn handle_access_info, handle_access_oneshot_token, handle_access_get_api_key, handle_access_post_api_key,
    handle_access_get_user, handle_access_users_list;
/* printer.c */
api_handler_fn handle_printer_info, handle_printer_emergency_stop, handle_printer_restart,
    handle_printer_firmware_restart, handle_objects_list, handle_objects_query, handle_objects_subscribe,
    handle_gcode_script, handle_gcode_help, handle_print_start, handle_print_pause, handle_print_resume,
    handle_print_cancel, handle_query_endstops, handle_dump_stepper, handle_dump_trapq;
/* mmu.c */
api_handler_fn handle_mmu_state, handle_mmu_pause, handle_mmu_unlock, handle_mmu_resume;
/* files.c, file_changes.c */
api_handler_fn handle_files_list, handle_files_roots, handle_files_metadata, handle_files_metascan,
    handle_files_thumbnails, handle_files_get_directory, handle_files_post_directory, handle_files_delete_directory,
    handle_files_move, handle_files_copy, handle_files_delete_file;
/* database.c */
api_handler_fn handle_database_list, handle_database_get_item, handle_database_post_item, handle_database_delete_item;
json_t *database_public_namespaces(const struct api *api); /* names; the caller owns them */
/* database_backup.c */
api_handler_fn handle_database_compact, handle_database_post_backup, handle_database_delete_backup,
    handle_database_restore;
json_t *database_backups(const struct api *api); /* names of files; the caller owns them */
/* machine.c */
api_handler_fn handle_machine_proc_stats, handle_machine_system_info;
/* "AMD EPYC" and "2 core AMD EPYC"; the caller frees both. */
void machine_describe_cpu(char **model, char **summary);
/* octoprint.c */
api_handler_fn handle_octoprint_version, handle_octoprint_server;

#endif
