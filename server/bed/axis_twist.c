/* [axis_twist_compensation]: a gantry that is twisted lifts a probe that sits beside the nozzle. What it is wrong by is found by
 * hand at some places along an axis, and taken off every height that is probed. */
#include "base/mem.h"
#include "base/strbuf.h"
#include "server/config/autosave.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/toolhead/manual_probe.h"
#include "server/toolhead/probe_device.h"
#include "server/toolhead/toolhead.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SECTION       "axis_twist_compensation"
#define SAMPLES_MAX   100
#define SAMPLES_USUAL 3
#define HAND_MM_S     5.0

/* What is added to a probed height along one axis: values at equal distances from start to end. */
struct twist {
    double start_mm, end_mm;
    double value_mm[SAMPLES_MAX];
    size_t count;
};

/* Where the wizard goes along one axis; NAN: the option is missing. */
struct wizard_line {
    double start_mm, end_mm, across_mm;
};

struct axis_twist {
    struct printer_object obj;
    double speed_mm_s, travel_z_mm;
    struct twist twist[2];       /* along x, along y */
    struct wizard_line line[2];
    /* while it is calibrated */
    unsigned axis;
    size_t at, wanted;
    struct probe_session session;
    double offset_mm[3], probed_z_mm;
    double error_mm[SAMPLES_MAX];
};

/* --- compensation --- */

static double value_at(const struct twist *t, double at_mm)
{
    if (t->count < 2 || t->end_mm == t->start_mm)
        return 0.0;
    double u = (at_mm - t->start_mm) / (t->end_mm - t->start_mm) * (double)(t->count - 1);
    double index = fmin(fmax(floor(u), 0.0), (double)(t->count - 2)); /* beyond the ends: the line goes on */
    size_t i = (size_t)index;
    return t->value_mm[i] + (u - index) * (t->value_mm[i + 1] - t->value_mm[i]);
}

static void on_result(void *ctx, const char *event, void *data)
{
    const struct axis_twist *a = ctx;
    struct probe_result *result = data;
    (void)event;
    for (int axis = 0; axis < 2; axis++)
        result->bed_mm[2] += value_at(&a->twist[axis], result->bed_mm[axis]);
}

/* --- the wizard --- */

static enum err go(struct axis_twist *a, double x, double y, double z, double speed_mm_s, struct err_info *info)
{
    const double to[TOOLHEAD_AXES_MAX] = {x, y, z, NAN, NAN, NAN, NAN, NAN};
    return toolhead_manual_move(printer_toolhead(a->obj.printer), to, speed_mm_s, info);
}

static void place(const struct axis_twist *a, double xy_mm[2])
{
    const struct wizard_line *line = &a->line[a->axis];
    xy_mm[a->axis] = line->start_mm + (line->end_mm - line->start_mm) * (double)a->at / (double)(a->wanted - 1);
    xy_mm[1 - a->axis] = line->across_mm;
}

static enum err save(struct axis_twist *a, const char *option, const char *text, struct err_info *info)
{
    return config_set_autosave(a->obj.printer->config, SECTION, option, text, info);
}

/* The errors less their mean: the mean is the z_offset's. */
static enum err finish(struct axis_twist *a, struct err_info *info)
{
    static const char *const options[2][3] = {
        {"z_compensations", "compensation_start_x", "compensation_end_x"},
        {"zy_compensations", "compensation_start_y", "compensation_end_y"},
    };
    struct twist *t = &a->twist[a->axis];
    double mean = 0.0;
    char number[32];
    struct strbuf text;
    for (size_t i = 0; i < a->wanted; i++)
        mean += a->error_mm[i] / (double)a->wanted;
    t->start_mm = a->line[a->axis].start_mm;
    t->end_mm = a->line[a->axis].end_mm;
    t->count = a->wanted;
    strbuf_init(&text);
    for (size_t i = 0; i < a->wanted; i++) {
        t->value_mm[i] = mean - a->error_mm[i];
        strbuf_addf(&text, "%s%.6f", i ? ", " : "", t->value_mm[i]);
    }
    enum err e = save(a, options[a->axis][0], text.data, info);
    (void)snprintf(number, sizeof number, "%.6g", t->start_mm);
    if (!e)
        e = save(a, options[a->axis][1], number, info);
    (void)snprintf(number, sizeof number, "%.6g", t->end_mm);
    if (!e)
        e = save(a, options[a->axis][2], number, info);
    if (!e)
        gcode_respond_info(a->obj.printer->gcode,
                           "AXIS_TWIST_COMPENSATION_CALIBRATE: Calibration complete, offsets: %s, mean z_offset: %.6f\n"
                           "The SAVE_CONFIG command will update the printer config file\nwith the above and restart the "
                           "printer.",
                           text.data, mean);
    strbuf_deinit(&text);
    return e;
}

static enum err measure(struct axis_twist *a, struct err_info *info);

static enum err on_touched(void *ctx, const double *position_mm, struct err_info *info)
{
    struct axis_twist *a = ctx;
    if (!position_mm) {
        gcode_respond_info(a->obj.printer->gcode, "AXIS_TWIST_COMPENSATION_CALIBRATE: Probe cancelled, calibration aborted");
        return OK;
    }
    a->error_mm[a->at++] = a->probed_z_mm - position_mm[2];
    enum err e = go(a, NAN, NAN, a->travel_z_mm, a->session.lift_speed_mm_s, info);
    if (e)
        return e;
    return a->at < a->wanted ? measure(a, info) : finish(a, info);
}

/* One place: by the probe, then with the nozzle by hand. */
static enum err measure(struct axis_twist *a, struct err_info *info)
{
    struct probe *probe = printer_probe(a->obj.printer);
    struct probe_result result;
    double xy[2];
    place(a, xy);
    enum err e = go(a, NAN, NAN, a->travel_z_mm, a->session.lift_speed_mm_s, info);
    if (!e)
        e = go(a, xy[0] - a->offset_mm[0], xy[1] - a->offset_mm[1], NAN, a->speed_mm_s, info);
    if (!e)
        e = probe_begin(probe, info);
    if (!e)
        e = probe_end(probe, probe_run(probe, &a->session, &result, info), info);
    if (!e)
        e = go(a, NAN, NAN, a->travel_z_mm, a->session.lift_speed_mm_s, info);
    if (!e)
        e = go(a, xy[0], xy[1], NAN, a->speed_mm_s, info);
    if (e)
        return e;
    a->probed_z_mm = result.bed_mm[2];
    return manual_probe_begin(a->obj.printer, HAND_MM_S, on_touched, a, info);
}

static enum err cmd_calibrate(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct axis_twist *a = ctx;
    const struct probe *probe = printer_probe(a->obj.printer);
    const char *axis = gcode_get(cmd, "AXIS");
    unsigned wanted_axis = axis && (axis[0] == 'Y' || axis[0] == 'y') ? 1 : 0;
    long count = SAMPLES_USUAL;
    enum probe_method method;
    enum err e = manual_probe_check_free(a->obj.printer, info);
    if (!e && !probe)
        return err_set(info, ERR_STATE, "AXIS_TWIST_COMPENSATION requires a probe");
    if (!e && axis && (strlen(axis) != 1 || !strchr("XYxy", axis[0])))
        return err_set(info, ERR_INVALID, "AXIS_TWIST_COMPENSATION_CALIBRATE: AXIS must be X or Y, not '%s'", axis);
    if (!e)
        e = gcode_opt_int(cmd, "SAMPLE_COUNT", GCODE_RANGE(2, SAMPLES_MAX), &count, info);
    if (!e)
        e = probe_method_read(cmd, &method, info);
    if (!e)
        e = probe_session_read(probe, cmd, &a->session, info);
    if (!e && isnan(a->line[wanted_axis].start_mm + a->line[wanted_axis].end_mm + a->line[wanted_axis].across_mm))
        e = err_set(info, ERR_INVALID,
                    "AXIS_TWIST_COMPENSATION_CALIBRATE AXIS=%c needs calibrate_start_%c, calibrate_end_%c and calibrate_%c",
                    "XY"[wanted_axis], "xy"[wanted_axis], "xy"[wanted_axis], "yx"[wanted_axis]);
    if (e)
        return e;
    probe_offsets(probe, a->offset_mm);
    a->axis = wanted_axis;
    a->wanted = (size_t)count;
    a->at = 0;
    a->twist[wanted_axis].count = 0; /* what was found before must not hide it */
    return measure(a, info);
}

/* --- the object --- */

static double read_or_nan(struct config_section *section, const char *option)
{
    return section_has(section, option) ? section_float(section, option) : (double)NAN;
}

static void read_twist(struct twist *t, struct config_section *section, const char *values, const char *start,
                       const char *end)
{
    if (!section_has(section, values))
        return;
    struct config_numbers list = section_numbers(section, values);
    if (list.count > SAMPLES_MAX || list.count == 1) {
        config_error_option(section, values, "Option '%s' in section '" SECTION "' needs 2 to %d numbers", values,
                            SAMPLES_MAX);
        return;
    }
    t->count = list.count;
    if (list.count)
        memcpy(t->value_mm, list.items, list.count * sizeof *list.items);
    t->start_mm = read_or_nan(section, start);
    t->end_mm = read_or_nan(section, end);
    if (list.count && isnan(t->start_mm + t->end_mm))
        config_error_option(section, values, "Option '%s' in section '" SECTION "' needs %s and %s", values, start, end);
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct axis_twist *a = (struct axis_twist *)obj;
    (void)info;
    a->speed_mm_s = section_float(section, "speed");
    a->travel_z_mm = section_float(section, "horizontal_move_z");
    a->line[0] = (struct wizard_line){read_or_nan(section, "calibrate_start_x"), read_or_nan(section, "calibrate_end_x"),
                                      read_or_nan(section, "calibrate_y")};
    a->line[1] = (struct wizard_line){read_or_nan(section, "calibrate_start_y"), read_or_nan(section, "calibrate_end_y"),
                                      read_or_nan(section, "calibrate_x")};
    read_twist(&a->twist[0], section, "z_compensations", "compensation_start_x", "compensation_end_x");
    read_twist(&a->twist[1], section, "zy_compensations", "compensation_start_y", "compensation_end_y");
    printer_subscribe(obj->printer, PROBE_EVENT_RESULT, on_result, a);
    return OK;
}

#define PLACE_OPTION(option, words) {.name = option, .type = OPTION_FLOAT, .unit = "mm", .help = words}
static const struct option_desc options[] = {
    {.name = "speed",
     .type = OPTION_FLOAT,
     .unit = "mm/s",
     .default_text = "50",
     .help = "Speed of travel between places"},
    {.name = "horizontal_move_z",
     .type = OPTION_FLOAT,
     .unit = "mm",
     .default_text = "5",
     .help = "Height of travel between places"},
    PLACE_OPTION("calibrate_start_x", "Where the nozzle is at the first place along x"),
    PLACE_OPTION("calibrate_end_x", "Where it is at the last"),
    PLACE_OPTION("calibrate_y", "y of the places along x"),
    PLACE_OPTION("calibrate_start_y", "Where the nozzle is at the first place along y"),
    PLACE_OPTION("calibrate_end_y", "Where it is at the last"),
    PLACE_OPTION("calibrate_x", "x of the places along y"),
    PLACE_OPTION("compensation_start_x", "x of the first of z_compensations"),
    PLACE_OPTION("compensation_end_x", "x of the last"),
    PLACE_OPTION("compensation_start_y", "y of the first of zy_compensations"),
    PLACE_OPTION("compensation_end_y", "y of the last"),
    {.name = "z_compensations",
     .type = OPTION_FLOAT_LIST,
     .default_text = "",
     .unit = "mm",
     .help = "Added to probed heights, at equal distances along x"},
    {.name = "zy_compensations",
     .type = OPTION_FLOAT_LIST,
     .default_text = "",
     .unit = "mm",
     .help = "Added to probed heights, at equal distances along y"},
};
static const struct command_param params[] = {{"SAMPLE_COUNT", "int", "3", ">=2"},
                                              {"AXIS", "str", "X", "X|Y"},
                                              PROBE_ROUND_PARAMS,
                                              {0}};
static const struct command_desc commands[] = {
    {.name = "AXIS_TWIST_COMPENSATION_CALIBRATE",
     .params = params,
     .help = "Performs the axis twist calibration wizard",
     .handler = cmd_calibrate},
};

const struct object_desc axis_twist_compensation_desc = {
    .section = SECTION,
    .flags = OBJECT_EXACT,
    .help = "Takes the twist of a gantry off probed heights",
    .size_bytes = sizeof(struct axis_twist),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    .create = create,
};
