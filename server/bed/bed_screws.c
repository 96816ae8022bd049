/* [bed_screws]: the nozzle visits the bed's screws one after the other while the user turns each until paper drags, then,
 * if there are such places, the places where the bed moves most when a screw is turned. */
#include "server/bed/bed_screw_list.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/toolhead/manual_probe.h"
#include "server/toolhead/toolhead.h"

#include <math.h>
#include <stdio.h>

struct screw {
    struct bed_screw base;
    double fine_mm[2];
    bool has_fine;
};

enum stage { STAGE_OFF, STAGE_ADJUST, STAGE_FINE };

struct bed_screws {
    struct printer_object obj;
    struct screw screws[BED_SCREWS_MAX];
    size_t count;
    double speed_mm_s, lift_speed_mm_s, travel_z_mm, probe_z_mm;
    enum stage stage;
    size_t current;
    int accepted; /* in a row without an adjustment; -1: the present one has been adjusted */
};

static enum err go(struct bed_screws *b, double x, double y, double z, double speed_mm_s, struct err_info *info)
{
    const double to[TOOLHEAD_AXES_MAX] = {x, y, z, NAN, NAN, NAN, NAN, NAN};
    return toolhead_manual_move(printer_toolhead(b->obj.printer), to, speed_mm_s, info);
}

static void end(struct bed_screws *b)
{
    static const char *const names[] = {"ACCEPT", "ADJUSTED", "ABORT"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)gcode_unregister(b->obj.printer->gcode, names[i]);
    b->stage = STAGE_OFF;
    b->current = 0;
    b->accepted = 0;
    printer_status_touch(&b->obj);
}

/* Does this screw have a place in this stage? */
static bool is_visited(const struct bed_screws *b, size_t index)
{
    return b->stage == STAGE_ADJUST || b->screws[index].has_fine;
}

static int visited_count(const struct bed_screws *b)
{
    int count = 0;
    for (size_t i = 0; i < b->count; i++)
        count += is_visited(b, i);
    return count;
}

/* Move to the present screw and say what to do. */
static enum err visit(struct bed_screws *b, struct err_info *info)
{
    const struct screw *screw = &b->screws[b->current];
    const double *at = b->stage == STAGE_FINE ? screw->fine_mm : screw->base.place_mm;
    enum err e = go(b, NAN, NAN, b->travel_z_mm, b->lift_speed_mm_s, info);
    if (!e)
        e = go(b, at[0], at[1], NAN, b->speed_mm_s, info);
    if (!e)
        e = go(b, NAN, NAN, b->probe_z_mm, b->lift_speed_mm_s, info);
    if (e) {
        end(b);
        return e;
    }
    gcode_respond_info(b->obj.printer->gcode,
                       "Adjust %s. Then run ACCEPT, ADJUSTED, or ABORT\n"
                       "Use ADJUSTED if a significant screw adjustment is made",
                       screw->base.name);
    printer_status_touch(&b->obj);
    return OK;
}

static enum err begin_stage(struct bed_screws *b, enum stage stage, struct err_info *info)
{
    b->stage = stage;
    b->accepted = 0;
    b->current = 0;
    while (b->current + 1 < b->count && !is_visited(b, b->current))
        b->current++;
    return visit(b, info);
}

/* All of them one after the other until a whole round needed no adjustment. */
static enum err cmd_accept(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct bed_screws *b = ctx;
    (void)cmd;
    if (++b->accepted < visited_count(b)) {
        do
            b->current = (b->current + 1) % b->count;
        while (!is_visited(b, b->current));
        return visit(b, info);
    }
    enum stage before = b->stage;
    b->stage = STAGE_FINE;
    if (before == STAGE_ADJUST && visited_count(b) > 0)
        return begin_stage(b, STAGE_FINE, info);
    end(b);
    gcode_respond_info(b->obj.printer->gcode, "Bed screws tool completed successfully");
    return go(b, NAN, NAN, b->travel_z_mm, b->lift_speed_mm_s, info);
}

static enum err cmd_adjusted(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    ((struct bed_screws *)ctx)->accepted = -1;
    return cmd_accept(ctx, cmd, info);
}

static enum err cmd_abort(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)cmd;
    (void)info;
    end(ctx);
    return OK;
}

static enum err cmd_adjust(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    static const struct gcode_def defs[] = {
        {.name = "ACCEPT", .help = "Accept bed screw position", .fn = cmd_accept},
        {.name = "ADJUSTED", .help = "Accept bed screw position after notable adjustment", .fn = cmd_adjusted},
        {.name = "ABORT", .help = "Abort bed screws tool", .fn = cmd_abort},
    };
    struct bed_screws *b = ctx;
    (void)cmd;
    if (b->stage != STAGE_OFF)
        return err_set(info, ERR_STATE, "Already in bed_screws helper; use ABORT to exit");
    enum err e = manual_probe_check_free(b->obj.printer, info);
    if (e)
        return e;
    for (size_t i = 0; i < sizeof defs / sizeof defs[0]; i++) {
        e = gcode_register(b->obj.printer->gcode, &defs[i], b, info);
        if (!e)
            continue;
        while (i-- > 0)
            (void)gcode_unregister(b->obj.printer->gcode, defs[i].name);
        return e;
    }
    b->stage = STAGE_ADJUST;
    e = go(b, NAN, NAN, b->travel_z_mm, b->speed_mm_s, info); /* from wherever it stands */
    if (!e)
        return begin_stage(b, STAGE_ADJUST, info);
    end(b);
    return e;
}

/* --- the object --- */

/* screw1, screw2, ... as far as they go. */
static void read_screws(struct bed_screws *b, struct config_section *section)
{
    for (unsigned n = 1; n <= BED_SCREWS_MAX; n++) {
        struct screw *screw = &b->screws[b->count];
        if (!bed_screw_read(&screw->base, n, section))
            break;
        char fine[32];
        (void)snprintf(fine, sizeof fine, "screw%u_fine_adjust", n);
        if ((screw->has_fine = section_has(section, fine)))
            bed_screw_read_place(section, fine, screw->fine_mm);
        b->count++;
    }
    (void)bed_screw_check_count(b->count, "bed_screws", section);
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct bed_screws *b = (struct bed_screws *)obj;
    (void)info;
    read_screws(b, section);
    b->speed_mm_s = section_float(section, "speed");
    b->lift_speed_mm_s = section_float(section, "probe_speed");
    b->travel_z_mm = section_float(section, "horizontal_move_z");
    b->probe_z_mm = section_float(section, "probe_height");
    return OK;
}

static void write_status(struct printer_object *obj, struct status_writer *writer)
{
    const struct bed_screws *b = (struct bed_screws *)obj;
    status_bool(writer, "is_active", b->stage != STAGE_OFF);
    status_string(writer, "state", b->stage == STAGE_OFF ? NULL : b->stage == STAGE_FINE ? "fine" : "adjust");
    status_int(writer, "current_screw", (int64_t)b->current);
    status_int(writer, "accepted_screws", b->accepted);
}

static const struct option_desc options[] = {
    BED_SCREW_OPTIONS("Where the nozzle is above the screw"),
    {.name = "screw<n>_fine_adjust",
     .type = OPTION_FLOAT_LIST,
     .unit = "mm",
     .count = 2,
     .help = "Where the bed moves most when the screw is turned"},
    {.name = "horizontal_move_z",
     .type = OPTION_FLOAT,
     .unit = "mm",
     .default_text = "5",
     .help = "Height of travel between screws"},
    {.name = "probe_height",
     .type = OPTION_FLOAT,
     .unit = "mm",
     .default_text = "0",
     .help = "Height of the nozzle at the screws"},
    {.name = "speed",
     .type = OPTION_FLOAT,
     .unit = "mm/s",
     .default_text = "50",
     .limits = ">0",
     .help = "Speed of travel between screws"},
    {.name = "probe_speed",
     .type = OPTION_FLOAT,
     .unit = "mm/s",
     .default_text = "5",
     .limits = ">0",
     .help = "Speed of going up and down"},
};
static const struct command_desc commands[] = {
    {.name = "BED_SCREWS_ADJUST", .help = "Tool to help adjust bed leveling screws", .handler = cmd_adjust},
    {.name = "ACCEPT", .flags = COMMAND_TEMPORARY, .help = "Accept bed screw position", .handler = cmd_accept},
    {.name = "ADJUSTED",
     .flags = COMMAND_TEMPORARY,
     .help = "Accept bed screw position after notable adjustment",
     .handler = cmd_adjusted},
    {.name = "ABORT", .flags = COMMAND_TEMPORARY, .help = "Abort bed screws tool", .handler = cmd_abort},
};
static const struct status_field_desc fields[] = {
    {"is_active", "bool", "the tool is running"},
    {"state", "str/null", "adjust, or fine at the further places"},
    {"current_screw", "int", "index of the screw under the nozzle"},
    {"accepted_screws", "int", "accepted so far in this round"},
};

const struct object_desc bed_screws_desc = {
    .section = "bed_screws",
    .flags = OBJECT_EXACT,
    .help = "Helps turning the screws of the bed by hand",
    .size_bytes = sizeof(struct bed_screws),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    .create = create,
    .status = write_status,
};
