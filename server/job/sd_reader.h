/* Lines of a print file, with their offsets, in bounded memory.
 *
 * Two halves, so that slow disks never hold up the machine thread: pieces of the file are read ahead by a worker
 * (sd_reader_fill asks for them and takes what has come), sd_reader_next hands out lines that are already in memory.
 * Without a worker a fill reads at once. One thread, the machine's, apart from sd_reader_open. */
#ifndef SERVER_JOB_SD_READER_H
#define SERVER_JOB_SD_READER_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SD_LINE_MAX       65536 /* longest line with a command [bytes]; comments may be any length */
#define SD_FILL_BYTES_MAX 65536 /* one piece */
#define SD_AHEAD          4     /* pieces read ahead */

struct sd_reader;
struct worker_calls;

struct sd_line {
    const char *text; /* without line end, with a final zero; the reader's, until the next call of sd_reader_next */
    size_t len_bytes;
    uint64_t offset_bytes; /* of the line's first byte in the file */
    uint64_t end_bytes;    /* of the byte after its line end */
};

/* Open `path`, a regular file. Any thread; may block. ERR_NOT_FOUND, ERR_INVALID (not a regular file), ERR_IO. */
enum err sd_reader_open(struct sd_reader **out, const char *path, struct err_info *info) ERR_NODISCARD;
/* Let the worker of `calls` do the reading (kept until sd_reader_close). Before the first fill. */
void sd_reader_use(struct sd_reader *reader, struct worker_calls *calls);
void sd_reader_close(struct sd_reader *reader); /* NULL allowed */

/* Size when it was opened. */
uint64_t sd_reader_size_bytes(const struct sd_reader *reader);

/* Go on reading at `offset_bytes`; drops what is in memory. */
void sd_reader_seek(struct sd_reader *reader, uint64_t offset_bytes);

/* The next line. ERR_AGAIN: none complete in memory, call sd_reader_fill first. ERR_CLOSED: end of the file. Errors
 * about the file itself, each naming the byte offset: ERR_LIMIT (a line longer than SD_LINE_MAX), ERR_INVALID (a zero
 * byte, which no G-code has: the file is damaged), ERR_IO (what the last fill met; the file became shorter). An error
 * stays until a seek. */
enum err sd_reader_next(struct sd_reader *reader, struct sd_line *line, struct err_info *info) ERR_NODISCARD;

/* Take what has been read, and ask for more, as far as there is room and the end has not been met; whatever happens is
 * reported by sd_reader_next. False: nothing has come, the disk is still at it. */
bool sd_reader_fill(struct sd_reader *reader);

#endif
