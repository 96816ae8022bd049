/* Filters for addresses of the web: urlencode, urlize. */
#include "server/gcode/template/filters.h"

#include "base/check.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static void add_percent_encoded(struct strbuf *out, const char *text, size_t len, const char *safe, bool is_query)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (isalnum(c) || (c && strchr(safe, c)))
            strbuf_addc(out, (char)c);
        else if (is_query && c == ' ')
            strbuf_addc(out, '+');
        else
            strbuf_addf(out, "%%%02X", c);
    }
}

FILTER(do_urlencode)
{
    (void)ctx;
    static const char *const names[] = {"value"};
    struct value v, items, text;
    enum err err = ARGS_BIND(run, call, "urlencode", names, 1, &v);
    if (err != OK)
        return err;
    struct strbuf sb;
    strbuf_init(&sb);
    bool is_pairs = v.kind == VALUE_DICT || v.kind == VALUE_LIST || v.kind == VALUE_TUPLE || v.kind == VALUE_ITERATOR ||
                    v.kind == VALUE_RANGE;
    if (!is_pairs) {
        err = args_soft_text(run, v, &text);
        if (err == OK)
            add_percent_encoded(&sb, text.str->data, text.str->len_bytes, "_.-~/", false);
    } else {
        err = v.kind == VALUE_DICT ? value_items(run, v, &items) : value_iterate(run, v, &items);
        for (size_t i = 0; err == OK && i < items.seq->count; i++) {
            struct value pair;
            err = value_iterate(run, items.seq->items[i], &pair);
            if (err == OK && pair.seq->count != 2)
                err = value_error(run, "ValueError", "pairs are needed, not %zu values", pair.seq->count);
            if (err != OK)
                break;
            strbuf_adds(&sb, i ? "&" : "");
            for (size_t k = 0; k < 2 && err == OK; k++) {
                err = args_soft_text(run, pair.seq->items[k], &text);
                if (err == OK)
                    add_percent_encoded(&sb, text.str->data, text.str->len_bytes, "_.-~", true);
                strbuf_adds(&sb, k == 0 ? "=" : "");
            }
        }
    }
    if (err == OK)
        return args_finish(run, VALUE_STR, &sb, out);
    strbuf_deinit(&sb);
    return err;
}

/* ---------------------------------------------------------------------------------------------------------- urlize */

/* A part of an escaped text. */
struct span {
    const char *begin, *end;
};

static size_t span_len(struct span s)
{
    return (size_t)(s.end - s.begin);
}

static bool begins_with(struct span s, const char *text)
{
    return span_len(s) >= strlen(text) && strncasecmp(s.begin, text, strlen(text)) == 0;
}

static bool begins_exactly(struct span s, const char *text)
{
    return span_len(s) >= strlen(text) && memcmp(s.begin, text, strlen(text)) == 0;
}

static size_t count_text(struct span s, const char *text)
{
    size_t count = 0, len = strlen(text);
    for (const char *p = s.begin; (p = memmem(p, (size_t)(s.end - p), text, len)) != NULL; p += len)
        count++;
    return count;
}

static bool is_word_char(uint32_t c)
{
    return c == '_' || text_class_is(c, CLASS_ALPHA) || text_class_is(c, CLASS_NUMERIC);
}

static bool is_host_character(uint32_t c)
{
    return is_word_char(c) || c == '%' || c == '-';
}

/* One label of a host name: its characters; the end of it is put to *p. */
static size_t skip_label(const char **p, const char *end)
{
    size_t count = 0;
    while (*p < end) {
        const char *next = *p;
        if (!is_host_character(text_next(&next)))
            break;
        *p = next;
        count++;
    }
    return count;
}

static bool is_letters(struct span s)
{
    for (const char *p = s.begin; p < s.end; p++)
        if (!isalpha((unsigned char)*p))
            return false;
    return true;
}

/* A top-level domain: 2 to 63 letters, or xn-- and 2 to 59 word characters. */
static bool is_top_level(struct span s)
{
    if (span_len(s) >= 2 && span_len(s) <= 63 && is_letters(s))
        return true;
    size_t count = 0;
    if (!begins_with(s, "xn--"))
        return false;
    for (const char *p = s.begin + 4; p < s.end; count++) {
        uint32_t c = text_next(&p);
        if (!is_word_char(c) && c != '%')
            return false;
    }
    return count >= 2 && count <= 59;
}

/* What may follow the host: ":" and up to five digits, then nothing or something that begins with / ? or #. */
static bool is_rest(const char *p, const char *end)
{
    if (p < end && *p == ':') {
        const char *digits = ++p;
        while (p < end && isdigit((unsigned char)*p) && p - digits < 5)
            p++;
        if (p == digits)
            return false;
    }
    return p == end || *p == '/' || *p == '?' || *p == '#';
}

/* Labels with dots between; the last one must satisfy `is_last`, with at least `least` before it. A shorter host may do
 * where a longer one does not, but then what follows it is neither a port nor a path. */
static bool is_host(struct span s, bool (*is_last)(struct span s), size_t least)
{
    const char *p = s.begin;
    for (size_t labels = 0;; labels++) {
        struct span label = {p, p};
        size_t count = skip_label(&label.end, s.end);
        if (count == 0)
            return false;
        p = label.end;
        if (labels >= least && is_last(label) && is_rest(p, s.end))
            return true;
        if (p == s.end || *p != '.' || (least && (count < 2 || count > 63)))
            return false;
        p++;
    }
}

static bool is_basic_top_level(struct span s)
{
    static const char *const names[] = {"com", "net", "int", "edu", "gov", "org", "info", "mil"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (span_len(s) == strlen(names[i]) && begins_with(s, names[i]))
            return true;
    return false;
}

/* Four numbers of up to three digits. */
static bool is_ipv4(struct span s)
{
    const char *p = s.begin;
    for (int i = 0; i < 4; i++) {
        const char *digits = p;
        while (p < s.end && isdigit((unsigned char)*p) && p - digits < 3)
            p++;
        if (p == digits || (i < 3 && (p == s.end || *p++ != '.')))
            return false;
    }
    return is_rest(p, s.end);
}

/* [...] with at least three groups of up to four hexadecimal digits. */
static bool is_ipv6(struct span s)
{
    const char *p = s.begin;
    if (p == s.end || *p++ != '[')
        return false;
    size_t colons = 0, digits = 0, groups = 0;
    for (; p < s.end && *p != ']'; p++) {
        if (*p == ':') {
            colons++;
            groups += digits > 0;
            digits = 0;
        } else if (!isxdigit((unsigned char)*p) || ++digits > 4) {
            return false;
        }
    }
    return p < s.end && colons >= 2 && colons <= 8 && is_rest(p + 1, s.end);
}

static bool is_web_address(struct span s)
{
    size_t scheme = begins_with(s, "https://") ? 8 : begins_with(s, "http://") ? 7 : 0;
    struct span host = {s.begin + scheme, s.end};
    if (scheme && (is_host(host, is_top_level, 0) || is_ipv4(host) || is_ipv6(host)))
        return true;
    if (begins_with(s, "www.") && is_host((struct span){s.begin + 4, s.end}, is_top_level, 0))
        return true;
    return is_host(s, is_basic_top_level, 1);
}

/* something@name.name */
static bool is_mail_address(struct span s)
{
    const char *last_at = NULL;
    for (const char *p = s.begin; p < s.end; p++)
        if (*p == '@')
            last_at = p;
    if (!last_at || last_at == s.begin || last_at + 1 == s.end)
        return false;
    const char *dot = NULL;
    size_t behind_dot = 0, count = 0;
    for (const char *p = last_at + 1; p < s.end; count++) {
        const char *here = p;
        uint32_t c = text_next(&p);
        if (!is_word_char(c) && (count == 0 || (c != '.' && c != '-')))
            return false;
        if (c == '.')
            dot = here;
        behind_dot = c == '.' ? 0 : is_word_char(c) ? behind_dot + 1 : SIZE_MAX / 2;
    }
    return dot && behind_dot > 0 && behind_dot < SIZE_MAX / 2;
}

/* --- one word of the text --- */

struct urlize_options {
    int64_t limit; /* of characters shown; -1: none */
    const char *attributes;
    struct value schemes; /* a list of texts */
};

/* A word is taken apart into what stands before an address, the address, and what stands behind it. */
struct word {
    struct span head, middle, tail;
};

static size_t head_mark(struct span s)
{
    return begins_exactly(s, "(") || begins_exactly(s, "<") ? 1 : begins_exactly(s, "&lt;") ? 4 : 0;
}

static size_t tail_mark(struct span s)
{
    size_t len = span_len(s);
    if (len >= 4 && memcmp(s.end - 4, "&gt;", 4) == 0)
        return 4;
    return len && strchr(")>.,\n", s.end[-1]) ? 1 : 0;
}

static struct word take_apart(struct span s)
{
    struct word w = {{s.begin, s.begin}, s, {s.end, s.end}};
    for (size_t n; (n = head_mark(w.middle)) > 0;)
        w.middle.begin += n;
    w.head.end = w.middle.begin;
    for (size_t n; (n = tail_mark(w.middle)) > 0;)
        w.middle.end -= n;
    w.tail.begin = w.middle.end;
    /* Brackets that were opened inside of the address are closed inside of it. */
    static const char *const pairs[][2] = {{"(", ")"}, {"<", ">"}, {"&lt;", "&gt;"}};
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        size_t opened = count_text(w.middle, pairs[i][0]), closing = count_text(w.tail, pairs[i][1]);
        if (opened <= count_text(w.middle, pairs[i][1]))
            continue;
        for (size_t n = opened < closing ? opened : closing; n > 0; n--) {
            const char *found = memmem(w.tail.begin, span_len(w.tail), pairs[i][1], strlen(pairs[i][1]));
            w.middle.end = w.tail.begin = found + strlen(pairs[i][1]);
        }
    }
    return w;
}

static void add_span(struct strbuf *out, struct span s)
{
    strbuf_add(out, s.begin, span_len(s));
}

static void add_shortened(struct strbuf *out, struct span s, int64_t limit)
{
    const char *p = s.begin;
    int64_t count = 0;
    while (p < s.end && (limit < 0 || count < limit)) {
        (void)text_next(&p);
        count++;
    }
    add_span(out, (struct span){s.begin, p});
    strbuf_adds(out, p < s.end ? "..." : "");
}

static bool has_scheme(struct span s, struct value schemes)
{
    for (size_t i = 0; i < schemes.seq->count; i++) {
        const struct value_str *scheme = schemes.seq->items[i].str;
        if (span_len(s) > scheme->len_bytes && memcmp(s.begin, scheme->data, scheme->len_bytes) == 0)
            return true;
    }
    return false;
}

static void add_word(struct strbuf *out, struct span s, const struct urlize_options *o)
{
    struct word w = take_apart(s);
    struct span mail = {w.middle.begin + (begins_exactly(w.middle, "mailto:") ? 7 : 0), w.middle.end};
    bool is_web = is_web_address(w.middle);
    add_span(out, w.head);
    if (is_web) {
        bool has_protocol = begins_exactly(w.middle, "https://") || begins_exactly(w.middle, "http://");
        strbuf_adds(out, has_protocol ? "<a href=\"" : "<a href=\"https://");
        add_span(out, w.middle);
        strbuf_addf(out, "\"%s>", o->attributes);
        add_shortened(out, w.middle, o->limit);
        strbuf_adds(out, "</a>");
    } else if (mail.begin > w.middle.begin && is_mail_address(mail)) {
        strbuf_adds(out, "<a href=\"");
        add_span(out, w.middle);
        strbuf_adds(out, "\">");
        add_span(out, mail);
        strbuf_adds(out, "</a>");
    } else if (memchr(w.middle.begin, '@', span_len(w.middle)) && !begins_exactly(w.middle, "www.") &&
               !memchr(w.middle.begin, ':', span_len(w.middle)) && is_mail_address(w.middle)) {
        strbuf_adds(out, "<a href=\"mailto:");
        add_span(out, w.middle);
        strbuf_adds(out, "\">");
        add_span(out, w.middle);
        strbuf_adds(out, "</a>");
    } else if (has_scheme(w.middle, o->schemes)) {
        strbuf_adds(out, "<a href=\"");
        add_span(out, w.middle);
        strbuf_addf(out, "\"%s>", o->attributes);
        add_span(out, w.middle);
        strbuf_adds(out, "</a>");
    } else {
        add_span(out, w.middle);
    }
    add_span(out, w.tail);
}

static void add_words(struct jinja_run *run, struct strbuf *out, const struct value_str *text,
                      const struct urlize_options *o)
{
    for (const char *p = text->data, *end = p + text->len_bytes; p < end && run_has_room(run, out->len_bytes);) {
        struct span s = {p, p};
        const char *next = p;
        bool is_blank = text_class_is(text_next(&next), CLASS_SPACE);
        while (s.end < end) {
            next = s.end;
            if (text_class_is(text_next(&next), CLASS_SPACE) != is_blank)
                break;
            s.end = next;
        }
        p = s.end;
        if (is_blank)
            add_span(out, s);
        else
            add_word(out, s, o);
    }
}

/* --- arguments --- */

static bool is_scheme(const struct value_str *s)
{
    size_t count = 0;
    const char *p = s->data, *end = p + s->len_bytes;
    while (p < end) {
        const char *next = p;
        uint32_t c = text_next(&next);
        if (!is_word_char(c) && c != '.' && c != '+' && c != '-')
            break;
        p = next;
        count++;
    }
    return count >= 2 && p < end && *p == ':' && end - p <= 3 && strspn(p + 1, "/") == (size_t)(end - p - 1);
}

static enum err read_schemes(struct jinja_run *run, struct value v, struct value *list)
{
    *list = value_list(run);
    if (v.kind == VALUE_NONE)
        return OK;
    enum err err = value_iterate(run, v, list);
    for (size_t i = 0; err == OK && i < list->seq->count; i++) {
        struct value item = list->seq->items[i];
        if (!value_is_text(item))
            err = value_error(run, "TypeError", "expected string or bytes-like object");
        else if (!is_scheme(item.str))
            err = value_error(run, "FilterArgumentError", "'%.60s' is not a valid URI scheme prefix.", item.str->data);
    }
    return err;
}

/* rel="..." of the words given, nofollow and noopener, sorted, each once; then target="...". */
static enum err link_attributes(struct jinja_run *run, struct value rel, bool is_nofollow, struct value target,
                                struct strbuf *out)
{
    struct value words = value_dict(run), list, text;
    const struct value_str *given = NULL;
    enum err err = OK;
    if (value_is_true(rel))
        err = args_text(run, rel, "rel", &given);
    for (const char *p = given ? given->data : ""; err == OK && *p;) {
        size_t len = strcspn(p, " \t\n\r\f\v");
        if (len)
            (void)value_set_item(run, words, value_str(run, p, len), value_none());
        p += len ? len : 1;
    }
    if (is_nofollow)
        (void)value_set_text(run, words, "nofollow", value_none());
    (void)value_set_text(run, words, "noopener", value_none());
    if (err == OK)
        err = value_iterate(run, words, &list);
    if (err == OK)
        err = list_sort(run, list, NULL, NULL, false);
    if (err != OK)
        return err;
    for (size_t i = 0; i < list.seq->count; i++) {
        strbuf_adds(out, i ? " " : " rel=\"");
        value_escape_html(out, list.seq->items[i].str->data, list.seq->items[i].str->len_bytes);
    }
    strbuf_addc(out, '"');
    if (!value_is_true(target))
        return OK;
    err = value_escape(run, target, &text);
    if (err == OK)
        strbuf_addf(out, " target=\"%s\"", text.str->data);
    return err;
}

FILTER(do_urlize)
{
    (void)ctx;
    static const char *const names[] = {"value", "trim_url_limit", "nofollow", "target", "rel", "extra_schemes"};
    struct value args[6] = {value_none(), value_none(), value_bool(false), value_none(), value_none(), value_none()},
                 text;
    struct urlize_options options = {.limit = -1};
    struct strbuf attributes, sb;
    strbuf_init(&attributes);
    strbuf_init(&sb);
    enum err err = ARGS_BIND(run, call, "urlize", names, 1, args);
    if (err == OK && args[1].kind != VALUE_NONE)
        err = args_int(run, args[1], "urlize", &options.limit);
    if (err == OK && options.limit < 0 && args[1].kind != VALUE_NONE)
        err = value_error(run, "ValueError", "urlize: a negative limit");
    if (err == OK)
        err = read_schemes(run, args[5], &options.schemes);
    if (err == OK)
        err = link_attributes(run, args[4], value_is_true(args[2]), args[3], &attributes);
    if (err == OK)
        err = value_escape(run, args[0], &text);
    options.attributes = attributes.data;
    if (err == OK)
        add_words(run, &sb, text.str, &options);
    strbuf_deinit(&attributes);
    *out = value_as(run->is_escaping ? VALUE_MARKUP : VALUE_STR, value_from_strbuf(run, &sb));
    return err == OK && run->has_failed ? ERR_LIMIT : err;
}

const struct value_filter url_filters[] = {{"urlencode", do_urlencode}, {"urlize", do_urlize}, {NULL, NULL}};
