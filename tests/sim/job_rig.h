/* Helpers of the tests that print on a whole simulated printer: configurations, requests of clients, expectations. */
#ifndef TESTS_SIM_JOB_RIG_H
#define TESTS_SIM_JOB_RIG_H

#include "tests/sim/harness.h"

#include "base/err.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

struct printer;

#define CONFIG_BASE                                                                                                    \
    "[mcu]\nserial: /dev/ttyS0\n"                                                                                      \
    "[printer]\nkinematics: cartesian\nmax_velocity: 200\nmax_accel: 3000\n"                                           \
    "[stepper_x]\nstep_pin: PA1\ndir_pin: PA2\nenable_pin: !PA3\nmicrosteps: 16\nrotation_distance: 40\n"              \
    "endstop_pin: ^PB0\nposition_endstop: 0\nposition_max: 200\nhoming_speed: 50\n"                                    \
    "[stepper_y]\nstep_pin: PA4\ndir_pin: PA5\nenable_pin: !PA6\nmicrosteps: 16\nrotation_distance: 40\n"              \
    "endstop_pin: ^PB1\nposition_endstop: 0\nposition_max: 200\nhoming_speed: 50\n"                                    \
    "[stepper_z]\nstep_pin: PA7\ndir_pin: PA8\nenable_pin: !PA9\nmicrosteps: 16\nrotation_distance: 8\n"               \
    "endstop_pin: ^PB2\nposition_endstop: 0\nposition_max: 200\n"                                                      \
    "[extruder]\nstep_pin: PC0\ndir_pin: PC1\nenable_pin: !PC2\nmicrosteps: 16\nrotation_distance: 33.5\n"             \
    "nozzle_diameter: 0.4\nfilament_diameter: 1.75\nheater_pin: PB3\nsensor_type: EPCOS 100K B57560G104F\n"            \
    "sensor_pin: PC4\ncontrol: pid\npid_Kp: 22\npid_Ki: 1\npid_Kd: 114\nmin_temp: 0\nmax_temp: 300\n"                  \
    "min_extrude_temp: 0\n"                                                                                            \
    "[pause_resume]\n[exclude_object]\n[display_status]\n[respond]\n"
#define HOME       "G28\nG90\nG1 X0 Y0 Z0 F1200\nM400"
#define CONFIG_MMU CONFIG_BASE "[mmu]\n"
#define CONFIG_MACROS                                                                                                  \
    CONFIG_MMU "[gcode_macro PAUSE]\nrename_existing: BASE_PAUSE\ngcode:\n  BASE_PAUSE\n  G91\n  G1 Z5 F600\n  G90\n"  \
               "  G1 X0 Y0 F6000\n"                                                                                    \
               "[gcode_macro RESUME]\nrename_existing: BASE_RESUME\ngcode:\n  BASE_RESUME\n"                           \
               "[gcode_macro CANCEL_PRINT]\nrename_existing: BASE_CANCEL\ngcode:\n  M117 user cancel\n  BASE_CANCEL\n"

struct rig *job_rig_start(const char *config);  /* ready, or the test fails; VERBOSE=1 shows the console */
void script(struct rig *rig, const char *text); /* runs to its end without an error */
void expect_status(struct rig *rig, const char *object, const char *field, const char *json);
void wait_status(struct rig *rig, const char *object, const char *field, const char *json, double timeout_s);
/* printer.mmu says so under both names. */
void expect_job(struct rig *rig, const char *state);

/* A request of a client: in a fiber of its own, as the API runs it. */
typedef enum err request_fn(struct printer *printer, struct err_info *info);
struct request {
    struct rig *rig;
    request_fn *fn; /* NULL: mmu_pause with what follows */
    const char *message;
    bool is_forced;
    bool is_done;
    enum err result;
    struct err_info info;
    double took_s; /* virtual */
};
void request_begin(struct rig *rig, struct request *r);
double request_finish(struct request *r, double timeout_s); /* returns took_s */
double ask(struct rig *rig, request_fn *fn);                /* must succeed */

/* `count` squares of 20 mm at 50 mm/s, 4 mm of filament each (M83), ending at 50 50 0.2. */
void add_squares(struct rig *rig, const char *name, int count);
void position(struct rig *rig, double pos[4]); /* as commanded */
void expect_position(struct rig *rig, double x, double y, double z);

#endif
