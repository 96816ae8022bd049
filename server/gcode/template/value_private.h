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
enum dict_part { DICT_KEYS, DICT_VALUES, DICT_ITEMS };
/* The next item of a lazy iterator; *is_there false: there is none any more. */
typedef enum err iterator_next_fn(struct jinja_run *run, void *state, struct value *item, bool *is_there);
struct value_iterator {
    struct value list; /* what is left of it, from `next` on; of a view: the dict; unused by a lazy one */
    size_t next;
    const char *type_name, *name; /* name: of the generator function, NULL: none */
    bool is_view;                 /* dict.keys() and the like: not used up by iterating */
    enum dict_part part;          /* of the dict, for a view */
    iterator_next_fn *pull;       /* not NULL: a lazy one, whose items are made when they are asked for */
    void *state;
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
/* A generator as Python shows it: "<generator object NAME at ...>". `state` lives as long as the render. */
struct value value_generator(struct jinja_run *run, const char *name, iterator_next_fn *pull, void *state);
/* dict.keys() and the like: shows what the dict has whenever it is asked, may be iterated again and again, has a
 * length. */
struct value value_view(struct jinja_run *run, struct value dict, enum dict_part part);
/* Take one item of an iterator. */
enum err value_iterator_next(struct jinja_run *run, struct value_iterator *it, struct value *item, bool *is_there);
struct value value_markup(struct jinja_run *run, const char *text, size_t len_bytes);
/* A text that is not charged twice: takes over what `sb` holds, and clears it. */
struct value value_from_strbuf(struct jinja_run *run, struct strbuf *sb);
/* The same text as Markup or as a plain str. */
static inline struct value value_as(enum value_kind kind, struct value text)
{
    text.kind = kind;
    return text;
}
/* Jinja2's escape(): Markup stays as it is, everything else becomes text with entities. */
enum err value_escape(struct jinja_run *run, struct value v, struct value *out);

static inline bool value_is_dict_object(struct value v)
{
    return v.kind == VALUE_OBJECT && v.object->type->is_dict;
}
static inline bool value_is_text(struct value v)
{
    return v.kind == VALUE_STR || v.kind == VALUE_MARKUP;
}
bool value_is_hashable(struct value v);             /* could it be the key of a dict? */
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

/* Steps that going once through a value costs, beside the instruction itself: a text's bytes, a container's items. So a
 * loop over something cheap to write and long to do ends by its budget. */
static inline uint64_t value_work(struct value v)
{
    switch (v.kind) {
    case VALUE_STR:
    case VALUE_MARKUP:
    case VALUE_BYTES:
        return v.str->len_bytes >> 4;
    case VALUE_LIST:
    case VALUE_TUPLE:
        return v.seq->count >> 4;
    case VALUE_DICT:
    case VALUE_NAMESPACE:
        return v.dict->used >> 4;
    default:
        return 0;
    }
}

/* Byte offset of code point `index` (0..count). */
size_t str_offset(const struct value_str *str, size_t index);
/* UndefinedError of an undefined value. */
enum err value_fail_undefined(struct jinja_run *run, struct value undefined);
/* float(v), as the filter float reads numbers and texts; ValueError or TypeError. */
enum err value_to_float(struct jinja_run *run, struct value v, struct value *out);
/* int(v, base) likewise. */
enum err value_to_int(struct jinja_run *run, struct value v, int base, struct value *out);
/* Python's pprint.pformat: sorted dicts, lines of 80 characters. */
enum err value_pprint(struct jinja_run *run, struct value v, struct strbuf *out);
/* repr() as ASCII: what ascii(), "!a" and "%a" give. */
enum err value_ascii(struct jinja_run *run, struct value v, struct strbuf *out);
/* Append with & < > " ' as HTML entities. */
void value_escape_html(struct strbuf *out, const char *text, size_t len_bytes);
/* "%d" % x and the like (value_format.c). */
enum err value_percent(struct jinja_run *run, struct value format, struct value args, struct value *out);

#endif
