/* What SAVE_CONFIG writes: the pending changes, and the text of the main file with them applied.
 *
 * The rules of the file are the reader's own: it says which lines belong to which option, so that commenting out cannot
 * disagree with reading, and every text made here is read again before anybody writes it to a disk. */
#include "server/config/autosave.h"

#include "server/config/private.h"

#include <string.h>

#define BLOCK_HEAD                                                                                                     \
    AUTOSAVE_HEADER "\n" AUTOSAVE_MARK                                                                                 \
                    " DO NOT EDIT THIS BLOCK OR BELOW. The contents are auto-generated.\n" AUTOSAVE_MARK "\n"

/* --- the block --- */

/* Read the text of a block (from its header on). */
static struct config *read_block(const char *text, size_t len_bytes)
{
    struct config *block = config_create();
    struct parse_cursor cursor = {.config = block,
                                  .file_index = config_add_file(block, "autosave"),
                                  .text = text,
                                  .next = text,
                                  .end = text + len_bytes,
                                  .is_main = true};
    const char *include;
    config_parse_unit(&cursor, &include); /* a block has no includes */
    return block;
}

static void write_line(struct strbuf *out, const char *indent, const char *text, size_t len_bytes)
{
    strbuf_adds(out, AUTOSAVE_MARK);
    if (len_bytes)
        strbuf_addf(out, " %s", indent);
    strbuf_add(out, text, len_bytes);
    strbuf_addc(out, '\n');
}

static void write_option(struct strbuf *out, const char *name, const char *value)
{
    size_t len = strcspn(value, "\n");
    strbuf_addf(out, AUTOSAVE_MARK " %s =%s%.*s\n", name, len ? " " : "", (int)len, value);
    while (value[len]) {
        value += len + 1;
        len = strcspn(value, "\n");
        write_line(out, "\t", value, len);
    }
}

static void write_block(struct strbuf *out, const struct config *block)
{
    strbuf_adds(out, BLOCK_HEAD);
    bool is_first = true;
    for (size_t i = 0; i < block->section_count; i++) {
        const struct config_section *section = block->sections[i];
        if (!section->option_count)
            continue;
        strbuf_addf(out, "%s" AUTOSAVE_MARK " [%s]\n", is_first ? "" : AUTOSAVE_MARK "\n", section->name);
        is_first = false;
        for (size_t k = 0; k < section->option_count; k++)
            write_option(out, section->options[k]->pub.name, section->options[k]->pub.value);
    }
}

static const struct config_option *find_option(const struct config *config, const char *section, const char *name)
{
    const struct config_section *found = config_find(config, section);
    return found ? section_find(found, name) : NULL;
}

/* Every option of `a` is in `b` with the same value. */
static bool is_within(const struct config *a, const struct config *b)
{
    for (size_t i = 0; i < a->section_count; i++)
        for (size_t k = 0; k < a->sections[i]->option_count; k++) {
            const struct config_option *mine = &a->sections[i]->options[k]->pub,
                                       *other = find_option(b, a->sections[i]->name, mine->name);
            if (!other || strcmp(mine->value, other->value) != 0)
                return false;
        }
    return true;
}

static bool put(struct config *config, const char *section_name, const char *option_name, const char *value)
{
    struct config_section *section = config_get_section(config, section_name, strlen(section_name), 0, 0);
    struct stored_option *option = section ? section_store(section, option_name, strlen(option_name), 0, 0) : NULL;
    if (option)
        option->pub.value = arena_strdup(&config->arena, value);
    return option != NULL;
}

/* --- what is pending --- */

static struct autosave_change *find_change(const struct config *config, const char *section)
{
    for (struct autosave_change *change = config->changes; change; change = change->next)
        if (!strcmp(change->section, section))
            return change;
    return NULL;
}

static struct autosave_change *get_change(struct config *config, const char *section)
{
    struct autosave_change *change = find_change(config, section);
    if (change)
        return change;
    change = arena_alloc(&config->arena, sizeof *change);
    change->section = arena_strdup(&config->arena, section);
    strmap_init(&change->values);
    *config->last_change = change;
    config->last_change = &change->next;
    return change;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* `value` without white space around its lines and without empty lines at its end. Caller frees. */
static char *trim_lines(const char *value)
{
    struct strbuf out;
    strbuf_init(&out);
    for (;;) {
        size_t len = strcspn(value, "\n"), begin = 0, end = len;
        while (begin < end && is_space(value[begin]))
            begin++;
        while (end > begin && is_space(value[end - 1]))
            end--;
        strbuf_add(&out, value + begin, end - begin);
        if (!value[len])
            break;
        strbuf_addc(&out, '\n');
        value += len + 1;
    }
    while (out.len_bytes && out.data[out.len_bytes - 1] == '\n')
        out.data[--out.len_bytes] = 0;
    return strbuf_take(&out);
}

/* Can a block with this option be read back? Decided by doing it. */
static bool can_be_stored(const char *section, const char *option, const char *value)
{
    struct config *block = config_create();
    (void)config_add_file(block, "autosave");
    struct strbuf text;
    strbuf_init(&text);
    bool is_good = *section && *option && put(block, section, option, value);
    if (is_good) {
        write_block(&text, block);
        struct config *back = read_block(text.data, text.len_bytes);
        config_check_bytes(back, 0, text.data, text.len_bytes);
        is_good = is_within(block, back) && is_within(back, block) && !config_error_count(back);
        config_destroy(back);
    }
    strbuf_deinit(&text);
    config_destroy(block);
    return is_good;
}

enum err config_set_autosave(struct config *config, const char *section, const char *option, const char *value,
                             struct err_info *info)
{
    const char *name = config_lower(config, option, strlen(option));
    char *trimmed = trim_lines(value);
    enum err err = OK;
    if (can_be_stored(section, name, trimmed)) {
        strmap_set(&get_change(config, section)->values, name, arena_strdup(&config->arena, trimmed));
        config->pending_revision++;
    } else {
        err = err_set(info, ERR_INVALID,
                      "SAVE_CONFIG section '%s' option '%s': a configuration file cannot hold this value", section,
                      option);
    }
    mem_free(trimmed);
    return err;
}

static bool is_in_block(const struct config *config, const char *name)
{
    const struct config_section *section = config_find(config, name);
    for (size_t i = 0; section && i < section->option_count; i++)
        if (section->options[i]->pub.is_autosave)
            return true;
    return false;
}

void config_remove_autosave(struct config *config, const char *section)
{
    if (!find_change(config, section) && !is_in_block(config, section))
        return;
    struct autosave_change *change = get_change(config, section);
    change->is_removed = true;
    strmap_deinit(&change->values);
    strmap_init(&change->values);
    config->pending_revision++;
}

bool config_has_pending(const struct config *config)
{
    return config->changes != NULL;
}

uint64_t config_pending_revision(const struct config *config)
{
    return config->pending_revision;
}

struct config *config_copy_pending(const struct config *config)
{
    struct config *copy = config_create();
    copy->path = config->path ? arena_strdup(&copy->arena, config->path) : NULL;
    for (const struct autosave_change *change = config->changes; change; change = change->next) {
        struct autosave_change *to = get_change(copy, change->section);
        to->is_removed = change->is_removed;
        for (const struct strmap_entry *e = strmap_first(&change->values); e; e = strmap_next(e))
            strmap_set(&to->values, strmap_key(e), arena_strdup(&copy->arena, strmap_value(e)));
    }
    return copy;
}

char *config_pending_json(const struct config *config)
{
    struct strbuf json;
    strbuf_init(&json);
    strbuf_addc(&json, '{');
    for (const struct autosave_change *change = config->changes; change; change = change->next) {
        if (change != config->changes)
            strbuf_adds(&json, ", ");
        strbuf_add_json_string(&json, change->section, strlen(change->section));
        const struct strmap_entry *first = strmap_first(&change->values);
        strbuf_adds(&json, first ? ": {" : ": null");
        for (const struct strmap_entry *e = first; e; e = strmap_next(e)) {
            const char *name = strmap_key(e), *value = strmap_value(e);
            if (e != first)
                strbuf_adds(&json, ", ");
            strbuf_add_json_string(&json, name, strlen(name));
            strbuf_adds(&json, ": ");
            strbuf_add_json_string(&json, value, strlen(value));
        }
        if (first)
            strbuf_addc(&json, '}');
    }
    strbuf_addc(&json, '}');
    return strbuf_take(&json);
}

/* --- the new text --- */

/* The block as it will be: `old` with the changes of `config`. */
static struct config *next_block(const struct config *config, const struct config *old)
{
    struct config *next = config_create();
    (void)config_add_file(next, "autosave");
    for (size_t i = 0; i < old->section_count; i++) {
        const struct config_section *section = old->sections[i];
        const struct autosave_change *change = find_change(config, section->name);
        for (size_t k = 0; k < section->option_count && !(change && change->is_removed); k++)
            (void)put(next, section->name, section->options[k]->pub.name, section->options[k]->pub.value);
    }
    for (const struct autosave_change *change = config->changes; change; change = change->next)
        for (const struct strmap_entry *e = strmap_first(&change->values); e; e = strmap_next(e))
            (void)put(next, change->section, strmap_key(e), strmap_value(e));
    return next;
}

/* Copying the part above the block, with options of the block commented out. */
struct copy {
    const struct config *block;
    struct strbuf *out;
    const char *done; /* copied so far */
    const char *end;  /* where the part ends; NULL: not known yet */
};

static void copy_until(struct copy *copy, const char *to)
{
    strbuf_add(copy->out, copy->done, (size_t)(to - copy->done));
    copy->done = to;
}

static void on_line(void *ctx, const char *line, const struct config_section *section,
                    const struct config_option *option)
{
    struct copy *copy = ctx;
    if (option->is_autosave || !find_option(copy->block, section->name, option->name))
        return;
    copy_until(copy, line);
    strbuf_addc(copy->out, '#');
}

/* Parse `text` part by part, includes left out. Returns where its block begins (its end if it has none). */
static const char *scan(struct config *config, const char *text, size_t len_bytes, struct copy *copy)
{
    size_t bom = len_bytes >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
    struct parse_cursor cursor = {.config = config,
                                  .file_index = config_add_file(config, "printer.cfg"),
                                  .text = text + bom,
                                  .next = text + bom,
                                  .end = text + len_bytes,
                                  .is_main = true,
                                  .on_line = copy ? on_line : NULL,
                                  .ctx = copy};
    const char *include;
    do
        config_parse_unit(&cursor, &include);
    while (include);
    return cursor.block ? cursor.block : text + len_bytes;
}

static enum err refuse(const struct config *bad, struct err_info *info)
{
    const struct config_error *error = config_error_at(bad, 0);
    return err_set(info, ERR_INVALID, "Unable to parse existing config on SAVE_CONFIG: %s:%d: %s", error->file,
                   error->line, error->text);
}

static enum err find_conflict(const struct config *config, const struct config *block, const struct strbuf *above,
                              struct err_info *info)
{
    struct config *included = config_load_text(config->from, config->path ? config->path : "", above->data, above->len_bytes);
    enum err err = OK;
    for (size_t i = 0; i < block->section_count && err == OK; i++)
        for (size_t k = 0; k < block->sections[i]->option_count && err == OK; k++) {
            const char *section = block->sections[i]->name, *option = block->sections[i]->options[k]->pub.name;
            const struct config_option *other = find_option(included, section, option);
            if (other)
                err = err_set(info, ERR_INVALID,
                              "SAVE_CONFIG section '%s' option '%s' conflicts with included value (%s:%d)", section,
                              option, other->file, other->line);
        }
    config_destroy(included);
    return err;
}

/* The block of the new text must say what it is meant to say. */
static enum err check_result(const struct strbuf *text, const struct config *block, struct err_info *info)
{
    struct config *whole = config_create();
    const char *begin = scan(whole, text->data, text->len_bytes, NULL);
    struct config *back = read_block(begin, (size_t)(text->data + text->len_bytes - begin));
    bool is_good =
        !config_error_count(whole) && !config_error_count(back) && is_within(block, back) && is_within(back, block);
    config_destroy(back);
    config_destroy(whole);
    return is_good ? OK
                   : err_set(info, ERR_INVALID,
                             "SAVE_CONFIG would write a file that does not read back; nothing was "
                             "written");
}

static enum err compose(const struct config *config, const struct config *block, const char *text, const char *end,
                        size_t len_bytes, struct strbuf *out, struct err_info *info)
{
    struct config *scratch = config_create();
    struct copy copy = {.block = block, .out = out, .done = text};
    (void)scan(scratch, text, len_bytes, &copy);
    copy_until(&copy, end);
    config_destroy(scratch);
    while (out->len_bytes && is_space(out->data[out->len_bytes - 1]))
        out->len_bytes--;
    if (out->len_bytes)
        strbuf_addc(out, '\n');
    enum err err = find_conflict(config, block, out, info);
    if (err != OK || !block->section_count)
        return err;
    if (out->len_bytes)
        strbuf_addc(out, '\n');
    write_block(out, block);
    return check_result(out, block, info);
}

/* Copy `text` with every line end as '\n', as the file is written by the hosts people switch from and to: a block of one
 * kind below lines of another would be neither. Returns the new length. */
static size_t copy_lines(char *out, const char *text, size_t len_bytes)
{
    size_t n = 0;
    for (size_t i = 0; i < len_bytes; i++) {
        bool is_pair = text[i] == '\r' && i + 1 < len_bytes && text[i + 1] == '\n';
        if (!is_pair)
            out[n++] = text[i] == '\r' ? '\n' : text[i];
    }
    return n;
}

char *config_apply_autosave(const struct config *config, const char *text, size_t len_bytes, bool *has_block,
                            struct err_info *info)
{
    struct config *scratch = config_create();
    char *copy = mem_alloc(len_bytes + 1);
    len_bytes = copy_lines(copy, text, len_bytes);
    config_check_bytes(scratch, config_add_file(scratch, "printer.cfg"), copy, len_bytes);
    const char *begin = scan(scratch, copy, len_bytes, NULL);
    struct config *old = read_block(begin, (size_t)(copy + len_bytes - begin)), *block = next_block(config, old);
    struct strbuf out;
    strbuf_init(&out);
    enum err err = config_error_count(scratch) ? refuse(scratch, info) : OK;
    if (err == OK)
        err = compose(config, block, copy, begin, len_bytes, &out, info);
    if (has_block)
        *has_block = block->section_count || begin != copy + len_bytes;
    config_destroy(block);
    config_destroy(old);
    config_destroy(scratch);
    mem_free(copy);
    if (err == OK)
        return strbuf_take(&out);
    strbuf_deinit(&out);
    return NULL;
}
