/* Expressions, by precedence, weakest first:
 *   a if b else c, or, and, not, comparisons (chained), + -, ~, * / // %, **, unary - +, then . [] () | is */
#include "server/gcode/template/code.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

static void parse_or(struct compiler *c);
static void parse_unary(struct compiler *c, bool with_filters);

/* Put a jump in front of the code that begins at `start`. What is there jumps only within itself. */
static void insert_jump(struct compiler *c, unsigned start)
{
    emit(c, OP_JUMP, 0, 0);
    struct jinja *j = c->code;
    for (unsigned i = j->op_count - 1; i > start; i--) {
        j->ops[i] = j->ops[i - 1];
        j->lines[i] = j->lines[i - 1];
        switch ((enum opcode)j->ops[i].code) {
        case OP_COMPARE_CHAIN:
            j->ops[i].b++;
            break;
        case OP_JUMP:
        case OP_JUMP_FALSE:
        case OP_JUMP_FALSE_KEEP:
        case OP_JUMP_TRUE_KEEP:
            j->ops[i].a++;
            break;
        default:
            break;
        }
    }
    j->ops[start] = (struct op){.code = OP_JUMP};
}

static void emit_undefined_else(struct compiler *c, unsigned line)
{
    char text[160];
    int len = snprintf(text, sizeof text,
                       "the inline if-expression on line %u evaluated to false and no else section was defined.",
                       shown_line(c->code, line));
    emit(c, OP_UNDEFINED, const_text(c, text, (size_t)len), 0);
}

/* `a if b else c` reads a before b but must not run it, so a jump is put in front of a:
 *      JUMP test;  value: <a>; JUMP end;  test: <b>; JUMP_FALSE else; JUMP value;  else: <c>;  end:  */
void parse_expression(struct compiler *c)
{
    enter(c);
    unsigned start = emit_here(c);
    struct lexer lexer = c->lexer;
    struct token token = c->token;
    bool had_unknown_filter = c->has_unknown_filter;
    c->has_unknown_filter = false;
    c->conditional_depth++; /* `x|unknown if false` is no error: known only behind x */
    parse_or(c);
    c->conditional_depth--;
    if (c->has_unknown_filter && !c->conditional_depth && !is_word(c, "if")) {
        c->lexer = lexer; /* read it again, to fail where the filter stands */
        c->token = token;
        parse_or(c);
    }
    bool is_decided = is_word(c, "if") && !c->conditional_depth; /* what stands before may never run */
    c->has_unknown_filter = had_unknown_filter || (c->has_unknown_filter && !is_decided);
    for (unsigned count = 0; is_word(c, "if"); count++) {
        unsigned line = c->token.line;
        if (count == JINJA_NESTING_MAX) /* each moves what stands before it */
            fail(c, line, "more than %d conditions in a row", JINJA_NESTING_MAX);
        next_token(c);
        insert_jump(c, start);
        unsigned jump_end = emit(c, OP_JUMP, 0, 0);
        patch_a(c, start);
        c->conditional_depth++;
        parse_or(c);
        c->conditional_depth--;
        unsigned jump_else = emit(c, OP_JUMP_FALSE, 0, 0);
        emit(c, OP_JUMP, start + 1, 0);
        patch_a(c, jump_else);
        c->conditional_depth++;
        if (skip_word(c, "else"))
            parse_expression(c);
        else
            emit_undefined_else(c, line);
        c->conditional_depth--;
        patch_a(c, jump_end);
    }
    leave(c);
}

void parse_expression_no_if(struct compiler *c)
{
    enter(c);
    parse_or(c);
    leave(c);
}

static void parse_not(struct compiler *c);

static void parse_and(struct compiler *c)
{
    parse_not(c);
    while (skip_word(c, "and")) {
        unsigned jump = emit(c, OP_JUMP_FALSE_KEEP, 0, 0);
        parse_not(c);
        patch_a(c, jump);
    }
}

static void parse_or(struct compiler *c)
{
    parse_and(c);
    while (skip_word(c, "or")) {
        unsigned jump = emit(c, OP_JUMP_TRUE_KEEP, 0, 0);
        parse_and(c);
        patch_a(c, jump);
    }
}

static void parse_sum(struct compiler *c);

/* The comparison operator at the token, consumed; false if there is none. */
static bool take_compare(struct compiler *c, enum compare_op *op)
{
    static const struct {
        const char *text;
        enum compare_op op;
    } table[] = {{"==", COMPARE_EQ}, {"!=", COMPARE_NE}, {"<", COMPARE_LT},
                 {"<=", COMPARE_LE}, {">", COMPARE_GT},  {">=", COMPARE_GE}};
    for (size_t i = 0; i < ARRAY_COUNT(table); i++)
        if (skip_operator(c, table[i].text)) {
            *op = table[i].op;
            return true;
        }
    if (skip_word(c, "in")) {
        *op = COMPARE_IN;
        return true;
    }
    if (!is_word(c, "not"))
        return false;
    /* "not in": one token of look-ahead, on a copy of the lexer. */
    struct lexer ahead = c->lexer;
    struct token token;
    if (lexer_next(&ahead, &token, NULL) != OK || token.kind != TOKEN_NAME || strcmp(token.text, "in") != 0)
        return false;
    next_token(c);
    next_token(c);
    *op = COMPARE_NOT_IN;
    return true;
}

/* a < b < c: each operand is computed once, and no further than the first comparison that fails. */
static void parse_comparison(struct compiler *c)
{
    parse_sum(c);
    enum compare_op op, next;
    if (!take_compare(c, &op))
        return;
    unsigned chain_count = 0, chain[JINJA_NESTING_MAX];
    parse_sum(c);
    while (take_compare(c, &next)) {
        if (chain_count == JINJA_NESTING_MAX)
            fail(c, c->token.line, "more than %d comparisons in a row", JINJA_NESTING_MAX);
        chain[chain_count++] = emit(c, OP_COMPARE_CHAIN, op, 0);
        op = next;
        parse_sum(c);
    }
    emit(c, OP_COMPARE, op, 0);
    for (unsigned i = 0; i < chain_count; i++)
        patch_b(c, chain[i]);
}

static void parse_not(struct compiler *c)
{
    enter(c);
    if (skip_word(c, "not")) {
        parse_not(c);
        emit(c, OP_NOT, 0, 0);
    } else {
        parse_comparison(c);
    }
    leave(c);
}

static void parse_power(struct compiler *c)
{
    parse_unary(c, true);
    while (skip_operator(c, "**")) {
        parse_unary(c, true);
        emit(c, OP_BINARY, VALUE_POW, 0);
    }
}

static void parse_product(struct compiler *c)
{
    static const struct {
        const char *text;
        enum value_operator op;
    } table[] = {{"*", VALUE_MUL}, {"/", VALUE_DIV}, {"//", VALUE_FLOORDIV}, {"%", VALUE_MOD}};
    parse_power(c);
    for (size_t i = 0; i < ARRAY_COUNT(table);) {
        if (!skip_operator(c, table[i].text)) {
            i++;
            continue;
        }
        parse_power(c);
        emit(c, OP_BINARY, table[i].op, 0);
        i = 0;
    }
}

static void parse_concat(struct compiler *c)
{
    parse_product(c);
    unsigned count = 1;
    while (skip_operator(c, "~")) {
        parse_product(c);
        count++;
    }
    if (count > 1)
        emit(c, OP_CONCAT, count, c->escape);
}

static void parse_sum(struct compiler *c)
{
    parse_concat(c);
    while (is_operator(c, "+") || is_operator(c, "-")) {
        enum value_operator op = c->token.text[0] == '+' ? VALUE_ADD : VALUE_SUB;
        next_token(c);
        parse_concat(c);
        emit(c, OP_BINARY, op, 0);
    }
}

static void parse_unary(struct compiler *c, bool with_filters)
{
    enter(c);
    if (skip_operator(c, "-")) {
        parse_unary(c, false);
        emit(c, OP_NEGATE, 0, 0);
    } else if (skip_operator(c, "+")) {
        parse_unary(c, false);
        emit(c, OP_PLUS, 0, 0);
    } else {
        parse_primary(c);
    }
    parse_postfix(c);
    if (with_filters)
        parse_filters(c, false);
    leave(c);
}

/* -------------------------------------------------------------------------------------------------------- primary */

static bool is_closing(const struct compiler *c)
{
    return c->token.kind == TOKEN_BLOCK_END || c->token.kind == TOKEN_EXPR_END || is_operator(c, ")") ||
           is_operator(c, "]") || is_operator(c, "}");
}

/* a, b, c -> a tuple; a alone -> itself; nothing -> the empty tuple if `allow_empty`. */
static void parse_tuple(struct compiler *c, bool allow_empty, bool allow_if)
{
    unsigned count = 0;
    bool is_tuple = false;
    while (!is_closing(c)) {
        if (count)
            expect_operator(c, ",");
        if (count && is_closing(c)) {
            is_tuple = true;
            break;
        }
        if (allow_if)
            parse_expression(c);
        else
            parse_expression_no_if(c);
        count++;
        if (!is_operator(c, ","))
            break;
        is_tuple = true;
    }
    if (count == 0 && !allow_empty)
        fail(c, c->token.line, "Expected an expression, got '%s'",
             c->token.kind == TOKEN_BLOCK_END  ? "end of statement block"
             : c->token.kind == TOKEN_EXPR_END ? "end of print statement"
                                               : c->token.text);
    if (is_tuple || count == 0)
        emit(c, OP_TUPLE, count, 0);
}

void parse_tuple_or_expression(struct compiler *c)
{
    enter(c);
    parse_tuple(c, false, true);
    leave(c);
}

void parse_condition(struct compiler *c)
{
    enter(c);
    parse_tuple(c, false, false);
    leave(c);
}

static void parse_list(struct compiler *c)
{
    unsigned count = 0;
    next_token(c);
    while (!is_operator(c, "]")) {
        if (count)
            expect_operator(c, ",");
        if (is_operator(c, "]"))
            break;
        parse_expression(c);
        count++;
    }
    expect_operator(c, "]");
    emit(c, OP_LIST, count, 0);
}

static void parse_dict(struct compiler *c)
{
    unsigned count = 0;
    next_token(c);
    while (!is_operator(c, "}")) {
        if (count)
            expect_operator(c, ",");
        if (is_operator(c, "}"))
            break;
        parse_expression(c);
        expect_operator(c, ":");
        parse_expression(c);
        count++;
    }
    expect_operator(c, "}");
    emit(c, OP_DICT, count, 0);
}

static void parse_string(struct compiler *c)
{
    struct strbuf sb;
    strbuf_init(&sb);
    strbuf_add(&sb, c->token.text, c->token.len_bytes);
    /* The text is kept in the arena before the next token may give up. */
    char *text = arena_strndup(&c->code->arena, sb.data, sb.len_bytes);
    size_t len = sb.len_bytes;
    strbuf_deinit(&sb);
    next_token(c);
    while (c->token.kind == TOKEN_STRING) {
        char *longer = arena_alloc(&c->code->arena, len + c->token.len_bytes + 1);
        memcpy(longer, text, len);
        memcpy(longer + len, c->token.text, c->token.len_bytes);
        len += c->token.len_bytes;
        text = longer;
        next_token(c);
    }
    emit(c, OP_CONST, const_text(c, text, len), 0);
}

static void parse_name(struct compiler *c)
{
    const char *name = c->token.text;
    struct value constant = {.kind = VALUE_UNDEFINED};
    if (strcmp(name, "true") == 0 || strcmp(name, "True") == 0)
        constant = value_bool(true);
    else if (strcmp(name, "false") == 0 || strcmp(name, "False") == 0)
        constant = value_bool(false);
    else if (strcmp(name, "none") == 0 || strcmp(name, "None") == 0)
        constant = value_none();
    if (constant.kind != VALUE_UNDEFINED) {
        emit(c, OP_CONST, const_value(c, constant), 0);
    } else {
        c->use->uses_loop |= strcmp(name, "loop") == 0;
        c->use->uses_caller |= !c->use->hides_caller && strcmp(name, "caller") == 0;
        c->use->uses_varargs |= !c->use->hides_varargs && strcmp(name, "varargs") == 0;
        c->use->uses_kwargs |= !c->use->hides_kwargs && strcmp(name, "kwargs") == 0;
        emit(c, OP_LOAD, name_index(c, name), 0);
    }
    next_token(c);
}

void parse_primary(struct compiler *c)
{
    switch (c->token.kind) {
    case TOKEN_NAME:
        parse_name(c);
        return;
    case TOKEN_STRING:
        parse_string(c);
        return;
    case TOKEN_INTEGER:
        emit(c, OP_CONST, const_value(c, value_int(c->token.integer)), 0);
        next_token(c);
        return;
    case TOKEN_FLOAT:
        emit(c, OP_CONST, const_value(c, value_float(c->token.number)), 0);
        next_token(c);
        return;
    default:
        break;
    }
    if (skip_operator(c, "(")) {
        enter(c);
        parse_tuple(c, true, true);
        leave(c);
        expect_operator(c, ")");
    } else if (is_operator(c, "[")) {
        parse_list(c);
    } else if (is_operator(c, "{")) {
        parse_dict(c);
    } else {
        fail_unexpected(c, NULL);
    }
}

/* -------------------------------------------------------------------------------------------------------- postfix */

static void parse_slice_part(struct compiler *c)
{
    if (is_operator(c, ":") || is_operator(c, "]") || is_operator(c, ","))
        emit(c, OP_CONST, const_value(c, value_none()), 0);
    else
        parse_expression(c);
}

/* One index or slice; true if it was a slice (three values are on the stack). */
static bool parse_subscript_part(struct compiler *c)
{
    if (!is_operator(c, ":")) {
        parse_expression(c);
        if (!is_operator(c, ":"))
            return false;
    } else {
        emit(c, OP_CONST, const_value(c, value_none()), 0);
    }
    next_token(c);
    parse_slice_part(c);
    if (skip_operator(c, ":"))
        parse_slice_part(c);
    else
        emit(c, OP_CONST, const_value(c, value_none()), 0);
    return true;
}

static void parse_subscript(struct compiler *c)
{
    next_token(c);
    if (skip_operator(c, "]")) { /* v[] is v[()] */
        emit(c, OP_TUPLE, 0, 0);
        emit(c, OP_ITEM, 0, 0);
        return;
    }
    if (parse_subscript_part(c)) {
        if (is_operator(c, ","))
            fail(c, c->token.line, "a slice inside of a tuple index is not supported");
        emit(c, OP_SLICE, 0, 0);
    } else {
        unsigned count = 1;
        while (skip_operator(c, ",")) {
            parse_expression(c);
            count++;
        }
        if (count > 1)
            emit(c, OP_TUPLE, count, 0);
        emit(c, OP_ITEM, 0, 0);
    }
    expect_operator(c, "]");
}

static void parse_attribute(struct compiler *c)
{
    next_token(c);
    if (c->token.kind == TOKEN_NAME) {
        emit(c, OP_ATTR, const_text(c, c->token.text, c->token.len_bytes), 0);
    } else if (c->token.kind == TOKEN_INTEGER) {
        emit(c, OP_CONST, const_value(c, value_int(c->token.integer)), 0);
        emit(c, OP_ITEM, 0, 0);
    } else {
        fail(c, c->token.line, "expected name or number");
    }
    next_token(c);
}

void parse_postfix(struct compiler *c)
{
    for (;;) {
        if (is_operator(c, "."))
            parse_attribute(c);
        else if (is_operator(c, "["))
            parse_subscript(c);
        else if (is_operator(c, "("))
            parse_call(c);
        else
            return;
    }
}
