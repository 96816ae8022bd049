/* Python's pprint: containers that do not fit on a line of 80 characters are written over several, dicts are sorted. */
#include "server/gcode/template/methods.h"

#include "base/check.h"

#include <string.h>

#define LINE_WIDTH 80

struct printer_state {
    struct jinja_run *run;
    struct strbuf *out;
};

static size_t code_points(const char *text, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

/* As str(type(v)) sorts them, where two keys cannot be compared. */
static int compare_keys(struct jinja_run *run, struct value a, struct value b)
{
    int order = 0;
    bool is_comparable = (value_is_number(a) && value_is_number(b)) || (value_is_text(a) && value_is_text(b)) ||
                         (a.kind == VALUE_BYTES && b.kind == VALUE_BYTES);
    if (is_comparable)
        return value_compare(run, "<", a, b, &order) == OK ? order : 0;
    return strcmp(value_type_name(a), value_type_name(b));
}

/* The dict's (key, value) tuples, sorted by key; stable. */
static enum err sorted_items(struct jinja_run *run, struct value dict, struct value *list)
{
    enum err err = value_items(run, dict, list);
    if (err != OK || !run_charge(run, (uint64_t)list->seq->count * list->seq->count / 16))
        return err != OK ? err : ERR_LIMIT;
    struct value *items = list->seq->items;
    for (size_t i = 1; i < list->seq->count; i++) {
        struct value item = items[i];
        size_t at = i;
        for (; at > 0 && compare_keys(run, item.seq->items[0], items[at - 1].seq->items[0]) < 0; at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
    return run->has_failed ? ERR_INVALID : OK;
}

/* repr(), with sorted dicts. */
static enum err add_repr(struct jinja_run *run, struct value v, struct strbuf *out, unsigned depth)
{
    struct value list = v;
    bool is_dict = v.kind == VALUE_DICT, is_tuple = v.kind == VALUE_TUPLE;
    if (depth > VALUE_DEPTH_MAX)
        return value_error(run, "RecursionError", "maximum recursion depth exceeded");
    if (!is_dict && v.kind != VALUE_LIST && (!is_tuple || (v.seq->names && v.seq->names->type_name)))
        return value_repr(run, v, out);
    enum err err = is_dict ? sorted_items(run, v, &list) : OK;
    strbuf_addc(out, is_dict ? '{' : is_tuple ? '(' : '[');
    for (size_t i = 0; err == OK && i < list.seq->count; i++) {
        struct value item = list.seq->items[i];
        strbuf_adds(out, i ? ", " : "");
        if (is_dict) {
            err = add_repr(run, item.seq->items[0], out, depth + 1);
            strbuf_adds(out, ": ");
            item = item.seq->items[1];
        }
        if (err == OK)
            err = add_repr(run, item, out, depth + 1);
        if (err == OK && (!run_has_room(run, out->len_bytes) || !run_charge(run, 1)))
            err = ERR_LIMIT;
    }
    strbuf_adds(out, is_dict ? "}" : !is_tuple ? "]" : list.seq->count == 1 ? ",)" : ")");
    return err;
}

static void new_line(struct strbuf *out, size_t indent)
{
    strbuf_addc(out, '\n');
    for (size_t i = 0; i < indent; i++)
        strbuf_addc(out, ' ');
}

static enum err add_value(struct printer_state *p, struct value v, size_t indent, size_t allowance, unsigned level);

/* [a,\n b]: `close` is what stands behind the last one, which needs that much more room. */
static enum err add_items(struct printer_state *p, struct value v, size_t indent, size_t allowance, unsigned level)
{
    bool is_tuple = v.kind == VALUE_TUPLE;
    const char *close = !is_tuple ? "]" : v.seq->count == 1 ? ",)" : ")";
    enum err err = OK;
    strbuf_addc(p->out, is_tuple ? '(' : '[');
    for (size_t i = 0; err == OK && i < v.seq->count; i++) {
        bool is_last = i + 1 == v.seq->count;
        if (i) {
            strbuf_addc(p->out, ',');
            new_line(p->out, indent + 1);
        }
        err = add_value(p, v.seq->items[i], indent + 1, is_last ? allowance + strlen(close) : 1, level);
    }
    strbuf_adds(p->out, close);
    return err;
}

static enum err add_dict(struct printer_state *p, struct value v, size_t indent, size_t allowance, unsigned level)
{
    struct value list;
    enum err err = sorted_items(p->run, v, &list);
    strbuf_addc(p->out, '{');
    for (size_t i = 0; err == OK && i < list.seq->count; i++) {
        bool is_last = i + 1 == list.seq->count;
        if (i) {
            strbuf_addc(p->out, ',');
            new_line(p->out, indent + 1);
        }
        size_t begin = p->out->len_bytes;
        err = add_repr(p->run, list.seq->items[i].seq->items[0], p->out, 0);
        size_t width = code_points(p->out->data + begin, p->out->len_bytes - begin);
        strbuf_adds(p->out, ": ");
        if (err == OK)
            err = add_value(p, list.seq->items[i].seq->items[1], indent + 1 + width + 2, is_last ? allowance + 1 : 1,
                            level);
    }
    strbuf_addc(p->out, '}');
    return err;
}

/* ----------------------------------------------------------------------------------------------------- long texts */

/* A text in pieces, one a line: 'abc '\n 'def'. */
struct text_pieces {
    struct printer_state *p;
    size_t indent, count;
};

static enum err add_piece(struct text_pieces *t, const char *text, size_t len)
{
    struct strbuf *out = t->p->out;
    if (t->count++)
        new_line(out, t->indent);
    return value_repr(t->p->run, value_str(t->p->run, text, len), out);
}

static size_t repr_width(struct jinja_run *run, const char *text, size_t len)
{
    struct strbuf sb;
    strbuf_init(&sb);
    (void)value_repr(run, value_str(run, text, len), &sb);
    size_t width = code_points(sb.data ? sb.data : "", sb.len_bytes);
    strbuf_deinit(&sb);
    return width;
}

/* Words with the white space behind them, as many as fit each time. */
static enum err add_words(struct text_pieces *t, const char *line, const char *end, size_t width, size_t last_width)
{
    const char *piece = line, *p = line;
    enum err err = OK;
    while (p < end && err == OK) {
        const char *next = p;
        while (next < end) {
            const char *q = next;
            if (text_class_is(text_next(&q), CLASS_SPACE))
                break;
            next = q;
        }
        while (next < end) {
            const char *q = next;
            if (!text_class_is(text_next(&q), CLASS_SPACE))
                break;
            next = q;
        }
        size_t room = next == end ? last_width : width;
        if (repr_width(t->p->run, piece, (size_t)(next - piece)) > room) {
            if (p > piece)
                err = add_piece(t, piece, (size_t)(p - piece));
            piece = p;
        }
        p = next;
    }
    return err == OK && piece < end ? add_piece(t, piece, (size_t)(end - piece)) : err;
}

/* At the outermost level the pieces stand in parentheses. They are written to a text of their own first: if it is one
 * piece after all, it needs none. */
static enum err add_text(struct printer_state *p, struct value v, size_t indent, size_t allowance, unsigned level)
{
    struct strbuf pieces, *out = p->out;
    strbuf_init(&pieces);
    bool is_outermost = level == 1;
    indent += is_outermost;
    allowance += is_outermost;
    p->out = &pieces;
    struct text_pieces t = {.p = p, .indent = indent};
    size_t width = LINE_WIDTH > indent ? LINE_WIDTH - indent : 0, last = width > allowance ? width - allowance : 0;
    enum err err = OK;
    for (const char *at = v.str->data, *end = at + v.str->len_bytes; err == OK && at < end;) {
        const char *line = at;
        (void)text_line(&at, end);
        size_t room = at == end ? last : width;
        if (repr_width(p->run, line, (size_t)(at - line)) <= room)
            err = add_piece(&t, line, (size_t)(at - line));
        else
            err = add_words(&t, line, at, width, at == end ? last : width);
    }
    p->out = out;
    bool has_parentheses = is_outermost && t.count > 1;
    strbuf_adds(out, has_parentheses ? "(" : "");
    strbuf_add(out, pieces.data ? pieces.data : "", pieces.len_bytes);
    strbuf_adds(out, has_parentheses ? ")" : "");
    strbuf_deinit(&pieces);
    return err;
}

static enum err add_value(struct printer_state *p, struct value v, size_t indent, size_t allowance, unsigned level)
{
    if (level > VALUE_DEPTH_MAX / 2)
        return value_error(p->run, "RecursionError", "maximum recursion depth exceeded");
    struct strbuf line;
    strbuf_init(&line);
    enum err err = add_repr(p->run, v, &line, 0);
    size_t width = code_points(line.data ? line.data : "", line.len_bytes);
    bool is_plain_tuple = v.kind == VALUE_TUPLE && !(v.seq->names && v.seq->names->type_name);
    bool is_long = err == OK && width + indent + allowance > LINE_WIDTH;
    if (is_long && (v.kind == VALUE_LIST || is_plain_tuple))
        err = add_items(p, v, indent, allowance, level + 1);
    else if (is_long && v.kind == VALUE_DICT)
        err = add_dict(p, v, indent, allowance, level + 1);
    else if (is_long && v.kind == VALUE_STR)
        err = add_text(p, v, indent, allowance, level + 1);
    else if (err == OK)
        strbuf_add(p->out, line.data, line.len_bytes);
    strbuf_deinit(&line);
    return err == OK && !run_has_room(p->run, p->out->len_bytes) ? ERR_LIMIT : err;
}

enum err value_pprint(struct jinja_run *run, struct value v, struct strbuf *out)
{
    struct printer_state state = {.run = run, .out = out};
    return add_value(&state, v, 0, 0, 0);
}
