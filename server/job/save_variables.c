/* [save_variables]: variables that outlive a restart, in a file of Python literals:
 *
 *   [Variables]
 *   name = literal
 *
 * The file is small and changes rarely: each SAVE_VARIABLE writes it anew beside the old one and puts it in its place,
 * so that a full disk or a power cut leaves the old file. */
#include "server/job/save_variables.h"

#include "base/mem.h"
#include "base/strbuf.h"
#include "base/strmap.h"
#include "base/worker.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/gcode/template/value.h"
#include "server/job/objects.h"
#include "server/job/template.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX (1u << 20)

struct save_variables {
    struct printer_object obj;
    char *path;
    struct strmap variables; /* name -> struct template_variable, owned */
    uint64_t revision;
};

static struct save_variables *saved_of(void *obj)
{
    return obj;
}

/* ------------------------------------------------------------------------------------------------------- the file */

/* One line "name = literal" (or "name: literal"); empty lines, comments and the section's head are passed over. */
static enum err read_line(struct save_variables *s, char *line, struct err_info *info)
{
    line += strspn(line, " \t\r");
    if (!*line || *line == '[' || *line == '#' || *line == ';')
        return OK;
    char *separator = strpbrk(line, "=:");
    if (!separator)
        return err_set(info, ERR_INVALID, "no '=' in \"%.60s\"", line);
    char *end = separator;
    while (end > line && isspace((unsigned char)end[-1]))
        end--;
    *end = 0;
    for (char *p = line; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    struct template_variable *variable;
    struct err_info why;
    if (template_variable_create(separator + 1 + strspn(separator + 1, " \t"), &variable, &why) != OK)
        return err_set(info, ERR_INVALID, "variable '%.60s': %s", line, why.text);
    template_variable_destroy(strmap_set(&s->variables, line, variable));
    return OK;
}

static enum err read_file(struct save_variables *s, struct err_info *info)
{
    FILE *file = fopen(s->path, "rbe");
    if (!file)
        return errno == ENOENT ? OK : err_set(info, ERR_IO, "%s", strerror(errno));
    char *text = mem_alloc(FILE_BYTES_MAX + 1);
    size_t len = fread(text, 1, FILE_BYTES_MAX, file);
    enum err err = ferror(file) ? err_set(info, ERR_IO, "%s", strerror(errno)) : OK;
    (void)fclose(file);
    if (!err && len == FILE_BYTES_MAX)
        err = err_set(info, ERR_LIMIT, "larger than %u bytes", FILE_BYTES_MAX);
    char *rest = text, *line;
    while (!err && (line = strsep(&rest, "\n")) != NULL) {
        size_t n = strlen(line);
        while (n && isspace((unsigned char)line[n - 1]))
            line[--n] = 0;
        err = read_line(s, line, info);
    }
    mem_free(text);
    return err;
}

/* Writing the file, on the worker. */
struct writing {
    struct worker_job job; /* first */
    char *path;
    struct strbuf text;
};

static enum err write_file(struct worker_job *job, struct err_info *info)
{
    const struct writing *w = CONTAINER_OF(job, struct writing, job);
    char *temp = mem_sprintf("%s.new", w->path);
    FILE *file = fopen(temp, "wbe");
    bool is_good = file && fwrite(w->text.data, 1, w->text.len_bytes, file) == w->text.len_bytes;
    is_good = is_good && fflush(file) == 0 && fsync(fileno(file)) == 0;
    int why = errno;
    if (file && fclose(file) != 0 && is_good) {
        is_good = false;
        why = errno;
    }
    if (is_good && rename(temp, w->path) != 0) {
        is_good = false;
        why = errno;
    }
    if (!is_good && file)
        (void)unlink(temp);
    mem_free(temp);
    return is_good ? OK : err_set(info, ERR_IO, "Unable to save variable: %s: %s", w->path, strerror(why));
}

static void release_writing(struct worker_job *job)
{
    struct writing *w = CONTAINER_OF(job, struct writing, job);
    strbuf_deinit(&w->text);
    mem_free(w->path);
}

/* Write the variables as they are; [fiber]. When it is cancelled the file is still written, or fails to be, by itself. */
static enum err save_file(const struct save_variables *s, struct err_info *info)
{
    struct writing *w = MEM_NEW(struct writing);
    w->job.run = write_file;
    w->job.release = release_writing;
    w->path = mem_strdup(s->path);
    strbuf_init(&w->text);
    strbuf_adds(&w->text, "[Variables]\n");
    for (const struct strmap_entry *e = strmap_first(&s->variables); e; e = strmap_next(e))
        strbuf_addf(&w->text, "%s = %s\n", strmap_key(e), template_variable_literal(strmap_value(e)));
    enum err err = worker_call(&s->obj.printer->disk, &w->job, info);
    worker_release(&w->job);
    return err;
}

/* ------------------------------------------------------------------------------------------------------- commands */

static enum err save_variable(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct save_variables *s = ctx;
    const char *name;
    enum err err = gcode_get_str(cmd, "VARIABLE", &name, info);
    if (err)
        return err;
    for (const char *p = name; *p; p++)
        if (isupper((unsigned char)*p) || (!isalnum((unsigned char)*p) && *p != '_' && *p != '-' && *p != '.'))
            return err_set(info, ERR_INVALID,
                           *p >= 'A' && *p <= 'Z' ? "VARIABLE must not contain upper case: '%.100s'"
                                                  : "VARIABLE may hold letters, digits, '_', '-' and '.': '%.100s'",
                           name);
    struct template_variable *variable;
    err = template_variable_of_param(cmd, "VALUE", &variable, info);
    if (err)
        return err;
    struct template_variable *old = strmap_set(&s->variables, name, variable);
    err = save_file(s, info);
    if (err && err != ERR_CANCELLED) { /* what is not saved is not shown either */
        template_variable_destroy(old ? strmap_set(&s->variables, name, old) : strmap_remove(&s->variables, name));
        return err;
    }
    template_variable_destroy(old);
    s->revision++;
    printer_status_touch(&s->obj);
    return err;
}

/* ---------------------------------------------------------------------------------------------------------- object */

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct save_variables *s = saved_of(obj);
    strmap_init(&s->variables);
    s->revision = 1;
    const char *name = section_string(section, "filename"), *home = getenv("HOME");
    if (!name)
        return OK; /* reported */
    s->path = name[0] == '~' && name[1] == '/' && home ? mem_sprintf("%s%s", home, name + 1) : mem_strdup(name);
    if (read_file(s, info) != OK) {
        char *why = mem_strdup(info->text);
        config_error_option(section, "filename", "Unable to parse existing variable file %s: %s", s->path, why);
        mem_free(why);
    }
    return OK;
}

static void destroy(struct printer_object *obj)
{
    struct save_variables *s = saved_of(obj);
    for (const struct strmap_entry *e = strmap_first(&s->variables); e; e = strmap_next(e))
        template_variable_destroy(strmap_value(e));
    strmap_deinit(&s->variables);
    mem_free(s->path);
}

static void status(struct printer_object *obj, struct status_writer *writer)
{
    const struct save_variables *s = saved_of(obj);
    if (!status_needs(writer, "variables", s->revision))
        return;
    struct strbuf *json = status_begin_json(writer, "variables");
    strbuf_addc(json, '{');
    for (const struct strmap_entry *e = strmap_first(&s->variables); e; e = strmap_next(e)) {
        strbuf_adds(json, e == strmap_first(&s->variables) ? "" : ", ");
        strbuf_add_json_string(json, strmap_key(e), strlen(strmap_key(e)));
        strbuf_addf(json, ": %s", template_variable_json(strmap_value(e)));
    }
    strbuf_addc(json, '}');
    status_end_json(writer);
}

bool save_variables_value(struct jinja_run *run, struct printer_object *obj, const char *field, size_t len_bytes,
                          struct value *out)
{
    if (obj->desc != &save_variables_desc || len_bytes != 9 || memcmp(field, "variables", 9) != 0)
        return false;
    *out = value_dict(run);
    const struct strmap *variables = &saved_of(obj)->variables;
    for (const struct strmap_entry *e = strmap_first(variables); e; e = strmap_next(e))
        (void)value_set_text(run, *out, strmap_key(e), template_variable_value(run, strmap_value(e)));
    return true;
}

static const struct option_desc options[] = {
    {.name = "filename", .type = OPTION_STRING, .flags = OPTION_REQUIRED, .help = "The file that keeps the variables."},
};

static const struct command_param params[] = {
    {"VARIABLE", "str", "required", NULL},
    {"VALUE", "literal", "required", NULL},
    {NULL, NULL, NULL, NULL},
};

static const struct command_desc commands[] = {
    {.name = "SAVE_VARIABLE", .params = params, .help = "Save a variable to disk", .handler = save_variable},
};

static const struct status_field_desc fields[] = {
    {"variables", "dict", "the variables saved, by name"},
};

const struct object_desc save_variables_desc = {
    .section = "save_variables",
    .flags = OBJECT_EXACT,
    .help = "Variables that are kept in a file.",
    .size_bytes = sizeof(struct save_variables),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    .create = create,
    .destroy = destroy,
    .status = status,
};
