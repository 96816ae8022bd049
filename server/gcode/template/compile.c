#include "server/gcode/template/code.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------------- emitting */

#define GROW(array, count, capacity)                                                                                   \
    do {                                                                                                               \
        if ((count) == (capacity)) {                                                                                   \
            (capacity) = (capacity) ? (capacity)*2 : 16;                                                               \
            (array) = mem_realloc((array), sizeof *(array) * (capacity));                                              \
        }                                                                                                              \
    } while (0)

unsigned emit(struct compiler *c, enum opcode code, unsigned a, unsigned b)
{
    struct jinja *j = c->code;
    if (j->op_count == j->op_capacity) {
        j->op_capacity = j->op_capacity ? j->op_capacity * 2 : 64;
        j->ops = mem_realloc(j->ops, sizeof *j->ops * j->op_capacity);
        j->lines = mem_realloc(j->lines, sizeof *j->lines * j->op_capacity);
    }
    j->ops[j->op_count] = (struct op){.code = (uint16_t)code, .a = a, .b = b};
    j->lines[j->op_count] = c->token.line;
    return j->op_count++;
}

unsigned emit_here(const struct compiler *c)
{
    return c->code->op_count;
}

void patch_a(struct compiler *c, unsigned index)
{
    c->code->ops[index].a = c->code->op_count;
}

void patch_b(struct compiler *c, unsigned index)
{
    c->code->ops[index].b = c->code->op_count;
}

unsigned const_value(struct compiler *c, struct value v)
{
    struct jinja *j = c->code;
    GROW(j->consts, j->const_count, j->const_capacity);
    j->consts[j->const_count] = v;
    return j->const_count++;
}

static size_t count_code_points(const char *text, size_t len_bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < len_bytes; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

static const struct value_str *make_str(struct compiler *c, const char *text, size_t len_bytes)
{
    struct value_str *str = arena_alloc(&c->code->arena, sizeof *str);
    str->data = arena_strndup(&c->code->arena, text, len_bytes);
    str->len_bytes = len_bytes;
    str->count = count_code_points(text, len_bytes);
    return str;
}

unsigned const_text(struct compiler *c, const char *text, size_t len_bytes)
{
    return const_value(c, (struct value){.kind = VALUE_STR, .str = make_str(c, text, len_bytes)});
}

unsigned name_index(struct compiler *c, const char *name)
{
    struct jinja *j = c->code;
    uintptr_t known = (uintptr_t)strmap_get(&c->names, name);
    if (known)
        return (unsigned)known - 1;
    GROW(j->names, j->name_count, j->name_capacity);
    j->names[j->name_count] = arena_strdup(&j->arena, name);
    (void)strmap_set(&c->names, name, (void *)((uintptr_t)j->name_count + 1));
    return j->name_count++;
}

unsigned filter_index(struct compiler *c, const struct value_filter *filter)
{
    struct jinja *j = c->code;
    for (unsigned i = 0; i < j->filter_count; i++)
        if (j->filters[i] == filter)
            return i;
    GROW(j->filters, j->filter_count, j->filter_capacity);
    j->filters[j->filter_count] = filter;
    return j->filter_count++;
}

void fail(struct compiler *c, unsigned line, const char *fmt, ...)
{
    struct err_info words;
    va_list args;
    va_start(args, fmt);
    (void)err_vset(&words, ERR_INVALID, fmt, args);
    va_end(args);
    if (c->code->file) {
        c->error = err_set(c->info, ERR_INVALID, "%s: %.800s", c->code->name, words.text);
        if (c->error_line)
            *c->error_line = (int)shown_line(c->code, line);
    } else {
        c->error = err_set(c->info, ERR_INVALID, "%s: line %u: %.800s", c->code->name, line, words.text);
    }
    longjmp(c->on_error, 1);
}

unsigned shown_line(const struct jinja *code, unsigned line)
{
    return code->file && line && line <= code->source_lines ? (unsigned)code->file_lines[line - 1] : line;
}

/* Keep where the lines of the source stand in its file. */
static void keep_place(struct jinja *j, const struct jinja_options *options)
{
    j->source_lines = 1;
    for (const char *p = j->source; *p; p++)
        j->source_lines += *p == '\n';
    int *lines = arena_alloc(&j->arena, j->source_lines * sizeof *lines);
    for (unsigned i = 0; i < j->source_lines; i++)
        lines[i] = options->file_line(options->file_ctx, i + 1);
    j->file = arena_strdup(&j->arena, options->file);
    j->file_lines = lines;
}

void enter(struct compiler *c)
{
    if (++c->depth > JINJA_NESTING_MAX)
        fail(c, c->token.line, "nested more than %d deep", JINJA_NESTING_MAX);
}

void leave(struct compiler *c)
{
    c->depth--;
}

/* --------------------------------------------------------------------------------------------------------- tokens */

void next_token(struct compiler *c)
{
    struct err_info words;
    enum err err = lexer_next(&c->lexer, &c->token, &words);
    if (err != OK)
        fail(c, c->token.line, "%s", words.text);
}

bool is_operator(const struct compiler *c, const char *text)
{
    return c->token.kind == TOKEN_OPERATOR && strcmp(c->token.text, text) == 0;
}

bool is_word(const struct compiler *c, const char *text)
{
    return c->token.kind == TOKEN_NAME && strcmp(c->token.text, text) == 0;
}

bool skip_operator(struct compiler *c, const char *text)
{
    if (!is_operator(c, text))
        return false;
    next_token(c);
    return true;
}

bool skip_word(struct compiler *c, const char *text)
{
    if (!is_word(c, text))
        return false;
    next_token(c);
    return true;
}

static const char *describe_token(const struct token *token, char *text, size_t size)
{
    switch (token->kind) {
    case TOKEN_END:
        return "end of template";
    case TOKEN_DATA:
        return "template data";
    case TOKEN_EXPR_BEGIN:
        return "begin of print statement";
    case TOKEN_EXPR_END:
        return "end of print statement";
    case TOKEN_BLOCK_BEGIN:
        return "begin of statement block";
    case TOKEN_BLOCK_END:
        return "end of statement block";
    case TOKEN_INTEGER:
        (void)snprintf(text, size, "%lld", (long long)token->integer);
        return text;
    case TOKEN_FLOAT:
        (void)snprintf(text, size, "%g", token->number);
        return text;
    default:
        (void)snprintf(text, size, "%.60s", token->text);
        return text;
    }
}

void fail_unexpected(struct compiler *c, const char *expected)
{
    char text[80];
    const char *what = describe_token(&c->token, text, sizeof text);
    if (c->token.kind == TOKEN_END)
        fail(c, c->token.line, expected ? "unexpected end of template, expected '%s'." : "unexpected end of template",
             expected);
    if (expected)
        fail(c, c->token.line, "expected token '%s', got '%s'", expected, what);
    fail(c, c->token.line, "unexpected '%s'", what);
}

void expect_operator(struct compiler *c, const char *text)
{
    if (!skip_operator(c, text))
        fail_unexpected(c, text);
}

void expect_word(struct compiler *c, const char *text)
{
    if (!skip_word(c, text))
        fail_unexpected(c, text);
}

const char *expect_name(struct compiler *c)
{
    if (c->token.kind != TOKEN_NAME)
        fail_unexpected(c, "name");
    const char *name = c->token.text;
    next_token(c);
    return name;
}

void expect_block_end(struct compiler *c)
{
    if (c->token.kind != TOKEN_BLOCK_END)
        fail_unexpected(c, "end of statement block");
    next_token(c);
}

/* ------------------------------------------------------------------------------------------------------- compiling */

/* Line ends become "\n"; unless asked to keep it, one at the very end goes. */
static char *normalise(struct arena *arena, const char *source, size_t *len_bytes, bool keep_trailing)
{
    char *text = arena_alloc(arena, *len_bytes + 1);
    size_t n = 0;
    for (size_t i = 0; i < *len_bytes; i++) {
        if (source[i] == '\r') {
            text[n++] = '\n';
            i += i + 1 < *len_bytes && source[i + 1] == '\n';
        } else {
            text[n++] = source[i];
        }
    }
    if (n && !keep_trailing && text[n - 1] == '\n')
        n--;
    text[n] = 0;
    *len_bytes = n;
    return text;
}

/* One literal; the instructions that make values are the only ones it may need. */
static void parse_literal(struct compiler *c)
{
    c->lexer.inside = TOKEN_BLOCK_BEGIN; /* white space means nothing there */
    next_token(c);
    parse_tuple_or_expression(c);
    if (c->token.kind != TOKEN_END)
        fail_unexpected(c, "end of the literal");
    for (unsigned i = 0; i < c->code->op_count; i++)
        switch ((enum opcode)c->code->ops[i].code) {
        case OP_CONST:
        case OP_LIST:
        case OP_TUPLE:
        case OP_DICT:
        case OP_NEGATE:
        case OP_PLUS:
            break;
        default:
            fail(c, c->code->lines[i], "not a literal");
        }
    emit(c, OP_RETURN, 0, 0);
}

static enum err compile_into(struct compiler *c)
{
    struct macro_use use = {0};
    c->use = &use;
    if (setjmp(c->on_error))
        return c->error;
    if (c->is_literal) {
        parse_literal(c);
        return OK;
    }
    next_token(c);
    parse_body(c, NULL, NULL, 0);
    emit(c, OP_RETURN, 0, 0);
    return OK;
}

static enum err compile(const char *source, size_t len_bytes, const struct jinja_options *options, bool is_literal,
                        struct jinja **out, struct err_info *info)
{
    const char *name = options->name ? options->name : "<template>";
    if (len_bytes > JINJA_SOURCE_BYTES_MAX)
        return err_set(info, ERR_LIMIT, "%s: a template of %zu bytes; at most %u are allowed", name, len_bytes,
                       JINJA_SOURCE_BYTES_MAX);
    if (memchr(source, 0, len_bytes))
        return err_set(info, ERR_INVALID, "%s: a zero byte at offset %zu", name,
                       (size_t)((const char *)memchr(source, 0, len_bytes) - source));
    struct jinja *j = MEM_NEW(struct jinja);
    j->name = mem_strdup(name);
    arena_init(&j->arena, 0);
    struct compiler *c = MEM_NEW(struct compiler);
    strmap_init(&c->names);
    c->code = j;
    c->info = info;
    c->is_literal = is_literal;
    const char *text = j->source = normalise(&j->arena, source, &len_bytes, options->keep_trailing_newline);
    if (options->file)
        keep_place(j, options);
    c->error_line = options->error_line;
    lexer_init(&c->lexer, text, len_bytes, options, &j->arena);
    j->loop_name = name_index(c, "loop");
    j->caller_name = name_index(c, "caller");
    j->varargs_name = name_index(c, "varargs");
    j->kwargs_name = name_index(c, "kwargs");
    enum err err = compile_into(c);
    strmap_deinit(&c->names);
    mem_free(c);
    if (err != OK) {
        jinja_destroy(j);
        return err;
    }
    *out = j;
    return OK;
}

enum err jinja_compile(const char *source, size_t len_bytes, const struct jinja_options *options, struct jinja **out,
                       struct err_info *info)
{
    return compile(source, len_bytes, options, false, out, info);
}

enum err jinja_compile_literal(const char *source, size_t len_bytes, struct jinja **out, struct err_info *info)
{
    return compile(source, len_bytes, &(struct jinja_options){.name = "literal"}, true, out, info);
}

void jinja_destroy(struct jinja *j)
{
    if (!j)
        return;
    arena_deinit(&j->arena);
    mem_free(j->ops);
    mem_free(j->lines);
    mem_free(j->consts);
    mem_free(j->names);
    mem_free(j->macros);
    mem_free(j->filters);
    mem_free(j->name);
    mem_free(j);
}

const char *jinja_name(const struct jinja *j)
{
    return j->name;
}
