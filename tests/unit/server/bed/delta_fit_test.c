/* The geometry of a delta: positions there and back, and a geometry found again from the heights it gives. */
#include "base/rng.h"
#include "server/bed/delta_fit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define ROUNDS 200
#define SEED   20261121u
#define PLACES 13

static struct delta_geometry usual(void)
{
    return (struct delta_geometry){.radius_mm = 130, .arm_mm = {270, 270, 270}, .angle_deg = {210, 330, 90},
                                   .endstop_mm = {250, 250, 250}};
}

static struct delta_geometry bent(struct rng *rng)
{
    struct delta_geometry g = usual();
    g.radius_mm += rng_range(rng, -2.0, 2.0);
    for (int i = 0; i < 3; i++)
        g.endstop_mm[i] += rng_range(rng, -1.5, 1.5);
    g.angle_deg[0] += rng_range(rng, -0.8, 0.8);
    g.angle_deg[1] += rng_range(rng, -0.8, 0.8);
    return g;
}

static void there_and_back(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, SEED);
    for (int i = 0; i < ROUNDS; i++) {
        struct delta_geometry g = bent(&rng);
        g.arm_mm[1] += rng_range(&rng, -1.0, 1.0);
        double xyz[3] = {rng_range(&rng, -80, 80), rng_range(&rng, -80, 80), rng_range(&rng, 0, 200)}, below[3], again[3];
        assert_true(delta_carriages(&g, xyz, below) && delta_nozzle(&g, below, again));
        for (int k = 0; k < 3; k++)
            assert_true(fabs(again[k] - xyz[k]) < 1e-9);
    }
    struct delta_geometry g = usual();
    double below[3], xyz[3];
    assert_true(delta_carriages(&g, (const double[3]){0, 0, 250}, below)); /* at its endstops */
    for (int k = 0; k < 3; k++)
        assert_true(fabs(below[k]) < 1e-12);
    assert_false(delta_carriages(&g, (const double[3]){400, 0, 0}, below));
    assert_false(delta_nozzle(&g, (const double[3]){0, 900, 0}, xyz));
}

/* Where the nozzle of a machine touches its bed, told in carriage positions. */
static void touch(const struct delta_geometry *real, double below[PLACES][3])
{
    for (int i = 0; i < PLACES; i++) {
        double r = i == 0 ? 0.0 : 70.0 + 2.5 * i, a = 0.55 * i;
        assert_true(delta_carriages(real, (const double[3]){r * cos(a), r * sin(a), 0.0}, below[i]));
    }
}

static void a_bent_machine_is_found(void **state)
{
    (void)state;
    struct rng rng;
    const double heights[PLACES] = {0.0};
    rng_init(&rng, SEED + 1);
    double worst_mm = 0.0;
    for (int i = 0; i < ROUNDS; i++) {
        struct delta_geometry real = bent(&rng), g = usual();
        double below[PLACES][3], rms;
        touch(&real, below);
        assert_int_equal(delta_fit(&g, (const double(*)[3])below, heights, PLACES, &rms, NULL), OK);
        worst_mm = fmax(worst_mm, rms);
        assert_true(fabs(g.radius_mm - real.radius_mm) < 0.01);
        for (int k = 0; k < 3; k++) {
            assert_true(fabs(g.endstop_mm[k] - real.endstop_mm[k]) < 0.01);
            assert_true(fabs(g.angle_deg[k] - real.angle_deg[k]) < 0.01);
        }
    }
    printf("heights left: %.2g mm at most\n", worst_mm);
    assert_true(worst_mm < 1e-6);
}

static void bad_heights(void **state)
{
    (void)state;
    struct delta_geometry g = usual(), before = g;
    struct err_info info;
    double below[PLACES][3], rms;
    const double heights[PLACES] = {0.0};
    touch(&g, below);
    assert_int_equal(delta_fit(&g, (const double(*)[3])below, heights, 5, &rms, &info), ERR_INVALID);
    below[3][1] = 900;
    assert_int_equal(delta_fit(&g, (const double(*)[3])below, heights, PLACES, &rms, &info), ERR_INVALID);
    below[3][1] = (double)NAN;
    assert_int_equal(delta_fit(&g, (const double(*)[3])below, heights, PLACES, &rms, &info), ERR_INVALID);
    assert_true(g.radius_mm == before.radius_mm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(there_and_back), cmocka_unit_test(a_bent_machine_is_found),
                                       cmocka_unit_test(bad_heights)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
