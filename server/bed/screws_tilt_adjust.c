/* [screws_tilt_adjust]: the probe measures the bed above its screws, and says how far each must be turned. */
#include "base/strbuf.h"
#include "server/bed/bed_screw_list.h"
#include "server/bed/probe_round.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/toolhead/probe_device.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What the last SCREWS_TILT_CALCULATE found. */
struct finding {
    double z_mm;
    bool is_base, is_clockwise;
    int turns, minutes;
};

struct screws_tilt {
    struct printer_object obj;
    struct probe_round round;
    struct bed_screw screws[BED_SCREWS_MAX];
    struct finding found[BED_SCREWS_MAX];
    size_t count, found_count;
    double pitch_mm;
    bool is_cw_thread; /* turned clockwise, the screw pulls the bed down */
    /* of the command that runs */
    bool has_limit, is_error;
    double limit_mm;
    int direction; /* 1 clockwise, -1 the other way, 0 any */
    uint64_t revision;
};

/* Threads in the order of the option's choices. */
static const struct {
    bool is_cw;
    double pitch_mm;
} threads[] = {{true, 0.5}, {false, 0.5}, {true, 0.7}, {false, 0.7}, {true, 0.8}, {false, 0.8}, {true, 1.0}, {false, 1.0}};
#define THREAD_NAMES "CW-M3|CCW-M3|CW-M4|CCW-M4|CW-M5|CCW-M5|CW-M6|CCW-M6"

/* The screw that stays: the first, or the one from which all others need turning the same way. A bed that is too high
 * (z above the base) is pulled down, clockwise for a CW thread. */
static size_t choose_base(const struct screws_tilt *s, const struct probe_round_result *result)
{
    size_t base = 0;
    bool wants_lowest = (s->direction > 0) == s->is_cw_thread;
    for (size_t i = 1; i < s->count && s->direction; i++) {
        double z = result->bed_mm[i][2], best = result->bed_mm[base][2];
        if (wants_lowest ? z < best : z > best)
            base = i;
    }
    return base;
}

static void tell(const struct screws_tilt *s, size_t index, const struct finding *f)
{
    const struct bed_screw *screw = &s->screws[index];
    char adjust[48] = "";
    if (!f->is_base)
        (void)snprintf(adjust, sizeof adjust, " : adjust %s %02d:%02d", f->is_clockwise ? "CW" : "CCW", f->turns,
                       f->minutes);
    gcode_respond_info(s->obj.printer->gcode, "%s%s : x=%.1f, y=%.1f, z=%.5f%s", screw->name, f->is_base ? " (base)" : "",
                       screw->place_mm[0], screw->place_mm[1], f->z_mm, adjust);
}

static enum err measured(void *ctx, const struct probe_round_result *result, bool *again, struct err_info *info)
{
    struct screws_tilt *s = ctx;
    size_t base = choose_base(s, result);
    double base_mm = result->bed_mm[base][2], worst_mm = 0.0;
    (void)again;
    gcode_respond_info(s->obj.printer->gcode,
                       "01:20 means 1 full turn and 20 minutes, CW=clockwise, CCW=counter-clockwise");
    for (size_t i = 0; i < s->count; i++) {
        struct finding *f = &s->found[i];
        double above_mm = result->bed_mm[i][2] - base_mm, turns = fabs(above_mm) / s->pitch_mm;
        *f = (struct finding){.z_mm = result->bed_mm[i][2], .is_base = i == base};
        worst_mm = fmax(worst_mm, fabs(above_mm));
        if (!f->is_base && fabs(above_mm) >= 0.001)
            f->is_clockwise = (above_mm > 0.0) == s->is_cw_thread;
        else
            f->is_clockwise = s->direction ? s->direction > 0 : s->is_cw_thread;
        if (fabs(above_mm) >= 0.001) {
            int minutes = (int)fmin(round(turns * 60.0), 99.0 * 60.0);
            f->turns = minutes / 60;
            f->minutes = minutes % 60;
        }
        tell(s, i, f);
    }
    s->found_count = s->count;
    s->is_error = s->has_limit && worst_mm > s->limit_mm;
    s->revision++;
    printer_status_touch(&s->obj);
    return s->is_error ? err_set(info, ERR_STATE,
                                 "bed level exceeds configured limits (%.3fmm)! Adjust screws and restart print.",
                                 s->limit_mm)
                       : OK;
}

static enum err cmd_calculate(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct screws_tilt *s = ctx;
    const char *direction = gcode_get(cmd, "DIRECTION");
    double limit_mm = 0.0;
    enum err e = gcode_opt_double(cmd, "MAX_DEVIATION", GCODE_MIN(0.0), &limit_mm, info);
    if (e)
        return e;
    if (direction && strcasecmp(direction, "CW") != 0 && strcasecmp(direction, "CCW") != 0)
        return err_set(info, ERR_INVALID, "Error on '%s': DIRECTION must be either CW or CCW", gcode_line(cmd));
    s->direction = !direction ? 0 : strcasecmp(direction, "CW") == 0 ? 1 : -1;
    s->has_limit = gcode_has(cmd, "MAX_DEVIATION");
    s->limit_mm = limit_mm;
    return probe_round_run(&s->round, cmd, info);
}

/* --- the object --- */

static void read_screws(struct screws_tilt *s, struct config_section *section)
{
    struct probe_place places[BED_SCREWS_MAX];
    for (unsigned n = 1; n <= BED_SCREWS_MAX && bed_screw_read(&s->screws[s->count], n, section); n++) {
        const double *at_mm = s->screws[s->count].place_mm;
        places[s->count++] = (struct probe_place){at_mm[0], at_mm[1]};
    }
    if (bed_screw_check_count(s->count, "screws_tilt_adjust", section))
        probe_round_set_places(&s->round, places, s->count);
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct screws_tilt *s = (struct screws_tilt *)obj;
    (void)info;
    read_screws(s, section);
    probe_round_skip_old_points(section);
    int thread = section_choice(section, "screw_thread");
    s->is_cw_thread = threads[thread].is_cw;
    s->pitch_mm = threads[thread].pitch_mm;
    probe_round_setup(&s->round, obj->printer, section, measured, s);
    return OK;
}

static void destroy(struct printer_object *obj)
{
    probe_round_deinit(&((struct screws_tilt *)obj)->round);
}

static void write_status(struct printer_object *obj, struct status_writer *writer)
{
    const struct screws_tilt *s = (struct screws_tilt *)obj;
    status_bool(writer, "error", s->is_error);
    if (s->has_limit)
        status_float(writer, "max_deviation", s->limit_mm);
    else
        status_null(writer, "max_deviation");
    if (!status_needs(writer, "results", s->revision + 1))
        return;
    struct strbuf *json = status_begin_json(writer, "results");
    strbuf_addc(json, '{');
    for (size_t i = 0; i < s->found_count; i++) {
        const struct finding *f = &s->found[i];
        strbuf_addf(json, "%s\"screw%zu\": {\"z\": ", i ? ", " : "", i + 1);
        strbuf_add_json_double(json, f->z_mm);
        strbuf_addf(json, ", \"sign\": \"%s\", \"adjust\": \"%02d:%02d\", \"is_base\": %s}", f->is_clockwise ? "CW" : "CCW",
                    f->turns, f->minutes, f->is_base ? "true" : "false");
    }
    strbuf_addc(json, '}');
    status_end_json(writer);
}

static const struct option_desc options[] = {
    BED_SCREW_OPTIONS("Where the nozzle is when the probe is above the screw; the first is the base"),
    {.name = "screw_thread",
     .type = OPTION_CHOICE,
     .default_text = "CW-M3",
     .choices = THREAD_NAMES,
     .help = "Thread of the screws, and the way that brings the bed down"},
    PROBE_ROUND_OLD_POINTS("screws decide"),
    PROBE_ROUND_OPTIONS,
};
static const struct command_param params[] = {
    {"MAX_DEVIATION", "float", NULL, ">=0"}, {"DIRECTION", "str", NULL, "CW|CCW"}, PROBE_ROUND_PARAMS, {0}};
static const struct command_desc commands[] = {
    {.name = "SCREWS_TILT_CALCULATE",
     .params = params,
     .help = "Tool to help adjust bed leveling screws by calculating the number of turns to level it.",
     .handler = cmd_calculate},
};
static const struct status_field_desc fields[] = {
    {"error", "bool", "the last command's MAX_DEVIATION was exceeded"},
    {"max_deviation", "float/null", "MAX_DEVIATION of the last command"},
    {"results", "dict", "screw1, ...: z, sign, adjust, is_base"},
};

const struct object_desc screws_tilt_adjust_desc = {
    .section = "screws_tilt_adjust",
    .flags = OBJECT_EXACT,
    .help = "How far the bed's screws must be turned, by the probe",
    .size_bytes = sizeof(struct screws_tilt),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    .create = create,
    .destroy = destroy,
    .status = write_status,
};
