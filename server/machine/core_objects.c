/* Objects every printer has that are not devices: webhooks (the state), gcode (commands). */
#include "server/machine/object.h"

#include "base/strbuf.h"
#include "server/gcode/gcode.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#include <string.h>

/* --- webhooks --- */

static const struct status_field_desc webhooks_fields[] = {
    {"state", "str", "ready, startup, shutdown or error"},
    {"state_message", "str", "human readable reason text"},
};

static void webhooks_status(struct printer_object *obj, struct status_writer *writer)
{
    status_string(writer, "state", printer_state_name(printer_state(obj->printer)));
    status_string(writer, "state_message", printer_state_message(obj->printer));
}

const struct object_desc webhooks_desc = {
    .section = "webhooks",
    .flags = OBJECT_ALWAYS,
    .help = "State of the printer.",
    .size_bytes = sizeof(struct printer_object),
    OBJECT_FIELDS(webhooks_fields),
    .status = webhooks_status,
};

/* --- gcode --- */

static const struct status_field_desc gcode_fields[] = {
    {"commands", "dict", "command name to {help} map"},
};

static enum err cmd_restart(void *owner, struct gcode_command *cmd, struct err_info *info)
{
    struct printer_object *obj = owner;
    (void)cmd;
    (void)info;
    printer_request_restart(obj->printer, PRINTER_RESTART_HOST);
    return OK;
}

static enum err cmd_firmware_restart(void *owner, struct gcode_command *cmd, struct err_info *info)
{
    struct printer_object *obj = owner;
    (void)cmd;
    (void)info;
    printer_request_restart(obj->printer, PRINTER_RESTART_FIRMWARE);
    return OK;
}

static const struct command_desc gcode_commands[] = {
    {.name = "RESTART", .flags = COMMAND_WHEN_NOT_READY, .help = "Reload config file and restart host software",
     .handler = cmd_restart},
    {.name = "FIRMWARE_RESTART", .flags = COMMAND_WHEN_NOT_READY, .help = "Restart firmware, host, and reload config",
     .handler = cmd_firmware_restart},
};

struct command_list {
    struct strbuf *json;
    bool has_any;
};

static void add_command(void *ctx, const char *name, const char *help)
{
    struct command_list *list = ctx;
    strbuf_adds(list->json, list->has_any ? ", " : "");
    list->has_any = true;
    strbuf_add_json_string(list->json, name, strlen(name));
    strbuf_adds(list->json, ": {");
    if (*help) {
        strbuf_adds(list->json, "\"help\": ");
        strbuf_add_json_string(list->json, help, strlen(help));
    }
    strbuf_addc(list->json, '}');
}

static void gcode_status(struct printer_object *obj, struct status_writer *writer)
{
    struct gcode *gcode = obj->printer->gcode;
    if (!status_needs(writer, "commands", 1 + gcode_commands_version(gcode)))
        return;
    struct command_list list = {.json = status_begin_json(writer, "commands")};
    strbuf_addc(list.json, '{');
    gcode_visit_commands(gcode, add_command, &list);
    strbuf_addc(list.json, '}');
    status_end_json(writer);
}

const struct object_desc gcode_desc = {
    .section = "gcode",
    .flags = OBJECT_ALWAYS,
    .help = "The commands that can be called now.",
    .size_bytes = sizeof(struct printer_object),
    OBJECT_COMMANDS(gcode_commands),
    OBJECT_FIELDS(gcode_fields),
    .status = gcode_status,
};
