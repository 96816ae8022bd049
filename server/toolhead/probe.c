/* The probe of the bed: descents, series of them, and the section [probe], a switch beside the nozzle that the bed closes.
 * Its commands are in probe_commands.c. */
#include "server/machine/motion_stream.h"
#include "server/toolhead/probe_device.h"

#include "base/mem.h"
#include "motion/engine.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/gcode/gcode_move.h"
#include "server/machine/printer.h"
#include "server/machine/script.h"
#include "server/machine/status.h"
#include "server/toolhead/toolhead.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define AXIS_Z 4u

/* What [probe] has besides: scripts that put the probe out and take it in. */
struct probe_scripts {
    struct printer *printer;
    struct script *activate, *deactivate;
};

static struct probe *probe_of(void *obj)
{
    return obj;
}

struct probe *printer_probe(const struct printer *printer)
{
    struct probe *probe = probe_of(printer_find_object(printer, "probe"));
    return probe && probe->section ? probe : NULL;
}

void probe_offsets(const struct probe *probe, double xyz_mm[3])
{
    memcpy(xyz_mm, probe->offset_mm, sizeof probe->offset_mm);
}

struct endstop *probe_endstop(struct probe *probe)
{
    return &probe->endstop;
}

enum err probe_session_read(const struct probe *probe, struct gcode_command *cmd, struct probe_session *out,
                            struct err_info *info)
{
    *out = probe->session;
    enum err e = gcode_opt_double(cmd, "PROBE_SPEED", GCODE_ABOVE(0.0), &out->speed_mm_s, info);
    if (!e)
        e = gcode_opt_double(cmd, "LIFT_SPEED", GCODE_ABOVE(0.0), &out->lift_speed_mm_s, info);
    if (!e)
        e = gcode_opt_int(cmd, "SAMPLES", GCODE_RANGE(1, PROBE_SAMPLES_MAX), &out->samples, info);
    if (!e)
        e = gcode_opt_double(cmd, "SAMPLE_RETRACT_DIST", GCODE_ABOVE(0.0), &out->retract_mm, info);
    if (!e)
        e = gcode_opt_double(cmd, "SAMPLES_TOLERANCE", GCODE_MIN(0.0), &out->tolerance_mm, info);
    if (!e)
        e = gcode_opt_int(cmd, "SAMPLES_TOLERANCE_RETRIES", GCODE_MIN(0), &out->retries, info);
    const char *how = gcode_get(cmd, "SAMPLES_RESULT");
    if (!e && how) {
        if (strcmp(how, "median") != 0 && strcmp(how, "average") != 0)
            return err_set(info, ERR_INVALID, "SAMPLES_RESULT must be median or average, not '%s'", how);
        out->is_median = how[0] == 'm';
    }
    return e;
}

enum err probe_method_read(struct gcode_command *cmd, enum probe_method *method, struct err_info *info)
{
    static const char *const scanning[] = {"scan", "rapid_scan", "tap"};
    const char *text = gcode_get(cmd, "METHOD");
    *method = PROBE_AUTOMATIC;
    if (!text || strcasecmp(text, "automatic") == 0)
        return OK;
    if (strcasecmp(text, "manual") == 0) {
        *method = PROBE_MANUAL;
        return OK;
    }
    for (size_t i = 0; i < sizeof scanning / sizeof scanning[0]; i++)
        if (strcasecmp(text, scanning[i]) == 0)
            return err_set(info, ERR_UNSUPPORTED,
                           "METHOD=%s needs an eddy current probe ([probe_eddy_current NAME]), which this program does "
                           "not support: use automatic or manual",
                           scanning[i]);
    return err_set(info, ERR_INVALID, "METHOD must be automatic or manual, not '%s'", text);
}

/* --- series --- */

static enum err call(const struct probe *probe, enum err (*fn)(void *ctx, struct err_info *info), struct err_info *info)
{
    return fn ? fn(probe->device.ctx, info) : OK;
}

/* The first error is the one to tell. */
static enum err first_of(enum err so_far, enum err now, const struct err_info *now_info, struct err_info *info)
{
    if (!so_far && now && info)
        *info = *now_info;
    return so_far ? so_far : now;
}

enum err probe_begin(struct probe *probe, struct err_info *info)
{
    (void)info;
    probe->series = probe->device.stays_out ? PROBE_SERIES_BEGUN : PROBE_SINGLE;
    return OK;
}

enum err probe_end(struct probe *probe, enum err so_far, struct err_info *info)
{
    enum probe_series series = probe->series;
    struct err_info why;
    probe->series = PROBE_SINGLE;
    if (series != PROBE_SERIES_OUT || printer_is_shutdown(probe->obj.printer))
        return so_far;
    enum err e = call(probe, probe->device.raise, &why);
    return first_of(so_far, e, &why, info);
}

enum err probe_prepare(struct probe *probe, struct err_info *info)
{
    enum err e = probe->series == PROBE_SERIES_OUT ? OK : call(probe, probe->device.lower, info);
    if (!e && probe->series == PROBE_SERIES_BEGUN)
        probe->series = PROBE_SERIES_OUT;
    return e ? e : call(probe, probe->device.arm, info);
}

enum err probe_done(struct probe *probe, enum err so_far, struct err_info *info)
{
    struct err_info why;
    if (printer_is_shutdown(probe->obj.printer))
        return so_far;
    enum err e = call(probe, probe->device.check, &why);
    so_far = first_of(so_far, e, &why, info);
    e = probe->series == PROBE_SINGLE ? call(probe, probe->device.raise, &why) : OK;
    return first_of(so_far, e, &why, info);
}

/* --- one descent --- */

static bool has_moved(const struct engine_home_result *result)
{
    for (unsigned i = 0; i < result->stepper_count; i++)
        if (result->steppers[i].start_steps != result->steppers[i].trigger_steps)
            return true;
    return false;
}

static enum err descend(struct probe *probe, double speed_mm_s, struct engine_home_result *result,
                        struct err_info *info)
{
    struct printer *printer = probe->obj.printer;
    struct toolhead *th = printer_toolhead(printer);
    double low[3], high[3];
    struct homing_event event = {AXIS_Z};
    struct engine_home_request request = {
        .queue = engine_toolhead(printer->engine),
        .speed_mm_s = speed_mm_s,
        .endstops = {probe->endstop.engine},
        .endstop_count = 1,
        .until_triggered = true,
        .is_trigger_required = true,
        .is_probe = true,
        .source = motion_source(printer),
    };
    toolhead_get_position(th, request.pos);
    toolhead_axis_range(th, low, high);
    request.pos[2] = low[2];
    printer_emit(printer, HOMING_EVENT_MOVE_BEGIN, &event);
    enum err e = engine_home(printer->engine, &request, result, info);
    printer_emit(printer, HOMING_EVENT_MOVE_END, &event);
    gcode_move_reset_position(printer_gcode_move(printer));
    if (!e && !printer->services->is_batch && !has_moved(result))
        return err_set(info, ERR_STATE, "Probe triggered prior to movement");
    return e;
}

static enum err sample(struct probe *probe, double speed_mm_s, struct probe_result *out, struct err_info *info)
{
    struct engine_home_result result = {0};
    enum err e = probe_prepare(probe, info);
    if (!e)
        e = descend(probe, speed_mm_s, &result, info);
    e = probe_done(probe, e, info);
    if (e)
        return e;
    /* Without a printer the descent ends at the lowest z; what it has found there is a flat bed, so that a mesh of it does
     * not send the moves that follow out of range. */
    if (probe->obj.printer->services->is_batch)
        result.trigger_pos[2] = probe->offset_mm[2];
    for (int i = 0; i < 3; i++) {
        out->test_mm[i] = result.trigger_pos[i];
        out->bed_mm[i] = result.trigger_pos[i] + (i < 2 ? probe->offset_mm[i] : -probe->offset_mm[2]);
    }
    printer_emit(probe->obj.printer, PROBE_EVENT_RESULT, out);
    gcode_respond_info(probe->obj.printer->gcode, "probe: at %.3f,%.3f bed will contact at z=%.6f", out->bed_mm[0],
                       out->bed_mm[1], out->bed_mm[2]);
    return OK;
}

enum err probe_lift(struct probe *probe, const struct probe_session *session, struct err_info *info)
{
    double pos[TOOLHEAD_AXES_MAX], to[TOOLHEAD_AXES_MAX];
    struct toolhead *th = printer_toolhead(probe->obj.printer);
    toolhead_get_position(th, pos);
    for (int i = 0; i < TOOLHEAD_AXES_MAX; i++)
        to[i] = NAN;
    to[2] = pos[2] + session->retract_mm;
    return toolhead_manual_move(th, to, session->lift_speed_mm_s, info);
}

/* --- several --- */

static int by_height(const void *a, const void *b)
{
    double za = ((const struct probe_result *)a)->bed_mm[2], zb = ((const struct probe_result *)b)->bed_mm[2];
    return (za > zb) - (za < zb);
}

/* Mean of samples [from, to). */
static void mean(const struct probe_result *samples, size_t from, size_t to, struct probe_result *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = from; i < to; i++)
        for (int k = 0; k < 3; k++) {
            out->bed_mm[k] += samples[i].bed_mm[k] / (double)(to - from);
            out->test_mm[k] += samples[i].test_mm[k] / (double)(to - from);
        }
}

void probe_settle(struct probe_result *samples, size_t count, bool is_median, struct probe_result *out)
{
    qsort(samples, count, sizeof *samples, by_height);
    if (is_median)
        mean(samples, (count - 1) / 2, count / 2 + 1, out);
    else
        mean(samples, 0, count, out);
}

static double range_of(const struct probe_result *samples, size_t count)
{
    double low = samples[0].bed_mm[2], high = low;
    for (size_t i = 1; i < count; i++) {
        low = fmin(low, samples[i].bed_mm[2]);
        high = fmax(high, samples[i].bed_mm[2]);
    }
    return high - low;
}

enum err probe_run(struct probe *probe, const struct probe_session *session, struct probe_result *out,
                   struct err_info *info)
{
    if (!(toolhead_homed_axes(printer_toolhead(probe->obj.printer)) & AXIS_Z))
        return err_set(info, ERR_STATE, "Must home before probe");
    struct probe_result *samples = MEM_ARRAY(struct probe_result, (size_t)session->samples);
    size_t count = 0;
    long failed = 0;
    enum err e = OK;
    while (!e && count < (size_t)session->samples) {
        e = sample(probe, session->speed_mm_s, &samples[count], info);
        if (e)
            break;
        count++;
        if (range_of(samples, count) > session->tolerance_mm) {
            if (failed++ >= session->retries) {
                e = err_set(info, ERR_STATE, "Probe samples exceed samples_tolerance");
                break;
            }
            gcode_respond_info(probe->obj.printer->gcode, "Probe samples exceed tolerance. Retrying...");
            count = 0;
        }
        if (count < (size_t)session->samples)
            e = probe_lift(probe, session, info);
    }
    if (!e)
        probe_settle(samples, count, session->is_median, out);
    mem_free(samples);
    return e;
}

/* --- making --- */

static void read_session(struct probe_session *session, struct config_section *section)
{
    session->speed_mm_s = section_float(section, "speed");
    session->lift_speed_mm_s = section_float_or(section, "lift_speed", session->speed_mm_s);
    session->samples = section_int(section, "samples");
    session->retract_mm = section_float(section, "sample_retract_dist");
    session->is_median = section_choice(section, "samples_result") == 0;
    session->tolerance_mm = section_float(section, "samples_tolerance");
    session->retries = section_int(section, "samples_tolerance_retries");
    if (session->samples > PROBE_SAMPLES_MAX)
        config_error_option(section, "samples", "Option 'samples' in section '%s' must have maximum of %d",
                            section_name(section), PROBE_SAMPLES_MAX);
}

static void probe_fill(struct probe *probe, struct config_section *section, const char *pin_option,
                       const struct probe_device *device)
{
    struct printer *printer = probe->obj.printer;
    probe->section = section_name(section);
    probe->device = *device;
    probe->endstop = (struct endstop){.printer = printer, .name = "probe"};
    pins_claim(printer->pins, section, pin_option, PIN_CAN_INVERT | PIN_CAN_PULL, NULL, &probe->endstop.pin);
    probe->offset_mm[0] = section_float(section, "x_offset");
    probe->offset_mm[1] = section_float(section, "y_offset");
    probe->offset_mm[2] = section_float(section, "z_offset");
    read_session(&probe->session, section);
    probe->chip = (struct pin_chip){.name = "probe", .owner = &probe->obj, .virtual_ctx = &probe->endstop};
    pins_add_chip(printer->pins, &probe->chip, section);
}

struct probe *probe_setup(struct printer *printer, struct config_section *section, const char *pin_option,
                          const struct probe_device *device)
{
    struct probe *probe = probe_of(printer_load_object(printer, "probe", section));
    if (!probe)
        return NULL;
    if (probe->section) {
        config_error_section(section, "Section '%s' and section '%s' exclude each other: a printer has one probe",
                             section_name(section), probe->section);
        return NULL;
    }
    probe_fill(probe, section, pin_option, device);
    return probe;
}

void probe_write_status(const struct probe *probe, struct status_writer *writer)
{
    status_string(writer, "name", probe->section);
    status_bool(writer, "last_query", probe->last_query);
    status_floats(writer, "last_probe_position", probe->last_mm, 3);
    status_float(writer, "last_z_result", probe->last_z_mm);
}

/* --- [probe] --- */

/* Run a script that must leave the toolhead where it is. */
static enum err run_still(struct probe_scripts *s, struct script *script, const char *option, struct err_info *info)
{
    double before[TOOLHEAD_AXES_MAX], after[TOOLHEAD_AXES_MAX];
    struct toolhead *th = printer_toolhead(s->printer);
    toolhead_get_position(th, before);
    enum err e = script_run(script, NULL, info);
    if (e)
        return e;
    toolhead_get_position(th, after);
    return memcmp(before, after, 3 * sizeof *before) == 0
               ? OK
               : err_set(info, ERR_STATE, "Toolhead moved during probe %s script", option);
}

static enum err activate(void *ctx, struct err_info *info)
{
    struct probe_scripts *s = ctx;
    return run_still(s, s->activate, "activate_gcode", info);
}

static enum err deactivate(void *ctx, struct err_info *info)
{
    struct probe_scripts *s = ctx;
    return run_still(s, s->deactivate, "deactivate_gcode", info);
}

/* The object exists for every kind of probe; from a section [probe] it sets up itself. */
static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct probe *probe = probe_of(obj);
    (void)info;
    if (!section_is_in_file(section))
        return OK;
    struct probe_scripts *scripts = MEM_NEW(struct probe_scripts);
    scripts->printer = obj->printer;
    scripts->activate = script_read(obj->printer, section, "activate_gcode");
    scripts->deactivate = script_read(obj->printer, section, "deactivate_gcode");
    const struct probe_device device = {.lower = activate,
                                        .raise = deactivate,
                                        .ctx = scripts,
                                        .stays_out = !section_bool(section, "deactivate_on_each_sample")};
    probe->own = scripts;
    probe_fill(probe, section, "pin", &device);
    return OK;
}

static void destroy(struct printer_object *obj)
{
    struct probe_scripts *scripts = probe_of(obj)->own;
    if (!scripts)
        return;
    script_destroy(scripts->activate);
    script_destroy(scripts->deactivate);
    mem_free(scripts);
}

static void write_status(struct printer_object *obj, struct status_writer *writer)
{
    if (probe_of(obj)->section)
        probe_write_status(probe_of(obj), writer);
}

static const struct option_desc options[] = {
    {.name = "pin", .type = OPTION_PIN, .flags = OPTION_REQUIRED, .help = "Pin of the switch"},
    {.name = "deactivate_on_each_sample",
     .type = OPTION_BOOL,
     .default_text = "True",
     .help = "Run the scripts for each descent instead of once for a series"},
    PROBE_OPTIONS,
    {.name = "activate_gcode",
     .type = OPTION_TEMPLATE,
     .default_text = "",
     .help = "Script before probing; must not move"},
    {.name = "deactivate_gcode",
     .type = OPTION_TEMPLATE,
     .default_text = "",
     .help = "Script after probing; must not move"},
};
static const struct command_desc commands[] = {
    {.name = "PROBE", .params = probe_params, .help = "Probe the bed below the probe", .handler = probe_cmd_probe},
    {.name = "QUERY_PROBE", .help = "Report whether the probe is triggered", .handler = probe_cmd_query},
    {.name = "PROBE_ACCURACY",
     .params = probe_accuracy_params,
     .help = "Probe several times and print statistics",
     .handler = probe_cmd_accuracy},
    {.name = "PROBE_CALIBRATE",
     .params = probe_calibrate_params,
     .help = "Find the probe's z_offset: probe, then lower the nozzle by hand",
     .handler = probe_cmd_calibrate},
    {.name = "Z_OFFSET_APPLY_PROBE",
     .help = "Fold the G-code Z offset into the probe's z_offset",
     .handler = probe_cmd_apply_offset},
};
static const struct status_field_desc fields[] = {PROBE_FIELDS};
static const struct event_desc events[] = {{PROBE_EVENT_RESULT, "a descent has ended; data: struct probe_result *"}};

const struct object_desc probe_desc = {
    .section = "probe",
    .flags = OBJECT_EXACT | OBJECT_ON_DEMAND,
    .help = "Probe of the bed",
    .size_bytes = sizeof(struct probe),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    OBJECT_EVENTS(events),
    .create = create,
    .destroy = destroy,
    .status = write_status,
};
