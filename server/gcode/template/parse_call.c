/* Calls with their arguments, filters and tests. */
#include "server/gcode/template/code.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

#define CALL_ARGS_MAX 255 /* fits the operand of OP_FILTER */

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

/* With * or **, each at most once: positional arguments are gathered in a list (on the stack already, `given` items),
 * keywords in a dict above it. Positional ones come first; the * may stand behind keywords. */
static void parse_spread_arguments(struct compiler *c, unsigned given)
{
    emit(c, OP_LIST, given, 0);
    bool has_dict = false, is_first = true, has_star = false, has_double_star = false;
    while (!is_operator(c, ")")) {
        if (!is_first)
            expect_operator(c, ",");
        is_first = false;
        if (is_operator(c, ")"))
            break;
        unsigned line = c->token.line;
        bool is_keyword = is_keyword_argument(c), is_double = skip_operator(c, "**"),
             is_star = !is_double && skip_operator(c, "*"), is_named = is_keyword || is_double;
        if (has_double_star || (is_star && has_star) || (!is_named && !is_star && (has_dict || has_star)))
            fail(c, line, "invalid syntax for function call expression");
        has_star |= is_star;
        has_double_star |= is_double;
        if (is_named && !has_dict) {
            emit(c, OP_DICT, 0, 0);
            has_dict = true;
        }
        if (is_keyword) {
            parse_keyword(c);
            emit(c, OP_DICT, 1, 0);
        } else {
            if (is_star && has_dict)
                emit(c, OP_SWAP, 0, 0);
            parse_expression(c);
            if (!is_star && !is_double)
                emit(c, OP_LIST, 1, 0);
        }
        emit(c, is_named ? OP_SPREAD_DICT : OP_SPREAD_LIST, 0, 0);
        if (is_star && has_dict)
            emit(c, OP_SWAP, 0, 0);
    }
    expect_operator(c, ")");
    if (!has_dict)
        emit(c, OP_DICT, 0, 0);
}

void parse_call(struct compiler *c)
{
    enter(c);
    next_token(c);
    if (has_spread_ahead(c)) {
        parse_spread_arguments(c, 0);
        emit(c, OP_CALL_SPREAD, 0, 0);
    } else {
        struct call_args args = {0};
        parse_plain_arguments(c, &args);
        emit(c, OP_CALL, args.positional, args.keywords);
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
            parse_call(c);
        } else {
            return;
        }
    }
}
