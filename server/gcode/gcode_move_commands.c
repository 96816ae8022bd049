/* The commands of the modal state: G0 G1 G20 G21 G90 G91 G92 M82 M83 M114 M220 M221, offsets, saved states,
 * GET_POSITION. */
#include "base/mem.h"
#include "server/gcode/command.h"
#include "server/gcode/gcode_move_private.h"
#include "server/gcode/private.h"

#include <string.h>

/* The words of the axes in `cmd` as numbers; bit i of *axes: values[i] is there. */
static enum err parse_words(const struct gcode_move *gm, struct gcode_command *cmd, unsigned *axes, double *values)
{
    char name[2] = {0, 0};
    *axes = 0;
    for (unsigned i = 0; i < gm->axis_count; i++) {
        name[0] = gm->letters[i];
        const char *text = gcode_get(cmd, name);
        if (!text)
            continue;
        if (gcode_parse_double(text, strlen(text), &values[i]))
            return ERR_INVALID;
        *axes |= 1u << i;
    }
    return OK;
}

static enum err cmd_g1(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct gcode_move *gm = ctx;
    unsigned axes;
    double values[GCODE_AXIS_COUNT_MAX], feed_mm_min = 0.0;
    const char *feed = gcode_get(cmd, "F");
    /* A key of several letters is a word that lost its number: ignoring it would move elsewhere than meant. */
    if (cmd->has_word || parse_words(gm, cmd, &axes, values) ||
        (feed && gcode_parse_double(feed, strlen(feed), &feed_mm_min)))
        return err_set(info, ERR_INVALID, "Unable to parse move '%s'", gcode_line(cmd));
    if (feed && feed_mm_min <= 0.0)
        return err_set(info, ERR_INVALID, "Invalid speed in '%s'", gcode_line(cmd));
    return gcode_move_linear(gm, axes, values, feed_mm_min, info);
}

static enum err cmd_g20(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)ctx;
    (void)cmd;
    return err_set(info, ERR_UNSUPPORTED, "Machine does not support G20 (inches) command");
}

static enum err cmd_g21(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)ctx;
    (void)cmd;
    (void)info;
    return OK;
}

static enum err set_flag(struct gcode_move *gm, bool *flag, bool value)
{
    gm->is_modal_new |= *flag != value;
    *flag = value;
    return OK;
}

static enum err cmd_m82(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)cmd;
    (void)info;
    struct gcode_move *gm = ctx;
    return set_flag(gm, &gm->modal.is_absolute_extrude, true);
}

static enum err cmd_m83(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)cmd;
    (void)info;
    struct gcode_move *gm = ctx;
    return set_flag(gm, &gm->modal.is_absolute_extrude, false);
}

static enum err cmd_g90(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)cmd;
    (void)info;
    struct gcode_move *gm = ctx;
    return set_flag(gm, &gm->modal.is_absolute_coord, true);
}

static enum err cmd_g91(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)cmd;
    (void)info;
    struct gcode_move *gm = ctx;
    return set_flag(gm, &gm->modal.is_absolute_coord, false);
}

/* Here is X.. Y.. Z.. E..; without any word, here is zero on every axis. */
static enum err cmd_g92(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct gcode_move *gm = ctx;
    double values[GCODE_AXIS_COUNT_MAX];
    unsigned axes = 0;
    if (cmd->has_word)
        return err_set(info, ERR_INVALID, "Error on '%s': unable to parse its parameters", gcode_line(cmd));
    for (unsigned i = 0; i < gm->axis_count; i++) {
        const char name[2] = {gm->letters[i], 0};
        if (!gcode_has(cmd, name))
            continue;
        enum err e = gcode_get_double(cmd, name, &values[i], info);
        if (e)
            return e;
        axes |= 1u << i;
    }
    for (unsigned i = 0; i < gm->axis_count; i++) {
        if (axes & (1u << i)) {
            double value = i == GCODE_E ? values[i] * gm->modal.extrude_factor : values[i];
            gm->modal.base_pos[i] = gm->last_pos[i] - value;
        } else if (axes == 0) {
            gm->modal.base_pos[i] = gm->last_pos[i];
        }
    }
    gm->is_modal_new = true;
    return OK;
}

static enum err cmd_m114(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)info;
    struct gcode_move_status status;
    gcode_move_get_status(ctx, &status);
    const double *pos = status.gcode_position;
    char text[256];
    struct strbuf out;
    strbuf_init(&out);
    strbuf_addf(&out, "X:%.3f Y:%.3f Z:%.3f E:%.3f", pos[0], pos[1], pos[2], pos[3]);
    size_t len = out.len_bytes < sizeof text - 1 ? out.len_bytes : sizeof text - 1;
    memcpy(text, out.data, len);
    text[len] = 0;
    strbuf_deinit(&out);
    if (!gcode_ack(cmd, text))
        gcode_respond_raw(gcode_of(cmd), text);
    return OK;
}

static enum err cmd_m220(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct gcode_move *gm = ctx;
    double percent = 100.0;
    enum err e = gcode_opt_double(cmd, "S", GCODE_ABOVE(0.0), &percent, info);
    if (e)
        return e;
    gcode_move_set_speed_percent(gm, percent);
    return OK;
}

/* The present E word keeps its value: only the origin moves. */
static enum err cmd_m221(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct gcode_move *gm = ctx;
    double percent = 100.0;
    enum err e = gcode_opt_double(cmd, "S", GCODE_ABOVE(0.0), &percent, info);
    if (e)
        return e;
    double factor = percent / 100.0;
    double e_word = (gm->last_pos[GCODE_E] - gm->modal.base_pos[GCODE_E]) / gm->modal.extrude_factor;
    gm->modal.base_pos[GCODE_E] = gm->last_pos[GCODE_E] - e_word * factor;
    gm->modal.extrude_factor = factor;
    gm->is_modal_new = true;
    return OK;
}

/* Optional 0 or other number. */
static enum err get_flag(struct gcode_command *cmd, const char *name, bool *out, struct err_info *info)
{
    long value = *out;
    enum err e = gcode_opt_int(cmd, name, GCODE_ANY, &value, info);
    *out = value != 0;
    return e;
}

/* X=1 sets the offset of an axis, X_ADJUST=1 adds to it; *delta is its change. */
static enum err parse_offset(struct gcode_command *cmd, char letter, double present, double *delta,
                             struct err_info *info)
{
    char name[] = "X", adjust[] = "X_ADJUST";
    name[0] = adjust[0] = letter;
    *delta = 0.0;
    if (gcode_has(cmd, name)) {
        double offset = 0.0;
        enum err e = gcode_get_double(cmd, name, &offset, info);
        *delta = e ? 0.0 : offset - present;
        return e;
    }
    return gcode_opt_double(cmd, adjust, GCODE_ANY, delta, info);
}

static enum err cmd_set_gcode_offset(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct gcode_move *gm = ctx;
    double delta[4], speed_mm_s = gm->modal.speed_mm_s;
    bool is_move = false;
    enum err e = OK;
    for (unsigned i = 0; i < 4 && !e; i++)
        e = parse_offset(cmd, "XYZE"[i], gm -> modal.homing_pos[i], &delta[i], info);
    if (!e)
        e = get_flag(cmd, "MOVE", &is_move, info);
    if (!e && is_move)
        e = gcode_opt_double(cmd, "MOVE_SPEED", GCODE_ABOVE(0.0), &speed_mm_s, info);
    if (e)
        return e;
    for (unsigned i = 0; i < 4; i++) {
        gm->modal.base_pos[i] += delta[i];
        gm->modal.homing_pos[i] += delta[i];
        if (is_move)
            gm->last_pos[i] += delta[i];
    }
    gm->is_modal_new = true;
    return is_move ? move_send(gm, speed_mm_s, info) : OK;
}

static const char *state_name(const struct gcode_command *cmd)
{
    const char *name = gcode_get(cmd, "NAME");
    return name ? name : "default";
}

static enum err cmd_save_gcode_state(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct gcode_move *gm = ctx;
    const char *name = state_name(cmd);
    if (!strmap_get(&gm->saved, name) && strmap_count(&gm->saved) >= GCODE_SAVED_STATE_COUNT_MAX)
        return err_set(info, ERR_LIMIT, "Too many saved g-code states (%d)", GCODE_SAVED_STATE_COUNT_MAX);
    gcode_move_save_state(gm, name);
    return OK;
}

static enum err cmd_restore_gcode_state(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct gcode_move *gm = ctx;
    bool is_move = false;
    double speed_mm_s = 0.0;
    const char *name = state_name(cmd);
    if (!strmap_get(&gm->saved, name))
        return err_set(info, ERR_NOT_FOUND, "Unknown g-code state: %s", name);
    enum err e = get_flag(cmd, "MOVE", &is_move, info);
    if (!e && is_move)
        e = gcode_opt_double(cmd, "MOVE_SPEED", GCODE_ABOVE(0.0), &speed_mm_s, info);
    return e ? e : gcode_move_restore_state(gm, name, is_move, speed_mm_s, info);
}

static void add_coords(struct strbuf *out, const char *title, const char *letters, const double *values, size_t count)
{
    strbuf_adds(out, title);
    for (size_t i = 0; i < count; i++)
        strbuf_addf(out, " %c:%.6f", letters[i], values[i]);
}

static enum err cmd_get_position(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct gcode_move *gm = ctx;
    if (!gm->toolhead || !gm->describe)
        return err_set(info, ERR_STATE, "Printer not ready");
    struct strbuf out;
    strbuf_init(&out);
    enum err e = gm->describe(gm->describe_ctx, &out, info);
    if (!e) {
        add_coords(&out, "gcode:", gm->letters, gm->last_pos, 4);
        add_coords(&out, "\ngcode base:", gm->letters, gm->modal.base_pos, 4);
        add_coords(&out, "\ngcode homing:", gm->letters, gm->modal.homing_pos, 3);
        gcode_respond_info(gcode_of(cmd), "%s", out.data);
    }
    strbuf_deinit(&out);
    return e;
}

static const struct command_param move_params[] = {{"X", "float", NULL, NULL},   {"Y", "float", NULL, NULL},
                                                   {"Z", "float", NULL, NULL},   {"E", "float", NULL, NULL},
                                                   {"F", "float", "last", ">0"}, {0}};
static const struct command_param position_params[] = {{"X", "float", NULL, NULL},
                                                       {"Y", "float", NULL, NULL},
                                                       {"Z", "float", NULL, NULL},
                                                       {"E", "float", NULL, NULL},
                                                       {0}};
static const struct command_param percent_params[] = {{"S", "float", "100", ">0"}, {0}};
static const struct command_param offset_params[] = {{"X", "float", NULL, NULL},
                                                     {"Y", "float", NULL, NULL},
                                                     {"Z", "float", NULL, NULL},
                                                     {"E", "float", NULL, NULL},
                                                     {"X_ADJUST", "float", NULL, NULL},
                                                     {"Y_ADJUST", "float", NULL, NULL},
                                                     {"Z_ADJUST", "float", NULL, NULL},
                                                     {"E_ADJUST", "float", NULL, NULL},
                                                     {"MOVE", "int", "0", NULL},
                                                     {"MOVE_SPEED", "float", "last F", ">0"},
                                                     {0}};
static const struct command_param save_params[] = {{"NAME", "str", "default", NULL}, {0}};
static const struct command_param restore_params[] = {
    {"NAME", "str", "default", NULL}, {"MOVE", "int", "0", NULL}, {"MOVE_SPEED", "float", "last F", ">0"}, {0}};

const struct command_desc gcode_move_commands[GCODE_MOVE_COMMAND_COUNT] = {
    {"G0", NULL, 0, move_params, NULL, cmd_g1},
    {"G1", NULL, 0, move_params, NULL, cmd_g1},
    {"G20", NULL, 0, NULL, NULL, cmd_g20},
    {"G21", NULL, 0, NULL, NULL, cmd_g21},
    {"M82", NULL, 0, NULL, NULL, cmd_m82},
    {"M83", NULL, 0, NULL, NULL, cmd_m83},
    {"G90", NULL, 0, NULL, NULL, cmd_g90},
    {"G91", NULL, 0, NULL, NULL, cmd_g91},
    {"G92", NULL, 0, position_params, NULL, cmd_g92},
    {"M114", NULL, COMMAND_WHEN_NOT_READY, NULL, NULL, cmd_m114},
    {"M220", NULL, 0, percent_params, NULL, cmd_m220},
    {"M221", NULL, 0, percent_params, NULL, cmd_m221},
    {"SET_GCODE_OFFSET", NULL, 0, offset_params, "Set or adjust the offset added to G-code positions",
     cmd_set_gcode_offset},
    {"SAVE_GCODE_STATE", NULL, 0, save_params, "Save the G-code coordinate state under a name", cmd_save_gcode_state},
    {"RESTORE_GCODE_STATE", NULL, 0, restore_params, "Restore a saved G-code coordinate state",
     cmd_restore_gcode_state},
    {"GET_POSITION", NULL, COMMAND_WHEN_NOT_READY, NULL,
     "Show the position as each layer from motors to G-code sees it", cmd_get_position},
};

enum err gcode_move_register(struct gcode_move *gm, struct err_info *info)
{
    for (size_t i = 0; i < GCODE_MOVE_COMMAND_COUNT; i++) {
        const struct command_desc *desc = &gcode_move_commands[i];
        struct gcode_def def = {desc->name, desc->help, (desc->flags & COMMAND_WHEN_NOT_READY) != 0, desc->handler,
                                false};
        enum err e = gcode_register(gm->g, &def, gm, info);
        if (e)
            return e;
    }
    return OK;
}
