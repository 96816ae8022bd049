/* What the instructions do, and the loop that runs them. */
#include "server/gcode/template/vm.h"

#include "base/check.h"
#include "server/gcode/template/value_private.h"

#include <string.h>

/* -------------------------------------------------------------------------------------------------- instructions */

static bool escapes(const struct jinja_run *run, unsigned mode)
{
    return mode == ESCAPE_ON || (mode == ESCAPE_ASK && run->is_escaping);
}

static void append_text(struct jinja_run *run, const struct value_str *text)
{
    if (run_has_room(run, text->len_bytes))
        strbuf_add(&run->outputs[run->output_count - 1], text->data, text->len_bytes);
}

static void op_output(struct jinja_run *run, bool is_escaped)
{
    struct value v = stack_pop(run);
    if (is_escaped && value_escape(run, v, &v) != OK)
        return;
    if (v.kind == VALUE_STR || v.kind == VALUE_MARKUP)
        append_text(run, v.str);
    else
        (void)value_to_text(run, v, &run->outputs[run->output_count - 1]);
}

static void op_load(struct jinja_run *run, unsigned name)
{
    unsigned hops = 0;
    for (const struct scope *scope = run->scope; scope; scope = scope->outer)
        for (const struct variable *v = scope->variables; v; v = v->next, hops++)
            if (v->name == name) {
                run->steps += hops >> 4; /* a long list of variables is work, too */
                stack_push(run, v->value);
                return;
            }
    run->steps += hops >> 4;
    const char *text = run->code->names[name];
    struct value v;
    if (!value_global(run, text, &v))
        v = value_undefined(run, text);
    stack_push(run, v);
}

static void op_slice(struct jinja_run *run)
{
    struct value step = stack_pop(run), stop = stack_pop(run), start = stack_pop(run), v = stack_pop(run),
                 out = value_none();
    if (value_slice(run, v, start, stop, step, &out) == OK)
        stack_push(run, out);
}

static void op_binary(struct jinja_run *run, enum value_operator op)
{
    struct value b = stack_pop(run), a = stack_pop(run), out = value_none();
    if (a.kind == VALUE_INT && b.kind == VALUE_INT) {
        int64_t result = 0;
        bool is_plain = op == VALUE_ADD   ? !__builtin_add_overflow(a.integer, b.integer, &result)
                        : op == VALUE_SUB ? !__builtin_sub_overflow(a.integer, b.integer, &result)
                        : op == VALUE_MUL ? !__builtin_mul_overflow(a.integer, b.integer, &result)
                                          : false;
        if (is_plain) {
            stack_push(run, value_int(result));
            return;
        }
    }
    if (value_binary(run, op, a, b, &out) == OK)
        stack_push(run, out);
}

/* a ~ b: where the template escapes, one Markup among the parts makes it Markup, and the others are escaped. */
static void op_concat(struct jinja_run *run, unsigned count, bool is_escaping)
{
    struct strbuf sb;
    strbuf_init(&sb);
    const struct value *parts = &run->stack[run->stack_count - count];
    bool is_markup = false;
    for (unsigned i = 0; i < count && is_escaping; i++)
        is_markup |= parts[i].kind == VALUE_MARKUP;
    for (unsigned i = 0; i < count && !run->has_failed; i++) {
        struct value part = parts[i];
        if (is_markup && value_escape(run, part, &part) != OK)
            break;
        (void)value_to_text(run, part, &sb);
        (void)run_has_room(run, sb.len_bytes);
    }
    run->stack_count -= count;
    stack_push(run, value_as(is_markup ? VALUE_MARKUP : VALUE_STR, value_str(run, sb.data, sb.len_bytes)));
    strbuf_deinit(&sb);
}

static enum err compare(struct jinja_run *run, enum compare_op op, struct value a, struct value b, bool *out)
{
    static const char *const signs[] = {"==", "!=", "<", "<=", ">", ">=", "in", "not in"};
    int order = 0;
    enum err err;
    switch (op) {
    case COMPARE_EQ:
    case COMPARE_NE:
        err = value_equal(run, a, b, out);
        *out ^= op == COMPARE_NE;
        return err;
    case COMPARE_IN:
    case COMPARE_NOT_IN:
        err = value_contains(run, b, a, out);
        *out ^= op == COMPARE_NOT_IN;
        return err;
    default:
        break;
    }
    err = value_compare(run, signs[op], a, b, &order);
    if (order == VALUE_UNORDERED)
        *out = false;
    else
        *out = op == COMPARE_LT ? order < 0 : op == COMPARE_LE ? order <= 0 : op == COMPARE_GT ? order > 0 : order >= 0;
    return err;
}

static void op_compare(struct jinja_run *run, enum compare_op op)
{
    struct value b = stack_pop(run), a = stack_pop(run);
    bool result = false;
    if (compare(run, op, a, b, &result) == OK)
        stack_push(run, value_bool(result));
}

/* True: go on behind the chain. */
static bool op_compare_chain(struct jinja_run *run, enum compare_op op)
{
    struct value b = stack_pop(run), a = stack_pop(run);
    bool result = false;
    if (compare(run, op, a, b, &result) != OK)
        return false;
    stack_push(run, result ? b : value_bool(false));
    return !result;
}

static void op_sequence(struct jinja_run *run, enum opcode code, unsigned count)
{
    struct value seq = code == OP_LIST ? value_list(run) : value_tuple(run, count);
    const struct value *items = &run->stack[run->stack_count - count];
    for (unsigned i = 0; i < count && !run->has_failed; i++) {
        if (code == OP_LIST)
            (void)value_append(run, seq, items[i]);
        else
            seq.seq->items[i] = items[i];
    }
    run->stack_count -= count;
    stack_push(run, seq);
}

static void op_dict(struct jinja_run *run, unsigned count)
{
    struct value dict = value_dict(run);
    const struct value *items = &run->stack[run->stack_count - 2 * (size_t)count];
    for (unsigned i = 0; i < count && !run->has_failed; i++)
        (void)value_set_item(run, dict, items[2 * i], items[2 * i + 1]);
    run->stack_count -= 2 * (size_t)count;
    stack_push(run, dict);
}

static void op_unpack(struct jinja_run *run, unsigned count)
{
    struct value list = value_none();
    if (value_iterate(run, stack_pop(run), &list) != OK)
        return;
    if (list.seq->count > count)
        (void)value_error(run, "ValueError", "too many values to unpack (expected %u)", count);
    else if (list.seq->count < count)
        (void)value_error(run, "ValueError", "not enough values to unpack (expected %u, got %zu)", count,
                          list.seq->count);
    else
        for (unsigned i = count; i > 0; i--)
            stack_push(run, list.seq->items[i - 1]);
}

/* A keyword argument: a text that is given once. */
static void add_keyword(struct jinja_run *run, struct value keywords, struct value key, struct value item)
{
    if (!value_is_text(key))
        (void)value_error(run, "TypeError", "keywords must be strings");
    else if (dict_find(run, keywords, key))
        (void)value_error(run, "TypeError", "got multiple values for keyword argument '%s'", key.str->data);
    else
        (void)value_set_item(run, keywords, key, item);
}

static void op_spread(struct jinja_run *run, bool is_dict)
{
    struct value from = stack_pop(run), into = run->stack[run->stack_count - 1], items = value_none();
    if (is_dict ? value_items(run, from, &items) != OK : value_iterate(run, from, &items) != OK)
        return;
    for (size_t i = 0; i < items.seq->count && !run->has_failed; i++) {
        struct value item = items.seq->items[i];
        if (is_dict)
            add_keyword(run, into, item.seq->items[0], item.seq->items[1]);
        else
            (void)value_append(run, into, item);
    }
}

static void op_gather(struct jinja_run *run)
{
    if (run->gather_count == run->gather_capacity) {
        run->gather_capacity = run->gather_capacity ? run->gather_capacity * 2 : 4;
        run->gathers = mem_realloc(run->gathers, sizeof *run->gathers * run->gather_capacity);
    }
    run->gathers[run->gather_count++] = value_list(run);
}

static void op_macro(struct jinja_run *run, unsigned index)
{
    struct value_function *f = run_alloc(run, sizeof *f);
    if (!f)
        return;
    const struct macro_code *macro = &run->code->macros[index];
    *f = (struct value_function){.name = macro->name->data, .macro = {.code = macro, .scope = run->scope}};
    stack_push(run, (struct value){.kind = VALUE_FUNCTION, .function = f});
}

/* ---------------------------------------------------------------------------------------------- calls, instructions */

/* Arguments of a call instruction as they lie on the stack, taken off; they stay readable until the next push. */
static struct value_call take_arguments(struct jinja_run *run, unsigned positional, unsigned keywords)
{
    struct value_call call = {.count = positional, .key_count = keywords};
    if (keywords) {
        struct value *pairs = run_alloc(run, sizeof *pairs * 2 * keywords);
        const struct value *from = &run->stack[run->stack_count - 2 * (size_t)keywords];
        for (unsigned i = 0; pairs && i < keywords; i++) {
            pairs[i] = from[2 * i];
            pairs[keywords + i] = from[2 * i + 1];
        }
        call.keys = pairs;
        call.values = pairs ? pairs + keywords : NULL;
        call.key_count = pairs ? keywords : 0;
    }
    run->stack_count -= 2 * (size_t)keywords + positional;
    call.args = &run->stack[run->stack_count];
    return call;
}

/* Arguments gathered in a list and a dict on the stack. */
static struct value_call take_spread(struct jinja_run *run)
{
    struct value dict = stack_pop(run), list = stack_pop(run), items = value_none();
    struct value_call call = {.args = list.seq->items, .count = list.seq->count};
    if (value_items(run, dict, &items) != OK || items.seq->count == 0)
        return call;
    struct value *pairs = run_alloc(run, sizeof *pairs * 2 * items.seq->count);
    for (size_t i = 0; pairs && i < items.seq->count; i++) {
        pairs[i] = items.seq->items[i].seq->items[0];
        pairs[items.seq->count + i] = items.seq->items[i].seq->items[1];
    }
    call.keys = pairs;
    call.values = pairs ? pairs + items.seq->count : NULL;
    call.key_count = pairs ? items.seq->count : 0;
    return call;
}

/* Pay for what a native function is given, and `more`. */
static bool charge_arguments(struct jinja_run *run, const struct value_call *call, uint64_t more)
{
    for (size_t i = 0; i < call->count; i++)
        more += value_work(call->args[i]);
    for (size_t i = 0; i < call->key_count; i++)
        more += value_work(call->values[i]);
    return more == 0 || run_charge(run, more);
}

/* Returns where to go on. */
static unsigned op_call(struct jinja_run *run, const struct value_call *call, unsigned next)
{
    struct value f = stack_pop(run), out = value_none();
    bool is_native;
    unsigned entry = next;
    bool has_self = f.kind == VALUE_FUNCTION && f.function->self;
    if (run->has_failed || !charge_arguments(run, call, has_self ? value_work(*f.function->self) : 0) ||
        vm_call(run, f, call, next, &is_native, &out, &entry) != OK)
        return next;
    if (is_native)
        stack_push(run, out);
    return is_native ? next : entry;
}

static void op_filter(struct jinja_run *run, const struct value_filter *filter, const struct value_call *call)
{
    struct value out = value_none();
    if (!run->has_failed && charge_arguments(run, call, 0) && filter->fn(run, NULL, call, &out) == OK)
        stack_push(run, out);
}

/* Returns where to go on; UINT32_MAX: the template is over. */
static unsigned op_return(struct jinja_run *run, unsigned mode)
{
    if (run->frame_count == 0)
        return UINT32_MAX;
    struct frame *frame = &run->frames[--run->frame_count];
    run->scope = frame->scope;
    run->loop = frame->loop;
    bool is_markup = escapes(run, mode) || (frame->is_macro && run->is_escaping);
    if (frame->is_captured)
        stack_push(run, value_as(is_markup ? VALUE_MARKUP : VALUE_STR, output_end(run)));
    return frame->return_at;
}

static unsigned op_sub(struct jinja_run *run, unsigned target, unsigned next)
{
    if (run->frame_count == JINJA_CALL_DEPTH_MAX) {
        (void)value_error(run, "RecursionError", "maximum recursion depth exceeded");
        return next;
    }
    run->frames[run->frame_count++] = (struct frame){.return_at = next, .scope = run->scope, .loop = run->loop};
    return target;
}

/* Returns where to go on. */
static unsigned op_for_next(struct jinja_run *run, const struct op *op, unsigned next)
{
    struct value item;
    if (!loop_next(run, &item)) {
        run->scope = run->loop->scope;
        return op->a;
    }
    if (op->b) /* a loop's filter: the item is kept below the copy that is bound */
        stack_push(run, item);
    stack_push(run, item);
    return next;
}

static unsigned op_for_end(struct jinja_run *run, const struct op *op, unsigned next)
{
    bool has_run = run->loop->index >= 0;
    run->loop = run->loop->outer;
    return has_run && op->a ? op->a : next;
}

static void op_store_attr(struct jinja_run *run, struct value name)
{
    struct value v = stack_pop(run), target = stack_pop(run);
    if (target.kind != VALUE_NAMESPACE)
        (void)value_error(run, "TemplateRuntimeError", "cannot assign attribute on non-namespace object");
    else
        (void)value_set_item(run, target, name, v);
}

static void op_swap(struct jinja_run *run)
{
    struct value b = stack_pop(run), a = stack_pop(run);
    stack_push(run, b);
    stack_push(run, a);
}

static void op_check_namespace(struct jinja_run *run)
{
    if (run->stack[run->stack_count - 1].kind != VALUE_NAMESPACE)
        (void)value_error(run, "TemplateRuntimeError", "cannot assign attribute on non-namespace object");
}

static void op_output_text(struct jinja_run *run)
{
    struct value v = stack_pop(run);
    if (value_is_text(v))
        append_text(run, v.str);
    else
        (void)value_error(run, "TypeError", "sequence item 0: expected str instance, %s found", value_type_name(v));
}

static void op_attr(struct jinja_run *run, const struct value_str *name)
{
    struct value v = stack_pop(run), out = value_none();
    if (value_attribute(run, v, name->data, name->len_bytes, &out) == OK)
        stack_push(run, out);
}

static void op_item(struct jinja_run *run)
{
    struct value key = stack_pop(run), v = stack_pop(run), out = value_none();
    if (value_subscript(run, v, key, &out) == OK)
        stack_push(run, out);
}

static void op_unary(struct jinja_run *run, bool is_negation)
{
    struct value v = stack_pop(run), out = value_none();
    if ((is_negation ? value_negate(run, v, &out) : value_plus(run, v, &out)) == OK)
        stack_push(run, out);
}

/* Markup(v): str(v), declared to be safe. */
static void op_markup(struct jinja_run *run)
{
    struct value v = stack_pop(run);
    if (run->is_escaping && v.kind != VALUE_MARKUP) {
        struct strbuf sb;
        strbuf_init(&sb);
        (void)value_to_text(run, v, &sb);
        v = value_as(VALUE_MARKUP, value_from_strbuf(run, &sb));
    }
    stack_push(run, v);
}

/* Instructions that are seldom met: scopes, captures, loops, macros. The same contract as step(). */
static unsigned step_block(struct jinja_run *run, const struct op *op, unsigned next)
{
    bool was;
    switch ((enum opcode)op->code) {
    case OP_SCOPE_PUSH:
        run->scope = scope_new(run, run->scope);
        break;
    case OP_SCOPE_POP:
        run->scope = run->scope->outer;
        break;
    case OP_CAPTURE:
        (void)output_begin(run);
        break;
    case OP_CAPTURE_END:
        stack_push(run, value_as(escapes(run, op->a) ? VALUE_MARKUP : VALUE_STR, output_end(run)));
        break;
    case OP_MARKUP:
        op_markup(run);
        break;
    case OP_OUTPUT_TEXT:
        op_output_text(run);
        break;
    case OP_CHECK_NAMESPACE:
        op_check_namespace(run);
        break;
    case OP_AUTOESCAPE:
        was = run->is_escaping;
        run->is_escaping = value_is_true(stack_pop(run));
        stack_push(run, value_bool(was));
        break;
    case OP_AUTOESCAPE_END:
        run->is_escaping = stack_pop(run).boolean;
        break;
    case OP_FOR_BEGIN:
        (void)loop_begin(run, stack_pop(run), op->b);
        break;
    case OP_FOR_NEXT:
        return op_for_next(run, op, next);
    case OP_FOR_END:
        return op_for_end(run, op, next);
    case OP_APPEND:
        (void)value_append(run, run->gathers[run->gather_count - 1], stack_pop(run));
        break;
    case OP_LIST_NEW:
        op_gather(run);
        break;
    case OP_LIST_DONE:
        stack_push(run, run->gathers[--run->gather_count]);
        break;
    case OP_SUB:
        return op_sub(run, op->a, next);
    case OP_RETURN:
        return op_return(run, op->a);
    case OP_MACRO:
        op_macro(run, op->a);
        break;
    case OP_JUMP_BOUND:
        return scope_find(run->scope, op->a) ? op->b : next;
    default:
        UNREACHABLE();
    }
    return next;
}

/* Calls, filters and tests. The same contract as step(). */
static unsigned step_call(struct jinja_run *run, const struct op *op, unsigned next)
{
    struct value_call call;
    switch ((enum opcode)op->code) {
    case OP_CALL:
        call = take_arguments(run, op->a, op->b);
        return op_call(run, &call, next);
    case OP_CALL_SPREAD:
        call = take_spread(run);
        return op_call(run, &call, next);
    case OP_SPREAD_LIST:
    case OP_SPREAD_DICT:
        op_spread(run, op->code == OP_SPREAD_DICT);
        break;
    case OP_FILTER:
    case OP_TEST:
        call = take_arguments(run, op->b & 0xff, op->b >> 8);
        op_filter(run, run->code->filters[op->a], &call);
        break;
    case OP_FILTER_SPREAD:
    case OP_TEST_SPREAD:
        call = take_spread(run);
        op_filter(run, run->code->filters[op->a], &call);
        break;
    case OP_FAIL:
        (void)value_error(run, "TemplateRuntimeError", "%s", run->code->consts[op->a].str->data);
        break;
    default:
        return step_block(run, op, next);
    }
    return next;
}

/* One instruction; returns where to go on, UINT32_MAX: the template is over. */
static unsigned step(struct jinja_run *run, const struct op *op, unsigned next)
{
    const struct value *consts = run->code->consts;
    switch ((enum opcode)op->code) {
    case OP_TEXT:
        append_text(run, consts[op->a].str);
        break;
    case OP_OUTPUT:
        op_output(run, escapes(run, op->a));
        break;
    case OP_CONST:
        stack_push(run, consts[op->a]);
        break;
    case OP_UNDEFINED:
        stack_push(run, value_undefined_hint(run, consts[op->a].str->data));
        break;
    case OP_LOAD:
        op_load(run, op->a);
        break;
    case OP_STORE:
        scope_bind(run, run->scope, op->a, stack_pop(run));
        break;
    case OP_STORE_ATTR:
        op_store_attr(run, consts[op->a]);
        break;
    case OP_POP:
        (void)stack_pop(run);
        break;
    case OP_SWAP:
        op_swap(run);
        break;
    case OP_ATTR:
        op_attr(run, consts[op->a].str);
        break;
    case OP_ITEM:
        op_item(run);
        break;
    case OP_SLICE:
        op_slice(run);
        break;
    case OP_BINARY:
        op_binary(run, (enum value_operator)op->a);
        break;
    case OP_NEGATE:
    case OP_PLUS:
        op_unary(run, op->code == OP_NEGATE);
        break;
    case OP_NOT:
        stack_push(run, value_bool(!value_is_true(stack_pop(run))));
        break;
    case OP_CONCAT:
        op_concat(run, op->a, op->b == ESCAPE_ON);
        break;
    case OP_COMPARE:
        op_compare(run, (enum compare_op)op->a);
        break;
    case OP_COMPARE_CHAIN:
        return op_compare_chain(run, (enum compare_op)op->a) ? op->b : next;
    case OP_LIST:
    case OP_TUPLE:
        op_sequence(run, (enum opcode)op->code, op->a);
        break;
    case OP_DICT:
        op_dict(run, op->a);
        break;
    case OP_JUMP:
        return op->a;
    case OP_JUMP_FALSE:
        return value_is_true(stack_pop(run)) ? next : op->a;
    case OP_JUMP_FALSE_KEEP:
    case OP_JUMP_TRUE_KEEP:
        if (value_is_true(run->stack[run->stack_count - 1]) == (op->code == OP_JUMP_TRUE_KEEP))
            return op->a;
        (void)stack_pop(run);
        break;
    case OP_UNPACK:
        op_unpack(run, op->a);
        break;
    default:
        return step_call(run, op, next);
    }
    return next;
}

void vm_run(struct jinja_run *run, unsigned at)
{
    while (at != UINT32_MAX && !run->has_failed && stack_reserve(run, STACK_ROOM) && run_charge(run, 1)) {
        run->at = at;
        at = step(run, &run->code->ops[at], at + 1);
    }
}
