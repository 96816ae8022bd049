/* From sections to objects. */
#include "server/machine/printer_private.h"

#include "base/check.h"
#include "base/mem.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/deprecated.h"
#include "server/machine/pins.h"
#include "server/machine/status.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct printer_object *printer_find_object(const struct printer *printer, const char *name)
{
    return strmap_get(&priv(printer)->objects, name);
}

struct printer_object *printer_first_object(const struct printer *printer)
{
    return priv(printer)->first;
}

struct printer_object *printer_next_of(const struct printer *printer, const char *section, struct printer_object *prev)
{
    struct printer_object *obj = prev ? prev->next : priv(printer)->first;
    while (obj && strcmp(obj->desc->section, section))
        obj = obj->next;
    return obj;
}

/* --- commands --- */

static void report(struct printer *printer, struct config_section *section, const char *text)
{
    if (section)
        config_error_section(section, "%s", text);
    else
        config_error_place(printer->config, "", 0, "%s", text);
}

static void *command_ctx(struct printer_object *obj)
{
    return obj->desc->command_ctx ? obj->desc->command_ctx(obj) : obj;
}

static void register_mux(struct printer_object *obj, const struct gcode_def *def, const char *mux_key,
                         struct config_section *section)
{
    char key[64];
    struct err_info info;
    size_t len = strlen(mux_key);
    bool has_default = mux_key[len - 1] == '?';
    CHECK(len < sizeof key);
    memcpy(key, mux_key, len + 1);
    if (has_default)
        key[len - 1] = 0;
    const char *value = obj->desc->mux_value ? obj->desc->mux_value(obj) : obj->id;
    struct gcode *gcode = obj->printer->gcode;
    if (gcode_register_mux(gcode, def, key, value, command_ctx(obj), &info) != OK)
        report(obj->printer, section, info.text);
    if (has_default && !strcmp(obj->name, obj->desc->section) &&
        gcode_register_mux(gcode, def, key, NULL, command_ctx(obj), &info) != OK)
        report(obj->printer, section, info.text);
}

static void register_commands(struct printer_object *obj, struct config_section *section)
{
    struct printer_private *p = priv(obj->printer);
    for (size_t i = 0; i < obj->desc->command_count; i++) {
        const struct command_desc *command = &obj->desc->commands[i];
        struct gcode_def def = {.name = command->name,
                                .help = command->help,
                                .when_not_ready = command->flags & COMMAND_WHEN_NOT_READY,
                                .fn = command->handler,
                                .takes_text = command->flags & COMMAND_TAKES_TEXT};
        struct err_info info;
        if (command->flags & (COMMAND_TEMPORARY | COMMAND_BY_OBJECT))
            continue;
        if (command->mux_key) {
            register_mux(obj, &def, command->mux_key, section);
            continue;
        }
        if (strmap_get(&p->commands, command->name) == obj->desc)
            continue; /* the first object of this kind answers for all */
        if (gcode_register(obj->printer->gcode, &def, command_ctx(obj), &info) != OK)
            report(obj->printer, section, info.text);
        strmap_set(&p->commands, command->name, (void *)obj->desc);
    }
}

/* --- creation --- */

static const char *id_of(const struct object_desc *desc, const char *name)
{
    size_t len = strlen(desc->section);
    return name[len] == ' ' ? name + len + 1 : name;
}

static void add_object(struct printer_private *p, struct printer_object *obj)
{
    if (p->object_count == p->object_cap) {
        p->object_cap = p->object_cap ? p->object_cap * 2 : 64;
        p->creation = mem_realloc(p->creation, p->object_cap * sizeof(struct printer_object *));
    }
    p->creation[p->object_count++] = obj;
    *p->last = obj;
    p->last = &obj->next;
    strmap_set(&p->objects, obj->name, obj);
}

/* Make the object of `desc` called `name`. Objects that its create hook loads come before it in the order. */
static struct printer_object *create_object(struct printer *printer, const struct object_desc *desc, const char *name,
                                            struct config_section *section)
{
    struct printer_private *p = priv(printer);
    CHECK(desc->size_bytes >= sizeof(struct printer_object));
    struct printer_object *obj = mem_alloc(desc->size_bytes);
    char *kept = mem_strdup(name);
    obj->desc = desc;
    obj->printer = printer;
    obj->name = kept;
    obj->id = id_of(desc, kept);
    strmap_set(&p->loading, name, obj);
    if (!section && desc->option_count)
        section = config_ensure(printer->config, name); /* with nothing in it but defaults */
    if (section)
        section_bind(section, desc->options, desc->option_count);
    struct err_info info = {""};
    size_t errors_before = config_error_count(printer->config);
    enum err result = desc->create ? desc->create(obj, section, &info) : OK;
    (void)strmap_remove(&p->loading, name);
    if (result != OK && config_error_count(printer->config) == errors_before)
        report(printer, section, info.text);
    add_object(p, obj);
    register_commands(obj, section);
    if (desc->status && printer->services)
        obj->status = status_entry_create(printer->services->status, kept);
    return obj;
}

struct printer_object *printer_load_object(struct printer *printer, const char *name, struct config_section *asking)
{
    struct printer_object *obj = printer_find_object(printer, name);
    if (obj)
        return obj;
    struct printer_private *p = priv(printer);
    struct config_section *section = config_find(printer->config, name);
    const struct object_desc *desc = object_find_desc(name);
    bool may_exist = desc && !(desc->flags & OBJECT_SETTINGS) &&
                     (section || (desc->flags & (OBJECT_ON_DEMAND | OBJECT_ALWAYS)));
    if (may_exist && !strmap_get(&p->loading, name))
        return create_object(printer, desc, name, section);
    if (asking && may_exist)
        config_error_section(asking, "Section '%s' and section '%s' need each other", section_name(asking), name);
    else if (asking)
        config_error_section(asking, "Unknown config object '%s' needed by section '%s'", name, section_name(asking));
    return NULL;
}

/* A section nobody here knows: a mistake, or something Klipper has. Pins on the chips it may be named as are accepted, so
 * that one missing device is one error. */
static void refuse_section(struct printer *printer, struct config_section *section)
{
    const char *name = section_name(section);
    const char *kind = object_known_elsewhere(name);
    if (!kind) {
        config_error_section(section, "Section '%s' is not a valid config section", name);
        return;
    }
    config_error_section(section, "Section '%s' is not supported yet: Klipper has %s, this program does not have it so far",
                         name, kind);
    char *chip = mem_strdup(name), *space = strchr(chip, ' ');
    pins_add_unknown_chip(printer->pins, name);
    if (space) {
        pins_add_unknown_chip(printer->pins, space + 1);
        *space = '_';
        pins_add_unknown_chip(printer->pins, chip);
        *space = 0;
        pins_add_unknown_chip(printer->pins, chip);
    }
    if (strstr("probe bltouch smart_effector load_cell_probe probe_eddy_current", chip))
        pins_add_unknown_chip(printer->pins, "probe");
    mem_free(chip);
}

/* May `name` stand in a file? Objects with neither EXACT nor options exist only by themselves ("webhooks", "gcode"). */
static const struct object_desc *desc_of_section(const char *name)
{
    const struct object_desc *desc = object_find_desc(name);
    bool is_bare = desc && !strcmp(desc->section, name);
    if (desc && (desc->flags & OBJECT_INTERNAL))
        return NULL;
    return is_bare && !(desc->flags & OBJECT_EXACT) && !desc->option_count ? NULL : desc;
}

static void create_sections(struct printer *printer, unsigned wanted)
{
    const unsigned order = OBJECT_FIRST | OBJECT_LAST;
    for (size_t i = 0; i < config_section_count(printer->config); i++) {
        struct config_section *section = config_section_at(printer->config, i);
        const struct object_desc *desc = desc_of_section(section_name(section));
        if (!section_is_in_file(section) || !desc || (desc->flags & OBJECT_SETTINGS) || (desc->flags & order) != wanted)
            continue;
        if (!printer_find_object(printer, section_name(section)))
            (void)create_object(printer, desc, section_name(section), section);
    }
}

static void create_always(struct printer *printer, unsigned wanted)
{
    for (size_t i = 0; object_list[i]; i++) {
        const struct object_desc *desc = object_list[i];
        if ((desc->flags & OBJECT_ALWAYS) && (desc->flags & OBJECT_LAST) == wanted &&
            !printer_find_object(printer, desc->section))
            (void)create_object(printer, desc, desc->section, config_find(printer->config, desc->section));
    }
}

static void check_sections(struct printer *printer)
{
    for (size_t i = 0; i < config_section_count(printer->config); i++) {
        struct config_section *section = config_section_at(printer->config, i);
        const struct object_desc *desc = desc_of_section(section_name(section));
        if (!desc || !section_is_in_file(section))
            continue;
        if ((desc->flags & OBJECT_SETTINGS) && !section_is_bound(section))
            config_error_section(section, "Section '%s' is not used by this configuration (no other section asks for it)",
                                 section_name(section));
        deprecated_check_section(section, deprecated_options, deprecated_option_count);
        if (!(desc->flags & OBJECT_SETTINGS) || section_is_bound(section))
            section_check_unused(section);
    }
}

void printer_create_objects(struct printer *printer)
{
    for (size_t i = 0; i < config_section_count(printer->config); i++) {
        struct config_section *section = config_section_at(printer->config, i);
        if (!desc_of_section(section_name(section)))
            refuse_section(printer, section);
    }
    if (!config_find(printer->config, "mcu")) {
        config_error_place(printer->config, "", 0, "Section 'mcu' must be specified");
        pins_add_unknown_chip(printer->pins, "mcu"); /* one mistake, not one for each pin */
    }
    create_sections(printer, OBJECT_FIRST);
    create_always(printer, 0);
    create_sections(printer, 0);
    create_sections(printer, OBJECT_LAST);
    create_always(printer, OBJECT_LAST);
    check_sections(printer);
    deprecated_watch_commands(printer);
}

void printer_destroy_objects(struct printer *printer)
{
    struct printer_private *p = priv(printer);
    for (size_t i = p->object_count; i-- > 0;) {
        struct printer_object *obj = p->creation[i];
        if (obj->desc->destroy)
            obj->desc->destroy(obj);
        status_entry_destroy(obj->status);
        mem_free((char *)obj->name);
        mem_free(obj);
    }
    mem_free(p->creation);
    p->creation = NULL;
    p->object_count = 0;
    p->first = NULL;
}
