/* motion_report: where the toolhead is and how fast it moves at this instant. */
#include "server/toolhead/motion_report.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "motion/engine.h"
#include "server/gcode/gcode_move.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/machine/stepper.h"
#include "server/toolhead/extruder.h"
#include "server/toolhead/toolhead.h"

#include <stdlib.h>
#include <string.h>

struct motion_report {
    struct printer_object base;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void write_names(struct status_writer *writer, const char *field, const char **names, size_t count)
{
    if (count)
        qsort(names, count, sizeof *names, compare_names);
    struct strbuf *json = status_begin_json(writer, field);
    strbuf_addc(json, '[');
    for (size_t i = 0; i < count; i++) {
        if (i)
            strbuf_adds(json, ", ");
        strbuf_add_json_string(json, names[i], strlen(names[i]));
    }
    strbuf_addc(json, ']');
    status_end_json(writer);
}

/* What can be dumped: these lists do not change once the printer is ready. */
static void write_lists(struct printer *printer, struct status_writer *writer)
{
    const char *names[ENGINE_STEPPERS_MAX + ENGINE_QUEUES_MAX];
    size_t count = 0;
    for (size_t i = 0; stepper_at(printer, i) && count < ENGINE_STEPPERS_MAX; i++)
        names[count++] = stepper_at(printer, i)->name;
    write_names(writer, "steppers", names, count);
    count = 0;
    names[count++] = "toolhead";
    for (struct printer_object *obj = printer_first_object(printer); obj && count < ENGINE_QUEUES_MAX; obj = obj->next)
        if (extruder_find(printer, obj->name) == obj || strcmp(obj->desc->section, "manual_stepper") == 0)
            names[count++] = obj->name;
    write_names(writer, "trapq", names, count);
}

/* --- dumps --- */

static void add_vector(struct strbuf *out, const double v[3])
{
    for (int i = 0; i < 3; i++) {
        strbuf_adds(out, i ? "," : "[");
        strbuf_add_json_double(out, v[i]);
    }
    strbuf_addc(out, ']');
}

static void add_move(struct strbuf *out, const struct engine_dump_move *move)
{
    const double numbers[] = {move->time_s, move->duration_s, move->start_v_mm_s, move->accel_mm_s2};
    strbuf_addc(out, '[');
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        strbuf_add_json_double(out, numbers[i]);
        strbuf_addc(out, ',');
    }
    add_vector(out, move->start_mm);
    strbuf_addc(out, ',');
    add_vector(out, move->r);
    strbuf_addc(out, ']');
}

enum err motion_report_dump_trapq(struct printer *printer, const char *name, double since_s, struct strbuf *out,
                                  struct err_info *info)
{
    const struct engine_dump_move *moves = NULL;
    size_t count = 0;
    const struct engine_queue *queue = printer->engine ? engine_find_queue(printer->engine, name) : NULL;
    if (!queue)
        return err_set(info, ERR_NOT_FOUND, "Unknown motion queue '%s'", name);
    enum err e = engine_dump_queue(printer->engine, queue, since_s, &moves, &count, info);
    if (e)
        return e;
    strbuf_adds(out, "{\"header\":[\"time\",\"duration\",\"start_velocity\",\"acceleration\",\"start_position\","
                     "\"direction\"],\"data\":[");
    for (size_t i = 0; i < count; i++) {
        strbuf_adds(out, i ? "," : "");
        add_move(out, &moves[i]);
    }
    strbuf_adds(out, "]}");
    return OK;
}

enum err motion_report_dump_stepper(struct printer *printer, const char *name, double since_s, struct strbuf *out,
                                    struct err_info *info)
{
    const struct engine_dump_steps *steps = NULL;
    size_t count = 0;
    const struct stepper *stepper = stepper_find(printer, name);
    if (!stepper || !stepper->engine)
        return err_set(info, ERR_NOT_FOUND, "Unknown stepper '%s'", name);
    enum err e = engine_dump_stepper(printer->engine, stepper->engine, since_s, &steps, &count, info);
    if (e)
        return e;
    strbuf_adds(out, "{\"header\":[\"interval\",\"count\",\"add\"],\"data\":[");
    for (size_t i = 0; i < count; i++)
        strbuf_addf(out, "%s[%lu,%d,%d]", i ? "," : "", (unsigned long)steps[i].interval, (int)steps[i].count,
                    (int)steps[i].add);
    strbuf_addc(out, ']');
    if (count > 0) {
        const struct engine_dump_steps *first = &steps[0], *last = &steps[count - 1];
        const double start_mm = (double)first->steps_before * engine_stepper_step_dist_mm(stepper->engine);
        strbuf_addf(out, ",\"first_clock\":%llu,\"last_clock\":%llu,\"first_step\":%lld,\"first_time\":",
                    (unsigned long long)first->first_clock, (unsigned long long)last->last_clock,
                    (long long)first->steps_before);
        strbuf_add_json_double(out, first->first_s);
        strbuf_adds(out, ",\"last_time\":");
        strbuf_add_json_double(out, last->last_s);
        strbuf_adds(out, ",\"first_position\":");
        strbuf_add_json_double(out, start_mm);
    }
    strbuf_addc(out, '}');
    return OK;
}

static void write_status(struct printer_object *obj, struct status_writer *writer)
{
    struct engine_status status = {0};
    if (obj->printer->engine)
        engine_get_status(obj->printer->engine, printer_now(obj->printer), &status);
    status_floats(writer, "live_position", status.live_pos, gcode_move_axis_count(printer_gcode_move(obj->printer)));
    status_float(writer, "live_velocity", status.live_velocity_mm_s);
    status_float(writer, "live_extruder_velocity", status.live_extruder_velocity_mm_s);
    if (status_needs(writer, "steppers", 1))
        write_lists(obj->printer, writer);
}

static const struct status_field_desc fields[] = {
    {"live_position", "coord", "position at this instant"},
    {"live_velocity", "float", "speed of the toolhead at this instant"},
    {"live_extruder_velocity", "float", "speed of the filament at this instant"},
    {"steppers", "list", "names of the steppers"},
    {"trapq", "list", "names of the motion queues"},
};

const struct object_desc motion_report_desc = {
    .section = "motion_report",
    .flags = OBJECT_ALWAYS | OBJECT_LAST,
    .help = "The motion at this instant",
    .size_bytes = sizeof(struct motion_report),
    OBJECT_FIELDS(fields),
    .status = write_status,
};
