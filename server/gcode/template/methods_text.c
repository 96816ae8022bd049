/* Methods of Python's str. */
#include "server/gcode/template/methods.h"
#include "server/gcode/template/value_format.h"

#include "base/check.h"

#include <string.h>

#define SELF (((struct value *)ctx)->str)

static enum err finish(struct jinja_run *run, struct strbuf *sb, struct value *out)
{
    *out = value_from_strbuf(run, sb);
    return run->has_failed ? ERR_LIMIT : OK;
}

static enum err make(struct jinja_run *run, const char *text, size_t len, struct value *out)
{
    *out = value_str(run, text, len);
    return run->has_failed ? ERR_LIMIT : OK;
}

static enum err no_arguments(struct jinja_run *run, const struct value_call *call, const char *what)
{
    if (call->count + call->key_count == 0)
        return OK;
    return value_error(run, "TypeError", "str.%s() takes no arguments (%zu given)", what,
                       call->count + call->key_count);
}

/* ------------------------------------------------------------------------------------------------------------ case */

static enum err change_case(struct jinja_run *run, const struct value_str *self, const struct value_call *call,
                            const char *what, enum text_case kind, struct value *out)
{
    enum err err = no_arguments(run, call, what);
    if (err != OK)
        return err;
    struct strbuf sb;
    strbuf_init(&sb);
    text_case_append(&sb, self->data, self->len_bytes, kind);
    return finish(run, &sb, out);
}

static enum err str_upper(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return change_case(run, SELF, call, "upper", TEXT_UPPER, out);
}

static enum err str_lower(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return change_case(run, SELF, call, "lower", TEXT_LOWER, out);
}

static enum err str_casefold(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return change_case(run, SELF, call, "casefold", TEXT_FOLD, out);
}

static size_t first_length(const char *text, size_t len)
{
    size_t n = len ? 1 : 0;
    while (n && n < len && ((unsigned char)text[n] & 0xc0) == 0x80)
        n++;
    return n;
}

void text_capitalize(struct strbuf *out, const char *text, size_t len_bytes)
{
    size_t first = first_length(text, len_bytes);
    text_case_append(out, text, first, first == 1 ? TEXT_UPPER : TEXT_TITLE);
    text_case_append(out, text + first, len_bytes - first, TEXT_LOWER);
}

static enum err str_capitalize(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    enum err err = no_arguments(run, call, "capitalize");
    if (err != OK)
        return err;
    struct strbuf sb;
    strbuf_init(&sb);
    text_capitalize(&sb, SELF->data, SELF->len_bytes);
    return finish(run, &sb, out);
}

/* Python's title(): the first letter of each run of letters is upper case, the others lower. */
static enum err str_title(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    enum err err = no_arguments(run, call, "title");
    if (err != OK)
        return err;
    struct strbuf sb;
    strbuf_init(&sb);
    bool was_cased = false;
    for (const char *p = SELF->data, *end = p + SELF->len_bytes; p < end;) {
        const char *begin = p;
        uint32_t c = text_next(&p);
        bool is_cased = text_class_is(c, CLASS_UPPER) || text_class_is(c, CLASS_LOWER);
        enum text_case kind = was_cased ? TEXT_LOWER : p - begin == 1 ? TEXT_UPPER : TEXT_TITLE;
        if (is_cased)
            text_case_append(&sb, begin, (size_t)(p - begin), kind);
        else
            strbuf_add(&sb, begin, (size_t)(p - begin));
        was_cased = is_cased;
    }
    return finish(run, &sb, out);
}

static enum err str_swapcase(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    enum err err = no_arguments(run, call, "swapcase");
    if (err != OK)
        return err;
    struct strbuf sb;
    strbuf_init(&sb);
    for (const char *p = SELF->data, *end = p + SELF->len_bytes; p < end;) {
        const char *begin = p;
        uint32_t c = text_next(&p);
        text_case_append(&sb, begin, (size_t)(p - begin), text_class_is(c, CLASS_UPPER) ? TEXT_LOWER : TEXT_UPPER);
    }
    return finish(run, &sb, out);
}

/* --------------------------------------------------------------------------------------------------- classification */

static enum err classify(struct jinja_run *run, const struct value_str *self, const struct value_call *call,
                         const char *what, bool (*test)(uint32_t c), struct value *out)
{
    enum err err = no_arguments(run, call, what);
    bool result = self->len_bytes > 0;
    for (const char *p = self->data, *end = p + self->len_bytes; err == OK && result && p < end;)
        result = test(text_next(&p));
    *out = value_bool(result);
    return err;
}

static bool is_alpha(uint32_t c)
{
    return text_class_is(c, CLASS_ALPHA);
}
static bool is_digit(uint32_t c)
{
    return text_class_is(c, CLASS_DIGIT);
}
static bool is_decimal(uint32_t c)
{
    return text_class_is(c, CLASS_DECIMAL);
}
static bool is_numeric(uint32_t c)
{
    return text_class_is(c, CLASS_NUMERIC);
}
static bool is_alnum(uint32_t c)
{
    return is_alpha(c) || is_decimal(c) || is_digit(c) || is_numeric(c);
}
static bool is_space(uint32_t c)
{
    return text_class_is(c, CLASS_SPACE);
}
static bool is_ascii(uint32_t c)
{
    return c < 0x80;
}
static bool is_printable(uint32_t c)
{
    return text_class_is(c, CLASS_PRINT);
}

#define CLASS_METHOD(name, test)                                                                                       \
    static enum err str_##name(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)     \
    {                                                                                                                  \
        return classify(run, SELF, call, #name, test, out);                                                            \
    }
CLASS_METHOD(isalpha, is_alpha)
CLASS_METHOD(isdigit, is_digit)
CLASS_METHOD(isdecimal, is_decimal)
CLASS_METHOD(isnumeric, is_numeric)
CLASS_METHOD(isalnum, is_alnum)
CLASS_METHOD(isspace, is_space)

static enum err str_isascii(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    enum err err = classify(run, SELF, call, "isascii", is_ascii, out);
    out->boolean |= SELF->len_bytes == 0;
    return err;
}

static enum err str_isprintable(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    enum err err = classify(run, SELF, call, "isprintable", is_printable, out);
    out->boolean |= SELF->len_bytes == 0;
    return err;
}

static enum err is_case(struct jinja_run *run, const struct value_str *self, const struct value_call *call,
                        const char *what, enum text_class wanted, enum text_class other, struct value *out)
{
    enum err err = no_arguments(run, call, what);
    bool has_wanted = false, has_other = false;
    for (const char *p = self->data, *end = p + self->len_bytes; p < end;) {
        uint32_t c = text_next(&p);
        has_wanted |= text_class_is(c, wanted);
        has_other |= text_class_is(c, other);
    }
    *out = value_bool(has_wanted && !has_other);
    return err;
}

bool text_is_upper(const struct value_str *self)
{
    struct value out;
    return is_case(NULL, self, &(struct value_call){.count = 0}, "", CLASS_UPPER, CLASS_LOWER, &out) == OK &&
           out.boolean;
}

bool text_is_lower(const struct value_str *self)
{
    struct value out;
    return is_case(NULL, self, &(struct value_call){.count = 0}, "", CLASS_LOWER, CLASS_UPPER, &out) == OK &&
           out.boolean;
}

static enum err str_isupper(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return is_case(run, SELF, call, "isupper", CLASS_UPPER, CLASS_LOWER, out);
}

static enum err str_islower(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return is_case(run, SELF, call, "islower", CLASS_LOWER, CLASS_UPPER, out);
}

static enum err str_istitle(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    enum err err = no_arguments(run, call, "istitle");
    bool was_cased = false, has_cased = false, is_title = true;
    for (const char *p = SELF->data, *end = p + SELF->len_bytes; p < end;) {
        uint32_t c = text_next(&p);
        bool is_upper = text_class_is(c, CLASS_UPPER), is_lower = text_class_is(c, CLASS_LOWER);
        is_title &= !(is_upper && was_cased) && !(is_lower && !was_cased);
        was_cased = is_upper || is_lower;
        has_cased |= was_cased;
    }
    *out = value_bool(is_title && has_cased);
    return err;
}

static enum err str_isidentifier(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    enum err err = no_arguments(run, call, "isidentifier");
    bool is_good = SELF->len_bytes > 0, is_first = true;
    for (const char *p = SELF->data, *end = p + SELF->len_bytes; is_good && p < end; is_first = false) {
        uint32_t c = text_next(&p);
        is_good = c == '_' || is_alpha(c) || (!is_first && is_decimal(c));
    }
    *out = value_bool(is_good);
    return err;
}

/* ------------------------------------------------------------------------------------------------------- stripping */

/* Is the code point at p one of `chars` (NULL: white space)? */
static bool is_stripped(uint32_t c, const struct value_str *chars)
{
    if (!chars)
        return is_space(c);
    for (const char *p = chars->data, *end = p + chars->len_bytes; p < end;)
        if (text_next(&p) == c)
            return true;
    return false;
}

void text_strip(const struct value_str *self, const struct value_str *chars, bool left, bool right, const char **begin,
                size_t *len)
{
    const char *p = self->data, *end = p + self->len_bytes;
    while (left && p < end) {
        const char *next = p;
        if (!is_stripped(text_next(&next), chars))
            break;
        p = next;
    }
    while (right && end > p) {
        const char *last = end - 1;
        while (((unsigned char)*last & 0xc0) == 0x80)
            last--;
        const char *q = last;
        if (!is_stripped(text_next(&q), chars))
            break;
        end = last;
    }
    *begin = p;
    *len = (size_t)(end - p);
}

static enum err strip(struct jinja_run *run, const struct value_str *self, const struct value_call *call,
                      const char *what, bool left, bool right, struct value *out)
{
    static const char *const names[] = {"chars"};
    struct value arg = value_none();
    const struct value_str *chars = NULL;
    enum err err = ARGS_BIND(run, call, what, names, 0, &arg);
    if (err == OK && arg.kind != VALUE_NONE)
        err = args_text(run, arg, "strip arg", &chars);
    if (err != OK)
        return err;
    const char *begin;
    size_t len;
    text_strip(self, chars, left, right, &begin, &len);
    return make(run, begin, len, out);
}

static enum err str_strip(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return strip(run, SELF, call, "strip", true, true, out);
}

static enum err str_lstrip(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return strip(run, SELF, call, "lstrip", true, false, out);
}

static enum err str_rstrip(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return strip(run, SELF, call, "rstrip", false, true, out);
}

static enum err str_removeprefix(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"prefix"};
    struct value arg;
    const struct value_str *s;
    enum err err = ARGS_BIND(run, call, "removeprefix", names, 1, &arg);
    if (err != OK || (err = args_text(run, arg, "removeprefix() argument", &s)) != OK)
        return err;
    bool has = s->len_bytes <= SELF->len_bytes && memcmp(SELF->data, s->data, s->len_bytes) == 0;
    size_t cut = has ? s->len_bytes : 0;
    return make(run, SELF->data + cut, SELF->len_bytes - cut, out);
}

static enum err str_removesuffix(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"suffix"};
    struct value arg;
    const struct value_str *s;
    enum err err = ARGS_BIND(run, call, "removesuffix", names, 1, &arg);
    if (err != OK || (err = args_text(run, arg, "removesuffix() argument", &s)) != OK)
        return err;
    bool has = s->len_bytes <= SELF->len_bytes &&
               memcmp(SELF->data + SELF->len_bytes - s->len_bytes, s->data, s->len_bytes) == 0;
    return make(run, SELF->data, SELF->len_bytes - (has ? s->len_bytes : 0), out);
}

/* --------------------------------------------------------------------------------------------------------- padding */

enum err text_pad(struct jinja_run *run, const struct value_str *self, int64_t width, const char *fill,
                  enum text_side side, struct value *out)
{
    size_t pad = width > (int64_t)self->count ? (size_t)width - self->count : 0;
    if (!run_has_room(run, pad * strlen(fill) + self->len_bytes))
        return ERR_LIMIT;
    /* Python's centre: the odd blank goes left if the width is odd. */
    size_t before = side == TEXT_LEFT ? 0 : side == TEXT_RIGHT ? pad : pad / 2 + (pad & (size_t)width & 1);
    struct strbuf sb;
    strbuf_init(&sb);
    for (size_t i = 0; i < before; i++)
        strbuf_adds(&sb, fill);
    strbuf_add(&sb, self->data, self->len_bytes);
    for (size_t i = before; i < pad; i++)
        strbuf_adds(&sb, fill);
    return finish(run, &sb, out);
}

static enum err pad(struct jinja_run *run, const struct value_str *self, const struct value_call *call,
                    const char *what, enum text_side side, struct value *out)
{
    static const char *const names[] = {"width", "fillchar"};
    struct value args[2] = {value_none(), value_none()};
    int64_t width = 0;
    const struct value_str *fill = NULL;
    enum err err = ARGS_BIND(run, call, what, names, 1, args);
    if (err == OK)
        err = args_int(run, args[0], what, &width);
    if (err == OK && args[1].kind != VALUE_NONE)
        err = args_text(run, args[1], "The fill character", &fill);
    if (err != OK)
        return err;
    if (fill && fill->count != 1)
        return value_error(run, "TypeError", "The fill character must be exactly one character long");
    return text_pad(run, self, width, fill ? fill->data : " ", side, out);
}

static enum err str_center(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return pad(run, SELF, call, "center", TEXT_CENTRE, out);
}

static enum err str_ljust(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return pad(run, SELF, call, "ljust", TEXT_LEFT, out);
}

static enum err str_rjust(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    return pad(run, SELF, call, "rjust", TEXT_RIGHT, out);
}

static enum err str_zfill(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"width"};
    struct value arg;
    int64_t width = 0;
    enum err err = ARGS_BIND(run, call, "zfill", names, 1, &arg);
    if (err != OK || (err = args_int(run, arg, "zfill", &width)) != OK)
        return err;
    size_t pad_count = width > (int64_t)SELF->count ? (size_t)width - SELF->count : 0;
    if (!run_has_room(run, pad_count + SELF->len_bytes))
        return ERR_LIMIT;
    size_t sign = SELF->len_bytes && (SELF->data[0] == '+' || SELF->data[0] == '-') ? 1 : 0;
    struct strbuf sb;
    strbuf_init(&sb);
    strbuf_add(&sb, SELF->data, sign);
    for (size_t i = 0; i < pad_count; i++)
        strbuf_addc(&sb, '0');
    strbuf_add(&sb, SELF->data + sign, SELF->len_bytes - sign);
    return finish(run, &sb, out);
}

static enum err str_expandtabs(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"tabsize"};
    struct value arg = value_int(8);
    int64_t size = 8, column = 0;
    enum err err = ARGS_BIND(run, call, "expandtabs", names, 0, &arg);
    if (err != OK || (err = args_int(run, arg, "expandtabs", &size)) != OK)
        return err;
    if (size > 1000)
        return value_error(run, "OverflowError", "new string is too long");
    struct strbuf sb;
    strbuf_init(&sb);
    for (size_t i = 0; i < SELF->len_bytes; i++) {
        char c = SELF->data[i];
        if (c != '\t') {
            strbuf_addc(&sb, c);
            column = c == '\n' || c == '\r' ? 0 : column + (((unsigned char)c & 0xc0) != 0x80);
            continue;
        }
        for (int64_t n = size > 0 ? size - column % size : 0; n > 0; n--, column++)
            strbuf_addc(&sb, ' ');
    }
    return finish(run, &sb, out);
}

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

static const char *find_last(const char *hay, size_t len, const char *needle, size_t needle_len)
{
    for (size_t i = len >= needle_len ? len - needle_len + 1 : 0; i > 0; i--)
        if (memcmp(hay + i - 1, needle, needle_len) == 0)
            return hay + i - 1;
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
                                              : find_last(hay, len, sub->data, sub->len_bytes);
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
    return finish(run, &sb, out);
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
        if (left-- == 0) { /* the rest, without white space behind it */
            struct value_str rest = {.data = begin, .len_bytes = (size_t)(end - begin)};
            size_t len;
            text_strip(&rest, NULL, false, true, &begin, &len);
            add_part(run, list, begin, begin + len);
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
            text_strip(&(struct value_str){.data = begin, .len_bytes = len}, NULL, true, false, &p, &len);
            add_part(run, list, p, p + len);
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
        while (left-- != 0 && (found = find_last(p, (size_t)(end - p), sep->data, sep->len_bytes)) != NULL &&
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

static enum err str_splitlines(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"keepends"};
    struct value keep = value_bool(false);
    enum err err = ARGS_BIND(run, call, "splitlines", names, 0, &keep);
    if (err != OK)
        return err;
    *out = value_list(run);
    const char *p = SELF->data, *end = p + SELF->len_bytes, *begin = p;
    while (p < end && !run->has_failed) {
        const char *next = p;
        uint32_t c = text_next(&next);
        if (!is_line_end(c)) {
            p = next;
            continue;
        }
        if (c == '\r' && next < end && *next == '\n')
            next++;
        add_part(run, *out, begin, value_is_true(keep) ? next : p);
        begin = p = next;
    }
    if (begin < end)
        add_part(run, *out, begin, end);
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
    const char *found = is_right ? find_last(self->data, self->len_bytes, sep->data, sep->len_bytes)
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
        return finish(run, &sb, out);
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

const struct method text_methods[] = {
    {"upper", str_upper},
    {"lower", str_lower},
    {"casefold", str_casefold},
    {"capitalize", str_capitalize},
    {"title", str_title},
    {"swapcase", str_swapcase},
    {"isalpha", str_isalpha},
    {"isdigit", str_isdigit},
    {"isdecimal", str_isdecimal},
    {"isnumeric", str_isnumeric},
    {"isalnum", str_isalnum},
    {"isspace", str_isspace},
    {"isascii", str_isascii},
    {"isprintable", str_isprintable},
    {"isupper", str_isupper},
    {"islower", str_islower},
    {"istitle", str_istitle},
    {"isidentifier", str_isidentifier},
    {"strip", str_strip},
    {"lstrip", str_lstrip},
    {"rstrip", str_rstrip},
    {"removeprefix", str_removeprefix},
    {"removesuffix", str_removesuffix},
    {"center", str_center},
    {"ljust", str_ljust},
    {"rjust", str_rjust},
    {"zfill", str_zfill},
    {"expandtabs", str_expandtabs},
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
