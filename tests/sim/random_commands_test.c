/* Random lines made of every command there is with sensible, odd and absurd parameters, on a whole simulated printer:
 * nothing crashes, every script ends (or can be cancelled), and the printer shuts down only when told to. SEED and COUNT
 * in the environment choose others. */
#include "base/mem.h"
#include "base/rng.h"
#include "server/gcode/gcode.h"
#include "server/machine/printer.h"
#include "tests/sim/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NAMES_MAX 256

static const char config[] =
    "[mcu]\nserial: /dev/ttyACM0\n"
    "[stepper_x]\nstep_pin: PA0\ndir_pin: PA1\nenable_pin: !PA2\nmicrosteps: 16\nrotation_distance: 40\n"
    "endstop_pin: ^PE0\nposition_endstop: 0\nposition_max: 200\nhoming_speed: 50\n"
    "[stepper_y]\nstep_pin: PB0\ndir_pin: PB1\nenable_pin: !PB2\nmicrosteps: 16\nrotation_distance: 40\n"
    "endstop_pin: ^PE1\nposition_endstop: 200\nposition_max: 200\nhoming_speed: 50\n"
    "[stepper_z]\nstep_pin: PC0\ndir_pin: PC1\nenable_pin: !PC2\nmicrosteps: 16\nrotation_distance: 8\n"
    "endstop_pin: ^PE2\nposition_endstop: 0\nposition_max: 200\nhoming_speed: 10\n"
    "[extruder]\nstep_pin: PD0\ndir_pin: PD1\nenable_pin: !PD2\nmicrosteps: 16\nrotation_distance: 22.7\n"
    "nozzle_diameter: 0.4\nfilament_diameter: 1.75\nheater_pin: PB3\nsensor_type: EPCOS 100K B57560G104F\n"
    "sensor_pin: PC4\ncontrol: pid\npid_Kp: 22\npid_Ki: 1\npid_Kd: 114\nmin_temp: 0\nmax_temp: 300\n"
    "[heater_bed]\nheater_pin: PB4\nsensor_type: EPCOS 100K B57560G104F\nsensor_pin: PC5\ncontrol: watermark\n"
    "min_temp: 0\nmax_temp: 130\n"
    "[extruder_stepper helper]\nextruder: extruder\nstep_pin: PF0\ndir_pin: PF1\nenable_pin: !PF2\nmicrosteps: 16\n"
    "rotation_distance: 22.7\n"
    "[fan]\npin: PB5\n[output_pin light]\npin: PB6\n[fan_generic aux]\npin: PB7\n"
    "[input_shaper]\nshaper_freq_x: 50\n"
    "[gcode_arcs]\n[force_move]\nenable_force_move: True\n[exclude_object]\n[pause_resume]\n[display_status]\n[respond]\n"
    "[gcode_macro NEST]\ngcode:\n  G1 X10 F6000\n  NEST2 A=1\n"
    "[gcode_macro NEST2]\ngcode:\n  G91\n  G1 X1 E1\n  G90\n"
    "[gcode_macro LOOP]\ngcode:\n  LOOP\n"
    "[printer]\nkinematics: corexy\nmax_velocity: 300\nmax_accel: 3000\nmax_z_velocity: 15\n";

struct names {
    char *list[NAMES_MAX];
    size_t count;
};

static void add_name(void *ctx, const char *name, const char *help)
{
    (void)help;
    struct names *names = ctx;
    /* What replaces or stops the printer is for other tests. */
    static const char *const left_out[] = {"RESTART", "FIRMWARE_RESTART", "M112", "SAVE_CONFIG"};
    for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++)
        if (strcmp(name, left_out[i]) == 0)
            return;
    if (names->count < NAMES_MAX)
        names->list[names->count++] = mem_strdup(name);
}

static const char *pick(struct rng *rng, const char *const *list, size_t count)
{
    return list[rng_below(rng, count)];
}

static void random_value(struct rng *rng, char *out, size_t size)
{
    static const char *const odd[] = {"",     "nan",  "inf",    "-inf", "1e400", "99999999999999999999", "-0",     "0",
                                      "x",    "1.5",  "-1",     "1e-9", "\"\"",  "a=b",                  "\"a b\"", "'",
                                      "0x10", "1,2,3", "[[1,2]]", "100000", "0.0001", "light", "aux", "extruder",
                                      "stepper_x", "stepper_z", "helper", "heater_bed", "default", "xyz"};
    if (rng_below(rng, 3) == 0)
        snprintf(out, size, "%s", pick(rng, odd, sizeof odd / sizeof odd[0]));
    else
        snprintf(out, size, "%.*f", (int)rng_below(rng, 4), rng_range(rng, -20.0, 220.0));
}

static void random_line(struct rng *rng, const struct names *names, char *out, size_t size)
{
    static const char *const keys[] = {"STEPPER", "ENABLE", "EXTRUDER", "NAME",   "MOVE",  "VALUE",  "PIN",     "HEATER",
                                       "TARGET",  "ADVANCE", "DISTANCE", "VELOCITY", "ACCEL", "MSG",  "STATE",   "X",
                                       "Y",       "Z",       "S",      "P",      "MOTION_QUEUE", "SENSOR", "MINIMUM",
                                       "FAN",     "SPEED",   "SMOOTH_TIME", "MOVE_SPEED", "SHAPER_FREQ_X", "SHAPER_TYPE",
                                       "CLEAR",   "SET_HOMED", "POLYGON", "CURRENT", "RESET", "TIMEOUT", "FILENAME"};
    static const char letters[] = "XYZEFSPTIJKRGM";
    const char *name = names->list[rng_below(rng, names->count)];
    size_t used = (size_t)snprintf(out, size, "%s", name);
    bool by_letter = gcode_is_traditional(name);
    size_t count = rng_below(rng, 5);
    for (size_t i = 0; i < count && used + 64 < size; i++) {
        char value[40];
        random_value(rng, value, sizeof value);
        if (by_letter)
            used += (size_t)snprintf(out + used, size - used, " %c%s", letters[rng_below(rng, sizeof letters - 1)], value);
        else
            used += (size_t)snprintf(out + used, size - used, " %s=%s", pick(rng, keys, sizeof keys / sizeof keys[0]), value);
    }
}

static struct rig *start(uint64_t seed)
{
    struct rig_options options = {.config_text = config, .seed = seed};
    struct rig *rig = rig_create(&options);
    assert_true(rig_wait_ready(rig));
    return rig;
}

/* End what a script left running: waits are cancelled until the dispatcher is free. */
static void end_running(struct rig *rig, const char *script)
{
    struct gcode *g = rig_printer(rig)->gcode;
    for (int i = 0; i < 200 && gcode_is_busy(g); i++) {
        gcode_cancel_running(g);
        rig_run(rig, 0.1);
    }
    if (gcode_is_busy(g))
        printf("does not end: %s\n", script);
    assert_false(gcode_is_busy(g));
}

static void random_scripts(void **state)
{
    (void)state;
    const char *given = getenv("SEED"), *asked = getenv("COUNT");
    uint64_t seed = given ? strtoull(given, NULL, 0) : 20261121;
    long count = asked ? strtol(asked, NULL, 0) : 600;
    printf("seed %llu, %ld scripts\n", (unsigned long long)seed, count);
    struct rng rng;
    rng_init(&rng, seed);
    struct rig *rig = start(seed);
    struct names names = {0};
    gcode_visit_commands(rig_printer(rig)->gcode, add_name, &names);
    assert_true(names.count > 50);
    long failed = 0, shutdowns = 0;
    for (long i = 0; i < count; i++) {
        char script[2048];
        size_t used = 0, lines = 1 + rng_below(&rng, 4);
        for (size_t k = 0; k < lines; k++) {
            random_line(&rng, &names, script + used, sizeof script - used - 2);
            used += strlen(script + used);
            script[used++] = '\n';
            script[used] = 0;
        }
        if (rng_below(&rng, 10) == 0)
            snprintf(script, sizeof script, "SET_KINEMATIC_POSITION X=100 Y=100 Z=100\nG28\nG1 X50 Y50 Z20 F6000\n");
        rig_clear_console(rig);
        failed += rig_script(rig, script, 20.0) != OK;
        end_running(rig, script);
        if (printer_is_shutdown(rig_printer(rig))) {
            printf("%s", script);
            printf("  -> %s\n", printer_state_message(rig_printer(rig)));
            shutdowns++;
            rig_destroy(rig);
            rig = start(seed + (uint64_t)i);
        }
    }
    printf("%ld scripts failed with an error, %ld ended in a shutdown\n", failed, shutdowns);
    assert_int_equal(shutdowns, 0);
    assert_true(failed > count / 10 && failed < count);
    for (size_t i = 0; i < names.count; i++)
        mem_free(names.list[i]);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_scripts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
