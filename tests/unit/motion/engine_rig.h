/* A small machine for tests of the engine: real link and simulated firmware in virtual time, a cartesian toolhead with an
 * extruder, motors whose every step is recorded at the pins. */
#ifndef TESTS_UNIT_MOTION_ENGINE_RIG_H
#define TESTS_UNIT_MOTION_ENGINE_RIG_H

#include "tests/unit/motion/board_rig.h"

#include "motion/engine.h"
#include "tests/unit/motion/plan_path.h"

#include <math.h>
#include <stdlib.h>

/* What every machine has; and what it also has when `has_gears` is set: a second extruder, a stepper that may follow either
 * of them, a manual stepper. */
enum { MOTOR_X, MOTOR_Y, MOTOR_Z, MOTOR_E, MOTOR_COUNT, MOTOR_E1 = MOTOR_COUNT, MOTOR_GEAR, MOTOR_SELECTOR, MOTOR_MAX };

struct motor {
    struct machine *machine;
    size_t board;
    uint32_t step_pin, dir_pin;
    uint32_t dir, level;
    int64_t count;
    struct motor_step {
        double time_s; /* print time */
        int64_t count; /* after it */
    } *steps;
    size_t step_count, step_capacity;
    uint64_t last_clock;
    bool has_bad_clock;
};

struct machine {
    struct rig rig; /* first */
    struct engine *engine;
    struct motor motor[MOTOR_MAX];
    struct engine_stepper *stepper[MOTOR_MAX];
    struct engine_enable *enable[MOTOR_MAX];
    struct engine_output *enable_output[MOTOR_MAX];
    struct engine_queue *extruder;
    struct engine_queue *extruder1, *selector; /* has_gears */
    struct engine_output *fan;
    unsigned fan_oid;
    struct engine_endstop *endstop[3];
    double endstop_mm[3];      /* triggered at or below */
    bool endstop_is_dead[3];
    struct {
        double time_s;
        uint32_t level;
    } fan_log[4096];
    size_t fan_count;
    struct engine_event events[4096];
    size_t event_count;
    void (*body)(struct machine *m);
    size_t board_of[MOTOR_MAX], endstop_board;
    bool has_gears;
    size_t step_ring;          /* only so many of the latest steps are kept, a power of two; 0: all */
    bool is_real; /* a thread for each actor and the wall clock; the motors may be looked at when it is over */
    double start_pos[4];
    enum engine_kinematics kind; /* ENGINE_KIN_NONE: cartesian */
    struct plan_path *path;    /* what is committed is recorded here; NULL: it is not */
    uint32_t main_clock_hz, main_moves; /* of the main board: 0: 64 MHz, as many move items as there can be */
    double feed_factor;        /* of the moves that machine_move makes; 0: no override applies to them */
};

static const double motor_step_mm[MOTOR_MAX] = {0.0125, 0.0125, 0.0025, 0.002, 0.002, 0.002, 0.01};
static const char *const motor_names[MOTOR_MAX] = {"stepper_x", "stepper_y", "stepper_z", "extruder",
                                                   "extruder1", "gear",      "selector"};

static inline int machine_motors(const struct machine *m)
{
    return m->has_gears ? MOTOR_MAX : MOTOR_COUNT;
}

/* Print time of a tick of a board: the main board's clock. Other boards go by way of the host's time. */
static inline double machine_print_time(struct machine *m, size_t board, struct mcu_ticks clock)
{
    if (board == 0)
        return (double)clock.t / sim_board_clock_hz(m->rig.sim[0]);
    struct host_ns at = sim_board_host_time(m->rig.sim[board], clock);
    struct host_ns zero = sim_board_host_time(m->rig.sim[0], (struct mcu_ticks){0});
    struct host_ns one = sim_board_host_time(m->rig.sim[0], (struct mcu_ticks){(uint64_t)1e12});
    return (double)(at.ns - zero.ns) / (double)(one.ns - zero.ns) * 1e12 / sim_board_clock_hz(m->rig.sim[0]);
}

static inline void motor_on_step(void *ctx, struct mcu_ticks clock, uint32_t level)
{
    struct motor *motor = ctx;
    const bool is_rising = level != SIM_LEVEL_FLOATING && level > 0 && motor->level == 0;
    motor->level = level == SIM_LEVEL_FLOATING ? 0 : level;
    if (!is_rising)
        return;
    if (clock.t <= motor->last_clock && motor->last_clock != 0)
        motor->has_bad_clock = true;
    motor->last_clock = clock.t;
    motor->count += motor->dir ? 1 : -1;
    const size_t ring = motor->machine->step_ring;
    if (motor->step_count == motor->step_capacity && !(ring && motor->step_capacity)) {
        motor->step_capacity = ring ? ring : motor->step_capacity ? motor->step_capacity * 2 : 65536;
        motor->steps = mem_realloc(motor->steps, motor->step_capacity * sizeof *motor->steps);
    }
    motor->steps[(ring ? motor->step_count & (ring - 1) : motor->step_count)] =
        (struct motor_step){machine_print_time(motor->machine, motor->board, clock), motor->count};
    motor->step_count++;
}

static inline void motor_on_dir(void *ctx, struct mcu_ticks clock, uint32_t level)
{
    (void)clock;
    ((struct motor *)ctx)->dir = level != SIM_LEVEL_FLOATING && level > 0;
}

static inline void fan_on_level(void *ctx, struct mcu_ticks clock, uint32_t level)
{
    struct machine *m = ctx;
    if (level == SIM_LEVEL_FLOATING || m->fan_count == ARRAY_COUNT(m->fan_log))
        return;
    m->fan_log[m->fan_count].time_s = machine_print_time(m, 0, clock);
    m->fan_log[m->fan_count++].level = level;
}

struct endstop_input {
    struct machine *machine;
    int axis;
};

static inline uint32_t endstop_level(void *ctx, struct mcu_ticks clock)
{
    (void)clock;
    const struct endstop_input *in = ctx;
    const struct machine *m = in->machine;
    const double mm = m->start_pos[in->axis] + (double)m->motor[in->axis].count * motor_step_mm[in->axis];
    return !m->endstop_is_dead[in->axis] && mm <= m->endstop_mm[in->axis];
}

static inline void machine_on_event(void *ctx, const struct engine_event *event)
{
    struct machine *m = ctx;
    if (m->event_count < ARRAY_COUNT(m->events))
        m->events[m->event_count++] = *event;
}

static inline struct host_ns machine_step(struct actor *self, struct host_ns now)
{
    struct machine *m = CONTAINER_OF(self, struct machine, rig.machine);
    boards_poll(m->rig.boards, now);
    if (m->engine)
        engine_poll(m->engine, now);
    if (m->path)
        plan_path_poll(m->path, m->engine);
    struct host_ns next = fiber_pool_run(m->rig.fibers, now);
    if (m->rig.is_done)
        runtime_stop(m->rig.rt);
    return next;
}

static inline void machine_describe(struct machine *m)
{
    struct rig *rig = &m->rig;
    struct err_info info = {{0}};
    const bool is_delta = m->kind == ENGINE_KIN_DELTA;
    const struct engine_kinematics_spec delta = {.kind = ENGINE_KIN_DELTA,
                                                 .max_velocity_mm_s = 300,
                                                 .max_accel_mm_s2 = 3000,
                                                 .max_z_velocity_mm_s = 150,
                                                 .rail = {{0, 0, 250, 300, 210, 0.2}, {0, 0, 250, 300, 330, 0.2}, {0, 0, 250, 300, 90, 0.2}},
                                                 .delta_radius_mm = 150,
                                                 .minimum_z_mm = -5};
    const struct engine_kinematics_spec kin = {.kind = m->kind ? m->kind : ENGINE_KIN_CARTESIAN,
                                               .max_velocity_mm_s = 300,
                                               .max_accel_mm_s2 = 3000,
                                               .max_z_velocity_mm_s = 15,
                                               .max_z_accel_mm_s2 = 100,
                                               .rail = {{-10, 220, 0, 0, 0, 0}, {-10, 220, 0, 0, 0, 0}, {-10, 220, 0, 0, 0, 0}}};
    rig_expect_ok(engine_set_kinematics(m->engine, is_delta ? &delta : &kin, &info), &info);
    const struct engine_extruder_spec extruder = {.name = "extruder",
                                                  .nozzle_diameter_mm = 0.4,
                                                  .filament_diameter_mm = 1.75,
                                                  .max_extrude_only_distance_mm = 100,
                                                  .instantaneous_corner_velocity_mm_s = 1};
    m->extruder = engine_add_extruder(m->engine, &extruder);
    if (m->has_gears) {
        struct engine_extruder_spec second = extruder;
        second.name = "extruder1";
        m->extruder1 = engine_add_extruder(m->engine, &second);
        m->selector = engine_add_manual(m->engine, "selector");
    }
    struct engine_queue *const homes[MOTOR_MAX] = {[MOTOR_E] = m->extruder, [MOTOR_E1] = m->extruder1,
                                                   [MOTOR_GEAR] = m->extruder, [MOTOR_SELECTOR] = m->selector};
    for (int i = 0; i < machine_motors(m); i++) {
        struct board *board = rig->board[m->board_of[i]];
        const unsigned oid = board_oid(board);
        char step[16], dir[16], en[16];
        snprintf(step, sizeof step, "PA%d", i);
        snprintf(dir, sizeof dir, "PB%d", i);
        snprintf(en, sizeof en, "PC%d", i);
        board_config(board, BOARD_CONFIG, "config_stepper oid=%u step_pin=%s dir_pin=%s invert_step=0 step_pulse_ticks=%d",
                     oid, step, dir, (int)(2e-6 * board_freq_hz(board)));
        board_config(board, BOARD_RESTART, "reset_step_clock oid=%u clock=0", oid);
        const unsigned enable_oid = board_oid(board);
        board_config(board, BOARD_CONFIG, "config_digital_out oid=%u pin=%s value=0 default_value=0 max_duration=0",
                     enable_oid, en);
        const struct engine_output_spec out = {.name = en, .board = board,
                                               .format = "queue_digital_out oid=%c clock=%u on_ticks=%u",
                                               .clock_index = 1};
        rig_expect_ok(engine_add_output(m->engine, &out, &m->enable_output[i], &info), &info);
        m->enable[i] = engine_add_enable(m->engine, m->enable_output[i], (const int64_t[]){enable_oid, 0, 1},
                                         (const int64_t[]){enable_oid, 0, 0}, 3);
        board_reserve_slots(board, 8);
        const struct engine_stepper_spec spec = {.name = motor_names[i],
                                                 .board = board,
                                                 .oid = oid,
                                                 .step_dist_mm = motor_step_mm[i],
                                                 .queue = i >= MOTOR_E ? homes[i] : engine_toolhead(m->engine),
                                                 .rail = i >= MOTOR_E ? 0 : (unsigned)i,
                                                 .enable = m->enable[i]};
        rig_expect_ok(engine_add_stepper(m->engine, &spec, &m->stepper[i], &info), &info);
    }
    struct board *main_board = rig->board[0];
    m->fan_oid = board_oid(main_board);
    board_config(main_board, BOARD_CONFIG, "config_digital_out oid=%u pin=PD0 value=0 default_value=0 max_duration=0",
                 m->fan_oid);
    const struct engine_output_spec fan = {.name = "fan", .board = main_board,
                                           .format = "queue_digital_out oid=%c clock=%u on_ticks=%u",
                                           .clock_index = 1, .min_interval_s = 0.01};
    rig_expect_ok(engine_add_output(m->engine, &fan, &m->fan, &info), &info);
    board_reserve_slots(main_board, 32);
    for (int i = 0; i < 3; i++) {
        struct board *board = rig->board[m->endstop_board];
        const unsigned oid = board_oid(board);
        board_config(board, BOARD_CONFIG, "config_endstop oid=%u pin=PE%d pull_up=0", oid, i);
        const struct engine_endstop_spec es = {.name = i == 0 ? "x" : i == 1 ? "y" : "z", .board = board, .oid = oid};
        rig_expect_ok(engine_add_endstop(m->engine, &es, &m->endstop[i], &info), &info);
        rig_expect_ok(engine_endstop_stops(m->engine, m->endstop[i], m->stepper[i], &info), &info);
    }
}

static inline uint32_t machine_pin(struct machine *m, size_t board, const char *name)
{
    char text[64];
    for (uint32_t pin = 0; pin < 4096; pin++) {
        const char *found = sim_board_pin_name(m->rig.sim[board], pin, text, sizeof text);
        if (found && strcmp(found, name) == 0)
            return pin;
    }
    fail_msg("no pin %s", name);
    return 0;
}

static inline void machine_script(struct rig *rig)
{
    struct machine *m = CONTAINER_OF(rig, struct machine, rig);
    struct err_info info = {{0}};
    for (size_t i = 0; i < rig->count; i++)
        rig_expect_ok(board_connect(rig->board[i], &info), &info);
    machine_describe(m);
    for (size_t i = 0; i < rig->count; i++)
        rig_expect_ok(board_configure(rig->board[i], true, &info), &info);
    rig_expect_ok(engine_start(m->engine, &info), &info);
    engine_listen(m->engine, machine_on_event, m);
    engine_set_homed(m->engine, 7);
    m->body(m);
}

static inline void machine_make_real(struct machine *m)
{
    struct rig *rig = &m->rig;
    boards_destroy(rig->boards);
    runtime_destroy(rig->rt);
    rig->rt = runtime_create_real();
    const struct boards_options options = {.runtime = rig->rt, .machine = &rig->machine};
    rig->boards = boards_create(&options);
    board_on_event(rig->boards, NULL, rig_on_event, rig);
}

/* Run `body` in a fiber of a machine with `boards` boards; all motors on board 0, or as `board_of` says. */
static inline void machine_run(struct machine *m, uint64_t seed, size_t boards, const struct engine_config *config,
                               void (*body)(struct machine *m), double limit_s)
{
    rig_init(&m->rig, seed);
    if (m->is_real)
        machine_make_real(m);
    m->rig.machine.step = machine_step;
    static struct endstop_input inputs[3];
    for (size_t i = 0; i < boards; i++) {
        const struct sim_board_options sim = {.name = i == 0 ? "sim0" : "sim1", .drift_ppm = i == 0 ? 20 : -35,
                                              .start_clock = i == 0 ? 0 : 123456789,
                                              .move_count_max = i == 0 ? m->main_moves : 0,
                                              .clock_hz = i > 0 ? 48000000 : m->main_clock_hz ? m->main_clock_hz : 64000000};
        rig_add(&m->rig, i == 0 ? "mcu" : "second", &sim, NULL);
    }
    struct engine_config c = config ? *config : (struct engine_config){.mode = ENGINE_LIVE};
    c.runtime = m->rig.rt;
    c.boards = m->rig.boards;
    c.machine = &m->rig.machine;
    m->engine = engine_create(&c);
    for (int i = 0; i < machine_motors(m); i++) {
        struct motor *motor = &m->motor[i];
        char name[16];
        motor->machine = m;
        motor->board = m->board_of[i];
        snprintf(name, sizeof name, "PA%d", i);
        sim_board_watch(m->rig.sim[motor->board], machine_pin(m, motor->board, name), motor_on_step, motor);
        snprintf(name, sizeof name, "PB%d", i);
        sim_board_watch(m->rig.sim[motor->board], machine_pin(m, motor->board, name), motor_on_dir, motor);
    }
    sim_board_watch(m->rig.sim[0], machine_pin(m, 0, "PD0"), fan_on_level, m);
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "PE%d", i);
        inputs[i] = (struct endstop_input){m, i};
        m->endstop_mm[i] = -1e9;
        sim_board_set_input(m->rig.sim[m->endstop_board], machine_pin(m, m->endstop_board, name), endstop_level, &inputs[i]);
    }
    m->body = body;
    if (m->path)
        *m->path = (struct plan_path){0};
    rig_run(&m->rig, machine_script, limit_s);
    for (size_t i = 0; i < boards && !m->is_real; i++) {
        struct sim_board_stats stats;
        sim_board_get_stats(m->rig.sim[i], &stats);
        if (stats.is_shut_down)
            fail_msg("board %zu is shut down: %s", i, stats.shutdown_reason);
    }
    for (int i = 0; i < machine_motors(m); i++)
        assert_false(m->motor[i].has_bad_clock);
    assert_string_equal(engine_fault_text(m->engine), "");
}

static inline void machine_end(struct machine *m)
{
    engine_destroy(m->engine);
    rig_deinit(&m->rig);
    for (int i = 0; i < machine_motors(m); i++)
        mem_free(m->motor[i].steps);
}

/* A board that has stopped explains everything that follows. */
static inline void expect_boards_run(const struct machine *m)
{
    if (m->rig.event_count > 0)
        fail_msg("%s", m->rig.event.text);
}

static inline void machine_room(struct machine *m)
{
    if (engine_wait_room(m->engine) != OK)
        fail_msg("%s", engine_fault_text(m->engine));
}

/* Append with `call`, which puts its words into &await_info, waiting for room. */
#define AWAIT(m, call)                                                                                                 \
    do {                                                                                                               \
        struct err_info await_info = {{0}};                                                                            \
        enum err await_err;                                                                                            \
        while ((await_err = (call)) == ERR_FULL)                                                                       \
            machine_room(m);                                                                                           \
        rig_expect_ok(await_err, &await_info);                                                                         \
    } while (0)

/* Append, waiting for room. */
static inline enum err machine_move(struct machine *m, double x, double y, double z, double e, double speed,
                                    struct engine_source source, struct err_info *info)
{
    const struct engine_move move = {.pos = {x, y, z, e}, .speed_mm_s = speed, .feed_factor = m->feed_factor, .source = source};
    enum err err;
    while ((err = engine_move(m->engine, &move, info)) == ERR_FULL) {
        err = engine_wait_room(m->engine);
        if (err != OK)
            return err;
    }
    return err;
}

static inline void machine_go(struct machine *m, double x, double y, double z, double e, double speed)
{
    struct err_info info = {{0}};
    rig_expect_ok(machine_move(m, x, y, z, e, speed, ENGINE_SOURCE_NONE, &info), &info);
}

static inline void machine_sync(struct machine *m)
{
    struct err_info info = {{0}};
    rig_expect_ok(engine_wait_executed(m->engine, ENGINE_SOURCE_NONE, &info), &info);
    assert_int_equal(fiber_sleep(0.05), OK); /* simulated boards are stepped every 20 ms while motors run */
}

/* At rest: every motor has made the steps that its queue's position asks for, to half a microstep. From a fiber. */
static inline void expect_motors_at(struct machine *m, const double pos[4])
{
    double rail[3], rail0[3];
    engine_inverse(m->engine, pos, rail);
    engine_inverse(m->engine, (const double[3]){0, 0, 0}, rail0);
    for (int i = 0; i < MOTOR_COUNT; i++) {
        const double want = i == MOTOR_E ? pos[3] : rail[i] - rail0[i];
        const double is = (double)m->motor[i].count * motor_step_mm[i];
        if (fabs(is - want) > motor_step_mm[i] * 0.5 + 2e-6)
            fail_msg("%s is at %.5f mm, not at %.5f", motor_names[i], is, want);
    }
}

/* Position of a motor [mm] at a print time, from its pins. */
static inline double motor_mm_at(const struct machine *m, int axis, double at_s)
{
    const struct motor *motor = &m->motor[axis];
    size_t lo = 0, hi = motor->step_count;
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (motor->steps[mid].time_s <= at_s)
            lo = mid + 1;
        else
            hi = mid;
    }
    return m->start_pos[axis] + (double)(lo > 0 ? motor->steps[lo - 1].count : 0) * motor_step_mm[axis];
}

static inline double motor_mm(const struct machine *m, int axis)
{
    return m->start_pos[axis] + (double)m->motor[axis].count * motor_step_mm[axis];
}

static inline void expect_at(const struct machine *m, double x, double y, double z, double e)
{
    const double want[4] = {x, y, z, e};
    for (int i = 0; i < MOTOR_COUNT; i++)
        if (fabs(motor_mm(m, i) - want[i]) > motor_step_mm[i] * 0.5 + 1e-6)
            fail_msg("%s is at %.4f mm, not at %.4f", motor_names[i], motor_mm(m, i), want[i]);
}

#endif
