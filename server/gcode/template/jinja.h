/* The macro language: Jinja2's (3.1), in Klipper's dress: {% statements %}, { expressions }, {# comments #}.
 *
 *   text --jinja_compile--> struct jinja (shared, immutable) --template_render--> text
 *
 * Compiled once, rendered any number of times. A render runs on a stack machine of its own (vm.h): no recursion on the
 * C stack, and a budget of steps and memory, so that a runaway macro is an error and never a hang. The engine knows no
 * printer: what templates see from outside comes in as values (value.h), lazily through objects.
 *
 * Not there: template inheritance and include (extends, block, include, import, from): a clear error at compile time.
 * One thread per render; a compiled template may be rendered by several threads at once. */
#ifndef SERVER_GCODE_TEMPLATE_JINJA_H
#define SERVER_GCODE_TEMPLATE_JINJA_H

#include "base/err.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jinja;
struct jinja_run;
struct value;

#define JINJA_SOURCE_BYTES_MAX (1u << 20)
#define JINJA_NESTING_MAX      100         /* blocks in blocks, parentheses in parentheses */
#define JINJA_STEPS_MAX        5000000     /* default budget of one render [machine instructions] */
#define JINJA_MEMORY_BYTES_MAX (16u << 20) /* default budget of one render */
#define JINJA_CALL_DEPTH_MAX   200         /* macros calling macros */
#define JINJA_RENDER_DEPTH_MAX 8           /* templates rendering templates */

enum jinja_dress {
    JINJA_DRESS_KLIPPER, /* expressions in single braces: { expr } */
    JINJA_DRESS_JINJA    /* {{ expr }}: for the differential tests */
};

struct jinja_options {
    const char *name; /* for messages: "gcode_macro START_PRINT:gcode"; copied. NULL: "<template>" */
    enum jinja_dress dress;
    bool trim_blocks, lstrip_blocks, keep_trailing_newline; /* Klipper: all false */
    /* Where the source stands in a file, for messages. NULL: nowhere; then they name the line of the source. */
    const char *file;                                 /* copied */
    int (*file_line)(const void *ctx, unsigned line); /* the file's line of a line of the source (from 1) */
    const void *file_ctx;                             /* of the file_line of the compiler's messages; not kept */
    int *error_line;                                  /* with `file`: set to its line if compiling fails */
};

/* ERR_INVALID with "NAME: line N: what is wrong" in Jinja2's words where it has some ("NAME: what is wrong" if the
 * source stands in a file: the line is in *error_line); ERR_LIMIT past a limit above. */
enum err jinja_compile(const char *source, size_t len_bytes, const struct jinja_options *options, struct jinja **out,
                       struct err_info *info) ERR_NODISCARD;
/* A literal of Python's (numbers, texts, True, None, lists, tuples, dicts): what value_literal makes values of.
 * ERR_INVALID: it is something else, or a literal in a notation that templates do not have. */
enum err jinja_compile_literal(const char *source, size_t len_bytes, struct jinja **out,
                               struct err_info *info) ERR_NODISCARD;
void jinja_destroy(struct jinja *t); /* NULL allowed */
const char *jinja_name(const struct jinja *t);

/* --- one render --- */

struct jinja_limits {
    uint64_t steps_max;      /* 0: JINJA_STEPS_MAX */
    size_t memory_max_bytes; /* 0: JINJA_MEMORY_BYTES_MAX */
    uint64_t seed;           /* of the random filter and lipsum */
};

/* Prepare a render: set variables (value.h makes values in its arena), execute, read, end. */
struct jinja_run *jinja_begin(const struct jinja *t, const struct jinja_limits *limits);
/* A render that a native function of another one needs: both share what is left of the outer one's budgets. NULL:
 * nested more than JINJA_RENDER_DEPTH_MAX deep; the outer one has failed then. To be ended before the outer one. */
struct jinja_run *jinja_begin_inside(const struct jinja *t, struct jinja_run *outer);
/* Set a variable of the context. `name` is copied. */
void jinja_set(struct jinja_run *run, const char *name, struct value value);
/* Append the text to `out`. On failure `out` is as before; the words name the template, the line ("NAME: line N: ..."
 * or "NAME (FILE:LINE): ...") and, for a runtime error, Python's kind of error ("ZeroDivisionError: division by zero")
 * and what stands in that line. */
enum err jinja_execute(struct jinja_run *run, struct strbuf *out, struct err_info *info) ERR_NODISCARD;
/* Frees every value of the render. */
void jinja_end(struct jinja_run *run);

/* For native code called from a render (objects, functions): fail it with Python's kind of error and a text; returns
 * ERR_INVALID, so that `return value_error(run, "KeyError", "%s", key)` works. */
enum err value_error(struct jinja_run *run, const char *python_kind, const char *fmt, ...) ERR_PRINTF(3, 4);
/* A native function may end the render with an error of its own words, as action_raise_error does. */
enum err value_raise(struct jinja_run *run, const char *text);

#endif
