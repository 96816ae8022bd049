/* A whole printer under the eyes of the outside checker: what the host sent is what the machine did, within limits, in
 * time, with heaters off at the end. */
#include "tests/sim/checker.h"
#include "tests/sim/harness.h"

#include "base/mem.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "firmware/plant/plant.h"
#include "firmware/port/sim/sim_board.h"
#include "server/machine/printer.h"
#include "motion/board.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

static const char config[] =
    "[mcu]\nserial: none\n"
    "[printer]\nkinematics: corexy\nmax_velocity: 300\nmax_accel: 3000\nmax_z_velocity: 20\nmax_z_accel: 200\n"
    "[stepper_x]\nstep_pin: PA0\ndir_pin: PA1\nenable_pin: !PA2\nmicrosteps: 16\nrotation_distance: 40\nendstop_pin: "
    "^PB0\n"
    "position_endstop: 0\nposition_max: 200\nhoming_speed: 80\n"
    "[stepper_y]\nstep_pin: PA3\ndir_pin: !PA4\nenable_pin: !PA5\nmicrosteps: 16\nrotation_distance: 40\nendstop_pin: "
    "^PB1\n"
    "position_endstop: 0\nposition_max: 200\nhoming_speed: 80\n"
    "[stepper_z]\nstep_pin: PA6\ndir_pin: PA7\nenable_pin: !PA8\nmicrosteps: 16\nrotation_distance: 8\nendstop_pin: "
    "^PB2\n"
    "position_endstop: 0\nposition_max: 200\nhoming_speed: 10\n"
    "[extruder]\nstep_pin: PC0\ndir_pin: PC1\nenable_pin: !PC2\nmicrosteps: 16\nrotation_distance: 22.68\n"
    "nozzle_diameter: 0.4\nfilament_diameter: 1.75\nheater_pin: PB3\nsensor_pin: PC4\nsensor_type: EPCOS 100K "
    "B57560G104F\n"
    "control: pid\npid_Kp: 22\npid_Ki: 1\npid_Kd: 114\nmin_temp: 0\nmax_temp: 280\n"
    "[fan]\npin: PB5\n";

static const char *const step_pins[] = {"PA0", "PA3", "PA6", "PC0"};
static const char *const motors[] = {"stepper_x", "stepper_y", "stepper_z", "extruder"};
/* steps/s that the limits allow: corexy belts carry sqrt(2) of 300 mm/s at 80 steps/mm; z 20 mm/s at 400 */
static const double rate_limits[] = {33942, 33942, 8000, 70000};

/* Random straight moves with extrusion, fan changes and pauses in between. */
static char *random_script(uint64_t seed, int moves)
{
    struct rng rng;
    struct strbuf sb;
    rng_init(&rng, seed);
    strbuf_init(&sb);
    strbuf_adds(&sb, "G90\nM83\n");
    for (int i = 0; i < moves; i++) {
        strbuf_addf(&sb, "G1 X%.3f Y%.3f E%.4f F%.0f\n", rng_range(&rng, 1, 199), rng_range(&rng, 1, 199),
                    rng_range(&rng, 0, 2), rng_range(&rng, 600, 18000));
        if (i % 10 == 0)
            strbuf_addf(&sb, "G1 Z%.3f F900\nM106 S%u\n", rng_range(&rng, 0.2, 20), (unsigned)rng_below(&rng, 256));
        if (i % 25 == 0)
            strbuf_adds(&sb, "G4 P150\n");
    }
    strbuf_adds(&sb, "M400\n");
    return strbuf_take(&sb);
}

static void watch_a_print(uint64_t seed, const struct board_faults *faults, int moves)
{
    print_message("seed=%llu\n", (unsigned long long)seed);
    struct rig *rig = rig_create(&(struct rig_options){.config_text = config, .seed = seed, .faults = faults});
    struct sim_board *board = rig_board(rig, "mcu");
    assert_non_null(board);
    const char *json = sim_board_dictionary(board);
    struct checker *checker = checker_create(json, strlen(json));
    sim_board_tap(board, checker_feed, checker);
    assert_true(rig_wait_ready(rig));
    assert_int_equal(rig_script(rig, "G28\nM109 S200", 300), OK);
    char *script = random_script(seed, moves);
    enum err e = rig_script(rig, script, 600);
    mem_free(script);
    for (size_t i = 0; i < checker_violation_count(checker); i++)
        print_message("%s\n", checker_violation(checker, i));
    if (e)
        fail_msg("%s: %s", rig_error(rig), printer_state_message(rig_printer(rig)));
    assert_int_equal(rig_script(rig, "M104 S0\nM107\nM84", 60), OK);
    rig_run(rig, 3);
    uint64_t now = sim_board_clock(board).t;
    assert_int_equal(checker_violation_count(checker), 0);
    struct plant *plant = rig_plant(rig);
    for (size_t i = 0; i < 4; i++) {
        size_t stepper = checker_stepper(checker, sim_board_pin(board, step_pins[i]));
        double rate = checker_peak_rate(checker, stepper, 16);
        bool is_reversed = i == 1; /* dir_pin: !PA4 */
        int64_t steps = checker_position(checker, stepper, now);
        assert_int_equal(is_reversed ? -steps : steps, plant_motor_steps(plant, plant_find_motor(plant, motors[i])));
        print_message("%s: %llu steps, at most %.0f/s\n", motors[i],
                      (unsigned long long)checker_step_count(checker, stepper), rate);
        assert_true(rate < rate_limits[i] * 1.02);
    }
    assert_true(checker_heaters_are_off(checker, now));
    struct checker_totals totals = checker_totals(checker);
    print_message("%llu commands in %llu blocks, %llu damaged, least lead %.3f s\n",
                  (unsigned long long)totals.commands, (unsigned long long)totals.blocks,
                  (unsigned long long)totals.damaged, totals.least_lead_s);
    assert_true(faults ? totals.damaged > 10 : totals.damaged == 0);
    assert_true(totals.least_lead_s > 0.01);
    assert_false(totals.is_shut_down);
    sim_board_tap(board, NULL, NULL);
    checker_destroy(checker);
    rig_destroy(rig);
}

static void a_print_on_good_wires(void **state)
{
    (void)state;
    watch_a_print(4, NULL, 300);
}

/* One block in a hundred lost, one damaged, some doubled, swapped or late, in both directions. */
static void a_print_on_bad_wires(void **state)
{
    (void)state;
    struct board_faults faults = {.seed = 7,
                                  .tx_loss = 0.01,
                                  .tx_corrupt = 0.01,
                                  .tx_cut = 0.003,
                                  .tx_duplicate = 0.01,
                                  .rx_loss = 0.01,
                                  .rx_corrupt = 0.01,
                                  .rx_cut = 0.003,
                                  .rx_duplicate = 0.01,
                                  .rx_reorder = 0.01,
                                  .delay_max_s = 0.002};
    watch_a_print(5, &faults, 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_print_on_good_wires),
        cmocka_unit_test(a_print_on_bad_wires),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
