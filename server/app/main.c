/* lockstep: one program, a subcommand for each use. */
#include "server/app/cli.h"
#include "server/app/commands.h"
#include "server/app/version.h"

#include "base/check.h"

#include <signal.h>
#include <string.h>

struct subcommand {
    const struct cli_command *command;
    int (*main)(const struct cli_values *values);
};

static const struct subcommand subcommands[] = {
    {&run_command, run_main},
    {&plan_command, plan_main},
    {&check_command, check_main},
    {&render_command, render_main},
};

static void print_usage(FILE *out)
{
    fputs("Usage: lockstep COMMAND [options]\n\n"
          "Turns a computer and flashed controller boards into a 3D printer.\n\nCommands:\n",
          out);
    for (size_t i = 0; i < ARRAY_COUNT(subcommands); i++)
        fprintf(out, "  %-8s  %s\n", subcommands[i].command->name, subcommands[i].command->summary);
    fputs("  mcu       Be a controller board: our firmware as a process behind a pseudo terminal.\n\n"
          "`lockstep COMMAND --help` explains one; `lockstep --version` prints the version.\n",
          out);
}

static int run_subcommand(const struct subcommand *sub, int argc, char **argv)
{
    struct cli_values values;
    struct err_info info;
    if (cli_parse(sub->command, argc, argv, &values, &info) != OK) {
        fprintf(stderr, "lockstep %s: %s\nTry 'lockstep %s --help'.\n", sub->command->name, info.text,
                sub->command->name);
        return CLI_EXIT_USAGE;
    }
    if (values.wants_help) {
        cli_print_help(sub->command, stdout);
        return CLI_EXIT_OK;
    }
    return sub->main(&values);
}

int main(int argc, char **argv)
{
    /* A peer that hangs up is an error return of write(), not the end of the printer. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* likewise a file that meets its limit */
    if (argc < 2) {
        print_usage(stderr);
        return CLI_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_usage(stdout);
        return CLI_EXIT_OK;
    }
    if (strcmp(name, "--version") == 0) {
        puts("lockstep " LOCKSTEP_VERSION);
        return CLI_EXIT_OK;
    }
    if (strcmp(name, "mcu") == 0)
        return mcu_command_main(argc - 1, argv + 1);
    for (size_t i = 0; i < ARRAY_COUNT(subcommands); i++)
        if (strcmp(name, subcommands[i].command->name) == 0)
            return run_subcommand(&subcommands[i], argc - 1, argv + 1);
    fprintf(stderr, "lockstep: unknown command '%s'\n\n", name);
    print_usage(stderr);
    return CLI_EXIT_USAGE;
}
