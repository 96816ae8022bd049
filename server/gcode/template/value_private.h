/* The insides of values, for value_*.c, filters and methods. */
#ifndef SERVER_GCODE_TEMPLATE_VALUE_PRIVATE_H
#define SERVER_GCODE_TEMPLATE_VALUE_PRIVATE_H

#include "base/strbuf.h"
#include "server/gcode/template/value.h"
#include "server/gcode/template/vm.h"

struct dict_entry {
    struct value key, item;
    uint64_t hash;
    bool is_there; /* false: removed */
};
/* Insertion order with an open-addressing index of twice the size. */
struct value_dict {
    struct dict_entry *entries;
    uint32_t *index;                          /* entry + 1; 0: empty */
    size_t count, used, capacity, index_size; /* count: live entries; used: entries taken, removed ones included */
};
struct value_range {
    int64_t start, stop, step;
};
struct value_iterator {
    struct value list; /* what is left of it */
    size_t next;
    const char *type_name;
    bool is_view; /* dict.keys() and the like: not used up by iterating */
};

#define VALUE_DEPTH_MAX 100 /* containers in containers, for texts and comparisons */

struct dict_entry *dict_find(struct jinja_run *run, struct value dict, struct value key); /* NULL: absent or failed */
bool dict_remove(struct jinja_run *run, struct value dict, struct value key, struct value *item);
void dict_clear(struct value dict);
#define DICT_FOREACH(entry, mapping)                                                                                   \
    for (struct dict_entry *entry = (mapping).dict->entries; entry < (mapping).dict->entries + (mapping).dict->used;   \
         entry++)                                                                                                      \
        if (entry->is_there)

struct value value_iterator_over(struct jinja_run *run, struct value list, const char *type_name);
struct value value_markup(struct jinja_run *run, const char *text, size_t len_bytes);
/* A text that is not charged twice: takes over what `sb` holds, and clears it. */
struct value value_from_strbuf(struct jinja_run *run, struct strbuf *sb);

static inline bool value_is_text(struct value v)
{
    return v.kind == VALUE_STR || v.kind == VALUE_MARKUP;
}
static inline bool value_is_integer(struct value v) /* Python: bool is an int */
{
    return v.kind == VALUE_INT || v.kind == VALUE_BOOL;
}
static inline int64_t value_integer(struct value v)
{
    return v.kind == VALUE_BOOL ? v.boolean : v.integer;
}
static inline bool value_is_number(struct value v)
{
    return value_is_integer(v) || v.kind == VALUE_FLOAT;
}
static inline double value_number(struct value v)
{
    return v.kind == VALUE_FLOAT ? v.number : (double)value_integer(v);
}

/* Byte offset of code point `index` (0..count). */
size_t str_offset(const struct value_str *str, size_t index);
/* UndefinedError of an undefined value. */
enum err value_fail_undefined(struct jinja_run *run, struct value undefined);
/* float(v), as the filter float reads numbers and texts; ValueError or TypeError. */
enum err value_to_float(struct jinja_run *run, struct value v, struct value *out);
/* int(v, base) likewise. */
enum err value_to_int(struct jinja_run *run, struct value v, int base, struct value *out);
/* Append with & < > " ' as HTML entities. */
void value_escape_html(struct strbuf *out, const char *text, size_t len_bytes);
/* "%d" % x and the like (value_format.c). */
enum err value_percent(struct jinja_run *run, struct value format, struct value args, struct value *out);

#endif
