/* Meshes kept in the configuration: [bed_mesh NAME], in the block that SAVE_CONFIG writes. */
#include "server/bed/bed_mesh.h"

#include "base/mem.h"
#include "base/strbuf.h"
#include "server/config/autosave.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX          "bed_mesh "
#define PROFILE_VERSION 1

static const struct option_desc options[] = {
    {.name = "version", .type = OPTION_INT, .default_text = "0", .help = "Kind of this profile: 1"},
    {.name = "points",
     .type = OPTION_FLOAT_TABLE,
     .flags = OPTION_REQUIRED,
     .unit = "mm",
     .separators = "\n,",
     .help = "Probed heights: a line for each y, ascending"},
    {.name = "min_x", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED, .unit = "mm", .help = "Smallest x"},
    {.name = "max_x", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED, .unit = "mm", .help = "Greatest x"},
    {.name = "min_y", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED, .unit = "mm", .help = "Smallest y"},
    {.name = "max_y", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED, .unit = "mm", .help = "Greatest y"},
    {.name = "x_count", .type = OPTION_INT, .flags = OPTION_REQUIRED, .help = "Points along x"},
    {.name = "y_count", .type = OPTION_INT, .flags = OPTION_REQUIRED, .help = "Points along y"},
    {.name = "mesh_x_pps",
     .type = OPTION_INT,
     .flags = OPTION_REQUIRED,
     .help = "Interpolated points between two along x"},
    {.name = "mesh_y_pps",
     .type = OPTION_INT,
     .flags = OPTION_REQUIRED,
     .help = "Interpolated points between two along y"},
    {.name = "algo", .type = OPTION_STRING, .flags = OPTION_REQUIRED, .help = "lagrange, bicubic or direct"},
    {.name = "tension",
     .type = OPTION_FLOAT,
     .flags = OPTION_REQUIRED,
     .help = "How steep splines are at probed points"},
};

/* --- the list --- */

static int compare_profiles(const void *a, const void *b)
{
    return strcmp(((const struct bed_mesh_profile *)a)->name, ((const struct bed_mesh_profile *)b)->name);
}

static struct bed_mesh_profile *find(const struct bed_mesh *bm, const char *name)
{
    for (size_t i = 0; i < bm->profile_count; i++)
        if (strcmp(bm->profiles[i].name, name) == 0)
            return &bm->profiles[i];
    return NULL;
}

static void forget(struct bed_mesh *bm, struct bed_mesh_profile *profile)
{
    mem_free(profile->name);
    mem_free(profile->points_mm);
    size_t index = (size_t)(profile - bm->profiles);
    memmove(profile, profile + 1, (--bm->profile_count - index) * sizeof *profile);
    bm->profiles_revision++;
    printer_status_touch(&bm->obj);
}

/* Add or replace; `points_mm` is copied. */
static enum err put(struct bed_mesh *bm, const char *name, const struct mesh_params *params, const double *points_mm,
                    struct err_info *info)
{
    struct bed_mesh_profile *old = find(bm, name);
    if (old)
        forget(bm, old);
    if (bm->profile_count == BED_MESH_PROFILES_MAX)
        return err_set(info, ERR_LIMIT, "More than %d bed mesh profiles", BED_MESH_PROFILES_MAX);
    size_t bytes = (size_t)params->count[0] * params->count[1] * sizeof(double);
    struct bed_mesh_profile added = {.name = mem_strdup(name), .params = *params, .points_mm = mem_alloc(bytes)};
    memcpy(added.points_mm, points_mm, bytes);
    bm->profiles = mem_realloc(bm->profiles, (bm->profile_count + 1) * sizeof *bm->profiles);
    bm->profiles[bm->profile_count++] = added;
    qsort(bm->profiles, bm->profile_count, sizeof *bm->profiles, compare_profiles);
    bm->profiles_revision++;
    return OK;
}

void bed_mesh_free_profiles(struct bed_mesh *bm)
{
    for (size_t i = 0; i < bm->profile_count; i++) {
        mem_free(bm->profiles[i].name);
        mem_free(bm->profiles[i].points_mm);
    }
    mem_free(bm->profiles);
}

/* --- reading --- */

static unsigned read_count(struct config_section *section, const char *option)
{
    int value = section_int(section, option);
    return value < 0 ? 0u : (unsigned)value;
}

static bool read_algorithm(struct config_section *section, enum mesh_algorithm *algorithm)
{
    const char *text = section_string(section, "algo");
    for (*algorithm = MESH_LAGRANGE; text && *algorithm <= MESH_DIRECT; (*algorithm)++)
        if (strcmp(text, mesh_algorithm_name(*algorithm)) == 0)
            return true;
    if (text)
        config_error_option(section, "algo", "Unknown algorithm '%s' (allowed: lagrange, bicubic, direct)", text);
    return false;
}

static void read_params(struct config_section *section, struct mesh_params *params)
{
    params->min_mm[0] = section_float(section, "min_x");
    params->max_mm[0] = section_float(section, "max_x");
    params->min_mm[1] = section_float(section, "min_y");
    params->max_mm[1] = section_float(section, "max_y");
    params->count[0] = read_count(section, "x_count");
    params->count[1] = read_count(section, "y_count");
    params->pps[0] = read_count(section, "mesh_x_pps");
    params->pps[1] = read_count(section, "mesh_y_pps");
    params->tension = section_float(section, "tension");
    struct err_info info;
    if (read_algorithm(section, &params->algorithm) && section_error_count(section) == 0 &&
        mesh_params_check(params, &info))
        config_error_section(section, "%s", info.text);
}

/* The rows as one array; NULL: they are not what the counts say. Caller frees. */
static double *read_points(struct config_section *section, const struct mesh_params *params)
{
    struct config_number_table table = section_number_table(section, "points");
    if (section_error_count(section) > 0)
        return NULL;
    double *points = MEM_ARRAY(double, (size_t)params->count[0] * params->count[1]);
    bool fits = table.count == params->count[1];
    for (size_t y = 0; fits && y < table.count; y++) {
        fits = table.rows[y].count == params->count[0];
        if (fits)
            memcpy(points + y * params->count[0], table.rows[y].items, params->count[0] * sizeof *points);
    }
    if (fits)
        return points;
    config_error_option(section, "points", "The points are not the %u lines of %u numbers that y_count and x_count say",
                        params->count[1], params->count[0]);
    mem_free(points);
    return NULL;
}

static void load(struct bed_mesh *bm, struct config_section *section)
{
    section_bind(section, options, sizeof options / sizeof options[0]);
    if (section_int(section, "version") != PROFILE_VERSION) {
        section_accept_all(section);
        config_warn(section_config(section), "runtime_warning", section_name(section), NULL, NULL,
                    "This bed mesh profile is of another version and is not used: calibrate again");
        return;
    }
    struct mesh_params params = {0};
    struct err_info info;
    read_params(section, &params);
    double *points = read_points(section, &params);
    if (points && put(bm, section_name(section) + strlen(PREFIX), &params, points, &info))
        config_error_section(section, "%s", info.text);
    mem_free(points);
}

void bed_mesh_load_profiles(struct bed_mesh *bm)
{
    struct config *config = bm->obj.printer->config;
    for (size_t i = 0; i < config_section_count(config); i++) {
        struct config_section *section = config_section_at(config, i);
        if (strncmp(section_name(section), PREFIX, strlen(PREFIX)) == 0)
            load(bm, section);
    }
}

/* --- writing --- */

void bed_mesh_rows_json(struct strbuf *out, const double *values, unsigned width, unsigned height)
{
    strbuf_addc(out, '[');
    for (unsigned y = 0; y < height; y++) {
        strbuf_adds(out, y ? ", [" : "[");
        for (unsigned x = 0; x < width; x++) {
            strbuf_adds(out, x ? ", " : "");
            strbuf_add_json_double(out, values[(size_t)y * width + x]);
        }
        strbuf_addc(out, ']');
    }
    strbuf_addc(out, ']');
}

void bed_mesh_profiles_json(const struct bed_mesh *bm, struct strbuf *out)
{
    strbuf_addc(out, '{');
    for (size_t i = 0; i < bm->profile_count; i++) {
        const struct bed_mesh_profile *p = &bm->profiles[i];
        strbuf_adds(out, i ? ", " : "");
        strbuf_add_json_string(out, p->name, strlen(p->name));
        strbuf_adds(out, ": {\"points\": ");
        bed_mesh_rows_json(out, p->points_mm, p->params.count[0], p->params.count[1]);
        strbuf_addf(out,
                    ", \"mesh_params\": {\"min_x\": %.17g, \"max_x\": %.17g, \"min_y\": %.17g, \"max_y\": %.17g, "
                    "\"x_count\": %u, \"y_count\": %u, \"mesh_x_pps\": %u, \"mesh_y_pps\": %u, \"algo\": \"%s\", "
                    "\"tension\": %.17g}}",
                    p->params.min_mm[0], p->params.max_mm[0], p->params.min_mm[1], p->params.max_mm[1],
                    p->params.count[0], p->params.count[1], p->params.pps[0], p->params.pps[1],
                    mesh_algorithm_name(p->params.algorithm), p->params.tension);
    }
    strbuf_addc(out, '}');
}

static enum err set_whole(struct config *config, const char *section, const char *option, unsigned value,
                          struct err_info *info)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%u", value);
    return config_set_autosave(config, section, option, text, info);
}

static enum err set_real(struct config *config, const char *section, const char *option, double value,
                         struct err_info *info)
{
    struct strbuf text;
    strbuf_init(&text);
    strbuf_add_json_double(&text, value); /* "10.0" */
    enum err e = config_set_autosave(config, section, option, text.data, info);
    strbuf_deinit(&text);
    return e;
}

static enum err set_points(struct config *config, const char *section, const struct bed_mesh_profile *profile,
                           struct err_info *info)
{
    const unsigned *count = profile->params.count;
    struct strbuf text;
    strbuf_init(&text);
    for (unsigned y = 0; y < count[1]; y++)
        for (unsigned x = 0; x < count[0]; x++)
            strbuf_addf(&text, "%s%.6f", x ? ", " : "\n", profile->points_mm[(size_t)y * count[0] + x]);
    enum err e = config_set_autosave(config, section, "points", text.data, info);
    strbuf_deinit(&text);
    return e;
}

/* What SAVE_CONFIG will write, in the order and form of Klipper's host. */
static enum err keep(struct config *config, const struct bed_mesh_profile *profile, struct err_info *info)
{
    const struct mesh_params *p = &profile->params;
    char *section = mem_sprintf(PREFIX "%s", profile->name);
    enum err e = set_whole(config, section, "version", PROFILE_VERSION, info);
    e = e ? e : set_points(config, section, profile, info);
    e = e ? e : set_whole(config, section, "x_count", p->count[0], info);
    e = e ? e : set_whole(config, section, "y_count", p->count[1], info);
    e = e ? e : set_whole(config, section, "mesh_x_pps", p->pps[0], info);
    e = e ? e : set_whole(config, section, "mesh_y_pps", p->pps[1], info);
    e = e ? e : config_set_autosave(config, section, "algo", mesh_algorithm_name(p->algorithm), info);
    e = e ? e : set_real(config, section, "tension", p->tension, info);
    e = e ? e : set_real(config, section, "min_x", p->min_mm[0], info);
    e = e ? e : set_real(config, section, "max_x", p->max_mm[0], info);
    e = e ? e : set_real(config, section, "min_y", p->min_mm[1], info);
    e = e ? e : set_real(config, section, "max_y", p->max_mm[1], info);
    mem_free(section);
    return e;
}

enum err bed_mesh_save_profile(struct bed_mesh *bm, const struct mesh *mesh, const char *name, struct err_info *info)
{
    enum err e = put(bm, name, &mesh->params, mesh->measured_mm, info);
    if (!e)
        e = keep(bm->obj.printer->config, find(bm, name), info);
    printer_status_touch(&bm->obj);
    return e;
}

/* --- BED_MESH_PROFILE --- */

static enum err cmd_load(struct bed_mesh *bm, const char *name, struct err_info *info)
{
    const struct bed_mesh_profile *profile = find(bm, name);
    if (!profile)
        return err_set(info, ERR_NOT_FOUND, "bed_mesh: Unknown profile [%s]", name);
    struct mesh *mesh;
    enum err e = bed_mesh_make(bm, &profile->params, profile->points_mm, &mesh, info);
    return e ? e : bed_mesh_use(bm, mesh, name, info);
}

static enum err cmd_save(struct bed_mesh *bm, struct gcode *g, const char *name, struct err_info *info)
{
    if (!bm->mesh) {
        gcode_respond_info(g, "Unable to save to profile [%s], the bed has not been probed", name);
        return OK;
    }
    enum err e = bed_mesh_save_profile(bm, bm->mesh, name, info);
    if (e)
        return e;
    mem_free(bm->profile_name);
    bm->profile_name = mem_strdup(name);
    gcode_respond_info(
        g,
        "Bed Mesh state has been saved to profile [%s]\nfor the current session.  The SAVE_CONFIG command "
        "will\nupdate the printer config file and restart the printer.",
        name);
    return OK;
}

static void cmd_remove(struct bed_mesh *bm, struct gcode *g, const char *name)
{
    struct bed_mesh_profile *profile = find(bm, name);
    if (!profile) {
        gcode_respond_info(g, "No profile named [%s] to remove", name);
        return;
    }
    forget(bm, profile);
    char *section = mem_sprintf(PREFIX "%s", name);
    config_remove_autosave(bm->obj.printer->config, section);
    mem_free(section);
    gcode_respond_info(g,
                       "Profile [%s] removed from storage for this session.\nThe SAVE_CONFIG command will update the "
                       "printer\nconfiguration and restart the printer",
                       name);
}

enum err bed_mesh_cmd_profile(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    static const char *const verbs[] = {"LOAD", "SAVE", "REMOVE"};
    for (int i = 0; i < 3; i++) {
        const char *name = gcode_get(cmd, verbs[i]);
        if (!name)
            continue;
        if (!*name || strpbrk(name, "[]\n#;"))
            return err_set(info, ERR_INVALID, "Value for parameter '%s' must be specified", verbs[i]);
        if (i == 0)
            return cmd_load(ctx, name, info);
        if (i == 2) {
            cmd_remove(ctx, gcode_of(cmd), name);
            return OK;
        }
        if (strcmp(name, "default") != 0)
            return cmd_save(ctx, gcode_of(cmd), name, info);
        gcode_respond_info(gcode_of(cmd), "Profile 'default' is reserved, please choose another profile name.");
        return OK;
    }
    gcode_respond_info(gcode_of(cmd), "Invalid syntax '%s'", gcode_line(cmd));
    return OK;
}

const struct command_param bed_mesh_profile_params[] = {
    {"LOAD", "str", NULL, NULL}, {"SAVE", "str", NULL, "not \"default\""}, {"REMOVE", "str", NULL, NULL}, {0}};

const struct object_desc bed_mesh_profile_desc = {
    .section = "bed_mesh",
    .flags = OBJECT_NAMED | OBJECT_SETTINGS,
    .help = "A mesh that was saved",
    OBJECT_OPTIONS(options),
};
