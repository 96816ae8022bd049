/* Where a bed mesh is measured: the grid, round faulty regions, cut down to the objects of a print. */
#include "server/bed/bed_mesh.h"

#include "base/fmath.h"
#include "base/mem.h"
#include "server/bed/print_area.h"
#include "server/gcode/gcode.h"
#include "server/machine/printer.h"

#include <math.h>
#include <string.h>

#define SPACING_MIN_MM 1.0
#define SPLINES_LEAST  4 /* points an axis needs beside one of more than LAGRANGE_MOST */
#define LAGRANGE_MOST  6

/* --- the grid --- */

/* Spacing of the points [mm], cut to 0.01 mm; at least 1 mm. The range then ends at the last point. */
static enum err settle_range(struct bed_mesh_area *area, double spacing_mm[2], struct err_info *info)
{
    struct mesh_params *p = &area->params;
    for (int i = 0; i < 2; i++) {
        spacing_mm[i] = floor((p->max_mm[i] - p->min_mm[i]) / (p->count[i] - 1) * 100.0) / 100.0;
        if (spacing_mm[i] < SPACING_MIN_MM)
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

/* --- faulty regions --- */

static bool is_within(const struct bed_mesh_region *region, double x, double y)
{
    return x >= region->min_mm[0] && x <= region->max_mm[0] && y >= region->min_mm[1] && y <= region->max_mm[1];
}

static const struct bed_mesh_region *find_region(const struct bed_mesh_area *area, double x, double y)
{
    for (size_t i = 0; i < area->region_count; i++)
        if (is_within(&area->regions[i], x, y))
            return &area->regions[i];
    return NULL;
}

/* Is a place on the mesh? The area's range is final, and absolute for rectangles; a circle's is round 0, 0. */
static bool is_on_mesh(const struct bed_mesh_area *area, double x, double y)
{
    if (area->is_round)
        return fm_hypot(x - area->origin_mm[0], y - area->origin_mm[1]) <= area->radius_mm;
    const struct mesh_params *p = &area->params;
    return x >= p->min_mm[0] && x <= p->max_mm[0] && y >= p->min_mm[1] && y <= p->max_mm[1];
}

/* A point in a faulty region is measured at the region's edges instead, straight left, right, before and behind of it, in
 * the order of the row's direction: those of them that are on the mesh. Returns their number. */
static size_t surround(const struct bed_mesh_area *area, const struct bed_mesh_region *region,
                       const struct bed_mesh_point *point, bool is_backward, struct bed_mesh_point out[4])
{
    const double *low = region->min_mm, *high = region->max_mm, x = point->x_mm, y = point->y_mm;
    const double edges[4][2] = {{is_backward ? high[0] : low[0], y},
                                {x, low[1]},
                                {x, high[1]},
                                {is_backward ? low[0] : high[0], y}};
    size_t count = 0;
    for (size_t i = 0; i < 4; i++) {
        const struct bed_mesh_region *other = find_region(area, edges[i][0], edges[i][1]);
        if (is_on_mesh(area, edges[i][0], edges[i][1]) && (!other || other == region))
            out[count++] = (struct bed_mesh_point){edges[i][0], edges[i][1], point->cell};
    }
    return count;
}

struct point_list {
    struct bed_mesh_point *points;
    size_t count;
};

static enum err add_point(const struct bed_mesh_area *area, struct point_list *list, struct bed_mesh_point point,
                          bool is_backward, struct err_info *info)
{
    if (area->is_round && fm_hypot(point.x_mm, point.y_mm) > area->radius_mm)
        return OK;
    point.x_mm += area->origin_mm[0];
    point.y_mm += area->origin_mm[1];
    const struct bed_mesh_region *region = find_region(area, point.x_mm, point.y_mm);
    if (!region) {
        list->points[list->count++] = point;
        return OK;
    }
    size_t added = surround(area, region, &point, is_backward, list->points + list->count);
    list->count += added;
    return added ? OK
                 : err_set(info, ERR_INVALID,
                           "bed_mesh: faulty_region_%u leaves no place on the mesh to measure instead of (%.2f, %.2f)",
                           region->number, point.x_mm, point.y_mm);
}

/* One more point if the mesh is to be zero at a place outside of it. */
static enum err add_zero_reference(const struct bed_mesh_area *area, struct point_list *list, struct err_info *info)
{
    const double *zero = area->zero_mm;
    const struct mesh_params *p = &area->params;
    bool is_inside = zero[0] >= p->min_mm[0] && zero[0] <= p->max_mm[0] && zero[1] >= p->min_mm[1] &&
                     zero[1] <= p->max_mm[1];
    if (!area->has_zero || is_inside)
        return OK;
    const struct bed_mesh_region *region = find_region(area, zero[0], zero[1]);
    if (region)
        return err_set(info, ERR_INVALID,
                       "bed_mesh: Cannot probe zero reference position at (%.2f, %.2f) as it is located within "
                       "faulty_region_%u",
                       zero[0], zero[1], region->number);
    list->points[list->count++] = (struct bed_mesh_point){zero[0], zero[1], BED_MESH_CELL_ZERO};
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
    size_t cells = (size_t)p->count[0] * p->count[1];
    struct point_list list = {MEM_ARRAY(struct bed_mesh_point, (area->region_count ? 4 : 1) * cells + 1), 0};
    for (unsigned y = 0; y < p->count[1] && !e; y++)
        for (unsigned k = 0; k < p->count[0] && !e; k++) {
            unsigned x = y % 2 ? p->count[0] - 1 - k : k; /* zig-zag */
            struct bed_mesh_point point = {p->min_mm[0] + x * spacing_mm[0], p->min_mm[1] + y * spacing_mm[1],
                                           y * p->count[0] + x};
            e = add_point(area, &list, point, y % 2, info);
        }
    for (int i = 0; i < 2; i++) {
        p->min_mm[i] += area->origin_mm[i];
        p->max_mm[i] += area->origin_mm[i];
        area->origin_mm[i] = 0.0;
    }
    if (!e)
        e = add_zero_reference(area, &list, info);
    if (e) {
        mem_free(list.points);
        return e;
    }
    *points = list.points;
    *count = list.count;
    return OK;
}

/* --- adaptive --- */

/* As many points as before for each mm, rounded up, but enough for the interpolation. */
static unsigned adapted_count(unsigned count, double ratio)
{
    double wanted = ceil(count * ratio - 1e-9);
    return wanted < 3.0 ? 3u : wanted > count ? count : (unsigned)wanted;
}

static bool adapt_rectangle(struct bed_mesh_area *area, const struct print_area *box)
{
    struct mesh_params *p = &area->params;
    double low[2], high[2];
    unsigned count[2];
    for (int i = 0; i < 2; i++) {
        double whole_mm = p->max_mm[i] - p->min_mm[i];
        low[i] = fmax(p->min_mm[i], box->min_mm[i] - area->margin_mm);
        high[i] = fmin(p->max_mm[i], box->max_mm[i] + area->margin_mm);
        if (!(low[i] < high[i]))
            return false; /* beside the mesh */
        count[i] = adapted_count(p->count[i], (high[i] - low[i]) / whole_mm);
    }
    for (int i = 0; i < 2; i++)
        if (count[1 - i] > LAGRANGE_MOST && count[i] < SPLINES_LEAST)
            count[i] = SPLINES_LEAST;
    for (int i = 0; i < 2; i++) {
        /* a small object: no closer together than points may be */
        double room = SPACING_MIN_MM * (count[i] - 1) + 0.01, lacking = room - (high[i] - low[i]);
        if (lacking > 0.0) {
            low[i] = fmax(p->min_mm[i], fmin(low[i] - lacking / 2.0, p->max_mm[i] - room));
            high[i] = low[i] + room;
        }
        p->min_mm[i] = low[i];
        p->max_mm[i] = high[i];
        p->count[i] = count[i];
    }
    return true;
}

static bool adapt_circle(struct bed_mesh_area *area, const struct print_area *box)
{
    double centre[2], half[2];
    for (int i = 0; i < 2; i++) {
        centre[i] = (box->min_mm[i] + box->max_mm[i]) / 2.0;
        half[i] = (box->max_mm[i] - box->min_mm[i]) / 2.0;
    }
    double radius_mm = ceil((fm_hypot(half[0], half[1]) + area->margin_mm) * 10.0) / 10.0;
    double away_mm = fm_hypot(centre[0] - area->origin_mm[0], centre[1] - area->origin_mm[1]);
    unsigned count = adapted_count(area->params.count[0], radius_mm / area->radius_mm);
    if (count % 2 == 0)
        count++;
    radius_mm = fmax(radius_mm, SPACING_MIN_MM * count);
    if (away_mm + radius_mm > area->radius_mm)
        return false; /* would leave the bed */
    memcpy(area->origin_mm, centre, sizeof centre);
    area->radius_mm = radius_mm;
    for (int i = 0; i < 2; i++) {
        area->params.count[i] = count;
        area->params.min_mm[i] = -radius_mm;
        area->params.max_mm[i] = radius_mm;
    }
    return true;
}

bool bed_mesh_adapt(struct bed_mesh_area *area, const struct print_area *box)
{
    if (box->count == 0)
        return false;
    return area->is_round ? adapt_circle(area, box) : adapt_rectangle(area, box);
}
