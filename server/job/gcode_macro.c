/* [gcode_macro NAME]: a command made of other commands, with variables of its own. */
#include "server/job/gcode_macro.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/strmap.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/job/objects.h"
#include "server/job/template.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#include <ctype.h>
#include <string.h>

struct gcode_macro {
    struct printer_object obj;
    char *alias;                 /* the command: NAME in upper case */
    const char *rename_existing; /* NULL: none; the configuration's text, in upper case below */
    char *renamed;
    const char *description;
    struct template *body;
    struct strmap variables; /* name -> struct template_variable, owned */
    uint64_t revision;       /* of the variables */
    bool is_running;
};

static struct gcode_macro *macro_of(void *obj)
{
    return obj;
}

static char *upper(const char *text)
{
    char *copy = mem_strdup(text);
    for (char *p = copy; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return copy;
}

static enum err run_macro(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct gcode_macro *m = ctx;
    if (m->is_running)
        return err_set(info, ERR_STATE, "Macro %s called recursively", m->alias);
    struct template_context context = {.printer = m->obj.printer, .call = cmd, .variables = &m->variables};
    m->is_running = true;
    enum err err = template_run(m->body, &context, info);
    m->is_running = false;
    return err;
}

static enum err set_variable(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct gcode_macro *m = ctx;
    const char *name;
    enum err err = gcode_get_str(cmd, "VARIABLE", &name, info);
    if (err)
        return err;
    if (!strmap_get(&m->variables, name))
        return err_set(info, ERR_NOT_FOUND, "Unknown gcode_macro variable '%s'", name);
    struct template_variable *variable;
    err = template_variable_of_param(cmd, "VALUE", &variable, info);
    if (err)
        return err;
    template_variable_destroy(strmap_set(&m->variables, name, variable));
    m->revision++;
    printer_status_touch(&m->obj);
    return OK;
}

static void read_variables(struct gcode_macro *m, struct config_section *section)
{
    size_t cursor = 0;
    const char *suffix;
    const struct config_option *option;
    while ((option = section_next(section, "variable_*", &cursor, &suffix)) != NULL) {
        struct template_variable *variable;
        struct err_info why;
        if (template_variable_create(option->value, &variable, &why))
            config_error_option(section, option->name, "Option '%s' in section '%s' is not a valid literal: %s",
                                option->name, section_name(section), why.text);
        else
            template_variable_destroy(strmap_set(&m->variables, suffix, variable));
    }
}

/* The command itself: at once, so that other macros can rename it, unless it replaces one that may not exist yet. */
static enum err register_command(struct gcode_macro *m, struct err_info *info)
{
    struct gcode_def def = {.name = m->alias, .help = m->description, .fn = run_macro};
    return gcode_register(m->obj.printer->gcode, &def, m, info);
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct gcode_macro *m = macro_of(obj);
    strmap_init(&m->variables);
    m->revision = 1;
    m->alias = upper(obj->id);
    m->description = section_string(section, "description");
    m->rename_existing = section_string(section, "rename_existing");
    m->body = template_read(section, "gcode");
    read_variables(m, section);
    if (strchr(obj->id, ' ')) {
        config_error_section(section, "Name of section '%s' contains illegal whitespace", obj->name);
        return OK;
    }
    if (!m->rename_existing) {
        if (register_command(m, info))
            config_error_section(section, "%s", info->text);
        return OK;
    }
    m->renamed = upper(m->rename_existing);
    if (gcode_is_traditional(m->alias) != gcode_is_traditional(m->renamed))
        config_error_option(section, "rename_existing", "G-Code macro rename of different types ('%s' vs '%s')",
                            m->alias, m->renamed);
    return OK;
}

static enum err connect(struct printer_object *obj, struct err_info *info)
{
    struct gcode_macro *m = macro_of(obj);
    if (!m->renamed)
        return OK;
    struct gcode *g = obj->printer->gcode;
    if (!gcode_has_command(g, m->alias))
        return err_set(info, ERR_NOT_FOUND, "Existing command '%s' not found in gcode_macro rename", m->alias);
    enum err err = gcode_rename(g, m->alias, m->renamed, info);
    return err ? err : register_command(m, info);
}

static void destroy(struct printer_object *obj)
{
    struct gcode_macro *m = macro_of(obj);
    for (const struct strmap_entry *e = strmap_first(&m->variables); e; e = strmap_next(e))
        template_variable_destroy(strmap_value(e));
    strmap_deinit(&m->variables);
    template_destroy(m->body);
    mem_free(m->alias);
    mem_free(m->renamed);
}

static void status(struct printer_object *obj, struct status_writer *writer)
{
    struct gcode_macro *m = macro_of(obj);
    for (const struct strmap_entry *e = strmap_first(&m->variables); e; e = strmap_next(e)) {
        if (!status_needs(writer, strmap_key(e), m->revision))
            continue;
        strbuf_adds(status_begin_json(writer, strmap_key(e)), template_variable_json(strmap_value(e)));
        status_end_json(writer);
    }
}

const char *gcode_macro_variable(struct printer *printer, const char *macro, const char *variable)
{
    char *name = mem_sprintf("gcode_macro %s", macro);
    struct printer_object *obj = printer_find_object(printer, name);
    mem_free(name);
    struct template_variable *found =
        obj && obj->desc == &gcode_macro_desc ? strmap_get(&macro_of(obj)->variables, variable) : NULL;
    return found ? template_variable_json(found) : NULL;
}

bool gcode_macro_value(struct jinja_run *run, struct printer_object *obj, const char *variable, size_t len_bytes,
                       struct value *out)
{
    if (obj->desc != &gcode_macro_desc)
        return false;
    const struct template_variable *found = strmap_getn(&macro_of(obj)->variables, variable, len_bytes);
    if (found)
        *out = template_variable_value(run, found);
    return found != NULL;
}

static const struct option_desc options[] = {
    {.name = "gcode", .type = OPTION_TEMPLATE, .flags = OPTION_REQUIRED, .help = "The commands to run."},
    {.name = "description", .type = OPTION_STRING, .default_text = "G-Code macro", .help = "Shown by HELP."},
    {.name = "rename_existing",
     .type = OPTION_STRING,
     .help = "New name of the existing command of the macro's name, which the macro can then call."},
    {.name = "variable_*", .type = OPTION_STRING, .help = "A variable and its first value, a Python literal."},
};

static const struct command_param set_variable_params[] = {
    {"MACRO", "str", "required", NULL},
    {"VARIABLE", "str", "required", NULL},
    {"VALUE", "literal", "required", NULL},
    {NULL, NULL, NULL, NULL},
};

static const struct command_desc commands[] = {
    {.name = "SET_GCODE_VARIABLE",
     .mux_key = "MACRO",
     .params = set_variable_params,
     .help = "Give a variable of a macro a new value",
     .handler = set_variable},
};

static const struct status_field_desc fields[] = {
    {"<variable>", "literal", "each variable_ option, lower case"},
};

const struct object_desc gcode_macro_desc = {
    .section = "gcode_macro",
    .flags = OBJECT_NAMED,
    .help = "A command made of other commands.",
    .size_bytes = sizeof(struct gcode_macro),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    .create = create,
    .connect = connect,
    .destroy = destroy,
    .status = status,
};
