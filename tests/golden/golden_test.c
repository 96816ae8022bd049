/* golden_test CASE_DIR: plan the case's G-code and compare every stepper with the recorded stream. */
#include "server/compare/compare.h"
#include "rig/rig.h"

#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s CASE_DIR [THREADS]\n", argv[0]);
        return 2;
    }
    static struct oracle oracle;
    static struct rig_result result;
    struct err_info info = {""};
    if (oracle_load(&oracle, argv[1], &info) != OK) {
        fprintf(stderr, "%s\n", info.text);
        return 1;
    }
    char config[1024];
    snprintf(config, sizeof config, "%s/printer.cfg", argv[1]);
    const struct rig_options options = {
        .threads = argc > 2 ? (unsigned)atoi(argv[2]) : 1, .keep_steps = true, .check_all = true};
    if (rig_run(config, oracle.gcode, oracle.frequency_hz, &options, &result, &info) != OK) {
        fprintf(stderr, "%s\n", info.text);
        return 1;
    }
    const struct step_list *ours[COMPARE_STEPPERS_MAX];
    struct compare_result results[COMPARE_STEPPERS_MAX];
    for (unsigned i = 0; i < oracle.stepper_count; i++) {
        const struct rig_stepper_result *s = rig_stepper(&result, oracle.stepper[i].name);
        if (!s) {
            fprintf(stderr, "no stepper %s\n", oracle.stepper[i].name);
            return 1;
        }
        ours[i] = &s->steps;
    }
    compare_all(&oracle, ours, result.frequency_hz, results);
    const bool passes = compare_print(stdout, &oracle, ours, results, result.framed_bytes);
    printf("end of the last move %.6f s, %llu moves\n", result.end_s, (unsigned long long)result.moves);
    rig_result_deinit(&result);
    oracle_unload(&oracle);
    return passes ? 0 : 1;
}
