/* BED_MESH_CALIBRATE: its parameters, the round of probing, and the mesh from it. */
#include "server/bed/bed_mesh.h"

#include "base/mem.h"
#include "server/bed/print_area.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/printer.h"
#include "server/toolhead/manual_probe.h"
#include "server/toolhead/probe.h"

#include <math.h>
#include <string.h>
#include <strings.h>

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
    const char *algorithm = gcode_get(cmd, "ALGORITHM");
    enum err e = read_shape(cmd, area, info);
    if (!e)
        e = read_counts(cmd, "MESH_PPS", 0, p->pps, info);
    if (!e)
        e = gcode_opt_double(cmd, "ADAPTIVE_MARGIN", GCODE_MIN(0.0), &area->margin_mm, info);
    if (e || !algorithm)
        return e;
    if (strcasecmp(algorithm, "lagrange") != 0 && strcasecmp(algorithm, "bicubic") != 0)
        return err_set(info, ERR_INVALID, "bed_mesh: Unknown algorithm <%s>", algorithm);
    p->algorithm = algorithm[0] == 'b' || algorithm[0] == 'B' ? MESH_BICUBIC : MESH_LAGRANGE;
    return OK;
}

/* ADAPTIVE=1: only where the objects of the print stand. */
static enum err adapt(struct bed_mesh *bm, struct gcode_command *cmd, struct bed_mesh_area *area, bool *is_adapted,
                      struct err_info *info)
{
    long wants = 0;
    enum err e = gcode_opt_int(cmd, "ADAPTIVE", GCODE_ANY, &wants, info);
    *is_adapted = false;
    if (e || !wants)
        return e;
    struct print_area box = {0};
    printer_emit(bm->obj.printer, PRINT_AREA_EVENT, &box);
    *is_adapted = bed_mesh_adapt(area, &box);
    const struct mesh_params *p = &area->params;
    if (*is_adapted)
        gcode_respond_info(gcode_of(cmd), "bed_mesh: adapted to the objects of the print: (%.2f, %.2f) to (%.2f, %.2f), "
                                          "%u x %u points",
                           p->min_mm[0] + area->origin_mm[0], p->min_mm[1] + area->origin_mm[1],
                           p->max_mm[0] + area->origin_mm[0], p->max_mm[1] + area->origin_mm[1], p->count[0],
                           p->count[1]);
    else
        gcode_respond_info(gcode_of(cmd), "bed_mesh: %s, the whole mesh is measured",
                           box.count ? "the objects of the print do not stand on the mesh"
                                     : "no objects of a print are defined (EXCLUDE_OBJECT_DEFINE with a POLYGON)");
    return OK;
}

/* --- the mesh --- */

void bed_mesh_forget_run(struct bed_mesh *bm)
{
    mem_free(bm->run.points);
    mem_free(bm->run.profile);
    bm->run = (struct bed_mesh_run){0};
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

/* Heights of the grid: the mean where several points stand for one cell. *zero_mm: of the zero reference outside, NAN if
 * there is none. Caller frees. */
static double *gather(const struct bed_mesh_run *run, const struct probe_round_result *result, double *zero_mm)
{
    size_t cells = (size_t)run->area.params.count[0] * run->area.params.count[1];
    double *heights = MEM_ARRAY(double, cells);
    unsigned *measured = MEM_ARRAY(unsigned, cells);
    *zero_mm = NAN;
    for (size_t i = 0; i < run->point_count; i++) {
        unsigned cell = run->points[i].cell;
        if (cell == BED_MESH_CELL_ZERO) {
            *zero_mm = result->bed_mm[i][2];
            continue;
        }
        heights[cell] += result->bed_mm[i][2];
        measured[cell]++;
    }
    for (size_t i = 0; i < cells; i++)
        heights[i] = measured[i] ? heights[i] / measured[i] : (double)NAN;
    mem_free(measured);
    fill_rows(heights, &run->area.params);
    return heights;
}

/* A mesh with a hole would send the nozzle anywhere. */
static enum err check_complete(const double *heights, const struct mesh_params *p, struct err_info *info)
{
    for (unsigned i = 0; i < p->count[0] * p->count[1]; i++)
        if (!isfinite(heights[i]))
            return err_set(info, ERR_STATE, "bed_mesh: no height was measured for point %u of row %u",
                           i % p->count[0] + 1, i / p->count[0] + 1);
    return OK;
}

static enum err keep(struct bed_mesh *bm, struct mesh *take_mesh, struct err_info *info)
{
    struct gcode *g = bm->obj.printer->gcode;
    const char *profile = bm->run.profile;
    char *name = profile ? mem_strdup(profile) : mem_sprintf("adaptive-%u", ++bm->adapted_count);
    enum err e = profile ? bed_mesh_save_profile(bm, take_mesh, name, info) : OK;
    if (e)
        mesh_destroy(take_mesh);
    else
        e = bed_mesh_use(bm, take_mesh, name, info);
    if (!e)
        gcode_respond_info(g, "Mesh Bed Leveling Complete");
    if (!e && profile)
        gcode_respond_info(g,
                           "Bed Mesh state has been saved to profile [%s]\nfor the current session.  The SAVE_CONFIG "
                           "command will\nupdate the printer config file and restart the printer.",
                           name);
    mem_free(name);
    return e;
}

enum err bed_mesh_measured(void *ctx, const struct probe_round_result *result, bool *again, struct err_info *info)
{
    struct bed_mesh *bm = ctx;
    const struct bed_mesh_area *area = &bm->run.area;
    double zero_mm;
    double *heights = gather(&bm->run, result, &zero_mm);
    enum err e = check_complete(heights, &area->params, info);
    (void)again;
    struct mesh *mesh = NULL;
    if (!e)
        e = bed_mesh_make(bm, &area->params, heights, &mesh, info);
    if (!e) {
        if (area->has_zero)
            mesh_lower(mesh, isnan(zero_mm) ? mesh_height_mm(mesh, area->zero_mm[0], area->zero_mm[1]) : zero_mm);
        e = keep(bm, mesh, info);
    }
    mem_free(heights);
    bed_mesh_forget_run(bm);
    return e;
}

/* --- the command --- */

static enum err plan(struct bed_mesh *bm, struct gcode_command *cmd, const char *profile, struct err_info *info)
{
    struct bed_mesh_run run = {.area = bm->area};
    bool is_adapted;
    enum err e = read_area(cmd, &run.area, info);
    if (!e)
        e = adapt(bm, cmd, &run.area, &is_adapted, info);
    if (!e)
        e = bed_mesh_points(&run.area, &run.points, &run.point_count, info);
    if (e)
        return e;
    bed_mesh_forget_run(bm);
    run.profile = is_adapted ? NULL : mem_strdup(profile);
    bm->run = run;
    struct probe_place *places = MEM_ARRAY(struct probe_place, run.point_count);
    for (size_t i = 0; i < run.point_count; i++)
        places[i] = (struct probe_place){run.points[i].x_mm, run.points[i].y_mm};
    probe_round_set_places(&bm->round, places, run.point_count);
    mem_free(places);
    return OK;
}

enum err bed_mesh_cmd_calibrate(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct bed_mesh *bm = ctx;
    const char *profile = gcode_get(cmd, "PROFILE");
    if (!profile)
        profile = "default";
    if (!profile[strspn(profile, " \t")] || strpbrk(profile, "[]\n#;"))
        return err_set(info, ERR_INVALID, "Value for parameter 'PROFILE' must be specified");
    enum err e = manual_probe_check_free(bm->obj.printer, info);
    if (e)
        return e; /* perhaps it is this one's own: it goes on */
    e = plan(bm, cmd, profile, info);
    if (!e)
        e = bed_mesh_use(bm, NULL, "", info);
    if (!e)
        e = probe_round_run(&bm->round, cmd, info);
    if (e)
        bed_mesh_forget_run(bm);
    return e;
}

const struct command_param bed_mesh_calibrate_params[] = {
    {"PROFILE", "str", "default", NULL},
    {"METHOD", "str", "automatic", "automatic|manual"},
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
