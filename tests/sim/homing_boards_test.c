/* Homing across boards: the endstop is on one board, the motors it stops are on two others. The trigger reaches them through
 * the host, so they overshoot by what they travel meanwhile, never for longer than they go on without hearing from it. */
#include "tests/sim/probe_rig.h"

#include "firmware/port/sim/sim_board.h"
#include "server/machine/printer.h"

#define EXPIRE_S      0.025 /* of the trsync with several boards */
#define SPEED_MM_S    50.0
#define MOTOR(name, board, pins)                                                                                       \
    "[" name "]\nstep_pin: " board pins "0\ndir_pin: " board pins "1\nenable_pin: !" board pins "2\nmicrosteps: 16\n"

/* corexy: both motors move with x. Motors on a and c, endstops and probe on b (z's motors on a and c too). */
static const char machine[] = "[mcu]\nserial: /dev/ttyACM0\n[mcu a]\nserial: /dev/ttyACM1\n[mcu b]\nserial: /dev/ttyACM2\n"
    "[mcu c]\nserial: /dev/ttyACM3\n"
    "[printer]\nkinematics: corexy\nmax_velocity: 300\nmax_accel: 3000\nmax_z_velocity: 15\n"
    MOTOR("stepper_x", "a:P", "A") "rotation_distance: 40\nendstop_pin: ^b:PE0\nposition_endstop: 0\n"
    "position_min: -5\nposition_max: 200\nhoming_speed: 50\n"
    MOTOR("stepper_y", "c:P", "A") "rotation_distance: 40\nendstop_pin: ^b:PE1\nposition_endstop: 0\n"
    "position_min: -5\nposition_max: 200\nhoming_speed: 50\n"
    MOTOR("stepper_z", "a:P", "B") "rotation_distance: 4\nendstop_pin: probe:z_virtual_endstop\n"
    "position_min: -5\nposition_max: 180\nhoming_speed: 10\n"
    MOTOR("stepper_z1", "c:P", "B") "rotation_distance: 4\n"
    "[probe]\npin: ^b:PE3\nz_offset: 1.5\nspeed: 5\n[safe_z_home]\nhome_xy_position: 90, 90\nz_hop: 5\n"
    "[force_move]\nenable_force_move: True\n";

struct watch {
    struct rig *rig;
    double lowest_mm[3];
    bool is_ended;
    enum err result;
};

static bool look(void *ctx)
{
    struct watch *w = ctx;
    double xyz[3];
    assert_true(plant_toolhead_mm(rig_plant(w->rig), xyz));
    for (int i = 0; i < 3; i++)
        w->lowest_mm[i] = fmin(w->lowest_mm[i], xyz[i]);
    return w->is_ended;
}

static void on_end(void *ctx, enum err result, const char *text)
{
    struct watch *w = ctx;
    (void)text;
    w->is_ended = true;
    w->result = result;
}

/* Run a script, watching how far each axis goes. */
static enum err watched(struct rig *rig, const char *line, struct watch *w)
{
    *w = (struct watch){.rig = rig, .lowest_mm = {INFINITY, INFINITY, INFINITY}};
    assert_int_equal(printer_run_script(rig_printer(rig), line, on_end, w), OK);
    for (int i = 0; i < 400000 && !w->is_ended; i++) {
        rig_run(rig, 0.0005);
        (void)look(w);
    }
    assert_true(w->is_ended);
    return w->result;
}

static void test_overshoot(void **state)
{
    (void)state;
    struct rig *rig = job_rig_start(machine);
    struct watch w;
    assert_int_equal(watched(rig, "G28 X", &w), OK);
    print_message("overshoot of x: %.3f mm\n", -w.lowest_mm[0]);
    assert_true(w.lowest_mm[0] < 0.0); /* it cannot stop at once */
    assert_true(-w.lowest_mm[0] <= SPEED_MM_S * EXPIRE_S);
    assert_int_equal(watched(rig, "G28 Y", &w), OK);
    assert_true(-w.lowest_mm[1] <= SPEED_MM_S * EXPIRE_S);
    assert_true(-w.lowest_mm[0] <= SPEED_MM_S * EXPIRE_S); /* one motor stops before the other: x moves, and goes back */
    script(rig, "G28 Z\nG1 X100 Y80 Z5 F6000\nM400");
    double xyz[3];
    assert_true(plant_toolhead_mm(rig_plant(rig), xyz));
    expect_close(xyz[0], 100, 0.1);
    expect_close(xyz[1], 80, 0.1);
    expect_close(xyz[2], 5, 0.01);
    /* probing: the steps of both boards agree about where the trigger was */
    assert_int_equal(watched(rig, "PROBE", &w), OK);
    assert_true(1.5 - w.lowest_mm[2] <= 5.0 * EXPIRE_S);
    rig_run(rig, 0.5);
    expect_close(rig_status_number(rig, "probe", "last_z_result"), 1.5, 0.006);
    double z = plant_motor_mm(rig_plant(rig), plant_find_motor(rig_plant(rig), "stepper_z"));
    double z1 = plant_motor_mm(rig_plant(rig), plant_find_motor(rig_plant(rig), "stepper_z1"));
    print_message("z motors after probing: %.4f %.4f mm\n", z, z1);
    expect_close(z, z1, 5.0 * EXPIRE_S); /* each stops by itself; the next move goes on from there */
    /* and nothing adds up: both lift to the same height, time after time */
    script(rig, "G1 Z5\nPROBE_ACCURACY SAMPLES=20\nG1 Z5\nM400");
    z = plant_motor_mm(rig_plant(rig), plant_find_motor(rig_plant(rig), "stepper_z"));
    z1 = plant_motor_mm(rig_plant(rig), plant_find_motor(rig_plant(rig), "stepper_z1"));
    print_message("z motors after 20 more: %.4f %.4f mm\n", z, z1);
    expect_close(z, z1, 0.003);
    rig_destroy(rig);
}

/* A board of the move that falls silent: the others stop, the user is told. */
static void silent(const char *board)
{
    struct rig *rig = job_rig_start(machine);
    script(rig, "SET_KINEMATIC_POSITION X=90 Y=90 Z=10");
    plant_push_motor(rig_plant(rig), plant_find_motor(rig_plant(rig), "stepper_x"), 100);
    plant_push_motor(rig_plant(rig), plant_find_motor(rig_plant(rig), "stepper_y"), 100); /* x is 100 mm away */
    struct watch w = {.rig = rig, .lowest_mm = {INFINITY, INFINITY, INFINITY}};
    assert_int_equal(printer_run_script(rig_printer(rig), "G28 X", on_end, &w), OK);
    rig_run(rig, 1.0); /* on its way */
    (void)look(&w);
    double at_mm = w.lowest_mm[0];
    assert_true(!w.is_ended && at_mm > 10.0);
    sim_board_set_silent(rig_board(rig, board), true);
    rig_run(rig, 0.3);
    sim_board_set_silent(rig_board(rig, board), false);
    (void)rig_run_until(rig, look, &w, 30.0);
    assert_true(w.is_ended);
    assert_int_not_equal(w.result, OK);
    if (!strstr(rig_console(rig), "!! Communication timeout during homing x"))
        fail_msg("%s silent: %s", board, rig_console(rig));
    print_message("%s silent: %.2f mm later it stands\n", board, at_mm - w.lowest_mm[0]);
    assert_true(at_mm - w.lowest_mm[0] <= SPEED_MM_S * 4 * EXPIRE_S);
    assert_int_equal(printer_state(rig_printer(rig)), PRINTER_READY);
    rig_run(rig, 1.0);
    expect_status(rig, "toolhead", "homed_axes", "\"\"");
    assert_non_null(strstr(rig_status(rig, "stepper_enable", "steppers"), "\"stepper_y\": false"));
    script(rig, "G28 X Y"); /* and it goes on */
    rig_destroy(rig);
}

static void test_silent_boards(void **state)
{
    (void)state;
    silent("b"); /* that of the endstop */
    silent("c"); /* that of a motor */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_overshoot), cmocka_unit_test(test_silent_boards)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
