/* [display_template NAME]: a text that is computed again and again, with parameters. Its users are outputs that
 * SET_PIN TEMPLATE= and SET_FAN_SPEED TEMPLATE= gave it to, and other display templates, which call render(). */
#include "server/machine/templated.h"

#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/strmap.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/gcode/template/jinja.h"
#include "server/job/objects.h"
#include "server/job/template.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RENDER_PERIOD_S 0.5
#define PARAM_NAME_MAX  80
#define PARAM_PREFIX    "param_"

struct display_template {
    struct printer_object obj;
    struct template *body;
    struct strmap params; /* "param_x" -> struct template_variable, owned: the defaults */
    /* Only of the first one, which keeps the users of all: */
    struct list users; /* of struct user */
    struct printer_timer timer;
};

struct user {
    struct list node;
    templated_fn *fn;
    void *ctx;
    struct display_template *source;
    struct strmap params; /* those given with the command, owned */
    char *last_error;     /* told to the console; NULL: the last render was good */
};

static struct display_template *display_of(void *obj)
{
    return obj;
}

/* The one that keeps the users; NULL: there is no [display_template]. */
static struct display_template *keeper(const struct printer *printer)
{
    return display_of(printer_next_of(printer, "display_template", NULL));
}

static struct display_template *find(struct printer *printer, const char *name, size_t len_bytes)
{
    char *full = mem_sprintf("display_template %.*s", (int)len_bytes, name);
    struct printer_object *obj = printer_find_object(printer, full);
    mem_free(full);
    return obj && obj->desc == &display_template_desc ? display_of(obj) : NULL;
}

static void free_params(struct strmap *params)
{
    for (const struct strmap_entry *e = strmap_first(params); e; e = strmap_next(e))
        template_variable_destroy(strmap_value(e));
    strmap_deinit(params);
}

/* ------------------------------------------------------------------------------------------------------- rendering */

static enum err render_function(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out);

static void set_context(struct jinja_run *run, const struct display_template *d)
{
    template_set_printer(run, d->obj.printer);
    template_set_variables(run, &d->params);
    jinja_set(run, "render", value_native(run, "render", render_function, d->obj.printer));
}

/* render(NAME, param_x=...) */
static enum err render_function(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    if (call->count != 1 || call->args[0].kind != VALUE_STR)
        return value_error(run, "TypeError",
                           "render() takes the name of a display_template, then its parameters by name");
    const struct value_str *name = call->args[0].str;
    struct display_template *d = find(ctx, name->data, name->len_bytes);
    if (!d)
        return value_error(run, "KeyError", "'%.80s'", name->data);
    struct jinja_run *inner = jinja_begin_inside(template_code(d->body), run);
    if (!inner)
        return ERR_LIMIT;
    set_context(inner, d);
    for (size_t i = 0; i < call->key_count; i++)
        jinja_set(inner, call->keys[i].str->data, call->values[i]);
    struct strbuf text;
    struct err_info info;
    strbuf_init(&text);
    enum err err = jinja_execute(inner, &text, &info);
    jinja_end(inner);
    if (err == OK)
        *out = value_str(run, text.data ? text.data : "", text.len_bytes);
    else
        err = value_raise(run, info.text);
    strbuf_deinit(&text);
    return err;
}

/* The console is told about a failure once, not twice a second. */
static void report(struct user *user, const char *text)
{
    if (user->last_error && text && strcmp(user->last_error, text) == 0)
        return;
    mem_free(user->last_error);
    user->last_error = text ? mem_strdup(text) : NULL;
    if (text)
        gcode_respond_error(user->source->obj.printer->gcode, text);
}

static void render_for(struct user *user)
{
    struct display_template *d = user->source;
    struct jinja_limits limits = {.seed = (uint64_t)printer_now(d->obj.printer).ns};
    struct jinja_run *run = jinja_begin(template_code(d->body), &limits);
    set_context(run, d);
    template_set_variables(run, &user->params);
    struct strbuf text;
    struct err_info info;
    strbuf_init(&text);
    enum err err = jinja_execute(run, &text, &info);
    jinja_end(run);
    report(user, err == OK ? NULL : info.text);
    user->fn(user->ctx, err == OK ? text.data ? text.data : "" : NULL);
    strbuf_deinit(&text);
}

static struct host_ns on_timer(void *ctx, struct host_ns now)
{
    struct display_template *d = ctx;
    if (printer_is_shutdown(d->obj.printer))
        return HOST_NS_NEVER;
    LIST_FOREACH_SAFE(node, next, &d->users)
    render_for(CONTAINER_OF(node, struct user, node));
    return list_is_empty(&d->users) ? HOST_NS_NEVER : host_ns_add_s(now, RENDER_PERIOD_S);
}

/* ----------------------------------------------------------------------------------------------------------- users */

static void free_user(struct user *user)
{
    list_remove(&user->node);
    free_params(&user->params);
    mem_free(user->last_error);
    mem_free(user);
}

void templated_clear(struct printer *printer, templated_fn *fn, void *ctx)
{
    struct display_template *d = keeper(printer);
    if (!d)
        return;
    LIST_FOREACH_SAFE(node, next, &d->users)
    {
        struct user *user = CONTAINER_OF(node, struct user, node);
        if (user->fn == fn && user->ctx == ctx)
            free_user(user);
    }
}

/* PARAM_X=literal of the command, as param_x. */
static enum err read_params(const struct gcode_command *cmd, const struct display_template *d, struct strmap *params,
                            struct err_info *info)
{
    enum err err = OK;
    for (size_t i = 0; i < gcode_param_count(cmd) && err == OK; i++) {
        const char *name, *text;
        char lower[PARAM_NAME_MAX];
        gcode_param_at(cmd, i, &name, &text);
        if (strncasecmp(name, PARAM_PREFIX, strlen(PARAM_PREFIX)) != 0)
            continue;
        size_t len = 0;
        for (; name[len] && len + 1 < sizeof lower; len++)
            lower[len] = (char)tolower((unsigned char)name[len]);
        lower[len] = 0;
        if (!strmap_get(&d->params, lower))
            return err_set(info, ERR_INVALID, "Invalid display_template parameter: %.100s", name);
        struct template_variable *value;
        if (template_variable_create(text, &value, NULL) != OK)
            return err_set(info, ERR_INVALID, "Unable to parse '%.200s' as a literal", text);
        template_variable_destroy(strmap_set(params, lower, value));
    }
    return err;
}

enum err templated_assign(struct printer *printer, struct gcode_command *cmd, templated_fn *fn, void *ctx,
                          struct err_info *info)
{
    const char *name = "";
    enum err err = gcode_get_str(cmd, "TEMPLATE", &name, info);
    if (err != OK)
        return err;
    if (!*name) {
        templated_clear(printer, fn, ctx);
        return OK;
    }
    struct display_template *source = find(printer, name, strlen(name)), *d = keeper(printer);
    if (!source)
        return err_set(info, ERR_NOT_FOUND, "Unknown display_template '%.100s'", name);
    struct strmap params;
    strmap_init(&params);
    err = read_params(cmd, source, &params, info);
    if (err != OK) {
        free_params(&params);
        return err;
    }
    templated_clear(printer, fn, ctx);
    struct user *user = MEM_NEW(struct user);
    *user = (struct user){.fn = fn, .ctx = ctx, .source = source, .params = params};
    list_append(&d->users, &user->node);
    if (!d->timer.is_active)
        printer_timer_start(printer, &d->timer, printer_now(printer));
    return OK;
}

bool templated_number(struct printer *printer, const char *what, const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    bool is_number = end != text && !end[strspn(end, " \t\r\n")] && isfinite(*out);
    if (!is_number)
        printer_respond_info(printer, "%s: its display_template gave '%.60s' instead of a number", what, text);
    return is_number;
}

/* ---------------------------------------------------------------------------------------------------------- object */

static void read_options(struct display_template *d, struct config_section *section)
{
    size_t cursor = 0;
    const char *suffix;
    const struct config_option *option;
    while ((option = section_next(section, "param_*", &cursor, &suffix)) != NULL) {
        struct template_variable *value;
        struct err_info why;
        if (template_variable_create(option->value, &value, &why))
            config_error_option(section, option->name, "Option '%s' in section '%s' is not a valid literal: %s",
                                option->name, section_name(section), why.text);
        else
            template_variable_destroy(strmap_set(&d->params, option->name, value));
    }
}

static void stop(struct printer_object *obj)
{
    struct display_template *d = display_of(obj);
    printer_timer_stop(obj->printer, &d->timer);
    LIST_FOREACH_SAFE(node, next, &d->users)
    free_user(CONTAINER_OF(node, struct user, node));
}

/* The printer is replaced or closed: outputs are switched off now, and nothing may switch them on again. */
static void on_disconnect(void *ctx, const char *event, void *data)
{
    (void)event;
    (void)data;
    stop(ctx);
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    (void)info;
    struct display_template *d = display_of(obj);
    list_init(&d->users);
    strmap_init(&d->params);
    d->timer.fn = on_timer;
    d->timer.ctx = d;
    d->body = template_read(section, "text");
    printer_subscribe(obj->printer, PRINTER_EVENT_DISCONNECT, on_disconnect, obj);
    read_options(d, section);
    return OK;
}

static void destroy(struct printer_object *obj)
{
    struct display_template *d = display_of(obj);
    stop(obj);
    free_params(&d->params);
    template_destroy(d->body);
}

static const struct option_desc options[] = {
    {.name = "text",
     .type = OPTION_TEMPLATE,
     .flags = OPTION_REQUIRED,
     .help = "What it gives, in the macro language."},
    {.name = "param_*", .type = OPTION_STRING, .help = "A parameter and its default, a Python literal."},
};

const struct object_desc display_template_desc = {
    .section = "display_template",
    .flags = OBJECT_NAMED,
    .help = "A text or number computed twice a second, for outputs.",
    .size_bytes = sizeof(struct display_template),
    OBJECT_OPTIONS(options),
    .create = create,
    .shutdown = stop,
    .destroy = destroy,
};
