/* What crosses a board's port, written down as text: a line for each piece of bytes,
 *   CLOCK DIRECTION HEX     "123456 > 0510..."    CLOCK: the board's, at arrival; '>' host to board, '<' board to host
 * after one that says when the board's clock stood where, by two instants: "# MONOTONIC_NS CLOCK MONOTONIC_NS CLOCK".
 * Kept in memory while the board runs, because a disk would disturb its real time, and written at the end. */
#ifndef FIRMWARE_PORT_LINUX_WIRE_RECORD_H
#define FIRMWARE_PORT_LINUX_WIRE_RECORD_H

#include "base/clock.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* One line. */
void wire_record_line(FILE *file, struct mcu_ticks clock, bool to_host, const uint8_t *data, size_t len_bytes);

struct sim_board;
struct wire_record;

/* Tap `board` (kept until wire_record_end). Bytes beyond `max_bytes` are left out, and the end says so. */
struct wire_record *wire_record_begin(struct sim_board *board, size_t max_bytes);
/* Write `path`, and forget everything. The board must not run any more. NULL allowed. */
enum err wire_record_end(struct wire_record *record, const char *path, struct err_info *info) ERR_NODISCARD;

#endif
