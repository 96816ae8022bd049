/* Durations and filament against sums kept by hand while a random print goes on. */
#include "server/job/print_times.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-6)

static void one_print(void **unused)
{
    (void)unused;
    struct print_times t = {0};
    struct print_filament e = {100, 1};
    print_times_start(&t, 1000, e); /* 60 s of heating */
    struct print_times_view v = print_times_read(&t, 1060, e);
    NEAR(v.total_s, 60);
    NEAR(v.print_s, 0);
    NEAR(v.filament_mm, 0);
    v = print_times_read(&t, 1060, e);
    print_times_pause(&t, 1060, e);
    print_times_start(&t, 1070, e); /* a pause before anything was extruded */
    e.e_mm = 110;
    v = print_times_read(&t, 1090, e);
    NEAR(v.total_s, 90);
    NEAR(v.filament_mm, 10);
    print_times_pause(&t, 1100, e);
    e.e_mm = 90; /* what a macro moves in a pause does not count */
    v = print_times_read(&t, 1200, e);
    NEAR(v.filament_mm, 10);
    NEAR(v.total_s, 200);
    print_times_start(&t, 1200, e);
    e.e_mm = 100;
    e.factor = 2; /* M221 S200: 10 mm of the motor are 5 mm of the file */
    print_times_finish(&t, 1300, e);
    v = print_times_read(&t, 9999, e);
    NEAR(v.total_s, 300);
    NEAR(v.filament_mm, 15);
    NEAR(v.print_s, 300 - 110 - 60); /* less pauses, less heating */
}

static void random_prints(void **unused)
{
    (void)unused;
    const uint64_t seed = 5;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct rng rng;
    rng_init(&rng, seed);
    for (int round = 0; round < 2000; round++) {
        struct print_times t = {0};
        struct print_filament e = {rng_range(&rng, -50, 50), 1};
        double now = rng_range(&rng, 0, 1e6), start = now, paused = 0, filament = 0;
        bool is_paused = false;
        print_times_start(&t, now, e);
        for (int i = 0; i < 30; i++) {
            double step = rng_range(&rng, 0, 10), extruded = rng_range(&rng, -1, 3);
            now += step;
            e.e_mm += extruded;
            if (is_paused)
                paused += step;
            else
                filament += extruded / e.factor;
            struct print_times_view v = print_times_read(&t, now, e);
            NEAR(v.total_s, now - start);
            NEAR(v.filament_mm, filament);
            assert_true(v.print_s >= 0 && v.print_s <= now - start - paused + 1e-6);
            if (rng_below(&rng, 8) == 0) { /* once more what it is already */
                if (is_paused)
                    print_times_pause(&t, now, e);
                else
                    print_times_start(&t, now, e);
            }
            if (rng_below(&rng, 4) == 0) {
                is_paused = !is_paused;
                if (is_paused)
                    print_times_pause(&t, now, e);
                else
                    print_times_start(&t, now, e);
            }
        }
        print_times_finish(&t, now, e);
        struct print_times_view v = print_times_read(&t, now + 100, e);
        NEAR(v.total_s, now - start);
        NEAR(v.filament_mm, filament);
        print_times_finish(&t, now + 50, e); /* nothing to finish */
        NEAR(print_times_read(&t, now + 100, e).total_s, now - start);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_print), cmocka_unit_test(random_prints)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
