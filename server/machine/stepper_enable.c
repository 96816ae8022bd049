/* Motor enable: one line per enable pin, switched by the engine in order with the moves; M18, M84, SET_STEPPER_ENABLE.
 * Also keeps the lists of the printer's steppers and endstops. */
#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "motion/engine.h"
#include "server/config/config.h"
#include "server/machine/motion_stream.h"
#include "server/machine/motion_registry.h"
#include "server/machine/object.h"
#include "server/machine/output.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/machine/stepper.h"

#include <string.h>

struct enable_line {
    struct output output;
    struct engine_output *engine_output;
    struct engine_enable *engine;
    struct enable_line *next;
};

struct listed_endstop {
    struct endstop *endstop;
    const char *name;
    bool is_taken;
};

struct stepper_enable {
    struct printer_object base;
    struct enable_line *lines;
    struct stepper **steppers;
    size_t stepper_count;
    struct listed_endstop *endstops;
    size_t endstop_count;
};

static struct stepper_enable *find(const struct printer *printer)
{
    return (struct stepper_enable *)printer_find_object(printer, "stepper_enable");
}

/* --- registry --- */

void registry_add_stepper(struct printer *printer, struct stepper *stepper)
{
    struct stepper_enable *self = find(printer);
    self->steppers = mem_realloc(self->steppers, (self->stepper_count + 1) * sizeof *self->steppers);
    self->steppers[self->stepper_count++] = stepper;
}

void registry_add_endstop(struct printer *printer, struct endstop *endstop, const char *name, bool is_taken)
{
    struct stepper_enable *self = find(printer);
    self->endstops = mem_realloc(self->endstops, (self->endstop_count + 1) * sizeof *self->endstops);
    self->endstops[self->endstop_count++] = (struct listed_endstop){endstop, name, is_taken};
}

struct stepper *stepper_at(struct printer *printer, size_t index)
{
    const struct stepper_enable *self = find(printer);
    return index < self->stepper_count ? self->steppers[index] : NULL;
}

struct stepper *stepper_find(struct printer *printer, const char *name)
{
    const struct stepper_enable *self = find(printer);
    for (size_t i = 0; i < self->stepper_count; i++)
        if (strcmp(self->steppers[i]->name, name) == 0)
            return self->steppers[i];
    return NULL;
}

struct endstop *endstop_at(struct printer *printer, size_t index, const char **name)
{
    const struct stepper_enable *self = find(printer);
    if (index >= self->endstop_count)
        return NULL;
    if (name)
        *name = self->endstops[index].name;
    return self->endstops[index].endstop;
}

/* --- enable lines --- */

struct enable_line *stepper_enable_setup(struct printer *printer, struct config_section *section)
{
    if (!section_has(section, "enable_pin"))
        return NULL;
    struct stepper_enable *self = find(printer);
    struct enable_line *line = MEM_NEW(struct enable_line);
    output_claim(&line->output, printer, section, "enable_pin", false, "stepper_enable");
    struct enable_line *shared = line->output.pin.chip ? pins_user(printer->pins, &line->output.pin) : NULL;
    if (shared) {
        mem_free(line);
        return shared;
    }
    if (line->output.pin.chip)
        pins_set_user(printer->pins, &line->output.pin, line);
    output_set_max_duration(&line->output, 0.0);
    line->next = self->lines;
    self->lines = line;
    return line;
}

enum err stepper_enable_connect(struct enable_line *line, struct err_info *info)
{
    if (line->engine)
        return OK;
    enum err e = output_connect(&line->output, info);
    if (e)
        return e;
    struct engine *engine = line->output.printer->engine;
    struct engine_output_spec spec = {
        .name = "stepper_enable",
        .board = line->output.board,
        .format = "queue_digital_out oid=%c clock=%u on_ticks=%u",
        .clock_index = 1,
    };
    e = engine_add_output(engine, &spec, &line->engine_output, info);
    if (e)
        return e;
    bool inverted = line->output.pin.is_inverted;
    int64_t on[] = {line->output.oid, 0, inverted ? 0 : 1}, off[] = {line->output.oid, 0, inverted ? 1 : 0};
    line->engine = engine_add_enable(engine, line->engine_output, on, off, 3);
    return OK;
}

struct engine_enable *stepper_enable_engine(const struct enable_line *line)
{
    return line->engine;
}

/* --- commands --- */

enum err stepper_enable_set(struct printer *printer, struct stepper *stepper, bool on, struct err_info *info)
{
    enum err e;
    do {
        e = engine_motor_enable(printer->engine, stepper ? stepper->engine : NULL, on, motion_source(printer), info);
    } while (motion_may_retry(printer, &e, info));
    return e;
}

enum err stepper_enable_all_off(struct printer *printer, struct err_info *info)
{
    enum err e = stepper_enable_set(printer, NULL, false, info);
    if (e)
        return e;
    printer_emit(printer, STEPPER_EVENT_MOTOR_OFF, NULL);
    return OK;
}

static enum err cmd_motors_off(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)cmd;
    struct stepper_enable *self = ctx;
    return stepper_enable_all_off(self->base.printer, info);
}

static enum err cmd_set_stepper_enable(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct stepper_enable *self = ctx;
    struct printer *printer = self->base.printer;
    const char *name = gcode_get(cmd, "STEPPER");
    struct stepper *stepper = name ? stepper_find(printer, name) : NULL;
    if (!stepper) {
        gcode_respond_info(gcode_of(cmd), "SET_STEPPER_ENABLE: Invalid stepper \"%s\"", name ? name : "None");
        return OK;
    }
    long on = 1;
    enum err e = gcode_opt_int(cmd, "ENABLE", GCODE_ANY, &on, info);
    return e ? e : stepper_enable_set(printer, stepper, on != 0, info);
}

/* --- the object --- */

static void on_engine_event(void *ctx, const struct engine_event *event)
{
    struct stepper_enable *self = ctx;
    if (event->kind == ENGINE_EVENT_MOTOR)
        printer_status_touch(&self->base);
}

static enum err connect_object(struct printer_object *obj, struct err_info *info)
{
    (void)info;
    engine_listen(obj->printer->engine, on_engine_event, obj);
    return OK;
}

static void destroy_object(struct printer_object *obj)
{
    struct stepper_enable *self = (struct stepper_enable *)obj;
    while (self->lines) {
        struct enable_line *line = self->lines;
        self->lines = line->next;
        mem_free(line);
    }
    for (size_t i = 0; i < self->endstop_count; i++)
        if (self->endstops[i].is_taken)
            mem_free(self->endstops[i].endstop);
    mem_free(self->endstops);
    mem_free(self->steppers);
}

static void write_status(struct printer_object *obj, struct status_writer *writer)
{
    const struct stepper_enable *self = (const struct stepper_enable *)obj;
    struct strbuf *json = status_begin_json(writer, "steppers");
    strbuf_addc(json, '{');
    for (size_t i = 0; i < self->stepper_count; i++) {
        const struct stepper *stepper = self->steppers[i];
        if (i)
            strbuf_adds(json, ", ");
        strbuf_add_json_string(json, stepper->name, strlen(stepper->name));
        strbuf_adds(json, stepper->engine && engine_stepper_is_on(stepper->engine) ? ": true" : ": false");
    }
    strbuf_addc(json, '}');
    status_end_json(writer);
}

static const struct command_param enable_params[] = {
    {"STEPPER", "str", "required", NULL}, {"ENABLE", "int", "1", NULL}, {0}};
static const struct command_desc commands[] = {
    {"M18", NULL, 0, NULL, NULL, cmd_motors_off},
    {"M84", NULL, 0, NULL, NULL, cmd_motors_off},
    {"SET_STEPPER_ENABLE", NULL, 0, enable_params, "Switch the current of one stepper on or off",
     cmd_set_stepper_enable},
};
static const struct status_field_desc fields[] = {{"steppers", "dict", "stepper name to whether its motor is on"}};
static const struct event_desc events[] = {{STEPPER_EVENT_MOTOR_OFF, "all motors have been switched off; no data"}};

const struct object_desc stepper_enable_desc = {
    .section = "stepper_enable",
    .flags = OBJECT_ALWAYS,
    .help = "Motor current of all steppers",
    .size_bytes = sizeof(struct stepper_enable),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    OBJECT_EVENTS(events),
    .connect = connect_object,
    .destroy = destroy_object,
    .status = write_status,
};
