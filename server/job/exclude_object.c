/* [exclude_object]: the slicer says which moves belong to which object; the moves of objects that the user has given up
 * are left out. */
#include "server/job/exclude_object.h"

#include "base/mem.h"
#include "base/strbuf.h"
#include "server/bed/print_area.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/gcode/gcode_move.h"
#include "server/job/exclude_path.h"
#include "server/job/literal.h"
#include "server/job/objects.h"
#include "server/job/sdcard.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/toolhead/toolhead.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_MAX     5000 /* objects of one print */
#define EXTRUDERS_MAX 16

struct part {
    char *name; /* upper case */
    char *json; /* as status shows it */
    bool has_outline;
    double min_mm[2], max_mm[2]; /* of its outline */
};

struct exclude_object {
    struct printer_object obj;
    struct gcode_transform transform;
    struct part *parts; /* sorted by name */
    size_t part_count;
    char **excluded; /* names, sorted */
    size_t excluded_count;
    char *current; /* NULL: none */
    uint64_t parts_revision, excluded_revision;
    struct exclude_path path, path_of_reader; /* the latter while suspended */
    bool is_suspended;
    struct {
        char *name;
        double offset_e_mm; /* kept while another extruder is active */
    } extruders[EXTRUDERS_MAX];
    size_t extruder_count, extruder_now;
};

static struct exclude_object *exclude_of(void *obj)
{
    return obj;
}

/* --- names --- */

static char *upper(const char *text)
{
    char *copy = mem_strdup(text);
    for (char *p = copy; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return copy;
}

static struct part *find_part(const struct exclude_object *x, const char *name)
{
    for (size_t i = 0; i < x->part_count; i++) {
        if (strcmp(x->parts[i].name, name) == 0)
            return &x->parts[i];
    }
    return NULL;
}

static bool is_excluded(const struct exclude_object *x, const char *name)
{
    for (size_t i = 0; i < x->excluded_count; i++) {
        if (strcmp(x->excluded[i], name) == 0)
            return true;
    }
    return false;
}

static int compare_parts(const void *a, const void *b)
{
    return strcmp(((const struct part *)a)->name, ((const struct part *)b)->name);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Take the corner x, y into the box round the outline. */
static void add_corner(struct part *part, const double at_mm[2])
{
    for (int i = 0; i < 2; i++) {
        part->min_mm[i] = part->has_outline ? fmin(part->min_mm[i], at_mm[i]) : at_mm[i];
        part->max_mm[i] = part->has_outline ? fmax(part->max_mm[i], at_mm[i]) : at_mm[i];
    }
    part->has_outline = true;
}

/* The box round [[x, y], ...], JSON; numbers elsewhere mean nothing. */
static void read_outline(struct part *part, const char *json)
{
    double at_mm[2] = {0.0, 0.0};
    int depth = 0, index = 0;
    part->has_outline = false;
    for (const char *p = json; p && *p; p++) {
        if (*p == '[') {
            depth++;
            index = 0;
        } else if (*p == ']') {
            if (depth-- == 2 && index == 2)
                add_corner(part, at_mm);
        } else if (depth == 2 && (isdigit((unsigned char)*p) || *p == '-')) {
            char *end;
            double value = strtod(p, &end);
            if (end == p)
                continue;
            if (index < 2 && isfinite(value))
                at_mm[index++] = value;
            p = end - 1;
        }
        if (depth == 0)
            break;
    }
}

/* bed_mesh asks. */
static void on_print_area(void *ctx, const char *event, void *data)
{
    const struct exclude_object *x = ctx;
    struct print_area *area = data;
    (void)event;
    for (size_t i = 0; i < x->part_count; i++) {
        const struct part *part = &x->parts[i];
        if (!part->has_outline)
            continue;
        for (int k = 0; k < 2; k++) {
            area->min_mm[k] = area->count ? fmin(area->min_mm[k], part->min_mm[k]) : part->min_mm[k];
            area->max_mm[k] = area->count ? fmax(area->max_mm[k], part->max_mm[k]) : part->max_mm[k];
        }
        area->count++;
    }
}

/* Both are taken. `outline` points into json, NULL: none. */
static enum err put_part(struct exclude_object *x, char *name, char *json, const char *outline, struct err_info *info)
{
    struct part *part = find_part(x, name), box = {0};
    read_outline(&box, outline);
    x->parts_revision++;
    printer_status_touch(&x->obj);
    if (part) {
        mem_free(name);
        mem_free(part->json);
        box.name = part->name;
        box.json = json;
        *part = box;
        return OK;
    }
    if (x->part_count >= PARTS_MAX) {
        mem_free(name);
        mem_free(json);
        return err_set(info, ERR_LIMIT, "More than %d objects are defined", PARTS_MAX);
    }
    x->parts = mem_realloc(x->parts, (x->part_count + 1) * sizeof(*x->parts));
    box.name = name;
    box.json = json;
    x->parts[x->part_count++] = box;
    qsort(x->parts, x->part_count, sizeof(*x->parts), compare_parts);
    return OK;
}

static void clear_excluded(struct exclude_object *x)
{
    for (size_t i = 0; i < x->excluded_count; i++)
        mem_free(x->excluded[i]);
    x->excluded_count = 0;
    x->excluded_revision++;
    printer_status_touch(&x->obj);
}

static void set_current(struct exclude_object *x, const char *name)
{
    char *copy = name ? mem_strdup(name) : NULL;
    mem_free(x->current);
    x->current = copy;
    printer_status_touch(&x->obj);
}

static void reset(struct exclude_object *x)
{
    for (size_t i = 0; i < x->part_count; i++) {
        mem_free(x->parts[i].name);
        mem_free(x->parts[i].json);
    }
    x->part_count = 0;
    x->parts_revision++;
    clear_excluded(x);
    set_current(x, NULL);
}

/* --- the moves --- */

/* The filament that was left out is a matter of each extruder. */
static void follow_extruder(struct exclude_object *x)
{
    const char *name = toolhead_extruder(printer_toolhead(x->obj.printer));
    if (x->extruder_count > 0 && strcmp(x->extruders[x->extruder_now].name, name) == 0)
        return;
    if (x->extruder_count > 0)
        x->extruders[x->extruder_now].offset_e_mm = x->path.offset[EXCLUDE_E];
    size_t i = 0;
    while (i < x->extruder_count && strcmp(x->extruders[i].name, name) != 0)
        i++;
    if (i == EXTRUDERS_MAX)
        return;
    if (i == x->extruder_count) {
        x->extruders[i].name = mem_strdup(name);
        x->extruders[i].offset_e_mm = 0;
        x->extruder_count++;
    }
    x->extruder_now = i;
    x->path.offset[EXCLUDE_E] = x->extruders[i].offset_e_mm;
}

static void forget_offsets(struct exclude_object *x)
{
    x->path = (struct exclude_path){0};
    for (size_t i = 0; i < x->extruder_count; i++)
        x->extruders[i].offset_e_mm = 0;
}

static void get_position(void *ctx, double *pos)
{
    struct exclude_object *x = ctx;
    x->transform.next->get_position(x->transform.next->ctx, pos);
    follow_extruder(x);
    exclude_path_place(&x->path, pos, pos);
}

/* A client's own moves during a file (jogging in a pause) belong to no object. */
static bool is_of_object(const struct exclude_object *x)
{
    struct printer *printer = x->obj.printer;
    return gcode_source(printer->gcode)->file_offset != GCODE_NO_OFFSET || !sdcard_is_loaded(sdcard_of(printer));
}

static enum err move(void *ctx, const double *pos, double speed_mm_s, struct err_info *info)
{
    struct exclude_object *x = ctx;
    double to[GCODE_AXIS_COUNT_MAX];
    size_t count = gcode_move_axis_count(printer_gcode_move(x->obj.printer));
    memcpy(to, pos, count * sizeof(to[0]));
    follow_extruder(x);
    bool is_left_out = x->current && is_excluded(x, x->current) && is_of_object(x);
    if (!exclude_path_move(&x->path, is_left_out, pos, to))
        return OK;
    return x->transform.next->move(x->transform.next->ctx, to, speed_mm_s, info);
}

static struct exclude_object *find(struct printer *printer)
{
    return exclude_of(printer_find_object(printer, "exclude_object"));
}

void exclude_object_suspend(struct printer *printer)
{
    struct exclude_object *x = find(printer);
    if (!x || x->is_suspended)
        return;
    x->path_of_reader = x->path;
    x->path = (struct exclude_path){0};
    x->is_suspended = true;
}

void exclude_object_resume(struct printer *printer)
{
    struct exclude_object *x = find(printer);
    if (!x || !x->is_suspended)
        return;
    x->path = x->path_of_reader;
    x->is_suspended = false;
}

void exclude_object_forget(struct printer *printer)
{
    struct exclude_object *x = find(printer);
    if (!x)
        return;
    x->is_suspended = false;
    forget_offsets(x);
}

static void on_reset_file(void *ctx, const char *event, void *data)
{
    (void)event;
    (void)data;
    struct exclude_object *x = ctx;
    reset(x);
    forget_offsets(x);
    x->is_suspended = false;
    if (x->transform.next)
        gcode_move_reset_position(printer_gcode_move(x->obj.printer));
}

/* --- lists --- */

static void list_parts(const struct exclude_object *x, struct gcode_command *cmd)
{
    bool is_json = gcode_has(cmd, "JSON");
    struct strbuf text;
    strbuf_init(&text);
    for (size_t i = 0; i < x->part_count; i++) {
        strbuf_adds(&text, i == 0 ? "" : is_json ? ", " : " ");
        strbuf_adds(&text, is_json ? x->parts[i].json : x->parts[i].name);
    }
    gcode_respond_info(gcode_of(cmd), is_json ? "Known objects: [%s]" : "Known objects: %s", text.data);
    strbuf_deinit(&text);
}

static void list_excluded(const struct exclude_object *x, struct gcode_command *cmd)
{
    struct strbuf text;
    strbuf_init(&text);
    for (size_t i = 0; i < x->excluded_count; i++)
        strbuf_addf(&text, "%s%s", i ? " " : "", x->excluded[i]);
    gcode_respond_info(gcode_of(cmd), "Excluded objects: %s", text.data);
    strbuf_deinit(&text);
}

/* --- commands --- */

/* JSON of `text` as member `name`, which must be a list. */
static enum err add_list(struct strbuf *json, const char *name, const char *text, const char *shown,
                         struct err_info *info)
{
    struct err_info why;
    strbuf_addf(json, ", \"%s\": ", name);
    size_t at = json->len_bytes;
    enum err err = literal_to_json(text, strlen(text), json, &why);
    if (err)
        return err_set(info, err, "Unable to parse %s '%.200s': %s", name, shown, why.text);
    if (json->data[at] != '[')
        return err_set(info, ERR_INVALID, "Unable to parse %s '%.200s': no list", name, shown);
    return OK;
}

/* {"name": ..., whatever else was given as text, "center": [x, y], "polygon": [[x, y], ...]} */
static enum err part_json(struct gcode_command *cmd, const char *name, struct strbuf *json, size_t *outline_at,
                          struct err_info *info)
{
    strbuf_adds(json, "{\"name\": ");
    strbuf_add_json_string(json, name, strlen(name));
    for (size_t i = 0; i < gcode_param_count(cmd); i++) {
        const char *key, *value;
        gcode_param_at(cmd, i, &key, &value);
        if (strcmp(key, "NAME") == 0 || strcmp(key, "CENTER") == 0 || strcmp(key, "POLYGON") == 0)
            continue;
        strbuf_adds(json, ", ");
        strbuf_add_json_string(json, key, strlen(key));
        strbuf_adds(json, ": ");
        strbuf_add_json_string(json, value, strlen(value));
    }
    const char *center = gcode_get(cmd, "CENTER"), *polygon = gcode_get(cmd, "POLYGON");
    enum err err = OK;
    if (center) {
        char *list = mem_sprintf("[%s]", center);
        err = add_list(json, "center", list, center, info);
        mem_free(list);
    }
    *outline_at = json->len_bytes + strlen(", \"polygon\": ");
    if (!err && polygon)
        err = add_list(json, "polygon", polygon, polygon, info);
    strbuf_addc(json, '}');
    return err;
}

static enum err cmd_define(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct exclude_object *x = ctx;
    if (gcode_has(cmd, "RESET")) {
        on_reset_file(x, NULL, NULL);
        return OK;
    }
    const char *name = gcode_get(cmd, "NAME");
    if (!name) {
        list_parts(x, cmd);
        return OK;
    }
    char *key = upper(name);
    struct strbuf json;
    strbuf_init(&json);
    size_t outline_at;
    enum err err = part_json(cmd, key, &json, &outline_at, info);
    if (!err) {
        char *text = strbuf_take(&json);
        return put_part(x, key, text, gcode_has(cmd, "POLYGON") ? text + outline_at : NULL, info);
    }
    strbuf_deinit(&json);
    mem_free(key);
    return err;
}

static enum err cmd_start(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct exclude_object *x = ctx;
    const char *name;
    enum err err = gcode_get_str(cmd, "NAME", &name, info);
    if (err)
        return err;
    char *key = upper(name);
    if (!find_part(x, key)) {
        struct strbuf json;
        strbuf_init(&json);
        strbuf_adds(&json, "{\"name\": ");
        strbuf_add_json_string(&json, key, strlen(key));
        strbuf_addc(&json, '}');
        err = put_part(x, mem_strdup(key), strbuf_take(&json), NULL, info);
    }
    if (!err)
        set_current(x, key);
    mem_free(key);
    return err;
}

static enum err cmd_end(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)info;
    struct exclude_object *x = ctx;
    if (!x->current) {
        gcode_respond_info(gcode_of(cmd), "EXCLUDE_OBJECT_END called, but no object is currently active");
        return OK;
    }
    const char *name = gcode_get(cmd, "NAME");
    char *key = name ? upper(name) : NULL;
    if (key && strcmp(key, x->current) != 0)
        gcode_respond_info(gcode_of(cmd), "EXCLUDE_OBJECT_END NAME=%s does not match the current object NAME=%s", key,
                           x->current);
    mem_free(key);
    set_current(x, NULL);
    return OK;
}

static void exclude(struct exclude_object *x, struct gcode *g, const char *name)
{
    gcode_respond_info(g, "Excluding object %s", name);
    if (is_excluded(x, name) || x->excluded_count >= PARTS_MAX)
        return;
    x->excluded = mem_realloc(x->excluded, (x->excluded_count + 1) * sizeof(*x->excluded));
    x->excluded[x->excluded_count++] = mem_strdup(name);
    qsort(x->excluded, x->excluded_count, sizeof(*x->excluded), compare_names);
    x->excluded_revision++;
    printer_status_touch(&x->obj);
}

static void take_back(struct exclude_object *x, struct gcode *g, const char *name)
{
    gcode_respond_info(g, "Unexcluding object %s", name);
    size_t kept = 0;
    for (size_t i = 0; i < x->excluded_count; i++) {
        if (strcmp(x->excluded[i], name) == 0)
            mem_free(x->excluded[i]);
        else
            x->excluded[kept++] = x->excluded[i];
    }
    x->excluded_count = kept;
    x->excluded_revision++;
    printer_status_touch(&x->obj);
}

static enum err cmd_exclude(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct exclude_object *x = ctx;
    struct gcode *g = gcode_of(cmd);
    const char *name = gcode_get(cmd, "NAME");
    char *key = name ? upper(name) : NULL;
    enum err err = OK;
    if (gcode_has(cmd, "RESET") && key)
        take_back(x, g, key);
    else if (gcode_has(cmd, "RESET"))
        clear_excluded(x);
    else if (key)
        exclude(x, g, key);
    else if (gcode_has(cmd, "CURRENT") && x->current)
        exclude(x, g, x->current);
    else if (gcode_has(cmd, "CURRENT"))
        err = err_set(info, ERR_STATE, "There is no current object to cancel");
    else
        list_excluded(x, cmd);
    mem_free(key);
    return err;
}

/* --- the object --- */

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    (void)section;
    (void)info;
    struct exclude_object *x = exclude_of(obj);
    x->parts_revision = x->excluded_revision = 1;
    x->transform =
        (struct gcode_transform){.name = "exclude_object", .ctx = x, .move = move, .get_position = get_position};
    printer_subscribe(obj->printer, SDCARD_EVENT_RESET, on_reset_file, x);
    printer_subscribe(obj->printer, PRINT_AREA_EVENT, on_print_area, x);
    return OK;
}

/* In front of every other transform, as late as possible: it must see the file's moves as they are. */
static void ready(struct printer_object *obj)
{
    struct exclude_object *x = exclude_of(obj);
    struct gcode_move *gm = printer_gcode_move(obj->printer);
    enum err err = gcode_move_add_transform(gm, &x->transform, true, NULL);
    (void)err; /* forced: it cannot be refused */
    gcode_move_reset_position(gm);
}

static void destroy(struct printer_object *obj)
{
    struct exclude_object *x = exclude_of(obj);
    for (size_t i = 0; i < x->part_count; i++) {
        mem_free(x->parts[i].name);
        mem_free(x->parts[i].json);
    }
    for (size_t i = 0; i < x->excluded_count; i++)
        mem_free(x->excluded[i]);
    for (size_t i = 0; i < x->extruder_count; i++)
        mem_free(x->extruders[i].name);
    mem_free(x->parts);
    mem_free(x->excluded);
    mem_free(x->current);
}

static void status(struct printer_object *obj, struct status_writer *writer)
{
    struct exclude_object *x = exclude_of(obj);
    if (status_needs(writer, "objects", x->parts_revision)) {
        struct strbuf *json = status_begin_json(writer, "objects");
        strbuf_addc(json, '[');
        for (size_t i = 0; i < x->part_count; i++)
            strbuf_addf(json, "%s%s", i ? ", " : "", x->parts[i].json);
        strbuf_addc(json, ']');
        status_end_json(writer);
    }
    if (status_needs(writer, "excluded_objects", x->excluded_revision)) {
        struct strbuf *json = status_begin_json(writer, "excluded_objects");
        strbuf_addc(json, '[');
        for (size_t i = 0; i < x->excluded_count; i++) {
            strbuf_adds(json, i ? ", " : "");
            strbuf_add_json_string(json, x->excluded[i], strlen(x->excluded[i]));
        }
        strbuf_addc(json, ']');
        status_end_json(writer);
    }
    status_string(writer, "current_object", x->current);
}

static const struct command_param define_params[] = {
    {"NAME", "str", NULL, NULL},   {"CENTER", "x,y", NULL, NULL}, {"POLYGON", "[[x,y],...]", NULL, NULL},
    {"RESET", "flag", NULL, NULL}, {"JSON", "flag", NULL, NULL},  {"<any>", "str", NULL, NULL},
    {NULL, NULL, NULL, NULL},
};
static const struct command_param start_params[] = {{"NAME", "str", "required", NULL}, {NULL, NULL, NULL, NULL}};
static const struct command_param end_params[] = {{"NAME", "str", NULL, NULL}, {NULL, NULL, NULL, NULL}};
static const struct command_param exclude_params[] = {
    {"NAME", "str", NULL, NULL},
    {"CURRENT", "flag", NULL, NULL},
    {"RESET", "flag", NULL, NULL},
    {NULL, NULL, NULL, NULL},
};

static const struct command_desc commands[] = {
    {.name = "EXCLUDE_OBJECT_DEFINE",
     .params = define_params,
     .help = "Declare an object of the print, list them, or forget them",
     .handler = cmd_define},
    {.name = "EXCLUDE_OBJECT_START",
     .params = start_params,
     .help = "The moves of an object begin",
     .handler = cmd_start},
    {.name = "EXCLUDE_OBJECT_END", .params = end_params, .help = "The moves of an object end", .handler = cmd_end},
    {.name = "EXCLUDE_OBJECT",
     .params = exclude_params,
     .help = "Leave out an object, take one back, or list those left out",
     .handler = cmd_exclude},
};

static const struct status_field_desc fields[] = {
    {"objects", "list", "name, center and polygon of each object of the print"},
    {"excluded_objects", "list", "names of those left out"},
    {"current_object", "str/null", "the object being printed"},
};

const struct object_desc exclude_object_desc = {
    .section = "exclude_object",
    .flags = OBJECT_EXACT,
    .help = "Leaves out objects of a print.",
    .size_bytes = sizeof(struct exclude_object),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    .create = create,
    .ready = ready,
    .destroy = destroy,
    .status = status,
};
