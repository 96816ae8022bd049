/* The filters, tests and globals, by file. Private to this folder. */
#ifndef SERVER_GCODE_TEMPLATE_FILTERS_H
#define SERVER_GCODE_TEMPLATE_FILTERS_H

#include "server/gcode/template/args.h"

#define FILTER(name)                                                                                                   \
    static enum err name(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)

/* Each ends with a NULL name. */
extern const struct value_filter text_filters[], layout_filters[], encode_filters[], url_filters[], sequence_filters[],
    lazy_filters[], number_filters[];

/* dict(...), as the global. */
value_native_fn value_dict_global;

/* A getter for `attribute=`: dots go into members, whole numbers are indices. NONE: the item itself. */
struct attribute_getter {
    struct value attribute, fallback; /* fallback VALUE_NONE: undefined */
    bool has_fallback, ignores_case;
};
args_key_fn attribute_get; /* ctx: struct attribute_getter */

/* Call filter or test `name` on `item` with the arguments behind the first `skip` of `call`. */
enum err call_named(struct jinja_run *run, bool is_test, struct value name, struct value item,
                    const struct value_call *call, size_t skip, struct value *out);

#endif
