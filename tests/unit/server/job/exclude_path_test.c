/* Moves of excluded objects: what is made must be a subset of what was to be made, at the same places, with the same
 * filament in it. */
#include "server/job/exclude_path.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-6)

static void nothing_excluded_is_the_identity(void **unused)
{
    (void)unused;
    struct rng rng;
    rng_init(&rng, 1);
    struct exclude_path path = {0};
    double at[EXCLUDE_AXES] = {1, 2, 3, 4}, to[EXCLUDE_AXES];
    exclude_path_place(&path, at, at);
    for (int i = 0; i < 1000; i++) {
        for (int k = 0; k < EXCLUDE_AXES; k++)
            at[k] = rng_range(&rng, -100, 100);
        assert_true(exclude_path_move(&path, false, at, to));
        assert_memory_equal(at, to, sizeof(at));
    }
}

/* A print of random objects as slicers write them: retract, travel (with hop), unretract, lines. */
static void the_rest_of_the_print_is_whole(void **unused)
{
    (void)unused;
    const uint64_t seed = 3;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct rng rng;
    rng_init(&rng, seed);
    for (int round = 0; round < 300; round++) {
        struct exclude_path path = {0};
        double at[EXCLUDE_AXES] = {0, 0, 0.2, rng_range(&rng, 0, 100)}, to[EXCLUDE_AXES], made[EXCLUDE_AXES];
        double e_made_last, filament_file = 0, filament_made = 0;
        exclude_path_place(&path, at, at);
        memcpy(made, at, sizeof(made));
        e_made_last = made[EXCLUDE_E];
        const double retract_mm = 0.8;
        bool is_hopping = rng_below(&rng, 2);
        for (int part = 0; part < 12; part++) {
            bool is_excluded = rng_below(&rng, 2);
            double x = rng_range(&rng, -100, 100), y = rng_range(&rng, -100, 100), z = 0.2 * (1 + part / 4);
            struct {
                double x, y, z, e;
            } moves[10] = {{at[0], at[1], at[2] + (is_hopping ? 0.4 : 0), at[3]},
                           {x, y, z + (is_hopping ? 0.4 : 0), at[3]},
                           {x, y, z, at[3]},
                           {x, y, z, at[3] + (part ? retract_mm : 0)}};
            for (int i = 4; i < 9; i++) {
                moves[i] = moves[i - 1];
                moves[i].x += rng_range(&rng, -5, 5);
                moves[i].y += rng_range(&rng, -5, 5);
                moves[i].e += rng_range(&rng, 0.1, 2);
                filament_file += is_excluded ? 0 : moves[i].e - moves[i - 1].e;
            }
            moves[9] = moves[8];
            moves[9].e -= retract_mm;
            for (int i = 0; i < 10; i++) {
                double target[EXCLUDE_AXES] = {moves[i].x, moves[i].y, moves[i].z, moves[i].e};
                bool is_made = exclude_path_move(&path, is_excluded, target, to);
                assert_int_equal(is_made, !is_excluded);
                if (is_made && i >= 3) { /* lines are where they belong */
                    NEAR(to[0], target[0]);
                    NEAR(to[1], target[1]);
                    NEAR(to[2], target[2]);
                }
                if (is_made && i >= 4 && i < 9)
                    filament_made += to[EXCLUDE_E] - e_made_last;
                if (is_made && i == 3) /* unretracted: neither more nor less than was drawn back */
                    NEAR(to[EXCLUDE_E] - made[EXCLUDE_E], part && to[EXCLUDE_E] != made[EXCLUDE_E] ? retract_mm : 0);
                if (is_made) {
                    memcpy(made, to, sizeof(made));
                    e_made_last = to[EXCLUDE_E];
                }
                memcpy(at, target, sizeof(at));
            }
        }
        NEAR(filament_file, filament_made);
    }
}

/* In an excluded object the file's place moves on while the toolhead stays; the next travel goes straight to its end.
 */
static void the_toolhead_goes_straight_on(void **unused)
{
    (void)unused;
    struct exclude_path path = {0};
    double to[EXCLUDE_AXES];
    double at[EXCLUDE_AXES] = {10, 10, 0.2, 5};
    exclude_path_place(&path, at, at);
    double away[EXCLUDE_AXES] = {50, 60, 0.4, 25};
    assert_false(exclude_path_move(&path, true, away, to));
    double seen[EXCLUDE_AXES], stands[EXCLUDE_AXES] = {10, 10, 0.2, 5};
    exclude_path_place(&path, stands, seen);
    for (int i = 0; i < EXCLUDE_AXES; i++)
        NEAR(seen[i], away[i]);
    double lift[EXCLUDE_AXES] = {50, 60, 0.8, 25}; /* Z alone: up where it stands */
    assert_true(exclude_path_move(&path, false, lift, to));
    NEAR(to[0], 10);
    NEAR(to[1], 10);
    NEAR(to[2], 0.8);
    double travel[EXCLUDE_AXES] = {-20, 0, 0.8, 25};
    assert_true(exclude_path_move(&path, false, travel, to));
    NEAR(to[0], -20);
    NEAR(to[1], 0);
    NEAR(to[2], 0.8);
    NEAR(to[3], 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_excluded_is_the_identity),
        cmocka_unit_test(the_rest_of_the_print_is_whole),
        cmocka_unit_test(the_toolhead_goes_straight_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
