/* The line rules of printer.cfg.
 *
 * A comment begins at any '#', and at a ';' that begins the line or follows white space. A line that is indented deeper
 * than the last option's name continues that option's value; an empty line inside a value belongs to it (unless it held a
 * ';' comment), empty lines at the end do not. Each part of a file between two includes stands for itself: a section does
 * not go on behind an include. The autosave block is one more part, without its "#*# " marks. */
#include "server/config/private.h"

#include "base/mem.h"

#include <string.h>

struct parse_state {
    struct parse_cursor *cursor;
    struct config_section *section;
    struct stored_option *option;
    struct strbuf value; /* of `option`, while it grows */
    int *lines;          /* of the file, of each line of `value` */
    size_t line_count, line_capacity;
    size_t indent;       /* of the line that began the section or option */
    bool is_lost;        /* lines before the first section have been reported */
};

struct line {
    const char *text;
    size_t len;
    bool had_semicolon_comment;
};

/* Where the text without the white space at its begin, and at its end, begins and ends. */
static const char *skip_blank(const char *p, const char *end)
{
    for (size_t n; (n = config_blank_at(p, end)) != 0;)
        p += n;
    return p;
}

static const char *trim_blank(const char *begin, const char *end)
{
    for (size_t n; (n = config_blank_before(begin, end)) != 0;)
        end -= n;
    return end;
}

/* Take the next line of the text, without its end. */
static bool next_raw(struct parse_cursor *cursor, const char **text, size_t *len)
{
    if (cursor->next >= cursor->end)
        return false;
    const char *begin = cursor->next, *p = begin;
    while (p < cursor->end && *p != '\n' && *p != '\r')
        p++;
    *text = cursor->line_text = begin;
    *len = (size_t)(p - begin);
    if (p < cursor->end)
        p += p[0] == '\r' && p + 1 < cursor->end && p[1] == '\n' ? 2 : 1;
    cursor->next = p;
    cursor->line++;
    return true;
}

static bool starts_with(const char *text, size_t len, const char *prefix)
{
    size_t n = strlen(prefix);
    return len >= n && !memcmp(text, prefix, n);
}

/* A line of the autosave block loses its mark. False: it is not part of the block. */
static bool strip_autosave(struct parse_cursor *cursor, const char **text, size_t *len)
{
    if (starts_with(*text, *len, AUTOSAVE_MARK)) {
        *text += 3;
        *len -= 3;
        if (*len && **text == ' ') {
            (*text)++;
            (*len)--;
            return true;
        }
        if (!*len)
            return true;
    } else {
        if (skip_blank(*text, *text + *len) == *text + *len)
            return false;
    }
    config_error_file(cursor->config, cursor->file_index, cursor->line,
                      "Can't read autosave from config file - found a line that does not begin with '#*# ' behind the "
                      "SAVE_CONFIG header");
    return false;
}

static void cut_comment(struct line *line)
{
    const char *hash = memchr(line->text, '#', line->len);
    if (hash)
        line->len = (size_t)(hash - line->text);
    for (size_t i = 0; i < line->len; i++)
        if (line->text[i] == ';' && (i == 0 || config_blank_before(line->text, line->text + i))) {
            line->len = i;
            line->had_semicolon_comment = true;
            break;
        }
    line->len = (size_t)(trim_blank(line->text, line->text + line->len) - line->text);
}

static void add_line_number(struct parse_state *st)
{
    if (st->line_count == st->line_capacity) {
        st->line_capacity = st->line_capacity ? st->line_capacity * 2 : 64;
        st->lines = mem_realloc(st->lines, st->line_capacity * sizeof *st->lines);
    }
    st->lines[st->line_count++] = st->cursor->line;
}

/* Only a value with lines left out between (comments) needs the number of each. */
static void keep_lines(struct parse_state *st)
{
    struct config_option *option = &st->option->pub;
    option->lines = NULL;
    if (!st->line_count || st->lines[st->line_count - 1] == option->line + (int)st->line_count - 1)
        return;
    int *kept = arena_alloc(&st->cursor->config->arena, (st->line_count + 1) * sizeof *kept);
    memcpy(kept, st->lines, st->line_count * sizeof *kept);
    option->lines = kept; /* ends in a zero */
}

static void finish_option(struct parse_state *st)
{
    if (!st->option)
        return;
    while (st->value.len_bytes && (st->value.data[st->value.len_bytes - 1] == '\n'))
        st->value.len_bytes--;
    st->option->pub.value = arena_strndup(&st->cursor->config->arena, st->value.data, st->value.len_bytes);
    keep_lines(st);
    st->option = NULL;
}

static void begin_section(struct parse_state *st, const char *name, size_t len)
{
    struct parse_cursor *cursor = st->cursor;
    finish_option(st);
    if (len == 7 && !memcmp(name, "DEFAULT", 7))
        config_error_file(cursor->config, cursor->file_index, cursor->line,
                          "Section 'DEFAULT' is not supported: write its options in the sections that need them");
    st->section = config_get_section(cursor->config, name, len, cursor->file_index, cursor->line);
}

static void begin_option(struct parse_state *st, const char *text, size_t len)
{
    struct parse_cursor *cursor = st->cursor;
    finish_option(st);
    size_t i = 0;
    while (i < len && text[i] != ':' && text[i] != '=')
        i++;
    size_t name_len = (size_t)(trim_blank(text, text + i) - text);
    if (i == len || !name_len) {
        config_error_file(cursor->config, cursor->file_index, cursor->line,
                          "Unable to parse line '%.*s' (expected: 'option: value', '[section]', or an indented line that "
                          "continues a value)",
                          (int)(len > 120 ? 120 : len), text);
        return;
    }
    if (!st->section) {
        if (!st->is_lost)
            config_error_file(cursor->config, cursor->file_index, cursor->line,
                              "Option '%.*s' stands outside of any section (expected: a '[section]' line before it)",
                              (int)(name_len > 120 ? 120 : name_len), text);
        st->is_lost = true;
        return;
    }
    st->option = section_store(st->section, text, name_len, cursor->file_index, cursor->line);
    if (!st->option)
        return;
    st->option->pub.is_autosave = cursor->is_autosave;
    const char *end = text + len, *value = skip_blank(text + i + 1, end);
    strbuf_clear(&st->value);
    strbuf_add(&st->value, value, (size_t)(end - value));
    st->line_count = 0;
    add_line_number(st);
}

/* `[include PATTERN]` at the very start of a line: the pattern, else NULL. */
static const char *include_of(struct parse_state *st, const struct line *line)
{
    if (!starts_with(line->text, line->len, "[include "))
        return NULL;
    size_t end = line->len;
    while (end && line->text[end - 1] != ']')
        end--;
    if (!end)
        return NULL;
    const char *stop = line->text + end - 1, *begin = skip_blank(line->text + 9, stop);
    stop = trim_blank(begin, stop);
    return arena_strndup(&st->cursor->config->arena, begin, (size_t)(stop - begin));
}

static void report_line(struct parse_state *st)
{
    struct parse_cursor *cursor = st->cursor;
    if (st->option && cursor->on_line)
        cursor->on_line(cursor->ctx, cursor->line_text, st->section, &st->option->pub);
}

static void take_line(struct parse_state *st, struct line *line)
{
    size_t indent = 0; /* in characters */
    const char *text = line->text, *end_of_line = line->text + line->len;
    for (size_t n; (n = config_blank_at(text, end_of_line)) != 0; indent++)
        text += n;
    size_t len = (size_t)(end_of_line - text);
    if (!len) {
        if (st->option && !line->had_semicolon_comment) {
            strbuf_addc(&st->value, '\n');
            add_line_number(st);
        }
        return;
    }
    if (st->option && indent > st->indent) {
        strbuf_addc(&st->value, '\n');
        strbuf_add(&st->value, text, len);
        add_line_number(st);
        report_line(st);
        return;
    }
    st->indent = indent;
    if (text[0] == '[') {
        size_t end = len;
        while (end > 1 && text[end - 1] != ']')
            end--;
        if (end > 2) {
            begin_section(st, text + 1, end - 2);
            return;
        }
    }
    begin_option(st, text, len);
    report_line(st);
}

void config_parse_unit(struct parse_cursor *cursor, const char **include)
{
    struct parse_state st = {.cursor = cursor};
    strbuf_init(&st.value);
    *include = NULL;
    struct line line = {0};
    while (next_raw(cursor, &line.text, &line.len)) {
        line.had_semicolon_comment = false;
        if (cursor->is_autosave) {
            if (!strip_autosave(cursor, &line.text, &line.len))
                continue;
            if (starts_with(line.text, line.len, "DO NOT EDIT THIS BLOCK"))
                continue;
        } else if (cursor->is_main && starts_with(line.text, line.len, AUTOSAVE_HEADER)) {
            finish_option(&st);
            st.section = NULL;
            cursor->is_autosave = true;
            cursor->block = line.text;
            continue;
        }
        cut_comment(&line);
        if (!cursor->is_autosave && (*include = include_of(&st, &line)))
            break;
        take_line(&st, &line);
    }
    finish_option(&st);
    strbuf_deinit(&st.value);
    mem_free(st.lines);
}
