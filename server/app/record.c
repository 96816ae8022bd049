#include "server/app/record.h"

#include "base/mem.h"
#include "base/strmap.h"
#include "firmware/port/linux/wire_record.h"
#include "firmware/port/sim/sim_board.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct record {
    char *dir;
    struct strmap files; /* board name -> FILE */
};

enum err record_create(const char *dir, struct record **out, struct err_info *info)
{
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return err_set(info, ERR_IO, "%s: %s", dir, strerror(errno));
    struct record *record = MEM_NEW(struct record);
    record->dir = mem_strdup(dir);
    strmap_init(&record->files);
    *out = record;
    return OK;
}

void record_destroy(struct record *record)
{
    if (!record)
        return;
    for (const struct strmap_entry *e = strmap_first(&record->files); e; e = strmap_next(e))
        fclose(strmap_value(e));
    strmap_deinit(&record->files);
    mem_free(record->dir);
    mem_free(record);
}

static void write_bytes(void *ctx, struct mcu_ticks clock, bool to_host, const uint8_t *data, size_t len_bytes)
{
    wire_record_line(ctx, clock, to_host, data, len_bytes);
}

enum err record_board(struct record *record, const char *name, struct sim_board *board, struct err_info *info)
{
    FILE *file = strmap_get(&record->files, name);
    if (!file) {
        char *path = mem_sprintf("%s/%s.wire", record->dir, name);
        file = fopen(path, "we");
        enum err err = file ? OK : err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
        mem_free(path);
        if (err != OK)
            return err;
        (void)strmap_set(&record->files, name, file);
    }
    sim_board_tap(board, write_bytes, file);
    return OK;
}
