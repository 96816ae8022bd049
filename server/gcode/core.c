/* The commands every printer has, also one that is not ready, and the answer to unknown ones. */
#include "base/mem.h"
#include "server/gcode/private.h"

#include <stdlib.h>
#include <string.h>

static bool is_zero(const struct gcode_command *cmd, const char *name, double default_value)
{
    const char *text = gcode_get(cmd, name);
    double value = default_value;
    if (text && gcode_parse_double(text, strlen(text), &value))
        return false;
    return value == 0.0;
}

/* "M117 3 layers": digits behind the number have become part of the name. */
static enum err run_raw_text(struct gcode_command *cmd, bool *is_done, struct err_info *info)
{
    static const char *const names[] = {"M117", "M118", "M23"};
    size_t word_bytes = strcspn(cmd->name, " \t");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (word_bytes != strlen(names[i]) || strncmp(cmd->name, names[i], word_bytes) != 0)
            continue;
        const struct entry *entry = table_find(&cmd->g->table, names[i], word_bytes);
        if (!entry)
            return OK;
        if (!cmd->g->is_ready && !entry->when_not_ready)
            return OK;
        gcode_handler_fn *fn = entry->fn;
        void *ctx = entry->ctx;
        cmd->buf[word_bytes] = 0;
        cmd->name_bytes = word_bytes;
        *is_done = true;
        enum err e = entry->takes_text ? OK : lex_letters(cmd, info);
        return e ? e : fn(ctx, cmd, info);
    }
    return OK;
}

enum err core_default(struct gcode_command *cmd, struct err_info *info)
{
    struct gcode *g = cmd->g;
    if (strcmp(cmd->name, "M105") == 0) {
        gcode_ack(cmd, "T:0");
        return OK;
    }
    if (strcmp(cmd->name, "M21") == 0)
        return OK;
    if (memchr(cmd->name, ' ', cmd->name_bytes)) {
        bool is_done = false;
        enum err e = run_raw_text(cmd, &is_done, info);
        if (is_done)
            return e;
    }
    if (!g->is_ready)
        return err_set(info, ERR_STATE, "%s", g->state_message);
    /* Switching off what is not there is no mistake. */
    if (strcmp(cmd->name, "M107") == 0)
        return OK;
    bool is_heater = strcmp(cmd->name, "M140") == 0 || strcmp(cmd->name, "M104") == 0;
    bool is_fan = strcmp(cmd->name, "M106") == 0;
    if (is_heater || is_fan) {
        enum err e = lex_letters(cmd, info);
        if (e)
            return e;
        if ((is_heater && is_zero(cmd, "S", 0.0)) || (is_fan && (g->is_batch || is_zero(cmd, "S", 1.0))))
            return OK;
    }
    gcode_respond_info(g, "Unknown command:\"%.*s\"", cmd->name_bytes > 200 ? 200 : (int)cmd->name_bytes, cmd->name);
    return OK;
}

static enum err cmd_emergency(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)info;
    (void)ctx;
    struct gcode *g = cmd->g;
    if (g->emergency)
        g->emergency(g->emergency_ctx);
    return OK;
}

static enum err cmd_firmware(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)ctx;
    (void)info;
    if (!gcode_ack(cmd, cmd->g->firmware))
        gcode_respond_info(cmd->g, "%s", cmd->g->firmware);
    return OK;
}

static enum err cmd_nothing(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)ctx;
    (void)cmd;
    (void)info;
    return OK;
}

static enum err cmd_echo(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)ctx;
    (void)info;
    gcode_respond_info(cmd->g, "%s", gcode_line(cmd));
    return OK;
}

static enum err cmd_status(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)ctx;
    struct gcode *g = cmd->g;
    if (g->is_ready) {
        gcode_respond_info(g, "Klipper state: Ready");
        return OK;
    }
    size_t len = strlen(g->state_message);
    while (len && strchr(" \t\r\n", g->state_message[len - 1]))
        len--;
    return err_set(info, ERR_STATE, "%.*s\nKlipper state: Not ready", (int)len, g->state_message);
}

/* --- HELP --- */

struct help_line {
    const char *name, *help;
};

struct help_list {
    struct help_line *lines;
    size_t count, cap;
};

static void collect_help(void *ctx, const char *name, const char *help)
{
    struct help_list *list = ctx;
    if (!*help)
        return;
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 64;
        list->lines = mem_realloc(list->lines, list->cap * sizeof *list->lines);
    }
    list->lines[list->count++] = (struct help_line){name, help};
}

static int compare_help(const void *a, const void *b)
{
    return strcmp(((const struct help_line *)a)->name, ((const struct help_line *)b)->name);
}

static enum err cmd_help(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)ctx;
    (void)info;
    struct gcode *g = cmd->g;
    struct help_list list = {0};
    gcode_visit_commands(g, collect_help, &list);
    if (list.count)
        qsort(list.lines, list.count, sizeof *list.lines, compare_help);
    struct strbuf text;
    strbuf_init(&text);
    if (!g->is_ready)
        strbuf_adds(&text, "Printer is not ready - not all commands available.\n");
    strbuf_adds(&text, "Available extended commands:");
    for (size_t i = 0; i < list.count; i++)
        strbuf_addf(&text, "\n%-10s: %s", list.lines[i].name, list.lines[i].help);
    gcode_respond_info(g, "%s", text.data);
    strbuf_deinit(&text);
    mem_free(list.lines);
    return OK;
}

enum err core_register(struct gcode *g, struct err_info *info)
{
    static const struct gcode_def defs[] = {
        {"M110", NULL, true, cmd_nothing, false},
        {"M115", NULL, true, cmd_firmware, false},
        {"M112", NULL, true, cmd_emergency, false},
        {"ECHO", NULL, true, cmd_echo, true},
        {"STATUS", "Report the printer status", true, cmd_status, false},
        {"HELP", "Report the list of available extended G-Code commands", true, cmd_help, false},
    };
    for (size_t i = 0; i < sizeof defs / sizeof defs[0]; i++) {
        enum err e = gcode_register(g, &defs[i], NULL, info);
        if (e)
            return e;
    }
    return OK;
}
