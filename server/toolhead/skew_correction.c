/* [skew_correction]: axes that are not at right angles, set right by a linear transform of every move. */
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

#define PREFIX             "skew_correction "
#define PROFILES_MAX       100
#define PROFILE_NAME_MAX   128
#define DEGREES_PER_RADIAN 57.29577951308232

enum { XY, XZ, YZ, PLANES };
static const char *const plane_names[PLANES] = {"XY", "XZ", "YZ"};
static const char *const plane_options[PLANES] = {"xy_skew", "xz_skew", "yz_skew"};

struct profile {
    char name[PROFILE_NAME_MAX];
    double factor[PLANES];
};

struct skew_correction {
    struct printer_object obj;
    struct gcode_transform transform;
    double factor[PLANES]; /* tangents of the angles missing to a right one */
    char profile_name[PROFILE_NAME_MAX];
    struct profile profiles[PROFILES_MAX];
    size_t profile_count;
};

/* --- the transform --- */

static enum err move(void *ctx, const double *pos, double speed_mm_s, struct err_info *info)
{
    struct skew_correction *s = ctx;
    const double *f = s->factor;
    double to[GCODE_AXIS_COUNT_MAX];
    memcpy(to, pos, gcode_move_axis_count(printer_gcode_move(s->obj.printer)) * sizeof *to);
    to[0] = pos[0] - pos[1] * f[XY] - pos[2] * (f[XZ] - f[XY] * f[YZ]);
    to[1] = pos[1] - pos[2] * f[YZ];
    return s->transform.next->move(s->transform.next->ctx, to, speed_mm_s, info);
}

/* The inverse of `move`. */
static void get_position(void *ctx, double *pos)
{
    struct skew_correction *s = ctx;
    s->transform.next->get_position(s->transform.next->ctx, pos);
    pos[0] += pos[1] * s->factor[XY] + pos[2] * s->factor[XZ];
    pos[1] += pos[2] * s->factor[YZ];
}

static enum err use(struct skew_correction *s, const double factor[PLANES], const char *profile, struct err_info *info)
{
    (void)info;
    memcpy(s->factor, factor, sizeof s->factor);
    snprintf(s->profile_name, sizeof s->profile_name, "%s", profile);
    gcode_move_reset_position(printer_gcode_move(s->obj.printer));
    printer_status_touch(&s->obj);
    return OK;
}

/* Of a printed parallelogram with diagonals ac and bd and side ad: the other side follows from the parallelogram law,
 * the angle between the sides from the law of cosines; false: no such figure. */
static bool skew_of(double ac, double bd, double ad, double *factor)
{
    double side2 = 2.0 * ac * ac + 2.0 * bd * bd - 4.0 * ad * ad;
    double side = side2 > 0.0 ? sqrt(side2) / 2.0 : 0.0;
    double cosine = (ac * ac - side * side - ad * ad) / (2.0 * side * ad);
    if (!(fabs(cosine) < 1.0))
        return false;
    *factor = cosine / sqrt(1.0 - cosine * cosine); /* tan(pi/2 - acos(c)) */
    return true;
}

/* --- commands --- */

static enum err read_lengths(struct gcode_command *cmd, const char *plane, double *factor, struct err_info *info)
{
    const char *text = gcode_get(cmd, plane);
    double lengths[3];
    if (!text)
        return OK;
    const char *p = text;
    for (int i = 0; i < 3; i++) {
        size_t len = strcspn(p, ",");
        bool is_right_end = i < 2 ? p[len] == ',' : p[len] == 0;
        if (!is_right_end || gcode_parse_double(p, len, &lengths[i]) || lengths[i] <= 0.0)
            return err_set(info, ERR_INVALID, "skew_correction: improperly formatted entry for plane [%s]\n%s", plane,
                           gcode_line(cmd));
        p += len + 1;
    }
    if (!skew_of(lengths[0], lengths[1], lengths[2], factor))
        return err_set(info, ERR_INVALID, "skew_correction: no figure has the lengths given for plane [%s]: %s", plane,
                       text);
    return OK;
}

static enum err cmd_set(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct skew_correction *s = ctx;
    double factor[PLANES] = {0.0};
    long clear = 0;
    enum err e = gcode_opt_int(cmd, "CLEAR", GCODE_ANY, &clear, info);
    if (!e && !clear)
        memcpy(factor, s->factor, sizeof factor);
    for (int i = 0; i < PLANES && !e && !clear; i++)
        e = read_lengths(cmd, plane_names[i], &factor[i], info);
    return e ? e : use(s, factor, clear ? "" : s->profile_name, info);
}

static enum err cmd_get(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    const struct skew_correction *s = ctx;
    (void)info;
    char text[256] = "Current Printer Skew:";
    for (int i = 0; i < PLANES; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "\n%s Skew: %.6f radians, %.2f degrees", plane_names[i], s->factor[i],
                 s->factor[i] * DEGREES_PER_RADIAN);
    }
    gcode_respond_info(gcode_of(cmd), "%s", text);
    return OK;
}

static enum err cmd_calculate(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)ctx;
    static const char *const names[] = {"AC", "BD", "AD"};
    double lengths[3], factor;
    for (int i = 0; i < 3; i++) {
        enum err e = gcode_get_double_in(cmd, names[i], GCODE_ABOVE(0.0), &lengths[i], info);
        if (e)
            return e;
    }
    if (!skew_of(lengths[0], lengths[1], lengths[2], &factor))
        return err_set(info, ERR_INVALID, "skew_correction: no figure has these lengths");
    gcode_respond_info(gcode_of(cmd), "Calculated Skew: %.6f radians, %.2f degrees", factor,
                       factor * DEGREES_PER_RADIAN);
    return OK;
}

static struct profile *find(struct skew_correction *s, const char *name)
{
    for (size_t i = 0; i < s->profile_count; i++)
        if (strcmp(s->profiles[i].name, name) == 0)
            return &s->profiles[i];
    return NULL;
}

static enum err put(struct skew_correction *s, const char *name, const double factor[PLANES], struct err_info *info)
{
    struct profile *profile = find(s, name);
    if (strlen(name) >= PROFILE_NAME_MAX || (!profile && s->profile_count == PROFILES_MAX))
        return err_set(info, ERR_LIMIT, "skew_correction: too many profiles, or too long a name");
    if (!profile)
        profile = &s->profiles[s->profile_count++];
    strcpy(profile->name, name);
    memcpy(profile->factor, factor, sizeof profile->factor);
    return OK;
}

static enum err save(struct skew_correction *s, const char *name, struct err_info *info)
{
    enum err e = put(s, name, s->factor, info);
    char *section = mem_sprintf(PREFIX "%s", name), text[32];
    for (int i = 0; i < PLANES && !e; i++) {
        snprintf(text, sizeof text, "%.6f", s->factor[i]);
        e = config_set_autosave(s->obj.printer->config, section, plane_options[i], text, info);
    }
    mem_free(section);
    return e;
}

static void drop(struct skew_correction *s, struct profile *profile)
{
    char *section = mem_sprintf(PREFIX "%s", profile->name);
    config_remove_autosave(s->obj.printer->config, section);
    mem_free(section);
    *profile = s->profiles[--s->profile_count];
}

static enum err cmd_profile(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct skew_correction *s = ctx;
    const char *load = gcode_get(cmd, "LOAD"), *keep = gcode_get(cmd, "SAVE"), *remove = gcode_get(cmd, "REMOVE");
    const char *name = load ? load : keep ? keep : remove;
    if (!name || !*name)
        return err_set(info, ERR_INVALID, "Invalid syntax '%s'", gcode_line(cmd));
    struct profile *profile = find(s, name);
    if (!load && keep) {
        enum err e = save(s, name, info);
        if (!e)
            gcode_respond_info(gcode_of(cmd),
                               "Skew Correction state has been saved to profile [%s]\nfor the current session.  The "
                               "SAVE_CONFIG command will\nupdate the printer config file and restart the printer.",
                               name);
        return e;
    }
    if (!profile)
        return err_set(info, ERR_NOT_FOUND, "skew_correction: Unknown profile [%s]", name);
    if (load)
        return use(s, profile->factor, name, info);
    drop(s, profile);
    gcode_respond_info(gcode_of(cmd), "Profile [%s] removed from storage for this session.", name);
    return OK;
}

/* --- the object --- */

static const struct option_desc profile_options[] = {
    {.name = "xy_skew", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED, .help = "Skew of x over y"},
    {.name = "xz_skew", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED, .help = "Skew of x over z"},
    {.name = "yz_skew", .type = OPTION_FLOAT, .flags = OPTION_REQUIRED, .help = "Skew of y over z"},
};

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct skew_correction *s = (struct skew_correction *)obj;
    struct config *config = obj->printer->config;
    (void)section;
    (void)info;
    s->transform =
        (struct gcode_transform){.name = "skew_correction", .ctx = s, .move = move, .get_position = get_position};
    for (size_t i = 0; i < config_section_count(config); i++) {
        struct config_section *stored = config_section_at(config, i);
        double factor[PLANES];
        struct err_info why;
        if (strncmp(section_name(stored), PREFIX, strlen(PREFIX)) != 0)
            continue;
        section_bind(stored, profile_options, PLANES);
        for (int k = 0; k < PLANES; k++)
            factor[k] = section_float(stored, plane_options[k]);
        if (put(s, section_name(stored) + strlen(PREFIX), factor, &why))
            config_error_section(stored, "%s", why.text);
    }
    return OK;
}

/* In front of the mesh: that one is measured in the coordinates of the axes. */
static void ready(struct printer_object *obj)
{
    struct skew_correction *s = (struct skew_correction *)obj;
    enum err e = gcode_move_add_transform(printer_gcode_move(obj->printer), &s->transform, true, NULL);
    (void)e; /* forced: it cannot be refused */
    gcode_move_reset_position(printer_gcode_move(obj->printer));
}

static void write_status(struct printer_object *obj, struct status_writer *writer)
{
    status_string(writer, "current_profile_name", ((const struct skew_correction *)obj)->profile_name);
}

static const struct command_param set_params[] = {{"CLEAR", "int", "0", NULL},
                                                  {"XY", "ac,bd,ad", NULL, NULL},
                                                  {"XZ", "ac,bd,ad", NULL, NULL},
                                                  {"YZ", "ac,bd,ad", NULL, NULL},
                                                  {0}};
static const struct command_param calculate_params[] = {
    {"AC", "float", "required", ">0"}, {"BD", "float", "required", ">0"}, {"AD", "float", "required", ">0"}, {0}};
static const struct command_param profile_params[] = {
    {"LOAD", "str", NULL, NULL}, {"SAVE", "str", NULL, NULL}, {"REMOVE", "str", NULL, NULL}, {0}};
static const struct command_desc commands[] = {
    {.name = "SET_SKEW",
     .params = set_params,
     .help = "Set the skew from measured lengths, or clear it",
     .handler = cmd_set},
    {.name = "GET_CURRENT_SKEW", .help = "Print the skew in use", .handler = cmd_get},
    {.name = "CALC_MEASURED_SKEW",
     .params = calculate_params,
     .help = "Print the skew of measured lengths",
     .handler = cmd_calculate},
    {.name = "SKEW_PROFILE",
     .params = profile_params,
     .help = "Load, save or remove a skew profile",
     .handler = cmd_profile},
};
static const struct status_field_desc fields[] = {{"current_profile_name", "str", "profile in use, empty if none"}};

const struct object_desc skew_correction_desc = {
    .section = "skew_correction",
    .flags = OBJECT_EXACT,
    .help = "Sets axes right that are not at right angles",
    .size_bytes = sizeof(struct skew_correction),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    .create = create,
    .ready = ready,
    .status = write_status,
};
const struct object_desc skew_correction_profile_desc = {
    .section = "skew_correction",
    .flags = OBJECT_NAMED | OBJECT_SETTINGS,
    .help = "A skew that was saved",
    OBJECT_OPTIONS(profile_options),
};
