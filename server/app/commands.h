/* The subcommands of the program. Each returns its exit status (enum cli_status). */
#ifndef SERVER_APP_COMMANDS_H
#define SERVER_APP_COMMANDS_H

struct cli_values;

extern const struct cli_command run_command, plan_command, check_command, render_command;

int run_main(const struct cli_values *values);
int plan_main(const struct cli_values *values);
int check_main(const struct cli_values *values);
int render_main(const struct cli_values *values);
int mcu_command_main(int argc, char **argv); /* parses its own arguments; argv[0] is "mcu" */

#endif
