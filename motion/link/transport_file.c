/* No board at all: the blocks go to a file. */
#include "motion/link/transport.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FILE_BUFFER_BYTES (256 * 1024)

struct transport_file {
    struct transport base; /* first */
    FILE *file;
    char *buffer;
};

static size_t file_read(struct transport *base, uint8_t *data, size_t cap_bytes, struct host_ns now)
{
    (void)base;
    (void)data;
    (void)cap_bytes;
    (void)now;
    return 0;
}

static size_t file_write(struct transport *base, const uint8_t *data, size_t len_bytes, struct host_ns now)
{
    (void)now;
    struct transport_file *t = (struct transport_file *)base;
    return fwrite(data, 1, len_bytes, t->file) == len_bytes ? len_bytes : TRANSPORT_CLOSED;
}

static bool file_sync(struct transport *base)
{
    return fflush(((struct transport_file *)base)->file) == 0;
}

static void file_attach(struct transport *base, struct actor *actor)
{
    (void)base;
    (void)actor;
}

static void file_destroy(struct transport *base)
{
    struct transport_file *t = (struct transport_file *)base;
    fclose(t->file);
    mem_free(t->buffer);
    mem_free(t);
}

static const struct transport_ops file_ops = {
    .read = file_read,
    .write = file_write,
    .sync = file_sync,
    .attach = file_attach,
    .destroy = file_destroy,
};

enum err transport_file_open(const char *path, struct transport **t, struct err_info *info)
{
    FILE *file = fopen(path, "wbe");
    if (!file)
        return err_set(info, ERR_IO, "Unable to open '%s': %s", path, strerror(errno));
    struct transport_file *f = MEM_NEW(struct transport_file);
    f->base.ops = &file_ops;
    f->base.is_file = true;
    f->file = file;
    f->buffer = mem_alloc(FILE_BUFFER_BYTES);
    setvbuf(file, f->buffer, _IOFBF, FILE_BUFFER_BYTES);
    *t = &f->base;
    return OK;
}
