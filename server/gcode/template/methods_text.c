/* Methods of Python's str. */
#include "server/gcode/template/methods.h"
#include "server/gcode/template/value_format.h"

#include "base/check.h"

#include <string.h>

#define SELF (((struct value *)ctx)->str)

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
    return args_finish(run, VALUE_STR, &sb, out);
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
    return args_finish(run, VALUE_STR, &sb, out);
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
        bool is_cased = text_class_is(c, CLASS_UPPER) || text_class_is(c, CLASS_LOWER) || text_class_is(c, CLASS_TITLE);
        enum text_case kind = was_cased ? TEXT_LOWER : p - begin == 1 ? TEXT_UPPER : TEXT_TITLE;
        if (is_cased)
            text_case_append(&sb, begin, (size_t)(p - begin), kind);
        else
            strbuf_add(&sb, begin, (size_t)(p - begin));
        was_cased = is_cased;
    }
    return args_finish(run, VALUE_STR, &sb, out);
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
        if (text_class_is(c, CLASS_UPPER))
            text_case_append(&sb, begin, (size_t)(p - begin), TEXT_LOWER);
        else if (text_class_is(c, CLASS_LOWER))
            text_case_append(&sb, begin, (size_t)(p - begin), TEXT_UPPER);
        else
            strbuf_add(&sb, begin, (size_t)(p - begin));
    }
    return args_finish(run, VALUE_STR, &sb, out);
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
        has_other |= text_class_is(c, other) || text_class_is(c, CLASS_TITLE);
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
        bool is_upper = text_class_is(c, CLASS_UPPER) || text_class_is(c, CLASS_TITLE),
             is_lower = text_class_is(c, CLASS_LOWER);
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
        is_good = text_class_is(c, is_first ? CLASS_NAME_START : CLASS_NAME);
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
    if (chars && !run_charge(run, self->len_bytes / 64 * (chars->len_bytes / 16)))
        return ERR_LIMIT;
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
    return args_finish(run, VALUE_STR, &sb, out);
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
    return args_finish(run, VALUE_STR, &sb, out);
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
    return args_finish(run, VALUE_STR, &sb, out);
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
    {NULL, NULL},
};
