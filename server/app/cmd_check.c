/* lockstep check: every error of a configuration at once. */
#include "server/app/cli.h"
#include "server/app/commands.h"

#include "base/check.h"
#include "base/mem.h"
#include "server/config/config.h"
#include "server/machine/printer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const struct cli_option options[] = {
    {'d', "dict", "[NAME=]FILE", "check pin names by this data dictionary (for [mcu NAME]); may be repeated", false},
};

const struct cli_command check_command = {
    .name = "check",
    .arguments = "PRINTER.CFG",
    .summary = "Check a configuration: every error with its file and line.",
    .details = "Exit status: 0 no errors, 1 errors were found, 2 wrong usage.",
    .options = options,
    .option_count = ARRAY_COUNT(options),
    .argument_min = 1,
    .argument_max = 1,
};

static void print_warnings(const struct config *config)
{
    for (size_t i = 0; i < config_warning_count(config); i++) {
        const struct config_warning *w = config_warning_at(config, i);
        const struct config_section *section = w->section ? config_find(config, w->section) : NULL;
        const struct config_option *option = section && w->option ? section_find(section, w->option) : NULL;
        if (option)
            printf("%s:%d: ", option->file, option->line);
        else if (section)
            printf("%s:%d: ", section_file(section), section_line(section));
        printf("warning: %s\n", w->message);
    }
}

int check_main(const struct cli_values *values)
{
    if (access(values->arguments[0], R_OK) != 0) {
        fprintf(stderr, "lockstep check: %s: %s\n", values->arguments[0], strerror(errno));
        return CLI_EXIT_FAILED;
    }
    size_t dict_count;
    const char *const *dicts = cli_all(values, "dict", &dict_count);
    struct config *config = printer_check_config(values->arguments[0], dicts, dict_count);
    size_t errors = config_error_count(config) + config_error_dropped(config);
    char *text = config_error_text(config);
    fputs(text, stdout);
    if (errors && text[0] && text[strlen(text) - 1] != '\n')
        putchar('\n');
    mem_free(text);
    print_warnings(config);
    if (errors)
        printf("%zu error%s\n", errors, errors == 1 ? "" : "s");
    else
        printf("%s: no errors, %zu sections\n", values->arguments[0], config_section_count(config));
    config_destroy(config);
    return errors ? CLI_EXIT_FAILED : CLI_EXIT_OK;
}
