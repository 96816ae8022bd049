/* [respond]: M118 and RESPOND write to the console. */
#include "base/mem.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/job/objects.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"

#include <string.h>
#include <strings.h>

struct respond {
    struct printer_object obj;
    const char *default_prefix;
};

static const struct {
    const char *type, *prefix, *gap;
} types[] = {{"echo", "echo:", " "}, {"command", "//", " "}, {"error", "!!", " "}, {"echo_no_space", "echo:", ""}};
#define CONFIG_TYPES "echo|command|error" /* the first of them, in this order */

static void say(struct respond *r, const char *prefix, const char *gap, const char *text)
{
    char *line = mem_sprintf("%s%s%s", prefix, gap, text);
    gcode_respond_raw(r->obj.printer->gcode, line);
    mem_free(line);
}

static enum err cmd_m118(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)info;
    struct respond *r = ctx;
    say(r, r->default_prefix, " ", gcode_rawparams(cmd));
    return OK;
}

static enum err cmd_respond(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct respond *r = ctx;
    const char *prefix = r->default_prefix, *gap = " ", *type = gcode_get(cmd, "TYPE");
    if (type) {
        size_t i = 0;
        while (i < sizeof(types) / sizeof(types[0]) && strcasecmp(type, types[i].type) != 0)
            i++;
        if (i == sizeof(types) / sizeof(types[0]))
            return err_set(info, ERR_INVALID,
                           "RESPOND TYPE '%.100s' is invalid. Must be one of 'echo', 'command', or 'error'", type);
        prefix = types[i].prefix;
        gap = types[i].gap;
    }
    if (gcode_get(cmd, "PREFIX"))
        prefix = gcode_get(cmd, "PREFIX");
    const char *text = gcode_get(cmd, "MSG");
    say(r, prefix, gap, text ? text : "");
    return OK;
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    (void)info;
    struct respond *r = (struct respond *)obj;
    int type = section_choice(section, "default_type");
    r->default_prefix = section_string_or(section, "default_prefix", types[type].prefix);
    return OK;
}

static const struct option_desc options[] = {
    {.name = "default_type",
     .type = OPTION_CHOICE,
     .default_text = "echo",
     .choices = CONFIG_TYPES,
     .help = "What M118 and RESPOND print without a TYPE."},
    {.name = "default_prefix",
     .type = OPTION_STRING,
     .default_text = "that of default_type",
     .help = "Prefix of M118 and RESPOND."},
};

static const struct command_param m118_params[] = {{"<text>", "raw", NULL, NULL}, {NULL, NULL, NULL, NULL}};
static const struct command_param respond_params[] = {
    {"TYPE", "str", "that of the configuration", "echo|echo_no_space|command|error"},
    {"PREFIX", "str", "that of the type", NULL},
    {"MSG", "str", "", NULL},
    {NULL, NULL, NULL, NULL},
};

static const struct command_desc commands[] = {
    {.name = "M118", .flags = COMMAND_WHEN_NOT_READY | COMMAND_TAKES_TEXT, .params = m118_params, .handler = cmd_m118},
    {.name = "RESPOND",
     .flags = COMMAND_WHEN_NOT_READY,
     .params = respond_params,
     .help = "Write a message to the console",
     .handler = cmd_respond},
};

const struct object_desc respond_desc = {
    .section = "respond",
    .flags = OBJECT_EXACT,
    .help = "Commands that write to the console.",
    .size_bytes = sizeof(struct respond),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    .create = create,
};
