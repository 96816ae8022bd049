/* Command lines of the subcommands: one table of options gives both the parser and the help text. Main thread. */
#ifndef SERVER_APP_CLI_H
#define SERVER_APP_CLI_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CLI_VALUES_MAX 32 /* of one option that may be repeated, and of the arguments */

enum cli_status { CLI_EXIT_OK = 0, CLI_EXIT_FAILED = 1, CLI_EXIT_USAGE = 2 };

struct cli_option {
    char letter;          /* 0: long name only */
    const char *name;     /* without the dashes */
    const char *value;    /* name of its value in the help; NULL: a switch */
    const char *help;
    bool is_required;
};

struct cli_command {
    const char *name;
    const char *arguments; /* as shown in the usage line, "" if none */
    const char *summary;   /* one line for the list of commands */
    const char *details;   /* paragraphs below the usage; NULL: none */
    const struct cli_option *options;
    size_t option_count;
    size_t argument_min, argument_max;
};

#define CLI_OPTIONS_MAX 24

struct cli_values {
    const struct cli_command *command;
    const char *values[CLI_OPTIONS_MAX][CLI_VALUES_MAX];
    size_t counts[CLI_OPTIONS_MAX];
    const char *arguments[CLI_VALUES_MAX];
    size_t argument_count;
    bool wants_help;
};

/* Parse argv[1..] (argv[0] is the subcommand). ERR_INVALID with a text for the user. Texts are borrowed from argv. */
enum err cli_parse(const struct cli_command *command, int argc, char **argv, struct cli_values *out,
                   struct err_info *info) ERR_NODISCARD;
void cli_print_help(const struct cli_command *command, FILE *out);

bool cli_has(const struct cli_values *values, const char *name);
/* The last value given, or `fallback`. */
const char *cli_text(const struct cli_values *values, const char *name, const char *fallback);
/* A whole number in [min, max], or `fallback` when the option is absent. */
enum err cli_int(const struct cli_values *values, const char *name, long min, long max, long fallback, long *out,
                 struct err_info *info) ERR_NODISCARD;
/* All values of an option that may be repeated. */
const char *const *cli_all(const struct cli_values *values, const char *name, size_t *count);

#endif
