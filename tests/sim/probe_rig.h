/* What the tests of probes share: a printer with a probe over a bed whose shape the test knows. */
#ifndef TESTS_SIM_PROBE_RIG_H
#define TESTS_SIM_PROBE_RIG_H

#include "firmware/plant/plant.h"
#include "tests/sim/job_rig.h"

#include <math.h>

#define PROBE_STEPPER(name, pins, endstop, distance)                                                                   \
    "[" name "]\nstep_pin: P" pins "0\ndir_pin: P" pins "1\nenable_pin: !P" pins "2\nmicrosteps: 16\n"                 \
    "rotation_distance: " distance "\nendstop_pin: " endstop "\n"
#define PROBE_XY                                                                                                       \
    "[mcu]\nserial: /dev/ttyACM0\n" PROBE_STEPPER("stepper_x", "A", "^PE0", "40")                                      \
    "position_endstop: -20\nposition_min: -20\nposition_max: 200\nhoming_speed: 50\n"                                  \
    PROBE_STEPPER("stepper_y", "B", "^PE1", "40")                                                                      \
    "position_endstop: -10\nposition_min: -10\nposition_max: 200\nhoming_speed: 50\n"                                  \
    "[printer]\nmax_velocity: 300\nmax_accel: 3000\nmax_z_velocity: 15\nmax_z_accel: 100\nkinematics: cartesian\n"
#define PROBE_Z_RANGE "position_min: -5\nposition_max: 180\nhoming_speed: 10\nsecond_homing_speed: 3\n"
#define PROBE_Z_SWITCH PROBE_STEPPER("stepper_z", "C", "^PE2", "4") "position_endstop: 0\n" PROBE_Z_RANGE
#define PROBE_Z_PROBE  PROBE_STEPPER("stepper_z", "C", "probe:z_virtual_endstop", "4") PROBE_Z_RANGE
#define PROBE_OFFSET_X 20.0
#define PROBE_OFFSET_Y (-10.0)
#define PROBE_SECTION  "[probe]\npin: PE3\nx_offset: 20\ny_offset: -10\nz_offset: 1.5\nspeed: 5\nsample_retract_dist: 1\n"

/* What a probe can be wrong by: one step (4 mm / 3200) at each end, and what passes between two looks at the switch. */
#define PROBE_ERROR_MM 0.004

/* A bowl that leans, lowest near the middle; within 0.4 mm over the bed. */
static inline double bowl_mm(void *ctx, double x, double y)
{
    (void)ctx;
    return 2e-5 * (x - 90) * (x - 90) + 1e-5 * (y - 80) * (y - 80) + 0.0006 * x - 0.0004 * y;
}

static inline struct rig *bowl_start(const char *config)
{
    struct rig *rig = job_rig_start(config);
    plant_set_bed_shape(rig_plant(rig), bowl_mm, NULL);
    return rig;
}

static inline void refuse(struct rig *rig, const char *line, const char *error)
{
    assert_int_not_equal(rig_script(rig, line, 600), OK);
    if (!strstr(rig_error(rig), error))
        fail_msg("%s: %s", line, rig_error(rig));
}

static inline void expect_close(double value, double wanted, double tolerance)
{
    if (!(fabs(value - wanted) <= tolerance))
        fail_msg("%.5f is not %.5f within %.5f", value, wanted, tolerance);
}

/* Height of the nozzle above the bed. */
static inline double clearance(struct rig *rig)
{
    double z = NAN;
    script(rig, "M400");
    assert_true(plant_clearance_mm(rig_plant(rig), 0, 0, &z));
    return z;
}

/* Numbers of a JSON text in order, whatever stands between them. */
static inline size_t numbers(const char *json, double *out, size_t size)
{
    size_t count = 0;
    while (json && *json && count < size) {
        char *end;
        if (!strchr("-0123456789", *json)) {
            json++;
            continue;
        }
        out[count++] = strtod(json, &end);
        json = end > json ? end : json + 1;
    }
    return count;
}

#endif
