/* Scopes, captured output, and calls: native functions run at once, macros and recursive loops get a frame. */
#include "server/gcode/template/filters.h"
#include "server/gcode/template/methods.h"
#include "server/gcode/template/vm.h"

#include "base/check.h"

#include <string.h>

struct scope *scope_new(struct jinja_run *run, struct scope *outer)
{
    struct scope *scope = run_alloc(run, sizeof *scope);
    if (scope)
        scope->outer = outer;
    return scope;
}

const struct value *scope_find(const struct scope *scope, unsigned name)
{
    for (const struct variable *v = scope->variables; v; v = v->next)
        if (v->name == name)
            return &v->value;
    return NULL;
}

void scope_bind(struct jinja_run *run, struct scope *scope, unsigned name, struct value v)
{
    struct value *bound = (struct value *)scope_find(scope, name);
    if (bound) {
        *bound = v;
        return;
    }
    struct variable *variable = run_alloc(run, sizeof *variable);
    if (!variable)
        return;
    *variable = (struct variable){.next = scope->variables, .name = name, .value = v};
    scope->variables = variable;
}

bool output_begin(struct jinja_run *run)
{
    if (run->output_count == run->output_capacity) {
        if (run->output_capacity > 4 * JINJA_CALL_DEPTH_MAX) {
            (void)value_error(run, "RecursionError", "maximum recursion depth exceeded");
            return false;
        }
        run->output_capacity = run->output_capacity ? run->output_capacity * 2 : 8;
        run->outputs = mem_realloc(run->outputs, sizeof *run->outputs * run->output_capacity);
    }
    strbuf_init(&run->outputs[run->output_count++]);
    return true;
}

struct value output_end(struct jinja_run *run)
{
    CHECK(run->output_count > 1);
    struct strbuf *out = &run->outputs[--run->output_count];
    struct value text = value_str(run, out->data, out->len_bytes);
    strbuf_deinit(out);
    return text;
}

static bool push_frame(struct jinja_run *run, unsigned return_at, bool is_macro)
{
    if (run->frame_count == JINJA_CALL_DEPTH_MAX) {
        (void)value_error(run, "RecursionError", "maximum recursion depth exceeded");
        return false;
    }
    run->frames[run->frame_count++] = (struct frame){
        .return_at = return_at, .scope = run->scope, .loop = run->loop, .is_captured = true, .is_macro = is_macro};
    return output_begin(run);
}

/* ---------------------------------------------------------------------------------------------------------- macros */

static bool is_text(struct value v, const char *text, size_t len)
{
    return v.kind == VALUE_STR && v.str->len_bytes == len && memcmp(v.str->data, text, len) == 0;
}

/* Index of the parameter called `key`, or param_count. */
static unsigned find_param(const struct jinja *code, const struct macro_code *macro, struct value key)
{
    unsigned i = 0;
    while (i < macro->param_count &&
           !is_text(key, code->names[macro->params[i]], strlen(code->names[macro->params[i]])))
        i++;
    return i;
}

static enum err bind_keywords(struct jinja_run *run, const struct macro_code *macro, const struct value_call *call,
                              struct scope *scope)
{
    struct value rest = value_dict(run);
    bool has_caller = false;
    for (size_t i = 0; i < call->key_count; i++) {
        struct value key = call->keys[i];
        unsigned param = find_param(run->code, macro, key);
        if (param < macro->param_count) {
            /* Given by position already: then it is one of the other keywords. */
            bool is_bound = scope_find(scope, macro->params[param]) != NULL;
            if (is_bound && !macro->uses_kwargs)
                return value_error(run, "TypeError", "macro '%s' takes no keyword argument '%s'", macro->name->data,
                                   key.str->data);
            if (!is_bound)
                scope_bind(run, scope, macro->params[param], call->values[i]);
            else if (!value_set_item(run, rest, key, call->values[i]))
                return ERR_LIMIT;
        } else if (is_text(key, "caller", 6) && macro->uses_caller) {
            scope_bind(run, scope, run->code->caller_name, call->values[i]);
            has_caller = true;
        } else if (is_text(key, "caller", 6) && !macro->uses_kwargs) {
            return value_error(run, "TypeError",
                               "macro '%s' was invoked with two values for the special caller argument. This is most "
                               "likely a bug.",
                               macro->name->data);
        } else if (!macro->uses_kwargs) {
            return value_error(run, "TypeError", "macro '%s' takes no keyword argument '%s'", macro->name->data,
                               key.str->data);
        } else if (!value_set_item(run, rest, key, call->values[i])) {
            return ERR_LIMIT;
        }
    }
    if (macro->uses_kwargs)
        scope_bind(run, scope, run->code->kwargs_name, rest);
    bool is_parameter = find_param(run->code, macro, value_cstr(run, "caller")) < macro->param_count;
    if (macro->uses_caller && !has_caller && !is_parameter)
        scope_bind(run, scope, run->code->caller_name, value_undefined(run, "No caller defined"));
    return run->has_failed ? ERR_LIMIT : OK;
}

static enum err bind_arguments(struct jinja_run *run, const struct macro_code *macro, const struct value_call *call,
                               struct scope *scope)
{
    for (size_t i = 0; i < call->count && i < macro->param_count; i++)
        scope_bind(run, scope, macro->params[i], call->args[i]);
    enum err err = bind_keywords(run, macro, call, scope);
    if (err != OK)
        return err;
    if (macro->uses_varargs) {
        size_t extra = call->count > macro->param_count ? call->count - macro->param_count : 0;
        struct value rest = value_tuple(run, extra);
        if (run->has_failed)
            return ERR_LIMIT;
        if (extra)
            memcpy(rest.seq->items, call->args + macro->param_count, sizeof *call->args * extra);
        scope_bind(run, scope, run->code->varargs_name, rest);
    } else if (call->count > macro->param_count) {
        return value_error(run, "TypeError", "macro '%s' takes not more than %u argument(s)", macro->name->data,
                           macro->param_count);
    }
    return run->has_failed ? ERR_LIMIT : OK;
}

static enum err call_macro(struct jinja_run *run, const struct macro_closure *macro, const struct value_call *call,
                           unsigned return_at, unsigned *entry)
{
    struct scope *scope = scope_new(run, macro->scope);
    if (!scope)
        return ERR_LIMIT;
    enum err err = bind_arguments(run, macro->code, call, scope);
    if (err != OK)
        return err;
    if (!push_frame(run, return_at, true))
        return ERR_LIMIT;
    run->scope = scope;
    run->loop = NULL;
    *entry = macro->code->entry;
    return OK;
}

/* loop(items) inside of a recursive loop. */
static enum err call_loop(struct jinja_run *run, const struct loop_state *loop, const struct value_call *call,
                          unsigned return_at, unsigned *entry)
{
    if (!loop->entry)
        return value_error(run, "TypeError", "The loop must have the 'recursive' marker to be called recursively.");
    if (call->count != 1 || call->key_count)
        return value_error(run, "TypeError", "loop() takes one argument, the items");
    if (!push_frame(run, return_at, false))
        return ERR_LIMIT;
    run->scope = loop->scope;
    run->loop = (struct loop_state *)loop;
    run->stack[run->stack_count++] = call->args[0]; /* room is there: the arguments have just been taken off */
    *entry = loop->entry;
    return OK;
}

enum err vm_call(struct jinja_run *run, struct value f, const struct value_call *call, unsigned return_at,
                 bool *is_native, struct value *out, unsigned *entry)
{
    *is_native = false;
    if (f.kind == VALUE_OBJECT && f.object->type == &loop_object_type)
        return call_loop(run, f.object->ctx, call, return_at, entry);
    if (f.kind == VALUE_UNDEFINED)
        return value_error(run, "UndefinedError", "%s", value_undefined_text(f));
    if (f.kind != VALUE_FUNCTION)
        return value_error(run, "TypeError", "'%s' object is not callable", value_type_name(f));
    if (f.function->self && call->key_count && !method_takes_keywords(f.function->name))
        return value_error(run, "TypeError", "%s.%s() takes no keyword arguments", value_type_name(*f.function->self),
                           f.function->name);
    if (!f.function->fn)
        return call_macro(run, &f.function->macro, call, return_at, entry);
    *is_native = true;
    return f.function->fn(run, f.function->ctx, call, out);
}

/* --------------------------------------------------------------------------------------------------- of functions */

static bool is_name(const char *name, size_t len_bytes, const char *wanted)
{
    return strlen(wanted) == len_bytes && memcmp(name, wanted, len_bytes) == 0;
}

/* m.name, m.arguments, ...: what Jinja2's documentation lists. */
static enum err macro_attribute(struct jinja_run *run, const struct macro_closure *macro, const char *name,
                                size_t len_bytes, struct value *out)
{
    const struct macro_code *code = macro->code;
    if (is_name(name, len_bytes, "name")) {
        /* The body of a call block has none. */
        *out = is_name(code->name->data, code->name->len_bytes, "caller")
                   ? value_none()
                   : (struct value){.kind = VALUE_STR, .str = code->name};
    } else if (is_name(name, len_bytes, "arguments")) {
        *out = value_tuple(run, code->param_count);
        for (size_t i = 0; i < out->seq->count; i++)
            out->seq->items[i] = value_cstr(run, run->code->names[code->params[i]]);
    } else if (is_name(name, len_bytes, "catch_kwargs")) {
        *out = value_bool(code->uses_kwargs);
    } else if (is_name(name, len_bytes, "catch_varargs")) {
        *out = value_bool(code->uses_varargs);
    } else if (is_name(name, len_bytes, "caller")) {
        *out = value_bool(code->uses_caller);
    } else if (is_name(name, len_bytes, "explicit_caller")) {
        *out = value_bool(find_param(run->code, code, value_cstr(run, "caller")) < code->param_count);
    } else {
        return ERR_NOT_FOUND;
    }
    return run->has_failed ? ERR_LIMIT : OK;
}

enum err function_attribute(struct jinja_run *run, const struct value_function *f, const char *name, size_t len_bytes,
                            struct value *out)
{
    if (!f->fn)
        return macro_attribute(run, &f->macro, name, len_bytes, out);
    if (f->fn == value_dict_global && is_name(name, len_bytes, "fromkeys"))
        return value_method(run, value_dict(run), name, len_bytes, out);
    return ERR_NOT_FOUND;
}
