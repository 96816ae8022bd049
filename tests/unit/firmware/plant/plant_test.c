/* The simulated machine: kinematics both ways, motors, endstops, heaters under control, faults. */
#include "firmware/plant/plant.h"
#include "tests/sim/bench_host.h"

#include "base/fmath.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <math.h>

#define HZ 64000000u

static struct plant_pin pin(const char *name)
{
    return (struct plant_pin){.name = name};
}

static struct plant *create(struct bench_host *h, struct plant_desc *desc)
{
    struct plant *plant = NULL;
    struct err_info info;
    desc->boards = &h->board;
    desc->board_count = 1;
    if (plant_create(&plant, desc, &info) != OK)
        fail_msg("%s", info.text);
    return plant;
}

/* --- kinematics --- */

/* Motor positions for a toolhead position: the inverse, written down once more. */
static void inverse(const struct plant_desc *d, const double p[3], double m[3])
{
    double x = p[0], y = p[1], z = p[2];
    m[0] = x, m[1] = y, m[2] = z;
    switch (d->kinematics) {
    case PLANT_COREXY:
        m[0] = x + y, m[1] = x - y;
        break;
    case PLANT_COREXZ:
        m[0] = x + z, m[2] = x - z;
        break;
    case PLANT_HYBRID_COREXY:
        m[0] = x - y;
        break;
    case PLANT_HYBRID_COREXZ:
        m[0] = x - z;
        break;
    case PLANT_POLAR:
        m[0] = atan2(y, x), m[1] = hypot(x, y);
        break;
    case PLANT_DELTA:
        for (int i = 0; i < 3; i++) {
            double a = d->delta_angle_deg[i] * FM_PI / 180, r = d->delta_radius_mm;
            double dx = r * cos(a) - x, dy = r * sin(a) - y;
            m[i] = z + sqrt(d->delta_arm_mm[i] * d->delta_arm_mm[i] - dx * dx - dy * dy);
        }
        break;
    case PLANT_WINCH:
        for (int i = 0; i < 3; i++) {
            const double *a = d->winch_anchor_mm[i];
            m[i] = sqrt((a[0] - x) * (a[0] - x) + (a[1] - y) * (a[1] - y) + (a[2] - z) * (a[2] - z));
        }
        break;
    case PLANT_NONE:
    case PLANT_CARTESIAN:
    default:
        break;
    }
}

static void forward_undoes_inverse(void **state)
{
    (void)state;
    uint64_t seed = 5;
    printf("seed=%llu\n", (unsigned long long)seed);
    struct rng rng;
    rng_init(&rng, seed);
    for (enum plant_kinematics k = PLANT_CARTESIAN; k <= PLANT_WINCH; k++) {
        struct bench_host *h = bench_create(NULL);
        struct plant_motor motors[3] = {{.name = "a", .role = PLANT_ROLE_X, .mm_per_step = 1},
                                        {.name = "b", .role = PLANT_ROLE_Y, .mm_per_step = 1},
                                        {.name = "c", .role = PLANT_ROLE_Z, .mm_per_step = 1}};
        struct plant_desc desc = {.kinematics = k,
                                  .motors = motors,
                                  .motor_count = 3,
                                  .delta_radius_mm = 140,
                                  .delta_arm_mm = {300, 301, 299},
                                  .delta_angle_deg = {210, 330, 90},
                                  .winch_anchor_mm = {{0, -200, 300}, {200, 150, 310}, {-200, 150, 290}}};
        struct plant *plant = create(h, &desc);
        double at[3] = {0};
        for (int n = 0; n < 500; n++) {
            double p[3] = {rng_range(&rng, -90, 90), rng_range(&rng, -90, 90), rng_range(&rng, 0, 100)}, m[3], xyz[3];
            inverse(&desc, p, m);
            for (size_t i = 0; i < 3; i++) {
                plant_push_motor(plant, i, m[i] - at[i]);
                at[i] = m[i];
            }
            assert_true(plant_toolhead_mm(plant, xyz));
            for (int i = 0; i < 3; i++)
                assert_true(fabs(xyz[i] - p[i]) < 1e-6);
        }
        plant_destroy(plant);
        bench_destroy(h);
    }
}

/* --- motors and endstops --- */

static void motors_and_endstops(void **state)
{
    (void)state;
    struct bench_host *h = bench_create(NULL);
    struct plant_motor motors[] = {{.name = "stepper_x",
                                    .step = pin("PA0"),
                                    .dir = {.name = "PA1", .is_inverted = true},
                                    .enable = {.name = "PA2", .is_inverted = true},
                                    .mm_per_step = 0.0125,
                                    .start_mm = 10,
                                    .role = PLANT_ROLE_X}};
    struct plant_endstop stops[] = {
        {.name = "stepper_x", .pin = {.name = "PA3", .is_inverted = true}, .of = PLANT_ENDSTOP_AXIS, .at_mm = 5},
        {.name = "probe", .pin = pin("PA4"), .of = PLANT_ENDSTOP_PROBE, .at_mm = 0.5, .probe_x_mm = 2}};
    struct plant_desc desc = {.kinematics = PLANT_CARTESIAN,
                              .motors = motors,
                              .motor_count = 1,
                              .endstops = stops,
                              .endstop_count = 2,
                              .bed_tilt_x = 0.05};
    struct plant *plant = create(h, &desc);
    bench_run(h, 0);
    bench_sendf(h,
                "allocate_oids count=3 | config_stepper oid=0 step_pin=0 dir_pin=1 invert_step=0 step_pulse_ticks=100"
                " | config_endstop oid=1 pin=3 pull_up=1");
    bench_send(h, "config_digital_out oid=2 pin=2 value=1 default_value=1 max_duration=0 | finalize_config crc=1");
    assert_int_equal(plant_find_motor(plant, "stepper_x"), 0);
    assert_int_equal(plant_find_motor(plant, "stepper_y"), SIZE_MAX);
    /* disabled: the shaft does not turn */
    bench_sendf(h, "reset_step_clock oid=0 clock=%u | set_next_step_dir oid=0 dir=1", bench_clock(h));
    bench_send(h, "queue_step oid=0 interval=6400 count=100 add=0");
    bench_run(h, 0.1);
    assert_int_equal(plant_motor_steps(plant, 0), 0);
    bench_send(h, "update_digital_out oid=2 value=0");
    assert_true(plant_motor_is_enabled(plant, 0));
    /* dir=1 on an inverted pin goes backwards */
    bench_sendf(h, "reset_step_clock oid=0 clock=%u", bench_clock(h));
    bench_send(h, "queue_step oid=0 interval=6400 count=399 add=0");
    bench_run(h, 0.1);
    assert_int_equal(plant_motor_steps(plant, 0), -399);
    assert_false(plant_endstop_is_triggered(plant, 0));
    bench_send(h, "endstop_query_state oid=1");
    assert_int_equal(bench_value(bench_find(h, "endstop_state"), "pin_value"), 1);
    bench_send(h, "queue_step oid=0 interval=6400000 count=1 add=0");
    bench_run(h, 0.2);
    assert_true(fabs(plant_motor_mm(plant, 0) - 5) < 1e-9);
    assert_true(plant_endstop_is_triggered(plant, 0));
    bench_send(h, "endstop_query_state oid=1");
    assert_int_equal(bench_value(bench_find(h, "endstop_state"), "pin_value"), 0);
    /* the bed rises with x: 7 mm * 0.05 = 0.35 under the probe, nozzle at 0: depth 0.85 */
    assert_true(plant_endstop_is_triggered(plant, 1));
    plant_push_motor(plant, 0, -100);
    assert_false(plant_endstop_is_triggered(plant, 1));
    plant_fault_endstop(plant, 0, PLANT_ENDSTOP_STUCK_OPEN);
    assert_false(plant_endstop_is_triggered(plant, 0));
    plant_fault_endstop(plant, 0, PLANT_ENDSTOP_STUCK_TRIGGERED);
    assert_true(plant_endstop_is_triggered(plant, 0));
    bench_send(h, "reset");
    assert_false(plant_motor_is_enabled(plant, 0));
    bench_destroy(h);
    plant_destroy(plant);
}

/* The motor on one board, the endstop on another, each with a crystal of its own: the trigger comes at the right step.
 */
static void boards_share_a_machine(void **state)
{
    (void)state;
    struct sim_board_options fast = {.drift_ppm = 30}, slow = {.drift_ppm = -30, .start_clock = 1234567};
    struct bench_host *a = bench_create(&fast), *b = bench_create(&slow);
    runtime_remove(b->rt, sim_board_actor(b->board)); /* both on one runtime */
    runtime_destroy(b->rt);
    b->rt = a->rt;
    runtime_add(a->rt, sim_board_actor(b->board), NULL);
    struct sim_board *boards[2] = {a->board, b->board};
    struct plant_motor motor = {
        .name = "m", .step = pin("PA0"), .dir = pin("PA1"), .mm_per_step = 1, .role = PLANT_ROLE_X};
    struct plant_endstop stop = {
        .name = "e", .pin = {.board = 1, .name = "PA2"}, .of = PLANT_ENDSTOP_AXIS, .at_mm = -1000};
    struct plant_desc desc = {.boards = boards,
                              .board_count = 2,
                              .kinematics = PLANT_CARTESIAN,
                              .motors = &motor,
                              .motor_count = 1,
                              .endstops = &stop,
                              .endstop_count = 1};
    struct plant *plant;
    assert_int_equal(plant_create(&plant, &desc, NULL), OK);
    bench_run(a, 0);
    bench_collect(b);
    bench_send(a, "allocate_oids count=1 | config_stepper oid=0 step_pin=0 dir_pin=1 invert_step=0 step_pulse_ticks=100"
                  " | finalize_config crc=1");
    bench_send(b, "allocate_oids count=2 | config_trsync oid=0 | config_endstop oid=1 pin=2 pull_up=1"
                  " | finalize_config crc=1");
    uint32_t t0 = bench_clock(a) + HZ / 10, step = HZ / 4000; /* 4,000 steps/s */
    bench_sendf(a, "reset_step_clock oid=0 clock=%u | queue_step oid=0 interval=%u count=3000 add=0", t0, step);
    bench_send(b, "trsync_start oid=0 report_clock=0 report_ticks=0 expire_reason=4");
    bench_sendf(b,
                "endstop_home oid=1 clock=%u sample_ticks=960 sample_count=4 rest_ticks=1600 pin_value=1 trsync_oid=0"
                " trigger_reason=1",
                bench_clock(b) + HZ / 10);
    bench_run(a, 0.6);
    bench_collect(b);
    const char *line = bench_find(b, "trsync_state");
    assert_int_equal(bench_value(line, "trigger_reason"), 1);
    bench_send(b, "endstop_query_state oid=1");
    uint32_t hit = (uint32_t)bench_value(bench_find(b, "endstop_state"), "next_clock") - 1600;
    uint64_t now_b = sim_board_clock(b->board).t, now_a = sim_board_clock(a->board).t;
    double hit_s =
        host_ns_diff_s(sim_board_host_time(b->board, (struct mcu_ticks){now_b - (uint32_t)((uint32_t)now_b - hit)}),
                       (struct host_ns){0});
    uint32_t step_1000 = t0 + 1000 * step;
    double step_s = host_ns_diff_s(
        sim_board_host_time(a->board, (struct mcu_ticks){now_a - (uint32_t)((uint32_t)now_a - step_1000)}),
        (struct host_ns){0});
    assert_true(hit_s >= step_s && hit_s < step_s + 30e-6); /* within a sample of the step that reached it */
    runtime_remove(a->rt, sim_board_actor(b->board));
    bench_destroy(a);
    sim_board_destroy(b->board);
    bytepipe_deinit(&b->to_board);
    bytepipe_deinit(&b->from_board);
    wire_dict_destroy(b->dict);
    free(b);
    plant_destroy(plant);
}

static void wiring_mistakes_are_named(void **state)
{
    (void)state;
    struct bench_host *h = bench_create(NULL);
    struct plant_fan fan = {.name = "fan", .pin = {.name = "no_such_pin"}};
    struct plant_desc desc = {.boards = &h->board, .board_count = 1, .fans = &fan, .fan_count = 1};
    struct plant *plant;
    struct err_info info;
    assert_int_equal(plant_create(&plant, &desc, &info), ERR_NOT_FOUND);
    assert_non_null(strstr(info.text, "no_such_pin"));
    fan.pin = (struct plant_pin){.name = "PA0", .board = 3};
    assert_int_equal(plant_create(&plant, &desc, &info), ERR_NOT_FOUND);
    bench_destroy(h);
}

/* --- heaters under control --- */

/* A host in small: reads the sensor every 0.3 s, drives the heater by PID (or two points), and watches it as
 * verify_heater does: hysteresis 5 C, max_error 120, gain 2 C in `gain_s`. */
struct control {
    struct bench_host *h;
    struct sensor_curve curve;
    struct sensor_wiring wiring;
    double target, kp, ki, kd; /* kp 0: two points */
    double temp, last_temp, integral, slope;
    double error_sum, approach_goal, goal_at_s, gain_s, time_s;
    bool is_approaching, has_failed;
};

static void begin_control(struct control *c, const char *sensor, unsigned adc_pin, unsigned heater_pin)
{
    assert_int_equal(sensor_curve_builtin(&c->curve, sensor), OK);
    c->wiring = sensor_wiring_default();
    bench_run(c->h, 0);
    bench_sendf(c->h, "allocate_oids count=2 | config_analog_in oid=0 pin=%u", adc_pin);
    bench_sendf(c->h, "config_digital_out oid=1 pin=%u value=0 default_value=0 max_duration=%u | finalize_config crc=1",
                heater_pin, 3 * HZ);
    bench_sendf(c->h, "set_digital_out_pwm_cycle oid=1 cycle_ticks=%u", HZ / 10);
    bench_sendf(c->h,
                "query_analog_in oid=0 clock=%u sample_ticks=64000 sample_count=8 rest_ticks=%u bytes_per_report=2"
                " min_value=0 max_value=65535 range_check_count=4",
                bench_clock(c->h) + HZ / 10, HZ * 3 / 10);
}

static double pid(struct control *c)
{
    double dt = 0.3;
    c->slope = (c->slope * 0.7 + (c->temp - c->last_temp) / dt * 0.3);
    double error = c->target - c->temp;
    double integral = c->integral + error * dt;
    double out = (c->kp * error + c->ki * integral - c->kd * c->slope) / 255;
    if (out >= 0 && out <= 1 && integral >= 0)
        c->integral = integral;
    return out < 0 ? 0 : out > 1 ? 1 : out;
}

static void verify(struct control *c)
{
    if (c->temp >= c->target - 5 || c->target <= 0) {
        c->is_approaching = false;
        c->error_sum = 0;
        return;
    }
    c->error_sum += (c->target - 5 - c->temp) * 0.3;
    if (!c->is_approaching && c->error_sum < 120)
        return;
    if (c->temp >= c->approach_goal) {
        c->approach_goal = c->temp + 2;
        c->goal_at_s = c->time_s + c->gain_s;
        c->error_sum = 0;
        c->is_approaching = true;
    } else if (c->time_s >= c->goal_at_s && c->error_sum >= 120) {
        c->has_failed = true;
    }
}

static void control_for(struct control *c, double seconds)
{
    for (double end = c->time_s + seconds; c->time_s < end; c->time_s += 0.3) {
        bench_clear(c->h);
        bench_run(c->h, 0.3);
        const char *line = bench_find(c->h, "analog_in_state");
        if (!line)
            continue;
        unsigned lo = 0, hi = 0;
        sscanf(strstr(line, "values=") + 7, "%2x%2x", &lo, &hi);
        c->last_temp = c->temp;
        c->temp = sensor_ratio_to_temp(&c->curve, &c->wiring, (lo | hi << 8) / (8.0 * SIM_ADC_MAX));
        double duty = c->kp > 0 ? pid(c) : c->temp < c->target ? 1 : 0;
        verify(c);
        bench_sendf(c->h, "queue_digital_out oid=1 clock=%u on_ticks=%u", bench_clock(c->h) + HZ / 5,
                    (unsigned)(duty * HZ / 10));
    }
}

static struct plant_desc hot_end(struct plant_heater *heater, struct plant_sensor *sensor, struct plant_fan *fan)
{
    *fan = (struct plant_fan){.name = "fan", .pin = pin("PB1")};
    *heater = (struct plant_heater){.name = "extruder",
                                    .pin = pin("PB0"),
                                    .power_w = 62,
                                    .capacity_j_k = 20.6,
                                    .loss_w_k = 0.15,
                                    .fan_loss_w_k = 0.0225,
                                    .fan = 0,
                                    .sensor_tau_s = 3,
                                    .delay_s = 0.5};
    *sensor =
        (struct plant_sensor){.name = "extruder", .pin = pin("PC0"), .wiring = sensor_wiring_default(), .heater = 0};
    assert_int_equal(sensor_curve_builtin(&sensor->curve, "EPCOS 100K B57560G104F"), OK);
    return (struct plant_desc){
        .heaters = heater, .heater_count = 1, .sensors = sensor, .sensor_count = 1, .fans = fan, .fan_count = 1};
}

static void hot_end_follows_pid_and_fails_when_cut(void **state)
{
    (void)state;
    struct plant_heater heater;
    struct plant_sensor sensor;
    struct plant_fan fan;
    struct plant_desc desc = hot_end(&heater, &sensor, &fan);
    struct bench_host *h = bench_create(NULL);
    struct plant *plant = create(h, &desc);
    struct control c = {.h = h, .target = 220, .kp = 22, .ki = 1, .kd = 114, .temp = 25, .last_temp = 25, .gain_s = 20};
    begin_control(&c, "EPCOS 100K B57560G104F", sim_board_pin(h->board, "PC0"), sim_board_pin(h->board, "PB0"));
    control_for(&c, 60);
    assert_true(plant_heater_temp_c(plant, 0) > 150);
    control_for(&c, 120);
    double lo = 1e9, hi = -1e9;
    for (int i = 0; i < 200; i++) {
        control_for(&c, 0.3);
        lo = fmin(lo, c.temp);
        hi = fmax(hi, c.temp);
    }
    printf("hot end at 220: %.2f to %.2f C, reading %.2f, block %.2f\n", lo, hi, c.temp, plant_heater_temp_c(plant, 0));
    assert_true(lo > 218 && hi < 222);
    assert_false(c.has_failed);
    assert_true(fabs(c.temp - plant_sensor_temp_c(plant, 0)) < 0.5);
    plant_cut_heater(plant, 0, true);
    control_for(&c, 60);
    assert_true(c.has_failed);
    assert_true(plant_heater_temp_c(plant, 0) < 190);
    /* silence: the board turns the heater off by itself */
    plant_cut_heater(plant, 0, false);
    control_for(&c, 3);
    assert_true(plant_heater_duty(plant, 0) > 0 || c.temp > 0);
    bench_run(h, 10);
    assert_string_equal(bench_shutdown(h), "Missed scheduling of next digital out event");
    assert_true(plant_heater_duty(plant, 0) == 0);
    bench_destroy(h);
    plant_destroy(plant);
}

static void bed_follows_two_points(void **state)
{
    (void)state;
    struct plant_heater heater = {.name = "heater_bed",
                                  .pin = pin("PB0"),
                                  .power_w = 300,
                                  .capacity_j_k = 500,
                                  .loss_w_k = 1.9,
                                  .fan = -1,
                                  .sensor_tau_s = 4,
                                  .delay_s = 1};
    struct plant_sensor sensor = {
        .name = "heater_bed", .pin = pin("PC0"), .wiring = sensor_wiring_default(), .heater = 0};
    assert_int_equal(sensor_curve_builtin(&sensor.curve, "Generic 3950"), OK);
    struct plant_desc desc = {.heaters = &heater, .heater_count = 1, .sensors = &sensor, .sensor_count = 1};
    struct bench_host *h = bench_create(NULL);
    struct plant *plant = create(h, &desc);
    struct control c = {.h = h, .target = 100, .temp = 25, .last_temp = 25, .gain_s = 60};
    begin_control(&c, "Generic 3950", sim_board_pin(h->board, "PC0"), sim_board_pin(h->board, "PB0"));
    control_for(&c, 400);
    assert_true(fabs(c.temp - 100) < 5);
    assert_false(c.has_failed);
    bench_destroy(h);
    plant_destroy(plant);
}

static void cooling_and_sensor_faults(void **state)
{
    (void)state;
    struct plant_heater heater;
    struct plant_sensor sensor;
    struct plant_fan fan;
    double settled[2];
    for (int with_fan = 0; with_fan < 2; with_fan++) {
        struct plant_desc desc = hot_end(&heater, &sensor, &fan);
        struct bench_host *h = bench_create(NULL);
        struct plant *plant = create(h, &desc);
        bench_run(h, 0);
        bench_send(h, "allocate_oids count=1 | finalize_config crc=1");
        bench_sendf(h, "set_digital_out pin=%u value=%d", sim_board_pin(h->board, "PB1"), with_fan);
        bench_sendf(h, "set_digital_out pin=%u value=1", sim_board_pin(h->board, "PB0"));
        bench_run(h, 3000);
        settled[with_fan] = plant_heater_temp_c(plant, 0);
        if (with_fan) {
            assert_true(fabs(plant_fan_speed(plant, 0) - 1) < 1e-6);
            plant_fault_sensor(plant, 0, PLANT_SENSOR_FROZEN);
        }
        bench_destroy(h);
        plant_destroy(plant);
    }
    assert_true(fabs(settled[0] - (25 + 62 / 0.15)) < 0.5); /* P / k above ambient */
    assert_true(fabs(settled[1] - (25 + 62 / 0.1725)) < 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_undoes_inverse),
        cmocka_unit_test(motors_and_endstops),
        cmocka_unit_test(boards_share_a_machine),
        cmocka_unit_test(wiring_mistakes_are_named),
        cmocka_unit_test(hot_end_follows_pid_and_fails_when_cut),
        cmocka_unit_test(bed_follows_two_points),
        cmocka_unit_test(cooling_and_sensor_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
