/* The wiring of examples/printer.cfg: CoreXY, 300 x 300 x 250 mm, origin in the centre of the bed. Thermal parameters
 * as in docs/design/simulated-printer.md. */
#include "firmware/port/linux/builtin_plant.h"

#include "base/check.h"

#define XY_MM_PER_STEP (40.0 / 3200)
#define Z_MM_PER_STEP  (8.0 / 3200)
#define E_MM_PER_STEP  (22.6789511 / 3200)
#define START_XY_MM    (-120.0)
#define START_Z_MM     10.0

static struct plant_pin pin(const char *name)
{
    return (struct plant_pin){.name = name};
}

static struct plant_motor motor(const char *name, const char *step, const char *dir, const char *enable, double mm,
                                double start_mm, enum plant_role role)
{
    return (struct plant_motor){.name = name,
                                .step = pin(step),
                                .dir = pin(dir),
                                .enable = {.name = enable, .is_inverted = true},
                                .mm_per_step = mm,
                                .start_mm = start_mm,
                                .role = role};
}

static struct plant_endstop endstop(const char *name, const char *at_pin, unsigned axis, double at_mm)
{
    return (struct plant_endstop){
        .name = name, .pin = pin(at_pin), .of = PLANT_ENDSTOP_AXIS, .index = axis, .at_mm = at_mm};
}

static struct plant_sensor sensor(const char *name, const char *at_pin, const char *type, int heater)
{
    struct plant_sensor s = {.name = name, .pin = pin(at_pin), .wiring = sensor_wiring_default(), .heater = heater};
    CHECK(sensor_curve_builtin(&s.curve, type) == OK);
    return s;
}

void builtin_plant_describe(struct builtin_plant *p, struct plant_desc *desc)
{
    double x = START_XY_MM, y = START_XY_MM;
    p->motors[0] = motor("stepper_x", "PA1", "PA2", "PA3", XY_MM_PER_STEP, x + y, PLANT_ROLE_X);
    p->motors[1] = motor("stepper_y", "PA4", "PA5", "PA6", XY_MM_PER_STEP, x - y, PLANT_ROLE_Y);
    p->motors[2] = motor("stepper_z", "PA7", "PA8", "PA9", Z_MM_PER_STEP, START_Z_MM, PLANT_ROLE_Z);
    p->motors[3] = motor("extruder", "PC0", "PC1", "PC2", E_MM_PER_STEP, 0, PLANT_ROLE_FREE);
    p->endstops[0] = endstop("stepper_x", "PB0", 0, -150);
    p->endstops[1] = endstop("stepper_y", "PB1", 1, -150);
    p->endstops[2] = endstop("stepper_z", "PB2", 2, 0);
    p->heaters[0] = (struct plant_heater){.name = "extruder",
                                          .pin = pin("PB3"),
                                          .power_w = 62,
                                          .capacity_j_k = 20.6,
                                          .loss_w_k = 0.15,
                                          .fan_loss_w_k = 0.0225,
                                          .fan = 0,
                                          .sensor_tau_s = 3,
                                          .delay_s = 0.5};
    p->heaters[1] = (struct plant_heater){.name = "heater_bed",
                                          .pin = pin("PB4"),
                                          .power_w = 300,
                                          .capacity_j_k = 500,
                                          .loss_w_k = 1.9,
                                          .fan = -1,
                                          .sensor_tau_s = 4,
                                          .delay_s = 1};
    p->sensors[0] = sensor("extruder", "PC4", "ATC Semitec 104GT-2", 0);
    p->sensors[1] = sensor("heater_bed", "PC5", "Generic 3950", 1);
    p->fans[0] = (struct plant_fan){.name = "fan", .pin = pin("PB5"), .rpm_max = 6000, .tach_ppr = 2};
    p->fans[1] = (struct plant_fan){.name = "heater_fan hotend", .pin = pin("PB6"), .rpm_max = 6000, .tach_ppr = 2};
    *desc = (struct plant_desc){
        .kinematics = PLANT_COREXY,
        .motors = p->motors,
        .motor_count = ARRAY_COUNT(p->motors),
        .endstops = p->endstops,
        .endstop_count = ARRAY_COUNT(p->endstops),
        .heaters = p->heaters,
        .heater_count = ARRAY_COUNT(p->heaters),
        .sensors = p->sensors,
        .sensor_count = ARRAY_COUNT(p->sensors),
        .fans = p->fans,
        .fan_count = ARRAY_COUNT(p->fans),
    };
}
