#include "server/machine/led.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "motion/engine.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/motion_stream.h"
#include "server/machine/status.h"
#include "server/machine/templated.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COLOURS 4

/* One lamp, as the user of a template. */
struct led_slot {
    struct led_chain *chain;
    size_t index;
    bool is_told; /* that its template gives no colour */
};

/* A change that takes effect when the motion has come to where SET_LED stood. */
struct change {
    struct list node;
    long index; /* 0: all */
    double colour[COLOURS];
    bool is_transmitting;
};

/* --- changes --- */

static void apply(struct led_chain *chain, const struct change *c)
{
    for (size_t i = 0; i < chain->count; i++)
        if (c->index == 0 || (size_t)c->index == i + 1)
            memcpy(chain->colours[i], c->colour, sizeof c->colour);
    chain->revision++;
    printer_status_touch(chain->obj);
    if (c->is_transmitting)
        chain->transmit(chain);
}

/* Those up to `last` (NULL: all), in order. */
static void apply_pending(struct led_chain *chain, const struct change *last)
{
    bool is_last = false;
    while (!is_last && !list_is_empty(&chain->pending)) {
        struct change *c = CONTAINER_OF(chain->pending.next, struct change, node);
        is_last = c == last;
        list_remove(&c->node);
        apply(chain, c);
        mem_free(c);
    }
}

static void on_engine_event(void *ctx, const struct engine_event *event)
{
    struct led_chain *chain = ctx;
    if (event->kind == ENGINE_EVENT_DRAINED) {
        apply_pending(chain, NULL); /* moves that were dropped have taken their marks along */
    } else if (event->kind == ENGINE_EVENT_MARK) {
        LIST_FOREACH(node, &chain->pending)
        {
            struct change *c = CONTAINER_OF(node, struct change, node);
            if ((uint64_t)(uintptr_t)c == event->cookie) {
                apply_pending(chain, c);
                return;
            }
        }
    }
}

/* Let `c` (taken) wait for its place in the stream. */
static enum err put_in_stream(struct led_chain *chain, struct change *take_c, struct err_info *info)
{
    struct printer *printer = chain->obj->printer;
    enum err err;
    list_append(&chain->pending, &take_c->node);
    do {
        err = engine_mark(printer->engine, (uint64_t)(uintptr_t)take_c, motion_source(printer), info);
    } while (motion_may_retry(printer, &err, info));
    if (err) {
        list_remove(&take_c->node);
        mem_free(take_c);
    }
    return err;
}

/* --- templates --- */

static struct host_ns on_timer(void *ctx, struct host_ns now)
{
    struct led_chain *chain = ctx;
    (void)now;
    chain->transmit(chain);
    return HOST_NS_NEVER;
}

/* "0.1, 0.2, 0.3, 0.4", fewer are the first ones. */
static bool read_colour(const char *text, double colour[COLOURS])
{
    memset(colour, 0, COLOURS * sizeof *colour);
    for (int i = 0; i < COLOURS; i++) {
        size_t len = strcspn(text, ",");
        double value;
        if (gcode_parse_double(text, len, &value) != OK)
            return false;
        colour[i] = fmax(0, fmin(1, value));
        if (!text[len])
            return true;
        text += len + 1;
    }
    return false;
}

static void on_template(void *ctx, const char *text)
{
    struct led_slot *slot = ctx;
    struct led_chain *chain = slot->chain;
    struct change c = {.index = (long)slot->index + 1};
    bool is_colour = text && read_colour(text, c.colour);
    if (text && !is_colour && !slot->is_told)
        printer_respond_info(chain->obj->printer, "%s: the template gives '%.80s', which is no colour: the lamp is off",
                             chain->obj->name, text);
    slot->is_told = text && !is_colour;
    if (!is_colour)
        memset(c.colour, 0, sizeof c.colour);
    if (!memcmp(c.colour, chain->colours[slot->index], sizeof c.colour))
        return;
    apply(chain, &c);
    if (!chain->timer.is_active)
        printer_timer_start(chain->obj->printer, &chain->timer, printer_now(chain->obj->printer));
}

/* --- commands --- */

static enum err read_index(struct led_chain *chain, struct gcode_command *cmd, long *index, struct err_info *info)
{
    *index = 0;
    return gcode_opt_int(cmd, "INDEX", GCODE_RANGE(1, (double)chain->count), index, info);
}

static void clear_templates(struct led_chain *chain, long index)
{
    for (size_t i = 0; i < chain->count; i++)
        if (index == 0 || (size_t)index == i + 1)
            templated_clear(chain->obj->printer, on_template, &chain->slots[i]);
}

static enum err cmd_set_led(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    static const char *const names[COLOURS] = {"RED", "GREEN", "BLUE", "WHITE"};
    struct led_chain *chain = ctx;
    struct change c = {.is_transmitting = true};
    long transmit = 1, sync = 1;
    enum err err = OK;
    for (int i = 0; i < COLOURS && !err; i++)
        err = gcode_opt_double(cmd, names[i], GCODE_RANGE(0, 1), &c.colour[i], info);
    if (!err)
        err = read_index(chain, cmd, &c.index, info);
    if (!err)
        err = gcode_opt_int(cmd, "TRANSMIT", GCODE_ANY, &transmit, info);
    if (!err)
        err = gcode_opt_int(cmd, "SYNC", GCODE_ANY, &sync, info);
    if (err)
        return err;
    c.is_transmitting = transmit != 0;
    clear_templates(chain, c.index);
    if (!sync || chain->obj->printer->services->is_batch) {
        apply(chain, &c);
        return OK;
    }
    struct change *kept = MEM_NEW(struct change);
    *kept = c;
    return put_in_stream(chain, kept, info);
}

static enum err cmd_set_led_template(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct led_chain *chain = ctx;
    const char *name;
    long index;
    enum err err = gcode_get_str(cmd, "TEMPLATE", &name, info);
    if (!err)
        err = read_index(chain, cmd, &index, info);
    for (size_t i = 0; i < chain->count && !err; i++)
        if (index == 0 || (size_t)index == i + 1)
            err = templated_assign(chain->obj->printer, cmd, on_template, &chain->slots[i], info);
    return err;
}

static const struct command_param set_params[] = {
    {"RED", "float", "0.0", ">=0 <=1"},   {"GREEN", "float", "0.0", ">=0 <=1"}, {"BLUE", "float", "0.0", ">=0 <=1"},
    {"WHITE", "float", "0.0", ">=0 <=1"}, {"INDEX", "int", NULL, ">=1"},        {"TRANSMIT", "int", "1", NULL},
    {"SYNC", "int", "1", NULL},           {0}};
static const struct command_param template_params[] = {
    {"INDEX", "int", NULL, ">=1"}, {"TEMPLATE", "str", "required", NULL}, {"PARAM_<x>", "literal", NULL, NULL}, {0}};
const struct command_desc led_commands[LED_COMMAND_COUNT] = {
    {.name = "SET_LED", .mux_key = "LED", .params = set_params, .help = "Set the color of an LED", .handler = cmd_set_led},
    {.name = "SET_LED_TEMPLATE",
     .mux_key = "LED",
     .params = template_params,
     .help = "Assign a display_template to an LED",
     .handler = cmd_set_led_template},
};

/* --- life --- */

void led_setup(struct led_chain *chain, struct printer_object *obj, struct config_section *section, size_t count,
               void (*transmit)(struct led_chain *chain))
{
    CHECK(count > 0 && count <= LED_COUNT_MAX);
    *chain = (struct led_chain){.obj = obj, .count = count, .revision = 1, .transmit = transmit};
    chain->colours = mem_alloc(count * sizeof *chain->colours);
    chain->slots = MEM_ARRAY(struct led_slot, count);
    list_init(&chain->pending);
    chain->timer.fn = on_timer;
    chain->timer.ctx = chain;
    const double colour[COLOURS] = {section_float(section, "initial_RED"), section_float(section, "initial_GREEN"),
                                    section_float(section, "initial_BLUE"), section_float(section, "initial_WHITE")};
    for (size_t i = 0; i < count; i++) {
        memcpy(chain->colours[i], colour, sizeof colour);
        chain->slots[i] = (struct led_slot){.chain = chain, .index = i};
    }
}

void led_connect(struct led_chain *chain)
{
    engine_listen(chain->obj->printer->engine, on_engine_event, chain);
}

void led_stop(struct led_chain *chain)
{
    printer_timer_stop(chain->obj->printer, &chain->timer);
}

void led_deinit(struct led_chain *chain)
{
    if (!chain->obj)
        return;
    led_stop(chain);
    while (!list_is_empty(&chain->pending)) {
        struct change *c = CONTAINER_OF(chain->pending.next, struct change, node);
        list_remove(&c->node);
        mem_free(c);
    }
    mem_free(chain->colours);
    mem_free(chain->slots);
}

void led_write_status(const struct led_chain *chain, struct status_writer *writer)
{
    if (!status_needs(writer, "color_data", chain->revision))
        return;
    struct strbuf *json = status_begin_json(writer, "color_data");
    strbuf_addc(json, '[');
    for (size_t i = 0; i < chain->count; i++) {
        strbuf_adds(json, i ? ", [" : "[");
        for (int k = 0; k < COLOURS; k++) {
            strbuf_adds(json, k ? ", " : "");
            gcode_format_number(json, chain->colours[i][k]);
        }
        strbuf_addc(json, ']');
    }
    strbuf_addc(json, ']');
    status_end_json(writer);
}
