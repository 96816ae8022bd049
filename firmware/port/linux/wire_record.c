#include "firmware/port/linux/wire_record.h"

#include "base/mem.h"
#include "base/resident.h"
#include "firmware/port/sim/sim_board.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct wire_record {
    struct sim_board *board;
    uint8_t *data; /* pieces: struct head, then its bytes */
    size_t used_bytes, size_bytes;
    bool is_cut;
};

struct head {
    uint64_t clock;
    uint32_t len_bytes;
    uint32_t to_host;
};

void wire_record_line(FILE *file, struct mcu_ticks clock, bool to_host, const uint8_t *data, size_t len_bytes)
{
    fprintf(file, "%" PRIu64 " %c ", clock.t, to_host ? '<' : '>');
    for (size_t i = 0; i < len_bytes; i++)
        fprintf(file, "%02x", data[i]);
    putc('\n', file);
}

static void keep(void *ctx, struct mcu_ticks clock, bool to_host, const uint8_t *data, size_t len_bytes)
{
    struct wire_record *record = ctx;
    const struct head head = {clock.t, (uint32_t)len_bytes, to_host};
    if (record->size_bytes - record->used_bytes < sizeof head + len_bytes) {
        record->is_cut = true;
        return;
    }
    memcpy(record->data + record->used_bytes, &head, sizeof head);
    memcpy(record->data + record->used_bytes + sizeof head, data, len_bytes);
    record->used_bytes += sizeof head + len_bytes;
}

struct wire_record *wire_record_begin(struct sim_board *board, size_t max_bytes)
{
    struct wire_record *record = MEM_NEW(struct wire_record);
    record->board = board;
    record->size_bytes = max_bytes;
    resident_begin(); /* no page fault of the recording shall look like a late host */
    record->data = mem_alloc(max_bytes);
    resident_end();
    sim_board_tap(board, keep, record);
    return record;
}

static void write_times(FILE *file, const struct wire_record *record)
{
    struct head first = {0};
    if (record->used_bytes)
        memcpy(&first, record->data, sizeof first);
    const struct mcu_ticks clocks[] = {{first.clock}, sim_board_clock(record->board)};
    fputs("#", file);
    for (int i = 0; i < 2; i++)
        fprintf(file, " %" PRId64 " %" PRIu64, sim_board_host_time(record->board, clocks[i]).ns, clocks[i].t);
    fputs("\n", file);
}

enum err wire_record_end(struct wire_record *record, const char *path, struct err_info *info)
{
    if (!record)
        return OK;
    sim_board_tap(record->board, NULL, NULL);
    FILE *file = fopen(path, "we");
    if (file)
        write_times(file, record);
    for (size_t at = 0; file && at < record->used_bytes;) {
        struct head head;
        memcpy(&head, record->data + at, sizeof head);
        wire_record_line(file, (struct mcu_ticks){head.clock}, head.to_host, record->data + at + sizeof head,
                         head.len_bytes);
        at += sizeof head + head.len_bytes;
    }
    bool is_good = file && !ferror(file);
    if (file && fclose(file) != 0)
        is_good = false;
    enum err err = is_good ? OK : err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
    if (err == OK && record->is_cut)
        err = err_set(info, ERR_LIMIT, "%s: cut after %zu bytes", path, record->used_bytes);
    mem_free(record->data);
    mem_free(record);
    return err;
}
