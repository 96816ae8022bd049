/* Homing that is cancelled at any moment, and then begun again. */
#include "tests/sim/probe_rig.h"

#include "server/job/job.h"
#include "server/machine/printer.h"

#define STEP_S  0.071
#define LAST_S  9.0

static void test_any_moment(void **state)
{
    (void)state;
    struct rig *rig = bowl_start(PROBE_XY PROBE_Z_SWITCH PROBE_SECTION "[pause_resume]\n");
    for (double t = 0.01; t < LAST_S; t += STEP_S) {
        rig_begin_script(rig, "G28");
        rig_run(rig, t);
        double took_s = ask(rig, job_cancel);
        if (took_s > 0.5)
            fail_msg("cancelled after %.3f s: it took %.3f s", t, took_s);
        enum err e = rig_script(rig, "G28", 120);
        if (e != OK)
            fail_msg("cancelled after %.3f s, then: %s", t, rig_error(rig));
        double xyz[3];
        script(rig, "G1 X30 Y40 Z9 F9000\nM400");
        assert_true(plant_toolhead_mm(rig_plant(rig), xyz));
        expect_close(xyz[0], 30, 0.15);
        expect_close(xyz[1], 40, 0.15);
        expect_close(xyz[2], 9, 0.03);
    }
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_any_moment)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
