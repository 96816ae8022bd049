/* motion_bench [GCODE [CASE_DIR [THREADS]]]: what planning, solving and compressing cost. Never fails. */
#include "rig/rig.h"

#include <stdlib.h>
#include <time.h>

#ifndef TEST_SHARED_DIR
#define TEST_SHARED_DIR "../shared"
#endif

int main(int argc, char **argv)
{
    const char *gcode = argc > 1 ? argv[1] : TEST_SHARED_DIR "/gcode/3DBenchy.gcode";
    const char *dir = argc > 2 ? argv[2] : TEST_SHARED_DIR "/oracle/cube-corexy-mzv-pa";
    const struct rig_options options = {.threads = argc > 3 ? (unsigned)atoi(argv[3]) : 1,
                                        .batch_segments = argc > 4 ? (size_t)atoi(argv[4]) : 0};
    char config[1024];
    snprintf(config, sizeof config, "%s/printer.cfg", dir);
    static struct rig_result r;
    struct err_info info = {""};
    if (rig_run(config, gcode, 180e6, &options, &r, &info) != OK) {
        fprintf(stderr, "%s\n", info.text);
        return 0;
    }
    uint64_t steps = 0, commands = 0, bytes = 0;
    for (unsigned i = 0; i < r.stepper_count; i++) {
        const struct rig_stepper_result *s = &r.stepper[i];
        printf("%-12s %10llu steps %8llu commands %8llu dir %9llu bytes\n", s->name, (unsigned long long)s->step_count,
               (unsigned long long)s->queue_commands, (unsigned long long)s->dir_commands,
               (unsigned long long)s->bytes);
        steps += s->step_count;
        commands += s->queue_commands + s->dir_commands;
        bytes += s->bytes;
    }
    printf("print time %.3f s, %llu moves, %llu segments, %llu bytes, %llu framed\n", r.end_s,
           (unsigned long long)r.moves, (unsigned long long)r.segments, (unsigned long long)bytes,
           (unsigned long long)r.framed_bytes);
    printf("processor time %.3f s = %.1f ns/step\n", (double)clock() / CLOCKS_PER_SEC,
           (double)clock() / CLOCKS_PER_SEC * 1e9 / (double)steps);
    printf("plan %.3f s (%.0f ns/move), solve+compress %.3f s = %.1f ns/step, %.0f ns/command, %u thread(s)\n",
           r.plan_s, r.plan_s * 1e9 / (double)r.moves, r.step_s, r.step_s * 1e9 / (double)steps,
           r.step_s * 1e9 / (double)commands, options.threads);
    rig_result_deinit(&r);
    return 0;
}
