/* Methods of Python's str that search, replace, split, join and format. */
#include "server/gcode/template/methods.h"
#include "server/gcode/template/value_format.h"

#include "base/check.h"

#include <string.h>

#define SELF (((struct value *)ctx)->str)

/* ------------------------------------------------------------------------------------------------------- searching */

/* The part of the text that [start:end] means, in bytes. */
static enum err text_bounds(struct jinja_run *run, const struct value_str *self, struct value start, struct value end,
                            const char *what, size_t *from, size_t *to, bool *is_possible)
{
    int64_t bounds[2] = {0, (int64_t)self->count}, count = (int64_t)self->count;
    const struct value args[2] = {start, end};
    for (int i = 0; i < 2; i++) {
        if (args[i].kind == VALUE_NONE)
            continue;
        enum err err = args_int(run, args[i], what, &bounds[i]);
        if (err != OK)
            return err;
        if (bounds[i] < 0)
            bounds[i] = bounds[i] + count < 0 ? 0 : bounds[i] + count;
        else if (i == 1 && bounds[i] > count)
            bounds[i] = count;
    }
    *is_possible = bounds[0] <= bounds[1];
    *from = *is_possible ? str_offset(self, (size_t)bounds[0]) : 0;
    *to = *is_possible ? str_offset(self, (size_t)bounds[1]) : 0;
    return OK;
}

/* The last place of the needle; NULL: there is none, or the budget is used up by comparing. */
static const char *find_last(struct jinja_run *run, const char *hay, size_t len, const char *needle, size_t needle_len)
{
    char last = needle_len ? needle[needle_len - 1] : 0;
    for (size_t i = len >= needle_len ? len - needle_len + 1 : 0; i > 0; i--) {
        const char *p = hay + i - 1;
        if (needle_len && (*p != needle[0] || p[needle_len - 1] != last))
            continue;
        if (!run_charge(run, needle_len >> 6))
            return NULL;
        if (memcmp(p, needle, needle_len) == 0)
            return p;
    }
    return NULL;
}

static size_t count_points(const char *text, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

enum search { SEARCH_FIND, SEARCH_RFIND, SEARCH_COUNT };

static enum err search(struct jinja_run *run, const struct value_str *self, const struct value_call *call,
                       const char *what, enum search kind, bool is_required, struct value *out)
{
    static const char *const names[] = {"sub", "start", "end"};
    struct value args[3] = {value_none(), value_none(), value_none()};
    const struct value_str *sub;
    size_t from, to;
    bool is_possible;
    enum err err = ARGS_BIND(run, call, what, names, 1, args);
    if (err == OK)
        err = args_text(run, args[0], what, &sub);
    if (err == OK)
        err = text_bounds(run, self, args[1], args[2], what, &from, &to, &is_possible);
    if (err != OK)
        return err;
    const char *hay = self->data + from;
    size_t len = to - from;
    if (kind == SEARCH_COUNT) {
        int64_t count = 0;
        if (is_possible && sub->len_bytes == 0)
            count = (int64_t)count_points(hay, len) + 1;
        const char *end = hay + len, *found;
        while (is_possible && sub->len_bytes && (found = memmem(hay, (size_t)(end - hay), sub->data, sub->len_bytes))) {
            count++;
            hay = found + sub->len_bytes;
        }
        *out = value_int(count);
        return OK;
    }
    const char *found = !is_possible          ? NULL
                        : kind == SEARCH_FIND ? memmem(hay, len, sub->data, sub->len_bytes)
                                              : find_last(run, hay, len, sub->data, sub->len_bytes);
    if (run->has_failed)
        return ERR_LIMIT;
    if (!found && is_required)
        return value_error(run, "ValueError", "substring not found");
    *out = value_int(found ? (int64_t)count_points(self->data, (size_t)(found - self->data)) : -1);
    return OK;
}

static enum err str_find(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return search(run, SELF, call, "find", SEARCH_FIND, false, out);
}
static enum err str_rfind(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return search(run, SELF, call, "rfind", SEARCH_RFIND, false, out);
}
static enum err str_index(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return search(run, SELF, call, "index", SEARCH_FIND, true, out);
}
static enum err str_rindex(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return search(run, SELF, call, "rindex", SEARCH_RFIND, true, out);
}
static enum err str_count(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return search(run, SELF, call, "count", SEARCH_COUNT, false, out);
}

static enum err affix(struct jinja_run *run, const struct value_str *self, const struct value_call *call,
                      const char *what, bool is_prefix, struct value *out)
{
    static const char *const names[] = {"prefix", "start", "end"};
    struct value args[3] = {value_none(), value_none(), value_none()};
    size_t from, to;
    bool is_possible, result = false;
    enum err err = ARGS_BIND(run, call, what, names, 1, args);
    if (err == OK)
        err = text_bounds(run, self, args[1], args[2], what, &from, &to, &is_possible);
    if (err != OK)
        return err;
    struct value single[1] = {args[0]};
    struct value_seq one = {.items = single, .count = 1};
    const struct value_seq *list = args[0].kind == VALUE_TUPLE ? args[0].seq : &one;
    for (size_t i = 0; i < list->count && !result; i++) {
        const struct value_str *s;
        if (!value_is_text(list->items[i]))
            return value_error(run, "TypeError", "%s first arg must be str or a tuple of str, not %s", what,
                               value_type_name(list->items[i]));
        s = list->items[i].str;
        size_t len = to - from;
        result = is_possible && s->len_bytes <= len &&
                 memcmp(self->data + (is_prefix ? from : to - s->len_bytes), s->data, s->len_bytes) == 0;
    }
    *out = value_bool(result);
    return OK;
}

static enum err str_startswith(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return affix(run, SELF, call, "startswith", true, out);
}
static enum err str_endswith(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return affix(run, SELF, call, "endswith", false, out);
}

enum err text_replace(struct jinja_run *run, const struct value_str *self, const struct value_str *old,
                      const struct value_str *with, int64_t count, struct value *out)
{
    struct strbuf sb;
    strbuf_init(&sb);
    const char *p = self->data, *end = p + self->len_bytes;
    int64_t left = count < 0 ? INT64_MAX : count;
    if (old->len_bytes == 0) { /* between all characters */
        while (left-- > 0 && run_has_room(run, sb.len_bytes)) {
            strbuf_add(&sb, with->data, with->len_bytes);
            if (p == end)
                break;
            const char *begin = p;
            (void)text_next(&p);
            strbuf_add(&sb, begin, (size_t)(p - begin));
        }
    } else {
        const char *found;
        while (left-- > 0 && (found = memmem(p, (size_t)(end - p), old->data, old->len_bytes)) != NULL &&
               run_has_room(run, sb.len_bytes)) {
            strbuf_add(&sb, p, (size_t)(found - p));
            strbuf_add(&sb, with->data, with->len_bytes);
            p = found + old->len_bytes;
        }
    }
    strbuf_add(&sb, p, (size_t)(end - p));
    return args_finish(run, VALUE_STR, &sb, out);
}

static enum err str_replace(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"old", "new", "count"};
    struct value args[3] = {value_none(), value_none(), value_int(-1)};
    const struct value_str *old, *with;
    int64_t count = -1;
    enum err err = ARGS_BIND(run, call, "replace", names, 2, args);
    if (err == OK)
        err = args_text(run, args[0], "replace() argument 1", &old);
    if (err == OK)
        err = args_text(run, args[1], "replace() argument 2", &with);
    if (err == OK)
        err = args_int(run, args[2], "replace", &count);
    return err == OK ? text_replace(run, SELF, old, with, count, out) : err;
}

/* ------------------------------------------------------------------------------------------------------- splitting */

static void add_part(struct jinja_run *run, struct value list, const char *begin, const char *end)
{
    (void)value_append(run, list, value_str(run, begin, (size_t)(end - begin)));
}

static void reverse_list(struct value list)
{
    for (size_t i = 0; i < list.seq->count / 2; i++) {
        struct value other = list.seq->items[i];
        list.seq->items[i] = list.seq->items[list.seq->count - 1 - i];
        list.seq->items[list.seq->count - 1 - i] = other;
    }
}

static bool is_space(uint32_t code_point)
{
    return text_class_is(code_point, CLASS_SPACE);
}

/* Words between white space. */
static void split_words(struct jinja_run *run, const char *p, const char *end, int64_t left, struct value list)
{
    while (p < end && !run->has_failed) {
        const char *next = p;
        if (is_space(text_next(&next))) {
            p = next;
            continue;
        }
        const char *begin = p;
        if (left-- == 0) { /* the rest, with the white space behind it */
            add_part(run, list, begin, end);
            return;
        }
        while (p < end) {
            next = p;
            if (is_space(text_next(&next)))
                break;
            p = next;
        }
        add_part(run, list, begin, p);
    }
}

static void rsplit_words(struct jinja_run *run, const char *begin, const char *end, int64_t left, struct value list)
{
    while (end > begin && !run->has_failed) {
        struct value_str rest = {.data = begin, .len_bytes = (size_t)(end - begin)};
        const char *p;
        size_t len;
        text_strip(&rest, NULL, false, true, &p, &len);
        end = begin + len;
        if (end == begin)
            break;
        if (left-- == 0) {
            add_part(run, list, begin, end);
            break;
        }
        const char *word = end;
        while (word > begin) {
            const char *last = word - 1;
            while (((unsigned char)*last & 0xc0) == 0x80)
                last--;
            const char *q = last;
            if (is_space(text_next(&q)))
                break;
            word = last;
        }
        add_part(run, list, word, end);
        end = word;
    }
    reverse_list(list);
}

static enum err split(struct jinja_run *run, const struct value_str *self, const struct value_call *call,
                      const char *what, bool is_right, struct value *out)
{
    static const char *const names[] = {"sep", "maxsplit"};
    struct value args[2] = {value_none(), value_int(-1)};
    const struct value_str *sep = NULL;
    int64_t left = -1;
    enum err err = ARGS_BIND(run, call, what, names, 0, args);
    if (err == OK && args[0].kind != VALUE_NONE)
        err = args_text(run, args[0], "sep", &sep);
    if (err == OK)
        err = args_int(run, args[1], what, &left);
    if (err != OK)
        return err;
    if (sep && sep->len_bytes == 0)
        return value_error(run, "ValueError", "empty separator");
    *out = value_list(run);
    const char *p = self->data, *end = p + self->len_bytes, *found;
    if (!sep) {
        (is_right ? rsplit_words : split_words)(run, p, end, left, *out);
        return run->has_failed ? ERR_LIMIT : OK;
    }
    if (is_right) {
        while (left-- != 0 && (found = find_last(run, p, (size_t)(end - p), sep->data, sep->len_bytes)) != NULL &&
               !run->has_failed) {
            add_part(run, *out, found + sep->len_bytes, end);
            end = found;
        }
        add_part(run, *out, p, end);
        reverse_list(*out);
    } else {
        while (left-- != 0 && (found = memmem(p, (size_t)(end - p), sep->data, sep->len_bytes)) != NULL &&
               !run->has_failed) {
            add_part(run, *out, p, found);
            p = found + sep->len_bytes;
        }
        add_part(run, *out, p, end);
    }
    return run->has_failed ? ERR_LIMIT : OK;
}

static enum err str_split(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return split(run, SELF, call, "split", false, out);
}
static enum err str_rsplit(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return split(run, SELF, call, "rsplit", true, out);
}

static bool is_line_end(uint32_t c)
{
    return (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

const char *text_line(const char **p, const char *end)
{
    while (*p < end) {
        const char *here = *p;
        uint32_t c = text_next(p);
        if (!is_line_end(c))
            continue;
        if (c == '\r' && *p < end && **p == '\n')
            (*p)++;
        return here;
    }
    return end;
}

static enum err str_splitlines(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"keepends"};
    struct value keep = value_bool(false);
    enum err err = ARGS_BIND(run, call, "splitlines", names, 0, &keep);
    if (err != OK)
        return err;
    *out = value_list(run);
    for (const char *p = SELF->data, *end = p + SELF->len_bytes; p < end && !run->has_failed;) {
        const char *begin = p, *stop = text_line(&p, end);
        add_part(run, *out, begin, value_is_true(keep) ? p : stop);
    }
    return run->has_failed ? ERR_LIMIT : OK;
}

static enum err partition(struct jinja_run *run, const struct value_str *self, const struct value_call *call,
                          const char *what, bool is_right, struct value *out)
{
    static const char *const names[] = {"sep"};
    struct value arg;
    const struct value_str *sep;
    enum err err = ARGS_BIND(run, call, what, names, 1, &arg);
    if (err == OK)
        err = args_text(run, arg, what, &sep);
    if (err != OK)
        return err;
    if (sep->len_bytes == 0)
        return value_error(run, "ValueError", "empty separator");
    const char *found = is_right ? find_last(run, self->data, self->len_bytes, sep->data, sep->len_bytes)
                                 : memmem(self->data, self->len_bytes, sep->data, sep->len_bytes);
    *out = value_tuple(run, 3);
    if (run->has_failed)
        return ERR_LIMIT;
    struct value whole = value_str(run, self->data, self->len_bytes), none = value_cstr(run, "");
    struct value *items = out->seq->items;
    if (!found) {
        items[0] = is_right ? none : whole;
        items[1] = none;
        items[2] = is_right ? whole : none;
        return OK;
    }
    const char *behind = found + sep->len_bytes;
    items[0] = value_str(run, self->data, (size_t)(found - self->data));
    items[1] = value_str(run, sep->data, sep->len_bytes);
    items[2] = value_str(run, behind, self->len_bytes - (size_t)(behind - self->data));
    return run->has_failed ? ERR_LIMIT : OK;
}

static enum err str_partition(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return partition(run, SELF, call, "partition", false, out);
}
static enum err str_rpartition(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return partition(run, SELF, call, "rpartition", true, out);
}

static enum err str_join(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"iterable"};
    struct value arg, list;
    enum err err = ARGS_BIND(run, call, "join", names, 1, &arg);
    if (err == OK)
        err = value_iterate(run, arg, &list);
    if (err != OK)
        return err;
    struct strbuf sb;
    strbuf_init(&sb);
    for (size_t i = 0; i < list.seq->count && err == OK; i++) {
        struct value item = list.seq->items[i];
        if (!value_is_text(item))
            err = value_error(run, "TypeError", "sequence item %zu: expected str instance, %s found", i,
                              value_type_name(item));
        else if (!run_has_room(run, sb.len_bytes))
            err = ERR_LIMIT;
        else {
            strbuf_add(&sb, SELF->data, i ? SELF->len_bytes : 0);
            strbuf_add(&sb, item.str->data, item.str->len_bytes);
        }
    }
    if (err == OK)
        return args_finish(run, VALUE_STR, &sb, out);
    strbuf_deinit(&sb);
    return err;
}

static enum err str_format(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return format_template(run, *(struct value *)ctx, call, out);
}

static enum err str_format_map(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"mapping"};
    struct value mapping, items;
    enum err err = ARGS_BIND(run, call, "format_map", names, 1, &mapping);
    if (err == OK)
        err = value_items(run, mapping, &items);
    if (err != OK)
        return err;
    struct value *pairs = run_alloc(run, 2 * items.seq->count * sizeof *pairs);
    if (!pairs)
        return ERR_LIMIT;
    size_t count = 0;
    for (size_t i = 0; i < items.seq->count; i++)
        if (value_is_text(items.seq->items[i].seq->items[0])) {
            pairs[count] = items.seq->items[i].seq->items[0];
            pairs[items.seq->count + count++] = items.seq->items[i].seq->items[1];
        }
    struct value_call named = {.keys = pairs, .values = pairs + items.seq->count, .key_count = count};
    return format_template(run, *(struct value *)ctx, &named, out);
}

const struct method text_search_methods[] = {
    {"find", str_find},
    {"rfind", str_rfind},
    {"index", str_index},
    {"rindex", str_rindex},
    {"count", str_count},
    {"startswith", str_startswith},
    {"endswith", str_endswith},
    {"replace", str_replace},
    {"split", str_split},
    {"rsplit", str_rsplit},
    {"splitlines", str_splitlines},
    {"partition", str_partition},
    {"rpartition", str_rpartition},
    {"join", str_join},
    {"format", str_format},
    {"format_map", str_format_map},
    {NULL, NULL},
};
