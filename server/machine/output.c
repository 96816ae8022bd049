/* Digital and PWM outputs of a board. A hardware PWM pin has a message of its own; everything else is a digital output,
 * whose software PWM is "on for so many ticks of each cycle". docs/protocol.md, IO objects. */
#include "server/machine/output.h"

#include "base/check.h"
#include "base/log.h"
#include "motion/board.h"
#include "motion/engine.h"
#include "server/config/config.h"
#include "server/machine/motion_stream.h"
#include "server/machine/printer.h"

#include <math.h>

#define MAX_DURATION_DEFAULT_S 2.0
#define CYCLE_DEFAULT_S        0.1
#define FIRST_UPDATE_S         0.2  /* after the configuration: when the start value of a PWM pin takes effect */
#define CHANGE_GAP_S           0.1  /* two changes in the stream are at least this far apart */
#define LANE_BYTES             1024 /* some twenty updates */
#define SEND_AHEAD_RT_S        0.1  /* "now" on a board is at least this far in its future: with real-time rights, */
#define SEND_AHEAD_S           0.25 /* and without */
#define LATE_SHARE             0.5  /* an update nearer than this share of it might come too late */
#define TICKS_MAX              2147483648.0 /* durations must stay below half the range of a 32-bit clock */

static const char digital_format[] = "queue_digital_out oid=%c clock=%u on_ticks=%u";
static const char pwm_format[] = "queue_pwm_out oid=%c clock=%u value=%hu";

void output_claim(struct output *out, struct printer *printer, struct config_section *section, const char *option,
                  bool is_pwm, const char *share_type)
{
    *out = (struct output){.printer = printer,
                           .is_pwm = is_pwm,
                           .cycle_time_s = CYCLE_DEFAULT_S,
                           .max_duration_s = MAX_DURATION_DEFAULT_S,
                           .stream_gap_s = CHANGE_GAP_S,
                           .oid = -1};
    out->is_claimed = pins_claim(printer->pins, section, option, PIN_CAN_INVERT, share_type, &out->pin);
    if (out->is_claimed && !out->pin.chip->is_board && out->pin.chip->owner) {
        config_error_option(section, option, "Pin '%s' of '%s' cannot be an output", out->pin.name,
                            out->pin.chip->name);
        out->is_claimed = false;
    }
}

void output_set_cycle(struct output *out, double cycle_time_s, bool is_hardware_pwm)
{
    CHECK(out->is_pwm);
    out->cycle_time_s = cycle_time_s;
    out->is_hardware_pwm = is_hardware_pwm;
}

void output_set_max_duration(struct output *out, double max_duration_s)
{
    out->max_duration_s = max_duration_s;
}

void output_set_stream_gap(struct output *out, double gap_s)
{
    out->stream_gap_s = gap_s;
}

void output_set_start(struct output *out, double start_value, double shutdown_value)
{
    out->start_value = start_value;
    out->shutdown_value = shutdown_value;
    out->last_value = start_value;
}

/* What the board is told for `value` [0, 1]: on_ticks, or the PWM register's value. */
static int64_t to_wire(const struct output *out, double value)
{
    if (!(value > 0)) /* also NaN */
        value = 0;
    if (value > 1)
        value = 1;
    if (!out->is_pwm)
        return (value >= 0.5) != out->pin.is_inverted;
    if (out->pin.is_inverted)
        value = 1 - value;
    double top = out->is_hardware_pwm ? out->pwm_max : (double)out->cycle_ticks;
    return (int64_t)(value * top + 0.5);
}

/* The PWM start value, given when the clock is known, right before the handshake. */
static void add_first_update(void *ctx, struct board *board)
{
    struct output *out = ctx;
    struct host_ns now = printer_now(out->printer);
    struct print_time at = boards_est_print_time(out->printer->boards, now);
    out->last_time = (struct print_time){at.s + FIRST_UPDATE_S};
    out->last_clock = board_ticks_at(board, out->last_time);
    const char *format = out->is_hardware_pwm ? "queue_pwm_out oid=%d clock=%u value=%u"
                                              : "queue_digital_out oid=%d clock=%u on_ticks=%u";
    int64_t value = to_wire(out, out->start_value);
    board_config(board, BOARD_INIT, format, out->oid, (uint32_t)out->last_clock.t, (unsigned)value);
    if (out->is_hardware_pwm)
        board_config(board, BOARD_RESTART, format, out->oid, (uint32_t)out->last_clock.t, (unsigned)value);
}

static enum err check_ticks(const struct output *out, double seconds, const char *what, uint32_t *ticks,
                            struct err_info *info)
{
    double t = seconds * board_freq_hz(out->board);
    if (!(t < TICKS_MAX))
        return err_set(info, ERR_LIMIT, "%s of pin '%s' is too large (found: %g s, allowed: below %g s)", what,
                       out->pin.name, seconds, TICKS_MAX / board_freq_hz(out->board));
    *ticks = (uint32_t)t;
    return OK;
}

static enum err check_values(const struct output *out, struct err_info *info)
{
    if (out->max_duration_s > 0 && out->start_value != out->shutdown_value)
        return err_set(info, ERR_INVALID, "Pin '%s' with max duration must have start value equal to shutdown value",
                       out->pin.name);
    bool is_soft = out->is_pwm && !out->is_hardware_pwm;
    if (is_soft && out->shutdown_value != 0 && out->shutdown_value != 1)
        return err_set(info, ERR_INVALID, "shutdown value must be 0.0 or 1.0 on soft pwm (pin '%s')", out->pin.name);
    return OK;
}

enum err output_connect(struct output *out, struct err_info *info)
{
    CHECK(out->is_claimed);
    uint32_t duration_ticks = 0;
    enum err err = check_values(out, info);
    out->board = pin_board(&out->pin);
    CHECK(out->board);
    if (err == OK)
        err = check_ticks(out, out->max_duration_s, "max duration", &duration_ticks, info);
    if (err == OK && out->is_pwm)
        err = check_ticks(out, out->cycle_time_s, "PWM cycle time", &out->cycle_ticks, info);
    if (err != OK)
        return err;
    struct board *board = out->board;
    out->oid = (int)board_oid(board);
    out->format = board_command(board, out->is_hardware_pwm ? pwm_format : digital_format);
    if (!out->format)
        return err_set(info, ERR_UNSUPPORTED, "MCU '%s' has no %s outputs (pin '%s')", board_name(board),
                       out->is_hardware_pwm ? "hardware PWM" : "digital", out->pin.name);
    board_reserve_slots(board, 1);
    out->lane = board_lane_create(board, NULL, LANE_BYTES);
    if (out->is_hardware_pwm) {
        out->pwm_max = board_constant_number(board, "PWM_MAX", 255);
        board_config(board, BOARD_CONFIG,
                     "config_pwm_out oid=%d pin=%s cycle_ticks=%u value=%u default_value=%u max_duration=%u", out->oid,
                     out->pin.name, out->cycle_ticks, (unsigned)to_wire(out, out->start_value),
                     (unsigned)to_wire(out, out->shutdown_value), duration_ticks);
    } else {
        board_config(board, BOARD_CONFIG, "config_digital_out oid=%d pin=%s value=%d default_value=%d max_duration=%u",
                     out->oid, out->pin.name, (out->start_value >= 1.0) != out->pin.is_inverted,
                     (out->shutdown_value >= 0.5) != out->pin.is_inverted, duration_ticks);
        if (out->is_pwm)
            board_config(board, BOARD_CONFIG, "set_digital_out_pwm_cycle oid=%d cycle_ticks=%u", out->oid,
                         out->cycle_ticks);
    }
    if (out->is_pwm)
        board_config_callback(board, add_first_update, out);
    return OK;
}

enum err output_connect_stream(struct output *out, struct err_info *info)
{
    enum err err = output_connect(out, info);
    if (err != OK)
        return err;
    struct engine_output_spec spec = {.name = out->pin.name,
                                      .board = out->board,
                                      .format = out->is_hardware_pwm ? pwm_format : digital_format,
                                      .clock_index = 1,
                                      .min_interval_s = out->stream_gap_s};
    return engine_add_output(out->printer->engine, &spec, &out->stream, info);
}

static double send_ahead_s(const struct output *out)
{
    return boards_is_prompt(out->printer->boards) ? SEND_AHEAD_RT_S : SEND_AHEAD_S;
}

/* The earliest instant at which an update that leaves now is still in time, also behind the one before it: the link holds an
 * update until the last has taken effect. */
static struct print_time earliest(const struct output *out)
{
    const double ahead_s = send_ahead_s(out);
    struct print_time at = boards_est_print_time(out->printer->boards, printer_now(out->printer));
    at.s += ahead_s;
    if (at.s < out->last_time.s + ahead_s)
        at.s = out->last_time.s + ahead_s;
    return at;
}

void output_set_at(struct output *out, struct print_time when, double value)
{
    /* On a busy computer this thread may be late. An update in the past would shut the board down; a late one does not. */
    struct print_time now = boards_est_print_time(out->printer->boards, printer_now(out->printer));
    if (when.s < now.s + LATE_SHARE * send_ahead_s(out))
        when = earliest(out);
    struct mcu_ticks clock = board_ticks_at(out->board, when);
    const int64_t args[] = {out->oid, (uint32_t)clock.t, to_wire(out, value)};
    struct board_timing timing = {.min_clock = out->last_clock.t, .req_clock = clock.t};
    struct board_msg msg;
    if (board_encode(out->format, args, ARRAY_COUNT(args), NULL, 0, &msg) != OK ||
        board_lane_push(out->lane, &msg, timing) != OK) {
        /* A link with no room left is about to be reported as lost; the board's max_duration covers the output. */
        if (out->refused_count++ == 0)
            log_warn(out->printer->services->log, "output", "no room for an update", "board=%s pin=%s",
                     board_name(out->board), out->pin.name);
        return;
    }
    boards_wake(out->printer->boards);
    out->last_clock = clock;
    out->last_time = when;
    out->last_value = value;
}

void output_set_now(struct output *out, double value)
{
    output_set_at(out, earliest(out), value);
}

enum err output_set_in_stream(struct output *out, double value, struct err_info *info)
{
    CHECK(out->stream);
    const int64_t args[] = {out->oid, 0, to_wire(out, value)};
    for (;;) {
        enum err err = engine_output(out->printer->engine, out->stream, args, ARRAY_COUNT(args),
                                     motion_source(out->printer), info);
        if (err == OK)
            out->last_value = value;
        if (err != ERR_FULL)
            return err;
        err = engine_wait_room(out->printer->engine);
        if (err != OK)
            return err_set(info, err, "%s", err == ERR_SHUTDOWN ? printer_state_message(out->printer) : "cancelled");
    }
}

/* --- analog inputs --- */

void analog_in_claim(struct analog_in *adc, struct printer *printer, struct config_section *section, const char *option,
                     const char *share_type)
{
    *adc = (struct analog_in){.printer = printer,
                              .sample_time_s = 0.001,
                              .report_time_s = 0.3,
                              .sample_count = 8,
                              .range_check_count = 0,
                              .min_value = 0,
                              .max_value = 1,
                              .oid = -1};
    adc->is_claimed = pins_claim(printer->pins, section, option, 0, share_type, &adc->pin);
    if (adc->is_claimed && !adc->pin.chip->is_board && adc->pin.chip->owner) {
        config_error_option(section, option, "Pin '%s' of '%s' cannot be an analog input", adc->pin.name,
                            adc->pin.chip->name);
        adc->is_claimed = false;
    }
}

static void on_reading(void *ctx, const struct board_reply *reply)
{
    struct analog_in *adc = ctx;
    uint32_t sum;
    if (adc->has_values) {
        if (reply->data_bytes < 2)
            return;
        sum = reply->data[0] | (uint32_t)reply->data[1] << 8;
    } else {
        sum = board_reply_u32(reply, "value");
    }
    struct mcu_ticks next = board_ticks_extend(adc->board, board_reply_u32(reply, "next_clock"));
    struct mcu_ticks read = {next.t > adc->report_ticks ? next.t - adc->report_ticks : 0};
    adc->last_value = sum * adc->inv_max_adc;
    adc->last_time = board_print_time(adc->board, read);
    if (adc->callback)
        adc->callback(adc->ctx, adc->last_time, adc->last_value);
}

static uint32_t clamp_sum(double sum)
{
    return sum < 0 ? 0 : sum > 65535 ? 65535 : (uint32_t)sum;
}

/* Sampling begins at a time of its own for each input, so the query needs the clock. */
static void add_query(void *ctx, struct board *board)
{
    struct analog_in *adc = ctx;
    double max_sum = 1 / adc->inv_max_adc;
    struct mcu_ticks slot = board_query_slot(board, (unsigned)adc->oid);
    uint32_t sample_ticks = (uint32_t)(adc->sample_time_s * board_freq_hz(board));
    uint32_t low = clamp_sum(adc->min_value * max_sum), high = clamp_sum(ceil(adc->max_value * max_sum));
    if (adc->has_values)
        board_config(
            board, BOARD_INIT,
            "query_analog_in oid=%d clock=%u sample_ticks=%u sample_count=%d rest_ticks=%u bytes_per_report=%d "
            "min_value=%u max_value=%u range_check_count=%d",
            adc->oid, (uint32_t)slot.t, sample_ticks, adc->sample_count, adc->report_ticks, 2, low, high,
            adc->range_check_count);
    else
        board_config(board, BOARD_INIT,
                     "query_analog_in oid=%d clock=%u sample_ticks=%u sample_count=%d rest_ticks=%u min_value=%u "
                     "max_value=%u range_check_count=%d",
                     adc->oid, (uint32_t)slot.t, sample_ticks, adc->sample_count, adc->report_ticks, low, high,
                     adc->range_check_count);
}

enum err analog_in_connect(struct analog_in *adc, struct err_info *info)
{
    CHECK(adc->is_claimed);
    struct board *board = adc->board = pin_board(&adc->pin);
    CHECK(board);
    const struct board_format *state = board_response(board, "analog_in_state oid=%c next_clock=%u values=%*s");
    adc->has_values = state != NULL;
    if (!state)
        state = board_response(board, "analog_in_state oid=%c next_clock=%u value=%hu");
    if (!state)
        return err_set(info, ERR_UNSUPPORTED, "MCU '%s' has no analog inputs (pin '%s')", board_name(board),
                       adc->pin.name);
    adc->oid = (int)board_oid(board);
    adc->inv_max_adc = 1 / (adc->sample_count * board_constant_number(board, "ADC_MAX", 4095));
    adc->report_ticks = (uint32_t)(adc->report_time_s * board_freq_hz(board));
    board_config(board, BOARD_CONFIG, "config_analog_in oid=%d pin=%s", adc->oid, adc->pin.name);
    board_config_callback(board, add_query, adc);
    board_on_reply(board, NULL, state, adc->oid, on_reading, adc);
    return OK;
}
