/* Arguments of native functions, filters and methods, by position or name. Private to this folder. */
#ifndef SERVER_GCODE_TEMPLATE_ARGS_H
#define SERVER_GCODE_TEMPLATE_ARGS_H

#include "server/gcode/template/value_private.h"

/* Bind a call to parameters: out[i] becomes the argument for names[i], or stays as it is (put the default there first;
 * VALUE_ABSENT for none). `required` leading parameters must be given. TypeError otherwise, with `what` as the name. */
enum err args_bind(struct jinja_run *run, const struct value_call *call, const char *what, const char *const *names,
                   size_t count, size_t required, struct value *out);

#define ARGS_BIND(run, call, what, names, required, out)                                                               \
    args_bind((run), (call), (what), (names), ARRAY_COUNT(names), (required), (out))

/* TypeError unless v is a text, or an integer: Python's own functions take an undefined value for any other object. */
enum err args_text(struct jinja_run *run, struct value v, const char *what, const struct value_str **out);
enum err args_int(struct jinja_run *run, struct value v, const char *what, int64_t *out);
/* The same where Jinja2 computes with the value itself: an undefined one is an UndefinedError. */
enum err args_count(struct jinja_run *run, struct value v, const char *what, int64_t *out);
/* str(v) as a value, as Jinja2's soft_str does for most text filters. */
enum err args_soft_text(struct jinja_run *run, struct value v, struct value *out);
/* The only argument ("s"), so. */
enum err args_one_text(struct jinja_run *run, const struct value_call *call, const char *what, struct value *out);
/* The result of a function that makes a text: `sb`, which is emptied, as VALUE_STR, or as VALUE_MARKUP where what is made of
 * Markup is Markup. ERR_LIMIT: there was no memory left, here or before. */
enum err args_finish(struct jinja_run *run, enum value_kind kind, struct strbuf *sb, struct value *out);

/* v.items() as a list; what has no items() is an AttributeError, an undefined value an UndefinedError. */
enum err args_items(struct jinja_run *run, struct value v, struct value *out_list);

/* Letter case beyond ASCII, UTF-8 in and out (wraps libunistring). */
enum text_case { TEXT_UPPER, TEXT_LOWER, TEXT_FOLD, TEXT_TITLE };
void text_case_append(struct strbuf *out, const char *text, size_t len_bytes, enum text_case kind);
enum text_class {
    CLASS_ALPHA,
    CLASS_DIGIT,
    CLASS_DECIMAL,
    CLASS_NUMERIC,
    CLASS_SPACE,
    CLASS_UPPER,
    CLASS_LOWER,
    CLASS_TITLE, /* neither upper nor lower: Dž as one letter */
    CLASS_PRINT,
    CLASS_NAME_START, /* of an identifier */
    CLASS_NAME
};
bool text_class_is(uint32_t code_point, enum text_class kind);
int text_digit(uint32_t code_point); /* 0 to 9, of any script; -1: no decimal digit */
/* UTF-8 of a code point, with a zero behind it; its length. */
size_t text_encode(uint32_t code_point, char text[5]);
/* The code point at *p, which is moved behind it; the text is UTF-8. */
uint32_t text_next(const char **p);

/* Sort a list in place, stable. key(ctx, item) may fail. */
typedef enum err args_key_fn(struct jinja_run *run, void *ctx, struct value item, struct value *key);
enum err list_sort(struct jinja_run *run, struct value list, args_key_fn *key, void *ctx, bool is_reverse);

#endif
