/* Python's number formatting, shared by %, str.format and filters. Private to this folder. */
#ifndef SERVER_GCODE_TEMPLATE_VALUE_FORMAT_H
#define SERVER_GCODE_TEMPLATE_VALUE_FORMAT_H

#include "server/gcode/template/value_private.h"

/* A format specification, of "%08.3f" as of "{:08.3f}". */
struct format_spec {
    char fill[5];          /* one code point */
    char align;            /* '<' '>' '=' '^', 0: by kind */
    char sign;             /* '+' '-' ' ' */
    char grouping;         /* ',' '_' or 0 */
    bool is_alternate;     /* '#' */
    bool no_negative_zero; /* 'z' */
    bool has_precision;
    int width, precision;
    char type; /* 0: by kind */
};
#define FORMAT_WIDTH_MAX     100000
#define FORMAT_PRECISION_MAX 1000

/* Append a number or text by `spec`; ValueError for a type that does not fit. */
enum err format_value(struct jinja_run *run, const struct format_spec *spec, struct value v, struct strbuf *out);
/* Parse "08.3f"; ValueError. */
enum err format_spec_parse(struct jinja_run *run, const char *text, size_t len_bytes, struct format_spec *out);
/* str.format(*args, **kwargs) */
enum err format_template(struct jinja_run *run, struct value format, const struct value_call *call, struct value *out);

#endif
