#include "server/heat/fan_unit.h"

#include "base/check.h"
#include "motion/board.h"
#include "server/config/config.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#include <math.h>

#define STREAM_GAP_S 0.1     /* two changes of a fan are at least this far apart */
#define KICK_STEP 0.5        /* a gain of more than this is worth a kick start */
#define TACH_SAMPLE_S 1.0

void fan_unit_setup(struct fan_unit *fan, struct printer *printer, struct config_section *section, bool is_in_stream)
{
    *fan = (struct fan_unit){.printer = printer, .is_in_stream = is_in_stream};
    fan->max_power = section_float(section, "max_power");
    fan->kick_start_s = section_float(section, "kick_start_time");
    fan->off_below = section_float(section, "off_below");
    double cycle_s = section_float(section, "cycle_time");
    bool is_hardware = section_bool(section, "hardware_pwm");
    double shutdown = section_float(section, "shutdown_speed");
    output_claim(&fan->pwm, printer, section, "pin", true, NULL);
    output_set_max_duration(&fan->pwm, 0);
    output_set_cycle(&fan->pwm, cycle_s, is_hardware);
    shutdown = fmin(shutdown, fan->max_power);
    if (!is_hardware && shutdown > 0 && shutdown < 1)
        config_error_option(section, "shutdown_speed",
                            "Option 'shutdown_speed' in section '%s' must be 0 or 1 for software PWM (found: %g%s)",
                            section_name(section), shutdown, fan->max_power < 1 ? ", limited by max_power" : "");
    output_set_start(&fan->pwm, 0, shutdown);
    /* A kick start is two changes in a row: full power, and the speed one gap later. */
    output_set_stream_gap(&fan->pwm, fmax(STREAM_GAP_S, fan->kick_start_s));
    if (section_string(section, "enable_pin")) {
        fan->has_enable = true;
        output_claim(&fan->enable, printer, section, "enable_pin", false, NULL);
        output_set_max_duration(&fan->enable, 0);
        output_set_stream_gap(&fan->enable, fmax(STREAM_GAP_S, fan->kick_start_s));
    }
    if (section_string(section, "tachometer_pin")) {
        fan->tach_ppr = section_int(section, "tachometer_ppr");
        fan->tach_poll_s = section_float(section, "tachometer_poll_interval");
        fan->has_tachometer = pins_claim(printer->pins, section, "tachometer_pin", PIN_CAN_PULL, NULL, &fan->tach_pin);
    }
}

/* --- tachometer --- */

static void on_counter(void *ctx, const struct board_reply *reply)
{
    struct fan_unit *fan = ctx;
    struct mcu_ticks next = board_ticks_extend(fan->tach_board, board_reply_u32(reply, "next_clock"));
    struct mcu_ticks counted = board_ticks_extend(fan->tach_board, board_reply_u32(reply, "count_clock"));
    uint32_t count = board_reply_u32(reply, "count");
    struct print_time at = board_print_time(fan->tach_board, next);
    struct print_time count_time = board_print_time(fan->tach_board, counted);
    if (fan->has_tach_reading) {
        double dt = count_time.s - fan->tach_count_time.s;
        fan->tach_hz = dt > 0 ? (double)(count - fan->tach_count) / dt : 0;
    }
    fan->has_tach_reading = true;
    fan->tach_count = count;
    fan->tach_count_time = count_time;
    fan->tach_time = at;
}

static void add_counter_query(void *ctx, struct board *board)
{
    struct fan_unit *fan = ctx;
    double hz = board_freq_hz(board);
    board_config(board, BOARD_INIT, "query_counter oid=%d clock=%u poll_ticks=%u sample_ticks=%u", fan->tach_oid,
                 (uint32_t)board_query_slot(board, (unsigned)fan->tach_oid).t, (uint32_t)(fan->tach_poll_s * hz),
                 (uint32_t)(TACH_SAMPLE_S * hz));
}

static enum err connect_tachometer(struct fan_unit *fan, struct err_info *info)
{
    struct board *board = fan->tach_board = pin_board(&fan->tach_pin);
    const struct board_format *state =
        board ? board_response(board, "counter_state oid=%c next_clock=%u count=%u count_clock=%u") : NULL;
    if (!state)
        return err_set(info, ERR_UNSUPPORTED, "MCU '%s' has no pulse counters (tachometer_pin '%s')",
                       board ? board_name(board) : "?", fan->tach_pin.name);
    fan->tach_oid = (int)board_oid(board);
    board_config(board, BOARD_CONFIG, "config_counter oid=%d pin=%s pull_up=%d", fan->tach_oid, fan->tach_pin.name,
                 fan->tach_pin.pull);
    board_config_callback(board, add_counter_query, fan);
    board_on_reply(board, NULL, state, fan->tach_oid, on_counter, fan);
    return OK;
}

enum err fan_unit_connect(struct fan_unit *fan, struct err_info *info)
{
    enum err (*connect)(struct output *out, struct err_info *info) =
        fan->is_in_stream ? output_connect_stream : output_connect;
    enum err err = connect(&fan->pwm, info);
    if (err == OK && fan->has_enable)
        err = connect(&fan->enable, info);
    if (err == OK && fan->has_tachometer)
        err = connect_tachometer(fan, info);
    return err;
}

/* --- speed --- */

struct change {
    double power;      /* to send, [0, 1] */
    bool is_kick;      /* full power first */
    bool has_enable;   /* and this on the enable pin */
    bool enable;
};

/* What a speed means now; false: nothing changes. */
static bool plan_change(struct fan_unit *fan, double speed, struct change *c)
{
    if (!(speed >= fan->off_below))
        speed = 0;
    *c = (struct change){.power = fmax(0, fmin(fan->max_power, speed * fan->max_power))};
    if (c->power == fan->last_power && c->power == fan->last_speed)
        return false;
    c->has_enable = fan->has_enable && (c->power > 0) != (fan->last_speed > 0);
    c->enable = c->power > 0;
    c->is_kick = c->power > 0 && fan->kick_start_s > 0 && c->power < fan->max_power &&
                 (fan->last_speed == 0 || c->power - fan->last_speed > KICK_STEP);
    return true;
}

enum err fan_unit_set_in_stream(struct fan_unit *fan, double speed, struct err_info *info)
{
    struct change c;
    CHECK(fan->is_in_stream);
    if (!plan_change(fan, speed, &c))
        return OK;
    enum err err = c.has_enable ? output_set_in_stream(&fan->enable, c.enable, info) : OK;
    if (err == OK && c.is_kick)
        err = output_set_in_stream(&fan->pwm, fan->max_power, info);
    if (err == OK)
        err = output_set_in_stream(&fan->pwm, c.power, info);
    if (err == OK)
        fan->last_speed = fan->last_power = c.power;
    return err;
}

void fan_unit_set_now(struct fan_unit *fan, double speed)
{
    struct change c;
    CHECK(!fan->is_in_stream);
    if (!plan_change(fan, speed, &c))
        return;
    if (c.has_enable)
        output_set_now(&fan->enable, c.enable);
    if (c.is_kick) {
        output_set_now(&fan->pwm, fan->max_power);
        output_set_at(&fan->pwm, (struct print_time){fan->pwm.last_time.s + fan->kick_start_s}, c.power);
    } else {
        output_set_now(&fan->pwm, c.power);
    }
    fan->last_speed = fan->last_power = c.power;
}

void fan_unit_shutdown(struct fan_unit *fan, double shutdown_speed)
{
    fan->last_speed = fan->last_power = shutdown_speed;
}

void fan_unit_write_status(const struct fan_unit *fan, struct status_writer *writer)
{
    status_float(writer, "speed", fan->last_speed);
    if (fan->has_tachometer)
        status_float(writer, "rpm", fan->tach_hz * 30 / fan->tach_ppr); /* both edges of a pulse are counted */
    else
        status_null(writer, "rpm");
}
