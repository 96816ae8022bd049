/* What is assigned to: a name, an attribute of a namespace, or names in (nested) tuples. */
#include "server/gcode/template/code.h"

#include <string.h>

static void add_part(struct compiler *c, struct target *target, struct target_part part)
{
    if (target->count == TARGETS_MAX)
        fail(c, c->token.line, "more than %d names to assign to", TARGETS_MAX);
    target->parts[target->count++] = part;
}

static void parse_tuple(struct compiler *c, struct target *target, bool is_parenthesis);

static void parse_one(struct compiler *c, struct target *target)
{
    enter(c);
    unsigned line = c->token.line;
    if (skip_operator(c, "(")) {
        parse_tuple(c, target, true);
        expect_operator(c, ")");
        leave(c);
        return;
    }
    if (c->token.kind == TOKEN_STRING || c->token.kind == TOKEN_INTEGER || c->token.kind == TOKEN_FLOAT)
        fail(c, line, "can't assign to 'const'");
    if (is_operator(c, "[") || is_operator(c, "{"))
        fail(c, line, "can't assign to '%s'", is_operator(c, "[") ? "list" : "dict");
    const char *name = expect_name(c);
    static const char *const constants[] = {"true", "false", "none", "True", "False", "None"};
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++)
        if (strcmp(name, constants[i]) == 0)
            fail(c, line, "can't assign to 'const'");
    add_part(c, target, (struct target_part){.name_or_count = name_index(c, name)});
    leave(c);
}

/* Does a part of a target begin here? */
static bool is_part(const struct compiler *c, bool is_parenthesis)
{
    if (is_parenthesis)
        return !is_operator(c, ")");
    return c->token.kind != TOKEN_BLOCK_END && c->token.kind != TOKEN_END && !is_word(c, "in");
}

/* a, b, c: the tuple's own part stands in front of theirs, so they are moved up when the first comma is met. */
static void parse_tuple(struct compiler *c, struct target *target, bool is_parenthesis)
{
    unsigned first = target->count, members = 0;
    bool is_tuple = is_parenthesis && is_operator(c, ")");
    while (is_part(c, is_parenthesis)) {
        parse_one(c, target);
        members++;
        if (!skip_operator(c, ","))
            break;
        is_tuple = true;
    }
    if (!is_tuple) {
        if (!members)
            (void)expect_name(c);
        return;
    }
    add_part(c, target, (struct target_part){0});
    memmove(&target->parts[first + 1], &target->parts[first], (target->count - 1 - first) * sizeof target->parts[0]);
    target->parts[first] = (struct target_part){.is_tuple = true, .name_or_count = members};
}

void parse_target(struct compiler *c, struct target *target, bool may_be_attribute)
{
    target->count = 0;
    target->attribute = NULL;
    bool is_name = c->token.kind == TOKEN_NAME;
    parse_tuple(c, target, false);
    if (may_be_attribute && is_name && target->count == 1 && skip_operator(c, "."))
        target->attribute = expect_name(c);
}

void hide_special(struct compiler *c, unsigned name)
{
    c->use->hides_varargs |= name == c->code->varargs_name;
    c->use->hides_kwargs |= name == c->code->kwargs_name;
    c->use->hides_caller |= name == c->code->caller_name;
}

void emit_store_begin(struct compiler *c, const struct target *target)
{
    if (!target->attribute)
        return;
    emit(c, OP_LOAD, target->parts[0].name_or_count, 0);
    if (is_operator(c, "="))
        emit(c, OP_CHECK_NAMESPACE, 0, 0); /* an error before the value is computed */
}

void emit_store(struct compiler *c, const struct target *target)
{
    if (target->attribute) {
        emit(c, OP_STORE_ATTR, const_text(c, target->attribute, strlen(target->attribute)), 0);
        return;
    }
    for (unsigned i = 0; i < target->count; i++)
        if (!target->parts[i].is_tuple)
            hide_special(c, target->parts[i].name_or_count);
    for (unsigned i = 0; i < target->count; i++) /* unpacking leaves the first on top */
        emit(c, target->parts[i].is_tuple ? OP_UNPACK : OP_STORE, target->parts[i].name_or_count, 0);
}
