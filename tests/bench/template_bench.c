/* How long a macro like START_PRINT takes to render: 40 lines, 20 look-ups in the printer's status. */
#include "base/clock.h"
#include "base/strbuf.h"
#include "server/gcode/template/jinja.h"
#include "server/gcode/template/value.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS 20000

static const char source[] =
    "{% set bed = params.BED|default(60)|float %}\n"
    "{% set hotend = params.HOTEND|default(200)|float %}\n"
    "{% set material = params.MATERIAL|default('PLA')|upper %}\n"
    "{% set max_x = printer.toolhead.axis_maximum[0] - 5 %}\n"
    "{% set max_y = printer.toolhead.axis_maximum[1] - 5 %}\n"
    "{% set vars = printer['gcode_macro START_PRINT'] %}\n"
    "{% set z_hop = vars.z_hop|default(10) %}\n"
    "{% set kinematics = printer.configfile.settings.printer.kinematics %}\n"
    "{% if 'xyz' not in printer.toolhead.homed_axes %}\n"
    "  G28\n"
    "{% endif %}\n"
    "{% if printer.heater_bed.temperature < bed - 10 %}\n"
    "  M117 Heating the bed to {bed}\n"
    "{% endif %}\n"
    "M140 S{bed}\n"
    "M104 S{(hotend * 0.75)|int}\n"
    "G90\n"
    "G1 Z{printer.toolhead.position[2] + z_hop} F600\n"
    "G1 X{max_x / 2} Y{max_y / 2} F{printer.toolhead.max_velocity * 60}\n"
    "M190 S{bed}\n"
    "{% if vars.soak > 0 and material in ['ABS', 'ASA'] %}\n"
    "  {% for i in range(vars.soak) %}\n"
    "  M117 Soaking {vars.soak - i} min\n"
    "  {% endfor %}\n"
    "{% endif %}\n"
    "{% if printer.quad_gantry_level is defined and not printer.quad_gantry_level.applied %}\n"
    "  QUAD_GANTRY_LEVEL\n"
    "{% endif %}\n"
    "BED_MESH_CALIBRATE\n"
    "M106 S{(printer.fan.speed * 255)|round|int}\n"
    "SET_PRESSURE_ADVANCE ADVANCE={'%.3f' % printer.extruder.pressure_advance}\n"
    "M109 S{hotend}\n"
    "{% if printer.extruder.can_extrude %}\n"
    "  {% set x = printer.configfile.settings.stepper_x.position_min + 10 %}\n"
    "  G1 X{x} Y5 Z0.3 F6000\n"
    "  G1 X{x + 60} E9 F1000\n"
    "  G1 X{x + 100} E12.5 F1000\n"
    "{% endif %}\n"
    "M117 {params.NAME|default(printer.print_stats.filename)} {material} {kinematics}\n"
    "G92 E0 ; {printer.idle_timeout.state} {printer.virtual_sdcard.progress|round(2)} {printer.system_stats.sysload}\n";

/* Members of one object, ended by a NULL name: each a JSON text, or an object below. */
struct member {
    const char *name, *json;
    const struct member *members;
};

static const struct value_object_type type;

/* A member is made a value when it is named, as the printer's objects do it. */
static enum err get(struct jinja_run *run, void *ctx, const char *name, size_t len_bytes, struct value *out)
{
    for (const struct member *m = ctx; m->name; m++) {
        if (strlen(m->name) != len_bytes || memcmp(m->name, name, len_bytes) != 0)
            continue;
        struct err_info info;
        if (m->json)
            return value_from_json(run, m->json, strlen(m->json), out, &info);
        *out = value_object(run, &type, (void *)m->members);
        return OK;
    }
    return ERR_NOT_FOUND;
}

static const struct value_object_type type = {.type_name = "dict", .get = get};

#define MEMBERS(...)                                                                                                   \
    .members = (const struct member[])                                                                                 \
    {                                                                                                                  \
        __VA_ARGS__,                                                                                                   \
        {                                                                                                              \
            .name = NULL                                                                                               \
        }                                                                                                              \
    }

#define FIELD(field, text)                                                                                             \
    {                                                                                                                  \
        .name = (field), .json = (text)                                                                                \
    }

static const struct member printer[] = {
    {.name = "toolhead",
     MEMBERS(FIELD("position", "[1.0, 2.0, 3.0, 0.0]"), FIELD("axis_maximum", "[220.0, 220.0, 250.0, 0.0]"),
             FIELD("homed_axes", "\"\""), FIELD("max_velocity", "300.0"))},
    {.name = "gcode_macro START_PRINT", MEMBERS(FIELD("z_hop", "10"), FIELD("soak", "3"))},
    {.name = "configfile",
     MEMBERS({.name = "settings",
              MEMBERS(FIELD("printer", "{\"kinematics\": \"corexy\", \"max_velocity\": 300.0, \"max_accel\": 3000.0}"),
                      FIELD("stepper_x", "{\"position_min\": 0.0, \"position_max\": 220.0, \"microsteps\": 16}"))})},
    {.name = "heater_bed", MEMBERS(FIELD("temperature", "25.3"))},
    {.name = "fan", MEMBERS(FIELD("speed", "0.5"))},
    {.name = "extruder", MEMBERS(FIELD("can_extrude", "true"), FIELD("pressure_advance", "0.045"))},
    {.name = "print_stats", MEMBERS(FIELD("filename", "\"benchy.gcode\""))},
    {.name = "idle_timeout", MEMBERS(FIELD("state", "\"Ready\""))},
    {.name = "virtual_sdcard", MEMBERS(FIELD("progress", "0.123456"))},
    {.name = "system_stats", MEMBERS(FIELD("sysload", "0.25"))},
    {.name = NULL}};
static const struct member params[] = {
    FIELD("BED", "\"110\""), FIELD("HOTEND", "\"250\""), FIELD("MATERIAL", "\"abs\""), {.name = NULL}};

int main(void)
{
    struct jinja *code;
    struct err_info info;
    struct host_ns begin = clock_monotonic();
    if (jinja_compile(source, sizeof source - 1, &(struct jinja_options){.name = "START_PRINT"}, &code, &info) != OK) {
        fprintf(stderr, "%s\n", info.text);
        return 1;
    }
    double compile_us = host_ns_diff_s(clock_monotonic(), begin) * 1e6;
    size_t bytes = 0;
    begin = clock_monotonic();
    for (int i = 0; i < ROUNDS; i++) {
        struct jinja_run *run = jinja_begin(code, NULL);
        struct strbuf out;
        strbuf_init(&out);
        jinja_set(run, "printer", value_object(run, &type, (void *)printer));
        jinja_set(run, "params", value_object(run, &type, (void *)params));
        enum err err = jinja_execute(run, &out, &info);
        if (err != OK)
            fprintf(stderr, "%s\n", info.text);
        bytes = out.len_bytes;
        strbuf_deinit(&out);
        jinja_end(run);
        if (err != OK)
            return 1;
    }
    double render_us = host_ns_diff_s(clock_monotonic(), begin) * 1e6 / ROUNDS;
    printf("START_PRINT, 40 lines, 24 look-ups: compiled in %.1f us, rendered in %.1f us (%zu bytes)\n", compile_us,
           render_us, bytes);
    jinja_destroy(code);
    return 0;
}
