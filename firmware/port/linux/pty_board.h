/* A simulated board behind a pseudo terminal or a Unix socket. One actor of a real runtime moves the bytes and steps the board, so that
 * a byte's arrival is the instant its read() returned. Bytes of a terminal pass through a thread of the kernel that waits
 * for the processor like any other; those of a socket do not, which is what measurements want. */
#ifndef FIRMWARE_PORT_LINUX_PTY_BOARD_H
#define FIRMWARE_PORT_LINUX_PTY_BOARD_H

#include "base/actor.h"
#include "base/err.h"
#include "firmware/port/sim/sim_board.h"

struct pty_board;

/* Open a pty, make `link_path` a symbolic link to it (an existing link is replaced, anything else is ERR_EXISTS),
 * create the board. ERR_IO with a text. */
enum err pty_board_create(struct pty_board **out, const char *link_path, const struct sim_board_options *options,
                          struct err_info *info) ERR_NODISCARD;
/* Listen on the Unix socket `path` (an existing socket is replaced, anything else is ERR_EXISTS); one host at a time, the
 * latest. ERR_IO with a text. */
enum err pty_board_create_socket(struct pty_board **out, const char *path, const struct sim_board_options *options,
                                 struct err_info *info) ERR_NODISCARD;
/* Closes the pty or socket and removes the link. The actor must have been removed. NULL allowed. */
void pty_board_destroy(struct pty_board *pty);
struct actor *pty_board_actor(struct pty_board *pty); /* for a real runtime */
struct sim_board *pty_board_board(struct pty_board *pty);
const char *pty_board_device(const struct pty_board *pty); /* /dev/pts/N, or the socket's path */

#endif
