/* Arcs against exact geometry, in all planes and both directions. */
#include "server/gcode/arcs.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const unsigned axes_of[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 2, 0}};

static struct arc quarter(bool is_clockwise)
{
    return (struct arc){.plane = ARC_PLANE_XY, .start = {10, 0, 1}, .target = {0, 10, 1}, .offset = {-10, 0},
                        .is_clockwise = is_clockwise, .resolution_mm = 1.0};
}

static void known_arcs(void **state)
{
    (void)state;
    size_t count;
    double p[3];
    struct arc arc = quarter(false);
    assert_int_equal(arc_segment_count(&arc, &count), OK);
    assert_int_equal(count, 15); /* 15.7 mm */
    arc_point(&arc, count / 3, count, p);
    assert_true(fabs(p[0] - 10 * cos(M_PI / 6)) < 1e-12 && fabs(p[1] - 5.0) < 1e-12 && p[2] == 1.0);
    arc = quarter(true); /* the long way round */
    assert_int_equal(arc_segment_count(&arc, &count), OK);
    assert_int_equal(count, 47);
    /* Same point at both ends: a full circle. */
    for (int cw = 0; cw < 2; cw++) {
        struct arc circle = {.plane = ARC_PLANE_XY, .start = {5, 5, 0}, .target = {5, 5, 0}, .offset = {3, 0},
                             .is_clockwise = cw, .resolution_mm = 0.5};
        assert_int_equal(arc_segment_count(&circle, &count), OK);
        assert_int_equal(count, 37);
        arc_point(&circle, 37, 37, p);
        assert_true(p[0] == 5.0 && p[1] == 5.0);
        arc_point(&circle, 1, 4, p);
        assert_true(fabs(p[0] - 8.0) < 1e-12 && fabs(p[1] - (cw ? 8.0 : 2.0)) < 1e-12);
    }
}

static void extremes(void **state)
{
    (void)state;
    size_t count;
    struct arc arc = quarter(false);
    arc.resolution_mm = 1e9;
    assert_int_equal(arc_segment_count(&arc, &count), OK);
    assert_int_equal(count, 1);
    arc.resolution_mm = 1e-9;
    assert_int_equal(arc_segment_count(&arc, &count), ERR_LIMIT);
    arc = quarter(false);
    arc.offset[0] = 1e300;
    arc.offset[1] = 1e300;
    assert_int_equal(arc_segment_count(&arc, &count), ERR_LIMIT);
}

/* Every point lies on the circle (of the start's radius) at evenly spaced angles in the direction asked for, the helix
 * advances evenly, pieces have the length asked for, the last point is the target. */
static void random_arcs(void **state)
{
    (void)state;
    struct rng rng;
    uint64_t seed = 5;
    printf("seed %llu\n", (unsigned long long)seed);
    rng_init(&rng, seed);
    for (int round = 0; round < 2000; round++) {
        struct arc arc = {.plane = (enum arc_plane)rng_below(&rng, 3), .is_clockwise = rng_below(&rng, 2),
                          .resolution_mm = rng_range(&rng, 0.05, 2.0)};
        const unsigned *axes = axes_of[arc.plane];
        double radius = rng_range(&rng, 0.5, 60.0), from = rng_range(&rng, 0, 2 * M_PI), turn = rng_range(&rng, 0.01, 6.2);
        double centre[2] = {rng_range(&rng, -50, 50), rng_range(&rng, -50, 50)};
        double sign = arc.is_clockwise ? -1.0 : 1.0;
        arc.start[axes[0]] = centre[0] + radius * cos(from);
        arc.start[axes[1]] = centre[1] + radius * sin(from);
        arc.start[axes[2]] = rng_range(&rng, -5, 5);
        arc.target[axes[0]] = centre[0] + radius * cos(from + sign * turn);
        arc.target[axes[1]] = centre[1] + radius * sin(from + sign * turn);
        arc.target[axes[2]] = rng_range(&rng, -5, 5);
        arc.offset[0] = centre[0] - arc.start[axes[0]];
        arc.offset[1] = centre[1] - arc.start[axes[1]];
        size_t count;
        assert_int_equal(arc_segment_count(&arc, &count), OK);
        double length = hypot(turn * radius, arc.target[axes[2]] - arc.start[axes[2]]);
        assert_true(fabs((double)count - fmax(1.0, floor(length / arc.resolution_mm))) <= 1.0);
        for (size_t i = 1; i <= count; i++) {
            double p[3], angle = from + sign * turn * (double)i / (double)count;
            arc_point(&arc, i, count, p);
            assert_true(fabs(p[axes[0]] - centre[0] - radius * cos(angle)) < 1e-9);
            assert_true(fabs(p[axes[1]] - centre[1] - radius * sin(angle)) < 1e-9);
            double share = (double)i / (double)count;
            assert_true(fabs(p[axes[2]] - arc.start[axes[2]] * (1 - share) - arc.target[axes[2]] * share) < 1e-9);
        }
        double last[3];
        arc_point(&arc, count, count, last);
        assert_memory_equal(last, arc.target, sizeof last);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_arcs),
        cmocka_unit_test(extremes),
        cmocka_unit_test(random_arcs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
