/* Methods of Python's types. Private to this folder. */
#ifndef SERVER_GCODE_TEMPLATE_METHODS_H
#define SERVER_GCODE_TEMPLATE_METHODS_H

#include "server/gcode/template/args.h"

struct method {
    const char *name;
    value_native_fn *fn; /* ctx: the value it belongs to */
};
/* Of str; each ends with a NULL name: methods_text.c, and those that search and split: methods_search.c. */
extern const struct method text_methods[], text_search_methods[];

/* dict(...) and dict.update(...): a mapping or pairs, then keywords. */
enum err dict_fill(struct jinja_run *run, struct value dict, const struct value_call *call, const char *what);
/* dict.keys() and the like: may be iterated again and again, has a length, shows as "dict_keys([...])". */
struct value value_view(struct jinja_run *run, struct value list, const char *type_name);

/* Pieces of str that filters share. */
void text_capitalize(struct strbuf *out, const char *text, size_t len_bytes);
bool text_is_upper(const struct value_str *self);
bool text_is_lower(const struct value_str *self);
/* Without white space (chars NULL) or the characters in `chars` at the ends asked for; points into self. */
void text_strip(const struct value_str *self, const struct value_str *chars, bool left, bool right, const char **begin,
                size_t *len);
enum text_side { TEXT_LEFT, TEXT_RIGHT, TEXT_CENTRE }; /* where the text goes in the field */
enum err text_pad(struct jinja_run *run, const struct value_str *self, int64_t width, const char *fill,
                  enum text_side side, struct value *out);
enum err text_replace(struct jinja_run *run, const struct value_str *self, const struct value_str *old,
                      const struct value_str *with, int64_t count, struct value *out);

#endif
