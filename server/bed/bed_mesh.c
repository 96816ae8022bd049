/* [bed_mesh]: moves follow the measured surface of the bed. The object, its place in the chain of moves, its status. */
#include "server/bed/bed_mesh.h"

#include "base/mem.h"
#include "base/strbuf.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/toolhead/toolhead.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct bed_mesh *bed_mesh_of(void *obj)
{
    return obj;
}

/* --- the moves --- */

static enum err move(void *ctx, const double *pos, double speed_mm_s, struct err_info *info)
{
    struct bed_mesh *bm = ctx;
    struct gcode_transform *next = bm->transform.next;
    if (!bm->mesh)
        return next->move(next->ctx, pos, speed_mm_s, info);
    struct mesh_split split;
    double piece[GCODE_AXIS_COUNT_MAX] = {0.0};
    enum err e = OK;
    mesh_split_begin(&split, &bm->effect, bm->last_pos, pos,
                     gcode_move_axis_count(printer_gcode_move(bm->obj.printer)));
    while (!e && mesh_split_next(&split, piece))
        e = next->move(next->ctx, piece, speed_mm_s, info);
    if (!e)
        memcpy(bm->last_pos, split.to, sizeof bm->last_pos);
    return e;
}

static void get_position(void *ctx, double *pos)
{
    struct bed_mesh *bm = ctx;
    bm->transform.next->get_position(bm->transform.next->ctx, pos);
    if (!bm->mesh)
        return;
    pos[2] = mesh_uncorrected_z_mm(&bm->effect, pos);
    memcpy(bm->last_pos, pos, gcode_move_axis_count(printer_gcode_move(bm->obj.printer)) * sizeof *pos);
}

static bool does_fade(const struct bed_mesh *bm)
{
    return bm->effect.fade_end_mm > bm->effect.fade_start_mm;
}

/* What remains above the fade range, and whether the mesh fits into that range. */
static enum err settle_target(const struct bed_mesh *bm, const struct mesh *mesh, double *target_mm,
                              struct err_info *info)
{
    double low, high, span = bm->effect.fade_end_mm - bm->effect.fade_start_mm;
    *target_mm = 0.0;
    if (!does_fade(bm))
        return OK;
    mesh_range_mm(mesh, &low, &high);
    *target_mm = bm->has_fade_target ? bm->fade_target_mm : mesh_average_mm(mesh);
    if (bm->has_fade_target && *target_mm != 0.0 && (*target_mm < low || *target_mm > high))
        return err_set(
            info, ERR_INVALID,
            "bed_mesh: ERROR, fade_target lies outside of mesh z range\nmin: %.4f, max: %.4f, fade_target: %.4f", low,
            high, *target_mm);
    low = fmin(low, *target_mm);
    high = fmax(high, *target_mm);
    if (span <= fmax(fabs(low), fabs(high)))
        return err_set(info, ERR_INVALID,
                       "bed_mesh: Mesh extends outside of the fade range, please see the fade_start and fade_end options."
                       " fade distance: %.2f mesh min: %.4f mesh max: %.4f",
                       span, low, high);
    return OK;
}

enum err bed_mesh_use(struct bed_mesh *bm, struct mesh *take_mesh, const char *profile, struct err_info *info)
{
    double target_mm = 0.0;
    struct bed_mesh_texts texts = {0};
    char *name = mem_strdup(profile); /* it may be the caller's, who waits here as well */
    enum err e = take_mesh ? settle_target(bm, take_mesh, &target_mm, info) : OK;
    if (!e && take_mesh)
        e = bed_mesh_write_down(bm, &take_mesh, &texts, info);
    if (e) {
        bed_mesh_free_texts(&texts);
        mem_free(name);
        mesh_destroy(take_mesh);
        return e;
    }
    bed_mesh_free_texts(&bm->texts);
    bm->texts = texts;
    mesh_destroy(bm->mesh);
    mem_free(bm->profile_name);
    bm->mesh = take_mesh;
    bm->profile_name = name;
    bm->effect.mesh = take_mesh;
    bm->effect.target_mm = target_mm;
    bm->revision++;
    gcode_move_reset_position(printer_gcode_move(bm->obj.printer));
    printer_status_touch(&bm->obj);
    return OK;
}

/* --- commands --- */

static enum err cmd_clear(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)cmd;
    return bed_mesh_use(ctx, NULL, "", info);
}

static enum err cmd_offset(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct bed_mesh *bm = ctx;
    if (!bm->mesh) {
        gcode_respond_info(gcode_of(cmd), "No mesh loaded to offset");
        return OK;
    }
    struct mesh_effect effect = bm->effect;
    enum err e = gcode_opt_double(cmd, "X", GCODE_ANY, &effect.shift_mm[0], info);
    if (!e)
        e = gcode_opt_double(cmd, "Y", GCODE_ANY, &effect.shift_mm[1], info);
    if (!e)
        e = gcode_opt_double(cmd, "ZFADE", GCODE_ANY, &effect.tool_z_mm, info);
    if (e)
        return e;
    bm->effect = effect;
    gcode_move_reset_position(printer_gcode_move(bm->obj.printer));
    return OK;
}

static void add_rows(struct strbuf *text, const double *values, unsigned width, unsigned height)
{
    for (unsigned y = 0; y < height; y++) {
        strbuf_addc(text, '\n');
        for (unsigned x = 0; x < width; x++)
            strbuf_addf(text, "%s%f", x ? " " : "", values[(size_t)y * width + x]);
    }
}

/* The points that BED_MESH_CALIBRATE would probe: where the nozzle is then, and where the probe. */
static enum err show_points(struct bed_mesh *bm, struct gcode *g, struct err_info *info)
{
    struct bed_mesh_area area = bm->area;
    struct bed_mesh_point *points;
    size_t count;
    enum err e = bed_mesh_points(&area, &points, &count, info);
    if (e)
        return e;
    const struct probe *probe = printer_probe(bm->obj.printer);
    double offset_mm[3] = {0.0, 0.0, 0.0};
    if (probe)
        probe_offsets(probe, offset_mm);
    struct strbuf text;
    strbuf_init(&text);
    strbuf_adds(&text, "bed_mesh: generated points\nIndex | Tool Adjusted   | Probe");
    for (size_t i = 0; i < count; i++) {
        char tool[48];
        snprintf(tool, sizeof tool, "(%.1f, %.1f)", points[i].x_mm - offset_mm[0], points[i].y_mm - offset_mm[1]);
        strbuf_addf(&text, "\n%-6zu| %-16s| (%.1f, %.1f)", i, tool, points[i].x_mm, points[i].y_mm);
    }
    gcode_respond_info(g, "%s", text.data);
    strbuf_deinit(&text);
    mem_free(points);
    return OK;
}

static enum err cmd_output(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct bed_mesh *bm = ctx;
    long wants_points = 0;
    enum err e = gcode_opt_int(cmd, "PGP", GCODE_ANY, &wants_points, info);
    if (e)
        return e;
    if (wants_points)
        return show_points(bm, gcode_of(cmd), info);
    if (!bm->mesh) {
        gcode_respond_info(gcode_of(cmd), "Bed has not been probed");
        return OK;
    }
    const struct mesh *mesh = bm->mesh;
    double low, high;
    mesh_range_mm(mesh, &low, &high);
    struct strbuf text;
    strbuf_init(&text);
    strbuf_adds(&text, "Mesh Leveling Probed Z positions:");
    add_rows(&text, mesh->measured_mm, mesh->params.count[0], mesh->params.count[1]);
    strbuf_addf(&text,
                "\nMesh X,Y: %u,%u\nMesh Offsets: X=%.4f, Y=%.4f\nMesh Average: %.2f\nMesh Range: min=%.4f max=%.4f\n"
                "Interpolation Algorithm: %s\nMeasured points:",
                mesh->nodes[0], mesh->nodes[1], bm->effect.shift_mm[0], bm->effect.shift_mm[1], mesh_average_mm(mesh),
                low, high, mesh_algorithm_name(mesh->params.algorithm));
    add_rows(&text, mesh->node_mm, mesh->nodes[0], mesh->nodes[1]);
    gcode_respond_info(gcode_of(cmd), "%s", text.data);
    strbuf_deinit(&text);
    return OK;
}

static enum err cmd_map(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct bed_mesh *bm = ctx;
    (void)info;
    if (!bm->mesh) {
        gcode_respond_info(gcode_of(cmd), "Bed has not been probed");
        return OK;
    }
    const struct mesh_params *p = &bm->mesh->params;
    struct strbuf text;
    strbuf_init(&text);
    strbuf_addf(&text, "mesh_map_output {\"mesh_min\": [%.17g, %.17g], \"mesh_max\": [%.17g, %.17g], \"z_positions\": ",
                p->min_mm[0], p->min_mm[1], p->max_mm[0], p->max_mm[1]);
    bed_mesh_rows_json(&text, bm->mesh->measured_mm, p->count[0], p->count[1]);
    strbuf_addc(&text, '}');
    gcode_respond_raw(gcode_of(cmd), text.data);
    strbuf_deinit(&text);
    return OK;
}

/* --- options --- */

static const struct option_desc options[] = {
    PROBE_ROUND_OPTIONS,
    {.name = "mesh_radius", .type = OPTION_FLOAT, .unit = "mm", .limits = ">0", .help = "Radius of a round bed's mesh"},
    {.name = "mesh_origin",
     .type = OPTION_FLOAT_LIST,
     .unit = "mm",
     .default_text = "0, 0",
     .count = 2,
     .when = "with mesh_radius",
     .help = "Centre of a round bed's mesh"},
    {.name = "mesh_min",
     .type = OPTION_FLOAT_LIST,
     .flags = OPTION_CONDITIONAL,
     .unit = "mm",
     .count = 2,
     .when = "without mesh_radius",
     .help = "Corner of the mesh with the smallest x and y"},
    {.name = "mesh_max",
     .type = OPTION_FLOAT_LIST,
     .flags = OPTION_CONDITIONAL,
     .unit = "mm",
     .count = 2,
     .when = "without mesh_radius",
     .help = "Corner of the mesh with the greatest x and y"},
    {.name = "probe_count",
     .type = OPTION_INT_LIST,
     .default_text = "3",
     .limits = ">=3",
     .help = "Points along each axis; one number for both"},
    {.name = "round_probe_count",
     .type = OPTION_INT,
     .default_text = "5",
     .limits = ">=3",
     .when = "with mesh_radius",
     .help = "Points along the diameter, an odd number"},
    {.name = "fade_start",
     .type = OPTION_FLOAT,
     .unit = "mm",
     .default_text = "1",
     .help = "Height at which the correction begins to fade out"},
    {.name = "fade_end",
     .type = OPTION_FLOAT,
     .unit = "mm",
     .default_text = "0",
     .help = "Height at which it has faded out; not above fade_start: never"},
    {.name = "fade_target",
     .type = OPTION_FLOAT,
     .unit = "mm",
     .help = "What remains above fade_end; none: the mesh's average"},
    {.name = "split_delta_z",
     .type = OPTION_FLOAT,
     .unit = "mm",
     .default_text = "0.025",
     .limits = ">=0.01",
     .help = "Difference of correction that splits a move"},
    {.name = "move_check_distance",
     .type = OPTION_FLOAT,
     .unit = "mm",
     .default_text = "5",
     .limits = ">=3",
     .help = "Distance along a move between looks at the mesh"},
    {.name = "mesh_pps",
     .type = OPTION_INT_LIST,
     .default_text = "2, 2",
     .limits = ">=0",
     .help = "Interpolated points between two probed ones, along each axis; one number for both"},
    {.name = "algorithm",
     .type = OPTION_CHOICE,
     .default_text = "lagrange",
     .choices = "lagrange|bicubic",
     .help = "How the mesh is interpolated"},
    {.name = "bicubic_tension",
     .type = OPTION_FLOAT,
     .default_text = "0.2",
     .limits = ">=0 <=2",
     .help = "How steep splines are at probed points"},
    {.name = "zero_reference_position",
     .type = OPTION_FLOAT_LIST,
     .unit = "mm",
     .count = 2,
     .help = "Where the mesh is to be zero"},
    {.name = "adaptive_margin",
     .type = OPTION_FLOAT,
     .unit = "mm",
     .default_text = "0",
     .help = "Space round the objects of a print that an adaptive mesh covers"},
    {.name = "scan_overshoot",
     .type = OPTION_FLOAT,
     .unit = "mm",
     .default_text = "0",
     .limits = ">=1",
     .help = "Run-out beyond a row when scanning with a non-contact probe"},
    PROBE_ROUND_OLD_POINTS("grid decides"),
    {.name = "faulty_region_<n>_min",
     .type = OPTION_FLOAT_LIST,
     .unit = "mm",
     .count = 2,
     .help = "Corner of a region that can't be probed"},
    {.name = "faulty_region_<n>_max",
     .type = OPTION_FLOAT_LIST,
     .flags = OPTION_CONDITIONAL,
     .unit = "mm",
     .count = 2,
     .help = "Opposite corner of a region that can't be probed"},
};

/* One number for both axes, or one for each. */
static void read_pair(struct config_section *section, const char *option, unsigned out[2])
{
    struct config_numbers list = section_numbers(section, option);
    if (list.count < 1 || list.count > 2) {
        config_error_option(section, option, "Option '%s' in section 'bed_mesh' must be one or two numbers", option);
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        double value = list.items[list.count == 2 ? i : 0];
        out[i] = value > MESH_CELLS_MAX ? MESH_CELLS_MAX : value > 0 ? (unsigned)value : 0;
    }
}

static void read_point(struct config_section *section, const char *option, double out[2])
{
    struct config_numbers list = section_numbers(section, option);
    for (size_t i = 0; i < 2 && list.count == 2; i++)
        out[i] = list.items[i];
}

static void read_round(struct bed_mesh_area *area, struct config_section *section)
{
    int count = section_int(section, "round_probe_count");
    if (count % 2 == 0)
        config_error_option(section, "round_probe_count", "bed_mesh: probe_count must be odd for round beds");
    area->is_round = true;
    area->radius_mm = floor(section_float(section, "mesh_radius") * 10.0) / 10.0;
    read_point(section, "mesh_origin", area->origin_mm);
    area->params.count[0] = area->params.count[1] = (unsigned)count;
    for (int i = 0; i < 2; i++) {
        area->params.min_mm[i] = -area->radius_mm;
        area->params.max_mm[i] = area->radius_mm;
    }
}

static void read_area(struct bed_mesh_area *area, struct config_section *section)
{
    if (section_has(section, "mesh_radius")) {
        read_round(area, section);
    } else {
        section_string_required(section, "mesh_min");
        section_string_required(section, "mesh_max");
        read_point(section, "mesh_min", area->params.min_mm);
        read_point(section, "mesh_max", area->params.max_mm);
        read_pair(section, "probe_count", area->params.count);
    }
    read_pair(section, "mesh_pps", area->params.pps);
    area->params.algorithm = section_choice(section, "algorithm") ? MESH_BICUBIC : MESH_LAGRANGE;
    area->params.tension = section_float(section, "bicubic_tension");
    area->margin_mm = section_float(section, "adaptive_margin");
    if ((area->has_zero = section_has(section, "zero_reference_position")))
        read_point(section, "zero_reference_position", area->zero_mm);
}

static bool do_overlap(const struct bed_mesh_region *a, const struct bed_mesh_region *b)
{
    return a->min_mm[0] <= b->max_mm[0] && b->min_mm[0] <= a->max_mm[0] && a->min_mm[1] <= b->max_mm[1] &&
           b->min_mm[1] <= a->max_mm[1];
}

/* faulty_region_1_min and faulty_region_1_max to 99: any two opposite corners. */
static void read_regions(struct bed_mesh *bm, struct config_section *section)
{
    for (unsigned n = 1; n <= BED_MESH_REGIONS_MAX; n++) {
        char low[32], high[32];
        snprintf(low, sizeof low, "faulty_region_%u_min", n);
        snprintf(high, sizeof high, "faulty_region_%u_max", n);
        if (!section_has(section, low))
            continue;
        section_string_required(section, high);
        struct bed_mesh_region *region = &bm->regions[bm->area.region_count++];
        double a[2] = {0.0, 0.0}, b[2] = {0.0, 0.0};
        read_point(section, low, a);
        read_point(section, high, b);
        region->number = n;
        for (int i = 0; i < 2; i++) {
            region->min_mm[i] = fmin(a[i], b[i]);
            region->max_mm[i] = fmax(a[i], b[i]);
        }
        for (const struct bed_mesh_region *other = bm->regions; other < region; other++)
            if (do_overlap(region, other))
                config_error_option(section, low, "bed_mesh: faulty_region_%u overlaps faulty_region_%u", n,
                                    other->number);
    }
    bm->area.regions = bm->regions;
}

/* What BED_MESH_CALIBRATE would say without parameters is said at once. */
static void check_points(struct bed_mesh *bm, struct config_section *section)
{
    struct bed_mesh_area area = bm->area;
    struct bed_mesh_point *points = NULL;
    size_t count;
    struct err_info info;
    if (section_error_count(section) > 0)
        return;
    if (bed_mesh_points(&area, &points, &count, &info))
        config_error_section(section, "%s", info.text);
    mem_free(points);
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct bed_mesh *bm = bed_mesh_of(obj);
    bm->profile_name = mem_strdup("");
    bm->revision = bm->profiles_revision = 1;
    read_area(&bm->area, section);
    read_regions(bm, section);
    check_points(bm, section);
    probe_round_setup(&bm->round, obj->printer, section, bed_mesh_measured, bm);
    bm->round.is_of_probe = true;
    bm->effect.fade_start_mm = section_float(section, "fade_start");
    bm->effect.fade_end_mm = section_float(section, "fade_end");
    bm->effect.split_mm = section_float(section, "split_delta_z");
    bm->effect.check_distance_mm = section_float(section, "move_check_distance");
    if ((bm->has_fade_target = section_has(section, "fade_target")))
        bm->fade_target_mm = section_float(section, "fade_target");
    probe_round_skip_old_points(section);
    if (section_has(section, "scan_overshoot"))
        section_float(section, "scan_overshoot");
    bed_mesh_load_profiles(bm);
    bm->transform = (struct gcode_transform){.name = "bed_mesh", .ctx = bm, .move = move, .get_position = get_position};
    return gcode_move_add_transform(printer_gcode_move(obj->printer), &bm->transform, false, info);
}

static void destroy(struct printer_object *obj)
{
    struct bed_mesh *bm = bed_mesh_of(obj);
    bed_mesh_forget_run(bm);
    probe_round_deinit(&bm->round);
    bed_mesh_free_profiles(bm);
    bed_mesh_free_texts(&bm->texts);
    mesh_destroy(bm->mesh);
    mem_free(bm->profile_name);
}

/* --- status --- */

static void write_rows(struct status_writer *writer, const char *field, const char *text)
{
    strbuf_adds(status_begin_json(writer, field), text ? text : "[[]]");
    status_end_json(writer);
}

static void write_status(struct printer_object *obj, struct status_writer *writer)
{
    static const double zero[2] = {0.0, 0.0};
    struct bed_mesh *bm = bed_mesh_of(obj);
    const struct mesh *mesh = bm->mesh;
    status_string(writer, "profile_name", bm->profile_name);
    status_floats(writer, "mesh_min", mesh ? mesh->params.min_mm : zero, 2);
    status_floats(writer, "mesh_max", mesh ? mesh->params.max_mm : zero, 2);
    if (status_needs(writer, "probed_matrix", bm->revision))
        write_rows(writer, "probed_matrix", bm->texts.probed);
    if (status_needs(writer, "mesh_matrix", bm->revision))
        write_rows(writer, "mesh_matrix", bm->texts.nodes);
    if (status_needs(writer, "profiles", bm->profiles_revision)) {
        bed_mesh_profiles_json(bm, status_begin_json(writer, "profiles"));
        status_end_json(writer);
    }
}

static const struct command_param offset_params[] = {
    {"X", "float", NULL, NULL}, {"Y", "float", NULL, NULL}, {"ZFADE", "float", NULL, NULL}, {0}};
static const struct command_param output_params[] = {{"PGP", "int", "0", NULL}, {0}};
static const struct command_desc commands[] = {
    {.name = "BED_MESH_CALIBRATE",
     .params = bed_mesh_calibrate_params,
     .help = "Probe the bed and use the mesh",
     .handler = bed_mesh_cmd_calibrate},
    {.name = "BED_MESH_PROFILE",
     .params = bed_mesh_profile_params,
     .help = "Load, save or remove a mesh profile",
     .handler = bed_mesh_cmd_profile},
    {.name = "BED_MESH_CLEAR", .help = "Stop using a mesh", .handler = cmd_clear},
    {.name = "BED_MESH_OFFSET",
     .params = offset_params,
     .help = "Shift the mesh in x and y and its fading in z",
     .handler = cmd_offset},
    {.name = "BED_MESH_OUTPUT",
     .params = output_params,
     .help = "Print the probed and the interpolated mesh",
     .handler = cmd_output},
    {.name = "BED_MESH_MAP", .help = "Print the probed mesh as JSON", .handler = cmd_map},
};
static const struct status_field_desc fields[] = {
    {"profile_name", "str", "profile in use, empty if none"},
    {"mesh_min", "pair", "lower corner of the mesh"},
    {"mesh_max", "pair", "upper corner of the mesh"},
    {"probed_matrix", "list2d", "probed heights, rows of x"},
    {"mesh_matrix", "list2d", "interpolated heights, rows of x"},
    {"profiles", "dict", "stored profiles: points and mesh_params"},
};

const struct object_desc bed_mesh_desc = {
    .section = "bed_mesh",
    .flags = OBJECT_EXACT,
    .help = "Moves follow the measured surface of the bed",
    .size_bytes = sizeof(struct bed_mesh),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    .create = create,
    .destroy = destroy,
    .status = write_status,
};
