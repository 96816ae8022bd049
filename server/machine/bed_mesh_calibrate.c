/* BED_MESH_CALIBRATE: where to probe, the round of probing, and the mesh from it. */
#include "server/machine/bed_mesh.h"

#include "base/mem.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/printer.h"
#include "server/machine/probe.h"
#include "server/machine/toolhead.h"

#include <math.h>
#include <string.h>

/* --- where --- */

/* Spacing of the points [mm], cut to 0.01 mm; at least 1 mm. The range then ends at the last point. */
static enum err settle_range(struct bed_mesh_area *area, double spacing_mm[2], struct err_info *info)
{
    struct mesh_params *p = &area->params;
    for (int i = 0; i < 2; i++) {
        spacing_mm[i] = floor((p->max_mm[i] - p->min_mm[i]) / (p->count[i] - 1) * 100.0) / 100.0;
        if (spacing_mm[i] < 1.0)
            return err_set(info, ERR_INVALID, "bed_mesh: min/max points too close together");
        if (area->is_round) { /* stays centred */
            p->max_mm[i] = spacing_mm[i] * (p->count[i] / 2);
            p->min_mm[i] = -p->max_mm[i];
        } else {
            p->max_mm[i] = p->min_mm[i] + spacing_mm[i] * (p->count[i] - 1);
        }
    }
    return OK;
}

enum err bed_mesh_points(struct bed_mesh_area *area, struct bed_mesh_point **points, size_t *count,
                         struct err_info *info)
{
    struct mesh_params *p = &area->params;
    double spacing_mm[2];
    enum err e = mesh_params_check(p, info);
    if (!e)
        e = settle_range(area, spacing_mm, info);
    if (e)
        return e;
    struct bed_mesh_point *list = MEM_ARRAY(struct bed_mesh_point, (size_t)p->count[0] * p->count[1]);
    size_t n = 0;
    for (unsigned y = 0; y < p->count[1]; y++)
        for (unsigned k = 0; k < p->count[0]; k++) {
            unsigned x = y % 2 ? p->count[0] - 1 - k : k; /* zig-zag */
            struct bed_mesh_point point = {p->min_mm[0] + x * spacing_mm[0], p->min_mm[1] + y * spacing_mm[1],
                                           y * p->count[0] + x};
            if (area->is_round && hypot(point.x_mm, point.y_mm) > area->radius_mm)
                continue;
            point.x_mm += area->origin_mm[0];
            point.y_mm += area->origin_mm[1];
            list[n++] = point;
        }
    for (int i = 0; i < 2; i++) {
        p->min_mm[i] += area->origin_mm[i];
        p->max_mm[i] += area->origin_mm[i];
        area->origin_mm[i] = 0.0;
    }
    *points = list;
    *count = n;
    return OK;
}

/* --- the command's area --- */

/* "10, 20" or "3": one or two numbers. */
static enum err read_pair(struct gcode_command *cmd, const char *name, bool one_is_enough, double out[2],
                          struct err_info *info)
{
    const char *text = gcode_get(cmd, name);
    if (!text)
        return OK;
    const char *comma = strchr(text, ',');
    double a, b;
    size_t len = comma ? (size_t)(comma - text) : strlen(text);
    bool good = (comma || one_is_enough) && gcode_parse_double(text, len, &a) == OK;
    if (good && comma)
        good = gcode_parse_double(comma + 1, strlen(comma + 1), &b) == OK;
    if (!good)
        return err_set(info, ERR_INVALID, "Error on '%s': unable to parse %s", gcode_line(cmd), text);
    out[0] = a;
    out[1] = comma ? b : a;
    return OK;
}

static enum err read_counts(struct gcode_command *cmd, const char *name, unsigned least, unsigned out[2],
                            struct err_info *info)
{
    double values[2] = {out[0], out[1]};
    enum err e = read_pair(cmd, name, true, values, info);
    for (int i = 0; i < 2 && !e; i++) {
        if (values[i] < least || values[i] > MESH_POINTS_MAX || values[i] != floor(values[i]))
            return err_set(info, ERR_INVALID, "Error on '%s': %s must be whole numbers from %u to %d", gcode_line(cmd),
                           name, least, MESH_POINTS_MAX);
        out[i] = (unsigned)values[i];
    }
    return e;
}

static enum err read_shape(struct gcode_command *cmd, struct bed_mesh_area *area, struct err_info *info)
{
    struct mesh_params *p = &area->params;
    if (!area->is_round) {
        enum err e = read_pair(cmd, "MESH_MIN", false, p->min_mm, info);
        if (!e)
            e = read_pair(cmd, "MESH_MAX", false, p->max_mm, info);
        return e ? e : read_counts(cmd, "PROBE_COUNT", 3, p->count, info);
    }
    long count = p->count[0];
    enum err e = gcode_opt_double(cmd, "MESH_RADIUS", GCODE_ABOVE(0.0), &area->radius_mm, info);
    if (!e)
        e = read_pair(cmd, "MESH_ORIGIN", false, area->origin_mm, info);
    if (!e)
        e = gcode_opt_int(cmd, "ROUND_PROBE_COUNT", GCODE_RANGE(3, MESH_POINTS_MAX), &count, info);
    if (!e && count % 2 == 0)
        return err_set(info, ERR_INVALID, "bed_mesh: probe_count must be odd for round beds");
    area->radius_mm = floor(area->radius_mm * 10.0) / 10.0;
    p->count[0] = p->count[1] = (unsigned)count;
    for (int i = 0; i < 2; i++) {
        p->min_mm[i] = -area->radius_mm;
        p->max_mm[i] = area->radius_mm;
    }
    return e;
}

static enum err read_area(struct gcode_command *cmd, struct bed_mesh_area *area, struct err_info *info)
{
    struct mesh_params *p = &area->params;
    long adaptive = 0;
    const char *algorithm = gcode_get(cmd, "ALGORITHM"), *method = gcode_get(cmd, "METHOD");
    if (method && strcmp(method, "automatic") != 0)
        return err_set(info, ERR_UNSUPPORTED, "BED_MESH_CALIBRATE: METHOD=%s is not available, only automatic", method);
    enum err e = gcode_opt_int(cmd, "ADAPTIVE", GCODE_ANY, &adaptive, info);
    if (!e && adaptive)
        return err_set(info, ERR_UNSUPPORTED, "BED_MESH_CALIBRATE: ADAPTIVE is not available");
    if (!e)
        e = read_shape(cmd, area, info);
    if (!e)
        e = read_counts(cmd, "MESH_PPS", 0, p->pps, info);
    if (!e)
        e = gcode_opt_double(cmd, "HORIZONTAL_MOVE_Z", GCODE_ANY, &area->horizontal_z_mm, info);
    if (e || !algorithm)
        return e;
    if (strcmp(algorithm, "lagrange") != 0 && strcmp(algorithm, "bicubic") != 0)
        return err_set(info, ERR_INVALID, "bed_mesh: Unknown algorithm <%s>", algorithm);
    p->algorithm = algorithm[0] == 'b' ? MESH_BICUBIC : MESH_LAGRANGE;
    return OK;
}

/* --- the round --- */

struct round {
    struct bed_mesh *bm;
    struct probe *probe;
    struct probe_session session;
    struct bed_mesh_area area;
    double offset_mm[3];
};

static enum err go(const struct round *r, double x, double y, double z, double speed_mm_s, struct err_info *info)
{
    const double to[TOOLHEAD_AXES_MAX] = {x, y, z, NAN, NAN, NAN, NAN, NAN};
    return toolhead_manual_move(printer_toolhead(r->bm->obj.printer), to, speed_mm_s, info);
}

/* The bed's height where the probe is above x, y. */
static enum err probe_at(const struct round *r, double x, double y, double *z_mm, struct err_info *info)
{
    struct probe_result result;
    enum err e = go(r, x - r->offset_mm[0], y - r->offset_mm[1], NAN, r->area.speed_mm_s, info);
    if (!e)
        e = probe_run(r->probe, &r->session, &result, info);
    if (!e)
        e = go(r, NAN, NAN, r->area.horizontal_z_mm, r->session.lift_speed_mm_s, info);
    if (!e)
        *z_mm = result.bed_mm[2];
    return e;
}

/* Rows of a round bed are as long as the circle is wide: the rest takes the row's edge. */
static void fill_rows(double *heights, const struct mesh_params *p)
{
    for (unsigned y = 0; y < p->count[1]; y++) {
        double *row = heights + (size_t)y * p->count[0];
        for (unsigned x = p->count[0] / 2; x-- > 0;)
            if (isnan(row[x]))
                row[x] = row[x + 1];
        for (unsigned x = p->count[0] / 2; ++x < p->count[0];)
            if (isnan(row[x]))
                row[x] = row[x - 1];
    }
}

static bool is_inside(const struct mesh_params *p, const double at[2])
{
    return at[0] >= p->min_mm[0] && at[0] <= p->max_mm[0] && at[1] >= p->min_mm[1] && at[1] <= p->max_mm[1];
}

/* The mesh with its zero where it is asked to be. */
static enum err finish(struct round *r, const double *heights, const char *profile, struct err_info *info)
{
    struct bed_mesh *bm = r->bm;
    struct mesh *mesh = mesh_create(&r->area.params, heights);
    double zero_mm = 0.0;
    enum err e = OK;
    if (bm->has_zero_reference && is_inside(&r->area.params, bm->zero_reference_mm))
        zero_mm = mesh_height_mm(mesh, bm->zero_reference_mm[0], bm->zero_reference_mm[1]);
    else if (bm->has_zero_reference)
        e = probe_at(r, bm->zero_reference_mm[0], bm->zero_reference_mm[1], &zero_mm, info);
    if (!e && bm->has_zero_reference)
        mesh_lower(mesh, zero_mm);
    if (!e)
        e = bed_mesh_save_profile(bm, mesh, profile, info);
    if (!e)
        return bed_mesh_use(bm, mesh, profile, info);
    mesh_destroy(mesh);
    return e;
}

static enum err probe_all(struct round *r, const char *profile, struct err_info *info)
{
    struct bed_mesh_point *points;
    size_t count;
    enum err e = bed_mesh_points(&r->area, &points, &count, info);
    if (e)
        return e;
    size_t cells = (size_t)r->area.params.count[0] * r->area.params.count[1];
    double *heights = MEM_ARRAY(double, cells);
    for (size_t i = 0; i < cells; i++)
        heights[i] = NAN;
    e = go(r, NAN, NAN, r->area.horizontal_z_mm, r->area.speed_mm_s, info);
    if (!e)
        e = probe_begin(r->probe, info);
    for (size_t i = 0; i < count && !e; i++)
        e = probe_at(r, points[i].x_mm, points[i].y_mm, &heights[points[i].cell], info);
    if (!e)
        e = probe_end(r->probe, info);
    if (!e) {
        fill_rows(heights, &r->area.params);
        e = finish(r, heights, profile, info);
    }
    mem_free(heights);
    mem_free(points);
    return e;
}

enum err bed_mesh_cmd_calibrate(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct bed_mesh *bm = ctx;
    struct round r = {.bm = bm, .probe = printer_probe(bm->obj.printer), .area = bm->area};
    const char *profile = gcode_get(cmd, "PROFILE");
    if (!profile)
        profile = "default";
    if (!*profile || strpbrk(profile, "[]\n#;"))
        return err_set(info, ERR_INVALID, "Value for parameter 'PROFILE' must be specified");
    if (!r.probe)
        return err_set(info, ERR_STATE, "BED_MESH_CALIBRATE needs a [probe]");
    probe_offsets(r.probe, r.offset_mm);
    enum err e = probe_session_read(r.probe, cmd, &r.session, info);
    if (!e)
        e = read_area(cmd, &r.area, info);
    if (!e && r.area.horizontal_z_mm < r.offset_mm[2])
        return err_set(info, ERR_INVALID, "horizontal_move_z can't be less than probe's z_offset");
    if (!e)
        e = bed_mesh_use(bm, NULL, "", info);
    if (!e)
        e = probe_all(&r, profile, info);
    if (e)
        return e;
    gcode_respond_info(gcode_of(cmd), "Mesh Bed Leveling Complete");
    gcode_respond_info(
        gcode_of(cmd),
        "Bed Mesh state has been saved to profile [%s]\nfor the current session.  The SAVE_CONFIG command "
        "will\nupdate the printer config file and restart the printer.",
        profile);
    return OK;
}

const struct command_param bed_mesh_calibrate_params[] = {
    {"PROFILE", "str", "default", NULL},
    {"METHOD", "str", "automatic", "automatic"},
    {"HORIZONTAL_MOVE_Z", "float", "horizontal_move_z", NULL},
    {"ADAPTIVE", "int", "0", NULL},
    {"ADAPTIVE_MARGIN", "float", "adaptive_margin", NULL},
    {"SCAN_SPEED", "float", "speed", NULL},
    {"MESH_MIN", "x,y", "mesh_min", NULL},
    {"MESH_MAX", "x,y", "mesh_max", NULL},
    {"PROBE_COUNT", "int[,int]", "probe_count", ">=3"},
    {"MESH_RADIUS", "float", "mesh_radius", ">0"},
    {"MESH_ORIGIN", "x,y", "mesh_origin", NULL},
    {"ROUND_PROBE_COUNT", "int", "round_probe_count", ">=3"},
    {"MESH_PPS", "int[,int]", "mesh_pps", ">=0"},
    {"ALGORITHM", "str", "algorithm", "lagrange|bicubic"},
    {"PROBE_SPEED", "float", "speed", ">0"},
    {"LIFT_SPEED", "float", "lift_speed", ">0"},
    {"SAMPLES", "int", "samples", ">=1"},
    {"SAMPLE_RETRACT_DIST", "float", "sample_retract_dist", ">0"},
    {"SAMPLES_TOLERANCE", "float", "samples_tolerance", ">=0"},
    {"SAMPLES_TOLERANCE_RETRIES", "int", "samples_tolerance_retries", ">=0"},
    {"SAMPLES_RESULT", "str", "samples_result", "median|average"},
    {0}};
