/* Statements: {% for %}, {% if %}, {% set %}, {% macro %}, {% call %}, {% filter %}, {% with %}, {% do %}, {% print %}.
 */
#include "server/gcode/template/code.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

#define TARGETS_MAX 64 /* names in `for a, b, c in` or `set a, b = ` */
#define PARAMS_MAX  64

/* ------------------------------------------------------------------------------------------------------- assignment */

struct target {
    unsigned names[TARGETS_MAX];
    unsigned count;
    bool is_tuple;
};

static void parse_target(struct compiler *c, struct target *target)
{
    *target = (struct target){0};
    bool has_paren = skip_operator(c, "(");
    for (;;) {
        if (target->count == TARGETS_MAX)
            fail(c, c->token.line, "more than %d names to assign to", TARGETS_MAX);
        unsigned line = c->token.line;
        const char *name = expect_name(c);
        if (strcmp(name, "true") == 0 || strcmp(name, "false") == 0 || strcmp(name, "none") == 0 ||
            strcmp(name, "True") == 0 || strcmp(name, "False") == 0 || strcmp(name, "None") == 0)
            fail(c, line, "can't assign to 'const'");
        target->names[target->count++] = name_index(c, name);
        if (!skip_operator(c, ","))
            break;
        target->is_tuple = true;
        if (c->token.kind != TOKEN_NAME || is_word(c, "in"))
            break;
    }
    if (has_paren)
        expect_operator(c, ")");
}

/* Store what is on the stack. */
static void emit_store(struct compiler *c, const struct target *target)
{
    if (target->is_tuple)
        emit(c, OP_UNPACK, target->count, 0);
    for (unsigned i = 0; i < target->count; i++)
        emit(c, OP_STORE, target->names[i], 0);
}

/* The body of a block of kind `what`, rendered to a text on the stack; the end tag's name is consumed. Filters stand
 * before the body and apply to it: their code is emitted behind it, from a copy of the lexer.
 *   is_bar_there  as of parse_filters: the first filter comes without a "|" of its own */
static void parse_captured_body(struct compiler *c, const char *const *ends, const char *what, unsigned line,
                                bool is_bar_there)
{
    bool has_filter = is_bar_there || is_operator(c, "|");
    struct lexer lexer = c->lexer;
    struct token token = c->token;
    while (has_filter && c->token.kind != TOKEN_BLOCK_END && c->token.kind != TOKEN_END)
        next_token(c);
    expect_block_end(c);
    emit(c, OP_CAPTURE, 0, 0);
    emit(c, OP_SCOPE_PUSH, 0, 0);
    parse_body(c, ends, what, line);
    emit(c, OP_SCOPE_POP, 0, 0);
    emit(c, OP_CAPTURE_END, 0, 0);
    next_token(c);
    if (!has_filter)
        return;
    struct lexer behind = c->lexer;
    struct token behind_token = c->token;
    c->lexer = lexer;
    c->token = token;
    parse_filters(c, is_bar_there);
    if (c->token.kind != TOKEN_BLOCK_END)
        fail_unexpected(c, "end of statement block");
    c->lexer = behind;
    c->token = behind_token;
}

static void parse_block_set(struct compiler *c, const struct target *target, unsigned line)
{
    static const char *const ends[] = {"endset", NULL};
    if (target->is_tuple)
        fail(c, line, "expected token '=', got 'end of statement block'");
    parse_captured_body(c, ends, "set", line, false);
    emit_store(c, target);
    expect_block_end(c);
}

static void parse_set(struct compiler *c, unsigned line)
{
    struct target target;
    const char *name = c->token.kind == TOKEN_NAME ? c->token.text : NULL;
    parse_target(c, &target);
    if (target.count == 1 && !target.is_tuple && name && skip_operator(c, ".")) {
        const char *attribute = expect_name(c);
        emit(c, OP_LOAD, target.names[0], 0);
        expect_operator(c, "=");
        parse_tuple_or_expression(c);
        emit(c, OP_STORE_ATTR, const_text(c, attribute, strlen(attribute)), 0);
        expect_block_end(c);
        return;
    }
    if (!skip_operator(c, "=")) {
        parse_block_set(c, &target, line);
        return;
    }
    parse_tuple_or_expression(c);
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
        parse_condition(c);
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
    parse_expression(c);
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
    parse_target(c, &head->target);
    for (unsigned i = 0; i < head->target.count; i++)
        if (head->target.names[i] == c->code->loop_name)
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
    struct lexer lexer = c->lexer;
    struct token token = c->token;
    while (c->token.kind != TOKEN_BLOCK_END && c->token.kind != TOKEN_END) {
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
        emit(c, OP_RETURN, 0, 0);
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
    if (j->macro_count == j->macro_capacity) {
        j->macro_capacity = j->macro_capacity ? j->macro_capacity * 2 : 8;
        j->macros = mem_realloc(j->macros, sizeof *j->macros * j->macro_capacity);
    }
    unsigned *kept = arena_alloc(&j->arena, sizeof *kept * (count ? count : 1));
    memcpy(kept, params, sizeof *kept * count);
    unsigned text = const_text(c, name, strlen(name));
    j->macros[j->macro_count] = (struct macro_code){.name = j->consts[text].str,
                                                    .entry = entry,
                                                    .param_count = count,
                                                    .params = kept,
                                                    .uses_varargs = use->uses_varargs,
                                                    .uses_kwargs = use->uses_kwargs,
                                                    .uses_caller = use->uses_caller};
    return j->macro_count++;
}

/* Signature (if a "(" is there), end of the tag, body; leaves the function on the stack. */
static void parse_macro_body(struct compiler *c, const char *name, const char *opener, const char *const *ends,
                             bool needs_signature, unsigned line)
{
    struct macro_use use = {.outer = c->use};
    unsigned params[PARAMS_MAX], count = 0;
    c->use = &use;
    unsigned over = emit(c, OP_JUMP, 0, 0), entry = emit_here(c);
    if (needs_signature || is_operator(c, "("))
        parse_signature(c, params, &count);
    (void)opener;
    expect_block_end(c);
    parse_body(c, ends, opener, line);
    emit(c, OP_RETURN, 0, 0);
    patch_a(c, over);
    c->use = use.outer;
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
    if (is_operator(c, "("))
        parse_signature(c, params, &count);
    struct lexer lexer = c->lexer;
    struct token token = c->token;
    while (c->token.kind != TOKEN_BLOCK_END && c->token.kind != TOKEN_END)
        next_token(c);
    expect_block_end(c);
    parse_body(c, ends, "call", line);
    emit(c, OP_RETURN, 0, 0);
    patch_a(c, over);
    c->use = use.outer;
    next_token(c);
    struct lexer behind = c->lexer;
    struct token behind_token = c->token;
    c->lexer = lexer;
    c->token = token;
    unsigned first = emit_here(c);
    parse_expression(c);
    if (c->token.kind != TOKEN_BLOCK_END)
        fail_unexpected(c, "end of statement block");
    struct op *last = &c->code->ops[emit_here(c) - 1];
    if (emit_here(c) == first || last->code != OP_CALL)
        fail(c, line, "expected call");
    /* One more keyword argument, in front of the call instruction. */
    unsigned positional = last->a, keywords = last->b;
    c->code->op_count--;
    emit(c, OP_CONST, const_text(c, "caller", 6), 0);
    emit(c, OP_MACRO, add_macro(c, "caller", entry, params, count, &use), 0);
    emit(c, OP_CALL, positional, keywords + 1);
    emit(c, OP_OUTPUT, 0, 0);
    c->lexer = behind;
    c->token = behind_token;
    expect_block_end(c);
}

/* ---------------------------------------------------------------------------------------------------------- others */

static void parse_filter_block(struct compiler *c, unsigned line)
{
    static const char *const ends[] = {"endfilter", NULL};
    parse_captured_body(c, ends, "filter", line, true);
    emit(c, OP_OUTPUT, 0, 0);
    expect_block_end(c);
}

/* {% with a=1, b=2 %}: all values are computed outside, then bound in a scope of their own. */
static void parse_with(struct compiler *c, unsigned line)
{
    static const char *const ends[] = {"endwith", NULL};
    struct target targets[16];
    unsigned count = 0;
    while (c->token.kind != TOKEN_BLOCK_END) {
        if (count)
            expect_operator(c, ",");
        if (count == ARRAY_COUNT(targets))
            fail(c, c->token.line, "more than %zu assignments in one with", ARRAY_COUNT(targets));
        unsigned name = name_index(c, expect_name(c));
        targets[count] = (struct target){.names = {name}, .count = 1};
        expect_operator(c, "=");
        parse_expression(c);
        count++;
    }
    next_token(c);
    emit(c, OP_SCOPE_PUSH, 0, 0);
    while (count > 0)
        emit_store(c, &targets[--count]);
    parse_body(c, ends, "with", line);
    emit(c, OP_SCOPE_POP, 0, 0);
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
        emit(c, OP_OUTPUT, 0, 0);
    }
    next_token(c);
}

struct statement {
    const char *word;
    void (*parse)(struct compiler *c, unsigned line);
};

static const struct statement statements[] = {
    {"if", parse_if},       {"for", parse_for},         {"set", parse_set},
    {"macro", parse_macro}, {"call", parse_call_block}, {"filter", parse_filter_block},
    {"with", parse_with},   {"do", parse_do},           {"print", parse_print},
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
             word, opener, opener_line);
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
         words, opener, opener_line);
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
            emit(c, OP_OUTPUT, 0, 0);
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
