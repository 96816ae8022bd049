/* The object `manual_probe`. */
#include "server/toolhead/manual_probe.h"

#include "base/mem.h"
#include "server/config/autosave.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/gcode/gcode_move.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/toolhead/toolhead.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SPEED_MM_S 5.0
#define APPROACH_MIN_MM                                                                                                \
    0.5 /* each height is approached from above, by at least this: the play of the screw is always on one side */
#define BISECT_MAX_MM 0.2 /* longest step of TESTZ Z=+ and Z=- */

static const char busy_text[] = "Already in a manual Z probe. Use ABORT to abort it.";

struct manual_probe {
    struct printer_object obj;
    bool is_active;
    double speed_mm_s;
    manual_probe_done_fn *fn;
    void *ctx;
    double start[TOOLHEAD_AXES_MAX];
    double *tested; /* heights tested so far, rising */
    size_t tested_count, tested_cap;
    bool has_position;
    double z_mm, lower_mm, upper_mm; /* NAN: no such height tested */
};

/* --- heights tested --- */

/* The first one at or above `z_mm`. */
static size_t lower_bound(const struct manual_probe *mp, double z_mm)
{
    size_t at = 0;
    while (at < mp->tested_count && mp->tested[at] < z_mm)
        at++;
    return at;
}

static bool is_tested(const struct manual_probe *mp, size_t at, double z_mm)
{
    return at < mp->tested_count && mp->tested[at] == z_mm;
}

static size_t add_tested(struct manual_probe *mp, double z_mm)
{
    size_t at = lower_bound(mp, z_mm);
    if (is_tested(mp, at, z_mm))
        return at;
    if (mp->tested_count == mp->tested_cap) {
        mp->tested_cap = mp->tested_cap ? mp->tested_cap * 2 : 16;
        mp->tested = mem_realloc(mp->tested, mp->tested_cap * sizeof *mp->tested);
    }
    memmove(mp->tested + at + 1, mp->tested + at, (mp->tested_count - at) * sizeof *mp->tested);
    mp->tested[at] = z_mm;
    mp->tested_count++;
    return at;
}

/* --- the tool --- */

static void end(struct manual_probe *mp)
{
    static const char *const names[] = {"ACCEPT", "NEXT", "ABORT", "TESTZ"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)gcode_unregister(mp->obj.printer->gcode, names[i]);
    mp->is_active = mp->has_position = false;
    mp->tested_count = 0;
}

static enum err finish(struct manual_probe *mp, const double *position_mm, struct err_info *info)
{
    end(mp);
    return mp->fn(mp->ctx, position_mm, info);
}

/* After an error: the first one is the one to tell. */
static enum err give_up(struct manual_probe *mp, enum err err)
{
    struct err_info ignored;
    (void)!finish(mp, NULL, &ignored);
    return err;
}

static void height_text(char text[32], double z_mm)
{
    if (isnan(z_mm))
        strcpy(text, "??????");
    else
        (void)snprintf(text, 32, "%.3f", z_mm);
}

/* By the motors, once the moves have been executed. */
static enum err nozzle_position(struct manual_probe *mp, double xyz[3], struct err_info *info)
{
    struct toolhead *th = printer_toolhead(mp->obj.printer);
    enum err err = toolhead_wait_moves(th, info);
    return err != OK ? err : toolhead_kinematic_position(th, xyz, info);
}

/* Where the nozzle is, between which heights tested before. */
static enum err report(struct manual_probe *mp, double xyz[3], struct err_info *info)
{
    enum err err = nozzle_position(mp, xyz, info);
    if (err != OK)
        return err;
    size_t above = lower_bound(mp, xyz[2]), below = above;
    above += is_tested(mp, above, xyz[2]);
    mp->has_position = true;
    mp->z_mm = xyz[2];
    mp->lower_mm = below > 0 ? mp->tested[below - 1] : (double)NAN;
    mp->upper_mm = above < mp->tested_count ? mp->tested[above] : (double)NAN;
    char lower[32], upper[32];
    height_text(lower, mp->lower_mm);
    height_text(upper, mp->upper_mm);
    printer_respond_info(mp->obj.printer, "Z position: %s --> %.3f <-- %s", lower, xyz[2], upper);
    printer_status_touch(&mp->obj);
    return OK;
}

static enum err move_z(struct manual_probe *mp, double z_mm, struct err_info *info)
{
    struct toolhead *th = printer_toolhead(mp->obj.printer);
    double now[TOOLHEAD_AXES_MAX], target[TOOLHEAD_AXES_MAX];
    for (size_t i = 0; i < TOOLHEAD_AXES_MAX; i++)
        target[i] = NAN;
    toolhead_get_position(th, now);
    enum err err = OK;
    if (now[2] < z_mm + APPROACH_MIN_MM) {
        target[2] = z_mm + APPROACH_MIN_MM;
        err = toolhead_manual_move(th, target, mp->speed_mm_s, info);
    }
    target[2] = z_mm;
    return err != OK ? err : toolhead_manual_move(th, target, mp->speed_mm_s, info);
}

/* "+" and "-": half of the way to the next height tested; "++" and "--": all of it; never more than BISECT_MAX_MM. */
static double bisect(const struct manual_probe *mp, size_t at, const char *request)
{
    double z_mm = mp->tested[at], sign = request[0] == '+' ? 1 : -1;
    double share = request[1] ? 1 : 0.5, way = INFINITY;
    if (sign > 0 && at + 1 < mp->tested_count)
        way = mp->tested[at + 1] - z_mm;
    else if (sign < 0 && at > 0)
        way = z_mm - mp->tested[at - 1];
    return z_mm + sign * fmin(way * share, BISECT_MAX_MM);
}

static enum err cmd_testz(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct manual_probe *mp = ctx;
    double xyz[3], before_mm, next_mm = 0;
    const char *request = NULL;
    enum err err = gcode_get_str(cmd, "Z", &request, info);
    bool is_bisecting = err == OK && (!strcmp(request, "+") || !strcmp(request, "++") || !strcmp(request, "-") ||
                                      !strcmp(request, "--"));
    if (err == OK && !is_bisecting)
        err = gcode_get_double(cmd, "Z", &next_mm, info);
    if (err == OK)
        err = nozzle_position(mp, xyz, info);
    if (err != OK)
        return err;
    before_mm = xyz[2];
    size_t at = add_tested(mp, before_mm);
    next_mm = is_bisecting ? bisect(mp, at, request) : before_mm + next_mm;
    err = move_z(mp, next_mm, info);
    if (err != OK)
        return give_up(mp, err);
    err = nozzle_position(mp, xyz, info);
    if (err == OK && next_mm != before_mm && xyz[2] == before_mm)
        printer_respond_info(mp->obj.printer, "WARNING: No change in position (reached stepper resolution)");
    return err != OK ? err : report(mp, xyz, info);
}

static enum err cmd_accept(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct manual_probe *mp = ctx;
    struct toolhead *th = printer_toolhead(mp->obj.printer);
    double now[TOOLHEAD_AXES_MAX], xyz[3];
    (void)cmd;
    toolhead_get_position(th, now);
    if (now[0] != mp->start[0] || now[1] != mp->start[1] || now[2] >= mp->start[2]) {
        printer_respond_info(mp->obj.printer, "Manual probe failed! Use TESTZ commands to position the\n"
                                              "nozzle prior to running ACCEPT.");
        return finish(mp, NULL, info);
    }
    enum err err = nozzle_position(mp, xyz, info);
    return err != OK ? give_up(mp, err) : finish(mp, xyz, info);
}

static enum err cmd_abort(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)cmd;
    return finish(ctx, NULL, info);
}

static enum err register_tool(struct manual_probe *mp, struct err_info *info)
{
    static const struct gcode_def defs[] = {
        {.name = "ACCEPT", .help = "Accept the current Z position", .fn = cmd_accept},
        {.name = "NEXT", .help = NULL, .fn = cmd_accept},
        {.name = "ABORT", .help = "Abort manual Z probing tool", .fn = cmd_abort},
        {.name = "TESTZ", .help = "Move to new Z height", .fn = cmd_testz},
    };
    for (size_t i = 0; i < sizeof defs / sizeof defs[0]; i++) {
        enum err err = gcode_register(mp->obj.printer->gcode, &defs[i], mp, info);
        if (err == OK)
            continue;
        while (i-- > 0)
            (void)gcode_unregister(mp->obj.printer->gcode, defs[i].name);
        return err_set(info, ERR_STATE, "%s", busy_text);
    }
    return OK;
}

enum err manual_probe_check_free(const struct printer *printer, struct err_info *info)
{
    const struct manual_probe *mp = (struct manual_probe *)printer_find_object(printer, "manual_probe");
    return mp->is_active ? err_set(info, ERR_STATE, "%s", busy_text) : OK;
}

enum err manual_probe_begin(struct printer *printer, double speed_mm_s, manual_probe_done_fn *fn, void *ctx,
                            struct err_info *info)
{
    struct manual_probe *mp = (struct manual_probe *)printer_find_object(printer, "manual_probe");
    enum err err = register_tool(mp, info);
    if (err != OK)
        return err;
    double xyz[3];
    mp->is_active = true;
    mp->speed_mm_s = speed_mm_s;
    mp->fn = fn;
    mp->ctx = ctx;
    toolhead_get_position(printer_toolhead(printer), mp->start);
    printer_respond_info(printer, "Starting manual Z probe. Use TESTZ to adjust position.\n"
                                  "Finish with ACCEPT or ABORT command.");
    err = report(mp, xyz, info);
    if (err != OK)
        end(mp); /* the caller is told by the error */
    return err;
}

/* --- its users --- */

static enum err on_probed(void *ctx, const double *position_mm, struct err_info *info)
{
    struct manual_probe *mp = ctx;
    (void)info;
    if (position_mm)
        printer_respond_info(mp->obj.printer, "Z position is %.3f", position_mm[2]);
    return OK;
}

/* Note `value_mm` for SAVE_CONFIG, and tell the user about it in `text`. */
static enum err save_endstop(struct printer *printer, const char *section, double value_mm, struct strbuf *text,
                             struct err_info *info)
{
    char value[32];
    (void)snprintf(value, sizeof value, "%.3f", value_mm);
    strbuf_addf(text, "%s: position_endstop: %s\n", section, value);
    return config_set_autosave(printer->config, section, "position_endstop", value, info);
}

/* position_endstop of these sections (those that there are) minus `shift_mm`. */
static enum err shift_endstops(struct printer *printer, double shift_mm, struct err_info *info)
{
    static const char *const sections[] = {"stepper_z", "stepper_a", "stepper_b", "stepper_c"};
    struct strbuf text;
    strbuf_init(&text);
    enum err err = OK;
    for (size_t i = 0; i < sizeof sections / sizeof sections[0] && err == OK; i++) {
        struct config_section *section = config_find(printer->config, sections[i]);
        double endstop_mm;
        if (section && section_number_read(section, "position_endstop", &endstop_mm))
            err = save_endstop(printer, sections[i], endstop_mm - shift_mm, &text, info);
    }
    if (err == OK)
        printer_respond_info(printer,
                             "%sThe SAVE_CONFIG command will update the printer config file\n"
                             "with the above and restart the printer.",
                             text.data);
    strbuf_deinit(&text);
    return err;
}

static enum err on_endstop_probed(void *ctx, const double *position_mm, struct err_info *info)
{
    struct manual_probe *mp = ctx;
    return position_mm ? shift_endstops(mp->obj.printer, position_mm[2], info) : OK;
}

static enum err begin(struct manual_probe *mp, struct gcode_command *cmd, manual_probe_done_fn *fn,
                      struct err_info *info)
{
    double speed_mm_s = SPEED_MM_S;
    enum err err = gcode_opt_double(cmd, "SPEED", GCODE_ABOVE(0.0), &speed_mm_s, info);
    return err != OK ? err : manual_probe_begin(mp->obj.printer, speed_mm_s, fn, mp, info);
}

static enum err cmd_manual_probe(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    return begin(ctx, cmd, on_probed, info);
}

static enum err cmd_z_endstop_calibrate(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    return begin(ctx, cmd, on_endstop_probed, info);
}

static enum err cmd_apply_endstop(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct printer *printer = ((struct manual_probe *)ctx)->obj.printer;
    struct gcode_move_status status;
    (void)cmd;
    gcode_move_get_status(printer_gcode_move(printer), &status);
    if (status.homing_origin[2] != 0)
        return shift_endstops(printer, status.homing_origin[2], info);
    printer_respond_info(printer, "Nothing to do: Z Offset is 0");
    return OK;
}

/* --- the object --- */

static const struct command_param speed_params[] = {{"SPEED", "float", "5.0", ">0"}, {0}};
static const struct command_param testz_params[] = {{"Z", "float or +/-/++/--", "required", NULL}, {0}};

static const struct command_desc commands[] = {
    {.name = "MANUAL_PROBE",
     .params = speed_params,
     .help = "Start manual probe helper script",
     .handler = cmd_manual_probe},
    {.name = "Z_ENDSTOP_CALIBRATE",
     .flags = COMMAND_BY_OBJECT,
     .params = speed_params,
     .help = "Calibrate a Z endstop",
     .handler = cmd_z_endstop_calibrate},
    {.name = "Z_OFFSET_APPLY_ENDSTOP",
     .flags = COMMAND_BY_OBJECT,
     .help = "Adjust the z endstop_position",
     .handler = cmd_apply_endstop},
    {.name = "ACCEPT", .flags = COMMAND_TEMPORARY, .help = "Accept the current Z position", .handler = cmd_accept},
    {.name = "NEXT", .flags = COMMAND_TEMPORARY, .handler = cmd_accept},
    {.name = "ABORT", .flags = COMMAND_TEMPORARY, .help = "Abort manual Z probing tool", .handler = cmd_abort},
    {.name = "TESTZ",
     .flags = COMMAND_TEMPORARY,
     .params = testz_params,
     .help = "Move to new Z height",
     .handler = cmd_testz},
};

static bool has_endstop_position(const struct printer *printer, const char *section)
{
    const struct config_section *found = config_find(printer->config, section);
    return found && section_find(found, "position_endstop");
}

/* An endstop that is a probe has a z_offset instead; a delta's towers have no common endstop to find by hand. */
static enum err manual_probe_create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    bool has_z = has_endstop_position(obj->printer, "stepper_z"),
         has_a = has_endstop_position(obj->printer, "stepper_a");
    (void)section;
    enum err err = OK;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0] && err == OK; i++) {
        const struct command_desc *c = &commands[i];
        bool is_wanted = has_z || (has_a && c->handler == cmd_apply_endstop);
        if (!(c->flags & COMMAND_BY_OBJECT) || !is_wanted)
            continue;
        struct gcode_def def = {.name = c->name, .help = c->help, .fn = c->handler};
        err = gcode_register(obj->printer->gcode, &def, obj, info);
    }
    return err;
}

static void manual_probe_destroy(struct printer_object *obj)
{
    mem_free(((struct manual_probe *)obj)->tested);
}

static const struct status_field_desc fields[] = {
    {"is_active", "bool", "tool running"},
    {"z_position", "float/null", "current nozzle Z"},
    {"z_position_lower", "float/null", "highest accepted below"},
    {"z_position_upper", "float/null", "lowest accepted above"},
};

static void write_height(struct status_writer *writer, const char *field, bool is_known, double z_mm)
{
    if (is_known && !isnan(z_mm))
        status_float(writer, field, z_mm);
    else
        status_null(writer, field);
}

static void manual_probe_status(struct printer_object *obj, struct status_writer *writer)
{
    const struct manual_probe *mp = (struct manual_probe *)obj;
    status_bool(writer, "is_active", mp->is_active);
    write_height(writer, "z_position", mp->has_position, mp->z_mm);
    write_height(writer, "z_position_lower", mp->has_position, mp->lower_mm);
    write_height(writer, "z_position_upper", mp->has_position, mp->upper_mm);
}

const struct object_desc manual_probe_desc = {
    .section = "manual_probe",
    .flags = OBJECT_ALWAYS,
    .help = "Heights found by hand.",
    .size_bytes = sizeof(struct manual_probe),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    .create = manual_probe_create,
    .destroy = manual_probe_destroy,
    .status = manual_probe_status,
};
