/* What crosses the port of each simulated board, written down as text (firmware/port/linux/wire_record.h)
 * in DIR/NAME.wire, where NAME is the board's ("mcu"). On the thread that drives the boards. */
#ifndef SERVER_APP_RECORD_H
#define SERVER_APP_RECORD_H

#include "base/err.h"

struct record;
struct sim_board;

/* Record into folder `dir` (made if missing). */
enum err record_create(const char *dir, struct record **out, struct err_info *info) ERR_NODISCARD;
void record_destroy(struct record *record); /* after the boards are gone; NULL allowed */
/* Begin with board `name`; a board of that name that was recorded before is appended to. */
enum err record_board(struct record *record, const char *name, struct sim_board *board, struct err_info *info)
    ERR_NODISCARD;

#endif
