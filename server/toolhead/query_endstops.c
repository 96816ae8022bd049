#include "server/toolhead/query_endstops.h"

#include "base/strbuf.h"
#include "motion/engine.h"
#include "server/gcode/gcode.h"
#include "server/machine/motion_stream.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/machine/stepper.h"

#include <string.h>

struct query_object {
    struct printer_object obj;
    struct strbuf last; /* JSON of the last query: {"x": 0, "y": 1} */
    uint64_t revision;
};

struct collect {
    query_endstops_fn *fn;
    void *ctx;
    struct query_object *query;
    bool has_any;
};

static void take(struct collect *c, const char *name, bool is_triggered)
{
    if (c->query) {
        strbuf_adds(&c->query->last, c->has_any ? ", " : "{");
        strbuf_add_json_string(&c->query->last, name, strlen(name));
        strbuf_adds(&c->query->last, is_triggered ? ": 1" : ": 0");
    }
    c->has_any = true;
    c->fn(c->ctx, name, is_triggered);
}

enum err query_endstops(struct printer *printer, query_endstops_fn *fn, void *ctx, struct err_info *info)
{
    struct collect c = {.fn = fn,
                        .ctx = ctx,
                        .query = (struct query_object *)printer_find_object(printer, "query_endstops")};
    enum err err = engine_wait_executed(printer->engine, motion_source(printer), info); /* where the moves so far lead */
    struct endstop *endstop;
    const char *name = NULL;
    if (c.query)
        strbuf_clear(&c.query->last);
    for (size_t i = 0; err == OK && (endstop = endstop_at(printer, i, &name)); i++) {
        bool is_triggered = false;
        err = endstop_query(endstop, &is_triggered, info);
        if (err == OK)
            take(&c, name, is_triggered);
    }
    if (c.query) {
        strbuf_adds(&c.query->last, c.has_any ? "}" : "{}");
        c.query->revision++;
        printer_status_touch(&c.query->obj);
    }
    return err;
}

static void add_text(void *ctx, const char *name, bool is_triggered)
{
    struct strbuf *text = ctx;
    strbuf_addf(text, "%s%s:%s", text->len_bytes ? " " : "", name, is_triggered ? "TRIGGERED" : "open");
}

static enum err cmd_query(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct query_object *query = ctx;
    (void)cmd;
    struct strbuf text;
    strbuf_init(&text);
    enum err err = query_endstops(query->obj.printer, add_text, &text, info);
    if (err == OK)
        printer_console(query->obj.printer, text.data);
    strbuf_deinit(&text);
    return err;
}

static void query_status(struct printer_object *obj, struct status_writer *writer)
{
    const struct query_object *query = (struct query_object *)obj;
    if (!status_needs(writer, "last_query", query->revision + 1))
        return;
    strbuf_adds(status_begin_json(writer, "last_query"), query->revision ? query->last.data : "{}");
    status_end_json(writer);
}

static void query_destroy(struct printer_object *obj)
{
    strbuf_deinit(&((struct query_object *)obj)->last);
}

static const struct command_desc query_commands[] = {
    {.name = "QUERY_ENDSTOPS", .help = "Report on the status of each endstop", .handler = cmd_query},
    {.name = "M119", .handler = cmd_query},
};
static const struct status_field_desc query_fields[] = {
    {"last_query", "dict", "endstop to triggered at last query"},
};

const struct object_desc query_endstops_desc = {
    .section = "query_endstops",
    .flags = OBJECT_ALWAYS,
    .help = "State of the endstops.",
    .size_bytes = sizeof(struct query_object),
    OBJECT_COMMANDS(query_commands),
    OBJECT_FIELDS(query_fields),
    .destroy = query_destroy,
    .status = query_status,
};
