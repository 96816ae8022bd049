/* Methods of Python's types. Private to this folder. */
#ifndef SERVER_GCODE_TEMPLATE_METHODS_H
#define SERVER_GCODE_TEMPLATE_METHODS_H

#include "server/gcode/template/args.h"

struct method {
    const char *name;
    value_native_fn *fn; /* ctx: the value it belongs to */
};
/* Each ends with a NULL name. Of str: methods_text.c, those that search and split: methods_search.c, those that encode
 * and translate: methods_bytes.c. */
extern const struct method text_methods[], text_search_methods[], text_coding_methods[], markup_methods[],
    bytes_methods[], int_methods[], float_methods[];
/* A method of str bound to a Markup: it gives Markup where Python's does. */
enum err markup_method(struct jinja_run *run, struct value self, const struct method *method, struct value *out);
/* May arguments of the method be given by name? Most of Python's are positional only. */
bool method_takes_keywords(const char *name);
/* real, imag, numerator, denominator. */
bool number_attribute(struct value v, const char *name, size_t len_bytes, struct value *out);

/* dict(...) and dict.update(...): a mapping or pairs, then keywords. */
enum err dict_fill(struct jinja_run *run, struct value dict, const struct value_call *call, const char *what);

/* Pieces of str that filters share. */
/* Append without tags and comments, white space as single blanks, entities resolved. */
void text_strip_tags(struct strbuf *out, const struct value_str *text);
void text_capitalize(struct strbuf *out, const char *text, size_t len_bytes);
bool text_is_upper(const struct value_str *self);
bool text_is_lower(const struct value_str *self);
/* Without white space (chars NULL) or the characters in `chars` at the ends asked for; points into self. */
void text_strip(const struct value_str *self, const struct value_str *chars, bool left, bool right, const char **begin,
                size_t *len);
/* End of the line that begins at *p, which is moved behind the line's end mark; any of Python's marks counts. */
const char *text_line(const char **p, const char *end);
enum text_side { TEXT_LEFT, TEXT_RIGHT, TEXT_CENTRE }; /* where the text goes in the field */
enum err text_pad(struct jinja_run *run, const struct value_str *self, int64_t width, const char *fill,
                  enum text_side side, struct value *out);
enum err text_replace(struct jinja_run *run, const struct value_str *self, const struct value_str *old,
                      const struct value_str *with, int64_t count, struct value *out);

#endif
