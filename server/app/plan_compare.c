#include "server/app/plan_compare.h"

#include "base/mem.h"
#include "firmware/proto/frame.h"
#include "firmware/proto/vlq.h"
#include "motion/engine.h"
#include "motion/link/dict.h"
#include "motion/link/msgfmt.h"
#include "server/machine/printer.h"
#include "server/machine/stepper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OIDS_MAX 256

struct wanted {
    struct step_list *steps; /* NULL: not of interest */
    uint64_t clock;
    int dir;
};

struct decoder {
    const struct dict *dict;
    struct wanted by_oid[OIDS_MAX];
    struct step_list lists[COMPARE_STEPPERS_MAX];
};

enum err plan_case_open(struct plan_case *c, const char *dir, struct err_info *info)
{
    memset(c, 0, sizeof *c);
    enum err e = oracle_load(&c->oracle, dir, info);
    if (e)
        return e;
    snprintf(c->config_path, sizeof c->config_path, "%s/printer.cfg", dir);
    snprintf(c->dict_path, sizeof c->dict_path, "%s/../../dicts/stm32f446.dict", dir);
    snprintf(c->output_path, sizeof c->output_path, "/tmp/lockstep-compare-XXXXXX");
    int fd = mkstemp(c->output_path);
    if (fd < 0) {
        c->output_path[0] = 0;
        return err_set(info, ERR_IO, "no temporary file: %s", strerror(errno));
    }
    close(fd);
    return OK;
}

void plan_case_close(struct plan_case *c)
{
    if (c->output_path[0])
        unlink(c->output_path);
    oracle_unload(&c->oracle);
}

/* --- bytes to steps --- */

static uint32_t field(const struct board_format *format, const uint32_t *values, const char *name)
{
    int index = msgfmt_field_index(format, name);
    return index < 0 ? 0 : values[index];
}

static void take(struct decoder *d, const struct board_format *format, const uint32_t *values)
{
    struct wanted *w = &d->by_oid[field(format, values, "oid") % OIDS_MAX];
    if (!w->steps)
        return;
    if (strcmp(format->name, "set_next_step_dir") == 0)
        w->dir = field(format, values, "dir") ? 1 : -1;
    if (strcmp(format->name, "reset_step_clock") == 0)
        w->clock = field(format, values, "clock");
    if (strcmp(format->name, "queue_step") != 0)
        return;
    uint16_t count = (uint16_t)field(format, values, "count");
    step_list_add_queue(w->steps, w->clock, field(format, values, "interval"), count,
                        (int16_t)field(format, values, "add"), w->dir);
    if (count)
        w->clock = w->steps->clocks[w->steps->count - 1];
}

/* One message; returns what follows it, NULL: it is none of the dictionary's. */
static const uint8_t *decode_message(struct decoder *d, const uint8_t *p, const uint8_t *end)
{
    bool is_output;
    const struct board_format *format = dict_message(d->dict, p, (size_t)(end - p), &is_output);
    uint32_t values[MSGFMT_FIELDS_MAX] = {0};
    if (!format)
        return NULL;
    p += format->id_len_bytes;
    for (unsigned i = 0; i < format->field_count && p; i++) {
        p = vlq_decode(p, end, &values[i]);
        if (p && format->fields[i].kind == MSGFMT_BUFFER)
            p = values[i] <= (size_t)(end - p) ? p + values[i] : NULL;
    }
    if (p)
        take(d, format, values);
    return p;
}

static enum err decode_file(struct decoder *d, const char *path, uint64_t *bytes, struct err_info *info)
{
    uint8_t block[FRAME_MAX_BYTES];
    size_t have = 0, len = 0;
    FILE *file = fopen(path, "rbe");
    if (!file)
        return err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
    enum err e = OK;
    *bytes = 0;
    for (;;) {
        have += fread(block + have, 1, sizeof block - have, file);
        if (have == 0 || e)
            break;
        if (frame_check(block, have, &len) != FRAME_GOOD) {
            e = err_set(info, ERR_INVALID, "%s: no block at byte %llu", path, (unsigned long long)*bytes);
            break;
        }
        const uint8_t *p = block + FRAME_HEADER_BYTES, *end = block + len - FRAME_TRAILER_BYTES;
        while (p && p < end)
            p = decode_message(d, p, end);
        if (!p)
            e = err_set(info, ERR_INVALID, "%s: an unknown message at byte %llu", path, (unsigned long long)*bytes);
        memmove(block, block + len, have - len);
        have -= len;
        *bytes += len;
    }
    fclose(file);
    return e;
}

/* --- the table --- */

/* "gear" is [extruder_stepper gear]. */
static const struct stepper *find_stepper(struct printer *printer, const char *name)
{
    const struct stepper *stepper;
    for (size_t i = 0; (stepper = stepper_at(printer, i)); i++) {
        const char *space = strrchr(stepper->name, ' ');
        if (strcmp(stepper->name, name) == 0 || (space && strcmp(space + 1, name) == 0))
            return stepper;
    }
    return NULL;
}

static enum err want_steppers(struct decoder *d, struct printer *printer, const struct oracle *o, struct err_info *info)
{
    for (unsigned i = 0; i < o->stepper_count; i++) {
        const struct stepper *stepper = find_stepper(printer, o->stepper[i].name);
        if (!stepper)
            return err_set(info, ERR_NOT_FOUND, "The configuration has no stepper %s", o->stepper[i].name);
        d->by_oid[stepper->oid % OIDS_MAX].steps = &d->lists[i];
    }
    return OK;
}

/* The steps as they were compressed against the exact times that the solver gave. */
static void measure(struct printer *printer, const struct oracle *o, struct compare_result *results)
{
    for (unsigned i = 0; i < o->stepper_count; i++) {
        const struct stepper *stepper = find_stepper(printer, o->stepper[i].name);
        for (unsigned k = 0; k < engine_stepper_count(printer->engine); k++) {
            if (engine_stepper_at(printer->engine, k) != stepper->engine)
                continue;
            struct engine_counters counters;
            engine_stepper_counters(printer->engine, k, &counters);
            results[i].exact_steps = counters.checked_steps;
            results[i].late_us = counters.late_us;
            results[i].early_us = counters.early_us;
            results[i].early_share = counters.early_share;
        }
    }
}

enum err plan_case_compare(struct plan_case *c, struct printer *printer, const char *dict_json, size_t dict_bytes,
                           FILE *out, bool *passes, struct err_info *info)
{
    const struct oracle *o = &c->oracle;
    const struct step_list *ours[COMPARE_STEPPERS_MAX];
    struct compare_result results[COMPARE_STEPPERS_MAX];
    struct dict *dict = NULL;
    uint64_t bytes = 0;
    enum err e = dict_parse_json(dict_json, dict_bytes, &dict, info);
    if (e)
        return e;
    struct decoder *d = MEM_NEW(struct decoder);
    d->dict = dict;
    for (unsigned i = 0; i < COMPARE_STEPPERS_MAX; i++) {
        step_list_init(&d->lists[i]);
        ours[i] = &d->lists[i];
    }
    e = want_steppers(d, printer, o, info);
    if (!e)
        e = decode_file(d, c->output_path, &bytes, info);
    if (!e) {
        compare_all(o, ours, o->frequency_hz, results);
        measure(printer, o, results);
        *passes = compare_print(out, o, ours, results, bytes);
    }
    for (unsigned i = 0; i < COMPARE_STEPPERS_MAX; i++)
        step_list_deinit(&d->lists[i]);
    mem_free(d);
    dict_destroy(dict);
    return e;
}
