/* dump_config < PATHS: reads each configuration named on a line of the input, prints a line of JSON for it:
 * {"errors": ["file:line: text", ...], "config": {"section": {"option": "value"}}}. For differential_test.py. */
#include "base/mem.h"
#include "base/strbuf.h"
#include "server/config/config.h"

#include <stdio.h>
#include <string.h>

static void dump(const char *path)
{
    struct config *config = config_load(path);
    char *raw = config_raw_json(config);
    struct strbuf errors;
    strbuf_init(&errors);
    for (size_t i = 0; i < config_error_count(config); i++) {
        const struct config_error *error = config_error_at(config, i);
        char *text = mem_sprintf("%s:%d: %s", error->file, error->line, error->text);
        strbuf_adds(&errors, i ? ", " : "");
        strbuf_add_json_string(&errors, text, strlen(text));
        mem_free(text);
    }
    printf("{\"errors\": [%s], \"config\": %s}\n", errors.len_bytes ? errors.data : "", raw);
    strbuf_deinit(&errors);
    mem_free(raw);
    config_destroy(config);
}

int main(void)
{
    char path[4096];
    while (fgets(path, sizeof path, stdin)) {
        path[strcspn(path, "\n")] = 0;
        dump(path);
    }
    return 0;
}
