/* The plane through points: exact where there is one, the least where the points leave it open, and no other plane is nearer. */
#include "base/rng.h"
#include "server/bed/bed_plane.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define ROUNDS 500
#define SEED   20261122u
#define POINTS 9

static double sum2(const struct bed_plane *plane, const double (*points)[3], size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += pow(points[i][2] - bed_plane_at(plane, points[i][0], points[i][1]), 2.0);
    return sum;
}

static void a_plane_is_found(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED);
    for (int i = 0; i < ROUNDS; i++) {
        struct bed_plane real = {rng_range(&rng, -2, 2), rng_range(&rng, -0.02, 0.02), rng_range(&rng, -0.02, 0.02)};
        double points[POINTS][3];
        for (size_t k = 0; k < POINTS; k++) {
            points[k][0] = rng_range(&rng, -50, 350);
            points[k][1] = rng_range(&rng, -50, 350);
            points[k][2] = bed_plane_at(&real, points[k][0], points[k][1]);
        }
        size_t count = 3 + (size_t)rng_below(&rng, POINTS - 2);
        struct bed_plane found = bed_plane_fit((const double(*)[3])points, count);
        if (count > 3) { /* three may stand nearly on one line */
            assert_true(fabs(found.slope_x - real.slope_x) < 1e-6 && fabs(found.slope_y - real.slope_y) < 1e-6);
            assert_true(fabs(found.z0_mm - real.z0_mm) < 1e-4);
        }
        assert_true(sum2(&found, (const double(*)[3])points, count) < 1e-12);
    }
}

static void none_is_nearer(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED + 1);
    for (int i = 0; i < ROUNDS; i++) {
        double points[POINTS][3];
        for (size_t k = 0; k < POINTS; k++)
            for (int axis = 0; axis < 3; axis++)
                points[k][axis] = axis < 2 ? rng_range(&rng, 0, 300) : rng_range(&rng, -1, 1);
        struct bed_plane best = bed_plane_fit((const double(*)[3])points, POINTS), other = best;
        double least = sum2(&best, (const double(*)[3])points, POINTS);
        other.z0_mm += rng_range(&rng, -0.1, 0.1);
        other.slope_x += rng_range(&rng, -0.001, 0.001);
        other.slope_y += rng_range(&rng, -0.001, 0.001);
        assert_true(sum2(&other, (const double(*)[3])points, POINTS) >= least);
    }
}

static void what_points_leave_open(void **state)
{
    (void)state;
    const double line[2][3] = {{0, 80, 5.11}, {200, 80, 3.64}};
    struct bed_plane plane = bed_plane_fit(line, 2);
    assert_true(fabs(plane.slope_x + 0.00735) < 1e-12 && fabs(plane.slope_y) < 1e-12);
    assert_true(fabs(bed_plane_at(&plane, 100, -300) - 4.375) < 1e-9);
    const double oblique[3][3] = {{0, 0, 0}, {10, 10, 1}, {20, 20, 2}};
    plane = bed_plane_fit(oblique, 3);
    assert_true(fabs(plane.slope_x - 0.05) < 1e-9 && fabs(plane.slope_y - 0.05) < 1e-9);
    const double one[1][3] = {{7, 8, 9}};
    plane = bed_plane_fit(one, 1);
    assert_true(plane.slope_x == 0.0 && plane.slope_y == 0.0 && plane.z0_mm == 9.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_plane_is_found), cmocka_unit_test(none_is_nearer),
                                       cmocka_unit_test(what_points_leave_open)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
