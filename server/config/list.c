/* Options that hold lists, and lists of lists. */
#include "server/config/private.h"

#include "base/check.h"

#include <string.h>

struct span {
    const char *text;
    size_t len;
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct span strip(struct span s)
{
    while (s.len && is_space(s.text[0]))
        s.text++, s.len--;
    while (s.len && is_space(s.text[s.len - 1]))
        s.len--;
    return s;
}

/* Split at `separator`, each part stripped; `drop_empty` leaves empty parts out. ERR_LIMIT as false. */
static bool split(struct config *config, struct span whole, char separator, bool drop_empty, struct span **parts,
                  size_t *count)
{
    size_t cap = 1;
    for (size_t i = 0; i < whole.len; i++)
        cap += whole.text[i] == separator;
    *count = 0;
    if (cap > CONFIG_LIST_ITEMS_MAX)
        return false;
    *parts = arena_alloc(&config->arena, cap * sizeof **parts);
    const char *p = whole.text, *end = p + whole.len;
    for (;;) {
        const char *q = memchr(p, separator, (size_t)(end - p));
        struct span part = strip((struct span){p, (size_t)((q ? q : end) - p)});
        if (part.len || !drop_empty)
            (*parts)[(*count)++] = part;
        if (!q)
            return true;
        p = q + 1;
    }
}

static struct option_desc const *desc_of(const struct config_section *section, const char *name)
{
    for (size_t t = 0; t < section->table_count; t++)
        for (size_t i = 0; i < section->tables[t].count; i++)
            if (option_matches(section->tables[t].options[i].name, name))
                return &section->tables[t].options[i];
    UNREACHABLE();
}

/* The text to split, or an empty span if the option is absent and may be. */
static bool text_of(struct config_section *section, const char *name, const struct option_desc *desc, struct span *out)
{
    struct stored_option *option = section_stored(section, name);
    const char *text = option ? option->pub.value : desc->default_text;
    if (option)
        option->is_read = true;
    if (!text && (desc->flags & OPTION_REQUIRED))
        config_error_option(section, name, "Option '%s' in section '%s' must be specified", name, section->name);
    *out = (struct span){text ? text : "", text ? strlen(text) : 0};
    return text != NULL;
}

static void report_items(struct config_section *section, const char *name)
{
    config_error_option(section, name, "Option '%s' in section '%s' has too many items (allowed: %d)", name, section->name,
                        CONFIG_LIST_ITEMS_MAX);
}

static bool check_count(struct config_section *section, const char *name, int wanted, size_t found)
{
    if (!wanted || (size_t)wanted == found)
        return true;
    config_error_option(section, name, "Option '%s' in section '%s' must have %d elements (found: %zu)", name,
                        section->name, wanted, found);
    return false;
}

static const char *const *to_texts(struct config *config, const struct span *parts, size_t count)
{
    const char **items = arena_alloc(&config->arena, (count ? count : 1) * sizeof *items);
    for (size_t i = 0; i < count; i++)
        items[i] = arena_strndup(&config->arena, parts[i].text, parts[i].len);
    return items;
}

static bool to_numbers(struct config_section *section, const char *name, const struct config_list *list, bool is_int,
                       struct config_numbers *out)
{
    double *items = arena_alloc(&section->config->arena, (list->count ? list->count : 1) * sizeof *items);
    for (size_t i = 0; i < list->count; i++) {
        int whole = 0;
        bool is_good = is_int ? config_parse_int(list->items[i], &whole) : config_parse_float(list->items[i], &items[i]);
        if (!is_good) {
            config_error_option(section, name, "Unable to parse option '%s' in section '%s' (found: '%.80s', expected: %s)",
                                name, section->name, list->items[i], is_int ? "whole numbers" : "numbers");
            return false;
        }
        if (is_int)
            items[i] = whole;
    }
    *out = (struct config_numbers){items, list->count};
    return true;
}

static void add_list_json(struct strbuf *json, const struct config_list *texts, const struct config_numbers *numbers,
                          bool is_int)
{
    size_t count = texts ? texts->count : numbers->count;
    strbuf_addc(json, '[');
    for (size_t i = 0; i < count; i++) {
        if (i)
            strbuf_adds(json, ", ");
        if (texts)
            strbuf_add_json_string(json, texts->items[i], strlen(texts->items[i]));
        else if (is_int)
            strbuf_addf(json, "%.0f", numbers->items[i]);
        else
            strbuf_add_json_double(json, numbers->items[i]);
    }
    strbuf_addc(json, ']');
}

struct config_list section_list(struct config_section *section, const char *name)
{
    const struct option_desc *desc = desc_of(section, name);
    CHECK(desc->type == OPTION_LIST);
    struct config_list list = {0};
    struct span whole, *parts = NULL;
    if (!text_of(section, name, desc, &whole))
        return list;
    size_t count;
    if (!split(section->config, whole, desc->separators ? desc->separators[0] : ',', true, &parts, &count)) {
        report_items(section, name);
        return list;
    }
    if (!check_count(section, name, desc->count, count))
        return list;
    list = (struct config_list){to_texts(section->config, parts, count), count};
    struct strbuf json;
    strbuf_init(&json);
    add_list_json(&json, &list, NULL, false);
    section_record(section, name, &json, NULL);
    return list;
}

struct config_numbers section_numbers(struct config_section *section, const char *name)
{
    const struct option_desc *desc = desc_of(section, name);
    bool is_int = desc->type == OPTION_INT_LIST;
    CHECK(is_int || desc->type == OPTION_FLOAT_LIST);
    struct config_numbers numbers = {0};
    struct span whole, *parts = NULL;
    if (!text_of(section, name, desc, &whole))
        return numbers;
    size_t count;
    if (!split(section->config, whole, desc->separators ? desc->separators[0] : ',', false, &parts, &count)) {
        report_items(section, name);
        return numbers;
    }
    struct config_list texts = {to_texts(section->config, parts, count), count};
    if (!to_numbers(section, name, &texts, is_int, &numbers) || !check_count(section, name, desc->count, count))
        return (struct config_numbers){0};
    struct strbuf json;
    strbuf_init(&json);
    add_list_json(&json, NULL, &numbers, is_int);
    section_record(section, name, &json, NULL);
    return numbers;
}

/* Rows of a table as lists of texts; false after an error or if the option is absent. */
static bool read_rows(struct config_section *section, const char *name, const struct option_desc *desc,
                      struct config_list **rows, size_t *row_count)
{
    CHECK(desc->separators && strlen(desc->separators) == 2);
    struct span whole, *lines = NULL;
    *row_count = 0;
    if (!text_of(section, name, desc, &whole))
        return false;
    size_t count;
    if (!split(section->config, whole, desc->separators[0], true, &lines, &count)) {
        report_items(section, name);
        return false;
    }
    *rows = arena_alloc(&section->config->arena, (count ? count : 1) * sizeof **rows);
    for (size_t i = 0; i < count; i++) {
        struct span *parts = NULL;
        size_t n;
        if (!split(section->config, lines[i], desc->separators[1], false, &parts, &n)) {
            report_items(section, name);
            return false;
        }
        if (!check_count(section, name, desc->count, n))
            return false;
        (*rows)[i] = (struct config_list){to_texts(section->config, parts, n), n};
    }
    *row_count = count;
    return true;
}

struct config_table section_table(struct config_section *section, const char *name)
{
    const struct option_desc *desc = desc_of(section, name);
    CHECK(desc->type == OPTION_TABLE);
    struct config_list *rows = NULL;
    size_t count;
    if (!read_rows(section, name, desc, &rows, &count))
        return (struct config_table){0};
    struct strbuf json;
    strbuf_init(&json);
    strbuf_addc(&json, '[');
    for (size_t i = 0; i < count; i++) {
        if (i)
            strbuf_adds(&json, ", ");
        add_list_json(&json, &rows[i], NULL, false);
    }
    strbuf_addc(&json, ']');
    section_record(section, name, &json, NULL);
    return (struct config_table){rows, count};
}

struct config_number_table section_number_table(struct config_section *section, const char *name)
{
    const struct option_desc *desc = desc_of(section, name);
    CHECK(desc->type == OPTION_FLOAT_TABLE);
    struct config_list *texts = NULL;
    size_t count;
    if (!read_rows(section, name, desc, &texts, &count))
        return (struct config_number_table){0};
    struct config_numbers *rows = arena_alloc(&section->config->arena, (count ? count : 1) * sizeof *rows);
    struct strbuf json;
    strbuf_init(&json);
    strbuf_addc(&json, '[');
    for (size_t i = 0; i < count; i++) {
        if (!to_numbers(section, name, &texts[i], false, &rows[i])) {
            strbuf_deinit(&json);
            return (struct config_number_table){0};
        }
        if (i)
            strbuf_adds(&json, ", ");
        add_list_json(&json, NULL, &rows[i], false);
    }
    strbuf_addc(&json, ']');
    section_record(section, name, &json, NULL);
    return (struct config_number_table){rows, count};
}
