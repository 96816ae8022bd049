/* Our firmware as a process: a board in real time behind a pseudo terminal, with a small printer attached so that homing
 * and heating work. The subcommand `lockstep mcu`. */
#ifndef FIRMWARE_PORT_LINUX_MCU_MAIN_H
#define FIRMWARE_PORT_LINUX_MCU_MAIN_H

/* Run `lockstep mcu --pty PATH [options]` until SIGINT or SIGTERM; argv[0] is "mcu". Makes PATH a link to the pty and
 * removes it at exit. Returns the exit status: 0 stopped by a signal, 1 could not start, 2 usage. Main thread only: takes
 * over SIGINT and SIGTERM. */
int mcu_main(int argc, char **argv);

#endif
