/* [probe]: a switch beside the nozzle that the bed closes. */
#include "server/machine/probe.h"

#include "base/mem.h"
#include "base/strbuf.h"
#include "motion/engine.h"
#include "server/config/autosave.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/gcode/gcode_move.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/machine/stepper.h"
#include "server/machine/toolhead.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AXIS_Z 4u

struct probe {
    struct printer_object obj;
    struct endstop endstop;
    struct pin_chip chip; /* "probe": its only pin is z_virtual_endstop */
    double offset_mm[3];
    struct probe_session session;
    const char *activate, *deactivate; /* G-code */
    bool deactivates_each;
    bool last_query;
    double last_mm[3], last_z_mm; /* of the last PROBE */
};

static struct probe *probe_of(void *obj)
{
    return obj;
}

struct probe *printer_probe(const struct printer *printer)
{
    return probe_of(printer_find_object(printer, "probe"));
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

static enum err run_script(struct probe *probe, const char *script, struct err_info *info)
{
    return script && *script ? gcode_run_script(probe->obj.printer->gcode, script, strlen(script), info) : OK;
}

enum err probe_begin(struct probe *probe, struct err_info *info)
{
    return probe->deactivates_each ? OK : run_script(probe, probe->activate, info);
}

enum err probe_end(struct probe *probe, struct err_info *info)
{
    return probe->deactivates_each ? OK : run_script(probe, probe->deactivate, info);
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
        .source = toolhead_source(printer),
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
    enum err e = probe->deactivates_each ? run_script(probe, probe->activate, info) : OK;
    if (!e)
        e = descend(probe, speed_mm_s, &result, info);
    if (!e && probe->deactivates_each)
        e = run_script(probe, probe->deactivate, info);
    if (e)
        return e;
    for (int i = 0; i < 3; i++) {
        out->test_mm[i] = result.trigger_pos[i];
        out->bed_mm[i] = result.trigger_pos[i] + (i < 2 ? probe->offset_mm[i] : -probe->offset_mm[2]);
    }
    gcode_respond_info(probe->obj.printer->gcode, "probe: at %.3f,%.3f bed will contact at z=%.6f", out->bed_mm[0],
                       out->bed_mm[1], out->bed_mm[2]);
    return OK;
}

static enum err lift(struct probe *probe, const struct probe_session *session, struct err_info *info)
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

/* The mean, or the middle one (of an even number: the mean of the two in the middle). Sorts them by height. */
static void settle(struct probe_result *samples, size_t count, bool is_median, struct probe_result *out)
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
            e = lift(probe, session, info);
    }
    if (!e)
        settle(samples, count, session->is_median, out);
    mem_free(samples);
    return e;
}

/* --- commands --- */

static enum err cmd_probe(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct probe *probe = ctx;
    struct probe_session session;
    struct probe_result result;
    const char *method = gcode_get(cmd, "METHOD");
    if (method && strcmp(method, "automatic") != 0)
        return err_set(info, ERR_UNSUPPORTED, "PROBE: METHOD=%s is not available with [probe]", method);
    enum err e = probe_session_read(probe, cmd, &session, info);
    if (!e)
        e = probe_begin(probe, info);
    if (!e)
        e = probe_run(probe, &session, &result, info);
    if (!e)
        e = probe_end(probe, info);
    if (e)
        return e;
    memcpy(probe->last_mm, result.bed_mm, sizeof probe->last_mm);
    probe->last_z_mm = result.test_mm[2];
    printer_status_touch(&probe->obj);
    gcode_respond_info(gcode_of(cmd), "Result: at %.3f,%.3f estimate contact at z=%.6f", result.bed_mm[0],
                       result.bed_mm[1], result.bed_mm[2]);
    return OK;
}

static enum err cmd_query(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct probe *probe = ctx;
    struct print_time at;
    bool is_triggered = false;
    enum err e = toolhead_last_move_time(printer_toolhead(probe->obj.printer), &at, info);
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
    settle(samples, count, false, &average);
    settle(samples, count, true, &median);
    for (size_t i = 0; i < count; i++)
        sum2 += pow(samples[i].bed_mm[2] - average.bed_mm[2], 2.0);
    double low = samples[0].bed_mm[2], high = samples[count - 1].bed_mm[2];
    gcode_respond_info(g,
                       "probe accuracy results: maximum %.6f, minimum %.6f, range %.6f, average %.6f, median %.6f, "
                       "standard deviation %.6f",
                       high, low, high - low, average.bed_mm[2], median.bed_mm[2], sqrt(sum2 / (double)count));
}

static enum err cmd_accuracy(void *ctx, struct gcode_command *cmd, struct err_info *info)
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
    e = probe_begin(probe, info);
    for (long i = 0; i < count && !e; i++) {
        e = probe_run(probe, &session, &samples[i], info);
        if (!e)
            e = lift(probe, &session, info);
    }
    if (!e)
        e = probe_end(probe, info);
    if (!e)
        tell_accuracy(gcode_of(cmd), samples, (size_t)count);
    mem_free(samples);
    return e;
}

static enum err cmd_apply_offset(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct probe *probe = ctx;
    struct gcode_move_status state;
    gcode_move_get_status(printer_gcode_move(probe->obj.printer), &state);
    if (state.homing_origin[2] == 0.0) {
        gcode_respond_info(gcode_of(cmd), "Nothing to do: Z Offset is 0");
        return OK;
    }
    char text[32];
    snprintf(text, sizeof text, "%.3f", probe->offset_mm[2] - state.homing_origin[2]);
    enum err e = config_set_autosave(probe->obj.printer->config, "probe", "z_offset", text, info);
    if (e)
        return e;
    gcode_respond_info(
        gcode_of(cmd),
        "probe: z_offset: %s\nThe SAVE_CONFIG command will update the printer config file\nwith the above "
        "and restart the printer.",
        text);
    return OK;
}

/* --- the object --- */

static const struct option_desc options[] = {
    {.name = "pin", .type = OPTION_PIN, .flags = OPTION_REQUIRED, .help = "Pin of the switch"},
    {.name = "deactivate_on_each_sample",
     .type = OPTION_BOOL,
     .default_text = "True",
     .help = "Run the scripts for each descent instead of once for a series"},
    {.name = "x_offset",
     .type = OPTION_FLOAT,
     .unit = "mm",
     .default_text = "0",
     .help = "x of the probe, seen from the nozzle"},
    {.name = "y_offset",
     .type = OPTION_FLOAT,
     .unit = "mm",
     .default_text = "0",
     .help = "y of the probe, seen from the nozzle"},
    {.name = "z_offset",
     .type = OPTION_FLOAT,
     .flags = OPTION_REQUIRED,
     .unit = "mm",
     .help = "Height of the nozzle when the probe triggers"},
    {.name = "speed",
     .type = OPTION_FLOAT,
     .unit = "mm/s",
     .default_text = "5",
     .limits = ">0",
     .help = "Speed of descent"},
    {.name = "lift_speed",
     .type = OPTION_FLOAT,
     .unit = "mm/s",
     .default_text = "speed",
     .limits = ">0",
     .help = "Speed of lifting between samples"},
    {.name = "samples", .type = OPTION_INT, .default_text = "1", .limits = ">=1", .help = "Descents at each place"},
    {.name = "sample_retract_dist",
     .type = OPTION_FLOAT,
     .unit = "mm",
     .default_text = "2",
     .limits = ">0",
     .help = "Lift between samples"},
    {.name = "samples_result",
     .type = OPTION_CHOICE,
     .default_text = "average",
     .choices = "median|average",
     .help = "What is made of several samples"},
    {.name = "samples_tolerance",
     .type = OPTION_FLOAT,
     .unit = "mm",
     .default_text = "0.1",
     .limits = ">=0",
     .help = "Largest difference between samples"},
    {.name = "samples_tolerance_retries",
     .type = OPTION_INT,
     .default_text = "0",
     .limits = ">=0",
     .help = "Times to begin again when samples differ too much"},
    {.name = "activate_gcode",
     .type = OPTION_TEMPLATE,
     .default_text = "",
     .help = "Script before probing; must not move"},
    {.name = "deactivate_gcode",
     .type = OPTION_TEMPLATE,
     .default_text = "",
     .help = "Script after probing; must not move"},
};

/* Plain G-code only: this folder knows no macro language. */
static const char *read_script(struct config_section *section, const char *option)
{
    const char *script = section_string(section, option);
    if (script && strchr(script, '{'))
        config_error_option(section, option, "Option '%s' in section 'probe' must be plain G-code without {...}",
                            option);
    return script;
}

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
        config_error_option(section, "samples", "Option 'samples' in section 'probe' must have maximum of %d",
                            PROBE_SAMPLES_MAX);
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct probe *probe = probe_of(obj);
    struct printer *printer = obj->printer;
    (void)info;
    probe->endstop = (struct endstop){.printer = printer, .name = "probe"};
    pins_claim(printer->pins, section, "pin", PIN_CAN_INVERT | PIN_CAN_PULL, NULL, &probe->endstop.pin);
    probe->offset_mm[0] = section_float(section, "x_offset");
    probe->offset_mm[1] = section_float(section, "y_offset");
    probe->offset_mm[2] = section_float(section, "z_offset");
    read_session(&probe->session, section);
    probe->activate = read_script(section, "activate_gcode");
    probe->deactivate = read_script(section, "deactivate_gcode");
    probe->deactivates_each = section_bool(section, "deactivate_on_each_sample");
    probe->chip = (struct pin_chip){.name = "probe", .owner = obj, .virtual_ctx = &probe->endstop};
    pins_add_chip(printer->pins, &probe->chip, section);
    return OK;
}

static void write_status(struct printer_object *obj, struct status_writer *writer)
{
    const struct probe *probe = probe_of(obj);
    status_string(writer, "name", "probe");
    status_bool(writer, "last_query", probe->last_query);
    status_floats(writer, "last_probe_position", probe->last_mm, 3);
    status_float(writer, "last_z_result", probe->last_z_mm);
}

#define SESSION_PARAMS                                                                                                 \
    {"PROBE_SPEED", "float", "speed", ">0"}, {"LIFT_SPEED", "float", "lift_speed", ">0"},                              \
        {"SAMPLE_RETRACT_DIST", "float", "sample_retract_dist", ">0"},                                                 \
        {"SAMPLES_TOLERANCE", "float", "samples_tolerance", ">=0"},                                                    \
        {"SAMPLES_TOLERANCE_RETRIES", "int", "samples_tolerance_retries", ">=0"},                                      \
    {                                                                                                                  \
        "SAMPLES_RESULT", "str", "samples_result", "median|average"                                                    \
    }
static const struct command_param probe_params[] = {
    SESSION_PARAMS, {"SAMPLES", "int", "samples", ">=1"}, {"METHOD", "str", NULL, NULL}, {0}};
static const struct command_param accuracy_params[] = {SESSION_PARAMS, {"SAMPLES", "int", "10", ">=1"}, {0}};
static const struct command_desc commands[] = {
    {.name = "PROBE", .params = probe_params, .help = "Probe the bed below the probe", .handler = cmd_probe},
    {.name = "QUERY_PROBE", .help = "Report whether the probe is triggered", .handler = cmd_query},
    {.name = "PROBE_ACCURACY",
     .params = accuracy_params,
     .help = "Probe several times and print statistics",
     .handler = cmd_accuracy},
    {.name = "Z_OFFSET_APPLY_PROBE",
     .help = "Fold the G-code Z offset into the probe's z_offset",
     .handler = cmd_apply_offset},
};
static const struct status_field_desc fields[] = {
    {"name", "str", "section of the probe"},
    {"last_query", "bool", "what the last QUERY_PROBE found"},
    {"last_probe_position", "coord", "place on the bed that the last PROBE found"},
    {"last_z_result", "float", "height of the nozzle when the last PROBE triggered"},
};

const struct object_desc probe_desc = {
    .section = "probe",
    .flags = OBJECT_EXACT,
    .help = "Probe of the bed",
    .size_bytes = sizeof(struct probe),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    .create = create,
    .status = write_status,
};
