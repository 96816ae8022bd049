/* The tests (x is y), the globals (range, dict, ...) and the look-up of all names. */
#include "server/gcode/template/filters.h"
#include "server/gcode/template/methods.h"

#include "base/check.h"

#include <string.h>

#define TEST(name)                                                                                                     \
    static enum err name(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)

/* Subject and, for tests with one more argument, that one. */
static enum err subject(struct jinja_run *run, const struct value_call *call, const char *what, size_t count,
                        struct value *args)
{
    static const char *const names[] = {"value", "other"};
    return args_bind(run, call, what, names, count, count, args);
}

#define SIMPLE_TEST(name, condition)                                                                                   \
    TEST(is_##name)                                                                                                    \
    {                                                                                                                  \
        struct value v;                                                                                                \
        (void)ctx;                                                                                                     \
        enum err err = subject(run, call, #name, 1, &v);                                                               \
        *out = value_bool(err == OK && (condition));                                                                   \
        return err;                                                                                                    \
    }

SIMPLE_TEST(defined, v.kind != VALUE_UNDEFINED)
SIMPLE_TEST(undefined, v.kind == VALUE_UNDEFINED)
SIMPLE_TEST(none, v.kind == VALUE_NONE)
SIMPLE_TEST(boolean, v.kind == VALUE_BOOL)
SIMPLE_TEST(false, v.kind == VALUE_BOOL && !v.boolean)
SIMPLE_TEST(true, v.kind == VALUE_BOOL && v.boolean)
SIMPLE_TEST(integer, v.kind == VALUE_INT)
SIMPLE_TEST(float, v.kind == VALUE_FLOAT)
SIMPLE_TEST(number, value_is_number(v))
SIMPLE_TEST(string, value_is_text(v))
SIMPLE_TEST(mapping, v.kind == VALUE_DICT || (v.kind == VALUE_OBJECT && v.object->type->keys))
SIMPLE_TEST(sequence, v.kind == VALUE_LIST || v.kind == VALUE_TUPLE || v.kind == VALUE_DICT || v.kind == VALUE_RANGE ||
                          value_is_text(v) || v.kind == VALUE_BYTES || v.kind == VALUE_UNDEFINED ||
                          (v.kind == VALUE_OBJECT && v.object->type->keys))
SIMPLE_TEST(iterable, v.kind == VALUE_LIST || v.kind == VALUE_TUPLE || v.kind == VALUE_DICT || v.kind == VALUE_RANGE ||
                          value_is_text(v) || v.kind == VALUE_UNDEFINED || v.kind == VALUE_ITERATOR ||
                          (v.kind == VALUE_OBJECT && (v.object->type->keys || v.object->type->rest)) ||
                          v.kind == VALUE_BYTES)
SIMPLE_TEST(callable, v.kind == VALUE_FUNCTION || v.kind == VALUE_UNDEFINED ||
                          (v.kind == VALUE_OBJECT && v.object->type == &loop_object_type))
SIMPLE_TEST(escaped, v.kind == VALUE_MARKUP)

/* x % 2, with Python's errors for what is no number. */
static enum err remainder_test(struct jinja_run *run, const struct value_call *call, const char *what, int64_t wanted,
                               struct value *out)
{
    struct value v, rest;
    enum err err = subject(run, call, what, 1, &v);
    if (err == OK)
        err = value_binary(run, VALUE_MOD, v, value_int(2), &rest); /* of a text: formatting */
    *out = value_bool(err == OK && value_is_number(rest) && value_number(rest) == (double)wanted);
    return err;
}

TEST(is_odd)
{
    (void)ctx;
    return remainder_test(run, call, "odd", 1, out);
}

TEST(is_even)
{
    (void)ctx;
    return remainder_test(run, call, "even", 0, out);
}

TEST(is_divisibleby)
{
    (void)ctx;
    struct value args[2], rest;
    enum err err = subject(run, call, "divisibleby", 2, args);
    if (err == OK)
        err = value_binary(run, VALUE_MOD, args[0], args[1], &rest);
    *out = value_bool(err == OK && value_is_number(rest) && value_number(rest) == 0.0);
    return err;
}

TEST(is_lower)
{
    (void)ctx;
    struct value v, text;
    enum err err = subject(run, call, "lower", 1, &v);
    if (err == OK)
        err = args_soft_text(run, v, &text);
    *out = value_bool(err == OK && text_is_lower(text.str));
    return err;
}

TEST(is_upper)
{
    (void)ctx;
    struct value v, text;
    enum err err = subject(run, call, "upper", 1, &v);
    if (err == OK)
        err = args_soft_text(run, v, &text);
    *out = value_bool(err == OK && text_is_upper(text.str));
    return err;
}

TEST(is_sameas)
{
    (void)ctx;
    struct value args[2];
    bool is_equal = false;
    enum err err = subject(run, call, "sameas", 2, args);
    /* Identity: containers by address, small things by value and kind. */
    if (err == OK && args[0].kind == args[1].kind) {
        if (args[0].kind == VALUE_LIST || args[0].kind == VALUE_TUPLE)
            is_equal = args[0].seq == args[1].seq;
        else if (args[0].kind == VALUE_DICT)
            is_equal = args[0].dict == args[1].dict;
        else
            err = value_equal(run, args[0], args[1], &is_equal);
    }
    *out = value_bool(is_equal);
    return err;
}

TEST(is_in)
{
    (void)ctx;
    struct value args[2];
    bool result = false;
    enum err err = subject(run, call, "in", 2, args);
    if (err == OK)
        err = value_contains(run, args[1], args[0], &result);
    *out = value_bool(result);
    return err;
}

TEST(is_filter)
{
    (void)ctx;
    struct value v;
    enum err err = subject(run, call, "filter", 1, &v);
    uint64_t hash;
    if (err == OK)
        err = value_hash(run, v, &hash);
    *out = value_bool(err == OK && value_is_text(v) && value_find_filter(v.str->data, v.str->len_bytes));
    return err;
}

TEST(is_test)
{
    (void)ctx;
    struct value v;
    enum err err = subject(run, call, "test", 1, &v);
    uint64_t hash;
    if (err == OK)
        err = value_hash(run, v, &hash);
    *out = value_bool(err == OK && value_is_text(v) && value_find_test(v.str->data, v.str->len_bytes));
    return err;
}

static enum err order_test(struct jinja_run *run, const struct value_call *call, const char *op, bool below, bool equal,
                           bool above, struct value *out)
{
    struct value args[2];
    int order = 0;
    enum err err = subject(run, call, op, 2, args);
    if (err == OK)
        err = value_compare(run, op, args[0], args[1], &order);
    *out = value_bool(err == OK && order != VALUE_UNORDERED && (order < 0 ? below : order > 0 ? above : equal));
    return err;
}

TEST(is_lt)
{
    (void)ctx;
    return order_test(run, call, "<", true, false, false, out);
}
TEST(is_le)
{
    (void)ctx;
    return order_test(run, call, "<=", true, true, false, out);
}
TEST(is_gt)
{
    (void)ctx;
    return order_test(run, call, ">", false, false, true, out);
}
TEST(is_ge)
{
    (void)ctx;
    return order_test(run, call, ">=", false, true, true, out);
}

static enum err equal_test(struct jinja_run *run, const struct value_call *call, bool wanted, struct value *out)
{
    struct value args[2];
    bool is_equal = false;
    enum err err = subject(run, call, "eq", 2, args);
    if (err == OK)
        err = value_equal(run, args[0], args[1], &is_equal);
    *out = value_bool(is_equal == wanted);
    return err;
}

TEST(is_eq)
{
    (void)ctx;
    return equal_test(run, call, true, out);
}
TEST(is_ne)
{
    (void)ctx;
    return equal_test(run, call, false, out);
}

static const struct value_filter all_tests[] = {
    {"defined", is_defined},
    {"undefined", is_undefined},
    {"none", is_none},
    {"boolean", is_boolean},
    {"false", is_false},
    {"true", is_true},
    {"integer", is_integer},
    {"float", is_float},
    {"number", is_number},
    {"string", is_string},
    {"mapping", is_mapping},
    {"sequence", is_sequence},
    {"iterable", is_iterable},
    {"callable", is_callable},
    {"escaped", is_escaped},
    {"odd", is_odd},
    {"even", is_even},
    {"divisibleby", is_divisibleby},
    {"lower", is_lower},
    {"upper", is_upper},
    {"sameas", is_sameas},
    {"in", is_in},
    {"filter", is_filter},
    {"test", is_test},
    {"eq", is_eq},
    {"equalto", is_eq},
    {"==", is_eq},
    {"ne", is_ne},
    {"!=", is_ne},
    {"lt", is_lt},
    {"lessthan", is_lt},
    {"<", is_lt},
    {"le", is_le},
    {"<=", is_le},
    {"gt", is_gt},
    {"greaterthan", is_gt},
    {">", is_gt},
    {"ge", is_ge},
    {">=", is_ge},
    {NULL, NULL},
};

/* --------------------------------------------------------------------------------------------------------- globals */

TEST(global_range)
{
    (void)ctx;
    int64_t parts[3] = {0, 0, 1};
    if (call->key_count)
        return value_error(run, "TypeError", "range() takes no keyword arguments");
    if (call->count < 1 || call->count > 3)
        return value_error(run, "TypeError",
                           call->count ? "range expected at most 3 arguments, got %zu"
                                       : "range expected at least 1 argument, got %zu",
                           call->count);
    for (size_t i = 0; i < call->count; i++) {
        enum err err = args_int(run, call->args[i], "range", &parts[call->count == 1 ? 1 : i]);
        if (err != OK)
            return err;
    }
    if (parts[2] == 0)
        return value_error(run, "ValueError", "range() arg 3 must not be zero");
    struct value_range *range = run_alloc(run, sizeof *range);
    if (!range)
        return ERR_LIMIT;
    *range = (struct value_range){parts[0], parts[1], parts[2]};
    *out = (struct value){.kind = VALUE_RANGE, .range = range};
    return OK;
}

enum err value_dict_global(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    (void)ctx;
    *out = value_dict(run);
    return dict_fill(run, *out, call, "dict");
}

TEST(global_namespace)
{
    (void)ctx;
    *out = value_dict(run);
    enum err err = dict_fill(run, *out, call, "namespace");
    out->kind = VALUE_NAMESPACE;
    return err;
}

/* cycler("a", "b"): .next(), .current, .reset() */
struct cycler {
    const struct value *items;
    size_t count, at;
};

TEST(cycler_next)
{
    struct cycler *c = ctx;
    (void)run, (void)call;
    *out = c->items[c->at];
    c->at = (c->at + 1) % c->count;
    return OK;
}

TEST(cycler_reset)
{
    (void)run, (void)call;
    ((struct cycler *)ctx)->at = 0;
    *out = value_none();
    return OK;
}

static bool is_name(const char *name, size_t len, const char *wanted)
{
    return strlen(wanted) == len && memcmp(name, wanted, len) == 0;
}

static enum err cycler_get(struct jinja_run *run, void *ctx, const char *name, size_t len_bytes, struct value *out)
{
    struct cycler *c = ctx;
    if (is_name(name, len_bytes, "next"))
        *out = value_native(run, "next", cycler_next, c);
    else if (is_name(name, len_bytes, "reset"))
        *out = value_native(run, "reset", cycler_reset, c);
    else if (is_name(name, len_bytes, "current"))
        *out = c->items[c->at];
    else
        return ERR_NOT_FOUND;
    return OK;
}

static const struct value_object_type cycler_type = {.type_name = "jinja2.utils.Cycler", .get = cycler_get};

TEST(global_cycler)
{
    (void)ctx;
    if (call->key_count)
        return value_error(run, "TypeError", "cycler() got an unexpected keyword argument '%s'",
                           call->keys[0].str->data);
    if (call->count == 0)
        return value_error(run, "RuntimeError", "at least one item has to be provided");
    struct cycler *c = run_alloc(run, sizeof *c);
    struct value *items = run_alloc(run, call->count * sizeof *items);
    if (!c || !items)
        return ERR_LIMIT;
    memcpy(items, call->args, call->count * sizeof *items);
    *c = (struct cycler){.items = items, .count = call->count};
    *out = value_object(run, &cycler_type, c);
    return OK;
}

static struct value native_with_text(struct jinja_run *run, const char *name, const char *text, value_native_fn *fn,
                                     void *ctx)
{
    struct value_function *f = run_alloc(run, sizeof *f);
    if (!f)
        return value_none();
    *f = (struct value_function){.name = name, .fn = fn, .ctx = ctx, .text = text};
    return (struct value){.kind = VALUE_FUNCTION, .function = f};
}

/* joiner(", "): "" at its first call, then the separator. */
struct joiner {
    struct value separator;
    bool was_used;
};

TEST(joiner_call)
{
    struct joiner *j = ctx;
    (void)call;
    *out = j->was_used ? j->separator : value_cstr(run, "");
    j->was_used = true;
    return OK;
}

TEST(global_joiner)
{
    (void)ctx;
    static const char *const names[] = {"sep"};
    struct joiner *j = run_alloc(run, sizeof *j);
    if (!j)
        return ERR_LIMIT;
    j->separator = value_cstr(run, ", ");
    enum err err = ARGS_BIND(run, call, "joiner", names, 0, &j->separator);
    *out = native_with_text(run, "joiner", "<jinja2.utils.Joiner object>", joiner_call, j);
    return run->has_failed ? ERR_INVALID : err;
}

TEST(global_lipsum)
{
    (void)ctx;
    static const char *const words[] = {"lorem",      "ipsum", "dolor",  "sit", "amet",    "consectetur",
                                        "adipiscing", "elit",  "sed",    "do",  "eiusmod", "tempor",
                                        "incididunt", "ut",    "labore", "et"};
    static const char *const names[] = {"n", "html", "min", "max"};
    struct value args[4] = {value_int(5), value_bool(true), value_int(20), value_int(100)};
    int64_t paragraphs = 5, least = 20, most = 100;
    enum err err = ARGS_BIND(run, call, "lipsum", names, 0, args);
    if (err == OK)
        err = args_int(run, args[0], "lipsum", &paragraphs);
    if (err == OK)
        err = args_int(run, args[2], "lipsum", &least);
    if (err == OK)
        err = args_int(run, args[3], "lipsum", &most);
    if (err != OK)
        return err;
    bool is_html = value_is_true(args[1]);
    struct strbuf sb;
    strbuf_init(&sb);
    for (int64_t p = 0; p < paragraphs && run_has_room(run, sb.len_bytes); p++) {
        int64_t count = most > least ? least + (int64_t)rng_below(&run->rng, (uint64_t)(most - least)) : least;
        strbuf_adds(&sb, p ? is_html ? "\n" : "\n\n" : "");
        strbuf_adds(&sb, is_html ? "<p>" : "");
        for (int64_t i = 0; i < count && run_charge(run, 1); i++)
            strbuf_addf(&sb, "%s%s", i ? " " : "", words[rng_below(&run->rng, ARRAY_COUNT(words))]);
        strbuf_adds(&sb, is_html ? ".</p>" : ".");
    }
    *out = value_from_strbuf(run, &sb);
    out->kind = is_html ? VALUE_MARKUP : VALUE_STR;
    return run->has_failed ? ERR_LIMIT : OK;
}

/* `self` refers to the template's blocks; there are none here, so it has no members. */
static enum err self_text(struct jinja_run *run, void *ctx, struct value *out)
{
    (void)ctx;
    *out = value_cstr(run, "<TemplateReference None>");
    return OK;
}
static const struct value_object_type self_type = {.type_name = "jinja2.runtime.TemplateReference", .text = self_text};

static const struct {
    const char *name, *text;
    value_native_fn *fn;
} all_globals[] = {
    {"range", "<class 'range'>", global_range},
    {"dict", "<class 'dict'>", value_dict_global},
    {"namespace", "<class 'jinja2.utils.Namespace'>", global_namespace},
    {"cycler", "<class 'jinja2.utils.Cycler'>", global_cycler},
    {"joiner", "<class 'jinja2.utils.Joiner'>", global_joiner},
    {"lipsum", "<function generate_lorem_ipsum>", global_lipsum},
};

bool value_global(struct jinja_run *run, const char *name, struct value *out)
{
    if (strcmp(name, "self") == 0) {
        *out = value_object(run, &self_type, NULL);
        return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(all_globals); i++)
        if (strcmp(name, all_globals[i].name) == 0) {
            *out = native_with_text(run, all_globals[i].name, all_globals[i].text, all_globals[i].fn, NULL);
            return true;
        }
    return false;
}

/* --------------------------------------------------------------------------------------------------------- look-up */

static const struct value_filter *find(const struct value_filter *table, const char *name, size_t len_bytes)
{
    for (; table->name; table++)
        if (is_name(name, len_bytes, table->name))
            return table;
    return NULL;
}

const struct value_filter *value_find_filter(const char *name, size_t len_bytes)
{
    const struct value_filter *const tables[] = {sequence_filters, text_filters,   number_filters, lazy_filters,
                                                 encode_filters,   layout_filters, url_filters};
    const struct value_filter *found = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(tables) && !found; i++)
        found = find(tables[i], name, len_bytes);
    return found;
}

const struct value_filter *value_find_test(const char *name, size_t len_bytes)
{
    return find(all_tests, name, len_bytes);
}
