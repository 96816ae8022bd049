/* The configuration as JSON, for configfile's status, and as text again. */
#include "server/config/private.h"

#include <string.h>

const char *section_settings_json(const struct config_section *const_section)
{
    struct config_section *section = (struct config_section *)const_section; /* a cache */
    if (section->is_settings_fresh)
        return section->settings.data;
    strbuf_clear(&section->settings);
    strbuf_addc(&section->settings, '{');
    for (size_t i = 0; i < section->read_count; i++) {
        if (i)
            strbuf_adds(&section->settings, ", ");
        strbuf_add_json_string(&section->settings, section->reads[i]->name, strlen(section->reads[i]->name));
        strbuf_adds(&section->settings, ": ");
        strbuf_adds(&section->settings, section->reads[i]->json);
    }
    strbuf_addc(&section->settings, '}');
    section->is_settings_fresh = true;
    return section->settings.data;
}

static void add_key(struct strbuf *json, const char *key, bool *is_first)
{
    if (!*is_first)
        strbuf_adds(json, ", ");
    *is_first = false;
    strbuf_add_json_string(json, key, strlen(key));
    strbuf_adds(json, ": ");
}

static void add_text(struct strbuf *json, const char *key, const char *text, bool *is_first)
{
    add_key(json, key, is_first);
    strbuf_add_json_string(json, text, strlen(text));
}

char *config_raw_json(const struct config *config)
{
    struct strbuf json;
    strbuf_init(&json);
    strbuf_addc(&json, '{');
    bool is_first = true;
    for (size_t i = 0; i < config->section_count; i++) {
        const struct config_section *section = config->sections[i];
        if (section->is_made)
            continue;
        add_key(&json, section->name, &is_first);
        strbuf_addc(&json, '{');
        bool is_first_option = true;
        for (size_t k = 0; k < section->option_count; k++) {
            const struct config_option *option = &section->options[k]->pub;
            add_text(&json, option->name, option->value, &is_first_option);
        }
        strbuf_addc(&json, '}');
    }
    strbuf_addc(&json, '}');
    return strbuf_take(&json);
}

char *config_settings_json(const struct config *config)
{
    struct strbuf json;
    strbuf_init(&json);
    strbuf_addc(&json, '{');
    bool is_first = true;
    for (size_t i = 0; i < config->section_count; i++) {
        const struct config_section *section = config->sections[i];
        if (!section->read_count)
            continue;
        add_key(&json, config_lower((struct config *)config, section->name, strlen(section->name)), &is_first);
        strbuf_adds(&json, section_settings_json(section));
    }
    strbuf_addc(&json, '}');
    return strbuf_take(&json);
}

char *config_warnings_json(const struct config *config)
{
    struct strbuf json;
    strbuf_init(&json);
    strbuf_addc(&json, '[');
    for (size_t i = 0; i < config->warning_count; i++) {
        const struct config_warning *w = &config->warnings[i];
        const struct {
            const char *key, *text;
        } parts[] = {{"type", w->type}, {"message", w->message}, {"section", w->section}, {"option", w->option},
                     {"command", w->command}, {"parameter", w->parameter}, {"value", w->value}};
        if (i)
            strbuf_adds(&json, ", ");
        strbuf_addc(&json, '{');
        bool is_first = true;
        for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
            if (parts[k].text)
                add_text(&json, parts[k].key, parts[k].text, &is_first);
        }
        strbuf_addc(&json, '}');
    }
    strbuf_addc(&json, ']');
    return strbuf_take(&json);
}

char *config_write(const struct config *config)
{
    struct strbuf text;
    strbuf_init(&text);
    for (size_t i = 0; i < config->section_count; i++) {
        const struct config_section *section = config->sections[i];
        if (section->is_made)
            continue;
        strbuf_addf(&text, "%s[%s]\n", text.len_bytes ? "\n" : "", section->name);
        for (size_t k = 0; k < section->option_count; k++) {
            const struct config_option *option = &section->options[k]->pub;
            /* ';' behind a blank would begin a comment */
            strbuf_addf(&text, "%s:%s", option->name, strchr("\n;", option->value[0]) ? "" : " ");
            for (const char *p = option->value; *p; p++) {
                strbuf_addc(&text, *p);
                if (*p == '\n' && p[1] != '\n')
                    strbuf_addc(&text, '\t');
            }
            strbuf_addc(&text, '\n');
        }
    }
    return strbuf_take(&text);
}
