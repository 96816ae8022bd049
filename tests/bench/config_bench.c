/* How long it takes to load and check a configuration of 3,000 lines with 200 macros, and to make its status. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "server/config/config.h"
#include "server/machine/printer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 20

/* Macros as people write them: a third of their lines is template language. */
static const char macro[] = "description: number %d\n"
                            "variable_park: [10, 20.5]\n"
                            "variable_name: 'macro %d'\n"
                            "gcode:\n"
                            "    {%% set bed = params.BED|default(60)|float %%}\n"
                            "    {%% set th = printer.toolhead %%}\n"
                            "    {%% if bed > 0 and printer.heater_bed.target < bed %%}\n"
                            "        M190 S{bed}\n"
                            "    {%% endif %%}\n"
                            "    G90 ; absolute\n"
                            "    G1 X{th.axis_maximum.x - park[0]} Y{th.axis_minimum.y + park[1]} F6000\n"
                            "    M117 {name} done\n";

static int write_config(FILE *f)
{
    int lines = 6;
    fputs("[mcu]\nserial: /dev/ttyACM0\n[printer]\nkinematics: none\nmax_velocity: 300\nmax_accel: 3000\n", f);
    for (int i = 0; i < 200; i++, lines += 14) {
        fprintf(f, "[gcode_macro MACRO_%d]\n", i);
        fprintf(f, macro, i, i);
        fputs("\n", f);
    }
    for (int i = 0; i < 50; i++, lines += 4)
        fprintf(f, "[output_pin p%d]\npin: P%d\nvalue: 0\npwm: true\n", i, i);
    return lines;
}

int main(void)
{
    char path[] = "/tmp/lockstep-bench-XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f)
        return 1;
    int lines = write_config(f);
    (void)fclose(f);
    double best_ms = 1e9, worst_ms = 0, json_ms = 1e9;
    size_t bytes = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct host_ns begin = clock_monotonic();
        struct config *config = printer_check_config(path, NULL, 0);
        struct host_ns checked = clock_monotonic();
        char *json = config_settings_json(config);
        bytes = strlen(json);
        mem_free(json);
        struct host_ns end = clock_monotonic();
        double ms = host_ns_diff_s(checked, begin) * 1e3, ms2 = host_ns_diff_s(end, checked) * 1e3;
        best_ms = ms < best_ms ? ms : best_ms;
        worst_ms = ms > worst_ms ? ms : worst_ms;
        json_ms = ms2 < json_ms ? ms2 : json_ms;
        if (config_error_count(config))
            fprintf(stderr, "%s\n", config_error_at(config, 0)->text);
        config_destroy(config);
    }
    (void)unlink(path);
    printf("configuration of %d lines, 200 macros: load and check %.2f ms (worst %.2f), settings as JSON (%zu bytes) %.2f ms\n",
           lines, best_ms, worst_ms, bytes, json_ms);
    return 0;
}
