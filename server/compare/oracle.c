#include "server/compare/compare.h"

#include "base/check.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* "# clock0=TICKS", then one signed number of ticks a line: sign = direction, value = ticks since the step before. */
static enum err load_steps(const char *path, struct step_list *steps, struct err_info *info)
{
    gzFile file = gzopen(path, "rb");
    if (!file)
        return err_set(info, ERR_IO, "%s: cannot be read", path);
    char line[128];
    uint64_t clock = 0;
    enum err err = OK;
    while (gzgets(file, line, sizeof line)) {
        if (line[0] == '#') {
            const char *value = strchr(line, '=');
            clock = value ? strtoull(value + 1, NULL, 10) : 0;
            continue;
        }
        char *end;
        const long long ticks = strtoll(line, &end, 10);
        if (end == line) {
            err = err_set(info, ERR_INVALID, "%s: a line is not a number: %.20s", path, line);
            break;
        }
        clock += (uint64_t)llabs(ticks);
        step_list_add(steps, clock, line[0] == '-' ? -1 : 1);
    }
    gzclose(file);
    return err;
}

static enum err load_stepper(struct oracle *o, const char *name, json_t *facts, struct err_info *info)
{
    if (o->stepper_count == COMPARE_STEPPERS_MAX || strlen(name) >= COMPARE_NAME_MAX)
        return err_set(info, ERR_LIMIT, "%s: too many steppers", o->dir);
    struct oracle_stepper *s = &o->stepper[o->stepper_count++];
    strcpy(s->name, name);
    s->queue_step = (uint64_t)json_integer_value(json_object_get(facts, "queue_step"));
    step_list_init(&s->steps);
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.steps.gz", o->dir, name);
    enum err err = load_steps(path, &s->steps, info);
    if (err != OK)
        return err;
    if (s->steps.count != (size_t)json_integer_value(json_object_get(facts, "steps")))
        return err_set(info, ERR_INVALID, "%s: not as many steps as meta.json says", path);
    return OK;
}

enum err oracle_load(struct oracle *o, const char *dir, struct err_info *info)
{
    memset(o, 0, sizeof *o);
    snprintf(o->dir, sizeof o->dir, "%s", dir);
    char path[1024];
    snprintf(path, sizeof path, "%s/meta.json", dir);
    json_error_t error;
    json_t *meta = json_load_file(path, 0, &error);
    if (!meta)
        return err_set(info, ERR_INVALID, "%s: %s", path, error.text);
    const char *gcode = json_string_value(json_object_get(meta, "gcode"));
    snprintf(o->gcode, sizeof o->gcode, "%s/%s", dir, gcode ? gcode : "");
    o->frequency_hz = json_number_value(json_object_get(meta, "mcu_frequency_hz"));
    o->print_time_s = json_number_value(json_object_get(meta, "print_time_s"));
    o->mcu_bytes = (uint64_t)json_integer_value(json_object_get(meta, "mcu_bytes"));
    enum err err = OK;
    const char *name;
    json_t *facts;
    json_object_foreach(json_object_get(meta, "steppers"), name, facts)
    {
        if (err == OK)
            err = load_stepper(o, name, facts, info);
    }
    if (err == OK && (o->stepper_count == 0 || !(o->frequency_hz > 0.0)))
        err = err_set(info, ERR_INVALID, "%s: no steppers", path);
    json_decref(meta);
    return err;
}

void oracle_unload(struct oracle *o)
{
    for (unsigned i = 0; i < o->stepper_count; i++)
        step_list_deinit(&o->stepper[i].steps);
    o->stepper_count = 0;
}
