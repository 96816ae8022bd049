#include "server/job/sd_reader.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The buffer holds bytes [start, end) that have been read but not handed out. A fill moves them to the front first, so
 * there is always room for a line of the largest size and one piece. A comment that does not fit is thrown away as it
 * comes in (is_in_comment), so its length has no limit. */
#define BUF_BYTES (SD_LINE_MAX + SD_FILL_BYTES_MAX)

/* Shared by the reader and the pieces under way: whoever is last closes it. */
struct sd_file {
    int fd;
    _Atomic int users;
};

/* One piece of the file, read by the worker. */
struct piece {
    struct worker_job job; /* first */
    struct sd_file *file;
    uint64_t offset;
    size_t len;
    bool is_end; /* of the file, met behind these bytes */
    int io_errno;
    char data[SD_FILL_BYTES_MAX];
};

struct sd_reader {
    struct sd_file *file;
    struct worker_calls *calls; /* of the worker that reads; own_calls unless told otherwise */
    struct worker_calls own_calls;
    uint64_t size_bytes;
    char *buf;             /* BUF_BYTES + 1 */
    size_t start, end;     /* unread bytes in buf */
    size_t scanned;        /* bytes after start in which there is no line end */
    uint64_t start_offset; /* of buf[start] in the file */
    bool is_at_end;        /* read() said so */
    bool is_in_comment;    /* dropping the rest of an endless comment */
    int io_errno;          /* of the last fill, or 0 */
    char cut;              /* byte that the final zero of the last line stands on, put back by the next call */
    char *cut_at;          /* NULL: none */
    struct piece *ahead[SD_AHEAD]; /* asked for, in order of offset */
    unsigned ahead_count;
    uint64_t ahead_offset; /* of the next piece to ask for */
};

enum err sd_reader_open(struct sd_reader **out, const char *path, struct err_info *info)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* O_NONBLOCK: a fifo must not hold us up */
    if (fd < 0)
        return err_set(info, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "Unable to open file: %s", strerror(errno));
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(info, ERR_INVALID, "Unable to open file: not a regular file");
    }
    struct sd_reader *r = MEM_NEW(struct sd_reader);
    r->file = MEM_NEW(struct sd_file);
    r->file->fd = fd;
    atomic_store(&r->file->users, 1);
    worker_calls_init(&r->own_calls, NULL, NULL);
    r->calls = &r->own_calls;
    r->size_bytes = (uint64_t)st.st_size;
    r->buf = MEM_ARRAY(char, BUF_BYTES + 1);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* larger read-ahead; failing costs nothing */
    *out = r;
    return OK;
}

void sd_reader_use(struct sd_reader *r, struct worker_calls *calls)
{
    CHECK(r->ahead_count == 0);
    r->calls = calls;
}

static void file_release(struct sd_file *file)
{
    if (atomic_fetch_sub(&file->users, 1) > 1)
        return;
    close(file->fd);
    mem_free(file);
}

static void file_release_there(void *file)
{
    file_release(file);
}

/* Pieces that nobody waits for any more: the worker ends and frees those it is at. */
static void drop_ahead(struct sd_reader *r)
{
    for (unsigned i = 0; i < r->ahead_count; i++)
        worker_release(&r->ahead[i]->job);
    r->ahead_count = 0;
}

void sd_reader_close(struct sd_reader *reader)
{
    if (!reader)
        return;
    drop_ahead(reader);
    struct worker *worker = reader->calls->worker;
    if (!worker || !worker_post(worker, file_release_there, reader->file)) /* closing may wait for a disk, too */
        file_release(reader->file);
    mem_free(reader->buf);
    mem_free(reader);
}

uint64_t sd_reader_size_bytes(const struct sd_reader *reader)
{
    return reader->size_bytes;
}

void sd_reader_seek(struct sd_reader *r, uint64_t offset_bytes)
{
    r->start = r->end = r->scanned = 0;
    r->start_offset = offset_bytes;
    r->is_at_end = r->is_in_comment = false;
    r->io_errno = 0;
    r->cut_at = NULL;
    drop_ahead(r);
    r->ahead_offset = offset_bytes;
}

static void restore_cut(struct sd_reader *r)
{
    if (r->cut_at)
        *r->cut_at = r->cut;
    r->cut_at = NULL;
}

static void consume(struct sd_reader *r, size_t count)
{
    CHECK(count <= r->end - r->start);
    r->start += count;
    r->start_offset += count;
    r->scanned = 0;
}

/* ---------------------------------------------------------------------------------------------------- reading ahead */

/* On the worker: a whole piece, unless the file ends in it. */
static enum err read_piece(struct worker_job *job, struct err_info *info)
{
    (void)info;
    struct piece *piece = CONTAINER_OF(job, struct piece, job);
    while (piece->len < SD_FILL_BYTES_MAX) {
        ssize_t got = pread(piece->file->fd, piece->data + piece->len, SD_FILL_BYTES_MAX - piece->len,
                            (off_t)(piece->offset + piece->len));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            piece->io_errno = errno;
        piece->is_end = got == 0;
        if (got <= 0)
            break;
        piece->len += (size_t)got;
    }
    return OK;
}

static void release_piece(struct worker_job *job)
{
    file_release(CONTAINER_OF(job, struct piece, job)->file);
}

static void ask(struct sd_reader *r)
{
    while (r->ahead_count < SD_AHEAD) {
        struct piece *piece = MEM_NEW(struct piece);
        piece->job.run = read_piece;
        piece->job.release = release_piece;
        piece->file = r->file;
        piece->offset = r->ahead_offset;
        atomic_fetch_add(&r->file->users, 1);
        if (!worker_start(r->calls, &piece->job)) {
            worker_release(&piece->job);
            return; /* overloaded: the next fill asks again */
        }
        r->ahead[r->ahead_count++] = piece;
        r->ahead_offset += SD_FILL_BYTES_MAX;
        if (worker_is_done(&piece->job) && piece->len < SD_FILL_BYTES_MAX)
            return; /* the end, or an error */
    }
}

/* The first piece into the buffer; false: it has not come, or there is no room for it. */
static bool take(struct sd_reader *r)
{
    if (r->ahead_count == 0 || !worker_is_done(&r->ahead[0]->job))
        return false;
    struct piece *piece = r->ahead[0];
    if (piece->len > BUF_BYTES - r->end)
        return false;
    memcpy(r->buf + r->end, piece->data, piece->len);
    r->end += piece->len;
    r->is_at_end = piece->is_end;
    r->io_errno = piece->io_errno;
    r->ahead_count--;
    memmove(r->ahead, r->ahead + 1, r->ahead_count * sizeof(r->ahead[0]));
    worker_release(&piece->job);
    return true;
}

bool sd_reader_fill(struct sd_reader *r)
{
    restore_cut(r);
    if (r->is_at_end || r->io_errno)
        return true;
    if (r->start > 0) {
        memmove(r->buf, r->buf + r->start, r->end - r->start);
        r->end -= r->start;
        r->start = 0;
    }
    ask(r);
    bool has_come = take(r);
    if (r->is_at_end || r->io_errno)
        drop_ahead(r); /* whatever stands behind the end */
    else if (has_come)
        ask(r);
    return has_come;
}

static bool is_comment(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
            return text[i] == ';';
    }
    return false;
}

/* Give buf[start .. start + len) to the caller, of which `consumed` bytes (line end included) are used up. */
static enum err hand_out(struct sd_reader *r, size_t len, size_t consumed, struct sd_line *line, struct err_info *info)
{
    char *text = r->buf + r->start;
    const char *zero = memchr(text, 0, len);
    if (zero)
        return err_set(info, ERR_INVALID, "Zero byte at offset %" PRIu64 " of the file: the file is damaged",
                       r->start_offset + (uint64_t)(zero - text));
    line->offset_bytes = r->start_offset;
    line->end_bytes = r->start_offset + consumed;
    if (len > 0 && text[len - 1] == '\r')
        len--;
    r->cut_at = text + len;
    r->cut = *r->cut_at;
    *r->cut_at = '\0';
    line->text = text;
    line->len_bytes = len;
    consume(r, consumed);
    return OK;
}

/* What to answer when there is no line end in the buffer. */
static enum err next_incomplete(struct sd_reader *r, struct sd_line *line, struct err_info *info)
{
    size_t len = r->end - r->start;
    if (r->io_errno)
        return err_set(info, ERR_IO, "Unable to read the file at offset %" PRIu64 ": %s", r->start_offset + len,
                       strerror(r->io_errno));
    if (r->is_in_comment) {
        consume(r, len);
        len = 0;
    } else if (len > SD_LINE_MAX) {
        if (!is_comment(r->buf + r->start, len))
            return err_set(info, ERR_LIMIT, "Line at offset %" PRIu64 " of the file is longer than %d bytes",
                           r->start_offset, SD_LINE_MAX);
        consume(r, len);
        r->is_in_comment = true;
        len = 0;
    }
    if (!r->is_at_end)
        return ERR_AGAIN;
    if (r->start_offset + len < r->size_bytes)
        return err_set(info, ERR_IO,
                       "The file became shorter while it was read: it ends at offset %" PRIu64 " of %" PRIu64,
                       r->start_offset + len, r->size_bytes);
    if (len == 0)
        return ERR_CLOSED;
    return hand_out(r, len, len, line, info); /* the last line has no line end */
}

enum err sd_reader_next(struct sd_reader *r, struct sd_line *line, struct err_info *info)
{
    restore_cut(r);
    for (;;) {
        size_t len = r->end - r->start;
        const char *newline = memchr(r->buf + r->start + r->scanned, '\n', len - r->scanned);
        if (!newline) {
            r->scanned = len;
            return next_incomplete(r, line, info);
        }
        size_t line_len = (size_t)(newline - (r->buf + r->start));
        if (r->is_in_comment) {
            r->is_in_comment = false;
            consume(r, line_len + 1);
            continue;
        }
        if (line_len > SD_LINE_MAX) {
            if (!is_comment(r->buf + r->start, line_len))
                return err_set(info, ERR_LIMIT, "Line at offset %" PRIu64 " of the file is longer than %d bytes",
                               r->start_offset, SD_LINE_MAX);
            consume(r, line_len + 1);
            continue;
        }
        return hand_out(r, line_len, line_len + 1, line, info);
    }
}
