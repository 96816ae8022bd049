/* [delta_calibrate]: the geometry of a delta from the heights of a flat bed. */
#include "base/fmath.h"
#include "base/strbuf.h"
#include "server/bed/delta_fit.h"
#include "server/bed/probe_round.h"
#include "server/config/autosave.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/stepper.h"
#include "server/toolhead/probe_device.h"

#include <stdio.h>
#include <string.h>

#define RING_POINTS 6
#define DEG         (FM_PI / 180.0)

struct delta_calibrate {
    struct printer_object obj;
    struct probe_round round;
};

static const char *const towers[3] = {"stepper_a", "stepper_b", "stepper_c"};

/* The geometry as it was read. */
static bool read_geometry(const struct printer *printer, struct delta_geometry *g)
{
    const struct config *config = printer->config;
    const struct config_section *section = config_find(config, "printer");
    bool is_known = section && section_number_read(section, "delta_radius", &g->radius_mm);
    for (int i = 0; i < 3; i++) {
        section = config_find(config, towers[i]);
        is_known = is_known && section && section_number_read(section, "arm_length", &g->arm_mm[i]) &&
                   section_number_read(section, "angle", &g->angle_deg[i]) &&
                   section_number_read(section, "position_endstop", &g->endstop_mm[i]);
    }
    return is_known;
}

static enum err save(struct printer *printer, const char *section, const char *option, double value,
                     struct strbuf *text, struct err_info *info)
{
    char number[32];
    (void)snprintf(number, sizeof number, "%.6f", value);
    strbuf_addf(text, "%s: %s: %s\n", section, option, number);
    return config_set_autosave(printer->config, section, option, number, info);
}

static enum err save_geometry(struct printer *printer, const struct delta_geometry *g, struct err_info *info)
{
    struct strbuf text;
    strbuf_init(&text);
    enum err e = save(printer, "printer", "delta_radius", g->radius_mm, &text, info);
    for (int i = 0; i < 3 && !e; i++) {
        e = save(printer, towers[i], "angle", g->angle_deg[i], &text, info);
        if (!e)
            e = save(printer, towers[i], "arm_length", g->arm_mm[i], &text, info);
        if (!e)
            e = save(printer, towers[i], "position_endstop", g->endstop_mm[i], &text, info);
    }
    if (!e)
        gcode_respond_info(printer->gcode,
                           "%sThe SAVE_CONFIG command will update the printer config file\nwith these parameters and "
                           "restart the printer.",
                           text.data);
    strbuf_deinit(&text);
    return e;
}

/* What was measured, for later: heights and how many steps each carriage was below its endstop. */
static enum err save_heights(struct printer *printer, const double (*below_mm)[3], size_t count, struct err_info *info)
{
    enum err e = OK;
    for (size_t i = 0; i < count && !e; i++) {
        char option[32], text[96];
        double steps[3];
        for (int k = 0; k < 3; k++) {
            const struct stepper *stepper = stepper_find(printer, towers[k]);
            steps[k] = below_mm[i][k] / (stepper ? stepper->step_dist_mm : 1.0);
        }
        (void)snprintf(option, sizeof option, "height%zu", i);
        e = config_set_autosave(printer->config, "delta_calibrate", option, "0", info);
        (void)snprintf(option, sizeof option, "height%zu_pos", i);
        (void)snprintf(text, sizeof text, "%.3f,%.3f,%.3f", steps[0], steps[1], steps[2]);
        if (!e)
            e = config_set_autosave(printer->config, "delta_calibrate", option, text, info);
    }
    return e;
}

/* The nozzle touched (or was a probe's z_offset above) a flat bed at height 0 at each place. */
static enum err measured(void *ctx, const struct probe_round_result *result, bool *again, struct err_info *info)
{
    struct printer *printer = ((struct delta_calibrate *)ctx)->obj.printer;
    struct delta_geometry g, before;
    double below_mm[1 + RING_POINTS][3], height_mm[1 + RING_POINTS], rms_mm = 0.0;
    (void)again;
    if (!read_geometry(printer, &g) || result->count > 1 + RING_POINTS)
        return err_set(info, ERR_STATE, "DELTA_CALIBRATE needs the options of a delta");
    before = g;
    for (size_t i = 0; i < result->count; i++) {
        const double *bed = result->bed_mm[i], *offset = result->offset_mm;
        const double nozzle[3] = {bed[0] - offset[0], bed[1] - offset[1], bed[2] + offset[2]};
        if (!delta_carriages(&g, nozzle, below_mm[i]))
            return err_set(info, ERR_STATE, "DELTA_CALIBRATE: %.3f, %.3f is out of reach", nozzle[0], nozzle[1]);
        height_mm[i] = offset[2];
    }
    enum err e = delta_fit(&g, (const double(*)[3])below_mm, height_mm, result->count, &rms_mm, info);
    if (e)
        return e;
    gcode_respond_info(printer->gcode, "delta_calibrate: radius %.3f -> %.3f, heights fit within %.4f mm", before.radius_mm,
                       g.radius_mm, rms_mm);
    e = save_geometry(printer, &g, info);
    return e ? e : save_heights(printer, (const double(*)[3])below_mm, result->count, info);
}

static enum err cmd_calibrate(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    return probe_round_run(&((struct delta_calibrate *)ctx)->round, cmd, info);
}

/* The centre, and a ring whose points differ in their distance, so that radius and endstops can be told apart. */
static void set_places(struct delta_calibrate *d, double radius_mm)
{
    static const double share[RING_POINTS] = {0.95, 0.90, 0.85, 0.70, 0.75, 0.80};
    struct probe_place places[1 + RING_POINTS] = {{0.0, 0.0}};
    for (int i = 0; i < RING_POINTS; i++) {
        double angle = (90.0 + 60.0 * i) * DEG;
        places[1 + i] = (struct probe_place){radius_mm * share[i] * fm_cos(angle), radius_mm * share[i] * fm_sin(angle)};
    }
    probe_round_set_places(&d->round, places, 1 + RING_POINTS);
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct delta_calibrate *d = (struct delta_calibrate *)obj;
    (void)info;
    probe_round_setup(&d->round, obj->printer, section, measured, d);
    probe_round_skip_old_points(section);
    double radius_mm = section_float(section, "radius");
    if (section_error_count(section) == 0)
        set_places(d, radius_mm);
    const struct config_section *printer = config_find(obj->printer->config, "printer");
    const struct config_option *kinematics = printer ? section_find(printer, "kinematics") : NULL;
    if (!kinematics || strcmp(kinematics->value, "delta") != 0)
        config_error_section(section, "delta_calibrate is only for delta printers");
    return OK;
}

static void destroy(struct printer_object *obj)
{
    probe_round_deinit(&((struct delta_calibrate *)obj)->round);
}

#define MEASURED_OPTIONS(prefix, words)                                                                                \
    {.name = prefix "<n>", .type = OPTION_FLOAT, .unit = "mm", .help = words}
static const struct option_desc options[] = {
    {.name = "radius",
     .type = OPTION_FLOAT,
     .flags = OPTION_REQUIRED,
     .unit = "mm",
     .limits = ">0",
     .help = "The bed is measured up to this far from the centre"},
    PROBE_ROUND_OLD_POINTS("radius decides"),
    PROBE_ROUND_OPTIONS,
    MEASURED_OPTIONS("height", "Height of the bed at a place, saved by DELTA_CALIBRATE"),
    {.name = "height<n>_pos",
     .type = OPTION_FLOAT_LIST,
     .flags = OPTION_CONDITIONAL,
     .count = 3,
     .help = "Steps of each carriage below its endstop there"},
    MEASURED_OPTIONS("manual_height", "A height measured by hand"),
    {.name = "manual_height<n>_pos",
     .type = OPTION_FLOAT_LIST,
     .flags = OPTION_CONDITIONAL,
     .count = 3,
     .help = "Steps of each carriage below its endstop there"},
    MEASURED_OPTIONS("distance", "Distance between two places, measured on a printed object"),
    {.name = "distance<n>_pos1",
     .type = OPTION_FLOAT_LIST,
     .flags = OPTION_CONDITIONAL,
     .count = 3,
     .help = "Steps of each carriage at the first of them"},
    {.name = "distance<n>_pos2",
     .type = OPTION_FLOAT_LIST,
     .flags = OPTION_CONDITIONAL,
     .count = 3,
     .help = "Steps of each carriage at the second"},
};
static const struct command_param params[] = {PROBE_ROUND_PARAMS, {0}};
static const struct command_desc commands[] = {
    {.name = "DELTA_CALIBRATE",
     .params = params,
     .help = "Delta calibration script",
     .handler = cmd_calibrate},
};

const struct object_desc delta_calibrate_desc = {
    .section = "delta_calibrate",
    .flags = OBJECT_EXACT,
    .help = "Finds the geometry of a delta",
    .size_bytes = sizeof(struct delta_calibrate),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    .create = create,
    .destroy = destroy,
};
