/* Expressions, by precedence, weakest first:
 *   a if b else c, or, and, not, comparisons (chained), + -, ~, * / // %, **, unary - +, then . [] () | is */
#include "server/gcode/template/code.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

#define CALL_ARGS_MAX 255 /* fits the operand of OP_FILTER */

static void parse_or(struct compiler *c);
static void parse_unary(struct compiler *c, bool with_filters);
static void parse_primary(struct compiler *c);
static void parse_postfix(struct compiler *c);

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
                       "the inline if-expression on line %u evaluated to false and no else section was defined.", line);
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
    c->has_unknown_filter = false;
    c->conditional_depth++; /* `x|unknown if false` is no error: known only behind x */
    parse_or(c);
    c->conditional_depth--;
    if (c->has_unknown_filter && !c->conditional_depth && !is_word(c, "if")) {
        c->lexer = lexer; /* read it again, to fail where the filter stands */
        c->token = token;
        parse_or(c);
    }
    while (is_word(c, "if")) {
        unsigned line = c->token.line;
        next_token(c);
        insert_jump(c, start);
        unsigned jump_end = emit(c, OP_JUMP, 0, 0);
        patch_a(c, start);
        parse_or(c);
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
        emit(c, OP_CONCAT, count, 0);
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
        c->use->uses_caller |= strcmp(name, "caller") == 0;
        c->use->uses_varargs |= strcmp(name, "varargs") == 0;
        c->use->uses_kwargs |= strcmp(name, "kwargs") == 0;
        emit(c, OP_LOAD, name_index(c, name), 0);
    }
    next_token(c);
}

static void parse_primary(struct compiler *c)
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
            if (is_operator(c, "]"))
                break;
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

static void parse_postfix(struct compiler *c)
{
    for (;;) {
        if (is_operator(c, "."))
            parse_attribute(c);
        else if (is_operator(c, "["))
            parse_subscript(c);
        else if (is_operator(c, "("))
            parse_call(c, false);
        else
            return;
    }
}

/* ---------------------------------------------------------------------------------------------------------- calls */

struct call_args {
    unsigned positional, keywords;
    bool has_spread;
};

/* Does a `*` or `**` argument stand in this parenthesis (token: behind the "(")? Looked for on a copy of the lexer. */
static bool has_spread_ahead(const struct compiler *c)
{
    if (is_operator(c, "*") || is_operator(c, "**"))
        return true;
    struct lexer ahead = c->lexer;
    struct token token = c->token;
    int depth = 0;
    bool after_comma = false;
    while (token.kind != TOKEN_END && token.kind != TOKEN_BLOCK_END && token.kind != TOKEN_EXPR_END) {
        if (token.kind == TOKEN_OPERATOR) {
            char op = token.text[0];
            if (depth == 0 && after_comma && op == '*')
                return true;
            if (op == '(' || op == '[' || op == '{')
                depth++;
            else if ((op == ')' || op == ']' || op == '}') && depth-- == 0)
                return false;
        }
        after_comma = token.kind == TOKEN_OPERATOR && token.text[0] == ',';
        if (lexer_next(&ahead, &token, NULL) != OK)
            return false;
    }
    return false;
}

/* Is the token the name of a keyword argument (NAME =)? */
static bool is_keyword_argument(const struct compiler *c)
{
    if (c->token.kind != TOKEN_NAME)
        return false;
    struct lexer ahead = c->lexer;
    struct token token;
    return lexer_next(&ahead, &token, NULL) == OK && token.kind == TOKEN_OPERATOR && strcmp(token.text, "=") == 0;
}

static void parse_keyword(struct compiler *c)
{
    emit(c, OP_CONST, const_text(c, c->token.text, c->token.len_bytes), 0);
    next_token(c);
    next_token(c);
    parse_expression(c);
}

static void expect_comma(struct compiler *c, const struct call_args *args)
{
    if (args->positional + args->keywords)
        expect_operator(c, ",");
}

/* name=value arguments and plain ones, onto the stack; consumes the ")". */
static void parse_plain_arguments(struct compiler *c, struct call_args *args)
{
    while (!is_operator(c, ")")) {
        expect_comma(c, args);
        if (is_operator(c, ")"))
            break;
        if (is_keyword_argument(c)) {
            parse_keyword(c);
            args->keywords++;
        } else {
            if (args->keywords)
                fail(c, c->token.line, "invalid syntax for function call expression");
            parse_expression(c);
            args->positional++;
        }
        if (args->positional > CALL_ARGS_MAX || args->keywords > CALL_ARGS_MAX)
            fail(c, c->token.line, "more than %d arguments", CALL_ARGS_MAX);
    }
    expect_operator(c, ")");
}

/* With * or **: positional arguments are gathered in a list (on the stack already, `given` items), then a dict follows.
 */
static void parse_spread_arguments(struct compiler *c, unsigned given)
{
    emit(c, OP_LIST, given, 0);
    bool has_dict = false, is_first = true;
    while (!is_operator(c, ")")) {
        if (!is_first)
            expect_operator(c, ",");
        is_first = false;
        if (is_operator(c, ")"))
            break;
        bool is_keyword = is_keyword_argument(c), is_double = is_operator(c, "**");
        if ((is_keyword || is_double) && !has_dict) {
            emit(c, OP_DICT, 0, 0);
            has_dict = true;
        }
        if (is_keyword) {
            parse_keyword(c);
            emit(c, OP_DICT, 1, 0);
            emit(c, OP_SPREAD_DICT, 0, 0);
        } else if (is_double) {
            next_token(c);
            parse_expression(c);
            emit(c, OP_SPREAD_DICT, 0, 0);
        } else {
            if (has_dict)
                fail(c, c->token.line, "invalid syntax for function call expression");
            bool is_spread = skip_operator(c, "*");
            parse_expression(c);
            if (!is_spread)
                emit(c, OP_LIST, 1, 0);
            emit(c, OP_SPREAD_LIST, 0, 0);
        }
    }
    expect_operator(c, ")");
    if (!has_dict)
        emit(c, OP_DICT, 0, 0);
}

void parse_call(struct compiler *c, bool has_caller)
{
    enter(c);
    unsigned line = c->token.line;
    next_token(c);
    if (has_spread_ahead(c)) {
        if (has_caller)
            fail(c, line, "* and ** are not supported in a call block");
        parse_spread_arguments(c, 0);
        emit(c, OP_CALL_SPREAD, 0, 0);
    } else {
        struct call_args args = {0};
        parse_plain_arguments(c, &args);
        if (!has_caller)
            emit(c, OP_CALL, args.positional, args.keywords);
        else
            c->code->ops[emit(c, OP_CALL, args.positional, args.keywords)].pad = 1;
    }
    leave(c);
}

/* -------------------------------------------------------------------------------------------------- filters, tests */

/* Unknown names are errors at once, but inside of a branch only when it is taken, as in Jinja2. */
static const struct value_filter *find_or_fail(struct compiler *c, bool is_test, const char *name, unsigned line)
{
    const struct value_filter *found =
        is_test ? value_find_test(name, strlen(name)) : value_find_filter(name, strlen(name));
    if (found)
        return found;
    if (!c->conditional_depth)
        fail(c, line, "No %s named '%s'.", is_test ? "test" : "filter", name);
    c->has_unknown_filter = true;
    char text[120];
    int len = snprintf(text, sizeof text, "No %s named '%.60s' found.", is_test ? "test" : "filter", name);
    emit(c, OP_FAIL, const_text(c, text, (size_t)len), 0);
    return NULL;
}

static const char *parse_dotted_name(struct compiler *c)
{
    const char *name = expect_name(c);
    while (skip_operator(c, "."))
        name = arena_sprintf(&c->code->arena, "%s.%s", name, expect_name(c));
    return name;
}

static void emit_filter(struct compiler *c, bool is_test, const struct value_filter *filter)
{
    struct call_args args = {.positional = 1};
    bool has_spread = false;
    if (skip_operator(c, "(")) {
        has_spread = has_spread_ahead(c);
        if (has_spread) {
            parse_spread_arguments(c, 1);
        } else {
            args.positional = 0;
            parse_plain_arguments(c, &args);
            args.positional++;
        }
    }
    unsigned index = filter ? filter_index(c, filter) : 0;
    if (has_spread)
        emit(c, is_test ? OP_TEST_SPREAD : OP_FILTER_SPREAD, index, 0);
    else
        emit(c, is_test ? OP_TEST : OP_FILTER, index, args.positional | args.keywords << 8);
}

/* May the token begin the argument of a test without parentheses: `x is divisibleby 3`? */
static bool is_test_argument(const struct compiler *c)
{
    switch (c->token.kind) {
    case TOKEN_NAME:
        return !is_word(c, "else") && !is_word(c, "or") && !is_word(c, "and");
    case TOKEN_STRING:
    case TOKEN_INTEGER:
    case TOKEN_FLOAT:
        return true;
    default:
        return is_operator(c, "[") || is_operator(c, "{");
    }
}

static void parse_test(struct compiler *c)
{
    bool is_negated = skip_word(c, "not");
    unsigned line = c->token.line;
    const char *name = parse_dotted_name(c);
    const struct value_filter *test = find_or_fail(c, true, name, line);
    if (!is_operator(c, "(") && is_test_argument(c)) {
        if (is_word(c, "is"))
            fail(c, c->token.line, "You cannot chain multiple tests with is");
        parse_primary(c);
        parse_postfix(c);
        emit(c, OP_TEST, test ? filter_index(c, test) : 0, 2);
    } else {
        emit_filter(c, true, test);
    }
    if (is_negated)
        emit(c, OP_NOT, 0, 0);
}

void parse_filters(struct compiler *c, bool is_bar_there)
{
    for (;;) {
        if (is_bar_there || skip_operator(c, "|")) {
            is_bar_there = false;
            unsigned line = c->token.line;
            const char *name = parse_dotted_name(c);
            emit_filter(c, false, find_or_fail(c, false, name, line));
        } else if (skip_word(c, "is")) {
            parse_test(c);
        } else if (is_operator(c, "(")) {
            parse_call(c, false);
        } else {
            return;
        }
    }
}
