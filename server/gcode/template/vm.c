#include "server/gcode/template/vm.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

#define STACK_FIRST      64
#define STACK_ROOM       300 /* pushed by one instruction at the most: unpacking and calls test for more themselves */
#define STACK_VALUES_MAX 100000
#define SHOWN_BYTES_MAX  120 /* of the line in an error text */

/* ------------------------------------------------------------------------------------------- budget and failure */

/* The template's line `line` without the white space around it. */
static const char *source_line(const struct jinja *code, unsigned line, int *len)
{
    const char *p = code->source;
    for (; line > 1 && *p; p++)
        line -= *p == '\n';
    p += strspn(p, " \t");
    const char *end = p + strcspn(p, "\n");
    while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *len = end - p > SHOWN_BYTES_MAX ? SHOWN_BYTES_MAX : (int)(end - p);
    return p;
}

static enum err fail_words(struct jinja_run *run, const char *kind, const char *text)
{
    if (!run->has_failed) {
        run->has_failed = true;
        unsigned line = run->code->op_count ? run->code->lines[run->at] : 0;
        int shown;
        const char *source = source_line(run->code, line, &shown);
        (void)err_set(&run->error, ERR_INVALID, "%s: line %u: %s%s%.600s, in '%.*s'", run->code->name, line,
                      kind ? kind : "", kind ? ": " : "", text, shown, source);
    }
    return ERR_INVALID;
}

enum err value_error(struct jinja_run *run, const char *python_kind, const char *fmt, ...)
{
    struct err_info words;
    va_list args;
    va_start(args, fmt);
    (void)err_vset(&words, ERR_INVALID, fmt, args);
    va_end(args);
    return fail_words(run, python_kind, words.text);
}

enum err value_raise(struct jinja_run *run, const char *text)
{
    if (!run->has_failed) {
        run->has_failed = true;
        (void)err_set(&run->error, ERR_INVALID, "%s", text);
    }
    return ERR_INVALID;
}

static size_t memory_in_use(const struct jinja_run *run)
{
    size_t used = run->arena.used_bytes + run->stack_capacity * sizeof *run->stack;
    for (size_t i = 0; i < run->output_count; i++)
        used += run->outputs[i].len_bytes;
    return used;
}

bool run_has_room(struct jinja_run *run, size_t size_bytes)
{
    size_t used = memory_in_use(run), limit = run->limits.memory_max_bytes;
    if (used <= limit && size_bytes <= limit - used)
        return true;
    (void)value_error(run, "MemoryError", "the template uses more than %zu bytes of memory", limit);
    return false;
}

void *run_alloc(struct jinja_run *run, size_t size_bytes)
{
    return run_has_room(run, size_bytes) ? arena_alloc(&run->arena, size_bytes) : NULL;
}

bool run_charge(struct jinja_run *run, uint64_t count)
{
    run->steps += count;
    if (run->steps <= run->limits.steps_max)
        return true;
    (void)value_error(run, "RuntimeError", "the template runs for more than %llu steps: an endless loop?",
                      (unsigned long long)run->limits.steps_max);
    return false;
}

/* ---------------------------------------------------------------------------------------------------- begin, end */

struct jinja_run *jinja_begin(const struct jinja *code, const struct jinja_limits *limits)
{
    struct jinja_run *run = MEM_NEW(struct jinja_run);
    run->code = code;
    run->limits = limits ? *limits : (struct jinja_limits){0};
    if (!run->limits.steps_max)
        run->limits.steps_max = JINJA_STEPS_MAX;
    if (!run->limits.memory_max_bytes)
        run->limits.memory_max_bytes = JINJA_MEMORY_BYTES_MAX;
    rng_init(&run->rng, run->limits.seed);
    arena_init(&run->arena, 0);
    run->scope = &run->root;
    run->stack_capacity = STACK_FIRST + STACK_ROOM;
    run->stack = MEM_ARRAY(struct value, run->stack_capacity);
    return run;
}

void jinja_set(struct jinja_run *run, const char *name, struct value value)
{
    for (unsigned i = 0; i < run->code->name_count; i++)
        if (strcmp(run->code->names[i], name) == 0) {
            scope_bind(run, &run->root, i, value);
            return;
        }
    /* The template does not mention it. */
}

void jinja_end(struct jinja_run *run)
{
    if (!run)
        return;
    for (size_t i = 0; i < run->output_count; i++)
        strbuf_deinit(&run->outputs[i]);
    mem_free(run->outputs);
    mem_free(run->gathers);
    mem_free(run->stack);
    arena_deinit(&run->arena);
    mem_free(run);
}

/* ------------------------------------------------------------------------------------------------------ the stack */

static bool stack_reserve(struct jinja_run *run, size_t more)
{
    if (run->stack_count + more <= run->stack_capacity)
        return true;
    if (run->stack_count + more > STACK_VALUES_MAX) {
        (void)value_error(run, "RecursionError", "too many values at once");
        return false;
    }
    while (run->stack_count + more > run->stack_capacity)
        run->stack_capacity *= 2;
    run->stack = mem_realloc(run->stack, sizeof *run->stack * run->stack_capacity);
    return true;
}

static void push(struct jinja_run *run, struct value v)
{
    run->stack[run->stack_count++] = v;
}

static struct value pop(struct jinja_run *run)
{
    CHECK(run->stack_count > 0);
    return run->stack[--run->stack_count];
}

/* -------------------------------------------------------------------------------------------------- instructions */

static void append_text(struct jinja_run *run, const struct value_str *text)
{
    if (run_has_room(run, text->len_bytes))
        strbuf_add(&run->outputs[run->output_count - 1], text->data, text->len_bytes);
}

static void op_output(struct jinja_run *run)
{
    struct value v = pop(run);
    if (v.kind == VALUE_STR || v.kind == VALUE_MARKUP)
        append_text(run, v.str);
    else
        (void)value_to_text(run, v, &run->outputs[run->output_count - 1]);
}

static void op_load(struct jinja_run *run, unsigned name)
{
    for (const struct scope *scope = run->scope; scope; scope = scope->outer) {
        const struct value *v = scope_find(scope, name);
        if (v) {
            push(run, *v);
            return;
        }
    }
    const char *text = run->code->names[name];
    const struct value_filter *global = value_find_global(text, strlen(text));
    push(run, global ? value_native(run, global->name, global->fn, NULL) : value_undefined(run, text));
}

static void op_slice(struct jinja_run *run)
{
    struct value step = pop(run), stop = pop(run), start = pop(run), v = pop(run), out = value_none();
    if (value_slice(run, v, start, stop, step, &out) == OK)
        push(run, out);
}

static void op_binary(struct jinja_run *run, enum value_operator op)
{
    struct value b = pop(run), a = pop(run), out = value_none();
    if (a.kind == VALUE_INT && b.kind == VALUE_INT) {
        int64_t result = 0;
        bool is_plain = op == VALUE_ADD   ? !__builtin_add_overflow(a.integer, b.integer, &result)
                        : op == VALUE_SUB ? !__builtin_sub_overflow(a.integer, b.integer, &result)
                        : op == VALUE_MUL ? !__builtin_mul_overflow(a.integer, b.integer, &result)
                                          : false;
        if (is_plain) {
            push(run, value_int(result));
            return;
        }
    }
    if (value_binary(run, op, a, b, &out) == OK)
        push(run, out);
}

static void op_concat(struct jinja_run *run, unsigned count)
{
    struct strbuf sb;
    strbuf_init(&sb);
    for (unsigned i = 0; i < count && !run->has_failed; i++) {
        (void)value_to_text(run, run->stack[run->stack_count - count + i], &sb);
        (void)run_has_room(run, sb.len_bytes);
    }
    run->stack_count -= count;
    push(run, value_str(run, sb.data, sb.len_bytes));
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
    struct value b = pop(run), a = pop(run);
    bool result = false;
    if (compare(run, op, a, b, &result) == OK)
        push(run, value_bool(result));
}

/* True: go on behind the chain. */
static bool op_compare_chain(struct jinja_run *run, enum compare_op op)
{
    struct value b = pop(run), a = pop(run);
    bool result = false;
    if (compare(run, op, a, b, &result) != OK)
        return false;
    push(run, result ? b : value_bool(false));
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
    push(run, seq);
}

static void op_dict(struct jinja_run *run, unsigned count)
{
    struct value dict = value_dict(run);
    const struct value *items = &run->stack[run->stack_count - 2 * (size_t)count];
    for (unsigned i = 0; i < count && !run->has_failed; i++)
        (void)value_set_item(run, dict, items[2 * i], items[2 * i + 1]);
    run->stack_count -= 2 * (size_t)count;
    push(run, dict);
}

static void op_unpack(struct jinja_run *run, unsigned count)
{
    struct value list = value_none();
    if (value_iterate(run, pop(run), &list) != OK)
        return;
    if (list.seq->count > count)
        (void)value_error(run, "ValueError", "too many values to unpack (expected %u)", count);
    else if (list.seq->count < count)
        (void)value_error(run, "ValueError", "not enough values to unpack (expected %u, got %zu)", count,
                          list.seq->count);
    else
        for (unsigned i = count; i > 0; i--)
            push(run, list.seq->items[i - 1]);
}

static void op_spread(struct jinja_run *run, bool is_dict)
{
    struct value from = pop(run), into = run->stack[run->stack_count - 1], items = value_none();
    if (is_dict ? value_items(run, from, &items) != OK : value_iterate(run, from, &items) != OK)
        return;
    for (size_t i = 0; i < items.seq->count && !run->has_failed; i++) {
        struct value item = items.seq->items[i];
        if (is_dict)
            (void)value_set_item(run, into, item.seq->items[0], item.seq->items[1]);
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
    push(run, (struct value){.kind = VALUE_FUNCTION, .function = f});
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
    struct value dict = pop(run), list = pop(run), items = value_none();
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

/* Returns where to go on. */
static unsigned op_call(struct jinja_run *run, const struct value_call *call, unsigned next)
{
    struct value f = pop(run), out = value_none();
    bool is_native;
    unsigned entry = next;
    if (run->has_failed || vm_call(run, f, call, next, &is_native, &out, &entry) != OK)
        return next;
    if (is_native)
        push(run, out);
    return is_native ? next : entry;
}

static void op_filter(struct jinja_run *run, const struct value_filter *filter, const struct value_call *call)
{
    struct value out = value_none();
    if (!run->has_failed && filter->fn(run, NULL, call, &out) == OK)
        push(run, out);
}

/* Returns where to go on; UINT32_MAX: the template is over. */
static unsigned op_return(struct jinja_run *run)
{
    if (run->frame_count == 0)
        return UINT32_MAX;
    struct frame *frame = &run->frames[--run->frame_count];
    run->scope = frame->scope;
    run->loop = frame->loop;
    if (frame->is_captured)
        push(run, output_end(run));
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
        push(run, item);
    push(run, item);
    return next;
}

static unsigned op_for_end(struct jinja_run *run, const struct op *op, unsigned next)
{
    bool has_run = run->loop->index >= 0;
    run->loop = run->loop->outer;
    return has_run && op->a ? op->a : next;
}

/* One instruction at `at`; returns the next one. */
static unsigned step(struct jinja_run *run, unsigned at)
{
    const struct op *op = &run->code->ops[at];
    const struct value *consts = run->code->consts;
    unsigned next = at + 1;
    struct value v, out = value_none();
    struct value_call call;
    switch ((enum opcode)op->code) {
    case OP_TEXT:
        append_text(run, consts[op->a].str);
        break;
    case OP_OUTPUT:
        op_output(run);
        break;
    case OP_CONST:
        push(run, consts[op->a]);
        break;
    case OP_UNDEFINED:
        push(run, value_undefined_hint(run, consts[op->a].str->data));
        break;
    case OP_LOAD:
        op_load(run, op->a);
        break;
    case OP_STORE:
        scope_bind(run, run->scope, op->a, pop(run));
        break;
    case OP_STORE_ATTR:
        v = pop(run);
        out = pop(run);
        if (out.kind != VALUE_NAMESPACE)
            (void)value_error(run, "TemplateRuntimeError", "cannot assign attribute on non-namespace object");
        else
            (void)value_set_item(run, out, consts[op->a], v);
        break;
    case OP_POP:
        (void)pop(run);
        break;
    case OP_ATTR:
        v = pop(run);
        if (value_attribute(run, v, consts[op->a].str->data, consts[op->a].str->len_bytes, &out) == OK)
            push(run, out);
        break;
    case OP_ITEM: {
        struct value key = pop(run);
        v = pop(run);
        if (value_subscript(run, v, key, &out) == OK)
            push(run, out);
        break;
    }
    case OP_SLICE:
        op_slice(run);
        break;
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
        (void)value_error(run, "TemplateRuntimeError", "%s", consts[op->a].str->data);
        break;
    case OP_BINARY:
        op_binary(run, (enum value_operator)op->a);
        break;
    case OP_NEGATE:
    case OP_PLUS:
        v = pop(run);
        if ((op->code == OP_NEGATE ? value_negate(run, v, &out) : value_plus(run, v, &out)) == OK)
            push(run, out);
        break;
    case OP_NOT:
        push(run, value_bool(!value_is_true(pop(run))));
        break;
    case OP_CONCAT:
        op_concat(run, op->a);
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
        return value_is_true(pop(run)) ? next : op->a;
    case OP_JUMP_FALSE_KEEP:
    case OP_JUMP_TRUE_KEEP:
        if (value_is_true(run->stack[run->stack_count - 1]) == (op->code == OP_JUMP_TRUE_KEEP))
            return op->a;
        (void)pop(run);
        break;
    case OP_UNPACK:
        op_unpack(run, op->a);
        break;
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
        push(run, output_end(run));
        break;
    case OP_FOR_BEGIN:
        (void)loop_begin(run, pop(run), op->b);
        break;
    case OP_FOR_NEXT:
        return op_for_next(run, op, next);
    case OP_FOR_END:
        return op_for_end(run, op, next);
    case OP_APPEND:
        (void)value_append(run, run->gathers[run->gather_count - 1], pop(run));
        break;
    case OP_LIST_NEW:
        op_gather(run);
        break;
    case OP_LIST_DONE:
        push(run, run->gathers[--run->gather_count]);
        break;
    case OP_SUB:
        return op_sub(run, op->a, next);
    case OP_RETURN:
        return op_return(run);
    case OP_MACRO:
        op_macro(run, op->a);
        break;
    case OP_JUMP_BOUND:
        return scope_find(run->scope, op->a) ? op->b : next;
    }
    return next;
}

static void run_from(struct jinja_run *run, unsigned at)
{
    while (at != UINT32_MAX && !run->has_failed && stack_reserve(run, STACK_ROOM) && run_charge(run, 1)) {
        run->at = at;
        at = step(run, at);
    }
}

enum err jinja_execute(struct jinja_run *run, struct strbuf *out, struct err_info *info)
{
    CHECK(run->output_count == 0);
    if (output_begin(run))
        run_from(run, 0);
    if (run->has_failed)
        return err_set(info, ERR_INVALID, "%s", run->error.text);
    strbuf_add(out, run->outputs[0].data, run->outputs[0].len_bytes);
    return OK;
}

/* A literal runs on stacks of its own: whoever asks for it may be in the middle of an instruction of the template. */
struct value value_literal(struct jinja_run *run, const struct jinja *literal)
{
    const struct jinja *code = run->code;
    struct value *stack = run->stack, out = value_none();
    size_t count = run->stack_count, capacity = run->stack_capacity;
    unsigned frame_count = run->frame_count, at = run->at;
    run->code = literal;
    run->stack_capacity = STACK_FIRST + STACK_ROOM;
    run->stack = MEM_ARRAY(struct value, run->stack_capacity);
    run->stack_count = 0;
    run->frame_count = 0;
    run_from(run, 0);
    if (!run->has_failed)
        out = pop(run);
    mem_free(run->stack);
    run->code = code;
    run->stack = stack;
    run->stack_count = count;
    run->stack_capacity = capacity;
    run->frame_count = frame_count;
    run->at = at;
    return out;
}

void *value_alloc(struct jinja_run *run, size_t size_bytes)
{
    return run_alloc(run, size_bytes);
}
