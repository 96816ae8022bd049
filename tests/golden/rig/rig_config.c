#include "rig/rig_config.h"

#include "base/mem.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    for (size_t n = strlen(text); n > 0 && isspace((unsigned char)text[n - 1]); n--)
        text[n - 1] = '\0';
    return text;
}

enum err rig_config_load(struct rig_config *c, const char *path, struct err_info *info)
{
    strmap_init(&c->values);
    FILE *file = fopen(path, "r");
    if (!file)
        return err_set(info, ERR_IO, "%s: cannot be read", path);
    char line[4096], section[256] = "";
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "#\r\n")] = '\0';
        char *colon = strpbrk(line, ":=");
        if (line[0] == '[') {
            line[strcspn(line, "]")] = '\0';
            snprintf(section, sizeof section, "%.200s", trim(line + 1));
            char key[300];
            snprintf(key, sizeof key, "%s/", section);
            mem_free(strmap_set(&c->values, key, mem_strdup("")));
        } else if (colon && !isspace((unsigned char)line[0])) {
            *colon = '\0';
            char key[600];
            snprintf(key, sizeof key, "%s/%.200s", section, trim(line));
            mem_free(strmap_set(&c->values, key, mem_strdup(trim(colon + 1))));
        }
    }
    fclose(file);
    return OK;
}

void rig_config_unload(struct rig_config *c)
{
    for (const struct strmap_entry *e = strmap_first(&c->values); e; e = strmap_next(e))
        mem_free(strmap_value(e));
    strmap_deinit(&c->values);
}

const char *rig_config_text(const struct rig_config *c, const char *section, const char *option, const char *fallback)
{
    char key[600];
    snprintf(key, sizeof key, "%s/%s", section, option);
    const char *value = strmap_get(&c->values, key);
    return value ? value : fallback;
}

double rig_config_number(const struct rig_config *c, const char *section, const char *option, double fallback)
{
    const char *text = rig_config_text(c, section, option, NULL);
    return text ? strtod(text, NULL) : fallback;
}
