/* [manual_stepper NAME]: a motor that G-code moves by itself, MANUAL_STEPPER, or as an axis of G1.
 *
 * Its motion queue starts a move where the stream of the toolhead stands, and the stream waits for its end unless SYNC=0.
 * As an axis (GCODE_AXIS) it goes along with the moves instead, in the same profiles: which queues are axes is the
 * engine's to say (engine_axis_queue), since a pause may take a change back; the letter is remembered here. */
#include "server/toolhead/manual_stepper.h"
#include "motion/engine.h"
#include "server/config/config.h"
#include "server/gcode/gcode_move.h"
#include "server/machine/motion_stream.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/machine/stepper.h"
#include "server/toolhead/toolhead.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#define LIMIT_NONE           999999.9
#define CORNER_DEFAULT_MM_S  1.0
#define LETTERS_TAKEN        "XYZEFN"

extern const struct object_desc manual_stepper_desc;

struct manual_stepper {
    struct printer_object base;
    struct stepper stepper;
    struct endstop *endstop; /* NULL: none */
    struct engine_queue *queue;
    double velocity_mm_s, accel_mm_s2;
    double min_mm, max_mm;   /* -INFINITY, INFINITY: no limit */
    char letter;             /* as an axis of G1 */
    struct engine_axis_spec axis;
};

static const struct option_desc options[] = {
    {.name = "endstop_pin", .type = OPTION_PIN, .help = "Switch that STOP_ON_ENDSTOP waits for"},
    {.name = "velocity", .type = OPTION_FLOAT, .unit = "mm/s", .default_text = "5.0", .limits = ">0",
     .help = "Speed of moves without SPEED"},
    {.name = "accel", .type = OPTION_FLOAT, .unit = "mm/s^2", .default_text = "0.0", .limits = ">=0",
     .help = "Acceleration of moves without ACCEL; 0: none, the speed is taken at once"},
    {.name = "position_min", .type = OPTION_FLOAT, .unit = "mm", .help = "Lower end of its moves; none: no limit"},
    {.name = "position_max", .type = OPTION_FLOAT, .unit = "mm", .help = "Upper end of its moves; none: no limit"},
    /* What sections written for a rail may also say. */
    {.name = "position_endstop", .type = OPTION_FLOAT, .unit = "mm", .default_text = "0.0",
     .help = "Accepted; the position at the endstop is that of MOVE"},
    {.name = "homing_speed", .type = OPTION_FLOAT, .unit = "mm/s", .default_text = "5.0", .limits = ">0",
     .help = "Accepted; SPEED says how fast"},
    {.name = "second_homing_speed", .type = OPTION_FLOAT, .unit = "mm/s", .default_text = "half of homing_speed",
     .limits = ">0", .help = "Accepted; there is no second approach"},
    {.name = "homing_retract_speed", .type = OPTION_FLOAT, .unit = "mm/s", .default_text = "homing_speed",
     .limits = ">0", .help = "Accepted; there is no retract"},
    {.name = "homing_retract_dist", .type = OPTION_FLOAT, .unit = "mm", .default_text = "5.0", .limits = ">=0",
     .help = "Accepted; there is no retract"},
    {.name = "homing_positive_dir", .type = OPTION_BOOL, .default_text = "by the position of the endstop",
     .help = "Accepted; the direction is that of MOVE"},
};

/* --- creation --- */

static void read_unused(struct config_section *section)
{
    static const char *const floats[] = {"position_endstop", "homing_speed", "homing_retract_dist"};
    for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++)
        (void)section_float(section, floats[i]);
    double homing = section_float(section, "homing_speed");
    (void)section_float_or(section, "second_homing_speed", homing / 2.0);
    (void)section_float_or(section, "homing_retract_speed", homing);
    (void)section_bool_or(section, "homing_positive_dir", false);
}

static enum err create_object(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    (void)info;
    struct manual_stepper *self = (struct manual_stepper *)obj;
    stepper_setup(&self->stepper, obj->printer, section);
    if (section_has(section, "endstop_pin")) {
        self->endstop = endstop_setup(obj->printer, section, obj->name);
        read_unused(section);
    }
    self->velocity_mm_s = section_float(section, "velocity");
    self->accel_mm_s2 = section_float(section, "accel");
    self->min_mm = section_has(section, "position_min") ? section_float(section, "position_min") : (double)-INFINITY;
    self->max_mm = section_has(section, "position_max") ? section_float(section, "position_max") : (double)INFINITY;
    if (self->max_mm < self->min_mm)
        config_error_option(section, "position_max", "Option 'position_max' in section '%s' must be above %g", obj->name,
                            self->min_mm);
    return OK;
}

static enum err connect_object(struct printer_object *obj, struct err_info *info)
{
    struct manual_stepper *self = (struct manual_stepper *)obj;
    struct engine *engine = obj->printer->engine;
    self->queue = engine_add_manual(engine, obj->name);
    enum err e = stepper_connect(&self->stepper, self->queue, 0, info);
    if (e || !self->endstop)
        return e;
    e = endstop_connect(self->endstop, info);
    return e ? e : engine_endstop_stops(engine, self->endstop->engine, self->stepper.engine, info);
}

static struct manual_stepper *owner_of(const struct printer *printer, const struct engine_queue *queue)
{
    for (struct printer_object *obj = printer_first_object(printer); obj; obj = obj->next)
        if (obj->desc == &manual_stepper_desc && ((struct manual_stepper *)obj)->queue == queue)
            return (struct manual_stepper *)obj;
    return NULL;
}

/* --- moves --- */

static bool is_axis(const struct manual_stepper *self)
{
    const struct engine *engine = self->base.printer->engine;
    for (unsigned i = 0; engine_axis_queue(engine, i); i++)
        if (engine_axis_queue(engine, i) == self->queue)
            return true;
    return false;
}

static enum err move(struct manual_stepper *self, const struct engine_queue_move *move, struct err_info *info)
{
    struct printer *printer = self->base.printer;
    enum err e;
    do {
        e = engine_queue_move(printer->engine, move, info);
    } while (motion_may_retry(printer, &e, info));
    printer_status_touch(&self->base);
    return e;
}

/* The stream waits for the end of what the motor does. */
static enum err sync(struct manual_stepper *self, struct err_info *info)
{
    struct printer *printer = self->base.printer;
    const struct engine_queue_move wait = {.queue = self->queue,
                                           .pos_mm = engine_queue_position(printer->engine, self->queue),
                                           .speed_mm_s = self->velocity_mm_s,
                                           .is_synced = true,
                                           .source = motion_source(printer)};
    return move(self, &wait, info);
}

static enum err flush(struct manual_stepper *self, struct err_info *info)
{
    struct printer *printer = self->base.printer;
    enum err e;
    do {
        e = engine_flush(printer->engine, motion_source(printer), info);
    } while (motion_may_retry(printer, &e, info));
    return e;
}

static enum err set_position(struct manual_stepper *self, double pos_mm, struct err_info *info)
{
    struct printer *printer = self->base.printer;
    enum err e;
    do {
        e = engine_queue_set_position(printer->engine, self->queue, pos_mm, motion_source(printer), info);
    } while (motion_may_retry(printer, &e, info));
    printer_status_touch(&self->base);
    return e;
}

/* --- moves that an endstop ends --- */

struct stop_mode {
    bool until_triggered, is_trigger_required, is_probe;
};

/* STOP_ON_ENDSTOP: [try_][inverted_]home or probe; 1, 2, -1, -2 as they were written before. */
static bool parse_stop(const char *text, struct stop_mode *mode)
{
    static const char *const old[][2] = {
        {"1", "home"}, {"2", "try_home"}, {"-1", "inverted_home"}, {"-2", "try_inverted_home"}};
    for (size_t i = 0; i < sizeof old / sizeof old[0]; i++)
        if (strcmp(text, old[i][0]) == 0)
            text = old[i][1];
    *mode = (struct stop_mode){.until_triggered = true, .is_trigger_required = true};
    if (strncasecmp(text, "try_", 4) == 0) {
        mode->is_trigger_required = false;
        text += 4;
    }
    if (strncasecmp(text, "inverted_", 9) == 0) {
        mode->until_triggered = false;
        text += 9;
    }
    mode->is_probe = strcasecmp(text, "probe") == 0;
    return mode->is_probe || strcasecmp(text, "home") == 0;
}

static enum err home(struct manual_stepper *self, double pos_mm, double speed_mm_s, double accel_mm_s2, const char *stop,
                     struct err_info *info)
{
    struct printer *printer = self->base.printer;
    struct stop_mode mode;
    if (!parse_stop(stop, &mode))
        return err_set(info, ERR_INVALID, "Unknown STOP_ON_ENDSTOP '%s'", stop);
    if (!self->endstop)
        return err_set(info, ERR_STATE, "No endstop for this manual stepper");
    enum err e = sync(self, info);
    if (e)
        return e;
    struct engine_home_request request = {
        .queue = self->queue,
        .pos = {pos_mm},
        .speed_mm_s = speed_mm_s,
        .accel_mm_s2 = accel_mm_s2,
        .endstops = {self->endstop->engine},
        .endstop_count = 1,
        .until_triggered = mode.until_triggered,
        .is_trigger_required = mode.is_trigger_required,
        .is_probe = mode.is_probe,
        .source = motion_source(printer),
    };
    struct engine_home_result result;
    struct homing_event event = {0};
    printer_emit(printer, HOMING_EVENT_MOVE_BEGIN, &event);
    e = engine_home(printer->engine, &request, &result, info);
    printer_emit(printer, HOMING_EVENT_MOVE_END, &event);
    printer_status_touch(&self->base);
    return e;
}

/* --- as an axis of G1 --- */

/* A change for everyone who holds coordinates. */
static void announce(struct printer *printer)
{
    manual_steppers_name_axes(printer);
    struct toolhead *th = printer_toolhead(printer);
    if (th)
        printer_status_touch((struct printer_object *)th);
}

/* Make `self` the last axis, or take it out. */
static enum err set_axes(struct manual_stepper *self, bool is_added, struct err_info *info)
{
    struct printer *printer = self->base.printer;
    struct engine_axis_spec axes[ENGINE_EXTRA_AXES_MAX + 1];
    unsigned count = 0;
    for (unsigned i = 0; engine_axis_queue(printer->engine, i); i++) {
        const struct manual_stepper *other = owner_of(printer, engine_axis_queue(printer->engine, i));
        if (other != self)
            axes[count++] = other->axis;
    }
    if (is_added)
        axes[count++] = self->axis;
    enum err e;
    do {
        e = engine_set_axes(printer->engine, axes, count, motion_source(printer), info);
    } while (motion_may_retry(printer, &e, info));
    if (!e)
        announce(printer);
    return e;
}

static bool is_letter_used(const struct printer *printer, char letter)
{
    for (unsigned i = 0; engine_axis_queue(printer->engine, i); i++)
        if (owner_of(printer, engine_axis_queue(printer->engine, i))->letter == letter)
            return true;
    return false;
}

static enum err read_axis(struct manual_stepper *self, struct gcode_command *cmd, struct engine_axis_spec *axis,
                          struct err_info *info)
{
    *axis = (struct engine_axis_spec){.queue = self->queue,
                                      .corner_velocity_mm_s = CORNER_DEFAULT_MM_S,
                                      .max_velocity_mm_s = LIMIT_NONE,
                                      .max_accel_mm_s2 = LIMIT_NONE,
                                      .own_accel_mm_s2 = self->accel_mm_s2,
                                      .position_min_mm = self->min_mm,
                                      .position_max_mm = self->max_mm};
    enum err e = gcode_opt_double(cmd, "INSTANTANEOUS_CORNER_VELOCITY", GCODE_MIN(0.0), &axis->corner_velocity_mm_s, info);
    if (!e)
        e = gcode_opt_double(cmd, "LIMIT_VELOCITY", GCODE_ABOVE(0.0), &axis->max_velocity_mm_s, info);
    if (!e)
        e = gcode_opt_double(cmd, "LIMIT_ACCEL", GCODE_ABOVE(0.0), &axis->max_accel_mm_s2, info);
    return e;
}

static enum err set_gcode_axis(struct manual_stepper *self, struct gcode_command *cmd, const char *text,
                               struct err_info *info)
{
    struct engine_axis_spec axis;
    enum err e = read_axis(self, cmd, &axis, info);
    if (e)
        return e;
    if (is_axis(self))
        return *text ? err_set(info, ERR_STATE, "Must unregister axis first") : set_axes(self, false, info);
    if (!*text)
        return OK;
    const char letter = (char)toupper((unsigned char)text[0]);
    if (text[1] || letter < 'A' || letter > 'Z' || strchr(LETTERS_TAKEN, letter))
        return err_set(info, ERR_INVALID, "Not a valid GCODE_AXIS");
    if (is_letter_used(self->base.printer, letter))
        return err_set(info, ERR_EXISTS, "Axis '%c' already registered", letter);
    self->letter = letter;
    self->axis = axis;
    return set_axes(self, true, info);
}

void manual_steppers_name_axes(struct printer *printer)
{
    char letters[ENGINE_EXTRA_AXES_MAX];
    size_t count = 0;
    for (unsigned i = 0; engine_axis_queue(printer->engine, i); i++)
        letters[count++] = owner_of(printer, engine_axis_queue(printer->engine, i))->letter;
    gcode_move_set_extra_axes(printer_gcode_move(printer), letters, count);
}

void manual_steppers_add_axes_json(const struct printer *printer, struct strbuf *json, bool has_more)
{
    for (unsigned i = 0; engine_axis_queue(printer->engine, i); i++) {
        const char *name = engine_queue_name(engine_axis_queue(printer->engine, i));
        strbuf_adds(json, has_more || i > 0 ? ", " : "");
        strbuf_add_json_string(json, name, strlen(name));
        strbuf_addf(json, ": %u", 4 + i);
    }
}

/* --- the command --- */

static enum err cmd_move(struct manual_stepper *self, struct gcode_command *cmd, struct err_info *info)
{
    struct engine_queue_move to = {.queue = self->queue,
                                   .speed_mm_s = self->velocity_mm_s,
                                   .accel_mm_s2 = self->accel_mm_s2,
                                   .source = motion_source(self->base.printer)};
    long is_synced = 1;
    enum err e = gcode_opt_double(cmd, "SPEED", GCODE_ABOVE(0.0), &to.speed_mm_s, info);
    if (!e)
        e = gcode_opt_double(cmd, "ACCEL", GCODE_MIN(0.0), &to.accel_mm_s2, info);
    if (!e)
        e = gcode_opt_int(cmd, "SYNC", GCODE_ANY, &is_synced, info);
    if (!e && gcode_has(cmd, "MOVE"))
        e = gcode_get_double(cmd, "MOVE", &to.pos_mm, info);
    if (e)
        return e;
    if (!gcode_has(cmd, "MOVE"))
        return gcode_has(cmd, "SYNC") && is_synced ? sync(self, info) : OK;
    if (to.pos_mm < self->min_mm || to.pos_mm > self->max_mm)
        return err_set(info, ERR_LIMIT, "Move out of range: %.3f is not between %.3f and %.3f (%s)", to.pos_mm,
                       self->min_mm, self->max_mm, self->base.name);
    const char *stop = gcode_get(cmd, "STOP_ON_ENDSTOP");
    if (stop && strcmp(stop, "0") != 0)
        return home(self, to.pos_mm, to.speed_mm_s, to.accel_mm_s2, stop, info);
    to.is_synced = is_synced != 0;
    return move(self, &to, info);
}

static enum err cmd_manual_stepper(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct manual_stepper *self = ctx;
    const char *letter = gcode_get(cmd, "GCODE_AXIS");
    if (letter)
        return set_gcode_axis(self, cmd, letter, info);
    if (is_axis(self))
        return err_set(info, ERR_STATE, "Must unregister from gcode axis first");
    enum err e = OK;
    if (gcode_has(cmd, "ENABLE")) {
        long on = 0;
        e = gcode_get_int_in(cmd, "ENABLE", GCODE_ANY, &on, info);
        if (!e)
            e = sync(self, info);
        if (!e)
            e = flush(self, info);
        if (!e)
            e = stepper_enable_set(self->base.printer, &self->stepper, on != 0, info);
    }
    if (!e && gcode_has(cmd, "SET_POSITION")) {
        double pos_mm = 0.0;
        e = gcode_get_double(cmd, "SET_POSITION", &pos_mm, info);
        if (!e)
            e = set_position(self, pos_mm, info);
    }
    return e ? e : cmd_move(self, cmd, info);
}

/* --- the object --- */

static void write_status(struct printer_object *obj, struct status_writer *writer)
{
    const struct manual_stepper *self = (const struct manual_stepper *)obj;
    const struct engine *engine = obj->printer->engine;
    status_float(writer, "position", engine && self->queue ? engine_queue_position(engine, self->queue) : 0.0);
    status_bool(writer, "enabled", self->stepper.engine && engine_stepper_is_on(self->stepper.engine));
}

static const struct command_param params[] = {
    {"STEPPER", "str", "required", NULL},
    {"ENABLE", "int", NULL, NULL},
    {"SET_POSITION", "float", NULL, NULL},
    {"SPEED", "float", "velocity", ">0"},
    {"ACCEL", "float", "accel", ">=0"},
    {"MOVE", "float", NULL, NULL},
    {"STOP_ON_ENDSTOP", "str", NULL, "[try_][inverted_]home or probe"},
    {"SYNC", "int", "1", NULL},
    {"GCODE_AXIS", "str", NULL, "a letter that is none of XYZEFN; empty: an axis no more"},
    {"LIMIT_VELOCITY", "float", "999999.9", ">0"},
    {"LIMIT_ACCEL", "float", "999999.9", ">0"},
    {"INSTANTANEOUS_CORNER_VELOCITY", "float", "1", ">=0"},
    {0}};
static const struct command_desc commands[] = {
    {"MANUAL_STEPPER", "STEPPER", 0, params, "Move, home, switch or declare a motor of its own, or make it an axis of G1",
     cmd_manual_stepper},
};
static const struct status_field_desc fields[] = {
    {"position", "float", "where its commanded moves end"},
    {"enabled", "bool", "its motor is on"},
};

const struct object_desc manual_stepper_desc = {
    .section = "manual_stepper",
    .flags = OBJECT_NAMED,
    .help = "A motor that G-code moves by itself",
    .size_bytes = sizeof(struct manual_stepper),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    .create = create_object,
    .connect = connect_object,
    .status = write_status,
};
