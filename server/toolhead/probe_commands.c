/* What every probe can be told: PROBE, QUERY_PROBE, PROBE_ACCURACY, PROBE_CALIBRATE, Z_OFFSET_APPLY_PROBE. */
#include "server/toolhead/probe_device.h"

#include "base/mem.h"
#include "server/config/autosave.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/gcode/gcode_move.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/toolhead/manual_probe.h"
#include "server/toolhead/toolhead.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CALIBRATE_LIFT_MM      5.0 /* above the trigger, before the nozzle goes where the probe was */
#define CALIBRATE_SPEED_MM_S   5.0 /* SPEED, if not given */
#define CALIBRATE_TRAVEL_MM_S  50.0

/* One series of `count` results at the present place, with a lift after each if `lifts`. */
static enum err probe_series(struct probe *probe, const struct probe_session *session, struct probe_result *results,
                             size_t count, bool lifts, struct err_info *info)
{
    enum err e = probe_begin(probe, info);
    for (size_t i = 0; i < count && !e; i++) {
        e = probe_run(probe, session, &results[i], info);
        if (!e && lifts)
            e = probe_lift(probe, session, info);
    }
    return probe_end(probe, e, info);
}

enum err probe_cmd_probe(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct probe *probe = ctx;
    struct probe_session session;
    struct probe_result result;
    enum probe_method method;
    enum err e = probe_method_read(cmd, &method, info);
    if (!e && method != PROBE_AUTOMATIC)
        return err_set(info, ERR_INVALID, "PROBE probes with the probe: METHOD=manual is that of MANUAL_PROBE");
    if (!e)
        e = probe_session_read(probe, cmd, &session, info);
    if (!e)
        e = probe_series(probe, &session, &result, 1, false, info);
    if (e)
        return e;
    memcpy(probe->last_mm, result.bed_mm, sizeof probe->last_mm);
    probe->last_z_mm = result.test_mm[2];
    printer_status_touch(&probe->obj);
    gcode_respond_info(gcode_of(cmd), "Result: at %.3f,%.3f estimate contact at z=%.6f", result.bed_mm[0],
                       result.bed_mm[1], result.bed_mm[2]);
    return OK;
}

enum err probe_cmd_query(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct probe *probe = ctx;
    bool is_triggered = false;
    enum err e = toolhead_wait_moves(printer_toolhead(probe->obj.printer), info);
    if (!e)
        e = endstop_query(&probe->endstop, &is_triggered, info);
    if (e)
        return e;
    probe->last_query = is_triggered;
    printer_status_touch(&probe->obj);
    gcode_respond_info(gcode_of(cmd), "probe: %s", is_triggered ? "TRIGGERED" : "open");
    return OK;
}

static void tell_accuracy(struct gcode *g, struct probe_result *samples, size_t count)
{
    struct probe_result average, median;
    double sum2 = 0.0;
    probe_settle(samples, count, false, &average);
    probe_settle(samples, count, true, &median);
    for (size_t i = 0; i < count; i++)
        sum2 += pow(samples[i].bed_mm[2] - average.bed_mm[2], 2.0);
    double low = samples[0].bed_mm[2], high = samples[count - 1].bed_mm[2];
    gcode_respond_info(g,
                       "probe accuracy results: maximum %.6f, minimum %.6f, range %.6f, average %.6f, median %.6f, "
                       "standard deviation %.6f",
                       high, low, high - low, average.bed_mm[2], median.bed_mm[2], sqrt(sum2 / (double)count));
}

enum err probe_cmd_accuracy(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct probe *probe = ctx;
    struct probe_session session;
    double pos[TOOLHEAD_AXES_MAX];
    long count = 10;
    enum err e = probe_session_read(probe, cmd, &session, info);
    if (!e)
        e = gcode_opt_int(cmd, "SAMPLES", GCODE_RANGE(1, PROBE_SAMPLES_MAX), &count, info);
    if (e)
        return e;
    toolhead_get_position(printer_toolhead(probe->obj.printer), pos);
    gcode_respond_info(gcode_of(cmd),
                       "PROBE_ACCURACY at X:%.3f Y:%.3f Z:%.3f (samples=%ld retract=%.3f speed=%.1f lift_speed=%.1f)",
                       pos[0], pos[1], pos[2], count, session.retract_mm, session.speed_mm_s, session.lift_speed_mm_s);
    session.samples = 1;
    struct probe_result *samples = MEM_ARRAY(struct probe_result, (size_t)count);
    e = probe_series(probe, &session, samples, (size_t)count, true, info);
    if (!e)
        tell_accuracy(gcode_of(cmd), samples, (size_t)count);
    mem_free(samples);
    return e;
}

/* --- z_offset --- */

static enum err save_offset(struct probe *probe, double z_offset_mm, struct err_info *info)
{
    char text[32];
    snprintf(text, sizeof text, "%.3f", z_offset_mm);
    enum err e = config_set_autosave(probe->obj.printer->config, probe->section, "z_offset", text, info);
    if (e)
        return e;
    gcode_respond_info(probe->obj.printer->gcode,
                       "%s: z_offset: %s\nThe SAVE_CONFIG command will update the printer config file\nwith the above "
                       "and restart the printer.",
                       probe->section, text);
    return OK;
}

enum err probe_cmd_apply_offset(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct probe *probe = ctx;
    struct gcode_move_status state;
    gcode_move_get_status(printer_gcode_move(probe->obj.printer), &state);
    if (state.homing_origin[2] != 0.0)
        return save_offset(probe, probe->offset_mm[2] - state.homing_origin[2], info);
    gcode_respond_info(gcode_of(cmd), "Nothing to do: Z Offset is 0");
    return OK;
}

/* The nozzle touches the bed where the probe has triggered: it was as high then as it has come down since. */
static enum err on_touched(void *ctx, const double *position_mm, struct err_info *info)
{
    struct probe *probe = ctx;
    return position_mm ? save_offset(probe, probe->calibrate_z_mm - position_mm[2], info) : OK;
}

/* Up, and with the nozzle to where the probe was. */
static enum err go_above(struct probe *probe, double lift_speed_mm_s, double speed_mm_s, struct err_info *info)
{
    struct toolhead *th = printer_toolhead(probe->obj.printer);
    double pos[TOOLHEAD_AXES_MAX], to[TOOLHEAD_AXES_MAX];
    toolhead_get_position(th, pos);
    for (int i = 0; i < TOOLHEAD_AXES_MAX; i++)
        to[i] = NAN;
    to[2] = pos[2] + CALIBRATE_LIFT_MM;
    enum err e = toolhead_manual_move(th, to, lift_speed_mm_s, info);
    to[2] = NAN;
    to[0] = pos[0] + probe->offset_mm[0];
    to[1] = pos[1] + probe->offset_mm[1];
    return e ? e : toolhead_manual_move(th, to, speed_mm_s, info);
}

enum err probe_cmd_calibrate(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct probe *probe = ctx;
    struct probe_session session;
    struct probe_result result;
    double speed_mm_s = CALIBRATE_SPEED_MM_S;
    enum err e = manual_probe_check_free(probe->obj.printer, info);
    if (!e)
        e = probe_session_read(probe, cmd, &session, info);
    if (!e)
        e = gcode_opt_double(cmd, "SPEED", GCODE_ABOVE(0.0), &speed_mm_s, info);
    if (!e)
        e = probe_series(probe, &session, &result, 1, false, info);
    if (!e)
        e = go_above(probe, session.lift_speed_mm_s, CALIBRATE_TRAVEL_MM_S, info);
    if (e)
        return e;
    probe->calibrate_z_mm = result.test_mm[2];
    return manual_probe_begin(probe->obj.printer, speed_mm_s, on_touched, probe, info);
}

const struct command_param probe_params[] = {
    PROBE_SESSION_PARAMS, {"SAMPLES", "int", "samples", ">=1"}, {"METHOD", "str", NULL, NULL}, {0}};
const struct command_param probe_accuracy_params[] = {PROBE_SESSION_PARAMS, {"SAMPLES", "int", "10", ">=1"}, {0}};
const struct command_param probe_calibrate_params[] = {
    PROBE_SESSION_PARAMS, {"SAMPLES", "int", "samples", ">=1"}, {"SPEED", "float", "5", ">0"}, {0}};
