/* Bed meshes: interpolation keeps what was measured and what it can represent exactly, correction and its inverse undo
 * each other, pieces of a move lie on it. */
#include "base/mem.h"
#include "base/rng.h"
#include "server/bed/bed_mesh_grid.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define ROUNDS 300
#define SEED   20260131u

static void assert_near(double a, double b, double tolerance)
{
    if (!(fabs(a - b) <= tolerance))
        printf("%.12g is not %.12g\n", a, b);
    assert_true(fabs(a - b) <= tolerance);
}

static double uniform(struct rng *rng, double low, double high)
{
    return rng_range(rng, low, high);
}

static unsigned whole(struct rng *rng, unsigned low, unsigned high)
{
    return low + (unsigned)rng_below(rng, high - low + 1);
}

static struct mesh_params random_params(struct rng *rng)
{
    struct mesh_params p = {.tension = uniform(rng, 0.0, 1.0),
                            .algorithm = whole(rng, 0, 1) ? MESH_BICUBIC : MESH_LAGRANGE};
    for (int i = 0; i < 2; i++) {
        p.count[i] = p.algorithm == MESH_BICUBIC ? whole(rng, 4, 12) : whole(rng, 3, 6);
        p.pps[i] = whole(rng, 0, 4);
        p.min_mm[i] = uniform(rng, -100.0, 50.0);
        p.max_mm[i] = p.min_mm[i] + uniform(rng, 20.0, 300.0);
    }
    return p;
}

/* Position of measured column or row `index`. */
static double at(const struct mesh_params *p, int axis, unsigned index)
{
    return p->min_mm[axis] + (p->max_mm[axis] - p->min_mm[axis]) * index / (p->count[axis] - 1);
}

static struct mesh *random_mesh(struct rng *rng, double (*height)(struct rng *rng, double x, double y))
{
    struct mesh_params p = random_params(rng);
    assert_int_equal(mesh_params_check(&p, NULL), 0);
    double *z = MEM_ARRAY(double, (size_t)p.count[0] * p.count[1]);
    for (unsigned y = 0; y < p.count[1]; y++)
        for (unsigned x = 0; x < p.count[0]; x++)
            z[y * p.count[0] + x] = height(rng, at(&p, 0, x), at(&p, 1, y));
    struct mesh *mesh = mesh_create(&p, z);
    mem_free(z);
    return mesh;
}

static double rough(struct rng *rng, double x, double y)
{
    (void)x;
    (void)y;
    return uniform(rng, -0.5, 0.5);
}

static double curved(struct rng *rng, double x, double y)
{
    (void)rng;
    return 0.1 + 1e-3 * x - 2e-3 * y + 1e-5 * x * y + 1e-5 * x * x;
}

static void measured_points_are_kept(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED);
    for (int round = 0; round < ROUNDS; round++) {
        struct mesh *mesh = random_mesh(&rng, rough);
        const struct mesh_params *p = &mesh->params;
        for (unsigned y = 0; y < p->count[1]; y++)
            for (unsigned x = 0; x < p->count[0]; x++)
                assert_near(mesh_height_mm(mesh, at(p, 0, x), at(p, 1, y)), mesh->measured_mm[y * p->count[0] + x],
                            1e-9);
        double low, high;
        mesh_range_mm(mesh, &low, &high);
        double beyond = mesh_height_mm(mesh, p->min_mm[0] - 50.0, p->max_mm[1] + 70.0);
        assert_near(beyond, mesh->measured_mm[(p->count[1] - 1) * p->count[0]], 1e-9);
        for (int i = 0; i < 20; i++) {
            double z = mesh_height_mm(mesh, uniform(&rng, -200, 400), uniform(&rng, -200, 400));
            assert_true(z >= low - 1e-9 && z <= high + 1e-9);
        }
        mesh_destroy(mesh);
    }
}

/* A polynomial of the second degree goes through Lagrange's method unchanged; with tension 1/2 (Catmull-Rom) splines
 * keep it away from the edges, where the end point is repeated. */
static void curves_are_reproduced(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED + 1);
    for (int round = 0; round < ROUNDS; round++) {
        struct mesh *mesh = random_mesh(&rng, curved);
        struct mesh_params p = mesh->params;
        bool is_spline = p.algorithm == MESH_BICUBIC;
        p.tension = 0.5;
        struct mesh *again = mesh_create(&p, mesh->measured_mm);
        unsigned edge[2] = {is_spline ? p.pps[0] + 1 : 0, is_spline ? p.pps[1] + 1 : 0};
        for (unsigned y = edge[1]; p.algorithm != MESH_DIRECT && y < again->nodes[1] - edge[1]; y++)
            for (unsigned x = edge[0]; x < again->nodes[0] - edge[0]; x++) {
                double px = p.min_mm[0] + x * again->cell_mm[0], py = p.min_mm[1] + y * again->cell_mm[1];
                assert_near(again->node_mm[y * again->nodes[0] + x], curved(NULL, px, py), 1e-9);
            }
        mesh_destroy(again);
        mesh_destroy(mesh);
    }
}

static struct mesh_effect random_effect(struct rng *rng, const struct mesh *mesh)
{
    struct mesh_effect effect = {.mesh = mesh, .check_distance_mm = uniform(rng, 3.0, 10.0), .split_mm = 0.025};
    if (whole(rng, 0, 2)) {
        effect.fade_start_mm = uniform(rng, 0.0, 2.0);
        effect.fade_end_mm = effect.fade_start_mm + uniform(rng, 2.0, 10.0);
        effect.target_mm = mesh_average_mm(mesh);
    }
    effect.shift_mm[0] = uniform(rng, -5.0, 5.0);
    effect.tool_z_mm = uniform(rng, -0.5, 0.5);
    return effect;
}

static void the_inverse_undoes(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED + 2);
    for (int round = 0; round < ROUNDS; round++) {
        struct mesh *mesh = random_mesh(&rng, rough);
        struct mesh_effect effect = random_effect(&rng, mesh);
        for (int i = 0; i < 50; i++) {
            double pos[3] = {uniform(&rng, -200, 400), uniform(&rng, -200, 400), uniform(&rng, -1.0, 15.0)}, z = pos[2];
            pos[2] += mesh_correction_mm(&effect, mesh_fade(&effect, z), pos[0], pos[1]);
            assert_near(mesh_uncorrected_z_mm(&effect, pos), z, 1e-9);
        }
        mesh_destroy(mesh);
    }
}

/* Every piece lies on the corrected line, in order, and the last one ends where the move does. */
static void pieces_lie_on_the_line(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED + 3);
    size_t pieces = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct mesh *mesh = random_mesh(&rng, rough);
        struct mesh_effect effect = random_effect(&rng, mesh);
        double from[4], to[4], pos[4] = {0}, last = 0.0;
        for (int i = 0; i < 4; i++) {
            from[i] = uniform(&rng, i == 2 ? 0.0 : -100.0, i == 2 ? 3.0 : 200.0);
            to[i] = i == 2 && whole(&rng, 0, 1) ? from[i] : uniform(&rng, i == 2 ? 0.0 : -100.0, i == 2 ? 3.0 : 200.0);
        }
        double fade = mesh_fade(&effect, to[2]);
        struct mesh_split split;
        mesh_split_begin(&split, &effect, from, to, 4);
        while (mesh_split_next(&split, pos)) {
            double t = (pos[0] - from[0]) / (to[0] - from[0]);
            assert_true(t > last && t <= 1.0);
            assert_near(pos[1], from[1] + t * (to[1] - from[1]), 1e-9);
            assert_near(pos[3], from[3] + t * (to[3] - from[3]), 1e-9);
            double z = from[2] + t * (to[2] - from[2]) + mesh_correction_mm(&effect, fade, pos[0], pos[1]);
            assert_near(pos[2], z, 1e-7);
            last = t;
            pieces++;
        }
        assert_true(pos[0] == to[0] && pos[1] == to[1] && pos[3] == to[3]);
        mesh_destroy(mesh);
    }
    assert_true(pieces > 4 * ROUNDS);
}

static void impossible_meshes_are_refused(void **state)
{
    (void)state;
    const struct mesh_params good = {{0, 0}, {100, 100}, {5, 5}, {2, 2}, MESH_BICUBIC, 0.2};
    struct mesh_params p = good;
    assert_int_equal(mesh_params_check(&p, NULL), OK);
    p.count[0] = 2;
    assert_int_not_equal(mesh_params_check(&p, NULL), OK);
    p = good;
    p.algorithm = MESH_LAGRANGE;
    p.count[1] = 7;
    assert_int_not_equal(mesh_params_check(&p, NULL), OK);
    p.pps[0] = p.pps[1] = 0;
    assert_int_equal(mesh_params_check(&p, NULL), OK);
    assert_int_equal(p.algorithm, MESH_DIRECT);
    p = good;
    p.count[0] = 3;
    assert_int_equal(mesh_params_check(&p, NULL), OK);
    assert_int_equal(p.algorithm, MESH_LAGRANGE);
    p = good;
    p.count[0] = 3;
    p.count[1] = 7;
    assert_int_not_equal(mesh_params_check(&p, NULL), OK);
    p = good;
    p.max_mm[0] = 0;
    assert_int_not_equal(mesh_params_check(&p, NULL), OK);
    p = good;
    p.pps[1] = 4000000000u;
    assert_int_not_equal(mesh_params_check(&p, NULL), OK);
}

int main(void)
{
    printf("seed %u\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measured_points_are_kept),
        cmocka_unit_test(curves_are_reproduced),
        cmocka_unit_test(the_inverse_undoes),
        cmocka_unit_test(pieces_lie_on_the_line),
        cmocka_unit_test(impossible_meshes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
