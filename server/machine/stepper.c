/* Steppers and endstops: options, pins, configuration of their boards, description to the engine. */
#include "server/machine/stepper.h"
#include "base/mem.h"
#include "motion/board.h"
#include "motion/engine.h"
#include "server/config/config.h"
#include "server/machine/motion_registry.h"
#include "server/machine/printer.h"

#include <string.h>

#define STEP_PULSE_DEFAULT_S 0.000002

const struct option_desc stepper_options[] = {
    {.name = "step_pin", .type = OPTION_PIN, .flags = OPTION_REQUIRED, .help = "Pin that makes one step per pulse"},
    {.name = "dir_pin", .type = OPTION_PIN, .flags = OPTION_REQUIRED, .help = "Pin that gives the direction"},
    {.name = "enable_pin", .type = OPTION_PIN, .help = "Pin that switches the motor current on; none: always on"},
    {.name = "rotation_distance",
     .type = OPTION_FLOAT,
     .flags = OPTION_REQUIRED,
     .unit = "mm",
     .limits = ">0",
     .help = "Distance the axis travels in one turn"},
    {.name = "microsteps",
     .type = OPTION_INT,
     .flags = OPTION_REQUIRED,
     .limits = ">=1",
     .help = "Microsteps of the driver per full step"},
    {.name = "full_steps_per_rotation",
     .type = OPTION_INT,
     .default_text = "200",
     .limits = ">=1",
     .help = "Full steps of the motor per turn"},
    {.name = "gear_ratio",
     .type = OPTION_FLOAT_TABLE,
     .separators = ",:",
     .count = 2,
     .default_text = "",
     .help = "Gears between motor and axis, such as 80:16, 57:11"},
    {.name = "step_pulse_duration",
     .type = OPTION_FLOAT,
     .unit = "s",
     .limits = ">=0 <=0.001",
     .help = "Shortest time between the edges of a step pulse; 2 us without it"},
};
const size_t stepper_option_count = sizeof stepper_options / sizeof stepper_options[0];

/* Product of "a:b" pairs: turns of the motor per turn of the axis. */
static double gear_ratio(struct config_section *section)
{
    struct config_number_table table = section_number_table(section, "gear_ratio");
    double ratio = 1.0;
    for (size_t i = 0; i < table.count; i++) {
        const double *gear = table.rows[i].items;
        if (!(gear[0] > 0 && gear[1] > 0)) {
            config_error_option(section, "gear_ratio",
                                "Option 'gear_ratio' in section '%s' needs numbers above 0 "
                                "(found: %g:%g, expected: pairs such as 80:16)",
                                section_name(section), gear[0], gear[1]);
            return 1.0;
        }
        ratio *= gear[0] / gear[1];
    }
    return ratio;
}

void stepper_setup(struct stepper *stepper, struct printer *printer, struct config_section *section)
{
    section_bind(section, stepper_options, stepper_option_count);
    stepper->printer = printer;
    stepper->section = section;
    stepper->name = section_name(section);
    pins_claim(printer->pins, section, "step_pin", PIN_CAN_INVERT, NULL, &stepper->step_pin);
    pins_claim(printer->pins, section, "dir_pin", PIN_CAN_INVERT, NULL, &stepper->dir_pin);
    stepper->rotation_distance_mm = section_float(section, "rotation_distance");
    int microsteps = section_int(section, "microsteps");
    int full_steps = section_int(section, "full_steps_per_rotation");
    stepper->steps_per_rotation = (double)full_steps * microsteps * gear_ratio(section);
    stepper->step_dist_mm = stepper->rotation_distance_mm / stepper->steps_per_rotation;
    stepper->step_pulse_s = section_has(section, "step_pulse_duration") ? section_float(section, "step_pulse_duration")
                                                                        : STEP_PULSE_DEFAULT_S;
    stepper->enable = stepper_enable_setup(printer, section);
    registry_add_stepper(printer, stepper);
}

enum err stepper_connect(struct stepper *stepper, struct engine_queue *queue, unsigned rail, struct err_info *info)
{
    stepper->board = pin_board(&stepper->step_pin);
    if (!stepper->board)
        return err_set(info, ERR_INVALID, "Stepper '%s': step_pin is not on a board", stepper->name);
    if (pin_board(&stepper->dir_pin) != stepper->board)
        return err_set(info, ERR_INVALID, "Stepper dir pin must be on same mcu as step pin");
    struct board *board = stepper->board;
    stepper->oid = board_oid(board);
    unsigned pulse_ticks = (unsigned)(stepper->step_pulse_s * board_freq_hz(board));
    board_config(board, BOARD_CONFIG, "config_stepper oid=%u step_pin=%s dir_pin=%s invert_step=%d step_pulse_ticks=%u",
                 stepper->oid, stepper->step_pin.name, stepper->dir_pin.name, (int)stepper->step_pin.is_inverted,
                 pulse_ticks);
    board_config(board, BOARD_RESTART, "reset_step_clock oid=%u clock=0", stepper->oid);
    struct engine_enable *enable = NULL;
    if (stepper->enable) {
        enum err e = stepper_enable_connect(stepper->enable, info);
        if (e)
            return e;
        enable = stepper_enable_engine(stepper->enable);
    }
    struct engine_stepper_spec spec = {
        .name = stepper->name,
        .board = board,
        .oid = stepper->oid,
        .step_dist_mm = stepper->step_dist_mm,
        .is_dir_inverted = stepper->dir_pin.is_inverted,
        .queue = queue,
        .rail = rail,
        .enable = enable,
    };
    return engine_add_stepper(stepper->printer->engine, &spec, &stepper->engine, info);
}

const char *stepper_short_name(const char *name)
{
    static const char prefix[] = "stepper_";
    return strncmp(name, prefix, sizeof prefix - 1) == 0 ? name + sizeof prefix - 1 : name;
}

/* --- endstops --- */

struct endstop *endstop_setup(struct printer *printer, struct config_section *section, const char *name)
{
    struct pin_ref pin;
    if (!pins_claim(printer->pins, section, "endstop_pin", PIN_CAN_INVERT | PIN_CAN_PULL, "endstop", &pin))
        return NULL;
    if (pin.chip && pin.chip->virtual_ctx) {
        if (name[0] == 'z' && strcmp(pin.name, "z_virtual_endstop") == 0 && !pin.is_inverted && !pin.pull) {
            if (!pins_user(printer->pins, &pin))
                registry_add_endstop(printer, pin.chip->virtual_ctx, name, false);
            pins_set_user(printer->pins, &pin, pin.chip->virtual_ctx);
            return pin.chip->virtual_ctx;
        }
        config_error_option(section, "endstop_pin", "%s is an endstop of z only, as %s:z_virtual_endstop", pin.chip->name,
                            pin.chip->name);
        return NULL;
    }
    if (!pin.chip || !pin.chip->is_board)
        return NULL;
    struct endstop *shared = pins_user(printer->pins, &pin);
    if (shared)
        return shared;
    struct endstop *endstop = MEM_NEW(struct endstop);
    endstop->printer = printer;
    endstop->name = name;
    endstop->pin = pin;
    pins_set_user(printer->pins, &pin, endstop);
    registry_add_endstop(printer, endstop, name, true);
    return endstop;
}

enum err endstop_connect(struct endstop *endstop, struct err_info *info)
{
    if (endstop->engine)
        return OK;
    endstop->board = pin_board(&endstop->pin);
    if (!endstop->board)
        return err_set(info, ERR_INVALID, "Endstop '%s': its pin is not on a board", endstop->name);
    endstop->oid = board_oid(endstop->board);
    /* endstop_home with no samples stops a poll that was left running. */
    board_config(endstop->board, BOARD_CONFIG, "config_endstop oid=%u pin=%s pull_up=%d", endstop->oid,
                 endstop->pin.name, endstop->pin.pull);
    board_config(endstop->board, BOARD_RESTART,
                 "endstop_home oid=%u clock=0 sample_ticks=0 sample_count=0 rest_ticks=0 pin_value=0 trsync_oid=0 "
                 "trigger_reason=0",
                 endstop->oid);
    struct engine_endstop_spec spec = {
        .name = endstop->name,
        .board = endstop->board,
        .oid = endstop->oid,
        .is_inverted = endstop->pin.is_inverted,
    };
    return engine_add_endstop(endstop->printer->engine, &spec, &endstop->engine, info);
}

enum err endstop_query(struct endstop *endstop, bool *is_triggered, struct err_info *info)
{
    struct board *board = endstop->board;
    if (board_is_file(board)) {
        *is_triggered = false;
        return OK;
    }
    const struct board_format *query = board_command(board, "endstop_query_state oid=%c");
    const struct board_format *answer =
        board_response(board, "endstop_state oid=%c homing=%c next_clock=%u pin_value=%c");
    if (!query || !answer)
        return err_set(info, ERR_UNSUPPORTED, "mcu '%s' cannot report the state of endstops", board_name(board));
    struct board_reply reply;
    enum err e = board_query(board, query, BOARD_ARGS(endstop->oid), NULL, 0, (struct board_timing){0, 0, 0}, answer,
                             (int)endstop->oid, &reply, info);
    if (e)
        return e;
    *is_triggered = (board_reply_u32(&reply, "pin_value") != 0) != endstop->pin.is_inverted;
    return OK;
}
