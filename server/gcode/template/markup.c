/* Markup: a text that is already escaped. Its methods give Markup again, and escape the texts they are given. */
#include "server/gcode/template/methods.h"

#include "base/check.h"

#include <ctype.h>
#include <string.h>

#define MARKUP_ARGS_MAX 8

enum err value_escape(struct jinja_run *run, struct value v, struct value *out)
{
    struct value text;
    *out = v;
    if (v.kind == VALUE_MARKUP)
        return OK;
    enum err err = args_soft_text(run, v, &text);
    if (err != OK)
        return err;
    struct strbuf sb;
    strbuf_init(&sb);
    value_escape_html(&sb, text.str->data, text.str->len_bytes);
    *out = value_as(VALUE_MARKUP, value_from_strbuf(run, &sb));
    return run->has_failed ? ERR_LIMIT : OK;
}

/* ------------------------------------------------------------------------------------------------ plain text of it */

static const struct {
    const char *name, *text;
} entities[] = {{"amp", "&"}, {"lt", "<"}, {"gt", ">"}, {"quot", "\""}, {"apos", "'"}, {"nbsp", "\xc2\xa0"}};

/* The code point that "#39;" or "#x27;" means, behind the "&"; 0: it is none. *len: with the ";". */
static uint32_t numeric_entity(const char *p, const char *end, size_t *len)
{
    const char *begin = p;
    if (p == end || *p++ != '#')
        return 0;
    bool is_hex = p < end && (*p == 'x' || *p == 'X');
    p += is_hex;
    uint32_t code = 0;
    const char *digits = p;
    for (; p < end && p - digits < 8 && (is_hex ? isxdigit((unsigned char)*p) : isdigit((unsigned char)*p)); p++)
        code = code * (is_hex ? 16 : 10) +
               (uint32_t)(isdigit((unsigned char)*p) ? *p - '0' : tolower((unsigned char)*p) - 'a' + 10);
    if (p == digits || p == end || *p != ';' || code > 0x10ffff)
        return 0;
    *len = (size_t)(p + 1 - begin);
    return code;
}

/* Append with the entities of a page's own alphabet and numeric ones resolved. */
static void unescape_html(struct strbuf *out, const char *p, size_t len_bytes)
{
    for (const char *end = p + len_bytes; p < end;) {
        const char *found = NULL;
        size_t len = 0;
        char code_text[5];
        for (size_t i = 0; *p == '&' && i < ARRAY_COUNT(entities) && !found; i++) {
            len = strlen(entities[i].name) + 1;
            if ((size_t)(end - p) > len && memcmp(p + 1, entities[i].name, len - 1) == 0 && p[len] == ';')
                found = entities[i].text;
        }
        uint32_t code = *p == '&' && !found ? numeric_entity(p + 1, end, &len) : 0;
        if (code)
            found = (text_encode(code, code_text), code_text);
        strbuf_add(out, found ? found : p, found ? strlen(found) : 1);
        p += found ? len + 1 : 1;
    }
}

void text_strip_tags(struct strbuf *out, const struct value_str *text)
{
    struct strbuf bare;
    strbuf_init(&bare);
    bool was_blank = true, has_close = true,
         has_comment_end = true; /* further on: looked for once in vain at the most */
    const char *p = text->data, *end = p + text->len_bytes;
    while (p < end) {
        const char *close = *p == '<' && has_close ? memchr(p, '>', (size_t)(end - p)) : NULL;
        has_close = has_close && (*p != '<' || close != NULL);
        if (end - p >= 4 && memcmp(p, "<!--", 4) == 0) {
            const char *stop = has_comment_end ? memmem(p, (size_t)(end - p), "-->", 3) : NULL;
            close = stop ? stop + 2 : NULL;
            has_comment_end = stop != NULL;
        }
        if (close) {
            p = close + 1;
            continue;
        }
        const char *begin = p;
        bool is_blank = text_class_is(text_next(&p), CLASS_SPACE);
        if (!is_blank)
            strbuf_add(&bare, begin, (size_t)(p - begin));
        else if (!was_blank)
            strbuf_addc(&bare, ' ');
        was_blank = is_blank;
    }
    if (was_blank && bare.len_bytes)
        bare.len_bytes--;
    unescape_html(out, bare.data ? bare.data : "", bare.len_bytes);
    strbuf_deinit(&bare);
}

static enum err markup_unescape(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    const struct value_str *self = ((struct value *)ctx)->str;
    if (call->count + call->key_count)
        return value_error(run, "TypeError", "unescape() takes no arguments");
    struct strbuf sb;
    strbuf_init(&sb);
    unescape_html(&sb, self->data, self->len_bytes);
    *out = value_from_strbuf(run, &sb);
    return run->has_failed ? ERR_LIMIT : OK;
}

static enum err markup_striptags(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    if (call->count + call->key_count)
        return value_error(run, "TypeError", "striptags() takes no arguments");
    struct strbuf sb;
    strbuf_init(&sb);
    text_strip_tags(&sb, ((struct value *)ctx)->str);
    *out = value_from_strbuf(run, &sb);
    return run->has_failed ? ERR_LIMIT : OK;
}

static enum err markup_escape(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    static const char *const names[] = {"s"};
    struct value v;
    (void)ctx;
    enum err err = ARGS_BIND(run, call, "escape", names, 1, &v);
    return err == OK ? value_escape(run, v, out) : err;
}

const struct method markup_methods[] = {
    {"unescape", markup_unescape}, {"striptags", markup_striptags}, {"escape", markup_escape}, {NULL, NULL}};

/* ---------------------------------------------------------------------------------------------- methods of str on it
 */

enum wrapping {
    WRAP_NOT,
    WRAP_TEXT,  /* texts among the arguments are escaped, the result is Markup */
    WRAP_PARTS, /* a list or tuple whose items become Markup */
    WRAP_JOIN   /* the items are escaped */
};

static enum wrapping wrapping_of(const char *method)
{
    static const char *const texts[] = {"capitalize", "title",    "lower",  "upper",  "replace",   "ljust",
                                        "rjust",      "lstrip",   "rstrip", "center", "strip",     "translate",
                                        "expandtabs", "swapcase", "zfill",  "format", "format_map"};
    static const char *const parts[] = {"split", "rsplit", "splitlines", "partition", "rpartition"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        if (strcmp(method, texts[i]) == 0)
            return WRAP_TEXT;
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
        if (strcmp(method, parts[i]) == 0)
            return WRAP_PARTS;
    return strcmp(method, "join") == 0 ? WRAP_JOIN : WRAP_NOT;
}

struct wrapped {
    struct value self;
    const struct method *method;
    enum wrapping wrapping;
};

static enum err escape_texts(struct jinja_run *run, const struct value *from, struct value *to, size_t count)
{
    enum err err = OK;
    for (size_t i = 0; i < count && err == OK; i++) {
        to[i] = from[i];
        if (from[i].kind == VALUE_STR)
            err = value_escape(run, from[i], &to[i]);
    }
    return err;
}

static enum err join_escaped(struct jinja_run *run, const struct wrapped *w, const struct value_call *call,
                             struct value *out)
{
    struct value list;
    if (call->count != 1 || call->key_count)
        return value_error(run, "TypeError", "str.join() takes exactly one argument");
    enum err err = value_iterate(run, call->args[0], &list);
    for (size_t i = 0; err == OK && i < list.seq->count; i++) {
        struct value item = list.seq->items[i];
        err = value_escape(run, item, &list.seq->items[i]);
    }
    const struct value_call inner = {.args = &list, .count = 1};
    return err == OK ? w->method->fn(run, (void *)&w->self, &inner, out) : err;
}

static enum err call_wrapped(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    const struct wrapped *w = ctx;
    struct value args[MARKUP_ARGS_MAX], values[MARKUP_ARGS_MAX];
    struct value_call inner = *call;
    enum err err = OK;
    if (!run_charge(run, value_work(w->self)))
        return ERR_LIMIT;
    if (w->wrapping == WRAP_JOIN) {
        err = join_escaped(run, w, call, out);
        out->kind = err == OK ? VALUE_MARKUP : VALUE_NONE;
        return err;
    }
    bool is_format = strncmp(w->method->name, "format", 6) == 0; /* escapes what comes out of its fields */
    if (w->wrapping == WRAP_TEXT && !is_format && call->count <= MARKUP_ARGS_MAX &&
        call->key_count <= MARKUP_ARGS_MAX) {
        err = escape_texts(run, call->args, args, call->count);
        if (err == OK)
            err = escape_texts(run, call->values, values, call->key_count);
        inner.args = args;
        inner.values = values;
    }
    if (err == OK)
        err = w->method->fn(run, (void *)&w->self, &inner, out);
    if (err != OK)
        return err;
    if (out->kind == VALUE_STR)
        out->kind = VALUE_MARKUP;
    for (size_t i = 0; (out->kind == VALUE_LIST || out->kind == VALUE_TUPLE) && i < out->seq->count; i++)
        out->seq->items[i].kind = VALUE_MARKUP;
    return OK;
}

enum err markup_method(struct jinja_run *run, struct value self, const struct method *method, struct value *out)
{
    struct wrapped *w = run_alloc(run, sizeof *w);
    if (!w)
        return ERR_LIMIT;
    *w = (struct wrapped){.self = self, .method = method, .wrapping = wrapping_of(method->name)};
    *out = w->wrapping == WRAP_NOT ? value_native(run, method->name, method->fn, &w->self)
                                   : value_native(run, method->name, call_wrapped, w);
    return run->has_failed ? ERR_LIMIT : OK;
}
