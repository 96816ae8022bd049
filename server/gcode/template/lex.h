/* Tokens of the macro language. Delimiters and white-space control are dealt with here, so that the parser sees text to
 * copy and the words of expressions and statements. Private to this folder. */
#ifndef SERVER_GCODE_TEMPLATE_LEX_H
#define SERVER_GCODE_TEMPLATE_LEX_H

#include "base/err.h"
#include "base/mem.h"
#include "server/gcode/template/jinja.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum token_kind {
    TOKEN_END,        /* of the template */
    TOKEN_DATA,       /* text to copy */
    TOKEN_EXPR_BEGIN, /* { or {{ */
    TOKEN_EXPR_END,
    TOKEN_BLOCK_BEGIN, /* {% */
    TOKEN_BLOCK_END,
    TOKEN_NAME,
    TOKEN_STRING, /* text: escapes resolved */
    TOKEN_INTEGER,
    TOKEN_FLOAT,
    TOKEN_OPERATOR /* text: "+", "//", "==", ... */
};

struct token {
    enum token_kind kind;
    unsigned line;    /* from 1 */
    const char *text; /* in the lexer's arena, zero at the end */
    size_t len_bytes;
    int64_t integer;
    double number;
};

struct lexer {
    const char *at, *end;
    unsigned line;
    const struct jinja_options *options;
    struct arena *arena;
    enum token_kind inside;          /* TOKEN_DATA: outside; else the BEGIN kind we are in */
    char balance[JINJA_NESTING_MAX]; /* closing brackets that are due */
    unsigned balance_count;
    bool strip_next;   /* "-%}": drop white space before the next data */
    bool trim_newline; /* trim_blocks: drop one newline */
    bool is_line_start;
    bool was_dot, is_after_dot; /* the last token was a dot; and the one before this */
};

/* `source` is borrowed; line ends have been made "\n" by the caller, and it ends in a zero. */
void lexer_init(struct lexer *lx, const char *source, size_t len_bytes, const struct jinja_options *options,
                struct arena *arena);
/* ERR_INVALID with Jinja2's words (without the place); `out->line` is set. */
enum err lexer_next(struct lexer *lx, struct token *out, struct err_info *info) ERR_NODISCARD;

#endif
