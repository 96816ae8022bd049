/* [bltouch]: a probe whose pin is put out and taken in by the length of pulses on a servo line. Lengths and sequences of
 * commands: ANTCLABS, BLTouch Smart V3.0/V3.1 data sheets (10 degrees: down, 60: touch switch, 90: up, 120: self-test, 130:
 * store, 140: 5 V, 150: open drain, 160: reset). */
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/object.h"
#include "server/machine/output.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/toolhead/probe_device.h"
#include "server/toolhead/toolhead.h"

#include <string.h>
#include <strings.h>

#define PERIOD_S        0.020
#define COMMAND_S       0.100 /* five pulses, so that none is missed */
#define RESET_S         1.000
#define TRIES           3
#define SENSOR_VALID_S  300.0 /* the sensor is tested again after this time */

enum command { PIN_DOWN, TOUCH_MODE, PIN_UP, SELF_TEST, RESET, SET_5V, SET_OD, STORE, COMMAND_COUNT };
static const struct {
    const char *name;
    double pulse_s;
} commands_known[COMMAND_COUNT] = {
    {"pin_down", 0.000650},   {"touch_mode", 0.001165},         {"pin_up", 0.001475},
    {"self_test", 0.001780},  {"reset", 0.002190},              {"set_5V_output_mode", 0.001988},
    {"set_OD_output_mode", 0.002091}, {"output_mode_store", 0.001884},
};

enum output_mode { MODE_5V, MODE_OD, MODE_NONE };

struct bltouch {
    struct printer_object obj;
    struct probe *probe;
    struct output control;
    double move_s; /* the pin takes this long to go down or up */
    bool tells_up, tells_up_in_touch_mode, probes_in_touch_mode;
    enum output_mode mode;
    double sensor_tested_s; /* when, printer_now_s; below 0: not yet */
};

static struct bltouch *bltouch_of(void *obj)
{
    return obj;
}

/* One command in order with the moves, and the time it takes. */
static enum err send(struct bltouch *b, enum command command, double takes_s, struct err_info *info)
{
    enum err e = output_set_in_stream(&b->control, commands_known[command].pulse_s / PERIOD_S, info);
    return e ? e : toolhead_dwell(printer_toolhead(b->obj.printer), takes_s < COMMAND_S ? COMMAND_S : takes_s, info);
}

/* What the sensor says once everything so far has been executed. */
static enum err ask(struct bltouch *b, bool *is_triggered, struct err_info *info)
{
    enum err e = toolhead_wait_moves(printer_toolhead(b->obj.printer), info);
    return e ? e : endstop_query(probe_endstop(b->probe), is_triggered, info);
}

/* Out of whatever state it is in, and up. */
static enum err reset(struct bltouch *b, struct err_info *info)
{
    enum err e = send(b, RESET, RESET_S, info);
    return e ? e : send(b, PIN_UP, b->move_s, info);
}

/* Does the sensor say `is_triggered`? If not: reset it and, if `again` is one, send that; some times over. */
static enum err expect(struct bltouch *b, bool is_triggered, enum command again, const char *failure, const char *retry,
                       struct err_info *info)
{
    for (int attempt = 1; !b->obj.printer->services->is_batch; attempt++) {
        bool now = false;
        enum err e = ask(b, &now, info);
        if (e || now == is_triggered)
            return e;
        if (attempt == TRIES)
            return err_set(info, ERR_STATE, "%s", failure);
        gcode_respond_info(b->obj.printer->gcode, "%s", retry);
        e = reset(b, info);
        if (!e && again != COMMAND_COUNT)
            e = send(b, again, again == PIN_DOWN ? b->move_s : COMMAND_S, info);
        if (e)
            return e;
    }
    return OK;
}

/* With the pin up, touch mode reports a trigger: the wires are whole. Then it is up again and quiet. */
static enum err test_sensor(struct bltouch *b, struct err_info *info)
{
    double now_s = printer_now_s(b->obj.printer);
    bool is_known = b->sensor_tested_s >= 0.0 && now_s < b->sensor_tested_s + SENSOR_VALID_S;
    if (!b->tells_up_in_touch_mode || is_known)
        return OK;
    enum err e = send(b, TOUCH_MODE, COMMAND_S, info);
    if (!e)
        e = expect(b, true, TOUCH_MODE, "BLTouch failed to verify sensor state",
                   "Failed to verify BLTouch sensor state; retrying.", info);
    if (!e)
        b->sensor_tested_s = printer_now_s(b->obj.printer);
    return e;
}

static enum err lower(void *ctx, struct err_info *info)
{
    struct bltouch *b = ctx;
    enum err e = test_sensor(b, info);
    if (!e)
        e = send(b, PIN_DOWN, b->move_s, info);
    if (!e)
        e = expect(b, false, PIN_DOWN, "BLTouch failed to deploy", "Failed to verify BLTouch is deployed; retrying.",
                   info);
    return e || !b->probes_in_touch_mode ? e : send(b, TOUCH_MODE, COMMAND_S, info);
}

static enum err raise_pin(void *ctx, struct err_info *info)
{
    struct bltouch *b = ctx;
    enum err e = send(b, PIN_UP, b->move_s, info);
    if (e || !b->tells_up)
        return e;
    return expect(b, false, COMMAND_COUNT, "BLTouch failed to raise probe",
                  "Failed to verify BLTouch probe is raised; retrying.", info);
}

/* --- commands --- */

static enum err cmd_debug(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct bltouch *b = ctx;
    const char *name = gcode_get(cmd, "COMMAND");
    for (int i = 0; name && i < COMMAND_COUNT; i++) {
        if (strcasecmp(name, commands_known[i].name) != 0)
            continue;
        gcode_respond_info(gcode_of(cmd), "Sending BLTOUCH_DEBUG COMMAND=%s", commands_known[i].name);
        return send(b, (enum command)i, b->move_s, info);
    }
    gcode_respond_info(gcode_of(cmd), "BLTouch commands: pin_down pin_up touch_mode self_test reset set_5V_output_mode "
                                      "set_OD_output_mode output_mode_store");
    return OK;
}

static enum err set_mode(struct bltouch *b, enum output_mode mode, struct err_info *info)
{
    return mode == MODE_NONE ? OK : send(b, mode == MODE_5V ? SET_5V : SET_OD, COMMAND_S, info);
}

/* The sequence of a V3.1 that writes its memory. */
static enum err cmd_store(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct bltouch *b = ctx;
    const char *text = gcode_get(cmd, "MODE");
    bool is_5v = text && strcasecmp(text, "5V") == 0;
    if (!text || (!is_5v && strcasecmp(text, "OD") != 0)) {
        gcode_respond_info(gcode_of(cmd), "BLTouch output modes: 5V, OD");
        return OK;
    }
    enum output_mode mode = is_5v ? MODE_5V : MODE_OD;
    gcode_respond_info(gcode_of(cmd), "Storing BLTouch output mode: %s", is_5v ? "5V" : "OD");
    enum err e = send(b, PIN_DOWN, b->move_s, info);
    if (!e)
        e = set_mode(b, mode, info);
    if (!e)
        e = send(b, STORE, COMMAND_S, info);
    if (!e)
        e = set_mode(b, mode, info);
    return e ? e : send(b, PIN_UP, b->move_s, info);
}

/* --- the object --- */

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct bltouch *b = bltouch_of(obj);
    (void)info;
    b->sensor_tested_s = -1.0;
    b->move_s = section_float(section, "pin_move_time");
    b->tells_up = section_bool(section, "pin_up_reports_not_triggered");
    b->tells_up_in_touch_mode = section_bool(section, "pin_up_touch_mode_reports_triggered");
    b->probes_in_touch_mode = section_bool(section, "probe_with_touch_mode");
    b->mode = section_has(section, "set_output_mode") ? (enum output_mode)section_choice(section, "set_output_mode")
                                                      : MODE_NONE;
    const struct probe_device device = {
        .lower = lower, .raise = raise_pin, .ctx = b, .stays_out = !section_bool(section, "stow_on_each_sample")};
    output_claim(&b->control, obj->printer, section, "control_pin", true, NULL);
    output_set_cycle(&b->control, PERIOD_S, false);
    output_set_max_duration(&b->control, 0.0);
    b->probe = probe_setup(obj->printer, section, "sensor_pin", &device);
    return OK;
}

static enum err connect_object(struct printer_object *obj, struct err_info *info)
{
    struct bltouch *b = bltouch_of(obj);
    return b->control.is_claimed ? output_connect_stream(&b->control, info) : OK;
}

/* It may have been left with its pin down. What is wrong with it is told by the first probing. */
static void ready(struct printer_object *obj)
{
    static const char *const scripts[] = {[MODE_5V] = "_BLTOUCH_BEGIN MODE=5V", [MODE_OD] = "_BLTOUCH_BEGIN MODE=OD",
                                          [MODE_NONE] = "_BLTOUCH_BEGIN"};
    enum err e = printer_run_script(obj->printer, scripts[bltouch_of(obj)->mode], NULL, NULL);
    (void)e; /* all fibers in use: the first probing raises it too */
}

static enum err cmd_begin(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct bltouch *b = ctx;
    (void)cmd;
    enum err e = set_mode(b, b->mode, info);
    return e ? e : raise_pin(b, info);
}

static void write_status(struct printer_object *obj, struct status_writer *writer)
{
    if (bltouch_of(obj)->probe)
        probe_write_status(bltouch_of(obj)->probe, writer);
}

static const struct option_desc options[] = {
    {.name = "sensor_pin", .type = OPTION_PIN, .flags = OPTION_REQUIRED, .help = "Pin of the sensor"},
    {.name = "control_pin", .type = OPTION_PIN, .flags = OPTION_REQUIRED, .help = "Pin of the servo line"},
    {.name = "pin_move_time",
     .type = OPTION_FLOAT,
     .unit = "s",
     .default_text = "0.68",
     .limits = ">0",
     .help = "How long the pin takes to go down or up"},
    {.name = "stow_on_each_sample",
     .type = OPTION_BOOL,
     .default_text = "True",
     .help = "Take the pin in between the descents of a series"},
    {.name = "probe_with_touch_mode",
     .type = OPTION_BOOL,
     .default_text = "False",
     .help = "Descend with the sensor in touch mode"},
    {.name = "pin_up_reports_not_triggered",
     .type = OPTION_BOOL,
     .default_text = "True",
     .help = "The sensor is quiet while the pin is up"},
    {.name = "pin_up_touch_mode_reports_triggered",
     .type = OPTION_BOOL,
     .default_text = "True",
     .help = "With the pin up, touch mode reports a trigger"},
    {.name = "set_output_mode",
     .type = OPTION_CHOICE,
     .choices = "5V|OD|None",
     .help = "Output of the sensor of a V3, set at each start"},
    PROBE_OPTIONS,
};
static const struct command_param debug_params[] = {{"COMMAND", "str", NULL, NULL}, {0}};
static const struct command_param store_params[] = {{"MODE", "str", NULL, "5V|OD"}, {0}};
static const struct command_desc commands[] = {
    {.name = "BLTOUCH_DEBUG",
     .params = debug_params,
     .help = "Send a command to the bltouch for debugging",
     .handler = cmd_debug},
    {.name = "BLTOUCH_STORE",
     .params = store_params,
     .help = "Store an output mode in the BLTouch EEPROM",
     .handler = cmd_store},
    {.name = "_BLTOUCH_BEGIN", .handler = cmd_begin},
};
static const struct status_field_desc fields[] = {PROBE_FIELDS};

const struct object_desc bltouch_desc = {
    .section = "bltouch",
    .flags = OBJECT_EXACT,
    .help = "Probe with a pin that is put out for probing",
    .size_bytes = sizeof(struct bltouch),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    .create = create,
    .connect = connect_object,
    .ready = ready,
    .status = write_status,
};
