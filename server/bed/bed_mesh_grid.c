#include "server/bed/bed_mesh_grid.h"

#include "base/check.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

#define LAGRANGE_COUNT_MAX 6 /* polynomials of more points swing between them */
#define BICUBIC_COUNT_MIN  4

static double limit(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

static double between(double a, double b, double t)
{
    return a + t * (b - a);
}

/* --- making --- */

const char *mesh_algorithm_name(enum mesh_algorithm algorithm)
{
    static const char *const names[] = {"lagrange", "bicubic", "direct"};
    return names[algorithm];
}

enum err mesh_params_check(struct mesh_params *params, struct err_info *info)
{
    unsigned least = params->count[0] < params->count[1] ? params->count[0] : params->count[1];
    unsigned most = params->count[0] < params->count[1] ? params->count[1] : params->count[0];
    if (least < 3 || most > MESH_POINTS_MAX)
        return err_set(info, ERR_INVALID, "A bed mesh needs 3 to %d points along each axis, not %ux%u", MESH_POINTS_MAX,
                       params->count[0], params->count[1]);
    for (int i = 0; i < 2; i++) {
        if (!(params->max_mm[i] > params->min_mm[i]))
            return err_set(info, ERR_INVALID, "bed_mesh: invalid min/max points: the %c range %g to %g is empty",
                           "xy"[i], params->min_mm[i], params->max_mm[i]);
        if ((params->count[i] - 1) * (size_t)params->pps[i] + params->count[i] > MESH_CELLS_MAX)
            return err_set(info, ERR_LIMIT, "mesh_pps makes more than %d nodes along %c", MESH_CELLS_MAX, "xy"[i]);
    }
    if (params->pps[0] == 0 && params->pps[1] == 0) {
        params->algorithm = MESH_DIRECT;
        return OK;
    }
    if (params->algorithm == MESH_LAGRANGE && most > LAGRANGE_COUNT_MAX)
        return err_set(
            info, ERR_INVALID,
            "bed_mesh: cannot exceed a probe_count of %d when using lagrange interpolation. Configured probe "
            "count: %u, %u",
            LAGRANGE_COUNT_MAX, params->count[0], params->count[1]);
    if (params->algorithm != MESH_BICUBIC || least >= BICUBIC_COUNT_MIN)
        return OK;
    if (most > LAGRANGE_COUNT_MAX)
        return err_set(
            info, ERR_INVALID,
            "bed_mesh: bicubic interpolation needs at least %d points along each axis, and %u are too many for "
            "lagrange",
            BICUBIC_COUNT_MIN, most);
    params->algorithm = MESH_LAGRANGE;
    return OK;
}

/* Weights of the `count` measured points of a line for the node `t` of the way from point `index` to the next. */
typedef void weights_fn(double *weights, unsigned count, unsigned index, double t, double tension);

/* Lagrange's polynomial through all points, which stand at 0, 1, 2, ... */
static void lagrange_weights(double *weights, unsigned count, unsigned index, double t, double tension)
{
    (void)tension;
    double u = index + t;
    for (unsigned i = 0; i < count; i++) {
        weights[i] = 1.0;
        for (unsigned k = 0; k < count; k++)
            if (k != i)
                weights[i] *= (u - k) / ((double)i - k);
    }
}

/* A cardinal spline: Hermite's cubic whose slope at a point is tension times the difference of its neighbours. Beyond
 * the ends the end point is repeated. */
static void spline_weights(double *weights, unsigned count, unsigned index, double t, double tension)
{
    double t2 = t * t, t3 = t2 * t;
    double slope_a = tension * (t3 - 2.0 * t2 + t), slope_b = tension * (t3 - t2);
    unsigned before = index ? index - 1 : 0, after = index + 2 < count ? index + 2 : count - 1;
    memset(weights, 0, count * sizeof *weights);
    weights[index] += 2.0 * t3 - 3.0 * t2 + 1.0;
    weights[index + 1] += 3.0 * t2 - 2.0 * t3;
    weights[index + 1] += slope_a;
    weights[before] -= slope_a;
    weights[after] += slope_b;
    weights[index] -= slope_b;
}

/* One line of `count` heights (`in`, `in_step` apart) to a line with pps nodes between each two. Measured heights stay.
 */
static void refine_line(const struct mesh_params *params, unsigned axis, const double *in, size_t in_step, double *out,
                        size_t out_step)
{
    weights_fn *weigh = params->algorithm == MESH_BICUBIC ? spline_weights : lagrange_weights;
    unsigned count = params->count[axis], parts = params->pps[axis] + 1;
    double weights[MESH_POINTS_MAX];
    for (unsigned i = 0; i < count; i++) {
        out[i * parts * out_step] = in[i * in_step];
        for (unsigned k = 1; k < parts && i + 1 < count; k++) {
            weigh(weights, count, i, (double)k / parts, params->tension);
            double z = 0.0;
            for (unsigned j = 0; j < count; j++)
                z += weights[j] * in[j * in_step];
            out[(i * parts + k) * out_step] = z;
        }
    }
}

/* Along x on the measured rows, then along y on every column. */
static void refine(struct mesh *mesh)
{
    const struct mesh_params *p = &mesh->params;
    size_t width = mesh->nodes[0];
    double *rows = MEM_ARRAY(double, width * p->count[1]);
    for (size_t y = 0; y < p->count[1]; y++)
        refine_line(p, 0, mesh->measured_mm + y * p->count[0], 1, rows + y * width, 1);
    for (size_t x = 0; x < width; x++)
        refine_line(p, 1, rows + x, width, mesh->node_mm + x, width);
    mem_free(rows);
}

struct mesh *mesh_create(const struct mesh_params *params, const double *measured_mm)
{
    struct mesh *mesh = MEM_NEW(struct mesh);
    mesh->params = *params;
    for (int i = 0; i < 2; i++) {
        CHECK(params->count[i] >= 3 && params->count[i] <= MESH_POINTS_MAX);
        mesh->nodes[i] = (params->count[i] - 1) * params->pps[i] + params->count[i];
        mesh->cell_mm[i] = (params->max_mm[i] - params->min_mm[i]) / (mesh->nodes[i] - 1);
    }
    size_t count = (size_t)params->count[0] * params->count[1];
    mesh->measured_mm = MEM_ARRAY(double, count);
    memcpy(mesh->measured_mm, measured_mm, count * sizeof(double));
    mesh->node_mm = MEM_ARRAY(double, (size_t)mesh->nodes[0] * mesh->nodes[1]);
    refine(mesh);
    return mesh;
}

void mesh_destroy(struct mesh *mesh)
{
    if (!mesh)
        return;
    mem_free(mesh->measured_mm);
    mem_free(mesh->node_mm);
    mem_free(mesh);
}

/* --- looking up --- */

/* The cell of `at_mm` on an axis and how far into it, held at the edges. */
static unsigned cell_of(const struct mesh *mesh, int axis, double at_mm, double *t)
{
    double cells = (at_mm - mesh->params.min_mm[axis]) / mesh->cell_mm[axis];
    double index = limit(floor(cells), 0.0, mesh->nodes[axis] - 2.0);
    *t = limit(cells - index, 0.0, 1.0);
    return (unsigned)index;
}

double mesh_height_mm(const struct mesh *mesh, double x_mm, double y_mm)
{
    double tx, ty;
    unsigned x = cell_of(mesh, 0, x_mm, &tx), y = cell_of(mesh, 1, y_mm, &ty);
    const double *low = mesh->node_mm + (size_t)y * mesh->nodes[0] + x, *high = low + mesh->nodes[0];
    return between(between(low[0], low[1], tx), between(high[0], high[1], tx), ty);
}

void mesh_range_mm(const struct mesh *mesh, double *min_mm, double *max_mm)
{
    *min_mm = *max_mm = mesh->node_mm[0];
    for (size_t i = 0; i < (size_t)mesh->nodes[0] * mesh->nodes[1]; i++) {
        *min_mm = fmin(*min_mm, mesh->node_mm[i]);
        *max_mm = fmax(*max_mm, mesh->node_mm[i]);
    }
}

double mesh_average_mm(const struct mesh *mesh)
{
    size_t count = (size_t)mesh->nodes[0] * mesh->nodes[1];
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += mesh->node_mm[i];
    return round(sum / (double)count * 100.0) / 100.0;
}

void mesh_lower(struct mesh *mesh, double z_mm)
{
    for (size_t i = 0; i < (size_t)mesh->params.count[0] * mesh->params.count[1]; i++)
        mesh->measured_mm[i] -= z_mm;
    for (size_t i = 0; i < (size_t)mesh->nodes[0] * mesh->nodes[1]; i++)
        mesh->node_mm[i] -= z_mm;
}

/* --- moves --- */

double mesh_fade(const struct mesh_effect *effect, double z_mm)
{
    if (!effect->mesh)
        return 0.0;
    if (!(effect->fade_end_mm > effect->fade_start_mm))
        return 1.0;
    return limit((effect->fade_end_mm - z_mm - effect->tool_z_mm) / (effect->fade_end_mm - effect->fade_start_mm), 0.0,
                 1.0);
}

double mesh_correction_mm(const struct mesh_effect *effect, double fade, double x_mm, double y_mm)
{
    if (!effect->mesh)
        return 0.0;
    if (fade == 0.0)
        return effect->target_mm;
    double height = mesh_height_mm(effect->mesh, x_mm + effect->shift_mm[0], y_mm + effect->shift_mm[1]);
    return fade * (height - effect->target_mm) + effect->target_mm;
}

/* With d = height - target and F = end - start, inside the range z' = z + target + d (end - z) / F. So
 * end + target - z' = (end - z)(1 - d / F), and the share (end - z) / F is (end + target - z') / (F - d). z' rises with
 * z as long as |d| < F, so holding that share in [0, 1] is right outside the range too. */
double mesh_uncorrected_z_mm(const struct mesh_effect *effect, const double *pos)
{
    if (!effect->mesh)
        return pos[2];
    double d = mesh_correction_mm(effect, 1.0, pos[0], pos[1]) - effect->target_mm, fade = 1.0;
    double span = effect->fade_end_mm - effect->fade_start_mm;
    if (span > 0.0)
        fade = limit((effect->fade_end_mm + effect->target_mm - pos[2] - effect->tool_z_mm) / (span - d), 0.0, 1.0);
    return pos[2] - fade * d - effect->target_mm;
}

void mesh_split_begin(struct mesh_split *split, const struct mesh_effect *effect, const double *from, const double *to,
                      size_t axis_count)
{
    *split = (struct mesh_split){.effect = effect, .axis_count = axis_count, .fade = mesh_fade(effect, to[2])};
    memcpy(split->from, from, axis_count * sizeof *from);
    memcpy(split->to, to, axis_count * sizeof *to);
    split->is_split = split->fade > 0.0 && (from[0] != to[0] || from[1] != to[1]);
    if (!split->is_split)
        return;
    double dx = to[0] - from[0], dy = to[1] - from[1], dz = to[2] - from[2];
    split->length_mm = sqrt(dx * dx + dy * dy + dz * dz);
    split->last_mm = mesh_correction_mm(effect, split->fade, from[0], from[1]);
}

/* Go on by the check distance until the correction differs enough from the last piece's. False: the end is next. */
static bool next_inside(struct mesh_split *split, double *pos)
{
    while (split->is_split && split->at_mm + split->effect->check_distance_mm < split->length_mm) {
        split->at_mm += split->effect->check_distance_mm;
        double t = split->at_mm / split->length_mm;
        double x = between(split->from[0], split->to[0], t), y = between(split->from[1], split->to[1], t);
        double correction = mesh_correction_mm(split->effect, split->fade, x, y);
        if (fabs(correction - split->last_mm) < split->effect->split_mm)
            continue;
        split->last_mm = correction;
        for (size_t i = 0; i < split->axis_count; i++)
            pos[i] = between(split->from[i], split->to[i], t);
        pos[2] += correction;
        return true;
    }
    return false;
}

bool mesh_split_next(struct mesh_split *split, double *pos)
{
    if (split->is_done)
        return false;
    if (next_inside(split, pos))
        return true;
    split->is_done = true;
    memcpy(pos, split->to, split->axis_count * sizeof *pos);
    pos[2] += mesh_correction_mm(split->effect, split->fade, split->to[0], split->to[1]);
    return true;
}
