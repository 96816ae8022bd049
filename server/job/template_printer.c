/* printer.toolhead.position: objects and fields on demand.
 *
 *   printer ---name---> object (its status is refreshed, once a render) ---field---> value of the field's JSON
 *   printer.configfile.settings / .config ---section---> values of that section only
 *
 * A whole configuration as values would cost milliseconds; a macro names two or three options. */
#include "server/job/template_printer.h"

#include "base/strbuf.h"
#include "server/config/config.h"
#include "server/gcode/template/jinja.h"
#include "server/job/gcode_macro.h"
#include "server/job/save_variables.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

struct printer_view {
    struct printer *printer;
    struct value known; /* dict: name -> object value */
};
struct object_view {
    struct printer *printer;
    struct printer_object *obj;
    struct value known; /* dict: field -> value */
};
struct config_view {
    struct config *config;
    bool is_raw;        /* the texts of the file, not the values read */
    struct value known; /* dict: section -> values */
};

static const struct value_object_type printer_type, object_type, config_type;

/* The value remembered for `name`; false: none. */
static bool recall(struct jinja_run *run, struct value known, struct value key, struct value *out)
{
    bool is_known = false;
    return value_contains(run, known, key, &is_known) == OK && is_known && value_subscript(run, known, key, out) == OK;
}

static char *zero_ended(struct jinja_run *run, const char *name, size_t len_bytes)
{
    char *copy = value_alloc(run, len_bytes + 1);
    if (copy)
        memcpy(copy, name, len_bytes);
    return copy;
}

static enum err finish(struct jinja_run *run, struct value known, struct value key, struct value v, struct value *out)
{
    if (!value_set_item(run, known, key, v))
        return ERR_LIMIT;
    *out = v;
    return OK;
}

/* ---------------------------------------------------------------------------------------------- the configuration */

static struct value config_options(struct jinja_run *run, const struct config_section *section)
{
    struct value dict = value_dict(run);
    for (size_t i = 0; i < section_option_count(section); i++) {
        const struct config_option *option = section_option_at(section, i);
        (void)value_set_text(run, dict, option->name, value_cstr(run, option->value));
    }
    return dict;
}

/* `config` has what stands in the file, under its own name; `settings` has every section, in lower case. */
static struct config_section *find_section(const struct config_view *view, const char *name)
{
    struct config_section *section = config_find(view->config, name);
    if (view->is_raw)
        return section && section_is_in_file(section) ? section : NULL;
    for (const char *p = name; *p; p++)
        if (isupper((unsigned char)*p))
            return NULL;
    for (size_t i = 0; !section && i < config_section_count(view->config); i++)
        if (strcasecmp(section_name(config_section_at(view->config, i)), name) == 0)
            section = config_section_at(view->config, i);
    return section;
}

static enum err config_get(struct jinja_run *run, void *ctx, const char *name, size_t len_bytes, struct value *out)
{
    struct config_view *view = ctx;
    struct value key = value_str(run, name, len_bytes), v = value_none();
    if (recall(run, view->known, key, out))
        return OK;
    const char *text = zero_ended(run, name, len_bytes);
    struct config_section *section = text ? find_section(view, text) : NULL;
    if (!section)
        return ERR_NOT_FOUND;
    if (view->is_raw) {
        v = config_options(run, section);
    } else {
        const char *json = section_settings_json(section);
        struct err_info info;
        if (value_from_json(run, json, strlen(json), &v, &info) != OK)
            return value_error(run, "ValueError", "settings of '%s': %s", text, info.text);
    }
    return finish(run, view->known, key, v, out);
}

static enum err config_keys(struct jinja_run *run, void *ctx, struct value *out)
{
    const struct config_view *view = ctx;
    *out = value_list(run);
    for (size_t i = 0; i < config_section_count(view->config); i++) {
        const struct config_section *section = config_section_at(view->config, i);
        struct value name = value_cstr(run, section_name(section));
        char *lower = view->is_raw ? NULL : zero_ended(run, section_name(section), strlen(section_name(section)));
        for (char *p = lower; p && *p; p++)
            *p = (char)tolower((unsigned char)*p);
        if (lower)
            name = value_cstr(run, lower);
        if (!view->is_raw || section_is_in_file(section))
            (void)value_append(run, *out, name);
    }
    return OK;
}

static const struct value_object_type config_type = {
    .type_name = "dict", .get = config_get, .keys = config_keys, .is_dict = true};

static struct value make_config_view(struct jinja_run *run, struct printer *printer, bool is_raw)
{
    struct config_view *view = value_alloc(run, sizeof *view);
    if (!view)
        return value_none();
    *view = (struct config_view){.config = printer->config, .is_raw = is_raw, .known = value_dict(run)};
    return value_object(run, &config_type, view);
}

/* ---------------------------------------------------------------------------------------------------- one object */

/* Positions are named tuples: position[0] and position.x. */
static struct value name_parts(struct jinja_run *run, const struct object_desc *desc, const char *field, struct value v)
{
    static const struct value_tuple_names names = {.type_name = "Coord", .parts = {"x", "y", "z", "e"}};
    if (v.kind != VALUE_LIST || v.seq->count > 4)
        return v;
    for (size_t i = 0; i < desc->field_count; i++)
        if (!strcmp(desc->fields[i].name, field) && !strcmp(desc->fields[i].type, "coord"))
            return value_named_tuple(run, v, &names);
    return v;
}

static enum err object_get(struct jinja_run *run, void *ctx, const char *name, size_t len_bytes, struct value *out)
{
    struct object_view *view = ctx;
    struct value key = value_str(run, name, len_bytes), v = value_none();
    if (recall(run, view->known, key, out))
        return OK;
    bool is_settings = len_bytes == 8 && !memcmp(name, "settings", 8);
    if (!strcmp(view->obj->name, "configfile") && (is_settings || (len_bytes == 6 && !memcmp(name, "config", 6))))
        return finish(run, view->known, key, make_config_view(run, view->printer, !is_settings), out);
    if (gcode_macro_value(run, view->obj, name, len_bytes, &v) ||
        save_variables_value(run, view->obj, name, len_bytes, &v))
        return finish(run, view->known, key, v, out);
    size_t json_len;
    const char *json = status_entry_field(view->obj->status, name, len_bytes, &json_len);
    if (!json)
        return ERR_NOT_FOUND;
    struct err_info info;
    if (value_from_json(run, json, json_len, &v, &info) != OK)
        return value_error(run, "ValueError", "%s: %s", view->obj->name, info.text);
    v = name_parts(run, view->obj->desc, key.str->data, v);
    return finish(run, view->known, key, v, out);
}

static enum err object_keys(struct jinja_run *run, void *ctx, struct value *out)
{
    const struct object_view *view = ctx;
    size_t cursor = 0;
    const char *name;
    *out = value_list(run);
    while ((name = status_entry_next(view->obj->status, &cursor)) != NULL)
        (void)value_append(run, *out, value_cstr(run, name));
    return OK;
}

static bool object_is_empty(void *ctx)
{
    const struct object_view *view = ctx;
    size_t cursor = 0;
    return !status_entry_next(view->obj->status, &cursor);
}

static const struct value_object_type object_type = {
    .type_name = "dict", .get = object_get, .keys = object_keys, .is_dict = true, .is_empty = object_is_empty};

/* ---------------------------------------------------------------------------------------------------- the printer */

static enum err printer_get(struct jinja_run *run, void *ctx, const char *name, size_t len_bytes, struct value *out)
{
    struct printer_view *view = ctx;
    struct value key = value_str(run, name, len_bytes);
    if (recall(run, view->known, key, out))
        return OK;
    const char *text = zero_ended(run, name, len_bytes);
    struct printer_object *obj = text ? printer_find_object(view->printer, text) : NULL;
    if (!obj || !obj->status || !obj->desc->status)
        return ERR_NOT_FOUND;
    struct object_view *object = value_alloc(run, sizeof *object);
    if (!object)
        return ERR_LIMIT;
    *object = (struct object_view){.printer = view->printer, .obj = obj, .known = value_dict(run)};
    (void)status_entry_refresh(obj->status, obj, obj->desc->status);
    return finish(run, view->known, key, value_object(run, &object_type, object), out);
}

static enum err printer_keys(struct jinja_run *run, void *ctx, struct value *out)
{
    const struct printer_view *view = ctx;
    *out = value_list(run);
    for (struct printer_object *obj = printer_first_object(view->printer); obj; obj = obj->next)
        if (obj->status && obj->desc->status)
            (void)value_append(run, *out, value_cstr(run, obj->name));
    return OK;
}

static const struct value_object_type printer_type = {
    .type_name = "GetStatusWrapper", .get = printer_get, .keys = printer_keys};

struct value template_printer(struct jinja_run *run, struct printer *printer)
{
    struct printer_view *view = value_alloc(run, sizeof *view);
    if (!view)
        return value_none();
    *view = (struct printer_view){.printer = printer, .known = value_dict(run)};
    return value_object(run, &printer_type, view);
}
