/* What a template is compiled to, and the compiler's own state. Private to this folder.
 *
 * The parser emits instructions for a stack machine as it reads (one pass, no tree); nesting of the text is the nesting
 * of the parser, and bounded by JINJA_NESTING_MAX. The machine itself (vm.c) keeps its own stacks. */
#ifndef SERVER_GCODE_TEMPLATE_CODE_H
#define SERVER_GCODE_TEMPLATE_CODE_H

#include "base/strmap.h"
#include "server/gcode/template/lex.h"
#include "server/gcode/template/value.h"

#include <setjmp.h>

/* Stack effects are written (before -- after), top at the right. `a` and `b` are the operands. */
enum opcode {
    OP_TEXT,            /* a const: append it to the output */
    OP_OUTPUT,          /* a escape_mode: (v --) append str(v) or escape(v) */
    OP_OUTPUT_TEXT,     /* (v --) append v, which must be a text: what a filter or call block gives */
    OP_CONST,           /* a const: (-- v) */
    OP_UNDEFINED,       /* a const (a text): (-- undefined with that hint) */
    OP_LOAD,            /* a name: (-- v) */
    OP_STORE,           /* a name: (v --) in the innermost scope */
    OP_STORE_ATTR,      /* a const name: (namespace v --) */
    OP_CHECK_NAMESPACE, /* (v -- v) it must be one */
    OP_POP,
    OP_SWAP,          /* (x y -- y x) */
    OP_ATTR,          /* a const name: (v -- v.name) */
    OP_ITEM,          /* (v key -- v[key]) */
    OP_SLICE,         /* (v start stop step -- v[start:stop:step]) */
    OP_CALL,          /* a positional, b keywords: (f args... name value... -- result) */
    OP_CALL_SPREAD,   /* (f list dict -- result) */
    OP_SPREAD_LIST,   /* (list v -- list) append all of v */
    OP_SPREAD_DICT,   /* (dict v -- dict) add all of v */
    OP_FILTER,        /* a filter, b: low byte positional, high byte keywords: (v args... -- result) */
    OP_TEST,          /* the same, gives a bool */
    OP_FILTER_SPREAD, /* a filter: (list dict -- result); the list begins with v */
    OP_TEST_SPREAD,
    OP_FAIL,   /* a const text: the render ends with it (an unknown filter in a branch that is taken) */
    OP_BINARY, /* a enum value_operator: (x y -- r) */
    OP_NEGATE,
    OP_PLUS,
    OP_NOT,
    OP_CONCAT,        /* a count, b escape_mode: (v... -- text) */
    OP_COMPARE,       /* a enum compare_op: (x y -- bool) */
    OP_COMPARE_CHAIN, /* a compare_op, b offset: (x y -- y), or (x y -- False) and jump to b */
    OP_LIST,          /* a count */
    OP_TUPLE,
    OP_DICT,            /* a count of pairs */
    OP_JUMP,            /* a target */
    OP_JUMP_FALSE,      /* (v --) */
    OP_JUMP_FALSE_KEEP, /* (v -- v) if v is false jump, else (v --) */
    OP_JUMP_TRUE_KEEP,
    OP_UNPACK, /* a count: (v -- last ... first) */
    OP_SCOPE_PUSH,
    OP_SCOPE_POP,
    OP_CAPTURE,        /* output goes to a new text ... */
    OP_CAPTURE_END,    /* a escape_mode: ... which becomes a value (-- text) */
    OP_MARKUP,         /* (v -- Markup(v)) if the render escapes now */
    OP_AUTOESCAPE,     /* (v -- was) begin or stop to escape */
    OP_AUTOESCAPE_END, /* (was --) */
    OP_FOR_BEGIN,      /* a target behind the loop, b flags: (iterable --) */
    OP_FOR_NEXT,       /* a target behind the loop: (-- item) */
    OP_FOR_END,        /* a target behind an else part, 0: none */
    OP_APPEND,         /* (item --) to the list that the innermost FILTER_BEGIN made */
    OP_LIST_NEW,       /* begin such a list */
    OP_LIST_DONE,      /* (-- list) */
    OP_SUB,            /* a target: (iterable -- iterable) run a recursive loop */
    OP_RETURN,         /* a escape_mode: from a macro, a recursive loop or the template */
    OP_MACRO,          /* a macro: (-- function) */
    OP_JUMP_BOUND      /* a name, b target: jump if the innermost scope has it */
};

enum compare_op { COMPARE_EQ, COMPARE_NE, COMPARE_LT, COMPARE_LE, COMPARE_GT, COMPARE_GE, COMPARE_IN, COMPARE_NOT_IN };
/* Does {% autoescape %} hold where an instruction stands? ASK: the template decides while it runs. */
enum escape_mode { ESCAPE_OFF, ESCAPE_ON, ESCAPE_ASK };
enum for_flag { FOR_RECURSIVE = 1, FOR_HAS_LOOP = 2 };

struct op {
    uint16_t code;
    uint16_t pad;
    uint32_t a, b;
};

struct macro_code {
    const struct value_str *name;
    unsigned entry; /* first instruction */
    unsigned param_count;
    const unsigned *params; /* names */
    bool uses_varargs, uses_kwargs, uses_caller;
};

struct jinja {
    char *name;
    const char *file;      /* that the source stands in; NULL: none */
    const int *file_lines; /* the file's line of each line of the source */
    unsigned source_lines;
    const char *source; /* with "\n" as line ends; ends in a zero */
    struct arena arena;
    struct op *ops;
    unsigned *lines; /* of each instruction */
    unsigned op_count, op_capacity;
    struct value *consts;
    unsigned const_count, const_capacity;
    const char **names; /* variables the template mentions */
    unsigned name_count, name_capacity;
    struct macro_code *macros;
    unsigned macro_count, macro_capacity;
    const struct value_filter **filters; /* filters and tests it uses */
    unsigned filter_count, filter_capacity;
    unsigned loop_name, caller_name, varargs_name, kwargs_name;
};

/* What the compiler knows of the macro it is in; the outermost is the template itself. */
struct macro_use {
    struct macro_use *outer;
    bool uses_varargs, uses_kwargs, uses_caller, uses_loop;
    bool hides_varargs, hides_kwargs, hides_caller; /* from here on a variable of that name means nothing special */
    bool has_default_caller;                        /* a parameter of that name */
};

struct compiler {
    struct jinja *code;
    struct lexer lexer;
    struct token token;  /* the one not yet consumed */
    struct strmap names; /* of the template's variables: name -> index + 1 */
    struct err_info *info;
    int *error_line; /* NULL: not wanted */
    enum err error;
    jmp_buf on_error; /* the parser gives up here: its state lives in the arena alone */
    unsigned depth;   /* of the nesting of the parser's own calls */
    bool is_literal, has_unknown_filter;
    unsigned conditional_depth; /* inside of if: unknown filters are then run-time errors */
    enum escape_mode escape;
    struct macro_use *use;
};

/* --- emitting (compile.c) --- */
unsigned emit(struct compiler *c, enum opcode code, unsigned a, unsigned b); /* index of the instruction */
unsigned emit_here(const struct compiler *c);                                /* of the next one */
void patch_a(struct compiler *c, unsigned index);                            /* operand a := the next instruction */
void patch_b(struct compiler *c, unsigned index);
unsigned const_value(struct compiler *c, struct value v);
unsigned const_text(struct compiler *c, const char *text, size_t len_bytes);
unsigned name_index(struct compiler *c, const char *name);
unsigned filter_index(struct compiler *c, const struct value_filter *filter);
_Noreturn void fail(struct compiler *c, unsigned line, const char *fmt, ...) ERR_PRINTF(3, 4);
void enter(struct compiler *c); /* one nesting level deeper: fails past JINJA_NESTING_MAX */
void leave(struct compiler *c);

/* The line that messages name: of the file, if the source stands in one. */
unsigned shown_line(const struct jinja *code, unsigned line);

/* --- tokens --- */
void next_token(struct compiler *c);
bool is_operator(const struct compiler *c, const char *text);
bool is_word(const struct compiler *c, const char *text);
bool skip_operator(struct compiler *c, const char *text); /* consume it if it is there */
bool skip_word(struct compiler *c, const char *text);
void expect_operator(struct compiler *c, const char *text);
void expect_word(struct compiler *c, const char *text);
const char *expect_name(struct compiler *c);
void expect_block_end(struct compiler *c);
_Noreturn void fail_unexpected(struct compiler *c, const char *expected); /* NULL: whatever it is, it is wrong */

/* --- expressions (parse_expr.c); each leaves its value on the machine's stack --- */
void parse_expression(struct compiler *c);                 /* with `a if b else c` */
void parse_expression_no_if(struct compiler *c);           /* the iterable of a for */
void parse_tuple_or_expression(struct compiler *c);        /* a, b, c */
void parse_condition(struct compiler *c);                  /* the same without `a if b else c`: behind if and elif */
void parse_filters(struct compiler *c, bool is_bar_there); /* the chain behind a value: |a|b */
void parse_primary(struct compiler *c);
void parse_postfix(struct compiler *c); /* .name [item] (call) behind a value */
/* --- calls, filters and tests (parse_call.c) --- */
void parse_call(struct compiler *c); /* the parenthesis of a call whose callee is on the stack; token: the "(" */

/* --- what is assigned to (parse_target.c) --- */
#define TARGETS_MAX 64 /* names and parentheses in `for a, (b, c) in` or `set a, b =` */
struct target_part {
    bool is_tuple;
    unsigned name_or_count; /* the name; or how many of the parts that follow belong to the tuple */
};
/* Parts in the order in which they are written. A namespace's attribute stands alone: `set ns.a`. */
struct target {
    struct target_part parts[TARGETS_MAX];
    unsigned count;
    const char *attribute; /* NULL: no namespace */
};
void parse_target(struct compiler *c, struct target *target, bool may_be_attribute);
/* A variable called varargs, kwargs or caller is bound: from here on the macro's own means nothing special. */
void hide_special(struct compiler *c, unsigned name);
/* Before the value: what storing it needs below. Then, with the value on the stack, store it. */
void emit_store_begin(struct compiler *c, const struct target *target);
void emit_store(struct compiler *c, const struct target *target);

/* --- statements (parse_stmt.c) --- */
/* Text, expressions and statements up to one of the words in `ends` (NULL-ended), which is left as the token; NULL: up
 * to the end of the template. */
void parse_body(struct compiler *c, const char *const *ends, const char *opener, unsigned opener_line);

#endif
