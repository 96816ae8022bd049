#include "server/app/cli.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_option help_option = {'h', "help", NULL, "print this text", false};

static size_t find_by_name(const struct cli_command *command, const char *name, size_t len)
{
    for (size_t i = 0; i < command->option_count; i++)
        if (strlen(command->options[i].name) == len && memcmp(command->options[i].name, name, len) == 0)
            return i;
    return command->option_count;
}

static size_t find_by_letter(const struct cli_command *command, char letter)
{
    for (size_t i = 0; i < command->option_count; i++)
        if (command->options[i].letter == letter)
            return i;
    return command->option_count;
}

static enum err store(struct cli_values *out, size_t index, const char *value, struct err_info *info)
{
    if (out->counts[index] == CLI_VALUES_MAX)
        return err_set(info, ERR_LIMIT, "--%s is given more than %d times", out->command->options[index].name,
                       CLI_VALUES_MAX);
    out->values[index][out->counts[index]++] = value;
    return OK;
}

/* One option at argv[*at]; its value is behind '=', behind the letter, or the next word. */
static enum err parse_option(struct cli_values *out, int argc, char **argv, int *at, struct err_info *info)
{
    const struct cli_command *command = out->command;
    const char *word = argv[*at], *value = NULL;
    size_t index;
    if (word[1] == '-') {
        const char *name = word + 2, *equals = strchr(name, '=');
        index = find_by_name(command, name, equals ? (size_t)(equals - name) : strlen(name));
        value = equals ? equals + 1 : NULL;
    } else {
        index = find_by_letter(command, word[1]);
        value = word[2] ? word + 2 : NULL;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        out->wants_help = true;
        return OK;
    }
    if (index == command->option_count)
        return err_set(info, ERR_INVALID, "unknown option '%s'", word);
    const struct cli_option *option = &command->options[index];
    if (!option->value) {
        if (value)
            return err_set(info, ERR_INVALID, "--%s takes no value", option->name);
        return store(out, index, "", info);
    }
    if (!value) {
        if (*at + 1 >= argc)
            return err_set(info, ERR_INVALID, "--%s needs a value: %s", option->name, option->value);
        value = argv[++*at];
    }
    return store(out, index, value, info);
}

static enum err check_complete(const struct cli_values *out, struct err_info *info)
{
    const struct cli_command *command = out->command;
    for (size_t i = 0; i < command->option_count; i++)
        if (command->options[i].is_required && out->counts[i] == 0)
            return err_set(info, ERR_INVALID, "--%s %s is required", command->options[i].name,
                           command->options[i].value);
    if (out->argument_count < command->argument_min)
        return err_set(info, ERR_INVALID, "missing argument: %s", command->arguments);
    return OK;
}

enum err cli_parse(const struct cli_command *command, int argc, char **argv, struct cli_values *out,
                   struct err_info *info)
{
    CHECK(command->option_count <= CLI_OPTIONS_MAX && command->argument_max <= CLI_VALUES_MAX);
    memset(out, 0, sizeof *out);
    out->command = command;
    bool only_arguments = false;
    for (int i = 1; i < argc; i++) {
        if (!only_arguments && strcmp(argv[i], "--") == 0) {
            only_arguments = true;
        } else if (!only_arguments && argv[i][0] == '-' && argv[i][1]) {
            enum err err = parse_option(out, argc, argv, &i, info);
            if (err != OK)
                return err;
        } else if (out->argument_count == command->argument_max) {
            return err_set(info, ERR_INVALID, "unexpected argument '%s'", argv[i]);
        } else {
            out->arguments[out->argument_count++] = argv[i];
        }
    }
    return out->wants_help ? OK : check_complete(out, info);
}

static void print_option(const struct cli_option *option, FILE *out)
{
    char head[64];
    char letter[8] = "    ";
    if (option->letter)
        (void)snprintf(letter, sizeof letter, "-%c, ", option->letter);
    (void)snprintf(head, sizeof head, "  %s--%s%s%s", letter, option->name, option->value ? " " : "",
                   option->value ? option->value : "");
    fprintf(out, "%-30s  %s\n", head, option->help);
}

void cli_print_help(const struct cli_command *command, FILE *out)
{
    fprintf(out, "Usage: lockstep %s", command->name);
    for (size_t i = 0; i < command->option_count; i++)
        if (command->options[i].is_required)
            fprintf(out, " %s%c %s", command->options[i].letter ? "-" : "--", command->options[i].letter,
                    command->options[i].value);
    fprintf(out, "%s%s%s\n\n%s\n\nOptions:\n", command->option_count ? " [options]" : "",
            command->arguments[0] ? " " : "", command->arguments, command->summary);
    for (size_t i = 0; i < command->option_count; i++)
        print_option(&command->options[i], out);
    print_option(&help_option, out);
    if (command->details)
        fprintf(out, "\n%s\n", command->details);
}

static size_t index_of(const struct cli_values *values, const char *name)
{
    size_t index = find_by_name(values->command, name, strlen(name));
    CHECK(index < values->command->option_count);
    return index;
}

bool cli_has(const struct cli_values *values, const char *name)
{
    return values->counts[index_of(values, name)] > 0;
}

const char *cli_text(const struct cli_values *values, const char *name, const char *fallback)
{
    size_t index = index_of(values, name), count = values->counts[index];
    return count ? values->values[index][count - 1] : fallback;
}

enum err cli_int(const struct cli_values *values, const char *name, long min, long max, long fallback, long *out,
                 struct err_info *info)
{
    const char *text = cli_text(values, name, NULL);
    if (!text) {
        *out = fallback;
        return OK;
    }
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (end == text || *end || errno || number < min || number > max)
        return err_set(info, ERR_INVALID, "--%s %s: a whole number from %ld to %ld is needed", name, text, min, max);
    *out = number;
    return OK;
}

const char *const *cli_all(const struct cli_values *values, const char *name, size_t *count)
{
    size_t index = index_of(values, name);
    *count = values->counts[index];
    return values->values[index];
}
