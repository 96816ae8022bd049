#include "server/job/template.h"

#include "base/mem.h"
#include "base/strbuf.h"
#include "base/strmap.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/gcode/template/jinja.h"
#include "server/gcode/template/value.h"
#include "server/job/literal.h"
#include "server/job/template_printer.h"
#include "server/machine/printer.h"

#include <string.h>

struct template
{
    struct jinja *code;
};

/* ------------------------------------------------------------------------------------------------------- variables */

struct template_variable {
    char *text;            /* as it was written */
    char *json;            /* for the status */
    struct jinja *literal; /* for templates; NULL: in a notation they do not have, then the JSON serves */
};

enum err template_variable_create(const char *literal, struct template_variable **out, struct err_info *info)
{
    struct strbuf json;
    strbuf_init(&json);
    enum err err = literal_to_json(literal, strlen(literal), &json, info);
    if (err) {
        strbuf_deinit(&json);
        return err;
    }
    struct template_variable *variable = MEM_NEW(struct template_variable);
    variable->json = strbuf_take(&json);
    variable->text = mem_strdup(literal);
    for (char *p = variable->text; *p; p++)
        if (*p == '\n' || *p == '\r')
            *p = ' ';
    if (jinja_compile_literal(literal, strlen(literal), &variable->literal, NULL) != OK)
        variable->literal = NULL;
    *out = variable;
    return OK;
}

enum err template_variable_of_param(struct gcode_command *cmd, const char *param, struct template_variable **out,
                                    struct err_info *info)
{
    const char *value;
    struct err_info why;
    enum err err = gcode_get_str(cmd, param, &value, info);
    if (err)
        return err;
    err = template_variable_create(value, out, &why);
    return err ? err_set(info, err, "Unable to parse '%.200s' as a literal: %s in '%.200s'", value, why.text, gcode_line(cmd))
               : OK;
}

void template_variable_destroy(struct template_variable *variable)
{
    if (!variable)
        return;
    mem_free(variable->text);
    mem_free(variable->json);
    jinja_destroy(variable->literal);
    mem_free(variable);
}

const char *template_variable_literal(const struct template_variable *variable)
{
    return variable->text;
}

const char *template_variable_json(const struct template_variable *variable)
{
    return variable->json;
}

struct value template_variable_value(struct jinja_run *run, const struct template_variable *variable)
{
    struct value v = value_none();
    struct err_info info;
    if (variable->literal)
        return value_literal(run, variable->literal);
    if (value_from_json(run, variable->json, strlen(variable->json), &v, &info) != OK)
        (void)value_error(run, "ValueError", "%s", info.text);
    return v;
}

void template_set_variables(struct jinja_run *run, const struct strmap *variables)
{
    for (const struct strmap_entry *e = variables ? strmap_first(variables) : NULL; e; e = strmap_next(e))
        jinja_set(run, strmap_key(e), template_variable_value(run, strmap_value(e)));
}

/* --------------------------------------------------------------------------------------------------------- actions */

/* The text of an action's only argument. */
static enum err message_of(struct jinja_run *run, const char *action, const struct value_call *call,
                           const char *fallback, struct strbuf *out)
{
    if (call->count > 1 || call->key_count > 1 || (call->count == 0 && call->key_count == 0 && !fallback))
        return value_error(run, "TypeError", "%s() takes one argument, the message", action);
    if (call->count + call->key_count == 0) {
        strbuf_adds(out, fallback);
        return OK;
    }
    return value_to_text(run, call->count ? call->args[0] : call->values[0], out);
}

static enum err respond_info(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    struct printer *printer = ctx;
    struct strbuf text;
    strbuf_init(&text);
    enum err err = message_of(run, "action_respond_info", call, NULL, &text);
    if (err == OK)
        gcode_respond_info(printer->gcode, "%s", text.data);
    strbuf_deinit(&text);
    *out = value_cstr(run, "");
    return err;
}

static enum err raise_error(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    (void)ctx;
    struct strbuf text;
    strbuf_init(&text);
    enum err err = message_of(run, "action_raise_error", call, NULL, &text);
    if (err == OK)
        err = value_raise(run, text.data);
    strbuf_deinit(&text);
    *out = value_none();
    return err;
}

static enum err emergency_stop(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    struct strbuf text;
    strbuf_init(&text);
    enum err err = message_of(run, "action_emergency_stop", call, "action_emergency_stop", &text);
    if (err == OK)
        printer_shutdown(ctx, "Shutdown due to %s", text.data);
    strbuf_deinit(&text);
    *out = value_cstr(run, "");
    return err;
}

/* action_call_remote_method(NAME, key=value ...): a request to the client that has registered the method. Nobody has:
 * that is no error of the macro, as the same configuration runs with and without the client. */
static enum err call_remote_method(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    struct printer *printer = ctx;
    const struct printer_services *services = printer->services;
    if (call->count != 1)
        return value_error(run, "TypeError", "action_call_remote_method() takes the method's name, then keywords");
    struct strbuf name, params;
    strbuf_init(&name);
    strbuf_init(&params);
    struct value keywords = value_dict(run);
    for (size_t i = 0; i < call->key_count; i++)
        (void)value_set_item(run, keywords, call->keys[i], call->values[i]);
    enum err err = value_to_text(run, call->args[0], &name);
    if (err == OK)
        err = value_to_json(run, keywords, &params);
    if (err == OK && (!services->remote || services->remote(services->ctx, name.data, params.data) != OK))
        gcode_respond_info(printer->gcode, "Remote method '%s' is not registered", name.data);
    strbuf_deinit(&name);
    strbuf_deinit(&params);
    *out = value_cstr(run, "");
    return err;
}

void template_set_printer(struct jinja_run *run, struct printer *printer)
{
    static const struct {
        const char *name;
        value_native_fn *fn;
    } actions[] = {{"action_respond_info", respond_info},
                   {"action_raise_error", raise_error},
                   {"action_emergency_stop", emergency_stop},
                   {"action_call_remote_method", call_remote_method}};
    jinja_set(run, "printer", template_printer(run, printer));
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        jinja_set(run, actions[i].name, value_native(run, actions[i].name, actions[i].fn, printer));
}

/* ---------------------------------------------------------------------------------------------------------- bodies */

static int file_line(const void *ctx, unsigned line)
{
    return config_option_line(ctx, line);
}

struct template *template_read(struct config_section *section, const char *option)
{
    const char *text = section_string(section, option);
    const struct config_option *place = section_find(section, option);
    if (!text)
        return NULL;
    char *name = mem_sprintf("%s:%s", section_name(section), option);
    int line = 0;
    struct jinja_options options = {.name = name, .error_line = &line};
    if (place) { /* else it is the default */
        options.file = place->file;
        options.file_line = file_line;
        options.file_ctx = place;
    }
    struct jinja *code = NULL;
    struct err_info info;
    enum err err = jinja_compile(text, strlen(text), &options, &code, &info);
    mem_free(name);
    if (err && line)
        section_error_line(section, option, line, "%s", info.text);
    else if (err)
        config_error_option(section, option, "%s", info.text);
    if (err)
        return NULL;
    struct template *tpl = MEM_NEW(struct template);
    tpl->code = code;
    return tpl;
}

const struct jinja *template_code(const struct template *tpl)
{
    return tpl->code;
}

void template_destroy(struct template *tpl)
{
    if (!tpl)
        return;
    jinja_destroy(tpl->code);
    mem_free(tpl);
}

static void set_call(struct jinja_run *run, const struct gcode_command *call)
{
    struct value params = value_dict(run);
    for (size_t i = 0; i < gcode_param_count(call); i++) {
        const char *name, *text;
        gcode_param_at(call, i, &name, &text);
        (void)value_set_text(run, params, name, value_cstr(run, text));
    }
    jinja_set(run, "params", params);
    jinja_set(run, "rawparams", value_cstr(run, gcode_rawparams(call)));
}

enum err template_render(struct template *tpl, const struct template_context *context, struct strbuf *out,
                         struct err_info *info)
{
    struct jinja_limits limits = {.seed = (uint64_t)printer_now(context->printer).ns};
    struct jinja_run *run = jinja_begin(tpl->code, &limits);
    template_set_variables(run, context->variables);
    template_set_printer(run, context->printer);
    if (context->call)
        set_call(run, context->call);
    enum err err = jinja_execute(run, out, info);
    jinja_end(run);
    return err;
}

enum err template_run(struct template *tpl, const struct template_context *context, struct err_info *info)
{
    struct strbuf script;
    strbuf_init(&script);
    enum err err = template_render(tpl, context, &script, info);
    if (!err)
        err = gcode_run_script(context->printer->gcode, script.data, script.len_bytes, info);
    strbuf_deinit(&script);
    return err;
}
