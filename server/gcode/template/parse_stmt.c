/* Statements: {% for %}, {% if %}, {% set %}, {% macro %}, {% call %}, {% filter %}, {% with %}, {% do %}, {% print %}.
 */
#include "server/gcode/template/code.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

#define PARAMS_MAX 64
#define WITH_MAX   16

/* ------------------------------------------------------------------------------------------------------- assignment */

/* A body with variables of its own: unknown filters in it are errors at once, also inside of an if. Returns what
 * end_frame needs. */
static unsigned begin_frame(struct compiler *c)
{
    unsigned depth = c->conditional_depth;
    c->conditional_depth = 0;
    return depth;
}

static void end_frame(struct compiler *c, unsigned depth)
{
    c->conditional_depth = depth;
}

/* The body of a block of kind `what`, rendered to a text on the stack; the end tag's name is consumed. Filters stand
 * before the body and apply to it: their code is emitted behind it, from a copy of the lexer.
 *   is_bar_there  as of parse_filters: the first filter comes without a "|" of its own */
static void parse_captured_body(struct compiler *c, const char *const *ends, const char *what, unsigned line,
                                bool is_bar_there)
{
    bool has_filter = is_bar_there || is_operator(c, "|"), is_set = !is_bar_there;
    struct lexer lexer = c->lexer;
    struct token token = c->token;
    while (has_filter && c->token.kind != TOKEN_BLOCK_END && c->token.kind != TOKEN_END)
        next_token(c);
    expect_block_end(c);
    emit(c, OP_CAPTURE, 0, 0);
    emit(c, OP_SCOPE_PUSH, 0, 0);
    unsigned depth = begin_frame(c);
    parse_body(c, ends, what, line);
    end_frame(c, depth);
    emit(c, OP_SCOPE_POP, 0, 0);
    /* A set block is Markup if the render escapes when it is set, whatever its filters make of it. */
    emit(c, OP_CAPTURE_END, is_set && !has_filter ? ESCAPE_ASK : c->escape, 0);
    next_token(c);
    if (!has_filter)
        return;
    struct lexer behind = c->lexer;
    struct token behind_token = c->token;
    c->lexer = lexer;
    c->token = token;
    depth = begin_frame(c);
    parse_filters(c, is_bar_there);
    end_frame(c, depth);
    if (is_set)
        emit(c, OP_MARKUP, 0, 0);
    if (c->token.kind != TOKEN_BLOCK_END)
        fail_unexpected(c, "end of statement block");
    c->lexer = behind;
    c->token = behind_token;
}

static void parse_set(struct compiler *c, unsigned line)
{
    static const char *const ends[] = {"endset", NULL};
    struct target target;
    parse_target(c, &target, true);
    emit_store_begin(c, &target);
    if (skip_operator(c, "="))
        parse_tuple_or_expression(c);
    else
        parse_captured_body(c, ends, "set", line, false);
    emit_store(c, &target);
    expect_block_end(c);
}

/* ------------------------------------------------------------------------------------------------------------- if */

static void parse_if(struct compiler *c, unsigned line)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    static const char *const last[] = {"endif", NULL};
    unsigned jumps_to_end = UINT32_MAX; /* chained through their targets until the end is known */
    for (;;) {
        c->conditional_depth++; /* the condition, too */
        parse_condition(c);
        c->conditional_depth--;
        expect_block_end(c);
        unsigned over = emit(c, OP_JUMP_FALSE, 0, 0);
        c->conditional_depth++;
        parse_body(c, ends, "if", line);
        c->conditional_depth--;
        bool is_end = is_word(c, "endif");
        if (!is_end)
            jumps_to_end = emit(c, OP_JUMP, jumps_to_end, 0);
        patch_a(c, over);
        if (skip_word(c, "elif"))
            continue;
        if (skip_word(c, "else")) {
            expect_block_end(c);
            c->conditional_depth++;
            parse_body(c, last, "if", line);
            c->conditional_depth--;
        }
        next_token(c);
        break;
    }
    while (jumps_to_end != UINT32_MAX) {
        unsigned next = c->code->ops[jumps_to_end].a;
        patch_a(c, jumps_to_end);
        jumps_to_end = next;
    }
    expect_block_end(c);
}

/* ------------------------------------------------------------------------------------------------------------ for */

/* `for x in items if condition`: the items that pass are gathered first, so that loop.length and the like count them.
 * (items -- list) */
static void emit_for_filter(struct compiler *c, const struct target *target)
{
    emit(c, OP_LIST_NEW, 0, 0);
    unsigned begin = emit(c, OP_FOR_BEGIN, 0, 0);
    unsigned next = emit(c, OP_FOR_NEXT, 0, 0);
    /* The item is needed twice: for the names, and to be kept. FOR_NEXT leaves it; the names are bound from a copy. */
    c->code->ops[next].b = 1;
    emit_store(c, target);
    unsigned depth = begin_frame(c);
    parse_expression(c);
    end_frame(c, depth);
    unsigned skip = emit(c, OP_JUMP_FALSE, 0, 0);
    emit(c, OP_APPEND, 0, 0);
    unsigned again = emit(c, OP_JUMP, next, 0);
    patch_a(c, skip);
    emit(c, OP_POP, 0, 0);
    emit(c, OP_JUMP, next, 0);
    (void)again;
    patch_a(c, begin);
    patch_a(c, next);
    emit(c, OP_FOR_END, 0, 0);
    emit(c, OP_LIST_DONE, 0, 0);
}

struct for_head {
    struct target target;
    bool has_filter, is_recursive;
};

static void parse_for_head(struct compiler *c, struct for_head *head)
{
    parse_target(c, &head->target, false);
    for (unsigned i = 0; i < head->target.count; i++)
        if (!head->target.parts[i].is_tuple && head->target.parts[i].name_or_count == c->code->loop_name)
            fail(c, c->token.line, "Can't assign to special loop variable in for-loop target");
    expect_word(c, "in");
    enter(c);
    parse_expression_no_if(c);
    unsigned count = 1;
    bool is_tuple = false;
    while (skip_operator(c, ",")) { /* for x in 1, 2, 3 */
        is_tuple = true;
        if (c->token.kind == TOKEN_BLOCK_END || is_word(c, "if") || is_word(c, "recursive"))
            break;
        parse_expression_no_if(c);
        count++;
    }
    leave(c);
    if (is_tuple)
        emit(c, OP_TUPLE, count, 0);
}

/* The loop itself; the iterable is on the stack. */
static void parse_for_body(struct compiler *c, const struct for_head *head, unsigned flags, unsigned line)
{
    static const char *const ends[] = {"else", "endfor", NULL};
    static const char *const last[] = {"endfor", NULL};
    bool outer_uses_loop = c->use->uses_loop;
    c->use->uses_loop = false;
    unsigned begin = emit(c, OP_FOR_BEGIN, 0, flags);
    unsigned next = emit(c, OP_FOR_NEXT, 0, 0);
    emit_store(c, &head->target);
    unsigned depth = begin_frame(c);
    parse_body(c, ends, "for", line);
    emit(c, OP_JUMP, next, 0);
    patch_a(c, begin);
    patch_a(c, next);
    unsigned end = emit(c, OP_FOR_END, 0, 0);
    c->code->ops[begin].b |= FOR_HAS_LOOP;
    c->use->uses_loop = outer_uses_loop;
    if (skip_word(c, "else")) {
        expect_block_end(c);
        emit(c, OP_SCOPE_PUSH, 0, 0);
        parse_body(c, last, "for", line);
        emit(c, OP_SCOPE_POP, 0, 0);
        patch_a(c, end);
    }
    end_frame(c, depth);
    next_token(c);
}

static void parse_for(struct compiler *c, unsigned line)
{
    struct for_head head = {0};
    parse_for_head(c, &head);
    if (!is_word(c, "if") && !is_word(c, "recursive")) {
        expect_block_end(c);
        parse_for_body(c, &head, 0, line);
        expect_block_end(c);
        return;
    }
    /* A recursive loop is a subroutine that loop(items) calls again; its filter belongs to it. */
    bool has_filter = skip_word(c, "if");
    if (!has_filter)
        head.is_recursive = skip_word(c, "recursive");
    struct lexer lexer = c->lexer;
    struct token token = c->token;
    while (has_filter && c->token.kind != TOKEN_BLOCK_END && c->token.kind != TOKEN_END) {
        head.is_recursive = is_word(c, "recursive");
        next_token(c);
    }
    struct lexer behind = c->lexer;
    struct token behind_token = c->token;
    unsigned call = 0, over = 0;
    if (head.is_recursive) {
        call = emit(c, OP_SUB, 0, 0);
        over = emit(c, OP_JUMP, 0, 0);
        patch_a(c, call);
    }
    if (has_filter) {
        c->lexer = lexer;
        c->token = token;
        emit_for_filter(c, &head.target);
        (void)skip_word(c, "recursive");
        if (c->token.kind != TOKEN_BLOCK_END)
            fail_unexpected(c, "end of statement block");
    }
    c->lexer = behind;
    c->token = behind_token;
    expect_block_end(c);
    unsigned entry = head.is_recursive ? c->code->ops[call].a : 0;
    parse_for_body(c, &head, head.is_recursive ? FOR_RECURSIVE | entry << 8 : 0, line);
    if (head.is_recursive) {
        emit(c, OP_RETURN, c->escape, 0);
        patch_a(c, over);
    }
    expect_block_end(c);
}

/* --------------------------------------------------------------------------------------------------------- macros */

/* (a, b=1): the parameters; code for defaults is emitted as the beginning of the macro. */
static void parse_signature(struct compiler *c, unsigned *params, unsigned *count)
{
    *count = 0;
    bool has_default = false;
    expect_operator(c, "(");
    while (!is_operator(c, ")")) {
        if (*count)
            expect_operator(c, ",");
        if (*count == PARAMS_MAX)
            fail(c, c->token.line, "more than %d parameters", PARAMS_MAX);
        const char *name = expect_name(c);
        unsigned index = name_index(c, name);
        params[(*count)++] = index;
        if (skip_operator(c, "=")) {
            has_default = true;
            unsigned bound = emit(c, OP_JUMP_BOUND, index, 0);
            parse_expression(c);
            emit(c, OP_STORE, index, 0);
            patch_b(c, bound);
            c->use->has_default_caller |= index == c->code->caller_name;
        } else if (has_default) {
            fail(c, c->token.line, "non-default argument follows default argument");
        }
    }
    expect_operator(c, ")");
}

static unsigned add_macro(struct compiler *c, const char *name, unsigned entry, const unsigned *params, unsigned count,
                          const struct macro_use *use)
{
    struct jinja *j = c->code;
    for (unsigned i = 0; i < count; i++)
        if (params[i] == j->caller_name && use->uses_caller && !use->has_default_caller)
            fail(c, c->token.line,
                 "When defining macros or call blocks the special \"caller\" argument must be omitted or be given a "
                 "default.");
    if (j->macro_count == j->macro_capacity) {
        j->macro_capacity = j->macro_capacity ? j->macro_capacity * 2 : 8;
        j->macros = mem_realloc(j->macros, sizeof *j->macros * j->macro_capacity);
    }
    bool takes_varargs = false, takes_kwargs = false; /* as parameters like any other */
    for (unsigned i = 0; i < count; i++) {
        takes_varargs |= params[i] == j->varargs_name;
        takes_kwargs |= params[i] == j->kwargs_name;
    }
    unsigned *kept = arena_alloc(&j->arena, sizeof *kept * (count ? count : 1));
    memcpy(kept, params, sizeof *kept * count);
    unsigned text = const_text(c, name, strlen(name));
    j->macros[j->macro_count] = (struct macro_code){.name = j->consts[text].str,
                                                    .entry = entry,
                                                    .param_count = count,
                                                    .params = kept,
                                                    .uses_varargs = use->uses_varargs && !takes_varargs,
                                                    .uses_kwargs = use->uses_kwargs && !takes_kwargs,
                                                    .uses_caller = use->uses_caller};
    return j->macro_count++;
}

/* Back to the macro around: what the inner one uses of caller, varargs and kwargs, the outer one uses too. */
static void end_use(struct compiler *c, const struct macro_use *use)
{
    struct macro_use *outer = c->use = use->outer;
    outer->uses_caller |= use->uses_caller && !outer->hides_caller;
    outer->uses_varargs |= use->uses_varargs && !outer->hides_varargs;
    outer->uses_kwargs |= use->uses_kwargs && !outer->hides_kwargs;
}

/* Signature (if a "(" is there), end of the tag, body; leaves the function on the stack. */
static void parse_macro_body(struct compiler *c, const char *name, const char *opener, const char *const *ends,
                             bool needs_signature, unsigned line)
{
    struct macro_use use = {.outer = c->use};
    unsigned params[PARAMS_MAX], count = 0;
    c->use = &use;
    unsigned over = emit(c, OP_JUMP, 0, 0), entry = emit_here(c);
    unsigned depth = begin_frame(c);
    if (needs_signature || is_operator(c, "("))
        parse_signature(c, params, &count);
    expect_block_end(c);
    parse_body(c, ends, opener, line);
    end_frame(c, depth);
    emit(c, OP_RETURN, c->escape, 0);
    patch_a(c, over);
    end_use(c, &use);
    emit(c, OP_MACRO, add_macro(c, name, entry, params, count, &use), 0);
}

static void parse_macro(struct compiler *c, unsigned line)
{
    static const char *const ends[] = {"endmacro", NULL};
    const char *name = expect_name(c);
    unsigned index = name_index(c, name);
    parse_macro_body(c, name, "macro", ends, true, line);
    emit(c, OP_STORE, index, 0);
    next_token(c);
    expect_block_end(c);
}

/* {% call(a, b) m(x) %}body{% endcall %}: m is called with the body as the macro `caller`. The call stands before the
 * body, so the tag is skipped, the body compiled, and the call compiled from a copy of the lexer. */
static void parse_call_block(struct compiler *c, unsigned line)
{
    static const char *const ends[] = {"endcall", NULL};
    struct macro_use use = {.outer = c->use};
    unsigned params[PARAMS_MAX], count = 0;
    unsigned over = emit(c, OP_JUMP, 0, 0), entry = emit_here(c);
    c->use = &use;
    unsigned depth = begin_frame(c);
    if (is_operator(c, "("))
        parse_signature(c, params, &count);
    struct lexer lexer = c->lexer;
    struct token token = c->token;
    while (c->token.kind != TOKEN_BLOCK_END && c->token.kind != TOKEN_END)
        next_token(c);
    expect_block_end(c);
    parse_body(c, ends, "call", line);
    end_frame(c, depth);
    emit(c, OP_RETURN, c->escape, 0);
    patch_a(c, over);
    end_use(c, &use);
    next_token(c);
    struct lexer behind = c->lexer;
    struct token behind_token = c->token;
    c->lexer = lexer;
    c->token = token;
    unsigned first = emit_here(c);
    parse_expression(c);
    if (c->token.kind != TOKEN_BLOCK_END)
        fail_unexpected(c, "end of statement block");
    struct op last = c->code->ops[emit_here(c) - 1];
    if (emit_here(c) == first || (last.code != OP_CALL && last.code != OP_CALL_SPREAD))
        fail(c, line, "expected call");
    /* One more keyword argument, in front of the call instruction. */
    c->code->op_count--;
    emit(c, OP_CONST, const_text(c, "caller", 6), 0);
    emit(c, OP_MACRO, add_macro(c, "caller", entry, params, count, &use), 0);
    if (last.code == OP_CALL_SPREAD) {
        emit(c, OP_DICT, 1, 0);
        emit(c, OP_SPREAD_DICT, 0, 0);
        emit(c, OP_CALL_SPREAD, 0, 0);
    } else {
        emit(c, OP_CALL, last.a, last.b + 1);
    }
    emit(c, OP_OUTPUT_TEXT, 0, 0);
    c->lexer = behind;
    c->token = behind_token;
    expect_block_end(c);
}

/* ---------------------------------------------------------------------------------------------------------- others */

static void parse_filter_block(struct compiler *c, unsigned line)
{
    static const char *const ends[] = {"endfilter", NULL};
    parse_captured_body(c, ends, "filter", line, true);
    emit(c, OP_OUTPUT_TEXT, 0, 0);
    expect_block_end(c);
}

/* {% with a=1, b=2 %}: all values are computed outside, then bound in a scope of their own. */
static void parse_with(struct compiler *c, unsigned line)
{
    static const char *const ends[] = {"endwith", NULL};
    struct target *targets = arena_alloc(&c->code->arena, WITH_MAX * sizeof *targets);
    unsigned count = 0;
    while (c->token.kind != TOKEN_BLOCK_END) {
        if (count)
            expect_operator(c, ",");
        if (count == WITH_MAX)
            fail(c, c->token.line, "more than %d assignments in one with", WITH_MAX);
        parse_target(c, &targets[count++], false);
        expect_operator(c, "=");
        parse_expression(c);
    }
    next_token(c);
    emit(c, OP_SCOPE_PUSH, 0, 0);
    while (count > 0)
        emit_store(c, &targets[--count]);
    unsigned depth = begin_frame(c);
    parse_body(c, ends, "with", line);
    end_frame(c, depth);
    emit(c, OP_SCOPE_POP, 0, 0);
    next_token(c);
    expect_block_end(c);
}

/* {% autoescape x %}: what is written there is escaped if x is true, unless it is Markup. */
static void parse_autoescape(struct compiler *c, unsigned line)
{
    static const char *const ends[] = {"endautoescape", NULL};
    unsigned first = emit_here(c);
    parse_expression(c);
    expect_block_end(c);
    enum escape_mode outer = c->escape;
    const struct op *value = &c->code->ops[first];
    bool is_constant = emit_here(c) == first + 1 && value->code == OP_CONST;
    c->escape = !is_constant ? ESCAPE_ASK : value_is_true(c->code->consts[value->a]) ? ESCAPE_ON : ESCAPE_OFF;
    emit(c, OP_AUTOESCAPE, 0, 0);
    emit(c, OP_SCOPE_PUSH, 0, 0);
    unsigned depth = begin_frame(c);
    parse_body(c, ends, "autoescape", line);
    end_frame(c, depth);
    emit(c, OP_SCOPE_POP, 0, 0);
    emit(c, OP_AUTOESCAPE_END, 0, 0);
    c->escape = outer;
    next_token(c);
    expect_block_end(c);
}

static void parse_do(struct compiler *c, unsigned line)
{
    (void)line;
    parse_tuple_or_expression(c);
    emit(c, OP_POP, 0, 0);
    expect_block_end(c);
}

static void parse_print(struct compiler *c, unsigned line)
{
    (void)line;
    for (bool is_first = true; c->token.kind != TOKEN_BLOCK_END; is_first = false) {
        if (!is_first)
            expect_operator(c, ",");
        parse_expression(c);
        emit(c, OP_OUTPUT, c->escape, 0);
    }
    next_token(c);
}

struct statement {
    const char *word;
    void (*parse)(struct compiler *c, unsigned line);
};

static const struct statement statements[] = {
    {"if", parse_if},           {"for", parse_for},
    {"set", parse_set},         {"macro", parse_macro},
    {"call", parse_call_block}, {"filter", parse_filter_block},
    {"with", parse_with},       {"do", parse_do},
    {"print", parse_print},     {"autoescape", parse_autoescape},
};

static const char *const left_out[] = {"extends", "block", "include", "import", "from"};

_Noreturn static void fail_unknown_tag(struct compiler *c, const char *word, unsigned line, const char *opener,
                                       unsigned opener_line)
{
    for (size_t i = 0; i < ARRAY_COUNT(left_out); i++)
        if (strcmp(word, left_out[i]) == 0)
            fail(c, line, "'%s' is not available: templates here cannot inherit or include", word);
    if (opener)
        fail(c, line, "Encountered unknown tag '%.60s'. The innermost block that needs to be closed is '%s' (line %u).",
             word, opener, shown_line(c->code, opener_line));
    fail(c, line, "Encountered unknown tag '%.60s'.", word);
}

static bool is_end(const struct compiler *c, const char *const *ends)
{
    for (; ends && *ends; ends++)
        if (is_word(c, *ends))
            return true;
    return false;
}

/* False: one of `ends` is the token. */
static bool parse_block(struct compiler *c, const char *const *ends, const char *opener, unsigned opener_line)
{
    next_token(c);
    if (is_end(c, ends))
        return false;
    if (c->token.kind != TOKEN_NAME)
        fail(c, c->token.line, "tag name expected");
    unsigned line = c->token.line;
    const char *word = c->token.text;
    for (size_t i = 0; i < ARRAY_COUNT(statements); i++) {
        if (strcmp(word, statements[i].word) != 0)
            continue;
        next_token(c);
        enter(c);
        statements[i].parse(c, line);
        leave(c);
        return true;
    }
    fail_unknown_tag(c, word, line, opener, opener_line);
}

_Noreturn static void fail_unclosed(struct compiler *c, const char *const *ends, const char *opener,
                                    unsigned opener_line)
{
    char words[60] = "";
    for (size_t len = 0; *ends; ends++)
        len += (size_t)snprintf(words + len, sizeof words - len, "%s'%s'", len ? " or " : "", *ends);
    fail(c, c->token.line,
         "Unexpected end of template. Jinja was looking for the following tags: %s. The innermost block that needs to "
         "be "
         "closed is '%s' (line %u).",
         words, opener, shown_line(c->code, opener_line));
}

void parse_body(struct compiler *c, const char *const *ends, const char *opener, unsigned opener_line)
{
    for (;;) {
        switch (c->token.kind) {
        case TOKEN_DATA:
            emit(c, OP_TEXT, const_text(c, c->token.text, c->token.len_bytes), 0);
            next_token(c);
            break;
        case TOKEN_EXPR_BEGIN:
            next_token(c);
            parse_tuple_or_expression(c);
            if (c->token.kind != TOKEN_EXPR_END)
                fail_unexpected(c, "end of print statement");
            emit(c, OP_OUTPUT, c->escape, 0);
            next_token(c);
            break;
        case TOKEN_BLOCK_BEGIN:
            if (!parse_block(c, ends, opener, opener_line))
                return;
            break;
        default:
            if (!ends)
                return;
            fail_unclosed(c, ends, opener, opener_line);
        }
    }
}
