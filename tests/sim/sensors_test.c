/* Things that watch and things that are watched, on a simulated printer: buttons, filament sensors, sensors inside chips and
 * made of others, fans that cool to a temperature, servos, and the commands that ask them. */
#include "tests/sim/job_rig.h"

#include "base/mem.h"
#include "firmware/plant/plant.h"
#include "firmware/port/sim/sim_board.h"
#include "server/machine/printer.h"

#include <math.h>

static void set_switch(struct rig *rig, const char *name, bool is_active)
{
    size_t index = plant_find_switch(rig_plant(rig), name);
    assert_true(index != SIZE_MAX);
    plant_set_switch(rig_plant(rig), index, is_active);
}

static void expect_console(struct rig *rig, const char *words)
{
    if (!strstr(rig_console(rig), words))
        fail_msg("the console lacks \"%s\":\n%s", words, rig_console(rig));
}

static size_t count_in(const char *text, const char *word)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, word)); at++)
        count++;
    return count;
}

/* --- buttons --- */

static void buttons_run_their_scripts_once_a_press(void **unused)
{
    (void)unused;
    struct rig *rig =
        job_rig_start(CONFIG_BASE "[gcode_button one]\npin: ^!PD1\npress_gcode: M118 pressed\nrelease_gcode: M118 released\n"
                                  "[gcode_button slow]\npin: ^PD2\ndebounce_delay: 0.5\npress_gcode: M118 slowly\n");
    rig_run(rig, 3); /* the board begins to look */
    for (int i = 1; i <= 40; i++) { /* more than a count of 8 bits holds, together with the releases below */
        set_switch(rig, "gcode_button one", true);
        rig_run(rig, 0.05);
        expect_status(rig, "gcode_button one", "state", "\"PRESSED\"");
        set_switch(rig, "gcode_button one", false);
        rig_run(rig, 0.05);
        expect_status(rig, "gcode_button one", "state", "\"RELEASED\"");
        assert_int_equal(count_in(rig_console(rig), "echo: pressed"), i);
        assert_int_equal(count_in(rig_console(rig), "echo: released"), i);
    }
    script(rig, "QUERY_BUTTON BUTTON=one");
    expect_console(rig, "one: RELEASED");
    set_switch(rig, "gcode_button slow", true); /* a bounce of 0.3 s is no press */
    rig_run(rig, 0.3);
    set_switch(rig, "gcode_button slow", false);
    rig_run(rig, 2);
    assert_null(strstr(rig_console(rig), "slowly"));
    set_switch(rig, "gcode_button slow", true);
    rig_run(rig, 0.6);
    assert_int_equal(count_in(rig_console(rig), "echo: slowly"), 1);
    rig_destroy(rig);
}

static uint32_t analog_level(void *ctx, struct mcu_ticks clock)
{
    (void)clock;
    return *(const uint32_t *)ctx;
}

static uint32_t ladder_level(double ohm)
{
    return (uint32_t)(ohm / (ohm + 4700) * SIM_ADC_MAX);
}

static void buttons_of_a_resistor_ladder_share_a_pin(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(
        CONFIG_BASE "[gcode_button up]\npin: PC9\nanalog_range: 900, 1100\npress_gcode: M118 up\n"
                    "[gcode_button down]\npin: PC9\nanalog_range: 2000, 2400\npress_gcode: M118 down\n");
    uint32_t level = SIM_ADC_MAX;
    struct sim_board *board = rig_board(rig, "mcu");
    sim_board_set_input(board, sim_board_pin(board, "PC9"), analog_level, &level);
    rig_run(rig, 3);
    level = ladder_level(1000);
    rig_run(rig, 0.2);
    expect_status(rig, "gcode_button up", "state", "\"PRESSED\"");
    expect_status(rig, "gcode_button down", "state", "\"RELEASED\"");
    level = ladder_level(2200);
    rig_run(rig, 0.2);
    expect_status(rig, "gcode_button up", "state", "\"RELEASED\"");
    expect_status(rig, "gcode_button down", "state", "\"PRESSED\"");
    level = ladder_level(1500); /* in no range */
    rig_run(rig, 0.2);
    expect_status(rig, "gcode_button down", "state", "\"RELEASED\"");
    assert_int_equal(count_in(rig_console(rig), "echo: up"), 1);
    assert_int_equal(count_in(rig_console(rig), "echo: down"), 1);
    rig_destroy(rig);
}

/* --- filament --- */

#define SWITCH_SENSOR                                                                                                  \
    CONFIG_BASE "[filament_switch_sensor runout]\nswitch_pin: ^PD3\nrunout_gcode:\n  M118 ran out\n"                   \
                "insert_gcode: M118 came in\n"

static void runout_pauses_the_print_and_resume_goes_on(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(SWITCH_SENSOR);
    wait_status(rig, "filament_switch_sensor runout", "filament_detected", "true", 2);
    script(rig, HOME);
    add_squares(rig, "squares.gcode", 20);
    script(rig, "SDCARD_PRINT_FILE FILENAME=squares.gcode");
    rig_run(rig, 8);
    expect_status(rig, "print_stats", "state", "\"printing\"");
    set_switch(rig, "filament_switch_sensor runout", false);
    wait_status(rig, "pause_resume", "is_paused", "true", 10);
    expect_console(rig, "runout event detected");
    wait_status(rig, "print_stats", "state", "\"paused\"", 10);
    rig_run(rig, 5);
    expect_console(rig, "echo: ran out");
    script(rig, "QUERY_FILAMENT_SENSOR SENSOR=runout");
    expect_console(rig, "Filament Sensor runout: filament not detected");
    set_switch(rig, "filament_switch_sensor runout", true);
    rig_run(rig, 1);
    expect_console(rig, "echo: came in");
    script(rig, "RESUME");
    wait_status(rig, "print_stats", "state", "\"complete\"", 600);
    assert_int_equal(count_in(rig_console(rig), "echo: ran out"), 1);
    rig_destroy(rig);
}

static void a_sensor_that_is_off_or_idle_starts_nothing(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(SWITCH_SENSOR);
    rig_run(rig, 3);
    set_switch(rig, "filament_switch_sensor runout", false); /* nothing prints */
    rig_run(rig, 5);
    assert_null(strstr(rig_console(rig), "ran out"));
    script(rig, "SET_FILAMENT_SENSOR SENSOR=runout ENABLE=0");
    expect_status(rig, "filament_switch_sensor runout", "enabled", "false");
    set_switch(rig, "filament_switch_sensor runout", true);
    rig_run(rig, 5);
    assert_null(strstr(rig_console(rig), "came in"));
    expect_status(rig, "filament_switch_sensor runout", "filament_detected", "true");
    rig_destroy(rig);
}

static void a_jam_stops_the_wheel_and_the_print(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE "[filament_motion_sensor wheel]\nswitch_pin: PD4\nextruder: extruder\n"
                                                "detection_length: 6\n");
    size_t wheel = plant_find_wheel(rig_plant(rig), "filament_motion_sensor wheel");
    assert_true(wheel != SIZE_MAX);
    script(rig, HOME);
    add_squares(rig, "squares.gcode", 40); /* 4 mm of filament each */
    script(rig, "SDCARD_PRINT_FILE FILENAME=squares.gcode");
    rig_run(rig, 30);
    expect_status(rig, "print_stats", "state", "\"printing\"");
    expect_status(rig, "filament_motion_sensor wheel", "filament_detected", "true");
    plant_jam_wheel(rig_plant(rig), wheel, true);
    size_t motor = plant_find_motor(rig_plant(rig), "extruder");
    double before_mm = plant_motor_mm(rig_plant(rig), motor);
    wait_status(rig, "filament_motion_sensor wheel", "filament_detected", "false", 60);
    double moved_mm = plant_motor_mm(rig_plant(rig), motor) - before_mm;
    print_message("noticed after %.2f mm\n", moved_mm);
    assert_true(moved_mm > 3.9 && moved_mm < 8); /* the wheel's last change was up to 2 mm before */
    wait_status(rig, "pause_resume", "is_paused", "true", 10);
    rig_destroy(rig);
}

/* --- temperatures --- */

static void chips_and_combinations_have_temperatures(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(
        CONFIG_BASE "[temperature_sensor chip]\nsensor_type: temperature_mcu\nmin_temp: 0\nmax_temp: 100\n"
                    "[temperature_sensor own]\nsensor_type: Generic 3950\nsensor_pin: PC7\n"
                    "[temperature_sensor both]\nsensor_type: temperature_combined\nmaximum_deviation: 20\n"
                    "combination_method: mean\nsensor_list: temperature_sensor chip, temperature_sensor own\n");
    rig_run(rig, 5);
    double chip = rig_status_number(rig, "temperature_sensor chip", "temperature");
    double own = rig_status_number(rig, "temperature_sensor own", "temperature");
    double both = rig_status_number(rig, "temperature_sensor both", "temperature");
    print_message("chip %.2f own %.2f both %.2f C\n", chip, own, both);
    assert_true(fabs(chip - 35) < 0.5); /* the plant's chip is 10 C above the room */
    assert_true(fabs(own - 25) < 0.5);
    assert_true(fabs(both - (chip + own) / 2) < 0.1);
    assert_true(fabs(rig_status_number(rig, "temperature_combined both", "temperature") - both) < 0.1);
    script(rig, "QUERY_ADC");
    expect_console(rig, "Available ADC objects: \"extruder\", \"temperature_sensor chip\", \"temperature_sensor own\"");
    script(rig, "QUERY_ADC NAME=\"temperature_sensor own\" PULLUP=4700");
    expect_console(rig, "ADC object \"temperature_sensor own\" has value 0.95");
    const char *resistance = strstr(rig_console(rig), "resistance ");
    assert_non_null(resistance);
    assert_true(fabs(strtod(resistance + strlen("resistance "), NULL) - 100000) < 1500); /* 100 kohm at 25 C */
    expect_console(rig, "(with 4700 pullup)");
    plant_fault_sensor(rig_plant(rig), plant_find_sensor(rig_plant(rig), "temperature_sensor own"), PLANT_SENSOR_SHORTED);
    rig_run(rig, 5);
    if (!strstr(printer_state_message(rig_printer(rig)), "COMBINED SENSOR maximum deviation exceeded limit of 20.0"))
        fail_msg("%s", printer_state_message(rig_printer(rig)));
    rig_destroy(rig);
}

static void a_hot_chip_stops_the_printer(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE "[temperature_sensor chip]\nsensor_type: temperature_mcu\nmin_temp: 0\n"
                                                "max_temp: 60\nsensor_temperature1: 30\nsensor_adc1: 0.4268\n");
    rig_run(rig, 5);
    /* 1.43 V - 10 C * 4.3 mV of 3.3 V is a ratio of 0.42030, which is (0.4268 - 0.4203) * 3.3 / 0.0043 = 5 C above 30 C */
    assert_true(fabs(rig_status_number(rig, "temperature_sensor chip", "temperature") - 35) < 0.5);
    plant_set_ambient_c(rig_plant(rig), 55);
    rig_run(rig, 5);
    if (!strstr(printer_state_message(rig_printer(rig)), "ADC out of range"))
        fail_msg("%s", printer_state_message(rig_printer(rig)));
    rig_destroy(rig);
}

static void a_fan_cools_to_its_target(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(
        CONFIG_BASE "[temperature_fan box]\npin: PD5\nsensor_type: Generic 3950\nsensor_pin: PC7\nmin_temp: 0\n"
                    "max_temp: 90\ntarget_temp: 30\ncontrol: pid\npid_Kp: 40\npid_Ki: 0.5\npid_Kd: 40\nmin_speed: 0.2\n"
                    "gcode_id: F\n"
                    "[temperature_fan plain]\npin: PD6\nsensor_type: Generic 3950\nsensor_pin: PC8\nmin_temp: 0\n"
                    "max_temp: 90\ntarget_temp: 30\ncontrol: watermark\nmax_delta: 1\nmax_speed: 0.8\n");
    rig_run(rig, 30);
    expect_status(rig, "temperature_fan box", "target", "30.0");
    expect_status(rig, "temperature_fan box", "speed", "0.2"); /* cool enough: the least */
    expect_status(rig, "temperature_fan plain", "speed", "0.0");
    plant_set_ambient_c(rig_plant(rig), 50);
    rig_run(rig, 30);
    expect_status(rig, "temperature_fan box", "speed", "1.0");
    expect_status(rig, "temperature_fan plain", "speed", "0.8");
    assert_true(plant_fan_speed(rig_plant(rig), 0) > 0.95);
    script(rig, "SET_TEMPERATURE_FAN_TARGET TEMPERATURE_FAN=box TARGET=0");
    rig_run(rig, 5);
    expect_status(rig, "temperature_fan box", "speed", "0.0");
    script(rig, "SET_TEMPERATURE_FAN_TARGET TEMPERATURE_FAN=box MAX_SPEED=0.5");
    rig_run(rig, 5);
    expect_status(rig, "temperature_fan box", "target", "30.0");
    expect_status(rig, "temperature_fan box", "speed", "0.5");
    assert_int_not_equal(rig_script(rig, "SET_TEMPERATURE_FAN_TARGET TEMPERATURE_FAN=box TARGET=95", 5), OK);
    assert_non_null(strstr(rig_error(rig), "Requested temperature (95.0) out of range (0.0:90.0)"));
    assert_int_not_equal(rig_script(rig, "SET_TEMPERATURE_FAN_TARGET TEMPERATURE_FAN=box MIN_SPEED=0.9", 5), OK);
    assert_non_null(strstr(rig_error(rig), "Requested min speed (0.9) is greater than max speed (0.5)"));
    rig_clear_console(rig);
    script(rig, "M105");
    expect_console(rig, "F:50.0 /30.0");
    rig_destroy(rig);
}

/* --- motion --- */

static void retraction_goes_back_and_forth(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE "[firmware_retraction]\nretract_length: 2\nunretract_extra_length: 0.5\n");
    double pos[4];
    script(rig, HOME "\nG92 E0\nG1 E5\nG10\nG10\nM400");
    position(rig, pos);
    assert_float_equal(pos[3], 3, 1e-6); /* the second one does nothing */
    script(rig, "G11\nG11\nM400");
    position(rig, pos);
    assert_float_equal(pos[3], 5.5, 1e-6);
    script(rig, "SET_RETRACTION RETRACT_LENGTH=1 RETRACT_SPEED=40\nG10\nG1 X10 E6\nM400");
    expect_status(rig, "firmware_retraction", "retract_length", "1.0");
    expect_status(rig, "firmware_retraction", "retract_speed", "40.0");
    position(rig, pos);
    assert_float_equal(pos[3], 5.5, 1e-6); /* 5.5 - 1, then on to 6 in G-code's view, which did not see the retraction */
    script(rig, "GET_RETRACTION");
    expect_console(rig, "RETRACT_LENGTH=1.00000 RETRACT_SPEED=40.00000 UNRETRACT_EXTRA_LENGTH=0.50000 UNRETRACT_SPEED=10.00000");
    assert_int_not_equal(rig_script(rig, "SET_RETRACTION RETRACT_LENGTH=3 RETRACT_SPEED=0.5", 5), OK);
    expect_status(rig, "firmware_retraction", "retract_length", "1.0");
    rig_destroy(rig);
}

static void a_tower_tunes_by_height(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE);
    script(rig, HOME "\nM83\nTUNING_TOWER COMMAND=SET_PRESSURE_ADVANCE PARAMETER=ADVANCE START=0.01 FACTOR=0.02 BAND=1");
    expect_console(rig, "Starting tuning test (start=0.010000 factor=0.020000 band=1.000000)");
    script(rig, "G1 X10 Z0.2 E1 F3000\nM400\nG4 P500");
    expect_status(rig, "extruder", "pressure_advance", "0.02"); /* the middle of the first band: 0.01 + 0.5 * 0.02 */
    script(rig, "G1 X20 Z0.8 E1\nG1 Z5\nG1 Z0.8\nM400\nG4 P500");
    expect_status(rig, "extruder", "pressure_advance", "0.02"); /* a travel is no layer */
    script(rig, "G1 X30 Z3.1 E1\nM400\nG4 P500");
    expect_status(rig, "extruder", "pressure_advance", "0.08");
    script(rig, "G1 X40 Z0.4 E1\nM400");
    expect_console(rig, "Ending tuning test mode");
    double pos[4];
    position(rig, pos);
    assert_float_equal(pos[0], 40, 1e-9);
    script(rig, "TUNING_TOWER COMMAND=M220 PARAMETER=S START=100 STEP_DELTA=-10 STEP_HEIGHT=2 SKIP=1\n"
                "G1 X10 Z0.5 E1\nG1 X20 Z5.5 E1\nM400");
    expect_status(rig, "gcode_move", "speed_factor", "0.8");
    static const struct {
        const char *line, *words;
    } cases[] = {
        {"TUNING_TOWER COMMAND=M221 PARAMETER=S FACTOR=1 STEP_DELTA=1 STEP_HEIGHT=1",
         "Cannot specify both FACTOR and STEP_DELTA/STEP_HEIGHT"},
        {"TUNING_TOWER COMMAND=M221 PARAMETER=S STEP_DELTA=1", "Must specify both STEP_DELTA and STEP_HEIGHT"},
        {"TUNING_TOWER COMMAND=M221", "missing PARAMETER"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_not_equal(rig_script(rig, cases[i].line, 5), OK);
        assert_non_null(strstr(rig_error(rig), cases[i].words));
    }
    rig_destroy(rig);
}

/* --- lamps --- */

struct lamps {
    size_t count; /* pictures shown */
    uint8_t data[64];
    size_t len;
};

static void on_lamps(void *ctx, const uint8_t *data, size_t len)
{
    struct lamps *l = ctx;
    l->count++;
    l->len = len;
    memcpy(l->data, data, len < sizeof l->data ? len : sizeof l->data);
}

static void lamps_show_their_colours(void **unused)
{
    (void)unused;
    struct lamps lamps = {0};
    struct rig *rig = job_rig_start(
        CONFIG_BASE "[neopixel strip]\npin: PD8\nchain_count: 5\ncolor_order: GRB, GRB, GRB, GRB, RGBW\ninitial_RED: 0.2\n"
                    "[display_template glow]\nparam_level: 0.5\n"
                    "text: {param_level}, 0.0, {printer.heater_bed.target|default(1) if 0 else 1}\n"
                    "[led lamp]\nred_pin: PD9\nblue_pin: !PD10\nhardware_pwm: True\ninitial_BLUE: 0.25\n");
    struct sim_board *board = rig_board(rig, "mcu");
    sim_board_watch_leds(board, sim_board_pin(board, "PD8"), on_lamps, &lamps);
    script(rig, "SET_LED LED=strip RED=1 GREEN=0.5 BLUE=0 INDEX=2");
    rig_run(rig, 0.5);
    assert_int_equal(lamps.len, 16);
    static const uint8_t first[16] = {0, 51, 0, 128, 255, 0, 0, 51, 0, 0, 51, 0, 51, 0, 0, 0};
    assert_memory_equal(lamps.data, first, 16);
    expect_status(rig, "neopixel strip", "color_data",
                  "[[0.2, 0.0, 0.0, 0.0], [1.0, 0.5, 0.0, 0.0], [0.2, 0.0, 0.0, 0.0], [0.2, 0.0, 0.0, 0.0], [0.2, 0.0, 0.0, 0.0]]");
    size_t before = lamps.count;
    script(rig, "SET_LED LED=strip WHITE=1 TRANSMIT=0\nSET_LED LED=strip BLUE=1 WHITE=1 INDEX=5 TRANSMIT=0");
    rig_run(rig, 0.5);
    assert_int_equal(lamps.count, before);
    script(rig, "SET_LED LED=strip GREEN=1 INDEX=1");
    rig_run(rig, 0.5);
    static const uint8_t second[16] = {255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255};
    assert_memory_equal(lamps.data, second, 16);
    script(rig, HOME);
    before = lamps.count;
    rig_begin_script(rig, "G1 X100 F600\nSET_LED LED=strip RED=1\nG1 X0 F6000\nM400"); /* 10 s, then the colour */
    rig_run(rig, 8);
    assert_int_equal(lamps.count, before);
    rig_run(rig, 4);
    assert_int_equal(lamps.count, before + 1);
    rig_run(rig, 20);
    rig_begin_script(rig, "G1 X100 F600\nSET_LED LED=strip BLUE=1 SYNC=0\nM400");
    rig_run(rig, 2);
    assert_int_equal(lamps.count, before + 2);
    rig_run(rig, 20);
    script(rig, "SET_LED_TEMPLATE LED=strip TEMPLATE=glow PARAM_LEVEL=0.4 INDEX=3");
    rig_run(rig, 2);
    assert_int_equal(lamps.data[7], 102);
    assert_int_equal(lamps.data[8], 255);
    script(rig, "SET_LED LED=strip");
    rig_run(rig, 2);
    for (int i = 0; i < 16; i++)
        assert_int_equal(lamps.data[i], 0); /* a colour of one's own ends the template */
    assert_int_not_equal(rig_script(rig, "SET_LED LED=strip INDEX=6", 5), OK);
    assert_int_not_equal(rig_script(rig, "SET_LED LED=strip RED=1.5", 5), OK);
    assert_int_not_equal(rig_script(rig, "SET_LED_TEMPLATE LED=strip TEMPLATE=nobody", 5), OK);

    uint32_t red = sim_board_pin(board, "PD9"), blue = sim_board_pin(board, "PD10");
    assert_int_equal(sim_board_level(board, blue), SIM_PWM_MAX * 3 / 4); /* inverted */
    script(rig, "SET_LED LED=lamp RED=0.5 GREEN=1");
    rig_run(rig, 1);
    assert_int_equal(sim_board_level(board, red), SIM_PWM_MAX / 2);
    assert_int_equal(sim_board_level(board, blue), SIM_PWM_MAX);
    expect_status(rig, "led lamp", "color_data", "[[0.5, 1.0, 0.0, 0.0]]");
    rig_destroy(rig);
}

static void servos_turn(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE "[servo arm]\npin: PD7\nminimum_pulse_width: 0.0005\n"
                                                "maximum_pulse_width: 0.0025\ninitial_angle: 90\n");
    expect_status(rig, "servo arm", "value", "0.075"); /* 1.5 ms of 20 */
    script(rig, "SET_SERVO SERVO=arm ANGLE=180");
    expect_status(rig, "servo arm", "value", "0.125");
    script(rig, "SET_SERVO SERVO=arm WIDTH=0.001");
    expect_status(rig, "servo arm", "value", "0.05");
    script(rig, "SET_SERVO SERVO=arm WIDTH=0");
    expect_status(rig, "servo arm", "value", "0.0");
    assert_int_not_equal(rig_script(rig, "SET_SERVO SERVO=arm", 5), OK);
    assert_non_null(strstr(rig_error(rig), "missing ANGLE"));
    rig_destroy(rig);
}

static void wrong_sections_are_refused(void **unused)
{
    (void)unused;
    static const struct {
        const char *section, *words;
    } cases[] = {
        {"[filament_motion_sensor m]\nswitch_pin: PD4\nextruder: extruder7\n", "Unknown extruder 'extruder7'"},
        {"[temperature_sensor c]\nsensor_type: temperature_mcu\nsensor_mcu: nobody\n", "nobody"},
        {"[temperature_sensor c]\nsensor_type: temperature_mcu\nsensor_temperature1: 20\n", "sensor_adc1"},
        {"[temperature_sensor c]\nsensor_type: temperature_combined\nsensor_list: heater_bed\ncombination_method: max\n"
         "maximum_deviation: 5\n",
         "Unknown sensor 'heater_bed'"},
        {"[temperature_sensor c]\nsensor_type: temperature_combined\nsensor_list: extruder\ncombination_method: max\n"
         "maximum_deviation: 5\n[temperature_fan c]\nsensor_type: temperature_combined\nsensor_list: extruder\n"
         "combination_method: max\nmaximum_deviation: 5\npin: PD1\nmin_temp: 0\nmax_temp: 50\ncontrol: watermark\n",
         "Printer object 'temperature_combined c' already created"},
        {"[gcode_button b]\npin: PD1\nanalog_range: 200, 100\npress_gcode: M117\n", "lower resistance first"},
        {"[gcode_button b]\npin: PD1\npress_gcode: {% if %}\n", "press_gcode"},
        {"[neopixel n]\npin: PD8\ncolor_order: GRX\n", "Invalid color_order 'GRX'"},
        {"[neopixel n]\npin: PD8\nchain_count: 3\ncolor_order: GRB, RGB\n", "does not match chain_count"},
        {"[neopixel n]\npin: PD8\nchain_count: 200\n", "too long"},
        {"[led l]\ninitial_RED: 1\n", "at least one of red_pin"},
        {"[servo s]\npin: PD7\nmaximum_servo_angle: 0\n", "maximum_servo_angle"},
        {"[servo s]\npin: PD7\nmaximum_pulse_width: 0.0005\n", "maximum_pulse_width"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = mem_sprintf("%s%s", CONFIG_BASE, cases[i].section);
        struct rig *rig = rig_create(&(struct rig_options){.config_text = text, .seed = 1});
        rig_run(rig, 3);
        const char *message = printer_state_message(rig_printer(rig));
        if (printer_state(rig_printer(rig)) != PRINTER_ERROR || !strstr(message, cases[i].words))
            fail_msg("%s: %s", cases[i].section, message);
        rig_destroy(rig);
        mem_free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buttons_run_their_scripts_once_a_press),
        cmocka_unit_test(buttons_of_a_resistor_ladder_share_a_pin),
        cmocka_unit_test(runout_pauses_the_print_and_resume_goes_on),
        cmocka_unit_test(a_sensor_that_is_off_or_idle_starts_nothing),
        cmocka_unit_test(a_jam_stops_the_wheel_and_the_print),
        cmocka_unit_test(chips_and_combinations_have_temperatures),
        cmocka_unit_test(a_hot_chip_stops_the_printer),
        cmocka_unit_test(a_fan_cools_to_its_target),
        cmocka_unit_test(retraction_goes_back_and_forth),
        cmocka_unit_test(a_tower_tunes_by_height),
        cmocka_unit_test(lamps_show_their_colours),
        cmocka_unit_test(servos_turn),
        cmocka_unit_test(wrong_sections_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
