#include "server/config/private.h"

#include "base/check.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config *config_create(void)
{
    struct config *config = MEM_NEW(struct config);
    arena_init(&config->arena, 0);
    strmap_init(&config->sections_by_name);
    config->last_change = &config->changes;
    config->from = &config_files_disk;
    return config;
}

static void section_free(struct config_section *section)
{
    for (size_t i = 0; i < section->read_count; i++)
        mem_free(section->reads[i]->json);
    mem_free(section->reads);
    mem_free(section->options);
    strmap_deinit(&section->by_name);
    strmap_deinit(&section->reads_by_name);
    strbuf_deinit(&section->settings);
}

void config_destroy(struct config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->section_count; i++)
        section_free(config->sections[i]);
    mem_free(config->sections);
    mem_free(config->files);
    mem_free(config->errors);
    mem_free(config->warnings);
    strmap_deinit(&config->sections_by_name);
    for (struct autosave_change *change = config->changes; change; change = change->next)
        strmap_deinit(&change->values);
    arena_deinit(&config->arena);
    mem_free(config);
}

/* Make room for one more item in a growing array. */
static void *grow(void *items, size_t count, size_t *cap, size_t item_bytes)
{
    if (count < *cap)
        return items;
    *cap = *cap ? *cap * 2 : 16;
    return mem_realloc(items, *cap * item_bytes);
}

unsigned config_add_file(struct config *config, const char *label)
{
    for (size_t i = 0; i < config->file_count; i++)
        if (!strcmp(config->files[i].label, label))
            return (unsigned)i;
    config->files = grow(config->files, config->file_count, &config->file_cap, sizeof *config->files);
    unsigned index = (unsigned)config->file_count++;
    config->files[index] = (struct config_file){arena_strdup(&config->arena, label), index};
    return index;
}

static void lower_ascii(char *text)
{
    for (; *text; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

const char *config_lower(struct config *config, const char *text, size_t len)
{
    char *copy = arena_strndup(&config->arena, text, len);
    lower_ascii(copy);
    return copy;
}

bool config_key(const char *name, char key[CONFIG_KEY_MAX])
{
    size_t len = strlen(name);
    if (len >= CONFIG_KEY_MAX)
        return false;
    memcpy(key, name, len + 1);
    lower_ascii(key);
    return true;
}

/* --- sections and options --- */

size_t config_section_count(const struct config *config)
{
    return config->section_count;
}

struct config_section *config_section_at(const struct config *config, size_t index)
{
    CHECK(index < config->section_count);
    return config->sections[index];
}

struct config_section *config_find(const struct config *config, const char *name)
{
    return strmap_get(&config->sections_by_name, name);
}

static bool report_full(struct config *config, unsigned file_index, int line, const char *what, unsigned limit)
{
    if (!config->is_full)
        config_error_file(config, file_index, line, "Too many %s in the configuration (allowed: %u)", what, limit);
    config->is_full = true;
    return false;
}

struct config_section *config_get_section(struct config *config, const char *name, size_t len, unsigned file_index,
                                          int line)
{
    struct config_section *section = strmap_getn(&config->sections_by_name, name, len);
    if (section)
        return section;
    if (config->section_count >= CONFIG_SECTIONS_MAX) {
        report_full(config, file_index, line, "sections", CONFIG_SECTIONS_MAX);
        return NULL;
    }
    section = arena_alloc(&config->arena, sizeof *section);
    section->config = config;
    section->name = arena_strndup(&config->arena, name, len);
    section->file = file_index < config->file_count ? config->files[file_index].label : "";
    section->file_index = file_index;
    section->line = line;
    strmap_init(&section->by_name);
    strmap_init(&section->reads_by_name);
    config->sections = grow(config->sections, config->section_count, &config->section_cap, sizeof *config->sections);
    config->sections[config->section_count++] = section;
    strmap_set(&config->sections_by_name, section->name, section);
    return section;
}

struct stored_option *section_store(struct config_section *section, const char *name, size_t name_len,
                                    unsigned file_index, int line)
{
    struct config *config = section->config;
    const char *lower = config_lower(config, name, name_len);
    struct stored_option *option = strmap_get(&section->by_name, lower);
    if (!option) {
        if (config->option_count >= CONFIG_OPTIONS_MAX) {
            report_full(config, file_index, line, "options", CONFIG_OPTIONS_MAX);
            return NULL;
        }
        config->option_count++;
        option = arena_alloc(&config->arena, sizeof *option);
        option->pub.name = lower;
        section->options = grow(section->options, section->option_count, &section->option_cap, sizeof *section->options);
        section->options[section->option_count++] = option;
        strmap_set(&section->by_name, lower, option);
    }
    option->pub.value = "";
    option->pub.file = config->files[file_index].label;
    option->pub.line = line;
    option->pub.is_autosave = false;
    option->file_index = file_index;
    return option;
}

struct config_section *config_ensure(struct config *config, const char *name)
{
    struct config_section *section = config_find(config, name);
    if (section)
        return section;
    section = config_get_section(config, name, strlen(name), UINT32_MAX, 0);
    if (section)
        section->is_made = true;
    return section;
}

bool section_is_in_file(const struct config_section *section)
{
    return !section->is_made;
}

const char *section_name(const struct config_section *section)
{
    return section->name;
}

struct config *section_config(const struct config_section *section)
{
    return section->config;
}

const char *section_file(const struct config_section *section)
{
    return section->file;
}

int section_line(const struct config_section *section)
{
    return section->line;
}

size_t section_option_count(const struct config_section *section)
{
    return section->option_count;
}

const struct config_option *section_option_at(const struct config_section *section, size_t index)
{
    CHECK(index < section->option_count);
    return &section->options[index]->pub;
}

struct stored_option *section_stored(const struct config_section *section, const char *name)
{
    char key[CONFIG_KEY_MAX];
    return config_key(name, key) ? strmap_get(&section->by_name, key) : NULL;
}

const struct config_option *section_find(const struct config_section *section, const char *name)
{
    struct stored_option *option = section_stored(section, name);
    return option ? &option->pub : NULL;
}

/* --- errors and warnings --- */

/* An option that two objects read is wrong only once. */
static bool has_error(const struct config *config, unsigned file_index, int line, const char *text)
{
    for (size_t i = 0; i < config->error_count; i++) {
        const struct stored_error *error = &config->errors[i];
        if (error->file_index == file_index && error->pub.line == line && strcmp(error->pub.text, text) == 0)
            return true;
    }
    return false;
}

void config_verror_at(struct config *config, unsigned file_index, int line, const char *fmt, va_list args)
{
    if (config->error_count >= CONFIG_ERRORS_MAX) {
        config->error_dropped++;
        return;
    }
    struct strbuf text;
    strbuf_init(&text);
    strbuf_vaddf(&text, fmt, args);
    if (has_error(config, file_index, line, text.data)) {
        strbuf_deinit(&text);
        return;
    }
    config->errors = grow(config->errors, config->error_count, &config->error_cap, sizeof *config->errors);
    config->errors[config->error_count] = (struct stored_error){
        .pub = {.file = file_index < config->file_count ? config->files[file_index].label : "",
                .line = line,
                .text = arena_strndup(&config->arena, text.data, text.len_bytes)},
        .file_index = file_index,
        .order = config->error_count};
    config->error_count++;
    config->is_sorted = false;
    strbuf_deinit(&text);
}

void config_error_file(struct config *config, unsigned file_index, int line, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    config_verror_at(config, file_index, line, fmt, args);
    va_end(args);
}

void config_error_place(struct config *config, const char *file, int line, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    unsigned main_file = config->file_count ? 0 : UINT32_MAX, index = *file ? config_add_file(config, file) : main_file;
    config_verror_at(config, index, line, fmt, args);
    va_end(args);
}

void config_error_section(struct config_section *section, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    section->error_count++;
    config_verror_at(section->config, section->file_index, section->line, fmt, args);
    va_end(args);
}

int config_option_line(const struct config_option *option, unsigned value_line)
{
    if (!option->lines)
        return option->line + (int)value_line - 1;
    int line = option->line;
    for (unsigned i = 0; i < value_line && option->lines[i]; i++) /* past the end: the last one */
        line = option->lines[i];
    return line;
}

void config_error_option(struct config_section *section, const char *name, const char *fmt, ...)
{
    const struct stored_option *option = section_stored(section, name);
    va_list args;
    va_start(args, fmt);
    section->error_count++;
    if (option)
        config_verror_at(section->config, option->file_index, option->pub.line, fmt, args);
    else
        config_verror_at(section->config, section->file_index, section->line, fmt, args);
    va_end(args);
}

void section_error_line(struct config_section *section, const char *name, int line, const char *fmt, ...)
{
    const struct stored_option *option = section_stored(section, name);
    va_list args;
    va_start(args, fmt);
    section->error_count++;
    config_verror_at(section->config, option ? option->file_index : section->file_index, line, fmt, args);
    va_end(args);
}

size_t section_error_count(const struct config_section *section)
{
    return section->error_count;
}

static int compare_errors(const void *a, const void *b)
{
    const struct stored_error *x = a, *y = b;
    if (x->file_index != y->file_index)
        return x->file_index < y->file_index ? -1 : 1;
    if (x->pub.line != y->pub.line)
        return x->pub.line < y->pub.line ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

size_t config_error_count(const struct config *config)
{
    return config->error_count;
}

size_t config_error_dropped(const struct config *config)
{
    return config->error_dropped;
}

const struct config_error *config_error_at(const struct config *config, size_t index)
{
    CHECK(index < config->error_count);
    if (!config->is_sorted) {
        struct config *mutable_config = (struct config *)config; /* sorting is not a change anybody can see */
        qsort(mutable_config->errors, config->error_count, sizeof *config->errors, compare_errors);
        mutable_config->is_sorted = true;
    }
    return &config->errors[index].pub;
}

char *config_error_text(const struct config *config)
{
    struct strbuf text;
    strbuf_init(&text);
    for (size_t i = 0; i < config->error_count; i++) {
        const struct config_error *error = config_error_at(config, i);
        if (i)
            strbuf_addc(&text, '\n');
        if (*error->file && error->line)
            strbuf_addf(&text, "%s:%d: ", error->file, error->line);
        else if (*error->file)
            strbuf_addf(&text, "%s: ", error->file);
        strbuf_adds(&text, error->text);
    }
    if (config->error_dropped)
        strbuf_addf(&text, "\nand %zu more errors", config->error_dropped);
    return strbuf_take(&text);
}

size_t config_warning_count(const struct config *config)
{
    return config->warning_count;
}

const struct config_warning *config_warning_at(const struct config *config, size_t index)
{
    CHECK(index < config->warning_count);
    return &config->warnings[index];
}

static const char *keep(struct config *config, const char *text)
{
    return text ? arena_strdup(&config->arena, text) : NULL;
}

static void add_warning(struct config *config, const struct config_warning *warning)
{
    for (size_t i = 0; i < config->warning_count; i++)
        if (!strcmp(config->warnings[i].type, warning->type) && !strcmp(config->warnings[i].message, warning->message))
            return;
    if (config->warning_count >= CONFIG_ERRORS_MAX)
        return;
    config->warnings = grow(config->warnings, config->warning_count, &config->warning_cap, sizeof *config->warnings);
    config->warnings[config->warning_count++] = (struct config_warning){.type = keep(config, warning->type),
                                                                        .message = keep(config, warning->message),
                                                                        .section = keep(config, warning->section),
                                                                        .option = keep(config, warning->option),
                                                                        .value = keep(config, warning->value),
                                                                        .command = keep(config, warning->command),
                                                                        .parameter = keep(config, warning->parameter)};
}

void config_warn(struct config *config, const char *type, const char *section, const char *option, const char *value,
                 const char *message)
{
    add_warning(config, &(struct config_warning){type, message, section, option, value, NULL, NULL});
}

void config_warn_command(struct config *config, const char *command, const char *parameter, const char *value,
                         const char *message)
{
    add_warning(config, &(struct config_warning){"deprecated_gcode", message, NULL, NULL, value, command, parameter});
}
